"""What several dialects compose: a curve, with what the peer does past its end; a phase between two moments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

from lrcore import _check
from lrcore._check import END_OF_STEPS
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Linear, Piecewise, Polynomial
from lrcore.cycles import MAX_CYCLES, Cycle
from lrcore.decays import ExponentialDecay, InverseTimeDecay, NaturalExpDecay
from lrcore.functions import Line, Map
from lrcore.recipes import sgdr
from lrcore.schedule import Schedule


@_check.accepts({"type": "number", "exclusiveMinimum": 0})
def span(where: str, given: Any) -> int | float:
    """A check for how many updates something takes, which need not be whole; an int where it is."""
    if not isinstance(given, float):
        return int(_check.whole(1)(where, given))
    steps = _check.positive(where, given)
    return int(_check.whole(1)(where, int(steps))) if steps.is_integer() else steps


def line(init_value: float, end_value: float, steps: float, *, late: float = 0.0) -> Schedule:
    """A straight line that holds its end, which comes after `steps` updates, whole or not.

    Args:
        init_value: the first value.
        end_value: the last.
        steps: from the one to the other.
        late: how much of an update has passed already at step 0.
    """
    if isinstance(steps, int) and not late:
        return Linear(init_value, end_value, steps)
    rising = through(-late, init_value, steps - late, end_value) if late else Line(init_value, end_value, steps)
    return Sequence([(rising, math.ceil(steps - late)), end_value])


def half_wave(init_value: float, end_value: float, steps: float, *, late: float = 0.0) -> Schedule:
    """Half a cosine wave that holds its end, over a `line`."""
    if isinstance(steps, int) and not late:
        return Cosine(init_value, end_value, steps)
    return (init_value - end_value) * Map(line(0.0, 1.0, steps, late=late), "cosine") + end_value


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


def stairs(
    curve: ExponentialDecay | NaturalExpDecay | InverseTimeDecay, steps: float, staircase: bool, *, where: str
) -> Schedule:
    """A curve, or its values at multiples of `steps`."""
    if not staircase or isinstance(steps, int):
        return curve.staircase(int(steps)) if staircase else curve
    passed, rate = _multiples(steps, where), curve.decay_rate
    if isinstance(curve, InverseTimeDecay):
        return curve.init_value * Map(rate * passed + 1.0, "power", -1.0)
    exponent = -rate if isinstance(curve, NaturalExpDecay) else Map(Constant(rate), "log")(0)
    return curve.init_value * Map(exponent * passed, "exp")


def _multiples(steps: float, where: str) -> Schedule:
    """`floor(t / steps)` for steps that are not whole: 10.5 has two multiples in each 21 updates."""
    updates, number = Fraction(repr(steps)).as_integer_ratio()
    if number > MAX_CYCLES:
        _check.refuse(where, f"a decimal with a whole multiple among its first {MAX_CYCLES}, with staircase", steps)
    begins = {-(-k * updates // number): float(k) for k in range(number)}  # of those at one update the last
    begins.pop(updates, None)
    within = Piecewise(list(begins)[1:], list(begins.values())) if len(begins) > 1 else Constant(begins[0])
    return Line(0.0, number, updates).staircase(updates) + Cycle(within, updates)


def polynomial(
    init_value: float, end_value: float, steps: float, power: float, *, cycle: bool, where: str = "decay_steps"
) -> Schedule:
    """As TensorFlow's: with `cycle`, `steps` is the next multiple of itself once t has passed it.

    In cycle j = 1, 2, ..., which begins after t = (j - 1) * steps, the rest (j * steps - t) / (j * steps) is that of
    the first cycle over j; it is 0 at each multiple of `steps` but 0. A power of 0 makes it 1, at the end too.
    """
    if power == 0.0:
        return Constant(init_value)
    if not cycle:
        return _polynomial(init_value, end_value, steps, power)
    if not isinstance(steps, int):
        because = "cycles that begin between two updates are each of another shape"
        _check.refuse(where, f"a whole number of updates with cycle: {because}", steps)
    first = Cycle(Linear(1.0, 0.0, steps).shift(1), steps)
    rest = first * InverseTimeDecay(1.0, 1.0, steps).staircase(steps)
    later = rest if power == 1.0 else Map(rest, "power", power)
    return Sequence([(init_value, 1), (init_value - end_value) * later + end_value])


def _polynomial(init_value: float, end_value: float, steps: float, power: float) -> Schedule:
    if isinstance(steps, int):
        return Polynomial(init_value, end_value, steps, power)
    if power == 1.0:
        return line(init_value, end_value, steps)
    return (init_value - end_value) * Map(line(1.0, 0.0, steps), "power", power) + end_value


def restarts(
    init_value: float, end_value: float, period: float, period_mult: float, value_mult: float, *, where: str
) -> Schedule:
    """Cosine waves from a peak to `end_value`, one after another, that restart where the formula says.

    A whole `period_mult` gives cycles of whole updates if the period is whole. Else cycles end between two updates, and
    each is a wave of its own: the first update of a cycle comes after its peak.
    """
    height = init_value - end_value
    if period_mult == int(period_mult) and isinstance(period, int):
        return sgdr(init_value, end_value, period, int(period_mult), value_mult)
    if period < 1.0:
        _check.refuse(where, "cycles of at least one update", period)
    if period_mult == 1.0:
        return _alike(height, Fraction(repr(period)), value_mult, where) + end_value
    cycles = list(islice(_cycles(Fraction(repr(period)), period_mult), MAX_CYCLES + 1))
    if len(cycles) > MAX_CYCLES:
        _check.refuse(where, f"1, or a factor with at most {MAX_CYCLES} cycles in 2**53 steps", period_mult)
    return _one_by_one(_waves(cycles, height, value_mult)) + end_value


def _waves(cycles: Iterable[tuple[int, float, float]], height: float, value_mult: float) -> list[Any]:
    waves: list[Any] = []
    for steps, begin, end in cycles:
        waves.append((height * Map(through(begin, 0.0, end, 1.0), "cosine"), steps))
        height *= value_mult
        if height != 0.0 and not _check.SMALLEST <= abs(height) <= _check.LARGEST:
            break
    return waves


def _one_by_one(parts: list[Any]) -> Schedule:
    return Sequence([*parts[:-1], parts[-1][0]])


def _alike(height: float, period: Fraction, value_mult: float, where: str) -> Schedule:
    """Cycles of one length that is not whole: after as many as its divisor says one begins at a whole update again."""
    if height == 0.0:
        return Constant(0.0)
    updates, cycles = period.as_integer_ratio()
    waves = _waves(islice(_cycles(period, 1.0), cycles), height, value_mult) if cycles <= MAX_CYCLES else []
    if len(waves) < cycles or not _check.SMALLEST <= value_mult**cycles <= _check.LARGEST:
        _check.refuse(where, f"another factor than 1 with cycles that only {cycles} of fill whole updates", 1.0)
    return Cycle(_one_by_one(waves), updates, value_mult=value_mult**cycles)


def _cycles(period: Fraction, period_mult: float) -> Iterator[tuple[int, float, float]]:
    """How many updates there are in each cycle, and where it begins and ends, counted from the first of them.

    The begin of cycle k is `period * (m**k - 1) / (m - 1)`, with m the decimal that the user wrote, in integers: a
    logarithm of the step, as the peers take it, is rounded to the wrong cycle at some restarts.
    """
    over, under = Fraction(repr(period_mult)).as_integer_ratio()
    updates, parts = period.as_integer_ratio()
    begin, divisor, first = 0, parts, 0
    while first < END_OF_STEPS:
        end, end_divisor = begin * over + updates * (divisor // parts) * under, divisor * under
        after = -(-end // end_divisor)
        steps = min(after, END_OF_STEPS) - first
        yield steps, (begin - first * divisor) / divisor, (end - first * end_divisor) / end_divisor
        begin, divisor, first = end, end_divisor, after
