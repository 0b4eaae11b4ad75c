"""Training parity: the same net trained twice from the same seeds, by torch's scheduler and by ours.

(a) Rates are what the optimizer holds at the moment of its update. Where that is a number, it has to be our float64 to
    the bit; where it is a float32 tensor, our float64 rounded once.
(b) Torch's own schedulers on a float32 tensor multiply it again and again in float32. Compared is their arithmetic in
    float64: the scheduler drives an optimizer of a number, and its rate is filled into the tensor.
(c) Losses have to be the same bits up to the first update whose float32 rate (or momentum) differs, which for a closed
    form is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.gpu_models import MODELS, RATES, Captured, Compiled, Eager, built, compiled_graphs
from bench.gpu_report import ABSENT, FAILED, Clock, Row, guarded, verdict
from bench.gpu_schedules import OBSERVED_EVERY, PLATEAU, Pair, control, pairs
from bench.gpu_traces import fingerprint, first_difference, relative, ulps
from lrcore import Plateau
from lrcore.bindings.torch import DeviceSchedule, Scheduler

NEAR = 1e-12  # of torch's rates, relative
UPDATES, QUICK_UPDATES = 64, 24
QUICK = {"control", "warm-up cosine", "one-cycle", "plateau"}
TITLES = {
    "eager": "The rate is a number.",
    "graph": (
        "A CUDA graph of loss, gradients and step. The rate is a tensor: `DeviceSchedule` advances it inside of the "
        "graph; for torch, and for a plateau, it is filled between replays."
    ),
    "compile": "Loss and step by `torch.compile`. The rate is a tensor that is filled.",
}
DRIFT_TITLE = (
    "What torch's own scheduler comes to on a float32 tensor: floats between its rate and ours in float64 rounded once,"
    " which is what `Scheduler` and `DeviceSchedule` hold. For information."
)
COMMON = (
    " LR ulp: the largest distance from torch's rate, in floats of the kind that the optimizer holds. First differences"
    " are numbers of updates; none is what is wanted. Bound: rates within 1e-12 of torch's (in a float32 tensor: the "
    "same), equal to ours in float64 rounded once, and losses bit for bit wherever the float32 rates are the same; for "
    "a closed form of torch's they are it everywhere. The control has another rate, which has to be seen."
)


@dataclass
class Trace:
    """What a run used and what came of it."""

    rates: Any = field(default_factory=list)
    momenta: list[float] = field(default_factory=list)
    losses: Any = field(default_factory=list)
    weights: Any = field(default_factory=list)
    observed: dict[int, float] = field(default_factory=dict)  # what a plateau controller was told, after update k
    new_graphs: int = 0


# ---- Whose scheduler ----


class Peer:
    """Torch's scheduler."""

    def __init__(self, pair: Pair, work: Eager) -> None:
        self.pair, self.work, self.tensor = pair, work, work.group["lr"]
        self.optimizer = work.optimizer
        if isinstance(self.tensor, torch.Tensor):
            self.optimizer = built(work.name, [torch.nn.Parameter(torch.zeros(1))], RATES[work.name])
        self.scheduler = pair.peer(self.optimizer)
        self.optimizer._opt_called = True  # else torch warns: updates of a graph are none that it sees
        self._hand_over()

    def step(self) -> None:
        if not self.pair.has_plateau:
            self.scheduler.step()
            self._hand_over()

    def observe(self, loss: float) -> None:
        self.scheduler.step(loss)
        self._hand_over()

    def _hand_over(self) -> None:
        if self.optimizer is self.work.optimizer:
            return
        group = self.optimizer.param_groups[0]
        self.tensor.fill_(group["lr"])
        if self.pair.momentum is not None:
            self.work.set_momentum(group["momentum"] if self.work.name == "SGD" else group["betas"][0])


class Ours:
    """Scheduler; it fills the tensor where there is one."""

    def __init__(self, pair: Pair, work: Eager) -> None:
        schedule: Any = pair.ours if pair.momentum is None else {"lr": pair.ours, "momentum": pair.momentum}
        plateau = Plateau(**PLATEAU) if pair.has_plateau else None
        self.scheduler = Scheduler(work.optimizer, schedule, plateau=plateau)
        work.optimizer._opt_called = True

    def step(self) -> None:
        self.scheduler.step()

    def observe(self, loss: float) -> None:
        self.scheduler.observe(loss)


class InGraph:
    """DeviceSchedule, which the captured graph advances by itself."""

    def step(self) -> None:
        """Nothing is left to do."""


# ---- A run ----


