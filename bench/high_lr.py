"""`python -m bench.high_lr`: why a high learning rate made the forum's training fail, and whether we notice.

The table is that of the thread, on images made here: its cost is the sum of an epoch's 34 losses divided by
int(1080 / 32) = 33, so that a net which knows nothing costs not ln 6 = 1.792 but 1.846. Beside it stands what a monitor
said and when, and how the same run ended that followed the advice by itself.

`--validate` counts: alarms of that family of runs and of other classifiers, by how each run ended. What it writes to
bench/results/ has all runs in it. Seeds from 100 on are those that the monitor's thresholds were chosen with; others
are used here.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.__main__ import RESULTS, _circumstances
from bench.high_lr_tasks import FORUM, OPTIMIZERS, OTHERS, Outcome, Setting

RATES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
FORUM_RATES = (1.0, 0.1, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
OTHER_RATES = (10.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5)
DIVISOR = 33  # int(1080 / 32), of 34 batches
SHOWN_STEPS = 1360  # 40 epochs
FORUM_STEPS, OTHER_STEPS = 170, 300
FRAMEWORKS = ("torch", "keras")  # as far as there is a module high_lr_... of each
TARGETS = {"recall": 39 / 40, "median_step": 24, "false_alarms": 0.01, "told_apart": 0.9}
ENOUGH = {"forum": 49, "others": 200}  # healthy runs, without which few false alarms say little
ROW = "{inputs:<13} {lr:>7} {cost:>9} {accuracy:>5}   {verdict:<20} {step:>5} {dead:>5}   "
ROW += "{advised:>7} {mended:>6} {end:>5}"


# ---- The table ----


@dataclass(frozen=True)
class Shown:
    """A row of the table: the thread's numbers, what the monitor said, and how the run ended that followed it."""

    framework: str
    inputs: str
    lr: float
    cost: float
    accuracy: float
    verdict: str
    step: int | None
    dead: float | None
    advised: float | None
    mended_cost: float | None
    mended_accuracy: float | None

    def __str__(self) -> str:
        return ROW.format(
            inputs=self.inputs,
            lr=f"{self.lr:g}",
            cost=f"{self.cost:.4g}",
            accuracy=f"{self.accuracy:.2f}",
            verdict=self.verdict,
            step="" if self.step is None else self.step,
            dead="" if self.dead is None else f"{self.dead:.0%}",
            advised="" if self.advised is None else f"{self.advised:.2g}",
            mended="" if self.mended_cost is None else f"{self.mended_cost:.3f}",
            end="" if self.mended_accuracy is None else f"{self.mended_accuracy:.2f}",
        )


def _cost(losses: list[float]) -> float:
    return sum(losses[-DIVISOR - 1 :]) / DIVISOR


def shown(framework: str, steps: int, task: str, lr: float) -> Shown:
    """The row of a task and a rate."""
    runs = importlib.import_module(f"bench.high_lr_{framework}")
    setting = Setting(task, "adam", lr, 0, steps)
    ended, losses, alarm, final = runs.watched(setting)
    said = alarm or final
    again: tuple[float | None, float | None] = (None, None)
    if alarm is not None:
        mended, after, _ = runs.mended(setting)
        again = (_cost(after), mended.accuracy)
    dead = said.evidence.get("dead_fractions")
    return Shown(
        framework=framework,
        inputs=task.partition(", ")[2],
        lr=lr,
        cost=_cost(losses),
        accuracy=ended.accuracy,
        verdict=said.verdict,
        step=said.step,
        dead=max(dead) if dead else None,
        advised=alarm.lr if alarm is not None else None,
        mended_cost=again[0],
        mended_accuracy=again[1],
    )


def heading() -> str:
    """The names of the columns."""
    return ROW.format(
        inputs="inputs",
        lr="lr",
        cost="cost",
        accuracy="acc.",
        verdict="verdict",
        step="step",
        dead="dead",
        advised="advised",
        mended="cost",
        end="acc.",
    )


# ---- The figures ----


@dataclass(frozen=True)
class Judged:
    """A run, how it ended, and what was said of it."""

    setting: Setting
    outcome: Outcome
    alarm: str | None
    step: int | None
    verdict: str
    direction: str | None
    advised: float | None

    @property
    def ended(self) -> str:
        """As what it counts."""
        return self.outcome.verdict

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        said = {name: getattr(self, name) for name in ("ended", "alarm", "step", "verdict", "direction", "advised")}
        loss = self.outcome.loss if math.isfinite(self.outcome.loss) else str(self.outcome.loss)
        return {**self.setting.to_dict(), "loss": loss, "accuracy": self.outcome.accuracy, **said}


def judged(setting: Setting) -> Judged:
    """A run of torch, judged."""
    from bench.high_lr_torch import watched

    ended, _, alarm, final = watched(setting)
    said = alarm or final
    return Judged(
        setting=setting,
        outcome=ended,
        alarm=None if alarm is None else alarm.verdict,
        step=None if alarm is None else alarm.step,
        verdict=final.verdict,
        direction=said.direction,
        advised=said.lr,
    )


