"""Eight schedules as runs of five curves, and how array libraries fill a table with them.

Each in the fastest way that we found. In place, blocks that stay in the cache, a curve at a time without masks, no
clamp, the steps ready as floats, one thread: what a user writes who knows the schedule and the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench._peers import BLOCK, Floats

Table = Callable[[], Any]


@dataclass(frozen=True)
class Run:
    """The first `steps` values of a curve that goes from `init` to `end` within `span` steps.

    `middle + height * cos(rate * t)`, `init + rate * t`, `init * exp(rate * t)`,
    `end + (init - end) * (1 - t / span) ** power`, or `init * drop ** (t // span)`.
    """

    curve: str
    steps: int
    init: float
    end: float
    span: int
    power: float = 1.0
    drop: float = 1.0

    @property
    def rate(self) -> float:
        if self.curve == "cosine":
            return math.pi / self.span
        return math.log(self.end / self.init) / self.span if self.curve == "exponential" else self.slope

    @property
    def slope(self) -> float:
        return (self.end - self.init) / self.span

    @property
    def middle(self) -> float:
        return (self.init + self.end) / 2

    @property
    def height(self) -> float:
        return (self.init - self.end) / 2

    def stairs(self) -> Floats:
        """The values of the stairs, of which the last may be cut off."""
        return self.init * self.drop ** np.arange(-(-self.steps // self.span), dtype=np.float64)


def _slices(run: Run, begin: int) -> Iterator[tuple[slice, slice]]:
    """The steps of a run by blocks, within the run and within the table."""
    for at in range(0, run.steps, BLOCK):
        to = min(at + BLOCK, run.steps)
        yield slice(at, to), slice(begin + at, begin + to)


def _begins(runs: list[Run]) -> Iterator[tuple[int, Run]]:
    begin = 0
    for run in runs:
        yield begin, run
        begin += run.steps


# ---- NumPy ----


def _numpy_part(run: Run, t: Floats, out: Floats) -> None:
    if run.curve == "power":
        np.multiply(t, -1.0 / run.span, out=out)
        np.add(out, 1.0, out=out)
        np.power(out, run.power, out=out)
        np.multiply(out, run.init - run.end, out=out)
        np.add(out, run.end, out=out)
        return
    np.multiply(t, run.rate, out=out)
    if run.curve == "cosine":
        np.cos(out, out=out)
        np.multiply(out, run.height, out=out)
        np.add(out, run.middle, out=out)
    elif run.curve == "exponential":
        np.exp(out, out=out)
        np.multiply(out, run.init, out=out)
    else:
        np.add(out, run.init, out=out)


def _numpy_stairs(run: Run, out: Floats) -> None:
    values, whole = run.stairs(), out.size // run.span
    out[: whole * run.span].reshape(whole, run.span)[...] = values[:whole, None]
    out[whole * run.span :] = values[-1]


def by_numpy(runs: list[Run], ramp: Floats, out: Floats) -> Table:
    work: list[Callable[[], None]] = []
    for begin, run in _begins(runs):
        if run.curve == "stairs":
            work.append(lambda run=run, part=out[begin : begin + run.steps]: _numpy_stairs(run, part))
            continue
        for steps, places in _slices(run, begin):
            work.append(lambda run=run, t=ramp[steps], part=out[places]: _numpy_part(run, t, part))
    return lambda: _all(work, out)


def _all(work: list[Callable[[], Any]], out: Any) -> Any:
    for part in work:
        part()
    return out


# ---- torch ----


def _torch_part(torch: Any, run: Run, t: Any, out: Any) -> None:
    if run.curve == "power":
        torch.mul(t, -1.0 / run.span, out=out)
        out.add_(1.0).pow_(run.power).mul_(run.init - run.end).add_(run.end)
        return
    torch.mul(t, run.rate, out=out)
    if run.curve == "cosine":
        out.cos_().mul_(run.height).add_(run.middle)
    elif run.curve == "exponential":
        out.exp_().mul_(run.init)
    else:
        out.add_(run.init)


def _torch_stairs(values: Any, span: int, out: Any) -> None:
    whole = len(out) // span
    out[: whole * span].view(whole, span).copy_(values[:whole, None])
    out[whole * span :] = values[-1]


def by_torch(runs: list[Run], ramp: Floats, out: Floats) -> Table:
    """The tensors share the memory of the arrays."""
    import torch

    torch.set_num_threads(1)
    steps_of, room = torch.from_numpy(ramp), torch.from_numpy(out)
    work: list[Callable[[], None]] = []
    for begin, run in _begins(runs):
        if run.curve == "stairs":
            values = torch.from_numpy(run.stairs())
            part = room[begin : begin + run.steps]
            work.append(lambda values=values, span=run.span, part=part: _torch_stairs(values, span, part))
            continue
        for steps, places in _slices(run, begin):
            work.append(lambda run=run, t=steps_of[steps], part=room[places]: _torch_part(torch, run, t, part))
    return lambda: _all(work, out)


# ---- numexpr ----

FORMULAS = {
    "cosine": "middle + height * cos(rate * t)",
    "line": "init + rate * t",
    "exponential": "init * exp(rate * t)",
    "power": "end + (init - end) * (1 - t * inverse) ** power",
    "stairs": "init * exp(fall * floor(t * inverse))",
}
NAMES = {"cosine": ("middle", "height", "rate"), "power": ("init", "end", "power")}


def by_numexpr(runs: list[Run], ramp: Floats, out: Floats) -> Table:
    """It makes its own blocks. The stair of a step is found by half a step more: t / span is not exact."""
    import numexpr

    numexpr.set_num_threads(1)
    work: list[Callable[[], Any]] = []
    for begin, run in _begins(runs):
        names: dict[str, Any] = {name: getattr(run, name) for name in NAMES.get(run.curve, ("init", "rate"))}
        names |= {"t": ramp[: run.steps], "inverse": 1.0 / run.span, "fall": math.log(run.drop)}
        if run.curve == "stairs":
            names["t"] = ramp[: run.steps] + 0.5
        part, formula = out[begin : begin + run.steps], FORMULAS[run.curve]
        work.append(lambda f=formula, n=names, part=part: numexpr.evaluate(f, local_dict=n, out=part))
    return lambda: _all(work, out)


# ---- numba ----


def _kernels(njit: Callable[[Any], Any]) -> dict[str, Any]:  # noqa: C901 (five loops)
    """One pass each, compiled: the steps cost nothing, and a stair is an inner loop."""

    @njit
    def cosine(out, middle, height, rate):
        for t in range(out.size):
            out[t] = middle + height * np.cos(rate * t)

    @njit
    def line(out, init, rate):
        for t in range(out.size):
            out[t] = init + rate * t

    @njit
    def exponential(out, init, rate):
        for t in range(out.size):
            out[t] = init * np.exp(rate * t)

    @njit
    def power(out, init, end, power, inverse):
        for t in range(out.size):
            out[t] = end + (init - end) * (1.0 - t * inverse) ** power

    @njit
    def stairs(out, values, span):
        for stair in range(values.size):
            for t in range(stair * span, min((stair + 1) * span, out.size)):
                out[t] = values[stair]

    return {"cosine": cosine, "line": line, "exponential": exponential, "power": power, "stairs": stairs}


_COMPILED: dict[str, Any] = {}


def by_numba(runs: list[Run], ramp: Floats, out: Floats) -> Table:  # noqa: ARG001
    from numba import njit

    kernels = _COMPILED or _kernels(njit(parallel=False, fastmath=False))
    _COMPILED.update(kernels)
    work: list[Callable[[], Any]] = []
    for begin, run in _begins(runs):
        part = out[begin : begin + run.steps]
        numbers: tuple[Any, ...] = tuple(getattr(run, name) for name in NAMES.get(run.curve, ("init", "rate")))
        if run.curve == "stairs":
            numbers = (run.stairs(), run.span)
        elif run.curve == "power":
            numbers = (*numbers, 1.0 / run.span)
        work.append(lambda kernel=kernels[run.curve], part=part, numbers=numbers: kernel(part, *numbers))
    return lambda: _all(work, out)


# ---- NumPy, where the table is too long for memory ----


def numpy_stream(runs: list[Run], ramp: Floats, room: Floats, begin: int, end: int) -> Iterator[Floats]:
    """The values of the steps begin, ..., end - 1 by blocks, which all lie in `room`; `ramp` counts from 0."""
    starts = np.cumsum([0, *(run.steps for run in runs)]).tolist()
    for at in range(begin, end, room.size):
        block = room[: end - at]
        for run, start in zip(runs, starts, strict=False):
            low, high = max(at, start), min(at + block.size, start + run.steps)
            if low < high:
                _numpy_steps(run, low - start, ramp[: high - low], block[low - at : high - at])
        yield block


def _numpy_steps(run: Run, first: int, ramp: Floats, out: Floats) -> None:
    if run.curve != "stairs":
        np.add(ramp, first, out=out)
        _numpy_part(run, out, out)
        return
    for stair in range(first // run.span, (first + out.size - 1) // run.span + 1):
        low = max(0, stair * run.span - first)
        out[low : (stair + 1) * run.span - first] = run.init * run.drop**stair
