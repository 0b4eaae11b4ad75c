"""The piecewise constant of TensorFlow 1: how long its graph takes to build, and what a run of it costs.

TensorFlow's own builds a branch for each boundary: with 100 it takes ten seconds, and with 1,000 it fails. So the time
of 10,000 stands for itself, and TensorFlow's is measured with 30. A run is compared with reading the step, which is
what a session costs anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

import lrcore
from bench._measure import Kind, Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = ("tensorflow",)  # a process of its own: see `_worker`
BOUNDARIES = 10_000
THEIRS = 30  # boundaries of TensorFlow's own
EVERY = 1000  # updates between two boundaries
AT = 4_999_999  # the step that is read: in the middle
COSINE = lrcore.Cosine(0.1, 0.01, 500_000)
DECAY = lrcore.ExponentialDecay(0.1, 0.5, 1_000_000)


def _pieces(boundaries: int) -> tuple[list[int], list[float]]:
    return [EVERY * at for at in range(1, boundaries + 1)], [1.0 / at for at in range(1, boundaries + 2)]


def _ours(step: Any) -> Any:
    from lrcore.bindings import tf1

    return tf1.piecewise_constant(step, *_pieces(BOUNDARIES), name="lr")


def _of_arrays(step: Any) -> Any:
    from lrcore.bindings import tf1

    return tf1.piecewise_constant(step, *map(np.array, _pieces(BOUNDARIES)), name="lr")


def _theirs(step: Any) -> Any:
    import tensorflow as tf

    return tf.compat.v1.train.piecewise_constant(step, *_pieces(THEIRS), name="lr")


def _placed(schedule: lrcore.Schedule) -> Callable[[Any], Any]:
    def build(step: Any) -> Any:
        from lrcore.bindings import tf1

        return tf1.learning_rate(schedule, step, name="lr")

    return build


def _read(step: Any) -> Any:
    return step.read_value()


def _building(build: Callable[[Any], Any], count: int) -> Callable[[], None]:
    def run() -> None:
        import tensorflow as tf

        for _ in range(count):
            with tf.Graph().as_default():
                build(tf.compat.v1.train.get_or_create_global_step())

    return run


def _running(build: Callable[[Any], Any], count: int) -> Callable[[], NDArray[np.float64]]:
    """Runs of a session for what is built upon the step, which stands still; gives what they gave."""

    @cache
    def fetched() -> tuple[Any, Any]:
        import tensorflow as tf

        v1 = tf.compat.v1
        with tf.Graph().as_default():
            step = v1.get_variable("step", initializer=np.int64(AT))
            value = build(step)
            session = v1.Session()
            session.run(v1.global_variables_initializer())
        return session, value

    def run() -> NDArray[np.float64]:
        session, value = fetched()
        for _ in range(count):
            given = session.run(value)
        return np.full(count, float(given))

    return run


def lines(quick: bool = False) -> Iterator[Line]:
    """What it takes to build the nodes, and to run them."""
    built, count = (1, 20) if quick else (5, 1000)
    many, few = f"{BOUNDARIES:,} boundaries", f"{THEIRS} boundaries of TensorFlow's own"
    yield Line("tf1", f"building {many}", _building(_ours, built), built, Kind.TIME, "ms", 50.0)
    yield Line("tf1", f"building {many} in arrays", _building(_of_arrays, built), built, Kind.TIME, "ms", 50.0)
    yield Line("tf1", f"building {few}", _building(_theirs, 1), 1, Kind.TIME, "ms")
    runs: list[tuple[str, Callable[[Any], Any], float, float | None]] = [
        (many, _ours, 1.0 / (AT // EVERY + 1), 2.0),
        (few, _theirs, 1.0 / (THEIRS + 1), None),
        ("a Cosine of 500,000 updates", _placed(COSINE), COSINE(AT), None),
        ("an ExponentialDecay in closed form", _placed(DECAY), DECAY(AT), None),
    ]
    for name, build, value, bound in runs:
        yield Line(
            topic="tf1",
            name=f"running {name}, against reading the step",
            ours=_running(build, count),
            peer=_running(_read, count),
            expected=partial(_all, value),
            count=count,
            kind=Kind.COST,
            unit="×",
            bound=bound,
            tolerance=1e-6,
        )


def _all(value: float, at: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.full(len(at), value)
