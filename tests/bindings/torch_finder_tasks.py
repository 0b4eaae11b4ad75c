"""Small trainings, which the tests of find_lr share."""

import torch
from torch import nn

from lrcore.bindings.torch import find_lr
from lrcore.finder import RangeTest

TEST = RangeTest(1e-3, 10.0, steps=24)
GENERATOR = torch.Generator().manual_seed(5)
INPUTS = torch.randn(40, 4, generator=GENERATOR, dtype=torch.float64)
TARGETS = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]], dtype=torch.float64)
BATCHES = list(zip(INPUTS.split(8), TARGETS.split(8), strict=True))
LOSS = nn.MSELoss()


def linear():
    torch.manual_seed(2)
    return nn.Linear(4, 1).double()


def deep(classes=1):
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, classes)).double()


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), **{"lr": 0.1, **options})


def one_after_another(optimizer):
    """An optimizer with a hook, so that its runs are not stacked."""
    optimizer.register_step_post_hook(lambda *_: None)
    return optimizer


def found_by(model, optimizer, loss_fn=LOSS, loader=BATCHES, **options):
    return find_lr(model, optimizer, loss_fn, loader, **{"test": TEST, "restarts": 1, "progress": False, **options})
