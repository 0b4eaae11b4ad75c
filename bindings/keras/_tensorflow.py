"""Keras on TensorFlow: what it needs beyond `keras.ops`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def as_written(function: F) -> F:
    """A function whose code AutoGraph leaves as it is, and all that it calls.

    In a `tf.function` that is not Keras' own it would translate all of lrcore, and with it the attempt to read a step
    as a number: of that it makes a tensor.
    """
    import tensorflow as tf

    return cast(F, tf.autograph.experimental.do_not_convert(function))


def whole(variable: Any) -> int:
    """The int in a variable: `int` first looks for the device that it is on, which takes as long again."""
    import tensorflow as tf

    try:
        handle = variable.handle
    except ValueError:  # of several replicas
        return int(variable)
    return int(tf.raw_ops.ReadVariableOp(resource=handle, dtype=variable.dtype))
