"""Seven small tasks on which the suggestions of learning-rate finders are judged: data, network, loss.

(a) A network is a function of its weights, and every weight has a leading axis of replicas: many trainings that differ
    in learning rate, order of the data and start run in one batched product each, on one thread about as fast as their
    arithmetic allows. Nothing crosses replicas, so one that diverges leaves the others alone.
(b) Images lie as (replica, sample, height, width, channel). A convolution is a product with its patches: a grouped
    convolution of PyTorch, one group a replica, takes several times as long here.
(c) The data is fixed by seeds, or comes with scikit-learn. A third of it is for validation.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Data:
    """What is trained on, and what the result is judged by. Inputs float32, targets classes or float32."""

    inputs: Tensor
    targets: Tensor
    valid_inputs: Tensor
    valid_targets: Tensor


@dataclass(frozen=True)
class Task:
    """A network and its data.

    `weights` are shapes, without the axis of replicas, and standard deviations at the start, 0 for a bias. `outputs`
    are those of a network for inputs with that axis; `loss` is the mean of each replica.
    """

    name: str
    data: Callable[[], Data]
    weights: dict[str, tuple[tuple[int, ...], float]]
    outputs: Callable[[Weights, Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: int = 32
    steps: int = 400
    seeds: int = 3

    @property
    def sizes(self) -> list[int]:
        return [math.prod(shape) for shape, _ in self.weights.values()]

    def start(self, seeds: list[int]) -> Tensor:
        """Weights at the start, one flat row a seed."""
        rows = []
        for seed in seeds:
            random = torch.Generator().manual_seed(zlib.crc32(f"{self.name} {seed}".encode()))
            parts = [torch.randn(math.prod(shape), generator=random) * std for shape, std in self.weights.values()]
            rows.append(torch.cat(parts))
        return torch.stack(rows)

    def losses(self, rows: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each replica; `rows` are flat weights."""
        parts = rows.split(self.sizes, dim=1)
        shapes = [shape for shape, _ in self.weights.values()]
        weights = {
            name: part.unflatten(1, shape) for name, part, shape in zip(self.weights, parts, shapes, strict=True)
        }
        return self.loss(self.outputs(weights, inputs), targets)


# ---- Losses ----


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    chosen = functional.log_softmax(logits, -1).gather(-1, classes[..., None])
    return -chosen.flatten(1).mean(1)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs[..., 0] - targets).square().mean(1)


# ---- Networks ----


def dense(widths: list[int], gain: float = 1.0) -> dict[str, tuple[tuple[int, ...], float]]:
    """Weights w0, b0, w1, ... of layers of these widths, of standard deviation gain / √inputs."""
    found = {}
    for number, (inside, outside) in enumerate(pairwise(widths)):
        found[f"w{number}"] = ((inside, outside), gain / math.sqrt(inside))
        found[f"b{number}"] = ((outside,), 0.0)
    return found


def layer(weights: Weights, number: int, x: Tensor) -> Tensor:
    return torch.baddbmm(weights[f"b{number}"][:, None], x, weights[f"w{number}"])


def layered(activation: Callable[[Tensor], Tensor]) -> Callable[[Weights, Tensor], Tensor]:
    """The network of dense layers with an activation between them."""

    def outputs(weights: Weights, x: Tensor) -> Tensor:
        count = len(weights) // 2
        for number in range(count - 1):
            x = activation(layer(weights, number, x))
        return layer(weights, count - 1, x)

    return outputs


def patches(images: Tensor) -> Tensor:
    """The 3 × 3 pixels around every second one of both directions, side by side."""
    padded = functional.pad(images, (0, 0, 1, 1, 1, 1))
    height, width = images.shape[2:4]
    return torch.cat([padded[:, :, i : i + height : 2, j : j + width : 2] for i in range(3) for j in range(3)], -1)


def filtered(weights: Weights, number: int, around: Tensor) -> Tensor:
    return layer(weights, number, around.flatten(1, 3)).relu().view(*around.shape[:4], -1)


def convolutional(weights: Weights, around: Tensor) -> Tensor:
    """Two convolutions of stride 2 and a layer; takes the patches of images."""
    x = filtered(weights, 0, around)
    x = filtered(weights, 1, patches(x))
    return layer(weights, 2, x.flatten(2))


LETTERS, WIDTH, HEADS, BLOCKS, CONTEXT = 8, 24, 2, 2, 24


def transformer_weights() -> dict[str, tuple[tuple[int, ...], float]]:
    found = {"letters": ((LETTERS, WIDTH), 0.5), "places": ((CONTEXT, WIDTH), 0.5)}
    small = 1 / math.sqrt(WIDTH)
    for block in range(BLOCKS):
        found[f"attend{block}"] = ((WIDTH, 3 * WIDTH), small)
        found[f"merge{block}"] = ((WIDTH, WIDTH), small / math.sqrt(2 * BLOCKS))
        found[f"widen{block}"] = ((WIDTH, 2 * WIDTH), small)
        found[f"narrow{block}"] = ((2 * WIDTH, WIDTH), small / math.sqrt(4 * BLOCKS))
    return found | {"read": ((WIDTH, LETTERS), 0.1 * small)}


