"""for_ignite: the real Ignite, stopped and resumed in another process."""

import pytest
import torch

import lrcore as lr
from lrcore.bindings.torch.ignite import for_ignite
from packages import required
from processes import answer

required("ignite")
# Ignite's own, when it is imported: it imports a part of torch that uses what torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

UNBOUND = lr.Linear(0.0, 0.5, "1ep") >> lr.Cosine(0.5, 0.0, "rest")
EPOCHS, BATCHES, STOP = 3, 6, 8
# Of each: the schedule, its settings, and the updates of an epoch.
RUNS = {
    "plain": (UNBOUND, {}, 6),
    "accumulating": (UNBOUND, {"accumulate": 2}, 3),
    "in Ignite's own handler": (UNBOUND.bind(total_steps=18, steps_per_epoch=6), {"wrapped": True}, 6),
}


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """Those of the runs until they stop, and after they were resumed."""
    folder = str(tmp_path_factory.mktemp("ignite"))
    asked = {
        name: {"schedule": repr(schedule), "batches": BATCHES, "epochs": EPOCHS, **settings}
        for name, (schedule, settings, _) in RUNS.items()
    }

    def trained(**part):
        runs = {name: {**run, **part} for name, run in asked.items()}
        return answer("bindings/in_ignite.py", folder, runs, ignored=["DeprecationWarning"])

    return trained(stop=STOP), trained(resume=True)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_has_the_rates_of_the_plain_loop(rates, name):
    _, settings, epoch = RUNS[name]
    run, stop = EPOCHS * epoch, STOP // settings.get("accumulate", 1)
    expected = (lr.Linear(0.0, 0.5, epoch) >> lr.Cosine(0.5, 0.0, run - epoch)).table(run).tolist()
    first, rest = (part[name] for part in rates)
    assert first == expected[:stop]
    assert rest == expected[stop:]


# --- Without a run


class Engine:
    """One that only keeps its handlers."""

    def add_event_handler(self, event, handler):
        self.event, self.handler = event, handler


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def test_options_are_those_of_the_scheduler():
    assert for_ignite(optimizer(), 0.1, Engine(), on_mismatch="keep_position").on_mismatch == "keep_position"


def test_epochs_that_are_no_whole_number_of_updates_are_refused():
    run = {"max_epochs": 2, "epoch_length": 7, "gradient_accumulation_steps": 2}
    with pytest.raises(ValueError, match=r"for_ignite.epoch_length: expected a multiple of 2 iterations .*, got 7"):
        for_ignite(optimizer(), UNBOUND, Engine(), **run)
    assert for_ignite(optimizer(), 0.1, Engine(), **run).get_last_lr() == [0.1]


@pytest.mark.parametrize("name", ["max_epochs", "epoch_length", "gradient_accumulation_steps"])
def test_what_is_no_count_is_refused(name):
    run = {"max_epochs": 2, "epoch_length": 8, name: 0}
    with pytest.raises(ValueError, match=f"for_ignite.{name}: expected a whole number, an int >= 1, got 0"):
        for_ignite(optimizer(), UNBOUND, Engine(), **run)


def test_what_is_not_given_is_named():
    with pytest.raises(lr.UnboundError, match=r"give it with schedule.bind\(total_steps=\.\.\.\)"):
        for_ignite(optimizer(), UNBOUND, Engine(), epoch_length=7)
    with pytest.raises(lr.UnboundError, match=r"give it with schedule.bind\(steps_per_epoch=\.\.\., total_steps"):
        for_ignite(optimizer(), UNBOUND, Engine(), max_epochs=7)
