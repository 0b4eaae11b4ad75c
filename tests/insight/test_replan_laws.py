"""Replanning: laws that hold for any schedule."""

import math
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

import lrcore as lr
from lrcore.replanning import jump_at
from replans import KEEPS, quietly
from strategies import durations, factors, finite_schedules, growing, rates, rates_or_nothing, schedules

slow = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def replanned(schedule, *args, **kwargs):
    """None where it is refused, by reason."""
    try:
        return quietly(schedule, *args, **kwargs)
    except ValueError as error:
        if not str(error).startswith("replan."):
            raise
        return None


@st.composite
def leaves(draw):
    """Curves of one phase, between values of one sign."""
    init, end, steps = draw(rates), draw(rates), draw(durations)
    power = draw(st.sampled_from([0.5, 2.0, 3.0]))
    return draw(
        st.sampled_from(
            [
                lr.Linear(init, end, steps),
                lr.Cosine(init, end, steps),
                lr.Polynomial(init, end, steps, power),
                lr.Exponential(init, end, steps),
            ]
        )
    )


# Factors that are not one factor after rounding.
twice_scaled = st.builds(
    lambda inner, first, second: lr.Scale(lr.Scale(inner, first), second),
    st.one_of(leaves(), schedules(2)),
    factors,
    factors,
)

KINDS = {
    "any": schedules(3),
    "scaled": twice_scaled,
    "growing": growing(2),
    "reaching": st.deferred(lambda: schedules(3).filter(has_a_reach)),
    "ending": st.one_of(finite_schedules(2), finite_schedules(3)),
    "leaf": leaves(),
}


@st.composite
def runs(draw, kind):
    """A schedule, a step of its run, and another length; of some kinds the run may be longer or shorter than it."""
    schedule = draw(KINDS[kind])
    length = schedule.length
    assume(length is None or 1 <= length < 2**40)
    old = length or draw(st.integers(1, 200))
    old += draw(st.integers(0, 200)) if kind in ("any", "scaled") and length else 0
    old = draw(st.integers(1, 2 * old)) if kind == "reaching" else old
    at = draw(st.integers(0, min(old, 10**6) - 1))
    new = at + draw(st.one_of(st.integers(1, 60), st.integers(1, 2000)))
    return schedule, at, old, new


@slow
@given(st.one_of(runs("any"), runs("scaled")), st.sampled_from(KEEPS))
def test_before_the_step_it_is_the_old_schedule(run, keep):
    schedule, at, old, new = run
    made = replanned(schedule, at, new, keep, n=old)
    assume(made is not None)
    begin = max(0, at - 500)
    assert made.table(at - begin, begin).tobytes() == schedule.table(at - begin, begin).tobytes()
    assert made.table(min(at, 500)).tobytes() == schedule.table(min(at, 500)).tobytes()


@slow
@given(runs("growing"), st.sampled_from(KEEPS))
def test_values_near_the_ends_of_what_a_schedule_may_hold(run, keep):
    """They are replanned, or refused by a message of replan's own (see `replanned`), but never end in another error."""
    schedule, at, old, new = run
    made = replanned(schedule, at, new, keep, n=old)
    assume(made is not None)
    assert made.table(min(at, 500)).tobytes() == schedule.table(min(at, 500)).tobytes()


@slow
@given(runs("any"), st.sampled_from(["value", "shape"]))
def test_what_keeps_the_value_keeps_it_to_the_bit(run, keep):
    schedule, at, old, new = run
    made = replanned(schedule, at, new, keep, n=old)
    assume(made is not None)
    assert made(at) == schedule(at)
    assert not jump_at(schedule, made, at).is_real


@slow
@given(runs("ending"), st.sampled_from(KEEPS))
def test_the_end_is_reached_at_the_new_length_and_held(run, keep):
    schedule, at, old, new = run
    made = replanned(schedule, at, new, keep)
    assume(made is not None)
    assert made(new) == schedule(old)
    assert set(made.table(200, new).tolist()) == {schedule(old)}


@slow
@given(runs("any"), st.sampled_from(KEEPS))
def test_the_same_length_is_the_same_schedule(run, keep):
    schedule, at, old, _ = run
    assert quietly(schedule, at, old, keep, n=old) is schedule


@slow
@given(runs("any"), st.sampled_from(KEEPS))
def test_the_same_phases_at_the_same_length_change_no_value(run, keep):
    """The way through the phases, which replan() itself does not take where the length stays."""
    from lrcore.replanning import _Replanning

    schedule, at, old, _ = run
    assume(at < old < 2000)
    again = _Replanning(keep, []).whole(schedule, at, old, old)
    scale = np.abs(schedule.table(old + 1)).max()
    assert np.abs(again.table(old + 1) - schedule.table(old + 1)).max() <= 64 * np.spacing(scale)


