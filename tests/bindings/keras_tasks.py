"""The tasks of keras_trainer.py: what is trained in the process of a backend."""

# ruff: noqa: ARG002, ARG005 - Keras names the arguments of callbacks

import warnings
from contextlib import contextmanager

import keras
import numpy as np

import lrcore.bindings.keras
from lrcore.bindings.keras import SGDR, Schedule, _operations, scheduled
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
def trained(schedule, updates, every=None, optimizer=None, begin=0, loss_scale=None, **compiled):
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


class Tell(keras.callbacks.Callback):
    """A metric of each epoch that is known beforehand."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["told"] = self.values[epoch]


class Fail(keras.callbacks.Callback):
    """Ends the training as a crash would."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise InterruptedError


class SetAt(keras.callbacks.Callback):
    """Sets the learning rate once, at the end of an epoch."""

    def __init__(self, epoch, rate):
        super().__init__()
        self.epoch, self.rate = epoch, rate

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.optimizer.learning_rate = self.rate


class BatchLogs(keras.callbacks.Callback):
    """The learning rate that the progress bar gets to see."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["learning_rate"])


FUNCTIONS = {
    "article": lambda epoch, lr: lr if epoch < 10 else lr * float(np.exp(-0.1)),
    "tensor": lambda epoch, lr: keras.ops.convert_to_tensor(lr) * 0.5,
    "step": lambda epoch: 0.5 / (epoch + 1),
    "nothing": lambda epoch, lr: None,
    "falling": lambda epoch, lr: lr * 0.75,
}


def callback(name, arguments):
    given = arguments.get("schedule")
    if isinstance(given, dict):
        arguments = {**arguments, "schedule": lrcore.from_dict(given)}
    elif isinstance(given, str):
        arguments = {**arguments, "schedule": FUNCTIONS[given]}
    for home in (globals(), vars(lrcore.bindings.keras), vars(keras.callbacks)):
        if name in home:
            return home[name](**arguments)
    raise KeyError(name)


def optimizer_of(schedule=None, every=None, loss_scale=None, rate=0.5, kind="SGD", schedules=None, **arguments):
    used = rate if schedule is None else Schedule(lrcore.from_dict(schedule), every)
    optimizer = getattr(keras.optimizers, kind)(used, **arguments)
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=loss_scale) if loss_scale else optimizer
    made = {name: lrcore.from_dict(given) for name, given in (schedules or {}).items()}
    return scheduled(optimizer, **made) if made else optimizer


@contextmanager
def recorded():
    """What callbacks warn of."""
    said = []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        yield said
    said += [str(one.message) for one in found if ": expected " in str(one.message)]


@task
def called(callbacks, batches, fits, optimizer=None, compiled=None, anew=False, join=None):
    """Trains one model with callbacks, for some fits: the same callbacks, or each fit with its own.

    They may have met the model before, by hand, or stand in the list twice.
    """
    model = network(optimizer_of(**(optimizer or {})), **(compiled or {}))
    made, weights, histories = [callback(*one) for one in callbacks], [], []
    for one in made if join == "by hand" else ():
        one.set_model(model)
    made = made * 2 if join == "twice" else made
    for one in fits:
        made = [callback(*one) for one in callbacks] if anew else made
        found, history = fit(model, **{"batches": batches, "callbacks": made, **one})
        weights += found
        histories.append(history)
    logs = [one.seen for one in made if isinstance(one, BatchLogs)]
    return {"weights": weights, "histories": histories, "logs": logs, "kept": kept(made)}


def kept(callbacks):
    """The weights of the snapshots."""
    return [float(each[0][0, 0]) for one in callbacks if isinstance(one, SGDR) for each in one.snapshots]


@task
def interrupted(callbacks, batches, epochs, stop, path, optimizer=None, then=None, initial_epoch=0, at=-1):
    """Trains until a crash, and then with everything made anew but the folder of the backup; `then` other batches."""
    weights, histories = [], []
    for count, failure in ((batches, [Fail(stop)]), (then or batches, [])):
        model, watch = network(optimizer_of(**(optimizer or {}))), Weights()
        used = [callback(*one) for one in callbacks]
        backup = keras.callbacks.BackupAndRestore(path, delete_checkpoint=False)
        used[len(used) if at < 0 else at : 0] = [backup]
        ones, epoch = np.ones((count, 1), np.float32), {"epochs": epochs, "initial_epoch": initial_epoch}
        try:
            with recorded() as warned:
                history = model.fit(ones, ones, batch_size=1, verbose=0, callbacks=[*used, watch, *failure], **epoch)
            histories.append(history.history)
        except InterruptedError:
            pass
        weights += watch.seen
    return {"weights": weights, "histories": histories, "kept": kept(used), "warned": warned}


@task
def reloaded(callbacks, batches, fits, path, is_joined):
    """Trains with a checkpoint of each epoch, loads the last one into a new model and trains on."""
    model = network(optimizer_of())
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_weights_only=path.endswith(".h5"))
    first, _ = fit(model, batches, [*(callback(*one) for one in callbacks), checkpoint], **fits[0])
    is_whole = path.endswith(".keras")
    model = keras.models.load_model(path, custom_objects={"slope": slope}) if is_whole else network(optimizer_of())
    made = [callback(*one) for one in callbacks]
    for one in made if is_joined else ():
        one.set_model(model)
    if is_joined or not is_whole:
        model.load_weights(path)
    with recorded() as warned:
        then, _ = fit(model, batches, made, **fits[1])
    return {"weights": first + then, "kept": kept(made), "warned": warned}


@task
def by_hand(callbacks, batches, epochs):
    """A loop of one's own, whose list of callbacks has no parameters."""
    model, watch = network(optimizer_of()), Weights()
    made = keras.callbacks.CallbackList([*(callback(*one) for one in callbacks), watch], model=model)
    made.on_train_begin()
    for epoch in range(epochs):
        made.on_epoch_begin(epoch)
        for batch in range(batches):
            made.on_train_batch_begin(batch)
            model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
            made.on_train_batch_end(batch, {})
        made.on_epoch_end(epoch, {})
    made.on_train_end()
    return watch.seen


