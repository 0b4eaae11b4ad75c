"""layer_rates: each layer moves as with an optimizer of its own, on every backend of Keras, each in its own process."""

import doctest
import json
import re

import keras
import keras_trainer
import numpy as np
import pytest
from keras_trainer import BACKENDS

import lrcore.bindings.keras.groups
from lrcore.bindings.keras import Schedule, layer_rates, scheduled
from lrcore.bindings.keras.groups import LayerRates
from lrcore.curves import Linear
from lrcore.groups import ByName, Frozen, LayerDecay, Multiplier, NoDecay

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

UPDATES = 24
CLOSE = 2e-6
# Each layer's multipliers of the learning rate and of the weight decay.
LAYERS = {"a": (0.1, 1.0), "b": (1.0, 0.0), "c": (3.0, 0.5), "d": (0.0, 1.0)}
MANY = {f"layer{at:02d}": (0.8 ** (10 - at), 1.0) for at in range(12)}
MIXED = {"a": (0.1, 1.0), "b": (0.1, 0.5), "c": (3.0, 0.5), "d": (0.5, 1.0)}  # one for two layers, and one for each

OPTIMIZERS = {
    "SGD": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "Nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "Adam": ("Adam", {}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "AdamW": ("AdamW", {"weight_decay": 0.1}),
    "RMSprop": ("RMSprop", {}),
    "centered RMSprop": ("RMSprop", {"momentum": 0.9, "centered": True}),
    "Lion": ("Lion", {}),
    "Nadam": ("Nadam", {}),
    "Adagrad": ("Adagrad", {}),
    "Adafactor": ("Adafactor", {}),
    "Adadelta": ("Adadelta", {}),
    "Adamax": ("Adamax", {}),
    "Lamb": ("Lamb", {}),
    "Muon": ("Muon", {"weight_decay": 0.05, "adam_weight_decay": 0.05}),
    "Ftrl": ("Ftrl", {"beta": 0.1, "l2_regularization_strength": 0.01}),
}
EVERYTHING = {"gradient_accumulation_steps": 3, "clipnorm": 0.7, "weight_decay": 0.1}
SETTINGS = {
    "plain": {},
    "weight decay": {"weight_decay": 0.1},
    "clipnorm": {"clipnorm": 0.7},
    "global clipnorm": {"global_clipnorm": 1.5, "weight_decay": 0.1},
    "accumulated": {"gradient_accumulation_steps": 3, "weight_decay": 0.1},
    "scaled loss": {"weight_decay": 0.1},
    "everything": EVERYTHING,  # with a scaled loss, and compiled by XLA
}


def ask(backend, task, about, **more):
    """The weights of each layer after a task of keras_layer_tasks.py."""
    answer = keras_trainer.ask(backend, task, **{"updates": UPDATES, "schedules": {}, **about, **more})
    assert "error" not in answer, answer["error"]
    return {name: np.array(weights) for name, weights in answer.items()}


def about(name, setting="plain", layers=None):
    kind, arguments = OPTIMIZERS[name]
    arguments, layers = {**arguments, **SETTINGS[setting]}, layers or LAYERS
    if "weight_decay" not in arguments and kind != "Muon":
        layers = {name: (lr_scale, 1.0) for name, (lr_scale, _) in layers.items()}
    scaled, jit = setting in ("scaled loss", "everything"), setting == "everything"
    return {"name": kind, "arguments": arguments, "layers": layers, "loss_scale": scaled, "jit": jit}


def distance(ours, theirs):
    assert ours.keys() == theirs.keys()
    return max(np.max(np.abs(ours[name] - theirs[name])) for name in theirs)


# --- As with an optimizer of its own for each layer


# The others compile each case, which takes a second: there every optimizer in these two settings, and one in all.
CASES = [("torch", name, setting) for name in OPTIMIZERS for setting in SETTINGS]
for each in [one for one in BACKENDS if one != "torch"]:
    CASES += [(each, name, setting) for name in OPTIMIZERS for setting in ("global clipnorm", "everything")]
    CASES += [(each, "AdamW", setting) for setting in SETTINGS]
# Keras itself forgets Nadam's product of momenta there, without layer rates too: it is no variable of the wrapper.
CASES = [case for case in dict.fromkeys(CASES) if case != ("jax", "Nadam", "everything")]


