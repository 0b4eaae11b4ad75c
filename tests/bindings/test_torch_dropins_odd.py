"""lrcore.bindings.torch.lr_scheduler in odd use: arguments, hands that change rates, groups that come late."""

import math

import numpy as np
import pytest
import resume_matrix
import torch
from dropin_runs import CHAINED, assert_same, optimizer_of, rates
from resume_matrix import TORCH

from lrcore.bindings.torch import lr_scheduler as dropins

ODD = {
    "a size that is not whole": lambda of, optimizer: of.StepLR(optimizer, 2.5, 0.5),
    "a size below 0": lambda of, optimizer: of.StepLR(optimizer, -4, 0.5),
    "milestones that are never met": lambda of, optimizer: of.MultiStepLR(optimizer, [-3, 2.5, 7.0], 0.5),
    "an end that is never met": lambda of, optimizer: of.ConstantLR(optimizer, 0.5, 6.5),
    "a period of numpy": lambda of, optimizer: of.CosineAnnealingLR(optimizer, np.int64(9), np.float64(0.01)),
    "an end above the rate": lambda of, optimizer: of.CosineAnnealingLR(optimizer, 9, 1),
    "a factor of numpy": lambda of, optimizer: of.LambdaLR(optimizer, lambda epoch: np.float64(0.9) ** epoch),
    "a factor that is a tensor": lambda of, optimizer: of.LambdaLR(
        optimizer, lambda epoch: torch.tensor(0.9, dtype=torch.float64) ** epoch
    ),
    "equal milestones": lambda of, optimizer: of.SequentialLR(
        optimizer,
        [of.ConstantLR(optimizer, 0.1), of.ConstantLR(optimizer, 0.2), of.ExponentialLR(optimizer, 0.5)],
        [3, 3],
    ),
    "rates of 0": lambda of, optimizer: of.ChainedScheduler(
        [of.LambdaLR(optimizer, lambda epoch: epoch % 3), of.StepLR(optimizer, 4, 0.5)]
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_arguments(case):
    assert_same(ODD[case], "ff")


def to_tensors(group):
    group["lr"] = torch.tensor(float(group["lr"]) / 2, dtype=torch.float64)


HANDS = {
    "halves": lambda group: group.update(lr=group["lr"] / 2),
    "makes tensors": to_tensors,
    "makes floats": lambda group: group.update(lr=float(group["lr"]) * 3),
    "makes integers": lambda group: group.update(lr=1),
}


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("kinds", ["ff", "fd", "dd"])
@pytest.mark.parametrize("name", sorted(set(resume_matrix.CASES) - {"ReduceLROnPlateau"}))
def test_a_hand_in_the_middle(name, kinds, hand):
    found = []
    for of in (TORCH, dropins):
        optimizer = optimizer_of(kinds)
        scheduler = resume_matrix.CASES[name](of, optimizer, -1)
        rows = []
        for update in range(20):
            if update == 7:
                for group in optimizer.param_groups:
                    HANDS[hand](group)
            optimizer.step()
            scheduler.step()
            rows.append(resume_matrix.used(optimizer))
        found.append(np.array(rows))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=CHAINED)


@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR", "OneCycleLR", "SWALR", "CyclicLR"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["optimizer, scheduler", "scheduler, optimizer"])
def test_a_run_with_a_new_group_resumes(name, order):
    def begun():
        optimizer = optimizer_of("ff")
        scheduler = resume_matrix.CASES[name](dropins, optimizer, -1)
        optimizer.step()
        scheduler.step()
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.25})
        return optimizer, scheduler

    def used(optimizer, scheduler):
        found = []
        for _ in range(5):
            optimizer.step()
            scheduler.step()
            found.append(resume_matrix.used(optimizer))
        return found

    run = begun()
    used(*run)
    states = [one.state_dict() for one in run]
    expected = used(*run)
    other = begun()
    for at in order:
        other[at].load_state_dict(states[at])
    assert used(*other) == expected


