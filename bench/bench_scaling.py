"""What grows and what does not: with the number of pieces, of threads, of steps, and of an optimizer's groups.

Beside a peer at each size; and ours at a large size against ours at a small one, which says whether a cost is flat.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

import lrcore
from bench import _curves, _peers, bench_torch
from bench._curves import Run
from bench._measure import Kind, Line
from bench._peers import Floats
from lrcore import Schedule

PARTS = ("engine", "torch")
LONGEST = 6.0  # seconds of a line, beyond its first three rounds

PIECES, QUICK_PIECES = (1, 10, 100, 1000, 10_000), (1, 10, 100)
GROUPS, QUICK_GROUPS = (1, 10, 100, 1000), (1, 10)
LENGTHS, QUICK_LENGTHS = tuple(10**power for power in range(3, 10)), (10**3, 10**6, 10**7)
RUN, QUICK_RUN = 10_000_000, 100_000  # steps with pieces
LONG, QUICK_LONG = 50_000_000, 4_000_000  # steps by threads
BLOCK = 1 << 20  # through which steps are streamed
MOST_OF_PEER = 8 * BLOCK  # steps that NumPy streams
TAIL = 1000  # last values that are compared
HIGH, LOW = 0.1, 1e-5

FLAT = 1.5  # a large size, against a small one
SEARCH = 3.0  # a step among ten thousand pieces, against one: 13 comparisons
A_CORE = 0.85  # of each core, with a thread on it
AS_FAST, TWICE, COSINE = 0.9, 2.0, 8.0  # as NumPy: what memory limits; short curves; a cosine
BISECT = 0.5  # as fast as a bare search in a list, which takes any number and checks none


class Last:
    """A result of which only the last values are there: they stand for all."""

    def __init__(self, block: Floats) -> None:
        self._block = block

    def __getitem__(self, at: Any) -> Floats:
        return self._block[-1 - at % min(TAIL, self._block.size)]


NO_RESULT = Last(np.ones(1))


def _table(schedule: Schedule, out: Callable[[], Floats], threads: int = 1) -> Callable[[], Floats]:
    return lambda: schedule.table(out().size, out=out(), threads=threads)


def _line(series: str, size: int, **line: Any) -> Line:
    defaults: dict[str, Any] = {"topic": "scaling", "kind": Kind.SPEEDUP, "unit": "×"}
    return Line(**(defaults | {"about": {"series": series, "size": size}} | line))


def _flat(name: str, ours: Callable[[], Any], count: int, small: Callable[[], Any], of: int, bound: float) -> Line:
    """Ours of one size against ours of another one, a cost for each item."""
    no_result = lambda run: lambda: (run(), NO_RESULT)[1]  # noqa: E731
    return Line(
        topic="scaling",
        name=name,
        ours=no_result(ours),
        peer=no_result(small),
        count=count,
        peer_count=of,
        kind=Kind.COST,
        unit="×",
        bound=bound,
    )


# ---- Pieces ----


def _piecewise(run: int, count: int) -> tuple[Schedule, list[int], list[float]]:
    boundaries = [run * at // count for at in range(1, count)]
    values = np.linspace(HIGH, LOW, count).tolist()
    return (lrcore.Piecewise(boundaries, values) if count > 1 else lrcore.Constant(HIGH)), boundaries, values


def _by_slices(boundaries: list[int], values: list[float], out: Floats) -> Callable[[], Floats]:
    """NumPy in place: a fill for each piece."""
    parts = [out[begin:end] for begin, end in zip([0, *boundaries], [*boundaries, out.size], strict=True)]

    def run() -> Floats:
        for part, value in zip(parts, values, strict=True):
            part.fill(value)
        return out

    return run


def _stepping(function: Callable[[int], float], steps: list[int]) -> Callable[[], Floats]:
    def run() -> Floats:
        return np.array([function(step) for step in steps])

    return run


def _pieces(quick: bool) -> Iterator[Line]:
    counts, size = (QUICK_PIECES, QUICK_RUN) if quick else (PIECES, RUN)
    out, theirs = (cache(lambda: np.ones(size)) for _ in range(2))
    ramp = cache(lambda: np.arange(size, dtype=np.float64))
    steps = np.random.default_rng(5).integers(0, size, 2000 if quick else 50_000).tolist()
    tables, chains, calls = {}, {}, {}
    for count in counts:
        schedule, boundaries, values = _piecewise(size, count)
        each = size // count
        wave = lrcore.Cosine(HIGH, LOW, each)
        chain = lrcore.Sequence([*[(wave, each)] * (count - 1), wave]) if count > 1 else wave
        runs = [Run("cosine", each, HIGH, LOW, each)] * count
        tables[count], chains[count] = _table(schedule, out), _table(chain, out)
        calls[count] = _stepping(schedule, steps)
        what = f"{count:,} piece{'s' * (count > 1)}"
        slices = _peers.on_first_call(lambda b=boundaries, v=values: _by_slices(b, v, theirs()))
        yield _line(
            "pieces: a table of Piecewise",
            count,
            name=f"{what}, Piecewise, against NumPy's fill of each",
            ours=tables[count],
            peer=slices,
            count=size,
            bound=AS_FAST,
        )
        waves = _peers.on_first_call(lambda runs=runs: _curves.by_numpy(runs, ramp(), theirs()))
        yield _line(
            "pieces: a table of cosines in a Sequence",
            count,
            name=f"{what}, cosines in a Sequence, against careful NumPy",
            ours=chains[count],
            peer=waves,
            count=size,
            bound=TWICE,
        )
        search = lambda step, b=boundaries, v=values: v[bisect_right(b, step)]  # noqa: E731
        yield _line(
            "pieces: a step of Piecewise",
            count,
            name=f"{what}, schedule(step) of Piecewise, against bisect",
            ours=calls[count],
            peer=_stepping(search, steps),
            count=len(steps),
            bound=BISECT,
        )
    most, against = counts[-1], f"{counts[-1]:,} pieces against 1"
    yield _flat(f"flat: Piecewise, {against}", tables[most], size, tables[1], size, FLAT)
    yield _flat(f"flat: cosines in a Sequence, {against}", chains[most], size, chains[1], size, FLAT)
    yield _flat(f"flat: schedule(step), {against}", calls[most], len(steps), calls[1], len(steps), SEARCH)


# ---- Threads ----


def _threads(quick: bool) -> Iterator[Line]:
    """Up to twice as many as there are cores, which should be no slower than one a core."""
    size, cores = QUICK_LONG if quick else LONG, os.cpu_count() or 1
    out = cache(lambda: np.ones(size))
    schedule = lrcore.Cosine(HIGH, LOW, size)
    threads = 2
    while threads <= 2 * cores:
        yield _line(
            "threads: a table of Cosine",
            threads,
            name=f"Cosine, {threads} threads against one",
            ours=_table(schedule, out, threads),
            peer=_table(schedule, out),
            count=size,
            bound=A_CORE * min(threads, cores),
            tolerance=0.0,
            by_wall_clock=True,
        )
        threads *= 2


# ---- Steps ----


def _streaming(schedule: Schedule, steps: int, times: int, room: Callable[[], Floats]) -> Callable[[], Last]:
    def run() -> Last:
        block = room()
        for _ in range(times):
            for start in range(0, steps, BLOCK):
                block = room()[: steps - start]
                schedule.table(block.size, start, out=block)
        return Last(block)

    return run


def _streaming_by_numpy(steps: int, begin: int, times: int) -> Callable[[], Last]:
    """By blocks that stay in the cache."""
    ramp, room = np.arange(_peers.BLOCK, dtype=np.float64), np.ones(_peers.BLOCK)
    runs = [Run("cosine", steps, HIGH, LOW, steps)]

    def run() -> Last:
        for _ in range(times):
            *_, last = _curves.numpy_stream(runs, ramp, room, begin, steps)
        return Last(last)

    return run


def _lengths(quick: bool) -> Iterator[Line]:
    lengths, room = QUICK_LENGTHS if quick else LENGTHS, cache(lambda: np.ones(BLOCK))
    streams = {}
    for steps in lengths:
        times = max(1, BLOCK // steps)
        begin = max(0, steps - MOST_OF_PEER) // BLOCK * BLOCK
        streams[steps] = _streaming(lrcore.Cosine(HIGH, LOW, steps), steps, times, room)
        yield _line(
            "steps: a Cosine, streamed",
            steps,
            name=f"Cosine of {steps:,} steps, streamed, against careful NumPy",
            ours=streams[steps],
            peer=_peers.on_first_call(lambda s=steps, b=begin, t=times: _streaming_by_numpy(s, b, t)),
            count=steps * times,
            peer_count=(steps - begin) * times,
            bound=TWICE if steps < 100_000 else COSINE,
            note=f"its cost is that of the last {steps - begin:,} steps" if begin else "",
        )
    small, large = 10**6, lengths[-1]
    yield _flat(f"flat: Cosine, {large:,} steps against {small:,}", streams[large], large, streams[small], small, FLAT)


# ---- Groups ----


def _groups(quick: bool) -> Iterator[Line]:
    name, counts, steppers = "CosineAnnealingLR", QUICK_GROUPS if quick else GROUPS, {}
    for groups in counts:
        steps = max(20, (200 if quick else 20_000) // groups)
        ours = bench_torch.stepping(bench_torch.by_scheduler, name, groups, steps)
        steppers[groups] = (ours, steps * groups)
        yield _line(
            "groups: Scheduler.step()",
            groups,
            name=f"Scheduler.step() of {groups:,} group{'s' * (groups > 1)}, against torch",
            ours=ours,
            peer=bench_torch.stepping(bench_torch.by_torch, name, groups, steps),
            count=steps,
            bound=bench_torch.BOUNDS[100 if groups >= 100 else 1],
            tolerance=bench_torch.TOLERANCE,
        )
    many, few = counts[-1], 10
    title = f"flat: Scheduler.step() for each group, {many:,} groups against {few}"
    yield _flat(title, *steppers[many], *steppers[few], FLAT)


def lines(quick: bool = False, parts: tuple[str, ...] = PARTS) -> Iterator[Line]:
    if "engine" in parts:
        yield from _pieces(quick)
        yield from _threads(quick)
        yield from _lengths(quick)
    if "torch" in parts:
        yield from _groups(quick)
