"""The runs of `bench/high_lr.py` in torch, each with a monitor beside it."""

from __future__ import annotations

from typing import Any

from bench.high_lr_tasks import TASKS, Outcome, Setting, batches_per_epoch, train
from lrcore.monitor import Diagnosis


def run(setting: Setting, **options: Any) -> tuple[Outcome, list[float], Any]:
    """A run, its losses, and the monitor that has watched it, with options of `lrcore.bindings.torch.Monitor`."""
    import torch

    from lrcore.bindings.torch import Monitor

    torch.set_num_threads(1)
    watching: list[Monitor] = []

    def watch(net: Any, optimizer: Any, data: Any) -> Any:
        watching.append(
            Monitor(net, optimizer, label_counts=data.counts, batches_per_epoch=batches_per_epoch(data), **options)
        )
        return watching[0].observe

    ended, losses = train(setting, watch)
    watching[0].close()
    return ended, losses, watching[0]


def watched(setting: Setting) -> tuple[Outcome, list[float], Diagnosis | None, Diagnosis]:
    """A run with nothing done about it: its end, its losses, the first alarm, and what is said in the end."""
    ended, losses, monitor = run(setting)
    return ended, losses, next(iter(monitor.alarms), None), monitor.diagnosis()


def mended(setting: Setting) -> tuple[Outcome, list[float], int]:
    """A run that follows the advice by itself: its end, its losses, and how often it began again."""
    ended, losses, monitor = run(setting, on_failure="restore_and_lower")
    return ended, losses, monitor.restores


def batches(task: str) -> int:
    """Updates of an epoch."""
    return batches_per_epoch(TASKS[task][0]())
