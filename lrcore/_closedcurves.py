"""The curves in float32, by a framework's operations: the twins of those in _kernels.h.

(a) A family is several nodes of one kind, of which `which` says at each step which is meant: its parameters are numbers
    where all nodes agree, and gathered from constants where not. One node is a family of one.
(b) Steps are integers to the last: distances to both ends of a curve are integers too, and rounded to float32 then. So
    every step counts beyond 2**24, where float32 does not hold every whole number.
(c) As in the engine a curve is what the nearer end makes of the distance to it, so that both ends are exact.
(d) Logarithms of factors are taken here, in float64. An error of y in exp(y) is y ulp of the value, and the value falls
    faster than y rises where it is a decay from the larger end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lrcore._operations import LARGEST_FLOAT, Operations, Tensor, as_float32
from lrcore._rows import scaled

LARGEST_EXPONENT = 88.0  # exp of it is a float32


class Node(NamedTuple):
    """A row of the engine; what each field means for a kind stands at lr_node."""

    kind: str
    init: float
    end: float
    shape: float
    span: float
    children: Sequence[int] | None
    marks: Sequence[int] | None
    data: Any
    mirror: bool
    count: int  # type: ignore[assignment]


def as_float(number: float) -> float:
    """`as_float32`, as a Python number, which every framework takes beside a tensor."""
    return float(as_float32(number))


class Family:
    """Nodes of one kind, each under a time scale; see note (a)."""

    def __init__(
        self, nodes: list[Node], scales: list[float], which: Tensor | None, step: Tensor, ops: Operations, last: int
    ) -> None:
        self.nodes, self.scales, self.which, self.step, self.ops, self.last = nodes, scales, which, step, ops, last

    def floats(self, values: Sequence[float]) -> Tensor | float:
        """A parameter of each node."""
        rounded = [as_float(value) for value in values]
        if len(set(rounded)) == 1:
            return rounded[0]
        return self.ops.take(np.array(rounded, dtype=np.float32), self.which)

    def ints(self, values: Sequence[int]) -> Tensor | int:
        """An integer parameter of each node, at most the largest step."""
        held = [min(value, self.last) for value in values]
        if len(set(held)) == 1:
            return held[0]
        return self.ops.take(np.array(held, dtype=np.int64), self.which)

    def where(self, condition: Tensor, then: Tensor | float, otherwise: Tensor | float) -> Tensor | float:
        """One of two parameters."""
        same = isinstance(then, (int, float)) and isinstance(otherwise, (int, float)) and then == otherwise
        return then if same else self.ops.where(condition, then, otherwise)

    def bounded(self, values: Tensor) -> Tensor:
        """Within float32, no infinity."""
        return self.ops.minimum(self.ops.maximum(values, -LARGEST_FLOAT), LARGEST_FLOAT)

    def inits(self) -> Tensor | float:
        """The values at step 0."""
        return self.floats([node.init for node in self.nodes])

    def ends(self) -> Tensor | float:
        """The values at the end."""
        return self.floats([node.end for node in self.nodes])

    def whole_spans(self) -> list[int]:
        """Durations under the scale, as lr_curve_of rounds them."""
        return [max(1, scaled(int(node.span), scale)) for node, scale in self._pairs()]

    def spans(self) -> list[float]:
        """Units of time under the scale, which need not be whole."""
        return [node.span * scale for node, scale in self._pairs()]

    def _pairs(self) -> list[tuple[Node, float]]:
        return list(zip(self.nodes, self.scales, strict=True))


class Course(NamedTuple):
    """Where the steps are on curves that end: the distances to both ends in float32, and which end is the nearer."""

    ahead: Tensor
    rest: Tensor
    is_far: Tensor
    inverse: Tensor | float  # 1 / span


def course(family: Family) -> Course:
    """Distances on curves that end. A span that no step reaches counts on beyond the largest step as a float."""
    ops, spans = family.ops, family.whole_spans()
    stop = family.ints(spans)
    step = ops.minimum(family.step, stop)
    rest = ops.float32(stop - step)
    if max(spans) > family.last:
        rest = rest + family.floats([span - min(span, family.last) for span in spans])
    is_far = step > family.ints([span // 2 for span in spans])
    return Course(ops.float32(step), rest, is_far, family.floats([1.0 / span for span in spans]))


def from_nearer_end(family: Family, is_far: Tensor, share: Tensor) -> Tensor:
    """A share of the way between both ends, gone from the init value or, where `is_far`, from the end value."""
    rise = family.floats([node.end - node.init for node in family.nodes])
    back = family.floats([node.init - node.end for node in family.nodes])
    near = family.where(is_far, family.ends(), family.inits())
    return near + family.where(is_far, back, rise) * share


def constant(family: Family) -> Tensor | float:
    """Twin of LR_CONSTANT."""
    return family.inits()


def linear(family: Family) -> Tensor:
    """Twin of LR_LINEAR."""
    at = course(family)
    return from_nearer_end(family, at.is_far, family.ops.where(at.is_far, at.rest, at.ahead) * at.inverse)


# sin(pi/2 x)**2 = (1 - cos(pi x)) / 2 as a series of x**2; the term left out is 4e-9 of it at x = 1/2.
SQUARED_SINE = tuple((-1) ** (k + 1) * math.pi ** (2 * k) / (2.0 * math.factorial(2 * k)) for k in range(1, 7))


def squared_sine(share: Tensor) -> Tensor:
    """Of shares of a quarter of a turn, up to 1/2: no framework's sine, which differ."""
    square = share * share
    total = square * as_float(SQUARED_SINE[-1]) + as_float(SQUARED_SINE[-2])
    for factor in SQUARED_SINE[-3::-1]:
        total = total * square + as_float(factor)
    return total * square


