"""The operations of a framework that the closed form of a schedule is made of, and those of NumPy."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Tensor = Any  # of the framework; of any shape, which every operation keeps

LARGEST_FLOAT = float(np.finfo(np.float32).max)


class Operations(Protocol):
    """What a binding supplies of its framework: elementwise operations on float32 tensors and integer ones.

    Beside these, tensors take the operators `+ - * / // >` with a tensor of their dtype or a Python number on either
    side, which takes the dtype of the tensor; `//` is of integers that are not negative, `/` of float32.
    """

    @property
    def largest_step(self) -> int:
        """The largest number of the dtype of steps: 2**31 - 1 or 2**63 - 1. No int constant is larger."""

    def float32(self, steps: Tensor) -> Tensor:
        """Integers as float32, rounded to the nearest."""

    def where(self, condition: Tensor, then: Tensor | float, otherwise: Tensor | float) -> Tensor:
        """Either of them may be a number: of floats the result is float32, of ints it has the dtype of steps."""

    def minimum(self, values: Tensor, other: Tensor | float) -> Tensor:
        """The smaller of both; `other` may be a number."""

    def maximum(self, values: Tensor, other: Tensor | float) -> Tensor:
        """The larger of both; `other` may be a number."""

    def take(self, values: NDArray[Any], at: Tensor) -> Tensor:
        """Entries of a constant array in one dimension; `at` has the dtype of steps and is within the array.

        `values` is a float32 array, or an int64 one of numbers up to `largest_step`, which has to get the dtype of
        steps.
        """

    def reached(self, marks: NDArray[np.int64], step: Tensor) -> Tensor:
        """How many of the marks, which are sorted, are `<= step`, in the dtype of steps."""

    def exp(self, values: Tensor) -> Tensor:
        """The exponential function, of float32 as all that follow."""

    def expm1(self, values: Tensor) -> Tensor:
        """`exp(values) - 1`, accurate near 0."""

    def log(self, values: Tensor) -> Tensor:
        """The natural logarithm of numbers > 0."""

    def log1p(self, values: Tensor) -> Tensor:
        """`log(1 + values)`, accurate near 0."""

    def sqrt(self, values: Tensor) -> Tensor:
        """The square root of numbers >= 0."""

    def tanh(self, values: Tensor) -> Tensor:
        """The hyperbolic tangent."""

    def floor(self, values: Tensor) -> Tensor:
        """The next whole number below."""

    def power(self, values: Tensor, exponent: Tensor | float) -> Tensor:
        """Numbers > 0 to a power that is not 0."""


class NumpyOperations:
    """The operations of NumPy, on steps of one dtype.

    Args:
        dtype: of the steps, "int64" or "int32".

    Example:
        >>> NumpyOperations("int32").largest_step
        2147483647
    """

    def __init__(self, dtype: str = "int64") -> None:
        self.dtype = np.dtype(dtype)

    @property
    def largest_step(self) -> int:
        """`Operations.largest_step`."""
        return int(np.iinfo(self.dtype).max)

    def float32(self, steps: Tensor) -> Tensor:
        """`Operations.float32`."""
        return np.asarray(steps).astype(np.float32)

    def _as_tensor(self, given: Tensor | float) -> Tensor:
        if isinstance(given, float):
            return np.float32(given)
        return self.dtype.type(given) if isinstance(given, int) else given

    def where(self, condition: Tensor, then: Tensor | float, otherwise: Tensor | float) -> Tensor:
        """`Operations.where`."""
        return np.where(condition, self._as_tensor(then), self._as_tensor(otherwise))

    def minimum(self, values: Tensor, other: Tensor | float) -> Tensor:
        """`Operations.minimum`."""
        return np.minimum(values, self._as_tensor(other))

    def maximum(self, values: Tensor, other: Tensor | float) -> Tensor:
        """`Operations.maximum`."""
        return np.maximum(values, self._as_tensor(other))

    def take(self, values: NDArray[Any], at: Tensor) -> Tensor:
        """`Operations.take`."""
        return (values if values.dtype == np.float32 else values.astype(self.dtype))[at]

    def reached(self, marks: NDArray[np.int64], step: Tensor) -> Tensor:
        """`Operations.reached`."""
        return np.searchsorted(marks, step, side="right").astype(self.dtype)

    def exp(self, values: Tensor) -> Tensor:
        """`Operations.exp`."""
        return np.exp(values)

    def expm1(self, values: Tensor) -> Tensor:
        """`Operations.expm1`."""
        return np.expm1(values)

    def log(self, values: Tensor) -> Tensor:
        """`Operations.log`."""
        return np.log(values)

    def log1p(self, values: Tensor) -> Tensor:
        """`Operations.log1p`."""
        return np.log1p(values)

    def sqrt(self, values: Tensor) -> Tensor:
        """`Operations.sqrt`."""
        return np.sqrt(values)

    def tanh(self, values: Tensor) -> Tensor:
        """`Operations.tanh`."""
        return np.tanh(values)

    def floor(self, values: Tensor) -> Tensor:
        """`Operations.floor`."""
        return np.floor(values)

    def power(self, values: Tensor, exponent: Tensor | float) -> Tensor:
        """`Operations.power`."""
        return np.power(values, self._as_tensor(exponent))
