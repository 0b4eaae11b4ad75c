"""fairseq's schedulers, by the names of `--lr-scheduler` and with the options of each; `lr` is its first learning rate.

Theirs are functions of the number of updates done, as lrcore's; epochs are counted from 1. `reduce_lr_on_plateau` is
not here: what it does hangs on a metric, so it is no schedule.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from lrcore import recipes
from lrcore._check import (
    END_OF_STEPS,
    SMALLEST,
    flag,
    items,
    not_negative,
    number,
    positive,
    refuse,
    shown,
    value,
    whole,
)
from lrcore.compose import Sequence as InSequence
from lrcore.curves import Constant, Cosine, Exponential, Linear, Piecewise, Polynomial
from lrcore.cycles import MAX_CYCLES, Cycle, check_period_mult
from lrcore.decays import ExponentialDecay
from lrcore.dialects._dialect import Quirk, optional, peer
from lrcore.dialects._parts import restarts
from lrcore.schedule import Schedule, is_schedule

RESTARTS = Quirk(
    "restarts-past-end",
    "without lr_period_updates the run is one period, and past max_update another one begins, at lr_shrink of the peak "
    "(0.1 of it by default)",
)

_updates = whole(1)
_updates_or_0 = whole(0)


def _rates(where: str, given: Any) -> tuple[float, ...]:
    listed = [given] if isinstance(given, (int, float)) else items(where, given, "numbers")
    return tuple(value(f"{where}[{at}]", rate) for at, rate in enumerate(listed)) or refuse(where, "a number", given)


def _phases(val: Any, where: str) -> tuple[float, ...]:
    shares = tuple(not_negative(f"{where}[{at}]", share) for at, share in enumerate(items(where, val, "three shares")))
    return shares if len(shares) == 3 and abs(sum(shares) - 1.0) < 1e-9 else refuse(where, "three shares of 1", val)


def _after_rise(first: float, peak: float, steps: int, then: Schedule) -> Schedule:
    return Linear(first, peak, steps) >> then if steps else then


@peer(
    "warmup_init_lr + (lr - warmup_init_lr) * t / warmup_updates for t < warmup_updates; then in period i = 0, 1, ..., "
    "lr_shrink**i * (min_lr + (lr - min_lr) * (1 + cos(pi * u / T)) / 2), u updates into it, T = t_mult**i * "
    "lr_period_updates",
    "without lr_period_updates there is one period, of max_update - warmup_updates, and min_lr holds; a restart "
    "belongs to the new period, whose peak and floor are both shrunk; a warmup_init_lr below 0 is min_lr; restarts at "
    "whole updates are exact, where fairseq's logarithm misses some",
    RESTARTS,
    lr=value,
    warmup_updates=_updates_or_0,
    warmup_init_lr=value,
    min_lr=not_negative,
    t_mult=check_period_mult,
    lr_shrink=positive,
    max_update=optional(_updates),
)
def cosine(
    lr: float,
    warmup_updates: int = 0,
    warmup_init_lr: float = -1,
    min_lr: float = 0.0,
    t_mult: float = 1.0,
    lr_period_updates: int = -1,
    lr_shrink: float = 0.1,
    max_update: int | None = None,
    *,
    strict: bool = False,
) -> Schedule:
    """A rise, then cosine waves that restart; or one wave down to `max_update`, without `lr_period_updates`.

    Example:
        >>> cosine(1.0, 2, min_lr=0.5, max_update=4).table(6).tolist()
        [0.5, 0.75, 1.0, 0.75, 0.5, 0.5]
        >>> cosine(1.0, 2, min_lr=0.5, max_update=4, strict=True).table(6).round(3).tolist()
        [0.5, 0.75, 1.0, 0.75, 0.1, 0.075]
    """
    if lr <= min_lr:
        refuse("cosine.lr", f"more than min_lr = {min_lr}", lr)
    period = whole(-1)("cosine.lr_period_updates", lr_period_updates)
    if period <= 0:
        if max_update is None or max_update <= warmup_updates:
            refuse("cosine.max_update", "lr_period_updates, or a run longer than its warm-up", max_update)
        period = max_update - warmup_updates
        waves = _waves(lr, min_lr, period, t_mult, lr_shrink) if strict else Cosine(lr, min_lr, period)
    else:
        waves = _waves(lr, min_lr, period, t_mult, lr_shrink)
    return _after_rise(min_lr if warmup_init_lr < 0 else warmup_init_lr, lr, warmup_updates, waves)


def _waves(peak: float, floor: float, period: int, period_mult: float, shrink: float) -> Schedule:
    if period_mult == int(period_mult):
        return Cycle(Cosine(peak, floor, period), period, int(period_mult), shrink)
    waves = restarts(peak - floor, 0.0, period, period_mult, shrink, where="cosine.t_mult")
    if floor == 0.0:
        return waves
    begin = Fraction(period)
    begins: list[int] = []
    while begin < END_OF_STEPS and floor * shrink ** (len(begins) + 1) >= SMALLEST:
        begins.append(math.ceil(begin))
        begin = begin * Fraction(repr(period_mult)) + period
    return waves + Piecewise(begins, [floor * shrink**at for at in range(len(begins) + 1)])


@peer(
    "lr * (t + 1) / warmup_updates for t < warmup_updates, then lr; lr is that of epoch e = 1 + floor(t / "
    "steps_per_epoch): lr[min(e, len(lr)) - 1], and from e = force_anneal on lr[-1] * lr_shrink**(e + 1 - "
    "force_anneal)",
    "update 0 has lr / warmup_updates; the first epoch is number 1, up to fairseq 0.9 it was 0 for force_anneal",
    lr=_rates,
    force_anneal=optional(_updates_or_0),
    lr_shrink=positive,
    warmup_updates=_updates_or_0,
    steps_per_epoch=_updates,
)
def fixed(
    lr: float | Sequence[float],
    force_anneal: int | None = None,
    lr_shrink: float = 0.1,
    warmup_updates: int = 0,
    *,
    steps_per_epoch: int = 1,
) -> Schedule:
    """A learning rate for each epoch, and a decay from an epoch on.

    Example:
        >>> fixed([1.0, 0.5], force_anneal=3, warmup_updates=2).table(5).round(4).tolist()
        [0.5, 0.5, 0.05, 0.005, 0.0005]
    """
    rates: Sequence[float] = lr  # type: ignore[assignment]
    epochs = len(rates) - 1 if force_anneal is None else max(force_anneal - 1, 0)
    listed = [rates[min(epoch, len(rates) - 1)] for epoch in range(epochs)]
    last: Schedule = Constant(rates[-1])
    if force_anneal is not None:
        shrunk = rates[-1] * lr_shrink ** (epochs + 2 - force_anneal)
        last = ExponentialDecay(value("fixed.lr * lr_shrink", shrunk), lr_shrink, steps_per_epoch)
        last = last.staircase(steps_per_epoch)
    whole_run = InSequence([*((rate, steps_per_epoch) for rate in listed), last]) if listed else last
    return Linear(0.0, 1.0, warmup_updates).shift(1) * whole_run if warmup_updates else whole_run


def _by_hand(where: str, given: Any) -> dict[int, float]:
    """A mapping, or its text, from "3", "3,5" or "3-5" to a learning rate; later entries replace earlier ones."""
    expected = 'a dict such as {"1-3": 0.1, "4": 0.01}, or the text of one'
    try:
        entries = ast.literal_eval(given) if isinstance(given, str) else given
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        entries = None
    if not isinstance(entries, Mapping):
        refuse(where, expected, given)
    found: dict[int, float] = {}
    for key, rate in entries.items():
        spans = [key.split("-") for key in str(key).split(",")]
        if not all(len(span) <= 2 and all(part.strip().isdecimal() for part in span) for span in spans):
            raise ValueError(f"{where}: expected {expected}, got the key {shown(key)}")
        for begin, end in ((int(span[0]), int(span[-1])) for span in spans):
            if end - begin >= MAX_CYCLES:
                refuse(where, f"spans of at most {MAX_CYCLES} numbers", key)
            found.update(dict.fromkeys(range(begin, end + 1), value(f"{where}[{key!r}]", rate)))
    return found


@peer(
    "update2lr[the largest key <= t], or before the first of its keys epoch2lr[the largest key <= e], e = 1 + floor(t "
    "/ steps_per_epoch), or before these lr",
    "a key holds until the next one; keys are numbers, lists '3,5' and spans '3-5', the later entry counts; from the "
    "first key of update2lr on epoch2lr has no effect",
    lr=value,
    epoch2lr=_by_hand,
    update2lr=_by_hand,
    steps_per_epoch=_updates,
)
def manual(
    lr: float,
    epoch2lr: str | Mapping[str, float] = "{}",
    update2lr: str | Mapping[str, float] = "{}",
    *,
    steps_per_epoch: int = 1,
) -> Schedule:
    """A learning rate for each stretch of epochs or of updates: lrcore's `Piecewise`.

    Example:
        >>> manual(0.1, {"1-2": 1.0, "3": 0.5}, steps_per_epoch=2).table(6).tolist()
        [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
        >>> manual(0.1, update2lr="{'2': 0.5, '3,4': 0.25}").table(6).tolist()
        [0.1, 0.1, 0.5, 0.25, 0.25, 0.25]
    """
    of_epochs: dict[int, float] = epoch2lr  # type: ignore[assignment]
    of_updates: dict[int, float] = update2lr  # type: ignore[assignment]
    until = min(of_updates, default=END_OF_STEPS)
    places = {0: lr}
    for epoch in sorted(of_epochs):
        begin = max(epoch - 1, 0) * steps_per_epoch
        if begin < until:
            places[begin] = of_epochs[epoch]
    places |= {update: of_updates[update] for update in sorted(of_updates)}
    changes: list[tuple[int, float]] = []
    for at in sorted(places):
        if not changes or changes[-1][1] != places[at]:
            changes.append((at, places[at]))
    steps, rates = zip(*changes, strict=True)
    return Piecewise(steps[1:], rates) if len(rates) > 1 else Constant(rates[0])


@peer("lr_scheduler(t)", "the scheduler of the optimizer itself decides", lr_scheduler=is_schedule)
def pass_through(lr_scheduler: Schedule) -> Schedule:
    """The optimizer's own schedule, unchanged.

    Example:
        >>> pass_through(Linear(1.0, 0.0, 2)) == Linear(1.0, 0.0, 2)
        True
    """
    return lr_scheduler


@peer(
    "warmup_init_lr + (lr - warmup_init_lr) * t / warmup_updates for t < warmup_updates, then "
    "lr * sqrt(warmup_updates / t)",
    "never ends; a warmup_init_lr below 0 is 0; a warm-up of 0 updates, which divides by zero there, is refused",
    lr=value,
    warmup_updates=_updates,
    warmup_init_lr=value,
)
def inverse_sqrt(lr: float, warmup_updates: int = 4000, warmup_init_lr: float = -1) -> Schedule:
    """A rise, then the inverse square root of time.

    Example:
        >>> inverse_sqrt(1.0, 4).table(5).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return recipes.inverse_sqrt(lr, warmup_updates, max(warmup_init_lr, 0.0))


@peer(
    "lr * t / warmup_updates for t <= warmup_updates; then end_learning_rate + (lr - end_learning_rate) * "
    "((total_num_update - t) / (total_num_update - warmup_updates))**power; at the begin of each epoch from number "
    "force_anneal on, lr is replaced by the learning rate of that moment",
    "total_num_update includes the warm-up; end_learning_rate holds; with force_anneal the decays of the epochs "
    "multiply, and within a warm-up its rises do",
    lr=value,
    warmup_updates=_updates_or_0,
    force_anneal=optional(_updates_or_0),
    end_learning_rate=value,
    power=positive,
    total_num_update=_updates,
    steps_per_epoch=_updates,
)
def polynomial_decay(
    lr: float,
    warmup_updates: int = 0,
    force_anneal: int | None = None,
    end_learning_rate: float = 0.0,
    power: float = 1.0,
    total_num_update: int = 1_000_000,
    *,
    steps_per_epoch: int = 1,
) -> Schedule:
    """A rise, then a power of what is left of the run.

    Example:
        >>> polynomial_decay(1.0, 2, power=2.0, total_num_update=4).table(6).tolist()
        [0.0, 0.5, 1.0, 0.25, 0.0, 0.0]
        >>> polynomial_decay(1.0, force_anneal=2, total_num_update=4, steps_per_epoch=2).table(5).tolist()
        [1.0, 0.75, 0.25, 0.125, 0.0]
    """

    def curve(peak: float) -> Schedule:
        steps = total_num_update - warmup_updates
        if steps > 0:
            return _after_rise(0.0, peak, warmup_updates, Polynomial(peak, end_learning_rate, steps, power))
        return InSequence([(Linear(0.0, peak, warmup_updates), warmup_updates + 1), end_learning_rate])

    if force_anneal is None:
        return curve(lr)
    begin, end = max(force_anneal - 1, 0) * steps_per_epoch, max(total_num_update, warmup_updates + 1)
    if (end - begin) // steps_per_epoch >= MAX_CYCLES:
        refuse("polynomial_decay.steps_per_epoch", f"at most {MAX_CYCLES} epochs from force_anneal on", steps_per_epoch)
    parts: list[Any] = [(curve(lr), begin)] if begin else []
    for at in range(begin, end, steps_per_epoch):
        lr = curve(lr)(at)
        parts.append((curve(lr).shift(at), steps_per_epoch))
    return InSequence([*parts, end_learning_rate])


@peer(
    "the rise of cosine, then max(min_lr, lr * lr_decay**floor((t - warmup_updates) / lr_decay_period))",
    "drops at t = warmup_updates + lr_decay_period; never ends; a warmup_init_lr below 0 is min_lr",
    lr=value,
    warmup_updates=_updates_or_0,
    warmup_init_lr=value,
    min_lr=not_negative,
    lr_decay_period=_updates,
    lr_decay=positive,
)
def step(
    lr: float,
    warmup_updates: int = 0,
    warmup_init_lr: float = -1,
    min_lr: float = 0.0,
    lr_decay_period: int = 25000,
    lr_decay: float = 0.5,
) -> Schedule:
    """A rise, then a factor every so many updates.

    Example:
        >>> step(1.0, 2, lr_decay_period=1).table(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    first = min_lr if warmup_init_lr < 0 else warmup_init_lr
    return _after_rise(first, lr, warmup_updates, recipes.step_decay(lr, lr_decay, lr_decay_period).clip(min=min_lr))


@peer(
    "from init_lr_scale * lr to lr in warmup_steps updates, in a straight line; lr for hold_steps; then "
    "lr * final_lr_scale**(u / decay_steps), u updates into the decay",
    "final_lr_scale * lr holds; with phase_ratio the stages are these shares of max_update, rounded down; the "
    "formula that fairseq documents for the decay is not the one that it computes, this one; up to 0.9 the stages "
    "had 4000, 20000 and 60000 updates by default",
    lr=positive,
    warmup_steps=_updates_or_0,
    hold_steps=_updates_or_0,
    decay_steps=_updates_or_0,
    init_lr_scale=not_negative,
    final_lr_scale=positive,
    phase_ratio=optional(lambda where, given: _phases(given, where)),
    max_update=optional(_updates),
)
def tri_stage(
    lr: float,
    warmup_steps: int = 0,
    hold_steps: int = 0,
    decay_steps: int = 0,
    init_lr_scale: float = 0.01,
    final_lr_scale: float = 0.01,
    phase_ratio: Sequence[float] | None = None,
    max_update: int | None = None,
) -> Schedule:
    """A straight rise, a hold, and a geometric decay (SpecAugment's).

    Example:
        >>> tri_stage(1.0, 2, 2, 4, 0.5, 0.0625).table(10).tolist()
        [0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.0625]
    """
    if phase_ratio is not None:
        if max_update is None:
            refuse("tri_stage.max_update", "the updates of the run, with phase_ratio", max_update)
        warmup_steps, hold_steps, decay_steps = (int(max_update * share) for share in phase_ratio)
    _updates("tri_stage.decay_steps" if phase_ratio is None else "tri_stage.phase_ratio[2] * max_update", decay_steps)
    last = positive("tri_stage.lr * final_lr_scale", lr * final_lr_scale)
    first = value("tri_stage.lr * init_lr_scale", lr * init_lr_scale)
    decay: Schedule = Exponential(lr, last, decay_steps)
    hold = InSequence([(lr, hold_steps), decay]) if hold_steps else decay
    return _after_rise(first, lr, warmup_steps, hold)


@peer(
    "lo + (hi - lo) * max(0, 1 - abs(t / s - 2 * i - 1)), with s = lr_period_updates // 2, i = floor(t / (2 * s)), "
    "hi = max_lr * lr_shrink**i, lo = lr, or lr * lr_shrink**i with shrink_min",
    "never ends",
    lr=value,
    max_lr=value,
    lr_period_updates=whole(2),
    lr_shrink=positive,
    shrink_min=flag,
)
def triangular(
    lr: float, max_lr: float, lr_period_updates: int = 5000, lr_shrink: float = 0.1, shrink_min: bool = False
) -> Schedule:
    """Up and down in straight lines, again and again, each time to a lower peak.

    Example:
        >>> triangular(0.0, 1.0, 4, 0.5).table(8).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25]
    """
    number("triangular.max_lr", max_lr)
    if max_lr <= lr:
        refuse("triangular.max_lr", f"more than lr = {lr}", max_lr)
    half = lr_period_updates // 2
    if shrink_min or lr == 0.0:
        return Cycle(Linear(lr, max_lr, half), half, value_mult=lr_shrink, mirror=True)
    peaks = Cycle(Linear(0.0, max_lr, half), half, value_mult=lr_shrink, mirror=True)
    return peaks + Cycle(Linear(lr, 0.0, half), half, mirror=True)
