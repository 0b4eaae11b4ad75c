"""diff: where two schedules differ, by how much, and why; or a schedule and the trace of another framework.

One pass over the steps, in blocks, finds where and by how much. Only if there is a difference, _causes.py looks for a
relation that explains it.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrcore import _check
from lrcore._causes import Cause, Search, differing_fields
from lrcore._traces import Trace, Values, blocks, coarsest, gap
from lrcore.schedule import Schedule

FEW = 8  # ranges of differing steps that are kept
SINGLE = 1024  # differing steps that are looked at one by one, to see whether they are boundaries
ULPS = 16  # of float64: more of them are not called rounding

_count = _check.whole(1, what="a number of steps")


@dataclass(frozen=True, slots=True)
class Place:
    """A step, and the two values there."""

    step: int
    a: float
    b: float

    @property
    def difference(self) -> float:
        """b - a."""
        return self.b - self.a

    @property
    def relative(self) -> float:
        """|b - a| over the larger magnitude of the two: 0 where both are 0, 1 where one is, 2 for opposite signs."""
        largest = max(abs(self.a), abs(self.b))
        return abs(self.difference) / largest if largest else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what is no number is a text."""
        named = {"a": self.a, "b": self.b, "difference": self.difference, "relative": self.relative}
        return {"step": self.step, **{name: _plain(value) for name, value in named.items()}}

    def __str__(self) -> str:
        a, b = _number(self.a), _number(self.b)
        return f"{a if a != b else self.a} and {b if a != b else self.b} at step {self.step:,}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What `diff` found. It is true if a and b differ by more than the tolerance at some step.

    Args:
        steps: how many were compared, from step 0 on.
        differing: at how many of them a and b differ beyond the tolerance; values that are not finite always do.
        first: the first such step, with its values; None if there is none.
        last: the last one.
        largest: where |b - a| is largest, whether within the tolerance or not; None if all are equal.
        largest_relative: where |b - a| / max(|a|, |b|) is largest.
        ranges: the first few ranges (begin, end) of differing steps; end is the step after the last one.
        range_count: how many such ranges there are.
        not_finite: steps at which a value is NaN or infinite.
        precision: "float64", or what an array's values are rounded to: both are compared in it.
        rtol: the tolerance, relative to the larger of the two values.
        atol: the absolute one, which is added.
        causes: why they differ, as far as simple relations say; each has a `kind`, a `text` and `details`.
        fields: for two schedules: (path, a's, b's) of each parameter that differs, even where no value does.
    """

    steps: int
    differing: int
    first: Place | None
    last: Place | None
    largest: Place | None
    largest_relative: Place | None
    ranges: tuple[tuple[int, int], ...]
    range_count: int
    not_finite: int
    precision: str
    rtol: float
    atol: float
    causes: tuple[Cause, ...]
    fields: tuple[tuple[str, str, str], ...]

    def __bool__(self) -> bool:
        return self.differing > 0

    @property
    def share(self) -> float:
        """The share of steps that differ."""
        return self.differing / self.steps

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        places = {name: getattr(self, name) for name in ("first", "last", "largest", "largest_relative")}
        return {
            "differ": bool(self),
            "steps": self.steps,
            "differing": self.differing,
            "share": self.share,
            **{name: None if place is None else place.to_dict() for name, place in places.items()},
            "ranges": [list(one) for one in self.ranges],
            "range_count": self.range_count,
            "not_finite": self.not_finite,
            "precision": self.precision,
            "rtol": self.rtol,
            "atol": self.atol,
            "causes": [cause.to_dict() for cause in self.causes],
            "fields": [{"path": path, "a": a, "b": b} for path, a, b in self.fields],
        }

    def _rows(self) -> list[tuple[str, str]]:
        """What there is to say, as headings and texts."""
        rows = [("", self._verdict())]
        if self.first and self.last:
            rows += [("first", str(self.first)), ("last", str(self.last)), ("steps", self._ranges())]
        if self.largest and self.largest_relative:
            by = f"{abs(self.largest.difference):.6g}"
            rows.append(("largest difference", f"{by}: {self.largest}"))
            rows.append(("largest relative", f"{self.largest_relative.relative:.6g}: {self.largest_relative}"))
        if self.not_finite:
            rows.append(("not finite", f"NaN or infinite at {_steps(self.not_finite)}"))
        rows += [("why", cause.text) for cause in self.causes]
        rows += [("parameter", f"{path}: {a} and {b}") for path, a, b in self.fields]
        return rows

    def _verdict(self) -> str:
        rounded = "" if self.precision == "float64" else f", both rounded to {self.precision}"
        within = f", within rtol={self.rtol:g} and atol={self.atol:g}" if self.rtol or self.atol else ""
        if not self:
            return f"a and b are equal at all {_steps(self.steps)}{rounded}{within}"
        return f"a and b differ at {self.differing:,} of {_steps(self.steps)} ({self.share:.3%}){rounded}{within}"

    def _ranges(self) -> str:
        named = [f"{begin:,}" if end == begin + 1 else f"{begin:,} to {end - 1:,}" for begin, end in self.ranges]
        more = self.range_count - len(self.ranges)
        return ", ".join(named) + (f", and {more:,} more ranges" if more else "")

    def __str__(self) -> str:
        return "\n".join(f"{heading}: {text}" if heading else text for heading, text in self._rows())

    def __rich__(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        (_, verdict), *rows = self._rows()
        title = Text(verdict, style="bold red" if self else "bold green")
        table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
        for heading, text in rows:
            table.add_row(Text(heading, style="dim"), Text(text))
        return table

    def _repr_html_(self) -> str:
        (_, verdict), *rows = ((html.escape(heading), html.escape(text)) for heading, text in self._rows())
        cells = "".join(
            f'<tr><th style="text-align:left">{heading}</th><td style="text-align:left">{text}</td></tr>'
            for heading, text in rows
        )
        return f"<div><strong>{verdict}</strong><table>{cells}</table></div>"


def diff(
    a: Schedule | ArrayLike, b: Schedule | ArrayLike, n: int | None = None, *, rtol: float = 0.0, atol: float = 0.0
) -> Difference:
    """Where two schedules differ, by how much, and why.

    Step t differs where `|a(t) - b(t)| > atol + rtol * max(|a(t)|, |b(t)|)`. Either may be the trace of another
    framework, as an array or list whose entry t is the value of update t.

    The steps are walked through in blocks, so that a hundred million of them need no memory to speak of. Then simple
    reasons are tried, and said where they hold at every step: b is a some steps later or earlier, stepped N times an
    update, times a factor, plus an offset; they differ only by rounding, past an end, in the first steps or at
    boundaries. Reasons that these values do not tell apart are named together.

    Args:
        a: a schedule; or real numbers in one dimension. float32 numbers are compared with the other side's values
            rounded once to float32, float16 likewise.
        b: the other one.
        n: steps to compare, >= 1. None: the length of an array; of schedules the longer finite length and the value
            that holds after it, so that schedules which end are equal for ever if they are equal here.
        rtol: relative tolerance, >= 0.
        atol: absolute tolerance, >= 0.

    Returns:
        A Difference: true if they differ, `print` says how.

    Raises:
        TypeError: neither a schedule nor real numbers.
        ValueError: n beyond an array's end, or not to be decided; a negative tolerance.

    Example:
        >>> from lrcore import Cosine
        >>> found = diff(Cosine(0.1, 0.0, 100), Cosine(0.1, 0.0, 100).shift(1))
        >>> bool(found), found.first.step, found.causes[0].text
        (True, 0, 'b is a, 1 step earlier: b(t) = a(t + 1)')
        >>> bool(diff(Cosine(0.1, 0.0, 2), [0.1, 0.05, 0.0]))
        False
    """
    one, other = Trace("diff.a", a), Trace("diff.b", b)
    rtol, atol = _check.not_negative("diff.rtol", rtol), _check.not_negative("diff.atol", atol)
    steps = _steps_of(one, other, n)
    coarsest(one, other)
    tally = _Tally(rtol, atol)
    with np.errstate(all="ignore"):  # NaN, infinities and numbers near them are data here
        if one.schedule is None or one.schedule != other.schedule:
            for begin, end in blocks(0, steps):
                tally.add(begin, one.table(begin, end), other.table(begin, end))
        causes = _causes(one, other, steps, tally) if tally.differing else []
    both = one.schedule is not None and other.schedule is not None
    return Difference(
        steps,
        tally.differing,
        tally.first,
        tally.last,
        tally.largest,
        tally.largest_relative,
        tuple(tally.ranges),
        tally.range_count,
        tally.not_finite,
        str(one.precision),
        rtol,
        atol,
        tuple(causes),
        tuple(differing_fields(one.schedule, other.schedule)) if both else (),  # type: ignore[arg-type]
    )


def _steps_of(a: Trace, b: Trace, n: int | None) -> int:
    """How many steps to compare."""
    ends = {name: trace.end for name, trace in (("a", a), ("b", b)) if trace.end is not None}
    if n is None:
        return _decided(ends, [length for length in (a.length, b.length) if length is not None])
    steps = int(_count("diff.n", n))
    for name, end in ends.items():
        if steps > end:
            _check.refuse("diff.n", f"at most the {end} steps of {name}", n)
    return steps


def _decided(ends: dict[str, int], lengths: list[int]) -> int:
    if len(set(ends.values())) == 2:
        _check.refuse("diff.n", f"a number of steps, for arrays of {ends['a']} and {ends['b']}", None)
    if ends:
        return next(iter(ends.values()))
    if not lengths:
        _check.refuse("diff.n", "a number of steps, since neither schedule ends", None)
    return max(lengths) + 1


class _Tally:
    """What the pass over the steps has seen so far."""

    def __init__(self, rtol: float, atol: float) -> None:
        self.rtol, self.atol = rtol, atol
        self.differing = self.not_finite = self.range_count = 0
        self.first: Place | None = None
        self.last: Place | None = None
        self.largest: Place | None = None
        self.largest_relative: Place | None = None
        self.ranges: list[tuple[int, int]] = []
        self.singles: list[int] = []  # the differing steps, while they are few
        self.ulps = self.float32_ulps = 0.0
        self.bounds = [math.inf, -math.inf, math.inf, -math.inf]  # of a and of b
        self.peak: Place | None = None  # where a is largest
        self._by = self._by_relative = 0.0

    def add(self, begin: int, a: Values, b: Values) -> None:
        """Counts the steps from `begin` on."""
        apart = gap(a, b)
        finite = np.isfinite(apart)
        self._bound(begin, a, b, finite)
        if not apart.any():  # NaN counts as any
            return
        size = np.maximum(np.abs(a), np.abs(b))
        differs = ~(apart <= self.atol + self.rtol * size) | ~finite
        if not finite.all():
            self.not_finite += int(finite.size - np.count_nonzero(finite))
            apart, size = np.where(finite, apart, 0.0), np.where(finite, size, 1.0)
        relative = np.divide(apart, size, out=np.zeros_like(apart), where=size > 0.0)
        self._largest(begin, a, b, apart, relative)
        self._rounding(apart, size)
        if differs.any():
            self._count(begin, a, b, differs)

    def _bound(self, begin: int, a: Values, b: Values, finite: NDArray[np.bool_]) -> None:
        if not finite.all():
            a, b = np.where(finite, a, a[finite][0] if finite.any() else 0.0), np.where(finite, b, 0.0)
        low, high, b_low, b_high = self.bounds
        bounds = [float(a.min()), float(a.max()), float(b.min()), float(b.max())]
        self.bounds = [min(low, bounds[0]), max(high, bounds[1]), min(b_low, bounds[2]), max(b_high, bounds[3])]
        at = int(a.argmax() if bounds[1] >= -bounds[0] else a.argmin())
        if self.peak is None or abs(float(a[at])) > abs(self.peak.a):
            self.peak = _place(begin, at, a, b)

    def _largest(self, begin: int, a: Values, b: Values, apart: Values, relative: Values) -> None:
        at, at_relative = int(apart.argmax()), int(relative.argmax())
        if apart[at] > self._by:
            self._by, self.largest = float(apart[at]), _place(begin, at, a, b)
        if relative[at_relative] > self._by_relative:
            self._by_relative, self.largest_relative = float(relative[at_relative]), _place(begin, at_relative, a, b)

    def _rounding(self, apart: Values, size: Values) -> None:
        if self.ulps <= ULPS:
            self.ulps = max(self.ulps, float((apart / np.spacing(size)).max()))
        if self.float32_ulps <= 1.0:
            spacing = np.spacing(size.astype(np.float32)).astype(np.float64)
            self.float32_ulps = max(self.float32_ulps, float(np.nan_to_num(apart / spacing, nan=math.inf).max()))

    def _count(self, begin: int, a: Values, b: Values, differs: NDArray[np.bool_]) -> None:
        at = np.flatnonzero(differs)
        self.first = self.first or _place(begin, int(at[0]), a, b)
        goes_on = self.last is not None and self.last.step == begin - 1 and bool(differs[0])
        self.last = _place(begin, int(at[-1]), a, b)
        self.differing += at.size
        if len(self.singles) <= SINGLE:
            self.singles.extend((begin + at[: SINGLE + 1]).tolist())
        cuts = np.flatnonzero(np.diff(at) > 1) if at.size < differs.size else at[:0]
        begins, ends = begin + at[np.concatenate([[0], cuts + 1])], begin + at[np.concatenate([cuts, [-1]])] + 1
        self.range_count += begins.size - goes_on
        if goes_on and len(self.ranges) == self.range_count - (begins.size - 1):
            self.ranges[-1] = (self.ranges[-1][0], int(ends[0]))
        room = FEW - len(self.ranges)
        new = slice(int(goes_on), int(goes_on) + max(room, 0))
        self.ranges.extend(zip(begins[new].tolist(), ends[new].tolist(), strict=True))


def _place(begin: int, at: int, a: Values, b: Values) -> Place:
    return Place(begin + at, float(a[at]), float(b[at]))


# ---- Causes ----


def _causes(a: Trace, b: Trace, n: int, tally: _Tally) -> list[Cause]:
    """Where they differ, in words; then a relation between them."""
    low, high, b_low, b_high = tally.bounds
    found = [_past_end(a, b, tally), _beginning(a, b, n, tally), _rounding(a, tally), _boundaries(a, b, n, tally)]
    constant = _constant(low, high, b_low, b_high)
    if constant:
        return [constant, *(cause for cause in found if cause)]
    relations: list[Cause] = []
    if tally.largest and tally.peak:
        largest = max(abs(low), abs(high), abs(b_low), abs(b_high))
        search = Search(a, b, n, largest, tally.atol + tally.rtol * largest)
        relations = search.causes((tally.peak.a, tally.peak.b), (tally.largest.a, tally.largest.b))
    return [*relations, *(cause for cause in found if cause)]


def _constant(low: float, high: float, b_low: float, b_high: float) -> Cause | None:
    names = [name for name, is_constant in (("a", low == high), ("b", b_low == b_high)) if is_constant]
    if not names:
        return None
    if len(names) == 2:
        text = f"both are constant: {_number(high)} and {_number(b_high)}"
    else:
        text = f"{names[0]} is {_number(high if names == ['a'] else b_high)} at every step"
    return Cause("constant", text, {"which": names})


def _past_end(a: Trace, b: Trace, tally: _Tally) -> Cause | None:
    assert tally.first is not None
    lengths = [(trace.length, name) for name, trace in (("a", a), ("b", b)) if trace.length]
    for length, name in sorted(lengths, reverse=True):
        if tally.first.step >= length:
            text = f"they differ only past the end of {name}, which holds from step {length:,} on"
            return Cause("past_end", text, {"of": name, "length": length})
    return None


def _beginning(a: Trace, b: Trace, n: int, tally: _Tally) -> Cause | None:
    assert tally.last is not None
    steps = tally.last.step + 1
    if steps > n // 2:
        return None
    text = f"they differ only in the first {_steps(steps)}"
    details: dict[str, Any] = {"steps": steps}
    if steps >= 3:
        from_a, from_b = a.table(0, steps + 1), b.table(0, steps + 1)
        near = 1e-6 * max(float(np.abs(from_a).max()), float(np.abs(from_b).max()))
        for shift, ahead, behind, name in ((-1, from_a, from_b, "b"), (1, from_b, from_a, "a")):
            if gap(ahead[1:-1], behind[:-2]).max() <= near:
                details["shift"] = shift
                text += (
                    f", where {name} is one step ahead: a warm-up that starts from its first step, not from its floor"
                )
    return Cause("beginning", text, details)


def _rounding(a: Trace, tally: _Tally) -> Cause | None:
    if tally.not_finite:
        return None
    if a.precision.itemsize == 8 and tally.ulps <= ULPS:
        text = f"every difference is rounding in float64, at most {tally.ulps:g} units in the last place"
        return Cause("rounding", text, {"precision": "float64", "ulps": tally.ulps})
    if tally.float32_ulps <= 1.0:
        text = "every difference is at most one unit in the last place of float32"
        return Cause("rounding", text, {"precision": "float32", "ulps": tally.float32_ulps})
    return None


def _boundaries(a: Trace, b: Trace, n: int, tally: _Tally) -> Cause | None:
    """Single steps, at each of which one side still or already has the other's neighbour value."""
    singles = np.array(tally.singles, dtype=np.int64)
    if singles.size > min(SINGLE, n // 3) or (np.diff(singles) == 1).any() or singles[0] == 0 or singles[-1] + 1 >= n:
        return None
    near = 1e-6 * np.abs(b.at(singles))
    for late, early, which in ((b, a, "b"), (a, b, "a")):
        before = gap(late.at(singles), early.at(singles - 1))
        if (before <= near).all() and (gap(late.at(singles + 1), early.at(singles)) <= near).all():
            text = (
                f"they differ only at {singles.size:,} boundaries, where {which} takes the new value one step later: "
                "side='left' of Piecewise, as in TF1 and Keras, and side='right', as in torch and optax"
            )
            return Cause("boundaries", text, {"late": which, "count": int(singles.size)})
    return None


# ---- Words ----


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _number(value: float) -> str:
    return f"{value:.9g}"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"
