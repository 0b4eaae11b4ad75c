"""DeepSpeed's schedulers, by their own names and with the defaults of its configuration.

Its constructor applies the value before the first batch, and its first `step()` that of batch 0: two updates run at the
minimum. Here update t has the value of batch t, and `strict=True` is what DeepSpeed does. `base_lr` stands for the
learning rate of the optimizer, where the scheduler uses it.
"""

from __future__ import annotations

import math
from typing import Any

from lrcore._check import choice, not_negative, refuse, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Linear, Piecewise
from lrcore.decays import InverseTimeDecay
from lrcore.dialects._dialect import Made, Quirk, optional, peer
from lrcore.dialects._parts import cosine
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule

TWICE_AT_START = Quirk(
    "twice-at-start", "the first two updates both have the value of batch 0, and all that follows is an update late"
)
LATE_WARMUP = Quirk(
    "twice-at-start",
    "the first update has 0 and the second the value of batch 0, which is 0 too unless warmup_min_ratio is above it; "
    "the warm-up is an update late",
    applies=lambda made: made.differs_at(0, 1),
)
PEAK_UNUSED = Quirk(
    "peak-unused",
    "the wave is an update ahead of the warm-up: after a linear one no update has the peak (4 of 8 updates to warm up: "
    "the values go from 0.75 to 0.854 of it)",
    applies=lambda made: made["cos_min_ratio"] != 1.0 and made.differs_at(made["warmup_num_steps"]),
)
RISES_AGAIN = Quirk(
    "rises-again",
    "past total_num_steps the cosine goes up again, as far as base_lr; with a total_num_steps of warmup_num_steps it "
    "divides by zero",
    applies=lambda made: made.differs_at(made["warmup_num_steps"] + 2 * _wave_of(made)),
)

_updates = whole(1)
_updates_or_0 = whole(0)
_warmup_type = choice("log", "linear")


def _least_two(where: str, given: Any) -> int:
    """DeepSpeed takes a warm-up of no update or of one for one of two."""
    return max(2, int(_updates_or_0(where, given)))


def _rise(init_value: float, end_value: float, steps: int, kind: str) -> list[tuple[Schedule, int]]:
    """Phases that take `steps` updates: the logarithm is at its end an update before them."""
    if kind == "linear":
        return [(Linear(init_value, end_value, steps), steps)]
    logarithm = Map(Line(1.0, 2.0, 1), "log")
    rise = value("warmup_max_lr - warmup_min_lr", end_value - init_value) / logarithm(steps - 1)
    curve = rise * logarithm + init_value if init_value else rise * logarithm
    return [(curve, steps - 1), (Constant(end_value), 1)]


def _late(schedule: Schedule, strict: bool) -> Schedule:
    return schedule.shift(-1) if strict else schedule


@peer(
    "warmup_min_lr + (warmup_max_lr - warmup_min_lr) * g, with g = ln(t + 1) / ln(warmup_num_steps), "
    "or t / warmup_num_steps if warmup_type is 'linear'",
    "logarithmic by default, and then at the peak at t = warmup_num_steps - 1; the peak holds",
    TWICE_AT_START,
    base_lr=value,
    warmup_min_lr=value,
    warmup_max_lr=optional(value),
    warmup_num_steps=_least_two,
    warmup_type=_warmup_type,
)
def WarmupLR(
    base_lr: float,
    warmup_min_lr: float = 0.0,
    warmup_max_lr: float | None = None,
    warmup_num_steps: int = 1000,
    warmup_type: str = "log",
    *,
    strict: bool = False,
) -> Schedule:
    """A rise that holds. `warmup_max_lr` None is the learning rate of the optimizer (0.001 in older versions).

    Example:
        >>> WarmupLR(1.0, warmup_num_steps=4, warmup_type="linear", strict=True).table(6).tolist()
        [0.0, 0.0, 0.25, 0.5, 0.75, 1.0]
    """
    peak = base_lr if warmup_max_lr is None else warmup_max_lr
    if warmup_type == "linear":
        return _late(Linear(warmup_min_lr, peak, warmup_num_steps), strict)
    return _late(Sequence([_rise(warmup_min_lr, peak, warmup_num_steps, "log")[0], peak]), strict)


