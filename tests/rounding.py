"""How far arithmetic in float32 may be off: an error bound that is derived from a schedule's structure."""

import functools
import math
from typing import NamedTuple

import numpy as np

import lrcore as lr

EPSILON = 2.0**-23
ULPS = 4  # of the larger end, for a curve


class Size(NamedTuple):
    """The largest magnitude that a schedule reaches, and how far off a value may be."""

    largest: float
    error: float

    def rounded(self):
        """After one more rounding."""
        return Size(self.largest, self.error + self.largest * EPSILON)


def times(a, b):
    return Size(a.largest * b.largest, a.error * b.largest + b.error * a.largest + a.error * b.error).rounded()


def plus(a, b):
    return Size(a.largest + b.largest, a.error + b.error).rounded()


def curve(*values):
    largest = max(map(abs, values))
    return Size(largest, ULPS * EPSILON * largest)


def exact(values):
    """Constants are rounded once."""
    largest = float(np.abs(np.asarray(values, dtype=np.float64)).max())
    return Size(largest, EPSILON * largest)


def line(node, horizon):
    far = node(min(math.ceil(horizon), 2**53 - 1))
    return curve(node.init_value, node.end_value, far)


def mapped(node, inner):
    v, error = inner
    match node.function:
        case "cosine":  # of v, and of the framework
            return Size(1.0, (math.pi / 2) * error + ULPS * EPSILON)
        case "tanh":
            return Size(1.0, error + ULPS * EPSILON)
        case "exp":
            return Size(1.0, math.inf) if v > 80 else Size(math.exp(v), math.exp(v + error) * (error + ULPS * EPSILON))
        case "power" if node.power >= 1.0:
            largest = v**node.power
            return Size(largest, node.power * (v + error) ** (node.power - 1) * error + ULPS * EPSILON * largest)
        case "power":  # steep at 0
            return Size(v**node.power, error**node.power + ULPS * EPSILON * v**node.power)
    raise NotImplementedError(node.function)


def size(node, horizon):  # noqa: C901 (a row for each class)
    """The size of a schedule whose local steps stay below `horizon`, for factors of cycles up to 1 and powers > 0."""
    inner = [size(child, 5 * horizon + 100) for child in node._children()]
    match node:
        case lr.Constant() | lr.Piecewise() | lr.Table():
            return exact(getattr(node, "values", None) if not isinstance(node, lr.Constant) else node.value)
        case lr.Interpolate():
            return curve(*(value for _, value in node.points))
        case lr.Line():
            return line(node, horizon)
        case lr.Cycle():
            return times(inner[0], curve(1.0))
        case lr.Product():
            return functools.reduce(times, inner)
        case lr.Sum():
            return functools.reduce(plus, inner)
        case lr.Scale():
            return times(inner[0], exact([node.factor]))
        case lr.Clip():
            bounds = exact([bound for bound in (node.min, node.max) if bound is not None])
            return Size(max(inner[0].largest, bounds.largest), max(inner[0].error, bounds.error))
        case lr.Map():
            return mapped(node, inner[0])
        case _ if inner:  # of time
            return Size(max(each.largest for each in inner), max(each.error for each in inner))
        case _:
            return curve(node.init_value, getattr(node, "end_value", 0.0))
