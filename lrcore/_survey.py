"""What a schedule's values do over its first n steps: extremes, sum and jumps, without evaluating all of them.

(a) Long pieces of one curve are known by their ends, if it goes one way; if not (a rise times a fall), the
    extremes are sought from a grid by zooming in. Short pieces and rough ranges are scanned, in chunks that
    stay in the cache; rough ranges of more than SCANNED steps in all are sampled, and the result says so.
(b) A sum over a long piece is that of every s-th value, by the Euler-Maclaurin formula with an error in powers
    of s**2: six strides s, 2s, ..., 32s extrapolate to a stride of 1. Where the results with and without the
    finest stride disagree the range is halved, down to a stride of 1, which is the sum itself. So no curve's
    integral is written here, and bends and steep ends need nothing either.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcore import _anatomy, _check
from lrcore._pieces import CONSTANT, ROUGH, Piece
from lrcore.compose import Sequence, Staircase
from lrcore.curves import Constant, Cosine, Linear, Piecewise, Table
from lrcore.cycles import Cycle
from lrcore.functions import Map, Noise
from lrcore.schedule import LAST_STEP, Schedule

CHUNK = 1 << 15  # steps scanned together: 256 KiB, within the L2 cache
SHORT = 2048  # pieces up to this long are scanned whole
SCANNED = 3 << 23  # cheap values that are computed to scan rough ranges; if it took more, they are sampled
BLOCKS, BLOCK = 512, 1024  # of consecutive steps, for the rough ranges that are sampled; FEWEST for each
FEWEST = 16
WINDOW = 1024  # steps looked at around the end of a piece, where neighbours may differ by a rounding
CONTENDERS = 16  # pieces in which an extreme is sought, of those whose coarse values come closest to it
MAX_JUMPS = 4096  # in rough ranges: more of them are not looked for
STEEP_SHARE = 0.01  # of the largest magnitude: a smaller change between neighbours is no jump

F = NDArray[np.float64]
I = NDArray[np.int64]  # noqa: E741


class Extreme(NamedTuple):
    """A value, and the first step that has it."""

    value: float
    step: int


class Jump(NamedTuple):
    """Neighbours far apart: the values of `step - 1` and of `step`."""

    step: int
    before: float
    at: float


class Survey:
    """The first n steps of a schedule, n >= 1. Everything is found when first asked for."""

    def __init__(self, schedule: Schedule, n: int, *, jump: float = 10.0) -> None:
        self.schedule = schedule
        self.n = n
        self.jump = jump
        self._highest: Extreme | None = None
        self._lowest: Extreme | None = None
        self._sums: list[float] = []
        self._steep: set[int] = set()
        self._buffer = np.empty(CHUNK + 1)
        self._changes = np.empty(CHUNK)
        self._sizes = np.empty(CHUNK + 1)
        self._needed = np.empty(CHUNK)

    @cached_property
    def pieces(self) -> list[Piece]:
        """See `_anatomy.pieces`."""
        return _anatomy.pieces(self.schedule, self.n)

    @cached_property
    def is_sampled(self) -> bool:
        """Whether ranges were too long to be scanned: extremes, sum and jumps may then be missed there."""
        return sum(_scan_length(piece) for piece in self._rough) * max(_cost(self.schedule), 1) > SCANNED

    @property
    def highest(self) -> Extreme:
        """The largest value, and the first step that has it."""
        return self._extremes[0]

    @property
    def lowest(self) -> Extreme:
        """The smallest value, and the first step that has it."""
        return self._extremes[1]

    @property
    def scale(self) -> float:
        """The largest magnitude."""
        return max(abs(self.highest.value), abs(self.lowest.value))

    # ---- Scanning ----

    @cached_property
    def _rough(self) -> list[Piece]:
        return [piece for piece in self.pieces if piece.form == ROUGH]

    @cached_property
    def _long(self) -> list[Piece]:
        return [piece for piece in self.pieces if piece.form != ROUGH and piece.end - piece.begin > SHORT]

    @cached_property
    def _scan(self) -> tuple[list[float], list[Extreme], list[Extreme]]:
        """Sums and extremes of what is scanned, in order; jumps go to `_steep`."""
        sums: list[float] = []
        highs: list[Extreme] = []
        lows: list[Extreme] = []
        program = self.schedule._compiled()
        with np.errstate(over="ignore"):
            for begin, count, weight in self._chunks():
                first = max(begin - 1, 0)
                values = self._buffer[: count + begin - first]
                program.fill(first, values)
                inside = values[begin - first :]
                if weight:
                    sums.append(float(inside.sum()) * weight)
                high, low = int(inside.argmax()), int(inside.argmin())
                highs.append(Extreme(float(inside[high]), begin + high))
                lows.append(Extreme(float(inside[low]), begin + low))
                self._look_for_jumps(first, values, highs[-1].value, lows[-1].value)
        return sums, highs, lows

    def _look_for_jumps(self, first: int, values: F, high: float, low: float) -> None:
        least = STEEP_SHARE * max(abs(high), abs(low))
        if first:  # the first value belongs to the chunk before
            high, low = max(high, values[0]), min(low, values[0])
        if high - low < least or 0.0 < high / self.jump < low or values.size < 2 or len(self._steep) > MAX_JUMPS:
            return
        changes = np.subtract(values[1:], values[:-1], out=self._changes[: values.size - 1])
        if max(changes[changes.argmax()], -changes[changes.argmin()]) < least:
            return
        sizes = np.abs(values, out=self._sizes[: values.size])
        needed = np.maximum(sizes[1:], sizes[:-1], out=self._needed[: values.size - 1])
        needed *= 1.0 - 1.0 / self.jump - 1e-9  # less than values that are apart differ by, for a quick look
        at = np.flatnonzero(np.abs(changes, out=changes) >= np.maximum(needed, least, out=needed))
        self._steep.update((first + 1 + at[_are_apart(values[at], values[at + 1], self.jump)]).tolist())

    def _chunks(self) -> Iterator[tuple[int, int, float]]:
        """Begin, count and weight of the blocks to look at. Neighbouring pieces are scanned as one."""
        blocks = max(FEWEST, BLOCKS // max(len(self._rough), 1))
        begin = end = 0
        for piece in self.pieces:
            length = piece.end - piece.begin
            is_rough = piece.form == ROUGH
            if is_rough and (_scan_length(piece) < length or (self.is_sampled and length > blocks * BLOCK)):
                yield from _blocks(begin, end)
                yield from _samples(piece, blocks) if _scan_length(piece) == length else _one_period(piece)
                begin = end = piece.end
            elif is_rough or length <= SHORT:
                if end != piece.begin:
                    yield from _blocks(begin, end)
                    begin = piece.begin
                end = piece.end
        yield from _blocks(begin, end)

    # ---- Extremes ----

    @cached_property
    def _extremes(self) -> tuple[Extreme, Extreme]:
        _, highs, lows = self._scan
        return self._extreme(highs, 1), self._extreme(lows, -1)

    def _extreme(self, scanned: list[Extreme], sign: int) -> Extreme:
        best = _best(scanned, sign)
        contenders = self._contenders(sign)
        for _, place in sorted(contenders, reverse=True)[:CONTENDERS]:
            found = self._extreme_within(self._long[place], sign)
            best = _best([found] if best is None else [best, found], sign)
        assert best is not None, "a schedule of n >= 1 steps has pieces"
        return best

    def _contenders(self, sign: int) -> list[tuple[tuple[float, int], int]]:
        """Long pieces that may hold the extreme: their best value on a grid, earlier ones first, and their place."""
        if not self._long:
            return []
        begins = np.array([piece.begin for piece in self._long], dtype=np.int64)
        lasts = np.array([piece.end - 1 for piece in self._long], dtype=np.int64)
        steps = begins[:, None] + ((lasts - begins)[:, None] * _FRACTIONS).astype(np.int64)
        values = sign * self.schedule(steps)
        gaps = np.abs(np.diff(values, axis=1)).max(axis=1)  # by which a grid may miss the extreme, or a rounding
        known = np.array([piece.direction is not None for piece in self._long])
        best = values.max(axis=1)
        reach = best + np.where(known, 1e-12 * np.abs(best), gaps)
        return [((float(best[at]), -at), at) for at in np.flatnonzero(reach >= best.max()).tolist()]

    def _extreme_within(self, piece: Piece, sign: int) -> Extreme:
        begin, last = piece.begin, piece.end - 1
        if piece.form == CONSTANT:
            return Extreme(self.schedule(begin), begin)
        if piece.direction is None:
            return self._zoomed(begin, last, sign)
        if piece.direction != sign:
            return self._scanned(begin, min(begin + WINDOW, last), sign)
        end = self._scanned(max(begin, last - WINDOW), last, sign)
        first = bisect_left(range(begin, last), end.value * sign, key=lambda step: sign * self.schedule(step))
        early = self._scanned(max(begin, begin + first - WINDOW), begin + first, sign)
        return _best([early, end], sign) or end

    def _zoomed(self, begin: int, last: int, sign: int) -> Extreme:
        fractions = _FRACTIONS
        while last - begin > 2 * SHORT:
            steps = begin + ((last - begin) * fractions).astype(np.int64)
            at = int((sign * self.schedule(steps)).argmax())
            begin, last = int(steps[max(at - 1, 0)]), int(steps[min(at + 1, steps.size - 1)])
            fractions = _EVEN
        return self._scanned(begin, last, sign)

    def _scanned(self, begin: int, last: int, sign: int) -> Extreme:
        values = self.schedule.table(last - begin + 1, begin)
        at = int((sign * values).argmax())
        return Extreme(float(values[at]), begin + at)

    # ---- The sum ----

    @cached_property
    def total(self) -> float:
        """The sum of the values: updates times learning rate. It is not finite if float64 cannot hold it."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._total()

    def _total(self) -> float:
        sums = list(self._scan[0])
        panels: list[tuple[int, int]] = []  # begin and stride
        rests: list[tuple[int, int]] = []  # begin and end of a few steps, summed as they are
        halves: list[int] = []  # ends of ranges, of which panels count one half
        for piece in self._long:
            if piece.form == CONSTANT:
                sums.append(self.schedule(piece.begin) * (piece.end - piece.begin))
            else:
                until = _add_panels(panels, piece.begin, piece.end - 1)
                halves += [piece.begin, until]
                rests.append((until + 1, piece.end))
        if halves:
            sums.append(0.5 * _sum(self.schedule(np.array(halves)).tolist()))
            sums += [float(self.schedule.table(end - begin, begin).sum()) for begin, end in rests if begin < end]
            sums += self._extrapolated(np.array(panels, dtype=np.int64))
        return _sum(sums)

    def _extrapolated(self, panels: I) -> Iterator[float]:
        """The sum of each panel, its two ends counting half; panels that are not smooth enough are halved."""
        allowed = None
        while panels.size:
            begins, strides = panels[:, 0], panels[:, 1]
            values = self.schedule(begins[:, None] + strides[:, None] * np.arange(POINTS))
            sums, errors = _romberg(values, strides)
            if allowed is None:
                allowed = 1e-15 * float(np.abs(sums).sum())
            done = (errors <= np.maximum(1e-13 * np.abs(sums), allowed)) | (strides == 1) | ~np.isfinite(errors)
            if len(panels) > MAX_PANELS:
                done[:] = True
            yield from sums[done].tolist()
            begins, halved = begins[~done], strides[~done] // 2
            middles = begins + halved * (POINTS - 1)
            panels = np.concatenate([np.stack([begins, halved], 1), np.stack([middles, halved], 1)])

    # ---- Warm-up and tail ----

    @cached_property
    def warmup_steps(self) -> int | None:
        """Updates before the peak, if the values never fall on the way and rise at all; else None."""
        peak = self.highest
        way = [piece for piece in self.pieces if piece.begin < peak.step]
        if peak.step <= SHORT:
            steps = np.arange(peak.step + 1)
        elif any(piece.form == ROUGH for piece in way):
            return None
        else:  # the ends of each piece, and a grid for those that may go both ways
            ends = [at for piece in way for at in (piece.begin, min(piece.end, peak.step + 1) - 1)]
            steps = np.unique(np.concatenate([ends, np.linspace(0, peak.step, SHORT).astype(np.int64)]))
        values = self.schedule(steps)
        rises = (np.diff(values) >= -1e-15 * self.scale).all() and values[0] < peak.value
        return peak.step if rises else None

    @cached_property
    def tail(self) -> int:
        """The first step of the constant pieces with which the run ends; n if it does not end with one."""
        begin, last = self.n, self.schedule(self.n - 1)
        for piece in reversed(self.pieces):
            if piece.form != CONSTANT or self.schedule(piece.begin) != last:
                break
            begin = piece.begin
        return begin

    # ---- Jumps ----

    @cached_property
    def jumps(self) -> list[Jump]:
        """Neighbours whose values differ by the factor `jump` or more, in order.

        What is tiny beside the largest magnitude does not count, nor does a curve's own way from or to 0.
        """
        least = STEEP_SHARE * self.scale
        corners = [piece.begin for piece in self.pieces if piece.begin]
        inside = [at for piece in self._long for at in (piece.begin + 1, piece.end - 1)]
        steps = np.array(sorted({*corners, *inside, *self._steep}), dtype=np.int64)
        if not steps.size:
            return []
        before, at = self.schedule(steps - 1), self.schedule(steps)
        keep = (np.abs(at - before) >= least) & _are_apart(before, at, self.jump)
        steps, before, at = steps[keep], before[keep], at[keep]
        sudden = ~self._is_on_the_way(steps, at - before)
        return list(map(Jump._make, zip(*(part[sudden].tolist() for part in (steps, before, at)), strict=True)))

    def _is_on_the_way(self, steps: I, changes: F) -> NDArray[np.bool_]:
        """A curve that is as steep the update before or after: it comes from 0, say, or goes there."""
        earlier, later = np.maximum(steps - 2, 0), np.minimum(steps + 1, LAST_STEP)
        nearby = (self.schedule(steps - 1) - self.schedule(earlier), self.schedule(later) - self.schedule(steps))
        same_way = np.maximum(*(np.sign(changes) * change for change in nearby))
        found: NDArray[np.bool_] = same_way >= 0.25 * np.abs(changes)
        return found


