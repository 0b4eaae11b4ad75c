"""Pictures of schedules of a million updates: finding what to draw, and drawing it.

The first picture of a process imports plotly, matplotlib or plotext besides; `check` has done that before anything is
timed.
"""

from __future__ import annotations

from collections.abc import Iterator

import lrcore as lr
from bench._measure import Kind, Line
from lrcore import plotting
from lrcore._page import page
from lrcore._sampling import MOST, sampled

BOUND_MS = 2000.0
WIDTH = 1000  # pixels


def schedules(run: int) -> dict[str, lr.Schedule]:
    """A corner, restarts under a decay, a thousand stairs, and a spike of one update."""
    return {
        "warmup_cosine": lr.warmup_cosine(0.1, 1e-5, run // 20, run),
        "sgdr × step_decay": lr.sgdr(0.1, 1e-3, run // 8) * lr.step_decay(1.0, 0.8, run // 8),
        "step_decay, 1000 stairs": lr.step_decay(0.1, 0.99, max(1, run // 1000)),
        "spike": lr.Sequence([(0.05, run // 3), (0.1, 1), lr.Cosine(0.05, 0.0, run - run // 3)]),
    }


def lines(quick: bool = False) -> Iterator[Line]:
    run = 20_000 if quick else 1_000_000
    four = schedules(run)
    yield Line("pictures", "HTML of four schedules", lambda: page(four, run), 1, Kind.TIME, "ms", BOUND_MS)
    for name, schedule in four.items():
        ours = lambda schedule=schedule: sampled(schedule, run, WIDTH)  # noqa: E731
        yield Line("pictures", f"what to draw of 1 M updates, {name}", ours, 1, Kind.TIME, "ms")
    most = run if quick else MOST
    cosine = lr.Cosine(0.1, 0.0, most)
    yield Line("pictures", "what to draw of 134 M updates", lambda: sampled(cosine, most, WIDTH), 1, Kind.TIME, "ms")
    first = four["warmup_cosine"]
    yield Line("pictures", "a schedule in a notebook", first._repr_html_, 1, Kind.TIME, "ms")
    yield Line("pictures", "four schedules in a terminal", lambda: plotting.terminal(four, run), 1, Kind.TIME, "ms")
    png = lambda: lr.plot(four, run)._repr_png_()  # type: ignore[attr-defined]  # noqa: E731
    yield Line("pictures", "PNG of four schedules", png, 1, Kind.TIME, "ms")
