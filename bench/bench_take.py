"""Ten million scattered steps: the public call against NumPy, each with a new array for its result."""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

import lrcore
from bench import _peers
from bench._measure import Kind, Line
from bench._peers import Floats, Steps
from bench.bench_fill import END, PEAK, pieces
from lrcore import Schedule


def lines(quick: bool = False) -> Iterator[Line]:
    """All within the schedule's length, so that NumPy needs no clamp."""
    size = 500_000 if quick else 10_000_000
    steps = cache(lambda: np.random.default_rng(3).integers(0, size, size))
    warmup = size // 20
    boundaries, values = pieces(size, 1000)
    cases: list[tuple[str, Schedule, Callable[[Steps], Floats]]] = [
        (
            "Cosine",
            lrcore.Cosine(PEAK, END, size),
            lambda at: _peers.numpy_cosine_at(at, PEAK, END, size),
        ),
        (
            "warmup_cosine",
            lrcore.warmup_cosine(PEAK, END, warmup, size),
            lambda at: _peers.numpy_warmup_cosine_at(at, PEAK, END, warmup, size),
        ),
        (
            "1000-piece Piecewise",
            lrcore.Piecewise(boundaries.tolist(), values.tolist()),
            lambda at: _peers.numpy_pieces_at(at, boundaries, values),
        ),
    ]
    for name, schedule, formula in cases:
        yield Line(
            topic="take",
            name=f"{name} at random steps, against careful NumPy",
            ours=lambda schedule=schedule: schedule(steps()),
            peer=lambda formula=formula: formula(steps()),
            count=size,
            kind=Kind.SPEEDUP,
            unit="×",
            bound=2.0,
        )
