"""diff: against a slow twin, against traces of other frameworks, and with differences that were planted."""

import json
import math
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import lrcore as lr
from lrcore._traces import BLOCK
from lrcore.comparison import diff
from packages import imported
from strategies import schedules

os.environ["KERAS_BACKEND"] = "torch"  # taken when Keras is first imported, and the same in all tests

slow = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def kinds(difference):
    return [cause.kind for cause in difference.causes]


def cause(difference, kind):
    return next(one for one in difference.causes if one.kind == kind)


# ---- Against a twin ----


def twin(a, b, rtol=0.0, atol=0.0):
    """What `diff` counts, in plain Python."""
    differing, largest, largest_relative, ranges = [], 0.0, 0.0, []
    for step, (one, other) in enumerate(zip(a, b, strict=True)):
        if not (math.isfinite(one) and math.isfinite(other)):
            differing.append(step)
            continue
        size = max(abs(one), abs(other))
        apart = abs(one - other)
        if apart > atol + rtol * size:
            differing.append(step)
        largest = max(largest, apart)
        largest_relative = max(largest_relative, apart / size if size else 0.0)
    for step in differing:
        if ranges and ranges[-1][1] == step:
            ranges[-1][1] = step + 1
        else:
            ranges.append([step, step + 1])
    return differing, largest, largest_relative, ranges


def check_against_twin(found, a, b, rtol=0.0, atol=0.0):
    differing, largest, largest_relative, ranges = twin(a.tolist(), b.tolist(), rtol, atol)
    assert bool(found) == bool(differing)
    assert found.differing == len(differing)
    assert (found.first.step if found.first else None) == (differing[0] if differing else None)
    assert (found.last.step if found.last else None) == (differing[-1] if differing else None)
    assert abs(found.largest.difference if found.largest else 0.0) == largest
    assert (found.largest_relative.relative if found.largest_relative else 0.0) == pytest.approx(
        largest_relative, rel=1e-12
    )
    assert found.range_count == len(ranges)
    assert [list(one) for one in found.ranges] == ranges[:8]
    assert found.share == len(differing) / len(a)


values = st.one_of(
    st.sampled_from([0.0, 1.0, 0.1, 0.1 + 2**-56, 1e-9, -1.0, math.nan, math.inf, -math.inf]), st.floats(-10, 10)
)


@slow
@given(st.lists(st.tuples(values, values), min_size=1, max_size=60), st.data())
def test_arrays_as_the_twin_counts_them(pairs, data):
    same = data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    a = np.array([one for one, _ in pairs])
    b = np.array([one if is_same else other for (one, other), is_same in zip(pairs, same, strict=True)])
    rtol, atol = data.draw(st.sampled_from([(0.0, 0.0), (1e-3, 0.0), (0.0, 0.5), (0.1, 0.1)]))
    check_against_twin(diff(a, b, rtol=rtol, atol=atol), a, b, rtol, atol)


@slow
@given(schedules(2), schedules(2), st.integers(1, 200))
def test_schedules_as_the_twin_counts_them(a, b, n):
    found = diff(a, b, n)
    check_against_twin(found, a.table(n), b.table(n))
    assert found.steps == n


@pytest.mark.parametrize("at", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 3 * BLOCK + 99])
@pytest.mark.parametrize("width", [1, 2, BLOCK])
def test_ranges_across_the_blocks(at, width):
    a = np.full(3 * BLOCK + 100, 0.5)
    b = a.copy()
    b[at : at + width] = 0.25
    b[max(at - 5, 0) : max(at - 3, 0)] = 0.25
    check_against_twin(diff(a, b), a, b)


@slow
@given(schedules(3), st.integers(1, 300))
def test_a_schedule_equals_itself_its_table_and_its_float32_table(schedule, n):
    assert not diff(schedule, schedule, n)
    assert not diff(schedule, schedule.table(n))
    assert not diff(schedule.table(n, dtype="float32"), schedule)
    assert diff(schedule, schedule.table(n)).causes == ()


