"""The same lines under pytest-benchmark: ours and the peer of a line are one group, with the ratio beside the times.

`python -m pytest bench` shows small sizes; `--benchmark-save` and `--benchmark-compare` do what they always do, and
`make bench-compare BASE=main~1 K=Cosine` does both for two commits. The verdicts, and the large sizes, are those of
`python -m bench`, which times ours and the peer in turns: nothing here fails because of a time. What needs processes of
its own (memory, import, the command, Keras' backends) or a disk is not here.
"""

import importlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench._measure import Line, check, measure

MODULES = (
    "fill",
    "take",
    "calls",
    "smooth",
    "insight",
    "spec",
    "pictures",
    "peers",
    "scaling",
    "torch",
    "updates",
    "monitor",
    "tf1",
)
ROUNDS = 11


def _lines(name: str) -> list[Line]:
    """Of a module; none where the lrcore that is measured has not all that it asks for, as an old commit."""
    try:
        return list(importlib.import_module(f"bench.bench_{name}").lines(quick=True))
    except (ImportError, AttributeError, TypeError) as missing:
        print(f"bench_{name} is left out: {missing}")
        return []


def _sides() -> Iterator[Any]:
    for name in MODULES:
        for at, line in enumerate(_lines(name)):
            marks = [pytest.mark.benchmark(timer=time.perf_counter)] if line.by_wall_clock else []
            for side in ("ours", "peer"):
                if getattr(line, side):
                    yield pytest.param(name, at, side, id=f"{line.name}, {side}", marks=marks)


@pytest.mark.parametrize(("name", "at", "side"), _sides())
def test_speed(benchmark, name: str, at: int, side: str):
    """Of a line that is new: some go on from round to round, and one side alone would get ahead of the other."""
    line = _lines(name)[at]
    try:
        check(line)
    except ImportError as missing:
        pytest.skip(str(missing))
    benchmark.group = line.name
    benchmark.extra_info.update(measure(line, rounds=5))
    benchmark.pedantic(getattr(line, side), rounds=ROUNDS)
