"""find_lr: a learning-rate range test of a model in training, which leaves the training as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer

from lrcore import _check, _progress
from lrcore.bindings.torch._groupratios import measured
from lrcore.bindings.torch._late import unwrapped
from lrcore.bindings.torch._replicas import NotStackableError, Stacked
from lrcore.bindings.torch._snapshot import Snapshot, restoring
from lrcore.bindings.torch._trials import Looped, Task, Tick
from lrcore.bindings.torch._votes import Votes
from lrcore.finder import (
    PROBE_RUNS,
    PROBE_STEPS,
    Found,
    RangeTest,
    Suggestion,
    Watch,
    best_probe,
    padded,
    probe_lrs,
    probe_watch,
    range_test,
    suggest,
    updates_of,
)

Floats = NDArray[np.float64]
NO_LOADERS = (str, bytes, dict, torch.Tensor)

_restarts = _check.whole(1, 10**4, "a number of runs")
_accumulate = _check.whole(1, 10**6, "a number of batches")
_seed = _check.whole(0, 2**63 - 1, "a seed")


def find_lr(
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: Callable[..., Any] | None,
    loader: Iterable[Any],
    *,
    test: RangeTest | None = None,
    restarts: int = 8,
    refine: bool = False,
    per_group: bool = False,
    accumulate: int = 1,
    autocast: Any = None,
    scaler: Any = None,
    reinit: Literal["reset"] | Callable[[nn.Module], object] | None = None,
    seed: int = 0,
    step: Callable[[Any], Any] | None = None,
    others: Sequence[Optimizer] = (),
    keep: Sequence[Any] = (),
    progress: bool | None = None,
) -> Found:
    """Trains a few short runs at rising rates, and says which learning rate they suggest.

    `group["lr"] = lrs[i] * ratio` before update i of each run, where the ratio is the group's `lr_scale`, if a group
    has one, or else its rate over the largest of the optimizer's groups; so the ratios of the groups stay.

    **Nothing is lost.** Weights, buffers, gradients, train or eval mode and whatever else the modules hold, the
    optimizer's state, counters, groups and hooks, the scaler, the loader's generators, samplers and dataset (where that
    counts in attributes, or has a `state_dict`), and the random numbers of Python, NumPy and torch are afterwards what
    they were, to the bit, also after an exception or Ctrl-C. Schedulers are not stepped. Where batches have been taken
    from a loader the training goes on with its own iterator; ours is another one. What is elsewhere, as in a metric or
    an average of the weights that the loss function updates, is given in `keep`. A hook of the user's runs as it does
    in training, but what it writes elsewhere stays. All that is kept is kept twice while it runs.

    **Runs** differ in the order of the data, where the loader shuffles (else in where they begin), and with `reinit` in
    the initial weights. They are trained side by side by `torch.func.vmap` on stacked parameters, and one after
    another, which for small models takes about twice as long, where that cannot be: a model or a loss that
    vmap does not take or that has hooks, an optimizer other than SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax,
    NAdam and RAdam (subclasses too), a `step`, a scaler, several processes, loader workers, batches that are no
    tensors, dicts, lists and tuples, or a stack beyond 256 MiB. Side by side the dropout masks are others.

    **Several processes** of `torch.distributed` all call it, with the same arguments but for the data. The loss is the
    mean over all of them, so that all stop at the same update and return the same. Where one fails, in its data, its
    forward pass or its update, all raise; only in the midst of a collective of the model's own, as in the backward pass
    of DistributedDataParallel, the others wait for it as they do in training.

    Args:
        model: the module. It trains in the modes that its modules have; one that is in eval mode as a whole is set to
            train mode meanwhile.
        optimizer: its optimizer, or what Accelerate has made of it.
        loss_fn: `loss_fn(model(inputs), targets)` for a batch of two, where inputs in a dict are given by name and in a
            list or tuple by position; `loss_fn(model, batch)` for any other batch; None where the model gives the loss
            itself, as Transformers' do: `model(**batch).loss` (or `["loss"]`, or the first item). The loss is the mean
            over the batch.
        loader: batches; anything that can be iterated again and again, such as a DataLoader or a list. It is begun anew
            where it is shorter than the test, and a list is shuffled. Batches are moved to the model's device.
        test: the rates, see `lrcore.finder.RangeTest`; by default from 1e-6 to 10 in 200 updates.
        restarts: how many runs, >= 1.
        refine: whether short runs at five rates around the suggestion, with the same batches, choose among them.
        per_group: whether ratios between the groups are sought, instead of those that the groups have. The rates to
            train with are `found.lr * found.groups[name]`; the name is the group's "name", or its place. They lie
            halfway between even rates and those at which an update changes all groups by the same share of their
            weights, and within a decade. `found.groups_band` says how far the runs agree on them. A proposal, no more:
            on small nets of three groups the loss at the rate that was found was 5 % lower with them, while a search
            among 25 ratios and six rates found some with a loss a quarter lower than theirs.
        accumulate: of how many batches an update is made, as the mean of their losses.
        autocast: a dtype, or a context manager as `torch.autocast("cuda", torch.float16)`, for forward passes.
        scaler: a `torch.amp.GradScaler`.
        reinit: gives the runs initial weights of their own: "reset" calls `reset_parameters()` of all modules that have
            it, a function is called with the model. The optimizer begins without state then. None: all begin with the
            weights and the state that there are, as for a model that is trained already.
        seed: of what is random in the runs, >= 0.
        step: for models that train in another way, as two networks against each other: `step(batch)` makes the whole
            update, with `optimizer.step()`, and returns the loss before it. `loss_fn` is None then.
        others: further optimizers of the same training; their rates rise as well, in proportion to the first one's.
        keep: further objects that the training changes: modules, and what has `state_dict()` and `load_state_dict()`.
        progress: show a progress bar (needs tqdm). None: on a terminal, if tqdm is there.

    Returns:
        What was found: `lr`, of the groups whose ratio is 1; `suggestion` with its verdict, band and votes; the curves;
        `plot()`.

    Raises:
        TypeError, ValueError: arguments outside of these; no parameter that trains; a loader without a batch, or that
            can be iterated but once; a loss that is not one number or does not depend on the parameters.
        ImportError: `progress=True` without tqdm.
        RuntimeError: another process has failed.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.
    Also known as: fastai `lr_find`, Lightning `Tuner.lr_find`, torch-lr-finder `range_test`.

    Example:
        >>> import torch
        >>> from lrcore.bindings.torch import find_lr
        >>> from lrcore.finder import RangeTest
        >>> _ = torch.manual_seed(0)
        >>> inputs = torch.randn(256, 4)
        >>> data = torch.utils.data.TensorDataset(inputs, inputs.sum(1, keepdim=True))
        >>> loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
        >>> model = torch.nn.Linear(4, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> found = find_lr(model, optimizer, torch.nn.MSELoss(), loader, test=RangeTest(1e-4, 10.0, 60), restarts=4)
        >>> 0.01 < found.lr < 1.0, found.losses.shape[0], optimizer.param_groups[0]["lr"]
        (True, 4, 0.1)
    """
    if not isinstance(model, nn.Module):
        _check.refuse("find_lr.model", "a torch.nn.Module", model, TypeError)
    optimizers = _optimizers(optimizer, others)
    test = range_test("find_lr.test", test)
    runs = _restarts("find_lr.restarts", restarts)
    _check.flag("find_lr.refine", refine)
    if _check.flag("find_lr.per_group", per_group) and len(optimizers[0].param_groups) < 2:
        _check.refuse("find_lr.per_group", "False for an optimizer of one group", per_group)
    task = Task(
        model=model,
        optimizers=optimizers,
        loss_fn=_loss_fn(loss_fn, step),
        loader=_loader(loader),
        step=_function("find_lr.step", step),
        accumulate=_alone("accumulate", _accumulate("find_lr.accumulate", accumulate), step, 1),
        autocast=_alone("autocast", _autocast(autocast), step, None),
        scaler=_alone("scaler", _scaler(scaler), step, None),
        reinit=reinit if reinit in (None, "reset") else _function("find_lr.reinit", reinit),
        seed=_seed("find_lr.seed", seed),
        ratios=_ratios(optimizers),
        device=_device(model),
    )
    votes = Votes()
    total = updates_of(test, runs, refine) + per_group * runs * test.steps
    wanted = progress if progress is None else _check.flag("find_lr.progress", progress)
    with _progress.progress(wanted if votes.rank == 0 else False, total, "find_lr", "updates") as tick:
        search = _Search(task, test, runs, votes, tick)
        return restoring(lambda: _snapshot(task, keep), lambda taken: search.found(taken, refine, per_group))


class _Search:
    """The runs of one call, and what comes of them."""

    def __init__(self, task: Task, test: RangeTest, runs: int, votes: Votes, tick: Tick) -> None:
        self._task = task
        self._test = test
        self._runs = runs
        self._votes = votes
        self._tick = tick
        self._is_stackable = runs > 1 and not votes.is_shared

    @torch.inference_mode(False)
    @torch.enable_grad()
    def found(self, snapshot: Snapshot, refine: bool, per_group: bool) -> Found:
        self._snapshot = snapshot
        losses, suggestion = self._ramp(self._task)
        task, groups, bands, refined = self._task, None, None, None
        if per_group:
            small = suggestion.lr / 100.0
            ratios, groups, bands = measured(self._task, snapshot, self._votes, small, self._runs)
            task = replace(self._task, ratios=ratios)
            losses, suggestion = self._ramp(task)
        if refine:
            refined = self._probed(task, suggestion.lr)
        return Found(suggestion, self._test.lrs, losses, refined, groups, bands)

    def _ramp(self, task: Task) -> tuple[Floats, Suggestion]:
        test = self._test
        rows = self._trained(task, test.lrs, lambda: [test.watch() for _ in range(self._runs)], True)
        losses = padded(rows, max(map(len, rows)))
        return losses, self._votes.first(suggest(test.lrs, losses))

    def _probed(self, task: Task, lr: float) -> float:
        rates = probe_lrs(lr)
        losses = []
        for rate in rates:
            constant = np.full(PROBE_STEPS, rate)
            rows = self._trained(task, constant, lambda: [probe_watch() for _ in range(PROBE_RUNS)], False)
            losses.append(padded(rows, PROBE_STEPS))
        return float(self._votes.first(best_probe(rates, np.stack(losses))))

    def _trained(self, task: Task, rates: Floats, watches: Callable[[], list[Watch]], one_more: bool) -> list[Floats]:
        """The losses of runs: side by side, or one after another where that cannot be."""
        cause = None
        if self._is_stackable:
            done: list[int] = []

            def tick(count: int) -> None:
                done.append(count)
                self._tick(count)

            try:
                stacked = Stacked(task, self._snapshot, self._runs)
                return stacked.run(rates, watches(), one_more, tick)
            except NotStackableError as error:
                self._is_stackable = False
                self._tick(-sum(done))
                cause = error.__cause__
        rows = Looped(task, self._snapshot, self._votes).run(rates, watches(), one_more, self._tick)
        if isinstance(cause, (TypeError, ValueError)):  # which torch.func hardly raises, so it may be the user's own
            _tell(cause)
        return rows


def _tell(cause: Exception) -> None:
    """Says what went wrong side by side alone: it may be an error that comes now and then."""
    text = (
        f"find_lr: expected runs side by side, got {type(cause).__name__}: {cause}; one after another it came no more"
    )
    warnings.warn(text, RuntimeWarning, stacklevel=2)


# ---- Arguments ----


def _optimizers(optimizer: Any, others: Any) -> tuple[Optimizer, ...]:
    named = {"find_lr.optimizer": optimizer}
    for at, one in enumerate(_check.items("find_lr.others", others, "optimizers")):
        named[f"find_lr.others[{at}]"] = one
    found = []
    for where, one in named.items():
        if not isinstance(one, Optimizer):
            _check.refuse(where, "a torch.optim.Optimizer", one, TypeError)
        parameters = [parameter for group in one.param_groups for parameter in group["params"]]
        if not any(parameter.requires_grad for parameter in parameters):
            raise ValueError(f"{where}: expected a parameter that trains, got {len(parameters)} that are frozen")
        if any("lr" not in group for group in one.param_groups):
            _check.refuse(where, "groups with a learning rate, lr", one)
        found.append(unwrapped(one))
    return tuple(found)


def _function(where: str, given: Any) -> Any:
    if given is not None and not callable(given):
        expected = "None, 'reset' or a function" if where.endswith("reinit") else "a function"
        _check.refuse(where, expected, given, TypeError)
    return given


def _loss_fn(given: Any, step: Any) -> Any:
    if given is not None and step is not None:
        _check.refuse("find_lr.loss_fn", "None, as step makes the whole update", given)
    return _function("find_lr.loss_fn", given)


def _alone(name: str, given: Any, step: Any, default: Any) -> Any:
    """What `step` does by itself, if it is asked for at all."""
    if step is not None and given is not default and given != default:
        _check.refuse(f"find_lr.{name}", f"{default!r}, as step makes the whole update", given)
    return given


def _loader(given: Any) -> Any:
    if hasattr(given, "__next__"):
        expected = "batches that can be iterated again, such as a DataLoader or a list"
        _check.refuse("find_lr.loader", expected, given, TypeError)
    if not (hasattr(given, "__iter__") or hasattr(given, "__getitem__")) or isinstance(given, NO_LOADERS):
        _check.refuse("find_lr.loader", "a DataLoader or a list of batches", given, TypeError)
    return given


def _autocast(given: Any) -> Any:
    if given is not None and not isinstance(given, torch.dtype) and not hasattr(given, "__enter__"):
        _check.refuse("find_lr.autocast", "None, a dtype or a context manager", given, TypeError)
    return given


def _scaler(given: Any) -> Any:
    if given is not None and not all(hasattr(given, name) for name in ("scale", "step", "update")):
        _check.refuse("find_lr.scaler", "a torch.amp.GradScaler or None", given, TypeError)
    return given


def _device(model: nn.Module) -> torch.device | None:
    """That of the model, if it is on one."""
    devices = {parameter.device for parameter in model.parameters()}
    return devices.pop() if len(devices) == 1 else None


def _ratios(optimizers: tuple[Optimizer, ...]) -> tuple[float, ...]:
    """Of each group the rate, over the largest one of the first optimizer; its `lr_scale`, where groups have that."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    if any("lr_scale" in group for group in groups):
        return tuple(float(group.get("lr_scale", 1.0)) for group in groups)
    first = len(optimizers[0].param_groups)
    for name in ("lr", "initial_lr"):  # the rate may be 0 now, at the begin of a warm-up
        rates = [float(group.get(name, group["lr"])) for group in groups]
        if max(rates[:first]) > 0.0:
            return tuple(rate / max(rates[:first]) for rate in rates)
    return (1.0,) * len(groups)


def _snapshot(task: Task, keep: Any) -> Snapshot:
    taken = Snapshot()
    for one in _check.items("find_lr.keep", keep, "objects"):
        taken.keep(one)
    for one in (task.model, *task.optimizers):
        taken.keep(one)
    for function in (task.loss_fn, task.step, task.reinit):
        owner = getattr(function, "__self__", function)
        if isinstance(owner, nn.Module):
            taken.keep(owner)
    if task.scaler is not None:
        taken.keep_scaler(task.scaler)
    taken.keep_loader(task.loader)
    taken.keep_random({parameter.device.type for parameter in task.model.parameters()})
    return taken
