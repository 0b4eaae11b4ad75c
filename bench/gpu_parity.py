"""The GPU harness: the same trainings by torch's schedulers and by ours, the same rates in all frameworks, their cost.

    python bench/gpu_parity.py --device cuda --out bench/results/gpu_parity

One command, in less than 8 minutes on a data-centre GPU. It needs torch, and lrcore installed; without a package index,
next to setuptools, Cython, numpy and a C compiler:

    pip install --no-index --no-build-isolation --no-deps .

JAX, optax, Keras and matplotlib are used where they are; what is missing is said. `--device cpu` runs the same code but
for what only a GPU has, which has rows that say so. `--quick` takes a few small cases, to see that it works. Where
there is no git, `--commit` says what was measured. Where matplotlib was missing, elsewhere later

    python bench/gpu_parity.py --draw bench/results/gpu_parity

It writes gpu_parity.json, gpu_parity.md and losses_*.png, what there is of them after each part. The exit status is 1
if a bound is missed or something fails.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: behind all else on the path, so that what is installed is measured
    sys.path.append(str(Path(__file__).parents[1]))

from bench import gpu_frameworks, gpu_report
from bench.gpu_report import Clock, Row

LIMIT = 360.0  # seconds, after which nothing is begun; what was begun may take two minutes more
PARTS = (
    "eager",
    "graph",
    "drift",
    "cost",
    "resume",
    "frameworks",
    "compile",
    "cost-compiled",
)  # what compiles most comes last
MORE_LIBRARIES = ("triton", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "matplotlib")


def rows_of(part: str, device: str, quick: bool, clock: Clock, folder: Path) -> Iterator[Row]:
    from bench import gpu_cost, gpu_resume, gpu_training

    if part.startswith("cost"):
        return (gpu_cost.rows if part == "cost" else gpu_cost.compiled_rows)(device, quick, clock)
    if part == "resume":
        return gpu_resume.rows(device, quick, clock, folder)
    if part == "frameworks":
        return gpu_frameworks.rows(device, quick, clock)
    if part == "drift":
        return gpu_training.drift(device, quick, clock)
    return gpu_training.rows(part, device, quick, clock)


def titles() -> dict[str, str]:
    from bench import gpu_cost, gpu_resume, gpu_training

    training = {part: title + gpu_training.COMMON for part, title in gpu_training.TITLES.items()}
    return {
        **training,
        "frameworks": gpu_frameworks.TITLE,
        "resume": gpu_resume.TITLE,
        "cost": gpu_cost.TITLE,
        "drift": gpu_training.DRIFT_TITLE,
    }


def circumstances(device: str, quick: bool, commit: str | None) -> dict[str, Any]:
    from bench.__main__ import _circumstances, _version

    about = _circumstances()
    about["commit"] = commit or about["commit"]
    about["libraries"] |= {name: _version(name) for name in MORE_LIBRARIES}
    return {**about, "device": _device(device, about["machine"]), "quick": quick}


def _device(device: str, machine: dict[str, Any]) -> dict[str, Any]:
    import torch

    if device != "cuda":
        return {"kind": device, "name": f"{machine['processor']}, {torch.get_num_threads()} threads of torch"}
    about = torch.cuda.get_device_properties(0)
    return {
        "kind": device,
        "name": f"{about.name}, CUDA {torch.version.cuda}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "capability": f"{about.major}.{about.minor}",
        "memory_gib": round(about.total_memory / 2**30, 1),
    }


def draw(folder: Path, rows: list[Row]) -> None:
    try:
        for path in gpu_report.pictures(rows, folder):
            print(f"drawn: {path}")
    except ImportError as missing:
        print(f"not drawn: {missing}; elsewhere: python bench/gpu_parity.py --draw {folder}")


def measure(asked: argparse.Namespace) -> list[Row]:
    clock = Clock(asked.limit)
    about = circumstances(asked.device, asked.quick, asked.commit) | {"titles": titles()}
    print(f"{about['device']['name']}; lrcore {about['lrcore']} at {about['commit']}", flush=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in asked.only:
            for row in rows_of(part, asked.device, asked.quick, clock, Path(folder)):
                rows.append(row)
                print(f"{clock.used():6.1f} s  {row.part:<10} {row.name:<48} {row.verdict:<18} {row.note}", flush=True)
            about["seconds"] = round(clock.used())
            gpu_report.write(asked.out, about, rows)
    return rows


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gpu_parity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, help="the folder to write to")
    parser.add_argument("--quick", action="store_true", help="a few small cases, to see that it works")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds after which nothing is begun")
    parser.add_argument("--commit", help="what is measured, where there is no git")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="only the page and pictures of an earlier run, again")
    asked = parser.parse_args(words)
    if asked.out is None and asked.draw is None:
        parser.error("the following arguments are required: --out (or --draw)")
    return asked


def main(words: list[str] | None = None) -> int:
    # Before CUDA begins: without a workspace of a fixed size cuBLAS is not deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    asked = arguments(words)
    if asked.draw is not None:
        about, rows = gpu_report.read(asked.draw)
        gpu_report.write(asked.draw, about, rows)
        draw(asked.draw, rows)
        return 0
    import torch

    if asked.device == "cuda" and not torch.cuda.is_available():
        print("gpu_parity: expected a GPU that torch can use; --device cpu runs without one", file=sys.stderr)
        return 2
    rows = measure(asked)
    draw(asked.out, rows)
    print(f"{gpu_report.summary(rows)}; written to {asked.out}")
    return int(gpu_report.is_bad(rows))


if __name__ == "__main__":
    sys.exit(main())
