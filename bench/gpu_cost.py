"""What a scheduler costs an update: in a loop of Python, beside a compiled step, and inside of a captured graph.

(a) A round is a loop of updates with one synchronisation at its end, by the wall clock. Ours and the peer take turns;
    the figure is of the best rounds.
(b) Beside a compiled step, loops with and without a scheduler take turns, and the cost is the median of the
    differences of neighbours.
(c) So it is in a graph, whose replays follow each other without a pause, timed by events of the device.
(d) Nothing may wait for the device: the loops run where torch turns a synchronisation into an error.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

import lrcore
from bench._measure import Kind, Line, take_turns
from bench.gpu_models import Captured, captured, compiled_graphs
from bench.gpu_report import ABSENT, Clock, Row, guarded, verdict
from lrcore.bindings.torch import DeviceSchedule, Scheduler

RATE, RUN = 0.1, 1_000_000
SCHEDULE = lrcore.Cosine(RATE, 0.0, RUN)
GROUPS = (1, 100)
MOST_IN_GRAPH = 2.0  # µs
TITLE = (
    "Microseconds an update, ours and torch's CosineAnnealingLR. Under compile and in a graph, the step itself is not "
    f"counted. Bounds: in a graph the rate that advances costs at most {MOST_IN_GRAPH:g} µs over a constant one; "
    "nothing of ours waits for the device, and nothing is compiled anew."
)


def optimizer_of(groups: int, device: str, as_tensor: bool, fused: bool = False) -> torch.optim.Optimizer:
    """SGD with a small weight a group, each with a rate of its own."""
    listed = []
    for _ in range(groups):
        weight = torch.nn.Parameter(torch.zeros(8, device=device))
        weight.grad = torch.ones(8, device=device)
        listed.append({"params": [weight], "lr": torch.tensor(RATE, device=device) if as_tensor else RATE})
    optimizer = torch.optim.SGD(listed, lr=RATE, momentum=0.9, fused=True if fused else None)
    optimizer.step()
    return optimizer


def _native(optimizer: Any) -> Any:
    from torch.optim.lr_scheduler import CosineAnnealingLR

    made = CosineAnnealingLR(optimizer, RUN)
    optimizer._opt_called = True
    return made


def _ours(optimizer: Any) -> Scheduler:
    made = Scheduler(optimizer, SCHEDULE)
    optimizer._opt_called = True
    return made


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def without_waiting(device: str) -> Iterator[None]:
    """Where something waits for the device, that is an error."""
    if device != "cuda":
        yield
        return
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def loop(function: Callable[[], Any], count: int, device: str) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            function()
        synchronize(device)

    return run


def turns(
    one: Callable[[], Any], other: Callable[[], Any], count: int, rounds: int, device: str
) -> tuple[list[float], list[float]]:
    """Microseconds of an update of each, round by round."""
    run, beside = loop(one, count, device), loop(other, count, device)
    run(), beside()
    line = Line("gpu", "", run, count, Kind.COST, "µs", peer=beside)
    timing = take_turns(line, rounds, time.perf_counter_ns)
    return [ns / count / 1000 for ns in timing.ours], [ns / count / 1000 for ns in timing.peer]


def best(one: Callable[[], Any], other: Callable[[], Any], count: int, rounds: int, device: str) -> list[float]:
    """Of each the best round."""
    return [min(times) for times in turns(one, other, count, rounds, device)]


def more(one: list[float], other: list[float]) -> float:
    """What one takes more than the other: the median of the differences of neighbours."""
    return statistics.median(a - b for a, b in zip(one, other, strict=True))


def never_waits(function: Callable[[], Any], device: str) -> bool | None:
    """Whether a function does not wait for the device; on a CPU there is none."""
    if device != "cuda":
        return None
    try:
        with without_waiting(device):
            for _ in range(10):
                function()
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        return False
    return True


# ---- In Python ----


def eager(what: str, groups: int, device: str, count: int, rounds: int) -> Row:
    """A call of the scheduler alone."""
    as_tensor = what != "a number"
    peer, mine = (optimizer_of(groups, device, as_tensor) for _ in range(2))
    if what == "DeviceSchedule":
        step: Any = DeviceSchedule(SCHEDULE, device=device).attach(mine).advance
    else:
        step = _ours(mine).step
    native = _native(peer).step
    times = best(step, native, count, rounds, device)
    waits = never_waits(step, device) if as_tensor else None
    figures: dict[str, Any] = _figures(groups, *times)
    if as_tensor and device == "cuda":
        figures |= {"never waits": waits, "torch's never waits": never_waits(native, device)}
    return Row("cost", f"eager, {what}, {_many(groups)}", figures, "" if waits is None else verdict(waits))


def _many(groups: int) -> str:
    return f"{groups} group{'s' * (groups > 1)}"


def _figures(groups: int, ours: float, peer: float) -> dict[str, Any]:
    return {"groups": groups, "ours µs": ours, "torch µs": peer, "torch / ours": peer / ours if ours > 0 else None}


def compiled(groups: int, device: str, count: int, rounds: int, backend: str) -> Row:
    """Loops with a compiled step: with a constant rate, with our scheduler, and with torch's."""
    torch._dynamo.reset()
    optimizers = [optimizer_of(groups, device, as_tensor=True) for _ in range(2)]
    schedulers = [_ours(optimizers[0]), _native(optimizers[1])]
    steps = [torch.compile(optimizer.step, backend=backend) for optimizer in optimizers]

    def with_ours() -> None:
        steps[0]()
        schedulers[0].step()

    def with_torchs() -> None:
        steps[1]()
        schedulers[1].step()

    for _ in range(3):
        with_ours(), with_torchs()
    before = compiled_graphs()
    ours, constant = turns(with_ours, steps[0], count, rounds, device)
    recompiled = compiled_graphs() - before
    peer, other_constant = turns(with_torchs, steps[1], count, rounds, device)
    figures = _figures(groups, more(ours, constant), more(peer, other_constant))
    figures |= {"step µs": min(constant), "recompiled": recompiled}
    never = never_waits(with_ours, device)
    figures |= {} if never is None else {"never waits": never}
    return Row("cost", f"compiled, {_many(groups)}", figures, verdict(not figures["recompiled"] and never is not False))


