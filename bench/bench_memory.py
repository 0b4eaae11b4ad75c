"""The highest memory of a process that makes a table, beyond the table itself.

Asked of the operating system, because tracemalloc sees no memory that C allocates; in a new process, where nothing has
been freed that could be used again. Only Linux lets a process forget its peak so far: elsewhere nothing is measured.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench._measure import Row

BOUND_MIB = 1.0
PAGES = Path("/proc/self/clear_refs")

PROBE = """
import lrcore

def resident(field):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1])

size, threads = {size}, {threads}
schedule = lrcore.warmup_cosine(0.1, 1e-5, size // 20, size) * lrcore.step_decay(1.0, 0.9, size // 10)
schedule.table(10_000, threads=threads)
with open("/proc/self/clear_refs", "w") as forget_peak:
    forget_peak.write("5")
before = resident("VmRSS")
table = schedule.table(size, threads=threads)
print((resident("VmHWM") - before) / 1024 - table.nbytes / 2**20)
"""

STREAM = """
import numpy, lrcore

def resident(field):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1])

steps, block = {size}, numpy.zeros(1 << 20)
schedule = lrcore.warmup_cosine(0.1, 1e-5, steps // 20, steps)
schedule.table(len(block), out=block)
with open("/proc/self/clear_refs", "w") as forget_peak:
    forget_peak.write("5")
before = resident("VmRSS")
for start in range(0, steps, len(block)):
    part = block[: steps - start]
    schedule.table(len(part), start, out=part)
print((resident("VmHWM") - before) / 1024)
"""


def extra_mib(size: int, threads: int, probe: str = PROBE) -> float:
    probe = probe.format(size=size, threads=threads)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return float(done.stdout)


def rows(quick: bool = False) -> Iterator[Row]:
    """Of tables the worst of three processes, with one thread and with two; and of streams through one block."""
    size = 2_000_000 if quick else 50_000_000
    for threads in (1, 2):
        line = f"table's peak beyond its output, {threads} thread{'s' * (threads > 1)}"
        yield _row(line, lambda threads=threads: max(extra_mib(size, threads) for _ in range(3)))
    for steps in (10**6, 10**7 if quick else 10**9):
        line = f"streaming {steps:,} steps, beyond a block of a million"
        yield _row(line, lambda steps=steps: extra_mib(steps, 1, STREAM))


def _row(line: str, measure: Callable[[], float]) -> Row:
    ours = measure() if PAGES.exists() else None
    return {
        "topic": "memory",
        "line": line,
        "ours": ours,
        "unit": "MiB",
        "bound": BOUND_MIB,
        "met": None if ours is None else ours <= BOUND_MIB,
        "note": "not measured: needs Linux" if ours is None else "",
    }
