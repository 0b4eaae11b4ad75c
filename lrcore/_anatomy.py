"""What a schedule is made of over a range of steps: where its pieces begin, and what is known of each.

What a piece is, the walk over a tree and the pieces of the leaves are in _pieces.py; here is what the combinators do to
them. Both follow notes (a) to (c) there.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcore import _pieces
from lrcore._check import END_OF_STEPS
from lrcore._pieces import (
    CONSTANT,
    RANK,
    ROUGH,
    SMOOTH,
    Piece,
    Walk,
    few,
    first_label,
    last_not_after,
    pieces_of,
    rough,
)
from lrcore._rows import bounded_scale, rounded, scaled
from lrcore.compose import Clip, Product, Scale, Sequence, Shift, Staircase, Stretch, Sum
from lrcore.cycles import Cycle, restart_steps
from lrcore.functions import Map, Noise
from lrcore.schedule import Schedule


def pieces(schedule: Schedule, n: int) -> list[Piece]:
    """The pieces of the first n steps."""
    return Walk().over(schedule, 1.0, 0, n)


def first_piece(schedule: Schedule, begin: int, end: int) -> Piece:
    """The piece that holds step `begin`, as far as `end`. What comes long after it is not walked."""
    stop = begin
    while True:
        stop = min(begin + 64 * max(stop - begin, 1), end)
        found = Walk().over(schedule, 1.0, begin, stop)[0]
        if found.end < stop or stop == end:
            return found


def is_restart(schedule: Schedule, step: int) -> bool:
    """Whether a cycle starts again at a step. Also answers where corners are too dense to be listed."""
    return Walk().over(schedule, 1.0, step, step + 1)[0].label == "restart"


class Corners(NamedTuple):
    """Where a schedule changes its course: between two corners, outside of `rough` ranges, it is one smooth curve."""

    steps: NDArray[np.int64]  # sorted, each once; step 0 first
    labels: tuple[str, ...]  # one a step: see LABELS
    rough: tuple[tuple[int, int], ...]  # ranges [begin, end) whose corners are too dense to be listed


def corners(schedule: Schedule, n: int) -> Corners:
    """The steps below n at which a piece of a schedule begins.

    Args:
        schedule: any bound schedule.
        n: steps, >= 0.

    Returns:
        `steps`, sorted, and `labels`, why a piece begins there: "start" (step 0), "boundary" (a part of a
        Sequence, a value of a Piecewise, a point of an Interpolate, the end of what a Shift holds),
        "restart" (a cycle), "turn" (a mirrored cycle goes back), "bend" (a curve begins to move), "end" (a
        curve has ended and holds), "clip" (a bound takes hold, or lets go), "stair", "entry" (a value of a
        Table). `rough` are ranges with more corners than MAX_PIECES, of which only the first is listed:
        draw them from their values.
    """
    found = pieces(schedule, n)
    return Corners(
        np.array([piece.begin for piece in found], dtype=np.int64),
        tuple(piece.label for piece in found),
        tuple((piece.begin, piece.end) for piece in found if piece.form == ROUGH),
    )


# ---- Parts and cycles ----


def _inner(
    walk: Walk, child: Schedule, scale: float, at: int, begin: int, end: int, label: str | None
) -> Iterator[Piece]:
    """A child that begins at step `at`, over the parent's steps [begin, end); `label` says what its begin is."""
    for piece in walk.over(child, scale, begin - at, end - at):
        moved = piece.moved(at)
        yield moved._replace(label=label) if label and piece.begin == 0 else moved


