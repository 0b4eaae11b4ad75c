"""Live schedulers of torch and what is like them: made, stepped, and looked at from all sides."""

import warnings

import numpy as np
import torch


class Parameter(torch.nn.Parameter):
    """Of a model so large that there is no room for another."""

    def __deepcopy__(self, memo):
        raise MemoryError


def optimizer(*rates, kind=torch.optim.SGD):
    groups = [{"params": [Parameter(torch.zeros(2))], "lr": rate} for rate in rates or (0.1,)]
    return kind(groups, lr=rates[0] if rates else 0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {}))


def step(scheduler, times=1):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(times):
            scheduler.optimizer.step()
            scheduler.step()
    return scheduler


def snapshot(scheduler):
    """All that is said of a scheduler and its optimizer, and which objects it is made of."""
    groups = scheduler.optimizer.param_groups
    return (
        repr(scheduler.__dict__),
        [repr(child.__dict__) for child in getattr(scheduler, "_schedulers", ())],
        repr([{key: item for key, item in group.items() if key != "params"} for group in groups]),
        [(id(group), id(group["params"][0]), id(group["lr"])) for group in groups],
        repr(scheduler.optimizer.state_dict()),
        vars(scheduler.optimizer).keys(),
    )


def goes_on(scheduler, n):
    """The learning rates that the object itself gives next."""
    rates = []
    for _ in range(n):
        rates.append([float(group["lr"]) for group in scheduler.optimizer.param_groups])
        step(scheduler)
    return np.array(rates)


def live(optimizer, schedule):
    """torch's own scheduler, with the arguments of one of ours: the innermost are constructed first."""
    if schedule.origin is None:
        first = optimizer.param_groups[0]["lr"]
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step) / first)
    name = schedule.origin.peer.removeprefix("torch.")
    arguments = {key: item for key, item in schedule.origin.arguments.items() if key not in ("base_lr", "strict")}
    if "schedulers" in arguments:
        arguments["schedulers"] = [live(optimizer, one) for one in arguments["schedulers"]]
    if name == "ChainedScheduler":
        return torch.optim.lr_scheduler.ChainedScheduler(**arguments)
    if name == "CyclicLR":
        arguments["base_lr"] = schedule.origin.arguments["base_lr"]
    if "cycle_momentum" in arguments:
        arguments["cycle_momentum"] = False
    if "lr_lambda" in arguments:
        del arguments["steps"]
    kind = torch.optim.swa_utils.SWALR if name == "SWALR" else getattr(torch.optim.lr_scheduler, name)
    return kind(optimizer, **arguments)
