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
CURE = (
    "put BackupAndRestore and ModelCheckpoint after it in the list; what a file holds of callbacks comes back if the "
    "model has them when the file is loaded: after load_model too, call callback.set_model(model) for each, and then "
    "model.load_weights(file)"
)


class Shared:
    """The callbacks of the training now, and what stays from one training of a model to the next.

    Keras gives callbacks no way to each other: the parameters are one dict in `fit` alone, but all have the model.

    Attributes:
        joined: the callbacks of the list that has the model now, which may be that of an evaluation.
        members: those that train, in the order of their list.
        driver: the one that sets the learning rate, while it trains.
        left_out: micro-batches of the epochs before the optimizer's first, of which its counter knows nothing.
        is_counted: whether those are known.
        scaled: a rate before the plateaus scaled it, and the one that the optimizer got; None if there was none.
    """

    def __init__(self) -> None:
        self.joined: list[Any] = []
        self.members: list[Any] = []
        self.driver: Any = None
        self.left_out = 0
        self.is_counted = False
        self.scaled: tuple[float, float] | None = None
        self.is_complete = False
        self._begun: list[Any] = []  # of a list whose first epoch is still to come

    def join(self, callback: Any) -> None:
        """Takes the next callback of a list, or the first one of another list."""
        if self.is_complete:
            self.joined, self._begun, self.is_complete = [], [], False
        self.joined = [*(one for one in self.joined if one is not callback), callback]  # it may have joined by hand

    def begin(self, callback: Any) -> None:
        """The next callback of a list that begins to train."""
        if any(one is callback for one in self._begun):
            raise ValueError(
                f"{type(callback).__name__}: expected to stand in the list of callbacks once, got it twice"
            )
        if not self._begun:
            self.members, self.driver = list(self.joined), None
        self._begun.append(callback)

    def start(self) -> None:
        """All have begun: what has joined by hand alone is none of them."""
        if self._begun:
            self.members, self._begun = self._begun, []

    def end(self) -> None:
        """The training has ended, perhaps before its first epoch."""
        self._begun = []

    @staticmethod
    def named(callbacks: list[Any]) -> Iterator[tuple[str, Any]]:
        """Callbacks, by names that they have in another process too."""
        count: dict[str, int] = {}
        for member in callbacks:
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
        for at, (name, member) in enumerate(self.shared.named(self.shared.members)):
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
        self.shared.left_out, self.shared.is_counted = state["left_out"], True
        self.shared.scaled = tuple(state["scaled"]) if state["scaled"] else None
        for name, member in self.shared.named(self.shared.joined):
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
        self.shared.begin(self)

    def on_train_end(self, logs: Any = None) -> None:
        """Forgets the list."""
        self.shared.end()

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
