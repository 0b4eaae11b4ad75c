"""Ignite: a scheduler that an engine steps."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from lrcore import _check
from lrcore.bindings.torch._late import bound, is_bound
from lrcore.bindings.torch.scheduler import Scheduler

_count = _check.whole(1, what="a whole number")


def for_ignite(
    optimizer: Optimizer,
    schedule: Any,
    engine: Any,
    *,
    gradient_accumulation_steps: int = 1,
    max_epochs: int | None = None,
    epoch_length: int | None = None,
    **options: Any,
) -> Scheduler:
    """A scheduler that an Ignite engine steps after each update.

    Ignite's own schedulers write the value before an iteration, from state of their own. This one is a
    `Scheduler`, which goes into a `Checkpoint` as it is: `to_save={"trainer": engine, "optimizer": optimizer,
    "scheduler": scheduler, ...}`. Handlers of an event run in the order in which they were attached, so attach the
    `Checkpoint` afterwards: one that saves on ITERATION_COMPLETED before the step has the state before it.

    Args:
        optimizer: the optimizer that the engine's function steps.
        schedule: what `Scheduler` takes: a schedule, a list or a dict of them.
        engine: the `ignite.engine.Engine` that trains.
        gradient_accumulation_steps: iterations of an update, as `create_supervised_trainer` takes them: windows go on
            over the end of an epoch.
        max_epochs, epoch_length: what `engine.run` will be given, to bind durations of the run and of epochs.
        **options: what `Scheduler` takes.

    Raises:
        TypeError, ValueError: as `Scheduler`; epochs to bind that are no whole number of updates.
        UnboundError: (a ValueError) a duration that the arguments do not bind.
    """
    from ignite.engine import Events

    every = _count("for_ignite.gradient_accumulation_steps", gradient_accumulation_steps)
    if not is_bound(schedule):
        schedule = bound(schedule, **_run_of(max_epochs, epoch_length, every))
    scheduler = Scheduler(optimizer, schedule, **options)

    def step(engine: Any) -> None:  # noqa: ARG001 (Ignite would give it to an optional argument)
        scheduler.step()

    engine.add_event_handler(Events.ITERATION_COMPLETED(every=every), step)
    return scheduler


def _run_of(max_epochs: int | None, epoch_length: int | None, every: int) -> dict[str, int | None]:
    if epoch_length is None:
        return {}
    batches = _count("for_ignite.epoch_length", epoch_length)
    if batches % every:
        _check.refuse("for_ignite.epoch_length", f"a multiple of {every} iterations an update", batches)
    epochs = None if max_epochs is None else _count("for_ignite.max_epochs", max_epochs)
    return {
        "total_steps": None if epochs is None else epochs * batches,
        "steps_per_epoch": batches,
        "micro_batches_per_update": every,
    }
