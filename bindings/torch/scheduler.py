"""Scheduler: a schedule as a learning-rate scheduler of torch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrcore import Schedule, _check
from lrcore.bindings.torch import _state
from lrcore.bindings.torch._board import Board, board_of
from lrcore.bindings.torch._driven import (
    Driven,
    Group,
    Plan,
    Slot,
    as_held,
    driven,
    held,
    positions,
    put,
    scale_of,
    slot_of,
    unaliased,
)
from lrcore.plateau import Plateau
from lrcore.schedule import LAST_STEP

if TYPE_CHECKING:
    from lrcore.bindings.torch.audit import Audit

_steps_done = _check.whole(-1, LAST_STEP - 1, "the number of updates done, less one")
_step_scale = _check.whole(1, 2**31, "how often step() is called an update")
_update = _check.whole(0, LAST_STEP, "the number of updates done")
_on_mismatch = _check.choice("raise", "keep_position")


class Scheduler(LRScheduler):
    """Gives an optimizer the values of a schedule: the learning rate, and any other hyper-parameter.

    `group["lr"] = schedule(k) * group["lr_scale"]` before the update that follows k updates

    k is `last_epoch // step_scale`, and `last_epoch`, by torch's odd word, is how often `step()` was called: once after
    each update, not once an epoch. A group without `lr_scale` has a scale of 1; one that is changed by hand counts
    after `refresh()`. The value is a pure function of k. Nothing is read back from the optimizer, so no rounding adds
    up, and a resumed run has the values of one that never stopped, in whichever order optimizer and scheduler are built
    and loaded; a group that is added later has its values at once.

    It is an `LRScheduler` as torch has them: frameworks take it, it goes into torch's `SequentialLR` and
    `ChainedScheduler`, `state_dict()` is of plain types. (A `SequentialLR` of torch within another one of torch's
    counts wrongly, whatever is in it; `>>` and our `lr_scheduler.SequentialLR` do not.) Where a hyper-parameter is a
    tensor, that tensor is filled in place, in its own dtype, without waiting for its device; it stays the same tensor
    when the optimizer loads a state. Groups that share the tensor of torch's argument get one each, so build the
    scheduler before a step is compiled or captured.

    **Several at once.** A list gives each group its own schedule, its last one to all groups that follow. A dict drives
    several hyper-parameters: `{"lr": up_and_down, "momentum": down_and_up}`. "betas" or "beta1" is Adam's first beta,
    as is "momentum" where a group has none; "beta2" the second. Each is multiplied by a group's scale of its name, as
    `weight_decay` by `weight_decay_scale`. The values of two schedulers which drive the same hyper-parameter of the
    same group multiply, as those of a ChainedScheduler should, while both are kept.

    **Other hands.** The value overwrites what anything else makes of the group, as torch's own schedulers in a
    ChainedScheduler, a plateau scheduler of torch, or a line of the user's. That would be lost in silence, so it
    warns once, where it sees it without asking a device: in the first group, if that holds a float; `audit` looks at
    all. Multiply schedules (`a * b`) instead, give `plateau=`, or use `lrcore.bindings.torch.lr_scheduler`.

    Args:
        optimizer: the optimizer whose groups it drives, or what Accelerate has made of it.
        schedule: a schedule or a number; a list of them, one a group; or a dict of hyper-parameters with either.
        last_epoch: how often `step()` was called, less one; -1 for a new run. As in torch the constructor takes a step,
            so that `last_epoch=k - 1` gives `schedule(k)`, with a step_scale of 1. Torch refuses that on an optimizer
            that has never been scheduled, whose first rate it would need; this one does not.
        param: the hyper-parameter that a schedule which is no dict drives: any key of the groups.
        groups: the places of the groups that it drives; None: all, and those that are added later.
        step_scale: how often `step()` is called an update: the number of processes under Accelerate, which steps that
            often.
        plateau: multiplies the learning rate: see `observe`.
        on_mismatch: what `load_state_dict` does with the state of another schedule: see there.

    Raises:
        TypeError, ValueError: arguments outside of these; a schedule whose durations are not bound to a run.

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

    _plan: Plan | None = None
    _rests = False  # another part of a SequentialLR is in charge
    _has_warned = False
    _known: tuple[Driven, dict[str, Any]] | None = None
    _is_sent = False  # to some update, by step(epoch)
    is_shared = False  # whether another scheduler drives the same
    loads = 0  # how often it has taken a state

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule | float | Sequence[Any] | dict[str, Any],
        last_epoch: int = -1,
        *,
        param: str = "lr",
        groups: Sequence[int] | None = None,
        step_scale: int = 1,
        plateau: Plateau | None = None,
        on_mismatch: str = "raise",
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            _check.refuse("Scheduler.optimizer", "a torch.optim.Optimizer", optimizer, TypeError)
        if plateau is not None and not isinstance(plateau, Plateau):
            _check.refuse("Scheduler.plateau", "an lrcore.Plateau or None", plateau, TypeError)
        self.step_scale: int = _step_scale("Scheduler.step_scale", step_scale)
        self.plateau = plateau
        self.on_mismatch = _on_mismatch("Scheduler.on_mismatch", on_mismatch)
        self._groups = positions("Scheduler.groups", groups, len(optimizer.param_groups))
        self.optimizer = optimizer
        self._driven = self._checked(driven("Scheduler.schedule", schedule, param))
        last_epoch = _steps_done("Scheduler.last_epoch", last_epoch)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", unaliased(group["lr"]))
        self._board().join(self)
        try:
            super().__init__(optimizer, last_epoch)
        except BaseException:
            self._board().leave(self)
            raise

    def _checked(self, driven: Driven) -> Driven:
        """The schedules, if there are no more than groups, and each group has what they drive, once."""
        mine = list(self._own_groups())
        if self.plateau is not None and "lr" not in driven:
            _check.refuse("Scheduler.plateau", "None where no learning rate is driven", self.plateau)
        for name, schedules in driven.items():
            if len(schedules) > len(mine):
                what = f"at most one schedule for each of {len(mine)} groups"
                _check.refuse(f"Scheduler.schedule ({name})", what, list(schedules))
            for schedule in schedules:
                schedule._require_bound()
        for _, group in mine:
            slots = [slot_of("Scheduler.param", name, group) for name in driven]
            if len({*slots}) < len(slots):
                _check.refuse("Scheduler.schedule", "one schedule for each hyper-parameter", list(driven))
            for name in driven:
                scale_of(group, name)
        return driven

    def __repr__(self) -> str:
        return f"Scheduler({self.schedule!r}, updates={self.updates})"

    # ---- What it drives ----

    @property
    def schedule(self) -> Schedule | Driven:
        """The schedule; or of each hyper-parameter the schedules, where there are several.

        It can be set, which writes the new values at once: see also `replan`.

        Example:
            >>> import torch
            >>> from lrcore import Linear
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> scheduler = Scheduler(optimizer, Linear(0.5, 0.0, 4))
            >>> scheduler.schedule = 2 * scheduler.schedule
            >>> scheduler.get_last_lr()
            [1.0]
        """
        schedules = self._driven.get("lr", ())
        return schedules[0] if len(self._driven) == len(schedules) == 1 else self._driven

    @schedule.setter
    def schedule(self, given: Any) -> None:
        if len(self._driven) > 1 and not isinstance(given, dict):
            _check.refuse("Scheduler.schedule", f"a dict of {', '.join(self._driven)}", given)
        self._driven = self._checked(driven("Scheduler.schedule", given, next(iter(self._driven))))
        self._board().refresh()

    @property
    def updates(self) -> int:
        """How many updates are done.

        Example:
            >>> import torch
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> Scheduler(optimizer, 0.1, last_epoch=7, step_scale=4).updates
            2
        """
        last_epoch: int = self.last_epoch
        return last_epoch // self.step_scale

    def _board(self) -> Board:
        return board_of(self.optimizer)

    def _own_groups(self) -> Iterator[tuple[int, Group]]:
        listed = self.optimizer.param_groups
        chosen = range(len(listed)) if self._groups is None else self._groups
        if max(chosen, default=-1) >= len(listed):
            _check.refuse("Scheduler.groups", f"places of {len(listed)} groups", list(chosen))
        return ((position, listed[position]) for position in chosen)

    def slots(self) -> Iterator[tuple[str, int, Group, Slot]]:
        """What it drives: the name of the hyper-parameter, the place of the group, the group and its slot."""
        for position, group in self._own_groups():
            for name in self._driven:
                yield name, position, group, slot_of("Scheduler.param", name, group)

    def shares_with(self, other: Scheduler) -> bool:
        """Whether both drive a slot."""
        own = {(position, slot) for _, position, _, slot in self.slots()}
        return any((position, slot) in own for _, position, _, slot in other.slots())

    def _schedule_of(self, name: str, position: int) -> Schedule:
        schedules = self._driven[name]
        place = position if self._groups is None else self._groups.index(position)
        return schedules[min(place, len(schedules) - 1)]

    def _factor(self, name: str, position: int, update: int) -> float:
        """What it says of a hyper-parameter, before the scale of the group; a part that waits, its first value."""
        value = self._schedule_of(name, position)(max(update, 0))
        return value if self.plateau is None or name != "lr" else self.plateau.scaled(value)

    def value_at(self, name: str, position: int, group: Group, slot: Slot, update: int) -> float:
        """The value of a slot: the product of what all in charge of it say, in the order of construction."""
        value = scale_of(group, name)
        for member, its_name in self._board().sharing(position, slot):
            if member is self:
                value *= self._factor(name, position, update)
            elif member.is_in_charge():
                value *= member._factor(its_name, position, member.updates)
        return value

    # ---- Stepping ----

    def step(self, epoch: int | None = None) -> None:
        """Writes the values of the next update; to be called once after each update.

        Args:
            epoch: torch's deprecated way to go to some update.
        """
        if self._step_count < 2 or epoch is not None:
            self._is_sent = epoch is not None
            try:  # torch looks at the order of the first steps
                super().step(epoch if epoch is None else _update("Scheduler.step.epoch", epoch))
            finally:
                self._is_sent = False
            return
        self._step_count += 1
        self.last_epoch = last_epoch = self.last_epoch + 1
        plan = self._plan
        listed = self.optimizer.param_groups
        if plan is None or not plan.plain or plan.listed is not listed or plan.count != len(listed):
            self._write()
            return
        # Most runs: floats that all get the value itself. `_write` would cost twice as much.
        lead, key = plan.lead
        if lead[key] is not plan.written or listed[plan.place] is not lead:
            self._write()
            return
        update = last_epoch // self.step_scale
        for value_of, name, groups in plan.plain:
            value = value_of(update)
            for group in groups:
                group[name] = value
        plan.written = lead[key]

    def _update_lr(self, epoch: int | None = None) -> None:
        """Torch's way to step from inside, and of a SequentialLR to put a part in charge."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if epoch is not None and not self._is_sent:
            self._board().take_over(self)
        if epoch is not None or self._is_initial:
            self._plan = None  # what stands in the groups is another's, or the optimizer's first rate
        self._write()

    def refresh(self) -> None:
        """Writes the values of now, after `lr_scale` of a group, say, was changed by hand.

        Example:
            >>> import torch
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> scheduler = Scheduler(optimizer, 0.5)
            >>> optimizer.param_groups[0]["lr_scale"] = 0.5
            >>> scheduler.refresh()
            >>> optimizer.param_groups[0]["lr"]
            0.25
        """
        self._plan = None
        if self.is_in_charge():
            self._write()

    def is_in_charge(self) -> bool:
        """Whether its value counts: not below 0, where a SequentialLR puts parts that wait for their turn."""
        return self.last_epoch >= 0 and not self._rests

    def forget_plan(self) -> None:
        """Called where what it is to write has changed; it is planned again at the next step."""
        self._plan = None

    def rest(self) -> None:
        """Called where another scheduler takes its place, until its next step."""
        self._rests = True
        self._plan = None

    def _write(self) -> None:
        self._rests = False
        plan = self._plan
        if plan is None or not plan.fits(self.optimizer.param_groups):
            plan = self._plan = self._planned()
        elif plan.written is not None and plan.first() is not plan.written:
            plan = self._after_other_hands(plan)
        if not self.is_shared:
            plan.write(self.updates)
            return
        for name, position, group, slot in self.slots():
            put(group, slot, self.value_at(name, position, group, slot, self.updates))

    def _planned(self) -> Plan:
        board = self._board()
        board.groups_changed()
        plan = Plan(self.optimizer.param_groups)
        values: dict[tuple[int, str], Any] = {}  # of each schedule one function, so that its groups make one part
        self.is_shared = False
        for name, position, group, slot in self.slots():
            schedule = self._schedule_of(name, position)
            value = values.setdefault((id(schedule), name), self._value_of(schedule, name))
            plan.add(value, group, slot, scale_of(group, name))
            board.let_go(position, slot)
            self.is_shared = self.is_shared or len(board.sharing(position, slot)) > 1
        plan.settle()
        for position, slot, tensor in plan.separate_tensors():
            board.keep(position, slot, tensor)
        if self.is_shared:
            plan.plain = []
        return plan

    def _value_of(self, schedule: Schedule, name: str) -> Any:
        value = schedule._compiled().value
        plateau = self.plateau
        if plateau is None or name != "lr":
            return value
        return lambda update: plateau.scaled(value(update))

    def _after_other_hands(self, plan: Plan) -> Plan:
        """Something else has written since the last step: it is overwritten, and said so once."""
        found, written = plan.first(), plan.written
        if found is None:  # it is a tensor now
            plan = self._plan = self._planned()
        elif found != written and not self._has_warned and not self.is_shared:
            self._has_warned = True
            warnings.warn(
                f"Scheduler: something else has set {plan.parts[0].key} to {found!r}, where it was {written!r}, and is "
                "overwritten. Another scheduler's factor is lost that way: multiply schedules (a * b), give "
                "Scheduler(..., plateau=...), or use the schedulers of lrcore.bindings.torch.lr_scheduler",
                stacklevel=4,
            )
        return plan

    def get_last_lr(self) -> list[float | torch.Tensor]:
        """The learning rate that each group has; of a tensor a copy.

        Example:
            >>> import torch
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> Scheduler(optimizer, 0.5).get_last_lr()
            [0.5]
        """
        return [unaliased(group["lr"]) for group in self.optimizer.param_groups]

    _last_lr = property(get_last_lr)  # where torch keeps them

    def get_lr(self) -> list[float | torch.Tensor]:
        """The learning rate of each group now: `schedule(updates)` times the group's `lr_scale`.

        Example:
            >>> import torch
            >>> from lrcore import Linear
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> Scheduler(optimizer, Linear(0.5, 0.0, 4), last_epoch=0).get_lr()
            [0.375]
        """
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if "lr" in self._driven:
            for position, group in self._own_groups():
                rates[position] = self.value_at("lr", position, group, Slot("lr"), self.updates)
        return rates

    # For those who ask it directly, as torch's own schedulers with a closed form may be asked.
    _get_closed_form_lr = get_lr

    # ---- Changing course ----

    def observe(self, metric: Any) -> bool:
        """Gives the plateau controller its next metric; a lower rate is written at once.

        Args:
            metric: a number, or what holds one, such as a tensor of one element.

        Returns:
            Whether the learning rate was reduced.

        Raises:
            ValueError: there is no plateau controller.

        Example:
            >>> import torch
            >>> from lrcore import Plateau
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> scheduler = Scheduler(optimizer, 0.5, plateau=Plateau(0.1, patience=0))
            >>> [scheduler.observe(loss) for loss in (1.0, 1.0)], scheduler.get_last_lr()
            ([False, True], [0.05])
        """
        if self.plateau is None:
            raise ValueError("Scheduler.observe: expected a scheduler that was given plateau=lrcore.Plateau(...)")
        reduced = self.plateau.observe(metric)
        if reduced:
            self.refresh()
        return reduced

    def replan(self, total_steps: int, keep: str = "value") -> None:
        """Ends the run after another number of updates, from here on: see `Schedule.replan`.

        Args:
            total_steps: updates of the whole run, those that are done included.
            keep: "value", "position" or "shape".

        Raises:
            TypeError, ValueError: as `Schedule.replan`; nothing has changed then.

        Example:
            >>> import torch
            >>> from lrcore import Linear
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> scheduler = Scheduler(optimizer, Linear(0.5, 0.0, 4), last_epoch=1)
            >>> scheduler.replan(6)
            >>> scheduler.schedule.table(7).tolist()
            [0.5, 0.375, 0.25, 0.1875, 0.125, 0.0625, 0.0]
        """
        at = max(self.updates, 0)
        self._driven = {
            name: tuple(schedule.replan(at, total_steps, keep) for schedule in schedules)
            for name, schedules in self._driven.items()
        }
        self.refresh()

    def audit(self) -> Audit:
        """Begins to compare what the optimizer uses with what the schedule says: see `Audit`."""
        from lrcore.bindings.torch.audit import Audit

        return Audit(self)

    # ---- State ----

    def state_dict(self) -> dict[str, Any]:
        """The state, in plain types that `torch.load(..., weights_only=True)` takes.

        `last_epoch` is all that the values depend on; `schedules` and `fingerprint` tell on load whether it is a state
        of this schedule. Where another scheduler is in charge of the groups, as in another part of a SequentialLR,
        the values that they have are kept as well; and the state of the plateau controller.

        Example:
            >>> import torch
            >>> from lrcore import Linear
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
            >>> for name, value in Scheduler(optimizer, Linear(0.5, 0.0, 4)).state_dict().items():
            ...     print(name, "=", value)  # doctest: +ELLIPSIS
            last_epoch = 0
            step_scale = 1
            _step_count = 1
            schedules = {'lr': [{'lrcore': 1, 'type': 'Linear', 'init_value': 0.5, 'end_value': 0.0, 'steps': 4}]}
            fingerprint = c90f843c...
            plateau = None
            rests = False
            values = None
        """
        is_in_charge = not self._rests and self.wrote_last()
        values = None if is_in_charge else [float(held(group, slot)) for _, _, group, slot in self.slots()]
        # The same keys whatever the groups hold: torch.distributed.checkpoint asks a checkpoint for those that there
        # are before it is loaded. Copies, as it loads into them.
        return _state.within_limit(
            {
                "last_epoch": self.last_epoch,
                "step_scale": self.step_scale,
                "_step_count": self._step_count,
                **copy.deepcopy(self._identity()),
                "plateau": None if self.plateau is None else self.plateau.state_dict(),
                "rests": self._rests,
                "values": None if values is None else _state.runs(values),
            }
        )

    def _identity(self) -> dict[str, Any]:
        """Made once for all checkpoints: of a large table it takes a while."""
        if self._known is None or self._known[0] is not self._driven:
            self._known = (self._driven, _state.identity(self._driven, self._groups))
        return self._known[1]

    def wrote_last(self) -> bool:
        """Whether the groups hold what it says, and not what another scheduler or hand has made of them."""
        for name, position, group, slot in self.slots():
            present = held(group, slot)
            if float(present) != as_held(present, self.value_at(name, position, group, slot, self.updates)):
                return False
        return True

    def load_state_dict(self, state_dict: dict[str, Any], on_mismatch: str | None = None) -> None:
        """Takes a state of the same schedule, and writes the values of its time into the optimizer's groups.

        Torch's own schedulers leave the groups alone, so that the first update after a load uses a wrong rate unless
        the optimizer was loaded last.

        Args:
            state_dict: what `state_dict()` gave.
            on_mismatch: what to do with the state of another schedule. "raise" refuses it and tells the difference;
                "keep_position" takes the number of updates and goes on with the schedule of this one, and warns of the
                difference. None: as the constructor says.

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
        """
        where = "Scheduler.load_state_dict"
        mode = self.on_mismatch if on_mismatch is None else _on_mismatch(f"{where}.on_mismatch", on_mismatch)
        loaded = _state.read(where, state_dict, self._driven, self._identity(), mode)
        if loaded.plateau is not None and self.plateau is not None:
            self.plateau.load_state_dict(loaded.plateau, on_mismatch=mode)
        elif (loaded.plateau is None) != (self.plateau is None):
            needed, found = ("without", "with") if self.plateau is None else ("with", "without")
            told = f"{where}: expected a state {needed} a plateau controller, got one {found}"
            if mode == "raise":
                raise ValueError(told)
            warnings.warn(told, stacklevel=2)
        self.last_epoch = loaded.updates_as(self.step_scale)
        self._step_count = loaded.step_count
        self._rests = loaded.rests
        self.loads += 1
        self._board().refresh()
        if loaded.values is not None:
            for (_, _, group, slot), value in zip(self.slots(), loaded.values, strict=False):
                put(group, slot, value)

    def __copy__(self) -> NoReturn:
        raise TypeError("Scheduler: two of them would multiply; copy.deepcopy copies it together with its optimizer")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_plan", "_known")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._board().join(self)
