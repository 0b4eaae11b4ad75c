"""Keras 3: a schedule as the learning rate of a Keras optimizer, on TensorFlow, JAX and torch.

`Schedule` is a learning-rate schedule of Keras; `layer_rates` gives layers rates of their own.
"""

from __future__ import annotations

from lrcore.bindings.keras.groups import layer_rates
from lrcore.bindings.keras.schedule import Schedule

__all__ = ["Schedule", "layer_rates"]
