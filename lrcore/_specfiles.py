"""JSON, TOML and YAML as plain data, and back: mappings, lists, texts, numbers, flags and None.

What the files may hold is less than the formats allow, so that the three say the same and a file that one does not
trust does no harm:

(a) Sizes are looked at before a parser is: the length of the text, the digits of a number, how many lists and mappings
    there are and how deep they nest. Python's parsers are recursive, take numbers of any length, and one of them takes
    a time that grows with the square of the parts of a dotted key.
(b) YAML is read from its events, not by its constructors: no tags, no anchors and aliases, and scalars by the rules of
    YAML 1.2, under which `1e-3` is a number and `no` is a word (1.1, which PyYAML follows, says the opposite of both).
(c) A key that stands twice is kept in mind (`Mapping.twice`), so that it is reported with all else, by its path.
(d) Infinities and NaN are read as what they are: the check of the field that holds one refuses it, by its path.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from os import PathLike, fspath
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from lrcore import _check

if TYPE_CHECKING:
    from types import ModuleType

LONGEST_NUMBER = 400  # characters; the largest float64 has 309 digits before its point
DEEPEST = 256  # lists and mappings within each other; 60 nested sequences are 181
MOST_CONTAINERS = 1 << 18  # lists and mappings
MOST_KEYS = 1 << 19
MOST_TOML_KEYS = 1 << 15
MOST_PARTS = 128  # of a dotted key of TOML; 60 nested sequences have a header of 118
MOST_SQUARED = 1 << 23  # parts of dotted keys, squared, in all


class UnreadableError(ValueError):
    """A text that is none of its format, or more than we read. The message begins with the place in it."""


class Mapping(dict[str, Any]):
    """A mapping of a file, and the keys that stood in it more than once."""

    twice: tuple[str, ...] = ()


def _mapping(pairs: list[tuple[str, Any]]) -> Mapping:
    made = Mapping(pairs)
    if len(made) != len(pairs):
        made.twice = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return made


class Format(NamedTuple):
    """How one of the formats is read and written."""

    name: str
    longest: int  # bytes
    read: Callable[[str], Any]
    write: Callable[[dict[str, Any]], str]


def format_of(path: str | PathLike[str]) -> Format:
    """The format that the end of a name says."""
    suffix = PurePath(fspath(path)).suffix.lower()
    if suffix not in FORMATS:
        guess = _check.did_you_mean(suffix, FORMATS)
        raise ValueError(f"{path}: expected a name that ends in {', '.join(FORMATS)}, got {suffix!r}{guess}")
    return FORMATS[suffix]


def read(data: bytes, form: Format) -> Any:
    """What the bytes of a file say.

    Raises:
        UnreadableError: they are too many, no UTF-8, or no text of that format.
    """
    if len(data) > form.longest:
        raise UnreadableError(_too_long(form))
    text = _decoded(data)
    _check_numbers(text)
    return form.read(text)


def write(data: dict[str, Any], form: Format) -> bytes:
    """The bytes of a file that says `data`.

    Raises:
        UnreadableError: `read` would refuse them.
    """
    _check_amount(_containers(data), MOST_CONTAINERS, "lists and mappings")
    try:
        encoded = form.write(data).encode()
    except UnicodeEncodeError as error:
        raise UnreadableError(f"expected names in UTF-8, got {error.object!r}") from None
    if len(encoded) > form.longest:
        raise UnreadableError(_too_long(form))
    return encoded


def _too_long(form: Format) -> str:
    return f"expected at most {form.longest >> 20} MiB of {form.name}, got more"


# ---- Text ----

_OTHER_ENCODINGS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_LONG_NUMBER = re.compile(rf"(?<![0-9_])[0-9_]{{{LONGEST_NUMBER + 1}}}")


def _decoded(data: bytes) -> str:
    """The text, without the mark that some editors put before it."""
    for mark, encoding in _OTHER_ENCODINGS.items():
        if data.startswith(mark):
            raise UnreadableError(f"line 1: expected UTF-8, got {encoding}: save the file as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"line {line}: expected UTF-8, got byte 0x{data[error.start]:02x}") from None
    if "\0" in text:
        raise UnreadableError(f"{_place(text, text.index(chr(0)))}: expected text in UTF-8, got a zero byte")
    return text


def _place(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _check_numbers(text: str) -> None:
    found = _LONG_NUMBER.search(text)
    if found:
        raise UnreadableError(
            f"{_place(text, found.start())}: expected a number of at most {LONGEST_NUMBER} characters"
        )


def _refuse_depth(text: str, at: int) -> None:
    raise UnreadableError(f"{_place(text, at)}: expected at most {DEEPEST} lists and mappings within each other")


def _check_amount(number: int, most: int, what: str) -> None:
    if number > most:
        raise UnreadableError(f"expected at most {most:,} {what}, got {number:,}")


def _containers(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_containers, value.values()))
    if not isinstance(value, list):
        return 0
    return 1 + (sum(map(_containers, value)) if value and isinstance(value[0], (dict, list)) else 0)


# ---- JSON ----

_MARKS_OF_JSON = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def _read_json(text: str) -> Any:
    _check_nesting_of_json(text)
    try:
        return json.loads(text, object_pairs_hook=_mapping)
    except json.JSONDecodeError as error:
        raise UnreadableError(f"line {error.lineno}, column {error.colno}: {_lowered(error.msg)}") from None
    except RecursionError:
        raise UnreadableError("too deeply nested for where this was called from") from None


def _check_nesting_of_json(text: str) -> None:
    containers = text.count("[") + text.count("{")
    _check_amount(containers, MOST_CONTAINERS, "lists and objects")
    _check_amount(text.count(":"), MOST_KEYS, "keys")
    _check_amount(text.count('"') + text.count("\\"), 4 * MOST_KEYS, "quotes and escapes")
    if containers <= DEEPEST:
        return
    depth, quoted = 0, False
    for found in _MARKS_OF_JSON.finditer(text):
        mark = found[0]
        if mark == '"':
            quoted = not quoted
        elif not quoted:
            depth += (mark in "[{") - (mark in "]}")
            if depth > DEEPEST:
                _refuse_depth(text, found.start())


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _write_json(data: dict[str, Any]) -> str:
    return _json_of(data, "\n") + "\n"


def _json_of(value: Any, line: str) -> str:
    """Indented, but for lists of what is no list or mapping itself: each stands on a line."""
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(key)}: {_json_of(item, line + '  ')}" for key, item in value.items()]
        return f"{{{line}  {f',{line}  '.join(items)}{line}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = [_json_of(item, line + "  ") for item in value]
        return f"[{line}  {f',{line}  '.join(items)}{line}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


# ---- TOML ----

_MARKS_OF_TOML = re.compile(r"""\\.|\"{3}|'{3}|["'#\n.,=\[\]{}]""")


