"""The tasks of keras_trainer.py for layer rates: each gives the weights of each layer."""

import keras
import numpy as np

import lrcore
from lrcore.bindings.keras import layer_rates, scheduled
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


def compiled(optimizer, variables, jit=False):
    """A function that applies gradients: compiled where the backend compiles, on TensorFlow by XLA if asked for."""
    optimizer.build(variables)
    if keras.config.backend() == "torch":
        return lambda grads: optimizer.apply([keras.ops.convert_to_tensor(grad) for grad in grads], variables)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        step = tf.function(lambda grads: optimizer.apply(grads, variables), jit_compile=jit)
        return lambda grads: step([tf.constant(grad) for grad in grads])
    return in_jax(optimizer, variables)


def in_jax(optimizer, variables):
    import jax

    stateless = jax.jit(optimizer.stateless_apply)

    def step(grads):
        values = stateless([each.value for each in optimizer.variables], grads, [each.value for each in variables])
        for ours, theirs in zip((variables, optimizer.variables), values, strict=True):
            for variable, value in zip(ours, theirs, strict=True):
                variable.assign(value)

    return step


def descend(model, updates, optimizers, step, scaled):
    """The weights after some updates; after half of them the learning rates are a quarter."""
    for update in range(updates):
        if update == updates // 2:
            for optimizer in optimizers:
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
    scheduled(optimizer, **{name: lrcore.from_dict(one) for name, one in task["schedules"].items()})
    step = compiled(optimizer, model.trainable_variables, task["jit"])
    return descend(
        model, task["updates"], [optimizer], step, lambda grads: [grad * np.float32(scale) for grad in grads]
    )


def separate(task):
    """An optimizer for each layer, none for a frozen one; what clips all gradients together does so before."""
    model, clip = network(task["layers"]), task["arguments"].get("global_clipnorm")
    task = {**task, "arguments": {key: value for key, value in task["arguments"].items() if key != "global_clipnorm"}}
    scales = list(task["layers"].values())
    moving = [at for at, (lr_scale, _) in enumerate(scales) if lr_scale]

    def scaled(grads):
        norm = np.sqrt(sum(np.sum(np.square(grad, dtype="float64")) for grad in grads))
        factor = min(1.0, clip / norm) if clip else 1.0
        return [(grads[at] * factor).astype("float32") for layer in moving for at in (2 * layer, 2 * layer + 1)]

    optimizers = [optimizer_of(task, *scales[at]) for at in moving]
    steps = [compiled(one, model.layers[at].trainable_variables) for one, at in zip(optimizers, moving, strict=True)]

    def step(grads):
        for at, one in enumerate(steps):
            one(grads[2 * at : 2 * at + 2])

    return descend(model, task["updates"], optimizers, step, scaled)


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


def given(function):
    """The task as keras_trainer.py calls it."""
    return lambda **task: {name: weights.tolist() for name, weights in function(task).items()}


TASKS = {each.__name__: given(each) for each in (together, separate, fitted, resumed, fitted_alone)}
