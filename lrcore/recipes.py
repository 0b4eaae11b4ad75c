"""Recipes: the schedules that people ask for by name. A recipe only composes curves and combinators.

A duration with a unit ("5%", "3ep") makes a recipe wait: `schedule.bind(...)` calls it. Its first argument that has to
be a number of updates is checked then.
"""

from __future__ import annotations

import math

from lrcore import _check
from lrcore._check import choice, flag, not_negative, positive, value, whole
from lrcore._rows import rounded
from lrcore.compose import Sequence
from lrcore.curves import SEGMENTS, Cosine, Linear, Polynomial
from lrcore.cycles import Cycle, check_period_mult
from lrcore.decays import ExponentialDecay, InverseSqrt
from lrcore.durations import Duration, updates
from lrcore.late import recipe
from lrcore.schedule import Schedule, is_schedule

_run = updates(1)  # which may be "rest"; a part of it may not, since what is left depends on the others
_updates = updates(1, also=())
_updates_or_0 = updates(0, also=())
_updates_or_none = updates(1, also=(), optional=True)


def _in_order(phases: list[tuple[Schedule, int]]) -> Schedule:
    """Phases one after another, without those of 0 steps; the last one that lasts holds its end."""
    lasting = [phase for phase in phases if phase[1]] or phases[-1:]
    return Sequence([*lasting[:-1], lasting[-1][0]]) if len(lasting) > 1 else lasting[0][0]


def _to(curve: str, init_value: float, end_value: float, steps: Duration) -> tuple[Schedule, int]:
    return SEGMENTS[curve](init_value, end_value, max(steps, 1)), steps


def _gap(high: float, low: float) -> float:
    """A number whose sum with `low` rounds to `high` itself: high - low, or a neighbour of it.

    It makes a peak exact that is a cycle above a floor, for 39 pairs in 40: of the others, with an odd last bit of
    `high`, no number has that sum, and the peak is an ulp off (of the floor, where that is the larger one).
    """
    gap = high - low
    neighbours = (gap, math.nextafter(gap, math.inf), math.nextafter(gap, -math.inf))
    return next((number for number in neighbours if number + low == high), gap)


@recipe(schedule=is_schedule, steps=_updates_or_0, init_value=value)
def warmup(schedule: Schedule, steps: Duration, init_value: float = 0.0) -> Schedule:
    """A linear rise to the first value of a schedule, before that schedule begins.

    `(1 - f) * init_value + f * schedule(0)` with `f = t / steps` for `t < steps`, then `schedule(t - steps)`

    Args:
        schedule: what follows the rise.
        steps: updates of the rise; with 0 there is none, and the schedule itself comes back.
        init_value: the first value of the rise.

    Raises:
        TypeError, ValueError: arguments outside of these.

    `a.warmup(steps)` is `warmup(a, steps)`.

    Reference: Goyal et al., Accurate, Large Minibatch SGD (2017), section 2.2.
    Also known as: Ignite `create_lr_scheduler_with_warmup`, Paddle `LinearWarmup`, torch `LinearLR` in `SequentialLR`.

    Example:
        >>> warmup(Cosine(1.0, 0.0, 2), 2).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    first = value("warmup: the schedule's first value", schedule(0))
    return Linear(init_value, first, steps) >> schedule if steps else schedule


@recipe(init_value=value, drop=positive, every=_updates)
def step_decay(init_value: float, drop: float, every: Duration) -> Schedule:
    """A drop by a factor every so many updates.

    `init_value * drop**floor(t / every)`

    Args:
        init_value: the first value.
        drop: the factor, > 0.
        every: updates between drops, >= 1.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Also known as: torch `StepLR`, Keras `ExponentialDecay(staircase=True)`.

    Example:
        >>> step_decay(1.0, 0.5, 2).table(5).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return ExponentialDecay(init_value, drop, every).staircase(every)


