"""JAX: a learning-rate range test of a loss function, with all runs in one compiled step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from lrcore import _check, _progress
from lrcore.finder import (
    PROBE_RUNS,
    PROBE_STEPS,
    Found,
    RangeTest,
    Watch,
    best_probe,
    padded,
    probe_lrs,
    probe_watch,
    range_test,
    suggest,
    updates_of,
)

Floats = NDArray[np.float64]

_restarts = _check.whole(1, 10**4, "a number of runs")
_seed = _check.whole(0, 2**31 - 1, "a seed")


def find_lr(
    params: Any,
    loss_fn: Callable[..., Any],
    optimizer: Callable[[Any], optax.GradientTransformation],
    batches: Iterable[Any],
    *,
    test: RangeTest | None = None,
    restarts: int = 8,
    refine: bool = False,
    reinit: Callable[[Any], Any] | None = None,
    opt_state: Any = None,
    keyed: bool = False,
    seed: int = 0,
    progress: bool | None = None,
) -> Found:
    """Trains a few short runs at rising rates, and says which learning rate they suggest.

    The runs are trained side by side, by `jax.vmap`, each with the batches in an order of its own. What is given is not
    changed: there is nothing to put back.

    Args:
        params: a tree of arrays of real numbers, with which the runs begin. What is not trained, as an integer, belongs
            into a closure of `loss_fn`.
        loss_fn: `loss_fn(params, batch)`, or with `keyed` `loss_fn(params, batch, key)`; the mean loss, one number. It
            is differentiated and traced.
        optimizer: from a learning rate to a transformation, as `optax.adam` is, or
            `lambda lr: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(lr, weight_decay=0.1))`. The rate is
            traced, so rates of groups are made by scaling its updates: `lrcore.bindings.optax.scale_by_groups`. One
            that keeps the rate in its state, as of `optax.inject_hyperparams`, is refused.
        batches: trees of arrays, such as a list of `(inputs, targets)`; begun anew where they are fewer than the steps
            of the test. Those of another shape than the first, as a smaller last one, are left out.
        test: the rates, see `lrcore.finder.RangeTest`; by default from 1e-6 to 10 in 200 updates.
        restarts: how many runs, >= 1.
        refine: whether short runs at five rates around the suggestion, with the same batches, choose among them.
        reinit: initial params of a run, from a key of its own: `reinit(key)`. None: all begin with `params`.
        opt_state: the state of the optimizer that all begin with; by default each has a new one.
        keyed: whether the loss takes a key, for dropout say.
        seed: of orders and keys, >= 0.
        progress: show a progress bar (needs tqdm). None: on a terminal, if tqdm is there.

    Returns:
        What was found: `lr`, `suggestion` with its verdict, band and votes, the curves, `plot()`.

    Raises:
        TypeError, ValueError: arguments outside of these; no batch; a loss that is not one real number; an optimizer
            that keeps the rate in its state.
        ImportError: `progress=True` without tqdm.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.

    Example:
        >>> import numpy as np, optax
        >>> from lrcore.finder import RangeTest
        >>> inputs = np.random.default_rng(0).normal(size=(8, 32, 4))
        >>> batches = [(part, part.sum(1)) for part in inputs]
        >>> def loss_fn(params, batch):
        ...     return ((batch[0] @ params - batch[1]) ** 2).mean()
        >>> found = find_lr(np.zeros(4), loss_fn, optax.sgd, batches, test=RangeTest(1e-4, 10.0, 60), restarts=4)
        >>> 0.01 < found.lr < 1.0, found.losses.shape[0]
        (True, 4)
    """
    for name, given in (("loss_fn", loss_fn), ("optimizer", optimizer), ("reinit", reinit)):
        if given is not None and not callable(given):
            _check.refuse(f"find_lr.{name}", "a function", given, TypeError)
    test = range_test("find_lr.test", test)
    runs = _restarts("find_lr.restarts", restarts)
    if opt_state is not None and reinit is not None:
        _check.refuse("find_lr.opt_state", "None with reinit, which begins without a state", opt_state)
    loss = loss_fn if _check.flag("find_lr.keyed", keyed) else lambda params, batch, _key: loss_fn(params, batch)
    kept = _batches(batches, test.steps)
    _check_params("find_lr.params", params)
    _check_loss(loss, params, kept[0])
    _check_state(optimizer, params)
    wanted = progress if progress is None else _check.flag("find_lr.progress", progress)
    total = updates_of(test, runs, _check.flag("find_lr.refine", refine))
    with _progress.progress(wanted, total, "find_lr", "updates") as tick:
        trial = _Trial(params, loss, optimizer, kept, reinit, opt_state, _seed("find_lr.seed", seed), tick)
        losses = trial.run(np.repeat(test.lrs[:, None], runs, axis=1), test.watch(runs), np.arange(runs), True)
        suggestion = suggest(test.lrs, losses)
        return Found(suggestion, test.lrs, losses, trial.refined(suggestion.lr) if refine else None)


class _Trial:
    """Runs from the same beginning."""

    def __init__(
        self,
        params: Any,
        loss: Any,
        optimizer: Any,
        batches: list[Any],
        reinit: Any,
        opt_state: Any,
        seed: int,
        tick: Callable[[int], object],
    ) -> None:
        self._params = jax.tree.map(jnp.asarray, params)
        self._optimizer = optimizer
        self._batches = batches
        self._reinit = reinit
        self._opt_state = opt_state
        self._seed = seed
        self._tick = tick
        key = jax.random.key(seed)

        def keyed(run: Any) -> Any:
            return jax.random.fold_in(key, run)

        self._keyed = keyed
        self._keys = jax.jit(jax.vmap(lambda run, step: jax.random.fold_in(keyed(run), step), (0, None)))

        def step(params: Any, state: Any, batch: Any, lr: Any, key: Any) -> tuple[Any, Any, Any]:
            value, slopes = jax.value_and_grad(loss)(params, batch, key)
            updates, state = optimizer(lr).update(slopes, state, params)
            return optax.apply_updates(params, updates), state, value

        self._step = jax.jit(jax.vmap(step))

    def run(self, rates: Floats, watch: Watch, runs: NDArray[np.int64], one_more: bool) -> Floats:
        """The losses of some runs, each before its update, until all have stopped.

        Args:
            rates: (steps, len(runs)).
            watch: says when to stop.
            runs: which runs; the same one twice has the same batches.
            one_more: also the loss after the last update.
        """
        params, state = self._beginnings(runs)
        orders = [self._order(run, len(rates) + one_more) for run in runs]
        for at, places in enumerate(zip(*orders, strict=True)):
            batch = jax.tree.map(lambda *parts: np.stack(parts), *[self._batches[place] for place in places])
            lr = jnp.asarray(rates[min(at, len(rates) - 1)], jnp.float32)
            params, state, losses = self._step(params, state, batch, lr, self._keys(runs, at))
            if at < len(rates):
                self._tick(len(runs))
            if watch.observe(np.asarray(losses, np.float64)):
                break
        return watch.losses

    def _beginnings(self, runs: NDArray[np.int64]) -> tuple[Any, Any]:
        if self._reinit is None:
            many = jax.tree.map(lambda part: jnp.stack([part] * len(runs)), self._params)
        else:
            each = [self._reinit(self._keyed(run)) for run in runs]
            _check_params("find_lr.reinit", each[0])
            many = jax.tree.map(lambda *parts: jnp.stack(parts), *each)
        init = self._optimizer(jnp.zeros((), jnp.float32)).init
        if self._opt_state is None:
            return many, jax.vmap(init)(many)
        return many, jax.tree.map(lambda part: jnp.stack([jnp.asarray(part)] * len(runs)), self._opt_state)

    def _order(self, run: int, steps: int) -> NDArray[np.int64]:
        """The places of the batches of a run: each once, then each once again in another order."""
        generator = np.random.default_rng((self._seed, run))
        rounds = -(-steps // len(self._batches))
        return np.concatenate([generator.permutation(len(self._batches)) for _ in range(rounds)])[:steps]

    def refined(self, lr: float) -> float:
        """The best of short runs around a rate, all side by side."""
        rates = probe_lrs(lr)
        watch = probe_watch(len(rates) * PROBE_RUNS)
        each = np.tile(np.repeat(rates, PROBE_RUNS), (PROBE_STEPS, 1))
        losses = self.run(each, watch, np.tile(np.arange(PROBE_RUNS), len(rates)), False)
        return best_probe(rates, padded(list(losses), PROBE_STEPS).reshape(len(rates), PROBE_RUNS, -1))


def _batches(given: Any, steps: int) -> list[Any]:
    """As many batches as are needed at most, all of one shape."""
    if not hasattr(given, "__iter__") or isinstance(given, dict):
        _check.refuse("find_lr.batches", "batches, as a list of (inputs, targets)", given, TypeError)
    kept: list[Any] = []
    for batch in given:
        arrays = jax.tree.map(np.asarray, batch)
        if not kept or _shapes(arrays) == _shapes(kept[0]):
            kept.append(arrays)
        if len(kept) == steps:
            break
    if not kept:
        raise ValueError("find_lr.batches: expected a batch at least, got none")
    return kept


def _shapes(batch: Any) -> Any:
    return jax.tree.structure(batch), [part.shape for part in jax.tree.leaves(batch)]


def _check_params(where: str, params: Any) -> None:
    """Refuses what has no gradient."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        name = where + jax.tree_util.keystr(path)
        dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        if not jnp.issubdtype(dtype, jnp.inexact):
            expected = "an array of real numbers, which can be trained (give loss_fn what is not trained in a closure)"
            raise TypeError(f"{name}: expected {expected}, got {dtype}")


