"""The main job end to end, on real data: `lrcore demo`.

The schedules of five articles, their tables for a long run, a table on disk, and one schedule that trains the same
network in PyTorch and in Keras. It leaves pictures and tables in a folder.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore import __version__
from lrcore._articles import EXAMPLES, Example
from lrcore._demo_training import ENDS, Result, Task, digits_task, train_in_keras, train_in_torch
from lrcore.schedule import Schedule
from lrcore.tables import open_table

NEEDS = {"torch": "torch", "keras": "keras", "matplotlib": "matplotlib", "sklearn": "scikit-learn"}
STEPS = 10_000_000
QUICK_STEPS = 100_000
CHUNK = 10_000_000  # values that are in memory at a time
BARS = "▁▂▃▄▅▆▇█"
SAVED = "SGDR, doubling cycles"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit status: 0, 1 if numbers that must agree do not, 2 if a package is missing.

    Args:
        argv: the arguments; those of the process if None.
    """
    options = _parser().parse_args(argv)
    missing = [package for module, package in NEEDS.items() if find_spec(module) is None]
    if missing:
        print(f"lrcore demo needs {' and '.join(missing)}: pip install lrcore[demo]", file=sys.stderr)
        return 2
    os.environ["KERAS_BACKEND"] = "torch"  # Keras reads it when it is imported
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for a terminal without the characters of a bar
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    steps = options.steps or (QUICK_STEPS if options.quick else STEPS)
    begin = time.perf_counter()
    _say(f"lrcore {__version__}: learning-rate schedules as values")
    show_schedules(EXAMPLES)
    differing = precompute(EXAMPLES, steps, out)
    task = digits_task(ENDS[1] if options.quick else ENDS[-1])
    results = train(task)
    differing += compare(task, results)
    leave(out, steps, task, results)
    _say(f"\nDone in {time.perf_counter() - begin:.0f} s.")
    return 1 if differing else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lrcore demo", description="Schedules, tables and two trainings on real data; takes half a minute."
    )
    parser.add_argument("--out", default="out", help="folder for pictures and tables (%(default)s)")
    parser.add_argument("--steps", type=_whole, help=f"updates of the long run ({STEPS:_})")
    parser.add_argument("--quick", action="store_true", help=f"a short training, and {QUICK_STEPS:_} updates")
    return parser


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of updates >= 1, got {number}")
    return number


def _say(text: str = "", end: str = "\n") -> None:
    print(text, end=end, flush=True)


# ---- 1. The schedules ----


def show_schedules(examples: Sequence[Example]) -> None:
    """A line for each schedule: its course, and some of its values."""
    _say("\n1. The schedules of five articles, in their own epochs and updates\n")
    _say(f"   {'':43}{'begin':>11}{'1/3':>11}{'2/3':>11}{'end':>11}")
    for example in examples:
        steps = np.linspace(0, example.span - 1, 4).astype(np.int64)
        values = "".join(f"{value:>11.4g}" for value in example.schedule(steps))
        span = "" if example.is_constant else f"   {example.span} {example.unit}"
        _say(f"   {example.name:28}{_bars(example):15}{values}{span}")


def _bars(example: Example, width: int = 12) -> str:
    """The course of a schedule, a character for each twelfth of it; as high as a picture of it would be."""
    values = example.schedule(np.linspace(0, example.span - 1, width).astype(np.int64))
    heights = np.log10(values) if example.log_axis else values
    low = heights.min() if example.log_axis else 0.0
    if example.is_constant:
        return BARS[3] * width
    return "".join(BARS[round((len(BARS) - 1) * share)] for share in (heights - low) / (heights.max() - low))


# ---- 2. The tables ----


def precompute(examples: Sequence[Example], steps: int, out: Path) -> int:
    """Times the table of each schedule, saves one and reads it back; returns how many values of it differ then."""
    _say(f"\n2. Their tables for a run of {steps:,} updates, by one core\n")
    buffer = np.full(min(steps, CHUNK), np.nan)  # written once, so that the first table does not pay for its memory
    total = 0.0
    for example in examples:
        begin = time.perf_counter()
        for _ in _chunks(example.over(steps), steps, buffer):
            pass
        seconds = time.perf_counter() - begin
        total += seconds
        _say(f"   {example.name:32}{_pace(seconds, steps)}")
    _say(f"   {'all of them':32}{_pace(total, len(examples) * steps)}")
    begin = time.perf_counter()
    buffer.fill(0.1)
    _say(f"   {'(NumPy, the same number always)':32}{_pace(time.perf_counter() - begin, len(buffer))}\n")
    saved = next(example for example in examples if example.title == SAVED)
    return save_and_reopen(saved.over(steps), steps, out / "sgdr-doubling.npy")


