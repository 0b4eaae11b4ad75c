"""Drop-ins for SequentialLR and ChainedScheduler, which nest in each other as deep as one likes.

A part that begins, begins from the groups' first rates and from its own step 0, whatever it is made of. torch undoes
and redoes the first steps of nested schedulers by counting, and has no closed form for them at a milestone: it starts
some of them twice and others not at all.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from typing import Any

from torch import Tensor
from torch.optim import Optimizer, lr_scheduler as peer
from torch.optim.lr_scheduler import LRScheduler

from lrcore.bindings.torch._dropin import TORCHS
from lrcore.bindings.torch._dropin_rates import copied, put_back, with_group_rates


def begin(scheduler: Any) -> None:
    """From the rates that are there, as a scheduler does when it is built."""
    children = getattr(scheduler, "_schedulers", None)
    if children is None:
        scheduler.last_epoch = -1
        scheduler._initial_step()
        return
    if hasattr(scheduler, "_milestones"):
        for child in children:
            wait(child)
        scheduler.last_epoch = 0
        children = children[bisect_right(scheduler._milestones, 0) :][:1]
    for child in children:
        begin(child)
    _note_rates(scheduler)


def wait(scheduler: Any) -> None:
    """Until its turn: what torch's constructor has stepped is counted back, as there."""
    for child in getattr(scheduler, "_schedulers", ()):
        wait(child)
    if not hasattr(scheduler, "_schedulers"):
        scheduler.last_epoch = -1


def enter(scheduler: Any) -> None:
    """At its milestone: a single scheduler by its closed form, as in torch, a nested one from the first rates."""
    if hasattr(scheduler, "_schedulers"):
        to_first_rates(scheduler.optimizer)
        begin(scheduler)
    elif isinstance(scheduler, TORCHS["CosineAnnealingWarmRestarts"]):
        scheduler.step(0)
    else:
        scheduler._update_lr(0)


def to_first_rates(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        first = group["initial_lr"]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(first.squeeze() if isinstance(first, Tensor) else first)
        else:
            group["lr"] = first


def _note_rates(scheduler: Any) -> None:
    scheduler._last_lr = [copied(group["lr"]) for group in scheduler.optimizer.param_groups]


class _Nested(LRScheduler):
    """What the two share: being a part of another one, and state."""

    optimizer: Optimizer

    def _initial_step(self) -> None:
        begin(self)

    def _update_lr(self, epoch: int | None = None) -> None:
        """For torch's own SequentialLR, which calls it at a milestone."""
        if epoch is None:
            self.step()
        else:
            enter(self)

    def __repr__(self) -> str:
        schedulers: Any = self.__dict__["_schedulers"]
        milestones = f", milestones={self.__dict__['_milestones']}" if "_milestones" in self.__dict__ else ""
        return f"{type(self).__name__}([{', '.join(map(repr, schedulers))}]{milestones})"

    def state_dict(self) -> dict[str, Any]:
        """torch's state, with those of the parts."""
        state = super().state_dict()
        state["_last_lr"] = list(self._last_lr)
        return with_group_rates(self, state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state, of torch's class too, and writes its rates into the groups."""
        state = dict(state_dict)
        group_rates = state.pop("group_lrs", None)
        super().load_state_dict(state)
        self._last_lr = [copied(rate) for rate in self._last_lr]
        put_back(self.optimizer, self._last_lr if group_rates is None else group_rates)


class SequentialLR(_Nested, peer.SequentialLR):
    """torch's SequentialLR: one scheduler after another, each from its own step 0; they nest.

    With `last_epoch` the parts are stepped to where they were, once.

    Example:
        >>> import torch
        >>> from lrcore.bindings.torch.lr_scheduler import ConstantLR, ExponentialLR
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> def part():
        ...     return SequentialLR(optimizer, [ConstantLR(optimizer, 0.25), ExponentialLR(optimizer, 0.5)], [1])
        >>> scheduler = SequentialLR(optimizer, [part(), part()], milestones=[3])
        >>> for _ in range(6):
        ...     print(optimizer.param_groups[0]["lr"], end=" ")
        ...     optimizer.step()
        ...     scheduler.step()
        0.25 1.0 0.5 0.25 1.0 0.5
    """

    __slots__ = ("_turn",)

    _turn: Any  # its own attributes, the step and the attributes of the one whose turn it is, and where that ends

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, schedulers, milestones, last_epoch)
        to_first_rates(optimizer)
        begin(self)
        if last_epoch >= 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of steps before the optimizer's, which it has done
                for _ in range(last_epoch + 1):
                    self.step()

    def step(self) -> None:  # type: ignore[override]
        """Steps the scheduler whose turn it is."""
        own, step, part, until = self._turn
        epoch = own["last_epoch"] = own["last_epoch"] + 1
        if epoch < until:
            step()
            own["_last_lr"] = part["_last_lr"]
        else:
            own["_last_lr"] = self._next_turn(epoch)._last_lr

    def _next_turn(self, epoch: int) -> Any:
        """The scheduler of an epoch, entered or stepped."""
        milestones = self._milestones
        at = bisect_right(milestones, epoch)
        scheduler: Any = self._schedulers[at]
        if at and milestones[at - 1] == epoch:
            enter(scheduler)
        else:
            scheduler.step()
        if "_last_lr" in scheduler.__dict__:
            until = milestones[at] if at < len(milestones) else math.inf
            self._turn = self.__dict__, scheduler.step, scheduler.__dict__, until
        return scheduler

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in ("last_epoch", "_milestones", "_schedulers"):
            object.__setattr__(self, "_turn", (self.__dict__, None, None, 0))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._turn = self.__dict__, None, None, 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state, of torch's class too, and writes its rates into the groups."""
        super().load_state_dict(state_dict)
        self._turn = self.__dict__, None, None, 0


class ChainedScheduler(_Nested, peer.ChainedScheduler):
    """torch's ChainedScheduler: each scheduler changes the rate that the one before it left.

    Example:
        >>> import torch
        >>> from lrcore.bindings.torch.lr_scheduler import ConstantLR, ExponentialLR
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = ChainedScheduler([ConstantLR(optimizer, 0.5, 2), ExponentialLR(optimizer, 0.5)])
        >>> for _ in range(4):
        ...     print(optimizer.param_groups[0]["lr"], end=" ")
        ...     optimizer.step()
        ...     scheduler.step()
        0.5 0.25 0.25 0.125
    """

    def step(self) -> None:  # type: ignore[override]
        """Steps every scheduler, in order."""
        for scheduler in self._schedulers:
            scheduler.step()
        _note_rates(self)


__all__ = ["ChainedScheduler", "SequentialLR"]
