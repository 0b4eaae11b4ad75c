"""torch.optim.lr_scheduler, by its own names. A first argument `base_lr` stands for the learning rate of the group.

Update number 0 uses f(0): the constructor applies it, and `scheduler.step()` after an update applies the next one.
"""

from __future__ import annotations

from lrcore._check import positive, value, whole
from lrcore.curves import ExponentialDecay
from lrcore.dialects._dialect import Quirk, peer
from lrcore.dialects._parts import cosine
from lrcore.schedule import Schedule

RISES_AGAIN = Quirk(
    "rises-again", "past its end the cosine goes up again, and is at its first value after twice the time"
)


@peer(
    "base_lr * gamma**floor(t / step_size)",
    "drops at t = step_size; never ends",
    base_lr=value,
    step_size=whole(1),
    gamma=positive,
)
def StepLR(base_lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """A factor every `step_size` updates.

    Example:
        >>> StepLR(1.0, 2, 0.5).table(5).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return ExponentialDecay(base_lr, gamma, step_size).staircase(step_size)


@peer(
    "eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2",
    "reaches eta_min at t = T_max; not clamped there",
    RISES_AGAIN,
    base_lr=value,
    T_max=whole(1),
    eta_min=value,
)
def CosineAnnealingLR(base_lr: float, T_max: int, eta_min: float = 0.0, *, strict: bool = False) -> Schedule:
    """Half a cosine wave, which holds at its end; with `strict` it rises again, as torch's does.

    Example:
        >>> CosineAnnealingLR(1.0, 2).table(5).tolist()
        [1.0, 0.5, 0.0, 0.0, 0.0]
        >>> CosineAnnealingLR(1.0, 2, strict=True).table(5).tolist()
        [1.0, 0.5, 0.0, 0.5, 1.0]
    """
    return cosine(base_lr, eta_min, T_max, rises_again=strict)
