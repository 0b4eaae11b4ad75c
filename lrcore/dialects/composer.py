"""MosaicML Composer's schedulers, by their own names. `base_lr` stands for the learning rate of the optimizer.

Times are Composer's: "10ba", "3ep", "0.3dur", "1e9tok", "1000sp"; an int counts batches. A schedule with a time that is
not in batches waits for its run: `bind(total_steps=..., steps_per_epoch=...)`. What is not whole is rounded half up
by `bind`, and cut by Composer, which takes int() of a product in floating point: "0.35dur" of 10 batches is 4 here and
3 there. `time_in("0.35dur", "10ba")` is Composer's "3ba", for any of the schedules. Several schedulers multiply:
`lrcore.Product` of multipliers (base_lr 1). `parse` applies Composer's `scale_schedule_ratio` time by time, as it does.

`scale_warmup` of the schedulers with a warm-up changes its slope alone: by the `scale_schedule_ratio`, which is given
beside it, while the times are given as they are in the end. The rise has t_warmup, as without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from lrcore._check import did_you_mean, flag, not_negative, positive, refuse, value
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant, Cosine, Linear, Piecewise, Polynomial
from lrcore.cycles import Cycle, check_period_mult
from lrcore.decays import ExponentialDecay
from lrcore.dialects._dialect import many, peer
from lrcore.dialects._parts import until
from lrcore.durations import LONGEST, Amount, Duration, amount, is_text, updates
from lrcore.schedule import Schedule

_UNITS = {"ba": "", "ep": "ep", "dur": "%", "tok": "tok", "sp": "samples"}
_TIME = re.compile(r"\s*([0-9][0-9_]*\.?[0-9]*(?:[eE][+-]?[0-9]{1,2})?)\s*([a-z]+)\s*", re.ASCII)
_MOST_CYCLES = 10_000
_duration, _duration_or_0 = updates(1, also=()), updates(0, also=())
_shares_of_run = "t_max, the whole run by default, "
_ROUNDED = "; a time that is not whole is rounded half up by bind here, and cut by Composer: see time_in"


def parts_of(given: Any) -> tuple[Decimal, str] | None:
    """The number and the unit of a time of Composer's, None if it is none: "3ep" is 3 and "ep", 3 is 3 and "ba"."""
    if type(given) is int:
        return Decimal(given), "ba"
    found = _TIME.fullmatch(given) if isinstance(given, str) and len(given) <= LONGEST else None
    if not found or found[2] not in _UNITS:
        return None
    return Decimal(found[1].replace("_", "")), found[2]


def time(where: str, given: Any) -> Duration:
    """A check: a time of Composer's in lrcore's units, "0.3dur" as "30%"; batches are updates."""
    if not isinstance(given, str):
        return _duration_or_0(where, given)
    found = _TIME.fullmatch(given)
    unit = _UNITS.get(found[2]) if found else None
    if not found or unit is None:
        guess = did_you_mean(found[2], _UNITS) if found else ""
        raise ValueError(
            f'{where}: expected a time such as "10ba", "3ep", "0.3dur", "1e9tok" or "8sp", got {given!r}{guess}'
        )
    if unit == "%":
        return _duration_or_0(where, f"{Decimal(found[1].replace('_', '')) * 100:f}%")
    return _duration_or_0(where, f"{found[1]}{unit or ' updates'}")


def whole_of(*factors: float | Decimal) -> int:
    """Composer's int() of a product, which it computes in floating point: 0.29 of 100 is 28."""
    product = 1.0
    for factor in factors:
        product *= float(factor)
    return int(product)


