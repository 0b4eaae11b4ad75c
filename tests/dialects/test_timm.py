"""timm.scheduler beside lrcore.dialects.timm."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import timm_loader
import torch
from conformance import Row, always, compare
from hypothesis import given, settings, strategies as st

from lrcore import Cosine, Cycle, ExponentialDecay, Piecewise, Polynomial
from lrcore.dialects import timm as dialect
from lrcore.dialects._dialect import PEERS

peers = timm_loader.load()


def scheduler(name, arguments):
    rest = {key: value for key, value in arguments.items() if key != "base_lr"}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=arguments["base_lr"])
    return optimizer, getattr(peers, name)(optimizer, **rest)


def stepped(name):
    """What step(t) sets, for each t."""

    def run(arguments, n):
        optimizer, made = scheduler(name, arguments)
        rates = []
        for t in range(n):
            made.step(t)
            rates.append(optimizer.param_groups[0]["lr"])
        return np.array(rates)

    return run


def as_trained(name, arguments, n):
    """As timm's train.py does: the constructor sets the first value, step(t + 1) after epoch t the others."""
    optimizer, made = scheduler(name, arguments)
    rates = []
    for t in range(n):
        rates.append(optimizer.param_groups[0]["lr"])
        made.step(t + 1)
    return np.array(rates)


FAR = 90
rates = st.floats(1e-4, 1.0)
spans = st.integers(1, 25)
floors = st.one_of(st.just(0.0), st.floats(1e-8, 1e-2))
powers = st.one_of(st.just(1.0), st.floats(0.3, 3.0))
WARMUP = {"warmup_t": st.integers(0, 12), "warmup_lr_init": floors, "warmup_prefix": st.booleans()}
CYCLES = {
    "base_lr": rates,
    "t_initial": spans,
    "lr_min": floors,
    "cycle_mul": st.sampled_from([1.0, 1, 2, 3, 1.5, 1.1, 2.7]),
    "cycle_decay": st.one_of(st.just(1.0), st.floats(0.1, 1.0)),
    "cycle_limit": st.integers(0, 5),
}
CYCLE_CORNERS = (
    *({"base_lr": 0.1, "t_initial": t, "cycle_limit": limit} for t, limit in product((1, 2, 10), (0, 1, 3))),
    *(
        {"base_lr": 0.1, "t_initial": 10, "warmup_t": w, "warmup_prefix": p}
        for w in (1, 9, 10, 11)
        for p in (True, False)
    ),
    {"base_lr": 0.1, "t_initial": 1, "cycle_mul": 3, "cycle_limit": 9},  # misses a restart at 121
    {"base_lr": 0.1, "t_initial": 1, "cycle_mul": 1.1, "cycle_limit": 40},  # cycles within one update
    {"base_lr": 0.0, "t_initial": 4},
)


def missed_restarts(arguments, n):
    """Restarts at whole t that timm's rounded logarithm leaves in the cycle before."""
    mul, first = arguments.get("cycle_mul", 1), arguments["t_initial"]
    if mul == 1:
        return []
    offset = arguments.get("warmup_t", 0) if arguments.get("warmup_prefix") else 0
    begin, cycle, missed = Fraction(0), 0, []
    while begin < n:
        if begin.denominator == 1 and math.floor(math.log(1 - int(begin) / first * (1 - mul), mul)) < cycle:
            missed.append(int(begin) + offset)
        begin, cycle = begin + first * Fraction(str(mul)) ** cycle, cycle + 1
    return [t for t in missed if t < n]


def last_step(arguments):
    """Where lr_min begins to hold."""
    mul = Fraction(str(arguments.get("cycle_mul", 1)))
    cycles = (arguments["t_initial"] * mul**cycle for cycle in range(arguments.get("cycle_limit", 1)))
    return math.ceil(sum(cycles)) + arguments.get("warmup_t", 0)