def _attention(x: Tensor, heads: Tensor, merge: Tensor, lines: int) -> Tensor:
    """Causal self-attention of lines of CONTEXT letters; x is (replicas, lines · CONTEXT, WIDTH)."""
    replicas = x.shape[0]
    parts = (x @ heads).view(replicas * lines, CONTEXT, 3, HEADS, WIDTH // HEADS)
    query, key, value = parts.permute(2, 0, 3, 1, 4).flatten(1, 2)
    hidden = torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).triu(1)
    scores = (query @ key.transpose(1, 2) / math.sqrt(WIDTH // HEADS)).masked_fill(hidden, -math.inf)
    mixed = (scores.softmax(-1) @ value).view(replicas, lines, HEADS, CONTEXT, -1)
    return mixed.transpose(2, 3).reshape(x.shape) @ merge


def transformer(weights: Weights, letters: Tensor) -> Tensor:
    """A small GPT, normalised before each part; letters are one-hot, (replicas, lines, CONTEXT, LETTERS)."""
    replicas, lines = letters.shape[:2]
    x = (letters.flatten(1, 2) @ weights["letters"]).view(replicas, lines, CONTEXT, WIDTH)
    x = (x + weights["places"][:, None]).flatten(1, 2)
    for block in range(BLOCKS):
        normal = functional.layer_norm(x, (WIDTH,))
        x = x + _attention(normal, weights[f"attend{block}"], weights[f"merge{block}"], lines)
        normal = functional.layer_norm(x, (WIDTH,))
        x = x + (normal @ weights[f"widen{block}"]).relu() @ weights[f"narrow{block}"]
    x = functional.layer_norm(x, (WIDTH,)) @ weights["read"]
    return x.view(replicas, lines, CONTEXT, LETTERS)


# ---- Data ----


def split(inputs: np.ndarray, targets: np.ndarray) -> Data:
    """In an order of its own; every third is for validation."""
    order = np.random.default_rng(17).permutation(len(inputs))
    x = torch.tensor(np.ascontiguousarray(inputs[order]), dtype=torch.float32)
    y = torch.tensor(targets[order])
    y = y.long() if targets.dtype.kind in "iu" else y.float()
    is_valid = torch.arange(len(x)) % 3 == 2
    return Data(x[~is_valid], y[~is_valid], x[is_valid], y[is_valid])


@cache
def digits() -> Data:
    from sklearn import datasets

    found = datasets.load_digits()
    return split(found.data / 16 - 0.3, found.target)


@cache
def digit_patches() -> Data:
    """The patches of the images, which the first convolution needs in every step."""
    flat = digits()

    def of(images: Tensor) -> Tensor:
        return patches(images.view(1, -1, 8, 8, 1))[0]

    return Data(of(flat.inputs), flat.targets, of(flat.valid_inputs), flat.valid_targets)


@cache
def tumours() -> Data:
    from sklearn import datasets

    found = datasets.load_breast_cancer()
    return split((found.data - found.data.mean(0)) / found.data.std(0), found.target)


@cache
def curved() -> Data:
    """A smooth function of four of eight numbers, and noise; the targets have mean 0 and deviation 1."""
    random = np.random.default_rng(23)
    x = random.standard_normal((1200, 8))
    y = x[:, 0] + np.sin(2 * x[:, 1]) + 0.5 * x[:, 2] * x[:, 3] + 0.2 * random.standard_normal(len(x))
    return split(x, (y - y.mean()) / y.std())


@cache
def text() -> Data:
    """Lines of CONTEXT letters, each drawn by the two before it; targets are the next letters."""
    random = np.random.default_rng(29)
    chances = random.dirichlet(np.full(LETTERS, 0.15), (LETTERS, LETTERS)).cumsum(-1)
    letters = [0, 1]
    for draw in random.random(900 * (CONTEXT + 1) - 2):
        letters.append(min(int(np.searchsorted(chances[letters[-2], letters[-1]], draw)), LETTERS - 1))
    lines = np.array(letters).reshape(900, CONTEXT + 1)
    return split(np.eye(LETTERS)[lines[:, :-1]], lines[:, 1:])


@cache
def signs() -> Data:
    """Six classes of images in [0, 1], 16 × 16: bars that stand, lie and cross, moved, bright or dark, with noise."""
    random = np.random.default_rng(31)
    drawn = np.zeros((6, 16, 16))
    for number, (rows, columns) in enumerate(
        [((5,), ()), ((), (5,)), ((5,), (5,)), ((3, 9), ()), ((), (3, 9)), ((), ())]
    ):
        for row in rows:
            drawn[number, row : row + 3, 2:14] = 1
        for column in columns:
            drawn[number, 2:14, column : column + 3] = 1
    classes = np.arange(1080) % 6
    moved = [np.roll(drawn[c], random.integers(-1, 2, 2), (0, 1)) for c in classes]
    light = random.uniform(0.3, 0.5, (1080, 1, 1))
    images = light + 0.4 * np.array(moved) + 0.1 * random.standard_normal((1080, 16, 16))
    return split(images.clip(0, 1).reshape(1080, 256), classes)


# ---- The seven ----

_FILTERS = {"w0": ((9, 8), 1 / 3), "b0": ((8,), 0.0), "w1": ((72, 16), 72**-0.5), "b1": ((16,), 0.0)}

TASKS = [
    Task("digits-mlp", digits, dense([64, 48, 10]), layered(torch.relu), cross_entropy),
    Task(
        "digits-cnn",
        digit_patches,
        _FILTERS | {"w2": ((64, 10), 1 / 8), "b2": ((10,), 0.0)},
        convolutional,
        cross_entropy,
    ),
    Task("digits-plateau", digits, dense([64, 32, 32, 32, 32, 10], 0.4), layered(torch.tanh), cross_entropy),
    Task("logistic", tumours, dense([30, 2]), layered(torch.relu), cross_entropy),
    Task("regression", curved, dense([8, 48, 1]), layered(torch.tanh), squared_error),
    Task("transformer", text, transformer_weights(), transformer, cross_entropy, batch=8, steps=300, seeds=2),
    Task("signs", signs, dense([256, 25, 12, 6]), layered(torch.relu), cross_entropy),
]
