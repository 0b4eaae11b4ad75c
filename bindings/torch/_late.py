"""What the helpers for frameworks share: schedules that are bound when the run is known, and optimizers in wrappers."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from lrcore import Schedule


def bound(given: Any, **run: int | None) -> Any:
    """A schedule, or a list or a dict of them as `Scheduler` takes it, with the durations that have units bound."""
    if isinstance(given, dict):
        return {name: bound(one, **run) for name, one in given.items()}
    if isinstance(given, (list, tuple)):
        return [bound(one, **run) for one in given]
    return given if is_bound(given) else given.bind(**run)


def is_bound(given: Any) -> bool:
    """Whether there is nothing to bind; what is no schedule is left to `Scheduler` to refuse."""
    if isinstance(given, dict):
        return all(map(is_bound, given.values()))
    if isinstance(given, (list, tuple)):
        return all(map(is_bound, given))
    return not isinstance(given, Schedule) or given.is_bound


def unwrapped(optimizer: Any) -> Any:
    """The optimizer within a wrapper that shows its groups as its own, as Accelerate's and Lightning's do.

    Those have none of torch's hooks, and frameworks look for the inner one when they are given a scheduler.
    """
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, Optimizer) and inner.param_groups is optimizer.param_groups:
        return unwrapped(inner)
    return optimizer
