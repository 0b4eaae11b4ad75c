"""A picture for each topic: how far its lines are from their bounds, or costs beside those of peers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench._measure import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, DPI = 9.5, 110
INK, QUIET, GRID = "#22313f", "#9aa5ad", "#e3e7ea"
GOOD, BAD = "#16858a", "#c8442f"
PEERS = ["#e69f00", "#56b4e9", "#cc79a7", "#0072b2", "#8c6bb1", "#7f7f7f", "#d55e00"]
MARKERS = ["o", "s", "^", "v", "D", "P", "X"]


def draw(topic: str, title: str, rows: list[Row], path: Path) -> None:
    """Writes the PNG; what has not been measured is left out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [_above_zero(row) for row in rows if row["ours"] is not None]
    if not shown:
        return
    figure = Figure(layout="constrained", dpi=DPI)
    FigureCanvasAgg(figure)
    if topic == "scaling" and any("series" in row.get("about", {}) for row in shown):
        _growth(figure, shown)
    elif any("peer" in row.get("about", {}) for row in shown):
        _beside_peers(figure, [row for row in shown if "peer" in row.get("about", {})])
    else:
        _from_bounds(figure, shown)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    _save(figure, path)


def _above_zero(row: Row) -> Row:
    """A logarithm has no 0: a thousandth of the bound says as much."""
    return row if row["ours"] > 0.0 else row | {"ours": (row.get("bound") or 1.0) / 1000}


def _save(figure: Any, path: Path) -> None:
    """In 256 colours: a third of the size."""
    from PIL import Image

    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(length=0, which="both", colors=INK, labelsize=8)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=GRID, which="major", linewidth=0.8)


# ---- Figures and their bounds ----


def _panel_of(row: Row) -> str:
    return ", ".join(filter(None, [row.get("about", {}).get("backend"), row["unit"]]))


def _from_bounds(figure: Any, rows: list[Row]) -> None:
    """A panel for each unit: a mark at the bound, a dot at the figure, and between them what is to spare or missing."""
    names = list(dict.fromkeys(map(_panel_of, rows)))
    panels = [[row for row in rows if _panel_of(row) == name] for name in names]
    heights = [len(panel) + 2.2 for panel in panels]
    figure.set_size_inches(WIDTH, 0.19 * sum(heights) + 0.7)
    drawn = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for axes, name, panel in zip(drawn, names, panels, strict=True):
        _plain(axes)
        axes.set_xscale("log")
        for at, row in enumerate(panel):
            _spared(axes, at, row)
        axes.set_yticks(range(len(panel)), [row["line"] for row in panel])
        axes.set_ylim(len(panel) - 0.4, -0.6)
        axes.set_xlabel(name, fontsize=8, color=INK)
        _plain_numbers(axes)
    drawn[0].set_title("● measured   ┃ bound: green is to spare, red is missing", fontsize=8, color=QUIET, loc="left")


def _spared(axes: Axes, at: int, row: Row) -> None:
    colour = {True: GOOD, False: BAD, None: QUIET}[row["met"]]
    if row.get("bound") is not None:
        axes.plot([row["bound"], row["ours"]], [at, at], color=colour, linewidth=3, alpha=0.35, solid_capstyle="butt")
        axes.plot([row["bound"]], [at], "|", color=INK, markersize=9, markeredgewidth=1.8)
    axes.plot([row["ours"]], [at], "o", color=colour, markersize=5)


def _plain_numbers(axes: Axes) -> None:
    """Along x, at least a decade and a half."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, high / 4), max(high, low * 4))
    _plain_axis(axes.xaxis, *axes.get_xlim())


def _plain_axis(axis: Any, low: float, high: float) -> None:
    """1, 2, 5, 10 instead of powers of ten, on an axis of few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_formatter(NullFormatter())


# ---- Costs beside those of peers ----


def _beside_peers(figure: Any, rows: list[Row]) -> None:
    """A panel for each length of the tables, a line for each schedule, a mark for each library."""
    sizes = list(dict.fromkeys(row["about"]["steps"] for row in rows))
    schedules = list(dict.fromkeys(row["about"]["schedule"] for row in rows))
    peers = list(dict.fromkeys(row["about"]["peer"] for row in rows))
    figure.set_size_inches(WIDTH, 0.34 * len(schedules) + 1.5)
    drawn = figure.subplots(1, len(sizes), squeeze=False, sharey=True, sharex=True)[0]
    for axes, size in zip(drawn, sizes, strict=True):
        _plain(axes)
        axes.set_xscale("log")
        panel = [row for row in rows if row["about"]["steps"] == size]
        for number, peer in enumerate(peers):
            marks = [row for row in panel if row["about"]["peer"] == peer]
            places = [schedules.index(row["about"]["schedule"]) for row in marks]
            style = {"color": PEERS[number % len(PEERS)], "markersize": 5.5, "alpha": 0.9}
            axes.plot([row["peer_ns"] for row in marks], places, MARKERS[number % len(MARKERS)], label=peer, **style)
        best = [_ours(panel, schedule) for schedule in schedules]
        axes.plot(best, range(len(schedules)), "|", color=GOOD, markersize=15, markeredgewidth=3.5, label="lrcore")
        axes.set_yticks(range(len(schedules)), schedules)
        axes.set_ylim(len(schedules) - 0.5, -0.5)
        axes.set_title(f"{size} steps", fontsize=9, color=INK)
        axes.set_xlabel("nanoseconds a value", fontsize=8, color=INK)
        _plain_numbers(axes)
    handles, labels = drawn[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=8, frameon=False)


def _ours(rows: list[Row], schedule: str) -> float:
    return min((row["ours_ns"] for row in rows if row["about"]["schedule"] == schedule), default=float("nan"))


# ---- Growth ----


def _growth(figure: Any, rows: list[Row]) -> None:
    """A panel for each series: what an item costs at each size, ours and the peer's."""
    series = list(dict.fromkeys(row["about"]["series"] for row in rows if row.get("about")))
    lines = -(-len(series) // 3)
    figure.set_size_inches(WIDTH, 2.5 * lines + 0.4)
    drawn = figure.subplots(lines, 3, squeeze=False).ravel()
    for axes in drawn[len(series) :]:
        axes.set_visible(False)
    for axes, name in zip(drawn, series, strict=False):
        _plain(axes)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        _costs(axes, [row for row in rows if row.get("about", {}).get("series") == name])
        what, _, title = name.partition(": ")
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_xlabel(what, fontsize=8, color=INK)
        axes.set_ylabel("ns", fontsize=8, color=INK)


def _costs(axes: Axes, rows: list[Row]) -> None:
    from matplotlib.ticker import FuncFormatter

    sizes = [row["about"]["size"] for row in rows]
    axes.loglog(sizes, [row["peer_ns"] for row in rows], "o-", color=PEERS[0], markersize=4, label="peer")
    axes.loglog(sizes, [row["ours_ns"] for row in rows], "o-", color=GOOD, markersize=4, label="lrcore")
    low, high = axes.get_ylim()
    middle = (low * high) ** 0.5
    low, high = min(low / 1.4, middle / 4), max(high * 1.4, middle * 4)
    axes.set_ylim(low, high)
    _plain_axis(axes.yaxis, low, high)
    power = lambda value, _: f"{value:,.0f}" if value < 1e5 else f"$10^{{{np.log10(value):.0f}}}$"  # noqa: E731
    axes.set_xticks(sizes[:: 1 + len(sizes) // 6])
    axes.xaxis.set_major_formatter(FuncFormatter(power))
    axes.minorticks_off()
    axes.legend(fontsize=7, frameon=False)
