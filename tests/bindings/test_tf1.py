"""lrcore.bindings.tf1 beside the live operations of tf.compat.v1.train."""

import doctest
import inspect
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import tracing
from lrcore.dialects import tf1 as dialect
from strategies import schedules

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

    from lrcore.bindings import tf1
    from lrcore.bindings.tf1 import decays, piecewise, rates

v1 = tf.compat.v1
train = v1.train

BOUNDARIES, VALUES = [5, 10, 15], [0.1, 0.05, 0.01, 0.001]
ARTICLE = np.float32([0.1] * 5 + [0.05] * 5 + [0.01] * 5 + [0.001] * 5)  # of steps 1 to 20


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


@pytest.mark.parametrize("module", [piecewise, decays, rates])
def test_examples(module):
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted >= 2
    assert results.failed == 0


@pytest.mark.parametrize("name", dialect.__all__)
def test_names_and_arguments_are_those_of_tensorflow(name):
    def arguments(function):
        return [(one.name, one.default) for one in inspect.signature(function).parameters.values()]

    assert arguments(getattr(tf1, name)) == arguments(getattr(train, name))
    assert set(tf1.__all__) == {*dialect.__all__, "learning_rate"}


# ---- piecewise_constant ----

STEP_TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOAT_TYPES = ["float16", "float32", "float64", "bfloat16"]


@pytest.mark.parametrize("dtype", STEP_TYPES + FLOAT_TYPES)
def test_piecewise_constant_of_every_type_of_step(dtype):
    of_type = [tf.as_dtype(dtype).as_numpy_dtype(at) for at in (2, 3)]
    ours = values_in_a_graph(lambda x: tf1.piecewise_constant(x, of_type, [1.0, 0.5, 0.25]), range(6), dtype)
    theirs = values_in_a_graph(lambda x: train.piecewise_constant(x, of_type, [1.0, 0.5, 0.25]), range(6), dtype)
    assert ours.dtype == theirs.dtype == np.float32
    assert ours.tolist() == theirs.tolist() == [1.0, 1.0, 1.0, 0.5, 0.25, 0.25]


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_piecewise_constant_has_the_values_of_tensorflow(data):
    of_numbers = data.draw(st.sampled_from([st.integers(-9, 9), st.floats(-9.0, 9.0, width=32)]))
    boundaries = data.draw(st.lists(of_numbers, min_size=1, max_size=5, unique=True).map(sorted))
    values = data.draw(st.lists(st.floats(-1.0, 1.0), min_size=len(boundaries) + 1, max_size=len(boundaries) + 1))
    dtype = tf.int32 if isinstance(boundaries[0], int) else tf.float32
    steps = [*range(-10, 11), *boundaries]
    ours = values_in_a_graph(lambda x: tf1.piecewise_constant(x, boundaries, values), steps, dtype)
    theirs = values_in_a_graph(lambda x: train.piecewise_constant(x, boundaries, values), steps, dtype)
    assert ours.tolist() == theirs.tolist()


def test_ten_thousand_boundaries():
    boundaries = np.cumsum(np.random.default_rng(1).integers(1, 2**20, 10_000)).tolist()
    values = np.random.default_rng(2).random(10_001)
    steps = [0, *boundaries[::997], *(at + 1 for at in boundaries[::997]), 2**31, 2**62]
    found = values_in_a_graph(lambda x: tf1.piecewise_constant(x, boundaries, values.tolist()), steps)
    assert boundaries[-1] > 2**31
    assert found.tolist() == [values.astype(np.float32)[sum(b < at for b in boundaries)] for at in steps]


@pytest.mark.parametrize("boundary", [2**24, 2**31, 2**53 + 1, 2**62])
def test_large_steps_are_told_apart(boundary):
    found = values_in_a_graph(
        lambda x: tf1.piecewise_constant(x, [boundary], [1.0, 0.5]), [boundary - 1, boundary, boundary + 1]
    )
    assert found.tolist() == [1.0, 1.0, 0.5]


def pieces(x, boundaries, values):
    return lambda module: module.piecewise_constant(x(), boundaries(), values())


