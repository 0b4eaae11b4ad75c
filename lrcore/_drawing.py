"""What every picture starts from: checked arguments, how far to draw, and the numbers beside an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lrcore import _check
from lrcore._anatomy import corners
from lrcore._check import END_OF_STEPS
from lrcore._sampling import Curve, curve, sampled
from lrcore.schedule import Schedule, is_schedule

Schedules: TypeAlias = "Schedule | Mapping[str, Schedule]"

DECADES = 5  # of a log axis that cannot show where its curve ends

_check_n = _check.whole(1, END_OF_STEPS, "a number of updates")
_check_epoch = _check.whole(1)


class Run(NamedTuple):
    """Checked arguments: the schedules by name, how far they are drawn, and the updates of an epoch if known."""

    schedules: dict[str, Schedule]
    n: int
    steps_per_epoch: int | None

    def boundaries(self, name: str) -> NDArray[np.int64]:
        """Where a piece of a schedule begins; the first at 0."""
        return corners(self.schedules[name], self.n).steps

    def steps(self, name: str, width: int) -> NDArray[np.int64]:
        """The steps to draw of a schedule, for a picture of so many pixels."""
        return sampled(self.schedules[name], self.n, width, self.boundaries(name))

    def curves(self, width: int) -> dict[str, Curve]:
        """What is drawn of each schedule, for a picture of so many pixels."""
        return {name: curve(schedule, self.steps(name, width)) for name, schedule in self.schedules.items()}


def run_of(where: str, schedules: Schedules, n: int | None, steps_per_epoch: int | None) -> Run:
    """The checked arguments of a picture."""
    named = _named(where, schedules)
    for schedule in named.values():
        schedule._require_bound()
    if steps_per_epoch is not None:
        steps_per_epoch = _check_epoch(f"{where}.steps_per_epoch", steps_per_epoch)
    else:
        known = {schedule.steps_per_epoch for schedule in named.values()} - {None}
        steps_per_epoch = known.pop() if len(known) == 1 else None
    n = _default_n(where, named) if n is None else _check_n(f"{where}.n", n)
    return Run(named, n, steps_per_epoch)


def _named(where: str, schedules: object) -> dict[str, Schedule]:
    if isinstance(schedules, Schedule):
        return {short(repr(schedules), 60): schedules}
    if isinstance(schedules, (list, tuple)):
        given = [is_schedule(f"{where}.schedules[{at}]", one) for at, one in enumerate(schedules)]
        schedules = {f"{at}: {short(repr(one), 56)}": one for at, one in enumerate(given)}
    if not isinstance(schedules, Mapping):
        expected = "a schedule, a list of them or a dict of names and schedules"
        _check.refuse(f"{where}.schedules", expected, schedules, TypeError)
    if not schedules:
        _check.refuse(f"{where}.schedules", "at least one schedule", schedules)
    for name in schedules:
        if not isinstance(name, str):
            _check.refuse(f"{where}.schedules", "names that are texts", name, TypeError)
    return {name: is_schedule(f"{where}.schedules[{name!r}]", given) for name, given in schedules.items()}


def _default_n(where: str, named: dict[str, Schedule]) -> int:
    lengths = [schedule.length for schedule in named.values()]
    ends = [length for length in lengths if length is not None]
    if not ends:
        usual = max(horizon(schedule) for schedule in named.values())
        raise ValueError(f"{where}.n: expected a number of updates, as no schedule here ends: for example n={usual}")
    longest = max(ends)
    return min(longest + max(1, longest // 20), END_OF_STEPS) if longest else horizon(next(iter(named.values())))


def horizon(schedule: Schedule) -> int:
    """Updates that show what an endless schedule is like: four times the longest duration that it names, or 100."""
    return int(min(4 * _longest(schedule) or 100, END_OF_STEPS))


def _longest(schedule: Schedule) -> int:
    own = [length for _, length in schedule._own_durations() if not isinstance(length, str)]
    below = [max(child.length or 0, _longest(child)) for child in schedule._children()]
    return int(max([sum(map(abs, own)), *below]))


def short(text: str, most: int) -> str:
    """The text, without its middle if it is longer than that."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-(most // 3) :]}"


# ---- Numbers beside an axis ----


_LARGEST_OF_AN_AXIS = 1e307  # ticks are put beyond it too


def log_range(where: str, values: list[NDArray[np.float64]]) -> tuple[float, float, bool]:
    """Both ends of a log axis, and whether some of the values lie below it."""
    together = np.concatenate(values)
    positive = together[together > 0.0]
    if not positive.size:
        raise ValueError(f"{where}: expected a value above 0 somewhere, got values from {together.min():g}")
    low, high = float(positive.min()), float(positive.max())
    beyond = positive.size < together.size
    if beyond:
        low = max(low, high * 10.0**-DECADES)
    room = max(10.0 ** (0.06 * (math.log10(high) - math.log10(low))), 1.3)
    return low / room, min(high * room, _LARGEST_OF_AN_AXIS), beyond


def counted(steps: float, _place: object = None) -> str:
    """A number of updates on an axis: 250k, 1.5M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(steps) >= size:
            return f"{steps / size:.6g}{letter}"
    return f"{steps:.6g}"


def plain(value: float, _place: object = None) -> str:
    """A value on an axis."""
    return f"{value:.6g}"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in a range, at most so many and one more."""
    least = (high - low) / most or 1.0
    size = 10.0 ** math.floor(math.log10(least))
    size = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= least * (1 - 1e-9))
    return [size * at for at in range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten in a range, and their double and fivefold where they are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        found = [place for place in found if low <= place <= high]
        if len(found) > 2:
            break
    return found
