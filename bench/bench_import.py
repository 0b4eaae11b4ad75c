"""What a first schedule costs over `import numpy`, in fresh processes; `import lrcore` alone imports nothing."""

import os
import statistics
import subprocess
import sys

RUNS = 10
BOUND_MS = 40.0
# CPU time of this thread: a process that waits for a core is not slower, and numpy's BLAS has threads that spin.
TIMED = "import time; begin = time.thread_time(); {}; print((time.thread_time() - begin) * 1e3)"


# An installed package has its bytecode beside it; in a checkout the first run writes it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def import_ms(statement: str) -> float:
    command = [sys.executable, "-c", TIMED.format(statement)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def cost_ms(runs: int = RUNS) -> float:
    """Median over median, the two imports taking turns so that both see the same machine."""
    pairs = [(import_ms("import numpy"), import_ms("from lrcore import warmup_cosine")) for _ in range(runs + 1)]
    numpy_runs, lrcore_runs = zip(*pairs[1:], strict=True)  # the first pair reads a cold disk and writes bytecode
    return statistics.median(lrcore_runs) - statistics.median(numpy_runs)


def rows(quick: bool = False) -> list[dict[str, object]]:
    """One line of the benchmark table."""
    ours = cost_ms(2 if quick else RUNS)
    return [
        {
            "topic": "import",
            "line": "from lrcore import warmup_cosine over import numpy",
            "ours": ours,
            "unit": "ms",
            "bound": BOUND_MS,
            "met": ours <= BOUND_MS,
        }
    ]


if __name__ == "__main__":
    for row in rows():
        print(f"{row['line']}: {row['ours']:.1f} {row['unit']} (bound {row['bound']:g}, met: {row['met']})")
