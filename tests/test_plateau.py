"""Plateau: beside the live peers, beside a slow twin, and its laws."""

import copy
import io
import itertools
import json
import math
import os
import pickle
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import Plateau
from strategies import schedules, steps

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

UNTIMED = settings(deadline=None)  # the first example imports a framework
COUNTS = st.integers(0, 3)
MODES = st.sampled_from(["min", "max"])
COUNTING = {"patience": COUNTS, "cooldown": COUNTS, "mode": MODES}

# Few values, so that they repeat, and some right at the margins of the thresholds below.
POSITIVE = st.one_of(
    st.sampled_from([1.0, 1.1, 0.9, 0.9999, 1.0001, 0.99, 0.75, 1.25, 0.1, 0.0, 100.0]),
    st.floats(0.0, 10.0, allow_subnormal=False),
)
# float32 holds them, their sums with a threshold and their products with 1 +- threshold.
DYADIC = st.integers(0, 32).map(lambda eighths: eighths / 8)
SIGNED = st.integers(-16, 16).map(lambda eighths: eighths / 8)
DYADIC_THRESHOLDS = st.sampled_from([0.0, 0.125, 0.25, 0.5])
ARGUMENTS = st.fixed_dictionaries(
    {
        **COUNTING,
        "factor": st.sampled_from([0.0, 0.1, 0.5, 0.9]),
        "threshold": st.sampled_from([0.0, 1e-4, 0.25, 2.0]),
        "threshold_mode": st.sampled_from([None, "rel", "abs"]),
        "min_scale": st.sampled_from([0.0, 0.05, 1.0]),
        "min_value": st.sampled_from([0.0, 1e-3]),
        "convention": st.sampled_from(["torch", "keras"]),
        "on_nan": st.sampled_from(["bad", "ignore"]),
    }
)
METRICS = st.lists(
    st.one_of(POSITIVE, SIGNED, st.sampled_from([math.inf, -math.inf, math.nan])), min_size=1, max_size=30
)


def scales(plateau, metrics):
    """The scale after each metric; and what `observe` says of it holds."""
    found = []
    for metric in metrics:
        before = plateau.scale
        assert plateau.observe(metric) is (plateau.scale < before)
        found.append(plateau.scale)
    return found


# ---- torch ----


def torch_plateau(**arguments):
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    return optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **arguments)


def compare_with_torch(metrics, factor, min_scale, **arguments):
    """A rate of 1.0 is the scale, to the last bit; and so are the counters after each metric."""
    ours = Plateau(factor, min_scale=min_scale, **arguments)
    optimizer, theirs = torch_plateau(factor=factor, min_lr=min_scale, **arguments)
    for metric in metrics:
        ours.observe(metric)
        theirs.step(metric)
        assert ours.scale == optimizer.param_groups[0]["lr"]
        best = theirs.mode_worse if ours.best is None else ours.best
        counters = (best, ours.bad_count, ours.cooldown_left)
        assert counters == (theirs.best, theirs.num_bad_epochs, theirs.cooldown_counter)


THRESHOLDS = st.sampled_from([0.0, 1e-4, 0.01, 0.1, 0.25])
FACTORS = {"factor": st.sampled_from([0.0, 0.1, 0.3, 0.5]), "min_scale": st.sampled_from([0.0, 0.01])}


@UNTIMED
@given(
    metrics=st.lists(st.one_of(POSITIVE, st.just(math.nan)), max_size=40),
    threshold=THRESHOLDS,
    threshold_mode=st.sampled_from(["rel", "abs"]),
    **FACTORS,
    **COUNTING,
)
def test_it_is_torch_for_positive_metrics(**case):
    compare_with_torch(**case)


@UNTIMED
@given(
    metrics=st.lists(st.one_of(SIGNED, st.floats(-10.0, 10.0), st.just(math.nan)), max_size=40),
    threshold=THRESHOLDS,
    **FACTORS,
    **COUNTING,
)
def test_it_is_torch_for_all_metrics_under_an_absolute_threshold(**case):
    compare_with_torch(**case, threshold_mode="abs")


