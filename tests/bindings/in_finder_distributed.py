"""Finds a rate on several processes; run by test_torch_finder_distributed.py: `in_finder_distributed.py names`."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler
from watching import arguments, say

from lrcore.bindings.torch import find_lr
from lrcore.finder import RangeTest

TEST = RangeTest(1e-3, 10.0, steps=12)
GENERATOR = torch.Generator().manual_seed(3)
INPUTS = torch.randn(48, 4, generator=GENERATOR)
TARGETS = INPUTS.sum(1, keepdim=True)
SHIFT = torch.tensor([0.0, 0.5])  # of the targets of each process, so that their losses differ


class Net(torch.nn.Sequential):
    """With buffers, which DDP sends around at each forward pass."""

    def __init__(self):
        torch.manual_seed(1)
        super().__init__(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Tanh(), torch.nn.Linear(6, 1))


def ddp():
    return DistributedDataParallel(Net())


def fsdp():
    return fully_shard(Net(), mesh=init_device_mesh("cpu", (dist.get_world_size(),)))


def sampled():
    data = TensorDataset(INPUTS, TARGETS)
    return DataLoader(data, batch_size=6, sampler=DistributedSampler(data, shuffle=True))


def batches(count):
    own = INPUTS.roll(dist.get_rank() * 7, 0), TARGETS.roll(dist.get_rank() * 7, 0)
    return list(zip(own[0].split(6), own[1].split(6), strict=True))[:count]


class OwnError(Exception):
    """What goes wrong in one process."""


def loss_fn(outputs, targets):
    return torch.nn.functional.mse_loss(outputs, targets + SHIFT[dist.get_rank()])


def fails(rank, at, action):
    """The loss, but for call number `at` in one process."""
    calls = [0]

    def call(outputs, targets):
        calls[0] += 1
        found = loss_fn(outputs, targets)
        return action(found) if dist.get_rank() == rank and calls[0] == at else found

    return call


def stop(error):
    def raised(_):
        raise error

    return raised


class FailsBackward(torch.autograd.Function):
    """The identity, with a gradient that fails."""

    @staticmethod
    def forward(_, given):
        return given.clone()

    @staticmethod
    def backward(*_):
        raise OwnError


WAYS = {
    "ddp": lambda: (ddp, sampled(), loss_fn, {}),
    "fsdp": lambda: (fsdp, batches(8), loss_fn, {"accumulate": 2}),
    "each its own": lambda: (Net, batches(8), loss_fn, {"restarts": 3, "refine": True}),
    "NaN": lambda: (ddp, batches(8), fails(1, 4, lambda loss: loss * torch.nan), {}),
    "raises": lambda: (ddp, batches(8), fails(1, 4, stop(OwnError())), {}),
    "raises, sharded": lambda: (fsdp, batches(8), fails(1, 4, stop(OwnError())), {}),
    "ctrl-c": lambda: (ddp, batches(8), fails(0, 3, stop(KeyboardInterrupt())), {}),
    "raises in backward": lambda: (Net, batches(8), fails(0, 3, FailsBackward.apply), {}),
    "fewer batches": lambda: (ddp, batches(8 - 7 * dist.get_rank()), loss_fn, {}),
    "no batches": lambda: (ddp, batches(8 * dist.get_rank()), loss_fn, {}),
}


def bits(model, optimizer):
    """All that there is of it here."""
    told = [*model.state_dict().values(), *(one for state in optimizer.state.values() for one in state.values())]
    local = [one.to_local() if hasattr(one, "to_local") else one for one in told]
    return [one.flatten().tolist() for one in local] + [torch.get_rng_state().tolist()]


def updates(model, optimizer, loader, count):
    for _, (inputs, targets) in zip(range(count), loader, strict=False):
        optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        optimizer.step()


def found(name):
    """What it says, and whether all was as before and the training goes on as without it."""
    build, loader, function, options = WAYS[name]()
    trained = []
    for finds in (False, True):
        torch.manual_seed(2)
        model = build()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        updates(model, optimizer, batches(3), 3)
        before = bits(model, optimizer)
        said = told(model, optimizer, function, loader, options) if finds else None
        same = bits(model, optimizer) == before
        updates(model, optimizer, batches(4), 4)
        trained.append(bits(model, optimizer))
    return {**said, "same": same, "goes on": trained[0] == trained[1]}


def told(model, optimizer, function, loader, options):
    options = {"test": TEST, "restarts": 2, "progress": False, **options}
    try:
        result = find_lr(model, optimizer, function, loader, **options)
    except BaseException as error:
        return {"raised": type(error).__name__, "message": str(error)}
    return {"lr": result.lr, "text": str(result), "lengths": [int((row == row).sum()) for row in result.losses]}


def mean_by_hand():
    """The first loss of a model, as the mean over the processes."""
    (inputs, targets), model = batches(1)[0], Net()
    loss = loss_fn(model(inputs), targets).detach()
    dist.all_reduce(loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    result = find_lr(model, optimizer, loss_fn, batches(1), test=TEST, restarts=1)
    return [float(loss) / dist.get_world_size(), result.losses[0, 0]]


if __name__ == "__main__":
    (names,) = arguments()
    dist.init_process_group("gloo")
    answer = {name: found(name) for name in names}
    answer["mean"] = mean_by_hand()
    dist.barrier()  # none goes while another still waits for it
    dist.destroy_process_group()
    say(answer)
