"""What a trial run of a model changes, as it is now, and all of it put back."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
from numpy.typing import NDArray

Undo = Callable[[], None]
ATTRIBUTES = ("stop_training", "history", "_initial_epoch")


class Snapshot:
    """Remembers a model that is built, its optimizer, and the global random numbers.

    Weights, counters of seed generators, metrics, all variables of the optimizer, and the attributes that `fit` sets
    are put back; those are numbers of the same bits, in the same variables. What a Python object of the user's holds,
    as a dataset that shuffles itself, is not seen.
    """

    def __init__(self, model: Any) -> None:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._model = model
        self._attributes = {name: getattr(model, name) for name in ATTRIBUTES if hasattr(model, name)}
        every = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
        self._variables = [(one, _copied(one)) for one in {id(one): one for one in every}.values()]
        self._random = _random_numbers()

    def restore(self) -> None:
        """Puts all back; it can be called again."""
        self.restore_variables()
        for name, value in self._attributes.items():
            setattr(self._model, name, value)
        for undo in self._random:
            undo()

    def restore_variables(self) -> None:
        """Puts back what is trained, and not the random numbers."""
        if hasattr(self._model, "_jax_state_synced"):
            self._model._jax_state_synced = True  # what JAX's step has not yet written back is dropped
        for variable, value in self._variables:
            variable.assign(value)


def _copied(variable: Any) -> NDArray[Any]:
    return np.array(ops.convert_to_numpy(variable))


def _random_numbers() -> list[Undo]:
    """Of Python, NumPy and Keras, and of the frameworks that are loaded: data may be shuffled by another one."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 (it is the one that users have)
    undone: list[Undo] = [lambda: random.setstate(state), lambda: np.random.set_state(numpy_state)]  # noqa: NPY002
    undone.append(_keras_generator())
    if "tensorflow" in sys.modules:
        undone.append(_tensorflow_seeds())
    if "torch" in sys.modules:
        import torch

        torch_state = torch.get_rng_state()
        undone.append(lambda: torch.set_rng_state(torch_state))
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            states = torch.cuda.get_rng_state_all()
            undone.append(lambda: torch.cuda.set_rng_state_all(states))
    return undone


def _keras_generator() -> Undo:
    """The generator of layers without a seed, which is made when it is first used."""
    generator = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    value = None if generator is None else _copied(generator.state)

    def undo() -> None:
        global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, generator)
        if generator is not None:
            generator.state.assign(value)

    return undo


def _tensorflow_seeds() -> Undo:
    """TensorFlow's global seed, and the seeds of the operations that come next."""
    from tensorflow.python.eager import context

    eager = context.context()
    seed, generator = eager._seed, getattr(eager, "_rng", None)
    state = None if generator is None else generator.getstate()

    def undo() -> None:
        eager._set_global_seed(seed)  # which also forgets the kernels, each with numbers of its own
        if generator is not None:
            generator.setstate(state)
            eager._rng = generator

    return undo


def seed_all(seed: int) -> None:
    """Seeds what data are shuffled with. Generators of layers, and Keras' own, keep the state that they have."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if "tensorflow" in sys.modules:
        import tensorflow

        tensorflow.random.set_seed(seed)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)
