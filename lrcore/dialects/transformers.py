"""transformers.optimization, by its own names, and `get_scheduler`, which knows them by the names of TrainingArguments.

A first argument `base_lr` stands for the learning rate of the optimizer; `last_epoch` is left out, a schedule has no
state. Update number 0 uses f(0), which is 0 in most warm-ups. `num_training_steps` includes the warm-up. What hangs on
a metric (`reduce_lr_on_plateau`, `greedy`) is not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from lrcore import _check
from lrcore._check import choice, not_negative, positive, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Linear, Polynomial
from lrcore.cycles import MAX_CYCLES, Cycle
from lrcore.decays import InverseSqrt
from lrcore.dialects._dialect import Quirk, optional, peer
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule

__all__ = [
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_scheduler",
    "get_wsd_schedule",
]

RISES_AGAIN = Quirk(
    "rises-again", "past num_training_steps the cosine goes up again: 0, .146, .5, .854 of base_lr for a decay of 4"
)
MISSES_RESTARTS = Quirk(
    "misses-restarts",
    "num_cycles * (t / steps) is rounded, so some restarts give 0 instead of base_lr, and restart an update later",
)
DIVIDES_BY_ZERO = Quirk(
    "divides-by-zero",
    "with num_warmup_steps equal to num_training_steps, update num_training_steps raises a ZeroDivisionError",
)
OVERLAPS = Quirk(
    "overlaps",
    "with warm-up and decay longer than num_training_steps, the decay has begun before the warm-up ends, and the "
    "learning rate jumps there",
)

_steps = whole(1)
_steps_or_0 = whole(0)
_shape = choice("linear", "cosine", "1-sqrt")


def _after_warmup(base_lr: float, num_warmup_steps: int, decay: Schedule) -> Schedule:
    """A line from 0, which leaves out `base_lr` itself, then the decay from its own step 0."""
    if not num_warmup_steps:
        return decay
    return Sequence([(Linear(0.0, base_lr, num_warmup_steps), num_warmup_steps), decay])


def _decay_steps(num_warmup_steps: int, num_training_steps: int) -> int:
    return max(1, num_training_steps - num_warmup_steps)


def _waves(base_lr: float, end_value: float, steps: int, num_cycles: float, goes_on: bool) -> Schedule:
    """So many whole cosine waves in `steps` updates; 0.5 is the way down."""
    if num_cycles == 0.5 and not goes_on:
        return Cosine(base_lr, end_value, steps)
    wave = Map((Line if goes_on else Linear)(0.0, 2.0 * num_cycles, steps), "cosine")
    return (base_lr - end_value) * wave + end_value if end_value else base_lr * wave


@peer("base_lr", "always", base_lr=value)
def get_constant_schedule(base_lr: float) -> Schedule:
    """The learning rate of the optimizer: lrcore's `Constant`.

    Example:
        >>> get_constant_schedule(0.1)(1000)
        0.1
    """
    return Constant(base_lr)


@peer(
    "base_lr * min(t / num_warmup_steps, 1)",
    "0 at t = 0, base_lr at t = num_warmup_steps and after it",
    base_lr=value,
    num_warmup_steps=_steps_or_0,
)
def get_constant_schedule_with_warmup(base_lr: float, num_warmup_steps: int) -> Schedule:
    """A linear rise, and the learning rate of the optimizer.

    Example:
        >>> get_constant_schedule_with_warmup(1.0, 2).table(4).tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    return Linear(0.0, base_lr, num_warmup_steps) if num_warmup_steps else Constant(base_lr)


