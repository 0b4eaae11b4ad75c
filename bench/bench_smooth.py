"""Smoothing ten million losses, against the two ways that people use."""

from collections.abc import Iterator
from functools import cache

import numpy as np

import lrcore
from bench import _peers
from bench._measure import Kind, Line

BETA = 0.98


def lines(quick: bool = False) -> Iterator[Line]:
    """Each peer against the average that it computes: lfilter's starts from 0, that of pandas is corrected for it.

    The bounds are for ours with a ready `out`, which the peers do not offer; the other lines show what it saves: of a
    new array the system clears each page first, for about as long as the average takes.
    """
    size = 500_000 if quick else 10_000_000
    losses = cache(lambda: np.random.default_rng(9).gamma(2.0, 0.5, size))
    ready = cache(lambda: np.ones(size))
    peers = [
        ("scipy.signal.lfilter", False, 5.0, _peers.scipy_smooth),
        ("pandas ewm", True, 10.0, _peers.pandas_smooth),
    ]
    for name, corrected, bound, smooth in peers:
        for into, goal in ((ready, bound), (lambda: None, None)):
            yield Line(
                topic="smooth",
                name=f"smooth against {name}" if goal else f"smooth into a new array, against {name}",
                ours=lambda corrected=corrected, into=into: lrcore.smooth(losses(), BETA, corrected, out=into()),
                peer=lambda smooth=smooth: smooth(losses(), BETA),
                count=size,
                kind=Kind.SPEEDUP,
                unit="×",
                bound=goal,
                note="" if goal is None else "into a ready array, which the peer cannot",
            )
