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


def unwrapped(optimizer: Optimizer) -> Optimizer:
    """The optimizer within a wrapper that is one by name only, as Accelerate's is: it has none of torch's hooks.

    A scheduler keeps the wrapper, as torch's own do: with scaled gradients that puts back the inner one's `step` as it
    was before, and torch would warn that it was overridden.
    """
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, Optimizer) and not hasattr(optimizer, "_optimizer_load_state_dict_post_hooks"):
        return unwrapped(inner)
    return optimizer
