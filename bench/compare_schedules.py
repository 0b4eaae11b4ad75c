"""`python bench/compare_schedules.py`: the table of an article that compares learning-rate schedules, done properly.

The article (A) trained once with step decay, exponential decay, a cyclic polynomial and a constant rate. Here a small
CNN learns in Keras and in torch by nine schedules, each at the finder's rate and at the same one, with ten seeds; runs
are paired, differences have intervals, and a best value is marked only where it is one. It looks at what happens at
the restarts, and at article D: descent on a parabola, hold-then-decay, and training at the rate that was found.

compare_training.py says what is trained, compare_statistics.py what is concluded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: then this folder is on the path, and not the one that has `bench` in it. It goes
    sys.path[0:1] = []  # behind all else, so that what is installed is what is measured.
    sys.path.append(str(Path(__file__).parents[1]))

import numpy as np
from numpy.typing import NDArray

from bench.__main__ import RESULTS, _circumstances, _version
from bench.compare_parabola import parabola
from bench.compare_pictures import draw
from bench.compare_report import page, results
from bench.compare_statistics import against_baseline, at_restarts, best, both_fell, difference, direction
from bench.compare_training import (
    BASELINE,
    DATA,
    FRAMEWORKS,
    METRICS,
    QUICK,
    RESTARTING,
    WHOLE,
    Job,
    Run,
    Size,
    hold_then_decay,
    images,
    job,
    restarts,
)

NAME = "compare_schedules"
RATES = ("found", "same")
VALIDATION = ("val_acc", "val_loss")
Floats = NDArray[np.float64]

# One thread a process. Fresh models of Keras on JAX compile the same again and again, which a cache spares.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "jax",  # in fit of so small a net twice as fast as torch and TensorFlow
    "JAX_PLATFORMS": "cpu",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


# ---- Trainings ----


def collect(data: str, size: Size, workers: int) -> list[Job]:
    """All jobs, in as many processes, or in this one for 0 workers."""
    todo = [(framework, seed, data, size) for framework in FRAMEWORKS for seed in range(size.seeds)]
    begun, done = time.perf_counter(), []
    for number, one in enumerate(_done(todo, workers), start=1):
        done.append(one)
        passed = time.perf_counter() - begun
        print(
            f"{number} of {len(todo)}, {passed:.0f} s: {one.framework}, seed {one.seed}, rate {one.found:.3g}, "
            f"{one.seconds:.0f} s of processor time",
            file=sys.stderr,
            flush=True,
        )
    return sorted(done, key=lambda one: (one.framework, one.seed))


def _done(todo: list[tuple[str, int, str, Size]], workers: int) -> Iterator[Job]:
    if workers == 0:
        yield from (job(*one) for one in todo)
        return
    with tempfile.TemporaryDirectory() as cache:
        for name, value in {**ONE_THREAD, "JAX_COMPILATION_CACHE_DIR": cache}.items():
            os.environ.setdefault(name, value)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for future in as_completed([pool.submit(job, *one) for one in todo]):
                yield future.result()


# ---- Figures ----


def _summary(values: Floats | list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)), "values": [float(v) for v in values]}


def _runs(jobs: list[Job], framework: str, rate: str, course: str) -> list[Run]:
    return [
        run for one in jobs for run in one.runs if (run.framework, run.rate, run.course) == (framework, rate, course)
    ]


def _curves(runs: list[Run], metric: str) -> Floats:
    return np.array([run.history[metric] for run in runs])


def table_of(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """The article's table of one framework at one rate, with differences from the baseline and the best ones."""
    models, differences, leaders = {}, {}, {}
    for course, each in runs.items():
        models[course] = {metric: _summary([run.last(metric) for run in each]) for metric in METRICS}
        models[course]["seconds"] = _summary([run.seconds for run in each])
    for metric in METRICS:
        values = {course: np.array(model[metric]["values"]) for course, model in models.items()}
        differences[metric] = against_baseline(values, BASELINE)
        leaders[metric] = best(values, higher=metric.endswith("acc"))
    return {"models": models, "differences": differences, "best": leaders}


def restart_rows(curves: dict[str, Any], design: dict[str, Any]) -> list[dict[str, Any]]:
    """What happens at the restarts of the schedules that have some."""
    rows, epochs = [], restarts(design["epochs"])
    courses = [course for course in RESTARTING if course in design["courses"] and epochs]
    for course, framework, rate in product(courses, FRAMEWORKS, RATES):
        accuracy, loss = (np.array(curves[f"{framework}/{rate}/{course}"][metric]) for metric in VALIDATION)
        together = both_fell(accuracy, loss, epochs)
        for metric, each in zip(VALIDATION, (accuracy, loss), strict=True):
            row = at_restarts(each, epochs)
            about = {"schedule": course, "framework": framework, "rate": rate, "metric": metric, "both_fell": together}
            rows.append(about | row | {"says": direction(row)})
    return rows


