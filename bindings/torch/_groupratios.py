"""Ratios between the rates of parameter groups, from how far an update moves each group."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lrcore.bindings.torch._snapshot import Snapshot
from lrcore.bindings.torch._trials import Looped, Task
from lrcore.bindings.torch._votes import Votes
from lrcore.finder import PROBE_STEPS, Watch

Floats = NDArray[np.float64]
Bands = dict[str, tuple[float, float]]


def measured(
    task: Task, snapshot: Snapshot, votes: Votes, rate: float, runs: int
) -> tuple[tuple[float, ...], dict[str, float], Bands]:
    """Ratios at which an update changes all groups of the first optimizer by about the same share of their weights.

    `ratio = 1 / (|update| / |weights|)` of each group, at a rate that all have, over the largest of the ratios

    Args:
        task: what is trained.
        snapshot: where runs begin.
        votes: of the processes.
        rate: a rate at which training is stable.
        runs: how many runs.

    Returns:
        The ratios of all groups of all optimizers; those of the first one by name; their quartiles over the runs.
    """
    groups = task.optimizers[0].param_groups
    even = (1.0,) * len(groups) + task.ratios[len(groups) :]
    looped = Looped(replace(task, ratios=even), snapshot, votes)
    logs = []
    for run in range(runs):
        seen = _Changes(groups)
        looped.one(np.full(PROBE_STEPS, rate), Watch(PROBE_STEPS, None), run, runs, seen)
        shares = -seen.middle()
        logs.append(shares - shares.max())
    low, middle, high = np.exp(np.quantile(votes.first(np.array(logs)), (0.25, 0.5, 0.75), axis=0))
    names = [str(group.get("name", place)) for place, group in enumerate(groups)]
    found = dict(zip(names, middle.tolist(), strict=True))
    bands = dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))
    return (*middle.tolist(), *task.ratios[len(groups) :]), found, bands


class _Changes:
    """How far each update moves each group; called between updates."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self._groups = groups
        self._before: list[list[torch.Tensor]] | None = None
        self._logs: list[list[float]] = []

    def __call__(self, _: int) -> None:
        now = [[one.detach().double().clone() for one in group["params"]] for group in self._groups]
        if self._before is not None:
            pairs = zip(self._before, now, strict=True)
            self._logs.append([_log_share(old, new) for old, new in pairs])
        self._before = now

    def middle(self) -> Floats:
        """The logarithm of the share of each group, the median over the updates."""
        middle: Floats = np.median(np.array(self._logs), axis=0)
        return middle


def _log_share(old: list[torch.Tensor], new: list[torch.Tensor]) -> float:
    """Of a group that does not move, or has no weights yet, what is left is rounding: it counts as such."""
    moved = sum(float((after - before).square().sum()) for before, after in zip(old, new, strict=True))
    size = sum(float(before.square().sum()) for before in old)
    return 0.5 * (float(np.log(max(moved, 1e-60))) - float(np.log(max(size, 1e-60))))
