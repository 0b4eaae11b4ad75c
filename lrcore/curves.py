"""The curves: schedules that stand by themselves. Each names its parameters and its kernel; the arithmetic is
in _kernels.h.

In the formulas `t` is the step, the number of updates already done.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrcore import _check
from lrcore._check import field
from lrcore._rows import Rows, is_whole, row, scaled
from lrcore.durations import Duration, increasing, updates
from lrcore.schedule import Schedule

if TYPE_CHECKING:
    from lrcore import compose

_duration = updates(1)
_place = updates(0, also=())


def _places(where: str, given: Any) -> tuple[Duration, ...]:
    places = tuple(_place(f"{where}[{at}]", item) for at, item in enumerate(_check.items(where, given, "steps")))
    increasing(where, places)
    return places


def _values_tuple(where: str, given: Any) -> tuple[float, ...]:
    return tuple(_check.value(f"{where}[{at}]", item) for at, item in enumerate(_check.items(where, given, "numbers")))


@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    """One value, always.

    `value`

    Args:
        value: the learning rate.

    Raises:
        TypeError, ValueError: a value that is no finite number.

    Also known as: `optax.constant_schedule`, torch `ConstantLR(factor=1)`, HF `constant`.

    Example:
        >>> Constant(0.1)(12345)
        0.1
    """

    value: float = field(_check.value)

    def _lower(self, rows: Rows) -> int:
        return row(rows, "CONSTANT", self.value, self.value)

    def _length(self, _scale: float) -> int:
        return 0


class _Ending(Schedule):
    """A curve that goes from `init_value` to `end_value` in `steps` updates, and holds."""

    __slots__ = ()

    init_value: float
    end_value: float
    steps: Duration

    def _length(self, scale: float) -> int:
        return max(1, scaled(self.steps, scale))

    def _lower_as(self, kind: str, rows: Rows, shape: float = 0.0) -> int:
        return row(rows, kind, self.init_value, self.end_value, shape=shape, span=self.steps)


@dataclass(frozen=True, slots=True)
class Linear(_Ending):
    """A straight line from one value to another.

    `(1 - f) * init_value + f * end_value` with `f = min(t / steps, 1)`

    Args:
        init_value: the value at step 0.
        end_value: the value at step `steps` and after it.
        steps: updates from the one to the other, >= 1.

    Raises:
        TypeError, ValueError: values that are no finite numbers; steps that are no int >= 1.

    Also known as: torch `LinearLR`, `optax.linear_schedule`, HF `linear`, Keras `PolynomialDecay(power=1)`.

    Example:
        >>> Linear(0.0, 1.0, 4).table(6).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    init_value: float = field(_check.value)
    end_value: float = field(_check.value)
    steps: Duration = field(_duration, duration="span")

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("LINEAR", rows)


@dataclass(frozen=True, slots=True)
class Cosine(_Ending):
    """Half a cosine wave from one value to another.

    `end_value + (init_value - end_value) * (1 + cos(pi * f)) / 2` with `f = min(t / steps, 1)`

    Args:
        init_value: the value at step 0.
        end_value: the value at step `steps` and after it (it does not rise again, as torch's does).
        steps: updates from the one to the other, >= 1.

    Raises:
        TypeError, ValueError: values that are no finite numbers; steps that are no int >= 1.

    Reference: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017), equation 5.
    Also known as: torch `CosineAnnealingLR`, Keras `CosineDecay`, `optax.cosine_decay_schedule`, HF `cosine`.

    Example:
        >>> Cosine(1.0, 0.0, 2).table(4).tolist()
        [1.0, 0.5, 0.0, 0.0]
    """

    init_value: float = field(_check.value)
    end_value: float = field(_check.value)
    steps: Duration = field(_duration, duration="span")

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("COSINE", rows)


