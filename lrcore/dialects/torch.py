"""torch.optim.lr_scheduler, by its own names. A first argument `base_lr` stands for the learning rate of the group.

Update number 0 uses f(0): the constructor applies it, and `scheduler.step()` after an update applies the next one.
`ReduceLROnPlateau` is not here: what it does hangs on a metric, so it is no schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lrcore import _check
from lrcore._check import choice, flag, not_negative, positive, value, whole
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant, Cosine, Linear, Piecewise, Polynomial
from lrcore.cycles import Cycle
from lrcore.decays import ExponentialDecay
from lrcore.dialects import _torchruns as runs
from lrcore.dialects._dialect import Quirk, many, optional, peer
from lrcore.dialects._parts import cosine
from lrcore.dialects._torchlike import drops_at, factors, factors_over, multiplied, one_cycle
from lrcore.recipes import triangular
from lrcore.schedule import Schedule, is_schedule

__all__ = [
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "SequentialLR",
    "StepLR",
]

RISES_AGAIN = Quirk(
    "rises-again", "past its end the cosine goes up again, and is at its first value after twice the time"
)
STAYS_AT_START = Quirk(
    "stays-at-start", "with total_iters=0 it never leaves its first value, instead of being at its end"
)
EXTRAPOLATES = Quirk(
    "extrapolates",
    "update total_steps is allowed and lies past the end: a cosine goes up again, a line goes below zero "
    "(to -0.14 * max_lr for total_steps=10)",
)
AHEAD = Quirk(
    "inner-is-ahead",
    "a SequentialLR or ChainedScheduler that comes first in it has taken a step before update 0: the inner sequence "
    "switches an update early, ExponentialLR begins with gamma * base_lr",
    applies=lambda made: runs.is_one_of(made["schedulers"][0], *runs.COMPOSED),
)
GOES_ON = Quirk(
    "goes-on",
    "at a milestone SWALR and MultiplicativeLR go on from the learning rate that they find, not from base_lr",
    applies=runs.goes_on,
)
REBASED = Quirk(
    "rebased",
    "a OneCycleLR, wherever it stands, replaces the learning rate from which the first part begins",
    applies=lambda made: runs.is_rebased(made["schedulers"]),
)
OVERWRITES = Quirk(
    "overwrites",
    "what has a closed form (LambdaLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR, a part of SequentialLR at "
    "its milestone) overwrites what those before it did; those after it add the factor of that update alone; and a "
    "CyclicLR begins with the first learning rate of the group, not with its own",
    applies=lambda made: len(made["schedulers"]) > 1 and any(map(runs.overwrites, made["schedulers"])),
)
FLOOR_MOVES = Quirk(
    "floor-moves",
    "CosineAnnealingLR and SWALR scale what is above eta_min or swa_lr, whatever the others made of it, so it is no "
    "product; and a cosine that rises again has forgotten the factors before",
    applies=lambda made: len(made["schedulers"]) > 1 and any(map(runs.has_floor, made["schedulers"])),
)
FACTORS = (
    *("ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LinearLR", "MultiplicativeLR"),
    *("MultiStepLR", "PolynomialLR", "StepLR"),
)

_steps = whole(1)
_steps_or_0 = whole(0)
_schedules = many(is_schedule, "schedules")


def _share(where: str, given: Any) -> float:
    share = not_negative(where, given)
    return share if share <= 1.0 else _check.refuse(where, "a number between 0 and 1", given)


def _gamma(where: str, given: Any) -> float:
    gamma = value(where, given)
    reason = "a number >= 0: with another every second learning rate has the wrong sign"
    return gamma if gamma >= 0.0 else _check.refuse(where, reason, given)


def _power(where: str, given: Any) -> float:
    power = value(where, given)
    return power if power >= 0.0 else _check.refuse(where, "a number >= 0: with another the end divides by 0", given)


def _momenta(where: str, given: Any) -> Any:
    """One for all groups, or a list of them: of either, no learning rate is made."""
    return many(_share, "momenta")(where, given) if isinstance(given, (list, tuple)) else _share(where, given)


def _no_function(where: str, given: Any) -> None:
    if given is not None:
        _check.refuse(where, "None: what a function makes of each cycle has no closed form (see mode)", given)


_MOMENTUM: dict[str, _check.Check] = {"cycle_momentum": flag, "base_momentum": _momenta, "max_momentum": _momenta}


def _share_above_0(where: str, given: Any) -> float:
    return positive(where, _share(where, given))


@peer(
    "base_lr * gamma**floor(t / step_size)",
    "drops at t = step_size; never ends",
    base_lr=value,
    step_size=_steps,
    gamma=_gamma,
)
def StepLR(base_lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """A factor every `step_size` updates, 0 allowed.

    Example:
        >>> StepLR(1.0, 2, 0.5).table(5).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    if gamma == 0.0:
        return Piecewise([step_size], [base_lr, 0.0])
    return ExponentialDecay(base_lr, gamma, step_size).staircase(step_size)


