"""adopt: a live scheduler of another library as a schedule, which has been compared with it over its run.

No framework is imported: an object is told by the names of its classes. What is stepped or asked is a copy, so the
object, its optimizer and the model stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcore import _check, _livesubjects
from lrcore._check import SMALLEST
from lrcore._livesubjects import Subject
from lrcore._livetorch import UnreadableError
from lrcore.curves import Table
from lrcore.schedule import Schedule

ENDLESS = 1000  # updates that are compared of a schedule without an end, if n does not say otherwise
MOST = 1 << 17  # that are compared, shared by the groups, unless n says otherwise: about a second of torch's time
SUPPORTED = (
    "a torch.optim.lr_scheduler object, a transformers, timm or Megatron scheduler, a Keras LearningRateSchedule, an "
    "optax schedule or another function of the update number"
)

_updates = _check.whole(1, 10**9, "a number of updates")


class AdoptError(ValueError):
    """An object that is no schedule, or of which no schedule could be made without knowing for how many updates."""


@dataclass(frozen=True)
class Adopted:
    """What `adopt` made of an object.

    Attributes:
        schedules: one for each parameter group.
        position: updates done so far, so `schedule(position)` is the learning rate of the next one; 0 for objects that
            do not count (those of Keras, timm and optax).
        verified: the updates over which object and schedules were compared.
        notes: what became a Table and over how many updates, and what the object does that its users may not expect.
    """

    schedules: tuple[Schedule, ...]
    position: int
    verified: range
    notes: tuple[str, ...] = field(default=())

    @property
    def schedule(self) -> Schedule:
        """The schedule of all groups. Raises AdoptError if they differ."""
        if any(schedule != self.schedules[0] for schedule in self.schedules):
            raise AdoptError(f"Adopted.schedule: expected one for all groups, got {len(self.schedules)}: see schedules")
        return self.schedules[0]


def adopt(obj: object, n: int | None = None) -> Adopted:
    """A live scheduler of another library as schedules, one for each parameter group.

    What the object is, is read from its attributes, and compared with what a copy of it does over the rest of its run.
    Where they differ the quirks of the library are tried (`strict=True` of the dialect), and then what the copy did
    becomes a `Table`, as does everything without a closed form (a lambda, a closure). `notes` says so. A class of the
    user is read as the class of torch that it is derived from, and becomes a Table where it does something else.

    Args:
        obj: a torch scheduler with all in it (SequentialLR, ChainedScheduler), one of transformers, timm, Megatron or
            Keras, an optax schedule or any function of the update number. It is not changed, nor is its optimizer.
        n: updates of the run, from its beginning; needed for what has no closed form, and for most periods that are
            not whole (T_max=7.5 of torch, t_initial=7.5 of timm). By default what is read says how long it is, or 1000
            updates are compared; of a run that is over, as many again. A ChainedScheduler lasts as long as the longest
            of what it chains.

    Returns:
        Adopted: `schedules`, `schedule`, `position`, `verified`, `notes`.

    Raises:
        AdoptError: (a ValueError) something else; ReduceLROnPlateau, which follows a metric; what has no closed form,
            without n; an object that itself raises within the run.
        TypeError, ValueError: an n that is no int >= 1.

    Example:
        >>> adopted = adopt(lambda step: 0.5**step, n=3)
        >>> adopted.schedule, adopted.notes
        (Table(values=[1.0, 0.5, 0.25]), ('a function has no closed form: a Table over 3 updates',))
    """
    if n is not None:
        n = _updates("adopt.n", n)
    if isinstance(obj, Schedule):
        return Adopted((obj,), 0, range(0))
    try:
        subject = _livesubjects.subject(obj, n)
    except UnreadableError as error:
        name = obj.__name__ if isinstance(obj, type) else type(obj).__name__
        raise AdoptError(f"adopt: expected {SUPPORTED}, got {name}: {error}") from error
    if subject is None:
        raise AdoptError(f"adopt: expected {SUPPORTED}, got {type(obj).__module__}.{type(obj).__qualname__}")
    return _Adoption(subject, n).result()


@dataclass
class _Adoption:
    subject: Subject
    n: int | None
    notes: list[str] = field(default_factory=list)

    def result(self) -> Adopted:
        subject = self.subject
        read = self._readings()
        if self.n is None and any(reading.schedule is None for reading in read):
            self.n = subject.lasts()
            read = self._readings() if self.n is not None else read
        stop = self._stop(read)
        steps = subject.compared(subject.position, stop)
        trace = subject.observe(steps)
        steps = steps[: len(trace.rates)]
        if trace.error is not None:
            stop = subject.position + len(trace.rates)
            self.notes.append(f"the object itself raises at update {stop}, {trace.error!r}: compared up to there")
        schedules = tuple(
            self._settled(group, read[group], steps, trace.rates[:, group], stop, trace.error)
            for group in range(subject.groups)
        )
        notes = tuple(dict.fromkeys([*subject.notes, *self.notes]))
        return Adopted(schedules, subject.position, range(subject.position, stop), notes)

    def _readings(self) -> list[_Reading]:
        return [_first_reading(self.subject, group) for group in range(self.subject.groups)]

    def _stop(self, read: list[_Reading]) -> int:
        """The end of the updates that are compared."""
        position = self.subject.position
        if self.n is not None:
            return max(self.n, position + 1)
        lengths: list[int | None] = []
        for reading in read:
            if reading.schedule is None:
                raise AdoptError(f"adopt.n: expected for how many updates, got None: {reading.reason}")
            lengths.append(reading.schedule.length)
        known = [length for length in lengths if length is not None]
        stop = max(known, default=0) + 1
        if len(known) < len(lengths):
            stop = position + ENDLESS
        elif stop <= position + 1:  # it is over: one update more would tell nothing of what the object goes on to do
            stop += position if stop > 1 else position + ENDLESS
        most = max(MOST // self.subject.groups, ENDLESS)
        if stop - position > most:
            self.notes.append(f"compared over {most} updates of {stop}: n={stop} compares all")
        return min(stop, position + most)

    def _settled(
        self,
        group: int,
        read: _Reading,
        steps: NDArray[np.int64],
        rates: NDArray[np.float64],
        stop: int,
        error: Exception | None,
    ) -> Schedule:
        """The schedule of a group: as it was read, or with the library's quirks, or a table."""
        schedule, reason, notes = read.schedule, read.reason, read.notes
        if schedule is not None:
            differs = self._difference(schedule, steps, rates, self.subject.tolerance)
            if not differs:
                self._note(group, *notes)
                return schedule
            strict = _read(self.subject, group, strict=True)
            looser = max(self.subject.tolerance, 1e-6)  # torch's recursion loses digits where it turns
            if strict.schedule not in (None, schedule) and not self._difference(strict.schedule, steps, rates, looser):
                self._note(group, *strict.notes)
                return strict.schedule
            reason = reason or f"{self.subject.label} differs from what was read of it, {differs}"
            if self.n is None and schedule.length is None:
                raise AdoptError(f"adopt.n: expected for how many updates, got None: {reason}")
        if error is not None:
            raise AdoptError(f"adopt: {reason}; and the object raises at update {stop}, {error!r}") from error
        return self._tabulated(group, reason, stop)

    def _tabulated(self, group: int, reason: str, stop: int) -> Schedule:
        position = self.subject.position
        rates = self.subject.observe(np.arange(position, stop)).rates[:, group]
        values = np.concatenate([np.full(position, rates[0]), rates])
        held = f", of which those before update {position} are not known and have its value" if position else ""
        self._note(group, f"{reason}: a Table over {stop} updates{held}")
        try:
            return Table(_narrowed(np.where(np.abs(values) < SMALLEST, 0.0, values)))
        except ValueError as error:
            raise AdoptError(f"adopt: {reason}, and its values are no learning rates: {error}") from error

    def _difference(
        self, schedule: Schedule | None, steps: NDArray[np.int64], rates: NDArray[np.float64], tolerance: float
    ) -> str:
        """Where the two first differ by more than what arithmetic loses, or ""."""
        if schedule is None:
            return "unread"
        ours = schedule(steps)
        allowed = tolerance * np.abs(rates) + self.subject.floor * np.abs(rates).max(initial=0.0)
        wrong = ~(np.abs(ours - rates) <= allowed)
        if not wrong.any():
            return ""
        at = int(np.argmax(wrong))
        return f"first at update {steps[at]} ({float(ours[at])!r}, the object has {float(rates[at])!r})"

    def _note(self, group: int, *notes: str) -> None:
        prefix = f"group {group}: " if self.subject.groups > 1 else ""
        self.notes += [prefix + note for note in notes]


