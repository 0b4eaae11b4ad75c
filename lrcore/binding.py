"""Binding: a schedule with durations in units becomes one in updates.

Every duration is bound by itself, but for "rest", which is what its context leaves: the run, or the part of a sequence
or the cycle that it stands in. The room handed down is that context, in updates from the node's own step 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import Field, dataclass, fields, replace
from fractions import Fraction
from functools import singledispatch
from itertools import chain
from typing import Any

from lrcore import _check
from lrcore.compose import Sequence, Shift, Stretch, timed_parts
from lrcore.cycles import Cycle
from lrcore.durations import LENGTH, NEEDS, REST, Run, UnboundError, amount, half_up, is_text
from lrcore.late import Deferred
from lrcore.schedule import RoundingWarning, Schedule

Room = Fraction | None  # None: nobody said how long the run is


def bound(schedule: Schedule, run: Run) -> Schedule:
    """`Schedule.bind`."""
    missing = [(where, text, need) for where, text, need in _needs(schedule) if not _has(run, need)]
    if any(text != REST for _, text, _ in missing):  # the rest of a cycle, or of a part, needs no run
        raise _unbound_error(missing)
    rounded: list[str] = []
    total = run.total_updates
    found = _bound(schedule, _Binder(run, rounded), None if total is None else Fraction(total))
    if rounded:
        warnings.warn(f"bind rounds {', '.join(rounded)}", RoundingWarning, stacklevel=3)
    return found._with_hints(steps_per_epoch=run.updates_per_epoch)


def unbound(schedule: Schedule) -> UnboundError:
    """What to raise where a schedule with units is evaluated."""
    return _unbound_error(list(_needs(schedule)))


def _unbound_error(missing: list[tuple[str, str, str]]) -> UnboundError:
    named = "; ".join(f"{where}: {text!r} needs {need}" for where, text, need in missing)
    wanted = ", ".join(f"{need}=..." for need in dict.fromkeys(need for _, _, need in missing))
    return UnboundError(f"{named}: give it with schedule.bind({wanted})")


def _needs(schedule: Schedule) -> Iterator[tuple[str, str, str]]:
    """Each duration with a unit: where it stands, its text and the argument of `bind` that its unit needs."""
    for where, given in schedule._own_durations():
        if is_text(given) and given != LENGTH:
            said = amount(given)
            yield where, given, NEEDS[said.unit] if said else "total_steps"
    for child in schedule._children():
        yield from _needs(child)


def _has(run: Run, need: str) -> bool:
    return getattr(run, need) is not None


@dataclass(frozen=True)
class _Binder:
    """The run, and a note of each duration that is not whole in it."""

    run: Run
    rounded: list[str]

    def exact(self, where: str, given: Any, room: Room) -> Fraction:
        if not is_text(given):
            return Fraction(given)
        said = amount(given)
        found = self.run.in_updates(said) if said else room
        if found is None:
            raise _unbound_error([(where, given, "total_steps")])
        if not said and found <= 0:
            raise ValueError(f"{where}: expected updates left for {REST!r}, got {float(found):g}")
        return found

    def updates(self, where: str, given: Any, room: Room, least: int | None) -> int:
        """An int, rounded half up, at least `least`."""
        exact = self.exact(where, given, room)
        kept = half_up(exact) if least is None else max(least, half_up(exact))
        if kept != exact:
            self.rounded.append(f"{where} {given!r} = {float(exact):.12g} to {kept}")
        return kept


def _bound(node: Schedule, binder: _Binder, room: Room) -> Schedule:
    """The node in updates; what it was converted from is still known."""
    found = _made(node, binder, room)
    return found if found is node or node.origin is None else found._with_hints(origin=node.origin)


@singledispatch
def _made(node: Schedule, binder: _Binder, room: Room) -> Schedule:
    """Any node whose children live in its own time."""
    return _rebuilt(node, binder, room, room)


@_made.register
def _(node: Cycle, binder: _Binder, room: Room) -> Schedule:
    period = binder.updates("Cycle.period", node.period, room, 1)
    return _rebuilt(replace(node, period=period), binder, room, Fraction(period))


@_made.register
def _(node: Shift, binder: _Binder, room: Room) -> Schedule:
    n = binder.updates("Shift.n", node.n, room, None)
    return _rebuilt(replace(node, n=n), binder, room, None if room is None else room + n)


@_made.register
def _(node: Stretch, binder: _Binder, room: Room) -> Schedule:
    inner = _bound(node.schedule, binder, None if room is None else room / Fraction(repr(node.factor)))
    if not node.is_bound:
        binder.rounded.extend(inner._rounded_durations(node.factor))
    return Stretch(inner, node.factor)


@_made.register
def _(node: Deferred, binder: _Binder, room: Room) -> Schedule:
    """A schedule among the arguments of a recipe comes after the recipe's own durations."""
    durations = {
        name: binder.updates(f"{node.recipe}.{name}", given, room, node.check_of(name).least)  # type: ignore[attr-defined]
        for name, given in node.arguments
        if given is not None and hasattr(node.check_of(name), "least")
    }
    left = None if room is None else room - sum(durations.values())
    schedules = {name: _bound(given, binder, left) for name, given in node.arguments if isinstance(given, Schedule)}
    return node.called(**durations, **schedules)


