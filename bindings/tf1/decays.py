"""The decay operations of `tf.compat.v1.train` but for the piecewise constant, by their names and arguments.

With numbers for arguments and a whole step they are `lrcore.dialects.tf1` as `learning_rate` has it: exact where
TensorFlow multiplies a rounded step by rounded parameters, which loses updates above 2**24, some restarts and some
stairs. What a schedule is not made for goes to TensorFlow's own operation: a tensor or a variable for an argument, a
learning rate of another type than float32, a step that is no integer, a `decay_rate` that makes a decay grow or that
is 0. So the types and the errors about them are its own.

Each takes `global_step`, an integer tensor, variable or number of any shape; `name`, of the scope of all nodes and of
the tensor; and gives in a graph the tensor, eagerly a callable without arguments for it. Each raises a ValueError for
numbers that the schedule refuses: `decay_steps=0`, say, of which TensorFlow makes NaN or inf. A step below 0 counts
as 0.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from lrcore.bindings.tf1._operations import as_written
from lrcore.bindings.tf1.rates import placed
from lrcore.dialects import tf1 as dialect
from lrcore.tracing import LONGEST_TABLE

FLAGS = ("cycle", "staircase")
OWN = {name: getattr(tf.compat.v1.train, name) for name in dialect.__all__}  # now: later these may stand there instead
BEYOND: dict[str, Callable[[float], bool]] = {  # rates that TensorFlow computes and no schedule has
    "exponential_decay": lambda rate: rate == 0,
    "natural_exp_decay": lambda rate: -math.inf < rate < 0,
    "inverse_time_decay": lambda rate: -math.inf < rate < 0,
}
NOISY = ("noisy_linear_cosine_decay",)
LONGEST_NOISE = LONGEST_TABLE - 1  # updates: a graph has noise of ours as a table


def exponential_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: Any = False,
    name: str | None = None,
) -> Any:
    """learning_rate * decay_rate**(t / decay_steps), with floor(t / decay_steps) if staircase.

    Example:
        >>> step = tf.Variable(4)
        >>> float(exponential_decay(1.0, step, 2, 0.25)())
        0.0625
    """
    arguments = {"decay_steps": decay_steps, "decay_rate": decay_rate, "staircase": staircase}
    return _placed("exponential_decay", "ExponentialDecay", learning_rate, global_step, name, **arguments)


def natural_exp_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: Any = False,
    name: str | None = None,
) -> Any:
    """learning_rate * exp(-decay_rate * t / decay_steps), with floor(t / decay_steps) if staircase.

    Example:
        >>> round(float(natural_exp_decay(1.0, 2, 2, 1.0)()), 4)
        0.3679
    """
    arguments = {"decay_steps": decay_steps, "decay_rate": decay_rate, "staircase": staircase}
    return _placed("natural_exp_decay", "ExponentialDecay", learning_rate, global_step, name, **arguments)


def inverse_time_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: Any = False,
    name: str | None = None,
) -> Any:
    """learning_rate / (1 + decay_rate * t / decay_steps), with floor(t / decay_steps) if staircase.

    Example:
        >>> float(inverse_time_decay(1.0, 3, 1, 1.0)())
        0.25
    """
    arguments = {"decay_steps": decay_steps, "decay_rate": decay_rate, "staircase": staircase}
    return _placed("inverse_time_decay", "InverseTimeDecay", learning_rate, global_step, name, **arguments)


def polynomial_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    end_learning_rate: Any = 0.0001,
    power: Any = 1.0,
    cycle: Any = False,
    name: str | None = None,
) -> Any:
    """(learning_rate - end_learning_rate) * (1 - t / decay_steps)**power + end_learning_rate, until decay_steps.

    With `cycle` in the place of decay_steps stands its next multiple, so that each cycle starts lower.

    Example:
        >>> float(polynomial_decay(1.0, 3, 4, end_learning_rate=0.0)())
        0.25
    """
    arguments = {"decay_steps": decay_steps, "end_learning_rate": end_learning_rate, "power": power, "cycle": cycle}
    return _placed("polynomial_decay", "PolynomialDecay", learning_rate, global_step, name, **arguments)


def cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, alpha: Any = 0.0, name: str | None = None
) -> Any:
    """learning_rate * ((1 - alpha) * (1 + cos(pi * min(t, decay_steps) / decay_steps)) / 2 + alpha).

    Example:
        >>> float(cosine_decay(1.0, 1, 2, alpha=0.5)())
        0.75
    """
    arguments = {"decay_steps": decay_steps, "alpha": alpha}
    return _placed("cosine_decay", "CosineDecay", learning_rate, global_step, name, **arguments)


def cosine_decay_restarts(
    learning_rate: Any,
    global_step: Any,
    first_decay_steps: Any,
    t_mul: Any = 2.0,
    m_mul: Any = 1.0,
    alpha: Any = 0.0,
    name: str | None = None,
) -> Any:
    """Cosine waves, each `t_mul` times as long and `m_mul` times as high as the one before.

    Every restart is where the formula says, where TensorFlow's may be an update late.

    Example:
        >>> [float(cosine_decay_restarts(1.0, step, 2)()) for step in (0, 1, 2)]
        [1.0, 0.5, 1.0]
    """
    arguments = {"first_decay_steps": first_decay_steps, "t_mul": t_mul, "m_mul": m_mul, "alpha": alpha}
    return _placed("cosine_decay_restarts", "SGDRDecay", learning_rate, global_step, name, **arguments)


def linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Any:
    """learning_rate * ((alpha + 1 - f) * (1 + cos(2 * pi * num_periods * f)) / 2 + beta), f = t / decay_steps up to 1.

    Example:
        >>> float(linear_cosine_decay(1.0, 1, 2, beta=0.0)())
        0.25
    """
    arguments = {"decay_steps": decay_steps, "num_periods": num_periods, "alpha": alpha, "beta": beta}
    return _placed("linear_cosine_decay", "LinearCosineDecay", learning_rate, global_step, name, **arguments)


def noisy_linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    initial_variance: Any = 1.0,
    variance_decay: Any = 0.55,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Any:
    """`linear_cosine_decay` with normal noise of variance initial_variance / (1 + t)**variance_decay until its end.

    The noise is a function of the step and of the seed that `tf.compat.v1.set_random_seed` sets: each read at a step
    gives the same, and so does a run that resumes. TensorFlow draws new numbers at each read, and its own operation
    stands for decays of a million updates or more.

    Example:
        >>> rate = noisy_linear_cosine_decay(1.0, 1, 2)
        >>> float(rate()) == float(rate())
        True
    """
    arguments = {
        "decay_steps": decay_steps,
        "initial_variance": initial_variance,
        "variance_decay": variance_decay,
        "num_periods": num_periods,
        "alpha": alpha,
        "beta": beta,
    }
    which = "noisy_linear_cosine_decay"
    return _placed(which, "NoisyLinearCosineDecay", learning_rate, global_step, name, **arguments)


# ---- A schedule, or TensorFlow's own ----


@as_written
def _placed(which: str, scope: str, learning_rate: Any, global_step: Any, name: str | None, **arguments: Any) -> Any:
    fits = _is_single(learning_rate) and all(map(_is_number, arguments.values())) and _counts_updates(global_step)
    if not fits or (which in NOISY and arguments["decay_steps"] >= LONGEST_NOISE):
        return OWN[which](learning_rate=learning_rate, global_step=global_step, name=name, **arguments)
    known = {argument: bool(given) if argument in FLAGS else _plain(given) for argument, given in arguments.items()}
    if which in NOISY:
        known["seed"] = tf.compat.v1.get_seed(0)[0]
    beyond = which in BEYOND and BEYOND[which](known["decay_rate"])
    if beyond:
        known["decay_rate"] = 1.0  # so that the other arguments are checked
    schedule = getattr(dialect, which)(float(learning_rate), **known)
    if beyond:
        return OWN[which](learning_rate=learning_rate, global_step=global_step, name=name, **arguments)
    return placed(schedule, global_step, name or scope)


def _is_number(given: Any) -> bool:
    return isinstance(given, numbers.Real)


def _is_single(given: Any) -> bool:
    """Whether TensorFlow makes a float32 of it."""
    return type(given) is float or isinstance(given, np.float32)


def _plain(given: Any) -> int | float:
    return int(given) if isinstance(given, numbers.Integral) else float(given)


def _counts_updates(step: Any) -> bool:
    dtype = getattr(step, "dtype", None)
    if dtype is None:
        return isinstance(step, int) and not isinstance(step, bool)
    return bool(tf.as_dtype(dtype).is_integer)
