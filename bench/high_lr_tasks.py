"""The tasks of `bench/high_lr.py`: data, nets, and how one of them is trained in torch.

The forum's net (12288-25-12-6) on synthetic images, and small classifiers of other kinds, on data that comes with
scikit-learn or is made here. A run is told by its Setting alone, so that any of them can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

SIDE, CLASSES, IMAGES = 64, 6, 1080
BATCH = 32
FAILED, HEALTHY = 0.05, 0.5  # the share of the labels' entropy that a run has learnt in the end: less, more
BY_LUCK = 0.1  # of what chance gets wrong
OPTIMIZERS = ("sgd", "momentum", "adam")


@dataclass(frozen=True)
class Data:
    """Examples to train on, and the entropy of their labels in nats."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each label occurs."""
        return np.bincount(self.labels)

    @property
    def entropy(self) -> float:
        """What a net loses that knows nothing but how frequent the labels are."""
        shares = self.counts[self.counts > 0] / len(self.labels)
        return float(-(shares * np.log(shares)).sum())


@dataclass(frozen=True)
class Setting:
    """All that a run depends on."""

    task: str
    optimizer: str
    lr: float
    seed: int
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, on what it was trained on: the mean loss of its last epoch, and its accuracy.

    `entropy` is that of the labels, and `chance` the share of the most frequent one.
    """

    loss: float
    accuracy: float
    entropy: float
    chance: float

    @property
    def learnt(self) -> float:
        """The share of the entropy that it no longer loses; minus infinity if the loss is not finite."""
        return 1.0 - self.loss / self.entropy if math.isfinite(self.loss) else -math.inf

    @property
    def verdict(self) -> str:
        """What counts as failed, healthy and slow, whatever a monitor says."""
        is_chance = self.accuracy < self.chance + BY_LUCK * (1.0 - self.chance)
        if self.learnt < FAILED and (is_chance or not math.isfinite(self.loss)):
            return "failed"
        return "healthy" if self.learnt >= HEALTHY else "slow"


# ---- Data ----


@cache
def images(standardised: bool) -> Data:
    """Six classes of coloured pictures in [0, 1], bright as photographs are: a smooth picture each, and variations.

    What tells the classes apart is small beside the brightness that they share; so the sum of an image, by which
    Adam's first step moves every unit, is large beside the signal.
    """
    random = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    common, *own = (_smooth(random, 4) for _ in range(CLASSES + 1))
    lights = random.normal(0.0, 0.07, (IMAGES, 1, 1, 1))
    varied = np.stack([_smooth(random, 6) for _ in range(40)])
    mixed = np.tensordot(random.normal(0.0, 0.02, (IMAGES, 40)), varied, 1)
    drawn = 0.7 + 0.08 * common + 0.085 * np.stack(own)[labels] + lights + mixed
    drawn += random.normal(0.0, 0.05, drawn.shape)
    flat = np.clip(drawn, 0.0, 1.0).reshape(IMAGES, -1)
    if standardised:
        flat = (flat - flat.mean(axis=0)) / flat.std(axis=0)
    return Data(flat.astype(np.float32), labels)


def _smooth(random: np.random.Generator, waves: int) -> NDArray[np.float64]:
    """A picture of few waves, of variance about 1."""
    at = np.arange(SIDE) / SIDE
    rows, columns = (np.stack([np.cos(np.pi * k * at + shift) for k in range(waves)]) for shift in (0.0, 0.7))
    weights = random.normal(0.0, 2.0 / waves, (waves, waves, 3))
    return np.einsum("yr,xc,yxk->rck", rows, columns, weights)


@cache
def digits() -> Data:
    """scikit-learn's 1,797 handwritten digits."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return Data((pixels / 16.0).astype(np.float32), labels.astype(np.int64))


@cache
def tumours() -> Data:
    """scikit-learn's breast cancer data, standardised: two classes, 212 to 357."""
    from sklearn.datasets import load_breast_cancer

    found, labels = load_breast_cancer(return_X_y=True)
    found = (found - found.mean(axis=0)) / found.std(axis=0)
    return Data(found.astype(np.float32), labels.astype(np.int64))


@cache
def rings() -> Data:
    """Points of three classes on noisy rings in the plane, of unequal numbers."""
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [300, 500, 700])
    angle = random.uniform(0.0, 2 * np.pi, len(labels))
    radius = 1.0 + labels + random.normal(0.0, 0.15, len(labels))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return Data(points.astype(np.float32), labels.astype(np.int64))


