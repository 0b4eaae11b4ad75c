"""The optax binding, but for its part of test_contract.py: rates are read from the weights too."""

import pickle
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from contract_optax import revealed, weight

import lrcore as lr
from lrcore import tracing
from lrcore.bindings.optax import JaxOperations, Rates, per_group, scale_by_groups, schedule, updates_done
from lrcore.groups import ByName, Frozen, LayerDecay, NoDecay
from packages import imported
from rounding import EPSILON, ULPS

UPDATES = 200
LARGEST = float(np.finfo(np.float32).max)
SCHEDULES = {
    "constant": lr.Constant(0.1),
    "warm-up and cosine": lr.warmup_cosine(0.3, 0.001, 5, 150),
    "pieces": lr.Piecewise([5, 10, 15], [0.1, 0.05, 0.01, 0.001], side="left"),
    "restarts without an end": lr.sgdr(0.1, 0.001, 4, period_mult=2),
    "decay without an end": lr.ExponentialDecay(0.1, 0.97, 10).staircase(10),
    "longer than a table": lr.Linear(1.0, 0.0, 3_000_000),
    "noise that ends": lr.Sequence([(0.1 + 0.01 * lr.Noise(7), 190), 0.1]),
}


def expected(s, updates=range(UPDATES)):
    return [float(np.float32(min(max(s(step), -LARGEST), LARGEST))) for step in updates]


# ---- Checkpoints ----


def by_pickle(state, _blank):
    return pickle.loads(pickle.dumps(state))


def by_flax(state, blank):
    serialization = imported("flax.serialization")
    return serialization.from_bytes(blank, serialization.to_bytes(state))


def by_orbax(state, blank, folder):
    checkpoint = imported("orbax.checkpoint")
    with checkpoint.StandardCheckpointer() as saver:
        saver.save(folder / "state", state)
        saver.wait_until_finished()
        return saver.restore(folder / "state", blank)


OPTIMIZERS = {
    "sgd": optax.sgd,
    "inject_hyperparams": lambda rate: optax.inject_hyperparams(optax.sgd)(learning_rate=rate),
    "MultiSteps": lambda rate: optax.MultiSteps(optax.sgd(rate), every_k_schedule=1),
    "per_group": lambda rate: per_group(rate.schedule),
}


def resumed(make, s, restore):
    """A run that ends after 77 updates, and one that goes on from its state with all else made anew."""
    first, state = revealed(make(schedule(s)), weight(), updates=77)
    again = make(schedule(s))
    state = restore(state, again.init(weight()))
    assert updates_done(state) == 77
    return first + revealed(again, weight(), state, UPDATES - 77)[0]


@pytest.mark.parametrize("restore", [by_pickle, by_flax])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_resumed_from_a_checkpoint(kind, restore):
    s = SCHEDULES["restarts without an end"]
    assert resumed(OPTIMIZERS[kind], s, restore) == expected(s)


def test_resumed_from_an_orbax_checkpoint(tmp_path):
    s = SCHEDULES["warm-up and cosine"]
    assert resumed(OPTIMIZERS["sgd"], s, lambda state, blank: by_orbax(state, blank, tmp_path)) == expected(s)


# ---- A callable that traces ----


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_transformation_of_jax_gives_the_same_values(name):
    s, rates = SCHEDULES[name], schedule(SCHEDULES[name])
    counts = jnp.arange(UPDATES)
    assert jax.jit(rates)(counts).tolist() == expected(s)
    assert jax.vmap(rates)(counts).tolist() == expected(s)
    assert jax.lax.scan(lambda count, _: (count + 1, rates(count)), jnp.int32(0), length=UPDATES)[
        1
    ].tolist() == expected(s)
    assert rates(counts).tolist() == [rates(count) for count in range(UPDATES)] == expected(s)
    assert rates(np.arange(UPDATES)).tolist() == expected(s)
    assert rates(counts.reshape(4, 50)).shape == (4, 50)


@pytest.mark.parametrize("name", SCHEDULES)
def test_what_follows_has_a_gradient(name):
    s = SCHEDULES[name]

    def after_an_update(weight, count):
        return weight - schedule(s)(count) * weight**2

    slope = jax.jit(jax.grad(after_an_update))(3.0, jnp.int32(7))
    assert slope.item() == pytest.approx(1.0 - 6.0 * s(7), rel=1e-6)


