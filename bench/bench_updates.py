"""An update of a training loop with a schedule: in PyTorch, in optax, and in a session of TensorFlow 1.

The same small model, everything of an update included: gradients, optimizer, the rate. Beside the framework's own
schedule, and beside a constant rate, which says what any schedule costs. Keras' `fit` on three backends stands in the
topic keras, and what a scheduler's step costs alone in torch and scaling. Both go on from round to round over one run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import lrcore
from bench._measure import Kind, Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Loop = Callable[[], NDArray[np.float64]]

PARTS = ("torch", "jax", "tensorflow")
LONGEST = 6.0  # seconds of a line, beyond its first three rounds
ROUNDS = 21
RATE, RUN = 0.1, 900_000  # updates, more than all rounds take, and few enough for a table
BATCH, WIDTH, CLASSES = 32, 64, 10
UPDATES, QUICK_UPDATES = 500, 5  # of a round
BOUND = 1.05  # of the framework's own: equal, but for noise
TOLERANCE = 1e-3  # of a loss after thousands of updates in float32
COSINE = lrcore.Cosine(RATE, 0.0, RUN)
CLOSED = lrcore.Cycle(COSINE, RUN)  # which no table holds; at first it is the same


def _batch() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(1)
    return random.normal(size=(BATCH, WIDTH)).astype(np.float32), np.arange(BATCH) % CLASSES


def _weights() -> list[NDArray[np.float32]]:
    random = np.random.default_rng(2)
    return [random.normal(size=(WIDTH, width)).astype(np.float32) / WIDTH**0.5 for width in (WIDTH, CLASSES)]


def _loop(start: Callable[[], Callable[[], Any]], count: int) -> Loop:
    """`count` updates; gives the loss of the last for each: no update waits for its loss."""
    begun = cache(start)

    def run() -> NDArray[np.float64]:
        update = begun()
        for _ in range(count):
            loss = update()
        return np.full(count, float(loss))

    return run


# ---- PyTorch ----


def _in_torch(make: Callable[[Any], Any] | None) -> Callable[[], Callable[[], Any]]:
    def start() -> Callable[[], Any]:
        import torch

        inputs, labels = map(torch.from_numpy, _batch())
        weights = [torch.nn.Parameter(torch.from_numpy(each)) for each in _weights()]
        optimizer = torch.optim.SGD(weights, lr=RATE)
        scheduler = make(optimizer) if make else None

        def update() -> Any:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy((inputs @ weights[0]).relu() @ weights[1], labels)
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            return loss.detach()

        return update

    return start


def _scheduler(optimizer: Any) -> Any:
    from lrcore.bindings.torch import Scheduler

    return Scheduler(optimizer, COSINE)


def _torchs_own(optimizer: Any) -> Any:
    import torch

    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, RUN)


# ---- optax ----


def _in_optax(make: Callable[[], Any]) -> Callable[[], Callable[[], Any]]:
    """Jitted, with the state's memory given back."""

    def start() -> Callable[[], Any]:
        import jax
        import optax

        inputs, labels = map(jax.numpy.asarray, _batch())
        optimizer = optax.sgd(make())

        def loss_of(weights: list[Any]) -> Any:
            guesses = jax.nn.relu(inputs @ weights[0]) @ weights[1]
            return optax.softmax_cross_entropy_with_integer_labels(guesses, labels).mean()

        def update(weights: list[Any], state: Any) -> tuple[Any, Any, Any]:
            loss, gradients = jax.value_and_grad(loss_of)(weights)
            changes, state = optimizer.update(gradients, state, weights)
            return optax.apply_updates(weights, changes), state, loss

        compiled = jax.jit(update, donate_argnums=(0, 1))
        weights = [jax.numpy.array(each) for each in _weights()]
        at = [weights, optimizer.init(weights)]

        def step() -> Any:
            at[0], at[1], loss = compiled(*at)
            return loss

        return step

    return start


def _rates(schedule: lrcore.Schedule) -> Callable[[], Any]:
    def make() -> Any:
        from lrcore.bindings.optax import schedule as rates

        return rates(schedule)

    return make


def _optaxs_own() -> Any:
    import optax

    return optax.cosine_decay_schedule(RATE, RUN)


# ---- TensorFlow 1 ----


def _in_session(make: Callable[[Any, Any], Any]) -> Callable[[], Callable[[], Any]]:
    """A graph with its training operation, and a session with one thread."""

    def start() -> Callable[[], Any]:
        import tensorflow as tf

        v1 = tf.compat.v1
        with tf.Graph().as_default():
            step = v1.train.get_or_create_global_step()
            inputs, labels = map(tf.constant, _batch())
            weights = [v1.get_variable(f"w{at}", initializer=each) for at, each in enumerate(_weights())]
            guesses = tf.nn.relu(inputs @ weights[0]) @ weights[1]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=guesses)
            loss = tf.reduce_mean(losses)
            train = v1.train.GradientDescentOptimizer(make(v1, step)).minimize(loss, step)
            config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
            session = v1.Session(config=config)
            session.run(v1.global_variables_initializer())
        return lambda: session.run([train, loss])[1]

    return start


def _placed(schedule: lrcore.Schedule) -> Callable[[Any, Any], Any]:
    def make(_: Any, step: Any) -> Any:
        from lrcore.bindings import tf1

        return tf1.learning_rate(schedule, step)

    return make


# ---- Lines ----


def _constant(*_: Any) -> float:
    return RATE


def _decay(v1: Any, step: Any) -> Any:
    return v1.train.cosine_decay(RATE, step, RUN)


def _cases() -> dict[str, tuple[str, list[tuple[str, Any]], Any, Any]]:
    """Of each part: its name, ours, the framework's own, and a constant rate."""
    return {
        "torch": ("PyTorch", [("Scheduler", _in_torch(_scheduler))], _in_torch(_torchs_own), _in_torch(None)),
        "jax": (
            "optax, jitted",
            [("a table", _in_optax(_rates(COSINE))), ("a closed form", _in_optax(_rates(CLOSED)))],
            _in_optax(_optaxs_own),
            _in_optax(_constant),
        ),
        "tensorflow": (
            "TF1 session",
            [("a table", _in_session(_placed(COSINE))), ("a closed form", _in_session(_placed(CLOSED)))],
            _in_session(_decay),
            _in_session(_constant),
        ),
    }


def lines(quick: bool = False, parts: tuple[str, ...] = PARTS) -> Iterator[Line]:
    count = QUICK_UPDATES if quick else UPDATES
    for part in parts:
        framework, ours, own, constant = _cases()[part]
        rows = [(f"{what}, against its own cosine", run, own, True) for what, run in ours]
        rows.append((f"{ours[0][0]}, against a constant rate", ours[0][1], constant, False))
        rows.append(("its own cosine, against a constant rate", own, constant, False))
        for name, run, peer, is_judged in rows:
            yield Line(
                topic="updates",
                name=f"an update in {framework}: {name}",
                ours=_loop(run, count),
                peer=_loop(peer, count),
                expected=None if is_judged else lambda at: np.ones(len(at)),
                count=count,
                kind=Kind.COST,
                unit="×",
                bound=BOUND if is_judged else None,
                tolerance=TOLERANCE if is_judged else np.inf,
                about={"backend": framework},
            )
