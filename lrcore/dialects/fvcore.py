"""fvcore.common.param_scheduler, by its own names, with one argument more: `num_updates`, the length of the run.

fvcore's schedulers take the share of the run that is done, `where`; here it is t / num_updates. Where an interval ends,
fvcore adds 1e-6 to it, so that in runs of a million updates and more the next one begins an update early; so it does
here. Past the end, where = 1, each class of fvcore does something else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence as Listed
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from lrcore import _check
from lrcore._check import SMALLEST, choice, positive, whole
from lrcore.compose import Product, Sequence
from lrcore.curves import Constant, Exponential, Linear, Piecewise, Polynomial
from lrcore.decays import ExponentialDecay
from lrcore.dialects._dialect import Quirk, many, optional, peer
from lrcore.dialects._parts import cosine, through, wave
from lrcore.dialects._torchlike import held
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule, is_schedule

__all__ = [
    "CompositeParamScheduler",
    "ConstantParamScheduler",
    "CosineParamScheduler",
    "ExponentialParamScheduler",
    "LinearParamScheduler",
    "MultiStepParamScheduler",
    "PolynomialDecayParamScheduler",
    "Span",
    "StepParamScheduler",
    "StepWithFixedGammaParamScheduler",
]

GOES_ON = Quirk(
    "goes-on",
    "past the end the formula goes on: a line falls below 0, a cosine goes up again, a power of 1 - where takes "
    "numbers below 0",
)
EPSILON = 1e-6  # fvcore's ParamScheduler.WHERE_EPSILON


class Span(NamedTuple):
    """The moments at which where is 0 and 1, which need not be whole: what a composite gives its schedulers."""

    begin: float
    end: float

    @property
    def steps(self) -> int:
        """Its length, if it begins at step 0 and ends at a step; otherwise 0."""
        return int(self.end) if self.begin == 0.0 and self.end == int(self.end) else 0

    def where(self, t: float) -> float:
        """fvcore's argument at a step."""
        return (t - self.begin) / (self.end - self.begin)

    def first(self, begun: Callable[[float], bool], share: float) -> int:
        """The first step at which something has begun that does so about a share of the span."""
        step = max(0, math.ceil(self.begin + (share - EPSILON) * (self.end - self.begin)) - 1)
        while not begun(self.where(step)):
            step += 1
        return step


Run = int | Span

_value = _check.value
_values = many(_value, "numbers")


def _run(where: str, given: Any) -> Any:
    return given if isinstance(given, Span) else whole(1)(where, given)


def _span(run: Run) -> Span:
    return run if isinstance(run, Span) else Span(0.0, float(run))


@peer("value", "fvcore raises at where = 1", value=_value, num_updates=_run)
def ConstantParamScheduler(value: float, num_updates: Run) -> Schedule:  # noqa: ARG001  every one has it
    """One value: lrcore's `Constant`.

    Example:
        >>> ConstantParamScheduler(0.1, num_updates=10)(10)
        0.1
    """
    return Constant(value)


@peer(
    "end_value + (start_value - end_value) * (1 + cos(pi * t / num_updates)) / 2",
    "end_value at t = num_updates; not clamped there",
    GOES_ON,
    start_value=_value,
    end_value=_value,
    num_updates=_run,
)
def CosineParamScheduler(start_value: float, end_value: float, num_updates: Run, *, strict: bool = False) -> Schedule:
    """Half a cosine wave: lrcore's `Cosine`.

    Example:
        >>> CosineParamScheduler(1.0, 0.0, num_updates=2).table(4).tolist()
        [1.0, 0.5, 0.0, 0.0]
    """
    run = _span(num_updates)
    if run.steps:
        return cosine(start_value, end_value, run.steps, rises_again=strict)
    return wave(start_value, end_value, *run)


@peer(
    "start_value * decay**(t / num_updates)",
    "start_value * decay at t = num_updates; not clamped there",
    GOES_ON,
    start_value=positive,
    decay=positive,
    num_updates=_run,
)
def ExponentialParamScheduler(start_value: float, decay: float, num_updates: Run, *, strict: bool = False) -> Schedule:
    """Geometric from one value to a fraction of it: lrcore's `Exponential`.

    Example:
        >>> ExponentialParamScheduler(1.0, 0.25, num_updates=2).table(4).tolist()
        [1.0, 0.5, 0.25, 0.25]
    """
    run = _span(num_updates)
    if not run.steps:
        return start_value * Map(through(run.begin, 0.0, run.end, math.log(decay)), "exp")
    if strict:
        return ExponentialDecay(start_value, decay, run.steps)
    return Exponential(start_value, start_value * decay, run.steps)


