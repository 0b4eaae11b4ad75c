"""The golden tables: ranges of a schedule of each class, by each way through the kernels, with the SHA-256 of their
values in golden.json. Every build on every machine has to give these bits (tests/portable), and every release those of
the one before.

`python golden.py`, run in tests/, writes golden.json anew. A commit that does so says why numbers change.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lrcore as lr

HASHES = Path(__file__).with_name("golden.json")
N = 30_000


@dataclass(frozen=True)
class Golden:
    """The values of a schedule at `length` steps from `start` on."""

    name: str
    schedule: lr.Schedule
    start: int = 0
    length: int = N

    def values(self):
        return self.schedule.table(self.length, start=self.start)


RISE, FALL = lr.Linear(0.0, 0.1, 2000), lr.Cosine(0.1, 1e-5, 25_001)

TABLES = [
    Golden("Constant", lr.Constant(0.1), length=100),
    Golden("Linear", lr.Linear(0.1, 1e-5, 25_001)),
    Golden("Linear: far out", lr.Linear(0.0, 1.0, 2**40), start=2**39 - N // 2),
    Golden("Cosine", FALL),
    Golden("Cosine: far out", lr.Cosine(-0.3, 0.7, 2**40 + 1), start=2**39 - N // 2),
    Golden("Polynomial: square root", lr.Polynomial(0.1, 1e-5, 25_001, 0.5)),
    Golden("Polynomial: 0.9", lr.Polynomial(0.1, 1e-5, 25_001, 0.9)),
    Golden("Polynomial: square, rising", lr.Polynomial(1e-5, 0.1, 25_001, 2)),
    Golden("Polynomial: 0.001, rising", lr.Polynomial(0.0, 0.1, 25_001, 0.001)),
    Golden("Polynomial: 200", lr.Polynomial(0.1, 0.0, 25_001, 200.0)),
    Golden("Exponential", lr.Exponential(1e-7, 10.0, 25_001)),
    Golden("Exponential: hardly", lr.Exponential(0.1, 0.1 * (1 + 2**-40), 25_001)),
    Golden("Exponential: far out", lr.Exponential(1.0, 1e-3, 2**45), start=2**44),
    Golden("ExponentialDecay: through subnormal numbers to 0", lr.ExponentialDecay(0.5, 0.97)),
    Golden("ExponentialDecay: far out", lr.ExponentialDecay(0.5, 0.99, 2**38), start=2**44),
    Golden("NaturalExpDecay", lr.NaturalExpDecay(0.5, 0.017, 3)),
    Golden("InverseTimeDecay", lr.InverseTimeDecay(0.5, 0.017, 3)),
    Golden("InverseSqrt", lr.InverseSqrt(0.1, 4000)),
    Golden("Line", lr.Line(0.1, -0.3, 777.7)),
    Golden("Noise", lr.Noise(7)),
    Golden("Noise: uniform", lr.Noise(7, distribution="uniform")),
    Golden("Noise: within a bound", lr.Noise(7, bound=0.3)),
    Golden("Noise: MT19937", lr.Noise(2**32 - 9999, "mt19937")),
    Golden("Noise: MT19937, uniform", lr.Noise(42, "mt19937", "uniform")),
    Golden("Noise: MT19937, within a bound", lr.Noise(42, "mt19937", bound=0.67)),
    Golden("Noise: MT19937, within a narrow bound", lr.Noise(42, "mt19937", bound=0.02), length=500),
    Golden("Map: cosine", lr.Map(lr.Line(-0.3, 1.1, 1234.5), "cosine")),
    Golden("Map: tanh", lr.Map(lr.Line(-7.0, 5.0, 25_001.0), "tanh")),
    Golden("Map: exp", lr.Map(lr.Line(-720.0, 720.0, 25_001.0), "exp")),
    Golden("Map: log", lr.Map(lr.Line(0.0, 5.0, 25_001.0), "log")),
    Golden("Map: power", lr.Map(lr.Line(0.0, 5.0, 25_001.0), "power", 0.7)),
    Golden("Map: square root", lr.Map(lr.Line(-1.0, 5.0, 25_001.0), "power", 0.5)),
    Golden("Piecewise", lr.Piecewise(list(range(7, 25_000, 13)), [0.1 / k for k in range(1, 1925)])),
    Golden("Interpolate: linear", lr.Interpolate([(100, 0.1), (9000, 0.3), (25_001, 1e-5)])),
    Golden("Interpolate: cosine", lr.Interpolate([(100, 0.1), (9000, 0.3), (25_001, 1e-5)], "cosine")),
    Golden("Interpolate: exponential", lr.Interpolate([(100, 0.1), (9000, 0.3), (25_001, 1e-5)], "exponential")),
    Golden("Table", lr.Table([1 / k for k in range(1, 100)]), length=200),
    Golden("Table: float32", lr.Table(np.array([1 / k for k in range(1, 100)], np.float32)), length=200),
    Golden("Sequence", RISE >> FALL),
    Golden("Cycle: doubling, falling", lr.Cycle(lr.Cosine(0.1, 1e-5, 500), 500, 2, 0.7)),
    Golden("Cycle: a tenth longer, mirrored", lr.Cycle(lr.Linear(1e-5, 0.1, 300), 300, 1.1, mirror=True)),
    Golden("Cycle: equal, held", lr.Cycle(lr.Exponential(0.1, 1e-5, 700), 700, value_mult=0.9, count=30)),
    Golden("Product", lr.Product([RISE, FALL, lr.ExponentialDecay(1.0, 0.999)])),
    Golden("Sum", lr.Sum([RISE, FALL, lr.InverseSqrt(0.1, 1000)])),
    Golden("Scale", 0.3 * FALL),
    Golden("Clip", FALL.clip(0.01, 0.09)),
    Golden("Clip: below", FALL.clip(min=0.01)),
    Golden("Staircase", FALL.staircase(7)),
    Golden("Shift", FALL.shift(-1000)),
    Golden("Stretch", lr.Stretch(lr.Sequence([(RISE, 2000), FALL]), 0.77)),
]

SMOOTH = "smooth"
SMOOTH_BETA, SMOOTH_LENGTH = 0.98, 10_001


def smooth_losses():
    """Noise without a generator, so that C has the same (tests/portable/main.c)."""
    return np.arange(SMOOTH_LENGTH, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**32) / 2**32


def smooth_averages():
    return lr.smooth(smooth_losses(), SMOOTH_BETA)


def sha256(values):
    return hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()


def computed():
    """The hashes that the installed engine gives."""
    return {table.name: sha256(table.values()) for table in TABLES} | {SMOOTH: sha256(smooth_averages())}


def stored():
    return json.loads(HASHES.read_text())


if __name__ == "__main__":
    HASHES.write_text(json.dumps(computed(), indent=1) + "\n")