def time_in(
    given: int | str, max_duration: int | str, steps_per_epoch: int | None = None, scale_schedule_ratio: float = 1.0
) -> str:
    """What Composer makes of a time in a run of `max_duration`: batches, samples or tokens, cut to a whole number.

    A share is one of max_duration, in its unit, or in batches if that is epochs; any other time is scaled by
    `scale_schedule_ratio`. A share is not: the max_duration given is the scaled one.

    Args:
        given: a time of Composer's.
        max_duration: of the run; an int counts batches.
        steps_per_epoch: batches, which epochs need.
        scale_schedule_ratio: above 0.

    Raises:
        ValueError: what is no time, or a share of a share; epochs without steps_per_epoch.

    Example:
        >>> time_in("0.35dur", "10ba"), time_in("0.29dur", "2ep", steps_per_epoch=50), time_in("3ba", "10ba", None, 0.5)
        ('3ba', '28ba', '1ba')
    """
    found, most = parts_of(given), parts_of(max_duration)
    if found is None or most is None or most[1] == "dur":
        where, wrong = ("time_in.given", given) if found is None else ("time_in.max_duration", max_duration)
        refuse(where, 'a time such as "10ba" or "3ep"', wrong)
    number, unit = found
    if "ep" in (unit, most[1] if unit == "dur" else "") and steps_per_epoch is None:
        refuse("time_in.steps_per_epoch", "the batches of an epoch", steps_per_epoch)
    batches = steps_per_epoch or 1
    if unit == "dur":
        return f"{whole_of(number, batches, most[0])}ba" if most[1] == "ep" else f"{whole_of(number, most[0])}{most[1]}"
    ratio = positive("time_in.scale_schedule_ratio", scale_schedule_ratio)
    return f"{whole_of(number * (batches if unit == 'ep' else 1), ratio)}{'ba' if unit == 'ep' else unit}"


def _time_above_0(where: str, given: Any) -> Duration:
    return _duration(where, time(where, given))


def _times(base_lr: float, factor: float, where: str) -> float:
    return value(f"{where}", base_lr * factor)


_SCALED: dict[str, Any] = {"t_warmup": time, "scale_warmup": flag, "scale_schedule_ratio": positive}


def _rise(end_value: float, t_warmup: Duration, scale_warmup: bool, ratio: float) -> Schedule:
    """From 0; a scaled one may be over before the warm-up is, or cut by its end."""
    steps = t_warmup or 1
    said = amount(t_warmup) if is_text(t_warmup) else None
    if scale_warmup and ratio != 1.0 and t_warmup and not (said and said.unit == "%"):
        steps = _duration("t_warmup * scale_schedule_ratio", _scaled(t_warmup, said, ratio))
    return Linear(0.0, end_value, steps)


def _scaled(t_warmup: Duration, said: Amount | None, ratio: float) -> Duration:
    if said is None:
        return whole_of(t_warmup, ratio)
    product = float(said.number) * ratio
    return f"{product:.17g}ep" if said.unit == "ep" else f"{int(product)}{said.unit}"


def _then_hold(curve: Callable[[Duration], Schedule], warmup: Duration, rise: Schedule, t_max: Duration) -> Schedule:
    """A rise, and what is left of `t_max` for a curve, which holds its end."""
    if not warmup:
        return curve(t_max)
    if not is_text(warmup) and not is_text(t_max):
        after = curve(t_max - warmup) if t_max > warmup else curve(1)(0)
        ends = t_max <= warmup and rise.length == warmup  # there is nothing after it
        return rise if ends else InSequence([(rise, warmup), after])
    whole_run = InSequence([(rise, warmup), curve("rest")])
    return whole_run if t_max == "100%" else InSequence([(whole_run, t_max), Constant(curve(1)(1))])


@peer(
    "base_lr * gamma**floor(t / step_size)",
    "drops at t = step_size; never ends" + _ROUNDED,
    base_lr=value,
    step_size=_time_above_0,
    gamma=positive,
)
def StepScheduler(base_lr: float, step_size: Duration, gamma: float = 0.1) -> Schedule:
    """A factor every `step_size`.

    Example:
        >>> StepScheduler(1.0, "1ep", 0.5).bind(steps_per_epoch=2).table(4).tolist()
        [1.0, 1.0, 0.5, 0.5]
    """
    return ExponentialDecay(base_lr, gamma, step_size).staircase(step_size)


