"""tf.compat.v1.train, by its own names and arguments, without `global_step` (`x` of a piecewise constant) and `name`.

`global_step` counts the updates done, so update number 0 uses f(0). Values of lrcore are computed in float64;
TensorFlow computes in the type of `learning_rate`, float32 for a float; with an int it raises, which here is the float
that it equals. Durations need not be whole, but with `cycle`, where each cycle would be of another shape.

What depends on how TensorFlow rounds is not reproduced, not with `strict` either. In graph mode it multiplies t by a
rounded 1 / decay_steps: with some decay_steps (41, 47, 55 and 61 below 70) a staircase drops an update late, and with
some (7, 14 and 15 below 20) `polynomial_decay(cycle=True)` takes the next cycle already at a multiple of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Listed

from lrcore._check import flag, not_negative, positive, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Piecewise
from lrcore.cycles import check_period_mult
from lrcore.decays import ExponentialDecay, InverseTimeDecay, NaturalExpDecay
from lrcore.dialects._dialect import Quirk, many, peer
from lrcore.dialects._parts import half_wave, line, polynomial, restarts, span, stairs
from lrcore.functions import Map, Noise
from lrcore.schedule import Schedule

__all__ = [
    "cosine_decay",
    "cosine_decay_restarts",
    "exponential_decay",
    "inverse_time_decay",
    "linear_cosine_decay",
    "natural_exp_decay",
    "noisy_linear_cosine_decay",
    "piecewise_constant",
    "piecewise_constant_decay",
    "polynomial_decay",
]


@peer(
    "learning_rate * decay_rate**(t / decay_steps), with floor(t / decay_steps) if staircase",
    "with staircase it drops at t = decay_steps; never ends",
    learning_rate=value,
    decay_steps=span,
    decay_rate=positive,
    staircase=flag,
)
def exponential_decay(learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False) -> Schedule:
    """A factor for every `decay_steps` updates: `ExponentialDecay`, with the last two arguments swapped.

    Example:
        >>> exponential_decay(1.0, 2, 0.25).table(4).tolist()
        [1.0, 0.5, 0.25, 0.125]
        >>> exponential_decay(1.0, 2, 0.25, staircase=True).table(4).tolist()
        [1.0, 1.0, 0.25, 0.25]
    """
    return stairs(
        ExponentialDecay(learning_rate, decay_rate, decay_steps),
        decay_steps,
        staircase,
        where="exponential_decay.decay_steps",
    )


@peer(
    "learning_rate * exp(-decay_rate * t / decay_steps), with floor(t / decay_steps) if staircase",
    "with staircase it drops at t = decay_steps; never ends",
    learning_rate=value,
    decay_steps=span,
    decay_rate=not_negative,
    staircase=flag,
)
def natural_exp_decay(learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False) -> Schedule:
    """By the natural exponential function: `NaturalExpDecay`, with the last two arguments swapped.

    Example:
        >>> natural_exp_decay(1.0, 2, 1.0).table(3).round(4).tolist()
        [1.0, 0.6065, 0.3679]
    """
    return stairs(
        NaturalExpDecay(learning_rate, decay_rate, decay_steps),
        decay_steps,
        staircase,
        where="natural_exp_decay.decay_steps",
    )


@peer(
    "learning_rate / (1 + decay_rate * t / decay_steps), with floor(t / decay_steps) if staircase",
    "with staircase it drops at t = decay_steps; never ends",
    learning_rate=value,
    decay_steps=span,
    decay_rate=not_negative,
    staircase=flag,
)
def inverse_time_decay(
    learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
) -> Schedule:
    """By the inverse of time: `InverseTimeDecay`, with the last two arguments swapped.

    Example:
        >>> inverse_time_decay(1.0, 1, 1.0).table(4).tolist()
        [1.0, 0.5, 0.3333333333333333, 0.25]
    """
    return stairs(
        InverseTimeDecay(learning_rate, decay_rate, decay_steps),
        decay_steps,
        staircase,
        where="inverse_time_decay.decay_steps",
    )


@peer(
    "(learning_rate - end_learning_rate) * (1 - min(t, decay_steps) / decay_steps)**power + end_learning_rate; "
    "with cycle decay_steps * max(1, ceil(t / decay_steps)) for decay_steps",
    "reaches end_learning_rate at t = decay_steps, which a cycle leaves at decay_steps + 1; its cycles start lower",
    learning_rate=value,
    decay_steps=span,
    end_learning_rate=value,
    power=not_negative,
    cycle=flag,
)
def polynomial_decay(
    learning_rate: float,
    decay_steps: float,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
) -> Schedule:
    """A power of the remaining share of the run: `Polynomial`, with an end that is not 0 by default.

    With `cycle` the run is as long as the next multiple of `decay_steps`, so that each cycle starts lower: the second
    below half of the first.

    Example:
        >>> polynomial_decay(1.0, 4, 0.0, cycle=True).table(9).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.375, 0.25, 0.125, 0.0]
    """
    return polynomial(
        learning_rate, end_learning_rate, decay_steps, power, cycle=cycle, where="polynomial_decay.decay_steps"
    )


@peer(
    "values[i] with i the number of boundaries < t",
    "a value begins at t = boundary + 1; at t = boundary the old one stands",
    boundaries=many(whole(0), "steps"),
    values=many(value, "numbers"),
)
def piecewise_constant(boundaries: Listed[int], values: Listed[float]) -> Schedule:
    """A value for each stretch between boundaries: `Piecewise(side="left")`, an update later than lrcore's own.

    Also known as: `tf.compat.v1.train.piecewise_constant_decay`.

    Example:
        >>> piecewise_constant([2, 3], [1.0, 0.5, 0.25]).table(5).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.25]
    """
    return Piecewise(boundaries, values, side="left")


piecewise_constant_decay = piecewise_constant


@peer(
    "learning_rate * ((1 - alpha) * (1 + cos(pi * min(t, decay_steps) / decay_steps)) / 2 + alpha)",
    "alpha is a share of learning_rate; reaches and holds learning_rate * alpha at t = decay_steps",
    learning_rate=value,
    decay_steps=span,
    alpha=value,
)
def cosine_decay(learning_rate: float, decay_steps: float, alpha: float = 0.0) -> Schedule:
    """Half a cosine wave: `Cosine`, which takes its end as a value instead of a share.

    Example:
        >>> cosine_decay(1.0, 2, alpha=0.5).table(4).tolist()
        [1.0, 0.75, 0.5, 0.5]
    """
    return half_wave(learning_rate, alpha * learning_rate, decay_steps)


@peer(
    "learning_rate * ((1 - alpha) * m_mul**i * (1 + cos(pi * (t - S_i) / T_i)) / 2 + alpha) with "
    "T_i = first_decay_steps * t_mul**i, in the cycle i that begins at S_i = T_0 + ... + T_{i-1}",
    "the restart is at the peak; alpha is a share of the first peak; never ends",
    learning_rate=value,
    first_decay_steps=span,
    t_mul=check_period_mult,
    m_mul=positive,
    alpha=value,
)
def cosine_decay_restarts(
    learning_rate: float, first_decay_steps: float, t_mul: float = 2.0, m_mul: float = 1.0, alpha: float = 0.0
) -> Schedule:
    """Cosine annealing with warm restarts: `sgdr`, which rounds cycles of a t_mul that is not whole to updates.

    TensorFlow finds its cycle by a rounded logarithm, and gives the lowest value instead of the peak at some restarts;
    here every restart is where the formula says.

    Raises:
        ValueError: t_mul < 1, of which TensorFlow makes NaN.

    Example:
        >>> cosine_decay_restarts(1.0, 2).table(7).round(3).tolist()
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """
    end_value = alpha * learning_rate
    return restarts(learning_rate, end_value, first_decay_steps, t_mul, m_mul, where="cosine_decay_restarts.t_mul")


@peer(
    "learning_rate * ((alpha + 1 - f) * (1 + cos(2 * pi * num_periods * f)) / 2 + beta) with "
    "f = min(t, decay_steps) / decay_steps",
    "begins at learning_rate * (1 + alpha + beta), above learning_rate; holds from t = decay_steps",
    learning_rate=value,
    decay_steps=span,
    num_periods=value,
    alpha=value,
    beta=value,
)
def linear_cosine_decay(
    learning_rate: float, decay_steps: float, num_periods: float = 0.5, alpha: float = 0.0, beta: float = 0.001
) -> Schedule:
    """A cosine wave under a falling line, above a floor.

    Reference: Bello et al., Neural Optimizer Search with Reinforcement Learning (2017).

    Example:
        >>> linear_cosine_decay(1.0, 2).table(4).tolist()
        [1.001, 0.251, 0.001, 0.001]
    """
    falling = line(1.0 + alpha, alpha, decay_steps)
    return learning_rate * (falling * _waves(num_periods, decay_steps) + beta)


def _waves(num_periods: float, decay_steps: float) -> Schedule:
    return Map(line(0.0, 2.0 * num_periods, decay_steps), "cosine")


NOISE_GOES_ON = Quirk(
    "noise-goes-on",
    "the noise does not end with the decay: where the cosine does not end at 0, the value never holds",
    applies=lambda made: made.differs_at(math.ceil(made["decay_steps"])),
)


@peer(
    "learning_rate * ((alpha + 1 - f + noise) * (1 + cos(2 * pi * num_periods * f)) / 2 + beta) with "
    "f = min(t, decay_steps) / decay_steps and normal noise of variance "
    "initial_variance / (1 + min(t, decay_steps))**variance_decay",
    "begins around learning_rate * (1 + alpha + beta); holds from t = decay_steps, without noise",
    NOISE_GOES_ON,
    learning_rate=value,
    decay_steps=span,
    initial_variance=not_negative,
    variance_decay=value,
    num_periods=value,
    alpha=value,
    beta=value,
    seed=whole(0, what="a seed"),
)
def noisy_linear_cosine_decay(
    learning_rate: float,
    decay_steps: float,
    initial_variance: float = 1.0,
    variance_decay: float = 0.55,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    *,
    seed: int = 0,
    strict: bool = False,
) -> Schedule:
    """`linear_cosine_decay` with noise, which may make a learning rate negative, as TensorFlow's does.

    TensorFlow draws a new number each time that the value is read, so its schedule is no function of the step: two
    reads at one step differ, and so does a run that is resumed. Here the noise is `Noise(seed)`, a pure function of
    seed and step, with the same distribution and other numbers.

    Reference: Bello et al., Neural Optimizer Search with Reinforcement Learning (2017).

    Example:
        >>> noisy_linear_cosine_decay(1.0, 2, initial_variance=0.0).table(4).tolist()
        [1.001, 0.251, 0.001, 0.001]
        >>> noisy = noisy_linear_cosine_decay(1.0, 100, seed=7)
        >>> noisy(3) == noisy(3), noisy(3) == noisy_linear_cosine_decay(1.0, 100, seed=8)(3)
        (True, False)
    """
    deviation = _deviation(math.sqrt(initial_variance), variance_decay, decay_steps)
    noise: Schedule = Noise(seed) * deviation
    within = noise if strict else Sequence([(noise, math.ceil(decay_steps)), 0.0])
    falling = line(1.0 + alpha, alpha, decay_steps) + within
    return learning_rate * (falling * _waves(num_periods, decay_steps) + beta)


def _deviation(first: float, variance_decay: float, decay_steps: float) -> Schedule:
    updates = line(1.0, 1.0 + decay_steps, decay_steps)
    return first * (Map(updates, "power", -0.5 * variance_decay) if variance_decay else Constant(1.0))
