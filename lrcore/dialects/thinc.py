"""thinc's schedules (spaCy's), by their own names."""

from __future__ import annotations

from lrcore._check import not_negative, positive, refuse, value, whole
from lrcore.curves import Constant, Linear
from lrcore.decays import ExponentialDecay, InverseTimeDecay
from lrcore.dialects._dialect import Quirk, peer
from lrcore.dialects._moments import along
from lrcore.dialects._parts import until
from lrcore.recipes import triangular
from lrcore.schedule import Schedule, is_schedule

GOES_NEGATIVE = Quirk(
    "goes-negative",
    "the way down is not clamped, and ends before num_steps where num_steps * cut_frac is not whole: the rate falls on "
    "below max_rate / ratio, and below 0",
)


@peer("rate", "always", rate=value)
def constant(rate: float) -> Schedule:
    """One value.

    Example:
        >>> constant(0.1)
        Constant(value=0.1)
    """
    return Constant(rate)


@peer(
    "rate for t < steps, then schedule(t)",
    "the schedule is in the time of the run: it does not begin at its step 0",
    rate=value,
    steps=whole(0),
    schedule=is_schedule,
)
def constant_then(rate: float, steps: int, schedule: Schedule) -> Schedule:
    """One value, then another schedule at the step where it would be without it.

    Example:
        >>> constant_then(1.0, 2, decaying(1.0, 1.0)).table(4).tolist()
        [1.0, 1.0, 0.3333333333333333, 0.25]
    """
    return until(Constant(rate), steps, schedule)


@peer("base_rate / (1 + decay * (t0 + t)), with t0 the argument t", "never ends", base_rate=value, decay=not_negative)
def decaying(base_rate: float, decay: float, *, t: float = 0.0) -> Schedule:
    """Decay by the inverse of time.

    Example:
        >>> decaying(1.0, 1.0, t=1.0).table(3).tolist()
        [0.5, 0.3333333333333333, 0.25]
    """
    begun = 1.0 + decay * not_negative("decaying.t", t)
    return InverseTimeDecay(value("decaying.base_rate / (1 + decay * t)", base_rate / begun), decay, begun)


@peer(
    "start * compound**(t0 + t), with t0 the argument t, not beyond stop",
    "holds stop",
    start=positive,
    stop=positive,
    compound=positive,
)
def compounding(start: float, stop: float, compound: float, *, t: float = 0.0) -> Schedule:
    """A factor every update, up to a bound, or down to it where stop is below start.

    Example:
        >>> compounding(1.0, 4.0, 1.5).table(5).tolist()
        [1.0, 1.5, 2.25, 3.375, 4.0]
    """
    first = value("compounding.start * compound**t", start * compound ** not_negative("compounding.t", t))
    curve = ExponentialDecay(first, compound)
    return curve.clip(min=stop) if start > stop else curve.clip(max=stop)


@peer(
    "initial_rate * t / warmup_steps for t < warmup_steps, then initial_rate * (total_steps - t) / (total_steps - "
    "warmup_steps)",
    "total_steps includes the warm-up; ends at 0 and holds it; without a peak where the warm-up is the whole run",
    initial_rate=value,
    warmup_steps=whole(0),
    total_steps=whole(1),
)
def warmup_linear(initial_rate: float, warmup_steps: int, total_steps: int) -> Schedule:
    """A rise and a fall in straight lines.

    Example:
        >>> warmup_linear(1.0, 2, 4).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    steps = total_steps - warmup_steps
    fall = Linear(initial_rate, 0.0, steps) if steps > 0 else Constant(0.0)
    return Linear(0.0, initial_rate, warmup_steps) >> fall if warmup_steps else fall


@peer(
    "max_rate * (1 + p * (ratio - 1)) / ratio, with u = t0 + t + 1, t0 the argument t, cut = int(num_steps * "
    "cut_frac): p = u / cut for u < cut, then p = 1 - (u - cut) / (cut / cut_frac - cut)",
    "begins an update into the rise; the peak is at t = cut - 1; holds max_rate / ratio",
    GOES_NEGATIVE,
    max_rate=value,
    num_steps=whole(1),
    cut_frac=positive,
    ratio=positive,
    t=value,
)
def slanted_triangular(
    max_rate: float, num_steps: int, *, cut_frac: float = 0.1, ratio: float = 32, t: float = 0.0, strict: bool = False
) -> Schedule:
    """A short rise and a long fall in straight lines (Howard and Ruder, 2018).

    Example:
        >>> slanted_triangular(1.0, 8, cut_frac=0.25, ratio=4).table(8).tolist()
        [0.625, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25]
    """
    cut = int(num_steps * cut_frac)
    if cut < 1 or cut_frac >= 1.0:
        refuse("slanted_triangular.cut_frac", "a share below 1 that is at least an update of num_steps", cut_frac)
    floor, begin = value("slanted_triangular.max_rate / ratio", max_rate / ratio), -1.0 - t
    points = [(begin, floor), (begin + cut, max_rate), (begin + cut + cut * (1.0 / cut_frac - 1.0), floor)]
    return along(points, "linear", goes_on=strict)


@peer(
    "min_lr + (max_lr - min_lr) * max(0, 1 - x), with x = abs((t + 1) / period - 2 * c + 1), "
    "c = floor(1 + (t + 1) / (2 * period))",
    "begins an update into the first rise; never ends",
    min_lr=value,
    max_lr=value,
    period=whole(1),
)
def cyclic_triangular(min_lr: float, max_lr: float, period: int) -> Schedule:
    """Up in `period` updates and down in as many, again and again.

    Example:
        >>> cyclic_triangular(0.0, 1.0, 2).table(5).tolist()
        [0.5, 1.0, 0.5, 0.0, 0.5]
    """
    return triangular(min_lr, max_lr, period).shift(1)