def missed_drops(arguments, n):
    """Drops at whole t that timm's t // decay_t makes an update late."""
    exact, offset = Fraction(str(arguments["decay_t"])), 0
    if arguments.get("warmup_prefix"):
        offset = arguments["warmup_t"]
    whole = range(0, n - offset, exact.numerator)
    return [offset + t for t in whole if t // arguments["decay_t"] < t / exact]


@st.composite
def wsd(draw):
    t_initial = draw(spans)
    return {
        "base_lr": draw(rates),
        "t_initial": t_initial,
        "decay_t": draw(st.integers(1, t_initial)),
        "lr_min": draw(floors),
        "stable_fn": draw(st.sampled_from(["constant", "rsqrt", "power"])),
        "stable_timescale": draw(st.one_of(st.floats(0.5, 40.0), st.integers(1, 40))),
        "stable_power": draw(powers),
        "decay_fn": draw(st.sampled_from(["linear", "1-sqrt", "cosine", "power", "exp"])),
        "decay_power": draw(powers),
        "decay_ratio": draw(st.floats(0.01, 0.9)),
        "warmup_t": draw(WARMUP["warmup_t"]),
        "warmup_lr_init": draw(floors),
    }


DECIMALS = st.one_of(spans, st.integers(10, 99).map(lambda tenths: tenths / 10), st.sampled_from([2.25, 1.001]))
ROWS = [
    Row(
        "timm.CosineLRScheduler",
        stepped("CosineLRScheduler"),
        # no cycle at all: test_strict_has_the_first_value_of_the_constructor
        st.fixed_dictionaries({**CYCLES, **WARMUP, "k_decay": powers, "cycle_limit": st.integers(1, 5)}),
        last_step,
        corners=tuple(corner for corner in CYCLE_CORNERS if corner.get("cycle_limit") != 0),
        past=5,
        relative=1e-10,  # measured: 2.8e-12; timm subtracts a rounded sum of cycles from t, and cosines end flat
        skip=missed_restarts,
    ),
    Row(
        "timm.PolyLRScheduler",
        stepped("PolyLRScheduler"),
        st.fixed_dictionaries({**CYCLES, **WARMUP, "power": powers, "k_decay": powers}),
        last_step,
        corners=CYCLE_CORNERS,
        relative=1e-10,  # measured: 1.4e-11; timm subtracts a rounded sum of cycles from t, and roots end steep
        skip=missed_restarts,
    ),
    Row(
        "timm.TanhLRScheduler",
        stepped("TanhLRScheduler"),
        st.fixed_dictionaries({**CYCLES, **WARMUP, "lb": st.floats(-8.0, -0.01), "ub": st.floats(0.01, 4.0)}),
        last_step,
        corners=CYCLE_CORNERS,
        skip=missed_restarts,
    ),
    Row(
        "timm.StepLRScheduler",
        stepped("StepLRScheduler"),
        st.fixed_dictionaries({"base_lr": rates, "decay_t": DECIMALS, "decay_rate": st.floats(0.1, 1.0), **WARMUP}),
        lambda _: FAR,
        corners=tuple({"base_lr": 0.1, "decay_t": t, "decay_rate": 0.5} for t in (1, 2.4, 2.6, 1.2, 3.0, 1.1)),
        skip=missed_drops,
        floor=0,
        endless=always,
    ),
    Row(
        "timm.MultiStepLRScheduler",
        stepped("MultiStepLRScheduler"),
        st.fixed_dictionaries(
            {
                "base_lr": rates,
                "decay_t": st.lists(st.integers(0, 60), max_size=5).map(sorted),
                "decay_rate": st.floats(0.1, 1.0),
                **WARMUP,
            }
        ),
        lambda _: FAR,
        corners=tuple({"base_lr": 0.1, "decay_t": t, "decay_rate": 0.5} for t in ([], [0], [1], [1, 1, 2], [30, 60])),
        floor=0,
    ),
    Row(
        "timm.WSDLRScheduler",
        stepped("WSDLRScheduler"),
        wsd(),
        lambda _: FAR,
        corners=tuple(
            {"base_lr": 0.1, "t_initial": t, "decay_t": d, "warmup_t": 3, "stable_fn": stable, "lr_min": 0.02}
            for t, d in ((1, 1), (10, 10), (60, 1))
            for stable in ("constant", "rsqrt")
        ),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(row, corner) for row in ROWS for corner in row.corners])
def test_corners(row, arguments):
    compare(row, arguments)


def test_every_schedule_has_a_row():
    assert {key for key in PEERS if key.startswith("timm.")} == {row.key for row in ROWS}
    offered = {name for name in vars(peers) if name.endswith("LRScheduler")}
    assert offered == {row.key.removeprefix("timm.") for row in ROWS} | {"PlateauLRScheduler"}


def test_they_are_the_plain_schedules_where_they_can_be():
    assert dialect.CosineLRScheduler(0.1, 100) == Cosine(0.1, 0.0, 100)
    assert dialect.PolyLRScheduler(0.1, 100, 2.0, 0.01) == Polynomial(0.1, 0.01, 100, 2.0)
    assert dialect.CosineLRScheduler(0.1, 9, cycle_limit=3) == Cycle(Cosine(0.1, 0.0, 9), 9, count=3)
    assert dialect.StepLRScheduler(0.1, 30, 0.5) == ExponentialDecay(0.1, 0.5, 30).staircase(30)
    assert dialect.MultiStepLRScheduler(1.0, [30, 60], 0.5) == Piecewise([29, 59], [1.0, 0.5, 0.25])


@pytest.mark.parametrize(("mul", "limit", "misses"), [(2, 20, False), (3, 12, True), (5, 8, False)])
def test_restarts_are_exact_and_timms_are_not(mul, limit, misses):
    arguments = {"base_lr": 0.1, "t_initial": 1, "cycle_mul": mul, "cycle_limit": limit}
    starts = [sum(mul**cycle for cycle in range(at)) for at in range(limit)]
    assert dialect.CosineLRScheduler(**arguments)(starts).tolist() == [0.1] * limit
    around = [t for start in starts[1:] for t in (start - 1, start, start + 1)]
    optimizer, made = scheduler("CosineLRScheduler", arguments)
    theirs = []
    for t in around:
        made.step(t)
        theirs.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(dialect.CosineLRScheduler(**arguments, strict=True)(around), theirs, rtol=0, atol=1e-12)
    assert (np.array(theirs)[1::3] < 1e-9).any() == misses


def test_a_drop_that_timm_makes_late():
    arguments = {"base_lr": 1.0, "decay_t": 2.6, "decay_rate": 0.5}
    theirs = stepped("StepLRScheduler")(arguments, 90)
    assert theirs[13] == 2 * dialect.StepLRScheduler(**arguments)(13) == 2.0**-4
    np.testing.assert_allclose(dialect.StepLRScheduler(**arguments, strict=True).table(90), theirs, rtol=1e-13)


def test_decay_t_is_a_decimal():
    assert dialect.StepLRScheduler(1.0, 0.1 * 30, 0.5) == dialect.StepLRScheduler(1.0, 3, 0.5)
    for given_t in (math.pi, 0.5):
        with pytest.raises(ValueError, match=r"StepLRScheduler.decay_t: expected a number >= 1 of updates"):
            dialect.StepLRScheduler(1.0, given_t)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("CosineLRScheduler", {"t_initial": 20, "cycle_limit": 0}),
        ("CosineLRScheduler", {"t_initial": 20, "cycle_limit": 0, "warmup_t": 3}),
        ("PolyLRScheduler", {"t_initial": 20, "cycle_limit": 0, "lr_min": 0.01}),
        ("TanhLRScheduler", {"t_initial": 20}),
        ("TanhLRScheduler", {"t_initial": 20, "warmup_t": 3}),
        ("MultiStepLRScheduler", {"decay_t": [1, 5], "decay_rate": 0.5}),
        ("MultiStepLRScheduler", {"decay_t": [1, 5], "decay_rate": 0.5, "warmup_t": 2}),
        ("StepLRScheduler", {"decay_t": 9, "noise_range_t": 0}),
        ("WSDLRScheduler", {"t_initial": 20, "decay_t": 9, "noise_range_t": (0, 9), "warmup_t": 5}),
    ],
)
def test_strict_has_the_first_value_of_the_constructor(name, arguments):
    arguments = {"base_lr": 0.1, **arguments}
    ours = getattr(dialect, name)(**arguments, strict=True).table(40)
    np.testing.assert_allclose(ours, as_trained(name, arguments, 40), rtol=1e-12)
    assert ours[0] == (0.0 if "warmup_t" in arguments else 0.1)


