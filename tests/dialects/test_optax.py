"""optax.schedules beside lrcore.dialects.optax: in float64, which JAX computes in when it is asked to, and in float32.

In float32 what a row says of optax' own error was measured against the formula in 50 digits.
"""

import inspect
import warnings

import formulas
import numpy as np
import pytest
from conformance import OwnError, Row, always, closely, compare, error_is_its_own, in_ulps, largest_difference
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


def both(name, formula, arguments, run=lambda _: FAR, *, peer_error=None, vectorised=True, **options):
    """A row in float64, and one in float32."""
    build = getattr(optax.schedules, name)
    drawn = st.fixed_dictionaries(arguments) if isinstance(arguments, dict) else arguments
    options |= {"key": f"optax.{name}", "arguments": drawn, "run": run}
    double, single = (trace(build, double=double, vectorised=vectorised) for double in (True, False))
    exact = {"exact": formulas.trace(formula), "peer_error": peer_error}
    return [Row(peer=double, **options), Row(peer=single, dtype=np.float32, **exact, **options)]


def single(least, most):
    """A float that float32 has: what the user's number loses on its way into JAX is not asked here."""
    return st.floats(least, most, width=32)


rates = single(2**-13, 1.0)
spans = st.integers(1, 30)
delays = st.integers(0, 20)
shares = st.one_of(st.just(0.0), single(2**-10, 0.5))
ends = shares.map(lambda share: share / 64)
powers = st.one_of(st.sampled_from([1.0, 2.0, 0.5, 0.0]), single(0.5, 4.0))
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
    *both("constant_schedule", formulas.constant, {"value": rates}),
    *both(
        "polynomial_schedule",
        formulas.delayed(formulas.polynomial),
        {"init_value": rates, "end_value": ends, "power": powers} | transition,
        corners=({"init_value": 1.0, "end_value": 0.0, "power": 2, "transition_steps": 1},),
        peer_error=OwnError(
            4,
            "1 - t / steps, near its end, in a power",
            (
                {
                    "end_value": 0.0,
                    "transition_begin": 2,
                    "init_value": 0.1154906377196312,
                    "transition_steps": 21,
                    "power": 2.3879945278167725,
                },
            ),
            of_largest=True,
        ),
    ),
    *both(
        "linear_schedule",
        formulas.delayed(formulas.linear),
        {"init_value": rates, "end_value": ends} | transition,
        corners=({"init_value": 0.0, "end_value": 1.0, "transition_steps": 1, "transition_begin": 1},),
        peer_error=OwnError(
            3,
            "1 - t / steps, near its end",
            ({"transition_steps": 23, "end_value": 0.0, "init_value": 0.3980431854724884, "transition_begin": 7},),
            of_largest=True,
        ),
    ),
    *both(
        "exponential_decay",
        formulas.delayed(formulas.bounded_exponential),
        {"init_value": rates} | decay,
        corners=(
            {"init_value": 0.1, "transition_steps": 1, "decay_rate": 1.0, "end_value": 0.05},
            {"init_value": 0.1, "transition_steps": 40, "decay_rate": 2.0, "end_value": 0.3},
            {"init_value": 0.1, "transition_steps": 3, "decay_rate": 0.5, "transition_begin": 2, "end_value": 0.2},
        ),
        floor=0,
        endless=always,
        peer_error=OwnError(
            80,
            "the rounded t / steps, times the logarithm of decay_rate, in a power",
            (
                {"init_value": 0.125, "decay_rate": 0.13066732883453369, "transition_steps": 3},
                {"init_value": 0.125, "decay_rate": 0.13066732883453369, "transition_steps": 5},
            ),
        ),
    ),
    *both(
        "cosine_decay_schedule",
        formulas.cosine,
        {"init_value": rates, "decay_steps": spans, "alpha": shares, "exponent": powers},
        corners=(cosine_of(1), cosine_of(2), {"init_value": 0.1, "decay_steps": 7}),
        peer_error=OwnError(
            6,
            "1 + cos of a rounded pi * t / steps, in a power",
            (
                {"init_value": 0.9159447550773621, "decay_steps": 21, "exponent": 0.5, "alpha": 0.3333333432674408},
                {"init_value": 0.8728746175765991, "decay_steps": 23, "exponent": 3.3877432346343994},
            ),
            of_largest=True,
        ),
    ),
    *both(
        "piecewise_constant_schedule",
        formulas.factors,
        {"init_value": rates, "boundaries_and_scales": st.one_of(st.none(), scales)},
        corners=({"init_value": 1.0}, {"init_value": 1.0, "boundaries_and_scales": {0: 0.5, 1: 0.5}}),
    ),
    *both(
        "piecewise_interpolate_schedule",
        formulas.interpolate,
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
        peer_error=OwnError(
            3,
            "values near 0 that a curve comes to from one near 1",
            (
                {
                    "init_value": 0.4363114833831787,
                    "interpolate_type": "linear",
                    "boundaries_and_scales": {20: 0.0, 42: 0.0, 19: 0.4363114833831787, 7: 0.125},
                },
                {
                    "interpolate_type": "cosine",
                    "init_value": 0.9999899864196777,
                    "boundaries_and_scales": {
                        16: 0.8720880746841431,
                        57: 0.6135382652282715,
                        19: 0.14691093564033508,
                        44: 0.0,
                        32: 0.20656156539916992,
                    },
                },
            ),
            of_largest=True,
        ),
    ),
    *both(
        "linear_onecycle_schedule",
        formulas.linear_onecycle,
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
        peer_error=OwnError(
            4,
            "values near 0 that a line comes to from one near 1",
            (
                {
                    "transition_steps": 28,
                    "peak_value": 0.61228346824646,
                    "pct_start": 0.3406795263290405,
                    "pct_final": 0.6220873594284058,
                    "div_factor": 4.419642448425293,
                    "final_div_factor": 7633.5283203125,
                },
            ),
            of_largest=True,
        ),
    ),
    *both(
        "cosine_onecycle_schedule",
        formulas.cosine_onecycle,
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
        peer_error=OwnError(
            6,
            "values near 0 that a wave comes to from one near 1",
            (
                {
                    "final_div_factor": 2790.19091796875,
                    "pct_start": 0.03612646460533142,
                    "transition_steps": 28,
                    "peak_value": 0.1154906377196312,
                    "div_factor": 3.5103116035461426,
                },
            ),
            of_largest=True,
        ),
    ),
    *both(
        "warmup_constant_schedule",
        formulas.warmup,
        warmup | {"warmup_steps": spans},
        corners=({"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1},),
        peer_error=OwnError(
            3,
            "(init_value - peak_value) * (1 - t / steps) + peak_value",
            (
                {"warmup_steps": 6, "init_value": 0.0, "peak_value": 0.6671751737594604},
                {"peak_value": 0.7612918615341187, "init_value": 0.02268383279442787, "warmup_steps": 1},
            ),
            of_largest=True,
        ),
    ),
    *both(
        "warmup_cosine_decay_schedule",
        formulas.warm_cosine_to,
        cycles,
        corners=(
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 0, "decay_steps": 1},
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 9, "decay_steps": 10},
            {"init_value": 1.0, "peak_value": 0.0, "warmup_steps": 3, "decay_steps": 10},
        ),
        peer_error=OwnError(
            6,
            "1 + cos of a rounded pi * t / steps, in a power",
            (
                {
                    "init_value": 0.0,
                    "peak_value": 0.6814515590667725,
                    "warmup_steps": 12,
                    "decay_steps": 38,
                    "end_value": 1.52587890625e-05,
                    "exponent": 0.5,
                },
            ),
            of_largest=True,
        ),
    ),
    *both(
        "warmup_exponential_decay_schedule",
        formulas.warm_exponential,
        warmup | decay,
        corners=(
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 0, "transition_steps": 1, "decay_rate": 0.5},
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1, "transition_steps": 1, "decay_rate": 0.5},
        ),
        endless=always,
        peer_error=OwnError(
            3,
            "as of its warm-up, and of its decay",
            (
                {
                    "transition_steps": 11,
                    "transition_begin": 7,
                    "warmup_steps": 15,
                    "peak_value": 0.2745482325553894,
                    "init_value": 0.0,
                    "decay_rate": 0.9888323545455933,
                },
                {
                    "end_value": 0.000523759750649333,
                    "transition_steps": 15,
                    "warmup_steps": 18,
                    "transition_begin": 18,
                    "decay_rate": 0.5109493136405945,
                    "init_value": 0.0,
                    "peak_value": 0.03352062404155731,
                },
            ),
            of_largest=True,
        ),
    ),
    *both(
        "sgdr_schedule",
        formulas.one_after_another,
        {"cosine_kwargs": st.lists(cycles, min_size=1, max_size=4)},
        endless=lambda a: sum(cycle["decay_steps"] for cycle in a["cosine_kwargs"]) > FAR,
        peer_error=OwnError(
            6,
            "as of each cosine",
            (
                {
                    "cosine_kwargs": [
                        {
                            "exponent": 0.5,
                            "decay_steps": 35,
                            "end_value": 0.0,
                            "warmup_steps": 11,
                            "init_value": 0.0,
                            "peak_value": 0.4839803874492645,
                        }
                    ]
                },
            ),
            of_largest=True,
        ),
    ),
]


