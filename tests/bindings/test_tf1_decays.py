"""The decays of tf1 beside the live ones of tf.compat.v1.train."""

import warnings

import numpy as np
import pytest
from tf1_arguments import DECAYS, START
from tf1_runs import mode, nodes, outcome, result, values_in_a_graph  # noqa: F401 (mode is a fixture)

from lrcore.dialects import tf1 as dialect

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

    from lrcore.bindings import tf1

v1 = tf.compat.v1
train = v1.train

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


GROWING = [
    ("natural_exp_decay", {"decay_steps": 10, "decay_rate": -0.05}),
    ("inverse_time_decay", {"decay_steps": 10, "decay_rate": -0.05, "staircase": True}),
    ("exponential_decay", {"decay_steps": 10, "decay_rate": 0.0}),
]


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(("name", "arguments"), GROWING)
def test_rates_that_no_schedule_has_do_as_tensorflow(name, arguments):
    for step in (0, 7, 50):
        given = START | arguments | {"global_step": step}
        theirs = outcome(lambda given=given: getattr(train, name)(**given))
        assert outcome(lambda given=given: getattr(tf1, name)(**given)) == theirs
    with pytest.raises(ValueError, match=rf"{name}.decay_steps: expected .* got 0"):
        getattr(tf1, name)(global_step=3, **START | arguments | {"decay_steps": 0})


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
