"""What torch's SequentialLR and ChainedScheduler really do with what is in them, composed from the parts.

In torch a scheduler does not know its learning rate: it changes the one that it finds in the group, which others have
changed too. A `SequentialLR` undoes the first steps of what is in it, whatever it is, and takes one of them again; so
one within another has made two. Here the schedulers are followed from one event to the next (a milestone; a cosine
that turns), and what goes on between two events is composed: the learning rate then, times what each scheduler
multiplies it with.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lrcore._check import LARGEST, SMALLEST
from lrcore._origin import Origin
from lrcore.compose import Product, Sequence as InSequence
from lrcore.curves import Constant, Piecewise, Polynomial, Table
from lrcore.cycles import Cycle
from lrcore.dialects._dialect import Made
from lrcore.dialects._torchlike import not_tiny
from lrcore.schedule import Schedule

# Those that multiply what they find. All others compute the learning rate from nothing, and overwrite it.
MULTIPLY = (
    *("ConstantLR", "ExponentialLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "PolynomialLR", "StepLR"),
    *("CosineAnnealingLR", "SWALR"),  # what is above their floor
)
MOST_TABULATED = 1 << 17  # updates between two events, of what has no closed form
MOST_EVENTS = 200
FOLLOWED = Origin("torch.SequentialLR", True, ())  # of a Table of what has no closed form


class NoClosedFormError(ValueError):
    """torch gives learning rates, and no schedule of ours does."""


class Leaf:
    """A scheduler with nothing in it: `epoch` updates in its own time, -1 if its first step was undone."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        origin = schedule.origin
        self.arguments: dict[str, Any] = getattr(origin, "arguments", {})
        framework, _, name = origin.peer.partition(".") if origin and self.arguments else ("", "", "")
        self.name = name if framework == "torch" else ""
        self.overwrites = self.name not in MULTIPLY
        self.floor = float(self.arguments.get("swa_lr" if self.name == "SWALR" else "eta_min", 0.0))
        self.base = float(self.arguments.get("base_lr", 0.0))
        self.unit = schedule if self.overwrites else self._unit()
        self.turns = self.name == "CosineAnnealingLR" and self.unit.length is None  # it is strict
        self.epoch = -1

    def _unit(self) -> Schedule:
        """From 1, or the first factor: what is above the floor is a multiple of it."""
        from lrcore.dialects import torch

        floor = {key: 0.0 for key in ("swa_lr", "eta_min") if key in self.arguments}
        made: Schedule = getattr(torch, self.name)(**self.arguments | floor | {"base_lr": 1.0})
        return made

    def leaves(self) -> Iterator[Leaf]:
        """Those that a step reaches."""
        yield self

    def undo(self) -> None:
        if self.name != "SWALR":  # which counts its calls, and they are not undone
            self.epoch -= 1

    def start(self, rate: float) -> float:
        """The first step, by its constructor or by a SequentialLR."""
        self.epoch = 0
        if self.overwrites:
            return self.schedule(0)
        return rate * self.unit(0) if self.floor == 0.0 else self.floor + (rate - self.floor) * self.unit(0)

    def enter(self, rate: float) -> float:
        """At a milestone: by the closed form, if it has one, and else from the learning rate that it finds."""
        self.epoch = 0
        if self.name == "SWALR":
            return self.start(rate)
        if self.name == "MultiplicativeLR":
            return rate * self._factor_at_0()
        if self.name in ("LinearLR", "PolynomialLR") and self.arguments["strict"] and not self.arguments["total_iters"]:
            raise NoClosedFormError(f"torch's {self.name} of no length divides by zero at a milestone")
        if self.name == "ConstantLR" and not self.arguments["total_iters"]:
            return self.base
        return self.schedule(0)

    def step(self, rate: float) -> float:
        self.epoch += 1
        return self.after(rate, self.epoch)

    def advance(self, updates: int) -> None:
        self.epoch += updates

    def until_event(self) -> int | None:
        return None

    def after(self, rate: float, epoch: int) -> float:
        """The learning rate that this makes of another at an epoch."""
        if self.overwrites:
            return self.schedule(epoch)
        if self.turns and (epoch - 1 - self.period) % (2 * self.period) == 0:
            return rate + (self.base - self.floor) * (1.0 - self.unit(1))
        return self.floor + (rate - self.floor) * self._ratio(epoch) if self.floor else rate * self._ratio(epoch)

    @property
    def period(self) -> int:
        """Of a cosine: updates from its top to its floor."""
        return int(self.arguments["T_max"])

    def until_turn(self) -> int | None:
        """Updates until a cosine has begun to rise again, or to fall again from what it then is."""
        if not self.turns:
            return None
        return 2 * self.period - (self.epoch - 1 - self.period) % (2 * self.period)

    def _ratio(self, epoch: int) -> float:
        if epoch == 0:
            return self._ratio_at_0()
        before, now = self.unit(epoch - 1), self.unit(epoch)
        if before == 0.0:  # nothing is left, and what others have put there since stays, or not
            drops = self.name == "StepLR" and epoch % self.arguments["step_size"] == 0
            drops = drops or (self.name == "MultiStepLR" and epoch in self.arguments["milestones"])
            return 0.0 if drops or self.name == "SWALR" else 1.0
        return now / before

    def _ratio_at_0(self) -> float:
        """Of a first step that no constructor makes: as if there had been an update before it."""
        if self.name == "ExponentialLR":
            return self.unit(1)
        if self.name == "PolynomialLR":
            steps = int(self.arguments["total_iters"])
            power = self.arguments["power"]
            return Polynomial(1.0, 0.0, steps + 1, power)(1) if steps and power else 1.0
        if self.name == "CosineAnnealingLR":
            return 1.0 / self.unit(1)  # T_max = 1 turns there
        return self._factor_at_0() if self.name == "MultiplicativeLR" else self.unit(0)

    def _factor_at_0(self) -> float:
        factors = self.arguments["lr_lambda"]
        return float(factors(0))

    @property
    def phase(self) -> int | float:
        """What it goes on to do hangs on this, where it never settles."""
        if self.until_settled() == 0 or self.name == "ExponentialLR":
            return -1
        if self.turns or self.name == "StepLR":
            return self.epoch % (2 * self.period if self.turns else self.arguments["step_size"])
        return self.epoch

    def until_settled(self) -> float:
        """Updates until it changes nothing any more."""
        length = None if self.name in ("StepLR", "ExponentialLR") else self.unit.length  # a gamma of 0 drops again
        return math.inf if length is None else max(length - self.epoch, 0)

    @property
    def stays_at_its_end(self) -> bool:
        """SWALR, which from its end on sets its learning rate at each update."""
        return self.name == "SWALR" and self.until_settled() == 0

    def is_natural(self, rate: float) -> bool:
        """Whether the learning rate is what it would be of this scheduler alone."""
        return math.isclose(rate, self.schedule(self.epoch), rel_tol=1e-12)

    def factors(self) -> Schedule | None:
        """What it multiplies with at each epoch after the first, if that has a closed form."""
        if self.name == "ExponentialLR":
            return Constant(self.arguments["gamma"])
        if self.name == "StepLR":
            return Cycle(InSequence([(self.arguments["gamma"], 1), 1.0]), self.arguments["step_size"])
        if not isinstance(self.unit, Piecewise):
            return None
        places = sorted({place + after for place in self.unit.boundaries for after in (0, 1)})
        return Piecewise(places, [1.0, *(self._ratio(place) for place in places)])


