"""Why a high learning rate made a training fail, and what a monitor says about it, in PyTorch.

Thread E: three layers, 12288-25-12-6, ReLU, Adam, minibatches of 32 out of 1080 pictures of six classes. At a rate of 1
the cost stays at 1.92, at 0.01 at 1.847, with an accuracy of 1/6, for ever; about 0.001 that happens sometimes, at
0.0001 never. The asker wants to know why.

- The pictures are bright, so all inputs are positive, and Adam's first update moves every weight of a unit by the
  rate in one direction. That shifts what the unit sees by rate times the sum of a picture, here about 8,000: far more
  than it varies. Units go below 0 for every picture, and a rectifier that is off everywhere has no gradient.
- What is left are the biases of the output, which learn how frequent the six classes are: a loss of ln 6 = 1.792.
  The thread's cost is the sum of 34 batches divided by int(1080 / 32) = 33: that makes 1.846 of it.

So no lower rate helps from there on: dead units do not come back, and the run has to begin again. The monitor sees it
after some updates, and says at which rate; with `on_failure="restore_and_lower"` it begins again by itself.
The thread's pictures are not published: these are made here, as bright and as similar.

    python examples/e_why_a_high_rate_fails.py [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from textwrap import fill

import numpy as np
import torch
from torch import Tensor, nn

from lrcore.bindings.torch import Monitor

IMAGES, TESTS, CLASSES, BATCH = 1080, 120, 6, 32
DIVISOR = IMAGES // BATCH  # 33, of 34 batches
INDENTED = {"initial_indent": "    ", "subsequent_indent": "    "}
Examples = tuple[Tensor, Tensor]


def main() -> None:
    """The thread's runs, what a monitor says of them, and the same runs where it may act."""
    parser = argparse.ArgumentParser(description="Thread E: why a high learning rate fails.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    epochs, seeds = (6, 2) if parser.parse_args().quick else (40, 8)
    torch.set_num_threads(1)
    train, test = pictures()

    for rate in (1.0, 0.01):
        costs, monitor, net = run(rate, train, epochs)
        found = monitor.alarms[0]
        later = " ".join(f"{cost:.4g}" for cost in costs[epochs // 6 :: epochs // 6])
        print(f"rate {rate:g}: cost {costs[0]:.4g} after epoch 0, then {later}; accuracy {accuracy(net, train):.4f}")
        print(fill(f"{found.verdict} at update {found.step}: {found.advice}", 100, **INDENTED))
        costs, monitor, net = run(rate, train, epochs, on_failure="restore_and_lower")
        reached = " and ".join(f"{found.lr:.2g}" for found in monitor.alarms)
        print(f"    begun again at {reached}: cost {costs[-1]:.3f}, ", end="")
        print(f"accuracy {accuracy(net, train):.2f}, of new pictures {accuracy(net, test):.2f}\n")

    for rate in (0.001, 0.0001):
        failures = sum(bool(run(rate, train, 4, seed)[1].alarms) for seed in range(seeds))
        print(f"rate {rate:g}: fails in {failures} of {seeds} runs")

    mean, spread = train[0].mean(0), train[0].std(0)
    standardised = [((inputs - mean) / spread, labels) for inputs, labels in (train, test)]
    costs, monitor, net = run(0.001, standardised[0], 4)
    print(f"rate 0.001, standardised inputs: cost {costs[-1]:.3f}, ", end="")
    print(f"accuracy of new pictures {accuracy(net, standardised[1]):.2f}, {len(monitor.alarms)} alarms")


def run(
    rate: float, train: Examples, epochs: int, seed: int = 0, on_failure: str | None = None
) -> tuple[list[float], Monitor, nn.Module]:
    """Trains a new net: the thread's cost of each epoch, the monitor that has watched it, and the net."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(12288, 25), nn.ReLU(), nn.Linear(25, 12), nn.ReLU(), nn.Linear(12, CLASSES))
    for layer in net[::2]:
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(net.parameters(), rate, fused=True)
    inputs, labels = train
    costs = []
    with Monitor(net, optimizer, classes=CLASSES, batches_per_epoch=DIVISOR + 1, on_failure=on_failure) as monitor:
        for _ in range(epochs):
            total = 0.0
            for batch in batches():
                loss = nn.functional.cross_entropy(net(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                monitor.observe(loss)
                total += loss.item()
            costs.append(total / DIVISOR)
    return costs, monitor, net


def batches() -> Iterator[Tensor]:
    """34 of them, the last one with 24 pictures."""
    return iter(torch.randperm(IMAGES).split(BATCH))


def accuracy(net: nn.Module, examples: Examples) -> float:
    """The share that is told right."""
    with torch.no_grad():
        return float((net(examples[0]).argmax(1) == examples[1]).float().mean())


def pictures() -> tuple[Examples, Examples]:
    """Pictures of 64 × 64 × 3 in [0, 1], bright, alike but for a pattern of their class: to train, and to test."""
    random = np.random.default_rng(0)
    common, *own = (np.kron(random.normal(size=(8, 8, 3)), np.ones((8, 8, 1))).ravel() for _ in range(CLASSES + 1))
    labels = np.arange(IMAGES + TESTS) % CLASSES
    drawn = 0.65 + 0.08 * common + 0.05 * np.stack(own)[labels]
    drawn += random.normal(0.0, 0.07, (len(labels), 1)) + random.normal(0.0, 0.15, drawn.shape)
    inputs, classes = torch.tensor(drawn.clip(0.0, 1.0), dtype=torch.float32), torch.tensor(labels)
    return (inputs[:IMAGES], classes[:IMAGES]), (inputs[IMAGES:], classes[IMAGES:])


if __name__ == "__main__":
    main()
