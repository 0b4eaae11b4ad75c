"""DeepSpeed, Megatron and torchtitan, beside their formulas in plain Python."""

import math

import pytest
from hypothesis import strategies as st
from twins import Twin, held, held_by, or_0, some

from lrcore.dialects import deepspeed, megatron, torchtitan
from lrcore.dialects._dialect import PEERS

rates = st.floats(1e-4, 1.0)
shares = or_0(1.0)
spans = st.integers(1, 30)
from_0 = st.integers(0, 20)
log_or_linear = st.sampled_from(["log", "linear"])


# ---- DeepSpeed: its batch n = -1 at construction, so update t has that of n = t - 1 ----


def warmup(n, steps, kind):
    return math.log(n + 1) / math.log(steps) if kind == "log" else n / steps


def ds_warmup(n, base_lr, warmup_min_lr=0.0, warmup_max_lr=None, warmup_num_steps=1000, warmup_type="log"):
    low, high, steps = warmup_min_lr, base_lr if warmup_max_lr is None else warmup_max_lr, max(2, warmup_num_steps)
    if n < 0:
        return low
    return low + (high - low) * (warmup(n, steps, warmup_type) if n < steps else 1.0)


def ds_decay(n, total_num_steps, warmup_min_lr=0.0, warmup_max_lr=0.001, warmup_num_steps=1000, warmup_type="log"):
    low, high, steps = warmup_min_lr, warmup_max_lr, max(2, warmup_num_steps)
    if n < 0:
        return low
    left = max(0.0, (total_num_steps - n) / max(1.0, total_num_steps - steps))
    return low + (high - low) * (warmup(n, steps, warmup_type) if n < steps else left)


def ds_cosine(strict):
    """In DeepSpeed itself the wave is ahead of the warm-up by an update, and not clamped."""

    def at(
        n, base_lr, total_num_steps, warmup_min_ratio=0.0, warmup_num_steps=1000, cos_min_ratio=1e-4, warmup_type="log"
    ):
        steps = max(2, warmup_num_steps)
        if n < 0:
            return 0.0
        if n < steps:
            return base_lr * (warmup_min_ratio + (1 - warmup_min_ratio) * warmup(n, steps, warmup_type))
        if strict:
            done = (n - steps + 1) / (total_num_steps - steps)
        else:
            done = min(1.0, (n - steps) / max(1, total_num_steps - steps))
        return base_lr * (cos_min_ratio + (1 - cos_min_ratio) * (1 + math.cos(math.pi * done)) / 2)

    return at


def late(formula):
    return lambda t, **arguments: formula(t - 1, **arguments)


