"""Trial runs, one after another: each begins where the snapshot was taken, and trains at the rates that it is given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import LBFGS, Adagrad, Optimizer

from lrcore import _check
from lrcore.bindings.torch._batches import derived, length, moved, seed_all, stream
from lrcore.bindings.torch._driven import Slot, put
from lrcore.bindings.torch._snapshot import Snapshot
from lrcore.bindings.torch._votes import Votes
from lrcore.bindings.torch.audit import Audit
from lrcore.finder import Watch

Floats = NDArray[np.float64]
Tick = Callable[[int], object]  # called with a number of updates done
DATA, DROPOUT, INIT = 0, 1, 2  # what random numbers are for


@dataclass(frozen=True)
class Task:
    """What is trained, and how; see `find_lr`."""

    model: nn.Module
    optimizers: tuple[Optimizer, ...]
    loss_fn: Callable[..., Any] | None
    loader: Any
    step: Callable[[Any], Any] | None
    accumulate: int
    autocast: Any
    scaler: Any
    reinit: Any
    seed: int
    ratios: tuple[float, ...]  # of each group of each optimizer
    device: torch.device | None

    def groups(self) -> Iterator[dict[str, Any]]:
        """The groups of all optimizers."""
        for optimizer in self.optimizers:
            yield from optimizer.param_groups

    def set_rate(self, rate: float) -> None:
        """Writes a rate into all groups, by their ratios."""
        write_rates(list(self.groups()), self.ratios, rate)

    def context(self) -> Any:
        """The context of a forward pass."""
        if not isinstance(self.autocast, torch.dtype):
            return contextlib.nullcontext() if self.autocast is None else self.autocast
        return torch.autocast(self.device.type if self.device is not None else "cpu", dtype=self.autocast)

    def batches(self, run: int, runs: int, steps: int, rank: int) -> Iterator[Any]:
        """Those of a run, on the device of the model."""
        wanted = steps * self.accumulate
        apart = min(length(self.loader) or wanted, wanted)  # runs in the same order begin at different places
        for batch in stream(self.loader, run * apart // runs, derived(self.seed, DATA), run, rank):
            yield batch if self.device is None else moved(batch, self.device)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The loss of a batch, as a 0-d tensor."""
        if self.loss_fn is None:
            loss = _own_loss(model(**batch) if isinstance(batch, dict) else model(batch))
        elif isinstance(batch, (list, tuple)) and len(batch) == 2:
            loss = self.loss_fn(_called(model, batch[0]), batch[1])
        else:
            loss = self.loss_fn(model, batch)
        if not isinstance(loss, Tensor):
            _check.refuse("find_lr.loss_fn", "a loss that is a tensor", loss, TypeError)
        if loss.numel() != 1:
            raise ValueError(f"find_lr.loss_fn: expected a loss of one number, got shape {tuple(loss.shape)}")
        return loss.reshape(())

    def initialise(self, run: int) -> None:
        """Gives the model the initial weights of a run, if these are to differ."""
        if self.reinit is None:
            return
        seed_all(derived(self.seed, INIT, run))
        if callable(self.reinit):
            self.reinit(self.model)
            return
        resets = [module for module in self.model.modules() if callable(getattr(module, "reset_parameters", None))]
        if not resets:
            raise ValueError("find_lr.reinit: expected modules with reset_parameters(), got a model without one")
        for module in resets:
            module.reset_parameters()  # type: ignore[operator]

    def begin(self, snapshot: Snapshot, run: int, rank: int) -> None:
        """All as a run finds it."""
        snapshot.restore()
        for optimizer in self.optimizers:
            _silence(optimizer)
        if not self.model.training:
            self.model.train()
        with torch.no_grad():
            self.initialise(run)
        if self.reinit is not None:
            for optimizer in self.optimizers:
                _forget(optimizer)
        for parameter in self.model.parameters():
            parameter.grad = None
        for group in self.groups():
            for parameter in group["params"]:
                parameter.grad = None
        if getattr(self.loader, "persistent_workers", False):
            self.loader._iterator = None  # an iteration would begin that of the training anew
        seed_all(derived(self.seed, DROPOUT, run, rank))


def write_rates(groups: list[dict[str, Any]], ratios: tuple[float, ...], rate: float) -> None:
    """Writes a rate into groups, by their ratios."""
    with torch.no_grad():
        for group, ratio in zip(groups, ratios, strict=True):
            put(group, Slot("lr"), rate * ratio)


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (list, tuple)) else model(inputs)


def _own_loss(output: Any) -> Any:
    """What a model that knows its loss gives."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, dict) and "loss" in output:
        return output["loss"]
    if hasattr(output, "loss"):
        return output.loss
    return output[0] if isinstance(output, tuple) and output else output


def _silence(optimizer: Optimizer) -> None:
    """An audit shall not take the updates for the training's; the snapshot has its hook."""
    hooks = optimizer._optimizer_step_pre_hooks
    for key, hook in list(hooks.items()):
        if isinstance(getattr(hook, "__self__", None), Audit):
            del hooks[key]


