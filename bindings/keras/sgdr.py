"""Keras 3: cosine annealing with warm restarts, by a callback that keeps the weights of each cycle's end."""

from __future__ import annotations

import os
import warnings
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from lrcore import _check, recipes
from lrcore._anatomy import is_restart
from lrcore.bindings.keras._shared import CURE, aside
from lrcore.bindings.keras.callbacks import ScheduleCallback

_snapshots = _check.whole(0, what="a number of snapshots")


class SGDR(ScheduleCallback):
    """Cosine annealing with warm restarts, which keeps the weights of the end of each cycle.

    The rates are those of `lrcore.sgdr(init_value, end_value, period, period_mult)`. At the end of a cycle the model
    has settled in a minimum, and the restart takes it to another: the mean of what these predict, a snapshot ensemble,
    is often better than the last.

    A fit that goes on where the last one stopped goes on with its snapshots, one that begins with step 0 has none at
    first. Until it ends they are saved with the model's weights, in the files of `BackupAndRestore` and
    `ModelCheckpoint`, which so hold several models; `keep` bounds their number. They come back as a `Plateau`'s state
    does, by `BackupAndRestore`; by `load_model` only if `callback.set_model(model)` and then `model.load_weights(file)`
    are called. A fit that begins behind a restart whose snapshot it does not know of warns.

    Args:
        init_value: the rate at each restart.
        end_value: the rate that each cycle ends near; the restart takes its place.
        period: the length of the first cycle, in the unit, >= 1, or a text such as "5ep".
        period_mult: factor from the length of each cycle to the next, >= 1.
        unit: "batch" counts updates, "epoch" epochs.
        keep: how many snapshots are kept in memory, the last ones; None keeps all.
        path: where each is saved too, by itself, as in "cycle-{step}.weights.h5", with the step of its restart.

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
        self._kept: dict[int, list[NDArray[Any]]] = {}  # by the step of the restart
        self._kept_at = 0  # that of the last one
        self._is_first = False  # before the first step of a training

    @property
    def snapshots(self) -> list[list[NDArray[Any]]]:
        """The kept weights, the oldest first."""
        return list(self._kept.values())

    def set_model(self, model: Any) -> None:
        """Begins anew with another model: its weights are not the first one's."""
        if model is not self._model:
            self._kept, self._kept_at = {}, 0
        super().set_model(model)

    def state(self) -> tuple[Any, list[NDArray[Any]]]:
        """What is saved while it trains."""
        if self.shared.driver is not self:
            return None, []
        return [self._kept_at, *self._kept], [array for weights in self._kept.values() for array in weights]

    def restore(self, state: Any, arrays: list[NDArray[Any]]) -> None:
        """Takes what was saved."""
        self._kept_at, *steps = state
        size = len(arrays) // max(len(steps), 1)
        self._kept = {step: arrays[at * size : (at + 1) * size] for at, step in enumerate(steps)}

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks the optimizer, and binds the schedule to the run."""
        super().on_train_begin(logs)
        self._is_first = True

    def _set(self, step: int) -> None:
        if self._is_first and step > self._bound.period and self._kept_at == 0 and self.keep != 0:
            warnings.warn(
                f"SGDR: expected to know of the cycles before step {step}, with which this fit begins, got no "
                f"snapshots: those that come are the first. To bring others back: {CURE}",
                stacklevel=2,
            )
        self._is_first = False
        self._keep(step)  # the weights are still those of the end of the cycle
        super()._set(step)

    def _keep(self, step: int) -> None:
        if step < self._kept_at:  # the training has begun anew, or gone back to a saved state
            self._kept = {at: weights for at, weights in self._kept.items() if at <= step}
            self._kept_at = max(self._kept, default=0)
        if step == self._kept_at or not is_restart(self._bound, step):
            return
        self._kept_at = step
        if self.path is not None:
            with aside(self.model):
                self.model.save_weights(self.path.format(step=step))
        if self.keep != 0:
            self._kept[step] = self.model.get_weights()
        while self.keep is not None and len(self._kept) > self.keep:
            del self._kept[min(self._kept)]

    def on_train_end(self, logs: Any = None) -> None:
        """Keeps the last cycle too, if the training ends with it."""
        if self._epoch is not None:
            self._keep(self._epoch + 1 if self.unit == "epoch" else self._updates())
        super().on_train_end(logs)

    def predict(self, x: Any, **arguments: Any) -> Any:
        """The mean of what the snapshots predict, of each output by itself; the model keeps its weights.

        Args:
            x: what `model.predict` takes.
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
        return keras.tree.map_structure(lambda *each: np.mean(each, axis=0), *found)

    def _predicted(self, weights: list[NDArray[Any]], x: Any, arguments: dict[str, Any]) -> Any:
        self.model.set_weights(weights)
        return self.model.predict(x, **arguments)
