"""Slow twins of the engine: the formulas of the documentation, at 200 bits, with no cleverness.

`oracle(schedule, step)` is the exact value of a schedule. It reads the public fields of the schedule and
nothing else, so that an error of the engine cannot hide in it. `tolerance(schedule, step)` is what the
contract of the numbers lets the engine miss that value by: 2 ulp of the larger end and 8 ulp of the value
for a curve, and for a composite what follows from its parts when each product and each sum is rounded once.
"""

import math
import random
from dataclasses import dataclass
from fractions import Fraction
from functools import singledispatch
from itertools import count, pairwise

import mpmath
import numpy as np

import lrcore

EXACT = mpmath.mp.clone()
EXACT.prec = 200
mpf = EXACT.mpf

ULPS_OF_LARGER_END = 2
ULPS_OF_VALUE = 8


# --- units of error


def ulp(value):
    """The distance between neighbouring floats at `value`."""
    return math.ulp(float(value))


def ulps_between(got, exact):
    """How far a float lies from a real number, in ulps of that number."""
    return float(abs(mpf(got) - exact) / ulp(exact))


# --- one function a curve: the real number at step t


def blend(init, end, weight):
    """`weight` of the initial value and the rest of the end value."""
    return weight * mpf(init) + (1 - weight) * mpf(end)


def linear(init, end, steps, t):
    return mpf(end) if t >= steps else blend(init, end, 1 - mpf(t) / steps)


def cosine(init, end, steps, t):
    return mpf(end) if t >= steps else blend(init, end, (1 + EXACT.cos(EXACT.pi * t / steps)) / 2)


def polynomial(init, end, steps, power, t):
    return mpf(end) if t >= steps else blend(init, end, (1 - mpf(t) / steps) ** mpf(power))


def exponential(init, end, steps, t):
    return mpf(end) if t >= steps else mpf(init) * (mpf(end) / mpf(init)) ** (mpf(t) / steps)


def exponential_decay(init, rate, decay_steps, t):
    return mpf(init) * mpf(rate) ** (t / real(decay_steps))


def natural_exp_decay(init, rate, decay_steps, t):
    return mpf(init) * EXACT.exp(-mpf(rate) * t / real(decay_steps))


def inverse_time_decay(init, rate, decay_steps, t):
    return mpf(init) / (1 + mpf(rate) * t / real(decay_steps))


def inverse_sqrt(init, steps, t):
    return mpf(init) if t <= steps else mpf(init) * EXACT.sqrt(mpf(steps) / t)


def real(number):
    """A float, int or Fraction as a 200-bit number."""
    exact = Fraction(number)
    return mpf(exact.numerator) / exact.denominator


# --- whole numbers of updates


def as_written(number):
    """The decimal that the user wrote: 1.1 is eleven tenths, not the float beside it."""
    return Fraction(repr(number))


def round_half_up(number):
    return math.floor(number + Fraction(1, 2))


def restart_step(period, period_mult, k):
    """The update at which cycle k begins: period + period*m + ... + period*m**(k-1)."""
    m = as_written(period_mult)
    if m == 1:
        return period * k
    return round_half_up(period * (m**k - 1) / (m - 1))


def steps_stretched(steps, scale):
    """The steps of a stretched curve: rounded, and never none."""
    return max(1, round_half_up(steps * scale))


def last_multiple(every, t):
    """The last j whose beginning, round_half_up(j*every), is not after t.

    `floor(x + 1/2) <= t` says `x < t + 1/2`, so j is the last whole number below `(t + 1/2) / every`.
    """
    return math.ceil((t + Fraction(1, 2)) / every) - 1


# --- values with what the engine may miss them by


@dataclass(frozen=True)
class Estimate:
    """A real number and how far from it the engine may be."""

    value: mpmath.mpf
    slack: mpmath.mpf

    def __mul__(self, other):
        value = self.value * other.value
        spread = abs(self.value) * other.slack + abs(other.value) * self.slack + self.slack * other.slack
        return Estimate(value, spread + ulp(value))

    def __add__(self, other):
        value = self.value + other.value
        size = abs(self.value) + abs(other.value)
        return Estimate(value, self.slack + other.slack + ulp(size))


