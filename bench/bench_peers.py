"""Tables of a million and of 50 million steps: eight schedules, each against seven ways to have the same numbers.

All compute float64 by one thread into memory that is there already, where the peer can. The array libraries get the
schedule cut into curves (`_curves`); optax and Keras compute with their own schedules, jitted and in a `tf.function`;
torch's schedulers can only be stepped, so they do fewer steps. Each framework has a process of its own: JAX's floats
and every library's threads are settings of the whole process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import lrcore
from bench import _curves
from bench._curves import Run
from bench._measure import Kind, Line
from bench._peers import Floats, on_first_call, single_threaded_jax
from lrcore import Schedule

PARTS = ("numpy", "numexpr", "numba", "torch", "jax", "tensorflow")
SIZES, QUICK_SIZES = {"1 M": 1_000_000, "50 M": 50_000_000}, {"1 M": 20_000, "50 M": 50_000}
LONGEST, LEAST_ROUNDS = 1.5, 2  # seconds of a line, beyond its first two rounds: some peers take six seconds a round
STEPPED, QUICK_STEPPED = 20_000, 500  # steps of torch's schedulers

PEAK, LOW, POWER, DROP = 0.1, 1e-5, 0.9, 0.99
CYCLES = 1000  # periods of the first cycle in a whole table
STAIRS = 500
FAST = {"NumPy": 8.0, "numexpr": 5.0, "numba": 5.0, "optax": 5.0}  # times as fast as, where ours is a cosine
TWICE, AS_FAST, STEPPING = 2.0, 0.9, 100.0  # of cosines; of all else, but for noise; of a call in Python for a step


@dataclass(frozen=True)
class Case:
    """A schedule of `steps` updates: ours, its curves, and what the peers call it, given their module."""

    name: str
    ours: Schedule
    runs: list[Run]
    optax: Callable[[Any], Any]
    keras: Callable[[Any], Any] | str
    torch: Callable[[Any, Any], Any]
    strays: int = 0  # of Keras


# ---- The eight ----

FLOAT = np.float64  # which Keras keeps; of Python's floats it makes float32


def _by_element(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of one that takes a single count."""

    def mapped(optax: Any) -> Any:
        import jax

        return jax.vmap(make(optax))

    return mapped


def _cosine(n: int) -> Case:
    return Case(
        "Cosine",
        lrcore.Cosine(PEAK, LOW, n),
        [Run("cosine", n, PEAK, LOW, n)],
        lambda optax: optax.cosine_decay_schedule(PEAK, n, alpha=LOW / PEAK),
        lambda of: of.CosineDecay(FLOAT(PEAK), n, alpha=FLOAT(LOW / PEAK)),
        lambda of, optimizer: of.CosineAnnealingLR(optimizer, n, eta_min=LOW),
    )


def _warmup_cosine(n: int) -> Case:
    up, first = n // 20, PEAK / 100

    def stepped(of: Any, optimizer: Any) -> Any:
        parts = [of.LinearLR(optimizer, 0.01, total_iters=up), of.CosineAnnealingLR(optimizer, n - up, eta_min=LOW)]
        return of.SequentialLR(optimizer, parts, [up])

    return Case(
        "warmup_cosine",
        lrcore.warmup_cosine(PEAK, LOW, up, n, init_value=first),
        [Run("line", up, first, PEAK, up), Run("cosine", n - up, PEAK, LOW, n - up)],
        lambda optax: optax.warmup_cosine_decay_schedule(first, PEAK, up, n, end_value=LOW),
        "with a warm-up it takes a step at a time: it branches on it",
        stepped,
    )


def _one_cycle(n: int) -> Case:
    up = int(0.3 * n)
    low, last = PEAK / 25, PEAK / 25 / 1e4
    return Case(
        "one_cycle",
        lrcore.one_cycle(PEAK, n),
        [Run("cosine", up, low, PEAK, up), Run("cosine", n - up, PEAK, last, n - up)],
        _by_element(lambda optax: optax.cosine_onecycle_schedule(n, PEAK, 0.3, 25.0, 1e4)),
        "Keras has none",
        lambda of, optimizer: of.OneCycleLR(optimizer, PEAK, n + 1, pct_start=(up + 1) / (n + 1)),
    )