@dataclass(frozen=True, slots=True)
class Polynomial(_Ending):
    """A power of the remaining share of the run.

    `end_value + (init_value - end_value) * (1 - f)**power` with `f = min(t / steps, 1)`

    Args:
        init_value: the value at step 0.
        end_value: the value at step `steps` and after it.
        steps: updates from the one to the other, >= 1.
        power: the exponent, > 0; 1 is a straight line, below 1 the value stays high and drops late.

    Raises:
        TypeError, ValueError: values that are no finite numbers; steps that are no int >= 1; power <= 0.

    Also known as: torch `PolynomialLR`, Keras `PolynomialDecay`, `optax.polynomial_schedule`, HF
    `polynomial`.

    Example:
        >>> Polynomial(1.0, 0.0, 4, power=2).table(5).tolist()
        [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """

    init_value: float = field(_check.value)
    end_value: float = field(_check.value)
    steps: Duration = field(_duration, duration="span")
    power: float = field(_check.positive, 1.0)

    def _lower(self, rows: Rows) -> int:
        if self.power == 1.0:
            return self._lower_as("LINEAR", rows)
        falls = abs(self.init_value) >= abs(self.end_value) and self.init_value * self.end_value >= 0.0
        if self.power == 0.5 and falls:
            return self._lower_as("ROOT", rows)
        return self._lower_as("POWER", rows, self.power)


@dataclass(frozen=True, slots=True)
class Exponential(_Ending):
    """Geometric from one value to another: the same factor at each update.

    `init_value * (end_value / init_value)**f` with `f = min(t / steps, 1)`

    Args:
        init_value: the value at step 0, > 0.
        end_value: the value at step `steps` and after it, > 0.
        steps: updates from the one to the other, >= 1.

    Raises:
        TypeError, ValueError: values that are no finite numbers > 0; steps that are no int >= 1.

    Also known as: the ramp of learning-rate range tests, fastai `SchedExp`, `numpy.geomspace`.

    Example:
        >>> Exponential(1.0, 0.0625, 4).table(5).tolist()
        [1.0, 0.5, 0.25, 0.125, 0.0625]
    """

    init_value: float = field(_check.positive)
    end_value: float = field(_check.positive)
    steps: Duration = field(_duration, duration="span")

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("EXPONENTIAL", rows)


@dataclass(frozen=True, slots=True)
class Piecewise(Schedule):
    """A value for each stretch between boundaries.

    `values[i]` with `i` the number of boundaries `b <= t` (side "right"), or `b < t` (side "left")

    Args:
        boundaries: steps that increase, at least one.
        values: one more than there are boundaries.
        side: "right": a new value applies at its boundary, as in torch and optax; "left": one step after it,
            as in TF1 and Keras, where the boundary still belongs to the old value.

    Raises:
        TypeError, ValueError: boundaries that are empty, negative or do not increase, or 0 with side "right"
            (the first value would never be used); a wrong number of values; another side.

    Also known as: torch `MultiStepLR`, Keras `PiecewiseConstantDecay`,
    `tf.compat.v1.train.piecewise_constant`.

    Example:
        >>> Piecewise([2, 4], [1.0, 0.5, 0.25]).table(6).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
        >>> Piecewise([2, 4], [1.0, 0.5, 0.25], side="left").table(6).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    boundaries: Sequence[Duration] | NDArray[Any] = field(_places, duration="place")
    values: Sequence[float] | NDArray[Any] = field(_values_tuple)
    side: str = field(_check.choice("right", "left"), "right")

    def _validate(self) -> None:
        if not self.boundaries:
            raise ValueError("Piecewise.boundaries: expected at least one step, got ()")
        if self.side == "right" and self.boundaries[0] == 0:
            raise ValueError("Piecewise.boundaries[0]: expected a step >= 1 with side 'right', got 0")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"Piecewise.values: expected {len(self.boundaries) + 1} values for {len(self.boundaries)} boundaries, "
                f"got {len(self.values)}"
            )

    def _marks(self) -> list[int]:
        """The steps at which each value begins to apply."""
        late = int(self.side == "left")
        return [0, *(boundary + late for boundary in self.boundaries)]

    def _lower(self, rows: Rows) -> int:
        return row(rows, "PIECEWISE", marks=array("q", self._marks()), data=np.array(self.values))

    def _length(self, scale: float) -> int:
        return scaled(self._marks()[-1], scale)


def _points(where: str, given: Any) -> tuple[tuple[Duration, float], ...]:
    points = []
    for at, item in enumerate(_check.items(where, given, "(step, value) pairs")):
        pair = _check.items(f"{where}[{at}]", item, "a step and a value")
        if len(pair) != 2:
            _check.refuse(f"{where}[{at}]", "a step and a value", item)
        points.append((_place(f"{where}[{at}][0]", pair[0]), _check.value(f"{where}[{at}][1]", pair[1])))
    if not points:
        raise ValueError(f"{where}: expected at least one point, got none")
    increasing(where, [step for step, _ in points])
    return tuple(points)


SEGMENTS: dict[str, Callable[[float, float, int], Schedule]] = {
    "linear": Linear,
    "cosine": Cosine,
    "exponential": Exponential,
}


@dataclass(frozen=True, slots=True)
class Interpolate(Schedule):
    """Through given points, by one kind of curve; constant before the first and after the last.

    Between `(s, a)` and `(e, b)` the value is that of `Linear(a, b, e - s)`, `Cosine` or `Exponential`, at `t
    - s`.

    Args:
        points: (step, value) pairs with steps that increase, at least one.
        curve: "linear", "cosine" or "exponential" (which wants values > 0).

    Raises:
        TypeError, ValueError: points that are no pairs, none at all or not increasing; another curve.

    Also known as: `optax.piecewise_interpolate_schedule`, Ignite `PiecewiseLinear`, fastai `combine_scheds`.

    Example:
        >>> Interpolate([(0, 0.0), (2, 1.0), (6, 0.0)]).table(7).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    points: Sequence[Sequence[Any]] | NDArray[Any] = field(_points, duration="place")
    curve: str = field(_check.choice(*SEGMENTS), "linear")

    def _validate(self) -> None:
        for at, (_, value) in enumerate(self.points):
            if self.curve == "exponential" and value <= 0.0:
                _check.refuse(f"Interpolate.points[{at}][1]", "a number > 0 for exponential curves", value)

    def _own_durations(self) -> Iterator[tuple[str, Duration]]:
        for at, (step, _) in enumerate(self.points):
            yield f"Interpolate.points[{at}][0]", step

    def _as_sequence(self) -> compose.Sequence:
        from lrcore import compose

        segment = SEGMENTS[self.curve]
        first, last = self.points[0], self.points[-1]
        parts: list[Any] = [(Constant(first[1]), first[0])]
        for (begin, init), (end, value) in zip(self.points, self.points[1:], strict=False):
            parts.append((segment(init, value, end - begin), end - begin))
        return compose.Sequence([*parts, Constant(last[1])])

    def _lower(self, rows: Rows) -> int:
        return rows.place_of(self._as_sequence())

    def _length(self, scale: float) -> int:
        return scaled(int(self.points[-1][0]), scale)

    def _rounded_durations(self, factor: float) -> Any:
        return self._as_sequence()._rounded_durations(factor)


