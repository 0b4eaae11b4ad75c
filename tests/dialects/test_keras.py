"""keras.optimizers.schedules on each of its backends beside lrcore.dialects.keras: in float64, and in float32.

In float32, as Keras is used, what a row says of Keras' own error was measured against the formula in 50 digits.
"""

import inspect
import math
import warnings
from fractions import Fraction

import formulas
import keras_server
import numpy as np
import pytest
from conformance import OwnError, Row, always, closely, compare, error_is_its_own
from hypothesis import given, settings, strategies as st

from lrcore import Cosine
from lrcore.dialects import keras as dialect
from lrcore.dialects._dialect import PEERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras

schedules = keras.optimizers.schedules

FAR = 90
END = {"end_learning_rate": 1e-4}  # the default, which a float64 Keras rounds to float32


def trace(name, backend, double, vectorised):
    """The learning rate of each update. Keras computes in the type of its first learning rate."""

    def run(arguments, n):
        values = keras_server.values(name, arguments, n, vectorised, backend=backend, double=double)
        assert values.dtype == (np.float64 if double else np.float32)
        return values

    return run


def everywhere(name, formula, arguments, run=lambda _: FAR, *, peer_error=None, vectorised=True, jax=None, **options):
    """For each backend a row in float64, and one in float32; `jax` is what is different there."""
    drawn = st.fixed_dictionaries(arguments) if isinstance(arguments, dict) else arguments
    options |= {"key": f"keras.{name}", "arguments": drawn, "run": run}
    single = {"dtype": np.float32, "exact": formulas.trace(formula), "peer_error": peer_error}
    rows = {}
    for backend in keras_server.BACKENDS:
        more = options | (jax or {} if backend == "jax" else {})
        rows[backend, "float32"] = Row(peer=trace(name, backend, False, vectorised), **more, **single)
        if backend != "jax" or "Cosine" not in name:  # on JAX a cosine is one of float32, whatever it is told
            rows[backend, "float64"] = Row(peer=trace(name, backend, True, vectorised), **more)
    return rows


def single(least, most):
    """A float that float32 has: what the user's number loses on its way into Keras is not asked here."""
    return st.floats(least, most, width=32)


rates = single(2**-13, 1.0)
spans = st.integers(1, 30)
shares = st.one_of(st.just(0.0), single(2**-10, 0.5))
flags = st.booleans()


def pieces(boundaries):
    values = st.lists(rates, min_size=len(boundaries) + 1, max_size=len(boundaries) + 1)
    return st.fixed_dictionaries({"boundaries": st.just(boundaries), "values": values})


def restarts(arguments, n):
    """Where Keras may give the lowest value for the peak."""
    return formulas.restarts_of(arguments.get("t_mul", 2.0), arguments["first_decay_steps"], n)


cosines = {"initial_learning_rate": rates, "decay_steps": spans, "alpha": shares}
warmups = cosines | {"warmup_target": rates, "warmup_steps": st.integers(0, 20)}

