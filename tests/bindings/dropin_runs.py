"""Runs of a drop-in beside those of torch's class."""

import warnings

import pytest
import torch
from resume_matrix import TORCH

from lrcore.bindings.torch import lr_scheduler as dropins

UPDATES = 60
# torch's recursion divides by the weight of the update before, for a cosine of 70 updates as little as 5e-4: an ulp of
# a rate, 1e-17, comes to 1e-13 there.
CHAINED = 1e-13


def optimizer_of(kinds="ft", rate=0.1, **options):
    """A group for each letter: f a float, d a float64 tensor, t a float32 tensor."""
    groups = []
    for at, kind in enumerate(kinds):
        lr = rate * (at + 1) ** 2
        dtype = {"d": torch.float64, "t": torch.float32}.get(kind)
        groups.append(
            {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": torch.tensor(lr, dtype=dtype) if dtype else lr}
        )
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, **options)


def trace(of, build, kinds, updates=UPDATES, metrics=None):
    """The rate and the momentum of every group at each update."""
    optimizer = optimizer_of(kinds)
    made = build(of, optimizer)
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for update in range(updates):
            rows.append(
                [number for group in optimizer.param_groups for number in (float(group["lr"]), group["momentum"])]
            )
            optimizer.step()
            for scheduler in made if isinstance(made, list) else [made]:
                is_plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
                scheduler.step(*([metrics[update]] if is_plateau else []))
    return rows


def assert_same(build, kinds, tolerance=1e-15, **options):
    """To 1e-12; near 0 torch's own cosine is off by some 1e-17 of the rate it starts from."""
    theirs, ours = (trace(of, build, kinds, **options) for of in (TORCH, dropins))
    for update, (expected, found) in enumerate(zip(theirs, ours, strict=True)):
        assert found == pytest.approx(expected, rel=1e-12, abs=tolerance), f"update {update}"


def rates(scheduler, updates):
    """Those of the first group, one for each update."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(updates):
            found.append(float(scheduler.optimizer.param_groups[0]["lr"]))
            scheduler.optimizer.step()
            scheduler.step()
    return found
