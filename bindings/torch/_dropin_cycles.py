"""Drop-ins for the schedulers of torch that overwrite the rate: cycles, one cycle and warm restarts.

With the rate they cycle the momentum, which is as pure. What others make of the rate is overwritten, as in torch.
"""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace
from typing import Any

from torch.optim import lr_scheduler as peer

from lrcore.bindings.torch._dropin import TORCHS, DropIn, Weight, closed_form, weight_of
from lrcore.bindings.torch._dropin_rates import copied, is_far, mix, near
from lrcore.dialects import torch as dialect
from lrcore.dialects._torchlike import through_points


def set_momentum(group: dict[str, Any], momentum: Any, use_beta1: bool) -> None:
    if use_beta1:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


class _Overwriting(DropIn):
    """A class that writes its own rates, whatever the rates are."""

    __slots__ = ()

    _overwrites = True

    def _starts(self) -> list[Any]:
        return self._own_roots()

    def _first_rates(self, epoch: float) -> list[Any]:
        return self._placed_rates(epoch)

    def _next_rates(self, epoch: float) -> list[Any]:
        return self._placed_rates(epoch)

    def _placed_rates(self, epoch: float) -> list[Any]:
        self._roots = self._starts()
        return self._mixed(epoch, self._roots)

    def _loaded_roots(self) -> list[Any] | None:
        return None

    def _state_roots(self) -> list[Any] | None:
        return None

    def get_lr(self) -> list[Any]:
        self._roots = self._starts()
        return super().get_lr()


class CyclicLR(_Overwriting, peer.CyclicLR):
    """torch's CyclicLR: up and down between `base_lr` and `max_lr`, the momentum down and up.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0, momentum=0.9)
        >>> scheduler = CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr(), round(optimizer.param_groups[0]["momentum"], 6)
        ([0.5], 0.85)
    """

    def _make_weight(self) -> Weight:
        up = self.total_size * self.step_ratio
        down = self.total_size - up
        whole = round(up), round(self.total_size) - round(up)
        is_whole = float(self.total_size).is_integer() and math.isclose(up, whole[0], rel_tol=1e-12) and down > 0.0
        if self._scale_fn_custom is not None or not is_whole:
            return self._odd_weight()
        return weight_of(lambda: dialect.CyclicLR(0.0, 1.0, *whole, self.mode, self.gamma), self._odd_weight())

    def _odd_weight(self) -> Weight:
        scale = self._scale_fn_ref if self._scale_fn_custom is None else self._scale_fn_custom
        how = {"total_size": self.total_size, "step_ratio": self.step_ratio, "scale_mode": self.scale_mode}
        return partial(_torchs_cycle, SimpleNamespace(**how, scale_fn=scale))

    def _parameters(self) -> dict[str, Any]:
        return {name: value for name, value in super()._parameters().items() if name != "use_beta1"}

    def _starts(self) -> list[Any]:
        return [near(copied(peak)) for peak in self.max_lrs]

    def _low(self, at: int, _group: dict[str, Any]) -> Any:
        return near(self.base_lrs[at])

    def _adopt(self, group: dict[str, Any]) -> None:
        lr = group.get("initial_lr", group["lr"])  # of a state that is loaded
        self.max_lrs.append(copied(lr) * (self.max_lrs[0] / self.base_lrs[0]) if self.base_lrs[0] else 0.0)
        if self.cycle_momentum:
            for listed, name in ((self.max_momentums, "max_momentum"), (self.base_momentums, "base_momentum")):
                listed.append(group.setdefault(name, listed[0]))

    def _write_momentum(self, epoch: float) -> None:
        if self.cycle_momentum:
            self._momentum_writer()(self.optimizer.param_groups, epoch, self._w(epoch))

    def _momentum_writer(self) -> Any:
        if not self.cycle_momentum:
            return None
        ends = [(near(low), near(high)) for low, high in zip(self.base_momentums, self.max_momentums, strict=True)]
        return partial(_cycle_momentum, ends, self.use_beta1)


def _torchs_cycle(how: SimpleNamespace, epoch: float) -> float:
    """The weight by torch's own arithmetic, for a scale_fn or sizes that are not whole."""
    each = {"base_lrs": [0.0], "max_lrs": [1.0], "last_epoch": epoch, "cycle_momentum": False}
    return float(TORCHS["CyclicLR"].get_lr(SimpleNamespace(**vars(how), **each, _get_lr_called_within_step=True))[0])


