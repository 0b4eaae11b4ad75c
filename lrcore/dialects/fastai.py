"""fastai's schedulers. Theirs are functions of the share of training that is done, which before update t is t / n.

A scheduler by itself waits for its run: `SchedCos(0.1, 0.0).bind(total_steps=1000)`; `combine_scheds` wants the number
of updates at once, as its phases begin and end between two. fastai adds shares up in float32; here they are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from lrcore._check import not_negative, positive, refuse, value, whole
from lrcore.compose import Scale, Sequence as InSequence, Sum
from lrcore.curves import Constant, Cosine, Exponential, Linear
from lrcore.cycles import Cycle
from lrcore.dialects._dialect import many, peer
from lrcore.dialects._moments import along
from lrcore.dialects._parts import through, wave
from lrcore.durations import Duration, updates
from lrcore.functions import Map
from lrcore.schedule import Schedule, is_schedule

_updates = whole(1)
_run = updates(1, also=())
_AT_END = "the end is at t = n, an update after the last one, and holds"


def _share(where: str, given: Any) -> float:
    share = not_negative(where, given)
    return share if share <= 1.0 else refuse(where, "a number between 0 and 1", given)


@peer("start + t / n * (end - start)", _AT_END, start=value, end=value, n=_run)
def SchedLin(start: float, end: float, n: Duration = "100%") -> Schedule:
    """A straight line.

    Example:
        >>> SchedLin(1.0, 0.0, n=4).table(5).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return Linear(start, end, n)


@peer("start + (1 + cos(pi * (1 - t / n))) * (end - start) / 2", _AT_END, start=value, end=value, n=_run)
def SchedCos(start: float, end: float, n: Duration = "100%") -> Schedule:
    """Half a cosine wave.

    Example:
        >>> SchedCos(1.0, 0.0).bind(total_steps=2).table(3).tolist()
        [1.0, 0.5, 0.0]
    """
    return Cosine(start, end, n)


@peer("start", "`end` is not used", start=value, end=value)
def SchedNo(start: float, end: float) -> Schedule:  # noqa: ARG001 (as there)
    """The same value, always.

    Example:
        >>> SchedNo(0.1, 0.0)
        Constant(value=0.1)
    """
    return Constant(start)


@peer("start * (end / start)**(t / n)", _AT_END, start=positive, end=positive, n=_run)
def SchedExp(start: float, end: float, n: Duration = "100%") -> Schedule:
    """A geometric curve.

    Example:
        >>> SchedExp(1.0, 0.0625, n=4).table(3).tolist()
        [1.0, 0.5, 0.25]
    """
    return Exponential(start, end, n)


@peer("start + (end - start) * (t / n)**power", _AT_END, start=value, end=value, power=positive, n=_run)
def SchedPoly(start: float, end: float, power: float, n: Duration = "100%") -> Schedule:
    """A power of the share that is done; `lrcore.Polynomial` has one of the share that is left.

    Example:
        >>> SchedPoly(1.0, 0.0, 2, n=4).table(5).tolist()
        [1.0, 0.9375, 0.75, 0.4375, 0.0]
    """
    return (end - start) * Map(Linear(0.0, 1.0, n), "power", power) + start


@peer(
    "scheds[i] over the updates from n * (pcts[0] + ... + pcts[i - 1]) to n * (pcts[0] + ... + pcts[i])",
    "phases may end between two updates; a boundary belongs to the phase after it; the end of the last phase holds",
    pcts=many(_share, "shares"),
    scheds=many(is_schedule, "schedules"),
    n=_updates,
)
def combine_scheds(pcts: Sequence[float], scheds: Sequence[Schedule], n: int) -> Schedule:
    """Schedulers of this module one after another, each over its share of n updates.

    Example:
        >>> combine_scheds([0.25, 0.75], [SchedLin(0.0, 1.0), SchedLin(1.0, 0.0)], n=10).table(5).round(3).tolist()
        [0.0, 0.4, 0.8, 0.933, 0.8]
    """
    if len(pcts) != len(scheds) or not pcts:
        refuse("combine_scheds.scheds", f"a schedule for each of {len(pcts)} shares", scheds)
    if sum(pcts) != 1.0:
        refuse("combine_scheds.pcts", "shares that sum to 1", pcts)
    moments = [0.0, *(share * n for share in accumulate(pcts))]
    parts: list[Any] = []
    for at, (begin, end) in enumerate(pairwise(moments)):
        start, stop = math.ceil(begin), math.ceil(end)
        if stop > start:
            parts.append((_over(scheds[at], begin - start, end - start), stop - start))
    return InSequence([*parts, Constant(_last(scheds[-1]))])


