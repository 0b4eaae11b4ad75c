"""The combinators: schedules made of schedules. Any node nests in any other.

Where a combinator takes a schedule it takes a number too, for a constant one. In the formulas `t` is the
step.
"""

from __future__ import annotations

import math
from array import array
from collections import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lrcore import _check
from lrcore._check import END_OF_STEPS, field
from lrcore._rows import Rows, bounded_scale, is_whole, rounded, row, scaled
from lrcore.durations import LENGTH, REST, Duration, updates
from lrcore.schedule import Schedule, is_schedule

_duration = updates(1)
_part_steps = updates(0, also=(REST, LENGTH))


def _parts(where: str, given: Any) -> tuple[Any, ...]:
    listed = _check.items(where, given, "(schedule, steps) pairs with a schedule at the end")
    if not listed:
        raise ValueError(f"{where}: expected (schedule, steps) pairs with a schedule at the end, got none")
    parts: list[Any] = []
    for at, item in enumerate(listed[:-1]):
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            _check.refuse(f"{where}[{at}]", "a (schedule, steps) pair", item, TypeError)
        schedule = is_schedule(f"{where}[{at}][0]", item[0])
        steps = _part_steps(f"{where}[{at}][1]", item[1])
        if steps == LENGTH and schedule.is_bound:
            steps = _own_length(f"{where}[{at}][1]", schedule)
        parts.append((schedule, steps))
    return (*parts, is_schedule(f"{where}[{len(listed) - 1}]", listed[-1]))


def _own_length(where: str, schedule: Schedule) -> int:
    if schedule.length is None:
        raise ValueError(f"{where}: expected updates, got {LENGTH!r} of {type(schedule).__name__}, which never ends")
    return schedule.length


@dataclass(frozen=True, slots=True)
class Sequence(Schedule):
    """One schedule after another, each from its own step 0.

    `schedule_i(t - begin_i)` for `begin_i <= t < begin_i + steps_i`; the last goes on for ever

    Args:
        parts: (schedule, steps) pairs, then a last schedule without steps. A part of 0 steps is left out. Steps may be
            "length": those of the part's own schedule.

    Raises:
        TypeError, ValueError: parts that are no such pairs; steps that are no int >= 0.

    `a >> b` is `Sequence([(a, a.length), b])`.

    Also known as: torch `SequentialLR`, `optax.join_schedules`, Ignite `ConcatScheduler`.

    Example:
        >>> from lrcore import Linear
        >>> Sequence([(Linear(0.0, 1.0, 2), 2), (1.0, 3), Linear(1.0, 0.0, 2)]).table(8).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """

    parts: abc.Sequence[Any] = field(_parts, duration="span")

    def _validate(self) -> None:
        total = sum(steps for _, steps in self.parts[:-1])
        if total >= END_OF_STEPS:
            raise ValueError(f"Sequence.parts: expected steps with a sum below 2**53, got {total}")

    def _children(self) -> tuple[Schedule, ...]:
        return (*(schedule for schedule, _ in self.parts[:-1]), self.parts[-1])

    def _own_durations(self) -> Iterator[tuple[str, Duration]]:
        for at, (_, steps) in enumerate(self.parts[:-1]):
            yield f"Sequence.parts[{at}][1]", steps

    def _stages(self) -> Iterator[tuple[int, Schedule]]:
        """Where each part that lasts begins, and the part."""
        begin = 0
        for schedule, steps in self.parts[:-1]:
            if steps:
                yield begin, schedule
            begin += steps
        yield begin, self.parts[-1]

    def _lower(self, rows: Rows) -> int:
        stages = [(begin, rows.place_of(schedule)) for begin, schedule in self._stages()]
        marks = array("q", [begin for begin, _ in stages])
        return row(rows, "SEQUENCE", children=[child for _, child in stages], marks=marks)

    def _length(self, scale: float) -> int | None:
        rest = self.parts[-1]._length(scale)
        begin = sum(steps for _, steps in self.parts[:-1])
        return None if rest is None else scaled(begin, scale) + rest

    def _rounded_durations(self, factor: float) -> Iterator[str]:
        begin = 0
        for at, (_, steps) in enumerate(self.parts[:-1]):
            begin += steps
            exact = begin * factor
            if not is_whole(exact):
                yield f"Sequence.parts[{at}] end {begin} to {rounded(exact)} ({exact:.12g})"
        for child in self._children():
            yield from child._rounded_durations(factor)


