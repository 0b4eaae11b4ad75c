"""optax.schedules beside lrcore.dialects.optax: in float64, which JAX computes in when it is asked to, and in float32.

What a float32 row allows is what was measured of optax itself, rounded up (in 200 runs each: at most 2 ulp, and 3.5 of
the root of a cosine). It subtracts numbers near 1 and takes powers of rounded fractions, so its error is one of the
run's largest value.
"""

import inspect
import warnings

import numpy as np
import pytest
from conformance import Row, always, compare, largest_difference
from hypothesis import assume, given, settings, strategies as st

from lrcore import Constant, Linear
from lrcore.dialects import optax as dialect
from lrcore.dialects._dialect import PEERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import jax
    import jax.numpy as jnp
    import optax

FAR = 90


def values_of(schedule, n):
    """At the first n updates; a value that is no array is the same at each."""
    return np.broadcast_to(np.asarray(schedule(jnp.arange(n))), (n,))


def trace(build, *, double, vectorised=True):
    def run(arguments, n):
        with jax.enable_x64(double):
            schedule = build(**arguments)
            if vectorised:
                return values_of(schedule, n)
            return np.asarray(jax.vmap(schedule)(jnp.arange(n)))

    return run


def both(name, arguments, run=lambda _: FAR, *, build=None, ulps=4, of_largest=True, vectorised=True, **options):
    """A row in float64, and one in float32."""
    build = build or getattr(optax.schedules, name)
    drawn = st.fixed_dictionaries(arguments) if isinstance(arguments, dict) else arguments
    options |= {"key": f"optax.{name}", "arguments": drawn, "run": run}
    double, single = (trace(build, double=double, vectorised=vectorised) for double in (True, False))
    rounded = Row(peer=single, dtype=np.float32, ulps=ulps, of_largest=of_largest, **options)
    return [Row(peer=double, **options), rounded]


def single(least, most):
    """A float that float32 has: what the user's number loses on its way into JAX is not asked here."""
    return st.floats(least, most, width=32)


rates = single(2**-13, 1.0)
spans = st.integers(1, 30)
delays = st.integers(0, 20)
shares = st.one_of(st.just(0.0), single(2**-10, 0.5))
ends = shares.map(lambda share: share / 64)
powers = st.one_of(st.sampled_from([1.0, 2.0, 0.5]), single(0.5, 4.0))
scales = st.dictionaries(st.integers(0, 60), st.one_of(st.just(0.0), single(0.125, 2.0)), max_size=5)
transition = {"transition_steps": spans, "transition_begin": delays}
decay = {
    "transition_steps": spans,
    "decay_rate": single(0.125, 1.0),
    "transition_begin": delays,
    "staircase": st.booleans(),
    "end_value": st.one_of(st.none(), ends),
}
warmup = {"init_value": shares, "peak_value": rates, "warmup_steps": st.integers(0, 20)}


def longer(arguments):
    """decay_steps is what is left after the warm-up, until here."""
    return arguments | {"decay_steps": arguments["decay_steps"] + arguments["warmup_steps"]}


cycles = st.fixed_dictionaries(warmup | {"decay_steps": spans, "end_value": ends, "exponent": powers}).map(longer)


def apart(arguments):
    """Whether no two phases end at the same update: where they do, `strict` alone does as optax."""
    steps = arguments["transition_steps"]
    ends_at = [int(arguments[name] * steps) for name in ("pct_start", "pct_final") if name in arguments]
    return len({*ends_at, steps}) == len(ends_at) + 1


# As what each takes, so that both sides can be built of it.
parts = st.one_of(
    st.fixed_dictionaries({"name": st.just("constant_schedule"), "value": rates}),
    st.fixed_dictionaries(
        {"name": st.just("linear_schedule"), "init_value": rates, "end_value": ends, "transition_steps": spans}
    ),
    st.fixed_dictionaries({"name": st.just("cosine_decay_schedule"), "init_value": rates, "decay_steps": spans}),
)


def built(where, listed):
    return [getattr(where, part["name"])(**{k: v for k, v in part.items() if k != "name"}) for part in listed]


def cosine_of(steps):
    return {"init_value": 0.3, "decay_steps": steps, "alpha": 0.1, "exponent": 2.0}


