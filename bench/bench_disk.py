"""Tables of a thousand million steps on disk, by two threads, beside NumPy with a mapped file that it fills by blocks.

By the clock, to the end of the synchronisation: it is the disk that one waits for. Ours hashes the values, too, and is
renamed into place. NumPy writes a tenth of the steps, and its cost is taken for each. Files are deleted at once.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench._curves import numpy_stream
from bench._measure import Row, places
from bench._peers import BLOCK
from bench.bench_peers import CASES, Case
from bench.bench_tables import memory_row

STEPS, QUICK_STEPS = 1_000_000_000, 2_000_000
SHARE = 10  # of the steps that NumPy writes
THREADS = 2
BOUND = 1.0  # times as fast as NumPy
TOLERANCE = {"float32": 1.5 * 2.0**-24, "float64": 1e-12}  # its rounding, and the last bits of NumPy's float64


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _by_numpy(case: Case, path: Path, steps: int, dtype: str) -> None:
    mapped = np.lib.format.open_memmap(path, "w+", dtype, (steps,))
    ramp, room = np.arange(BLOCK, dtype=np.float64), np.empty(BLOCK)
    for at, block in zip(range(0, steps, BLOCK), numpy_stream(case.runs, ramp, room, 0, steps), strict=True):
        mapped[at : at + BLOCK] = block
    mapped.flush()


def _gap(ours: Path, theirs: Path) -> float:
    """The largest difference, of the largest value."""
    wanted = np.load(theirs, mmap_mode="r")
    at = places(len(wanted))
    values = np.asarray(wanted[at], np.float64)
    return float(np.max(np.abs(np.load(ours, mmap_mode="r")[at] - values)) / np.max(np.abs(values)))


def _measured(case: Case, folder: Path, steps: int, dtype: str) -> Row:
    ours, theirs, few = folder / "ours.npy", folder / "numpy.npy", steps // SHARE
    try:
        took = _seconds(lambda: case.ours.save_table(ours, steps, dtype=dtype, threads=THREADS, progress=False))
        size = ours.stat().st_size
        numpy_took = _seconds(lambda: _by_numpy(case, theirs, few, dtype))
        gap = _gap(ours, theirs)
    finally:
        for path in folder.iterdir():
            path.unlink()
    times = {"ours_ns": took / steps * 1e9, "peer_ns": numpy_took / few * 1e9, "rounds": 1}
    ratio = times["peer_ns"] / times["ours_ns"]
    if not gap <= TOLERANCE[dtype]:
        return _row(case, dtype, None, False, f"wrong: {gap:.1e} from NumPy's")
    note = f"{size / 1e9 / took:.2f} GB/s in {took:.1f} s; NumPy's cost is that of {few:,} steps"
    return _row(case, dtype, ratio, ratio >= BOUND, note) | times


def _row(case: Case, dtype: str, ours: float | None, met: bool | None, note: str) -> Row:
    name = f"{case.name}, 1 G steps of {dtype}, against NumPy's memmap"
    about = {"schedule": case.name, "peer": "NumPy's memmap", "steps": f"1 G, {dtype}"}
    row = {"topic": "disk", "line": name, "ours": ours, "unit": "×", "bound": BOUND, "least": True, "met": met}
    return row | {"note": note, "about": about}


def rows(quick: bool = False) -> Iterator[Row]:
    """All need the room of the largest and of NumPy's, and as much again for the others on this disk."""
    steps = QUICK_STEPS if quick else STEPS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = [(make(steps), "float32") for make in CASES] + [(CASES[0](steps), "float64")]
        needs = 2 * steps * np.dtype("float64").itemsize
        if shutil.disk_usage(folder).free < needs:
            reason = f"not measured: {needs / 1e9:.0f} GB have to be free for temporary files"
            yield from (_row(case, dtype, None, None, reason) for case, dtype in jobs)
            return
        yield memory_row(folder, THREADS, steps) | {"topic": "disk"}
        for case, dtype in jobs:
            yield _measured(case, folder, steps, dtype)
