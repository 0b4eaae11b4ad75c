"""Trains with Lightning; run by test_torch_lightning.py: `in_lightning.py folder runs`, each run a dict as below."""

import logging
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.utilities.warnings import PossibleUserWarning
from watching import Weight, arguments, say, watched

from lrcore.bindings.torch.lightning import for_lightning
from lrcore.expression import parse

warnings.filterwarnings("ignore", category=PossibleUserWarning)  # workers of loaders, a log interval: advice
warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch")  # as is meant here
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(lightning.LightningModule):
    def __init__(self, schedule):
        super().__init__()
        self.model, self.schedule = Weight(), schedule

    def training_step(self, batch):
        return self.model(batch)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=123.0)
        self.rates = watched(optimizer, self.model.weight)
        return for_lightning(optimizer, self.schedule, trainer=self.trainer)


class Stop(lightning.Callback):
    """Saves after some updates, and ends the run."""

    def __init__(self, updates, path):
        self.updates, self.path = updates, path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.updates:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def trained(folder, name, schedule, batches, options, stop=None, resume=False):
    """The rate of each update."""
    path = Path(folder) / f"{name}.ckpt"
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    callbacks = [] if stop is None else [Stop(stop, path)]
    trainer = lightning.Trainer(**options, **quiet, enable_model_summary=False, callbacks=callbacks)
    module = Module(parse(schedule))
    trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(batches, 1)), ckpt_path=path if resume else None)
    return module.rates


if __name__ == "__main__":
    folder, runs = arguments()
    say({name: trained(folder, name, **run) for name, run in runs.items()})