@recipe(init_value=value, end_value=value, period=_updates, power=positive)
def cyclic_polynomial(init_value: float, end_value: float, period: Duration, power: float) -> Schedule:
    """A polynomial decay that starts again every `period` updates.

    `end_value + (init_value - end_value) * (1 - g / period)**power` with `g = t mod period`

    Args:
        init_value: the value at each restart.
        end_value: where each cycle aims; the restart comes one update before it.
        period: updates between restarts, >= 1.
        power: the exponent, > 0.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Also known as: Keras `PolynomialDecay(cycle=True)`, nearly (its cycles grow).

    Example:
        >>> cyclic_polynomial(1.0, 0.0, 4, 2).table(6).tolist()
        [1.0, 0.5625, 0.25, 0.0625, 1.0, 0.5625]
    """
    return Cycle(Polynomial(init_value, end_value, period, power), period)


@recipe(
    init_value=value,
    end_value=value,
    period=_updates,
    period_mult=check_period_mult,
    value_mult=positive,
)
def sgdr(
    init_value: float, end_value: float, period: Duration, period_mult: float = 1, value_mult: float = 1.0
) -> Schedule:
    """Cosine annealing with warm restarts.

    `end_value + (init_value - end_value) * value_mult**k * (1 + cos(pi * (t - S_k) / T_k)) / 2` in cycle k,
    which begins at `S_k` and lasts `T_k = period * period_mult**k` updates

    Args:
        init_value: the value at the first restart.
        end_value: where each cycle ends.
        period: updates of the first cycle, >= 1.
        period_mult: factor from the length of each cycle to the next, >= 1.
        value_mult: factor from the height of each peak above `end_value` to the next, > 0.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Reference: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017).
    Also known as: torch `CosineAnnealingWarmRestarts`, Keras `CosineDecayRestarts`, `optax.sgdr_schedule`, HF
    `cosine_with_restarts`.

    Example:
        >>> schedule = sgdr(0.1, 0.001, 100, period_mult=2)
        >>> [schedule(step) for step in (0, 100, 300, 700)]
        [0.1, 0.1, 0.1, 0.1]
    """
    if value_mult == 1.0:
        return Cycle(Cosine(init_value, end_value, period), period, period_mult)
    height = value("sgdr.init_value - end_value", _gap(init_value, end_value))
    return Cycle(Cosine(height, 0.0, period), period, period_mult, value_mult) + end_value