@peer(
    "base_lr * gamma**i, with i the number of milestones <= t",
    "drops at t = milestone; milestones are to increase here" + _ROUNDED,
    base_lr=value,
    milestones=many(_time_above_0, "times"),
    gamma=positive,
)
def MultiStepScheduler(base_lr: float, milestones: Sequence[Duration], gamma: float = 0.1) -> Schedule:
    """A factor at each milestone.

    Example:
        >>> MultiStepScheduler(1.0, ["2ba", "0.75dur"], 0.5).bind(total_steps=4).table(4).tolist()
        [1.0, 1.0, 0.5, 0.25]
    """
    return _steps(base_lr, milestones, gamma)


def _steps(base_lr: float, milestones: Sequence[Duration], gamma: float) -> Schedule:
    if not milestones:
        return Constant(base_lr)
    return Piecewise(milestones, [base_lr * gamma**at for at in range(len(milestones) + 1)])


@peer(
    "base_lr * alpha for t < t_max, then base_lr",
    "switches back at t = t_max" + _ROUNDED,
    base_lr=value,
    alpha=value,
    t_max=time,
)
def ConstantScheduler(base_lr: float, alpha: float = 1.0, t_max: Duration = "1dur") -> Schedule:
    """A factor for a time.

    Example:
        >>> ConstantScheduler(1.0, 0.5, "2ba").table(3).tolist()
        [0.5, 0.5, 1.0]
    """
    if alpha == 1.0:
        return Constant(base_lr)
    return InSequence([(_times(base_lr, alpha, "ConstantScheduler.base_lr * alpha"), t_max), base_lr])


