"""The picture of a learning-rate range test."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcore import _curvefeatures as curve
from lrcore.plotting import COLOURS, FAINT, INK, _saved, clean, new_figure

if TYPE_CHECKING:
    from lrcore.finder import Suggestion

MOST_RUNS = 20  # that are drawn
ROW = 0.024  # of the axes' height


def draw(found: Suggestion, ax: Any = None, refined: float | None = None) -> Any:
    """The curves, raw and smoothed, the band, the votes and the suggestion, on these axes or on new ones."""
    axes = ax if ax is not None else _new_axes()
    axes.set_xscale("log")
    axes.set_xlim(min(found.lrs[0], found.lr) / 1.3, found.lrs[-1] * 1.3)
    _draw_curves(axes, found)
    axes.axvspan(*found.band, color=COLOURS[2], alpha=0.15, linewidth=0, label="quartiles of the runs")
    axes.axvline(found.lr, color=COLOURS[2], linewidth=1.8, label=f"lr = {found.lr:.3g}")
    if refined is not None:
        axes.axvline(refined, color=COLOURS[1], linewidth=1.8, label=f"refined: {refined:.3g}")
    _draw_votes(axes, found)
    axes.set_xlabel("learning rate", color=FAINT)
    axes.set_ylabel("loss", color=FAINT)
    axes.set_title(found.verdict.replace("_", " "), loc="left", color=INK, fontsize=11)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper right")
    return axes


def draw_recorded(rates: Any, losses: Any, ax: Any = None) -> Any:
    """What a callback has recorded and nothing else, as articles on the range test show it."""
    axes = ax if ax is not None else _new_axes()
    axes.plot(rates, losses, color=COLOURS[0], linewidth=1.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:.0e}")
    axes.set_xlabel("learning rate", color=FAINT)
    axes.set_ylabel("loss", color=FAINT)
    return axes


def _new_axes() -> Any:
    axes = new_figure(8.2, 4.6).subplots()
    clean(axes)
    axes._repr_png_ = partial(_saved, axes, "png")
    return axes


def _draw_curves(axes: Any, found: Suggestion) -> None:
    """Each loss above the rate that caused it; the axis ends above where they began and leaves room below."""
    lines = curve.readable(curve.Runs(found.lrs, found.losses, found.lengths))
    for at, (rates, raw, smooth) in enumerate(lines[:MOST_RUNS]):
        label = "smoothed" if at == 0 else "_smoothed"
        axes.plot(rates, raw, color=COLOURS[0], alpha=0.25, linewidth=0.8, label="losses" if at == 0 else "_losses")
        axes.plot(rates, smooth, color=COLOURS[0], linewidth=1.4, label=label)
    shown = np.concatenate([smooth for _, _, smooth in lines] or [np.zeros(0)])
    if shown.size:
        low, first = shown.min(), max(smooth[0] for _, _, smooth in lines)
        room = (first - low) or abs(low) or 1.0
        axes.set_ylim(low - 0.9 * room, first + 0.4 * room)


def _draw_votes(axes: Any, found: Suggestion) -> None:
    """A dot for each rule that says something, in a row of its own, below the curves."""
    across = axes.get_xaxis_transform()
    said = {rule: rate for rule, rate in found.votes.items() if rate is not None}
    for row, rule in enumerate(sorted(said, key=lambda rule: -said[rule])):
        height = 0.03 + ROW * row
        axes.plot([said[rule]], [height], "o", color=INK, markersize=3, transform=across, label="_vote", zorder=3)
        style = {"fontsize": 6.5, "color": FAINT, "ha": "right", "va": "center", "xytext": (-5, 0)}
        axes.annotate(rule, (said[rule], height), xycoords=across, textcoords="offset points", **style)
