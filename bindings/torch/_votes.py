"""What several processes decide together: whether all have done a step, and their mean loss.

Each piece of work that can fail is followed by one small exchange, so that where one process fails all of them stop at
the same place, and none waits for another in a collective of the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed

Result = TypeVar("Result")


class Votes:
    """The processes of torch.distributed; or this one alone."""

    def __init__(self) -> None:
        self.is_shared = distributed.is_available() and distributed.is_initialized()
        self.count = distributed.get_world_size() if self.is_shared else 1
        self.rank = distributed.get_rank() if self.is_shared else 0
        self.is_shared = self.count > 1

    def agree(self, work: Callable[[], Result]) -> Result:
        """Does some work; returns where all processes have done theirs.

        Raises:
            BaseException: what the work raised.
            RuntimeError: it failed in another process.
        """
        if not self.is_shared:
            return work()
        result, failure = _tried(work)
        self._exchange(failure, 0.0)
        return result  # type: ignore[return-value]

    def mean(self, work: Callable[[], float]) -> float:
        """`agree`, of work that gives a number: the mean over the processes, to the same bit in each of them."""
        if not self.is_shared:
            return work()
        result, failure = _tried(work)
        told = self._exchange(failure, 0.0 if result is None else result)
        with np.errstate(invalid="ignore", over="ignore"):
            return float(np.mean(told))

    def first(self, given: Any) -> Any:
        """What the first process has."""
        if not self.is_shared:
            return given
        listed = [given]
        distributed.broadcast_object_list(listed, src=0, device=_device())
        return listed[0]

    def _exchange(self, failure: BaseException | None, number: float) -> list[float]:
        told = torch.tensor([float(failure is not None), number], dtype=torch.float64, device=_device())
        gathered = [torch.empty_like(told) for _ in range(self.count)]
        distributed.all_gather(gathered, told)
        if failure is not None:
            raise failure
        said = [one.tolist() for one in gathered]
        failed = [str(rank) for rank, (flag, _) in enumerate(said) if flag]
        if failed:
            raise RuntimeError(f"find_lr: expected every process to train, but process {', '.join(failed)} has failed")
        return [number for _, number in said]


def _tried(work: Callable[[], Result]) -> tuple[Result | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:
        return None, error


def _device() -> torch.device:
    """Where tensors lie that the processes exchange."""
    is_cuda = "gloo" not in distributed.get_backend() and torch.cuda.is_available()
    return torch.device("cuda", torch.cuda.current_device()) if is_cuda else torch.device("cpu")
