"""Keras 3: cosine annealing with warm restarts, by a callback that keeps the weights of each cycle's end."""

# ruff: noqa: ARG002 - Keras gives the arguments of callbacks by these names

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lrcore import _check, recipes
from lrcore._anatomy import is_restart
from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras.callbacks import ScheduleCallback

_snapshots = _check.whole(0, what="a number of snapshots")


class SGDR(ScheduleCallback):
    """Cosine annealing with warm restarts, which keeps the weights of the end of each cycle.

    The rates are those of `lrcore.sgdr(init_value, end_value, period, period_mult)`. At the end of a cycle the model
    has settled in a minimum, and the restart takes it to another: the mean of what these predict, a snapshot ensemble,
    is often better than the last.

    Args:
        init_value: the rate at each restart.
        end_value: the rate that each cycle ends near; the restart takes its place.
        period: the length of the first cycle, in the unit, >= 1, or a text such as "5ep".
        period_mult: factor from the length of each cycle to the next, >= 1.
        unit: "batch" counts updates, "epoch" epochs.
        keep: how many snapshots are kept in memory, the last ones; None keeps all.
        path: where each is saved too, as in "cycle-{step}.weights.h5", with the step of its restart.

    Attributes:
        snapshots: the kept weights, as `model.get_weights()` gives them, the oldest first.

    Raises:
        TypeError, ValueError: arguments outside of these; and as `ScheduleCallback`.

    Reference: Loshchilov and Hutter, SGDR (2017); Huang et al., Snapshot Ensembles: Train 1, Get M for Free (2017).
    Also known as: Keras `CosineDecayRestarts`, without snapshots.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(), loss="mse")
        >>> callback = SGDR(0.1, 0.0, period=2, period_mult=2, unit="epoch")
        >>> history = model.fit(np.ones((4, 1)), np.ones(4), epochs=6, callbacks=[callback], verbose=0)
        >>> len(callback.snapshots), callback.predict(np.ones((4, 1)), verbose=0).shape
        (2, (4, 1))
    """

    def __init__(
        self,
        init_value: float,
        end_value: float,
        period: int | str,
        period_mult: float = 1,
        *,
        unit: Literal["batch", "epoch"] = "batch",
        keep: int | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(recipes.sgdr(init_value, end_value, period, period_mult), unit)
        self.keep = None if keep is None else _snapshots("SGDR.keep", keep)
        self.path = None if path is None else os.fspath(path)
        self.snapshots: list[list[NDArray[Any]]] = []
        self._kept_at = 0  # the step of the last restart that was seen
        self._epochs = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins anew: a second model's weights are not the first one's."""
        super().on_train_begin(logs)
        self.snapshots, self._kept_at = [], 0

    def _set(self, step: int) -> None:
        self._keep(step)  # the weights are still those of the end of the cycle
        super()._set(step)

    def _keep(self, step: int) -> None:
        if step == self._kept_at or not is_restart(self._bound, step):
            return
        self._kept_at = step
        if self.keep != 0:
            self.snapshots.append(self.model.get_weights())
            del self.snapshots[: -self.keep if self.keep else 0]
        if self.path is not None:
            self.model.save_weights(self.path.format(step=step))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Counts the epochs."""
        self._epochs = epoch + 1

    def on_train_end(self, logs: Any = None) -> None:
        """Keeps the last cycle too, if the training ends with it."""
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        seen = _optimizers.count(optimizer) + (self._left_out or 0)
        self._keep(self._epochs if self.unit == "epoch" else seen // _optimizers.micro_batches(optimizer))
        super().on_train_end(logs)

    def predict(self, x: Any, **arguments: Any) -> NDArray[Any]:
        """The mean of what the snapshots predict; the model keeps its weights.

        Args:
            x: what `model.predict` takes, of a model with one output.
            arguments: its other arguments.

        Raises:
            ValueError: no snapshots.
        """
        if not self.snapshots:
            raise ValueError("SGDR.predict: expected snapshots in memory, got none: no cycle has ended, or keep is 0")
        before = self.model.get_weights()
        try:
            found = [self._predicted(weights, x, arguments) for weights in self.snapshots]
        finally:
            self.model.set_weights(before)
        return np.asarray(np.mean(found, axis=0))

    def _predicted(self, weights: list[NDArray[Any]], x: Any, arguments: dict[str, Any]) -> Any:
        self.model.set_weights(weights)
        return self.model.predict(x, **arguments)
