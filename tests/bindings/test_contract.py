"""The one contract of all bindings: after k updates the optimizer's rate is `schedule(k)`, in the framework's dtype."""

import keras
import numpy as np
import pytest
import torch

from cases import CASES
from lrcore.bindings.keras import Schedule
from lrcore.bindings.torch import Scheduler

UPDATES = 200


def in_torch(schedule, rate=1.0):
    """What the optimizer says before each update, and what its weight, from 0 with a gradient of 1, reveals."""
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=rate)
    scheduler = Scheduler(optimizer, schedule)
    for _ in range(UPDATES + 1):
        weight.data.zero_()
        weight.grad = torch.ones_like(weight)
        said = float(optimizer.param_groups[0]["lr"])
        optimizer.step()
        yield said, -weight.item()
        scheduler.step()


def in_torch_by_tensor(schedule):
    return in_torch(schedule, rate=torch.tensor(1.0, dtype=torch.float32))


def in_keras_on_torch(schedule):
    optimizer = keras.optimizers.SGD(Schedule(schedule))
    weight = keras.Variable(np.zeros(1, np.float32))
    gradient = keras.ops.ones(1)
    for _ in range(UPDATES + 1):
        weight.assign(np.zeros(1, np.float32))
        said = optimizer.learning_rate
        assert keras.backend.standardize_dtype(said.dtype) == "float32"
        optimizer.apply([gradient], [weight])
        yield float(said), -weight.value.item()


BINDINGS = [(in_torch, np.float64), (in_torch_by_tensor, np.float32), (in_keras_on_torch, np.float32)]


def test_keras_runs_on_torch():
    assert keras.config.backend() == "torch"


@pytest.mark.parametrize(("updates", "dtype"), BINDINGS, ids=[updates.__name__ for updates, _ in BINDINGS])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_after_k_updates_the_rate_is_the_schedule_at_k(case, updates, dtype):
    schedule = case.schedule()
    expected = [float(dtype(schedule(step))) for step in range(UPDATES + 1)]
    said, revealed = zip(*updates(schedule), strict=True)
    assert list(said) == expected
    assert list(revealed) == expected
