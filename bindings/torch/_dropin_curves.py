"""Drop-ins for the schedulers of torch that multiply, one curve each, and SWALR."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import lr_scheduler as peer, swa_utils

from lrcore.bindings.torch._dropin import FLOAT, LR_OF, DropIn, Weight, closed_form, weight_of
from lrcore.bindings.torch._dropin_rates import copied, near
from lrcore.dialects import torch as dialect
from lrcore.dialects._parts import wave


class _Chainable(DropIn):
    """A class with a closed form, whose recursion keeps what others make of the rate."""

    __slots__ = ()

    def _get_closed_form_lr(self) -> list[Any]:
        return self._mixed(self.last_epoch, self._own_roots())


class StepLR(_Chainable, peer.StepLR):
    """torch's StepLR: `base_lr * gamma**(epoch // step_size)`.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr(), scheduler
        ([0.5], StepLR(step_size=2, gamma=0.5, last_epoch=3))
    """

    def _make_weight(self) -> Weight:
        size = abs(Fraction(self.step_size).numerator)  # torch's recursion asks for epoch % step_size == 0
        return weight_of(lambda: dialect.StepLR(1.0, size, self.gamma), self._odd_weight())

    def _odd_weight(self) -> Weight:
        return closed_form("StepLR", step_size=self.step_size, gamma=self.gamma)


class MultiStepLR(_Chainable, peer.MultiStepLR):
    """torch's MultiStepLR: `base_lr * gamma**(number of milestones <= epoch)`.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> MultiStepLR(optimizer, [2, 2, 5], gamma=0.5).milestones
        Counter({2: 2, 5: 1})
    """

    def _make_weight(self) -> Weight:
        met = [int(at) for at in self.milestones.elements() if at >= 0 and at == int(at)]  # by torch's recursion
        return weight_of(lambda: dialect.MultiStepLR(1.0, met, self.gamma), self._odd_weight())

    def _odd_weight(self) -> Weight:
        return closed_form("MultiStepLR", milestones=Counter(self.milestones), gamma=self.gamma)


class ConstantLR(_Chainable, peer.ConstantLR):
    """torch's ConstantLR: `base_lr * factor` before `total_iters`, then `base_lr`; a factor of 0 works.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> ConstantLR(optimizer, factor=0.25).get_last_lr()
        [0.25]
    """

    def _make_weight(self) -> Weight:
        if self.total_iters != int(self.total_iters):
            factor = self.factor
            return lambda _epoch: factor  # torch's recursion waits for epoch == total_iters
        return weight_of(
            lambda: dialect.ConstantLR(1.0, self.factor, self.total_iters, strict=True), self._odd_weight()
        )

    def _odd_weight(self) -> Weight:
        return closed_form("ConstantLR", factor=self.factor, total_iters=self.total_iters)

    def _placed_rates(self, epoch: float) -> list[Any]:
        rates = super()._placed_rates(epoch)
        if self.total_iters > 0 or self.factor == 0.0:
            return rates
        # torch's closed form is past its end here, its recursion, and so the weight, for ever before.
        rates, self._roots = self._own_roots(), [root / self.factor for root in self._own_roots()]
        return rates


class LinearLR(_Chainable, peer.LinearLR):
    """torch's LinearLR: from `base_lr * start_factor` to `base_lr * end_factor` in `total_iters` updates.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> LinearLR(optimizer, start_factor=0.25).get_last_lr()
        [0.25]
    """

    def _make_weight(self) -> Weight:
        factors = self.start_factor, self.end_factor
        return weight_of(lambda: dialect.LinearLR(1.0, *factors, self.total_iters, strict=True), self._recursion())

    def _odd_weight(self) -> Weight:
        factors = {"start_factor": self.start_factor, "end_factor": self.end_factor}
        return closed_form("LinearLR", **factors, total_iters=self.total_iters)

    def _recursion(self) -> Weight:
        return held_after(self.total_iters, self._odd_weight())


class ExponentialLR(_Chainable, peer.ExponentialLR):
    """torch's ExponentialLR: `base_lr * gamma**epoch`.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = ExponentialLR(optimizer, gamma=0.5)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def _make_weight(self) -> Weight:
        return weight_of(lambda: dialect.ExponentialLR(1.0, self.gamma), self._odd_weight())

    def _odd_weight(self) -> Weight:
        return closed_form("ExponentialLR", gamma=self.gamma)


