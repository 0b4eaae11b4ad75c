"""The range test and its stop rule."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore.finder import RangeTest, Watch

NAN, INF = math.nan, math.inf


# ---- Rates ----


@pytest.mark.parametrize("spacing", ["exponential", "linear"])
@pytest.mark.parametrize("ends", [(1e-7, 10.0), (0.03, 0.7), (1e-100, 1e100)])
@pytest.mark.parametrize("steps", [2, 3, 100, 777])
def test_rates(ends, steps, spacing):
    test = RangeTest(*ends, steps, spacing=spacing)
    lrs = test.lrs
    assert (lrs[0], lrs[-1], lrs.shape, lrs.dtype) == (*ends, (steps,), np.float64)
    wanted = np.geomspace(*ends, steps) if spacing == "exponential" else np.linspace(*ends, steps)
    np.testing.assert_allclose(lrs, wanted, rtol=1e-12)
    assert (np.diff(lrs) > 0).all()


def test_the_schedule_is_an_ordinary_one():
    schedule = RangeTest(0.1, 0.4, 4).schedule
    assert schedule == lr.Exponential(0.1, 0.4, 3)
    assert schedule(3) == schedule(99) == 0.4


def test_it_is_a_value():
    test = RangeTest(steps=50)
    assert test == RangeTest(1e-7, 10, 50) != RangeTest()
    assert pickle.loads(pickle.dumps(test)) == replace(test) == test
    assert hash(test) == hash(RangeTest(steps=50))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"start_lr": 0.0}, ValueError, r"RangeTest\.start_lr: expected a number > 0, got 0\.0"),
        ({"start_lr": NAN}, ValueError, r"RangeTest\.start_lr: expected a finite number, got nan"),
        ({"start_lr": "1"}, TypeError, r"RangeTest\.start_lr: expected a number, got '1'"),
        ({"end_lr": 1e-7}, ValueError, r"RangeTest\.end_lr: expected a number > start_lr=1e-07, got 1e-07"),
        ({"steps": 1}, ValueError, r"RangeTest\.steps: expected a whole number of updates, an int >= 2, got 1"),
        ({"steps": 2.0}, TypeError, r"RangeTest\.steps: .*, got 2\.0 \(float\): did you mean 2\?"),
        ({"spacing": "log"}, ValueError, r"RangeTest\.spacing: expected 'exponential' or 'linear', got 'log'"),
        ({"stop_factor": 1.0}, ValueError, r"RangeTest\.stop_factor: expected a number > 1, or None, got 1\.0"),
        ({"stop_factor": True}, TypeError, r"RangeTest\.stop_factor: expected a number, got True"),
    ],
)
def test_refusals(fields, error, message):
    with pytest.raises(error, match=message):
        RangeTest(**fields)


# ---- The stop rule ----


def stop(losses, steps, factor):
    """Where one run stops, as the documentation has it; None if it does not."""
    for at, loss in enumerate(losses):
        if not math.isfinite(loss):
            return at
        before = losses[:at]
        if at < 5 or factor is None:
            continue
        some = sorted(before[: max(5, math.ceil(steps / 10))])
        initial, best = some[(len(some) - 1) // 2], min(before)
        with np.errstate(over="ignore"):
            noise = np.abs(np.array(some) - initial).mean()
        size = max(abs(initial), initial - best)
        if size > 0 and sorted(losses[at - 4 : at + 1])[2] > initial + max((factor - 1) * size, 8 * noise):
            return at
    return None


any_losses = st.lists(
    st.one_of(
        st.floats(-5, 5), st.sampled_from([0.0, 1.0, 4.0, 4.1, NAN, INF, -INF, 1e308, -1e308, 5e-324]), st.floats()
    ),
    max_size=30,
)


@given(
    st.lists(any_losses, min_size=1, max_size=4), st.sampled_from([2, 20, 50, 300]), st.sampled_from([4.0, 1.5, None])
)
@settings(max_examples=300, deadline=None)
def test_runs_stop_where_the_rule_says(runs, steps, factor):
    n = min(map(len, runs))
    runs = [run[:n] for run in runs]
    stops = [stop(run, steps, factor) for run in runs]
    last = None if None in stops else max(stops)
    watch, told = RangeTest(steps=steps, stop_factor=factor).watch(len(runs)), []
    for at in range(n):
        told.append(watch.observe([run[at] for run in runs]))
        assert watch.running.tolist() == [one is None or at < one for one in stops]
    assert told == [last is not None and at >= last for at in range(n)]
    for run, row, one in zip(runs, watch.losses.tolist(), stops, strict=True):
        ended = n if one is None else one + 1
        np.testing.assert_array_equal(row, [*run[:ended], *[NAN] * (n - ended)])


@pytest.mark.parametrize(
    ("losses", "stopped"),
    [
        ([2.0] * 100, False),
        ([2.0, NAN], True),
        ([2.0, INF], True),
        ([NAN], True),
        ([2.0] * 20 + [0.0] + [2.0] * 20, False),  # 4 * best would be 0
        ([0.0] * 50, False),
        ([0.0] * 20 + [0.1], False),  # as nothing says what is much
        ([-1.0] * 20 + [-2.0] * 20 + [-1.0] * 20, False),  # -1 > 4 * -2
        ([-1.0] * 20 + [2.0], False),
        ([-1.0] * 20 + [2.1] * 2 + [-1.0] * 2 + [2.1], True),
        ([2.0] * 20 + [8.0] * 9, False),
        ([2.0] * 20 + [8.1] * 2, False),  # two of five
        ([2.0] * 20 + [8.1] * 3, True),
        ([2.0] * 20 + [1e9, 1e9] + [2.0] * 20, False),
        ([1.0, 3.0] * 10 + [8.9] * 9, False),  # 1 + 8, as they differ by 1 from 1 on average
        ([1.0, 3.0] * 10 + [9.1] * 3, True),
        ([2.0, 7.9, 1.0, 2.0, 3.0], False),
        ([2.0, 1e3, 1e6, 1e9, INF], True),
    ],
)
def test_what_stops(losses, stopped):
    watch = RangeTest().watch()
    assert [watch.observe(loss) for loss in losses] == [False] * (len(losses) - 1) + [stopped]


def test_losses_may_be_of_any_numeric_type():
    watch = Watch(100, runs=2)
    for losses in ([2, 3], (2.0, np.float32(3.0)), np.array([2.0, 3.0], np.float16)):
        assert not watch.observe(losses)
    assert watch.losses.tolist() == [[2.0] * 3, [3.0] * 3]
    assert not Watch(100).observe(np.float32(1.0))
    assert not Watch(100).observe(np.array([1.0]))


def test_what_is_watched_is_a_loss_for_each_run():
    watch = RangeTest().watch(2)
    for losses in (1.0, [1.0] * 3, [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"Watch\.observe: expected 2 losses, got shape"):
            watch.observe(losses)
    with pytest.raises(TypeError, match=r"Watch\.observe: expected real numbers, got an array of <U1"):
        watch.observe(["1", "2"])
    with pytest.raises(ValueError, match=r"Watch\.runs: expected a number of runs, an int >= 1, got 0"):
        RangeTest().watch(0)
    assert watch.losses.shape == (2, 0)


NOISES = {
    "a normal batch": lambda random, n: np.abs(1.0 + 0.3 * random.normal(size=n)),
    "few examples": lambda random, n: np.exp(0.8 * random.normal(size=n)),
    "squares of four": lambda random, n: (random.normal(size=(n, 4)) ** 2).mean(1),
    "single squares": lambda random, n: random.normal(size=n) ** 2,
    "mostly learned": lambda random, n: np.where(random.random(n) < 0.5, 0.0, random.exponential(size=n)),
}


@pytest.mark.parametrize("kind", NOISES)
def test_losses_that_only_vary_hardly_ever_stop_a_test(kind):
    """Of 200 runs of 140 losses; a rule for single losses stops 76 to 200 of all but the first kind."""
    watch, random = RangeTest(1e-6, 10.0, 200).watch(200), np.random.default_rng(0)
    for losses in np.stack([NOISES[kind](random, 140) for _ in range(200)], axis=1):
        watch.observe(losses)
    assert watch.running.mean() >= 0.97