THREE = np.int32(3)
LIKE_TENSORFLOW = {
    "a python step": pieces(lambda: 3, lambda: [2, 4], lambda: VALUES[:3]),
    "a python float": pieces(lambda: 3.5, lambda: [2.0, 4.0], lambda: VALUES[:3]),
    "a numpy step": pieces(lambda: np.int64(3), lambda: [2, 4], lambda: VALUES[:3]),
    "a variable": pieces(lambda: tf.Variable(3), lambda: [2, 4], lambda: VALUES[:3]),
    "one element": pieces(lambda: tf.constant([3]), lambda: [2, 4], lambda: VALUES[:3]),
    "float64 values": pieces(lambda: THREE, lambda: [2, 4], lambda: [np.float64(v) for v in VALUES[:3]]),
    "int values": pieces(lambda: THREE, lambda: [2, 4], lambda: [1, 2, 3]),
    "large int values": pieces(lambda: THREE, lambda: [2, 4], lambda: [2**31, 2**32, 2**33]),
    "bool values": pieces(lambda: THREE, lambda: [2, 4], lambda: [True, False, True]),
    "text values": pieces(lambda: THREE, lambda: [2, 4], lambda: ["a", "b", "c"]),
    "tensor boundaries": pieces(lambda: THREE, lambda: [tf.constant(2), 4], lambda: VALUES[:3]),
    "int32 tensors to int64": pieces(lambda: np.int64(3), lambda: [tf.constant(2), 4], lambda: VALUES[:3]),
    "variable boundaries": pieces(lambda: THREE, lambda: [tf.Variable(2), tf.Variable(4)], lambda: VALUES[:3]),
    "variable values": pieces(lambda: THREE, lambda: [2, 4], lambda: [tf.Variable(v) for v in VALUES[:3]]),
    "mixed values": pieces(lambda: THREE, lambda: [2, 4], lambda: [0.5, tf.Variable(0.25), 0.125]),
    "values that are vectors": pieces(
        lambda: THREE, lambda: [2], lambda: [tf.constant([1.0, 2]), tf.constant([3, 4.0])]
    ),
    "nested lists": pieces(lambda: THREE, lambda: [[2], [4]], lambda: [[0.5, 0.25], [0.125]]),
    "a single number": pieces(lambda: THREE, lambda: 2, lambda: [0.5, 0.25]),
    "a dict": pieces(lambda: THREE, lambda: {"b": 4, "a": 2}, lambda: VALUES[:3]),
    "equal boundaries": pieces(lambda: THREE, lambda: [2, 2, 3], lambda: VALUES),
    "NaN": pieces(lambda: float("nan"), lambda: [2.0, 4.0], lambda: VALUES[:3]),
    # errors
    "too few values": pieces(lambda: THREE, lambda: [2, 4], lambda: VALUES[:2]),
    "too many values": pieces(lambda: THREE, lambda: [2, 4], lambda: VALUES),
    "float boundaries of an int step": pieces(lambda: THREE, lambda: [2.0, 4.0], lambda: VALUES[:3]),
    "int boundaries of a float step": pieces(lambda: 3.0, lambda: [2, 4], lambda: VALUES[:3]),
    "one boundary of another type": pieces(lambda: THREE, lambda: [2, 4.0], lambda: VALUES[:3]),
    "large boundaries of an int32": pieces(lambda: THREE, lambda: [2, 2**31], lambda: VALUES[:3]),
    "values of two types": pieces(lambda: THREE, lambda: [2, 4], lambda: [0.1, 2, 0.3]),
    "float32 and float64": pieces(lambda: THREE, lambda: [2, 4], lambda: [0.1, np.float64(0.2), 0.3]),
    "a bool step": pieces(lambda: True, lambda: [2, 4], lambda: VALUES[:3]),
    "a bool step, values of two types": pieces(lambda: True, lambda: [True, True], lambda: [0.1, 2, 0.3]),
    "a complex step": pieces(lambda: 3j, lambda: [2, 4], lambda: VALUES[:3]),
    "a step that is text": pieces(lambda: "3", lambda: [2.0, 4.0], lambda: VALUES[:3]),
    "no boundaries for three values": pieces(lambda: THREE, list, lambda: VALUES[:3]),
    "nothing at all": pieces(lambda: THREE, list, list),
    "a step that is None": pieces(lambda: None, lambda: [2, 4], lambda: VALUES[:3]),
    "a boundary that is None": pieces(lambda: THREE, lambda: [2, None], lambda: VALUES[:3]),
    "a tensor for all boundaries": pieces(lambda: THREE, lambda: tf.constant([2, 4]), lambda: VALUES[:3]),
}


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("case", LIKE_TENSORFLOW)
def test_piecewise_constant_does_as_tensorflow(case):
    build = LIKE_TENSORFLOW[case]
    theirs = outcome(lambda: build(train))
    assert outcome(lambda: build(tf1)) == theirs


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(
    ("x", "boundaries", "error", "message"),
    [
        (3, [2.0], ValueError, r"boundaries\[0\]: expected int32, the type of x, got float32"),
        (np.int64(3), [2.0], ValueError, r"boundaries\[0\]: expected int32 or int64, the type of x, got float32"),
        (3, [4, 2], ValueError, r"values: expected 3 values, one more than boundaries, got 2"),
        (3, [], ValueError, r"boundaries: expected at least one boundary, got \[\]"),
        (True, [2], ValueError, r"boundaries\[0\]: expected bool, the type of x, got int32"),
        (True, [True], TypeError, r"piecewise_constant.x: expected a number, got tf.bool"),
        ("3", ["2"], TypeError, r"piecewise_constant.x: expected a number, got tf.string"),
    ],
)
def test_messages_name_what_came(x, boundaries, error, message):
    with pytest.raises(error, match=message):
        tf1.piecewise_constant(x, boundaries, [0.1, 0.2])