def test_counts_of_every_integer_dtype():
    s = lr.Linear(1.0, 0.0, 100)
    for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32"):
        assert jax.jit(schedule(s))(jnp.arange(120, dtype=dtype)).tolist() == expected(s, range(120))
    assert jax.jit(schedule(s))(jnp.array([2**32 - 1], jnp.uint32)).tolist() == [0.0]
    assert jax.jit(schedule(s))(jnp.int32(-3)).item() == 1.0


def test_other_counts_are_refused():
    rates = schedule(0.1)
    with pytest.raises(TypeError, match=r"count: expected an integer, got .*float32"):
        jax.jit(rates)(3.0)
    with pytest.raises(TypeError, match=r"count: expected an integer, got .*bool"):
        rates(jnp.array(True))
    with pytest.raises(ValueError, match=r"step: expected .*, got -1"):
        rates(-1)
    with pytest.raises(TypeError, match=r"schedule\.s: expected a schedule or a number, got 'cosine'"):
        schedule("cosine")
    with pytest.raises(ValueError, match="Noise: expected a schedule that holds its value within 1000000 updates"):
        schedule(lr.Noise(7))
    with pytest.raises(lr.UnboundError, match="total_steps"):
        schedule(lr.Linear(0.1, 0.0, "100%"))


def test_lists_of_counts():
    rates = schedule(lr.Linear(1.0, 0.0, 4))
    assert rates([0, 3]).tolist() == [1.0, 0.25]
    assert (rates([]).dtype, rates([]).shape) == (np.float32, (0,))
    with pytest.raises(ValueError, match=r"step: expected an array of integers, got \[1, \[2\]\]"):
        rates([1, [2]])


def test_rates_are_values():
    rates = schedule(lr.Cosine(0.1, 0.0, 100))
    assert schedule(rates) is rates
    assert rates == schedule(lr.Cosine(0.1, 0.0, 100)) == pickle.loads(pickle.dumps(rates))
    assert rates != schedule(lr.Cosine(0.1, 0.0, 101))
    assert len({rates, schedule(lr.Cosine(0.1, 0.0, 100))}) == 1
    assert repr(schedule(0.1)) == "schedule(Constant(value=0.1))"


# ---- The closed form in jax.numpy ----

CLOSED = {
    "linear": lr.Linear(0.3, 1e-5, 2_000_000_011),
    "cosine": lr.Cosine(0.0, 0.3, 2_000_000_011),
    "power": lr.Polynomial(0.3, 0.01, 2_000_000_011, 3),
    "root": lr.Polynomial(0.3, 0.0, 2_000_000_011, 0.5),
    "exponential": lr.Exponential(1e-7, 10.0, 2_000_000_011),
    "decay": lr.ExponentialDecay(0.1, 0.96, 10_000_000),
    "inverse time": lr.InverseTimeDecay(0.1, 0.5, 100_000),
    "inverse square root": lr.InverseSqrt(0.1, 4000),
    "restarts": lr.Cycle(lr.Cosine(0.3, 0.001, 1_000_003), 1_000_003, value_mult=0.999),
    "growing restarts": lr.sgdr(0.3, 0.001, 1000, period_mult=1.5),
    "there and back": lr.Cycle(lr.Linear(0.001, 0.3, 4001), 4001, mirror=True),
    "stretched": lr.Stretch(lr.Cycle(lr.Linear(0.3, 0.1, 7), 7), 1.5),
    "many parts": lr.Interpolate([(1_000_003 * k, 0.3 / (k + 1)) for k in range(2000)], curve="cosine"),
    "functions": lr.Map(lr.Line(0.0, 1.0, 999), "cosine") * lr.Map(lr.Linear(0.0, 2.0, 2**30), "tanh"),
    "everything": (lr.Linear(0.3, 0.1, 2**30).clip(0.12) + 0.01 * lr.Cosine(1.0, 0.0, 2**29))
    .staircase(30_011)
    .shift(-5),
}
STEPS = np.unique(
    np.r_[
        0:300,
        np.linspace(0, 2**31 - 1, 4000).astype(np.int64),
        [1_000_003 * k + d for k in (1, 2, 1000, 1999) for d in (-1, 0, 1)],
        [2**k + d for k in range(8, 31) for d in (-1, 0, 1)],
    ]
).astype(np.int32)


