"""Smoothing of loss curves, for learning-rate finders and monitors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrcore import _check
from lrcore._engine import smooth_rows


def smooth(losses: ArrayLike, beta: float, bias_correction: bool = True) -> NDArray[np.float64]:
    """Exponential moving average of a loss curve, or of many.

    `average_i = beta * average_{i-1} + (1 - beta) * losses_i`, from 0; with `bias_correction` each is divided by
    `1 - beta**(i+1)`, so that the first average is the first loss.

    Args:
        losses: shape (steps,), or (runs, steps): each run by itself. Real numbers; from a NaN on, its run is NaN.
        beta: weight of the past, in [0, 1).
        bias_correction: divide by the sum of the weights.

    Returns:
        A float64 array of the shape of `losses`.

    Raises:
        TypeError: losses that are not real numbers.
        ValueError: beta outside of [0, 1), or losses with other than one or two dimensions.

    Reference: Kingma and Ba, Adam (2015), section 3, for the correction of the bias.
    Also known as: `pandas.Series.ewm(alpha=1 - beta, adjust=bias_correction).mean()` (which starts from the first value when
    `adjust=False`), fastai's AvgSmoothLoss.

    Example:
        >>> import lrcore
        >>> lrcore.smooth([4.0, 2.0, 2.0], beta=0.5, bias_correction=False).tolist()
        [2.0, 2.0, 2.0]
    """
    weight = _check.number("smooth.beta", beta)
    if not 0.0 <= weight < 1.0:
        _check.refuse("smooth.beta", "a number in [0, 1)", beta)
    given: NDArray[Any] = np.asarray(losses)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"smooth.losses: expected real numbers, got an array of {given.dtype}")
    if given.ndim not in (1, 2):
        raise ValueError(f"smooth.losses: expected shape (steps,) or (runs, steps), got {given.shape}")
    if given.size == 0:
        return np.empty(given.shape, np.float64)
    rows = np.ascontiguousarray(given, np.float64).reshape(-1, given.shape[-1])
    averages = np.empty_like(rows)
    smooth_rows(rows, weight, bool(bias_correction), averages)
    return averages.reshape(given.shape)
