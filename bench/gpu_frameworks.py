"""Cross-framework parity: one spec in torch, optax, and Keras on torch and on JAX, a process each.

A rate is read from a weight: it is set to 0, has a gradient of 1, and an update of plain SGD leaves minus the rate.

Run as a file it is the process of one of them: it reads specs from stdin and prints the rates.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: behind all else on the path, so that what is installed is measured
    sys.path.append(str(Path(__file__).parents[1]))

import numpy as np

import lrcore
from bench.gpu_report import ABSENT, Clock, Row, guarded, side_by_side, verdict
from bench.gpu_traces import first_difference

LONGEST = 120.0  # seconds of a process
RATE, UPDATES, QUICK_UPDATES = 0.1, 200, 50
TITLE = (
    "The same specs in each framework, each in a process of its own; the rate of every update, read from a weight that "
    "it changes. Bound: the same float32 everywhere, that of our float64 rounded once."
)
NEEDS = {
    "torch": ["torch"],
    "torch, DeviceSchedule": ["torch"],
    "optax": ["jax", "optax"],
    "Keras on torch": ["keras", "torch"],
    "Keras on JAX": ["keras", "jax"],
}


# ---- In the process of a framework ----


def by_torch(schedule: lrcore.Schedule, updates: int, device: str, on_device: bool = False) -> list[float]:
    import torch

    from lrcore.bindings.torch import DeviceSchedule, Scheduler

    weight = torch.nn.Parameter(torch.zeros(1, device=device))
    weight.grad = torch.ones(1, device=device)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    if on_device:
        rates = DeviceSchedule(schedule, updates, device=device).attach(optimizer)
        advance = rates.advance
    else:
        scheduler = Scheduler(optimizer, schedule)
        advance = scheduler.step
    found = []
    for _ in range(updates):
        with torch.no_grad():
            weight.zero_()
        optimizer.step()
        found.append(-weight.item())
        advance()
    return found


def by_optax(schedule: lrcore.Schedule, updates: int) -> list[float]:
    import jax
    import jax.numpy as jnp
    import optax

    from lrcore.bindings import optax as lrcore_optax

    optimizer = optax.sgd(lrcore_optax.schedule(schedule))

    def update(state: Any, _: Any) -> tuple[Any, Any]:
        weight = jnp.zeros(())
        change, state = optimizer.update(jnp.ones(()), state, weight)
        return state, -optax.apply_updates(weight, change)

    _, found = jax.jit(lambda state: jax.lax.scan(update, state, length=updates))(optimizer.init(jnp.zeros(())))
    return np.asarray(found).tolist()


def by_keras(schedule: lrcore.Schedule, updates: int) -> list[float]:
    import keras

    from lrcore.bindings.keras import Schedule

    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer = keras.optimizers.SGD(Schedule(schedule))
    optimizer.build([weight])
    step = _jitted(optimizer) if keras.config.backend() == "jax" else None
    zero, one = keras.ops.zeros(1), keras.ops.ones(1)
    state = [variable.value for variable in optimizer.variables]
    found = []
    for _ in range(updates):
        if step is not None:  # as Keras trains on JAX: traced
            (changed,), state = step(state, [one], [zero])
        else:
            weight.assign(zero)
            optimizer.apply([one], [weight])
            changed = weight.value
        found.append(-float(keras.ops.convert_to_numpy(changed)[0]))
    return found


def _jitted(optimizer: Any) -> Any:
    import jax

    return jax.jit(optimizer.stateless_apply)


def main() -> None:
    asked = json.load(sys.stdin)
    name, updates, device = asked["name"], asked["updates"], asked["device"]
    found = {}
    for key, spec in asked["specs"].items():
        schedule = lrcore.from_dict(spec)
        if name.startswith("torch"):
            found[key] = by_torch(schedule, updates, device, on_device="DeviceSchedule" in name)
        else:
            found[key] = by_optax(schedule, updates) if name == "optax" else by_keras(schedule, updates)
    print(json.dumps({"rates": found, "on": _place(name, device)}))


def _place(name: str, device: str) -> str:
    if "JAX" in name or name == "optax":
        import jax

        return jax.default_backend()
    if name == "Keras on torch":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


# ---- What is compared ----


def asked_of(name: str, specs: dict[str, Any], updates: int, device: str) -> dict[str, Any]:
    """What the process of a framework answers."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax" if name == "Keras on JAX" else "torch",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # it would take most of the device's memory
    }
    if device == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    question = json.dumps({"name": name, "updates": updates, "device": device, "specs": specs})
    done = subprocess.run(
        [sys.executable, __file__],
        input=question,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def chosen(updates: int) -> dict[str, lrcore.Schedule]:
    """The schedules of the training parity but for the plateau, which is no schedule."""
    from bench.gpu_schedules import pairs

    return {pair.name: pair.ours for pair in pairs(RATE, updates) if not pair.has_plateau}


def _row(name: str, schedules: dict[str, lrcore.Schedule], updates: int, device: str) -> Row:
    specs = {key: schedule.to_dict() for key, schedule in schedules.items()}
    answer = asked_of(name, specs, updates, device)
    other = {}
    for key, schedule in schedules.items():
        found = np.array(answer["rates"][key], np.float64)
        wanted = np.array([schedule(step) for step in range(updates)]).astype(np.float32).astype(np.float64)
        other[key] = first_difference(found, wanted)
    wrong = [f"{key} at update {at}" for key, at in other.items() if at is not None]
    figures = {"schedules": len(schedules), "updates": updates, "on": answer["on"], "other rates": len(wrong)}
    return Row("frameworks", name, figures, verdict(not wrong), "; ".join(wrong))


def rows(device: str, quick: bool, clock: Clock) -> Iterator[Row]:
    """A row of each framework."""
    updates = QUICK_UPDATES if quick else UPDATES
    schedules = chosen(updates)

    def row(name: str) -> Row:
        missing = [package for package in NEEDS[name] if importlib.util.find_spec(package) is None]
        if missing:
            return Row("frameworks", name, verdict=ABSENT, note=f"{', '.join(missing)} is not installed")
        return guarded("frameworks", name, clock, lambda: _row(name, schedules, updates, device))

    return side_by_side([partial(row, name) for name in NEEDS if not (quick and name.startswith("Keras"))])


if __name__ == "__main__":
    main()
