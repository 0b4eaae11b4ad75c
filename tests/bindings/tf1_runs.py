"""How the tests of the TF1 binding build a graph, run it, and tell what came of it."""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

v1 = tf.compat.v1

BOUNDARIES, VALUES = [5, 10, 15], [0.1, 0.05, 0.01, 0.001]
ARTICLE = np.float32([0.1] * 5 + [0.05] * 5 + [0.01] * 5 + [0.001] * 5)  # of steps 1 to 20
STEP_TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.fixture(params=["graph", "eager"])
def mode(request):
    if request.param == "eager":
        yield request.param
    else:
        with tf.Graph().as_default():
            yield request.param


def result(given):
    """The number that a tensor or a callable has, in the current graph if there is one."""
    if callable(given):
        return given().numpy()
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        return session.run(given)


def outcome(build):
    """What came of it: the number and its type, or the kind of the error."""
    try:
        value = np.asarray(result(build()))
    except Exception as error:  # whatever the peer raises
        return type(error)
    return value.dtype, value.tolist()


def values_in_a_graph(build, steps, dtype=tf.int64):
    with tf.Graph().as_default():
        step = v1.placeholder(dtype, [])
        value = build(step)
        with v1.Session() as session:
            return np.array([session.run(value, {step: at}) for at in steps])


def nodes(build):
    """The operations that a build adds to a graph that has a step, and the tensor that it gives."""
    with tf.Graph().as_default() as graph:
        step = v1.placeholder(tf.int64, [], name="step")
        tensor = build(step)
        return [one for one in graph.get_operations() if one.name != "step"], tensor
