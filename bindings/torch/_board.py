"""The board of an optimizer: which schedulers drive it, so that those which drive the same hyper-parameter multiply.

Nothing is read back from the groups for that: each scheduler knows its own position, and the value of a slot is the
product of what all that are in charge of it say. The board hangs on the optimizer and holds schedulers weakly: a
scheduler that nobody keeps is gone at once, and takes its factor with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import ref

from torch import Tensor
from torch.optim import Optimizer

from lrcore.bindings.torch._driven import Group, Slot, held, replace

if TYPE_CHECKING:
    from lrcore.bindings.torch.scheduler import Scheduler

ATTRIBUTE = "_lrcore_board"


class Board:
    """The schedulers of one optimizer, oldest first; and the tensors that its groups have to keep."""

    def __init__(self) -> None:
        self._members: list[ref[Scheduler]] = []
        self._tensors: dict[tuple[int, Slot], Tensor] = {}

    def members(self) -> Iterator[Scheduler]:
        for member in self._members:
            scheduler = member()
            if scheduler is not None:
                yield scheduler

    def join(self, scheduler: Scheduler) -> None:
        """A new scheduler: what the others write may now be a product."""
        if any(member is scheduler for member in self.members()):
            return
        self._forget_plans()
        self._members.append(ref(scheduler, self._left))

    def _left(self, gone: ref[Scheduler]) -> None:
        """A scheduler is no more: the values of the others no longer have its factor."""
        self._members.remove(gone)
        for member in self.members():
            if member.is_shared:
                member.refresh()

    def _forget_plans(self) -> None:
        for member in self.members():
            member.forget_plan()

    def take_over(self, scheduler: Scheduler) -> None:
        """One is told its position by another scheduler, as by a SequentialLR at a milestone: the others rest."""
        for member in self.members():
            if member is not scheduler and member.shares_with(scheduler):
                member.rest()

    def keep(self, position: int, slot: Slot, tensor: Tensor | None) -> None:
        """Remembers the tensor of a slot, or that it has none."""
        if tensor is None:
            self._tensors.pop((position, slot), None)
        else:
            self._tensors[position, slot] = tensor

    def restore(self, groups: list[Group]) -> None:
        """Puts the tensors back into groups that were loaded from a state, with the values that were loaded."""
        for (position, slot), tensor in self._tensors.items():
            loaded = held(groups[position], slot)
            if loaded is tensor:
                continue
            tensor.copy_(loaded) if isinstance(loaded, Tensor) else tensor.fill_(loaded)
            replace(groups[position], slot, tensor)

    def new_group(self) -> None:
        """A group was added: it gets its values at once, not only after the next update."""
        for member in self.members():
            member.refresh()


def board_of(optimizer: Optimizer) -> Board:
    """The board of an optimizer, made when it is first asked for."""
    board: Board | None = getattr(optimizer, ATTRIBUTE, None)
    if board is None:
        board = Board()
        setattr(optimizer, ATTRIBUTE, board)
        _watch_loads(optimizer, board)
        _watch_new_groups(optimizer, board)
    return board


def _watch_loads(optimizer: Optimizer, board: Board) -> None:
    """Torch puts other tensors into groups that it loads; compiled and captured steps know the first ones."""
    register = getattr(optimizer, "register_load_state_dict_post_hook", None)
    if register is not None:
        register(lambda loaded: board.restore(loaded.param_groups))


def _watch_new_groups(optimizer: Optimizer, board: Board) -> None:
    """As torch wraps `optimizer.step`: on the instance, without a reference to it that would keep it alive."""
    method = optimizer.add_param_group
    function = getattr(method, "__func__", None)
    own = ref(optimizer)

    def add_param_group(param_group: dict[str, Any]) -> None:
        if function is None:  # somebody else has wrapped it already
            method(param_group)
        else:
            function(own(), param_group)
        board.new_group()

    if function is not None:
        del method
    optimizer.add_param_group = add_param_group  # type: ignore[method-assign]
