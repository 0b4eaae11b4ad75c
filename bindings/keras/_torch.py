"""Keras on torch: schedules that are computed where the counter is, without asking a device for its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from lrcore import tracing

if TYPE_CHECKING:
    import torch


F = TypeVar("F", bound=Callable[..., Any])


def as_written(function: F) -> F:
    """A function that `torch.compile` leaves as it is, and all that it calls.

    It would warn that it can neither read a counter as a number nor look for who is calling.
    """
    import torch

    disable: Any = torch.compiler.disable  # which has no types
    return cast(F, disable(function))


class TorchOperations(tracing.OfDtype):
    """`lrcore.tracing.Operations`, where each method is described, for steps of one dtype on one device.

    Args:
        steps: a tensor of steps.
    """

    exp: Any
    expm1: Any
    log: Any
    log1p: Any
    sqrt: Any
    tanh: Any
    floor: Any

    def __init__(self, steps: torch.Tensor) -> None:
        import torch

        super().__init__(str(steps.dtype).removeprefix("torch."))
        self.torch, self.device = torch, steps.device
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "floor"):
            setattr(self, name, getattr(torch, name))

    def constant(self, given: Any) -> Any:
        """A number as a tensor on the device."""
        return self._tensor(super().constant(given)) if isinstance(given, (int, float)) else given

    def _tensor(self, values: Any) -> torch.Tensor:
        return self.torch.from_numpy(np.array(values)).to(self.device)

    def float32(self, steps: Any) -> Any:
        """Integers as float32."""
        return steps.to(self.torch.float32)

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        """Either of them may be a number."""
        return self.torch.where(condition, self.constant(then), self.constant(otherwise))

    def minimum(self, values: Any, other: Any) -> Any:
        """The smaller of both."""
        return self.torch.minimum(values, self.constant(other))

    def maximum(self, values: Any, other: Any) -> Any:
        """The larger of both."""
        return self.torch.maximum(values, self.constant(other))

    def take(self, values: NDArray[Any], at: Any) -> Any:
        """Entries of a constant array."""
        return self.torch.take(self._tensor(self.constants(values)), at.to(self.torch.int64))

    def reached(self, marks: NDArray[np.int64], step: Any) -> Any:
        """How many of the marks are <= step: a search."""
        sorted_marks = self._tensor(self.constants(marks))
        return self.torch.searchsorted(sorted_marks, step, right=True).to(sorted_marks.dtype)

    def power(self, values: Any, exponent: Any) -> Any:
        """Numbers to a power."""
        return self.torch.pow(values, self.constant(exponent))


def compiled(plan: tracing.Plan, steps: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The values of a plan as a function of tensors like these steps: its constants lie on their device from now on."""
    import torch

    operations = TorchOperations(steps)
    return torch.fx.symbolic_trace(lambda step: plan.value(step, operations))