def cosine(family: Family) -> Tensor:
    """Twin of LR_COSINE."""
    at = course(family)
    share = family.ops.where(at.is_far, at.rest, at.ahead) * at.inverse
    return from_nearer_end(family, at.is_far, squared_sine(share))


def exponential(family: Family) -> Tensor:
    """Twin of LR_EXPONENTIAL: from the nearer end too, so that the exponent is small."""
    at, ops = course(family), family.ops
    spans = family.whole_spans()
    logs = [math.log(node.end) - math.log(node.init) for node in family.nodes]
    rates = [rise / span for rise, span in zip(logs, spans, strict=True)]
    exponent = ops.where(at.is_far, at.rest * family.floats([-rate for rate in rates]), at.ahead * family.floats(rates))
    near = family.where(at.is_far, family.ends(), family.inits())
    return family.bounded(near * ops.exp(ops.minimum(exponent, LARGEST_EXPONENT)))


def power(family: Family) -> Tensor:
    """Twin of LR_POWER and LR_ROOT: exp(power * log(1 - x / span)), or what that misses of 1 where 1 is nearer."""
    at, ops = course(family), family.ops
    powers = family.floats([0.5 if node.kind == "ROOT" else node.shape for node in family.nodes])
    left = ops.log(ops.maximum(at.rest * at.inverse, 1e-30))
    logarithm = ops.where(at.is_far, left, ops.log1p(-ops.minimum(at.ahead * at.inverse, 0.5)))
    exponent = logarithm * powers
    is_low = -exponent > math.log(2.0)
    share = ops.where(is_low, ops.exp(exponent), -ops.expm1(exponent))
    return ops.where(at.rest > 0.0, from_nearer_end(family, is_low, share), family.ends())


def exponential_decay(family: Family) -> Tensor:
    """Twin of LR_EXPONENTIAL_DECAY and LR_NATURAL_EXP_DECAY. Growth is two factors: only the product overflows."""
    ops = family.ops
    rates = []
    for node, span in zip(family.nodes, family.spans(), strict=True):
        rates.append((math.log(node.shape) if node.kind == "EXPONENTIAL_DECAY" else -node.shape) / span)
    exponent = ops.float32(family.step) * family.floats(rates)
    if max(rates) <= 0.0:
        return family.inits() * ops.exp(exponent)
    half = ops.exp(ops.minimum(exponent * 0.5, LARGEST_EXPONENT))
    return family.bounded(family.inits() * half * half)


