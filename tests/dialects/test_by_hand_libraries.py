"""fastai, Composer and MLX, beside their formulas in plain Python."""

import math
import re
import warnings

import pytest
from hypothesis import given, settings, strategies as st
from twins import Twin, closely, held_by, or_0, some

from lrcore.dialects import composer, fastai, mlx
from lrcore.dialects._dialect import PEERS
from lrcore.schedule import RoundingWarning

rates = st.floats(1e-4, 1.0)
shares = or_0(1.0)
spans = st.integers(1, 30)
from_0 = st.integers(0, 20)
gammas = st.floats(0.1, 1.0)


def half_wave(share):
    return (1 + math.cos(math.pi * share)) / 2


# ---- fastai: functions of the share that is done ----


def fa_linear(share, start, end):
    return start + share * (end - start)


def fa_cosine(share, start, end):
    return start + (1 + math.cos(math.pi * (1 - share))) * (end - start) / 2


def fa_exponential(share, start, end):
    return start * (end / start) ** share


def fa_power(share, start, end, power):
    return start + (end - start) * share**power


def over_n(formula):
    return lambda t, n, **arguments: formula(min(t / n, 1.0), **arguments)


def fa_combined(share, pcts, formulas):
    begin = 0.0
    for pct, formula in zip(pcts, formulas, strict=True):
        if share < begin + pct or formula is formulas[-1]:
            return formula(min((share - begin) / pct, 1.0) if pct else 0.0)
        begin += pct
    raise AssertionError


def fa_two_waves(t, pct, start, middle, end, n):
    return fa_combined(
        min(t / n, 1.0),
        [pct, 1 - pct],
        [lambda share: fa_cosine(share, start, middle), lambda share: fa_cosine(share, middle, end)],
    )


def fa_one_cycle(t, n_epoch, lr_max, div=25.0, div_final=1e5, pct_start=0.25, steps_per_epoch=1):
    return fa_two_waves(t, pct_start, lr_max / div, lr_max, lr_max / div_final, n_epoch * steps_per_epoch)


def fa_flat_cos(t, n_epoch, lr, div_final=1e5, pct_start=0.75, steps_per_epoch=1):
    return fa_two_waves(t, pct_start, lr, lr, lr / div_final, n_epoch * steps_per_epoch)


def fa_sgdr(t, n_cycles, cycle_len, lr_max, cycle_mult=2, steps_per_epoch=1):
    length = cycle_len * steps_per_epoch
    for _ in range(n_cycles):
        if t < length:
            return lr_max * half_wave(t / length)
        t, length = t - length, length * cycle_mult
    return 0.0


# A phase that ends on an update, or well away from one: at a rounding from it theirs and ours may differ in the phase.
clear = st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.6, 0.75])

# ---- Composer, in batches ----


def co_rise(warmup, after):
    """`t < t_warmup`: from 0."""
    return lambda t, base_lr, t_warmup, **more: (
        base_lr * warmup(**more) * t / t_warmup if t < t_warmup else after(t, base_lr, t_warmup, **more)
    )


def co_share(t, t_warmup, t_max):
    return min(1.0, (t - t_warmup) / (t_max - t_warmup)) if t_max > t_warmup else 0.0


def co_linear(t, base_lr, t_warmup, alpha_i=1.0, alpha_f=0.0, t_max=0):
    return base_lr * (alpha_i + (alpha_f - alpha_i) * co_share(t, t_warmup, t_max))


def co_cosine(t, base_lr, t_warmup, alpha_f=0.0, t_max=0):
    return base_lr * (alpha_f + (1 - alpha_f) * half_wave(co_share(t, t_warmup, t_max)))


def co_power(t, base_lr, t_warmup, power=2.0, alpha_f=0.0, t_max=0):
    return base_lr * (alpha_f + (1 - alpha_f) * (1 - co_share(t, t_warmup, t_max)) ** power)


def at_once(formula):
    return lambda t, base_lr, **arguments: formula(t, base_lr, 0, **arguments)


def co_steps(t, base_lr, milestones, gamma=0.1):
    return base_lr * gamma ** sum(milestone <= t for milestone in milestones)


def co_restarts(t, base_lr, t_0, t_mult=1.0, alpha_f=0.0):
    length = t_0
    while t >= length:
        t, length = t - length, int(length * t_mult)
    return base_lr * (alpha_f + (1 - alpha_f) * half_wave(t / length))


def plain_1(**_):
    return 1.0