def test_one_early_is_a_quirk_of_the_default_too():
    quirks = dialect.MultiStepLRScheduler(0.1, [3], 0.5).origin.quirks
    assert [quirk.name for quirk in quirks] == ["one-early"]
    assert len(dialect.MultiStepLRScheduler(0.1, [1], 0.5, strict=True).origin.quirks) == 2


def test_a_decay_of_ones_own():
    arguments = {"base_lr": 0.1, "t_initial": 20, "decay_t": 9, "lr_min": 0.01, "decay_fn": lambda p: (1 - p) ** 3}
    theirs = stepped("WSDLRScheduler")(arguments, 40)
    np.testing.assert_allclose(dialect.WSDLRScheduler(**arguments).table(40), theirs, rtol=1e-13)
    with pytest.raises(ValueError, match=r"decay_t: expected at most t_initial = 20, got 21"):
        dialect.WSDLRScheduler(0.1, 20, 21)
    with pytest.raises(ValueError, match=r"TanhLRScheduler.ub: expected a number above lb = 1.0, got 0.5"):
        dialect.TanhLRScheduler(0.1, 20, lb=1.0, ub=0.5)
    with pytest.raises(ValueError, match=r"stable_timescale \(or warmup_t\): expected a number > 0"):
        dialect.WSDLRScheduler(0.1, 20, 2, stable_fn="rsqrt")


