"""What a monitor advises: a learning rate, and why that and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from lrcore import _check

OnFailure: TypeAlias = Literal["stop", "restore_and_lower"] | Callable[[Any], Any] | None

# By what a rate is multiplied where no finder has said a better one. A net that dies in its first updates needs a rate
# lower by two to three decades, as `bench/high_lr.py` measures; one that failed later, less.
EARLY, LATE, RAISED = 1e-2, 1e-1, 10.0
LOWERED = 0.1  # by what a binding does where no rate is advised
KEEP_EVERY = 50  # updates, after which a binding keeps a state that is learning
SAFE_SHIFT = 0.5  # standard deviations of a first layer's outputs by which Adam's first update may move them

ABOUT = {
    "nonfinite": "The loss is not finite, and the weights are lost",
    "exploding": "The loss keeps above four times its first value and does not fall",
    "dead_network": "The output no longer hangs on the input, and the first layer gets no gradient: its units are dead",
    "stuck_at_prior": "The loss is what guessing by the labels' frequencies gives, and does not fall",
    "spiked_and_recovered": "The loss has jumped and come back",
    "oscillating": "The loss goes up and down from update to update",
    "too_slow": "The loss falls, by updates that are very small",
    "plateau_start": "The loss has not begun to fall, with gradients that are alive",
    "healthy": "Nothing speaks against this run",
}
TOO_HIGH = (
    "Restart from the initial weights, or from the last ones that were healthy{rate}: lowering the rate in the middle "
    "does not help, as ReduceLROnPlateau would, for a dead unit has no gradient and does not come back. "
    "Standardise the inputs, and warm up over the first updates. Clipping gradients does not help against Adam's first "
    "update, whose size is the rate whatever the gradient"
)
TOO_LOW = (
    "Nothing has blown up, and the updates are small: raise the learning rate{rate}, or begin where units differ more"
)
UNKNOWN = (
    "The losses alone do not say whether the rate is too high or too low: give gradient norms, update ratios or the "
    "spread of the logits, or ask a finder{rate}"
)
GOES_ON = {
    "spiked_and_recovered": "If jumps come again, lower the learning rate{rate}, or clip gradients",
    "oscillating": "If the level does not fall either, lower the learning rate{rate}",
    "too_slow": "Raise the learning rate{rate}",
    "plateau_start": "Wait, or raise the learning rate{rate}",
    "healthy": "Go on",
}


def suggested_lr(
    verdict: str, direction: str | None, is_early: bool, lr: float | None, finder_lr: float | None, gain: float | None
) -> float | None:
    """The rate to take instead; None where nothing says one.

    Args:
        verdict: what was found.
        direction: "too_high", "too_low" or None.
        is_early: whether the run collapsed at its beginning.
        lr: the rate that did it.
        finder_lr: what a finder has suggested.
        gain: how far Adam's first update moves the outputs of the first layer at a rate of 1, in their standard
            deviations.
    """
    if direction is None or verdict == "healthy":
        return None
    if finder_lr is not None and (lr is None or (finder_lr < lr) == (direction == "too_high")):
        return finder_lr
    if lr is None or lr <= 0.0:
        return None
    if direction == "too_low":
        return lr * RAISED
    if not is_early:
        return lr * LATE
    if gain is None or not gain > 0.0:
        return lr * EARLY
    return min(lr * LATE, max(SAFE_SHIFT / gain, lr * EARLY**2))


def advice(verdict: str, direction: str | None, lr: float | None, suggestion: float | None) -> str:
    """The advice in words."""
    shown = f", to {suggestion:.2g}" if suggestion is not None else ""
    shown += f" (now {lr:.2g})" if suggestion is not None and lr is not None else ""
    if verdict in GOES_ON:
        told = GOES_ON[verdict]
    else:
        told = {"too_high": TOO_HIGH, "too_low": TOO_LOW, None: UNKNOWN}[direction]
        if direction == "too_high":
            shown = shown.replace(", to", " with a learning rate of")
    return f"{ABOUT[verdict]}. {told.format(rate=shown)}."


def plain(value: Any) -> Any:
    """A number of the evidence as strict JSON has it."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: Any) -> str:
    """A number of the evidence in words."""
    return "/".join(map(shown, value)) if isinstance(value, tuple) else f"{value:.4g}"


restores = _check.whole(0, 2**31, "a number of restores")


def checked_action(where: str, given: Any) -> Any:
    """What a binding is to do at an alarm: an `OnFailure`."""
    if not (given is None or callable(given) or given in ("stop", "restore_and_lower")):
        _check.refuse(where, "'stop', 'restore_and_lower', a function of a diagnosis, or None", given)
    return given