@UNTIMED
@given(best=st.floats(0.01, 10.0), threshold=st.floats(1e-4, 0.5), mode=MODES, data=st.data())
def test_it_is_torch_at_the_very_margin(best, threshold, mode, data):
    """The metric at which torch changes its mind, as floats round it, and its neighbours."""
    threshold_mode = data.draw(st.sampled_from(["rel", "abs"]))
    signed = threshold if mode == "max" else -threshold
    margin = best * (1.0 + signed) if threshold_mode == "rel" else best + signed
    near = [math.nextafter(margin, -math.inf), margin, math.nextafter(margin, math.inf)]
    for metric in near:
        metrics, arguments = [best, metric], {"mode": mode, "threshold_mode": threshold_mode}
        compare_with_torch(metrics, 0.5, 0.0, patience=0, cooldown=0, threshold=threshold, **arguments)


@pytest.mark.parametrize(("mode", "infinity"), [("min", math.inf), ("max", -math.inf)])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_an_infinitely_bad_metric_is_bad_as_in_torch(mode, infinity, threshold_mode):
    metrics = [infinity, infinity, 2.0, infinity, infinity, infinity, 2.0, 2.0, infinity]
    arguments = {"mode": mode, "threshold_mode": threshold_mode, "threshold": 0.1}
    compare_with_torch(metrics, 0.5, 0.0, patience=1, cooldown=1, **arguments)


def test_the_defaults_are_torchs():
    optimizer, theirs = torch_plateau()
    ours = Plateau()
    for metric in [1.0, 0.9999, *[0.99989] * 40]:
        ours.observe(metric)
        theirs.step(metric)
        assert ours.scale == optimizer.param_groups[0]["lr"]
    assert ours.scale < 1e-2


WORSENING = [-1.0 + 1e-5 * update for update in range(20)]


@pytest.mark.parametrize("metrics", [[-1.0] * 20, WORSENING], ids=["constant", "slowly worsening"])
def test_negative_metrics_reduce_where_torch_never_does(metrics):
    for mode, sign in (("min", 1), ("max", -1)):
        optimizer, theirs = torch_plateau(mode="min", patience=3)
        ours = Plateau(patience=3, mode=mode)
        for metric in metrics:
            theirs.step(metric)
            ours.observe(sign * metric)
        assert optimizer.param_groups[0]["lr"] == 1.0
        assert ours.scale == 1.0 * 0.1 * 0.1 * 0.1 * 0.1  # after metrics 5, 9, 13 and 17


def test_maximized_negative_metrics_reduce_too():
    """torch asks for more than best * (1 + threshold), which is below a negative best."""
    optimizer, theirs = torch_plateau(mode="max", patience=3)
    ours = Plateau(patience=3, mode="max")
    for _ in range(9):
        theirs.step(-1.0)
        ours.observe(-1.0)
    assert (optimizer.param_groups[0]["lr"], ours.scale) == (1.0, 1.0 * 0.1 * 0.1)


# ---- Keras ----


def keras_callback(**arguments):
    os.environ.setdefault("KERAS_BACKEND", "torch")  # for the first import of Keras, which may be this one
    import keras

    optimizer = keras.optimizers.SGD(1.0)
    callback = keras.callbacks.ReduceLROnPlateau(monitor="loss", **arguments)
    callback.set_model(SimpleNamespace(optimizer=optimizer))
    callback.on_train_begin()
    return optimizer, callback


def compare_with_keras(metrics, threshold=1e-4, min_scale=0.0, **arguments):
    ours = Plateau(0.5, threshold=threshold, min_scale=min_scale, convention="keras", **arguments)
    optimizer, theirs = keras_callback(factor=0.5, min_delta=threshold, min_lr=min_scale, **arguments)
    for epoch, metric in enumerate(metrics):
        ours.observe(metric)
        theirs.on_epoch_end(epoch, {"loss": metric})
        assert ours.scale == float(optimizer.learning_rate.numpy())
        assert ours.best == theirs.best
        if ours.scale > min_scale:  # at the floor Keras counts on, to no effect
            assert (ours.bad_count, ours.cooldown_left) == (theirs.wait, theirs.cooldown_counter)


@UNTIMED
@given(
    metrics=st.lists(DYADIC, max_size=30),
    threshold=DYADIC_THRESHOLDS,
    min_scale=st.sampled_from([0.0, 0.125]),
    **COUNTING,
)
def test_it_is_keras_for_positive_metrics(**case):
    compare_with_keras(**case)


@UNTIMED
@given(metrics=st.lists(SIGNED, max_size=30), threshold=DYADIC_THRESHOLDS, **COUNTING)
def test_it_is_keras_for_all_metrics(**case):
    compare_with_keras(**case)


