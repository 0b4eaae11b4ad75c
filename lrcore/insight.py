"""explain: the numbers of a schedule that a person would check before a run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lrcore._pieces import CONSTANT, ROUGH, Piece
from lrcore._survey import CHUNK, SCANNED, Survey, asked
from lrcore.curves import Table
from lrcore.schedule import LAST_STEP, Schedule

if TYPE_CHECKING:
    from rich.table import Table as RichTable

MAX_CORNERS = 1000  # kept; more of them are only counted
SHOWN_FIRST, SHOWN_LAST = 8, 4  # of the corners, in a table
LONG_TABLE = 1000  # values that are not written out

_WORDS = {
    "boundary": "boundary",
    "restart": "restart",
    "turn": "turn",
    "bend": "begins to move",
    "end": "end, holds",
    "clip": "bound",
    "stair": "stair",
    "entry": "next entry",
}


class Point(NamedTuple):
    """A step and its value."""

    step: int
    value: float


class Corner(NamedTuple):
    """A step where the schedule changes its course, why, and the values before, at and after it."""

    step: int
    label: str
    before: float
    at: float
    after: float


class Line(NamedTuple):
    """One row of the table; what does not apply is None."""

    what: str
    step: int | None = None
    before: float | None = None
    value: float | None = None
    after: float | None = None
    note: str = ""


@dataclass(frozen=True, repr=False)
class Explanation:
    """What `explain` found. `str` gives a table, `to_dict` the exact numbers.

    Attributes:
        schedule: what was explained.
        n: updates of the run; they use the values of the steps 0 to n - 1.
        steps_per_epoch: updates of an epoch, or None.
        first, second: the values of the first two updates.
        corners: where it changes its course, with the values before, at and after: the first MAX_CORNERS.
        corners_left_out: how many more there are, as far as they are counted.
        dense: ranges whose corners are too many to be told apart, as (begin, end, period); period 0: none known.
        peak, lowest: the largest and the smallest value of the run, and the first step that has it.
        last: the value of the last update.
        past_end: the value of the step after it, and `far` that of the last step there is.
        mean, total: of the values of the run; the total is its "LR mass".
        warmup_steps: updates before the peak, if the values never fall on the way; else None.
        peak_steps: updates that hold the peak, as far as they stand in a row.
        is_sampled: whether short cycles or stairs were too many to look at all: extremes, mean and total are
            then estimates.
    """

    schedule: Schedule
    n: int
    steps_per_epoch: int | None
    first: Point
    second: Point | None
    corners: tuple[Corner, ...]
    corners_left_out: int
    dense: tuple[tuple[int, int, int], ...]
    peak: Point
    lowest: Point
    last: Point
    past_end: Point
    far: Point
    mean: float
    total: float
    warmup_steps: int | None
    peak_steps: int
    is_sampled: bool

    # ---- For programs ----

    def to_dict(self) -> dict[str, Any]:
        """Everything, exact, as plain types that JSON can hold."""
        return {
            "schedule": written(self.schedule),
            "steps": self.n,
            "steps_per_epoch": self.steps_per_epoch,
            "epochs": self._epoch(self.n),
            "length": self.schedule.length,
            "first": self._point(self.first),
            "second": self._point(self.second),
            "corners": [corner._asdict() | self._epochs(corner.step) for corner in self.corners],
            "corners_left_out": self.corners_left_out,
            "dense": [{"begin": begin, "end": end, "period": period or None} for begin, end, period in self.dense],
            "peak": self._point(self.peak),
            "lowest": self._point(self.lowest),
            "last": self._point(self.last),
            "past_end": self._point(self.past_end),
            "far": self._point(self.far),
            "mean": self.mean if isfinite(self.mean) else None,
            "total": self.total if isfinite(self.total) else None,
            "warmup_steps": self.warmup_steps,
            "peak_steps": self.peak_steps,
            "is_sampled": self.is_sampled,
        }

    def _epoch(self, step: int) -> float | None:
        return None if self.steps_per_epoch is None else step / self.steps_per_epoch

    def _epochs(self, step: int) -> dict[str, float]:
        epoch = self._epoch(step)
        return {} if epoch is None else {"epoch": epoch}

    def _point(self, point: Point | None) -> dict[str, Any] | None:
        return None if point is None else point._asdict() | self._epochs(point.step)

    # ---- For people ----

    def lines(self) -> list[Line]:
        """The rows of the table, in the order of the run."""
        about = "about " * self.is_sampled
        held = f"holds for {self.peak_steps:,} updates" if self.peak_steps > 1 else ""
        rises = f"after {_updates(self.warmup_steps)} of warm-up" if self.warmup_steps else ""
        found = [Line("first update", 0, value=self.first.value)]
        if self.second:
            found.append(Line("second update", 1, value=self.second.value))
        found += self._corner_lines()
        found.append(Line(f"{about}peak", *_placed(self.peak), note=", ".join(filter(None, [rises, held]))))
        found.append(Line(f"{about}lowest", *_placed(self.lowest)))
        found.append(Line("last update", *_placed(self.last), note=self._share_of_peak(self.last)))
        found.append(Line("past the end", *_placed(self.past_end), note=self._share_of_peak(self.past_end)))
        if self.far.value != self.past_end.value:
            found.append(Line("far past the end", *_placed(self.far)))
        found.append(Line(f"{about}mean", value=self.mean, note=self._share_of_peak(Point(0, self.mean))))
        found.append(Line(f"{about}total", value=self.total, note="updates × learning rate"))
        return found

    def _corner_lines(self) -> Iterator[Line]:
        shown = list(self.corners)
        left_out = self.corners_left_out
        if len(shown) > SHOWN_FIRST + SHOWN_LAST:
            left_out += len(shown) - SHOWN_FIRST - SHOWN_LAST
            shown = [*shown[:SHOWN_FIRST], *shown[-SHOWN_LAST:]]
        for at, corner in enumerate(shown):
            if at == SHOWN_FIRST and left_out:
                yield Line(f"... and {left_out:,} more")
            yield Line(_WORDS.get(corner.label, corner.label), corner.step, corner.before, corner.at, corner.after)
        for begin, end, period in self.dense:
            what = f"every {period:,} updates the same" if period else "too many short pieces to list"
            yield Line("repeats" if period else "dense", begin, note=f"{what}, up to step {end:,}")

    def _share_of_peak(self, point: Point) -> str:
        if self.peak.value <= 0.0 or point.value in (0.0, self.peak.value):
            return ""
        return f"{point.value / self.peak.value:.3g} of the peak"

    def _heading(self) -> str:
        epochs = self._epoch(self.n)
        run = _updates(self.n) + ("" if epochs is None else f", {epochs:g} epochs")
        return f"{run}, sampled: extremes, mean and total are estimates" if self.is_sampled else run

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and cells; a column without a cell is left out, the first one apart."""
        columns: list[tuple[str, Callable[[Line], str]]] = [
            ("", lambda line: line.what),
            ("step", lambda line: _count(line.step)),
            ("epoch", lambda line: "" if line.step is None else _number(self._epoch(line.step))),
            ("before", lambda line: _number(line.before)),
            ("value", lambda line: _number(line.value)),
            ("after", lambda line: _number(line.after)),
            ("", lambda line: line.note),
        ]
        lines = self.lines()
        filled = [(name, cells) for name, cell in columns if any(cells := [cell(line) for line in lines])]
        return [name for name, _ in filled], [list(row) for row in zip(*(cells for _, cells in filled), strict=True)]

    def __str__(self) -> str:
        names, rows = self._table()
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]

        def line(cells: list[str]) -> str:
            padded = [
                cell.rjust(width) if name else cell.ljust(width)
                for cell, width, name in zip(cells, widths, names, strict=True)
            ]
            return "  ".join(padded).rstrip()

        return "\n".join([_short(self.schedule), self._heading(), line(names), *map(line, rows)])

    __repr__ = __str__

    def __rich__(self) -> RichTable:
        try:
            from rich import box, table
            from rich.text import Text
        except ImportError as error:
            raise ImportError("rich is not here: pip install 'lrcore[cli]'") from error
        names, rows = self._table()
        shown = table.Table(title=Text(_short(self.schedule)), title_justify="left", box=box.SIMPLE, pad_edge=False)
        shown.caption = self._heading()
        for at, name in enumerate(names):
            shown.add_column(
                name,
                justify="right" if name else "left",
                no_wrap=bool(name) or not at,
                min_width=16 * (at > 1 and not name),
            )
        for row in rows:
            shown.add_row(*map(Text, row))
        return shown

    def _repr_html_(self) -> str:
        names, rows = self._table()
        heading = f"<code>{escape(_short(self.schedule))}</code><br>{escape(self._heading())}"
        head = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in names)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
            for row in rows
        )
        return (
            f"<table><caption>{heading}</caption><thead><tr>{head}</tr></thead>"
            f'<tbody style="font-variant-numeric: tabular-nums">{body}</tbody></table>'
        )


