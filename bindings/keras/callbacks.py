"""Keras 3: callbacks that set the learning rate of an optimizer, and one that shows it."""

# ruff: noqa: ARG002 - Keras gives the arguments of callbacks by these names

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, Literal

import keras
from keras import ops
from numpy.typing import NDArray

from lrcore import Schedule as Rates, _check
from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras._shared import CURE, Member
from lrcore.plateau import Plateau as Controller
from lrcore.schedule import is_schedule

AS_NUMBER = "give the optimizer a number, and the schedule to a ScheduleCallback"
Given = Rates | float | Callable[..., Any]
_unit = _check.choice("batch", "epoch")


class ScheduleCallback(Member):
    """Sets the learning rate of the optimizer by a schedule, before each batch or each epoch.

    The optimizer keeps a learning rate that is a variable, so a plateau, a finder and loggers work beside it; where no
    such thing is wanted, `Schedule` costs less. Beside a `Plateau` the rate is the schedule's, times the plateau's
    scale. `keras.callbacks.ReduceLROnPlateau` would be overwritten.

    By batches, the step is the number of updates that the optimizer has made: its own counter, which is saved and
    restored with it, also by `BackupAndRestore`, and which counts on where batches have another size. An optimizer
    that has made none when `fit(initial_epoch=...)` begins is a new one: the epochs left out are added to its counter,
    then and in the fits that follow: here, not for what counts by itself, as `scheduled` and `Schedule` do, which begin
    with step 0 then. By epochs, the step is the number of the epoch.

    What the optimizer's counter does not know, those epochs and the scale of a `Plateau`, is kept with the model's
    weights and comes back as a `Plateau`'s state does, not by `load_model` alone. A fit that begins with a later epoch
    warns if the batches before it are not those that are counted.

    Durations with units are bound to the run when it begins, to `epochs` of `fit` and the batches of an epoch. The
    rate that the last update of an epoch used stands in `history.history["learning_rate"]`.

    Args:
        schedule: a schedule, a number for a constant rate, or a function: of the step and the learning rate so far, as
            `scheduler(epoch, lr)`, or of the step alone, that gives a number or a tensor of one. The rate so far is
            that of the optimizer, without the scale of a `Plateau`. With accumulated gradients a function of the rate
            is asked once an update.
        unit: "batch" counts updates, "epoch" epochs, from 0. By default functions are of the epoch, as those that are
            written for Keras, and all else, schedules of Keras too, of the update.

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

    def __init__(self, schedule: Given, unit: Literal["batch", "epoch"] | None = None) -> None:
        super().__init__()
        is_function = callable(schedule) and not isinstance(schedule, Rates | type)
        where = type(self).__name__
        self.schedule: Any = schedule if is_function else is_schedule(f"{where}.schedule", schedule)
        self.unit: str = _usual_unit(self.schedule) if unit is None else _unit(f"{where}.unit", unit)
        self.value: float | None = None
        self._arguments = _arguments(self.schedule) if is_function else 1
        self._bound: Any = self.schedule
        self._epoch: int | None = None  # None until the first one of a training
        self._optimizer: Any = None
        self._evaluated: int | None = None  # the last step that a function of the rate was asked for

    def set_model(self, model: Any) -> None:
        """Another optimizer has made none of the updates."""
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not self._optimizer:
            self._optimizer, self._evaluated = optimizer, None
        super().set_model(model)

    def state(self) -> tuple[Any, list[NDArray[Any]]]:
        """What is saved."""
        return self._evaluated, []

    def restore(self, state: Any, arrays: list[NDArray[Any]]) -> None:
        """Takes what was saved."""
        self._evaluated = state

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks the optimizer, and binds the schedule to the run."""
        super().on_train_begin(logs)
        where = type(self).__name__
        optimizer = _optimizers.settable(where, self.model.optimizer, AS_NUMBER)
        if self.unit == "batch" and getattr(self.model, "steps_per_execution", 1) > 1:
            raise ValueError(
                f"{where}: expected a model that calls back for each batch, got one with steps_per_execution="
                f"{self.model.steps_per_execution}: give the schedule to the optimizer, by Schedule, or count epochs"
            )
        if self.shared.driver not in (None, self):
            raise ValueError(f"{where}: expected to set the learning rate alone, got another one in this fit")
        self.shared.driver = self
        if isinstance(self.schedule, Rates) and not self.schedule.is_bound:
            self._bound = self._bind(self.schedule, _optimizers.micro_batches(optimizer))
        self._epoch = None

    def _bind(self, schedule: Rates, micro_batches: int) -> Rates:
        epochs, steps = (self.params or {}).get("epochs"), (self.params or {}).get("steps")
        if self.unit == "epoch":
            return schedule.bind(total_steps=epochs, steps_per_epoch=1)
        total = epochs * steps if epochs and steps else None
        return schedule.bind(total_steps=total, steps_per_epoch=steps, micro_batches_per_update=micro_batches)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Sets the rate of an epoch."""
        self.shared.start()
        for plateau in self._plateaus():  # whose turn may come later
            plateau.on_epoch_begin(epoch)
        if self._epoch is None and self.unit == "batch":
            self._count(epoch)
        self._epoch = epoch
        if self.unit == "epoch":
            self._set(epoch)

    def _count(self, epoch: int) -> None:
        """Before the first epoch of a fit."""
        count, steps = _optimizers.count(self.model.optimizer), (self.params or {}).get("steps")
        if count == 0:
            self.shared.left_out = self._left_out(epoch)
        elif epoch > 0 and steps and not self.shared.is_counted and count != epoch * steps:
            warnings.warn(
                f"{type(self).__name__}: expected an optimizer that has seen the {epoch * steps} batches before epoch "
                f"{epoch}, got one that has seen {count}, and goes on from there. If epochs were left out: {CURE}",
                stacklevel=2,
            )
        self.shared.is_counted = True

    def _left_out(self, epochs: int) -> int:
        """The micro-batches of the epochs before the first one of a new optimizer."""
        steps: int | None = (self.params or {}).get("steps")
        if epochs == 0:
            return 0
        if steps is None:
            raise ValueError(
                f"{type(self).__name__}: expected to know the batches of an epoch, got none for initial_epoch={epochs} "
                "and an optimizer without its state: load the optimizer's state, or give fit steps_per_epoch"
            )
        return epochs * steps

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate of an update."""
        if self.unit == "batch":
            self._set(self._updates())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tells the history, as Keras' `LearningRateScheduler` does."""
        if logs is not None:
            logs.setdefault("learning_rate", _optimizers.rate_after(self.model.optimizer, None))

    def _updates(self) -> int:
        """The updates that are done, those left out among them."""
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        seen: int = _optimizers.count(optimizer) + self.shared.left_out
        return seen // _optimizers.micro_batches(optimizer)

    def _set(self, step: int) -> None:
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        has_memory = self._arguments == 2
        value = self._remembered(step, optimizer) if has_memory else self._number(self._bound(step))
        self.value = value
        for plateau in self._plateaus():
            self.value = plateau.plateau.scaled(self.value)
        _optimizers.set_rate(optimizer, self.value)
        is_scaled = has_memory and self.value != value
        self.shared.scaled = (value, _optimizers.rate_after(optimizer, None)) if is_scaled else None

    def _remembered(self, step: int, optimizer: Any) -> float:
        """What a function of the rate gives: once a step, of which accumulated gradients make several batches."""
        so_far = self._so_far(optimizer)
        if self.unit == "batch" and step == self._evaluated:
            return so_far
        self._evaluated = step
        return self._number(self._bound(step, so_far))

    def _number(self, given: Any) -> float:
        return _finite(f"{type(self).__name__}.schedule", given)

    def _so_far(self, optimizer: Any) -> float:
        """The rate that a function is given: as long as nothing else has set one, without the scale of plateaus."""
        rate = _optimizers.rate_after(optimizer, None)
        before, after = self.shared.scaled or (None, None)
        return before if before is not None and after == rate else rate

    def _plateaus(self) -> list[Plateau]:
        return [member for member in self.shared.members if isinstance(member, Plateau)]

    def on_train_end(self, logs: Any = None) -> None:
        """Forgets the run."""
        super().on_train_end(logs)
        self.shared.driver = None


