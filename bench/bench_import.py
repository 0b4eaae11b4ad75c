"""What `import lrcore` costs over `import numpy`, in fresh processes."""

import statistics
import subprocess
import sys

RUNS = 10
BOUND_MS = 40.0
TIMED = "import time; begin = time.perf_counter(); import {}; print((time.perf_counter() - begin) * 1e3)"


def import_ms(module: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(module)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def cost_ms() -> float:
    """Median over median, the two imports taking turns so that both see the same machine."""
    pairs = [(import_ms("numpy"), import_ms("lrcore")) for _ in range(RUNS + 1)]
    numpy_runs, lrcore_runs = zip(*pairs[1:], strict=True)  # the first pair reads from a cold disk
    return statistics.median(lrcore_runs) - statistics.median(numpy_runs)


def rows() -> list[dict[str, object]]:
    """One line of the benchmark table."""
    ours = cost_ms()
    return [
        {
            "topic": "import",
            "line": "import lrcore over import numpy",
            "ours": ours,
            "unit": "ms",
            "bound": BOUND_MS,
            "met": ours <= BOUND_MS,
        }
    ]


if __name__ == "__main__":
    for row in rows():
        print(f"{row['line']}: {row['ours']:.1f} {row['unit']} (bound {row['bound']:g}, met: {row['met']})")