def run(work: Eager, driver: Any, updates: int, has_plateau: bool) -> Trace:
    """Trains; nothing is read from the device before the end, but the losses that a plateau controller needs."""
    trace, before = Trace(), _compiled_so_far(work)
    for update in range(updates):
        held = work.group["lr"]
        trace.rates.append(held.clone() if isinstance(held, torch.Tensor) else held)
        trace.momenta.append(work.momentum())
        trace.losses.append(work.update(update).clone())
        trace.weights.append(work.weights())
        driver.step()
        if has_plateau and (update + 1) % OBSERVED_EVERY == 0:
            mean = float(torch.stack(trace.losses[-OBSERVED_EVERY:]).double().mean())
            trace.observed[update] = mean
            driver.observe(mean)
    trace.new_graphs = _compiled_so_far(work) - before
    trace.rates = _collected(trace.rates)
    trace.losses, trace.weights = _collected(trace.losses), _collected(trace.weights)
    return trace


def _compiled_so_far(work: Eager) -> int:
    return compiled_graphs() if isinstance(work, Compiled) else 0


def _collected(items: list[Any]) -> NDArray[Any]:
    if isinstance(items[0], torch.Tensor):
        return torch.stack(items).cpu().numpy()
    return np.array(items, np.float64)


def in_eager(model: str, optimizer: str, device: str) -> Callable[[Pair, int], tuple[Trace, Trace]]:
    def both(pair: Pair, updates: int) -> tuple[Trace, Trace]:
        traces = []
        for driver in (Ours, Peer):
            work = Eager(model, optimizer, device)
            traces.append(run(work, driver(pair, work), updates, pair.has_plateau))
        return traces[0], traces[1]

    return both


def in_graph(
    model: str, optimizer: str, device: str, make: Callable[..., Captured] = Captured
) -> Callable[[Pair, int], tuple[Trace, Trace]]:
    """`make` may be something that repeats the update without a graph, to try this on a CPU."""

    def both(pair: Pair, updates: int) -> tuple[Trace, Trace]:
        pair = pair.without_momentum(RATES[optimizer], updates)
        work, driver = make(model, optimizer, device), None
        if pair.has_plateau:
            work.capture()
            driver = Ours(pair, work)
        else:
            rates = DeviceSchedule(pair.ours, updates, device=device).attach(work.optimizer)
            work.capture(rates.advance)
            rates.position, driver = 0, InGraph()  # the warm-ups have advanced it
        ours = run(work, driver, updates, pair.has_plateau)
        work = make(model, optimizer, device)
        work.capture()
        return ours, run(work, Peer(pair, work), updates, pair.has_plateau)

    return both


def in_compile(model: str, optimizer: str, device: str, backend: str) -> Callable[[Pair, int], tuple[Trace, Trace]]:
    """Compiled once for all schedules; where that fails, it is not tried again."""
    built_once: list[Any] = []

    def both(pair: Pair, updates: int) -> tuple[Trace, Trace]:
        if not built_once:
            try:
                built_once.append(Compiled(model, optimizer, device, backend))
            except Exception as error:
                built_once.append(error)
        work, traces = built_once[0], []
        if isinstance(work, Exception):
            raise work
        work.is_step_compiled = pair.momentum is None
        for driver in (Ours, Peer):
            work.reset()
            traces.append(run(work, driver(pair, work), updates, pair.has_plateau))
        return traces[0], traces[1]

    return both


# ---- What is compared ----


def expected(pair: Pair, trace: Trace) -> list[float]:
    """The float64 of our schedule for each update; with a plateau, of a controller that was told the same."""
    if not pair.has_plateau:
        return [pair.ours(update) for update in range(len(trace.rates))]
    plateau, values = Plateau(**PLATEAU), []
    for update in range(len(trace.rates)):
        values.append(plateau.value(pair.ours, update))
        if update in trace.observed:
            plateau.observe(trace.observed[update])
    return values


def _earliest(*places: int | None) -> int | None:
    found = [place for place in places if place is not None]
    return min(found) if found else None


def compared(part: str, pair: Pair, model: str, optimizer: str, ours: Trace, peer: Trace) -> Row:
    """The row of a pair of runs."""
    wanted = np.array(expected(pair, ours))
    dtype = ours.rates.dtype.type
    distance = relative(ours.rates, peer.rates)
    is_exact = first_difference(ours.rates, wanted.astype(dtype)) is None
    float32 = [(np.float32(one.rates), np.float32(one.momenta)) for one in (ours, peer)]
    other_rate = _earliest(*[first_difference(a, b) for a, b in zip(*float32, strict=True)])
    other_weights = first_difference(ours.weights, peer.weights)
    other_loss = first_difference(ours.losses, peer.losses)
    # The rate of update k changes the weights after it, and the loss of the update that follows.
    is_parity = other_loss is None or (other_rate is not None and other_loss > other_rate)
    is_parity &= other_weights is None or (other_rate is not None and other_weights >= other_rate)
    is_near = distance <= NEAR and (other_rate is None or not pair.is_closed_form)
    figures = {
        "schedule": pair.name,
        "model": model,
        "optimizer": optimizer,
        "closed form": pair.is_closed_form,
        "LR ulp": max(ulps(ours.rates, peer.rates, dtype)),
        "LR relative": distance,
        "exact": is_exact,
        "first float32 LR": other_rate,
        "first weights": other_weights,
        "first loss": other_loss,
        "largest loss difference": float(np.abs(ours.losses.astype(np.float64) - peer.losses).max()),
        "weights of ours": fingerprint(ours.weights[-1]),
        "weights of torch": fingerprint(peer.weights[-1]),
    }
    if part == "compile":
        figures["recompiled"] = ours.new_graphs + peer.new_graphs
    is_met = is_near and is_exact and is_parity and not figures.get("recompiled")
    if pair.is_control:
        is_met = is_exact and is_parity and other_weights == other_rate == 0
    losses = {} if pair.is_control else {"ours": _shortest(ours.losses)}
    if other_loss is not None and losses:
        losses["torch"] = _shortest(peer.losses)
    return Row(part, f"{pair.name}, {model}, {optimizer}", figures, verdict(is_met), _note(part, pair, ours), losses)


