"""The runs of `bench/high_lr.py` in Keras, each with a Monitor among its callbacks: the forum's net alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.high_lr_tasks import CLASSES, TASKS, Data, Outcome, Setting, batches, batches_per_epoch
from lrcore.monitor import Diagnosis


def _net(setting: Setting, inputs: int) -> Any:
    import keras

    keras.utils.set_random_seed(setting.seed)
    layers = [keras.layers.Dense(units, activation="relu", kernel_initializer="glorot_normal") for units in (25, 12)]
    net = keras.Sequential(
        [keras.Input((inputs,)), *layers, keras.layers.Dense(CLASSES, kernel_initializer="glorot_normal")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(setting.lr), loss=loss, metrics=["accuracy"])
    return net


def _batches(data: Data, setting: Setting) -> Iterator[Any]:
    for at in batches(len(data.labels), setting.steps + 1, setting.seed):  # one more than is trained with is drawn
        yield data.inputs[at], data.labels[at]


def run(setting: Setting, **options: Any) -> tuple[Outcome, list[float], Any]:
    """A run, its losses, and the monitor that has watched it, with options of `lrcore.bindings.keras.Monitor`."""
    import keras

    from lrcore.bindings.keras import Monitor

    data = TASKS[setting.task][0]()
    net = _net(setting, data.inputs.shape[1])
    monitor = Monitor(data.inputs, label_counts=data.counts, batches_per_epoch=batches_per_epoch(data), **options)
    losses: list[float] = []

    class Losses(keras.callbacks.Callback):
        """The loss of each batch, as Keras' mean over batches that is begun anew each time."""

        def on_train_batch_end(self, _batch: int, logs: Any = None) -> None:
            losses.append(float(logs["loss"]))
            self.model.reset_metrics()

    net.fit(_batches(data, setting), steps_per_epoch=setting.steps, callbacks=[monitor, Losses()], verbose=0)
    accuracy = float((net.predict(data.inputs, verbose=0).argmax(axis=1) == data.labels).mean())
    chance = float(data.counts.max() / len(data.labels))
    last = float(np.mean(losses[-batches_per_epoch(data) :]))
    return Outcome(last, accuracy, data.entropy, chance), losses, monitor


def watched(setting: Setting) -> tuple[Outcome, list[float], Diagnosis | None, Diagnosis]:
    """A run with nothing done about it: its end, its losses, the first alarm, and what is said in the end."""
    ended, losses, monitor = run(setting)
    return ended, losses, next(iter(monitor.diagnoses), None), monitor.diagnosis


def mended(setting: Setting) -> tuple[Outcome, list[float], int]:
    """A run that follows the advice by itself: its end, its losses, and how often it began again."""
    ended, losses, monitor = run(setting, on_failure="restore_and_lower")
    return ended, losses, monitor.restores