@slow
@given(schedules(2), schedules(2), st.integers(1, 100))
def test_the_other_way_round_the_same_steps_differ(a, b, n):
    one, other = diff(a, b, n), diff(b, a, n)
    assert (one.differing, one.ranges, one.not_finite) == (other.differing, other.ranges, other.not_finite)
    assert (one.largest is None) == (other.largest is None)
    if one.largest:
        assert one.largest.difference == -other.largest.difference


# ---- What was planted is found ----

RUN = lr.warmup_cosine(0.1, 0.001, 100, 1000)
DROPS = lr.Piecewise([200, 500, 700], [0.1, 0.05, 0.01, 0.001])
WAVE = lr.sgdr(0.1, 0.001, 130, period_mult=2)


@pytest.mark.parametrize("steps", [1, -1, 2, -2, 3, -3, 4, 17, -17, 100, -100, 400])
@pytest.mark.parametrize("schedule", [RUN, DROPS, WAVE], ids=["run", "drops", "wave"])
@pytest.mark.parametrize("as_array", [False, True])
def test_a_shift(schedule, steps, as_array):
    late = schedule.shift(-steps)
    found = diff(schedule, late.table(1000) if as_array else late, 1000)
    assert cause(found, "shift").details == {"steps": steps}
    assert "ambiguous" not in kinds(found)


@pytest.mark.parametrize("factor", [0.1, 2.0, 1 / 3, 1.0001])
@pytest.mark.parametrize("schedule", [RUN, DROPS, WAVE], ids=["run", "drops", "wave"])
def test_a_factor(schedule, factor):
    found = diff(schedule, schedule * factor, 1000)
    assert cause(found, "factor").details["factor"] == pytest.approx(factor, rel=1e-11)
    assert "shift" not in kinds(found)


@pytest.mark.parametrize("by", [0.01, -1e-4])
@pytest.mark.parametrize("schedule", [RUN, DROPS, WAVE], ids=["run", "drops", "wave"])
def test_an_offset(schedule, by):
    found = diff(schedule, schedule + by, 1000)
    assert cause(found, "offset").details["offset"] == pytest.approx(by, rel=1e-9)


@pytest.mark.parametrize("factor", [2, 3, 4, 8, 64])
@pytest.mark.parametrize("schedule", [RUN, lr.one_cycle(0.1, 900)], ids=["run", "cycle"])
def test_stepped_n_times_an_update(schedule, factor):
    fast = schedule(np.arange(1000) * factor)
    found = diff(schedule, fast)
    assert cause(found, "stretch").details == {"factor": 1 / factor}
    assert f"{factor} times as fast" in str(found)
    assert cause(diff(fast, schedule), "stretch").details == {"factor": factor}


def test_a_run_on_four_processes():
    """A scheduler that is stepped by each of four processes."""
    slow_run = lr.warmup_cosine(0.1, 0.0, 400, 4000)
    assert cause(diff(slow_run, lr.warmup_cosine(0.1, 0.0, 100, 1000)), "stretch").details == {"factor": 0.25}


def test_a_decay_that_begins_after_a_longer_warmup():
    a = lr.Linear(0.0, 0.1, 50) >> lr.Cosine(0.1, 0.0, 900)
    b = lr.Linear(0.0, 0.1, 120) >> lr.Cosine(0.1, 0.0, 900)
    found = cause(diff(a, b), "shift")
    assert found.details == {"steps": 70, "since": 120}
    assert found.text.startswith("from step 120 on b is a, 70 steps later")


def test_only_past_the_end():
    a, rises = lr.Cosine(0.1, 0.0, 100), (1 + np.cos(np.pi * np.arange(150) / 100)) / 20
    found = diff(a, rises, atol=1e-15)
    assert cause(found, "past_end").details == {"of": "a", "length": 100}
    assert found.first.step == 101


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_only_the_warmup_counts_from_another_step(first, second):
    def run(count_from):
        warmup = 0.1 * (np.arange(100) + count_from) / 100
        return np.concatenate([warmup, lr.Cosine(0.1, 0.0, 900).table(900)])

    found = cause(diff(run(first), run(second)), "beginning")
    assert found.details == {"steps": 100, "shift": -1 if second else 1}