def exactly(value):
    return Estimate(mpf(value), mpf(0))


def within_ulps(value):
    return Estimate(value, mpf(ULPS_OF_VALUE * ulp(value)))


def decayed(value, init, scale):
    """The contract of a decay; a stretched unit of time is a rounded float, which the exponent magnifies."""
    depth = 0 if scale == 1 or value == 0 else abs(EXACT.log(value / mpf(init)))
    return Estimate(value, (ULPS_OF_VALUE + 4 * depth) * ulp(value))


def between_ends(init, end, steps, t, value):
    """The contract of a curve: exact at both ends, and relative accuracy when they have one sign."""
    if t == 0 or t >= steps:
        return exactly(value)
    slack = ULPS_OF_LARGER_END * ulp(max(abs(init), abs(end)))
    if init * mpf(end) >= 0:
        slack = min(slack, ULPS_OF_VALUE * ulp(value))
    return Estimate(value, mpf(slack))


# --- dispatch on the class of the schedule


def oracle(schedule, step):
    """The exact value of `schedule` at `step`, a whole number of updates."""
    return estimate(schedule, int(step), Fraction(1)).value


def tolerance(schedule, step):
    """How far the engine's value at `step` may lie from the exact one."""
    return estimate(schedule, int(step), Fraction(1)).slack


@singledispatch
def estimate(schedule, t, scale):  # noqa: ARG001, named for those registered below
    """The value at update t of `schedule` with every duration in it multiplied by `scale`."""
    raise TypeError(f"no oracle for {type(schedule).__name__}")


@estimate.register
def _(schedule: lrcore.Constant, _t, _scale):
    return exactly(schedule.value)


@estimate.register
def _(schedule: lrcore.Linear, t, scale):
    init, end, steps = schedule.init_value, schedule.end_value, steps_stretched(schedule.steps, scale)
    return between_ends(init, end, steps, t, linear(init, end, steps, t))


@estimate.register
def _(schedule: lrcore.Cosine, t, scale):
    init, end, steps = schedule.init_value, schedule.end_value, steps_stretched(schedule.steps, scale)
    return between_ends(init, end, steps, t, cosine(init, end, steps, t))


@estimate.register
def _(schedule: lrcore.Polynomial, t, scale):
    init, end, steps = schedule.init_value, schedule.end_value, steps_stretched(schedule.steps, scale)
    return between_ends(init, end, steps, t, polynomial(init, end, steps, schedule.power, t))


@estimate.register
def _(schedule: lrcore.Exponential, t, scale):
    init, end, steps = schedule.init_value, schedule.end_value, steps_stretched(schedule.steps, scale)
    return between_ends(init, end, steps, t, exponential(init, end, steps, t))


@estimate.register
def _(schedule: lrcore.ExponentialDecay, t, scale):
    init, unit = schedule.init_value, Fraction(schedule.decay_steps) * scale
    return decayed(exponential_decay(init, schedule.decay_rate, unit, t), init, scale)


@estimate.register
def _(schedule: lrcore.NaturalExpDecay, t, scale):
    init, unit = schedule.init_value, Fraction(schedule.decay_steps) * scale
    return decayed(natural_exp_decay(init, schedule.decay_rate, unit, t), init, scale)


@estimate.register
def _(schedule: lrcore.InverseTimeDecay, t, scale):
    init, unit = schedule.init_value, Fraction(schedule.decay_steps) * scale
    return decayed(inverse_time_decay(init, schedule.decay_rate, unit, t), init, scale)


@estimate.register
def _(schedule: lrcore.InverseSqrt, t, scale):
    steps = steps_stretched(schedule.steps, scale)
    value = inverse_sqrt(schedule.init_value, steps, t)
    return exactly(value) if t <= steps else within_ulps(value)


@estimate.register
def _(schedule: lrcore.Piecewise, t, scale):
    late = 1 if schedule.side == "left" else 0
    begins = [round_half_up((boundary + late) * scale) for boundary in schedule.boundaries]
    return exactly(schedule.values[sum(t >= begin for begin in begins)])


