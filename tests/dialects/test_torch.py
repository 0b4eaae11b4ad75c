"""torch.optim.lr_scheduler beside lrcore.dialects.torch."""

import inspect
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from conformance import Row, always, compare
from hypothesis import given, settings, strategies as st
from live import live

from lrcore import Constant, Linear, Noise, Table
from lrcore.dialects import torch as dialect
from lrcore.dialects._dialect import PEERS

lr_scheduler = torch.optim.lr_scheduler
FAR = 90


def trace(build):
    """The learning rate of each update, as torch's own loop would apply it."""

    def run(arguments, n):
        arguments = dict(arguments)
        # CyclicLR and OneCycleLR take their own learning rates; the optimizer's is overwritten
        base_lr = arguments["base_lr"] if build is lr_scheduler.CyclicLR else arguments.pop("base_lr", 1.0)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base_lr)
        return follow(optimizer, build(optimizer, **arguments), n)

    return run


def follow(optimizer, scheduler, n):
    rates = []
    for _ in range(n):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step() if len(rates) < n else None
    return np.array(rates)


def cyclic(optimizer, **arguments):
    return lr_scheduler.CyclicLR(optimizer, **arguments, cycle_momentum=False)


def one_cycle(optimizer, **arguments):
    return lr_scheduler.OneCycleLR(optimizer, **arguments, cycle_momentum=False)


def cyclic_trace(arguments, n):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return follow(optimizer, cyclic(optimizer, **arguments), n)


def listed(factors, _optimizer=None):
    """A list as the function that torch wants, which holds its last item."""
    return lambda step: factors[min(step, len(factors) - 1)]


def lambda_trace(arguments, n):
    factors = arguments["lr_lambda"]
    return trace(lr_scheduler.LambdaLR)({**arguments, "lr_lambda": listed(factors)}, n)


def multiplicative_trace(arguments, n):
    factors = [*arguments["lr_lambda"], 1.0]
    return trace(lr_scheduler.MultiplicativeLR)({**arguments, "lr_lambda": listed(factors)}, n)


rates = st.floats(1e-4, 1.0)
spans = st.integers(1, 30)
floors = st.one_of(st.just(0.0), st.floats(1e-8, 0.01))
shares = st.one_of(st.just(0.0), st.floats(1e-6, 1.0))
gammas = st.floats(0.1, 1.0)
MULTIPLIERS = {
    "StepLR": {"step_size": spans, "gamma": gammas},
    "MultiStepLR": {"milestones": st.lists(st.integers(0, 60), max_size=5), "gamma": gammas},
    "ConstantLR": {"factor": st.floats(0.01, 1.0), "total_iters": spans},
    "LinearLR": {"start_factor": st.floats(0.01, 1.0), "end_factor": shares, "total_iters": spans},
    "ExponentialLR": {"gamma": st.floats(0.5, 1.0)},
    "PolynomialLR": {"total_iters": spans, "power": st.floats(0.2, 4.0)},
}
OTHERS = {
    "CosineAnnealingWarmRestarts": {"T_0": spans, "T_mult": st.integers(1, 4), "eta_min": floors},
    "CosineAnnealingLR": {"T_max": st.just(200), "eta_min": floors},  # never past its end within a test
}


def children(kinds, least):
    """(name, arguments) of schedulers."""
    one = st.sampled_from(sorted(kinds)).flatmap(
        lambda name: st.tuples(st.just(name), st.fixed_dictionaries(kinds[name]))
    )
    return st.lists(one, min_size=least, max_size=4)


def ours_of(base_lr, specs):
    return [getattr(dialect, name)(base_lr, **arguments) for name, arguments in specs]


def sequential_trace(arguments, n):
    def build(optimizer, schedulers, milestones):
        return lr_scheduler.SequentialLR(optimizer, [live(optimizer, one) for one in schedulers], milestones)

    return trace(build)({"base_lr": arguments["schedulers"][0].origin.arguments["base_lr"], **arguments}, n)


