"""Callbacks of the Keras binding that meet each other, and what was before: the rates are read from the weights."""

import keras
import numpy as np
import pytest
from keras_trainer import BACKENDS, ask

import lrcore as lr
from lrcore.bindings.keras import SGDR, LearningRateLogger, Plateau, ScheduleCallback

SCHEDULE = lr.Cosine(0.5, 0.125, 40)
SPEC = SCHEDULE.to_dict()
LOGGER = ["LearningRateLogger", {}]
TOLD = [1.0, 0.5, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4]  # with these and a patience of 2
REDUCTIONS = (4, 8)  # each of these epochs begins with another reduction
TELL = ["Tell", {"values": TOLD}]
PLATEAU = ["Plateau", {"monitor": "told", "factor": 0.5, "patience": 2, "mode": "min"}]


# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def scheduled_by(schedule, unit="batch"):
    return ["ScheduleCallback", {"schedule": schedule, "unit": unit}]


def falling_by(rates):
    """A float32 weight, from 0, that each rate is taken from."""
    return np.subtract.accumulate(np.array([0.0, *rates], np.float32))[1:].tolist()


def reduced(rates, factor=0.5, reductions=REDUCTIONS):
    """Rates of epochs, halved from each of some epochs on."""
    return [rate * factor ** sum(at >= epoch for epoch in reductions) for at, rate in enumerate(rates)]


FALLING = [0.5 * 0.75 ** (k + 1) for k in range(15)]


# --- Functions of the rate so far, whose rate a plateau has scaled


@pytest.mark.parametrize(("unit", "stop"), [("batch", 5), ("epoch", 9)])
def test_a_backup_brings_back_what_a_function_was_given(backend, unit, stop, tmp_path):
    callbacks = [scheduled_by("falling", unit), TELL, PLATEAU]
    asked = {"batches": 1, "epochs": 10, "stop": stop, "path": str(tmp_path / "backup")}
    assert ask(backend, "interrupted", callbacks=callbacks, **asked)["weights"] == falling_by(reduced(FALLING[:10]))


def test_with_accumulated_gradients_a_function_is_asked_once_an_update(backend, tmp_path):
    """Also beside a plateau, and where the backup was made between two micro-batches of an update."""
    asked = {"batches": 3, "epochs": 10, "stop": 5, "path": str(tmp_path / "backup")}
    accumulated = {"gradient_accumulation_steps": 2}
    callbacks = [scheduled_by("falling"), TELL, PLATEAU]
    answer = ask(backend, "interrupted", callbacks=callbacks, optimizer=accumulated, **asked)
    scales = np.repeat(reduced([1.0] * 10), 3)[1::2]
    assert answer["weights"][1::2] == falling_by(FALLING * scales)


@pytest.mark.parametrize("anew", [False, True])
def test_a_function_goes_on_in_a_second_fit(backend, anew):
    """With callbacks made anew the plateau's scale is 1 again, until its patience has an end again."""
    fits = [{"epochs": 5}, {"epochs": 10, "initial_epoch": 5}]
    asked = {"callbacks": [scheduled_by("falling", "epoch"), TELL, PLATEAU], "batches": 1, "fits": fits}
    rates = reduced(FALLING[:10])
    if anew:
        rates = [*rates[:5], *reduced(FALLING[:10], reductions=[8])[5:]]
    assert ask(backend, "called", anew=anew, **asked)["weights"] == falling_by(rates)


def test_a_rate_that_something_else_has_set_is_what_a_function_is_given(backend):
    callbacks = [scheduled_by("falling", "epoch"), TELL, PLATEAU, ["SetAt", {"epoch": 5, "rate": 0.25}]]
    rates = [*FALLING[:6], *(0.25 * 0.75 ** (k + 1) for k in range(4))]
    answer = ask(backend, "called", callbacks=callbacks, batches=1, fits=[{"epochs": 10}])
    assert answer["weights"] == falling_by(reduced(rates))


# --- The order of callbacks


@pytest.mark.parametrize(
    ("unit", "order"), [("epoch", (0, 1, 2)), ("epoch", (1, 2, 0)), ("batch", (2, 0, 1)), ("batch", (2, 1, 0))]
)
def test_the_order_of_callbacks_says_nothing(backend, unit, order):
    """In a second fit too, of the same callbacks, which begins with the first epoch and so forgets the first one."""
    callbacks = [TELL, *([scheduled_by(SPEC, unit), PLATEAU, LOGGER][at] for at in order)]
    answer = ask(backend, "called", callbacks=callbacks, batches=1, fits=[{"epochs": 6}, {"epochs": 10}])
    steps = [range(6), range(10) if unit == "epoch" else range(6, 16)]
    rates = [reduced([SCHEDULE(k) for k in run]) for run in steps]
    assert answer["weights"] == falling_by([*rates[0], *rates[1]])
    shown = [one["learning_rate"] for one in answer["histories"]]
    assert shown == [np.array(one, np.float32).tolist() for one in rates]


