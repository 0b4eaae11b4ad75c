"""What a node of a spec may hold: the arguments of each type, and the JSON Schema that editors read.

Both come from the classes and recipes themselves: the names from `expression.NAMES`, the rules from the checks of their
fields and arguments, the words from their docstrings. Only where the data of a spec has another shape than the Python
value does this module say something itself (`_SHAPES`).
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from lrcore import _check, expression
from lrcore._check import Check
from lrcore._origin import check_peer, check_quirks
from lrcore.compose import Product, Sequence
from lrcore.curves import Interpolate, Piecewise, Table
from lrcore.durations import LENGTH, REST, updates
from lrcore.schedule import Schedule, is_schedule

VERSION = 1  # of the data form
VERSION_KEY = "lrcore"
SCHEMA_KEY = "$schema"  # by which editors find the JSON Schema of a file
TYPE_KEY = "type"
DTYPE_KEY = "dtype"  # of the values of a Table
ORIGIN_KEY = "origin"  # of what a dialect made

MOST_NODES = 50_000  # of one spec

ABOUT_DTYPE = "of the values: float32 (each rounded once) or float64, which is the default."
check_dtype = _check.choice("float64", "float32")


class Argument(NamedTuple):
    """One argument of a class or a recipe."""

    check: Check
    default: Any  # dataclasses.MISSING where there is none
    about: str

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


@cache
def arguments_of(name: str) -> Mapping[str, Argument]:
    """The arguments of a type, by their names."""
    item = expression.NAMES[name]
    about = _described_arguments(item)
    if isinstance(item, type):
        found = {field.name: (field.metadata["check"], field.default) for field in dataclasses.fields(item)}
    else:
        checks: Mapping[str, Check] = item.checks  # type: ignore[attr-defined]
        parameters = inspect.signature(item).parameters
        found = {key: (check, _default(parameters[key])) for key, check in checks.items()}
        found = {key: found[key] for key in parameters}
    return {key: Argument(check, default, about.get(key, "")) for key, (check, default) in found.items()}


def _default(parameter: inspect.Parameter) -> Any:
    return dataclasses.MISSING if parameter.default is parameter.empty else parameter.default


def check_of(node: type[Schedule], name: str) -> Check:
    """The check of a field."""
    return arguments_of(node.__name__)[name].check


# ---- Docstrings ----


def _summary(item: Callable[..., Any]) -> str:
    """What stands before the arguments: the first line and the formula."""
    return " ".join((inspect.getdoc(item) or "").split("Args:")[0].split())


def _described_arguments(item: Callable[..., Any]) -> dict[str, str]:
    text = (inspect.getdoc(item) or "").partition("Args:\n")[2].partition("\n\n")[0]
    described = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", text, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in described}


# ---- JSON Schema ----

_SCHEDULE = {"$ref": "#/$defs/_schedule"}
_NODE = {"$ref": "#/$defs/_node"}
_FILE = {
    "type": "object",
    "description": "A table that Schedule.save_table wrote.",
    "properties": {
        "file": {
            "type": "string",
            "description": "Its name, relative to the folder of this file.",
            "pattern": r"^[^/\\].*\.(npy|safetensors|parquet)$",
        },
        "sha256": {
            "type": "string",
            "description": "The SHA-256 of its values, as Record.sha256 and <name>.npy.json say.",
            "pattern": "^[0-9a-f]{64}$",
        },
    },
    "required": ["file", "sha256"],
    "additionalProperties": False,
}
_ORIGIN = {
    "type": "object",
    "description": "Which schedule of another library this was converted from. lint names its quirks; no value of the "
    "learning rate depends on it.",
    "properties": {
        "peer": {
            "description": 'A dialect and a schedule of it, such as "torch.StepLR".',
            **_check.schema_of(check_peer),
        },
        "strict": {
            "description": "Whether it was converted with all quirks of the peer.",
            "default": False,
            **_check.schema_of(_check.flag),
        },
        "quirks": {
            "description": "The names of those that it has; all that the peer may have if this is not said.",
            **_check.schema_of(check_quirks),
        },
    },
    "required": ["peer"],
    "additionalProperties": False,
}


def _list_of(items: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


def _shapes() -> dict[Check, dict[str, Any]]:
    """What the data of a field look like, by its check, where that is no plain value."""
    value = _check.schema_of(_check.value)
    place = _check.schema_of(updates(0, also=()))
    part_steps = {
        "description": 'How many updates of it; of the last part: none given. "length": its own.',
        **_check.schema_of(updates(0, also=(REST, LENGTH))),
    }
    part = {
        "type": "object",
        "properties": {"schedule": _SCHEDULE, "steps": part_steps},
        "required": ["schedule"],
        "additionalProperties": False,
    }
    point = {"type": "array", "prefixItems": [place, value], "items": False, "minItems": 2}
    return {
        is_schedule: _SCHEDULE,
        check_of(Product, "factors"): _list_of(_SCHEDULE),
        check_of(Sequence, "parts"): _list_of(part),
        check_of(Interpolate, "points"): _list_of(point),
        check_of(Piecewise, "boundaries"): _list_of(place),
        check_of(Piecewise, "values"): _list_of(value, 2),
        check_of(Table, "values"): {"if": {"type": "object"}, "then": _FILE, "else": _list_of(value)},
    }


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of specs, for editors: completion, descriptions, and mistakes as one types.

    It says what one field may hold; what several have to agree on is checked by `load` alone.

    Example:
        >>> json_schema()["$defs"]["Linear"]["required"]
        ['type', 'init_value', 'end_value', 'steps']
    """
    shapes = _shapes()
    version = {"const": VERSION, "description": "Version of this form; 1 if it is left out."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A learning-rate schedule of lrcore",
        **_NODE,
        "properties": {VERSION_KEY: version, SCHEMA_KEY: {"type": "string"}},
        "$defs": {
            "_schedule": {
                "description": "A schedule, or a number for a constant one.",
                "if": {"type": "object"},
                "then": {**_NODE, "properties": {VERSION_KEY: False, SCHEMA_KEY: False}},
                "else": _check.schema_of(_check.value),
            },
            "_node": _any_node(),
            "_origin": _ORIGIN,
            **{name: _node(name, shapes) for name in expression.NAMES},
        },
    }