@peer(
    "base_lr * (alpha_i + (alpha_f - alpha_i) * min(1, t / t_max))",
    "clamped" + _ROUNDED,
    base_lr=value,
    alpha_i=value,
    alpha_f=value,
    t_max=_time_above_0,
)
def LinearScheduler(base_lr: float, alpha_i: float = 1.0, alpha_f: float = 0.0, t_max: Duration = "1dur") -> Schedule:
    """A straight line, down by default (torch's goes up).

    Example:
        >>> LinearScheduler(1.0).bind(total_steps=4).table(5).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    first, last = (_times(base_lr, alpha, "LinearScheduler.base_lr * alpha") for alpha in (alpha_i, alpha_f))
    return Linear(first, last, t_max)


@peer("base_lr * gamma**(t / decay_period)", "never ends", base_lr=value, gamma=positive, decay_period=_time_above_0)
def ExponentialScheduler(base_lr: float, gamma: float, decay_period: Duration = "1ep") -> Schedule:
    """A factor for every `decay_period`, an epoch by default.

    Example:
        >>> ExponentialScheduler(1.0, 0.25).bind(steps_per_epoch=2).table(3).tolist()
        [1.0, 0.5, 0.25]
    """
    return ExponentialDecay(base_lr, gamma, decay_period)


@peer(
    "base_lr * (alpha_f + (1 - alpha_f) * (1 + cos(pi * min(1, t / t_max))) / 2)",
    "clamped; the floor is a share of base_lr" + _ROUNDED,
    base_lr=value,
    alpha_f=value,
    t_max=_time_above_0,
)
def CosineAnnealingScheduler(base_lr: float, t_max: Duration = "1dur", alpha_f: float = 0.0) -> Schedule:
    """Half a cosine wave.

    Example:
        >>> CosineAnnealingScheduler(1.0).bind(total_steps=2).table(4).tolist()
        [1.0, 0.5, 0.0, 0.0]
    """
    return Cosine(base_lr, _times(base_lr, alpha_f, "CosineAnnealingScheduler.base_lr * alpha_f"), t_max)


@peer(
    "base_lr * (alpha_f + (1 - alpha_f) * (1 + cos(pi * u / T)) / 2), u into the cycle, the first T = t_0 long, each "
    "other one int(t_mult * T) of the one before",
    "a restart has the peak; a t_mult that is not whole wants t_0 in batches here, as its cycles are rounded down",
    base_lr=value,
    t_0=_time_above_0,
    t_mult=check_period_mult,
    alpha_f=value,
)
def CosineAnnealingWarmRestartsScheduler(
    base_lr: float, t_0: Duration, t_mult: float = 1.0, alpha_f: float = 0.0
) -> Schedule:
    """Cosine waves that restart.

    Example:
        >>> CosineAnnealingWarmRestartsScheduler(1.0, "2ba", 2).table(6).round(3).tolist()
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146]
        >>> CosineAnnealingWarmRestartsScheduler(1.0, "2ba", 1.5).table(6).round(3).tolist()
        [1.0, 0.5, 1.0, 0.75, 0.25, 1.0]
    """
    floor = _times(base_lr, alpha_f, "CosineAnnealingWarmRestartsScheduler.base_lr * alpha_f")
    if t_mult == int(t_mult):
        return Cycle(Cosine(base_lr, floor, t_0), t_0, int(t_mult))
    if is_text(t_0):
        refuse("CosineAnnealingWarmRestartsScheduler.t_0", "batches, with a t_mult that is not whole", t_0)
    lengths = [t_0]
    while sum(lengths) < 2**52 and int(t_mult * lengths[-1]) != lengths[-1] and len(lengths) < _MOST_CYCLES:
        lengths.append(int(t_mult * lengths[-1]))
    waves = [(Cosine(base_lr, floor, length), length) for length in lengths]
    return InSequence([*waves[:-1], Cycle(waves[-1][0], lengths[-1])]) if len(waves) > 1 else Cycle(waves[0][0], t_0)


@peer(
    "base_lr * (alpha_f + (1 - alpha_f) * (1 - min(1, t / t_max))**power)",
    "clamped" + _ROUNDED,
    base_lr=value,
    power=positive,
    t_max=_time_above_0,
    alpha_f=value,
)
def PolynomialScheduler(base_lr: float, power: float, t_max: Duration = "1dur", alpha_f: float = 0.0) -> Schedule:
    """A power of what is left of the run.

    Example:
        >>> PolynomialScheduler(1.0, 2.0, "2ba").table(3).tolist()
        [1.0, 0.25, 0.0]
    """
    return Polynomial(base_lr, _times(base_lr, alpha_f, "PolynomialScheduler.base_lr * alpha_f"), t_max, power)


@peer(
    "base_lr * t / t_warmup for t < t_warmup, then base_lr * gamma**i, with i the number of milestones <= t",
    "milestones count from the begin of the run; those within the warm-up act at its end" + _ROUNDED,
    base_lr=value,
    **_SCALED,
    milestones=many(_time_above_0, "times"),
    gamma=positive,
)
def MultiStepWithWarmupScheduler(
    base_lr: float,
    t_warmup: Duration,
    milestones: Sequence[Duration],
    gamma: float = 0.1,
    scale_warmup: bool = False,
    *,
    scale_schedule_ratio: float = 1.0,
) -> Schedule:
    """A rise from 0, then a factor at each milestone.

    Example:
        >>> MultiStepWithWarmupScheduler(1.0, "2ba", ["3ba"], 0.5).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.5]
    """
    steps = _steps(base_lr, milestones, gamma)
    rise = _rise(base_lr, t_warmup, scale_warmup, scale_schedule_ratio)
    return until(rise, t_warmup, steps) if t_warmup else steps


@peer(
    "base_lr * alpha * min(1, t / t_warmup)",
    "alpha holds; t_max is only checked by Composer" + _ROUNDED,
    base_lr=value,
    **_SCALED,
    alpha=value,
    t_max=time,
)
def ConstantWithWarmupScheduler(
    base_lr: float,
    t_warmup: Duration,
    alpha: float = 1.0,
    t_max: Duration = "1dur",  # noqa: ARG001 (as there)
    scale_warmup: bool = False,
    *,
    scale_schedule_ratio: float = 1.0,
) -> Schedule:
    """A rise from 0 that holds.

    Example:
        >>> ConstantWithWarmupScheduler(1.0, "2ba").table(4).tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    peak = _times(base_lr, alpha, "ConstantWithWarmupScheduler.base_lr * alpha")
    rise = _rise(peak, t_warmup, scale_warmup, scale_schedule_ratio)
    if rise == Linear(0.0, peak, t_warmup or 1):
        return rise if t_warmup else Constant(peak)
    return InSequence([(rise, t_warmup), peak])