def _check_loss(loss: Any, params: Any, batch: Any) -> None:
    found: Any = jax.eval_shape(loss, params, batch, jax.random.key(0))
    if getattr(found, "shape", None) != () or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ValueError(f"find_lr.loss_fn: expected a function that gives one real number, got {found}")


def _check_state(optimizer: Any, params: Any) -> None:
    """Refuses a state that holds the rate: it would stay at that of `init`, whatever the update is made with."""
    one, other = optimizer(jnp.float32(1.0)), optimizer(jnp.float32(2.0))

    def differs(params: Any) -> Any:
        return jax.tree.map(_differ, one.init(params), other.init(params))

    found = jax.jit(differs)(jax.tree.map(jnp.asarray, params))
    for path, holds in jax.tree_util.tree_flatten_with_path(found)[0]:
        if holds:
            raise ValueError(
                "find_lr.optimizer: expected a rate that is no part of the state, got one in "
                f"state{jax.tree_util.keystr(path)}: give the optimizer without what holds it, as optax.adam for "
                "optax.inject_hyperparams(optax.adam), and opt_state.inner_state for its opt_state"
            )


def _differ(one: Any, other: Any) -> Any:
    is_number = (one == one) | (other == other)  # not NaN both
    return jnp.any((one != other) & is_number)