def chained_trace(arguments, n):
    def build(optimizer, schedulers):
        return lr_scheduler.ChainedScheduler([live(optimizer, one) for one in schedulers])

    return trace(build)(arguments, n)


def undone(arguments):
    """What its recursions lose, an ulp an update, and how many times of that the ends of ConstantLR make of it."""
    factors = [one.origin.arguments.get("factor", 1.0) for one in arguments["schedulers"]]
    return FAR / math.prod(factors)


def forever(_):
    return FAR


ROWS = [
    Row(
        "torch.StepLR",
        trace(lr_scheduler.StepLR),
        st.fixed_dictionaries({"base_lr": rates, **MULTIPLIERS["StepLR"]}),
        forever,
        corners=({"base_lr": 0.1, "step_size": 1}, {"base_lr": 0.1, "step_size": 4, "gamma": 0.0}),
        endless=always,
    ),
    Row(
        "torch.MultiStepLR",
        trace(lr_scheduler.MultiStepLR),
        st.fixed_dictionaries({"base_lr": rates, **MULTIPLIERS["MultiStepLR"]}),
        forever,
        corners=(
            {"base_lr": 0.1, "milestones": []},
            {"base_lr": 0.1, "milestones": [0, 0]},
            {"base_lr": 0.1, "milestones": [5, 0, 2, 5], "gamma": 2.0},
            {"base_lr": 0.1, "milestones": [1, 2, 3, 4, 5, 6], "gamma": 1e-20},
            {"base_lr": 0.1, "milestones": [3, 5], "gamma": 0.0},
            {"base_lr": 0.1, "milestones": [0, 5], "gamma": 0.0},
        ),
    ),
    Row(
        "torch.ConstantLR",
        trace(lr_scheduler.ConstantLR),
        st.fixed_dictionaries({"base_lr": rates, **MULTIPLIERS["ConstantLR"]}),
        forever,
        corners=({"base_lr": 0.1}, {"base_lr": 0.1, "factor": 1.0}),
    ),
    Row(
        "torch.LinearLR",
        trace(lr_scheduler.LinearLR),
        st.fixed_dictionaries({"base_lr": rates, **MULTIPLIERS["LinearLR"]}),
        forever,
        corners=({"base_lr": 0.1}, {"base_lr": 0.1, "start_factor": 1e-8, "total_iters": 1}),
    ),
    Row(
        "torch.ExponentialLR",
        trace(lr_scheduler.ExponentialLR),
        st.fixed_dictionaries({"base_lr": rates, **MULTIPLIERS["ExponentialLR"]}),
        forever,
        corners=({"base_lr": 0.1, "gamma": 1.0}, {"base_lr": 0.1, "gamma": 1.1}, {"base_lr": 0.1, "gamma": 0.0}),
        endless=always,
    ),
    Row(
        "torch.PolynomialLR",
        trace(lr_scheduler.PolynomialLR),
        st.fixed_dictionaries({"base_lr": rates, **MULTIPLIERS["PolynomialLR"]}),
        forever,
        corners=(
            {"base_lr": 0.1},
            {"base_lr": 0.1, "total_iters": 1, "power": 0.5},
            {"base_lr": 0.1, "total_iters": 4, "power": 0.0},
        ),
    ),
    Row(
        "torch.CosineAnnealingLR",
        trace(lr_scheduler.CosineAnnealingLR),
        st.fixed_dictionaries({"base_lr": rates, "T_max": spans, "eta_min": floors}),
        lambda a: a["T_max"],
        corners=({"base_lr": 0.1, "T_max": 1},),
        past=60,
    ),
    Row(
        "torch.CosineAnnealingWarmRestarts",
        trace(lr_scheduler.CosineAnnealingWarmRestarts),
        st.fixed_dictionaries({"base_lr": rates, **OTHERS["CosineAnnealingWarmRestarts"]}),
        forever,
        corners=({"base_lr": 0.1, "T_0": 1}, {"base_lr": 0.1, "T_0": 1, "T_mult": 3}),
        endless=always,
    ),
    Row(
        "torch.CyclicLR",
        cyclic_trace,
        st.fixed_dictionaries(
            {
                "base_lr": rates,
                "max_lr": rates,
                "step_size_up": spans,
                "step_size_down": st.one_of(st.none(), spans),
                "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
                "gamma": st.floats(0.5, 1.0),
            }
        ),
        forever,
        corners=(
            {"base_lr": 0.1, "max_lr": 1.0},
            {"base_lr": 0.0, "max_lr": 1.0, "step_size_up": 1, "mode": "triangular2"},
            {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3, "mode": "exp_range", "gamma": 0.0},
            {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3, "gamma": 0.0},
        ),
        floor=FAR,  # its 1 + t / total - cycle loses the ulps of the cycle's number, over step_size_up / total
        endless=always,
    ),
    Row(
        "torch.OneCycleLR",
        trace(one_cycle),
        st.fixed_dictionaries(
            {
                "max_lr": rates,
                "total_steps": st.integers(2, 60),
                "pct_start": st.one_of(st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5]), st.floats(1e-3, 0.5)),
                "anneal_strategy": st.sampled_from(["cos", "linear"]),
                "div_factor": st.floats(0.5, 50.0),
                "final_div_factor": st.floats(0.5, 1e5),
                "three_phase": st.booleans(),
            }
        ).filter(lambda a: a["pct_start"] * a["total_steps"] != 1.0),  # where torch divides by zero
        lambda a: a.get("total_steps", 12) - 1,
        corners=(
            {"max_lr": 1.0, "total_steps": 7},
            {"max_lr": 1.0, "total_steps": 1},
            {"max_lr": 1.0, "total_steps": 1, "three_phase": True},
            {"max_lr": 1.0, "total_steps": 10, "anneal_strategy": "linear"},
            {"max_lr": 1.0, "epochs": 3, "steps_per_epoch": 4},
            {"max_lr": 1.0, "total_steps": 20, "pct_start": 0.49, "three_phase": True},
            {"max_lr": 1.0, "total_steps": 20, "pct_start": 0.97},
            {"max_lr": 1.0, "total_steps": 20, "pct_start": 0.7, "three_phase": True},
        ),
        past=1,
    ),
    Row(
        "torch.SequentialLR",
        sequential_trace,
        st.tuples(rates, children({**MULTIPLIERS, **OTHERS}, 1)).flatmap(
            lambda drawn: st.fixed_dictionaries(
                {
                    "schedulers": st.just(ours_of(*drawn)),
                    "milestones": st.lists(
                        st.integers(1, 60), min_size=len(drawn[1]) - 1, max_size=len(drawn[1]) - 1, unique=True
                    ).map(sorted),
                }
            )
        ),
        forever,
        corners=(
            {
                "schedulers": ours_of(0.1, [("LinearLR", {"total_iters": 5}), ("CosineAnnealingLR", {"T_max": 100})]),
                "milestones": [5],
            },
        ),
        endless=always,
    ),
    Row(
        "torch.ChainedScheduler",
        chained_trace,
        st.tuples(rates, children(MULTIPLIERS, 1)).map(
            lambda drawn: {"base_lr": drawn[0], "schedulers": ours_of(*drawn)}
        ),
        forever,
        corners=(
            {"base_lr": 0.1, "schedulers": ours_of(0.1, [("ConstantLR", {}), ("CosineAnnealingLR", {"T_max": 100})])},
        ),
        endless=always,
    ),
    Row(
        "torch.LambdaLR",
        lambda_trace,
        st.fixed_dictionaries({"base_lr": rates, "lr_lambda": st.lists(shares, min_size=1, max_size=40)}),
        forever,
    ),
    Row(
        "torch.MultiplicativeLR",
        multiplicative_trace,
        st.fixed_dictionaries({"base_lr": rates, "lr_lambda": st.lists(st.floats(0.5, 1.5), min_size=1, max_size=40)}),
        forever,
        corners=({"base_lr": 0.1, "lr_lambda": [1.0, 0.0, 0.5]},),
    ),
    Row(
        "torch.SWALR",
        trace(torch.optim.swa_utils.SWALR),
        st.fixed_dictionaries(
            {
                "base_lr": rates,
                "swa_lr": rates,
                "anneal_epochs": st.integers(0, 30),
                "anneal_strategy": st.sampled_from(["cos", "linear"]),
            }
        ),
        forever,
        corners=({"base_lr": 0.1, "swa_lr": 0.05}, {"base_lr": 0.1, "swa_lr": 0.05, "anneal_epochs": 0}),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    arguments = data.draw(row.arguments)
    compare(replace(row, floor=undone(arguments)) if row.key == "torch.ChainedScheduler" else row, arguments)


@pytest.mark.parametrize(("row", "arguments"), [(row, corner) for row in ROWS for corner in row.corners])
def test_corners(row, arguments):
    compare(row, arguments)


def test_every_schedule_has_a_row():
    declared = {key for key in PEERS if key.startswith("torch.")}
    assert declared == {row.key for row in ROWS}
    assert dialect.__doc__


@pytest.mark.parametrize(
    ("name", "arguments", "end", "stays"),
    [
        ("ConstantLR", {"factor": 0.25}, 1.0, 0.25),
        ("LinearLR", {"start_factor": 0.25}, 1.0, 0.25),
        ("PolynomialLR", {}, 0.0, 1.0),
    ],
)
def test_without_a_length(name, arguments, end, stays):
    """torch's recursion never leaves the first value; a schedule of no length is at its end."""
    arguments = {"base_lr": 1.0, "total_iters": 0, **arguments}
    theirs = trace(getattr(lr_scheduler, name))(arguments, 4)
    assert theirs.tolist() == [stays] * 4
    assert getattr(dialect, name)(**arguments, strict=True).table(4).tolist() == theirs.tolist()
    assert getattr(dialect, name)(**arguments).table(4).tolist() == [end] * 4


def test_one_cycle_without_a_rise():
    """torch divides by zero where its first phase ends at update 0."""
    with pytest.raises(ZeroDivisionError):
        trace(one_cycle)({"max_lr": 1.0, "total_steps": 4, "pct_start": 0.25}, 1)
    ours = dialect.OneCycleLR(1.0, 4, pct_start=0.25, div_factor=1.0, final_div_factor=4.0, anneal_strategy="linear")
    assert ours.table(5).tolist() == [1.0, 0.75, 0.5, 0.25, 0.25]


def test_one_cycle_that_only_rises():
    theirs = trace(one_cycle)({"max_lr": 1.0, "total_steps": 5, "pct_start": 1.0, "anneal_strategy": "linear"}, 5)
    ours = dialect.OneCycleLR(1.0, 5, pct_start=1.0, anneal_strategy="linear")
    assert ours.table(5) == pytest.approx(theirs, rel=1e-15)
    assert ours.table(3, start=4).tolist() == [1.0] * 3


def test_momentum_is_the_same_cycle_upside_down():
    """As the docstrings say: the schedules of the learning rate also give the momentum."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10, max_momentum=0.95, base_momentum=0.85)
    momenta = []
    for _ in range(10):
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    ours = dialect.OneCycleLR(0.85, 10, div_factor=0.85 / 0.95, final_div_factor=1.0)
    assert ours.table(10) == pytest.approx(momenta, rel=1e-14)


@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR"])
def test_all_arguments_of_torch_in_its_order(name):
    theirs = inspect.signature(getattr(lr_scheduler, name)).parameters
    ours = inspect.signature(getattr(dialect, name)).parameters
    wanted = {key: given.default for key, given in theirs.items() if key not in ("optimizer", "last_epoch")}
    assert [*wanted.items()] == [(key, given.default) for key, given in ours.items() if key != "strict"]


def test_momentum_leaves_the_learning_rate_as_it_is():
    momenta = {"cycle_momentum": False, "base_momentum": [0.8, 0.7], "max_momentum": 0.99}
    assert dialect.CyclicLR(0.1, 1.0, 5, **momenta, scale_mode="iterations") == dialect.CyclicLR(0.1, 1.0, 5)
    assert dialect.OneCycleLR(0.1, 10, **momenta) == dialect.OneCycleLR(0.1, 10)


def test_restarts_are_exact_where_torch_misses_them():
    """T_0=1, T_mult=3: update 121 begins a cycle. torch's step() says so, its step(121) does not."""
    ours = dialect.CosineAnnealingWarmRestarts(1.0, 1, 3)
    assert [ours(step) for step in (0, 1, 4, 13, 40, 121, 364, 1093)] == [1.0] * 8


def test_nested_as_torch_means_it():
    """SequentialLR in SequentialLR: torch 2.13 begins the inner one twice."""
    inner = dialect.SequentialLR([Linear(0.1, 1.0, 2), Constant(1.0)], [2])
    nested = dialect.SequentialLR([inner, Constant(0.5)], [4])
    assert nested.table(6).tolist() == [0.1, 0.55, 1.0, 1.0, 0.5, 0.5]


def test_a_factor_of_zero_length_parts():
    assert dialect.SequentialLR([Constant(1.0), Constant(2.0), Constant(3.0)], [0, 2]).table(3).tolist() == [
        2.0,
        2.0,
        3.0,
    ]


def test_factors_by_a_schedule():
    """Those that end go on, those that do not are tabulated."""
    halves = dialect.MultiplicativeLR(8.0, Constant(0.5))
    assert halves.table(4).tolist() == [8.0, 4.0, 2.0, 1.0]
    ends = dialect.MultiplicativeLR(1.0, Linear(1.0, 0.5, 2))
    assert ends.table(5) == pytest.approx(np.cumprod([1.0, 0.75, 0.5, 0.5, 0.5]), rel=1e-15)
    assert ends(200) == pytest.approx(0.75 * 0.5**199, rel=1e-12)
    assert dialect.MultiplicativeLR(1.0, lambda _: 0.5, steps=3).table(4).tolist() == [1.0, 0.5, 0.25, 0.25]
    assert dialect.LambdaLR(0.5, Linear(0.0, 1.0, 2)).table(3).tolist() == [0.0, 0.25, 0.5]


def test_chained_of_nothing():
    assert (
        dialect.ChainedScheduler(0.0, [dialect.ExponentialLR(0.0, 0.5), dialect.StepLR(0.0, 5)]).table(3).tolist()
        == [0.0] * 3
    )
    alone = dialect.ExponentialLR(0.1, 0.5)
    assert dialect.ChainedScheduler(0.1, [alone]) == alone


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: dialect.StepLR(0.1, 0), r"StepLR\.step_size: expected a whole number of updates, an int >= 1"),
        (lambda: dialect.StepLR(0.1, 2.0), r"StepLR\.step_size: expected a whole number"),
        (lambda: dialect.MultiStepLR(0.1, [3, -1]), r"MultiStepLR\.milestones\[1\]: expected"),
        (lambda: dialect.MultiStepLR(0.1, 3), r"MultiStepLR\.milestones: expected a list of milestones"),
        (lambda: dialect.ConstantLR(0.1, 1.5), r"ConstantLR\.factor: expected a number between 0 and 1"),
        (lambda: dialect.LinearLR(0.1, 0.0), r"LinearLR\.start_factor: expected a number > 0"),
        (lambda: dialect.LinearLR(0.1, 0.5, -0.5), r"LinearLR\.end_factor: expected a number >= 0"),
        (lambda: dialect.ExponentialLR(math.nan, 0.5), r"ExponentialLR\.base_lr: expected a finite number"),
        (lambda: dialect.PolynomialLR(0.1, 5, -1.0), r"PolynomialLR\.power: expected a number >= 0: .* divides by 0"),
        (lambda: dialect.StepLR(0.1, 5, -0.5), r"StepLR\.gamma: expected a number >= 0: .* has the wrong sign"),
        (lambda: dialect.ExponentialLR(0.1, -0.5), r"ExponentialLR\.gamma: expected a number >= 0"),
        (lambda: dialect.CyclicLR(0.1, 1.0, gamma=-0.5), r"CyclicLR\.gamma: expected a number >= 0"),
        (lambda: dialect.CosineAnnealingLR(0.1, 5, strict=1), r"CosineAnnealingLR\.strict: expected True or False"),
        (lambda: dialect.CosineAnnealingWarmRestarts(0.1, 5, 1.5), r"CosineAnnealingWarmRestarts\.T_mult: expected"),
        (lambda: dialect.CyclicLR(0.1, 1.0, mode="square"), r"CyclicLR\.mode: expected 'triangular'"),
        (
            lambda: dialect.CyclicLR(0.1, 1.0, scale_fn=lambda cycle: 1 / cycle),
            r"CyclicLR\.scale_fn: expected None: .* has no closed form",
        ),
        (lambda: dialect.CyclicLR(0.1, 1.0, cycle_momentum=0), r"CyclicLR\.cycle_momentum: expected True or False"),
        (lambda: dialect.OneCycleLR(0.1, 9, max_momentum=[2.0]), r"OneCycleLR\.max_momentum\[0\]: expected a number"),
        (lambda: dialect.MultiStepLR(0.1, [3], -0.5), r"MultiStepLR\.gamma: expected a number >= 0"),
        (lambda: dialect.OneCycleLR(0.1), r"OneCycleLR\.total_steps: expected total_steps, or epochs and"),
        (lambda: dialect.OneCycleLR(0.1, 10, pct_start=1.5), r"OneCycleLR\.pct_start: expected a number between"),
        (lambda: dialect.OneCycleLR(0.1, 10, anneal_strategy="cosine"), r"OneCycleLR\.anneal_strategy: expected 'cos'"),
        (lambda: dialect.SequentialLR([0.1, 0.2], [1, 2]), r"SequentialLR\.milestones: expected one milestone less"),
        (lambda: dialect.SequentialLR([0.1, 0.2, 0.3], [2, 1]), r"SequentialLR\.milestones: expected steps in order"),
        (lambda: dialect.SequentialLR(["x"], []), r"SequentialLR\.schedulers\[0\]: expected a schedule"),
        (lambda: dialect.ChainedScheduler(0.1, []), r"ChainedScheduler\.schedulers: expected at least one schedule"),
        (
            lambda: dialect.ChainedScheduler(0.1, [0.1, dialect.LambdaLR(0.1, [1.0])]),
            r"ChainedScheduler\.schedulers\[1\]: expected a schedule that only multiplies base_lr",
        ),
        (
            lambda: dialect.ChainedScheduler(0.1, [dialect.CosineAnnealingLR(0.1, 5, 0.01)]),
            r"ChainedScheduler\.schedulers\[0\]: expected a schedule that only multiplies .* \(strict=True takes",
        ),
        (
            lambda: dialect.LambdaLR(0.1, lambda _: 1.0),
            r"LambdaLR\.steps, for a function: expected how many updates",
        ),
        (lambda: dialect.LambdaLR(0.1, "x"), r"LambdaLR\.lr_lambda: expected factors"),
        (lambda: dialect.MultiplicativeLR(0.1, Noise(1)), r"MultiplicativeLR\.steps, for factors without an end"),
        (lambda: dialect.SWALR(0.1, 0.1, -1), r"SWALR\.anneal_epochs: expected"),
    ],
)
def test_refusals(build, match):
    with pytest.raises((TypeError, ValueError), match=match):
        build()


def test_a_list_of_factors_is_a_table():
    assert dialect.LambdaLR(0.1, [1.0, 0.5]) == 0.1 * Table([1.0, 0.5])


def test_factors_too_small_to_be_one_are_0():
    assert dialect.LambdaLR(0.1, lambda step: 0.5 ** (128 * step), steps=4).table(4).tolist()[2:] == [
        0.1 * 0.5**256,
        0.0,
    ]
