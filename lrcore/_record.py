"""What travels with a table on disk: which schedule it holds, which steps, and the SHA-256 of the values.

The same fields stand in each format: in the metadata of `.safetensors` and `.parquet`, in the JSON file beside
`.npy`. A checksum over them makes a changed byte of the record as visible as one of the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from os import PathLike
from typing import Any, NamedTuple, NoReturn

from lrcore._check import END_OF_STEPS

FORMAT_VERSION = "1"
LONGEST_SPEC = 1 << 20  # characters; only a schedule made of long lists is longer, and then its digest stands for it
ITEM_SIZES = {"float32": 4, "float64": 8}

_MARK = "lrcore.table"  # holds the version of the format, and tells our metadata from that of others
_CHECKSUM = "lrcore.checksum"


class TableError(ValueError):
    """A file that is no table of lrcore's, that is damaged, or that holds another schedule than the wanted one."""


def refuse(path: str | PathLike[str], expected: str, found: str, advice: str) -> NoReturn:
    """Raises TableError with what a user needs: which file, what it should hold, what it holds, what to do."""
    raise TableError(f"{path}: expected {expected}, found {found}: {advice}")


WRITE_AGAIN = "write the table again"
BRING_VALUES = "lrcore opens only tables that it wrote; for other files: Table(values)"


class Record(NamedTuple):
    """The metadata of a table.

    Attributes:
        schedule: the expression that builds the schedule (its `repr`), or "sha256:..." of one longer than
            LONGEST_SPEC.
        dtype: "float64" or "float32".
        start: the step of the first value.
        length: how many values.
        sha256: of the values as little-endian bytes.
        version: of the lrcore that wrote the table.
    """

    schedule: str
    dtype: str
    start: int
    length: int
    sha256: str
    version: str

    @property
    def nbytes(self) -> int:
        return self.length * ITEM_SIZES[self.dtype]

    def fields(self) -> dict[str, str]:
        """The record as the strings that are written."""
        fields = {_MARK: FORMAT_VERSION}
        fields.update({f"lrcore.{name}": str(value) for name, value in self._asdict().items()})
        fields[_CHECKSUM] = _checksum(fields)
        return fields


def record_of(path: str | PathLike[str], fields: Mapping[str, Any] | None) -> Record:
    """The record among the metadata of a file, checked.

    Raises:
        TableError: no such record, one of a newer format, or a damaged one.
    """
    if fields is None or not isinstance(fields.get(_MARK), str):
        refuse(path, f"metadata with {_MARK!r}", "none", BRING_VALUES)
    if fields[_MARK] != FORMAT_VERSION:
        refuse(path, f"format version {FORMAT_VERSION}", repr(fields[_MARK]), "update lrcore to open it")
    ours = {name: fields.get(name) for name in Record("", "float64", 0, 0, "", "").fields()}
    missing = [name for name, value in ours.items() if not isinstance(value, str)]
    if missing:
        refuse(path, f"metadata with {missing[0]!r}", "none", WRITE_AGAIN)
    texts = {name: str(value) for name, value in ours.items()}
    if texts[_CHECKSUM] != _checksum(texts):
        refuse(path, f"metadata with checksum {texts[_CHECKSUM]}", _checksum(texts), f"it was changed, {WRITE_AGAIN}")
    return _checked(path, {name.removeprefix("lrcore."): text for name, text in texts.items()})


def _checked(path: str | PathLike[str], texts: dict[str, str]) -> Record:
    """The record that these texts say. The checksum was right, so what is wrong here was written wrong."""
    if texts["dtype"] not in ITEM_SIZES:
        refuse(path, "dtype float64 or float32", texts["dtype"], WRITE_AGAIN)
    for name in ("start", "length"):
        if not texts[name].isdecimal() or not texts[name].isascii() or len(texts[name]) > 16:
            refuse(path, f"a whole number as {name}", repr(texts[name]), WRITE_AGAIN)
    start, length = int(texts["start"]), int(texts["length"])
    if length < 1 or start + length > END_OF_STEPS:
        refuse(path, "at least one step, all below 2**53", f"start {start} and length {length}", WRITE_AGAIN)
    if len(texts["sha256"]) != 64 or set(texts["sha256"]) - set("0123456789abcdef"):
        refuse(path, "64 hexadecimal digits as sha256", repr(texts["sha256"]), WRITE_AGAIN)
    return Record(texts["schedule"], texts["dtype"], start, length, texts["sha256"], texts["version"])


def _checksum(fields: Mapping[str, str]) -> str:
    import hashlib  # a few milliseconds that `import lrcore` need not pay

    lines = [f"{name}={text}" for name, text in fields.items() if name != _CHECKSUM]
    return hashlib.sha256("\n".join(sorted(lines)).encode(errors="surrogatepass")).hexdigest()


def spec_of(schedule: object) -> str:
    """What a record says of a schedule: its `repr`, or the digest of one that is too long to travel along."""
    text = repr(schedule)
    if len(text) <= LONGEST_SPEC:
        return text
    import hashlib

    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def check_same_schedule(path: str | PathLike[str], record: Record, schedule: object) -> None:
    """Refuses a table of another schedule than the one that is expected."""
    wanted = spec_of(schedule)
    if wanted != record.schedule:
        expected, found = _where_they_differ(wanted, record.schedule)
        advice = "open the right one, or write this one again"
        refuse(path, f"a table of {expected}", f"a table of another schedule, {found}", advice)


def _where_they_differ(first: str, second: str, width: int = 160) -> tuple[str, str]:
    """Both texts, long ones cut to the place where they begin to differ."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    begin = max(0, same - width // 2) if max(len(first), len(second)) > width else 0
    return _cut(first, begin, width), _cut(second, begin, width)


def _cut(text: str, begin: int, width: int) -> str:
    return f"{'...' if begin else ''}{text[begin : begin + width]}{'...' if len(text) > begin + width else ''}"
