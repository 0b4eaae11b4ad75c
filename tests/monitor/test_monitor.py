"""Verdicts of sequences made by hand, with the step that follows from their definitions."""

import json
import math
from itertools import chain

import monitor_twin
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from lrcore.monitor import FAILURES, VERDICTS, Diagnosis, Monitor, diagnose

NAN, INF = math.nan, math.inf
LN6 = math.log(6.0)


def falling(count, rate=0.02):
    """A loss that falls as a healthy one does."""
    return [2.0 * math.exp(-rate * step) for step in range(count)]


def noisy(level, count, width=0.05, seed=0):
    return list(level + width * np.random.default_rng(seed).standard_normal(count))


# ---- One verdict after another ----


@pytest.mark.parametrize(("losses", "step"), [([1.0, 0.9, NAN], 2), ([INF], 0), ([1.0, -INF, 1.0, 1.0], 1)])
def test_a_loss_that_is_not_finite(losses, step):
    found = diagnose(losses, 0.1)
    assert (found.verdict, found.step, found.direction, found.is_failure) == ("nonfinite", step, "too_high", True)
    assert found.lr == pytest.approx(0.001, rel=1e-15)


def test_exploding_is_ten_losses_in_a_row_above_four_times_the_first():
    """1, 2, 4, 8: the fourth is the first that is above 4, so the tenth in a row has the number 12."""
    losses = [2.0**step for step in range(40)]
    assert [diagnose(losses[:count]).verdict for count in (12, 13)] == ["healthy", "exploding"]
    assert diagnose(losses).step == 12


def test_a_loss_that_comes_down_does_not_explode():
    losses = [1.0] + [100.0 * 0.9**step for step in range(30)]
    assert diagnose(losses).verdict != "exploding"


def test_exploding_where_the_first_loss_is_negative():
    """As far above it as 4 times it is from 0: from -2 on above 4."""
    losses = [-2.0] + [4.5 + 0.1 * step for step in range(10)]
    assert (diagnose(losses).verdict, diagnose(losses).step) == ("exploding", 10)
    assert diagnose([-2.0] + [3.9 + 0.001 * step for step in range(40)]).verdict != "exploding"


@pytest.mark.parametrize(
    ("signals", "step"),
    [
        ({"gradient_norms": 0.0, "logit_spreads": 0.0}, 7),
        ({"gradient_norms": 0.0, "logit_spreads": 1e-7}, 7),
        ({"logit_spreads": 0.0}, 7),
        ({"gradient_norms": 0.0}, 7),
        ({"gradient_norms": 0.0, "active_fractions": 0.0}, 7),
        ({"gradient_norms": 0.0, "active_fractions": 0.5}, None),
        ({"gradient_norms": 1e-30, "logit_spreads": 0.0}, None),
        ({"gradient_norms": 0.0, "logit_spreads": 1e-3}, None),
    ],
)
def test_a_dead_network_is_eight_measured_updates_in_a_row(signals, step):
    signals = {name: np.full(30, value) for name, value in signals.items()}
    found = diagnose(noisy(LN6, 30), 0.01, **signals)
    assert (found.verdict, found.step) == (("healthy", None) if step is None else ("dead_network", step))


def test_a_single_update_that_is_alive_begins_the_count_anew():
    spreads = np.zeros(30)
    spreads[[3, 11, 18]] = 1.0  # runs of 3, 7, 6 and then 11, of which the eighth has the number 26
    assert diagnose(noisy(LN6, 30), logit_spreads=spreads).step == 26


def test_updates_that_were_not_measured_neither_count_nor_end_a_run():
    spreads = np.full(40, NAN)
    spreads[::5] = 0.0
    assert diagnose(noisy(LN6, 40), logit_spreads=spreads).step == 35


def test_all_learnt_is_not_dead():
    """Gradients are 0 too where the loss is."""
    assert diagnose([2.0, 1.0] + [0.0] * 30, gradient_norms=np.zeros(32)).verdict == "healthy"


def test_updates_at_a_rate_of_0_are_no_evidence():
    """A warm-up may begin so, and a head of zeros."""
    zeros = np.zeros(20)
    rates = np.array([0.0] * 10 + [0.1] * 10)
    assert diagnose([LN6] * 20, rates, logit_spreads=zeros).step == 17
    assert diagnose([LN6] * 20, zeros, logit_spreads=zeros).verdict == "healthy"


