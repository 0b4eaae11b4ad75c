"""OLMo-core's schedulers, by their own names. `initial_lr` and `max_steps` stand for what its trainer passes.

It counts steps or tokens; here durations are in updates. Of `warmup` and `warmup_fraction` one is to be given, and of
`decay` and `decay_fraction` likewise; a fraction is of the run, rounded half to even.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrcore._check import not_negative, refuse, value, whole
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant, Cosine, InverseSqrt, Linear
from lrcore.dialects._dialect import Quirk, many, optional, peer
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule

GOES_NEGATIVE = Quirk(
    "goes-negative", "past the end of the run the line of the decay goes on, below decay_min_lr and 0"
)

_steps = whole(1)
_steps_or_0 = whole(0)


def _share(where: str, given: Any) -> float:
    share = not_negative(where, given)
    return share if share <= 1.0 else refuse(where, "a number between 0 and 1", given)


_WARMUP: dict[str, Any] = {
    "initial_lr": value,
    "warmup": optional(_steps_or_0),
    "warmup_fraction": optional(_share),
    "warmup_min_lr": not_negative,
}
_RUN: dict[str, Any] = {"max_steps": _steps, **_WARMUP}
_DECAY: dict[str, Any] = {
    "decay": optional(_steps_or_0),
    "decay_fraction": optional(_share),
    "decay_min_lr": not_negative,
}


def _updates(where: str, count: int | None, fraction: float | None, steps: int) -> int:
    if (count is None) == (fraction is None):
        refuse(where, "a number of updates or a fraction, one of them", (count, fraction))
    return round(steps * fraction) if count is None else count  # type: ignore[operator]


def _after_rise(first: float, peak: float, steps: int, then: Schedule) -> Schedule:
    """A linear warm-up, if there is one, then another schedule from its own step 0."""
    return Linear(first, peak, steps) >> then if steps else then


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
    "a warm-up of 0 updates is none",
    **_RUN,
)
def ConstantWithWarmup(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """A linear rise that holds.

    Example:
        >>> ConstantWithWarmup(1.0, 10, warmup=2).table(4).tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    steps = _updates("ConstantWithWarmup.warmup", warmup, warmup_fraction, max_steps)
    return Linear(warmup_min_lr, initial_lr, steps) if steps else Constant(initial_lr)


