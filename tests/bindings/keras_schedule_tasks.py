"""The tasks of keras_trainer.py for schedules alone: the contract, and functions that are no training of Keras."""

# ruff: noqa: ARG002 - Keras names the arguments of callbacks

import re

import keras
import numpy as np
from keras_tasks import network, slope

import lrcore
from lrcore.bindings.keras import SGDR, Schedule, ScheduleCallback, _optimizers, layer_rates, learning_rate, scheduled
from lrcore.groups import ByName

TASKS = {}


def task(function):
    TASKS[function.__name__] = function
    return function


# ---- The contract


class Taken(keras.callbacks.Callback):
    """What each update takes from the weight, which is 0 before it."""

    def __init__(self, micro_batches):
        super().__init__()
        self.micro_batches, self.seen = micro_batches, []

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % self.micro_batches == 0:
            weight = self.model.trainable_variables[0]
            self.seen.append(-keras.ops.convert_to_numpy(weight).item())
            weight.assign(np.zeros((1, 1), np.float32))
            for velocity in velocities(self.model.optimizer):
                velocity.assign(-np.ones((1, 1), np.float32))


SHARE = 0.5  # of the layer rates


def velocities(optimizer):
    """Of -1: an update at a rate of 0 takes its momentum from the weight."""
    return getattr(_optimizers.unwrapped(optimizer), "momentums", [])


def optimizer_of(driver, schedule, micro_batches):
    count = micro_batches if micro_batches > 1 else None
    if driver == "scheduled":
        momentum = keras.optimizers.SGD(0.0, momentum=0.5, gradient_accumulation_steps=count)
        return scheduled(momentum, momentum=schedule)
    rate = Schedule(schedule) if driver in ("Schedule", "layer_rates") else 0.75
    return keras.optimizers.SGD(rate, gradient_accumulation_steps=count)


def has_layer_rates(driver, way):
    return driver == "layer_rates" or (driver in CALLBACKS and way == "nested")


def contract_model(driver, way, schedule, micro_batches):
    """Nested: within a LossScaleOptimizer, and where a callback drives it with layer rates around that."""
    optimizer = optimizer_of(driver, schedule, micro_batches)
    model = network(optimizer)
    if way == "nested":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    if has_layer_rates(driver, way):
        optimizer = layer_rates(optimizer, model, [ByName("kernel", SHARE)])
    model.compile(optimizer, loss=slope, jit_compile=model.jit_compile)
    optimizer.build(model.trainable_variables)
    for velocity in velocities(optimizer):
        velocity.assign(-np.ones((1, 1), np.float32))
    return model


def loaded(path, driver, schedule):
    model = keras.models.load_model(path, custom_objects={"slope": slope})
    if driver == "scheduled":
        scheduled(model.optimizer, momentum=schedule)
        model.compile(model.optimizer, loss=slope, jit_compile=model.jit_compile)
    return model


def sgdr_of(cycle):
    """The callback that has the rates of `lrcore.sgdr`."""
    return SGDR(cycle.schedule.init_value, cycle.schedule.end_value, cycle.period, cycle.period_mult, keep=0)


def function_of(cycle):
    """One that knows only the rate that stands there; the model's first, the last of a turn, comes before all."""
    turn = cycle.schedule.values
    following = dict(zip(turn, [*turn[1:], turn[0]], strict=True))
    return ScheduleCallback(lambda _, rate: following[rate], unit="batch")


CALLBACKS = {"ScheduleCallback": ScheduleCallback, "SGDR": sgdr_of, "function": function_of}


def taken(model, updates, driver, schedule, micro_batches=1):
    watch, ones = Taken(micro_batches), np.ones((updates * micro_batches, 1), np.float32)
    callbacks = [CALLBACKS[driver](schedule)] if driver in CALLBACKS else []
    model.fit(ones, ones, batch_size=1, verbose=0, callbacks=[*callbacks, watch])
    return watch.seen


@task
def contract(driver, way, schedules, path, run):
    """The rate of each update, for each schedule. For a callback a model is compiled once, and begins anew."""
    updates, stop, micro_batches = run
    count, found, model = micro_batches if way == "accumulated" else 1, {}, None
    for name, given in schedules.items():
        schedule = lrcore.from_dict(given)
        if driver not in CALLBACKS or model is None or way == "resumed":
            model = contract_model(driver, way, schedule, count)
            begin = [keras.ops.convert_to_numpy(each) for each in model.optimizer.variables]
        for variable, value in zip(model.optimizer.variables, begin, strict=True):
            variable.assign(value)
        if way == "resumed":
            seen = taken(model, stop, driver, schedule)
            model.save(path)
            model = loaded(path, driver, schedule)
            seen += taken(model, updates - stop, driver, schedule)
        else:
            seen = taken(model, updates, driver, schedule, count)
        share = SHARE if has_layer_rates(driver, way) else 1.0
        found[name] = [rate / share for rate in seen]
    return found


# ---- Functions of one's own


def compiled(function):
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)  # as AutoGraph would have it
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


@task
def alone(schedule, steps):
    """The rates that a Schedule gives to a function that is compiled, and has no optimizer."""
    rates = Schedule(lrcore.from_dict(schedule))
    function = compiled(lambda step: rates(step))  # noqa: PLW0108 - a function, and no object of Keras
    return [float(function(keras.ops.convert_to_tensor(step, "int32"))) for step in steps]


@task
def replicas(schedule, updates):
    """The rate that is read of an optimizer of several replicas, of which TensorFlow has no value as a whole."""
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["cpu:0"]).scope():
        model = network(keras.optimizers.SGD(Schedule(lrcore.from_dict(schedule))))
    ones = np.ones((updates, 1), np.float32)
    model.fit(ones, ones, batch_size=1, verbose=0)
    return [type(model.optimizer.iterations.value).__name__, learning_rate(model.optimizer)]


@task
def kernels(schedule):
    """What XLA makes of an update: its kernels, of a Schedule and of a decay of Keras."""
    import tensorflow as tf

    found = []
    for rate in (Schedule(lrcore.from_dict(schedule)), keras.optimizers.schedules.CosineDecay(0.1, 1000)):
        optimizer, weight, gradient = keras.optimizers.SGD(rate), keras.Variable([0.0]), tf.ones(1)
        optimizer.build([weight])
        apply = optimizer.apply
        update = tf.function(lambda: apply([gradient], [weight]), jit_compile=True)  # noqa: B023 - it is called at once
        program = update.experimental_get_compiler_ir()(stage="optimized_hlo")
        main = program[program.index("\nENTRY") :]
        found.append(sorted(re.findall(r" (copy|fusion|call|while|custom-call|gather|dynamic-slice)\(", main)))
    return found