@pytest.mark.parametrize(
    ("first", "updates", "step", "direction"),
    [
        (LN6, None, 100, None),
        (LN6, 0.2, 35, "too_high"),
        (LN6, 1e-4, 200, "too_low"),
        (1.6 * LN6, None, 35, "too_high"),
        (1.6 * LN6, 1e-4, 35, "too_high"),
    ],
)
def test_stuck_at_the_prior(first, updates, step, direction):
    """The window is the shorter the more speaks for a rate that is too high. It is looked at every five losses."""
    losses = [first, *noisy(LN6, 300, 0.01)]
    ratios = None if updates is None else np.full((301, 2), updates)
    found = diagnose(losses, 0.1, classes=6, update_ratios=ratios)
    assert (found.verdict, found.step, found.direction) == ("stuck_at_prior", step, direction)
    assert found.lr == {"too_high": 0.1 * 0.1, "too_low": 1.0, None: None}[direction]


def test_the_entropy_of_the_labels_is_known_in_three_ways():
    counts = [1, 0, 3]
    entropy = 2 * math.log(2) - 0.75 * math.log(3)
    assert Monitor(label_counts=counts).prior_entropy == pytest.approx(entropy, rel=1e-15)
    assert Monitor(classes=6).prior_entropy == Monitor(prior_entropy=LN6).prior_entropy == LN6


@pytest.mark.parametrize(("costs", "scale"), [(LN6 * 34 / 33, 34 / 33), (LN6, 1.0), (1.1 * LN6, None)])
def test_the_entropy_may_be_scaled(costs, scale):
    """The forum's cost: the sum of 34 losses divided by int(1080 / 32) = 33."""
    found = diagnose([2.9, *noisy(costs, 6, 3e-4)], 0.01, classes=6, batches_per_epoch=34, losses_of="epoch")
    assert (found.verdict, found.direction, found.step) == ("stuck_at_prior", "too_high", 4)
    assert found.evidence.get("prior_scale") == scale


@pytest.mark.parametrize("costs", [(1312, 1.92, 1.90, 1.91, 1.89, 1.92), (2.91, 1.8474, 1.847, 1.8474, 1.8472, 1.8477)])
def test_the_runs_of_the_article(costs):
    found = diagnose(costs, 1.0, classes=6, batches_per_epoch=34, losses_of="epoch")
    assert (found.verdict, found.direction) == ("stuck_at_prior", "too_high")


@pytest.mark.parametrize("spike", [[10.0] * 3, [200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 3.0]])
def test_a_spike_that_is_over(spike):
    """It is with the third loss after it, and is forgotten 200 updates later, as is looked at every five."""
    losses = [2.5] + [1.0] * 25 + spike + [1.0] * 400
    over = 26 + len(spike) + 2
    found = [diagnose(losses[: step + 1]) for step in (over - 1, over, over + 199, over + 205)]
    assert [one.verdict for one in found] == ["healthy", "spiked_and_recovered", "spiked_and_recovered", "healthy"]
    assert (found[1].step, found[2].step) == (over, over)


@pytest.mark.parametrize("count", [1, 2])
def test_a_loss_or_two_are_no_spike(count):
    assert diagnose([1.0] * 40 + [50.0] * count + [1.0] * 40).verdict == "healthy"


def test_a_spike_of_one_epoch():
    costs = [1.0] * 5 + [10.0] + [1.0] * 3
    assert diagnose(costs, losses_of="epoch").verdict == "spiked_and_recovered"


@pytest.mark.parametrize("falls", [False, True])
@pytest.mark.parametrize(
    "draw",
    [
        lambda random: np.exp(0.5 * random.standard_normal(300)),
        lambda random: np.exp(0.8 * random.standard_normal(300)),
        lambda random: random.chisquare(4, 300) / 4,
        lambda random: random.chisquare(1, 300),
        lambda random: np.exp(1.5 * random.standard_normal((300, 8))).mean(axis=1),
    ],
    ids=["lognormal .5", "lognormal .8", "squares, batch of 4", "squares, batch of 1", "classifier, batch of 8"],
)
def test_noise_is_no_failure(draw, falls):
    """Squares of normal numbers are the losses of a regression; many a run of them begins with a very small one.

    The limits hold with room: of these, 24 exploded and 75 to 97 spiked where single losses were looked at.
    """
    random = np.random.default_rng(0)
    trend = np.exp(-np.arange(300) / 100) if falls else 1.0
    found = [diagnose(draw(random) * trend, 1e-3).verdict for _ in range(100)]
    assert sum(verdict in FAILURES for verdict in found) <= 2
    assert found.count("spiked_and_recovered") <= 15


