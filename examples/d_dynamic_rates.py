"""Dynamic learning rates in Keras, and how to find the first one.

Article D. Gradient descent on a parabola, with a constant rate and with one that shrinks by a hundredth an epoch. The
rate as a number beside the loss while Keras trains, and its curve afterwards. A rate that is held for ten epochs and
then decays, by the article's own function and as a schedule. And a learning-rate range test, its picture, and a new
network that trains at the rate it suggests.

    python examples/d_dynamic_rates.py [--quick] [--fashion-mnist] [--out FOLDER]

The data are scikit-learn's handwritten digits, or with --fashion-mnist the article's pictures of clothes, which Keras
downloads.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "jax", or "tensorflow"

import keras
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from lrcore import Constant, Cosine, ExponentialDecay, NaturalExpDecay, Schedule as Rates, Sequence
from lrcore.bindings.keras import LearningRateLogger, LRFinder, Schedule, ScheduleCallback

BATCH = 32
CONVERGED = 0.00095  # of the first distance to the minimum, see `epochs_to_converge`
HOLD = Sequence([(Constant(0.01), 10), NaturalExpDecay(0.01, 0.1).shift(1)])


def main() -> None:
    """The four parts."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    constant, shrinking = epochs_to_converge(Constant(0.1)), epochs_to_converge(ExponentialDecay(0.2, 0.99))
    print(f"parabola: 0.1 converges in {constant} epochs, 0.2 * 0.99**epoch in {shrinking}")
    data = fashion_mnist() if options.fashion_mnist else digits()
    few = tuple(each[: 10 * BATCH] for each in data[0])
    show_the_rate(few, options.out)
    hold_then_decay(few)
    find_the_first_one(data, options)


def epochs_to_converge(schedule: Rates) -> int:
    """Gradient descent on x**2: how many updates until x is near its minimum.

    The article says 32 and 15, and neither where it starts nor what it calls converged. Both numbers follow wherever
    that means a distance of 0.00091 to 0.00099 of the first one.
    """
    x, epoch = 1.0, 0
    while abs(x) >= CONVERGED:
        x -= schedule(epoch) * 2.0 * x
        epoch += 1
    return epoch


def show_the_rate(examples: Any, out: Path) -> None:
    """The rate stands beside the loss, also for an optimizer that has a schedule; its curve is in the history."""
    schedule = Cosine(0.001, 0.0, 50)
    model = network(examples, Schedule(schedule))
    history = model.fit(*examples, BATCH, epochs=5, callbacks=[LearningRateLogger()], verbose=0).history
    print("\nrate of the last update of each epoch:", *(f"{rate:.2e}" for rate in history["learning_rate"]))
    assert history["learning_rate"] == schedule.table(50, dtype="float32")[9::10].tolist()
    axes = Figure(figsize=(6, 4)).subplots()
    axes.plot(history["learning_rate"], marker="o")
    axes.set(xlabel="epoch", ylabel="learning rate")
    axes.figure.savefig(out / "learning_rate.png")


def hold_then_decay(examples: Any) -> None:
    """`scheduler(epoch, lr)`, as the article has it, and the same as a schedule, which needs no rate so far."""

    def scheduler(epoch: int, lr: float) -> float:
        return lr if epoch < 10 else lr * math.exp(-0.1)

    rates = []
    for callback in (ScheduleCallback(scheduler), ScheduleCallback(HOLD, unit="epoch")):
        model = network(examples, 0.01)
        rates.append(model.fit(*examples, BATCH, epochs=15, callbacks=[callback], verbose=0).history["learning_rate"])
    apart = max(abs(by_function / value - 1.0) for by_function, value in zip(*rates, strict=True))
    print("hold, then decay:", *(f"{rate:.5f}" for rate in rates[1][8:]))
    print(f"the function, which starts from a float32 rate each time, differs by {apart:.0e} of it at most")


def find_the_first_one(data: Any, options: argparse.Namespace) -> None:
    """A range test, which leaves the network as it was; then a new one is trained at the rate."""
    train, test = data
    finder = LRFinder(start_lr=1e-7, end_lr=10, max_steps=100, smoothing=0.9)
    network(train, 0.001).fit(*train, BATCH, epochs=5, callbacks=[finder], verbose=0)
    print(f"\nfinder: {len(finder.lrs)} batches, rates {finder.lrs[0]:.0e} to {finder.lrs[-1]:.2g}")
    print(finder.suggestion)
    finder.plot().figure.savefig(options.out / "finder.png")

    model = network(train, finder.suggestion.lr)
    model.fit(*train, BATCH, epochs=2 if options.quick else 5, verbose=0)
    loss, accuracy = model.evaluate(*test, verbose=0)
    print(f"trained at {finder.suggestion.lr:.2g}: loss {loss:.3f}, accuracy {accuracy:.3f} on new images")
    print(f"{options.out}: learning_rate.png, finder.png")


def network(examples: Any, rate: Any) -> keras.Model:
    """The article's network, for images of any size."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(examples[0].shape[1:]),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss=loss, metrics=["accuracy"])
    return model


def digits() -> Any:
    """((images, labels), (images, labels)): to train on, and to test."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).reshape(-1, 8, 8, 1).astype("float32")
    return (images[:1440], labels[:1440]), (images[1440:], labels[1440:])


def fashion_mnist() -> Any:
    """The same of 70,000 pictures of clothes; 30 MB, once."""
    train, test = keras.datasets.fashion_mnist.load_data()
    return tuple(((images / 255.0)[..., None].astype("float32"), labels) for images, labels in (train, test))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Dynamic rates and a range test in Keras, as article D has them.")
    parser.add_argument("--quick", action="store_true", help="a short training at the end")
    parser.add_argument("--fashion-mnist", action="store_true", help="the article's data, from the network")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for pictures (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