def _retrained(jobs: list[Job]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for framework in FRAMEWORKS:
        runs = [run for one in jobs if one.framework == framework for run in one.retrained]
        ends = {
            rate: {metric: [run.last(metric) for run in runs if run.rate == rate] for metric in VALIDATION}
            for rate in RATES
        }
        found[framework] = {
            rate: {metric: _summary(values) for metric, values in of.items()} for rate, of in ends.items()
        }
        found[framework]["difference"] = {
            metric: difference(np.array(ends["found"][metric]) - np.array(ends["same"][metric]))
            for metric in VALIDATION
        }
    return found


def _held(jobs: list[Job]) -> Iterator[dict[str, Any]]:
    for one in jobs:
        for way, run in one.held.items():
            used = np.array(run.history["lr"])
            formula = hold_then_decay(run.peak).table(len(used))
            yield {
                "framework": run.framework,
                "way": way,
                "lr": used.tolist(),
                "largest_difference": float(np.max(np.abs(used / formula - 1.0))),
                "val_acc": run.last("val_acc"),
            }


def _peaks(jobs: list[Job], framework: str) -> dict[str, Any]:
    rates = [one.found for one in jobs if one.framework == framework]
    return {"values": rates, "median": float(np.median(rates)), "least": min(rates), "most": max(rates)}


def _design(data: str, size: Size) -> dict[str, Any]:
    half = images(data, 0, size.most)
    return {
        "data": data,
        "images": len(half.labels),
        "seeds": size.seeds,
        "epochs": size.epochs,
        "updates": half.each,
        "courses": list(size.courses),
        "keras_backend": os.environ.get("KERAS_BACKEND", "its default backend"),
        "used": ["keras", "jax", "torch", "numpy", "scikit-learn"],
    }


def figures(jobs: list[Job], data: str, size: Size) -> dict[str, Any]:
    """All that is said."""
    tables: dict[str, Any] = {framework: {} for framework in FRAMEWORKS}
    curves: dict[str, Any] = {}
    for framework, rate in product(FRAMEWORKS, RATES):
        runs = {course: _runs(jobs, framework, rate, course) for course in size.courses}
        tables[framework][rate] = table_of(runs)
        for course, each in runs.items():
            kept = {metric: np.round(_curves(each, metric), 6).tolist() for metric in VALIDATION}
            curves[f"{framework}/{rate}/{course}"] = kept | {"lr": each[0].history["lr"]}
    design = _design(data, size)
    return {
        "design": design,
        "peaks": {framework: _peaks(jobs, framework) for framework in FRAMEWORKS},
        "tables": tables,
        "restarts": restart_rows(curves, design),
        "retrained": _retrained(jobs),
        "held": list(_held(jobs)),
        "parabola": parabola(),
        "curves": curves,
    }


# ---- The command ----


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python bench/{NAME}.py", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a little of everything; nothing it says counts")
    parser.add_argument(
        "--data", choices=DATA, default=DATA[0], help="fashion-mnist: if it is on the disk; takes far longer"
    )
    parser.add_argument("--seeds", type=int, help=f"at least 2, {WHOLE.seeds} by default")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread; 0: this one")
    parser.add_argument("--out", type=Path, help="folder for the page, the JSON and the pictures")
    asked = parser.parse_args()
    if asked.seeds is not None and asked.seeds < 2:
        parser.error(f"--seeds: expected at least 2, got {asked.seeds}")
    return asked


def _write(folder: Path, name: str, found: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = draw(found, folder, name)
    (folder / f"{name}.md").write_text(page(found, pictures))
    curves = {key: json.dumps(value) for key, value in found["curves"].items()}
    text = json.dumps({**found, "curves": dict.fromkeys(curves)}, indent=1, ensure_ascii=False)
    for key, value in curves.items():  # a line each
        text = text.replace(f"{json.dumps(key)}: null", f"{json.dumps(key)}: {value}")
    (folder / f"{name}.json").write_text(text + "\n")
    print(f"Written to {folder / name}.md, .json and {len(pictures)} pictures")


def main() -> None:
    """Trains, prints the tables and writes the results."""
    asked = _arguments()
    size = QUICK if asked.quick else WHOLE
    size = replace(size, seeds=asked.seeds or size.seeds)
    about = _circumstances() | {"quick": asked.quick, "processes": asked.workers or 1}
    about["libraries"]["scikit-learn"] = _version("scikit-learn")
    begun = time.perf_counter()
    jobs = collect(asked.data, size, asked.workers)
    found = about | figures(jobs, asked.data, size)
    found["seconds"] = time.perf_counter() - begun
    found["processor_seconds"] = sum(one.seconds for one in jobs)
    for framework, rates in found["tables"].items():
        for rate, table in rates.items():
            print(f"\n{framework}, {rate}\n" + "\n".join(results(table)))
    folder = asked.out or (None if asked.quick else RESULTS)
    if folder is not None:
        _write(folder, NAME if asked.data == DATA[0] else f"{NAME}_{asked.data}", found)


if __name__ == "__main__":
    main()