NOISY = {
    "CosineLRScheduler": {"t_initial": 40, "cycle_limit": 2},
    "PolyLRScheduler": {"t_initial": 70, "lr_min": 0.01},
    "TanhLRScheduler": {"t_initial": 60},
    "StepLRScheduler": {"decay_t": 20, "decay_rate": 0.5},
    "MultiStepLRScheduler": {"decay_t": [20, 40], "decay_rate": 0.5},
    "WSDLRScheduler": {"t_initial": 70, "decay_t": 20},
}
moments = st.one_of(st.integers(0, 60), st.floats(0.0, 60.0))
NOISE = {
    "noise_range_t": st.one_of(moments, st.tuples(moments, moments), st.tuples(moments, moments).map(list), st.none()),
    "noise_pct": st.sampled_from([0.67, 0.1, 0.5, 0.9, 3.0, 50.0]),
    "noise_std": st.sampled_from([1.0, 0.2, 0.1, 2.5, 0.0]),
    "noise_seed": st.one_of(st.integers(0, 99), st.integers(-(2**40), 2**40), st.just(2**32 - 30), st.none()),
}


def with_noise(name, arguments, kind):
    """A scheduler of timm, whose constructors leave the kind of noise out."""
    optimizer, made = scheduler(name, arguments)
    made.noise_type, made.noise_seed = kind, 42 if made.noise_seed is None else made.noise_seed
    return optimizer, made


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("name", NOISY)
@settings(max_examples=12, deadline=None)
@given(noise=st.fixed_dictionaries(NOISE), warmup=st.booleans())
def test_noise_has_timms_numbers(name, kind, noise, warmup):
    arguments = {"base_lr": 0.3, **NOISY[name], **noise}
    arguments |= {"warmup_t": 9, "warmup_lr_init": 0.01} if warmup else {}
    optimizer, made = with_noise(name, arguments, kind)
    built = {strict: getattr(dialect, name)(**arguments, noise_type=kind, strict=strict) for strict in (False, True)}
    assert built[True](0) == optimizer.param_groups[0]["lr"]  # which has no noise
    for t in [*range(63), 10**6, 2**32 - 43]:
        made.step(t)
        theirs = optimizer.param_groups[0]["lr"]
        np.testing.assert_allclose(built[False](t), theirs, rtol=1e-12, atol=1e-15, err_msg=str(t))
        assert t == 0 or built[True](t) == built[False](t)


@pytest.mark.parametrize(("pct", "std"), [(0.67, 1.0), (0.1, 1.0), (0.5, 0.2), (0.9, 0.1)])
def test_a_long_run_of_noise(pct, std):
    arguments = {"base_lr": 1.0, "decay_t": 10_000, "noise_range_t": (10, 3990), "noise_pct": pct, "noise_std": std}
    ours = dialect.StepLRScheduler(**arguments).table(4000)
    np.testing.assert_allclose(ours, stepped("StepLRScheduler")(arguments, 4000), rtol=0, atol=3e-16)
    assert np.flatnonzero(ours != 1.0).tolist() == list(range(10, 3990))
    assert np.abs(ours - 1.0).max() < pct


def test_what_noise_takes():
    assert dialect.StepLRScheduler(0.1, 30, 0.5, noise_seed=7) == ExponentialDecay(0.1, 0.5, 30).staircase(30)
    narrow = r"Noise.bound: expected a number >= 0.001, got 1e-05"
    with pytest.raises(ValueError, match=narrow):
        dialect.StepLRScheduler(0.1, 30, noise_range_t=3, noise_pct=1e-5)
    with pytest.raises(ValueError, match=r"noise_type: expected 'normal' or 'uniform', got 'unifrom'.*did you mean"):
        dialect.StepLRScheduler(0.1, 30, noise_range_t=3, noise_type="unifrom")


def test_noise_without_an_end_and_in_no_range():
    arguments = {"base_lr": 1.0, "decay_t": 10_000}
    endless = dialect.StepLRScheduler(**arguments, noise_range_t=4.5)
    assert endless.table(5).tolist() == [1.0] * 5
    assert (endless.table(50, start=5) != 1.0).all()
    assert (dialect.StepLRScheduler(**arguments, noise_range_t=[7, 7]).table(20) == 1.0).all()
    with pytest.raises(ValueError, match=r"noise_range_t\[0\]: expected a number >= 0"):
        dialect.StepLRScheduler(**arguments, noise_range_t=[-1, 7])


