"""Transformers' Trainer with a Scheduler, and with the mixin: stopped, and resumed in another process."""

import doctest
from types import SimpleNamespace

import pytest
import torch

import lrcore as lr
import lrcore.bindings.torch.transformers
from lrcore.bindings.torch import Scheduler
from lrcore.bindings.torch.transformers import ScheduleMixin
from packages import required
from processes import answer

required("transformers")

UNBOUND = lr.Linear(0.0, 0.5, "1ep") >> lr.Cosine(0.5, 0.0, "rest")
# Of each: the schedule, the Trainer's arguments, and the updates that 7 batches come to, of an epoch and of the run.
RUNS = {
    "optimizers": (UNBOUND.bind(total_steps=14, steps_per_epoch=7), {"num_train_epochs": 2}, 7, 14),
    "mixin": (UNBOUND, {"num_train_epochs": 3, "gradient_accumulation_steps": 2}, 4, 12),
    "model_init": (UNBOUND, {"max_steps": 16, "learning_rate": 0.25}, 7, 16),
}
STOP = 6
SEARCH = {"schedule": repr(UNBOUND), "batches": 3, "rates": [1.0, 0.25]}


def expected(epoch, run):
    return lr.Linear(0.0, 0.5, epoch) >> lr.Cosine(0.5, 0.0, run - epoch)


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """Those of the runs until they stop, and after they were resumed."""
    folder = str(tmp_path_factory.mktemp("transformers"))
    asked = {
        name: {"way": name, "schedule": repr(schedule), "batches": 7, "options": options}
        for name, (schedule, options, _, _) in RUNS.items()
    }

    def trained(search, **part):
        runs = {name: {**run, **part} for name, run in asked.items()}
        return answer("bindings/in_transformers.py", folder, runs, search)

    return trained(SEARCH, stop=STOP), trained(None, resume=STOP)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_has_the_rates_of_the_plain_loop(rates, name):
    _, options, epoch, run = RUNS[name]
    scale = options.get("learning_rate", 1.0)
    table = (scale * expected(epoch, run)).table(run).tolist()
    first, rest = (part[name] for part in rates)
    assert first == table[:STOP]
    assert rest == table[STOP:]


def test_each_trial_of_a_search_has_a_scheduler_of_its_own(rates):
    found = rates[0]["search"]
    assert found == [(rate * expected(3, 6)).table(6).tolist() for rate in SEARCH["rates"]]


# --- Without Transformers


def test_the_example_runs():
    results = doctest.testmod(lrcore.bindings.torch.transformers, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted >= 5
    assert results.failed == 0


class Trainer:
    """What the mixin needs of one."""

    def __init__(self, batches=None, accumulate=1):
        self.args = SimpleNamespace(gradient_accumulation_steps=accumulate, learning_rate=0.5)
        self.optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        self.lr_scheduler, self.batches = None, batches

    def get_train_dataloader(self):
        return iter(()) if self.batches is None else range(self.batches)

    def create_scheduler(self, num_training_steps, optimizer=None):
        return "the Trainer's own", num_training_steps, optimizer


class MyTrainer(ScheduleMixin, Trainer):
    pass


def test_without_a_schedule_the_trainer_makes_its_own():
    assert MyTrainer().create_scheduler(10) == ("the Trainer's own", 10, None)


def test_a_scheduler_that_is_there_stays():
    trainer = MyTrainer(schedule=0.1)
    trainer.lr_scheduler = object()
    assert trainer.create_scheduler(10) == ("the Trainer's own", 10, None)


def test_options_are_those_of_the_scheduler():
    trainer = MyTrainer(schedule=0.1, schedule_options={"on_mismatch": "keep_position"})
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = trainer.create_scheduler(10, optimizer=other)
    assert isinstance(scheduler, Scheduler)
    assert (scheduler.optimizer, scheduler.on_mismatch) == (other, "keep_position")
    assert trainer.lr_scheduler is scheduler


def test_a_function_makes_the_schedule_of_the_arguments():
    trainer = MyTrainer(schedule=lambda args: lr.Linear(args.learning_rate, 0.0, "100%"))
    assert trainer.create_scheduler(10).schedule == lr.Linear(0.5, 0.0, 10)


def test_epochs_of_an_incomplete_last_window():
    trainer = MyTrainer(batches=7, accumulate=2, schedule=lr.Linear(0.5, 0.0, "2ep"))
    assert trainer.create_scheduler(12).schedule == lr.Linear(0.5, 0.0, 8)


def test_epochs_of_data_without_a_length_are_named():
    with pytest.raises(lr.UnboundError, match=r"give it with schedule.bind\(steps_per_epoch=\.\.\.\)"):
        MyTrainer(schedule=UNBOUND).create_scheduler(10)
