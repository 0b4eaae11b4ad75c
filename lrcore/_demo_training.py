"""The same small network on the same digits in two frameworks, for the demo: what is alike is stated once, as a Task.

Both start from the same weights and see the same batches, by plain SGD, whose update every framework writes alike. So
with the same learning rates even the losses agree, up to the rounding of float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore.expression import parse
from lrcore.schedule import Schedule

HIDDEN = 64
BATCH = 32
PEAK = 0.5
FLOOR = 0.005
FIRST_CYCLE = 2  # epochs; each cycle is twice as long as the one before
ENDS = (1, 3, 7, 15)  # the epochs with which the warm-up and the cycles end

Floats = NDArray[np.float32]
Progress = Callable[[], None]


@dataclass(frozen=True)
class Task:
    """What a framework has to do.

    Args:
        train, test: features (n, 64) and labels (n,).
        batches: the examples of each update, (updates, BATCH).
        layers: the first weights, kernel (inputs, outputs) and bias of each layer.
        expression: the learning rate, as one writes it.
        schedule: the learning rate.
        epochs: how often all examples are seen.
    """

    train: tuple[Floats, NDArray[np.int64]]
    test: tuple[Floats, NDArray[np.int64]]
    batches: NDArray[np.int64]
    layers: list[tuple[Floats, Floats]]
    expression: str
    schedule: Schedule
    epochs: int

    @property
    def updates_per_epoch(self) -> int:
        """Updates in which all examples are seen once."""
        return len(self.batches) // self.epochs


@dataclass(frozen=True)
class Result:
    """What a framework did: the rate and the loss of each update, the accuracy on the test digits after each epoch."""

    framework: str
    rates: Floats
    losses: NDArray[np.float64]
    accuracies: list[float]
    seconds: float


def digits_task(epochs: int) -> Task:
    """scikit-learn's handwritten digits, a fifth of them to test, and one warm-up and restarts to train by."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(
        (pixels / 16.0).astype(np.float32), labels.astype(np.int64), test_size=0.2, stratify=labels, random_state=0
    )
    random = np.random.default_rng(0)
    each = len(split[0]) // BATCH
    orders = [random.permutation(len(split[0]))[: each * BATCH] for _ in range(epochs)]
    expression = f"sgdr({PEAK}, {FLOOR}, period={FIRST_CYCLE * each}, period_mult=2).warmup({each})"
    sizes = [(pixels.shape[1], HIDDEN), (HIDDEN, 10)]
    return Task(
        train=(split[0], split[2]),
        test=(split[1], split[3]),
        batches=np.concatenate(orders).reshape(-1, BATCH),
        layers=[_first_weights(random, *size) for size in sizes],
        expression=expression,
        schedule=parse(expression),
        epochs=epochs,
    )


def _first_weights(random: np.random.Generator, inputs: int, outputs: int) -> tuple[Floats, Floats]:
    kernel = random.normal(0.0, np.sqrt(2.0 / inputs), (inputs, outputs))
    return kernel.astype(np.float32), np.zeros(outputs, np.float32)


def _train(
    framework: str,
    task: Task,
    update: Callable[[Floats, NDArray[np.int64]], tuple[float, float]],
    accuracy: Callable[[], float],
    progress: Progress,
) -> Result:
    """All updates of a task. `update` takes a batch and returns the rate that it was used with, and the loss before."""
    features, labels = task.train
    rates, losses, accuracies = [], [], []
    begin = time.perf_counter()
    for number, batch in enumerate(task.batches, start=1):
        rate, loss = update(features[batch], labels[batch])
        rates.append(rate)
        losses.append(loss)
        if number % task.updates_per_epoch == 0:
            accuracies.append(accuracy())
            progress()
    seconds = time.perf_counter() - begin
    return Result(framework, np.array(rates, np.float32), np.array(losses), accuracies, seconds)


@contextmanager
def _one_thread() -> Iterator[None]:
    """For layers this small: more threads wait for each other longer than they compute, above all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def train_in_torch(task: Task, progress: Progress) -> Result:
    """The task in PyTorch, with the schedule as a torch scheduler."""
    import torch

    from lrcore.bindings.torch import Scheduler

    layers = [torch.nn.Linear(*kernel.shape) for kernel, _ in task.layers]
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    with torch.no_grad():
        for layer, (kernel, bias) in zip(layers, task.layers, strict=True):
            layer.weight.copy_(torch.from_numpy(kernel.T))
            layer.bias.copy_(torch.from_numpy(bias))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = Scheduler(optimizer, task.schedule)
    test_features, test_labels = map(torch.from_numpy, task.test)

    def update(features: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
        rate = optimizer.param_groups[0]["lr"]
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(features)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        return rate, loss.item()

    @torch.no_grad()
    def accuracy() -> float:
        right = model(test_features).argmax(dim=1) == test_labels
        return float(right.float().mean())

    return _train("PyTorch", task, update, accuracy, progress)


@_one_thread()
def train_in_keras(task: Task, progress: Progress) -> Result:
    """The task in Keras, with the schedule as the optimizer's learning rate. KERAS_BACKEND says what runs it."""
    import keras

    from lrcore.bindings.keras import Schedule as KerasSchedule

    model = keras.Sequential(
        [keras.Input(task.train[0].shape[1:]), keras.layers.Dense(HIDDEN, activation="relu"), keras.layers.Dense(10)]
    )
    for layer, weights in zip(model.layers, task.layers, strict=True):
        layer.set_weights(weights)
    optimizer = keras.optimizers.SGD(KerasSchedule(task.schedule))
    model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    test_features, test_labels = task.test

    def update(features: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
        rate = float(optimizer.learning_rate)
        loss: Any = model.train_on_batch(features, labels)
        return rate, float(loss)

    def accuracy() -> float:
        guesses = keras.ops.argmax(model(test_features, training=False), axis=1)
        right = keras.ops.equal(guesses, keras.ops.cast(test_labels, guesses.dtype))
        return float(keras.ops.mean(keras.ops.cast(right, "float32")))

    return _train(f"Keras on {keras.config.backend()}", task, update, accuracy, progress)
