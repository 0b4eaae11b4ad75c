"""mmengine.optim.scheduler, by its own names. A first argument `base_lr` stands for the learning rate of the group.

Each scheduler acts at the steps [begin, end): before them the learning rate is `base_lr`, and after them the last one
stays. t counts from `begin`. `last_step`, `by_epoch` and `verbose` are left out, and `ReduceOnPlateau*` hangs on a
metric. Schedulers that act one after another, a warm-up in [0, 3) and a cosine in [3, 8), are
`Sequence([(LinearLR(0.1, end=3), 3), CosineAnnealingLR(0.1, end=5)])`.

`*Momentum` (of Adam the first beta) and `*ParamScheduler` (of any value of the group, so `param_name` is left out) are
the same functions of a `base_momentum` and a `base_value`. One cycle is of the learning rate alone, in MMEngine too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence as Listed
from typing import Any

from lrcore import _check
from lrcore._check import choice, flag, not_negative, positive, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Linear, Polynomial
from lrcore.decays import ExponentialDecay
from lrcore.dialects._dialect import PEERS, Quirk, many, optional, peer
from lrcore.dialects._parts import cosine
from lrcore.dialects._torchlike import drops_at, held, one_cycle
from lrcore.schedule import Schedule

__all__ = [
    "ConstantLR",
    "ConstantMomentum",
    "ConstantParamScheduler",
    "CosineAnnealingLR",
    "CosineAnnealingMomentum",
    "CosineAnnealingParamScheduler",
    "CosineRestartLR",
    "CosineRestartMomentum",
    "CosineRestartParamScheduler",
    "ExponentialLR",
    "ExponentialMomentum",
    "ExponentialParamScheduler",
    "LinearLR",
    "LinearMomentum",
    "LinearParamScheduler",
    "MultiStepLR",
    "MultiStepMomentum",
    "MultiStepParamScheduler",
    "OneCycleLR",
    "OneCycleParamScheduler",
    "PolyLR",
    "PolyMomentum",
    "PolyParamScheduler",
    "StepLR",
    "StepMomentum",
    "StepParamScheduler",
]

RISES_AGAIN = Quirk(
    "rises-again",
    "with a T_max that ends before `end` the cosine goes up again, as long as it acts",
    applies=lambda made: (made["T_max"] or INF) < made["end"] - made["begin"] - 1,
)
STOPS_SHORT = Quirk(
    "stops-short",
    "the last step that acts is end - 1, where the cosine has not come to its minimum: it stays at .0955 of base_lr "
    "for a T_max of 5",
    applies=lambda made: made["T_max"] in (None, made["end"] - made["begin"]),
)
STAYS_SHORT = Quirk(
    "stays-short", "the last period has no step at its minimum: the value of its last step stays, .0955 for 5 steps"
)
DIVIDES_BY_ZERO = Quirk("divides-by-zero", "a factor of 0 at the first step raises a ZeroDivisionError at a later one")
EXTRAPOLATES = Quirk(
    "extrapolates",
    "step total_steps is allowed and lies past the end: a cosine goes up again, a line goes below zero; a step more "
    "raises",
)
INF = 10**9  # MMEngine's end of no end

_steps_or_0 = whole(0)


def _share(where: str, given: Any) -> float:
    share = not_negative(where, given)
    return share if share <= 1.0 else _check.refuse(where, "a number between 0 and 1", given)


_SPAN: dict[str, Any] = {"begin": _steps_or_0, "end": whole(1)}


def _span(name: str, begin: int, end: int) -> int:
    return end - begin if end > begin else _check.refuse(f"{name}.end", f"a step after begin = {begin}", end)


def _from(base_lr: float, begin: int, made: Schedule) -> Schedule:
    return Sequence([(base_lr, begin), made]) if begin else made


def _frozen(made: Schedule, begin: int, end: int) -> Schedule:
    """The values of the steps [begin, end), of which the last one stays; an end of INF is none."""
    steps, length = end - begin, made.length
    if end >= INF or (length is not None and length < steps):
        return made
    return Sequence([(made, steps), held(made, steps - 1)])


@peer(
    "base_lr * (factor if t < end - begin - 1 else 1)",
    "base_lr again at step end - 1; never with end = begin + 1",
    DIVIDES_BY_ZERO,
    base_lr=value,
    factor=_share,
    **_SPAN,
)
def ConstantLR(
    base_lr: float, factor: float = 1.0 / 3, begin: int = 0, end: int = INF, *, strict: bool = False
) -> Schedule:
    """A smaller learning rate at first: torch's `ConstantLR(total_iters=end - begin - 1)`.

    Raises:
        ValueError: with `strict` a factor of 0.

    Example:
        >>> ConstantLR(1.0, 0.5, begin=1, end=4).table(5).tolist()
        [1.0, 0.5, 0.5, 1.0, 1.0]
    """
    steps = _span("ConstantLR", begin, end) - 1
    if strict and factor == 0.0 and steps:
        _check.refuse("ConstantLR.factor", "a number > 0 with strict", factor)
    low = Constant(base_lr * factor)
    return _from(base_lr, begin, Sequence([(low, steps), base_lr]) if steps else low)


@peer(
    "base_lr * (start_factor + (end_factor - start_factor) * t / (end - begin - 1))",
    "base_lr * end_factor at step end - 1, an update before torch's with total_iters = end - begin; holds",
    DIVIDES_BY_ZERO,
    base_lr=value,
    start_factor=_share,
    end_factor=_share,
    **_SPAN,
)
def LinearLR(
    base_lr: float,
    start_factor: float = 1.0 / 3,
    end_factor: float = 1.0,
    begin: int = 0,
    end: int = INF,
    *,
    strict: bool = False,
) -> Schedule:
    """A straight line from one factor to another: torch's `LinearLR(total_iters=end - begin - 1)`.

    Raises:
        ValueError: with `strict` a start_factor of 0.

    Example:
        >>> LinearLR(1.0, 0.5, end=3).table(4).tolist()
        [0.5, 0.75, 1.0, 1.0]
    """
    steps = _span("LinearLR", begin, end) - 1
    if strict and start_factor == 0.0 and steps:
        _check.refuse("LinearLR.start_factor", "a number > 0 with strict", start_factor)
    first = base_lr * start_factor
    return _from(base_lr, begin, Linear(first, base_lr * end_factor, steps) if steps else Constant(first))


@peer(
    "eta_min + (base_lr - eta_min) * (1 - t / (end - begin - 1))**power",
    "eta_min at step end - 1, and holds",
    base_lr=value,
    eta_min=value,
    power=positive,
    **_SPAN,
)
def PolyLR(base_lr: float, eta_min: float = 0, power: float = 1.0, begin: int = 0, end: int = INF) -> Schedule:
    """A power of the rest of the run: lrcore's `Polynomial`, an update shorter.

    Example:
        >>> PolyLR(1.0, end=3).table(4).tolist()
        [1.0, 0.5, 0.0, 0.0]
    """
    steps = _span("PolyLR", begin, end) - 1
    return _from(base_lr, begin, Polynomial(base_lr, eta_min, steps, power) if steps else Constant(base_lr))


@peer("base_lr * gamma**t", "at the steps [begin, end); the last value stays", base_lr=value, gamma=positive, **_SPAN)
def ExponentialLR(base_lr: float, gamma: float, begin: int = 0, end: int = INF) -> Schedule:
    """A factor at each step: lrcore's `ExponentialDecay`.

    Example:
        >>> ExponentialLR(1.0, 0.5, end=3).table(4).tolist()
        [1.0, 0.5, 0.25, 0.25]
    """
    _span("ExponentialLR", begin, end)
    return _from(base_lr, begin, _frozen(ExponentialDecay(base_lr, gamma), begin, end))


@peer(
    "base_lr * gamma**floor(t / step_size)",
    "drops at t = step_size, from begin on, at the steps before end",
    base_lr=value,
    step_size=whole(1),
    gamma=positive,
    **_SPAN,
)
def StepLR(base_lr: float, step_size: int, gamma: float = 0.1, begin: int = 0, end: int = INF) -> Schedule:
    """A factor every `step_size` steps: lrcore's `step_decay`.

    Example:
        >>> StepLR(1.0, 2, 0.5, begin=1).table(6).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """
    _span("StepLR", begin, end)
    made = ExponentialDecay(base_lr, gamma, step_size).staircase(step_size)
    return _from(base_lr, begin, _frozen(made, begin, end))


@peer(
    "base_lr * gamma**(number of milestones <= t)",
    "drops at t = milestone, which counts from begin, at the steps before end",
    base_lr=value,
    milestones=many(_steps_or_0, "steps"),
    gamma=positive,
    **_SPAN,
)
def MultiStepLR(
    base_lr: float, milestones: Listed[int], gamma: float = 0.1, begin: int = 0, end: int = INF
) -> Schedule:
    """A factor at each milestone: lrcore's `Piecewise`.

    Example:
        >>> MultiStepLR(1.0, [1, 3], 0.5, begin=1).table(5).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    _span("MultiStepLR", begin, end)
    made = drops_at(base_lr, milestones, gamma)
    return _from(base_lr, begin, _frozen(made, begin, end))


