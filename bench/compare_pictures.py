"""The pictures of `bench/compare_schedules.py`: the schedules, validation over the epochs, restarts, the parabola."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.compare_parabola import ARTICLE
from bench.compare_training import BASELINE, COURSES, PERIOD, RESTARTING, SAME, restarts
from lrcore.plotting import COLOURS, FAINT, INK, clean, new_figure

COLUMNS = 3
RATES = {"found": "peaks at the finder's rate", "same": f"all peaks at {SAME:g}"}
METRICS = {"val_acc": "validation accuracy", "val_loss": "validation loss"}
FRAMEWORKS = {"keras": ("Keras", COLOURS[1]), "torch": ("torch", COLOURS[0])}
AROUND = 4  # epochs on either side of a restart
PICTURE_DPI = 110


def _panels(names: list[str], title: str, height: float = 2.5) -> tuple[Any, list[tuple[str, Any]]]:
    rows = -(-len(names) // COLUMNS)
    figure = new_figure(11.0, height * rows + 0.9)
    places = list(figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    for axes in places[len(names) :]:
        axes.set_visible(False)
    figure.suptitle(title, x=0.015, ha="left", color=INK, fontsize=15, fontweight="bold")
    for axes, name in zip(places, names, strict=False):
        clean(axes)
        axes.set_title(name, loc="left", color=INK, fontsize=11, fontweight="bold")
    for axes in places[max(0, len(names) - COLUMNS) : len(names)]:
        axes.set_xlabel("epoch", color=FAINT)
    return figure, list(zip(names, places, strict=False))


def _save(figure: Any, path: Path) -> None:
    """With a palette of 128 colours, which takes a third of the bytes."""
    from PIL import Image

    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=PICTURE_DPI)
        Image.open(file).convert("RGB").quantize(128).save(path, optimize=True)


def _mark_restarts(axes: Any, name: str, epochs: int) -> None:
    for epoch in restarts(epochs) if name in RESTARTING else []:
        axes.axvline(epoch, color=INK, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)


def draw_schedules(found: dict[str, Any], path: Path) -> None:
    """Each schedule over the run, as a share of its peak; the plateau as it went with the first seed."""
    design = found["design"]
    epochs, each = design["epochs"], design["updates"]
    figure, panels = _panels(design["courses"], "Learning rate, as a share of the peak p", 2.2)
    for name, axes in panels:
        course = COURSES[name]
        if course.has_plateau:
            traces = {key: found["curves"][f"{key}/found/{name}"]["lr"] for key in FRAMEWORKS}
            for key, trace in traces.items():
                word, colour = FRAMEWORKS[key]
                share = np.array([*trace, trace[-1]]) / trace[0]
                axes.step(np.arange(epochs + 1), share, where="post", color=colour, linewidth=2.0, label=word)
            axes.legend(frameon=False, fontsize=9, labelcolor=INK, title="the first seed", title_fontsize=9)
        else:
            table = course.bound(1.0, epochs, each).table(epochs * each)
            at = np.arange(epochs * each + 1) / each
            axes.step(at, [*table, table[-1]], where="post", color=COLOURS[0], linewidth=2.0)
        axes.set_title(name, loc="left", color=INK, fontsize=11, fontweight="bold", pad=18)
        axes.text(0, 1.03, course.formula, transform=axes.transAxes, va="bottom", color=FAINT, fontsize=8.5)
        _mark_restarts(axes, name, epochs)
        axes.set_ylim(0, 1.08)
        axes.set_xlim(0, epochs)
    _save(figure, path)


def _curves(found: dict[str, Any], framework: str, rate: str, name: str, metric: str) -> NDArray[np.float64]:
    return np.array(found["curves"][f"{framework}/{rate}/{name}"][metric])


def _shown(found: dict[str, Any], key: str, name: str, metric: str) -> NDArray[np.float64]:
    """The curves as they are drawn: of an accuracy the share of errors, on whose log axis 0.98 and 0.99 differ."""
    curves = _curves(found, *key.split("/"), name, metric)
    return curves if metric == "val_loss" else 1.0 - curves


def draw_validation(found: dict[str, Any], rate: str, metric: str, path: Path) -> None:
    """A panel a schedule: mean and standard deviation of the seeds in both frameworks, and the baseline beside it."""
    design = found["design"]
    epochs = np.arange(design["epochs"])
    figure, panels = _panels(design["courses"], f"{METRICS[metric].capitalize()} after each epoch, {RATES[rate]}")
    late, centres = min(4, len(epochs) - 1), []
    for name, axes in panels:
        for framework, (word, colour) in FRAMEWORKS.items():
            curves = _shown(found, f"{framework}/{rate}", name, metric)
            mean, deviation = curves.mean(0), curves.std(0, ddof=1)
            if name != BASELINE:
                base = _shown(found, f"{framework}/{rate}", BASELINE, metric).mean(0)
                axes.plot(epochs, base, color=colour, linewidth=1.0, linestyle=(0, (1, 1.5)), label=f"{word}, baseline")
            lower = np.maximum(mean - deviation, mean / 10)  # a log axis has no 0
            axes.fill_between(epochs, lower, mean + deviation, color=colour, alpha=0.16, linewidth=0)
            axes.plot(epochs, mean, color=colour, linewidth=1.8, label=word)
            centres += mean[late:].tolist()
        _mark_restarts(axes, name, len(epochs))
    axes = panels[0][1]
    axes.set_xlim(0, len(epochs) - 1)
    axes.set_xticks(epochs[::PERIOD])
    _scale(axes, metric, min(centres) / 1.25, max(centres) * 1.1)
    handles, labels = panels[-1][1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=10, labelcolor=INK)
    _save(figure, path)


def _scale(axes: Any, metric: str, low: float, high: float) -> None:
    """A log axis, of errors upside down and with accuracies for its numbers."""
    axes.set_yscale("log")
    ticks = [tick for power in range(-4, 2) for tick in np.array([1, 2, 5]) * 10.0**power if low <= tick <= high]
    is_loss = metric == "val_loss"
    axes.set_yticks(ticks, [f"{tick if is_loss else 1.0 - tick:.4g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(*((low, high) if is_loss else (high, low)))


def _aligned(curves: NDArray[np.float64], epochs: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places around restarts, and each seed's mean there less the last value before the restart, (seeds, places)."""
    places = np.arange(-AROUND, AROUND + 1)
    inside = [epoch for epoch in epochs if epoch + AROUND < curves.shape[1]]
    pieces = [curves[:, epoch + places] - curves[:, [epoch - 1]] for epoch in inside]
    return places, np.mean(pieces, axis=0)


