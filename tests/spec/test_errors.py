"""What is wrong with a spec: all of it at once, each with its path, what is allowed and what came."""

import copy
import json
import pickle
import types

import pytest
from omegaconf import OmegaConf

import lrcore as lr
from lrcore import spec
from lrcore.spec import SpecError

LINEAR = {"type": "Linear", "init_value": 0.0, "end_value": 0.1, "steps": 10}
PARTS = {"type": "Sequence", "parts": [{"schedule": LINEAR, "steps": 5}, {"schedule": LINEAR}]}
PIECEWISE = {"type": "Piecewise", "boundaries": [1, 2], "values": [3, 2, 1]}
TABLE = {"type": "Table", "values": [0.5, 0.25]}

WHOLE = "expected a whole number of updates, an int >= "
DURATION = 'expected an int or a text such as "5ep", "30%", "2e9tok", "1e6samples" or "rest", got '


def errors_of(data):
    with pytest.raises(SpecError) as caught:
        spec.from_dict(data)
    return caught.value.errors


def changed(data, path, value):
    """A copy with one thing at another value; a path of keys and places."""
    data = json.loads(json.dumps(data))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


def without(data, key):
    return {name: value for name, value in data.items() if name != key}


ONE = {
    # The spec as a whole
    "a list": ([LINEAR], "", "expected a mapping with a 'type', got [a mapping] (list)"),
    "a number": (0.1, "", "expected a mapping with a 'type', got 0.1 (float)"),
    "nothing": (None, "", "expected a mapping with a 'type', got None (NoneType)"),
    "no type": (
        without(LINEAR, "type"),
        "type",
        "expected the name of a curve, a combinator or a recipe of lrcore, got nothing",
    ),
    "a newer version": (LINEAR | {"lrcore": 2}, "lrcore", "expected 1, got 2 (int): update lrcore to read it"),
    "version 0": (LINEAR | {"lrcore": 0}, "lrcore", "expected 1, the version of this form, got 0 (int)"),
    "a version in quotes": (LINEAR | {"lrcore": "1"}, "lrcore", "expected 1, the version of this form, got '1' (str)"),
    "a version True": (LINEAR | {"lrcore": True}, "lrcore", "expected 1, the version of this form, got True (bool)"),
    # Types
    "a type by a typo": (
        LINEAR | {"type": "Linaer"},
        "type",
        "expected a curve, a combinator or a recipe of lrcore, got 'Linaer': did you mean 'Linear'?",
    ),
    "a type of no kind": (
        LINEAR | {"type": 5},
        "type",
        "expected the name of a curve, a combinator or a recipe of lrcore, got 5 (int)",
    ),
    # Keys
    "a key by a typo": (
        LINEAR | {"stps": 5},
        "stps",
        "expected an argument of Linear, got 'stps': did you mean 'steps'?",
    ),
    "a key like no other": (
        LINEAR | {"zz": 5},
        "zz",
        "expected an argument of Linear, got 'zz' (init_value, end_value, steps)",
    ),
    "a key that is no name": (
        LINEAR | {"a b": 5},
        "'a b'",
        "expected an argument of Linear, got 'a b' (init_value, end_value, steps)",
    ),
    "a number as key": (LINEAR | {5: 5}, "", "expected names as keys, got 5 (int)"),
    "a missing key": (without(LINEAR, "steps"), "steps", f"{WHOLE}1, got nothing"),
    "a version within": (
        {"type": "Sum", "terms": [LINEAR | {"lrcore": 1}]},
        "terms[0].lrcore",
        "expected an argument of Linear, got 'lrcore': it stands only at the top",
    ),
    # Values, by their own checks
    "a text as number": (LINEAR | {"end_value": "0.1"}, "end_value", "expected a number, got '0.1' (str)"),
    "None as number": (LINEAR | {"end_value": None}, "end_value", "expected a number, got None (NoneType)"),
    "a mapping as number": (LINEAR | {"end_value": {"a": 1}}, "end_value", "expected a number, got a mapping"),
    "a list as number": (LINEAR | {"end_value": [0.1]}, "end_value", "expected a number, got [0.1] (list)"),
    "an infinity": (LINEAR | {"end_value": float("-inf")}, "end_value", "expected a finite number, got -inf (float)"),
    "too large": (
        LINEAR | {"end_value": 1e200},
        "end_value",
        "expected 0 or a magnitude between 1e-100 and 1e+100, got 1e+200 (float)",
    ),
    "far too large": (LINEAR | {"end_value": 10**5000}, "end_value", "expected a number, got a longer number"),
    "a flag as steps": (LINEAR | {"steps": True}, "steps", f"{WHOLE}1, got True (bool)"),
    "a float as steps": (LINEAR | {"steps": 10.0}, "steps", f"{WHOLE}1, got 10.0 (float): did you mean 10?"),
    "no steps": (LINEAR | {"steps": 0}, "steps", f"{WHOLE}1, got 0 (int)"),
    "a unit by a typo": (LINEAR | {"steps": "5 epoxs"}, "steps", f"{DURATION}'5 epoxs' (str): did you mean 'epochs'?"),
    "a choice by a typo": (
        PIECEWISE | {"side": "rihgt"},
        "side",
        "expected 'right' or 'left', got 'rihgt': did you mean 'right'?",
    ),
    "no flag": (
        {"type": "Cycle", "schedule": 1, "period": 5, "mirror": "no"},
        "mirror",
        "expected True or False, got 'no' (str)",
    ),
    # Lists
    "no list": (PIECEWISE | {"values": 5}, "values", "expected a list of numbers, got 5 (int)"),
    "one item of a list": (changed(PIECEWISE, ["values", 1], "a"), "values[1]", "expected a number, got 'a' (str)"),
    "not increasing": (
        PIECEWISE | {"boundaries": [2, 2]},
        "boundaries[1]",
        "expected steps that increase, got 2 after 2",
    ),
    "a number as point": (
        {"type": "Interpolate", "points": [[0, 1], 5]},
        "points[1]",
        "expected a list of a step and a value, got 5 (int)",
    ),
    "half a point": (
        {"type": "Interpolate", "points": [[0, 1], [5]]},
        "points[1]",
        "expected a step and a value, got [5] (list)",
    ),
    "a wrong point": (
        {"type": "Interpolate", "points": [[0, 1], [5, "x"]]},
        "points[1][1]",
        "expected a number, got 'x' (str)",
    ),
    # Several fields that have to agree
    "too few values": (PIECEWISE | {"values": [2, 1]}, "values", "expected 3 values for 2 boundaries, got 2"),
    "no value > 0": (
        {"type": "Interpolate", "points": [[0, 1], [5, 0]], "curve": "exponential"},
        "points[1][1]",
        "expected a number > 0 for exponential curves, got 0.0 (float)",
    ),
    "a recipe that does not fit": (
        {"type": "warmup_cosine", "peak_value": 1, "end_value": 0, "warmup_steps": 5, "steps": 4},
        "warmup_steps",
        "expected updates within the run, an int <= 4, got 5 (int)",
    ),
    "a recipe's arithmetic": (
        {"type": "one_cycle", "peak_value": 1e-95, "steps": 4},
        "",
        "one_cycle.peak_value / div_factor / final_div_factor: "
        "expected 0 or a magnitude between 1e-100 and 1e+100, got 4e-101 (float)",
    ),
    "too long in all": (
        {
            "type": "Sequence",
            "parts": [{"schedule": 1, "steps": 2**53 - 1}, {"schedule": 1, "steps": 1}, {"schedule": 1}],
        },
        "parts",
        f"expected steps with a sum below 2**53, got {2**53}",
    ),
    # Schedules within schedules
    "a text as schedule": (
        {"type": "Scale", "schedule": "Linear", "factor": 2},
        "schedule",
        "expected a schedule or a number, got 'Linear' (str)",
    ),
    "a flag as schedule": (
        {"type": "Scale", "schedule": True, "factor": 2},
        "schedule",
        "expected a schedule or a number, got True (bool)",
    ),
    "a list as schedule": (
        {"type": "Scale", "schedule": [], "factor": 2},
        "schedule",
        "expected a schedule or a number, got [] (list)",
    ),
    "a mapping as list": (
        {"type": "Sum", "terms": LINEAR},
        "terms",
        "expected a list of schedules, got Linear(init_value=0.0, end_value=0.1, steps=10) (Linear)",
    ),
    "none at all": ({"type": "Sum", "terms": []}, "terms", "expected at least one schedule, got none"),
    "within": (
        {"type": "Sum", "terms": [1, {"type": "Scale", "schedule": LINEAR | {"steps": -1}, "factor": 2}]},
        "terms[1].schedule.steps",
        f"{WHOLE}1, got -1 (int)",
    ),
    # Parts
    "no parts": (
        PARTS | {"parts": []},
        "parts",
        "expected (schedule, steps) pairs with a schedule at the end, got none",
    ),
    "parts in a mapping": (
        PARTS | {"parts": {}},
        "parts",
        "expected a list of (schedule, steps) pairs with a schedule at the end, got a mapping",
    ),
    "a pair as part": (
        changed(PARTS, ["parts", 0], [LINEAR, 5]),
        "parts[0]",
        "expected a mapping with 'schedule' and steps, got [a mapping, 5] (list)",
    ),
    "a schedule as part": (
        changed(PARTS, ["parts", 1], LINEAR),
        "parts[1]",
        "expected a mapping with 'schedule', got a mapping of 'type', 'init_value', 'end_value', 'steps'",
    ),
    "a part without steps": (
        changed(PARTS, ["parts", 0], {"schedule": LINEAR}),
        "parts[0].steps",
        "expected how long the part lasts, got nothing",
    ),
    "a part without schedule": (
        changed(PARTS, ["parts", 0], {"steps": 5}),
        "parts[0].schedule",
        "expected a schedule or a number, got nothing",
    ),
    "a last part with steps": (
        changed(PARTS, ["parts", 1, "steps"], 7),
        "parts[1].steps",
        "expected none, the last part goes on for ever, got 7 (int)",
    ),
    "a part with more": (
        changed(PARTS, ["parts", 1, "stepz"], 7),
        "parts[1].stepz",
        "expected an argument of a part, got 'stepz': did you mean 'steps'?",
    ),
    "steps of a part": (changed(PARTS, ["parts", 0, "steps"], -7), "parts[0].steps", f"{WHOLE}0, got -7 (int)"),
    "the length of what never ends": (
        {
            "type": "Sequence",
            "parts": [
                {"schedule": {"type": "InverseSqrt", "init_value": 1, "steps": 1}, "steps": "length"},
                {"schedule": 1},
            ],
        },
        "parts[0].steps",
        "expected updates, got 'length' of InverseSqrt, which never ends",
    ),
    "within a part": (
        changed(PARTS, ["parts", 1, "schedule", "steps"], "x"),
        "parts[1].schedule.steps",
        f"{DURATION}'x' (str)",
    ),
    # Tables
    "no values": ({"type": "Table"}, "values", "expected real numbers, got nothing"),
    "a flag as value": (TABLE | {"values": [1, True]}, "values[1]", "expected a number, got True (bool)"),
    "a text as value": (TABLE | {"values": [1, "2"]}, "values[1]", "expected a number, got '2' (str)"),
    "a list as value": (TABLE | {"values": [1, [2]]}, "values[1]", "expected a number, got [2] (list)"),
    "an empty table": (
        TABLE | {"values": []},
        "values",
        "expected one dimension and at least one value, got shape (0,)",
    ),
    "values in a text": (TABLE | {"values": "1"}, "values", "expected real numbers, got an array of <U1"),
    "another dtype": (
        TABLE | {"dtype": "float16"},
        "dtype",
        "expected 'float64' or 'float32', got 'float16': did you mean 'float64'?",
    ),
    "too large for float32": (
        {"type": "Table", "dtype": "float32", "values": [0.5, 1e60]},
        "values[1]",
        "expected a finite number, got inf (float)",
    ),
}


