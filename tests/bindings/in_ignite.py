"""Trains with Ignite; run by test_torch_ignite.py: `in_ignite.py folder runs`, each run a dict as below."""

from pathlib import Path

import torch
from ignite.engine import Events, create_supervised_trainer
from ignite.handlers import Checkpoint, DiskSaver, LRScheduler
from watching import Weight, arguments, say, watched

from lrcore.bindings.torch import Scheduler
from lrcore.bindings.torch.ignite import for_ignite
from lrcore.expression import parse


def scheduler_of(optimizer, schedule, engine, wrapped, **run):
    """Ours; or, as users of Ignite wrap torch's schedulers, ours in Ignite's own handler."""
    if not wrapped:
        return for_ignite(optimizer, schedule, engine, **run)
    handler = LRScheduler(Scheduler(optimizer, schedule))
    engine.add_event_handler(Events.ITERATION_STARTED, handler)
    return handler


def trained(folder, schedule, batches, epochs, accumulate=1, wrapped=False, stop=None, resume=False):
    """The rate of each update."""
    model = Weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=123.0)
    rates = watched(optimizer, model.weight)
    engine = create_supervised_trainer(model, optimizer, lambda loss, _: loss, gradient_accumulation_steps=accumulate)
    run = {"max_epochs": epochs, "epoch_length": batches, "gradient_accumulation_steps": accumulate}
    scheduler = scheduler_of(optimizer, parse(schedule), engine, wrapped, **run)
    saved = {"engine": engine, "model": model, "optimizer": optimizer, "scheduler": scheduler}
    if stop is not None:
        disk = DiskSaver(folder, require_empty=False)
        engine.add_event_handler(
            Events.ITERATION_COMPLETED(once=stop), Checkpoint(saved, disk, filename_pattern="state.pt")
        )
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=stop), engine.terminate)
    if resume:
        Checkpoint.load_objects(saved, torch.load(folder / "state.pt", weights_only=True))
    engine.run([(torch.zeros(1), torch.zeros(1))] * batches, max_epochs=epochs, epoch_length=batches)
    return rates


if __name__ == "__main__":
    folder, runs = arguments()
    say({name: trained(Path(folder) / name, **run) for name, run in runs.items()})