def plan(leaf, steps):
    """The same curve at another length, by its formula at a real step."""
    kind, first, last = type(leaf).__name__, leaf.init_value, leaf.end_value

    def at(step):
        rest = float(1 - min(Fraction(step) / steps, 1))
        if kind == "Exponential":
            return first * (last / first) ** (1 - rest)
        left = {"Linear": rest, "Cosine": math.sin(math.pi / 2 * rest) ** 2}.get(kind)
        if left is None:
            left = rest**leaf.power
        return last + (first - last) * left

    return at


@slow
@given(runs("leaf"))
def test_position_is_the_plan_of_the_new_length(run):
    leaf, at, _, new = run
    made, twin = quietly(leaf, at, new, "position"), plan(leaf, new)
    steps = np.arange(at, new + 1)
    expected = np.array([twin(step) for step in steps.tolist()])
    np.testing.assert_allclose(made(steps), expected, rtol=1e-12, atol=1e-14 * max(leaf.init_value, leaf.end_value))


@slow
@given(runs("leaf"))
def test_value_is_the_plan_of_the_new_length_from_the_value_at_hand(run):
    leaf, at, _, new = run
    made, twin, here, end = quietly(leaf, at, new, "value"), plan(leaf, new), leaf(at), leaf.end_value
    assume(abs(twin(at) - end) > 1e-6 * max(leaf.init_value, end) or here == end)
    planned = np.array([twin(step) for step in range(at, new + 1)])
    if isinstance(leaf, lr.Exponential):  # in logarithms
        ratio = math.log(here / end) / math.log(planned[0] / end) if here != end else 0.0
        expected = end * (planned / end) ** ratio
    else:
        expected = end + (planned - end) * ((here - end) / (planned[0] - end) if here != end else 0.0)
    np.testing.assert_allclose(made(np.arange(at, new + 1)), expected, rtol=1e-8, atol=1e-9 * max(leaf.init_value, end))


@slow
@given(runs("leaf"))
def test_shape_is_what_was_left_slower_or_faster(run):
    """A cosine's phase is on whole updates, so its remaining share is off by up to half an update."""
    leaf, at, old, new = run
    made, twin = quietly(leaf, at, new, "shape"), plan(leaf, old)
    steps = np.arange(at, new + 1)
    expected = np.array([twin(at + (step - at) * Fraction(old - at, new - at)) for step in steps.tolist()])
    scale = abs(leaf.init_value - leaf.end_value)
    half_a_step = scale * math.pi / 2 / (new - at) if isinstance(leaf, lr.Cosine) else 0.0
    # The tail of a power is itself only as exact as the value that it starts from.
    np.testing.assert_allclose(
        made(steps), expected, rtol=1e-9, atol=half_a_step + 1e-14 * max(leaf.init_value, leaf.end_value)
    )


@slow
@given(leaves(), st.data())
def test_twice_by_position_is_once_for_the_last_length(leaf, data):
    first = data.draw(st.integers(0, leaf.length - 1))
    middle = data.draw(st.integers(first + 2, first + 300))
    second = data.draw(st.integers(first, middle - 1))
    last = data.draw(st.integers(second + 1, second + 300))
    twice = quietly(quietly(leaf, first, middle, "position"), second, last, "position", n=middle)
    once = quietly(leaf, second, last, "position")
    assert twice.table(last + 10 - second, second).tolist() == once.table(last + 10 - second, second).tolist()


@slow
@given(finite_schedules(3), st.sampled_from(KEEPS), st.lists(st.integers(1, 9), min_size=2, max_size=12))
def test_a_run_replanned_again_and_again_does_not_pile_up(schedule, keep, gaps):
    """It gets a part more each time, and no deeper."""
    assume(schedule.length > 40)
    at, found, depths = 0, schedule, []
    for gap in gaps:
        at += gap
        length = found.length
        assume(length is not None and at < length)
        found = replanned(found, at, length + 7, keep, n=length)
        assume(found is not None)
        depths.append(found._depth)
    # A part that is mapped is a Sequence of Shift(Sum(Scale(Sum(Shift(Stretch(...)))))); a cycle brings its own Scale
    # and, for its way back, a Cycle and a Shift. However often it is replanned, there is one of each.
    assert max(depths) <= schedule._depth + 10


@slow
@given(runs("ending"), st.sampled_from(KEEPS), st.integers(1, 500))
def test_branches_share_what_is_before_them(run, keep, further):
    schedule, at, _, new = run
    one, other = replanned(schedule, at, new, keep), replanned(schedule, at, new + further, keep)
    assume(one is not None and other is not None)
    assert one.table(min(at, 1000)).tobytes() == other.table(min(at, 1000)).tobytes()


@slow
@given(runs("ending"), st.sampled_from(KEEPS))
def test_the_result_is_a_value_like_any_other(run, keep):
    schedule, at, _, new = run
    made = replanned(schedule, at, new, keep)
    assume(made is not None)
    assert pickle.loads(pickle.dumps(made)) == made
    assert replanned(schedule, at, new, keep) == made


