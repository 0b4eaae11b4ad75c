"""Plateau: a multiplier of the learning rate that falls when a metric no longer improves.

What it gives hangs on the metrics that it has seen, so it has state and is never a Schedule. It stands beside one:
the schedule says the rate of a step, the controller what to multiply it by. So there is nothing to hand over where a
warm-up ends, and nothing is read back from an optimizer.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field as plain_field, fields
from typing import Any, Literal

from lrcore import _check
from lrcore._check import choice, field, not_negative, number, whole
from lrcore.schedule import Schedule, is_schedule

_observations = whole(0, what="a number of observations")
_mismatch = choice("raise", "keep_position")
_threshold_mode = choice("rel", "abs")


def _share(where: str, given: object) -> float:
    checked = number(where, given)
    if not 0.0 <= checked <= 1.0:
        _check.refuse(where, "a number from 0 to 1", given)
    return checked


def _factor(where: str, given: object) -> float:
    checked = number(where, given)
    if not 0.0 <= checked < 1.0:
        _check.refuse(where, "a number >= 0 and < 1", given)
    return checked


def _threshold_mode_or_none(where: str, given: object) -> str | None:
    return None if given is None else _threshold_mode(where, given)


def _best(where: str, given: object) -> float | None:
    """A metric, or None before the first; infinity too, as a number or as the text that strict JSON needs."""
    if given is None:
        return None
    if isinstance(given, (float, str)) and str(given) in ("inf", "-inf"):
        return float(given)
    return number(where, given)


def _state(check: _check.Check, default: Any) -> Any:
    """A field that changes while the controller runs: no argument, and no part of repr and equality."""
    return plain_field(default=default, init=False, repr=False, compare=False, metadata={"check": check})


@dataclass(slots=True)
class Plateau:
    """A multiplier that falls by a factor when a metric has stopped improving, over any schedule.

    `max(scale * v, min(min_value, v))` with `v = schedule(step)`, which is never larger in magnitude than `v`

    `scale` is 1 at first, and `max(factor * scale, min_scale)` after each plateau. A metric is better than the best one
    so far if (`mode="min"`) `metric < best - threshold * |best|` in `threshold_mode="rel"`, or
    `metric < best - threshold` in `"abs"`; the other way round, with a plus, for `mode="max"`.

    Call `observe(metric)` once an evaluation, on every rank with the same metric, and only after a warm-up if the
    metrics during it say nothing.

    Args:
        factor: what a plateau multiplies the scale by, >= 0 and < 1.
        patience: observations without improvement that are tolerated, >= 0; see `convention`.
        mode: "min" if a lower metric is better, "max" if a higher one is.
        threshold: the margin by which a metric must be better, >= 0.
        threshold_mode: "rel", a share of the best metric; "abs", in the metric's own unit; by default the convention's,
            which is "rel" for torch and "abs" for Keras.
        cooldown: observations after a reduction that count as no plateau, >= 0; see `convention`.
        min_scale: the scale never falls below it, from 0 to 1.
        min_value: the value never falls below it, >= 0, where the schedule itself is not lower.
        convention: "torch" reduces at the bad observation `patience + 1`, and counts none of `cooldown` observations.
            "keras" reduces at the bad observation `patience` (at the first one for 0), and counts the last one of the
            cooldown.
        on_nan: what a metric does that is NaN, or infinitely good, which no other could ever beat. "bad" counts it as
            no improvement, "ignore" as never observed, "raise" refuses it and leaves all as it was. An infinitely bad
            metric is a bad one.

    Attributes:
        scale: the multiplier now.
        best: the best metric so far, None before there was one.
        bad_count: observations without improvement in a row.
        cooldown_left: observations of the cooldown that are still to come.

    Arguments may be changed while it runs, and are checked then too. Two are equal if their arguments are; their states
    are told apart by `state_dict()`.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Also known as: torch `ReduceLROnPlateau`, Keras `ReduceLROnPlateau` (`min_delta` is `threshold`), and, with
    `patience` one higher than here, `optax.contrib.reduce_on_plateau`. When they reduce, it does: but for metrics that
    are negative and margins that are relative, where torch and optax ask for `best * (1 - threshold)`, which is
    worse than `best`, and so take a constant or slowly worsening metric for an improvement for ever; for a first
    metric of NaN, after which Keras knows no improvement any more; and for infinitely good ones. Keras compares in
    float32, and forgets all when a run resumes. Torch leaves a rate as it is if it would fall by `eps` or less: a rate
    is not known here, so a binding does that.

    Example:
        >>> from lrcore import Constant, warmup
        >>> schedule = warmup(Constant(0.5), 2)
        >>> plateau = Plateau(factor=0.5, patience=1)
        >>> for step, loss in enumerate([3.0, 2.0, 1.0, 1.0, 1.0, 0.9]):
        ...     print(plateau.value(schedule, step), "reduced" if plateau.observe(loss) else "")
        0.0
        0.25
        0.5
        0.5
        0.5 reduced
        0.25
        >>> plateau.scale, plateau.best
        (0.5, 0.9)
    """

    factor: float = field(_factor, 0.1)
    patience: int = field(_observations, 10)
    _: KW_ONLY
    mode: Literal["min", "max"] = field(choice("min", "max"), "min")
    threshold: float = field(not_negative, 1e-4)
    threshold_mode: Literal["rel", "abs"] | None = field(_threshold_mode_or_none, None)
    cooldown: int = field(_observations, 0)
    min_scale: float = field(_share, 0.0)
    min_value: float = field(not_negative, 0.0)
    convention: Literal["torch", "keras"] = field(choice("torch", "keras"), "torch")
    on_nan: Literal["bad", "ignore", "raise"] = field(choice("bad", "ignore", "raise"), "bad")

    scale: float = _state(_share, 1.0)
    best: float | None = _state(_best, None)
    bad_count: int = _state(_observations, 0)
    cooldown_left: int = _state(_observations, 0)

    def __post_init__(self) -> None:
        if self.threshold_mode is None:
            self.threshold_mode = "rel" if self.convention == "torch" else "abs"

    def __setattr__(self, name: str, value: object) -> None:
        known = self.__dataclass_fields__.get(name)
        object.__setattr__(self, name, known.metadata["check"](f"Plateau.{name}", value) if known else value)

    def observe(self, metric: Any) -> bool:
        """Takes the next metric.

        Args:
            metric: a number, or what holds one: a numpy scalar, a tensor of one element.

        Returns:
            Whether the scale was reduced just now.

        Raises:
            TypeError: no number.
            ValueError: NaN or an infinitely good metric with `on_nan="raise"`.

        Example:
            >>> plateau = Plateau(0.1, patience=0, mode="max")
            >>> [plateau.observe(accuracy) for accuracy in (0.5, 0.6, 0.6, 0.7)]
            [False, False, True, False]
        """
        value = _number_of(metric)
        score = self._score(value)
        if math.isnan(score) or score == -math.inf:
            if self.on_nan == "raise":
                _check.refuse("Plateau.observe", "a metric that is a number and not infinitely good", value)
            if self.on_nan == "ignore":
                return False
            is_better = False
        else:
            is_better = self._is_better(score)
        if is_better:
            self.best = value
        return self._count(is_better) and self._reduce()

    def _score(self, metric: float) -> float:
        """The metric, or its negative where higher is better: a lower score is better."""
        return metric if self.mode == "min" else -metric

    def _is_better(self, score: float) -> bool:
        if self.best is None and self.convention == "keras":
            return True
        best = math.inf if self.best is None else self._score(self.best)
        if math.isinf(best):  # of which no margin can be taken
            return score < best
        # Each in the arithmetic of those who have it, so that no metric at the very margin is judged otherwise.
        if self.threshold_mode == "rel":
            return score < best * (1.0 - self.threshold if best >= 0.0 else 1.0 + self.threshold)
        if self.convention == "keras":
            return score + self.threshold < best
        return score < best - self.threshold

    def _count(self, is_better: bool) -> bool:
        """Counts an observation; whether it makes a plateau."""
        is_torch = self.convention == "torch"
        was_cooling = self.cooldown_left > 0
        self.cooldown_left -= was_cooling
        is_cooling = was_cooling if is_torch else self.cooldown_left > 0
        self.bad_count = 0 if is_better or is_cooling else self.bad_count + 1
        if self.bad_count < (self.patience + 1 if is_torch else max(self.patience, 1)):
            return False
        self.bad_count, self.cooldown_left = 0, self.cooldown
        return True

    def _reduce(self) -> bool:
        before = self.scale
        self.scale = min(before, max(before * self.factor, self.min_scale))
        return self.scale < before

    def value(self, schedule: Schedule | float, step: int) -> float:
        """The learning rate of the update that follows `step` updates.

        Args:
            schedule: what gives the rate without a plateau: a schedule, or a number.
            step: the number of updates done.

        Raises:
            TypeError, ValueError: no schedule; a step that it refuses.

        Example:
            >>> from lrcore import Linear
            >>> plateau = Plateau(0.1, patience=0, min_value=0.02)
            >>> plateau.observe(1.0), plateau.observe(1.0)
            (False, True)
            >>> [plateau.value(Linear(0.5, 0.0, 5), step) for step in (0, 1, 4, 5)]
            [0.05, 0.04000000000000001, 0.02, 0.0]
        """
        return self.scaled(is_schedule("Plateau.value.schedule", schedule)(step))

    def scaled(self, value: float) -> float:
        """A value times the scale, but not below `min_value` where it was not so itself.

        Example:
            >>> Plateau(min_value=0.01).scaled(0.001)
            0.001
        """
        return max(self.scale * value, min(self.min_value, value)) + 0.0  # never -0.0

    def reset(self, *, keep_scale: bool = False) -> None:
        """Forgets what it has seen.

        Args:
            keep_scale: whether to leave the scale as it is, as where the metric changes and the run goes on.

        Raises:
            TypeError: a keep_scale that is no bool.

        Example:
            >>> plateau = Plateau(0.1, patience=0)
            >>> plateau.observe(1.0), plateau.observe(1.0)
            (False, True)
            >>> plateau.reset(keep_scale=True)
            >>> plateau.best, plateau.scale
            (None, 0.1)
        """
        if not _check.flag("Plateau.reset.keep_scale", keep_scale):
            self.scale = 1.0
        self.best, self.bad_count, self.cooldown_left = None, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """The arguments and the state, in numbers, texts and None, which JSON and `torch.load(weights_only=True)` take.

        Example:
            >>> plateau = Plateau(patience=3)
            >>> plateau.observe(2.0)
            False
            >>> {name: plateau.state_dict()[name] for name in ("patience", "best", "bad_count", "scale")}
            {'patience': 3, 'best': 2.0, 'bad_count': 0, 'scale': 1.0}
        """
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        if self.best is not None and math.isinf(self.best):
            state["best"] = str(self.best)  # strict JSON has no infinity
        return state

    @classmethod
    def from_state_dict(cls, state_dict: dict[str, Any]) -> Plateau:
        """The controller that gave a state: its arguments and its state.

        Args:
            state_dict: what `state_dict()` gave.

        Raises:
            TypeError, ValueError: something else.

        Example:
            >>> Plateau.from_state_dict(Plateau(0.5, 3).state_dict()) == Plateau(0.5, 3)
            True
        """
        if not isinstance(state_dict, dict):
            _check.refuse("Plateau.load_state_dict", "a dict", state_dict, TypeError)
        names = {item.name for item in fields(cls)}
        for problem, found in (("without", names - {*state_dict}), ("with", {*state_dict} - names)):
            if found:
                listed = ", ".join(sorted(map(str, found)))
                raise ValueError(f"Plateau.load_state_dict: expected a state of a Plateau, got one {problem} {listed}")
        made = cls(**{item.name: state_dict[item.name] for item in fields(cls) if item.init})
        made._take(state_dict)
        return made

    def load_state_dict(self, state_dict: dict[str, Any], *, on_mismatch: str = "raise") -> None:
        """Takes the state of a controller with the same arguments, and goes on as that one would have.

        Args:
            state_dict: what `state_dict()` gave.
            on_mismatch: "raise" refuses a state of other arguments; "keep_position" takes its scale, best metric and
                counts and goes on with the arguments of this one. `mode` must be the same even so.

        Raises:
            TypeError, ValueError: a state of other arguments, or no state of a Plateau; nothing has changed then.

        Example:
            >>> state = Plateau(patience=5).state_dict()
            >>> Plateau(patience=3).load_state_dict(state)
            Traceback (most recent call last):
            ...
            ValueError: Plateau.load_state_dict: expected a state of patience=3, got one of patience=5;
            on_mismatch='keep_position' takes it
            >>> Plateau(patience=3).load_state_dict(state, on_mismatch="keep_position")
        """
        on_mismatch = _mismatch("Plateau.load_state_dict.on_mismatch", on_mismatch)
        given = Plateau.from_state_dict(state_dict)
        names = [item.name for item in fields(self) if item.init]
        other = [name for name in names if getattr(self, name) != getattr(given, name)]
        if "mode" in other or (other and on_mismatch == "raise"):
            ours, theirs = (", ".join(f"{name}={getattr(one, name)!r}" for name in other) for one in (self, given))
            cure = "" if "mode" in other else "; on_mismatch='keep_position' takes it"
            raise ValueError(f"Plateau.load_state_dict: expected a state of {ours}, got one of {theirs}{cure}")
        self._take(state_dict)

    def _take(self, state: dict[str, Any]) -> None:
        for item in fields(self):
            if not item.init:
                setattr(self, item.name, state[item.name])


def _number_of(metric: Any) -> float:
    """The metric as a float; tensors and arrays of one element have an `item`."""
    try:
        given = metric.item() if hasattr(metric, "item") else metric
        is_number = hasattr(given, "__float__") or hasattr(given, "__index__")  # float() would read a text too
        if isinstance(given, bool) or not is_number:
            raise TypeError
        return float(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # many elements; beyond any float
        _check.refuse("Plateau.observe", "a metric that is a number", metric, TypeError)
