"""Losses as range tests have them."""

import numpy as np

from lrcore.finder import RangeTest

TEST = RangeTest()


def bowl(lrs=TEST.lrs, runs=1, noise=0.02, seed=0, best=0.1, floor=0.3):
    """They fall from 2.3, are least near `best`, and then diverge; of shape (runs, steps + 1)."""
    after = floor + (2.3 - floor) / (1.0 + 20.0 * lrs / best) + 0.05 * (lrs / best) ** 3
    draws = np.random.default_rng(seed).normal(size=(runs, lrs.size + 1))
    return np.concatenate([[2.3], after]) * np.exp(noise * draws)
