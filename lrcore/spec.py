"""Schedules as data: mappings of names, numbers and lists, in JSON, TOML and YAML; never code.

`{"lrcore": 1, "type": "Linear", "init_value": 0.0, "end_value": 0.1, "steps": "5ep"}`: a node says its type and its
arguments by their names. A number in a schedule's place is a constant one. The part of a `Sequence` is `{"schedule":
..., "steps": ...}`, the last one without steps. A node that a dialect made says which peer's it is, `"origin":
{"peer": "torch.StepLR", "strict": false}`, and nothing depends on it but what lint says. The values of a `Table` may
lie in a file, `{"file": "lr.npy", "sha256": "..."}`, by a name relative to the spec's own folder. Recipes are types
too.

What a field may hold is said once, by its check in the class or recipe, and all errors are wanted at once, each with
its path: so no validation library, which would want its own statement of the rules, but a reader that asks the checks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore import _check, _replace, _specfiles, _specreader, compose, expression, tables
from lrcore._specreader import MOST_ERRORS
from lrcore._specschema import (
    DTYPE_KEY,
    MOST_NODES,
    ORIGIN_KEY,
    TYPE_KEY,
    VERSION,
    VERSION_KEY,
    arguments_of,
    json_schema,
)
from lrcore.curves import Table
from lrcore.late import Deferred
from lrcore.schedule import Schedule
from lrcore.tables import MappedTable

__all__ = ["SpecError", "dump", "fingerprint", "from_dict", "json_schema", "load", "to_dict"]

Folder = str | os.PathLike[str] | None


class SpecError(ValueError):
    """A spec that does not describe a schedule.

    Attributes:
        errors: (path, message) pairs, all that were found; the path of the spec as a whole is "".
        source: the name of the file, or "".

    Example:
        >>> try:
        ...     from_dict({"type": "Linear", "init_valeu": 0, "end_value": True, "steps": "5 epoxs"})
        ... except SpecError as error:
        ...     print(error)
        4 errors
          init_valeu: expected an argument of Linear, got 'init_valeu': did you mean 'init_value'?
          init_value: expected a number, got nothing
          end_value: expected a number, got True (bool)
          steps: expected an int or a text such as "5ep", "30%", "2e9tok", "1e6samples" or "rest", got '5 epoxs' (str):
          did you mean 'epochs'?
    """

    def __init__(self, errors: Sequence[tuple[str, str]], source: str = "") -> None:
        super().__init__(errors, source)
        self.errors = list(errors)
        self.source = source

    def __str__(self) -> str:
        lines = [": ".join(filter(None, pair)) for pair in self.errors]
        if len(lines) == 1:
            return ": ".join(filter(None, (self.source, lines[0])))
        more = " or more" if len(lines) >= MOST_ERRORS else ""
        heading = ": ".join(filter(None, (self.source, f"{len(lines)}{more} errors")))
        return "\n  ".join((heading, *lines))


# ---- Files ----


def load(path: str | os.PathLike[str]) -> Schedule:
    """The schedule that a file describes; nothing in it is executed.

    Args:
        path: a name that ends in `.json`, `.toml`, `.yaml` or `.yml`. JSON may have 16 MiB, the others 1 MiB.

    Raises:
        SpecError: (a ValueError) all that is wrong with it, each with its path, or the line where it cannot be read.
        ValueError: a name with another end.
        OSError: no such file, no permission.
        ImportError: YAML without PyYAML, TOML without tomli (before Python 3.11).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name, "lr.toml")
        >>> size = path.write_text('type = "warmup_cosine"\\npeak_value = 0.1\\nend_value = 0\\n'
        ...                        'warmup_steps = "5%"\\nsteps = "100%"')
        >>> load(path).bind(total_steps=1000)(50)
        0.1
        >>> folder.cleanup()
    """
    form = _specfiles.format_of(path)
    with Path(path).open("rb") as file:
        content = file.read(form.longest + 1)
    try:
        data = _specfiles.read(content, form)
    except _specfiles.UnreadableError as error:
        raise SpecError([("", str(error))], str(path)) from None
    return _read(data, Path(path).resolve().parent, str(path))


def dump(schedule: Schedule, path: str | os.PathLike[str]) -> None:
    """Writes a schedule to a file, from which `load` gives an equal one, to the bit.

    The file appears whole or not at all. A table that `open_table` gave stays in its own file, and is named.

    Args:
        schedule: the schedule.
        path: a name that ends in `.json`, `.toml`, `.yaml` or `.yml`, in a folder that exists.

    Raises:
        TypeError: no schedule of lrcore's.
        SpecError: (a ValueError) `load` would refuse the file: it would be too long, say.
        ValueError: a name with another end.
        OSError: no such folder, no permission, no space.
        ImportError: YAML without PyYAML, TOML without tomli-w.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lrcore import Linear
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     dump(Linear(0.0, 0.1, 100) >> Linear(0.1, 0.0, 900), f"{folder}/lr.yaml")
        ...     print(Path(folder, "lr.yaml").read_text())
        ...     load(f"{folder}/lr.yaml").length
        lrcore: 1
        type: Sequence
        parts:
        - schedule:
            type: Linear
            init_value: 0.0
            end_value: 0.1
            steps: 100
          steps: 100
        - schedule:
            type: Linear
            init_value: 0.1
            end_value: 0.0
            steps: 900
        <BLANKLINE>
        1000
    """
    form, target = _specfiles.format_of(path), Path(path)
    data = to_dict(schedule, target.resolve().parent)
    try:
        content = _specfiles.write(data, form)
    except _specfiles.UnreadableError as error:
        advice = "write long tables with save_table, and use open_table in their place"
        raise SpecError([("", f"{error}: {advice}")], str(path)) from None
    _replace.check_room(target, len(content))
    with _replace.beside(target) as file:
        file.write(content)
        _replace.settle(file)
        _replace.put(file, target)


# ---- Writing ----


def to_dict(schedule: Schedule, folder: Folder = None) -> dict[str, Any]:
    """A schedule as plain data: mappings, lists, texts, numbers and flags.

    Every argument is written, also where it has its default (a later default does not change a stored run); only
    None is left out.

    Args:
        schedule: the schedule.
        folder: what the names of tables in files are relative to; None: the current folder.

    Raises:
        TypeError: no schedule, or one of a class that is not lrcore's.
        SpecError: (a ValueError) more than 50,000 nodes.

    Example:
        >>> from lrcore import Linear
        >>> to_dict(Linear(0.0, 0.1, "5ep"))
        {'lrcore': 1, 'type': 'Linear', 'init_value': 0.0, 'end_value': 0.1, 'steps': '5ep'}
    """
    base = Path.cwd() if folder is None else Path(folder).resolve()
    return {VERSION_KEY: VERSION, **_Writer(lambda table: _table_data(table, base)).node(schedule)}


class _Writer:
    """Writes nodes. What stands for the values of a table is left to a function."""

    def __init__(self, table: Callable[[Table], dict[str, Any]], *, origins: bool = True) -> None:
        self._table = table
        self._origins = origins
        self._nodes = 0

    def node(self, schedule: Schedule) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise SpecError([("", f"expected at most {MOST_NODES:,} schedules within one, got more")])
        if isinstance(schedule, Table) and type(schedule) in (Table, MappedTable):
            return {TYPE_KEY: Table.__name__, **self._origin(schedule), **self._table(schedule)}
        if isinstance(schedule, Deferred):
            name, arguments = schedule.recipe, dict(schedule.arguments)
        else:
            name = type(schedule).__name__
            if expression.NAMES.get(name) is not type(schedule):
                _check.refuse("schedule", "a schedule of lrcore's", schedule, TypeError)
            arguments = {key: getattr(schedule, key) for key in arguments_of(name)}
        if isinstance(schedule, compose.Sequence):
            arguments = {"parts": [self._part(item) for item in schedule.parts]}
        said = {key: self._plain(given) for key, given in arguments.items() if given is not None}
        return {TYPE_KEY: name, **self._origin(schedule), **said}

    def _origin(self, schedule: Schedule) -> dict[str, Any]:
        origin = schedule.origin if self._origins else None
        return {} if origin is None else {ORIGIN_KEY: origin.to_dict()}

    def _part(self, item: Any) -> dict[str, Any]:
        if isinstance(item, Schedule):
            return {"schedule": self.node(item)}
        return {"schedule": self.node(item[0]), "steps": item[1]}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Schedule):
            return self.node(value)
        return [self._plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _table_data(table: Table, folder: Path) -> dict[str, Any]:
    if isinstance(table, MappedTable):
        return {"values": {"file": _relative(Path(table.path), folder), "sha256": table.record.sha256}}
    values = np.asarray(table.values)
    dtype = {DTYPE_KEY: values.dtype.name} if values.dtype == np.float32 else {}
    return {**dtype, "values": values.tolist()}


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path.parent.resolve() / path.name, folder)).as_posix()
    except ValueError:  # on another drive
        _check.refuse("folder", f"one on the drive of the table {path}", str(folder))


def fingerprint(schedule: Schedule) -> str:
    """The SHA-256 of a schedule's canonical form, in hexadecimal digits: equal schedules have equal ones, everywhere.

    The canonical form is `to_dict` as JSON without spaces, keys in their order, numbers that are whole without a point;
    the values of a table are the SHA-256 of their float64 bytes, wherever they lie; origins are left out.

    Example:
        >>> from lrcore import Linear
        >>> fingerprint(Linear(0, 1, 10)) == fingerprint(Linear(0.0, 1.0, "10 updates"))
        True
    """
    import hashlib

    data = {VERSION_KEY: VERSION, **_Writer(_table_digest, origins=False).node(schedule)}
    text = json.dumps(_canonical(data), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _table_digest(table: Table) -> dict[str, Any]:
    import hashlib

    digest = hashlib.sha256()
    for at in range(0, len(table.values), tables.CHUNK):
        values: NDArray[Any] = np.asarray(table.values[at : at + tables.CHUNK])
        digest.update((values.astype("<f8") + 0.0).data)  # -0.0 is 0.0
    start = {"start": table.start} if isinstance(table, MappedTable) and table.start else {}
    return {"values": {"length": len(table.values), "sha256": digest.hexdigest()}, **start}


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _check.END_OF_STEPS:
        return int(value)
    return value


# ---- Reading ----


def from_dict(data: Mapping[str, Any], folder: Folder = None) -> Schedule:
    """The schedule that plain data describe: the inverse of `to_dict`.

    Args:
        data: any mapping, its lists any sequences (those of Hydra, too).
        folder: what the names of tables in files are relative to; None: the current folder.

    Raises:
        SpecError: (a ValueError) all that is wrong with them, each with its path.
        OSError, ImportError: a table cannot be read, or not without pyarrow.

    Example:
        >>> from_dict({"type": "Scale", "schedule": {"type": "Linear", "init_value": 1, "end_value": 0, "steps": 10},
        ...            "factor": 0.1})(5)
        0.05
    """
    return _read(data, Path.cwd() if folder is None else Path(folder).resolve(), "")


def _read(data: Any, folder: Path, source: str) -> Schedule:
    found, errors = _specreader.read(data, folder)
    if found is None:
        raise SpecError(errors, source)
    return found
