"""What a peer's schedule is compared by: the real peer, run beside ours over random arguments and over its corners."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lrcore.dialects._dialect import PEERS

Trace = np.ndarray
Arguments = dict[str, Any]
TINY = 1e-300  # so that 0 beside 0 differs by 0


def always(_: Arguments) -> bool:
    """For `endless`."""
    return True


@dataclass(frozen=True)
class Row:
    """One peer schedule. A new one is one function in its dialect and one row in tests/dialects/test_<dialect>.py."""

    key: str  # as in PEERS: "torch.StepLR"
    peer: Callable[[Arguments, int], Trace]  # the learning rates that the real peer gives its first n updates
    arguments: Any  # a hypothesis strategy of Arguments, durations small
    run: Callable[[Arguments], int]  # the last step at which peer and ours agree without strict
    corners: tuple[Arguments, ...] = ()  # degenerate lengths and whatever else went wrong somewhere
    past: int = 0  # so many steps beyond the run are compared with strict=True
    dtype: type = np.float64  # what the peer computes in
    relative: float = 1e-12  # of the larger of the two values at each update, for a float64 peer
    floor: float = 4  # beside it, ulps of the run's largest value: what a float64 peer loses that subtracts (1 + cos,
    # 1 - t / T, a recursion of differences). 0 for a peer that only multiplies, whose smallest values count too
    past_floor: float = 4  # the same beyond the run, where what the peer computes with may have grown
    endless: Callable[[Arguments], Any] = lambda _: False  # whether it has no end, or one beyond the run
    holds_after: int = 0  # so many updates after the last that is compared ours holds, where the peer only raises
    ulps: int = 2  # of float32, for a float32 peer
    of_largest: bool = False  # ulps of the run's largest value: what a peer loses that subtracts, or computes a power
    skip: Callable[[Arguments, int], Any] = (
        lambda _arguments, _n: []
    )  # steps at which the peer itself is wrong: say why


def compare(row: Row, arguments: Arguments) -> None:
    """Within the run as it is by default, and beyond it with strict=True where the row asks for that."""
    build, n = PEERS[row.key].build, row.run(arguments) + 1
    theirs = np.array(row.peer(arguments, n + row.past), np.float64)
    compared = np.setdiff1d(np.arange(n), row.skip(arguments, n))
    assert largest_difference(build(**arguments)(compared), theirs[compared], row) <= 1
    held = build(**arguments).table(6, start=n - 1 + row.holds_after)
    assert row.endless(arguments) or np.ptp(held) == 0, "holds past its end"
    if row.past:
        strict = build(**arguments, strict=True).table(n + row.past)
        assert largest_difference(strict, theirs, replace(row, floor=row.past_floor)) <= 1


def largest_difference(ours: Trace, theirs: Trace, row: Row) -> float:
    """In units of what the row allows: at most 1 passes."""
    theirs = np.asarray(theirs, np.float64)
    if row.dtype == np.float32:
        rounded = ours.astype(np.float32).astype(np.float64)
        size = np.maximum(np.abs(theirs), np.abs(ours)).astype(np.float32)
        unit = row.ulps * np.spacing(size.max(initial=0.0) if row.of_largest else size).astype(np.float64)
        return float((np.abs(rounded - theirs) / unit).max(initial=0.0))
    size = np.maximum(np.abs(theirs), np.abs(ours))
    unit = row.relative * size + row.floor * np.spacing(size.max(initial=0.0)) + TINY
    return float((np.abs(ours - theirs) / unit).max(initial=0.0))
