"""Trains with Transformers' Trainer; run by test_torch_transformers.py: `in_transformers.py folder runs`."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
import transformers
from transformers.hyperparameter_search import ALL_HYPERPARAMETER_SEARCH_BACKENDS, OptunaBackend
from transformers.trainer_utils import BestRun, HPSearchBackend
from watching import Weight, arguments, say, watched

from lrcore.bindings.torch import Scheduler
from lrcore.bindings.torch.transformers import ScheduleMixin
from lrcore.expression import parse


class Model(Weight):
    def forward(self, batch):
        return {"loss": super().forward(batch)}


class Watched(transformers.Trainer):
    """Makes an SGD optimizer that is watched."""

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            weight = (model or self.model).weight
            self.optimizer = torch.optim.SGD([weight], lr=123.0)
            self.rates = watched(self.optimizer, weight)
        return self.optimizer


class MyTrainer(ScheduleMixin, Watched):
    """As a user writes it."""


class Stop(transformers.TrainerCallback):
    """Saves after some updates, and ends the run."""

    def __init__(self, updates):
        self.updates = updates

    def on_step_end(self, _, state, control, **__):
        if state.global_step == self.updates:
            control.should_save = control.should_training_stop = True
        return control


def settings(folder, **options):
    quiet = {"report_to": [], "disable_tqdm": True, "logging_strategy": "no", "save_strategy": "no", "use_cpu": True}
    return transformers.TrainingArguments(
        str(folder), **quiet, per_device_train_batch_size=1, max_grad_norm=0.0, dataloader_pin_memory=False, **options
    )


def data(batches):
    return [{"batch": torch.zeros(1)} for _ in range(batches)]


def trained(folder, way, schedule, batches, options, stop=None, resume=None):
    """The rate of each update; `way` says how the Trainer gets the schedule."""
    schedule = parse(schedule)
    given = {"args": settings(folder, **options), "train_dataset": data(batches)}
    if stop is not None:
        given["callbacks"] = [Stop(stop)]
    if way == "optimizers":
        model = Model()
        optimizer = torch.optim.SGD(model.parameters(), lr=123.0)
        rates = watched(optimizer, model.weight)
        trainer = transformers.Trainer(model, **given, optimizers=(optimizer, Scheduler(optimizer, schedule)))
        trainer.rates = rates
    elif way == "model_init":
        trainer = MyTrainer(model_init=Model, **given, schedule=lambda args: args.learning_rate * schedule)
    else:
        trainer = MyTrainer(Model(), **given, schedule=schedule)
    trainer.train(resume_from_checkpoint=None if resume is None else str(folder / f"checkpoint-{resume}"))
    return trainer.rates


class Search(OptunaBackend):
    """Trials without Optuna: all that the Trainer needs of a backend."""

    @staticmethod
    def is_available():
        return True

    def run(self, trainer, n_trials, direction, **_):
        for number in range(n_trials):
            trainer.train(trial=SimpleNamespace(number=number, params={}))
            trainer.found.append(trainer.rates)
        return BestRun("0", 0.0, {}, direction)


def searched(folder, schedule, batches, rates):
    """The rates of the updates of each trial of a search over learning rates."""
    ALL_HYPERPARAMETER_SEARCH_BACKENDS[HPSearchBackend.OPTUNA] = Search
    transformers.integrations.hp_params = lambda trial: trial.params  # it refuses a trial that is not Optuna's
    schedule = parse(schedule)
    trainer = MyTrainer(
        model_init=Model,
        args=settings(folder, num_train_epochs=2),
        train_dataset=data(batches),
        schedule=lambda args: args.learning_rate * schedule,
    )
    trainer.found = []
    trainer.hyperparameter_search(lambda trial: {"learning_rate": rates[trial.number]}, n_trials=len(rates))
    return trainer.found


if __name__ == "__main__":
    folder, runs, search = arguments()
    found = {name: trained(Path(folder) / name, **run) for name, run in runs.items()}
    if search:
        with tempfile.TemporaryDirectory() as trials:
            found["search"] = searched(trials, **search)
    say(found)
