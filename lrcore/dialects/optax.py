"""optax.schedules, by its own names and arguments.

`scale_by_schedule` calls a schedule with the number of updates done, so update number 0 uses f(0). What optax does
in silence, or with no more than a line in the log, is refused here with the reason; `strict=True` does as optax does.
Transitions and decays need not be whole; what begins after them has to, and so do boundaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence as Listed
from itertools import pairwise
from typing import Any

from lrcore import recipes
from lrcore._check import choice, flag, not_negative, positive, refuse, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Interpolate, Piecewise
from lrcore.decays import ExponentialDecay
from lrcore.dialects import _optax_parts as parts
from lrcore.dialects._dialect import Made, Quirk, many, optional, peer
from lrcore.dialects._parts import line, polynomial, span, stairs
from lrcore.schedule import Schedule, is_schedule

__all__ = [
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exponential_decay",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "sgdr_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]

NEVER_MOVES = Quirk(
    "never-moves",
    "without updates to move in (transition_steps or warmup_steps of 0 or below) it stays at init_value for ever, and "
    "never gets to its end",
    applies=lambda made: not _moves(made),
)
BEGINS_AT_ONCE = Quirk(
    "begins-at-once",
    "a transition_begin below 0 counts as 0",
    applies=lambda made: made["transition_begin"] < 0 and _moves(made) and made.arguments.get("decay_rate") != 0.0,
)
ZERO_RATE_HOLDS = Quirk(
    "zero-rate-holds",
    "a decay_rate of 0 leaves init_value as it is, for ever",
    applies=lambda made: made["decay_rate"] == 0.0 and _moves(made),
)
PHASES_LOST = Quirk(
    "phases-lost",
    "in a run so short that two phases end at the same update the earlier one is lost: with transition_steps=1 and the "
    "other defaults the first value is peak_value / 625",
)
END_LOST = Quirk("end-lost", "with a peak_value of 0 the end is 0, whatever end_value is")
BRANCHES_LOST = Quirk(
    "branches-lost",
    "schedules without a boundary are dropped, and boundaries out of order skip schedules and shift others",
)


def _moves(made: Made) -> bool:
    steps = "transition_steps" if "transition_steps" in made.arguments else "warmup_steps"
    return bool(made[steps] > 0)


@peer("value", "the same at each update", value=value)
def constant_schedule(value: float) -> Schedule:
    """One value: `Constant`.

    Example:
        >>> constant_schedule(0.1)(1000)
        0.1
    """
    return Constant(value)


@peer(
    "(init_value - end_value) * (1 - f)**power + end_value with "
    "f = min(max(t - transition_begin, 0), transition_steps) / transition_steps",
    "reaches end_value at t = transition_begin + transition_steps, and holds",
    NEVER_MOVES,
    BEGINS_AT_ONCE,
    init_value=value,
    end_value=value,
    power=not_negative,
    transition_steps=parts.any_span,
    transition_begin=parts.any_int,
)
def polynomial_schedule(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: float,
    transition_begin: int = 0,
    *,
    strict: bool = False,
) -> Schedule:
    """A power of what is left of the transition: `Polynomial`, after `transition_begin` updates at the first value.

    Raises:
        ValueError: transition_steps < 1 or transition_begin < 0, unless strict.

    Example:
        >>> polynomial_schedule(1.0, 0.0, 2, transition_steps=4, transition_begin=1).table(6).tolist()
        [1.0, 1.0, 0.5625, 0.25, 0.0625, 0.0]
    """
    if not parts.moves("polynomial_schedule.transition_steps", transition_steps, strict):
        return Constant(init_value)
    begin = parts.begin("polynomial_schedule.transition_begin", transition_begin, strict)
    return parts.later(polynomial(init_value, end_value, transition_steps, power, cycle=False), begin)


@peer(
    "(init_value - end_value) * (1 - f) + end_value with "
    "f = min(max(t - transition_begin, 0), transition_steps) / transition_steps",
    "reaches end_value at t = transition_begin + transition_steps, and holds",
    NEVER_MOVES,
    BEGINS_AT_ONCE,
    init_value=value,
    end_value=value,
    transition_steps=parts.any_span,
    transition_begin=parts.any_int,
)
def linear_schedule(
    init_value: float, end_value: float, transition_steps: float, transition_begin: int = 0, *, strict: bool = False
) -> Schedule:
    """A straight line: `Linear`, after `transition_begin` updates at the first value.

    Raises:
        ValueError: transition_steps < 1 or transition_begin < 0, unless strict.

    Example:
        >>> linear_schedule(0.0, 1.0, 4).table(6).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
        >>> linear_schedule(0.0, 1.0, 0, strict=True)
        Constant(value=0.0)
    """
    if not parts.moves("linear_schedule.transition_steps", transition_steps, strict):
        return Constant(init_value)
    begin = parts.begin("linear_schedule.transition_begin", transition_begin, strict)
    return parts.later(line(init_value, end_value, transition_steps), begin)


@peer(
    "init_value * decay_rate**((t - transition_begin) / transition_steps) for t > transition_begin, before it "
    "init_value; with staircase the floor of the exponent; not below end_value if decay_rate < 1, else not above it",
    "with staircase it drops at t = transition_begin + transition_steps; without end_value it never ends",
    NEVER_MOVES,
    BEGINS_AT_ONCE,
    ZERO_RATE_HOLDS,
    init_value=value,
    transition_steps=parts.any_span,
    decay_rate=not_negative,
    transition_begin=parts.any_int,
    staircase=flag,
    end_value=optional(value),
)
def exponential_decay(
    init_value: float,
    transition_steps: float,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """A factor for every `transition_steps` updates: `ExponentialDecay`, clipped at `end_value`.

    Raises:
        ValueError: transition_steps < 1, transition_begin < 0 or a decay_rate of 0, unless strict.

    Example:
        >>> exponential_decay(1.0, 2, 0.25, transition_begin=1, end_value=0.2).table(6).tolist()
        [1.0, 1.0, 0.5, 0.25, 0.2, 0.2]
    """
    if not parts.moves("exponential_decay.transition_steps", transition_steps, strict):
        return Constant(init_value)
    if decay_rate == 0.0:
        if not strict:
            refuse(
                "exponential_decay.decay_rate", "a number > 0: with 0 optax stays at init_value for ever", decay_rate
            )
        return Constant(init_value)
    begin = parts.begin("exponential_decay.transition_begin", transition_begin, strict)
    curve = ExponentialDecay(init_value, decay_rate, transition_steps)
    where = "exponential_decay.transition_steps"
    decay = parts.later(stairs(curve, transition_steps, staircase, where=where), begin)
    if end_value is None:
        return decay
    return decay.clip(min=end_value) if decay_rate < 1.0 else decay.clip(max=end_value)


@peer(
    "init_value * ((1 - alpha) * ((1 + cos(pi * min(t, decay_steps) / decay_steps)) / 2)**exponent + alpha)",
    "alpha is a share of init_value; reaches and holds init_value * alpha at t = decay_steps",
    init_value=value,
    decay_steps=span,
    alpha=value,
    exponent=not_negative,
)
def cosine_decay_schedule(init_value: float, decay_steps: float, alpha: float = 0.0, exponent: float = 1.0) -> Schedule:
    """Half a cosine wave, or a power of it: `Cosine`, which takes its end as a value instead of a share.

    Example:
        >>> cosine_decay_schedule(1.0, 2, alpha=0.5).table(4).tolist()
        [1.0, 0.75, 0.5, 0.5]
        >>> cosine_decay_schedule(1.0, 2, exponent=2.0).table(3).tolist()
        [1.0, 0.25, 0.0]
    """
    return parts.cosine(init_value, alpha * init_value, decay_steps, exponent)


@peer(
    "init_value * the product of the factors at boundaries <= t",
    "a factor applies at t = boundary; the factors multiply",
    init_value=value,
    boundaries_and_scales=parts.scales,
)
def piecewise_constant_schedule(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    """A value for each stretch between boundaries: `Piecewise`, which takes the values instead of factors.

    Example:
        >>> piecewise_constant_schedule(1.0, {2: 0.5, 3: 0.5}).table(5).tolist()
        [1.0, 1.0, 0.5, 0.25, 0.25]
    """
    points = parts.points(init_value, list((boundaries_and_scales or {}).items()))
    if len(points) == 1:
        return Constant(points[0][1])
    return Piecewise([step for step, _ in points[1:]], [value for _, value in points])


@peer(
    "between boundaries a line or half a cosine wave, from init_value through its products with the factors so far",
    "reaches each value at t = boundary; holds the last",
    interpolate_type=choice("linear", "cosine"),
    init_value=value,
    boundaries_and_scales=parts.scales,
)
def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    """From value to value by one kind of curve: `Interpolate`, which takes the values instead of factors.

    Example:
        >>> piecewise_interpolate_schedule("linear", 1.0, {2: 0.5, 4: 0.5}).table(6).tolist()
        [1.0, 0.75, 0.5, 0.375, 0.25, 0.25]
    """
    return Interpolate(parts.points(init_value, list((boundaries_and_scales or {}).items())), interpolate_type)


@peer(
    "lines through peak_value / div_factor at 0, peak_value at int(pct_start * transition_steps), peak_value / "
    "div_factor at int(pct_final * transition_steps), that / final_div_factor at transition_steps",
    "the peak is at int(pct_start * transition_steps), the lowest value at t = transition_steps, which holds",
    PHASES_LOST,
    transition_steps=whole(1),
    peak_value=value,
    pct_start=parts.share,
    pct_final=parts.share,
    div_factor=positive,
    final_div_factor=positive,
)
def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    *,
    strict: bool = False,
) -> Schedule:
    """Up, down to the first value and on to a lower one, in lines. Lrcore's `one_cycle` has two or three equal phases.

    Example:
        >>> linear_onecycle_schedule(8, 1.0, 0.25, 0.5, 4.0, 25.0).table(10).round(3).tolist()
        [0.25, 0.625, 1.0, 0.625, 0.25, 0.19, 0.13, 0.07, 0.01, 0.01]
    """
    up, down = int(pct_start * transition_steps), int(pct_final * transition_steps)
    scales = [(up, div_factor), (down, 1.0 / div_factor), (transition_steps, 1.0 / final_div_factor)]
    return parts.one_cycle("linear", peak_value / div_factor, scales, strict)


@peer(
    "half cosine waves through peak_value / div_factor at 0, peak_value at int(pct_start * transition_steps), "
    "peak_value / div_factor / final_div_factor at transition_steps",
    "the peak is at int(pct_start * transition_steps), the lowest value at t = transition_steps, which holds",
    PHASES_LOST,
    transition_steps=whole(1),
    peak_value=value,
    pct_start=parts.share,
    div_factor=positive,
    final_div_factor=positive,
)
def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    *,
    strict: bool = False,
) -> Schedule:
    """Up and down by half a cosine wave each: `one_cycle`, which rounds where its peak is instead of cutting it off.

    Example:
        >>> cosine_onecycle_schedule(4, 1.0, 0.5, 4.0, 25.0).table(6).round(3).tolist()
        [0.25, 0.625, 1.0, 0.505, 0.01, 0.01]
    """
    scales = [
        (int(pct_start * transition_steps), div_factor),
        (transition_steps, 1.0 / (div_factor * final_div_factor)),
    ]
    return parts.one_cycle("cosine", peak_value / div_factor, scales, strict)


@peer(
    "init_value + (peak_value - init_value) * min(t, warmup_steps) / warmup_steps",
    "reaches peak_value at t = warmup_steps, and holds",
    NEVER_MOVES,
    init_value=value,
    peak_value=value,
    warmup_steps=parts.any_span,
)
def warmup_constant_schedule(
    init_value: float, peak_value: float, warmup_steps: float, *, strict: bool = False
) -> Schedule:
    """A linear rise: `Linear`.

    Raises:
        ValueError: warmup_steps < 1, unless strict.

    Example:
        >>> warmup_constant_schedule(0.0, 1.0, 2).table(4).tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    if not parts.moves("warmup_constant_schedule.warmup_steps", warmup_steps, strict):
        return Constant(init_value)
    return line(init_value, peak_value, warmup_steps)


