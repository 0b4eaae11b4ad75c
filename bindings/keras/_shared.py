"""What the callbacks of a training know of each other, kept with their model and in the files of its weights."""

# ruff: noqa: ARG002 - Keras gives the arguments of callbacks by these names

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

NAME = "lrcore_callbacks"  # of the model's attribute, and so of its part of a file


class Shared:
    """The callbacks of the training now, and what stays from one training of a model to the next.

    Keras gives callbacks no way to each other: the parameters are one dict in `fit` alone, but all have the model.

    Attributes:
        members: the callbacks, in the order of their list.
        driver: the one that sets the learning rate, while it trains.
        left_out: micro-batches of the epochs before the optimizer's first, of which its counter knows nothing.
        scaled: a rate before the plateaus scaled it, and the one that the optimizer got; None if there was none.
    """

    def __init__(self) -> None:
        self.members: list[Any] = []
        self.driver: Any = None
        self.left_out = 0
        self.scaled: tuple[float, float] | None = None
        self.is_complete = False

    def join(self, callback: Any) -> None:
        """Takes the next callback of a list, or the first one of another list."""
        if self.is_complete:
            self.members, self.driver, self.is_complete = [], None, False
        self.members.append(callback)

    def named(self) -> Iterator[tuple[str, Any]]:
        """The callbacks, by names that they have in another process too."""
        count: dict[str, int] = {}
        for member in self.members:
            name = member.name_of_state()
            count[name] = count.get(name, 0) + 1
            yield f"{name} {count[name]}", member


class _Saved(keras.layers.Layer):
    """Saved and loaded as a layer: Keras looks for its own classes among the attributes of a model."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared = shared

    def save_own_variables(self, store: Any) -> None:
        members = {}
        for at, (name, member) in enumerate(self.shared.named()):
            state, arrays = member.state()
            members[name] = {"at": at, "state": state, "arrays": len(arrays)}
            for place, array in enumerate(arrays):
                store[f"{at}.{place}"] = array
        state = {"left_out": self.shared.left_out, "scaled": self.shared.scaled, "members": members}
        store["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)

    def load_own_variables(self, store: Any) -> None:
        if "state" not in store.keys():  # noqa: SIM118 - of some files it is no dict
            return
        state = json.loads(np.asarray(store["state"]).astype(np.uint8).tobytes())
        self.shared.left_out = state["left_out"]
        self.shared.scaled = tuple(state["scaled"]) if state["scaled"] else None
        for name, member in self.shared.named():
            saved = state["members"].get(name)
            if saved and saved["state"] is not None:
                arrays = [np.asarray(store[f"{saved['at']}.{place}"]) for place in range(saved["arrays"])]
                member.restore(saved["state"], arrays)


class Member(keras.callbacks.Callback):
    """A callback that knows of the others of its training."""

    shared: Any = None  # from when it has a model

    def set_model(self, model: Any) -> None:
        """Meets the others: before anything is restored, which needs those whose state it is."""
        super().set_model(model)
        # Put like this it is no layer of the model, but what is saved is found by its attributes.
        attributes: dict[str, Any] = self.model.__dict__
        self.shared = attributes.setdefault(NAME, _Saved(Shared())).shared
        self.shared.join(self)

    def set_params(self, params: Any) -> None:
        """Keras sets these when all callbacks of a list have their model."""
        super().set_params(params)
        self._complete()

    def on_train_begin(self, logs: Any = None) -> None:
        """A list without parameters is complete by now."""
        self._complete()

    def _complete(self) -> None:
        if self.shared is not None:
            self.shared.is_complete = True

    def name_of_state(self) -> str:
        return type(self).__name__

    def state(self) -> tuple[Any, list[NDArray[Any]]]:
        """What is saved, as JSON has it, and arrays; None if nothing."""
        return None, []

    def restore(self, state: Any, arrays: list[NDArray[Any]]) -> None:
        """Takes what was saved."""


@contextmanager
def aside(model: Any) -> Iterator[None]:
    """Where the model is saved without any of it."""
    saved = vars(model).pop(NAME)
    try:
        yield
    finally:
        vars(model)[NAME] = saved