@st.composite
def script_arguments(draw):
    epochs = draw(st.integers(4, 20))
    per_epoch = draw(st.sampled_from([0, 3]))
    others = {
        "decay_epochs": draw(st.sampled_from([None, 2, 2.5, 3])),
        "decay_milestones": draw(st.lists(st.integers(1, 20), max_size=4).map(sorted)),
        "decay_rate": draw(st.floats(0.1, 0.9)),
        "min_lr": draw(floors),
        "warmup_lr": draw(floors),
        "warmup_epochs": draw(st.integers(1, epochs - 3)),
        "warmup_prefix": draw(st.booleans()),
        "cycle_decay": draw(st.floats(0.1, 1.0)),
        "cycle_limit": draw(st.integers(1, 3)),
        "k_decay": draw(powers),
    }
    if draw(st.booleans()):
        others["decay_fn"], others["stable_timescale"] = "cosine", draw(st.floats(1.0, 9.0))
    on = {} if per_epoch == 0 else {"step_on_epochs": False, "updates_per_epoch": per_epoch}
    return {"num_epochs": epochs, **others, **on}


@pytest.mark.parametrize("sched", dialect.SCHEDULERS)
@settings(max_examples=20, deadline=None)
@given(arguments=script_arguments())
def test_create_scheduler_v2(sched, arguments):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    made, _ = peers.create_scheduler_v2(optimizer, sched, **arguments)
    ours = dialect.create_scheduler_v2(0.1, sched, **arguments)
    theirs = []
    for t in range(100):
        (made.step_update if "updates_per_epoch" in arguments else made.step)(t)
        theirs.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(ours.table(100), theirs, rtol=1e-12, atol=1e-14)


def test_the_arguments_of_noise_are_shares_of_the_run():
    noisy = dialect.create_scheduler_v2(1.0, "constant", 10, noise=[0.4, 0.9]).table(12)
    assert (noisy == 1.0).tolist() == [True] * 4 + [False] * 5 + [True] * 3
    assert (dialect.create_scheduler_v2(1.0, "constant", 10, noise=0.5).table(12) == 1.0).tolist() == [True] * 5 + [
        False
    ] * 7
    with pytest.raises(ValueError, match=r"create_scheduler_v2.sched: expected 'cosine'.* got 'plateau'"):
        dialect.create_scheduler_v2(0.1, "plateau")
    with pytest.raises(ValueError, match=r"updates_per_epoch: expected a whole number of updates, an int >= 1, got 0"):
        dialect.create_scheduler_v2(0.1, step_on_epochs=False)


@pytest.mark.parametrize("name", ["CosineLRScheduler", "PolyLRScheduler", "TanhLRScheduler"])
@pytest.mark.parametrize(("mul", "missed"), [(3, [247]), (10, [227]), (1.5, [])])
def test_strict_misses_the_restarts_that_timm_misses(name, mul, missed):
    arguments = {"base_lr": 0.1, "t_initial": 2, "cycle_mul": mul, "cycle_limit": 6, "warmup_t": 5}
    arguments["warmup_prefix"] = True
    theirs = stepped(name)(arguments, 300)
    np.testing.assert_allclose(getattr(dialect, name)(**arguments, strict=True).table(300), theirs, rtol=0, atol=1e-12)
    away = np.flatnonzero(np.abs(getattr(dialect, name)(**arguments).table(300) - theirs) > 1e-12)
    assert away.tolist() == missed


@pytest.mark.parametrize("name", ["CosineLRScheduler", "PolyLRScheduler", "TanhLRScheduler"])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("more", [{}, {"cycle_decay": 0.9}, {"warmup_t": 5, "warmup_prefix": True}])
@pytest.mark.parametrize("mul", [2.0, 2.5])
def test_cycles_beyond_all_updates_are_left_out(name, strict, more, mul):
    """10 updates that double 60 times are more than 2**53: of those below it nothing is lost."""
    build = getattr(dialect, name)
    few, many = (build(1.0, 10, cycle_mul=mul, cycle_limit=limit, **more, strict=strict) for limit in (9, 60))
    span = int(10 * (mul**9 - 1) / (mul - 1))
    assert many.table(span).tolist() == few.table(span).tolist()
    late = range(2**40, 2**53, 2**53 // 97)
    assert all(0.0 <= many(step) <= 1.0 for step in late)
    assert len({many(step) for step in late}) > 50