def explain(schedule: Schedule, n: int | None = None, *, steps_per_epoch: int | None = None) -> Explanation:
    """What a person would check of a schedule: its first values, boundaries, peak, end, mean and total.

    Long pieces are not evaluated step by step: ten million updates take milliseconds.

    Args:
        schedule: the schedule.
        n: updates of the run, >= 1; by default the schedule's length.
        steps_per_epoch: updates of an epoch, for a column in epochs; by default what the schedule was bound
            with.

    Returns:
        An `Explanation`: print it, look at it in a notebook, or take its `to_dict()`.

    Raises:
        TypeError, ValueError: arguments outside of these; no `n` for a schedule that never ends or never
            moves.
        UnboundError: a schedule with durations in units that are not bound yet.

    Example:
        >>> from lrcore import explain, warmup_cosine
        >>> found = explain(warmup_cosine(peak_value=0.1, end_value=0.0, warmup_steps=100, steps=1000))
        >>> found.peak, found.warmup_steps, found.last.step
        (Point(step=100, value=0.1), 100, 999)
        >>> print(found)
        Sequence(parts=((Linear(init_value=0.0, end_value=0.1, steps=100), 100), ...
        1,000 updates
                        step  before        value      after
        first update       0                    0
        second update      1                0.001
        boundary         100   0.099          0.1  0.0999997
        peak             100                  0.1             after 100 updates of warm-up
        lowest             0                    0
        last update      999          3.04617e-07             3.05e-06 of the peak
        past the end   1,000                    0
        mean                                 0.05             0.5 of the peak
        total                                  50             updates × learning rate
    """
    n, steps_per_epoch = asked(schedule, n, steps_per_epoch)
    survey = Survey(schedule, n)
    found = [piece for piece in survey.pieces if piece.begin and piece.label != "inside"]
    peak, lowest = survey.highest, survey.lowest
    steps = [0, min(1, n - 1), n - 1, n, LAST_STEP]
    first, second, last, past_end, far = map(Point, steps, schedule(np.array(steps)).tolist())
    return Explanation(
        schedule=schedule,
        n=n,
        steps_per_epoch=steps_per_epoch,
        first=first,
        second=second if n > 1 else None,
        corners=_corners(schedule, found[:MAX_CORNERS]),
        corners_left_out=len(found[MAX_CORNERS:]),
        dense=tuple((piece.begin, piece.end, piece.period) for piece in survey.pieces if piece.form == ROUGH),
        peak=Point(peak.step, peak.value),
        lowest=Point(lowest.step, lowest.value),
        last=last,
        past_end=past_end,
        far=far,
        mean=survey.total / n,
        total=survey.total,
        warmup_steps=survey.warmup_steps,
        peak_steps=_peak_steps(survey),
        is_sampled=survey.is_sampled,
    )