def _table_values(where: str, given: Any) -> NDArray[Any]:
    values = _check.array(where, given, "fiu", "real numbers")
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{where}: expected one dimension and at least one value, got shape {values.shape}")
    kept = np.float32 if values.dtype == np.float32 else np.float64
    owned: NDArray[Any] = np.array(values, dtype=kept, order="C")
    owned += 0.0  # -0.0 becomes 0.0
    magnitudes = np.abs(owned, dtype=np.float64)
    usable = (owned == 0.0) | ((magnitudes >= _check.SMALLEST) & (magnitudes <= _check.LARGEST))
    if not usable.all():
        at = int(np.argmin(usable))
        _check.value(f"{where}[{at}]", float(owned[at]))
    owned.flags.writeable = False
    return owned


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table(Schedule):
    """Given values, one an update; the last holds.

    `values[min(t, len(values) - 1)]`

    Args:
        values: a list or an array of finite numbers, one dimension, at least one. They are copied; float32
            stays float32 (and is exact as float64). `lrcore.open_table` maps a file instead, without a copy.

    Raises:
        TypeError, ValueError: values that are no finite real numbers, none at all, or more than one
            dimension.

    Every value is used once before the last holds, so `length` is `len(values)`. Two tables are equal if
    their values are.

    Also known as: torch `LambdaLR(optimizer, values.__getitem__)`, DeepSpeed and timm previews.

    Example:
        >>> table = Table([0.1, 0.2, 0.4])
        >>> table(1), table(9), table.length
        (0.2, 0.4, 3)
    """

    values: Sequence[float] | NDArray[Any] = field(_table_values)

    def _lower(self, rows: Rows) -> int:
        return row(rows, "TABLE", data=np.asarray(self.values))

    def _length(self, scale: float) -> int:
        return scaled(len(self.values), scale)

    def _rounded_durations(self, factor: float) -> Iterator[str]:
        if not is_whole(factor):
            yield f"Table.values from 1 update each ({factor:.12g}) to whole updates"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self is other or np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        ends = [float(value) for value in (*self.values[:4], *self.values[-4:])]
        return hash((Table, len(self.values), *ends))

    def __repr__(self) -> str:
        return f"Table(values={np.asarray(self.values).tolist()})"
