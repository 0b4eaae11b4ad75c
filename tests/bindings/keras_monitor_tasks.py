"""The tasks of keras_trainer.py that are about monitors."""

# ruff: noqa: ARG002, ARG005 - Keras names the arguments of callbacks

import math

import keras
import numpy as np

import lrcore
from lrcore.bindings.keras import Monitor, Schedule, ScheduleCallback

TASKS = {}


def task(function):
    TASKS[function.__name__] = function
    return function


OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "momentum": lambda lr: keras.optimizers.SGD(lr, momentum=0.9),
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "scheduled": lambda lr: keras.optimizers.SGD(Schedule(lrcore.Constant(lr))),
}
IS_COMPILED = keras.config.backend() == "jax"  # which gives buffers away then, but takes longer for a few batches
LOSS = {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}


def data(count=64):
    inputs = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0).astype(int)


def network(optimizer, lr, *, is_dead=False, activation=None, jit_compile=False):
    """With all that keeps something; dead, its hidden layer gives 0 whatever the input."""
    keras.utils.set_random_seed(3)
    bias = keras.initializers.Constant(-100.0 if is_dead else 0.0)
    hidden = keras.layers.Dense(8, activation="relu", bias_initializer=bias)
    more = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)] if not is_dead else []
    model = keras.Sequential([keras.Input((5,)), hidden, *more, keras.layers.Dense(2, activation=activation)])
    model.compile(OPTIMIZERS[optimizer](lr), metrics=["accuracy"], jit_compile=jit_compile, **LOSS)
    return model


def told(found):
    return {"verdict": found.verdict, "step": found.step, "lr": found.lr, "direction": found.direction}


def state(model):
    """All variables but the rate, as text of their bits."""
    rate = model.optimizer._learning_rate
    every = [one for one in [*model.variables, *model.optimizer.variables] if one is not rate]
    return [np.array(keras.ops.convert_to_numpy(one)).tobytes().hex() for one in every]


class Each(keras.callbacks.Callback):
    """Calls a function after each batch."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_train_batch_end(self, batch, logs=None):
        self.function(self.model)


class Losing(Monitor):
    """A monitor that is given other losses than those of the batches."""

    losses: list

    def _loss(self, logs):
        return self.losses[self._core.step] if self.restores == 0 else 1.0


@task
def verdict(optimizer, lr, is_dead, has_probe, epochs=1, activation=None):
    """What is said of a run of 8 batches an epoch, with the evidence."""
    model = network(optimizer, lr, is_dead=is_dead, activation=activation)
    inputs, labels = data()
    monitor = Monitor(inputs if has_probe else None)
    history = model.fit(inputs, labels, batch_size=8, epochs=epochs, callbacks=[monitor], verbose=0)
    evidence = {name: value for name, value in monitor.diagnosis.evidence.items() if np.all(np.isfinite(value))}
    alarms = [told(one) for one in monitor.diagnoses]
    return {**told(monitor.diagnosis), "evidence": evidence, "alarms": alarms, "epochs": len(history.epoch)}


@task
def not_finite(**options):
    """A loss that is NaN for one batch, the 12th, by its labels."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.5), loss="mse", jit_compile=False)
    targets = np.ones((30, 1), np.float32)
    targets[11] = math.nan
    said = []
    monitor = Monitor(
        **{**options, "on_failure": options.get("on_failure") or (lambda found: said.append(told(found)))}
    )
    history = model.fit(
        np.ones((30, 1)), targets, batch_size=1, epochs=3, shuffle=False, callbacks=[monitor], verbose=0
    )
    return {
        "alarms": [told(one) for one in monitor.diagnoses],
        "said": said,
        "restores": monitor.restores,
        "epochs": len(history.epoch),
        "rate": float(model.optimizer.learning_rate),
        "weights": [float(one.sum()) for one in model.get_weights()],
        "last": history.history["loss"][-1],
    }


@task
def paired_losses():
    """What the monitor is given of a run whose last batches are smaller, its rates, and the losses by hand."""
    inputs = np.arange(7.0, dtype=np.float32)[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), loss="mse", jit_compile=False)
    seen = []

    class Watched(Monitor):
        def _rate(self):
            seen.append([self._loss(None), super()._rate()])
            return super()._rate()

    rates = lrcore.Linear(1e-30, 0.0, 12)
    callbacks = [ScheduleCallback(rates), Watched()]
    history = model.fit(inputs, 0 * inputs, batch_size=2, epochs=3, shuffle=False, callbacks=callbacks, verbose=0)
    by_hand = [float((inputs[at : at + 2] ** 2).mean()) for at in range(0, 7, 2)] * 3
    wanted = [[loss, float(np.float32(rates(step)))] for step, loss in enumerate(by_hand)]
    return [seen, wanted, history.history["loss"], float((inputs**2).mean())]


