"""Pictures of schedules: on matplotlib's axes, in files, in a notebook and in a terminal.

Every picture is drawn from the schedule's own values at steps that `_sampling` picks, so a spike of one update in a
million is seen, and a jump is drawn as one. Nothing here touches the global state of matplotlib or plotext.
"""

from __future__ import annotations

import html
import io
import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcore import _check, _replace
from lrcore._drawing import Run, Schedules, counted, horizon, log_range, log_ticks, plain, run_of, short, ticks
from lrcore._sampling import Curve, outline
from lrcore.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, GRID = "#22272e", "#6b7480", "#e4e8ec"
COLOURS = ("#2a6fbb", "#c2452d", "#2f8561", "#84549b", "#b07a10")  # those after the first five come with dashes
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
PIXELS = 1600  # of the widest curve
MARKED = 40  # boundaries: where there are more, lines would hide the curve
OURS = "lrcore"  # the group of our lines on axes that we may share
TERMINAL_COLOURS = (12, 9, 10, 13, 11, 14)  # of the sixteen that terminals fit to their background
SYMBOLS = "•x+o*#"
SUFFIXES = (".png", ".svg", ".pdf", ".html")

_check_width = _check.whole(20, 1000, "a number of characters")
_check_height = _check.whole(6, 1000, "a number of lines")


def plot(
    schedules: Schedules,
    n: int | None = None,
    ax: Axes | None = None,
    *,
    log: bool = False,
    steps_per_epoch: int | None = None,
    mark_boundaries: bool = True,
    title: str | None = None,
) -> Axes:
    """Draws the values of the first n updates, of one schedule or of several.

    Args:
        schedules: one, or a dict of names and schedules, which stand in a legend.
        n: how many updates; by default the length of the longest schedule and 5 % more, so that its end is seen.
        ax: matplotlib's axes to draw on, such as `plt.gca()`. By default there is a new figure, `plot(...).figure`,
            which pyplot does not know: a notebook shows it where `plot(...)` is the last line of a cell.
        log: draw values on a log axis. A value of 0 or less lies below it: the curve leaves through the bottom, and of
            what it falls through the axis shows five decades.
        steps_per_epoch: updates of an epoch, for a second axis; by default what the schedules were bound with.
        mark_boundaries: mark where a piece begins, by a line, or on several curves by a dot; not of a schedule with
            more than 40 of them.
        title: of the picture.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: arguments outside of what is said above; no n, and no schedule that ends; a log axis, and
            no value above 0.
        UnboundError: a duration has a unit: `schedule.bind(...)` first.

    Example:
        >>> from lrcore import plot, warmup_cosine
        >>> schedule = warmup_cosine(peak_value=0.1, end_value=0.0, warmup_steps=100, steps=1000)
        >>> ax = plot({"half": 0.5 * schedule, "whole": schedule}, steps_per_epoch=50)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['half', 'whole']
    """
    run = run_of("plot", schedules, n, steps_per_epoch)
    curves = run.curves(PIXELS)
    drawn = ax if ax is not None else _new_axes()
    if log:
        low, high, _ = log_range("plot.log", [drawn_curve.values for drawn_curve in curves.values()])
        drawn.set_yscale("log", nonpositive="clip")
        drawn.set_ylim(low, high)
    lines = _draw(drawn, curves)
    if mark_boundaries:
        _mark(drawn, run, lines)
    _scale_steps(drawn, run)
    if ax is None and not log and min(one.values.min() for one in curves.values()) >= 0.0:
        drawn.set_ylim(bottom=0.0)
    if title is not None:
        drawn.set_title(title, loc="left", color=INK, fontsize=13, fontweight="bold", pad=12, parse_math=False)
    return drawn


