"""Reads a spec: plain data become schedules, and all that is wrong with them is collected, each with its path.

A reader walks down the data. An argument is given to the check of its field or recipe, under the argument's own name,
and what the check complains of is put under the path. Where a child is wrong a stand-in takes its place, so that its
neighbours and its parent are looked at all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from lrcore import _check, _specfiles, compose, expression, tables
from lrcore._check import Check
from lrcore._engine import MAX_DEPTH
from lrcore._origin import Origin, check_peer, check_quirks
from lrcore._specschema import (
    DTYPE_KEY,
    MOST_NODES,
    ORIGIN_KEY,
    SCHEMA_KEY,
    TYPE_KEY,
    VERSION,
    VERSION_KEY,
    Argument,
    arguments_of,
    check_dtype,
    check_of,
)
from lrcore.curves import Constant, Table
from lrcore.schedule import Schedule, is_schedule

MOST_ERRORS = 100
DEEPEST_VALUE = 4  # lists within each other, in an argument that takes no schedule
FAILURES = (TypeError, ValueError, ArithmeticError, RecursionError)  # what a check, a class or a recipe raises

Errors = list[tuple[str, str]]


def read(data: Any, folder: Path) -> tuple[Schedule | None, Errors]:
    """The schedule that data describe, or None and what is wrong with them."""
    reader = _Reader(folder)
    try:
        found = reader.root(data)
    except _TooManyError:
        found = None
    except RecursionError as error:
        reader.errors.append(("", _text_of(error)))
        found = None
    return (None if reader.errors else found), reader.errors


class _TooManyError(Exception):
    """Reading on would find nothing that helps."""


_BAD: Any = object()  # in place of an argument that was complained about
_STAND_IN = Constant(0.0)  # in place of a child that was, so that its neighbours are looked at


class _Reader:
    """Reads nodes, and collects what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.errors: Errors = []
        self._folder = folder
        self._visited = 0

    def _complain(self, path: str, message: str) -> None:
        self.errors.append((path, message))
        if len(self.errors) >= MOST_ERRORS:
            raise _TooManyError

    def _visit(self, path: str, depth: int) -> bool:
        """Whether to read on there."""
        self._visited += 1
        if self._visited > MOST_NODES:
            self._complain("", f"expected at most {MOST_NODES:,} schedules within one, got more")
            raise _TooManyError
        if depth > MAX_DEPTH:
            self._complain(path, f"expected at most {MAX_DEPTH} nested schedules, got more")
        return depth <= MAX_DEPTH

    # -- Nodes --

    def root(self, data: Any) -> Schedule | None:
        if not isinstance(data, Mapping):
            self._complain("", f"expected a mapping with a {TYPE_KEY!r}, got {_short(data)}")
            return None
        given = self._mapping("", data)
        given.pop(SCHEMA_KEY, None)
        version = given.pop(VERSION_KEY, VERSION)
        if type(version) is not int or version < 1:
            self._complain(VERSION_KEY, f"expected {VERSION}, the version of this form, got {_short(version)}")
        elif version > VERSION:
            # What it means is for a later lrcore to say: more complaints would mislead.
            self._complain(VERSION_KEY, f"expected {VERSION}, got {_short(version)}: update lrcore to read it")
            return None
        return self._node("", given, 1)

    def _schedule(self, path: str, data: Any, depth: int) -> Schedule | None:
        """A node, or a number."""
        if isinstance(data, Mapping):
            return self._node(path, self._mapping(path, data), depth)
        if not self._visit(path, depth):
            return None
        found = self._checked(path, "", is_schedule, _plain(data))
        return found if isinstance(found, Schedule) else None

    def _node(self, path: str, given: dict[str, Any], depth: int) -> Schedule | None:
        if not self._visit(path, depth):
            return None
        origin = self._origin(path, given)
        made = self._without_origin(path, given, depth)
        return made if made is None or origin is None else made._with_hints(origin=origin)

    def _without_origin(self, path: str, given: dict[str, Any], depth: int) -> Schedule | None:
        before = len(self.errors)
        name = self._type(path, given)
        if name is None:
            self._survey(path, given, depth)
            return None
        arguments = arguments_of(name)
        known = (*arguments, *([DTYPE_KEY] if name == Table.__name__ else ()))
        self._complain_of_unknown(path, given, known, name, depth)
        unread = {key for key, value in given.items() if value is _BAD}
        if name == Table.__name__:
            return None if unread else self._table(path, given)
        found: dict[str, Any] = {}
        for key, argument in arguments.items():
            if key in unread:
                continue
            if key in given:
                found[key] = self._argument(_join(path, key), key, argument.check, given[key], depth)
            elif argument.required:
                self._complain_of_missing(path, key, argument)
        if len(self.errors) > before or unread:
            return None
        return self._made(path, name, found)

    def _type(self, path: str, given: dict[str, Any]) -> str | None:
        unread = given.get(TYPE_KEY) is _BAD
        name = given.pop(TYPE_KEY, _BAD)
        if isinstance(name, str) and name in expression.NAMES:
            return name
        expected = "a curve, a combinator or a recipe of lrcore"
        if unread:
            return None
        if isinstance(name, str):
            guess = _check.did_you_mean(name[:80], expression.NAMES) or f" ({', '.join(expression.NAMES)})"
            self._complain(_join(path, TYPE_KEY), f"expected {expected}, got {_cut(repr(name))}{guess}")
        else:
            got = "nothing" if name is _BAD else _short(name)
            self._complain(_join(path, TYPE_KEY), f"expected the name of {expected}, got {got}")
        return None

    def _origin(self, path: str, given: dict[str, Any]) -> Origin | None:
        """Takes the origin out of what is given."""
        data = given.pop(ORIGIN_KEY, _BAD)
        if data is _BAD:
            return None
        where = _join(path, ORIGIN_KEY)
        if not isinstance(data, Mapping):
            self._complain(where, f"expected a mapping with 'peer', got {_short(data)}")
            return None
        said = self._mapping(where, data)
        checks = {"peer": check_peer, "strict": _check.flag, "quirks": check_quirks}
        self._complain_of_unknown(where, said, tuple(checks), "an origin", MAX_DEPTH)
        said.setdefault("strict", False)
        if "peer" not in said:
            self._complain(_join(where, "peer"), f"expected {_wanted(check_peer)}, got nothing")
        found = {
            key: self._checked(_join(where, key), "", check, _plain(said[key]))
            for key, check in checks.items()
            if key in said and said[key] is not _BAD
        }
        whole = {"peer", "strict", *said} == {*found} and _BAD not in found.values()
        return Origin(found["peer"], found["strict"], found.get("quirks")) if whole else None

    def _made(self, path: str, name: str, arguments: dict[str, Any]) -> Schedule | None:
        """What the class or the recipe makes of its arguments; its complaints become ours."""
        try:
            return expression.NAMES[name](**arguments)
        except FAILURES as error:
            text = _text_of(error)
            found = re.fullmatch(rf"{name}\.(\w+)((?:\[\d+\])*): (.*)", text, re.DOTALL)
            if found and found[1] in arguments:
                place = _named_in_part(found[2]) if name == compose.Sequence.__name__ else found[2]
                self._complain(_join(path, found[1]) + place, found[3])
            else:
                self._complain(path, text.removeprefix(f"{name}: "))
            return None

    def _survey(self, path: str, data: Any, depth: int) -> None:
        """Looks for nodes where none can be, for the sake of their errors."""
        if not isinstance(data, (dict, Mapping)) and not _is_list(data):
            return
        if not self._visit(path, depth):
            return
        if isinstance(data, Mapping):
            for key, item in self._mapping(path, data).items():
                if isinstance(item, Mapping) and TYPE_KEY in item:
                    self._schedule(_join(path, key), item, depth + 1)
                else:
                    self._survey(_join(path, key), item, depth + 1)
            return
        for at, item in enumerate(self._list(path, data)):
            if isinstance(item, Mapping) and TYPE_KEY in item:
                self._schedule(f"{path}[{at}]", item, depth + 1)
            else:
                self._survey(f"{path}[{at}]", item, depth + 1)

    # -- Arguments --

    def _argument(self, path: str, key: str, check: Check, data: Any, depth: int) -> Any:
        if check is check_of(compose.Sequence, "parts"):
            return self._parts(path, key, check, data, depth)
        if not _takes_schedules(check):
            return self._checked(path, key, check, _plain(data))
        if _is_list(data):
            items = self._list(path, data)
            children = [self._schedule(f"{path}[{at}]", item, depth + 1) for at, item in enumerate(items)]
            return self._checked(path, key, check, [_STAND_IN if child is None else child for child in children])
        child = self._schedule(path, data, depth + 1)
        return _BAD if child is None else self._checked(path, key, check, child)

    def _checked(self, path: str, key: str, check: Check, value: Any) -> Any:
        """What the check makes of a value. A list is looked at further behind what was found in it, so that all is."""
        try:
            return check(key, value)
        except FAILURES as error:
            inner, message = _split(key, error)
        offset = 0
        while message:
            place = re.match(r"\[(\d+)\]", inner) if isinstance(value, list) else None
            if place is None:
                if not offset:
                    self._complain(path + inner, message)
                break
            at = offset + int(place[1])
            self._complain(f"{path}[{at}]{inner[place.end() :]}", message)
            offset = at + 1
            inner, message = _refusal(check, key, value[offset:]) if offset < len(value) else ("", "")
        return _BAD

    def _parts(self, path: str, key: str, check: Check, data: Any, depth: int) -> Any:
        """The parts of a Sequence: mappings here, pairs there."""
        if not _is_list(data) or not len(data):
            return self._checked(path, key, check, _plain(data))
        before = len(self.errors)
        items = self._list(path, data)
        parts: list[Any] = []
        for at, item in enumerate(items):
            where, last = f"{path}[{at}]", at == len(items) - 1
            schedule, steps = self._part(where, item, last, depth)
            parts.append(schedule if last else (schedule, steps))
            if not last and steps is not _BAD:
                inner, message = _refusal(check, key, [parts[-1], _STAND_IN])
                if message:
                    self._complain(where + _named_in_part(inner).removeprefix("[0]"), message)
        return parts if len(self.errors) == before else _BAD

    def _part(self, path: str, item: Any, last: bool, depth: int) -> tuple[Schedule, Any]:
        if not isinstance(item, Mapping) or (TYPE_KEY in item and "schedule" not in item):
            self._complain(
                path, f"expected a mapping with 'schedule'{'' if last else ' and steps'}, got {_short(item)}"
            )
            self._survey(path, {"schedule": item}, depth + 1)
            return _STAND_IN, _BAD
        given = self._mapping(path, item)
        self._complain_of_unknown(path, given, ("schedule", "steps"), "a part", depth)
        schedule = None
        if "schedule" in given:
            schedule = self._schedule(_join(path, "schedule"), given["schedule"], depth + 1)
        else:
            self._complain(_join(path, "schedule"), "expected a schedule or a number, got nothing")
        steps = _plain(given.get("steps", _BAD))
        if last and steps is not _BAD:
            self._complain(_join(path, "steps"), f"expected none, the last part goes on for ever, got {_short(steps)}")
        if not last and steps is _BAD:
            self._complain(_join(path, "steps"), "expected how long the part lasts, got nothing")
        return (_STAND_IN if schedule is None else schedule), steps

    def _complain_of_unknown(
        self, path: str, given: dict[str, Any], known: tuple[str, ...], owner: str, depth: int
    ) -> None:
        for key in given:
            if key in known:
                continue
            guess = _check.did_you_mean(key[:80], known) or f" ({', '.join(known)})"
            if key in (VERSION_KEY, SCHEMA_KEY):
                guess = ": it stands only at the top"
            self._complain(_join(path, key), f"expected an argument of {owner}, got {_cut(repr(key))}{guess}")
            self._survey(_join(path, key), given[key], depth)

    def _complain_of_missing(self, path: str, key: str, argument: Argument) -> None:
        self._complain(_join(path, key), f"expected {_wanted(argument.check)}, got nothing")

    # -- Tables --

    def _table(self, path: str, given: dict[str, Any]) -> Schedule | None:
        before = len(self.errors)
        dtype = None
        if DTYPE_KEY in given:
            dtype = self._checked(_join(path, DTYPE_KEY), "", check_dtype, _plain(given[DTYPE_KEY]))
        where = _join(path, "values")
        if "values" not in given:
            self._complain_of_missing(path, "values", arguments_of(Table.__name__)["values"])
            return None
        if isinstance(given["values"], Mapping):
            if DTYPE_KEY in given:
                self._complain(_join(path, DTYPE_KEY), "expected none, the file says it")
            return self._mapped(where, self._mapping(where, given["values"]))
        values = self._values(where, given["values"])
        if len(self.errors) > before:
            return None
        with np.errstate(over="ignore"):  # an infinity is refused
            values = values if dtype is None else np.asarray(values, dtype)
        values = self._checked(where, "values", check_of(Table, "values"), values)
        return None if values is _BAD else Table(values)

    def _values(self, path: str, data: Any) -> Any:
        """Numbers and nothing else: numpy would take a flag for 1, and make texts of numbers."""
        values = _plain(data)
        if not isinstance(values, list):
            return values
        for at, item in enumerate(values):
            if type(item) is not float:
                values[at] = self._checked(f"{path}[{at}]", "", _check.number, item)
        return values

    def _mapped(self, path: str, given: dict[str, Any]) -> Schedule | None:
        before = len(self.errors)
        self._complain_of_unknown(path, given, ("file", "sha256"), "a table in a file", MAX_DEPTH)
        texts: dict[str, str] = {}
        for key, wanted in {"file": "the name of a table", "sha256": "the SHA-256 of its values"}.items():
            if isinstance(given.get(key), str):
                texts[key] = given[key]
            else:
                got = _short(given[key]) if key in given else "nothing"
                self._complain(_join(path, key), f"expected {wanted}, got {got}")
        if "file" in texts and _is_absolute(texts["file"]):
            advice = "an absolute one holds on one machine alone"
            expected = f"a name relative to the folder of the spec, with / between folders: {advice}"
            self._complain(_join(path, "file"), f"expected {expected}, got {_cut(repr(texts['file']))}")
        return None if len(self.errors) > before else self._opened(path, texts["file"], texts["sha256"])

    def _opened(self, path: str, name: str, sha256: str) -> Schedule | None:
        file = self._folder / name
        try:
            if not file.is_file():
                self._complain(_join(path, "file"), f"expected a table, got no file {_cut(repr(str(file)))}")
                return None
            table = tables.open_table(file)
        except (ValueError, OSError) as error:
            self._complain(_join(path, "file"), _text_of(error))
            return None
        if table.record.sha256 != sha256:
            expected = f"{sha256[:64]!r}, as the spec was written with"
            self._complain(_join(path, "sha256"), f"expected values with {expected}, got {table.record.sha256!r}")
            return None
        return table

    # -- Mappings and lists of any kind --

    def _mapping(self, path: str, data: Mapping[Any, Any]) -> dict[str, Any]:
        """A mapping as a dict of its own; each value that cannot be had is complained about."""
        for key in getattr(data, "twice", ()):
            self._complain(_join(path, key), "expected one value, got the key more than once")
        found: dict[str, Any] = {}
        for key in data:
            if not isinstance(key, str):
                self._complain(path, f"expected names as keys, got {_short(key)}")
                continue
            try:
                found[key] = data[key]
            except Exception as error:  # of an interpolation, say
                self._complain(_join(path, key), f"expected a value that can be read: {_first_line(error)}")
                found[key] = _BAD
        return found

    def _list(self, path: str, data: Sequence[Any]) -> list[Any]:
        try:
            return list(data)
        except Exception as error:
            self._complain(path, f"expected a list that can be read: {_text_of(error)}")
            return []


