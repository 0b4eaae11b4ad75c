"""The data form: what each node is written as, and that it is read as the same to the bit."""

import datetime
import inspect
import json
import math
import types

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from cases import CASES
from lrcore import expression, spec
from lrcore.spec import SpecError
from strategies import growing, schedules

LINEAR = {"type": "Linear", "init_value": 0.0, "end_value": 0.1, "steps": 10}

# Written by hand, from the notation of the docstrings.
WRITTEN = [
    (lr.Constant(0.1), {"type": "Constant", "value": 0.1}),
    (lr.Linear(0, 0.1, 10), LINEAR),
    (lr.Linear(0, 0.1, "5 epochs"), LINEAR | {"steps": "5ep"}),
    (lr.Cosine(0.1, 0, 10), {"type": "Cosine", "init_value": 0.1, "end_value": 0.0, "steps": 10}),
    (
        lr.Polynomial(1, 0, 4, 2),
        {"type": "Polynomial", "init_value": 1.0, "end_value": 0.0, "steps": 4, "power": 2.0},
    ),
    (lr.Exponential(1, 0.1, 4), {"type": "Exponential", "init_value": 1.0, "end_value": 0.1, "steps": 4}),
    (
        lr.ExponentialDecay(1, 0.5),
        {"type": "ExponentialDecay", "init_value": 1.0, "decay_rate": 0.5, "decay_steps": 1.0},
    ),
    (
        lr.NaturalExpDecay(1, 0.5, 2.5),
        {"type": "NaturalExpDecay", "init_value": 1.0, "decay_rate": 0.5, "decay_steps": 2.5},
    ),
    (
        lr.InverseTimeDecay(1, 0.5, "1ep"),
        {"type": "InverseTimeDecay", "init_value": 1.0, "decay_rate": 0.5, "decay_steps": "1ep"},
    ),
    (lr.InverseSqrt(1, 4), {"type": "InverseSqrt", "init_value": 1.0, "steps": 4}),
    (
        lr.Piecewise([2, "5%"], [1, 2, 3], side="left"),
        {"type": "Piecewise", "boundaries": [2, "5%"], "values": [1.0, 2.0, 3.0], "side": "left"},
    ),
    (
        lr.Interpolate([(0, 1), (5, 0.5)], "cosine"),
        {"type": "Interpolate", "points": [[0, 1.0], [5, 0.5]], "curve": "cosine"},
    ),
    (lr.Table([1, 0.5]), {"type": "Table", "values": [1.0, 0.5]}),
    (
        lr.Table(np.array([1, 0.1], np.float32)),
        {"type": "Table", "dtype": "float32", "values": [1.0, 0.10000000149011612]},
    ),
    (
        lr.Sequence([(lr.Linear(0, 0.1, 10), 5), (0.5, "rest"), lr.Constant(0.1)]),
        {
            "type": "Sequence",
            "parts": [
                {"schedule": LINEAR, "steps": 5},
                {"schedule": {"type": "Constant", "value": 0.5}, "steps": "rest"},
                {"schedule": {"type": "Constant", "value": 0.1}},
            ],
        },
    ),
    (
        lr.Cycle(lr.Linear(0, 0.1, 10), 10, 1.5),
        {
            "type": "Cycle",
            "schedule": LINEAR,
            "period": 10,
            "period_mult": 1.5,
            "value_mult": 1.0,
            "mirror": False,
        },
    ),
    (
        lr.Product([lr.Linear(0, 0.1, 10), 2]),
        {"type": "Product", "factors": [LINEAR, {"type": "Constant", "value": 2.0}]},
    ),
    (lr.Sum([lr.Linear(0, 0.1, 10)]), {"type": "Sum", "terms": [LINEAR]}),
    (lr.Scale(lr.Linear(0, 0.1, 10), 2), {"type": "Scale", "schedule": LINEAR, "factor": 2.0}),
    (lr.Clip(lr.Linear(0, 0.1, 10), max=0.05), {"type": "Clip", "schedule": LINEAR, "max": 0.05}),
    (lr.Staircase(lr.Linear(0, 0.1, 10), 2), {"type": "Staircase", "schedule": LINEAR, "every": 2}),
    (lr.Shift(lr.Linear(0, 0.1, 10), -2), {"type": "Shift", "schedule": LINEAR, "n": -2}),
    (lr.Stretch(lr.Linear(0, 0.1, 10), 2), {"type": "Stretch", "schedule": LINEAR, "factor": 2.0}),
    (
        lr.Linear(0, 0.1, 10).warmup("1ep"),
        {"type": "warmup", "schedule": LINEAR, "steps": "1ep", "init_value": 0.0},
    ),
    (
        lr.triangular(0.1, 0.5, "1ep"),
        {
            "type": "triangular",
            "init_value": 0.1,
            "peak_value": 0.5,
            "steps_up": "1ep",
            "mode": "triangular",
            "decay_rate": 1.0,
        },
    ),
]