@pytest.mark.parametrize("name", CLOSED)
def test_the_closed_form_by_jax(name):
    s = CLOSED[name]
    found = jax.jit(lambda step: tracing.traced(s, step, JaxOperations(step.dtype)))(STEPS)
    assert found.dtype == jnp.float32
    wanted = s(STEPS)
    assert np.abs(np.asarray(found, np.float64) - wanted).max() <= ULPS * EPSILON * np.abs(wanted).max()


def test_steps_beyond_int32():
    s = lr.Piecewise([2**32 + 1], [1.0, 0.5]) * lr.Linear(1.0, 0.0, 2**40)
    here = jax if hasattr(jax, "enable_x64") else jax.experimental  # the place of older versions
    with here.enable_x64(True):
        counts = jnp.array([2**32, 2**32 + 1, 2**39], jnp.int64)
        found = jax.jit(schedule(s))(counts)
        assert found.dtype == jnp.float32
        assert np.asarray(found) == pytest.approx(s(np.asarray(counts)), rel=ULPS * EPSILON)
        assert jax.jit(schedule(s))(jnp.arange(UPDATES)).tolist() == expected(s)


# ---- The rate on the host ----


def test_the_rate_is_on_the_host_without_a_transfer_and_in_no_time():
    rates = schedule(lr.sgdr(0.1, 0.001, 4, period_mult=2))
    with jax.transfer_guard("disallow_explicit"):
        assert [rates.at(count) for count in range(UPDATES)] == expected(rates.schedule)
        assert rates(10**9) == np.float32(rates.schedule(10**9))
    taken = []
    for count in range(1000):
        begin = time.perf_counter()
        rates.at(count)
        taken.append(time.perf_counter() - begin)
    assert np.median(taken) < 20e-6


def test_updates_done_of_states_without_one_count():
    with pytest.raises(ValueError, match=r"opt_state: expected .* all of one count, got none"):
        updates_done(optax.sgd(0.1).init(weight()))
    one, other = (optax.sgd(schedule(0.1)).init(weight()) for _ in range(2))
    _, later = optax.sgd(schedule(0.1)).update(weight(), other)
    with pytest.raises(ValueError, match=r"got counts of \[0, 1\]"):
        updates_done((one, later))


def test_updates_done_of_a_checkpoint_that_was_restored_without_a_template(tmp_path):
    checkpoint = imported("orbax.checkpoint")
    optimizer = optax.MultiSteps(optax.chain(optax.trace(0.9), per_group(0.1)), every_k_schedule=2)
    params = {"count": jnp.ones(())}  # a parameter of this name counts nothing
    state = optimizer.init(params)
    for _ in range(6):
        _, state = optimizer.update(params, state, params)
    with checkpoint.StandardCheckpointer() as saved:
        saved.save(tmp_path / "state", state)
        saved.wait_until_finished()
        found = saved.restore(tmp_path / "state")
    assert updates_done(found) == updates_done(state) == 3


# ---- Groups ----

PARAMS = {
    "embed": {"table": jnp.array([[0.3, -0.2], [0.1, 0.5]])},
    "blocks": [{"kernel": jnp.array([[0.2, 0.4]]), "bias": jnp.array([0.1])}, {"kernel": jnp.array([[-0.7, 0.4]])}],
    "head": {"kernel": jnp.array([[0.6], [-0.4]]), "bias": jnp.array([-0.3])},
}
RULES = [LayerDecay(0.65, ["embed", r"blocks/(\d+)"]), ByName("head/bias", 3.0), NoDecay()]
SCALES = {
    "embed": {"table": (0.65**3, 1.0)},
    "blocks": [{"kernel": (0.65**2, 1.0), "bias": (0.65**2, 0.0)}, {"kernel": (0.65, 1.0)}],
    "head": {"kernel": (1.0, 1.0), "bias": (3.0, 0.0)},
}
GROUPED = lr.warmup_cosine(0.1, 0.001, 5, 24)


