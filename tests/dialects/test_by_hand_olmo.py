"""OLMo-core, beside its formulas in plain Python: in steps and in tokens."""

import functools
import math

import pytest
from hypothesis import strategies as st
from twins import Twin, held_by, or_0, some

from lrcore import Linear
from lrcore.dialects import olmo
from lrcore.dialects._dialect import PEERS

rates = st.floats(1e-4, 1.0)
shares = or_0(1.0)
spans = st.integers(1, 30)
from_0 = st.integers(0, 20)


def rise(t, first, peak, steps):
    return first + (peak - first) * min(t, steps) / steps if steps else peak


def share_of(steps, share, run):
    return round(run * share) if steps is None else steps


def ol_constant(t, initial_lr, max_steps, warmup=None, warmup_fraction=None, warmup_min_lr=0.0):
    return rise(t, warmup_min_lr, initial_lr, share_of(warmup, warmup_fraction, max_steps))


def ol_wsd(
    t,
    initial_lr,
    max_steps,
    warmup=None,
    decay=None,
    warmup_fraction=None,
    warmup_min_lr=0.0,
    decay_min_lr=0.0,
    least_left=-math.inf,
):
    up, down = share_of(warmup, warmup_fraction, max_steps), share_of(decay, 0.1, max_steps)
    if t <= up:
        return rise(t, warmup_min_lr, initial_lr, up)
    if down and t >= max_steps - down:
        return decay_min_lr + (initial_lr - decay_min_lr) * max(min(max_steps - t, down), least_left) / down
    return initial_lr


def ol_after_warmup(curve):
    """What the schedulers share that begin with `t < warmup` and end at a share of the peak."""

    def at(t, initial_lr, max_steps, warmup=None, warmup_fraction=None, alpha_f=0.1, t_max=None, warmup_min_lr=0.0):
        run = max_steps if t_max is None else t_max
        up, floor = share_of(warmup, warmup_fraction, run), initial_lr * alpha_f
        peak = floor + (initial_lr - floor) * curve(0.0)
        if t < up:
            return rise(t, warmup_min_lr, peak, up)
        return floor if t >= run else floor + (initial_lr - floor) * curve((t - up) / (run - up))

    return at


def ol_sqrt(t, initial_lr, warmup, max_steps, alpha_f=0.1, warmup_min_lr=0.0):
    assert max_steps
    floor = initial_lr * alpha_f
    root = math.sqrt(warmup / max(t, 1))
    return rise(t, warmup_min_lr, initial_lr, warmup) if t < warmup else floor + (initial_lr - floor) * root


ol_cosine = ol_after_warmup(lambda share: (1 + math.cos(math.pi * share)) / 2)


def ol_cut(t, decay=None, decay_min_lr=0.0, **arguments):
    run = arguments["max_steps"]
    down = share_of(decay, 0.1, run)
    if down and t >= run - down:
        begin = ol_cosine(run - down, **arguments)
        return decay_min_lr + (begin - decay_min_lr) * min(run - t, down) / down
    return ol_cosine(t, **arguments)


def ol_wsds(
    t, initial_lr, period_lengths, warmup, decay, period_lr_multipliers=None, warmup_min_lr=0.0, decay_min_lr=0.0
):
    peaks = [initial_lr * factor for factor in period_lr_multipliers or [1.0] * len(period_lengths)]
    if t < warmup:
        return rise(t, warmup_min_lr, peaks[0], warmup)
    begin = 0
    for length, peak in zip(period_lengths, peaks, strict=True):
        if t <= begin + length:
            left = begin + length - t
            return peak if left > decay else decay_min_lr + (peak - decay_min_lr) * left / decay
        begin += length
    return decay_min_lr


def ol_power(
    t, initial_lr, max_steps, warmup, decay, b=-0.51, warmup_min_lr=0.0, decay_min_lr=0.0, least_left=-math.inf
):
    if t <= warmup:
        return rise(t, warmup_min_lr, initial_lr, warmup)
    if decay and t >= max_steps - decay:
        begin = initial_lr * ((max_steps - decay) / warmup) ** b
        return decay_min_lr + (begin - decay_min_lr) * max(min(max_steps - t, decay), least_left) / decay
    return initial_lr * (t / warmup) ** b