def _usual_unit(schedule: Any) -> str:
    is_of_updates = isinstance(schedule, Rates | keras.optimizers.schedules.LearningRateSchedule)
    return "batch" if is_of_updates else "epoch"


def _arguments(function: Any) -> int:
    """How many of (step, learning rate) a function takes."""
    try:
        parameters = signature(function).parameters.values()
    except ValueError:  # of a function in C, which does not say
        return 1
    by_place = [one for one in parameters if one.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    several = len(by_place) > 1 or any(one.kind is Parameter.VAR_POSITIONAL for one in parameters)
    return 2 if several else 1


def _finite(where: str, given: Any) -> float:
    """A number, of what a function gave."""
    try:
        value = float(given if isinstance(given, int | float) else ops.convert_to_numpy(given))
    except (TypeError, ValueError):
        _check.refuse(where, "a function that gives a number", given, TypeError)
    if not math.isfinite(value):
        _check.refuse(where, "a function that gives a finite number", value)
    return value


class Plateau(Member, keras.callbacks.ReduceLROnPlateau):
    """Reduces the learning rate when a metric no longer improves: `lrcore.plateau.Plateau` as a callback of Keras.

    Beside a `ScheduleCallback` it multiplies the schedule's rates by its scale. Alone it does what Keras'
    `ReduceLROnPlateau` does: `max(factor * rate, min_lr)`, of the rate that the optimizer has.

    Its state, the best metric, the counts and the scale, is kept with the model's weights, in the files of
    `BackupAndRestore`, `ModelCheckpoint` and `save_weights`; put those callbacks after it in the list. It comes back
    where the model has its callbacks when the file is loaded: by `BackupAndRestore`, but by `load_model`, or by
    `load_weights` before `fit`, only if `callback.set_model(model)` is called for each, and then
    `model.load_weights(file)`, which takes a `.keras` file too. Several of one metric are told apart by their order.

    A fit that begins with epoch 0 forgets the state, one with an `initial_epoch` goes on, and warns if the epochs
    before it are not those that were seen; Keras always forgets.

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
        self._seen = 0  # epochs, those of the run before among them

    def name_of_state(self) -> str:
        """Its name in the files."""
        return f"Plateau {self.monitor}"

    def state(self) -> tuple[Any, list[NDArray[Any]]]:
        """What is saved."""
        return {**self.plateau.state_dict(), "seen": self._seen}, []

    def restore(self, state: Any, arrays: list[NDArray[Any]]) -> None:
        """Takes what was saved."""
        self.plateau.mode = state["mode"]  # which "auto" finds later
        self._seen = state["seen"]
        state = {name: value for name, value in state.items() if name != "seen"}
        self.plateau.load_state_dict(state, on_mismatch="keep_position")

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks the optimizer."""
        super().on_train_begin(logs)
        _optimizers.settable("Plateau", self.model.optimizer, AS_NUMBER)
        self._is_first = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Forgets what another run has left."""
        self.shared.start()
        if self._is_first and epoch == 0:
            self.plateau.reset()
        elif self._is_first and epoch != self._seen:
            warnings.warn(
                f"Plateau: expected to have seen the {epoch} epochs before this fit, got {self._seen}, with which it "
                f"goes on. To bring its state back: {CURE}",
                stacklevel=2,
            )
        self._is_first = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the metric, and reduces the rate if need be."""
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        logs = {} if logs is None else logs
        before = _optimizers.rate_after(optimizer, None)
        self._seen = epoch + 1
        logs.setdefault("learning_rate", before)  # another plateau may have reduced it by now
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
        if self.shared.driver is None:
            _optimizers.set_rate(optimizer, max(before * self.plateau.factor, min(self.plateau.min_value, before)))
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: Plateau reduces the learning rate, by {self.plateau.scale:g} in all.")


class LearningRateLogger(keras.callbacks.Callback):
    """Shows the learning rate in the progress bar and in `history.history`.

    It is the rate that the last update used: that of a `Schedule` or another schedule of Keras, or the number that a
    callback has set. Accumulated gradients have the rate of the update that they wait for.

    The last of an epoch is its value in the history. On JAX it makes the training wait for each batch. Put it before
    a callback that sets the rate when a batch has ended, as some finders do.

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
