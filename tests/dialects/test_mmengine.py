"""mmengine.optim.scheduler beside lrcore.dialects.mmengine."""

import inspect
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from conformance import Row, compare
from hypothesis import given, settings, strategies as st

from lrcore import Cosine, ExponentialDecay, Linear, Polynomial, Sequence
from lrcore.dialects import mmengine as dialect
from lrcore.dialects._dialect import PEERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mmengine.optim import scheduler as peers


def run(builds, base, n, param="lr"):
    """The learning rate of each step, as the loop of a Runner would apply it; or another value of the group."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], **{"lr": 0.1, param: base})
    made = [build(optimizer) for build in builds]
    rates = []
    for step in range(n):
        if step:
            optimizer.step()
            for scheduler in made:
                scheduler.step()
        rates.append(float(optimizer.param_groups[0][param]))
    return np.array(rates)


def trace(name):
    def traced(arguments, n):
        rest = {key: given for key, given in arguments.items() if key != "base_lr"}
        return run([lambda optimizer: getattr(peers, name)(optimizer, **rest)], arguments["base_lr"], n)

    return traced


FIRST = {"Momentum": ("base_momentum", "momentum"), "ParamScheduler": ("base_value", "weight_decay")}


def of_another(row, kind):
    """The row of a learning rate as that of a momentum, or of any value."""
    name = row.key.removeprefix("mmengine.").removesuffix("LR") + kind
    first, param = FIRST[kind] if name != "OneCycleParamScheduler" else ("base_lr", "lr")
    also = (param,) if kind == "ParamScheduler" else ()

    def traced(arguments, n):
        rest = {key: given for key, given in arguments.items() if key != first}
        return run([lambda optimizer: getattr(peers, name)(optimizer, *also, **rest)], arguments[first], n, param)

    def renamed(arguments):
        return {first if key == "base_lr" else key: given for key, given in arguments.items()}

    return replace(
        row,
        key=f"mmengine.{name}",
        peer=traced,
        arguments=row.arguments.map(renamed),
        corners=tuple(map(renamed, row.corners)),
    )


FAR = 70
rates = st.floats(1e-4, 1.0)
shares = st.floats(0.01, 1.0)
spans = st.integers(1, 30)
floors = st.one_of(st.just(0.0), st.floats(1e-8, 9e-5))


@st.composite
def within(draw, endless=True, **others):
    """A begin and an end, now and then none."""
    begin = draw(st.one_of(st.just(0), st.integers(1, 10)))
    drawn = {"base_lr": draw(rates), "begin": begin, **{name: draw(given) for name, given in others.items()}}
    if not endless or draw(st.booleans()):
        drawn["end"] = begin + draw(spans)
    return drawn


@st.composite
def floored(draw, strategy, needed=False):
    """An eta_min or an eta_min_ratio, or none of them."""
    kinds = [{"eta_min": draw(floors)}, {"eta_min_ratio": draw(shares)}, *([] if needed else [{}])]
    return {**draw(strategy), **draw(st.sampled_from(kinds))}


@st.composite
def restarts(draw):
    periods = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    weights = [draw(shares) for _ in periods]
    return {**draw(within()), "periods": periods, "restart_weights": weights}


def last_of_cosine(arguments):
    """Up to here MMEngine acts as it should: its T_max, or the step before its end."""
    steps = arguments.get("end", 10**9) - arguments.get("begin", 0)
    period = arguments.get("T_max") or steps
    return arguments.get("begin", 0) + min(period - (period >= steps), steps - 1)


def last_of_restarts(arguments):
    steps = arguments.get("end", 10**9) - arguments.get("begin", 0)
    return arguments.get("begin", 0) + min(sum(arguments["periods"]), steps) - 1


def corners(**arguments):
    ends = ({"end": 1}, {"end": 2}, {"end": 5}, {"begin": 3, "end": 4}, {"begin": 3, "end": 5}, {"begin": 3, "end": 8})
    return tuple({"base_lr": 0.1, **arguments, **end} for end in ends)


ROWS = [
    Row(
        "mmengine.ConstantLR",
        trace("ConstantLR"),
        within(factor=shares),
        lambda _: FAR,
        corners=corners(),
    ),
    Row(
        "mmengine.LinearLR",
        trace("LinearLR"),
        within(endless=False, start_factor=shares, end_factor=st.one_of(st.just(0.0), shares)),
        lambda _: FAR,
        corners=(*corners(), *corners(start_factor=1.0, end_factor=0.0), {"base_lr": 0.1}),
        endless=lambda a: "end" not in a,
    ),
    Row(
        "mmengine.PolyLR",
        trace("PolyLR"),
        within(endless=False, eta_min=floors, power=st.floats(0.3, 3.0)),
        lambda _: FAR,
        corners=(*corners(), {"base_lr": 0.1}),
        endless=lambda a: "end" not in a,
    ),
    Row(
        "mmengine.ExponentialLR",
        trace("ExponentialLR"),
        within(gamma=shares),
        lambda _: FAR,
        corners=corners(gamma=0.5),
        floor=0,
        endless=lambda a: "end" not in a,
    ),
    Row(
        "mmengine.StepLR",
        trace("StepLR"),
        within(step_size=st.integers(1, 12), gamma=st.floats(0.1, 1.5)),
        lambda _: FAR,
        corners=corners(step_size=1),
        floor=0,
        endless=lambda a: "end" not in a,
    ),
    Row(
        "mmengine.MultiStepLR",
        trace("MultiStepLR"),
        within(milestones=st.lists(st.integers(0, 40), max_size=5), gamma=st.floats(0.1, 1.5)),
        lambda _: FAR,
        corners=(*corners(milestones=[]), *corners(milestones=[0, 1, 4, 4])),
        floor=0,
    ),
    Row(
        "mmengine.CosineAnnealingLR",
        trace("CosineAnnealingLR"),
        floored(st.one_of(within(endless=False), within(T_max=spans))),
        last_of_cosine,
        holds_after=1,
        corners=(*corners(), *corners(T_max=4), *corners(T_max=1), *corners(T_max=10)),
    ),
    Row(
        "mmengine.CosineRestartLR",
        trace("CosineRestartLR"),
        floored(restarts(), needed=True),
        last_of_restarts,
        holds_after=1,
        corners=(
            *corners(periods=[5], eta_min=0.0),
            *corners(periods=[1, 1, 2], restart_weights=[1, 0.5, 2], eta_min_ratio=0.1),
        ),
    ),
    Row(
        "mmengine.OneCycleLR",
        trace("OneCycleLR"),
        within(
            endless=False,
            eta_max=rates,
            pct_start=st.floats(0.15, 0.45),
            anneal_strategy=st.sampled_from(["cos", "linear"]),
            div_factor=st.floats(2.0, 30.0),
            final_div_factor=st.floats(2.0, 1e4),
            three_phase=st.booleans(),
        ).filter(lambda a: a["end"] - a["begin"] >= 8),
        lambda a: a["end"] + 5,
        corners=({"base_lr": 0.1, "eta_max": 1.0, "begin": 2, "end": 12, "total_steps": 20},),
    ),
]
OTHERS = [
    of_another(row, kind) for row in ROWS for kind in FIRST if (row.key, kind) != ("mmengine.OneCycleLR", "Momentum")
]
BY_NAME = {row.key.removeprefix("mmengine."): row for row in (*ROWS, *OTHERS)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: row.key)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_conformance_of_other_values(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(row, corner) for row in BY_NAME.values() for corner in row.corners])
def test_corners(row, arguments):
    compare(row, arguments)


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "CosineRestartLR"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_strict_is_all_that_mmengine_does(name, data):
    same_to_the_end(name, data.draw(BY_NAME[name].arguments))


COSINES = ("CosineAnnealingLR", "CosineRestartLR")


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, corner) for name in COSINES for corner in BY_NAME[name].corners]
)
def test_strict_corners(name, arguments):
    same_to_the_end(name, arguments)


def same_to_the_end(name, arguments):
    ours = getattr(dialect, name)(**arguments, strict=True).table(FAR)
    np.testing.assert_allclose(ours, trace(name)(arguments, FAR), rtol=1e-12, atol=1e-13)


def test_every_schedule_has_a_row():
    ours = {key.removeprefix("mmengine.") for key in PEERS if key.startswith("mmengine.")}
    assert ours == set(BY_NAME)
    offered = {name for name in vars(peers) if name.endswith(("LR", "Momentum", "ParamScheduler")) and name[0] != "_"}
    assert offered == ours | {f"ReduceOnPlateau{kind}" for kind in ("LR", *FIRST)}


def test_the_frozen_cosine_and_its_cure():
    ours = dialect.CosineAnnealingLR(1.0, end=5)
    assert ours == Cosine(1.0, 0.0, 5)
    strict = dialect.CosineAnnealingLR(1.0, end=5, strict=True)
    assert strict(4) == strict(50) == ours(4) == pytest.approx(0.0955, abs=1e-4)
    assert {quirk.name for quirk in strict.origin.quirks} == {"stops-short"}
    assert ours.origin.quirks == ()


def test_they_are_the_plain_schedules_where_they_can_be():
    assert dialect.LinearLR(1.0, 0.5, end=6) == Linear(0.5, 1.0, 5)
    assert dialect.PolyLR(1.0, 0.1, 2.0, end=6) == Polynomial(1.0, 0.1, 5, 2.0)
    assert dialect.ExponentialLR(1.0, 0.5) == ExponentialDecay(1.0, 0.5)


@pytest.mark.parametrize("eta_min", [0.0, 0.01])
def test_a_warmup_and_a_cosine(eta_min):
    ours = Sequence(
        [(dialect.LinearLR(0.1, end=3), 3), dialect.CosineAnnealingLR(0.1, eta_min=eta_min, end=5, strict=True)]
    )
    theirs = run(
        [
            lambda optimizer: peers.LinearLR(optimizer, begin=0, end=3),
            lambda optimizer: peers.CosineAnnealingLR(optimizer, eta_min=eta_min, begin=3, end=8),
        ],
        0.1,
        12,
    )
    np.testing.assert_allclose(ours.table(12), theirs, rtol=1e-12)


@pytest.mark.parametrize("anneal_strategy", ["cos", "linear"])
def test_one_cycle_past_its_end(anneal_strategy):
    arguments = {"base_lr": 0.1, "eta_max": 1.0, "total_steps": 10, "anneal_strategy": anneal_strategy}
    theirs = trace("OneCycleLR")(arguments, 11)
    np.testing.assert_allclose(dialect.OneCycleLR(**arguments, strict=True).table(11), theirs, rtol=1e-12, atol=1e-15)
    ours = dialect.OneCycleLR(**arguments).table(15)
    np.testing.assert_allclose(ours[:10], theirs[:10], rtol=1e-12, atol=1e-15)
    assert np.ptp(ours[9:]) == 0
    with pytest.raises(ValueError, match="Tried to step 12 times"):
        trace("OneCycleLR")(arguments, 12)
    with pytest.raises(ValueError, match=r"base_lr: expected a learning rate for the steps before begin = 3"):
        dialect.OneCycleLR(1.0, begin=3)


FACTORS_OF_0 = [("LinearLR", "start_factor", 0.025), ("ConstantLR", "factor", 0.0)]


@pytest.mark.parametrize(("name", "factor", "ours"), FACTORS_OF_0)
def test_a_factor_of_0(name, factor, ours):
    arguments = {"base_lr": 0.1, factor: 0.0, "end": 5}
    with pytest.raises(ZeroDivisionError):
        trace(name)(arguments, 6)
    assert getattr(dialect, name)(**arguments).table(6)[[0, 1, 4, 5]].tolist() == [0.0, ours, 0.1, 0.1]
    with pytest.raises(ValueError, match=rf"{name}.{factor}: expected a number > 0 with strict"):
        getattr(dialect, name)(**arguments, strict=True)


def test_the_beta_of_adam():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], betas=(0.8, 0.99))
    scheduler = peers.CosineAnnealingMomentum(optimizer, eta_min=0.5, T_max=8)
    ours = dialect.CosineAnnealingMomentum(0.8, eta_min=0.5, T_max=8)
    for step in range(1, 9):
        optimizer.step()
        scheduler.step()
        assert optimizer.param_groups[0]["betas"][0] == pytest.approx(ours(step), rel=1e-12)


def test_other_values_have_the_arguments_and_the_errors_of_their_own_name():
    for name in BY_NAME:
        theirs = [*inspect.signature(getattr(peers, name)).parameters][1:] if name.endswith("LR") else []
        assert set(theirs) <= {"args", "kwargs"}  # they are mixed in: what is asked is the class below
        kind = next((kind for kind in FIRST if name.endswith(kind)), "LR")
        below = getattr(peers, name.removesuffix(kind) + "ParamScheduler")
        left_out = {"optimizer", "param_name", "last_step", "by_epoch", "verbose"}
        asked = {it.name: it.default for it in inspect.signature(below).parameters.values() if it.name not in left_out}
        ours = {it.name: it.default for it in inspect.signature(getattr(dialect, name)).parameters.values()}
        assert {key: ours[key] for key in asked if key != "restart_weights"} == {
            key: default for key, default in asked.items() if key != "restart_weights"
        }
        first = FIRST[kind][0] if kind in FIRST and name != "OneCycleParamScheduler" else "base_lr"
        assert set(ours) - set(asked) - {"strict"} == {first}
    with pytest.raises(ValueError, match=r"^LinearMomentum.end: expected a step after begin = 5, got 5"):
        dialect.LinearMomentum(0.1, begin=5, end=5)
    with pytest.raises(ValueError, match=r"^OneCycleParamScheduler.base_lr: expected a learning rate for the steps"):
        dialect.OneCycleParamScheduler(1.0, begin=3)
    with pytest.raises(ValueError, match=r"^ConstantMomentum.base_momentum: expected"):
        dialect.ConstantMomentum(float("nan"))


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"LinearLR.end: expected a step after begin = 5, got 5"):
        dialect.LinearLR(0.1, begin=5, end=5)
    with pytest.raises(ValueError, match=r"CosineAnnealingLR.eta_min_ratio: expected None beside eta_min"):
        dialect.CosineAnnealingLR(0.1, eta_min=0.0, eta_min_ratio=0.1)
    with pytest.raises(ValueError, match=r"CosineRestartLR.eta_min: expected a number, or an eta_min_ratio"):
        dialect.CosineRestartLR(0.1, [3])
    with pytest.raises(ValueError, match=r"CosineRestartLR.restart_weights: expected as many as periods"):
        dialect.CosineRestartLR(0.1, [3, 4], eta_min=0.0)
    with pytest.raises(ValueError, match=r"LinearLR.start_factor: expected a number between 0 and 1"):
        dialect.LinearLR(0.1, 1.5)


def test_what_stays_may_be_too_small_for_a_learning_rate():
    arguments = {"base_lr": 1.0, "gamma": 0.5, "end": 1000}
    assert trace("ExponentialLR")(arguments, 1001)[-1] < 1e-290
    assert dialect.ExponentialLR(**arguments)(1000) == 0.0


def test_a_growth_without_an_end():
    for build in (dialect.ExponentialLR, lambda *given, **where: dialect.StepLR(given[0], 1, given[1], **where)):
        assert build(1.0, 2.0, begin=1).table(4).tolist() == [1.0, 1.0, 2.0, 4.0]
