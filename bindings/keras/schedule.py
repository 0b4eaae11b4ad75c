"""Keras 3: a schedule as the learning rate of a Keras optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from lrcore import Schedule as Rates, _check, spec, tracing
from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras._operations import KerasOperations
from lrcore.expression import parse
from lrcore.schedule import is_schedule

F = TypeVar("F", bound=Callable[..., Any])
_micro_batches = _check.whole(1, what="a whole number of micro-batches")


def _as_written(function: F) -> F:
    """What AutoGraph leaves as it is, on TensorFlow, and `torch.compile` on torch."""
    if keras.config.backend() == "tensorflow":
        from lrcore.bindings.keras import _tensorflow

        return _tensorflow.as_written(function)
    if keras.config.backend() == "torch":
        from lrcore.bindings.keras import _torch

        return _torch.as_written(function)
    return function


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
    are exact. So it is on torch where the counter is on a GPU, which is never waited for. Elsewhere on torch, and where
    the rate is read outside of a traced step, the schedule itself is asked.

    It is saved with the model, as a spec: `keras.models.load_model` brings the schedule back once this module has been
    imported. A step is an optimizer's counter: to go on after a restart, load the optimizer's state too.

    Args:
        schedule: the schedule, or a number for a constant rate.
        every: how many counted steps are an update: None finds it out, 1 counts every step.

    Raises:
        TypeError: no schedule, or an `every` that is no int; at the call a step that is no integer: a float tensor only
            if it holds a whole number, and is not traced.
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
        self._compiled: dict[Any, Callable[[Any], Any]] = {}  # on torch, by device and dtype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and (self.schedule, self.every) == (other.schedule, other.every)

    def __hash__(self) -> int:
        return hash((Schedule, self.schedule, self.every))

    def __repr__(self) -> str:
        return f"Schedule({self.schedule!r}{'' if self.every is None else f', every={self.every}'})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plan": None, "_compiled": {}}

    @_as_written
    def __call__(self, step: Any) -> Any:
        """The rate of the update that follows `step` counted steps, as a float32 tensor of the backend."""
        every = self.every or _optimizers.micro_batches_of(step)
        if isinstance(step, (int, float, np.generic, np.ndarray)) or not hasattr(step, "dtype"):
            return self._on_host(step, every)
        tensor = ops.convert_to_tensor(step)  # read once, or a graph keeps each attempt
        if "int" not in keras.backend.standardize_dtype(step.dtype):
            return self._on_host(_counted(step, tensor), every)
        known = _optimizers.concrete(tensor)
        return self._on_host(known, every) if known is not None else self._traced(tensor, every)

    def _on_host(self, step: Any, every: int) -> Any:
        value = self.schedule(step if every == 1 else _check.whole(0)("step", step) // every)
        return ops.convert_to_tensor(tracing.as_float32(value))

    def _traced(self, step: Any, every: int) -> Any:
        if self._plan is None:
            self._plan = tracing.plan(self.schedule)
        updates = step if every == 1 else step // every
        if keras.config.backend() == "torch":
            return self._on_device(self._plan, updates)
        return self._plan.value(updates, KerasOperations(keras.backend.standardize_dtype(step.dtype)))

    def _on_device(self, plan: tracing.Plan, updates: Any) -> Any:
        from lrcore.bindings.keras import _torch

        place = updates.device, updates.dtype
        if place not in self._compiled:
            self._compiled[place] = _torch.compiled(plan, updates)
        return self._compiled[place](updates)

    def rate_of(self, optimizer: Any, seen: int) -> float:
        """The rate of an optimizer that has seen so many micro-batches, as a number and without any tensor."""
        return float(tracing.as_float32(self.schedule(seen // (self.every or _optimizers.micro_batches(optimizer)))))

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


def _counted(step: Any, tensor: Any) -> int:
    """A float that counts, of a loop of one's own: the decays of Keras take one, also from below 0."""
    is_float = "float" in keras.backend.standardize_dtype(step.dtype)
    number = _optimizers.concrete(ops.stop_gradient(tensor), float) if is_float else None
    if number is None or not number.is_integer():
        _check.refuse("step", "an integer", step, TypeError)
    return max(int(number), 0)


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
