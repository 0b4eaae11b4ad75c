"""DeviceSchedule: a schedule that a device follows by itself, for captured CUDA graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from lrcore import Schedule, _check
from lrcore.bindings.torch._board import board_of
from lrcore.bindings.torch._driven import positions, replace, scale_of, slot_of
from lrcore.schedule import LAST_STEP, is_schedule

MOST_STEPS = 2**28  # of a table of 1 GiB

_steps = _check.whole(1, MOST_STEPS, "a number of updates")
_position = _check.whole(0, LAST_STEP, "the number of updates done")


class DeviceSchedule:
    """The values of a schedule as a table on the device, and the number of updates done beside it.

    `value[()] = table[min(count, steps - 1)]`, `count += 1`, by operations of the device alone

    `advance()` has no host work that hangs on the position, and never waits for the device: captured into a CUDA graph
    after the optimizer's step, each replay leaves the next update its own learning rate. (A `Scheduler` fills a tensor
    from the host, which a replay would not repeat.) The optimizer has to take a tensor, and in a graph be
    `capturable=True`.

    The table is float32, each value the float64 one rounded once. Past its end the last value stays.

    Args:
        schedule: a schedule or a number.
        steps: how many updates the table holds, >= 1; None: up to where the schedule holds its last value for ever.
        device: where: "cuda", "cpu", a `torch.device`.
        position: the number of updates done already.

    Attributes:
        value: the value of the next update, a 0-d float32 tensor that stays the same tensor.

    Raises:
        TypeError, ValueError: arguments outside of these; a schedule without an end and no `steps`.

    Example:
        >>> import torch
        >>> from lrcore import Linear
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> rates = DeviceSchedule(Linear(0.5, 0.0, 4), device="cpu").attach(optimizer)
        >>> for update in range(3):
        ...     print(float(optimizer.param_groups[0]["lr"]))
        ...     rates.advance()
        0.5
        0.375
        0.25
    """

    def __init__(
        self,
        schedule: Schedule | float,
        steps: int | None = None,
        *,
        device: torch.device | str,
        position: int = 0,
    ) -> None:
        self.schedule = is_schedule("DeviceSchedule.schedule", schedule)
        if steps is None:
            length = self.schedule.length
            if length is None:
                _check.refuse("DeviceSchedule.steps, of a schedule without an end", "a number of updates", steps)
            steps = length + 1
        steps = _steps("DeviceSchedule.steps", steps)
        position = _position("DeviceSchedule.position", position)
        table = torch.from_numpy(self.schedule.table(steps, dtype="float32"))
        self._table = table.to(device)
        # One element and not 0-d: index_select writes straight into `value`'s memory.
        self._count = torch.full((1,), position, dtype=torch.int64, device=device)
        self._row = torch.empty(1, dtype=torch.float32, device=device)
        self.value = self._row[0]
        self._look_up()

    def _look_up(self) -> None:
        torch.index_select(self._table, 0, self._count.clamp(max=len(self._table) - 1), out=self._row)

    @torch.no_grad()
    def advance(self) -> None:
        """Goes on to the next update; to be called once after each update, or captured with it.

        That is three small kernels. `torch.compile(rates.advance, fullgraph=True)`, called once before it is captured,
        makes one of them.
        """
        self._count += 1
        self._look_up()

    def attach(self, optimizer: Optimizer, param: str = "lr", groups: Sequence[int] | None = None) -> DeviceSchedule:
        """Puts `value` into the groups of an optimizer.

        Args:
            optimizer: the optimizer; it gets the tensor itself, and keeps it when it loads a state. A group that is
                added later does not have it.
            param: the hyper-parameter.
            groups: the places of the groups; None: all. Groups of another `lr_scale` need a DeviceSchedule of their
                own, of `scale * schedule`.

        Returns:
            self

        Raises:
            TypeError, ValueError: no torch optimizer; a hyper-parameter that a group does not have; an `lr_scale`.
        """
        if not isinstance(optimizer, Optimizer):
            _check.refuse("DeviceSchedule.attach.optimizer", "a torch.optim.Optimizer", optimizer, TypeError)
        listed = optimizer.param_groups
        chosen = positions("DeviceSchedule.attach.groups", groups, len(listed)) or range(len(listed))
        slots = [(position, slot_of("DeviceSchedule.attach.param", param, listed[position])) for position in chosen]
        if groups is None and any(scale_of(group, param) != 1.0 for group in listed):
            allowed = f"the places of groups, where groups have a {param}_scale"
            _check.refuse("DeviceSchedule.attach.groups", allowed, groups)
        for position, slot in slots:
            board_of(optimizer).keep(position, slot, replace(listed[position], slot, self.value))
        return self

    @property
    def position(self) -> int:
        """The number of updates done; reading it waits for the device."""
        return int(self._count)

    @position.setter
    def position(self, updates: int) -> None:
        self._count.fill_(_position("DeviceSchedule.position", updates))
        self._look_up()

    def state_dict(self) -> dict[str, Any]:
        """The position and the schedule's fingerprint, in plain types.

        Example:
            >>> rates = DeviceSchedule(0.5, device="cpu")
            >>> rates.advance()
            >>> rates.state_dict()["position"]
            1
        """
        return {"position": self.position, "fingerprint": self.schedule.fingerprint()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the position of a state of the same schedule.

        Raises:
            ValueError: a state of another schedule.
        """
        if not (type(state_dict) is dict and {*state_dict} == {"position", "fingerprint"}):
            _check.refuse("DeviceSchedule.load_state_dict", "a state of a DeviceSchedule", state_dict)
        if state_dict["fingerprint"] != self.schedule.fingerprint():
            raise ValueError(f"DeviceSchedule.load_state_dict: expected a state of {self.schedule!r}, got another's")
        self.position = state_dict["position"]
