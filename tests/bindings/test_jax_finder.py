"""find_lr in JAX, against the same training one run after another."""

import sys

import numpy as np
import pytest

from lrcore.finder import PROBE_RUNS, PROBE_STEPS, RangeTest, best_probe, probe_lrs, suggest
from packages import imported

jax = imported("jax")
optax = imported("optax")

from lrcore.bindings.jax import find_lr  # noqa: E402

TEST = RangeTest(1e-3, 30.0, steps=24)


def data(parts, size=16):
    inputs = np.random.default_rng(1).normal(size=(parts, size, 3)).astype(np.float32)
    return [(part, np.tanh(part @ np.array([1.0, -2.0, 0.5], np.float32))) for part in inputs]


def loss_fn(params, batch):
    inputs, targets = batch
    return ((jax.numpy.tanh(inputs @ params["weight"]) + params["bias"] - targets) ** 2).mean()


def start():
    return {"weight": np.array([0.5, 0.5, 0.5], np.float32), "bias": np.float32(0.1)}


def orders(run, parts, steps, seed):
    generator = np.random.default_rng((seed, run))
    return [place for _ in range(steps // parts + 1) for place in generator.permutation(parts)]


def one_by_one(params, optimizer, batches, rates, run, seed, one_more=True):
    """A run of its own, without vmap; the optimizer is made anew with each rate, which changes none of its state."""
    state = optimizer(0.0).init(params)
    losses = []
    for at, place in zip(range(len(rates) + one_more), orders(run, len(batches), len(rates) + 1, seed)):  # noqa: B905
        loss, slopes = jax.value_and_grad(loss_fn)(params, batches[place])
        losses.append(float(loss))
        updates, state = optimizer(float(rates[min(at, len(rates) - 1)])).update(slopes, state, params)
        params = optax.apply_updates(params, updates)
    return losses


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize("parts", [1, 5, 40])
def test_runs_side_by_side_are_runs_one_by_one(name, parts):
    batches = data(parts)
    found = find_lr(start(), loss_fn, getattr(optax, name), batches, test=TEST, restarts=3, seed=7)
    assert found.losses.shape[0] == 3
    for run, row in enumerate(found.losses):
        seen = np.isfinite(row)
        slow = one_by_one(start(), getattr(optax, name), batches[: TEST.steps], TEST.lrs, run, 7)
        # Rounding grows where the training is unstable, so it is compared as long as it is not.
        calm = seen & (np.arange(len(row)) < 14)
        assert calm.sum() > 8
        np.testing.assert_allclose(row[calm], np.array(slow)[: len(row)][calm], rtol=2e-4)
    assert found.suggestion.to_dict() == suggest(TEST.lrs, found.losses).to_dict()
    np.testing.assert_array_equal(found.lrs, TEST.lrs)


def test_runs_stop_where_the_losses_say_so():
    def explodes(params, _batch):
        return jax.numpy.exp(params**2)

    found = find_lr(np.float32(1.0), explodes, lambda lr: optax.sgd(-lr), [np.zeros(1)], test=RangeTest(), restarts=2)
    assert found.losses.shape[1] < 100
    assert found.suggestion.verdict != "ok"


def test_refine_takes_the_best_of_short_runs():
    batches = data(4)
    found = find_lr(start(), loss_fn, optax.adam, batches, test=TEST, restarts=2, refine=True, seed=3)
    rates = probe_lrs(found.suggestion.lr)
    losses = [
        [one_by_one(start(), optax.adam, batches, [rate] * PROBE_STEPS, run, 3, False) for run in range(PROBE_RUNS)]
        for rate in rates
    ]
    assert found.lr == found.refined == best_probe(rates, losses)


def test_keys_differ_by_run_and_step():
    def noise(params, batch, key):
        return (params * batch).sum() + jax.random.uniform(key)

    losses = find_lr(np.zeros(2), noise, optax.sgd, [np.zeros(2)], test=RangeTest(), restarts=4, keyed=True).losses
    assert len(np.unique(losses[np.isfinite(losses)])) == np.isfinite(losses).sum() > 40


def test_reinit_and_the_state_to_begin_with():
    def reinit(key):
        return {"weight": jax.random.normal(key, (3,)), "bias": jax.numpy.zeros(())}

    first = find_lr(start(), loss_fn, optax.sgd, data(1), test=TEST, restarts=5, reinit=reinit).losses[:, 0]
    assert len(set(first.tolist())) == 5
    state = optax.adam(0.0).init(start())
    moving = jax.tree.map(lambda part: part + 100 if part.dtype == "int32" else part + 0.5, state)
    fresh = find_lr(start(), loss_fn, optax.adam, data(1), test=TEST, restarts=1)
    moved = find_lr(start(), loss_fn, optax.adam, data(1), test=TEST, restarts=1, opt_state=moving)
    assert fresh.losses[0, 0] == moved.losses[0, 0]
    assert fresh.losses[0, 8] != moved.losses[0, 8]


def test_a_smaller_last_batch_is_left_out():
    batches = data(3)
    short = tuple(part[:5] for part in batches[0])
    whole = find_lr(start(), loss_fn, optax.sgd, batches, test=TEST, restarts=2).losses
    np.testing.assert_array_equal(
        find_lr(start(), loss_fn, optax.sgd, [*batches, short], test=TEST, restarts=2).losses, whole
    )


def test_a_bar_shows_how_far_it_is(capsys):
    test = RangeTest(1e-4, 1e-3, 12)
    given = {"test": test, "restarts": 2, "refine": True}
    find_lr(start(), loss_fn, optax.sgd, data(2), progress=True, **given)
    total = 2 * 12 + 5 * PROBE_STEPS * PROBE_RUNS
    assert f"find_lr: 100%|██████████| {total}/{total} [" in capsys.readouterr().err
    find_lr(start(), loss_fn, optax.sgd, data(2), **given)
    assert capsys.readouterr().err == ""


def test_no_bar_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"progress=True needs tqdm: pip install 'lrcore\[tables\]'"):
        find_lr(start(), loss_fn, optax.sgd, data(1), progress=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert find_lr(start(), loss_fn, optax.sgd, data(1), test=TEST, restarts=1, progress=None).lr > 0


def in_a_chain(lr):
    return optax.chain(optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(learning_rate=lr))


@pytest.mark.parametrize(
    ("optimizer", "where"),
    [
        (optax.inject_hyperparams(optax.adam), r"state\.hyperparams\['learning_rate'\]"),
        (in_a_chain, r"state\[1\]\.hyperparams\['learning_rate'\]"),
    ],
)
def test_a_rate_in_the_state_is_refused(optimizer, where):
    with pytest.raises(ValueError, match=f"find_lr.optimizer: expected a rate that is no part .* got one in {where}: "):
        find_lr(start(), loss_fn, optimizer, data(1), test=TEST)


def test_the_state_within_that_of_an_optimizer_with_its_rate_will_do():
    state = optax.inject_hyperparams(optax.adam)(1.0).init(start())
    given = {"test": TEST, "restarts": 1}
    plainly = find_lr(start(), loss_fn, optax.adam, data(1), **given)
    within = find_lr(start(), loss_fn, optax.adam, data(1), opt_state=state.inner_state, **given)
    np.testing.assert_array_equal(within.losses, plainly.losses)


def not_a_number(lr):
    """A state that is NaN at each rate, and a key."""
    inner = optax.sgd(lr)

    def init(params):
        return jax.numpy.float32(np.nan), jax.random.key(3), inner.init(params)

    def update(slopes, state, params):
        slopes, kept = inner.update(slopes, state[2], params)
        return slopes, (*state[:2], kept)

    return optax.GradientTransformation(init, update)


def test_a_state_without_the_rate_is_taken_whatever_it_holds():
    found = [
        find_lr(start(), loss_fn, optimizer, data(1), test=TEST, restarts=1) for optimizer in (optax.sgd, not_a_number)
    ]
    np.testing.assert_array_equal(found[0].losses, found[1].losses)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"params": {"layers": [np.float32(1.0), {"count": np.arange(2)}]}},
            TypeError,
            r"find_lr.params\['layers'\]\[1\]\['count'\]: expected an array of real numbers, .* got int64",
        ),
        ({"params": 3}, TypeError, "find_lr.params: expected an array of real numbers, .* got int64"),
        ({"params": {"f": jax.numpy.tanh}}, TypeError, r"find_lr.params\['f'\]: expected an array of .* got object"),
        ({"params": jax.random.key(0)}, TypeError, r"find_lr.params: expected an array of real .* got key<"),
        ({"reinit": lambda _key: {"bias": True}}, TypeError, r"find_lr.reinit\['bias'\]: expected an .* got bool"),
        ({"batches": []}, ValueError, "find_lr.batches: expected a batch at least, got none"),
        ({"batches": 3}, TypeError, "find_lr.batches: expected batches, as a list"),
        ({"loss_fn": 3}, TypeError, "find_lr.loss_fn: expected a function, got 3"),
        ({"optimizer": optax.sgd(0.1)}, TypeError, "find_lr.optimizer: expected a function"),
        (
            {"loss_fn": lambda _params, batch: batch[0]},
            ValueError,
            "find_lr.loss_fn: expected a function that gives one",
        ),
        ({"loss_fn": lambda _params, _batch: 1}, ValueError, "find_lr.loss_fn: expected a function that gives one"),
        ({"test": 3}, TypeError, "find_lr.test: expected a lrcore.finder.RangeTest, got 3"),
        ({"restarts": 0}, ValueError, "find_lr.restarts"),
        ({"seed": -1}, ValueError, "find_lr.seed"),
        ({"keyed": 1}, TypeError, "find_lr.keyed"),
        ({"refine": "yes"}, TypeError, "find_lr.refine"),
        ({"progress": 1}, TypeError, "find_lr.progress: expected True or False"),
        ({"reinit": 3}, TypeError, "find_lr.reinit: expected a function, got 3"),
        ({"reinit": lambda _key: start(), "opt_state": ()}, ValueError, "find_lr.opt_state: expected None with reinit"),
    ],
)
def test_bad_arguments_say_what_is_wrong(changed, error, message):
    given = {"params": start(), "loss_fn": loss_fn, "optimizer": optax.sgd, "batches": data(1), "test": TEST} | changed
    with pytest.raises(error, match=message):
        find_lr(**given)