class PolynomialLR(_Chainable, peer.PolynomialLR):
    """torch's PolynomialLR: `base_lr * (1 - epoch / total_iters)**power`, then 0.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = PolynomialLR(optimizer, total_iters=4, power=2.0)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5625]
    """

    def _make_weight(self) -> Weight:
        odd = held_after(self.total_iters, self._odd_weight())
        return weight_of(lambda: dialect.PolynomialLR(1.0, self.total_iters, self.power, strict=True), odd)

    def _odd_weight(self) -> Weight:
        return closed_form("PolynomialLR", total_iters=self.total_iters, power=self.power)


def held_after(total: float, weight: Weight) -> Weight:
    """torch's recursions stop at the last whole update of a total that is not whole."""
    last = math.floor(total)
    return lambda epoch: weight(min(epoch, last))


@dataclass(frozen=True)
class _Wave:
    """A cosine that falls, and after that the wave that rises again: almost all updates are in the fall."""

    fall: Weight
    steps: int
    later: Weight

    def __call__(self, epoch: int, /) -> float:
        return self.fall(epoch) if epoch <= self.steps else self.later(epoch)


class CosineAnnealingLR(_Chainable, peer.CosineAnnealingLR):
    """torch's CosineAnnealingLR: half a cosine wave to `eta_min` in `T_max` updates, and up again after that.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = CosineAnnealingLR(optimizer, T_max=2)
        >>> for _ in range(4):
        ...     optimizer.step()
        ...     scheduler.step()
        ...     print(scheduler.get_last_lr())
        [0.5]
        [0.0]
        [0.5]
        [1.0]
    """

    def _make_weight(self) -> Weight:
        if self.T_max <= 0:
            return self._odd_weight()
        if not isinstance(self.T_max, int):  # a period that is not whole is one that the dialect does not have
            return wave(1.0, 0.0, 0.0, self.T_max)._compiled().value
        fall = dialect.CosineAnnealingLR(1.0, self.T_max)._compiled().value
        return _Wave(fall, self.T_max, dialect.CosineAnnealingLR(1.0, self.T_max, strict=True)._compiled().value)

    def _prepare(self, is_alone: bool) -> None:
        super()._prepare(is_alone)
        if self._alike and isinstance(self._weight, _Wave) and self.last_epoch < self._weight.steps:
            own, _, *at, _, root, low, momentum = self._alike
            self._alike = own, self._weight.fall, *at, self._weight.steps, root, low, momentum

    def _odd_weight(self) -> Weight:
        return closed_form("CosineAnnealingLR", T_max=self.T_max, eta_min=0.0)

    _can_rise = True

    def _low(self, _at: int, _group: dict[str, Any]) -> Any:
        return self.eta_min

    def _rises(self, epoch: float) -> bool:
        return bool(self.T_max) and (epoch - 1 - self.T_max) % (2 * self.T_max) == 0


class _Lambdas(DropIn):
    """What the two classes with functions of the user share."""

    __slots__ = ()

    lr_lambdas: list[Any]

    def _parameters(self) -> dict[str, Any]:
        return {}

    def _adopt(self, _group: dict[str, Any]) -> None:
        first = self.lr_lambdas[0]
        if any(one is not first for one in self.lr_lambdas):
            raise ValueError(
                f"{type(self).__name__}: expected an lr_lambda for each parameter group, got {len(self.lr_lambdas)} "
                f"for {len(self.optimizer.param_groups)}; append one to lr_lambdas"
            )
        self.lr_lambdas.append(first)

    def _factors(self, epoch: float) -> list[Any]:
        """Each function's factor; numbers of numpy would make a checkpoint that torch.load does not take."""
        found = [function(epoch) for function in self.lr_lambdas]
        return [float(factor) if isinstance(factor, np.number) else factor for factor in found]

    def state_dict(self) -> dict[str, Any]:
        functions = self.__dict__["lr_lambdas"]
        try:  # torch asks each of them for a __dict__, which a schedule or a builtin does not have
            self.__dict__["lr_lambdas"] = [one if hasattr(one, "__dict__") else (lambda: None) for one in functions]
            return super().state_dict()
        finally:
            self.__dict__["lr_lambdas"] = functions

    def _state_roots(self) -> list[Any] | None:
        return None

    def _loaded_roots(self) -> list[Any] | None:
        return None

    def _prepare(self, _is_alone: bool) -> None:
        groups = self.optimizer.param_groups
        self._ready = [groups, len(groups)] if {type(group["lr"]) for group in groups} == {float} else None
        self._roots = None if self._ready else self._roots  # the fast path does not keep them

    def _step_fast(self, own: dict[str, Any], ready: list[Any]) -> bool:
        groups, count = ready
        lambdas, starts = own["lr_lambdas"], self._starts(own, groups)
        if own["optimizer"].param_groups is not groups or not len(groups) == len(starts) == len(lambdas) == count:
            return False
        if not FLOAT.issuperset(map(type, starts)):
            return False
        epoch = own["last_epoch"] + 1
        rates = [start * function(epoch) for start, function in zip(starts, lambdas)]  # noqa: B905 (strict takes time)
        own["_last_lr"] = rates
        if not FLOAT.issuperset(map(type, rates)):
            rates = [rate if isinstance(rate, Tensor) else float(rate) for rate in rates]
            own["_last_lr"] = list(map(copied, rates))
        for group, rate in zip(groups, rates):  # noqa: B905
            group["lr"] = rate
        own["last_epoch"] = epoch
        return True

    def _starts(self, own: dict[str, Any], _groups: list[Any]) -> Any:
        """What the functions' factors multiply."""
        return own["base_lrs"]