def inverse_time_decay(family: Family) -> Tensor:
    """Twin of LR_INVERSE_TIME_DECAY."""
    rates = family.floats([node.shape / span for node, span in zip(family.nodes, family.spans(), strict=True)])
    return family.inits() / (family.ops.float32(family.step) * rates + 1.0)


def inverse_sqrt(family: Family) -> Tensor:
    """Twin of LR_INVERSE_SQRT."""
    begin = family.floats(family.whole_spans())
    later = family.ops.maximum(family.ops.float32(family.step), begin)
    return family.inits() * family.ops.sqrt(begin / later)


def line(family: Family) -> Tensor:
    """Twin of LR_LINE, from the nearer end too: what is taken of a value near a zero end may need all of its bits."""
    ops, spans = family.ops, [min(span, 2.0**62) for span in family.spans()]
    stops = [min(math.floor(span), family.last) for span in spans]
    behind = [span - stop for span, stop in zip(spans, stops, strict=True)]
    beyond = ops.float32(family.step - family.ints(stops))
    if any(behind):
        beyond = beyond - family.floats(behind)
    is_far = family.step > family.ints([int(span / 2.0) for span in spans])
    rise = family.floats([node.end - node.init for node in family.nodes])
    inverse = family.floats([1.0 / span for span in family.spans()])
    share = ops.where(is_far, beyond, ops.float32(family.step)) * inverse
    return family.bounded(family.where(is_far, family.ends(), family.inits()) + share * rise)


CURVES: dict[str, Callable[[Family], Tensor]] = {
    "CONSTANT": constant,
    "LINEAR": linear,
    "COSINE": cosine,
    "POWER": power,
    "EXPONENTIAL": exponential,
    "EXPONENTIAL_DECAY": exponential_decay,
    "INVERSE_TIME_DECAY": inverse_time_decay,
    "INVERSE_SQRT": inverse_sqrt,
    "LINE": line,
}
# Kinds that are computed together with another one.
SAME_CURVE = {"ROOT": "POWER", "NATURAL_EXP_DECAY": "EXPONENTIAL_DECAY", "TABLE": "PIECEWISE", "MAP_SQRT": "MAP_POWER"}


# ---- Functions of values ----


def map_cosine(family: Family, value: Tensor) -> Tensor:
    """(1 + cos(pi v)) / 2: v is folded into [0, 1], and taken from its nearer end."""
    ops = family.ops
    turn = value - ops.floor(value * 0.5) * 2.0
    folded = ops.minimum(turn, 2.0 - turn)
    is_low = folded > 0.5
    share = squared_sine(ops.where(is_low, 1.0 - folded, folded))
    return ops.where(is_low, share, 1.0 - share)


def map_log(family: Family, value: Tensor) -> Tensor:
    """What is below the smallest values counts as 1e-300."""
    ops = family.ops
    return ops.where(value > 0.0, ops.log(ops.maximum(value, 1e-37)), math.log(1e-300))


def map_power(family: Family, value: Tensor) -> Tensor:
    """A power of a number > 0; what is not above 0 counts as 0."""
    ops = family.ops
    powers = [0.5 if node.kind == "MAP_SQRT" else node.shape for node in family.nodes]
    of_zero = family.floats([0.0 if exponent > 0.0 else LARGEST_FLOAT for exponent in powers])
    positive = ops.maximum(value, 1e-37)
    found = ops.sqrt(positive) if set(powers) == {0.5} else ops.power(positive, family.floats(powers))
    return ops.where(value > 0.0, family.bounded(found), of_zero)


MAPS: dict[str, Callable[[Family, Tensor], Tensor]] = {
    "MAP_COSINE": map_cosine,
    "MAP_TANH": lambda family, value: family.ops.tanh(value),
    "MAP_EXP": lambda family, value: family.bounded(family.ops.exp(value)),
    "MAP_LOG": map_log,
    "MAP_POWER": map_power,
}