@task
def unchanged():
    """Whether a training is the same, to the bit, with a monitor that measures all it can and keeps states."""
    ends = []
    for callbacks in ([], [Monitor(data()[0], on_failure="restore_and_lower")]):
        model = network("adam", 0.01)
        history = model.fit(*data(), batch_size=8, epochs=8, callbacks=callbacks, verbose=0).history
        ends.append([history, state(model), keras.layers.Dense(1).name.rpartition("_")[0]])
    return ends[0] == ends[1]


@task
def restored(optimizer, at):
    """Which states come back when a loss is NaN, twice; and the rate, before and after each."""
    model = network(optimizer, 0.5)
    losses = [2.0 * 0.97**step for step in range(at - 1)] + [math.nan]
    states, rates, monitor = [], [], Losing(on_failure="restore_and_lower", batches_per_epoch=4)
    monitor.losses = losses

    def note(model):
        states.append(state(model))
        rates.append(float(model.optimizer.learning_rate))

    before = []
    first = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: before.append(state(model)))
    callbacks = [Each(note), monitor, first, Each(note)]  # it has built the optimizer
    model.fit(*data(), batch_size=8, epochs=-(-at // 8), callbacks=callbacks, verbose=0)
    was, put_back = states[2 * at - 2], states[2 * at - 1]
    initial, kept = put_back == before[0], [step for step in range(at - 1) if states[2 * step] == put_back]
    return {"initial": initial, "kept": kept, "changed": was != put_back, "rates": rates[2 * at - 2 : 2 * at]}


@task
def restored_again():
    """Whether the initial state comes back three times, from which JAX would have been given the buffers away."""
    model = network("adam", 0.5, jit_compile=IS_COMPILED)
    states = []

    class Broken(Monitor):
        def _loss(self, logs):
            return math.nan if self._core.step == 2 else 1.0

    monitor = Broken(on_failure="restore_and_lower", max_restores=3)
    first = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: states.append(state(model)))
    note = Each(lambda model: states.append(state(model)))
    history = model.fit(*data(), batch_size=8, epochs=4, callbacks=[monitor, first, note], verbose=0)
    return {
        "equal": [states[0] == states[step] for step in range(1, len(states))],
        "alarms": len(monitor.diagnoses),
        "epochs": len(history.epoch),
        "rate": float(model.optimizer.learning_rate),
    }


@task
def beside_a_schedule(unit, kind):
    """The rate of each batch, of which the one of step 4 is not finite; a schedule, or a function of two."""
    model = network("sgd", 1.0)
    schedule = {"schedule": lrcore.Linear(0.5, 0.0, 20), "memory": lambda step, lr: 0.5 * lr}[kind]
    rates = []

    class Broken(Monitor):
        def _loss(self, logs):
            rates.append(float(self.model.optimizer.learning_rate))
            return math.nan if self._core.step == 4 and self.restores == 0 else 1.0

    callbacks = [ScheduleCallback(schedule, unit), Broken(on_failure="restore_and_lower")]
    model.fit(*data(16), batch_size=8, epochs=5, callbacks=callbacks, verbose=0)
    return rates


def pictures():
    """Bright images of three classes, as the forum's failure has them, but small."""
    random = np.random.default_rng(0)
    own, labels = random.normal(size=(3, 400)), np.arange(240) % 3
    drawn = 0.7 + 0.1 * own[labels] + 0.05 * random.normal(size=(240, 400))
    return drawn.clip(0.0, 1.0).astype(np.float32), labels


@task
def mended(has_probe, epochs, on_failure=None):
    """How a run ends that fails at its rate, for the reason of the forum's."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(units, activation="relu") for units in (25, 12)]
    model = keras.Sequential([keras.Input((400,)), *layers, keras.layers.Dense(3)])
    model.compile(keras.optimizers.Adam(0.1), metrics=["accuracy"], jit_compile=IS_COMPILED, **LOSS)
    inputs, labels = pictures()
    monitor = Monitor(inputs if has_probe else None, classes=3, on_failure=on_failure)
    model.fit(inputs, labels, batch_size=30, epochs=epochs, callbacks=[monitor], verbose=0)
    accuracy = model.evaluate(inputs, labels, verbose=0, return_dict=True)["accuracy"]
    return {"accuracy": accuracy, "restores": monitor.restores, **told(monitor.diagnosis)}


@task
def refused_monitor(case):
    optimizer = {"schedule": "scheduled"}.get(case, "sgd")
    model = network(optimizer, 0.1)
    callbacks = [Monitor(on_failure="restore_and_lower")]
    if case == "order":
        callbacks.append(ScheduleCallback(0.1))
    if case == "loss":
        model._loss_tracker = None
        callbacks = [Monitor()]
    model.fit(*data(), batch_size=8, callbacks=callbacks, verbose=0)
