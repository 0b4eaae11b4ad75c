"""PyTorch: an optimizer's parameter groups from rules of lrcore.groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from lrcore import _check
from lrcore.groups import Multiplier, Rule, multipliers


def param_groups(
    model: torch.nn.Module | Iterable[tuple[str, torch.Tensor]],
    rules: Rule | Sequence[Rule] = (),
    *,
    weight_decay: float | None = None,
    keep_frozen: bool = False,
    param_names: bool = False,
) -> list[dict[str, Any]]:
    """Parameter groups for any torch optimizer, one for each setting that the rules come to.

    Each group has its `params`, its `lr_scale` and, as the rules or the argument ask for it, its `weight_decay` and
    `weight_decay_scale`. Our `Scheduler` writes `schedule(step) * lr_scale`, and where it drives the weight decay
    multiplies that by its scale; torch's own and the drop-ins know neither. Groups stand
    in the order in which the model first has them, and so do the parameters in a group. The model is not changed: a
    frozen parameter still gets gradients, and counts where they are clipped together, until its `requires_grad` is
    turned off.

    The rules see all parameters, those that do not train too, so that freezing a layer moves no other layer's depth. A
    shared parameter is taken once, under the first of its names, as `model.named_parameters()` has it.

    Build the groups before a wrapper flattens the parameters, as FSDP's first version does: biases and norms are known
    by their dimensions as well.

    Args:
        model: the module, or its (name, parameter) pairs.
        rules: the rules, or one; none for a single group.
        weight_decay: what `weight_decay_scale` multiplies. Without it a group has the optimizer's own, or 0.
        keep_frozen: whether parameters that a rule froze, or that have no `requires_grad`, get groups too, to be thawed
            later. Else they are left out.
        param_names: whether each group lists its names as `param_names`, as torch does for an optimizer that is built
            from named parameters. Every group that is added later needs them then.

    Raises:
        TypeError: no module and no pairs; no rules.
        ValueError: a rule that matches nothing; a weight decay below 0, or none where a rule asks for a part of it; no
            parameter left to train.

    Also known as: timm `param_groups_layer_decay`, `param_groups_weight_decay`.

    Example:
        >>> import torch
        >>> from lrcore.groups import ByName, NoDecay
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
        >>> rules = [ByName(r"^1\\.", lr_scale=10), NoDecay()]
        >>> groups = param_groups(model, rules, weight_decay=0.05, param_names=True)
        >>> for group in groups:
        ...     print(group["param_names"], group["lr_scale"], group["weight_decay"])
        ['0.weight'] 1.0 0.05
        ['0.bias'] 1.0 0.0
        ['1.weight'] 10.0 0.05
        ['1.bias'] 10.0 0.0
        >>> optimizer = torch.optim.AdamW(groups, lr=1e-3)
    """
    base = None if weight_decay is None else _check.not_negative("param_groups.weight_decay", weight_decay)
    _check.flag("param_groups.keep_frozen", keep_frozen)
    _check.flag("param_groups.param_names", param_names)
    parameters, others = _named(model)
    found = _multipliers(parameters, others, rules)
    groups: dict[tuple[float, float | None, float], dict[str, Any]] = {}
    for name, parameter in parameters.items():
        if not keep_frozen and (found[name].frozen or not parameter.requires_grad):
            continue
        scale = found[name].weight_decay_scale
        setting = (found[name].lr_scale, _weight_decay(name, found[name], base), scale)
        group = groups.setdefault(setting, {"params": [], "param_names": []})
        group["params"].append(parameter)
        group["param_names"].append(name)
    if not groups:
        raise ValueError(f"param_groups: expected a parameter that trains, got {len(parameters)} that are frozen")
    for (lr_scale, decay, decay_scale), group in groups.items():
        group["lr_scale"] = lr_scale
        if decay_scale != 1.0:
            group["weight_decay_scale"] = decay_scale
        if decay is not None:
            group["weight_decay"] = decay
        if not param_names:
            del group["param_names"]
    return list(groups.values())


def _named(model: object) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Each parameter under its first name, and the first name of each other name."""
    if isinstance(model, torch.nn.Module):
        pairs: list[Any] = list(model.named_parameters(remove_duplicate=False))
    elif isinstance(model, Iterable) and not isinstance(model, torch.Tensor):
        pairs = list(model)
    else:
        _check.refuse("param_groups.model", "a torch.nn.Module or (name, parameter) pairs", model, TypeError)
    parameters: dict[str, torch.Tensor] = {}
    others: dict[str, str] = {}
    first_names: dict[torch.Tensor, str] = {}
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], torch.Tensor)):
            _check.refuse("param_groups.model", "a torch.nn.Module or (name, parameter) pairs", pair, TypeError)
        name, parameter = pair
        first = first_names.setdefault(parameter, name)
        if first != name:
            others[name] = first
        elif name in parameters and parameters[name] is not parameter:
            raise ValueError(f"param_groups.model: expected each name once, got {name!r} again")
        else:
            parameters[name] = parameter
    return parameters, others


def _multipliers(
    parameters: dict[str, torch.Tensor], others: dict[str, str], rules: Rule | Sequence[Rule]
) -> dict[str, Multiplier]:
    try:
        return multipliers(parameters, rules)
    except ValueError as error:
        if not others:
            raise
        shared = ", ".join(f"{name!r} is {first!r}" for name, first in list(others.items())[:4])
        raise ValueError(f"{error} (shared parameters have their first name: {shared})") from None


def _weight_decay(name: str, found: Multiplier, base: float | None) -> float | None:
    if base is not None:
        return base * found.weight_decay_scale
    if found.weight_decay_scale in (0.0, 1.0):
        return None if found.weight_decay_scale else 0.0
    raise ValueError(
        f"param_groups.weight_decay: expected a number, as {name!r} gets {found.weight_decay_scale!r} of it, got None"
    )