@pytest.mark.parametrize("base", [0.01, 1.0])
def test_an_explosion_from_the_first_update_is_found_at_once(base):
    """A step up, growth, and jumps to and fro by decades: the tenth loss after the first is the tenth that is up."""
    random = np.random.default_rng(0)
    ups = [
        700.0 * np.exp(0.3 * random.standard_normal(40)).cumsum(),
        10.0 * 1.5 ** np.arange(40.0),
        10.0 ** (2.0 + np.arange(40.0) ** 2 / 30.0),
        np.array([1e10, 8e7, 5e8, 24.0, 5e6, 27.0, 11.0, 16.0, 23.0, 1e4] + [30.0] * 30),
    ]
    steps = [diagnose([base, *(base * up)]).step for up in ups]
    assert steps[:3] == [10, 10, 10]
    assert steps[3] <= 20


def test_a_small_loss_that_is_noisy_by_a_large_factor_does_not_spike():
    assert diagnose([2.0, *falling(100, 0.1)[1:], 0.3, 0.001, 0.2, 0.001]).verdict == "healthy"


def test_oscillating():
    losses = [1.0 + 0.1 * (-1) ** step for step in range(120)]
    found = diagnose(losses)
    assert (found.verdict, found.step, found.is_failure) == ("oscillating", 100, False)


def test_too_slow():
    losses = list(np.linspace(LN6, 0.99 * LN6, 300))
    found = diagnose(losses, 1e-6, classes=6, update_ratios=np.full(300, 1e-5))
    assert (found.verdict, found.step, found.direction, found.is_failure) == ("too_slow", 100, "too_low", False)
    assert found.lr == pytest.approx(1e-5, rel=1e-15)


def test_a_plateau_at_the_start():
    found = diagnose(noisy(2.0, 150, 0.01), 1e-3, gradient_norms=np.ones(150))
    assert (found.verdict, found.step, found.is_failure) == ("plateau_start", 100, False)


def test_healthy():
    found = diagnose(falling(400), 0.1, classes=6, gradient_norms=np.ones((400, 3)), logit_spreads=np.ones(400))
    assert (found.verdict, found.step, found.lr) == ("healthy", None, None)


# ---- Several ----


def test_what_precedes_is_given_and_the_news_once():
    """Dead at 7, not finite at 20: both are news; a second NaN is none."""
    monitor = Monitor()
    losses = [LN6] * 20 + [NAN, NAN]
    news = [monitor.observe(loss, 0.1, logit_spread=0.0) for loss in losses]
    assert [(at, found.verdict) for at, found in enumerate(news) if found] == [(7, "dead_network"), (20, "nonfinite")]
    assert monitor.diagnosis() == diagnose(losses, 0.1, logit_spreads=np.zeros(22))


def test_an_alarm_that_is_over():
    """A net that was dead on its batches, and learns in the end."""
    spreads = np.array([0.0] * 10 + [1.0] * 90)
    losses = [LN6] * 10 + falling(90, 0.1)
    assert diagnose(losses[:20], classes=6, logit_spreads=spreads[:20]).verdict == "dead_network"
    assert diagnose(losses, classes=6, logit_spreads=spreads).verdict == "spiked_and_recovered"


def test_dead_units_are_an_advisory():
    found = diagnose(falling(50), active_fractions=np.tile([0.9, 0.2], (50, 1)))
    assert found.verdict == "healthy"
    assert found.advisories == ("More than half of the units are dead in layer 1 (advisory)",)


# ---- Advice and evidence ----


@pytest.mark.parametrize(
    ("finder_lr", "gain", "lr"),
    [
        (None, None, 1e-4),
        (3e-5, None, 3e-5),
        (0.3, None, 1e-4),  # of no use to a run that fails at less
        (None, 8570.0, 0.5 / 8570.0),
        (3e-5, 8570.0, 3e-5),
        (None, 10.0, 0.001),
        (None, 1e9, 1e-6),
    ],
)
def test_the_advice_names_a_rate(finder_lr, gain, lr):
    found = diagnose([LN6] * 10, 0.01, logit_spreads=np.zeros(10), finder_lr=finder_lr, input_gain=gain)
    assert found.lr == pytest.approx(lr, rel=1e-12)
    assert f"a learning rate of {lr:.2g} (now 0.01)" in found.advice