class InOrder:
    """A SequentialLR."""

    def __init__(self, children: Sequence[Node], milestones: Sequence[int]) -> None:
        self.children, self.milestones = children, milestones
        self.epoch = 0

    def construct(self, initial_lr: float) -> float:
        self.undo()
        return self._child().start(initial_lr)

    def _child(self) -> Node:
        return self.children[bisect_right(self.milestones, self.epoch)]

    def leaves(self) -> Iterator[Leaf]:
        yield from self._child().leaves()

    def undo(self) -> None:
        """What is in it: its own count is left as it is."""
        for child in self.children:
            child.undo()

    def start(self, rate: float) -> float:
        """A step like any other, by which it is ahead from now on."""
        return self.step(rate)

    def enter(self, _rate: float) -> float:
        raise NoClosedFormError("torch raises NotImplementedError where a SequentialLR begins at a milestone")

    def step(self, rate: float) -> float:
        self.epoch += 1
        child = self._child()
        return child.enter(rate) if self.epoch in self.milestones else child.step(rate)

    def advance(self, updates: int) -> None:
        self._child().advance(updates)
        self.epoch += updates

    def until_event(self) -> int | None:
        later = [milestone - self.epoch for milestone in self.milestones if milestone > self.epoch]
        inner = self._child().until_event()
        return min([*later, *([] if inner is None else [inner])], default=None)


