"""timm.scheduler, by its own names. A first argument `base_lr` stands for the learning rate of the group.

A value is what `step(t)` or `step_update(t)` sets, so t counts epochs or updates, whichever the training loop passes;
`optimizer`, `t_in_epochs` and `initialize` are left out. `PlateauLRScheduler` hangs on a metric and is not here. A
`cycle_mul` below 1, with which timm comes to a logarithm of 0, is refused.

Noise has timm's own numbers, which are those of torch's generator. `noise_type`, which timm's constructors leave
out but for that of `PlateauLRScheduler`, is the attribute of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence as Listed
from fractions import Fraction
from itertools import accumulate, islice, takewhile
from typing import Any

from lrcore import _check
from lrcore._check import END_OF_STEPS, choice, flag, not_negative, positive, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Linear, Polynomial
from lrcore.cycles import MAX_CYCLES, check_period_mult
from lrcore.dialects._dialect import Made, Quirk, many, optional, peer
from lrcore.dialects._parts import _cycles, through, wave
from lrcore.dialects._timm_parts import (
    Cycles,
    Noisy,
    after_warmup,
    as_set,
    between,
    decay_factor,
    decimal,
    drops_every,
    is_late,
    is_whole,
    noise_range,
    noise_seed,
    share,
)
from lrcore.dialects._torchlike import drops_at
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule

__all__ = [
    "CosineLRScheduler",
    "MultiStepLRScheduler",
    "PolyLRScheduler",
    "StepLRScheduler",
    "TanhLRScheduler",
    "WSDLRScheduler",
    "create_scheduler_v2",
]

MISSES_RESTARTS = Quirk(
    "misses-restarts",
    "with cycle_mul the cycle comes from a rounded logarithm, so at some restarts the lowest value stands for an "
    "update more (t_initial=1, cycle_mul=3, t=121)",
    applies=lambda made: made["cycle_mul"] != 1.0 and made.differs_at(*_restarts(made)),
)
MISSES_DROPS = Quirk(
    "misses-drops",
    "t // decay_t is rounded down for a decay_t like 2.6, so every drop at a whole t is an update late",
    applies=lambda made: made["decay_rate"] != 1.0 and is_late(decimal("decay_t", made["decay_t"]), made["decay_t"]),
)
FIRST_IS_BASE = Quirk(
    "first-is-base",
    "update 0 has base_lr, or with a warm-up warmup_lr_init, and no noise, unless step(0) is called, which timm's "
    "training loop does not do",
    applies=lambda made: made.differs_at(0),
)
ONE_EARLY = Quirk(
    "one-early",
    "a milestone m acts at t = m - 1, an update before torch's, as timm documents",
    always=True,
    applies=lambda made: made["decay_rate"] != 1.0 and any(each > _counted_from(made) for each in made["decay_t"]),
)

_steps = whole(1)
_steps_or_0 = whole(0)


def _cycle_limit(where: str, given: Any) -> int:
    return int(whole(0, MAX_CYCLES, "a number of cycles")(where, given))


def _restarts(made: Made) -> list[int]:
    """The updates at which cycles are to begin, and at which the last one is over."""
    cycles = islice(_cycles(Fraction(made["t_initial"]), made["cycle_mul"]), made["cycle_limit"])
    stops = accumulate(steps for steps, *_ in cycles)
    first = made["warmup_t"] if made["warmup_prefix"] else 0
    return [first + stop for stop in takewhile(lambda stop: first + stop < END_OF_STEPS, stops)]


def _counted_from(made: Made) -> int:
    """The update from which on milestones are seen."""
    return 0 if made["warmup_prefix"] else int(made["warmup_t"])


_WARMUP: dict[str, Any] = {"base_lr": value, "warmup_t": _steps_or_0, "warmup_lr_init": value}
_NOISE: dict[str, Any] = {
    "noise_range_t": noise_range,
    "noise_pct": positive,
    "noise_std": not_negative,
    "noise_seed": noise_seed,
    "noise_type": choice("normal", "uniform"),
}
_CYCLES: dict[str, Any] = {
    "t_initial": _steps,
    "lr_min": not_negative,
    "cycle_mul": check_period_mult,
    "cycle_decay": not_negative,
    "cycle_limit": _cycle_limit,
    "warmup_prefix": flag,
}


@peer(
    "lr_min + (base_lr * cycle_decay**i - lr_min) * (1 + cos(pi * (t_i / T_i)**k_decay)) / 2, in the cycle i of "
    "T_i = t_initial * cycle_mul**i, t_i after its begin; t < warmup_t: a line from warmup_lr_init to base_lr",
    "the cycles include the warm-up unless warmup_prefix, so the learning rate may jump at its end; lr_min after "
    "cycle_limit cycles, and holds",
    MISSES_RESTARTS,
    FIRST_IS_BASE,
    **_CYCLES,
    **_WARMUP,
    **_NOISE,
    k_decay=positive,
)
def CosineLRScheduler(
    base_lr: float,
    t_initial: int,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    noise_range_t: Listed[float] | float | None = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    k_decay: float = 1.0,
    *,
    noise_type: str = "normal",
    strict: bool = False,
) -> Schedule:
    """Cosine waves with restarts: lrcore's `sgdr`, which ends each restart on a whole update and decays the height.

    Example:
        >>> CosineLRScheduler(1.0, 4, warmup_t=2).table(6).round(3).tolist()
        [0.0, 0.5, 0.5, 0.146, 0.0, 0.0]
        >>> CosineLRScheduler(1.0, 4, warmup_t=2, warmup_prefix=True).table(6).round(3).tolist()
        [0.0, 0.5, 1.0, 0.854, 0.5, 0.146]
    """

    def shape(peak: float, begin: float, end: float) -> Schedule:
        if k_decay != 1.0:
            return between(peak, lr_min, Map(Map(share(begin, end), "power", k_decay), "cosine"))
        return Cosine(peak, lr_min, int(end)) if is_whole(begin, end) else wave(peak, lr_min, begin, end)

    cycles = Cycles(base_lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit)
    made = cycles.of(shape, ends_at_min=True, strict=strict)
    made = after_warmup(made, warmup_t, warmup_lr_init, base_lr, warmup_prefix)
    noise = Noisy(noise_range_t, noise_pct, noise_std, noise_seed, noise_type)
    return as_set(made, base_lr, warmup_t, warmup_lr_init, noise, strict)


@peer(
    "lr_min + (base_lr * cycle_decay**i - lr_min) * (1 - (t_i / T_i)**k_decay)**power, in the cycle i of "
    "T_i = t_initial * cycle_mul**i, t_i after its begin; t < warmup_t: a line from warmup_lr_init to base_lr",
    "the cycles include the warm-up unless warmup_prefix, so the learning rate may jump at its end; lr_min after "
    "cycle_limit cycles, and holds; power is 0.5 by default",
    MISSES_RESTARTS,
    FIRST_IS_BASE,
    **_CYCLES,
    **_WARMUP,
    **_NOISE,
    power=positive,
    k_decay=positive,
)
def PolyLRScheduler(
    base_lr: float,
    t_initial: int,
    power: float = 0.5,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    noise_range_t: Listed[float] | float | None = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    k_decay: float = 1.0,
    *,
    noise_type: str = "normal",
    strict: bool = False,
) -> Schedule:
    """A power of the rest of each cycle: lrcore's `Polynomial`, with restarts.

    Example:
        >>> PolyLRScheduler(1.0, 4, power=2.0, lr_min=0.5).table(6).tolist()
        [1.0, 0.78125, 0.625, 0.53125, 0.5, 0.5]
    """

    def shape(peak: float, begin: float, end: float) -> Schedule:
        if k_decay != 1.0:
            return between(peak, lr_min, Map(-1.0 * Map(share(begin, end), "power", k_decay) + 1.0, "power", power))
        if is_whole(begin, end):
            return Polynomial(peak, lr_min, int(end), power)
        return between(peak, lr_min, Map(through(begin, 1.0, end, 0.0), "power", power))

    cycles = Cycles(base_lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit)
    made = cycles.of(shape, ends_at_min=True, strict=strict)
    made = after_warmup(made, warmup_t, warmup_lr_init, base_lr, warmup_prefix)
    noise = Noisy(noise_range_t, noise_pct, noise_std, noise_seed, noise_type)
    return as_set(made, base_lr, warmup_t, warmup_lr_init, noise, strict)


@peer(
    "lr_min + (base_lr * cycle_decay**i - lr_min) * (1 - tanh(lb * (1 - p) + ub * p)) / 2, p = t_i / T_i, in the cycle "
    "i of T_i = t_initial * cycle_mul**i, t_i after its begin; t < warmup_t: a line from warmup_lr_init to base_lr",
    "0.999999 * base_lr at t = 0 by default; a cycle ends above lr_min, which stands after cycle_limit cycles; without "
    "warmup_prefix the warm-up goes to the decay's value at its end",
    MISSES_RESTARTS,
    FIRST_IS_BASE,
    **_CYCLES,
    **_WARMUP,
    **_NOISE,
    lb=value,
    ub=value,
)
def TanhLRScheduler(
    base_lr: float,
    t_initial: int,
    lb: float = -7.0,
    ub: float = 3.0,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    noise_range_t: Listed[float] | float | None = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    noise_type: str = "normal",
    strict: bool = False,
) -> Schedule:
    """A hyperbolic tangent, with restarts.

    Example:
        >>> TanhLRScheduler(1.0, 4).table(6).round(3).tolist()
        [1.0, 1.0, 0.982, 0.269, 0.0, 0.0]
    """
    if not lb < ub:
        _check.refuse("TanhLRScheduler.ub", f"a number above lb = {lb}", ub)

    def shape(peak: float, begin: float, end: float) -> Schedule:
        whole_cycle = is_whole(begin, end)
        level = Linear(lb, ub, int(end)) if whole_cycle else through(begin, lb, end, ub)
        return between(peak, lr_min, -0.5 * Map(level, "tanh") + 0.5)

    cycles = Cycles(base_lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit)
    made = cycles.of(shape, ends_at_min=False, strict=strict)
    target = base_lr if warmup_prefix else made(warmup_t)
    made = after_warmup(made, warmup_t, warmup_lr_init, target, warmup_prefix)
    noise = Noisy(noise_range_t, noise_pct, noise_std, noise_seed, noise_type)
    return as_set(made, base_lr, warmup_t, warmup_lr_init, noise, strict)


@peer(
    "base_lr * decay_rate**floor(t / decay_t); t < warmup_t: a line from warmup_lr_init to base_lr",
    "drops at t = decay_t, which need not be whole; t counts from the end of the warm-up unless warmup_prefix is False",
    MISSES_DROPS,
    FIRST_IS_BASE,
    **_WARMUP,
    **_NOISE,
    decay_rate=positive,
    warmup_prefix=flag,
)
def StepLRScheduler(
    base_lr: float,
    decay_t: float,
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: Listed[float] | float | None = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    noise_type: str = "normal",
    strict: bool = False,
) -> Schedule:
    """A factor every `decay_t` updates: lrcore's `step_decay`, with a period like 2.4 too.

    Example:
        >>> StepLRScheduler(1.0, 2.5, 0.5).table(8).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25]
    """
    exact = decimal("StepLRScheduler.decay_t", decay_t)
    made = drops_every(base_lr, exact, decay_rate, late=strict and is_late(exact, decay_t))
    made = after_warmup(made, warmup_t, warmup_lr_init, base_lr, warmup_prefix)
    noise = Noisy(noise_range_t, noise_pct, noise_std, noise_seed, noise_type)
    return as_set(made, base_lr, warmup_t, warmup_lr_init, noise, strict)


def _milestones(where: str, given: Any) -> tuple[int, ...]:
    places: tuple[int, ...] = many(_steps_or_0, "steps")(where, given)
    return places if list(places) == sorted(places) else _check.refuse(where, "steps in order", given)


@peer(
    "base_lr * decay_rate**(number of decay_t <= t + 1); t < warmup_t: a line from warmup_lr_init to base_lr",
    "drops at t = milestone - 1; t counts from the end of the warm-up unless warmup_prefix is False",
    ONE_EARLY,
    FIRST_IS_BASE,
    **_WARMUP,
    **_NOISE,
    decay_t=_milestones,
    decay_rate=positive,
    warmup_prefix=flag,
)
def MultiStepLRScheduler(
    base_lr: float,
    decay_t: Listed[int],
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: Listed[float] | float | None = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    noise_type: str = "normal",
    strict: bool = False,
) -> Schedule:
    """A factor at each milestone, an update before it: lrcore's `Piecewise` has boundaries smaller by 1.

    Example:
        >>> MultiStepLRScheduler(1.0, [2, 4], 0.5).table(5).tolist()
        [1.0, 0.5, 0.5, 0.25, 0.25]
    """
    made = drops_at(base_lr, [max(milestone - 1, 0) for milestone in decay_t], decay_rate)
    made = after_warmup(made, warmup_t, warmup_lr_init, base_lr, warmup_prefix)
    noise = Noisy(noise_range_t, noise_pct, noise_std, noise_seed, noise_type)
    return as_set(made, base_lr, warmup_t, warmup_lr_init, noise, strict)


STABLE = ("constant", "rsqrt", "power")
DECAYS = ("linear", "1-sqrt", "cosine", "power", "exp")


def _decay_fn(where: str, given: Any) -> Any:
    return given if callable(given) else choice(*DECAYS)(where, given)


def _ratio(where: str, given: Any) -> float:
    return positive(where, given) if _check.value(where, given) < 1.0 else _check.refuse(where, "a number < 1", given)


@peer(
    "s = max(base_lr * stable(t - warmup_t), lr_min), then lr_min + (s - lr_min) * decay(p) in the last decay_t "
    "updates; stable is 1, (1 + t / stable_timescale)**-0.5 or **-stable_power; decay is 1 - p, 1 - sqrt(p), "
    "(1 + cos(pi * p)) / 2, 1 - p**decay_power or (decay_ratio**p - decay_ratio) / (1 - decay_ratio)",
    "the warm-up, from warmup_lr_init, is before t_initial; lr_min at t = warmup_t + t_initial, and holds",
    FIRST_IS_BASE,
    **_WARMUP,
    **_NOISE,
    t_initial=_steps,
    decay_t=_steps,
    lr_min=not_negative,
    stable_fn=choice(*STABLE),
    stable_timescale=optional(positive),
    stable_power=positive,
    decay_fn=_decay_fn,
    decay_power=positive,
    decay_ratio=_ratio,
)
def WSDLRScheduler(
    base_lr: float,
    t_initial: int,
    decay_t: int,
    lr_min: float = 0.0,
    stable_fn: str = "constant",
    stable_timescale: float | None = None,
    stable_power: float = 0.5,
    decay_fn: str | Callable[[float], float] = "1-sqrt",
    decay_power: float = 0.5,
    decay_ratio: float = 0.1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    noise_range_t: Listed[float] | float | None = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    noise_type: str = "normal",
    strict: bool = False,
) -> Schedule:
    """Warm-up, stable, decay: lrcore's `wsd`, with a stable phase that may fall, and more shapes of decay.

    A `decay_fn` that is a function of the share of the decay is tabulated.

    Example:
        >>> WSDLRScheduler(1.0, 4, 2, decay_fn="linear", warmup_t=2).table(8).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    if decay_t > t_initial:
        _check.refuse("WSDLRScheduler.decay_t", f"at most t_initial = {t_initial}", decay_t)
    stable: Schedule = Constant(max(base_lr, lr_min))
    if stable_fn != "constant":
        timescale = positive("WSDLRScheduler.stable_timescale (or warmup_t)", stable_timescale or warmup_t)
        power = 0.5 if stable_fn == "rsqrt" else stable_power
        stable = (base_lr * Map(Line(1.0, 2.0, timescale), "power", -power)).clip(min=lr_min)
    factor = decay_factor(decay_fn, decay_t, decay_power, decay_ratio)
    held = t_initial - decay_t
    if stable_fn == "constant" and isinstance(factor, (Linear, Cosine)):
        decay: Schedule = type(factor)(max(base_lr, lr_min), lr_min, decay_t)
    else:
        decay = (stable.shift(held) + -lr_min) * factor + lr_min
    made = Sequence([(stable, held), decay]) if held else decay
    made = after_warmup(made, warmup_t, warmup_lr_init, base_lr, warmup_prefix=True)
    noise = Noisy(noise_range_t, noise_pct, noise_std, noise_seed, noise_type)
    return as_set(made, base_lr, warmup_t, warmup_lr_init, noise, strict)


