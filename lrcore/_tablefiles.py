"""The three formats of tables: how each is written in chunks, put in place, and read back.

(a) Chunks are written one after another, not through a memory map: pages of a map count as memory of the
    process, and a full disk would kill it (SIGBUS) instead of raising.
(b) The SHA-256 is known only after the last value. `.npy` has it beside the values, `.parquet` in its footer; the
    header of `.safetensors` is written twice, first with zeros in its place.
(c) `.npy` needs two files. While one table replaces another, its sidecar names both: `put_in_place` puts the
    sidecar with the new record and the old one, then the values, then the sidecar with the new record alone. After
    a crash at any point the values match one of the records that stand there, and the reader finds which, by their
    SHA-256.
(d) Values are hashed and mapped through one open file, so that a table which is replaced meanwhile does no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lrcore import _check
from lrcore._record import BRING_VALUES, WRITE_AGAIN, Record, TableError, record_of, refuse
from lrcore._replace import beside, put, settle

NAME = "values"  # of the tensor and of the column
LONGEST_HEADER = 1 << 23  # bytes; the spec is bounded, so an honest header is far shorter
READ_BYTES = 1 << 21

Opened = tuple[Record, NDArray[Any]]


def wire_dtype(dtype: str) -> np.dtype[Any]:
    """How values stand in files: little-endian, whatever the machine."""
    return np.dtype(dtype).newbyteorder("<")


class Writer:
    """One table on its way into a file that stands beside its target."""

    def __init__(self, file: BinaryIO, empty: Record) -> None:
        """Begins the file. `empty` is the record but for the SHA-256."""
        self.file = file
        self.record = empty

    def abandon(self) -> None:
        """Leaves the file as it is, unfinished."""

    def add(self, values: NDArray[Any]) -> None:
        """Writes the next values, in the byte order of files."""
        self.file.write(values.data)

    def finish(self, record: Record) -> None:
        """Writes what is known only after the last value."""
        self.record = record

    def put_in_place(self, path: Path) -> None:
        """Gives the file the name that was asked for; the older table of that name stood until now."""
        settle(self.file)
        put(self.file, path)


# ---- .npy ----


class NpyWriter(Writer):
    def __init__(self, file: BinaryIO, empty: Record) -> None:
        super().__init__(file, empty)
        header = npy_header(empty)
        file.write(header)
        file.truncate(len(header) + empty.nbytes)  # a limit on the size of files is met here, not after minutes

    def put_in_place(self, path: Path) -> None:
        sidecar = sidecar_of(path)
        with beside(sidecar) as during, beside(sidecar) as after:
            during.write(_sidecar_text([self.record, *_older_records(path)], settled=False))
            after.write(_sidecar_text([self.record], settled=True))
            for file in (self.file, during, after):
                settle(file)
            put(during, sidecar)
            put(self.file, path)
            put(after, sidecar)


def npy_header(record: Record) -> bytes:
    """The header that `numpy.save` writes, and the only one accepted: it leaves nothing open."""
    shape = f"{{'descr': '{wire_dtype(record.dtype).str}', 'fortran_order': False, 'shape': ({record.length},), }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + shape.encode().ljust(117) + b"\n"


def sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


_REPLACED = "lrcore.replaced"  # in a sidecar: the records of which one holds until the replacement is complete


def _sidecar_text(records: list[Record], *, settled: bool) -> bytes:
    fields: dict[str, Any] = records[0].fields()
    if not settled:
        fields[_REPLACED] = [record.fields() for record in records[1:]]
    return json.dumps(fields, indent=1).encode() + b"\n"


def _read_sidecar(path: Path) -> tuple[list[Record], bool]:
    """The records that may be that of the values, and whether the first of them is."""
    sidecar = sidecar_of(path)
    try:
        text = sidecar.read_bytes()
    except FileNotFoundError:
        refuse(path, f"its metadata beside it, in {sidecar.name}", "none", f"copy that along; {BRING_VALUES}")
    fields = _json_object(sidecar, text)
    older = fields.get(_REPLACED, [])
    if not isinstance(older, list) or not all(isinstance(item, dict) for item in older):
        refuse(sidecar, f"a list of records as {_REPLACED!r}", _check.shown(older), WRITE_AGAIN)
    return [record_of(sidecar, item) for item in (fields, *older)], _REPLACED not in fields


def _older_records(path: Path) -> list[Record]:
    with contextlib.suppress(OSError, TableError):
        return _read_sidecar(path)[0]
    return []


def open_npy(path: Path, verify: bool) -> Opened:
    with path.open("rb") as file:
        records, settled = _read_sidecar(path)
        if settled:
            return records[0], _mapped_npy(path, file, records[0], verify)
        return _interrupted(path, file, records)


def _interrupted(path: Path, file: BinaryIO, records: list[Record]) -> Opened:
    """The table of which the replacement was cut off: the old one or the new one, so the values are always hashed."""
    for record in records[1:]:
        with contextlib.suppress(TableError):
            return record, _mapped_npy(path, file, record, True)
    return records[0], _mapped_npy(path, file, records[0], True)


def _mapped_npy(path: Path, file: BinaryIO, record: Record, verify: bool) -> NDArray[Any]:
    header = npy_header(record)
    file.seek(0)
    found = file.read(len(header))
    if found != header:
        refuse(path, _described(record), _describe_npy(file, found), f"it was changed, {WRITE_AGAIN}")
    return _mapped(path, file, len(header), record, verify)


def _described(record: Record) -> str:
    return f"{record.dtype} values of shape ({record.length},)"


def _describe_npy(file: BinaryIO, head: bytes) -> str:
    """What the header of another .npy says; of what is none, numpy raises whatever its parsers do."""
    import warnings

    file.seek(0)
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        if np.lib.format.read_magic(file) == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            return f"{dtype} values of shape {shape}{' in Fortran order' if fortran else ''}"
    return f"{len(head)} bytes that are no .npy header of version 1.0"


# ---- .safetensors: a length of 8 bytes, so much JSON, the values ----


class SafetensorsWriter(Writer):
    def __init__(self, file: BinaryIO, empty: Record) -> None:
        super().__init__(file, empty)
        header = safetensors_header(empty)
        file.write(header)
        file.truncate(len(header) + empty.nbytes)

    def finish(self, record: Record) -> None:
        super().finish(record)
        self.file.seek(0)
        self.file.write(safetensors_header(record))


def safetensors_header(record: Record) -> bytes:
    text = json.dumps({"__metadata__": record.fields(), NAME: _tensor(record)}, separators=(",", ":"))
    padded = text.encode().ljust(-(-len(text) // 8) * 8)  # so that the values are aligned in a map
    return struct.pack("<Q", len(padded)) + padded


def _tensor(record: Record) -> dict[str, Any]:
    kind = {"float64": "F64", "float32": "F32"}[record.dtype]
    return {"dtype": kind, "shape": [record.length], "data_offsets": [0, record.nbytes]}


def open_safetensors(path: Path, verify: bool) -> Opened:
    with path.open("rb") as file:
        header, offset = _safetensors_header(path, file)
        metadata = header.pop("__metadata__", None)
        record = record_of(path, metadata if isinstance(metadata, dict) else None)
        if header != {NAME: _tensor(record)}:
            refuse(path, str({NAME: _tensor(record)}), _check.shown(header), f"it was changed, {WRITE_AGAIN}")
        if offset % wire_dtype(record.dtype).itemsize:
            refuse(path, "aligned values", f"values from byte {offset} on", WRITE_AGAIN)
        return record, _mapped(path, file, offset, record, verify)


def _safetensors_header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    begin = file.read(8)
    size = int.from_bytes(begin, "little")
    if len(begin) < 8 or size > LONGEST_HEADER:
        refuse(path, "the header of a .safetensors file", f"{begin!r} as its length", f"it is damaged; {BRING_VALUES}")
    text = file.read(size)
    if len(text) < size:
        refuse(path, f"a header of {size} bytes", f"{len(text)}", f"it is cut off, {WRITE_AGAIN}")
    return _json_object(path, text), 8 + size


def _json_object(path: Path, text: bytes) -> dict[str, Any]:
    found = None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text)
    if not isinstance(found, dict):
        refuse(path, "a JSON object", _check.shown(text[:60]), f"it is damaged; {BRING_VALUES}")
    return found


# ---- What .npy and .safetensors share: values as they are in memory, from an offset to the end ----


def _mapped(path: Path, file: BinaryIO, offset: int, record: Record, verify: bool) -> NDArray[Any]:
    expected, found = offset + record.nbytes, os.fstat(file.fileno()).st_size
    if found != expected:
        cut = "cut off" if found < expected else "too long"
        refuse(path, f"{expected} bytes", f"{found}", f"it is {cut}, {WRITE_AGAIN}")
    if verify:
        _check_digest(path, record, _digest(file, offset))
    values = np.memmap(file, wire_dtype(record.dtype), "r", offset, (record.length,))
    return values.view(np.ndarray)


def _digest(file: BinaryIO, offset: int) -> str:
    """The SHA-256 from the offset on. Read, not mapped: pages of a map would count as memory of the process."""
    digest, room = hashlib.sha256(), memoryview(bytearray(READ_BYTES))
    file.seek(offset)
    while count := file.readinto(room):  # type: ignore[attr-defined]  # BinaryIO leaves out what open() gives
        digest.update(room[:count])
    return digest.hexdigest()


def _check_digest(path: Path, record: Record, found: str) -> None:
    if found != record.sha256:
        why = "they were changed, or the metadata is that of another table"
        refuse(path, f"values with SHA-256 {record.sha256}", found, f"{why}: {WRITE_AGAIN}")


# ---- .parquet ----


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(".parquet needs pyarrow: pip install 'lrcore[tables]'") from error
    return pyarrow, pyarrow.parquet


class ParquetWriter(Writer):
    """One row group a chunk. The bytes of the values are grouped by their place, which halves a smooth curve
    under zstd."""

    def __init__(self, file: BinaryIO, empty: Record) -> None:
        super().__init__(file, empty)
        self._arrow, parquet = _pyarrow()
        column = self._arrow.field(NAME, self._arrow.from_numpy_dtype(np.dtype(empty.dtype)), nullable=False)
        self._schema = self._arrow.schema([column])
        self._writer = parquet.ParquetWriter(
            file, self._schema, compression="zstd", use_dictionary=False, use_byte_stream_split=True
        )

    def add(self, values: NDArray[Any]) -> None:
        column = self._arrow.array(values)
        self._writer.write_table(self._arrow.Table.from_arrays([column], schema=self._schema), len(values))

    def abandon(self) -> None:
        self._writer.is_open = False  # or it would write its footer into the closed file when it is collected

    def finish(self, record: Record) -> None:
        super().finish(record)
        self._writer.add_key_value_metadata(record.fields())
        self._writer.close()


def open_parquet(path: Path, verify: bool) -> Opened:
    arrow, parquet = _pyarrow()
    with path.open("rb") as file:
        try:
            return _read_parquet(path, parquet.ParquetFile(file), verify)
        except TableError:
            raise
        except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
            refuse(path, "a .parquet file", " ".join(str(error).split()), f"it is damaged; {BRING_VALUES}")


def _read_parquet(path: Path, file: Any, verify: bool) -> Opened:
    metadata = file.metadata.metadata or {}
    record = record_of(path, {name.decode(): text.decode() for name, text in metadata.items()})
    columns = ", ".join(f"{field.name}: {field.type}" for field in file.schema_arrow)
    kind = {"float64": "double", "float32": "float"}[record.dtype]
    if columns != f"{NAME}: {kind}" or file.metadata.num_rows != record.length:
        found = f"{file.metadata.num_rows} rows of {columns}"
        refuse(path, f"{record.length} rows of {NAME}: {kind}", found, f"it was changed, {WRITE_AGAIN}")
    values = _column(path, file, record)
    if verify:
        _check_digest(path, record, hashlib.sha256(values.data).hexdigest())
    values.flags.writeable = False
    return record, values


def _column(path: Path, file: Any, record: Record) -> NDArray[Any]:
    values = np.empty(record.length, wire_dtype(record.dtype))
    done = 0
    for group in range(file.num_row_groups):
        part = file.read_row_group(group, use_threads=False).column(0).to_numpy()
        values[done : done + len(part)] = part
        done += len(part)
    if done != record.length:
        refuse(path, _described(record), f"{done} values", f"it is damaged, {WRITE_AGAIN}")
    return values


# ---- By the name of the file ----

WRITERS: dict[str, type[Writer]] = {
    ".npy": NpyWriter,
    ".safetensors": SafetensorsWriter,
    ".parquet": ParquetWriter,
}
OPENERS = {".npy": open_npy, ".safetensors": open_safetensors, ".parquet": open_parquet}


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The format that the name of a file asks for."""
    if not isinstance(path, (str, os.PathLike)):
        _check.refuse("path", "a path", path, TypeError)
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        found = f"{str(path)!r}{_check.did_you_mean(suffix, WRITERS)}"
        raise ValueError(f"path: expected a name that ends in .npy, .safetensors or .parquet, got {found}")
    return suffix