@pytest.mark.usefixtures("mode")
def test_boundaries_that_decrease():
    with pytest.raises(ValueError, match=r"boundaries\[2\]: expected a number not below the one before, got 3"):
        tf1.piecewise_constant(3, [2, 4, 3], VALUES)
    with pytest.raises(ValueError, match=r"boundaries\[0\]: .* got nan"):
        tf1.piecewise_constant(3.0, [float("nan")], VALUES[:2])


@pytest.mark.usefixtures("mode")
def test_values_of_two_types_name_both():
    with pytest.raises(ValueError, match=r"values\[1\]: expected float32, the type of the first, got int32"):
        tf1.piecewise_constant(3, [2, 4], [0.1, 2, 0.3])


def test_several_elements_are_refused():
    arguments = BOUNDARIES, VALUES
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="reshape"):
            tf1.piecewise_constant(tf.constant([1, 2]), *arguments)
        unknown = v1.placeholder(tf.int32)
        value = tf1.piecewise_constant(unknown, *arguments)
        with v1.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
            session.run(value, {unknown: [1, 2]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        tf1.piecewise_constant(tf.constant([1, 2]), *arguments)()


@pytest.mark.usefixtures("mode")
def test_boundaries_with_several_elements_are_refused():
    pairs = [tf.constant([1, 2]), tf.constant([3, 4])]
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="reshape"):  # graph, eager
        result(tf1.piecewise_constant(3, pairs, VALUES[:3]))


def test_a_reference_to_a_variable_of_tensorflow_1():
    with tf.Graph().as_default():
        step = v1.Variable(3, use_resource=False).op.outputs[0]
        assert step.dtype.name == "int32_ref"
        built = [
            tf1.piecewise_constant(step, [2, 4], VALUES[:3]),
            tf1.exponential_decay(0.8, step, 1, 0.5),
            tf1.learning_rate(lr.Linear(0.8, 0.0, 4), step),
        ]
        assert [float(result(one)) for one in built] == [float(np.float32(one)) for one in (0.05, 0.1, 0.2)]


def test_arrays_are_lists():
    """TensorFlow takes an array for one boundary, and refuses it."""
    found = values_in_a_graph(
        lambda x: tf1.piecewise_constant(x, np.array(BOUNDARIES), np.array(VALUES, np.float32)), range(1, 21)
    )
    assert found.tolist() == ARTICLE.tolist()


def test_a_variable_among_the_values_is_read_each_time():
    with tf.Graph().as_default():
        first = v1.get_variable("first", initializer=0.5)
        value = tf1.piecewise_constant(1, [2], [first, 0.25])
        change = first.assign(0.75)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            assert session.run(value) == 0.5
            session.run(change)
            assert session.run(value) == 0.75


# ---- Nodes ----

START = {"learning_rate": 0.125}
DECAYS = {
    "exponential_decay": {"decay_steps": 7, "decay_rate": 0.5},
    "natural_exp_decay": {"decay_steps": 7, "decay_rate": 0.5},
    "inverse_time_decay": {"decay_steps": 7, "decay_rate": 0.5},
    "polynomial_decay": {"decay_steps": 20},
    "cosine_decay": {"decay_steps": 20, "alpha": 0.125},
    "cosine_decay_restarts": {"first_decay_steps": 7},
    "linear_cosine_decay": {"decay_steps": 20},
    "noisy_linear_cosine_decay": {"decay_steps": 20, "initial_variance": 0.0},
}
MORE = [
    *DECAYS.items(),
    ("exponential_decay", {"decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("exponential_decay", {"decay_steps": 3.5, "decay_rate": 0.5}),
    ("natural_exp_decay", {"decay_steps": 7, "decay_rate": 0.5, "staircase": 1}),
    ("inverse_time_decay", {"decay_steps": np.int64(7), "decay_rate": np.float64(0.5), "staircase": True}),
    ("polynomial_decay", {"decay_steps": 10, "end_learning_rate": 0.0, "power": 2}),
    ("cosine_decay_restarts", {"first_decay_steps": 16, "t_mul": 1.0, "m_mul": 0.5, "alpha": 0.25}),
    ("linear_cosine_decay", {"decay_steps": 20, "num_periods": 1.5, "alpha": 0.25, "beta": 0.5}),
]


def decay(module, name, arguments):
    return lambda step: getattr(module, name)(global_step=step, **START | arguments)


@pytest.mark.parametrize(("name", "arguments"), DECAYS.items())
@pytest.mark.parametrize("given", [None, "lr_rate", "lr_rate/"])
def test_all_nodes_of_a_decay_are_in_its_scope(name, arguments, given):
    ours, tensor = nodes(decay(tf1, name, arguments | {"name": given}))
    _, theirs = nodes(decay(train, name, arguments | {"name": given}))
    scope = tensor.name.removesuffix(":0")
    assert scope == theirs.name.removesuffix(":0").partition("/")[0]  # cosine_decay's is a node within
    assert all(f"{one.name}/".startswith(f"{scope}/") for one in ours)


@pytest.mark.parametrize("given", [None, "lr_rate"])
def test_all_nodes_of_the_others_are_in_their_scope(given):
    ours, tensor = nodes(lambda step: tf1.piecewise_constant(step, BOUNDARIES, VALUES, given))
    assert {one.name.partition("/")[0] for one in ours} == {given or "PiecewiseConstant"}
    assert all("/" in one.name for one in ours)
    ours, tensor = nodes(lambda step: tf1.learning_rate(lr.sgdr(0.1, 0.0, 7), step, given))
    scope = given or "LearningRate"
    assert tensor.name == f"{scope}:0"
    assert all(f"{one.name}/".startswith(f"{scope}/") for one in ours)


def test_a_second_one_gets_a_scope_of_its_own():
    with tf.Graph().as_default() as graph:
        named = [tf1.piecewise_constant(3, [2], [0.5, 0.25], "lr").name for _ in range(2)]
        named += [tf1.learning_rate(0.5, 3, "lr").name for _ in range(2)]
        assert [one.partition("/")[0].partition(":")[0] for one in named] == ["lr", "lr_1", "lr_2", "lr_3"]
        with tf.name_scope("outer"):
            assert tf1.learning_rate(0.5, 3, "lr").name == "outer/lr:0"
        assert all(one.name.startswith(("lr", "outer/lr")) for one in graph.get_operations())


def test_the_number_of_nodes_does_not_grow():
    def built(n):
        boundaries, values = list(range(1, n + 1)), [1 / (k + 1) for k in range(n + 1)]
        parts = lr.Sequence([*((lr.Linear(v, v / 2, 2**22), 2**22) for v in values[:90]), 0.5])
        return [
            lambda step: tf1.piecewise_constant(step, boundaries, values),
            lambda step: tf1.piecewise_constant(step, [b << 40 for b in boundaries], values),
            lambda step: tf1.piecewise_constant(step, [*map(np.int32, boundaries)], [*map(np.float32, values)]),
            lambda step: tf1.learning_rate(lr.Piecewise(boundaries, values), step),
            lambda step: tf1.learning_rate(lr.Piecewise([b * 2**40 for b in boundaries], values), step),
            lambda step: tf1.learning_rate(parts, step),
        ]

    few, many = ([len(nodes(build)[0]) for build in built(n)] for n in (4, 2_000))
    assert few == many
    assert max(few) < 100


# ---- Decays ----


@pytest.mark.parametrize(("name", "arguments"), MORE)
@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_decays_have_the_values_of_tensorflow(name, arguments, dtype):
    """Up to TensorFlow's own error, which tests/dialects measures."""
    ours, theirs = (values_in_a_graph(decay(module, name, arguments), range(34), dtype) for module in (tf1, train))
    assert ours.dtype == theirs.dtype == np.float32
    kept = np.arange(34)
    if "restarts" in name and arguments.get("t_mul", 2.0) == 2.0:
        kept = np.setdiff1d(kept, [7, 21])  # where TensorFlow may give the lowest value
    np.testing.assert_allclose(ours[kept], theirs[kept], rtol=0, atol=12 * np.spacing(np.float32(ours.max())))


@pytest.mark.parametrize(("name", "arguments"), MORE)
def test_decays_are_their_schedule(name, arguments):
    plain = {key: bool(given) if key == "staircase" else given for key, given in arguments.items()}
    plain = {key: given.item() if isinstance(given, np.generic) else given for key, given in plain.items()}
    schedule = getattr(dialect, name)(**START | plain)
    expected = schedule.table(34, dtype="float32")
    assert values_in_a_graph(decay(tf1, name, arguments), range(34)).tolist() == expected.tolist()
    step = tf.Variable(0)
    rate = decay(tf1, name, arguments)(step)
    assert [(float(rate()), step.assign_add(1))[0] for _ in range(34)] == expected.tolist()


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(("name", "arguments"), DECAYS.items())
@pytest.mark.parametrize("step", [5, np.int64(5), tf.uint8], ids=repr)
def test_steps_of_other_kinds(name, arguments, step):
    step = tf.constant(5, step) if step is tf.uint8 else step
    value = np.asarray(result(decay(tf1, name, arguments)(step)))
    assert value.dtype == np.float32
    assert value == np.float32(getattr(dialect, name)(**START | arguments)(5))


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(("name", "arguments"), DECAYS.items())
def test_many_steps_at_once(name, arguments):
    found = result(decay(tf1, name, arguments)(tf.constant([[0, 3], [9, 40]])))
    schedule = getattr(dialect, name)(**START | arguments)
    assert found.tolist() == np.float32([[schedule(0), schedule(3)], [schedule(9), schedule(40)]]).tolist()


OWN = {  # what a schedule is not made for is TensorFlow's own operation: of an argument, given the one for a schedule
    "a tensor": ("learning_rate", tf.constant),
    "a variable": ("learning_rate", tf.Variable),
    "float64": ("learning_rate", np.float64),
    "float16": ("learning_rate", np.float16),
    "an int": ("learning_rate", lambda _: 1),
    "None": ("learning_rate", lambda _: None),
    "text": ("learning_rate", str),
    "a list": ("learning_rate", lambda rate: [rate, 2 * rate]),
    "a tensor of steps": ("steps", tf.constant),
    "a variable of steps": ("steps", lambda steps: tf.Variable(float(steps))),
    "no steps": ("steps", lambda _: None),
    "half a step": ("global_step", lambda _: 4.5),
    "a float tensor": ("global_step", lambda step: tf.constant(float(step))),
    "no step": ("global_step", lambda _: None),
    "a step that is text": ("global_step", lambda _: tf.constant("a")),
}


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(("name", "arguments"), DECAYS.items())
@pytest.mark.parametrize("case", OWN)
def test_other_arguments_do_as_tensorflow(name, arguments, case):
    argument, change = OWN[case]
    argument = next(iter(arguments)) if argument == "steps" else argument
    every = START | arguments | {"global_step": 5}
    given = every | {argument: change(every[argument])}
    assert outcome(lambda: getattr(tf1, name)(**given)) == outcome(lambda: getattr(train, name)(**given))


def test_in_the_place_of_tensorflows_own(monkeypatch):
    expected = {name: float(getattr(train, name)(np.float64(0.5), 3, 7, 0.5)()) for name in list(DECAYS)[:3]}
    for name in dialect.__all__:
        monkeypatch.setattr(train, name, getattr(tf1, name))
    found = {name: float(getattr(train, name)(np.float64(0.5), 3, 7, 0.5)()) for name in expected}
    assert found == expected


def test_a_variable_of_a_decay_is_read_each_time():
    rate = tf.Variable(0.5)
    value = tf1.exponential_decay(rate, 2, 2, 0.5)
    before = float(value())
    rate.assign(0.25)
    assert (before, float(value())) == (0.25, 0.125)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tf1.cosine_decay(0.1, 3, 0), r"cosine_decay.decay_steps: .* an int >= 1, got 0"),
        (lambda: tf1.exponential_decay(0.1, 3, 5, -0.5), r"exponential_decay.decay_rate: expected a number > 0"),
        (lambda: tf1.cosine_decay_restarts(0.1, 3, 5, 0.5), r"cosine_decay_restarts.t_mul: expected a number >= 1"),
        (lambda: tf1.polynomial_decay(float("nan"), 3, 5), r"polynomial_decay.learning_rate: expected a finite number"),
    ],
)
def test_numbers_that_make_no_schedule(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_restarts_are_where_the_formula_says():
    """TensorFlow's logarithm is an update late at some of them."""
    for first in range(1, 40):
        begins = [first * (2**k - 1) for k in range(8)]
        found = values_in_a_graph(lambda x, first=first: tf1.cosine_decay_restarts(0.5, x, first), begins)
        assert found.tolist() == [0.5] * 8


def test_steps_that_float32_does_not_have():
    def build(module):
        return lambda step: module.exponential_decay(1.0, step, 2**24, 0.5, staircase=True)

    last = 2**26 - 1
    assert values_in_a_graph(build(tf1), [last, last + 1]).tolist() == [2**-3, 2**-4]
    assert values_in_a_graph(build(train), [last, last + 1]).tolist() == [2**-4, 2**-4]
    far = values_in_a_graph(build(tf1), [2**30 - 1, 2**30])
    assert far.tolist() == pytest.approx([2.0**-63, 2.0**-64], rel=1e-5)


NOISY = {"learning_rate": 0.5, "decay_steps": 40, "num_periods": 1.0}


class TestNoise:
    def values(self, seed=None, first=0):
        def build(step):
            v1.set_random_seed(seed)
            return tf1.noisy_linear_cosine_decay(global_step=step, **NOISY)

        return values_in_a_graph(build, range(first, 50)).tolist()

    def test_is_a_function_of_the_step_and_of_the_seed(self):
        assert self.values()[20:] == self.values(first=20)
        assert self.values(5)[20:] == self.values(5, first=20)
        assert self.values(5) != self.values(6)

    def test_is_the_noise_of_the_schedule(self):
        schedule = dialect.noisy_linear_cosine_decay(**NOISY, seed=5)
        assert self.values(5) == schedule.table(50, dtype="float32").tolist()

    @pytest.mark.usefixtures("mode")
    def test_beyond_a_table_it_is_that_of_tensorflow(self):
        rate = tf1.noisy_linear_cosine_decay(0.5, 10, 1_000_000)
        first, second = (float(result(rate)) for _ in range(2))
        assert first != second
        assert float(result(tf1.noisy_linear_cosine_decay(0.5, 10**7, 999_998))) == np.float32(0.5 * 0.001)


LONG = [
    *((name, arguments | {next(iter(arguments)): 3_000_000}) for name, arguments in DECAYS.items()),
    ("exponential_decay", {"decay_steps": 10.5, "decay_rate": 0.875, "staircase": True}),
    ("polynomial_decay", {"decay_steps": 3_000_000, "power": 0.5, "cycle": True}),
    ("polynomial_decay", {"decay_steps": 3_000_000.5, "power": 2.0}),
    ("cosine_decay", {"decay_steps": 3_000_000.5}),
    ("cosine_decay_restarts", {"first_decay_steps": 1000.5, "t_mul": 1.5, "m_mul": 0.75, "alpha": 0.25}),
    ("linear_cosine_decay", {"decay_steps": 3_000_000.5, "num_periods": 3.25}),
]


@pytest.mark.parametrize(("name", "arguments"), LONG)
def test_decays_that_no_table_holds(name, arguments):
    steps = [0, 10, 20, 65_535, 65_536, 1_999_999, 3_000_000, 3_000_001, 2**24 + 1, 2**31]
    schedule = getattr(dialect, name)(**START | arguments)
    found = values_in_a_graph(decay(tf1, name, arguments), steps)
    # Sums and products add up the errors of their parts, of 4 ulp each at most
    np.testing.assert_allclose(found, schedule(np.array(steps)), rtol=0, atol=12 * np.spacing(np.float32(0.125)))


# ---- Any schedule ----

FAR = [0, 1, 2, 19, 99, 10**6, 2**24 + 1, 2**31 - 1, 2**31, 2**31 + 1, 2**40 + 1]
ENDLESS = [
    lr.ExponentialDecay(0.1, 0.999, 1_000_000),
    lr.InverseTimeDecay(0.1, 0.5, 1000),
    lr.sgdr(0.1, 0.001, 7),
    lr.sgdr(0.1, 0.001, 7, 2),
    lr.Cycle(lr.Linear(1.0, 0.0, 2**25 + 1), 2**25 + 1),
    lr.Linear(1.0, 0.0, 2**40),
    lr.Cosine(0.0, 1.0, 10**7),
    lr.Piecewise([2**31], [1.0, 0.5]),
]


@settings(max_examples=12, deadline=None)
@given(schedules(2))
def test_a_table_has_the_bits_of_the_schedule(schedule):
    if schedule.length is None or schedule.length >= 3_000:
        return
    n = schedule.length + 2
    with tf.Graph().as_default():
        step = v1.placeholder(tf.int64, [None])
        value = tf1.learning_rate(schedule, step)
        with v1.Session() as session:
            found = session.run(value, {step: np.arange(n)})
    assert found.dtype == np.float32
    assert found.tobytes() == schedule.table(n, dtype="float32").tobytes()


@pytest.mark.parametrize("schedule", ENDLESS, ids=lambda one: repr(one)[:40])
def test_the_closed_form_is_the_schedule(schedule):
    found = values_in_a_graph(lambda step: tf1.learning_rate(schedule, step), FAR)
    expected = np.array([schedule(at) for at in FAR])
    assert found.dtype == np.float32
    largest = max(abs(expected).max(), 1e-3)
    assert abs(found - expected).max() <= 4 * np.spacing(np.float32(largest))


@pytest.mark.parametrize("schedule", ENDLESS, ids=lambda one: repr(one)[:40])
def test_every_operation_is_that_of_numpy(schedule):
    """The closed form by TensorFlow beside the one by NumPy, which has tests of its own."""
    plan = tracing.plan(schedule)
    theirs = plan.value(np.array(FAR), tracing.NumpyOperations())
    ours = values_in_a_graph(lambda step: tf1.learning_rate(schedule, step), FAR)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=4 * np.spacing(max(abs(theirs).max(), np.float32(1e-3))))


