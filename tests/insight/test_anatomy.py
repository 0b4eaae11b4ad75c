"""What a schedule is made of: corners by hand, and laws that hold of any tree's values."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import _anatomy, _pieces, _survey
from lrcore._anatomy import corners, is_restart, pieces
from lrcore._pieces import CONSTANT, ROUGH
from lrcore._survey import Survey
from strategies import growing, schedules

ranges = st.integers(1, 300)


def listed(schedule, n):
    found = corners(schedule, n)
    return dict(zip(found.steps.tolist(), found.labels, strict=True))


@pytest.mark.parametrize(
    ("schedule", "n", "wanted"),
    [
        (lr.Constant(0.1), 10, {0: "start"}),
        (lr.Cosine(0.1, 0.0, 6), 10, {0: "start", 6: "end"}),
        (lr.Cosine(0.1, 0.0, 6), 6, {0: "start"}),
        (lr.warmup_cosine(0.1, 0.0, 3, 8), 10, {0: "start", 3: "boundary", 8: "end"}),
        (lr.Piecewise([2, 5], [1.0, 0.5, 0.1]), 9, {0: "start", 2: "boundary", 5: "boundary"}),
        (lr.Piecewise([2, 5], [1.0, 0.5, 0.1], side="left"), 9, {0: "start", 3: "boundary", 6: "boundary"}),
        (lr.sgdr(0.1, 0.0, 4, period_mult=2), 13, {0: "start", 4: "restart", 12: "restart"}),
        (lr.Cycle(lr.Linear(1.0, 0.0, 4), 4, count=2), 12, {0: "start", 4: "restart", 8: "end"}),
        (lr.Cycle(lr.Linear(0.0, 1.0, 4), 4, mirror=True), 9, {0: "start", 4: "turn", 5: "boundary", 8: "restart"}),
        (lr.noam(4, 4), 9, {0: "start", 4: "boundary"}),
        (lr.InverseSqrt(1.0, 4), 9, {0: "start", 4: "bend"}),
        (lr.step_decay(1.0, 0.5, 3), 8, {0: "start", 3: "stair", 6: "stair"}),
        (lr.Linear(1.0, 0.0, 4).staircase(3), 99, {0: "start", 3: "stair", 6: "stair"}),
        (lr.Linear(1.0, 0.0, 4).shift(1), 9, {0: "start", 3: "end"}),
        (lr.Linear(1.0, 0.0, 4).shift(-2), 9, {0: "start", 2: "boundary", 6: "end"}),
        (lr.Linear(1.0, 0.0, 4).stretch(2), 9, {0: "start", 8: "end"}),
        (lr.Linear(1.0, 0.0, 10).clip(0.25, 0.85), 20, {0: "start", 2: "clip", 8: "clip", 10: "end"}),
        (lr.Map(lr.Line(0.0, 1.0, 4), "cosine"), 9, {0: "start", 4: "turn", 8: "turn"}),
        (lr.Map(lr.Linear(2.0, 0.5, 6), "cosine"), 9, {0: "start", 4: "turn", 6: "end"}),
        (lr.Map(lr.Linear(1.0, 0.5, 6), "power", 2.0), 9, {0: "start", 6: "end"}),
        (lr.Table([0.1, 0.2, 0.4]), 9, {0: "start", 1: "entry", 2: "entry"}),
        (lr.Interpolate([(2, 0.0), (5, 1.0)]), 9, {0: "start", 2: "boundary", 5: "boundary"}),
        (
            lr.Linear(1.0, 0.0, 4) * lr.Piecewise([2, 4], [1.0, 0.5, 2.0]),
            9,
            {0: "start", 2: "boundary", 4: "boundary"},
        ),
    ],
    ids=repr,
)
def test_corners_by_hand(schedule, n, wanted):
    assert listed(schedule, n) == wanted


def check_pieces(schedule, n):
    values = schedule.table(n)
    found = pieces(schedule, n)
    assert [piece.begin for piece in found] == [0, *(piece.end for piece in found[:-1])]
    assert found[-1].end == n
    for piece in found:
        assert piece.begin < piece.end
        part = values[piece.begin : piece.end]
        slack = 1e-12 * np.abs(part).max()
        if piece.form == CONSTANT:
            assert (part == part[0]).all()
        if piece.direction is not None:
            assert (np.diff(part) * piece.direction >= -slack).all()
        if piece.positive:
            assert part.min() >= 0.0
        if piece.period:
            assert (part[piece.period :] == part[: -piece.period]).all()


@given(schedules(3), ranges)
def test_the_pieces_of_any_schedule_are_what_they_say(schedule, n):
    check_pieces(schedule, n)


@given(growing(2), ranges)
def test_the_pieces_of_values_that_grow_beyond_measure_are_what_they_say(schedule, n):
    check_pieces(schedule, n)


@given(schedules(2), st.sampled_from([0.37, 2.5, 7.0]), ranges)
def test_the_pieces_of_a_stretched_schedule_are_what_they_say(schedule, factor, n):
    check_pieces(lr.Stretch(schedule, factor), n)


@given(schedules(2), schedules(2), ranges)
def test_the_pieces_of_scaled_parts_are_what_they_say(first, second, n):
    check_pieces(lr.Sequence([(first, 20), -0.5 * second]), n)


@given(schedules(3), ranges)
@settings(max_examples=50)
def test_a_restart_is_found_without_the_list(schedule, n):
    found = listed(schedule, n)
    for step in {0, n // 3, n - 1, *list(found)[:5]}:
        assert is_restart(schedule, step) == (found.get(step) == "restart")


@given(schedules(3), ranges)
def test_few_pieces_allowed_leave_ranges_rough_and_nothing_wrong(schedule, n):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pieces, "MAX_PIECES", 3)
        check_pieces(schedule, n)


@pytest.mark.parametrize(
    ("schedule", "ends"),
    [
        (lr.sgdr(0.1, 0.0, 10), (0, 10**6)),
        (lr.step_decay(1.0, 0.999, 10), (0, 10**6)),
        (lr.Table(np.linspace(1.0, 0.0, 10**5)), (0, 10**5 - 1)),
        (lr.Noise(1), (0, 10**6)),
        (lr.Map(lr.Line(0.0, 1.0, 10), "cosine"), (0, 10**6)),
        (lr.Linear(0.0, 1.0, 500) >> lr.sgdr(1.0, 0.0, 10), (500, 10**6)),
        (lr.Linear(0.0, 1.0, 500) >> lr.Linear(1.0, 0.0, 90_000).staircase(9), (500, 90_500)),
        (lr.Cycle(lr.sgdr(1.0, 0.0, 10), 500_000), (0, 10**6)),
    ],
    ids=repr,
)
def test_dense_corners_are_left_rough(schedule, ends):
    found = corners(schedule, 10**6)
    assert (found.rough[0][0], found.rough[-1][1]) == ends
    assert len(found.steps) < 10


@pytest.mark.parametrize(
    "schedule",
    [
        lr.Cycle(lr.Stretch(lr.Interpolate([(92, 0.5), (94, 1.0), (140, 0.5), (227, 0.001)]), 1.5), 3),
        lr.Cycle(lr.Cosine(0.1, 0.0, 3), 3) + lr.Cosine(0.1, 0.0, 10_000),
        lr.Cycle(lr.Interpolate([(0, 1.0), (2, 0.5), (5, 0.1)]), 5, mirror=True).stretch(3),
    ],
    ids=repr,
)
def test_cycles_of_one_length_are_walked_once(schedule, monkeypatch):
    walked = []
    over = _pieces.Walk.over
    monkeypatch.setattr(_pieces.Walk, "over", lambda self, *given: walked.append(given) or over(self, *given))
    check_pieces(schedule, 5000)
    assert len(walked) < 50
    walked.clear()
    lr.lint(schedule, 5000)
    assert len(walked) < 200


def test_the_first_piece_is_that_of_the_whole_walk():
    for schedule in (lr.Cosine(0.1, 0.0, 5000), lr.sgdr(0.1, 0.0, 700), lr.wsd(0.1, 100, 5000, 900)):
        for step in (0, 50, 1500, 4999):
            assert _anatomy.first_piece(schedule, step, 10_000) == _pieces.Walk().over(schedule, 1.0, step, 10_000)[0]


def test_a_combinator_that_nobody_knows_is_rough():
    class Echo(lr.Schedule):
        def _children(self):
            return (lr.Constant(1.0),)

        def _lower(self, rows):
            return rows.place_of(lr.Constant(1.0))

        def _length(self, _scale):
            return 0

    echo = dataclass(frozen=True)(Echo)()
    assert [piece.form for piece in pieces(echo + 1.0, 4)] == [ROUGH]


# ---- Extremes, sums and jumps, against all values ----


def check_survey(schedule, n):
    values = schedule.table(n)
    survey = Survey(schedule, n)
    assert survey.highest == (values.max(), values.argmax())
    assert survey.lowest == (values.min(), values.argmin())
    size = math.fsum(np.abs(values))
    assert abs(survey.total - math.fsum(values)) <= 1e-12 * size
    assert not survey.is_sampled


@given(schedules(3), ranges)
def test_the_survey_of_any_schedule(schedule, n):
    check_survey(schedule, n)


@given(schedules(3), st.integers(50, 1000), st.sampled_from([16.0, 40.0, 123.4]))
@settings(max_examples=60)
def test_the_survey_of_long_pieces(schedule, n, factor):
    """As if 40 steps were many: grids, extrapolation and zooming do what scanning does elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_survey, "SHORT", 40)
        patch.setattr(_survey, "WINDOW", 40)
        check_survey(lr.Stretch(schedule, factor), n)


