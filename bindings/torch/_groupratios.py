"""Ratios between the rates of parameter groups, from how far an update moves each group."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lrcore.bindings.torch._snapshot import Snapshot
from lrcore.bindings.torch._trials import Looped, Task
from lrcore.bindings.torch._votes import Votes
from lrcore.finder import probe_watch

Floats = NDArray[np.float64]
LEAST = 0.1  # of the ratios
STEPS = 50  # of a run; the weights hardly move in them
Bands = dict[str, tuple[float, float]]


def measured(
    task: Task, snapshot: Snapshot, votes: Votes, rate: float, runs: int
) -> tuple[tuple[float, ...], dict[str, float], Bands]:
    """Ratios between even rates, and those at which an update changes all groups by the same share of their weights.

    `ratio = max(sqrt(min(shares) / share), 0.1)`, `share = |update| / |weights|` at a rate that all groups have

    The weights are those at first; a group that has none yet, or does not move, gets 1. Equal shares would starve a
    layer that begins small. `python -m bench.finder_groups`, as the sum of six held-out losses of small nets: at the
    rate that is found 0.86 for even rates and 0.82 for these; at the best of six rates 0.75 for even ones, 0.79 for
    these and 0.59 for the best of 25 ratios. So they make up for what the one rate misses, and are not the best ones.

    Args:
        task: what is trained.
        snapshot: where runs begin.
        votes: of the processes.
        rate: a small one, at which the weights stay about where they are.
        runs: how many runs.

    Returns:
        The ratios of all groups of all optimizers; those of the first one by name; their quartiles over the runs.
    """
    groups = task.optimizers[0].param_groups
    even = (1.0,) * len(groups) + task.ratios[len(groups) :]
    looped = Looped(replace(task, ratios=even), snapshot, votes)
    found = []
    for run in range(runs):
        seen = _Changes(groups)
        looped.one(np.full(STEPS, rate), probe_watch(), run, runs, seen)
        shares = seen.shares()
        known = shares > 0.0
        ratios = np.ones(len(groups))
        if known.any():
            ratios[known] = np.maximum(np.sqrt(shares[known].min() / shares[known]), LEAST)
        found.append(ratios)
    low, middle, high = np.quantile(votes.first(np.array(found)), (0.25, 0.5, 0.75), axis=0)
    names = _names(groups)
    by_name = dict(zip(names, middle.tolist(), strict=True))
    bands = dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))
    return (*middle.tolist(), *task.ratios[len(groups) :]), by_name, bands


def _names(groups: list[dict[str, Any]]) -> list[str]:
    """Their own, where these tell them apart; else their places."""
    places = [str(place) for place in range(len(groups))]
    names = [str(group.get("name", place)) for place, group in zip(places, groups, strict=True)]
    return names if len({*names}) == len(names) else places


class _Changes:
    """How far each update moves each group; called between updates."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self._groups = groups
        self._before: list[list[torch.Tensor]] = []
        self._first: list[float] = []
        self._sizes: list[list[float]] = []  # of the updates

    def __call__(self, _: int) -> None:
        now = [[one.detach().double().clone() for one in group["params"]] for group in self._groups]
        if self._before:
            self._sizes.append([_distance(*pair) for pair in zip(self._before, now, strict=True)])
        else:
            self._first = [_distance(each, [torch.zeros_like(one) for one in each]) for each in now]
        self._before = now

    def shares(self) -> Floats:
        """How far an update goes, the median over all of them, over the weights at first; NaN of no weights."""
        if not self._sizes:  # the first loss was no number
            return np.full(len(self._groups), np.nan)
        weights = np.array(self._first)
        shares: Floats = np.median(np.array(self._sizes), axis=0) / np.where(weights > 0.0, weights, np.nan)
        return shares


def _distance(these: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    return math.hypot(*(float(torch.linalg.vector_norm(one - two)) for one, two in zip(these, others, strict=True)))