@estimate.register
def _(schedule: lrcore.Interpolate, t, scale):
    points = [(round_half_up(step * scale), value) for step, value in schedule.points]
    if t < points[0][0]:
        return exactly(points[0][1])
    curve = {"linear": linear, "cosine": cosine, "exponential": exponential}[schedule.curve]
    for (begin, init), (after, end) in pairwise(points):
        if begin <= t < after:
            steps = after - begin
            return between_ends(init, end, steps, t - begin, curve(init, end, steps, t - begin))
    return exactly(points[-1][1])


@estimate.register
def _(schedule: lrcore.Table, t, scale):
    return exactly(float(schedule.values[min(last_multiple(scale, t), len(schedule.values) - 1)]))


@estimate.register
def _(schedule: lrcore.Sequence, t, scale):
    begin = 0
    for part, steps in schedule.parts[:-1]:
        here, after = round_half_up(begin * scale), round_half_up((begin + steps) * scale)
        if t < after:
            return estimate(part, t - here, Fraction(after - here, steps))
        begin += steps
    return estimate(schedule.parts[-1], t - round_half_up(begin * scale), scale)


@estimate.register
def _(schedule: lrcore.Cycle, t, scale):
    span = schedule.period * (2 if schedule.mirror else 1)

    def begins(k):
        if schedule.period_mult == 1:
            return round_half_up(k * max(1, span * scale))
        return round_half_up(restart_step(span, schedule.period_mult, k) * scale)

    k = last_that_begins(begins, t)
    if schedule.count is not None and k >= schedule.count:
        k = schedule.count - 1
        inner = estimate(schedule.schedule, 0 if schedule.mirror else schedule.period, Fraction(1))
    else:
        length, t = begins(k + 1) - begins(k), t - begins(k)
        t = min(t, length - t) if schedule.mirror else t
        inner = estimate(schedule.schedule, t, Fraction(length, span))
    return inner if schedule.value_mult == 1 or k == 0 else inner * to_the_power(schedule.value_mult, k)


def last_that_begins(begins, t):
    """The last k with `begins(k) <= t`, by bisection."""
    beyond = 1
    while begins(beyond) <= t:
        beyond *= 2
    low = 0
    while beyond - low > 1:
        middle = (low + beyond) // 2
        if begins(middle) <= t:
            low = middle
        else:
            beyond = middle
    return low


def to_the_power(base, k):
    value = mpf(base) ** k
    return exactly(value) if mpf(float(value)) == value else within_ulps(value)


@estimate.register
def _(schedule: lrcore.Product, t, scale):
    product = exactly(1)
    for factor in schedule.factors:
        product = product * estimate(factor, t, scale)
    return product


@estimate.register
def _(schedule: lrcore.Sum, t, scale):
    total = exactly(0)
    for term in schedule.terms:
        total = total + estimate(term, t, scale)
    return total


@estimate.register
def _(schedule: lrcore.Scale, t, scale):
    return exactly(schedule.factor) * estimate(schedule.schedule, t, scale)


@estimate.register
def _(schedule: lrcore.Clip, t, scale):
    inner = estimate(schedule.schedule, t, scale)
    low = -EXACT.inf if schedule.min is None else mpf(schedule.min)
    high = EXACT.inf if schedule.max is None else mpf(schedule.max)
    return Estimate(max(low, min(high, inner.value)), inner.slack)


@estimate.register
def _(schedule: lrcore.Staircase, t, scale):
    every = max(1, schedule.every * scale)
    return estimate(schedule.schedule, round_half_up(last_multiple(every, t) * every), scale)


@estimate.register
def _(schedule: lrcore.Shift, t, scale):
    distance = round_half_up(abs(schedule.n) * scale)
    return estimate(schedule.schedule, max(0, t + distance if schedule.n > 0 else t - distance), scale)


@estimate.register
def _(schedule: lrcore.Stretch, t, scale):
    return estimate(schedule.schedule, t, scale * as_written(schedule.factor))


# --- functions of values, lines without an end, noise

