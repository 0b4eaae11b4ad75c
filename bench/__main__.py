"""`python -m bench`: every line of the contract about speed, its bound and ours, as one table and as JSON.

Run it on a machine that does nothing else. What it measures is written to bench/results/, what it is unsure of is
said: the load of the machine, the share of a core that it got, the spread of its rounds.
"""

import argparse
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lrcore
from bench._measure import FREE, Row
from bench._page import write_page
from bench._worker import rows_of, streamed

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
MOST_NAMED = 8  # noisy lines

# In the order of the table. A module has `lines(quick)`, timed here, or `rows(quick)`, measured by itself; one with
# `PARTS` is run by `_worker`, each part in a process of its own.
TOPICS = [
    "fill",
    "peers",
    "scaling",
    "take",
    "calls",
    "smooth",
    "insight",
    "memory",
    "import",
    "cli",
    "tables",
    "disk",
    "spec",
    "pictures",
    "torch",
    "updates",
    "monitor",
    "tf1",
    "keras",
]

LIBRARIES = [
    "numpy",
    "scipy",
    "pandas",
    "numba",
    "numexpr",
    "jax",
    "jaxlib",
    "optax",
    "plotly",
    "torch",
    "tensorflow-cpu",
    "keras",
]
COLUMNS = "{topic:<8}  {line:<66}  {ours:>13}  {bound:>7}  {median:>8}  {noise:>6}  {verdict:<8}  {detail}"


# ---- What is measured, and on what ----


def _rows_of(topic: str, quick: bool) -> Iterator[Row]:
    module = importlib.import_module(f"bench.bench_{topic}")
    if not hasattr(module, "PARTS"):
        yield from rows_of(module, quick)
        return
    environment = getattr(module, "environment", lambda _: {})
    for part in module.PARTS:
        yield from streamed(f"bench_{topic}", part, quick, environment(part))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    """The commit, with a "+" if the package differs from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + "+" * bool(_git("status", "--porcelain", "--", "lrcore", "setup.py"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _load() -> float | None:
    """Processes that wanted to run, on average over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _circumstances() -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "lrcore": lrcore.__version__,
        "engine": lrcore.build_info(),
        "machine": {
            "processor": _processor(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.system(),
        },
        "python": platform.python_version(),
        "libraries": {library: _version(library) for library in LIBRARIES},
        "load_before": _load(),
    }


# ---- How it is shown ----


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _detail(row: Row) -> str:
    """Times of one value, where there are two, and the line's note."""
    times = f"{row['ours_ns']:.2f} ns, peer {row['peer_ns']:.2f}" if row.get("peer_ns") is not None else ""
    return "; ".join(filter(None, [times, row.get("note")]))


def _bound(row: Row) -> str:
    if row.get("bound") is None:
        return ""
    return f"{'≥' if row.get('least') else '≤'} {row['bound']:g}"


def _shown(row: Row) -> str:
    return COLUMNS.format(
        topic=row["topic"],
        line=row["line"],
        ours="–" if row["ours"] is None else f"{_number(row['ours'])} {row['unit']}",
        bound=_bound(row),
        median=_number(row.get("median")),
        noise=f"{row['noise']:.0%}" if "noise" in row else "",
        verdict={True: "met", False: "MISSED", None: ""}[row["met"]],
        detail=_detail(row),
    ).rstrip()


def _heading() -> str:
    words = ["topic", "line", "ours", "bound", "median", "noise", "verdict", "one value"]
    names = ["topic", "line", "ours", "bound", "median", "noise", "verdict", "detail"]
    return COLUMNS.format(**dict(zip(names, words, strict=True)))


def _shown_circumstances(about: dict[str, Any]) -> str:
    machine, engine = about["machine"], about["engine"]
    libraries = ", ".join(f"{name} {version or 'missing'}" for name, version in about["libraries"].items())
    return (
        f"lrcore {about['lrcore']} at {about['commit']}, {about['date']}\n"
        f"{machine['processor']}, {machine['cores']} cores, {machine['architecture']}, {machine['system']}; "
        f"engine by {engine['compiler']}, loops for {engine['active']}\n"
        f"Python {about['python']}; {libraries}\n"
    )


def _warnings(about: dict[str, Any], rows: list[Row]) -> Iterator[str]:
    """What speaks against these numbers. This process is itself a load of 1."""
    if about.get("quick"):
        yield "Small sizes, which fit the cache: no verdict counts."
    load, cores = about["load_before"], about["machine"]["cores"] or 1
    if load is not None and load > 0.3 * cores:
        yield f"The machine was busy before we began (load {load:.1f} on {cores} cores): measure again when it is not."
    share = min((row["core_share"] for row in rows if "core_share" in row), default=1.0)
    if share < FREE:
        yield (
            f"At worst we got {share:.0%} of a core. CPU time allows for the waiting, not for caches and memory that "
            "others used meanwhile; the line about threads needs both cores."
        )
    noisy = [row["line"] for row in rows if row.get("noise", 0.0) > 0.1]
    if noisy:
        more = f" and {len(noisy) - MOST_NAMED} more" if len(noisy) > MOST_NAMED else ""
        yield f"Rounds differed by more than 10 %: {'; '.join(noisy[:MOST_NAMED])}{more}."


def _summary(rows: list[Row]) -> str:
    bounds = [row for row in rows if row.get("bound") is not None]
    met = sum(row["met"] is True for row in bounds)
    missed = sum(row["met"] is False for row in bounds)
    return f"{met} of {len(bounds)} bounds met, {missed} missed, {len(bounds) - met - missed} not measured"


# ---- The command ----


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to try the benchmark itself; no verdict counts"
    )
    parser.add_argument("--only", nargs="+", choices=TOPICS, default=TOPICS, metavar="TOPIC", help=" ".join(TOPICS))
    parser.add_argument("--json", type=Path, help="where to write; by default bench/results/, and nothing with --quick")
    parser.add_argument(
        "--page", action="store_true", help="only make the page and its pictures from what was measured"
    )
    return parser.parse_args()


def _write(path: Path, about: dict[str, Any], rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, "lines": rows}, indent=1, ensure_ascii=False) + "\n")
    print(f"Written to {path}")


def _measured(asked: argparse.Namespace, about: dict[str, Any]) -> list[Row]:
    """All rows; when it is broken off, those that there are."""
    rows: list[Row] = []
    try:
        for topic in asked.only:
            for row in _rows_of(topic, asked.quick):
                rows.append(row)
                print(_shown(row), flush=True)
    except KeyboardInterrupt:
        about["broken_off"] = True
    return rows


def _path(about: dict[str, Any], topics: list[str]) -> Path:
    """Named by the day, the commit, and the topics where they are not all."""
    some = "" if topics == TOPICS else "-" + "-".join(topics)
    return RESULTS / f"{about['date'][:10]}-{about['commit'].rstrip('+')}{some}.json"


def main() -> None:
    asked = _arguments()
    if asked.page:
        write_page(RESULTS)
        return
    about = _circumstances() | {"quick": asked.quick}
    print(_shown_circumstances(about))
    print(_heading())
    rows = _measured(asked, about)
    about["load_after"] = _load()
    print(f"\n{_summary(rows)}")
    for warning in _warnings(about, rows):
        print(warning)
    path = asked.json
    if path is None and not asked.quick:
        path = _path(about, asked.only)
    if path is not None:
        _write(path, about, rows)
    if path is not None and path.parent == RESULTS:
        write_page(RESULTS)


if __name__ == "__main__":
    sys.exit(main())
