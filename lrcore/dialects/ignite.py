"""ignite.handlers, by its own names. What says where a value goes and not what it is (`optimizer`, `param_name`,
`param_group_index`, `save_history`, `create_new`) is left out.

t counts the events that a scheduler is attached to. With the default, ITERATION_STARTED, the value is set before the
update, so update number 0 has f(0). `*StateScheduler` sets an attribute of the engine's state once t events are
completed: update number 0 has what stood there before, and update t > 0 has f(t). `LRScheduler` of a torch scheduler is
that scheduler itself, and `BatchSizeScheduler` is `LambdaStateScheduler` of whole numbers; what hangs on a metric
(`ReduceLROnPlateauScheduler`) is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence as Listed
from itertools import pairwise
from typing import Any

from lrcore import _check
from lrcore._check import END_OF_STEPS, SMALLEST, flag, positive, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Cosine, Interpolate, Linear
from lrcore.cycles import MAX_CYCLES, Cycle, check_period_mult
from lrcore.decays import ExponentialDecay
from lrcore.dialects._dialect import many, optional, peer
from lrcore.dialects._torchlike import Factors, drops_at, factors, factors_over
from lrcore.functions import Line
from lrcore.schedule import Schedule, is_schedule

__all__ = [
    "ConcatScheduler",
    "CosineAnnealingScheduler",
    "ExpStateScheduler",
    "LambdaStateScheduler",
    "LinearCyclicalScheduler",
    "MultiStepStateScheduler",
    "ParamGroupScheduler",
    "PiecewiseLinear",
    "PiecewiseLinearStateScheduler",
    "StepStateScheduler",
    "create_lr_scheduler_with_warmup",
]

Shape = Callable[[float, float, int], Schedule]  # of start_value, end_value and cycle_size

_CYCLE: dict[str, Any] = {
    "start_value": value,
    "end_value": value,
    "cycle_size": whole(2),
    "cycle_mult": check_period_mult,
    "start_value_mult": positive,
    "end_value_mult": positive,
    "warmup_duration": whole(0),
}


def _cycles(
    name: str,
    shape: Shape,
    values: tuple[float, float],
    size: int,
    cycle_mult: float,
    value_mults: tuple[float, float],
    warmup: int,
) -> Schedule:
    """Endless cycles. Each is a sum of what start_value and end_value do in it, and these grow by different factors."""
    start, end = values
    if value_mults[0] == value_mults[1]:
        return _growing(name, _with_warmup(shape, value_mults[0]), start, end, size, cycle_mult, value_mults[0], warmup)
    rise = _with_warmup(shape, value_mults[0])
    first = _growing(name, rise, start, 0.0, size, cycle_mult, value_mults[0], warmup)
    return first + _growing(name, rise, 0.0, end, size, cycle_mult, value_mults[1], warmup)


def _with_warmup(shape: Shape, start_mult: float) -> Callable[[float, float, int, int], Schedule]:
    """A cycle, and a line from its end to the start of the next."""

    def cycle(start: float, end: float, size: int, warmup: int) -> Schedule:
        made = shape(start, end, size)
        return Sequence([(made, size), Linear(end, _not_tiny(start * start_mult), warmup)]) if warmup else made

    return cycle


def _not_tiny(product: float) -> float:
    """A product of many factors that is below all that a learning rate can be is 0."""
    return product if abs(product) >= SMALLEST else 0.0


def _growing(
    name: str,
    cycle: Callable[[float, float, int, int], Schedule],
    start: float,
    end: float,
    size: int,
    cycle_mult: float,
    value_mult: float,
    warmup: int,
) -> Schedule:
    """Ignite cuts each length to an int, so cycles of a cycle_mult that is not whole are listed one by one."""
    if cycle_mult == int(cycle_mult):
        return Cycle(cycle(start, end, size, warmup), size + warmup, int(cycle_mult), value_mult)
    parts: list[Any] = []
    begin, height = 0, 1.0
    while begin < END_OF_STEPS and len(parts) < MAX_CYCLES:
        longer = (int(size * cycle_mult), int(warmup * cycle_mult))
        made = cycle(_not_tiny(start * height), _not_tiny(end * height), size, warmup)
        if longer == (size, warmup):  # too short to grow
            return Sequence([*parts, Cycle(made, size + warmup, value_mult=value_mult)])
        parts.append((made, size + warmup))
        begin, height, (size, warmup) = begin + size + warmup, height * value_mult, longer
        if not _check.SMALLEST <= height * max(abs(start), abs(end), 1e-50) <= _check.LARGEST:
            break
    if len(parts) == MAX_CYCLES:
        _check.refuse(
            f"{name}.cycle_mult", f"1, or a factor with at most {MAX_CYCLES} cycles in 2**53 steps", cycle_mult
        )
    return Sequence([*parts[:-1], parts[-1][0]])


@peer(
    "end_value + (start_value - end_value) * abs(t / cycle_size - 1/2) * 2, or with monotonic start_value + "
    "(end_value - start_value) * t / cycle_size; t from the begin of the cycle, the next one cycle_mult times as long",
    "end_value in the middle of a cycle, or at its end, where the next one has begun; with warmup_duration a cycle "
    "does reach its end, and then goes in a line to the next start; never ends",
    **_CYCLE,
    monotonic=flag,
)
def LinearCyclicalScheduler(
    start_value: float,
    end_value: float,
    cycle_size: int,
    cycle_mult: float = 1.0,
    start_value_mult: float = 1.0,
    end_value_mult: float = 1.0,
    warmup_duration: int = 0,
    *,
    monotonic: bool = False,
) -> Schedule:
    """From one value to another and back in straight lines, or only there: lrcore's `triangular`.

    Lengths of cycles are cut to an int, as in Ignite. A cycle_mult below 1, with which Ignite comes to a cycle of no
    update and divides by zero, is refused, and so are multipliers of values that are not above 0.

    Raises:
        ValueError: a warmup_duration without monotonic.

    Example:
        >>> LinearCyclicalScheduler(0.0, 1.0, 4).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
        >>> LinearCyclicalScheduler(0.0, 1.0, 2, warmup_duration=2, monotonic=True).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """
    name = "LinearCyclicalScheduler"
    if warmup_duration and not monotonic:
        _check.refuse(f"{name}.warmup_duration", "0 without monotonic", warmup_duration)
    shape: Shape = Linear if monotonic else _there_and_back
    mults = (start_value_mult, end_value_mult)
    return _cycles(name, shape, (start_value, end_value), cycle_size, cycle_mult, mults, warmup_duration)


def _there_and_back(start: float, end: float, size: int) -> Schedule:
    """The middle of an odd cycle is between two updates, so its two lines have no step where one follows the other."""
    if size % 2 == 0:
        return Linear(start, end, size // 2) >> Linear(end, start, size // 2)
    far = Line(1.0, -1.0, size).clip(min=0.0) + Line(-1.0, 1.0, size).clip(min=0.0)
    return _not_tiny(start - end) * far + end


@peer(
    "start_value + (end_value - start_value) * (1 - cos(pi * t / cycle_size)) / 2; t from the begin of the cycle, the "
    "next one cycle_mult times as long",
    "end_value at the end of a cycle, where the next one has begun; with warmup_duration a cycle does reach its end, "
    "and then goes in a line to the next start; never ends",
    **_CYCLE,
)
def CosineAnnealingScheduler(
    start_value: float,
    end_value: float,
    cycle_size: int,
    cycle_mult: float = 1.0,
    start_value_mult: float = 1.0,
    end_value_mult: float = 1.0,
    warmup_duration: int = 0,
) -> Schedule:
    """Half cosine waves with restarts: lrcore's `sgdr`, with a floor that may change from cycle to cycle.

    Lengths of cycles are cut to an int, as in Ignite. What is refused is what `LinearCyclicalScheduler` refuses.

    Example:
        >>> CosineAnnealingScheduler(1.0, 0.0, 2, end_value_mult=0.5).table(4).tolist()
        [1.0, 0.5, 1.0, 0.5]
        >>> CosineAnnealingScheduler(1.0, 0.0, 2, warmup_duration=2).table(6).tolist()
        [1.0, 0.5, 0.0, 0.5, 1.0, 0.5]
    """
    mults, values = (start_value_mult, end_value_mult), (start_value, end_value)
    return _cycles("CosineAnnealingScheduler", Cosine, values, cycle_size, cycle_mult, mults, warmup_duration)


def _milestones(where: str, given: Any) -> list[tuple[int, float]]:
    points = []
    for at, item in enumerate(_check.items(where, given, "(event, value) pairs")):
        pair = _check.items(f"{where}[{at}]", item, "an event and a value")
        if len(pair) != 2:
            _check.refuse(f"{where}[{at}]", "an event and a value", item)
        points.append((whole(0)(f"{where}[{at}][0]", pair[0]), value(f"{where}[{at}][1]", pair[1])))
    for at, (one, other) in enumerate(pairwise(points)):
        if other[0] < one[0]:
            _check.refuse(f"{where}[{at + 1}][0]", f"an event not before the last one, {one[0]}", other[0])
    return points or _check.refuse(where, "at least one (event, value) pair", given)


@peer(
    "through the points (milestone, value) by straight lines",
    "the first value before the first milestone, the last after the last; of two values at one milestone, the second "
    "is that of the milestone",
    milestones_values=_milestones,
)
def PiecewiseLinear(milestones_values: Listed[tuple[int, float]]) -> Schedule:
    """Straight lines through points: lrcore's `Interpolate`, which has no jumps.

    Example:
        >>> PiecewiseLinear([(1, 1.0), (3, 0.5), (3, 0.25), (5, 0.0)]).table(7).tolist()
        [1.0, 1.0, 0.75, 0.25, 0.125, 0.0, 0.0]
    """
    return _through(milestones_values)


def _through(points: Listed[tuple[int, float]]) -> Schedule:
    if all(one[0] < other[0] for one, other in pairwise(points)):
        return Interpolate(points)
    parts: list[Any] = [(points[0][1], points[0][0])]
    for (begin, init), (end, last) in pairwise(points):
        if begin < end:
            parts.append((Linear(init, last, end - begin), end - begin))
    return Sequence([*parts, points[-1][1]])


@peer(
    "schedulers[i](t - durations[0] - ... - durations[i - 1])",
    "each scheduler begins from its own event 0",
    schedulers=many(is_schedule, "schedules"),
    durations=many(whole(1), "numbers of events"),
)
def ConcatScheduler(schedulers: Listed[Schedule], durations: Listed[int]) -> Schedule:
    """One schedule after another: lrcore's `Sequence`.

    Example:
        >>> up, down = LinearCyclicalScheduler(0.0, 1.0, 4), PiecewiseLinear([(0, 1.0), (2, 0.0)])
        >>> ConcatScheduler([up, down], [2]).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if len(schedulers) < 2 or len(durations) != len(schedulers) - 1:
        counts = (len(schedulers), len(durations))
        _check.refuse("ConcatScheduler.durations", "two schedulers or more, and one duration less", counts)
    return Sequence([*zip(schedulers[:-1], durations, strict=True), schedulers[-1]])


