"""tf.compat.v1.train, in graph mode, beside lrcore.dialects.tf1.

In float32, as it is used: what a row says of TensorFlow's own error was measured against the formula in 50 digits. Its
cosines and cycles have constants in float32 and know no other type; the others are also compared in float64.
"""

import inspect
import warnings

import formulas
import numpy as np
import pytest
from conformance import OwnError, Row, always, closely, compare, error_is_its_own
from hypothesis import given, settings, strategies as st

from lrcore import Constant
from lrcore.dialects import tf1 as dialect
from lrcore.dialects._dialect import PEERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

train = tf.compat.v1.train
VECTORISED = (  # take all steps at once; the others want a scalar
    *(train.exponential_decay, train.natural_exp_decay, train.inverse_time_decay, train.polynomial_decay),
    *(train.cosine_decay, train.cosine_decay_restarts, train.linear_cosine_decay),
)
FAR = 90


def trace(build, dtype=np.float32, step_name="global_step"):
    """The learning rate of each update, by one session. TensorFlow computes in the type of its learning rate."""

    def cast(given):
        return dtype(given) if isinstance(given, float) else given

    def run(arguments, n):
        arguments = {
            name: [cast(one) for one in given] if isinstance(given, list) else cast(given)
            for name, given in arguments.items()
        }
        with tf.Graph().as_default() as graph:
            step = tf.compat.v1.placeholder(tf.int64, [None] if build in VECTORISED else [])
            value = build(**{step_name: step}, **arguments)
        assert value.dtype == dtype
        with tf.compat.v1.Session(graph=graph) as session:
            if build in VECTORISED:
                return session.run(value, {step: np.arange(n)})
            return np.array([session.run(value, {step: at}) for at in range(n)])

    return run


def restarts(arguments, n):
    """Where TensorFlow may give the lowest value for the peak."""
    return formulas.restarts_of(arguments.get("t_mul", 2.0), arguments["first_decay_steps"], n)


def linear_cosine(t, *, initial_variance=0.0, **arguments):
    """Without noise, whose numbers are TensorFlow's own."""
    assert initial_variance == 0.0
    return formulas.linear_cosine(t, **arguments)


def single(least, most):
    """A float that float32 has: what the user's number loses on its way into TensorFlow is not asked here."""
    return st.floats(least, most, width=32)


rates = single(2**-13, 1.0)
spans = st.integers(1, 30)
shares = st.one_of(st.just(0.0), single(2**-10, 0.5))
decay = {"learning_rate": rates, "decay_steps": spans, "staircase": st.booleans()}


def pieces(boundaries):
    values = st.lists(rates, min_size=len(boundaries) + 1, max_size=len(boundaries) + 1)
    return st.fixed_dictionaries({"boundaries": st.just(boundaries), "values": values})


def both(
    name, formula, arguments, *, double=True, step_name="global_step", run=lambda _: FAR, peer_error=None, **options
):
    """A row in float64 where TensorFlow can, and one in float32."""
    build = getattr(train, name)
    drawn = st.fixed_dictionaries(arguments) if isinstance(arguments, dict) else arguments
    options |= {"key": f"tf1.{name}", "arguments": drawn, "run": run}
    exact = {"exact": formulas.trace(formula), "peer_error": peer_error}
    single = Row(peer=trace(build, step_name=step_name), dtype=np.float32, **exact, **options)
    return [Row(peer=trace(build, np.float64, step_name), **options), single] if double else [single]


