"""What a monitor is given beside the losses: the newest of each measurement, and what is kept of those before."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore import _check
from lrcore._verdicts import is_dead

_classes = _check.whole(2, what="a number of classes")
_WAYS = ("prior_entropy", "label_counts", "classes")
LEVEL = 20  # measurements of which the median is taken


class Measured:
    """What was measured beside the losses: the newest of each, and what is kept of those before."""

    def __init__(self) -> None:
        self.count = 0
        self.gradient = self.spread = self.first_update = self.update_level = math.nan
        self.largest_update = 0.0
        self.active: tuple[float, ...] = ()
        self.gain: float | None = None
        self._updates: list[float] = []
        self._is_new = False

    def take(self, gradients: Any, updates: Any, active: Any, spread: Any, gain: Any) -> None:
        """The measurements of an update."""
        norms = _row("Monitor.observe.gradient_norms", gradients)
        gradient = norms[0] if norms else math.nan
        spread = math.nan if spread is None else real("Monitor.observe.logit_spread", spread)
        self._is_new = gradient == gradient or spread == spread
        if self._is_new:
            self.gradient, self.spread = gradient, spread
            self.count += 1
        self.active = _row("Monitor.observe.active_fractions", active) or self.active
        self._take_updates([one for one in _row("Monitor.observe.update_ratios", updates) if one == one])
        if gain is not None and self.gain is None and math.isfinite(real("Monitor.observe.input_gain", gain)):
            self.gain = float(gain)

    def _take_updates(self, ratios: list[float]) -> None:
        if not ratios:
            return
        largest = max(ratios)
        if self.first_update != self.first_update:
            self.first_update = largest
        self.largest_update = max(self.largest_update, largest)
        self._updates = [*self._updates[1 - LEVEL :], largest]
        self.update_level = median(self._updates)

    def is_dead(self, has_learnt: bool) -> bool | None:
        """Whether this update shows a dead net; None if it was not measured."""
        if not self._is_new:
            return None
        least = min((share for share in self.active if share == share), default=math.nan)
        return is_dead(self.gradient, self.spread, least, has_learnt)


def real(where: str, given: Any) -> float:
    """A number, NaN and infinities too."""
    try:
        if isinstance(given, (str, bytes, bool)):
            raise TypeError
        return float(given)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError, RuntimeError):  # an array of many elements
        _check.refuse(where, "a number", given, TypeError)


def _row(where: str, given: Any) -> tuple[float, ...]:
    """Numbers of layers; () where none was measured."""
    if given is None:
        return ()
    if type(given) is list and all(type(one) is float for one in given):  # the common case, ten times as fast
        return tuple(given) if any(one == one for one in given) else ()
    row = tuple(np.atleast_1d(_check.array(where, given, "iuf", "numbers")).astype(np.float64).ravel().tolist())
    return row if any(one == one for one in row) else ()


def prior_of(where: str, entropy: Any, counts: Any, classes: Any) -> float | None:
    """What a model loses that only knows how frequent the labels are, in one of three ways; None for none."""
    given = [name for name, one in zip(_WAYS, (entropy, counts, classes), strict=True) if one is not None]
    if len(given) > 1:
        raise ValueError(f"{where}: expected at most one of {', '.join(_WAYS)}, got {' and '.join(given)}")
    if classes is not None:
        return math.log(_classes(f"{where}.classes", classes))
    if counts is not None:
        return _entropy(f"{where}.label_counts", counts)
    return None if entropy is None else _check.not_negative(f"{where}.prior_entropy", entropy)


def _entropy(where: str, counts: Any) -> float:
    table = _check.array(where, counts, "iuf", "counts").astype(np.float64)
    if table.ndim != 1 or not (np.isfinite(table).all() and (table >= 0.0).all() and table.sum() > 0.0):
        _check.refuse(where, "counts >= 0 of each label, some above 0", counts)
    shares = table[table > 0.0] / table.sum()
    return float(-(shares * np.log(shares)).sum()) + 0.0


def given_rows(name: str, given: Any, count: int, dimensions: int) -> NDArray[np.float64] | None:
    """`rows_of`, or None for None."""
    return None if given is None else rows_of(name, given, count, dimensions)


def rows_of(name: str, given: Any, count: int | None, dimensions: int) -> NDArray[np.float64]:
    """An array whose first axis is the updates; a second one, layers, may be left out."""
    table = _check.array(f"diagnose.{name}", given, "iuf", "real numbers").astype(np.float64)
    if table.ndim == 1 and dimensions == 2:
        table = table[:, None]
    if table.ndim != dimensions or (count is not None and len(table) != count):
        shape = f"({'steps' if count is None else count},{' layers' * (dimensions - 1)})"
        raise ValueError(f"diagnose.{name}: expected shape {shape}, got {np.shape(given)}")
    return table
