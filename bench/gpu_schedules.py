"""The twelve schedules of the GPU harness: each as lrcore has it, and as torch's own scheduler.

A peer is a closed form where torch computes each rate from the number of updates. The others multiply the last rate,
and drift from what they stand for by ulps of float64.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lrcore
from lrcore.dialects import torch as dialect

OBSERVED_EVERY = 2  # updates, whose mean loss a plateau controller sees
PLATEAU = {"factor": 0.5, "patience": 3, "threshold": 0.1}


@dataclass(frozen=True)
class Pair:
    """A schedule of ours and the scheduler of torch that it is compared with, built on an optimizer."""

    name: str
    ours: lrcore.Schedule
    peer: Callable[[Any], Any]
    is_closed_form: bool = False
    momentum: lrcore.Schedule | None = None
    has_plateau: bool = False
    is_control: bool = False  # no peer at all: a rate that is nearly the same, which has to be seen

    def without_momentum(self, rate: float, updates: int) -> Pair:
        """The same for a captured graph, which holds a momentum as a constant."""
        if self.momentum is None:
            return self
        return Pair(self.name, self.ours, _one_cycle(rate, updates, False), self.is_closed_form)


def _one_cycle(rate: float, updates: int, cycle_momentum: bool) -> Callable[[Any], Any]:
    def build(optimizer: Any) -> Any:
        from torch.optim.lr_scheduler import OneCycleLR

        return OneCycleLR(optimizer, rate, updates, cycle_momentum=cycle_momentum)

    return build


def _peer(name: str, *args: Any, **options: Any) -> Callable[[Any], Any]:
    def build(optimizer: Any) -> Any:
        from torch.optim import lr_scheduler

        return getattr(lr_scheduler, name)(optimizer, *args, **options)

    return build


def _in_order(parts: list[Callable[[Any], Any]], milestones: list[int]) -> Callable[[Any], Any]:
    def build(optimizer: Any) -> Any:
        from torch.optim.lr_scheduler import SequentialLR

        return SequentialLR(optimizer, [part(optimizer) for part in parts], milestones)

    return build


def _at_once(parts: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def build(optimizer: Any) -> Any:
        from torch.optim.lr_scheduler import ChainedScheduler

        return ChainedScheduler([part(optimizer) for part in parts])

    return build


def control(rate: float) -> Pair:
    """Rates apart by a few floats of float32: what compares trainings has to see it."""
    return Pair("control", lrcore.Constant(rate), _peer("LambdaLR", lambda _: 1.0 + 1e-6), is_control=True)


def pairs(rate: float, updates: int) -> list[Pair]:
    """All twelve, for optimizers that are built with this rate, over a run of so many updates, >= 24."""
    n, warm = updates, updates // 6
    cuts, factors = [n // 6, n // 3, n // 2], [1.0, 0.3, 0.6, 0.1]
    return [
        Pair("cosine", dialect.CosineAnnealingLR(rate, n), _peer("CosineAnnealingLR", n)),
        Pair(
            "warm-up cosine",
            dialect.SequentialLR(
                [dialect.LinearLR(rate, 0.1, total_iters=warm), dialect.CosineAnnealingLR(rate, n - warm)], [warm]
            ),
            _in_order([_peer("LinearLR", 0.1, total_iters=warm), _peer("CosineAnnealingLR", n - warm)], [warm]),
        ),
        Pair(
            "one-cycle",
            dialect.OneCycleLR(rate, n),
            _one_cycle(rate, n, True),
            is_closed_form=True,
            momentum=dialect.OneCycleLR(0.85, n, div_factor=0.85 / 0.95, final_div_factor=1.0),
        ),
        Pair(
            "SGDR",
            dialect.CosineAnnealingWarmRestarts(rate, n // 8, 2, eta_min=rate / 100),
            _peer("CosineAnnealingWarmRestarts", n // 8, 2, eta_min=rate / 100),
            is_closed_form=True,
        ),
        Pair("step", dialect.StepLR(rate, n // 5, 0.6), _peer("StepLR", n // 5, 0.6)),
        Pair("multi-step", dialect.MultiStepLR(rate, cuts, 0.3), _peer("MultiStepLR", cuts, 0.3)),
        Pair("polynomial", dialect.PolynomialLR(rate, n, 2.0), _peer("PolynomialLR", n, 2.0)),
        Pair("exponential", dialect.ExponentialLR(rate, 0.97), _peer("ExponentialLR", 0.97)),
        Pair(
            "cyclic",
            dialect.CyclicLR(rate / 10, rate, n // 6, mode="triangular2"),
            _peer("CyclicLR", rate / 10, rate, n // 6, mode="triangular2", cycle_momentum=False),
            is_closed_form=True,
        ),
        Pair(
            "piecewise",
            lrcore.Piecewise(cuts, [rate * factor for factor in factors]),
            _peer("LambdaLR", lambda update: factors[bisect_right(cuts, update)]),
            is_closed_form=True,
        ),
        Pair("plateau", lrcore.Constant(rate), _peer("ReduceLROnPlateau", **PLATEAU), has_plateau=True),
        Pair(
            "chained",
            dialect.ChainedScheduler(
                rate, [dialect.LinearLR(rate, 0.1, total_iters=warm), dialect.ExponentialLR(rate, 0.97)]
            ),
            _at_once([_peer("LinearLR", 0.1, total_iters=warm), _peer("ExponentialLR", 0.97)]),
        ),
    ]