# ---- In a graph ----


def _device_microseconds(replay: Callable[[], None], count: int) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(count):
        replay()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1000 / count


def _trained(advance_of: Callable[[DeviceSchedule], Callable[[], None]] | None) -> Callable[[], None]:
    """A captured update of the transformer with AdamW, its rate constant or advanced."""
    work = Captured("transformer", "AdamW", "cuda")
    if advance_of is None:
        work.capture()
    else:
        work.capture(advance_of(DeviceSchedule(SCHEDULE, device="cuda").attach(work.optimizer)))
    return work._replay


def _stepped(groups: int, advance_of: Callable[[DeviceSchedule], Callable[[], None]] | None) -> Callable[[], None]:
    """A captured step of SGD with many groups."""
    optimizer = optimizer_of(groups, "cuda", as_tensor=True, fused=True)
    advance = None
    if advance_of is not None:
        advance = advance_of(DeviceSchedule(SCHEDULE, device="cuda").attach(optimizer))

    def body() -> None:
        optimizer.step()
        if advance is not None:
            advance()

    return captured(body)[0]


def in_graph(groups: int, is_fused: bool, count: int, rounds: int) -> Row:
    """Replays in which the rate advances against replays with a constant one."""
    torch._dynamo.reset()

    def advance_of(rates: DeviceSchedule) -> Callable[[], None]:
        if not is_fused:
            return rates.advance
        compiled_advance = torch.compile(rates.advance, fullgraph=True)
        compiled_advance()  # compiled before anything is captured
        return compiled_advance

    make = _trained if groups == 1 else lambda advance: _stepped(groups, advance)
    constant, advancing = make(None), make(advance_of)
    waits = never_waits(advancing, "cuda")
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds + 1):
        for is_constant in (True, False) if number % 2 else (False, True):
            times[is_constant].append(_device_microseconds(constant if is_constant else advancing, count))
    cost = more(times[False][1:], times[True][1:])  # but for the first round, which warms up
    figures = {"groups": groups, "ours µs": cost, "step µs": min(times[True]), "never waits": waits}
    how = "advance() by torch.compile" if is_fused else "advance()"
    # As it is, advance() is three small kernels, one after the other; compiled, one. The bound is for that.
    is_met = bool(waits) and (cost <= MOST_IN_GRAPH or not is_fused)
    note = f"bound {MOST_IN_GRAPH:g} µs" if is_fused else "three kernels; the bound is for the compiled one"
    return Row("cost", f"graph, {how}, {_many(groups)}", figures, verdict(is_met), note)


def beside_graph(groups: int, count: int, rounds: int) -> Row:
    """What torch has for it: its scheduler fills the tensors between replays. Ours can do so too."""
    optimizers = [optimizer_of(groups, "cuda", as_tensor=True, fused=True) for _ in range(2)]
    schedulers = [_ours(optimizers[0]), _native(optimizers[1])]
    replays = [captured(optimizer.step)[0] for optimizer in optimizers]

    def both(at: int) -> Callable[[], None]:
        def update() -> None:
            replays[at]()
            schedulers[at].step()

        return update

    ours, constant = turns(both(0), replays[0], count, rounds, "cuda")
    peer, other_constant = turns(both(1), replays[1], count, rounds, "cuda")
    figures = _figures(groups, more(ours, constant), more(peer, other_constant)) | {"step µs": min(constant)}
    return Row("cost", f"graph, filled between replays, {_many(groups)}", figures)


# ---- All of it ----


def rows(device: str, quick: bool, clock: Clock) -> Iterator[Row]:
    """A row of each way and number of groups."""
    rounds = 3 if quick else 15
    for groups in GROUPS:
        count = (50 if quick else 500) // (1 if groups == 1 else 20)
        for what in ("a number", "a tensor", "DeviceSchedule"):
            name = f"eager, {what}, {_many(groups)}"

            def alone(what: str = what, groups: int = groups, count: int = count) -> Row:
                return eager(what, groups, device, count, rounds)

            yield guarded("cost", name, clock, alone)
    yield from _graph_rows(device, 50 if quick else 200, 2 * rounds, clock)


def compiled_rows(device: str, quick: bool, clock: Clock) -> Iterator[Row]:
    """Beside a compiled step, which for many groups takes a minute to compile."""
    for groups in () if quick else GROUPS:
        name = f"compiled, {_many(groups)}"
        yield guarded("cost", name, clock, lambda n=groups: compiled(n, device, 200 // n + 8, 15, "inductor"))


def _graph_rows(device: str, count: int, rounds: int, clock: Clock) -> Iterator[Row]:
    for groups in GROUPS:
        cases: dict[str, Callable[[], Row]] = {
            "advance()": lambda n=groups: in_graph(n, False, count, rounds),
            "advance() by torch.compile": lambda n=groups: in_graph(n, True, count, rounds),
            "filled between replays": lambda n=groups: beside_graph(n, count, rounds),
        }
        for what, make in cases.items():
            name = f"graph, {what}, {_many(groups)}"
            yield guarded("cost", name, clock, make) if device == "cuda" else Row("cost", name, verdict=ABSENT)
