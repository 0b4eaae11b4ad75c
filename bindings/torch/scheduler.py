"""PyTorch: a schedule as a learning-rate scheduler of torch."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrcore import Schedule, _check
from lrcore.schedule import LAST_STEP, is_schedule

LONGEST_SPEC = 4096  # characters of a schedule's repr that a checkpoint carries whole
STATE = ("last_epoch", "_step_count", "_last_lr", "group_lrs", "schedule")
_updates_done = _check.whole(-1, LAST_STEP - 1, "the number of updates done, less one")


class Scheduler(LRScheduler):
    """Gives an optimizer the learning rates of a schedule.

    After k calls of `step()` the rate in every parameter group is `schedule(k)`; the first update uses
    `schedule(0)`.

    It is a scheduler as torch has them: call `step()` once after each update (not once an epoch), save its
    `state_dict()` with the optimizer's, put it into `SequentialLR`. The rate is a pure function of
    `last_epoch`, torch's word for the number of updates done: nothing is read back from the optimizer, so no
    rounding adds up and a resumed run has the rates of one that never stopped.

    Several parameter groups all get the same rate. The values of a schedule are learning rates, not
    multipliers, so the `lr` that each group was built with is overwritten; parts that need rates of their own
    need an optimizer and a scheduler each, as in `Scheduler(head_optimizer, 10 * schedule)`. A group added
    later by `optimizer.add_param_group` keeps its own `lr` until the next `step()`.

    Rates are Python floats: an optimizer's checkpoint with any other number in it cannot be read by
    `torch.load(..., weights_only=True)`. Where a group's `lr` is a tensor, that tensor is filled in place, in
    its own dtype.

    Args:
        optimizer: the optimizer whose groups get the rate.
        schedule: the schedule, or a number for a constant rate.
        last_epoch: the number of updates done, less one; -1 for a new run. As in torch the constructor takes
            a step, so that `last_epoch=k - 1` gives `schedule(k)`. Torch's own schedulers refuse that on an
            optimizer that has never been scheduled, whose first rate they would need; this one does not.

    Raises:
        TypeError, ValueError: no torch optimizer; no schedule; a last_epoch that is no int >= -1.

    Also known as: `LambdaLR(optimizer, schedule)` over groups of `lr=1.0`, which does not save its function.

    Example:
        >>> import torch
        >>> from lrcore import warmup_cosine
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> scheduler = Scheduler(optimizer, warmup_cosine(0.5, 0.0, warmup_steps=2, steps=4))
        >>> for update in range(4):
        ...     print(update, optimizer.param_groups[0]["lr"])
        ...     weight.square().sum().backward()
        ...     optimizer.step()
        ...     scheduler.step()
        0 0.0
        1 0.25
        2 0.5
        3 0.25
        >>> scheduler.get_last_lr()
        [0.0]
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule | float, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            _check.refuse("Scheduler.optimizer", "a torch.optim.Optimizer", optimizer, TypeError)
        self.schedule = is_schedule("Scheduler.schedule", schedule)
        self._spec: str | None = None  # made once, for all checkpoints
        last_epoch = _updates_done("Scheduler.last_epoch", last_epoch)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", _unaliased(group["lr"]))
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The rate of each group: `schedule(last_epoch)`.

        Example:
            >>> import torch
            >>> from lrcore import Linear
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> Scheduler(optimizer, Linear(0.5, 0.0, 4), last_epoch=0).get_lr()
            [0.375]
        """
        return [self.schedule(self.last_epoch)] * len(self.optimizer.param_groups)

    # For those who ask it directly, as torch's own schedulers with a closed form may be asked.
    _get_closed_form_lr = get_lr

    def state_dict(self) -> dict[str, Any]:
        """The state, in plain types that `torch.load(..., weights_only=True)` takes.

        The rate depends on `last_epoch` alone. On load the schedule's repr (of a long one its begin and a
        fingerprint) is compared, and the groups' rates are put back.

        Example:
            >>> import torch
            >>> from lrcore import Linear
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> for name, value in Scheduler(optimizer, Linear(0.5, 0.0, 4)).state_dict().items():
            ...     print(name, "=", value)
            last_epoch = 0
            _step_count = 1
            _last_lr = [0.5]
            group_lrs = [0.5]
            schedule = Linear(init_value=0.5, end_value=0.0, steps=4)
        """
        return {
            "last_epoch": self.last_epoch,
            "_step_count": self._step_count,
            "_last_lr": [float(rate) for rate in self._last_lr],
            # Another scheduler may be in charge of them, as in another part of a SequentialLR.
            "group_lrs": [float(group["lr"]) for group in self.optimizer.param_groups],
            "schedule": self._own_spec(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state of the same schedule, and writes the rates of its time into the optimizer's groups.

        Torch's own schedulers leave the groups alone, so that the first update after a load uses a wrong rate
        unless the optimizer was loaded last. A group added since then gets the schedule's rate.

        Args:
            state_dict: what `state_dict()` gave.

        Raises:
            TypeError, ValueError: a state of another schedule, of another kind of scheduler, or with values that no
                state has; nothing has changed then.

        Example:
            >>> import torch
            >>> from lrcore import Linear
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> state = Scheduler(optimizer, Linear(0.5, 0.0, 4), last_epoch=1).state_dict()
            >>> resumed = Scheduler(optimizer, Linear(0.5, 0.0, 4))
            >>> resumed.load_state_dict(state)
            >>> optimizer.param_groups[0]["lr"]
            0.25
            >>> Scheduler(optimizer, Linear(0.5, 0.0, 8)).load_state_dict(state)
            Traceback (most recent call last):
            ...
            ValueError: Scheduler.load_state_dict: expected a state of Linear(init_value=0.5, end_value=0.0,
            steps=8), got one of Linear(init_value=0.5, end_value=0.0, steps=4)
        """
        if not isinstance(state_dict, dict):
            _check.refuse("Scheduler.load_state_dict", "a dict", state_dict, TypeError)
        missing = [name for name in STATE if name not in state_dict]
        if missing:
            raise ValueError(
                "Scheduler.load_state_dict: expected a state of lrcore.bindings.torch.Scheduler, "
                f"got one without {', '.join(missing)}"
            )
        ours, given = self._own_spec(), state_dict["schedule"]
        if given != ours:
            raise ValueError(f"Scheduler.load_state_dict: expected a state of {ours}, got one of {given}")
        last_epoch = _updates_done("Scheduler.load_state_dict['last_epoch']", state_dict["last_epoch"])
        last_lr, group_lrs = _rates(state_dict, "_last_lr"), _rates(state_dict, "group_lrs")
        self.last_epoch = last_epoch
        self._step_count = state_dict["_step_count"]
        self._last_lr = list(last_lr)
        self._put_back(group_lrs)

    def _own_spec(self) -> str:
        if self._spec is None:
            self._spec = _spec(self.schedule)
        return self._spec

    def _put_back(self, rates: list[float]) -> None:
        groups = self.optimizer.param_groups
        if self.last_epoch >= 0:  # below 0 it waits for its turn in a SequentialLR
            rates = rates + [self.schedule(self.last_epoch)] * (len(groups) - len(rates))
        for group, rate in zip(groups, rates, strict=False):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def _unaliased(rate: float | torch.Tensor) -> float | torch.Tensor:
    return rate.clone() if isinstance(rate, torch.Tensor) else rate


def _rates(state_dict: dict[str, Any], name: str) -> list[float]:
    where = f"Scheduler.load_state_dict[{name!r}]"
    return [
        _check.number(f"{where}[{at}]", rate) for at, rate in enumerate(_check.items(where, state_dict[name], "rates"))
    ]


def _spec(schedule: Schedule) -> str:
    """The schedule's repr, of a long one its begin and a fingerprint."""
    text = repr(schedule)
    if len(text) <= LONGEST_SPEC:
        return text
    return f"{text[:80]}... (sha256 {hashlib.sha256(text.encode()).hexdigest()})"