def test_the_evidence():
    found = diagnose(
        [2.0, 6.0, *[1.5] * 8],
        0.01,
        prior_entropy=1.5,
        gradient_norms=np.zeros((10, 2)),
        update_ratios=np.array([[0.5, 0.25]] + [[0.0, 0.0]] * 9),
        active_fractions=np.tile([1.0, 0.0], (10, 1)),
        logit_spreads=np.zeros(10),
        input_gain=100.0,
    )
    wanted = {
        "steps": 10,
        "lr": 0.01,
        "first_loss": 2.0,
        "second_to_first_loss": 3.0,
        "peak_to_first_loss": 3.0,
        "first_update_ratio": 0.5,
        "dead_steps": 10,
        "first_layer_gradient": 0.0,
        "logit_spread": 0.0,
        "dead_fractions": (0.0, 1.0),
        "first_shift": 1.0,
        "loss": 1.5,
    }
    assert {name: found.evidence[name] for name in wanted} == wanted
    assert json.loads(json.dumps(found.to_dict()))["evidence"]["dead_fractions"] == [0.0, 1.0]
    assert str(found).startswith("dead_network at step 7: ")


@pytest.mark.parametrize("scale", [1.0, 34 / 33])
def test_the_evidence_of_a_run_that_is_stuck_is_that_of_its_level(scale):
    """Not of the blow-up before it, which the window that gave the alarm still had in it."""
    losses = [1.8, 40.0, 9.0, 2.5] + [LN6 * scale] * 200
    for count in (60, 204):
        found = diagnose(losses[:count], 0.01, classes=6, batches_per_epoch=34)
        assert (found.verdict, found.evidence["steps"]) == ("stuck_at_prior", count)
        assert found.evidence["loss_to_prior"] == pytest.approx(scale, rel=1e-15)
        assert found.evidence["prior_scale"] == scale


def test_the_evidence_of_an_alarm_whose_state_is_over_is_that_of_its_step():
    """A level of 1.7 is below the prior, and not learnt enough to end the alarm."""
    losses = [2.0, *[LN6] * 120, *[1.7] * 60]
    found = diagnose(losses, 0.01, classes=6)
    assert found.verdict == "stuck_at_prior"
    assert found.evidence["steps"] == found.step + 1
    assert found.evidence["loss_to_prior"] == pytest.approx(1.0, rel=1e-15)


# ---- Sampling ----


def test_what_is_measured():
    """All updates of two epochs, then one of 50, and each as long as the net looks dead."""
    monitor = Monitor(batches_per_epoch=5)
    wanted = []
    for step in range(160):
        wanted += [step] * monitor.wants_signals()
        monitor.observe(1.0, logit_spread=0.0 if step in (100, 101) else 1.0) if monitor.wants_signals() else (
            monitor.observe(1.0)
        )
    assert wanted == [*range(10), 50, 100, 101, 102, 150]


