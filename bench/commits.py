"""Two commits under pytest-benchmark: `make bench-compare BASE=main~1 K=Cosine`, or `python -m bench.commits main~1`.

Both are taken out of git into a worktree, built, and installed into a folder of their own, which is kept for the next
time: build/compare/<commit>. The lines are those of the later commit, for both, at small sizes; what the earlier one
cannot do fails or is left out. The results are saved in .benchmarks, as pytest-benchmark does, and shown beside each
other: of a line ours and the peer, now and before. A peer is the same in both: where it has changed, too, the machine
has.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "compare"
SAVED = ROOT / ".benchmarks"
ALONE = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
SOME_FAILED = 1  # what pytest gives, too, for lines that the earlier commit cannot do
WHERE = "import lrcore, os; print(os.path.dirname(lrcore.__file__))"


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def built(commit: str) -> Path:
    """A folder with what `commit` installs; beside it are the commit's lines."""
    home = WORK / commit
    site = home / "site"
    if site.exists():
        print(f"{commit}: built before")
        return site
    print(f"{commit}: building", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    git("worktree", "prune")
    git("worktree", "add", "--detach", "--quiet", str(home / "source"), commit)
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--target", str(home / "unfinished")]
    try:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options, "."]
        subprocess.run(command, cwd=home / "source", check=True)
        shutil.copytree(home / "source" / "bench", home / "lines" / "bench")
    finally:
        git("worktree", "remove", "--force", str(home / "source"))
    (home / "unfinished").rename(site)
    return site


def measured(commit: str, lines: Path, options: list[str]) -> None:
    """Runs the benchmarks that lie in `lines` on what is installed for `commit`.

    From a folder without a package `lrcore`: the current one is first on Python's path.
    """
    site = built(commit)
    # Without what says that this is itself a test, beside others, where pytest-benchmark measures nothing.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**outer, **ALONE, "PYTHONPATH": str(site)}
    found = subprocess.run(
        [sys.executable, "-c", WHERE], cwd=lines, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    if Path(found) != site / "lrcore":
        raise RuntimeError(f"{commit}: expected lrcore from {site}, got it from {found}")
    print(f"{commit}: measuring", flush=True)
    plugins = ["-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin", "-W", "ignore"]
    where = [f"--benchmark-storage=file://{SAVED}", f"--benchmark-save={commit}"]
    options = ["bench", "-q", *plugins, *where, *options]
    done = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=lines, env=environment, check=False)
    if done.returncode > SOME_FAILED:
        raise SystemExit(done.returncode)


def saved(commit: str) -> Path:
    """What was measured last of it."""
    return max(SAVED.glob(f"*/*_{commit}.json"), key=lambda path: path.stat().st_mtime)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.commits", description=__doc__)
    parser.add_argument("base", help="the earlier commit, as git knows it")
    parser.add_argument("head", nargs="?", default="HEAD", help="the later one, HEAD by default")
    parser.add_argument("-k", default="", help="only lines of which the name has this, as pytest's -k")
    asked = parser.parse_args()
    base, head = (git("rev-parse", "--short=12", f"{name}^{{commit}}") for name in (asked.base, asked.head))
    lines = built(head).parent / "lines"
    chosen = ["-k", asked.k] if asked.k else []
    measured(base, lines, chosen)
    measured(head, lines, [*chosen, f"--benchmark-compare={saved(base)}"])


if __name__ == "__main__":
    main()