def _sgdr(n: int) -> Case:
    first = max(1, n // CYCLES)
    spans = [first << at for at in range(64) if first * ((1 << at) - 1) < n]
    ends = np.cumsum(spans)
    lengths = [min(span, n - int(end) + span) for span, end in zip(spans, ends, strict=True)]
    return Case(
        "sgdr",
        lrcore.sgdr(PEAK, LOW, first, period_mult=2),
        [Run("cosine", length, PEAK, LOW, span) for length, span in zip(lengths, spans, strict=True)],
        lambda optax: optax.join_schedules(
            [optax.cosine_decay_schedule(PEAK, span, alpha=LOW / PEAK) for span in spans], ends[:-1].tolist()
        ),
        lambda of: of.CosineDecayRestarts(FLOAT(PEAK), first, alpha=FLOAT(LOW / PEAK)),
        lambda of, optimizer: of.CosineAnnealingWarmRestarts(optimizer, first, T_mult=2, eta_min=LOW),
        strays=len(spans),
    )


def _linear(n: int) -> Case:
    return Case(
        "Linear",
        lrcore.Linear(PEAK, LOW, n),
        [Run("line", n, PEAK, LOW, n)],
        lambda optax: optax.linear_schedule(PEAK, LOW, n),
        lambda of: of.PolynomialDecay(FLOAT(PEAK), n, FLOAT(LOW)),
        lambda of, optimizer: of.LinearLR(optimizer, 1.0, LOW / PEAK, total_iters=n),
    )


def _step_decay(n: int) -> Case:
    every = max(1, n // STAIRS)
    return Case(
        "step_decay",
        lrcore.step_decay(PEAK, DROP, every),
        [Run("stairs", n, PEAK, LOW, every, drop=DROP)],
        lambda optax: optax.exponential_decay(PEAK, every, DROP, staircase=True),
        lambda of: of.ExponentialDecay(FLOAT(PEAK), every, FLOAT(DROP), staircase=True),
        lambda of, optimizer: of.StepLR(optimizer, every, DROP),
    )


def _exponential(n: int) -> Case:
    return Case(
        "Exponential",
        lrcore.Exponential(PEAK, LOW, n),
        [Run("exponential", n, PEAK, LOW, n)],
        lambda optax: optax.exponential_decay(PEAK, n, LOW / PEAK),
        lambda of: of.ExponentialDecay(FLOAT(PEAK), n, FLOAT(LOW / PEAK)),
        lambda of, optimizer: of.ExponentialLR(optimizer, (LOW / PEAK) ** (1 / n)),
    )


def _polynomial(n: int) -> Case:
    return Case(
        f"Polynomial, power {POWER}",
        lrcore.Polynomial(PEAK, 0.0, n, POWER),
        [Run("power", n, PEAK, 0.0, n, power=POWER)],
        lambda optax: optax.polynomial_schedule(PEAK, 0.0, POWER, n),
        lambda of: of.PolynomialDecay(FLOAT(PEAK), n, FLOAT(0.0), power=FLOAT(POWER)),
        lambda of, optimizer: of.PolynomialLR(optimizer, n, POWER),
    )


CASES = (_cosine, _warmup_cosine, _one_cycle, _sgdr, _linear, _step_decay, _exponential, _polynomial)


# ---- Their tables ----


def by_optax(case: Case, size: int, dtype: str) -> Callable[[], Any]:
    """Jitted with the steps made inside and with the last result's memory given back: page faults cost it a quarter."""
    jax = single_threaded_jax()
    import optax

    schedule = case.optax(optax)

    def fill(room: Any) -> Any:
        return schedule(jax.numpy.arange(size, dtype=room.dtype))

    jitted = jax.jit(fill, donate_argnums=0, keep_unused=True)
    room = jax.numpy.zeros(size, dtype)

    def run() -> Any:
        nonlocal room
        room = jitted(room).block_until_ready()
        return room

    return run


class Gathered:
    """A tensor of TensorFlow, of which some values are asked for."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __getitem__(self, at: Any) -> Any:
        return self._tensor.numpy()[at]


def environment(_part: str) -> dict[str, str]:
    """Of the process that measures a part: a `tf.function` wants Keras on TensorFlow."""
    return {"KERAS_BACKEND": "tensorflow"}


def by_keras(case: Case, size: int) -> Callable[[], Any]:
    """In float64, as the initial rate is. The steps are an argument: a constant would be folded with all behind it."""
    import keras
    import tensorflow as tf

    if keras.config.backend() != "tensorflow":
        raise ImportError(f"wants Keras on TensorFlow, got it on {keras.config.backend()}")
    assert callable(case.keras)
    compiled = tf.function(case.keras(keras.optimizers.schedules))
    steps = tf.range(size, dtype=tf.float64)
    return lambda: Gathered(compiled(steps))


def by_stepping(case: Case, count: int) -> Callable[[], Any]:
    """A new scheduler each time, from its first update on; the optimizer has one weight and does nothing."""
    import torch
    from torch.optim import lr_scheduler

    def run() -> Floats:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK, momentum=0.9)
        scheduler = case.torch(lr_scheduler, optimizer)
        group, out = optimizer.param_groups[0], np.empty(count)
        optimizer.step()  # which the schedulers want to see before their own
        for step in range(count):
            out[step] = group["lr"]
            scheduler.step()
        return out

    return run


ARRAYS = {
    "numpy": _curves.by_numpy,
    "numexpr": _curves.by_numexpr,
    "numba": _curves.by_numba,
    "torch": _curves.by_torch,
}
SHOWN = {"numpy": "NumPy", "torch": "torch, vectorised", "jax": "optax", "tensorflow": "Keras"}


# ---- Lines ----


def bound_of(case: Case, peer: str) -> float:
    """What the contract asks of a cosine; twice as fast where a schedule has cosines, and never slower."""
    if all(run.curve != "cosine" for run in case.runs):
        return AS_FAST
    return FAST.get(peer, TWICE) if case.name == "Cosine" else TWICE


class Memory:
    """Of one size, touched once; freed with its lines."""

    def __init__(self, size: int) -> None:
        self.size = size

    @functools.cached_property
    def out(self) -> Floats:
        return np.ones(self.size)

    @functools.cached_property
    def theirs(self) -> Floats:
        return np.ones(self.size)

    @functools.cached_property
    def ramp(self) -> Floats:
        return np.arange(self.size, dtype=np.float64)


def _line(case: Case, label: str, memory: Memory, peer: str, make: Callable[[], Any], **more: Any) -> Line:
    about = {"steps": label, "schedule": case.name, "peer": peer}
    defaults: dict[str, Any] = {"bound": bound_of(case, peer), "tolerance": 1e-12, "about": about}
    return Line(
        topic="peers",
        name=f"{case.name}, {label}, against {peer}",
        ours=lambda: case.ours.table(memory.size, out=memory.out),
        peer=on_first_call(make),
        count=memory.size,
        kind=Kind.SPEEDUP,
        unit="×",
        **(defaults | more),
    )


def _refusing(reason: str) -> Callable[[], Any]:
    def make() -> Any:
        raise ImportError(reason)

    return make


def _of(case: Case, label: str, memory: Memory, part: str, stepped: int) -> Iterator[Line]:
    size, peer = memory.size, SHOWN.get(part, part)
    if part in ARRAYS:
        fill = lambda: ARRAYS[part](case.runs, memory.ramp, memory.theirs)  # noqa: E731
        yield _line(case, label, memory, peer, fill)
    if part == "torch":
        note, steps = f"its cost is that of {stepped:,} steps", min(stepped, size)
        run = lambda: by_stepping(case, steps)  # noqa: E731
        more = {"peer_count": steps, "bound": STEPPING, "tolerance": 1e-9, "note": note}
        yield _line(case, label, memory, "torch's scheduler", run, **more)
    elif part == "jax":
        yield _line(case, label, memory, peer, lambda: by_optax(case, size, "float64"))
    elif part == "tensorflow" and isinstance(case.keras, str):
        lacks = {"steps": label, "schedule": case.name, "peer": peer, "lacks": case.keras}
        yield _line(case, label, memory, peer, _refusing(case.keras), bound=None, about=lacks)
    elif part == "tensorflow":
        note = "at some restarts it has the value before" if case.strays else ""
        more = {"tolerance": 1e-9, "strays": case.strays, "note": note}
        yield _line(case, label, memory, peer, lambda: by_keras(case, size), **more)


def lines(quick: bool = False, parts: tuple[str, ...] = PARTS) -> Iterator[Line]:
    stepped = QUICK_STEPPED if quick else STEPPED
    for label, size in (QUICK_SIZES if quick else SIZES).items():
        memory = Memory(size)
        for part in parts:
            for case in CASES:
                yield from _of(case(size), label, memory, part, stepped)