class _Reading(NamedTuple):
    """What an object was read as, or why it was not, or not without its quirks."""

    schedule: Schedule | None
    reason: str
    notes: list[str]


def _read(subject: Subject, group: int, *, strict: bool) -> _Reading:
    notes: list[str] = []
    try:
        schedule = subject.read(group, strict, notes)
    except UnreadableError as error:
        return _Reading(None, str(error), notes)
    return _Reading(schedule, "", notes + [f"strict: {quirk}" for quirk in _quirks(schedule) if strict])


def _first_reading(subject: Subject, group: int) -> _Reading:
    """Without quirks, or with them where the dialect takes the arguments only so."""
    plain = _read(subject, group, strict=False)
    if plain.schedule is not None:
        return plain
    strict = _read(subject, group, strict=True)
    if strict.schedule is not None:
        return strict._replace(reason=plain.reason)
    if strict.reason == plain.reason:
        return plain
    again = plain.reason.partition(": ")[0] + ": "  # what cannot be read, which need not be said twice
    return plain._replace(reason=f"{plain.reason}; and with all quirks: {strict.reason.removeprefix(again)}")


def _narrowed(values: NDArray[np.float64]) -> NDArray[Any]:
    """As float32, where nothing is lost by it."""
    single = values.astype(np.float32)
    return single if np.array_equal(single, values) else values


def _quirks(schedule: Schedule) -> Iterator[str]:
    """What was reproduced of the library, here and in what this is made of."""
    if schedule.origin is not None:
        yield from (quirk.what for quirk in schedule.origin.quirks)
    for child in schedule._children():
        yield from _quirks(child)