@peer(
    "warmup_start_value + (warmup_end_value - warmup_start_value) * t / (warmup_duration - 1) for t < warmup_duration, "
    "then lr_scheduler",
    "the warm-up has warmup_end_value at t = warmup_duration - 1; a lr_scheduler that starts with that value starts "
    "there, another one an update later",
    lr_scheduler=is_schedule,
    warmup_start_value=value,
    warmup_duration=whole(2),
    warmup_end_value=optional(value),
)
def create_lr_scheduler_with_warmup(
    lr_scheduler: Schedule, warmup_start_value: float, warmup_duration: int, warmup_end_value: float | None = None
) -> Schedule:
    """A linear rise before a schedule: lrcore's `warmup`, whose rise takes an update more.

    A warmup_end_value of None, for which Ignite takes the optimizer's learning rate, is the schedule's first value, as
    it is for every torch scheduler.

    Example:
        >>> create_lr_scheduler_with_warmup(Linear(1.0, 0.0, 2), 0.0, 3).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
        >>> create_lr_scheduler_with_warmup(Linear(1.0, 0.0, 2), 0.0, 3, 0.5).table(5).tolist()
        [0.0, 0.25, 0.5, 1.0, 0.5]
    """
    first = lr_scheduler(0)
    last = first if warmup_end_value is None else warmup_end_value
    rise = Linear(warmup_start_value, last, warmup_duration - 1)
    return Sequence([(rise, warmup_duration - (last == first)), lr_scheduler])


