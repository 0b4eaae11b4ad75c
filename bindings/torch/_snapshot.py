"""What a trial run may change, as it is now, and all of it put back as it was.

Every object keeps its identity: a tensor is filled in place, a container gets the items that it had, an object its
attributes. So whoever holds one of them, as a scheduler the list of groups, a flattened parameter its pieces or a
captured graph its tensors, sees nothing.
"""

from __future__ import annotations

import copy
import random
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from types import BuiltinMethodType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from lrcore import _check

Undo = Callable[[], None]
Result = TypeVar("Result")
ATOMS = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
DATA = (*ATOMS, Tensor, np.ndarray, type, ModuleType, FunctionType)  # where no generator of a dataset is looked for
LEVELS = 12  # a generator of a transform in a list, of a part of a concatenated dataset, of a loader, is at the ninth
MANY = 1000  # objects in one are data, not parts
MOST = 10_000  # objects on a level


class Snapshot:
    """Remembers things as they are.

    Of a module, an optimizer or a gradient scaler all attributes count, and what lies in their dicts, lists, sets and
    tuples: tensors, arrays, gradients and random generators. Of a loader it is the attributes alone, and those of its
    dataset and samplers, so that no data is copied; and random generators some levels down, as in a transform of the
    dataset, or in a list of such. Objects of other classes are remembered by their `state_dict()`
    where they are given themselves, and left alone where they are only found in another one.
    """

    def __init__(self) -> None:
        self._undone: list[Undo] = []
        self._seen: dict[int, Any] = {}  # holds what was seen, so that no other object gets its id

    def restore(self) -> None:
        """Puts all back; it can be called again. Where a part fails, the others are put back first."""
        with torch.no_grad():
            failed = [error for error in map(_failure, self._undone) if error is not None]
        if failed:
            raise failed[0]

    # ---- What is remembered ----

    def keep(self, given: Any) -> None:
        """Remembers a module, an optimizer, a gradient scaler, or anything with a `state_dict()`."""
        if isinstance(given, (nn.Module, Optimizer)) or not hasattr(given, "load_state_dict"):
            self._keep_attributes(given, self._keep)
        else:
            state = copy.deepcopy(given.state_dict())
            self._undone.append(lambda: given.load_state_dict(copy.deepcopy(state)))

    def keep_scaler(self, scaler: Any) -> None:
        """Remembers a gradient scaler, also what it knows of each optimizer within an update."""
        self._keep_attributes(scaler, self._keep)

    def keep_loader(self, loader: Any) -> None:
        """Remembers what an iteration changes of a loader: counters and generators of it, its samplers and dataset."""
        self._keep_generators_of(loader)
        self._keep_attributes(loader, self._keep_shallow)
        self._keep_attributes(getattr(loader, "gradient_state", None), self._keep_shallow)  # of Accelerate
        batches = getattr(loader, "batch_sampler", None)
        for sampler in (batches, getattr(batches, "sampler", None), getattr(loader, "sampler", None)):
            self._keep_attributes(sampler, self._keep_shallow)
        dataset = getattr(loader, "dataset", None)
        while dataset is not None and id(dataset) not in self._seen:
            self._keep_attributes(dataset, self._keep_shallow)
            if hasattr(dataset, "state_dict") and hasattr(dataset, "load_state_dict"):
                self.keep(dataset)
            self._is_new(dataset)
            dataset = getattr(dataset, "dataset", None)  # of a subset

    def keep_random(self, devices: Iterable[str]) -> None:
        """Remembers the global generators: Python's, NumPy's, torch's on the CPU and on devices of these types."""
        state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 (it is the one that users have)
        self._undone += [lambda: random.setstate(state), lambda: np.random.set_state(numpy_state)]  # noqa: NPY002
        torch_state = torch.get_rng_state()
        self._undone.append(lambda: torch.set_rng_state(torch_state))
        for device in {*devices} | ({"cuda"} if torch.cuda.is_initialized() else set()):  # type: ignore[no-untyped-call]
            self._keep_device_random(device)

    def _keep_device_random(self, device: str) -> None:
        module: Any = getattr(torch, device, None)
        if hasattr(module, "get_rng_state_all"):
            states = module.get_rng_state_all()
            self._undone.append(lambda: module.set_rng_state_all(states))
        elif hasattr(module, "get_rng_state") and device != "cpu":
            state = module.get_rng_state()
            self._undone.append(lambda: module.set_rng_state(state))

    # ---- How ----

    def _is_new(self, given: Any) -> bool:
        if id(given) in self._seen:
            return False
        self._seen[id(given)] = given
        return True

    def _keep_attributes(self, given: Any, keep: Callable[[Any], None]) -> None:
        attributes = getattr(given, "__dict__", None)
        if isinstance(attributes, dict) and self._is_new(given):
            self._keep_items(attributes)
            for one in list(attributes.values()):
                keep(one)

    def _keep_items(self, given: Any) -> None:
        if isinstance(given, dict):
            pairs = list(given.items())
            self._undone.append(lambda: _put_pairs(given, pairs))
        elif isinstance(given, (list, deque)):
            items = list(given)
            self._undone.append(lambda: _put_items(given, items))
        elif isinstance(given, set):
            members = set(given)
            self._undone.append(lambda: _put_members(given, members))

    def _keep(self, given: Any) -> None:
        """Remembers all that an object holds."""
        if isinstance(given, ATOMS):
            return
        if isinstance(given, (nn.Module, Optimizer)):
            self._keep_attributes(given, self._keep)
        elif isinstance(given, Tensor):
            self._keep_tensor(given)
        elif isinstance(given, np.ndarray):
            self._keep_array(given)
        elif isinstance(given, (dict, list, deque, set, tuple)):
            if self._is_new(given):
                self._keep_items(given)
                for one in list(given.values() if isinstance(given, dict) else given):
                    self._keep(one)
        else:
            self._keep_generator(given)

    def _keep_shallow(self, given: Any) -> None:
        """Remembers what a loader has: lists of indices and generators, but no data."""
        if isinstance(given, (dict, list, set, deque)) and self._is_new(given):
            self._keep_items(given)
        elif not isinstance(given, ATOMS):
            self._keep_generator(given)

    def _keep_tensor(self, given: Tensor) -> None:
        if not self._is_new(given):
            return
        if is_lazy(given):
            _check.refuse("find_lr.model", "parameters of a known shape (run the model once)", type(given), TypeError)
        saved = _single(given).clone()
        self._undone.append(lambda: _put(_single(given), saved))
        if not given.is_leaf:
            return
        needs, gradient = given.requires_grad, given.grad
        if gradient is not None:
            self._keep_tensor(gradient)
        self._undone.append(lambda: _put_gradient(given, needs, gradient))

    def _keep_array(self, given: np.ndarray[Any, Any]) -> None:
        if given.flags.writeable and not given.dtype.hasobject and self._is_new(given):
            saved = given.copy()
            self._undone.append(lambda: np.copyto(given, saved))

    def _keep_generators_of(self, given: Any) -> None:
        """Remembers the random generators that an object holds, level by level."""
        level, seen = [given], dict[int, Any]()
        for _ in range(LEVELS):
            new = {id(one): one for one in level if id(one) not in seen}
            seen |= new
            for one in new.values():
                self._keep_generator(one)
            parts = (part for one in new.values() for part in _parts(one) if not isinstance(part, DATA))
            level = list(islice(parts, MOST))

    def _keep_generator(self, given: Any) -> None:
        if isinstance(given, torch.Generator):
            seeds = given.get_state()
            self._undone.append(lambda: _put_seeds(given, seeds))
        elif isinstance(given, random.Random):
            state = given.getstate()
            self._undone.append(lambda: given.setstate(state))
        elif isinstance(given, np.random.Generator):
            bits, bit_state = given.bit_generator, copy.deepcopy(given.bit_generator.state)
            self._undone.append(lambda: setattr(bits, "state", bit_state))
        elif isinstance(given, np.random.RandomState):
            old_state = given.get_state()
            self._undone.append(lambda: given.set_state(old_state))


