"""Learning rates for transfer learning in Keras: different ones for parts of a network, and SGDR.

Article B. Differential learning rates: the network is split at two layers into three parts, and each part has a rate
of its own, small near the input. The article edits the source of the optimizer for it; here `layer_rates` makes an
optimizer from rules. Adam's first update moves every weight by the learning rate itself, so the rate of each part can
be read from its weights.

SGDR: cosine annealing with warm restarts, in equal cycles and in cycles that each last twice as long as the one before,
by a callback. It also keeps the weights of the end of each cycle, whose predictions can be averaged.

    python examples/b_transfer_learning.py [--quick]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "jax", or "tensorflow"

import keras
import numpy as np
from sklearn.datasets import load_digits

from lrcore import Cosine, sgdr
from lrcore.bindings.keras import SGDR, layer_rates
from lrcore.groups import ByName

RATE = 0.001
PARTS = {"bottom": 0.01, "middle": 0.1, "head": 1.0}  # each part's share of the rate
PEAK, FLOOR, PERIOD = 0.01, 0.0001, 100


def main() -> None:
    """Both parts of the article."""
    quick = _options().quick
    differential_rates()
    print("\none cosine of 200 updates: ", _some(Cosine(PEAK, FLOOR, 200).table(201), (0, 100, 200)))
    restarts(period_mult=1, updates=150 if quick else 400)
    restarts(period_mult=2, updates=350 if quick else 750)


def differential_rates() -> None:
    """One update by Adam, with a rate for each of three parts."""
    images, labels = digits()
    model = network()
    rules = [ByName(f"{part}_", lr_scale=share) for part, share in PARTS.items()]
    optimizer = layer_rates(keras.optimizers.Adam(RATE), model, rules)
    model.compile(optimizer, loss=_loss(), metrics=["accuracy"])
    before = {variable.path: keras.ops.convert_to_numpy(variable).copy() for variable in model.trainable_variables}
    model.train_on_batch(images, labels)
    for part, share in PARTS.items():
        moved = [
            np.abs(keras.ops.convert_to_numpy(variable) - before[variable.path]).max()
            for variable in model.trainable_variables
            if part in variable.path
        ]
        print(f"{part:<7} rate {RATE * share:.0e}: Adam's first update moved its weights by {max(moved):.2e}")


def restarts(period_mult: int, updates: int) -> None:
    """Trains with restarts, and prints where they were and what the weights of the cycles' ends know."""
    images, labels = digits()
    seen = images[:1400], labels[:1400]
    model, callback, rates = network(), SGDR(PEAK, FLOOR, PERIOD, period_mult), []
    model.compile(keras.optimizers.Adam(), loss=_loss(), metrics=["accuracy"])
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: rates.append(callback.value))
    steps = 50  # updates of an epoch
    model.fit(
        *seen, batch_size=28, epochs=updates // steps, steps_per_epoch=steps, callbacks=[callback, note], verbose=0
    )

    assert rates == sgdr(PEAK, FLOOR, PERIOD, period_mult).table(updates).tolist()
    begins = np.flatnonzero(np.diff(rates) > 0) + 1
    cycles = "cycles that double" if period_mult == 2 else "equal cycles"
    print(f"\nSGDR, {cycles}: {updates} updates, restarts at {', '.join(map(str, begins))}")
    print("  rates:", _some(rates, (0, 50, 99, *begins)))
    ensemble = np.mean(callback.predict(images[1400:], verbose=0).argmax(axis=1) == labels[1400:])
    print(f"  {len(callback.snapshots)} snapshots read {ensemble:.1%} of new digits together")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 handwritten digits."""
    images, labels = load_digits(return_X_y=True)
    return (images / 16.0).reshape(-1, 8, 8, 1).astype("float32"), labels


def network() -> keras.Model:
    """Three parts, told apart by the names of their layers."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu", name="bottom_conv"),
            layers.Conv2D(16, 3, activation="relu", name="middle_conv"),
            layers.Flatten(),
            layers.Dense(32, activation="relu", name="head_hidden"),
            layers.Dense(10, name="head_logits"),
        ]
    )


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _some(rates: np.ndarray | list[float], steps: tuple[int, ...]) -> str:
    return ", ".join(f"{step}: {rates[step]:.5f}" for step in steps)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rates for transfer learning in Keras, as article B has them.")
    parser.add_argument("--quick", action="store_true", help="fewer updates")
    return parser.parse_args()


if __name__ == "__main__":
    main()
