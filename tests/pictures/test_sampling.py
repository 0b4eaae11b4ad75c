"""Which points are drawn: each is the schedule's own, none that shows is left out, and a jump is a jump."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import _sampling
from lrcore._anatomy import corners
from lrcore._sampling import MOST, curve, outline, sampled
from strategies import schedules

LONG = 10_000_000


def spike(at, level=0.05, peak=0.1):
    """A constant with one update of another value."""
    return lr.Sequence([(level, at), (peak, 1), level])


def drawn(schedule, n, width, with_corners=False):
    return sampled(schedule, n, width, corners(schedule, n).steps if with_corners else None)


# --- A spike of one update


@settings(max_examples=25, deadline=None)
@given(at=st.integers(0, LONG - 1), peak=st.sampled_from([0.1, 0.0]))
def test_a_spike_anywhere_in_ten_million_updates_is_drawn(at, peak):
    """From the values alone, without being told where the corners are."""
    schedule = spike(at, peak=peak)
    steps, values, _ = curve(schedule, drawn(schedule, LONG, 800))
    assert set(range(max(at - 1, 0), min(at + 2, LONG))) <= set(steps.tolist())
    assert values[steps == at] == [peak]
    assert len(steps) < 10_000


@pytest.mark.parametrize("at", [0, 1, 2**15 - 1, 2**15, 2**15 + 1, LONG - 2, LONG - 1])
def test_a_spike_at_the_edge_of_a_piece_is_drawn(at):
    steps = drawn(spike(at), LONG, 800)
    assert at in steps


def test_a_spike_in_a_hundred_million_updates_is_drawn():
    assert {71_234_566, 71_234_567, 71_234_568} <= set(drawn(spike(71_234_567), 10**8, 800).tolist())


def test_a_spike_on_a_slope_that_it_does_not_leave_is_drawn():
    """Neither the smallest nor the largest value around, but the steepest difference."""
    slope = lr.Linear(0.0, 1.0, LONG)
    schedule = lr.Sequence([(slope, 5_000_100), (slope(5_000_300), 1), slope.shift(5_000_101)])
    assert 5_000_100 in drawn(schedule, LONG, 100)


@pytest.mark.parametrize("n", [2 * MOST, 10**12, 2**53])
def test_a_spike_in_more_updates_than_are_looked_at_is_drawn_as_it_is_a_corner(n):
    for at in (3, n // 3, n - 5):
        assert {at - 1, at, at + 1} <= set(drawn(spike(at), n, 800, with_corners=True).tolist())


def test_cycles_do_not_hide_in_a_sample_of_a_very_long_run():
    """A stride that is a multiple of the period would show one value for ever."""
    n = 2**40
    schedule = lr.sgdr(0.1, 0.0, 2**10)
    steps, values, _ = curve(schedule, drawn(schedule, n, 500, with_corners=True))
    in_pixel = steps * 500 // n
    for pixel in range(500):
        here = values[in_pixel == pixel]
        assert here.min() < 0.001
        assert here.max() > 0.099


# --- Against the whole table


@given(schedule=schedules(), n=st.integers(1, 3000), width=st.integers(1, 40), with_corners=st.booleans())
def test_each_pixel_has_its_smallest_and_its_largest_value(schedule, n, width, with_corners):
    steps, values, _ = curve(schedule, drawn(schedule, n, width, with_corners))
    table = schedule.table(n)
    size = -(-n // width)
    for begin in range(0, n, size):
        here = values[(begin <= steps) & (steps < begin + size)]
        whole = table[begin : begin + size]
        assert (here.min(), here.max()) == (whole.min(), whole.max())


@given(schedule=schedules(), n=st.integers(1, 3000), width=st.integers(1, 40), with_corners=st.booleans())
def test_what_is_drawn_is_the_schedules_own(schedule, n, width, with_corners):
    steps, values, _ = curve(schedule, drawn(schedule, n, width, with_corners))
    assert steps[0] == 0
    assert steps[-1] == n - 1
    assert np.all(np.diff(steps) > 0)
    assert values.tolist() == [schedule(step) for step in steps.tolist()]


@given(schedule=schedules(), n=st.integers(1, 3000), width=st.integers(1, 200))
def test_corners_are_drawn_with_the_steps_before_them(schedule, n, width):
    steps = corners(schedule, n).steps.tolist()
    if 2 * len(steps) <= 4 * width:
        assert {*steps, *(step - 1 for step in steps if step)} <= set(drawn(schedule, n, width, True).tolist())


@settings(deadline=None, max_examples=30)
@given(schedule=schedules(2), n=st.integers(2, 5000), width=st.integers(1, 30), chunk=st.sampled_from([16, 64, 1000]))
def test_pieces_of_any_size_give_the_same_envelope(schedule, n, width, chunk):
    """As with pieces of the whole run: where one ends, nothing is lost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sampling, "CHUNK", chunk)
        values = schedule(drawn(schedule, n, width))
    table = schedule.table(n)
    assert (values.min(), values.max()) == (table.min(), table.max())


def test_the_steps_of_the_run_that_is_looked_at_are_stated():
    assert MOST == 134_217_728


# --- Jumps


def line_of(schedule, n):
    steps, values = outline(curve(schedule, np.arange(n)))
    return list(zip(steps.tolist(), values.tolist(), strict=True))


def test_a_jump_goes_straight_up_or_down():
    assert line_of(lr.Piecewise([2], [1.0, 0.5]), 4) == [(0, 1.0), (1, 1.0), (2, 1.0), (2, 0.5), (3, 0.5)]


def test_a_spike_is_a_bar_of_one_update():
    assert line_of(spike(1), 4) == [(0, 0.05), (1, 0.05), (1, 0.1), (2, 0.1), (2, 0.05), (3, 0.05)]


@pytest.mark.parametrize(
    "schedule",
    [
        lr.Linear(0.0, 1.0, 5),
        lr.Linear(1.0, 0.0, 1000),
        lr.Cosine(0.1, 0.0, 12),
        lr.warmup_cosine(0.1, 0.0, 10, 100),
        lr.ExponentialDecay(0.1, 0.5, 3),
        lr.Constant(0.1),
    ],
)
def test_a_curve_that_moves_on_does_not_jump(schedule):
    assert not curve(schedule, np.arange(200)).jumps.any()


def test_restarts_and_stairs_jump_where_they_begin():
    n = 1000
    for schedule in (lr.sgdr(0.1, 0.001, 100), lr.step_decay(0.1, 0.5, 100)):
        assert np.flatnonzero(curve(schedule, np.arange(n)).jumps).tolist() == list(range(100, n, 100))


@given(schedule=schedules(), n=st.integers(1, 500))
def test_the_line_has_the_points_and_a_vertex_more_for_each_jump(schedule, n):
    drawn_curve = curve(schedule, np.arange(n))
    line = line_of(schedule, n)
    points = list(zip(range(n), schedule.table(n).tolist(), strict=True))
    extra = [(step, points[step - 1][1]) for step in np.flatnonzero(drawn_curve.jumps).tolist()]
    assert sorted(line) == sorted(points + extra)
    assert [step for step, _ in line] == sorted(step for step, _ in line)