def _corners(schedule: Schedule, found: list[Piece]) -> tuple[Corner, ...]:
    steps = np.array([[piece.begin + by for piece in found] for by in (-1, 0, 1)], dtype=np.int64)
    before, at, after = schedule(np.minimum(steps, LAST_STEP)).tolist()
    labels = [piece.label for piece in found]
    return tuple(map(Corner, steps[1].tolist(), labels, before, at, after))


def _peak_steps(survey: Survey) -> int:
    """How far the value of the peak goes on from its first step."""
    peak = survey.highest
    end = peak.step
    for piece in survey.pieces:
        if piece.end > end:
            stop = _holds_until(survey, piece, end)
            if stop < piece.end:
                return stop - peak.step
            end = stop
    return end - peak.step


def _holds_until(survey: Survey, piece: Piece, begin: int) -> int:
    """The first step of a piece, from `begin` on, that is not at the peak; the piece's end if there is none."""
    schedule, peak, end = survey.schedule, survey.highest.value, piece.end
    if piece.form == CONSTANT:
        return end if schedule(begin) == peak else begin
    if piece.period:  # what it repeats need not be looked at again
        end = min(end, begin + piece.period)
    first, count = begin, 64  # most go on for one step, or for long
    while begin < end:
        is_long = count > CHUNK if piece.direction is not None else begin - first > SCANNED
        if is_long:  # it goes one way, as far as is known: where it leaves the peak, it does for good
            return begin + bisect_left(range(begin, piece.end), True, key=lambda step: schedule(step) < peak)
        values = schedule.table(min(count, end - begin), begin)
        below = values < peak
        if below.any():
            return begin + int(below.argmax())
        begin += values.size
        count = min(4 * count, 4 * CHUNK)
    return piece.end


def _placed(point: Point) -> tuple[int, None, float]:
    return point.step, None, point.value


def _count(number: int | None) -> str:
    return "" if number is None else "2**53 - 1" if number == LAST_STEP else f"{number:,}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _updates(count: int | None) -> str:
    return f"{count:,} update{'s' * (count != 1)}"


def written(schedule: Schedule) -> str:
    """Its repr, unless that would hold a long table."""
    return f"{type(schedule).__name__}(...)" if _has_long_table(schedule) else repr(schedule)


def _has_long_table(schedule: Schedule) -> bool:
    if isinstance(schedule, Table):
        return len(schedule.values) > LONG_TABLE
    return any(map(_has_long_table, schedule._children()))


def _short(schedule: Schedule) -> str:
    text = written(schedule)
    return text if len(text) <= 80 else f"{text[:76].rstrip()} ..."
