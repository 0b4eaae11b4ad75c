"""Trains with Keras' optimizers on the backend of KERAS_BACKEND, in a process of its own.

Reads a task as a line of JSON from standard input, and answers each with a line of JSON: the weights of each layer.
"""

import json
import os
import sys

import keras
import numpy as np

from lrcore.bindings.keras import layer_rates
from lrcore.groups import ByName

RATES = {"Adadelta": 0.5, "Ftrl": 0.05, "Lion": 0.003}  # of those that need another than this
USUAL = 0.01
LOSS_SCALE = 8.0


def optimizer_of(task, lr_scale=1.0, decay_scale=1.0):
    """Keras' own, for a task or for one layer of it."""
    arguments = dict(task["arguments"])
    for name in ("weight_decay", "adam_weight_decay"):
        if arguments.get(name) is not None:
            arguments[name] *= decay_scale
    return getattr(keras.optimizers, task["name"])(RATES.get(task["name"], USUAL) * lr_scale, **arguments)


def rules(layers):
    return [ByName(f"(^|/){name}/", *scales) for name, scales in layers.items()]


# ---- Gradients that are given: any optimizer, in any wrapper


def network(names):
    sizes = [4, 3, 5, 2] * len(names)
    layers = [keras.layers.Dense(size, name=name) for name, size in zip(names, sizes, strict=False)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape).astype("float32") for weight in model.weights])
    return model


def gradient(at, update, weight):
    """Of a bowl around 1, and some noise, so that what once went wrong shows for ever."""
    noise = np.sin(np.arange(weight.size) * 1.7 + update * 0.9 + at).reshape(weight.shape)
    return (0.3 * (weight - 1) + noise).astype("float32")


def stepper(parts):
    """A function that applies each optimizer's gradients to its variables: compiled where the backend compiles."""

    def eagerly(grads):
        given = iter(grads)
        for optimizer, variables in parts:
            optimizer.apply([keras.ops.convert_to_tensor(next(given)) for _ in variables], variables)

    for optimizer, variables in parts:
        optimizer.build(variables)
    if keras.config.backend() == "torch":
        return eagerly
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(eagerly)
        return lambda grads: compiled([tf.constant(grad) for grad in grads])
    return in_jax(parts)


def in_jax(parts):
    import jax

    def stateless(states, grads):
        given = iter(grads)
        return [
            optimizer.stateless_apply(state[1], [next(given) for _ in variables], state[0])
            for (optimizer, variables), state in zip(parts, states, strict=True)
        ]

    compiled = jax.jit(stateless)

    def step(grads):
        lists = [(variables, optimizer.variables) for optimizer, variables in parts]
        before = [tuple([each.value for each in one] for one in pair) for pair in lists]
        for pair, values in zip(lists, compiled(before, grads), strict=True):
            for ours, theirs in zip(pair, values, strict=True):
                for variable, value in zip(ours, theirs, strict=True):
                    variable.assign(value)

    return step


def descend(model, updates, parts, scaled):
    """The weights after some updates; after half of them the learning rates are a quarter."""
    step = stepper(parts)
    for update in range(updates):
        if update == updates // 2:
            for optimizer, _ in parts:
                optimizer.learning_rate = float(optimizer.learning_rate) / 4
        weights = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
        step(scaled([gradient(at, update, weight) for at, weight in enumerate(weights)]))
    return {layer.name: np.concatenate([np.ravel(each) for each in layer.get_weights()]) for layer in model.layers}


def together(task):
    """One optimizer with layer rates."""
    model = network(task["layers"])
    optimizer, scale = optimizer_of(task), 1.0
    if task["loss_scale"]:
        optimizer, scale = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=LOSS_SCALE), LOSS_SCALE
    optimizer = layer_rates(optimizer, model, rules(task["layers"]))
    parts = [(optimizer, model.trainable_variables)]
    return descend(model, task["updates"], parts, lambda grads: [grad * np.float32(scale) for grad in grads])


def alone(task):
    """An optimizer for each layer, none for a frozen one; what clips all gradients together does so before."""
    model, clip = network(task["layers"]), task["arguments"].get("global_clipnorm")
    task = {**task, "arguments": {key: value for key, value in task["arguments"].items() if key != "global_clipnorm"}}
    scales = list(task["layers"].values())
    moving = [at for at, (lr_scale, _) in enumerate(scales) if lr_scale]

    def scaled(grads):
        norm = np.sqrt(sum(np.sum(np.square(grad, dtype="float64")) for grad in grads))
        factor = min(1.0, clip / norm) if clip else 1.0
        return [(grads[at] * factor).astype("float32") for layer in moving for at in (2 * layer, 2 * layer + 1)]

    parts = [(optimizer_of(task, *scales[at]), model.layers[at].trainable_variables) for at in moving]
    return descend(model, task["updates"], parts, scaled)


# ---- Training by fit: compiled, saved, resumed


def slope(truth, guess):
    """A loss whose gradient is the input, for each layer's only weight."""
    return guess + 0.0 * truth


def branches(names):
    begin = keras.Input((1,))
    layers = [keras.layers.Dense(1, use_bias=False, name=name, kernel_initializer="ones") for name in names]
    return keras.Model(begin, keras.layers.add([layer(begin) for layer in layers]))


def inputs(first, last):
    return np.sin(np.arange(first, last) + 1.0).astype("float32")[:, None]


def fit(model, first, last):
    data = inputs(first, last)
    model.fit(data, np.zeros_like(data), batch_size=1, shuffle=False, verbose=0)
    return {layer.name: layer.get_weights()[0].ravel() for layer in model.layers if layer.get_weights()}


def fitted(task):
    """Compiled where the backend compiles; the model is saved when half of the updates are done."""
    model, half = branches(task["layers"]), task["updates"] // 2
    optimizer = layer_rates(optimizer_of(task), model, rules(task["layers"]))
    model.compile(optimizer, loss=slope, jit_compile=keras.config.backend() != "torch")
    fit(model, 0, half)
    model.save(task["path"])
    return fit(model, half, task["updates"])


def resumed(task):
    """The other half, from the saved model."""
    model = keras.models.load_model(task["path"], custom_objects={"slope": slope})
    model.jit_compile = keras.config.backend() != "torch"
    return fit(model, task["updates"] // 2, task["updates"])


def fitted_alone(task):
    optimizers = {name: optimizer_of(task, *scales) for name, scales in task["layers"].items() if scales[0]}
    weights = {name: keras.Variable([[1.0]]) for name in task["layers"]}
    for value in inputs(0, task["updates"]):
        for name, optimizer in optimizers.items():
            optimizer.apply([keras.ops.convert_to_tensor(value[None])], [weights[name]])
    return {name: keras.ops.convert_to_numpy(weight).ravel() for name, weight in weights.items()}


TASKS = {each.__name__: each for each in (together, alone, fitted, resumed, fitted_alone)}


def answered(task):
    try:
        return {name: weights.tolist() for name, weights in TASKS[task["task"]](task).items()}
    except Exception as error:
        return {"error": repr(error)}


if __name__ == "__main__":
    assert keras.config.backend() == os.environ["KERAS_BACKEND"]
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(answered(json.loads(line))), file=answers, flush=True)
