"""paddle.optimizer.lr, by its own names. `last_epoch` and `verbose` are left out.

The first update has the value of step 0, and `scheduler.step()` after an update goes on. `ReduceOnPlateau` is not here:
what it does hangs on a metric, so it is no schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrcore import recipes
from lrcore._check import choice, flag, not_negative, positive, refuse, value, whole
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant, Cosine, Linear, Piecewise
from lrcore.cycles import Cycle
from lrcore.decays import (
    ExponentialDecay as _ExponentialDecay,
    InverseTimeDecay as _InverseTimeDecay,
    NaturalExpDecay as _NaturalExpDecay,
)
from lrcore.dialects._dialect import Quirk, many, optional, peer
from lrcore.dialects._moments import along
from lrcore.dialects._parts import cosine, polynomial
from lrcore.dialects._torchlike import Factors, factors, factors_over, multiplied
from lrcore.schedule import Schedule, is_schedule

RISES_AGAIN = Quirk("rises-again", "past its end the cosine goes up again, and is at its first value after twice T_max")
EXTRAPOLATES = Quirk(
    "extrapolates",
    "the update after the last one goes on along the last phase: below 0 with 'linear' (-0.2856 for a run of 10 to "
    "1), up again with 'cos'; the one after it is an error",
)

_steps = whole(1)


def _share(where: str, given: Any) -> float:
    share = not_negative(where, given)
    return share if share <= 1.0 else refuse(where, "a number between 0 and 1", given)


def _no_function(where: str, given: Any) -> None:
    if given is not None:
        refuse(where, "None: a scale of your own is this schedule times another", given)


@peer(
    "learning_rate * d_model**-0.5 * min(t**-0.5, t * warmup_steps**-1.5), 0 at t = 0",
    "never ends",
    d_model=whole(1, what="a model size"),
    warmup_steps=_steps,
    learning_rate=value,
)
def NoamDecay(d_model: int, warmup_steps: int, learning_rate: float = 1.0) -> Schedule:
    """The schedule of the first Transformer.

    Example:
        >>> NoamDecay(4, 4).table(5).tolist()
        [0.0, 0.0625, 0.125, 0.1875, 0.25]
    """
    return recipes.noam(d_model, warmup_steps, learning_rate)


@peer(
    "values[i], with i the number of boundaries <= t",
    "changes at t = boundary, an update before Keras's and TensorFlow's, which have the same arguments",
    boundaries=many(_steps, "steps"),
    values=many(value, "numbers"),
)
def PiecewiseDecay(boundaries: Sequence[int], values: Sequence[float]) -> Schedule:
    """A value for each stretch between boundaries.

    Example:
        >>> PiecewiseDecay([2], [1.0, 0.5]).table(4).tolist()
        [1.0, 1.0, 0.5, 0.5]
    """
    return Piecewise(boundaries, values) if boundaries or len(values) != 1 else Constant(values[0])


@peer("learning_rate * exp(-gamma * t)", "never ends", learning_rate=value, gamma=not_negative)
def NaturalExpDecay(learning_rate: float, gamma: float) -> Schedule:
    """Decay by the natural exponential function.

    Example:
        >>> NaturalExpDecay(1.0, 0.0).table(2).tolist()
        [1.0, 1.0]
    """
    return _NaturalExpDecay(learning_rate, gamma)


@peer("learning_rate / (1 + gamma * t)", "never ends", learning_rate=value, gamma=not_negative)
def InverseTimeDecay(learning_rate: float, gamma: float) -> Schedule:
    """Decay by the inverse of time.

    Example:
        >>> InverseTimeDecay(1.0, 1.0).table(4).tolist()
        [1.0, 0.5, 0.3333333333333333, 0.25]
    """
    return _InverseTimeDecay(learning_rate, gamma)


@peer(
    "end_lr + (learning_rate - end_lr) * (1 - t / T)**power, with T = decay_steps, or with cycle the multiple of it "
    "that is next, decay_steps * max(1, ceil(t / decay_steps))",
    "end_lr, 1e-4 by default, at t = decay_steps; with cycle the next one begins at the update after, in its middle",
    learning_rate=value,
    decay_steps=_steps,
    end_lr=value,
    power=positive,
    cycle=flag,
)
def PolynomialDecay(
    learning_rate: float, decay_steps: int, end_lr: float = 0.0001, power: float = 1.0, cycle: bool = False
) -> Schedule:
    """A power of what is left of the run.

    Example:
        >>> PolynomialDecay(1.0, 4, 0.0, cycle=True).table(9).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.375, 0.25, 0.125, 0.0]
    """
    return polynomial(learning_rate, end_lr, decay_steps, power, cycle=cycle)


@peer(
    "start_lr + (end_lr - start_lr) * t / warmup_steps for t < warmup_steps, then learning_rate(t - warmup_steps)",
    "what follows begins at its own step 0, and need not begin at end_lr",
    learning_rate=is_schedule,
    warmup_steps=_steps,
    start_lr=value,
    end_lr=value,
)
def LinearWarmup(learning_rate: Schedule | float, warmup_steps: int, start_lr: float, end_lr: float) -> Schedule:
    """A straight line, then a learning rate or a schedule.

    Example:
        >>> LinearWarmup(ExponentialDecay(1.0, 0.5), 2, 0.0, 1.0).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    return InSequence([(Linear(start_lr, end_lr, warmup_steps), warmup_steps), learning_rate])


