"""The tasks of keras_trainer.py that are about learning-rate range tests."""

# ruff: noqa: ARG002, ARG005 - Keras names the arguments of callbacks

import io
import random
import sys
from contextlib import redirect_stderr, suppress

import keras
import numpy as np
from keras_tasks import fit, network

import lrcore
from lrcore.bindings.keras import LRFinder, Schedule, find_lr, layer_rates
from lrcore.finder import RangeTest
from lrcore.groups import ByName

TASKS = {}
TEST = RangeTest(1e-5, 10.0, steps=20)
COMPILES = keras.config.backend() == "jax"  # which is slow without, as the others are with it


def task(function):
    TASKS[function.__name__] = function
    return function


def data():
    inputs = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0).astype(int) + (inputs[:, 1] > 0)


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(0.01),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "schedule": lambda: keras.optimizers.Adam(Schedule(lrcore.Linear(0.1, 0.0, 40))),
    "accumulated": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "scaled loss": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=8.0),
}


def classifier(name):
    """With all that keeps something: statistics, seed generators, slots."""
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((5,)), *layers, keras.layers.Dense(3, activation="softmax")])
    model.compile(
        OPTIMIZERS[name](), loss="sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=COMPILES
    )
    return model


def trained_on(model):
    """An epoch from here on: their history, all variables, and what the random numbers say then."""
    history = model.fit(*data(), batch_size=8, epochs=1, verbose=0).history
    variables = [*model.variables, *model.optimizer.variables]
    values = [np.array(keras.ops.convert_to_numpy(one)).tobytes().hex() for one in variables]
    said = [random.random(), float(np.random.rand()), float(keras.random.normal(()))]  # noqa: NPY002 - the global one
    return [history, values, said, bool(model.stop_training)]