@pytest.mark.parametrize(("mode", "infinity"), [("min", math.inf), ("max", -math.inf)])
def test_an_infinitely_bad_metric_is_bad_as_in_keras(mode, infinity):
    compare_with_keras([infinity, infinity, 2.0, infinity, math.nan, 2.0], patience=2, mode=mode)


def test_the_defaults_are_keras():
    optimizer, theirs = keras_callback()
    ours = Plateau(convention="keras")
    for epoch in range(30):
        before = float(optimizer.learning_rate.numpy())
        theirs.on_epoch_end(epoch, {"loss": 1.0})
        assert ours.observe(1.0) is (float(optimizer.learning_rate.numpy()) < before)
    assert ours.scale < 0.1


def test_a_first_nan_does_not_stay_the_best_as_in_keras():
    metrics = [math.nan, 4.0, 3.0, 2.0, 1.0]
    optimizer, theirs = keras_callback(factor=0.5, patience=2, mode="min")
    for epoch, metric in enumerate(metrics):
        theirs.on_epoch_end(epoch, {"loss": metric})
    assert float(optimizer.learning_rate.numpy()) < 1.0
    assert scales(Plateau(0.5, 2, convention="keras"), metrics) == [1.0] * 5


# ---- optax ----


@pytest.mark.parametrize(("patience", "cooldown"), [(1, 0), (2, 1), (3, 2)])
def test_optax_has_a_patience_one_higher(patience, cooldown):
    import jax
    import jax.numpy as jnp
    from optax.contrib import reduce_on_plateau

    transform = reduce_on_plateau(0.5, patience, rtol=0.125, cooldown=cooldown)
    update = jax.jit(lambda state, value: transform.update(jnp.ones(1), state, value=value)[1])
    state = transform.init(jnp.ones(1))
    ours = Plateau(0.5, patience - 1, threshold=0.125, cooldown=cooldown)
    for metric in np.random.default_rng(patience).integers(1, 32, 60) / 8:
        state = update(state, metric)
        ours.observe(metric)
        assert ours.scale == float(state.scale)
        assert (ours.best, ours.cooldown_left) == (float(state.best_value), int(state.cooldown_count))
    assert ours.scale < 0.1


# ---- By hand ----


@pytest.mark.parametrize(
    ("convention", "expected"),
    [("torch", [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]), ("keras", [1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125])],
)
def test_patience_1_and_cooldown_2_on_a_constant_metric(convention, expected):
    assert scales(Plateau(0.5, 1, cooldown=2, convention=convention), [1.0] * 7) == expected


def test_the_scale_stops_at_its_floor():
    plateau = Plateau(0.5, 0, min_scale=0.2)
    assert [plateau.observe(1.0) for _ in range(5)] == [False, True, True, True, False]
    assert plateau.scale == 0.2


def test_a_factor_that_is_lowered_below_a_raised_floor_never_raises_the_scale():
    plateau = Plateau(0.5, 0)
    assert scales(plateau, [1.0] * 3) == [1.0, 0.5, 0.25]
    plateau.min_scale = 0.4
    assert plateau.observe(1.0) is False
    assert plateau.scale == 0.25


@pytest.mark.parametrize("threshold", [1.0, 2.0])
@pytest.mark.parametrize("convention", ["torch", "keras"])
def test_the_first_number_is_the_best_under_any_threshold(threshold, convention):
    """Where torch multiplies infinity by 0 or less, and never has a best."""
    plateau = Plateau(threshold=threshold, threshold_mode="rel", convention=convention)
    scales(plateau, [math.inf, 2.0])
    assert plateau.best == 2.0


def test_a_multiplier_of_0_gives_0_and_not_its_negative():
    plateau = Plateau(0.0, 0)
    assert scales(plateau, [1.0, 1.0]) == [1.0, 0.0]
    assert str(plateau.scaled(-0.5)) == "0.0"


def test_warm_up_then_plateau_over_a_decay():
    """Only after the warm-up the loss is observed; the schedule knows nothing of it."""
    schedule = lr.warmup(lr.Constant(0.5), 2) >> lr.Linear(0.5, 0.0, 4)
    plateau = Plateau(0.5, 0, min_value=0.0625)
    used = []
    for step in range(8):
        used.append(plateau.value(schedule, step))
        if step >= 2:
            plateau.observe(1.0 if step < 5 else 0.5)
    #               warm-up   the first metric   two bad ones        a good one: it only decays, to the floor, and ends
    assert used == [0.0, 0.25, 0.5, 0.375, 0.125, 0.0625, 0.0, 0.0]


