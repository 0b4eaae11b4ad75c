"""Keras 3: callbacks that set the learning rate of an optimizer, and one that shows it."""

# ruff: noqa: ARG002 - Keras gives the arguments of callbacks by these names

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from lrcore import Schedule as Rates, _check
from lrcore.bindings.keras import _optimizers
from lrcore.plateau import Plateau as Controller
from lrcore.schedule import is_schedule

# Keras hands the same dict, `params`, to all callbacks of a fit: through it they know of each other.
PLATEAUS, DRIVER = "lrcore.plateaus", "lrcore.driver"
AS_NUMBER = "give the optimizer a number, and the schedule to a ScheduleCallback"
Given = Rates | float | Callable[..., Any]
_unit = _check.choice("batch", "epoch")


def _share(callback: Any, key: str, empty: Any) -> Any:
    """What the callbacks of this fit know under a key."""
    if callback.params is None:  # a training loop that calls the callbacks by itself
        callback.params = {}
    return callback.params.setdefault(key, empty)


class ScheduleCallback(keras.callbacks.Callback):
    """Sets the learning rate of the optimizer by a schedule, before each batch or each epoch.

    The optimizer keeps a learning rate that is a variable, so a plateau, a finder and loggers work beside it; where no
    such thing is wanted, `Schedule` costs less. Beside a `Plateau` the rate is the schedule's, times the plateau's
    scale. `keras.callbacks.ReduceLROnPlateau` would be overwritten.

    By batches, the step is the number of updates that the optimizer has made: its own counter, which is saved and
    restored with it, also by `BackupAndRestore`. Where an optimizer begins anew in `fit(initial_epoch=...)`, the epochs
    left out are added to it. By epochs, the step is the number of the epoch.

    Durations with units are bound to the run when it begins, to `epochs` of `fit` and the batches of an epoch.

    Args:
        schedule: a schedule, a number for a constant rate, or a function: of the step and the learning rate so far, as
            `scheduler(epoch, lr)`, or of the step alone, that gives a number or a tensor of one.
        unit: "batch" counts updates, "epoch" epochs, from 0.

    Attributes:
        value: the rate that was set last, as float64; None before.

    Raises:
        TypeError: no schedule and no function; no known unit.
        ValueError: when the training begins: an optimizer that itself has a schedule, or several rates; by batches, a
            model with `steps_per_execution`, whose batches in between no callback sees. A function that gives no finite
            number.

    Also known as: Keras `LearningRateScheduler`, which takes functions of the epoch alone.

    Example:
        >>> import keras, numpy as np
        >>> from lrcore import Linear
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(), loss="mse")
        >>> callbacks = [ScheduleCallback(Linear(0.5, 0.0, "2ep")), LearningRateLogger()]
        >>> history = model.fit(np.ones((4, 1)), np.ones(4), 2, epochs=3, callbacks=callbacks, verbose=0)
        >>> history.history["learning_rate"]
        [0.375, 0.125, 0.0]
    """

    def __init__(self, schedule: Given, unit: Literal["batch", "epoch"] = "batch") -> None:
        super().__init__()
        is_function = callable(schedule) and not isinstance(schedule, Rates | type)
        self.schedule: Any = schedule if is_function else is_schedule("ScheduleCallback.schedule", schedule)
        self.unit: str = _unit("ScheduleCallback.unit", unit)
        self.value: float | None = None
        self._arguments = _arguments(self.schedule) if is_function else 1
        self._given: float | None = None  # the last value before any plateau
        self._bound: Any = self.schedule
        self._left_out: int | None = 0  # micro-batches; None until the first epoch says which it is

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks the optimizer, and binds the schedule to the run."""
        optimizer = _optimizers.settable("ScheduleCallback", self.model.optimizer, "a ScheduleCallback would be idle")
        if self.unit == "batch" and getattr(self.model, "steps_per_execution", 1) > 1:
            raise ValueError(
                f"ScheduleCallback: expected a model that calls back for each batch, got one with steps_per_execution="
                f"{self.model.steps_per_execution}: give the schedule to the optimizer, by Schedule, or count epochs"
            )
        if _share(self, DRIVER, self) is not self:
            raise ValueError("ScheduleCallback: expected to set the learning rate alone, got another one in this fit")
        if isinstance(self.schedule, Rates) and not self.schedule.is_bound:
            self._bound = self._bind(self.schedule, _optimizers.micro_batches(optimizer))
        self._left_out = None

    def _bind(self, schedule: Rates, micro_batches: int) -> Rates:
        epochs, steps = (self.params or {}).get("epochs"), (self.params or {}).get("steps")
        if self.unit == "epoch":
            return schedule.bind(total_steps=epochs, steps_per_epoch=1)
        total = epochs * steps if epochs and steps else None
        return schedule.bind(total_steps=total, steps_per_epoch=steps, micro_batches_per_update=micro_batches)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Sets the rate of an epoch."""
        if self._left_out is None and self.unit == "batch":
            self._left_out = self._epochs_left_out(epoch)
        if self.unit == "epoch":
            self._set(epoch)

    def _epochs_left_out(self, epoch: int) -> int:
        """The micro-batches of whole epochs before this one that the optimizer knows nothing of.

        Fewer than an epoch are no sign of a new optimizer: updates may have been skipped.
        """
        seen, steps = _optimizers.count(self.model.optimizer), (self.params or {}).get("steps")
        if epoch > 0 and seen == 0 and steps is None:
            raise ValueError(
                f"ScheduleCallback: expected to know the batches of an epoch, got none for initial_epoch={epoch} and "
                "an optimizer without its state: load the optimizer's state, or give fit steps_per_epoch"
            )
        return max((epoch * steps - seen) // steps, 0) * steps if steps else 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate of an update."""
        if self.unit == "batch":
            optimizer = _optimizers.unwrapped(self.model.optimizer)
            seen = _optimizers.count(optimizer) + (self._left_out or 0)
            self._set(seen // _optimizers.micro_batches(optimizer))

    def _set(self, step: int) -> None:
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        plateaus = _share(self, PLATEAUS, [])
        if self._arguments == 1:
            value = self._bound(step)
        else:
            is_scaled = self._given is not None and any(plateau.scale != 1.0 for plateau in plateaus)
            value = self._bound(step, self._given if is_scaled else _optimizers.rate_after(optimizer, None))
        self._given = value = _finite(value)
        for plateau in plateaus:
            value = plateau.scaled(value)
        self.value = value
        _optimizers.set_rate(optimizer, value)

    def on_train_end(self, logs: Any = None) -> None:
        """Forgets the run."""
        (self.params or {}).pop(DRIVER, None)


def _arguments(function: Any) -> int:
    """How many of (step, learning rate) a function takes."""
    try:
        parameters = signature(function).parameters.values()
    except ValueError:  # of a function in C, which does not say
        return 1
    by_place = [one for one in parameters if one.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    several = len(by_place) > 1 or any(one.kind is Parameter.VAR_POSITIONAL for one in parameters)
    return 2 if several else 1


def _finite(given: Any) -> float:
    """A number, of what a function gave."""
    try:
        value = float(given if isinstance(given, int | float) else ops.convert_to_numpy(given))
    except (TypeError, ValueError):
        _check.refuse("ScheduleCallback.schedule", "a function that gives a number", given, TypeError)
    if not math.isfinite(value):
        _check.refuse("ScheduleCallback.schedule", "a function that gives a finite number", value)
    return value


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """Reduces the learning rate when a metric no longer improves: `lrcore.plateau.Plateau` as a callback of Keras.

    Beside a `ScheduleCallback` it multiplies the schedule's rates by its scale. Alone it does what Keras'
    `ReduceLROnPlateau` does: `max(factor * rate, min_lr)`, of the rate that the optimizer has.

    Its state, the best metric, the counts and the scale, is kept with the model's weights, in the files of
    `BackupAndRestore`, `ModelCheckpoint` and `save_weights`, and comes back with them; put those callbacks after it in
    the list. A fit that begins with epoch 0 forgets it, one with an `initial_epoch` goes on; Keras always forgets.

    Args:
        monitor: the metric, by its name in the logs.
        factor: what the rate is multiplied by, >= 0 and < 1.
        patience: epochs without improvement before the rate is reduced.
        verbose: 1 prints when it is.
        mode: "min" if lower is better, "max" if higher is; "auto" as Keras knows the metric.
        min_delta: the margin by which a metric must be better.
        cooldown: epochs after a reduction that count as no plateau.
        min_lr: the rate is never reduced below it.

    Attributes:
        plateau: the controller: `lrcore.plateau.Plateau`.

    Raises:
        TypeError, ValueError: arguments outside of these; when the training begins, an optimizer that itself has a
            schedule, or several rates.

    Also known as: Keras `ReduceLROnPlateau`.

    Example:
        >>> callback = Plateau("loss", factor=0.5, patience=2)
        >>> callback.plateau
        Plateau(factor=0.5, patience=2, mode='min', threshold=0.0001, threshold_mode='abs', cooldown=0, min_scale=0.0,
                min_value=0.0, convention='keras', on_nan='bad')
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: Literal["auto", "min", "max"] = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        _check.choice("auto", "min", "max")("Plateau.mode", mode)
        self.plateau = Controller(
            factor,
            patience,
            mode="max" if mode == "max" else "min",
            threshold=min_delta,
            cooldown=cooldown,
            min_value=min_lr,
            convention="keras",
        )
        super().__init__(monitor, factor, patience, verbose, mode, min_delta, cooldown, min_lr)
        self._is_first = False

    def set_model(self, model: Any) -> None:
        """Puts the state beside the model's weights, before anything restores these."""
        super().set_model(model)
        # As it is not tracked, it is no layer of the model; but what is saved is found by its attributes.
        object.__setattr__(model, f"lrcore_plateau_{self.monitor}", _State(self.plateau))

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks the optimizer."""
        _optimizers.settable("Plateau", self.model.optimizer, AS_NUMBER)
        _share(self, PLATEAUS, []).append(self.plateau)
        self._is_first = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Forgets what another run has left."""
        if self._is_first and epoch == 0:
            self.plateau.reset()
        self._is_first = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the metric, and reduces the rate if need be."""
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        logs = {} if logs is None else logs
        before = _optimizers.rate_after(optimizer, None)
        logs["learning_rate"] = before
        if self.monitor not in logs:
            listed = ", ".join(sorted(map(str, logs)))
            warnings.warn(
                f"Plateau.monitor: expected a metric of this epoch ({listed}), got {self.monitor!r}", stacklevel=2
            )
            return
        if self.monitor_op is None:  # now that the metrics exist, of which Keras knows what is better
            self._set_monitor_op()
            self.plateau.mode = "min" if self.monitor_op is ops.less else "max"
        if not self.plateau.observe(logs[self.monitor]):
            return
        if not (self.params or {}).get(DRIVER):
            _optimizers.set_rate(optimizer, max(before * self.plateau.factor, min(self.plateau.min_value, before)))
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: Plateau reduces the learning rate, by {self.plateau.scale:g} in all.")

    def on_train_end(self, logs: Any = None) -> None:
        """Forgets the run, not the state."""
        (self.params or {}).pop(PLATEAUS, None)


class _State(keras.layers.Layer):
    """The state of a controller, which Keras saves and loads as that of a layer."""

    def __init__(self, plateau: Controller) -> None:
        super().__init__()
        self.plateau = plateau

    def save_own_variables(self, store: Any) -> None:
        text = json.dumps(self.plateau.state_dict()).encode()
        store["state"] = np.frombuffer(text, np.uint8)

    def load_own_variables(self, store: Any) -> None:
        if "state" in store.keys():  # noqa: SIM118 - of some files it is no dict
            state = json.loads(np.asarray(store["state"]).astype(np.uint8).tobytes())
            self.plateau.mode = state["mode"]  # which "auto" finds later
            self.plateau.load_state_dict(state, on_mismatch="keep_position")


class LearningRateLogger(keras.callbacks.Callback):
    """Shows the learning rate in the progress bar and in `history.history`.

    It is the rate that the last update used: that of a `Schedule` or another schedule of Keras, or the number that a
    callback has set. Accumulated gradients have the rate of the update that they wait for.

    The last of an epoch is its value in the history. On JAX it makes the training wait for each batch.

    Args:
        name: what it is called.

    Also known as: the `get_lr_metric` of many recipes, a metric, which JAX would compute from a rate that it has kept
    since the training step was traced.

    Example:
        >>> import keras, numpy as np
        >>> from lrcore import Linear
        >>> from lrcore.bindings.keras import Schedule
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(Schedule(Linear(0.5, 0.0, 4))), loss="mse")
        >>> history = model.fit(np.ones((4, 1)), np.ones(4), 2, epochs=3, callbacks=[LearningRateLogger()], verbose=0)
        >>> history.history["learning_rate"]
        [0.375, 0.125, 0.0]
    """

    def __init__(self, name: str = "learning_rate") -> None:
        super().__init__()
        if not isinstance(name, str):
            _check.refuse("LearningRateLogger.name", "a text", name, TypeError)
        self.name = name
        self._last: float | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Takes the rate of the update."""
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        has_schedule = not isinstance(getattr(optimizer, "_learning_rate", None), keras.Variable)
        seen = max(_optimizers.count(optimizer) - 1, 0) if has_schedule else None
        self._last = _optimizers.rate_after(optimizer, seen)
        if logs is not None:
            logs[self.name] = self._last

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tells the history."""
        if logs is not None and self._last is not None:
            logs[self.name] = self._last
