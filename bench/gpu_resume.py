"""Resume parity: a training in a process that is killed at random updates, and goes on in new ones from its checkpoint.

Run as a file it is one such process. It saves a checkpoint every few updates, in the middle of which it is killed by
SIGKILL, so that nothing of it is left but the file; the next process takes the last checkpoint there is. At the end
the weights are hashed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: behind all else on the path, so that what is installed is measured
    sys.path.append(str(Path(__file__).parents[1]))

from bench.gpu_report import ABSENT, Clock, Row, guarded, side_by_side, verdict

EVERY = 4  # updates between checkpoints
LONGEST = 120.0  # seconds of a process
TITLE = (
    "A run in a process that is killed (SIGKILL) at random updates, each time resumed in a new process from its last "
    f"checkpoint, of every {EVERY} updates, against one that is not. Bound: the same weights, bit for bit."
)
# Way of training, model, optimizer, schedule.
CASES = [
    ("eager", "conv", "AdamW", "one-cycle"),
    ("eager", "transformer", "SGD", "plateau"),
    ("graph", "transformer", "AdamW", "warm-up cosine"),
]


# ---- One process ----


def _pair(way: str, optimizer: str, schedule: str, updates: int) -> Any:
    from bench.gpu_models import RATES
    from bench.gpu_schedules import pairs

    rate = RATES[optimizer]
    found = next(pair for pair in pairs(rate, updates) if pair.name == schedule)
    return found.without_momentum(rate, updates) if way == "graph" else found


def _started(way: str, model: str, optimizer: str, pair: Any, updates: int, device: str) -> tuple[Any, Any, Any]:
    """The work, what drives its rate, and what holds the state of that."""
    from bench.gpu_models import Captured, Eager
    from bench.gpu_training import InGraph, Ours
    from lrcore.bindings.torch import DeviceSchedule

    if way == "eager":
        work = Eager(model, optimizer, device)
        ours = Ours(pair, work)
        return work, ours, ours.scheduler
    captured = Captured(model, optimizer, device)
    rates = DeviceSchedule(pair.ours, updates, device=device).attach(captured.optimizer)
    captured.capture(rates.advance)
    rates.position = 0
    return captured, InGraph(), rates


def _save(path: Path, work: Any, scheduler: Any, update: int, losses: list[float]) -> None:
    import torch

    state = {
        "model": work.model.state_dict(),
        "optimizer": work.optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "update": update,
        "losses": losses,
    }
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)  # a kill leaves the old one or the new one


def _load(path: Path, way: str, work: Any, scheduler: Any, device: str) -> tuple[int, list[float]]:
    import torch

    state = torch.load(path, weights_only=True, map_location=device)
    work.model.load_state_dict(state["model"])
    if way == "graph":  # it has to keep the tensors that it was captured with
        _copy_into(work.optimizer, state["optimizer"]["state"])
    else:
        work.optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    return state["update"], state["losses"]


def _copy_into(optimizer: Any, saved: dict[int, dict[str, Any]]) -> None:
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    for number, held in saved.items():
        for name, value in held.items():
            optimizer.state[parameters[number]][name].copy_(value)


def train(
    way: str, model: str, optimizer: str, schedule: str, device: str, updates: int, path: Path, kill_at: int
) -> dict[str, Any]:
    """Trains from the checkpoint, if there is one, to the end, or to the update at which the process kills itself."""
    import torch

    from bench.gpu_schedules import OBSERVED_EVERY
    from bench.gpu_traces import fingerprint

    torch.use_deterministic_algorithms(True)
    pair = _pair(way, optimizer, schedule, updates)
    work, driver, scheduler = _started(way, model, optimizer, pair, updates, device)
    begin, losses = _load(path, way, work, scheduler, device) if path.exists() else (0, [])
    for update in range(begin, updates):
        losses.append(float(work.update(update)))
        driver.step()
        if pair.has_plateau and (update + 1) % OBSERVED_EVERY == 0:
            driver.observe(sum(losses[-OBSERVED_EVERY:]) / OBSERVED_EVERY)
        if (update + 1) % EVERY == 0:
            _save(path, work, scheduler, update + 1, losses)
        if update + 1 == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    rate = float(work.group["lr"])
    return {"weights": fingerprint(work.weights().cpu().numpy()), "begin": begin, "losses": losses, "rate": rate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("way", "model", "optimizer", "schedule", "device"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--kill-at", type=int, default=0)
    a = parser.parse_args()
    found = train(a.way, a.model, a.optimizer, a.schedule, a.device, a.updates, a.checkpoint, a.kill_at)
    print(json.dumps(found))


# ---- Several, and what came of them ----


def child(case: tuple[str, str, str, str], device: str, updates: int, path: Path, kill_at: int = 0) -> dict[str, Any]:
    """What a process prints; nothing where it was killed, as it was told."""
    options = dict(zip(("way", "model", "optimizer", "schedule"), case, strict=True)) | {"device": device}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    words += ["--updates", str(updates), "--checkpoint", str(path), "--kill-at", str(kill_at)]
    done = subprocess.run(
        [sys.executable, __file__, *words], capture_output=True, text=True, timeout=LONGEST, check=False
    )
    if kill_at and done.returncode == -signal.SIGKILL:
        return {}
    if kill_at or done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise RuntimeError(f"a process ended with {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _row(case: tuple[str, str, str, str], device: str, updates: int, kills: list[int], folder: Path) -> Row:
    whole = child(case, device, updates, folder / "whole.pt")
    for kill_at in kills:
        child(case, device, updates, folder / "killed.pt", kill_at)
    resumed = child(case, device, updates, folder / "killed.pt")
    figures = {
        "updates": updates,
        "killed after": ", ".join(map(str, kills)),
        "last resumed at": resumed["begin"],
        "weights": whole["weights"],
        "weights, resumed": resumed["weights"],
        "same losses": whole["losses"] == resumed["losses"],
    }
    is_same = whole["weights"] == resumed["weights"] and figures["same losses"] and resumed["begin"] > 0
    return Row("resume", ", ".join(case), figures, verdict(is_same))


def rows(device: str, quick: bool, clock: Clock, folder: Path) -> Iterator[Row]:
    """The cases; updates to be killed at are drawn anew each time, in order, the first one after a checkpoint."""
    updates = 24

    def row(case: tuple[str, str, str, str]) -> Row:
        name = ", ".join(case)
        if case[0] == "graph" and device != "cuda":
            return Row("resume", name, verdict=ABSENT)
        kills = sorted(random.sample(range(EVERY + 1, updates), 1 if quick else 3))
        place = folder / name.replace(", ", "-").replace(" ", "-")
        place.mkdir()
        return guarded("resume", name, clock, lambda: _row(case, device, updates, kills, place))

    return side_by_side([partial(row, case) for case in (CASES[:1] if quick else CASES)])


if __name__ == "__main__":
    main()
