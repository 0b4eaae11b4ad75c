"""An update of Keras' optimizers with layer rates, beside the plain optimizer, on each backend: 100 variables. And what
`_keras_fit` has of schedules.

Gradients are given, so that nothing but the update is timed: compiled on TensorFlow and JAX, as in a training step. A
process has one backend, so each has its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from bench import _keras_fit
from bench._measure import Kind, Line

PARTS = ("tensorflow", "jax", "torch")
VARIABLES, SIDE = 100, 64
BOUND, MOST_GROUPS = 1.3, 24
ROUNDS, LONGEST = 15, 12.0  # seconds of a line, beyond its first three rounds
UPDATES = 10  # of a round
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {})]
FOREACH: list[tuple[str, dict[str, Any]]] = [("Lion", {}), ("Adagrad", {})]  # on torch, where the way depends on it


def _variables() -> Any:
    """A layer that has them, as `layer_rates` asks for a model or a layer."""
    import keras

    keras.utils.set_random_seed(1)
    layer = keras.layers.Layer()
    for at in range(VARIABLES):
        layer.add_weight(shape=(SIDE, SIDE), name=f"block_{at}")
    return layer


def _updating(make: Callable[[Any], Any]) -> Callable[[], Any]:
    """Some updates of the model's variables by an optimizer; gives some weights of the first, whose multiplier is 1."""

    @cache
    def step() -> Callable[[], Any]:
        import keras
        import numpy as np

        model = _variables()
        optimizer, variables = make(model), model.trainable_variables
        optimizer.build(variables)
        random = np.random.default_rng(1)
        grads = [keras.ops.convert_to_tensor(random.normal(size=(SIDE, SIDE)).astype("float32")) for _ in variables]
        if keras.config.backend() == "jax":
            return _in_jax(optimizer, variables, grads)
        apply = lambda: optimizer.apply(grads, variables)  # noqa: E731
        if keras.config.backend() == "tensorflow":
            import tensorflow as tf

            apply = tf.function(apply)

        def stepped() -> Any:
            apply()
            return variables[0]

        return stepped

    def run() -> Any:
        import keras

        for _ in range(UPDATES):
            weight = step()()
        return keras.ops.convert_to_numpy(weight).ravel()[:UPDATES]

    return run


def _in_jax(optimizer: Any, variables: list[Any], grads: list[Any]) -> Callable[[], Any]:
    import jax

    compiled = jax.jit(optimizer.stateless_apply)
    state = [[each.value for each in optimizer.variables], [each.value for each in variables]]

    def step() -> Any:
        state[1], state[0] = compiled(state[0], grads, state[1])
        return jax.block_until_ready(state)[1][0]

    return step


def _rated(name: str, arguments: dict[str, Any], groups: int) -> Callable[[Any], Any]:
    def make(model: Any) -> Any:
        import keras

        from lrcore.bindings.keras import layer_rates
        from lrcore.groups import ByName

        optimizer = getattr(keras.optimizers, name)(1e-3, **arguments)
        of_group = [range(at, VARIABLES, groups) for at in range(groups)]
        patterns = ["|".join(f"/block_{number}$" for number in numbers) for numbers in of_group]
        return layer_rates(optimizer, model, [ByName(each, 0.9**at) for at, each in enumerate(patterns)])

    return make


def _plain(name: str, arguments: dict[str, Any]) -> Callable[[Any], Any]:
    def make(_: Any) -> Any:
        import keras

        return getattr(keras.optimizers, name)(1e-3, **arguments)

    return make


def environment(part: str) -> dict[str, str]:
    return {"KERAS_BACKEND": part}


def lines(quick: bool = False, parts: tuple[str, ...] = PARTS) -> Iterator[Line]:
    """Those of this process's backend, which has to be one of `parts`."""
    backend = os.environ["KERAS_BACKEND"]
    assert backend in parts
    on_torch = backend == "torch"
    optimizers = OPTIMIZERS[:1] if quick else OPTIMIZERS + FOREACH * on_torch
    for name, arguments in optimizers:
        for groups in (4, 24, 50, 100) if on_torch and not quick else (4, 24):
            yield Line(
                topic="keras",
                name=f"layer_rates on {backend}: {name}, {groups} multipliers",
                ours=_updating(_rated(name, arguments, groups)),
                peer=_updating(_plain(name, arguments)),
                count=UPDATES,
                kind=Kind.COST,
                unit="×",
                bound=BOUND if groups <= MOST_GROUPS else None,
                tolerance=1e-6,
                about={"backend": backend},
            )
    yield from _keras_fit.lines()