@peer(
    "linear from init_value to peak_value for t < warmup_steps, then (peak_value - end_value) * "
    "((1 + cos(pi * min(f, 1))) / 2)**exponent + end_value with f = (t - warmup_steps) / (decay_steps - warmup_steps)",
    "decay_steps includes the warm-up; end_value is a value, not a share; holds it from t = decay_steps",
    END_LOST,
    init_value=value,
    peak_value=value,
    warmup_steps=whole(0),
    decay_steps=span,
    end_value=value,
    exponent=not_negative,
)
def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: float,
    end_value: float = 0.0,
    exponent: float = 1.0,
    *,
    strict: bool = False,
) -> Schedule:
    """A linear rise, then half a cosine wave: `warmup_cosine`, with the arguments in another order.

    Raises:
        ValueError: decay_steps that the warm-up leaves nothing of, as in optax; an end_value for a peak of 0, unless
            strict.

    Example:
        >>> warmup_cosine_decay_schedule(0.0, 1.0, 2, 4).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    name = "warmup_cosine_decay_schedule"
    if decay_steps <= warmup_steps:
        whole(warmup_steps + 1)(f"{name}.decay_steps (which includes the warm-up)", math.floor(decay_steps))
    if peak_value == 0.0 and end_value != 0.0:
        if not strict:
            refuse(f"{name}.end_value", "0 with a peak_value of 0: optax takes it for a share of that", end_value)
        end_value = 0.0
    if exponent == 1.0 and isinstance(decay_steps, int):
        return recipes.warmup_cosine(peak_value, end_value, warmup_steps, decay_steps, init_value)
    decay = parts.cosine(peak_value, end_value, decay_steps - warmup_steps, exponent)
    return parts.warmup(init_value, peak_value, warmup_steps, decay)


@peer(
    "linear from init_value to peak_value for t < warmup_steps, then exponential_decay(peak_value, ...) from its own "
    "step 0",
    "transition_begin counts from the end of the warm-up",
    NEVER_MOVES,
    BEGINS_AT_ONCE,
    ZERO_RATE_HOLDS,
    init_value=value,
    peak_value=value,
    warmup_steps=whole(0),
    transition_steps=parts.any_span,
    decay_rate=not_negative,
    transition_begin=parts.any_int,
    staircase=flag,
    end_value=optional(value),
)
def warmup_exponential_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    transition_steps: float,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """A linear rise, then `exponential_decay`.

    Raises:
        ValueError: as `exponential_decay`.

    Example:
        >>> warmup_exponential_decay_schedule(0.0, 1.0, 2, 1, 0.5).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    decay = exponential_decay(
        peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value, strict=strict
    )
    return parts.warmup(init_value, peak_value, warmup_steps, decay)


