"""What the schedules of optax are made of: checks of their arguments, and the compositions that several share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence as Listed
from itertools import accumulate, pairwise
from operator import mul
from typing import Any

from lrcore import _check
from lrcore._check import END_OF_STEPS, not_negative, refuse, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Interpolate, Linear
from lrcore.dialects._parts import half_wave, span
from lrcore.functions import Map
from lrcore.schedule import Schedule

any_int = whole(1 - END_OF_STEPS)


@_check.accepts({"type": "number"})
def any_span(where: str, given: Any) -> int | float:
    """How many updates something takes, which need not be whole; 0 and below for `moves`."""
    return span(where, given) if isinstance(given, float) and given > 0.0 else int(any_int(where, given))


@_check.accepts({"type": "number", "minimum": 0, "maximum": 1})
def share(where: str, given: Any) -> float:
    share = value(where, given)
    return share if 0.0 <= share <= 1.0 else refuse(where, "a share of the run, in [0, 1]", given)


def scales(where: str, given: Any) -> dict[int, float]:
    """{boundary: factor}, in the order of the boundaries."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        refuse(where, "a dict {step: factor} or None", given, TypeError)
    checked = {whole(0)(f"{where}: a key", step): not_negative(f"{where}[{step!r}]", given[step]) for step in given}
    return dict(sorted(checked.items()))


def cycles(where: str, given: Any) -> list[dict[str, Any]]:
    cycles = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping)) else []
    if not cycles:
        refuse(where, "dicts with the arguments of warmup_cosine_decay_schedule, at least one", given)
    for at, cycle in enumerate(cycles):
        if not isinstance(cycle, Mapping):
            refuse(f"{where}[{at}]", "a dict with the arguments of warmup_cosine_decay_schedule", cycle, TypeError)
        if "decay_steps" not in cycle:
            raise ValueError(f"{where}[{at}]: expected decay_steps, got {', '.join(map(str, cycle)) or 'nothing'}")
    return [dict(cycle) for cycle in cycles]


def moves(where: str, steps: float, strict: bool) -> bool:
    """Whether there are updates to move in; that there are none is refused, unless strict."""
    if steps <= 0 and not strict:
        refuse(where, "an int >= 1: with 0 or below optax stays at init_value for ever", steps)
    return steps > 0


def begin(where: str, transition_begin: int, strict: bool) -> int:
    if transition_begin < 0 and not strict:
        refuse(where, "an int >= 0: optax takes one below for 0", transition_begin)
    return max(transition_begin, 0)


def later(schedule: Schedule, steps: int) -> Schedule:
    return schedule.shift(-steps) if steps else schedule


def cosine(init_value: float, end_value: float, steps: float, exponent: float) -> Schedule:
    if exponent == 0.0:
        return Constant(init_value)
    if exponent == 1.0:
        return half_wave(init_value, end_value, steps)
    return (init_value - end_value) * Map(half_wave(1.0, 0.0, steps), "power", exponent) + end_value


def points(init_value: float, scales: Listed[tuple[int, float]]) -> list[tuple[int, float]]:
    """(step, value) at step 0 and at each boundary; of those at the same step the last."""
    values = accumulate((scale for _, scale in scales), mul, initial=init_value)
    return list(dict(zip([0, *(step for step, _ in scales)], values, strict=True)).items())


def one_cycle(curve: str, init_value: float, scales: list[tuple[int, float]], strict: bool) -> Schedule:
    """Phases that end at the same update: the last is the only one (strict), or all of them are over at once."""
    phases = list(dict(scales).items()) if strict else scales
    return Interpolate(points(init_value, sorted(phases, key=lambda phase: phase[0])), curve)


def warmup(init_value: float, peak_value: float, steps: int, after: Schedule) -> Schedule:
    return Sequence([(Linear(init_value, peak_value, steps), steps), after]) if steps else after


def latest(first: Schedule, branches: list[tuple[int, Schedule]]) -> Schedule:
    """At each step the last branch in the list whose boundary is not after it, from that boundary on."""
    begins = sorted({0, *(max(boundary, 0) for boundary, _ in branches)})
    stages = []
    for begin in begins:
        boundary, schedule = [(0, first), *(branch for branch in branches if branch[0] <= begin)][-1]
        stages.append(schedule.shift(begin - boundary) if begin > boundary else schedule)
    lasting = [(stage, end - begin) for stage, (begin, end) in zip(stages, pairwise(begins), strict=False)]
    return Sequence([*lasting, stages[-1]]) if lasting else stages[-1]
