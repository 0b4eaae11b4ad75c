"""The board of an optimizer: which schedulers drive it, so that those which drive the same hyper-parameter multiply.

Nothing is read back from the groups for that: each scheduler knows its own position, and the value of a slot is the
product of what all that are in charge of it say. The board hangs on the optimizer and holds schedulers weakly: a
scheduler that nobody keeps is gone at once, and takes its factor with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import ref

from torch import Tensor, no_grad
from torch.optim import Optimizer
from torch.optim.lr_scheduler import SequentialLR

from lrcore.bindings.torch._driven import Group, Slot, held, replace
from lrcore.bindings.torch._late import unwrapped

if TYPE_CHECKING:
    from lrcore.bindings.torch.scheduler import Scheduler

ATTRIBUTE = "_lrcore_board"


class Board:
    """The schedulers of one optimizer, oldest first; and what its groups have to keep when they are loaded."""

    def __init__(self) -> None:
        self._members: list[ref[Scheduler]] = []
        self._drivers: dict[tuple[int, Slot], list[tuple[ref[Scheduler], str]]] | None = None  # of each slot
        self._tensors: dict[tuple[int, Slot], Tensor] = {}
        self._writers: list[ref[Scheduler]] = []
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
        if any(member is scheduler for member in self.members()):
            return
        self.forget_plans()
        for member in self.members():
            member.is_shared = member.is_shared or member.shares_with(scheduler)
        self._members.append(ref(scheduler, self._left))

    def leave(self, scheduler: Scheduler) -> None:
        """A scheduler whose construction has failed."""
        self._left(*[member for member in self._members if member() is scheduler])

    def _left(self, *gone: ref[Scheduler]) -> None:
        """A scheduler is no more: the values of the others no longer have its factor."""
        self._members = [member for member in self._members if member not in gone]
        self._drivers = None
        for member in self.members():
            if member.is_shared:
                member.refresh()

    def forget_plans(self) -> None:
        """Who shares what with whom has changed."""
        self._drivers = None
        for member in self.members():
            member.forget_plan()

    def refresh(self) -> None:
        """Everybody in charge writes its values anew."""
        self.forget_plans()
        for member in self.members():
            member.refresh()

    def groups_changed(self) -> None:
        """The slots are others."""
        self._drivers = None

    def sharing(self, position: int, slot: Slot) -> list[tuple[Scheduler, str]]:
        """The schedulers that drive a slot, each with its name of it, in the order of construction."""
        if self._drivers is None:
            self._drivers = {}
            for member in self.members():
                for name, place, _, own in member.slots():
                    self._drivers.setdefault((place, own), []).append((ref(member), name))
        listed = [(member(), name) for member, name in self._drivers.get((position, slot), ())]
        return [(member, name) for member, name in listed if member is not None]

    def take_over(self, scheduler: Scheduler) -> None:
        """A scheduler is put in charge by a SequentialLR at a milestone: what is in its other parts rests.

        Torch does not say which SequentialLR that is. It is looked for among the callers, as nothing else tells the
        part that has ended from a factor beside the sequence, which goes on.
        """
        inside = _beside(scheduler)
        for member in self.members():
            if member in inside:
                member.rest()

    # ---- What the groups have to keep ----

    def keep(self, position: int, slot: Slot, tensor: Tensor) -> None:
        """Remembers the tensor of a slot."""
        self._tensors[position, slot] = tensor

    def let_go(self, position: int, slot: Slot) -> None:
        """Of a slot that has no tensor any more."""
        self._tensors.pop((position, slot), None)

    def before_load(self, groups: list[Group]) -> None:
        """Notes what a state that is about to be loaded would lose."""
        # Weakly: where the load fails, torch does not call `after_load`.
        self._writers = [ref(member) for member in self.members() if member.is_in_charge() and member.wrote_last()]
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
        for writer in writers:
            member = writer()
            if member is not None:
                member.refresh()

    @staticmethod
    def _restore(group: Group, slot: Slot, tensor: Tensor) -> None:
        loaded = held(group, slot)
        if loaded is tensor:
            return
        with no_grad():
            tensor.copy_(loaded) if isinstance(loaded, Tensor) else tensor.fill_(loaded)
        replace(group, slot, tensor)


def _beside(scheduler: Scheduler) -> set[Any]:
    """All in the other parts of the SequentialLR that calls; nothing where none does."""
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, SequentialLR):
            parts = [_inside(part) for part in owner._schedulers]
            return {one for part in parts if scheduler not in part for one in part}
        frame = frame.f_back  # type: ignore[assignment]
    return set()


def _inside(part: Any) -> set[Any]:
    """A scheduler, and all that are nested in it."""
    return {part}.union(*map(_inside, getattr(part, "_schedulers", ())))


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
    own, bound = ref(optimizer), optimizer.add_param_group
    unbound = getattr(bound, "__func__", None)
    if unbound is not None:  # else somebody has wrapped it already
        del bound

    def add_param_group(param_group: dict[str, Any]) -> None:
        optimizer = own()
        assert optimizer is not None
        if unbound is None:
            bound(param_group)
        else:
            unbound(optimizer, param_group)
        try:
            board.refresh()
        except (TypeError, ValueError):
            del optimizer.param_groups[-1]
            board.forget_plans()
            raise

    optimizer.add_param_group = add_param_group  # type: ignore[method-assign]
