"""A value for each stretch between boundaries: one search and one gather, however many boundaries there are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lrcore import _check
from lrcore.bindings.tf1._operations import as_written

WHERE = "piecewise_constant"
INT32, INT64 = range(-(2**31), 2**31), range(-(2**63), 2**63)
NUMBERS = (int, float, np.number)
COMPARED = {  # the types that TensorFlow compares
    *(tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64),
    *(tf.float16, tf.bfloat16, tf.float32, tf.float64),
}


def piecewise_constant(x: Any, boundaries: Any, values: Any, name: str | None = None) -> Any:
    """`tf.compat.v1.train.piecewise_constant`, of which a thousand boundaries cost no more nodes than one.

    The value is `values[i]`, with i the number of boundaries below `x`: at a boundary the old value still stands.

    It has the types of TensorFlow's: a Python int is an int32, or an int64 if it has to be, and a float a float32; the
    result is of the type of the values. Boundaries may be equal, which leaves no steps for a value.

    Args:
        x: a tensor or a variable with one element, or a number: the step.
        boundaries: numbers or tensors that do not decrease, of the type of `x`; int32 for an int64 too. A list, also
            nested, or an array.
        values: numbers or tensors, of one type; one more than boundaries.
        name: of the scope that all nodes are in; by default "PiecewiseConstant".

    Returns:
        In a graph a tensor, eagerly a callable without arguments for the tensor.

    Raises:
        ValueError: boundaries and values whose numbers or types do not fit; no boundary; numbers that decrease, which
            in TensorFlow fail at the first step between them; an `x` that is known to have several elements.
        TypeError: an `x` and boundaries of another type than numbers.
        tf.errors.InvalidArgumentError: an `x` with several elements, eagerly or when the graph runs.

    Also known as: `piecewise_constant_decay`; as a schedule `lrcore.dialects.tf1.piecewise_constant`.

    Example:
        >>> step = tf.Variable(2)
        >>> rate = piecewise_constant(step, [2, 3], [1.0, 0.5, 0.25])
        >>> before = float(rate())
        >>> _ = step.assign(3)
        >>> before, float(rate())
        (1.0, 0.5)
    """
    return _placed(x, boundaries, values, name or "PiecewiseConstant")


piecewise_constant_decay = piecewise_constant


# ---- Nodes ----


@as_written
def _placed(x: Any, boundaries: Any, values: Any, scope: str) -> Any:
    if tf.executing_eagerly():
        return partial(_looked_up, x, _pieces(tf.convert_to_tensor(x).dtype, boundaries, values), scope)
    with tf.name_scope(scope):
        step = tf.convert_to_tensor(x)
        return _value_at(step, *_pieces(step.dtype, boundaries, values))


@as_written
def _looked_up(x: Any, pieces: tuple[Any, Any], scope: str) -> Any:
    with tf.name_scope(scope):
        return _value_at(tf.convert_to_tensor(x), *pieces)


def _value_at(step: Any, boundaries: Any, values: Any) -> Any:
    row = tf.reshape(boundaries, [1, boundaries.shape[0]]) if tf.is_tensor(boundaries) else boundaries[None]
    passed = tf.raw_ops.LowerBound(sorted_inputs=row, values=tf.reshape(step, [1, 1]))
    return tf.gather(values, tf.squeeze(passed), name="value")


# ---- What was given ----


class _Listed(NamedTuple):
    """Numbers or tensors, and each type that TensorFlow has for one of them, with the place of the first."""

    items: Any  # a list or an array
    dtypes: dict[Any, int]

    def together(self, dtype: Any) -> Any:
        """All in one array, or in one tensor if there is a tensor among them."""
        if isinstance(self.items, np.ndarray) or all(issubclass(kind, NUMBERS) for kind in set(map(type, self.items))):
            return np.array(self.items, dtype.as_numpy_dtype)
        return tf.stack([tf.cast(one, dtype) for one in map(tf.convert_to_tensor, self.items)])


def _pieces(step: Any, boundaries: Any, values: Any) -> tuple[Any, Any]:
    """Boundaries, of the type of the step, and values."""
    step = step.base_dtype
    bounds, rates = _listed(boundaries), _listed(values)
    if not len(bounds.items):
        _check.refuse(f"{WHERE}.boundaries", "at least one boundary", boundaries)
    if len(rates.items) != len(bounds.items) + 1:
        expected = f"{len(bounds.items) + 1} values, one more than boundaries"
        raise ValueError(f"{WHERE}.values: expected {expected}, got {len(rates.items)}")
    first = next(iter(rates.dtypes))
    _refuse_others("boundaries", bounds.dtypes, [tf.int32, step] if step == tf.int64 else [step], "the type of x")
    _refuse_others("values", rates.dtypes, [first], "the type of the first")
    if step not in COMPARED:
        _check.refuse(f"{WHERE}.x", "a number", step, TypeError)
    return _increasing(bounds.together(step)), rates.together(first)


def _refuse_others(argument: str, dtypes: dict[Any, int], allowed: list[Any], because: str) -> None:
    others = {at: dtype for dtype, at in dtypes.items() if dtype not in allowed}
    if others:
        at, named = min(others), " or ".join(dtype.name for dtype in allowed)
        raise ValueError(f"{WHERE}.{argument}[{at}]: expected {named}, {because}, got {others[at].name}")


def _increasing(boundaries: Any) -> Any:
    """The boundaries, of which those that are known do not decrease."""
    if not tf.is_tensor(boundaries):
        rises = boundaries[1:] >= boundaries[:-1]  # not with NaN
        if not (rises.all() and boundaries[0] == boundaries[0]):
            at = int(np.argmin(rises)) + 1 if len(rises) else 0
            _check.refuse(f"{WHERE}.boundaries[{at}]", "a number not below the one before", boundaries[at].item())
    return boundaries


def _listed(given: Any) -> _Listed:
    if isinstance(given, np.ndarray) and given.ndim == 1 and np.issubdtype(given.dtype, np.number):
        return _Listed(given, {tf.as_dtype(given.dtype): 0} if len(given) else {})
    items = list(given) if isinstance(given, np.ndarray) and given.ndim else tf.nest.flatten(given)
    dtypes: dict[Any, int] = {}
    for at in _telling(items):
        dtypes.setdefault(_dtype(items[at]), at)
    return _Listed(items, dtypes)


def _telling(items: list[Any]) -> Iterable[int]:
    """Where the types of items are seen, of many that are alike at the first: ten thousand take their time."""
    kinds = list(map(type, items))
    firsts = {kind: kinds.index(kind) for kind in set(kinds)}
    if int in firsts and not all(one in INT32 for one in items if type(one) is int):
        return range(len(items))
    if all(kind in (int, float) or issubclass(kind, np.number) for kind in firsts):
        return sorted(firsts.values())
    return range(len(items))


def _dtype(given: Any) -> Any:
    """The type that TensorFlow makes of it; of numbers without making a node."""
    if type(given) is float:
        return tf.float32
    if type(given) is int and given in INT64:
        return tf.int32 if given in INT32 else tf.int64
    return (tf.as_dtype(given.dtype) if isinstance(given, np.number) else tf.convert_to_tensor(given).dtype).base_dtype