ROWS = [
    *both("constant_schedule", {"value": rates}, ulps=1),
    *both(
        "polynomial_schedule",
        {"init_value": rates, "end_value": ends, "power": powers} | transition,
        corners=({"init_value": 1.0, "end_value": 0.0, "power": 2, "transition_steps": 1},),
    ),
    *both(
        "linear_schedule",
        {"init_value": rates, "end_value": ends} | transition,
        corners=({"init_value": 0.0, "end_value": 1.0, "transition_steps": 1, "transition_begin": 1},),
    ),
    *both(
        "exponential_decay",
        {"init_value": rates} | decay,
        corners=(
            {"init_value": 0.1, "transition_steps": 1, "decay_rate": 1.0, "end_value": 0.05},
            {"init_value": 0.1, "transition_steps": 40, "decay_rate": 2.0, "end_value": 0.3},
            {"init_value": 0.1, "transition_steps": 3, "decay_rate": 0.5, "transition_begin": 2, "end_value": 0.2},
        ),
        floor=0,
        endless=always,
    ),
    *both(
        "cosine_decay_schedule",
        {"init_value": rates, "decay_steps": spans, "alpha": shares, "exponent": powers},
        corners=(cosine_of(1), cosine_of(2), {"init_value": 0.1, "decay_steps": 7}),
        ulps=6,
    ),
    *both(
        "piecewise_constant_schedule",
        {"init_value": rates, "boundaries_and_scales": st.one_of(st.none(), scales)},
        corners=({"init_value": 1.0}, {"init_value": 1.0, "boundaries_and_scales": {0: 0.5, 1: 0.5}}),
    ),
    *both(
        "piecewise_interpolate_schedule",
        {
            "interpolate_type": st.sampled_from(["linear", "cosine"]),
            "init_value": rates,
            "boundaries_and_scales": st.one_of(st.none(), scales),
        },
        corners=(
            {"interpolate_type": "linear", "init_value": 1.0},
            {"interpolate_type": "cosine", "init_value": 1.0, "boundaries_and_scales": {0: 0.5, 1: 0.5}},
        ),
        vectorised=False,
    ),
    *both(
        "linear_onecycle_schedule",
        st.fixed_dictionaries(
            {
                "transition_steps": st.integers(3, 60),
                "peak_value": rates,
                "pct_start": single(0.0, 0.75),
                "pct_final": single(0.0, 1.0),
                "div_factor": single(1.0, 30.0),
                "final_div_factor": single(1.0, 1e4),
            }
        ).filter(apart),
        corners=({"transition_steps": 3, "peak_value": 1.0, "pct_start": 0.5},),
        vectorised=False,
    ),
    *both(
        "cosine_onecycle_schedule",
        st.fixed_dictionaries(
            {
                "transition_steps": st.integers(1, 60),
                "peak_value": rates,
                "pct_start": single(0.0, 1.0),
                "div_factor": single(1.0, 30.0),
                "final_div_factor": single(1.0, 1e4),
            }
        ).filter(apart),
        corners=({"transition_steps": 1, "peak_value": 1.0}, {"transition_steps": 10, "peak_value": 1.0}),
        vectorised=False,
    ),
    *both(
        "warmup_constant_schedule",
        warmup | {"warmup_steps": spans},
        corners=({"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1},),
    ),
    *both(
        "warmup_cosine_decay_schedule",
        cycles,
        corners=(
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 0, "decay_steps": 1},
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 9, "decay_steps": 10},
            {"init_value": 1.0, "peak_value": 0.0, "warmup_steps": 3, "decay_steps": 10},
        ),
        ulps=6,
    ),
    *both(
        "warmup_exponential_decay_schedule",
        warmup | decay,
        corners=(
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 0, "transition_steps": 1, "decay_rate": 0.5},
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1, "transition_steps": 1, "decay_rate": 0.5},
        ),
        endless=always,
    ),
    *both(
        "sgdr_schedule",
        {"cosine_kwargs": st.lists(cycles, min_size=1, max_size=4)},
        ulps=6,  # optax measured: 3.5, as of each cosine
        endless=lambda a: sum(cycle["decay_steps"] for cycle in a["cosine_kwargs"]) > FAR,
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


def compare_strict(row, arguments):
    """What optax does beside what strict=True does."""
    ours = PEERS[row.key].build(**arguments, strict=True)
    assert largest_difference(ours.table(FAR), row.peer(arguments, FAR).astype(float), row) <= 1
    return ours


BY_KEY = {(row.key, row.dtype): row for row in ROWS}


class TestJoin:
    """Schedules are made twice, so the row of the other tests does not fit."""

    def values(self, listed, boundaries, double):
        with jax.enable_x64(double):
            return values_of(optax.join_schedules(built(optax, listed), boundaries), FAR)

    @pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-12), (False, 4e-7)])
    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_conformance(self, double, tolerance, data):
        listed = data.draw(st.lists(parts, min_size=1, max_size=4))
        boundaries = sorted(data.draw(st.lists(st.integers(0, 60), min_size=len(listed) - 1, max_size=len(listed) - 1)))
        ours = dialect.join_schedules(built(dialect, listed), boundaries)
        theirs = self.values(listed, boundaries, double)
        assert np.abs(ours.table(FAR) - theirs).max() <= tolerance * np.abs(theirs).max()

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_strict_is_as_optax_with_any_boundaries(self, data):
        listed = data.draw(st.lists(parts, min_size=1, max_size=4))
        boundaries = data.draw(st.lists(st.integers(-10, 60), max_size=5))
        ours = dialect.join_schedules(built(dialect, listed), boundaries, strict=True)
        theirs = self.values(listed, boundaries, True)
        assert np.abs(ours.table(FAR) - theirs).max() <= 1e-12 * np.abs(theirs).max()
        lost = len(boundaries) != len(listed) - 1 or boundaries != sorted(boundaries) or min(boundaries, default=0) < 0
        assert lost or not ours.origin.quirks

    @pytest.mark.parametrize("boundaries", [[], [3], [3, 5, 7], [5, 3], [-1, 3]])
    def test_other_boundaries_are_refused(self, boundaries):
        three = [Constant(0.1), Linear(0.2, 0.0, 9), Constant(0.3)]
        with pytest.raises(ValueError, match=r"join_schedules.boundaries.*: expected (2 steps for 3|a step >= \d)"):
            dialect.join_schedules(three, boundaries)
        assert dialect.join_schedules(three, boundaries, strict=True).table(2).shape == (2,)

    def test_schedules_join_schedules(self):
        inner = dialect.join_schedules([Linear(0.0, 1.0, 2), 1.0], [2])
        outer = dialect.join_schedules([inner, Linear(1.0, 0.0, 2)], [3])
        assert outer.table(6).tolist() == [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
        with pytest.raises(ValueError, match=r"join_schedules.schedules: expected at least one schedule"):
            dialect.join_schedules([], [])


KEYS = sorted(key for key in PEERS if key.startswith("optax."))


def test_every_schedule_has_a_row():
    assert set(KEYS) == {row.key for row in ROWS} | {"optax.join_schedules"}
    public = [
        name for name in dir(optax.schedules) if not name.startswith("_") and ("chedule" in name or "decay" in name)
    ]
    others = {"Schedule", "StatefulSchedule", "WrappedSchedule"}  # types
    assert set(KEYS) == {f"optax.{name}" for name in public if name not in others}
    assert {f"optax.{name}" for name in dialect.__all__} == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_arguments_and_defaults_are_those_of_optax(key):
    name = key.removeprefix("optax.")
    theirs = dict(inspect.signature(getattr(optax.schedules, name)).parameters)
    ours = dict(inspect.signature(getattr(dialect, name)).parameters)
    assert ours.pop("strict", None) is None or PEERS[key].quirks
    assert [(n, p.default) for n, p in ours.items()] == [(n, p.default) for n, p in theirs.items()]


LINE = {"init_value": 0.1, "end_value": 0.5}
DECAY = {"init_value": 0.1, "decay_rate": 0.5}
WARM = {"init_value": 0.1, "peak_value": 0.5}
SILENT = [  # what optax does without a word: refused, and with strict done
    ("polynomial_schedule", LINE | {"power": 2.0, "transition_steps": 0}, "polynomial_schedule.transition_steps"),
    ("linear_schedule", LINE | {"transition_steps": -3}, "linear_schedule.transition_steps: .* stays at init_value"),
    ("linear_schedule", LINE | {"transition_steps": 3, "transition_begin": -1}, "linear_schedule.transition_begin"),
    ("exponential_decay", DECAY | {"transition_steps": 0}, "exponential_decay.transition_steps"),
    (
        "exponential_decay",
        DECAY | {"transition_steps": 4, "transition_begin": -2},
        "exponential_decay.transition_begin",
    ),
    ("exponential_decay", DECAY | {"transition_steps": 4, "decay_rate": 0.0}, "exponential_decay.decay_rate"),
    ("warmup_constant_schedule", WARM | {"warmup_steps": 0}, "warmup_constant_schedule.warmup_steps"),
    (
        "warmup_exponential_decay_schedule",
        WARM | {"warmup_steps": 3, "transition_steps": 0, "decay_rate": 0.5},
        "exponential_decay.transition_steps",
    ),
    (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.1, "peak_value": 0.0, "warmup_steps": 3, "decay_steps": 9, "end_value": 0.2},
        "warmup_cosine_decay_schedule.end_value",
    ),
]


