"""What holds for every schedule, however it is nested: checked on random ones, bit for bit."""

import copy
import math
import operator
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from cases import CASES
from oracles import as_written, oracle, restart_step, round_half_up, tolerance
from strategies import (
    curves,
    durations,
    factors,
    finite_schedules,
    growing,
    inner_steps,
    rates_or_nothing,
    schedules,
    steps,
)

LARGEST_STEP = 2**53 - 1

laws = settings(max_examples=80, deadline=None)

some_steps = st.lists(steps, min_size=1, max_size=20).map(lambda values: np.array(values, dtype=np.int64))
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def assert_same_values(got, expected, at):
    """The same bits at each step: by single calls, as an array, and as a range."""
    assert got(at).tobytes() == expected(at).tobytes()
    assert [got(int(step)) for step in at] == [expected(int(step)) for step in at]
    assert got.table(70).tobytes() == expected.table(70).tobytes()


def stretched(schedule, factor):
    """`schedule.stretch(factor)` where rounding is meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lr.RoundingWarning)
        return schedule.stretch(factor)


# --- joins


@laws
@given(finite_schedules(), finite_schedules(), schedules(2), some_steps)
def test_joins_associate(a, b, c, at):
    left, right = (a >> b) >> c, a >> (b >> c)
    assert left == right
    assert hash(left) == hash(right)
    assert_same_values(left, right, at)


@laws
@given(finite_schedules(), schedules(2), some_steps)
def test_a_join_is_the_first_and_then_the_second(a, b, at):
    joined = a >> b
    for step in at.tolist():
        assert joined(step) == (a(step) if step < a.length else b(step - a.length))


@laws
@given(finite_schedules(), finite_schedules())
def test_lengths_of_joined_schedules_add(a, b):
    assert (a >> b).length == a.length + b.length


@laws
@given(schedules(3), durations, rates_or_nothing, some_steps)
def test_warmup_prepends_a_line(a, n, init, at):
    warm = a.warmup(n, init_value=init)
    rise = lr.Linear(init, a(0), n)
    for step in at.tolist():
        assert warm(step) == (rise(step) if step < n else a(step - n))


@laws
@given(schedules(2), durations)
def test_warmup_begins_at_nothing_unless_told(a, n):
    assert a.warmup(n) == a.warmup(n, init_value=0.0)
    assert a.warmup(n)(0) == 0.0


# --- shifts, stairs, stretches


@laws
@given(schedules(3), st.integers(0, 200), some_steps)
def test_shift_moves_the_origin(a, n, at):
    at = np.minimum(at, LARGEST_STEP - n)
    assert a.shift(n)(at).tobytes() == a(at + n).tobytes()


@laws
@given(schedules(3), st.integers(1, 200), some_steps)
def test_a_shift_back_holds_the_first_value(a, n, at):
    assert a.shift(-n)(at).tobytes() == a(np.maximum(0, at - n)).tobytes()


@laws
@given(schedules(3), st.integers(0, 60), st.integers(0, 60), some_steps)
def test_shifts_add(a, m, n, at):
    at = np.minimum(at, LARGEST_STEP - m - n)
    assert_same_values(a.shift(m).shift(n), a.shift(m + n), at)
    assert_same_values(a.shift(-m).shift(-n), a.shift(-m - n), at)


@laws
@given(schedules(3), st.integers(1, 50), some_steps)
def test_stairs_keep_the_value_at_their_beginning(a, every, at):
    assert a.staircase(every)(at).tobytes() == a(at // every * every).tobytes()


@laws
@given(schedules(3), some_steps)
def test_the_smallest_changes_change_nothing(a, at):
    assert_same_values(a.staircase(1), a, at)
    assert_same_values(a.shift(0), a, at)
    assert_same_values(a.stretch(1), a, at)
    assert_same_values(1.0 * a, a, at)
    assert_same_values(lr.Stretch(a, 1.0), a, at)


timed_curves = curves.filter(lambda a: not isinstance(a, lr.Noise))  # which no stretch changes


@laws
@given(timed_curves, st.sampled_from([2, 3, 4, 10]), st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_a_stretched_curve_passes_through_the_same_values(a, factor, at):
    slow = stretched(a, factor)
    for step in at:
        exact, slack = oracle(a, step), tolerance(a, step) + tolerance(slow, factor * step)
        assert abs(oracle(slow, factor * step) - exact) <= slack
        assert abs(slow(factor * step) - a(step)) <= 2 * slack


@laws
@given(schedules(3), st.sampled_from([2, 3, 0.5, 1.5, 1.1, 0.7, 2.25]), st.lists(inner_steps, min_size=1, max_size=10))
def test_a_stretched_schedule_agrees_with_the_oracle(a, factor, at):
    slow = stretched(a, factor)
    for step in at:
        assert abs(oracle(slow, step) - slow(step)) <= tolerance(slow, step), f"at {step}"


def test_stretching_says_that_it_rounds():
    with pytest.warns(lr.RoundingWarning, match=r"Linear\.steps 3 to 5"):
        assert lr.Linear(0.0, 1.0, 3).stretch(1.5).length == 5


@pytest.mark.parametrize(("n", "factor"), [(4, 1.5), (10, 1.1), (100, 1.1), (100, 0.07), (100, 0.29), (1000, 1.001)])
def test_stretching_to_whole_updates_is_silent(n, factor):
    """The factor is the decimal that was written: 100 times 1.1 is 110, though not for the float."""
    assert lr.Linear(0.0, 1.0, n).stretch(factor).length == round_half_up(n * as_written(factor))


@pytest.mark.parametrize(("n", "factor"), [(45, 0.7), (25, 0.58), (25, 1.14), (25, 2.3), (50, 0.29), (30, 2.05)])
def test_stretching_rounds_half_up(n, factor):
    """45 times 0.7 is 31.5 and so 32, for the length and for the values."""
    exact = round_half_up(n * as_written(factor))
    assert 2 * n * as_written(factor) == 2 * exact - 1
    slow = stretched(lr.Linear(0.0, 1.0, n), factor)
    assert slow.length == exact
    assert (slow(exact - 1), slow(exact)) == (lr.Linear(0.0, 1.0, exact)(exact - 1), 1.0)
    assert stretched(lr.Piecewise([n], [0.0, 1.0]), factor)(exact - 1) == 0.0
    assert stretched(lr.Constant(0.5).warmup(n), factor)(exact - 1) < 0.5
    assert stretched(lr.Table(np.arange(n + 1.0)), factor)(exact - 1) == n - 1


@pytest.mark.parametrize(("n", "factor"), [(2**40, 1e9), (2**52, 1e9), (2**52, 123456.789)])
def test_stretching_beyond_all_steps(n, factor):
    """Only the beginning of the curve is within 2**53 updates; it is still the beginning of that curve."""
    slow = lr.Stretch(lr.Linear(0.0, 1.0, n), factor)
    for step in (1, 2**31, 2**52):
        assert abs(oracle(slow, step) - slow(step)) <= tolerance(slow, step)


def test_a_squeezed_cycle_still_ends():
    """Cycles of 1 and 1 updates, at half the length: the second has no update left, but its end holds."""
    cycle = lr.Cycle(lr.Linear(1.0, 0.5, 1), 1, period_mult=1.1, count=2)
    assert cycle.table(4).tolist() == [1.0, 1.0, 0.5, 0.5]
    assert stretched(cycle, 0.5).table(4).tolist() == [1.0, 0.5, 0.5, 0.5]


# --- products, sums, clips


def has_many_operands(schedule):
    return isinstance(schedule, lr.Product | lr.Sum)


@laws
@given(schedules(2), schedules(2), some_steps)
def test_products_and_sums_commute(a, b, at):
    """To the bit for two; chains are flat and rounded from left to right, as Python rounds them."""
    if has_many_operands(a) or has_many_operands(b):
        for one, other in ((a * b, b * a), (a + b, b + a)):
            slack = [float(tolerance(one, step) + tolerance(other, step)) for step in at.tolist()]
            assert (abs(one(at) - other(at)) <= slack).all()
    else:
        assert_same_values(a * b, b * a, at)
        assert_same_values(a + b, b + a, at)


@laws
@given(schedules(2), schedules(2), schedules(2), some_steps)
def test_products_and_sums_associate(a, b, c, at):
    assert (a * b) * c == a * (b * c)
    assert (a + b) + c == a + (b + c)
    assert_same_values((a * b) * c, a * (b * c), at)


@laws
@given(schedules(2), schedules(2), some_steps)
def test_products_and_sums_are_rounded_once(a, b, at):
    assert lr.Product([a, b])(at).tobytes() == (a(at) * b(at)).tobytes()
    assert lr.Sum([a, b])(at).tobytes() == (a(at) + b(at)).tobytes()


@laws
@given(schedules(3), factors, some_steps)
def test_a_number_scales(a, factor, at):
    assert (factor * a)(at).tobytes() == (factor * a(at)).tobytes()
    assert factor * a == a * factor


@laws
@given(schedules(3), rates_or_nothing, rates_or_nothing, some_steps)
def test_a_clip_is_kept(a, one, other, at):
    low, high = sorted((one, other))
    assert a.clip(low, high)(at).tobytes() == np.clip(a(at), low, high).tobytes()


def interval(schedule):
    """The smallest and the largest value that a schedule may take, from the values that were put into it."""
    return INTERVALS.get(type(schedule), interval_of_ends)(schedule)


def interval_of_ends(curve):
    """Between its two ends, or between its beginning and nothing if it has no end."""
    return hull([(curve.init_value,) * 2, (getattr(curve, "end_value", 0.0),) * 2])


def interval_of_values(schedule):
    return float(min(schedule.values)), float(max(schedule.values))


def interval_of_inner(schedule):
    return interval(schedule.schedule)


def interval_of_cycle(cycle):
    return interval(cycle.schedule) if cycle.value_mult == 1 else hull([interval(cycle.schedule), (0.0, 0.0)])


def interval_of_clip(clip):
    """A clip never turns its values round, so that it takes an interval to an interval."""
    low, high = (-math.inf if clip.min is None else clip.min), (math.inf if clip.max is None else clip.max)
    return tuple(max(low, min(high, end)) for end in interval(clip.schedule))


def hull(intervals):
    lows, highs = zip(*intervals, strict=True)
    return min(lows), max(highs)


def fold(operation, parts):
    low, high = interval(parts[0])
    for part in parts[1:]:
        corners = [operation(a, b) for a in (low, high) for b in interval(part)]
        low, high = max(min(corners), -LARGEST), min(max(corners), LARGEST)
    return low, high


LARGEST = 1e300
FUNCTION_INTERVALS = {"cosine": (0.0, 1.0), "tanh": (-1.0, 1.0)}

INTERVALS = {
    lr.Line: lambda _: (-LARGEST, LARGEST),
    lr.Noise: lambda _: (-9.0, 9.0),
    lr.Map: lambda a: FUNCTION_INTERVALS.get(a.function, (0.0, LARGEST)),
    lr.Constant: lambda a: (a.value, a.value),
    lr.Piecewise: interval_of_values,
    lr.Table: interval_of_values,
    lr.Interpolate: lambda a: hull([(value, value) for _, value in a.points]),
    lr.Sequence: lambda a: hull([*(interval(part) for part, _ in a.parts[:-1]), interval(a.parts[-1])]),
    lr.Cycle: interval_of_cycle,
    lr.Product: lambda a: fold(operator.mul, a.factors),
    lr.Sum: lambda a: fold(operator.add, a.terms),
    lr.Scale: lambda a: fold(operator.mul, [lr.Constant(a.factor), a.schedule]),
    lr.Clip: interval_of_clip,
    lr.Staircase: interval_of_inner,
    lr.Shift: interval_of_inner,
    lr.Stretch: interval_of_inner,
}


@laws
@given(schedules(4), some_steps)
def test_no_value_leaves_the_interval_of_its_parts(a, at):
    low, high = interval(a)
    values = np.concatenate([a(at), a.table(200)])
    assert low <= values.min()
    assert values.max() <= high


# --- cycles


@laws
@given(schedules(2), durations, st.booleans(), some_steps)
def test_equal_cycles_repeat(a, period, mirror, at):
    cycle = lr.Cycle(a, period, mirror=mirror)
    length = 2 * period if mirror else period
    assert cycle(at).tobytes() == cycle(at % length).tobytes()
    if not mirror:
        assert cycle(at).tobytes() == a(at % period).tobytes()


@laws
@given(schedules(2), durations, st.data())
def test_a_mirrored_cycle_runs_back(a, period, data):
    step = data.draw(st.integers(0, 2 * period))
    cycle = lr.Cycle(a, period, mirror=True)
    assert cycle(step) == cycle(2 * period - step) == a(min(step, 2 * period - step))


@laws
@given(schedules(2), durations, st.sampled_from([1, 2, 3, 1.5, 1.1]), st.integers(1, 5), some_steps)
def test_a_counted_cycle_is_an_endless_one_that_stops(a, period, period_mult, count, at):
    endless = lr.Cycle(a, period, period_mult=period_mult)
    counted = lr.Cycle(a, period, period_mult=period_mult, count=count)
    end = restart_step(period, period_mult, count)
    assert counted.length == end
    assert counted(at % end).tobytes() == endless(at % end).tobytes()
    after = np.minimum(at, LARGEST_STEP - end) + end
    assert set(counted(after).tolist()) == {counted(end)}


@laws
@given(schedules(2), durations, st.sampled_from([2, 3, 5]), st.integers(0, 6), st.data())
def test_a_later_cycle_is_the_schedule_stretched(a, period, period_mult, k, data):
    cycle = lr.Cycle(a, period, period_mult=period_mult)
    step = data.draw(st.integers(0, period * period_mult**k - 1))
    assert cycle(restart_step(period, period_mult, k) + step) == stretched(a, period_mult**k)(step)


# --- one value, however it is asked for


@settings(laws, max_examples=150)
@given(schedules(4), some_steps)
def test_an_array_gives_the_bits_of_single_calls(a, at):
    assert a(at).tobytes() == np.array([a(step) for step in at.tolist()]).tobytes()


@settings(laws, max_examples=150)
@given(schedules(4), steps, st.integers(0, 300))
def test_a_table_gives_the_bits_of_an_array(a, start, n):
    n = min(n, LARGEST_STEP + 1 - start)
    assert a.table(n, start=start).tobytes() == a(np.arange(start, start + n)).tobytes()


@laws
@given(schedules(3), st.integers(1, 500), st.integers(0, 500), steps)
def test_a_table_in_two_halves_is_one_table(a, n, cut, start):
    """A run that stops and goes on sees what an uninterrupted one sees."""
    start, cut = min(start, LARGEST_STEP - n), min(cut, n)
    halves = np.concatenate([a.table(cut, start=start), a.table(n - cut, start=start + cut)])
    assert halves.tobytes() == a.table(n, start=start).tobytes()


@laws
@given(schedules(4))
def test_a_schedule_holds_from_its_length_on(a):
    if a.length is None:
        return
    after = a.length + np.array([0, 1, 2, 3, 100, 10_000])
    assert a(after).tolist() == [a(a.length)] * len(after)


# --- values


@settings(laws, max_examples=150)
@given(schedules(4))
def test_repr_evaluates_back(a):
    twin = eval(repr(a), vars(lr))
    assert twin == a
    assert type(twin) is type(a)
    assert hash(twin) == hash(a)
    assert repr(twin) == repr(a)


COPIES = {
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),
    "old pickle": lambda a: pickle.loads(pickle.dumps(a, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "repr": lambda a: eval(repr(a), vars(lr)),
}


@every_case
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_equal_and_works(case, way):
    """Before the first evaluation, and after it: what the engine made is not in the way."""
    fresh, used = case.schedule(), case.schedule()
    used(3), used(np.arange(5)), used.table(5)
    for twin in (COPIES[way](fresh), COPIES[way](used)):
        assert twin == fresh == used
        assert hash(twin) == hash(fresh) == hash(used)
        assert twin.table(50).tobytes() == fresh.table(50).tobytes()


@every_case
def test_equal_schedules_are_one_key(case):
    used = case.schedule()
    used(3)
    assert len({case.schedule(), case.schedule(), used}) == 1


@laws
@given(schedules(3), schedules(3))
def test_equality_sees_every_field(a, b):
    assert (a == b) == (repr(a) == repr(b))
    if a == b:
        assert hash(a) == hash(b)


def test_different_schedules_differ():
    """Every two cases but those that say the same thing in other words."""
    distinct = {repr(case.schedule()): case.schedule() for case in CASES}
    schedules_ = list(distinct.values())
    for i, one in enumerate(schedules_):
        assert all(one != other for other in schedules_[i + 1 :])


def test_a_schedule_equals_no_other_thing():
    schedule = lr.Constant(0.1)
    for other in (0.1, None, "Constant(value=0.1)", (0.1,), object()):
        assert schedule != other
    assert lr.Linear(0.1, 0.0, 10) != lr.Cosine(0.1, 0.0, 10)


def test_numbers_are_what_they_are_however_written():
    """An int for a rate and NumPy's numbers are taken, and are the same schedule."""
    expected = lr.Linear(1.0, 0.0, 10)
    assert lr.Linear(1, 0, 10) == expected
    assert lr.Linear(np.float64(1.0), np.float32(0.0), np.int64(10)) == expected
    assert repr(lr.Linear(np.float64(1.0), 0, np.int32(10))) == repr(expected)


