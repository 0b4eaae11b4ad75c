"""What is small: one step at a time, and compiling. Times contain the loop around the calls, about 15 ns each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import lrcore
from bench._measure import Kind, Line
from lrcore import Schedule
from lrcore._engine import Program

if TYPE_CHECKING:
    pass

RUN = 1_000_000  # updates of the schedules


def schedules() -> dict[str, Schedule]:
    boundaries = range(1000, RUN, 1000)
    return {
        "Cosine": lrcore.Cosine(0.1, 1e-5, RUN),
        "warmup_cosine": lrcore.warmup_cosine(0.1, 1e-5, RUN // 20, RUN),
        "one_cycle": lrcore.one_cycle(0.1, RUN),
        "sgdr": lrcore.sgdr(0.1, 1e-5, 1000, period_mult=2),
        "999-piece Piecewise": lrcore.Piecewise(boundaries, np.linspace(0.1, 0.0, 1000).tolist()),
        "step_decay": lrcore.step_decay(0.1, 0.9, 30_000),
        "Polynomial, power 0.9": lrcore.Polynomial(0.1, 0.0, RUN, 0.9),
    }


def recipes() -> dict[str, Callable[[], Schedule]]:
    return {
        "warmup_cosine": lambda: lrcore.warmup_cosine(0.1, 1e-5, RUN // 20, RUN),
        "one_cycle": lambda: lrcore.one_cycle(0.1, RUN),
        "sgdr": lambda: lrcore.sgdr(0.1, 1e-5, 1000, period_mult=2),
    }


def compiled(schedule: Schedule) -> Program:
    """What the first evaluation does, and later ones find done."""
    return Program(schedule._rows())


def _calls(function: Callable[[int], float], steps: Iterable[int]) -> Callable[[], None]:
    def run() -> None:
        for step in steps:
            function(step)

    return run


def _times(function: Callable[..., Any], *args: Any, count: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            function(*args)

    return run


def lines(quick: bool = False) -> Iterator[Line]:
    """Steps are drawn at random, which is the harder case: a run of updates is predicted better."""
    steps = np.random.default_rng(5).integers(0, RUN, 2_000 if quick else 50_000).tolist()
    builds = 100 if quick else 2_000
    for name, schedule in schedules().items():
        call = _calls(schedule, steps)
        yield Line("calls", f"schedule(step), {name}", call, len(steps), Kind.TIME, "ns", 250.0)
    for name, schedule in schedules().items():
        value = _calls(compiled(schedule).value, steps)
        yield Line("calls", f"Program.value, {name}", value, len(steps), Kind.TIME, "ns", 120.0)
    for name, build in recipes().items():
        compiling = _times(compiled, build(), count=builds)
        yield Line("calls", f"compiling {name}", compiling, builds, Kind.TIME, "µs", 50.0)
    for name, build in recipes().items():
        building = _times(build, count=builds)
        yield Line("calls", f"building {name}", building, builds, Kind.TIME, "µs")