@pytest.mark.parametrize("dtype", [*STEP_TYPES, "float32", "float64"])
def test_every_type_of_step_counts_the_same(dtype):
    schedule = lr.Cosine(0.1, 0.0, 40)
    found = values_in_a_graph(lambda step: tf1.learning_rate(schedule, step), range(60), tf.as_dtype(dtype))
    assert found.tolist() == schedule.table(60, dtype="float32").tolist()
    eager = [float(tf1.learning_rate(schedule, tf.cast(at, dtype))()) for at in range(60)]
    assert eager == found.tolist()


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("step", [-1, -(2**40), 3.5, 2**62, 2**53])
def test_steps_that_are_none_count_as_one(step):
    schedule = lr.Linear(1.0, 0.0, 8)
    expected = schedule(min(max(int(step), 0), 8))
    assert float(result(tf1.learning_rate(schedule, step))) == expected


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("step", [np.float32(1e30), np.float32(np.inf), np.float64(2**63), np.uint64(2**63 + 5)])
def test_steps_beyond_all_counters_are_the_last(step):
    rate = tf1.learning_rate(lr.Linear(1.0, 0.25, 8), tf.constant(step))
    assert float(result(rate)) == 0.25


@pytest.mark.usefixtures("mode")
def test_a_number_is_a_constant_rate():
    assert float(result(tf1.learning_rate(0.25, 3))) == 0.25


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(
    ("schedule", "step", "error", "message"),
    [
        ("cosine", 3, TypeError, "learning_rate.schedule: expected a schedule or a number, got 'cosine'"),
        (0.5, True, TypeError, "global_step: expected integers, got tf.bool"),
        (0.5, "3", TypeError, "global_step: expected integers, got tf.string"),
        (0.5, None, ValueError, "None"),
        (lr.Linear(0.0, 1.0, "5ep"), 3, ValueError, "steps_per_epoch"),
    ],
)
def test_what_is_refused(schedule, step, error, message):
    with pytest.raises(error, match=message):
        tf1.learning_rate(schedule, step)


