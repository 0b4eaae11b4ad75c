"""Schedules taken apart into phases, and put together again: what `replan` works with.

A phase is a stretch of steps that one schedule of its own answers for: a part of a sequence, a segment of an
interpolation, a value of a piecewise constant, a cycle or half of one. Phases are read off the tree, nothing is
evaluated. Where the same function has a shorter form (a shift of a shift, a leaf that is stretched) these functions
write that one, so that a run that is replanned again and again does not pile up nodes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import singledispatch
from itertools import accumulate, groupby
from typing import NamedTuple

from lrcore._check import END_OF_STEPS, LARGEST, SMALLEST
from lrcore.compose import Clip, Product, Scale, Sequence, Shift, Staircase, Stretch, Sum
from lrcore.curves import Constant, Cosine, Exponential, Interpolate, Linear, Piecewise, Polynomial
from lrcore.cycles import Cycle, restart_steps
from lrcore.decays import ExponentialDecay, InverseSqrt, InverseTimeDecay, NaturalExpDecay
from lrcore.functions import Map
from lrcore.schedule import Schedule

ENDING = (Linear, Cosine, Polynomial, Exponential)  # from init_value to end_value in `steps`
UNBOUNDED = (ExponentialDecay, NaturalExpDecay, InverseTimeDecay)
BESIDE = (Scale, Clip, Map, Product, Sum)  # what happens at a step depends on the children at that step alone

Stage = tuple[int, Schedule]  # the step at which a schedule begins, and the schedule
Part = tuple[Schedule, int | None]  # a schedule from its own step 0, and its steps; None: for ever


class Phase(NamedTuple):
    """A schedule whose step 0 is at `begin`, and answers until `end` (None: for ever)."""

    begin: int
    node: Schedule
    end: int | None

    def moved(self, by: int) -> Phase:
        return Phase(self.begin + by, self.node, None if self.end is None else self.end + by)


def half_up(exact: Fraction) -> int:
    """To the nearest whole number, half up."""
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def is_flat(node: Schedule) -> bool:
    """Whether a leaf has one value at all steps."""
    return isinstance(node, Constant) or (isinstance(node, ENDING) and node.init_value == node.end_value)


# ---- Phases ----


@singledispatch
def phases(node: Schedule, _step: int) -> list[Phase]:
    """The phase in progress at a step, and those after it; the first may begin before step 0, where a shift says so."""
    return [Phase(0, node, None)]


@phases.register(Sequence)
@phases.register(Piecewise)
def _(node: Sequence | Piecewise, step: int) -> list[Phase]:
    return _staged(stages_of(node), step)


def stages_of(node: Sequence | Piecewise) -> list[Stage]:
    """Where each part begins, and the part."""
    if isinstance(node, Sequence):
        return list(node._stages())
    return [(begin, Constant(value)) for begin, value in zip(node._marks(), node.values, strict=True)]


def _staged(stages: list[Stage], step: int) -> list[Phase]:
    """The phases of the part in progress, and the parts after it."""
    ends: list[int | None] = [*(begin for begin, _ in stages[1:]), None]
    at = bisect_right([begin for begin, _ in stages], step) - 1
    begin, schedule = stages[at]
    current = [phase.moved(begin) for phase in phases(schedule, step - begin)]
    later = zip(stages[at + 1 :], ends[at + 1 :], strict=True)
    return [*_until(current, ends[at]), *(Phase(*stage, end) for stage, end in later)]


def _until(found: Iterable[Phase], end: int | None) -> list[Phase]:
    """The phases before a step."""
    if end is None:
        return list(found)
    return [Phase(begin, node, end if last is None else min(last, end)) for begin, node, last in found if begin < end]


@phases.register
def _(node: Interpolate, step: int) -> list[Phase]:
    return phases(node._as_sequence(), step)


@phases.register
def _(node: Shift, step: int) -> list[Phase]:
    if step + node.n < 0:
        return [Phase(0, Constant(node.schedule(0)), -node.n), Phase(-node.n, node.schedule, None)]
    return [phase.moved(-node.n) for phase in phases(node.schedule, step + node.n)]


@phases.register
def _(node: Stretch, step: int) -> list[Phase]:
    """The phases of what is stretched, where the engine puts them: every boundary is rounded once."""
    factor, inner = Fraction(repr(node.factor)), node.schedule
    inner = inner._as_sequence() if isinstance(inner, Interpolate) else inner
    if isinstance(inner, (Sequence, Piecewise)):
        return _staged(_stretched_stages(stages_of(inner), factor), step)
    if isinstance(inner, Cycle):
        return _cycles(inner, step, factor, node)
    if isinstance(inner, Staircase):
        return _stairs(inner, step, factor, node)
    if isinstance(inner, (Shift, Scale, Clip, Map, Stretch)):
        return phases(stretched(inner, factor), step)
    return [Phase(0, node, None)]


def _stretched_stages(stages: list[Stage], factor: Fraction) -> list[Stage]:
    begins = [half_up(begin * factor) for begin, _ in stages]
    last = (begins[-1], stretched(stages[-1][1], factor))
    return [
        *(
            (first, stretched(schedule, Fraction(end - first, after - begin)))
            for first, end, (begin, schedule), (after, _) in zip(begins, begins[1:], stages, stages[1:], strict=False)
            if first < end
        ),
        last,
    ]


def _interval(step: int, unit: Fraction) -> tuple[int, int, int]:
    """Of intervals of a length of at least 1: the number of the one that holds a step, its begin and its end."""
    number = int((step + Fraction(1, 2)) / unit)
    while half_up(number * unit) > step:
        number -= 1
    while half_up((number + 1) * unit) <= step:
        number += 1
    return number, half_up(number * unit), half_up((number + 1) * unit)


@phases.register
def _(node: Staircase, step: int) -> list[Phase]:
    return _stairs(node, step, Fraction(1), node)


def _stairs(node: Staircase, step: int, factor: Fraction, whole: Schedule) -> list[Phase]:
    """The stairs of a decay without an end, which has no other phases. Stairs of a curve with an end only sample it."""
    _, begin, end = _interval(step, max(node.every * factor, Fraction(1)))
    if node.schedule.length is not None or not is_usable(whole(begin)):
        return [Phase(0, whole, None)]
    return [Phase(begin, Constant(whole(begin)), end), Phase(end, moved(whole, end), None)]


@phases.register
def _(node: Scale, step: int) -> list[Phase]:
    return [phase._replace(node=scaled_by(phase.node, node.factor)) for phase in phases(node.schedule, step)]


@phases.register(Clip)
@phases.register(Map)
def _(node: Clip | Map, step: int) -> list[Phase]:
    return [phase._replace(node=replace(node, schedule=phase.node)) for phase in phases(node.schedule, step)]


@phases.register
def _(node: Cycle, step: int) -> list[Phase]:
    return _cycles(node, step, Fraction(1), node)


def _cycles(node: Cycle, step: int, factor: Fraction, whole: Schedule) -> list[Phase]:
    """The rest of the cycle in progress (each of its own phases), and the cycles after it; `whole` is stretched."""
    number, begin, end = _cycle_at(node, step, factor)
    current = [phase.moved(begin) for phase in _cycle_phases(node, number, end - begin, step - begin)]
    if node.count is not None and number + 1 == node.count:
        holds_itself = not node.mirror and (node.schedule.length or END_OF_STEPS) <= node.period
        held = Constant(whole(end)) if is_usable(whole(end)) else moved(whole, end)
        return current if holds_itself else [*_until(current, end), Phase(end, held, None)]
    if node.period_mult != 1 or (node.period * factor).denominator != 1:  # those to come are not as those from 0 on
        return [*_until(current, end), Phase(end, moved(whole, end), None)]
    left = replace(node, count=node.count and node.count - number - 1)
    later = scaled_by(stretched(left, factor), _power(node.value_mult, number + 1))
    return [*_until(current, end), Phase(end, later, None)]


def _cycle_at(node: Cycle, step: int, factor: Fraction) -> tuple[int, int, int]:
    """The number of the cycle in progress (the last one, once all are over), its begin and its end."""
    length = node.period * (2 if node.mirror else 1)
    last = (node.count or END_OF_STEPS) - 1
    if node.period_mult == 1:
        unit = max(length * factor, Fraction(1))
        number, begin, end = _interval(step, unit)
        return (number, begin, end) if number <= last else (last, half_up(last * unit), half_up((last + 1) * unit))
    restarts = [half_up(restart * factor) for restart in restart_steps(length, node.period_mult, node.count)]
    number = min(bisect_right(restarts, step) - 1, len(restarts) - 2)
    while number and restarts[number] == restarts[number + 1]:  # the last ones may be squeezed to no update
        number -= 1
    return number, restarts[number], restarts[number + 1]


def _cycle_phases(node: Cycle, number: int, length: int, step: int) -> list[Phase]:
    """The phases of one cycle, from its own step 0: the inner schedule, and for a mirror its way back."""
    factor = Fraction(length, node.period * (2 if node.mirror else 1))
    body = scaled_by(node.schedule, _power(node.value_mult, number))
    if not node.mirror:
        return phases(stretched(body, factor), step)
    half = (length + 1) // 2
    if isinstance(body, (Linear, Cosine)) and length % 2 == 0 and body.steps == node.period:
        back = Phase(half, replace(body, init_value=body.end_value, end_value=body.init_value, steps=half), None)
    else:
        back = Phase(0, stretched(Cycle(body, node.period, mirror=True, count=1), factor), None)
    there = _until(phases(stretched(body, factor), min(step, half - 1)), half)
    return [back] if step >= half else [*there, back if back.begin else Phase(half, moved(back.node, half), None)]


# ---- The same function in its shorter form ----


def is_usable(value: float) -> bool:
    """Whether a node may hold a value: see `_check.value`."""
    return value == 0.0 or SMALLEST <= abs(value) <= LARGEST


def scaled_by(node: Schedule, factor: float) -> Schedule:
    """`factor * node`."""
    if factor == 1.0:
        return node
    if isinstance(node, Scale) and is_usable(node.factor * factor):
        return scaled_by(node.schedule, node.factor * factor)
    if isinstance(node, Constant) and is_usable(node.value * factor):
        return Constant(node.value * factor)
    if isinstance(node, ENDING) and factor > 0.0:
        init, end = node.init_value * factor, node.end_value * factor
        if is_usable(init) and is_usable(end):
            return replace(node, init_value=init, end_value=end)
    return Scale(node, factor)


def _power(mult: float, number: int) -> float:
    """`mult**number`, within what a schedule may hold."""
    exponent = number * math.log10(mult)
    if exponent > 100.0:
        raise ValueError(f"replan: expected cycles of at most 1e100 times the first one's values, got 1e{exponent:.0f}")
    return mult**number if exponent >= -100.0 else 0.0


def moved(node: Schedule, by: int) -> Schedule:
    """`node.shift(by)`, for by >= 0."""
    if by == 0 or is_flat(node):
        return node
    if isinstance(node, Shift):
        return moved(node.schedule, node.n + by) if node.n + by >= 0 else replace(node, n=node.n + by)
    return Shift(node, by)


@singledispatch
def stretched(node: Schedule, factor: Fraction) -> Schedule:
    """Each duration times a factor."""
    return node if factor == 1 else Stretch(node, float(factor))


@stretched.register
def _(node: Constant, _factor: Fraction) -> Schedule:
    return node


@stretched.register(Linear)
@stretched.register(Cosine)
@stretched.register(Polynomial)
@stretched.register(Exponential)
@stretched.register(InverseSqrt)
def _(node: Linear, factor: Fraction) -> Schedule:
    return replace(node, steps=max(1, half_up(node.steps * factor)))


@stretched.register(ExponentialDecay)
@stretched.register(NaturalExpDecay)
@stretched.register(InverseTimeDecay)
def _(node: ExponentialDecay, factor: Fraction) -> Schedule:
    return node if factor == 1 else replace(node, decay_steps=float(Fraction(node.decay_steps) * factor))


@stretched.register
def _(node: Stretch, factor: Fraction) -> Schedule:
    return stretched(node.schedule, Fraction(repr(node.factor)) * factor)


@stretched.register
def _(node: Shift, factor: Fraction) -> Schedule:
    n = half_up(abs(node.n) * factor) * (1 if node.n > 0 else -1)
    return moved(stretched(node.schedule, factor), n) if n >= 0 else Shift(stretched(node.schedule, factor), n)


@stretched.register(Scale)
@stretched.register(Clip)
@stretched.register(Map)
@stretched.register(Product)
@stretched.register(Sum)
def _(node: Schedule, factor: Fraction) -> Schedule:
    return with_children(node, [stretched(child, factor) for child in node._children()])


def with_children(node: Schedule, children: list[Schedule]) -> Schedule:
    """A node of BESIDE, of other children; a scale of a scale stays one, since one factor for both rounds otherwise."""
    if isinstance(node, (Scale, Clip, Map)):
        return replace(node, schedule=children[0])
    return Product(children) if isinstance(node, Product) else Sum(children)


# ---- Parts of a sequence ----


def cut(node: Schedule, steps: int | None) -> Iterator[Part]:
    """The first steps of a schedule, as parts that follow one another; what has parts within parts becomes flat."""
    if not isinstance(node, (Sequence, Piecewise)):
        yield node, steps
        return
    stages = stages_of(node)
    ends = [*(begin for begin, _ in stages[1:]), None]
    for (begin, schedule), end in zip(stages, ends, strict=True):
        last = end if steps is None else steps if end is None else min(end, steps)
        if last is None or begin < last:
            yield from cut(schedule, None if last is None else last - begin)


def joined(parts: Iterable[Part]) -> Schedule:
    """Parts in order, the last of them for ever, in the simplest form."""
    kept: list[Part] = []
    for part in (part for node, steps in parts if steps != 0 for part in cut(node, steps)):
        if kept and (one := _one_of(kept[-1], part)):
            kept[-1] = one
        else:
            kept.append(part)
    grouped = [part for is_constant, run in groupby(kept, _is_constant) for part in _grouped(is_constant, list(run))]
    return Sequence([*grouped[:-1], grouped[-1][0]]) if len(grouped) > 1 else grouped[0][0]


def _is_constant(part: Part) -> bool:
    return isinstance(part[0], Constant)


def _grouped(are_constant: bool, parts: list[Part]) -> list[Part]:
    """Constants after one another as a piecewise constant."""
    if not are_constant or len(parts) == 1:
        return parts
    boundaries = list(accumulate(steps or 0 for _, steps in parts[:-1]))
    last = parts[-1][1]
    return [(Piecewise(boundaries, [node(0) for node, _ in parts]), None if last is None else boundaries[-1] + last)]


def _one_of(first: Part, then: Part) -> Part | None:
    """Two parts as one, where the second goes on as the first would."""
    (node, steps), (after, more) = first, then
    assert steps is not None
    total = None if more is None else steps + more
    if not is_flat(node):
        return (node, total) if after == moved(node, steps) else None
    if isinstance(node, Constant):
        return (node, total) if after == node else None
    if not isinstance(node, ENDING) or not isinstance(after, ENDING) or type(after) is not type(node):
        return None
    is_same = after.init_value == after.end_value == node.init_value
    return (replace(node, steps=total or steps + after.steps), total) if is_same else None
