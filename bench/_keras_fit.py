"""An update in Keras' `fit` with a Schedule, beside Keras' own cosine; and what it costs to read the current rate.

The model has one weight, so that `fit` does little else. Both go on from round to round over one long run.

Where an update is compiled, both are the same kernels (a test compares them), and what is left is noise: of `fit`, and
of which model was built first. A line beside them has a CosineDecay against another one, and tells how much it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import lrcore
from bench._measure import Kind, Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE, RUN = 0.1, 900_000  # updates, more than all rounds take, and few enough for a table
UPDATES, READS = 600, 1000  # of a round: so many that what a fit begins with counts little
NOISE = 0.05  # by which a CosineDecay differs from another one, on a machine that others use too
BOUND, MOST = 1.0 + NOISE, 20.0  # of Keras' time: equal; µs
TOLERANCE = 1e-4  # of a weight after thousands of updates in float32


def _ours() -> Any:
    from lrcore.bindings.keras import Schedule

    return Schedule(lrcore.Cosine(RATE, 0.0, RUN))


def _ours_in_closed_form() -> Any:
    """One that no table holds; at first it is the same."""
    from lrcore.bindings.keras import Schedule

    cosine = lrcore.Cosine(RATE, 0.0, RUN)
    return Schedule(lrcore.Cycle(cosine, RUN))


def _keras() -> Any:
    import keras

    return keras.optimizers.schedules.CosineDecay(RATE, RUN)


def _fitting(rate: Callable[[], Any]) -> Callable[[], NDArray[np.float64]]:
    """Some updates of a weight whose gradient is 1; gives the weight, for each of them."""

    @cache
    def model() -> Any:
        import keras

        made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
        made.compile(keras.optimizers.SGD(rate()), loss=lambda truth, guess: guess + 0.0 * truth)
        return made

    ones = np.ones((UPDATES, 1), np.float32)

    def run() -> NDArray[np.float64]:
        model().fit(ones, ones, batch_size=1, verbose=0, shuffle=False)
        return np.full(UPDATES, model().get_weights()[0][0, 0], np.float64)

    return run


def _reading(read: Callable[[Any], float], rate: Callable[[], Any], count: int) -> Callable[[], None]:
    @cache
    def optimizer() -> Any:
        import keras

        return keras.optimizers.SGD(rate())

    def run() -> None:
        for _ in range(count):
            read(optimizer())

    return run


def _number(optimizer: Any) -> float:
    from lrcore.bindings.keras import learning_rate

    return learning_rate(optimizer)


def _tensor(optimizer: Any) -> float:
    return float(optimizer.learning_rate)


def lines() -> Iterator[Line]:
    """Those of this process's backend."""
    backend = os.environ["KERAS_BACKEND"]
    for name, ours, bound in (
        ("Schedule, a table", _ours, BOUND),
        ("Schedule, a closed form", _ours_in_closed_form, BOUND),
        ("another CosineDecay", _keras, None),
    ):
        yield Line(
            topic="keras",
            name=f"fit on {backend}: {name}, against CosineDecay",
            ours=_fitting(ours),
            peer=_fitting(_keras),
            count=UPDATES,
            kind=Kind.COST,
            unit="×",
            bound=bound,
            tolerance=TOLERANCE,
            about={"backend": backend},
        )
    for name, read, rate, count, bound in (
        ("learning_rate(optimizer)", _number, _ours, READS, MOST),
        ("float(optimizer.learning_rate)", _tensor, _ours, READS, None),
        ("the same of CosineDecay", _tensor, _keras, 20, None),
    ):
        run = _reading(read, rate, count)
        yield Line("keras", f"reading the rate on {backend}: {name}", run, count, Kind.TIME, "µs", bound)