def ParamGroupScheduler(schedulers: Listed[Schedule], names: Listed[str] | None = None) -> dict[str, Schedule]:
    """A schedule for each parameter group, by its name: what `lrcore.plot` takes, and no schedule itself.

    Ignite's names are those of the parameters by default, which need not differ; here they are "group 0", "group 1" ...

    Raises:
        TypeError, ValueError: what is no schedule; another number of names, or a name that comes twice.

    Example:
        >>> up, down = LinearCyclicalScheduler(0.0, 1.0, 4), PiecewiseLinear([(0, 1.0), (2, 0.0)])
        >>> {name: schedule(1) for name, schedule in ParamGroupScheduler([up, down], ["base", "fc"]).items()}
        {'base': 0.5, 'fc': 0.5}
    """
    groups = many(is_schedule, "schedules")("ParamGroupScheduler.schedulers", schedulers)
    where = "ParamGroupScheduler.names"
    named = [f"group {at}" for at in range(len(groups))] if names is None else _check.items(where, names, "names")
    if len(named) != len(groups) or len(set(named)) < len(named) or not all(isinstance(name, str) for name in named):
        _check.refuse(where, f"{len(groups)} names, all different", names)
    return dict(zip(named, groups, strict=True))


# ---- Attributes of the engine's state ----

