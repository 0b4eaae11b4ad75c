"""Curves through points in time that need not be whole: what the phases of several peers' runs are."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from lrcore.compose import Sequence
from lrcore.curves import SEGMENTS, Constant
from lrcore.dialects._parts import through, wave
from lrcore.schedule import Schedule

Curve = str | Callable[[float, float, float, float], Schedule]  # of (init_value, end_value, begin, end)


def along(points: list[tuple[float, float]], *curves: Curve, goes_on: bool = False) -> Schedule:
    """Through (moment, value) points, by a curve between each two ("linear", "cosine", or a function); one is for all.

    The last value holds, or the last curve `goes_on`. A point belongs to the curve after it, and a curve that no update
    meets is left out.
    """
    every = curves if len(curves) > 1 else curves * (len(points) - 1)
    parts: list[Any] = []
    for at, ((begin, init_value), (end, end_value)) in enumerate(pairwise(points)):
        open_end = goes_on and at == len(points) - 2
        start, stop = max(math.ceil(begin), 0), max(math.ceil(end), 0)
        if stop > start or (open_end and end > begin):
            part = segment(every[at], init_value, end_value, begin - start, end - start, open_end)
            parts.append((part, stop - start))
    if goes_on and parts:
        return _in_order([*parts[:-1], parts[-1][0]])
    return _in_order([*parts, Constant(points[-1][1])])


def segment(
    curve: Curve, init_value: float, end_value: float, begin: float, end: float, goes_on: bool = False
) -> Schedule:
    """A curve from one moment to another; past it, what the curve does there: it holds if the moments are whole."""
    if init_value == end_value:
        return Constant(end_value)
    if not isinstance(curve, str):
        return curve(init_value, end_value, begin, end)
    if begin == 0.0 and end == int(end) and not goes_on:
        return SEGMENTS[curve](init_value, end_value, int(end))
    if curve == "cosine":
        return wave(init_value, end_value, begin, end)
    return through(begin, init_value, end, end_value)


def _in_order(parts: list[Any]) -> Schedule:
    """Phases, then what stays. A curve that ends where the last value is holds by itself."""
    if len(parts) > 1 and isinstance(parts[-1], Constant):
        curve, steps = parts[-2]
        if isinstance(curve, Constant):
            ends = curve == parts[-1]
        else:
            ends = type(curve) in SEGMENTS.values() and curve.length == steps and curve(steps) == parts[-1].value
        parts = [*parts[:-2], curve] if ends else parts
    return Sequence(parts) if len(parts) > 1 else parts[0]
