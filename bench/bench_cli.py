"""What a user waits for who asks the command for help: a fresh process, from its start to its end."""

import os
import statistics
import subprocess
import sys

RUNS = 15
BOUND_MS = 150.0
COMMAND = [sys.executable, "-m", "lrcore.cli", "--help"]
PYTHON = [sys.executable, "-c", "pass"]

# An installed package has its bytecode beside it; in a checkout the first run writes it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def process_ms(command: list[str]) -> float:
    """CPU time of a process, its imports included: one that waits for a core is not slower."""
    started = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise subprocess.CalledProcessError(started.returncode, command)
    return (used.ru_utime + used.ru_stime) * 1e3


def rows(quick: bool = False) -> list[dict[str, object]]:
    """One line of the benchmark table. Python alone takes its turn with the command, and stands beside it."""
    pairs = [(process_ms(COMMAND), process_ms(PYTHON)) for _ in range((2 if quick else RUNS) + 1)]
    ours, python = zip(*pairs[1:], strict=True)  # the first pair reads a cold disk and writes bytecode
    median = statistics.median(ours)
    return [
        {
            "topic": "cli",
            "line": "lrcore --help",
            "ours": median,
            "unit": "ms",
            "bound": BOUND_MS,
            "met": median <= BOUND_MS,
            "note": f"python -c pass takes {statistics.median(python):.0f} ms of it",
        }
    ]


if __name__ == "__main__":
    for row in rows():
        print(
            f"{row['line']}: {row['ours']:.1f} {row['unit']} (bound {row['bound']:g}, met: {row['met']}), {row['note']}"
        )
