"""Replanning: another length for a run that is already going, without a surprise at the step where it happens.

The plan S of a run of T updates becomes one of N updates at step k. Up to k the new schedule is the old one, by
construction: it begins with the old one's own parts. From k on there are three answers to "stretch what is left", which
differ in what they keep. With f = (N - c) / (T - c), where c is the step at which the phase in progress began:

(a) "position": the phase in progress and those after it are stretched by f about c. It is the schedule that a new
    `steps=` would have given, and the value jumps to it at k.
(b) "value": the phase in progress, stretched like that, is mapped in value (linearly, about the value at its end) so
    that it starts from the value of the old schedule. The phases after it are those of "position", so a warm-up still
    rises to the same peak. An exponential decay is mapped in its logarithm, and stays one. A phase that the new plan
    would have ended by k is not skipped: what is left is stretched as in (c).
(c) "shape": what is left is stretched about k, by (N - k) / (T - k).

Products, sums, scales and clips are replanned inside: each factor has phases of its own. Everything here composes
nodes; their values are the engine's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from lrcore import _check
from lrcore._check import END_OF_STEPS
from lrcore._phases import (
    BESIDE,
    ENDING,
    Part,
    Phase,
    cut,
    half_up,
    is_flat,
    is_usable,
    joined,
    moved,
    phases,
    scaled_by,
    stretched,
    with_children,
)
from lrcore.compose import Scale, Shift, Stretch, Sum
from lrcore.curves import Constant, Cosine, Exponential, Linear, Polynomial
from lrcore.decays import ExponentialDecay, InverseTimeDecay, NaturalExpDecay
from lrcore.schedule import RoundingWarning, Schedule

KEEPS = ("value", "position", "shape")
SAMPLES = 4096  # steps of a mapped phase that are looked at for values outside of the old one's

_at = _check.whole(0)
_steps = _check.whole(1)
_keep = _check.choice(*KEEPS)


class JumpWarning(UserWarning):
    """The value of a replanned schedule jumps where it leaves the old one."""


@dataclass(frozen=True, slots=True)
class Jump:
    """What replanning does to the value at a step.

    Args:
        step: the step.
        old_value: of the old schedule, there.
        new_value: of the new one, there.
        own_step: the larger of the old schedule's own changes from one step to the next, before `step` and after it.
    """

    step: int
    old_value: float
    new_value: float
    own_step: float

    @property
    def is_real(self) -> bool:
        """Whether the value changes by more than the old schedule would have changed it, and more than rounding."""
        rounding = 4 * float(np.spacing(max(abs(self.old_value), abs(self.new_value))))
        return abs(self.new_value - self.old_value) > self.own_step + rounding

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `factor` is None where the old value is 0."""
        factor = self.new_value / self.old_value if self.old_value else None
        return {**asdict(self), "factor": factor, "is_real": self.is_real}

    def __str__(self) -> str:
        change = f"from {self.old_value:.6g} to {self.new_value:.6g}"
        factor = f" (x {self.new_value / self.old_value:.3g})" if self.old_value else ""
        return f"the value jumps at step {self.step} {change}{factor}"


def jump_at(old: Schedule, new: Schedule, step: int) -> Jump:
    """How the value of `new` at a step compares with that of `old`.

    Args:
        old: the schedule before it was replanned.
        new: the one after it.
        step: an int in [0, 2**53 - 1).

    Raises:
        TypeError, ValueError: a step outside of these.

    Example:
        >>> from lrcore import Linear
        >>> print(jump_at(Linear(1.0, 0.0, 4), Linear(1.0, 0.0, 8), 2))
        the value jumps at step 2 from 0.5 to 0.75 (x 1.5)
    """
    step = _check.whole(0, END_OF_STEPS - 2)("jump_at.step", step)
    around = old.table(3 if step else 2, max(step - 1, 0))
    return Jump(step, old(step), new(step), float(np.abs(np.diff(around)).max()))


