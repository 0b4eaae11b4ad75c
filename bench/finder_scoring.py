"""How good suggested learning rates are: their regret, and how sure that is.

(a) The regret of a rate is `(L(rate) - L*) / (L0 - L*)`: 0 is as good as the grid's best rate, 1 is no learning. It
    is clipped to [0, 2] on the grid and linear in the logarithm of the rate between; beyond the grid its ends hold. A
    finder that says nothing has regret 1. L* is the best of the grid on the seeds that judge it, which is a little
    better than what one can hope for.
(b) The mean weighs all tasks alike. What varies is the choice of tasks, far more than what varies within one; so
    intervals come from drawing tasks with replacement, and for each task's optimizer its range tests.
(c) The best rate of a configuration, for the bias, is the one with the least loss on the grid.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.finder_tasks import Task
from bench.finder_training import GRID, OPTIMIZERS, SCHEDULES, Curves, Floats

CLIP = 2.0
SILENT = 1.0  # the regret of no suggestion
DRAWS = 4000
LEVEL = 0.9


@dataclass(frozen=True)
class Truth:
    """What each rate of the grid costs.

    `regrets` are (tasks, optimizers, schedules, rates), `best` the logarithm to base 10 of the best rate of each.
    """

    logs: Floats
    regrets: Floats

    @property
    def best(self) -> Floats:
        return self.logs[self.regrets.argmin(-1)]


def truth_of(curves: Curves, tasks: list[Task]) -> Truth:
    losses = [[[curves[f"{t.name}/{o}/{s}"] for s in SCHEDULES] for o in OPTIMIZERS] for t in tasks]
    values = np.array(losses)
    least = values.min(-1, keepdims=True)
    start = np.array([curves[f"{t.name}/start"] for t in tasks])[:, None, None, None]
    logs = np.linspace(*np.log10(GRID), values.shape[-1])
    return Truth(logs, np.clip((values - least) / (start - least), 0.0, CLIP))


def regrets_of(truth: Truth, rates: Floats) -> Floats:
    """For rates (tasks, optimizers, groups), NaN where there is none: (tasks, optimizers, schedules, groups)."""
    tasks, optimizers, groups = rates.shape
    found = np.empty((tasks, optimizers, len(SCHEDULES), groups))
    for at in np.ndindex(found.shape[:3]):
        logs = np.log10(rates[at[:2]])
        found[at] = np.interp(logs, truth.logs, truth.regrets[at])
    return np.where(np.isnan(rates)[:, :, None], SILENT, found)


def draws(random: np.random.Generator, regrets: Floats, tasks: NDArray[np.int64]) -> Floats:
    """The mean for each row of drawn tasks, their groups drawn anew."""
    by_group = regrets.mean(2)
    _, optimizers, groups = by_group.shape
    chosen = random.integers(groups, size=(*tasks.shape, optimizers, groups))
    return by_group[tasks[..., None, None], np.arange(optimizers)[:, None], chosen].mean((1, 2, 3))


def interval(values: Floats) -> list[float]:
    return [float(value) for value in np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])]


def spread(logs: Floats) -> float | None:
    """The standard deviation over the groups of a configuration, as the root of the mean variance."""
    rows = [row[np.isfinite(row)] for row in logs.reshape(-1, logs.shape[-1])]
    variances = [row.var(ddof=1) for row in rows if row.size > 1]
    return float(np.sqrt(np.mean(variances))) if variances else None


def judged(truth: Truth, rates: Floats, reference: Floats) -> dict[str, Any]:
    """The row of a finder; `reference` are the regrets of the one that it is compared with."""
    regrets = regrets_of(truth, rates)
    random = np.random.default_rng(5)
    tasks = random.integers(len(regrets), size=(DRAWS, len(regrets)))
    own, other = draws(random, regrets, tasks), draws(random, reference, tasks)
    logs = np.log10(rates)
    off = logs[:, :, None] - truth.best[..., None]
    off = off[np.isfinite(off)]
    return {
        "regret": float(regrets.mean()),
        "interval": interval(own),
        "difference": float(regrets.mean() - reference.mean()),
        "difference_interval": interval(own - other),
        "p90": float(np.quantile(regrets, 0.9)),
        "share_above_half": float((regrets > 0.5).mean()),
        "silent": float(np.isnan(rates).mean()),
        "bias": float(off.mean()) if off.size else None,
        "spread": spread(logs),
        "groups": rates.shape[-1],
        "by_task": regrets.mean((1, 2, 3)).tolist(),
        "by_optimizer_and_schedule": regrets.mean((0, 3)).tolist(),
        "by_configuration": regrets.mean(3).tolist(),
    }
