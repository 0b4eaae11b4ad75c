"""Trial runs side by side: the parameters of all runs are stacked, and one forward pass serves them all.

What is on the white list treats each element by itself, so that the optimizer of a stack is that of each of its slices.
One that takes norms, as LBFGS, Adafactor or Muon do, would mix the runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim
from torch.func import functional_call, vmap
from torch.nn.parallel import DistributedDataParallel

from lrcore.bindings.torch._batches import derived, form, mapped, seed_all, tensors
from lrcore.bindings.torch._snapshot import Snapshot
from lrcore.bindings.torch._trials import DROPOUT, Task, Tick, write_rates
from lrcore.finder import Watch

Floats = NDArray[np.float64]
ELEMENTWISE = {
    getattr(optim, name)
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")
}
COUNTERS = ("step", "mu_product")  # of an optimizer's state, the same in all runs
MOST_BYTES = 2**28  # of the stacked parameters: above, a pass of one run keeps the machine busy by itself
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class NotStackableError(Exception):
    """Runs that have to be done one after another, and why."""


class _WithLoss(nn.Module):
    """A model whose output is its loss, so that the loss too sees the parameters that are called with."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model = task.model
        self._task = task

    def forward(self, batch: Any) -> Tensor:
        with self._task.context():
            return self._task.loss(self.model, batch)


