"""Keras 3: a schedule as the learning rate of a Keras optimizer, on TensorFlow, JAX and torch.

`Schedule` is a learning-rate schedule of Keras, for an optimizer of which nothing else sets the rate.
`ScheduleCallback` sets it from outside, beside `Plateau`; `SGDR` is one that keeps snapshots. `LearningRateLogger`
shows the rate, and `learning_rate` reads it. `layer_rates` gives layers rates of their own, `scheduled` an optimizer
schedules of momentum and weight decay. `find_lr` and the callback `LRFinder` run learning-rate range tests, and
`Monitor` says why a training fails.
"""

from __future__ import annotations

from lrcore.bindings.keras.callbacks import LearningRateLogger, Plateau, ScheduleCallback
from lrcore.bindings.keras.finder import LRFinder, find_lr
from lrcore.bindings.keras.groups import layer_rates
from lrcore.bindings.keras.hyperparameters import scheduled
from lrcore.bindings.keras.monitor import Monitor
from lrcore.bindings.keras.schedule import Schedule, learning_rate
from lrcore.bindings.keras.sgdr import SGDR

__all__ = [
    "SGDR",
    "LRFinder",
    "LearningRateLogger",
    "Monitor",
    "Plateau",
    "Schedule",
    "ScheduleCallback",
    "find_lr",
    "layer_rates",
    "learning_rate",
    "scheduled",
]