ROWS = [
    everywhere(
        "ExponentialDecay",
        formulas.exponential,
        {"initial_learning_rate": rates, "decay_steps": spans, "decay_rate": single(0.125, 1.0), "staircase": flags},
        corners=({"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5, "staircase": True},),
        floor=0,
        endless=always,
        peer_error=OwnError(
            80,
            "the rounded t / decay_steps, times the logarithm of decay_rate, in a power",
            (
                {"initial_learning_rate": 0.125, "decay_rate": 0.13066732883453369, "decay_steps": 3},
                {"initial_learning_rate": 0.125, "decay_rate": 0.13066732883453369, "decay_steps": 5},
            ),
        ),
    ),
    everywhere(
        "PiecewiseConstantDecay",
        formulas.piecewise,
        st.sets(st.integers(0, 40), min_size=1, max_size=5).map(sorted).flatmap(pieces),
        corners=({"boundaries": [0], "values": [1.0, 0.5]}, {"boundaries": [3, 4], "values": [1.0, 0.5, 0.25]}),
    ),
    everywhere(
        "PolynomialDecay",
        formulas.polynomial,
        {
            "initial_learning_rate": rates,
            "decay_steps": spans,
            "end_learning_rate": shares.map(lambda share: share / 64),
            "power": st.one_of(st.sampled_from([1.0, 2.0, 0.5, 0.0]), single(0.5, 4.0)),
            "cycle": flags,
        },
        corners=tuple(
            END | {"initial_learning_rate": 0.1, "decay_steps": steps, "cycle": cycle, "power": power}
            for steps in (1, 2)
            for cycle in (False, True)
            for power in (0.0, 1.0, 2.0)
        ),
        endless=lambda a: a["cycle"],
        # XLA makes t / decay_steps a product with a rounded inverse, whose ceiling at a multiple may be the next
        jax={"skip": lambda a, n: range(a["decay_steps"], n, a["decay_steps"]) if a["cycle"] else []},
        peer_error=OwnError(
            4,
            "1 - t / decay_steps, near its end, in a power",
            (
                {
                    "initial_learning_rate": 0.44561660289764404,
                    "decay_steps": 6,
                    "end_learning_rate": 0.0,
                    "power": 0.5,
                    "cycle": True,
                },
            ),
            of_largest=True,
        ),
    ),
    everywhere(
        "InverseTimeDecay",
        formulas.inverse_time,
        {
            "initial_learning_rate": rates,
            "decay_steps": spans,
            "decay_rate": shares.map(lambda share: 6 * share),
            "staircase": flags,
        },
        corners=({"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.0},),
        floor=0,
        endless=always,
    ),
    everywhere(
        "CosineDecay",
        formulas.warm_cosine,
        st.one_of(st.fixed_dictionaries(cosines), st.fixed_dictionaries(warmups)),
        run=lambda a: a["decay_steps"] + a.get("warmup_steps", 0) + 3,
        corners=(
            {"initial_learning_rate": 0.1, "decay_steps": 1},
            {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1},
            {"initial_learning_rate": 0.0, "decay_steps": 1, "warmup_target": 0.3, "warmup_steps": 1},
        ),
        vectorised=False,
        peer_error=OwnError(
            4,
            "1 + cos of a rounded pi * t / decay_steps",
            ({"initial_learning_rate": 0.4887814521789551, "decay_steps": 15},),
            of_largest=True,
        ),
    ),
    everywhere(
        "CosineDecayRestarts",
        formulas.cosine_restarts,
        {
            "initial_learning_rate": rates,
            "first_decay_steps": st.integers(2, 30),
            "t_mul": st.sampled_from([1.0, 2.0, 3.0, 1.25, 1.5, 2.5]),
            "m_mul": st.one_of(st.just(1.0), single(0.5, 1.25)),
            "alpha": shares,
        },
        corners=({"initial_learning_rate": 0.1, "first_decay_steps": 1, "t_mul": 2.0},),
        # t / first_decay_steps loses up to 1.6 ulp for each whole cycle that is then subtracted from it
        run=lambda a: min(FAR, 8 * a["first_decay_steps"]),
        skip=restarts,
        endless=always,
        peer_error=OwnError(
            15,
            "t / first_decay_steps, of which the whole cycles are subtracted: up to 1.6 for each",
            ({"initial_learning_rate": 0.5, "first_decay_steps": 13, "t_mul": 1.0, "m_mul": 1.25},),
            of_largest=True,
        ),
    ),
]
ROWS = {f"{row.key}-{backend}-{dtype}": row for rows in ROWS for (backend, dtype), row in rows.items()}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_corners(row):
    for arguments in row.corners:
        compare(row, arguments)


OFF = {name: row for name, row in ROWS.items() if row.peer_error}


@pytest.mark.parametrize("row", OFF.values(), ids=OFF)
def test_the_error_of_keras_is_its_own(row):
    error_is_its_own(row)


def test_every_schedule_has_a_row():
    declared = {key for key in PEERS if key.startswith("keras.")}
    assert declared == {row.key for row in ROWS.values()}
    others = {"LearningRateSchedule", "serialize", "deserialize"}
    assert declared == {f"keras.{name}" for name in dir(schedules) if not name.startswith("_") and name not in others}
    assert declared == {f"keras.{name}" for name in dialect.__all__}


@pytest.mark.parametrize("key", sorted(key for key in PEERS if key.startswith("keras.")))
def test_arguments_and_defaults_are_those_of_keras(key):
    name = key.removeprefix("keras.")
    theirs = dict(inspect.signature(getattr(schedules, name)).parameters)
    ours = dict(inspect.signature(getattr(dialect, name)).parameters)
    del theirs["name"]
    ours.pop("strict", None)
    assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in theirs.items()}
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("period", [1, 2, 7, 10, 100, 1000])
@pytest.mark.parametrize("t_mul", [1, 1.1, 1.5, 2, 2.5, 3, 10])
def test_each_restart_is_at_its_peak(period, t_mul):
    schedule = dialect.CosineDecayRestarts(0.3, period, t_mul=t_mul)
    begin, length, whole = Fraction(0), Fraction(period), 0
    for _ in range(40):
        if begin >= 2**50:
            break
        if begin.denominator == 1:
            assert schedule(int(begin)) == pytest.approx(0.3, rel=1e-15)
            whole += 1
        if begin:
            before = -(-begin.numerator // begin.denominator) - 1
            number, share = formulas.cycle_of(before, period, t_mul) if begin < 10**7 else (None, 0)
            expected = 0.3 * (1 + math.cos(math.pi * share)) / 2
            assert number is None or schedule(before) == pytest.approx(expected, rel=1e-12, abs=1e-14)
        begin, length = begin + length, length * Fraction(repr(t_mul))
    assert whole >= 2


def test_a_height_that_leaves_the_range_of_values_stays_where_it_is():
    tiny = dialect.CosineDecayRestarts(0.1, 3, t_mul=1.5, m_mul=1e-30)
    assert tiny(3) == pytest.approx(1e-31)
    assert 0.0 <= tiny(10**9) < 1e-60


def test_a_warm_up_without_target_is_refused_unless_strict():
    with pytest.raises(ValueError, match=r"CosineDecay.warmup_steps: expected 0 without warmup_target"):
        dialect.CosineDecay(0.1, 10, warmup_steps=5)
    ours = dialect.CosineDecay(0.1, 10, warmup_steps=5, strict=True)
    arguments = {"initial_learning_rate": 0.1, "decay_steps": 10, "warmup_steps": 5}
    for backend in ("tensorflow", "torch"):
        theirs = keras_server.values("CosineDecay", arguments, 20, False, backend=backend, double=True)
        np.testing.assert_allclose(ours.table(20), theirs, rtol=1e-12, atol=1e-15)
    assert ours == Cosine(0.1, 0.0, 10)
    assert [quirk.name for quirk in ours.origin.quirks] == ["warmup-ignored"]


START = {"initial_learning_rate": 0.1}
DECIMAL = [
    ("ExponentialDecay", formulas.exponential, START | {"decay_steps": 10.5, "decay_rate": 0.5}),
    ("ExponentialDecay", formulas.exponential, START | {"decay_steps": 10.5, "decay_rate": 0.5, "staircase": True}),
    ("ExponentialDecay", formulas.exponential, START | {"decay_steps": 0.625, "decay_rate": 0.9, "staircase": True}),
    ("InverseTimeDecay", formulas.inverse_time, START | {"decay_steps": 2.25, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", formulas.inverse_time, START | {"decay_steps": 2.2, "decay_rate": 0.5}),
    ("PolynomialDecay", formulas.polynomial, START | END | {"decay_steps": 10.5}),
    ("PolynomialDecay", formulas.polynomial, START | {"decay_steps": 30.2, "power": 2.0, "end_learning_rate": 0.01}),
    ("PolynomialDecay", formulas.polynomial, START | END | {"decay_steps": 0.5, "power": 0.5}),
    ("PolynomialDecay", formulas.polynomial, START | END | {"decay_steps": 5.5, "power": 0.0}),
    ("CosineDecay", formulas.warm_cosine, START | {"decay_steps": 10.5, "alpha": 0.1}),
    ("CosineDecay", formulas.warm_cosine, START | {"decay_steps": 9.3, "warmup_target": 0.5, "warmup_steps": 3.3}),
    ("CosineDecay", formulas.warm_cosine, START | {"decay_steps": 9, "warmup_target": 0.5, "warmup_steps": 0.5}),
    ("CosineDecayRestarts", formulas.cosine_restarts, START | {"first_decay_steps": 10.5}),
    ("CosineDecayRestarts", formulas.cosine_restarts, START | {"first_decay_steps": 2.25, "t_mul": 1.0, "m_mul": 0.9}),
    ("CosineDecayRestarts", formulas.cosine_restarts, START | {"first_decay_steps": 7.25, "t_mul": 1.5, "alpha": 0.1}),
]


@pytest.mark.parametrize(("name", "formula", "arguments"), DECIMAL)
def test_durations_that_are_not_whole(name, formula, arguments):
    ours = getattr(dialect, name)(**arguments)
    assert closely(ours.table(FAR), formulas.trace(formula)(arguments, FAR))
    looked_at = np.arange(FAR)
    if name == "CosineDecayRestarts":
        skipped = formulas.restarts_of(arguments.get("t_mul", 2.0), arguments["first_decay_steps"], FAR)
        looked_at = np.setdiff1d(looked_at, skipped)
    for backend in ("tensorflow", "torch") if "Cosine" in name else keras_server.BACKENDS:
        theirs = keras_server.values(name, arguments, FAR, name == "ExponentialDecay", backend=backend, double=True)
        assert np.abs(ours.table(FAR) - theirs)[looked_at].max() <= 1e-12 * theirs.max()
    if name in ("PolynomialDecay", "CosineDecay"):
        assert ours.length <= math.ceil(arguments["decay_steps"] + arguments.get("warmup_steps", 0))


def test_a_float_that_is_whole_is_an_int():
    assert dialect.CosineDecay(0.1, 10.0) == Cosine(0.1, 0.0, 10)


INT = {"initial_learning_rate": 1}


@pytest.mark.parametrize("backend", keras_server.BACKENDS)
def test_keras_computes_in_integers_with_an_int(backend):
    """Which is why an int is refused: nobody means that."""

    def values(name, **arguments):
        return keras_server.values(name, INT | arguments, 8, False, backend=backend).tolist()

    assert values("ExponentialDecay", decay_steps=2, decay_rate=0.25) == [1] + [0] * 7
    assert values("InverseTimeDecay", decay_steps=2, decay_rate=0.5) == [1] * 8
    assert values("PolynomialDecay", decay_steps=4, end_learning_rate=0.5)[4:] == [0] * 4
    assert values("CosineDecay", decay_steps=4)[4] == pytest.approx((1 + math.cos(3)) / 2, abs=1e-6)
    warmup = {"initial_learning_rate": 0, "decay_steps": 4, "warmup_target": 0.5, "warmup_steps": 2}
    if backend == "torch":
        assert values("CosineDecay", **warmup) == [0] * 8
    if backend == "tensorflow":
        with pytest.raises(RuntimeError):
            values("CosineDecay", **warmup)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ExponentialDecay", {"decay_steps": 2, "decay_rate": 0.25}),
        ("InverseTimeDecay", {"decay_steps": 2, "decay_rate": 0.25}),
        ("PolynomialDecay", {"decay_steps": 2}),
        ("CosineDecay", {"decay_steps": 2}),
        ("CosineDecayRestarts", {"first_decay_steps": 2}),
    ],
)
def test_an_int_is_refused(name, arguments):
    for given_one in (1, 0, np.int64(1)):
        with pytest.raises(TypeError, match=rf"{name}.initial_learning_rate: expected a float: .* pi is 3"):
            getattr(dialect, name)(given_one, **arguments)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: dialect.PiecewiseConstantDecay([4, 2], [1.0, 0.5, 0.25]), r"boundaries\[1\]: expected steps that inc"),
        (lambda: dialect.PiecewiseConstantDecay([], [1.0]), r"boundaries: expected at least one step"),
        (lambda: dialect.PiecewiseConstantDecay([2], [1.0]), r"values: expected 2 values for 1 boundaries"),
        (lambda: dialect.CosineDecayRestarts(0.1, 10, t_mul=0.5), r"Restarts.t_mul: expected a number >= 1"),
        (
            lambda: dialect.CosineDecayRestarts(0.1, 10, t_mul=1.0001),
            r"CosineDecayRestarts.t_mul: .* at most 10000",
        ),
        (lambda: dialect.ExponentialDecay(0.1, 0, 0.5), r"ExponentialDecay.decay_steps: .* an int >= 1, got 0"),
        (lambda: dialect.PolynomialDecay(0.1, 5, power=-1.0), r"PolynomialDecay.power: expected a number >= 0"),
        (lambda: dialect.PolynomialDecay(0.1, 5.5, cycle=True), r"decay_steps: .* whole number of updates with cycle"),
        (lambda: dialect.CosineDecay(0.1, 0.0), r"CosineDecay.decay_steps: expected a number > 0, got 0.0"),
        (lambda: dialect.ExponentialDecay(0.1, 1 / 3, 0.5, True), r"decay_steps: expected a decimal with a whole mult"),
        (lambda: dialect.CosineDecayRestarts(0.1, 0.5), r"CosineDecayRestarts.t_mul: expected cycles of at least one"),
        (lambda: dialect.CosineDecayRestarts(0.1, 10 / 3, 1.0), r"Restarts.t_mul: expected another factor than 1 with"),
    ],
)
def test_what_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
