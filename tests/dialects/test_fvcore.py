"""fvcore.common.param_scheduler beside lrcore.dialects.fvcore."""

from functools import partial

import numpy as np
import pytest
from conformance import Row, compare
from fvcore.common import param_scheduler as peers
from hypothesis import given, settings, strategies as st

from lrcore import Constant, Cosine, Exponential, Linear, Polynomial
from lrcore.dialects import fvcore as dialect
from lrcore.dialects._dialect import PEERS


def called(name, run=lambda arguments: arguments.pop("num_updates")):
    """What the peer gives for where = t / num_updates."""

    def trace(arguments, n):
        arguments = dict(arguments)
        steps = run(arguments)
        made = getattr(peers, name)(**arguments)
        return np.array([made(t / steps) for t in range(n)])

    return trace


def kept(arguments):
    return arguments["num_updates"]


def of_milestones(arguments):
    return arguments.get("num_updates") or arguments["milestones"][-1]


rates = st.floats(1e-4, 1.0)
spans = st.integers(1, 60)
lists = st.lists(rates, min_size=1, max_size=6)


@st.composite
def milestones(draw):
    marks = sorted(draw(st.sets(st.integers(1, 60), min_size=1, max_size=5)))
    values = draw(st.lists(rates, min_size=len(marks) + 1, max_size=len(marks) + 1))
    total = max(marks[-1] + draw(st.integers(1, 10)), len(values))
    kind = draw(st.sampled_from(["both", "milestones", "num_updates"]))
    if kind == "both":
        return {"values": values, "num_updates": total, "milestones": marks}
    if kind == "milestones":
        return {"values": values, "milestones": [*marks, total]}
    width = max(len(values) ** 2, total)  # fewer updates make shares that, rounded up, are longer than the run
    return {"values": values, "num_updates": width}


def before_end(arguments):
    return of_milestones(arguments) - 1


ROWS = [
    Row(
        "fvcore.ConstantParamScheduler",
        called("ConstantParamScheduler"),
        st.fixed_dictionaries({"value": rates, "num_updates": spans}),
        before_end,  # fvcore raises at the end
        holds_after=1,
        floor=0,
        corners=({"value": 0.1, "num_updates": 1},),
    ),
    Row(
        "fvcore.CosineParamScheduler",
        called("CosineParamScheduler"),
        st.fixed_dictionaries({"start_value": rates, "end_value": rates, "num_updates": spans}),
        kept,
        corners=({"start_value": 0.1, "end_value": 0.0, "num_updates": 1},),
        past=70,
    ),
    Row(
        "fvcore.ExponentialParamScheduler",
        called("ExponentialParamScheduler"),
        st.fixed_dictionaries({"start_value": rates, "decay": st.floats(0.01, 2.0), "num_updates": spans}),
        kept,
        corners=({"start_value": 0.1, "decay": 0.1, "num_updates": 1},),
        past=70,
    ),
    Row(
        "fvcore.LinearParamScheduler",
        called("LinearParamScheduler"),
        st.fixed_dictionaries({"start_value": rates, "end_value": rates, "num_updates": spans}),
        kept,
        corners=({"start_value": 0.1, "end_value": 0.0, "num_updates": 1},),
        past=70,
    ),
    Row(
        "fvcore.PolynomialDecayParamScheduler",
        called("PolynomialDecayParamScheduler"),
        st.fixed_dictionaries({"base_value": rates, "power": st.floats(0.2, 3.0), "num_updates": spans}),
        kept,
        corners=({"base_value": 0.1, "power": 0.9, "num_updates": 1},),
    ),
    Row(
        "fvcore.StepParamScheduler",
        called("StepParamScheduler", kept),
        st.fixed_dictionaries({"num_updates": spans, "values": lists}),
        before_end,  # fvcore raises at the end
        holds_after=1,
        floor=0,
        corners=(
            {"num_updates": 1, "values": [0.1]},
            {"num_updates": 2, "values": [0.1, 0.2, 0.3, 0.4, 0.5]},  # some have no update
        ),
    ),
    Row(
        "fvcore.MultiStepParamScheduler",
        called("MultiStepParamScheduler", of_milestones),
        milestones(),
        of_milestones,
        corners=(
            {"values": [0.1], "num_updates": 3},
            {"values": [0.1, 0.2], "milestones": [1, 2]},
            {"values": [0.1, 0.2], "num_updates": 2, "milestones": [1]},
        ),
    ),
    Row(
        "fvcore.StepWithFixedGammaParamScheduler",
        called("StepWithFixedGammaParamScheduler", kept),
        st.fixed_dictionaries(
            {
                "base_value": rates,
                "num_decays": st.integers(1, 8),
                "gamma": st.floats(0.1, 2.0),
                "num_updates": spans,
            }
        ),
        before_end,  # fvcore raises at the end
        holds_after=1,
        floor=0,
        corners=({"base_value": 0.1, "num_decays": 3, "gamma": 0.1, "num_updates": 1},),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(row, corner) for row in ROWS for corner in row.corners])
