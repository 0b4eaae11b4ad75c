"""torchtitan's one schedule: warm-up, stable, decay."""

from __future__ import annotations

from typing import Any

from lrcore._check import choice, not_negative, refuse, value, whole
from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Linear
from lrcore.dialects._dialect import Quirk, optional, peer
from lrcore.dialects._parts import wave
from lrcore.functions import Line, Map
from lrcore.schedule import Schedule

PAST_ITS_END = Quirk(
    "past-its-end",
    "the decay is not clamped: past the step after the run a linear or square-root one goes below its minimum (below "
    "0, with a min_lr_factor of 0), and a cosine rises again",
)


def _share(where: str, given: Any) -> float:
    share = not_negative(where, given)
    return share if share <= 1.0 else refuse(where, "a number between 0 and 1", given)


@peer(
    "base_lr * (t + 1) / warmup_steps for t < warmup_steps; base_lr; then, with d = round(training_steps * "
    "decay_ratio) and p = (t - training_steps + d) / d, base_lr * (min_lr_factor + (1 - min_lr_factor) * c), c = 1 - "
    "p (linear), 1 - sqrt(p) (sqrt) or (1 + cos(pi * p)) / 2 (cosine)",
    "update 0 has base_lr / warmup_steps, and a virtual step after the last one has the minimum, so no update of the "
    "run has 0; decay_ratio None: decays from the end of the warm-up on",
    PAST_ITS_END,
    base_lr=value,
    training_steps=whole(1),
    warmup_steps=whole(0),
    decay_ratio=optional(_share),
    decay_type=choice("linear", "sqrt", "cosine"),
    min_lr_factor=not_negative,
)
def linear_warmup_stable_decay(
    base_lr: float,
    training_steps: int,
    warmup_steps: int = 200,
    decay_ratio: float | None = None,
    decay_type: str = "linear",
    min_lr_factor: float = 0.0,
    *,
    strict: bool = False,
) -> Schedule:
    """A linear rise, the peak, and a decay at the end of the run. A phase that does not fit is cut, as there.

    Example:
        >>> linear_warmup_stable_decay(1.0, 8, 2, 0.5).table(10).tolist()
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    rise = min(warmup_steps, training_steps)
    left = training_steps - rise
    decay = left if decay_ratio is None else min(round(training_steps * decay_ratio), left)
    floor = value("linear_warmup_stable_decay.base_lr * min_lr_factor", base_lr * min_lr_factor)
    parts: list[Any] = []
    if rise:
        parts.append((Linear(0.0, base_lr, rise).shift(1), rise))
    if left > decay:
        parts.append((Constant(base_lr), left - decay))
    parts.append(_decay(base_lr, floor, decay, decay_type, strict) if decay else Constant(base_lr))
    return Sequence(parts) if len(parts) > 1 else parts[0]


def _decay(peak: float, floor: float, steps: int, curve: str, strict: bool) -> Schedule:
    if curve == "cosine":
        return wave(peak, floor, 0.0, steps) if strict else Cosine(peak, floor, steps)
    if curve == "linear":
        return (Line if strict else Linear)(peak, floor, steps)
    done = (Line if strict else Linear)(0.0, 1.0, steps)
    return (floor - peak) * Map(done, "power", 0.5) + peak