def ol_exponential(t, initial_lr, max_steps, lr_min=1e-9):
    return lr_min * (initial_lr / lr_min) ** min(t / max_steps, 1.0)


def ol_between(share, start, end, shape):
    return start + (end - start) * (share if shape == "linear" else (1 - math.cos(math.pi * share)) / 2)


def ol_stages(t, initial_lr, stages):
    before = initial_lr
    for stage in stages:
        start = stage.get(
            "start_lr", initial_lr * stage["start_lr_fraction"] if "start_lr_fraction" in stage else before
        )
        end = stage["end_lr"] if "end_lr" in stage else initial_lr * stage["end_lr_fraction"]
        if t < stage["duration"]:
            return ol_between(t / stage["duration"], start, end, stage.get("shape", "linear"))
        t, before = t - stage["duration"], end
    return before


def ol_overridden(formula):
    def at(t, override_decay=None, **arguments):
        if override_decay is None or t < override_decay["start"]:
            return formula(t, **arguments)
        end = override_decay.get("end_lr", arguments["initial_lr"] * override_decay.get("end_lr_fraction", 0.0))
        begin = formula(override_decay["start"], **arguments)
        share = min((t - override_decay["start"]) / override_decay["duration"], 1.0)
        return ol_between(share, begin, end, override_decay.get("shape", "linear"))

    return at


RISE, FALL = {"warmup": 3, "warmup_min_lr": 1e-5}, {"warmup": 2, "warmup_min_lr": 1e-9, "alpha_f": 0.25}
PARTS = [
    (functools.partial(olmo.ConstantWithWarmup, **RISE), functools.partial(ol_constant, **RISE)),
    (functools.partial(olmo.CosWithWarmup, **FALL), functools.partial(ol_cosine, **FALL)),
    (
        functools.partial(olmo.LinearWithWarmup, **FALL),
        functools.partial(ol_after_warmup(lambda share: 1 - share), **FALL),
    ),
]


def ol_sequence(t, initial_lr, max_steps, schedulers, schedulers_max):
    formulas = {id(made): formula for made, formula in PARTS}
    left = max_steps
    for made, most in zip(schedulers, schedulers_max, strict=False):
        formula = formulas[id(made)]
        if made is schedulers[-1] or t <= most:
            return formula(t, initial_lr=initial_lr, max_steps=left if made is schedulers[-1] else most)
        initial_lr = formula(most, initial_lr=initial_lr, max_steps=most)
        t, left = t - most, left - most
    return formulas[id(schedulers[-1])](t, initial_lr=initial_lr, max_steps=left)


warmups = st.one_of(some(warmup=from_0), some(warmup_fraction=or_0(0.9)))


def with_warmup(**fields):
    return st.builds(lambda a, b: a | b, some(initial_lr=rates, warmup_min_lr=or_0(0.1), **fields), warmups)


def run_end(max_steps, **_):
    return max_steps


def of_trainer(formula, late=0):
    """What an update has: its trainer counts it first, and all of its tokens."""

    def at(t, tokens_per_step=1, units="steps", **arguments):
        assert units == "tokens" or tokens_per_step == 1
        return formula((t + late) * tokens_per_step, **arguments)

    return at


def twin(name, arguments, strict, plain=None, corners=(), *, tokens=True):
    """Ours is without what its trainer counts too early, unless it is strict."""
    if tokens:
        in_tokens = some(units=st.just("tokens"), tokens_per_step=st.integers(1, 7)) | st.just({})
        arguments = st.builds(lambda a, b: a | b, arguments, in_tokens)
    return Twin(f"olmo.{name}", arguments, of_trainer(plain or strict), of_trainer(strict, 1), corners)


ends = st.fixed_dictionaries({"end_lr": shares}) | st.fixed_dictionaries({"end_lr_fraction": shares})
starts = st.just({}) | some(start_lr=shares) | some(start_lr_fraction=shares)
shapes = st.just({}) | some(shape=st.sampled_from(["linear", "cosine"]))
stages = st.builds(
    lambda *each: {k: v for one in each for k, v in one.items()}, some(duration=spans), shapes, starts, ends
)
overrides = st.builds(
    lambda *each: {k: v for one in each for k, v in one.items()}, some(start=from_0, duration=spans), shapes, ends
)


