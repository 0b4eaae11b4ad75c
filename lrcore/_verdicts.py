"""What a monitor looks for: the tests behind its verdicts, one function each, and the numbers in them.

Where a number comes from: (a) the failure of the forum's net and runs of other classifiers, which `bench/high_lr.py`
trains and reports; thresholds were chosen on other seeds than it validates with. (b) Proposals that are not
validated: what rests on them alone is an advisory, never an alarm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERDICTS = (  # the first that holds is given
    "nonfinite",
    "exploding",
    "dead_network",
    "stuck_at_prior",
    "spiked_and_recovered",
    "oscillating",
    "too_slow",
    "plateau_start",
    "healthy",
)
FAILURES = VERDICTS[:4]  # each is an alarm; the others are not

Row = NDArray[np.float64]
LARGEST = 1e100  # losses are cut to it, so that no square of a window overflows


@dataclass(frozen=True)
class Lengths:
    """Losses that a test looks at: of batches, or of whole epochs, whose means are steady."""

    explosion: int
    dead: int
    stuck_high: int  # where something says that the rate is too high
    stuck: int  # where nothing says
    stuck_low: int  # where something says that it is too low: such a run may only be slow to begin
    trend: int
    spike: int  # whose median jumps
    before_spike: int  # whose median it jumps from
    forget: int  # after which a spike that is over is forgotten


OF_BATCHES = Lengths(
    explosion=10,
    dead=8,
    stuck_high=34,
    stuck=100,
    stuck_low=200,
    trend=100,
    spike=5,
    before_spike=20,
    forget=200,
)
OF_EPOCHS = Lengths(
    explosion=3,
    dead=3,
    stuck_high=4,
    stuck=5,
    stuck_low=8,
    trend=20,
    spike=1,
    before_spike=3,
    forget=20,
)

EXPLODED = 4.0  # times the first losses
BEYOND_NOISE = 2.0  # times the range that losses have about their line or median
WILD = 1e3  # times their median that no noise reaches
SPIKE = 4.0  # times the level before it
SPIKE_SHARE = 0.5  # of the first loss that it must rise by: small losses are noisy by large factors
BACK = 1.2  # times the level before a spike is recovered
SAME_OUTPUT = 1e-6  # (a) the spread of logits over a batch that are the same but for their rounding
MARGIN = 0.017  # (a) of the prior: 0.03 nats of ln 6
LEARNT = 0.1  # of the prior or the first loss: a failure that falls below is over
STEEP = 2.5  # standard errors
BLOWN_UP = 1.5  # (a) times the level that a loss came down to
LARGE_UPDATE, SMALL_UPDATE = 0.1, 3e-3  # (a) of the weights, in one update
SLOW_UPDATE = 1e-3  # (b)
OSCILLATION, STEADY = -0.3, 0.01  # (b) autocorrelation of successive losses, and of their mean what is no oscillation
HALF = 0.5  # of the units of a layer


class Recent:
    """The last losses as one contiguous array at any time: each is written twice, a length apart."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._held = np.zeros(2 * length)
        self.count = 0

    def add(self, loss: float) -> None:
        """Takes the next."""
        at = self.count % self._length
        self._held[at] = self._held[at + self._length] = min(max(loss, -LARGEST), LARGEST)
        self.count += 1

    def last(self, count: int) -> Row:
        """The last of them, oldest first; no more than there are."""
        count = min(count, self.count, self._length)
        end = (self.count - 1) % self._length + self._length + 1
        return self._held[end - count : end]


class Spikes:
    """Jumps of the level of the losses, which one noisy loss does not move."""

    def __init__(self, lengths: Lengths) -> None:
        self._lengths = lengths
        self.level_before: float | None = None  # of a spike that is not over

    def has_come_back(self, losses: Recent, first: float) -> bool:
        """Takes the newest loss: whether a spike is over with it."""
        lengths, before = self._lengths, self.level_before
        if before is None:
            self._look_for_one(losses.last(lengths.spike + lengths.before_spike).tolist(), first)
            return False
        if median(losses.last(lengths.spike).tolist()) > before + (BACK - 1.0) * abs(before):
            return False
        self.level_before = None
        return True

    def _look_for_one(self, losses: list[float], first: float) -> None:
        usual, newest = losses[: -self._lengths.spike], losses[-self._lengths.spike :]
        if len(usual) < self._lengths.before_spike:
            return
        level, highest = median(newest), max(usual)
        if level <= highest:
            return
        before = median(usual)
        noise = BEYOND_NOISE * (highest - before)
        if level - before > max((SPIKE - 1.0) * abs(before), SPIKE_SHARE * abs(first), noise):
            self.level_before = before