@cache
def words() -> Data:
    """Sequences of 12 letters out of 8; the class is the letter that follows the first 0."""
    random = np.random.default_rng(2)
    letters = random.integers(0, 8, (2000, 12))
    letters[np.arange(2000), random.integers(0, 10, 2000)] = 0
    first = (letters[:, :-1] == 0).argmax(axis=1)
    return Data(letters.astype(np.float32), letters[np.arange(2000), first + 1].astype(np.int64))


# ---- Nets ----


def _forum_net() -> torch.nn.Module:
    from torch import nn

    layers: list[nn.Module] = []
    for inputs, outputs in ((3 * SIDE * SIDE, 25), (25, 12), (12, CLASSES)):
        linear = nn.Linear(inputs, outputs)
        nn.init.xavier_normal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _mlp(*sizes: int, activation: str = "ReLU") -> torch.nn.Module:
    from torch import nn

    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), getattr(nn, activation)()]
    return nn.Sequential(*layers[:-1])


def _cnn() -> torch.nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 10),
    )


def _transformer() -> torch.nn.Module:
    import torch
    from torch import nn

    class Reader(nn.Module):
        """One block of attention over letters and places, read at the mean."""

        def __init__(self) -> None:
            super().__init__()
            self.letters, self.places = nn.Embedding(8, 16), nn.Parameter(0.5 * torch.randn(12, 16))
            self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
            self.head = nn.Linear(16, 8)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            hidden = self.block(self.letters(given.long()) + self.places)
            return self.head(hidden.mean(dim=1))

    return Reader()


TASKS: dict[str, tuple[Callable[[], Data], Callable[[], Any]]] = {
    "forum, raw": (lambda: images(False), _forum_net),
    "forum, standardised": (lambda: images(True), _forum_net),
    "digits, MLP": (digits, lambda: _mlp(64, 32, 10)),
    "digits, deep MLP": (digits, lambda: _mlp(64, 32, 32, 32, 32, 10)),
    "digits, tanh": (digits, lambda: _mlp(64, 32, 32, 10, activation="Tanh")),
    "digits, CNN": (digits, _cnn),
    "tumours, logistic": (tumours, lambda: _mlp(30, 2)),
    "rings, MLP": (rings, lambda: _mlp(2, 16, 16, 3)),
    "words, transformer": (words, _transformer),
}
FORUM = ("forum, raw", "forum, standardised")
OTHERS = tuple(name for name in TASKS if name not in FORUM)


# ---- Training ----


def optimizer_of(net: Any, name: str, lr: float) -> Any:
    """One of OPTIMIZERS."""
    import torch

    if name == "adam":
        return torch.optim.Adam(net.parameters(), lr, fused=True)
    return torch.optim.SGD(net.parameters(), lr, momentum=0.9 if name == "momentum" else 0.0)


def batches(count: int, steps: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """The examples of each update: every epoch in another order, its last batch smaller, as the forum has it."""
    random = np.random.default_rng(seed)
    left: list[NDArray[np.int64]] = []
    for _ in range(steps):
        if not left:
            order = random.permutation(count)
            left = [order[begin : begin + BATCH] for begin in range(0, count, BATCH)][::-1]
        yield left.pop()


def batches_per_epoch(data: Data) -> int:
    """Updates in which all examples are seen once."""
    return -(-len(data.labels) // BATCH)


def train(setting: Setting, watch: Callable[..., Callable[[Any], None] | None]) -> tuple[Outcome, list[float]]:
    """One run: how it ended, and the loss of each of its updates.

    Args:
        setting: the run.
        watch: called with the net, its optimizer and the data before the first update; what it gives, if not None, is
            called with the loss after each.
    """
    import torch

    make_data, make_net = TASKS[setting.task]
    data = make_data()
    torch.manual_seed(setting.seed)
    net = make_net()
    optimizer = optimizer_of(net, setting.optimizer, setting.lr)
    observe = watch(net, optimizer, data)
    inputs, labels = torch.from_numpy(data.inputs), torch.from_numpy(data.labels)
    losses = []
    for chosen in batches(len(labels), setting.steps, setting.seed):
        at = torch.from_numpy(chosen)
        loss = torch.nn.functional.cross_entropy(net(inputs[at]), labels[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if observe is not None:
            observe(loss)
    net.eval()
    with torch.no_grad():
        accuracy = float((net(inputs).argmax(dim=1) == labels).float().mean())
    chance = float(data.counts.max() / len(labels))
    last = float(np.mean(losses[-batches_per_epoch(data) :]))
    return Outcome(last, accuracy, data.entropy, chance), losses