def _any_node() -> dict[str, Any]:
    """By its type, so that a validator looks into one definition alone: alternatives would multiply with the depth."""
    choices = [
        {
            "if": {"properties": {TYPE_KEY: {"const": name}}, "required": [TYPE_KEY]},
            "then": {"$ref": f"#/$defs/{name}"},
        }
        for name in expression.NAMES
    ]
    names = {"enum": list(expression.NAMES), "description": "Which curve, combinator or recipe."}
    return {"type": "object", "properties": {TYPE_KEY: names}, "required": [TYPE_KEY], "allOf": choices}


def _node(name: str, shapes: Mapping[Check, dict[str, Any]]) -> dict[str, Any]:
    arguments = arguments_of(name)
    properties: dict[str, Any] = {TYPE_KEY: {"const": name}}
    for key, argument in arguments.items():
        properties[key] = {
            "description": argument.about,
            **(shapes.get(argument.check) or _check.schema_of(argument.check)),
        }
        if not argument.required and argument.default is not None:
            properties[key]["default"] = argument.default
    if name == Table.__name__:
        properties[DTYPE_KEY] = {"description": ABOUT_DTYPE, **_check.schema_of(check_dtype)}
    return {
        "description": _summary(expression.NAMES[name]),
        "type": "object",
        "properties": {**properties, ORIGIN_KEY: {"$ref": "#/$defs/_origin"}, VERSION_KEY: True, SCHEMA_KEY: True},
        "required": [TYPE_KEY, *(key for key, argument in arguments.items() if argument.required)],
        "additionalProperties": False,
    }
