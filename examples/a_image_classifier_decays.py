"""Three decays for an image classifier in Keras, through a callback that sets the rate of each epoch.

Article A: step decay, also with a warm-up, exponential decay, and a cyclic polynomial; each starts at about 0.001. It
prints their rates, trains a small network on handwritten digits with each, and prints the article's table:
seconds, accuracy, loss, and both on the images that were held back. One run each, as in the article: which decay is
better cannot be read from that, see bench/compare_schedules.py.

The warm-up: the article's text wants the rate to rise to 0.001 in five epochs. Its code has the drop factor, 0.5, in
the place of the initial rate, and would rise towards 0.5. Here a warm-up is a piece before the decay, that ends at
the rate at which the decay begins.

    python examples/a_image_classifier_decays.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "jax", or "tensorflow"

import keras
from sklearn.datasets import load_digits

from lrcore import Constant, Linear, NaturalExpDecay, Schedule, Sequence, cyclic_polynomial, plot, step_decay
from lrcore.bindings.keras import ScheduleCallback

EPOCHS = 10
INITIAL, DROP = 0.001, 0.5

# The step of each schedule is the epoch, from 0. The article counts from 1: hence shift(1).
STEP = step_decay(INITIAL, DROP, every=5).shift(1)  # 0.001 * 0.5 ** floor((1 + epoch) / 5)
WARM = Sequence([(Linear(0.0001, 0.0011, 5), 5), STEP.shift(3)])  # 0.0001, 0.0003 ... 0.0009, and the decay from there
EXPONENTIAL = NaturalExpDecay(INITIAL, 0.2).shift(1)  # 0.001 * exp(-0.2 * (epoch + 1))
CYCLIC = cyclic_polynomial(INITIAL, 0.00001, period=10, power=0.5)  # 0.00099 * (1 - (epoch mod 10) / 10) ** 0.5 + ...

SCHEDULES: dict[str, Schedule] = {
    "step": STEP,
    "step, warm-up": WARM,
    "exponential": EXPONENTIAL,
    "cyclic polynomial": CYCLIC,
    "baseline": Constant(INITIAL),
}


def main() -> None:
    """Prints the rates, and trains with each schedule."""
    options = _options()
    print("epoch" + "".join(f"{name:>19}" for name in SCHEDULES))
    for epoch in range(EPOCHS + 1):
        print(f"{epoch:>5}" + "".join(f"{schedule(epoch):>19.6g}" for schedule in SCHEDULES.values()))
    print(f"warm-up: to {WARM.table(25).max():g}, not towards {DROP:g}, {DROP / INITIAL:g} times as high\n")

    print(f"{'model':<20}{'seconds':>8}{'acc':>8}{'loss':>8}{'val_acc':>9}{'val_loss':>10}")
    model = network()
    first = model.get_weights()
    for name, schedule in SCHEDULES.items():
        model.set_weights(first)
        print(f"{name:<20}" + train(model, schedule, options.quick))

    options.out.mkdir(parents=True, exist_ok=True)
    stairs = {name: schedule.staircase(1) for name, schedule in SCHEDULES.items()}
    plot(stairs, 4 * EPOCHS, mark_boundaries=False).figure.savefig(options.out / "decays.png")
    print(f"\n{options.out / 'decays.png'}: the five schedules over {4 * EPOCHS} epochs")


def train(model: keras.Model, schedule: Schedule, quick: bool) -> str:
    """Trains the network, and returns its row of the table."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).reshape(-1, 8, 8, 1).astype("float32")
    last = 320 if quick else 1400
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss=loss, metrics=["accuracy"])
    begin = time.perf_counter()
    history: dict[str, list[Any]] = model.fit(
        images[:last],
        labels[:last],
        batch_size=32,
        epochs=EPOCHS,
        validation_data=(images[1400:], labels[1400:]),
        validation_batch_size=400,
        callbacks=[ScheduleCallback(schedule, unit="epoch")],
        verbose=0,
    ).history
    seconds = time.perf_counter() - begin
    assert history["learning_rate"] == schedule.table(EPOCHS, dtype="float32").tolist()  # what the optimizer had
    acc, loss, val_acc, val_loss = (history[name][-1] for name in ("accuracy", "loss", "val_accuracy", "val_loss"))
    return f"{seconds:>8.2f}{acc:>8.3f}{loss:>8.3f}{val_acc:>9.3f}{val_loss:>10.3f}"


def network() -> keras.Model:
    """A small convolutional network."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The decays of article A, in Keras.")
    parser.add_argument("--quick", action="store_true", help="train on fewer images")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