@given(schedules(3), ranges)
def test_the_survey_of_rough_ranges(schedule, n):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pieces, "MAX_PIECES", 3)
        patch.setattr(_survey, "CHUNK", 64)
        check_survey(schedule, n)


LONG = 3_000_000


@pytest.mark.parametrize(
    "schedule",
    [
        lr.warmup_cosine(0.1, 0.0, 1000, LONG),
        lr.warmup_cosine(0.1, 0.0, 1000, LONG) * lr.ExponentialDecay(1.0, 0.5, 10**6).staircase(10**5),
        lr.sgdr(0.1, 0.001, 1000),
        lr.sgdr(0.1, 0.001, 1000, 2),
        lr.sgdr(0.1, 0.001, 10**5, value_mult=0.9),
        lr.Polynomial(0.1, 0.0, LONG, 0.5) * lr.Polynomial(1.0, 0.5, LONG, 3.0),
        lr.Polynomial(0.0, 0.1, LONG, 0.5) * lr.Polynomial(1.0, 0.0, LONG, 3.0),
        lr.Linear(0.0, 1.0, LONG) * lr.ExponentialDecay(1.0, 0.9),
        lr.Linear(0.0, 1.0, LONG) * lr.ExponentialDecay(1.0, 0.9).shift(-LONG // 2),
        lr.noam(512, 4000),
        lr.one_cycle(1.0, LONG).clip(min=0.01),
        lr.step_decay(0.1, 0.999, 1000),
        lr.cyclic_polynomial(0.1, 0.0, 1000, 0.9),
        lr.Linear(0.0, 1.0, 12_345) >> 0.5 * lr.sgdr(1.0, 0.1, 777).shift(100) + 0.25,
        lr.wsd(1.0, 1000, LONG, LONG // 10),
    ],
    ids=repr,
)
def test_the_survey_of_long_runs(schedule):
    check_survey(schedule, LONG)


@pytest.mark.parametrize(
    ("schedule", "total", "highest"),
    [
        # sum of (1 - t/N) over [0, N) is (N + 1) / 2; of sin**2 steps over [0, N) it is (N + 1) / 2 too
        (lr.Linear(1.0, 0.0, 2**53 - 1), 2**52, (1.0, 0)),
        (lr.Cosine(1.0, 0.0, 2**52), 2**51 + 0.5, (1.0, 0)),
        (lr.Linear(1.0, 0.0, 2**10).shift(-(2**40)), 2**40 + 512.5, (1.0, 0)),
        (lr.Cycle(lr.Linear(1.0, 0.0, 1000), 1000), 500.5 * (2**53 // 1000) + 991 - 495.495, (1.0, 0)),
        (lr.ExponentialDecay(1.0, 0.5), 2.0, (1.0, 0)),
    ],
    ids=repr,
)
def test_the_survey_of_all_steps_there_are(schedule, total, highest):
    survey = Survey(schedule, 2**53 - 1)
    assert survey.total == pytest.approx(total, rel=1e-12)
    assert survey.highest == highest
    assert not survey.is_sampled


def test_a_long_run_of_short_waves_is_sampled_and_says_so():
    schedule = lr.triangular(0.1, 1.0, 250, mode="exp_range", decay_rate=0.9999999999)
    survey = Survey(schedule, 10**9)
    assert survey.is_sampled
    assert survey.total == pytest.approx(5.28e8, rel=0.01)  # 0.1 + 0.45 * (1 - exp(-0.1)) / 0.1
    assert survey.highest.step == 250


# ---- Jumps ----


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (lr.Piecewise([4, 8], [1.0, 0.05, 0.04]), [(4, 1.0, 0.05)]),
        (lr.Piecewise([4, 8], [0.01, 1.0, 0.2]), [(4, 0.01, 1.0)]),
        (lr.Piecewise([4], [1.0, 0.0]), [(4, 1.0, 0.0)]),
        (lr.Piecewise([4], [1.0, -1.0]), [(4, 1.0, -1.0)]),
        (lr.ExponentialDecay(1.0, 0.05), [(1, 1.0, 0.05)]),
        (lr.Linear(0.001, 0.1, 9), []),
        (lr.Piecewise([4, 5], [0.1, 9.0, 0.1]), [(4, 0.1, 9.0), (5, 9.0, 0.1)]),
        (lr.sgdr(1.0, 0.01, 8), [(8, 0.01 + 0.99 * math.sin(math.pi / 16) ** 2, 1.0)]),
        (lr.Cosine(1.0, 0.0, 4), []),
        (lr.Linear(0.0, 1.0, 4), []),
        (lr.warmup_cosine(1.0, 0.0, 3, 9), []),
        (lr.Polynomial(1.0, 0.0, 9, power=10.0), []),
    ],
    ids=repr,
)
def test_jumps_by_hand(schedule, wanted):
    assert Survey(schedule, 12).jumps == [pytest.approx(jump) for jump in wanted]


def test_jumps_are_found_in_rough_ranges():
    table = np.linspace(1.0, 0.9, 100_000)
    table[70_000] = 0.01
    assert Survey(lr.Table(table), 10**6).jumps == [(70_000, table[69_999], 0.01), (70_001, 0.01, table[70_001])]
    assert Survey(lr.sgdr(1.0, 0.01, 100), 10**6).jumps[0].step == 100


@pytest.mark.parametrize("factor", [1.5, 10.0, 1e6])
@pytest.mark.parametrize("signs", [[1.0], [1.0, -1.0]])
def test_jumps_of_a_rough_range_are_those_of_a_loop(signs, factor):
    """Values of all sizes and signs, factors from next to nothing to far beyond what is asked for."""
    generator = np.random.default_rng(7)
    values = 10.0 ** generator.uniform(-4.0, 0.0, 3000) * generator.choice(signs, 3000)
    values[generator.integers(0, 3000, 300)] = 0.0
    survey = Survey(lr.Table(values), 3000, jump=factor)
    assert [piece.form for piece in survey.pieces][:1] == [ROUGH]
    found, least = [], 0.01 * max(map(abs, values))
    for step in range(1, 3000):
        before, at = values[step - 1], values[step]
        apart = min(abs(before), abs(at)) * factor <= max(abs(before), abs(at)) or before * at < 0.0
        nearby = (before - values[max(step - 2, 0)], values[min(step + 1, 2999)] - at)
        on_the_way = any(math.copysign(1.0, at - before) * change >= 0.25 * abs(at - before) for change in nearby)
        if apart and abs(at - before) >= least and not on_the_way:
            found.append((step, before, at))
    assert survey.jumps == found
    assert len(found) > 100
