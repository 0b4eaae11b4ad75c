"""Transformers: a Trainer that makes the scheduler when it knows how long it will train."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from lrcore import Schedule
from lrcore.bindings.torch._late import bound, is_bound
from lrcore.bindings.torch.scheduler import Scheduler


class ScheduleMixin:
    """Gives a Trainer of Transformers the argument `schedule`.

    `class MyTrainer(ScheduleMixin, Trainer): ...` then `MyTrainer(model, args, schedule=schedule, ...)`

    The scheduler is made where the Trainer makes its own, so durations of the run and of epochs are bound to what it
    will do; and nothing is in the way of `model_init`, a hyper-parameter search, FSDP or `optimizers=(optimizer,
    None)`. Without a schedule the Trainer does as ever. With one, `lr_scheduler_type`, `warmup_steps` and
    `learning_rate` of the arguments have no part in it.

    A Scheduler that is made before works as well, in `Trainer(optimizers=(optimizer, scheduler))`.

    Args:
        schedule: what `Scheduler` takes, or a function that makes it of the Trainer's arguments, so that a
            hyper-parameter search may vary it: `lambda args: warmup_cosine(args.learning_rate, 0.0, "5%", "100%")`.
        schedule_options: what else `Scheduler` takes.

    Raises:
        TypeError, ValueError: as `Scheduler`, when training begins.
        UnboundError: (a ValueError) then, a duration that the Trainer cannot bind: in tokens or samples, or in epochs
            of a dataset without a length.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> from lrcore import warmup_cosine
        >>> class Trainer:  # transformers.Trainer
        ...     args, lr_scheduler = SimpleNamespace(gradient_accumulation_steps=1), None
        ...     optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        ...     def get_train_dataloader(self):
        ...         return range(50)
        >>> class MyTrainer(ScheduleMixin, Trainer): ...
        >>> trainer = MyTrainer(schedule=warmup_cosine(0.1, 0.0, "1ep", "100%"))
        >>> trainer.create_scheduler(num_training_steps=200).schedule.length
        200
    """

    # Of the Trainer:
    args: Any
    optimizer: Any
    lr_scheduler: Any
    _created_lr_scheduler: bool

    def __init__(
        self, *args: Any, schedule: Any = None, schedule_options: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        self.schedule = schedule
        self.schedule_options = schedule_options or {}
        super().__init__(*args, **kwargs)

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> Any:
        """What the Trainer calls when the optimizer is there.

        Args:
            num_training_steps: updates of the run.
            optimizer: the optimizer; None: the Trainer's.
        """
        if self.schedule is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]
        schedule = self.schedule
        if callable(schedule) and not isinstance(schedule, Schedule):
            schedule = schedule(self.args)
        if not is_bound(schedule):
            schedule = bound(schedule, total_steps=num_training_steps, steps_per_epoch=self._updates_per_epoch())
        optimizer = self.optimizer if optimizer is None else optimizer
        self.lr_scheduler = Scheduler(optimizer, schedule, **self.schedule_options)
        self._created_lr_scheduler = True  # so that the next call of `train` makes another
        return self.lr_scheduler

    def _updates_per_epoch(self) -> int | None:
        """None of a dataset without a length."""
        loader = self.get_train_dataloader()  # type: ignore[attr-defined]
        try:
            batches = len(loader)
        except TypeError:
            return None
        updates: int = -(-batches // self.args.gradient_accumulation_steps)
        return updates
