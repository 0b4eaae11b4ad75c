"""Many trainings at once, each with its own rates, start and order of the data: what the benchmark of finders runs.

The optimizers are PyTorch's SGD, SGD(momentum=0.9) and Adam, written for rows of flat weights (the tests compare them).
"""

import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import lrcore
from bench.finder_tasks import TASKS, Task
from lrcore.finder import PROBE_STEPS

OPTIMIZERS = ["sgd", "momentum", "adam"]
SLOW = {"transformer", "digits-cnn"}  # begun first, so that both processes end together
VALID_AT_ONCE = 100  # samples, so that what lies between the layers stays small

Floats = NDArray[np.float64]


@dataclass
class Optimizer:
    """One of OPTIMIZERS on rows of weights, with what it remembers."""

    name: str
    count: int = 0
    first: Tensor | float = 0.0
    second: Tensor | float = 0.0

    @torch.no_grad()
    def step(self, weights: Tensor, gradient: Tensor, rates: Tensor) -> None:
        """One update; `rates` is a column."""
        self.count += 1
        if self.name == "sgd":
            weights.sub_(rates * gradient)
        elif self.name == "momentum":
            self.first = 0.9 * self.first + gradient
            weights.sub_(rates * self.first)
        else:
            self.first = 0.9 * self.first + 0.1 * gradient
            self.second = 0.999 * self.second + 0.001 * gradient.square()
            divisor = (self.second / (1 - 0.999**self.count)).sqrt() + 1e-8
            weights.sub_(rates / (1 - 0.9**self.count) * self.first / divisor)