@peer(
    "schedules[i](t - boundaries[i - 1]) with i the number of boundaries <= t",
    "a schedule begins at t = boundary, from its own step 0",
    BRANCHES_LOST,
    schedules=many(is_schedule, "schedules"),
    boundaries=many(parts.any_int, "steps"),
)
def join_schedules(schedules: Listed[Schedule], boundaries: Listed[int], *, strict: bool = False) -> Schedule:
    """One schedule after another: `Sequence`, which takes how long each lasts instead of where it ends.

    Raises:
        ValueError: no schedules; another number of boundaries than one less; boundaries that fall or are below 0. With
            strict all but the first are taken as optax takes them.

    Example:
        >>> from lrcore import Constant, Linear
        >>> join_schedules([Linear(0.0, 1.0, 2), Constant(1.0), Linear(1.0, 0.0, 2)], [2, 4]).table(7).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    if not schedules:
        refuse("join_schedules.schedules", "at least one schedule", schedules)
    if strict:
        return parts.latest(schedules[0], list(zip(boundaries, schedules[1:], strict=False)))
    if len(boundaries) != len(schedules) - 1:
        refuse("join_schedules.boundaries", f"{len(schedules) - 1} steps for {len(schedules)} schedules", boundaries)
    for at, (before, after) in enumerate(pairwise([0, *boundaries])):
        if after < before:
            refuse(f"join_schedules.boundaries[{at}]", f"a step >= {before}: optax would skip schedules", after)
    ends = pairwise([0, *boundaries])
    lasting = [(schedule, end - begin) for schedule, (begin, end) in zip(schedules, ends, strict=False)]
    return Sequence([*lasting, schedules[-1]])


@peer(
    "warmup_cosine_decay_schedule(**cosine_kwargs[i]), each for its decay_steps",
    "a cycle begins at t = the sum of the decay_steps before it; the last holds its end",
    END_LOST,
    cosine_kwargs=parts.cycles,
)
def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]], *, strict: bool = False) -> Schedule:
    """Warm restarts, each cycle with its own arguments; `sgdr` makes them of factors, and without warm-up.

    Example:
        >>> cycle = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1, "decay_steps": 3}
        >>> sgdr_schedule([cycle, cycle | {"peak_value": 0.5}]).table(8).tolist()
        [0.0, 1.0, 0.5, 0.0, 0.5, 0.25, 0.0, 0.0]
    """
    cycles = list(cosine_kwargs)
    made = [warmup_cosine_decay_schedule(**cycle, strict=strict) for cycle in cycles]
    steps = [
        whole(1)(f"sgdr_schedule.cosine_kwargs[{at}]['decay_steps']", cycle["decay_steps"])
        for at, cycle in enumerate(cycles)
    ]
    return Sequence([*zip(made[:-1], steps[:-1], strict=True), made[-1]])