def then(first: Schedule, after: Any) -> Sequence:
    """`first >> after`: flat, so that it does not matter how a chain is bracketed."""
    parts = list(timed_parts(first))
    last = is_schedule(">>", after)
    return Sequence([*parts, *(last.parts if isinstance(last, Sequence) else (last,))])


def timed_parts(first: Schedule) -> Iterator[tuple[Schedule, Duration]]:
    """The parts of a chain that goes on after `first`."""
    if not first.is_bound:
        yield from _late_parts(first)
        return
    length = first.length
    if length is None:
        raise ValueError(
            f"{type(first).__name__} >> ...: expected a schedule with a length, got one that never ends: give its "
            "steps with Sequence([(schedule, steps), ...])"
        )
    if length == 0:
        raise ValueError(
            f"{type(first).__name__} >> ...: expected a schedule with a length, got one that holds from step 0: "
            "give its steps with Sequence([(schedule, steps), ...])"
        )
    if length >= END_OF_STEPS:
        raise ValueError(
            f"{type(first).__name__} >> ...: expected a schedule that ends before step 2**53, got {length}"
        )
    if not isinstance(first, Sequence):
        yield first, length
        return
    yield from first.parts[:-1]
    rest = length - sum(steps for _, steps in first.parts[:-1])
    if rest:
        yield first.parts[-1], rest


def _late_parts(first: Schedule) -> Iterator[tuple[Schedule, Duration]]:
    """As long as is known once all is bound."""
    if not isinstance(first, Sequence):
        yield first, LENGTH
        return
    yield from first.parts[:-1]
    yield first.parts[-1], LENGTH


def _operands(where: str, given: Any) -> tuple[Schedule, ...]:
    listed = _check.items(where, given, "schedules")
    if not listed:
        raise ValueError(f"{where}: expected at least one schedule, got none")
    return tuple(is_schedule(f"{where}[{at}]", item) for at, item in enumerate(listed))


class _Combined(Schedule):
    """Schedules side by side, combined at each step from left to right."""

    __slots__ = ()

    def _length(self, scale: float) -> int | None:
        lengths = [child._length(scale) for child in self._children()]
        return None if None in lengths else max(length for length in lengths if length is not None)

    def _lower_as(self, kind: str, rows: Rows) -> int:
        return row(rows, kind, children=[rows.place_of(child) for child in self._children()])


@dataclass(frozen=True, slots=True)
class Product(_Combined):
    """Schedules multiplied: a learning rate and its multipliers.

    `factors[0](t) * factors[1](t) * ...`, from left to right: `a * (b * c)` is `a * b * c`

    Args:
        factors: at least one schedule.

    Raises:
        TypeError, ValueError: factors that are no schedules, or none.

    `a * b` is `Product([a, b])`.

    Also known as: torch `ChainedScheduler` (of pure factors), `MultiplicativeLR`.

    Example:
        >>> from lrcore import Constant, Linear
        >>> (Linear(1.0, 0.0, 4) * Linear(0.0, 1.0, 2)).table(5).tolist()
        [0.0, 0.375, 0.5, 0.25, 0.0]
    """

    factors: abc.Sequence[Schedule] = field(_operands)

    def _children(self) -> tuple[Schedule, ...]:
        return tuple(self.factors)

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("PRODUCT", rows)


