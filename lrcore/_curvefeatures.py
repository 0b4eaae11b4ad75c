"""What the loss curves of a learning-rate range test show: where a run breaks off, and the marks of its curve.

All runs are worked on at once, a row each. A run has `losses[i]` measured before the update with `lrs[i]`, so what that
rate does is seen in `losses[i + 1]`: a curve here is the losses from the second on, one for each rate.

Smoothing for a decision after the fact needs no causality, so it has no lag: a median of three against single outliers,
then a Gaussian that looks both ways. Every number is found by comparisons of losses of one run, so nothing depends on
the unit of the loss, or on other runs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcore import _check

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

STOP_FACTOR = 4.0
RECENT = 5  # losses whose median is judged: of small batches a single one says nothing
DEVIATIONS = 8.0  # of the first losses from their median, on average: closer to it, a loss is one of them
LEAST_HEAD = 3
MARGIN = 0.1  # of the drop: by so much a loss above the minimum has risen
SIGMAS = 3.0  # of the smoothed curve's noise, if that is more
# Of pure noise the smoothed minimum lies below the median of the first losses by more than so many sigma in one run of
# ten.
NOTHING = 1.5
RESOLUTION = 2.0**-22  # of the largest loss: less is the rounding of float32
WIDTH = 2.0  # of the Gaussian that verdicts look through


class Member(NamedTuple):
    """A rule: the learning rate some updates before a mark of the curve, times a factor.

    The curve is seen through a Gaussian with a standard deviation of `width` samples. What a rate does takes some
    updates to show: the faster a test raises the rate, the farther it has come by then, which `lag` takes back.
    """

    feature: str
    width: float
    lag: int
    factor: float


# Chosen by `python -m bench.finder_regret --choose`, of all marks, widths, lags and factors of an eighth of a decade.
COMMITTEE = (
    Member("rise", 2.0, 5, 0.42),
    Member("min-rise", 2.0, 4, 0.42),
    Member("drop80-rise", 2.0, 2, 0.42),
)
MARKS = ("min", "rise", "steep", "drop10", "drop50", "drop80")
FEATURES = (*MARKS, "min-rise", "drop50-rise", "drop80-rise")  # of two marks the geometric mean


# ---- Arguments ----


class Runs(NamedTuple):
    """Checked arguments.

    Args:
        lrs: (steps,).
        losses: (runs, steps + 1); NaN behind the end of a run.
        lengths: (runs,): how many losses each run has.
    """

    lrs: Floats
    losses: Floats
    lengths: Places


def runs_of(where: str, lrs: object, losses: object) -> Runs:
    """The rates and the losses that stand beside them."""
    rates = _check.array(f"{where}.lrs", lrs, "fiu", "real numbers").astype(np.float64)
    if rates.ndim != 1 or not rates.size:
        raise ValueError(f"{where}.lrs: expected shape (steps,), at least one, got {rates.shape}")
    if not (np.isfinite(rates).all() and rates[0] > 0.0 and (np.diff(rates) > 0.0).all()):
        raise ValueError(f"{where}.lrs: expected rates > 0, each larger than the one before")
    rows = [_row(f"{where}.losses", row) for row in _rows(f"{where}.losses", losses)]
    lengths = np.array([row.size for row in rows])
    if lengths.max() > rates.size + 1:
        raise ValueError(f"{where}.losses: expected at most {rates.size + 1} losses a run, got {lengths.max()}")
    together = np.full((len(rows), rates.size + 1), np.nan)
    for at, row in enumerate(rows):
        together[at, : row.size] = row
    return Runs(rates, together, lengths)


def _rows(where: str, losses: object) -> list[Any]:
    """One run as a list of it, many as they are."""
    if hasattr(losses, "__array__"):
        given = _check.array(where, losses, "fiu", "real numbers")
        if given.ndim not in (1, 2) or (given.ndim == 2 and not len(given)):
            raise ValueError(f"{where}: expected shape (n,) or (runs, n), got {given.shape}")
        return [given] if given.ndim == 1 else list(given)
    rows = _check.items(where, losses, "losses")
    return rows if rows and np.ndim(rows[0]) == 1 else [rows]


def _row(where: str, row: object) -> Floats:
    given = _check.array(where, row, "fiu", "real numbers")
    if given.ndim != 1:
        raise ValueError(f"{where}: expected shape (n,) or (runs, n), got a run of shape {given.shape}")
    return given.astype(np.float64)


# ---- Where a run breaks off ----


def head(steps: int) -> int:
    """How many losses of a test stand for the loss before it has learned: a tenth of them."""
    return max(LEAST_HEAD, math.ceil(steps / 10))


def middle(rows: Floats, counts: Places | None = None) -> Floats:
    """The median of each row, or of the first so many in it; infinite of none.

    Of an even number it is the lower one, which is itself a loss, so nothing can overflow.
    """
    if counts is None:
        return np.sort(rows, axis=1)[:, (rows.shape[1] - 1) // 2]
    some = np.sort(np.where(np.arange(rows.shape[1]) < counts[:, None], rows, np.inf), axis=1)
    return np.take_along_axis(some, np.maximum(counts[:, None] - 1, 0) // 2, axis=1)[:, 0]


def limit(first: Floats, best: Floats, factor: float) -> Floats:
    """What the level of a run may not exceed, of its first losses (runs, some) and the least one before each place
    (runs, places); infinite as long as there is nothing to measure it by.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        initial = middle(first)[:, None]
        noise = np.abs(first - initial).mean(axis=1, keepdims=True)
        size = np.maximum(np.abs(initial), initial - best)
        above = np.maximum((factor - 1.0) * size, DEVIATIONS * noise)
        return np.where(size > 0.0, initial + above, np.inf)


