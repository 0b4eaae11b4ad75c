"""The contract of the numbers, clause by clause, against arithmetic of 200 bits.

1. The first and the last value of a curve are exact to the bit.
2. No value leaves the interval of its ends.
3. A value is within 2 ulp of the larger end and, where the ends have one sign, 8 ulp of the value itself.
4. An unbounded decay is within 8 ulp of its value.
5. Restarts land on exact whole numbers of updates.
6. float32 is the float64 value rounded once.
"""

import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import lrcore as lr
import oracles
from oracles import EXACT, mpf, oracle, restart_step, tolerance, ulp, ulps_between
from strategies import inner_steps, magnitudes, schedules, steps

LARGEST_STEP = 2**53 - 1
PERIOD_MULTS = (2, 3, 5, 10, 1.1, 1.5)

many = settings(max_examples=150, deadline=None)

positive = magnitudes()
values = st.one_of(st.sampled_from([1.0, 0.1, 0.001]), positive)
values_or_nothing = st.one_of(st.just(0.0), values)
spans = st.one_of(st.integers(1, 300), st.integers(0, 40).flatmap(lambda e: st.integers(2**e, 2 ** (e + 1)))).map(
    lambda n: min(n, 2**40)
)
powers = st.one_of(st.sampled_from([0.5, 0.9, 1.0, 1.5, 2.0, 3.0, 10.0]), st.floats(0.05, 20.0))