def save_and_reopen(schedule: Schedule, steps: int, path: Path) -> int:
    """Saves a table as float32, maps it back, and returns how many of its values differ from the schedule."""
    begin = time.perf_counter()
    schedule.save_table(path, steps, dtype="float32")
    saved = time.perf_counter()
    table = open_table(path)
    opened = time.perf_counter()
    buffer = np.empty(min(steps, CHUNK), np.float32)
    read = np.array_split(table.values, range(CHUNK, steps, CHUNK))
    computed = _chunks(schedule, steps, buffer)
    differing = sum(int(np.count_nonzero(old != new)) for old, new in zip(read, computed, strict=True))
    _say(f"   {path}: {path.stat().st_size / 1e6:,.1f} MB, saved in {saved - begin:.2f} s")
    _say(f"   opened and its SHA-256 compared in {opened - saved:.2f} s")
    _say(f"   values that differ from the schedule: {differing} of {steps:,}")
    return differing


def _chunks(schedule: Schedule, steps: int, buffer: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The values of a run, in pieces that share the buffer."""
    for start in range(0, steps, len(buffer)):
        n = min(len(buffer), steps - start)
        yield schedule.table(n, start, buffer.dtype, out=buffer[:n])


def _pace(seconds: float, values: int) -> str:
    return f"{1e3 * seconds:>9.2f} ms {values / max(seconds, 1e-9) / 1e6:>9,.0f} M values/s"


# ---- 3. The training ----


def train(task: Task) -> list[Result]:
    """The task in both frameworks, one after the other."""
    _say(f"\n3. A small network learns to read {len(task.train[0]):,} handwritten digits, in two frameworks")
    _say(f"   the same first weights, the same {len(task.batches)} batches, the same schedule:\n")
    _say(f"   {task.expression}\n")
    results = []
    for name, run in (("PyTorch", train_in_torch), ("Keras on PyTorch", train_in_keras)):
        _say(f"   {name:20}", end="")
        result = run(task, lambda: _say("=", end=""))
        results.append(result)
        _say(f"  {len(task.batches) / result.seconds:,.0f} updates/s")
    return results


def compare(task: Task, results: Sequence[Result]) -> int:
    """Prints both side by side; returns how many updates used another rate than the schedule's, or than each other."""
    _say(f"\n   {'after epoch':>13}{'last rate':>11}{'loss: PyTorch':>18}{'Keras':>10}", end="")
    _say(f"{'read right: PyTorch':>24}{'Keras':>9}")
    for epoch in (epoch for epoch in ENDS if epoch <= task.epochs):
        last = epoch * task.updates_per_epoch - 1
        torch, keras = ((result.losses[last], result.accuracies[epoch - 1]) for result in results)
        _say(f"   {epoch:>13}{results[0].rates[last]:>11.4f}{torch[0]:>18.5f}{keras[0]:>10.5f}", end="")
        _say(f"{torch[1]:>24.1%}{keras[1]:>9.1%}")
    updates = len(task.batches)
    scheduled = task.schedule.table(updates, dtype="float32")
    unequal = int(np.count_nonzero(results[0].rates != results[1].rates))
    strange = sum(int(np.count_nonzero(result.rates != scheduled)) for result in results)
    apart = np.abs(results[0].losses - results[1].losses).max()
    _say(f"\n   updates for which the two optimizers had different learning rates: {unequal} of {updates}")
    _say(f"   updates whose learning rate was not the schedule's: {strange} of {updates} + {updates}")
    _say(f"   largest difference between the two losses of an update: {apart:.1e}")
    return unequal + strange


# ---- 4. What stays ----


def leave(out: Path, steps: int, task: Task, results: Sequence[Result]) -> None:
    """Draws the pictures, and writes the table of the training."""
    from lrcore._demo_pictures import draw_schedules, draw_training

    _say(f"\n4. What is in {out}{os.sep}\n")
    task.schedule.save_table(out / "training.npy", len(task.batches), dtype="float32")
    draw_schedules(out / "schedules.png", EXAMPLES, steps)
    _say("   schedules.png       the schedules of the articles")
    draw_training(out / "training.png", task, results)
    _say("   training.png        loss, accuracy and learning rate in both frameworks")
    _say(f"   sgdr-doubling.npy   the {steps:,} learning rates of article B's run, for numpy.load or lrcore.open_table")
    _say(f"   training.npy        the {len(task.batches)} learning rates of the training")
