"""Files that appear whole or not at all.

A file is written beside its target, in the same folder and so on the same disk, and renamed over it once
every byte is on the disk. Whatever ends the writing before that (an exception, Ctrl-C, a full disk, a kill, a
power cut) leaves the target as it was. Only a kill or a power cut can leave the unfinished
`<name>.<digits>.partial`, which may be deleted.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def target_of(path: str | os.PathLike[str]) -> Path:
    """Where a file of that name is put: where a link points, as an ordinary write through it would."""
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected the name of a file, this is a folder", str(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {target.parent}: create it first", str(path))
    return target


def check_space(target: Path, size: int) -> None:
    """Refuses what cannot fit, before time is spent on it. A table that is replaced stays until the end."""
    free = shutil.disk_usage(target.parent).free
    if size > free:
        raise OSError(errno.ENOSPC, f"the table needs {gigabytes(size)}, and {gigabytes(free)} are free", str(target))


def gigabytes(size: int) -> str:
    return f"{size / 1e9:,.3f} GB"


@contextmanager
def beside(target: Path) -> Iterator[BinaryIO]:
    """A new file beside the target, which is gone at the end unless it was put in the place of the target."""
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            yield file
    finally:
        partial.unlink(missing_ok=True)


def settle(file: BinaryIO) -> None:
    """Closes a file once all of it is on the disk: only then may it replace another."""
    file.flush()
    os.fsync(file.fileno())
    file.close()


def put(file: BinaryIO, target: Path) -> None:
    """Renames a settled file over the target, and waits for the disk, so that renames keep their order."""
    Path(file.name).replace(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
