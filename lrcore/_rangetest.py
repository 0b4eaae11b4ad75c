"""The learning-rate range test: its rates, and its stop rule."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrcore import _check, _curvefeatures as curve
from lrcore._check import choice, field, positive, whole
from lrcore._curvefeatures import STOP_FACTOR
from lrcore.curves import Exponential, Linear
from lrcore.schedule import Schedule

Floats = NDArray[np.float64]

_steps = whole(2, 10**6)
_spacing = choice("exponential", "linear")


def _stop_factor(where: str, given: object) -> float:
    """Above 1; infinity for None."""
    if given is None or (isinstance(given, float) and given == math.inf):
        return math.inf
    checked = positive(where, given)
    if checked <= 1.0:
        _check.refuse(where, "a number > 1, or None", given)
    return checked


@dataclass(frozen=True)
class RangeTest:
    """Rates from very small to too large, one for each update of a short run, and a rule for when to stop.

    `start_lr * (end_lr / start_lr)**(i / (steps - 1))` for update i, or `"linear"` in between; both ends are exact.

    Args:
        start_lr: the first rate, > 0.
        end_lr: the last rate, > start_lr.
        steps: how many updates, >= 2.
        spacing: "exponential" or "linear".
        stop_factor: see `Watch`; None never stops for a loss that is a number.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.
    Also known as: fastai `lr_find`, Lightning `Tuner.lr_find`, Ignite `FastaiLRFinder`, torch-lr-finder `range_test`.

    Example:
        >>> test = RangeTest(0.001, 10.0, steps=5)
        >>> test.lrs.round(6).tolist()
        [0.001, 0.01, 0.1, 1.0, 10.0]
        >>> test.schedule
        Exponential(init_value=0.001, end_value=10.0, steps=4)
    """

    start_lr: float = field(positive, 1e-7)
    end_lr: float = field(positive, 10.0)
    steps: int = field(_steps, 100)
    _: KW_ONLY
    spacing: Literal["exponential", "linear"] = field(_spacing, "exponential")
    stop_factor: float | None = field(_stop_factor, STOP_FACTOR)

    def __post_init__(self) -> None:
        for item in fields(self):
            checked = item.metadata["check"](f"RangeTest.{item.name}", getattr(self, item.name))
            object.__setattr__(self, item.name, checked)
        if self.end_lr <= self.start_lr:
            _check.refuse("RangeTest.end_lr", f"a number > start_lr={self.start_lr!r}", self.end_lr)

    @property
    def schedule(self) -> Schedule:
        """The rates as a schedule.

        Example:
            >>> RangeTest(0.1, 0.4, steps=4, spacing="linear").schedule
            Linear(init_value=0.1, end_value=0.4, steps=3)
        """
        shape = Exponential if self.spacing == "exponential" else Linear
        return shape(self.start_lr, self.end_lr, self.steps - 1)

    @property
    def lrs(self) -> Floats:
        """The rates, shape (steps,).

        Example:
            >>> RangeTest(0.1, 0.4, steps=4, spacing="linear").lrs.tolist()
            [0.1, 0.2, 0.30000000000000004, 0.4]
        """
        return self.schedule.table(self.steps)

    def watch(self, runs: int = 1) -> Watch:
        """The stop rule, for so many runs side by side.

        Raises:
            TypeError, ValueError: runs that are no int >= 1.

        Example:
            >>> RangeTest().watch(8).running.all()
            np.True_
        """
        return Watch(self.steps, self.stop_factor, runs)


class Watch:
    """When to stop a range test: fed with losses, a run each.

    A run stops at the first loss that is no finite number, or where the median of the last five losses has

    `median > initial + max((stop_factor - 1) * max(|initial|, initial - best), 8 * noise)`

    where `initial` is the median of the losses before this one, of the first tenth of the test at most, `noise` their
    mean distance from it, and `best` the least of all before. For positive losses that is `median > stop_factor *
    initial`, or higher where single losses already differ by such factors, as those of small batches do. There are five
    losses at least before one is judged, and none is as long as all were exactly 0: a single loss of 0 stops nothing,
    and neither do negative ones.

    Args:
        steps: updates of the whole test.
        stop_factor: the factor, > 1; None never stops for a loss that is a number.
        runs: how many runs.

    Attributes:
        running: (runs,): which of them have not stopped.

    Example:
        >>> watch = RangeTest(steps=20).watch()
        >>> [watch.observe(loss) for loss in (2.0, 2.1, 1.9, 2.0, 2.0, 8.1, 8.2, 0.0, 8.3)]
        [False, False, False, False, False, False, False, False, True]
        >>> watch = RangeTest().watch(runs=2)
        >>> watch.observe([2.0, float("nan")]), watch.running.tolist()
        (False, [True, False])
        >>> watch.observe([1.0, 1.0]), watch.losses.tolist()
        (False, [[2.0, 1.0], [nan, nan]])
    """

    def __init__(self, steps: int, stop_factor: float | None = STOP_FACTOR, runs: int = 1) -> None:
        self._head = max(curve.head(_steps("Watch.steps", steps)), curve.RECENT)
        self._factor = _stop_factor("Watch.stop_factor", stop_factor)
        self._columns: list[Floats] = []
        self.running = np.ones(whole(1, what="a number of runs")("Watch.runs", runs), np.bool_)
        self._best = np.full(self.running.shape, np.inf)

    def observe(self, losses: ArrayLike) -> bool:
        """Takes the next loss of each run.

        Args:
            losses: a number, or (runs,); that of a run which has stopped is not looked at.

        Returns:
            Whether all runs have stopped.

        Raises:
            TypeError: no numbers.
            ValueError: another shape.

        Example:
            >>> RangeTest().watch().observe(float("inf"))
            True
        """
        given = _check.array("Watch.observe", losses, "fiu", "real numbers")
        if given.size != self.running.size or given.ndim > 1:
            raise ValueError(f"Watch.observe: expected {self.running.size} losses, got shape {given.shape}")
        latest = np.where(self.running, given, np.nan)
        seen = len(self._columns)
        self.running &= np.isfinite(latest)
        if seen >= curve.RECENT and self._factor < math.inf:
            first = np.stack(self._columns[: self._head], axis=1)
            recent = np.stack([*self._columns[1 - curve.RECENT :], latest], axis=1)
            allowed = curve.limit(first, self._best[:, None], self._factor)[:, 0]
            self.running &= ~(curve.levels(recent)[:, -1] > allowed)
        self._best = np.fmin(self._best, latest)
        self._columns.append(latest)
        return not self.running.any()

    @property
    def losses(self) -> Floats:
        """The losses so far, (runs, seen): as they came, to the one that stopped their run, and NaN behind it.

        Example:
            >>> RangeTest().watch(3).losses.shape
            (3, 0)
        """
        return np.stack(self._columns, axis=1) if self._columns else np.empty((self.running.size, 0))
