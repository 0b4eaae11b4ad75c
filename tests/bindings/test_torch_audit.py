"""lrcore.bindings.torch.Audit: each way to step a scheduler wrongly, and what is said of it."""

import doctest
import re

import pytest
import torch

import lrcore as lr
from lrcore.bindings.torch import Scheduler, audit as audit_module

COSINE = lr.Cosine(0.3, 0.01, 50)


def built(schedule=COSINE, rate=1.0, **options):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=rate, momentum=0.9)
    return optimizer, Scheduler(optimizer, schedule, **options)


def right(optimizer, scheduler):
    for _ in range(12):
        optimizer.step()
        scheduler.step()


def twice(optimizer, scheduler):
    for _ in range(12):
        optimizer.step()
        scheduler.step()
        scheduler.step()


def never(optimizer, scheduler):  # noqa: ARG001
    for _ in range(12):
        optimizer.step()


def once_an_epoch(optimizer, scheduler):
    for _ in range(4):
        for _ in range(3):
            optimizer.step()
        scheduler.step()


def one_epoch_only(optimizer, scheduler):
    for _ in range(4):
        optimizer.step()
    scheduler.step()
    for _ in range(4):
        optimizer.step()


def before(optimizer, scheduler):
    optimizer._opt_called = True  # torch warns of this one by itself
    for _ in range(12):
        scheduler.step()
        optimizer.step()


def skipped(optimizer, scheduler):
    for batch in range(12):
        if batch not in (3, 7):
            optimizer.step()
        scheduler.step()


def by_another_hand(optimizer, scheduler):
    for _ in range(12):
        optimizer.param_groups[0]["lr"] *= 0.5
        optimizer.step()
        scheduler.step()


def irregularly(optimizer, scheduler):
    for steps in (1, 0, 3, 1, 0, 0, 1, 2, 1, 0):
        optimizer.step()
        for _ in range(steps):
            scheduler.step()


LOOPS = {
    twice: "stepped 2 times an update",
    never: "never stepped",
    once_an_epoch: "once an epoch: stepped once every 3 updates",
    one_epoch_only: "once an epoch: stepped once in all",
    before: "stepped before the update instead of after it, or the first update was skipped (AMP)",
    skipped: "stepped although the update was skipped, 2 times (AMP)",
    by_another_hand: "somebody else writes the learning rate",
    irregularly: "stepped irregularly",
}


@pytest.mark.parametrize("begin", [0, 5])
@pytest.mark.parametrize("rate", [1.0, torch.tensor(1.0)], ids=["float", "tensor"])
def test_a_right_loop_has_no_culprit(rate, begin):
    optimizer, scheduler = built(rate=rate, last_epoch=begin - 1)
    with scheduler.audit() as audit:
        right(optimizer, scheduler)
    assert (audit.ok, audit.culprit, audit.first) == (True, None, None)
    assert str(audit) == "All of 12 updates used the schedule's value."
    assert [one.update for one in audit.used] == list(range(begin, begin + 12))


@pytest.mark.filterwarnings("ignore:Scheduler. something else has set lr:UserWarning")
@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
@pytest.mark.parametrize("rate", [1.0, torch.tensor(1.0)], ids=["float", "tensor"])
def test_each_wrong_loop_has_its_culprit(loop, rate):
    optimizer, scheduler = built(rate=rate)
    with scheduler.audit() as audit:
        loop(optimizer, scheduler)
    assert not audit.ok
    assert audit.culprit == LOOPS[loop]
    assert re.search(
        rf"\d+ of \d+ updates did not use the schedule's value.*Likely: {re.escape(LOOPS[loop])}\.", str(audit)
    )


def test_schedulers_that_multiply_are_right():
    optimizer, scheduler = built()
    other = Scheduler(optimizer, 0.5)
    with scheduler.audit() as audit, other.audit() as its_audit:
        for _ in range(6):
            optimizer.step()
            scheduler.step()
            other.step()
    assert audit.ok
    assert its_audit.ok


def test_updates_that_amp_skips_at_first():
    optimizer, scheduler = built()
    optimizer._opt_called = True
    with scheduler.audit() as audit:
        for batch in range(12):
            if batch > 1:
                optimizer.step()
            scheduler.step()
    assert audit.culprit == "stepped although the update was skipped, 2 times (AMP)"