@peer(
    "base_lr * t / num_warmup_steps for t < num_warmup_steps, then base_lr * max(0, N - t) / (N - num_warmup_steps), "
    "N = num_training_steps",
    "0 at t = 0, base_lr at t = num_warmup_steps, 0 at t = N, and holds; a warm-up of the whole run drops to 0",
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    num_training_steps=_steps_or_0,
)
def get_linear_schedule_with_warmup(base_lr: float, num_warmup_steps: int, num_training_steps: int) -> Schedule:
    """Up and down in straight lines.

    Example:
        >>> get_linear_schedule_with_warmup(1.0, 2, 4).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    steps = num_training_steps - num_warmup_steps
    return _after_warmup(base_lr, num_warmup_steps, Linear(base_lr, 0.0, steps) if steps > 0 else Constant(0.0))


@peer(
    "base_lr * t / num_warmup_steps for t < num_warmup_steps, then base_lr * (1 + cos(2 * pi * num_cycles * p)) / 2, "
    "p = (t - num_warmup_steps) / (num_training_steps - num_warmup_steps)",
    "0 at t = 0, base_lr at t = num_warmup_steps; p = 1 at t = num_training_steps, not clamped there",
    RISES_AGAIN,
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    num_training_steps=_steps_or_0,
    num_cycles=not_negative,
)
def get_cosine_schedule_with_warmup(
    base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, *, strict: bool = False
) -> Schedule:
    """A linear rise, then half a cosine wave: lrcore's `warmup_cosine`. More waves go up again without a restart.

    Example:
        >>> get_cosine_schedule_with_warmup(1.0, 2, 4).table(7).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0]
        >>> get_cosine_schedule_with_warmup(1.0, 2, 4, strict=True).table(7).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5, 1.0]
    """
    steps = _decay_steps(num_warmup_steps, num_training_steps)
    return _after_warmup(base_lr, num_warmup_steps, _waves(base_lr, 0.0, steps, num_cycles, strict))


@peer(
    "base_lr * t / num_warmup_steps for t < num_warmup_steps, then base_lr * (1 + cos(pi * (num_cycles * p mod 1))) / 2"
    ", p = (t - num_warmup_steps) / (num_training_steps - num_warmup_steps)",
    "a restart is at its peak, or between two updates; 0 at t = num_training_steps, and holds",
    MISSES_RESTARTS,
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    num_training_steps=_steps_or_0,
    num_cycles=positive,
)
def get_cosine_with_hard_restarts_schedule_with_warmup(
    base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 1, *, strict: bool = False
) -> Schedule:
    """A linear rise, then cosine waves with restarts, as many as fit by number and not by length.

    Example:
        >>> get_cosine_with_hard_restarts_schedule_with_warmup(1.0, 0, 4, 2).table(6).tolist()
        [1.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    if num_cycles > MAX_CYCLES:
        where = "get_cosine_with_hard_restarts_schedule_with_warmup.num_cycles"
        _check.refuse(where, f"at most {MAX_CYCLES} cycles", num_cycles)
    steps = _decay_steps(num_warmup_steps, num_training_steps)
    return _after_warmup(base_lr, num_warmup_steps, _restarts(base_lr, steps, num_cycles, strict))


def _restarts(base_lr: float, steps: int, num_cycles: float, strict: bool) -> Schedule:
    exact = Fraction(repr(num_cycles))
    begins = [math.ceil(cycle * steps / exact) for cycle in range(math.ceil(exact))]
    if strict:
        begins = [begin + _is_missed(begin, steps, num_cycles, cycle) for cycle, begin in enumerate(begins)]
    period = steps / exact
    if period == int(period) and exact == int(exact) and begins == list(range(0, steps, int(period))):
        wave = Cosine(base_lr, 0.0, int(period))
        return wave if exact == 1 else Cycle(wave, int(period), count=int(exact))
    parts: list[Any] = []
    for cycle, (begin, end) in enumerate(zip(begins, [*begins[1:], steps], strict=True)):
        first, last = (float(exact * step / steps - cycle) for step in (begin, end))
        if begin < end:
            parts.append((base_lr * Map(Line(first, last, end - begin), "cosine"), end - begin))
    return Sequence([*parts, Constant(0.0)])


def _is_missed(begin: int, steps: int, num_cycles: float, cycle: int) -> bool:
    """Whether the peer's own arithmetic leaves the first update of a cycle in the cycle before it."""
    return num_cycles * (begin / steps) < cycle


@peer(
    "base_lr * t / num_warmup_steps for t < num_warmup_steps, then (base_lr - lr_end) * (1 - p)**power + lr_end, "
    "p = (t - num_warmup_steps) / (num_training_steps - num_warmup_steps)",
    "0 at t = 0, base_lr at t = num_warmup_steps, lr_end at t = num_training_steps, and holds; in a group whose "
    "learning rate is not the optimizer's default, transformers scales lr_end with it",
    DIVIDES_BY_ZERO,
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    num_training_steps=_steps_or_0,
    lr_end=value,
    power=positive,
)
def get_polynomial_decay_schedule_with_warmup(
    base_lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    *,
    strict: bool = False,
) -> Schedule:
    """A linear rise, then a power of the rest of the run; the end is not 0 by default.

    Raises:
        ValueError: an lr_end that is not below base_lr; with `strict` a warm-up as long as the run.

    Example:
        >>> get_polynomial_decay_schedule_with_warmup(1.0, 2, 4, lr_end=0.5).table(6).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]
    """
    name = "get_polynomial_decay_schedule_with_warmup"
    if not lr_end < base_lr:
        _check.refuse(f"{name}.lr_end", f"a number below base_lr = {base_lr}", lr_end)
    steps = num_training_steps - num_warmup_steps
    if steps == 0 and strict:
        _check.refuse(
            f"{name}.num_warmup_steps", f"a warm-up that is not as long as the run: {DIVIDES_BY_ZERO.what}", 0
        )
    decay = Polynomial(base_lr, lr_end, steps, power) if steps > 0 else Constant(lr_end)
    return _after_warmup(base_lr, num_warmup_steps, decay)


@peer(
    "base_lr * t / num_warmup_steps for t < num_warmup_steps, then "
    "base_lr / sqrt((t - num_warmup_steps) / timescale + 1)",
    "base_lr at t = num_warmup_steps; never ends; timescale is num_warmup_steps if None, or 10000 without a warm-up",
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    timescale=optional(_steps),
)
def get_inverse_sqrt_schedule(base_lr: float, num_warmup_steps: int, timescale: int | None = None) -> Schedule:
    """A linear rise, then the inverse square root of time: lrcore's `inverse_sqrt`, with a time scale of its own.

    Example:
        >>> get_inverse_sqrt_schedule(1.0, 2).table(3).tolist(), get_inverse_sqrt_schedule(1.0, 2)(8)
        ([0.0, 0.5, 1.0], 0.5)
    """
    scale = timescale or num_warmup_steps or 10_000
    return _after_warmup(base_lr, num_warmup_steps, InverseSqrt(base_lr, scale).shift(scale))


def _floor(where: str, base_lr: float, min_lr: float | None, min_lr_rate: float | None) -> float:
    """The absolute floor, of which just one form is given."""
    if (min_lr is None) == (min_lr_rate is None):
        raise ValueError(f"{where}.min_lr: expected either min_lr or min_lr_rate, got {min_lr} and {min_lr_rate}")
    return value(f"{where}.min_lr_rate * base_lr", base_lr * min_lr_rate) if min_lr is None else min_lr  # type: ignore[operator]


@peer(
    "base_lr * t / num_warmup_steps for t < num_warmup_steps, then "
    "min_lr + (base_lr - min_lr) * (1 + cos(2 * pi * num_cycles * p)) / 2, "
    "p = (t - num_warmup_steps) / (num_training_steps - num_warmup_steps)",
    "0 at t = 0, base_lr at t = num_warmup_steps, min_lr (or min_lr_rate * base_lr) at t = num_training_steps; not "
    "clamped there; the warm-up starts below min_lr",
    RISES_AGAIN,
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    num_training_steps=_steps_or_0,
    num_cycles=not_negative,
    min_lr=optional(not_negative),
    min_lr_rate=optional(not_negative),
)
def get_cosine_with_min_lr_schedule_with_warmup(
    base_lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """A linear rise, then half a cosine wave to a floor: lrcore's `warmup_cosine`.

    Raises:
        ValueError: both of min_lr and min_lr_rate, or none.

    Example:
        >>> get_cosine_with_min_lr_schedule_with_warmup(1.0, 2, 4, min_lr_rate=0.5).table(6).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]
    """
    floor = _floor("get_cosine_with_min_lr_schedule_with_warmup", base_lr, min_lr, min_lr_rate)
    steps = _decay_steps(num_warmup_steps, num_training_steps)
    return _after_warmup(base_lr, num_warmup_steps, _waves(base_lr, floor, steps, num_cycles, strict))


@peer(
    "base_lr * (t + 1) / num_warmup_steps for t < num_warmup_steps, or with warmup_lr_rate a line from "
    "base_lr * warmup_lr_rate to base_lr at t = num_warmup_steps - 1; then "
    "min_lr + (base_lr - min_lr) * (1 + cos(2 * pi * num_cycles * p)) / 2, "
    "p = (t - num_warmup_steps + 1) / (num_training_steps - num_warmup_steps)",
    "an update before cosine_with_min_lr: base_lr at t = num_warmup_steps - 1, min_lr at t = num_training_steps - 1; "
    "not clamped there",
    RISES_AGAIN,
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    num_training_steps=_steps_or_0,
    num_cycles=not_negative,
    min_lr=optional(not_negative),
    min_lr_rate=optional(not_negative),
    warmup_lr_rate=optional(not_negative),
)
def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    base_lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """A linear rise that begins above 0, then half a cosine wave to a floor, both an update early.

    Raises:
        ValueError: both of min_lr and min_lr_rate, or none.

    Example:
        >>> get_cosine_with_min_lr_schedule_with_warmup_lr_rate(1.0, 2, 4, min_lr=0.0).table(5).tolist()
        [0.5, 1.0, 0.5, 0.0, 0.0]
    """
    floor = _floor("get_cosine_with_min_lr_schedule_with_warmup_lr_rate", base_lr, min_lr, min_lr_rate)
    steps = _decay_steps(num_warmup_steps, num_training_steps)
    decay = _waves(base_lr, floor, steps, num_cycles, strict).shift(1)
    if not num_warmup_steps:
        return decay
    if warmup_lr_rate is None:
        rise: Schedule = Linear(0.0, base_lr, num_warmup_steps).shift(1)
    else:
        rise = Linear(base_lr * warmup_lr_rate, base_lr, max(1, num_warmup_steps - 1))
    return Sequence([(rise, num_warmup_steps), decay])


@peer(
    "base_lr * (r + (1 - r) * w), then base_lr, then base_lr * (r + (1 - r) * d), then base_lr * r, with "
    "r = min_lr_ratio; of the share p of its phase w is p, (1 - cos(pi * p)) / 2 or 1 - sqrt(1 - p), d is 1 - p, "
    "(1 + cos(2 * pi * num_cycles * p)) / 2 or 1 - sqrt(p)",
    "the warm-up starts at base_lr * r, base_lr at t = num_warmup_steps, base_lr * r at the end, and holds; "
    "num_stable_steps goes before num_training_steps",
    OVERLAPS,
    base_lr=value,
    num_warmup_steps=_steps_or_0,
    num_decay_steps=_steps_or_0,
    num_training_steps=optional(_steps_or_0),
    num_stable_steps=optional(_steps_or_0),
    warmup_type=_shape,
    decay_type=_shape,
    min_lr_ratio=not_negative,
    num_cycles=not_negative,
)
def get_wsd_schedule(
    base_lr: float,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0,
    num_cycles: float = 0.5,
    *,
    strict: bool = False,
) -> Schedule:
    """Warm-up, stable, decay: lrcore's `wsd`, whose warm-up starts at 0 whatever its end is.

    Raises:
        ValueError: neither num_training_steps nor num_stable_steps; warm-up and decay longer than the run, but for
            `strict`.

    Example:
        >>> get_wsd_schedule(1.0, 2, 2, 6, decay_type="linear", min_lr_ratio=0.5).table(8).tolist()
        [0.5, 0.75, 1.0, 1.0, 1.0, 0.75, 0.5, 0.5]
    """
    if num_stable_steps is None:
        if num_training_steps is None:
            raise ValueError(
                "get_wsd_schedule.num_training_steps: expected num_training_steps or num_stable_steps, got neither"
            )
        num_stable_steps = num_training_steps - num_warmup_steps - num_decay_steps
        if num_stable_steps < 0 and not strict:
            allowed = f"a warm-up and a decay ({num_decay_steps}) within the run of {num_training_steps}"
            _check.refuse("get_wsd_schedule.num_warmup_steps", allowed, num_warmup_steps)
    low = value("get_wsd_schedule.min_lr_ratio * base_lr", base_lr * min_lr_ratio)
    begun = max(0, -num_stable_steps)
    parts: list[Any] = []
    if num_warmup_steps:
        parts.append((_rise(base_lr, low, num_warmup_steps, warmup_type), num_warmup_steps))
    if num_stable_steps > 0:
        parts.append((Constant(base_lr), num_stable_steps))
    if num_decay_steps > begun:
        decay = _fall(base_lr, low, num_decay_steps, decay_type, num_cycles)
        parts.append((decay.shift(begun) if begun else decay, num_decay_steps - begun))
    return Sequence([*parts, Constant(low)])


def _rise(base_lr: float, low: float, steps: int, shape: str) -> Schedule:
    if shape == "1-sqrt":
        return Polynomial(low, base_lr, steps, 0.5)
    return (Linear if shape == "linear" else Cosine)(low, base_lr, steps)


def _fall(base_lr: float, low: float, steps: int, shape: str, num_cycles: float) -> Schedule:
    if shape == "linear":
        return Linear(base_lr, low, steps)
    if shape == "cosine":
        return _waves(base_lr, low, steps, num_cycles, goes_on=False)
    return (low - base_lr) * Map(Linear(0.0, 1.0, steps), "power", 0.5) + base_lr


SCHEDULERS: dict[str, Callable[..., Schedule]] = {
    "constant": get_constant_schedule,
    "constant_with_warmup": get_constant_schedule_with_warmup,
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
    "cosine_with_restarts": get_cosine_with_hard_restarts_schedule_with_warmup,
    "polynomial": get_polynomial_decay_schedule_with_warmup,
    "inverse_sqrt": get_inverse_sqrt_schedule,
    "cosine_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup,
    "cosine_warmup_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    "warmup_stable_decay": get_wsd_schedule,
}
METRIC_DRIVEN = ("reduce_lr_on_plateau", "greedy")
_WITHOUT_QUIRKS = ("constant", "constant_with_warmup", "linear", "inverse_sqrt")
_IGNORE_SPECIFIC = ("constant", "constant_with_warmup")
_IGNORE_TRAINING_STEPS = ("constant", "constant_with_warmup", "inverse_sqrt")


def get_scheduler(
    name: str,
    base_lr: float,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: Mapping[str, Any] | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """A schedule by the name that `TrainingArguments(lr_scheduler_type=...)` gives it.

    What the schedule of that name does not take is ignored, as in transformers: steps, and the specific arguments of
    the two constant ones.

    Raises:
        ValueError: an unknown name, or one that hangs on a metric; steps that the schedule needs and that are None.

    Example:
        >>> get_scheduler("linear", 1.0, 2, 4).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    name = getattr(name, "value", name)  # transformers.SchedulerType
    if name in METRIC_DRIVEN:
        _check.refuse("get_scheduler.name", "a schedule that hangs on no metric", name)
    build = SCHEDULERS[choice(*SCHEDULERS)("get_scheduler.name", name)]
    arguments: dict[str, Any] = {} if name in _IGNORE_SPECIFIC else dict(scheduler_specific_kwargs or {})
    if name != "constant":
        arguments["num_warmup_steps"] = _given("num_warmup_steps", num_warmup_steps, name)
    if name == "warmup_stable_decay":
        arguments["num_training_steps"] = num_training_steps
    elif name not in _IGNORE_TRAINING_STEPS:
        arguments["num_training_steps"] = _given("num_training_steps", num_training_steps, name)
    if name not in _WITHOUT_QUIRKS:
        arguments["strict"] = strict
    return build(base_lr, **arguments)


def _given(argument: str, steps: int | None, name: str) -> int:
    return steps if steps is not None else _check.refuse(f"get_scheduler.{argument}", f"updates, for {name!r}", None)
