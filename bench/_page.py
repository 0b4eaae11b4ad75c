"""The page of results: of each topic the newest measurement that is there, with its picture.

`python -m bench --page` makes it from the JSON in bench/results/; a test holds that the page is what they say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench._measure import Row

PAGE = "README.md"
Found = dict[str, tuple[dict[str, Any], list[Row]]]

TITLES = {
    "fill": ("Tables against memory", "50 million float64 values into a ready array, as a multiple of `out.fill(v)`."),
    "peers": (
        "Tables against other libraries",
        "Eight schedules in float64, one thread, each library in the fastest way that we found for it: array libraries "
        "in place, by blocks and curve by curve. torch's schedulers can only be stepped: their cost is that of 20,000 "
        "steps.",
    ),
    "scaling": (
        "What grows",
        "With the number of pieces, of threads, of steps (streamed through a block) and of groups. A flat line is ours "
        "at a large size against ours at a small one, for each item.",
    ),
    "take": ("Scattered steps", "Ten million steps in any order, into a new array."),
    "calls": ("One step at a time", "Python's loop around the calls included, about 15 ns each."),
    "smooth": ("Smoothing", "Ten million losses."),
    "insight": ("explain and lint", "Of ten million updates."),
    "memory": ("Memory", "The highest of a process, as the operating system has it, beyond the result."),
    "import": ("Import", "Processor time in fresh processes."),
    "cli": ("The command", "Processor time of a fresh process."),
    "tables": ("Tables on disk", "20 million float64 values, by the clock, synchronised with the disk."),
    "disk": (
        "Tables of 1 G steps on disk",
        "By the clock, synchronised with the disk; ours with a hash of the values and by two threads. NumPy writes a "
        "tenth of it. What a value costs the others is that of 50 million, and writing it costs them the same.",
    ),
    "spec": ("Spec files", "From the name of a file to its schedule."),
    "pictures": ("Pictures of schedules", "Of a million updates."),
    "torch": ("Schedulers in PyTorch", "`step()` alone, without the optimizer's."),
    "updates": (
        "An update of a training loop",
        "All of a small model's update, with the framework's own schedule or with ours. Keras' `fit` stands under "
        "Keras, and `step()` alone under schedulers in PyTorch.",
    ),
    "monitor": ("The monitor", "A training that is watched, against one that is not."),
    "tf1": ("TensorFlow 1", "Building and running the nodes of a learning rate."),
    "keras": ("Keras", "Compiled updates and `fit`, on three backends."),
}


def newest(folder: Path) -> Found:
    """Of each topic its rows and under what circumstances they were measured."""
    found: Found = {}
    for about in sorted(_measurements(folder), key=lambda about: about["date"]):
        rows = about.pop("lines")
        for topic in {row["topic"] for row in rows} & set(TITLES):
            found[topic] = about, [row for row in rows if row["topic"] == topic]
    return {topic: found[topic] for topic in TITLES if topic in found}


def _measurements(folder: Path) -> Iterator[dict[str, Any]]:
    """Those that were meant to count."""
    for path in folder.glob("20*.json"):
        about = json.loads(path.read_text())
        if not (about.get("quick") or about.get("broken_off")) and about.get("lines"):
            yield about | {"file": path.name}


# ---- Cells ----


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _time(nanoseconds: float | None) -> str:
    if nanoseconds is None:
        return ""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{_number(nanoseconds / size)} {unit}"
    return f"{_number(nanoseconds)} ns"


def _cells(row: Row) -> list[str]:
    """Ours, the peer's, ratio, bound, verdict."""
    bound = "" if row.get("bound") is None else f"{'≥' if row.get('least') else '≤'} {row['bound']:,g}"
    verdict = {True: "met", False: "**missed**", None: ""}[row["met"]]
    if row["ours"] is None:
        return ["–", "–", "–", bound, verdict]
    figure = f"{_number(row['ours'])} {row['unit']}"
    if row["unit"].startswith("×"):
        return [_time(row.get("ours_ns")), _time(row.get("peer_ns")), figure, bound, verdict]
    peer = "" if row.get("peer") is None else f"{_number(row['peer'])} {row['unit']}"
    return [figure, peer, "", bound, verdict]


def _table(heads: list[str], lines: list[list[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _met(rows: list[Row]) -> tuple[int, int]:
    bounds = [row for row in rows if row.get("bound") is not None]
    return sum(row["met"] is True for row in bounds), len(bounds)


# ---- The page ----


def _where(about: dict[str, Any]) -> str:
    machine = about["machine"]
    return f"{machine['processor']}, {machine['cores']} cores"


def _section(topic: str, about: dict[str, Any], rows: list[Row]) -> str:
    title, words = TITLES[topic]
    lines = [[row["line"], *_cells(row), row.get("note") or ""] for row in rows]
    table = _table(["line", "ours", "peer", "ratio", "bound", "verdict", "note"], lines)
    source = f"{_where(about)}, commit {about['commit']}, {about['date'][:10]}: [{about['file']}]({about['file']})"
    command = f"`python -m bench --only {topic}`"
    return f"## {title}\n\n{words} {command}; {source}.\n\n![{title}]({topic}.png)\n\n{table}\n"


def _summary(found: Found) -> str:
    lines = []
    for topic, (about, rows) in found.items():
        met, bounds = _met(rows)
        anchor = TITLES[topic][0].lower().replace(" ", "-")
        verdict = f"{met} of {bounds}" if bounds else "no bounds"
        lines.append([f"[{TITLES[topic][0]}](#{anchor})", str(len(rows)), verdict, _where(about), about["date"][:10]])
    return _table(["topic", "lines", "bounds met", "machine", "date"], lines)


def markdown(found: Found) -> str:
    met, bounds = (sum(each) for each in zip(*(_met(rows) for _, rows in found.values()), strict=True))
    head = (
        "# Results\n\n"
        "`make bench` measures every line and makes this page; `python -m bench --only TOPIC` measures some, and "
        "`python -m bench --page` makes the page again. Of each topic it has the newest measurement in this folder. "
        "A ratio without a word is ours over the peer's where the bound is an upper one (≤), and the peer's over ours "
        "where it is a lower one (≥). Times are of one item, the best of some rounds.\n\n"
        f"**{met} of {bounds} bounds met.**\n"
    )
    return "\n".join([head, _summary(found), "", *(_section(topic, *each) for topic, each in found.items())])


def write_page(folder: Path) -> None:
    """The page, and a picture for each of its topics."""
    from bench._pictures import draw

    found = newest(folder)
    for topic, (_, rows) in found.items():
        draw(topic, TITLES[topic][0], rows, folder / f"{topic}.png")
    (folder / PAGE).write_text(markdown(found))
    print(f"{folder / PAGE}: {len(found)} topics")
