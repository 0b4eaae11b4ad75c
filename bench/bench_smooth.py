"""Smoothing ten million losses, against the two ways that people use."""

from collections.abc import Iterator
from functools import cache

import numpy as np

import lrcore
from bench import _peers
from bench._measure import Kind, Line

BETA = 0.98


def lines(quick: bool = False) -> Iterator[Line]:
    """Each peer against the average that it computes: lfilter's starts from 0, that of pandas is corrected for it."""
    size = 500_000 if quick else 10_000_000
    losses = cache(lambda: np.random.default_rng(9).gamma(2.0, 0.5, size))
    yield Line(
        topic="smooth",
        name="smooth against scipy.signal.lfilter",
        ours=lambda: lrcore.smooth(losses(), BETA, bias_correction=False),
        peer=lambda: _peers.scipy_smooth(losses(), BETA),
        count=size,
        kind=Kind.SPEEDUP,
        unit="×",
        bound=5.0,
    )
    yield Line(
        topic="smooth",
        name="smooth against pandas ewm",
        ours=lambda: lrcore.smooth(losses(), BETA),
        peer=lambda: _peers.pandas_smooth(losses(), BETA),
        count=size,
        kind=Kind.SPEEDUP,
        unit="×",
        bound=10.0,
    )