def test_only_float32_rounding():
    trace = RUN.table(1000, dtype="float32").astype(np.float64)
    found = diff(RUN, trace)
    assert kinds(found) == ["rounding"]
    assert found.causes[0].details["precision"] == "float32"


def test_only_float64_rounding():
    rng = np.random.default_rng(0)
    trace = RUN.table(1000) * (1 + 2**-52 * rng.integers(-2, 3, 1000))
    found = diff(RUN, trace)
    assert kinds(found) == ["rounding"]
    assert found.causes[0].details["precision"] == "float64"


@pytest.mark.parametrize("swapped", [False, True])
def test_boundaries_of_either_side(swapped):
    sides = [lr.Piecewise([200, 500], [0.1, 0.05, 0.01], side=side) for side in ("right", "left")]
    found = diff(*(reversed(sides) if swapped else sides))
    assert found.ranges == ((200, 201), (500, 501))
    assert cause(found, "boundaries").details == {"late": "a" if swapped else "b", "count": 2}
    assert cause(found, "shift").details == {"steps": -1 if swapped else 1}


def test_only_restarts_that_come_one_step_late():
    restarts, late = np.array([130, 390, 910]), WAVE.table(1000)
    late[restarts] = late[restarts - 1]
    found = diff(WAVE, late)
    assert found.ranges == ((130, 131), (390, 391), (910, 911))
    assert kinds(found) == []  # a restart that is late loses a step of its cycle: no value comes later, one is repeated


def test_relations_that_cannot_be_told_apart_are_named_together():
    found = diff(lr.ExponentialDecay(1.0, 0.9), lr.ExponentialDecay(1.0, 0.9).shift(1), 100)
    assert kinds(found) == ["ambiguous"]
    assert {one["kind"] for one in found.causes[0].details["any"]} == {"factor", "shift"}


def test_growing_cycles_that_look_stretched_and_shifted():
    """Cycles of 65, 130, 260, ... are those of 130, 260, ... at twice the speed, and also 65 steps later."""
    found = diff(WAVE, WAVE(np.arange(1000) * 2))
    assert {one["kind"] for one in cause(found, "ambiguous").details["any"]} == {"shift", "stretch"}


def test_what_happens_after_the_steps_compared_tells_a_shift_from_an_offset():
    a = lr.Linear(1.0, 0.0, 1000)
    assert kinds(diff(a, a.shift(1), 900)) == ["shift"]
    assert kinds(diff(a.table(900), a.shift(1).table(900))) == ["ambiguous"]


def test_constants_are_only_called_constant():
    assert kinds(diff(lr.Constant(1.0), lr.Constant(2.0), 100)) == ["constant"]
    assert kinds(diff(lr.Constant(1.0), RUN, 1000)) == ["constant"]


UNRELATED = {
    "cosine": lr.Cosine(0.1, 0.0, 1000),
    "line": lr.Linear(0.07, 0.01, 800),
    "drops": lr.Piecewise([130, 700], [0.3, 0.02, 0.5]),
    "decay": lr.ExponentialDecay(0.1, 0.5, 333),
    "root": lr.inverse_sqrt(0.1, 77),
    "wave": lr.triangular(0.01, 0.2, 91),
    "cycle": lr.one_cycle(0.1, 900),
    "noise": lr.Table(np.random.default_rng(1).uniform(0, 0.1, 1000)),
    "other noise": lr.Table(np.random.default_rng(2).uniform(0, 0.1, 1000)),
}


@pytest.mark.parametrize("one", UNRELATED)
@pytest.mark.parametrize("other", UNRELATED)
def test_of_unrelated_schedules_nothing_is_claimed(one, other):
    assert kinds(diff(UNRELATED[one], UNRELATED[other], 1000)) == []
    assert kinds(diff(UNRELATED[one].table(1000), UNRELATED[other].table(1000))) == []


