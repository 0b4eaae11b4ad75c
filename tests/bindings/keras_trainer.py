"""Trains on one backend of Keras, in a process of its own that stays for all tests: a process has one backend.

As a script it reads tasks from standard input, a line of JSON each, and answers each with a line of JSON. A model of
one weight is trained, which begins at 0 and whose gradient is 1: each update takes its learning rate from it.
"""

import atexit
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

MODULES = ("keras_tasks", "keras_finder_tasks", "keras_layer_tasks", "keras_monitor_tasks", "keras_schedule_tasks")
BACKENDS = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]


@cache
def _process(backend):
    env = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    env |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-W", "ignore", str(Path(__file__))]
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, text=True
    )
    atexit.register(_stop, started)
    return started


def _stop(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


def begin(backend):
    """Starts its process, which takes seconds to import all it needs, before there is a task for it."""
    _process(backend)


def ask(backend, task, **details):
    """The answer to a task; an error that it raises is `{"error": its message}`."""
    process = _process(backend)
    print(json.dumps({"task": task, **details}), file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"keras_trainer: expected an answer of {backend}, got none: its process has ended")
    return json.loads(answer)


def joined(tables):
    """The tasks of all modules, by names that no two of them share."""
    tasks = {}
    for module, own in tables.items():
        if shared := sorted(own.keys() & tasks.keys()):
            raise ValueError(f"keras_trainer: expected tasks with names of their own, got {shared} in {module} again")
        tasks |= own
    return tasks


def serve():
    answers, sys.stdout = sys.stdout, sys.stderr
    tables = {name: importlib.import_module(name).TASKS for name in MODULES}
    for line in sys.stdin:
        details = json.loads(line)
        try:
            tasks = joined(tables)
            answer = tasks[details.pop("task")](**details)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
