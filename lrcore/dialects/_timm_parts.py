"""What timm's schedules share: cycles that decay, a warm-up before or over them, noise in a range of updates."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple

from lrcore._check import SMALLEST
from lrcore.compose import Sequence
from lrcore.curves import ExponentialDecay, Linear, Piecewise
from lrcore.cycles import Cycle
from lrcore.dialects._parts import _cycles, through, until
from lrcore.functions import Map, Noise
from lrcore.schedule import Schedule

Shape = Callable[[float, float, float], Schedule]  # of a peak and the moments at which its cycle begins and ends


class Cycles(NamedTuple):
    """How often a decay begins again, and what becomes of it."""

    base_lr: float
    t_initial: int
    lr_min: float
    cycle_mul: float
    cycle_decay: float
    cycle_limit: int

    def of(self, shape: Shape, *, ends_at_min: bool, strict: bool = False) -> Schedule:
        """Each cycle from its peak to its end, which may be between two updates; then lr_min."""
        alike = self.cycle_decay == 1.0 and self.cycle_mul == int(self.cycle_mul)
        if alike and self.cycle_limit and (self.cycle_limit == 1 or self.cycle_mul == 1 or not strict):
            first = shape(self.base_lr, 0.0, self.t_initial)
            cycles = Cycle(first, self.t_initial, self.cycle_mul, count=self.cycle_limit)
            made = first if self.cycle_limit == 1 else cycles
            return made if ends_at_min else Sequence([(made, cycles._length(1.0)), self.lr_min])
        return Sequence([*self._parts(shape, strict), self.lr_min])

    def _parts(self, shape: Shape, strict: bool) -> list[Any]:
        parts: list[Any] = []
        stop, late = 0, 0
        for at, (steps, begin, end) in enumerate(islice(_cycles(self.t_initial, self.cycle_mul), self.cycle_limit)):
            stop += steps
            later = int(strict and self._is_missed(stop, at + 1))
            peak = self.base_lr * self.cycle_decay**at
            part = shape(peak if abs(peak) >= SMALLEST else 0.0, begin - late, end - late)
            parts.append((part, steps - late + later))
            late = later
        return parts

    def _is_missed(self, t: int, cycle: int) -> bool:
        """Whether timm's own arithmetic leaves the first update of a cycle in the cycle before it."""
        mult = self.cycle_mul
        return mult != 1 and math.floor(math.log(1 - t / self.t_initial * (1 - mult), mult)) < cycle


def after_warmup(made: Schedule, warmup_t: int, warmup_lr_init: float, base_lr: float, warmup_prefix: bool) -> Schedule:
    """A line to `base_lr`, before the decay, or instead of its begin: then the decay is where it is without warm-up."""
    if not warmup_t:
        return made
    rise = Linear(warmup_lr_init, base_lr, warmup_t)
    return Sequence([(rise, warmup_t), made]) if warmup_prefix else until(rise, warmup_t, made)


def with_noise(made: Schedule, within: Any, pct: float, std: float, seed: int) -> Schedule:
    """Times 1 + a normal number of variance std**2 that is within pct, in a range of updates."""
    if within is None:
        return made
    begin, end = within
    noisy = made * (_truncated(pct, std, seed) + 1.0)
    rest = noisy if end is None else until(noisy, end, made)
    return made if end is not None and end <= begin else until(made, begin, rest)


def _truncated(pct: float, std: float, seed: int) -> Schedule:
    """Normal numbers within bounds. Where the bounds cut off more than 1 in 10,000, a logistic curve stands for the
    normal one: 1.702 is the scale at which their distributions differ by less than 0.01 (Camilli, 1994)."""
    bound = pct / std
    if bound >= 4.0:
        return (std * Noise(seed)).clip(-pct, pct)
    one, other = Noise(seed), Noise(2**53 - 1 - seed)
    uniform = Map(-0.5 * (one * one + other * other), "exp")  # the radius of Box and Muller, undone
    low = 1.0 / (1.0 + math.exp(1.702 * bound))
    below = (1.0 - 2.0 * low) * uniform + low
    odds = Map(below, "log") + -1.0 * Map(-1.0 * below + 1.0, "log")
    return (std / 1.702 * odds).clip(-pct, pct)


def share(begin: float, end: float) -> Schedule:
    """Of a cycle: 0 at its begin and 1 at its end."""
    return Linear(0.0, 1.0, int(end)) if is_whole(begin, end) else through(begin, 0.0, end, 1.0)


def is_whole(begin: float, end: float) -> bool:
    return begin == 0.0 and end == int(end)


def between(peak: float, lr_min: float, weight: Schedule) -> Schedule:
    return (peak - lr_min) * weight + lr_min if lr_min else peak * weight


def drops_every(base_lr: float, decay_t: Fraction, decay_rate: float, *, late: bool) -> Schedule:
    """What drops every 12/5 updates does so 5 times in 12 updates, and in the next 12 at the same places."""
    span, drops = decay_t.numerator, decay_t.denominator
    if drops == 1:
        return ExponentialDecay(base_lr, decay_rate, span).staircase(span)
    marks = [math.ceil(decay_t * drop) - late for drop in range(1, drops)]
    values = [base_lr * decay_rate**drop for drop in range(drops)]
    values = [each if abs(each) >= SMALLEST else 0.0 for each in values]
    falls = Cycle(Piecewise(marks, values), span, value_mult=max(decay_rate**drops, SMALLEST))
    return Sequence([(base_lr, 1), falls]) if late else falls