def test_a_constant_schedule_that_is_stepped_twice():
    optimizer, scheduler = built(lr.Constant(0.5))
    with scheduler.audit() as audit:
        twice(optimizer, scheduler)
    assert audit.culprit == "stepped 2 times an update"
    assert "the first is update 1: the scheduler was at update 2" in str(audit)


def test_every_group_and_hyper_parameter_is_looked_at():
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weight]} for weight in weights], lr=1.0, momentum=0.9)
    scheduler = Scheduler(optimizer, {"momentum": 0.9, "lr": COSINE})
    with scheduler.audit() as audit:
        for _ in range(3):
            optimizer.param_groups[1]["lr"] = 9.0
            optimizer.step()
            scheduler.step()
    assert audit.culprit == "somebody else writes the learning rate"
    assert audit.first.value == 9.0


def test_it_begins_again_where_a_state_is_loaded():
    optimizer, scheduler = built()
    state = Scheduler(built()[0], COSINE, last_epoch=19).state_dict()
    with scheduler.audit() as audit:
        right(optimizer, scheduler)
        scheduler.load_state_dict(state)
        right(optimizer, scheduler)
    assert [one.update for one in audit.used] == list(range(20, 32))
    assert audit.ok


def test_it_does_not_keep_a_scheduler_that_is_replaced():
    optimizer, scheduler = built()
    scheduler.audit()
    scheduler = Scheduler(optimizer, COSINE)
    assert scheduler.get_last_lr() == [COSINE(0)]
    right(optimizer, scheduler)


@pytest.mark.parametrize(
    ("steps", "culprit"),
    [
        ([2, 2, 2, 4, 2, 2, 2], "stepped 2 times an update"),
        ([4, 4, 8, 4, 4, 4], "stepped 4 times an update"),
        ([4, 4, 4, 4, 2, 4, 4], "stepped 4 times an update"),
        ([1, 1, 2, 1, 1, 3, 1], "stepped although the update was skipped, 3 times (AMP)"),
        ([0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0], "once an epoch: stepped once every 4 to 5 updates"),
    ],
)
def test_steps_that_are_not_the_same_each_time(steps, culprit):
    optimizer, scheduler = built()
    with scheduler.audit() as audit:
        for times in [*steps, 0]:
            optimizer.step()
            for _ in range(times):
                scheduler.step()
    assert audit.culprit == culprit


def test_the_first_wrong_update_is_told():
    optimizer, scheduler = built(lr.Linear(0.0, 1.0, 8))
    with scheduler.audit() as audit:
        twice(optimizer, scheduler)
    assert "the first is update 1: 0.25 instead of 0.125" in str(audit)
    assert (audit.first.value, audit.first.expected, audit.first.position) == (0.25, 0.125, 2)


def test_as_many_steps_as_the_step_scale_are_right():
    optimizer, scheduler = built(step_scale=2)
    with scheduler.audit() as audit:
        twice(optimizer, scheduler)
    assert audit.ok


def test_too_few_steps_for_the_step_scale():
    optimizer, scheduler = built(step_scale=2)
    with scheduler.audit() as audit:
        right(optimizer, scheduler)
    assert audit.culprit == "stepped 0.5 times an update"


def test_another_hyper_parameter_is_audited_where_it_is_driven():
    optimizer, scheduler = built({"momentum": lr.Linear(0.95, 0.85, 20)})
    with scheduler.audit() as audit:
        right(optimizer, scheduler)
    assert audit.ok
    assert audit.used[5].value == lr.Linear(0.95, 0.85, 20)(5)


def test_it_ends_when_it_is_closed():
    optimizer, scheduler = built()
    audit = scheduler.audit()
    assert str(audit).startswith("No update was seen")
    audit.close()
    right(optimizer, scheduler)
    assert audit.used == []


def test_amp_by_a_grad_scaler():
    """A real GradScaler skips the update of a gradient that is not finite."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = Scheduler(optimizer, COSINE)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    with scheduler.audit() as audit:
        for update in range(8):
            optimizer.zero_grad()
            scaler.scale((weight * (float("inf") if update == 3 else 1.0)).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
    assert audit.culprit == "stepped although the update was skipped, 1 times (AMP)"


def test_the_examples_run():
    results = doctest.testmod(audit_module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert (results.failed, results.attempted > 5) == (0, True)
