"""Numbers of an optimizer that follow schedules, with layer rates, on every backend of Keras: as written by hand."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras_layer_tasks import RATES, USUAL, gradient, network
from keras_trainer import BACKENDS, ask

from lrcore import Cycle, Linear
from lrcore.bindings.keras import layer_rates, scheduled
from lrcore.groups import ByName

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

UPDATES = 24
CLOSE = 2e-6
EPSILON = 1e-7
LAYERS = {"a": (0.1, 1.0), "b": (1.0, 0.5)}  # the multipliers of the rate and of the decay
MOMENTUM, BETA = Linear(0.5, 0.95, 20), Linear(0.9, 0.999, 20)
DECAY, OTHER_DECAY = Linear(0.4, 0.0, 20), Linear(0.0, 0.4, 20)


def sgd(number, grad, rate, state):
    state["v"] = number["momentum"] * state.get("v", 0.0) - rate * grad
    return -state["v"]


def rmsprop(number, grad, rate, state):
    mean(state, "s", grad**2, number["rho"])
    state["m"] = number["momentum"] * state.get("m", 0.0) + rate * grad / np.sqrt(state["s"] + EPSILON)
    return state["m"]


def adadelta(number, grad, rate, state):
    mean(state, "s", grad**2, number["rho"])
    step = np.sqrt(state.get("x", 0.0) + EPSILON) / np.sqrt(state["s"] + EPSILON) * grad
    mean(state, "x", step**2, number["rho"])
    return rate * step


def adam(number, grad, rate, state):
    t, beta, other = number["t"], number["beta_1"], number["beta_2"]
    mean(state, "m", grad, beta)
    mean(state, "s", grad**2, other)
    return rate * np.sqrt(1 - other**t) / (1 - beta**t) * state["m"] / (np.sqrt(state["s"]) + EPSILON)


def adamax(number, grad, rate, state):
    mean(state, "m", grad, number["beta_1"])
    state["u"] = np.maximum(number["beta_2"] * state.get("u", 0.0), np.abs(grad))
    return rate / (1 - number["beta_1"] ** number["t"]) * state["m"] / (state["u"] + EPSILON)


def nadam(number, grad, rate, state):
    t, beta, other = number["t"], number["beta_1"], number["beta_2"]
    now, then = beta * (1 - 0.5 * 0.96**t), beta * (1 - 0.5 * 0.96 ** (t + 1))
    state["product"] = state.get("product", 1.0) * now
    mean(state, "m", grad, beta)
    mean(state, "s", grad**2, other)
    ahead = then * state["m"] / (1 - state["product"] * then) + (1 - now) * grad / (1 - state["product"])
    return rate * ahead / (np.sqrt(state["s"] / (1 - other**t)) + EPSILON)


def lion(number, grad, rate, state):
    step = np.sign(number["beta_1"] * state.get("m", 0.0) + (1 - number["beta_1"]) * grad)
    mean(state, "m", grad, number["beta_2"])
    return rate * step


def muon(number, grad, rate, state):
    if grad.ndim != 2:
        own = {"t": number["t"], "beta_1": number["adam_beta_1"], "beta_2": number["adam_beta_2"]}
        return adam(own, grad, rate, state)
    state["m"] = number["momentum"] * state.get("m", 0.0) + grad
    step = grad + number["momentum"] * state["m"]
    step /= np.linalg.norm(step) + EPSILON
    for _ in range(5):
        square = step @ step.T
        step = 3.4445 * step + (-4.7750 * square + 2.0315 * square @ square) @ step
    return rate * step * 0.2 * np.sqrt(max(grad.shape))


def mean(state, name, value, share):
    state[name] = share * state.get(name, 0.0) + (1 - share) * value


# The optimizer, what it is made with, what is scheduled, and its step by hand.
FOLLOWED = {
    "SGD": ({"momentum": 0.9}, {"momentum": MOMENTUM, "weight_decay": DECAY}, sgd),
    "RMSprop": ({"momentum": 0.9}, {"momentum": MOMENTUM, "rho": BETA, "weight_decay": DECAY}, rmsprop),
    "Adadelta": ({}, {"rho": BETA}, adadelta),
    "AdamW": ({}, {"beta_1": MOMENTUM, "beta_2": BETA, "weight_decay": DECAY}, adam),
    "Adamax": ({}, {"beta_1": MOMENTUM, "beta_2": BETA}, adamax),
    "Nadam": ({}, {"beta_1": MOMENTUM, "beta_2": BETA}, nadam),
    "Lion": ({}, {"beta_1": MOMENTUM, "beta_2": BETA, "weight_decay": DECAY}, lion),
    "Muon": (
        {},
        {
            "momentum": MOMENTUM,
            "weight_decay": DECAY,
            "adam_beta_1": MOMENTUM,
            "adam_beta_2": BETA,
            "adam_weight_decay": OTHER_DECAY,
        },
        muon,
    ),
}


def by_hand(name):
    """The weights of each layer after the updates, in float64; after half of them the rate is a quarter."""
    _, schedules, step = FOLLOWED[name]
    model, rate = network(LAYERS), RATES.get(name, USUAL)
    weights = [weight.astype("float64") for weight in model.get_weights()]
    states = [{} for _ in weights]
    for k in range(UPDATES):
        number = {"t": k + 1} | {one: schedule(k) for one, schedule in schedules.items()}
        rate = rate / 4 if k == UPDATES // 2 else rate
        for at, weight in enumerate(weights):
            scale, decay_scale = list(LAYERS.values())[at // 2]
            decay = number.get("adam_weight_decay" if name == "Muon" and weight.ndim == 1 else "weight_decay", 0.0)
            decayed = weight * (1 - decay * decay_scale * rate * scale)
            weights[at] = decayed - step(number, gradient(at, k, weight), rate * scale, states[at])
    pairs = zip(weights[::2], weights[1::2], strict=True)
    return {layer: np.concatenate([each.ravel() for each in pair]) for layer, pair in zip(LAYERS, pairs, strict=True)}


@pytest.mark.parametrize("name", FOLLOWED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_number_follows_its_schedule(backend, name):
    arguments, schedules, _ = FOLLOWED[name]
    arguments = arguments | {one: 0.1 for one in schedules if one.endswith("weight_decay")}
    specs = {one: schedule.to_dict() for one, schedule in schedules.items()}
    layers = LAYERS if "weight_decay" in arguments else {layer: (scale, 1.0) for layer, (scale, _) in LAYERS.items()}
    task = {"name": name, "arguments": arguments, "layers": layers, "loss_scale": False, "jit": True}
    answer = ask(backend, "together", updates=UPDATES, schedules=specs, **task)
    assert "error" not in answer, answer["error"]
    for layer, wanted in by_hand(name).items():
        np.testing.assert_allclose(answer[layer], wanted, rtol=0, atol=CLOSE)


def plain(_):
    return keras.optimizers.SGD(0.5, momentum=0.9, weight_decay=0.1)


def rated(model):
    return layer_rates(plain(model), model, ByName("a/", 0.5))


def by_pickle(optimizer):
    return pickle.loads(pickle.dumps(optimizer))


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, by_pickle])
@pytest.mark.parametrize("make", [plain, rated])
def test_a_copy_follows_the_same_schedules(make, again):
    model = network(LAYERS)
    optimizer = scheduled(scheduled(make(model), momentum=Linear(0.5, 0.75, 1)), weight_decay=Linear(0.25, 0.0, 1))
    made = again(optimizer)
    assert isinstance(made, keras.optimizers.SGD)
    assert getattr(made, "multipliers", {}).keys() == getattr(optimizer, "multipliers", {}).keys()
    assert (made.momentum, made.weight_decay) == (0.5, 0.25)
    made.apply([keras.ops.ones(weight.shape) for weight in model.weights], model.trainable_variables)
    assert (made.momentum, made.weight_decay) == (0.75, 0.0)
    assert (optimizer.momentum, optimizer.weight_decay) == (0.5, 0.25)


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, by_pickle])
def test_a_copy_has_the_same_layer_rates(again):
    optimizer = rated(network(LAYERS))
    made = again(optimizer)
    assert {path: each.lr_scale for path, each in made.multipliers.items()} == {
        path: each.lr_scale for path, each in optimizer.multipliers.items()
    }


def without_momentum(_):
    return keras.optimizers.SGD(0.5)


def rms(_):
    return keras.optimizers.RMSprop(0.5, momentum=0.9)


@pytest.mark.parametrize("make", [plain, rated, without_momentum, rms])
def test_what_was_saved_while_its_momentum_was_0_goes_on(make, tmp_path):
    momentum = Cycle(Linear(0.0, 0.5, 2), 2)
    model = network(LAYERS)
    model.compile(scheduled(make(model), momentum=momentum), loss="mse")
    train(model, 2)
    assert model.optimizer.momentum == 0
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.momentum == 1e-30
    scheduled(loaded.optimizer, momentum=momentum)
    train(model, 3)
    train(loaded, 3)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def train(model, updates):
    for _ in range(updates):
        grads = [keras.ops.ones(weight.shape) for weight in model.trainable_variables]
        model.optimizer.apply(grads, model.trainable_variables)