def _rebuilt(node: Schedule, binder: _Binder, room: Room, inner: Room) -> Schedule:
    """The node with its own durations bound in `room`, and its children in `inner`."""
    if node.is_bound:
        return node

    def item_of(item: Field[Any], where: str, given: Any) -> Any:
        kind = item.metadata["duration"]
        if isinstance(given, Schedule):
            return _bound(given, binder, inner)
        if isinstance(given, tuple):
            return tuple(item_of(item, f"{where}[{at}]", one) for at, one in enumerate(given))
        if kind == "" or not is_text(given):
            return given
        if kind == "time":
            return float(binder.exact(where, given, room))
        return binder.updates(where, given, room, 1 if kind == "span" else None)

    name = type(node).__name__
    return type(node)(*(item_of(item, f"{name}.{item.name}", getattr(node, item.name)) for item in fields(node)))  # type: ignore[arg-type]


# ---- Sequences: one of the parts may take what the others leave ----

Part = tuple[Schedule, Any]


@_made.register
def _(node: Sequence, binder: _Binder, room: Room) -> Schedule:
    if node.is_bound:
        return node
    *timed, last = node.parts
    _check_one_rest(node)
    parts = [[] if _takes_rest(part) else _timed(at, part, binder) for at, part in enumerate(timed)]
    tail = [] if _rests(last) else _last(last, binder, None)
    known = sum(steps for bound_parts in parts for _, steps in bound_parts) + _length_of(tail)
    left = None if room is None else room - known
    for at, part in enumerate(timed):
        if _takes_rest(part):
            parts[at] = _resting(at, part, binder, left)
    return Sequence([*chain(*parts), *(tail or _last(last, binder, left))])


def _timed(at: int, part: Part, binder: _Binder) -> list[Part]:
    """A part whose length does not depend on the others'; one of its own length was joined by `>>`, and is again."""
    schedule, steps = part
    if steps == LENGTH:
        return list(timed_parts(_bound(schedule, binder, None)))
    updates = binder.updates(f"Sequence.parts[{at}][1]", steps, None, 0)
    return [(_bound(schedule, binder, Fraction(updates)), updates)]


def _resting(at: int, part: Part, binder: _Binder, left: Room) -> list[Part]:
    schedule, steps = part
    updates = binder.updates(f"Sequence.parts[{at}][1]", REST, left, 1)
    made = _bound(schedule, binder, Fraction(updates))
    return list(timed_parts(made)) if steps == LENGTH and made.length == updates else [(made, updates)]


def _last(last: Schedule, binder: _Binder, left: Room) -> list[Any]:
    """What stands at the end of the parts, as `>>` would have put it there."""
    made = _bound(last, binder, left)
    return list(made.parts) if isinstance(last, Deferred) and isinstance(made, Sequence) else [made]


def _length_of(tail: list[Any]) -> int:
    return (Sequence(tail).length or 0) if tail else 0


def _takes_rest(part: Part) -> bool:
    schedule, steps = part
    return steps == REST or (steps == LENGTH and _rests(schedule))


def _check_one_rest(node: Sequence) -> None:
    *timed, last = node.parts
    places = [f"parts[{at}]" for at, part in enumerate(timed) if _takes_rest(part)]
    places += [f"parts[{len(timed)}]"] if _rests(last) else []
    if len(places) > 1:
        _check.refuse(f"Sequence.{places[1]}", f"one part with {REST!r}", f"{REST} in {' and '.join(places)} too")


@singledispatch
def _rests(node: Schedule) -> bool:
    """Whether how long a node lasts depends on the room that it is given."""
    return any(given == REST for _, given in node._own_durations()) or any(map(_rests, node._children()))


@_rests.register
def _(node: Sequence) -> bool:
    return any(map(_takes_rest, node.parts[:-1])) or _rests(node.parts[-1])


@_rests.register
def _(node: Cycle) -> bool:
    return bool(node.period == REST)
