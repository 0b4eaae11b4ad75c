"""for_lightning: the real Lightning, stopped and resumed in another process."""

import doctest
import math
from types import SimpleNamespace

import pytest
import torch

import lrcore as lr
import lrcore.bindings.torch.lightning
from lrcore.bindings.torch.lightning import for_lightning
from packages import required
from processes import answer

required("lightning")

UNBOUND = lr.Linear(0.0, 0.5, "1ep") >> lr.Cosine(0.5, 0.0, "rest")
# Of each: what Lightning is given, and the updates that 7 batches come to, of an epoch and of the run.
RUNS = {
    "plain": ({"max_epochs": 2}, 7, 14),
    "accumulating, with an incomplete last window": ({"max_epochs": 3, "accumulate_grad_batches": 2}, 4, 12),
    "ended by steps": ({"max_steps": 16}, 7, 16),
}
STOP = 6


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """Those of the runs until they stop, and after they were resumed."""
    folder = str(tmp_path_factory.mktemp("lightning"))
    asked = {
        name: {"schedule": repr(UNBOUND), "batches": 7, "options": options} for name, (options, _, _) in RUNS.items()
    }

    def trained(**part):
        runs = {name: {**run, **part} for name, run in asked.items()}
        # Lightning's own: it uses what torch will change.
        return answer("bindings/in_lightning.py", folder, runs, ignored=["FutureWarning"])

    first, rest = trained(stop=STOP), trained(resume=True)
    return {name: (first[name], rest[name]) for name in RUNS}


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_has_the_rates_of_the_plain_loop(rates, name):
    _, epoch, run = RUNS[name]
    expected = (lr.Linear(0.0, 0.5, epoch) >> lr.Cosine(0.5, 0.0, run - epoch)).table(run).tolist()
    first, rest = rates[name]
    assert first == expected[:STOP]
    assert rest == expected[STOP:]


# --- Without Lightning


def test_the_example_runs():
    results = doctest.testmod(lrcore.bindings.torch.lightning, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted >= 5
    assert results.failed == 0


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def trainer_of(total, batches, accumulate=1):
    return SimpleNamespace(
        train_dataloader=(),
        estimated_stepping_batches=total,
        num_training_batches=batches,
        accumulate_grad_batches=accumulate,
    )


def test_options_are_those_of_the_scheduler():
    configured = for_lightning(optimizer(), {"lr": lr.Linear(0.5, 0.0, 4)}, groups=[0], on_mismatch="keep_position")
    assert configured["lr_scheduler"]["scheduler"].on_mismatch == "keep_position"
    assert {name: configured["lr_scheduler"][name] for name in ("interval", "frequency")} == {
        "interval": "step",
        "frequency": 1,
    }


@pytest.mark.parametrize(
    ("trainer", "missing"),
    [
        (None, "total_steps"),
        (trainer_of(math.inf, 7), "total_steps"),
        (trainer_of(-1, math.inf), "total_steps"),
        (trainer_of(10, math.inf), "steps_per_epoch"),
    ],
    ids=["no trainer", "a run without an end", "neither", "epochs without an end"],
)
def test_what_the_trainer_does_not_know_is_named(trainer, missing):
    with pytest.raises(lr.UnboundError, match=rf"give it with schedule.bind\(.*{missing}=\.\.\."):
        for_lightning(optimizer(), UNBOUND, trainer=trainer)


def test_schedules_of_groups_and_hyper_parameters_are_bound():
    given = {"lr": [lr.Linear(0.5, 0.0, "100%")], "weight_decay": lr.Linear(0.0, 0.1, "2ep")}
    configured = for_lightning(optimizer(), given, trainer=trainer_of(10, 7, accumulate=2))
    assert configured["lr_scheduler"]["scheduler"].schedule == {
        "lr": (lr.Linear(0.5, 0.0, 10),),
        "weight_decay": (lr.Linear(0.0, 0.1, 8),),
    }
