"""A table in memory: the array that it goes to, and the threads that fill it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lrcore import _check
from lrcore._engine import Program

THREAD_TILE = 1 << 20  # steps that a thread takes at a time: about a millisecond of work


def output(n: int, dtype: DTypeLike | None, out: NDArray[Any] | None) -> NDArray[Any]:
    if out is None:
        return np.empty(n, _table_dtype(np.float64 if dtype is None else dtype))
    if not isinstance(out, np.ndarray):
        _check.refuse("out", "a numpy array", out, TypeError)
    wanted = _table_dtype(out.dtype if dtype is None else dtype)
    if out.dtype != wanted or out.shape != (n,):
        raise ValueError(f"out: expected shape ({n},) and dtype {wanted}, got {out.shape} and {out.dtype}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError("out: expected a C-contiguous, aligned and writable array")
    return out


def _table_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = None
    if known is None or known not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise ValueError(f"dtype: expected 'float64' or 'float32', got {_check.shown(dtype)}")
    return known


def fill_by_threads(program: Program, start: int, out: NDArray[Any], threads: int) -> None:
    """Threads take tiles in turn until none is left; on an exception (Ctrl-C too) each stops after its tile."""
    tiles = iter(range(0, out.size, THREAD_TILE))
    stopped = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for at in tiles:
                if stopped.is_set():
                    return
                program.fill(start + at, out[at : at + THREAD_TILE])
        except BaseException as error:
            stopped.set()
            errors.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(threads - 1)]
    try:
        for helper in helpers:
            helper.start()
        work()
    except BaseException:
        stopped.set()
        raise
    finally:
        for helper in helpers:
            if helper.ident is not None:
                helper.join()
    if errors:
        raise errors[0]