_AFTER_EVENTS = "t events are completed; before the first one the attribute has the user's own value; "


@peer(
    "lambda_obj(t)",
    _AFTER_EVENTS + "a function is tabulated over `steps` events, and its last value holds",
    lambda_obj=factors,
    steps=optional(whole(1)),
)
def LambdaStateScheduler(lambda_obj: Factors, steps: int | None = None) -> Schedule:
    """Values of the user's own: a schedule, a list of them, or a function with the number of events it is for.

    Example:
        >>> LambdaStateScheduler(lambda event: 0.5 ** (event % 3), steps=5).table(6).tolist()
        [1.0, 0.5, 0.25, 1.0, 0.5, 0.5]
    """
    return factors_over("LambdaStateScheduler.steps", lambda_obj, steps)


@peer(
    "through the points (milestone, value) by straight lines",
    _AFTER_EVENTS + "as PiecewiseLinear",
    milestones_values=_milestones,
)
def PiecewiseLinearStateScheduler(milestones_values: Listed[tuple[int, float]]) -> Schedule:
    """Straight lines through points: lrcore's `Interpolate`, which has no jumps.

    Example:
        >>> PiecewiseLinearStateScheduler([(1, 1.0), (3, 0.5)]).table(5).tolist()
        [1.0, 1.0, 0.75, 0.5, 0.5]
    """
    return _through(milestones_values)


@peer("initial_value * gamma**t", _AFTER_EVENTS + "never ends", initial_value=value, gamma=positive)
def ExpStateScheduler(initial_value: float, gamma: float) -> Schedule:
    """A factor at each event: lrcore's `ExponentialDecay`.

    Example:
        >>> ExpStateScheduler(1.0, 0.5).table(4).tolist()
        [1.0, 0.5, 0.25, 0.125]
    """
    return ExponentialDecay(initial_value, gamma)


@peer(
    "initial_value * gamma**floor(t / step_size)",
    _AFTER_EVENTS + "drops at t = step_size; never ends",
    initial_value=value,
    gamma=positive,
    step_size=whole(1),
)
def StepStateScheduler(initial_value: float, gamma: float, step_size: int) -> Schedule:
    """A factor every `step_size` events: lrcore's `step_decay`.

    Example:
        >>> StepStateScheduler(1.0, 0.5, 2).table(5).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return ExponentialDecay(initial_value, gamma, step_size).staircase(step_size)


@peer(
    "initial_value * gamma**(number of milestones <= t)",
    _AFTER_EVENTS + "drops at t = milestone, as often as the milestone is listed",
    initial_value=value,
    gamma=positive,
    milestones=many(whole(0), "events"),
)
def MultiStepStateScheduler(initial_value: float, gamma: float, milestones: Listed[int]) -> Schedule:
    """A factor at each milestone: lrcore's `Piecewise`.

    Raises:
        ValueError: milestones that decrease, of which Ignite's bisection misses some.

    Example:
        >>> MultiStepStateScheduler(1.0, 0.5, [2, 3, 3]).table(5).tolist()
        [1.0, 1.0, 0.5, 0.125, 0.125]
    """
    if list(milestones) != sorted(milestones):
        _check.refuse("MultiStepStateScheduler.milestones", "events in order", list(milestones))
    return drops_at(initial_value, milestones, gamma)
