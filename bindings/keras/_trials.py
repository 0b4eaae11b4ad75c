"""Short runs of a model within `fit`, all from the same beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import keras

from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras._snapshot import Snapshot, seed_all


@contextmanager
def trials(model: Any, given: dict[str, Any], reinit: Any, seed: int) -> Iterator[Trial]:
    """Runs of a model, which is put back afterwards.

    Args:
        model: compiled.
        given: what `fit` takes.
        reinit: None, "reset" or a function: see `find_lr`.
        seed: of the first run, the others have the next ones.
    """
    with _settable(model):
        snapshot = _built(model, given)
        try:
            yield Trial(model, given, reinit, seed, snapshot)
        finally:
            snapshot.restore()


class Trial:
    """One run after another; see `trials`."""

    def __init__(self, model: Any, given: dict[str, Any], reinit: Any, seed: int, snapshot: Snapshot) -> None:
        self._model = model
        self._given = given
        self._reinit = reinit
        self._seed = seed
        self._snapshot = snapshot

    def fit(self, callback: keras.callbacks.Callback, run: int, epochs: int) -> None:
        """Trains from the beginning, with the random numbers of this run."""
        self._snapshot.restore_variables()
        seed_all((self._seed + run) % 2**31)
        if self._reinit is not None:
            _reinitialize(self._model, self._reinit)
        _fit(self._model, self._given, callback, epochs)


def _fit(model: Any, given: dict[str, Any], callback: keras.callbacks.Callback, epochs: int) -> None:
    callbacks = [*(given.get("callbacks") or ()), callback]
    model.fit(**{"verbose": 0, **given, "callbacks": callbacks, "epochs": epochs})


class _Begun(Exception):  # noqa: N818 - nothing has failed
    """`fit` has built what it trains."""


class _Begin(keras.callbacks.Callback):
    """Remembers the model when `fit` has built it, and ends that."""

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self.snapshot = Snapshot(self.model)
        raise _Begun


def _built(model: Any, given: dict[str, Any]) -> Snapshot:
    """The model before its first update. A first `fit` takes random numbers to build it, a second one does not."""
    begin = _Begin()
    with suppress(_Begun):
        _fit(model, {**given, "callbacks": None}, begin, 1)
    return begin.snapshot


@contextmanager
def _settable(model: Any) -> Iterator[None]:
    """Gives the model an optimizer of the same kind and state for a while, if its own follows a schedule."""
    optimizer = model.optimizer
    rate = getattr(_optimizers.unwrapped(optimizer), "_learning_rate", None)
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        yield
        return
    functions = ("train_function", "_jax_state_synced", "_jax_state")
    before = {name: getattr(model, name) for name in functions if hasattr(model, name)}
    was_built = optimizer.built
    double = _double(optimizer)
    if was_built:
        double.build(model.trainable_variables)
        _take(double, optimizer)
    model.optimizer, model.train_function = double, None
    try:
        yield
    finally:
        model.optimizer = optimizer
        for name, value in before.items():
            setattr(model, name, value)


def _double(optimizer: Any) -> Any:
    """An optimizer of the same settings, without state, whose rate is a number."""
    saved = keras.saving.serialize_keras_object(optimizer)
    config = saved["config"]
    while "inner_optimizer" in config:
        config = config["inner_optimizer"]["config"]
    if not isinstance(config["learning_rate"], float):
        config["learning_rate"] = 1.0
    return keras.saving.deserialize_keras_object(saved, custom_objects={type(optimizer).__name__: type(optimizer)})


def _take(into: Any, given: Any) -> None:
    """Copies the state of one optimizer into another, but for the rate."""
    pairs = zip(_state(into), _state(given), strict=True)
    for variable, value in pairs:
        variable.assign(value)


def _state(optimizer: Any) -> list[Any]:
    rate = getattr(_optimizers.unwrapped(optimizer), "_learning_rate", None)
    return [variable for variable in optimizer.variables if variable is not rate]


def _reinitialize(model: Any, reinit: str | Callable[[Any], object]) -> None:
    """Gives a model initial weights of its own, and its optimizer no state."""
    if callable(reinit):
        reinit(model)
    else:
        try:
            clone = keras.models.clone_model(model)
            model.set_weights(clone.get_weights())
        except (TypeError, ValueError, NotImplementedError, RuntimeError) as error:
            raise TypeError(
                f"find_lr.reinit: expected a function for a {type(model).__name__}, got 'reset', but Keras cannot make "
                "another one with weights: it sets the weights of the model that it is called with"
            ) from error
    fresh = _double(model.optimizer)
    fresh.build(model.trainable_variables)
    _take(model.optimizer, fresh)
