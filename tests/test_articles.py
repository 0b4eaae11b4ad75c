"""The systems of the articles that lrcore grew from, in their own numbers."""

import math

import numpy as np
import pytest

import lrcore as lr
from oracles import EXACT, mpf, ulps_between


def assert_within(ulps, got, exact):
    """A table of floats is within some ulps of real numbers."""
    for step, (value, real) in enumerate(zip(got.tolist(), exact, strict=True)):
        assert ulps_between(value, real) <= ulps, f"at {step}"


# --- A: three decays for an image classifier, over 10 epochs


def step_decay():
    return lr.step_decay(0.001, 0.5, 5).shift(1)


def test_a_step_decay():
    """0.001 * 0.5**floor((1+e)/5): drops at e = 4, 9, 14."""
    by_hand = [0.001 * 0.5 ** ((1 + epoch) // 5) for epoch in range(40)]
    assert step_decay().table(40).tolist() == by_hand
    drops = np.flatnonzero(np.diff(step_decay().table(16))) + 1
    assert drops.tolist() == [4, 9, 14]
    assert step_decay().table(10).tolist() == [0.001] * 4 + [0.0005] * 5 + [0.00025]


def test_a_step_decay_is_a_staircase():
    assert (
        lr.ExponentialDecay(0.001, 0.5, 5).staircase(5).shift(1).table(40).tolist() == step_decay().table(40).tolist()
    )


def test_a_warm_up():
    """Five epochs up to 0.001, and then the step decay from its own beginning."""
    warm = step_decay().warmup(5)
    assert_within(2, warm.table(6), [mpf(k) / 5 * mpf(0.001) for k in range(6)])
    assert warm.table(4).tolist() == sorted(set(warm.table(4).tolist()))
    assert warm(0) == 0.0
    assert warm.table(20, start=5).tolist() == step_decay().table(20).tolist()
    assert warm.table(25).max() == 0.001


def test_a_warm_up_as_its_prose_has_it():
    """0.0001, 0.0003, 0.0005, 0.0007, 0.0009, 0.001, 0.0005: five steps of 0.0002, and then the decay."""
    rise = lr.Linear(0.0001, 0.0011, 5)
    warm = lr.Sequence([(rise, 5), step_decay().shift(3)])
    assert_within(2, warm.table(5), [mpf(k) / 10_000 for k in (1, 3, 5, 7, 9)])
    assert warm.table(2, start=5).tolist() == [0.001, 0.0005]


def test_a_exponential():
    """0.001 * exp(-0.2*(e+1)): 0.00081873... first."""
    decay = lr.NaturalExpDecay(0.001, 0.2).shift(1)
    assert_within(8, decay.table(40), [mpf(0.001) * EXACT.exp(-mpf(0.2) * (epoch + 1)) for epoch in range(40)])
    assert f"{decay(0):.8f}" == "0.00081873"


def test_a_cyclic_polynomial():
    """(0.001-0.00001) * (1-g/10)**0.5 + 0.00001 with g = e mod 10; the end value itself is never used."""
    cycle = lr.cyclic_polynomial(0.001, 0.00001, 10, 0.5)
    first, end = mpf(0.001), mpf(0.00001)
    exact = [(first - end) * EXACT.sqrt(1 - mpf(epoch % 10) / 10) + end for epoch in range(40)]
    assert_within(2, cycle.table(40), exact)
    assert cycle(np.array([0, 10, 20, 30])).tolist() == [0.001] * 4
    assert cycle.table(1000).min() > 0.0003
    assert cycle.table(10).tolist() == sorted(cycle.table(10).tolist(), reverse=True)


# --- B: restarts


def test_b_cosine_over_200_iterations():
    decay = lr.Cosine(0.01, 0.0001, 200)
    assert decay(0) == 0.01
    assert decay(100) == pytest.approx(0.00505, rel=4e-16)
    assert decay(200) == decay(201) == 0.0001


def test_b_restarts_every_100():
    schedule, once = lr.sgdr(0.01, 0.0001, 100), lr.Cosine(0.01, 0.0001, 100)
    assert schedule.table(500).tolist() == once.table(100).tolist() * 5
    restarts = np.flatnonzero(np.diff(schedule.table(500)) > 0) + 1
    assert restarts.tolist() == [100, 200, 300, 400]


def test_b_cycles_that_double():
    """100, 200, 400, 800: restarts at 100, 300, 700, 1500."""
    schedule = lr.sgdr(0.01, 0.0001, 100, period_mult=2)
    table = schedule.table(1501)
    assert (np.flatnonzero(np.diff(table) > 0) + 1).tolist() == [100, 300, 700, 1500]
    assert table[[0, 100, 300, 700, 1500]].tolist() == [0.01] * 5
    assert table[700:1500].tolist() == lr.Cosine(0.01, 0.0001, 800).table(800).tolist()


@pytest.mark.parametrize("period_mult", [1.1, 1.5, 3])
def test_b_any_multiplier(period_mult):
    table = lr.sgdr(0.01, 0.0001, 10, period_mult=period_mult).table(200)
    begins = {
        1.1: [10, 21, 33, 46, 61, 77, 95, 114, 136, 159, 185],
        1.5: [10, 25, 48, 81, 132],
        3: [10, 40, 130],
    }
    assert (np.flatnonzero(np.diff(table) > 0) + 1).tolist() == begins[period_mult]


# --- C: piecewise constant in TF1


def test_c_a_boundary_belongs_to_the_old_value():
    """Steps 1 to 5 give 0.1, 6 to 10 0.05, 11 to 15 0.01, from 16 on 0.001."""
    schedule = lr.Piecewise([5, 10, 15], [0.1, 0.05, 0.01, 0.001], side="left")
    assert schedule.table(20, start=1).tolist() == [0.1] * 5 + [0.05] * 5 + [0.01] * 5 + [0.001] * 5
    printed = [f"step {step}, lr = {schedule(step):.3f}" for step in (1, 6, 11, 16)]
    assert printed == [
        "step 1, lr = 0.100",
        "step 6, lr = 0.050",
        "step 11, lr = 0.010",
        "step 16, lr = 0.001",
    ]


def test_c_a_long_run():
    schedule = lr.Piecewise([2000, 6000], [0.1, 0.05, 0.01], side="left")
    assert schedule(np.array([1, 2000, 2001, 6000, 6001, 100_000])).tolist() == [
        0.1,
        0.1,
        0.05,
        0.05,
        0.01,
        0.01,
    ]


# --- D: dynamic rates, and finding the first one


def test_d_a_rate_that_shrinks_by_a_hundredth():
    decay = lr.ExponentialDecay(0.2, 0.99)
    assert_within(8, decay.table(15), [mpf(0.2) * mpf(0.99) ** epoch for epoch in range(15)])


def test_d_hold_for_ten_epochs_and_then_decay():
    """`scheduler(epoch, lr)`: lr for ten epochs, then times exp(-0.1) in each; 15 epochs."""
    schedule = lr.Sequence([(lr.Constant(0.01), 10), lr.NaturalExpDecay(0.01, 0.1).shift(1)])
    assert schedule.table(10).tolist() == [0.01] * 10
    assert_within(8, schedule.table(5, start=10), [mpf(0.01) * EXACT.exp(-mpf(0.1) * k) for k in range(1, 6)])
    steps = schedule.table(6, start=9)
    assert np.log(steps[:-1] / steps[1:]) == pytest.approx([0.1] * 5, rel=1e-13)


def test_d_the_ramp_of_a_range_test():
    """start*(end/start)**(t/max_steps) with 1e-7, 10 and 100: 101 batches."""
    ramp = lr.Exponential(1e-7, 10.0, 100)
    start, end = mpf(1e-7), mpf(10)
    assert_within(8, ramp.table(101), [start * (end / start) ** (mpf(t) / 100) for t in range(101)])
    assert (ramp(0), ramp(100)) == (1e-7, 10.0)
    assert abs(ramp(50) - 1e-3) <= 2 * math.ulp(1e-3)
