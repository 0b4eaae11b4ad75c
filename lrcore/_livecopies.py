"""Copies of live schedulers, which may be stepped and asked without a trace in the objects that the user trains with.

A copy shares the model's parameters and nothing else. In place of the optimizer it has the parameter groups without
their parameters, so that a copy of it costs no memory of the model's size.
"""

from __future__ import annotations

import copy
import types
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class StandIn:
    """What a scheduler sees of an optimizer: its groups. It has always been stepped already."""

    _opt_called = True  # or torch would warn

    def __init__(self, groups: list[dict[str, Any]], defaults: dict[str, Any]) -> None:
        self.param_groups = groups
        self.defaults = defaults

    def step(self) -> None:
        """Nothing is trained."""

    def register_load_state_dict_pre_hook(self, _hook: Callable[..., Any]) -> None:
        """Nobody loads a state into it, but the same schedulers want to know."""

    register_load_state_dict_post_hook = register_load_state_dict_pre_hook

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Nobody adds one, but schedulers of `lrcore.bindings.torch` watch whether somebody does."""
        self.param_groups.append(group)


def copied(scheduler: Any) -> Any:
    """A copy of a scheduler, with those within it, on a stand-in for its optimizer."""
    optimizer = scheduler.optimizer
    memo: dict[int, Any] = {
        id(parameter): parameter for group in optimizer.param_groups for parameter in group.get("params", ())
    }
    groups = [
        {key: [] if key == "params" else copy.deepcopy(item, memo) for key, item in group.items()}
        for group in optimizer.param_groups
    ]
    memo[id(optimizer)] = StandIn(groups, dict(getattr(optimizer, "defaults", {})))
    twin = copy.deepcopy(scheduler, memo)
    _detach_functions(twin, memo)
    return twin


def _detach_functions(scheduler: Any, memo: dict[int, Any]) -> None:
    for name, item in vars(scheduler).items():
        if isinstance(item, list) and any(map(callable, item)):
            setattr(scheduler, name, [detached(one, memo) for one in item])
        elif isinstance(item, (types.FunctionType, partial)):
            setattr(scheduler, name, detached(item, memo))
    for child in getattr(scheduler, "_schedulers", ()):
        _detach_functions(child, memo)


def detached(item: Any, memo: dict[int, Any]) -> Any:
    """A copy of a function too, with copies of what it closes over: `deepcopy` leaves functions as they are."""
    if id(item) in memo:
        return memo[id(item)]
    if isinstance(item, partial):
        arguments = [detached(one, memo) for one in item.args]
        return partial(
            detached(item.func, memo), *arguments, **{key: detached(one, memo) for key, one in item.keywords.items()}
        )
    if not isinstance(item, types.FunctionType):
        try:
            return copy.deepcopy(item, memo)
        except Exception:  # a lock, an open file, a module: there is no copy of it
            return item
    if not (item.__closure__ or item.__defaults__ or item.__kwdefaults__ or item.__dict__):
        return item
    cells = tuple(types.CellType() for _ in item.__closure__ or ())
    twin = types.FunctionType(item.__code__, item.__globals__, item.__name__, None, cells or None)
    memo[id(item)] = twin  # before what it closes over, which may be itself
    twin.__defaults__ = detached(item.__defaults__, memo)
    twin.__kwdefaults__ = detached(item.__kwdefaults__, memo)
    twin.__dict__.update(detached(item.__dict__, memo))
    for cell, original in zip(cells, item.__closure__ or (), strict=True):
        _fill(cell, original, memo)
    return twin


def _fill(cell: types.CellType, original: types.CellType, memo: dict[int, Any]) -> None:
    try:
        content = original.cell_contents
    except ValueError:  # it is empty
        return
    cell.cell_contents = detached(content, memo)


class Trace(NamedTuple):
    """The learning rates of some updates, one column a group, and what stopped the object there."""

    rates: NDArray[np.float64]
    error: Exception | None


def follow(scheduler: Any, n: int, step: Callable[[], object]) -> Trace:
    """Steps a copy n - 1 times. An object that raises ends the trace."""
    groups = scheduler.optimizer.param_groups
    rates: list[list[float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for at in range(n):
            rates.append([float(group["lr"]) for group in groups])
            try:
                if at + 1 < n:
                    step()
            except Exception as error:
                return Trace(np.array(rates), error)
    return Trace(np.array(rates), None)
