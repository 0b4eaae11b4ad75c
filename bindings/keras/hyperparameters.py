"""Keras 3: schedules of an optimizer's momentum, its weight decay and its other numbers."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from lrcore import Schedule as Rates, _check
from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras.schedule import Schedule

# What an optimizer of Keras looks up at each update, if it has it.
NAMES = ("momentum", "weight_decay", "beta_1", "beta_2", "rho", "adam_beta_1", "adam_beta_2", "adam_weight_decay")
ALMOST_0 = 1e-30  # a momentum of what is saved: with 0 what is loaded would have no velocity


def scheduled(optimizer: Any, **schedules: Rates | float) -> Any:
    """The optimizer, of which some numbers now follow schedules: momentum, weight decay, betas.

    An optimizer of Keras has these as attributes that are floats, which become constants of the training step when
    JAX and TensorFlow trace it: setting them later, from a callback say, changes nothing there and says nothing. Here
    the attribute is computed within the step, like a learning rate that is a `Schedule`, and counts updates as that
    does.

    They count the updates of this optimizer: in `fit(initial_epoch=3)` those of a new one begin at 0, where a
    `ScheduleCallback` begins at that epoch.

    A momentum that a schedule gives may be 0: its velocity goes on. Adam and its kin correct the bias of their means as
    if the beta of now had always been; so does PyTorch.

    The optimizer itself is changed, and keeps its state. It is saved as a plain one, with the numbers of then, a
    momentum of 0 as 1e-30, as Keras would load no velocity with 0: call this again after `load_model`. A pickle or a
    deep copy of the optimizer keeps the schedules, but not the state, like all of Keras. Give it what `layer_rates`
    returns, not the other way round. Compile the model afterwards.

    Args:
        optimizer: an optimizer of Keras, or one within a `LossScaleOptimizer`.
        schedules: by the name of the attribute: momentum (SGD, RMSprop, Muon), weight_decay (all), beta_1, beta_2 (Adam
            and its kin, Lion), rho (RMSprop, Adadelta); adam_beta_1, adam_beta_2 and adam_weight_decay are Muon's, for
            what it does not orthogonalise.

    Raises:
        TypeError: no optimizer, no schedule.
        ValueError: a name that the optimizer does not have; an SGD or RMSprop that was built without momentum.

    Example:
        >>> import keras
        >>> from lrcore import Linear
        >>> optimizer = scheduled(keras.optimizers.SGD(0.1, momentum=0.9), momentum=Linear(0.5, 0.9, 4))
        >>> weight = keras.Variable([0.0])
        >>> for update in range(3):
        ...     optimizer.apply([keras.ops.ones(1)], [weight])
        ...     print(round(float(optimizer.momentum), 3))
        0.6
        0.7
        0.8
    """
    inner = _optimizers.unwrapped(optimizer)
    if not isinstance(inner, keras.optimizers.Optimizer) or hasattr(inner, "optimizers"):
        _check.refuse("scheduled.optimizer", "an optimizer of Keras, and not several", optimizer, TypeError)
    for name in schedules:
        _check_name(inner, name)
    made = {name: Schedule(schedule) for name, schedule in schedules.items()}
    object.__setattr__(inner, "__class__", _class(type(inner), made))
    return optimizer


def _check_name(optimizer: Any, name: str) -> None:
    known = [one for one in NAMES if hasattr(optimizer, one)]
    kind = type(optimizer).__name__
    if name not in known:
        close = _check.did_you_mean(name, known)
        raise ValueError(f"scheduled: expected a number of {kind} ({', '.join(known)}), got {name!r}{close}")
    if name == "momentum" and optimizer.built and optimizer.momentum == 0:
        raise ValueError(f"scheduled.momentum: expected a {kind} with momentum, got one that was built without it")


def _class(kind: Any, made: dict[str, Schedule]) -> type:
    """The optimizer's class with properties for its numbers; by its names it is the one that it stands for."""
    body: dict[str, Any] = {name: property(_getter(schedule), _setter(name)) for name, schedule in made.items()}
    body["from_config"] = classmethod(lambda _cls, *arguments, **named: kind.from_config(*arguments, **named))
    schedules = getattr(kind, "_lrcore_scheduled", {}) | {name: one.schedule for name, one in made.items()}
    body["__reduce__"] = lambda self: (_unpickled, (keras.optimizers.Optimizer.__reduce__(self)[1], schedules))
    if "momentum" in schedules:
        body["get_config"] = lambda self: _with_velocity(kind.get_config(self))
    body |= {"_lrcore_scheduled": schedules, "__module__": kind.__module__, "__doc__": kind.__doc__}
    scheduled_kind = type(kind.__name__, (kind,), body)
    if hasattr(kind, "_lrcore_kind"):  # of layer_rates: a saved model knows it by this name
        keras.saving.register_keras_serializable(package="lrcore", name="LayerRates")(scheduled_kind)
    return scheduled_kind


def _with_velocity(config: dict[str, Any]) -> dict[str, Any]:
    plain = config if "momentum" in config else config["optimizer"]["config"]  # the second is of layer_rates
    plain["momentum"] = float(plain["momentum"]) or ALMOST_0
    return config


def _unpickled(saved: tuple[Any, ...], schedules: dict[str, Rates]) -> Any:
    """From what Keras pickled of the optimizer; its class is in no module, where a pickle would look for it."""
    return scheduled(keras.optimizers.Optimizer._unpickle_model(*saved), **schedules)


def _getter(schedule: Schedule) -> Any:
    def get(optimizer: Any) -> Any:
        counter = ops.convert_to_tensor(optimizer._iterations)
        known = _optimizers.concrete(counter)
        if known is not None:
            return _Number(schedule.rate_of(optimizer, known))
        return _Traced(schedule._traced(counter, _optimizers.micro_batches(optimizer)))

    return get


def _setter(name: str) -> Any:
    def refuse(_optimizer: Any, given: Any) -> None:
        raise AttributeError(f"{name}: expected no other value than that of its schedule, got {_check.shown(given)}")

    return refuse


class _Number(float):
    """A number that optimizers ask whether it is there at all, `momentum != 0`, `momentum > 0`. It is, even if 0."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return other == 0 or float.__ne__(self, other)

    def __gt__(self, other: float) -> bool:
        return other == 0 or float.__gt__(self, other)

    __eq__ = float.__eq__
    __hash__ = float.__hash__


class _Traced:
    """The same within a traced step, for what optimizers do with a number; JAX and TensorFlow know how to read it."""

    dtype = "float32"
    shape = ()

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __jax_array__(self) -> Any:
        return self._tensor

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> Any:
        return self._tensor if dtype is None else ops.cast(self._tensor, dtype.name)

    def __ne__(self, other: object) -> bool:
        return True

    def __gt__(self, other: float) -> bool:
        return True

    __hash__ = object.__hash__

    def __sub__(self, other: Any) -> Any:
        return self._tensor - other

    def __rsub__(self, other: Any) -> Any:
        return other - self._tensor

    def __mul__(self, other: Any) -> Any:
        return other * self._tensor

    __rmul__ = __mul__
