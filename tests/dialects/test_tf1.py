"""tf.compat.v1.train, in graph mode, beside lrcore.dialects.tf1.

In float32, as it is used: a row allows what was measured of TensorFlow itself, rounded up: in 300 runs each at most
2.5 ulp of the run's largest value, and where it says so more. Its cosines and cycles have
constants in float32 and know no other type, so they are also compared with their formula in 50 digits; the others with
TensorFlow in float64.
"""

import inspect
import warnings
from fractions import Fraction

import numpy as np
import pytest
from conformance import Row, always, compare
from hypothesis import given, settings, strategies as st
from mpmath import mp, mpf

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


def formula(value):
    """The numbers of a formula that takes the step, in 50 digits."""

    def run(arguments, n):
        with mp.workdps(50):
            return np.array([float(value(mpf(t), **arguments)) for t in range(n)])

    return run


def cycle_of(step, period, period_mult):
    """The cycle that a step is in, and where in it, exactly."""
    begin, length, number = Fraction(0), Fraction(period), 0
    while begin + length <= step:
        begin, length, number = begin + length, length * Fraction(repr(period_mult)), number + 1
    return number, (step - begin) / length


def restarts(arguments, n):
    """Restarts on a whole update: TensorFlow takes the floor of a logarithm there, which is rounded to either side."""
    if arguments["t_mul"] == 1:
        return []
    return [s for s in range(1, n) if cycle_of(s, arguments["first_decay_steps"], arguments["t_mul"])[1] == 0]


def cosine(t, learning_rate, decay_steps, alpha=0.0):
    fraction = min(t, decay_steps) / decay_steps
    return learning_rate * ((1 - mpf(alpha)) * (1 + mp.cos(mp.pi * fraction)) / 2 + alpha)


def cosine_restarts(t, learning_rate, first_decay_steps, t_mul=2.0, m_mul=1.0, alpha=0.0):
    number, share = cycle_of(Fraction(int(t)), first_decay_steps, t_mul)
    wave = mpf(m_mul) ** number * (1 + mp.cos(mp.pi * share.numerator / share.denominator)) / 2
    return learning_rate * ((1 - mpf(alpha)) * wave + alpha)


def polynomial(t, learning_rate, decay_steps, end_learning_rate=0.0001, power=1.0, cycle=False):
    steps = decay_steps * max(1, mp.ceil(t / decay_steps)) if cycle else decay_steps
    share = 1 - min(t, steps) / steps
    return (learning_rate - mpf(end_learning_rate)) * share ** mpf(power) + end_learning_rate


def linear_cosine(t, learning_rate, decay_steps, num_periods=0.5, alpha=0.0, beta=0.001, **_):
    fraction = min(t, decay_steps) / decay_steps
    wave = (1 + mp.cos(2 * mp.pi * num_periods * fraction)) / 2
    return learning_rate * ((alpha + 1 - fraction) * wave + beta)


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


def both(name, arguments, exact=None, *, ulps, of_largest=True, step_name="global_step", run=lambda _: FAR, **options):
    """A row in float64 (TensorFlow's own, or a formula), and one in float32."""
    build = getattr(train, name)
    drawn = st.fixed_dictionaries(arguments) if isinstance(arguments, dict) else arguments
    options |= {"key": f"tf1.{name}", "arguments": drawn, "run": run}
    peer = formula(exact) if exact else trace(build, np.float64, step_name)
    single = Row(peer=trace(build, step_name=step_name), dtype=np.float32, ulps=ulps, of_largest=of_largest, **options)
    return [Row(peer=peer, **options), single]