def gradients(step):
    generator = np.random.default_rng(step)
    return jax.tree.map(lambda each: jnp.asarray(generator.normal(size=each.shape), jnp.float32), PARAMS)


def trained(optimizer, params=PARAMS, steps=24):
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    for step in range(steps):
        changes, state = update(gradients(step), state, params)
        params = optax.apply_updates(params, changes)
    return params


DIRECTIONS = {
    "sgd": (optax.identity(), 0.1),
    "momentum": (optax.trace(0.9), 0.0),
    "Nesterov": (optax.trace(0.9, nesterov=True), 0.1),
    "adam": (optax.scale_by_adam(), 0.1),
    "lion": (optax.scale_by_lion(), 0.1),
    "rmsprop": (optax.scale_by_rms(), 0.0),
    "adagrad": (optax.scale_by_rss(), 0.0),
    "lamb": (optax.chain(optax.scale_by_adam(), optax.scale_by_trust_ratio()), 0.0),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_groups_train_as_with_an_optimizer_each_to_the_bit(direction):
    """Each is given all parameters, as optax compiles some of its arithmetic for a whole tree."""
    of_updates, decay = DIRECTIONS[direction]
    together = jax.tree.leaves(trained(optax.chain(of_updates, per_group(GROUPED, RULES, weight_decay=decay))))
    settings = jax.tree.leaves(SCALES, is_leaf=lambda each: isinstance(each, tuple))
    for lr_scale, decay_scale in sorted(set(settings)):
        rate = optax.scale_by_learning_rate(schedule(GROUPED * lr_scale))
        alone = jax.tree.leaves(trained(optax.chain(of_updates, optax.add_decayed_weights(decay * decay_scale), rate)))
        for at, setting in enumerate(settings):
            if setting == (lr_scale, decay_scale):
                assert together[at].tolist() == alone[at].tolist()


def test_each_groups_rate_is_rounded_once():
    optimizer = per_group(GROUPED, RULES)
    found, _ = revealed(optimizer, jax.tree.map(lambda _: weight(), PARAMS), updates=40)
    flat = jax.tree.leaves(found, is_leaf=lambda each: isinstance(each, list) and isinstance(each[0], float))
    for rates, (scale, _) in zip(flat, jax.tree.leaves(SCALES, is_leaf=lambda e: isinstance(e, tuple)), strict=True):
        assert rates == np.float32([scale * GROUPED(step) for step in range(40)]).tolist()


def test_a_clip_before_the_groups_is_global():
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), per_group(0.5, ByName("head", 10)))
    params = {"body": weight(), "head": weight()}
    changes, _ = optimizer.update({"body": jnp.float32(3.0), "head": jnp.float32(4.0)}, optimizer.init(params), params)
    assert jax.tree.map(float, changes) == pytest.approx({"body": -0.3, "head": -4.0})


def test_a_frozen_parameter_stays_whatever_its_gradient():
    optimizer = optax.chain(optax.scale_by_adam(), per_group(0.5, Frozen("body"), weight_decay=0.1))
    params = {"body": jnp.ones(()), "head": jnp.ones(())}
    changes, _ = optimizer.update({"body": jnp.array(jnp.nan), "head": jnp.ones(())}, optimizer.init(params), params)
    assert changes["body"].item() == 0.0
    assert changes["head"].item() < 0.0


def test_groups_behind_an_optimizer_that_has_a_rate():
    found = trained(optax.chain(optax.adam(schedule(GROUPED)), scale_by_groups(RULES[:2])))
    exact = trained(optax.chain(optax.scale_by_adam(), per_group(GROUPED, RULES[:2])))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        assert np.asarray(one) == pytest.approx(np.asarray(other), abs=24 * 2 * EPSILON)


MISSING = {"None": None, "MaskedNode": optax.MaskedNode()}


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_parameter_without_an_update_stays(missing, decay):
    """All others move as if it had one: rules go by the parameters."""
    optimizer = per_group(GROUPED, RULES, weight_decay=decay)
    every = gradients(0)
    state = optax.ScaleByScheduleState(count=jnp.int32(7))
    some = {**every, "embed": {"table": missing}, "blocks": [{**every["blocks"][0], "bias": missing}, missing]}
    expected, _ = optimizer.update(every, state, PARAMS)
    found, _ = optimizer.update(some, state, PARAMS)
    for name in ("kernel", "bias"):
        assert found["head"][name].tolist() == expected["head"][name].tolist()
    assert found["blocks"][0]["kernel"].tolist() == expected["blocks"][0]["kernel"].tolist()
    assert found["embed"]["table"] == found["blocks"][0]["bias"] == found["blocks"][1] == missing


