"""Tables on disk: a schedule's values for steps start, start + 1, ..., written once and mapped back in no time.

The format follows the name of the file. `.npy` and `.safetensors` hold the plain values, are mapped without a copy and
need no package beside numpy; `.parquet` is compressed, is read into memory and needs pyarrow. The schedule, the steps
and the SHA-256 of the values travel along: in the file, or for `.npy` beside it as `<name>.npy.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from itertools import cycle
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lrcore import _check
from lrcore._check import END_OF_STEPS
from lrcore._record import Record, TableError, check_same_schedule, refuse, spec_of
from lrcore._rows import Rows, is_whole, rounded, row, scaled
from lrcore.curves import Table
from lrcore.schedule import Schedule

if TYPE_CHECKING:
    from lrcore._tablefiles import Writer

__all__ = ["MappedTable", "Record", "TableError", "open_table", "save_table"]

CHUNK = 1 << 20  # steps that are held in memory at a time: 8 MiB of float64
LEAST_PART = 1 << 16  # steps for which a thread is worth waking
LONG = 1 << 26  # steps from which on a write takes seconds, and shows its progress on a terminal


def save_table(
    schedule: Schedule,
    path: str | PathLike[str],
    n: int,
    *,
    start: int = 0,
    dtype: DTypeLike = "float64",
    threads: int = 1,
    progress: bool | None = None,
) -> Record:
    """Writes the values of the steps start, start + 1, ..., start + n - 1 to a file.

    The memory needed does not depend on n. The file is written beside its target and renamed over it, so a table of
    that name stays whole until the new one is, whatever happens; only a kill can leave an unfinished
    `<name>.<digits>.partial`, which may be deleted. The same schedule gives the same bytes, for any number of threads.

    Args:
        schedule: the schedule.
        path: a name that ends in `.npy`, `.safetensors` or `.parquet`, in a folder that exists.
        n: how many values, >= 1; `start + n` may not exceed 2**53.
        start: the first step.
        dtype: "float64", or "float32", which is the float64 value rounded once.
        threads: how many threads compute, hash and write. Two overlap these; more help costly schedules.
        progress: show a progress bar (needs tqdm). None: on a terminal, for long writes, if tqdm is there.

    Returns:
        The metadata of the table, its SHA-256 among them.

    Raises:
        TypeError, ValueError: an argument outside of what is said above.
        OSError: no such folder, no permission, not enough space.
        ImportError: `.parquet` without pyarrow, `progress=True` without tqdm.

    Also known as: `numpy.save` of an array that need not fit into memory.

    Example:
        >>> import tempfile
        >>> from lrcore import Cosine
        >>> folder = tempfile.TemporaryDirectory()
        >>> record = save_table(Cosine(0.1, 0.0, 1000), f"{folder.name}/cosine.npy", 1000)
        >>> record.schedule
        'Cosine(init_value=0.1, end_value=0.0, steps=1000)'
        >>> table = open_table(f"{folder.name}/cosine.npy")
        >>> table(0), len(table.values), table.schedule == Cosine(0.1, 0.0, 1000)
        (0.1, 1000, True)
        >>> folder.cleanup()
    """
    from lrcore import _progress, _replace, _tablefiles

    if not isinstance(schedule, Schedule):
        _check.refuse("schedule", "a schedule", schedule, TypeError)
    suffix = _tablefiles.suffix_of(path)
    kept = schedule.table(0, start=start, dtype=dtype, threads=threads).dtype  # makes table's own checks first
    n = _check.whole(1, END_OF_STEPS - start, "a number of steps")("n", n)
    if progress is not None and not isinstance(progress, bool):
        _check.refuse("progress", "True, False or None", progress, TypeError)
    asked = Path(path)
    empty = Record(spec_of(schedule), kept.name, int(start), n, "0" * 64, _version())
    _replace.check_room(asked, empty.nbytes)
    bar = _progress.progress(progress, n, asked.name, "steps", is_long=n >= LONG, unit_scale=True)
    try:
        with bar as advance, _replace.beside(asked) as file:
            writer = _tablefiles.WRITERS[suffix](file, empty)
            try:
                record = empty._replace(sha256=_write(schedule, empty, writer, threads, advance))
                writer.finish(record)
                writer.put_in_place(asked)
            except BaseException:
                writer.abandon()
                raise
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror or error}; the table was not written", str(path)) from error
    return record


def _version() -> str:
    from lrcore import __version__

    return __version__


# ---- Writing ----

Submit = Callable[..., Callable[[], object]]


def _write(schedule: Schedule, record: Record, writer: Writer, threads: int, advance: Callable[[int], object]) -> str:
    """Fills, hashes and writes chunk after chunk; returns the SHA-256.

    With more threads than one, a chunk is filled while the one before it is hashed and written, each by a thread.
    """
    import hashlib

    digest = hashlib.sha256()
    buffers = [np.empty(min(record.length, CHUNK), record.dtype) for _ in range(min(threads, 2))]
    pending: list[Callable[[], object]] = []
    with _workers(threads) as submit:
        for at, buffer in zip(range(0, record.length, CHUNK), cycle(buffers), strict=False):
            values = buffer[: record.length - at]
            _wait([submit(_fill, schedule, record.start + at + begin, part) for begin, part in _parts(values, threads)])
            _wait(pending)
            stored = values.astype(values.dtype.newbyteorder("<"), copy=False)
            pending = [submit(digest.update, stored.data), submit(writer.add, stored)]
            advance(len(values))
        _wait(pending)
    return digest.hexdigest()


def _fill(schedule: Schedule, start: int, out: NDArray[Any]) -> None:
    schedule.table(len(out), start, out=out)


def _parts(values: NDArray[Any], threads: int) -> Iterator[tuple[int, NDArray[Any]]]:
    size = max(-(-len(values) // threads), LEAST_PART)
    for begin in range(0, len(values), size):
        yield begin, values[begin : begin + size]


def _wait(results: Iterable[Callable[[], object]]) -> None:
    for result in results:
        result()


@contextmanager
def _workers(threads: int) -> Iterator[Submit]:
    """How to have something done: at once, or by one of some threads."""
    if threads == 1:
        yield _at_once
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        yield lambda work, *arguments: pool.submit(work, *arguments).result


def _at_once(work: Callable[..., object], *arguments: object) -> Callable[[], object]:
    result = work(*arguments)
    return lambda: result


# ---- Reading ----


class MappedTable(Table):
    """A table in a file, as `open_table` gives it: a schedule like any other.

    `values[clip(t - start, 0, len(values) - 1)]`

    For each step that the table covers it has the value of the schedule that was saved; before the first it holds the
    first value, as `shift` does, and after the last it holds the last.

    Attributes:
        values: the array, read-only; of `.npy` and `.safetensors` it is the file itself.
        path: the file, as an absolute path.
        record: its metadata.

    It is equal to a `Table` of the same values at the same steps. It is pickled as its path and SHA-256: the file has
    to be there, unchanged, where it is unpickled.
    """

    __slots__ = ("path", "record")

    path: str
    record: Record
    values: NDArray[Any]

    def __init__(self, path: str, record: Record, values: NDArray[Any]) -> None:
        depth = 1 + (record.start > 0)
        slots = {"path": path, "record": record, "values": values, "_depth": depth, "_is_late": False}
        for name, value in slots.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    @property
    def start(self) -> int:
        """The step of the first value."""
        return self.record.start

    @property
    def spec(self) -> str:
        """The expression of the schedule that was saved."""
        return self.record.schedule

    @property
    def schedule(self) -> Schedule:
        """The schedule that was saved.

        Raises:
            ValueError: its expression is longer than a record may be, or it is no expression of `lrcore.expression`.
        """
        if self.spec.startswith("sha256:"):
            refuse(self.path, "the expression of its schedule", self.spec, "it was too long to be saved with the table")
        from lrcore import expression

        return expression.parse(self.spec)

    def _lower(self, rows: Rows) -> int:
        place = row(rows, "TABLE", data=self.values)
        return row(rows, "SHIFT", span=-self.start, children=[place]) if self.start else place

    def _length(self, scale: float) -> int:
        return scaled(len(self.values), scale) + scaled(self.start, scale)

    def _rounded_durations(self, factor: float) -> Iterator[str]:
        exact = self.start * factor
        if not is_whole(exact):
            yield f"MappedTable.start {self.start} to {rounded(exact)} ({exact:.12g})"
        yield from Table._rounded_durations(self, factor)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        other_start = other.start if isinstance(other, MappedTable) else 0
        return self.start == other_start and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((Table.__hash__(self), self.start)) if self.start else Table.__hash__(self)

    def __repr__(self) -> str:
        return f"open_table({self.path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.path, self.record.sha256)


def _reopened(path: str, sha256: str) -> MappedTable:
    """A pickled table. Its values are not hashed again: many processes may unpickle the same file."""
    table = open_table(path, verify=False)
    if table.record.sha256 != sha256:
        refuse(path, f"values with SHA-256 {sha256}", table.record.sha256, "the file was replaced since it was pickled")
    return table


def open_table(path: str | PathLike[str], schedule: Schedule | None = None, verify: bool = True) -> MappedTable:
    """A table that was saved, as a schedule; `.npy` and `.safetensors` are mapped, not read into memory.

    For each step that the table covers it has the value of the schedule that was saved, also if it does not begin with
    step 0: `open_table(path)(t) == schedule(t)` for `start <= t < start + n`. Before that it holds the first value and
    after it the last.

    Args:
        path: the file. For `.npy` the metadata are beside it, in `<name>.npy.json`.
        schedule: what the table has to be of. Another one is refused.
        verify: compare the SHA-256 of the values, which takes a second or two for each GB. Without it a changed value
            goes unnoticed; everything else is checked all the same.

    Raises:
        FileNotFoundError: no such file.
        TableError: (a ValueError) a file that is cut off or changed, without its metadata or with those of another, of
            another schedule, or not written by lrcore.
        TypeError: `schedule` is none.
        ImportError: `.parquet` without pyarrow.

    Also known as: `numpy.load(path, mmap_mode="r")`, checked.

    Example:
        >>> import tempfile
        >>> from lrcore import Linear
        >>> folder = tempfile.TemporaryDirectory()
        >>> linear = Linear(1.0, 0.0, 100)
        >>> record = linear.save_table(f"{folder.name}/late.safetensors", 50, start=40)
        >>> table = open_table(f"{folder.name}/late.safetensors", schedule=linear)
        >>> table(60), table.start, table.length
        (0.4, 40, 90)
        >>> table.schedule == linear
        True
        >>> folder.cleanup()
    """
    from lrcore import _tablefiles

    if schedule is not None and not isinstance(schedule, Schedule):
        _check.refuse("schedule", "a schedule or None", schedule, TypeError)
    suffix = _tablefiles.suffix_of(path)
    found = Path(path).absolute()
    if found.is_dir():
        refuse(found, "a table", "a folder", "name a file in it")
    record, values = _tablefiles.OPENERS[suffix](found, verify)
    if schedule is not None:
        check_same_schedule(found, record, schedule)
    return MappedTable(str(found), record, values)
