"""How two runs are compared: steps between floats, the first place where they differ, a hash."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIGNED = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}


def _ordered(values: NDArray[Any]) -> list[int]:
    """Numbers by which floats are counted, 0.0 and -0.0 both at 0."""
    bits = values.view(SIGNED[values.dtype]).tolist()
    lowest = int(np.iinfo(SIGNED[values.dtype]).min)
    return [bit if bit >= 0 else lowest - bit for bit in bits]


def ulps(ours: ArrayLike, theirs: ArrayLike, dtype: type = np.float64) -> list[int]:
    """How many floats of the dtype lie between each two values, one end counted."""
    pairs = zip(_ordered(np.asarray(ours, dtype)), _ordered(np.asarray(theirs, dtype)), strict=True)
    return [abs(one - other) for one, other in pairs]


def relative(ours: ArrayLike, theirs: ArrayLike) -> float:
    """The largest difference, as a share of their value; of a value of 0 only 0 is near."""
    one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    gaps = np.abs(one - other)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(gaps == 0.0, 0.0, gaps / np.abs(other))
    return float(shares.max(initial=0.0))


def first_difference(ours: ArrayLike, theirs: ArrayLike) -> int | None:
    """The first row whose bits differ; None if there is none."""
    one, other = np.asarray(ours), np.asarray(theirs)
    if one.shape != other.shape:
        raise ValueError(f"first_difference: expected rows of one shape, got {one.shape} and {other.shape}")
    bits = SIGNED[one.dtype]
    same = (np.ascontiguousarray(one).view(bits) == np.ascontiguousarray(other).view(bits)).reshape(len(one), -1)
    rows = np.flatnonzero(~same.all(axis=1))
    return int(rows[0]) if len(rows) else None


def fingerprint(values: NDArray[Any]) -> str:
    """A SHA-256 of the bits, shortened."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]