def name_of(row):
    return f"{row.key}-{row.dtype.__name__}" if isinstance(row, Row) else None


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(r, corner) for r in ROWS for corner in r.corners], ids=name_of)
def test_corners(row, arguments):
    compare(row, arguments)


OFF = [row for row in ROWS if row.peer_error]


@pytest.mark.parametrize("row", OFF, ids=name_of)
def test_the_error_of_optax_is_its_own(row):
    error_is_its_own(row)


def compare_strict(row, arguments):
    """What optax does beside what strict=True does."""
    ours = PEERS[row.key].build(**arguments, strict=True)
    assert largest_difference(ours.table(FAR), row.peer(arguments, FAR).astype(float), row) <= 1
    return ours


def joined(listed, boundaries):
    """Each part from its own formula."""
    table = np.empty(FAR)
    for part, begin in zip(listed, [0, *boundaries], strict=True):
        arguments = {name: given for name, given in part.items() if name != "name"}
        table[begin:] = BY_KEY[f"optax.{part['name']}", np.float32].exact(arguments, FAR)[: FAR - begin]
    return table


BY_KEY = {(row.key, row.dtype): row for row in ROWS}


class TestJoin:
    """Schedules are made twice, so the row of the other tests does not fit."""

    def values(self, listed, boundaries, double):
        with jax.enable_x64(double):
            return values_of(optax.join_schedules(built(optax, listed), boundaries), FAR)

    @pytest.mark.parametrize("double", [True, False])
    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_conformance(self, double, data):
        listed = data.draw(st.lists(parts, min_size=1, max_size=4))
        boundaries = sorted(data.draw(st.lists(st.integers(0, 60), min_size=len(listed) - 1, max_size=len(listed) - 1)))
        ours = dialect.join_schedules(built(dialect, listed), boundaries).table(FAR)
        theirs = self.values(listed, boundaries, double)
        if double:
            assert largest_difference(ours, theirs, Row("", None, None, None, floor=8)) <= 1
            return
        exact = joined(listed, boundaries)
        assert closely(ours, exact)
        largest = np.full(FAR, exact.max())  # as its cosine, the largest error of the parts
        assert (
            in_ulps(theirs.astype(float), exact, largest)
            <= BY_KEY["optax.cosine_decay_schedule", np.float32].peer_error.ulps
        )

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_strict_is_as_optax_with_any_boundaries(self, data):
        """And says that branches were lost just where the boundaries are not those that are taken without strict."""
        listed = data.draw(st.lists(parts, min_size=1, max_size=4))
        boundaries = data.draw(st.lists(st.integers(-10, 60), max_size=5))
        ours = self.is_as_optax(listed, boundaries)
        in_order = boundaries == sorted(boundaries) and min(boundaries, default=0) >= 0
        if len(boundaries) == len(listed) - 1 and in_order:
            assert (
                ours.table(FAR).tolist()
                == dialect.join_schedules(built(dialect, listed), boundaries).table(FAR).tolist()
            )
            assert not ours.origin.quirks
        else:
            with pytest.raises(ValueError, match=r"join_schedules.boundaries"):
                dialect.join_schedules(built(dialect, listed), boundaries)
            assert ours.origin.quirks == (dialect.BRANCHES_LOST,)

    def is_as_optax(self, listed, boundaries):
        ours = dialect.join_schedules(built(dialect, listed), boundaries, strict=True)
        theirs = self.values(listed, boundaries, True)
        assert largest_difference(ours.table(FAR), theirs, Row("", None, None, None, floor=8)) <= 1
        return ours

    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_strict_is_as_optax_with_boundaries_that_fall(self, data):
        """Each time: of boundaries that are drawn at random, and of as many schedules, few fall."""
        listed = data.draw(st.lists(parts, min_size=3, max_size=5))
        many = st.lists(st.integers(-10, 60), min_size=len(listed) - 1, max_size=len(listed) - 1)
        boundaries = data.draw(many.filter(lambda drawn: drawn != sorted(drawn)))
        assert self.is_as_optax(listed, boundaries).origin.quirks == (dialect.BRANCHES_LOST,)

    @pytest.mark.parametrize(
        ("boundaries", "expected"),
        [
            ([], [1, 1, 1, 1, 1, 1, 1, 1]),
            ([3], [1, 1, 1, 2, 2, 2, 2, 2]),
            ([3, 5, 7], [1, 1, 1, 2, 2, 3, 3, 3]),
            ([5, 3], [1, 1, 1, 3, 3, 3, 3, 3]),  # the last wins from 3 on, so the second is never seen
            ([-1, 3], [2, 2, 2, 3, 3, 3, 3, 3]),
            ([4, -2], [3, 3, 3, 3, 3, 3, 3, 3]),
        ],
    )
    def test_other_boundaries_lose_branches(self, boundaries, expected):
        three = [{"name": "constant_schedule", "value": float(value)} for value in (1, 2, 3)]
        with pytest.raises(ValueError, match=r"join_schedules.boundaries.*: expected (2 steps for 3|a step >= \d)"):
            dialect.join_schedules(built(dialect, three), boundaries)
        assert self.is_as_optax(three, boundaries).table(8).tolist() == expected

    def test_a_schedule_that_is_late_begins_within_itself(self):
        """From its own boundary on, also where one with a higher boundary stands before it in the list."""
        listed = [Constant(1.0), Linear(0.0, 1.0, 8), Linear(0.0, 8.0, 8)]
        late = dialect.join_schedules(listed, [-2, 4], strict=True)
        assert late.table(7).tolist() == [0.25, 0.375, 0.5, 0.625, 0.0, 1.0, 2.0]

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


