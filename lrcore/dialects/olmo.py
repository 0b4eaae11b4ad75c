"""OLMo-core's schedulers, by their own names. `initial_lr` and `max_steps` stand for what its trainer passes.

Of `warmup` and `warmup_fraction` one is to be given, and of `decay` and `decay_fraction` likewise; a fraction is of the
run, rounded half to even. `lr_field` and `initial_lr_field` are left out, and so are the deprecated `*_steps`.

It counts steps, or tokens with `units="tokens"`: then every duration, max_steps too, is a number of tokens, and
`tokens_per_step` says how many an update has. Nothing is rounded to whole updates.

Here update t has f(t). OLMo-core's trainer counts an update before it sets the learning rate: its update number t has
f(t + 1), which is what `strict=True` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lrcore._check import not_negative, number, positive, refuse, value, whole
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant, Exponential, Linear
from lrcore.decays import ExponentialDecay, InverseSqrt
from lrcore.dialects._dialect import many, optional, peer
from lrcore.dialects._moments import segment
from lrcore.dialects._olmo_parts import (
    COUNTS_FROM_1,
    DECAY,
    GOES_NEGATIVE,
    RUN,
    UNITS,
    WARMUP,
    ComposableSchedulerStage,
    OverrideDecay,
    amount,
    counted,
    decay_of,
    decayed,
    each_of,
    in_units,
    of_length,
    overridden,
    points_of,
    stage_of,
    wave,
)
from lrcore.dialects._parts import through, until
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule

__all__ = [
    "WSD",
    "WSDS",
    "ComposableScheduler",
    "ComposableSchedulerStage",
    "ConstantScheduler",
    "ConstantWithWarmup",
    "CosWithWarmup",
    "CosWithWarmupAndLinearDecay",
    "ExponentialScheduler",
    "HalfCosWithWarmup",
    "InvSqrtWithWarmup",
    "LinearWithWarmup",
    "OverrideDecay",
    "PowerLR",
    "SequentialScheduler",
]

_steps = whole(1)


@peer("initial_lr", "always", initial_lr=value)
def ConstantScheduler(initial_lr: float) -> Schedule:
    """One value.

    Example:
        >>> ConstantScheduler(0.1)
        Constant(value=0.1)
    """
    return Constant(initial_lr)


@peer(
    "warmup_min_lr + (initial_lr - warmup_min_lr) * min(t, warmup) / warmup",
    "a warm-up of 0, which divides by zero there, is none",
    COUNTS_FROM_1,
    **RUN,
)
def ConstantWithWarmup(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A linear rise that holds.

    Example:
        >>> ConstantWithWarmup(1.0, 10, warmup=2).table(4).tolist()
        [0.0, 0.5, 1.0, 1.0]
        >>> ConstantWithWarmup(1.0, 1000, warmup=250, units="tokens", tokens_per_step=100).table(4).tolist()
        [0.0, 0.4, 0.8, 1.0]
    """
    name = "ConstantWithWarmup"
    steps = amount(f"{name}.warmup", warmup, warmup_fraction, max_steps)
    rise = [(0, warmup_min_lr), (steps, initial_lr)]
    return counted(in_units(rise, each_of(name, units, tokens_per_step), "linear"), strict)


