"""Keras 3: a schedule as the learning rate of a Keras optimizer, on TensorFlow, JAX and torch.

`Schedule` is a learning-rate schedule of Keras.
"""

from __future__ import annotations

from lrcore.bindings.keras.schedule import Schedule

__all__ = ["Schedule"]