def _sum(numbers: list[float]) -> float:
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # beyond float64, or infinities of both signs
        return sum(numbers)


def _are_apart(before: F, at: F, factor: float) -> NDArray[np.bool_]:
    """By a factor, or by their signs."""
    small, large = np.minimum(np.abs(before), np.abs(at)), np.maximum(np.abs(before), np.abs(at))
    return (small <= large / factor) & (large > 0.0) | (np.sign(before) * np.sign(at) < 0.0)


def _best(found: list[Extreme], sign: int) -> Extreme | None:
    return max(found, key=lambda extreme: (sign * extreme.value, -extreme.step), default=None)


# ---- What a user asks for ----

_check_n = _check.whole(1, LAST_STEP)
_check_steps_per_epoch = _check.whole(1)


def asked(schedule: Schedule, n: int | None, steps_per_epoch: int | None) -> tuple[int, int | None]:
    """The updates of the run, by default those of the schedule, and of an epoch, checked."""
    if not isinstance(schedule, Schedule):
        _check.refuse("schedule", "a schedule", schedule, TypeError)
    if n is None:
        n = schedule.length
        if not n:
            why = "never ends" if n is None else "holds one value"
            _check.refuse("n", f"the updates of the run, for this schedule {why}", None, TypeError)
        n = min(n, LAST_STEP)
    if steps_per_epoch is None:
        steps_per_epoch = schedule.steps_per_epoch
    else:
        steps_per_epoch = _check_steps_per_epoch("steps_per_epoch", steps_per_epoch)
    schedule(0)  # an unbound one says here what it lacks
    return _check_n("n", n), steps_per_epoch