@pytest.mark.parametrize(("data", "path", "message"), ONE.values(), ids=ONE)
def test_one_error(data, path, message):
    assert errors_of(data) == [(path, message)]


def test_all_errors_come_at_once():
    data = {
        "lrcore": 1,
        "type": "Sequence",
        "parts": [
            {"schedule": {"type": "Linear", "init_value": "a", "end_value": 1, "stepz": 5}, "steps": -1},
            {"schedule": {"type": "Lineal", "start": {"type": "Cosine", "init_value": 1}}, "steps": 1.5},
            {"schedule": {"type": "Piecewise", "boundaries": [1, -2, "x"], "values": [1, None, True]}, "steps": "5ep"},
            {"schedule": {"type": "Sum", "terms": [{"type": "Scale", "schedule": 1}, "a"]}},
        ],
        "more": {"schedule": {"type": "Constant"}},
    }
    assert [path for path, _ in errors_of(data)] == [
        "more",
        "more.schedule.value",
        "parts[0].schedule.stepz",
        "parts[0].schedule.init_value",
        "parts[0].schedule.steps",
        "parts[0].steps",
        "parts[1].schedule.type",
        "parts[1].schedule.start.end_value",
        "parts[1].schedule.start.steps",
        "parts[1].steps",
        "parts[2].schedule.boundaries[1]",
        "parts[2].schedule.boundaries[2]",
        "parts[2].schedule.values[1]",
        "parts[2].schedule.values[2]",
        "parts[3].schedule.terms[0].factor",
        "parts[3].schedule.terms[1]",
    ]