@st.composite
def within(draw, n):
    """A step of a curve of n: anywhere, or as near an end as a power of two says."""
    near = min(n, 2 ** draw(st.integers(0, 40)))
    return draw(st.sampled_from([draw(st.integers(0, n)), near, n - near, n // 2, (n + 1) // 2]))


@st.composite
def curve_and_step(draw, ends, curves=(lr.Linear, lr.Cosine, lr.Polynomial)):
    """A curve between two values, the same as a formula, and a step of it."""
    init, end, n = draw(ends), draw(ends), draw(spans)
    return draw(curve_between(init, end, n, curves)), draw(within(n))


@st.composite
def curve_between(draw, init, end, n, curves=(lr.Linear, lr.Cosine, lr.Polynomial)):
    curve = draw(st.sampled_from(curves))
    return curve(init, end, n, draw(powers)) if curve is lr.Polynomial else curve(init, end, n)


def any_curve_and_step():
    """Every curve between two ends, with ends of every kind that it allows."""
    ends = st.one_of(values_or_nothing, values_or_nothing.map(lambda value: -value))
    return st.one_of(curve_and_step(ends), curve_and_step(values, (lr.Exponential,)))


def larger_end(curve):
    return max(abs(curve.init_value), abs(curve.end_value))


# --- 1. ends


@many
@given(any_curve_and_step(), steps)
def test_first_and_last_value_are_exact(drawn, beyond):
    curve, _ = drawn
    assert curve(0) == curve.init_value
    assert curve(curve.steps) == curve.end_value
    assert curve(min(LARGEST_STEP, curve.steps + beyond)) == curve.end_value


@many
@given(any_curve_and_step())
def test_ends_are_exact_inside_a_table(drawn):
    """A range that only touches an end, as a block of the kernels may."""
    curve, _ = drawn
    assert curve.table(1)[0] == curve.init_value
    assert curve.table(3, start=max(0, curve.steps - 1))[-2] == curve.end_value
    assert curve.table(2, start=curve.steps).tolist() == [curve.end_value] * 2


@many
@given(
    st.lists(st.tuples(spans, values), min_size=1, max_size=6),
    st.sampled_from(["linear", "cosine", "exponential"]),
)
def test_interpolation_passes_through_its_points(gaps, curve):
    points, position = [], 0
    for gap, value in gaps:
        points.append((position, value))
        position += gap
    schedule = lr.Interpolate(points, curve=curve)
    assert [schedule(step) for step, _ in points] == [value for _, value in points]


@many
@given(values, st.floats(0.5, 1.0, exclude_min=True), spans)
def test_decays_begin_exactly(init, rate, n):
    for decay in (lr.ExponentialDecay, lr.NaturalExpDecay, lr.InverseTimeDecay):
        assert decay(init, rate, n)(0) == init
    inverse_sqrt = lr.InverseSqrt(init, n)
    assert inverse_sqrt(0) == inverse_sqrt(n - 1) == inverse_sqrt(n) == init


# --- 2. intervals


@many
@given(any_curve_and_step())
def test_no_value_leaves_the_interval_of_its_ends(drawn):
    curve, step = drawn
    low, high = sorted((curve.init_value, curve.end_value))
    around = curve.table(9, start=max(0, step - 4))
    assert low <= around.min()
    assert around.max() <= high


@many
@given(values, st.sampled_from([lr.Linear, lr.Cosine, lr.Exponential, lr.Polynomial]), spans, st.data())
def test_neighbouring_ends_leave_no_room(value, curve, n, data):
    """Ends one ulp apart: each value is one of the two."""
    ends = [value, math.nextafter(value, 1.0)]
    schedule = curve(*data.draw(st.permutations(ends)), n)
    assert schedule(data.draw(within(n))) in ends


@many
@given(values, st.sampled_from([lr.Linear, lr.Cosine, lr.Exponential, lr.Polynomial]), spans, st.data())
def test_equal_ends_are_a_constant(value, curve, n, data):
    assert curve(value, value, n)(data.draw(within(n))) == value


@many
@given(st.data(), st.integers(1, 300), st.sampled_from([0.5, 0.9, 1.0, 2.0, 3.0]))
def test_a_curve_never_turns(data, n, power):
    init, end = data.draw(st.sampled_from([(1.0, 0.0), (0.0, 0.1), (0.1, 0.001), (3e-4, 0.3)]))
    table = lr.Polynomial(init, end, n, power).table(n + 9)
    for curve in (lr.Linear(init, end, n), lr.Cosine(init, end, n)):
        table = np.concatenate([table, curve.table(n + 9)])
    changes = np.diff(table.reshape(3, -1), axis=1) * (end - init)
    assert (changes >= 0).all()


@many
@given(values, st.floats(0.5, 1.0, exclude_max=True), st.integers(1, 2**20), steps)
def test_decays_stay_between_nothing_and_their_beginning(init, rate, n, step):
    for decay in (lr.ExponentialDecay, lr.NaturalExpDecay, lr.InverseTimeDecay):
        assert 0.0 <= decay(init, rate, n)(step) <= init
    assert 0.0 <= lr.InverseSqrt(init, n)(step) <= init


def test_a_decay_goes_to_nothing_and_not_past_it():
    for decay in (lr.ExponentialDecay(0.1, 0.5), lr.NaturalExpDecay(0.1, 0.7)):
        tail = decay(np.arange(0, 4000))
        assert (np.diff(tail) <= 0).all()
        assert tail.min() == 0.0
        assert decay(LARGEST_STEP) == 0.0


# --- 3. curves between two values


@settings(many, max_examples=500)
@given(curve_and_step(values_or_nothing))
def test_error_of_a_curve_with_ends_of_one_sign(drawn):
    curve, step = drawn
    exact, got = oracle(curve, step), curve(step)
    assert abs(got - exact) <= 2 * ulp(larger_end(curve))
    assert ulps_between(got, exact) <= 8


@many
@given(curve_and_step(values_or_nothing))
def test_negative_ends_mirror_positive_ones(drawn):
    curve, step = drawn
    exponent = (curve.power,) if isinstance(curve, lr.Polynomial) else ()
    assert type(curve)(-curve.init_value, -curve.end_value, curve.steps, *exponent)(step) == -curve(step)


@settings(many, max_examples=300)
@given(values, values, spans, st.booleans(), st.data())
def test_error_of_a_curve_with_ends_of_two_signs(above, below, n, falls, data):
    init, end = (above, -below) if falls else (-below, above)
    curve = data.draw(curve_between(init, end, n))
    step = data.draw(within(n))
    assert abs(oracle(curve, step) - curve(step)) <= 2 * ulp(larger_end(curve))


@settings(many, max_examples=300)
@given(curve_and_step(values, (lr.Exponential,)))
def test_error_of_an_exponential(drawn):
    curve, step = drawn
    exact, got = oracle(curve, step), curve(step)
    assert abs(got - exact) <= 2 * ulp(larger_end(curve))
    assert ulps_between(got, exact) <= 8


@pytest.mark.parametrize(
    "shape", [(lr.Linear,), (lr.Cosine,), (lr.Polynomial, 0.5), (lr.Polynomial, 0.9), (lr.Polynomial, 2)]
)
@pytest.mark.parametrize(("init", "end"), [(0.11, -0.1), (0.03, -0.03), (-0.06, 0.05), (-3.78, 3.53)])
def test_error_of_a_curve_through_zero(shape, init, end):
    """Ends of like size and unlike signs: what is left near 0 has the rounding errors of both."""
    curve, *power = shape
    schedule = curve(init, end, 200, *power)
    errors = [abs(oracle(schedule, step) - got) for step, got in enumerate(schedule.table(200).tolist())]
    assert max(errors) <= 2 * ulp(larger_end(schedule)), f"at {errors.index(max(errors))}"


@pytest.mark.parametrize(
    ("curve", "step"),
    [
        (lr.Polynomial(0.49672564233546057, 0.1, 270, 0.5), 19),
        (lr.Polynomial(0.030934650284237638, -0.02873989895930014, 139, 0.5), 12),
        (lr.Cosine(-3.7812920876033296, 3.531201996334671, 117), 62),
        (lr.Cosine(0.03, -0.03, 1000), 523),
        (lr.Cosine(0.4923339195617712, -0.49170312256023024, 203_370), 108_419),
    ],
)
def test_error_of_a_curve_where_it_was_large(curve, step):
    """Found by search."""
    assert abs(oracle(curve, step) - curve(step)) <= 2 * ulp(larger_end(curve))


@many
@given(st.integers(2, 2**40), st.data())
def test_error_of_a_curve_that_goes_to_nothing(n, data):
    """Where relative accuracy is lost first: the last steps before 0."""
    step = n - min(n - 1, 2 ** data.draw(st.integers(0, 39)))
    for curve in (
        lr.Linear(0.1, 0.0, n),
        lr.Cosine(0.1, 0.0, n),
        lr.Polynomial(0.1, 0.0, n, data.draw(powers)),
    ):
        assert ulps_between(curve(step), oracle(curve, step)) <= 8


@many
@given(st.integers(2, 2**40), st.data())
def test_error_of_a_curve_that_leaves_nothing(n, data):
    step = min(n - 1, 2 ** data.draw(st.integers(0, 39)))
    for curve in (
        lr.Linear(0.0, 0.1, n),
        lr.Cosine(0.0, 0.1, n),
        lr.Polynomial(0.0, 0.1, n, data.draw(powers)),
    ):
        assert ulps_between(curve(step), oracle(curve, step)) <= 8


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100, 1000, 1001])
def test_error_of_every_step_of_a_short_curve(n):
    for curve in (
        lr.Linear(0.1, 0.001, n),
        lr.Cosine(0.1, 0.0, n),
        lr.Cosine(1e-5, 0.3, n),
        lr.Polynomial(0.1, 0.0, n, 0.5),
        lr.Polynomial(0.1, 0.001, n, 0.9),
        lr.Exponential(1e-7, 10.0, n),
    ):
        for step, got in enumerate(curve.table(n + 1).tolist()):
            assert abs(oracle(curve, step) - got) <= tolerance(curve, step), f"{curve} at {step}"


# --- 4. unbounded decays


@st.composite
def decays_and_steps(draw):
    """A decay and a step at which it has fallen by e**-depth, however slow it is."""
    init, n = draw(values), draw(spans)
    fall = draw(st.one_of(st.floats(1e-12, 1.0), st.floats(1e-3, 20.0)))
    depth = draw(st.one_of(st.floats(0.0, 5.0), st.floats(0.0, 450.0)))
    curve = draw(st.sampled_from([lr.ExponentialDecay, lr.NaturalExpDecay, lr.InverseTimeDecay]))
    rate = math.exp(-fall) if curve is lr.ExponentialDecay else fall
    assume(rate > 0.0)
    return curve(init, rate, n), min(2**40, int(depth / fall * n))


@settings(many, max_examples=500)
@given(decays_and_steps())
def test_error_of_an_unbounded_decay(drawn):
    decay, step = drawn
    exact = oracle(decay, step)
    assume(abs(exact) >= sys.float_info.min)
    assert ulps_between(decay(step), exact) <= 8


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.6, 0.65, 0.7, 0.705, 0.71, 0.74, 0.8, 0.9, 0.96, 0.99, 0.999])
def test_error_of_a_decay_far_down(rate):
    """At e**-600 the exponent magnifies each error of the logarithm of the rate by 600."""
    decay = lr.ExponentialDecay(1.0, rate)
    bottom = int(-600 / math.log(rate))
    for step, got in enumerate(decay.table(30, start=bottom - 30).tolist(), bottom - 30):
        assert ulps_between(got, oracle(decay, step)) <= 8, f"at {step}"


