"""The optax binding in the contract of test_contract.py: one optimizer for all schedules, compiled once."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrcore.bindings.optax import per_group, scale_by_groups, schedule, updates_done
from lrcore.groups import ByName


def zeros_like(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def revealed(optimizer, params, state=None, updates=200):
    """What each update takes from weights that are set to 0 before it, for a gradient of 1; and the last state."""

    def one(state, _):
        weights = zeros_like(params)
        changes, state = optimizer.update(jax.tree.map(jnp.ones_like, weights), state, weights)
        return state, jax.tree.map(jnp.negative, optax.apply_updates(weights, changes))

    state = optimizer.init(params) if state is None else state
    state, rates = jax.jit(lambda begin: jax.lax.scan(one, begin, length=updates))(state)
    return jax.tree.map(lambda each: np.asarray(each).tolist(), rates), state


def weight():
    return jnp.zeros((), jnp.float32)


def of_each(make, schedules):
    """An optimizer for each schedule and its weight, in one transformation that compiles once."""
    return optax.multi_transform(
        {name: make(schedule(s)) for name, s in schedules.items()}, {name: name for name in schedules}
    )


def params_of(schedules):
    return {name: weight() for name in schedules}


def resumed(make, schedules, run):
    """The state is the only thing that is kept."""
    first, state = revealed(of_each(make, schedules), params_of(schedules), updates=run.stop)
    state = pickle.loads(pickle.dumps(state))
    rest, state = revealed(of_each(make, schedules), params_of(schedules), state, run.updates - run.stop)
    assert updates_done(state) == run.updates
    return {name: first[name] + rest[name] for name in schedules}


def accumulated(make, schedules, run):
    optimizer = optax.MultiSteps(of_each(make, schedules), every_k_schedule=run.micro_batches)
    found, state = revealed(optimizer, params_of(schedules), updates=run.micro_batches * run.updates)
    assert updates_done(state) == run.updates
    last = run.micro_batches - 1
    assert not any(rate for rates in found.values() for at, rate in enumerate(rates) if at % (last + 1) != last)
    return {name: rates[last :: last + 1] for name, rates in found.items()}


def in_a_chain(make):
    return lambda rate: optax.chain(optax.clip(5.0), optax.chain(optax.trace(0.0), make(rate)))


def injected(rate):
    return optax.inject_hyperparams(optax.sgd)(learning_rate=rate)


def scaled(rate):
    """By 1/2 and then by 2, so that the bits stay."""
    return optax.chain(optax.sgd(rate), scale_by_groups(ByName(".", 0.5)), scale_by_groups(ByName(".", 2.0)))


BINDINGS = {
    "schedule": optax.sgd,
    "schedule, injected": injected,
    "per_group": lambda rate: per_group(rate.schedule),
    "scale_by_groups": scaled,
}


def rates(binding, way, schedules, run):
    make = BINDINGS[binding]
    if way in ("resumed", "accumulated"):
        return {"resumed": resumed, "accumulated": accumulated}[way](make, schedules, run)
    used = of_each(in_a_chain(make) if way == "nested" else make, schedules)
    found, state = revealed(used, params_of(schedules), updates=run.updates)
    assert updates_done(state) == run.updates
    if binding == "schedule, injected" and way == "fresh":
        for name, masked in state.inner_states.items():
            assert masked.inner_state.hyperparams["learning_rate"].item() == found[name][-1]
    return found
