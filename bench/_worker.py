"""A part of a topic in a process of its own, which gives its rows one by one.

What a framework sets for its whole process (threads, float64, small numbers flushed to 0) ends with the process, and so
does its memory. All are held to one thread.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench._measure import LEAST_ROUNDS, Row, measured

ROOT = Path(__file__).parents[1]
MARK = "ROW "  # of lines that are rows: frameworks print, too
ROUNDS, QUICK_ROUNDS = 11, 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def rows_of(module: Any, quick: bool, part: str | None = None) -> Iterator[Row]:
    """Here and now. A module has `lines`, which are timed, or `rows`, which it measures itself."""
    if not hasattr(module, "lines"):
        yield from module.rows(quick)
        return
    lines = module.lines(quick) if part is None else module.lines(quick, (part,))
    rounds = QUICK_ROUNDS if quick else getattr(module, "ROUNDS", ROUNDS)
    longest, least = getattr(module, "LONGEST", math.inf), getattr(module, "LEAST_ROUNDS", LEAST_ROUNDS)
    yield from measured(lines, rounds, longest, least)


def streamed(name: str, part: str, quick: bool, environment: dict[str, str]) -> Iterator[Row]:
    """The rows of a part of `bench.<name>`; of a process that fails there is a row that says so."""
    command = [sys.executable, "-W", "ignore", "-m", "bench._worker", name, part, *["--quick"] * quick]
    told = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": {**os.environ, **ONE_THREAD, **environment}}
    with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(command, stderr=errors, **told) as worker:
        for line in worker.stdout or ():
            if line.startswith(MARK):
                yield json.loads(line.removeprefix(MARK))
        if worker.wait():
            errors.seek(0)
            yield _failed(name, part, errors.read())


def _failed(name: str, part: str, errors: str) -> Row:
    last = next(filter(None, reversed(errors.splitlines())), "no word")
    nothing = dict.fromkeys(["ours", "bound", "met"])
    note = f"not measured: its process failed: {last}"
    return {"topic": name.removeprefix("bench_"), "line": f"all lines of {part}", "unit": "", "note": note, **nothing}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench._worker", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("part")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    module = importlib.import_module(f"bench.{asked.name}")
    for row in rows_of(module, asked.quick, asked.part if len(getattr(module, "PARTS", ())) > 1 else None):
        print(MARK + json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
