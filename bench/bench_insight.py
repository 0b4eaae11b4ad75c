"""explain and lint of ten million updates: pieces that are known, dense ones that are scanned, too many to scan."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

import lrcore
from bench._measure import Kind, Line
from lrcore import Schedule

RUN = 10_000_000
BOUND_MS = 50.0


def schedules(run: int) -> dict[str, Schedule]:
    warm = lrcore.warmup_cosine(0.1, 1e-5, run // 20, run, init_value=1e-4)
    waves = lrcore.triangular(0.01, 0.1, 1250, mode="exp_range", decay_rate=1.0 - 1.0 / run)
    return {
        "warm-up cosine": warm,
        "warm-up cosine × 100 stairs": warm * lrcore.ExponentialDecay(1.0, 0.5, run // 10).staircase(run // 100),
        "warm-up cosine × 10,000 stairs": warm * lrcore.ExponentialDecay(1.0, 0.5, run // 10).staircase(run // 10_000),
        "sgdr, cycles that double": lrcore.sgdr(0.1, 1e-3, 1000, period_mult=2),
        "sgdr, 10,000 cycles": lrcore.sgdr(0.1, 1e-3, run // 10_000),
        "a rise times a fall, powers 0.5 and 3": lrcore.Polynomial(0.0, 0.1, run, 0.5)
        * lrcore.Polynomial(1.0, 0.0, run, 3.0),
        "10,000 stairs": lrcore.step_decay(0.1, 0.999, run // 10_000),
        "4,000 waves × a decay (sampled)": waves,
        "a Table": lrcore.Table(warm.table(run).astype(np.float32)),
    }


def lines(quick: bool = False) -> Iterator[Line]:
    run = RUN // 100 if quick else RUN
    bound = None if quick else BOUND_MS
    for name, schedule in schedules(run).items():
        for function in (lrcore.explain, lrcore.lint):
            work = partial(function, schedule, run)
            yield Line("insight", f"{function.__name__}, {name}", work, 1, Kind.TIME, "ms", bound)
