"""Rates of parameter groups, as floats and as tensors: what the drop-ins do with them."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

SAME = 1e-9  # relative: rates that differ by rounding alone, as torch's recursion after millions of updates


def mix(w: float, root: Any, low: Any) -> Any:
    """The rate at a weight: exactly the root at 1 and `low` at 0."""
    return w * root + (1.0 - w) * low


def is_far(given: object) -> bool:
    """Whether it is a tensor on a device: to read it would wait for the device."""
    return isinstance(given, Tensor) and given.device.type != "cpu"


def near(given: Any) -> Any:
    """A rate as a float, or as the tensor that it is on a device."""
    return given if is_far(given) else float(given)


def copied(given: Any) -> Any:
    return given.clone() if type(given) is not float and isinstance(given, Tensor) else given  # which takes its time


def close(a: float, b: float, tolerance: float = SAME) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def rounding_of(lr: Any) -> float:
    """The relative difference that is nothing but rounding in what holds a rate."""
    is_rounded = isinstance(lr, Tensor) and lr.dtype.is_floating_point
    return max(SAME, 8.0 * torch.finfo(lr.dtype).eps) if is_rounded else SAME


def differ(a: Any, b: Any) -> bool:
    return a is not b and not is_far(a) and not is_far(b) and float(a) != float(b)


def with_group_rates(scheduler: LRScheduler, state: dict[str, Any]) -> dict[str, Any]:
    """The state, with the rates of the groups where they are not the last ones of this scheduler."""
    groups = [group["lr"] for group in scheduler.optimizer.param_groups]
    if len(groups) != len(scheduler._last_lr) or any(map(differ, groups, scheduler._last_lr)):
        state["group_lrs"] = [copied(lr) for lr in groups]
    return state


def put_back(optimizer: torch.optim.Optimizer, rates: list[Any]) -> None:
    """Rates into the groups; a group that was added since keeps its own."""
    for group, rate in zip(optimizer.param_groups, rates, strict=False):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate.squeeze() if isinstance(rate, Tensor) else rate)
        else:
            group["lr"] = near(copied(rate))


def warn_of_difference(scheduler: object, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    changed = [
        f"{name} from {ours[name]!r} to {theirs[name]!r}"
        for name in ours
        if name in theirs and not _equal(ours[name], theirs[name])
    ]
    if changed:
        warnings.warn(
            f"{type(scheduler).__name__}.load_state_dict: the state changes {', '.join(changed)}, as in torch",
            UserWarning,
            stacklevel=3,
        )


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return not differ(a, b)
    return bool(a == b)
