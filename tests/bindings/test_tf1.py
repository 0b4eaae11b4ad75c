"""The schedules of tf1 as nodes of a graph."""

import doctest
import inspect
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from tf1_runs import BOUNDARIES, STEP_TYPES, VALUES, mode, nodes, result, values_in_a_graph  # noqa: F401 (mode is a fixture)

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


# ---- Nodes ----


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