@pytest.mark.parametrize(("backend", "name", "setting"), CASES)
def test_each_layer_moves_as_with_an_optimizer_of_its_own(backend, name, setting):
    asked = about(name, setting)
    assert distance(ask(backend, "together", asked), ask(backend, "separate", asked)) <= CLOSE


@pytest.mark.parametrize(
    ("layers", "setting"),
    [(MANY, "plain"), (MANY, "global clipnorm"), (MIXED, "global clipnorm")],
    ids=["many", "many, clipped", "mixed, clipped"],
)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_other_groups_are_as_exact(name, layers, setting):
    asked = about(name, setting, layers)
    assert distance(ask("torch", "together", asked), ask("torch", "separate", asked)) <= CLOSE


@pytest.mark.parametrize("name", ["momentum", "AdamW", "Nadam"])
def test_a_fit_is_as_exact_and_goes_on_from_a_saved_model(name, tmp_path):
    asked = about(name)
    for at, backend in enumerate(BACKENDS):
        path = str(tmp_path / f"{backend}.keras")
        trained = ask(backend, "fitted", asked, path=path)
        assert distance(trained, ask(backend, "fitted_alone", asked)) <= CLOSE
        assert trained["d"] == [1.0]
        assert distance(ask(backend, "resumed", asked, path=path), trained) == 0.0
        another = BACKENDS[at - 1]
        assert distance(ask(another, "resumed", asked, path=path), trained) <= CLOSE


# --- What it makes of an optimizer


def model_of(*names, **settings):
    model = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(2, name=name, **settings) for name in names)])
    model.compile(loss="mse")
    return model


def step(optimizer, model, value=1.0):
    grads = [keras.ops.full(variable.shape, value) for variable in model.trainable_variables]
    optimizer.apply(grads, model.trainable_variables)