def settings(quick: bool) -> tuple[list[Setting], list[Setting]]:
    """The runs of the forum's family, and the others."""
    seeds, more = (1, 1) if quick else (10, 3)
    forum = [
        Setting(task, "adam", lr, seed, FORUM_STEPS) for seed in range(seeds) for task in FORUM for lr in FORUM_RATES
    ]
    others = [
        Setting(task, optimizer, lr, seed, OTHER_STEPS)
        for seed in range(more)
        for task in OTHERS
        for optimizer in OPTIMIZERS
        for lr in OTHER_RATES
    ]
    return (forum[::5], others[::17]) if quick else (forum, others)


def counted(runs: Iterable[Judged]) -> dict[str, Any]:
    """How many failed, healthy and slow runs there are, and how many of each gave an alarm."""
    listed = list(runs)
    failed = [run for run in listed if run.ended == "failed"]
    steps = [run.step for run in failed if run.step is not None]
    counts = {
        f"{ended}{word}": sum(run.ended == ended and (run.alarm is not None or not word) for run in listed)
        for ended in ("failed", "healthy", "slow")
        for word in ("", "_with_alarm")
    }
    late = {"median_step": statistics.median(steps), "last_step": max(steps)} if steps else {}
    return {**counts, **late}


def told_apart(runs: Iterable[Judged]) -> dict[str, list[int]]:
    """Of failing runs at rates above and below the best of their kind: how many the direction is right of, of all."""
    listed = list(runs)
    found = {"too_high": [0, 0], "too_low": [0, 0]}
    for run in listed:
        alike = [other for other in listed if _kind(other) == _kind(run)]
        best = max(alike, key=lambda one: one.outcome.learnt)
        if run.ended != "failed" or best.ended == "failed":
            continue
        truth = "too_high" if run.setting.lr > best.setting.lr else "too_low"
        found[truth][0] += run.direction == truth
        found[truth][1] += 1
    return found


def _kind(run: Judged) -> tuple[Any, ...]:
    return run.setting.task, run.setting.optimizer, run.setting.seed


def figures(forum: list[Judged], others: list[Judged]) -> dict[str, Any]:
    """The figures, and whether they meet their targets."""
    ours, rest, apart = counted(forum), counted(others), told_apart(forum + others)
    right, every = (sum(pair[place] for pair in apart.values()) for place in (0, 1))
    met = {
        "recall": ours["failed_with_alarm"] >= TARGETS["recall"] * ours["failed"],
        "false_alarms_forum": ours["healthy_with_alarm"] == 0,
        "median_step": ours.get("median_step", 0) <= TARGETS["median_step"],
        "false_alarms_others": rest["healthy_with_alarm"] <= TARGETS["false_alarms"] * rest["healthy"],
        "told_apart": right >= TARGETS["told_apart"] * every,
        "enough_forum": ours["healthy"] >= ENOUGH["forum"],
        "enough_others": rest["healthy"] >= ENOUGH["others"],
    }
    return {"forum": ours, "others": rest, "told_apart": apart, "met": met}


# ---- The command ----


def _mapped(function: Any, items: list[Any], jobs: int, what: str) -> Iterator[Any]:
    begin = time.perf_counter()
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        results = pool.map(function, items) if pool else map(function, items)
        for number, result in enumerate(results, start=1):
            if number % 20 == 0 or number == len(items):
                print(f"{what}: {number} of {len(items)}, {time.perf_counter() - begin:.0f} s", file=sys.stderr)
            yield result


def frameworks() -> list[str]:
    """Those whose runs are there."""
    return [name for name in FRAMEWORKS if importlib.util.find_spec(f"bench.high_lr_{name}")]


def table(framework: str, quick: bool) -> list[Shown]:
    """The rows of a framework, printed as they come."""
    print(f"\n{framework}\n{'':>36}   a monitor says {'':>19}   who follows it\n{heading()}")
    rows = []
    for task in FORUM:
        for lr in RATES[2:3] if quick else RATES:
            rows.append(shown(framework, 170 if quick else SHOWN_STEPS, task, lr))
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Prints the table, or with `--validate` the figures; writes them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.high_lr", description=__doc__)
    parser.add_argument("--validate", action="store_true", help="count alarms over many runs")
    parser.add_argument("--quick", action="store_true", help="few and short runs, to see that it works")
    parser.add_argument("--framework", choices=frameworks(), action="append", help="by default all that are there")
    parser.add_argument("--jobs", type=int, default=1, help="processes, for --validate")
    parser.add_argument("--json", type=Path, help="where to write; by default bench/results/high_lr….json")
    options = parser.parse_args()
    begin = time.perf_counter()
    if options.validate:
        forum, others = settings(options.quick)
        done = (
            list(_mapped(judged, forum, options.jobs, "forum")),
            list(_mapped(judged, others, options.jobs, "others")),
        )
        found = figures(*done)
        print(json.dumps(found, indent=2))
        written = {**found, "runs": [run.to_dict() for run in [*done[0], *done[1]]]}
    else:
        rows = [row for name in options.framework or frameworks() for row in table(name, options.quick)]
        written = {"table": [asdict(row) for row in rows]}
    path = options.json or RESULTS / f"high_lr{'_validation' * options.validate}{'_quick' * options.quick}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {**_circumstances(), "seconds": round(time.perf_counter() - begin), "quick": options.quick}
    path.write_text(json.dumps({**about, **written}, indent=1) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