@pytest.mark.usefixtures("mode")
def test_values_beyond_float32():
    largest = float(np.finfo(np.float32).max)
    assert float(result(tf1.learning_rate(1e60, 3))) == largest


# ---- Article C, wherever its graph goes ----


def constant_pieces(step, name="lr_rate"):
    return tf1.piecewise_constant(step, BOUNDARIES, VALUES, name)


def of_a_schedule(step, name="lr_rate"):
    return tf1.learning_rate(lr.Piecewise(BOUNDARIES, VALUES, side="left"), step, name)


def without_a_table(step, name="lr_rate"):
    """The same values; what it holds after a long time is beyond a table."""
    return tf1.learning_rate(lr.Piecewise([*BOUNDARIES, 2**40], [*VALUES, 0.5], side="left"), step, name)


BUILDS = [constant_pieces, of_a_schedule, without_a_table]


def article(build, use_resource=True):
    """The step after its update, and the rate of then."""
    with v1.variable_scope("", use_resource=use_resource):
        step = train.get_or_create_global_step()
    update = v1.assign_add(step, 1, name="update")
    with tf.control_dependencies([update]):
        return step, update, build(step)


def printed(session, update, rate, updates=20):
    return [session.run([update, rate]) for _ in range(updates)]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("use_resource", [True, False])