def _cycle_momentum(ends: list[Any], use_beta1: bool, groups: list[Any], _epoch: float, w: float) -> None:
    for group, (low, high) in zip(groups, ends, strict=True):
        set_momentum(group, mix(w, low, high), use_beta1)


class OneCycleLR(_Overwriting, peer.OneCycleLR):
    """torch's OneCycleLR: up to `max_lr` and far down, the momentum down and up; its last step holds the end.

    torch allows a step past the end, where its rate rises again or, annealed by lines, is negative; and short cycles,
    in which a phase has no update, divide by zero there.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0, momentum=0.9)
        >>> scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, anneal_strategy="linear")
        >>> for _ in range(10):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [4e-06]
    """

    def _parameters(self) -> dict[str, Any]:
        return {"total_steps": self.total_steps, "anneal_strategy": self.__dict__.get("_anneal_func_type")}

    def _curve(self, group: dict[str, Any], kind: str) -> Weight:
        """The rate or the momentum of a group, through the points of its phases."""
        phases = self._schedule_phases
        points = [(0.0, near(group[phases[0][f"start_{kind}"]]))]  # type: ignore[literal-required]
        points += [(float(phase["end_step"]), near(group[phase[f"end_{kind}"]])) for phase in phases]  # type: ignore[literal-required]
        schedule = through_points(points, self.total_steps, self._anneal_func_type, False)
        return schedule._compiled().value

    def _is_usual(self) -> bool:
        groups = self.optimizer.param_groups
        return "_anneal_func_type" in self.__dict__ and not any(
            is_far(value) for group in groups for value in map(group.get, ("initial_lr", "max_lr", "min_lr"))
        )

    def _curves(self, kind: str, names: tuple[str, ...]) -> list[Weight]:
        """The curve of each group, made once for those with the same points."""
        made: dict[Any, Weight] = self._weight or {}  # type: ignore[assignment]
        self._weight = made  # type: ignore[assignment]
        curves = []
        for group in self.optimizer.param_groups:
            key = tuple(float(group[name]) for name in names)
            if key not in made:
                made[key] = self._curve(group, kind)
            curves.append(made[key])
        return curves

    def _made(self) -> tuple[list[Weight], list[Weight]]:
        momenta = self._curves("momentum", ("max_momentum", "base_momentum")) if self.cycle_momentum else []
        return self._curves("lr", ("initial_lr", "max_lr", "min_lr")), momenta

    def _w(self, epoch: float) -> float:
        return self._made()[0][0](epoch)  # type: ignore[arg-type]

    def _mixed(self, epoch: float, _roots: list[Any]) -> list[Any]:
        if epoch > self.total_steps:
            raise ValueError(f"Tried to step {epoch} times. The specified number of total steps is {self.total_steps}")
        if not self._is_usual() or type(epoch) is not int or epoch < 0:
            return self._by_torch(epoch)
        return [rate(epoch) for rate in self._made()[0]]

    def _by_torch(self, epoch: float) -> list[Any]:
        """torch's own way, for fractions of an epoch, rates on a device and states of old."""
        before = self.__dict__["last_epoch"], self._get_lr_called_within_step
        self.__dict__["last_epoch"], self._get_lr_called_within_step = epoch, True
        try:
            return list(TORCHS["OneCycleLR"].get_lr(self))
        finally:
            self.__dict__["last_epoch"], self._get_lr_called_within_step = before

    def _write_momentum(self, epoch: float) -> None:
        if self.cycle_momentum and self._is_usual() and type(epoch) is int and epoch >= 0:
            for group, momentum in zip(self.optimizer.param_groups, self._made()[1], strict=True):
                set_momentum(group, momentum(epoch), self.use_beta1)

    def _prepare(self, _is_alone: bool) -> None:
        self._ready = self._alike = None
        groups = self.optimizer.param_groups
        if not self._is_usual() or {type(group["lr"]) for group in groups} | {type(self.last_epoch)} != {float, int}:
            return
        rates, momenta = self._made()
        if len({*rates}) == 1 and len({*momenta}) < 2:
            momentum = partial(_one_momentum, momenta[0], self.use_beta1) if self.cycle_momentum else None
            at = self.optimizer, groups, len(groups), self.total_steps
            self._alike = self.__dict__, rates[0], *at, 1.0, 0.0, momentum

    def _adopt(self, group: dict[str, Any]) -> None:
        """A new group's own rate is its `max_lr`."""
        first = self.optimizer.param_groups[0]
        if "max_lr" not in group:  # which a state that is loaded has
            peak = group["max_lr"] = float(group["lr"])
            group["initial_lr"], group["min_lr"] = (
                peak * (float(first[name]) / float(first["max_lr"])) for name in ("initial_lr", "min_lr")
            )
        for name in ("max_momentum", "base_momentum") if self.cycle_momentum else ():
            group.setdefault(name, first[name])


