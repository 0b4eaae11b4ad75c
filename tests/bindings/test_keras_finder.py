"""Learning-rate range tests in Keras, on each backend: what they train with, what they record, and what they leave."""

import math

import numpy as np
import pytest
from keras_trainer import BACKENDS, ask

from lrcore.bindings.keras import LRFinder
from lrcore.finder import PROBE_RUNS, PROBE_STEPS, RangeTest

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.mark.parametrize(
    ("optimizer", "epochs", "hows"),
    [
        ("Adam", 1, ["callback", "broken callback", "find_lr", "broken"]),
        ("Adam", 0, ["callback", "find_lr"]),
        ("schedule", 1, ["find_lr"]),
        ("Adagrad", 1, ["reset"]),
        ("accumulated", 1, ["callback"]),
        ("scaled loss", 1, ["find_lr"]),
        ("momentum", 1, ["broken"]),
    ],
)
def test_training_goes_on_as_if_there_had_been_no_test(backend, optimizer, epochs, hows):
    assert ask(backend, "undisturbed", optimizer=optimizer, epochs=epochs, hows=hows) == dict.fromkeys(hows, True)


def test_it_reads_the_loss_of_each_batch(backend):
    raw, expected, averages, lrs = ask(backend, "batch_losses")
    np.testing.assert_allclose(raw, expected, rtol=4 * np.finfo(np.float32).eps)
    total, weights, slow = 0.0, 0.0, []
    for loss in raw:
        total, weights = 0.5 * total + 0.5 * loss, 0.5 * weights + 0.5
        slow.append(total / weights)
    np.testing.assert_allclose(averages, slow, rtol=1e-14)
    assert (lrs[0], lrs[-1], len(lrs)) == (1e-30, 1e-29, 12)


def published(means, start_lr, end_lr, max_steps, smoothing):
    """The callback of the article, as its formulas have it."""
    rates, recorded, average, best = [], [], 0.0, math.inf
    for t, loss in enumerate(means):
        if loss:
            average = smoothing * average + (1 - smoothing) * loss
            rates.append(start_lr * (end_lr / start_lr) ** (t / max_steps))
            recorded.append(average / (1 - smoothing ** (t + 1)))
            best = loss if t == 0 or loss < best else best
            if recorded[-1] > 4 * best or math.isnan(recorded[-1]):
                return rates, recorded, t
        if t == max_steps:
            return rates, recorded, t
    raise AssertionError("the test has not ended")


@pytest.mark.parametrize(
    "given",
    [
        {"start_lr": 1e-7, "end_lr": 10.0, "max_steps": 100, "smoothing": 0.9},  # it diverges
        {"start_lr": 1e-7, "end_lr": 1e-5, "max_steps": 20, "smoothing": 0.5},  # to the end
    ],
)
def test_as_published_it_has_the_numbers_of_the_article(backend, given):
    lrs, losses, means, raw = ask(backend, "as_published", **given)
    rates, recorded, last = published(means, **given)
    assert (lrs, losses, len(means)) == (rates, recorded, last + 1)
    assert raw == means


def test_the_weights_show_the_rates(backend):
    weights, lrs = ask(backend, "ladder", batches=40)
    rates = [float(np.float32(1e-4 * (1.0 / 1e-4) ** (t / 30))) for t in range(31)]
    seen = -np.diff([0.0, *weights])
    assert len(lrs) == len(seen) == 31
    np.testing.assert_allclose(lrs, rates, rtol=1e-6)
    np.testing.assert_allclose(seen, lrs, atol=4 * np.finfo(np.float32).eps * max(1.0, -weights[-1]))


def test_the_ratios_of_layer_rates_stay(backend):
    seen, rate, weights = ask(backend, "kept_ratios")
    moved = -np.diff([[0.0, 0.0], *seen], axis=0)
    np.testing.assert_allclose(moved[:, 0], 0.1 * moved[:, 1], rtol=1e-4)
    np.testing.assert_allclose(moved[[0, -1], 1], [0.01, 1.0], rtol=1e-4)
    assert (rate, weights) == (0.5, [0.0, 0.0])


