"""The rows of a program that is being made, and durations under a time scale as the engine rounds them."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from lrcore._engine import KINDS

if TYPE_CHECKING:
    from lrcore._engine import Row
    from lrcore.schedule import Schedule


class Rows:
    """The rows of a program that is being made. A schedule that occurs twice has one row, found by identity."""

    def __init__(self) -> None:
        self.listed: list[Row] = []
        self._places: dict[int, int] = {}
        self._placed: list[Schedule] = []  # keeps each alive, so that no identity is used again

    def place_of(self, schedule: Schedule) -> int:
        """The place of a schedule's row, which is made if there is none yet."""
        place = self._places.get(id(schedule))
        if place is None:
            place = self._places[id(schedule)] = schedule._lower(self)
            self._placed.append(schedule)
        return place


def row(
    rows: Rows,
    kind: str,
    init: float = 0.0,
    end: float = 0.0,
    *,
    shape: float = 0.0,
    span: float = 1.0,
    children: list[int] | None = None,
    marks: array[int] | None = None,
    data: NDArray[Any] | None = None,
    mirror: bool = False,
    count: int = 0,
) -> int:
    """Appends a row of the engine and returns its place. What each field means for a kind stands at lr_node."""
    kids = None if children is None else array("i", children)
    rows.listed.append((KINDS[kind], init, end, shape, span, kids, marks, data, mirror, count))
    return len(rows.listed) - 1


# ---- Durations under a time scale: the twins of lr_rounded, lr_scaled and lr_bounded_scale in _nodes.h ----


def rounded(duration: float) -> int:
    """To the nearest, half up; what a product of a decimal misses of a half counts as a half."""
    if duration >= 2.0**52:
        return int(min(duration, 2.0**60))
    return math.floor(duration + 0.5 + min(duration * 2.0**-50, 0.25))


def is_whole(duration: float) -> bool:
    """Whether a product of a duration and a decimal factor is whole, up to the rounding of the product."""
    return abs(duration - round(duration)) <= abs(duration) * 2.0**-50


def scaled(duration: int, scale: float) -> int:
    """A duration, stretched."""
    return duration if scale == 1.0 else rounded(duration * scale)


def bounded_scale(scale: float) -> float:
    """A scale in a range in which every product of a duration and a scale is a number."""
    return min(max(scale, 2.0**-60), 2.0**60)
