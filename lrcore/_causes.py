"""Why two schedules differ: simple relations between them that hold at every step that they speak of.

(a) A relation predicts b from a. It is tried on a few steps first, and on all of them only if it survives that.
(b) It holds if what it leaves unexplained is rounding (or within the caller's tolerance), and if it explains
    something: the difference that it removes must be much larger than what it leaves. So nothing is claimed of
    constants, of steps that agreed anyway, or of noise.
(c) Where more than one relation holds, the values cannot tell which it was: b = a(t + 1) and b = 0.9 a are the same for
    an exponential decay. Two schedules go on after the steps compared, and what fails there is dropped; if more than
    one is left they are named together, as one cause of kind "ambiguous".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore import _check
from lrcore._traces import Trace, Values, blocks, gap
from lrcore.schedule import LAST_STEP, Schedule

Steps = NDArray[np.int64]

NEAR_SHIFTS = (1, -1, 2, -2, 3, -3)
STRETCHES = range(2, 65)
NEEDLES = 64  # places that may match before a shift counts as not to be found
LEAST = 8  # steps that a relation must speak of
EXPLAINS = 16.0  # how much smaller than the difference the unexplained rest must be
# Rounding that other frameworks add, in units of the largest value: a recursion's over a million steps in float64,
# a few operations' in float32 and float16.
ROUNDING = {8: 1e-12, 4: 2.0**-22, 2: 2.0**-9}
MOST_FIELDS = 20


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why two schedules differ: its kind for programs, a sentence for people, and its numbers."""

    kind: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"kind": self.kind, "text": self.text, "details": self.details}


@dataclass(frozen=True)
class Relation:
    """`b(steps(t)) = predict(a(source(t)))` for t of a range."""

    cause: Cause
    begin: int
    end: int
    source: Callable[[Steps], Steps]  # where in a
    target: Callable[[Steps], Steps]  # where in b
    predict: Callable[[Values], Values]


def _same(values: Any) -> Any:
    return values


def shifted(a: Trace, steps: int, n: int) -> Relation:
    """b(t) = a(t - steps)."""
    many = "step" if abs(steps) == 1 else "steps"
    when, sign = ("later", "-") if steps > 0 else ("earlier", "+")
    size = abs(steps)
    since = f" from step {steps} on" if steps > 1 else ""
    text = f"b is a, {size} {many} {when}{since}: b(t) = a(t {sign} {size})"
    end = n if a.end is None else min(n, a.end + steps)
    return Relation(Cause("shift", text, {"steps": steps}), max(0, steps), end, lambda t: t - steps, _same, _same)


def factored(factor: float, n: int) -> Relation:
    """b(t) = factor * a(t)."""
    text = f"b is {factor:.12g} x a"
    return Relation(Cause("factor", text, {"factor": factor}), 0, n, _same, _same, lambda values: values * factor)


def offset(by: float, n: int) -> Relation:
    """b(t) = a(t) + by."""
    text = f"b is a {'-' if by < 0 else '+'} {abs(by):.12g}"
    return Relation(Cause("offset", text, {"offset": by}), 0, n, _same, _same, lambda values: values + by)