def _floor(where: str, base_lr: float, eta_min: float | None, eta_min_ratio: float | None) -> float:
    if eta_min is not None and eta_min_ratio is not None:
        _check.refuse(f"{where}.eta_min_ratio", "None beside eta_min", eta_min_ratio)
    if eta_min_ratio is not None:
        return value(f"{where}.eta_min_ratio * base_lr", base_lr * eta_min_ratio)
    return eta_min if eta_min is not None else 0.0


@peer(
    "eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2",
    "T_max is end - begin if None; eta_min at t = T_max, which is no step before end by default: MMEngine never comes "
    "there, lrcore does at step end",
    RISES_AGAIN,
    STOPS_SHORT,
    base_lr=value,
    T_max=optional(whole(1)),
    eta_min=optional(value),
    eta_min_ratio=optional(value),
    **_SPAN,
)
def CosineAnnealingLR(
    base_lr: float,
    T_max: int | None = None,
    eta_min: float | None = None,
    begin: int = 0,
    end: int = INF,
    eta_min_ratio: float | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """Half a cosine wave, which holds at its end: lrcore's `Cosine`.

    With a T_max of `end - begin`, as by default, the end is at the step `end`; with `strict` the value before it stays,
    as in MMEngine. A longer T_max is cut off at `end - 1` either way.

    Raises:
        ValueError: both of eta_min and eta_min_ratio.

    Example:
        >>> CosineAnnealingLR(1.0, end=2).table(4).tolist()
        [1.0, 0.5, 0.0, 0.0]
        >>> CosineAnnealingLR(1.0, end=2, strict=True).table(4).tolist()
        [1.0, 0.5, 0.5, 0.5]
    """
    steps = _span("CosineAnnealingLR", begin, end)
    period = steps if T_max is None else T_max
    floor = _floor("CosineAnnealingLR", base_lr, eta_min, eta_min_ratio)
    made = cosine(base_lr, floor, period, rises_again=strict and period < steps - 1)
    return _from(base_lr, begin, _frozen(made, begin, end) if strict or period > steps else made)


@peer(
    "eta_min + (base_lr * restart_weights[i] - eta_min) * (1 + cos(pi * t_i / periods[i])) / 2, t_i after restart i",
    "restarts at the sums of periods; the last period has its minimum at its end, where MMEngine has stopped",
    STAYS_SHORT,
    base_lr=value,
    periods=many(whole(1), "steps"),
    restart_weights=many(value, "numbers"),
    eta_min=optional(value),
    eta_min_ratio=optional(value),
    **_SPAN,
)
def CosineRestartLR(
    base_lr: float,
    periods: Listed[int],
    restart_weights: Listed[float] = (1,),
    eta_min: float | None = None,
    eta_min_ratio: float | None = None,
    begin: int = 0,
    end: int = INF,
    *,
    strict: bool = False,
) -> Schedule:
    """Cosine waves with restarts, of any lengths and heights: a `Sequence` of lrcore's `Cosine`.

    Raises:
        ValueError: another number of restart_weights than of periods, or none; none or both of eta_min and
            eta_min_ratio.

    Example:
        >>> CosineRestartLR(1.0, [2, 2], [1.0, 0.5], eta_min=0.0).table(6).tolist()
        [1.0, 0.5, 0.5, 0.25, 0.0, 0.0]
        >>> CosineRestartLR(1.0, [2, 2], [1.0, 0.5], eta_min=0.0, strict=True).table(6).tolist()
        [1.0, 0.5, 0.5, 0.25, 0.25, 0.25]
    """
    name = "CosineRestartLR"
    if not periods or len(periods) != len(restart_weights):
        counts = (len(periods), len(restart_weights))
        _check.refuse(f"{name}.restart_weights", "as many as periods, at least one", counts)
    if eta_min is None and eta_min_ratio is None:
        _check.refuse(f"{name}.eta_min", "a number, or an eta_min_ratio", eta_min)
    floor = _floor(name, base_lr, eta_min, eta_min_ratio)
    steps, total = _span(name, begin, end), sum(periods)
    waves = [(Cosine(base_lr * w, floor, period), period) for w, period in zip(restart_weights, periods, strict=True)]
    made = Sequence([*waves[:-1], waves[-1][0]])
    stop = min(end, begin + total) if strict else end
    return _from(base_lr, begin, _frozen(made, begin, stop) if strict or steps < total else made)


@peer(
    "from eta_max / div_factor to eta_max to eta_max / div_factor / final_div_factor (three_phase: by way of the first "
    "value), by half cosine waves or lines",
    "as torch's; total_steps is end - begin if None; before begin the learning rate is base_lr",
    EXTRAPOLATES,
    eta_max=value,
    total_steps=optional(whole(1)),
    pct_start=_share,
    anneal_strategy=choice("cos", "linear"),
    div_factor=positive,
    final_div_factor=positive,
    three_phase=flag,
    base_lr=optional(value),
    **_SPAN,
)
def OneCycleLR(
    eta_max: float = 0,
    total_steps: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
    begin: int = 0,
    end: int = INF,
    *,
    base_lr: float | None = None,
    strict: bool = False,
) -> Schedule:
    """Up to a high learning rate and down far below the first one: torch's `OneCycleLR`.

    Raises:
        ValueError: a begin above 0 without base_lr, the learning rate until then.

    Example:
        >>> OneCycleLR(1.0, 10, anneal_strategy="linear", div_factor=2, final_div_factor=5).table(4).round(2).tolist()
        [0.5, 0.75, 1.0, 0.87]
    """
    steps = _span("OneCycleLR", begin, end)
    if begin and base_lr is None:
        _check.refuse("OneCycleLR.base_lr", f"a learning rate for the steps before begin = {begin}", base_lr)
    shape = (pct_start, anneal_strategy, div_factor, final_div_factor, three_phase)
    total = steps if total_steps is None else total_steps
    made = one_cycle("OneCycleLR.eta_max", eta_max, total, *shape, strict=strict and total < steps)
    return _from(base_lr or 0.0, begin, _frozen(made, begin, end) if total > steps else made)


# ---- The same of another value ----


def _of(first: str, name: str, model: Callable[..., Schedule]) -> Callable[..., Schedule]:
    """A scheduler of the learning rate as one of another value, with its own name and that of its first argument."""
    plain, declared = inspect.unwrap(model), PEERS[f"mmengine.{model.__name__}"]

    @functools.wraps(plain)
    def made(*args: Any, **kwargs: Any) -> Schedule:
        if first in kwargs:
            kwargs["base_lr"] = kwargs.pop(first)
        try:
            schedule: Schedule = plain(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise type(error)(_renamed(str(error), model.__name__, name, first)) from None
        return schedule

    signature = inspect.signature(plain)
    parameters = [it.replace(name=first) if it.name == "base_lr" else it for it in signature.parameters.values()]
    made.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    made.__name__ = made.__qualname__ = name
    example = inspect.getdoc(model).partition("Example:")[2]  # type: ignore[union-attr]
    said = f"`{model.__name__}` of a `{first}` instead of the learning rate.\n\nExample:{example}\n"
    made.__doc__ = _renamed(said, f"{model.__name__}(", f"{name}(", first)
    checks = {first if key == "base_lr" else key: check for key, check in model.checks.items()}  # type: ignore[attr-defined]
    formula, convention = (text.replace("base_lr", first) for text in (declared.formula, declared.convention))
    return peer(formula, convention, *declared.quirks, **checks)(made)


def _renamed(text: str, before: str, after: str, first: str) -> str:
    return text.replace(before, after).replace("base_lr", first)


ConstantMomentum = _of("base_momentum", "ConstantMomentum", ConstantLR)
CosineAnnealingMomentum = _of("base_momentum", "CosineAnnealingMomentum", CosineAnnealingLR)
CosineRestartMomentum = _of("base_momentum", "CosineRestartMomentum", CosineRestartLR)
ExponentialMomentum = _of("base_momentum", "ExponentialMomentum", ExponentialLR)
LinearMomentum = _of("base_momentum", "LinearMomentum", LinearLR)
MultiStepMomentum = _of("base_momentum", "MultiStepMomentum", MultiStepLR)
PolyMomentum = _of("base_momentum", "PolyMomentum", PolyLR)
StepMomentum = _of("base_momentum", "StepMomentum", StepLR)
ConstantParamScheduler = _of("base_value", "ConstantParamScheduler", ConstantLR)
CosineAnnealingParamScheduler = _of("base_value", "CosineAnnealingParamScheduler", CosineAnnealingLR)
CosineRestartParamScheduler = _of("base_value", "CosineRestartParamScheduler", CosineRestartLR)
ExponentialParamScheduler = _of("base_value", "ExponentialParamScheduler", ExponentialLR)
LinearParamScheduler = _of("base_value", "LinearParamScheduler", LinearLR)
MultiStepParamScheduler = _of("base_value", "MultiStepParamScheduler", MultiStepLR)
OneCycleParamScheduler = _of("base_lr", "OneCycleParamScheduler", OneCycleLR)
PolyParamScheduler = _of("base_value", "PolyParamScheduler", PolyLR)
StepParamScheduler = _of("base_value", "StepParamScheduler", StepLR)