def test_corners(row, arguments):
    compare(row, arguments)


def test_every_schedule_has_a_row():
    ours = {key for key in PEERS if key.startswith("fvcore.")}
    assert ours == {row.key for row in ROWS} | {"fvcore.CompositeParamScheduler"}  # see below
    assert {key.removeprefix("fvcore.") for key in ours} == set(peers.__all__) - {"ParamScheduler"}


def test_they_are_the_plain_schedules():
    assert dialect.ConstantParamScheduler(0.1, 5) == Constant(0.1)
    assert dialect.CosineParamScheduler(0.1, 0.0, 5) == Cosine(0.1, 0.0, 5)
    assert dialect.LinearParamScheduler(0.1, 0.0, 5) == Linear(0.1, 0.0, 5)
    assert dialect.ExponentialParamScheduler(1.0, 0.5, 5) == Exponential(1.0, 0.5, 5)
    assert dialect.PolynomialDecayParamScheduler(0.1, 0.9, 5) == Polynomial(0.1, 0.0, 5, 0.9)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_a_power_goes_on_below_zero(power):
    arguments = {"base_value": 0.1, "power": power, "num_updates": 7}
    theirs = called("PolynomialDecayParamScheduler")(arguments, 30)
    ours = dialect.PolynomialDecayParamScheduler(**arguments, strict=True).table(30)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match="a whole power up to 9 with strict"):
        dialect.PolynomialDecayParamScheduler(0.1, 0.5, 7, strict=True)


# ---- Composites: each scheduler as the peer's object and as our function of num_updates ----

SCHEDULERS = st.one_of(
    st.builds(lambda v: ("ConstantParamScheduler", {"value": v}), rates),
    st.builds(lambda a, b: ("LinearParamScheduler", {"start_value": a, "end_value": b}), rates, rates),
    st.builds(lambda a, b: ("CosineParamScheduler", {"start_value": a, "end_value": b}), rates, rates),
    st.builds(lambda a, b: ("ExponentialParamScheduler", {"start_value": a, "decay": b}), rates, st.floats(0.1, 2.0)),
    st.builds(lambda a, b: ("PolynomialDecayParamScheduler", {"base_value": a, "power": b}), rates, rates),
    st.builds(lambda v: ("StepParamScheduler", {"values": v}), lists),
    st.builds(lambda a, b, c: ("MultiStepParamScheduler", {"values": [a, b], "milestones": [c, 9]}), rates, rates,
              st.integers(1, 8)),
)  # fmt: skip


def theirs_of(kind, arguments):
    return getattr(peers, kind)(**arguments, **({"num_updates": 9} if kind == "StepParamScheduler" else {}))


