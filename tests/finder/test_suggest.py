"""What curves suggest: laws, curves whose answer is known, and the marks against plain loops."""

import json
import math
import re
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from loss_curves import TEST, bowl
from lrcore import _curvefeatures as curve
from lrcore.finder import ADVICE, PUBLISHED, RULES, RangeTest, suggest

NAN, INF = math.nan, math.inf


def told(found):
    """Everything that a suggestion says."""
    return found.to_dict() | {"votes": None}


# ---- Whatever comes ----

losses = st.one_of(
    st.floats(0, 5), st.floats(), st.sampled_from([0.0, NAN, INF, -INF, 1e308, -1e308, 5e-324, -5e-324, 2.0])
)
tests = st.builds(
    RangeTest,
    st.sampled_from([1e-7, 1e-3]),
    st.just(10.0),
    st.integers(2, 60),
    spacing=st.sampled_from(["linear", "exponential"]),
)


@st.composite
def runs_of_tests(draw):
    test = draw(tests)
    return test, draw(st.lists(st.lists(losses, max_size=test.steps + 1), min_size=1, max_size=4))


@given(runs_of_tests(), st.sampled_from(["committee", "min", "drop50-rise", "ignite", "fastai-slide"]))
@settings(max_examples=200, deadline=None)
def test_any_losses(given_runs, rule):
    test, runs = given_runs
    found = suggest(test.lrs, runs, rule=rule)
    assert found.verdict in ADVICE
    assert {*found.verdicts} <= {*ADVICE}
    assert len(found.per_run) == len(found.verdicts) == len(runs)
    low, high = found.band
    assert test.start_lr / 1e3 <= low <= found.lr <= high <= found.per_run.max() * (1 + 1e-12)
    assert found.per_run.max() <= test.end_lr * (1 + 1e-12)
    assert test.start_lr * (1 - 1e-12) <= found.lr_max_stable <= test.end_lr * (1 + 1e-12)
    assert told(found) == told(suggest(test.lrs, runs, rule=rule))
    assert found.verdict in str(found)


@given(runs_of_tests())
@settings(max_examples=50, deadline=None)
def test_any_losses_can_be_told(given_runs):
    test, runs = given_runs
    found = suggest(test.lrs, runs)
    assert list(found.votes) == [*curve.FEATURES, *PUBLISHED]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["lr"] == found.lr


@given(runs_of_tests(), st.randoms())
@settings(deadline=None)
def test_the_order_of_runs_does_not_matter(given_runs, random):
    test, runs = given_runs
    shuffled = random.sample(runs, len(runs))
    left, right = suggest(test.lrs, runs), suggest(test.lrs, shuffled)
    assert (left.lr, left.band, left.lr_max_stable, left.verdict) == (
        right.lr,
        right.band,
        right.lr_max_stable,
        right.verdict,
    )


@given(runs_of_tests())
@settings(deadline=None)
def test_each_run_is_looked_at_by_itself(given_runs):
    test, runs = given_runs
    alone = [suggest(test.lrs, run) for run in runs]
    together = suggest(test.lrs, runs)
    assert together.verdicts == tuple(one.verdicts[0] for one in alone)
    assert together.per_run.tolist() == [one.per_run[0] for one in alone]


# ---- Units ----

curves = st.builds(
    bowl,
    runs=st.integers(1, 3),
    noise=st.floats(0, 0.2),
    seed=st.integers(0, 99),
    best=st.sampled_from([1e-3, 0.1, 1.0, 1e3]),
)


@given(curves, st.integers(-900, 900))
@settings(max_examples=40, deadline=None)
def test_the_unit_of_the_loss_does_not_matter(runs, exponent):
    assert told(suggest(TEST.lrs, runs)) == told(suggest(TEST.lrs, np.ldexp(runs, exponent)))


