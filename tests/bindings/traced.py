"""Trains with the Keras backend of KERAS_BACKEND, whose training step is traced once; run by test_keras_tracing.py.

Reads a list of schedules as JSON from standard input, and writes for each what the optimizer said of its rate before
each update, and its weight after it; or the message of the error that came instead.
"""

import json
import sys

import keras
import numpy as np

from lrcore.bindings.keras import Schedule
from lrcore.expression import parse


def trained(expression, updates):
    """A weight that begins at 0 and has a gradient of 1, so that each update takes the rate from it."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = keras.optimizers.SGD(Schedule(parse(expression)))
    model.compile(optimizer=optimizer, loss=lambda truth, guess: guess + 0.0 * truth, jit_compile=True)
    one, said, weights = np.ones((1, 1), np.float32), [], []
    for _ in range(updates):
        said.append(float(optimizer.learning_rate))
        model.train_on_batch(one, one)
        weights.append(float(model.get_weights()[0][0, 0]))
    return {"said": said, "weights": weights}


def outcome(expression, updates):
    try:
        return trained(expression, updates)
    except ValueError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answers = [outcome(expression, asked["updates"]) for expression in asked["schedules"]]
    json.dump({"backend": keras.config.backend(), "answers": answers}, sys.stdout)
