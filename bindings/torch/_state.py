"""The state of a Scheduler in a checkpoint: what it writes, and how a state of another schedule is told apart."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import lrcore
from lrcore import Schedule, _check
from lrcore.bindings.torch._driven import Driven
from lrcore.schedule import LAST_STEP

LONGEST_STATE = 850  # characters of JSON, of a state with its schedules; a longer one has their fingerprint only
NEEDED = ("last_epoch", "fingerprint")

# Below 0 it waits for its turn in a SequentialLR of torch, which counts down once more at each level of nesting.
_steps_done = _check.whole(-64, LAST_STEP, "the number of steps done")
_count = _check.whole(0, LAST_STEP, "a number of steps")
_scale = _check.whole(1, 2**31, "how often step() is called an update")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A state that has been checked."""

    last_epoch: int
    step_scale: int
    step_count: int
    plateau: dict[str, Any] | None
    rests: bool
    values: list[float] | None

    def updates_as(self, step_scale: int) -> int:
        """`last_epoch` of as many updates, for a scheduler that is stepped another number of times an update."""
        if step_scale == self.step_scale:
            return self.last_epoch
        return self.last_epoch // self.step_scale * step_scale


def identity(driven: Driven, groups: tuple[int, ...] | None) -> dict[str, Any]:
    """What tells schedules apart: their specs, and a fingerprint of them all."""
    told = {name: _without_repeats(schedules) for name, schedules in driven.items()}
    specs = {name: [schedule.to_dict() for schedule in schedules] for name, schedules in told.items()}
    prints = {name: [schedule.fingerprint() for schedule in schedules] for name, schedules in told.items()}
    # Of the learning rate alone its own: what `schedule.fingerprint()` gives and a log may show.
    if groups is None and [*prints] == ["lr"] and len(prints["lr"]) == 1:
        fingerprint = prints["lr"][0]
    else:
        text = json.dumps([prints, groups], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
    return {"schedules": specs, "fingerprint": fingerprint}


def within_limit(state: dict[str, Any]) -> dict[str, Any]:
    """A state that stays small: without the schedules, if these are long."""
    return {**state, "schedules": None} if len(json.dumps(state)) > LONGEST_STATE else state


def runs(values: list[float]) -> list[list[float]]:
    """Values one after another as [value, how many]: groups mostly have the same."""
    return [[value, len(list(same))] for value, same in groupby(values)]


def _without_repeats(schedules: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
    """A list whose last schedules are equal says no more than one that ends with the first of them."""
    end = len(schedules)
    while end > 1 and schedules[end - 2] == schedules[-1]:
        end -= 1
    return schedules[:end]


def read(where: str, state: Any, driven: Driven, ours: dict[str, Any], on_mismatch: str) -> Loaded:
    """A state, if it is one of these schedules with our `identity`, or is to be taken though it is not."""
    if not isinstance(state, dict):
        _check.refuse(where, "a dict", state, TypeError)
    missing = [name for name in NEEDED if name not in state]
    if missing and (on_mismatch == "raise" or "last_epoch" in missing):
        raise ValueError(
            f"{where}: expected a state of lrcore.bindings.torch.Scheduler, got one without {', '.join(missing)}"
        )
    is_another = state.get("fingerprint") != ours["fingerprint"]
    if is_another:
        told = _difference(driven, state)
        if on_mismatch == "raise":
            raise ValueError(f"{where}: {told}")
        warnings.warn(f"{where}: {told}; its position is kept, and the schedule of this one goes on", stacklevel=4)
    values = state.get("values")
    return Loaded(
        last_epoch=_steps_done(f"{where}['last_epoch']", state["last_epoch"]),
        step_scale=_scale(f"{where}['step_scale']", state.get("step_scale", 1)),
        step_count=_count(f"{where}['_step_count']", state.get("_step_count", 1)),
        plateau=state.get("plateau"),
        rests=_check.flag(f"{where}['rests']", state.get("rests", False)),
        values=None if values is None or is_another else _values(f"{where}['values']", values),
    )


def _values(where: str, given: Any) -> list[float]:
    """Values from their runs; one that is not finite, as a hand may have written, is taken as it is."""
    values: list[float] = []
    for at, run in enumerate(_check.items(where, given, "runs of values")):
        value, count = run if isinstance(run, (list, tuple)) and len(run) == 2 else (None, None)
        if type(value) is not float or type(count) is not int or count < 1:
            _check.refuse(f"{where}[{at}]", "a value and how many there are of it", run)
        values += [value] * count
    return values


def _difference(driven: Driven, state: dict[str, Any]) -> str:
    """Ours and theirs, and where they differ."""
    specs = state.get("schedules")
    if specs is None:
        return f"expected a state of {_shown(driven)}, got one of another schedule"
    try:
        theirs: Driven = {name: tuple(map(lrcore.from_dict, schedules)) for name, schedules in dict(specs).items()}
    except (TypeError, ValueError) as error:
        return f"expected a state of {_shown(driven)}, got one of another schedule, which cannot be read ({error})"
    told = f"expected a state of {_shown(driven)}, got one of {_shown(theirs)}"
    pairs = [(one, other) for name in driven.keys() & theirs for one, other in zip(driven[name], theirs[name])]  # noqa: B905
    for one, other in pairs:
        difference = _compared(one, other)
        if difference:
            return f"{told}\n{difference}"
    return told


def _compared(one: Schedule, other: Schedule) -> str:
    """Where two schedules differ; those that never end, in their first updates."""
    try:
        difference = lrcore.diff(one, other)
    except ValueError:
        difference = lrcore.diff(one, other, 10_000)
    return str(difference) if difference else ""


def _shown(driven: Driven) -> str:
    if [*driven] == ["lr"] and len(driven["lr"]) == 1:
        return _short(driven["lr"][0])
    return ", ".join(f"{name}=[{', '.join(map(_short, schedules))}]" for name, schedules in driven.items())


def _short(schedule: Schedule) -> str:
    return _check.shown(schedule).removesuffix(f" ({type(schedule).__name__})")