def _shortest(values: NDArray[np.float32]) -> list[float]:
    """Numbers that are printed with as many digits as a float32 needs."""
    return [float(str(value)) for value in values]


def _note(part: str, pair: Pair, ours: Trace) -> str:
    if pair.is_control:
        return "a rate 1e-6 higher, to see that it is seen: from the first update on"
    if not np.isfinite(ours.losses).all():
        return "the training diverged"
    if pair.momentum is not None:
        return {
            "eager": "with its momentum",
            "graph": "without its momentum, which a captured graph holds as a constant",
            "compile": "with its momentum, and a step that is not compiled: it would be anew for each momentum",
        }[part]
    return f"reduced to {ours.rates[-1] / ours.rates[0]:.3g}" if pair.has_plateau else ""


# ---- The parts ----


def drift(device: str, quick: bool, clock: Clock) -> Iterator[Row]:
    """How far each scheduler of torch drifts on a tensor."""
    updates = QUICK_UPDATES if quick else UPDATES
    for pair in pairs(RATES["SGD"], updates):
        if not pair.has_plateau:
            row = guarded("drift", pair.name, clock, lambda pair=pair: _drifted(pair, device, updates))
            row.verdict = "" if row.verdict == FAILED else row.verdict  # some versions of torch do not take tensors
            yield row


def _drifted(pair: Pair, device: str, updates: int) -> Row:
    tensor = torch.tensor(RATES["SGD"], device=device)
    optimizer = built("SGD", [torch.nn.Parameter(torch.zeros(1, device=device))], tensor)
    scheduler, found = pair.peer(optimizer), []
    optimizer._opt_called = True
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"].clone())
        scheduler.step()
    theirs = _collected(found)
    ours = pair.ours.table(updates, dtype="float32")
    gaps = ulps(ours, theirs, np.float32)
    figures = {
        "closed form": pair.is_closed_form,
        "other rates": sum(map(bool, gaps)),
        "of": updates,
        "first": first_difference(ours, theirs),
        "largest ulp": max(gaps),
    }
    return Row("drift", pair.name, figures)


def settings(part: str, quick: bool) -> list[tuple[str, str]]:
    if not quick:
        return [(model, optimizer) for model in MODELS for optimizer in RATES]
    return [("conv", "SGD")] if part == "compile" else [("conv", "SGD"), ("transformer", "AdamW")]


def _way(part: str, model: str, optimizer: str, device: str, quick: bool) -> Callable[[Pair, int], tuple[Trace, Trace]]:
    if part == "eager":
        return in_eager(model, optimizer, device)
    if part == "graph":
        return in_graph(model, optimizer, device)
    return in_compile(model, optimizer, device, "aot_eager" if quick else "inductor")


def rows(part: str, device: str, quick: bool, clock: Clock) -> Iterator[Row]:
    """All cases of a way of training."""
    torch.use_deterministic_algorithms(True)
    try:
        for model, optimizer in settings(part, quick):
            yield from _rows_of(part, model, optimizer, device, quick, clock)
    finally:
        torch.use_deterministic_algorithms(False)


def _rows_of(part: str, model: str, optimizer: str, device: str, quick: bool, clock: Clock) -> Iterator[Row]:
    updates, rate = QUICK_UPDATES if quick else UPDATES, RATES[optimizer]
    both = _way(part, model, optimizer, device, quick)

    def case(pair: Pair) -> Row:
        return compared(part, pair, model, optimizer, *both(pair, updates))

    for pair in [control(rate), *pairs(rate, updates)]:
        name = f"{pair.name}, {model}, {optimizer}"
        if quick and pair.name not in QUICK:
            continue
        if part == "graph" and device != "cuda":
            yield Row(part, name, verdict=ABSENT)
        else:
            yield guarded(part, name, clock, partial(case, pair))
