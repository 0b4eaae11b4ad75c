"""Learning rates that are tensors: kept, compiled once, and followed by the device itself."""

import doctest
import io

import numpy as np
import pytest
import torch

import lrcore as lr
from lrcore.bindings.torch import DeviceSchedule, Scheduler, device as device_module

COSINE = lr.Cosine(0.3, 0.01, 9)


def built(rate=None):
    weight = torch.nn.Parameter(torch.zeros(3))
    weight.grad = torch.ones(3)
    return weight, torch.optim.SGD([weight], lr=torch.tensor(1.0) if rate is None else rate)


# --- Scheduler


def test_the_tensor_stays_when_the_optimizer_loads_a_state():
    _, optimizer = built()
    tensor = optimizer.param_groups[0]["lr"]
    scheduler = Scheduler(optimizer, COSINE)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = torch.tensor(0.125)
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] is tensor
    assert tensor.item() == np.float32(COSINE(4))
    optimizer.step()
    scheduler.step()
    assert tensor.item() == np.float32(COSINE(5))


def test_the_tensor_stays_when_the_state_is_of_a_float():
    _, optimizer = built()
    tensor = optimizer.param_groups[0]["lr"]
    kept = Scheduler(optimizer, COSINE)
    _, other = built(0.125)
    optimizer.load_state_dict(other.state_dict())
    assert optimizer.param_groups[0]["lr"] is tensor
    assert tensor.item() == np.float32(COSINE(0))
    assert kept.get_last_lr()[0] is not tensor


def test_a_float_becomes_the_tensor_that_a_state_has_without_one_before():
    _, optimizer = built(0.5)
    scheduler = Scheduler(optimizer, COSINE)
    _, other = built()
    optimizer.load_state_dict(other.state_dict())
    optimizer.step()
    scheduler.step()
    assert isinstance(optimizer.param_groups[0]["lr"], torch.Tensor)
    assert optimizer.param_groups[0]["lr"].item() == np.float32(COSINE(1))


def test_a_rate_made_a_tensor_on_the_way_is_filled():
    _, optimizer = built(0.5)
    scheduler = Scheduler(optimizer, COSINE)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    tensor = optimizer.param_groups[0]["lr"] = torch.tensor(0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is tensor
    assert tensor.item() == np.float32(COSINE(4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of what its compiler imports
def test_a_compiled_step_compiles_once_in_ten_thousand_updates():
    torch._dynamo.reset()
    compiled = []

    def backend(graph, inputs):  # noqa: ARG001
        compiled.append(graph)
        return graph.forward

    weight, optimizer = built()
    scheduler = Scheduler(optimizer, lr.warmup_cosine(1e-3, 0.0, 100, 10_000))
    tensor = optimizer.param_groups[0]["lr"]
    step = torch.compile(optimizer.step, backend=backend)
    expected = 0.0
    rates = scheduler.schedule.table(10_000, dtype="float32")
    for _ in range(10_000):
        step()
        scheduler.step()
    for rate in rates:
        expected = np.float32(expected - rate)
    assert len(compiled) == 1
    assert optimizer.param_groups[0]["lr"] is tensor
    assert weight[0].item() == expected
    torch._dynamo.reset()


@pytest.mark.parametrize("plateau", [None, lr.Plateau()], ids=["alone", "plateau"])
def test_building_and_stepping_never_wait_for_a_device(plateau):
    """A tensor on the meta device has no value: whoever asks for it, as `float` does, is refused."""
    _, optimizer = built(1.0)
    optimizer.param_groups[0]["lr"] = torch.tensor(1.0, device="meta")
    with pytest.raises(RuntimeError, match="meta"):
        float(optimizer.param_groups[0]["lr"])
    optimizer._opt_called = True  # the update itself asks for the value
    scheduler = Scheduler(optimizer, COSINE, plateau=plateau)
    for _ in range(3):
        scheduler.step()
    assert scheduler.updates == 3
    assert scheduler.get_last_lr()[0].device.type == "meta"


@pytest.mark.parametrize("schedule", [COSINE, [COSINE, lr.Linear(0.1, 0.0, 5)]], ids=["scales", "schedules"])
def test_groups_that_share_a_tensor_and_differ_get_their_own(schedule):
    """Torch puts the tensor of its argument into every group."""
    shared = torch.tensor(1.0, dtype=torch.float64)
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr_scale": scale} for scale in (1.0, 0.5)]
    optimizer = torch.optim.SGD(groups, lr=shared)
    scheduler = Scheduler(optimizer, schedule)
    tensors = [group["lr"] for group in optimizer.param_groups]
    assert tensors[0] is not tensors[1]
    schedules = schedule if isinstance(schedule, list) else [schedule] * 2
    for step in range(6):
        assert all(group["lr"] is tensor for group, tensor in zip(optimizer.param_groups, tensors, strict=True))
        assert [tensor.item() for tensor in tensors] == [schedules[0](step), schedules[1](step) * 0.5]
        optimizer.step()
        scheduler.step()


def test_groups_that_share_a_tensor_get_one_each_and_the_first_keeps_it():
    """So that none of them moves later, when a step is compiled, and a schedule of its own is set for one."""
    shared = torch.tensor(1.0, dtype=torch.float64)
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)], lr=shared)
    scheduler = Scheduler(optimizer, COSINE)
    tensors = [group["lr"] for group in optimizer.param_groups]
    assert tensors[0] is shared
    scheduler.schedule = [COSINE, 0.5]
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr_scale": 0.5})
    assert all(group["lr"] is tensor for group, tensor in zip(optimizer.param_groups, tensors, strict=False))
    assert [group["lr"].item() for group in optimizer.param_groups] == [COSINE(0), 0.5, 0.25]


