"""Two small nets, their data, and the three ways in which the GPU harness trains them.

(a) Everything is of operations that are deterministic on a GPU and never wait for it: targets are distributions, so
    that the loss is a product and a sum; words come in as vectors of zeros and a one, so that no gradient is scattered.
(b) A compiled step and a captured graph hold tensors, so what they work on is set back in place, and stays the same.
(c) In a graph an optimizer must not ask for the value of its rate. AdamW does not with `capturable=True`; SGD has no
    such switch, and its plain and foreach forms ask: only `fused=True` reads the tensor on the device.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrcore.bindings.torch import Scheduler

BATCHES = 8
MOMENTUM, BETAS = 0.9, (0.9, 0.999)
RATES = {"SGD": 0.1, "AdamW": 0.01}
WARM_UPS = 3  # before a graph is captured, as torch asks for


class Transformer(nn.Module):
    """One causal layer over words that are vectors already."""

    def __init__(self, words: int = 16, width: int = 32, heads: int = 2, length: int = 16) -> None:
        super().__init__()
        self.heads = heads
        self.enter, self.leave = nn.Linear(words, width), nn.Linear(width, words)
        self.places = nn.Parameter(0.1 * torch.randn(length, width))
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.looks, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mixed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.register_buffer("later", torch.full((length, length), -math.inf).triu(1))

    def forward(self, words: Tensor) -> Tensor:
        x = self.enter(words) + self.places
        count, length, width = x.shape
        looks = self.looks(self.before(x)).view(count, length, 3, self.heads, width // self.heads)
        queries, keys, values = looks.permute(2, 0, 3, 1, 4).unbind(0)
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(width // self.heads) + self.later
        x = x + self.out((scores.softmax(-1) @ values).transpose(1, 2).reshape(count, length, width))
        x = x + self.mixed(self.between(x))
        return self.leave(x).flatten(0, 1)


class Means(nn.Module):
    """The mean of each channel."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), Means(), nn.Linear(16, 10)
    )


MODELS: dict[str, Callable[[], nn.Module]] = {"conv": conv, "transformer": Transformer}


