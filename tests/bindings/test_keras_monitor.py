"""The Monitor of Keras, on each backend: what it is given and says, what comes back, and that it leaves no trace."""

import doctest

import numpy as np
import pytest
from keras_trainer import BACKENDS, ask, joined

import lrcore
import lrcore.bindings.keras.monitor as module
from lrcore.bindings.keras import Monitor

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SINGLE = float(np.finfo(np.float32).eps)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


# ---- What it is given ----


def test_each_loss_is_that_of_its_batch_with_the_rate_of_its_update(backend):
    """And the mean of the epoch, in the history, stays what it is."""
    seen, wanted, history, mean = ask(backend, "paired_losses")
    np.testing.assert_allclose(seen, wanted, rtol=16 * SINGLE)
    np.testing.assert_allclose(history, [mean] * 3, rtol=16 * SINGLE)


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "rmsprop"])
def test_what_it_measures_without_a_probe(backend, optimizer):
    found = ask(backend, "verdict", optimizer=optimizer, lr=0.01, is_dead=False, has_probe=False)
    assert found["verdict"] == "healthy"
    assert found["evidence"]["first_layer_gradient"] > 0.0
    assert 1e-4 < found["evidence"]["update_ratio"] < 1.0
    assert not {"logit_spread", "dead_fractions", "first_shift"} & found["evidence"].keys()


def test_what_it_measures_with_one(backend):
    evidence = ask(backend, "verdict", optimizer="adam", lr=0.01, is_dead=False, has_probe=True)["evidence"]
    assert evidence["logit_spread"] > 0.1
    assert len(evidence["dead_fractions"]) == 1
    assert evidence["first_shift"] > 0.0


# ---- Verdicts ----


@pytest.mark.parametrize(
    ("optimizer", "has_probe", "activation"),
    [
        ("sgd", False, None),
        ("momentum", False, None),
        ("adam", False, "softmax"),
        ("rmsprop", True, "softmax"),
        ("sgd", True, None),
    ],
)
def test_a_dead_network_is_told_of_at_the_eighth_update(backend, optimizer, has_probe, activation):
    given = {"optimizer": optimizer, "has_probe": has_probe, "activation": activation}
    found = ask(backend, "verdict", lr=0.1, is_dead=True, epochs=2, **given)
    assert [(one["verdict"], one["step"]) for one in found["alarms"]] == [("dead_network", 7)]
    assert (found["verdict"], found["direction"]) == ("dead_network", "too_high")
    assert found["evidence"]["first_layer_gradient"] == 0.0
    if has_probe:
        assert found["evidence"]["dead_fractions"] == [1.0]


def test_a_tiny_rate_is_no_dead_network(backend):
    found = ask(backend, "verdict", optimizer="sgd", lr=1e-12, is_dead=False, has_probe=False, epochs=2)
    assert found["alarms"] == []


def test_an_alarm_calls_the_function(backend):
    found = ask(backend, "not_finite")
    assert found["said"] == found["alarms"]
    assert found["alarms"] == [{"verdict": "nonfinite", "step": 11, "lr": 0.005, "direction": "too_high"}]
    assert (found["restores"], found["epochs"]) == (0, 3)


def test_stop_ends_the_fit(backend):
    found = ask(backend, "not_finite", on_failure="stop")
    assert (len(found["alarms"]), found["restores"], found["epochs"]) == (1, 0, 1)


# ---- What comes back ----


def test_a_run_goes_on_where_it_was_healthy(backend):
    """Each epoch has a NaN, which the third one begins to meet at a rate of 0.5 / 1e4."""
    found = ask(backend, "not_finite", on_failure="restore_and_lower")
    assert [one["verdict"] for one in found["alarms"]] == ["nonfinite"] * 3
    assert (found["restores"], found["epochs"]) == (3, 3)
    np.testing.assert_allclose(found["rate"], 0.5 * 1e-2 * 1e-1 * 1e-1, rtol=4 * SINGLE)
    assert np.isfinite([*found["weights"], found["last"]]).all()


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_the_last_healthy_state_comes_back(backend, optimizer):
    """That of update 50, which still was healthy at update 100; not that of 100. To the bit, but for the rate."""
    found = ask(backend, "restored", optimizer=optimizer, at=120)
    assert found["kept"] == [50]
    assert (found["changed"], found["initial"]) == (True, False)
    np.testing.assert_allclose(found["rates"], [0.5, 0.005], rtol=4 * SINGLE)


