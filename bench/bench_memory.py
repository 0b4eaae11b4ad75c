"""The highest memory of a process that makes a table, beyond the table itself.

Asked of the operating system, because tracemalloc sees no memory that C allocates; in a new process, where nothing has
been freed that could be used again. Only Linux lets a process forget its peak so far: elsewhere nothing is measured.
"""

import subprocess
import sys
from pathlib import Path

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


def extra_mib(size: int, threads: int) -> float:
    probe = PROBE.format(size=size, threads=threads)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return float(done.stdout)


def rows(quick: bool = False) -> list[dict[str, object]]:
    """The worst of three processes, with one thread and with two."""
    if not PAGES.exists():
        return [_row(threads, None, "not measured: needs Linux") for threads in (1, 2)]
    size = 2_000_000 if quick else 50_000_000
    return [_row(threads, max(extra_mib(size, threads) for _ in range(3)), "") for threads in (1, 2)]


def _row(threads: int, ours: float | None, note: str) -> dict[str, object]:
    return {
        "topic": "memory",
        "line": f"table's peak beyond its output, {threads} thread{'s' * (threads > 1)}",
        "ours": ours,
        "unit": "MiB",
        "bound": BOUND_MIB,
        "met": None if ours is None else ours <= BOUND_MIB,
        "note": note,
    }
