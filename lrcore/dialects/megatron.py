"""Megatron-LM's `OptimizerParamScheduler`: the learning rate and, in `get_wd`, the weight decay.

It counts samples: `step(increment)` takes those of a batch. Durations are in samples here too, and
`samples_per_update` says how many an update has (1: durations in updates).

`lrcore.dialects.parse` reads the learning rate of its training script. A ramp of the weight decay
(`start_weight_decay`, `end_weight_decay`, `weight_decay_incr_style`) is another schedule: `get_wd(start_weight_decay,
end_weight_decay, train_iters, weight_decay_incr_style)`, or of `train_samples` with `samples_per_update`.
"""

from __future__ import annotations

import math

from lrcore._check import choice, not_negative, refuse, value, whole
from lrcore.curves import Constant
from lrcore.decays import InverseSqrt
from lrcore.dialects._dialect import Quirk, optional, peer
from lrcore.dialects._moments import Curve, along, segment
from lrcore.dialects._parts import through, until
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule

DROPS = Quirk(
    "drops", "the inverse square root does not reach min_lr, and falls to it at the first update beyond lr_decay_steps"
)

_samples = whole(1, what="a whole number of samples")
_samples_or_0 = whole(0, what="a whole number of samples")
STYLES = ("constant", "linear", "cosine", "inverse-square-root", "WSD")
WSD_STYLES = ("exponential", "linear", "cosine", "minus_sqrt")


@peer(
    "n = t * samples_per_update samples are done; init_lr + (max_lr - init_lr) * n / lr_warmup_steps for n <= "
    "lr_warmup_steps; then min_lr + c * (max_lr - min_lr), with c of r = (n - lr_warmup_steps) / (lr_decay_steps - "
    "lr_warmup_steps): 1 - r (linear), (1 + cos(pi * r)) / 2 (cosine); max(min_lr, max_lr * sqrt(lr_warmup_steps / "
    "n)) (inverse-square-root); max_lr (constant). WSD: c = 1, and in the last wsd_decay_steps, with their own r, "
    "linear, cosine, 2 * 0.5**r - 1 (exponential) or 1 - sqrt(r) (minus_sqrt)",
    "in samples; lr_decay_steps includes the warm-up; the warm-up ends at n = lr_warmup_steps with max_lr; past "
    "lr_decay_steps min_lr holds",
    DROPS,
    init_lr=value,
    max_lr=value,
    min_lr=not_negative,
    lr_warmup_steps=_samples_or_0,
    lr_decay_steps=_samples,
    lr_decay_style=choice(*STYLES),
    wsd_decay_steps=optional(_samples),
    lr_wsd_decay_style=optional(choice(*WSD_STYLES)),
    samples_per_update=_samples,
)
def OptimizerParamScheduler(
    init_lr: float,
    max_lr: float,
    min_lr: float,
    lr_warmup_steps: int,
    lr_decay_steps: int,
    lr_decay_style: str,
    wsd_decay_steps: int | None = None,
    lr_wsd_decay_style: str | None = None,
    *,
    samples_per_update: int = 1,
    strict: bool = False,
) -> Schedule:
    """A warm-up and a decay of one of Megatron's styles. An inverse square root holds its last value here.

    Example:
        >>> OptimizerParamScheduler(0.0, 1.0, 0.0, 20, 60, "linear", samples_per_update=10).table(7).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
        >>> OptimizerParamScheduler(0.0, 1.0, 0.0, 1, 4, "inverse-square-root").table(6).round(3).tolist()
        [0.0, 1.0, 0.707, 0.577, 0.5, 0.5]
    """
    where = "OptimizerParamScheduler"
    if max_lr < min_lr:
        refuse(f"{where}.max_lr", f"a number >= min_lr = {min_lr}", max_lr)
    if init_lr > max_lr:
        refuse(f"{where}.init_lr", f"a number <= max_lr = {max_lr}", init_lr)
    if lr_warmup_steps >= lr_decay_steps:
        refuse(f"{where}.lr_warmup_steps", f"less than lr_decay_steps = {lr_decay_steps}", lr_warmup_steps)
    if lr_decay_style == "WSD" and (wsd_decay_steps is None or lr_wsd_decay_style is None):
        refuse(f"{where}.wsd_decay_steps", "wsd_decay_steps and lr_wsd_decay_style for the style WSD", wsd_decay_steps)
    each = samples_per_update
    warmup, end = lr_warmup_steps / each, lr_decay_steps / each
    rise = [(0.0, init_lr), (warmup, max_lr)] if lr_warmup_steps else [(0.0, max_lr)]
    up = ["linear"] * (len(rise) - 1)
    if lr_decay_style == "constant":
        return along(rise, *up)
    if lr_decay_style == "inverse-square-root":
        root = _inverse_sqrt(max_lr, max(lr_warmup_steps, 1), each).clip(min=min_lr, max=max_lr)
        last = math.floor(end)
        held = root if last > warmup else along(rise, *up)
        decay = until(root, last + 1, Constant(min_lr if strict else held(last)))
        return until(along(rise, *up), math.floor(warmup) + 1, decay) if lr_warmup_steps else decay
    if lr_decay_style != "WSD":
        return along([*rise, (end, min_lr)], *up, lr_decay_style)
    begin = (lr_decay_steps - (wsd_decay_steps or 0)) / each
    curve = WSD_CURVES[lr_wsd_decay_style or ""]
    if begin >= warmup:
        return along([*rise, (begin, max_lr), (end, min_lr)], *up, "linear", curve)
    fall = segment(curve, max_lr, min_lr, begin, end, goes_on=True)
    fall = until(fall, math.floor(end) + 1, Constant(min_lr))
    return until(along(rise, *up), math.floor(warmup) + 1, fall) if lr_warmup_steps else fall


