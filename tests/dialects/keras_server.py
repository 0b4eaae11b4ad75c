"""Evaluates Keras' schedules on one backend, in a process of its own: a process has one backend for all of its tests.

Reads pickled (name, arguments, n, vectorised, double) from standard input, and answers each with the values of n steps.
"""

import atexit
import os
import pickle
import subprocess
import sys
from contextlib import nullcontext
from functools import cache
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")


@cache
def server(backend):
    """The process of a backend, for as long as this one lives."""
    env = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(Path(__file__))]
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    )
    atexit.register(stop, started)
    return started


def stop(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


def values(name, arguments, n, vectorised=True, *, backend="tensorflow", double=False):
    """What Keras' schedule of that name gives on a backend, in float64 if asked to; what it raises is raised here."""
    process = server(backend)
    pickle.dump((name, arguments, n, vectorised, double), process.stdin)
    process.stdin.flush()
    answer = pickle.load(process.stdout)
    if isinstance(answer, Exception):
        raise answer
    return answer


def serve():
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    import keras
    import numpy as np

    backend = os.environ["KERAS_BACKEND"]
    assert keras.backend.backend() == backend
    if backend == "jax":
        import jax

    def widened(given):
        """TensorFlow computes in the type of the first number, torch in that of floatx."""
        if isinstance(given, list):
            return [widened(one) for one in given]
        return np.float64(given) if isinstance(given, float) else given

    def evaluated(name, arguments, n, vectorised, double):
        keras.config.set_floatx("float64" if double else "float32")
        arguments = {key: widened(given) for key, given in arguments.items()} if double else arguments
        schedule, steps = getattr(keras.optimizers.schedules, name)(**arguments), np.arange(n)
        with jax.enable_x64(double) if backend == "jax" else nullcontext():
            if backend == "torch" or (backend == "tensorflow" and not vectorised):
                return np.array([keras.ops.convert_to_numpy(schedule(step)) for step in steps])
            if backend == "jax":
                steps = jax.numpy.asarray(steps)
            return np.asarray(schedule(steps) if vectorised else jax.vmap(schedule)(steps))

    while True:
        try:
            asked = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = evaluated(*asked)
        except Exception as error:
            answer = RuntimeError(repr(error))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve()
