"""What timm's schedules share: cycles that decay, a warm-up before or over them, noise in a range of updates."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple

from lrcore import _check
from lrcore._check import END_OF_STEPS, SMALLEST
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Exponential, Linear, Piecewise, Table
from lrcore.cycles import Cycle
from lrcore.decays import ExponentialDecay
from lrcore.dialects._parts import _cycles, through, until
from lrcore.functions import Map, Noise
from lrcore.schedule import Schedule

LARGEST_NORMAL = 9.0  # sqrt(-2 log(2**-53)) = 8.57 is the largest number that torch draws
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
        """Each cycle from its peak to its end, which may be between two updates; then lr_min.

        A cycle that does not end before step 2**53 has nothing after it.
        """
        alike = self.cycle_decay == 1.0 and self.cycle_mul == int(self.cycle_mul)
        if alike and self.cycle_limit and (self.cycle_limit == 1 or self.cycle_mul == 1 or not strict):
            first = shape(self.base_lr, 0.0, self.t_initial)
            ends = self._ends()
            cycles = Cycle(first, self.t_initial, self.cycle_mul, count=self.cycle_limit if ends else None)
            made = first if self.cycle_limit == 1 else cycles
            return made if ends_at_min or not ends else Sequence([(made, cycles._length(1.0)), self.lr_min])
        parts = self._parts(shape, strict)
        total = sum(steps for _, steps in parts)
        return Sequence([*parts, self.lr_min] if total < END_OF_STEPS else [*parts[:-1], parts[-1][0]])

    def _ends(self) -> bool:
        steps = (steps for steps, *_ in islice(_cycles(Fraction(self.t_initial), self.cycle_mul), self.cycle_limit))
        return sum(steps) < END_OF_STEPS

    def _parts(self, shape: Shape, strict: bool) -> list[Any]:
        parts: list[Any] = []
        stop, late = 0, 0
        for at, (steps, begin, end) in enumerate(
            islice(_cycles(Fraction(self.t_initial), self.cycle_mul), self.cycle_limit)
        ):
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


class Noisy(NamedTuple):
    """timm's noise: what its arguments say."""

    within: Any  # as noise_range gives it
    pct: float
    std: float
    seed: Any  # as noise_seed gives it
    kind: str

    def added_to(self, made: Schedule) -> Schedule:
        """Times 1 + a number within pct, in a range of updates."""
        if self.within is None or (self.kind == "normal" and self.std == 0.0):
            return made
        begin, end = self.within
        noisy = made * (self._numbers() + 1.0)
        rest = noisy if end is None else until(noisy, end, made)
        return made if end is not None and end <= begin else until(made, begin, rest)

    def _numbers(self) -> Schedule:
        """Those of torch's generator, seeded anew with seed + t at each update, which takes 32 bits of that."""
        seed = self.seed % 2**32
        if self.kind == "uniform":
            return self.pct * Noise(seed, "mt19937", "uniform")
        bound = self.pct / self.std
        return self.std * Noise(seed, "mt19937", bound=bound if bound < LARGEST_NORMAL else None)


def as_set(
    made: Schedule, base_lr: float, warmup_t: int, warmup_lr_init: float, noise: Noisy, strict: bool
) -> Schedule:
    """With noise, and by `strict` with the first value of the constructor, which adds none and asks for no schedule."""
    noisy = noise.added_to(made)
    first = warmup_lr_init if warmup_t else base_lr
    return until(Constant(first), 1, noisy) if strict and noisy(0) != first else noisy


def noise_range(where: str, given: Any) -> tuple[int, int | None] | None:
    """Updates [begin, end); an end of None is that of no run."""
    if given is None:
        return None
    if isinstance(given, (list, tuple)) and len(given) == 2:
        return _first(f"{where}[0]", given[0]), _first(f"{where}[1]", given[1])
    return _first(where, given), None


def _first(where: str, given: Any) -> int:
    moment = _check.number(where, given)
    return math.ceil(moment) if moment >= 0.0 else _check.refuse(where, "a number >= 0", given)


def noise_seed(where: str, given: Any) -> int:
    """None is timm's own default; one below 0 counts as its low bits."""
    return 42 if given is None else int(_check.whole(1 - 2**53, what="a seed")(where, given))


def share(begin: float, end: float) -> Schedule:
    """Of a cycle: 0 at its begin and 1 at its end."""
    return Linear(0.0, 1.0, int(end)) if is_whole(begin, end) else through(begin, 0.0, end, 1.0)


def is_whole(begin: float, end: float) -> bool:
    return begin == 0.0 and end == int(end)


def between(peak: float, lr_min: float, weight: Schedule) -> Schedule:
    return (peak - lr_min) * weight + lr_min if lr_min else peak * weight


def decimal(where: str, given: Any) -> Fraction:
    """An int or a decimal like 2.4, as it was written; what a product of it missed by rounding does not count."""
    given = _check.positive(where, given)
    written = Fraction(repr(given))
    near = written.limit_denominator(1000)
    if near < 1 or abs(near - written) > written * Fraction(1, 10**12) or near.numerator > 10**12:
        _check.refuse(where, "a number >= 1 of updates, whole or a fraction of thousandths at most", given)
    return near


def is_late(exact: Fraction, decay_t: float) -> bool:
    """Whether timm's `t // decay_t` is one too small where t / decay_t is whole."""
    return bool(exact.numerator // decay_t < exact.denominator)


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


def decay_factor(decay_fn: str | Callable[[float], float], steps: int, power: float, ratio: float) -> Schedule:
    """From 1 down to 0, and then 0."""
    if not isinstance(decay_fn, str):
        return Table([decay_fn(step / steps) for step in range(steps + 1)])
    if decay_fn == "exp":
        return 1.0 / (1.0 - ratio) * (Exponential(1.0, ratio, steps) + -ratio)
    if decay_fn in ("linear", "cosine"):
        return (Linear if decay_fn == "linear" else Cosine)(1.0, 0.0, steps)
    return -1.0 * Map(Linear(0.0, 1.0, steps), "power", 0.5 if decay_fn == "1-sqrt" else power) + 1.0
