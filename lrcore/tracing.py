"""A schedule for frameworks that trace: what they compute of it, in their own operations, at a step that is a tensor.

A traced training step is written once, for all updates, so it cannot call `schedule(step)`. There are two ways out, and
`plan` is the one place that decides between them:

- a **table** of float32 values, the float64 ones rounded once, for a schedule that holds its value after at most
  `LONGEST_TABLE` updates: the bits are exactly those of `schedule.table(n, dtype="float32")`;
- else the **closed form**, `traced`, behind a table of the first `HEAD` updates, which are exact too.

A binding supplies the operations of its framework, an object with the methods of `Operations` (`NumpyOperations` is the
one of NumPy; `OfDtype` is a base), and does this:

    plan = tracing.plan(schedule)         # once, outside of the traced step; a ValueError says what cannot be traced
    rate = plan.value(step, operations)   # within it: a float32 tensor of the shape of `step`, an integer tensor
    rate = as_float32(schedule(step))     # where the step is a number: the same float32

Accuracy of the closed form: every step counts, up to the largest of its dtype, since begins of parts and cycles are
subtracted in integers before anything is rounded to float32. A value is within 4 float32 ulp of the larger of its ends
of what the engine says, and a curve's ends are exact. Sums and products add their errors up; a function of values
multiplies them by its slope. Within a `shift` no step is counted beyond the largest of its dtype, so one of n is right
up to n steps before that.

Size of the closed form: a Piecewise, Table, Interpolate or Sequence is a search and a gather over constants, however
many parts it has. Parts that are alike (lines, say) are computed together, with parameters that are gathered; a
sequence of parts of three kinds has three branches.

>>> import numpy as np
>>> from lrcore import Cosine, Cycle
>>> schedule = Cycle(Cosine(0.1, 0.0, 100), 100)
>>> found = plan(schedule)
>>> len(found.table) == HEAD, found.tail == schedule
(True, True)
>>> steps = np.array([0, 50, 2**31 - 1], dtype=np.int32)
>>> [f"{value:.6f}" for value in found.value(steps, NumpyOperations("int32"))]
['0.100000', '0.050000', '0.054705']
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrcore._closedform import ClosedForm
from lrcore._operations import NumpyOperations, OfDtype, Operations, Tensor, as_float32
from lrcore.schedule import Schedule

__all__ = [
    "HEAD",
    "LONGEST_TABLE",
    "NumpyOperations",
    "OfDtype",
    "Operations",
    "Plan",
    "as_float32",
    "plan",
    "traced",
]

LONGEST_TABLE = 1_000_000  # values: 4 MB within the traced step; ten times that takes seconds to trace
HEAD = 1 << 16  # exact values before a closed form: 256 KB


@dataclass(frozen=True, eq=False)
class Plan:
    """How a schedule is computed in a traced step.

    Args:
        table: the values of steps 0, 1, ..., as float32; the last holds, unless there is a tail.
        tail: the schedule whose closed form gives the values beyond the table, or None.

    Example:
        >>> from lrcore import Linear
        >>> found = plan(Linear(1.0, 0.0, 4))
        >>> found.table.tolist(), found.tail
        ([1.0, 0.75, 0.5, 0.25, 0.0], None)
    """

    table: NDArray[np.float32]
    tail: Schedule | None = None

    def value(self, step: Tensor, operations: Operations) -> Tensor:
        """The values at a tensor of steps; a step below 0 counts as 0.

        Args:
            step: an integer tensor.
            operations: those of its framework, for its dtype.

        Example:
            >>> from lrcore import Linear
            >>> plan(Linear(1.0, 0.0, 4)).value(np.array([1, 9]), NumpyOperations()).tolist()
            [0.75, 0.0]
        """
        last = len(self.table) - 1
        held = operations.take(self.table, operations.minimum(operations.maximum(step, 0), last))
        if self.tail is None:
            return held
        return operations.where(step > last, traced(self.tail, step, operations), held)


def plan(schedule: Schedule, longest: int = LONGEST_TABLE) -> Plan:
    """Decides how a schedule is computed in a traced step: as a table that is exact, or by its closed form.

    Args:
        schedule: a schedule in updates.
        longest: values that a table may have.

    Raises:
        UnboundError: (a ValueError) a duration has a unit.
        ValueError: a schedule that neither a table holds nor operations can compute: noise without an end, say.

    Example:
        >>> from lrcore import ExponentialDecay, Noise
        >>> plan(ExponentialDecay(0.1, 0.5, 100)).tail
        ExponentialDecay(init_value=0.1, decay_rate=0.5, decay_steps=100.0)
        >>> plan(Noise(7))
        Traceback (most recent call last):
          ...
        ValueError: Noise: expected a schedule that holds its value within 1000000 updates, or one ...
    """
    length = schedule.length
    if length is not None and length < longest:
        return Plan(schedule.table(length + 1, dtype="float32"))
    try:
        traced(schedule, np.zeros(1, np.int64), NumpyOperations())
    except ValueError as error:
        raise ValueError(
            f"{type(schedule).__name__}: expected a schedule that holds its value within {longest} updates, or one "
            f"that operations on tensors can compute, got {error}: cut it at the end of the run, as in "
            "Sequence([(schedule, steps), schedule(steps)])"
        ) from error
    return Plan(schedule.table(min(HEAD, longest), dtype="float32"), schedule)


def traced(schedule: Schedule, step: Tensor, operations: Operations) -> Tensor:
    """The closed form: values of a schedule, computed by the operations of a framework.

    Args:
        schedule: a schedule in updates.
        step: an integer tensor of any shape; a step below 0 counts as 0.
        operations: those of its framework, for its dtype.

    Returns:
        A float32 tensor of the shape of `step`. What is beyond float32 is its largest number.

    Raises:
        UnboundError: (a ValueError) a duration has a unit.
        ValueError: a part of the schedule that operations cannot compute; it is named.

    Example:
        >>> from lrcore import Cosine
        >>> traced(Cosine(1.0, 0.0, 2**40), np.array([0, 2**39, 2**40]), NumpyOperations()).tolist()
        [1.0, 0.5, 0.0]
    """
    return ClosedForm(schedule, operations).value(step)
