"""What torch's schedulers share with those of others: factors at milestones or of the user's own; phases of a cycle."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore import _check
from lrcore._check import SMALLEST, value
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant, Cosine, Linear, Piecewise, Table
from lrcore.decays import ExponentialDecay
from lrcore.dialects._parts import through, wave
from lrcore.schedule import Schedule

Factors = Schedule | Callable[[int], float] | Sequence[float]  # what the user gives for a `lr_lambda`


def drops_at(base_lr: float, milestones: Sequence[int], gamma: float) -> Schedule:
    """A factor at each milestone, in any order; one that is listed twice counts twice."""
    places = sorted(set(milestones) - {0})
    passed = np.searchsorted(sorted(milestones), [0, *places], side="right")
    values = not_tiny(ExponentialDecay(base_lr, gamma)(passed)) if gamma else np.where(passed, 0.0, base_lr)
    return Piecewise(places, values) if places else Constant(float(values[0]))


def not_tiny(values: NDArray[Any]) -> NDArray[Any]:
    """A product of many factors that is below all that a learning rate can be is 0."""
    return np.where(np.abs(values) < SMALLEST, 0.0, values)


def held(schedule: Schedule, step: int) -> Schedule:
    """The value of a step, for ever."""
    return Constant(float(not_tiny(schedule(np.array([step])))[0]))


def factors(where: str, given: Any) -> Any:
    """A check: a schedule, a function of the update, or a list of factors, which becomes a table."""
    if isinstance(given, Schedule) or callable(given):
        return given
    return Table(not_tiny(_check.array(where, given, "fiu", "factors")))


def factors_over(where: str, given: Factors, steps: int | None) -> Schedule:
    """A function of the update becomes a table of its first values."""
    if isinstance(given, Schedule):
        return given
    if steps is None:
        _check.refuse(f"{where}, for a function", "how many updates it is tabulated over", steps)
    return Table(not_tiny(np.array([float(given(step)) for step in range(steps)])))  # type: ignore[operator]


def multiplied(where: str, base_lr: float, given: Factors, steps: int | None) -> Schedule:
    """`base_lr` times the factors of the updates 1, 2, ..., t; the last one of a schedule goes on."""
    goes_on = isinstance(given, Schedule) and not isinstance(given, Table) and steps is None
    each = factors_over(where, given, steps)
    n = each.length if steps is None else steps
    if n is None:
        _check.refuse(f"{where}, for factors without an end", "how many updates are tabulated", steps)
    listed = each.table(n + goes_on)
    values = not_tiny(np.multiply.accumulate([base_lr, *listed[1:]]))
    if not goes_on or values[-1] == 0.0:
        return Table(values)
    rest = ExponentialDecay(float(values[-1]), each(len(values)))
    return rest if len(values) == 1 else InSequence([(Table(values), len(values) - 1), rest])


def one_cycle(
    where: str,
    peak: float,
    total_steps: int,
    pct_start: float,
    anneal_strategy: str,
    div_factor: float,
    final_div_factor: float,
    three_phase: bool,
    *,
    strict: bool,
) -> Schedule:
    """Up and down; with `strict` the last phase goes on for the one step that torch allows past the end."""
    first = value(f"{where} / div_factor", peak / div_factor)
    last = value(f"{where} / div_factor / final_div_factor", first / final_div_factor)
    up = pct_start * total_steps - 1.0
    points = [(0.0, first), (up, peak), (total_steps - 1.0, last)]
    if three_phase:
        points[2:2] = [(2.0 * pct_start * total_steps - 2.0, first)]
    return through_points(points, total_steps, anneal_strategy, strict)


def through_points(points: list[tuple[float, float]], total_steps: int, curve: str, strict: bool) -> Schedule:
    """Phases between (moment, value) points; the updates up to a moment belong to the phase that ends there."""
    parts: list[Any] = []
    begin, moment, value_then = 0, *points[0]
    for at, ((since, first), (until, end)) in enumerate(pairwise(points), start=2):
        stop = math.floor(until) + 1 if at < len(points) else total_steps + 1
        if not strict:
            stop = min(stop, total_steps)
        if stop <= begin or (at < len(points) and until <= since):
            continue
        parts.append((_phase(first, end, since - begin, until - begin, curve, goes_on=strict), stop - begin))
        begin, moment, value_then = stop, until, end
    phase, steps = parts[-1]
    if not (strict or isinstance(phase, Constant) or phase.length == steps - 1):  # it does not hold from there
        final = value_then if moment == total_steps - 1 else phase(steps - 1)
        parts[-1:] = [(phase, steps - 1), (Constant(final), 1)]
    lasting = [part for part in parts if part[1]]
    return InSequence([*lasting[:-1], lasting[-1][0]]) if len(lasting) > 1 else lasting[0][0]


def _phase(init_value: float, end_value: float, since: float, until: float, curve: str, *, goes_on: bool) -> Schedule:
    """From one moment to another, as seen from an update on or after the first one."""
    if init_value == end_value or since == until:
        return Constant(end_value)
    if since == 0.0 and until == int(until) and not goes_on:
        return (Cosine if curve == "cos" else Linear)(init_value, end_value, int(until))
    if curve == "linear":
        return through(since, init_value, until, end_value)
    return wave(init_value, end_value, since, until)