def test_the_initial_state_comes_back_until_something_is_learnt(backend):
    found = ask(backend, "restored", optimizer="adam", at=20)
    assert (found["initial"], found["kept"]) == (True, [])
    np.testing.assert_allclose(found["rates"], [0.5, 0.005], rtol=4 * SINGLE)


def test_it_comes_back_as_often_as_is_wanted(backend):
    found = ask(backend, "restored_again")
    assert found["equal"] == [False, False, True] * 3 + [False] * 3
    assert (found["alarms"], found["epochs"]) == (4, 2)  # the fourth alarm ends it
    np.testing.assert_allclose(found["rate"], 0.5 * 1e-2 * 1e-1 * 1e-1, rtol=4 * SINGLE)


@pytest.mark.parametrize("unit", ["batch", "epoch"])
def test_a_schedule_goes_on_at_a_lower_scale(backend, unit):
    schedule, each = lrcore.Linear(0.5, 0.0, 20), {"batch": 1, "epoch": 2}[unit]
    wanted = [schedule(step // each) * (0.01 if step > 4 else 1.0) for step in range(10)]
    np.testing.assert_allclose(ask(backend, "beside_a_schedule", unit=unit, kind="schedule"), wanted, rtol=4 * SINGLE)


@pytest.mark.parametrize("unit", ["batch", "epoch"])
def test_a_function_of_the_rate_so_far_is_lowered_once(backend, unit):
    each = {"batch": 1, "epoch": 2}[unit]
    wanted = [0.5 ** (step // each + 1) * (0.01 if step > 4 else 1.0) for step in range(10)]
    np.testing.assert_allclose(ask(backend, "beside_a_schedule", unit=unit, kind="memory"), wanted, rtol=16 * SINGLE)


def test_a_run_that_fails_ends_trained(backend):
    found = ask(backend, "mended", has_probe=False, epochs=12)
    assert found["accuracy"] < 0.4
    assert (found["verdict"], found["restores"]) == ("dead_network", 0)
    found = ask(backend, "mended", has_probe=True, epochs=25, on_failure="restore_and_lower")
    assert found["accuracy"] > 0.95
    assert found["restores"] >= 1


# ---- No trace, and errors ----


def test_a_training_is_the_same_with_it(backend):
    assert ask(backend, "unchanged") is True


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "schedule",
            "ValueError: Monitor: expected an optimizer whose learning rate is a number, got one with Schedule",
        ),
        ("order", "ValueError: Monitor: expected a place after the ScheduleCallback in the list, got one before it"),
    ],
)
def test_trainings_that_it_refuses(backend, case, message):
    assert ask(backend, "refused_monitor", case=case)["error"].startswith(message)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_failure": "restart"}, "Monitor.on_failure: expected 'stop', 'restore_and_lower', a function"),
        ({"max_restores": -1}, "Monitor.max_restores: expected a number of restores, an int >= 0"),
        ({"classes": 1}, "Monitor.classes: expected a number of classes, an int >= 2"),
    ],
)
def test_bad_settings_say_what_is_wrong(options, words):
    with pytest.raises(ValueError, match=words):
        Monitor(**options)


def test_tasks_have_names_of_their_own():
    with pytest.raises(ValueError, match=r"expected tasks with names of their own, got \['b'\] in two again"):
        joined({"one": {"a": 1, "b": 2}, "two": {"b": 3}})


def test_documented_examples_are_true():
    assert doctest.testmod(module).failed == 0
