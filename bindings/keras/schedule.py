"""Keras 3: a schedule as the learning rate of a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from lrcore import Schedule as Rates, _check
from lrcore.expression import parse
from lrcore.schedule import is_schedule

TRACING_BACKENDS = ("jax", "tensorflow")
LARGEST = float(np.finfo(np.float32).max)
LONGEST_TABLE = 1_000_000  # values: 4 MB within the traced step; ten times that takes seconds to trace


@keras.saving.register_keras_serializable(package="lrcore")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Gives a Keras optimizer the learning rates of a schedule.

    After k updates the optimizer's rate is `schedule(k)`, rounded once to float32; the first update uses
    `schedule(0)`. With `gradient_accumulation_steps` Keras counts every batch as an update.

    On the torch backend every schedule works. The JAX and TensorFlow backends trace their training step once,
    for all updates, so there the values come from a table: the same bits, but only for a schedule that holds
    its value after at most a million updates. Another one is refused; cut it at the end of the run, as in
    `Schedule(Sequence([(schedule, steps), schedule(steps)]))`.

    It is saved with the model: `keras.models.load_model` brings the schedule back once this module has been
    imported.

    Args:
        schedule: the schedule, or a number for a constant rate.

    Raises:
        TypeError: no schedule; at the call a step that is no integer.
        ValueError: at the call a step below 0, or on a tracing backend a schedule that no table can hold.

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

    def __init__(self, schedule: Rates | float) -> None:
        super().__init__()
        self.schedule = is_schedule("Schedule.schedule", schedule)
        self._values: NDArray[np.float32] | None = None

    def __call__(self, step: Any) -> Any:
        """The rate of the update that follows `step` updates, as a float32 tensor of the backend."""
        dtype = getattr(step, "dtype", None)
        if dtype is not None and "int" not in keras.backend.standardize_dtype(dtype):
            _check.refuse("step", "an integer", step, TypeError)
        if dtype is not None and keras.config.backend() in TRACING_BACKENDS:
            values = self._table()
            return ops.take(values, ops.minimum(step, len(values) - 1))
        value = self.schedule(step if dtype is None else int(step))
        return ops.convert_to_tensor(np.float32(np.clip(value, -LARGEST, LARGEST)), dtype="float32")

    def _table(self) -> NDArray[np.float32]:
        if self._values is None:
            length = self.schedule.length
            if length is None or length >= LONGEST_TABLE:
                holds = "never" if length is None else f"after {length} updates"
                raise ValueError(
                    f"Schedule.schedule: expected one that holds its value within {LONGEST_TABLE} updates, as the "
                    f"{keras.config.backend()} backend needs it, got one that holds {holds}: "
                    "give Sequence([(schedule, steps), schedule(steps)])"
                )
            self._values = self.schedule.table(length + 1, dtype="float32")
        return self._values

    def get_config(self) -> dict[str, str]:
        """The schedule as its expression, which `from_config` reads.

        Raises:
            ValueError: a schedule that no expression describes, such as a table in a file.

        Example:
            >>> from lrcore import Linear
            >>> Schedule(Linear(0.5, 0.0, 4)).get_config()
            {'schedule': 'Linear(init_value=0.5, end_value=0.0, steps=4)'}
        """
        text = repr(self.schedule)
        try:
            parse(text)
        except ValueError as error:  # now, and not when the model is loaded again
            raise ValueError(
                f"Schedule.schedule: expected one that can be saved with a model, got {_check.shown(self.schedule)}"
            ) from error
        return {"schedule": text}

    @classmethod
    def from_config(cls, config: dict[str, str]) -> Schedule:
        """The schedule of a config; its expression is parsed, never executed.

        Raises:
            ValueError: text that is no expression of schedules.

        Example:
            >>> Schedule.from_config({"schedule": "Linear(0.5, 0.0, 4)"}).schedule(1)
            0.375
        """
        return cls(parse(config["schedule"]))