@dataclass(frozen=True, slots=True)
class Sum(_Combined):
    """Schedules added: a floor under a cycle, say.

    `terms[0](t) + terms[1](t) + ...`, from left to right: `a + (b + c)` is `a + b + c`

    Args:
        terms: at least one schedule.

    Raises:
        TypeError, ValueError: terms that are no schedules, or none.

    `a + b` is `Sum([a, b])`.

    Example:
        >>> from lrcore import Linear
        >>> (Linear(1.0, 0.0, 4) + 0.5).table(5).tolist()
        [1.5, 1.25, 1.0, 0.75, 0.5]
    """

    terms: abc.Sequence[Schedule] = field(_operands)

    def _children(self) -> tuple[Schedule, ...]:
        return tuple(self.terms)

    def _lower(self, rows: Rows) -> int:
        return self._lower_as("SUM", rows)


def times(first: Schedule, other: Any) -> Schedule:
    """`first * other`; products are flat, a number becomes a Scale."""
    if not isinstance(other, Schedule):
        return Scale(first, other)
    factors = [operand.factors if isinstance(operand, Product) else (operand,) for operand in (first, other)]
    return Product((*factors[0], *factors[1]))


def plus(first: Schedule, other: Any) -> Sum:
    """`first + other`; sums are flat."""
    second = is_schedule("+", other)
    terms = [operand.terms if isinstance(operand, Sum) else (operand,) for operand in (first, second)]
    return Sum((*terms[0], *terms[1]))


class _Changed(Schedule):
    """One schedule, seen differently."""

    __slots__ = ()

    schedule: Schedule

    def _children(self) -> tuple[Schedule, ...]:
        return (self.schedule,)

    def _length(self, scale: float) -> int | None:
        return self.schedule._length(scale)


@dataclass(frozen=True, slots=True)
class Scale(_Changed):
    """A schedule times a number.

    `factor * schedule(t)`

    Args:
        schedule: what is scaled.
        factor: the number.

    Raises:
        TypeError, ValueError: no schedule; a factor that is no finite number.

    `0.5 * a` is `Scale(a, 0.5)`.

    Also known as: timm's and BEiT's `lr_scale` of a parameter group.

    Example:
        >>> from lrcore import Linear
        >>> (0.5 * Linear(1.0, 0.0, 4)).table(3).tolist()
        [0.5, 0.375, 0.25]
    """

    schedule: Schedule = field(is_schedule)
    factor: float = field(_check.value)

    def _lower(self, rows: Rows) -> int:
        return row(rows, "SCALE", self.factor, children=[rows.place_of(self.schedule)])


@_check.accepts(_check.schema_of(_check.value))
def _bound(where: str, given: Any) -> float | None:
    return None if given is None else _check.value(where, given)