def test_the_examples_run():
    results = doctest.testmod(lrcore.bindings.keras.groups, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 5
    assert results.failed == 0


def test_the_given_optimizer_is_not_changed():
    model, given = model_of("a", "b"), keras.optimizers.Adam(0.5, name="mine")
    made = layer_rates(given, model, ByName("a/", 0.1))
    step(made, model)
    assert type(given) is type(keras.optimizers.Adam())
    assert not given.built
    assert (made.name, float(made.learning_rate)) == ("mine", 0.5)
    assert isinstance(made, keras.optimizers.Adam)


def sequential():
    layers = [keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")]
    return keras.Sequential([keras.Input((3,)), *layers])


def nested():
    begin = keras.Input((3,))
    return keras.Model(begin, keras.layers.Dense(1, name="c")(sequential()(begin)))


@pytest.mark.parametrize("build", [sequential, nested])
@pytest.mark.parametrize("momentum", [None, 0.5], ids=["plain", "scheduled"])
def test_a_saved_sequential_goes_on(build, momentum, tmp_path):
    model = build()
    made = layer_rates(keras.optimizers.SGD(0.5, momentum=0.9), model, ByName("a/", 0.1))
    if momentum is not None:
        made = scheduled(made, momentum=momentum)
    model.compile(made, loss="mse")
    step(made, model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    if momentum is not None:
        scheduled(loaded.optimizer, momentum=momentum)
    for one in (model, loaded):
        step(one.optimizer, one)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_scheduled_returns_is_refused():
    model = sequential()
    given = scheduled(keras.optimizers.SGD(0.5, momentum=0.9), momentum=0.5)
    with pytest.raises(ValueError, match=r"layer_rates\.optimizer: expected one before scheduled\(\.\.\.\)"):
        layer_rates(given, model, ByName("a/", 0.1))


def test_it_says_which_multipliers_it_has():
    model = model_of("a", "b")
    made = layer_rates(keras.optimizers.SGD(), model, [ByName("a/", 0.5), NoDecay()])
    assert list(made.multipliers) == [variable.path for variable in model.weights]
    assert made.multipliers[model.weights[0].path] == Multiplier(0.5, 1.0, ("ByName('a/')",))
    assert made.multipliers[model.weights[1].path].weight_decay_scale == 0.0


def test_a_trained_optimizer_goes_on():
    model, alike = model_of("a", "b"), model_of("a", "b")
    alike.set_weights(model.get_weights())
    plain, rated = keras.optimizers.Adam(0.1), layer_rates(keras.optimizers.Adam(0.1), alike, ByName("a/", 0.1))
    step(plain, model)
    step(rated, alike)
    went_on = layer_rates(plain, model, ByName("a/", 0.1))
    assert int(went_on.iterations) == 1
    for ours, theirs in zip(went_on.variables, rated.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    step(went_on, model, -0.5)
    assert int(plain.iterations) == 1


def test_other_rules_take_the_place_of_the_first():
    model = model_of("a", "b")
    first = layer_rates(keras.optimizers.SGD(1.0, momentum=0.5), model, ByName("a/", 0.1))
    step(first, model)
    second = layer_rates(first, model, Frozen("b/"))
    assert [each.lr_scale for each in second.multipliers.values()] == [1.0, 1.0, 0.0, 0.0]
    assert type(second) is type(first)
    assert int(second.iterations) == 1


def test_a_schedule_is_taken_as_it_is():
    schedule = Schedule(Linear(1.0, 0.0, 4))
    model = model_of("a", "b", kernel_initializer="zeros")
    made = layer_rates(keras.optimizers.SGD(schedule), model, ByName("a/", 0.5))
    assert made._learning_rate is schedule
    step(made, model)
    step(made, model)
    assert [float(weight[0, 0]) for weight in model.get_weights()[::2]] == [-0.875, -1.75]


def test_what_is_frozen_stays_whatever_its_gradient():
    model = model_of("a", "b")
    made = layer_rates(keras.optimizers.AdamW(0.1), model, Frozen("a/"))
    made.build(model.trainable_variables)
    before, state = model.get_weights(), [variable.numpy() for variable in made.variables if "a_" in variable.name]
    made.apply([keras.ops.full(v.shape, np.nan if "a/" in v.path else 1.0) for v in model.trainable_variables])
    after = [variable.numpy() for variable in made.variables if "a_" in variable.name]
    np.testing.assert_equal(after, state)
    for at in (0, 1):
        np.testing.assert_array_equal(model.get_weights()[at], before[at])
        assert np.all(model.get_weights()[2 + at] < before[2 + at])


def test_what_was_excluded_from_weight_decay_stays_so():
    model = model_of("a", "b", bias_initializer="ones")
    given = keras.optimizers.SGD(1.0, weight_decay=0.5)
    given.exclude_from_weight_decay(var_names=["bias"])
    made = layer_rates(given, model, ByName("a/", 0.5))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    before = model.get_weights()
    step(again, model, 0.0)
    for old, new, factor in zip(before, model.get_weights(), [0.75, 1.0, 0.5, 1.0], strict=True):
        np.testing.assert_array_equal(new, old * np.float32(factor))


def test_layers_that_do_not_train_count_as_layers():
    model = model_of("layer_0", "layer_1", "layer_2")
    model.layers[0].trainable = False
    made = layer_rates(keras.optimizers.SGD(), model, LayerDecay(0.5, r"layer_(\d)"))
    assert [each.lr_scale for each in made.multipliers.values()][::2] == [0.25, 0.5, 1.0]
    step(made, model)


def test_statistics_and_seeds_are_no_variables_to_train():
    layers = [keras.layers.Normalization(), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(2)])
    made = layer_rates(keras.optimizers.SGD(), model, ByName("kernel", 0.5))
    assert len(made.multipliers) == 4


# --- Saved


def test_a_config_has_the_optimizer_and_the_multipliers():
    model = model_of("a", "b")
    made = layer_rates(keras.optimizers.AdamW(0.25), model, [ByName("a/", 0.5), NoDecay()])
    saved = json.loads(json.dumps(keras.optimizers.serialize(made)))
    assert saved["registered_name"] == "lrcore>LayerRates"
    assert saved["config"]["optimizer"]["class_name"] == "AdamW"
    again = keras.optimizers.deserialize(saved)
    assert isinstance(again, LayerRates)
    assert float(again.learning_rate) == 0.25
    for path, each in made.multipliers.items():
        assert again.multipliers[path] == Multiplier(each.lr_scale, each.weight_decay_scale)


def test_names_that_were_counted_anew_are_found():
    model = model_of("dense_4", "dense_5", "dense_6")
    made = layer_rates(keras.optimizers.SGD(1.0), model, ByName("dense_5/", 0.5))
    made.build(model.trainable_variables)
    again, alike = LayerRates.from_config(made.get_config()), model_of("dense_5", "dense_6", "dense_7")
    again.build(alike.trainable_variables)
    assert [each.lr_scale for each in again.multipliers.values()] == [1.0, 1.0, 0.5, 0.5, 1.0, 1.0]


def test_a_wrapped_optimizer_is_wrapped_again():
    model = model_of("a", "b", kernel_initializer="zeros")
    wrapped = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=4.0, dynamic_growth_steps=7)
    made = layer_rates(wrapped, model, ByName("a/", 0.5))
    step(made, model, 4.0)
    assert [float(weight[0, 0]) for weight in model.get_weights()[::2]] == [-0.5, -1.0]
    assert (made.initial_scale, made.dynamic_growth_steps) == (4.0, 7)
    assert [each.lr_scale for each in made.inner_optimizer.multipliers.values()] == [0.5, 0.5, 1.0, 1.0]
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert isinstance(again.inner_optimizer, LayerRates)
    assert int(layer_rates(made, model, ByName("b/", 0.5)).iterations) == 1


# --- Refused


@pytest.mark.parametrize(
    ("optimizer", "rules", "message"),
    [
        ("adam", ByName("a/", 2), "layer_rates.optimizer: expected an optimizer of Keras, as keras.optimizers.Adam()"),
        (keras.optimizers.SGD, ByName("a/", 2), "layer_rates.optimizer: expected an optimizer of Keras"),
        (keras.optimizers.SGD(), "a/", "rules: expected a list of rules, got 'a/'"),
    ],
)
def test_what_is_no_optimizer_or_no_rule_is_refused(optimizer, rules, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        layer_rates(optimizer, model_of("a", "b"), rules)


@pytest.mark.skipif(not hasattr(keras.optimizers, "MultiOptimizer"), reason="this Keras has no MultiOptimizer")
def test_an_optimizer_of_several_is_refused():
    several = keras.optimizers.MultiOptimizer(lambda _: keras.optimizers.SGD())
    with pytest.raises(TypeError, match=r"^layer_rates\.optimizer: expected one optimizer for all variables, got "):
        layer_rates(several, model_of("a", "b"), ByName("a/", 2))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (ByName("^q/", 2), r"^ByName\.pattern: expected a parameter with the pattern '\^q/', got none"),
        ([Frozen("a/"), Frozen("b/")], r"^layer_rates\.rules: expected a variable that trains, got 4 that are frozen"),
        (ByName("a/", weight_decay_scale=0.5), r"^layer_rates\.optimizer: expected one with weight_decay, as '.*a/ker"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules, message):
    with pytest.raises(ValueError, match=message):
        layer_rates(keras.optimizers.SGD(), model_of("a", "b"), rules)


def test_a_model_without_variables_is_refused():
    with pytest.raises(ValueError, match=r"^layer_rates\.model: expected one that is built, got one without variables"):
        layer_rates(keras.optimizers.SGD(), keras.Sequential([keras.layers.Dense(2)]), ByName("a/", 2))
    with pytest.raises(TypeError, match=r"^layer_rates\.model: expected a model or a layer of Keras, got "):
        layer_rates(keras.optimizers.SGD(), [keras.Variable(1.0)], ByName("a/", 2))


@pytest.mark.parametrize("wrap", [lambda inner: inner, keras.optimizers.LossScaleOptimizer], ids=["plain", "wrapped"])
def test_an_optimizer_from_before_a_layer_was_unfrozen_is_refused(wrap):
    model = model_of("a", "b")
    model.layers[0].trainable = False
    old = layer_rates(wrap(keras.optimizers.Adam()), model, ByName("b/", 2))
    step(old, model)
    model.layers[0].trainable = True
    with pytest.raises(
        ValueError, match=r"^layer_rates\.optimizer: expected one built with all .* without '.*a/kernel'"
    ):
        layer_rates(old, model, ByName("b/", 2))


def test_layers_are_unfrozen_in_stages_by_rules():
    model = model_of("a", "b", kernel_initializer="zeros")
    first = layer_rates(keras.optimizers.SGD(1.0), model, Frozen("a/"))
    step(first, model)
    step(layer_rates(first, model, ByName("a/", 0.5)), model)
    assert [float(weight[0, 0]) for weight in model.get_weights()[::2]] == [-0.5, -2.0]


def test_another_model_is_refused():
    made = layer_rates(keras.optimizers.SGD(), model_of("a", "b"), ByName("a/", 2))
    with pytest.raises(ValueError, match=r"^layer_rates: expected the variables of the model that it was given, got "):
        step(made, model_of("a", "c"))