def _read_toml(text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        tomllib = _imported("tomli", "TOML")
    _check_keys_of_toml(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rpartition(" (at ")
        raise UnreadableError(f"{place.removesuffix(')')}: {_lowered(message)}") from None
    except RecursionError:
        raise UnreadableError("too deeply nested for where this was called from") from None
    except ValueError as error:  # of a date that is none, say: it has no place
        raise UnreadableError(str(error)) from None


def _check_keys_of_toml(text: str) -> None:
    """Refuses what the parser would take long for: see (a). Texts over several lines would need a parser to find."""
    _check_amount(text.count("[") + text.count("{"), MOST_CONTAINERS, "lists and tables")
    _check_amount(text.count("="), MOST_TOML_KEYS, "keys")
    depth = dots = squared = 0
    for at, mark in itertools.chain(_unquoted_marks_of_toml(text), [(len(text), "\n")]):
        if mark == ".":
            dots += 1
            continue
        if dots >= MOST_PARTS or squared > MOST_SQUARED:
            raise UnreadableError(f"{_place(text, at)}: expected dotted keys of fewer parts")
        squared, dots = squared + dots * dots, 0
        depth += (mark in "[{") - (mark in "]}")
        if depth > DEEPEST:
            _refuse_depth(text, at)
        if len(mark) == 3:
            raise UnreadableError(f"{_place(text, at)}: expected texts of one line, got {mark}")


def _unquoted_marks_of_toml(text: str) -> Iterator[tuple[int, str]]:
    quote = ""  # what ends it, or a # for a comment
    for found in _MARKS_OF_TOML.finditer(text):
        mark = found[0]
        if mark == "\n":
            quote = ""
        if quote:
            ends = mark in (quote, quote * 3) or (quote == "'" and mark == "\\'")
            quote = "" if ends else quote
        elif mark in ('"', "'", "#"):
            quote = mark
        else:
            yield found.start(), mark


def _write_toml(data: dict[str, Any]) -> str:
    text: str = _imported("tomli_w", "TOML").dumps(data)
    _check_keys_of_toml(text)
    return text


def _imported(package: str, what: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError as error:
        name = "pyyaml" if package == "yaml" else package.replace("_", "-")
        raise ImportError(f"{what} needs {name}: pip install 'lrcore[spec]'") from error


# ---- YAML ----

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?=[0-9]*\.|[0-9]+[eE])(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
}


def _resolved(plain: str) -> Any:
    """The value of a scalar without quotes, by YAML 1.2. A leading 0 may mean octal, so such a number is a text."""
    if plain in _WORDS:
        return _WORDS[plain]
    if _INT.fullmatch(plain):
        return int(plain)
    return float(plain) if _FLOAT.fullmatch(plain) else plain


def _read_yaml(text: str) -> Any:
    yaml = _imported("yaml", "YAML")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _built(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        place = f"{_mark(error.problem_mark)}: " if error.problem_mark else ""
        raise UnreadableError(f"{place}{error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        at = text.find(error.character if isinstance(error.character, str) else chr(error.character))
        raise UnreadableError(f"{_place(text, max(at, 0))}: {error.reason}") from None
    except yaml.YAMLError as error:
        raise UnreadableError(str(error)) from None


def _mark(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _built(events: Iterable[Any]) -> Any:
    """The data of a document, by a stack of what is open: the depth of a file is none of Python's."""
    top: list[Any] = []
    stack: list[list[Any]] = [top]  # of a mapping: its keys and values in turn
    documents = containers = 0
    for event in events:
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            documents += 1
            _expect(documents == 1, event, "one document", "a second one")
        elif kind in ("MappingStartEvent", "SequenceStartEvent", "ScalarEvent", "AliasEvent"):
            _check_plain(event, kind)
            if kind == "ScalarEvent":
                stack[-1].append(_resolved(event.value) if event.implicit[0] else event.value)
                continue
            containers += 1
            _check_amount(containers, MOST_CONTAINERS, "lists and mappings")
            _expect(len(stack) <= DEEPEST, event, f"at most {DEEPEST} lists and mappings within each other", "more")
            stack.append([])
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = stack.pop()
            stack[-1].append(_paired(done) if kind == "MappingEndEvent" else done)
    return top[0] if top else None


def _expect(holds: bool, event: Any, expected: str, got: str) -> None:
    if not holds:
        raise UnreadableError(f"{_mark(event.start_mark)}: expected {expected}, got {got}")


def _check_plain(event: Any, kind: str) -> None:
    _expect(kind != "AliasEvent", event, "values, each written where it stands", "an alias")
    _expect(event.anchor is None, event, "values, each written where it stands", "an anchor")
    _expect(event.tag is None, event, "values without tags", f"the tag {event.tag!r}")


def _paired(flat: list[Any]) -> Mapping:
    return _mapping([(_key(key), value) for key, value in zip(flat[::2], flat[1::2], strict=True)])


def _key(key: Any) -> str:
    return key if isinstance(key, str) else _check.shown(key)


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # words of YAML 1.1


def _write_yaml(data: dict[str, Any]) -> str:
    yaml = _imported("yaml", "YAML")
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.emit(_events(data, yaml.events), Dumper=dumper, allow_unicode=True)
    return text


def _events(data: Any, events: ModuleType) -> Iterator[Any]:
    yield events.StreamStartEvent()
    yield events.DocumentStartEvent(explicit=False)
    yield from _events_of(data, events)
    yield events.DocumentEndEvent(explicit=False)
    yield events.StreamEndEvent()


def _events_of(value: Any, events: ModuleType) -> Iterator[Any]:
    """Mappings in blocks; a list of what is no list or mapping itself on a line."""
    if isinstance(value, dict):
        yield events.MappingStartEvent(None, None, True, flow_style=False)
        for key, item in value.items():
            yield _scalar(key, events)
            yield from _events_of(item, events)
        yield events.MappingEndEvent()
    elif isinstance(value, list):
        flow = not any(isinstance(item, (dict, list)) for item in value)
        yield events.SequenceStartEvent(None, None, True, flow_style=flow)
        for item in value:
            yield from _events_of(item, events)
        yield events.SequenceEndEvent()
    else:
        yield _scalar(value, events)


def _scalar(value: Any, events: ModuleType) -> Any:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN
        return events.ScalarEvent(None, None, (bool(plain), True), value, style=None if plain else '"')
    text = json.dumps(value)
    if isinstance(value, float) and "." not in text:
        text = text.replace("e", ".0e")  # without a point it is no number to YAML 1.1
    return events.ScalarEvent(None, None, (True, False), text)


FORMATS = {
    ".json": Format("JSON", 16 << 20, _read_json, _write_json),
    ".toml": Format("TOML", 1 << 20, _read_toml, _write_toml),
    ".yaml": Format("YAML", 1 << 20, _read_yaml, _write_yaml),
    ".yml": Format("YAML", 1 << 20, _read_yaml, _write_yaml),
}
