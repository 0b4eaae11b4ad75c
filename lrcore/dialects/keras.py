"""keras.optimizers.schedules, by its own names and arguments, without `name`.

The optimizer calls its schedule with the number of updates done, so update number 0 uses f(0). Values of lrcore are
computed in float64: Keras computes in the type of `initial_learning_rate`, in float32 for a float. With an int it
computes in integers, on each of its backends: a cosine has 3 for pi, a decay_rate of 0.5 is 0, and so is a
warmup_target; where it does not raise. So an int is refused here.

Durations need not be whole: what ends between two updates has its end at the next. With `cycle` they have to be, since
each cycle would be of another shape.

What depends on how a backend rounds is not reproduced, not with `strict` either. On JAX t is multiplied by a rounded
1 / decay_steps: with some decay_steps (7, 14 and 15 below 20) `PolynomialDecay(cycle=True)` takes the next cycle
already at a multiple of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Listed
from numbers import Integral
from typing import Any

from lrcore import _check
from lrcore._check import flag, not_negative, positive, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Piecewise
from lrcore.cycles import check_period_mult
from lrcore.decays import ExponentialDecay as Exponential, InverseTimeDecay as Inverse
from lrcore.dialects._dialect import Quirk, many, optional, peer
from lrcore.dialects._parts import half_wave, line, polynomial, restarts, span, stairs
from lrcore.schedule import Schedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


@_check.accepts(_check.schema_of(value))
def _rate(where: str, given: Any) -> float:
    """The learning rate, in whose type Keras computes."""
    if isinstance(given, Integral) and not isinstance(given, bool):
        computed = "with an int Keras computes in integers, in which pi is 3 and a share is 0"
        _check.refuse(where, f"a float: {computed}", given, TypeError)
    return float(value(where, given))


@_check.accepts({"type": "number", "minimum": 0})
def _no_span_or_one(where: str, given: Any) -> int | float:
    return span(where, given) if isinstance(given, float) and given != 0.0 else int(whole(0)(where, given or 0))


@peer(
    "initial_learning_rate * decay_rate**(t / decay_steps), with floor(t / decay_steps) if staircase",
    "with staircase it drops at t = decay_steps; never ends",
    initial_learning_rate=_rate,
    decay_steps=span,
    decay_rate=positive,
    staircase=flag,
)
def ExponentialDecay(
    initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
) -> Schedule:
    """A factor for every `decay_steps` updates: lrcore's `ExponentialDecay`, with the last two arguments swapped.

    Example:
        >>> ExponentialDecay(1.0, 2, 0.25).table(4).tolist()
        [1.0, 0.5, 0.25, 0.125]
        >>> ExponentialDecay(1.0, 2, 0.25, staircase=True).table(4).tolist()
        [1.0, 1.0, 0.25, 0.25]
    """
    return stairs(
        Exponential(initial_learning_rate, decay_rate, decay_steps),
        decay_steps,
        staircase,
        where="ExponentialDecay.decay_steps",
    )


@peer(
    "values[i] with i the number of boundaries < t",
    "a value begins at t = boundary + 1; at t = boundary the old one stands",
    boundaries=many(whole(0), "steps"),
    values=many(value, "numbers"),
)
def PiecewiseConstantDecay(boundaries: Listed[int], values: Listed[float]) -> Schedule:
    """A value for each stretch between boundaries: `Piecewise(side="left")`, an update later than lrcore's own.

    Boundaries that do not increase, of which Keras makes sums of several values, are refused, and so are none at all.

    Example:
        >>> PiecewiseConstantDecay([2, 3], [1.0, 0.5, 0.25]).table(5).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.25]
    """
    return Piecewise(boundaries, values, side="left")


@peer(
    "(initial_learning_rate - end_learning_rate) * (1 - min(t, decay_steps) / decay_steps)**power + end_learning_rate; "
    "with cycle decay_steps * max(1, ceil(t / decay_steps)) for decay_steps",
    "reaches end_learning_rate at t = decay_steps, which a cycle leaves at decay_steps + 1; its cycles start lower",
    initial_learning_rate=_rate,
    decay_steps=span,
    end_learning_rate=value,
    power=not_negative,
    cycle=flag,
)
def PolynomialDecay(
    initial_learning_rate: float,
    decay_steps: float,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
) -> Schedule:
    """A power of the remaining share of the run: lrcore's `Polynomial`, with an end that is not 0 by default.

    With `cycle` the run is as long as the next multiple of `decay_steps`, so that each cycle starts lower: the second
    below half of the first.

    Example:
        >>> PolynomialDecay(1.0, 4, 0.0).table(6).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
        >>> PolynomialDecay(1.0, 4, 0.0, cycle=True).table(9).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.375, 0.25, 0.125, 0.0]
    """
    return polynomial(
        initial_learning_rate, end_learning_rate, decay_steps, power, cycle=cycle, where="PolynomialDecay.decay_steps"
    )


@peer(
    "initial_learning_rate / (1 + decay_rate * t / decay_steps), with floor(t / decay_steps) if staircase",
    "with staircase it drops at t = decay_steps; never ends",
    initial_learning_rate=_rate,
    decay_steps=span,
    decay_rate=not_negative,
    staircase=flag,
)
def InverseTimeDecay(
    initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
) -> Schedule:
    """By the inverse of time: lrcore's `InverseTimeDecay`, with the last two arguments swapped.

    Example:
        >>> InverseTimeDecay(1.0, 1, 1.0).table(4).tolist()
        [1.0, 0.5, 0.3333333333333333, 0.25]
    """
    return stairs(
        Inverse(initial_learning_rate, decay_rate, decay_steps),
        decay_steps,
        staircase,
        where="InverseTimeDecay.decay_steps",
    )


WARMUP_IGNORED = Quirk(
    "warmup-ignored", "without warmup_target there is no warm-up, whatever warmup_steps is: the cosine begins at t = 0"
)


@peer(
    "initial_learning_rate + (warmup_target - initial_learning_rate) * t / warmup_steps for t < warmup_steps, then "
    "peak * ((1 - alpha) * (1 + cos(pi * min(t - warmup_steps, decay_steps) / decay_steps)) / 2 + alpha) with "
    "peak = warmup_target",
    "decay_steps leaves the warm-up out; without warmup_target the peak is initial_learning_rate at t = 0; alpha is a "
    "share of the peak; holds peak * alpha",
    WARMUP_IGNORED,
    initial_learning_rate=_rate,
    decay_steps=span,
    alpha=value,
    warmup_target=optional(value),
    warmup_steps=_no_span_or_one,
)
def CosineDecay(
    initial_learning_rate: float,
    decay_steps: float,
    alpha: float = 0.0,
    *,
    warmup_target: float | None = None,
    warmup_steps: float = 0,
    strict: bool = False,
) -> Schedule:
    """Half a cosine wave, after a linear rise if wanted: `warmup_cosine`, whose steps would include the rise.

    The last two arguments are by name alone, since Keras has `name` before them.

    Raises:
        ValueError: warmup_steps without warmup_target, which Keras ignores; with `strict` they are ignored here too.

    Example:
        >>> CosineDecay(1.0, 2, alpha=0.5).table(4).tolist()
        [1.0, 0.75, 0.5, 0.5]
        >>> CosineDecay(0.0, 2, warmup_target=1.0, warmup_steps=2).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    if warmup_target is None:
        if warmup_steps and not strict:
            _check.refuse("CosineDecay.warmup_steps", "0 without warmup_target: Keras ignores it", warmup_steps)
        return half_wave(initial_learning_rate, alpha * initial_learning_rate, decay_steps)
    if not warmup_steps:
        return half_wave(warmup_target, alpha * warmup_target, decay_steps)
    first = math.ceil(warmup_steps)
    rise = line(initial_learning_rate, warmup_target, warmup_steps)
    return Sequence(
        [(rise, first), half_wave(warmup_target, alpha * warmup_target, decay_steps, late=first - warmup_steps)]
    )


