"""The closed form, by NumPy's operations, against the engine; and what a plan decides."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from cases import CASES
from lrcore import tracing
from lrcore._anatomy import corners
from lrcore._operations import NumpyOperations
from rounding import EPSILON, ULPS, size
from steps import nasty_steps
from strategies import rates, rates_or_nothing, schedules

LARGEST = float(np.finfo(np.float32).max)
DTYPES = ("int32", "int64")
NOT_TRACED = [case for case in CASES if "Noise" in repr(case.schedule())]
TRACED = [case for case in CASES if case not in NOT_TRACED]
AROUND_FLOAT32 = [2**24 - 1, 2**24, 2**24 + 1, 2**31 - 2, 2**31 - 1]
# Beyond, the float64 argument that the engine takes a cosine of is itself rounded.
LAST_FOR_COSINES = 2**40


def steps_of(dtype, boundaries=(), length=None, last=2**53 - 1):
    steps = np.union1d(nasty_steps(boundaries, length), [*range(600), *AROUND_FLOAT32])
    return steps[steps <= min(last, np.iinfo(dtype).max)].astype(dtype)


def by_the_engine(schedule, steps):
    return schedule(steps.astype(np.int64)).clip(-LARGEST, LARGEST)


def by_operations(schedule, steps):
    values = tracing.traced(schedule, steps, NumpyOperations(steps.dtype))
    assert values.dtype == np.float32
    assert values.shape == steps.shape
    return values.astype(np.float64)


def ulps_off(schedule, steps, larger_end=None):
    """The largest error, in float32 ulp of the larger end, which is the largest value here unless it is given."""
    wanted = by_the_engine(schedule, steps)
    largest = np.abs(wanted).max() if larger_end is None else abs(larger_end)
    return np.abs(by_operations(schedule, steps) - wanted).max() / np.spacing(np.float32(largest or 1.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", TRACED, ids=lambda case: case.name)
def test_every_case_within_two_ulp(case, dtype):
    schedule = case.schedule()
    last = LAST_FOR_COSINES if "'cosine'" in repr(schedule) else 2**53 - 1
    assert ulps_off(schedule, steps_of(dtype, case.boundaries, case.length, last)) <= 2


@pytest.mark.parametrize("case", NOT_TRACED, ids=lambda case: case.name)
def test_noise_is_refused_by_name(case):
    with pytest.raises(ValueError, match="Noise, which needs the engine"):
        tracing.traced(case.schedule(), np.zeros(1, np.int64), NumpyOperations())


# ---- Curves longer than any table ----

SPANS = [1_000_001, 2**24 + 1, 2**31 - 1, 2**31 + 12345, 2**40 + 1]
LONG = {
    "linear": lr.Linear,
    "cosine": lr.Cosine,
    "root": lambda init, end, span: lr.Polynomial(init, end, span, 0.5),
    "square": lambda init, end, span: lr.Polynomial(init, end, span, 2),
    "tenth power": lambda init, end, span: lr.Polynomial(init, end, span, 10),
    "0.03rd power": lambda init, end, span: lr.Polynomial(init, end, span, 0.03),
    "exponential": lambda init, end, span: lr.Exponential(abs(init) + 1e-9, abs(end) + 1e-9, span),
    "in the middle": lambda init, end, span: lr.Sequence(
        [(1e-9, span // 2), (lr.Cosine(init, end, span // 2), span // 2), 1e-9]
    ),
}
ENDS = [(0.1, 0.0), (0.0, 0.3), (1.0, 0.999), (3e-4, 1e-7), (-1.0, 0.7), (1e-7, 10.0)]


def spread(span, dtype):
    """Steps over all of a span, dense at both ends and in the middle."""
    near = np.arange(300)
    every = np.concatenate([np.linspace(0, span, 5000).astype(np.int64), near, span // 2 - 150 + near, span - near])
    return every[(every >= 0) & (every <= np.iinfo(dtype).max)].astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("curve", LONG)
def test_a_long_curve_within_four_ulp_of_its_larger_end(curve, span, dtype):
    for init, end in ENDS:
        found = ulps_off(LONG[curve](init, end, span), spread(span, dtype), max(abs(init), abs(end)))
        assert found <= ULPS, (init, end)


@pytest.mark.parametrize("curve", ["linear", "cosine", "root", "square", "exponential"])
@given(init=rates_or_nothing, end=rates_or_nothing, span=st.sampled_from(SPANS))
@settings(max_examples=40)
def test_the_ends_of_a_curve_are_exact(curve, init, end, span):
    schedule = LONG[curve](init, end, span)
    steps = np.array([0, span, span + 1, 2**53 - 1])
    assert by_operations(schedule, steps).tolist() == schedule(steps).astype(np.float32).tolist()


@pytest.mark.parametrize("curve", ["linear", "cosine", "root", "square", "exponential"])
@given(init=rates_or_nothing, apart=st.sampled_from([0, 1e-7, 1e-6, 1e-3, 1.0]), span=st.sampled_from(SPANS))
@settings(max_examples=40)
def test_no_value_leaves_the_interval_of_the_ends(curve, init, apart, span):
    schedule = LONG[curve](init, init * (1.0 - apart), span)
    values = by_operations(schedule, spread(span, "int64"))
    ends = np.float32([schedule(0), schedule(span)])
    assert ends.min() <= values.min() <= values.max() <= ends.max()


@given(rates, st.floats(0.5, 1.0), st.integers(1, 10**6))
def test_a_decay_within_four_ulp_of_its_begin(init, rate, unit):
    steps = spread(2**31, "int64")
    for decay in (lr.ExponentialDecay(init, rate, unit), lr.NaturalExpDecay(init, 1 - rate, unit)):
        assert ulps_off(decay, steps, init) <= ULPS
    for decay in (lr.InverseTimeDecay(init, rate, unit), lr.InverseSqrt(init, unit)):
        wanted = by_the_engine(decay, steps)
        assert (np.abs(by_operations(decay, steps) - wanted) <= ULPS * EPSILON * wanted).all()


def test_growth_without_an_end_stays_finite():
    grown = lr.ExponentialDecay(1e-30, 1.5)
    steps = np.array([0, 100, 380, 1000, 2**52])
    assert by_operations(grown, steps) == pytest.approx(by_the_engine(grown, steps), rel=200 * EPSILON)
    assert by_operations(lr.ExponentialDecay(0.0, 1.5), steps).tolist() == [0.0] * 5


# ---- Steps that float32 cannot tell apart ----


def test_a_boundary_beyond_float32s_whole_numbers_is_met_to_the_step():
    for boundary in (2**24 + 1, 2**30 + 1, 2**31 - 1):
        steps = np.array([boundary - 1, boundary], dtype=np.int32)
        for schedule in (lr.Piecewise([boundary], [1.0, 0.5]), lr.Sequence([(1.0, boundary), 0.5])):
            assert by_operations(schedule, steps).tolist() == [1.0, 0.5]


def test_far_restarts_and_stairs_are_met_to_the_step():
    period = 1_000_003
    begin = 2000 * period
    steps = np.array([begin - 1, begin, begin + 1], dtype=np.int32)
    cycle = lr.Cycle(lr.Linear(0.0, 1.0, 4), period)
    assert by_operations(cycle, steps).tolist() == [1.0, 0.0, 0.25]
    stairs = lr.Staircase(lr.Piecewise([begin], [1.0, 0.5]), period)
    assert by_operations(stairs, steps).tolist() == [1.0, 0.5, 0.5]


def test_a_cosine_that_goes_on_for_ever_does_not_lose_its_place():
    wave = lr.Map(lr.Line(0.0, 1.0, 1000), "cosine")
    steps = np.array([0, 500, 1000, 1500, 2_000_000_000, 2_000_000_500, 2_000_001_000], dtype=np.int32)
    assert by_operations(wave, steps).tolist() == [1.0, 0.5, 0.0, 0.5, 1.0, 0.5, 0.0]
    assert ulps_off(lr.Map(lr.Line(0.25, 3.0, 77.0), "cosine"), steps) <= ULPS


# ---- Any schedule ----


def in_reach(schedule, dtype):
    """Steps that stay below the largest of their dtype inside of shifts too."""
    if dtype == "int32":
        return 2**20 if "Shift" in repr(schedule) else 2**31 - 1
    return 2**40


@given(schedules(3))
@settings(max_examples=250)
def test_any_schedule_within_its_rounding(schedule):
    for dtype in DTYPES:
        steps = steps_of(dtype, corners(schedule, 5000).steps[:60].tolist(), last=in_reach(schedule, dtype))
        try:
            found = by_operations(schedule, steps)
        except ValueError as error:
            assert "Noise" in repr(schedule), error  # noqa: PT017 (nothing else is refused)
            continue
        off = np.abs(found - by_the_engine(schedule, steps))
        assert off.max() <= size(schedule, float(steps[-1])).error, (dtype, steps[off.argmax()])


STRETCHED = {
    "a part cut short": lr.Sequence([(lr.Linear(0.0, 1.0, 10), 3), (lr.Cosine(1.0, 0.5, 9), 5), 0.1]),
    "pieces": lr.Piecewise([3, 5, 6], [0.1, 0.2, 0.3, 0.4]),
    "a table": lr.Table([0.1, 0.2, 0.3, 0.4, 0.5]),
    "cycles": lr.Cycle(lr.Linear(1.0, 0.0, 5), 5, value_mult=0.5),
    "some cycles": lr.Cycle(lr.Linear(1.0, 0.0, 5), 5, value_mult=0.5, count=3),
    "there and back": lr.Cycle(lr.Linear(1.0, 0.2, 5), 5, mirror=True, count=2),
    "growing cycles": lr.Cycle(lr.Cosine(1.0, 0.0, 5), 5, period_mult=1.5, count=4),
    "cycles within cycles": lr.Cycle(lr.Cycle(lr.Linear(1.0, 0.0, 3), 3, value_mult=0.9), 7, period_mult=2),
    "stairs": lr.Linear(1.0, 0.0, 40).staircase(3),
    "sooner": lr.Linear(1.0, 0.0, 40).shift(7),
    "later": lr.Linear(1.0, 0.0, 40).shift(-7),
    "everything": lr.Cycle(lr.warmup_cosine(1.0, 0.1, 3, 11).staircase(2).shift(1) * lr.Linear(1.0, 0.5, 20), 13),
}


@pytest.mark.filterwarnings("ignore::lrcore.RoundingWarning")
@pytest.mark.parametrize("factor", [0.1, 0.3, 1 / 3, 0.5, 1.1, 1.5, 2.5, 3.0, 7.7, 1000.1])
@pytest.mark.parametrize("name", STRETCHED)
def test_durations_are_stretched_as_the_engine_stretches_them(name, factor):
    schedule = STRETCHED[name].stretch(factor)
    assert ulps_off(schedule, np.arange(50_000)) <= ULPS


# ---- Size ----


class Counting:
    """NumPy's operations, counted."""

    def __init__(self):
        self.calls = 0
        self.operations = NumpyOperations()

    def __getattr__(self, name):
        found = getattr(self.operations, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def counted(*given):
            self.calls += 1
            return found(*given)

        return counted


def operations_for(schedule):
    counting = Counting()
    tracing.traced(schedule, np.arange(3), counting)
    return counting.calls


@pytest.mark.parametrize(
    "of_size",
    [
        lambda n: lr.Piecewise(range(1, n), [1.0 / k for k in range(1, n + 1)]),
        lambda n: lr.Table([1.0 / k for k in range(1, n + 1)]),
        lambda n: lr.Interpolate([(k, 1.0 / (k + 1)) for k in range(n)]),
        lambda n: lr.Interpolate([(3 * k + 1, 1.0 / (k + 1)) for k in range(n)], curve="cosine"),
        lambda n: lr.Sequence([*((lr.Exponential(1.0, 1.0 / (k + 2), 9), 9) for k in range(n)), 0.1]),
        lambda n: lr.Sequence([*((lr.Linear(1.0, 1.0 / (k + 2), 9) * 0.5, 9) for k in range(n)), 0.1]),
        lambda n: lr.Cycle(lr.Cosine(1.0, 0.0, 1000), 1000, period_mult=1.01 if n > 100 else 1.1),
    ],
    ids=["Piecewise", "Table", "linear", "cosine", "Sequence", "Sequence of products", "Cycle"],
)
def test_the_closed_form_does_not_grow_with_the_number_of_parts(of_size):
    assert operations_for(of_size(3000)) == operations_for(of_size(30)) <= 50


# ---- Plans ----


def planned(schedule, steps, **options):
    steps = np.asarray(steps)
    return tracing.plan(schedule, **options).value(steps, NumpyOperations(steps.dtype))


@pytest.mark.parametrize("case", TRACED, ids=lambda case: case.name)
def test_a_plan_has_the_exact_values_of_its_table(case):
    schedule = case.schedule()
    found = tracing.plan(schedule)
    is_short = case.length is not None and case.length < tracing.LONGEST_TABLE
    assert (found.tail is None) == is_short
    assert len(found.table) == (case.length + 1 if is_short else tracing.HEAD)
    steps = np.arange(2000)
    wanted = schedule(steps).clip(-LARGEST, LARGEST).astype(np.float32)
    assert planned(schedule, steps).tolist() == wanted.tolist()


def test_a_plan_goes_on_where_its_table_ends():
    schedule = lr.Linear(1.0, 0.0, 2_000_000)
    steps = np.array([tracing.HEAD - 1, tracing.HEAD, 1_500_000, 2_000_000, 2**31 - 1], dtype=np.int32)
    assert planned(schedule, steps) == pytest.approx(schedule(steps.astype(np.int64)), rel=EPSILON)
    assert len(tracing.plan(lr.Linear(1.0, 0.0, 999_999)).table) == 1_000_000
    assert len(tracing.plan(lr.Linear(1.0, 0.0, 1_000_000)).table) == tracing.HEAD


@pytest.mark.parametrize("schedule", [lr.Constant(0.3), lr.Linear(0.3, 0.0, 7), lr.ExponentialDecay(0.3, 0.9)])
def test_a_tensor_of_any_shape_and_a_step_below_zero(schedule):
    first = np.float32(0.3)
    assert planned(schedule, -5) == planned(schedule, 0) == first
    assert planned(schedule, np.zeros((2, 3), np.int32)).tolist() == np.full((2, 3), first).tolist()
    assert by_operations(schedule, np.array([[-7], [0]])).tolist() == [[first], [first]]


def test_noise_within_a_table_is_planned_and_noise_without_an_end_is_not():
    noisy = 0.1 + 0.01 * lr.Noise(7)
    cut = lr.Sequence([(noisy, 100), noisy(100)])
    steps = np.arange(150)
    assert planned(cut, steps).tolist() == cut(steps).astype(np.float32).tolist()
    with pytest.raises(
        ValueError, match=r"Sum: expected .* within 1000000 updates, .*, got Noise, which needs the engine"
    ):
        tracing.plan(noisy)


def test_durations_with_units_are_refused():
    with pytest.raises(lr.UnboundError, match="total_steps"):
        tracing.plan(lr.Linear(0.1, 0.0, "100%"))


def test_a_table_that_no_trace_can_hold_is_refused():
    table = lr.Table(np.linspace(1.0, 0.0, 5_000_000, dtype=np.float32))
    with pytest.raises(ValueError, match="a table of 5000000 values, more than 4000000"):
        tracing.plan(table)
