"""How others compute the same numbers, each in the fastest way that we found for it, set up once and then called.

Every peer is spared what it can be spared: no clamp after the end of the schedule, its input there already, memory
that has been touched, compiled before the clock runs. All are held to one thread.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

# 512 KiB of values: what one pass leaves is in the cache for the next. Whole arrays, and smaller blocks, are
# slower.
BLOCK = 1 << 16


def on_first_call(make: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
    """A peer that is imported, compiled and given its memory when it is first called."""
    made = functools.cache(make)

    def call() -> Any:
        return made()()

    return call


def _half_wave(init: float, end: float) -> tuple[float, float]:
    return (init + end) / 2, (init - end) / 2


def _blocks(size: int, block: int = BLOCK) -> list[slice]:
    return [slice(at, at + block) for at in range(0, size, block)]


def single_threaded_jax() -> Any:
    """XLA makes as many threads as the process may use cores when its CPU client is created, and never more."""
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
    else:
        allowed = None
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    jax.numpy.zeros(1).block_until_ready()
    if allowed is not None:
        os.sched_setaffinity(0, allowed)
    return jax


# ---- Scattered steps: a new array for each call, as ours ----


def _cosine_into(steps: Steps, begin: int, length: int, init: float, end: float, out: Floats) -> None:
    middle, height = _half_wave(init, end)
    np.subtract(steps, begin, out=out, casting="unsafe")
    np.multiply(out, np.pi / length, out=out)
    np.cos(out, out=out)
    np.multiply(out, height, out=out)
    np.add(out, middle, out=out)


def numpy_cosine_at(steps: Steps, init: float, end: float, length: int) -> Floats:
    out = np.empty(steps.size)
    for block in _blocks(steps.size):
        _cosine_into(steps[block], 0, length, init, end, out[block])
    return out


def numpy_warmup_cosine_at(steps: Steps, peak: float, end: float, warmup: int, length: int) -> Floats:
    """The cosine, continued to the left, lies above the rise: the lower of both needs no mask (1 ns more)."""
    out, rise = np.empty(steps.size), np.empty(BLOCK)
    for block in _blocks(steps.size):
        part, low = out[block], rise[: out[block].size]
        _cosine_into(steps[block], warmup, length - warmup, peak, end, part)
        np.multiply(steps[block], peak / warmup, out=low)
        np.minimum(part, low, out=part)
    return out


def numpy_pieces_at(steps: Steps, boundaries: Steps, values: Floats) -> Floats:
    """Sorted by blocks: a search for steps in order predicts its branches (41 against 65 ns a value)."""
    out = np.empty(steps.size)
    for block in _blocks(steps.size, 1 << 15):
        part = steps[block]
        order = np.argsort(part)
        out[block][order] = values.take(np.searchsorted(boundaries, part[order], side="right"))
    return out


# ---- Smoothing ----


def scipy_smooth(losses: Floats, beta: float) -> Floats:
    from scipy.signal import lfilter

    return lfilter([1.0 - beta], [1.0, -beta], losses)


def pandas_smooth(losses: Floats, beta: float) -> Floats:
    import pandas

    return pandas.Series(losses, copy=False).ewm(alpha=1.0 - beta, adjust=True).mean().to_numpy()
