"""What OLMo-core's schedulers share: their units, warm-ups and decays; stages and overrides, as it configures them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lrcore._check import choice, did_you_mean, not_negative, refuse, value, whole
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant
from lrcore.dialects._dialect import Made, Quirk, optional
from lrcore.dialects._moments import along, segment
from lrcore.dialects._parts import until
from lrcore.schedule import Schedule

COUNTS_FROM_1 = Quirk(
    "counts-from-1",
    "its trainer counts an update before it sets the learning rate: the first update has the value after one, and the "
    "value at 0 is never used",
)
GOES_NEGATIVE = Quirk(
    "goes-negative",
    "past the end of the run the line of the decay goes on, below decay_min_lr and 0",
    applies=lambda made: _goes_on(made, made["max_steps"]),
)


def _goes_on(made: Made, end: int) -> bool:
    """Whether an update past the end has another value than without strict, which counts an update less."""
    return made.plain is None or made.schedule(end + 1) != made.plain(end + 2)


_steps = whole(1)
_steps_or_0 = whole(0)


def _share(where: str, given: Any) -> float:
    share = not_negative(where, given)
    return share if share <= 1.0 else refuse(where, "a number between 0 and 1", given)


UNITS: dict[str, Any] = {"units": choice("steps", "tokens"), "tokens_per_step": optional(_steps)}
WARMUP: dict[str, Any] = {
    "initial_lr": value,
    "warmup": optional(_steps_or_0),
    "warmup_fraction": optional(_share),
    "warmup_min_lr": not_negative,
    **UNITS,
}
RUN: dict[str, Any] = {"max_steps": _steps, **WARMUP}
DECAY: dict[str, Any] = {
    "decay": optional(_steps_or_0),
    "decay_fraction": optional(_share),
    "decay_min_lr": not_negative,
}


class ComposableSchedulerStage(NamedTuple):
    """A stage: at most one of start_lr and start_lr_fraction, and exactly one of end_lr and end_lr_fraction.

    Example:
        >>> ComposableSchedulerStage(100, end_lr_fraction=1.0).end_of(0.5)
        0.5
    """

    duration: int
    shape: str = "linear"
    start_lr: float | None = None
    start_lr_fraction: float | None = None
    end_lr: float | None = None
    end_lr_fraction: float | None = None

    def start_of(self, initial_lr: float, before: float) -> float:
        """The learning rate that it begins with, after one that ended with `before`."""
        none = self.start_lr is None and self.start_lr_fraction is None
        return before if none else _rate(initial_lr, self.start_lr, self.start_lr_fraction)

    def end_of(self, initial_lr: float) -> float:
        """The learning rate that it comes to."""
        return _rate(initial_lr, self.end_lr, self.end_lr_fraction)


class OverrideDecay(NamedTuple):
    """A decay that begins at `start`, whatever else is due: exactly one of end_lr and end_lr_fraction.

    Example:
        >>> OverrideDecay(900, 100, "cosine", end_lr=0.0).end_of(0.5)
        0.0
    """

    start: int
    duration: int
    shape: str = "linear"
    end_lr: float | None = None
    end_lr_fraction: float | None = None

    def end_of(self, initial_lr: float) -> float:
        """The learning rate that it comes to."""
        return _rate(initial_lr, self.end_lr, self.end_lr_fraction)


def _rate(initial_lr: float, rate: float | None, fraction: float | None) -> float:
    return rate if rate is not None else value("*_lr_fraction * initial_lr", initial_lr * (fraction or 0.0))


def stage_of(where: str, given: Any) -> ComposableSchedulerStage:
    """A check: a stage, or a dict of its fields."""
    stage: ComposableSchedulerStage = _checked(where, given, ComposableSchedulerStage)
    if stage.start_lr is not None and stage.start_lr_fraction is not None:
        refuse(f"{where}.start_lr", "one of start_lr and start_lr_fraction", (stage.start_lr, stage.start_lr_fraction))
    return stage


def decay_of(where: str, given: Any) -> OverrideDecay:
    """A check: an OverrideDecay, or a dict of its fields."""
    checked: OverrideDecay = _checked(where, given, OverrideDecay)
    return checked


_CHECKS = {"start": whole(0), "duration": whole(1), "shape": choice("linear", "cosine")}


def _checked(where: str, given: Any, kind: Any) -> Any:
    if not isinstance(given, (kind, Mapping)):
        refuse(where, f"{kind.__name__}(...), or a dict of its fields", given, TypeError)
    fields = given._asdict() if isinstance(given, kind) else dict(given)
    for name in fields:
        if name not in kind._fields:
            raise ValueError(
                f"{where}: expected the fields of {kind.__name__}, got {name!r}{did_you_mean(str(name), kind._fields)}"
            )
    for name in kind._fields:
        if name not in kind._field_defaults and name not in fields:
            raise ValueError(f"{where}.{name}: expected a number of updates or tokens, got none")
        if fields.get(name) is not None:
            fields[name] = _CHECKS.get(name, not_negative)(f"{where}.{name}", fields[name])
    made = kind(**fields)
    if (made.end_lr is None) == (made.end_lr_fraction is None):
        refuse(f"{where}.end_lr", "one of end_lr and end_lr_fraction", (made.end_lr, made.end_lr_fraction))
    return made


def points_of(
    initial_lr: float, stages: Sequence[ComposableSchedulerStage]
) -> tuple[list[tuple[int, float]], list[str]]:
    """The begin and the end of each stage, and the curves between them: from one stage to the next, a jump."""
    points: list[tuple[int, float]] = []
    curves: list[str] = []
    at, rate = 0, initial_lr
    for stage in stages:
        points.append((at, stage.start_of(initial_lr, rate)))
        at, rate = at + stage.duration, stage.end_of(initial_lr)
        points.append((at, rate))
        curves += [stage.shape, "linear"]
    return points, curves[:-1]


def amount(where: str, count: int | None, fraction: float | None, steps: int) -> int:
    if (count is None) == (fraction is None):
        refuse(where, "a number of updates or a fraction, one of them", (count, fraction))
    return round(steps * fraction) if count is None else count  # type: ignore[operator]


def each_of(name: str, units: str, tokens_per_step: int | None) -> int:
    """How many of the units an update has."""
    if (units == "tokens") != (tokens_per_step is not None):
        refuse(f"{name}.tokens_per_step", "a number with units='tokens', and none without", tokens_per_step)
    return tokens_per_step or 1


def in_units(points: list[tuple[int, float]], each: int, *curves: Any, goes_on: bool = False) -> Schedule:
    """Through points whose times are in units."""
    return along([(at / each, rate) for at, rate in points], *curves, goes_on=goes_on)


def counted(schedule: Schedule, strict: bool) -> Schedule:
    return schedule.shift(1) if strict else schedule


def decayed(
    points: list[tuple[int, float]],
    rise: int,
    begin: tuple[int, float],
    fall: int,
    end_lr: float,
    each: int,
    strict: bool,
) -> Schedule:
    """Along some points, then a line from one more to `end_lr`. The rise goes before the decay where both are due."""
    if not fall:
        return in_units(points, each, "linear")
    if begin[0] >= rise:
        return in_units([*points, begin, (begin[0] + fall, end_lr)], each, "linear", goes_on=strict)
    end = (begin[0] + fall) / each
    down = segment("linear", begin[1], end_lr, begin[0] / each, end, goes_on=True)
    down = down if strict else until(down, math.floor(end) + 1, Constant(end_lr))
    return until(in_units(points, each, "linear"), rise // each + 1, down)


def of_length(name: str, max_steps: int, t_max: int | None, warmup: int | None, share: float | None) -> tuple[int, int]:
    """The end of the warm-up, and of the decay after it."""
    total = max_steps if t_max is None else t_max
    rise = amount(f"{name}.warmup", warmup, share, total)
    return rise, max(total, rise)


def wave(name: str, initial_lr: float, alpha_f: float, first: float, rise: int, end: int) -> list[tuple[int, float]]:
    floor = value(f"{name}.initial_lr * alpha_f", initial_lr * alpha_f)
    return [(0, first), (rise, initial_lr), (end, floor)]


def overridden(
    points: list[tuple[int, float]],
    curves: list[str],
    decay: OverrideDecay | None,
    end_lr: float,
    each: int,
    *,
    goes_on: bool = False,
) -> Schedule:
    """Along points, up to a decay that begins with the value of that moment."""
    main = in_units(points, each, *curves)
    if decay is None or not decay.duration:
        return main
    begin = in_units(points, 1, *curves)(decay.start)
    tail = [(decay.start, begin), (decay.start + decay.duration, end_lr)]
    down = in_units(tail, each, decay.shape, goes_on=goes_on)
    return InSequence([(main, -(-decay.start // each)), down]) if decay.start else down