def ds_one_cycle(
    t,
    cycle_min_lr,
    cycle_max_lr,
    decay_lr_rate=0.0,
    cycle_first_step_size=2000,
    cycle_second_step_size=None,
    cycle_first_stair_count=0,
    cycle_second_stair_count=None,
    decay_step_size=0,
):
    up, down = cycle_first_step_size, cycle_second_step_size or cycle_first_step_size
    stairs = (cycle_first_stair_count, cycle_second_stair_count)
    stairs = stairs if stairs[1] is not None else (stairs[0], stairs[0])
    if t > up + down:
        return cycle_min_lr / (1 + decay_lr_rate * (t - up - down) / decay_step_size if decay_step_size else 1)
    height, size, count = (t, up, stairs[0]) if t <= up else (up + down - t, down, stairs[1])
    share = (height * count // size) / count if count else height / size
    return cycle_min_lr + (cycle_max_lr - cycle_min_lr) * share


def ds_range_test(
    t,
    lr_range_test_min_lr=1e-3,
    lr_range_test_step_size=2000,
    lr_range_test_step_rate=1.0,
    lr_range_test_staircase=False,
):
    done = t // lr_range_test_step_size if lr_range_test_staircase else t / lr_range_test_step_size
    return lr_range_test_min_lr * (1 + lr_range_test_step_rate * done)


# ---- Megatron ----


def mt_lr(
    t,
    init_lr,
    max_lr,
    min_lr,
    lr_warmup_steps,
    lr_decay_steps,
    lr_decay_style,
    wsd_decay_steps=None,
    lr_wsd_decay_style=None,
    samples_per_update=1,
    holds=False,
):
    n = t * samples_per_update
    if holds and lr_decay_style == "inverse-square-root":
        n = min(n, lr_decay_steps // samples_per_update * samples_per_update)
    if lr_warmup_steps and n <= lr_warmup_steps:
        return init_lr + (max_lr - init_lr) * n / lr_warmup_steps
    if lr_decay_style == "constant":
        return max_lr
    if n > lr_decay_steps:
        return min_lr
    if lr_decay_style == "inverse-square-root":
        return max(min_lr, max_lr * max(lr_warmup_steps, 1) ** 0.5 / max(n, 1) ** 0.5)
    share = (n - lr_warmup_steps) / (lr_decay_steps - lr_warmup_steps)
    style = lr_decay_style
    if style == "WSD":
        share = max(0.0, (n - lr_decay_steps + wsd_decay_steps) / wsd_decay_steps)
        style = lr_wsd_decay_style
    left = {
        "linear": 1 - share,
        "cosine": (1 + math.cos(math.pi * share)) / 2,
        "exponential": 2 * 0.5**share - 1,
        "minus_sqrt": 1 - math.sqrt(share),
    }[style]
    return min_lr + left * (max_lr - min_lr)


def mt_wd(t, start_wd, end_wd, wd_incr_steps, wd_incr_style="constant", samples_per_update=1):
    share = min(1.0, t * samples_per_update / wd_incr_steps)
    done = share if wd_incr_style == "linear" else (1 + math.cos(math.pi * (1 - share))) / 2
    return start_wd + (end_wd - start_wd) * done


@st.composite
def megatron_arguments(draw):
    low, first, high = sorted(draw(st.tuples(rates, rates, rates)))
    end = draw(st.integers(2, 200))
    style = draw(st.sampled_from(megatron.STYLES))
    arguments = {"init_lr": first, "max_lr": high, "min_lr": low, "lr_warmup_steps": draw(st.integers(0, end - 1))}
    arguments |= {"lr_decay_steps": end, "lr_decay_style": style, "samples_per_update": draw(st.integers(1, 12))}
    if style == "WSD":
        arguments |= {"wsd_decay_steps": draw(st.integers(1, 2 * end))}
        arguments |= {"lr_wsd_decay_style": draw(st.sampled_from(megatron.WSD_STYLES))}
    return arguments


# ---- torchtitan ----


def titan(t, base_lr, training_steps, warmup_steps=200, decay_ratio=None, decay_type="linear", min_lr_factor=0.0):
    up = min(warmup_steps, training_steps)
    decay = (
        training_steps - up if decay_ratio is None else min(round(training_steps * decay_ratio), training_steps - up)
    )
    if t < up:
        return base_lr * (t + 1) / up
    if t < training_steps + 1 - decay or not decay:
        return base_lr
    share = (t - (training_steps - decay)) / decay
    left = {"linear": 1 - share, "sqrt": 1 - math.sqrt(share), "cosine": (1 + math.cos(math.pi * share)) / 2}[
        decay_type
    ]
    return base_lr * (min_lr_factor + (1 - min_lr_factor) * left)


log_warmup = {"warmup_num_steps": spans, "warmup_type": log_or_linear}
TWINS = [
    Twin(
        "deepspeed.WarmupLR",
        some(base_lr=rates, warmup_min_lr=rates, warmup_max_lr=st.one_of(st.none(), rates), **log_warmup),
        ds_warmup,
        late(ds_warmup),
        ({"base_lr": 0.1, "warmup_num_steps": 0}, {"base_lr": 0.1, "warmup_num_steps": 1}, {"base_lr": 0.1}),
    ),
    Twin(
        "deepspeed.WarmupDecayLR",
        some(total_num_steps=st.integers(1, 60), warmup_min_lr=rates, warmup_max_lr=rates, **log_warmup),
        ds_decay,
        late(ds_decay),
        ({"total_num_steps": 4, "warmup_num_steps": 4}, {"total_num_steps": 4, "warmup_num_steps": 3}),
    ),
    Twin(
        "deepspeed.WarmupCosineLR",
        some(
            base_lr=rates,
            total_num_steps=st.integers(1, 60),
            warmup_min_ratio=shares,
            cos_min_ratio=shares,
            **log_warmup,
        ).filter(lambda said: said["total_num_steps"] != max(2, said.get("warmup_num_steps", 1000))),
        ds_cosine(False),
        late(ds_cosine(True)),
        ({"base_lr": 0.1, "total_num_steps": 4, "warmup_num_steps": 6}, {"base_lr": 0.1, "total_num_steps": 9}),
    ),
    Twin(
        "deepspeed.OneCycle",
        some(
            cycle_min_lr=rates,
            cycle_max_lr=rates,
            decay_lr_rate=shares,
            cycle_first_step_size=spans,
            cycle_second_step_size=st.one_of(st.none(), spans),
            cycle_first_stair_count=st.integers(0, 9),
            cycle_second_stair_count=st.one_of(st.none(), st.integers(0, 9)),
            decay_step_size=st.integers(0, 9),
        ),
        ds_one_cycle,
        corners=({"cycle_min_lr": 0.0, "cycle_max_lr": 1.0, "cycle_first_step_size": 1},),
    ),
    Twin(
        "deepspeed.LRRangeTest",
        some(
            lr_range_test_min_lr=rates,
            lr_range_test_step_size=spans,
            lr_range_test_step_rate=or_0(9.0),
            lr_range_test_staircase=st.booleans(),
        ),
        ds_range_test,
        corners=({},),
    ),
    Twin(
        "megatron.OptimizerParamScheduler",
        megatron_arguments(),
        lambda t, **arguments: mt_lr(t, holds=True, **arguments),
        mt_lr,
        (  # it has begun before the run
            {"init_lr": 0.0, "max_lr": 1.0, "min_lr": 0.0, "lr_warmup_steps": 0, "lr_decay_steps": 9}
            | {"lr_decay_style": "WSD", "wsd_decay_steps": 12, "lr_wsd_decay_style": "linear"},
        ),
    ),
    Twin(
        "megatron.get_wd",
        some(
            start_wd=or_0(0.1),
            end_wd=st.floats(0.1, 0.2),
            wd_incr_steps=st.integers(1, 200),
            wd_incr_style=st.sampled_from(["linear", "cosine"]),
            samples_per_update=st.integers(1, 12),
        ),
        mt_wd,
    ),
    Twin(
        "torchtitan.linear_warmup_stable_decay",
        some(
            base_lr=rates,
            training_steps=spans,
            warmup_steps=st.integers(0, 40),
            decay_ratio=st.one_of(st.none(), shares),
            decay_type=st.sampled_from(["linear", "sqrt", "cosine"]),
            min_lr_factor=shares,
        ),
        held(titan, lambda training_steps, **_: training_steps),
        titan,
    ),
]


test_twin, test_corner = held_by(TWINS)


def test_every_schedule_has_a_twin():
    modules = (deepspeed, megatron, torchtitan)
    rooms = {module.__name__.rpartition(".")[2] for module in modules}
    assert {key for key, peer in PEERS.items() if peer.framework in rooms} == {twin.key for twin in TWINS}


def test_deepspeeds_cosine_rises_again():
    """Worked out: (1 + cos(pi * k / 4)) / 2 for k = 1, 2, ... from t = 5 on, whatever total_num_steps is."""
    arguments = (1.0, 8, 0.0, 4, 0.0, "linear")
    past = [0.0, 0.146, 0.5, 0.854, 1.0, 0.854, 0.5]  # from t = 8
    assert deepspeed.WarmupCosineLR(*arguments, strict=True).table(7, start=8).round(3).tolist() == past
    assert not deepspeed.WarmupCosineLR(*arguments).table(7, start=8).any()


def test_deepspeeds_cosine_of_no_updates_divides_by_zero():
    held = deepspeed.WarmupCosineLR(1.0, 4, 0.0, 4, 0.25, "linear")
    assert held.table(7).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 0.25, 0.25]
    with pytest.raises(
        ValueError, match=r"total_num_steps: expected .* other than warmup_num_steps = 4 .* divides by 0"
    ):
        deepspeed.WarmupCosineLR(1.0, 4, 0.0, 4, 0.25, "linear", strict=True)


def test_a_warmup_of_nothing_is_one_of_two_updates():
    for steps in (0, 1):
        assert deepspeed.WarmupLR(1.0, 0.5, warmup_num_steps=steps).table(4).tolist() == [0.5, 1.0, 1.0, 1.0]
