"""Monitor: watches a training of Keras, says when it fails and why, and mends it when asked."""

# ruff: noqa: ARG002 - Keras gives the arguments of callbacks by these names

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from lrcore import monitor as core
from lrcore._advice import KEEP_EVERY, LOWERED, OnFailure, checked_action, restores
from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras._shared import Member
from lrcore.bindings.keras._signals import Signals, copied
from lrcore.bindings.keras.callbacks import ScheduleCallback
from lrcore.monitor import Diagnosis

AS_NUMBER = (
    "to lower it, it must be a variable: give the optimizer a number, and the schedule to a ScheduleCallback; or take "
    "on_failure='stop' or a function"
)


class Monitor(Member):
    """Watches a training, and says at which update it fails, why, and which learning rate to take instead.

    It is `lrcore.monitor.Monitor` as a callback of `fit`. A callback stands between two batches, so it sees

    - the loss of each batch itself, with what regularizers add: the difference of the sums that Keras' mean over the
      epoch is made of, so that the metrics stay as they are;
    - at each of the first updates (two epochs) and then at one of 50: the sizes of the updates, and the gradient of the
      first layer, from what the update added to the slots of Adam, Nadam, Adamax, Lion, RMSprop, or of SGD with
      momentum; of another optimizer only that the first weights stood still;
    - with a `probe` then, too, how far the logits differ over it, and, of a model of the functional API, the active
      units of its rectifiers and how far Adam's first update moves the outputs of its first layer.

    It does not see the gradients of other layers, nor the units of the batch itself. Without a probe a dead net is told
    by the gradient of the first layer alone; where that cannot be seen, as with accumulated gradients, by its loss.
    With `steps_per_execution`, so many updates are one, with the mean of their losses. On JAX the training waits for
    each batch. Put it after a `ScheduleCallback` in the list of callbacks; Keras' own `LearningRateScheduler` would set
    its rate over a lowered one.

    Args:
        probe: inputs, as the model takes them: an array, or a structure of arrays; the first 256 examples are taken.
        on_failure: what an alarm does. None: nothing, it is kept in `diagnoses`. "stop" ends `fit`, and warns.
            "restore_and_lower" puts the last healthy state back (all variables of the model and of the optimizer) and
            multiplies the rate by what the advice says: the optimizer's, or what a `ScheduleCallback` sets from then
            on, whose schedule goes on. That state is the initial one until the run has learnt something, and the
            metrics of that epoch begin anew. (A run that fails because the rate is too low goes on from where it is, at
            a higher one.) A function is called with the diagnosis.
        max_restores: how often it restores; after that an alarm stops.
        prior_entropy: as `label_counts`, `classes` and `finder_lr`: see `lrcore.monitor.Monitor`.
        label_counts: how often each label occurs.
        classes: how many there are.
        batches_per_epoch: updates of an epoch; by default what `fit` tells.
        finder_lr: what a finder has suggested.

    Attributes:
        diagnosis: what is to be said now.
        diagnoses: those of all alarms, in their order.
        restores: how often it has restored.

    Raises:
        TypeError, ValueError: arguments outside of these; when the training begins, an optimizer of several learning
            rates, and with "restore_and_lower", one that has a schedule itself, or a `ScheduleCallback` later in the
            list; meanwhile, a training step that tells no loss.

    Also known as: Keras `TerminateOnNaN`, which sees what is not finite alone.

    Example:
        >>> import keras, numpy as np
        >>> inputs, labels = np.ones((64, 3)), np.arange(64) % 2
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> model.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> monitor = Monitor(classes=2, on_failure="stop")
        >>> _ = model.fit(inputs, labels, batch_size=16, callbacks=[monitor], verbose=0)
        >>> monitor.diagnosis.verdict, monitor.diagnosis.evidence["steps"]
        ('healthy', 4)
    """

    def __init__(
        self,
        probe: Any = None,
        *,
        on_failure: OnFailure = None,
        max_restores: int = 5,
        prior_entropy: float | None = None,
        label_counts: Any = None,
        classes: int | None = None,
        batches_per_epoch: int | None = None,
        finder_lr: float | None = None,
    ) -> None:
        super().__init__()
        self._core = core.Monitor(
            prior_entropy=prior_entropy,
            label_counts=label_counts,
            classes=classes,
            batches_per_epoch=batches_per_epoch,
            finder_lr=finder_lr,
        )
        self.on_failure: OnFailure = checked_action("Monitor.on_failure", on_failure)
        self.max_restores: int = restores("Monitor.max_restores", max_restores)
        self.diagnoses: list[Diagnosis] = []
        self.restores = 0
        self._probe = probe
        self._counts_batches = batches_per_epoch is None
        self._scale = 1.0  # of what a ScheduleCallback sets
        self._sums = (0.0, 0.0)  # of the losses of the epoch, and of their weights, before a batch
        self._is_on = False

    @property
    def diagnosis(self) -> Diagnosis:
        """What is to be said now."""
        return self._core.diagnosis()

    def state(self) -> tuple[Any, list[NDArray[Any]]]:
        """What is saved."""
        return self._scale, []

    def restore(self, state: Any, arrays: list[NDArray[Any]]) -> None:
        """Takes what was saved."""
        self._scale = float(state)

    # ---- Observing ----

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks the optimizer, and begins anew; a rate that was lowered stays."""
        super().on_train_begin(logs)
        model, is_to_restore = self.model, self.on_failure == "restore_and_lower"
        inner = _optimizers.unwrapped(model.optimizer)
        if is_to_restore or hasattr(inner, "optimizers"):
            _optimizers.settable("Monitor", inner, AS_NUMBER)
        later = self.shared.members[self.shared.members.index(self) :]
        if is_to_restore and any(isinstance(one, ScheduleCallback) for one in later):
            raise ValueError("Monitor: expected a place after the ScheduleCallback in the list, got one before it")
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        steps = (self.params or {}).get("steps")
        if self._counts_batches and steps:
            self._core.batches_per_epoch = -(-steps // getattr(model, "steps_per_execution", 1))
        self._core.reset()
        self.diagnoses, self.restores = [], 0
        self._signals = Signals(model, self._probe)
        self._initial: State | None = State(model) if is_to_restore else None
        self._healthy: State | None = None
        self._candidate: State | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Lowers what a ScheduleCallback has set for the epoch."""
        self._lower(self.shared.driver, "epoch")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Lowers what a ScheduleCallback has set, and notes what is before the update."""
        self._lower(self.shared.driver, "batch")
        self._sums = self._totals()
        self._is_on = self._core.wants_signals()
        if self._is_on:
            self._signals.begin(self._core.step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Takes the update."""
        loss, rate = self._loss(logs), self._rate()
        measured = self._signals.taken(rate) if self._is_on else {}
        found = self._core.observe(loss, rate, **measured)
        if found is not None:
            self._fail(found)
        elif self._initial is not None and (self._core.step - 1) % KEEP_EVERY == 0:
            self._keep()

    def _totals(self) -> tuple[float, float]:
        tracker = getattr(self.model, "_loss_tracker", None)
        if tracker is None:
            return 0.0, 0.0
        return _number(tracker.total), _number(tracker.count)

    def _loss(self, logs: Any) -> float:
        """The loss of this batch; of a training step that keeps no mean, what it tells."""
        (before, weight_before), (after, weight) = self._sums, self._totals()
        if weight > weight_before:
            return (after - before) / (weight - weight_before)
        told = (logs or {}).get("loss")
        if told is None:
            raise ValueError(f"Monitor: expected a training step that tells its loss, got {sorted(logs or {})}")
        return _number(told)

    def _rate(self) -> float:
        """The rate of the update that is done."""
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        has_schedule = not isinstance(getattr(optimizer, "_learning_rate", None), keras.Variable)
        seen = max(_optimizers.count(optimizer) - 1, 0) if has_schedule else None
        return _optimizers.rate_after(optimizer, seen)

    # ---- Failing ----

    def _fail(self, found: Diagnosis) -> None:
        self.diagnoses.append(found)
        if callable(self.on_failure):
            self.on_failure(found)
        elif self.on_failure == "restore_and_lower" and self.restores < self.max_restores:
            self._begin_again(found)
        elif self.on_failure is not None:
            self.model.stop_training = True
            warnings.warn(f"Monitor: the training fails and is stopped: {found}", stacklevel=2)

    def _begin_again(self, found: Diagnosis) -> None:
        if found.direction != "too_low":
            state = self._healthy or self._initial
            assert state is not None
            self._put_back(state)
        self._candidate = None
        rate = self._rate()
        self._multiply(found.lr / rate if found.lr is not None and rate > 0.0 else LOWERED)
        self.model.reset_metrics()  # the sum of a loss that was not finite would stay so
        self.restores += 1
        self._core.restart()

    def _put_back(self, state: State) -> None:
        before = _optimizers.count(self.model.optimizer)
        state.restore()
        driver = self.shared.driver
        if driver is not None and driver.unit == "batch":  # whose schedule goes on
            self.shared.left_out += before - _optimizers.count(self.model.optimizer)

    def _multiply(self, factor: float) -> None:
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        rate = _optimizers.rate_after(optimizer, None)
        _optimizers.set_rate(optimizer, rate * factor)
        if self.shared.driver is not None:
            self._scale *= factor
            value, known = self.shared.scaled or (rate, rate)
            self.shared.scaled = (value if known == rate else rate, _optimizers.rate_after(optimizer, None))

    def _lower(self, driver: Any, unit: str) -> None:
        """Multiplies the rate that a ScheduleCallback has just set."""
        if driver is None or driver.unit != unit or self._scale == 1.0:
            return
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        value, _ = self.shared.scaled or (driver.value, None)  # what a function of the rate so far is to be given
        driver.value *= self._scale
        _optimizers.set_rate(optimizer, driver.value)
        self.shared.scaled = (value, _optimizers.rate_after(optimizer, None))

    def _keep(self) -> None:
        """Keeps a state that learns; it counts as healthy when it still did 50 updates later."""
        if not self._core.is_learning:
            self._candidate = None
            return
        self._healthy = self._candidate or self._healthy
        self._candidate = State(self.model)


def _number(given: Any) -> float:
    return float(np.asarray(ops.convert_to_numpy(given)))


class State:
    """What a training has learnt: the variables of a model and of its optimizer, but for the learning rate."""

    def __init__(self, model: Any) -> None:
        optimizer = model.optimizer
        rate = getattr(_optimizers.unwrapped(optimizer), "_learning_rate", None)
        every = {id(one): one for one in [*model.variables, *optimizer.variables] if one is not rate}
        self._kept = [(one, copied(one)) for one in every.values()]

    def restore(self) -> None:
        """Puts it back; it can be called again, for which JAX, which gives buffers away, needs copies."""
        for variable, value in self._kept:
            variable.assign(ops.copy(value))