def _parts(given: Any) -> Iterable[Any]:
    """What a container or an object holds, unless it is so much that it is data."""
    if isinstance(given, (MethodType, BuiltinMethodType)):
        return (given.__self__,)
    held = given if isinstance(given, (dict, list, tuple, set, deque)) else getattr(given, "__dict__", ())
    if not isinstance(held, (dict, list, tuple, set, deque)) or len(held) > MANY:
        return ()
    return list(held.values() if isinstance(held, dict) else held)


def _failure(undo: Undo) -> Exception | None:
    try:
        undo()
    except Exception as error:
        return error
    return None


def _single(given: Tensor) -> Tensor:
    """Its data, each element of memory once: what was expanded cannot be written to."""
    data = given.data
    if given.layout == torch.strided:
        for dimension, (size, stride) in enumerate(zip(data.shape, data.stride(), strict=True)):
            if stride == 0 and size > 1:
                data = data.narrow(dimension, 0, 1)
    return data


def _put(given: Tensor, saved: Tensor) -> None:
    given.copy_(saved)


def _put_seeds(given: torch.Generator, seeds: Tensor) -> None:
    given.set_state(seeds)


def _put_members(given: set[Any], members: set[Any]) -> None:
    given.clear()
    given.update(members)


def _put_pairs(given: dict[Any, Any], pairs: list[tuple[Any, Any]]) -> None:
    if len(given) == len(pairs) and all(
        now is key and held is value for (now, held), (key, value) in zip(given.items(), pairs, strict=True)
    ):
        return
    given.clear()
    given.update(pairs)


def _put_items(given: Any, items: list[Any]) -> None:
    if len(given) == len(items) and all(now is one for now, one in zip(given, items, strict=True)):
        return
    given.clear()
    given.extend(items)


def _put_gradient(given: Tensor, needs: bool, gradient: Tensor | None) -> None:
    if given.requires_grad != needs:
        given.requires_grad_(needs)
    if given.grad is not gradient:
        given.grad = gradient


# ---- Interrupts ----


def restoring(snapshot: Callable[[], Snapshot], body: Callable[[Snapshot], Result]) -> Result:
    """Takes a snapshot, runs the body, and puts all back however that ends.

    A Ctrl-C ends the body, once. One that comes while all is put back waits until that is done.
    """
    with _Gate() as gate:
        taken = snapshot()
        try:
            try:
                return body(taken)
            finally:
                gate.shut()
        finally:
            taken.restore()


class _Gate:
    """The handler of Ctrl-C: open it lets one through to the handler before, shut it keeps it for later."""

    def __init__(self) -> None:
        self._is_open = True
        self._kept: tuple[int, FrameType | None] | None = None
        self._before: Any = None

    def shut(self) -> None:
        """From now on nothing gets through."""
        self._is_open = False

    def __enter__(self) -> _Gate:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._before = before
            signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._is_open:
            self._kept = (number, frame)
            return
        self._is_open = False
        self._before(number, frame)
        self._is_open = True  # that one did not raise

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            return
        signal.signal(signal.SIGINT, self._before)
        if self._kept is not None:
            self._before(*self._kept)
