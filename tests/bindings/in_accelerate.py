"""Trains with Accelerate; run by test_torch_accelerate.py: `in_accelerate.py folder runs`, by one or
more processes, each run a dict as below."""

from pathlib import Path

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from watching import Weight, arguments, say, watched

from lrcore.bindings.torch.accelerate import for_accelerate
from lrcore.expression import parse


def trained(folder, schedule, batches, epochs, begin, end, accumulate=1, prepared=False, **settings):
    """The rates of some updates, between two checkpoints; the batches are those of an epoch on one process."""
    accelerator = Accelerator(
        cpu=True,
        gradient_accumulation_steps=accumulate,
        step_scheduler_with_optimizer=settings.get("with_optimizer", True),
        dataloader_config=DataLoaderConfiguration(split_batches=settings.get("split_batches", False)),
    )
    if settings.get("scaled"):  # as it is for 16 bits on a GPU
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    model = Weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=123.0)
    rates = watched(optimizer, model.weight)
    size = accelerator.num_processes if accelerator.split_batches else 1
    loader = torch.utils.data.DataLoader(torch.zeros(batches * size, 1), batch_size=size)
    bound = {"total_steps": epochs * len(loader), "steps_per_epoch": len(loader)}
    wrapped = accelerator.prepare(optimizer) if prepared else optimizer
    scheduler = for_accelerate(wrapped, parse(schedule), accelerator, **bound)
    model, optimizer, loader, scheduler = accelerator.prepare(model, wrapped, loader, scheduler)
    if begin:
        accelerator.load_state(Path(folder) / str(begin))
    while True:
        for batch in loader:
            with accelerator.accumulate(model):
                accelerator.backward(model(batch))
                optimizer.step()
                if accelerator.step_scheduler_with_optimizer or accelerator.sync_gradients:
                    scheduler.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients and begin + len(rates) == end:
                accelerator.save_state(Path(folder) / str(end))
                return accelerator, rates


if __name__ == "__main__":
    folder, runs = arguments()
    found = {}
    for name, run in runs.items():
        accelerator, rates = trained(Path(folder) / name, **run)
        found[name] = rates
    accelerator.wait_for_everyone()
    accelerator.end_training()
    say({"processes": accelerator.num_processes, "rates": found})