def _images(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images of ten classes, each a pattern under as much noise."""
    patterns = torch.randn(10, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.randint(10, (32,), generator=generator)
    images = patterns[labels] + torch.randn(32, 3, 16, 16, generator=generator)
    return images, functional.one_hot(labels, 10).float()


def _words(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences in which each word follows from the one before, but for one in ten."""
    words = torch.randint(16, (16, 17), generator=generator)
    is_free = torch.rand(16, 17, generator=generator) < 0.1
    for at in range(1, 17):
        words[:, at] = torch.where(is_free[:, at], words[:, at], (5 * words[:, at - 1] + 3) % 16)
    vectors = functional.one_hot(words, 16).float()
    return vectors[:, :-1], vectors[:, 1:].flatten(0, 1)


def batches(model: str) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    make = _images if model == "conv" else _words
    return [make(generator) for _ in range(BATCHES)]


def built(name: str, params: Any, rate: float | Tensor, for_graph: bool = False) -> torch.optim.Optimizer:
    if name == "SGD":
        return torch.optim.SGD(params, lr=rate, momentum=MOMENTUM, fused=True if for_graph else None)
    return torch.optim.AdamW(params, lr=rate, betas=BETAS, capturable=for_graph)


class Eager:
    """A model, its data and its optimizer, with a rate that is a number; and what the other ways have in common.

    Args:
        model: a name of MODELS.
        optimizer: a name of RATES.
        device: where.
    """

    def __init__(self, model: str, optimizer: str, device: str) -> None:
        self._make(model, optimizer, device, RATES[optimizer], for_graph=False)

    def _make(self, model: str, optimizer: str, device: str, rate: float | Tensor, for_graph: bool) -> None:
        torch.manual_seed(0)
        self.name, self.model = optimizer, MODELS[model]().to(device)
        self.batches = [(inputs.to(device), targets.to(device)) for inputs, targets in batches(model)]
        self.optimizer = built(optimizer, self.model.parameters(), rate, for_graph)
        self._first = self.weights()

    @property
    def group(self) -> dict[str, Any]:
        return self.optimizer.param_groups[0]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(self.model(inputs), targets)

    def apply(self) -> None:
        self.optimizer.step()

    def update(self, number: int) -> Tensor:
        """Does the update that follows `number` updates; the loss before it, good until the next one."""
        loss = self.loss(*self.batches[number % BATCHES])
        loss.backward()
        self.apply()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def weights(self) -> Tensor:
        return torch.cat([weight.detach().flatten() for weight in self.model.parameters()])

    def momentum(self) -> float:
        return float(self.group["momentum"] if self.name == "SGD" else self.group["betas"][0])

    def set_momentum(self, momentum: float) -> None:
        if self.name == "SGD":
            self.group["momentum"] = momentum
        else:
            self.group["betas"] = (momentum, *self.group["betas"][1:])

    @torch.no_grad()
    def reset(self) -> None:
        """The weights as they were built, an optimizer that has seen nothing: in place."""
        weights = list(self.model.parameters())
        for weight, first in zip(weights, self._first.split([w.numel() for w in weights]), strict=True):
            weight.copy_(first.view_as(weight))
        for state in self.optimizer.state.values():
            for held in state.values():
                if isinstance(held, Tensor):
                    held.zero_()
        self.set_momentum(MOMENTUM)


class Compiled(Eager):
    """The loss with its gradients, and the optimizer's step, by torch.compile; its rate is a tensor."""

    def __init__(self, model: str, optimizer: str, device: str, backend: str = "inductor") -> None:
        torch._dynamo.reset()  # it keeps few compiled forms of a function, and the step is one for all optimizers
        rate = torch.tensor(RATES[optimizer], device=device)
        self._make(model, optimizer, device, rate, for_graph=False)
        self.is_step_compiled = True
        net = self.model
        self.loss = torch.compile(lambda x, y: functional.cross_entropy(net(x), y), backend=backend)
        Scheduler(self.optimizer, 1.0)  # torch wraps `step` where a first scheduler is built
        self._step = torch.compile(self.optimizer.step, backend=backend)
        for number in range(WARM_UPS):
            self.update(number)
        self.reset()

    def apply(self) -> None:
        if self.is_step_compiled:
            self._step()
        else:
            self.optimizer.step()


def compiled_graphs() -> int:
    """How many graphs torch.compile has made in this process."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


class Captured(Eager):
    """Loss, gradients and step in a CUDA graph that is replayed; its rate is a tensor. `capture` comes first."""

    def __init__(self, model: str, optimizer: str, device: str) -> None:
        rate = torch.tensor(RATES[optimizer], device=device)
        self._make(model, optimizer, device, rate, for_graph=True)
        self._inputs, self._targets = (held.clone() for held in self.batches[0])

    def capture(self, advance: Callable[[], None] | None = None) -> None:
        """Captures an update, and what is to follow each one."""

        def body() -> Tensor:
            loss = self.loss(self._inputs, self._targets)
            loss.backward()
            self.optimizer.step()
            if advance is not None:
                advance()
            return loss

        self._replay, self._loss = self._recorded(body)
        self.reset()

    def _recorded(self, body: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        clear = self.optimizer.zero_grad
        return captured(body, before=lambda: clear(set_to_none=True))

    def update(self, number: int) -> Tensor:
        inputs, targets = self.batches[number % BATCHES]
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self._replay()
        return self._loss.detach()


def captured(body: Callable[[], Any], before: Callable[[], None] = lambda: None) -> tuple[Callable[[], None], Any]:
    """A replay of a body, and what it gave when it was captured: after warm-ups on a stream beside, as torch asks for.

    `before` is done before each warm-up and before the capture, not in it: gradients that are None then are the
    graph's own, and each replay writes them anew.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            before()
            body()
    torch.cuda.current_stream().wait_stream(stream)
    before()
    graph = torch.cuda.CUDAGraph()
    gc.disable()  # an older graph must not be destroyed while this one is captured
    try:
        with torch.cuda.graph(graph):
            result = body()
    finally:
        gc.enable()
    return partial(_replay, graph, body), result


def _replay(graph: torch.cuda.CUDAGraph, _body: Callable[[], Any]) -> None:
    """With the body go the tensors that the graph works on, which it does not keep alive itself."""
    graph.replay()
