"""What a monitor measures of an update of torch: by hooks, and with one transfer from the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

FIRST_UPDATES, EVERY = 3, 10  # whose sizes are measured: these, and one of so many that are measured at all
# Of these the first update moves each weight by the rate itself, whatever the gradient.
BY_SIGN = {"Adam", "AdamW", "Adamax", "Adafactor", "Lion", "NAdam", "RAdam", "RMSprop", "SparseAdam"}
RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.Threshold)


class Signals:
    """Measures the updates that it is told to: the first gradient, the logits, the active units, the updates' sizes.

    `is_on` says whether the update to come is measured, `number` which one it is.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self.is_on, self.number = True, 0
        self._model = model
        # Of an update whose logits or gradients never came these stay empty, and are not measured.
        self._spread: Tensor | None = None
        self._active: list[tuple[Tensor, int]] = []  # how many units, of how many
        self._gradient: Tensor | None = None
        self._before: list[tuple[Tensor, Tensor]] = []
        self._ratios: list[Tensor] = []
        self._gain: Tensor | None = None
        self._handles: list[Any] = []
        try:
            self._hook(model, optimizer)
        except BaseException:
            self.close()
            raise

    def _hook(self, model: nn.Module, optimizer: Optimizer) -> None:
        keep = self._handles.append
        keep(model.register_forward_pre_hook(self._begin))
        keep(model.register_forward_hook(self._logits))
        for module in model.modules():
            if isinstance(module, RECTIFIERS):
                keep(module.register_forward_hook(self._units))
        keep(optimizer.register_step_pre_hook(self._gradients))
        keep(optimizer.register_step_post_hook(self._updates))
        first = next((module for module in model.modules() if _has_weight(module)), None)
        if isinstance(first, nn.Linear) and type(optimizer).__name__ in BY_SIGN:
            self._gain_handle = first.register_forward_hook(self._inputs)
            keep(self._gain_handle)

    def close(self) -> None:
        """Takes its hooks away."""
        while self._handles:
            self._handles.pop().remove()

    # ---- Hooks ----

    def _begin(self, _module: nn.Module, _given: Any) -> None:
        if self._model.training:
            self._active = []

    def _units(self, _module: nn.Module, _given: Any, output: Tensor) -> None:
        if self.is_on and self._model.training and torch.is_grad_enabled() and output.ndim > 1:
            largest = output.detach().amax(dim=0)
            self._active.append((torch.count_nonzero(largest), largest.numel()))

    def _logits(self, module: nn.Module, _given: Any, output: Any) -> None:
        if not (self.is_on and module.training and torch.is_grad_enabled()):
            return
        logits = _tensor_of(output)
        self._spread = None
        if logits is not None and logits.is_floating_point() and logits.ndim > 0 and len(logits) > 1:
            low, high = torch.aminmax(logits.detach(), dim=0)
            self._spread = (high - low).max()

    def _inputs(self, _module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        """Once: how far the first update of Adam moves the outputs of the first layer, at a rate of 1."""
        self._gain_handle.remove()
        with torch.no_grad():
            size = given[0].abs().sum(dim=-1).float().mean()
            self._gain = size / output.float().std()

    def _gradients(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        self._gradient, self._before = None, []
        if not self.is_on:
            return
        weights = list(_weights(optimizer, self._model))
        self._gradient = next((_values(weight.grad) for weight in weights if weight.grad is not None), None)
        if self.number < FIRST_UPDATES or self.number % EVERY == 0:
            self._before = [(weight, weight.detach().clone()) for weight in weights if weight.grad is not None]

    def _updates(self, _optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        with torch.no_grad():
            self._ratios = [
                torch.linalg.vector_norm(weight.detach() - before) / torch.linalg.vector_norm(before)
                for weight, before in self._before
            ]
        self._before = []

    # ---- What came of it ----

    def taken(self, loss: Tensor | None) -> tuple[float, dict[str, Any]]:
        """The loss and the measurements since the last time, as `lrcore.monitor.Monitor.observe` takes them."""
        gradient = self._gradient if self._gradient is not None and self._gradient.numel() else None
        norm = None if gradient is None else torch.linalg.vector_norm(gradient)
        parts = [loss, self._spread, norm, self._gain, *(count for count, _ in self._active), *self._ratios]
        numbers = iter(_read([part for part in parts if part is not None]))
        value, spread, size, gain = (None if part is None else next(numbers) for part in parts[:4])
        if gradient is not None and size == 0.0:  # the squares of a tiny one are 0
            size = float(gradient.abs().max())
        active = [next(numbers) / count for _, count in self._active]
        ratios = [one for one in numbers if one == one]  # of weights that were 0, nothing is known
        self._spread = self._gradient = self._gain = None
        self._active, self._ratios = [], []
        signals = {
            "logit_spread": spread,
            "gradient_norms": None if size is None else [size],
            "input_gain": gain,
            "active_fractions": active or None,
            "update_ratios": ratios or None,
        }
        return float("nan") if value is None else value, signals


def _read(tensors: list[Tensor]) -> list[float]:
    """Numbers of tensors of one element; the device is waited for once."""
    if not tensors:
        return []
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [float(tensor) for tensor in tensors]
    device = next(tensor.device for tensor in tensors if tensor.device.type != "cpu")
    stacked = torch.stack([tensor.detach().reshape(()).to(device, torch.float32) for tensor in tensors])
    listed: list[float] = stacked.tolist()
    return listed


def _has_weight(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))


def _weights(optimizer: Optimizer, model: nn.Module) -> Iterator[Tensor]:
    """The weights of layers that the optimizer trains, the one at the input first, as the model lists them."""
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return (one for one in model.parameters() if one.ndim > 1 and one.requires_grad and id(one) in trained)


def _values(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _tensor_of(output: Any) -> Tensor | None:
    """The logits: the output, what it calls so, or the first tensor in it."""
    if isinstance(output, Tensor):
        return output
    named = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return named
    items: Iterable[Any] = (
        output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    )
    return next((one for one in items if isinstance(one, Tensor)), None)
