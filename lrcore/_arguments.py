"""What the arguments of the command mean: a schedule, a trace of another program, the run that units refer to."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore import expression, tables
from lrcore.durations import Run, UnboundError
from lrcore.schedule import Schedule

SPECS = (".json", ".toml", ".yaml", ".yml")
TABLES = (".npy", ".safetensors", ".parquet")
LINES = (".csv", ".txt")  # of a trace
LONGEST = 1 << 26  # characters of standard input or of a trace: some millions of numbers

Trace = NDArray[np.float64]


class Inputs:
    """Reads the arguments of one command. Standard input is there once.

    Args:
        verify: compare the SHA-256 of the values of tables.
    """

    def __init__(self, verify: bool = True) -> None:
        self._verify = verify
        self._piped = False

    def schedule(self, given: str) -> Schedule:
        """The schedule that an argument names: see `lrcore --help`."""
        found = self._read(given)
        if not isinstance(found, Schedule):
            raise ValueError(f"{_short(given)}: expected a schedule, got a list of {len(found):,} numbers")
        return found

    def schedule_or_trace(self, given: str) -> Schedule | Trace:
        """An argument of diff: see `lrcore diff --help`."""
        suffix = _suffix(given)
        if suffix in LINES and not _is_call(given):
            return _trace_of_lines(_path(given))
        if suffix == ".npy" and not _is_call(given) and not _has_record(_path(given)):
            return _trace_of_array(_path(given))
        return self._read(given)

    def _read(self, given: str) -> Schedule | Trace:
        if not given.strip():
            raise ValueError("SCHEDULE: expected an expression or the name of a file, got nothing")
        if given == "-":
            return self._standard_input()
        suffix = _suffix(given)
        if given.startswith("@") or (suffix in (*SPECS, *TABLES) and not _is_call(given)):
            return _of_file(_path(given), suffix, self._verify)
        return _of_expression(given)

    def _standard_input(self) -> Schedule | Trace:
        if self._piped:
            raise ValueError("-: expected once, standard input can be read once")
        self._piped = True
        if sys.stdin is None:
            raise ValueError("-: standard input is closed")
        return _of_text("standard input", sys.stdin.read(LONGEST + 1))


def config_of(given: str) -> Mapping[str, Any]:
    """The mapping in a file, or in the JSON of standard input."""
    from lrcore import _specfiles

    form = _specfiles.format_of("-.json" if given == "-" else given)
    if given != "-":
        with Path(given).open("rb") as file:
            content = file.read(form.longest + 1)
    elif sys.stdin is None:
        raise ValueError("-: standard input is closed")
    else:
        content = sys.stdin.read(form.longest + 1).encode(errors="surrogatepass")
    where = "standard input" if given == "-" else given
    try:
        found = _specfiles.read(content, form)
    except _specfiles.UnreadableError as error:
        raise ValueError(f"{where}: {error}") from None
    if not isinstance(found, Mapping):
        raise ValueError(f"{where}: expected a mapping, got {type(found).__name__}")
    return found


def _suffix(given: str) -> str:
    return os.path.splitext(given)[1].lower()  # noqa: PTH122 (a text that may be no path)


def _path(given: str) -> Path:
    return Path(given.removeprefix("@"))


def _is_call(given: str) -> bool:
    """Whether a text looks like an expression, whatever its end looks like."""
    return given.rstrip().endswith(")")


def _short(given: str) -> str:
    shown = " ".join(given.split())
    return repr(shown if len(shown) <= 60 else f"{shown[:57]}...")


# ---- Schedules ----


def _of_file(path: Path, suffix: str, verify: bool) -> Schedule | Trace:
    if suffix in TABLES:
        return tables.open_table(path, verify=verify)
    if suffix not in SPECS:
        return _of_text(str(path), _text_of(path))
    if suffix == ".json" and _begins_a_list(path):
        return _of_text(str(path), _text_of(path))
    from lrcore import spec

    return spec.load(path)


def _begins_a_list(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _of_text(where: str, text: str) -> Schedule | Trace:
    """An expression, or a spec in JSON, or a trace in JSON: told apart by the first character."""
    if len(text) > LONGEST:
        raise ValueError(f"{where}: expected at most {LONGEST} characters")
    if not text.strip():
        raise ValueError(f"{where}: expected an expression or JSON, got nothing")
    if text.lstrip()[0] not in "{[":
        try:
            return expression.parse(text)
        except expression.ExpressionError as error:
            raise ValueError(f"{where}: {error}") from error
    made = _json(where, text)
    if isinstance(made, list):
        return _trace(where, made)
    from lrcore import spec

    try:
        return spec.from_dict(made)
    except spec.SpecError as error:
        raise ValueError(f"{where}: {error}") from error


def _of_expression(given: str) -> Schedule:
    """An expression; a text that is also, or rather, the name of a file gets an answer that says so."""
    is_file = os.path.isfile(given)  # noqa: PTH113 (no error on a text that is no path)
    try:
        found = expression.parse(given)
    except expression.ExpressionError as error:
        if is_file:
            raise ValueError(f"{_short(given)}: expected an expression, found a file: @{given} reads it") from error
        if _looks_like_path(given):
            known = ", ".join((*SPECS, *TABLES))
            raise ValueError(
                f"{_short(given)}: expected an expression or the name of a file that ends in {known}; "
                "@FILE reads a file of any other name"
            ) from error
        raise
    if is_file:
        raise ValueError(
            f"{_short(given)}: expected one meaning, it is an expression and a file: @FILE or (EXPRESSION)"
        )
    return found


def _looks_like_path(given: str) -> bool:
    return re.fullmatch(r"[\w~./\\-]*([./\\][\w~-]+)+", given) is not None and not re.fullmatch(r"[\d.e-]*", given)


def _text_of(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(LONGEST + 1)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8, got {error.reason} at byte {error.start}") from error
    if len(text) > LONGEST:
        raise ValueError(f"{path}: expected at most {LONGEST} characters")
    return text


def _json(where: str, text: str) -> Any:
    from lrcore import _specfiles

    try:
        return _specfiles.read(text.encode(errors="surrogatepass"), _specfiles.FORMATS[".json"])
    except _specfiles.UnreadableError as error:
        raise ValueError(f"{where}, {error}") from error


# ---- Traces ----


def _has_record(path: Path) -> bool:
    """Whether an .npy file is a table of ours, which has its metadata beside it."""
    return path.with_name(f"{path.name}.json").exists()


def _trace_of_array(path: Path) -> Trace:
    try:
        made = np.load(path, allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # a damaged header meets numpy's, Python's tokenizer's and its parser's errors
        raise ValueError(f"{path}: expected an .npy array of numbers: {error}") from error
    if not isinstance(made, np.ndarray):
        raise ValueError(f"{path}: expected an .npy array, got {type(made).__name__}")
    return _trace(str(path), made)


def _trace_of_lines(path: Path) -> Trace:
    """One number a line; of a table with commas the last column, with steps 0, 1, 2, ... in the first one or none."""
    rows = [[cell.strip() for cell in line.split(",")] for line in _text_of(path).splitlines()]
    if rows and _number(rows[0][-1]) is None:  # a heading
        rows[0] = [""]
    values: list[float] = []
    for line, row in enumerate(rows, 1):
        if row == [""]:
            continue
        value = _number(row[-1])
        if value is None or len(row) > 2:
            expected = "one number, or a step and a number"
            raise ValueError(f"{path}, line {line}: expected {expected}, got {_short(','.join(row))}")
        if len(row) == 2 and _number(row[0]) != len(values):
            raise ValueError(f"{path}, line {line}: expected step {len(values)}, got {_short(row[0])}")
        values.append(value)
    return _trace(str(path), values)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _trace(where: str, given: Any) -> Trace:
    """The values of steps 0, 1, 2, ..., NaN among them if need be: `diff` says where, and compares in the dtype of a
    trace."""
    if isinstance(given, list):
        wrong = next((at for at, item in enumerate(given) if type(item) not in (int, float)), None)
        if wrong is not None:
            raise ValueError(f"{where}[{wrong}]: expected a number, got {_short(repr(given[wrong]))}")
    try:
        made = np.asarray(given) if isinstance(given, np.ndarray) else np.array(given, np.float64)
    except OverflowError:
        raise ValueError(f"{where}: expected numbers that float64 can hold") from None
    if made.dtype.kind not in "fiu" or made.ndim != 1 or not made.size:
        what = f"an array of {made.dtype} with shape {made.shape}"
        raise ValueError(f"{where}: expected a list of numbers, at least one, got {what}")
    return made if made.dtype.kind == "f" else made.astype(np.float64)


# ---- The run ----

UNITS = (
    "total_steps",
    "steps_per_epoch",
    "tokens_per_step",
    "samples_per_step",
    "micro_batches_per_update",
    "world_size",
)


def units_of(options: argparse.Namespace) -> dict[str, int]:
    """What was said of the run, as arguments of `bind`."""
    return {name: getattr(options, name) for name in UNITS if getattr(options, name, None) is not None}


def bound(schedule: Schedule, options: argparse.Namespace) -> Schedule:
    """The schedule in updates."""
    units = units_of(options)
    return schedule if schedule.is_bound and not units else schedule.bind(**units)


def updates_of(options: argparse.Namespace) -> int | None:
    """The updates of the run, if it was said how long it is."""
    return Run(**units_of(options)).total_updates


def in_options(error: ValueError, command: str) -> str:
    """What an error says, with the options of the command in place of the arguments of functions."""
    text = str(error)
    if isinstance(error, UnboundError):
        text = text.partition(": give it with")[0]
    total = "--old-total-steps" if command == "replan" else "--total-steps"
    for name in UNITS:
        option = total if name == "total_steps" else f"--{name.replace('_', '-')}"
        text = re.sub(rf"(?<=needs ){name}\b|\bbind\.{name}\b", option, text)
    text = text.removesuffix(", got None (NoneType)")
    text = re.sub(r"\bn=(\d+)$", r"-n \1", re.sub(r"^(\w+\.)?n(?=:)", "-n", text))
    named = re.compile(r"^(?:replan\.|(?=start:|threads:|jump:))(\w+)")
    return named.sub(lambda found: f"--{found[1].replace('_', '-')}", text)


def steps_of(schedules: list[Schedule], options: argparse.Namespace) -> int:
    """How many steps: what was said, or the length of the run, or that of the longest schedule that has one."""
    if options.steps is not None:
        return int(options.steps)
    said = updates_of(options)
    if said is not None:
        return said
    longest = max((schedule.length or 0 for schedule in schedules), default=0)
    if not longest:
        raise ValueError("-n: expected how many steps, as nothing here has an end: give -n or --total-steps")
    return longest
