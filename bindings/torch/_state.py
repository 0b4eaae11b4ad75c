"""The state of a Scheduler in a checkpoint: what it writes, and how a state of another schedule is told apart."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from typing import Any

import lrcore
from lrcore import Schedule, _check
from lrcore.bindings.torch._driven import Driven
from lrcore.schedule import LAST_STEP

LONGEST_SPEC = (
    4096  # characters of the schedules in JSON that a checkpoint carries; of longer ones the fingerprint only
)
NEEDED = ("last_epoch", "fingerprint")

_steps_done = _check.whole(-1, LAST_STEP, "the number of steps done")
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
    group_lrs: list[float] | None

    def updates_as(self, step_scale: int) -> int:
        """`last_epoch` of as many updates, for a scheduler that is stepped another number of times an update."""
        if step_scale == self.step_scale:
            return self.last_epoch
        return self.last_epoch // self.step_scale * step_scale


def identity(driven: Driven) -> dict[str, Any]:
    """What tells schedules apart: their specs, unless they are long, and a fingerprint of them all."""
    specs = {name: [schedule.to_dict() for schedule in schedules] for name, schedules in driven.items()}
    prints = {name: [schedule.fingerprint() for schedule in schedules] for name, schedules in driven.items()}
    listed = [one for schedules in prints.values() for one in schedules]
    # Of the learning rate alone its own: what `schedule.fingerprint()` gives and a log may show.
    alone = len(listed) == 1 and "lr" in prints
    fingerprint = listed[0] if alone else hashlib.sha256(json.dumps(prints, sort_keys=True).encode()).hexdigest()
    is_short = len(json.dumps(specs)) <= LONGEST_SPEC
    return {"schedules": specs if is_short else None, "fingerprint": fingerprint}


def read(where: str, state: Any, driven: Driven, ours: dict[str, Any], on_mismatch: str) -> Loaded:
    """A state, if it is one of these schedules with our `identity`, or is to be taken though it is not."""
    if not isinstance(state, dict):
        _check.refuse(where, "a dict", state, TypeError)
    missing = [name for name in NEEDED if name not in state]
    if missing and (on_mismatch == "raise" or "last_epoch" in missing):
        raise ValueError(
            f"{where}: expected a state of lrcore.bindings.torch.Scheduler, got one without {', '.join(missing)}"
        )
    if state.get("fingerprint") != ours["fingerprint"]:
        told = _difference(driven, state)
        if on_mismatch == "raise":
            raise ValueError(f"{where}: {told}")
        warnings.warn(f"{where}: {told}; its position is kept, and the schedule of this one goes on", stacklevel=4)
    lrs = state.get("group_lrs")
    return Loaded(
        last_epoch=_steps_done(f"{where}['last_epoch']", state["last_epoch"]),
        step_scale=_scale(f"{where}['step_scale']", state.get("step_scale", 1)),
        step_count=_count(f"{where}['_step_count']", state.get("_step_count", 1)),
        plateau=state.get("plateau"),
        rests=_check.flag(f"{where}['rests']", state.get("rests", False)),
        group_lrs=None if lrs is None else _rates(f"{where}['group_lrs']", lrs),
    )


def _rates(where: str, given: Any) -> list[float]:
    listed = _check.items(where, given, "rates")
    return [_check.number(f"{where}[{at}]", rate) for at, rate in enumerate(listed)]


def _difference(driven: Driven, state: dict[str, Any]) -> str:
    """Ours and theirs, and where they differ."""
    specs = state.get("schedules")
    if specs is None:
        return f"expected a state of {_shown(driven)}, got one of another schedule"
    theirs: Driven = {
        name: tuple(lrcore.from_dict(spec) for spec in schedules) for name, schedules in dict(specs).items()
    }
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
        return _check.shown(driven["lr"][0]).removesuffix(f" ({type(driven['lr'][0]).__name__})")
    return ", ".join(f"{name}={_check.shown(list(schedules))}" for name, schedules in driven.items())