def orders(task: Task, seeds: list[int], steps: int) -> Tensor:
    """Samples of each step, (steps, seeds, batch): passes through the data, each in a new order."""
    size = len(task.data().inputs)
    rows = []
    for seed in seeds:
        random = torch.Generator().manual_seed(zlib.crc32(f"order of {task.name} {seed}".encode()))
        passes = -(-steps * task.batch // size)
        order = torch.cat([torch.randperm(size, generator=random) for _ in range(passes)])
        rows.append(order[: steps * task.batch].view(steps, task.batch))
    return torch.stack(rows, 1)


def train(
    task: Task, optimizer: str, rates: Floats, seeds: list[int], starts: list[int] | None = None
) -> tuple[Floats, Tensor]:
    """Trains a replica for each of `rates` (replicas, steps) and its seed, which gives its order of the data.

    `starts` are seeds for the weights, by default the same ones.

    Returns:
        The losses of each step's batch before its update, (replicas, steps), and the weights at the end.
    """
    distinct = sorted(set(seeds))
    where = torch.tensor([distinct.index(seed) for seed in seeds])
    weights = task.start(starts) if starts else task.start(distinct)[where]
    weights.requires_grad_()
    samples = orders(task, distinct, rates.shape[1])
    columns = torch.tensor(rates.T, dtype=torch.float32)[..., None]
    data, rule, seen = task.data(), Optimizer(optimizer), []
    for at, column in zip(samples, columns, strict=True):
        inputs, targets = data.inputs[at][where], data.targets[at][where]
        losses = task.losses(weights, inputs, targets)
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        rule.step(weights, gradient, column)
        seen.append(losses.detach())
    return torch.stack(seen, 1).double().numpy(), weights.detach()


@torch.no_grad()
def validation(task: Task, weights: Tensor) -> Floats:
    """The validation loss of each replica."""
    data = task.data()
    count = len(data.valid_inputs)
    total = torch.zeros(len(weights))
    for begin in range(0, count, VALID_AT_ONCE):
        part = slice(begin, begin + VALID_AT_ONCE)
        inputs, targets = data.valid_inputs[part], data.valid_targets[part]
        copies = [len(weights)] + [-1] * inputs.dim()
        losses = task.losses(weights, inputs.expand(copies), targets.expand(copies[: 1 + targets.dim()]))
        total += losses * len(inputs)
    return (total / count).double().numpy()


# ---- What the finders see, and what is true ----


@dataclass(frozen=True)
class Size:
    """How much is measured: the whole of it, or a little of everything."""

    grid: int = 25  # rates of the truth, from GRID
    seeds: int = 3  # of the truth; a task may ask for fewer
    runs: int = 16  # range tests of an optimizer and a range
    share: float = 1.0  # of the steps of the trainings
    probe_grid: int = 0  # rates probed for the chooser, from PROBE_GRID


WHOLE = Size()
QUICK = Size(grid=13, seeds=1, runs=8, share=0.5)

GRID = (1e-5, 10.0)
PROBE_GRID = (1e-7, 10.0)
RESTARTS = 8
SCHEDULES = ["constant", "one-cycle"]
CAP = 10.0  # what a diverged training counts, in losses of the start

# Range tests: first and last rate, updates. "default" is that of `RangeTest` and of most libraries, torch-lr-finder's
# notebook ends at 100, "fine" is the default of `find_lr`. Those of "one start" are fine ones, eight at a time from the
# same weights, as restarts of a given model are.
_FIND_LR = (1e-6, 10.0, 200)
RANGES = {
    "default": (1e-7, 10.0, 100),
    "fine": _FIND_LR,
    "one start": _FIND_LR,
    "lightning": (1e-8, 1.0, 100),
    "wide": (1e-7, 100.0, 100),
}

# Seeds apart from each other: those of the truth, of the range tests and of probes.
FIRST_RANGE_SEED, FIRST_PROBE_SEED = 1000, 2000

Curves = dict[str, Floats]


def ladder(name: str) -> Floats:
    begin, end, steps = RANGES[name]
    return np.geomspace(begin, end, steps)


def shape(schedule: str, steps: int) -> Floats:
    """What the rate is multiplied with in each step: 1, or up in a quarter of them and down by a cosine."""
    if schedule == "constant":
        return np.ones(steps)
    return lrcore.warmup_cosine(1.0, 0.0, max(1, steps // 4), steps, init_value=1 / 25).table(steps)


def start_loss(task: Task, size: Size) -> float:
    return float(validation(task, task.start(list(range(min(size.seeds, task.seeds))))).mean())


def truth(task: Task, optimizer: str, schedule: str, size: Size) -> Floats:
    """The validation loss after a training with each rate of the grid: the mean of the seeds, which share batches."""
    seeds = min(size.seeds, task.seeds)
    rates = np.repeat(np.geomspace(*GRID, size.grid), seeds)
    course = shape(schedule, round(size.share * task.steps))
    _, weights = train(task, optimizer, rates[:, None] * course, list(range(seeds)) * size.grid)
    cap = CAP * start_loss(task, size)
    found = np.nan_to_num(validation(task, weights), nan=cap, posinf=cap)
    return np.minimum(found, cap).reshape(size.grid, seeds).mean(1)


def range_tests(task: Task, optimizer: str, name: str, size: Size) -> Floats:
    """The losses of range tests that differ in start and order, (runs, steps), unstopped."""
    seeds = [FIRST_RANGE_SEED + run for run in range(size.runs)]
    starts = [seed - run % RESTARTS for run, seed in enumerate(seeds)] if name == "one start" else None
    return train(task, optimizer, np.tile(ladder(name), (size.runs, 1)), seeds, starts)[0]


def probes(task: Task, optimizer: str, rates: Floats, steps: int, seeds: list[int]) -> Floats:
    """Losses of short trainings with each rate and each seed, (rates, seeds, steps); a seed's share their batches."""
    each = np.repeat(rates, len(seeds))[:, None] * np.ones(steps)
    return train(task, optimizer, each, seeds * len(rates))[0].reshape(len(rates), len(seeds), steps)


def measured(task: Task, size: Size) -> Curves:
    """All of one task by names: `start` its first loss, `optimizer/schedule` the truth, `optimizer/range` curves."""
    found = {"start": np.array(start_loss(task, size))}
    for optimizer in OPTIMIZERS:
        for schedule in SCHEDULES:
            found[f"{optimizer}/{schedule}"] = truth(task, optimizer, schedule, size)
        for name in RANGES:
            found[f"{optimizer}/{name}"] = range_tests(task, optimizer, name, size)
        if size.probe_grid:
            rates = np.geomspace(*PROBE_GRID, size.probe_grid)
            seeds = [FIRST_PROBE_SEED + run for run in range(6)]
            found[f"{optimizer}/probes"] = probes(task, optimizer, rates, PROBE_STEPS, seeds)
    return {f"{task.name}/{key}": value for key, value in found.items()}


def _one(name: str, size: Size) -> Curves:
    """Of one task, with the seconds of processor time that it took."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # of the whole process: numbers close to 0 would cost a diverging run seconds
    begun = time.process_time()
    found = measured(next(task for task in TASKS if task.name == name), size)
    return found | {f"{name}/seconds": np.array(time.process_time() - begun)}


def collect(tasks: list[Task], size: Size, workers: int) -> Curves:
    """`measured` of these tasks, in as many processes of one thread each."""
    slow_first = sorted((task.name for task in tasks), key=lambda name: name not in SLOW)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        found = pool.map(_one, slow_first, [size] * len(slow_first))
        return {key: value for curves in found for key, value in curves.items()}
