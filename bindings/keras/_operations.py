"""The operations of Keras that the closed form of a schedule is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from lrcore import tracing


class KerasOperations(tracing.OfDtype):
    """`lrcore.tracing.Operations`, where each method is described, for steps of one dtype.

    Args:
        dtype: of the steps, such as "int32" (JAX, torch) or "int64" (TensorFlow).
    """

    exp = staticmethod(ops.exp)
    expm1 = staticmethod(ops.expm1)
    log = staticmethod(ops.log)
    log1p = staticmethod(ops.log1p)
    sqrt = staticmethod(ops.sqrt)
    tanh = staticmethod(ops.tanh)
    floor = staticmethod(ops.floor)

    def float32(self, steps: Any) -> Any:
        """Integers as float32."""
        return ops.cast(steps, "float32")

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        """Either of them may be a number."""
        return ops.where(condition, self.constant(then), self.constant(otherwise))

    def minimum(self, values: Any, other: Any) -> Any:
        """The smaller of both."""
        return ops.minimum(values, self.constant(other))

    def maximum(self, values: Any, other: Any) -> Any:
        """The larger of both."""
        return ops.maximum(values, self.constant(other))

    def take(self, values: NDArray[Any], at: Any) -> Any:
        """Entries of a constant array."""
        return ops.take(self.constants(values), at)

    def reached(self, marks: NDArray[np.int64], step: Any) -> Any:
        """How many of the marks are <= step: a search. TensorFlow searches for a list of steps only."""
        wanted = ops.reshape(step, (-1,))
        found = ops.searchsorted(ops.convert_to_tensor(self.constants(marks)), wanted, side="right")
        return ops.cast(ops.reshape(found, ops.shape(step)), self.dtype.name)

    def power(self, values: Any, exponent: Any) -> Any:
        """Numbers to a power."""
        return ops.power(values, self.constant(exponent))
