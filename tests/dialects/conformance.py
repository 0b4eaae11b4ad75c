"""What a peer's schedule is compared by: the real peer, run beside ours over random arguments and over its corners."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lrcore.dialects._dialect import PEERS

Trace = np.ndarray
Arguments = dict[str, Any]
TINY = 1e-300  # so that 0 beside 0 differs by 0
NORMAL = 2.0**-126  # below it float32 loses digits, and some peers make 0 of it


def always(_: Arguments) -> bool:
    """For `endless`."""
    return True


class OwnError(NamedTuple):
    """How far a float32 peer is from its own formula, where that is further than 2 ulp: measured, and why."""

    ulps: float  # of float32, at each value or at the run's largest
    why: str
    shown_by: tuple[Arguments, ...]  # with these it is more than a quarter of it, and more than 2 ulp
    of_largest: bool = False  # for a peer that subtracts: its values near 0 have the errors of those near 1


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
    exact: Callable[[Arguments, int], Trace] | None = None  # for a float32 peer: its formula, in 50 digits
    peer_error: OwnError | None = None  # for one that is more than 2 ulp off
    skip: Callable[[Arguments, int], Any] = (
        lambda _arguments, _n: []
    )  # steps at which the peer itself is wrong: say why


def compare(row: Row, arguments: Arguments) -> None:
    """Within the run as it is by default, and beyond it with strict=True where the row asks for that."""
    build, n = PEERS[row.key].build, row.run(arguments) + 1
    theirs = np.array(row.peer(arguments, n + row.past), np.float64)
    compared = np.setdiff1d(np.arange(n), row.skip(arguments, n))
    ours = build(**arguments).table(n)
    if row.exact:
        assert closely(ours, row.exact(arguments, n))
    if row.peer_error:
        assert error_of_peer(row, arguments, theirs) <= row.peer_error.ulps
    else:
        assert largest_difference(ours[compared], theirs[compared], row) <= 1
    held = build(**arguments).table(6, start=n - 1 + row.holds_after)
    assert row.endless(arguments) or np.ptp(held) == 0, "holds past its end"
    if row.past:
        strict = build(**arguments, strict=True).table(n + row.past)
        assert largest_difference(strict, theirs, replace(row, floor=row.past_floor)) <= 1


def largest_difference(ours: Trace, theirs: Trace, row: Row) -> float:
    """In units of what the row allows: at most 1 passes."""
    theirs = np.asarray(theirs, np.float64)
    if row.dtype == np.float32:
        return in_ulps(ours.astype(np.float32).astype(np.float64), theirs, np.maximum(np.abs(theirs), np.abs(ours))) / 2
    size = np.maximum(np.abs(theirs), np.abs(ours))
    unit = row.relative * size + row.floor * np.spacing(size.max(initial=0.0)) + TINY
    return float((np.abs(ours - theirs) / unit).max(initial=0.0))


def in_ulps(one: Trace, other: Trace, size: Trace) -> float:
    """The largest difference, in ulps that float32 has at `size`, where that is a normal number of float32 or 0."""
    looked_at = (size == 0.0) | (size >= NORMAL)
    unit = np.spacing(size.astype(np.float32)).astype(np.float64)
    return float((np.abs(one - other) / unit)[looked_at].max(initial=0.0))


def error_of_peer(
    row: Row, arguments: Arguments, theirs: Trace | None = None, *, of_largest: bool | None = None
) -> float:
    """How far a float32 peer is from its formula, in ulps."""
    n = row.run(arguments) + 1
    theirs = np.array(row.peer(arguments, n) if theirs is None else theirs[:n], np.float64)
    compared = np.setdiff1d(np.arange(n), row.skip(arguments, n))
    truth = row.exact(arguments, n)
    size = np.abs(truth)
    if row.peer_error.of_largest if of_largest is None else of_largest:
        size = np.full(n, size.max())
    return in_ulps(theirs[compared], truth[compared], size[compared])


def error_is_its_own(row: Row) -> None:
    """What a row says of a peer's error is true, and no more than four times of what there is."""
    largest = max(error_of_peer(row, arguments) for arguments in row.peer_error.shown_by)
    assert row.peer_error.ulps / 4 < largest <= row.peer_error.ulps
    assert max(error_of_peer(row, arguments, of_largest=False) for arguments in row.peer_error.shown_by) > 2


def closely(ours: Trace, truth: Trace) -> bool:
    """Ours beside a formula in 50 digits, to the contract of the numbers, and an ulp for each of two arguments."""
    unit = np.spacing(np.abs(truth)) * 8 + 4 * np.spacing(np.abs(truth).max(initial=0.0))
    return bool((np.abs(ours - truth) <= unit).all())