class Finder(keras.callbacks.Callback):
    """A range test as many write it: it tries rates, stops, and puts back what was before."""

    def __init__(self, updates):
        super().__init__()
        self.updates = updates

    def on_train_begin(self, logs=None):
        self.model.optimizer.build(self.model.trainable_variables)
        self.before = [keras.ops.convert_to_numpy(each) for each in self.variables()]

    def variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.001 * 1.25**batch

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch + 1 == self.updates

    def on_train_end(self, logs=None):
        for variable, value in zip(self.variables(), self.before, strict=True):
            variable.assign(value)


@task
def after_a_finder(callbacks, batches, epochs, updates, at, compiled=None):
    """Trains with callbacks; before it a finder has run, alone or at a place among these very callbacks."""
    model, made = network(optimizer_of(), **(compiled or {})), [callback(*one) for one in callbacks]
    beside = [] if at is None else list(made)
    beside.insert(at or 0, Finder(updates))
    tried, _ = fit(model, updates + 5, beside)
    weights, history = fit(model, batches, made, epochs=epochs)
    return {"tried": tried, "weights": weights, "history": history, "kept": kept(made)}


@task
def snapshots(arguments, batches, epochs, path=None):
    """What SGDR keeps, in memory and on disk."""
    model = network(keras.optimizers.SGD(0.1))
    sgdr = SGDR(**arguments, path=path and path + "/{step}.weights.h5")
    weights, _ = fit(model, batches, [sgdr], epochs=epochs)
    mean = sgdr.predict(np.ones((1, 1)), verbose=0).item() if sgdr.snapshots else None
    return {"weights": weights, "kept": kept([sgdr]), "mean": mean, "after": float(model.get_weights()[0][0, 0])}


@task
def followed(optimizer, updates, path=None):
    """The weights of an optimizer whose numbers follow schedules; and what a saved one says of itself."""
    made = optimizer_of(**optimizer)
    model = network(made)
    weights, _ = fit(model, updates)
    answer = {"weights": weights, "now": {name: float(getattr(made, name)) for name in optimizer["schedules"]}}
    if path:
        model.save(path)
        loaded = keras.models.load_model(path, custom_objects={"slope": slope}).optimizer
        answer |= {"loaded": float(loaded.momentum), "class": type(loaded) is type(keras.optimizers.SGD())}
    return answer


@task
def deaf(updates):
    """What becomes of a momentum that is set between updates."""
    made = keras.optimizers.SGD(0.5, momentum=0.5)
    model = network(made)
    first, _ = fit(model, updates)
    made.momentum = 0.25
    second, _ = fit(model, updates)
    return first + second


@task
def logged(updates):
    """What the logger says of a schedule of Keras' own."""
    model = network(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)))
    logs = BatchLogs()
    fit(model, updates, [lrcore.bindings.keras.LearningRateLogger(), logs])
    return logs.seen
