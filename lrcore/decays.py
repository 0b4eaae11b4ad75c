"""Decays without an end: curves that stand by themselves, and never hold. The arithmetic is in _kernels.h.

In the formulas `t` is the step, the number of updates already done.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrcore import _check
from lrcore._check import field
from lrcore._rows import Rows, row
from lrcore.durations import Duration, time_unit, updates
from lrcore.schedule import Schedule


class _Unbounded(Schedule):
    """A decay that never ends: `decay_steps` is its unit of time, and may be a fraction of an update."""

    __slots__ = ()

    init_value: float
    decay_rate: float
    decay_steps: Duration

    def _length(self, _scale: float) -> None:
        return None

    def _lower_as(self, kind: str, rows: Rows) -> int:
        return row(rows, kind, self.init_value, shape=self.decay_rate, span=self.decay_steps)


@dataclass(frozen=True, slots=True)
class ExponentialDecay(_Unbounded):
    """A factor for every so many updates, without an end.

    `init_value * decay_rate**(t / decay_steps)`

    Args:
        init_value: the value at step 0.
        decay_rate: the factor, > 0; above 1 the value grows, and stays at 1e300 in the end.
        decay_steps: updates that one factor takes, > 0.

    Raises:
        TypeError, ValueError: arguments that are no finite numbers; decay_rate or decay_steps <= 0.

    Also known as: torch `ExponentialLR`, Keras `ExponentialDecay`, `optax.exponential_decay`; with
    `.staircase(decay_steps)` torch `StepLR`.

    Example:
        >>> ExponentialDecay(1.0, 0.5, decay_steps=2)(4)
        0.25
    """

    init_value: float = field(_check.value)
    decay_rate: float = field(_check.positive)
    decay_steps: Duration = field(time_unit, 1, duration="time")

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("EXPONENTIAL_DECAY", rows)


@dataclass(frozen=True, slots=True)
class NaturalExpDecay(_Unbounded):
    """Decay by the natural exponential function, without an end.

    `init_value * exp(-decay_rate * t / decay_steps)`

    Args:
        init_value: the value at step 0.
        decay_rate: the rate for every `decay_steps` updates, >= 0.
        decay_steps: the unit of time in updates, > 0.

    Raises:
        TypeError, ValueError: arguments that are no finite numbers; decay_rate < 0; decay_steps <= 0.

    Also known as: `tf.compat.v1.train.natural_exp_decay`, Paddle `NaturalExpDecay`.

    Example:
        >>> round(NaturalExpDecay(1.0, 1.0, decay_steps=10)(10), 15)
        0.367879441171442
    """

    init_value: float = field(_check.value)
    decay_rate: float = field(_check.not_negative)
    decay_steps: Duration = field(time_unit, 1, duration="time")

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("NATURAL_EXP_DECAY", rows)


@dataclass(frozen=True, slots=True)
class InverseTimeDecay(_Unbounded):
    """Decay by the inverse of time, without an end.

    `init_value / (1 + decay_rate * t / decay_steps)`

    Args:
        init_value: the value at step 0.
        decay_rate: the rate for every `decay_steps` updates, >= 0.
        decay_steps: the unit of time in updates, > 0.

    Raises:
        TypeError, ValueError: arguments that are no finite numbers; decay_rate < 0; decay_steps <= 0.

    Also known as: Keras `InverseTimeDecay`, `tf.compat.v1.train.inverse_time_decay`, the `decay` of old Keras
    optimizers.

    Example:
        >>> InverseTimeDecay(1.0, 1.0, decay_steps=10)(30)
        0.25
    """

    init_value: float = field(_check.value)
    decay_rate: float = field(_check.not_negative)
    decay_steps: Duration = field(time_unit, 1, duration="time")

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("INVERSE_TIME_DECAY", rows)


@dataclass(frozen=True, slots=True)
class InverseSqrt(Schedule):
    """Constant up to a step, then by the inverse square root of time, without an end.

    `init_value * sqrt(steps / max(t, steps))`

    Args:
        init_value: the value up to step `steps`.
        steps: where the decay begins, >= 1.

    Raises:
        TypeError, ValueError: a value that is no finite number; steps that are no int >= 1.

    Reference: Vaswani et al., Attention Is All You Need (2017), section 5.3, after its warm-up.
    Also known as: HF `inverse_sqrt`, fairseq `inverse_sqrt`, the tail of "Noam".

    Example:
        >>> InverseSqrt(1.0, 100)(99), InverseSqrt(1.0, 100)(400)
        (1.0, 0.5)
    """

    init_value: float = field(_check.value)
    steps: Duration = field(updates(1), duration="span")

    def _lower(self, rows: Rows) -> int:
        return row(rows, "INVERSE_SQRT", self.init_value, span=self.steps)

    def _length(self, _scale: float) -> None:
        return None
