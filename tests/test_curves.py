"""Every case of the table: its values by hand, and the same bits by every way of asking for them."""

import dataclasses
import inspect
import math

import numpy as np
import pytest

import lrcore
from cases import CASES
from oracles import oracle, tolerance
from steps import LARGEST_STEP, nasty_arrays, nasty_steps

WINDOW = 64

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def one_by_one(schedule, steps):
    """The slow way: a scalar call a step, into an array of the shape of `steps`."""
    values = [schedule(int(step)) for step in np.asarray(steps).reshape(-1)]
    return np.array(values, dtype=np.float64).reshape(np.shape(steps))


def assert_same_bits(got, expected, name=""):
    assert got.dtype == expected.dtype, name
    assert got.shape == expected.shape, name
    assert got.tobytes() == expected.tobytes(), name


def windows(case):
    """Beginnings of ranges that lie on, before and after everything that happens in a schedule."""
    steps = nasty_steps(case.boundaries, case.length)
    return sorted({max(0, int(step) - offset) for step in steps for offset in (0, 3)})


@every_case
def test_values_by_hand(case):
    schedule = case.schedule()
    for step, expected in case.hand:
        got = schedule(step)
        if isinstance(expected, float):
            assert got == expected, f"at {step}"
        else:
            assert abs(got - float(expected)) <= math.ulp(float(expected)), f"at {step}"


@every_case
def test_hand_values_agree_with_the_oracle(case):
    """Two errors would have to agree: by hand and at 200 bits."""
    schedule = case.schedule()
    for step, expected in case.hand:
        assert abs(oracle(schedule, step) - float(expected)) <= math.ulp(float(expected)), f"at {step}"


@every_case
def test_values_agree_with_the_oracle(case):
    schedule = case.schedule()
    steps = nasty_steps(case.boundaries, case.length)
    for step, got in zip(steps.tolist(), schedule(steps).tolist(), strict=True):
        assert abs(oracle(schedule, step) - got) <= tolerance(schedule, step), f"at {step}"


@every_case
def test_an_array_gives_the_bits_of_single_calls(case):
    schedule = case.schedule()
    for name, steps in nasty_arrays(case.boundaries, case.length):
        before = steps.tobytes()
        assert_same_bits(schedule(steps), one_by_one(schedule, steps), name)
        assert steps.tobytes() == before, name


@every_case
def test_a_table_gives_the_bits_of_single_calls(case):
    schedule = case.schedule()
    for start in windows(case):
        n = min(WINDOW, LARGEST_STEP + 1 - start)
        assert_same_bits(schedule.table(n, start=start), one_by_one(schedule, np.arange(start, start + n)))


@every_case
def test_a_long_table_gives_the_bits_of_scattered_steps(case):
    """Longer than a block of the kernels, so that ranges are split inside curves too."""
    schedule = case.schedule()
    for start in (0, 1, 2**31 - 2500):
        steps = np.arange(start, start + 5000)
        table = schedule.table(5000, start=start)
        assert_same_bits(table, schedule(steps))
        assert_same_bits(table[::-1].copy(), schedule(steps[::-1]))


@every_case
def test_a_float32_table_is_rounded_once(case):
    schedule = case.schedule()
    for start in (0, 7, 2**31 - 5):
        assert_same_bits(
            schedule.table(2000, start=start, dtype="float32"),
            schedule.table(2000, start=start).astype(np.float32),
        )


@every_case
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_out_is_filled_and_returned(case, dtype):
    schedule = case.schedule()
    out = np.full(300, np.nan, dtype=dtype)
    assert schedule.table(300, start=2, dtype=dtype, out=out) is out
    assert_same_bits(out, schedule.table(300, start=2, dtype=dtype))


@every_case
def test_threads_give_the_same_bits(case):
    schedule = case.schedule()
    for n in (0, 1, 3, 50_001):
        assert_same_bits(schedule.table(n, start=5, threads=2), schedule.table(n, start=5))


@every_case
def test_types_and_shapes(case):
    schedule = case.schedule()
    assert type(schedule(0)) is float
    assert type(schedule(np.int64(3))) is float
    assert schedule(np.zeros((2, 0, 3), dtype=np.int32)).shape == (2, 0, 3)
    assert schedule(np.arange(6, dtype=np.uint8).reshape(2, 3)).dtype == np.float64
    assert schedule.table(0).shape == (0,)
    assert schedule.table(4).dtype == np.float64
    assert schedule.table(4, dtype="float32").dtype == np.float32
    assert schedule.table(4, dtype=np.float32).dtype == np.float32


@every_case
def test_it_holds_from_its_length_on(case):
    schedule = case.schedule()
    assert schedule.length == case.length
    if case.length is None:
        return
    after = np.array([case.length + n for n in (0, 1, 2, 17, 1000, 2**33)])
    assert set(schedule(after).tolist()) == {schedule(case.length)}
    assert schedule(LARGEST_STEP) == schedule(case.length)


@every_case
def test_values_are_finite(case):
    assert np.isfinite(case.schedule()(nasty_steps(case.boundaries, case.length))).all()


def public_subjects():
    """Every public schedule class and every recipe: what the table of cases has to speak of."""
    for name in lrcore.__all__:
        thing = getattr(lrcore, name)
        is_class = inspect.isclass(thing) and issubclass(thing, lrcore.Schedule) and thing is not lrcore.Schedule
        is_recipe = inspect.isfunction(thing) and thing.__module__ == "lrcore.recipes"
        if is_class or is_recipe:
            yield name


def test_every_public_schedule_has_a_case():
    assert set(public_subjects()) == {case.subject for case in CASES}


def test_cases_are_about_what_they_say():
    for case in CASES:
        subject = getattr(lrcore, case.subject)
        if inspect.isclass(subject):
            assert type(case.schedule()) is subject, case.name


def test_names_of_cases_are_distinct():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_cases_are_frozen_values():
    for case in CASES:
        schedule = case.schedule()
        field = dataclasses.fields(schedule)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError, match=field):
            setattr(schedule, field, getattr(schedule, field))