def replan(schedule: Schedule, at: int, total_steps: int, keep: str = "value", *, n: int | None = None) -> Schedule:
    """Another length for a run that has already done `at` updates: longer, shorter, or a branch of it.

    The result equals the old schedule at every step before `at`, to the bit, and has the old schedule's end value at
    step `total_steps`. Phases that were over by then stay as they are: a warm-up that is done stays done. The phase in
    progress and those after it are stretched, so that the whole ends at `total_steps`. A cycle is a phase too: cycles
    stay as many, and those to come become longer.

    | keep | the phase in progress | at step `at` |
    |---|---|---|
    | `"value"` | as if planned for the new length, lowered or raised to start from the value it has | continuous |
    | `"position"` | as if planned for the new length: what a changed `T_max` gives | jumps, maybe: see `JumpWarning` |
    | `"shape"` | what is left of it, in slow motion or fast | continuous |

    With "value" and "shape" the end value holds from `total_steps` on, even where the old schedule goes on: that run is
    over. A schedule of the length that it has is left as it is. With "position" it goes on as the new plan does.

    A run can become so short that the new plan would be through with the phase in progress by `at`. Then "value" does
    not skip it, but does what "shape" does: what is left of a warm-up still rises to the peak, faster.

    For lines, polynomials and exponential decays "value" and "shape" are the same; a cosine that is extended goes on
    gently with "value", and as steeply as it was (times the stretch) with "shape".

    Args:
        schedule: the old plan.
        at: updates that are done, k. The update that follows is the first one of the new plan.
        total_steps: updates of the whole run, from its start, > `at`.
        keep: see above.
        n: updates of the old plan. None: `schedule.length`. Needed where a schedule never ends, and where the run was
            meant to go on after its value had begun to hold.

    Returns:
        A schedule; the old one itself if `total_steps` is the length that it has.

    Raises:
        UnboundError: a schedule with units that are not bound yet.
        TypeError, ValueError: arguments outside of these; an unknown length; a run that is over by `at` (unless with
            keep="position"); a value that "value" cannot keep, since the new plan is already at its end there, or goes
            up from there where it would have to go down, or down for up.

    Phases end on whole updates; a `RoundingWarning` says which were rounded.

    Also known as: changing `T_max` or `total_steps` on resume, where torch's `load_state_dict` brings the old one back.

    Example:
        >>> from lrcore import warmup_cosine, wsd
        >>> schedule = warmup_cosine(0.1, 0.0, 100, 1000)
        >>> longer = replan(schedule, at=550, total_steps=2000)
        >>> longer(50), longer(550) == schedule(550), longer(2000)
        (0.05, True, 0.0)
        >>> replan(wsd(0.1, 100, 1000, decay_steps=200), at=500, total_steps=1900).length
        1900
    """
    at = _at("replan.at", at)
    new = _steps("replan.total_steps", total_steps)
    keep = _keep("replan.keep", keep)
    if new <= at:
        _check.refuse("replan.total_steps", f"more than the {at} updates that are done", new)
    old = _planned(schedule, n)
    if old in (0, new):  # a constant has no length to change
        return schedule
    if at >= old and keep != "position":
        longer = ", or say by n= how long the run was meant to be, if it holds its last value from there on"
        raise ValueError(
            f"replan.at: expected a step before the end of the run at {old}, got {at}, where nothing is left to go on "
            f"with: use keep='position', which plans the phase anew (and may jump), or append another phase by "
            f"Sequence([(schedule, {at}), ...]){longer if n is None else ''}"
        )
    rounded: list[str] = []
    try:
        found = _Replanning(keep, rounded).whole(schedule, at, old, new)
        if schedule.length is not None and schedule.length <= old:
            found = _held(found, new, schedule, old)
    except ValueError as error:  # of a node: a value or a factor beyond what one may hold
        if str(error).startswith("replan."):
            raise
        raise ValueError(f"replan.total_steps: expected a plan that a schedule can hold, got {error}") from error
    if rounded:
        warnings.warn(f"replan rounds {', '.join(dict.fromkeys(rounded))}", RoundingWarning, stacklevel=3)
    jump = jump_at(schedule, found, at)
    if jump.is_real:
        warnings.warn(f"replan: {jump}", JumpWarning, stacklevel=3)
    return found._with_hints(steps_per_epoch=schedule.steps_per_epoch)


def _planned(schedule: Schedule, n: int | None) -> int:
    """Updates of the old plan."""
    length = schedule.length
    if n is not None:
        return int(_steps("replan.n", n))
    if length is None:
        never_ends = f"the length of the run as it was planned, since {type(schedule).__name__} never ends"
        _check.refuse("replan.n", never_ends, n)
    return length


def _held(found: Schedule, new: int, schedule: Schedule, old: int) -> Schedule:
    """The end value of the old run from step `new` on, whatever would come after it.

    A mapped phase would leave the values of the old plan there, and one that is squeezed to no update comes to its end
    later.
    """
    end, reached = schedule(old), found.length
    if (reached is not None and reached <= new) or not is_usable(end):
        return found
    return joined([*cut(found, new), (Constant(end), None)])


