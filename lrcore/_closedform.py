"""The walk over the rows of a schedule that writes its closed form in a framework's operations.

(a) At each place stands a family of (row, scale) pairs: those of which one is meant at each step, as the parts of a
    sequence or the cycles of growing length, each of which stretches the inner schedule by a scale of its own. Members
    of one kind are computed together, with gathered parameters (see _closedcurves.py), so the number of operations
    depends on the kinds that occur, not on how many parts there are.
(b) Durations under a scale are computed here, by the same roundings as in _nodes.h; the traced step has only begins,
    lengths and spans, as constants.
(c) Stairs and cycles of one length have begins `rounded(k * unit)`. Where unit is a fraction p/q these repeat after q
    of them, p steps later: a division by p, and a search among q begins.
(d) Constants that no step of its dtype reaches are left out, or cut to the largest step, where a comparison stays
    right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcore._check import END_OF_STEPS
from lrcore._closedcurves import CURVES, MAPS, SAME_CURVE, Family, Node, as_float
from lrcore._engine import KINDS
from lrcore._operations import Operations, Tensor, as_float32
from lrcore._rows import bounded_scale, rounded, scaled
from lrcore.schedule import Schedule

KIND_NAMES = {number: name for name, number in KINDS.items()}
MOST_CONSTANTS = 4_000_000  # of one node: what takes seconds to trace
LONGEST_PATTERN = 1 << 12  # stairs or cycles until their begins repeat


class Member(NamedTuple):
    """A row, under a time scale."""

    row: int
    scale: float


Members = tuple[Member, ...]


class Stages(NamedTuple):
    """Where a step is: in which stage of all the family's, one after another, since when, and how many there were."""

    at: Tensor | None  # None: there is one stage
    local: Tensor
    rounds: Tensor | int  # how often the pattern of begins has repeated