@st.composite
def sequences(draw):
    chosen = [made for made, _ in draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3, unique_by=id))]
    most = draw(st.lists(st.integers(3, 15), min_size=len(chosen) - 1, max_size=len(chosen) - 1))
    drawn = {"initial_lr": draw(st.floats(0.1, 1.0)), "schedulers": chosen, "schedulers_max": most}
    drawn["max_steps"] = sum(most) + draw(spans)
    return drawn | draw(st.just({}) | st.builds(lambda decay: {"override_decay": decay}, overrides))


periods = some(
    initial_lr=rates,
    period_lengths=st.lists(st.integers(10, 20), min_size=3, max_size=3),
    period_lr_multipliers=st.none() | st.lists(st.floats(0.5, 2.0), min_size=3, max_size=3),
    warmup=st.integers(0, 5),
    decay=st.integers(1, 5),
    decay_min_lr=or_0(0.1),
)
TWINS = [
    Twin("olmo.ConstantScheduler", some(initial_lr=rates), lambda _, initial_lr: initial_lr),
    twin("ConstantWithWarmup", with_warmup(max_steps=spans), ol_constant),
    twin(
        "WSD",
        with_warmup(max_steps=spans, decay=st.one_of(st.none(), from_0), decay_min_lr=or_0(0.1)),
        ol_wsd,
        lambda t, **arguments: ol_wsd(t, least_left=0, **arguments),
    ),
    twin(
        "PowerLR",
        some(
            initial_lr=rates,
            max_steps=st.integers(21, 40),
            warmup=spans,
            decay=from_0,
            b=st.floats(-1.5, -0.1),
            decay_min_lr=or_0(0.1),
        ),
        ol_power,
        lambda t, **arguments: ol_power(t, least_left=0, **arguments),
        corners=(
            {"initial_lr": 1.0, "max_steps": 8, "warmup": 4, "decay": 4},
            {"initial_lr": 1.0, "max_steps": 8, "warmup": 5, "decay": 4},
            {"initial_lr": 1.0, "max_steps": 8, "warmup": 5, "decay": 4, "units": "tokens", "tokens_per_step": 3},
            {"initial_lr": 1.0, "max_steps": 8, "warmup": 4, "decay": 4, "units": "tokens", "tokens_per_step": 2},
        ),
    ),
    twin(
        "LinearWithWarmup",
        with_warmup(max_steps=spans, alpha_f=shares, t_max=st.one_of(st.none(), spans)),
        ol_after_warmup(lambda share: 1 - share),
    ),
    twin("InvSqrtWithWarmup", some(initial_lr=rates, max_steps=spans, warmup=spans, alpha_f=shares), ol_sqrt),
    twin("CosWithWarmup", with_warmup(max_steps=spans, alpha_f=shares, t_max=st.one_of(st.none(), spans)), ol_cosine),
    twin(
        "HalfCosWithWarmup",
        with_warmup(max_steps=spans, alpha_f=shares, t_max=st.one_of(st.none(), spans)),
        ol_after_warmup(lambda share: (1 + math.cos(math.pi * (1 + share) / 2)) / 2),
    ),
    twin(
        "CosWithWarmupAndLinearDecay",
        with_warmup(max_steps=st.integers(20, 30), alpha_f=shares, decay=st.integers(1, 20), decay_min_lr=or_0(0.1)),
        ol_cut,
        lambda t, max_steps, **arguments: ol_cut(min(t, max_steps), max_steps=max_steps, **arguments),
    ),
    twin(
        "WSDS",
        periods,
        ol_wsds,
        corners=({"initial_lr": 1.0, "period_lengths": [4, 2, 3], "warmup": 2, "decay": 2},),
    ),
    twin(
        "ExponentialScheduler",
        some(initial_lr=rates, max_steps=spans, lr_min=st.floats(1e-9, 1e-5)),
        ol_exponential,
        corners=({"initial_lr": 1.0, "max_steps": 30},),
    ),
    twin(
        "ComposableScheduler",
        some(
            initial_lr=rates,
            stages=st.lists(stages, min_size=1, max_size=4),
            override_decay=st.none() | overrides,
        ),
        ol_overridden(ol_stages),
    ),
    twin("SequentialScheduler", sequences(), ol_overridden(ol_sequence), tokens=False),
]


