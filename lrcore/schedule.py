"""Schedule: a pure function of the update number, as an immutable value.

A subclass is a frozen dataclass that names its parameters and writes itself as rows of the engine (`_lower`).
Everything else stands here: evaluation at a step, at an array of steps and over a range, the operators and
pickle. The compiled program is a cache in a slot outside of the dataclass' fields: it takes no part in
equality, repr or pickle.
"""

from __future__ import annotations

import numbers
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import Field, FrozenInstanceError, fields
from functools import cache
from os import PathLike
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lrcore import _check
from lrcore._check import END_OF_STEPS
from lrcore._engine import MAX_DEPTH, Program
from lrcore._filling import fill_by_threads, output
from lrcore._rows import Rows, is_whole, rounded
from lrcore.durations import Duration, Run, is_text

if TYPE_CHECKING:
    from lrcore import compose
    from lrcore._engine import Row
    from lrcore._origin import Origin
    from lrcore._record import Record

LAST_STEP = END_OF_STEPS - 1

_check_start = _check.whole(0, LAST_STEP, "a step")
_check_count = _check.whole(0, END_OF_STEPS, "a number of steps")
_check_threads = _check.whole(1, 1024, "a number of threads")


class RoundingWarning(UserWarning):
    """A stretched duration was not a whole number of updates, and was rounded."""