@dataclass(frozen=True)
class _Replanning:
    """What is kept, and a note of each boundary that was rounded. Steps are local to the node that is looked at."""

    keep: str
    rounded: list[str]

    def whole(self, node: Schedule, at: int, old: int, new: int) -> Schedule:
        """The old node up to `at`, and the new plan after it."""
        if isinstance(node, BESIDE):
            return with_children(node, [self.whole(child, at, old, new) for child in node._children()])
        found = phases(node, at)
        if len(found) == 1 and is_flat(found[0].node):
            return node
        tail = self.tail(node, at, old, new)
        head = at
        if self.keep != "position" and tail[0][0](0) != node(at):
            # The mapped value is an ulp off, or a sixth of a step: let the old schedule answer for this step too.
            head, tail = at + 1, _without_first(tail)
        made = joined([*cut(node, head), *tail])
        return made if self.keep == "position" else _held(made, new, node, old)

    def tail(self, node: Schedule, at: int, old: int, new: int) -> list[Part]:
        """The new plan from step `at` on, as parts."""
        if isinstance(node, Shift) and at + node.n >= 0:
            return self.tail(node.schedule, at + node.n, old + node.n, new + node.n)
        if isinstance(node, Stretch) and isinstance(node.schedule, BESIDE):
            node = stretched(node.schedule, Fraction(repr(node.factor)))
        if isinstance(node, BESIDE):
            return [(with_children(node, [joined(self.tail(child, at, old, new)) for child in node._children()]), None)]
        found = phases(node, at)
        origin = at if self.keep == "shape" else found[0].begin
        if old <= origin:
            raise ValueError(
                f"replan.n: expected a run that ends within or after the phase in progress, which began at step "
                f"{origin}, got {old}"
            )
        place = partial(_place, origin=origin, factor=Fraction(new - origin, old - origin))
        ends = [None if phase.end is None else half_up(place(phase.end)) for phase in found]
        if self.keep == "value" and ends[0] is not None and ends[0] <= at:  # it would never come to its end value
            return replace(self, keep="shape").tail(node, at, old, new)
        self._note(found, place)
        first = next(number for number, end in enumerate(ends) if end is None or end > at)
        parts = [(self._progressing(found, first, at, old, node, place), self._left(at, ends[first]))]
        for phase, begin, end in zip(found[first + 1 :], ends[first:], ends[first + 1 :], strict=False):
            assert begin is not None
            parts.append((self._stretched(phase, place), self._left(begin, end)))
        return parts

    @staticmethod
    def _left(begin: int, end: int | None) -> int | None:
        return None if end is None else end - begin

    def _note(self, found: list[Phase], place: Callable[[int], Fraction]) -> None:
        for end in (phase.end for phase in found if phase.end is not None):
            if place(end).denominator != 1:
                self.rounded.append(f"the end of a phase at {end} to {half_up(place(end))} ({float(place(end)):.12g})")

    def _stretched(self, phase: Phase, place: Callable[[int], Fraction]) -> Schedule:
        """A phase in the time of the new plan: as much as its rounded ends say."""
        factor = place(1) - place(0)
        if phase.end is not None:
            begin, end = half_up(place(phase.begin)), half_up(place(phase.end))
            factor = Fraction(max(end - begin, 1), phase.end - phase.begin)
        found = stretched(phase.node, factor)
        if factor != 1 and not isinstance(phase.node, ENDING):
            self.rounded.extend(phase.node._rounded_durations(float(factor)))
        return found

    def _progressing(
        self, found: list[Phase], number: int, at: int, old: int, node: Schedule, place: Callable[[int], Fraction]
    ) -> Schedule:
        """What the new plan does from `at` on, in the phase that is in progress there."""
        phase = found[number]
        begin = half_up(place(phase.begin)) if number else phase.begin
        last = old if phase.end is None else min(old, phase.end)
        span = half_up(place(last)) - begin  # in the new plan
        if number == 0 and isinstance(phase.node, BESIDE) and not _mapping_in(phase.node):
            inner = (at - begin, last - begin, span)
            return joined(_Replanning(self.keep, self.rounded).tail(phase.node, *inner))
        if self.keep == "shape" and number == 0:
            return self._rest(phase, at, last, half_up(place(last)) - at)
        planned = self._stretched(phase, place)
        if self.keep == "value":
            return toward(planned, at - begin, span, node(at))
        return moved(planned, at - begin)

    def _rest(self, phase: Phase, at: int, last: int, steps: int) -> Schedule:
        """What is left of a phase, stretched to so many steps."""
        node, done, value = phase.node, at - phase.begin, phase.node(at - phase.begin)
        factor = Fraction(steps, last - at)
        if isinstance(node, ENDING):
            left = half_up((node.steps - done) * factor)
            if left <= 0:
                return Constant(node(node.steps))
            if not isinstance(node, Cosine):
                return _from(node, value, node.end_value, left) or moved(
                    stretched(node, factor), half_up(done * factor)
                )
            passed = half_up(done * factor)
            return toward(replace(node, steps=passed + left), passed, passed + left, value)
        self.rounded.extend([] if factor == 1 else node._rounded_durations(float(factor)))
        return stretched(moved(node, done), factor)