@pytest.mark.parametrize("exponent", [41, 44, 47, 50, 53])
@pytest.mark.parametrize("depth", [0.5, 20.0, 300.0])
def test_error_of_a_decay_of_very_many_steps(exponent, depth):
    for step in (2**exponent - 1, 2**exponent - 12_345_679, 2**exponent // 3):
        for decay in (
            lr.ExponentialDecay(0.1, 0.5, step / depth),
            lr.ExponentialDecay(0.1, 1 - 2.0**-30, step / depth / 2**30),
            lr.NaturalExpDecay(0.1, depth / step),
            lr.NaturalExpDecay(0.1, 0.7, step / depth),
            lr.InverseTimeDecay(0.1, depth / step),
        ):
            assert ulps_between(decay(step), oracle(decay, step)) <= 8, f"{decay} at {step}"


@pytest.mark.parametrize("exponent", [41, 44, 47, 50, 53])
def test_error_of_a_curve_of_very_many_steps(exponent):
    n = 2**exponent - 1
    for curve in (
        lr.Linear(0.1, 1e-6, n),
        lr.Cosine(0.1, 0.0, n),
        lr.Polynomial(0.1, 0.0, n, 0.5),
        lr.Polynomial(0.1, 0.0, n, 0.9),
        lr.Exponential(0.1, 1e-6, n),
        lr.Exponential(1e-90, 1e90, n),
    ):
        for step in (1, n // 3, n // 2, n - 12_345_679, n - 1):
            assert abs(oracle(curve, step) - curve(step)) <= tolerance(curve, step), f"{curve} at {step}"


@pytest.mark.parametrize("depth", [1.0, 20.0, 80.0, 300.0])
@pytest.mark.parametrize("factor", [0.1, 0.29, 0.7, 1.1, 2.3])
def test_error_of_a_stretched_decay(depth, factor):
    """The unit of time of a decay is stretched without rounding it to updates."""
    for decay in (
        lr.NaturalExpDecay(0.1, 0.2),
        lr.ExponentialDecay(0.1, 0.9),
        lr.ExponentialDecay(0.1, 0.9, 0.3),
    ):
        slow = lr.Stretch(decay, factor)
        fall = 0.2 if isinstance(decay, lr.NaturalExpDecay) else -math.log(0.9) / decay.decay_steps
        step = round(depth * factor / fall)
        assert abs(oracle(slow, step) - slow(step)) <= tolerance(slow, step), f"{slow} at {step}"


@many
@given(decays_and_steps(), st.integers(0, 2**40))
def test_a_decay_below_the_smallest_normal_float(drawn, step):
    """Few digits are left there; the value is still right in those."""
    decay, _ = drawn
    assert abs(oracle(decay, step) - decay(step)) <= 8 * ulp(oracle(decay, step))


@many
@given(values, spans, steps)
def test_error_of_an_inverse_square_root(init, n, step):
    curve = lr.InverseSqrt(init, n)
    for at in (step, n + 1, 2 * n, 3 * n + 1):
        assert ulps_between(curve(at), oracle(curve, at)) <= 8


# --- 5. restarts


def restarts(period, period_mult):
    """(k, the update at which cycle k begins) for every cycle that a step can reach."""
    k, begin = 0, 0
    while begin <= LARGEST_STEP:
        yield k, begin
        k += 1
        begin = restart_step(period, period_mult, k)


@pytest.mark.parametrize("period_mult", PERIOD_MULTS)
@pytest.mark.parametrize("period", [1, 2, 3, 4, 7, 10, 100, 999, 12_345, 2**31])
def test_restarts_are_exact(period, period_mult):
    """A peak halved at each restart counts the cycles, and shows one that begins a step early or late."""
    counting = lr.Cycle(lr.Constant(1.0), period, period_mult=period_mult, value_mult=0.5)
    for k, begin in restarts(period, period_mult):
        assert counting(begin) == 0.5**k
        if k:
            assert counting(begin - 1) == 0.5 ** (k - 1)


@pytest.mark.parametrize("period_mult", PERIOD_MULTS)
@pytest.mark.parametrize("period", [1, 3, 10, 1000])
@pytest.mark.parametrize("curve", [lr.Linear, lr.Cosine, lr.Exponential])
def test_a_restart_gives_the_first_value(curve, period, period_mult):
    schedule = lr.Cycle(curve(0.1, 0.001, period), period, period_mult=period_mult)
    begins = [begin for _, begin in restarts(period, period_mult)]
    assert set(schedule(np.array(begins)).tolist()) == {0.1}
    assert all(schedule.table(1, start=begin)[0] == 0.1 for begin in begins)


@many
@given(st.integers(1, 10**6), st.sampled_from(PERIOD_MULTS), st.integers(0, 400))
def test_restarts_are_exact_for_any_period(period, period_mult, k):
    counting = lr.Cycle(lr.Constant(1.0), period, period_mult=period_mult, value_mult=0.5)
    begin = restart_step(period, period_mult, k)
    assume(begin <= LARGEST_STEP)
    assert counting(begin) == 0.5**k
    assert counting.table(1, start=begin)[0] == 0.5**k


@many
@given(st.integers(1, 10**6), steps)
def test_equal_restarts_never_drift(period, step):
    schedule = lr.Cycle(lr.Linear(1.0, 0.0, period), period)
    assert schedule(step) == lr.Linear(1.0, 0.0, period)(step % period)


# --- 6. float32, and composites


@many
@given(any_curve_and_step())
def test_float32_is_the_float64_value_rounded_once(drawn):
    curve, step = drawn
    start = max(0, step - 4)
    largest = float(np.finfo(np.float32).max)  # where what float32 cannot hold stays
    with np.errstate(under="ignore"):
        expected = np.clip(curve.table(9, start=start), -largest, largest).astype(np.float32)
    assert curve.table(9, start=start, dtype="float32").tobytes() == expected.tobytes()


@settings(many, max_examples=300)
@given(schedules(3), st.lists(inner_steps, min_size=1, max_size=12))
def test_nested_schedules_agree_with_the_oracle(schedule, at):
    for step in at:
        exact, got = oracle(schedule, step), schedule(step)
        assert abs(exact - got) <= tolerance(schedule, step), f"at {step}: {got} is not {float(exact)}"


def test_the_oracle_can_tell():
    """The instruments themselves: one bit of error is seen, and 200 bits are there."""
    assert ulps_between(math.nextafter(0.1, 1.0), mpf(0.1)) == 1.0
    assert abs(oracles.cosine(1.0, 0.0, 3, 1) - EXACT.mpf(3) / 4) < mpf(2) ** -195
    assert restart_step(10, 1.1, 3) == 33
    assert restart_step(4, 1.5, 4) == 33
    assert restart_step(100, 2, 3) == 700
