"""Files that appear whole or not at all.

A file is written beside the one that it will replace, in the same folder and so on the same disk, and renamed
over it once every byte is on the disk. Whatever ends the writing before that (an exception, Ctrl-C, a full disk, a
kill, a power cut) leaves the older one as it was. Only a kill or a power cut can leave an unfinished
`<name>.<digits>.partial`, which may be deleted. Links are followed, as an ordinary write would follow them.
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


def check_room(path: Path, size: int) -> None:
    """Refuses what cannot be put there, before time is spent on it. The older file stays until the end, so counts."""
    folder = path.resolve().parent
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected the name of a file, this is a folder", str(path))
    if path.exists() and not path.is_file():  # a rename would put a file in the place of a device or a pipe
        raise FileExistsError(errno.EEXIST, "expected the name of a file, this is none", str(path))
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder}: create it first", str(path))
    free = shutil.disk_usage(folder).free
    if size > free:
        needs = f"the file needs {size / 1e9:,.3f} GB, and {free / 1e9:,.3f} GB are free"
        raise OSError(errno.ENOSPC, needs, str(path))


@contextmanager
def beside(path: Path) -> Iterator[BinaryIO]:
    """A new file beside the one of that name, gone at the end unless it was put in its place."""
    target = path.resolve()
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


def put(file: BinaryIO, path: Path) -> None:
    """Renames a settled file, and waits until the disk has that too, so that renames keep their order."""
    target = path.resolve()
    Path(file.name).replace(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
