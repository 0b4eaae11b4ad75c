"""`python -m bench.finder_regret`: how much is lost by training with the rate that a learning-rate finder suggests.

Seven small tasks with SGD, momentum 0.9 and Adam, at a constant rate and in one cycle. The truth is the validation loss
after whole trainings with 25 rates from 1e-5 to 10, three seeds each (two for the transformer). Each finder suggests
rates from 16 range tests of an optimizer; finder_scoring.py says how they are judged.

What it cannot show: the tasks are small and the trainings short, so a constant rate does well that would not elsewhere;
seven tasks are few, which the intervals say; and the members of our committee were chosen on them, by
`--choose`, which prints what they would have scored on tasks that they were not chosen on.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import lrcore
from bench.__main__ import _commit, _processor
from bench.finder_candidates import CONSTANTS, candidates
from bench.finder_scoring import Truth, judged, regrets_of, truth_of
from bench.finder_tasks import TASKS, Task
from bench.finder_training import GRID, OPTIMIZERS, QUICK, RANGES, SCHEDULES, WHOLE, Curves, Floats, Size, collect

RESULTS = Path(__file__).parent / "results"
REFERENCE = "fastai-valley"
MANY, REFINED, SINGLE = "lrcore, 8 restarts", "lrcore, 8 restarts, refined", "lrcore, 1 run"
MINIMUM = "fastai-minimum"
SEARCH = "search: 25 rates, short runs of each"
CONSTANT = "constant: sgd .1, momentum .03, adam .01"
DIFFERENCE = ["difference", "difference_interval"]
PAIRS = [
    (MANY, MINIMUM),
    (MANY, CONSTANT),
    (SINGLE, MINIMUM),
    (SINGLE, CONSTANT),
    (REFINED, MANY),
    (REFINED, CONSTANT),
    (REFINED, SEARCH),
]
LIBRARIES = ["numpy", "torch", "scikit-learn"]

LIMITS = """\
# The regret of learning-rate finders

0 is as good as the best rate of the grid, 1 is no learning; see `finder_regret.py` for what was measured and
`finder_regret.json` for all figures. How to read it:

- Seven tasks are few. One of them, the transformer, makes most of our regret: its loss rests for long and falls late,
  of which a range test sees little.
- The committee and the comparison of short runs were chosen on these tasks. `finder_regret.choice.txt` has what
  `--choose` said: on a task that had no part in it the committee costs 0.162, one run and eight alike, where it costs
  0.110 here; short runs around its suggestions 0.042.
- Restarts differ in their initial weights, as with `find_lr(reinit="reset")`; those "from one start" in the order of
  the data alone, as `find_lr` makes them of a model as it is.
- "search" tries all rates in such short runs: about the best that their steps can tell. Where it fails, the end of a
  training cannot be told from its beginning.
- The tasks are small and the trainings short: that constants without a test do so well is of this benchmark.
"""

Rows = dict[str, dict[str, Any]]


def rows_of(curves: Curves, tasks: list[Task], truth: Truth) -> tuple[Rows, list[dict[str, Any]]]:
    """Each finder's figures, and the differences between some of them."""
    found: dict[str, tuple[int, Floats]] = {}
    for name, cost, rates in candidates(curves, tasks, truth):
        found[name] = (cost, rates)
    reference = regrets_of(truth, found[REFERENCE][1])
    rows = {name: {"gradients": cost} | judged(truth, rates, reference) for name, (cost, rates) in found.items()}
    differences = []
    for name, other in PAIRS:
        row = judged(truth, found[name][1], regrets_of(truth, found[other][1]))
        differences.append({"finder": name, "than": other} | {key: row[key] for key in DIFFERENCE})
    return rows, differences


def targets(rows: Rows) -> list[dict[str, Any]]:
    """What was set as a goal, what came out, and whether that meets it."""

    def row(what: str, figure: float, bound: float) -> dict[str, Any]:
        return {"target": what, "figure": figure, "bound": bound, "met": figure <= bound}

    upper = "upper end of the interval of the difference to fastai's valley"
    return [
        row("8 restarts: regret", rows[MANY]["regret"], 0.08),
        row("8 restarts, refined: regret", rows[REFINED]["regret"], 0.05),
        row(f"8 restarts: {upper}", rows[MANY]["difference_interval"][1], 0.0),
        row(f"8 restarts, refined: {upper}", rows[REFINED]["difference_interval"][1], 0.0),
        row("1 run: regret, against that of minimum/10", rows[SINGLE]["regret"], rows[MINIMUM]["regret"]),
    ]


# ---- How it is shown ----

HEADING = """\
| finder | gradients | regret [90 %] | against valley [90 %] | p90 | > 0.5 | silent | bias, decades | sd, decades |
|---|---:|---|---|---:|---:|---:|---:|---:|"""


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _line(name: str, row: dict[str, Any]) -> str:
    low, high = row["interval"]
    below, above = row["difference_interval"]
    difference = "" if name == REFERENCE else f"{row['difference']:+.3f} [{below:+.3f}, {above:+.3f}]"
    deviation = "" if row["spread"] is None else f"{row['spread']:.2f}"
    cells = [
        name,
        f"{row['gradients']:,}",
        f"{row['regret']:.3f} [{low:.3f}, {high:.3f}]",
        difference,
        f"{row['p90']:.2f}",
        f"{row['share_above_half']:.0%}",
        f"{row['silent']:.0%}",
        _signed(row["bias"]),
        deviation,
    ]
    return f"| {' | '.join(cells)} |"


