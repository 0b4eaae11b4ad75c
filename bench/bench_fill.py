"""Tables of 50 M consecutive steps into a ready array: against a plain fill."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import lrcore
from bench._measure import Kind, Line
from bench._peers import Floats, Steps
from lrcore import Schedule

PEAK, END = 0.1, 1e-5


@dataclass(frozen=True)
class Case:
    """A schedule over a whole table, its formula in NumPy, and how many plain fills the table may cost."""

    name: str
    schedule: Schedule
    formula: Callable[[Steps], Floats]
    bound: float | None


class Arrays:
    """The memory of all lines, touched once, when it is first needed."""

    def __init__(self, size: int) -> None:
        self.size = size

    @cached_property
    def out(self) -> Floats:
        return np.ones(self.size)


# ---- Formulas ----


def cosine(t: Steps | Floats, init: float, end: float, length: float | Floats) -> Floats:
    return end + (init - end) * (1 + np.cos(np.pi * np.minimum(t / length, 1))) / 2


def warmup_cosine(t: Steps, warmup: int, steps: int) -> Floats:
    return np.where(t < warmup, PEAK * t / warmup, cosine(t - warmup, PEAK, END, steps - warmup))


def one_cycle(t: Steps, steps: int) -> Floats:
    up = math.floor(0.3 * steps + 0.5)
    low, last = PEAK / 25, PEAK / 25 / 1e4
    return np.where(t < up, cosine(t, low, PEAK, up), cosine(t - up, PEAK, last, steps - up))


def doubling_cycles(t: Steps, period: int) -> Floats:
    number = np.floor(np.log2(t / period + 1))
    return cosine(t - period * (2**number - 1), PEAK, END, period * 2**number)


def polynomial(t: Steps, steps: int, power: float) -> Floats:
    return END + (PEAK - END) * (1 - t / steps) ** power


def pieces(steps: int, count: int) -> tuple[Steps, Floats]:
    rng = np.random.default_rng(7)
    boundaries = np.sort(rng.choice(np.arange(1, steps), count - 1, replace=False))
    return boundaries, rng.uniform(END, PEAK, count)


def piecewise(steps: int, count: int) -> Case:
    boundaries, values = pieces(steps, count)
    return Case(
        f"{count}-piece Piecewise",
        lrcore.Piecewise(boundaries.tolist(), values.tolist()),
        lambda t: values[np.searchsorted(boundaries, t, side="right")],
        2.0,
    )


def stairs(every: int, drop: float, bound: float | None) -> Case:
    return Case(
        f"step_decay every {every:,}",
        lrcore.step_decay(PEAK, drop, every),
        lambda t: PEAK * np.float64(drop) ** (t // every),
        bound,
    )


def power(steps: int, exponent: float, bound: float) -> Case:
    return Case(
        f"Polynomial, power {exponent:g}",
        lrcore.Polynomial(PEAK, END, steps, exponent),
        lambda t: polynomial(t, steps, exponent),
        bound,
    )


def cases(steps: int) -> list[Case]:
    """The first ones with the bounds of the contract; those without a bound show where an engine is weak."""
    period = max(1, steps // 1000)
    rate = END / PEAK
    return [
        Case("Cosine", lrcore.Cosine(PEAK, END, steps), lambda t: cosine(t, PEAK, END, steps), 4.0),
        Case(
            "warmup_cosine",
            lrcore.warmup_cosine(PEAK, END, steps // 20, steps),
            lambda t: warmup_cosine(t, steps // 20, steps),
            4.0,
        ),
        Case("one_cycle", lrcore.one_cycle(PEAK, steps), lambda t: one_cycle(t, steps), 4.0),
        Case(
            "sgdr, period_mult 2",
            lrcore.sgdr(PEAK, END, period, period_mult=2),
            lambda t: doubling_cycles(t, period),
            4.0,
        ),
        Case(
            "Linear",
            lrcore.Linear(PEAK, END, steps),
            lambda t: PEAK + (END - PEAK) * (t / steps),
            2.0,
        ),
        stairs(1000, 0.9999, 2.0),
        piecewise(steps, 1000),
        Case(
            "Exponential",
            lrcore.Exponential(PEAK, END, steps),
            lambda t: PEAK * rate ** (t / steps),
            6.0,
        ),
        Case(
            "ExponentialDecay",
            lrcore.ExponentialDecay(PEAK, 0.96, steps / 100),
            lambda t: PEAK * 0.96 ** (t / (steps / 100)),
            6.0,
        ),
        power(steps, 0.5, 3.0),
        power(steps, 0.9, 25.0),
        power(steps, 2, 25.0),
        power(steps, 3, 25.0),
        power(steps, 5, 25.0),
        power(steps, 10, 25.0),
        power(steps, 18, 25.0),
        stairs(10, 0.999999, None),
        Case(
            "sgdr, cycles of 1,000",
            lrcore.sgdr(PEAK, END, 1000),
            lambda t: cosine(t % 1000, PEAK, END, 1000),
            None,
        ),
        Case(
            "warmup_cosine × step_decay",
            lrcore.warmup_cosine(PEAK, END, steps // 20, steps) * lrcore.step_decay(1.0, 0.9, period),
            lambda t: warmup_cosine(t, steps // 20, steps) * 0.9 ** (t // period),
            None,
        ),
        Case(
            "ExponentialDecay to 0",
            lrcore.ExponentialDecay(PEAK, 0.9, max(1, steps // 20_000)),
            lambda t: PEAK * 0.9 ** (t / max(1, steps // 20_000)),
            None,
        ),
    ]


# ---- Lines ----


def _against_fill(case: Case, arrays: Arrays) -> Line:
    return Line(
        topic="fill",
        name=case.name,
        ours=lambda: case.schedule.table(arrays.size, out=arrays.out),
        peer=lambda: arrays.out.fill(PEAK),
        expected=case.formula,
        count=arrays.size,
        kind=Kind.COST,
        unit="× fill",
        bound=case.bound,
    )


def lines(quick: bool = False) -> Iterator[Line]:
    arrays = Arrays(2_000_000 if quick else 50_000_000)
    for case in cases(arrays.size):
        yield _against_fill(case, arrays)
