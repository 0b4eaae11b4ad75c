"""Tables on disk: how fast they are written and opened, beside numpy with the ready array, and with how much memory.

Writing is timed by the clock, to the end of fsync, into the folder for temporary files: it is the disk that one waits
for. numpy's file is synchronised too, but numpy neither computes the values nor hashes them.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lrcore as lr
from lrcore.tables import open_table, save_table

ROUNDS = 5
STEPS = 20_000_000
BOUND_MIB = 64.0  # of the memory of a write, whatever its length
BOUND_MS = 10.0  # to open a table without hashing its values

Row = dict[str, object]

SCHEDULE = lr.warmup_cosine(0.1, 0.0, STEPS // 20, STEPS)

PEAK = """
import sys
from pathlib import Path
import lrcore as lr

def peak():  # not ru_maxrss, which a process inherits from the one that started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

schedule, path, steps, threads = lr.Cosine(0.1, 0.0, 10**9), sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
schedule.save_table(path, 1)
before = peak()
schedule.save_table(path, steps, dtype="float32", threads=threads)
print(peak() - before)
"""


def save_by_numpy(path: Path, values: NDArray[np.float64]) -> None:
    with path.open("wb") as file:
        np.save(file, values)
        file.flush()
        os.fsync(file.fileno())


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def best_of_turns(*works: Callable[[], object]) -> list[float]:
    """The best round of each; they take turns, so that all see the same machine."""
    rounds = [[seconds(work) for work in works] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def write_rows(folder: Path, steps: int = STEPS) -> list[Row]:
    values = SCHEDULE.table(steps)
    ours = [(".npy", 1), (".npy", 2), (".safetensors", 2), (".parquet", 2)]
    by_numpy, *times = best_of_turns(
        lambda: save_by_numpy(folder / "numpy.npy", values),
        *(
            lambda name=folder / f"ours{suffix}", threads=threads: save_table(SCHEDULE, name, steps, threads=threads)
            for suffix, threads in ours
        ),
    )
    rate = values.nbytes / 1e9
    return [
        _row(
            f"write {suffix}, {threads} thread{'s' * (threads > 1)}",
            rate / took,
            "GB/s",
            peer=rate / by_numpy,
            note=f"np.save of the ready array {rate / by_numpy:.2f} GB/s",
        )
        for (suffix, threads), took in zip(ours, times, strict=True)
    ]


def open_rows(folder: Path) -> list[Row]:
    path = folder / "ours.npy"
    mapped, verified = best_of_turns(lambda: open_table(path, verify=False), lambda: open_table(path))
    size = path.stat().st_size / 1e9
    return [
        _row("open .npy unverified", mapped * 1e3, "ms", bound=BOUND_MS, note=f"{size:.2f} GB"),
        _row("open .npy, its values hashed", size / verified, "GB/s"),
    ]


def memory_row(folder: Path, threads: int, steps: int = 5 * STEPS) -> Row:
    """In a process of its own, which has written a table before: what is loaded at the first does not count."""
    command = [sys.executable, "-c", PEAK, str(folder / "peak.npy"), str(steps), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (folder / "peak.npy").unlink()
    line = f"memory of writing {steps:.0e} steps, {threads} thread{'s' * (threads > 1)}"
    return _row(line, float(done.stdout), "MiB", bound=BOUND_MIB)


def _row(
    line: str, ours: float, unit: str, *, peer: float | None = None, bound: float | None = None, note: str = ""
) -> Row:
    met = None if bound is None else ours <= bound
    row = {"topic": "tables", "line": line, "ours": ours, "unit": unit, "peer": peer, "bound": bound, "met": met}
    return row | {"note": note}


def rows(quick: bool = False) -> Iterator[Row]:
    """The lines of the benchmark table."""
    steps = STEPS // 20 if quick else STEPS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from write_rows(folder, steps)
        yield from open_rows(folder)
        for threads in (1, 2):
            yield memory_row(folder, threads, 5 * steps)


if __name__ == "__main__":
    for row in rows():
        print(f"{row['line']}: {row['ours']:.3g} {row['unit']} (bound {row['bound']}, met {row['met']}) {row['note']}")