milestones = st.lists(st.integers(1, 60), max_size=4, unique=True).map(sorted)
with_warmup = {"base_lr": rates, "t_warmup": from_0, "t_max": st.integers(20, 60)}

sched = {"start": rates, "end": rates, "n": spans}
TWINS = [
    Twin("fastai.SchedLin", some(**sched), over_n(fa_linear)),
    Twin("fastai.SchedCos", some(**sched), over_n(fa_cosine)),
    Twin("fastai.SchedNo", some(start=rates, end=rates), lambda _, start, end: start + 0 * end),
    Twin("fastai.SchedExp", some(**sched), over_n(fa_exponential)),
    Twin("fastai.SchedPoly", some(**sched, power=st.floats(0.5, 3.0)), over_n(fa_power)),
    Twin("fastai.combined_cos", some(pct=clear, start=rates, middle=rates, end=rates, n=spans), fa_two_waves),
    Twin(
        "fastai.fit_one_cycle",
        some(n_epoch=spans, lr_max=rates, pct_start=clear, steps_per_epoch=st.integers(1, 3)),
        fa_one_cycle,
        corners=({"n_epoch": 1, "lr_max": 1.0},),
    ),
    Twin("fastai.fit_flat_cos", some(n_epoch=spans, lr=rates, pct_start=clear), fa_flat_cos),
    Twin(
        "fastai.fit_sgdr",
        some(n_cycles=st.integers(1, 4), cycle_len=st.integers(1, 9), lr_max=rates, cycle_mult=st.integers(1, 3)),
        fa_sgdr,
    ),
    Twin(
        "composer.StepScheduler",
        some(base_lr=rates, step_size=spans, gamma=gammas),
        lambda t, base_lr, step_size, gamma=0.1: base_lr * gamma ** (t // step_size),
    ),
    Twin("composer.MultiStepScheduler", some(base_lr=rates, milestones=milestones, gamma=gammas), co_steps),
    Twin(
        "composer.ConstantScheduler",
        some(base_lr=rates, alpha=rates, t_max=from_0),
        lambda t, base_lr, alpha, t_max: base_lr * alpha if t < t_max else base_lr,
    ),
    Twin(
        "composer.LinearScheduler", some(base_lr=rates, alpha_i=shares, alpha_f=shares, t_max=spans), at_once(co_linear)
    ),
    Twin(
        "composer.ExponentialScheduler",
        some(base_lr=rates, gamma=gammas, decay_period=spans),
        lambda t, base_lr, gamma, decay_period: base_lr * gamma ** (t / decay_period),
    ),
    Twin("composer.CosineAnnealingScheduler", some(base_lr=rates, alpha_f=shares, t_max=spans), at_once(co_cosine)),
    Twin(
        "composer.CosineAnnealingWarmRestartsScheduler",
        some(base_lr=rates, t_0=spans, t_mult=st.sampled_from([1, 1.05, 1.5, 2.0, 2.75, 3]), alpha_f=shares),
        co_restarts,
    ),
    Twin(
        "composer.PolynomialScheduler",
        some(base_lr=rates, power=st.floats(0.5, 3.0), alpha_f=shares, t_max=spans),
        at_once(co_power),
    ),
    Twin(
        "composer.MultiStepWithWarmupScheduler",
        some(base_lr=rates, t_warmup=from_0, milestones=milestones, gamma=gammas),
        co_rise(plain_1, lambda t, base_lr, _, **more: co_steps(t, base_lr, **more)),
    ),
    Twin(
        "composer.ConstantWithWarmupScheduler",
        some(base_lr=rates, t_warmup=from_0, alpha=rates),
        co_rise(lambda alpha: alpha, lambda _, base_lr, __, alpha: base_lr * alpha),
    ),
    Twin(
        "composer.LinearWithWarmupScheduler",
        some(**with_warmup, alpha_i=rates, alpha_f=shares),
        co_rise(lambda alpha_i, **_: alpha_i, co_linear),
    ),
    Twin(
        "composer.CosineAnnealingWithWarmupScheduler", some(**with_warmup, alpha_f=shares), co_rise(plain_1, co_cosine)
    ),
    Twin(
        "composer.PolynomialWithWarmupScheduler",
        some(**with_warmup, alpha_f=shares, power=st.floats(0.5, 3.0)),
        co_rise(plain_1, co_power),
    ),
    Twin(
        "mlx.exponential_decay", some(init=rates, decay_rate=gammas), lambda t, init, decay_rate: init * decay_rate**t
    ),
    Twin(
        "mlx.step_decay",
        some(init=rates, decay_rate=gammas, step_size=spans),
        lambda t, init, decay_rate, step_size: init * decay_rate ** (t // step_size),
    ),
    Twin(
        "mlx.cosine_decay",
        some(init=rates, decay_steps=spans, end=shares),
        lambda t, init, decay_steps, end: end + (init - end) * half_wave(min(t / decay_steps, 1.0)),
    ),
    Twin(
        "mlx.linear_schedule",
        some(init=rates, end=shares, steps=spans),
        lambda t, init, end, steps: init + (end - init) * min(t / steps, 1.0),
    ),
]
JOINS = {"fastai.combine_scheds", "mlx.join_schedules"}  # they take schedules: below


test_twin, test_corner = held_by(TWINS)


def test_every_schedule_has_a_twin():
    rooms = {module.__name__.rpartition(".")[2] for module in (fastai, composer, mlx)}
    assert {key for key, peer in PEERS.items() if peer.framework in rooms} == {twin.key for twin in TWINS} | JOINS


@given(first=rates, middle=rates, last=rates, power=st.floats(0.5, 3.0), n=spans, pcts=st.sampled_from(
    [(0.25, 0.25, 0.25, 0.25), (0.5, 0.25, 0.125, 0.125), (0.0625, 0.0625, 0.375, 0.5)]
))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_fastai_phases(first, middle, last, power, n, pcts):
    """Each kind of scheduler, over phases that begin and end between updates."""
    scheds = [
        fastai.SchedLin(first, middle),
        fastai.SchedExp(middle, last),
        fastai.SchedPoly(last, first, power),
        fastai.SchedCos(first, middle),
    ]
    formulas = [
        lambda share: fa_linear(share, first, middle),
        lambda share: fa_exponential(share, middle, last),
        lambda share: fa_power(share, last, first, power),
        lambda share: fa_cosine(share, first, middle),
    ]
    closely(fastai.combine_scheds(pcts, scheds, n), lambda t: fa_combined(min(t / n, 1.0), pcts, formulas), {})


@given(first=spans, second=spans)
@settings(max_examples=30, deadline=None)
def test_mlx_joins_at_its_boundaries(first, second):
    curves = [mlx.linear_schedule(0.0, 1.0, 7), mlx.exponential_decay(1.0, 0.75), mlx.cosine_decay(0.5, 9)]

    def joined(t):
        if t < first:
            return min(t / 7, 1.0)
        return 0.75 ** (t - first) if t < first + second else 0.5 * half_wave(min((t - first - second) / 9, 1.0))

    closely(mlx.join_schedules(curves, [first, first + second]), joined, {})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mlx.join_schedules([0.1, 0.2], [2, 1]), "a boundary between each two of 2 schedules"),
        (lambda: mlx.join_schedules([0.1, 0.2, 0.3], [2, 1]), "steps that increase"),
        (lambda: fastai.combine_scheds([0.5, 0.4], [0.1, 0.2], 9), "shares that sum to 1"),
        (
            lambda: fastai.combine_scheds([1.0], [mlx.exponential_decay(1.0, 0.5)], 9),
            "schedulers of lrcore.dialects.fa",
        ),
        (lambda: composer.LinearScheduler(0.1, t_max="3eps"), "a time such as \"10ba\", .*did you mean 'ep'"),
        (lambda: composer.time_in("3eps", "9ba"), r"time_in.given: expected a time such as"),
        (lambda: composer.time_in("3ba", "1dur"), r"time_in.max_duration: expected a time such as"),
        (lambda: composer.time_in("0.5dur", "3ep"), r"time_in.steps_per_epoch: expected the batches of an epoch"),
        (lambda: composer.LinearScheduler(0.1, t_max="0.1ba"), "t_max: expected a whole number of updates"),
        (lambda: composer.CosineAnnealingWarmRestartsScheduler(0.1, "1ep", 1.5), "batches, with a t_mult that is not"),
    ],
)
def test_refusals(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


# ---- Times of Composer ----


@pytest.mark.parametrize(
    ("given_time", "ours"),
    [
        ("10ba", 10),
        (10, 10),
        ("3ep", "3ep"),
        ("0.3dur", "30%"),
        ("1dur", "100%"),
        ("1e9tok", "1e9tok"),
        ("8sp", "8samples"),
    ],
)
def test_composer_time(given_time, ours):
    assert composer.time("t", given_time) == ours


@pytest.mark.parametrize("build", [
    lambda warmup, run: composer.CosineAnnealingWithWarmupScheduler(1.0, warmup, run, 0.1),
    lambda warmup, run: composer.LinearWithWarmupScheduler(1.0, warmup, 1.0, 0.1, run),
    lambda warmup, run: composer.PolynomialWithWarmupScheduler(1.0, warmup, 2.0, run, 0.1),
    lambda warmup, run: composer.MultiStepWithWarmupScheduler(1.0, warmup, ["7ba", run]),
])  # fmt: skip
@pytest.mark.parametrize(("warmup", "run"), [("0.25dur", "1dur"), ("1ep", "4ep"), ("1ep", "20ba"), ("5ba", "1dur")])
def test_composer_times_are_bound(build, warmup, run):
    """In epochs and shares the same as in batches, once it is bound; 20 batches in 4 epochs."""
    bound = build(warmup, run).bind(total_steps=20, steps_per_epoch=5)
    assert bound.table(30).tolist() == build("5ba", "20ba").table(30).tolist()


@pytest.mark.parametrize(
    ("given_time", "run", "theirs"),
    [
        (("0.35dur", "10ba"), {}, "3ba"),
        (("0.29dur", "100ba"), {}, "28ba"),  # 0.29 * 100 = 28.999999999999996
        (("0.57dur", "1e9tok"), {}, "570000000tok"),
        (("0.29dur", "2ep"), {"steps_per_epoch": 50}, "28ba"),
        (("0.5dur", "7ba"), {"scale_schedule_ratio": 0.1}, "3ba"),
        (("3ep", "9ep"), {"steps_per_epoch": 5, "scale_schedule_ratio": 0.5}, "7ba"),
        ((9, "1e3sp"), {"scale_schedule_ratio": 0.5}, "4ba"),
        (("99sp", "1e3sp"), {"scale_schedule_ratio": 0.1}, "9sp"),
    ],
)
def test_composer_cuts_in_floating_point(given_time, run, theirs):
    """`int(time.value * ...)`, by hand."""
    assert composer.time_in(*given_time, **run) == theirs


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.5, 2.0])
@pytest.mark.parametrize("build", [
    lambda **scaled: composer.CosineAnnealingWithWarmupScheduler(1.0, 8, 30, 0.1, True, **scaled),
    lambda **scaled: composer.LinearWithWarmupScheduler(1.0, 8, 1.0, 0.1, 30, True, **scaled),
    lambda **scaled: composer.PolynomialWithWarmupScheduler(1.0, 8, 2.0, 30, 0.1, True, **scaled),
    lambda **scaled: composer.MultiStepWithWarmupScheduler(1.0, 8, [20], 0.1, True, **scaled),
    lambda **scaled: composer.ConstantWithWarmupScheduler(1.0, 8, 1.0, 30, True, **scaled),
    lambda **scaled: composer.CosineAnnealingWithWarmupScheduler(1.0, 8, 8, 0.1, True, **scaled),
])  # fmt: skip
def test_composer_scales_the_slope_of_a_warmup_alone(build, ratio):
    """`min(1, t / int(8 * ratio))` for t < 8, and then as without it."""
    plain, scaled = build(), build(scale_schedule_ratio=ratio)
    assert scaled.table(40)[8:].tolist() == plain.table(40)[8:].tolist()
    assert scaled.table(8) == pytest.approx([min(1.0, t / int(8 * ratio)) for t in range(8)], rel=1e-15)
    waits = composer.LinearWithWarmupScheduler(1.0, "8ba", t_max="1dur", scale_warmup=True, scale_schedule_ratio=ratio)
    bound = composer.LinearWithWarmupScheduler(1.0, 8, t_max=40, scale_warmup=True, scale_schedule_ratio=ratio)
    assert waits.bind(total_steps=40).table(50).tolist() == bound.table(50).tolist()
    shares = composer.LinearWithWarmupScheduler(1.0, "0.2dur", scale_warmup=True, scale_schedule_ratio=ratio)
    assert shares == composer.LinearWithWarmupScheduler(1.0, "0.2dur")
    tokens = composer.ConstantWithWarmupScheduler(1.0, "80tok", scale_warmup=True, scale_schedule_ratio=ratio)
    assert tokens.bind(tokens_per_step=10)(4) == min(1.0, 4 / int(8 * ratio))


def test_composer_rounds_down_and_lrcore_half_up():
    with pytest.warns(RoundingWarning, match=re.escape("3.5")):
        assert composer.LinearScheduler(1.0, t_max="0.35dur").bind(total_steps=10).length == 4


def test_no_warning_for_whole_updates():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        composer.CosineAnnealingScheduler(1.0, "0.5dur").bind(total_steps=10)
