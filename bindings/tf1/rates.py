"""Any schedule as nodes of a graph."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from lrcore import Schedule, _check, tracing
from lrcore.bindings.tf1._operations import TensorFlowOperations, as_written
from lrcore.schedule import LAST_STEP, is_schedule


def learning_rate(schedule: Schedule | float, global_step: Any, name: str | None = None) -> Any:
    """The learning rate of the update that follows `global_step` updates.

    In a graph it is a table of float32 values for a schedule that holds its value within a million updates: the bits
    are those of `schedule.table(n, dtype="float32")`. Else it is the closed form, exact for the first updates and
    within some float32 ulp for all: see `lrcore.tracing`. The number of nodes does not grow with the number of parts.
    Steps count in int64: also 2**31 and 2**31 + 1 are two.

    Eagerly the value comes from the schedule itself.

    Args:
        schedule: the schedule, in updates; or a number for a constant rate.
        global_step: a tensor, a variable or a number, of any shape: an integer, or a float, of which the part behind
            the point does not count. Below 0 it counts as 0.
        name: of the scope that all nodes are in, and of the tensor; by default "LearningRate".

    Returns:
        In a graph a float32 tensor of the shape of `global_step`; eagerly a callable without arguments for it, which
        optimizers of TensorFlow take as a learning rate.

    Raises:
        TypeError: no schedule; a step that is no number.
        UnboundError: (a ValueError) a duration has a unit: see `schedule.bind`.
        ValueError: in a graph, a schedule that neither a table nor a closed form can have, such as noise without end.

    Example:
        >>> from lrcore import Cosine
        >>> with tf.Graph().as_default():
        ...     step = tf.compat.v1.placeholder(tf.int64, [])
        ...     rate = learning_rate(Cosine(0.1, 0.0, 4), step, name="lr")
        ...     with tf.compat.v1.Session() as session:
        ...         print(rate.name, [round(float(session.run(rate, {step: at})), 4) for at in range(6)])
        lr:0 [0.1, 0.0854, 0.05, 0.0146, 0.0, 0.0]
    """
    return placed(is_schedule("learning_rate.schedule", schedule), global_step, name or "LearningRate")


@as_written
def placed(schedule: Schedule, global_step: Any, scope: str) -> Any:
    """In a graph a tensor, eagerly a callable for it."""
    if not tf.executing_eagerly():
        return _node(schedule, global_step, scope)
    schedule._require_bound()
    _updates(global_step)  # what cannot be a step is refused now
    return partial(_now, schedule, global_step, scope)


@as_written
def _now(schedule: Schedule, global_step: Any, scope: str) -> Any:
    """What the callable gives: a value, or nodes where a graph is being built by now, as in a `tf.function`."""
    if not tf.executing_eagerly():
        return _node(schedule, global_step, scope)
    return tf.constant(tracing.as_float32(schedule(np.clip(_updates(global_step).numpy(), 0, LAST_STEP))))


def _node(schedule: Schedule, global_step: Any, scope: str) -> Any:
    plan = tracing.plan(schedule)
    with tf.name_scope(scope) as within:
        return tf.identity(plan.value(_updates(global_step), TensorFlowOperations()), name=within)


def _updates(global_step: Any) -> Any:
    step = tf.convert_to_tensor(global_step)
    if not (step.dtype.is_integer or step.dtype.is_floating):
        _check.refuse("global_step", "integers", step.dtype, TypeError)
    if step.dtype.is_floating:  # a cast of what int64 cannot hold is some step or other
        step = tf.clip_by_value(tf.cast(step, tf.float64), 0.0, float(LAST_STEP))
    elif step.dtype == tf.uint64:
        step = tf.minimum(step, tf.constant(LAST_STEP, tf.uint64))
    return tf.cast(step, tf.int64)
