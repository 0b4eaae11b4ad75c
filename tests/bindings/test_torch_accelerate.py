"""for_accelerate: the real Accelerate on one process and on two, stopped and resumed in others."""

import doctest
from types import SimpleNamespace

import pytest
import torch

import lrcore as lr
import lrcore.bindings.torch.accelerate
from lrcore.bindings.torch.accelerate import for_accelerate
from packages import required
from processes import answers

required("accelerate")

UNBOUND = lr.Linear(0.0, 0.5, "1ep") >> lr.Cosine(0.5, 0.0, "rest")
# Of each number of processes the runs: their settings, and the updates of an epoch.
RUNS = {
    1: {
        "plain": ({}, 9),
        "gradients scaled, optimizer prepared before": ({"scaled": True, "prepared": True}, 9),
        "accumulating, with an incomplete last window": ({"accumulate": 2, "prepared": True}, 5),
    },
    2: {
        "two processes": ({"accumulate": 2}, 3),
        "two processes that split batches": ({"split_batches": True}, 9),
        "two processes, not stepped with the optimizer": ({"accumulate": 2, "with_optimizer": False}, 3),
    },
}
EPOCHS, BATCHES, STOP = 3, 9, 5


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """Those of the runs until they stop, and after they were resumed; each process has the same ones."""
    folder, found = str(tmp_path_factory.mktemp("accelerate")), {}
    for processes, runs in RUNS.items():
        for resumed in (False, True):
            asked = {
                name: {
                    "schedule": repr(UNBOUND),
                    "batches": BATCHES,
                    "epochs": EPOCHS,
                    "begin": STOP if resumed else 0,
                    "end": epoch * EPOCHS if resumed else STOP,
                    **settings,
                }
                for name, (settings, epoch) in runs.items()
            }
            told = answers("bindings/in_accelerate.py", folder, asked, processes=processes)
            assert [one["processes"] for one in told] == [processes] * processes
            for name in runs:
                found[name, resumed] = [one["rates"][name] for one in told]
    return found


@pytest.mark.parametrize(
    ("processes", "name"), [(processes, name) for processes, runs in RUNS.items() for name in runs]
)
def test_a_resumed_run_has_the_rates_of_the_plain_loop(rates, processes, name):
    _, epoch = RUNS[processes][name]
    run = epoch * EPOCHS
    expected = (lr.Linear(0.0, 0.5, epoch) >> lr.Cosine(0.5, 0.0, run - epoch)).table(run).tolist()
    assert rates[name, False] == [expected[:STOP]] * processes
    assert rates[name, True] == [expected[STOP:]] * processes


# --- Without Accelerate


def test_the_example_runs():
    results = doctest.testmod(lrcore.bindings.torch.accelerate, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted >= 5
    assert results.failed == 0


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def accelerator_of(processes, split=False, stepped=True, accumulate=1):
    return SimpleNamespace(
        num_processes=processes,
        split_batches=split,
        step_scheduler_with_optimizer=stepped,
        gradient_accumulation_steps=accumulate,
    )


@pytest.mark.parametrize(
    ("accelerator", "scale", "updates"),
    [
        (accelerator_of(1), 1, 800),
        (accelerator_of(4), 4, 200),
        (accelerator_of(4, accumulate=2), 4, 100),
        (accelerator_of(4, split=True), 1, 800),
        (accelerator_of(4, stepped=False), 1, 200),
    ],
)
def test_steps_and_updates(accelerator, scale, updates):
    scheduler = for_accelerate(optimizer(), lr.Linear(0.5, 0.0, "100%"), accelerator, total_steps=800)
    assert scheduler.step_scale == scale
    assert scheduler.schedule == lr.Linear(0.5, 0.0, updates)
    # Accelerate stops a scheduler that has this attribute when it thinks that the run is over.
    assert not hasattr(scheduler, "total_steps")


def test_another_number_of_processes_goes_on_at_the_same_update():
    schedule = lr.Linear(0.5, 0.0, 10)
    first, after = optimizer(), optimizer()
    before = for_accelerate(first, schedule, accelerator_of(4))
    for _ in range(3):
        first.step()
        for _ in range(4):
            before.step()
    resumed = for_accelerate(after, schedule, accelerator_of(2))
    resumed.load_state_dict(before.state_dict())
    assert resumed.updates == 3
    assert after.param_groups[0]["lr"] == schedule(3)


def test_what_is_not_given_is_named():
    with pytest.raises(lr.UnboundError, match=r"give it with schedule.bind\(total_steps=\.\.\.\)"):
        for_accelerate(optimizer(), UNBOUND, accelerator_of(1), steps_per_epoch=10)
