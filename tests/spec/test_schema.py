"""The JSON Schema: what is written follows it, what people mistype does not, and the file in the package is it."""

import json
from importlib import resources

import pytest
from hypothesis import given, settings

import lrcore as lr
from lrcore import _check, _specschema, expression, spec
from strategies import growing, schedules

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = spec.json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

LINEAR = {"type": "Linear", "init_value": 0.0, "end_value": 0.1, "steps": 10}
PIECEWISE = {"type": "Piecewise", "boundaries": [1, "5ep"], "values": [3, 2, 1]}
FILE = {"file": "tables/lr.npy", "sha256": "0" * 64}


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_file_in_the_package_is_up_to_date():
    """Write it again with `lrcore schema --force -o lrcore/schedule.schema.json`."""
    text = (resources.files("lrcore") / "schedule.schema.json").read_text(encoding="utf-8")
    assert text == json.dumps(SCHEMA, indent=2) + "\n"


@settings(max_examples=150, deadline=None)
@given(schedules(3) | growing(2))
def test_what_is_written_follows_it(schedule):
    VALIDATOR.validate(spec.to_dict(schedule))


WAITING = [
    lr.warmup_cosine(0.1, 0, "5%", "100%"),
    lr.one_cycle(0.1, "3ep"),
    lr.triangular(0.1, 0.5, "2e9tok", mode="exp_range"),
    lr.Sequence([(lr.Linear(0, 1, "1e6samples"), "length"), (lr.Cosine(1, 0, "rest"), "0.5ep"), 0.5]),
    lr.Interpolate([(0, 1), ("1.5e-3%", 0.5)]),
    lr.Shift(lr.Linear(0, 1, 5), "-3ep"),
    lr.ExponentialDecay(1, 0.5, "2ep"),
    lr.Linear(0, 1, 5).warmup("1ep"),
]


@pytest.mark.parametrize("schedule", WAITING, ids=lambda schedule: type(schedule).__name__)
def test_units_follow_it(schedule):
    VALIDATOR.validate(spec.to_dict(schedule))


RIGHT = {
    "a schema": LINEAR | {"$schema": "./schedule.schema.json", "lrcore": 1},
    "a number as schedule": {"type": "Sum", "terms": [1, 0.5]},
    "units as people write them": LINEAR | {"steps": " 1_000 tokens "},
    "a table in a file": {"type": "Table", "values": FILE},
    "a table": {"type": "Table", "dtype": "float32", "values": [1, 0.5]},
    "defaults left out": {"type": "one_cycle", "peak_value": 0.1, "steps": "100%"},
}

WRONG = {
    "no type": {"init_value": 0.0, "end_value": 0.1, "steps": 10},
    "a typo in the type": LINEAR | {"type": "Linaer"},
    "a typo in a key": LINEAR | {"stps": 10},
    "a key too few": {"type": "Linear", "init_value": 0.0, "end_value": 0.1},
    "a number in quotes": LINEAR | {"end_value": "0.1"},
    "a fraction of an update": LINEAR | {"steps": 1.5},
    "no steps": LINEAR | {"steps": 0},
    "a unit that is none": LINEAR | {"steps": "5 days"},
    "a flag as number": LINEAR | {"end_value": True},
    "a newer version": LINEAR | {"lrcore": 2},
    "a version within": {"type": "Sum", "terms": [LINEAR | {"lrcore": 1}]},
    "a text as schedule": {"type": "Scale", "schedule": "Linear", "factor": 1},
    "a wrong schedule within": {"type": "Scale", "schedule": LINEAR | {"steps": -1}, "factor": 1},
    "a choice that is none": PIECEWISE | {"side": "middle"},
    "a boundary below 0": PIECEWISE | {"boundaries": [-1, 5]},
    "a value in quotes": PIECEWISE | {"values": [1, "2", 3]},
    "a point of three": {"type": "Interpolate", "points": [[0, 1, 2]]},
    "half a point": {"type": "Interpolate", "points": [[0]]},
    "no points": {"type": "Interpolate", "points": []},
    "a pair as part": {"type": "Sequence", "parts": [[LINEAR, 5], {"schedule": 1}]},
    "a part by a typo": {"type": "Sequence", "parts": [{"schedul": LINEAR}]},
    "an absolute file": {"type": "Table", "values": FILE | {"file": "/lr.npy"}},
    "a file without hash": {"type": "Table", "values": {"file": "lr.npy"}},
    "another dtype": {"type": "Table", "dtype": "float16", "values": [1]},
    "a factor out of range": {"type": "Stretch", "schedule": 1, "factor": 1e10},
    "a mult below 1": {"type": "Cycle", "schedule": 1, "period": 5, "period_mult": 0.5},
    "no cycles": {"type": "Cycle", "schedule": 1, "period": 5, "count": 0},
    "a bound in quotes": {"type": "Clip", "schedule": 1, "min": "0"},
    "a recipe's typo": {"type": "one_cycle", "peak_valeu": 0.1, "steps": 5},
    "a list": [LINEAR],
    "a number": 0.1,
}


@pytest.mark.parametrize("data", RIGHT.values(), ids=RIGHT)
def test_what_is_right_follows_it(data):
    VALIDATOR.validate(data)


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_typical_mistakes_do_not_follow_it_and_are_not_loaded(data):
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(spec.SpecError):
        spec.from_dict(data)


def test_every_type_and_every_argument_is_described():
    for name in expression.NAMES:
        definition = SCHEMA["$defs"][name]
        assert len(definition["description"]) > 20
        for key, argument in _specschema.arguments_of(name).items():
            assert definition["properties"][key]["description"], (name, key)
            assert (key in definition["required"]) == argument.required


def test_every_argument_says_what_it_accepts():
    """A new check has to say it, by `_check.accepts`: else an editor would take anything there."""
    said = {"type", "$ref", "enum", "anyOf", "if", "items"}
    for name in expression.NAMES:
        for key in _specschema.arguments_of(name):
            assert said & set(SCHEMA["$defs"][name]["properties"][key]), (name, key)


@pytest.mark.parametrize("name", expression.NAMES)
def test_the_defaults_follow_it(name):
    for key, argument in _specschema.arguments_of(name).items():
        if not argument.required and argument.default is not None:
            definition = SCHEMA["$defs"][name]["properties"][key]
            assert definition["default"] == argument.default
            jsonschema.Draft202012Validator({**definition, "$defs": SCHEMA["$defs"]}).validate(argument.default)


@pytest.mark.parametrize("name", expression.NAMES)
def test_a_bound_of_a_number_is_that_of_its_check(name):
    """The check takes the bound itself, and nothing beyond it."""
    for key, argument in _specschema.arguments_of(name).items():
        said = SCHEMA["$defs"][name]["properties"][key]
        for part in said.get("anyOf", [said]):
            for word, beyond in (("minimum", -1), ("maximum", 1)):
                if word not in part:
                    continue
                bound = part[word]
                argument.check("it", bound)
                outside = bound + beyond if part["type"] == "integer" else bound + beyond * max(abs(bound), 1e-300)
                with pytest.raises(ValueError, match=r"^it: expected "):
                    argument.check("it", outside)


def test_anything_goes_where_nothing_is_said():
    assert _check.schema_of(lambda _where, given: given) == {}