def faster(a: Trace, factor: int, n: int) -> Relation:
    """b(t) = a(factor * t)."""
    text = f"b goes through a {factor} times as fast: b(t) = a({factor} t), as if stepped {factor} times an update"
    end = n if a.end is None else min(n, -(-a.end // factor))
    return Relation(Cause("stretch", text, {"factor": 1 / factor}), 0, end, lambda t: t * factor, _same, _same)


def slower(_a: Trace, factor: int, n: int) -> Relation:
    """b(factor * t) = a(t)."""
    text = f"b goes through a {factor} times as slowly: b({factor} t) = a(t)"
    return Relation(Cause("stretch", text, {"factor": factor}), 0, -(-n // factor), _same, lambda t: t * factor, _same)


class Search:
    """Relations between two traces of n steps that differ."""

    def __init__(self, a: Trace, b: Trace, n: int, largest: float, allowed: float) -> None:
        """`largest`: of all values; `allowed`: the caller's tolerance, for values of that size."""
        self.a, self.b, self.n = a, b, n
        self.tolerance = max(ROUNDING[a.precision.itemsize] * largest, allowed)
        self.probes = np.unique(np.linspace(0, n - 1, 129).astype(np.int64))

    def causes(self, a_peak: tuple[float, float], widest: tuple[float, float]) -> list[Cause]:
        """The relation that holds, or all that do as one; from the values at a's peak and where they differ most."""
        found = list(self._holding(a_peak, widest))
        if len(found) > 1 and self.a.schedule is not None and self.b.schedule is not None:
            found = [relation for relation in found if self._goes_on(relation)] or found
        if len(found) < 2:
            return [relation.cause for relation in found]
        text = "; or ".join(relation.cause.text for relation in found)
        alternatives = [relation.cause.to_dict() for relation in found]
        return [
            Cause("ambiguous", f"either of these, which these values do not tell apart: {text}", {"any": alternatives})
        ]

    def _holding(self, a_peak: tuple[float, float], widest: tuple[float, float]) -> Iterator[Relation]:
        a_high, b_there = a_peak
        if a_high != 0.0:
            yield from self._first_of([factored(_short(b_there / a_high), self.n)])
        yield from self._first_of([offset(_short(widest[1] - widest[0]), self.n)])
        yield from self._first_of(self._late(shifted(self.a, steps, self.n)) for steps in self._shifts())
        stretches = [make(self.a, factor, self.n) for factor in STRETCHES for make in (faster, slower)]
        holding = [relation for relation in stretches if self._holds(relation)]
        if len(holding) == 1:
            yield holding[0]

    def _first_of(self, relations: Iterable[Relation]) -> Iterator[Relation]:
        for relation in relations:
            if self._holds(relation):
                yield relation
                return

    # ---- Whether one holds ----

    def _unexplained(self, relation: Relation, t: Steps) -> tuple[float, float]:
        """The largest difference that a relation leaves at some steps, and the largest one that was there."""
        source, target = relation.source(t), relation.target(t)
        usable = self.a.has(source) & self.a.has(target) & self.b.has(target)
        source, target = source[usable], target[usable]
        b = self.b.at(target)
        left, was = gap(relation.predict(self.a.at(source)), b), gap(self.a.at(target), b)
        finite = np.isfinite(left) & np.isfinite(was)  # a trace with a NaN in it may still be shifted
        return float(left.max(initial=0.0, where=finite)), float(was.max(initial=0.0, where=finite))

    def _holds(self, relation: Relation) -> bool:
        if relation.end - relation.begin < max(LEAST, min(self.n // 64, 1024)):
            return False
        span = relation.end - relation.begin
        probes = relation.begin + np.unique(np.linspace(0, span - 1, 129).astype(np.int64))
        if self._unexplained(relation, probes)[0] > self.tolerance:
            return False
        left = was = 0.0
        for begin, end in blocks(relation.begin, relation.end):
            rest, there = self._unexplained(relation, np.arange(begin, end, dtype=np.int64))
            if rest > self.tolerance:
                return False
            left, was = max(left, rest), max(was, there)
        return was > max(EXPLAINS * left, self.tolerance)

    def _late(self, relation: Relation) -> Relation:
        """A relation from where on it holds, if that is in the first half: two warm-ups may differ before a shift."""
        for begin, end in reversed(list(blocks(relation.begin, relation.end))):
            steps = np.arange(begin, end, dtype=np.int64)
            if self._unexplained(relation, steps)[0] <= self.tolerance:
                continue
            last = self._last_unexplained(relation, begin, end) + 1
            if last > self.n // 2:
                return relation
            details = {**relation.cause.details, "since": last}
            text = f"from step {last} on {relation.cause.text.replace(f' from step {relation.begin} on', '')}"
            return replace(relation, begin=last, cause=Cause("shift", text, details))
        return relation

    def _last_unexplained(self, relation: Relation, begin: int, end: int) -> int:
        """The last step in a range at which a relation does not hold, of which there is one: by halving."""
        while end - begin > 1:
            middle = (begin + end) // 2
            later = self._unexplained(relation, np.arange(middle, end, dtype=np.int64))[0] > self.tolerance
            begin, end = (middle, end) if later else (begin, middle)
        return begin

    def _goes_on(self, relation: Relation) -> bool:
        """Whether a relation of two schedules holds after the steps compared, too."""
        after = np.unique(np.concatenate([np.arange(64), np.geomspace(64, max(65, 16 * self.n), 256).astype(np.int64)]))
        steps = np.minimum(relation.end + after, LAST_STEP // STRETCHES[-1])
        return self._unexplained(relation, steps)[0] <= self.tolerance

    # ---- Shifts ----

    def _shifts(self) -> Iterator[int]:
        """Shifts worth trying, small ones first: the near ones, and those at which a looks as b does somewhere."""
        yield from NEAR_SHIFTS
        yield from sorted(self._far_shifts(), key=abs)

    def _far_shifts(self) -> set[int]:
        needles = self._needles()
        if not needles:
            return set()
        around = np.arange(-1, 2)
        looks = [self.b.at(needle + around) for needle in needles]
        places: list[list[int]] = [[] for _ in needles]
        for begin, end in blocks(0, self.n - 2):
            values = self.a.table(begin, end + 2)
            for look, found in zip(looks, places, strict=True):
                if len(found) > NEEDLES:
                    continue
                at = np.flatnonzero(gap(values[1:-1], look[1]) <= self.tolerance)
                alike = gap(values[at], look[0]) <= self.tolerance
                alike &= gap(values[at + 2], look[2]) <= self.tolerance
                found.extend((begin + 1 + at[alike][: NEEDLES + 1]).tolist())
        shifts = {
            needle - place
            for needle, found in zip(needles, places, strict=True)
            if len(found) <= NEEDLES
            for place in found
        }
        return {shift for shift in shifts if abs(shift) > 3 and abs(shift) <= self.n * 3 // 4}

    def _needles(self) -> list[int]:
        """Steps at which b changes most: of all, in the middle half and in the last half."""
        ranges = [(1, self.n - 1), (self.n // 4, self.n * 3 // 4), (self.n // 2, self.n - 1)]
        best = [(self.tolerance, -1)] * len(ranges)
        for begin, end in blocks(1, self.n - 1):
            values = self.b.table(begin - 1, end + 1)
            change = np.nan_to_num(
                np.maximum(gap(values[1:-1], values[:-2]), gap(values[1:-1], values[2:])), posinf=0.0
            )
            for number, (first, last) in enumerate(ranges):
                inside = change[max(first - begin, 0) : max(last - begin, 0)]
                if inside.size and float(inside.max()) > best[number][0]:
                    at = int(inside.argmax())
                    best[number] = (float(inside[at]), begin + max(first - begin, 0) + at)
        return sorted({step for _, step in best if step >= 0})


def _short(number: float) -> float:
    """Without the digits that rounding left."""
    return float(f"{number:.12g}")


# ---- The trees ----


def differing_fields(a: Schedule, b: Schedule) -> list[tuple[str, str, str]]:
    """Where two trees differ: the path of each field, and what stands there in a and in b."""
    found = list(_walk("", a, b))
    return found[:MOST_FIELDS]


def _walk(path: str, a: Any, b: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(a, Schedule) and type(a) is type(b):
        for item in fields(a):  # type: ignore[arg-type]
            yield from _walk(f"{path}.{item.name}".lstrip("."), getattr(a, item.name), getattr(b, item.name))
    elif isinstance(a, tuple) and isinstance(b, tuple):
        if len(a) != len(b):
            yield path, f"{len(a)} items", f"{len(b)} items"
        for at, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from _walk(f"{path}[{at}]", one, other)
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        yield from _walk_values(path, a, b)
    elif type(a) is not type(b) or a != b:
        yield path or "the schedule", _text(a), _text(b)


def _walk_values(path: str, a: NDArray[Any], b: NDArray[Any]) -> Iterator[tuple[str, str, str]]:
    if len(a) != len(b):
        yield path, f"{len(a)} values", f"{len(b)} values"
    shorter = min(len(a), len(b))
    different = np.flatnonzero(a[:shorter] != b[:shorter])
    if different.size:
        at = int(different[0])
        yield f"{path}[{at}]", repr(float(a[at])), repr(float(b[at]))


def _text(given: object) -> str:
    if isinstance(given, Schedule) and type(given).__name__ == "Table":
        return "a Table"
    return _check.shown(given).rsplit(" (", 1)[0]