@pytest.mark.parametrize("convention", ["torch", "keras"])
@pytest.mark.parametrize(("on_nan", "expected"), [("bad", [1, 1, 1, 0.5, 0.5, 0.25]), ("ignore", [1, 1, 1, 1, 1, 0.5])])
@pytest.mark.parametrize("unknown", [math.nan, -math.inf])
def test_a_metric_that_says_nothing(convention, on_nan, expected, unknown):
    plateau = Plateau(0.5, 1 if convention == "torch" else 2, on_nan=on_nan, convention=convention)
    assert scales(plateau, [1.0, 0.5, unknown, unknown, 0.5, 0.5]) == expected
    assert plateau.best == 0.5


@pytest.mark.parametrize(("mode", "unknown"), [("min", -math.inf), ("max", math.inf), ("min", math.nan)])
def test_a_metric_that_says_nothing_can_be_refused(mode, unknown):
    plateau = Plateau(patience=1, mode=mode, on_nan="raise")
    plateau.observe(1.0)
    before = plateau.state_dict()
    with pytest.raises(ValueError, match=r"Plateau.observe: expected a metric that is a number .* got (nan|-?inf)"):
        plateau.observe(unknown)
    assert plateau.state_dict() == before


# ---- The slow twin, in exact arithmetic ----


def is_better(metric, best, mode, threshold, threshold_mode):
    margin = Fraction(threshold) * (abs(Fraction(best)) if threshold_mode == "rel" else 1)
    gain = Fraction(best) - Fraction(metric) if mode == "min" else Fraction(metric) - Fraction(best)
    return gain > margin


@pytest.mark.parametrize("convention", ["torch", "keras"])
@given(
    metrics=st.lists(SIGNED, min_size=1, max_size=20),
    mode=MODES,
    threshold=DYADIC_THRESHOLDS,
    threshold_mode=st.sampled_from(["rel", "abs"]),
)
def test_better_means_by_more_than_the_margin(convention, metrics, mode, threshold, threshold_mode):
    plateau = Plateau(mode=mode, threshold=threshold, threshold_mode=threshold_mode, patience=99, convention=convention)
    best, bad = None, 0
    for metric in metrics:
        if best is None or is_better(metric, best, mode, threshold, threshold_mode):
            best, bad = metric, 0
        else:
            bad += 1
        plateau.observe(metric)
        assert (plateau.best, plateau.bad_count) == (best, bad)


# ---- Laws ----


@given(arguments=ARGUMENTS, metrics=METRICS)
def test_a_negative_metric_under_the_other_mode_does_the_same(arguments, metrics):
    other = {**arguments, "mode": "max" if arguments["mode"] == "min" else "min"}
    assert scales(Plateau(**arguments), metrics) == scales(Plateau(**other), [-metric for metric in metrics])


@given(arguments=ARGUMENTS, metrics=METRICS, power=st.integers(-20, 20))
def test_a_relative_threshold_knows_no_unit(arguments, metrics, power):
    arguments["threshold_mode"] = "rel"
    scaled = [metric * 2.0**power for metric in metrics]
    assert scales(Plateau(**arguments), metrics) == scales(Plateau(**arguments), scaled)


def through_json(state):
    return json.loads(json.dumps(state, allow_nan=False))


def through_torch(state):
    import torch

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("carry", [through_json, through_torch])
@UNTIMED
@given(arguments=ARGUMENTS, metrics=METRICS, data=st.data())
def test_a_resumed_controller_is_one_that_never_stopped(carry, arguments, metrics, data):
    """From every update: a part of the metrics, the state in a file, a new controller, and so on."""
    whole = Plateau(**arguments)
    expected = [(whole.observe(metric), whole.state_dict()) for metric in metrics]
    cuts = sorted({0, len(metrics), *data.draw(st.lists(st.integers(0, len(metrics)), max_size=3))})
    state, found = Plateau(**arguments).state_dict(), []
    for begin, end in itertools.pairwise(cuts):
        part = Plateau(**arguments)
        part.observe(7.0)  # what was seen before the load is forgotten
        part.load_state_dict(carry(state))
        found += [(part.observe(metric), part.state_dict()) for metric in metrics[begin:end]]
        state = part.state_dict()
    assert found == expected