@pytest.mark.parametrize(("turned", "schedule"), [(False, []), (True, []), (True, [scheduled_by(0.5)])])
def test_two_plateaus_of_one_metric(backend, turned, schedule, tmp_path):
    """Each has its own state, in a backup too, and the history shows the rate before both."""
    slow = ["Plateau", {**PLATEAU[1], "factor": 0.25, "patience": 4}]
    told = ["Tell", {"values": [1.0] * 12}]
    plateaus = [PLATEAU, slow]
    callbacks = [told, *(plateaus[::-1] if turned else plateaus), *schedule]
    asked = {"batches": 1, "epochs": 12, "stop": 6, "path": str(tmp_path / "backup")}
    answer = ask(backend, "interrupted", callbacks=callbacks, **asked)
    rates = reduced(reduced([0.5] * 12, 0.5, (3, 5, 7, 9, 11)), 0.25, (5, 9))
    assert answer["weights"] == falling_by(rates)
    assert answer["histories"][-1]["learning_rate"] == rates[6:]


@pytest.mark.parametrize("join", ["by hand", "twice"])
def test_each_counts_once(backend, join):
    asked = {"callbacks": [TELL, PLATEAU, scheduled_by(SPEC)], "batches": 1, "fits": [{"epochs": 10}], "join": join}
    answer = ask(backend, "called", **asked)
    if join == "twice":
        assert "Plateau: expected to stand in the list of callbacks once, got it twice" in answer["error"]
    else:
        assert answer["weights"] == falling_by(reduced(SCHEDULE.table(10)))


# --- A loop of one's own


@pytest.mark.parametrize(("unit", "order"), [("batch", (0, 1)), ("epoch", (1, 0))])
def test_callbacks_of_a_list_without_parameters_know_of_each_other(backend, unit, order):
    callbacks = [TELL, *([scheduled_by(SPEC, unit), PLATEAU][at] for at in order)]
    weights = ask(backend, "by_hand", callbacks=callbacks, batches=1, epochs=10)
    assert weights == falling_by(reduced(SCHEDULE.table(10)))


# --- Other batches


@pytest.mark.parametrize("then", [3, 16])
def test_with_other_batches_it_goes_on_with_the_updates_that_the_optimizer_has_made(backend, then, tmp_path):
    asked = {"callbacks": [scheduled_by(SPEC)], "batches": 8, "epochs": 4, "stop": 2}
    answer = ask(backend, "interrupted", then=then, path=str(tmp_path / "backup"), **asked)
    assert answer["weights"] == falling_by(SCHEDULE.table(2 * 8 + 2 * then))


@pytest.mark.parametrize(("then", "anew"), [(2, True), (12, False)])
def test_so_it_does_in_a_second_fit(backend, then, anew):
    fits = [{"epochs": 3}, {"epochs": 5, "initial_epoch": 3, "batches": then}]
    answer = ask(backend, "called", callbacks=[scheduled_by(SPEC)], batches=4, fits=fits, anew=anew)
    assert answer["weights"] == falling_by(SCHEDULE.table(3 * 4 + 2 * then))


@pytest.mark.parametrize(("then", "anew"), [(3, True), (6, False)])
def test_epochs_that_a_new_optimizer_has_left_out_are_remembered(backend, then, anew):
    fits = [{"epochs": 5, "initial_epoch": 3}, {"epochs": 7, "initial_epoch": 5, "batches": then}]
    answer = ask(backend, "called", callbacks=[scheduled_by(SPEC)], batches=3, fits=fits, anew=anew)
    assert answer["weights"] == falling_by(SCHEDULE.table(6 + 2 * then, start=9))


def test_also_in_a_backup(backend, tmp_path):
    asked = {"callbacks": [scheduled_by(SPEC)], "batches": 3, "epochs": 7, "initial_epoch": 3, "stop": 5}
    answer = ask(backend, "interrupted", then=6, path=str(tmp_path / "backup"), **asked)
    assert answer["weights"] == falling_by(SCHEDULE.table(6 + 2 * 6, start=9))


# --- Files that are loaded before a fit