@peer(
    "the rise for t <= warmup; initial_lr; for t >= max_steps - decay: decay_min_lr + (initial_lr - decay_min_lr) * "
    "(max_steps - t) / decay",
    "max_steps includes both; decay_min_lr is reached at t = max_steps, and held; a warm-up of 0, which divides by "
    "zero there, is none",
    COUNTS_FROM_1,
    GOES_NEGATIVE,
    **RUN,
    **DECAY,
)
def WSD(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    decay: int | None = None,
    decay_fraction: float | None = 0.1,
    warmup_min_lr: float = 0.0,
    decay_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """Warm-up, stable, decay. A `decay` goes before the default of `decay_fraction`.

    Example:
        >>> WSD(1.0, 8, warmup=2, decay=4).table(10).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
        >>> WSD(1.0, 8, warmup=2, decay=4, strict=True).table(9).tolist()
        [0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, -0.25]
    """
    each = each_of("WSD", units, tokens_per_step)
    rise = amount("WSD.warmup", warmup, warmup_fraction, max_steps)
    fall = amount("WSD.decay", decay, None if decay is not None else decay_fraction, max_steps)
    up = [(0, warmup_min_lr), (rise, initial_lr)]
    return counted(decayed(up, rise, (max_steps - fall, initial_lr), fall, decay_min_lr, each, strict), strict)


@peer(
    "the rise for t <= warmup; initial_lr * (t / warmup)**b; for t >= max_steps - decay a straight line from the value "
    "of this power at its begin to decay_min_lr",
    "max_steps includes all; decay_min_lr is reached at t = max_steps, and held; a warm-up of 0, which divides by zero "
    "there, is refused",
    COUNTS_FROM_1,
    GOES_NEGATIVE,
    b=number,
    **RUN,
    **DECAY,
)
def PowerLR(
    initial_lr: float,
    max_steps: int,
    b: float = -0.51,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    decay: int | None = None,
    decay_fraction: float | None = 0.1,
    decay_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A rise, a power of time that does not depend on how long the run is, and a straight line to its end.

    A `decay` goes before the default of `decay_fraction`.

    Example:
        >>> PowerLR(1.0, 8, -0.5, warmup=1, decay=4).table(9).round(3).tolist()
        [0.0, 1.0, 0.707, 0.577, 0.5, 0.375, 0.25, 0.125, 0.0]
    """
    each = each_of("PowerLR", units, tokens_per_step)
    rise = amount("PowerLR.warmup", warmup, warmup_fraction, max_steps)
    fall = amount("PowerLR.decay", decay, None if decay is not None else decay_fraction, max_steps)
    if b >= 0.0:
        refuse("PowerLR.b", "a number < 0", b)
    if rise < 1:
        refuse("PowerLR.warmup", "a warm-up above 0", rise)
    if not 0 <= fall < max_steps:
        refuse("PowerLR.decay", f"less than max_steps = {max_steps}", fall)
    begin = max_steps - fall
    up = [(0, warmup_min_lr), (rise, initial_lr)]
    at_begin = (initial_lr * Map(Line(0.0, 1.0, rise), "power", b))(begin)
    if begin < rise and fall:
        return counted(decayed(up, rise, (begin, at_begin), fall, decay_min_lr, each, strict), strict)
    power = initial_lr * Map(Line(0.0, 1.0, rise / each), "power", b)
    curve = until(in_units(up, each, "linear"), -(-rise // each), power)
    if not fall:
        return counted(curve, strict)
    tail = in_units([(begin, at_begin), (max_steps, decay_min_lr)], each, "linear", goes_on=strict)
    return counted(InSequence([(curve, -(-begin // each)), tail]), strict)


@peer(
    "the rise for t < warmup, then initial_lr - (1 - alpha_f) * initial_lr * (t - warmup) / (t_max - warmup)",
    "t_max, max_steps by default, includes the warm-up; alpha_f * initial_lr holds",
    COUNTS_FROM_1,
    alpha_f=not_negative,
    t_max=optional(_steps),
    **RUN,
)
def LinearWithWarmup(
    initial_lr: float,
    max_steps: int,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A rise and a fall in straight lines, to a share of the peak.

    Example:
        >>> LinearWithWarmup(1.0, 6, 0.5, warmup=2).table(7).tolist()
        [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5]
    """
    name = "LinearWithWarmup"
    rise, end = of_length(name, max_steps, t_max, warmup, warmup_fraction)
    floor = value(f"{name}.initial_lr * alpha_f", initial_lr * alpha_f)
    points = [(0, warmup_min_lr), (rise, initial_lr), (end, floor)]
    return counted(in_units(points, each_of(name, units, tokens_per_step), "linear"), strict)


@peer(
    "the rise for t < warmup, then alpha_f * initial_lr + (1 - alpha_f) * initial_lr * sqrt(warmup / t)",
    "never ends; a warm-up of 0, which divides by zero there, is refused",
    COUNTS_FROM_1,
    alpha_f=not_negative,
    **RUN,
)
def InvSqrtWithWarmup(
    initial_lr: float,
    max_steps: int,
    alpha_f: float = 0.1,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A rise, then the inverse square root of time above a floor.

    Example:
        >>> InvSqrtWithWarmup(1.0, 10, 0.5, warmup=1).table(5).round(3).tolist()
        [0.0, 1.0, 0.854, 0.789, 0.75]
    """
    name = "InvSqrtWithWarmup"
    each = each_of(name, units, tokens_per_step)
    rise = amount(f"{name}.warmup", warmup, warmup_fraction, max_steps)
    if rise < 1:
        refuse(f"{name}.warmup", "a warm-up above 0", rise)
    floor = value(f"{name}.initial_lr * alpha_f", initial_lr * alpha_f)
    above = value(f"{name}.initial_lr * (1 - alpha_f)", initial_lr - floor)
    root = above * Map(Line(0.0, 1.0, rise / each), "power", -0.5) if rise % each else InverseSqrt(above, rise // each)
    up = in_units([(0, warmup_min_lr), (rise, initial_lr)], each, "linear")
    return counted(until(up, -(-rise // each), root + floor), strict)


@peer(
    "the rise for t < warmup, then half a cosine wave from initial_lr to alpha_f * initial_lr over t_max - warmup",
    "t_max, max_steps by default, includes the warm-up; the floor, a share of initial_lr, holds",
    COUNTS_FROM_1,
    alpha_f=not_negative,
    t_max=optional(_steps),
    **RUN,
)
def CosWithWarmup(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A rise and half a cosine wave.

    Example:
        >>> CosWithWarmup(1.0, 4, warmup=2, alpha_f=0.5).table(6).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]
    """
    name = "CosWithWarmup"
    rise, end = of_length(name, max_steps, t_max, warmup, warmup_fraction)
    points = wave(name, initial_lr, alpha_f, warmup_min_lr, rise, end)
    return counted(in_units(points, each_of(name, units, tokens_per_step), "linear", "cosine"), strict)


@peer(
    "the rise to the middle m = (1 + alpha_f) / 2 * initial_lr for t < warmup, then the second half of the wave of "
    "CosWithWarmup over t_max - warmup: m - (1 - alpha_f) / 2 * initial_lr * sin(pi * (t - warmup) / (2 * (t_max - "
    "warmup)))",
    "initial_lr is the peak of a whole wave, and never used",
    COUNTS_FROM_1,
    alpha_f=not_negative,
    t_max=optional(_steps),
    **RUN,
)
def HalfCosWithWarmup(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A rise and a quarter of a cosine wave.

    Example:
        >>> HalfCosWithWarmup(1.0, 4, warmup=2, alpha_f=0.0).table(5).round(3).tolist()
        [0.0, 0.25, 0.5, 0.146, 0.0]
    """
    name = "HalfCosWithWarmup"
    rise, end = of_length(name, max_steps, t_max, warmup, warmup_fraction)
    floor = value(f"{name}.initial_lr * alpha_f", initial_lr * alpha_f)
    middle = value(f"{name}.initial_lr * (1 + alpha_f) / 2", floor + (initial_lr - floor) / 2.0)

    def second_half(_init: float, _end: float, begin: float, end: float) -> Schedule:
        return (initial_lr - floor) * Map(through(begin, 0.5, end, 1.0), "cosine") + floor

    points = [(0, warmup_min_lr), (rise, middle), (end, floor)]
    return counted(in_units(points, each_of(name, units, tokens_per_step), "linear", second_half), strict)


@peer(
    "CosWithWarmup up to t = max_steps - decay, then a straight line from its value there to decay_min_lr",
    "the wave has its whole length, t_max or max_steps, and is cut",
    COUNTS_FROM_1,
    GOES_NEGATIVE,
    alpha_f=not_negative,
    t_max=optional(_steps),
    **RUN,
    **DECAY,
)
def CosWithWarmupAndLinearDecay(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
    decay: int | None = None,
    decay_fraction: float | None = 0.1,
    decay_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A rise and a cosine wave that a straight line cuts short. A `decay` goes before the default of `decay_fraction`.

    Example:
        >>> CosWithWarmupAndLinearDecay(1.0, 4, warmup=0, alpha_f=0.0, decay=2).table(6).tolist()
        [1.0, 0.8535533905932737, 0.5, 0.25, 0.0, 0.0]
    """
    name = "CosWithWarmupAndLinearDecay"
    each = each_of(name, units, tokens_per_step)
    rise, end = of_length(name, max_steps, t_max, warmup, warmup_fraction)
    points = wave(name, initial_lr, alpha_f, warmup_min_lr, rise, end)
    fall = amount(f"{name}.decay", decay, None if decay is not None else decay_fraction, max_steps)
    if fall > max_steps:
        refuse(f"{name}.decay", f"at most max_steps = {max_steps}", fall)
    cut = OverrideDecay(max_steps - fall, fall, end_lr=decay_min_lr)
    return counted(overridden(points, ["linear", "cosine"], cut, decay_min_lr, each, goes_on=strict), strict)


@peer(
    "in each stage from start_lr to end_lr over its duration, in a straight line or half a cosine wave; start_lr is "
    "where the stage before ended by default, initial_lr for the first; *_fraction is a share of initial_lr. "
    "From t = override_decay.start on, from the rate of that moment to its end_lr over its duration",
    "max_steps plays no part; the end of the last stage, or of the override, holds",
    COUNTS_FROM_1,
    initial_lr=value,
    stages=many(stage_of, "stages"),
    override_decay=optional(decay_of),
    **UNITS,
)
def ComposableScheduler(
    initial_lr: float,
    stages: Sequence[ComposableSchedulerStage],
    override_decay: OverrideDecay | None = None,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """Stages in order, each a `ComposableSchedulerStage` or a dict of its fields; and an `OverrideDecay` likewise.

    Example:
        >>> stages = [{"duration": 2, "start_lr": 0.0, "end_lr_fraction": 1.0}, {"duration": 4, "end_lr": 0.0}]
        >>> ComposableScheduler(1.0, stages).table(7).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
        >>> ComposableScheduler(1.0, stages, {"start": 4, "duration": 2, "end_lr": 0.25}).table(7).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.375, 0.25]
    """
    if not stages:
        refuse("ComposableScheduler.stages", "at least one stage", stages)
    each = each_of("ComposableScheduler", units, tokens_per_step)
    end_lr = override_decay.end_of(initial_lr) if override_decay else 0.0
    return counted(overridden(*points_of(initial_lr, stages), override_decay, end_lr, each), strict)


Part = Callable[[float, int], Schedule]


def _part(where: str, given: Any) -> Any:
    expected = "a function of initial_lr and max_steps such as functools.partial(WSD, warmup=2)"
    return given if callable(given) and not isinstance(given, Schedule) else refuse(where, expected, given)


@peer(
    "schedulers[i](t - schedulers_max[0] - ... - schedulers_max[i - 1]), built with the last learning rate of the one "
    "before and the updates of its own; override_decay as in ComposableScheduler",
    "t = schedulers_max[0] still belongs to the first scheduler: the next one begins with its second value; a maximum "
    "of the last scheduler is not used; in updates",
    COUNTS_FROM_1,
    initial_lr=value,
    max_steps=_steps,
    schedulers=many(_part, "functions"),
    schedulers_max=many(_steps, "numbers of updates"),
    override_decay=optional(decay_of),
)
def SequentialScheduler(
    initial_lr: float,
    max_steps: int,
    schedulers: Sequence[Part],
    schedulers_max: Sequence[int],
    override_decay: OverrideDecay | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """Schedulers one after another, each a function of the learning rate that it begins with and of its updates.

    Example:
        >>> from functools import partial
        >>> rise, fall = partial(ConstantWithWarmup, warmup=2), partial(LinearWithWarmup, warmup=0, alpha_f=0.0)
        >>> SequentialScheduler(1.0, 8, [rise, fall], [4]).table(10).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    name = "SequentialScheduler"
    spans = list(schedulers_max[: len(schedulers) - 1])
    if not schedulers or len(schedulers_max) - len(spans) > 1 or len(spans) != len(schedulers) - 1:
        counts = (len(schedulers), len(schedulers_max))
        refuse(f"{name}.schedulers_max", "a maximum for each scheduler but the last", counts)
    left = max_steps - sum(spans)
    if left < 1:
        refuse(f"{name}.schedulers_max", f"less than max_steps = {max_steps} in all", schedulers_max)
    parts: list[Any] = []
    rate = initial_lr
    for at, steps in enumerate([*spans, left]):
        made = schedulers[at](rate, steps)
        parts.append((made.shift(1) if at else made, steps + (at == 0)))
        rate = made(steps)
    whole_run = InSequence([*parts[:-1], parts[-1][0]]) if spans else parts[0][0]
    if override_decay is not None:
        begin = whole_run(override_decay.start)
        tail = [(0, begin), (override_decay.duration, override_decay.end_of(initial_lr))]
        down = in_units(tail, 1, override_decay.shape)
        whole_run = InSequence([(whole_run, override_decay.start), down]) if override_decay.start else down
    return counted(whole_run, strict)


@peer(
    "the rise for t < warmup; then in each period of period_lengths its peak, initial_lr * period_lr_multipliers[i], "
    "and in its last `decay` a straight line to decay_min_lr, which the end of the period has",
    "the first period includes the warm-up; a decay_fraction is of its period; decay_min_lr holds past the last",
    COUNTS_FROM_1,
    period_lengths=many(_steps, "updates"),
    period_lr_multipliers=optional(many(positive, "factors")),
    **WARMUP,
    **DECAY,
)
def WSDS(
    initial_lr: float,
    period_lengths: Sequence[int],
    period_lr_multipliers: Sequence[float] | None = None,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    decay: int | None = None,
    decay_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    decay_min_lr: float = 0.0,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """Warm-up, and stable and decay again and again, for a checkpoint at the end of each period.

    The update at the end of a period, t = its length, still has the minimum: the next one begins with its second value.

    Example:
        >>> WSDS(1.0, [4, 4], warmup=1, decay=2).table(10).tolist()
        [0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    if not period_lengths:
        refuse("WSDS.period_lengths", "at least one period", period_lengths)
    multipliers = [1.0] * len(period_lengths) if period_lr_multipliers is None else period_lr_multipliers
    if len(multipliers) != len(period_lengths):
        refuse("WSDS.period_lr_multipliers", "as many as period_lengths", multipliers)
    each = each_of("WSDS", units, tokens_per_step)
    rise = amount("WSDS.warmup", warmup, warmup_fraction, period_lengths[0])
    peaks = [value("WSDS.initial_lr * period_lr_multipliers", initial_lr * factor) for factor in multipliers]
    now, end = -(-rise // each), 0  # the next update, and the units done with the periods so far
    parts: list[Any] = [(in_units([(0, warmup_min_lr), (rise, peaks[0])], each, "linear"), now)] if now else []
    for at, (length, peak) in enumerate(zip(period_lengths, peaks, strict=True)):
        fall = amount("WSDS.decay", decay, decay_fraction, length)
        if not 1 <= fall <= length - (rise if at == 0 else 0):
            refuse("WSDS.decay", f"above 0, and at most what is left of period {at}", fall)
        end += length
        begin, stop = max(-(-(end - fall) // each), now), end // each + 1
        down = segment("linear", peak, decay_min_lr, (end - fall) / each - begin, end / each - begin)
        parts += [(Constant(peak), begin - now), (down, stop - begin)]
        now = max(stop, now)
    parts = [(part, steps) for part, steps in parts if steps > 0]
    holds = bool(parts) and type(parts[-1][0]) is Linear
    return counted(InSequence([*parts[:-1], parts[-1][0]] if holds else [*parts, decay_min_lr]), strict)


@peer(
    "lr_min * (initial_lr / lr_min)**(t / max_steps)",
    "rises to initial_lr at t = max_steps, and holds",
    COUNTS_FROM_1,
    initial_lr=positive,
    max_steps=_steps,
    lr_min=positive,
    **UNITS,
)
def ExponentialScheduler(
    initial_lr: float,
    max_steps: int,
    lr_min: float = 1e-9,
    *,
    units: str = "steps",
    tokens_per_step: int | None = None,
    strict: bool = False,
) -> Schedule:
    """A range test's rise, by a constant factor.

    Example:
        >>> ExponentialScheduler(1.0, 4, 0.0625).table(6).tolist()
        [0.0625, 0.125, 0.25, 0.5, 1.0, 1.0]
    """
    each = each_of("ExponentialScheduler", units, tokens_per_step)
    if max_steps % each == 0:
        return counted(Exponential(lr_min, initial_lr, max_steps // each), strict)
    rise = ExponentialDecay(lr_min, initial_lr / lr_min, max_steps / each)
    return counted(InSequence([(rise, -(-max_steps // each)), initial_lr]), strict)
