"""Monitor: watches a training in torch by hooks, says when it fails and why, and mends it when asked."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrcore import _check, monitor as core
from lrcore._advice import KEEP_EVERY, LOWERED, OnFailure, checked_action, restores
from lrcore._measured import real
from lrcore.bindings.torch._board import ATTRIBUTE
from lrcore.bindings.torch._late import unwrapped
from lrcore.bindings.torch._signals import Signals
from lrcore.monitor import Diagnosis

# Where schedulers of torch keep the rates between which they go: in lists of their own, and in the groups.
_OWN_RATES = ("base_lrs", "max_lrs", "min_lrs")
_GROUPS_RATES = ("initial_lr", "max_lr", "min_lr", "swa_lr")


class TrainingFailedError(RuntimeError):
    """Raised where a run fails and is to be stopped, or has failed too often.

    Attributes:
        diagnosis: what was found.
    """

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(str(diagnosis))
        self.diagnosis = diagnosis


class Monitor:
    """Watches a training, and says at which update it fails, why, and which learning rate to take instead.

    It is `lrcore.monitor.Monitor` with what that wants to know measured by hooks: at each of the first updates, and
    then at one of 50, the gradient of the first layer, the spread of the logits over the batch, the active units of
    rectifiers that are modules, and the sizes of the updates. Call `observe(loss)` after each `optimizer.step()`; or
    give `loss_fn`, and nothing else is to be done.

    On a CPU each loss is read; elsewhere those between two measurements are read together with the second one.

    Args:
        model: the model, whose output are logits, an object that has some, or a tuple that begins with them.
        optimizer: its optimizer, or what Accelerate has made of it. Its largest rate is the one that is spoken of.
        loss_fn: a module whose output is the loss. Of a CrossEntropyLoss or an NLLLoss whose labels are integers it
            also knows their entropy, from those that it has seen, if nothing else is said.
        on_failure: what an alarm does. None: nothing, it is returned and kept. "stop" raises TrainingFailedError.
            "restore_and_lower" puts the last healthy state back (weights, buffers and the optimizer's state) and
            multiplies the rate by what the advice says; that state is the initial one until the run has learnt
            something. (A run that fails because the rate is too low goes on from where it is, at a higher one.) A
            function is called with the diagnosis.
        max_restores: how often it restores, before it raises TrainingFailedError.
        scheduler: the scheduler, if it is one of torch: the rates between which it goes are multiplied as well, but
            for an `eta_min`. One that is not given may write the old rate again at its next step, which is warned of
            once. A Scheduler of lrcore is known without: it is `lr_scale` of the groups that is multiplied.
        prior_entropy: as `label_counts`, `classes`, `batches_per_epoch` and `finder_lr`: see `lrcore.monitor.Monitor`.
        label_counts: how often each label occurs.
        classes: how many there are.
        batches_per_epoch: updates of an epoch.
        finder_lr: what a finder has suggested.

    Attributes:
        alarms: the diagnoses of all alarms.
        restores: how often it has restored.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(3, 2)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> with Monitor(net, optimizer, classes=2) as monitor:
        ...     for _ in range(3):
        ...         loss = net(torch.ones(4, 3)).square().mean()
        ...         optimizer.zero_grad()
        ...         loss.backward()
        ...         optimizer.step()
        ...         found = monitor.observe(loss)
        >>> monitor.diagnosis().verdict
        'healthy'
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        loss_fn: nn.Module | None = None,
        on_failure: OnFailure = None,
        max_restores: int = 5,
        scheduler: LRScheduler | None = None,
        prior_entropy: float | None = None,
        label_counts: Any = None,
        classes: int | None = None,
        batches_per_epoch: int | None = None,
        finder_lr: float | None = None,
    ) -> None:
        for name, given, kind in (("model", model, nn.Module), ("optimizer", optimizer, Optimizer)):
            if not isinstance(given, kind):
                _check.refuse(f"Monitor.{name}", f"a torch {kind.__name__}", given, TypeError)
        if loss_fn is not None and not isinstance(loss_fn, nn.Module):
            _check.refuse("Monitor.loss_fn", "a torch Module or None (else call observe)", loss_fn, TypeError)
        self._core = core.Monitor(
            prior_entropy=prior_entropy,
            label_counts=label_counts,
            classes=classes,
            batches_per_epoch=batches_per_epoch,
            finder_lr=finder_lr,
        )
        self.on_failure: OnFailure = checked_action("Monitor.on_failure", on_failure)
        self.max_restores: int = restores("Monitor.max_restores", max_restores)
        self.alarms: list[Diagnosis] = []
        self.restores = 0
        self._model, self._optimizer = model, unwrapped(optimizer)
        self._schedulers = [] if scheduler is None else list(_parts(scheduler))
        self._lowered: tuple[float, float] | None = None  # the rate before and after, where nobody may have been told
        self._pending: list[tuple[Tensor, float]] = []
        is_to_restore = on_failure == "restore_and_lower"
        self._initial: State | None = State(model, self._optimizer) if is_to_restore else None
        self._healthy: State | None = None
        self._candidate: State | None = None
        self._losses: list[Tensor] = []  # of the loss function since the last update
        self._counts: Tensor | None = None
        self._counts_labels = self._core.prior_entropy is None and isinstance(
            loss_fn, (nn.CrossEntropyLoss, nn.NLLLoss)
        )
        self._handles: list[Any] = []
        self._signals = Signals(model, self._optimizer)
        if loss_fn is not None:
            self._handles.append(loss_fn.register_forward_hook(self._take_loss))
            self._handles.append(self._optimizer.register_step_post_hook(self._after_update))

    def close(self) -> None:
        """Takes all hooks away. What was found stays.

        Example:
            >>> import torch
            >>> net = torch.nn.Linear(3, 2)
            >>> Monitor(net, torch.optim.SGD(net.parameters(), lr=0.1)).close()
            >>> len(net._forward_hooks)
            0
        """
        self._signals.close()
        while self._handles:
            self._handles.pop().remove()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def diagnosis(self) -> Diagnosis:
        """What is to be said now; of losses that are not read yet, nothing."""
        return self._core.diagnosis()

    # ---- Observing ----

    def _take_loss(self, module: nn.Module, given: tuple[Any, ...], loss: Any) -> None:
        if not (torch.is_grad_enabled() and module.training and isinstance(loss, Tensor)):
            return
        self._losses.append(loss.detach().mean())
        if self._counts_labels and len(given) > 1 and self._core.wants_signals():
            self._count(given[0], given[1])

    def _count(self, logits: Any, labels: Any) -> None:
        """The labels of a batch, for their entropy."""
        if not isinstance(labels, Tensor) or labels.is_floating_point() or logits.ndim < 2:
            return
        known = labels[(labels >= 0) & (labels < logits.shape[1])]
        counts = torch.bincount(known.flatten(), minlength=logits.shape[1])
        self._counts = counts if self._counts is None else self._counts + counts

    def _after_update(self, _optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        if self._losses:
            loss = torch.stack(self._losses).mean() if len(self._losses) > 1 else self._losses[0]
            self._losses = []
            self.observe(loss)

    def observe(self, loss: Tensor | float) -> Diagnosis | None:
        """Takes the loss of an update, after it.

        Args:
            loss: of its batch, a number or a tensor of one element.

        Returns:
            The diagnosis if it gives a new alarm, else None.

        Raises:
            TrainingFailedError: it fails and `on_failure` is "stop", or it has been restored too often. The hooks are
                taken away before.
        """
        signals = self._signals
        if isinstance(loss, Tensor) and loss.numel() != 1:
            _check.refuse("Monitor.observe.loss", "a number, or a tensor of one element", loss, TypeError)
        value = loss.detach() if isinstance(loss, Tensor) else torch.tensor(real("Monitor.observe.loss", loss))
        if self._lowered is not None:
            self._watch_rate(*self._lowered)
        if not signals.is_on and _is_far(value):
            self._pending.append((value, self._rate()))
            self._prepare()
            return None
        found = self._observe_pending()
        number, measured = signals.taken(value) if signals.is_on else (float(value), {})
        self._know_labels()
        found = self._core.observe(number, self._rate(), **measured) or found
        if found is not None:
            self._fail(found)
        elif self._initial is not None and (self._core.step - 1) % KEEP_EVERY == 0:
            self._keep()
        self._prepare()
        return found

    def _prepare(self) -> None:
        """Whether the next update is measured."""
        self._signals.number = self._core.step + len(self._pending)
        self._signals.is_on = self._core.wants_signals(self._signals.number)

    def _observe_pending(self) -> Diagnosis | None:
        if not self._pending:
            return None
        losses = torch.stack([loss.float().reshape(()) for loss, _ in self._pending]).tolist()
        rates = [rate for _, rate in self._pending]
        self._pending = []
        news = [self._core.observe(loss, rate) for loss, rate in zip(losses, rates, strict=True)]
        return next((one for one in reversed(news) if one is not None), None)

    def _know_labels(self) -> None:
        if self._counts is not None:
            counts = self._counts.tolist()
            self._core.prior_entropy = core.Monitor(label_counts=counts).prior_entropy

    def _rate(self) -> float:
        return max(float(group["lr"]) for group in self._optimizer.param_groups)

    # ---- Failing ----

    def _fail(self, found: Diagnosis) -> None:
        self.alarms.append(found)
        if callable(self.on_failure):
            self.on_failure(found)
        elif self.on_failure == "stop" or (self.on_failure is not None and self.restores >= self.max_restores):
            self.close()
            raise TrainingFailedError(found)
        elif self.on_failure == "restore_and_lower":
            self._begin_again(found)

    def _begin_again(self, found: Diagnosis) -> None:
        if found.direction != "too_low":
            state = self._healthy or self._initial
            assert state is not None
            state.restore()
        self._candidate = None
        rate = self._rate()
        self._multiply(found.lr / rate if found.lr is not None and rate > 0.0 else LOWERED)
        self.restores += 1
        self._core.restart()

    def _multiply(self, factor: float) -> None:
        """Changes the rate of all groups; where a Scheduler of lrcore writes it, by their scales."""
        board: Any = getattr(self._optimizer, ATTRIBUTE, None)
        driven = set()
        for member in board.members() if board is not None else ():
            driven |= {position for name, position, _, _ in member.slots() if name == "lr"}
        for position, group in enumerate(self._optimizer.param_groups):
            if position in driven:
                group["lr_scale"] = group.get("lr_scale", 1.0) * factor
            elif isinstance(group["lr"], Tensor):
                group["lr"].mul_(factor)
            else:
                group["lr"] *= factor
        if driven:
            board.refresh()
        elif self._schedulers:
            self._tell_schedulers(factor)
        elif factor < 1.0:
            self._lowered = self._rate() / factor, self._rate()

    def _tell_schedulers(self, factor: float) -> None:
        for scheduler in self._schedulers:
            own = vars(scheduler)
            own.update({name: [rate * factor for rate in own[name]] for name in _OWN_RATES if name in own})
        for group in self._optimizer.param_groups:
            group.update({name: group[name] * factor for name in _GROUPS_RATES if name in group})

    def _watch_rate(self, before: float, after: float) -> None:
        """Warns where a rate that was lowered is back: nearer to what it was than to what it became."""
        if self._rate() ** 2 > before * after:
            self._lowered = None
            text = (
                f"Monitor has lowered the learning rate to {after:.3g}, and something has set it to {self._rate():.3g}"
            )
            warnings.warn(f"{text} again: give your scheduler, scheduler=...", stacklevel=3)

    def _keep(self) -> None:
        """Keeps a state that learns; it counts as healthy when it still did 50 updates later."""
        if not self._core.is_learning:
            self._candidate = None
            return
        self._healthy = self._candidate or self._healthy
        self._candidate = State(self._model, self._optimizer)


def _parts(scheduler: Any) -> Iterator[LRScheduler]:
    """The scheduler and those within it, whatever Accelerate has made of it."""
    inner = getattr(scheduler, "scheduler", scheduler)
    if not isinstance(inner, LRScheduler):
        _check.refuse("Monitor.scheduler", "a torch LRScheduler or None", scheduler, TypeError)
    yield inner
    for part in getattr(inner, "_schedulers", ()):
        yield from _parts(part)


def _is_far(loss: Tensor) -> bool:
    """Whether reading it would wait for a device."""
    return loss.device.type != "cpu"


class State:
    """What a training has learnt: parameters, buffers and the state of the optimizer. All else goes on."""

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        own = [*model.parameters(), *model.buffers()]
        listed = {id(one): one for one in own}
        for group in optimizer.param_groups:
            listed.update({id(one): one for one in group["params"]})
        self._tensors = [(one, one.detach().clone()) for one in listed.values()]
        self._slots = {key: copy.deepcopy(slots) for key, slots in optimizer.state.items()}

    def restore(self) -> None:
        """Puts it back, in place; gradients are taken away, as they belong to other weights."""
        with torch.no_grad():
            for tensor, saved in self._tensors:
                tensor.copy_(saved)
                tensor.grad = None
        self._optimizer.state.clear()
        for key, slots in self._slots.items():
            self._optimizer.state[key] = copy.deepcopy(slots)
