"""TensorFlow 1: schedules as nodes of a graph.

`learning_rate` takes any schedule; the others stand for the decay operations of `tf.compat.v1.train`, with their names
and arguments. In a graph, which a `tf.function` is too, they give a tensor; eagerly, a callable without arguments for
the value at that moment.
"""

from __future__ import annotations

from lrcore.bindings.tf1.decays import (
    cosine_decay,
    cosine_decay_restarts,
    exponential_decay,
    inverse_time_decay,
    linear_cosine_decay,
    natural_exp_decay,
    noisy_linear_cosine_decay,
    polynomial_decay,
)
from lrcore.bindings.tf1.piecewise import piecewise_constant, piecewise_constant_decay
from lrcore.bindings.tf1.rates import learning_rate

__all__ = [
    "cosine_decay",
    "cosine_decay_restarts",
    "exponential_decay",
    "inverse_time_decay",
    "learning_rate",
    "linear_cosine_decay",
    "natural_exp_decay",
    "noisy_linear_cosine_decay",
    "piecewise_constant",
    "piecewise_constant_decay",
    "polynomial_decay",
]