def _place(step: int, origin: int, factor: Fraction) -> Fraction:
    """Where a step of the old plan comes to stand."""
    return origin + (step - origin) * factor


def _without_first(tail: list[Part]) -> list[Part]:
    """A tail from its second step on."""
    (node, steps), *later = tail
    return [(moved(node, 1), None if steps is None else steps - 1), *later]


# ---- Mapping the values of a phase ----


def toward(node: Schedule, done: int, steps: int, value: float) -> Schedule:
    """The rest of a phase from its step `done`, mapped so that it starts at `value` and has the same end at `steps`."""
    here, end = node(done), node(steps)
    if here == value:
        return moved(node, done)
    if value == end:
        return Constant(end)
    if here == end:
        raise ValueError(
            f"replan.keep: expected 'position' or 'shape', since the new plan has already come to the end of its phase "
            f"({end:.6g}) at this step and cannot go there from {value:.6g}, got 'value'"
        )
    if (value > end) != (here > end):
        raise ValueError(
            f"replan.keep: expected 'position' or 'shape', since the new plan goes from {here:.6g} at this step to "
            f"{end:.6g} at the end of its phase, and mapped so that it starts from {value:.6g} it would be upside "
            f"down, got 'value'"
        )
    if not (isinstance(node, ENDING) and node.steps != steps) and (found := _from(node, value, end, steps - done)):
        return found
    ratio = (value - end) / (here - end)
    if isinstance(node, (Linear, Cosine, Polynomial)):
        init, last = end + (node.init_value - end) * ratio, node.end_value
        last = last if last == end else end + (last - end) * ratio
        if is_usable(init) and is_usable(last):
            return moved(replace(node, init_value=init, end_value=last), done)
    return _mapped(node, done, end, ratio, steps - done)


def _from(node: Schedule, value: float, end: float, steps: int) -> Schedule | None:
    """The same kind of curve from one value to another, for kinds of which each rest is one of its kind."""
    if not (is_usable(value) and is_usable(end)):
        return None
    if isinstance(node, (Linear, Polynomial)):
        return replace(node, init_value=value, end_value=end, steps=steps)
    ratio = end / value if value else 0.0
    if ratio <= 0.0 or not is_usable(ratio):
        return None
    if isinstance(node, Exponential):
        return Exponential(value, end, steps)
    if isinstance(node, (ExponentialDecay, NaturalExpDecay)):
        return ExponentialDecay(value, ratio, steps)
    return InverseTimeDecay(value, 1 / ratio - 1, steps) if isinstance(node, InverseTimeDecay) and ratio < 1 else None


def _mapped(node: Schedule, done: int, end: float, ratio: float, steps: int) -> Schedule:
    """`end + (node - end) * ratio` from its step `done` on, if that stays within the values that it has on its way."""
    before = moved(node, done)
    inner, factor = _mapping_in(node) or (node, 1.0)  # a map of a map is one map
    inner, factor = moved(inner, done), factor * ratio
    last = inner(steps)
    if not (is_usable(last) and is_usable(end) and is_usable(factor)):
        raise ValueError(
            f"replan.keep: expected 'position' or 'shape', since a value is too close to 0 or too far from it to map "
            f"the phase that ends at {end:.6g}, got 'value'"
        )
    found = scaled_by(inner, factor) if last == end == 0.0 else scaled_by(inner + -last, factor) + end
    looked_at = np.linspace(0, steps, min(steps + 1, SAMPLES)).astype(np.int64)
    were, are, first = before(looked_at), found(looked_at), found(0)
    low, high = min(float(were.min()), first), max(float(were.max()), first)
    room = 8 * float(np.spacing(max(abs(low), abs(high))))
    worst = float(are.max()) if float(are.max()) > high + room else float(are.min())
    if not low - room <= worst <= high + room:
        raise ValueError(
            f"replan.keep: expected 'position' or 'shape', since keeping the value would take this phase to {worst:.6g}"
            f", outside of its values from {low:.6g} to {high:.6g}, got 'value'"
        )
    return found


def _mapping_in(node: Schedule) -> tuple[Schedule, float] | None:
    """What `_mapped` has made: the schedule in it, and the factor."""
    match node:
        case Sum(terms=(Scale(schedule=Sum(terms=(inner, Constant())), factor=factor), Constant())):
            return inner, factor
    return None
