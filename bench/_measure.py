"""One line of the benchmark: what is timed, beside what, and how the two times become a verdict.

(a) Ours and the peer take turns in one process, first one and then the other in front, so that a change of
    the machine (clock, neighbours, heat) meets both. The verdict is taken from the best round of each: what
    disturbs a round only adds to it. The median of the rounds' ratios and their spread stand beside it; where
    they tell another story, the machine was not fit to measure on.
(b) Time is CPU time of the process, all its threads together: a process that has to wait for a core is not
    slower. Only lines about threads use the wall clock, take more rounds, and get no verdict on a machine
    whose cores were not free.
(c) Before anything is timed the two results are compared: a wrong answer has no speed.
(d) A peer is imported and set up by its first call. One that is missing leaves its line unmeasured, and the
    line says so.
(e) A peer that would take minutes does fewer items, and its time is taken for each of them. So each of both is
    timed as a cost per item, and the line says how many were the peer's.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]

SAMPLES = 100_001  # values compared of each result: both ends and what lies evenly between
FREE = 0.95  # the share of a core that a process gets which shares it with nobody
MORE_ROUNDS = 5  # times as many by the wall clock, for one to come through undisturbed
LEAST_ROUNDS = 3  # however long they take, unless a topic says otherwise
UNITS = {"ns": 1e9, "µs": 1e6, "ms": 1e3}


class Kind(Enum):
    """What a line's figure is."""

    COST = "ours over the peer's, at most the bound"
    SPEEDUP = "the peer's over ours, at least the bound"
    TIME = "ours alone, in the unit, at most the bound"


@dataclass(frozen=True)
class Line:
    """What is timed, and what it may cost.

    A call of `ours` or `peer` handles `count` items: values, or calls of something small. Without a bound a line is
    there for information. `expected` gives what `ours` should have put at some places of its result, where the peer
    computes something else. `tolerance` is of the largest value, and at so many places as `strays` says the peer may
    be wrong. `peer_count` are the items of a call of the peer, where they are fewer. `about` says where the line stands
    in a picture.
    """

    topic: str
    name: str
    ours: Callable[[], Any]
    count: int
    kind: Kind
    unit: str
    bound: float | None = None
    peer: Callable[[], Any] | None = None
    expected: Callable[[NDArray[np.int64]], NDArray[np.float64]] | None = None
    tolerance: float = 1e-12
    strays: int = 0
    by_wall_clock: bool = False
    note: str = ""
    peer_count: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def compared(self) -> int:
        """Items that both have."""
        return self.count if self.peer_count is None else min(self.count, self.peer_count)


class DisagreementError(Exception):
    """Ours and the peer's result are not the same numbers."""


def places(size: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, size - 1, min(size, SAMPLES)).astype(np.int64))


def check(line: Line) -> None:
    """Compares the results, which may lie in one buffer. It is the warm-up, too."""
    result = line.ours()
    if line.expected is None and line.peer is None:
        return
    at = places(line.compared)
    ours = np.array(result[at], dtype=np.float64)
    theirs = line.peer() if line.peer else None
    wanted = np.asarray(line.expected(at) if line.expected else theirs[at], dtype=np.float64)
    gaps = np.abs(ours - wanted) / np.max(np.abs(wanted))
    worst = int(np.argmax(gaps))
    if np.count_nonzero(~(gaps <= line.tolerance)) > line.strays:
        raise DisagreementError(f"{line.name}: ours {ours[worst]!r}, theirs {wanted[worst]!r} at {at[worst]}")


@dataclass(frozen=True)
class Timing:
    """Nanoseconds of each round, and the share of a core that the process got meanwhile."""

    ours: list[int]
    peer: list[int]
    share: float


def _timed(function: Callable[[], object], clock: Callable[[], int]) -> int:
    begin = clock()
    function()
    return clock() - begin


def take_turns(
    line: Line,
    rounds: int,
    clock: Callable[[], int] | None = None,
    longest: float = math.inf,
    least: int = LEAST_ROUNDS,
) -> Timing:
    """Ends after `rounds`, or when `longest` seconds have gone by and `least` rounds are done."""
    clock = clock or (time.perf_counter_ns if line.by_wall_clock else time.process_time_ns)
    ours: list[int] = []
    peer: list[int] = []
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for number in range(rounds):
        if number >= least and time.perf_counter_ns() - wall > longest * 1e9:
            break
        turns = [(line.ours, ours), (line.peer, peer)]
        for function, times in turns if number % 2 else reversed(turns):
            if function:
                times.append(_timed(function, clock))
    share = (time.process_time_ns() - cpu) / (time.perf_counter_ns() - wall)
    return Timing(ours, peer, share)


def _figures(line: Line, timing: Timing) -> tuple[float, list[float]]:
    """The figure of the best rounds, and that of each round."""
    if line.kind is Kind.TIME:
        each = [UNITS[line.unit] * 1e-9 * ns / line.count for ns in timing.ours]
        return min(each), each
    theirs = [ns * line.count / (line.peer_count or line.count) for ns in timing.peer]
    pairs = [(min(timing.ours), min(theirs)), *zip(timing.ours, theirs, strict=True)]
    ratios = [(ours / peer if line.kind is Kind.COST else peer / ours) for ours, peer in pairs]
    return ratios[0], ratios[1:]


def _spread(figures: list[float]) -> float:
    """The middle half of the rounds, as a share of their median."""
    if len(figures) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
    return (high - low) / middle


def _row(line: Line, ours: float | None, met: bool | None, note: str, **more: Any) -> Row:
    row = {
        "topic": line.topic,
        "line": line.name,
        "ours": ours,
        "unit": line.unit,
        "bound": line.bound,
        "least": line.kind is Kind.SPEEDUP,
        "met": met,
        "note": note,
    }
    if line.about:
        row["about"] = dict(line.about)
    return row | more


def judged(line: Line, timing: Timing) -> Row:
    """The row of the table and of the JSON. A bound holds for the figure, not for the figure as it is printed."""
    figure, figures = _figures(line, timing)
    met, note = None, line.note
    if line.by_wall_clock and timing.share < FREE:
        note = f"no verdict: others used the cores, we got {timing.share:.0%} of one"
    elif line.bound is not None:
        met = figure >= line.bound if line.kind is Kind.SPEEDUP else figure <= line.bound
    return _row(
        line,
        figure,
        met,
        note,
        median=statistics.median(figures),
        noise=_spread(figures),
        ours_ns=min(timing.ours) / line.count,
        peer_ns=min(timing.peer) / (line.peer_count or line.count) if timing.peer else None,
        core_share=timing.share,
        rounds=len(timing.ours),
    )


def measure(line: Line, rounds: int, longest: float = math.inf, least: int = LEAST_ROUNDS) -> Row:
    try:
        check(line)
    except ImportError as missing:
        return _row(line, None, None, f"not measured: {missing}")
    except DisagreementError as wrong:
        return _row(line, None, False, f"wrong: {wrong}")
    rounds *= MORE_ROUNDS if line.by_wall_clock else 1
    return judged(line, take_turns(line, rounds, longest=longest, least=least))


def measured(lines: Iterator[Line], rounds: int, longest: float = math.inf, least: int = LEAST_ROUNDS) -> Iterator[Row]:
    for line in lines:
        yield measure(line, rounds, longest, least)
