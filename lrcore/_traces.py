"""Two sources of learning rates, step by step: what `diff` compares.

A source is a schedule or the values that another framework gave. Where one of the two holds float32 numbers, both are
taken as float32: our values are rounded once, as the other's were, and what is left to differ is not our rounding.
Values are handed out as float64, which holds each of them exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore import _check
from lrcore.schedule import LAST_STEP, Schedule

# Steps at a time: values, their differences and the masks stay in the cache. Above 2^14 malloc takes fresh pages from
# the system for each of them, which costs more than the arithmetic.
BLOCK = 1 << 13

Values = NDArray[np.float64]


class Trace:
    """A schedule, or an array of values from step 0 on."""

    def __init__(self, where: str, given: object) -> None:
        self.schedule: Schedule | None = None
        self.end: int | None = None  # the number of steps it has; None: as many as one likes
        self.precision: np.dtype[Any] = np.dtype(np.float64)
        if isinstance(given, Schedule):
            self.schedule, self.length = given, given.length
            return
        values = _check.array(where, given, "fiu", "a schedule, or real numbers (bfloat16 as float32)")
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"{where}: expected one dimension and at least one value, got shape {values.shape}")
        self.values, self.end, self.length = values, len(values), None
        if values.dtype.kind == "f" and values.dtype.itemsize < 8:
            self.precision = values.dtype

    def table(self, begin: int, end: int) -> Values:
        """The values of the steps begin, ..., end - 1."""
        if self.schedule is None:
            return self._rounded(self.values[begin:end])
        return self._rounded(self.schedule.table(end - begin, begin))

    def at(self, steps: NDArray[np.int64]) -> Values:
        """The values at steps that increase; time ends for schedules too, far away."""
        if steps.size and steps[-1] - steps[0] == steps.size - 1 and steps[-1] < LAST_STEP:
            return self.table(int(steps[0]), int(steps[-1]) + 1)  # all in a row: several times as fast
        if self.schedule is None:
            return self._rounded(self.values[steps])
        return self._rounded(self.schedule(np.minimum(steps, LAST_STEP)))

    def has(self, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some steps it has."""
        return (steps >= 0) & (steps < (LAST_STEP if self.end is None else self.end))

    def _rounded(self, values: NDArray[Any]) -> Values:
        if self.precision != values.dtype:
            values = values.astype(self.precision)
        return values.astype(np.float64, copy=False)


def coarsest(a: Trace, b: Trace) -> None:
    """Both in the coarser precision of the two, from now on."""
    a.precision = b.precision = min(a.precision, b.precision, key=lambda one: one.itemsize)


def blocks(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """A range of steps in pieces."""
    for at in range(begin, end, BLOCK):
        yield at, min(at + BLOCK, end)


def gap(a: Values, b: Values) -> Values:
    """How far apart two values are; not finite where one of them is not."""
    apart = a - b
    return np.abs(apart, out=apart)
