"""Keras 3: a schedule as the learning rate of a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from lrcore import Schedule as Rates, _check, spec, tracing
from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras._operations import KerasOperations
from lrcore.expression import parse
from lrcore.schedule import is_schedule

LARGEST = float(np.finfo(np.float32).max)
_micro_batches = _check.whole(1, what="a whole number of micro-batches")


@keras.saving.register_keras_serializable(package="lrcore")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Gives a Keras optimizer the learning rates of a schedule.

    After k updates the optimizer's rate is `schedule(k)`, rounded once to float32; the first update uses
    `schedule(0)`.

    With `gradient_accumulation_steps` Keras tells its schedules the number of micro-batches, so they run that many
    times too fast. This one counts updates: it asks the optimizer that calls it. Where something else calls it, a
    training loop of your own or an optimizer that is no Keras one, say what it counts by `every`.

    Where Keras traces its training step, on JAX and TensorFlow, the rates come from a table of the same bits if the
    schedule holds its value after at most a million updates. For another one they come from a closed form, within
    4 float32 ulp of the larger end of each curve, where every step counts, beyond 2**24 too; its first 65536 updates
    are exact. On torch, and wherever the rate is read outside of a traced step, the schedule itself is asked.

    It is saved with the model, as a spec: `keras.models.load_model` brings the schedule back once this module has been
    imported. A step is an optimizer's counter: to go on after a restart, load the optimizer's state too.

    Args:
        schedule: the schedule, or a number for a constant rate.
        every: how many counted steps are an update: None finds it out, 1 counts every step.

    Raises:
        TypeError: no schedule, or an `every` that is no int; at the call a step that is no integer.
        ValueError: an `every` below 1; at the call a schedule with unbound durations, a step below 0, or, where it is
            traced, a schedule that neither a table holds nor tensors can compute, such as noise without an end.

    Example:
        >>> import keras
        >>> from lrcore import Linear
        >>> optimizer = keras.optimizers.SGD(Schedule(Linear(0.5, 0.0, 4)))
        >>> weight = keras.Variable([0.0])
        >>> for update in range(5):
        ...     print(update, float(optimizer.learning_rate))
        ...     optimizer.apply([keras.ops.ones(1)], [weight])
        0 0.5
        1 0.375
        2 0.25
        3 0.125
        4 0.0
    """

    def __init__(self, schedule: Rates | float, every: int | None = None) -> None:
        super().__init__()
        self.schedule = is_schedule("Schedule.schedule", schedule)
        self.every: int | None = None if every is None else _micro_batches("Schedule.every", every)
        self._plan: tracing.Plan | None = None

    def __call__(self, step: Any) -> Any:
        """The rate of the update that follows `step` counted steps, as a float32 tensor of the backend."""
        every = self.every or _optimizers.micro_batches_of(step)
        if isinstance(step, (int, float, np.generic, np.ndarray)) or not hasattr(step, "dtype"):
            return self._on_host(step, every)
        if "int" not in keras.backend.standardize_dtype(step.dtype):
            _check.refuse("step", "an integer", step, TypeError)
        tensor = ops.convert_to_tensor(step)  # read once, or a graph keeps each attempt
        known = _optimizers.concrete(tensor)
        return self._on_host(known, every) if known is not None else self._traced(tensor, every)

    def _on_host(self, step: Any, every: int) -> Any:
        value = self.schedule(step if every == 1 else _check.whole(0)("step", step) // every)
        is_one = isinstance(value, float)
        return ops.convert_to_tensor(_rounded(value) if is_one else np.clip(value, -LARGEST, LARGEST).astype("float32"))

    def _traced(self, step: Any, every: int) -> Any:
        if self._plan is None:
            self._plan = tracing.plan(self.schedule)
        updates = step if every == 1 else step // every
        return self._plan.value(updates, KerasOperations(keras.backend.standardize_dtype(step.dtype)))

    def rate_of(self, optimizer: Any, seen: int) -> float:
        """The rate of an optimizer that has seen so many micro-batches, as a number and without any tensor."""
        return float(_rounded(self.schedule(seen // (self.every or _optimizers.micro_batches(optimizer)))))

    def get_config(self) -> dict[str, Any]:
        """The schedule as a spec, which `from_config` reads.

        Example:
            >>> from lrcore import Linear
            >>> Schedule(Linear(0.5, 0.0, 4)).get_config()["schedule"]
            {'lrcore': 1, 'type': 'Linear', 'init_value': 0.5, 'end_value': 0.0, 'steps': 4}
        """
        return {"schedule": self.schedule.to_dict(), "every": self.every}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Schedule:
        """The schedule of a config: of a spec, or of an expression as older ones have, which is parsed, never executed.

        Raises:
            ValueError: a spec that describes no schedule; text that is no expression of schedules.

        Example:
            >>> Schedule.from_config({"schedule": "Linear(0.5, 0.0, 4)"}).schedule(1)
            0.375
        """
        given = config["schedule"]
        return cls(parse(given) if isinstance(given, str) else spec.from_dict(given), config.get("every"))


def _rounded(value: float) -> np.float32:
    """As float32; what is beyond it is its largest number."""
    return np.float32(min(max(value, -LARGEST), LARGEST))


def learning_rate(optimizer: Any) -> float:
    """The learning rate of the update that comes next, as a number.

    Of a `Schedule` it is computed on the host, from the optimizer's counter alone. Within `fit` on JAX read
    `self.model.optimizer` of a callback: only that brings the counter back from the training step.

    Args:
        optimizer: an optimizer of Keras: with a number, a `Schedule`, or another schedule.

    Raises:
        TypeError: no optimizer, or one of several rates.

    Example:
        >>> import keras
        >>> from lrcore import Linear
        >>> learning_rate(keras.optimizers.SGD(Schedule(Linear(0.5, 0.0, 4))))
        0.5
    """
    return _optimizers.rate_after(optimizer, None)