FUNCTIONS = {
    "cosine": lambda v, _: (1 + EXACT.cos(EXACT.pi * v)) / 2,
    "tanh": lambda v, _: EXACT.tanh(v),
    "exp": lambda v, _: EXACT.exp(v),
    "log": lambda v, _: EXACT.log(max(v, mpf(1e-300))),
    "power": lambda v, power: max(v, mpf(1e-300)) ** mpf(power) if v > 0 else mpf(0 if power > 0 else 1e300),
}
ULPS_OF_FUNCTION = 4


def bounded(value):
    return max(min(value, mpf(1e300)), mpf(-1e300))


@estimate.register
def _(schedule: lrcore.Line, t, scale):
    """Rounded once; a stretched unit of time is a rounded float."""
    steps = schedule.steps * mpf(scale.numerator) / scale.denominator
    value = blend(schedule.end_value, schedule.init_value, mpf(t) / steps)
    of_steps = 0 if scale == 1 else ulp(value - mpf(schedule.init_value))
    return Estimate(value, mpf(ulp(value)) + of_steps)


@estimate.register
def _(schedule: lrcore.Map, t, scale):
    """What the function makes of the error of its argument, and its own."""
    inner = estimate(schedule.schedule, t, scale)
    function = FUNCTIONS[schedule.function]
    around = [bounded(function(inner.value + by, schedule.power)) for by in (0, inner.slack, -inner.slack)]
    spread = max(abs(value - around[0]) for value in around)
    of = 1.0 if schedule.function == "cosine" else around[0]
    return Estimate(around[0], spread + ULPS_OF_FUNCTION * ulp(of))


def mixed(z):
    """SplitMix64's finalizer, from its paper."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    return z ^ (z >> 31)


GOLDEN = 0x9E3779B97F4A7C15


def split_state(seed, t):
    return (mixed((seed + GOLDEN) % 2**64) + 2 * t * GOLDEN) % 2**64


def split_normals(seed, t):
    """The number of a step, and those that stand for it where it is beyond a bound, each as (value, radius)."""
    for draw in count():
        state = split_state(seed ^ mixed(draw), t)
        first, second = (mixed((state + k * GOLDEN) % 2**64) >> 11 for k in (1, 2))
        radius = EXACT.sqrt(-2 * EXACT.log(mpf(first + 1) / 2**53))
        yield radius * EXACT.cos(2 * EXACT.pi * mpf(second) / 2**53), radius


def twister_outputs(seed):
    """Python's own MT19937, seeded by the one number of the original (init_genrand), as torch does."""
    words = [seed % 2**32]
    for at in range(1, 624):
        words.append((1812433253 * (words[-1] ^ (words[-1] >> 30)) + at) % 2**32)
    generator = random.Random()
    generator.setstate((3, (*words, 624), None))
    while True:
        yield generator.getrandbits(32)


def twister_normals(seed):
    """As torch.randn(1) on a CPU, again and again; its angle is a float. float32 is the real number rounded."""
    outputs = twister_outputs(seed)
    units = (((high << 32 | low) % 2**53) / 2**53 for high, low in zip(outputs, outputs, strict=True))
    for first, second in zip(units, units, strict=True):
        radius, angle = EXACT.sqrt(-2 * EXACT.log(1 - mpf(second))), mpf(math.tau * first)
        for turned in (EXACT.cos(angle), EXACT.sin(angle)):
            yield mpf(float(np.float32(float(radius * turned)))), radius


@estimate.register
def _(schedule: lrcore.Noise, t, _scale):
    is_torch = schedule.generator == "mt19937"
    if schedule.distribution == "uniform":
        if is_torch:
            return Estimate(mpf(next(twister_outputs(schedule.seed + t)) % 2**24) / 2**23 - 1, mpf(0))
        return Estimate(mpf(mixed((split_state(schedule.seed, t) + GOLDEN) % 2**64) >> 11) / 2**52 - 1, mpf(0))
    drawn = twister_normals(schedule.seed + t) if is_torch else split_normals(schedule.seed, t)
    value, radius = next(pair for pair in drawn if schedule.bound is None or abs(pair[0]) < schedule.bound)
    return Estimate(value, mpf(0) if is_torch else ULPS_OF_FUNCTION * ulp(radius))