def draw_restarts(found: dict[str, Any], path: Path) -> None:
    """What the metrics do around a restart, against the last epoch before it."""
    from scipy import stats

    design = found["design"]
    figure = new_figure(12.0, 5.8)
    settings = [(framework, rate) for framework in FRAMEWORKS for rate in RATES]
    grid = figure.subplots(2, len(settings), sharex=True, sharey="row", squeeze=False)
    for row, metric in zip(grid, METRICS, strict=True):
        for axes, (framework, rate) in zip(row, settings, strict=True):
            clean(axes)
            for name, colour in zip(RESTARTING, (COLOURS[2], COLOURS[3]), strict=True):
                if name not in design["courses"]:
                    continue
                places, changes = _aligned(_curves(found, framework, rate, name, metric), restarts(design["epochs"]))
                mean = changes.mean(0)
                half = changes.std(0, ddof=1) / len(changes) ** 0.5 * stats.t.ppf(0.975, len(changes) - 1)
                axes.fill_between(places, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0)
                axes.plot(places, mean, "o-", color=colour, linewidth=1.8, markersize=3.5, label=name)
            axes.axhline(0, color=FAINT, linewidth=0.8)
            axes.axvline(0, color=INK, linewidth=1.0, linestyle=(0, (2, 2)))
            if metric == "val_acc":
                where = "the finder's rate" if rate == "found" else f"at {SAME:g}"
                axes.set_title(f"{FRAMEWORKS[framework][0]}, {where}", loc="left", color=INK, fontsize=11)
            else:
                axes.set_xlabel("epochs from the restart", color=FAINT)
        row[0].set_ylabel(f"{METRICS[metric]},\nless that before the restart", color=FAINT)
    grid[0][0].legend(frameon=False, fontsize=9, labelcolor=INK)
    title = "Around a restart: mean of all restarts, with intervals of 95 % over the seeds"
    figure.suptitle(title, x=0.015, ha="left", color=INK, fontsize=15, fontweight="bold")
    _save(figure, path)


def draw_parabola(found: dict[str, Any], path: Path) -> None:
    """What is left of the start, and the shares at which the article's two counts come out."""
    figure = new_figure(7.5, 4.2)
    axes = figure.subplots()
    clean(axes)
    low, high = found["parabola"]["window"]
    axes.axhspan(low, high, color=FAINT, alpha=0.35, linewidth=0)
    for (name, left), count, colour in zip(found["parabola"]["left"].items(), ARTICLE, COLOURS, strict=False):
        axes.plot(left, "o-", color=colour, markersize=3, linewidth=1.6, label=name)
        axes.axvline(count, color=colour, linewidth=1.0, linestyle=(0, (2, 2)))
        axes.annotate(f"{count} epochs", (count, 0.3), color=colour, rotation=90, ha="right", va="center", fontsize=9)
    axes.set_yscale("log")
    axes.set_ylim(2e-4, 1.3)
    axes.set_xlim(0, ARTICLE[0] + 1)
    axes.set_xlabel("epoch", color=FAINT)
    axes.set_ylabel("share of the start that is left", color=FAINT)
    axes.legend(frameon=False, fontsize=10, labelcolor=INK, loc="lower left")
    axes.set_title("Gradient descent on x²", loc="left", color=INK, fontsize=13, fontweight="bold")
    _save(figure, path)


def _pictures(found: dict[str, Any]) -> Iterator[tuple[str, Callable[[Path], None]]]:
    yield "schedules", lambda path: draw_schedules(found, path)
    for rate in RATES:
        for metric, word in (("val_acc", "accuracy"), ("val_loss", "loss")):
            yield f"validation_{word}_{rate}", lambda path, r=rate, m=metric: draw_validation(found, r, m, path)
    if found["design"]["epochs"] > PERIOD + AROUND:
        yield "restarts", lambda path: draw_restarts(found, path)
    yield "parabola", lambda path: draw_parabola(found, path)


def draw(found: dict[str, Any], folder: Path, name: str) -> list[str]:
    """All of them; the names of the files."""
    files = []
    for picture, drawn in _pictures(found):
        files.append(f"{name}_{picture}.png")
        drawn(folder / files[-1])
    return files