SCHEDULERS = ("cosine", "tanh", "step", "constant", "multistep", "poly", "wsd", "rsqrt")


def create_scheduler_v2(
    base_lr: float,
    sched: str = "cosine",
    num_epochs: int = 300,
    decay_epochs: float | None = None,
    decay_milestones: Listed[int] = (90, 180, 270),
    decay_rate: float = 0.1,
    min_lr: float = 0.0,
    warmup_lr: float = 1e-5,
    warmup_epochs: int = 0,
    warmup_prefix: bool = False,
    noise: float | Listed[float] | None = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    cycle_mul: float = 1.0,
    cycle_decay: float = 0.1,
    cycle_limit: int = 1,
    k_decay: float = 1.0,
    decay_fn: str | None = None,
    stable_timescale: float | None = None,
    step_on_epochs: bool = True,
    updates_per_epoch: int = 0,
    *,
    strict: bool = False,
) -> Schedule:
    """A schedule by the arguments of timm's training script, in epochs, or in updates with `step_on_epochs=False`.

    What is of no account for the values (`cooldown_epochs`) or belongs to a metric is left out.

    Raises:
        ValueError: an unknown name, or one without a schedule ("plateau", "none"); arguments that the schedule refuses.

    Example:
        >>> create_scheduler_v2(1.0, "step", 10, decay_epochs=2.5, decay_rate=0.5).table(6).tolist()
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """
    name = "create_scheduler_v2"
    choice(*SCHEDULERS)(f"{name}.sched", sched)
    unit = (
        1 if flag(f"{name}.step_on_epochs", step_on_epochs) else _steps(f"{name}.updates_per_epoch", updates_per_epoch)
    )
    t_initial = _steps(f"{name}.num_epochs", num_epochs) * unit
    common: dict[str, Any] = {
        "warmup_t": warmup_epochs * unit,
        "warmup_lr_init": warmup_lr,
        "warmup_prefix": warmup_prefix,
    }
    if noise is not None:
        within = [share * t_initial for share in (noise if isinstance(noise, (list, tuple)) else (noise,))]
        common["noise_range_t"] = within if len(within) > 1 else within[0]
        common |= {"noise_pct": noise_pct, "noise_std": noise_std, "noise_seed": noise_seed}
    if sched in ("cosine", "tanh", "poly"):
        common |= {"lr_min": min_lr, "cycle_mul": cycle_mul, "cycle_decay": cycle_decay, "cycle_limit": cycle_limit}
        if sched == "tanh":
            return TanhLRScheduler(base_lr, t_initial, **common, strict=strict)
        if sched == "cosine":
            return CosineLRScheduler(base_lr, t_initial, **common, k_decay=k_decay, strict=strict)
        return PolyLRScheduler(base_lr, t_initial, decay_rate, **common, k_decay=k_decay, strict=strict)
    if sched == "constant":
        return StepLRScheduler(base_lr, 1, **common, strict=strict)
    if sched == "step":
        every = 90 if decay_epochs is None else decay_epochs
        return StepLRScheduler(base_lr, every * unit, decay_rate, **common, strict=strict)
    if sched == "multistep":
        return MultiStepLRScheduler(base_lr, [m * unit for m in decay_milestones], decay_rate, **common, strict=strict)
    span = t_initial if common.pop("warmup_prefix") else t_initial - common["warmup_t"]
    last = 0.2 if decay_epochs is None else decay_epochs
    return WSDLRScheduler(
        base_lr,
        span,
        round(last * span if 0 < last < 1 else last * unit),
        min_lr,
        stable_fn="rsqrt" if sched == "rsqrt" else "constant",
        stable_timescale=None if stable_timescale is None else stable_timescale * unit,
        decay_fn=decay_fn or ("linear" if sched == "rsqrt" else "1-sqrt"),
        **common,
        strict=strict,
    )
