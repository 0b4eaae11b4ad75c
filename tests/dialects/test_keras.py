"""keras.optimizers.schedules beside lrcore.dialects.keras: in float64, for the formula, and in float32, as it is used.

What a float32 row allows is what was measured of Keras itself, rounded up: in 2,500 runs each at most 2 ulp of the
exponential decay and the cosine, 2.25 of the polynomial, 3 of the inverse, 6.5 of the restarts. Where it subtracts
numbers near 1 or takes powers of rounded fractions, its error is one of the run's largest value.
"""

import inspect
import math
import warnings
from fractions import Fraction

import keras_server
import numpy as np
import pytest
from conformance import Row, always, compare
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


def trace(build, dtype, *, vectorised=True):
    """The learning rate of each update. Keras computes in the type of its first learning rate."""

    def cast(given):
        return dtype(given) if isinstance(given, float) else given

    def run(arguments, n):
        arguments = {
            name: [cast(one) for one in given] if isinstance(given, list) else cast(given)
            for name, given in arguments.items()
        }
        values = keras_server.values(build.__name__, arguments, n, vectorised)
        assert values.dtype == (np.float32 if dtype is float else np.float64)
        return values

    return run


def both(key, build, arguments, run=lambda _: FAR, *, ulps, of_largest=True, vectorised=True, **options):
    """A row in float64, and one in float32."""
    drawn = st.fixed_dictionaries(arguments) if isinstance(arguments, dict) else arguments
    options |= {"key": key, "arguments": drawn, "run": run}
    exact = Row(peer=trace(build, np.float64, vectorised=vectorised), **options)
    rounded = trace(build, float, vectorised=vectorised)
    return [exact, Row(peer=rounded, dtype=np.float32, ulps=ulps, of_largest=of_largest, **options)]


def cycle_of(step, period, period_mult):
    """The cycle that a step is in, and where in it, exactly."""
    begin, length, number = Fraction(0), Fraction(period), 0
    while begin + length <= step:
        begin, length, number = begin + length, length * Fraction(repr(period_mult)), number + 1
    return number, (step - begin) / length


def restarts(arguments, n):
    """Restarts on a whole update: Keras takes the floor of a logarithm there, which is rounded to either side."""
    if arguments["t_mul"] == 1:
        return []
    return [s for s in range(1, n) if cycle_of(s, arguments["first_decay_steps"], arguments["t_mul"])[1] == 0]


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


cosines = {"initial_learning_rate": rates, "decay_steps": spans, "alpha": shares}
warmups = cosines | {"warmup_target": rates, "warmup_steps": st.integers(0, 20)}

ROWS = [
    *both(
        "keras.ExponentialDecay",
        schedules.ExponentialDecay,
        {"initial_learning_rate": rates, "decay_steps": spans, "decay_rate": single(0.125, 1.0), "staircase": flags},
        corners=({"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5, "staircase": True},),
        ulps=3,  # Keras measured: 2 of its float64 self, from the rounded t / decay_steps in a power
        floor=0,
        endless=always,
    ),
    *both(
        "keras.PiecewiseConstantDecay",
        schedules.PiecewiseConstantDecay,
        st.sets(st.integers(0, 40), min_size=1, max_size=5).map(sorted).flatmap(pieces),
        corners=({"boundaries": [0], "values": [1.0, 0.5]}, {"boundaries": [3, 4], "values": [1.0, 0.5, 0.25]}),
        ulps=1,
    ),
    *both(
        "keras.PolynomialDecay",
        schedules.PolynomialDecay,
        {
            "initial_learning_rate": rates,
            "decay_steps": spans,
            "end_learning_rate": shares.map(lambda share: share / 64),
            "power": st.one_of(st.sampled_from([1.0, 2.0, 0.5]), single(0.5, 4.0)),
            "cycle": flags,
        },
        corners=tuple(
            {
                "initial_learning_rate": 0.1,
                "decay_steps": steps,
                "cycle": cycle,
                "power": power,
                "end_learning_rate": 1e-4,
            }
            for steps in (1, 2)
            for cycle in (False, True)
            for power in (1.0, 2.0)
        ),
        ulps=4,  # Keras measured: 2.25, from 1 - t / decay_steps and a power
        endless=lambda a: a["cycle"],
    ),
    *both(
        "keras.InverseTimeDecay",
        schedules.InverseTimeDecay,
        {
            "initial_learning_rate": rates,
            "decay_steps": spans,
            "decay_rate": shares.map(lambda share: 6 * share),
            "staircase": flags,
        },
        corners=({"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.0},),
        ulps=4,  # Keras measured: 3, from two quotients, a product and a sum
        of_largest=False,
        floor=0,
        endless=always,
    ),
    *both(
        "keras.CosineDecay",
        schedules.CosineDecay,
        st.one_of(st.fixed_dictionaries(cosines), st.fixed_dictionaries(warmups)),
        run=lambda a: a["decay_steps"] + a.get("warmup_steps", 0) + 3,
        corners=(
            {"initial_learning_rate": 0.1, "decay_steps": 1},
            {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1},
            {"initial_learning_rate": 0.0, "decay_steps": 1, "warmup_target": 0.3, "warmup_steps": 1},
        ),
        vectorised=False,
        ulps=3,  # Keras measured: 2, from a rounded pi * t / decay_steps and 1 + cos
    ),
    *both(
        "keras.CosineDecayRestarts",
        schedules.CosineDecayRestarts,
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
        ulps=16,  # Keras measured: 6.5; eight cycles of 1.6 at most
        endless=always,
    ),
]


def name_of(row):
    return f"{row.key}-{row.dtype.__name__}" if isinstance(row, Row) else None


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(r, corner) for r in ROWS for corner in r.corners], ids=name_of)
def test_corners(row, arguments):
    compare(row, arguments)


def test_every_schedule_has_a_row():
    declared = {key for key in PEERS if key.startswith("keras.")}
    assert declared == {row.key for row in ROWS}
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
            number, share = cycle_of(before, period, t_mul) if begin < 10**7 else (None, 0)
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
    arguments = {"initial_learning_rate": np.float64(0.1), "decay_steps": 10, "warmup_steps": 5}
    theirs = keras_server.values("CosineDecay", arguments, 20, vectorised=False)
    np.testing.assert_allclose(ours.table(20), theirs, rtol=1e-12, atol=1e-15)
    assert ours == Cosine(0.1, 0.0, 10)
    assert [quirk.name for quirk in ours.origin.quirks] == ["warmup-ignored"]


def test_an_int_is_the_float_that_it_equals():
    assert dialect.ExponentialDecay(1, 2, 0.25).table(4).tolist() == [1.0, 0.5, 0.25, 0.125]
    arguments = {"initial_learning_rate": 1, "decay_steps": 2, "decay_rate": 0.25}
    assert keras_server.values("ExponentialDecay", arguments, 2)[1] == 0  # Keras computes in integers


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
        (lambda: dialect.PolynomialDecay(0.1, 5, power=0.0), r"PolynomialDecay.power: expected a number > 0"),
    ],
)
def test_what_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