LEFT_OUT = [{"epochs": 7, "initial_epoch": 1}, {"epochs": 10, "initial_epoch": 7}]


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_to_callbacks_that_have_the_model_a_file_brings_all_back(backend, name, tmp_path):
    asked = {"callbacks": [scheduled_by(SPEC), TELL, PLATEAU], "batches": 1, "fits": LEFT_OUT, "is_joined": True}
    answer = ask(backend, "reloaded", path=str(tmp_path / name), **asked)
    assert answer["weights"] == falling_by(reduced(SCHEDULE.table(10))[1:])
    assert answer["warned"] == []


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_without_them_it_is_said(backend, name, tmp_path):
    asked = {"callbacks": [scheduled_by(SPEC), TELL, PLATEAU], "batches": 1, "fits": LEFT_OUT, "is_joined": False}
    said = " ".join(ask(backend, "reloaded", path=str(tmp_path / name), **asked)["warned"])
    assert "Plateau: expected to have seen the 7 epochs before this fit, got 0" in said
    assert "ScheduleCallback: expected an optimizer that has seen the 7 batches before epoch 7, got one that" in said


@pytest.mark.parametrize("is_joined", [False, True])
def test_so_it_is_with_snapshots(backend, is_joined, tmp_path):
    fits = [{"epochs": 3}, {"epochs": 5, "initial_epoch": 3}]
    asked = {"callbacks": [["SGDR", CYCLES]], "batches": 2, "fits": fits, "is_joined": is_joined}
    answer = ask(backend, "reloaded", path=str(tmp_path / "a.keras"), **asked)
    ends = answer["weights"][1::2]
    if is_joined:
        assert (answer["kept"], answer["warned"]) == (ends, [])
    else:
        assert answer["kept"] == ends[2:]
        assert "SGDR: expected to know of the cycles before step 6" in answer["warned"][0]


@pytest.mark.parametrize("at", [0, -1])
def test_a_backup_before_a_plateau_in_the_list_is_noticed(backend, at, tmp_path):
    asked = {"callbacks": [TELL, PLATEAU], "batches": 1, "epochs": 10, "stop": 4, "at": at}
    answer = ask(backend, "interrupted", path=str(tmp_path / "backup"), **asked)
    if at == 0:
        assert "Plateau: expected to have seen the 4 epochs before this fit, got 3" in answer["warned"][0]
    else:
        assert (answer["weights"], answer["warned"]) == (falling_by(reduced([0.5] * 10)), [])


# --- SGDR

CYCLES = {"init_value": 0.5, "end_value": 0.125, "period": 2}


def ends_of(weights, batches, unit, keep=None):
    """The weights before each restart; after the last update too, if a cycle ends with it."""
    span = CYCLES["period"] * (batches if unit == "epoch" else 1)
    return weights[span - 1 :: span][-keep if keep else 0 :]


@pytest.mark.parametrize(
    ("unit", "stop", "keep", "at"),
    [("batch", 3, None, -1), ("epoch", 3, 2, 0), ("batch", 4, 3, 0), ("epoch", 4, None, -1)],
)
def test_a_backup_brings_snapshots_back(backend, unit, at, keep, stop, tmp_path):
    callbacks = [["SGDR", {**CYCLES, "unit": unit, "keep": keep}]]
    asked = {"batches": 3, "epochs": 8, "stop": stop, "path": str(tmp_path / "backup"), "at": at}
    answer = ask(backend, "interrupted", callbacks=callbacks, **asked)
    assert len(answer["weights"]) == 24
    assert answer["kept"] == ends_of(answer["weights"], 3, unit, keep)


@pytest.mark.parametrize("unit", ["batch", "epoch"])
def test_snapshots_go_on_in_a_second_fit_with_an_initial_epoch(backend, unit):
    fits = [{"epochs": 3}, {"epochs": 6, "initial_epoch": 3}, {"epochs": 6, "initial_epoch": 6}]
    answer = ask(backend, "called", callbacks=[["SGDR", {**CYCLES, "unit": unit}]], batches=3, fits=fits)
    assert answer["kept"] == ends_of(answer["weights"], 3, unit)


def test_by_epochs_a_fit_from_the_first_one_begins_anew(backend):
    fits = [{"epochs": 5}, {"epochs": 4}]
    answer = ask(backend, "called", callbacks=[["SGDR", {**CYCLES, "unit": "epoch"}]], batches=1, fits=fits)
    assert answer["kept"] == [answer["weights"][at] for at in (6, 8)]


def network():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    return model


def test_snapshots_are_those_of_one_model():
    callback = SGDR(0.1, 0.0, 2)
    for _ in range(2):
        network().fit(np.ones((6, 1)), np.ones(6), 1, verbose=0, callbacks=[callback])
        assert len(callback.snapshots) == 3


