"""What several dialects compose: a curve, with what the peer does past its end; a phase between two moments."""

from __future__ import annotations

from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule


def cosine(init_value: float, end_value: float, steps: int, *, rises_again: bool) -> Schedule:
    """Half a cosine wave; one that rises again goes on as a whole wave."""
    if not rises_again:
        return Cosine(init_value, end_value, steps)
    return wave(init_value, end_value, 0.0, steps)


def wave(init_value: float, end_value: float, begin: float, end: float) -> Schedule:
    """A cosine wave through `init_value` at the moment `begin` and `end_value` at `end`, which need not be whole."""
    weight = Map(through(begin, 0.0, end, 1.0), "cosine")
    return (init_value - end_value) * weight + end_value if init_value != end_value else Constant(end_value)


def through(begin: float, init_value: float, end: float, end_value: float) -> Line:
    """The straight line through two points in time, which need not be whole."""
    rise = (end_value - init_value) / (end - begin)
    return Line(init_value - begin * rise, end_value, end) if end > 0.0 else Line(init_value, init_value + rise, 1)


def until(first: Schedule, steps: int, then: Schedule) -> Schedule:
    """`first` for some steps, then another schedule in the time of both (not from its own step 0)."""
    return Sequence([(first, steps), then.shift(steps)]) if steps else then
