"""lrcore.bindings.torch: resume, nesting, groups and tensors."""

import copy
import doctest
import io
import pickle
import re

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler, SequentialLR

import lrcore as lr
import lrcore.bindings.torch
from lrcore.bindings.torch import Scheduler

SCHEDULE = lr.sgdr(0.5, 0.01, period=4, period_mult=2).warmup(3)
UPDATES = 20


def optimizer_of(groups=1, rate=1.0, **options):
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(2))]} for _ in range(groups)]
    return torch.optim.SGD(parameters, lr=rate, **options)


def rates_of(optimizer):
    return [float(group["lr"]) for group in optimizer.param_groups]


def run(optimizer, scheduler, updates):
    """The rate that each update uses."""
    used = []
    for _ in range(updates):
        used.append(rates_of(optimizer)[0])
        optimizer.step()
        scheduler.step()
    return used


def expected(begin=0, end=UPDATES):
    return SCHEDULE.table(end - begin, start=begin).tolist()


def saved(state):
    """A state through a file, as the default of torch.load reads it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_the_examples_run():
    results = doctest.testmod(lrcore.bindings.torch.scheduler, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 15
    assert results.failed == 0


def test_it_is_a_scheduler_of_torch():
    scheduler = Scheduler(optimizer_of(), SCHEDULE)
    assert isinstance(scheduler, LRScheduler)
    # Accelerate stops a scheduler that has this attribute when it thinks that the run is over.
    assert not hasattr(scheduler, "total_steps")


def test_rates_are_python_floats():
    optimizer = optimizer_of(groups=2)
    scheduler = Scheduler(optimizer, SCHEDULE)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
        found = [*(group["lr"] for group in optimizer.param_groups), *scheduler.get_last_lr()]
        assert [type(rate) for rate in found] == [float] * 4


def test_a_number_is_a_constant_schedule():
    optimizer = optimizer_of()
    assert run(optimizer, Scheduler(optimizer, 0.25), 3) == [0.25] * 3


# --- Checkpoints

LOADS = {
    "optimizer, then scheduler": ("optimizer", "scheduler"),
    "scheduler, then optimizer": ("scheduler", "optimizer"),
    "scheduler alone": ("scheduler",),
}


@pytest.mark.parametrize("order", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("stop", range(UPDATES))
def test_a_resumed_run_has_the_rates_of_one_that_never_stopped(stop, order):
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    run(optimizer, scheduler, stop)
    states = saved({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()})

    optimizer = optimizer_of()
    parts = {"optimizer": optimizer, "scheduler": Scheduler(optimizer, SCHEDULE)}
    for name in order:
        parts[name].load_state_dict(states[name])
    assert parts["scheduler"].state_dict() == states["scheduler"]
    assert parts["scheduler"].last_epoch == stop
    assert parts["scheduler"].get_last_lr() == expected(stop, stop + 1)
    assert run(optimizer, parts["scheduler"], UPDATES - stop) == expected(stop)


@pytest.mark.parametrize("stop", range(UPDATES))
def test_a_scheduler_built_after_the_optimizer_was_loaded(stop):
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    run(optimizer, scheduler, stop)
    states = saved({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()})

    optimizer = optimizer_of()
    optimizer.load_state_dict(states["optimizer"])
    scheduler = Scheduler(optimizer, SCHEDULE)
    scheduler.load_state_dict(states["scheduler"])
    assert run(optimizer, scheduler, UPDATES - stop) == expected(stop)


@pytest.mark.parametrize("stop", [0, 1, 7])
def test_last_epoch_resumes_on_an_optimizer_never_scheduled(stop):
    optimizer = optimizer_of(rate=0.3)
    scheduler = Scheduler(optimizer, SCHEDULE, last_epoch=stop - 1)
    assert scheduler.last_epoch == stop
    assert run(optimizer, scheduler, UPDATES - stop) == expected(stop)


def leaves(value):
    if isinstance(value, dict):
        return [leaf for item in [*value.keys(), *value.values()] for leaf in leaves(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


@pytest.mark.parametrize("rate", [1.0, torch.tensor(1.0)], ids=["float", "tensor"])
def test_a_state_is_of_plain_types_and_small(rate):
    optimizer = optimizer_of(groups=2, rate=rate)
    scheduler = Scheduler(optimizer, SCHEDULE)
    run(optimizer, scheduler, 2)
    state = scheduler.state_dict()
    assert {type(leaf) for leaf in leaves(state)} <= {int, float, str, bool, type(None)}
    always = {"last_epoch", "step_scale", "_step_count", "schedules", "fingerprint", "plateau", "rests", "values"}
    assert set(state) == always
    assert saved(state) == state
    assert len(pickle.dumps(state)) < 1000


def test_a_state_is_a_copy():
    """torch.distributed.checkpoint loads into the state that it is given."""
    scheduler = Scheduler(optimizer_of(), SCHEDULE)
    state, before = scheduler.state_dict(), copy.deepcopy(scheduler.state_dict())
    state["schedules"]["lr"].clear()
    assert scheduler.state_dict() == before


def test_the_keys_of_a_state_are_always_the_same():
    """torch.distributed.checkpoint asks a checkpoint for the keys that there are before it is loaded."""
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    keys = set(scheduler.state_dict())
    optimizer.param_groups[0]["lr"] = 123.0
    assert scheduler.state_dict()["values"] == [[123.0, 1]]
    assert set(scheduler.state_dict()) == keys == set(Scheduler(optimizer, 0.1, plateau=lr.Plateau()).state_dict())


def test_a_state_of_another_schedule_is_refused():
    optimizer = optimizer_of()
    state = Scheduler(optimizer, lr.Linear(0.5, 0.0, 5)).state_dict()
    scheduler = Scheduler(optimizer, lr.Linear(0.5, 0.0, 4))
    run(optimizer, scheduler, 2)
    before = scheduler.state_dict()
    message = (
        "Scheduler.load_state_dict: expected a state of Linear(init_value=0.5, end_value=0.0, steps=4), "
        "got one of Linear(init_value=0.5, end_value=0.0, steps=5)\n"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}(?s:.*)at step 1"):
        scheduler.load_state_dict(state)
    assert scheduler.state_dict() == before
    assert rates_of(optimizer) == [0.25]


def test_a_state_of_another_scheduler_is_refused():
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match=r"expected a state of lrcore\S+Scheduler, got one without fingerprint$"):
        scheduler.load_state_dict(ExponentialLR(optimizer, 0.9).state_dict())
    assert scheduler.state_dict()["fingerprint"] == before["fingerprint"] == SCHEDULE.fingerprint()
    assert scheduler.last_epoch == 0


def test_a_long_table_leaves_a_short_state_that_still_tells_tables_apart():
    values = [0.5 / (1 + step) for step in range(5000)]
    scheduler = Scheduler(optimizer_of(), lr.Table(values))
    state = scheduler.state_dict()
    assert len(pickle.dumps(state)) < 300
    scheduler.load_state_dict(state)
    other = Scheduler(optimizer_of(), lr.Table([*values[:-1], 0.25]))
    with pytest.raises(ValueError, match=r"expected a state of Table.* got one of another schedule$"):
        other.load_state_dict(state)


# --- Copies


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))], ids=["deepcopy", "pickle"]
)
def test_a_copy_goes_on_by_itself(copied):
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    run(optimizer, scheduler, 5)
    twin = copied(scheduler)
    assert twin.optimizer is not optimizer
    twin.optimizer.step()
    twin.step()
    assert rates_of(twin.optimizer) == expected(6, 7)
    assert rates_of(optimizer) == expected(5, 6)
    assert run(optimizer, scheduler, UPDATES - 5) == expected(5)


# --- Groups


def test_every_group_gets_the_rate_whatever_its_own_was():
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.1, 10.0)]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    scheduler = Scheduler(optimizer, SCHEDULE)
    for step in range(5):
        assert rates_of(optimizer) == expected(step, step + 1) * 2
        optimizer.step()
        scheduler.step()


def test_a_group_added_later_gets_the_rate_at_once():
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    run(optimizer, scheduler, 3)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))], "lr": 7.0})
    assert rates_of(optimizer) == expected(3, 4) * 2
    optimizer.step()
    scheduler.step()
    assert rates_of(optimizer) == expected(4, 5) * 2
    assert scheduler.get_last_lr() == expected(4, 5) * 2


def test_a_group_added_after_the_state_was_saved_gets_the_rate_on_load():
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    run(optimizer, scheduler, 5)
    state = scheduler.state_dict()
    optimizer = optimizer_of(groups=3)
    Scheduler(optimizer, SCHEDULE).load_state_dict(state)
    assert rates_of(optimizer) == expected(5, 6) * 3


# --- Tensor rates


def test_a_tensor_rate_is_filled_in_place():
    rate = torch.tensor(1.0)
    optimizer = optimizer_of(rate=rate)
    scheduler = Scheduler(optimizer, SCHEDULE)
    float32 = SCHEDULE.table(UPDATES, dtype="float32").tolist()
    assert run(optimizer, scheduler, 6) == float32[:6]
    assert optimizer.param_groups[0]["lr"] is rate

    state = scheduler.state_dict()
    optimizer = optimizer_of(rate=torch.tensor(1.0))
    fresh = optimizer.param_groups[0]["lr"]
    resumed = Scheduler(optimizer, SCHEDULE)
    resumed.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] is fresh
    assert run(optimizer, resumed, UPDATES - 6) == float32[6:]


def test_the_first_rate_of_a_tensor_is_kept_apart():
    optimizer = optimizer_of(rate=torch.tensor(1.0))
    Scheduler(optimizer, 0.25)
    assert float(optimizer.param_groups[0]["initial_lr"]) == 1.0


# --- Inside torch's own


def warm_then(optimizer, *after, milestones=(3,)):
    first = Scheduler(optimizer, lr.Linear(0.0, 0.5, 3))
    return SequentialLR(optimizer, [first, *(make(optimizer) for make in after)], list(milestones))


IN_SEQUENCE = {
    "ours": (
        (lambda optimizer: Scheduler(optimizer, lr.Cosine(0.5, 0.0, 9)),),
        (3,),
        lr.Sequence([(lr.Linear(0.0, 0.5, 3), 3), lr.Cosine(0.5, 0.0, 9)]).table(14).tolist(),
    ),
    "ours twice": (
        (
            lambda optimizer: Scheduler(optimizer, lr.Cosine(0.5, 0.0, 9)),
            lambda optimizer: Scheduler(optimizer, lr.Linear(0.1, 0.0, 4)),
        ),
        (3, 8),
        lr.Sequence([(lr.Linear(0.0, 0.5, 3), 3), (lr.Cosine(0.5, 0.0, 9), 5), lr.Linear(0.1, 0.0, 4)])
        .table(14)
        .tolist(),
    ),
    # torch's own begins at the optimizer's rate of 1 and halves it
    "torch's": (
        (lambda optimizer: ExponentialLR(optimizer, 0.5),),
        (3,),
        [*lr.Linear(0.0, 0.5, 3).table(3).tolist(), *(0.5**k for k in range(11))],
    ),
}


@pytest.mark.parametrize(("after", "milestones", "rates"), IN_SEQUENCE.values(), ids=IN_SEQUENCE)
def test_inside_sequential_lr(after, milestones, rates):
    optimizer = optimizer_of()
    assert run(optimizer, warm_then(optimizer, *after, milestones=milestones), 14) == rates


@pytest.mark.parametrize("stop", range(14))
@pytest.mark.parametrize(("after", "milestones", "rates"), IN_SEQUENCE.values(), ids=IN_SEQUENCE)
def test_a_resumed_sequential_lr_keeps_the_rate_of_the_part_in_charge(after, milestones, rates, stop):
    optimizer = optimizer_of()
    scheduler = warm_then(optimizer, *after, milestones=milestones)
    run(optimizer, scheduler, stop)
    states = saved({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()})

    optimizer = optimizer_of()
    scheduler = warm_then(optimizer, *after, milestones=milestones)
    optimizer.load_state_dict(states["optimizer"])
    scheduler.load_state_dict(states["scheduler"])
    assert run(optimizer, scheduler, 14 - stop) == rates[stop:]


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
def test_a_step_to_a_given_update():
    optimizer = optimizer_of()
    scheduler = Scheduler(optimizer, SCHEDULE)
    optimizer.step()
    scheduler.step(9)
    assert rates_of(optimizer) == scheduler._get_closed_form_lr() == expected(9, 10)


# --- Refusals


SCHEDULES = "expected a schedule or a number"
UPDATES_DONE = "expected the number of updates done, less one, an int >= -1"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("adam", SCHEDULE), TypeError, "optimizer: expected a torch.optim.Optimizer, got 'adam' (str)"),
        ((optimizer_of(), "cosine"), TypeError, f"schedule: {SCHEDULES}, got 'cosine' (str)"),
        ((optimizer_of(), True), TypeError, f"schedule: {SCHEDULES}, got True (bool)"),
        ((optimizer_of(), SCHEDULE, 1.0), TypeError, f"last_epoch: {UPDATES_DONE}, got 1.0 (float): did you mean 1?"),
        ((optimizer_of(), SCHEDULE, -2), ValueError, f"last_epoch: {UPDATES_DONE}, got -2 (int)"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=f"^{re.escape('Scheduler.' + message)}$"):
        Scheduler(*arguments)
