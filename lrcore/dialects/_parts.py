"""What several dialects compose: a curve, with what the peer does past its end; a phase between two moments."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

from lrcore import _check
from lrcore._check import END_OF_STEPS
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Linear, Polynomial
from lrcore.cycles import MAX_CYCLES, Cycle
from lrcore.decays import InverseTimeDecay
from lrcore.functions import Line, Map
from lrcore.recipes import sgdr
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
    first = init_value - begin * rise
    return Line(first, end_value, end) if end > 0.0 else Line(first, first + rise, 1)


def until(first: Schedule, steps: int, then: Schedule) -> Schedule:
    """`first` for some steps, then another schedule in the time of both (not from its own step 0)."""
    return Sequence([(first, steps), then.shift(steps)]) if steps else then


def stairs(curve: Schedule, steps: int, staircase: bool) -> Schedule:
    """A curve, or its values at multiples of `steps`."""
    return curve.staircase(steps) if staircase else curve


def polynomial(init_value: float, end_value: float, steps: int, power: float, *, cycle: bool) -> Schedule:
    """As TensorFlow's: with `cycle`, `steps` is the next multiple of itself once t has passed it.

    In cycle j = 1, 2, ..., which begins after t = (j - 1) * steps, the rest (j * steps - t) / (j * steps) is that of
    the first cycle over j; it is 0 at each multiple of `steps` but 0.
    """
    if not cycle:
        return Polynomial(init_value, end_value, steps, power)
    first = Cycle(Linear(1.0, 0.0, steps).shift(1), steps)
    rest = first * InverseTimeDecay(1.0, 1.0, steps).staircase(steps)
    later = rest if power == 1.0 else Map(rest, "power", power)
    return Sequence([(init_value, 1), (init_value - end_value) * later + end_value])


def restarts(
    init_value: float, end_value: float, period: int, period_mult: float, value_mult: float, *, where: str
) -> Schedule:
    """Cosine waves from a peak to `end_value`, one after another, that restart where the formula says.

    A whole `period_mult` gives cycles of whole updates. With another, cycles end between two updates, and each is a
    wave of its own: the first update of a cycle comes after its peak.
    """
    if period_mult == int(period_mult):
        return sgdr(init_value, end_value, period, int(period_mult), value_mult)
    cycles = list(islice(_cycles(period, period_mult), MAX_CYCLES + 1))
    if len(cycles) > MAX_CYCLES:
        _check.refuse(where, f"1, or a factor with at most {MAX_CYCLES} cycles in 2**53 steps", period_mult)
    waves: list[Any] = []
    height = init_value - end_value
    for steps, begin, end in cycles:
        waves.append((height * Map(through(begin, 0.0, end, 1.0), "cosine"), steps))
        height *= value_mult
        if height != 0.0 and not _check.SMALLEST <= abs(height) <= _check.LARGEST:
            break
    return Sequence([*waves[:-1], waves[-1][0]]) + end_value


def _cycles(period: int, period_mult: float) -> Iterator[tuple[int, float, float]]:
    """How many updates there are in each cycle, and where it begins and ends, counted from the first of them.

    The begin of cycle k is `period * (m**k - 1) / (m - 1)`, with m the decimal that the user wrote, in integers: a
    logarithm of the step, as the peers take it, is rounded to the wrong cycle at some restarts.
    """
    over, under = Fraction(repr(period_mult)).as_integer_ratio()
    begin, divisor, first = 0, 1, 0
    while first < END_OF_STEPS:
        end, end_divisor = begin * over + period * divisor * under, divisor * under
        after = -(-end // end_divisor)
        steps = min(after, END_OF_STEPS) - first
        yield steps, (begin - first * divisor) / divisor, (end - first * end_divisor) / end_divisor
        begin, divisor, first = end, end_divisor, after
