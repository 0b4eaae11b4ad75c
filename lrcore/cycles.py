"""Cycles: a schedule again and again, and the steps at which it restarts, exact to the update.

In the formulas `t` is the step.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from lrcore import _check
from lrcore._check import END_OF_STEPS, field
from lrcore._rows import Rows, rounded, row, scaled
from lrcore.durations import Duration, updates
from lrcore.schedule import Schedule, is_schedule

MAX_CYCLES = 10_000  # of unequal length: each has a place in a table of restarts


@_check.accepts({"type": "number", "minimum": 1, "maximum": 100})
def check_period_mult(where: str, given: Any) -> int | float:
    """A factor of growing cycles: as it was written, whole ones as an int."""
    mult = _check.number(where, given)
    if not 1.0 <= mult <= 100.0:
        _check.refuse(where, "a number >= 1 and <= 100", given)
    return int(mult) if mult == math.floor(mult) else mult


@_check.accepts(_check.schema_of(_check.whole(1)))
def _count(where: str, given: Any) -> int | None:
    return None if given is None else int(_check.whole(1, what="a whole number of cycles")(where, given))


@lru_cache(maxsize=64)
def restart_steps(period: int, period_mult: int | float, count: int | None) -> tuple[int, ...]:
    """The steps at which cycles begin, exact: `period * (m**k - 1) / (m - 1)` for k = 0, 1, ..., rounded half
    up.

    `m` is the decimal that the user wrote: with 1.1 and a period of 100 the second restart is at 210, which
    the float 1.100000000000000088 misses. The list ends with the end of cycle `count`, or with the first step
    that no run reaches.
    """
    mult = Fraction(repr(period_mult))
    over, under = mult.numerator, mult.denominator
    restarts, sum_over, sum_under, power = [0], period, 1, under
    while len(restarts) <= (count or MAX_CYCLES):
        restarts.append((2 * sum_over + sum_under) // (2 * sum_under))
        if restarts[-1] >= END_OF_STEPS:
            break
        sum_over, sum_under, power = sum_over * over + period * power, sum_under * under, power * under
    return tuple(restarts)


@dataclass(frozen=True, slots=True)
class Cycle(Schedule):
    """A schedule again and again, each cycle longer and lower or higher than the one before if wanted.

    Cycle k begins at `S_k = period * (period_mult**k - 1) / (period_mult - 1)` (`k * period` for period_mult
    1), rounded half up to a whole update; in it the value is `value_mult**k * schedule((t - S_k) * period /
    (S_{k+1} - S_k))`: the inner schedule is stretched to the length of the cycle, its durations rounded to
    updates.

    Args:
        schedule: what is repeated; its first `period` steps are used.
        period: length of the first cycle in updates, >= 1.
        period_mult: factor from the length of each cycle to the next, between 1 and 100.
        value_mult: factor from the values of each cycle to the next, > 0.
        mirror: each cycle goes through the schedule forward and then backward, in twice the period.
        count: how many cycles; after the last one its end holds. None: endless.

    Raises:
        TypeError, ValueError: a period or count that is no int >= 1; period_mult < 1, or so close to 1 that
            more than 10,000 unequal cycles fit into 2**53 steps; value_mult <= 0.

    Reference: Loshchilov and Hutter, SGDR (2017). Restarts are exact integers, not from a logarithm that may
    be rounded to the wrong side.
    Also known as: torch `CosineAnnealingWarmRestarts` and `CyclicLR` (mirror), Keras `CosineDecayRestarts`.

    Example:
        >>> from lrcore import Linear
        >>> Cycle(Linear(1.0, 0.0, 2), 2, period_mult=2).table(7).tolist()
        [1.0, 0.5, 1.0, 0.75, 0.5, 0.25, 1.0]
        >>> Cycle(Linear(0.0, 1.0, 2), 2, mirror=True).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """

    schedule: Schedule = field(is_schedule)
    period: Duration = field(updates(1), duration="span")
    period_mult: int | float = field(check_period_mult, 1)
    value_mult: float = field(_check.positive, 1.0)
    mirror: bool = field(_check.flag, False)
    count: int | None = field(_count, None)

    def _validate(self) -> None:
        if self.period_mult != 1:
            fitting = math.log1p(END_OF_STEPS * (self.period_mult - 1) / self.period) / math.log(self.period_mult)
            if min(fitting, self.count or fitting) > MAX_CYCLES:
                allowed = f"1, or a factor with at most {MAX_CYCLES} cycles in 2**53 steps"
                _check.refuse("Cycle.period_mult", allowed, self.period_mult)
        if self.count and (self._length(1.0) or 0) >= END_OF_STEPS:
            _check.refuse("Cycle.count", "cycles that end before step 2**53", self.count)

    def _children(self) -> tuple[Schedule, ...]:
        return (self.schedule,)

    def _first_length(self) -> int:
        return int(self.period) * (2 if self.mirror else 1)

    def _lower(self, rows: Rows) -> int:
        children = [rows.place_of(self.schedule)]
        if self.value_mult != 1.0:
            children.append(row(rows, "EXPONENTIAL_DECAY", 1.0, shape=self.value_mult))
        unequal = self.period_mult != 1
        marks = array("q", restart_steps(self._first_length(), self.period_mult, self.count)) if unequal else None
        return row(
            rows,
            "CYCLE",
            span=self.period,
            children=children,
            marks=marks,
            mirror=self.mirror,
            count=self.count or 0,
        )

    def _length(self, scale: float) -> int | None:
        if self.count is None:
            return None
        if self.period_mult == 1 and scale == 1.0:
            return self.count * self._first_length()
        if self.period_mult == 1:
            return rounded(self.count * max(self._first_length() * scale, 1.0))
        return scaled(restart_steps(self._first_length(), self.period_mult, self.count)[-1], scale)