@given(arguments=ARGUMENTS, metrics=METRICS, more=METRICS)
def test_copies_go_on_alike_and_by_themselves(arguments, metrics, more):
    plateau = Plateau(**arguments)
    scales(plateau, metrics)
    state = plateau.state_dict()
    copies = [copy.copy(plateau), copy.deepcopy(plateau), pickle.loads(pickle.dumps(plateau))]
    copies.append(Plateau.from_state_dict(through_json(state)))
    first, *others = [scales(one, more) for one in copies]
    assert all(other == first for other in others)
    assert plateau.state_dict() == state
    assert scales(plateau, more) == first


@given(arguments=ARGUMENTS, metrics=METRICS)
def test_repr_evaluates_to_an_equal_one_as_new(arguments, metrics):
    plateau = Plateau(**arguments)
    new = plateau.state_dict()
    scales(plateau, metrics)
    again = eval(repr(plateau))
    assert again == plateau
    assert again.state_dict() == new
    plateau.reset()
    assert plateau.state_dict() == new


@given(arguments=ARGUMENTS, metrics=METRICS)
def test_a_reset_may_keep_the_scale(arguments, metrics):
    plateau = Plateau(**arguments)
    scales(plateau, metrics)
    scale = plateau.scale
    plateau.reset(keep_scale=True)
    assert plateau.state_dict() == {**Plateau(**arguments).state_dict(), "scale": scale}


@given(arguments=ARGUMENTS, metrics=METRICS, schedule=schedules(2), step=steps)
def test_a_value_is_the_schedules_or_lies_between_it_and_the_floor(arguments, metrics, schedule, step):
    plateau = Plateau(**arguments)
    step = min(step, 2**40)
    own = schedule(step)
    assert plateau.value(schedule, step) == own
    before = own
    for metric in metrics:
        plateau.observe(metric)
        now = plateau.value(schedule, step)
        assert now >= min(own, arguments["min_value"])
        assert now * own >= 0.0
        assert abs(now) <= abs(before)
        before = now


@pytest.mark.parametrize("name", ["factor", "patience", "mode", "threshold", "cooldown", "min_scale", "convention"])
def test_two_are_equal_if_their_arguments_are(name):
    other = {"mode": "max", "convention": "keras", "patience": 3}.get(name, 0.05 if name != "cooldown" else 3)
    assert Plateau() == Plateau()
    assert Plateau() != Plateau(**{name: other})
    assert Plateau() != "Plateau()"


# ---- What comes in ----


def metric_kinds():
    import torch

    array = np.array([2.5])
    return [2.5, Fraction(5, 2), np.float32(2.5), np.array(2.5), array, torch.tensor(2.5, requires_grad=True)]


@pytest.mark.parametrize("at", range(6))
def test_a_metric_is_whatever_holds_one_number(at):
    plateau = Plateau()
    plateau.observe(metric_kinds()[at])
    assert plateau.best == 2.5
    assert type(plateau.best) is float


def test_a_metric_may_be_an_int():
    plateau = Plateau()
    assert [plateau.observe(metric) for metric in (3, np.int64(2))] == [False, False]
    assert plateau.state_dict()["best"] == 2.0


@pytest.mark.parametrize(
    "metric", ["1.0", None, True, np.True_, 1j, np.ones(2), [1.0], {"loss": 1.0}, 10**400, np.complex64(1j)], ids=repr
)
def test_what_is_no_metric_is_refused(metric):
    plateau = Plateau()
    with pytest.raises(TypeError, match=r"^Plateau.observe: expected a metric that is a number, got "):
        plateau.observe(metric)
    assert plateau.state_dict() == Plateau().state_dict()