# ---- Grids ----

_HALVING = 0.5 ** np.arange(1.0, 24.0)
_EVEN = np.linspace(0.0, 1.0, 65)
_FRACTIONS = np.unique(np.concatenate([_EVEN[::4], _HALVING, 1.0 - _HALVING]))  # close at both ends: see the first grid


def _blocks(begin: int, end: int, weight: float = 1.0) -> Iterator[tuple[int, int, float]]:
    for start in range(begin, end, CHUNK):
        yield start, min(CHUNK, end - start), weight


def _samples(piece: Piece, blocks: int) -> Iterator[tuple[int, int, float]]:
    """Blocks spread evenly, each at another place of its share, so that no period hides; and both ends."""
    length = piece.end - piece.begin
    share = length // blocks
    yield from _blocks(piece.begin, piece.begin + min(CHUNK, length), 0.0)
    for number in range(blocks):
        place = (number * 0.6180339887498949) % 1.0
        yield piece.begin + number * share + int(place * (share - BLOCK)), BLOCK, length / (blocks * BLOCK)
    yield piece.end - BLOCK, BLOCK, 0.0


def _scan_length(piece: Piece) -> int:
    length = piece.end - piece.begin
    return min(length, piece.period + length % piece.period) if piece.period else length


def _one_period(piece: Piece) -> Iterator[tuple[int, int, float]]:
    """The first period for all of them, the step to the second, and what is left over at the end."""
    count = (piece.end - piece.begin) // piece.period
    yield from _blocks(piece.begin, piece.begin + piece.period, count)
    yield piece.begin + piece.period, 1, 0.0
    yield from _blocks(piece.begin + count * piece.period, piece.end)