def test_the_article(build, use_resource):
    with tf.Graph().as_default():
        _, update, rate = article(build, use_resource)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            lines = [f"step {step}, lr = {value:.3f}" for step, value in printed(session, update, rate)]
    assert lines == [f"step {step}, lr = {value:.3f}" for step, value in enumerate(ARTICLE, start=1)]


TF1_ALONE = """
import json
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
from lrcore.bindings import tf1
step = tf.train.get_or_create_global_step()
update = tf.assign_add(step, 1)
with tf.control_dependencies([update]):
    pieces = tf1.piecewise_constant(step, [5, 10, 15], [0.1, 0.05, 0.01, 0.001], name="lr_rate")
    stairs = tf1.exponential_decay(0.5, step, 5, 0.5, staircase=True)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    found = [session.run([update, pieces, stairs]) for _ in range(20)]
print(json.dumps([step.dtype.name, *([float(one) for one in column] for column in zip(*found))]))
"""


def test_the_article_where_tensorflow_behaves_as_1():
    """Variables are references, which are read in place, and nothing is eager."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TF1_ALONE], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    kind, steps, pieces, stairs = json.loads(done.stdout.splitlines()[-1])
    assert kind == "int64_ref"
    assert steps == [*range(1, 21)]
    assert pieces == ARTICLE.tolist()
    assert stairs == [0.5 ** (1 + at // 5) for at in range(1, 21)]


@pytest.mark.parametrize("build", BUILDS)
def test_an_imported_graph(build):
    with tf.Graph().as_default() as graph:
        _, update, rate = article(build)
        start = v1.global_variables_initializer()
    names = [start.name, update.name, rate.name]
    with tf.Graph().as_default():
        start, update, rate = tf.import_graph_def(graph.as_graph_def(), return_elements=names, name="imported")
        with v1.Session() as session:
            session.run(start)
            assert [value for _, value in printed(session, update, rate)] == ARTICLE.tolist()


@pytest.mark.parametrize("build", BUILDS)
def test_a_saved_model_of_a_session(build, tmp_path):
    folder = str(tmp_path / "model")
    with tf.Graph().as_default(), v1.Session() as session:
        _, update, rate = article(build)
        session.run(v1.global_variables_initializer())
        printed(session, update, rate, updates=7)
        builder = v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["train"])
        builder.save()
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["train"], folder)
        assert [value for _, value in printed(session, update.name, rate.name, 13)] == ARTICLE[7:].tolist()


class Counted(tf.Module):
    """A step, and the rate after each update of it."""

    def __init__(self, build):
        super().__init__()
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.build = build

    @tf.function(input_signature=[])
    def update(self):
        with tf.control_dependencies([self.step.assign_add(1)]):
            return self.build(self.step)


@pytest.mark.parametrize("build", BUILDS)
def test_a_function_and_its_saved_model(build, tmp_path):
    module = Counted(build)
    assert [float(module.update()) for _ in range(7)] == ARTICLE[:7].tolist()
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert [float(loaded.update()) for _ in range(13)] == ARTICLE[7:].tolist()


@pytest.mark.parametrize("build", BUILDS)
def test_an_eager_callable_is_traced_where_a_function_calls_it(build):
    step = tf.Variable(0, dtype=tf.int64)
    rate = build(step)
    traced = tf.function(rate)
    found = []
    for _ in range(20):
        step.assign_add(1)
        found.append((float(rate()), float(traced())))
    assert found == [(value, value) for value in ARTICLE.tolist()]


@pytest.mark.parametrize("build", BUILDS)
def test_a_checkpoint_restored_in_the_middle(build, tmp_path):
    path = str(tmp_path / "model")
    with tf.Graph().as_default(), v1.Session() as session:
        step, update, rate = article(build)
        session.run(v1.global_variables_initializer())
        printed(session, update, rate, updates=12)
        train.Saver([step]).save(session, path)
        after = printed(session, update, rate, updates=8)
    with tf.Graph().as_default(), v1.Session() as session:
        step, update, rate = article(build)
        train.Saver([step]).restore(session, path)
        assert printed(session, update, rate, updates=8) == after
    assert [value for _, value in after] == ARTICLE[12:].tolist()


@pytest.mark.parametrize("build", BUILDS)
def test_a_monitored_session(build, tmp_path):
    """Stopped after 12 updates, and resumed from its checkpoint."""
    found = []
    for last in (12, 20):
        with tf.Graph().as_default():
            _, update, rate = article(build)
            hooks = [train.StopAtStepHook(last_step=last)]
            with train.MonitoredTrainingSession(checkpoint_dir=str(tmp_path), hooks=hooks) as session:
                while not session.should_stop():
                    found.append(session.run([update, rate])[1])
    assert found == ARTICLE.tolist()


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_compiled_function(jit_compile):
    schedules = [constant_pieces, of_a_schedule, lambda step: tf1.learning_rate(lr.sgdr(0.1, 0.0, 5, 2), step)]
    for build in schedules:
        compiled = tf.function(build, jit_compile=jit_compile)
        found = [float(compiled(tf.constant(at, tf.int64))) for at in range(1, 21)]
        assert found == [float(build(tf.constant(at, tf.int64))()) for at in range(1, 21)]


@pytest.mark.parametrize("build", BUILDS)
def test_an_optimizer_of_tensorflow_1(build):
    """The weight of an SGD on a constant gradient shows which rate each update used."""
    with tf.Graph().as_default(), v1.Session() as session:
        step = train.get_or_create_global_step()
        weight = v1.get_variable("weight", initializer=0.0)
        optimizer = train.GradientDescentOptimizer(build(step))
        update = optimizer.minimize(-1.0 * weight, global_step=step)
        session.run(v1.global_variables_initializer())
        weights = [(session.run(update), session.run(weight))[1] for _ in range(20)]
    used = np.float32([0.1, *ARTICLE.tolist()[:-1]])  # the first update uses f(0)
    assert weights == np.add.accumulate(used).tolist()