class LambdaLR(_Lambdas, peer.LambdaLR):
    """torch's LambdaLR: `base_lr * lr_lambda(epoch)`.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> LambdaLR(optimizer, lambda epoch: 0.5 ** (1 + epoch)).get_last_lr()
        [0.5]
    """

    def _rates_at(self, epoch: float) -> list[Any]:
        return [near(copied(base)) * factor for base, factor in zip(self.base_lrs, self._factors(epoch), strict=True)]

    def _first_rates(self, epoch: float) -> list[Any]:
        return self._rates_at(epoch)

    def _placed_rates(self, epoch: float) -> list[Any]:
        return self._rates_at(epoch)

    def _next_rates(self, epoch: float) -> list[Any]:
        return self._rates_at(epoch)

    def _mixed(self, epoch: float, _roots: list[Any]) -> list[Any]:
        return self._rates_at(epoch)


class MultiplicativeLR(_Lambdas, peer.MultiplicativeLR):
    """torch's MultiplicativeLR: the rate times `lr_lambda(epoch)` at each update, in float64 for a tensor too.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = MultiplicativeLR(optimizer, lambda epoch: 0.5)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def _starts(self, _own: dict[str, Any], groups: list[Any]) -> Any:
        return list(map(LR_OF, groups))

    def _first_rates(self, _epoch: float) -> list[Any]:
        return self._rates()

    def _rates(self) -> list[Any]:
        """The rates now; those of tensors before they were rounded."""
        groups, roots = self.optimizer.param_groups, self._roots
        now = [near(copied(group["lr"])) for group in groups]
        if roots is not None and not self._is_initial:
            for at, lr in enumerate(map(LR_OF, groups)):
                now[at] = roots[at] if isinstance(lr, Tensor) and self._is_ours(at, lr) else now[at]
        self._roots = now
        return now

    def _next_rates(self, epoch: float) -> list[Any]:
        self._roots = [rate * factor for rate, factor in zip(self._rates(), self._factors(epoch), strict=True)]
        return self._roots

    def _placed_rates(self, epoch: float) -> list[Any]:
        return self._next_rates(epoch)

    def _mixed(self, _epoch: float, _roots: list[Any]) -> list[Any]:
        return self._rates()

    def _state_roots(self) -> list[Any] | None:
        is_rounded = any(isinstance(group["lr"], Tensor) for group in self.optimizer.param_groups)
        return list(self._rates()) if is_rounded else None


class SWALR(DropIn, swa_utils.SWALR):
    """torch's SWALR: from the rate that it finds to `swa_lr` in `anneal_epochs` of its own updates.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.75]
    """

    def _parameters(self) -> dict[str, Any]:
        return {"anneal_epochs": self.anneal_epochs, "anneal_strategy": self._anneal_strategy}

    def _make_weight(self) -> Weight:
        return dialect.SWALR(1.0, 0.0, self.anneal_epochs, self._anneal_strategy)._compiled().value

    def _odd_weight(self) -> Weight:
        weight = self._make_weight()
        return lambda epoch: weight(max(int(epoch), 0))

    def _low(self, _at: int, group: dict[str, Any]) -> Any:
        return near(group["swa_lr"])

    def _adopt(self, group: dict[str, Any]) -> None:
        group.setdefault("swa_lr", copied(self.optimizer.param_groups[0]["swa_lr"]))

    def _kept(self, _lr: Any, low: Any) -> Any:
        return low  # torch's recursion ends there, whatever the rate was

    def _placed_rates(self, epoch: float) -> list[Any]:
        if epoch > 0:
            return self._mixed(epoch, self._roots or self._own_roots())
        self._roots = [near(copied(group["lr"])) for group in self.optimizer.param_groups]
        return self._mixed(epoch, self._roots)


__all__ = [
    "SWALR",
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]