@peer(
    "the rise for t <= warmup; initial_lr; for t >= max_steps - decay: decay_min_lr + (initial_lr - decay_min_lr) * "
    "(max_steps - t) / decay",
    "max_steps includes both; decay_min_lr is reached at t = max_steps, and held",
    GOES_NEGATIVE,
    **_RUN,
    **_DECAY,
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
    strict: bool = False,
) -> Schedule:
    """Warm-up, stable, decay. A `decay` goes before the default of `decay_fraction`.

    Example:
        >>> WSD(1.0, 8, warmup=2, decay=4).table(10).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    rise = _updates("WSD.warmup", warmup, warmup_fraction, max_steps)
    fall = _updates("WSD.decay", decay, None if decay is not None else decay_fraction, max_steps)
    down = (Line if strict else Linear)(initial_lr, decay_min_lr, fall) if fall else Constant(initial_lr)
    stable = max_steps - fall - rise
    if stable >= 0:
        return _after_rise(
            warmup_min_lr, initial_lr, rise, InSequence([(initial_lr, stable), down]) if stable else down
        )
    # The rise goes before the decay where both are due.
    last_of_rise = Linear(warmup_min_lr, initial_lr, rise) if rise else Constant(initial_lr)
    return InSequence([(last_of_rise, rise + 1), down.shift(1 - stable)])


def _of_length(
    name: str, max_steps: int, t_max: int | None, warmup: int | None, share: float | None
) -> tuple[int, int]:
    """Updates of the warm-up, and of the decay after it."""
    total = max_steps if t_max is None else t_max
    rise = _updates(f"{name}.warmup", warmup, share, total)
    return rise, total - rise


@peer(
    "the rise for t < warmup, then initial_lr - (1 - alpha_f) * initial_lr * (t - warmup) / (t_max - warmup)",
    "t_max, max_steps by default, includes the warm-up; alpha_f * initial_lr holds",
    alpha_f=not_negative,
    t_max=optional(_steps),
    **_RUN,
)
def LinearWithWarmup(
    initial_lr: float,
    max_steps: int,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """A rise and a fall in straight lines, to a share of the peak.

    Example:
        >>> LinearWithWarmup(1.0, 6, 0.5, warmup=2).table(7).tolist()
        [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5]
    """
    rise, fall = _of_length("LinearWithWarmup", max_steps, t_max, warmup, warmup_fraction)
    floor = value("LinearWithWarmup.initial_lr * alpha_f", initial_lr * alpha_f)
    down = Linear(initial_lr, floor, fall) if fall > 0 else Constant(floor)
    return _after_rise(warmup_min_lr, initial_lr, rise, down)


@peer(
    "the rise for t < warmup, then alpha_f * initial_lr + (1 - alpha_f) * initial_lr * sqrt(warmup / t)",
    "never ends; a warm-up of 0 updates, which divides by zero there, is refused",
    alpha_f=not_negative,
    **_RUN,
)
def InvSqrtWithWarmup(
    initial_lr: float,
    max_steps: int,
    alpha_f: float = 0.1,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """A rise, then the inverse square root of time above a floor.

    Example:
        >>> InvSqrtWithWarmup(1.0, 10, 0.5, warmup=1).table(5).round(3).tolist()
        [0.0, 1.0, 0.854, 0.789, 0.75]
    """
    rise = _updates("InvSqrtWithWarmup.warmup", warmup, warmup_fraction, max_steps)
    if rise < 1:
        refuse("InvSqrtWithWarmup.warmup", "at least an update of warm-up", rise)
    floor = value("InvSqrtWithWarmup.initial_lr * alpha_f", initial_lr * alpha_f)
    root = InverseSqrt(value("InvSqrtWithWarmup.initial_lr * (1 - alpha_f)", initial_lr - floor), rise)
    return _after_rise(warmup_min_lr, initial_lr, rise, root.shift(rise) + floor)


@peer(
    "the rise for t < warmup, then half a cosine wave from initial_lr to alpha_f * initial_lr over t_max - warmup "
    "updates",
    "t_max, max_steps by default, includes the warm-up; the floor, a share of initial_lr, holds",
    alpha_f=not_negative,
    t_max=optional(_steps),
    **_RUN,
)
def CosWithWarmup(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """A rise and half a cosine wave.

    Example:
        >>> CosWithWarmup(1.0, 4, warmup=2, alpha_f=0.5).table(6).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]
    """
    rise, fall = _of_length("CosWithWarmup", max_steps, t_max, warmup, warmup_fraction)
    floor = value("CosWithWarmup.initial_lr * alpha_f", initial_lr * alpha_f)
    wave = Cosine(initial_lr, floor, fall) if fall > 0 else Constant(floor)
    return _after_rise(warmup_min_lr, initial_lr, rise, wave)


@peer(
    "the rise to the middle m = (1 + alpha_f) / 2 * initial_lr for t < warmup, then the second half of the wave of "
    "CosWithWarmup over t_max - warmup updates: m - (1 - alpha_f) / 2 * initial_lr * sin(pi * (t - warmup) / (2 * "
    "(t_max - warmup)))",
    "initial_lr is the peak of a whole wave, and never used",
    alpha_f=not_negative,
    t_max=optional(_steps),
    **_RUN,
)
def HalfCosWithWarmup(
    initial_lr: float,
    max_steps: int,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """A rise and a quarter of a cosine wave.

    Example:
        >>> HalfCosWithWarmup(1.0, 4, warmup=2, alpha_f=0.0).table(5).round(3).tolist()
        [0.0, 0.25, 0.5, 0.146, 0.0]
    """
    rise, fall = _of_length("HalfCosWithWarmup", max_steps, t_max, warmup, warmup_fraction)
    floor = value("HalfCosWithWarmup.initial_lr * alpha_f", initial_lr * alpha_f)
    middle = value("HalfCosWithWarmup.initial_lr * (1 + alpha_f) / 2", floor + (initial_lr - floor) / 2.0)
    if fall <= 0:
        return _after_rise(warmup_min_lr, middle, rise, Constant(floor))
    wave = (initial_lr - floor) * Map(Linear(0.5, 1.0, fall), "cosine") + floor
    return _after_rise(warmup_min_lr, middle, rise, wave)


@peer(
    "CosWithWarmup up to t = max_steps - decay, then a straight line from its value there to decay_min_lr",
    "the wave has its whole length, t_max or max_steps, and is cut",
    GOES_NEGATIVE,
    alpha_f=not_negative,
    t_max=optional(_steps),
    **_RUN,
    **_DECAY,
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
    strict: bool = False,
) -> Schedule:
    """A rise and a cosine wave that a straight line cuts short. A `decay` goes before the default of `decay_fraction`.

    Example:
        >>> CosWithWarmupAndLinearDecay(1.0, 4, warmup=0, alpha_f=0.0, decay=2).table(6).tolist()
        [1.0, 0.8535533905932737, 0.5, 0.25, 0.0, 0.0]
    """
    name = "CosWithWarmupAndLinearDecay"
    wave = CosWithWarmup(initial_lr, max_steps, warmup, warmup_fraction, alpha_f, t_max, warmup_min_lr)
    fall = _updates(f"{name}.decay", decay, None if decay is not None else decay_fraction, max_steps)
    begin = max_steps - fall
    if not 0 < fall <= max_steps:
        return wave if fall == 0 else refuse(f"{name}.decay", f"at most max_steps = {max_steps}", fall)
    down = (Line if strict else Linear)(wave(begin), decay_min_lr, fall)
    return InSequence([(wave, begin), down]) if begin else down


@peer(
    "the rise for t < warmup; then in each period of period_lengths initial_lr, and in its last `decay` updates a "
    "straight line to decay_min_lr, which the last update of the period has",
    "the first period includes the warm-up; a decay_fraction is of its period; decay_min_lr holds past the last",
    period_lengths=many(_steps, "updates"),
    **_WARMUP,
    **_DECAY,
)
def WSDS(
    initial_lr: float,
    period_lengths: Sequence[int],
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    decay: int | None = None,
    decay_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    decay_min_lr: float = 0.0,
) -> Schedule:
    """Warm-up, and stable and decay again and again, for a checkpoint at the end of each period.

    The update at the end of a period, t = its length, still has the minimum: the next one begins with its second value.

    Example:
        >>> WSDS(1.0, [4, 4], warmup=1, decay=2).table(10).tolist()
        [0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    if not period_lengths:
        refuse("WSDS.period_lengths", "at least one period", period_lengths)
    rise = _updates("WSDS.warmup", warmup, warmup_fraction, period_lengths[0])
    parts: list[Any] = [(Linear(warmup_min_lr, initial_lr, rise), rise)] if rise else []
    for at, length in enumerate(period_lengths):
        fall = _updates("WSDS.decay", decay, decay_fraction, length)
        stable = length - fall - (rise if at == 0 else 0)
        if fall < 1 or stable < 0:
            refuse("WSDS.decay", f"at least an update, and at most what is left of period {at}", fall)
        down = Linear(initial_lr, decay_min_lr, fall)
        late = int(at > 0)  # its first update is the last of the period before
        if stable:
            parts += [(Constant(initial_lr), stable - late), (down, fall + 1)]
        else:
            parts.append((down.shift(late) if late else down, fall + 1 - late))
    return InSequence([*parts[:-1], parts[-1][0]])
