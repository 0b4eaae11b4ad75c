"""Accelerate: a scheduler that counts updates, on any number of processes."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from lrcore.bindings.torch._late import bound, is_bound
from lrcore.bindings.torch.scheduler import Scheduler


def for_accelerate(
    optimizer: Optimizer,
    schedule: Any,
    accelerator: Any,
    *,
    total_steps: int | None = None,
    steps_per_epoch: int | None = None,
    **options: Any,
) -> Scheduler:
    """A scheduler to give to `accelerator.prepare`, which has the schedule's value at each update.

    Accelerate steps a prepared scheduler `num_processes` times an update, unless its loaders split batches
    (`split_batches=True`) or its schedulers are not stepped with the optimizer (`step_scheduler_with_optimizer=False`).
    This one knows, and a checkpoint of it may be loaded on another number of processes.

    Args:
        optimizer: the optimizer, before or after `accelerator.prepare`.
        schedule: what `Scheduler` takes: a schedule, a list or a dict of them.
        accelerator: the `accelerate.Accelerator`.
        total_steps: batches of the run on one process, `epochs * len(loader)` of a loader that is not prepared yet: to
            bind durations of the run, with the accelerator's number of processes and of steps of accumulation.
        steps_per_epoch: batches of an epoch on one process, `len(loader)`.
        **options: what `Scheduler` takes.

    Raises:
        TypeError, ValueError: as `Scheduler` and `Schedule.bind`.
        UnboundError: (a ValueError) a duration that the arguments do not bind.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> from lrcore import Linear
        >>> accelerator = SimpleNamespace(  # accelerate.Accelerator(), on 4 processes
        ...     num_processes=4, split_batches=False, step_scheduler_with_optimizer=True, gradient_accumulation_steps=2)
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = for_accelerate(optimizer, Linear(0.1, 0.0, "100%"), accelerator, total_steps=800)
        >>> scheduler.schedule, scheduler.step_scale
        (Linear(init_value=0.1, end_value=0.0, steps=100), 4)
    """
    processes = 1 if accelerator.split_batches else accelerator.num_processes
    if not is_bound(schedule):
        schedule = bound(
            schedule,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            micro_batches_per_update=accelerator.gradient_accumulation_steps,
            world_size=processes,
        )
    scale = processes if accelerator.step_scheduler_with_optimizer else 1
    return Scheduler(optimizer, schedule, step_scale=scale, **options)
