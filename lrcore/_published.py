"""The rules of other libraries: what each records of the losses, when it stops, and what it reads from that.

They are here to compare with, flaws included, and in the libraries' own precision; what is wrong with each stands
beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrcore import _check
from lrcore._curvefeatures import runs_of

Floats = NDArray[np.float64]
Recorded = NDArray[Any]


# ---- What is recorded: an average for each loss, to the one that stops the test ----


class Record:
    """Takes losses one by one, as a callback does.

    Attributes:
        values: what is recorded.
        places: of which loss, from 0.
    """

    def __init__(self) -> None:
        self.values: list[float] = []
        self.places: list[int] = []
        self.seen = 0
        self.average = 0.0
        self.best = math.inf

    def observe(self, loss: float) -> bool:
        """Takes the next loss; whether the test stops."""
        stop = self._observe(loss)
        self.seen += 1
        return stop

    def _observe(self, loss: float) -> bool:
        raise NotImplementedError

    def _keep(self, value: float) -> None:
        self.values.append(value)
        self.places.append(self.seen)


class Fastai(Record):
    """An average with weight 0.98 and its bias corrected, in float32; more than four times the least one stops."""

    def _observe(self, loss: float) -> bool:
        average, rest = np.float32(self.average), float(np.float32(1.0) - np.float32(0.98))
        # torch.lerp rounds once, as fused multiply-add instructions do.
        self.average = float(np.float32(float(average) - float(average - np.float32(loss)) * rest))
        value = float(np.float32(self.average) / np.float32(1.0 - 0.98 ** (self.seen + 1)))
        self._keep(value)
        self.best = value if value < self.best else self.best
        return value > 4 * self.best


class Lightning(Record):
    """The same in float64, but corrected as if there had been one loss more, so it begins at half the height."""

    def _observe(self, loss: float) -> bool:
        step = self.seen + 1
        self.average = 0.98 * self.average + (1 - 0.98) * loss
        value = self.average / (1 - 0.98 ** (step + 1))
        stop = step > 1 and value > 4.0 * self.best
        if value < self.best or step == 1:
            self.best = value
        self._keep(value)
        return stop


class Seeded(Record):
    """An average with weight 0.95 that begins at the first loss; more than five times the least one stops."""

    def _observe(self, loss: float) -> bool:
        value = 0.05 * loss + (1 - 0.05) * self.values[-1] if self.values else loss
        if not self.values or value < self.best:
            self.best = value
        self._keep(value)
        return value > 5 * self.best


class Article(Record):
    """A Keras callback that is passed around: an average is compared with the least raw loss, and 0 is not recorded.

    Args:
        smoothing: the weight of the past.
        max_steps: the test ends after one update more than these.
    """

    def __init__(self, smoothing: float = 0.9, max_steps: float = math.inf) -> None:
        super().__init__()
        self.smoothing, self.max_steps = smoothing, max_steps

    def rate(self, step: int, start_lr: float, end_lr: float) -> float:
        """The learning rate of an update."""
        growth: float = (end_lr / start_lr) ** (step / self.max_steps)
        return start_lr * growth

    def _observe(self, loss: float) -> bool:
        stop = self.seen == self.max_steps
        if not loss:
            return stop
        self.average = self.smoothing * self.average + (1 - self.smoothing) * loss
        value = self.average / (1 - self.smoothing ** (self.seen + 1))
        self._keep(value)
        if self.seen == 0 or loss < self.best:
            self.best = loss
        return stop or value > 4 * self.best or math.isnan(value)


# ---- What is read from it: a place, or None where the library says nothing or fails ----


def _valley(_lrs: Floats, losses: Recorded) -> int | None:
    """A place in what is taken for the longest valley: of the longest falling subsequence, only its end is a place."""
    if not losses.size:
        return None
    longest = np.ones(losses.size, np.int64)
    for at in range(1, losses.size):
        above = longest[:at][losses[:at] > losses[at]]
        longest[at] = 1 + above.max(initial=0)
    end = int(longest.argmax())
    start = end - int(longest[end]) if end else 0
    third = (end - start) / 3
    return start + int(third) + int(third / 2)


def _slide(_lrs: Floats, losses: Recorded) -> int | None:
    """From the end back, until slopes 15 places apart are nearly the same."""
    if losses.size < 16:
        return None
    slopes = np.gradient(losses)
    left = found = losses.size - 16
    while left >= 0 and abs(slopes[left + 15] - slopes[left]) > 0.005:
        found = left
        left -= 1
    return found


def _least(_lrs: Floats, losses: Recorded) -> int | None:
    return int(losses.argmin()) if losses.size else None


def _steep(lrs: Floats, losses: Recorded) -> int | None:
    if losses.size < 2:
        return None
    return int((np.diff(losses) / np.diff(np.log(lrs.astype(np.float32)))).argmin())


def _by_rate(lrs: Floats, losses: Recorded) -> int | None:
    """The steepest fall over the rate itself, which on rates of many decades is the first of all falls."""
    return int(np.gradient(losses, lrs.astype(np.float32)).argmin()) if losses.size > 1 else None


def _by_place(_lrs: Floats, losses: Recorded) -> int | None:
    return int(np.gradient(losses).argmin()) if losses.size > 1 else None


def _before_least(_lrs: Floats, losses: Recorded) -> int | None:
    falling = losses[: losses.argmin() + 1]
    if falling.size < 3:
        return None
    return int((np.float32(0.5) * (falling[2:] - falling[:-2])).argmin()) + 1


class Rule(NamedTuple):
    """A library's way from losses to a rate.

    Args:
        record: what it records.
        read: the place that it takes, in what is left.
        begin: how much it cuts off at the start; None for a tenth of the test.
        end: and at the end.
        least: how many values it wants.
        unclean: what it does with losses that are no finite numbers: "keep" them, "cut" at the first NaN, "drop" them,
            or drop them and forget that the others have moved, "shift".
        precision: the type of float it reads in.
        divisor: what it divides the rate at the place by.
    """

    record: type[Record]
    read: Callable[[Floats, Recorded], int | None]
    begin: int | None = None
    end: int = 5
    least: int = 0
    unclean: str = "cut"
    precision: type[np.floating[Any]] = np.float32
    divisor: float = 1.0


RULES = {
    "fastai-valley": Rule(Fastai, _valley),
    "fastai-slide": Rule(Fastai, _slide),
    "fastai-steep": Rule(Fastai, _steep),
    "fastai-minimum": Rule(Fastai, _least, divisor=10.0),
    "lightning": Rule(Lightning, _by_rate, begin=10, end=1, unclean="drop"),
    "lightning-2.5.2": Rule(Lightning, _by_place, begin=10, end=1, unclean="shift"),
    "torch-lr-finder": Rule(Seeded, _by_place, begin=10, least=17, unclean="keep", precision=np.float64),
    "ignite": Rule(Seeded, _before_least, begin=0, end=0, least=3, unclean="keep"),
    "keras-callback": Rule(Article, _least, begin=0, end=0, precision=np.float64, divisor=10.0),
}
PUBLISHED = tuple(RULES)


def published(name: str, lrs: ArrayLike, losses: ArrayLike) -> float | None:
    """What another library would have suggested after the same losses.

    Its own smoothing, stop, trimming and rule:

    - "fastai-valley", "fastai-slide", "fastai-steep", "fastai-minimum": fastai 2.8; the minimum is divided by 10;
    - "lightning": since 2.5.3, and "lightning-2.5.2" up to there;
    - "torch-lr-finder": 0.2.2;
    - "ignite": 0.5.5;
    - "keras-callback": a callback for Keras that has been copied often and only draws; here its minimum divided by 10.

    Args:
        name: of these.
        lrs: the rates, (steps,); the library's own, for exactly what it would say.
        losses: of the batches, raw, (n,), in the pairing of these libraries: `losses[i]` beside `lrs[i]`.

    Returns:
        A rate, or None where the library says nothing or fails.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Example:
        >>> lrs = [10.0**exponent for exponent in range(-7, 3)]
        >>> published("ignite", lrs, [3.0, 3.0, 3.0, 3.0, 2.0, 1.0, 1.0, 2.0, 90.0, 90.0])
        0.01
    """
    if name not in RULES:
        close = _check.did_you_mean(str(name), RULES)
        raise ValueError(f"published.name: expected one of {', '.join(RULES)}, got {name!r}{close}")
    runs = runs_of("published", lrs, losses)
    if len(runs.losses) != 1:
        raise ValueError(f"published.losses: expected one run, shape (n,), got {len(runs.losses)} runs")
    return suggested(RULES[name], runs.lrs, runs.losses[0, : runs.lengths[0]])


def suggested(rule: Rule, lrs: Floats, losses: Floats) -> float | None:
    """What a rule makes of checked losses."""
    record = rule.record()
    with np.errstate(all="ignore"):
        for loss in losses[: len(lrs)].tolist():
            if record.observe(loss):
                break
        values = np.array(record.values, rule.precision)
        if len(values) < rule.least:
            return None
        begin = len(lrs) // 10 if rule.begin is None else rule.begin
        kept = np.arange(len(values))[begin : len(values) - rule.end]
        if rule.unclean == "cut":
            kept = kept[: np.argmax([*np.isnan(values[kept]), True])]
        read = kept[np.isfinite(values[kept])] if rule.unclean in ("drop", "shift") else kept
        rates = lrs[record.places]
        place = rule.read(rates[read], values[read]) if read.size else None
    if place is None:
        return None
    return float(rates[(kept if rule.unclean == "shift" else read)[place]] / rule.divisor)