def test_without_parameters_the_updates_name_the_groups():
    optimizer = optax.chain(per_group(0.5, ByName("head", 10)), scale_by_groups(ByName("head", 2)))
    updates = {"body": None, "head": jnp.float32(1.0)}
    assert optimizer.update(updates, optimizer.init(updates))[0] == {"body": None, "head": -10.0}


ONLY_BLOCKS = {"embed": False, "blocks": True, "head": False}
LABELS = {"embed": "still", "blocks": "inner", "head": "outer"}


def decayed(rate, decay):
    return optax.chain(optax.add_decayed_weights(decay), optax.scale_by_learning_rate(rate))


def parts(of_blocks, of_head):
    """What optax makes of parts of a tree, each with an optimizer of its own."""
    labelled = {"still": optax.set_to_zero(), "inner": of_blocks, "outer": of_head}
    return {
        "masked": optax.masked(of_blocks, ONLY_BLOCKS),
        "multi_transform": optax.multi_transform(labelled, LABELS),
        "partition": optax.partition(labelled, LABELS),
        "MultiSteps": optax.MultiSteps(optax.multi_transform(labelled, LABELS), every_k_schedule=3),
    }


def kinds(tree):
    return jax.tree_util.tree_map_with_path(lambda path, _: "kernel" if path[-1].key == "kernel" else "other", tree)


@pytest.mark.parametrize("way", parts(optax.identity(), optax.identity()))
def test_groups_in_a_part_of_a_tree(way):
    ours = per_group(GROUPED, [ByName("kernel", 0.5, weight_decay_scale=0.0)], weight_decay=0.1)
    theirs = optax.multi_transform(
        {"kernel": decayed(schedule(GROUPED * 0.5), 0.0), "other": decayed(schedule(GROUPED), 0.1)}, kinds
    )
    for one, other in zip(*(jax.tree.leaves(trained(parts(each, each)[way])) for each in (ours, theirs)), strict=True):
        assert one.tolist() == other.tolist()


def test_a_label_that_no_parameter_has():
    labelled = {"all": per_group(0.5), "none": per_group(0.5, ByName("tail"), weight_decay=0.1)}
    optimizer = optax.partition(labelled, "all")
    changes, _ = optimizer.update({"head": jnp.float32(1.0)}, optimizer.init({"head": weight()}), {"head": weight()})
    assert changes["head"] == -0.5


def test_a_map_over_all_of_a_state_that_belongs_to_parameters():
    optimizer = optax.chain(optax.trace(0.9), per_group(GROUPED, RULES))
    state = optax.tree_map_params(optimizer, lambda each: each + 1, optimizer.init(PARAMS))
    assert {leaf.max().item() for leaf in jax.tree.leaves(state[0])} == {1.0}
    assert updates_done(state) == 0


def test_injected_numbers():
    """An array of a rate and of a decay, of which both can be schedules."""
    decays = lr.Linear(0.1, 0.0, 24)
    rules = [ByName("head", 10.0), NoDecay()]
    injected = optax.inject_hyperparams(per_group)(schedule(GROUPED), rules, weight_decay=schedule(decays))
    exact = optax.inject_hyperparams(per_group, static_args="s")(GROUPED, rules, weight_decay=schedule(decays))
    theirs = optax.inject_hyperparams(decayed)(schedule(GROUPED), schedule(decays))
    found, expected = (trained(each)["blocks"][0]["kernel"] for each in (injected, theirs))
    assert found.tolist() == trained(exact)["blocks"][0]["kernel"].tolist() == expected.tolist()
    state = injected.init(PARAMS)
    for step in range(3):
        _, state = jax.jit(injected.update)(gradients(step), state, PARAMS)
    assert updates_done(state) == 3
    assert state.hyperparams["weight_decay"].item() == np.float32(decays(2))
    assert state.hyperparams["s"].item() == np.float32(GROUPED(2))


