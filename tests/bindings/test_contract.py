"""The one contract of all bindings: update k uses the rate `schedule(k)`, rounded once to what the binding holds.

Each row is a binding, each column a way to train, each cell a set of schedules over 200 updates. Rates are read from a
weight of 0 that an SGD step on a gradient of 1 changes, and compared to the bit. What the ways are for each framework
stands in contract_torch.py, contract_keras.py, contract_tf1.py and contract_optax.py.
"""

from importlib import import_module
from typing import NamedTuple

import numpy as np
import pytest
from keras_trainer import BACKENDS, begin
from tf1_arguments import SCHEDULES

import lrcore as lr
from cases import CASES
from packages import required

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

WAYS = ["fresh", "resumed", "nested", "accumulated"]


class Run(NamedTuple):
    updates: int = 200
    stop: int = 77
    micro_batches: int = 3


RUN = Run()
LARGEST = float(np.finfo(np.float32).max)
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)

TELLING = {
    "warm-up and cosine": lr.warmup_cosine(0.3, 0.001, 5, 150),
    "restarts that grow, without an end": lr.sgdr(0.1, 0.001, 4, period_mult=2),
    "one cycle": lr.one_cycle(0.4, 190),
    "pieces": lr.Piecewise([5, 10, 15, 120], [0.1, 0.05, 0.01, 0.001, 0.3], side="left"),
    "exponential": lr.Exponential(1e-7, 10.0, 180),
    "warm-up, stable, decay": lr.wsd(0.3, 20, 100, 60),
    "stairs without an end": lr.ExponentialDecay(0.1, 0.97, 10).staircase(10),
    "a table": lr.Table([0.3 / (1 + step) for step in range(60)]),
    "through points": lr.Interpolate([(3, 0.1), (78, 0.7), (170, 0.02)], curve="cosine"),
}
MORE = {
    "longer than a table": lr.Linear(1.0, 0.0, 3_000_000),
    "noise that ends": lr.Sequence([(0.1 + 0.01 * lr.Noise(7), 190), 0.1]),
}
ALL = {case.name: case.schedule() for case in CASES} | TELLING | MORE
# Noise without an end has no closed form in the operations of a framework.
TRACED = {name: s for name, s in ALL.items() if s.length is not None or not name.startswith("Noise")}


KERAS = ("tensorflow", "jax", "torch")  # its backends
# Of each kind: for a framework that compiles each schedule anew.
KINDS = ("warm-up and cosine", "restarts that grow, without an end", "one cycle", "pieces", "a table")
FEW = {name: TELLING[name] for name in KINDS}
ONE = {KINDS[1]: TELLING[KINDS[1]]}
FOUR = {"four in turn": lr.Cycle(lr.Piecewise([1, 2, 3], [1.0, 0.5, 0.25, 0.75]), 4)}  # of a function that remembers
PIECES = {name: s for name, s in ALL.items() if isinstance(s, lr.Piecewise) and s.side == "left"}
RESTARTS = {
    "growing": TELLING["restarts that grow, without an end"],
    "equal": lr.sgdr(0.5, 0.0, 7),
    "half as long again": lr.sgdr(0.1, 0.01, 8, period_mult=1.5),
}


class Binding(NamedTuple):
    """A row: the module and name that it is known by there, its schedules, and what holds its rates."""

    module: str
    name: str
    fresh: dict[str, lr.Schedule] = ALL
    others: dict[str, lr.Schedule] = TELLING | MORE  # of the other ways, which are the same for any schedule
    dtype: type = np.float32
    flushes: bool = False  # XLA and TensorFlow take numbers below the smallest normal float32 for 0

    def schedules(self, way):
        return self.fresh if way == "fresh" else self.others


BINDINGS = {
    "torch Scheduler": Binding("torch", "Scheduler", ALL, ALL, np.float64),
    "torch Scheduler, tensor": Binding("torch", "Scheduler of a tensor"),
    "torch LambdaLR": Binding("torch", "LambdaLR", dtype=np.float64),
    "torch DeviceSchedule": Binding("torch", "DeviceSchedule"),
    "Keras Schedule, by hand on torch": Binding("keras", "by hand"),
    **{f"Keras Schedule, {name}": Binding("keras", f"Schedule {name}", TELLING | MORE, FEW) for name in KERAS},
    **{f"Keras layer_rates, {name}": Binding("keras", f"layer_rates {name}", ONE, ONE) for name in KERAS},
    **{f"Keras scheduled, {name}": Binding("keras", f"scheduled {name}", ONE, ONE) for name in KERAS},
    **{f"Keras ScheduleCallback, {name}": Binding("keras", f"ScheduleCallback {name}", FEW, FEW) for name in KERAS},
    **{f"Keras function, {name}": Binding("keras", f"function {name}", FOUR, FOUR) for name in KERAS},
    **{f"Keras SGDR, {name}": Binding("keras", f"SGDR {name}", RESTARTS, RESTARTS) for name in KERAS},
    "tf1 learning_rate": Binding("tf1", "learning_rate", TRACED, flushes=True),
    "tf1 piecewise_constant": Binding("tf1", "piecewise_constant", PIECES, PIECES),
    "tf1 decays": Binding("tf1", "decays", SCHEDULES, SCHEDULES),
    "optax schedule": Binding("optax", "schedule", TRACED, flushes=True),
    "optax schedule, injected": Binding("optax", "schedule, injected", TELLING | MORE, flushes=True),
    "optax per_group": Binding("optax", "per_group", TELLING | MORE, flushes=True),
    "optax scale_by_groups": Binding("optax", "scale_by_groups", TELLING | MORE, TELLING | MORE, flushes=True),
}
NEEDS = {"tensorflow": "tensorflow", "tf1": "tensorflow", "jax": "jax", "optax": "optax"}


def expected(schedule, dtype, flushes):
    rates = [schedule(step) for step in range(RUN.updates)]
    if dtype is np.float32:
        rates = [float(np.float32(min(max(rate, -LARGEST), LARGEST))) for rate in rates]
    return flushed(rates) if flushes else rates


def flushed(rates):
    return [rate if abs(rate) >= SMALLEST_NORMAL else 0.0 for rate in rates]


def first_wrong(found, wanted):
    """The update that had another rate, that rate and the one it should have had."""
    assert len(found) == len(wanted)
    return next((row for row in zip(range(len(wanted)), found, wanted, strict=True) if row[1] != row[2]), None)


@pytest.fixture(scope="module", autouse=True)
def processes_begin_beside_the_first_tests():
    for backend in BACKENDS:
        begin(backend)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("binding", BINDINGS)
def test_after_k_updates_the_rate_is_the_schedule_at_k(binding, way):
    row = BINDINGS[binding]
    for needed in {NEEDS[word] for word in (row.module, *row.name.split()) if word in NEEDS}:
        required(needed)
    schedules = row.schedules(way)
    rates = import_module(f"contract_{row.module}").rates(row.name, way, schedules, RUN)
    assert set(rates) == set(schedules)
    wrong = {}
    for name, schedule in schedules.items():
        found = flushed(rates[name]) if row.flushes else rates[name]
        wrong[name] = first_wrong(found, expected(schedule, row.dtype, row.flushes))
    assert {name: at for name, at in wrong.items() if at} == {}
