"""lrcore.bindings.keras: steps, models on disk, refusals."""

import copy
import doctest
import json
import pickle

import keras
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lrcore as lr
import lrcore.bindings.keras.schedule
from cases import CASES
from lrcore.bindings.keras import Schedule
from lrcore.tables import open_table

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

LARGEST = float(np.finfo(np.float32).max)
SCHEDULE = lr.sgdr(0.5, 0.01, period=4, period_mult=2).warmup(3)


def model_of(schedule):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer=keras.optimizers.Adam(Schedule(schedule)), loss="mse")
    return model


def fit(model, updates):
    features = np.ones((4 * updates, 3), np.float32)
    model.fit(features, np.zeros((4 * updates, 2), np.float32), batch_size=4, verbose=0)


def test_the_examples_run():
    results = doctest.testmod(lrcore.bindings.keras.schedule, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 5
    assert results.failed == 0


def test_it_is_a_schedule_of_keras():
    assert isinstance(Schedule(SCHEDULE), keras.optimizers.schedules.LearningRateSchedule)


def test_a_number_is_a_constant_schedule():
    assert Schedule(0.25).schedule == lr.Constant(0.25)


def test_it_is_the_same_as_another_of_the_same_schedule():
    same, every = Schedule(lr.sgdr(0.5, 0.01, period=4, period_mult=2).warmup(3)), Schedule(SCHEDULE, every=2)
    assert (Schedule(SCHEDULE), hash(Schedule(SCHEDULE))) == (same, hash(same))
    assert len({Schedule(SCHEDULE), same, every, Schedule(0.1)}) == 3
    assert Schedule(SCHEDULE) != SCHEDULE


def test_it_shows_what_makes_it():
    shown = repr(Schedule(lr.Linear(0.5, 0.0, 4))), repr(Schedule(lr.Constant(0.1), every=2))
    assert shown == (f"Schedule({lr.Linear(0.5, 0.0, 4)!r})", f"Schedule({lr.Constant(0.1)!r}, every=2)")


# --- Steps

FAR = 2**31 - 1


@pytest.mark.parametrize(
    "as_step",
    [
        int,
        np.int64,
        np.uint32,
        np.array,
        lambda step: keras.Variable(step, dtype="int64", trainable=False),
        lambda step: keras.ops.convert_to_tensor(step, dtype="int32"),
    ],
    ids=["int", "int64", "uint32", "array", "variable", "tensor"],
)
@pytest.mark.parametrize("step", [0, 1, 2**24 + 1, FAR])
def test_any_kind_of_integer_is_a_step(step, as_step):
    schedule = lr.Linear(1.0, 0.0, 2**40)
    value = Schedule(schedule)(as_step(step))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert float(value) == np.float32(schedule(step))


@pytest.mark.parametrize(
    "step",
    [0.0, np.float32(0.0), True, keras.ops.convert_to_tensor(0.5), keras.ops.convert_to_tensor(True)],
    ids=["float", "float32", "bool", "tensor", "bool tensor"],
)
def test_other_steps_are_refused(step):
    with pytest.raises(TypeError, match=r"^step: expected .*int"):
        Schedule(SCHEDULE)(step)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("step", "counted"), [(3.0, 3), (0.0, 0), (-999.0, 0)])
def test_a_variable_of_floats_may_count_as_the_decays_of_keras_have_it(step, counted):
    assert float(Schedule(SCHEDULE)(keras.Variable(step))) == np.float32(SCHEDULE(counted))


@pytest.mark.parametrize("step", [0.5, float("nan"), float("inf")])
def test_no_other_float_counts(step):
    with pytest.raises(TypeError, match=r"^step: expected an integer, got "):
        Schedule(SCHEDULE)(keras.Variable(step))


def test_a_counter_that_wrapped_around_is_refused():
    with pytest.raises(ValueError, match=r"^step: expected .* got -2147483648"):
        Schedule(SCHEDULE)(keras.Variable(-(2**31), dtype="int32", trainable=False))


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)])
def test_a_part_of_an_update_is_no_step(every, error):
    with pytest.raises(error, match=r"^Schedule\.every: expected a whole number of micro-batches, an int >= 1, got "):
        Schedule(SCHEDULE, every=every)


def test_an_update_may_take_several_steps():
    rates = [float(Schedule(SCHEDULE, every=4)(step)) for step in range(12)]
    assert rates == np.repeat(SCHEDULE.table(3, dtype="float32"), 4).tolist()


@pytest.mark.parametrize("given", ["cosine", None, True, keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)])
def test_what_is_no_schedule_is_refused(given):
    with pytest.raises(TypeError, match=r"^Schedule\.schedule: expected a schedule or a number, got "):
        Schedule(given)


# --- On a device of torch

ON_DEVICE = [case for case in CASES if case.schedule().length is not None or not case.name.startswith("Noise")]


def computed_at(schedule, steps):
    """What a counter on a device gets; here it is on the CPU, where there is a value to read."""
    return Schedule(schedule)._traced(torch.tensor(steps, dtype=torch.int32), 1)


@pytest.mark.parametrize("case", ON_DEVICE, ids=lambda case: case.name)
def test_a_device_computes_the_rates(case):
    schedule, steps = case.schedule(), [0, 1, 2, 3, 5, 8, 13, 100, 1000, 2**16 - 1]
    found = computed_at(schedule, steps)
    assert (found.dtype, found.shape) == (torch.float32, (len(steps),))
    expected = np.clip(schedule(np.array(steps)), -LARGEST, LARGEST).astype(np.float32)
    np.testing.assert_array_equal(found.numpy(), expected)
    one = computed_at(schedule, steps[5])
    assert (one.shape, one.item()) == ((), expected[5])


