"""The torch backend's optimizers that update a list of variables in one call, with a multiplier for each variable.

(a) Variables with one multiplier are a call. That is what a step costs with few groups: on a CPU 1.1 to 1.3 times.
(b) Each call computes its powers of the betas anew, 0.1 ms, so with many groups there is one call at the largest rate,
    and each variable goes its part of that step: 1.4 to 1.6 times, however many groups. This is the same only because
    none of these optimizers reads a variable that it steps on, and all steps are in proportion to the rate. The
    variables are 0 meanwhile, so that no step is rounded to the digits of what it is added to. For SGD, whose step is
    one addition, calls stay cheaper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

FEW = 8  # groups

Step = Callable[[list[Any], list[Any], Any], None]


def update(
    optimizer: Any, step: Step, grads: Sequence[Any], variables: Sequence[Any], rate: Any, scales: Sequence[float]
) -> None:
    """Calls `step`, the optimizer's own, so that each variable moves at the rate times its scale: at 0 not at all."""
    rate = keras.ops.convert_to_tensor(rate)
    groups: dict[float, tuple[list[Any], list[Any]]] = {}
    for grad, variable, scale in zip(grads, variables, scales, strict=True):
        if scale != 0.0:
            group = groups.setdefault(scale, ([], []))
            group[0].append(grad)
            group[1].append(variable)
    if len(groups) <= FEW or isinstance(optimizer, keras.optimizers.SGD):
        _by_groups(optimizer, step, groups, rate)
    else:
        _by_parts(step, groups, rate)


def _by_groups(optimizer: Any, step: Step, groups: dict[float, tuple[list[Any], list[Any]]], rate: Any) -> None:
    # Nadam's product of momenta is for all variables: each call begins with that of the last update.
    shared = getattr(optimizer, "_u_product", None)
    before = None if shared is None else keras.ops.copy(shared)
    for scale, (grads, variables) in groups.items():
        if shared is not None:
            shared.assign(before)
        step(grads, variables, rate * scale)


def _by_parts(step: Step, groups: dict[float, tuple[list[Any], list[Any]]], rate: Any) -> None:
    import torch

    largest = max(groups)
    grads = [grad for group, _ in groups.values() for grad in group]
    variables = [variable for _, group in groups.values() for variable in group]
    parts = [scale / largest for scale, (_, group) in groups.items() for _ in group]
    values = [variable.value for variable in variables]
    before = torch._foreach_add(values, 0.0)
    torch._foreach_zero_(values)
    try:
        step(grads, variables, rate * largest)
        torch._foreach_mul_(values, parts)
    finally:
        torch._foreach_add_(values, before)
