"""What an optimizer of Keras says of itself: its counter, its updates, its learning rate."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from lrcore import _check

_whole: Callable[[Any], int] = int  # of the value of a variable
if keras.config.backend() == "tensorflow":
    from lrcore.bindings.keras import _tensorflow

    _whole = _tensorflow.whole

FRAMES = 4  # from a schedule up to its optimizer, which calls it within `_get_current_learning_rate`


def unwrapped(optimizer: Any) -> Any:
    """The optimizer that updates: the one within a `LossScaleOptimizer`."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def micro_batches(optimizer: Any) -> int:
    """Micro-batches of an update. Keras' own counter, `_iterations`, which its schedules are given, counts these."""
    return int(getattr(optimizer, "gradient_accumulation_steps", None) or 1)


def micro_batches_of(counter: Any) -> int:
    """Micro-batches of an update of the optimizer whose counter this is, and which is asking for its learning rate.

    Keras tells a schedule nothing but the counter. Its optimizer is who passes it on: a caller that has this very
    counter. Anything else counts updates.
    """
    frame = sys._getframe(2)
    for _ in range(FRAMES):
        caller = frame.f_locals.get("self")
        if getattr(caller, "_iterations", None) is counter:
            return micro_batches(caller)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return 1


def concrete(tensor: Any, number: Any = int) -> Any:
    """The number that a tensor of one element holds.

    None within a traced step, where it holds none yet; and on torch of a tensor on another device, which an update
    would have to wait for.
    """
    if keras.config.backend() == "torch" and tensor.device.type != "cpu":
        return None
    try:
        return number(tensor)
    except (TypeError, AttributeError, NotImplementedError, RuntimeError):  # each framework has its own
        return None


def count(optimizer: Any) -> int:
    """Micro-batches that an optimizer has seen."""
    return _whole(unwrapped(optimizer)._iterations.value)


def settable(where: str, optimizer: Any, cure: str) -> Any:
    """The optimizer that updates, whose learning rate is a variable that a callback can set.

    Raises:
        ValueError: another kind of optimizer, or one with a schedule.
    """
    found = unwrapped(optimizer)
    if hasattr(found, "optimizers"):
        raise ValueError(
            f"{where}: expected an optimizer with one learning rate, got a {type(found).__name__} of several: "
            "lrcore.bindings.keras.layer_rates gives layers rates of their own, at one learning rate"
        )
    if not isinstance(getattr(found, "_learning_rate", None), keras.Variable):
        kind = type(getattr(found, "_learning_rate", found)).__name__
        raise ValueError(f"{where}: expected an optimizer whose learning rate is a number, got one with {kind}: {cure}")
    return found


def set_rate(optimizer: Any, value: float) -> None:
    """Writes the variable of a settable optimizer; its own setter would look for schedules first, which costs more."""
    optimizer._learning_rate.assign(value)


def rate_after(optimizer: Any, seen: int | None) -> float:
    """The rate of an optimizer that has seen so many micro-batches, by default those of now; a variable's is of now."""
    found = unwrapped(optimizer)
    rate = getattr(found, "_learning_rate", None)
    if rate is None or hasattr(found, "optimizers"):
        _check.refuse("learning_rate.optimizer", "an optimizer of Keras with one learning rate", optimizer, TypeError)
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return float(ops.convert_to_numpy(rate() if callable(rate) and not isinstance(rate, keras.Variable) else rate))
    seen = count(found) if seen is None else seen
    of = getattr(rate, "rate_of", None)  # ours, which needs no tensors
    if of is not None:
        return float(of(found, seen))
    return float(ops.convert_to_numpy(rate(ops.convert_to_tensor(seen, found._iterations.dtype))))
