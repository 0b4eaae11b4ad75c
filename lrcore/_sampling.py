"""Which steps of a schedule a picture needs: its corners, and all that a pixel would hide between them.

(a) A run of up to MOST updates is evaluated whole, in pieces that stay in the processor's cache. Each bucket of steps
    (about a pixel) gives its first and last step, those of its smallest and largest value, and those around its
    largest rise and fall. So a spike of one update is drawn wherever it stands, and a jump is as steep as it is.
(b) A longer run is looked at near its corners, which the tree of the schedule knows, and at SAMPLE steps that are
    spread so unevenly that no cycle hides between them.
(c) What is drawn is the schedule's own value at a step of its own. Only a jump gets a vertex that is neither: the old
    value, where the new one begins. See `outline`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcore._check import END_OF_STEPS
from lrcore.schedule import Schedule

MOST = 2**27  # steps that are looked at one by one, in about half a second
SAMPLE = 2**19  # steps that are looked at of more
CHUNK = 2**15  # values evaluated at a time: with their differences they fit into 1 MB
EACH = 4  # a run of up to so many updates a pixel is drawn whole
GOLDEN = (5**0.5 - 1) / 2  # its multiples, without their whole part, are spread most evenly
JUMP = 4.0  # a difference so many times as large as those beside it is a jump

Steps = NDArray[np.int64]
Values = NDArray[np.float64]


class Curve(NamedTuple):
    """What is drawn of a schedule: steps, its values there, and whether the value jumps on the way to each."""

    steps: Steps
    values: Values
    jumps: NDArray[np.bool_]


def sampled(schedule: Schedule, n: int, width: int, corners: Steps | None = None) -> Steps:
    """The steps to draw of the first n, in order, for a picture of so many pixels."""
    if n <= EACH * width:
        return np.arange(n, dtype=np.int64)
    marked = _marked(corners, n)
    if n <= MOST:
        found = [*_extremes(schedule, n, min(-(-n // width), CHUNK))]
        found += [marked] if len(marked) <= EACH * width else []  # more of them than pixels: (a) has what shows
    else:
        pool = _distinct(np.concatenate([_spread(n, SAMPLE), marked]))
        found = [_extremes_among(pool, schedule(pool), pool // -(-n // width))]
        found += [marked] if len(marked) <= EACH * width else []
    return _distinct(np.concatenate([np.array([0, n - 1], np.int64), *found]))


def curve(schedule: Schedule, steps: Steps) -> Curve:
    """The schedule at these steps, which increase."""
    values = schedule(steps)
    jumps = np.zeros(len(steps), np.bool_)
    at = np.flatnonzero(np.diff(steps) == 1)
    at = at[values[at] != values[at + 1]]
    jumps[at + 1] = _is_jump(schedule, steps[at])
    return Curve(steps, values, jumps)


def outline(drawn: Curve) -> tuple[Steps, Values]:
    """The line through a curve's points: straight, but where the value jumps it goes there at the old value first."""
    at = np.flatnonzero(drawn.jumps)
    return np.insert(drawn.steps, at, drawn.steps[at]), np.insert(drawn.values, at, drawn.values[at - 1])


def _is_jump(schedule: Schedule, steps: Steps) -> NDArray[np.bool_]:
    """Whether the difference from each step to the next stands out: no neighbour goes the same way, about as far."""
    around = np.clip(steps[:, None] + np.arange(-1, 3), 0, END_OF_STEPS - 1)
    before, here, after = np.diff(schedule(around), axis=1).T
    same = np.sign(here)
    return np.asarray(JUMP * np.maximum(before * same, after * same) < np.abs(here))


# ---- Which steps ----


def _distinct(steps: Steps) -> Steps:
    """In order, each once."""
    return np.unique(steps)


def _marked(corners: Steps | None, n: int) -> Steps:
    """The corners of the run, and the steps before them."""
    if corners is None or not len(corners):
        return np.empty(0, np.int64)
    steps = np.asarray(corners, np.int64)
    steps = np.concatenate([steps - 1, steps])
    return steps[(0 <= steps) & (steps < n)]


def _extremes(schedule: Schedule, n: int, size: int) -> Iterator[Steps]:
    """Of each bucket of so many steps: first, last, smallest, largest, and both ends of the largest rise and fall."""
    stride = CHUNK // size * size
    buffer, gaps = np.empty(stride + 1), np.empty(stride)
    for start in range(0, n, stride):
        count = min(stride, n - start)
        known = min(count + 1, n - start)
        values = schedule.table(known, start, out=buffer[:known])
        np.subtract(values[1:], values[:-1], out=gaps[: known - 1])
        gaps[known - 1 : count] = 0.0
        whole = count // size * size
        for begin, end, columns in ((0, whole, size), (whole, count, count - whole)):
            if begin < end:
                shape = (-1, columns)
                yield start + begin + _of_rows(values[begin:end].reshape(shape), gaps[begin:end].reshape(shape))


def _of_rows(values: Values, gaps: Values) -> Steps:
    rows, columns = values.shape
    rise, fall, none = gaps.argmax(axis=1), gaps.argmin(axis=1), np.zeros(rows, np.int64)
    found = [none, values.argmin(axis=1), values.argmax(axis=1), rise, rise + 1, fall, fall + 1, none + columns - 1]
    last = rows * columns - 1  # a step after that is the first of the next piece, which draws it
    return np.asarray(np.minimum(np.stack(found) + columns * np.arange(rows), last).reshape(-1), np.int64)


def _spread(n: int, count: int) -> Steps:
    """One step of each of `count` equal parts of the run, never at the same place of two neighbours."""
    parts = np.arange(count, dtype=np.int64)
    steps = (parts + (parts * GOLDEN) % 1.0) * (n / count)
    return np.minimum(steps.astype(np.int64), n - 1)


def _extremes_among(steps: Steps, values: Values, buckets: Steps) -> Steps:
    """Of the steps in each bucket: first, last, smallest and largest."""
    order = np.lexsort((values, buckets))
    begins = np.flatnonzero(np.diff(buckets, prepend=-1))
    ends = np.append(begins[1:], len(steps)) - 1
    return np.concatenate([steps[begins], steps[ends], steps[order[begins]], steps[order[ends]]])
