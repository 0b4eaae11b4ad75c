"""The operations of TensorFlow that the closed form of a schedule is made of, on steps that are int64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lrcore.tracing import OfDtype

F = TypeVar("F", bound=Callable[..., Any])


def as_written(function: F) -> F:
    """A function whose code AutoGraph leaves as it is, and all that it calls: no condition in it is of a tensor.

    In a `tf.function` AutoGraph would translate the whole of lrcore, which takes its time.
    """
    return cast(F, tf.autograph.experimental.do_not_convert(function))


class TensorFlowOperations(OfDtype):
    """`lrcore.tracing.Operations`, where each method is described."""

    exp = staticmethod(tf.exp)
    expm1 = staticmethod(tf.math.expm1)
    log = staticmethod(tf.math.log)
    log1p = staticmethod(tf.math.log1p)
    sqrt = staticmethod(tf.sqrt)
    tanh = staticmethod(tf.tanh)
    floor = staticmethod(tf.floor)
    power = staticmethod(tf.pow)
    minimum = staticmethod(tf.minimum)
    maximum = staticmethod(tf.maximum)

    def __init__(self) -> None:
        super().__init__(np.int64)

    def float32(self, steps: Any) -> Any:
        """Integers as float32."""
        return tf.cast(steps, tf.float32)

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        """Either of them may be a number."""
        return tf.where(condition, self.constant(then), self.constant(otherwise))

    def take(self, values: NDArray[Any], at: Any) -> Any:
        """Entries of a constant array."""
        return tf.gather(values, at)

    def reached(self, marks: NDArray[np.int64], step: Any) -> Any:
        """How many of the marks are <= step: a search."""
        found = tf.raw_ops.UpperBound(sorted_inputs=marks[None], values=tf.reshape(step, [1, -1]), out_type=tf.int64)
        return tf.reshape(found, tf.shape(step))
