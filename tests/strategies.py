"""Hypothesis strategies: steps, parameters, and schedules of schedules."""

from hypothesis import strategies as st

import lrcore as lr

# Where the counters of other libraries fail: the ends of int32, of float32's whole numbers, of float64's.
steps = st.one_of(
    st.integers(0, 60),
    st.integers(0, 10**6),
    st.sampled_from([2**24 + 1, 2**31 - 1, 2**31, 2**32, 2**52 + 1, 2**53 - 1]),
)

# Far enough from 2**53 that shifts and stretches inside a schedule do not carry a step beyond it.
inner_steps = steps.map(lambda step: min(step, 2**40 + 1))

durations = st.integers(1, 40)
rates = st.one_of(
    st.sampled_from([1.0, 0.5, 0.1, 0.001, 3e-4, 1e-7]),
    st.floats(1e-7, 10.0, allow_nan=False, allow_infinity=False, allow_subnormal=False),
)
rates_or_nothing = st.one_of(st.just(0.0), rates)
factors = st.one_of(st.sampled_from([0.5, 1.0, 0.1, 2.0]), st.floats(0.01, 2.0))
powers = st.sampled_from([0.5, 0.9, 1.0, 2.0, 3.0, 1.7, 10.0])


def magnitudes(low=-100, high=100):
    """Positive numbers whose logarithms are even."""
    exponents = st.integers(low, high - 1)
    return st.builds(lambda exponent, digits: digits * 10.0**exponent, exponents, st.floats(1.0, 9.99))


@st.composite
def ascending(draw, first=1):
    """Whole numbers that rise."""
    gaps = draw(st.lists(durations, min_size=1, max_size=5))
    position, numbers = draw(st.integers(first, 20)), []
    for gap in gaps:
        numbers.append(position)
        position += gap
    return numbers


@st.composite
def piecewise(draw):
    boundaries = draw(ascending())
    values = draw(st.lists(rates_or_nothing, min_size=len(boundaries) + 1, max_size=len(boundaries) + 1))
    return lr.Piecewise(boundaries, values, side=draw(st.sampled_from(["right", "left"])))


@st.composite
def interpolations(draw):
    curve = draw(st.sampled_from(["linear", "cosine", "exponential"]))
    positions = draw(ascending(first=0))
    values = rates if curve == "exponential" else rates_or_nothing
    return lr.Interpolate([(position, draw(values)) for position in positions], curve=curve)


finite_curves = st.one_of(
    st.builds(lr.Linear, rates_or_nothing, rates_or_nothing, durations),
    st.builds(lr.Cosine, rates_or_nothing, rates_or_nothing, durations),
    st.builds(lr.Polynomial, rates_or_nothing, rates_or_nothing, durations, powers),
    st.builds(lr.Exponential, rates, rates, durations),
    piecewise(),
    interpolations(),
    st.builds(lr.Table, st.lists(rates_or_nothing, min_size=1, max_size=12)),
)

generators = st.sampled_from(["splitmix64", "mt19937"])
noises = st.one_of(
    st.builds(lr.Noise, st.integers(0, 9)),
    st.builds(lr.Noise, st.integers(0, 9), generators, bound=st.sampled_from([None, 0.1, 2.0])),
    st.builds(lr.Noise, st.integers(0, 9), generators, st.just("uniform")),
)

unbounded_curves = st.one_of(
    st.builds(lr.Constant, rates_or_nothing),
    st.builds(lr.ExponentialDecay, rates, st.floats(0.5, 1.0), durations),
    st.builds(lr.NaturalExpDecay, rates, st.floats(0.01, 0.5), durations),
    st.builds(lr.InverseTimeDecay, rates, st.floats(0.01, 2.0), durations),
    st.builds(lr.InverseSqrt, rates, durations),
    st.builds(lr.Line, rates_or_nothing, rates_or_nothing, st.floats(0.5, 40.0)),
    noises,
)

curves = st.one_of(finite_curves, unbounded_curves)


@st.composite
def sequences(draw, inner):
    parts = draw(st.lists(st.tuples(inner, durations), min_size=1, max_size=3))
    return lr.Sequence([*parts, draw(inner)])


@st.composite
def cycles(draw, inner):
    return lr.Cycle(
        draw(inner),
        draw(durations),
        period_mult=draw(st.sampled_from([1, 2, 3, 1.5, 1.1])),
        value_mult=draw(st.sampled_from([1.0, 0.5, 0.9])),
        mirror=draw(st.booleans()),
        count=draw(st.one_of(st.none(), st.integers(1, 4))),
    )


@st.composite
def clips(draw, inner):
    low, high = sorted((draw(rates_or_nothing), draw(rates)))
    return lr.Clip(draw(inner), *draw(st.sampled_from([(low, high), (low, None), (None, high)])))


def composites(inner):
    return st.one_of(
        sequences(inner),
        cycles(inner),
        st.builds(lambda a, b: lr.Product([a, b]), inner, inner),
        st.builds(lambda a, b: lr.Sum([a, b]), inner, inner),
        st.builds(lr.Scale, inner, factors),
        clips(inner),
        st.builds(lr.Staircase, inner, durations),
        st.builds(lr.Shift, inner, st.integers(-50, 50)),
        st.builds(lr.Stretch, inner, st.sampled_from([0.25, 0.5, 1.5, 2.0, 3.0])),
        st.builds(lr.Map, inner, st.sampled_from(["cosine", "tanh", "exp"])),
        st.builds(lr.Map, inner, st.just("power"), st.sampled_from([0.5, 2.0, 1.7])),
    )


def growing(depth=3):
    """Schedules that would overflow, nested with what makes infinities into something worse."""
    grown = st.one_of(
        st.builds(lr.ExponentialDecay, st.sampled_from([1e-100, 0.1, 1e100, -1.0, 0.0]), st.floats(1.01, 1e100)),
        st.builds(lr.Cycle, curves, st.integers(1, 9), value_mult=st.floats(1.01, 1e100)),
        st.just(lr.Constant(1e100)),
        st.just(lr.Constant(0.0)),
    )
    for _ in range(depth):
        grown = st.one_of(grown, composites(grown))
    return grown


def schedules(depth=3):
    """Any schedule, nested up to `depth` deep."""
    if depth == 1:
        return curves
    inner = schedules(depth - 1)
    return st.one_of(inner, composites(inner))


def finite_schedules(depth=2):
    """Schedules that end, and so can be followed by another."""
    return finite_curves if depth == 1 else schedules(depth).filter(lambda schedule: schedule.length)
