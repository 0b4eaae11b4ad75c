"""Replanning: rows computed by hand, what is said, and what is refused."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import lrcore as lr
from lrcore.replanning import JumpWarning, jump_at, replan
from replans import KEEPS, quietly

# ---- Rows by hand ----


def test_a_line_that_is_made_longer():
    made = replan(lr.Linear(1.0, 0.0, 4), 2, 6)
    assert made == lr.Sequence([(lr.Linear(1.0, 0.0, 4), 2), lr.Linear(0.5, 0.0, 4)])
    assert made.table(8).tolist() == [1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0, 0.0]


def test_a_line_that_is_made_shorter():
    assert replan(lr.Linear(1.0, 0.0, 8), 4, 6).table(7).tolist() == [1.0, 0.875, 0.75, 0.625, 0.5, 0.25, 0.0]


def test_a_changed_horizon_jumps_and_says_so():
    with pytest.warns(JumpWarning, match=r"^replan: the value jumps at step 4 from 0\.5 to 0\.75 \(x 1\.5\)$"):
        made = replan(lr.Linear(1.0, 0.0, 8), 4, 16, "position")
    assert made.table(7).tolist() == [1.0, 0.875, 0.75, 0.625, 0.75, 0.6875, 0.625]
    assert made.table(4, 14).tolist() == [0.125, 0.0625, 0.0, 0.0]


def test_a_cosine_after_its_warmup():
    """From the middle, at half of the height: a cosine over 3 has (1 + cos(pi/3)) / 2 = 3/4 after one third."""
    schedule = lr.warmup_cosine(1.0, 0.0, 2, 4)
    made = replan(schedule, 3, 5)
    np.testing.assert_allclose(made.table(7), [0, 0.5, 1.0, 0.5, 0.5 / 0.75 * 0.25, 0, 0], rtol=1e-15)
    np.testing.assert_allclose(replan(schedule, 3, 5, "position").table(7), [0, 0.5, 1, 0.75, 0.25, 0, 0], rtol=1e-15)


def test_a_warmup_in_progress_goes_on_to_the_same_peak():
    schedule = lr.warmup_cosine(1.0, 0.0, 4, 12)
    made = replan(schedule, 2, 24)
    assert made == lr.Sequence([(lr.Linear(0.0, 1.0, 4), 2), (lr.Linear(0.5, 1.0, 6), 6), lr.Cosine(1.0, 0.0, 16)])
    np.testing.assert_allclose(made.table(9), [0, 0.25, *(0.5 + step / 12 for step in range(7))], rtol=1e-15)


def test_the_plateau_of_a_stable_run_becomes_longer():
    schedule = lr.wsd(1.0, 2, 12, 4)  # rise to 2, stable to 8, decay to 12
    by_value = replan(schedule, 6, 22)  # from 2 on, everything takes twice as long
    assert by_value == lr.Sequence([(lr.Linear(0.0, 1.0, 2), 2), (lr.Linear(1.0, 1.0, 12), 12), lr.Linear(1.0, 0.0, 8)])
    assert replan(schedule, 6, 22, "position") == by_value
    by_shape = replan(schedule, 6, 24, "shape")  # from 6 on, three times: 2 of the plateau are left, and 4 of decay
    assert by_shape == lr.Sequence(
        [(lr.Linear(0.0, 1.0, 2), 2), (lr.Linear(1.0, 1.0, 10), 10), lr.Linear(1.0, 0.0, 12)]
    )


def test_a_shorter_run_that_would_be_past_its_plateau_by_then_shares_out_what_is_left():
    schedule = lr.wsd(1.0, 2, 22, 10)  # stable to 12
    made = replan(schedule, 10, 16)  # planned so from 2 on, it would have been stable to 9; 2 and 10 updates were left
    assert made.table(18).tolist() == [0.0, 0.5, *[1.0] * 9, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0]


def test_a_shorter_run_that_would_be_past_its_warmup_by_then_still_comes_to_the_peak():
    schedule = lr.warmup_cosine(1.0, 0.0, 10, 60)
    made = replan(schedule, 5, 27)  # planned so from 0 on, the warm-up would have ended at 4.5; 5 and 50 were left
    assert made == lr.Sequence([(lr.Linear(0.0, 1.0, 10), 5), (lr.Linear(0.5, 1.0, 2), 2), lr.Cosine(1.0, 0.0, 20)])


def test_from_the_first_step_on_it_is_the_new_plan():
    schedule = lr.warmup_cosine(1.0, 0.0, 10, 100)
    for keep in KEEPS:
        assert replan(schedule, 0, 300, keep) == lr.warmup_cosine(1.0, 0.0, 30, 300)


def test_drops_move_with_the_run_and_stay_a_piecewise_constant():
    schedule = lr.Piecewise([30, 60], [1.0, 0.1, 0.01])
    assert replan(schedule, 40, 150, n=90) == lr.Piecewise([30, 90], [1.0, 0.1, 0.01])
    assert replan(schedule, 40, 190, "shape", n=90) == lr.Piecewise([30, 100], [1.0, 0.1, 0.01])


def test_cycles_that_are_done_stay_and_those_to_come_are_as_many_and_longer():
    schedule = lr.Cycle(lr.Linear(1.0, 0.0, 4), 4, count=5)
    made = replan(schedule, 8, 32)  # three cycles of 8 updates
    assert made.table(33).tolist() == [*[1.0, 0.75, 0.5, 0.25] * 2, *[1 - step / 8 for step in range(8)] * 3, 0.0]


def test_within_a_cycle_only_that_cycle_starts_lower():
    schedule = lr.Cycle(lr.Linear(1.0, 0.0, 4), 4)
    made = replan(schedule, 6, 20, n=12)  # the second cycle, from 4 on, becomes 8 long: 6 are left, from 0.5
    assert made.table(20).tolist() == pytest.approx(
        [
            1.0,
            0.75,
            0.5,
            0.25,
            1.0,
            0.75,
            *(0.5 - step / 12 for step in range(6)),
            *(1 - step / 8 for step in range(8)),
        ],
        rel=1e-15,
    )
    assert made(20) == 1.0


@pytest.mark.parametrize("at", range(1, 24))
def test_a_triangle_goes_on_with_the_leg_that_it_is_in(at):
    schedule, leg = lr.triangular(0.5, 1.5, 4), at // 4 * 4
    made = replan(schedule, at, leg + 2 * (24 - leg), n=24)
    slope = (schedule(leg + 4) - schedule(at)) / (leg + 8 - at)
    rest = [schedule(at) + slope * step for step in range(leg + 8 - at)]
    twice = [schedule(leg + 4 + step // 2) / 2 + schedule(leg + 4 + (step + 1) // 2) / 2 for step in range(60)]
    expected = [*schedule.table(at), *rest, *twice][: 49 - leg]
    np.testing.assert_allclose(made.table(49 - leg), expected, rtol=1e-14)
    mirrored = replan(lr.Cycle(lr.Linear(0.5, 1.5, 4), 4, mirror=True), at, leg + 2 * (24 - leg), n=24)
    np.testing.assert_allclose(made.table(60), mirrored.table(60), rtol=1e-14)


def test_a_multiplier_that_is_done_stays_done():
    warmup = lr.Linear(0.0, 1.0, 10) >> lr.Constant(1.0)
    made = replan(warmup * lr.Linear(1.0, 0.0, 100), 50, 150)
    assert made == warmup * lr.Sequence([(lr.Linear(1.0, 0.0, 100), 50), lr.Linear(0.5, 0.0, 100)])


def test_a_multiplier_in_progress_and_the_decay_each_go_on_from_where_they_are():
    made = replan((lr.Linear(0.0, 1.0, 10) >> lr.Constant(1.0)) * lr.Linear(2.0, 0.0, 100), 5, 200)
    rise = lr.Sequence([(lr.Linear(0.0, 1.0, 10), 5), (lr.Linear(0.5, 1.0, 15), 15), lr.Constant(1.0)])
    assert made == rise * lr.Sequence([(lr.Linear(2.0, 0.0, 100), 5), lr.Linear(1.9, 0.0, 195)])


def test_scales_and_clips_stay_outside():
    schedule = (0.5 * lr.Linear(1.0, 0.0, 4)).clip(min=0.1)
    inner = lr.Sequence([(lr.Linear(1.0, 0.0, 4), 2), lr.Linear(0.5, 0.0, 4)])
    assert replan(schedule, 2, 6) == (0.5 * inner).clip(min=0.1)


def test_a_function_of_values_stays_outside():
    schedule = lr.Map(lr.Linear(1.0, 0.0, 4), "power", 2.0)
    inner = lr.Sequence([(lr.Linear(1.0, 0.0, 4), 2), lr.Linear(0.5, 0.0, 4)])
    assert replan(schedule, 2, 6) == lr.Map(inner, "power", 2.0)
    assert replan(schedule.stretch(2), 4, 12).table(14)[4:].tolist() == [(0.5 - k / 16) ** 2 for k in range(9)] + [0.0]


def test_an_exponential_decay_stays_one():
    made = replan(lr.ExponentialDecay(1.0, 0.5, 4), 4, 12, n=8)  # 0.5 at 4, and 0.25 at 12 instead of at 8
    decays = [(lr.ExponentialDecay(1.0, 0.5, 4), 4), (lr.ExponentialDecay(0.5, 0.5, 8), 8)]
    assert made == lr.Sequence([*decays, lr.Constant(0.25)])


def test_a_table_is_repeated_or_thinned_out():
    made = replan(lr.Table([5.0, 4.0, 3.0, 2.0, 1.0]), 2, 8, "shape")
    assert made.table(9).tolist() == [5.0, 4.0, 3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1.0]


def test_stairs_become_longer():
    with pytest.warns(JumpWarning, match="step 6"):
        made = replan(lr.Linear(1.0, 0.0, 8).staircase(2), 6, 16, "position")
    assert made.table(18).tolist() == [1.0, 1.0, 0.75, 0.75, 0.5, 0.5, *[0.75] * 2, *[0.5] * 4, *[0.25] * 4, 0.0, 0.0]


def test_a_run_that_is_over_can_be_planned_anew():
    with pytest.warns(JumpWarning, match=r"step 4 from 0 to 0\.5$"):
        made = replan(lr.Linear(1.0, 0.0, 4), 4, 8, "position")
    assert made.table(9).tolist() == [1.0, 0.75, 0.5, 0.25, 0.5, 0.375, 0.25, 0.125, 0.0]


def test_a_constant_has_no_length_to_change():
    assert replan(lr.Constant(0.1), 5, 10) == lr.Constant(0.1)


# ---- What is said ----


def test_a_boundary_that_is_rounded_is_said():
    with pytest.warns(lr.RoundingWarning, match=r"^replan rounds the end of a phase at 8 to 17 \(16\.6666666667\)$"):
        made = replan(lr.wsd(1.0, 2, 11, 3), 4, 24)
    assert made(17) == 1.0
    assert made(18) < 1.0
    assert made.length == 24


def test_a_place_that_is_rounded_far_out_is_said_to_its_last_digits():
    schedule = lr.Linear(0.0, 1.0, 390_625) >> lr.Linear(1.0, 0.0, 609_375)
    with pytest.warns(lr.RoundingWarning, match=r"at 390625 to 488281 \(488281\.25\)$"):
        replan(schedule, 10, 1_250_000)


def test_warnings_point_to_the_caller():
    with pytest.warns(JumpWarning) as caught:
        lr.Linear(1.0, 0.0, 8).replan(4, 16, "position")
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("old", "new", "step", "is_real"),
    [
        (lr.Linear(1.0, 0.0, 10), lr.Linear(1.0, 0.0, 10), 5, False),
        (lr.Linear(1.0, 0.0, 10), lr.Linear(1.05, 0.05, 10), 5, False),  # half of a step
        (lr.Linear(1.0, 0.0, 10), lr.Linear(1.2, 0.2, 10), 5, True),
        (lr.Linear(1.0, 0.0, 10), lr.Linear(1.2, 0.2, 10), 0, True),
        (lr.Constant(1.0), lr.Constant(1.0 + 2**-52), 5, False),  # rounding
        (lr.Constant(1.0), lr.Constant(1.01), 5, True),
        (lr.Piecewise([5], [1.0, 0.1]), lr.Constant(1.0), 5, False),  # the old one jumps itself
    ],
)
def test_a_jump_is_more_than_the_old_schedules_own_step(old, new, step, is_real):
    assert jump_at(old, new, step).is_real is is_real


def test_a_jump_as_data():
    jump = jump_at(lr.Linear(1.0, 0.0, 4), lr.Linear(1.0, 0.0, 8), 2)
    assert jump.to_dict() == {
        "step": 2,
        "old_value": 0.5,
        "new_value": 0.75,
        "own_step": 0.25,
        "factor": 1.5,
        "is_real": False,
    }
    assert jump_at(lr.Constant(0.0), lr.Constant(1.0), 2).to_dict()["factor"] is None


def test_a_bound_schedule_still_knows_its_epochs():
    schedule = lr.Linear(1.0, 0.0, "4ep").bind(steps_per_epoch=10)
    assert replan(schedule, 20, 80).steps_per_epoch == 10


# ---- Refusals ----

LINE = lr.Linear(1.0, 0.0, 10)


@pytest.mark.parametrize(
    ("schedule", "arguments", "message"),
    [
        (LINE, (-1, 20), r"^replan\.at: expected a whole number of updates, an int >= 0, got -1"),
        (LINE, (5, 0), r"^replan\.total_steps: expected a whole number of updates, an int >= 1, got 0"),
        (LINE, (5, 5), r"^replan\.total_steps: expected more than the 5 updates that are done, got 5"),
        (LINE, (5, 4, "position"), r"^replan\.total_steps: expected more than the 5 updates that are done, got 4"),
        (LINE, (5, 20, "valeu"), r"^replan\.keep: expected 'value', 'position' or 'shape', got 'valeu': did you mean"),
        (LINE, (10, 20), r"^replan\.at: expected a step before the end of the run at 10, got 10, .* keep='position'"),
        (LINE, (15, 20, "shape"), r"^replan\.at: expected a step before the end of the run at 10, got 15"),
        (lr.Constant(0.1).warmup(100), (550, 800), r"^replan\.at: .* the run at 100, got 550, .* say by n= how long"),
        (
            lr.sgdr(1, 0, 10),
            (5, 20),
            r"^replan\.n: expected the length of the run as it was planned, since Cycle",
        ),
        (
            lr.Table([0.5, 0.9, 0.7, 0.5]),
            (1, 9),
            r"^replan\.keep: expected 'position' or 'shape', since .* end of its phase \(0\.5\) .* from 0\.9, got",
        ),
        (
            lr.Table([0.2, 0.9, 0.5]),
            (1, 6),
            r"^replan\.keep: expected 'position' or 'shape', since .* from 0\.2 .* to 0\.5 .* from 0\.9 .* upside down",
        ),
        (
            lr.Table([0.5, 0.9, 1.0, 0.0, 0.5]),
            (2, 9),
            r"^replan\.keep: expected 'position' or 'shape', since keeping the value would take this phase to ",
        ),
    ],
)
def test_refusals(schedule, arguments, message):
    with pytest.raises(ValueError, match=message):
        quietly(schedule, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((True, 20), r"^replan\.at: expected a whole number of updates, an int >= 0, got True \(bool\)"),
        ((2.0, 20), r"^replan\.at: expected a whole number"),
        ((2, 20.0), r"^replan\.total_steps: expected a whole number"),
        ((2, 20, 3), r"^replan\.keep: expected 'value', 'position' or 'shape', got 3 \(int\)"),
    ],
)
def test_refusals_of_types(arguments, message):
    with pytest.raises(TypeError, match=message):
        replan(LINE, *arguments)


def test_cycles_that_are_squeezed_to_less_than_an_update_have_no_phases():
    schedule = lr.Stretch(lr.Cycle(lr.Linear(1.0, 0.5, 1), 1, value_mult=1.01), 0.25)
    assert quietly(schedule, 1, 20, n=10)(1) == schedule(1)


def test_a_plan_that_no_schedule_can_hold_is_refused():
    steep = lr.Sum([lr.ExponentialDecay(-1.0, 1e99).staircase(25), lr.Constant(1e100)])
    with pytest.raises(
        ValueError, match=r"^replan\.total_steps: expected a plan that a schedule can hold, got Constant"
    ):
        quietly(steep, 30, 477, n=100)


def test_phases_of_shrinking_cycles_that_are_stretched_are_found_at_once():
    schedule = (
        "Stretch(Shift(Cycle(ExponentialDecay(0.0, 0.9, 10), 7, period_mult=2, value_mult=0.5, count=3), -50), 3.0)"
    )
    code = f"from lrcore import *\n{schedule}.replan(at=355, total_steps=2355, keep='position', n=500)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=20)


def test_an_unbound_schedule_is_refused():
    with pytest.raises(ValueError, match="bind"):
        replan(lr.Linear(1.0, 0.0, "4ep"), 20, 80)


def test_nothing_left_after_the_planned_end_of_a_later_phase_is_refused():
    with pytest.raises(ValueError, match=r"^replan\.n: expected a run that ends within or after the phase in progress"):
        replan(lr.Linear(0.0, 1.0, 10) >> lr.Linear(1.0, 0.0, 10), 15, 40, "position", n=5)


def test_exact_places():
    """A boundary comes to stand where its share of what is left puts it, half up, however large the numbers."""
    far = 2**40
    schedule = lr.Sequence([(lr.Linear(1.0, 0.5, far), far), lr.Linear(0.5, 0.0, far + 1)])
    made = quietly(schedule, 10, 3 * far, "position")
    exact = Fraction(far * 3 * far, 2 * far + 1)
    assert made.parts[1][1] + 10 == round(exact)
    assert made.length == 3 * far