def _one_momentum(value: Weight, use_beta1: bool, groups: list[Any], epoch: int, _w: float) -> None:
    momentum = value(epoch)
    if use_beta1:
        for group in groups:
            set_momentum(group, momentum, use_beta1)
    else:
        for group in groups:
            group["momentum"] = momentum


class CosineAnnealingWarmRestarts(_Overwriting, peer.CosineAnnealingWarmRestarts):
    """torch's CosineAnnealingWarmRestarts, whose `step(epoch)` finds each restart, by integers.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=3)
        >>> scheduler.step(121)  # torch's is at 0 here
        >>> scheduler.get_last_lr(), scheduler.T_cur, scheduler.T_i
        ([1.0], 0, 243)
    """

    def step(self, epoch: float | None = None) -> None:
        """Steps to the next epoch, or to one that is named, which may be a fraction."""
        if epoch is not None:
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self._place(epoch)
            self._finish(math.floor(epoch))
            return
        own = self.__dict__
        if own["last_epoch"] < 0 or self._is_initial:
            to = max(own["last_epoch"] + 1, 0)
            self._place(to)
            self._finish(to)
            return
        now = own["T_cur"] + 1
        if now >= own["T_i"]:
            now %= own["T_i"]
            own["T_i"] *= own["T_mult"]
            self._weight = self._ready = None
        own["T_cur"] = now
        if self._ready is None or not self._step_within(own, self._ready, now):
            self._finish(own["last_epoch"] + 1)

    def _step_within(self, own: dict[str, Any], ready: list[Any], now: Any) -> bool:
        """The fast path, in the time of the cycle."""
        epoch, own["last_epoch"] = own["last_epoch"], now - 1
        is_done = self._step_fast(own, ready)
        own["last_epoch"] = epoch + is_done
        return is_done

    def _finish(self, last_epoch: int) -> None:
        self._adopt_new_groups()
        if self._is_custom:
            peer_values = self.get_lr()
            self.__dict__["last_epoch"] = last_epoch
            self._write(peer_values)
            return
        rates = self._placed_rates(last_epoch)
        self.__dict__["last_epoch"] = last_epoch
        self._write(rates)
        if not self._is_initial:
            self._prepare(False)

    def _place(self, epoch: float) -> None:
        """T_i and T_cur of an epoch."""
        begin, period = 0, self.T_0
        if self.T_mult == 1:
            begin = int(epoch // period) * period
        else:
            while epoch - begin >= period:
                begin, period = begin + period, period * self.T_mult
        self.__dict__["T_i"], self.__dict__["T_cur"] = period, epoch - begin
        self._weight = None

    def _update_lr(self, epoch: float | None = None) -> None:
        if epoch is None:
            self.step()
        else:
            self._place(epoch)
            self._finish(math.floor(epoch))

    def _make_weight(self) -> Weight:
        return weight_of(lambda: dialect.CosineAnnealingWarmRestarts(1.0, self.T_i), self._odd_weight())

    def _odd_weight(self) -> Weight:
        return closed_form("CosineAnnealingLR", T_max=self.T_i, eta_min=0.0)

    def _low(self, _at: int, _group: dict[str, Any]) -> Any:
        return self.eta_min

    def _now(self) -> float:
        return self.T_cur

    def _mixed(self, _epoch: float, roots: list[Any]) -> list[Any]:
        return super()._mixed(self.T_cur, roots)

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("T_0", "T_mult", "eta_min")}


__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]