def level_at_first(first: float, losses: list[float]) -> float:
    """What the losses of a run begin at: the median of these, as the first one may be small by chance.

    It is the first one alone where that is the larger, and where the others have jumped or risen from it, or jump to
    and fro by more than noise: these explode already.
    """
    floor = min(0.0, *losses)
    excess = [loss - floor for loss in losses]
    logs = [math.log(max(one, 1e-300)) for one in excess]
    slope = slope_of_logs(excess[1:])
    rest = [one - slope * at for at, one in enumerate(logs[1:])]
    has_jumped = median(logs[1:]) - logs[0] > BEYOND_NOISE * (max(rest) - min(rest))
    is_wild = max(excess) > WILD * median(excess)
    return first if has_jumped or is_wild or losses == sorted(losses) else max(first, median(losses))


def blow_up_level(first: float, prior: float | None) -> float:
    """Where a loss has exploded: 4 times the first ones where these are positive, and as far above where they are not.

    Args:
        first: the level of the first losses.
        prior: what a model loses that knows nothing, where that is known.
    """
    base = max(first, prior) if prior is not None else first
    return base + (EXPLODED - 1.0) * max(abs(base), 1e-12)


def slope_of_logs(excess: list[float]) -> float:
    """Theil and Sen's slope of the logarithms: the median of that of all pairs, which no outlier moves."""
    logs = [math.log(max(one, 1e-300)) for one in excess]
    return median((logs[b] - logs[a]) / (b - a) for a, b in combinations(range(len(logs)), 2))


def does_not_fall(losses: list[float], first: float) -> bool:
    """Whether losses that are up have not begun to come down."""
    floor = min(first, 0.0)
    return slope_of_logs([loss - floor for loss in losses]) >= 0.0


def trend(losses: Row) -> tuple[float, float, float]:
    """The mean of a window, its slope by least squares and the standard error of that."""
    mean = float(losses.mean())
    places = np.arange(len(losses)) - (len(losses) - 1) / 2.0
    squares = float(places @ places)
    centred = losses - mean
    slope = float(places @ centred) / squares
    rest = centred - slope * places
    return mean, slope, math.sqrt(float(rest @ rest) / max(len(losses) - 2, 1) / squares)


def is_stuck(losses: Row, prior: float) -> bool:
    """Whether a window is no better than the prior on average, and does not fall."""
    mean, slope, error = trend(losses)
    return mean >= (1.0 - MARGIN) * prior and not slope < -STEEP * error


def is_flat(losses: Row, level: float) -> bool:
    """Whether a window keeps to a level, and does not fall."""
    mean, slope, error = trend(losses)
    return abs(mean - level) <= MARGIN * abs(level) and not slope < -STEEP * error


def alternation(losses: Row) -> float:
    """The correlation of successive losses of a window, without its trend; 0 where they hardly differ."""
    mean, slope, _ = trend(losses)
    rest = losses - mean - slope * (np.arange(len(losses)) - (len(losses) - 1) / 2.0)
    total = float(rest @ rest)
    is_steady = total <= len(losses) * (STEADY * mean) ** 2
    return 0.0 if is_steady else float(rest[1:] @ rest[:-1]) / total


def is_dead(gradient: float, spread: float, active: float, has_learnt: bool) -> bool | None:
    """Whether an update shows a net whose output no longer hangs on its input; None where nothing was measured.

    Args:
        gradient: the norm of the gradient of the first layer. It is 0, too, where all is learnt.
        spread: the largest range of a logit over the batch.
        active: the smallest share of active units of a layer.
        has_learnt: whether the loss is far below that of the beginning.
    """
    if not math.isnan(spread):
        return spread <= SAME_OUTPUT and not gradient > 0.0
    if not math.isnan(gradient):
        return gradient == 0.0 and not active > 0.0 and not has_learnt
    return None


def matching_scale(mean: float, prior: float, batches: int | None) -> float | None:
    """What the prior is multiplied by to be this loss: 1, or n / (n - 1) for a sum of n losses divided by n - 1."""
    scales = [1.0] + ([batches / (batches - 1)] if batches is not None and batches > 1 else [])
    scale = min(scales, key=lambda one: abs(mean - one * prior))
    return scale if abs(mean - scale * prior) <= MARGIN * prior else None


def numbers(given: Any) -> tuple[float, ...]:
    """Numbers that were measured; what was not is NaN."""
    return () if given is None else tuple(float(one) for one in given)
