"""The torch backend's optimizers that update a list of variables in one call, with a multiplier for each variable.

(a) A call for each multiplier, at its rate. 100 variables on a CPU take 1.1 times what they take without multipliers if
    there are 4 of them, and with 24 of them 1.2 times; but Adam 1.7 times, and its kin, of which each call computes
    its powers of the betas anew, 0.1 ms.
(b) Of these one call at the largest rate, in which a 0 stands for each variable, that then goes its part of the step:
    1.1 to 1.3 times, however many multipliers. It is the same only because no step of theirs reads its variable, none
    of their states depends on the rate as a velocity does, and all steps are in proportion to it. To set the variables
    themselves to 0 for the call takes 1.4 to 1.5 times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from keras import ops, optimizers

BY_PARTS = (optimizers.Adam, optimizers.Adamax, optimizers.Nadam)  # AdamW is an Adam

Call = Callable[[list[Any], list[Any], Any], None]
Groups = dict[float, tuple[list[Any], list[Any]]]


class Step:
    """Stands for a variable in an update, and is 0: what is added to it is the variable's step."""

    def __init__(self, index: int, of: Any) -> None:
        self.index = index  # in the optimizer
        self.of = of
        self.value = of.new_zeros(of.shape)


def update(
    optimizer: Any, call: Call, grads: Sequence[Any], variables: Sequence[Any], rate: Any, scales: Sequence[float]
) -> None:
    """Calls the optimizer's own update so that each variable moves at the rate times its scale: at 0 not at all."""
    groups: Groups = {}
    for grad, variable, scale in zip(grads, variables, scales, strict=True):
        if scale != 0.0:
            group = groups.setdefault(scale, ([], []))
            group[0].append(grad)
            group[1].append(variable)
    if len(groups) > 1 and isinstance(optimizer, BY_PARTS):
        _by_parts(optimizer, call, groups, rate)
    else:
        rate = float(rate)  # once: each call would read a tensor anew
        for scale, group in groups.items():
            call(*group, rate * scale)


def _by_parts(optimizer: Any, call: Call, groups: Groups, rate: Any) -> None:
    import torch

    index, largest = optimizer._get_variable_index, max(groups)
    steps = {
        scale: [Step(index(variable), variable.value) for variable in variables]
        for scale, (_, variables) in groups.items()
    }
    grads = list(chain.from_iterable(group for group, _ in groups.values()))
    call(grads, list(chain.from_iterable(steps.values())), ops.convert_to_tensor(rate) * largest)
    for scale, made in steps.items():
        torch._foreach_add_([step.of for step in made], [step.value for step in made], alpha=scale / largest)
