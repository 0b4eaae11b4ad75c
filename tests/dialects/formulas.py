"""The formulas of TensorFlow, Keras and optax as they are documented, in 50 digits, one update at a time.

`t` is the update; a duration that is no whole number is the decimal that the user wrote.
"""

from fractions import Fraction
from math import ceil, floor

import numpy as np
from mpmath import mp, mpf

NAMES = {  # what the peers call the arguments of these formulas
    "initial_learning_rate": "init",
    "learning_rate": "init",
    "init_value": "init",
    "end_learning_rate": "end",
    "end_value": "end",
    "decay_steps": "steps",
    "transition_steps": "steps",
    "first_decay_steps": "period",
    "decay_rate": "rate",
}


def named(arguments):
    return {NAMES.get(name, name): given for name, given in arguments.items()}


def trace(formula):
    """The values of a formula of `t` and of what a peer takes, rounded once."""

    def run(arguments, n):
        with mp.workdps(50):
            return np.array([float(formula(t, **named(arguments))) for t in range(n)])

    return run


def real(number):
    return mpf(number.numerator) / number.denominator


def units(t, steps, staircase=False):
    """`t / steps`, or what is whole of it."""
    passed = Fraction(t) / Fraction(repr(steps))
    return mpf(floor(passed)) if staircase else real(passed)


def share(t, steps):
    """How much of the run is over."""
    return min(units(t, steps), mpf(1))


def constant(_t, value):
    return mpf(value)


def linear(t, init, end, steps):
    return init + (mpf(end) - init) * share(t, steps)


def exponential(t, init, steps, rate, staircase=False):
    return init * mpf(rate) ** units(t, steps, staircase)


def natural_exp(t, init, steps, rate, staircase=False):
    return init * mp.exp(-rate * units(t, steps, staircase))


def inverse_time(t, init, steps, rate, staircase=False):
    return init / (1 + rate * units(t, steps, staircase))


def piecewise(t, boundaries, values):
    return mpf(values[sum(boundary < t for boundary in boundaries)])


def polynomial(t, init, steps, end=1e-4, power=1.0, cycle=False):
    runs = max(1, ceil(Fraction(t) / Fraction(repr(steps)))) if cycle else 1
    return (mpf(init) - end) * (1 - min(units(t, steps) / runs, 1)) ** mpf(power) + end


def cosine(t, init, steps, alpha=0.0, exponent=1.0):
    wave = (1 + mp.cos(mp.pi * share(t, steps))) / 2
    return init * ((1 - mpf(alpha)) * wave ** mpf(exponent) + alpha)


def delayed(formula):
    """As optax' transitions: at its first value until `transition_begin`."""
    return lambda t, *, transition_begin=0, **arguments: formula(max(t - transition_begin, 0), **arguments)


def bounded_exponential(t, init, steps, rate, staircase=False, end=None):
    value = exponential(t, init, steps, rate, staircase)
    return value if end is None else max(value, mpf(end)) if rate < 1 else min(value, mpf(end))


def factors(t, init, boundaries_and_scales=None):
    value = mpf(init)
    for boundary, scale in (boundaries_and_scales or {}).items():
        value *= scale if boundary <= t else 1
    return value


def interpolate(t, interpolate_type, init, boundaries_and_scales=None):
    points = [(0, mpf(init))]
    for boundary, scale in sorted((boundaries_and_scales or {}).items()):
        points.append((boundary, points[-1][1] * scale))
    after = next((at for at, (step, _) in enumerate(points) if step > t), None)
    if after is None:
        return points[-1][1]
    (begin, init), (end, value) = points[after - 1 : after + 1]
    passed = real(Fraction(t - begin, end - begin))
    return init + (value - init) * (passed if interpolate_type == "linear" else (1 - mp.cos(mp.pi * passed)) / 2)


def linear_onecycle(t, steps, peak_value, pct_start=0.3, pct_final=0.85, div_factor=25.0, final_div_factor=1e4):
    up, down = mpf(div_factor), 1 / mpf(div_factor)
    phases = {int(pct_start * steps): up, int(pct_final * steps): down, steps: 1 / mpf(final_div_factor)}
    return interpolate(t, "linear", peak_value * down, phases)


def cosine_onecycle(t, steps, peak_value, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
    up = mpf(div_factor)
    phases = {int(pct_start * steps): up, steps: 1 / (up * final_div_factor)}
    return interpolate(t, "cosine", peak_value / up, phases)


def warmup(t, init, peak_value, warmup_steps):
    return linear(t, init, peak_value, warmup_steps)


def warmed(t, init, peak_value, warmup_steps, after):
    return linear(t, init, peak_value, warmup_steps) if t < warmup_steps else after(t - warmup_steps)


def warm_cosine_to(t, init, peak_value, warmup_steps, steps, end=0.0, exponent=1.0):
    """As optax': `steps` has the warm-up in it, and the end is a value."""

    def after(t):
        weight = cosine(t, 1, steps - warmup_steps) ** mpf(exponent)
        return end + (mpf(peak_value) - end) * weight

    return warmed(t, init, peak_value, warmup_steps, after)


def warm_exponential(t, init, peak_value, warmup_steps, **decay):
    after = delayed(bounded_exponential)
    return warmed(t, init, peak_value, warmup_steps, lambda t: after(t, init=peak_value, **decay))


def one_after_another(t, cosine_kwargs):
    """The last goes on."""
    *before, last = cosine_kwargs
    for cycle in before:
        if t < cycle["decay_steps"]:
            return warm_cosine_to(t, **named(cycle))
        t -= cycle["decay_steps"]
    return warm_cosine_to(t, **named(last))


def warm_cosine(t, init, steps, alpha=0.0, *, warmup_target=None, warmup_steps=0):
    """As Keras': without a target there is no warm-up."""
    if warmup_target is None:
        return cosine(t, init, steps, alpha)
    if t < warmup_steps:
        return linear(t, init, warmup_target, warmup_steps)
    return cosine(t - Fraction(repr(warmup_steps)), warmup_target, steps, alpha)


def cycle_of(t, period, period_mult):
    """The cycle that an update is in, and where in it, exactly."""
    begin, length, number = Fraction(0), Fraction(repr(period)), 0
    while begin + length <= t:
        begin, length, number = begin + length, length * Fraction(repr(period_mult)), number + 1
    return number, (t - begin) / length


def cosine_restarts(t, init, period, t_mul=2.0, m_mul=1.0, alpha=0.0):
    number, passed = cycle_of(t, period, t_mul)
    wave = mpf(m_mul) ** number * (1 + mp.cos(mp.pi * real(passed))) / 2
    return init * ((1 - mpf(alpha)) * wave + alpha)


def linear_cosine(t, init, steps, num_periods=0.5, alpha=0.0, beta=0.001):
    wave = (1 + mp.cos(2 * mp.pi * num_periods * share(t, steps))) / 2
    return init * ((alpha + 1 - share(t, steps)) * wave + beta)


def restarts_of(t_mul, period, n):
    """Restarts on a whole update: TensorFlow and Keras take the floor of a logarithm there, and may round it down."""
    if t_mul == 1:
        return []
    return [t for t in range(1, n) if cycle_of(t, period, t_mul)[1] == 0]
