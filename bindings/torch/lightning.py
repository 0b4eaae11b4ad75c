"""Lightning: what `configure_optimizers` returns."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer

from lrcore.bindings.torch._late import bound, is_bound
from lrcore.bindings.torch.scheduler import Scheduler


def for_lightning(optimizer: Optimizer, schedule: Any, *, trainer: Any = None, **options: Any) -> dict[str, Any]:
    """What `configure_optimizers` of a LightningModule returns, so that the schedule counts updates.

    `{"optimizer": optimizer, "lr_scheduler": {"scheduler": ..., "interval": "step", "frequency": 1}}`

    A scheduler that is returned bare is stepped once an epoch. With `interval="step"` Lightning steps it once an
    update, not once a batch, also where gradients are accumulated. Its checkpoints hold the scheduler's state.

    Args:
        optimizer: the optimizer.
        schedule: what `Scheduler` takes: a schedule, a list or a dict of them. Durations of the run and of epochs are
            bound to what the trainer will do: `estimated_stepping_batches` updates, and as many an epoch as its batches
            come to. Those in tokens or samples are not known to a trainer: `schedule.bind(...)` takes them.
        trainer: the module's `self.trainer`; needed where there is something to bind.
        **options: what `Scheduler` takes.

    Raises:
        TypeError, ValueError: as `Scheduler`.
        UnboundError: (a ValueError) a duration that nothing binds: there is no trainer, or it does not know how long it
            will run or an epoch is.

    Example:
        >>> import torch
        >>> from lrcore import warmup_cosine
        >>> class Module(torch.nn.Linear):  # a lightning.LightningModule
        ...     trainer = None
        ...     def configure_optimizers(self):
        ...         optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        ...         return for_lightning(optimizer, warmup_cosine(0.1, 0.0, 10, 100), trainer=self.trainer)
        >>> configured = Module(2, 1).configure_optimizers()
        >>> configured["lr_scheduler"]["interval"], configured["lr_scheduler"]["scheduler"].schedule.length
        ('step', 100)
    """
    if trainer is not None and not is_bound(schedule):
        schedule = bound(schedule, **_run_of(trainer))
    scheduler = Scheduler(optimizer, schedule, **options)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1}}


def _run_of(trainer: Any) -> dict[str, int | None]:
    """Updates of the run and of an epoch; None where the trainer does not know."""
    if trainer.train_dataloader is None:
        trainer.fit_loop.setup_data()  # as Lightning does to estimate, but not for a run without an end of its epochs
    total, batches = trainer.estimated_stepping_batches, trainer.num_training_batches
    return {
        "total_steps": int(total) if 0 < total < math.inf else None,
        "steps_per_epoch": math.ceil(batches / trainer.accumulate_grad_batches) if 0 < batches < math.inf else None,
    }