def promised(found, a, b, n):
    """The pairs of values that a cause says are equal."""
    details = found.details
    if found.kind == "shift":
        begin = max(details["steps"], details.get("since", 0), 0)
        return [(a(step - details["steps"]), b(step)) for step in range(begin, n)]
    if found.kind == "stretch" and details["factor"] > 1:
        return [(a(step), b(step * details["factor"])) for step in range(-(-n // details["factor"]))]
    if found.kind == "stretch":
        return [(a(step * round(1 / details["factor"])), b(step)) for step in range(n)]
    if found.kind == "constant":
        return [(each(step), each(0)) for step in range(n) for each in (a, b) if "ab"[each is b] in details["which"]]
    steps = {
        "beginning": range(details.get("steps", 0), n),
        "past_end": range(min(details.get("length", 0), n)),
        "factor": range(n),
        "offset": range(n),
    }.get(found.kind, ())
    return [(details.get("factor", 1) * a(step) + details.get("offset", 0), b(step)) for step in steps]


@slow
@given(schedules(2), schedules(2), st.integers(10, 300))
def test_what_is_claimed_holds(a, b, n):
    """A cause is a promise about the values; here it is kept to by a loop."""
    size = max(abs(a.table(n)).max(), abs(b.table(n)).max())
    for found in diff(a, b, n).causes:
        for one, other in promised(found, a, b, n):
            assert abs(one - other) <= 1e-11 * size


# ---- Traces of other frameworks ----


def torch_trace(make, n, lr_value=0.1):
    torch = imported("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr_value)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(n):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_torch_cosine():
    trace = torch_trace(lambda all_of, optimizer: all_of.CosineAnnealingLR(optimizer, T_max=100), 101)
    assert not diff(lr.Cosine(0.1, 0.0, 100), trace, rtol=1e-12, atol=1e-16)


def test_torch_cosine_that_rises_again():
    trace = torch_trace(lambda all_of, optimizer: all_of.CosineAnnealingLR(optimizer, T_max=100), 180)
    found = diff(lr.Cosine(0.1, 0.0, 100), trace, atol=1e-12)
    assert cause(found, "past_end").details == {"of": "a", "length": 100}


def test_torch_multi_step():
    trace = torch_trace(lambda all_of, optimizer: all_of.MultiStepLR(optimizer, [30, 60]), 90)
    assert not diff(lr.Piecewise([30, 60], [0.1, 0.01, 0.001]), trace, rtol=1e-15)
    off = diff(lr.Piecewise([29, 59], [0.1, 0.01, 0.001]), trace, rtol=1e-15)  # a milestone at t + 1, as timm has it
    assert cause(off, "shift").details == {"steps": 1}


def test_keras_piecewise_constant():
    keras = imported("keras")
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([30, 60], [0.1, 0.01, 0.001])
    trace = np.array([float(schedule(step)) for step in range(90)], np.float32)
    found = diff(lr.Piecewise([30, 60], [0.1, 0.01, 0.001]), trace)
    assert found.precision == "float32"
    assert found.ranges == ((30, 31), (60, 61))
    assert cause(found, "shift").details == {"steps": 1}
    assert cause(found, "boundaries").details["late"] == "b"
    assert not diff(lr.Piecewise([30, 60], [0.1, 0.01, 0.001], side="left"), trace)


def test_optax_piecewise_constant():
    optax = imported("optax")
    schedule = optax.piecewise_constant_schedule(0.1, {30: 0.1, 60: 0.1})
    trace = np.array([float(schedule(step)) for step in range(90)], np.float32)
    found = diff(lr.Piecewise([31, 61], [0.1, 0.01, 0.001]), trace, rtol=1e-6)
    assert cause(found, "shift").details == {"steps": -1}


# ---- Numbers of other kinds ----


def test_a_float32_trace_is_compared_with_values_rounded_once():
    trace = RUN.table(1000, dtype="float32")
    assert not diff(RUN, trace)
    trace[7] = np.nextafter(trace[7], np.float32(1))
    found = diff(RUN, trace)
    assert (found.differing, found.first.step, found.precision) == (1, 7, "float32")
    assert "both rounded to float32" in str(found)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "int32"])
def test_arrays_of_any_real_dtype(dtype):
    trace = (4 * lr.Linear(1.0, 0.0, 4)).table(6).astype(dtype)
    assert not diff(4 * lr.Linear(1.0, 0.0, 4), trace)
    assert not diff(trace.tolist(), trace)
    trace[3] += 1
    assert diff(4 * lr.Linear(1.0, 0.0, 4), trace).ranges == ((3, 4),)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_differs_even_from_itself(wrong):
    trace = RUN.table(1000)
    trace[[5, 700]] = wrong
    for found in (diff(RUN, trace), diff(trace, trace), diff(RUN, trace, rtol=1.0, atol=1e9)):
        assert found.ranges == ((5, 6), (700, 701))
        assert found.not_finite == 2
        assert found.largest is None
        assert "NaN or infinite at 2 steps" in str(found)
        json.dumps(found.to_dict(), allow_nan=False)


def test_a_shift_is_seen_around_a_nan():
    trace = RUN.shift(-1).table(1000)
    trace[500] = math.nan
    assert cause(diff(RUN, trace), "shift").details == {"steps": 1}


def test_only_nan():
    assert diff(RUN, np.full(1000, math.nan)).differing == 1000


def test_relative_differences_where_a_value_is_zero():
    found = diff([0.0, 0.0, 1.0], [0.0, 1e-300, -1.0])
    assert found.largest_relative.relative == 2.0
    assert diff([0.0, 0.0], [0.0, 1e-300]).largest_relative.relative == 1.0
    assert diff([1e308], [-1e308]).largest_relative is None  # their difference is no number


# ---- How many steps ----


def test_steps_of_schedules_include_the_value_that_holds():
    assert diff(lr.Linear(1, 0, 10), lr.Linear(1, 0, 20)).steps == 21
    assert diff(lr.Linear(1, 0, 10), lr.ExponentialDecay(1, 0.5)).steps == 11
    assert diff(lr.Constant(1), lr.Constant(1)).steps == 1
    assert diff(lr.Piecewise([3], [1, 0.1]), lr.Piecewise([3], [1, 0.2])).first.step == 3


def test_steps_of_arrays():
    assert diff(lr.Linear(1, 0, 10), np.ones(7)).steps == 7
    assert diff(np.ones(7), np.ones(9), 5).steps == 5


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (lr.ExponentialDecay(1, 0.5), lr.InverseSqrt(1, 5), {}, r"^diff\.n: expected a number of steps, since neither"),
        ([1.0, 2.0], [1.0], {}, r"^diff\.n: expected a number of steps, for arrays of 2 and 1, got None"),
        (RUN, [1.0, 2.0], {"n": 3}, r"^diff\.n: expected at most the 2 steps of b, got 3"),
        ([1.0, 2.0], RUN, {"n": 3}, r"^diff\.n: expected at most the 2 steps of a, got 3"),
        (RUN, RUN, {"n": 0}, r"^diff\.n: expected a number of steps, an int >= 1, got 0"),
        (RUN, RUN, {"rtol": -1.0}, r"^diff\.rtol: expected a number >= 0, got -1\.0"),
        (RUN, RUN, {"atol": math.nan}, r"^diff\.atol: expected a finite number, got nan"),
        (RUN, [], {}, r"^diff\.b: expected one dimension and at least one value, got shape \(0,\)"),
        (RUN, [[1.0]], {}, r"^diff\.b: expected one dimension and at least one value, got shape \(1, 1\)"),
        (lr.Linear(1, 0, "5ep"), RUN, {}, "bind"),
    ],
)
def test_refusals(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        diff(a, b, **options)


@pytest.mark.parametrize("given_", ["cosine", ["a"], [1j], np.array([True]), None])
def test_refusals_of_types(given_):
    with pytest.raises(TypeError, match=r"^diff\.a: expected a schedule, or real numbers"):
        diff(given_, RUN)


def test_memory_does_not_grow_with_the_steps():
    a = lr.Cosine(0.1, 0.0, 4_000_000)
    diff(a, a.shift(1), 1000)
    tracemalloc.start()
    found = diff(a, a.shift(1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.steps == 4_000_001
    assert cause(found, "shift").details == {"steps": -1}
    assert peak < 16e6  # one such table is 32 MB


# ---- What it says ----


def test_fields_that_differ():
    found = diff(lr.warmup_cosine(0.1, 0.0, 100, 1000), lr.warmup_cosine(0.1, 0.0, 200, 1000))
    assert found.fields == (
        ("parts[0][0].steps", "100", "200"),
        ("parts[0][1]", "100", "200"),
        ("parts[1].steps", "900", "800"),
    )
    assert "parameter: parts[0][0].steps: 100 and 200" in str(found)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (lr.Constant(1), lr.Linear(1, 1, 5), [("the schedule", "Constant(value=1.0)", "Linear(init_value=1.0, ")]),
        (lr.Linear(1, 0, 5) * 2, lr.Linear(1, 0, 5) * 3, [("factor", "2.0", "3.0")]),
        (
            lr.Piecewise([2], [1, 0]),
            lr.Piecewise([2, 3], [1, 0, 1]),
            [("boundaries", "1 items", "2 items"), ("values", "2 items", "3 items")],
        ),
        (lr.Table([1, 2, 3]), lr.Table([1, 5]), [("values", "3 values", "2 values"), ("values[1]", "2.0", "5.0")]),
        (lr.Linear(1, 0, 5), lr.Linear(1, 0, 5), []),
    ],
)
def test_fields_of_other_trees(a, b, expected):
    found = diff(a, b).fields
    assert len(found) == len(expected)
    for one, (path, first, second) in zip(found, expected, strict=True):
        assert one[:2] == (path, first)
        assert one[2].startswith(second)


def test_equal_values_of_different_trees_are_equal_and_the_fields_are_said():
    found = diff(lr.Linear(1, 0, 5), lr.Polynomial(1, 0, 5, power=1))
    assert not found
    assert found.fields


def test_a_report_by_hand():
    found = diff([1.0, 2.0, 3.0, 0.0, 5.0], [1.0, 2.5, 3.0, 0.0, 4.0])
    assert str(found).splitlines()[:5] == [
        "a and b differ at 2 of 5 steps (40.000%)",
        "first: 2 and 2.5 at step 1",
        "last: 5 and 4 at step 4",
        "steps: 1, 4",
        "largest difference: 1: 5 and 4 at step 4",
    ]
    assert found.to_dict() == {
        "differ": True,
        "steps": 5,
        "differing": 2,
        "share": 0.4,
        "first": {"step": 1, "a": 2.0, "b": 2.5, "difference": 0.5, "relative": 0.2},
        "last": {"step": 4, "a": 5.0, "b": 4.0, "difference": -1.0, "relative": 0.2},
        "largest": {"step": 4, "a": 5.0, "b": 4.0, "difference": -1.0, "relative": 0.2},
        "largest_relative": {"step": 1, "a": 2.0, "b": 2.5, "difference": 0.5, "relative": 0.2},
        "ranges": [[1, 2], [4, 5]],
        "range_count": 2,
        "not_finite": 0,
        "precision": "float64",
        "rtol": 0.0,
        "atol": 0.0,
        "causes": [],
        "fields": [],
    }


def test_a_tolerance_is_said_and_what_is_within_it_too():
    found = diff([1.0, 2.0], [1.0, 2.0 + 1e-9], atol=1e-6)
    assert not found
    assert str(found).splitlines()[0] == "a and b are equal at all 2 steps, within rtol=0 and atol=1e-06"
    assert "largest difference: 1e-09" in str(found)


def test_values_that_look_alike_are_written_out():
    assert "0.1 and 0.10000000000000002 at step 0" in str(diff([0.1], [0.1 + 2e-17]))


def test_html_is_escaped():
    found = diff(lr.Linear(1, 0, 5), lr.Cosine(1, 0, 5))
    assert "<table>" in found._repr_html_()
    from lrcore._causes import Cause

    evil = type(found)(
        *[getattr(found, name) for name in found.__slots__[:-2]], (Cause("x", "<script>"),), found.fields
    )
    assert "<script>" not in evil._repr_html_()
    assert "&lt;script&gt;" in evil._repr_html_()


def test_rich():
    rich = imported("rich.console")
    console = rich.Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(diff(RUN, RUN.shift(1)))
    assert "b is a, 1 step earlier" in console.export_text()
    console.file.close()
