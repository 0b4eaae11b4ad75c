"""Batches for trial runs: each run passes through a loader in an order of its own, as often as it needs to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler

SCALARS = (bool, int, float, str, bytes, type(None))


def derived(*parts: int) -> int:
    """A seed that depends on all of some numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def seed_all(seed: int) -> None:
    """Seeds the global generators."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (it is the one that users have)
    torch.manual_seed(seed)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeds the global generators of the CPU for a while."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def stream(loader: Iterable[Any], skip: int, seed: int, run: int, rank: int) -> Iterator[Any]:
    """Batches without end. The order of each pass depends on the numbers alone, where the loader has one to choose.

    Args:
        loader: what is iterated, again and again.
        skip: how many batches are left out first, where the order is always the same.
        seed: of all runs.
        run: which of them it is.
        rank: of the process.

    Raises:
        ValueError: there is no batch.
    """
    skip = 0 if shuffles(loader) else skip
    at = 0
    while True:
        with _seeded(derived(seed, run, at, rank)):
            passed = _begun(loader, derived(seed, run, at, rank), derived(seed, run, at))
            first = list(islice(passed, 1))
        if not first:
            allowed = "batches that can be iterated again" if at else "at least one batch"
            raise ValueError(f"find_lr.loader: expected {allowed}, got none")
        for batch in (first, passed):
            for one in batch:
                skip -= 1
                if skip < 0:
                    yield one
        at += 1


def _begun(loader: Iterable[Any], seed: int, epoch: int) -> Iterator[Any]:
    if isinstance(loader, Sequence):
        return (loader[place] for place in np.random.default_rng(seed).permutation(len(loader)))
    for one in _parts(loader):
        generator = getattr(one, "generator", None)
        if isinstance(generator, torch.Generator):
            generator.manual_seed(seed)
        if hasattr(one, "set_epoch"):  # of a DistributedSampler, where all processes have the same
            one.set_epoch(epoch)
    return iter(loader)


def _parts(loader: Any) -> list[Any]:
    batches = getattr(loader, "batch_sampler", None)
    return [loader, getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None)]


def shuffles(loader: Any) -> bool:
    """Whether each pass has another order, as far as can be seen."""
    if isinstance(loader, Sequence):
        return True
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return False
    batches = loader.batch_sampler
    sampler = batches.sampler if type(batches) is BatchSampler else batches or loader.sampler
    return not isinstance(sampler, SequentialSampler)


def length(loader: Any) -> int | None:
    """How many batches a pass has, if that is known."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def mapped(function: Callable[[Tensor], Any], batch: Any) -> Any:
    """A batch of the same form, with something else in the place of each tensor."""
    if isinstance(batch, Tensor):
        return function(batch)
    if isinstance(batch, dict):
        return type(batch)({key: mapped(function, one) for key, one in batch.items()}) if batch else batch
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(function, one) for one in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(mapped(function, one) for one in batch)
    return batch


def moved(batch: Any, device: torch.device) -> Any:
    """A batch on the device of the model; one that moves by itself does."""
    if not isinstance(batch, (Tensor, dict, list, tuple)) and hasattr(batch, "to"):
        return batch.to(device)
    return mapped(lambda tensor: tensor.to(device, non_blocking=True), batch)


def form(batch: Any) -> Any:
    """What batches have in common that can be stacked: their form, shapes, dtypes, and all that is no tensor.

    Raises:
        TypeError: it holds something that could hide a tensor.
    """
    if isinstance(batch, Tensor):
        return tuple(batch.shape), batch.dtype
    if isinstance(batch, dict):
        return type(batch), tuple((key, form(one)) for key, one in batch.items())
    if isinstance(batch, (list, tuple)):
        return type(batch), tuple(map(form, batch))
    if not isinstance(batch, SCALARS):
        raise TypeError(f"a {type(batch).__name__} cannot be stacked")
    return batch


def tensors(batch: Any) -> list[Tensor]:
    """The tensors of a batch, in order."""
    found: list[Tensor] = []
    mapped(found.append, batch)
    return found