@pytest.mark.parametrize("more", [{"refine": True}, {"reinit": "reset"}])
def test_what_is_found_hangs_on_the_seed_alone(backend, more):
    found = ask(backend, "what_is_found", **more)
    assert found["is the same"]
    assert found["is another"]
    assert found["runs differ"]
    assert found["shape"][0] == 3
    if more == {"reinit": "reset"}:
        assert len({round(loss, 2) for loss in found["first losses"]}) > 1
    if "refine" in more:
        assert found["lr"] == found["refined"]
        assert found["refined"] / found["suggested"] == pytest.approx(
            min((0.1, 0.32, 1.0, 3.2, 10.0), key=lambda share: abs(share - found["refined"] / found["suggested"]))
        )
    else:
        assert (found["lr"], found["refined"]) == (found["suggested"], None)


def test_a_bar_shows_how_far_it_is(backend):
    shown = ask(backend, "bars", restarts=2, progress=True)
    assert "find_lr: 100%" in shown
    assert "| 24/24 [" in shown


def test_there_is_a_bar_by_itself_on_a_terminal_alone():
    total = 12 + 5 * PROBE_STEPS * PROBE_RUNS
    assert f"| {total}/{total} [" in ask(BACKENDS[-1], "bars", restarts=1, refine=True, terminal=True)
    assert ask(BACKENDS[-1], "bars", restarts=1) == ""
    assert ask(BACKENDS[-1], "bars", restarts=1, terminal=True, progress=False) == ""


def test_no_bar_without_its_package():
    assert ask(BACKENDS[-1], "bars", restarts=1, terminal=True, without=True) == ""
    message = "ImportError: progress=True needs tqdm: pip install 'lrcore[tables]'"
    assert ask(BACKENDS[-1], "bars", restarts=1, progress=True, without=True)["error"] == message


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("model", "TypeError: find_lr.model: expected a keras.Model, got 3"),
        ("compiled", "ValueError: find_lr.model: expected a compiled model"),
        ("test", "TypeError: find_lr.test: expected a lrcore.finder.RangeTest, got 3"),
        ("restarts", "ValueError: find_lr.restarts: expected a number of runs"),
        ("reinit", "TypeError: find_lr.reinit: expected None, 'reset' or a function, got 'all'"),
        ("progress", "TypeError: find_lr.progress: expected True or False"),
        ("epochs", "TypeError: find_lr.epochs: expected none, as a run has the updates of its test, got 3"),
        (
            "initial_epoch",
            "TypeError: find_lr.initial_epoch: expected none, as a run has the updates of its test, got 30",
        ),
        ("generator", "TypeError: find_lr.data: expected data that can be iterated again"),
        ("setter", "ValueError: LRFinder: expected no other callback to set the rate, got 0.5 for 1e-07"),
        ("schedule", "ValueError: LRFinder: expected an optimizer whose learning rate is a number"),
        ("unused", "ValueError: LRFinder.suggestion: expected a training with this callback before"),
    ],
)
def test_bad_arguments_say_what_is_wrong(backend, case, message):
    assert ask(backend, "refused", case=case)["error"].startswith(message)


@pytest.mark.parametrize("compiled", [name for name in BACKENDS if name != "torch"])  # where Keras refuses it
def test_batches_that_nobody_sees_are_refused(compiled):
    message = "ValueError: find_lr: expected a model compiled with steps_per_execution=1, got 2"
    assert ask(compiled, "refused", case="steps_per_execution")["error"].startswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_steps": 0}, "LRFinder.max_steps: expected a number of batches"),
        ({"smoothing": 1.0}, r"LRFinder.smoothing: expected a number in \[0, 1\), got 1.0"),
        ({"start_lr": 1.0, "end_lr": 0.1}, "RangeTest.end_lr: expected a number > start_lr=1.0, got 0.1"),
        ({"start_lr": 0.0}, "RangeTest.start_lr"),
    ],
)
def test_bad_settings_say_what_is_wrong(given, message):
    with pytest.raises(ValueError, match=message):
        LRFinder(**given)


def test_the_picture():
    finder = LRFinder(1e-3, 1.0, max_steps=12, compat=True)
    for loss in [4.0, 3.0, 2.0, 1.0, 1.0, 3.0, 9.0]:
        finder._take(loss)
    axes = finder.plot()
    assert axes.get_xscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([finder.lrs, finder.losses], axis=1))
    assert RangeTest(1e-3, 1.0, 13) == finder.test