test_twin, test_corner = held_by(TWINS)


def test_every_schedule_has_a_twin():
    assert {key for key in PEERS if key.startswith("olmo.")} == {twin.key for twin in TWINS}


def test_tokens_of_a_real_run():
    """5e9 tokens of 4 Mi a step: the warm-up of 2e9 ends between two updates, and nothing is rounded to one."""
    per_step, warmup, total = 4 * 2**20, 2 * 10**9, 5 * 10**9
    schedule = olmo.WSD(3e-4, total, warmup, decay=10**9, units="tokens", tokens_per_step=per_step)
    assert schedule(476) == pytest.approx(3e-4 * 476 * per_step / warmup, rel=1e-14)
    assert schedule(477) == schedule(953) == 3e-4
    assert schedule(1000) == pytest.approx(3e-4 * (total - 1000 * per_step) / 10**9, rel=1e-13)
    assert schedule(1193) == 0.0
    assert olmo.CosWithWarmup(1.0, 600, 200, units="tokens", tokens_per_step=100) == olmo.CosWithWarmup(1.0, 6, 2)


def test_stages_are_tuples_or_dicts():
    stage = olmo.ComposableSchedulerStage(4, "linear", end_lr=0.0)
    assert olmo.ComposableScheduler(1.0, [stage]) == olmo.ComposableScheduler(1.0, [{"duration": 4, "end_lr": 0.0}])
    assert olmo.ComposableScheduler(1.0, [stage]) == Linear(1.0, 0.0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: olmo.WSD(0.1, 9, 1, units="tokens"), "WSD.tokens_per_step: expected a number with units='tokens'"),
        (lambda: olmo.WSD(0.1, 9, 1, tokens_per_step=2), "WSD.tokens_per_step: .* none without, got 2"),
        (lambda: olmo.PowerLR(0.1, 9, 0.5, 1), r"PowerLR.b: expected a number < 0, got 0.5"),
        (lambda: olmo.PowerLR(0.1, 9, warmup=0), r"PowerLR.warmup: expected a warm-up above 0"),
        (lambda: olmo.PowerLR(0.1, 9, warmup=1, decay=9), r"PowerLR.decay: expected less than max_steps = 9"),
        (lambda: olmo.WSDS(0.1, [9], [1.0, 2.0], 1), r"WSDS.period_lr_multipliers: expected as many as period_lengths"),
        (lambda: olmo.ComposableScheduler(0.1, []), r"ComposableScheduler.stages: expected at least one stage"),
        (
            lambda: olmo.ComposableScheduler(0.1, [4]),
            r"stages\[0\]: expected ComposableSchedulerStage\(...\), or a",
        ),
        (lambda: olmo.ComposableScheduler(0.1, [{"duration": 4}]), r"stages\[0\].end_lr: expected one of end_lr and"),
        (lambda: olmo.ComposableScheduler(0.1, [{"end_lr": 4}]), r"stages\[0\].duration: expected a number of updates"),
        (lambda: olmo.ComposableScheduler(0.1, [{"end_rl": 4}]), r"stages\[0\]: .* did you mean 'end_lr'"),
        (
            lambda: olmo.ComposableScheduler(
                0.1, [{"duration": 4, "end_lr": 0, "start_lr": 1, "start_lr_fraction": 1}]
            ),
            r"stages\[0\].start_lr: expected one of start_lr and start_lr_fraction",
        ),
        (
            lambda: olmo.SequentialScheduler(0.1, 9, [0.1], []),
            r"schedulers\[0\]: expected a function of initial_lr",
        ),
        (lambda: olmo.SequentialScheduler(0.1, 9, [olmo.WSD], [3, 4]), r"schedulers_max: expected a maximum for each"),
        (
            lambda: olmo.SequentialScheduler(0.1, 9, [olmo.WSD] * 2, [9]),
            r"schedulers_max: expected less than max_",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
