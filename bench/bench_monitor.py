"""A training in PyTorch with a monitor, beside the same one without.

A small CNN for images of 28 by 28, as the article on the first learning rate has it; 20 epochs, of which the first two
are measured at every update and the others at one of 50. The losses of both are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bench._measure import Kind, Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = ("torch",)  # a process of its own: see `_worker`
EPOCHS, BATCHES, BATCH, CLASSES = 20, 15, 32, 10
BOUND = 1.02


def _net() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 13 * 13, 128),
        nn.ReLU(),
        nn.Linear(128, CLASSES),
    )


def _training(updates: int, is_watched: bool) -> Callable[[], NDArray[np.float64]]:
    """All updates of a run; gives their losses."""

    def run() -> NDArray[np.float64]:
        import torch

        from lrcore.bindings.torch import Monitor

        torch.manual_seed(0)
        net = _net()
        optimizer = torch.optim.Adam(net.parameters(), 1e-3)
        monitor = Monitor(net, optimizer, classes=CLASSES, batches_per_epoch=updates // EPOCHS) if is_watched else None
        inputs, labels = torch.rand(BATCH, 1, 28, 28), torch.arange(BATCH) % CLASSES
        losses = np.empty(updates)
        for update in range(updates):
            loss = torch.nn.functional.cross_entropy(net(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[update] = loss.item()
            if monitor is not None:
                monitor.observe(loss)
        return losses

    return run


def lines(quick: bool = False) -> Iterator[Line]:
    """A training that is watched, against one that is not."""
    updates = EPOCHS * (1 if quick else BATCHES)
    yield Line(
        topic="monitor",
        name="a CNN's training with a Monitor, 20 epochs",
        ours=_training(updates, is_watched=True),
        peer=_training(updates, is_watched=False),
        count=updates,
        kind=Kind.COST,
        unit="×",
        bound=BOUND,
        tolerance=0.0,
    )