@given(curves, st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_the_unit_of_the_rate_does_not_matter(runs, unit):
    found, other = suggest(TEST.lrs, runs), suggest(unit * TEST.lrs, runs)
    assert found.verdicts == other.verdicts
    np.testing.assert_allclose(other.per_run, unit * found.per_run, rtol=1e-9)
    np.testing.assert_allclose(other.lr_max_stable, unit * found.lr_max_stable, rtol=1e-9)


def stopped(test, runs):
    """The losses that are left when the test stops."""
    watch = test.watch(len(runs))
    for column in np.array(runs).T:
        if watch.observe(column):
            break
    return watch.losses


@given(runs_of_tests())
@settings(max_examples=60, deadline=None)
def test_what_is_stopped_suggests_the_same(given_runs):
    test, runs = given_runs
    n = min(map(len, runs))
    runs = [run[:n] for run in runs]
    assert told(suggest(test.lrs, runs)) == told(suggest(test.lrs, stopped(test, runs)))


@given(curves)
@settings(max_examples=10, deadline=None)
def test_curves_that_are_stopped_suggest_the_same(runs):
    assert told(suggest(TEST.lrs, runs)) == told(suggest(TEST.lrs, stopped(TEST, runs)))


def test_one_run_or_many_of_the_same():
    run = bowl(noise=0.05)[0]
    one, many = suggest(TEST.lrs, run), suggest(TEST.lrs, [run] * 5)
    assert many.per_run.tolist() == [one.lr] * 5
    assert (many.lr, many.band) == (one.lr, (one.lr, one.lr))


@pytest.mark.parametrize("kind", [list, tuple, np.float32, np.float64])
def test_losses_may_come_as_they_are(kind):
    runs = bowl(runs=2).astype(np.float32)
    given_runs = runs.astype(kind) if kind in (np.float32, np.float64) else kind(kind(row.tolist()) for row in runs)
    assert told(suggest(TEST.lrs, given_runs)) == told(suggest(TEST.lrs, runs))
    assert told(suggest(TEST.lrs.tolist(), list(runs))) == told(suggest(TEST.lrs, runs))


# ---- The marks, by plain loops ----


def smooth_by_loops(values, width):
    last = len(values) - 1
    middle = [statistics.median(values[at - 1 : at + 2]) if 0 < at < last else values[at] for at in range(last + 1)]
    radius = math.ceil(3 * width)
    weights = {away: math.exp(-0.5 * (away / width) ** 2) for away in range(-radius, radius + 1)}
    unit = math.fsum(weights.values())

    def value(place):
        place = -1 - place if place < 0 else place
        return middle[min(place, last)]

    return [math.fsum(weight / unit * value(at + away) for away, weight in weights.items()) for at in range(last + 1)]


@given(st.lists(st.floats(0, 5), min_size=1, max_size=40), st.sampled_from([0.1, 1.0, 2.5, 8.0]))
@settings(deadline=None)
def test_smoothing(values, width):
    found = curve.smoothed(np.array([values]), width)[0]
    np.testing.assert_allclose(found, smooth_by_loops(values, width), rtol=1e-14, atol=1e-300)


def test_smoothing_has_no_lag():
    straight = np.arange(60.0)
    inside = slice(12, -12)
    np.testing.assert_allclose(curve.smoothed(straight[None], 4.0)[0, inside], straight[inside], rtol=1e-14)
    spike = np.where(straight == 30.0, 1e6, 1.0)
    np.testing.assert_allclose(curve.smoothed(spike[None], 2.0), 1.0, rtol=1e-14)


def marks_by_loops(lrs, run, width):
    """Of one run that neither ends early nor has numbers that are none."""
    initial = sorted(run[:10])[4]
    ended = None
    for at in range(5, len(run)):
        first = run[: min(at, 10)]
        start = sorted(first)[(len(first) - 1) // 2]
        noise = math.fsum(abs(one - start) for one in first) / len(first)
        most = start + max(3 * max(abs(start), start - min(run[:at])), 8 * noise)
        if sorted(run[at - 4 : at + 1])[2] > most:
            ended, run = at, [*(min(one, most) for one in run[:at]), *[most] * (len(run) - at)]
            break
    values = run[1:]
    changes = [after - before for before, after in pairwise(values[:26])]
    centre = sorted(changes)[12]
    sigma = math.sqrt(math.pi / 2) / math.sqrt(2) * math.fsum(abs(one - centre) for one in changes) / len(changes)
    smooth = smooth_by_loops(values, width)
    end = len(values) - 1 if ended is None else ended - 1
    least = min(range(end + 1), key=lambda at: smooth[at])
    drop = initial - smooth[least]
    radius = math.ceil(3 * width)
    bell = [math.exp(-0.5 * (away / width) ** 2) for away in range(-radius, radius + 1)]
    noise = sigma * math.sqrt(math.fsum(one**2 for one in bell)) / math.fsum(bell)
    level = smooth[least] + max(0.1 * drop, 3 * noise) if drop > 1.5 * sigma else initial + 3 * noise
    risen = [at for at in range(least + 1, end + 1) if smooth[at] > level]
    places = {"min": least, "rise": risen[0] if risen else end}
    for share in (10, 50, 80):
        fallen = [at for at in range(end + 1) if smooth[at] <= initial - share / 100 * drop]
        places[f"drop{share}"] = fallen[0] if fallen else least
    slopes = {at: (smooth[at] - smooth[at - 1]) / math.log(lrs[at] / lrs[at - 1]) for at in range(1, least + 1)}
    places["steep"] = min(slopes, key=slopes.get) if slopes else 0
    return places


@pytest.mark.parametrize("width", [1.0, 4.0, 8.0])
@pytest.mark.parametrize("best", [1e-3, 0.1, 1.0, 1e3])
@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_marks(noise, best, width):
    runs = bowl(runs=10, noise=noise, best=best)
    found = curve.features(TEST.lrs, runs, width)
    for at, run in enumerate(runs.tolist()):
        places = marks_by_loops(TEST.lrs.tolist(), run, width)
        rates = {name: TEST.lrs[place] for name, place in places.items()}
        rates |= {f"{mark}-rise": math.sqrt(rates[mark] * rates["rise"]) for mark in ("min", "drop50", "drop80")}
        assert {name: pytest.approx(values[at], rel=1e-12) for name, values in found.items()} == rates


@pytest.mark.parametrize(("lag", "factor"), [(0, 1.0), (3, 0.5), (1000, 2.0)])
def test_a_member_says_the_rate_some_updates_before_its_mark(lag, factor):
    """Before the first rate there is none."""
    runs = bowl(runs=3, noise=0.01, best=0.1)
    curves = curve.curves_of(curve.runs_of("test", TEST.lrs, runs))
    said = np.exp(curve.votes(curves, (curve.Member("min", 4.0, lag, factor),)))
    places = [marks_by_loops(TEST.lrs.tolist(), run, 4.0)["min"] for run in runs.tolist()]
    expected = [factor * TEST.lrs[max(place - lag, 0)] for place in places]
    np.testing.assert_allclose(said[:, 0], expected, rtol=1e-12)


def test_a_loss_belongs_to_the_rate_before_it():
    """The update with lrs[i] is seen in the loss after it."""
    run = np.full(101, 2.0)
    run[60:63] = 1.0
    found = suggest(TEST.lrs, run, rule="min")
    assert found.lr == pytest.approx(TEST.lrs[60], rel=1e-12)


# ---- Verdicts ----


def shape(value, noise=0.02, runs=8, seed=0):
    """A curve of the rate, with noise; 2.3 before any update."""
    after = np.concatenate([[2.3], value(TEST.lrs)])
    return after + noise * np.random.default_rng(seed).normal(size=(runs, 101))


def edge(lrs):
    """A plateau that is left only where it diverges."""
    return 2.3 - 1.5 * np.exp(-((np.log(lrs / 0.5) / 0.8) ** 2)) + 2.0 * (lrs / 1.5) ** 4


KNOWN = {
    "ok": [bowl(runs=8), bowl(runs=1, best=0.01), bowl(runs=8, noise=0.1), bowl(runs=3, noise=0.0)],
    "no_learning_seen": [
        np.full(101, 2.3),
        np.zeros(50),
        shape(lambda lrs: 2.3 + 0.0 * lrs),
        shape(lambda lrs: 2.3 + 5.0 * lrs**2),
        [2.3],
        [],
    ],
    "no_divergence_seen": [bowl(runs=8, best=1e3), bowl(runs=1, noise=0.0, best=1e3), bowl()[:, :60]],
    "plateau_start": [shape(edge), shape(edge, noise=0.0, runs=1)],
    "too_noisy": [
        shape(lambda lrs: 2.3 - 1.0 / (1.0 + 0.1 / lrs) + (lrs / 2) ** 4, noise=0.5, runs=20),
        np.concatenate([bowl(best=1e-4, runs=4), bowl(best=1.0, runs=4)]),
    ],
    "diverged_at_start": [[NAN], [INF] * 101, [2.3, 2.4, NAN], [2.3, 9.0, 1e3, 1e6, 1e12, INF], [-1.0, -2.0, INF]],
}


@pytest.mark.parametrize(
    ("verdict", "runs"), [(verdict, runs) for verdict, all_runs in KNOWN.items() for runs in all_runs]
)
def test_verdicts(verdict, runs):
    found = suggest(TEST.lrs, runs)
    assert found.verdict == verdict
    assert found.advice == ADVICE[verdict]
    guesses = {"diverged_at_start": (0.1,), "no_learning_seen": (0.5, 0.1)}
    if verdict in guesses:
        assert found.lr / found.lr_max_stable in [pytest.approx(share, rel=1e-12) for share in guesses[verdict]]
    else:
        assert found.lr <= found.lr_max_stable


def test_a_verdict_for_each_known_one():
    assert [*KNOWN] == sorted(KNOWN, key=[*KNOWN].index)
    assert {*KNOWN} == {*ADVICE}


@pytest.mark.parametrize("best", [1e-3, 1e-2, 0.1, 1.0])
@pytest.mark.parametrize("runs", [1, 8])
def test_the_rate_follows_the_bowl(best, runs):
    """Its least loss is at about `best`; a rate for training is below that, by less than two decades."""
    found = suggest(TEST.lrs, bowl(runs=runs, best=best))
    assert best / 100 < found.lr < best
    assert best / 3 < found.lr_max_stable < 10 * best


def test_runs_that_learned_nothing_do_not_count_where_most_have():
    learned, flat = bowl(runs=5), np.full((2, 101), 2.3)
    found = suggest(TEST.lrs, np.concatenate([learned, flat]))
    assert (found.lr, found.verdict) == (suggest(TEST.lrs, learned).lr, "ok")
    assert found.verdicts == ("ok",) * 5 + ("no_learning_seen",) * 2


# ---- Rules ----


@pytest.mark.parametrize("rule", RULES[1:])
def test_a_rule_is_its_vote(rule):
    runs = bowl(runs=5)
    found = suggest(TEST.lrs, runs, rule=rule)
    assert found.rule == rule
    assert found.lr == pytest.approx(min(found.votes[rule], found.lr_max_stable), rel=0.2)
    if rule in PUBLISHED:
        assert found.votes[rule] == pytest.approx(
            math.exp(statistics.median(math.log(suggest(TEST.lrs, run).votes[rule]) for run in runs)), rel=1e-12
        )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([], []), ValueError, r"suggest.lrs: expected shape (steps,), at least one, got (0,)"),
        (([[0.1]], []), ValueError, r"suggest.lrs: expected shape (steps,), at least one, got (1, 1)"),
        (([0.1, 0.1], []), ValueError, r"suggest.lrs: expected rates > 0, each larger than the one before"),
        (([0.0, 0.1], []), ValueError, r"suggest.lrs: expected rates > 0"),
        (([0.1, INF], []), ValueError, r"suggest.lrs: expected rates > 0"),
        ((["0.1"], []), TypeError, r"suggest.lrs: expected real numbers, got an array of <U3"),
        (([0.1], [1.0] * 3), ValueError, r"suggest.losses: expected at most 2 losses a run, got 3"),
        (([0.1], ["1"]), TypeError, r"suggest.losses: expected real numbers, got an array of <U1"),
        (([0.1], [True]), TypeError, r"suggest.losses: expected real numbers, got an array of bool"),
        (([0.1], 1.0), TypeError, r"suggest.losses: expected a list of losses, got 1.0"),
        (([0.1], np.ones((1, 1, 1))), ValueError, r"suggest.losses: expected shape (n,) or (runs, n), got (1, 1, 1)"),
        (([0.1], np.ones((0, 2))), ValueError, r"suggest.losses: expected shape (n,) or (runs, n), got (0, 2)"),
        (([0.1], [[1.0], [[1.0]]]), ValueError, r"suggest.losses: expected shape (n,) or (runs, n), got a run of"),
        (([0.1], [[1.0], 2.0]), ValueError, r"suggest.losses: expected shape (n,) or (runs, n), got a run of"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        suggest(*arguments)


def test_unknown_rules():
    with pytest.raises(
        ValueError, match=r"suggest\.rule: expected one of .* got 'fastai-vally': did you mean 'fastai-valley'"
    ):
        suggest(TEST.lrs, [2.0], rule="fastai-vally")
