"""The rows of the GPU harness, their verdicts, and what is written of them: JSON, Markdown and pictures."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MET, MISSED, FAILED = "met", "MISSED", "failed"
ABSENT, LATE = "not on this device", "not run"
BAD = {MISSED, FAILED}
NAMED = {"schedule", "model", "optimizer", "groups"}  # what the name of a row says already


@dataclass
class Row:
    """A line of a table. Without a verdict it is there for information."""

    part: str
    name: str
    figures: dict[str, Any] = field(default_factory=dict)
    verdict: str = ""
    note: str = ""
    losses: dict[str, list[float]] = field(default_factory=dict)  # ours; torch's if they are others


@dataclass
class Clock:
    """How long the harness may still begin something."""

    limit: float
    begin: float = field(default_factory=time.perf_counter)

    def left(self) -> float:
        return self.limit - (time.perf_counter() - self.begin)

    def used(self) -> float:
        return time.perf_counter() - self.begin


def verdict(is_met: bool) -> str:
    return MET if is_met else MISSED


def guarded(part: str, name: str, clock: Clock, make: Callable[[], Row]) -> Row:
    """The row of a case; of one that fails, or that there is no time left for, a row that says so."""
    if clock.left() <= 0.0:
        return Row(part, name, verdict=LATE, note=f"the time of {clock.limit:.0f} s was used")
    try:
        return make()
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        told = str(error).strip().splitlines()
        return Row(part, name, verdict=FAILED, note=f"{type(error).__name__}: {told[0] if told else ''}"[:200])


def side_by_side(jobs: Iterable[Callable[[], Row]]) -> Iterator[Row]:
    """Rows that processes of their own make: several at once where there are cores for it, in order."""
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 4)) as pool:
        yield from pool.map(lambda job: job(), jobs)


def summary(rows: Iterable[Row]) -> str:
    counts = dict.fromkeys((MET, MISSED, FAILED, ABSENT, LATE), 0)
    for row in rows:
        if row.verdict:
            counts[row.verdict] += 1
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count or kind in (MET, MISSED))


def is_bad(rows: Iterable[Row]) -> bool:
    """Whether the harness has to end with an error."""
    return any(row.verdict in BAD for row in rows)


# ---- Markdown ----


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value).replace("|", "\\|")


def _table(rows: list[Row]) -> list[str]:
    columns = [name for name in dict.fromkeys(name for row in rows for name in row.figures) if name not in NAMED]
    lines = [f"| | {' | '.join([*columns, 'bound', 'note'])} |", "|---" * (len(columns) + 3) + "|"]
    for row in rows:
        cells = [_cell(row.figures[name]) if name in row.figures else "" for name in columns]
        lines.append(f"| {' | '.join([_cell(row.name), *cells, row.verdict, _cell(row.note)])} |")
    return lines


def markdown(about: dict[str, Any], rows: list[Row]) -> str:
    """The whole page; `about["titles"]` says of each part what its table shows and what its bound is."""
    device, quick = about["device"], about["quick"]
    where = "a GPU" if device["kind"] == "cuda" else "the CPU: not a measurement of a GPU"
    versions = ", ".join(f"{name} {version}" for name, version in about["libraries"].items() if version)
    lines = [
        f"# The GPU harness, on {where}",
        "",
        f"{device['name']}; lrcore {about['lrcore']} at {about['commit']}, {about['date']}; Python {about['python']}, "
        f"{versions}; {about['seconds']} s.",
        "",
        f"**{summary(rows)}.**" + " Small sizes, to see that it works: no time counts." * quick,
    ]
    for part, title in about["titles"].items():
        of_part = [row for row in rows if row.part == part]
        if of_part:
            lines += ["", f"## {part}", "", title, "", *_table(of_part)]
    return "\n".join(lines) + "\n"


# ---- Pictures ----


def pictures(rows: list[Row], folder: Path) -> list[Path]:
    """A page for each way of training: losses on each other, and below the difference."""
    import matplotlib as mpl

    mpl.use("Agg")
    parts = dict.fromkeys(row.part for row in rows if row.losses)
    return [_page([row for row in rows if row.part == part and row.losses], part, folder) for part in parts]


def _page(rows: list[Row], part: str, folder: Path) -> Path:
    from matplotlib import pyplot
    from PIL import Image

    schedules = list(dict.fromkeys(row.figures["schedule"] for row in rows))
    across = min(4, len(schedules))
    down = -(-len(schedules) // across)
    figure = pyplot.figure(figsize=(3.1 * across, 2.6 * down), layout="constrained")
    cells = figure.subfigures(down, across, squeeze=False).ravel()
    for cell, schedule in zip(cells, schedules, strict=False):
        _panel(cell, schedule, [row for row in rows if row.figures["schedule"] == schedule])
    figure.suptitle(f"{part}: loss, torch's scheduler (wide) and lrcore's (thin); below, the difference", fontsize=9)
    path = folder / f"losses_{part.replace(' ', '_')}.png"
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    pyplot.close(figure)
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)  # a third of the size
    return path


def _panel(cell: Any, schedule: str, rows: list[Row]) -> None:
    losses, difference = cell.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for at, row in enumerate(rows):
        ours = row.losses["ours"]
        peer = row.losses.get("torch", ours)
        losses.plot(peer, color=f"C{at}", linewidth=3.0, alpha=0.35)
        losses.plot(ours, color=f"C{at}", linewidth=0.8, label=f"{row.figures['model']}, {row.figures['optimizer']}")
        difference.plot([one - other for one, other in zip(ours, peer, strict=True)], color=f"C{at}", linewidth=0.8)
    losses.set_title(schedule, fontsize=8)
    losses.legend(fontsize=4)
    difference.set_ylim(*_around(difference.get_ylim()))
    for axes in (losses, difference):
        axes.tick_params(labelsize=5)


def _around(limits: tuple[float, float]) -> tuple[float, float]:
    """A line that is 0 everywhere, in the middle of its panel."""
    most = max(abs(limit) for limit in limits)
    return -most, most


# ---- Files ----


def write(folder: Path, about: dict[str, Any], rows: list[Row]) -> None:
    """The JSON and the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    head = json.dumps(about, indent=1, ensure_ascii=False)[:-2]
    (folder / "gpu_parity.json").write_text(f'{head},\n "rows": [\n{lines}\n]\n}}\n')
    (folder / "gpu_parity.md").write_text(markdown(about, rows))


def read(folder: Path) -> tuple[dict[str, Any], list[Row]]:
    """What was written, to be drawn on a machine that has matplotlib."""
    about = json.loads((folder / "gpu_parity.json").read_text())
    return about, [Row(**row) for row in about.pop("rows")]