class Stacked:
    """Runs side by side, with parameters and optimizers of their own; the model lends them its forward pass.

    Raises:
        NotStackableError: the model, the optimizers or the loader do not allow it, as far as can be seen.
    """

    def __init__(self, task: Task, snapshot: Snapshot, runs: int) -> None:
        self._task = task
        self._snapshot = snapshot
        self._runs = 0
        self._names = _trained(task)
        _check_stackable(task, self._names, runs)

    def run(self, rates: Floats, watches: list[Watch], one_more: bool, tick: Tick) -> list[Floats]:
        """As `Looped.run`.

        Raises:
            NotStackableError: something cannot be done side by side.
        """
        task, runs = self._task, len(watches)
        self._runs = runs
        self._stack(runs)
        batches = [task.batches(run, runs, len(rates), 0) for run in range(runs)]
        for rate in rates:
            write_rates(self._groups, task.ratios, float(rate))
            losses = self._gradients(batches)
            tick(runs)
            if _observe(watches, losses):
                break
            _stackable(self._update)
        if one_more and any(watch.running.any() for watch in watches):
            with torch.no_grad():
                _observe(watches, self._gradients(batches))
        return [watch.losses.reshape(-1) for watch in watches]

    # ---- The stack ----

    def _stack(self, runs: int) -> None:
        """Copies of what differs between runs; with initial weights of their own that is everything."""
        task = self._task
        task.begin(self._snapshot, 0, 0)
        named = dict(task.model.named_parameters())
        wanted = named if task.reinit is not None else {name: named[name] for name in self._names}
        buffers = dict(task.model.named_buffers())
        kept: dict[str, list[Tensor]] = {name: [] for name in (*wanted, *buffers)}
        for run in range(runs):
            with torch.no_grad():
                task.initialise(run)
            present = {**dict(task.model.named_parameters()), **dict(task.model.named_buffers())}
            for name, each in kept.items():
                each.append(present[name].detach().clone())
        stacks = {name: torch.stack(each) for name, each in kept.items()}
        self._parameters = {name: stacks[name] for name in wanted}
        for name in self._names:
            self._parameters[name] = nn.Parameter(self._parameters[name])
        self._buffers = {name: stacks[name] for name in buffers}
        self._model = _WithLoss(task)
        of: dict[Tensor, Tensor] = {named[name]: self._parameters[name] for name in self._names}
        self._optimizers = [_stacked_optimizer(optimizer, of, runs) for optimizer in task.optimizers]
        self._groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        seed_all(derived(task.seed, DROPOUT, 0, 0))

    # ---- Training ----

    def _gradients(self, batches: list[Iterator[Any]]) -> Floats:
        """The gradients of an update of each run, and the losses."""
        task, total = self._task, np.zeros(len(batches))
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        for _ in range(task.accumulate):
            drawn = [next(each) for each in batches]
            total += _stackable(lambda: self._passed(drawn))  # noqa: B023 (called at once)
        return total / task.accumulate

    def _passed(self, drawn: list[Any]) -> Floats:
        losses = np.empty(len(drawn))
        for places in _alike(drawn):
            found = self._losses(places, [drawn[place] for place in places])
            if found.requires_grad:
                (found.sum() / self._task.accumulate).backward()  # type: ignore[no-untyped-call]
            elif torch.is_grad_enabled():
                raise RuntimeError("the loss has no gradient")
            losses[places] = found.detach().cpu().double().numpy()
        return losses

    def _losses(self, places: list[int], drawn: list[Any]) -> Tensor:
        """The losses of some runs, whose batches have the same form."""
        columns = [torch.stack(each) for each in zip(*map(tensors, drawn), strict=True)]

        def loss(parameters: Any, buffers: Any, *own: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            remaining = iter(own)
            batch = mapped(lambda _: next(remaining), drawn[0])
            named = {f"model.{name}": one for name, one in (*parameters.items(), *buffers.items())}
            found: Tensor = functional_call(self._model, named, (batch,))
            return found, {name: named[f"model.{name}"] for name in buffers}  # as the call has left them

        parameters, buffers = self._parameters, self._buffers
        is_whole = len(places) == self._runs
        if not is_whole:
            parameters = {name: one[places] for name, one in parameters.items()}
            buffers = {name: one[places] for name, one in buffers.items()}
        found, buffers = vmap(loss, randomness="different")(parameters, buffers, *columns)
        for name, one in buffers.items():
            if is_whole:  # not copied: the backward pass may need what it was
                self._buffers[name] = one.detach()
            else:
                self._buffers[name][places] = one.detach()
        return found

    def _update(self) -> None:
        for optimizer in self._optimizers:
            optimizer.step()


def _observe(watches: list[Watch], losses: Floats) -> bool:
    """Tells the runs that go on their losses; True: none goes on."""
    for watch, loss in zip(watches, losses, strict=True):
        if watch.running.any():
            watch.observe(loss)
    return not any(watch.running.any() for watch in watches)


def _stackable(work: Callable[[], Any]) -> Any:
    """Does what may turn out not to be possible side by side.

    What torch.func cannot do is a RuntimeError, or one of these others where a batched tensor gets to other code; an
    error of another type is the user's own, and goes through.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
            return work()
    except (RuntimeError, TypeError, ValueError) as error:
        raise NotStackableError(f"{type(error).__name__}: {error}") from error


def _alike(drawn: list[Any]) -> list[list[int]]:
    """The places of batches of the same form."""
    found: dict[Any, list[int]] = {}
    for place, batch in enumerate(drawn):
        found.setdefault(form(batch), []).append(place)
    return list(found.values())


def _stacked_optimizer(given: optim.Optimizer, of: dict[Tensor, Tensor], runs: int) -> optim.Optimizer:
    """An optimizer of stacks, with the state that each run begins with."""
    groups = []
    for group in given.param_groups:
        copied = {key: one.clone() if isinstance(one, Tensor) else one for key, one in group.items()}
        copied.pop("param_names", None)
        groups.append({**copied, "params": [of[parameter] for parameter in group["params"] if parameter in of]})
    made: optim.Optimizer = type(given)(groups)  # type: ignore[call-arg]
    for parameter, state in given.state.items():
        if parameter not in of:  # frozen since
            continue
        made.state[of[parameter]] = {key: _stacked_state(key, one, runs) for key, one in state.items()}
    return made


def _stacked_state(key: str, given: Any, runs: int) -> Any:
    if not isinstance(given, Tensor):
        return given
    return given.clone() if key in COUNTERS else torch.stack([given] * runs)


# ---- What allows it ----


def _trained(task: Task) -> list[str]:
    """The names of the parameters that the optimizers train."""
    names = {parameter: name for name, parameter in task.model.named_parameters()}
    listed = [parameter for group in task.groups() for parameter in group["params"] if parameter.requires_grad]
    if any(parameter not in names for parameter in listed):
        raise NotStackableError("an optimizer trains what the model does not have")
    return [names[parameter] for parameter in listed]


def _check_stackable(task: Task, names: list[str], runs: int) -> None:
    named = dict(task.model.named_parameters())
    stacked = named.values() if task.reinit is not None else [named[name] for name in names]
    reasons = {
        "the update is the user's own": task.step is not None,
        "gradients are scaled": task.scaler is not None,
        "an optimizer's arithmetic is not elementwise": any(type(one) not in ELEMENTWISE for one in task.optimizers),
        "an optimizer has hooks": any(map(_has_hooks, task.optimizers)),
        "the model has hooks": any(getattr(module, name, None) for module in task.model.modules() for name in HOOKS),
        "a parameter has hooks": any(
            one._backward_hooks or getattr(one, "_post_accumulate_grad_hooks", None) for one in named.values()
        ),
        "the model is distributed": isinstance(task.model, DistributedDataParallel),
        "a parameter is no plain tensor": any(type(one) not in (nn.Parameter, Tensor) for one in named.values()),
        "the loader has workers": bool(getattr(task.loader, "num_workers", 0)),
        "the stack is large": runs * sum(one.numel() * one.element_size() for one in stacked) > MOST_BYTES,
    }
    for reason, holds in reasons.items():
        if holds:
            raise NotStackableError(reason)


def _has_hooks(optimizer: optim.Optimizer) -> bool:
    return bool(optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks)