@recipe(peak_value=value, end_value=value, warmup_steps=_updates_or_0, steps=_run, init_value=value)
def warmup_cosine(
    peak_value: float, end_value: float, warmup_steps: Duration, steps: Duration, init_value: float = 0.0
) -> Schedule:
    """A linear rise, then half a cosine wave down.

    Args:
        peak_value: the value at step `warmup_steps`.
        end_value: the value at step `steps` and after it.
        warmup_steps: updates of the rise; 0 for none. If it takes the whole run there is no wave, and the peak holds.
        steps: updates of the whole run, the rise included, >= 1.
        init_value: the first value of the rise.

    Raises:
        TypeError, ValueError: arguments outside of these; a warm-up longer than the run.

    Also known as: `optax.warmup_cosine_decay_schedule`, HF `cosine`, Keras `CosineDecay(warmup_steps=...)`
    (whose `decay_steps` leave the warm-up out).

    Example:
        >>> warmup_cosine(1.0, 0.0, 2, 4).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    whole(0, steps, "updates within the run")("warmup_cosine.warmup_steps", warmup_steps)
    return _in_order(
        [
            _to("linear", init_value, peak_value, warmup_steps),
            _to("cosine", peak_value, end_value, steps - warmup_steps),
        ]
    )


@recipe(
    peak_value=value,
    steps=_run,
    pct_start=not_negative,
    div_factor=positive,
    final_div_factor=positive,
    curve=choice("cosine", "linear"),
    three_phase=flag,
)
def one_cycle(
    peak_value: float,
    steps: Duration,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    curve: str = "cosine",
    three_phase: bool = False,
) -> Schedule:
    """Up to a high learning rate and down far below the first one, over one run.

    From `peak_value / div_factor` up to `peak_value` in `pct_start * steps` updates (rounded), then down to
    `peak_value / div_factor / final_div_factor` at step `steps`. With three phases the way down is symmetric
    to the way up, back to the first value, and the last phase goes on to the end.

    Args:
        peak_value: the highest value.
        steps: updates of the whole run, >= 1.
        pct_start: share of the run that rises, in [0, 1] (at most 0.5 with three phases). A phase without an update is
            left out, and the one before it holds its end: with 1.0 that is the peak.
        div_factor: peak over first value, > 0.
        final_div_factor: first over last value, > 0.
        curve: "cosine" or "linear".
        three_phase: a symmetric cycle and a phase that annihilates.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Reference: Smith and Topin, Super-Convergence (2018).
    Also known as: torch `OneCycleLR` (which reaches its phases an update earlier),
    `optax.cosine_onecycle_schedule`, fastai `fit_one_cycle`.

    Example:
        >>> schedule = one_cycle(1.0, 10, div_factor=4, final_div_factor=100)
        >>> schedule(0), schedule(3), schedule(10)
        (0.25, 1.0, 0.0025)
    """
    most = 0.5 if three_phase else 1.0
    if pct_start > most:
        _check.refuse("one_cycle.pct_start", f"a share of the run, at most {most}", pct_start)
    first = value("one_cycle.peak_value / div_factor", peak_value / div_factor)
    last = value("one_cycle.peak_value / div_factor / final_div_factor", first / final_div_factor)
    up = rounded(pct_start * steps)
    if not three_phase:
        return _in_order([_to(curve, first, peak_value, up), _to(curve, peak_value, last, steps - up)])
    down = min(up, steps - up)
    return _in_order(
        [
            _to(curve, first, peak_value, up),
            _to(curve, peak_value, first, down),
            _to(curve, first, last, steps - up - down),
        ]
    )


@recipe(
    init_value=value,
    peak_value=value,
    steps_up=_updates,
    steps_down=_updates_or_none,
    mode=choice("triangular", "triangular2", "exp_range"),
    decay_rate=positive,
)
def triangular(
    init_value: float,
    peak_value: float,
    steps_up: Duration,
    steps_down: Duration | None = None,
    mode: str = "triangular",
    decay_rate: float = 1.0,
) -> Schedule:
    """Cyclical learning rates: up and down in straight lines, again and again.

    Mode "triangular" keeps the height, "triangular2" halves it each cycle, "exp_range" multiplies it by
    `decay_rate**t`.

    Args:
        init_value: the lowest value, where each cycle begins and ends.
        peak_value: the highest value of the first cycle.
        steps_up: updates from the lowest value to the highest, >= 1.
        steps_down: updates back; `steps_up` if None.
        mode: see above.
        decay_rate: factor of the height for each update, > 0, for "exp_range".

    Raises:
        TypeError, ValueError: arguments outside of these.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017).
    Also known as: torch `CyclicLR`, TensorFlow Addons `TriangularCyclicalLearningRate`.

    Example:
        >>> triangular(0.0, 1.0, 2).table(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
        >>> triangular(0.5, 1.0, 1, mode="triangular2").table(5).tolist()
        [0.5, 1.0, 0.5, 0.75, 0.5]
    """
    down = steps_up if steps_down is None else steps_down
    if mode == "triangular":
        return _wave(init_value, peak_value, steps_up, down)
    height = value("triangular.peak_value - init_value", _gap(peak_value, init_value))
    if mode == "triangular2":
        return _wave(0.0, height, steps_up, down, value_mult=0.5) + init_value
    return _wave(0.0, height, steps_up, down) * ExponentialDecay(1.0, decay_rate) + init_value


def _wave(low: float, high: float, up: int, down: int, value_mult: float = 1.0) -> Schedule:
    return Cycle(Linear(low, high, up) >> Linear(high, low, down), up + down, value_mult=value_mult)


@recipe(
    peak_value=value,
    warmup_steps=_updates_or_0,
    steps=_run,
    decay_steps=_updates_or_0,
    end_value=value,
    init_value=value,
    curve=choice(*SEGMENTS),
)
def wsd(
    peak_value: float,
    warmup_steps: Duration,
    steps: Duration,
    decay_steps: Duration,
    end_value: float = 0.0,
    init_value: float = 0.0,
    curve: str = "linear",
) -> Schedule:
    """Warm-up, stable, decay: a linear rise, the peak for most of the run, and a decay at its end.

    Args:
        peak_value: the value between rise and decay.
        warmup_steps: updates of the rise; 0 for none.
        steps: updates of the whole run, >= 1.
        decay_steps: updates of the decay, the last ones of the run; 0 for none: the peak holds.
        end_value: the value at step `steps` and after it (> 0 for an exponential decay).
        init_value: the first value of the rise.
        curve: of the decay: "linear", "cosine" or "exponential".

    Raises:
        TypeError, ValueError: arguments outside of these; a rise and a decay that together are longer than
            the run.

    Reference: Hu et al., MiniCPM (2024), section 4.
    Also known as: HF `warmup_stable_decay`, "trapezoidal", Megatron `WSD`.

    Example:
        >>> wsd(1.0, 2, 8, 4).table(9).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    whole(0, steps, "updates within the run")("wsd.warmup_steps", warmup_steps)
    whole(0, steps - warmup_steps, "updates that the warm-up leaves of the run")("wsd.decay_steps", decay_steps)
    if curve == "exponential" and decay_steps:
        positive("wsd.peak_value", peak_value)
        positive("wsd.end_value", end_value)
    return _in_order(
        [
            _to("linear", init_value, peak_value, warmup_steps),
            _to("linear", peak_value, peak_value, steps - warmup_steps - decay_steps),
            _to(curve, peak_value, end_value, decay_steps),
        ]
    )


@recipe(peak_value=value, warmup_steps=_updates, init_value=value)
def inverse_sqrt(peak_value: float, warmup_steps: Duration, init_value: float = 0.0) -> Schedule:
    """A linear rise, then the inverse square root of the step, without an end.

    `peak_value * sqrt(warmup_steps / t)` for `t >= warmup_steps`

    Args:
        peak_value: the value at step `warmup_steps`.
        warmup_steps: updates of the rise, >= 1.
        init_value: the first value of the rise.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Also known as: fairseq `inverse_sqrt`, HF `inverse_sqrt` (with `timescale=warmup_steps`).

    Example:
        >>> inverse_sqrt(1.0, 4).table(5).tolist(), inverse_sqrt(1.0, 4)(16)
        ([0.0, 0.25, 0.5, 0.75, 1.0], 0.5)
    """
    return Linear(init_value, peak_value, warmup_steps) >> InverseSqrt(peak_value, warmup_steps).shift(warmup_steps)


@recipe(model_size=whole(1, what="a model size"), warmup_steps=_updates, factor=value)
def noam(model_size: int, warmup_steps: Duration, factor: float = 1.0) -> Schedule:
    """The schedule of the first Transformer.

    `factor * model_size**-0.5 * min(t**-0.5, t * warmup_steps**-1.5)`, 0 at step 0

    Args:
        model_size: width of the model, >= 1.
        warmup_steps: updates of the rise, >= 1.
        factor: the scale of all values.

    Raises:
        TypeError, ValueError: arguments outside of these.

    The paper counts steps from 1: `noam(...).shift(1)` gives its numbers, with a first update above 0.

    Reference: Vaswani et al., Attention Is All You Need (2017), equation 3.
    Also known as: Paddle `NoamDecay`, OpenNMT `noam`.

    Example:
        >>> noam(4, 4).table(5).tolist()
        [0.0, 0.0625, 0.125, 0.1875, 0.25]
    """
    peak_value = value("noam.factor / sqrt(model_size * warmup_steps)", factor / math.sqrt(model_size * warmup_steps))
    return inverse_sqrt(peak_value, warmup_steps)