@peer(
    "the rise of WarmupLR, then warmup_min_lr + (warmup_max_lr - warmup_min_lr) * "
    "(total_num_steps - t) / (total_num_steps - warmup_num_steps)",
    "total_num_steps includes the warm-up; ends at warmup_min_lr and holds it; without a peak where the "
    "warm-up is the whole run",
    TWICE_AT_START,
    total_num_steps=_updates,
    warmup_min_lr=value,
    warmup_max_lr=value,
    warmup_num_steps=_least_two,
    warmup_type=_warmup_type,
)
def WarmupDecayLR(
    total_num_steps: int,
    warmup_min_lr: float = 0.0,
    warmup_max_lr: float = 0.001,
    warmup_num_steps: int = 1000,
    warmup_type: str = "log",
    *,
    strict: bool = False,
) -> Schedule:
    """A rise and a straight line down. The learning rate of the optimizer is not used: `warmup_max_lr` is.

    Example:
        >>> WarmupDecayLR(8, 0.0, 1.0, 4, "linear").table(9).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    steps = total_num_steps - warmup_num_steps
    fall = Linear(warmup_max_lr, warmup_min_lr, steps) if steps > 0 else Constant(warmup_min_lr)
    return _late(Sequence([*_rise(warmup_min_lr, warmup_max_lr, warmup_num_steps, warmup_type), fall]), strict)


@peer(
    "base_lr * (warmup_min_ratio + (1 - warmup_min_ratio) * g) with g as in WarmupLR, then base_lr * (cos_min_ratio + "
    "(1 - cos_min_ratio) * (1 + cos(pi * (t - warmup_num_steps) / (total_num_steps - warmup_num_steps))) / 2)",
    "total_num_steps includes the warm-up; the floor is a share of base_lr; not clamped there; with strict the first "
    "update has 0, whatever warmup_min_ratio is",
    LATE_WARMUP,
    PEAK_UNUSED,
    RISES_AGAIN,
    base_lr=value,
    total_num_steps=_updates,
    warmup_min_ratio=value,
    warmup_num_steps=_least_two,
    cos_min_ratio=not_negative,
    warmup_type=_warmup_type,
)
def WarmupCosineLR(
    base_lr: float,
    total_num_steps: int,
    warmup_min_ratio: float = 0.0,
    warmup_num_steps: int = 1000,
    cos_min_ratio: float = 0.0001,
    warmup_type: str = "log",
    *,
    strict: bool = False,
) -> Schedule:
    """A rise and half a cosine wave down, which holds its end; with `strict` it rises again, as DeepSpeed's does.

    Raises:
        ValueError: with `strict` a total_num_steps of warmup_num_steps, with which DeepSpeed divides by zero.

    Example:
        >>> WarmupCosineLR(1.0, 8, 0.0, 4, 0.0, "linear").table(9).round(3).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.854, 0.5, 0.146, 0.0]
        >>> WarmupCosineLR(1.0, 8, 0.0, 4, 0.0, "linear", strict=True).table(10).round(3).tolist()
        [0.0, 0.0, 0.25, 0.5, 0.75, 0.854, 0.5, 0.146, 0.0, 0.146]
    """
    first, floor = (value(f"WarmupCosineLR.{name}", base_lr * ratio) for name, ratio in (
        ("base_lr * warmup_min_ratio", warmup_min_ratio), ("base_lr * cos_min_ratio", cos_min_ratio)
    ))  # fmt: skip
    rise = _rise(first, base_lr, warmup_num_steps, warmup_type)
    steps = total_num_steps - warmup_num_steps
    if not strict:
        return Sequence([*rise, Cosine(base_lr, floor, max(1, steps))])
    if steps == 0:
        expected = f"a number other than warmup_num_steps = {warmup_num_steps} with strict, as DeepSpeed divides by 0"
        refuse("WarmupCosineLR.total_num_steps", expected, total_num_steps)
    return Sequence([(0.0, 1), *rise, cosine(base_lr, floor, abs(steps), rises_again=True).shift(1)])


def _wave_of(made: Made) -> int:
    """Updates of half a wave. Of a run that ends within its warm-up the difference counts as if it were positive."""
    return abs(int(made["total_num_steps"]) - int(made["warmup_num_steps"]))


@peer(
    "up from cycle_min_lr to cycle_max_lr in cycle_first_step_size updates and down again in cycle_second_step_size, "
    "in straight lines or stairs; then cycle_min_lr / (1 + decay_lr_rate * (t - both) / decay_step_size)",
    "one cycle; never ends if it decays (decay_step_size and decay_lr_rate both above 0); with stairs only "
    "one update has the peak; earlier versions of DeepSpeed take the stair counts and ignore them",
    cycle_min_lr=value,
    cycle_max_lr=value,
    decay_lr_rate=not_negative,
    cycle_first_step_size=_updates,
    cycle_second_step_size=optional(_updates),
    cycle_first_stair_count=_updates_or_0,
    cycle_second_stair_count=optional(_updates_or_0),
    decay_step_size=_updates_or_0,
)
def OneCycle(
    cycle_min_lr: float,
    cycle_max_lr: float,
    decay_lr_rate: float = 0.0,
    cycle_first_step_size: int = 2000,
    cycle_second_step_size: int | None = None,
    cycle_first_stair_count: int = 0,
    cycle_second_stair_count: int | None = None,
    decay_step_size: int = 0,
) -> Schedule:
    """Up, down, and a decay by the inverse of time.

    The momentum within the cycle is `OneCycle(cycle_max_mom, cycle_min_mom, ...)`, but for update 0, which has
    cycle_min_mom. After it that is so with a
    decay_mom_rate of 0 alone: DeepSpeed multiplies by 1 + decay_mom_rate * k / decay_step_size, where the learning rate
    is divided, so that the momentum grows: `cycle_max_mom * Line(1.0, 1.0 + decay_mom_rate, decay_step_size)`.

    Example:
        >>> OneCycle(1.0, 2.0, 1.0, cycle_first_step_size=2, decay_step_size=1).table(7).tolist()
        [1.0, 1.5, 2.0, 1.5, 1.0, 0.5, 0.3333333333333333]
    """
    up = cycle_first_step_size
    down = up if cycle_second_step_size is None else cycle_second_step_size
    stairs = cycle_first_stair_count
    stairs_down = stairs if cycle_second_stair_count is None else cycle_second_stair_count
    decays = decay_step_size > 0 and not math.isclose(decay_lr_rate, 0.0)
    after = InverseTimeDecay(cycle_min_lr, decay_lr_rate, decay_step_size) if decays else Constant(cycle_min_lr)
    parts = [
        (_half(cycle_min_lr, cycle_max_lr, up, stairs, falls=False), up),
        (_half(cycle_max_lr, cycle_min_lr, down, stairs_down, falls=True), down),
    ]
    return Sequence([*parts, after])


def _half(init_value: float, end_value: float, steps: int, count: int, *, falls: bool) -> Schedule:
    """A straight line, or `count` stairs: the way down leaves each at the update after its height."""
    if not count or init_value == end_value:
        return Linear(init_value, end_value, steps)
    places = sorted(
        {(stair * steps // count) + 1 if falls else -(-stair * steps // count) for stair in range(count + 1)}
    )
    places = [place for place in places if 0 < place < steps + 1 - falls]
    done = [-(-place * count // steps) if falls else place * count // steps for place in places]
    shares = [min(stairs, count) / count for stairs in done]
    values = [init_value, *(init_value + (end_value - init_value) * share for share in shares)]
    return Piecewise(places, values) if places else Constant(init_value)


@peer(
    "lr_range_test_min_lr * (1 + lr_range_test_step_rate * t / lr_range_test_step_size), or the floor of that fraction",
    "never ends; update 0 has the minimum, once",
    lr_range_test_min_lr=value,
    lr_range_test_step_size=_updates,
    lr_range_test_step_rate=not_negative,
)
def LRRangeTest(
    lr_range_test_min_lr: float = 1e-3,
    lr_range_test_step_size: int = 2000,
    lr_range_test_step_rate: float = 1.0,
    lr_range_test_staircase: bool = False,
) -> Schedule:
    """A straight line up, without an end.

    Example:
        >>> LRRangeTest(1.0, 4, 2.0).table(4).tolist()
        [1.0, 1.5, 2.0, 2.5]
    """
    if not isinstance(lr_range_test_staircase, bool):
        refuse("LRRangeTest.lr_range_test_staircase", "True or False", lr_range_test_staircase, TypeError)
    higher = value("LRRangeTest.lr_range_test_step_rate", lr_range_test_min_lr * (1.0 + lr_range_test_step_rate))
    line = Line(lr_range_test_min_lr, higher, lr_range_test_step_size)
    return line.staircase(lr_range_test_step_size) if lr_range_test_staircase else line
