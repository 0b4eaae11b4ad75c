"""The same lines under pytest-benchmark: ours and the peer of a line are one group, with the ratio beside the times.

`python -m pytest bench` shows small sizes; `--benchmark-save` and `--benchmark-compare` do what they always do, and
`make bench-compare BASE=main~1 K=Cosine` does both for two commits. The verdicts are those of `python -m bench`:
nothing here fails because of a time. Keras' backends need a process each, and are not here.
"""

import importlib

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


def _lines(name: str) -> list[Line]:
    """Of a module; none where the lrcore that is measured has not all that it asks for, as an old commit."""
    try:
        return list(importlib.import_module(f"bench.bench_{name}").lines(quick=True))
    except (ImportError, AttributeError, TypeError) as missing:
        print(f"bench_{name} is left out: {missing}")
        return []


LINES = [line for name in MODULES for line in _lines(name)]
SIDES = [(line, side) for line in LINES for side in ("ours", "peer") if getattr(line, side)]


@pytest.mark.parametrize(("line", "side"), SIDES, ids=[f"{line.name}, {side}" for line, side in SIDES])
def test_speed(benchmark, line: Line, side: str):
    try:
        check(line)
    except ImportError as missing:
        pytest.skip(str(missing))
    benchmark.group = line.name
    benchmark.extra_info.update(measure(line, rounds=5))
    benchmark.pedantic(getattr(line, side), rounds=5)
