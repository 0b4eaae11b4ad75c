"""What a monitor measures of an update of Keras: between two batches, as no callback sees what is inside a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from lrcore._verdicts import SAME_OUTPUT
from lrcore.bindings.keras import _optimizers

FIRST_UPDATES, EVERY = 3, 10  # whose sizes are measured: these, and one of so many that are measured at all
EXAMPLES = 256  # of the probe: a unit that is dead on so many is so on most
LEAST_RATE = 1e-7  # below it weights of float32 may stand still though they have a gradient
ROUNDED = 4 * float(np.finfo(np.float32).eps)  # of a moving average after an update with a gradient of 0
LEAST = 1e-30  # what may be flushed to 0
# Of these the first update moves each weight by the rate itself, whatever the gradient.
BY_SIGN = tuple(getattr(keras.optimizers, name) for name in ("Adam", "Adamax", "Adafactor", "Lion", "Nadam", "RMSprop"))


def _averaged(change: Any, decay: float, _rate: float) -> Any:
    return change / (1.0 - decay)


def _squared(change: Any, decay: float, _rate: float) -> Any:
    return ops.sqrt(ops.abs(change) / (1.0 - decay))


def _moved(change: Any, _decay: float, rate: float) -> Any:
    return change / rate


# What an update adds to a slot that decays tells its gradient: whose slot, by what it decays, and how.
SLOTS: tuple[tuple[Any, str, str, Callable[[Any, float, float], Any]], ...] = (
    (keras.optimizers.Adam, "_momentums", "beta_1", _averaged),
    (keras.optimizers.Nadam, "_momentums", "beta_1", _averaged),
    (keras.optimizers.Adamax, "_m", "beta_1", _averaged),
    (keras.optimizers.Lion, "_momentums", "beta_2", _averaged),
    (keras.optimizers.RMSprop, "_velocities", "rho", _squared),
    (keras.optimizers.SGD, "momentums", "momentum", _moved),
)


class Signals:
    """Measures an update from the variables before and after it, and the model on a probe.

    Args:
        model: built, with the optimizer.
        probe: inputs, as the model takes them, or None.
    """

    def __init__(self, model: Any, probe: Any) -> None:
        self._weights = [one for one in model.trainable_variables if len(one.shape) > 1]
        self._slot = _slot(model.optimizer, self._weights)
        self._probe = _Probe(model, probe, self._weights) if probe is not None else None
        self._before: list[Any] = []
        self._slot_before: Any = None
        self._gain: float | None = None
        self._has_gain = False

    def begin(self, step: int) -> None:
        """Before an update that is measured, the first of which is that of step 0."""
        are_all = step < FIRST_UPDATES or step % EVERY == 0
        self._before = [copied(one) for one in (self._weights if are_all else self._weights[:1])]
        self._slot_before = None if self._slot is None else copied(self._slot[0])
        if self._probe is not None and not self._has_gain:
            self._has_gain, self._gain = True, self._probe.gain()

    def taken(self, rate: float) -> dict[str, Any]:
        """After it: the measurements, as `lrcore.monitor.Monitor.observe` takes them."""
        spread, active = self._probe.seen() if self._probe is not None else (None, [])
        gradient = self._gradient(rate)
        if gradient is None and active and spread is not None and spread <= SAME_OUTPUT:
            # Outputs that are the same come of a dead layer, or of what is not known: weights of 0, a tiny rate.
            gradient, spread = (0.0, spread) if 0.0 in active else (None, None)
        ratios = [one for one in self._ratios() if one == one]
        self._before, self._slot_before = [], None
        return {
            "logit_spread": spread,
            "gradient_norms": None if gradient is None else [gradient],
            "input_gain": self._gain,
            "active_fractions": active or None,
            "update_ratios": ratios or None,
        }

    def _ratios(self) -> list[float]:
        """The norm of each update over that of its weights; of weights that were 0, NaN."""
        if len(self._before) < len(self._weights) or not self._before:
            return []
        norms = [ops.norm(ops.reshape(ops.cast(one, "float32"), (-1,))) for one in self._before]
        moves = [ops.norm(ops.reshape(ops.cast(change, "float32"), (-1,))) for change in self._changes()]
        read = ops.convert_to_numpy(ops.stack([*norms, *moves])).astype(np.float64).reshape(2, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(read[0] > 0.0, read[1] / read[0], np.nan)
        return [float(one) for one in shares]

    def _changes(self) -> list[Any]:
        return [
            ops.subtract(held(one), before)
            for one, before in zip(self._weights[: len(self._before)], self._before, strict=True)
        ]

    def _gradient(self, rate: float) -> float | None:
        """The norm of the gradient of the first layer, where the optimizer tells it; None where nothing does."""
        if not self._before:
            return None
        if self._slot is None:
            stands = rate > LEAST_RATE and not bool(ops.any(ops.not_equal(self._changes()[0], 0.0)))
            return 0.0 if stands else None
        variable, decay, told = self._slot
        before = self._slot_before
        change = ops.subtract(held(variable), ops.multiply(before, decay))
        if not bool(ops.any(ops.greater(ops.abs(change), ROUNDED * ops.abs(before) + LEAST))):
            return 0.0
        size = float(ops.convert_to_numpy(ops.norm(ops.reshape(told(change, decay, rate), (-1,))))) if rate else 0.0
        return size or None


def _slot(optimizer: Any, weights: list[Any]) -> tuple[Any, float, Callable[[Any, float, float], Any]] | None:
    """The slot of the first weights, by what it decays, and how it tells the gradient; None if none does."""
    inner = _optimizers.unwrapped(optimizer)
    if not weights or _optimizers.micro_batches(inner) > 1:
        return None
    for kind, name, decay, told in SLOTS:
        slots, factor = getattr(inner, name, None), getattr(inner, decay, None)
        if isinstance(inner, kind) and slots and isinstance(factor, float) and 0.0 < factor < 1.0:
            variable = slots[inner._get_variable_index(weights[0])]
            return (variable, factor, told) if variable.dtype == "float32" else None
    return None


def held(variable: Any) -> Any:
    """What a variable holds, as a tensor without a history."""
    return ops.stop_gradient(ops.convert_to_tensor(variable))


def copied(variable: Any) -> Any:
    """The same, which stays when the variable changes."""
    return ops.copy(held(variable))


# ---- The probe ----


class _Probe:
    """A few inputs that the model is called with, as in inference.

    Of a model of the functional API the active units of its rectifiers are seen too, and what its first layer gets.
    """

    def __init__(self, model: Any, inputs: Any, weights: list[Any]) -> None:
        self._inputs = keras.tree.map_structure(_cut, inputs)
        self._call, self._first = model, None
        self._rectifiers = 0
        layers = getattr(model, "layers", [])
        active = [layer.output for layer in layers if _is_rectifier(layer) and _is_single(layer)]
        first = [layer for layer in layers if type(layer) is keras.layers.Dense and layer.kernel is _first(weights)]
        if isinstance(model, keras.Model) and _is_functional(model):
            self._rectifiers = len(active)
            # By a name of its own, so that the names of later models stay what they were.
            self._call = keras.Model(model.inputs, [model.outputs[0], *active], name="lrcore_probe")
            is_by_sign = isinstance(_optimizers.unwrapped(model.optimizer), BY_SIGN)
            if first and _is_single(first[0]) and is_by_sign:
                self._first = first[0], keras.Model(model.inputs, first[0].input, name="lrcore_probe_of_first")

    def seen(self) -> tuple[float | None, list[float]]:
        """The spread of the logits, and the share of active units of each rectifier."""
        output, *active = keras.tree.flatten(self._call(self._inputs, training=False))
        spread = _spread(_read(output))
        return spread, [_share(one) for one in active[: self._rectifiers]]

    def gain(self) -> float | None:
        """How far Adam's first update moves the outputs of the first layer, at a rate of 1, in standard deviations."""
        if self._first is None:
            return None
        layer, below = self._first
        given = below(self._inputs, training=False)
        made = _read(ops.matmul(given, held(layer.kernel)))
        size = float(np.abs(_read(given)).sum(axis=-1).mean())
        return size / float(made.std()) if made.std() > 0.0 else None


