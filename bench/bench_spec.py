"""Spec files: how long `load` takes for a typical one, from the name of the file to the schedule."""

import atexit
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import lrcore as lr
from bench._measure import Kind, Line

BOUND_MS = 1.0


def typical() -> lr.Schedule:
    """A warm-up, restarts under a step decay, and a cool-down: eight nodes."""
    restarts = lr.Cycle(lr.Cosine(0.1, 0.001, 1000), 1000, period_mult=2, value_mult=0.5, count=3)
    steps = lr.Piecewise([3000, 6000], [1.0, 0.5, 0.1])
    return lr.Sequence([(lr.Linear(0.0, 0.1, 500), 500), (restarts * steps, 7000), lr.Linear(0.001, 0.0, 500)])


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def written(suffix: str) -> Path:
    path = _folder() / f"typical{suffix}"
    lr.dump(typical(), path)
    return path


def _loads(suffix: str, count: int) -> Callable[[], None]:
    def run() -> None:
        path = written(suffix)  # by the first call, which is not timed
        for _ in range(count):
            lr.load(path)

    return run


def lines(quick: bool = False) -> Iterator[Line]:
    count = 20 if quick else 300
    for suffix, bound in {".json": BOUND_MS, ".toml": None, ".yaml": None}.items():
        yield Line("spec", f"load of a typical {suffix}", _loads(suffix, count), count, Kind.TIME, "ms", bound)
