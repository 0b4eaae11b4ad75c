"""MLX's optimizer schedules, by their own names. MLX computes them in float32."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from lrcore._check import positive, refuse, value, whole
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Cosine, Linear
from lrcore.decays import ExponentialDecay
from lrcore.dialects._dialect import many, peer
from lrcore.recipes import step_decay as lrcore_step_decay
from lrcore.schedule import Schedule, is_schedule

_steps = whole(1)


@peer("init * decay_rate**t", "never ends", init=value, decay_rate=positive)
def exponential_decay(init: float, decay_rate: float) -> Schedule:
    """A factor every update.

    Example:
        >>> exponential_decay(1.0, 0.5).table(3).tolist()
        [1.0, 0.5, 0.25]
    """
    return ExponentialDecay(init, decay_rate)


@peer(
    "init * decay_rate**floor(t / step_size)",
    "drops at t = step_size; never ends",
    init=value,
    decay_rate=positive,
    step_size=_steps,
)
def step_decay(init: float, decay_rate: float, step_size: int) -> Schedule:
    """A factor every `step_size` updates.

    Example:
        >>> step_decay(1.0, 0.5, 2).table(4).tolist()
        [1.0, 1.0, 0.5, 0.5]
    """
    return lrcore_step_decay(init, decay_rate, step_size)


@peer(
    "end + (init - end) * (1 + cos(pi * min(t, decay_steps) / decay_steps)) / 2",
    "clamped; in older versions `end` was a lower bound of the wave to 0",
    init=value,
    decay_steps=_steps,
    end=value,
)
def cosine_decay(init: float, decay_steps: int, end: float = 0.0) -> Schedule:
    """Half a cosine wave.

    Example:
        >>> cosine_decay(1.0, 2).table(4).tolist()
        [1.0, 0.5, 0.0, 0.0]
    """
    return Cosine(init, end, decay_steps)


@peer("init + (end - init) * min(t, steps) / steps", "clamped", init=value, end=value, steps=_steps)
def linear_schedule(init: float, end: float, steps: int) -> Schedule:
    """A straight line.

    Example:
        >>> linear_schedule(0.0, 1.0, 2).table(4).tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    return Linear(init, end, steps)


@peer(
    "schedules[i](t - boundaries[i - 1]) for boundaries[i - 1] <= t < boundaries[i]",
    "a boundary belongs to the schedule after it; MLX takes boundaries that are not sorted, and is wrong",
    schedules=many(is_schedule, "schedules"),
    boundaries=many(_steps, "steps"),
)
def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """Schedules one after another, each from its own step 0.

    Example:
        >>> join_schedules([linear_schedule(0.0, 1.0, 2), exponential_decay(1.0, 0.5)], [2]).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    if len(schedules) != len(boundaries) + 1:
        refuse("join_schedules.boundaries", f"a boundary between each two of {len(schedules)} schedules", boundaries)
    steps = [after - before for before, after in pairwise([0, *boundaries])]
    if min(steps, default=1) < 1:
        refuse("join_schedules.boundaries", "steps that increase", boundaries)
    if not steps:
        return schedules[0]
    return InSequence([*zip(schedules[:-1], steps, strict=True), schedules[-1]])