REFUSALS = [
    ({"factor": 1.0}, ValueError, "factor: expected a number >= 0 and < 1, got 1.0"),
    ({"factor": -0.1}, ValueError, "factor: expected a number >= 0 and < 1, got -0.1"),
    ({"factor": math.nan}, ValueError, "factor: expected a finite number"),
    ({"factor": "0.1"}, TypeError, "factor: expected a number, got '0.1'"),
    ({"patience": -1}, ValueError, "patience: expected a number of observations, an int >= 0, got -1"),
    ({"patience": 3.0}, TypeError, r"patience: .* got 3.0 \(float\): did you mean 3\?"),
    ({"patience": True}, TypeError, "patience: expected a number of observations"),
    ({"mode": "auto"}, ValueError, "mode: expected 'min' or 'max', got 'auto'"),
    ({"mode": None}, TypeError, "mode: expected 'min' or 'max', got None"),
    ({"threshold": -1e-4}, ValueError, "threshold: expected a number >= 0, got -0.0001"),
    ({"threshold_mode": "relative"}, ValueError, "threshold_mode: expected 'rel' or 'abs', got 'relative'"),
    ({"cooldown": -1}, ValueError, "cooldown: expected a number of observations, an int >= 0, got -1"),
    ({"min_scale": 1.5}, ValueError, "min_scale: expected a number from 0 to 1, got 1.5"),
    ({"min_value": -1.0}, ValueError, "min_value: expected a number >= 0, got -1.0"),
    ({"convention": "tf"}, ValueError, "convention: expected 'torch' or 'keras', got 'tf'"),
    ({"on_nan": "stop"}, ValueError, "on_nan: expected 'bad', 'ignore' or 'raise', got 'stop'"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSALS)
def test_arguments_are_refused_at_construction_and_later(arguments, error, message):
    with pytest.raises(error, match=f"^Plateau.{message}"):
        Plateau(**arguments)
    plateau = Plateau()
    ((name, value),) = arguments.items()
    with pytest.raises(error, match=f"^Plateau.{message}"):
        setattr(plateau, name, value)
    assert plateau == Plateau()


def test_an_attribute_that_it_does_not_have_is_refused():
    with pytest.raises(AttributeError, match="patiense"):
        Plateau().patiense = 3


def test_what_is_no_schedule_is_refused():
    with pytest.raises(TypeError, match=r"Plateau.value.schedule: expected a schedule or a number, got 'cosine'"):
        Plateau().value("cosine", 0)
    with pytest.raises(ValueError, match=r"step: expected"):
        Plateau().value(lr.Constant(0.1), -1)
    with pytest.raises(TypeError, match=r"Plateau.reset.keep_scale: expected True or False, got 1"):
        Plateau().reset(keep_scale=1)


def seen(**arguments):
    plateau = Plateau(0.5, 0, **arguments)
    scales(plateau, [3.0, 3.0, 2.0, 2.0])
    return plateau


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda _state: None, TypeError, "load_state_dict: expected a dict, got None"),
        (lambda _state: {}, ValueError, "load_state_dict: expected a state of a Plateau, got one without bad_count, "),
        (lambda state: {**state, "lr": 1}, ValueError, "load_state_dict: expected a state of .*, got one with lr"),
        (lambda state: {**state, "scale": 2.0}, ValueError, "scale: expected a number from 0 to 1, got 2.0"),
        (lambda state: {**state, "best": "nan"}, TypeError, "best: expected a number, got 'nan'"),
        (lambda state: {**state, "best": math.nan}, ValueError, "best: expected a finite number, got nan"),
        (lambda state: {**state, "bad_count": -1}, ValueError, "bad_count: expected a number of observations"),
        (lambda state: {**state, "cooldown_left": None}, TypeError, "cooldown_left: expected a number of obs"),
        (
            lambda state: {**state, "patience": 5, "cooldown": 2},
            ValueError,
            "load_state_dict: expected a state of patience=0, cooldown=0, got one of patience=5, cooldown=2; on_mism",
        ),
        (
            lambda state: {**state, "mode": "max"},
            ValueError,
            "load_state_dict: expected a state of mode='min', got one of mode='max'$",
        ),
    ],
)
def test_a_state_that_is_not_its_own_is_refused_and_changes_nothing(change, error, message):
    plateau = seen()
    before = plateau.state_dict()
    with pytest.raises(error, match=f"^Plateau.{message}"):
        plateau.load_state_dict(change(before))
    assert plateau.state_dict() == before


def test_a_state_of_other_arguments_can_be_taken():
    plateau = Plateau(0.1, 5, min_scale=0.9)
    plateau.load_state_dict(seen().state_dict(), on_mismatch="keep_position")
    assert plateau == Plateau(0.1, 5, min_scale=0.9)
    assert (plateau.scale, plateau.best, plateau.bad_count) == (0.25, 2.0, 0)
    with pytest.raises(ValueError, match=r"expected a state of mode='max', got one of mode='min'$"):
        Plateau(0.5, 0, mode="max").load_state_dict(seen().state_dict(), on_mismatch="keep_position")
    with pytest.raises(ValueError, match="on_mismatch: expected 'raise' or 'keep_position', got 'take'"):
        plateau.load_state_dict(seen().state_dict(), on_mismatch="take")
