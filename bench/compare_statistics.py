"""What `bench/compare_schedules.py` concludes from runs that are paired by their seeds.

A difference has a t interval of 95 % over the seeds, each by itself. What is called significant has a p below 0.05
after Holm's correction (1979): for the 8 schedules against the baseline, or for all 36 pairs where a best one is named,
since it is chosen by the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05

Floats = NDArray[np.float64]


def difference(differences: Floats) -> dict[str, Any]:
    """The mean of differences over seeds, its 95 % interval and the p of a mean of 0, both by Student's t.

    Args:
        differences: one for each seed, two at least.
    """
    from scipy import stats

    mean, count = float(np.mean(differences)), len(differences)
    error = float(np.std(differences, ddof=1)) / count**0.5
    if error == 0.0:  # all alike, as where nothing was changed
        return {"mean": mean, "interval": [mean, mean], "p": 1.0 if mean == 0.0 else 0.0}
    half = float(stats.t.ppf(1 - LEVEL / 2, count - 1)) * error
    p = 2.0 * float(stats.t.sf(abs(mean) / error, count - 1))
    return {"mean": mean, "interval": [mean - half, mean + half], "p": p}


def holm(ps: Iterable[float]) -> list[float]:
    """The p values that Holm's step-down procedure makes of these: the least times their number, and so on."""
    given = np.array(list(ps))
    order = np.argsort(given)
    stepped = np.minimum(1.0, np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)))
    adjusted = np.empty(len(given))
    adjusted[order] = stepped
    return [float(p) for p in adjusted]


def against_baseline(values: dict[str, Floats], baseline: str) -> dict[str, dict[str, Any]]:
    """The differences of all others from the baseline, with p values that allow for their number.

    Args:
        values: of each schedule, one for each seed.
        baseline: its name.
    """
    found = {name: difference(each - values[baseline]) for name, each in values.items() if name != baseline}
    for row, p in zip(found.values(), holm(row["p"] for row in found.values()), strict=True):
        row |= {"holm": p, "significant": p < LEVEL}
    return found


def best(values: dict[str, Floats], higher: bool) -> dict[str, Any]:
    """The one with the best mean, and those that cannot be told from it, all pairs allowed for."""
    means = {name: float(np.mean(each)) for name, each in values.items()}
    name = (max if higher else min)(means, key=lambda one: means[one])
    pairs = list(combinations(values, 2))
    adjusted = holm(difference(values[one] - values[other])["p"] for one, other in pairs)
    alike = [
        one if other == name else other
        for (one, other), p in zip(pairs, adjusted, strict=True)
        if name in (one, other) and p >= LEVEL
    ]
    return {"name": name, "significant": not alike, "not_told_from": alike}


def at_restarts(curves: Floats, restarts: list[int]) -> dict[str, Any]:
    """How a metric changes from the epoch before a restart to the first one after it, over seeds.

    Args:
        curves: of each seed and epoch, (seeds, epochs).
        restarts: the epochs that begin a cycle.

    Returns:
        The change at restarts; the change in the other epochs from the first restart on; the one less the other, paired
        by seeds; the changes at each restart; and the share of all restarts at which the metric fell.
    """
    changes = np.diff(curves, axis=1)  # [:, e - 1] is that of epoch e
    here = changes[:, [epoch - 1 for epoch in restarts]]
    later = [epoch for epoch in range(restarts[0], curves.shape[1]) if epoch not in restarts]
    elsewhere = changes[:, [epoch - 1 for epoch in later]]
    return {
        "change": difference(here.mean(1)),
        "elsewhere": difference(elsewhere.mean(1)),
        "excess": difference(here.mean(1) - elsewhere.mean(1)),
        "by_restart": [float(mean) for mean in here.mean(0)],
        "fell": float(np.mean(here < 0.0)),
    }


def both_fell(accuracy: Floats, loss: Floats, restarts: list[int]) -> dict[str, float]:
    """The share of restarts at which two metrics fell together, and that of the other epochs since the first one."""
    together = (np.diff(accuracy, axis=1) < 0.0) & (np.diff(loss, axis=1) < 0.0)
    others = [epoch for epoch in range(restarts[0], accuracy.shape[1]) if epoch not in restarts]
    shares = {"at_restarts": restarts, "elsewhere": others}
    return {name: float(np.mean(together[:, [epoch - 1 for epoch in epochs]])) for name, epochs in shares.items()}


def direction(row: dict[str, Any]) -> str:
    """What a metric does at restarts, in a word: both its change and the excess over other epochs are to say so."""
    intervals = [row[name]["interval"] for name in ("change", "excess")]
    if all(high < 0.0 for _, high in intervals):
        return "falls"
    if all(low > 0.0 for low, _ in intervals):
        return "rises"
    return "unclear"