def composite(parts, n, nested=False):
    """Both sides, from (kind, arguments, weight, scaling) parts."""
    total = sum(weight for _, _, weight, _ in parts)
    lengths = [weight / total for _, _, weight, _ in parts]
    scaling = [scale for *_, scale in parts]
    theirs = peers.CompositeParamScheduler([theirs_of(*part[:2]) for part in parts], list(lengths), scaling)
    build = partial(
        dialect.CompositeParamScheduler,
        [partial(getattr(dialect, kind), **arguments) for kind, arguments, *_ in parts],
        lengths,
        scaling,
    )
    if nested:
        first = peers.LinearParamScheduler(0.0, 1.0)
        theirs = peers.CompositeParamScheduler([first, theirs], [0.3, 0.7], ["rescaled", "rescaled"])
        rise = partial(dialect.LinearParamScheduler, 0.0, 1.0)
        build = partial(dialect.CompositeParamScheduler, [rise, build], [0.3, 0.7], ["rescaled", "rescaled"])
    return build(num_updates=n), np.array([theirs(t / n) for t in range(n)])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(SCHEDULERS, st.integers(1, 5), st.sampled_from(["rescaled", "fixed"])).map(
            lambda drawn: (*drawn[0], *drawn[1:])
        ),
        min_size=1,
        max_size=4,
    ),
    spans,
    st.booleans(),
)
def test_composites(parts, n, nested):
    ours, theirs = composite(parts, n, nested)
    np.testing.assert_allclose(ours.table(n), theirs, rtol=1e-11, atol=1e-13)
    assert np.ptp(ours.table(5, start=n)) == 0.0


def test_a_warmup_of_detectron():
    n, warmup = 90_000, 1000
    rise = partial(dialect.LinearParamScheduler, 0.001, 1.0)
    rest = dialect.MultiStepParamScheduler([1.0, 0.1, 0.01], milestones=[60_000, 80_000, n])
    lengths = [warmup / n, 1 - warmup / n]
    ours = dialect.CompositeParamScheduler([rise, rest], lengths, ["rescaled", "fixed"], n)
    theirs = peers.CompositeParamScheduler(
        [peers.LinearParamScheduler(0.001, 1.0), peers.MultiStepParamScheduler([1.0, 0.1, 0.01], milestones=[6, 8, 9])],
        list(lengths),
        ["rescaled", "fixed"],
    )
    steps = [0, 1, 999, 1000, 1001, 59_999, 60_000, 79_999, 80_000, n - 1]
    np.testing.assert_allclose(ours(steps), [theirs(t / n) for t in steps], rtol=1e-12)


@pytest.mark.parametrize("n", [999_999, 1_000_001, 3_000_000])
def test_a_million_updates_switch_early(n):
    arguments = {"num_updates": n, "values": [0.1, 0.2, 0.3]}
    ours, theirs = dialect.StepParamScheduler(**arguments), peers.StepParamScheduler(**arguments)
    around = [third + shift for third in (n // 3, 2 * n // 3) for shift in range(-6, 7)]
    assert ours(around).tolist() == [theirs(t / n) for t in around]
    with pytest.raises(IndexError):
        theirs(1.0)
    assert ours(n) == 0.3


def test_what_a_composite_refuses():
    rise = partial(dialect.LinearParamScheduler, 0.0, 1.0)
    build = dialect.CompositeParamScheduler
    with pytest.raises(ValueError, match=r"lengths: expected shares with a sum of 1, got \[0.5, 0.6\]"):
        build([rise, rise], [0.5, 0.6], ["fixed", "fixed"], 10)
    with pytest.raises(ValueError, match="as many, at least one, as lengths and interval_scaling"):
        build([rise], [0.5, 0.5], ["fixed"], 10)
    with pytest.raises(TypeError, match="a function of num_updates for an interval that is 'rescaled'"):
        build([Linear(0.0, 1.0, 5)], [1.0], ["rescaled"], 10)
    with pytest.raises(TypeError, match=r"schedulers\[0\]: expected a schedule, or a function of num_updates"):
        build([3.0], [1.0], ["fixed"], 10)


def test_what_milestones_refuse():
    build = dialect.MultiStepParamScheduler
    with pytest.raises(ValueError, match="expected milestones or a number of updates, got neither"):
        build([0.1, 0.2])
    with pytest.raises(ValueError, match="expected 1 of them for 2 values, got 2"):
        build([0.1, 0.2], 10, [3, 6])
    with pytest.raises(ValueError, match="steps that increase and are below 10"):
        build([0.1, 0.2, 0.3], 10, [6, 6])
    with pytest.raises(ValueError, match="expected at least one number, got none"):
        dialect.StepParamScheduler(10, [])