def test_a_newer_version_is_the_only_error():
    """What else a newer spec holds is none of our business."""
    assert [path for path, _ in errors_of({"lrcore": 2, "type": "New", "schedule": {"type": "Newer"}})] == ["lrcore"]


def test_the_errors_are_so_many_at_most():
    assert len(errors_of({"type": "Sum", "terms": ["a"] * 5000})) == 100
    with pytest.raises(SpecError, match=r"^100 or more errors\n  terms\[0\]: expected a schedule or a number"):
        spec.from_dict({"type": "Sum", "terms": ["a"] * 5000})


def test_the_schedules_are_so_many_at_most():
    with pytest.raises(SpecError, match=r"^expected at most 50,000 schedules within one, got more$"):
        spec.from_dict({"type": "Sum", "terms": [{"type": "Constant", "value": 1}] * 50_001})


def test_data_that_contain_themselves_end():
    data = {"type": "Sum", "terms": []}
    data["terms"].append(data)
    assert errors_of(data) == [("terms[0]" + ".terms[0]" * 59, "expected at most 60 nested schedules, got more")]
    more = {"type": "Constant", "value": 1}
    more["more"] = more
    assert errors_of(more)[-1][1] == "expected at most 60 nested schedules, got more"
    unknown = {"type": "Some", "terms": []}
    unknown["terms"] += [unknown, unknown]
    assert len(errors_of(unknown)) <= 100


