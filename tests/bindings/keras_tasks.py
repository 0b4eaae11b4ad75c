"""The tasks of keras_trainer.py: what is trained in the process of a backend."""

import keras
import numpy as np

import lrcore
from lrcore.bindings.keras import Schedule, _operations
from lrcore.tracing import traced

TASKS = {}


def task(function):
    TASKS[function.__name__] = function
    return function


def slope(truth, guess):
    return guess + 0.0 * truth


def network(optimizer, **compiled):
    """A model of one weight, which begins at 0 and has a gradient of 1."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    compiled.setdefault("jit_compile", keras.config.backend() != "torch")
    model.compile(optimizer=optimizer, loss=slope, **compiled)
    return model


class Weights(keras.callbacks.Callback):
    """The weight after each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.get_weights()[0][0, 0]))


def fit(model, batches, callbacks=(), **arguments):
    """Trains on batches of one sample; the weight after each, and what `fit` returned."""
    watch, ones = Weights(), np.ones((batches, 1), np.float32)
    history = model.fit(ones, ones, batch_size=1, verbose=0, callbacks=[*callbacks, watch], **arguments)
    return watch.seen, history.history


@task
def backend():
    return keras.config.backend()


@task
def scheduled(schedule, updates, every=None, optimizer=None, begin=0, loss_scale=None, **compiled):
    """Trains with a Schedule, from a counter of `begin` on."""
    optimizer = keras.optimizers.SGD(Schedule(lrcore.from_dict(schedule), every), **(optimizer or {}))
    optimizer._iterations.assign(begin)
    used = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=loss_scale) if loss_scale else optimizer
    said = float(used.learning_rate)
    weights, _ = fit(network(used, **compiled), updates)
    return {"first": said, "next": float(used.learning_rate), "weights": weights}


@task
def saved(schedule, updates, path):
    """Trains, saves the model, loads it and trains on; as if nothing had happened."""
    model = network(keras.optimizers.SGD(Schedule(lrcore.from_dict(schedule)), gradient_accumulation_steps=2))
    before, _ = fit(model, updates)
    model.save(path)
    after, _ = fit(keras.models.load_model(path, custom_objects={"slope": slope}), updates)
    return before + after


@task
def closed(schedules, steps):
    """The closed form by the operations of Keras, at an array of steps."""
    found = []
    for schedule in schedules:
        tensor = keras.ops.convert_to_tensor(np.array(steps), "int32")
        value = traced(lrcore.from_dict(schedule), tensor, _operations.KerasOperations("int32"))
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        one = traced(lrcore.from_dict(schedule), tensor[-1], _operations.KerasOperations("int32"))
        assert keras.ops.shape(one) == ()
        found.append([*keras.ops.convert_to_numpy(value).tolist(), float(one)])
    return found
