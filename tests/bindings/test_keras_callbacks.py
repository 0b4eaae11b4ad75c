"""Callbacks of the Keras binding on each backend: the learning rate of each update, read from the weights."""

import doctest
import math

import keras
import numpy as np
import pytest
from keras_trainer import BACKENDS, ask

import lrcore as lr
import lrcore.bindings.keras.callbacks
import lrcore.bindings.keras.hyperparameters
import lrcore.bindings.keras.sgdr
from lrcore.bindings.keras import SGDR, LearningRateLogger, Plateau, ScheduleCallback, learning_rate, scheduled

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SCHEDULE = lr.warmup_cosine(0.5, 0.125, 4, 17)
SPEC = SCHEDULE.to_dict()
LOGGER = ["LearningRateLogger", {}]
TOLD = [1.0, 0.5, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4]


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def falling_by(rates):
    """A float32 weight, from 0, that each rate is taken from."""
    return np.subtract.accumulate(np.array([0.0, *rates], np.float32))[1:].tolist()


def in_float32(rates):
    return [float(np.float32(rate)) for rate in rates]


@pytest.mark.parametrize("module", ["callbacks", "hyperparameters", "sgdr"])
def test_the_examples_run(module):
    results = doctest.testmod(getattr(lrcore.bindings.keras, module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted >= 5
    assert results.failed == 0


# --- ScheduleCallback


def test_by_batches_after_k_updates_the_rate_is_the_schedule_at_k(backend):
    callbacks = [LOGGER, ["ScheduleCallback", {"schedule": SPEC}], ["BatchLogs", {}]]
    answer = ask(backend, "called", callbacks=callbacks, batches=5, fits=[{"epochs": 2}, {"epochs": 2}])
    rates = SCHEDULE.table(20, dtype="float32").tolist()
    assert answer["weights"] == falling_by(rates)
    assert answer["logs"] == [rates]
    assert [one["learning_rate"] for one in answer["histories"]] == [rates[4:10:5], rates[14::5]]


@pytest.mark.parametrize("optimizer", [{}, {"loss_scale": 4.0}], ids=["plain", "in a LossScaleOptimizer"])
def test_it_counts_updates_where_gradients_are_accumulated(backend, optimizer):
    optimizer = {"gradient_accumulation_steps": 2, **optimizer}
    callbacks = [["ScheduleCallback", {"schedule": SPEC}], LOGGER]
    answer = ask(backend, "called", callbacks=callbacks, batches=5, fits=[{"epochs": 4}], optimizer=optimizer)
    rates = SCHEDULE.table(10, dtype="float32").tolist()
    assert answer["weights"][1::2] == falling_by(rates)
    assert answer["histories"][0]["learning_rate"] == [rates[2], rates[4], rates[7], rates[9]]


def test_an_initial_epoch_stands_for_updates_that_a_new_optimizer_has_not_made(backend):
    fits = [{"epochs": 5, "initial_epoch": 3}, {"epochs": 6, "initial_epoch": 5}]
    answer = ask(backend, "called", callbacks=[["ScheduleCallback", {"schedule": SPEC}]], batches=3, fits=fits)
    assert answer["weights"] == falling_by(SCHEDULE.table(9, start=9))


def test_by_epochs_the_step_is_the_epoch(backend):
    callbacks = [["ScheduleCallback", {"schedule": SPEC, "unit": "epoch"}], LOGGER]
    fits = [{"epochs": 4}, {"epochs": 7, "initial_epoch": 5}]
    answer = ask(backend, "called", callbacks=callbacks, batches=3, fits=fits)
    rates = in_float32(SCHEDULE(epoch) for epoch in (0, 1, 2, 3, 5, 6))
    assert answer["weights"] == falling_by(np.repeat(rates, 3))
    assert [*answer["histories"][0]["learning_rate"], *answer["histories"][1]["learning_rate"]] == rates


def test_durations_are_bound_to_the_run(backend):
    late = lr.Linear(0.0, 0.5, "1ep") >> lr.Linear(0.5, 0.0, "rest")
    bound = lr.Linear(0.0, 0.5, 3) >> lr.Linear(0.5, 0.0, 6)
    answer = ask(
        backend,
        "called",
        callbacks=[["ScheduleCallback", {"schedule": late.to_dict()}]],
        batches=6,
        fits=[{"epochs": 3}],
        optimizer={"gradient_accumulation_steps": 2},
    )
    assert answer["weights"][1::2] == falling_by(bound.table(9))


@pytest.mark.parametrize(
    ("given", "unit", "rates"),
    [
        (["ScheduleCallback", {"schedule": "step"}], 2, [0.5 / (k + 1) for k in range(5)]),
        (["ScheduleCallback", {"schedule": "tensor"}], 2, [0.5**k for k in range(2, 7)]),
        (["ScheduleCallback", {"schedule": "tensor", "unit": "batch"}], 1, [0.5**k for k in range(2, 12)]),
    ],
    ids=["of the epoch", "a tensor", "by batches"],
)
def test_functions_of_the_articles(backend, given, unit, rates):
    answer = ask(backend, "called", callbacks=[given], batches=2, fits=[{"epochs": 5}])
    assert answer["weights"] == falling_by(np.repeat(rates, unit))


def test_the_scheduler_of_the_article_does_what_it_does_in_keras(backend):
    found = [
        ask(backend, "called", callbacks=callbacks, batches=1, fits=[{"epochs": 15}], optimizer={"rate": 0.001})
        for callbacks in (
            [["ScheduleCallback", {"schedule": "article"}], LOGGER],
            [["LearningRateScheduler", {"schedule": "article"}]],
        )
    ]
    assert found[0] == found[1]
    assert found[0]["histories"][0]["learning_rate"][9:] == pytest.approx(
        [0.001 * math.exp(-0.1 * k) for k in range(6)], rel=1e-6
    )


@pytest.mark.parametrize("unit", ["batch", "epoch"])
def test_a_backup_brings_it_back(backend, unit, tmp_path):
    callbacks = [["ScheduleCallback", {"schedule": SPEC, "unit": unit}], LOGGER]
    answer = ask(
        backend, "interrupted", callbacks=callbacks, batches=3, epochs=6, stop=4, path=str(tmp_path / "backup")
    )
    rates = SCHEDULE.table(18) if unit == "batch" else np.repeat(SCHEDULE.table(6), 3)
    assert answer["weights"] == falling_by(rates)
    assert answer["histories"][-1]["learning_rate"] == in_float32(rates[14::3])


def test_what_it_cannot_set_is_refused(backend):
    by_schedule = {"callbacks": [["ScheduleCallback", {"schedule": 0.1}]], "batches": 2, "fits": [{}]}
    answer = ask(backend, "called", optimizer={"schedule": SPEC}, **by_schedule)
    assert (
        "ScheduleCallback: expected an optimizer whose learning rate is a number, got one with Schedule: give the "
        "optimizer a number, and the schedule to a ScheduleCallback" in answer["error"]
    )
    twice = by_schedule | {"callbacks": 2 * by_schedule["callbacks"]}
    assert (
        "expected to set the learning rate alone, got another one in this fit"
        in ask(backend, "called", **twice)["error"]
    )
    if backend != "torch":  # where Keras has no such thing
        answer = ask(backend, "called", compiled={"steps_per_execution": 2}, **by_schedule)
        assert "expected a model that calls back for each batch, got one with steps_per_execution=2" in answer["error"]
    by_nothing = {"callbacks": [["ScheduleCallback", {"schedule": "nothing"}]], "batches": 2, "fits": [{}]}
    assert "expected a function that gives a number, got None" in ask(backend, "called", **by_nothing)["error"]


class Mine(ScheduleCallback):
    """One of a user's own."""


@pytest.mark.parametrize("given", [None, math.nan])
def test_a_function_is_refused_by_the_name_of_the_class(given):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    with pytest.raises((TypeError, ValueError), match=r"^Mine\.schedule: expected a function that gives a "):
        model.fit(np.ones((2, 1)), np.ones(2), verbose=0, callbacks=[Mine(lambda _: given)])


@pytest.mark.parametrize("unit", [None, "batch", "epoch"])
def test_functions_are_of_the_epoch_and_schedules_of_the_update_unless_it_is_said(unit):
    for of in (math.exp, lambda epoch, lr: lr * epoch):
        assert ScheduleCallback(of, unit).unit == (unit or "epoch")
    for of in (0.1, SCHEDULE, keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)):
        assert ScheduleCallback(of, unit).unit == (unit or "batch")


@pytest.mark.parametrize("given", ["cosine", None, True, keras.optimizers.schedules.LearningRateSchedule])
def test_what_is_no_schedule_is_refused(given):
    with pytest.raises(TypeError, match=r"^ScheduleCallback\.schedule: expected a schedule or a number, got "):
        ScheduleCallback(given)


def test_what_is_no_unit_is_refused():
    with pytest.raises(ValueError, match=r"^ScheduleCallback\.unit: expected 'batch' or 'epoch', got 'epochs'"):
        ScheduleCallback(0.1, unit="epochs")


# --- Plateau

REDUCING = {"monitor": "told", "factor": 0.5, "patience": 2, "mode": "min"}


@pytest.mark.parametrize("more", [{}, {"cooldown": 2}, {"min_lr": 0.2}, {"patience": 0}, {"mode": "max"}])
def test_alone_it_is_the_callback_of_keras(backend, more):
    ours, theirs = (
        ask(
            backend,
            "called",
            callbacks=[["Tell", {"values": TOLD}], [name, {**REDUCING, **more}]],
            batches=2,
            fits=[{"epochs": 10}],
        )
        for name in ("Plateau", "ReduceLROnPlateau")
    )
    assert ours == theirs
    assert len(set(ours["histories"][0]["learning_rate"])) > 1


def reduced(rates, batches, reductions):
    """Rates of which all from an epoch on are halved."""
    return [rate * 0.5 ** sum(at // batches >= epoch for epoch in reductions) for at, rate in enumerate(rates)]


@pytest.mark.parametrize("turned", [False, True])
def test_beside_a_schedule_it_multiplies(backend, turned):
    callbacks = [["Plateau", REDUCING], ["ScheduleCallback", {"schedule": SPEC}]]
    callbacks = [["Tell", {"values": TOLD}], *(callbacks[::-1] if turned else callbacks)]
    answer = ask(backend, "called", callbacks=callbacks, batches=2, fits=[{"epochs": 10}])
    assert answer["weights"] == falling_by(reduced(SCHEDULE.table(20), 2, (4, 8)))


@pytest.mark.parametrize(
    "callbacks", [[], [["ScheduleCallback", {"schedule": SPEC}]]], ids=["alone", "with a schedule"]
)
@pytest.mark.parametrize("stop", [3, 5, 7])
def test_a_backup_brings_its_state_back(backend, callbacks, stop, tmp_path):
    callbacks = [*callbacks, ["Tell", {"values": TOLD}], ["Plateau", REDUCING]]
    path = str(tmp_path / "backup")
    answer = ask(backend, "interrupted", callbacks=callbacks, batches=2, epochs=10, stop=stop, path=path)
    rates = SCHEDULE.table(20) if len(callbacks) > 2 else [0.5] * 20
    assert answer["weights"] == falling_by(reduced(rates, 2, (4, 8)))


def test_a_fit_from_the_first_epoch_forgets_and_one_with_an_initial_epoch_goes_on(backend):
    callbacks = [["Tell", {"values": TOLD}], ["Plateau", REDUCING]]
    whole, parts, again = (
        ask(backend, "called", callbacks=callbacks, batches=1, fits=fits)["weights"]
        for fits in (
            [{"epochs": 10}],
            [{"epochs": 3}, {"epochs": 10, "initial_epoch": 3}],
            [{"epochs": 3}, {"epochs": 10}],
        )
    )
    assert parts == whole
    assert np.diff(again[2:]).tolist() == pytest.approx([-rate for rate in reduced([0.5] * 10, 1, (4, 8))], rel=1e-6)


def test_it_knows_what_is_better_as_keras_does(backend):
    answer = ask(
        backend,
        "called",
        callbacks=[["Plateau", {"monitor": "loss", "patience": 0}], LOGGER],
        batches=1,
        fits=[{"epochs": 3}],
    )
    assert answer["histories"][0]["learning_rate"] == [0.5, 0.5, 0.5]  # the loss falls


def test_an_optimizer_with_a_schedule_is_refused(backend):
    asked = {
        "callbacks": [["Plateau", {"monitor": "loss"}]],
        "batches": 2,
        "fits": [{}],
        "optimizer": {"schedule": SPEC},
    }
    assert "got one with Schedule: give the optimizer a number, and the" in ask(backend, "called", **asked)["error"]


@pytest.mark.parametrize(("name", "value"), [("factor", 1.0), ("patience", -1), ("min_lr", -0.1), ("mode", "low")])
def test_arguments_outside_of_what_they_mean_are_refused(name, value):
    with pytest.raises(ValueError, match=r"^Plateau\.\w+: expected "):
        Plateau(**{name: value})


def test_a_metric_that_is_not_there_is_said():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    with pytest.warns(UserWarning, match=r"^Plateau\.monitor: expected a metric of this epoch .*, got 'val_loss'"):
        model.fit(np.ones((2, 1)), np.ones(2), verbose=0, callbacks=[Plateau()])


def test_its_state_is_no_part_of_the_model(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    before = (len(model.layers), len(model.weights), len(model.optimizer.variables))
    model.save_weights(tmp_path / "before.weights.h5")
    plateau = Plateau("loss", patience=1)
    model.fit(np.ones((2, 1)), np.ones(2), verbose=0, callbacks=[plateau])
    assert (len(model.layers), len(model.weights), len(model.optimizer.variables)) == before
    best = plateau.plateau.best
    model.load_weights(tmp_path / "before.weights.h5")  # which says nothing of it
    assert plateau.plateau.best == best
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.layers) == 1


# --- LearningRateLogger


@pytest.mark.parametrize("count", [None, 2])
def test_it_says_what_the_last_update_used(backend, count):
    optimizer = {"schedule": SPEC, "gradient_accumulation_steps": count}
    callbacks = [LOGGER, ["BatchLogs", {}]]
    answer = ask(backend, "called", callbacks=callbacks, batches=6, fits=[{"epochs": 2}], optimizer=optimizer)
    rates = np.repeat(SCHEDULE.table(12 // (count or 1), dtype="float32"), count or 1).tolist()
    assert answer["logs"] == [rates]
    assert answer["histories"][0]["learning_rate"] == rates[5::6]


def test_it_says_what_schedules_of_keras_say(backend):
    answer = ask(backend, "logged", updates=5)
    assert answer == pytest.approx([0.5, 0.25, 0.125, 0.0625, 0.03125])


def test_the_rate_is_read_on_the_host():
    assert learning_rate(keras.optimizers.SGD(0.5)) == 0.5
    assert learning_rate(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))) == 0.5
    with pytest.raises(TypeError, match=r"^learning_rate\.optimizer: expected an optimizer of Keras"):
        learning_rate("SGD")


def test_a_name_is_a_text():
    with pytest.raises(TypeError, match=r"^LearningRateLogger\.name: expected a text, got 3"):
        LearningRateLogger(3)


# --- SGDR

CYCLES = {"init_value": 0.5, "end_value": 0.125, "period": 2, "period_mult": 2}


@pytest.mark.parametrize("unit", ["batch", "epoch"])
def test_it_keeps_the_weights_of_each_end(backend, unit, tmp_path):
    answer = ask(backend, "snapshots", arguments={**CYCLES, "unit": unit}, batches=2, epochs=7, path=str(tmp_path))
    cosines = lr.sgdr(**CYCLES)
    rates = cosines.table(14) if unit == "batch" else np.repeat(cosines.table(7), 2)
    ends = (2, 6, 14) if unit == "batch" else (4, 12)
    assert answer["weights"] == falling_by(rates)
    assert answer["kept"] == [answer["weights"][end - 1] for end in ends]
    assert answer["mean"] == pytest.approx(np.mean(answer["kept"]), rel=1e-6)
    assert answer["after"] == answer["weights"][-1]
    steps = (2, 6, 14) if unit == "batch" else (2, 6)
    assert {path.name for path in tmp_path.iterdir()} == {f"{step}.weights.h5" for step in steps}


@pytest.mark.parametrize("keep", [0, 2])
def test_it_keeps_the_last_ones(backend, keep):
    answer = ask(backend, "snapshots", arguments={**CYCLES, "period_mult": 1, "keep": keep}, batches=4, epochs=2)
    assert answer["kept"] == [answer["weights"][at] for at in ((5, 7) if keep else ())]


def test_each_output_has_its_mean():
    entry = keras.Input((1,))
    model = keras.Model(entry, [keras.layers.Dense(1)(entry), keras.layers.Dense(2)(entry)])
    model.compile(keras.optimizers.SGD(0.1), loss=["mse", "mse"])
    ones, callback = np.ones((4, 1)), SGDR(0.1, 0.0, 2)
    model.fit(ones, [ones, np.ones((4, 2))], 1, verbose=0, callbacks=[callback])
    found = callback.predict(ones, verbose=0)
    assert [one.shape for one in found] == [(4, 1), (4, 2)]
    each = []
    for weights in callback.snapshots:
        model.set_weights(weights)
        each.append(model.predict(ones, verbose=0))
    for at, one in enumerate(found):
        np.testing.assert_allclose(one, sum(part[at] for part in each) / 2, rtol=1e-6)


def test_without_snapshots_there_is_no_ensemble():
    with pytest.raises(ValueError, match=r"^SGDR\.predict: expected snapshots in memory, got none"):
        SGDR(0.1, 0.0, 2).predict(np.ones((1, 1)))


# --- Schedules of other numbers

MOMENTUM = lr.Linear(0.0, 0.875, 7)
DECAY = lr.Cosine(0.25, 0.0, 6)


def descended(update, updates):
    """A weight in float64 from 0, of which `update(k, weight, state)` gives the next."""
    weight, state, found = 0.0, {}, []
    for k in range(updates):
        weight = update(k, weight, state)
        found.append(weight)
    return found


def with_momentum(nesterov):
    def update(k, weight, state):
        state["v"] = MOMENTUM(k) * state.get("v", 0.0) - 0.5
        return weight + (MOMENTUM(k) * state["v"] - 0.5 if nesterov else state["v"])

    return update


def with_rms(k, weight, state):
    state["s"] = 0.5 * state.get("s", 0.0) + 0.5
    state["m"] = MOMENTUM(k) * state.get("m", 0.0) + 0.5 / np.sqrt(state["s"] + 1e-7)
    return weight - state["m"]


def with_adam(k, weight, state):
    state["m"] = state.get("m", 0.0) + (1 - state.get("m", 0.0)) * (1 - MOMENTUM(k))
    state["s"] = state.get("s", 0.0) + (1 - state.get("s", 0.0)) * (1 - 0.999)
    rate = 0.5 * np.sqrt(1 - 0.999 ** (k + 1)) / (1 - MOMENTUM(k) ** (k + 1))
    return weight - rate * state["m"] / (np.sqrt(state["s"]) + 1e-7)


def with_decay(k, weight, _):
    return weight - weight * DECAY(k) * 0.5 - 0.5


def with_lion(k, weight, _):
    weight -= weight * DECAY(k) * 0.5
    return weight - 0.5


FOLLOWED = {
    "momentum": ({"momentum": 0.9}, {"momentum": MOMENTUM}, with_momentum(False)),
    "Nesterov": ({"momentum": 0.9, "nesterov": True}, {"momentum": MOMENTUM}, with_momentum(True)),
    "RMSprop": ({"kind": "RMSprop", "momentum": 0.5, "rho": 0.5}, {"momentum": MOMENTUM}, with_rms),
    "Adam": ({"kind": "Adam"}, {"beta_1": MOMENTUM}, with_adam),
    "weight decay": ({}, {"weight_decay": DECAY}, with_decay),
    "Lion": ({"kind": "Lion"}, {"weight_decay": DECAY}, with_lion),
}


@pytest.mark.parametrize("count", [None, 2])
@pytest.mark.parametrize("name", FOLLOWED)
def test_numbers_follow_their_schedules(backend, name, count):
    arguments, schedules, update = FOLLOWED[name]
    specs = {one: schedule.to_dict() for one, schedule in schedules.items()}
    optimizer = {**arguments, "schedules": specs, "gradient_accumulation_steps": count}
    answer = ask(backend, "followed", optimizer=optimizer, updates=10 * (count or 1))
    assert answer["weights"][(count or 1) - 1 :: count or 1] == pytest.approx(descended(update, 10), rel=2e-5)
    assert answer["now"] == {one: float(np.float32(schedule(10))) for one, schedule in schedules.items()}


def test_it_is_saved_as_a_plain_optimizer(backend, tmp_path):
    optimizer = {"momentum": 0.9, "schedules": {"momentum": MOMENTUM.to_dict()}, "loss_scale": None}
    answer = ask(backend, "followed", optimizer=optimizer, updates=3, path=str(tmp_path / "model.keras"))
    assert (answer["loaded"], answer["class"]) == (MOMENTUM(3), True)


def test_without_it_a_traced_step_is_deaf(backend):
    """Why a callback cannot do it: the number that it sets is a constant of the step by then."""
    weights = ask(backend, "deaf", updates=3)
    velocities = [-0.5, -0.75, -0.875]
    then = 0.25 if backend == "torch" else 0.5
    for _ in range(3):
        velocities.append(then * velocities[-1] - 0.5)
    assert weights == pytest.approx(np.add.accumulate(velocities), rel=1e-6)


@pytest.mark.parametrize(
    ("given", "names", "message"),
    [
        (
            keras.optimizers.SGD(),
            {"beta_1": 0.9},
            r"scheduled: expected a number of SGD \(momentum, weight_decay\), got 'beta_1'",
        ),
        (keras.optimizers.Adam(), {"beta1": 0.9}, "got 'beta1': did you mean 'beta_1'"),
        ("SGD", {}, "expected an optimizer of Keras, and not several"),
    ],
)
def test_numbers_that_are_not_there_are_refused(given, names, message):
    with pytest.raises((TypeError, ValueError), match=message):
        scheduled(given, **names)


def test_an_optimizer_without_momentum_has_none_to_schedule():
    optimizer = keras.optimizers.SGD()
    optimizer.build([keras.Variable([0.0])])
    with pytest.raises(ValueError, match="expected a SGD with momentum, got one that was built without it"):
        scheduled(optimizer, momentum=0.5)


def test_a_number_with_a_schedule_is_not_set():
    optimizer = scheduled(keras.optimizers.SGD(momentum=0.9), momentum=0.5)
    with pytest.raises(AttributeError, match="momentum: expected no other value than that of its schedule, got 0"):
        optimizer.momentum = 0.75