class Breaks(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 3:
            raise KeyboardInterrupt


def disturb(model, how):
    if how == "callback":
        model.fit(*data(), batch_size=8, epochs=9, callbacks=[LRFinder(max_steps=20)], verbose=0)
    elif how == "broken callback":
        with suppress(KeyboardInterrupt), LRFinder(max_steps=20) as finder:
            model.fit(*data(), batch_size=8, epochs=9, callbacks=[finder, Breaks()], verbose=0)
    elif how == "broken":
        with suppress(KeyboardInterrupt):
            find_lr(model, *data(), batch_size=8, test=TEST, restarts=2, callbacks=[Breaks()])
    else:
        reinit = "reset" if how == "reset" else None
        find_lr(model, *data(), batch_size=8, test=TEST, restarts=2, reinit=reinit)


@task
def undisturbed(optimizer, epochs, hows):
    """Whether training, after so many epochs, goes on after each disturbance as if there had been none."""
    after = {}
    for how in ["", *hows]:
        model = classifier(optimizer)
        if epochs:
            model.fit(*data(), batch_size=8, epochs=epochs, verbose=0)
        if how:
            disturb(model, how)
        after[how] = trained_on(model)
    return {how: after[how] == after[""] for how in hows}


@task
def batch_losses():
    """What a finder records of a model that stands still, and the mean square of each batch, three epochs long."""
    inputs = np.arange(10.0, 17.0, dtype=np.float32)[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=COMPILES)
    finder = LRFinder(1e-30, 1e-29, max_steps=11, smoothing=0.5)
    model.fit(inputs, 0 * inputs, batch_size=2, epochs=9, shuffle=False, callbacks=[finder], verbose=0)
    expected = [float((inputs[at : at + 2] ** 2).mean()) for at in range(0, 7, 2)] * 3
    return [finder.raw_losses.tolist(), expected, finder.losses.tolist(), finder.lrs.tolist()]


class Means(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(logs["loss"]))


@task
def as_published(**arguments):
    """What it records with compat=True, and the means that Keras has told all callbacks."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=COMPILES)
    finder, means = LRFinder(compat=True, **arguments), Means()
    inputs = np.arange(1.0, 8.0, dtype=np.float32)[:, None]
    model.fit(inputs, 2 * inputs, batch_size=2, epochs=99, shuffle=False, callbacks=[means, finder], verbose=0)
    return [finder.lrs.tolist(), finder.losses.tolist(), means.seen, finder.raw_losses.tolist()]


@task
def ladder(batches):
    """The weight after each batch of a test, whose gradient is 1, and the rates that it tells of."""
    finder = LRFinder(1e-4, 1.0, max_steps=30)
    weights, _ = fit(network(keras.optimizers.SGD(0.25)), batches, [finder])
    return [weights, finder.lrs.tolist()]


@task
def kept_ratios():
    """By how much two layers with a gradient of 1 move in each update of a test; the first has a tenth of the rate."""
    layers = [keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name=name) for name in ("a", "b")]
    given = keras.Input((1,))
    model = keras.Model(given, keras.layers.Add()([layers[0](given), layers[1](given)]))
    optimizer = layer_rates(keras.optimizers.SGD(0.5), model, [ByName("a/.*", 0.1)])
    model.compile(optimizer, loss=lambda truth, guess: guess + 0.0 * truth, jit_compile=COMPILES)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append([float(weight[0, 0]) for weight in self.model.get_weights()])

    ones = np.ones((20, 1), np.float32)
    model.fit(ones, ones, batch_size=1, verbose=0, callbacks=[LRFinder(0.01, 1.0, max_steps=9), Watch()])
    return [seen, float(optimizer.learning_rate), [float(weight[0, 0]) for weight in model.get_weights()]]


@task
def what_is_found(**arguments):
    """What find_lr says twice, and of other seeds."""
    model = classifier("momentum")
    given = {"batch_size": 8, "test": TEST, "restarts": 3}
    first = find_lr(model, *data(), **given, **arguments)
    unrefined = {name: value for name, value in arguments.items() if name != "refine"}
    again, other = find_lr(model, data(), **given, **unrefined), find_lr(model, data(), **given, **unrefined, seed=5)
    rows = [found.losses.tobytes().hex() for found in (first, again, other)]
    return {
        "is the same": rows[0] == rows[1],
        "is another": rows[0] != rows[2],
        "runs differ": len(np.unique(first.losses[:, 3])) == 3,
        "first losses": first.losses[:, 0].tolist(),
        "lr": first.lr,
        "refined": first.refined,
        "suggested": first.suggestion.lr,
        "shape": first.losses.shape,
    }


@task
def bars(terminal=False, without=False, **options):
    """What is written to standard error."""
    written = io.StringIO()
    written.isatty = lambda: terminal
    tqdm = sys.modules.get("tqdm")
    with redirect_stderr(written):
        if without:
            sys.modules["tqdm"] = None
        try:
            find_lr(classifier("momentum"), *data(), batch_size=8, test=RangeTest(1e-5, 1e-4, 12), **options)
        finally:
            if without:
                del sys.modules["tqdm"]
                sys.modules |= {} if tqdm is None else {"tqdm": tqdm}
    return written.getvalue()


@task
def refused(case):
    model = classifier("Adam")
    inputs, targets = data()
    unfit = keras.Sequential([keras.layers.Dense(1)])
    several = keras.Sequential([keras.layers.Dense(1)])
    several.compile("sgd", loss="mse", steps_per_execution=2)
    scheduled = classifier("schedule")
    setter = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: model.optimizer.learning_rate.assign(0.5)
    )
    cases = {
        "model": lambda: find_lr(3, inputs, targets),
        "compiled": lambda: find_lr(unfit, inputs, targets),
        "steps_per_execution": lambda: find_lr(several, inputs, targets),
        "test": lambda: find_lr(model, inputs, targets, test=3),
        "restarts": lambda: find_lr(model, inputs, targets, restarts=0),
        "reinit": lambda: find_lr(model, inputs, targets, reinit="all"),
        "progress": lambda: find_lr(model, inputs, targets, progress=1),
        "epochs": lambda: find_lr(model, inputs, targets, epochs=3),
        "initial_epoch": lambda: find_lr(model, inputs, targets, initial_epoch=30),
        "generator": lambda: find_lr(model, iter([(inputs, targets)])),
        "setter": lambda: model.fit(inputs, targets, callbacks=[LRFinder(), setter], verbose=0),
        "schedule": lambda: scheduled.fit(inputs, targets, callbacks=[LRFinder()], verbose=0),
        "unused": lambda: LRFinder().suggestion,
    }
    return cases[case]()
