"""A step of a scheduler in PyTorch, beside torch's own class: `scheduler.step()` alone, without the optimizer's.

Both go on from round to round over one long run, and are at the same learning rate after each. Ours are the schedule's
own value; torch's recursion drifts, by up to 2e-11 in a million steps, hence the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import lrcore
from bench._measure import Kind, Line
from lrcore.dialects import torch as dialect

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = ("torch",)  # a process of its own: see `_worker`
RUN = 50_000_000  # updates, more than all rounds take
RATE, PEAK, WARM_UP = 0.1, 0.3, 100
TOLERANCE = 1e-9
BOUNDS = {1: 4.0, 100: 10.0}  # of the groups


def _optimizer(groups: int) -> Any:
    import torch

    listed = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    return torch.optim.SGD(listed, lr=RATE, momentum=0.9)


def _schedules() -> dict[str, Any]:
    cosine = dialect.CosineAnnealingLR(RATE, RUN)
    momentum = dialect.OneCycleLR(0.85, RUN, div_factor=0.85 / 0.95, final_div_factor=1.0)
    return {
        "CosineAnnealingLR": cosine,
        "OneCycleLR": {"lr": dialect.OneCycleLR(PEAK, RUN), "momentum": momentum},
        "SequentialLR": dialect.SequentialLR([dialect.LinearLR(RATE, 0.1, total_iters=WARM_UP), cosine], [WARM_UP]),
    }


def _built(module: Any, name: str, optimizer: Any) -> Any:
    """A scheduler of torch's module, or of the one that takes its place."""
    if name == "SequentialLR":
        parts = [module.LinearLR(optimizer, 0.1, total_iters=WARM_UP), module.CosineAnnealingLR(optimizer, RUN)]
        return module.SequentialLR(optimizer, parts, [WARM_UP])
    return module.OneCycleLR(optimizer, PEAK, RUN) if name == "OneCycleLR" else module.CosineAnnealingLR(optimizer, RUN)


def by_scheduler(name: str, optimizer: Any) -> Any:
    from lrcore.bindings.torch import Scheduler

    return Scheduler(optimizer, _schedules()[name])


def _drop_in(name: str, optimizer: Any) -> Any:
    from lrcore.bindings.torch import lr_scheduler

    return _built(lr_scheduler, name, optimizer)


def by_torch(name: str, optimizer: Any) -> Any:
    from torch.optim import lr_scheduler

    return _built(lr_scheduler, name, optimizer)


def stepping(make: Callable[[str, Any], Any], name: str, groups: int, count: int) -> Callable[[], NDArray[np.float64]]:
    """Steps on by `count`; gives the learning rate then, for each of them."""

    @cache
    def scheduler() -> Any:
        made = make(name, _optimizer(groups))
        made.optimizer.step()
        return made

    def run() -> NDArray[np.float64]:
        step = scheduler().step
        for _ in range(count):
            step()
        return np.full(count, float(scheduler().optimizer.param_groups[-1]["lr"]))

    return run


def _constructing(make: Callable[[str, Any], Any], name: str, count: int) -> Callable[[], None]:
    optimizer = cache(lambda: _optimizer(1))

    def run() -> None:
        for _ in range(count):
            make(name, optimizer())

    return run


def lines(quick: bool = False) -> Iterator[Line]:
    """Each class of torch against `Scheduler` with the same schedule, and against the drop-in of its name."""
    for groups, bound in BOUNDS.items():
        count = (200 if quick else 20_000) // groups
        for name in _schedules():
            for what, make in (("Scheduler", by_scheduler), ("drop-in", _drop_in)):
                yield Line(
                    topic="torch",
                    name=f"{what}.step() against {name}, {groups} group{'s' * (groups > 1)}",
                    ours=stepping(make, name, groups, count),
                    peer=stepping(by_torch, name, groups, count),
                    count=count,
                    kind=Kind.SPEEDUP,
                    unit="×",
                    bound=bound,
                    tolerance=TOLERANCE,
                )
    cosine = lrcore.Cosine(RATE, 0.0, 1_000_000)
    yield Line("torch", "a preview of a million updates", lambda: cosine.table(1_000_000), 1, Kind.TIME, "ms")
    built = 5 if quick else 200
    yield Line(
        "torch", "building a Scheduler", _constructing(by_scheduler, "CosineAnnealingLR", built), built, Kind.TIME, "µs"
    )
