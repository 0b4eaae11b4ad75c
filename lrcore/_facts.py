"""What the rules of `lint` ask about a run, each found when a rule first asks; and where rules are entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from lrcore import _anatomy
from lrcore._findings import Finding
from lrcore._origin import Origin
from lrcore._pieces import ROUGH, Piece, Walk
from lrcore._survey import Survey
from lrcore.compose import Product, Scale, Sequence, Sum
from lrcore.curves import Interpolate, Piecewise
from lrcore.cycles import Cycle
from lrcore.schedule import LAST_STEP, Schedule

Rule = Callable[["Facts"], Iterator[Finding]]
RULES: dict[str, Rule] = {}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Enters a rule under the name of its findings."""

    def enter(function: Rule) -> Rule:
        RULES[name] = function
        return function

    return enter


class Facts:
    """What the rules ask about a run. Each fact is found when a rule first asks."""

    def __init__(
        self, schedule: Schedule, n: int, steps_per_epoch: int | None, jump: float, *, is_length: bool = False
    ) -> None:
        self.schedule = schedule
        self.n = n
        self.is_length = is_length  # nobody said n: it is the schedule's own length
        self.steps_per_epoch = steps_per_epoch
        self.survey = Survey(schedule, n, jump=jump * (1.0 + 1e-9))  # 0.1 to 0.01 is a factor of 10, not more
        self.first = schedule(0)
        self.last = schedule(n - 1)
        self.past_end = schedule(n)
        self.peak = self.survey.highest.value
        self.lowest = self.survey.lowest.value
        self.length = schedule.length

    @property
    def ends_by_plan(self) -> bool:
        """What begins right at step n is what stands past the end, and no phase that the run misses."""
        return self.is_length or self.past_end == self.last

    @cached_property
    def nodes(self) -> list[Schedule]:
        """The tree, each node once."""
        found: dict[int, Schedule] = {}
        todo = [self.schedule]
        while todo:
            node = todo.pop()
            if id(node) not in found:
                found[id(node)] = node
                todo.extend(node._children())
        return list(found.values())

    @cached_property
    def origins(self) -> list[Origin]:
        """Of the schedules in the tree that were converted from another library, each once."""
        return list(dict.fromkeys(node.origin for node in self.nodes if node.origin is not None))

    @cached_property
    def durations(self) -> list[int]:
        """Every duration of the tree, in updates."""
        return sorted(number for node in self.nodes for number in _durations(node))

    @cached_property
    def is_decayed(self) -> bool:
        """Whether the run ends well below its peak."""
        return self.last < 0.5 * self.peak

    @cached_property
    def rest(self) -> Piece:
        """The piece that holds the last update, as far as it goes on after the run."""
        end = min(2 * self.n + 1, LAST_STEP)
        return _anatomy.first_piece(self.schedule, self.n - 1, end)

    @cached_property
    def last_cycle(self) -> list[tuple[int, int]]:
        """Begin and end of the cycle that the run ends in, if it is not the first one."""
        begin = None
        for piece in reversed(self.survey.pieces):
            if piece.form == ROUGH and piece.period:
                begin = self.n - 1 - (self.n - 1 - piece.begin) % piece.period
                return [(begin, min(begin + piece.period, LAST_STEP))]
            if piece.label == "restart":
                begin = piece.begin
                break
            if piece.label == "boundary" and not any(isinstance(node, Cycle) for node in self.nodes):
                return []
        if begin is None:
            return []
        horizon = min(self.n + 128 * (self.n - begin) + begin, LAST_STEP)
        stop = self.n
        while stop < horizon:  # most cycles end soon, and what comes after is not walked
            stop = min(begin + 4 * (stop - begin), horizon)
            for piece in Walk().over(self.schedule, 1.0, begin, stop)[1:]:
                if piece.label in ("restart", "end"):
                    return [(begin, piece.begin)]
        return []

    def of_peak(self, value: float) -> str:
        """A value as a share of the peak, if there is one above 0."""
        if self.peak <= 0.0:
            return f"{value:.6g}"
        return f"{value / self.peak:.3g} of its peak"


def _durations(node: Schedule) -> Iterator[int]:
    if isinstance(node, Sequence):
        yield from (steps for _, steps in node.parts[:-1])
    elif isinstance(node, Interpolate):
        yield int(node.points[-1][0])
    elif isinstance(node, Cycle):
        yield node._first_length()
    else:
        for name in ("steps", "every"):
            if hasattr(node, name):
                yield getattr(node, name)
        if isinstance(node, Piecewise):
            yield int(node.boundaries[-1])


def placed(node: Schedule, offset: int = 0) -> Iterator[tuple[int, Schedule]]:
    """The nodes whose own time is that of the run, moved: with the step at which they begin."""
    yield offset, node
    if isinstance(node, Sequence):
        for begin, child in node._stages():
            yield from placed(child, offset + begin)
    elif isinstance(node, (Product, Sum, Scale)):
        for child in node._children():
            yield from placed(child, offset)