@peer(
    "initial_learning_rate * ((1 - alpha) * m_mul**i * (1 + cos(pi * (t - S_i) / T_i)) / 2 + alpha) with "
    "T_i = first_decay_steps * t_mul**i, in the cycle i that begins at S_i = T_0 + ... + T_{i-1}",
    "the restart is at the peak; alpha is a share of the first peak; never ends",
    initial_learning_rate=_rate,
    first_decay_steps=span,
    t_mul=check_period_mult,
    m_mul=positive,
    alpha=value,
)
def CosineDecayRestarts(
    initial_learning_rate: float,
    first_decay_steps: float,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> Schedule:
    """Cosine annealing with warm restarts: `sgdr`, which rounds cycles of a t_mul that is not whole to updates.

    Keras finds its cycle by a rounded logarithm, and gives the lowest value instead of the peak at some restarts. Which
    ones depends on its backend, so none is reproduced: here every restart is where the formula says.

    Raises:
        ValueError: t_mul < 1, of which Keras makes NaN.

    Example:
        >>> CosineDecayRestarts(1.0, 2).table(7).round(3).tolist()
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
        >>> CosineDecayRestarts(1.0, 2, t_mul=1.5).table(7).round(3).tolist()
        [1.0, 0.5, 1.0, 0.75, 0.25, 1.0, 0.883]
    """
    end_value = alpha * initial_learning_rate
    return restarts(
        initial_learning_rate, end_value, first_decay_steps, t_mul, m_mul, where="CosineDecayRestarts.t_mul"
    )
