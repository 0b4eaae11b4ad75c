"""The pieces of a range of steps: what is told of each, the walk over a tree, and the pieces of the leaves.

What the combinators do to them is in _anatomy.py, which also has what others ask for.

(a) The walk follows the tree as the engine does, with the same rounding of durations under a time scale
    (_nodes.h), so a corner stands exactly where the value changes its course. It evaluates next to nothing.
(b) A leaf is monotone: the engine lets no value leave the interval of its end points. A new curve therefore
    needs nothing here; one that bends (InverseSqrt) may say so. A combinator that is not known here counts
    as rough, which is slow but never wrong.
(c) Where corners are dense (short cycles over a long run, stairs of a few updates, long tables) a range is
    left rough: whoever asks for its values scans it with the engine.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from lrcore._rows import scaled
from lrcore.curves import Interpolate, Piecewise, Table
from lrcore.decays import InverseSqrt
from lrcore.schedule import LAST_STEP, Schedule

MAX_PIECES = 2048  # more of them in a range are scanned faster than they are told apart
MAX_EFFORT = 8 * MAX_PIECES  # pieces made in all, those of ranges that turned out to be rough included

# Why a piece begins. Where several say so at one step, the first of these is told.
LABELS = ("restart", "boundary", "turn", "bend", "end", "clip", "stair", "entry", "start", "inside")
RANK = {label: rank for rank, label in enumerate(LABELS)}

CONSTANT, SMOOTH, ROUGH = "constant", "smooth", "rough"


class Piece(NamedTuple):
    """Steps [begin, end), and what is known of the values there."""

    begin: int
    end: int
    form: str  # CONSTANT, SMOOTH: one curve (or a product or sum of curves), ROUGH: anything
    direction: int | None  # 1: rises, -1: falls, 0: constant, None: not known; its extremes are at its ends if known
    positive: bool  # no value is below 0, as far as known
    label: str  # why it begins: see LABELS
    period: int = 0  # of a rough range: its values repeat after so many steps; 0: not as far as known

    def moved(self, by: int) -> Piece:
        return Piece(self.begin + by, self.end + by, *self[2:])


class _TooManyError(Exception):
    """A node has more pieces than it may: its range is rough."""


class Walk:
    """The pieces of any node over any range of its own time, within a budget of pieces."""

    def __init__(self) -> None:
        self._effort = MAX_EFFORT

    def over(self, node: Schedule, scale: float, begin: int, end: int) -> list[Piece]:
        """The pieces of [begin, end), in order, without gaps."""
        if begin >= end:
            return []
        made: list[Piece] = []
        try:
            for piece in pieces_of(node, self, scale, begin, end):
                made.append(piece)
                self._effort -= 1
                if len(made) > MAX_PIECES or self._effort < 0:
                    raise _TooManyError
        except _TooManyError:
            return [rough(begin, end, label=first_label(begin))]
        return made


def first_label(begin: int) -> str:
    return "inside" if begin else "start"


def rough(begin: int, end: int, direction: int | None = None, positive: bool = False, label: str = "inside") -> Piece:
    """A range that is not told apart."""
    return Piece(begin, end, ROUGH, direction, positive, label)


def constant(begin: int, end: int, value: float, label: str) -> Piece:
    return Piece(begin, end, CONSTANT, 0, value >= 0.0, label)


def few(count: float) -> None:
    """Gives a range up before its pieces are made, if there are too many."""
    if count > MAX_PIECES:
        raise _TooManyError


# ---- Leaves ----


@singledispatch
def pieces_of(node: Schedule, _walk: Walk, scale: float, begin: int, end: int) -> Iterable[Piece]:
    """A curve goes one way for its length, and holds. Of an unknown combinator nothing is known."""
    if node._children():
        return [rough(begin, end, label=first_label(begin))]
    return _curve(node, node._length(scale), begin, end)


def _curve(node: Schedule, length: int | None, begin: int, end: int) -> Iterator[Piece]:
    last = LAST_STEP if node.length is None else min(node.length, LAST_STEP)
    init_value, end_value = node(0), node(last)
    stop = end if length is None else min(max(length, begin), end)
    if begin < stop:
        way = (init_value < end_value) - (init_value > end_value)
        form = SMOOTH if way else CONSTANT
        yield Piece(begin, stop, form, way, min(init_value, end_value) >= 0.0, first_label(begin))
    if stop < end:
        label = "start" if stop == 0 else "end" if stop == length else "inside"
        yield constant(stop, end, end_value, label)


@pieces_of.register
def _inverse_sqrt(node: InverseSqrt, _walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    bend = max(1, scaled(node.steps, scale))
    if begin < bend:
        yield constant(begin, min(bend, end), node.init_value, first_label(begin))
    if bend < end:
        way = (node.init_value < 0.0) - (node.init_value > 0.0)
        form = SMOOTH if way else CONSTANT
        at = max(bend, begin)
        yield Piece(at, end, form, way, node.init_value >= 0.0, "bend" if at == bend else "inside")


def _held(
    begin_of: Callable[[int], int], value_of: Callable[[int], float], first: int, count: int, end: int, label: str
) -> Iterator[Piece]:
    """Values that hold from their own begin to that of the next; value `first` is the one that holds at `begin`."""
    for at in range(first, count):
        start, stop = begin_of(at), begin_of(at + 1) if at + 1 < count else end
        if start >= end:
            return
        if start < stop:
            yield constant(start, min(stop, end), value_of(at), "start" if start == 0 else label)


def _from(begin: int, found: Iterable[Piece]) -> Iterator[Piece]:
    """The same without what lies before `begin`."""
    for piece in found:
        if piece.begin >= begin:
            yield piece
        elif piece.end > begin:
            yield piece._replace(begin=begin, label="inside")


def last_not_after(step: int, count: int, begin_of: Callable[[int], int]) -> int:
    return max(bisect_right(range(count), step, key=begin_of) - 1, 0)


@pieces_of.register
def _piecewise(node: Piecewise, _walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    marks, values = node._marks(), node.values

    def begin_of(at: int) -> int:
        return scaled(marks[at], scale)

    first = last_not_after(begin, len(marks), begin_of)
    few(last_not_after(end, len(marks), begin_of) - first)
    return _from(begin, _held(begin_of, lambda at: values[at], first, len(marks), end, "boundary"))


@pieces_of.register
def _table(node: Table, _walk: Walk, scale: float, begin: int, end: int) -> Iterator[Piece]:
    values = np.asarray(node.values)
    last = values.size - 1

    def begin_of(at: int) -> int:
        return scaled(at, scale)

    first = last_not_after(begin, values.size, begin_of)
    until = last_not_after(end, values.size, begin_of)
    tail = begin_of(last)
    if until - first > MAX_PIECES and begin < tail:
        yield rough(begin, min(tail, end), label=first_label(begin))
        if tail < end:
            yield constant(tail, end, float(values[last]), "entry")
        return
    yield from _from(begin, _held(begin_of, lambda at: float(values[at]), first, values.size, end, "entry"))


@pieces_of.register
def _interpolate(node: Interpolate, walk: Walk, scale: float, begin: int, end: int) -> list[Piece]:
    return walk.over(node._as_sequence(), scale, begin, end)
