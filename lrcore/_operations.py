"""The operations of a framework that the closed form of a schedule is made of, and those of NumPy."""

from __future__ import annotations

from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

Tensor = Any  # of the framework; of any shape, which every operation keeps

LARGEST_FLOAT = float(np.finfo(np.float32).max)


@overload
def as_float32(values: float) -> np.float32: ...
@overload
def as_float32(values: NDArray[np.float64]) -> NDArray[np.float32]: ...


def as_float32(values: float | NDArray[np.float64]) -> np.float32 | NDArray[np.float32]:
    """Values of a schedule as float32: rounded once, and what is beyond it is its largest number.

    Example:
        >>> as_float32(0.1), as_float32(np.array([-1e60]))
        (np.float32(0.1), array([-3.4028235e+38], dtype=float32))
    """
    if isinstance(values, np.ndarray):
        return values.clip(-LARGEST_FLOAT, LARGEST_FLOAT).astype(np.float32)
    return np.float32(min(max(values, -LARGEST_FLOAT), LARGEST_FLOAT))


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


class OfDtype:
    """What operations on steps of one dtype share: a base for those of a framework.

    Args:
        dtype: of the steps, such as "int32".

    Example:
        >>> OfDtype("int32").largest_step
        2147483647
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)

    @property
    def largest_step(self) -> int:
        """`Operations.largest_step`."""
        return int(np.iinfo(self.dtype).max)

    def constant(self, given: Tensor | float) -> Tensor:
        """A number in the dtype that it is meant to have, whatever a framework would choose: an int is a step.

        Example:
            >>> OfDtype("int32").constant(3), OfDtype("int32").constant(0.1)
            (np.int32(3), np.float32(0.1))
        """
        if isinstance(given, float):
            return np.float32(given)
        return self.dtype.type(given) if isinstance(given, int) else given

    def constants(self, values: NDArray[Any]) -> NDArray[Any]:
        """The array of `Operations.take`: float32 as it is, integers in the dtype of steps.

        Example:
            >>> OfDtype("int32").constants(np.array([3, 4])).dtype
            dtype('int32')
        """
        return values if values.dtype == np.float32 else values.astype(self.dtype)


class NumpyOperations(OfDtype):
    """The operations of NumPy, on steps of one dtype.

    Args:
        dtype: of the steps, "int64" or "int32".

    Example:
        >>> NumpyOperations("int32").largest_step
        2147483647
    """

    exp = staticmethod(np.exp)
    expm1 = staticmethod(np.expm1)
    log = staticmethod(np.log)
    log1p = staticmethod(np.log1p)
    sqrt = staticmethod(np.sqrt)
    tanh = staticmethod(np.tanh)
    floor = staticmethod(np.floor)

    def __init__(self, dtype: DTypeLike = "int64") -> None:
        super().__init__(dtype)

    def float32(self, steps: Tensor) -> Tensor:
        """`Operations.float32`."""
        return np.asarray(steps).astype(np.float32)

    def where(self, condition: Tensor, then: Tensor | float, otherwise: Tensor | float) -> Tensor:
        """`Operations.where`."""
        return np.where(condition, self.constant(then), self.constant(otherwise))

    def minimum(self, values: Tensor, other: Tensor | float) -> Tensor:
        """`Operations.minimum`."""
        return np.minimum(values, self.constant(other))

    def maximum(self, values: Tensor, other: Tensor | float) -> Tensor:
        """`Operations.maximum`."""
        return np.maximum(values, self.constant(other))

    def take(self, values: NDArray[Any], at: Tensor) -> Tensor:
        """`Operations.take`."""
        return self.constants(values)[at]

    def reached(self, marks: NDArray[np.int64], step: Tensor) -> Tensor:
        """`Operations.reached`."""
        return np.searchsorted(marks, step, side="right").astype(self.dtype)

    def power(self, values: Tensor, exponent: Tensor | float) -> Tensor:
        """`Operations.power`."""
        return np.power(values, self.constant(exponent))