class ClosedForm:
    """A schedule in the operations of a framework."""

    def __init__(self, schedule: Schedule, operations: Operations) -> None:
        self.nodes = [Node._make((KIND_NAMES[row[0]], *row[1:])) for row in schedule._rows()]
        self.ops = operations
        self.last = min(operations.largest_step, END_OF_STEPS - 1)
        self._found: dict[tuple[Members, int, int], tuple[Tensor, Tensor, Tensor]] = {}

    def value(self, step: Tensor) -> Tensor:
        """The values at a tensor of steps."""
        with np.errstate(all="ignore"):  # a family computes at every step, also where another one is meant
            step = self.ops.maximum(step, 0)
            found = self._values((Member(len(self.nodes) - 1, 1.0),), None, step)
            return self._tensor(found, step)

    def _tensor(self, found: Tensor | float, step: Tensor) -> Tensor:
        """A constant, at each step."""
        if isinstance(found, float):
            return self.ops.take(np.array([as_float(found)], dtype=np.float32), self.ops.minimum(step, 0))
        return found

    # ---- Members ----

    def _values(self, members: Members, which: Tensor | None, step: Tensor) -> Tensor | float:
        """The values of the member that `which` says (None: there is one), at steps counted from its begin."""
        key = members, id(which), id(step)
        if key not in self._found:  # what is found keeps both tensors alive, so that no identity is used again
            self._found[key] = self._grouped(members, which, step), which, step
        return self._found[key][0]

    def _grouped(self, members: Members, which: Tensor | None, step: Tensor) -> Tensor | float:
        """Each kind is computed once, as a family."""
        members, which = self._distinct(tuple(map(self._stretched, members)), which)
        groups: dict[tuple[str, int], list[Member]] = {}
        for member in members:
            groups.setdefault(self._form(member), []).append(member)
        if len(groups) == 1:
            return self._family_value(members, which, step)
        forms = {form: number for number, form in enumerate(groups)}
        group = self.ops.take(np.array([forms[self._form(member)] for member in members]), which)
        total: Tensor | float = 0.0
        for number, listed in enumerate(groups.values()):
            places = {member: place for place, member in enumerate(listed)}
            local = self.ops.take(np.array([places.get(member, 0) for member in members]), which)
            found = self._family_value(tuple(listed), local, step)
            total = found if number == 0 else self.ops.where(group > number - 1, found, total)
        return total

    def _stretched(self, member: Member) -> Member:
        node = self.nodes[member.row]
        while node.kind == "STRETCH":
            assert node.children is not None
            member = Member(node.children[0], bounded_scale(member.scale * node.init))
            node = self.nodes[member.row]
        return Member(member.row, 1.0) if node.kind == "CONSTANT" else member

    def _distinct(self, members: Members, which: Tensor | None) -> tuple[Members, Tensor | None]:
        places: dict[Member, int] = {}
        for member in members:
            places.setdefault(member, len(places))
        if len(places) == 1:
            return tuple(places), None
        if len(places) < len(members):
            which = self.ops.take(np.array([places[member] for member in members]), which)
        return tuple(places), which

    def _form(self, member: Member) -> tuple[str, int]:
        """What members have to share to be one family."""
        node = self.nodes[member.row]
        kind = SAME_CURVE.get(node.kind, node.kind)
        if kind == "CYCLE" and node.marks is not None:
            kind = "MARKED CYCLE"
        return kind, len(node.children or ())

    def _family_value(self, members: Members, which: Tensor | None, step: Tensor) -> Tensor | float:
        nodes, scales = [self.nodes[row] for row, _ in members], [scale for _, scale in members]
        family = Family(nodes, scales, which if len(members) > 1 else None, step, self.ops, self.last)
        kind, _ = self._form(members[0])
        if kind in CURVES:
            return CURVES[kind](family)
        if kind in MAPS:
            folded = self._periodic_cosine(family)
            value = self._tensor(self._child(family, 0, step), step) if folded is None else folded
            return MAPS[kind](family, value)
        if kind not in WALKS:
            raise ValueError(f"{kind.split('_')[0].replace('TWISTER', 'NOISE').title()}, which needs the engine")
        return WALKS[kind](self, family)

    def _child(self, family: Family, number: int, step: Tensor) -> Tensor | float:
        """The child of each member, at the same scale."""
        pairs = zip(family.nodes, family.scales, strict=True)
        members = tuple(Member(_children(node)[number], scale) for node, scale in pairs)
        return self._values(members, family.which, step)

    # ---- What combines values ----

    def _combined(self, family: Family) -> Tensor | float:
        total = self._child(family, 0, family.step)
        for number in range(1, len(_children(family.nodes[0]))):
            more = self._child(family, number, family.step)
            total = self._bounded(family, total * more if family.nodes[0].kind == "PRODUCT" else total + more)
        return total

    def _scaled(self, family: Family) -> Tensor | float:
        return self._bounded(family, self._child(family, 0, family.step) * family.inits())

    def _clipped(self, family: Family) -> Tensor | float:
        value = self._tensor(self._child(family, 0, family.step), family.step)
        return self.ops.minimum(self.ops.maximum(value, family.inits()), family.ends())

    def _bounded(self, family: Family, value: Tensor | float) -> Tensor | float:
        return as_float(value) if isinstance(value, float) else family.bounded(value)

    def _periodic_cosine(self, family: Family) -> Tensor | None:
        """The argument of the cosine of a line in [0, 1], folded in integers, or None where it is another function.

        With `init + (end - init) * t / span = (a + b * t) / c` in whole numbers, `(a + b * t) mod 2c` is exact at any
        t; folded it is at most c.
        """
        node, scale = family.nodes[0], family.scales[0]
        if len(family.nodes) > 1 or node.kind != "MAP_COSINE":
            return None
        child = self._stretched(Member(_children(node)[0], scale))
        inner = self.nodes[child.row]
        if inner.kind != "LINE":
            return None
        begin = Fraction(inner.init).limit_denominator(1 << 20)
        rise = (Fraction(inner.end) - Fraction(inner.init)) / Fraction(inner.span * child.scale)
        slope = rise.limit_denominator(1 << 30)
        whole = math.lcm(begin.denominator, slope.denominator)
        first, each = int(begin * whole) % (2 * whole), int(slope * whole) % (2 * whole)
        is_exact = float(begin) == inner.init and abs(slope - rise) * self.last < Fraction(1, 1 << 26)
        if not is_exact or each * (2 * whole - 1) + first > self.last:
            return None
        turn = self._remainder(self._remainder(family.step, 2 * whole) * each + first, 2 * whole)
        folded = self.ops.minimum(turn, 2 * whole - turn)
        return self.ops.float32(folded) * as_float(1.0 / whole)

    def _remainder(self, number: Tensor, by: int) -> Tensor:
        return number - number // by * by

    # ---- What changes time ----

    def _shifted(self, family: Family) -> Tensor | float:
        pairs = zip(family.nodes, family.scales, strict=True)
        shifts = [scaled(int(abs(node.span)), scale) * (1 if node.span >= 0 else -1) for node, scale in pairs]
        step = family.step
        if max(shifts) > 0:
            room = family.ints([self.last - min(max(shift, 0), self.last) for shift in shifts])
            step = self.ops.minimum(step, room)
        step = step + family.ints([max(shift, -self.last) for shift in shifts])
        return self._child(family, 0, self.ops.maximum(step, 0) if min(shifts) < 0 else step)

    def _stairs(self, family: Family) -> Tensor | float:
        pairs = zip(family.nodes, family.scales, strict=True)
        patterns = [_pattern(int(node.span), scale) for node, scale in pairs]
        stages = self._repeated(family, patterns)
        return self._child(family, 0, family.step - stages.local)

    def _data(self, family: Family) -> Tensor:
        """Values of pieces and tables."""
        marks, data = [], []
        for node, scale in zip(family.nodes, family.scales, strict=True):
            assert node.data is not None
            if len(node.data) > MOST_CONSTANTS:
                raise ValueError(f"a table of {len(node.data)} values, more than {MOST_CONSTANTS}")
            begins = np.arange(len(node.data)) if node.marks is None else np.asarray(node.marks)
            marks.append(_scaled_all(begins, scale))
            data.append(as_float32(np.asarray(node.data)))
        if len(data) == 1 and family.nodes[0].marks is None and family.scales[0] == 1.0:
            return self.ops.take(data[0], self.ops.minimum(family.step, min(len(data[0]) - 1, self.last)))
        at = self._search(marks, family.which, family.step)
        return self.ops.take(np.concatenate(data), self._or_first(at, family.step))

    def _sequence(self, family: Family) -> Tensor | float:
        begins: list[NDArray[np.int64]] = []
        members: list[Member] = []
        for node, scale in zip(family.nodes, family.scales, strict=True):
            marks = np.asarray(node.marks)
            begins.append(_scaled_all(marks, scale))
            lengths, own = np.diff(begins[-1]), np.diff(marks)
            scales = (
                [scale] * len(own) if scale == 1.0 else [bounded_scale(ratio) for ratio in (lengths / own).tolist()]
            )
            members.extend(map(Member, _children(node), [*scales, scale]))
        stages = self._staged(family, begins)
        return self._values(tuple(members), stages.at, stages.local)

    # ---- Cycles ----

    def _cycles(self, family: Family) -> Tensor | float:
        """Cycles of one length."""
        pairs = list(zip(family.nodes, family.scales, strict=True))
        patterns = [_pattern(_first_length(node), scale) for node, scale in pairs]
        totals = [
            _total(node, scale, node.count * pattern.steps // pattern.number if scale == 1.0 else None)
            for (node, scale), pattern in zip(pairs, patterns, strict=True)
        ]
        stages = self._repeated(family, patterns)
        starts = np.concatenate([np.arange(pattern.number) for pattern in patterns])
        number = family.ints([pattern.number for pattern in patterns]) * stages.rounds
        if len(starts) > len(patterns):
            number = number + self.ops.take(starts, stages.at)
        lengths = [np.diff(pattern.begins, append=pattern.steps) for pattern in patterns]
        return self._cycled(family, stages, lengths, totals, number)

    def _marked_cycles(self, family: Family) -> Tensor | float:
        """Cycles of growing length."""
        begins, lengths, totals, numbers = [], [], [], []
        for node, scale in zip(family.nodes, family.scales, strict=True):
            marks = _scaled_all(np.asarray(node.marks), scale)
            totals.append(int(marks[-1]) if node.count else None)
            marks = marks[: int(np.searchsorted(marks, self.last, side="right")) + 1]
            begins.append(marks[:-1])
            lengths.append(np.diff(marks))
            numbers.append(np.arange(len(marks) - 1))
        stages = self._staged(family, begins)
        number = self.ops.take(np.concatenate(numbers), self._or_first(stages.at, family.step))
        return self._cycled(family, stages, lengths, totals, number)

    def _cycled(
        self,
        family: Family,
        stages: Stages,
        lengths: list[NDArray[np.int64]],
        totals: list[int | None],
        number: Tensor,
    ) -> Tensor | float:
        """The inner schedule in the stage of a cycle, or at its end, once all cycles are over."""
        at, local = stages.at, self._mirrored(family, stages, lengths)
        members: list[Member] = []
        for node, scale, each in zip(family.nodes, family.scales, lengths, strict=True):
            is_plain = scale == 1.0 and node.marks is None
            ratios = (each / _first_length(node)).tolist()
            members.extend(Member(_children(node)[0], 1.0 if is_plain else bounded_scale(ratio)) for ratio in ratios)
        if any(total is not None for total in totals):
            after = [self.last if total is None else min(total - 1, self.last) for total in totals]
            is_over = family.step > family.ints(after)
            local = self.ops.where(is_over, family.ints([_held_at(node) for node in family.nodes]), local)
            held = family.ints([len(members) + place for place in range(len(family.nodes))])
            members.extend(Member(_children(node)[0], 1.0) for node in family.nodes)
            at = self.ops.where(is_over, held, 0 if at is None else at)
            number = self.ops.minimum(number, family.ints([(node.count or END_OF_STEPS) - 1 for node in family.nodes]))
        value = self._values(tuple(members), at, local)
        if len(_children(family.nodes[0])) == 1:
            return value
        factors = tuple(Member(_children(node)[1], 1.0) for node in family.nodes)
        return self._bounded(family, value * self._values(factors, family.which, number))

    def _mirrored(self, family: Family, stages: Stages, lengths: list[NDArray[np.int64]]) -> Tensor:
        """Steps counted back from the end, in the second half of cycles that go there and back."""
        if not any(node.mirror for node in family.nodes):
            return stages.local
        mirrors = np.concatenate(
            [np.full(len(each), node.mirror) for node, each in zip(family.nodes, lengths, strict=True)]
        )
        every = np.concatenate(lengths)
        turns = np.where(mirrors, (every + 1) // 2 - 1, self.last)
        whole = self._pick(np.minimum(every, self.last), stages.at)
        back = whole - stages.local
        if every.max() > self.last:
            back = back + self._pick(np.clip(every - self.last, 0, self.last), stages.at)
        return self.ops.where(stages.local > self._pick(np.minimum(turns, self.last), stages.at), back, stages.local)

    # ---- Searches ----

    def _pick(self, constants: NDArray[np.int64], at: Tensor | None) -> Tensor | int:
        if at is None or (constants == constants[0]).all():
            return int(constants[0])
        return self.ops.take(constants, at)

    def _or_first(self, at: Tensor | None, step: Tensor) -> Tensor:
        return self.ops.minimum(step, 0) if at is None else at

    def _repeated(self, family: Family, patterns: list[_Pattern]) -> Stages:
        """Stages of patterns that repeat."""
        steps = family.ints([pattern.steps for pattern in patterns])
        rounds = family.step // steps
        if any(pattern.steps > self.last for pattern in patterns):  # the largest step is in their first round
            rounds = rounds * family.ints([int(pattern.steps <= self.last) for pattern in patterns])
        rest = family.step - rounds * steps
        stages = self._staged(family, [pattern.begins for pattern in patterns], rest)
        return stages._replace(rounds=rounds)

    def _staged(self, family: Family, begins: list[NDArray[np.int64]], step: Tensor | None = None) -> Stages:
        """Stages of the given begins."""
        step = family.step if step is None else step
        at = self._search(begins, family.which, step)
        begin = self._pick(np.minimum(np.concatenate(begins), self.last), at)
        return Stages(at, step if isinstance(begin, int) and begin == 0 else step - begin, 0)

    def _search(self, marks: list[NDArray[np.int64]], which: Tensor | None, step: Tensor) -> Tensor | None:
        """The last mark that is not after the step, of those that `which` says, as a place among all; None: of one."""
        if sum(map(len, marks)) > MOST_CONSTANTS:
            raise ValueError(f"parts within parts, {sum(map(len, marks))} in all, more than {MOST_CONSTANTS}")
        counts = [int(np.searchsorted(each, self.last, side="right")) for each in marks]
        if len(marks) == 1 and counts[0] > 1:
            return self.ops.reached(marks[0][1 : counts[0]], step)
        if len(marks) == 1:
            return None if len(marks[0]) == 1 else self.ops.minimum(step, 0)
        offsets = np.cumsum([0, *map(len, marks[:-1])])
        at = self.ops.take(offsets, which)
        stop = self.ops.take(offsets + counts, which)
        every = np.minimum(np.concatenate(marks), self.last)
        for jump in reversed([1 << bit for bit in range((max(counts) - 1).bit_length())]):
            beyond = at + jump
            mark = self.ops.take(every, self.ops.minimum(beyond, len(every) - 1))
            at = self.ops.where(mark > step, at, self.ops.where(stop > beyond, beyond, at))
        return at


class _Pattern(NamedTuple):
    """Begins of intervals that repeat after so many steps; see note (c)."""

    steps: int
    begins: NDArray[np.int64]

    @property
    def number(self) -> int:
        return len(self.begins)


def _pattern(unit: int, scale: float) -> _Pattern:
    """Twin of lr_interval_begin."""
    if scale == 1.0:
        return _Pattern(unit, np.zeros(1, np.int64))
    length = max(unit * scale, 1.0)
    if length >= END_OF_STEPS:
        return _Pattern(END_OF_STEPS, np.zeros(1, np.int64))
    share = Fraction(length).limit_denominator(LONGEST_PATTERN)
    if abs(float(share) - length) > length * 2.0**-50:
        raise ValueError(f"stairs or cycles of {length:.17g} updates each, which is no fraction of small numbers")
    begins = np.array([rounded(number * length) for number in range(share.denominator)], dtype=np.int64)
    return _Pattern(share.numerator, begins)


def _total(node: Node, scale: float, plain: int | None) -> int | None:
    """Where the last of the cycles ends, or None."""
    if not node.count:
        return None
    return plain if plain is not None else rounded(node.count * max(_first_length(node) * scale, 1.0))


def _held_at(node: Node) -> int:
    """Where in the inner schedule the end of the last cycle stands: twin of lr_cycle_local."""
    return 0 if node.mirror else int(node.span)


def _first_length(node: Node) -> int:
    return int(node.span) * (2 if node.mirror else 1)


def _children(node: Node) -> Sequence[int]:
    assert node.children is not None
    return node.children


def _scaled_all(durations: NDArray[np.int64], scale: float) -> NDArray[np.int64]:
    """`scaled`, of many."""
    if scale == 1.0:
        return durations.astype(np.int64)
    exact = durations * scale
    near = np.floor(exact + 0.5 + np.minimum(exact * 2.0**-50, 0.25))
    found: NDArray[np.int64] = np.where(exact >= 2.0**52, np.minimum(exact, 2.0**60), near).astype(np.int64)
    return found


WALKS = {
    "PIECEWISE": ClosedForm._data,
    "SEQUENCE": ClosedForm._sequence,
    "CYCLE": ClosedForm._cycles,
    "MARKED CYCLE": ClosedForm._marked_cycles,
    "PRODUCT": ClosedForm._combined,
    "SUM": ClosedForm._combined,
    "SCALE": ClosedForm._scaled,
    "CLIP": ClosedForm._clipped,
    "STAIRCASE": ClosedForm._stairs,
    "SHIFT": ClosedForm._shifted,
}