@laws
@given(growing(), st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=20))
def test_values_are_finite(schedule, at):
    """What grows without an end stays at 1e300, and so do its sums and products: never infinite, never NaN."""
    values = schedule(np.array(at))
    assert (np.abs(values) <= 1e300).all()
    assert [schedule(step) for step in at] == values.tolist()


@laws
@given(rates_or_nothing, rates_or_nothing)
def test_a_peak_above_a_floor_is_exact_to_an_ulp(one, other):
    """The floor is added to a falling cycle, and the first peak is still the number that was given."""
    low, high = sorted((one, other))
    for peak in (lr.sgdr(high, low, 10, value_mult=0.5)(0), lr.triangular(low, high, 5, mode="triangular2")(5)):
        assert abs(peak - high) <= np.spacing(high)


def test_ordinary_peaks_above_a_floor_are_exact():
    for high, low in ((0.1, 1e-5), (0.1, 0.001), (3e-4, 3e-5), (1.0, 0.1), (0.05, 1e-6)):
        assert lr.sgdr(high, low, 10, value_mult=0.5)(0) == high


def test_a_floor_far_above_the_peak_is_no_endless_search():
    assert lr.sgdr(1.0, 1e30, 10, value_mult=0.5)(0) == 0.0


def test_a_length_beyond_all_steps_is_found():
    stairs = lr.Staircase(lr.Linear(0.0, 1.0, 2**52) >> lr.Linear(0.0, 1.0, 1000), 5)
    assert lr.Stretch(stairs, 1e9).length >= 2**59


def test_float32_is_finite_too():
    assert lr.Constant(1e100).table(2, dtype="float32").tolist() == [float(np.finfo(np.float32).max)] * 2
