"""tf1.piecewise_constant beside the live one of tf.compat.v1.train."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tf1_runs import ARTICLE, BOUNDARIES, STEP_TYPES, VALUES, mode, outcome, result, values_in_a_graph  # noqa: F401 (mode is a fixture)

import lrcore as lr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

    from lrcore.bindings import tf1

v1 = tf.compat.v1
train = v1.train

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


@pytest.mark.parametrize("listed", [np.asarray, list], ids=["an array", "a list"])
def test_many_numbers_of_numpy_are_not_looked_at_one_by_one(monkeypatch, listed):
    boundaries, values, asked = listed(np.arange(1, 1001)), listed(np.linspace(1.0, 0.0, 1001)), []
    as_dtype = tf.as_dtype
    monkeypatch.setattr(tf, "as_dtype", lambda given: (asked.append(given), as_dtype(given))[1])
    value = tf1.piecewise_constant(np.int64(500), boundaries, values)
    assert float(value()) == np.linspace(1.0, 0.0, 1001)[499]
    assert len(asked) < 10


@pytest.mark.parametrize("listed", [np.asarray, list], ids=["an array", "a list"])
def test_numbers_of_numpy_have_their_types(listed):
    assert tf1.piecewise_constant(3, listed(np.int32([2, 4])), listed(np.float16([1, 2, 3])))().dtype == tf.float16
    with pytest.raises(ValueError, match=r"boundaries\[0\]: expected int32, the type of x, got int64"):
        tf1.piecewise_constant(3, listed(np.int64([2, 4])), VALUES[:3])
    with pytest.raises(ValueError, match=r"boundaries: expected at least one boundary"):
        tf1.piecewise_constant(3, listed(np.int32([])), VALUES[:1])
    mixed = [*np.float32([0.5, 0.25]), *np.float64([0.125])]
    with pytest.raises(ValueError, match=r"values\[2\]: expected float32, the type of the first, got float64"):
        tf1.piecewise_constant(3, [2, 4], mixed)


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