def test_files_of_cycles_and_of_what_was_trained_hold_one_model(tmp_path):
    model, large = network(), 64 * 2**10
    model.add(keras.layers.Dense(large // 4, use_bias=False))
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    path = str(tmp_path / "{step}.weights.h5")
    model.fit(np.ones((8, 1)), np.ones((8, large // 4)), 1, verbose=0, callbacks=[SGDR(0.1, 0.0, 2, path=path)])
    model.save_weights(tmp_path / "last.weights.h5")
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert len(sizes) == 5
    assert max(sizes) < 2 * large


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"unit": "epochs"}, ValueError, r"^SGDR\.unit: expected 'batch' or 'epoch', got 'epochs'"),
        ({"keep": -1}, ValueError, r"^SGDR\.keep: "),
    ],
)
def test_what_sgdr_refuses_it_refuses_by_its_name(arguments, error, message):
    with pytest.raises(error, match=message):
        SGDR(0.1, 0.0, 2, **arguments)


def test_so_it_does_when_the_training_begins():
    model = network()
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)), loss="mse")
    with pytest.raises(ValueError, match=r"^SGDR: expected an optimizer whose learning rate is a number, got"):
        model.fit(np.ones((2, 1)), np.ones(2), verbose=0, callbacks=[SGDR(0.1, 0.0, 2)])


# --- Beside others


def test_callbacks_of_another_fit_are_none_of_this_one():
    """One that has failed, and an evaluation that was given them."""
    model, ones = network(), np.ones((2, 1))
    first, second = (ScheduleCallback(0.1) for _ in range(2))
    plateau = Plateau("loss", patience=0)
    failing = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: 1 // epoch)
    with pytest.raises(ZeroDivisionError):
        model.fit(ones, ones, verbose=0, callbacks=[first, plateau, failing])
    plateau.plateau.scale = 0.5
    model.evaluate(ones, ones, verbose=0, callbacks=[first, plateau])
    model.fit(ones, ones, verbose=0, callbacks=[second])
    assert second.value == 0.1


def test_before_a_callback_that_sets_the_rate_after_a_batch_the_logger_says_what_was_used():
    model, ones = network(), np.ones((4, 1))
    later = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, **_: setattr(model.optimizer, "learning_rate", 2.0 ** -(batch + 1))
    )
    history = model.fit(ones, ones, 1, verbose=0, callbacks=[LearningRateLogger(), later])
    assert history.history["learning_rate"] == [2.0**-3]


@pytest.mark.parametrize(("unit", "at"), [("batch", None), ("batch", 0), ("epoch", 2), ("batch", 4)])
def test_a_finder_leaves_them_right(backend, unit, at):
    """It runs before them, or at a place among them."""
    callbacks = [scheduled_by(SPEC, unit), TELL, PLATEAU, LOGGER]
    answer = ask(backend, "after_a_finder", callbacks=callbacks, batches=2, epochs=10, updates=20, at=at)
    steps = range(20) if unit == "batch" else [k // 2 for k in range(20)]
    rates = np.array([SCHEDULE(k) for k in steps]) * np.repeat(reduced([1.0] * 10), 2)
    is_overwritten = at == 0 and unit == "batch"  # the schedule comes after it, and has the last word
    assert answer["tried"] == falling_by(SCHEDULE.table(20) if is_overwritten else [0.001 * 1.25**k for k in range(20)])
    assert answer["weights"] == falling_by(rates)
    assert answer["history"]["learning_rate"] == rates[1::2].astype(np.float32).tolist()


@pytest.mark.parametrize("at", [None, 1])
def test_a_finder_leaves_sgdr_and_functions_right(backend, at):
    asked = {"batches": 2, "epochs": 3, "updates": 20, "at": at}
    answer = ask(backend, "after_a_finder", callbacks=[["SGDR", CYCLES]], **asked)
    assert answer["weights"] == falling_by(lr.sgdr(**CYCLES).table(6))
    assert answer["kept"] == answer["weights"][1::2]
    answer = ask(backend, "after_a_finder", callbacks=[scheduled_by("falling")], **asked)
    assert answer["weights"] == falling_by(FALLING[:6])


@pytest.mark.parametrize("jit", [True, False])
def test_compiled_or_not_the_rates_are_the_same(backend, jit):
    """On torch too, where Keras compiles only if it is told to. SGDR drives as any ScheduleCallback does."""
    asked = {"callbacks": [["SGDR", CYCLES], TELL, PLATEAU, LOGGER], "compiled": {"jit_compile": jit}}
    answer = ask(backend, "called", batches=2, fits=[{"epochs": 10}], **asked)
    rates = lr.sgdr(**CYCLES).table(20) * np.repeat(reduced([1.0] * 10), 2)
    assert answer["weights"] == falling_by(rates)
    assert answer["histories"][0]["learning_rate"] == rates[1::2].astype(np.float32).tolist()
    assert answer["kept"] == answer["weights"][1::2]
