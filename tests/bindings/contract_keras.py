"""Keras in the contract of test_contract.py: `fit` in the process of each backend, and a loop by hand on torch."""

import tempfile

import keras
import numpy as np
from keras_trainer import ask

from lrcore.bindings.keras import Schedule


def by_fit(driver, backend):
    """What the task "contract" of keras_schedule_tasks.py finds."""

    def rates(way, schedules, run):
        specs = {name: schedule.to_dict() for name, schedule in schedules.items()}
        with tempfile.TemporaryDirectory() as folder:
            found = ask(
                backend, "contract", driver=driver, way=way, schedules=specs, path=f"{folder}/model.keras", run=run
            )
        assert "error" not in found, found["error"]
        return found

    return rates


def taken(optimizer, updates, micro_batches=1, scale=1.0, state=None):
    """What each update takes from a weight of 0, by `apply` alone, which is eager on torch."""
    weight, gradient, zero = keras.Variable(np.zeros(1, np.float32)), keras.ops.full((1,), scale), keras.ops.zeros(1)
    optimizer.build([weight])
    if state is not None:
        optimizer.load_own_variables(state)
    for _ in range(updates):
        weight.assign(zero)
        for _ in range(micro_batches):
            optimizer.apply([gradient], [weight])
        yield -weight.value.item()


def resumed(schedule, run):
    optimizer, state = keras.optimizers.SGD(Schedule(schedule)), {}
    yield from taken(optimizer, run.stop)
    optimizer.save_own_variables(state)
    again = keras.optimizers.SGD.from_config(optimizer.get_config())
    yield from taken(again, run.updates - run.stop, state=state)


def by_hand(way, schedules, run):
    def of(schedule):
        if way == "resumed":
            return resumed(schedule, run)
        if way == "nested":
            inner = keras.optimizers.SGD(Schedule(schedule))
            return taken(keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0), run.updates, scale=8.0)
        count = run.micro_batches if way == "accumulated" else 1
        optimizer = keras.optimizers.SGD(Schedule(schedule), gradient_accumulation_steps=count if count > 1 else None)
        return taken(optimizer, run.updates, count)

    return {name: list(of(schedule)) for name, schedule in schedules.items()}


def rates(binding, way, schedules, run):
    if binding == "by hand":
        return by_hand(way, schedules, run)
    return by_fit(*binding.split())(way, schedules, run)