@peer(
    "base_lr * alpha_i * t / t_warmup for t < t_warmup, then base_lr * (alpha_i + (alpha_f - alpha_i) * min(1, "
    "(t - t_warmup) / (t_max - t_warmup)))",
    _shares_of_run + "includes the warm-up; clamped" + _ROUNDED,
    base_lr=value,
    **_SCALED,
    alpha_i=value,
    alpha_f=value,
    t_max=_time_above_0,
)
def LinearWithWarmupScheduler(
    base_lr: float,
    t_warmup: Duration,
    alpha_i: float = 1.0,
    alpha_f: float = 0.0,
    t_max: Duration = "1dur",
    scale_warmup: bool = False,
    *,
    scale_schedule_ratio: float = 1.0,
) -> Schedule:
    """A rise from 0 and a straight line.

    Example:
        >>> LinearWithWarmupScheduler(1.0, "0.5dur").bind(total_steps=4).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    first, last = (_times(base_lr, alpha, "LinearWithWarmupScheduler.base_lr * alpha") for alpha in (alpha_i, alpha_f))
    rise = _rise(first, t_warmup, scale_warmup, scale_schedule_ratio)
    return _then_hold(lambda steps: Linear(first, last, steps), t_warmup, rise, t_max)


@peer(
    "base_lr * t / t_warmup for t < t_warmup, then base_lr * (alpha_f + (1 - alpha_f) * (1 + cos(pi * min(1, "
    "(t - t_warmup) / (t_max - t_warmup)))) / 2)",
    _shares_of_run + "includes the warm-up; clamped; the floor is a share of base_lr" + _ROUNDED,
    base_lr=value,
    **_SCALED,
    t_max=_time_above_0,
    alpha_f=value,
)
def CosineAnnealingWithWarmupScheduler(
    base_lr: float,
    t_warmup: Duration,
    t_max: Duration = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
    *,
    scale_schedule_ratio: float = 1.0,
) -> Schedule:
    """A rise from 0 and half a cosine wave.

    Example:
        >>> CosineAnnealingWithWarmupScheduler(1.0, "1ep").bind(total_steps=4, steps_per_epoch=2).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    floor = _times(base_lr, alpha_f, "CosineAnnealingWithWarmupScheduler.base_lr * alpha_f")
    rise = _rise(base_lr, t_warmup, scale_warmup, scale_schedule_ratio)
    return _then_hold(lambda steps: Cosine(base_lr, floor, steps), t_warmup, rise, t_max)


@peer(
    "base_lr * t / t_warmup for t < t_warmup, then base_lr * (alpha_f + (1 - alpha_f) * (1 - min(1, "
    "(t - t_warmup) / (t_max - t_warmup)))**power)",
    _shares_of_run + "includes the warm-up; clamped" + _ROUNDED,
    base_lr=value,
    **_SCALED,
    power=positive,
    t_max=_time_above_0,
    alpha_f=not_negative,
)
def PolynomialWithWarmupScheduler(
    base_lr: float,
    t_warmup: Duration,
    power: float = 2.0,
    t_max: Duration = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
    *,
    scale_schedule_ratio: float = 1.0,
) -> Schedule:
    """A rise from 0 and a power of what is left of the run.

    Example:
        >>> PolynomialWithWarmupScheduler(1.0, "2ba", 2.0, "4ba").table(5).tolist()
        [0.0, 0.5, 1.0, 0.25, 0.0]
    """
    floor = _times(base_lr, alpha_f, "PolynomialWithWarmupScheduler.base_lr * alpha_f")
    rise = _rise(base_lr, t_warmup, scale_warmup, scale_schedule_ratio)
    return _then_hold(lambda steps: Polynomial(base_lr, floor, steps, power), t_warmup, rise, t_max)