# ---- Refusals ----


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Monitor(classes=1), ValueError, "Monitor.classes: expected a number of classes, an int >= 2, got 1"),
        (lambda: Monitor(classes=3, prior_entropy=1.0), ValueError, "at most one of .* got prior_entropy and classes"),
        (lambda: Monitor(label_counts=[0, 0]), ValueError, "Monitor.label_counts: expected counts >= 0"),
        (lambda: Monitor(label_counts=[1, -1]), ValueError, "Monitor.label_counts: expected counts >= 0"),
        (lambda: Monitor(prior_entropy=NAN), ValueError, "Monitor.prior_entropy: expected a finite number"),
        (lambda: Monitor(losses_of="epochs"), ValueError, "Monitor.losses_of: .* did you mean 'epoch'"),
        (lambda: Monitor(finder_lr=0.0), ValueError, "Monitor.finder_lr: expected a number > 0"),
        (lambda: Monitor(batches_per_epoch=0), ValueError, "Monitor.batches_per_epoch: .* an int >= 1"),
        (lambda: Monitor().observe("1"), TypeError, "Monitor.observe.loss: expected a number, got '1'"),
        (lambda: Monitor().observe(np.ones(2)), TypeError, "Monitor.observe.loss: expected a number"),
        (lambda: Monitor().observe(1.0, gradient_norms="x"), TypeError, "Monitor.observe.gradient_norms: expected"),
        (lambda: diagnose([[1.0]]), ValueError, r"diagnose.losses: expected shape \(steps,\), got \(1, 1\)"),
        (lambda: diagnose(["a"]), TypeError, "diagnose.losses: expected real numbers"),
        (lambda: diagnose([1.0, 2.0], [0.1]), ValueError, r"diagnose.lrs: expected shape \(2,\), got \(1,\)"),
        (
            lambda: diagnose([1.0], gradient_norms=np.ones((2, 3))),
            ValueError,
            r"diagnose.gradient_norms: expected shape \(1, layers\), got \(2, 3\)",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---- Laws ----


def runs(seed):
    """A random run with turns of all kinds: levels, slopes, spikes, NaN, dead and living stretches."""
    random = np.random.default_rng(seed)
    losses, gradients, spreads, updates = [], [], [], []
    level = random.uniform(1.0, 2.5)
    while len(losses) < 260:
        count = int(random.integers(5, 120))
        slope = random.choice([0.0, 0.0, -0.004, 0.3])
        losses += list(level + slope * np.arange(count) + random.choice([1e-3, 0.05]) * random.standard_normal(count))
        is_dead = random.random() < 0.3
        spreads += [0.0 if is_dead and random.random() < 0.95 else random.choice([1.0, NAN]) for _ in range(count)]
        gradients += [random.choice([0.0 if is_dead else 1.0, NAN], p=[0.8, 0.2]) for _ in range(count)]
        updates += [float(random.choice([1e-5, 1e-2, 0.2], p=[0.7, 0.295, 0.005])) for _ in range(count)]
        level = random.choice([LN6, level, 12.0])
    if random.random() < 0.3:
        losses[int(random.integers(len(losses)))] = NAN
    return losses, gradients, spreads, updates


@pytest.mark.parametrize("seed", range(40))
def test_alarms_are_those_of_the_slow_twin(seed):
    losses, gradients, spreads, updates = runs(seed)
    prior = LN6 if seed % 4 else None
    monitor, first = Monitor(prior_entropy=prior), {}
    # Alarms that are over leave the count to the test of their own.
    monitor._has_learnt = lambda _level: False
    for at, row in enumerate(zip(losses, gradients, spreads, updates, strict=True)):
        monitor.observe(row[0], gradient_norms=[row[1]], logit_spread=row[2], update_ratios=[row[3]])
        for verdict in monitor._found:
            first.setdefault(verdict, at)
    assert first == monitor_twin.alarms(losses, prior, gradients, spreads, updates)


@pytest.mark.parametrize("seed", range(10))
def test_the_step_is_the_one_at_which_a_live_monitor_knew(seed):
    """No later loss changes it, and before it there was no alarm of that name."""
    losses, _, spreads, _ = runs(seed)
    found = diagnose(losses, classes=6, logit_spreads=spreads)
    if found.is_failure:
        known = diagnose(losses[: found.step + 1], classes=6, logit_spreads=spreads[: found.step + 1])
        assert (known.verdict, known.step) == (found.verdict, found.step)
        before = diagnose(losses[: found.step], classes=6, logit_spreads=spreads[: found.step])
        assert before.verdict != found.verdict


numbers = st.floats(width=64) | st.sampled_from([0.0, -0.0, NAN, INF, -INF, 1e308, -1e308, 5e-324, LN6])
plateaus = st.tuples(numbers, st.integers(1, 130)).map(lambda pair: [pair[0]] * pair[1])
sequences = st.lists(numbers, max_size=40) | st.lists(plateaus, max_size=4).map(lambda parts: [*chain(*parts)])


@settings(max_examples=100, deadline=None)
@given(
    sequences,
    numbers | st.none(),
    st.sampled_from([{}, {"classes": 6}, {"prior_entropy": 0.0}, {"prior_entropy": 1e-90, "losses_of": "epoch"}]),
    st.data(),
)
def test_any_numbers_give_a_verdict(losses, lr, arguments, data):
    names = ("gradient_norms", "update_ratios", "active_fractions", "logit_spreads")
    signals = {
        name: data.draw(st.lists(numbers, min_size=len(losses), max_size=len(losses)))
        for name in names[: data.draw(st.integers(0, 4))]
    }
    one, other = (diagnose(losses, lr, **arguments, **signals, input_gain=lr) for _ in range(2))
    assert isinstance(one, Diagnosis)
    assert one.verdict in VERDICTS
    assert one == other
    assert (one.step is None) == (one.verdict == "healthy")
    assert one.is_failure == (one.verdict in FAILURES)
    json.dumps(one.to_dict(), allow_nan=False)
    assert one.verdict == "nonfinite" or all(map(math.isfinite, losses))