_COSTS = {Constant: 0, Cosine: 1, Linear: 1, Noise: 40, Piecewise: 1, Staircase: 1, Table: 1}


def _cost(schedule: Schedule) -> int:
    """What a value takes, in cheap ones: those of all factors of a product, but of one part of a sequence."""
    known = _COSTS.get(type(schedule))
    if known is not None:
        return known
    costs = [_cost(child) for child in schedule._children()] or [2]
    if isinstance(schedule, Sequence):
        return max(costs)
    own = 50 // schedule._first_length() if isinstance(schedule, Cycle) else 4 * isinstance(schedule, Map)
    return max(sum(costs) + own, 1)


# ---- Extrapolation ----

LEVELS = 6
MAX_PANELS = 1 << 16  # halved at once; no curve needs more than some hundred
POINTS = (1 << (LEVELS - 1)) + 1


def _trapezoids() -> F:
    """A column for each level: every 2**level-th value, the two ends counting half, times 2**level."""
    weights = np.zeros((POINTS, LEVELS))
    for level in range(LEVELS):
        weights[:: 1 << level, level] = 1 << level
    weights[[0, -1]] *= 0.5
    return weights


_TRAPEZOIDS = _trapezoids()


def _add_panels(panels: list[tuple[int, int]], begin: int, last: int) -> int:
    """Panels from `begin` to close before `last`, short ones at both ends; returns where they end."""
    width = POINTS - 1
    units = (last - begin) // width
    for stride in [*_graded(units // 2), *reversed(_graded(units - units // 2))]:
        panels.append((begin, stride))
        begin += stride * width
    return begin


def _graded(units: int) -> list[int]:
    """Powers of two with this sum: 1, 2, 4, ..., and the digits of what is left."""
    rising = (units + 1).bit_length() - 1
    rest = units - ((1 << rising) - 1)
    return [1 << k for k in range(rising)] + [1 << k for k in reversed(range(rest.bit_length())) if rest >> k & 1]


def _romberg(values: F, strides: I) -> tuple[F, F]:
    """Sums over all steps from first to last value, both counting half, and how far off they may be."""
    spans = values @ _TRAPEZOIDS
    rows = [strides * spans[:, level] for level in range(LEVELS)]
    squares = [(strides << level).astype(np.float64) ** 2 for level in range(LEVELS)]
    without_finest = rows[0]
    for width in range(1, LEVELS):
        if width == LEVELS - 1:
            without_finest = rows[1]
        rows = [
            rows[at] + (rows[at + 1] - rows[at]) * ((1.0 - squares[at]) / (squares[at + width] - squares[at]))
            for at in range(LEVELS - width)
        ]
    return rows[0], np.abs(rows[0] - without_finest)
