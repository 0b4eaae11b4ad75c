"""Smoothing of loss curves, for learning-rate finders and monitors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrcore import _check
from lrcore._engine import smooth_rows


def smooth(
    losses: ArrayLike, beta: float, bias_correction: bool = True, out: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Exponential moving average of a loss curve, or of many.

    `average_i = beta * average_{i-1} + (1 - beta) * losses_i`, from 0; with `bias_correction` each is divided
    by `1 - beta**(i+1)`, so that the first average is the first loss, up to rounding.

    Args:
        losses: shape (steps,), or (runs, steps): each run by itself. Real numbers; from a NaN on, its run is
            NaN.
        beta: weight of the past, in [0, 1).
        bias_correction: divide by the sum of the weights.
        out: a C-contiguous, writable float64 array of the shape of `losses` to write into; it may not overlap
            with them.

    Returns:
        `out`, or a new float64 array of the shape of `losses`.

    Raises:
        TypeError: losses that are not real numbers.
        ValueError: beta outside of [0, 1), losses with other than one or two dimensions, or another `out`.

    Reference: Kingma and Ba, Adam (2015), section 3, for the correction of the bias.
    Also known as: `pandas.Series.ewm(alpha=1 - beta, adjust=bias_correction).mean()` (which starts from the
    first value when `adjust=False`), fastai's AvgSmoothLoss.

    Example:
        >>> import lrcore
        >>> lrcore.smooth([4.0, 2.0, 2.0], beta=0.5, bias_correction=False).tolist()
        [2.0, 2.0, 2.0]
    """
    weight = _check.number("smooth.beta", beta)
    if not 0.0 <= weight < 1.0:
        _check.refuse("smooth.beta", "a number in [0, 1)", beta)
    given = _check.array("smooth.losses", losses, "fiu", "real numbers")
    if given.ndim not in (1, 2):
        raise ValueError(f"smooth.losses: expected shape (steps,) or (runs, steps), got {given.shape}")
    corrected = _check.flag("smooth.bias_correction", bias_correction)
    averages = _output(given, out)
    if given.size:
        rows = np.ascontiguousarray(given, np.float64).reshape(-1, given.shape[-1])
        smooth_rows(rows, weight, corrected, averages.reshape(rows.shape))
    return averages


def _output(losses: NDArray[Any], out: NDArray[Any] | None) -> NDArray[np.float64]:
    if out is None:
        return np.empty(losses.shape, np.float64)
    if type(out) is not np.ndarray or out.dtype != np.float64 or out.shape != losses.shape:
        _check.refuse("smooth.out", f"a float64 array of shape {losses.shape}", out)
    if not (out.flags.c_contiguous and out.flags.writeable) or np.may_share_memory(losses, out):
        raise ValueError("smooth.out: expected a C-contiguous, writable array that does not overlap with the losses")
    return out
