"""Evaluates Keras' schedules on TensorFlow, in a process of its own: a process has one backend for all of its tests.

Reads pickled (name, arguments, n, vectorised) from standard input, and answers each with the values of n steps.
"""

import atexit
import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path


@cache
def server():
    """The process, for as long as this one lives."""
    env = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
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


def values(name, arguments, n, vectorised=True):
    """What Keras' schedule of that name gives on TensorFlow; what it raises is raised here."""
    process = server()
    pickle.dump((name, arguments, n, vectorised), process.stdin)
    process.stdin.flush()
    answer = pickle.load(process.stdout)
    if isinstance(answer, Exception):
        raise answer
    return answer


def serve():
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    import keras
    import numpy as np

    assert keras.backend.backend() == "tensorflow"
    while True:
        try:
            name, arguments, n, vectorised = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            schedule = getattr(keras.optimizers.schedules, name)(**arguments)
            steps = np.arange(n)
            answer = np.array(schedule(steps) if vectorised else [schedule(step) for step in steps])
        except Exception as error:
            answer = RuntimeError(repr(error))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve()