class Schedule(ABC):
    """A learning rate as a pure function of the number of updates already done.

    The first update uses `schedule(0)`. A schedule is a value: it compares and hashes by its parameters,
    `repr` gives the expression that builds it, and it can be pickled, copied and shared between threads and
    processes.

    Example:
        >>> from lrcore import Cosine, Linear
        >>> schedule = Linear(0.0, 0.1, 100) >> Cosine(0.1, 0.0, 900)
        >>> schedule(0), schedule(50), schedule(100), schedule(1000)
        (0.0, 0.05, 0.1, 0.0)
        >>> schedule.table(1000).shape
        (1000,)
    """

    __slots__ = ("_depth", "_is_late", "_origin", "_program", "_steps_per_epoch")

    _depth: int
    _is_late: bool  # whether a duration, here or below, has a unit
    _program: Program
    _steps_per_epoch: int  # only on what `bind` gave
    _origin: Origin  # only on what a dialect gave

    # numpy leaves `array * schedule` to __rmul__, instead of multiplying by each element.
    __array_ufunc__ = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__setattr__" in cls.__dict__:  # a frozen dataclass with slots words its refusal for its own class alone
            cls.__setattr__ = cls.__delattr__ = Schedule._refuse_change  # type: ignore[assignment]

    def _refuse_change(self, name: str, *_value: object) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__}.{name}: expected no change, a schedule is a value")

    def __post_init__(self) -> None:
        name = type(self).__name__
        waits = False
        for item in _fields(type(self)):
            given = item.metadata["check"](f"{name}.{item.name}", getattr(self, item.name))
            object.__setattr__(self, item.name, given)
            waits = waits or (item.metadata["duration"] != "" and _has_text(given))
        if not waits:
            self._validate()
        object.__setattr__(self, "_is_late", waits or any(child._is_late for child in self._children()))
        depth = 1 + max((child._depth for child in self._children()), default=0)
        if depth > MAX_DEPTH:
            raise ValueError(f"{name}: expected at most {MAX_DEPTH} nested schedules, got {depth}")
        object.__setattr__(self, "_depth", depth)

    # ---- What a subclass says of itself ----

    def _validate(self) -> None:
        """Checks that need more than one field, each of which has been checked already, and durations in updates."""

    def _own_durations(self) -> Iterator[tuple[str, Duration]]:
        """The durations of this node itself, each with its name."""
        for item in _fields(type(self)):
            if item.metadata["duration"]:
                name, given = f"{type(self).__name__}.{item.name}", getattr(self, item.name)
                yield from (
                    ((f"{name}[{at}]", one) for at, one in enumerate(given))
                    if isinstance(given, tuple)
                    else ((name, given),)
                )

    def _children(self) -> tuple[Schedule, ...]:
        return ()

    @abstractmethod
    def _lower(self, rows: Rows) -> int:
        """Appends this node's row, after those of its children, and returns its place."""

    @abstractmethod
    def _length(self, scale: float, /) -> int | None:
        """`length`, with every duration multiplied by `scale` and rounded as in _nodes.h."""

    # ---- Evaluation ----

    @property
    def length(self) -> int | None:
        """Updates until the value holds for ever, or None if it never does.

        Example:
            >>> from lrcore import Cosine, Cycle
            >>> Cosine(0.1, 0.0, 100).length, Cycle(Cosine(0.1, 0.0, 100), 100).length
            (100, None)
        """
        self._require_bound()
        return self._length(1.0)

    def _require_bound(self) -> None:
        if self._is_late:
            from lrcore import binding

            raise binding.unbound(self)

    def _rows(self) -> list[Row]:
        """The rows of the engine, children before parents and this node last."""
        self._require_bound()
        rows = Rows()
        rows.place_of(self)
        return rows.listed

    def _compiled(self) -> Program:
        try:
            return self._program
        except AttributeError:
            program = Program(self._rows())
            object.__setattr__(self, "_program", program)
            return program

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: NDArray[Any]) -> NDArray[np.float64]: ...

    def __call__(self, step: int | ArrayLike) -> float | NDArray[np.float64]:
        """The learning rate of the update that follows `step` updates.

        Args:
            step: an int in [0, 2**53), or an array of such ints: any shape, any integer dtype, any strides.

        Returns:
            A float for an int; for an array a float64 array of its shape.

        Raises:
            TypeError: a bool, a float or another type that is not an integer.
            ValueError: a step below 0 or not below 2**53.
        """
        if type(step) is int:
            try:
                return self._program.value(step)
            except (
                AttributeError,
                ValueError,
                OverflowError,
            ):  # not compiled yet, or outside of the range: see below
                pass
        if isinstance(step, (np.ndarray, list, tuple)) or (hasattr(step, "__array__") and not np.isscalar(step)):
            return self._at(_check.array("step", step, "iu", "integers"))
        return self._compiled().value(_check_start("step", step))

    def _at(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        if steps.size and not (0 <= steps.min() and steps.max() <= LAST_STEP):
            raise ValueError(f"step: expected 0 <= step < 2**53, got steps from {steps.min()} to {steps.max()}")
        values = np.empty(steps.shape, np.float64)
        flat = np.ascontiguousarray(steps, np.int64).reshape(-1)
        if flat.size:
            self._compiled().take(flat, values.reshape(-1))
        return values

    def table(
        self,
        n: int,
        start: int = 0,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        threads: int = 1,
    ) -> NDArray[Any]:
        """The values of the steps start, start + 1, ..., start + n - 1.

        Args:
            n: how many, >= 0; `start + n` may not exceed 2**53.
            start: the first step.
            dtype: "float64" (default) or "float32", which is the float64 value rounded once.
            out: a C-contiguous, writable array of shape (n,) and one of these dtypes, to write into.
            threads: how many threads share the work (at most as many as there are cores help).

        Returns:
            `out`, or a new array.

        Raises:
            TypeError, ValueError: an argument outside of what is said above.

        Example:
            >>> from lrcore import Linear
            >>> Linear(1.0, 0.0, 4).table(6).tolist()
            [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
        """
        n = _check_count("n", n)
        start = _check_start("start", start)
        if start + n > END_OF_STEPS:
            _check.refuse("n", f"start + n <= 2**53 with start = {start}", n)
        values = output(n, dtype, out)
        threads = _check_threads("threads", threads)
        if n == 0:
            return values
        if threads == 1:
            self._compiled().fill(start, values)
        else:
            fill_by_threads(self._compiled(), start, values, threads)
        return values

    def save_table(
        self,
        path: str | PathLike[str],
        n: int,
        *,
        start: int = 0,
        dtype: DTypeLike = "float64",
        threads: int = 1,
        progress: bool | None = None,
    ) -> Record:
        """Writes the values of the steps start, ..., start + n - 1 to a file: see `lrcore.tables.save_table`.

        Example:
            >>> import tempfile
            >>> from lrcore import Linear, open_table
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     record = Linear(1.0, 0.0, 4).save_table(f"{folder}/lr.npy", 5)
            ...     open_table(f"{folder}/lr.npy").table(5).tolist()
            [1.0, 0.75, 0.5, 0.25, 0.0]
        """
        from lrcore import tables

        return tables.save_table(self, path, n, start=start, dtype=dtype, threads=threads, progress=progress)

    # ---- Description ----

    def to_dict(self) -> dict[str, Any]:
        """The schedule as plain data, for JSON, TOML or YAML: see `lrcore.spec`.

        Example:
            >>> from lrcore import Linear, from_dict
            >>> Linear(0.0, 0.1, "5ep").to_dict()
            {'lrcore': 1, 'type': 'Linear', 'init_value': 0.0, 'end_value': 0.1, 'steps': '5ep'}
            >>> from_dict({"type": "Linear", "init_value": 0, "end_value": 0.1, "steps": "5ep"})
            Linear(init_value=0.0, end_value=0.1, steps='5ep')
        """
        from lrcore import spec

        return spec.to_dict(self)

    def fingerprint(self) -> str:
        """The SHA-256 of the canonical form of `to_dict()`: equal schedules have equal fingerprints, everywhere.

        Example:
            >>> from lrcore import Linear
            >>> Linear(0, 1, 10).fingerprint() == Linear(0.0, 1.0, "10 updates").fingerprint()
            True
        """
        from lrcore import spec

        return spec.fingerprint(self)

    def plot(self, n: int | None = None, ax: Any = None, **options: Any) -> Any:
        """A picture of the first n updates by matplotlib: see `lrcore.plot`, which also draws several schedules.

        Args:
            n: how many updates; None: all of a schedule that ends, and a little more.
            ax: matplotlib axes to draw into; None: a new figure.
            options: of `lrcore.plot`.

        Returns:
            The axes.

        Example:
            >>> from lrcore import Cosine
            >>> axes = Cosine(0.1, 0.0, 1000).plot()
        """
        from lrcore import plotting

        return plotting.plot(self, n, ax, **options)

    def _repr_html_(self) -> str:
        from lrcore import plotting

        return plotting.html_of(self)

    def replan(self, at: int, total_steps: int, keep: str = "value", *, n: int | None = None) -> Schedule:
        """Another length for a run that has already done `at` updates: see `lrcore.replanning.replan`.

        Example:
            >>> from lrcore import Linear
            >>> Linear(1.0, 0.0, 4).replan(at=2, total_steps=6).table(7).tolist()
            [1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0]
        """
        from lrcore import replanning

        return replanning.replan(self, at, total_steps, keep, n=n)

    # ---- Durations with units ----

    @property
    def is_bound(self) -> bool:
        """Whether every duration is in updates, so that the schedule can be evaluated.

        Example:
            >>> from lrcore import Linear
            >>> Linear(0.0, 0.1, 500).is_bound, Linear(0.0, 0.1, "5ep").is_bound
            (True, False)
        """
        return not self._is_late

    @property
    def steps_per_epoch(self) -> int | None:
        """Updates per epoch, if `bind` was told: for reading only, no part of the value (nor of its pickle)."""
        return getattr(self, "_steps_per_epoch", None)

    @property
    def origin(self) -> Origin | None:
        """Which schedule of another library this is, if a dialect made it: for reading only, no part of the value.

        It stays with the schedule in whatever that is put into, when it is bound, pickled and written as a spec.

        Example:
            >>> from lrcore.dialects import torch
            >>> torch.StepLR(0.1, step_size=30).origin
            Origin(peer='torch.StepLR', strict=False, names=None)
        """
        return getattr(self, "_origin", None)

    def bind(
        self,
        *,
        total_steps: int | None = None,
        steps_per_epoch: int | None = None,
        tokens_per_step: int | None = None,
        samples_per_step: int | None = None,
        micro_batches_per_update: int = 1,
        world_size: int = 1,
    ) -> Schedule:
        """The schedule in updates: durations with units become what they come to in a run.

        | duration | updates |
        |---|---|
        | `"30%"` | of the run: `total_steps * 0.3` |
        | `"5ep"` | `steps_per_epoch * 5` |
        | `"2e9tok"`, `"1e6samples"` | `2e9 / tokens_per_step`, `1e6 / samples_per_step` |
        | `"rest"` | to the end of the run, of the part of a sequence or of the cycle that it stands in |

        What is not whole is rounded half up (a length to 1 at least), each by itself, and a `RoundingWarning` says
        which. Ints are updates already and stay.

        A step, in these arguments, is what a plain loop on one device counts: one micro-batch. With gradient
        accumulation or several processes an update takes `micro_batches_per_update * world_size` of them, so pass the
        length of the loader as it is before it is split over the processes, and tokens or samples of one micro-batch.
        The last update of an epoch may take fewer, as in Lightning, Accelerate and Transformers.

        Args:
            total_steps: micro-batches of the run: updates, without accumulation and on one process.
            steps_per_epoch: micro-batches of an epoch.
            tokens_per_step: tokens of a micro-batch.
            samples_per_step: samples of a micro-batch.
            micro_batches_per_update: steps of gradient accumulation.
            world_size: processes that share the data.

        Raises:
            UnboundError: (a ValueError) a unit without the argument that it needs; all are named.
            TypeError, ValueError: an argument that is no int >= 1; a "rest" with nothing left, or two that share it;
                places that no longer increase.

        Also known as: Composer's time strings, Lightning's `estimated_stepping_batches`, HF `warmup_ratio`.

        Example:
            >>> from lrcore import Cosine, Linear
            >>> schedule = Linear(0.0, 0.1, "2ep") >> Cosine(0.1, 0.0, "rest")
            >>> schedule.bind(total_steps=1000, steps_per_epoch=50)
            Sequence(parts=((Linear(init_value=0.0, end_value=0.1, steps=100), 100),
                            Cosine(init_value=0.1, end_value=0.0, steps=900)))
            >>> schedule.bind(total_steps=1000, steps_per_epoch=50, micro_batches_per_update=2, world_size=5).length
            100
        """
        from lrcore import binding

        run = Run(total_steps, steps_per_epoch, tokens_per_step, samples_per_step, micro_batches_per_update, world_size)
        return binding.bound(self, run)

    def _with_hints(self, *, steps_per_epoch: int | None = None, origin: Origin | None = None) -> Schedule:
        """The same value, which also knows what it was bound to or converted from."""
        copy = object.__new__(type(self))
        for name in (name for node in type(self).__mro__ for name in getattr(node, "__slots__", ())):
            if hasattr(self, name):
                object.__setattr__(copy, name, getattr(self, name))
        for name, hint in {"_steps_per_epoch": steps_per_epoch, "_origin": origin}.items():
            if hint is not None:
                object.__setattr__(copy, name, hint)
        return copy

    # ---- Composition ----

    def __rshift__(self, after: Schedule | float) -> compose.Sequence:
        """This schedule for its length, then another from its own step 0."""
        from lrcore.compose import then

        return then(self, after)

    def __mul__(self, other: Schedule | float) -> Schedule:
        from lrcore.compose import times

        return times(self, other) if _is_operand(other) else NotImplemented

    def __rmul__(self, factor: float) -> Schedule:
        return self * factor

    def __add__(self, other: Schedule | float) -> Schedule:
        from lrcore.compose import plus

        return plus(self, other) if _is_operand(other) else NotImplemented

    def __radd__(self, other: float) -> Schedule:
        return self + other

    def clip(self, min: float | None = None, max: float | None = None) -> compose.Clip:
        """The values, none below `min` and none above `max` (None: no bound on that side).

        Example:
            >>> from lrcore import Linear
            >>> Linear(1.0, 0.0, 10).clip(0.2, 0.9).table(4).tolist()
            [0.9, 0.9, 0.8, 0.7]
        """
        from lrcore.compose import Clip

        return Clip(self, min, max)

    def staircase(self, every: Duration) -> compose.Staircase:
        """The value at the last multiple of `every`: a schedule in epochs, say, that changes only between
        them.

        Example:
            >>> from lrcore import Linear
            >>> Linear(1.0, 0.0, 4).staircase(2).table(5).tolist()
            [1.0, 1.0, 0.5, 0.5, 0.0]
        """
        from lrcore.compose import Staircase

        return Staircase(self, every)

    def shift(self, n: Duration) -> compose.Shift:
        """The schedule as it stands n steps later: `a.shift(n)(t) == a(t + n)`; a negative n holds a(0)
        first.

        Example:
            >>> from lrcore import Linear
            >>> Linear(1.0, 0.0, 4).shift(1)(0), Linear(1.0, 0.0, 4).shift(-2).table(4).tolist()
            (0.75, [1.0, 1.0, 1.0, 0.75])
        """
        from lrcore.compose import Shift

        return Shift(self, n)

    def stretch(self, factor: float) -> compose.Stretch:
        """Every duration times `factor`, rounded half up to whole updates.

        A `RoundingWarning` says which durations were not whole.

        Example:
            >>> from lrcore import Linear
            >>> Linear(1.0, 0.0, 4).stretch(2).table(9).tolist()
            [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]
        """
        from lrcore.compose import Stretch

        stretched = Stretch(self, factor)
        rounded = [] if self._is_late else list(self._rounded_durations(stretched.factor))
        if rounded and stretched.factor != 1.0:
            warnings.warn(f"stretch({factor}) rounds {', '.join(rounded)}", RoundingWarning, stacklevel=2)
        return stretched

    def warmup(self, steps: Duration, init_value: float = 0.0) -> Schedule:
        """A linear rise from `init_value` to the first value, over `steps` updates, before this schedule
        begins.

        With `steps=0` there is no warm-up, and the schedule itself comes back.

        Example:
            >>> from lrcore import Cosine
            >>> Cosine(1.0, 0.0, 2).warmup(2).table(6).tolist()
            [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
        """
        from lrcore.recipes import warmup

        return warmup(self, steps, init_value)

    def _rounded_durations(self, factor: float) -> Iterator[str]:
        """Each duration of this tree that `factor` does not make whole, as 'Name.field 10 to 3 (3.3)'."""
        for item in _fields(type(self)):
            if item.metadata["duration"] not in ("span", "place"):
                continue
            given = getattr(self, item.name)
            least = int(item.metadata["duration"] == "span")
            for duration in given if isinstance(given, tuple) else (given,):
                exact = duration * factor
                if not is_whole(exact):
                    kept = max(least, rounded(abs(exact))) * (1 if exact > 0 else -1)
                    yield f"{type(self).__name__}.{item.name} {duration} to {kept} ({exact:.12g})"
        for child in self._children():
            yield from child._rounded_durations(factor)

    # ---- Being a value ----

    def __reduce__(self) -> tuple[Any, ...]:
        call = type(self), tuple(getattr(self, item.name) for item in _fields(type(self)))
        return call if self.origin is None else (_with_origin, (*call, self.origin))

    def __copy__(self) -> Schedule:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Schedule:
        return self


def _with_origin(node: type[Schedule], arguments: tuple[Any, ...], origin: Origin) -> Schedule:
    """A pickled schedule that was converted."""
    return node(*arguments)._with_hints(origin=origin)


def _has_text(given: object) -> bool:
    return any(map(_has_text, given)) if isinstance(given, tuple) else is_text(given)


@cache
def _fields(node: type) -> tuple[Field[Any], ...]:
    return fields(node)


def _is_operand(other: object) -> bool:
    return isinstance(other, (Schedule, numbers.Real)) and not isinstance(other, bool)


def is_schedule(where: str, given: object) -> Schedule:
    """A check: a schedule, or a number for a constant one."""
    if isinstance(given, Schedule):
        return given
    if not _is_operand(given):
        _check.refuse(where, "a schedule or a number", given, TypeError)
    from lrcore.curves import Constant

    return Constant(_check.value(where, given))
