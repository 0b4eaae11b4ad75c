"""The finders that are judged: ours, those of other libraries, and constants.

Each makes of the recorded curves a rate for each group of range tests, (tasks, optimizers, groups): with eight restarts
a group is eight of them, else one. All see the losses as recorded and stop by their own rules.
"""

from collections.abc import Callable, Iterator

import numpy as np

from bench.finder_scoring import Truth
from bench.finder_tasks import Task
from bench.finder_training import FIRST_PROBE_SEED, GRID, OPTIMIZERS, RESTARTS, Curves, Floats, ladder, probes
from lrcore.finder import PROBE_RUNS, PROBE_STEPS, PUBLISHED, best_probe, probe_lrs, published, suggest

# What is recommended without looking at a task.
CONSTANTS = {"sgd": 0.1, "momentum": 0.03, "adam": 0.01}

# On which range tests each library's rule is judged: those of its defaults.
OWN_RANGE = {"lightning": "lightning", "lightning-2.5.2": "lightning", "torch-lr-finder": "wide"}

SEARCHED = 25

Rule = Callable[[Floats, Floats], float | None]


def on_groups(curves: Curves, tasks: list[Task], name: str, runs: int, rule: Rule) -> Floats:
    """A rule on each group of so many runs of the range tests of that name; it takes rates and (runs, steps) losses."""
    lrs = ladder(name)

    def each(task: Task, optimizer: str) -> list[float]:
        losses = curves[f"{task.name}/{optimizer}/{name}"]
        groups = [losses[begin : begin + runs] for begin in range(0, len(losses), runs)]
        found = [rule(lrs, group) for group in groups]
        return [np.nan if rate is None else rate for rate in found]

    return np.array([[each(task, optimizer) for optimizer in OPTIMIZERS] for task in tasks])


def ours(lrs: Floats, losses: Floats) -> float:
    return suggest(lrs, losses).lr


def best_of(tasks: list[Task], rates: Floats) -> Floats:
    """The best of some rates in short runs; rates are (tasks, optimizers, groups, rates)."""
    found = np.empty(rates.shape[:-1])
    for at in np.ndindex(found.shape):
        task, optimizer, group = tasks[at[0]], OPTIMIZERS[at[1]], at[2]
        seeds = [FIRST_PROBE_SEED + PROBE_RUNS * group + run for run in range(PROBE_RUNS)]
        found[at] = best_probe(rates[at], probes(task, optimizer, rates[at], PROBE_STEPS, seeds))
    return found


def refined(tasks: list[Task], suggestions: Floats) -> Floats:
    """Each suggestion after short runs around it."""
    return best_of(tasks, np.array([probe_lrs(lr) for lr in suggestions.flat]).reshape(*suggestions.shape, -1))


def searched(tasks: list[Task], groups: int) -> Floats:
    """What short runs say without a suggestion: the best of four rates a decade, everywhere."""
    grid = np.geomspace(*GRID, SEARCHED)
    return best_of(tasks, np.broadcast_to(grid, (len(tasks), len(OPTIMIZERS), groups, SEARCHED)))


def _everywhere(rates: Floats) -> Floats:
    """Rates (tasks, optimizers) with an axis of one group."""
    return rates[..., None]


def constants(tasks: list[Task]) -> Floats:
    return _everywhere(np.array([[CONSTANTS[optimizer] for optimizer in OPTIMIZERS] for _ in tasks]))


def constants_of_others(truth: Truth) -> Floats:
    """For each task the rate of the grid that is best on average over the other tasks."""
    by_rate = truth.regrets.mean(2)
    others = by_rate.sum(0) - by_rate
    return _everywhere(10 ** truth.logs[others.argmin(-1)])


def candidates(curves: Curves, tasks: list[Task], truth: Truth) -> Iterator[tuple[str, int, Floats]]:
    """Name, gradients that it costs, and rates."""
    steps, cost = len(ladder("default")), RESTARTS * len(ladder("fine"))
    many = on_groups(curves, tasks, "fine", RESTARTS, ours)
    probing = len(probe_lrs(1.0)) * PROBE_RUNS * PROBE_STEPS
    yield "lrcore, 8 restarts, refined", cost + probing, refined(tasks, many)
    yield "lrcore, 8 restarts", cost, many
    yield "lrcore, 1 run", steps, on_groups(curves, tasks, "default", 1, ours)
    yield "lrcore, 8 restarts from one start", cost, on_groups(curves, tasks, "one start", RESTARTS, ours)
    short, cost = on_groups(curves, tasks, "default", RESTARTS, ours), RESTARTS * steps
    yield "lrcore, 8 restarts, 1e-7 to 10 in 100, refined", cost + probing, refined(tasks, short)
    yield "lrcore, 8 restarts, 1e-7 to 10 in 100", cost, short
    yield "lrcore, 1 run, 1e-6 to 10 in 200", len(ladder("fine")), on_groups(curves, tasks, "fine", 1, ours)
    effort = SEARCHED * PROBE_RUNS * PROBE_STEPS
    yield f"search: {SEARCHED} rates, short runs of each", effort, searched(tasks, many.shape[2])
    for name in PUBLISHED:

        def rule(lrs: Floats, losses: Floats, name: str = name) -> float | None:
            return published(name, lrs, losses[0])

        yield name, steps, on_groups(curves, tasks, OWN_RANGE.get(name, "default"), 1, rule)
    yield "constant: sgd .1, momentum .03, adam .01", 0, constants(tasks)
    yield "constant: best on the other tasks", 0, constants_of_others(truth)
