"""The Keras binding on backends that trace the training step; one process each, for those that are installed."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrcore as lr

BACKENDS = [name for name in ("jax", "tensorflow") if importlib.util.find_spec(name)]
UPDATES = 40
SCHEDULES = [
    lr.Constant(0.1),
    lr.Cosine(0.5, 0.0, 17),
    lr.warmup_cosine(0.3, 0.001, 5, 30),
    lr.Piecewise([5, 10, 15], [0.1, 0.05, 0.01, 0.001], side="left"),
    lr.Sequence([(lr.sgdr(0.1, 0.001, 4, period_mult=2), 30), lr.Constant(0.001)]),
    lr.Linear(1.0, 0.0, 999_999),
    lr.Exponential(1e-7, 10.0, 100),
]
NOT_FOR_TABLES = [lr.sgdr(0.1, 0.001, 4), lr.ExponentialDecay(0.1, 0.5, 10), lr.Linear(1.0, 0.0, 1_000_000)]


def answers(backend, schedules):
    asked = json.dumps({"updates": UPDATES, "schedules": [repr(schedule) for schedule in schedules]})
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("traced.py"))],
        input=asked,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert found["backend"] == backend
    return found["answers"]


def falling_by(rates):
    """A float32 weight that each rate is taken from, beginning at 0."""
    return np.subtract.accumulate(np.array([0.0, *rates], np.float32))[1:].tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_after_k_updates_the_rate_is_the_schedule_at_k(backend):
    for schedule, answer in zip(SCHEDULES, answers(backend, SCHEDULES), strict=True):
        rates = schedule.table(UPDATES, dtype="float32").tolist()
        assert answer == {"said": rates, "weights": falling_by(rates)}, schedule


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_no_table_holds_is_refused(backend):
    holds = ["never", "never", "after 1000000 updates"]
    for schedule, when, answer in zip(NOT_FOR_TABLES, holds, answers(backend, NOT_FOR_TABLES), strict=True):
        assert list(answer) == ["error"], schedule
        wanted = f"holds its value within 1000000 updates, as the {backend} backend needs it, got one that holds {when}"
        assert wanted in answer["error"]