def _first_line(error: Exception) -> str:
    return _text_of(error).partition("\n")[0]


def _is_list(data: Any) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, (str, bytes, bytearray))


@cache
def _takes_schedules(check: Check) -> bool:
    return any(_accepts(check, example) for example in (_STAND_IN, [_STAND_IN]))


def _accepts(check: Check, example: Any) -> bool:
    try:
        check("", example)
    except FAILURES:
        return False
    return True


def _plain(data: Any, depth: int = 0) -> Any:
    """Lists of lists and dicts of any kind, as Python's own: what a check may look at and show."""
    if isinstance(data, Mapping):
        return _Shown("a mapping")
    if type(data) is int and abs(data) >= 10**_specfiles.LONGEST_NUMBER:
        return _Shown("a longer number")
    if not _is_list(data):
        return data
    return _Shown("deeper lists") if depth == DEEPEST_VALUE else [_plain(item, depth + 1) for item in data]


class _Shown:
    """In place of what no check takes and no message should show."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _wanted(check: Check) -> str:
    """What a check wants, in its own words."""
    try:
        check("", _Shown("nothing"))
    except FAILURES as error:
        found = re.match(r": expected (.*), got ", str(error), re.DOTALL)
        if found:
            return found[1]
    return "a value"


def _refusal(check: Check, key: str, value: Any) -> tuple[str, str]:
    """Where within the value a check finds something, and what; "" for nothing."""
    try:
        check(key, value)
    except FAILURES as error:
        return _split(key, error)
    return "", ""


def _split(key: str, error: BaseException) -> tuple[str, str]:
    """Where within the value a check found something, and what."""
    found = re.fullmatch(rf"{re.escape(key)}((?:\[\d+\])*): (.*)", _text_of(error), re.DOTALL)
    return (found[1], found[2]) if found else ("", _text_of(error))


def _named_in_part(place: str) -> str:
    """`[2][1]`, the second of a pair, as the data have it: `[2].steps`."""
    return re.sub(r"^(\[\d+\])\[([01])\]", lambda at: at[1] + (".steps" if at[2] == "1" else ".schedule"), place)


def _text_of(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "too deeply nested for where this was called from"
    return (str(error) or type(error).__name__).replace(" (_Shown)", "")


def _join(path: str, key: str) -> str:
    key = _cut(key if key.isidentifier() or key == SCHEMA_KEY else repr(key))
    return f"{path}.{key}" if path else key


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a mapping of {_cut(', '.join(map(repr, value)))}" if len(value) else "an empty mapping"
    shown = _plain(value)
    return repr(shown) if isinstance(shown, _Shown) else _cut(_check.shown(shown), 120)


def _cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _is_absolute(name: str) -> bool:
    return not name or "\0" in name or "\\" in name or name.startswith(("/", "~")) or bool(PureWindowsPath(name).drive)
