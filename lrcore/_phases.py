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
from lrcore.compose import Clip, Cycle, Product, Scale, Sequence, Shift, Staircase, Stretch, Sum, restart_steps
from lrcore.curves import (
    Constant,
    Cosine,
    Exponential,
    ExponentialDecay,
    Interpolate,
    InverseSqrt,
    InverseTimeDecay,
    Linear,
    NaturalExpDecay,
    Piecewise,
    Polynomial,
)
from lrcore.schedule import Schedule

ENDING = (Linear, Cosine, Polynomial, Exponential)  # from init_value to end_value in `steps`
UNBOUNDED = (ExponentialDecay, NaturalExpDecay, InverseTimeDecay)
BESIDE = (Scale, Clip, Product, Sum)  # what happens at a step depends on the children at that step, and on nothing else

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


@phases.register
def _(node: Sequence, step: int) -> list[Phase]:
    stages = list(node._stages())
    ends: list[int | None] = [*(begin for begin, _ in stages[1:]), None]
    at = bisect_right([begin for begin, _ in stages], step) - 1
    begin, schedule = stages[at]
    current = [phase.moved(begin) for phase in phases(schedule, step - begin)]
    return [
        *_until(current, ends[at]),
        *(Phase(*stage, end) for stage, end in zip(stages[at + 1 :], ends[at + 1 :], strict=True)),
    ]


def _until(found: Iterable[Phase], end: int | None) -> list[Phase]:
    """The phases before a step."""
    if end is None:
        return list(found)
    return [Phase(begin, node, end if last is None else min(last, end)) for begin, node, last in found if begin < end]


@phases.register
def _(node: Interpolate, step: int) -> list[Phase]:
    return phases(node._as_sequence(), step)


@phases.register
def _(node: Piecewise, step: int) -> list[Phase]:
    marks = node._marks()
    ends: list[int | None] = [*marks[1:], None]
    at = bisect_right(marks, step) - 1
    return [
        Phase(begin, Constant(value), end)
        for begin, value, end in zip(marks[at:], node.values[at:], ends[at:], strict=True)
    ]


@phases.register
def _(node: Shift, step: int) -> list[Phase]:
    if step + node.n < 0:
        return [Phase(0, Constant(node.schedule(0)), -node.n), Phase(-node.n, node.schedule, None)]
    return [phase.moved(-node.n) for phase in phases(node.schedule, step + node.n)]


@phases.register
def _(node: Stretch, step: int) -> list[Phase]:
    factor = Fraction(repr(node.factor))
    inner = int(step / factor)
    found = phases(node.schedule, inner)
    while half_up(found[0].begin * factor) > step and inner > 0:  # the boundary was rounded up, beyond this step
        inner -= 1
        found = phases(node.schedule, inner)
    while (end := found[0].end) is not None:
        if half_up(end * factor) <= half_up(found[0].begin * factor):
            return [Phase(0, node, None)]  # squeezed to no update: there are no phases to speak of
        if half_up(end * factor) > step:
            break
        found = phases(node.schedule, end)  # the boundary was rounded down, to this step or before it
    return _stretched_phases(found, factor)


def _stretched_phases(found: list[Phase], factor: Fraction) -> list[Phase]:
    stretched_ones = []
    for begin, node, end in found:
        first, last = half_up(begin * factor), None if end is None else half_up(end * factor)
        if end is None or last is None:
            stretched_ones.append(Phase(first, stretched(node, factor), None))
        elif first < last:
            stretched_ones.append(Phase(first, stretched(node, Fraction(last - first, end - begin)), last))
    return stretched_ones


@phases.register
def _(node: Staircase, step: int) -> list[Phase]:
    """The stairs of a decay without an end, which has no other phases. Stairs of a curve with an end only sample it."""
    begin = step // node.every * node.every
    if node.schedule.length is not None or not is_usable(node(begin)):
        return [Phase(0, node, None)]
    end = begin + node.every
    return [Phase(begin, Constant(node(begin)), end), Phase(end, moved(node, end), None)]


@phases.register
def _(node: Scale, step: int) -> list[Phase]:
    return [phase._replace(node=scaled_by(phase.node, node.factor)) for phase in phases(node.schedule, step)]


@phases.register
def _(node: Clip, step: int) -> list[Phase]:
    return [phase._replace(node=replace(node, schedule=phase.node)) for phase in phases(node.schedule, step)]


@phases.register
def _(node: Cycle, step: int) -> list[Phase]:
    """The rest of the cycle in progress (each of its own phases), and the cycles after it."""
    number, begin, end = _cycle_at(node, step)
    current = [phase.moved(begin) for phase in _cycle_phases(node, number, end - begin, step - begin)]
    if node.count is not None and number + 1 == node.count:
        holds_itself = not node.mirror and (node.schedule.length or END_OF_STEPS) <= node.period
        held = Constant(node(end)) if is_usable(node(end)) else moved(node, end)
        return current if holds_itself else [*_until(current, end), Phase(end, held, None)]
    if node.period_mult != 1:
        return [*_until(current, end), Phase(end, moved(node, end), None)]
    left = replace(node, count=node.count and node.count - number - 1)
    return [*_until(current, end), Phase(end, scaled_by(left, _power(node.value_mult, number + 1)), None)]


def _cycle_at(node: Cycle, step: int) -> tuple[int, int, int]:
    """The number of the cycle in progress (the last one, once all are over), its begin and its end."""
    length = node.period * (2 if node.mirror else 1)
    last = (node.count or END_OF_STEPS) - 1
    if node.period_mult == 1:
        number = min(step // length, last)
        return number, number * length, (number + 1) * length
    restarts = restart_steps(length, node.period_mult, node.count)
    number = min(bisect_right(restarts, step) - 1, len(restarts) - 2)
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
@stretched.register(Product)
@stretched.register(Sum)
def _(node: Schedule, factor: Fraction) -> Schedule:
    return with_children(node, [stretched(child, factor) for child in node._children()])


def with_children(node: Schedule, children: list[Schedule]) -> Schedule:
    """A node of BESIDE, of other children."""
    if isinstance(node, Scale):
        return scaled_by(children[0], node.factor)
    if isinstance(node, Clip):
        return replace(node, schedule=children[0])
    return Product(children) if isinstance(node, Product) else Sum(children)


# ---- Parts of a sequence ----


def cut(node: Schedule, steps: int | None) -> Iterator[Part]:
    """The first steps of a schedule, as parts that follow one another; what has parts within parts becomes flat."""
    stages: list[tuple[int, Schedule]]
    if isinstance(node, Sequence):
        stages = list(node._stages())
    elif isinstance(node, Piecewise):
        stages = [(begin, Constant(value)) for begin, value in zip(node._marks(), node.values, strict=True)]
    else:
        yield node, steps
        return
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
