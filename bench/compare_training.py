"""What `bench/compare_schedules.py` trains: one small CNN in Keras and in torch, with each schedule of lrcore.

The net is that of article D (32 filters 3x3, pool, dense 128, dropout 0.1, dense 10) with Adam. A seed gives a split of
the images into halves, the first weights and the order of the batches, the same for all schedules: runs are paired.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import lrcore
from lrcore import Constant, NaturalExpDecay, Schedule, cyclic_polynomial, one_cycle, sgdr, step_decay, wsd
from lrcore.finder import RangeTest
from lrcore.plateau import Plateau
from lrcore.recipes import warmup_cosine

if TYPE_CHECKING:
    import torch

BATCH, FILTERS, HIDDEN, DROPOUT, CLASSES = 64, 32, 128, 0.1, 10
EPOCHS, PERIOD = 40, 10  # so that three restarts are seen, and the last cycle ends with the run
SAME = 0.001  # the articles' rate
FRAMEWORKS = ("keras", "torch")
DATA = ("digits", "fashion-mnist")
FASHION_IMAGES = 2000  # to train with, and as many others to validate: so that it is as quick as the digits
FASHION_FILES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
FACTOR, PATIENCE, MARGIN = 0.5, 3, 1e-4  # of the plateau, which watches the validation loss
BASELINE = "baseline"
HELD, DECAY, RETRAINED = 10, 0.1, 5  # epochs and rate of article D
METRICS = ("acc", "loss", "val_acc", "val_loss")


# ---- The schedules ----


@dataclass(frozen=True)
class Course:
    """A schedule of the comparison.

    Args:
        made: the schedule that has this peak.
        unit: what its steps are: "epoch" or "batch", an update.
        has_plateau: whether a plateau multiplies it.
        formula: for the reader.
    """

    made: Callable[[float], Schedule]
    unit: str
    formula: str
    has_plateau: bool = False

    def bound(self, peak: float, epochs: int, each: int) -> Schedule:
        """The schedule of a run of so many epochs with so many updates each, of updates."""
        schedule = self.made(peak)
        if self.unit == "epoch":
            return schedule.staircase(1).stretch(each)
        return schedule.bind(total_steps=epochs * each, steps_per_epoch=each)


# Those of article A as it states them, e the epoch from 0; its 0.001 is the peak p.
COURSES = {
    BASELINE: Course(Constant, "epoch", "p"),
    "step": Course(lambda p: step_decay(p, 0.5, 5).shift(1), "epoch", "p · 0.5 ** floor((1 + e) / 5)"),
    "exponential": Course(lambda p: NaturalExpDecay(p, 0.2).shift(1), "epoch", "p · exp(-0.2 · (e + 1))"),
    "cyclic polynomial": Course(
        lambda p: cyclic_polynomial(p, p / 100, PERIOD, 0.5), "epoch", "0.99 p · (1 - (e mod 10) / 10) ** 0.5 + 0.01 p"
    ),
    "SGDR": Course(lambda p: sgdr(p, p / 100, f"{PERIOD}ep"), "batch", "cosine to p / 100, four cycles of 10 epochs"),
    "one-cycle": Course(lambda p: one_cycle(p, "100%"), "batch", "from p / 25 up in 30 %, down to p / 250 000"),
    "warm-up-cosine": Course(lambda p: warmup_cosine(p, 0.0, "5%", "100%"), "batch", "up in 5 %, cosine to 0"),
    "WSD": Course(lambda p: wsd(p, "5%", "100%", "20%"), "batch", "up in 5 %, down to 0 in the last 20 %"),
    "plateau": Course(Constant, "epoch", f"p, times {FACTOR} after {PATIENCE} epochs without a better val_loss", True),
}
RESTARTING = ("cyclic polynomial", "SGDR")


def restarts(epochs: int) -> list[int]:
    """The epochs that begin a cycle, but for the first."""
    return list(range(PERIOD, epochs, PERIOD))


# ---- The images ----


class Images(NamedTuple):
    """Pictures (n, side, side, 1) from 0 to 1 and their classes (n,)."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    valid_inputs: NDArray[np.float32]
    valid_labels: NDArray[np.int64]

    @property
    def each(self) -> int:
        """Updates of an epoch; the last batch is smaller."""
        return -(-len(self.labels) // BATCH)


def images(name: str, seed: int, most: int | None = None) -> Images:
    """A split of digits or of Fashion-MNIST: one half to train, one to validate.

    Args:
        name: one of DATA.
        seed: of the split, in which all classes have their share.
        most: of images in each half.

    Raises:
        FileNotFoundError: Fashion-MNIST is not on the disk. Nothing is ever downloaded.
    """
    from sklearn.model_selection import train_test_split

    inputs, labels = _digits() if name == "digits" else _fashion()
    half = min(len(labels) // 2, most or (FASHION_IMAGES if name == "fashion-mnist" else len(labels)))
    split = train_test_split(
        inputs, labels, train_size=half, test_size=half, stratify=labels, random_state=seed, shuffle=True
    )
    return Images(split[0], split[2], split[1], split[3])


def _digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16.0).astype(np.float32).reshape(-1, 8, 8, 1), labels.astype(np.int64)


def _fashion() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets" / "fashion-mnist"
    missing = [name for name in FASHION_FILES if not (folder / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"--data fashion-mnist: expected the files of keras.datasets in {folder}, got none of "
            f"{', '.join(missing)}; keras.datasets.fashion_mnist.load_data() fetches them"
        )
    import keras

    parts = keras.datasets.fashion_mnist.load_data()
    pixels, labels = (np.concatenate([part[kind] for part in parts]) for kind in (0, 1))
    return (pixels / 255.0).astype(np.float32)[..., None], labels.astype(np.int64)


# ---- Trainings ----


@dataclass(frozen=True)
class Size:
    """How much is trained.

    Args:
        seeds: runs of each schedule.
        epochs: of each run.
        courses: names of schedules.
        most: images in each half; None: those that there are.
        restarts: runs of the finder.
        steps: of each of them.
    """

    seeds: int = 10
    epochs: int = EPOCHS
    courses: tuple[str, ...] = tuple(COURSES)
    most: int | None = None
    restarts: int = 8
    steps: int = 100


WHOLE = Size()
QUICK = Size(seeds=2, epochs=PERIOD + 2, courses=(BASELINE, RESTARTING[0]), most=BATCH, restarts=2, steps=40)


@dataclass
class Run:
    """One training: what it was, the seconds of processor time that it took, and of each epoch the metrics.

    `lr` is the rate of the last update of an epoch; `acc` and `loss` are means over the batches while they are trained
    with, as Keras has them, the others are of the validation images after the epoch.
    """

    framework: str
    seed: int
    course: str
    rate: str
    peak: float
    seconds: float = 0.0
    history: dict[str, list[float]] = field(default_factory=dict)

    def last(self, metric: str) -> float:
        """Of the last epoch."""
        return self.history[metric][-1]


def train(run: Run, data: Images, epochs: int, schedule: Any = None) -> Run:
    """Fills in a run: its course's, or of another schedule of epochs.

    Args:
        run: what is to be trained.
        data: the images.
        epochs: how often all are seen.
        schedule: instead of the course's: for Keras a function `scheduler(epoch, lr)` too.
    """
    course = COURSES[run.course] if schedule is None else Course(lambda _: schedule, "epoch", "")
    begun = time.process_time()
    run.history = {"keras": _train_in_keras, "torch": _train_in_torch}[run.framework](run, course, data, epochs)
    run.seconds = time.process_time() - begun
    return run


def find(framework: str, data: Images, seed: int, size: Size) -> float:
    """The rate that the finder suggests for a fresh model."""
    return {"keras": _find_in_keras, "torch": _find_in_torch}[framework](data, seed, size)


# ---- Keras ----


def _keras_model(data: Images, lr: float, seed: int) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(data.inputs.shape[1:]),
            layers.Conv2D(FILTERS, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(HIDDEN, activation="relu"),
            layers.Dropout(DROPOUT),
            layers.Dense(CLASSES),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(lr), loss=loss, metrics=["accuracy"])
    return model


def _train_in_keras(run: Run, course: Course, data: Images, epochs: int) -> dict[str, list[float]]:
    from lrcore.bindings import keras as lrcore_keras

    model = _keras_model(data, run.peak, run.seed)
    callbacks = [lrcore_keras.ScheduleCallback(course.made(run.peak), unit=course.unit)]
    if course.has_plateau:
        callbacks.append(lrcore_keras.Plateau("val_loss", FACTOR, PATIENCE, min_delta=MARGIN))
    told = model.fit(
        data.inputs,
        data.labels,
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(data.valid_inputs, data.valid_labels),
        validation_batch_size=len(data.valid_labels),
        callbacks=callbacks,
        verbose=0,
    ).history
    names = {"acc": "accuracy", "loss": "loss", "val_acc": "val_accuracy", "val_loss": "val_loss"}
    return {ours: [float(value) for value in told[name]] for ours, name in {**names, "lr": "learning_rate"}.items()}


def _find_in_keras(data: Images, seed: int, size: Size) -> float:
    from lrcore.bindings.keras import find_lr

    model = _keras_model(data, SAME, seed)
    asked = {
        "batch_size": BATCH,
        "test": RangeTest(steps=size.steps),
        "restarts": size.restarts,
        "reinit": "reset",
        "seed": seed,
    }
    return find_lr(model, data.inputs, data.labels, **asked).lr


# ---- torch ----


def _torch_model(data: Images, lr: float, seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    import torch
    from torch import nn

    torch.manual_seed(seed)
    pooled = (data.inputs.shape[1] - 2) // 2
    model = nn.Sequential(
        nn.Conv2d(1, FILTERS, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(FILTERS * pooled * pooled, HIDDEN),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, CLASSES),
    )
    return model, torch.optim.Adam(model.parameters(), lr, fused=True)


def _tensors(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    return torch.from_numpy(inputs).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)


def _train_in_torch(run: Run, course: Course, data: Images, epochs: int) -> dict[str, list[float]]:
    import torch

    from lrcore.bindings.torch import Scheduler

    model, optimizer = _torch_model(data, run.peak, run.seed)
    watch = Plateau(FACTOR, PATIENCE, threshold=MARGIN, convention="keras") if course.has_plateau else None
    scheduler = Scheduler(optimizer, course.bound(run.peak, epochs, data.each), plateau=watch)
    inputs, labels = _tensors(data.inputs, data.labels)
    valid = _tensors(data.valid_inputs, data.valid_labels)
    history: dict[str, list[float]] = {name: [] for name in (*METRICS, "lr")}
    for _ in range(epochs):
        right, total, rate = 0.0, 0.0, 0.0
        model.train()
        for batch in torch.randperm(len(labels)).split(BATCH):
            rate = optimizer.param_groups[0]["lr"]
            guesses = model(inputs[batch])
            loss = torch.nn.functional.cross_entropy(guesses, labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(batch)
            right += float((guesses.argmax(1) == labels[batch]).sum())
        accuracy, valid_loss = _judged(model, *valid)
        if watch is not None:
            scheduler.observe(valid_loss)
        for name, value in zip(
            history, (right / len(labels), total / len(labels), accuracy, valid_loss, rate), strict=True
        ):
            history[name].append(value)
    return history


def _judged(model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Accuracy and loss on images that are not trained with."""
    import torch

    model.eval()
    with torch.no_grad():
        guesses = model(inputs)
        loss = torch.nn.functional.cross_entropy(guesses, labels)
        return float((guesses.argmax(1) == labels).float().mean()), float(loss)


def _find_in_torch(data: Images, seed: int, size: Size) -> float:
    import torch

    from lrcore.bindings.torch import find_lr

    model, optimizer = _torch_model(data, SAME, seed)
    pairs = torch.utils.data.TensorDataset(*_tensors(data.inputs, data.labels))
    loader = torch.utils.data.DataLoader(pairs, BATCH, shuffle=True)
    asked = {
        "test": RangeTest(steps=size.steps),
        "restarts": size.restarts,
        "reinit": "reset",
        "seed": seed,
        "progress": False,
    }
    return find_lr(model, optimizer, torch.nn.CrossEntropyLoss(), loader, **asked).lr


# ---- Article D: hold, then decay; find, then train ----


def hold_then_decay(lr: float) -> Schedule:
    """The rate for ten epochs, then times exp(-0.1) in each."""
    return lrcore.Sequence([(Constant(lr), HELD), NaturalExpDecay(lr, DECAY).shift(1)])


def article_scheduler(epoch: int, lr: float) -> float:
    """The same as the article has it, for Keras' LearningRateScheduler: from the rate so far."""
    return lr if epoch < HELD else lr * math.exp(-DECAY)


def held(framework: str, data: Images, seed: int, peak: float) -> dict[str, Run]:
    """Article D's 15 epochs: by the schedule, and in Keras by the function too."""
    ways: dict[str, Any] = {"schedule": hold_then_decay(peak)}
    if framework == "keras":
        ways["scheduler(epoch, lr)"] = article_scheduler
    return {way: train(Run(framework, seed, way, "found", peak), data, HELD + 5, given) for way, given in ways.items()}


# ---- A job ----


@dataclass
class Job:
    """All that a process does for a framework and a seed."""

    framework: str
    seed: int
    found: float
    runs: list[Run]
    retrained: list[Run]
    held: dict[str, Run]
    seconds: float


def job(framework: str, seed: int, name: str, size: Size) -> Job:
    """Finds a rate for a fresh model, and trains fresh models with it and with the articles' by all schedules."""
    import torch

    torch.set_num_threads(1)
    begun = time.process_time()
    data = images(name, seed, size.most)
    found = find(framework, data, seed, size)
    train(Run(framework, seed, BASELINE, "same", SAME), data, 1)  # so that no run's seconds are those of a first one
    peaks = {"found": found, "same": SAME}
    runs = [
        train(Run(framework, seed, course, rate, peak), data, size.epochs)
        for rate, peak in peaks.items()
        for course in size.courses
    ]
    retrained = [train(Run(framework, seed, BASELINE, rate, peak), data, RETRAINED) for rate, peak in peaks.items()]
    kept = held(framework, data, seed, found) if seed == 0 else {}
    return Job(framework, seed, found, runs, retrained, kept, time.process_time() - begun)
