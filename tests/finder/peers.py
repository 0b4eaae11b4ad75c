"""The finders of other libraries, run whole on losses that are given to them: what they record and suggest.

A process of its own, as importing fastai changes torch. Each trains a model that stays as it is.
"""

import json
import logging
import os
import sys
import tempfile
import warnings

if __name__ == "__main__":  # not where doctests are looked for, in a process with other tests
    os.environ |= {"MPLBACKEND": "Agg", "TQDM_DISABLE": "1"}
    warnings.simplefilter("ignore")  # theirs

import torch

STEPS = 100
FAILURES = (IndexError, RuntimeError, ValueError)  # where there are too few losses


class Scripted(torch.nn.Module):
    """Its output, and so its loss, is the next of the given losses."""

    def __init__(self, losses):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.losses = iter([*losses, *[losses[-1]] * STEPS])

    def forward(self, _):
        return torch.tensor(next(self.losses), dtype=torch.float64) + 0.0 * self.weight


def batches(n=STEPS + 20):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(n, 1), torch.zeros(n, 1)), 1)


def identity(output, *_):
    return output


def fastai(losses):
    from fastai.callback.schedule import minimum, slide, steep, valley
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    class Float32(Scripted):  # as models are
        def forward(self, inputs):
            return super().forward(inputs).float()

    def found(*rules):
        with tempfile.TemporaryDirectory() as folder:
            loaders = DataLoaders(batches(), batches(), device="cpu")
            learner = Learner(loaders, Float32(losses), loss_func=identity, path=folder)
            suggested = learner.lr_find(num_it=STEPS, suggest_funcs=rules or None, show_plot=False)
        return learner.recorder, suggested and suggested._asdict()

    rules = (valley, slide, steep, minimum)
    try:
        recorder, suggestions = found(*rules)
    except FAILURES:  # of at least one of them
        recorder, _ = found()
        suggestions = {rule.__name__: fastai_alone(found, rule) for rule in rules}
    recorded = [loss.item() for loss in recorder.losses]
    return {"lrs": recorder.lrs, "recorded": recorded, "suggestions": suggestions}


def fastai_alone(found, rule):
    try:
        return found(rule)[1][rule.__name__]
    except FAILURES:
        return None


def lightning(losses):
    import lightning
    from lightning.pytorch.tuner import Tuner

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.lr = Scripted(losses), 0.1

        def training_step(self, batch, _):
            return self.model(batch)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    with tempfile.TemporaryDirectory() as folder:
        quiet = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
        trainer = lightning.Trainer(default_root_dir=folder, accelerator="cpu", max_epochs=5, **quiet)
        tuner = Tuner(trainer)
        found = tuner.lr_find(Module(), batches(), num_training=STEPS, update_attr=False)
    lrs, recorded = found.results["lr"], found.results["loss"]
    return {
        "lrs": lrs,
        "recorded": recorded,
        "suggestions": {"": found.suggestion(), "2.5.2": until_2_5_2(lrs, recorded)},
    }


def until_2_5_2(lrs, recorded):
    """The suggestion of versions that are no longer installed, from what the present one records as they did."""
    losses = torch.tensor(recorded[10:-1])
    losses = losses[torch.isfinite(losses)]
    return lrs[torch.gradient(losses)[0].argmin().item() + 10] if len(losses) > 1 else None


def torch_lr_finder(losses):
    from matplotlib import pyplot
    from torch_lr_finder import LRFinder

    model = Scripted(losses)
    finder = LRFinder(model, torch.optim.SGD(model.parameters(), lr=1e-7), identity, device="cpu")
    finder.range_test(batches(), end_lr=10, num_iter=STEPS)
    try:
        _, suggestion = finder.plot(ax=pyplot.figure().subplots())
    except FAILURES:
        suggestion = None
    return {"lrs": finder.history["lr"], "recorded": finder.history["loss"], "suggestions": {"": suggestion}}


def ignite(losses):
    from ignite.engine import Engine
    from ignite.handlers import FastaiLRFinder

    model = Scripted(losses)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-7)
    trainer, finder = Engine(lambda _, batch: model(batch).item()), FastaiLRFinder()
    with finder.attach(trainer, to_save={"model": model, "optimizer": optimizer}, num_iter=STEPS) as finding:
        finding.run(batches())
    history = finder.get_results()
    try:
        suggestion = finder.lr_suggestion()
    except FAILURES:
        suggestion = None
    return {"lrs": history["lr"], "recorded": history["loss"], "suggestions": {"": suggestion}}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    library = {"fastai": fastai, "lightning": lightning, "torch-lr-finder": torch_lr_finder, "ignite": ignite}
    (curves,) = map(json.loads, sys.argv[1:])
    answers, sys.stdout = sys.stdout, sys.stderr  # some of them print
    told = {name: [find(losses) for losses in curves] for name, find in library.items()}
    print(json.dumps(told), file=answers)
