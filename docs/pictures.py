"""Makes the pictures of README.md: `python docs/pictures.py [NAME ...] [--out FOLDER]`.

Each is drawn from what it shows: live schedulers of torch and Keras, trainings, a range test. All of them take about a
minute.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
from matplotlib.figure import Figure

import lrcore as lr
from lrcore.expression import parse
from lrcore.plotting import COLOURS, clean

HERE = Path(__file__).parent
SHOWN = [
    "warmup_cosine(0.1, 0.0, 100, 1000)",
    "one_cycle(0.1, 1000)",
    "wsd(0.1, 100, 1000, decay_steps=300)",
    "sgdr(0.1, 0.0, 100, period_mult=2)",
    "cyclic_polynomial(0.1, 0.01, 250, 0.5)",
    "step_decay(0.1, 0.5, every=200)",
    "noam(512, warmup_steps=200)",
    "sgdr(0.1, 0.0, 250).warmup(100)\n* ExponentialDecay(1.0, 0.5, 250)",
]
RATES, THEIRS, OURS, SOFT = "#2a6fbb", "#c2452d", "#2f8561", "#6b7480"


def schedules(path: Path) -> None:
    """Some recipes, each under the expression that makes it."""
    figure = Figure(figsize=(10.2, 4.2), layout="constrained")
    for axes, expression in zip(figure.subplots(2, 4).flat, SHOWN, strict=True):
        lr.plot(parse(expression.replace("\n", " ")), 1000, ax=axes, mark_boundaries=False)
        axes.set_title(expression, fontsize=6.8, loc="left", family="monospace")
        axes.set(xlabel="", ylabel="")
        _tidy(axes)
    _save(figure, path)


def why(path: Path) -> None:
    """The three failures that the README begins with, by the libraries themselves."""
    from keras.optimizers.schedules import CosineDecay

    figure = Figure(figsize=(10, 2.9), layout="constrained")
    longer, resumed, example = figure.subplots(1, 3)
    for name, colour, kind in (("torch", THEIRS, _torchs), ("lrcore", OURS, _ours)):
        longer.plot(_rates(kind, 20), color=colour, label=name)
        resumed.plot(range(5, 11), _rates(kind, 6, resumed_at=5), color=colour, label=name)
    resumed.plot(range(6), lr.Cosine(0.1, 0.0, 10).table(6), color=SOFT, linestyle="--", label="before")
    steps = range(0, 2001, 50)
    theirs = CosineDecay(0, decay_steps=1000, warmup_target=0.1, warmup_steps=1000)
    ours = lr.warmup_cosine(0.1, 0.0, warmup_steps=1000, steps=2000)
    for name, colour, rate in (("Keras", THEIRS, theirs), ("lrcore", OURS, ours)):
        example.plot(steps, [float(rate(step)) for step in steps], color=colour, label=name)
    titles = ("ten epochs more than T_max", "resumed after epoch 5", "an example in Keras' documentation")
    for axes, title, unit in zip((longer, resumed, example), titles, ("epoch", "epoch", "update"), strict=True):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel(unit)
        axes.legend(frameon=False, fontsize=8)
        _tidy(axes)
    longer.set_ylabel("learning rate")
    _save(figure, path)


def _torchs(optimizer: Any) -> Any:
    from torch.optim.lr_scheduler import CosineAnnealingLR

    return CosineAnnealingLR(optimizer, T_max=10)


def _ours(optimizer: Any) -> Any:
    from lrcore.bindings.torch import Scheduler

    return Scheduler(optimizer, lr.Cosine(0.1, 0.0, 10))


def _rates(kind: Callable[[Any], Any], epochs: int, resumed_at: int = 0) -> list[float]:
    """The rates that an optimizer has, perhaps after its scheduler was saved and loaded."""
    import torch

    def begin() -> Any:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
        return optimizer, kind(optimizer)

    optimizer, scheduler = begin()
    for _ in range(resumed_at):
        optimizer.step()
        scheduler.step()
    if resumed_at:
        state = scheduler.state_dict()
        optimizer, scheduler = begin()
        scheduler.load_state_dict(state)
    rates = []
    for _ in range(epochs):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def keras(path: Path) -> None:
    """A training in Keras with restarts: the rate that was used, and what new digits say."""
    import keras as library
    from sklearn.datasets import load_digits

    from lrcore.bindings.keras import LearningRateLogger, ScheduleCallback

    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype("float32")
    library.utils.set_random_seed(1)
    model = library.Sequential(
        [library.Input((64,)), library.layers.Dense(64, activation="relu"), library.layers.Dense(10)]
    )
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(library.optimizers.SGD(momentum=0.9), loss=loss, metrics=["accuracy"])
    rates: list[float] = []
    note = library.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: rates.append(callback.value or 0.0))
    callback = ScheduleCallback(lr.sgdr(0.1, 0.0, "2ep", period_mult=2))
    seen = {"validation_data": (images[1280:], labels[1280:]), "callbacks": [callback, note, LearningRateLogger()]}
    history = model.fit(images[:1280], labels[:1280], 32, epochs=14, verbose=0, **seen).history

    figure = Figure(figsize=(10, 2.9), layout="constrained")
    above, beside = figure.subplots(1, 2)
    above.plot(np.arange(len(rates)) / 40, rates, color=RATES)
    above.set_ylabel("learning rate")
    epochs = range(1, 15)
    beside.plot(epochs, history["loss"], color=SOFT, label="loss")
    beside.plot(epochs, history["val_loss"], color=THEIRS, label="loss of new digits")
    beside.legend(frameon=False, fontsize=8)
    beside.set_yscale("log")
    for axes in (above, beside):
        for restart in (2, 6):
            axes.axvline(restart, color="#e4e8ec", zorder=0)
        axes.set_xlabel("epoch")
        _tidy(axes)
    _save(figure, path)


def frameworks(path: Path) -> None:
    """The rates of 60 updates, each by what one update took from a weight with a gradient of 1."""
    schedule = lr.sgdr(0.1, 0.0, 20, period_mult=2).warmup(5)
    by_framework = {"PyTorch": _in_torch, "Keras": _in_keras, "JAX": _in_jax, "TensorFlow 1": _in_tf1}
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    axes = figure.subplots()
    lr.plot(schedule, 60, ax=axes, mark_boundaries=False)
    axes.lines[0].set(color="#c9ced6", linewidth=1, label="_schedule")
    for at, (name, rates_in) in enumerate(by_framework.items()):
        steps = range(at, 60, 4)
        rates = rates_in(schedule, 60)
        assert rates == schedule.table(60, dtype="float32").tolist(), name
        axes.plot(steps, [rates[step] for step in steps], "os^D"[at], color=COLOURS[at], markersize=5, label=name)
    axes.set(xlabel="update", ylabel="learning rate")
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    _tidy(axes)
    _save(figure, path)


def _in_torch(schedule: lr.Schedule, updates: int) -> list[float]:
    import torch

    from lrcore.bindings.torch import Scheduler

    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = Scheduler(optimizer, schedule)
    rates = []
    for _ in range(updates):
        weight.data.zero_()
        weight.grad = torch.ones(1)
        optimizer.step()
        scheduler.step()
        rates.append(-weight.item())
    return rates


def _in_keras(schedule: lr.Schedule, updates: int) -> list[float]:
    import keras as library

    from lrcore.bindings.keras import Schedule

    weight = library.Variable(np.zeros(1, "float32"))
    optimizer = library.optimizers.SGD(Schedule(schedule))
    rates = []
    for _ in range(updates):
        weight.assign(library.ops.zeros(1))
        optimizer.apply([library.ops.ones(1)], [weight])
        rates.append(-float(library.ops.convert_to_numpy(weight)[0]))
    return rates


def _in_jax(schedule: lr.Schedule, updates: int) -> list[float]:
    import jax
    import jax.numpy as jnp
    import optax

    from lrcore.bindings import optax as binding

    optimizer = optax.sgd(binding.schedule(schedule))
    state, update, rates = optimizer.init(jnp.zeros(1)), jax.jit(optimizer.update), []
    for _ in range(updates):
        change, state = update(jnp.ones(1), state)
        rates.append(-change.item())
    return rates


def _in_tf1(schedule: lr.Schedule, updates: int) -> list[float]:
    import tensorflow as tf

    from lrcore.bindings import tf1

    v1, rates = tf.compat.v1, []
    with tf.Graph().as_default(), v1.Session() as session:
        step, weight = v1.train.create_global_step(), v1.get_variable("weight", initializer=[0.0])
        optimizer = v1.train.GradientDescentOptimizer(tf1.learning_rate(schedule, step))
        update = optimizer.apply_gradients([(tf.ones(1), weight)], global_step=step)
        session.run(v1.global_variables_initializer())
        for _ in range(updates):
            session.run(weight.initializer)
            session.run(update)
            rates.append(-session.run(weight).item())
    return rates


def finder(path: Path) -> None:
    """What `find_lr` shows of eight runs."""
    import torch
    from sklearn.datasets import load_digits

    from lrcore.bindings.torch import find_lr

    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    data = torch.utils.data.TensorDataset(torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels))
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters())
    loader = torch.utils.data.DataLoader(data, 32, shuffle=True)
    _save(find_lr(model, optimizer, torch.nn.functional.cross_entropy, loader).plot().figure, path)


def diagnosis(path: Path) -> None:
    """The forum's failure: the cost of a run that nobody watches, and of one whose monitor may act."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    import e_why_a_high_rate_fails as example
    import torch

    torch.set_num_threads(1)
    train, _ = example.pictures()
    epochs = 40
    failed, monitor, _ = example.run(0.01, train, epochs)
    mended, _, _ = example.run(0.01, train, epochs, on_failure="restore_and_lower")
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(math.log(6) * 34 / 33, color=SOFT, linestyle="--", linewidth=1, label="all six classes alike: 1.846")
    axes.plot(failed, color=THEIRS, label="Adam at 0.01")
    axes.plot(mended, color=OURS, label='the same, on_failure="restore_and_lower"')
    found = monitor.alarms[0]
    assert found.step is not None
    axes.axvline(found.step / 34, color=RATES, linewidth=1.4)
    axes.text(found.step / 34 + 0.4, 3.5, f"{found.verdict}, update {found.step}", color=RATES, fontsize=9)
    axes.set(xlabel="epoch", ylabel="cost", ylim=(0, 3.8))
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    _tidy(axes)
    _save(figure, path)


PICTURES: dict[str, Callable[[Path], None]] = {
    "schedules": schedules,
    "why": why,
    "keras": keras,
    "frameworks": frameworks,
    "finder": finder,
    "diagnosis": diagnosis,
}


def main() -> None:
    """Draws those that are named, or all."""
    parser = argparse.ArgumentParser(description="Makes the pictures of README.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *PICTURES], help=", ".join(PICTURES))
    parser.add_argument("--out", type=Path, default=HERE / "pictures", help="folder (%(default)s)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or PICTURES:
        path = options.out / f"{name}.png"
        PICTURES[name](path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _tidy(axes: Any) -> None:
    clean(axes)
    axes.tick_params(labelsize=8)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