@peer(
    "end_value * t / num_updates + start_value * (1 - t / num_updates)",
    "end_value at t = num_updates; not clamped there",
    GOES_ON,
    start_value=_value,
    end_value=_value,
    num_updates=_run,
)
def LinearParamScheduler(start_value: float, end_value: float, num_updates: Run, *, strict: bool = False) -> Schedule:
    """A straight line: lrcore's `Linear`.

    Example:
        >>> LinearParamScheduler(1.0, 0.0, num_updates=2).table(4).tolist()
        [1.0, 0.5, 0.0, 0.0]
        >>> LinearParamScheduler(1.0, 0.0, num_updates=2, strict=True).table(4).tolist()
        [1.0, 0.5, 0.0, -0.5]
    """
    run = _span(num_updates)
    if run.steps:
        return (Line if strict else Linear)(start_value, end_value, run.steps)
    return through(run.begin, start_value, run.end, end_value)


@peer(
    "base_value * (1 - t / num_updates)**power",
    "0 at t = num_updates; past it, numbers below 0 or complex ones, or above 0 again",
    GOES_ON,
    base_value=_value,
    power=positive,
    num_updates=_run,
)
def PolynomialDecayParamScheduler(
    base_value: float, power: float, num_updates: Run, *, strict: bool = False
) -> Schedule:
    """A power of the rest of the run: lrcore's `Polynomial`.

    Raises:
        ValueError: with `strict` a power that is no int up to 9, of which fvcore makes complex numbers.

    Example:
        >>> PolynomialDecayParamScheduler(1.0, 2.0, num_updates=2).table(4).tolist()
        [1.0, 0.25, 0.0, 0.0]
    """
    run = _span(num_updates)
    if strict:
        if power != int(power) or power > 9:
            _check.refuse("PolynomialDecayParamScheduler.power", "a whole power up to 9 with strict", power)
        return base_value * Product([through(run.begin, 1.0, run.end, 0.0)] * int(power))
    if run.steps:
        return Polynomial(base_value, 0.0, run.steps, power)
    return base_value * Map(through(run.begin, 1.0, run.end, 0.0), "power", power)


@peer(
    "values[floor((t / num_updates + 1e-6) * len(values))]",
    "equal shares of the run; fvcore raises an IndexError at where > 1 - 1e-6",
    num_updates=_run,
    values=_values,
)
def StepParamScheduler(num_updates: Run, values: Listed[float]) -> Schedule:
    """A value for each of equal shares of the run: lrcore's `Piecewise`.

    Example:
        >>> StepParamScheduler(5, [1.0, 0.5]).table(6).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    """
    n, run = len(values), _span(num_updates)
    if not n:
        raise ValueError("StepParamScheduler.values: expected at least one number, got none")

    def begins(index: int) -> int:
        return run.first(lambda where: int((where + EPSILON) * n) >= index, index / n)

    return _piecewise([(begins(index) if index else 0, values[index]) for index in range(n)])


def _piecewise(begins: list[tuple[int, float]]) -> Schedule:
    """Of values that begin in the same update, the last one counts."""
    values = dict(begins)
    if len(values) == 1:
        return Constant(begins[-1][1])
    return Piecewise([begin for begin in values if begin], list(values.values()))


@peer(
    "values[i] with i the number of milestones <= floor((t / num_updates + 1e-6) * num_updates)",
    "a value begins at t = milestone; num_updates is milestones[-1] if None; without milestones equal shares, rounded "
    "up; fvcore raises past where = 1",
    values=_values,
    num_updates=optional(_run),
    milestones=optional(many(whole(1), "steps")),
)
def MultiStepParamScheduler(
    values: Listed[float], num_updates: Run | None = None, milestones: Listed[int] | None = None
) -> Schedule:
    """A value for each stretch between milestones: lrcore's `Piecewise`.

    In a composite, milestones are in any unit: the last one is the end of the scheduler's interval.

    Raises:
        ValueError: neither milestones nor num_updates; milestones that do not increase, are too many or too few.

    Example:
        >>> MultiStepParamScheduler([1.0, 0.5], milestones=[2, 4]).table(6).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.5, 0.5]
    """
    unit = None if isinstance(num_updates, Span) else num_updates
    marks = _marks(len(values), unit, milestones)
    if unit is None:
        marks, unit = marks[:-1], marks[-1]
    if unit < len(values) or any(mark >= after for mark, after in pairwise([0, *marks, unit])):
        _check.refuse("MultiStepParamScheduler.milestones", f"steps that increase and are below {unit}", marks)
    run = _span(unit if num_updates is None else num_updates)

    def begins(mark: int) -> int:
        return run.first(lambda where: int((where + EPSILON) * unit) >= mark, mark / unit)

    return _piecewise([(0, values[0]), *((begins(mark), each) for mark, each in zip(marks, values[1:], strict=True))])


def _marks(n: int, unit: int | None, milestones: Listed[int] | None) -> list[int]:
    """One less than there are values, or with the end of the last one as many."""
    name = "MultiStepParamScheduler"
    if milestones is None:
        if unit is None:
            raise ValueError(f"{name}.milestones: expected milestones or a number of updates, got neither")
        return [math.ceil(unit / n) * at for at in range(1, n)]
    wanted = n - (unit is not None)
    if len(milestones) != wanted or not n:
        raise ValueError(f"{name}.milestones: expected {wanted} of them for {n} values, got {len(milestones)}")
    return list(milestones)


