"""The torch backend's optimizers that update a list of variables in one call, with a multiplier for each variable.

(a) A call for each multiplier, at its rate: for groups of variables, as each call costs what two or three small
    variables do; and for optimizers whose state depends on the rate, as a velocity does.
(b) For the others one call at the largest rate, in which a 0 stands for each variable, that then goes its part of the
    step. It is the same only because no step of theirs reads its variable, none of their states depends on the rate,
    and all steps are in proportion to it. Of Adam and its kin all go this way: each call computes the powers of the
    betas anew, 0.1 ms, and Nadam's moves a product of momenta that all variables share.

100 variables on a CPU take 1.0 to 1.2 times what they take without multipliers if there are 4 of them, with 24 of them
1.1 to 1.25 times, and with one for each variable 1.2 to 1.35 times, or 1.5 to 1.6 times where each has a call. To give
such optimizers scaled gradients in one call takes 1.3 to 1.5 times, however few multipliers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from keras import ops, optimizers

POWERS = (optimizers.Adam, optimizers.Adamax, optimizers.Nadam)  # AdamW is an Adam
BY_PARTS = (*POWERS, optimizers.Adadelta, optimizers.Adagrad, optimizers.Lion, optimizers.RMSprop)
FEW = 2  # variables, for which a call costs more than to let them stand in another one

Call = Callable[[list[Any], list[Any], Any], None]
Groups = Mapping[float, Sequence[int]]  # by the multiplier, where its variables are in a list: no 0


class Step:
    """Stands for a variable in an update, and is 0: what is added to it is the variable's step."""

    __slots__ = ("index", "of", "value")

    def __init__(self, index: int, of: Any) -> None:
        import torch

        self.index = index  # in the optimizer
        self.of = of
        self.value = torch.empty_like(of)


class Each:
    """A rate for each variable of a list, where Keras does with one `1 - weight_decay * rate`."""

    __array_ufunc__ = None  # NumPy's numbers too leave the product to this

    def __init__(self, rates: list[float]) -> None:
        self.rates = rates

    def __rmul__(self, number: Any) -> Each:
        return Each([number * rate for rate in self.rates])

    def __rsub__(self, number: Any) -> list[float]:
        return [number - rate for rate in self.rates]


def update(
    optimizer: Any, call: Call, grads: Sequence[Any], variables: Sequence[Any], rate: Any, groups: Groups
) -> None:
    """Calls the optimizer's own update so that each variable moves at the rate times its multiplier."""
    together: Groups = {}
    if _has_parts(optimizer):
        few = len(variables) if isinstance(optimizer, POWERS) else FEW
        together = {scale: group for scale, group in groups.items() if len(group) <= few}
    if len(together) > 1:
        _by_parts(optimizer, call, grads, variables, rate, together)
        groups = {scale: group for scale, group in groups.items() if scale not in together}
    if groups:
        rate = float(rate)  # once: each call would read a tensor anew
    for scale, group in groups.items():
        call([grads[at] for at in group], [variables[at] for at in group], rate * scale)


def _has_parts(optimizer: Any) -> bool:
    velocity = isinstance(optimizer, optimizers.RMSprop) and optimizer.momentum > 0
    return isinstance(optimizer, BY_PARTS) and not velocity


def _by_parts(
    optimizer: Any, call: Call, grads: Sequence[Any], variables: Sequence[Any], rate: Any, groups: Groups
) -> None:
    import torch

    index, largest = optimizer._get_variable_index, max(groups)
    order = list(chain.from_iterable(groups.values()))
    steps = {
        at: Step(index(variables[at]), variables[at].value)
        for scale, group in groups.items()
        if scale != largest
        for at in group
    }
    torch._foreach_zero_([step.value for step in steps.values()])
    stand_ins = [steps.get(at, variables[at]) for at in order]
    call([grads[at] for at in order], stand_ins, ops.convert_to_tensor(rate) * largest)
    for scale, group in groups.items():
        if scale != largest:
            torch._foreach_add_(
                [steps[at].of for at in group], [steps[at].value for at in group], alpha=scale / largest
            )