@dataclass(frozen=True, slots=True)
class Clip(_Changed):
    """A schedule within bounds.

    `min(max(schedule(t), min), max)`

    Args:
        schedule: what is clipped.
        min: the lowest value, or None.
        max: the highest value, or None.

    Raises:
        TypeError, ValueError: bounds that are no finite numbers, both None, or `min` above `max`.

    Also known as: the `min_lr` of many schedulers, the `end_value` of `optax.exponential_decay`.

    Example:
        >>> from lrcore import ExponentialDecay
        >>> ExponentialDecay(1.0, 0.5).clip(min=0.2).table(4).tolist()
        [1.0, 0.5, 0.25, 0.2]
    """

    schedule: Schedule = field(is_schedule)
    min: float | None = field(_bound, None)
    max: float | None = field(_bound, None)

    def _validate(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("Clip.min: expected a bound on at least one side, got None for both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"Clip.min: expected at most max = {self.max}, got {self.min}")

    def _lower(self, rows: Rows) -> int:
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        return row(rows, "CLIP", low, high, children=[rows.place_of(self.schedule)])


@dataclass(frozen=True, slots=True)
class Staircase(_Changed):
    """A schedule that changes only every so many updates.

    `schedule(floor(t / every) * every)`

    Args:
        schedule: what is held.
        every: updates between changes, >= 1.

    Raises:
        TypeError, ValueError: no schedule; `every` that is no int >= 1.

    Also known as: `staircase=True` of Keras, TF1 and optax; torch `StepLR` is
    `ExponentialDecay(...).staircase(step_size)`.

    Example:
        >>> from lrcore import ExponentialDecay
        >>> Staircase(ExponentialDecay(1.0, 0.5, decay_steps=3), 3).table(7).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]
    """

    schedule: Schedule = field(is_schedule)
    every: Duration = field(_duration, duration="span")

    def _lower(self, rows: Rows) -> int:
        return row(rows, "STAIRCASE", span=self.every, children=[rows.place_of(self.schedule)])

    def _length(self, scale: float) -> int | None:
        """The begin of the first stair that is not before the end of the schedule."""
        inner = self.schedule._length(scale)
        if inner is None or scale == 1.0:
            return inner if inner is None else -(-inner // self.every) * self.every
        inner = min(inner, 2**60)  # beyond, `rounded` stands still
        stair = max(self.every * scale, 1.0)
        number = max(0, math.floor(inner / stair) - 1)
        while rounded(number * stair) < inner:
            number += 1
        return rounded(number * stair)


@dataclass(frozen=True, slots=True)
class Shift(_Changed):
    """A schedule, sooner or later.

    `schedule(max(t + n, 0))`

    Args:
        schedule: what is moved.
        n: updates; positive: begin n steps into the schedule; negative: hold its first value for -n steps. Time ends at
            2**53 - 1 for the schedule too: `t + n` goes no further.

    Raises:
        TypeError, ValueError: no schedule; `n` that is no int within 2**53.

    Also known as: torch `last_epoch=n` at construction (without its traps).

    Example:
        >>> from lrcore import Linear
        >>> Shift(Linear(1.0, 0.0, 4), 2).table(3).tolist()
        [0.5, 0.25, 0.0]
    """

    schedule: Schedule = field(is_schedule)
    n: Duration = field(updates(None, also=()), duration="place")

    def _lower(self, rows: Rows) -> int:
        return row(rows, "SHIFT", span=self.n, children=[rows.place_of(self.schedule)])

    def _length(self, scale: float) -> int | None:
        inner = self.schedule._length(scale)
        moved = scaled(abs(self.n), scale)
        return inner if inner is None else max(0, inner - moved if self.n >= 0 else inner + moved)


@_check.accepts({"type": "number", "minimum": 1e-9, "maximum": 1e9})
def _factor(where: str, given: Any) -> float:
    factor = _check.positive(where, given)
    if not 1e-9 <= factor <= 1e9:
        _check.refuse(where, "a factor between 1e-9 and 1e9", given)
    return factor


@dataclass(frozen=True, slots=True)
class Stretch(_Changed):
    """A schedule, slower or faster: every duration in it times a factor, rounded half up to whole updates.

    `schedule(t / factor)`, with the boundaries of the stretched schedule on whole updates

    Args:
        schedule: what is stretched.
        factor: the factor of every duration, between 1e-9 and 1e9. A duration stays at least one update; the
            `decay_steps` of unbounded decays need not be whole.

    Raises:
        TypeError, ValueError: no schedule; a factor outside of these bounds.

    Also known as: Composer's `scale_schedule_ratio`.

    Example:
        >>> from lrcore import Linear
        >>> Stretch(Linear(1.0, 0.0, 4), 0.5).table(3).tolist()
        [1.0, 0.5, 0.0]
    """

    schedule: Schedule = field(is_schedule)
    factor: float = field(_factor)

    def _lower(self, rows: Rows) -> int:
        return row(rows, "STRETCH", self.factor, children=[rows.place_of(self.schedule)])

    def _length(self, scale: float) -> int | None:
        return self.schedule._length(bounded_scale(scale * self.factor))

    def _rounded_durations(self, factor: float) -> Iterator[str]:
        return self.schedule._rounded_durations(factor * self.factor)