def test_how_errors_are_shown():
    one = SpecError([("steps", "expected 1, got 2")])
    assert str(one) == "steps: expected 1, got 2"
    assert str(SpecError([("", "expected 1, got 2")], "a.json")) == "a.json: expected 1, got 2"
    two = SpecError([("steps", "expected 1, got 2"), ("", "expected 3")], "a.json")
    assert str(two) == "a.json: 2 errors\n  steps: expected 1, got 2\n  expected 3"
    assert isinstance(one, ValueError)


def test_errors_can_be_pickled():
    error = pickle.loads(pickle.dumps(SpecError([("steps", "expected 1")], "a.json")))
    assert (error.errors, error.source) == ([("steps", "expected 1")], "a.json")


def test_nothing_is_changed():
    given = copy.deepcopy(PARTS | {"lrcore": 1, "$schema": "x"})
    kept = copy.deepcopy(given)
    spec.from_dict(given)
    assert given == kept
    assert spec.from_dict(types.MappingProxyType(kept)) == spec.from_dict(given)


def test_a_stack_that_is_nearly_used_up_is_no_crash():
    data = LINEAR
    for _ in range(50):
        data = {"type": "Sum", "terms": [data]}

    def deeper(levels):
        return deeper(levels - 1) if levels else errors_or_schedule(data)

    outcomes = {deeper(levels) for levels in range(100, 900, 20)}
    assert {lr.Sum, SpecError} <= outcomes <= {lr.Sum, SpecError, RecursionError}


def errors_or_schedule(data):
    try:
        return type(spec.from_dict(data))
    except (SpecError, RecursionError) as error:
        return SpecError if isinstance(error, SpecError) else type(error)


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({"type": "Constant", "value": "???"}, ["value"]),
        ({"type": "???", "value": "${nowhere}"}, ["type", "value"]),
        ({"type": "Table", "values": "${nowhere}"}, ["values"]),
    ],
)
def test_a_value_that_cannot_be_read_is_one_error(data, paths):
    """OmegaConf raises where a value is missing, or where an interpolation leads nowhere."""
    with pytest.raises(SpecError, match="expected a value that can be read: ") as caught:
        spec.from_dict(OmegaConf.create(data))
    assert [path for path, _ in caught.value.errors] == paths
