"""Scheduler on several processes: replicated and sharded models, and states of torch.distributed.checkpoint."""

import pytest
from torch import distributed

import lrcore as lr
from processes import answers

pytestmark = pytest.mark.skipif(not distributed.is_gloo_available(), reason="this torch has no gloo")

SCHEDULE = lr.sgdr(0.5, 0.01, period=4, period_mult=2).warmup(3)
PROCESSES, STOP, END = 2, 6, 14
TOGETHER = [["model", "optimizer", "scheduler"]]
OPTIMIZER_FIRST = [["model", "optimizer"], ["scheduler"]]
SCHEDULER_FIRST = [["scheduler"], ["model", "optimizer"]]
RUNS = {
    "ddp": {"wrapped": "ddp", "order": TOGETHER, "accumulate": 1},
    "fsdp": {"wrapped": "fsdp", "order": TOGETHER, "accumulate": 2},
    "fsdp, optimizer first": {"wrapped": "fsdp", "order": OPTIMIZER_FIRST, "accumulate": 1},
    "fsdp, scheduler first": {"wrapped": "fsdp", "order": SCHEDULER_FIRST, "accumulate": 1},
}
OTHER = lr.sgdr(0.25, 0.01, period=4, period_mult=2).warmup(3)  # a spec with the same keys


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each process says of the runs until they stop, and after they were resumed."""
    folder = str(tmp_path_factory.mktemp("distributed"))

    def trained(begin, end, other):
        runs = {name: {**run, "schedule": repr(SCHEDULE), "begin": begin, "end": end} for name, run in RUNS.items()}
        return answers("bindings/in_distributed.py", folder, runs, other, processes=PROCESSES)

    return trained(0, STOP, None), trained(STOP, END, {"path": f"ddp/{STOP}", "schedule": repr(OTHER)})


@pytest.mark.parametrize("name", RUNS)
def test_every_process_has_the_rates_of_the_plain_loop(told, name):
    first, rest = ([one[name] for one in part] for part in told)
    assert first == [SCHEDULE.table(STOP).tolist()] * PROCESSES
    assert rest == [SCHEDULE.table(END - STOP, start=STOP).tolist()] * PROCESSES


def test_a_checkpoint_of_another_schedule_is_refused(told):
    for one in told[1]:
        assert "Scheduler.load_state_dict: expected a state of " in one["refused"]


def test_a_scheduler_communicates_nothing(told):
    assert [one["silence"] for one in told[1]] == [[0, 1]] * PROCESSES