class AtOnce:
    """A ChainedScheduler."""

    def __init__(self, children: Sequence[Node]) -> None:
        self.children = children

    def leaves(self) -> Iterator[Leaf]:
        for child in self.children:
            yield from child.leaves()

    def undo(self) -> None:
        for child in self.children:
            child.undo()

    def start(self, rate: float) -> float:
        """A step like any other: those that leave their first learning rate as it is do not now."""
        return self.step(rate)

    def enter(self, _rate: float) -> float:
        raise NoClosedFormError("torch raises NotImplementedError where a ChainedScheduler begins at a milestone")

    def step(self, rate: float) -> float:
        for child in self.children:
            rate = child.step(rate)
        return rate

    def advance(self, updates: int) -> None:
        for child in self.children:
            child.advance(updates)

    def until_event(self) -> int | None:
        return min((found for child in self.children if (found := child.until_event()) is not None), default=None)


Node = Leaf | InOrder | AtOnce


class Group:
    """A parameter group, whose learning rate the constructors change one after another, the innermost first."""

    def __init__(self) -> None:
        self.initial_lr: float | None = None
        self.rate = 0.0

    def built(self, schedule: Schedule) -> Node:
        arguments: dict[str, Any] = getattr(schedule.origin, "arguments", {})
        peer = schedule.origin.peer if schedule.origin else ""
        if peer.startswith("torch.") and not arguments:
            raise NoClosedFormError(
                f"a {peer} out of a spec or a pickle has lost its arguments: expected one as called"
            )
        if peer == "torch.SequentialLR":
            children = [self.built(child) for child in arguments["schedulers"]]
            sequence = InOrder(children, arguments["milestones"])
            self.rate = sequence.construct(self.initial_lr or 0.0)
            return sequence
        if peer == "torch.ChainedScheduler":
            return AtOnce([self.built(child) for child in arguments["schedulers"]])
        leaf = Leaf(schedule)
        own = leaf.schedule(0) if leaf.name in ("", "CyclicLR", "OneCycleLR") else leaf.base
        if self.initial_lr is None:
            self.initial_lr = self.rate = own
        elif leaf.name == "OneCycleLR":  # it takes the group's first learning rate for its own
            self.initial_lr = own
        self.rate = leaf.start(self.rate)
        if leaf.name == "CyclicLR":  # its constructor sets its own first learning rate after the first step
            self.rate = self.initial_lr
        return leaf