@peer(
    "base_lr * gamma**(number of milestones <= t)",
    "drops at t = milestone, as often as the milestone is listed",
    base_lr=value,
    milestones=many(_steps_or_0, "milestones"),
    gamma=_gamma,
)
def MultiStepLR(base_lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """A factor at each milestone, 0 allowed. They need not be sorted, and one that is listed twice counts twice.

    Example:
        >>> MultiStepLR(1.0, [2, 4, 4], 0.5).table(6).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.125, 0.125]
    """
    return drops_at(base_lr, milestones, gamma)


@peer(
    "base_lr * (factor if t < total_iters else 1)",
    "switches at t = total_iters; with factor=0 torch divides by zero there",
    STAYS_AT_START,
    base_lr=value,
    factor=_share,
    total_iters=_steps_or_0,
)
def ConstantLR(base_lr: float, factor: float = 1.0 / 3, total_iters: int = 5, *, strict: bool = False) -> Schedule:
    """A smaller learning rate for the first `total_iters` updates.

    Example:
        >>> ConstantLR(1.0, 0.5, 2).table(4).tolist()
        [0.5, 0.5, 1.0, 1.0]
    """
    if total_iters == 0:
        return Constant(base_lr * factor if strict else base_lr)
    return Piecewise([total_iters], [base_lr * factor, base_lr])


@peer(
    "base_lr * (start_factor + (end_factor - start_factor) * min(t / total_iters, 1))",
    "reaches base_lr * end_factor at t = total_iters, and holds; start_factor may not be 0",
    STAYS_AT_START,
    base_lr=value,
    start_factor=_share_above_0,
    end_factor=_share,
    total_iters=_steps_or_0,
)
def LinearLR(
    base_lr: float,
    start_factor: float = 1.0 / 3,
    end_factor: float = 1.0,
    total_iters: int = 5,
    *,
    strict: bool = False,
) -> Schedule:
    """A straight line from one factor to another.

    Example:
        >>> LinearLR(1.0, 0.5, total_iters=2).table(4).tolist()
        [0.5, 0.75, 1.0, 1.0]
    """
    if total_iters == 0:
        return Constant(base_lr * (start_factor if strict else end_factor))
    return Linear(base_lr * start_factor, base_lr * end_factor, total_iters)


@peer("base_lr * gamma**t", "never ends", base_lr=value, gamma=_gamma)
def ExponentialLR(base_lr: float, gamma: float) -> Schedule:
    """A factor at each update; with 0 only the first one has a learning rate.

    Example:
        >>> ExponentialLR(1.0, 0.5).table(4).tolist()
        [1.0, 0.5, 0.25, 0.125]
    """
    return ExponentialDecay(base_lr, gamma) if gamma else Piecewise([1], [base_lr, 0.0])


@peer(
    "base_lr * (1 - min(t / total_iters, 1))**power",
    "reaches 0 at t = total_iters, and holds; there is no other end",
    STAYS_AT_START,
    base_lr=value,
    total_iters=_steps_or_0,
    power=_power,
)
def PolynomialLR(base_lr: float, total_iters: int = 5, power: float = 1.0, *, strict: bool = False) -> Schedule:
    """A power of the remaining share of the run; with 0 there is no decay, at its end either.

    Example:
        >>> PolynomialLR(1.0, 4, 2.0).table(6).tolist()
        [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """
    if power == 0.0:
        return Constant(base_lr)
    if total_iters == 0:
        return Constant(base_lr if strict else 0.0)
    return Polynomial(base_lr, 0.0, total_iters, power)


@peer(
    "eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2",
    "reaches eta_min at t = T_max; not clamped there",
    RISES_AGAIN,
    base_lr=value,
    T_max=_steps,
    eta_min=value,
)
def CosineAnnealingLR(base_lr: float, T_max: int, eta_min: float = 0.0, *, strict: bool = False) -> Schedule:
    """Half a cosine wave, which holds at its end; with `strict` it rises again, as torch's does.

    Example:
        >>> CosineAnnealingLR(1.0, 2).table(5).tolist()
        [1.0, 0.5, 0.0, 0.0, 0.0]
        >>> CosineAnnealingLR(1.0, 2, strict=True).table(5).tolist()
        [1.0, 0.5, 0.0, 0.5, 1.0]
    """
    return cosine(base_lr, eta_min, T_max, rises_again=strict)


@peer(
    "eta_min + (base_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2, T_i = T_0 * T_mult**i in cycle i",
    "a restart belongs to the new cycle, so eta_min itself never comes; never ends; torch's step(epoch) may miss one",
    base_lr=value,
    T_0=_steps,
    T_mult=whole(1, 100, "a factor of the period"),
    eta_min=value,
)
def CosineAnnealingWarmRestarts(base_lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Schedule:
    """Half a cosine wave again and again, each `T_mult` times as long as the one before.

    Example:
        >>> CosineAnnealingWarmRestarts(1.0, 2, 2).table(7).round(2).tolist()
        [1.0, 0.5, 1.0, 0.85, 0.5, 0.15, 1.0]
    """
    return Cycle(Cosine(base_lr, eta_min, T_0), T_0, T_mult)


@peer(
    "base_lr + (max_lr - base_lr) * f * g: f from 0 to 1 in step_size_up updates and back in step_size_down; "
    "g = 1 (triangular), 1 / 2**cycle (triangular2) or gamma**t (exp_range)",
    "the first update has base_lr, update step_size_up max_lr; never ends",
    base_lr=value,
    max_lr=value,
    step_size_up=_steps,
    step_size_down=optional(_steps),
    mode=choice("triangular", "triangular2", "exp_range"),
    gamma=_gamma,
    scale_fn=_no_function,
    scale_mode=choice("cycle", "iterations"),
    **_MOMENTUM,
)
def CyclicLR(
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: None = None,  # noqa: ARG001 (as there)
    scale_mode: str = "cycle",  # noqa: ARG001
    cycle_momentum: bool = True,  # noqa: ARG001 (as there)
    base_momentum: float | Sequence[float] = 0.8,  # noqa: ARG001
    max_momentum: float | Sequence[float] = 0.9,  # noqa: ARG001
) -> Schedule:
    """Up and down in straight lines, again and again.

    `cycle_momentum`, `base_momentum` and `max_momentum` do not change the learning rate, nor does `scale_mode` without
    a scale_fn. The momentum that torch cycles is the same from its maximum down, a schedule of its own:
    `CyclicLR(max_momentum, base_momentum, ...)`.

    Example:
        >>> CyclicLR(0.0, 1.0, 2, 1).table(5).tolist()
        [0.0, 0.5, 1.0, 0.0, 0.5]
    """
    if gamma == 0.0:  # of t = 0 alone, where the height is 0, there is a power
        return (
            Constant(base_lr) if mode == "exp_range" else CyclicLR(base_lr, max_lr, step_size_up, step_size_down, mode)
        )
    return triangular(base_lr, max_lr, step_size_up, step_size_down, mode, gamma)


@peer(
    "from max_lr / div_factor to max_lr to max_lr / div_factor / final_div_factor (three_phase: by way of the first "
    "value), by half cosine waves or lines",
    "phases end at t = pct_start * total_steps - 1 (then 2 * pct_start * total_steps - 2), which need not be whole, "
    "and total_steps - 1; a phase that ends between two updates never has its last value",
    EXTRAPOLATES,
    max_lr=value,
    total_steps=optional(_steps),
    epochs=optional(_steps),
    steps_per_epoch=optional(_steps),
    pct_start=_share,
    anneal_strategy=choice("cos", "linear"),
    **_MOMENTUM,
    div_factor=positive,
    final_div_factor=positive,
    three_phase=flag,
)
def OneCycleLR(
    max_lr: float,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    cycle_momentum: bool = True,  # noqa: ARG001 (as there)
    base_momentum: float | Sequence[float] = 0.85,  # noqa: ARG001
    max_momentum: float | Sequence[float] = 0.95,  # noqa: ARG001
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
    *,
    strict: bool = False,
) -> Schedule:
    """Up to a high learning rate and down far below the first one. `lrcore.one_cycle` takes an update more for it all.

    A phase without an update is left out (where pct_start * total_steps is 1, torch divides by zero).
    `cycle_momentum`, `base_momentum` and `max_momentum` do not change the learning rate; the momentum that torch cycles
    is `OneCycleLR(base_momentum, ..., div_factor=base_momentum / max_momentum, final_div_factor=1)`.

    Example:
        >>> OneCycleLR(1.0, 10, anneal_strategy="linear", div_factor=2, final_div_factor=5).table(4).round(2).tolist()
        [0.5, 0.75, 1.0, 0.87]
    """
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            raise ValueError("OneCycleLR.total_steps: expected total_steps, or epochs and steps_per_epoch, got neither")
        total_steps = _steps("OneCycleLR.epochs * steps_per_epoch", epochs * steps_per_epoch)
    shape = (pct_start, anneal_strategy, div_factor, final_div_factor, three_phase)
    return one_cycle("OneCycleLR.max_lr", max_lr, total_steps, *shape, strict=strict)


@peer(
    "schedulers[i](t - milestones[i - 1]) with i the number of milestones <= t",
    "switches at t = milestone; each begins from its own base_lr. Here any schedule nests in any other; torch's own "
    "nested SequentialLR and ChainedScheduler give other values (strict), and raise at a milestone",
    AHEAD,
    GOES_ON,
    REBASED,
    schedulers=_schedules,
    milestones=many(_steps_or_0, "milestones"),
)
def SequentialLR(schedulers: Sequence[Schedule], milestones: Sequence[int], *, strict: bool = False) -> Schedule:
    """One schedule after another, each from its own step 0; with `strict` whatever torch makes of them.

    That follows the schedules as the functions of this module gave them; any other is a function of its own steps. What
    is within is as in torch, strict itself or not, but a curve that is not holds past its end. The schedulers are taken
    to have been constructed in their order, the inner ones first. Updates without a closed form become a Table; what
    goes on without one is refused, and so is what torch raises at.

    Example:
        >>> SequentialLR([LinearLR(1.0, 0.5, total_iters=2), ExponentialLR(1.0, 0.5)], [2]).table(5).tolist()
        [0.5, 0.75, 1.0, 0.5, 0.25]
        >>> inner = SequentialLR([LinearLR(1.0, 0.5, total_iters=2), ExponentialLR(1.0, 0.5)], [2])
        >>> SequentialLR([inner, ConstantLR(1.0, 0.25)], [3], strict=True).table(5).tolist()
        [0.5, 1.0, 0.5, 0.25, 0.25]
    """
    if len(milestones) != len(schedulers) - 1:
        allowed = f"one milestone less than there are schedulers, {len(schedulers) - 1}"
        _check.refuse("SequentialLR.milestones", allowed, list(milestones))
    if list(milestones) != sorted(milestones):
        _check.refuse("SequentialLR.milestones", "steps in order", list(milestones))
    if strict:
        return runs.in_order(schedulers, milestones)
    spans = np.diff([0, *milestones]).tolist()
    return InSequence([*zip(schedulers[:-1], spans, strict=True), schedulers[-1]])


@peer(
    "base_lr * product of schedulers[i](t) / base_lr",
    "every scheduler multiplies the learning rate that the one before it left, so each has to be a factor of base_lr",
    OVERWRITES,
    FLOOR_MOVES,
    base_lr=value,
    schedulers=_schedules,
)
def ChainedScheduler(base_lr: float, schedulers: Sequence[Schedule], *, strict: bool = False) -> Schedule:
    """Schedules multiplied, each of them built with the same `base_lr`; with `strict` whatever torch makes of them.

    Those that do not multiply (a cosine with an eta_min, LambdaLR, CyclicLR, OneCycleLR, SequentialLR ...) are refused:
    in torch they overwrite what the ones before them did, or depend on what the ones after them did an update ago.
    With `strict` that is reproduced, as far as `SequentialLR` says.

    Example:
        >>> ChainedScheduler(1.0, [ConstantLR(1.0, 0.5, 2), ExponentialLR(1.0, 0.5)]).table(4).tolist()
        [0.5, 0.25, 0.25, 0.125]
    """
    if not schedulers:
        raise ValueError("ChainedScheduler.schedulers: expected at least one schedule, got none")
    if strict:
        return runs.at_once(schedulers)
    for at, schedule in enumerate(schedulers):
        name = "" if schedule.origin is None else schedule.origin.peer.removeprefix("torch.")
        floor = schedule.end_value if isinstance(schedule, Cosine) else 0.0
        if (name and name not in FACTORS) or floor != 0.0:
            expected = "a schedule that only multiplies base_lr (strict=True takes others, as torch does)"
            _check.refuse(f"ChainedScheduler.schedulers[{at}]", expected, schedule)
    return runs.product(base_lr, schedulers) if base_lr else Constant(0.0)


@peer(
    "base_lr * lr_lambda(t)",
    "whatever lr_lambda does; a function is tabulated over `steps` updates, and its last factor holds",
    base_lr=value,
    lr_lambda=factors,
    steps=optional(_steps),
)
def LambdaLR(
    base_lr: float, lr_lambda: Schedule | Callable[[int], float] | Sequence[float], steps: int | None = None
) -> Schedule:
    """A learning rate times factors: a schedule, a list of them, or a function with the number of updates it is for.

    Example:
        >>> LambdaLR(0.5, [1.0, 0.5]).table(3).tolist()
        [0.5, 0.25, 0.25]
        >>> LambdaLR(1.0, lambda step: 0.5**step, steps=3).table(4).tolist()
        [1.0, 0.5, 0.25, 0.25]
    """
    return base_lr * factors_over("LambdaLR.steps", lr_lambda, steps)


@peer(
    "base_lr * lr_lambda(1) * lr_lambda(2) * ... * lr_lambda(t)",
    "lr_lambda(0) is never used; after `steps` updates of a function or the end of a list, the learning rate holds",
    base_lr=value,
    lr_lambda=factors,
    steps=optional(_steps),
)
def MultiplicativeLR(
    base_lr: float, lr_lambda: Schedule | Callable[[int], float] | Sequence[float], steps: int | None = None
) -> Schedule:
    """A factor for each update: a schedule, a list of them (the first one unused), or a function and for how long.

    A schedule that ends needs no `steps`: its last factor, which must be > 0, goes on.

    Example:
        >>> MultiplicativeLR(1.0, [1.0, 0.5, 0.5, 2.0]).table(5).tolist()
        [1.0, 0.5, 0.25, 0.5, 0.5]
    """
    return multiplied("MultiplicativeLR.steps", base_lr, lr_lambda, steps)


@peer(
    "swa_lr * a + base_lr * (1 - a), a = min(t / anneal_epochs, 1) or (1 - cos(pi * min(t / anneal_epochs, 1))) / 2",
    "t counts from the first update of SWALR, base_lr is the rate then; swa_lr at t = anneal_epochs, and holds",
    base_lr=value,
    swa_lr=value,
    anneal_epochs=_steps_or_0,
    anneal_strategy=choice("cos", "linear"),
)
def SWALR(base_lr: float, swa_lr: float, anneal_epochs: int = 10, anneal_strategy: str = "cos") -> Schedule:
    """From the learning rate of the moment to the one of stochastic weight averaging.

    Example:
        >>> SWALR(1.0, 0.5, 2, "linear").table(4).tolist()
        [1.0, 0.75, 0.5, 0.5]
    """
    if anneal_epochs == 0:
        return Constant(swa_lr)
    return (Cosine if anneal_strategy == "cos" else Linear)(base_lr, swa_lr, anneal_epochs)
