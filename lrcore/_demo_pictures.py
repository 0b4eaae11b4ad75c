"""The pictures of the demo, drawn without a display and without touching matplotlib's global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrcore._articles import Example
from lrcore._demo_training import Result, Task
from lrcore._sampling import curve, outline, sampled
from lrcore.plotting import COLOURS as PALETTE, FAINT, INK, clean, new_figure
from lrcore.schedule import Schedule
from lrcore.smoothing import smooth

COLOURS = dict(zip("ABCDE", PALETTE, strict=True))
BROAD = {"color": "#f2a68d", "linewidth": 5.5, "solid_capstyle": "round"}
THIN = {"color": INK, "linewidth": 1.2}
PIXELS = 1000  # of a drawn curve, at most
COLUMNS = 4
SMOOTHING = 0.9


def draw_schedules(path: Path, examples: Sequence[Example], updates: int) -> None:
    """One panel a schedule, over the run; the constant ones share a panel."""
    constant = [example for example in examples if example.is_constant]
    panels = [[example] for example in examples if not example.is_constant] + [constant]
    rows = -(-len(panels) // COLUMNS)
    figure = new_figure(4.1 * COLUMNS, 3.0 * rows + 0.8)
    places = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes, panel in zip(places, panels, strict=False):
        _draw_panel(axes, panel, updates)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    _head(figure, "The schedules of five articles", f"each over a run of {updates:,} updates")
    figure.savefig(path)


def _draw_panel(axes: Any, panel: Sequence[Example], updates: int) -> None:
    first = panel[0]
    for example in panel:
        schedule = example.over(updates)
        drawn = curve(schedule, sampled(schedule, updates, PIXELS))
        axes.plot(*outline(drawn), color=COLOURS[example.article], linewidth=2.0)
    title = "constant rates" if first.is_constant else first.title
    clean(axes)
    _scale(axes, first.log_axis)
    _count_updates(axes, updates)
    _title(axes, f"{first.article}   {title}", COLOURS[first.article], pad=22)
    axes.text(0, 1.045, first.formula, transform=axes.transAxes, color=FAINT, fontsize=9, va="bottom")


def draw_training(path: Path, task: Task, results: Sequence[Result]) -> None:
    """The losses of both frameworks, their accuracy, and the rates that their optimizers used."""
    figure = new_figure(12.0, 9.6)
    losses, accuracies, rates = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.6, 2])
    each, updates = task.updates_per_epoch, np.arange(len(task.batches))
    for result, style in zip(results, (BROAD, THIN), strict=True):
        losses.plot(updates, smooth(result.losses, SMOOTHING), label=result.framework, **style)
        accuracies.plot(updates[each - 1 :: each] + 1, 100.0 * np.array(result.accuracies), **style)
        rates.plot(updates, result.rates, **style)
    notes = {
        losses: ("Training loss", f"of each batch, smoothed with beta = {SMOOTHING}"),
        accuracies: ("Accuracy, %", "test digits read right, after each epoch"),
        rates: ("Learning rate", "read from the optimizer before each update"),
    }
    for axes, (title, note) in notes.items():
        clean(axes)
        _scale(axes, log=axes is losses)
        _title(axes, title, INK, pad=9)
        axes.text(1, 1.03, note, transform=axes.transAxes, color=FAINT, ha="right", va="bottom", fontsize=9.5)
        _mark_restarts(axes, task.schedule, len(updates))
    lowest = min(min(result.accuracies) for result in results)
    accuracies.set_ylim(10 * int(10 * lowest), 100)
    rates.set_ylim(0, None)
    rates.set_xlim(0, len(updates))
    rates.set_xlabel("update", color=FAINT)
    losses.legend(loc="upper right", frameon=False, fontsize=11, labelcolor=INK)
    _head(figure, "One schedule, two frameworks", f"a {_sizes(task)} network learns to read handwritten digits")
    figure.savefig(path)


def _sizes(task: Task) -> str:
    return "-".join(str(size) for size in (len(task.layers[0][0]), *(len(bias) for _, bias in task.layers)))


def _mark_restarts(axes: Any, schedule: Schedule, updates: int) -> None:
    """A thin line where the rate jumps up to a peak."""
    table = schedule.table(updates)
    for step in np.flatnonzero(np.diff(table) > 0.5 * table.max()) + 1:
        axes.axvline(step, color=FAINT, linewidth=0.9, linestyle=(0, (2, 3)), zorder=0)


# ---- The common look ----


def _head(figure: Any, title: str, note: str) -> None:
    inch = 1.0 / figure.get_figwidth()
    figure.suptitle(title, x=0.2 * inch, ha="left", color=INK, fontsize=20, fontweight="bold")
    figure.text(1 - 0.2 * inch, 0.982, note, ha="right", va="top", color=FAINT, fontsize=12)


def _title(axes: Any, text: str, colour: str, pad: float) -> None:
    axes.set_title(text, loc="left", color=colour, fontsize=13, fontweight="bold", pad=pad)


def _scale(axes: Any, log: bool) -> None:
    """A log axis with a little room, or one that begins at 0; plain numbers on both."""
    if log:
        axes.set_yscale("log")
        axes.margins(y=0.08)
    else:
        axes.set_ylim(0, 1.08 * max(line.get_ydata().max() for line in axes.lines))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _count_updates(axes: Any, updates: int) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlim(0, updates)
    axes.set_xticks(np.linspace(0, updates, 5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