def table(rows: Rows) -> str:
    return "\n".join([HEADING, *(_line(name, row) for name, row in rows.items())])


def _by_task(rows: Rows, tasks: list[Task]) -> Iterator[str]:
    """The tasks' means of a few finders: where each of them fails."""
    shown = [REFINED, MANY, SINGLE, REFERENCE, MINIMUM]
    yield f"| task | {' | '.join(shown)} |"
    yield "|---|" + "---:|" * len(shown)
    for number, task in enumerate(tasks):
        means = [f"{rows[name]['by_task'][number]:.3f}" for name in shown]
        yield f"| {' | '.join([task.name, *means])} |"


def draw(rows: Rows, tasks: list[Task], path: Path) -> None:
    from matplotlib.figure import Figure

    names = list(rows)
    figure = Figure(figsize=(10, 0.34 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        row = rows[name]
        colour = "C0" if name.startswith("lrcore") else "C7" if name.startswith(("constant", "search")) else "C1"
        axes.plot(row["interval"], [place, place], color=colour, linewidth=3, alpha=0.4, solid_capstyle="butt")
        axes.plot(row["by_task"], [place] * len(tasks), "|", color=colour, markersize=7)
        axes.plot(row["regret"], place, "o", color=colour)
        axes.annotate(f"{row['regret']:.3f}", (1.02, place), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=0.1)
    ticks = [0, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(0, 1.3)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("regret: 0 as good as the best rate, 1 no learning; mean, 90 % interval and each task's mean")
    figure.savefig(path, dpi=110)


# ---- The command ----


def _circumstances(size: Size, seconds: float, workers: int) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "date": now.isoformat(timespec="seconds"),
        "commit": _commit(),
        "lrcore": lrcore.__version__,
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "machine": {"processor": _processor(), "cores": os.cpu_count()},
        "processes": workers,
        "processor_seconds": round(seconds, 1),
        "quick": size == QUICK,
    }


def _design(curves: Curves, tasks: list[Task], size: Size, truth: Truth) -> dict[str, Any]:
    return {
        "tasks": {t.name: {"steps": round(size.share * t.steps), "batch": t.batch} for t in tasks},
        "optimizers": OPTIMIZERS,
        "schedules": SCHEDULES,
        "rates": list(GRID),
        "grid": size.grid,
        "seeds": {task.name: min(size.seeds, task.seeds) for task in tasks},
        "range_tests": {name: {"start": a, "end": b, "steps": c} for name, (a, b, c) in RANGES.items()},
        "runs": size.runs,
        "constants": CONSTANTS,
        "best_rates": (10**truth.best).tolist(),
        "start_losses": [float(curves[f"{task.name}/start"]) for task in tasks],
        "best_losses": [
            [[float(curves[f"{t.name}/{o}/{s}"].min()) for s in SCHEDULES] for o in OPTIMIZERS] for t in tasks
        ],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.finder_regret", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a little of everything; no verdict counts")
    parser.add_argument("--choose", action="store_true", help="print what this data chooses for lrcore.finder, and end")
    parser.add_argument("--out", type=Path, help="folder for the JSON and the picture; bench/results, but for --quick")
    parser.add_argument("--curves", type=Path, help=".npz of the trainings: read if it is there, else written")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes, a thread each")
    return parser.parse_args()


def _curves(path: Path | None, size: Size, workers: int) -> Curves:
    if path is not None and path.exists():
        with np.load(path) as found:
            return dict(found)
    curves = collect(TASKS, size, workers)
    if path is not None:
        np.savez_compressed(path, **curves)
    return curves


def _goal(goal: dict[str, Any]) -> str:
    verdict = "met" if goal["met"] else "MISSED"
    return f"- {verdict}: {goal['target']} {goal['figure']:.3f}, bound {goal['bound']:.3f}"


def _difference(row: dict[str, Any]) -> str:
    low, high = row["difference_interval"]
    return f"- {row['finder']} less {row['than']}: {row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"


def _report(rows: Rows, tasks: list[Task], goals: list[dict[str, Any]], differences: list[dict[str, Any]]) -> str:
    lists = ["\n".join(map(_goal, goals)), "\n".join(map(_difference, differences))]
    return "\n\n".join([table(rows), "\n".join(_by_task(rows, tasks)), *lists])


def main() -> None:
    asked = _arguments()
    size = QUICK if asked.quick else WHOLE
    if asked.choose:
        size = replace(size, probe_grid=65)
    curves = _curves(asked.curves, size, asked.workers)
    truth = truth_of(curves, TASKS)
    if asked.choose:
        from bench.finder_choice import choose

        print(choose(curves, TASKS, truth))
        return
    rows, differences = rows_of(curves, TASKS, truth)
    goals = targets(rows)
    trained = sum(float(value) for key, value in curves.items() if key.endswith("/seconds"))
    about = _circumstances(size, trained, asked.workers)
    report = _report(rows, TASKS, goals, differences)
    print(report)
    print(f"\n{trained:.0f} s of processor time to train{'; a quick run, no verdict counts' if asked.quick else ''}")
    folder = asked.out or (None if asked.quick else RESULTS)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        written = about | {"design": _design(curves, TASKS, size, truth), "targets": goals}
        written |= {"differences": differences, "finders": rows}
        (folder / "finder_regret.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
        (folder / "finder_regret.md").write_text(f"{LIMITS}\n{report}\n")
        draw(rows, TASKS, folder / "finder_regret.png")


if __name__ == "__main__":
    main()