def name_of(given):
    return type(given).__name__


def json_types(value):
    """Whether it is what the json module itself would give."""
    if isinstance(value, dict):
        return all(type(key) is str and json_types(item) for key, item in value.items())
    if type(value) is list:
        return all(map(json_types, value))
    return type(value) in (str, int, float, bool)


@pytest.mark.parametrize(("schedule", "data"), WRITTEN, ids=name_of)
def test_a_node_is_written_as_its_arguments(schedule, data):
    assert spec.to_dict(schedule) == {"lrcore": 1, **data}
    assert list(spec.to_dict(schedule))[:2] == ["lrcore", "type"]
    assert json_types(spec.to_dict(schedule))
    assert spec.from_dict(data) == schedule


# Arguments that any recipe takes, by what the JSON Schema says of them.
EXAMPLES = {"boolean": True, "integer": 7}


def example_of(said):
    """The last of some names, a duration that waits, a schedule."""
    if "anyOf" in said:
        return "5%"
    if said.get("type") == "number":
        return max(0.5, said["minimum"])
    return said["enum"][-1] if "enum" in said else EXAMPLES.get(said.get("type"), lr.Linear(0, 0.1, 10))


RECIPES = [name for name, item in expression.NAMES.items() if not isinstance(item, type)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_waits_is_written_as_its_call(name):
    recipe = expression.NAMES[name]
    said = spec.json_schema()["$defs"][name]["properties"]
    arguments = {key: example_of(said[key]) for key in inspect.signature(recipe).parameters}
    waiting = recipe(**arguments)
    assert not waiting.is_bound
    data = spec.to_dict(waiting)
    assert data["type"] == name
    assert {key for key in data if key not in ("type", "lrcore")} == set(arguments)
    assert json_types(data)
    assert same(spec.from_dict(data), waiting)


def test_a_recipe_in_updates_is_what_it_composes():
    data = {"type": "warmup_cosine", "peak_value": 0.1, "end_value": 0, "warmup_steps": 10, "steps": 100}
    assert spec.from_dict(data) == lr.warmup_cosine(0.1, 0.0, 10, 100)
    data = {"type": "warmup", "schedule": LINEAR, "steps": 3}
    assert spec.from_dict(data) == lr.Linear(0, 0.1, 10).warmup(3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_written_and_read(case):
    assert same(spec.from_dict(json.loads(json.dumps(spec.to_dict(case.schedule())))), case.schedule())


def same(first, second):
    """Equal, with the same words for it and, of a table, the same dtype."""
    return first == second and repr(first) == repr(second) and spec.to_dict(first) == spec.to_dict(second)


@settings(max_examples=300, deadline=None)
@given(schedules(3) | growing(2))
def test_what_is_written_is_read_as_the_same(schedule):
    data = spec.to_dict(schedule)
    assert json_types(data)
    assert same(spec.from_dict(data), schedule)
    assert same(spec.from_dict(json.loads(json.dumps(data))), schedule)


numbers = st.floats(1e-100, 1e100) | st.floats(-1e100, -1e-100) | st.sampled_from([0.0, -0.0, 1e-100, 1e100, 0.1])


@settings(max_examples=300, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=20), st.booleans())
def test_the_values_of_a_table_keep_their_bits(values, single):
    with np.errstate(over="ignore", under="ignore"):
        array = np.array(values, np.float32 if single else np.float64)
    array = array[np.isfinite(array) & ((array == 0) | (np.abs(array) >= 1e-38))]
    if not array.size:
        return
    table = lr.Table(array)
    again = spec.from_dict(json.loads(json.dumps(spec.to_dict(table))))
    assert again.values.dtype == array.dtype
    assert again.values.tobytes() == (array + 0).astype(array.dtype).tobytes()


def test_the_dtype_of_hand_written_values_rounds_each_once():
    table = spec.from_dict({"type": "Table", "dtype": "float32", "values": [0.1, 1]})
    assert table.values.tolist() == [float(np.float32(0.1)), 1.0]
    assert spec.from_dict({"type": "Table", "dtype": "float64", "values": [0.1]}).values.tolist() == [0.1]


def test_a_number_is_a_constant():
    assert spec.from_dict({"type": "Sum", "terms": [1, {"type": "Product", "factors": [2.5]}]}) == lr.Sum(
        [1, lr.Product([2.5])]
    )


def test_none_is_as_good_as_leaving_it_out():
    given = {"type": "Clip", "schedule": 1, "min": None, "max": 0.5}
    assert spec.from_dict(given) == lr.Clip(lr.Constant(1), max=0.5)


def test_a_default_may_be_left_out_and_is_written():
    assert spec.from_dict({"type": "Polynomial", "init_value": 1, "end_value": 0, "steps": 4}).power == 1.0
    assert spec.to_dict(lr.Polynomial(1, 0, 4))["power"] == 1.0


def test_a_part_may_last_as_long_as_its_schedule():
    data = {"type": "Sequence", "parts": [{"schedule": LINEAR, "steps": "length"}, {"schedule": 1}]}
    assert spec.from_dict(data) == lr.Sequence([(lr.Linear(0, 0.1, 10), 10), 1])


def frozen(value):
    """The same data in other kinds of mappings and sequences."""
    if isinstance(value, dict):
        return types.MappingProxyType({key: frozen(item) for key, item in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list) else value


@given(schedules(3))
def test_any_mapping_and_any_sequence_will_do(schedule):
    assert same(spec.from_dict(frozen(spec.to_dict(schedule))), schedule)


@pytest.mark.parametrize(("schedule", "data"), WRITTEN, ids=name_of)
def test_the_configurations_of_hydra_will_do(schedule, data):
    omegaconf = pytest.importorskip("omegaconf")
    assert same(spec.from_dict(omegaconf.OmegaConf.create(data)), schedule)


def test_interpolations_of_hydra_are_followed_and_missing_values_have_their_path():
    omegaconf = pytest.importorskip("omegaconf")
    asked = {"peak": 0.25, "lr": {"type": "Sum", "terms": ["${peak}", {"type": "Constant", "value": "${peak}"}]}}
    assert spec.from_dict(omegaconf.OmegaConf.create(asked).lr) == lr.Sum([0.25, 0.25])
    broken = omegaconf.OmegaConf.create({"type": "Linear", "init_value": "???", "end_value": "${no}", "steps": 5})
    with pytest.raises(SpecError, match=r"init_value: expected a value that can be read: Missing mandatory value"):
        spec.from_dict(broken)
    with pytest.raises(SpecError, match=r"end_value: expected a value that can be read: Interpolation key 'no'"):
        spec.from_dict(broken)


def test_numbers_and_arrays_of_numpy_will_do():
    data = {"type": "Linear", "init_value": np.float32(0.5), "end_value": np.int8(1), "steps": np.int64(5)}
    assert spec.from_dict(data) == lr.Linear(0.5, 1.0, 5)
    assert spec.from_dict({"type": "Table", "values": np.arange(3)}) == lr.Table([0, 1, 2])


def test_the_version_and_the_schema_may_stand_at_the_top():
    head = {"$schema": "https://example.org/schedule.schema.json", "lrcore": 1}
    assert spec.from_dict(head | LINEAR) == lr.Linear(0, 0.1, 10)


def test_what_is_not_ours_is_not_written():
    class Own(lr.Schedule):
        __slots__ = ()

        def _lower(self, _rows):
            return 0

        def _length(self, _scale):
            return 0

    own = object.__new__(Own)
    with pytest.raises(TypeError, match=r"schedule: expected a schedule of lrcore's, got .*Own"):
        spec.to_dict(own)
    with pytest.raises(TypeError, match=r"schedule: expected a schedule of lrcore's, got 1"):
        spec.to_dict(1)


def test_a_schedule_that_contains_itself_too_often_is_not_written():
    """As Python objects it is small; as data it would have 2**40 nodes."""
    schedule = lr.Constant(1.0)
    for _ in range(40):
        schedule = lr.Sum([schedule, schedule])
    for write in (spec.to_dict, spec.fingerprint):
        with pytest.raises(SpecError, match=r"expected at most 50,000 schedules within one, got more"):
            write(schedule)


def test_the_deepest_schedule_is_written_and_read():
    schedule = lr.Constant(1.0)
    for _ in range(59):
        schedule = lr.Sequence([(schedule, 1), 0.5])
    assert spec.from_dict(spec.to_dict(schedule)) == schedule
    data = {"type": "Sum", "terms": [spec.to_dict(schedule) | {"lrcore": None}]}
    del data["terms"][0]["lrcore"]
    with pytest.raises(SpecError, match=r"schedule: expected at most 60 nested schedules, got more"):
        spec.from_dict(data)


ODD = [math.nan, datetime.date(2024, 1, 1), b"5", {1}, object(), [[[[[[1]]]]]], 10**5000]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.parametrize("key", ["type", "init_value", "steps", "lrcore"])
def test_odd_values_are_refused_by_their_path(key, odd):
    with pytest.raises(SpecError) as caught:
        spec.from_dict(LINEAR | {key: odd})
    assert [path for path, _ in caught.value.errors] == [key]
    assert len(str(caught.value)) < 300