MET = {  # the quirk that the refused argument meets
    "_steps": "never-moves",
    "transition_begin": "begins-at-once",
    "decay_rate": "zero-rate-holds",
    "end_value": "end-lost",
}


@pytest.mark.parametrize(("name", "arguments", "message"), SILENT)
def test_what_optax_does_in_silence_is_refused_unless_strict(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(dialect, name)(**arguments)
    ours = compare_strict(BY_KEY[f"optax.{name}", np.float64], arguments)
    met = next(quirk for where, quirk in MET.items() if where in message)
    assert [quirk.name for quirk in ours.origin.quirks] == [met]


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


DECIMAL = [
    ("polynomial_schedule", LINE | {"power": 2.0, "transition_steps": 10.5, "transition_begin": 3}),
    ("polynomial_schedule", LINE | {"power": 0.0, "transition_steps": 10}),
    ("linear_schedule", LINE | {"transition_steps": 0.5}),
    ("linear_schedule", LINE | {"transition_steps": 7.3}),
    ("exponential_decay", DECAY | {"transition_steps": 10.5}),
    ("exponential_decay", DECAY | {"transition_steps": 2.25, "staircase": True, "transition_begin": 2}),
    ("cosine_decay_schedule", {"init_value": 0.1, "decay_steps": 10.5}),
    ("cosine_decay_schedule", {"init_value": 0.1, "decay_steps": 10.5, "alpha": 0.2, "exponent": 2.0}),
    ("cosine_decay_schedule", {"init_value": 0.1, "decay_steps": 10, "exponent": 0.0}),
    ("warmup_constant_schedule", WARM | {"warmup_steps": 3.5}),
    ("warmup_cosine_decay_schedule", WARM | {"warmup_steps": 3, "decay_steps": 12.25}),
    ("warmup_exponential_decay_schedule", WARM | {"warmup_steps": 3, "transition_steps": 5.5, "decay_rate": 0.5}),
]


@pytest.mark.parametrize(("name", "arguments"), DECIMAL)
def test_durations_that_are_not_whole(name, arguments):
    ours = getattr(dialect, name)(**arguments).table(FAR)
    assert closely(ours, BY_KEY[f"optax.{name}", np.float32].exact(arguments, FAR))
    theirs = BY_KEY[f"optax.{name}", np.float64].peer(arguments, FAR)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


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