def _read(tensor: Any) -> NDArray[np.float64]:
    read: NDArray[np.float64] = np.asarray(ops.convert_to_numpy(ops.stop_gradient(tensor))).astype(np.float64)
    return read


def _cut(inputs: Any) -> Any:
    return ops.convert_to_tensor(inputs[:EXAMPLES])


def _first(weights: list[Any]) -> Any:
    return weights[0] if weights else None


def _is_functional(model: Any) -> bool:
    try:
        return bool(model.inputs) and bool(model.outputs)
    except (AttributeError, ValueError):
        return False


def _is_single(layer: Any) -> bool:
    """Whether a layer is called once in its model, so that there is an output of it."""
    try:
        return isinstance(layer.output, keras.KerasTensor) and isinstance(layer.input, keras.KerasTensor)
    except (AttributeError, ValueError):
        return False


def _is_rectifier(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.ReLU) or activation in (keras.activations.relu, keras.activations.relu6)


def _spread(output: NDArray[np.float64]) -> float | None:
    """The largest range of a logit over the batch. Of probabilities the logits are computed, if they can be."""
    if output.ndim == 0 or len(output) < 2 or not output.size:
        return None
    table = output.reshape(len(output), -1)
    if table.min() >= 0.0 and table.max() <= 1.0:
        with np.errstate(divide="ignore", invalid="ignore"):
            table = np.log(table) - np.log1p(-table) if output.shape[-1] == 1 else np.log(table)
    found = float(np.ptp(table, axis=0).max()) if np.isfinite(table).all() else float("nan")
    return found if np.isfinite(found) else None


def _share(active: Any) -> float:
    largest = ops.max(active, axis=0)
    return float(ops.convert_to_numpy(ops.count_nonzero(largest))) / max(int(np.prod(largest.shape)), 1)
