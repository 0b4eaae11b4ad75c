"""Progress bars, of tqdm where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(
    wanted: bool | None, total: int, name: str, unit: str, *, is_long: bool = True, **options: Any
) -> Iterator[Callable[[int], object]]:
    """What to call with numbers of what is done: a bar, or nothing.

    Args:
        wanted: whether there is one; None: on a terminal, if tqdm is there and it takes long.
        total: of how many.
        name: what stands before the bar.
        unit: what is counted.
        is_long: whether it takes long enough to look at.
        **options: what else tqdm takes.

    Raises:
        ImportError: wanted, but tqdm is not installed.
    """
    bar = _bar(wanted, is_long)
    if bar is None:
        yield lambda _: None
        return
    with bar(total=total, desc=name, unit=f" {unit}", **options) as shown:
        yield shown.update


def _bar(wanted: bool | None, is_long: bool) -> Any:
    if wanted is None and not (is_long and sys.stderr is not None and sys.stderr.isatty()):
        return None
    if wanted is False:
        return None
    try:
        from tqdm import tqdm
    except ImportError as error:
        if wanted:
            raise ImportError("progress=True needs tqdm: pip install 'lrcore[tables]'") from error
        return None
    return tqdm