def write_picture(
    path: str | os.PathLike[str],
    schedules: Schedules,
    n: int | None = None,
    *,
    log: bool = False,
    steps_per_epoch: int | None = None,
    mark_boundaries: bool = True,
    title: str | None = None,
) -> None:
    """Writes a picture, whole or not at all: .png, .svg, .pdf, or .html, which is a page to look into.

    The other arguments are those of `plot`; a page marks every boundary by its own means.

    Raises:
        ValueError: another suffix; what `plot` refuses.
        OSError: the file cannot be written. One that was there before is as it was.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lrcore import Linear
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_picture(f"{folder}/lr.svg", Linear(0.1, 0.0, 100))
        ...     Path(f"{folder}/lr.svg").read_text()[:5]
        '<?xml'
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        allowed = f"a name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise ValueError(f"path: expected {allowed}, got {str(path)!r}{_check.did_you_mean(suffix, SUFFIXES)}")
    _replace.check_room(target, 0)
    if suffix == ".html":
        from lrcore._page import page

        content = page(schedules, n, title=title, log=log, steps_per_epoch=steps_per_epoch).encode()
    else:
        options = {"log": log, "steps_per_epoch": steps_per_epoch, "mark_boundaries": mark_boundaries, "title": title}
        axes = plot(schedules, n, **options)  # type: ignore[arg-type]
        content = _saved(axes, suffix[1:])
    with _replace.beside(target) as file:
        file.write(content)
        _replace.settle(file)
        _replace.put(file, target)


# ---- matplotlib ----


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches, which pyplot does not know."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'lrcore[plot]'") from error
    layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12, wspace=0.02, hspace=0.03)
    return Figure(figsize=(width, height), dpi=110, layout=layout, facecolor="white")


def clean(axes: Any) -> None:
    """Grid lines instead of a frame."""
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(which="both", colors=FAINT, labelsize=9.5, length=0)


def _new_axes() -> Any:
    axes = new_figure(8.2, 4.2).subplots()
    clean(axes)
    axes.set_ylabel("learning rate", color=FAINT)
    axes.set_xlabel("update", color=FAINT)
    axes._repr_png_ = partial(_saved, axes, "png")  # what a notebook asks for
    return axes


def _saved(axes: Any, kind: str) -> bytes:
    """The figure of these axes as a file of that kind, without the date of its making."""
    date = {"png": "Creation Time", "svg": "Date", "pdf": "CreationDate"}[kind]
    with io.BytesIO() as file:
        axes.figure.savefig(file, format=kind, metadata={date: None})
        return file.getvalue()


def _draw(axes: Any, curves: dict[str, Curve]) -> list[Any]:
    """A line for each curve, in the next colours that these axes have not got from us."""
    before = sum(line.get_gid() == OURS for line in axes.lines)
    lines = []
    for at, (name, drawn) in enumerate(curves.items(), before):
        colour, dashes = COLOURS[at % len(COLOURS)], DASHES[at // len(COLOURS) % len(DASHES)]
        style = {"color": colour, "linestyle": dashes, "linewidth": 1.8, "label": name, "gid": OURS}
        lines += axes.plot(*outline(drawn), **style, marker="o" if len(drawn.steps) == 1 else None)
    if len(curves) > 1:
        _legend(axes)
    return lines


def _mark(axes: Any, run: Run, lines: list[Any]) -> None:
    for (name, schedule), line in zip(run.schedules.items(), lines, strict=True):
        steps = run.boundaries(name)[1:]
        if len(steps) > MARKED:
            continue
        if len(lines) == 1:
            for step in steps.tolist():
                axes.axvline(step, color=FAINT, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1.5)
        else:
            style = {"color": line.get_color(), "markerfacecolor": "white", "markersize": 4.5, "zorder": 2.5}
            axes.plot(steps, schedule(steps), "o", label="_boundaries", **style)


def _legend(axes: Any) -> None:
    """Names as they are: one that begins with "_" too, and a "$" in them is no formula."""
    lines = [line for line in axes.lines if line.get_gid() == OURS]
    legend = axes.legend(lines, [str(at) for at in range(len(lines))], frameon=False, fontsize=10, labelcolor=INK)
    for text, line in zip(legend.get_texts(), lines, strict=True):
        text.set_parse_math(False)
        text.set_text(short(line.get_label(), 60))


def _scale_steps(axes: Any, run: Run) -> None:
    """From 0 to n, or to where other lines of ours go; with epochs above where they are known."""
    from matplotlib.ticker import MaxNLocator

    ends = [run.n, *(line.get_xdata().max() + 1 for line in axes.lines if line.get_gid() == OURS)]
    axes.set_xlim(0, max(ends))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(counted)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_formatter(plain)
    if run.steps_per_epoch and not any(child.get_gid() == OURS for child in axes.child_axes):
        each = run.steps_per_epoch
        epochs = axes.secondary_xaxis("top", functions=(partial(np.multiply, 1.0 / each), partial(np.multiply, each)))
        epochs.set_gid(OURS)
        epochs.spines["top"].set_visible(False)
        epochs.tick_params(colors=FAINT, labelsize=9.5, length=0)
        epochs.set_xlabel("epoch", color=FAINT)


# ---- In a notebook ----


def html_of(schedule: Schedule) -> str:
    """A schedule as a notebook shows it: its expression, and a small picture that takes the notebook's colours.

    Example:
        >>> from lrcore import Linear
        >>> html_of(Linear(0.1, 0.0, 100)).count("<svg")
        1
    """
    text = html.escape(short(repr(schedule), 1200))
    try:
        picture = _svg(schedule)
    except Exception as error:  # a notebook would show a traceback in place of the schedule
        picture = f'<p style="margin:.4em 0 0;opacity:.7">No picture: {html.escape(str(error))}</p>'
    return f'<div style="max-width:44em"><code style="overflow-wrap:anywhere">{text}</code>{picture}</div>'


def _svg(schedule: Schedule) -> str:
    """A line and its range; nothing but SVG, so that it needs no package and follows a dark page."""
    width, height, left, top = 600, 130, 62, 12
    run = run_of("", {"": schedule}, horizon(schedule) if schedule.length is None else None, None)
    n, drawn = run.n, run.curves(width)[""]
    steps, values = outline(drawn)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    x = left + steps / max(n - 1, 1) * width
    y = top + (high - values) / (high - low or 1.0) * height
    points = " ".join(f"{across:.2f},{down:.2f}" for across, down in zip(x.tolist(), y.tolist(), strict=True))
    rest = "it never ends" if schedule.length is None else f"it holds {drawn.values[-1]:g} from {schedule.length:,} on"
    labels = [
        (left - 8, top + 4, "end", f"{high:.4g}"),
        (left - 8, top + height + 4, "end", f"{low:.4g}"),
        (left, top + height + 20, "start", "0"),
        (left + width, top + height + 20, "end", f"{n - 1:,}"),
        (left + width / 2, top + height + 20, "middle", f"update; {rest}"),
    ]
    texts = "".join(f'<text x="{a}" y="{b}" text-anchor="{anchor}">{text}</text>' for a, b, anchor, text in labels)
    frame = f"M{left} {top}h{width}M{left} {top + height}h{width}"
    return (
        f'<svg viewBox="0 0 {left + width + 8} {top + height + 26}" role="img" style="display:block;width:100%" '
        f'aria-label="Learning rate of the first {n:,} updates, from {low:.4g} to {high:.4g}">'
        f'<path d="{frame}" stroke="currentColor" stroke-opacity=".2" fill="none"/>'
        f'<polyline points="{points}" fill="none" stroke="#3b82cf" stroke-width="2" stroke-linejoin="round"/>'
        f'<g fill="currentColor" fill-opacity=".7" font-family="sans-serif" font-size="11">{texts}</g></svg>'
    )


# ---- In a terminal ----


def terminal(
    schedules: Schedules,
    n: int | None = None,
    *,
    width: int = 80,
    height: int = 20,
    log: bool = False,
    colour: bool = True,
    steps_per_epoch: int | None = None,
    title: str | None = None,
) -> str:
    """A picture in characters, for a terminal that knows braille.

    Args:
        schedules: one, or a dict of names and schedules.
        n: how many updates, as for `plot`.
        width: characters in a line, 20 to 1000.
        height: lines, 6 to 1000.
        log: a log axis, as for `plot`.
        colour: with colours, and so with control sequences; several schedules are hard to tell apart without.
        steps_per_epoch: updates of an epoch; where it is known, the axis counts epochs.
        title: of the picture.

    Returns:
        Lines of text, without a newline at the end.

    Raises:
        TypeError, ValueError, UnboundError: as of `plot`.

    Example:
        >>> from lrcore import Linear
        >>> print(terminal(Linear(0.1, 0.0, 80), 80, width=40, height=8, colour=False))
            ┌──────────────────────────────────┐
         0.1┤⠠⠤⠤⣀⣀⣀                            │
            │      ⠉⠉⠑⠒⠒⠢⠤⠤⢄⣀⣀                 │
        0.05┤                 ⠉⠉⠑⠒⠒⠢⠤⠤⢄⣀⣀      │
           0┤                            ⠉⠉⠉⠒⠒⠂│
            └┬────────────────────┬────────────┘
             0                    50
                          update
    """
    run = run_of("terminal", schedules, n, steps_per_epoch)
    width, height = _check_width("terminal.width", width), _check_height("terminal.height", height)
    curves = run.curves(2 * width)
    values = [drawn.values for drawn in curves.values()]
    low, high = min(0.0, *(float(each.min()) for each in values)), max(0.0, *(float(each.max()) for each in values))
    if log:
        low, high, _ = log_range("terminal.log", values)
    unit, each = ("epoch", run.steps_per_epoch) if run.steps_per_epoch else ("update", 1.0)
    legend = _legend_lines(list(curves), width, colour) if len(curves) > 1 else []
    canvas = _canvas(width, height - len(legend), colour)
    for at, drawn in enumerate(curves.values()):
        steps, line = outline(drawn)
        heights = np.log10(np.maximum(line, low)) if log else line
        marker = _marker(at, plain_dots=colour or len(curves) == 1, colour=colour)
        canvas.draw(canvas.signal((steps / each).tolist(), heights.tolist(), marker=marker).lines(True))
    places = ticks(0.0, run.n / each, max(2, width // 14))
    canvas.ruler("x").lim(0.0, run.n / each).ticks(places, [counted(place) for place in places])
    places = log_ticks(low, high) if log else ticks(low, high, max(2, height // 4))
    at_heights = [math.log10(place) for place in places] if log else places
    canvas.ruler("y").lim(*(map(math.log10, (low, high)) if log else (low, high or 1.0)))
    canvas.ruler("y").ticks(at_heights, [plain(place) for place in places])
    canvas.label(unit)
    if title is not None:
        canvas.title(_printable(title))
    picture = str(canvas.build().string(colorless=not colour)).rstrip("\n")
    return "\n".join([*legend, *(line.rstrip() for line in picture.split("\n"))])


def _canvas(width: int, height: int, colour: bool) -> Any:
    """A figure of plotext on a terminal of its own, as the one in its module belongs to everybody."""
    try:
        import plotext
    except ImportError as error:
        raise ImportError("pictures in a terminal need plotext: pip install 'lrcore[plot]'") from error
    own = type(plotext.terminal)().limit(False, False)
    canvas = type(plotext.figure)(own)
    canvas.plot_size(width, height)
    canvas.theme("simple" if colour else "colorless")
    return canvas


def _marker(at: int, plain_dots: bool, colour: bool) -> Any:
    import plotext

    symbol = "braille" if plain_dots else SYMBOLS[at % len(SYMBOLS)]
    return plotext.marker(symbol, pixel=plotext.pixel(foreground=TERMINAL_COLOURS[at % 6]) if colour else None)


def _legend_lines(names: list[str], width: int, colour: bool) -> list[str]:
    """As many lines as the names need, each with the sign of its curve."""
    lines, used = [""], 0
    for at, name in enumerate(names):
        shown = short(_printable(name), width - 8)
        if used and used + len(shown) + 5 > width:
            lines, used = [*lines, ""], 0
        sign = f"\x1b[38;5;{TERMINAL_COLOURS[at % 6]}m⠒⠒\x1b[0m" if colour else SYMBOLS[at % len(SYMBOLS)] * 2
        lines[-1] += f"{'   ' if used else '  '}{sign} {shown}"
        used += len(shown) + 6
    return lines


def _printable(text: str) -> str:
    """A name without what would steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