# --- DeviceSchedule


@pytest.mark.parametrize("steps", [None, 4, 10])
def test_a_device_schedule_is_the_table_and_then_its_last_value(steps):
    rates = DeviceSchedule(COSINE, steps, device="cpu")
    table = COSINE.table(20, dtype="float32").tolist()
    last = (10 if steps is None else steps) - 1
    for update in range(15):
        assert rates.value.item() == table[min(update, last)]
        rates.advance()


def test_the_weights_show_its_values():
    weight, optimizer = built()
    rates = DeviceSchedule(COSINE, device="cpu").attach(optimizer)
    tensor = optimizer.param_groups[0]["lr"]
    assert tensor is rates.value
    expected = np.float32(0.0)
    for rate in COSINE.table(12, dtype="float32"):
        optimizer.step()
        rates.advance()
        expected -= rate
        assert weight[0].item() == expected
    assert optimizer.param_groups[0]["lr"] is tensor


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_needs_nothing_of_the_host_to_advance():
    """Compiled as a graph without a break, it is operations of the device alone."""
    rates = DeviceSchedule(COSINE, device="cpu")
    advance = torch.compile(rates.advance, backend="eager", fullgraph=True)
    for update in range(12):
        assert rates.value.item() == np.float32(COSINE(update))
        advance()
    torch._dynamo.reset()


def test_it_resumes_and_stays_in_the_optimizer():
    _, optimizer = built()
    rates = DeviceSchedule(COSINE, device="cpu").attach(optimizer)
    for _ in range(5):
        optimizer.step()
        rates.advance()
    file = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "rates": rates.state_dict()}, file)
    file.seek(0)
    states = torch.load(file, weights_only=True)

    weight, optimizer = built()
    resumed = DeviceSchedule(COSINE, device="cpu").attach(optimizer)
    resumed.load_state_dict(states["rates"])
    optimizer.load_state_dict(states["optimizer"])
    assert optimizer.param_groups[0]["lr"] is resumed.value
    optimizer.step()
    assert weight[0].item() == -np.float32(COSINE(5))


def test_momentum_on_the_device():
    weight = torch.nn.Parameter(torch.zeros(1))
    betas = torch.tensor(0.9), torch.tensor(0.999)
    optimizer = torch.optim.AdamW([weight], lr=torch.tensor(0.1), betas=betas, foreach=False)
    rates = DeviceSchedule(COSINE, device="cpu").attach(optimizer, "momentum")
    assert optimizer.param_groups[0]["betas"][0] is rates.value


def test_groups_of_other_scales_are_attached_by_their_places():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr_scale": scale} for scale in (1.0, 0.5)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    with pytest.raises(ValueError, match="the places of groups, where groups have a lr_scale"):
        DeviceSchedule(COSINE, device="cpu").attach(optimizer)
    DeviceSchedule(COSINE, device="cpu").attach(optimizer, groups=[0])
    DeviceSchedule(0.5 * COSINE, device="cpu").attach(optimizer, groups=[1])
    assert [group["lr"].item() for group in optimizer.param_groups] == [
        np.float32(COSINE(0)),
        np.float32(COSINE(0) * 0.5),
    ]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: DeviceSchedule(lr.sgdr(0.1, 0.0, 4), device="cpu"),
            ValueError,
            "without an end: expected a number of",
        ),
        (lambda: DeviceSchedule(COSINE, 0, device="cpu"), ValueError, "DeviceSchedule.steps: expected a number of"),
        (lambda: DeviceSchedule("x", device="cpu"), TypeError, "DeviceSchedule.schedule: expected a schedule"),
        (lambda: DeviceSchedule(COSINE, device="cpu", position=-1), ValueError, "DeviceSchedule.position: expected"),
        (lambda: DeviceSchedule(COSINE, device="cpu").attach("x"), TypeError, "expected a torch.optim.Optimizer"),
        (lambda: DeviceSchedule(COSINE, device="cpu").attach(built()[1], "x"), ValueError, "got 'x'"),
        (lambda: DeviceSchedule(COSINE, device="cpu").load_state_dict({}), ValueError, "a state of a DeviceSchedule"),
        (lambda: DeviceSchedule(COSINE, device="cpu").load_state_dict(None), ValueError, "a state of a DeviceSchedule"),
        (
            lambda: DeviceSchedule(COSINE, device="cpu").load_state_dict(
                DeviceSchedule(0.5, device="cpu").state_dict()
            ),
            ValueError,
            "expected a state of Cosine",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_examples_run():
    results = doctest.testmod(device_module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert (results.failed, results.attempted > 5) == (0, True)