def _over(sched: Schedule, begin: float, end: float) -> Schedule:
    """A scheduler of this module, over the time between two moments."""
    if isinstance(sched, Constant):
        return sched
    if isinstance(sched, Scale):
        return Scale(_over(sched.schedule, begin, end), sched.factor)
    if isinstance(sched, Sum):
        return Sum([_over(term, begin, end) for term in sched.terms])
    if isinstance(sched, Map):
        return Map(_over(sched.schedule, begin, end), sched.function, sched.power)
    if not isinstance(sched, (Linear, Cosine, Exponential)):
        refuse("combine_scheds.scheds", "schedulers of lrcore.dialects.fastai", sched)
    if begin == 0.0 and end == int(end):
        return type(sched)(sched.init_value, sched.end_value, int(end))
    if isinstance(sched, Linear):
        return through(begin, sched.init_value, end, sched.end_value)
    if isinstance(sched, Cosine):
        return wave(sched.init_value, sched.end_value, begin, end)
    return sched.init_value * Map(through(begin, 0.0, end, math.log(sched.end_value / sched.init_value)), "exp")


def _last(sched: Schedule) -> float:
    bound = sched if sched.is_bound else sched.bind(total_steps=1)
    return float(bound(bound.length or 0))


@peer(
    "SchedCos(start, middle) over pct of the updates, then SchedCos(middle, end)",
    "as combine_scheds",
    pct=_share,
    start=value,
    middle=value,
    end=value,
    n=_updates,
)
def combined_cos(pct: float, start: float, middle: float, end: float, n: int) -> Schedule:
    """Two half waves, one after another.

    Example:
        >>> combined_cos(0.5, 0.5, 1.0, 0.0, n=4).table(5).round(3).tolist()
        [0.5, 0.75, 1.0, 0.5, 0.0]
    """
    return along([(0.0, start), (pct * n, middle), (float(n), end)], "cosine")


@peer(
    "combined_cos(pct_start, lr_max / div, lr_max, lr_max / div_final) over n = n_epoch * steps_per_epoch updates",
    "the peak is at pct_start * n, which need not be an update; the end is lr_max / div_final (torch divides by both)",
    n_epoch=_updates,
    lr_max=value,
    div=positive,
    div_final=positive,
    pct_start=_share,
    steps_per_epoch=_updates,
)
def fit_one_cycle(
    n_epoch: int,
    lr_max: float,
    div: float = 25.0,
    div_final: float = 1e5,
    pct_start: float = 0.25,
    *,
    steps_per_epoch: int = 1,
) -> Schedule:
    """Up to a high learning rate and down far below the first one. Momentum: `combined_cos(0.25, 0.95, 0.85, 0.95, n)`.

    Example:
        >>> fit_one_cycle(2, 1.0, steps_per_epoch=4).table(9).round(3).tolist()
        [0.04, 0.52, 1.0, 0.933, 0.75, 0.5, 0.25, 0.067, 0.0]
    """
    first = value("fit_one_cycle.lr_max / div", lr_max / div)
    last = value("fit_one_cycle.lr_max / div_final", lr_max / div_final)
    n = n_epoch * steps_per_epoch
    return along([(0.0, first), (pct_start * n, lr_max), (float(n), last)], "cosine")


@peer(
    "combined_cos(pct_start, lr, lr, lr / div_final) over n = n_epoch * steps_per_epoch updates",
    "as combine_scheds",
    n_epoch=_updates,
    lr=value,
    div_final=positive,
    pct_start=_share,
    steps_per_epoch=_updates,
)
def fit_flat_cos(
    n_epoch: int, lr: float, div_final: float = 1e5, pct_start: float = 0.75, *, steps_per_epoch: int = 1
) -> Schedule:
    """Flat, then half a wave down.

    Example:
        >>> fit_flat_cos(8, 1.0).table(9).round(3).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    n = n_epoch * steps_per_epoch
    return along(
        [(0.0, lr), (pct_start * n, lr), (float(n), value("fit_flat_cos.lr / div_final", lr / div_final))], "cosine"
    )


@peer(
    "SchedCos(lr_max, 0) over cycle_len * cycle_mult**k epochs, for k = 0 ... n_cycles - 1",
    "restarts at whole updates, where the new cycle's peak is; 0 holds past the last",
    n_cycles=_updates,
    cycle_len=_updates,
    lr_max=value,
    cycle_mult=_updates,
    steps_per_epoch=_updates,
)
def fit_sgdr(
    n_cycles: int, cycle_len: int, lr_max: float, cycle_mult: int = 2, *, steps_per_epoch: int = 1
) -> Schedule:
    """Cosine waves with warm restarts. fastai itself divides by zero for a `cycle_mult` of 1.

    Example:
        >>> fit_sgdr(2, 2, 1.0).table(7).round(3).tolist()
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    period = cycle_len * steps_per_epoch
    return Cycle(Cosine(lr_max, 0.0, period), period, cycle_mult, count=n_cycles)