ROWS = [
    *both(
        "exponential_decay",
        formulas.exponential,
        decay | {"decay_rate": single(0.125, 1.0)},
        corners=({"learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5, "staircase": True},),
        floor=0,
        endless=always,
        peer_error=OwnError(
            80,
            "the rounded t / decay_steps, times the logarithm of decay_rate, in a power",
            ({"learning_rate": 0.1306673288345337, "decay_steps": 3, "decay_rate": 0.1306673288345337},),
        ),
    ),
    *both(
        "natural_exp_decay",
        formulas.natural_exp,
        decay | {"decay_rate": shares},
        corners=({"learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.0, "staircase": True},),
        floor=0,
        endless=always,
        peer_error=OwnError(
            96,
            "exp(-decay_rate), rounded before it is raised to up to 90 units of time",
            (
                {
                    "learning_rate": 0.31376969814300537,
                    "decay_steps": 2,
                    "decay_rate": 0.31376969814300537,
                    "staircase": True,
                },
            ),
        ),
    ),
    *both(
        "inverse_time_decay",
        formulas.inverse_time,
        decay | {"decay_rate": shares},
        corners=({"learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.0, "staircase": True},),
        floor=0,
        endless=always,
    ),
    *both(
        "polynomial_decay",
        formulas.polynomial,
        {
            "learning_rate": rates,
            "decay_steps": spans,
            "end_learning_rate": shares.map(lambda share: share / 64),
            "power": st.one_of(st.sampled_from([1.0, 2.0, 0.5, 0.0]), single(0.5, 4.0)),
            "cycle": st.booleans(),
        },
        double=False,
        # The graph makes t / decay_steps a product with a rounded inverse, whose ceiling at a multiple may be the next
        skip=lambda a, n: range(a["decay_steps"], n, a["decay_steps"]) if a["cycle"] else [],
        corners=tuple(
            {"learning_rate": 0.1, "decay_steps": steps, "cycle": cycle, "power": power}
            for steps in (1, 2)
            for cycle in (False, True)
            for power in (0.0, 1.0, 2.0)
        ),
        endless=lambda a: a["cycle"],
        peer_error=OwnError(
            4,
            "1 - t / decay_steps, near its end, in a power",
            (
                {
                    "learning_rate": 0.7083931565284729,
                    "decay_steps": 11,
                    "end_learning_rate": 0.0,
                    "power": 2.288273811340332,
                    "cycle": True,
                },
            ),
            of_largest=True,
        ),
    ),
    *both(
        "piecewise_constant",
        formulas.piecewise,
        st.sets(st.integers(0, 40), min_size=1, max_size=5).map(sorted).flatmap(pieces),
        corners=({"boundaries": [0], "values": [1.0, 0.5]}, {"boundaries": [3, 4], "values": [1.0, 0.5, 0.25]}),
        step_name="x",
    ),
    *both(
        "cosine_decay",
        formulas.cosine,
        {"learning_rate": rates, "decay_steps": spans, "alpha": shares},
        double=False,
        corners=({"learning_rate": 0.1, "decay_steps": 1}, {"learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1}),
        peer_error=OwnError(
            4,
            "1 + cos of a rounded pi * t / decay_steps",
            ({"learning_rate": 0.4887814521789551, "decay_steps": 15},),
            of_largest=True,
        ),
    ),
    *both(
        "cosine_decay_restarts",
        formulas.cosine_restarts,
        {
            "learning_rate": rates,
            "first_decay_steps": st.integers(2, 30),
            "t_mul": st.sampled_from([1.0, 2.0, 3.0, 1.25, 1.5, 2.5]),
            "m_mul": st.one_of(st.just(1.0), single(0.5, 1.25)),
            "alpha": shares,
        },
        double=False,
        corners=({"learning_rate": 0.1, "first_decay_steps": 1, "t_mul": 2.0},),
        # t / first_decay_steps loses up to 1.6 ulp for each whole cycle that is then subtracted from it
        run=lambda a: min(FAR, 8 * a["first_decay_steps"]),
        skip=restarts,
        endless=always,
        peer_error=OwnError(
            15,
            "t / first_decay_steps, of which the whole cycles are subtracted: up to 1.6 for each",
            ({"learning_rate": 0.5, "first_decay_steps": 13, "t_mul": 1.0, "m_mul": 1.25},),
            of_largest=True,
        ),
    ),
    *both(
        "linear_cosine_decay",
        linear_cosine,
        {
            "learning_rate": rates,
            "decay_steps": spans,
            "num_periods": st.sampled_from([0.5, 0.0, 1.0, 1.5, 0.75, 3.0]),
            "alpha": shares,
            "beta": shares,
        },
        double=False,
        corners=({"learning_rate": 0.1, "decay_steps": 1}, {"learning_rate": 0.1, "decay_steps": 20}),
        peer_error=OwnError(
            12,
            "1 + cos of a rounded number of up to six times pi",
            ({"learning_rate": 0.37554603815078735, "decay_steps": 28, "num_periods": 3.0, "beta": 0.0},),
            of_largest=True,
        ),
    ),
    *both(
        "noisy_linear_cosine_decay",
        linear_cosine,
        {
            "learning_rate": rates,
            "decay_steps": spans,
            "initial_variance": st.just(0.0),
            "num_periods": st.sampled_from([0.5, 1.0, 0.75]),
            "beta": shares,
        },
        double=False,
        corners=({"learning_rate": 0.1, "decay_steps": 1, "initial_variance": 0.0},),
        peer_error=OwnError(
            6,
            "1 + cos of a rounded number of up to twice pi",
            ({"learning_rate": 0.22533097863197327, "decay_steps": 15, "initial_variance": 0.0, "beta": 0.0},),
            of_largest=True,
        ),
    ),
]


def name_of(row):
    return f"{row.key}-{row.dtype.__name__}" if isinstance(row, Row) else None


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(r, corner) for r in ROWS for corner in r.corners], ids=name_of)
def test_corners(row, arguments):
    compare(row, arguments)


OFF = [row for row in ROWS if row.peer_error]


@pytest.mark.parametrize("row", OFF, ids=name_of)
def test_the_error_of_tensorflow_is_its_own(row):
    error_is_its_own(row)


KEYS = sorted(key for key in PEERS if key.startswith("tf1."))


def test_every_schedule_has_a_row():
    assert set(KEYS) == {row.key for row in ROWS}
    theirs = {name for name in dir(train) if "decay" in name or "piecewise" in name}
    assert theirs == set(dialect.__all__)
    assert train.piecewise_constant_decay is train.piecewise_constant
    assert dialect.piecewise_constant_decay is dialect.piecewise_constant


@pytest.mark.parametrize("key", KEYS)
def test_arguments_and_defaults_are_those_of_tensorflow(key):
    name = key.removeprefix("tf1.")
    theirs = dict(inspect.signature(getattr(train, name)).parameters)
    ours = dict(inspect.signature(getattr(dialect, name)).parameters)
    for left_out in ("name", "global_step", "x"):
        theirs.pop(left_out, None)
    for added in ("seed", "strict"):
        assert ours.pop(added, None) is None or name == "noisy_linear_cosine_decay" or added != "seed"
    assert [(n, p.default) for n, p in ours.items()] == [(n, p.default) for n, p in theirs.items()]


class TestNoise:
    """The noise of noisy_linear_cosine_decay, whose numbers are our own, and whose distribution is TensorFlow's."""

    def noise(self, n, **arguments):
        """Over its deviation, which the formula gives; no cosine (0 periods), so that nothing scales it but that."""
        arguments = {"num_periods": 0.0, "decay_steps": n} | arguments
        noisy = dialect.noisy_linear_cosine_decay(0.5, **arguments)
        plain = dialect.noisy_linear_cosine_decay(0.5, **arguments | {"initial_variance": 0.0})
        variance = arguments.get("initial_variance", 1.0) / (1 + np.arange(n)) ** arguments.get("variance_decay", 0.55)
        return (noisy.table(n) - plain.table(n)) / 0.5 / np.sqrt(variance)

    @pytest.mark.parametrize(
        "arguments", [{}, {"initial_variance": 4.0, "variance_decay": 1.5}, {"variance_decay": 0.0}, {"seed": 3}]
    )
    def test_is_normal_with_the_variance_of_the_formula(self, arguments):
        n = 40_000
        noise = self.noise(n, **arguments)
        assert abs(noise.mean()) < 4 / np.sqrt(n)
        assert abs(noise.var() - 1) < 4 * np.sqrt(2 / n)
        assert abs((noise**3).mean()) < 4 * np.sqrt(15 / n)
        assert abs((noise**4).mean() - 3) < 4 * np.sqrt(96 / n)
        assert abs((noise[1:] * noise[:-1]).mean()) < 4 / np.sqrt(n)

    def test_has_the_deviation_that_tensorflow_s_has(self):
        n, draws = 4, 2_000
        arguments = {"learning_rate": 1.0, "decay_steps": 8, "num_periods": 0.0, "beta": 0.0}
        with tf.Graph().as_default() as graph:
            tf.compat.v1.set_random_seed(1)
            step = tf.compat.v1.placeholder(tf.int64, [])
            value = train.noisy_linear_cosine_decay(global_step=step, **arguments)
        with tf.compat.v1.Session(graph=graph) as session:
            theirs = np.array([[session.run(value, {step: at}) for _ in range(draws)] for at in range(n)])
        ours = np.array([dialect.noisy_linear_cosine_decay(**arguments, seed=seed).table(n) for seed in range(draws)]).T
        np.testing.assert_allclose(ours.mean(axis=1), theirs.mean(axis=1), atol=0.14)  # 4 deviations of a difference
        np.testing.assert_allclose(ours.std(axis=1) / theirs.std(axis=1), 1, atol=0.09)

    def test_is_a_function_of_seed_and_step(self):
        noisy = dialect.noisy_linear_cosine_decay(0.1, 50, seed=5)
        assert noisy.table(50).tolist() == [noisy(step) for step in range(50)]
        assert not np.array_equal(noisy.table(50), dialect.noisy_linear_cosine_decay(0.1, 50, seed=6).table(50))

    def test_holds_past_the_end_unless_strict(self):
        held = dialect.noisy_linear_cosine_decay(0.1, 50, num_periods=1.0)
        assert np.ptp(held.table(50, start=50)) == 0.0
        assert held(50) == pytest.approx(0.1 * 0.001, rel=1e-12)
        goes_on = dialect.noisy_linear_cosine_decay(0.1, 50, num_periods=1.0, strict=True)
        assert np.ptp(goes_on.table(50, start=50)) > 0.01
        assert np.array_equal(held.table(50), goes_on.table(50))
        assert [quirk.name for quirk in goes_on.origin.quirks] == ["noise-goes-on"]


def test_every_multiple_of_decay_steps_is_where_the_formula_has_it():
    """TensorFlow's graph is an update late with 41 (a staircase), and takes the next cycle at 21 with 7."""
    for steps in range(1, 70):
        multiples = np.arange(12) * steps
        stairs = dialect.exponential_decay(1.0, steps, 0.5, staircase=True)
        assert stairs(multiples).tolist() == [0.5**k for k in range(12)]
        assert stairs(multiples[1:] - 1).tolist() == [0.5**k for k in range(11)]
        cycles = dialect.polynomial_decay(1.0, steps, 0.25, cycle=True)
        assert cycles(multiples).tolist() == [1.0] + [0.25] * 11
        later = [0.25 + 0.75 * (steps - 1) / (steps * (k + 1)) for k in range(12)]
        np.testing.assert_allclose(cycles(multiples + 1), later, rtol=1e-15)


START = {"learning_rate": 0.125}
DECIMAL = [
    ("exponential_decay", START | {"decay_steps": 10.5, "decay_rate": 0.5}),
    ("exponential_decay", START | {"decay_steps": 10.5, "decay_rate": 0.5, "staircase": True}),
    ("natural_exp_decay", START | {"decay_steps": 2.25, "decay_rate": 0.25, "staircase": True}),
    ("inverse_time_decay", START | {"decay_steps": 2.25, "decay_rate": 0.5, "staircase": True}),
    ("polynomial_decay", START | {"decay_steps": 10.5, "power": 2.0}),
    ("polynomial_decay", START | {"decay_steps": 10, "power": 0.0}),
    ("cosine_decay", START | {"decay_steps": 10.5, "alpha": 0.25}),
    ("cosine_decay_restarts", START | {"first_decay_steps": 10.5}),
    ("linear_cosine_decay", START | {"decay_steps": 10.5, "num_periods": 1.5}),
    ("noisy_linear_cosine_decay", START | {"decay_steps": 10.5, "initial_variance": 0.0}),
]


@pytest.mark.parametrize(("name", "arguments"), DECIMAL)
def test_durations_that_are_not_whole(name, arguments):
    row = next(row for row in ROWS if row.key == f"tf1.{name}" and row.dtype == np.float32)
    ours = getattr(dialect, name)(**arguments).table(40)
    assert closely(ours, row.exact(arguments, 40))
    looked_at = np.setdiff1d(np.arange(40), restarts(arguments, 40)) if "restarts" in name else np.arange(40)
    theirs = row.peer(arguments, 40).astype(float)
    assert np.abs(ours - theirs)[looked_at].max() <= 12 * np.spacing(np.float32(ours.max()))


def test_the_first_value_of_linear_cosine_decay_is_above_its_learning_rate():
    assert dialect.linear_cosine_decay(1.0, 10)(0) == 1.001


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: dialect.piecewise_constant([4, 2], [1.0, 0.5, 0.25]),
            r"boundaries\[1\]: expected steps that increase",
        ),
        (lambda: dialect.cosine_decay_restarts(0.1, 10, t_mul=0.5), r"restarts.t_mul: expected a number >= 1"),
        (lambda: dialect.cosine_decay_restarts(0.1, 10, t_mul=1.0001), r"restarts.t_mul: .* at most 10000"),
        (lambda: dialect.natural_exp_decay(0.1, 10, -1.0), r"natural_exp_decay.decay_rate: expected a number >= 0"),
        (lambda: dialect.noisy_linear_cosine_decay(0.1, 10, -1.0), r"initial_variance: expected a number >= 0"),
        (lambda: dialect.cosine_decay(0.1, 0), r"cosine_decay.decay_steps: .* an int >= 1, got 0"),
    ],
)
def test_what_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_schedule_without_noise_has_no_noise():
    assert dialect.noisy_linear_cosine_decay(0.0, 10).table(20).tolist() == Constant(0.0).table(20).tolist()