@peer(
    "base_value * gamma**floor((t / num_updates + 1e-6) * (num_decays + 1))",
    "equal shares of the run; fvcore raises an IndexError at where > 1 - 1e-6",
    base_value=positive,
    num_decays=whole(1, 10_000, "a number of decays"),
    gamma=positive,
    num_updates=_run,
)
def StepWithFixedGammaParamScheduler(base_value: float, num_decays: int, gamma: float, num_updates: Run) -> Schedule:
    """So many drops by a factor, one after each of equal shares of the run: lrcore's `step_decay`.

    Example:
        >>> StepWithFixedGammaParamScheduler(1.0, 2, 0.5, 6).table(7).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25]
    """
    values = [base_value]
    for _ in range(num_decays):
        values.append(values[-1] * gamma)
    return StepParamScheduler(num_updates, [each if each >= SMALLEST else 0.0 for each in values])


def _makers(where: str, given: Any) -> list[Any]:
    made = _check.items(where, given, "schedules, or functions of num_updates")
    for at, item in enumerate(made):
        if not (isinstance(item, Schedule) or callable(item)):
            _check.refuse(f"{where}[{at}]", "a schedule, or a function of num_updates", item, TypeError)
    return made


@peer(
    "schedulers[i](where) in the interval i of lengths[i], or of the share of the interval if it is 'rescaled'",
    "an interval begins at where + 1e-6 > the sum of the lengths before it; past the end the value there",
    GOES_ON,
    schedulers=_makers,
    lengths=many(positive, "shares of the run"),
    interval_scaling=many(choice("rescaled", "fixed"), "'rescaled' or 'fixed'"),
    num_updates=_run,
)
def CompositeParamScheduler(
    schedulers: Listed[Schedule | Callable[..., Schedule]],
    lengths: Listed[float],
    interval_scaling: Listed[str],
    num_updates: Run,
    *,
    strict: bool = False,
) -> Schedule:
    """One scheduler after another.

    A scheduler is a function of `num_updates`, as `partial(LinearParamScheduler, 0.1, 1.0)` is. Of an interval that is
    "fixed" it may also be a schedule, which has been made for the whole run.

    Raises:
        ValueError: no schedulers, another number of them than of lengths, lengths whose sum is not 1 to a thousandth.

    Example:
        >>> from functools import partial
        >>> rise = partial(LinearParamScheduler, 0.0, 1.0)
        >>> rest = ConstantParamScheduler(1.0, 6)
        >>> CompositeParamScheduler([rise, rest], [0.5, 0.5], ["rescaled", "fixed"], 6).table(5).round(3).tolist()
        [0.0, 0.333, 0.667, 1.0, 1.0]
    """
    name, n = "CompositeParamScheduler", len(schedulers)
    if not n or len(lengths) != n or len(interval_scaling) != n:
        counts = (n, len(lengths), len(interval_scaling))
        _check.refuse(f"{name}.schedulers", "as many, at least one, as lengths and interval_scaling", counts)
    if abs(sum(lengths) - 1.0) >= 1e-3:
        _check.refuse(f"{name}.lengths", "shares with a sum of 1", list(lengths))
    shares = [*lengths[:-1], lengths[-1] if sum(lengths) == 1.0 else 1.0 - sum(lengths[:-1])]
    run, ends = _span(num_updates), list(accumulate(shares))
    begins = [0, *(_after(run, end) for end in ends[:-1])]
    parts: list[Any] = []
    for at, (begin, stop) in enumerate(pairwise([*begins, math.inf])):
        rescaled = interval_scaling[at] == "rescaled"
        span = _interval(run, ends[at] - shares[at], ends[at], int(begin)) if rescaled else None
        if begin < stop:
            parts.append((_made(f"{name}.schedulers[{at}]", schedulers[at], run, span, int(begin)), stop - begin))
    *earlier, (last, _) = parts
    rest = math.ceil(run.end) - sum(steps for _, steps in earlier)
    return Sequence([*earlier, *((last,) if strict else ((last, max(rest, 0)), held(last, max(rest, 0))))])


def _after(run: Span, end: float) -> int:
    return run.first(lambda where: where + EPSILON > end, end)


def _interval(run: Span, begin: float, end: float, first: int) -> Span:
    """Of a share of the run, in time since an update; moments that are nearly whole are."""
    length = run.end - run.begin
    moments = (run.begin + begin * length - first, run.begin + end * length - first)
    near = [round(moment) if abs(moment - round(moment)) < 1e-12 * length else moment for moment in moments]
    return Span(float(near[0]), float(near[1]))


def _made(where: str, maker: Any, run: Span, span: Span | None, first: int) -> Schedule:
    """In time since the first update of the interval."""
    if isinstance(maker, Schedule):
        if span is not None and maker.length != 0:
            _check.refuse(where, "a function of num_updates for an interval that is 'rescaled'", maker, TypeError)
        return maker.shift(first) if first else maker
    if span is None and run.steps:
        made = is_schedule(where, maker(num_updates=run))
        return made.shift(first) if first else made
    return is_schedule(where, maker(num_updates=span or Span(run.begin - first, run.end - first)))
