"""Schedule in the training of Keras, on each backend: the learning rate of each update, read from the weights."""

import numpy as np
import pytest
from keras_trainer import BACKENDS, ask

import lrcore as lr
from cases import CASES
from lrcore.tracing import NumpyOperations, traced
from packages import required

UPDATES = 200
FAR = 2**31 - 10
TABLE, CLOSED = lr.warmup_cosine(0.3, 0.001, 5, 30), lr.sgdr(0.1, 0.001, 4)
SCHEDULES = [TABLE, CLOSED, lr.Constant(0.1), lr.Linear(1.0, 0.0, 999_999), lr.Linear(1.0, 0.0, 10_000_000)]
# Of each the rate changes from one update to the next, but not as float32 sees their numbers: these are all alike.
UP_AND_DOWN = [lr.sgdr(0.5, 0.125, 2), lr.Cycle(lr.Piecewise([1, 2], [0.5, 0.25, 0.125]), 3), lr.sgdr(0.5, 0.125, 7)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def is_computed(schedule):
    try:
        return traced(schedule, np.array([0]), NumpyOperations()) is not None
    except ValueError:
        return False


def falling_by(rates, begin=0.0):
    """A float32 weight that each rate is taken from."""
    return np.subtract.accumulate(np.array([begin, *rates], np.float32))[1:].tolist()


def rates_of(schedule, updates, begin=0):
    return schedule.table(updates, start=begin, dtype="float32").tolist()


def test_each_process_has_its_backend(backend):
    assert ask(backend, "backend") == backend


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_the_optimizer_says_the_rate_that_it_uses(backend, schedule):
    rates = rates_of(schedule, UPDATES + 1)
    answer = ask(backend, "trained", schedule=schedule.to_dict(), updates=UPDATES)
    assert answer == {"first": rates[0], "next": rates[-1], "weights": falling_by(rates[:-1])}


@pytest.mark.parametrize("begin", [2**16 - 4, 2**24 - 4, 2**24 + 1, FAR])
@pytest.mark.parametrize("schedule", UP_AND_DOWN, ids=["two", "three", "seven"])
def test_every_step_counts_also_far_out(backend, schedule, begin):
    rates = rates_of(schedule, 9, begin)
    assert len(set(rates[:4])) > 1
    answer = ask(backend, "trained", schedule=schedule.to_dict(), updates=8, begin=begin)
    assert answer["first"] == rates[0]
    assert answer["weights"] == pytest.approx(falling_by(rates[:-1]), rel=0, abs=8 * 4 * 2**-24)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("schedule", [TABLE, CLOSED], ids=["table", "closed form"])
def test_it_counts_updates_where_gradients_are_accumulated(backend, schedule, count):
    optimizer = {"gradient_accumulation_steps": count}
    answer = ask(backend, "trained", schedule=schedule.to_dict(), updates=5 * count, optimizer=optimizer)
    rates = rates_of(schedule, 6)
    assert answer["weights"][count - 1 :: count] == falling_by(rates[:-1])
    assert (answer["first"], answer["next"]) == (rates[0], rates[-1])


def test_it_counts_updates_within_a_loss_scale_optimizer(backend):
    schedule = TABLE
    answer = ask(
        backend,
        "trained",
        schedule=schedule.to_dict(),
        updates=10,
        optimizer={"gradient_accumulation_steps": 2},
        loss_scale=4.0,
    )
    assert answer["weights"][1::2] == falling_by(rates_of(schedule, 5))


def test_every_says_what_a_step_is(backend):
    """Who asks for it gets Keras' own way: an update uses the rate of its last micro-batch."""
    schedule = lr.Linear(0.5, 0.0, 8)
    optimizer = {"gradient_accumulation_steps": 2}
    asked = {"schedule": schedule.to_dict(), "updates": 8, "optimizer": optimizer}
    assert ask(backend, "trained", every=1, **asked)["weights"][1::2] == falling_by([schedule(k) for k in (1, 3, 5, 7)])
    slow = ask(backend, "trained", every=4, **asked)["weights"][1::2]
    assert slow == falling_by([schedule(k) for k in (0, 0, 1, 1)])


def test_several_steps_of_an_execution_have_rates_of_their_own(backend):
    rates = rates_of(TABLE, 12)
    steps = 1 if backend == "torch" else 4  # which Keras has on the other backends alone
    answer = ask(backend, "trained", schedule=TABLE.to_dict(), updates=12, steps_per_execution=steps)
    assert answer["weights"] == falling_by(rates)[steps - 1 :: steps]


def test_a_saved_model_goes_on_with_its_schedule(backend, tmp_path):
    schedule = lr.warmup_cosine(0.3, 0.001, 5, 30)
    weights = ask(backend, "saved", schedule=schedule.to_dict(), updates=6, path=str(tmp_path / "model.keras"))
    assert weights[1::2] == falling_by(rates_of(schedule, 6))


@pytest.mark.parametrize("schedule", [TABLE, CLOSED], ids=["table", "closed form"])
def test_a_compiled_function_of_ones_own_may_ask_it(backend, schedule):
    steps = [0, 1, 5, 17, 200]
    assert ask(backend, "alone", schedule=schedule.to_dict(), steps=steps) == [np.float32(schedule(s)) for s in steps]


def test_replicas_of_a_counter_are_one():
    required("tensorflow")
    answer = ask("tensorflow", "replicas", schedule=TABLE.to_dict(), updates=4)
    assert answer == ["MirroredVariable", np.float32(TABLE(4))]


@pytest.mark.parametrize(
    "schedule", [TABLE, lr.Linear(1.0, 0.0, 999_999), CLOSED], ids=["table", "long", "closed form"]
)
def test_an_update_is_compiled_to_the_same_kernels_as_with_a_decay_of_keras(schedule):
    """Which is why it costs the same: a benchmark alone could not tell a per cent from its noise."""
    required("tensorflow")
    ours, theirs = ask("tensorflow", "kernels", schedule=schedule.to_dict())
    assert ours == theirs
    assert "fusion" in ours


def test_what_neither_a_table_holds_nor_tensors_compute_is_refused_where_it_is_traced(backend):
    answer = ask(backend, "trained", schedule=lr.Noise(7).to_dict(), updates=2)
    if backend == "torch":
        assert "error" not in answer
    else:
        assert "Noise: expected a schedule that holds its value within 1000000 updates" in answer["error"]


def test_the_closed_form_by_the_operations_of_keras(backend):
    """All kinds of schedules at steps near and far, against the engine."""
    steps = [0, 1, 2, 3, 5, 8, 13, 100, 1000, 99_999, 2**24 + 1, 2**31 - 1]
    schedules = [case.schedule() for case in CASES if is_computed(case.schedule())]
    assert len(schedules) > 0.9 * len(CASES)
    answers = ask(backend, "closed", schedules=[schedule.to_dict() for schedule in schedules], steps=steps)
    for schedule, found in zip(schedules, answers, strict=True):
        wanted = schedule(np.array([*steps, steps[-1]]))
        ends = [*range(200), 2**31 - 1 if schedule.length is None else schedule.length]
        scale = np.max(np.abs(schedule(np.array(ends))))  # of the larger end, or of what it has grown to
        np.testing.assert_allclose(found, wanted, rtol=0, atol=8 * 2**-24 * scale, err_msg=repr(schedule))