def in_order(children: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """What torch's SequentialLR gives."""
    group = Group()
    root = InOrder([group.built(child) for child in children], milestones)
    return _followed(root, root.construct(group.initial_lr or 0.0))


def at_once(children: Sequence[Schedule]) -> Schedule:
    """What torch's ChainedScheduler gives."""
    group = Group()
    root = AtOnce([group.built(child) for child in children])
    return _followed(root, group.rate)


def _followed(root: Node, rate: float) -> Schedule:
    """From event to event, until one piece goes on for ever or they repeat."""
    parts: list[tuple[Schedule, int]] = []
    states: list[tuple[Any, float]] = []
    while len(parts) < MOST_EVENTS:
        span = root.until_event()
        leaves = list(root.leaves())
        if span is None:
            phases = [leaf.phase for leaf in leaves]
            since = [at for at, (then, left) in enumerate(states) if then == phases and math.isclose(rate, left)]
            if since:
                return _repeated(parts[: since[0]], parts[since[0] :])
        states.append((None if span else [leaf.phase for leaf in leaves], rate))
        piece, span = _piece(leaves, _kept(rate), span)
        if span is None:
            return InSequence([*_joined(parts), piece]) if parts else piece
        parts.append((piece, span))
        root.advance(span - 1)
        rate = root.step(piece(span - 1))
    raise NoClosedFormError("a cosine that turns again and again beside others has no closed form")


def _repeated(before: list[tuple[Schedule, int]], again: list[tuple[Schedule, int]]) -> Schedule:
    period = sum(steps for _, steps in again)
    round_ = again[0][0] if len(again) == 1 else InSequence([*again[:-1], again[-1][0]])
    return InSequence([*_joined(before), Cycle(round_, period)])


def _joined(parts: list[tuple[Schedule, int]]) -> list[tuple[Schedule, int]]:
    """Tables that follow each other are one."""
    joined: list[tuple[Schedule, int]] = []
    for piece, steps in parts:
        before = joined[-1][0] if joined else None
        if isinstance(before, Table) and isinstance(piece, Table) and before.origin == piece.origin == FOLLOWED:
            joined[-1] = _table([*before.values, *piece.values]), joined[-1][1] + steps
        else:
            joined.append((piece, steps))
    return joined


def is_followed(schedule: Schedule) -> bool:
    """Whether this is a Table of what torch did, within others or as all that there is of a SequentialLR."""
    return isinstance(schedule, Table) and schedule.origin is not None and schedule.origin[:2] == FOLLOWED[:2]


def _piece(leaves: list[Leaf], rate: float, span: int | None) -> tuple[Schedule, int | None]:
    """What goes on from a learning rate, and for how long, at most `span` updates."""
    at = max((at for at, leaf in enumerate(leaves) if leaf.overwrites or leaf.stays_at_its_end), default=-1)
    rest = [leaf for leaf in leaves[at + 1 :] if leaf.until_settled() > 0]
    if at >= 0:
        return _overwritten(leaves[at], rest, rate, span)
    if not rest:
        return Constant(rate), span
    if len(rest) == 1 and rest[0].is_natural(rate):
        return _from(rest[0].schedule, rest[0].epoch), span
    if len(rest) > 1 and any(leaf.floor for leaf in rest):
        return _tabulated(rest, rate, span)
    turn = min((found for leaf in rest if (found := leaf.until_turn()) is not None), default=None)
    if turn is not None and (span is None or span > turn):
        span = turn
    return _multiplied(rest, rate), span


def _multiplied(leaves: list[Leaf], rate: float) -> Schedule:
    """A learning rate, and how many times as much of what is above the floor there is at each update later."""
    floor = leaves[0].floor  # 0 of all, or there is one
    now = math.prod(leaf.unit(leaf.epoch) for leaf in leaves)
    if now == 0.0 and rate != 0.0 and any(leaf.arguments.get("gamma") == 0.0 for leaf in leaves):
        raise NoClosedFormError("a learning rate that is made 0 again and again has no closed form")
    if now == 0.0 or rate == floor:
        return Constant(rate)
    if not SMALLEST <= abs(now) <= LARGEST:
        raise NoClosedFormError("factors that multiply to less than a learning rate may be have no closed form")
    starting = all(leaf.epoch == 0 and leaf.base == leaves[0].base for leaf in leaves)
    if starting and leaves[0].base and math.isclose(rate, leaves[0].base * now, rel_tol=1e-12):
        return product(leaves[0].base, [leaf.schedule for leaf in leaves])
    units = [_from(leaf.unit, leaf.epoch) for leaf in leaves]
    scaled = (rate - floor) / now * (Product(units) if len(units) > 1 else units[0])
    return scaled + floor if floor else scaled


def product(base_lr: float, schedules: Sequence[Schedule]) -> Schedule:
    """Schedules that are multiples of one learning rate, as multiples of it."""
    first, *others = schedules
    return Product([first, *(1.0 / base_lr * schedule for schedule in others)]) if others else first


def _overwritten(leaf: Leaf, rest: list[Leaf], rate: float, span: int | None) -> tuple[Schedule, int | None]:
    """Of those after the last that overwrites, only the factor of the moment is left at each update."""
    factors = [None if other.floor else other.factors() for other in rest]
    if None in factors:
        return _tabulated([leaf, *rest], rate, span)
    body = _from(leaf.schedule, leaf.epoch)
    moved = [_from(factor, other.epoch) for factor, other in zip(factors, rest, strict=True) if factor is not None]
    if moved:
        body = Product([body, *moved])
    if math.isclose(rate, body(0), rel_tol=1e-12):
        return body, span
    return InSequence([(rate, 1), body.shift(1)]), span


def _tabulated(leaves: list[Leaf], rate: float, span: int | None) -> tuple[Schedule, int | None]:
    """What has no closed form, until one of them has settled: then there may be one."""
    settle = min((left for leaf in leaves if (left := leaf.until_settled()) > 0), default=math.inf)
    steps = min(settle, math.inf if span is None else span)
    if steps > MOST_TABULATED:
        raise NoClosedFormError(f"{', '.join(leaf.name for leaf in leaves)} at once have no closed form")
    values = [rate]
    for ahead in range(1, int(steps)):
        for leaf in leaves:
            rate = leaf.after(rate, leaf.epoch + ahead)
        values.append(rate)
    return _table(values), int(steps)


def _table(values: Sequence[float]) -> Schedule:
    return Table(not_tiny(np.array(values)))._with_hints(origin=FOLLOWED)


def _from(schedule: Schedule, epoch: int) -> Schedule:
    return schedule.shift(epoch) if epoch else schedule


def _kept(rate: float) -> float:
    """A learning rate that is none any more is 0."""
    return 0.0 if abs(rate) < SMALLEST else rate


# ---- Which quirks the schedulers within meet ----

COMPOSED = ("SequentialLR", "ChainedScheduler")
GO_ON = ("SWALR", "MultiplicativeLR")


def is_one_of(schedule: Schedule, *names: str) -> bool:
    """Whether it is one of these schedulers of torch."""
    return schedule.origin is not None and schedule.origin.peer in {f"torch.{name}" for name in names}


def _within(schedules: Sequence[Schedule]) -> Iterator[Schedule]:
    """The schedulers that are composed, at any depth, in the order in which they are constructed."""
    for schedule in schedules:
        inner = getattr(schedule.origin, "arguments", {}) if is_one_of(schedule, *COMPOSED) else {}
        yield from _within(inner["schedulers"]) if inner else (schedule,)


def goes_on(made: Made) -> bool:
    """Whether what goes on from what it finds finds anything but its base_lr, at one of the milestones."""
    schedulers, milestones = made["schedulers"], made["milestones"]
    entries = zip(milestones, schedulers[1:], strict=False)
    if any(made.differs_at(at) for at, later in entries if is_one_of(later, *GO_ON)):
        return True
    inner = [schedule for schedule in schedulers if is_one_of(schedule, "SequentialLR")]
    return any(is_one_of(each, *GO_ON) for one in inner for each in list(_within([one]))[1:])


def is_rebased(schedules: Sequence[Schedule]) -> bool:
    """Whether the first scheduler begins from the learning rate of a OneCycleLR after it."""
    first, *others = _within(schedules)
    leaf = Leaf(first)
    cycles = [other for other in others if is_one_of(other, "OneCycleLR")]
    return bool(cycles) and not leaf.overwrites and cycles[-1](0) != leaf.base


def overwrites(schedule: Schedule) -> bool:
    """Whether it computes its learning rate from nothing, at each update or at a milestone."""
    return is_one_of(schedule, "SequentialLR") or any(Leaf(leaf).overwrites for leaf in _within([schedule]))


def has_floor(schedule: Schedule) -> bool:
    """Whether a part of it stays as it is when others scale it, or rises from it again."""
    leaves = [Leaf(leaf) for leaf in _within([schedule])]
    return any(leaf.floor != 0.0 or leaf.turns for leaf in leaves)