@pytest.mark.parametrize("case", ON_DEVICE, ids=lambda case: case.name)
def test_a_device_computes_the_rates_far_out(case):
    schedule, steps = case.schedule(), [99_999, 2**24 + 1, 2**31 - 1]
    ends = [*range(200), 2**31 - 1 if schedule.length is None else schedule.length]
    scale = np.max(np.abs(schedule(np.array(ends))))  # of the larger end, or of what it has grown to
    expected = np.clip(schedule(np.array(steps)), -LARGEST, LARGEST)
    np.testing.assert_allclose(computed_at(schedule, steps).numpy(), expected, rtol=0, atol=8 * 2**-24 * scale)


class Operations(TorchDispatchMode):
    """The operations of torch, by their names, and the devices of their tensors."""

    def __init__(self):
        super().__init__()
        self.names, self.devices = [], set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.names.append(function.name())
        self.devices |= {each.device.type for each in (*args, result) if isinstance(each, torch.Tensor)}
        return result


@pytest.mark.parametrize("schedule", [lr.Cosine(0.1, 0.0, 50), SCHEDULE], ids=["table", "closed form"])
def test_an_update_never_waits_for_a_device(schedule):
    """A tensor on the meta device has no value to read. Nothing comes from the host but the first time."""
    with keras.device("meta"):
        made, counter = Schedule(schedule, every=2), torch.tensor(3, dtype=torch.int32, device="meta")
        made(counter)
        with Operations() as seen:
            rate = made(counter)
    assert (rate.device.type, rate.dtype, rate.shape) == ("meta", torch.float32, ())
    assert seen.devices == {"meta"}
    assert "aten::_local_scalar_dense" not in seen.names


def test_torch_compile_leaves_it_alone(caplog):
    """Without warnings that it can neither read the counter nor look for the optimizer; and updates are counted."""
    made = keras.optimizers.SGD(Schedule(lr.Linear(1.0, 0.0, 4)), gradient_accumulation_steps=2)
    weight, gradient = keras.Variable(np.zeros(1, np.float32)), torch.ones(1)
    made.build([weight])
    update = torch.compile(lambda: made.apply([gradient], [weight]), backend="eager")
    torch._dynamo.utils.counters.clear()
    for _ in range(4):
        update()
    assert weight.value.item() == -1.75
    asked = torch.compile(lambda step: 2.0 * made._learning_rate(step), backend="eager")
    assert asked(torch.tensor(3)).item() == 0.5
    breaks = "".join(torch._dynamo.utils.counters["graph_break"])
    assert "Tensor.item" not in breaks + caplog.text
    assert "sys._getframe" not in breaks


def test_copies_hold_nothing_of_a_device():
    schedule = Schedule(SCHEDULE)
    schedule._traced(torch.tensor(3), 1)
    assert schedule._compiled
    for copied in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert copied.schedule == SCHEDULE
        assert not copied._compiled


# --- On disk


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_config_is_a_spec_that_gives_the_schedule_back(case):
    schedule = case.schedule()
    config = json.loads(json.dumps(Schedule(schedule, every=3).get_config()))
    assert config == {"schedule": schedule.to_dict(), "every": 3}
    loaded = Schedule.from_config(config)
    assert (loaded.schedule, loaded.every) == (schedule, 3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_configs_of_old_models_hold_an_expression(case):
    schedule = case.schedule()
    loaded = Schedule.from_config({"schedule": repr(schedule)})
    assert (loaded.schedule, loaded.every) == (schedule, None)


def test_a_config_is_never_executed(tmp_path):
    witness = tmp_path / "executed"
    with pytest.raises(ValueError, match="expected a curve"):
        Schedule.from_config({"schedule": f"__import__('pathlib').Path({str(witness)!r}).touch()"})
    assert not witness.exists()


def test_keras_knows_it_by_its_registered_name():
    config = keras.optimizers.schedules.serialize(Schedule(SCHEDULE))
    assert config["registered_name"] == "lrcore>Schedule"
    assert keras.optimizers.schedules.deserialize(config).schedule == SCHEDULE


@pytest.mark.parametrize("stop", [1, 5])
def test_a_saved_model_goes_on_with_its_schedule(tmp_path, stop):
    model = model_of(SCHEDULE)
    fit(model, stop)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer._learning_rate, Schedule)
    for update in range(stop, stop + 6):
        assert float(loaded.optimizer.learning_rate) == np.float32(SCHEDULE(update))
        fit(loaded, 1)


def test_a_table_in_a_file_is_saved_by_its_name(tmp_path):
    SCHEDULE.save_table(tmp_path / "table.npy", 10)
    schedule = Schedule(open_table(tmp_path / "table.npy"))
    loaded = Schedule.from_config(schedule.get_config())
    assert [float(loaded(step)) for step in range(10)] == SCHEDULE.table(10, dtype="float32").tolist()


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda schedule: pickle.loads(pickle.dumps(schedule))], ids=["deepcopy", "pickle"]
)
def test_copies_are_the_same_schedule(copied):
    schedule = Schedule(SCHEDULE)
    schedule(1)
    assert copied(schedule).schedule == SCHEDULE
    assert float(copied(schedule)(2)) == float(schedule(2))


def test_a_fit_moves_the_rate_with_each_update():
    model, rates = model_of(SCHEDULE), []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda *_, **__: rates.append(float(model.optimizer.learning_rate))
    )
    model.fit(np.ones((40, 3)), np.zeros((40, 2)), batch_size=4, epochs=2, verbose=0, callbacks=[watch])
    assert rates == SCHEDULE.table(20, dtype="float32").tolist()