@pieces_of.register
def _sequence(node: Sequence, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    stages = list(node._stages())
    first = last_not_after(begin, len(stages), lambda at: scaled(stages[at][0], scale))
    for at in range(first, len(stages)):
        mark, child = stages[at]
        start = scaled(mark, scale)
        if start >= end:
            return
        is_last = at + 1 == len(stages)
        stop = end if is_last else scaled(stages[at + 1][0], scale)
        if max(start, begin) >= stop:
            continue
        inner = scale
        if scale != 1.0 and not is_last:
            inner = bounded_scale((stop - start) / (stages[at + 1][0] - mark))
        label = "boundary" if start else None
        yield from _inner(walk, child, inner, start, max(start, begin), min(stop, end), label)


class Intervals:
    """Stairs, or cycles of one length, under a time scale: the twins of lr_interval_begin and lr_interval_of."""

    def __init__(self, unit: int, scale: float) -> None:
        self.unit = unit
        self.stretched = None if scale == 1.0 else max(unit * scale, 1.0)

    def begin(self, k: int) -> int:
        return k * self.unit if self.stretched is None else rounded(k * self.stretched)

    def of(self, step: int) -> int:
        if self.stretched is None:
            return step // self.unit
        k = int((step + 0.5) / self.stretched)
        while k > 0 and self.begin(k) > step:
            k -= 1
        while self.begin(k + 1) <= step:
            k += 1
        return k


def _cycle_bounds(node: Cycle, scale: float, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the cycles that reach into [begin, end)."""
    if node.period_mult != 1:
        marks = restart_steps(node._first_length(), node.period_mult, node.count)
        first = last_not_after(begin, len(marks) - 1, lambda at: scaled(marks[at], scale))
        for k in range(first, len(marks) - 1):
            if scaled(marks[k], scale) >= end:
                return
            yield k, scaled(marks[k], scale), scaled(marks[k + 1], scale)
        return
    cycles = Intervals(node._first_length(), scale)
    first, last = cycles.of(begin), cycles.of(end - 1)
    if node.count is not None:
        first, last = min(first, node.count - 1), min(last, node.count - 1)
    if not _is_repeated(node, scale, end - begin):
        few(last - first)
    for k in range(first, last + 1):
        yield k, cycles.begin(k), cycles.begin(k + 1)


@pieces_of.register
def _cycle(node: Cycle, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    over = begin
    whole: dict[tuple[float, int], list[Piece]] = {}  # cycles of one scale and length are the same
    for k, start, stop in _cycle_bounds(node, scale, begin, end):
        over = max(start, begin)
        if over >= stop:
            continue
        inner = 1.0
        if scale != 1.0 or node.period_mult != 1:
            inner = bounded_scale((stop - start) / node._first_length())
        if _is_repeated(node, scale, end - over):
            over = min(end, node._length(scale) or end)
            yield _repeated(walk.over(node.schedule, inner, 0, stop - start), start, stop - start, begin, over)
            break
        length = stop - start
        if begin <= start and stop <= end:
            if (inner, length) not in whole:
                whole[inner, length] = list(_one_cycle(node, walk, inner, length, 0, length))
            found = whole[inner, length]
        else:
            found = list(_one_cycle(node, walk, inner, length, over - start, min(stop, end) - start))
        for piece in found:
            label = "restart" if k and piece.begin == 0 else piece.label
            yield Piece(piece.begin + start, piece.end + start, *piece[2:5], label, piece.period)
        over = stop
    if over < end:
        yield Piece(over, end, CONSTANT, 0, False, "end" if over == node._length(scale) else "inside")


def _is_repeated(node: Cycle, scale: float, steps: int) -> bool:
    """Whether the cycles are the same, of a whole length, and too many to be told apart."""
    length = max(node._first_length() * scale, 1.0)
    return (
        node.period_mult == 1
        and node.value_mult == 1.0
        and length == int(length)
        and steps > _pieces.MAX_PIECES * length
    )


def _repeated(one: list[Piece], start: int, period: int, begin: int, end: int) -> Piece:
    label = first_label(begin) if start < begin or not start else "restart"
    return Piece(begin, end, ROUGH, None, all(piece.positive for piece in one), label, period)


def _one_cycle(node: Cycle, walk: Walk, scale: float, length: int, begin: int, end: int) -> Iterator[Piece]:
    """Steps [begin, end) of a cycle of some length, from its own begin."""
    half = (length + 1) // 2 if node.mirror else length
    yield from walk.over(node.schedule, scale, begin, min(end, half))
    back = walk.over(node.schedule, scale, length - end + 1, length - max(begin, half) + 1)
    for piece in reversed(back):
        mirrored = (length - piece.end + 1, length - piece.begin + 1)
        way = None if piece.direction is None else -piece.direction
        label = "turn" if mirrored[0] == half else "inside" if piece is back[-1] else "boundary"
        yield Piece(*mirrored, piece.form, way, piece.positive, label)


# ---- Side by side ----


def _side_by_side(found: list[list[Piece]]) -> Iterator[list[Piece]]:
    """Each range over which none of the lists begins a new piece, as the pieces that hold there."""
    places = [0] * len(found)
    at, end = found[0][0].begin, found[0][-1].end
    while at < end:
        here = [pieces_[place] for pieces_, place in zip(found, places, strict=True)]
        stop = min(piece.end for piece in here)
        labels = [piece.label if piece.begin == at else "inside" for piece in here]
        label = min(labels, key=RANK.__getitem__)
        yield [piece._replace(begin=at, end=stop, label=label) for piece in here]
        places = [place + (piece.end == stop) for place, piece in zip(places, here, strict=True)]
        at = stop


def _combined(here: list[Piece], direction: int | None, positive: bool) -> Piece:
    forms = {piece.form for piece in here}
    form = ROUGH if ROUGH in forms else SMOOTH if SMOOTH in forms else CONSTANT
    way = 0 if form == CONSTANT else direction
    moving = [piece for piece in here if piece.form != CONSTANT]
    period = moving[0].period if len(moving) == 1 else 0
    return Piece(here[0].begin, here[0].end, form, way, positive, here[0].label, period)


def _common_direction(here: list[Piece]) -> int | None:
    """Of nonnegative factors, or of terms, that all go one way."""
    ways = {piece.direction for piece in here} - {0}
    return ways.pop() if len(ways) == 1 else None if ways else 0


@pieces_of.register
def _sum(node: Sum, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    for here in _side_by_side([walk.over(child, scale, begin, end) for child in node._children()]):
        yield _combined(here, _common_direction(here), all(piece.positive for piece in here))


@pieces_of.register
def _product(node: Product, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    for here in _side_by_side([walk.over(child, scale, begin, end) for child in node._children()]):
        positive = all(piece.positive for piece in here)
        yield _combined(here, _common_direction(here) if positive or len(here) == 1 else None, positive)


# ---- One schedule, seen differently ----


@pieces_of.register
def _scale(node: Scale, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    sign = (node.factor > 0.0) - (node.factor < 0.0)
    for piece in walk.over(node.schedule, scale, begin, end):
        way = None if piece.direction is None else piece.direction * sign
        yield piece._replace(direction=way, positive=piece.positive and sign >= 0)


@pieces_of.register
def _stretch(node: Stretch, walk: Walk, scale: float, begin: int, end: int) -> list[Piece]:
    return walk.over(node.schedule, bounded_scale(scale * node.factor), begin, end)


@pieces_of.register
def _shift(node: Shift, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    by = int(math.copysign(rounded(abs(node.n) * scale), node.n))
    start, stop = max(-by, begin), min(END_OF_STEPS - by, end)
    if begin < start:
        is_positive = walk.over(node.schedule, scale, 0, 1)[0].positive
        yield Piece(begin, min(start, end), CONSTANT, 0, is_positive, first_label(begin))
    label = "boundary" if by < 0 else None
    for piece in walk.over(node.schedule, scale, start + by, stop + by):
        moved = piece.moved(-by)
        if moved.begin == 0:
            moved = moved._replace(label="start")
        yield moved._replace(label=label) if label and piece.begin == 0 else moved
    if stop < end:
        yield Piece(max(stop, begin), end, CONSTANT, 0, False, "end" if stop >= begin else "inside")


@pieces_of.register
def _staircase(node: Staircase, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    """Within a constant piece of the schedule the stairs are one; within another each is one, if they are few."""
    stairs = Intervals(node.every, scale)
    at = stairs.of(begin)
    before = stairs.begin(at - 1) if at else -1  # a constant that has held since then makes no stair of this one
    for piece in walk.over(node.schedule, scale, max(before, 0), end):
        after = at if stairs.begin(at) >= piece.end else stairs.of(piece.end - 1) + 1
        if after == at:  # no stair begins in it, so none shows it
            continue
        start, stop = max(stairs.begin(at), begin), min(stairs.begin(after), end)
        first, at = at, after
        is_begin = stairs.begin(first) == start
        label = "start" if start == 0 else "stair" if is_begin else "inside"
        if piece.form == CONSTANT:
            kept = piece.label if is_begin and piece.begin == start else label
            yield piece._replace(begin=start, end=stop, label="inside" if piece.begin <= before else kept)
        elif after - first > _pieces.MAX_PIECES:
            yield rough(start, stop, piece.direction, piece.positive, label)
        else:
            yield from _stairs(stairs, first, after, piece.positive, begin, end)


def _stairs(stairs: Intervals, first: int, after: int, positive: bool, begin: int, end: int) -> Iterator[Piece]:
    for k in range(first, after):
        start, stop = stairs.begin(k), min(stairs.begin(k + 1), end)
        label = "inside" if start < begin else "stair" if start else "start"
        yield Piece(max(start, begin), stop, CONSTANT, 0, positive, label)


@pieces_of.register
def _clip(node: Clip, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    """A piece that goes one way is cut where a bound takes hold, or lets go."""
    lowest_is_positive = node.min is not None and node.min >= 0.0
    inner = _evaluable(node.schedule, scale)
    found = walk.over(node.schedule, scale, begin, end)
    for piece in found:
        positive = piece.positive if node.max is None or node.max >= 0.0 else False
        kept = piece._replace(positive=positive or lowest_is_positive)
        if inner is None or piece.form != SMOOTH or not piece.direction or len(found) > 64:
            yield kept
        else:
            yield from _clipped(inner, node, kept)


def _clipped(inner: Schedule, node: Clip, piece: Piece) -> Iterator[Piece]:
    rises = piece.direction == 1
    first, second = (node.min, node.max) if rises else (node.max, node.min)

    def is_past(bound: float | None, step: int) -> bool:
        """The bound does not hold yet (the first), or holds already (the second)."""
        value = inner(step)
        return bound is not None and (value >= bound if rises else value <= bound)

    steps = range(piece.begin, piece.end)
    enters = piece.begin
    if first is not None:
        enters += bisect_right(steps, False, key=lambda step: is_past(first, step))
    leaves = piece.end
    if second is not None:
        leaves = piece.begin + bisect_right(steps, False, key=lambda step: is_past(second, step))
    label = piece.label
    for begin, end, form in ((piece.begin, enters, CONSTANT), (enters, leaves, SMOOTH), (leaves, piece.end, CONSTANT)):
        if begin < end:
            way = piece.direction if form == SMOOTH else 0
            yield piece._replace(begin=begin, end=end, form=form, direction=way, label=label)
            label = "clip"


def _evaluable(node: Schedule, scale: float) -> Schedule | None:
    """The node as it stands under a time scale, for its values; None for scales that no user can write."""
    return node if scale == 1.0 else Stretch(node, scale) if 1e-9 <= scale <= 1e9 else None


# ---- Functions of values, and noise ----


@pieces_of.register
def _noise(_node: Noise, _walk: Walk, _scale: float, begin: int, end: int) -> list[Piece]:
    return [rough(begin, end, label=first_label(begin))]


@pieces_of.register
def _map(node: Map, walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    """All functions but the cosine go one way."""
    sign = -1 if node.power < 0.0 else 1
    inner = _evaluable(node.schedule, scale)
    for piece in walk.over(node.schedule, scale, begin, end):
        positive = node.function in ("cosine", "exp", "power") or (node.function == "tanh" and piece.positive)
        way = None if piece.direction is None else sign * piece.direction
        mapped = piece._replace(direction=way, positive=positive)
        if node.function != "cosine" or piece.form == CONSTANT:
            yield mapped
        elif inner is None or piece.form == ROUGH or not way:
            yield mapped._replace(direction=None)
        else:
            yield from _half_waves(inner, mapped, way)


def _half_waves(inner: Schedule, piece: Piece, way: int) -> Iterator[Piece]:
    """The cosine turns wherever the values that it is taken of pass a whole number."""
    first, last = way * inner(piece.begin), way * inner(piece.end - 1)
    if not max(abs(first), abs(last)) < 1e6 or last - first > 32.0:
        yield piece._replace(form=ROUGH, direction=None)
        return
    begin, label, steps = piece.begin, piece.label, range(piece.begin, piece.end)
    for next_wave in range(math.floor(first) + 1, max(math.floor(last), math.floor(first)) + 2):
        end = piece.begin + bisect_left(steps, True, key=lambda step: way * inner(step) >= next_wave)
        if begin < end:
            yield piece._replace(begin=begin, end=end, direction=-1 if next_wave % 2 else 1, label=label)
            begin, label = end, "turn"
    if begin < piece.end:
        yield piece._replace(begin=begin, direction=None, label=label)