@peer("learning_rate * gamma**t", "never ends", learning_rate=value, gamma=positive)
def ExponentialDecay(learning_rate: float, gamma: float) -> Schedule:
    """A factor every update.

    Example:
        >>> ExponentialDecay(1.0, 0.5).table(3).tolist()
        [1.0, 0.5, 0.25]
    """
    return _ExponentialDecay(learning_rate, gamma)


@peer(
    "learning_rate * gamma**i, with i the number of milestones <= t",
    "drops at t = milestone",
    learning_rate=value,
    milestones=many(_steps, "steps"),
    gamma=positive,
)
def MultiStepDecay(learning_rate: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """A factor at each milestone.

    Example:
        >>> MultiStepDecay(1.0, [2, 3], 0.5).table(5).tolist()
        [1.0, 1.0, 0.5, 0.25, 0.25]
    """
    rates = [learning_rate * gamma**at for at in range(len(milestones) + 1)]
    return Piecewise(milestones, rates) if milestones else Constant(learning_rate)


@peer(
    "learning_rate * gamma**floor(t / step_size)",
    "drops at t = step_size; never ends",
    learning_rate=value,
    step_size=_steps,
    gamma=positive,
)
def StepDecay(learning_rate: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """A factor every `step_size` updates.

    Example:
        >>> StepDecay(1.0, 2, 0.5).table(4).tolist()
        [1.0, 1.0, 0.5, 0.5]
    """
    return recipes.step_decay(learning_rate, gamma, step_size)


@peer(
    "learning_rate * lr_lambda(t)",
    "whatever lr_lambda does; a function is tabulated over `steps` updates, and its last factor holds",
    learning_rate=not_negative,
    lr_lambda=factors,
    steps=optional(_steps),
)
def LambdaDecay(learning_rate: float, lr_lambda: Factors, steps: int | None = None) -> Schedule:
    """A learning rate times factors: a schedule, a list of them, or a function with the number of updates it is for.

    Example:
        >>> LambdaDecay(0.5, [1.0, 0.5]).table(3).tolist()
        [0.5, 0.25, 0.25]
        >>> LambdaDecay(0.5, lambda epoch: 0.95**epoch, steps=3).table(4).round(4).tolist()
        [0.5, 0.475, 0.4512, 0.4512]
    """
    return learning_rate * factors_over("LambdaDecay.steps", lr_lambda, steps)


@peer(
    "learning_rate * lr_lambda(1) * lr_lambda(2) * ... * lr_lambda(t)",
    "lr_lambda(0) is never used; after `steps` updates of a function or the end of a list, the learning rate holds; "
    "Paddle multiplies all t factors anew at each step",
    learning_rate=not_negative,
    lr_lambda=factors,
    steps=optional(_steps),
)
def MultiplicativeDecay(learning_rate: float, lr_lambda: Factors, steps: int | None = None) -> Schedule:
    """A factor for each update: a schedule, a list of them (the first one unused), or a function and for how long.

    A schedule that ends needs no `steps`: its last factor, which must be > 0, goes on.

    Example:
        >>> MultiplicativeDecay(1.0, [1.0, 0.5, 0.5, 2.0]).table(5).tolist()
        [1.0, 0.5, 0.25, 0.5, 0.5]
    """
    return multiplied("MultiplicativeDecay.steps", learning_rate, lr_lambda, steps)


@peer(
    "eta_min + (learning_rate - eta_min) * (1 + cos(pi * t / T_max)) / 2",
    "reaches eta_min at t = T_max; not clamped there",
    RISES_AGAIN,
    learning_rate=value,
    T_max=_steps,
    eta_min=value,
)
def CosineAnnealingDecay(learning_rate: float, T_max: int, eta_min: float = 0.0, *, strict: bool = False) -> Schedule:
    """Half a cosine wave, which holds at its end.

    Example:
        >>> CosineAnnealingDecay(1.0, 2, strict=True).table(5).tolist()
        [1.0, 0.5, 0.0, 0.5, 1.0]
    """
    return cosine(learning_rate, eta_min, T_max, rises_again=strict)


@peer(
    "from max_learning_rate / divide_factor at t = 0 to max_learning_rate at t = phase_pct * total_steps - 1 to "
    "end_learning_rate at t = total_steps - 1; with three_phase back to the first value at 2 * phase_pct * "
    "total_steps - 2 before it",
    "phases may end between two updates; the end is absolute, where torch divides",
    EXTRAPOLATES,
    max_learning_rate=not_negative,
    total_steps=_steps,
    divide_factor=positive,
    end_learning_rate=not_negative,
    phase_pct=_share,
    anneal_strategy=choice("cos", "linear"),
    three_phase=flag,
)
def OneCycleLR(
    max_learning_rate: float,
    total_steps: int,
    divide_factor: float = 25.0,
    end_learning_rate: float = 0.0001,
    phase_pct: float = 0.3,
    anneal_strategy: str = "cos",
    three_phase: bool = False,
    *,
    strict: bool = False,
) -> Schedule:
    """Up to a high learning rate and down far below the first one.

    Example:
        >>> OneCycleLR(1.0, 5, 4.0, 0.0, 0.6, "linear").table(6).tolist()
        [0.25, 0.625, 1.0, 0.5, 0.0, 0.0]
        >>> OneCycleLR(1.0, 5, 4.0, 0.0, 0.6, "linear", strict=True)(5)
        -0.5
    """
    if three_phase and phase_pct >= 0.5:
        refuse("OneCycleLR.phase_pct", "less than 0.5 with three phases", phase_pct)
    first = value("OneCycleLR.max_learning_rate / divide_factor", max_learning_rate / divide_factor)
    points = [(0.0, first), (phase_pct * total_steps - 1.0, max_learning_rate)]
    if three_phase:
        points.append((2.0 * phase_pct * total_steps - 2.0, first))
    points.append((total_steps - 1.0, end_learning_rate))
    return along(points, "cosine" if anneal_strategy == "cos" else "linear", goes_on=strict)


@peer(
    "base_learning_rate + (max_learning_rate - base_learning_rate) * f * g, with f up from 0 to 1 in step_size_up "
    "updates and back in step_size_down, in cycle c = 0, 1, ...: g = 1 (triangular), 2**-c (triangular2), "
    "exp_gamma**t (exp_range)",
    "never ends",
    base_learning_rate=value,
    max_learning_rate=value,
    step_size_up=_steps,
    step_size_down=optional(_steps),
    mode=choice("triangular", "triangular2", "exp_range"),
    exp_gamma=positive,
    scale_fn=_no_function,
    scale_mode=choice("cycle", "iterations"),
)
def CyclicLR(
    base_learning_rate: float,
    max_learning_rate: float,
    step_size_up: int,
    step_size_down: int | None = None,
    mode: str = "triangular",
    exp_gamma: float = 1.0,
    scale_fn: None = None,  # noqa: ARG001 (as there)
    scale_mode: str = "cycle",  # noqa: ARG001 (as there)
) -> Schedule:
    """Up and down in straight lines, again and again. `scale_mode` is of a scale_fn, which is refused.

    Example:
        >>> CyclicLR(0.0, 1.0, 2).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return recipes.triangular(base_learning_rate, max_learning_rate, step_size_up, step_size_down, mode, exp_gamma)


@peer(
    "learning_rate * (start_factor + (end_factor - start_factor) * min(t, total_steps) / total_steps)",
    "learning_rate * end_factor at t = total_steps, and after it",
    learning_rate=value,
    total_steps=_steps,
    start_factor=positive,
    end_factor=_share,
)
def LinearLR(
    learning_rate: float, total_steps: int, start_factor: float = 1.0 / 3, end_factor: float = 1.0
) -> Schedule:
    """A straight line between two factors.

    Example:
        >>> LinearLR(1.0, 2, 0.5).table(4).tolist()
        [0.5, 0.75, 1.0, 1.0]
    """
    _share("LinearLR.start_factor", start_factor)
    first = value("LinearLR.learning_rate * start_factor", learning_rate * start_factor)
    return Linear(first, value("LinearLR.learning_rate * end_factor", learning_rate * end_factor), total_steps)


@peer(
    "eta_min + (learning_rate - eta_min) * (1 + cos(pi * u / T)) / 2, u updates into the cycle, which has "
    "T = T_0 * T_mult**i",
    "a restart has the peak; eta_min itself is never used; never ends",
    learning_rate=value,
    T_0=_steps,
    T_mult=_steps,
    eta_min=value,
)
def CosineAnnealingWarmRestarts(learning_rate: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Schedule:
    """Cosine waves that restart.

    Example:
        >>> CosineAnnealingWarmRestarts(1.0, 2, 2).table(7).round(3).tolist()
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """
    return Cycle(Cosine(learning_rate, eta_min, T_0), T_0, T_mult)
