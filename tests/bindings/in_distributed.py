"""Trains on several processes; run by test_torch_distributed.py: `in_distributed.py folder runs`."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.debug import CommDebugMode
from torch.nn.parallel import DistributedDataParallel
from watching import arguments, say

from lrcore.bindings.torch import Scheduler
from lrcore.expression import parse


class Model(torch.nn.Module):
    """A weight of as many rows as there are processes, so that each has its shard; the gradient of each is 1."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(dist.get_world_size(), dtype=torch.float64))

    def forward(self):
        return self.weight.sum()


def sharded():
    return fully_shard(Model(), mesh=init_device_mesh("cpu", (dist.get_world_size(),)))


def replicated():
    return DistributedDataParallel(Model())


WRAPPED = {"fsdp": sharded, "ddp": replicated}


def local(tensor):
    """What of it is here."""
    detached = tensor.detach()
    return detached.to_local() if hasattr(detached, "to_local") else detached


def updates(model, optimizer, scheduler, count, accumulate):
    """The rate of each update, as the weight here reveals it."""
    for _ in range(count):
        for _ in range(accumulate):
            model().backward()
        weight = next(model.parameters())
        local(weight).zero_()
        optimizer.step()
        yield -float((local(weight) / local(weight.grad))[0])
        optimizer.zero_grad()
        scheduler.step()


def trained(folder, wrapped, schedule, begin, end, order, accumulate):
    """The rates of some updates, from a checkpoint of torch.distributed.checkpoint to another."""
    model = WRAPPED[wrapped]()
    optimizer = torch.optim.SGD(model.parameters(), lr=123.0)
    scheduler = Scheduler(optimizer, parse(schedule))
    if begin:
        load(folder / str(begin), model, optimizer, scheduler, order)
    rates = list(updates(model, optimizer, scheduler, end - begin, accumulate))
    model_state, optimizer_state = get_state_dict(model, optimizer)
    saved = {"model": model_state, "optimizer": optimizer_state, "scheduler": scheduler}
    dcp.save(saved, checkpoint_id=folder / str(end))
    return rates


def load(path, model, optimizer, scheduler, order):
    """Each part by itself, in the order given, or all together."""
    for parts in order:
        model_state, optimizer_state = get_state_dict(model, optimizer)
        states = {"model": model_state, "optimizer": optimizer_state, "scheduler": scheduler}
        loaded = {name: states[name] for name in parts}
        dcp.load(loaded, checkpoint_id=path)
        if "optimizer" in loaded:
            set_state_dict(model, optimizer, model_state_dict=loaded["model"], optim_state_dict=loaded["optimizer"])


def collectives(function):
    """How many collectives a function calls."""
    with CommDebugMode() as seen:
        function()
    return seen.get_total_counts()


def silence(schedule):
    """How many collectives there are in a scheduler's life, and in a call of one, which shows that they are seen."""
    model = sharded()
    optimizer = torch.optim.SGD(model.parameters(), lr=123.0)

    def life():
        scheduler = Scheduler(optimizer, parse(schedule))
        for _ in range(3):
            optimizer.step()
            scheduler.step()
        scheduler.load_state_dict(scheduler.state_dict())

    return [collectives(life), collectives(lambda: dist.all_reduce(torch.zeros(1)))]


def refused(path, schedule):
    """What is said of a checkpoint of another schedule."""
    scheduler = Scheduler(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), parse(schedule))
    before = scheduler.state_dict()
    try:
        dcp.load({"scheduler": scheduler}, checkpoint_id=path)
    except Exception as error:
        assert scheduler.state_dict() == before
        return str(error)
    return None


if __name__ == "__main__":
    folder, runs, other = arguments()
    dist.init_process_group("gloo")
    answer = {name: trained(Path(folder) / name, **run) for name, run in runs.items()}
    if other is not None:
        answer["refused"] = refused(Path(folder) / other["path"], other["schedule"])
        answer["silence"] = silence(other["schedule"])
    dist.barrier()  # none goes while another still waits for it
    dist.destroy_process_group()
    say(answer)