ROWS = [
    *both(
        "exponential_decay",
        decay | {"decay_rate": single(0.125, 1.0)},
        corners=({"learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5, "staircase": True},),
        ulps=4,  # TensorFlow measured: 2.5, from the rounded t / decay_steps in a power
        floor=0,
        endless=always,
    ),
    *both(
        "natural_exp_decay",
        decay | {"decay_rate": shares},
        corners=({"learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.0, "staircase": True},),
        ulps=48,  # it rounds exp(-decay_rate) first: half an ulp for each of up to 90 units of time
        floor=0,
        endless=always,
    ),
    *both(
        "inverse_time_decay",
        decay | {"decay_rate": shares},
        corners=({"learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.0, "staircase": True},),
        ulps=4,  # TensorFlow measured: 2.5, from two quotients, a product and a sum
        of_largest=False,
        floor=0,
        endless=always,
    ),
    *both(
        "polynomial_decay",
        {
            "learning_rate": rates,
            "decay_steps": spans,
            "end_learning_rate": shares.map(lambda share: share / 64),
            "power": st.one_of(st.sampled_from([1.0, 2.0, 0.5]), single(0.5, 4.0)),
            "cycle": st.booleans(),
        },
        polynomial,
        # The graph makes t / decay_steps a product with a rounded inverse, whose ceiling at a multiple may be the next
        skip=lambda a, n: range(a["decay_steps"], n, a["decay_steps"]) if a["cycle"] else [],
        corners=tuple(
            {"learning_rate": 0.1, "decay_steps": steps, "cycle": cycle, "power": power}
            for steps in (1, 2)
            for cycle in (False, True)
            for power in (1.0, 2.0)
        ),
        ulps=4,  # TensorFlow measured: 2.5, from 1 - t / decay_steps and a power
        endless=lambda a: a["cycle"],
    ),
    *both(
        "piecewise_constant",
        st.sets(st.integers(0, 40), min_size=1, max_size=5).map(sorted).flatmap(pieces),
        corners=({"boundaries": [0], "values": [1.0, 0.5]}, {"boundaries": [3, 4], "values": [1.0, 0.5, 0.25]}),
        step_name="x",
        ulps=1,
    ),
    *both(
        "cosine_decay",
        {"learning_rate": rates, "decay_steps": spans, "alpha": shares},
        cosine,
        corners=({"learning_rate": 0.1, "decay_steps": 1}, {"learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1}),
        ulps=4,  # TensorFlow measured: 2.5, from a rounded pi * t / decay_steps and 1 + cos
    ),
    *both(
        "cosine_decay_restarts",
        {
            "learning_rate": rates,
            "first_decay_steps": st.integers(2, 30),
            "t_mul": st.sampled_from([1.0, 2.0, 3.0, 1.25, 1.5, 2.5]),
            "m_mul": st.one_of(st.just(1.0), single(0.5, 1.25)),
            "alpha": shares,
        },
        cosine_restarts,
        corners=({"learning_rate": 0.1, "first_decay_steps": 1, "t_mul": 2.0},),
        # t / first_decay_steps loses up to 1.6 ulp for each whole cycle that is then subtracted from it
        run=lambda a: min(FAR, 8 * a["first_decay_steps"]),
        skip=restarts,
        ulps=16,
        endless=always,
    ),
    *both(
        "linear_cosine_decay",
        {
            "learning_rate": rates,
            "decay_steps": spans,
            "num_periods": st.sampled_from([0.5, 0.0, 1.0, 1.5, 0.75, 3.0]),
            "alpha": shares,
            "beta": shares,
        },
        linear_cosine,
        corners=({"learning_rate": 0.1, "decay_steps": 1}, {"learning_rate": 0.1, "decay_steps": 20}),
        ulps=12,  # measured: 6.25, with the cosine of six times pi
    ),
    *both(
        "noisy_linear_cosine_decay",
        {
            "learning_rate": rates,
            "decay_steps": spans,
            "initial_variance": st.just(0.0),
            "num_periods": st.sampled_from([0.5, 1.0, 0.75]),
            "beta": shares,
        },
        linear_cosine,
        corners=({"learning_rate": 0.1, "decay_steps": 1, "initial_variance": 0.0},),
        ulps=8,
    ),
]


def name_of(row):
    return f"{row.key}-{row.dtype.__name__}" if isinstance(row, Row) else None


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(r, corner) for r in ROWS for corner in r.corners], ids=name_of)
def test_corners(row, arguments):
    compare(row, arguments)


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