def _forget(optimizer: Optimizer) -> None:
    """An optimizer's state before its first update."""
    if not isinstance(optimizer, Adagrad):
        optimizer.state.clear()
        return
    for state in optimizer.state.values():  # it is the one that has a state from the start
        state["step"].zero_()
        state["sum"].fill_(optimizer.defaults["initial_accumulator_value"])


class Looped:
    """Runs one after another, with the model and the optimizers themselves."""

    def __init__(self, task: Task, snapshot: Snapshot, votes: Votes) -> None:
        self._task = task
        self._snapshot = snapshot
        self._votes = votes
        self._used: list[Any] = []  # the batches of the update

    def run(self, rates: Floats, watches: list[Watch], one_more: bool, tick: Tick) -> list[Floats]:
        """Trains each run at the rates until its watch says stop.

        Args:
            rates: one an update.
            watches: one a run.
            one_more: whether the loss after the last update is measured too.
            tick: called with 1 after each update.

        Returns:
            The losses of each run.
        """
        runs = len(watches)
        return [self.one(rates, watch, run, runs, tick, one_more=one_more) for run, watch in enumerate(watches)]

    def one(self, rates: Floats, watch: Watch, run: int, runs: int, tick: Tick, *, one_more: bool = False) -> Floats:
        """The losses of one of some runs; `tick` is called between its updates."""
        task, agree = self._task, self._votes.agree
        agree(lambda: task.begin(self._snapshot, run, self._votes.rank))
        batches = task.batches(run, runs, len(rates), self._votes.rank)
        for rate in rates:
            task.set_rate(float(rate))
            loss = self._by_user(batches) if task.step is not None else self._gradients(batches)
            tick(1)
            if watch.observe(loss):
                break
            if task.step is None:
                agree(self._update)
        if one_more and watch.running.any() and task.step is None:
            watch.observe(self._last(batches))
        return watch.losses.reshape(-1)

    def _by_user(self, batches: Iterator[Any]) -> float:
        """An update that the user's own function makes."""
        batch = self._votes.agree(lambda: next(batches))
        return self._votes.mean(lambda: _number(self._task.step(batch)))  # type: ignore[misc]

    def _gradients(self, batches: Iterator[Any]) -> float:
        """The gradients of an update, and its loss: the mean over all that goes into it."""
        task, total = self._task, 0.0
        self._used = []
        for optimizer in task.optimizers:
            optimizer.zero_grad()
        for _ in range(task.accumulate):
            batch = self._votes.agree(lambda: next(batches))
            self._used.append(batch)
            held: list[Tensor] = []
            total += self._votes.mean(lambda: self._forward(batch, held))  # noqa: B023 (called at once)
            self._votes.agree(lambda: self._backward(held))  # noqa: B023
        return total / task.accumulate

    def _forward(self, batch: Any, held: list[Tensor]) -> float:
        with self._task.context():
            loss = self._task.loss(self._task.model, batch)
        if torch.is_grad_enabled() and not loss.requires_grad:
            raise ValueError(
                "find_lr.loss_fn: expected a loss that depends on the parameters, got one without a gradient"
            )
        held.append(loss)
        return loss.item()

    def _backward(self, held: list[Tensor]) -> None:
        loss = held.pop() / self._task.accumulate
        if self._task.scaler is not None:
            loss = self._task.scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]

    def _update(self) -> None:
        scaler = self._task.scaler
        for optimizer in self._task.optimizers:
            if isinstance(optimizer, LBFGS):
                optimizer.step(self._again)  # type: ignore[no-untyped-call]
            elif scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
        if scaler is not None:
            scaler.update()

    def _again(self) -> float:
        """The loss and the gradients at other weights, for an optimizer that asks for them."""
        total = 0.0
        for optimizer in self._task.optimizers:
            optimizer.zero_grad()
        for batch in self._used:
            held: list[Tensor] = []
            total += self._forward(batch, held)
            self._backward(held)
        return total / len(self._used)

    def _last(self, batches: Iterator[Any]) -> float:
        total = 0.0
        for _ in range(self._task.accumulate):
            batch = self._votes.agree(lambda: next(batches))
            with torch.no_grad():
                total += self._votes.mean(lambda: self._forward(batch, []))  # noqa: B023
        for module in self._task.model.modules():
            reshard = getattr(module, "reshard", None)  # of `fully_shard`, which waits for a backward pass to do so
            if callable(reshard):
                reshard()
        return total / self._task.accumulate


def _number(loss: Any) -> float:
    """A loss of the user's own step; one that is not finite ends the run."""
    if isinstance(loss, Tensor) and loss.numel() == 1:
        return loss.item()
    if isinstance(loss, bool) or not isinstance(loss, (int, float, np.floating)):
        _check.refuse("find_lr.step", "a function that returns its loss, a number", loss, TypeError)
    return float(loss)