@pytest.mark.parametrize("is_patched", [False, True], ids=["", "in torch's module"])
def test_in_the_places_of_torchs_own_classes(monkeypatch, is_patched):
    """Where they fall back on torch's formulas, they must not find themselves."""
    if is_patched:
        for name in set(dropins.__all__) & set(torch.optim.lr_scheduler.__all__):
            monkeypatch.setattr(torch.optim.lr_scheduler, name, getattr(dropins, name))
        monkeypatch.setattr(torch.optim.swa_utils, "SWALR", dropins.SWALR)
    restarts = dropins.CosineAnnealingWarmRestarts(optimizer_of("f", 1.0), 8, 3)
    restarts.step(10.0)
    assert restarts.get_last_lr() == pytest.approx([(1 + math.cos(math.pi / 12)) / 2])
    cycle = dropins.CyclicLR(optimizer_of("f"), 0.0, 1.0, 4, scale_fn=lambda cycle: 1 / cycle**2)
    assert rates(cycle, 13) == pytest.approx([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0.0625, 0.125, 0.1875, 0.25])
    old = dropins.OneCycleLR(optimizer_of("f"), 1.0, 11, pct_start=0.5, div_factor=2.0, final_div_factor=1.0)
    del old._anneal_func_type
    old.load_state_dict({**old.state_dict(), "anneal_func": lambda start, end, share: start + (end - start) * share})
    assert rates(old, 6) == pytest.approx([0.5 + update / 9 for update in range(5)] + [1 - 0.5 * 0.5 / 5.5])
    mixed = restarts.optimizer
    parts = [dropins.ConstantLR(mixed, 0.5), TORCH.CosineAnnealingWarmRestarts(mixed, 4)]
    found = rates(dropins.SequentialLR(mixed, parts, [1]), 3)
    assert found == pytest.approx([0.5, 1.0, (1 + math.cos(math.pi / 4)) / 2])


def warmed(of):
    class Warmed(of.CosineAnnealingLR):
        def get_lr(self):
            if self.last_epoch < 3:
                return [base * (self.last_epoch + 1) / 4 for base in self.base_lrs]
            return super().get_lr()

    return Warmed


def closed(of):
    class Closed(of.ExponentialLR):
        def _get_closed_form_lr(self):
            return [base * 0.25**self.last_epoch for base in self.base_lrs]

    return Closed


def halved(of):
    class Halved(of.StepLR):
        def get_lr(self):
            return [rate / 2 for rate in super().get_lr()]

    return Halved


def test_a_subclass_with_its_own_get_lr_is_asked():
    """What it gets from the class below is torch's recursion, so its numbers are those of torch's."""
    for build, arguments in ((warmed, (20, 0.01)), (halved, (3,)), (closed, (0.5,))):
        expected, found = (rates(build(of)(optimizer_of("ff"), *arguments), 20) for of in (TORCH, dropins))
        assert found == pytest.approx(expected, rel=1e-12)
    scheduler = closed(dropins)(optimizer_of("f"), 0.5)
    scheduler.optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(2)
    assert scheduler.get_last_lr() == [0.1 * 0.25**2]


CHANGES = {
    "gamma": lambda of, optimizer: (of.StepLR(optimizer, 4, 0.5), {"gamma": 0.1}),
    "step_size": lambda of, optimizer: (of.StepLR(optimizer, 4, 0.5), {"step_size": 3}),
    "rate of decay": lambda of, optimizer: (of.ExponentialLR(optimizer, 0.9), {"gamma": 0.5}),
    "T_max": lambda of, optimizer: (of.CosineAnnealingLR(optimizer, 12, 0.01), {"T_max": 30}),
    "eta_min": lambda of, optimizer: (of.CosineAnnealingLR(optimizer, 12, 0.01), {"eta_min": 0.02}),
    "period": lambda of, optimizer: (of.CosineAnnealingWarmRestarts(optimizer, 4), {"eta_min": 0.02}),
    "cycle": lambda of, optimizer: (of.CyclicLR(optimizer, 0.1, 0.5, 4), {"max_lrs": [0.6, 0.7]}),
    "function": lambda of, optimizer: (
        of.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
        {"lr_lambdas": [lambda epoch: 0.8**epoch] * 2},
    ),
    "power": lambda of, optimizer: (of.PolynomialLR(optimizer, 30, 1.0), {"power": 2.0}),
    "no parameter": lambda of, optimizer: (of.LinearLR(optimizer, 0.25, total_iters=9), {"note": "mine"}),
}


@pytest.mark.parametrize("kinds", ["ff", "fd"])
@pytest.mark.parametrize("case", CHANGES)
def test_a_parameter_that_is_changed_goes_on_from_the_rate_as_in_torch(case, kinds):
    found = []
    for of in (TORCH, dropins):
        scheduler, changed = CHANGES[case](of, optimizer_of(kinds))
        rows = rates(scheduler, 6)
        for name, value in changed.items():
            setattr(scheduler, name, value)
        found.append(rows + rates(scheduler, 12))
    assert found[1] == pytest.approx(found[0], rel=1e-12, abs=1e-15)