def limits(losses: Floats, steps: int, factor: float) -> Floats:
    """The limit at each place, from the losses before it."""
    n, first = losses.shape[1], max(head(steps), RECENT)
    allowed = np.full(losses.shape, np.inf)
    best = np.fmin.accumulate(losses, axis=1)
    for seen in range(RECENT, min(n, first)):
        allowed[:, seen : seen + 1] = limit(losses[:, :seen], best[:, seen - 1 : seen], factor)
    if n > first:
        allowed[:, first:] = limit(losses[:, :first], best[:, first - 1 : -1], factor)
    return allowed


def levels(losses: Floats) -> Floats:
    """The median of the last losses at each place; minus infinity where there are not enough of them."""
    found = np.full(losses.shape, -np.inf)
    if losses.shape[1] >= RECENT:
        windows = np.lib.stride_tricks.sliding_window_view(losses, RECENT, axis=1)
        found[:, RECENT - 1 :] = np.sort(windows, axis=2)[:, :, RECENT // 2]
    return found


class Curves(NamedTuple):
    """Runs, cut where they break off, in units of their own.

    Args:
        logs: the logarithms of the rates, one for each place of a curve.
        values: (runs, places). From its end on, a run's curve goes on as it was there.
        initial: (runs,): the loss before anything was learned.
        ends: (runs,): the last place of each curve; -1 where there is none.
        diverged: (runs,): whether the curve ends because the loss broke its limit, or was no finite number.
        sigma: (runs,): the noise of a single loss.
        units: (runs,): the power of two that the losses of a run are divided by.
    """

    logs: Floats
    values: Floats
    initial: Floats
    ends: Places
    diverged: NDArray[np.bool_]
    sigma: Floats
    units: Places


def curves_of(runs: Runs) -> Curves:
    """The curves of runs, each as far as its last loss, or the one at which it has diverged."""
    lrs, losses, lengths = runs
    places = np.arange(losses.shape[1])
    allowed = limits(losses, len(lrs), STOP_FACTOR)
    broken = (places < lengths[:, None]) & ~(np.isfinite(losses) & (levels(losses) <= allowed))
    diverged = np.logical_or.reduce(broken, axis=1)
    last = np.where(diverged, broken.argmax(axis=1), lengths - 1)
    at = np.arange(len(losses)), np.maximum(last, 0)
    # A loss above the limit counts as one at the limit, and so does the last one of a run that has diverged.
    top = np.where(diverged, np.minimum(allowed[at], np.finfo(np.float64).max), np.inf)
    final = np.where(diverged, top, losses[at])
    final[lengths == 0] = 0.0
    cut = np.where(places < last[:, None], np.minimum(losses, top[:, None]), final[:, None])
    units = np.frexp(np.abs(cut).max(axis=1))[1].astype(np.int64)
    cut = np.ldexp(cut, -units[:, None])  # so that no sum overflows
    some = np.clip(last + ~diverged, 1, head(len(lrs)))
    values = cut[:, 1:]
    sigma = _noise(values, last - 1)
    return Curves(np.log(lrs), values, middle(cut, some), last - 1, diverged, sigma, units)


def _noise(values: Floats, ends: Places) -> Floats:
    """The standard deviation of single losses, from the differences of neighbours while nothing is learned yet."""
    early = max(5, values.shape[1] // 4)
    changes = np.diff(values[:, : early + 1], axis=1)
    counted = np.arange(changes.shape[1]) < np.clip(ends, 0, early)[:, None]
    some = counted.sum(axis=1)
    centre = middle(changes, some)[:, None]
    away = np.abs(changes - np.where(np.isfinite(centre), centre, 0.0))
    # Of the distances the mean, not their median, which makes little of the few large losses of small batches.
    spread = (away * counted).sum(axis=1) / np.maximum(some, 1)
    sigma: Floats = np.maximum(spread * (math.sqrt(math.pi / 2.0) / math.sqrt(2.0)), RESOLUTION)
    return sigma


# ---- Smoothing ----


def gaussian(width: float) -> Floats:
    """The weights of a Gaussian from its centre outwards; both sides sum to 1."""
    weights = np.exp(-0.5 * (np.arange(math.ceil(3 * width) + 1) / width) ** 2)
    weights /= weights[0] + 2.0 * weights[1:].sum()
    return weights


def smoothed(values: Floats, width: float) -> Floats:
    """A median of three, then a Gaussian with a standard deviation of so many samples, without lag.

    Before its first place a curve is continued by its mirror image, behind its last one by the last value.
    """
    n, weights = values.shape[1], gaussian(width)
    radius = len(weights) - 1
    places = np.arange(-radius, n + radius)
    padded = _median_of_three(values)[:, np.clip(np.where(places < 0, -1 - places, places), 0, n - 1)]
    total: Floats = weights[0] * padded[:, radius : radius + n]
    for away in range(1, radius + 1):
        both = padded[:, radius - away : radius - away + n] + padded[:, radius + away : radius + away + n]
        total += weights[away] * both
    return total


def _median_of_three(values: Floats) -> Floats:
    if values.shape[1] < 3:
        return values
    left, centre, right = values[:, :-2], values[:, 1:-1], values[:, 2:]
    inner = np.maximum(np.minimum(left, centre), np.minimum(np.maximum(left, centre), right))
    return np.concatenate([values[:, :1], inner, values[:, -1:]], axis=1)


# ---- Marks ----


class Marks(NamedTuple):
    """Places on each run's curve.

    Args:
        min: where it is lowest.
        rise: where it has clearly risen after that, or its end.
        steep: where it falls most steeply in the logarithm of the rate, up to the minimum.
        drop10, drop50, drop80: where it has first made that share of its drop.
        rose: whether there is a rise.
        drop: by how much it falls.
    """

    min: Places
    rise: Places
    steep: Places
    drop10: Places
    drop50: Places
    drop80: Places
    rose: NDArray[np.bool_]
    drop: Floats


def marks(curves: Curves, width: float = WIDTH) -> Marks:
    """The marks of curves, seen through a Gaussian with a standard deviation of so many samples."""
    values, weights = smoothed(curves.values, width), gaussian(width)
    noise = math.sqrt(weights[0] ** 2 + 2.0 * (weights[1:] ** 2).sum())  # what is left of a single loss's
    places = np.arange(values.shape[1])
    ends = np.maximum(curves.ends, 0)
    inside = places <= ends[:, None]
    least = np.where(inside, values, np.inf).argmin(axis=1)
    low = values[np.arange(len(values)), least]
    drop = curves.initial - low
    margin = SIGMAS * noise * curves.sigma
    # The least of a curve that only varies lies by chance below it, and says nothing of where it rises.
    learned = drop > NOTHING * curves.sigma
    risen = np.where(learned, low + np.maximum(MARGIN * drop, margin), curves.initial + margin)
    above = inside & (places > least[:, None]) & (values > risen[:, None])
    rose = np.logical_or.reduce(above, axis=1)
    rise = np.where(rose, above.argmax(axis=1), ends)

    def fallen(share: float) -> Places:
        below = values <= (curves.initial - share * drop)[:, None]
        first: Places = np.argmax(below | (places == least[:, None]), axis=1)
        return first

    slopes = np.zeros(values.shape)
    slopes[:, 1:] = np.diff(values, axis=1) / np.diff(curves.logs)
    steep = np.where(places <= least[:, None], slopes, np.inf).argmin(axis=1)
    return Marks(least, rise, steep, fallen(0.1), fallen(0.5), fallen(0.8), rose, drop)


def feature(curves: Curves, found: Marks, name: str, lag: int = 0) -> Floats:
    """The logarithm of the rate at a mark, or so many updates before it, or the mean of those at two."""
    each = [curves.logs[np.maximum(getattr(found, mark) - lag, 0)] for mark in name.split("-")]
    mean: Floats = np.stack(each).mean(axis=0)
    return mean


def stable(curves: Curves, found: Marks) -> Floats:
    """The logarithm of the last rate before the rise, or of the last one where there is none."""
    return curves.logs[np.maximum(found.rise - (found.rose | curves.diverged), 0)]


def votes(curves: Curves, members: tuple[Member, ...] = COMMITTEE, found: Marks | None = None) -> Floats:
    """What each member says of each run, logarithms of rates, (runs, members); `found` are the marks of WIDTH."""
    seen = {} if found is None else {WIDTH: found}
    for width in {one.width for one in members} - seen.keys():
        seen[width] = marks(curves, width)
    said = [feature(curves, seen[one.width], one.feature, one.lag) + math.log(one.factor) for one in members]
    return np.stack(said, axis=1)


def committee(lrs: object, losses: object, members: tuple[Member, ...]) -> Floats:
    """The rate that some members together say of each run; NaN where a run has no curve."""
    curves = curves_of(runs_of("committee", lrs, losses))
    rates = np.exp(np.minimum(np.median(votes(curves, members), axis=1), stable(curves, marks(curves))))
    return np.where(curves.ends < 0, np.nan, rates)


def features(lrs: object, losses: object, width: float) -> dict[str, Floats]:
    """The rate at each mark of each run, seen through a Gaussian of that width; NaN where a run has no curve."""
    curves = curves_of(runs_of("features", lrs, losses))
    found = marks(curves, width)
    return {name: np.where(curves.ends < 0, np.nan, np.exp(feature(curves, found, name))) for name in FEATURES}


def readable(runs: Runs) -> list[tuple[Floats, Floats, Floats]]:
    """For a picture: the rates, losses and smoothed losses of each run that has a curve, as far as it goes."""
    curves = curves_of(runs)
    smooth = smoothed(curves.values, WIDTH)
    places = [(at, slice(0, end + 1)) for at, end in enumerate(curves.ends.tolist()) if end >= 0]
    units = curves.units
    return [
        (runs.lrs[part], np.ldexp(curves.values[at, part], units[at]), np.ldexp(smooth[at, part], units[at]))
        for at, part in places
    ]