def test_groups_of_many_models_at_once():
    optimizer = per_group(GROUPED, RULES, weight_decay=0.1)
    models = jax.tree.map(lambda each: jnp.stack([each, 2 * each, -each]), PARAMS)
    states = jax.vmap(optimizer.init)(models)
    many, _ = jax.jit(jax.vmap(optimizer.update, in_axes=(None, 0, 0)))(gradients(0), states, models)
    one, _ = optimizer.update(gradients(0), optimizer.init(PARAMS), jax.tree.map(lambda each: -each, PARAMS))
    for each, other in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        assert np.asarray(each[2]) == pytest.approx(np.asarray(other), rel=2 * EPSILON)


# ---- flax ----


def test_parameters_of_linen():
    linen = imported("flax.linen")
    model = linen.Sequential([linen.Dense(3), linen.Dense(1)])
    params = model.init(jax.random.key(0), jnp.ones((1, 2)))
    optimizer = per_group(0.5, ByName("layers_1/kernel", 10))
    changes, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    found = {"/".join(path): set(each.ravel().tolist()) for path, each in flat(changes)}
    assert found == {
        "params/layers_0/bias": {-0.5},
        "params/layers_0/kernel": {-0.5},
        "params/layers_1/bias": {-0.5},
        "params/layers_1/kernel": {-5.0},
    }


def flat(tree):
    return [([key.key for key in path], np.asarray(each)) for path, each in jax.tree.leaves_with_path(tree)]


def test_a_module_of_nnx():
    nnx = imported("flax.nnx")

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.body, self.head = nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)

    model = Model(nnx.Rngs(0))
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))
    rules = [ByName("head/", 2.0), ByName("body/bias", 4.0)]
    optimizer = nnx.Optimizer(model, optax.chain(optax.trace(0.0), per_group(GROUPED, rules)), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        optimizer.update(model, nnx.grad(lambda each: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(each)))(model))

    for _ in range(4):
        step(model, optimizer)
    moved = jax.tree.map(lambda new, old: np.unique(old - new), nnx.to_pure_dict(nnx.state(model)), before)
    total = sum(GROUPED(step) for step in range(4))
    for name, scale in {("body", "kernel"): 1.0, ("body", "bias"): 4.0, ("head", "kernel"): 2.0}.items():
        assert moved[name[0]][name[1]] == pytest.approx(scale * total, rel=1e-5)
    assert updates_done(optimizer.opt_state) == 4


def test_groups_are_compiled_once():
    optimizer = optax.chain(optax.scale_by_adam(), per_group(GROUPED, RULES))
    traces = []

    @jax.jit
    def update(state, params):
        traces.append(1)
        return optimizer.update(gradients(0), state, params)

    state = optimizer.init(PARAMS)
    for _ in range(5):
        _, state = update(state, PARAMS)
    assert len(traces) == 1
    assert updates_done(state) == 5


def test_rules_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"ByName.pattern: expected a parameter with the pattern 'tail', got none"):
        per_group(0.1, ByName("tail", 2)).init(PARAMS)
    optimizer = per_group(0.1, weight_decay=0.1)
    with pytest.raises(ValueError, match=r"per_group.weight_decay: expected update\(updates, state, params\)"):
        optimizer.update(PARAMS, optimizer.init(PARAMS))
    with pytest.raises(ValueError, match=r"scale_by_groups.rules: expected rules for the learning rate alone"):
        scale_by_groups(NoDecay()).init(PARAMS)


def test_tables_of_many_groups_are_shorter_and_go_on_in_the_closed_form():
    s = lr.Linear(1.0, 0.0, 500_000)
    params = {f"layer{at}": weight() for at in range(20)}
    optimizer = per_group(s, [LayerDecay(0.9, r"layer(\d+)$")])
    state = optax.ScaleByScheduleState(count=jnp.int32(400_001))
    changes, _ = optimizer.update({name: jnp.ones(()) for name in params}, state, params)
    wanted = {f"layer{at}": -(0.9 ** (20 - 1 - at)) * s(400_001) for at in range(20)}
    assert jax.tree.map(float, changes) == pytest.approx(wanted, rel=ULPS * EPSILON)
    assert len(Rates(s, 10)._plan.table) == 10