def _inverse_sqrt(max_lr: float, samples: int, each: int) -> Schedule:
    if samples % each == 0:
        return InverseSqrt(max_lr, samples // each)
    return max_lr * Map(Line(0.0, 1.0, samples / each), "power", -0.5)


def _exponential(max_lr: float, min_lr: float, begin: float, end: float) -> Schedule:
    halved = Map(through(begin, 0.0, end, -math.log(2.0)), "exp")
    return 2.0 * (max_lr - min_lr) * halved + (2.0 * min_lr - max_lr)


def _minus_sqrt(max_lr: float, min_lr: float, begin: float, end: float) -> Schedule:
    return (min_lr - max_lr) * Map(through(begin, 0.0, end, 1.0), "power", 0.5) + max_lr


WSD_CURVES: dict[str, Curve] = {
    "linear": "linear",
    "cosine": "cosine",
    "exponential": _exponential,
    "minus_sqrt": _minus_sqrt,
}


@peer(
    "start_wd + c * (end_wd - start_wd), with r = n / wd_incr_steps: "
    "c = r (linear), (1 + cos(pi * (1 - r))) / 2 (cosine)",
    "in samples; end_wd holds past wd_incr_steps; constant wants start_wd == end_wd",
    start_wd=not_negative,
    end_wd=not_negative,
    wd_incr_steps=_samples,
    wd_incr_style=choice("constant", "linear", "cosine"),
    samples_per_update=_samples,
)
def get_wd(
    start_wd: float, end_wd: float, wd_incr_steps: int, wd_incr_style: str = "constant", *, samples_per_update: int = 1
) -> Schedule:
    """The weight decay, which a `wd_mult` of a parameter group multiplies.

    Example:
        >>> get_wd(0.01, 0.09, 4, "linear").table(6).round(2).tolist()
        [0.01, 0.03, 0.05, 0.07, 0.09, 0.09]
    """
    if end_wd < start_wd:
        refuse("get_wd.end_wd", f"a number >= start_wd = {start_wd}", end_wd)
    if wd_incr_style == "constant":
        if start_wd != end_wd:
            refuse("get_wd.end_wd", f"start_wd = {start_wd} with the style 'constant'", end_wd)
        return Constant(end_wd)
    return along([(0.0, start_wd), (wd_incr_steps / samples_per_update, end_wd)], wd_incr_style)