def has_a_reach(schedule):
    """Nonnegative, and no higher or lower than its parts say: see `reach`."""
    if isinstance(schedule, (lr.Noise, lr.Line)) or getattr(schedule, "function", "") == "cosine":
        return False
    return all(has_a_reach(child) for child in schedule._children())


def reach(schedule):
    """The least and the largest value that a tree may come to, at any length and however its phases are rounded."""
    inner = [reach(child) for child in schedule._children()]
    lows, highs = zip(*inner, strict=True) if inner else ((), ())
    match schedule:
        case lr.Product():
            return math.prod(lows), math.prod(highs)
        case lr.Sum():
            return sum(lows), sum(highs)
        case lr.Scale() | lr.Clip() | lr.Map():  # all of them rise with the value
            return tuple(replace(schedule, schedule=lr.Table([value]))(0) for value in inner[0])
        case lr.Cycle():  # values of the first cycle, or less
            return (lows[0] if schedule.value_mult == 1.0 else 0.0), highs[0]
        case lr.Table() | lr.Piecewise():
            return min(schedule.values), max(schedule.values)
        case lr.Interpolate():
            values = [value for _, value in schedule.points]
            return min(values), max(values)
        case lr.Constant():
            return schedule.value, schedule.value
        case lr.Linear() | lr.Cosine() | lr.Polynomial() | lr.Exponential():
            return tuple(sorted((schedule.init_value, schedule.end_value)))
    return (min(lows), max(highs)) if inner else (0.0, schedule.init_value)  # a decay without an end


@slow
@given(runs("reaching"), st.sampled_from(["value", "shape"]))
def test_no_value_leaves_those_of_the_old_plan(run, keep):
    schedule, at, old, new = run
    made = replanned(schedule, at, new, keep, n=old)
    assume(made is not None)
    values, (low, high) = made.table(new + 2000), reach(schedule)
    ulps = 64 * np.spacing(high)
    assert values.min() >= low - ulps
    assert values.max() <= high + ulps


@pytest.mark.parametrize(
    ("schedule", "at", "new", "n"),
    [
        (lr.warmup_cosine(0.1, 0.0, 100, 1000), 300, 400, 600),
        (lr.inverse_sqrt(0.1, 100), 550, 600, 1000),
        (lr.sgdr(0.1, 0.0, 10, 2), 167, 169, 500),
        (lr.sgdr(0.1, 0.001, 100, 2), 550, 600, 1000),
        (lr.Polynomial(0.5, 0.001, 333, 2), 4, 14, 50),
        (lr.ExponentialDecay(1.0, 0.5, 40), 50, 70, 200),
    ],
)
@pytest.mark.parametrize("keep", ["value", "shape"])
def test_from_the_end_of_the_run_on_its_end_value_is_held(schedule, at, new, n, keep):
    made, were = quietly(schedule, at, new, keep, n=n), schedule.table(n + 1)
    values = made.table(new + 2000)
    assert set(values[new:].tolist()) == {schedule(n)}
    assert values.min() >= were.min()
    assert values.max() <= were.max()


def test_a_decay_that_is_made_shorter_does_not_rise():
    """The third cycle, from 300 to 700, would be over by 471 in the new plan: what is left of it goes on, faster."""
    made = quietly(lr.sgdr(0.1, 0.001, 100, 2), 550, 600, n=1000)
    assert (np.diff(made.table(17, 550)) < 0).all()  # 150 of the 450 updates that were left: 17 of 50
    assert made(567) == 0.1


@slow
@given(rates, rates_or_nothing, st.integers(2, 300), st.integers(2, 300), st.data())
def test_a_warmup_that_is_done_stays_done_and_its_peak_stays(peak, end, warmup, decay, data):
    schedule = lr.warmup_cosine(peak, end, warmup, warmup + decay)
    at = data.draw(st.integers(1, warmup + decay - 1))
    new = at + data.draw(st.integers(2, 2000))
    for keep in KEEPS:
        made = replanned(schedule, at, new, keep)
        if made is None:
            continue
        values = made.table(new + 1)
        assert values.max() <= max(peak, end) * (1 + 1e-15)
        if at >= warmup:
            assert made(warmup) == peak


@pytest.mark.parametrize(
    ("schedule", "arguments", "n"),
    [
        (lr.Scale(lr.Scale(lr.warmup_cosine(0.3, 0.0, 100, 1000), 0.1), 0.1), (500, 2000), None),
        (lr.Scale(lr.Linear(0.5, 0.0, 7), 0.1), (488, 490, "position"), 500),
        (lr.Map(lr.Scale(lr.Scale(lr.Linear(0.3, 0.0, 700), 0.1), 0.1), "power", 1.7), (500, 2000), None),
    ],
)
def test_factors_round_before_the_step_as_they_did(schedule, arguments, n):
    assert quietly(schedule, *arguments, n=n).table(arguments[0]).tobytes() == schedule.table(arguments[0]).tobytes()
