"""The board of an optimizer: which schedulers drive it, so that those which drive the same hyper-parameter multiply.

Nothing is read back from the groups for that: each scheduler knows its own position, and the value of a slot is the
product of what all that are in charge of it say. The board hangs on the optimizer and holds schedulers weakly: a
scheduler that nobody keeps is gone at once, and takes its factor with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from torch import Tensor, no_grad
from torch.optim import Optimizer

from lrcore.bindings.torch._driven import Group, Slot, held, replace
from lrcore.bindings.torch._late import unwrapped

if TYPE_CHECKING:
    from lrcore.bindings.torch.scheduler import Scheduler

ATTRIBUTE = "_lrcore_board"


class Board:
    """The schedulers of one optimizer, oldest first; and what its groups have to keep when they are loaded."""

    def __init__(self) -> None:
        self._members: list[ref[Scheduler]] = []
        self._round: WeakSet[Scheduler] = WeakSet()  # those that have stepped since one stepped twice
        self._tensors: dict[tuple[int, Slot], Tensor] = {}
        self._writers: list[Scheduler] = []
        self._scales: list[dict[str, Any]] = []

    # ---- Who drives what ----

    def members(self) -> Iterator[Scheduler]:
        """The schedulers that are still there."""
        for member in list(self._members):
            scheduler = member()
            if scheduler is not None:
                yield scheduler

    def join(self, scheduler: Scheduler) -> None:
        """A new scheduler: what the others write may now be a product."""
        if all(member is not scheduler for member in self.members()):
            self.forget_plans()
            self._members.append(ref(scheduler, self._left))

    def leave(self, scheduler: Scheduler) -> None:
        """A scheduler whose construction has failed."""
        self._left(*[member for member in self._members if member() is scheduler])

    def _left(self, *gone: ref[Scheduler]) -> None:
        """A scheduler is no more: the values of the others no longer have its factor."""
        self._members = [member for member in self._members if member not in gone]
        for member in self.members():
            if member.is_shared:
                member.refresh()

    def forget_plans(self) -> None:
        """Who shares what with whom has changed."""
        for member in self.members():
            member.forget_plan()

    def refresh(self) -> None:
        """Everybody in charge writes its values anew."""
        self.forget_plans()
        for member in self.members():
            member.refresh()

    def sharing(self, position: int, slot: Slot) -> list[tuple[Scheduler, str]]:
        """The schedulers that drive a slot, each with its name of it."""
        return [
            (member, name)
            for member in self.members()
            for name, place, _, own in member.slots()
            if (place, own) == (position, slot)
        ]

    # ---- Turns ----

    def stepped(self, scheduler: Scheduler) -> None:
        """A scheduler has made a step of its own; when it has done so before, another update has passed."""
        if scheduler in self._round:
            self._round.clear()
        self._round.add(scheduler)

    def take_over(self, scheduler: Scheduler) -> None:
        """A scheduler is put in charge by a SequentialLR at a milestone: the part before it rests until its next step.

        Which one that is, the SequentialLR does not say. Those that drive the same and have made no step for this
        update rest. Among them may be some that are still to step, as side by side with the SequentialLR: they are in
        charge again when they do, before the optimizer's update.
        """
        sharing = [member for member in self.members() if member is not scheduler and member.shares_with(scheduler)]
        late = [member for member in sharing if member not in self._round and member.is_in_charge()]
        for member in late or sharing:
            member.rest()
        self.stepped(scheduler)

    # ---- What the groups have to keep ----

    def keep(self, position: int, slot: Slot, tensor: Tensor) -> None:
        """Remembers the tensor of a slot."""
        self._tensors[position, slot] = tensor

    def let_go(self, position: int, slot: Slot) -> None:
        """Of a slot that has no tensor any more."""
        self._tensors.pop((position, slot), None)

    def before_load(self, groups: list[Group]) -> None:
        """Notes what a state that is about to be loaded would lose."""
        self._writers = [member for member in self.members() if member.is_in_charge() and member.wrote_last()]
        self._scales = [{key: group[key] for key in group if key.endswith("_scale")} for group in groups]

    def after_load(self, groups: list[Group]) -> None:
        """Puts tensors and scales back, and the values of schedulers that were in charge.

        Where another scheduler was, as torch's in another part of a SequentialLR, what was loaded stays.
        """
        for (position, slot), tensor in self._tensors.items():
            if position < len(groups) and slot.key in groups[position]:
                self._restore(groups[position], slot, tensor)
        for group, scales in zip(groups, self._scales, strict=False):
            for key, scale in scales.items():
                group.setdefault(key, scale)
        writers, self._writers = self._writers, []
        for member in writers:
            member.refresh()

    @staticmethod
    def _restore(group: Group, slot: Slot, tensor: Tensor) -> None:
        loaded = held(group, slot)
        if loaded is tensor:
            return
        with no_grad():
            tensor.copy_(loaded) if isinstance(loaded, Tensor) else tensor.fill_(loaded)
        replace(group, slot, tensor)


def board_of(optimizer: Optimizer) -> Board:
    """The board of an optimizer, made when it is first asked for."""
    optimizer = unwrapped(optimizer)
    board: Board | None = getattr(optimizer, ATTRIBUTE, None)
    if board is None:
        board = Board()
        setattr(optimizer, ATTRIBUTE, board)
        optimizer.register_load_state_dict_pre_hook(lambda to, _state: board.before_load(to.param_groups))
        optimizer.register_load_state_dict_post_hook(lambda to: board.after_load(to.param_groups))
        _watch_new_groups(optimizer, board)
    return board


def _watch_new_groups(optimizer: Optimizer, board: Board) -> None:
    """A group that is added gets its values at once, and is taken away again where it cannot have them.

    As torch wraps `optimizer.step`: on the instance, without a reference to it that would keep it alive.
    """
    method: Any = optimizer.add_param_group
    function = getattr(method, "__func__", None)
    own = ref(optimizer)
    if function is not None:  # else somebody has wrapped it already
        del method

    def add_param_group(param_group: dict[str, Any]) -> None:
        optimizer = own()
        assert optimizer is not None
        function(optimizer, param_group) if function is not None else method(param_group)
        try:
            board.refresh()
        except (TypeError, ValueError):
            del optimizer.param_groups[-1]
            board.forget_plans()
            raise

    optimizer.add_param_group = add_param_group  # type: ignore[method-assign]