@pytest.mark.parametrize(("name", "arguments", "message"), SILENT)
def test_what_optax_does_in_silence_is_refused_unless_strict(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(dialect, name)(**arguments)
    ours = compare_strict(BY_KEY[f"optax.{name}", np.float64], arguments)
    assert ours.origin.quirks == PEERS[f"optax.{name}"].quirks


def test_no_warm_up_at_all_is_zero_for_ever_in_optax():
    assert float(optax.warmup_constant_schedule(0.0, 1.0, 0)(1000)) == 0.0
    assert dialect.warmup_constant_schedule(0.0, 1.0, 0, strict=True) == Constant(0.0)


@pytest.mark.parametrize("curve", ["linear", "cosine"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_one_cycle_with_phases_that_end_together(curve, data):
    """With strict as optax, in which the last of them replaces the others; else all of them are over."""
    linear = {"pct_start": single(0.0, 1.0), "pct_final": single(0.0, 1.0)}
    shares = linear if curve == "linear" else {"pct_start": st.just(1.0)}
    arguments = data.draw(st.fixed_dictionaries({"transition_steps": st.integers(1, 6), "peak_value": rates} | shares))
    assume(not apart(arguments))
    compare_strict(BY_KEY[f"optax.{curve}_onecycle_schedule", np.float64], arguments)
    ours = getattr(dialect, f"{curve}_onecycle_schedule")(**arguments)
    last = arguments["peak_value"] / 25 / 1e4
    assert ours(arguments["transition_steps"]) == pytest.approx(last, rel=1e-12)
    assert ours.table(20).max() <= arguments["peak_value"] * (1 + 1e-15)
    assert ours.table(20).min() >= last * (1 - 1e-15)


def test_the_first_value_of_a_run_of_one_update():
    assert dialect.linear_onecycle_schedule(1, 1.0, strict=True)(0) == pytest.approx(1 / 625)
    assert dialect.linear_onecycle_schedule(1, 1.0)(0) == pytest.approx(1 / 25)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: dialect.cosine_decay_schedule(0.1, 0),
            ValueError,
            r"cosine_decay_schedule.decay_steps: .* >= 1, got 0",
        ),
        (
            lambda: dialect.warmup_cosine_decay_schedule(0.0, 1.0, 5, 5),
            ValueError,
            r"decay_steps .* an int >= 6, got 5",
        ),
        (
            lambda: dialect.piecewise_constant_schedule(0.1, {3: -1.0}),
            ValueError,
            r"scales\[3\]: expected a number >= 0",
        ),
        (
            lambda: dialect.piecewise_constant_schedule(0.1, {-3: 1.0}),
            ValueError,
            r"scales: a key: .* an int >= 0, got -3",
        ),
        (lambda: dialect.piecewise_constant_schedule(0.1, [3]), TypeError, r"scales: expected a dict"),
        (lambda: dialect.piecewise_interpolate_schedule("cubic", 0.1), ValueError, r"interpolate_type: .* got 'cubic'"),
        (lambda: dialect.linear_onecycle_schedule(9, 1.0, 1.5), ValueError, r"pct_start: expected a share of the run"),
        (lambda: dialect.sgdr_schedule([]), ValueError, r"cosine_kwargs: expected dicts .* at least one, got \[\]"),
        (lambda: dialect.sgdr_schedule([3]), TypeError, r"cosine_kwargs\[0\]: expected a dict"),
        (
            lambda: dialect.sgdr_schedule([{"init_value": 0.1}]),
            ValueError,
            r"\[0\]: expected decay_steps, got init_value",
        ),
    ],
)
def test_what_is_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()
