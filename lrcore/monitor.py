"""Why a training fails: verdicts from losses, and from what else was measured, with the step at which they are due."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lrcore import _advice, _check, _verdicts as tests
from lrcore._measured import LEVEL, Measured, given_rows, prior_of, real, rows_of
from lrcore._verdicts import FAILURES, VERDICTS

__all__ = ["FAILURES", "VERDICTS", "Diagnosis", "Monitor", "diagnose"]

_EVERY, _SELDOM = 5, 20  # losses between looks at windows, which cost more than the rest: for alarms, and for others
_DENSE, _SPARSE = 200, 50  # updates that are measured all, where no epoch is known; and one of how many afterwards
_of = _check.choice("batch", "epoch")
_whole = _check.whole(1, what="a whole number of updates")


@dataclass(frozen=True)
class Diagnosis:
    """What a monitor has found.

    Attributes:
        verdict: one of `VERDICTS`; the first of them that holds.
        step: the number of the loss, from 0, at which a live monitor says so first; None for a healthy run.
        direction: "too_high" or "too_low", of the learning rate; None where nothing says.
        lr: the learning rate to take instead, None where there is no advice of one.
        advice: what to do, and why.
        evidence: the numbers behind it, of now if its state goes on; what was not measured is not there.
        advisories: what may be worth a look, and is no verdict: not validated, or common in healthy runs too.

    Example:
        >>> found = diagnose([1.0, 2.0, float("nan")], 0.5)
        >>> found.verdict, found.step, found.lr, found.is_failure
        ('nonfinite', 2, 0.005, True)
    """

    verdict: str
    step: int | None
    direction: Literal["too_high", "too_low"] | None
    lr: float | None
    advice: str
    evidence: dict[str, Any]
    advisories: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether it is one of the alarms, `FAILURES`."""
        return self.verdict in FAILURES

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain types; numbers that are not finite as texts, which strict JSON needs."""
        evidence = {name: _advice.plain(value) for name, value in self.evidence.items()}
        return {**vars(self), "evidence": evidence, "advisories": list(self.advisories)}

    def __str__(self) -> str:
        at = "" if self.step is None else f" at step {self.step}"
        numbers = ", ".join(f"{name} {_advice.shown(value)}" for name, value in self.evidence.items())
        return "\n".join([f"{self.verdict}{at}: {self.advice}", f"({numbers})", *self.advisories])


class Monitor:
    """Watches a training, one update after another, and says when it fails and why.

    It needs losses. With what else is measured it finds more, and sooner: a net is dead where the gradient of the first
    layer is exactly 0 and the logits are the same over the batch, 8 measured updates in a row. Verdicts, by precedence:
    `nonfinite`, `exploding` (10 losses above 4 times H and the first ones that do not fall), `dead_network`,
    `stuck_at_prior` (a window that on average is no better than H, and does not fall), `spiked_and_recovered` (the
    median of 5 losses was above 4 times that of the 20 before, and has come back, less than 200 updates ago),
    `oscillating`, `too_slow`, `plateau_start`, `healthy`. The first four are alarms.

    H is what a model loses that only knows how frequent the labels are: `-sum(p * log(p))` of their shares, `log(n)` of
    n classes that are equally frequent, the variance of the targets of a regression with squared errors.

    Args:
        prior_entropy: H, >= 0, in the unit of the losses.
        label_counts: how often each label occurs, from which H follows, in nats.
        classes: how many classes there are, equally frequent.
        batches_per_epoch: updates of an epoch. A sum of n losses that was divided by n - 1, as happens where the last
            batch is smaller, is recognised, and the first two epochs are measured at every update.
        losses_of: "batch", or "epoch" for means over whole epochs.
        finder_lr: a learning rate that a finder has suggested: the advice names it.

    Attributes:
        step: how many losses it has seen.
        attempts: how often the run was begun again: see `restart`.
        prior_entropy: H or None; it can be set.

    Raises:
        TypeError, ValueError: arguments outside of these; H in two ways.

    Example:
        >>> monitor = Monitor(classes=6)
        >>> for step in range(100):
        ...     found = monitor.observe(1.79, lr=0.01, gradient_norms=[0.0, 0.0, 0.1], logit_spread=0.0)
        ...     if found:
        ...         print(step, found.verdict, found.lr)
        7 dead_network 0.0001
    """

    def __init__(
        self,
        *,
        prior_entropy: float | None = None,
        label_counts: ArrayLike | None = None,
        classes: int | None = None,
        batches_per_epoch: int | None = None,
        losses_of: Literal["batch", "epoch"] = "batch",
        finder_lr: float | None = None,
    ) -> None:
        self.prior_entropy = prior_of("Monitor", prior_entropy, label_counts, classes)
        each = batches_per_epoch
        self.batches_per_epoch = None if each is None else _whole("Monitor.batches_per_epoch", each)
        is_of_batches = _of("Monitor.losses_of", losses_of) == "batch"
        self._lengths = tests.OF_BATCHES if is_of_batches else tests.OF_EPOCHS
        self._every = _EVERY if is_of_batches else 1
        self.finder_lr = None if finder_lr is None else _check.positive("Monitor.finder_lr", finder_lr)
        self.reset()

    def reset(self) -> None:
        """Forgets what it has seen, as where a run begins again.

        Example:
            >>> monitor = Monitor()
            >>> monitor.observe(float("nan")).verdict
            'nonfinite'
            >>> monitor.reset()
            >>> monitor.diagnosis().verdict
            'healthy'
        """
        lengths = self._lengths
        self.step = self.attempts = 0
        self._losses = tests.Recent(max(lengths.stuck_low, lengths.trend))
        self._found: dict[str, Diagnosis] = {}
        self._since: dict[str, int] = {}  # when what is no alarm began
        self._lr: float | None = None
        self._first = self._second = self._peak = self._begun_at = math.nan
        self._above = self._dead = 0  # in a row
        self._spikes = tests.Spikes(lengths)
        self._calm_since = 0  # when the last spike or alarm was over
        self._measured = Measured()

    def restart(self) -> None:
        """Forgets what it has seen, and counts an attempt: the advice after a second failure is gentler.

        Example:
            >>> monitor = Monitor()
            >>> advised = []
            >>> for lr in (0.1, 0.001):
            ...     advised.append(monitor.observe(float("nan"), lr).lr)
            ...     monitor.restart()
            >>> advised, monitor.attempts
            ([0.001, 0.0001], 2)
        """
        attempts = self.attempts
        self.reset()
        self.attempts = attempts + 1

    def wants_signals(self, step: int | None = None) -> bool:
        """Whether an update is one to measure: each of the first two epochs, or of 200; one of 50 then.

        And each while the last one that was measured looked dead.

        Args:
            step: the number of the update; by default the next one.

        Example:
            >>> monitor = Monitor(batches_per_epoch=10)
            >>> [step for step in range(200) if monitor.wants_signals(step)][-5:]
            [18, 19, 50, 100, 150]
        """
        step = self.step if step is None else step
        dense = _DENSE if self.batches_per_epoch is None else 2 * self.batches_per_epoch
        return step < dense or step % _SPARSE == 0 or self._dead > 0

    @property
    def is_learning(self) -> bool:
        """Whether nothing looks wrong now, and the losses of late are well below H, or below the first one.

        Example:
            >>> monitor = Monitor(classes=6)
            >>> for loss in (1.8, 1.5, 1.2):
            ...     monitor.observe(loss)
            >>> monitor.is_learning
            True
        """
        if self._found or self._dead or self._above or self._spikes.level_before is not None:
            return False
        return self._losses.count > 0 and self._has_learnt(float(np.median(self._losses.last(LEVEL))))

    # ---- Observing ----

    def observe(
        self,
        loss: float,
        lr: float | None = None,
        *,
        gradient_norms: ArrayLike | None = None,
        update_ratios: ArrayLike | None = None,
        active_fractions: ArrayLike | None = None,
        logit_spread: float | None = None,
        input_gain: float | None = None,
    ) -> Diagnosis | None:
        """Takes an update; what was not measured is None, or NaN.

        Args:
            loss: of its batch, before the update.
            lr: its learning rate. Updates at a rate of 0 change nothing, and are no evidence.
            gradient_norms: of each layer, the one at the input first.
            update_ratios: of each layer the norm of the update, over that of its weights.
            active_fractions: of each layer the share of units that any example of the batch activates.
            logit_spread: the largest range of a logit over the batch.
            input_gain: for Adam and its kin, the mean sum of the magnitudes of an input, over the standard deviation of
                the outputs of the first layer: lr times that is how far the first update moves them.

        Returns:
            The diagnosis, where this update gives a new alarm, one that precedes all before; else None.

        Raises:
            TypeError: what are no numbers.

        Example:
            >>> Monitor().observe(float("inf"), 0.1).verdict
            'nonfinite'
        """
        value, rate = real("Monitor.observe.loss", loss), None if lr is None else real("Monitor.observe.lr", lr)
        at, self.step = self.step, self.step + 1
        if rate is not None and math.isfinite(rate):
            self._lr = rate
        self._measured.take(gradient_norms, update_ratios, active_fractions, logit_spread, input_gain)
        if not math.isfinite(value):
            return self._alarm("nonfinite", at)
        if rate == 0.0:
            return None
        self._count(value)
        verdict = self._alarming(at)
        if verdict is None:
            self._look(at)
            return None
        return self._alarm(verdict, at)

    def _count(self, loss: float) -> None:
        """The loss, and what follows from it alone."""
        self._losses.add(loss)
        if self._losses.count == 1:
            self._first = self._peak = loss
        elif self._losses.count == 2:
            self._second = loss
        self._peak = max(self._peak, loss)
        self._count_above(loss)
        dead = self._measured.is_dead(self._has_learnt(loss))
        if dead is not None:
            self._dead = self._dead + 1 if dead else 0

    def _count_above(self, loss: float) -> None:
        """How many losses in a row are up; there must be some before it is known what these begin at."""
        count, wanted = self._losses.count, self._lengths.explosion
        if count < wanted:
            return
        newest = [loss]
        if count == wanted:
            newest = self._losses.last(count).tolist()
            self._begun_at = self._first if self.prior_entropy else tests.level_at_first(self._first, newest)
        level = tests.blow_up_level(self._begun_at, self.prior_entropy)
        for one in newest:
            self._above = self._above + 1 if one > level else 0

    def _has_learnt(self, level: float) -> bool:
        base = self._first if self.prior_entropy is None else self.prior_entropy
        return level < base - tests.LEARNT * abs(base)

    def _alarming(self, at: int) -> str | None:
        """The first alarm that this update gives, apart from a loss that is not finite."""
        lengths = self._lengths
        if self._above >= lengths.explosion:
            last = self._losses.last(lengths.explosion).tolist()
            if tests.does_not_fall(last, self._first):
                return "exploding"
        if self._dead >= lengths.dead:
            return "dead_network"
        if at % self._every == 0 and self._is_stuck():
            return "stuck_at_prior"
        return None

    def _is_stuck(self) -> bool:
        """Whether a window is at the prior; it may be short if all speaks for a rate that is too high."""
        if self.prior_entropy is None:
            return False
        direction, lengths = self._direction(), self._lengths
        may_come_back = self._measured.count > 0 and self._dead == 0  # as what is alive may
        high = lengths.stuck if may_come_back else lengths.stuck_high
        wanted = {"too_high": high, "too_low": lengths.stuck_low, None: lengths.stuck}[direction]
        # With the first loss the window would always fall, and one that is no more than that is not stuck.
        return self._losses.count > wanted and tests.is_stuck(self._losses.last(wanted), self.prior_entropy)

    def _direction(self) -> Literal["too_high", "too_low"] | None:
        """What early blow-up, dead units and the sizes of the updates say about the rate."""
        measured = self._measured
        level = self.prior_entropy if self.prior_entropy is not None else self._first
        blown = self._peak > tests.BLOWN_UP * max(level, self._first if self._losses.count < 2 else level)
        if blown or self._dead > 0 or measured.largest_update > tests.LARGE_UPDATE:
            return "too_high"
        if measured.update_level < tests.SMALL_UPDATE:
            return "too_low"
        return None

    # ---- What is no alarm ----

    def _look(self, at: int) -> None:
        """Notes since when the verdicts hold that are no alarms, and ends alarms that are over."""
        if self._spikes.has_come_back(self._losses, self._first):
            self._calm_again(at)
        if at % self._every:
            return
        if at - self._calm_since >= self._lengths.forget:
            self._since.pop("spiked_and_recovered", None)
        if self._found and self._dead == 0 and self._has_learnt(float(np.median(self._losses.last(LEVEL)))):
            lasting = {verdict: found for verdict, found in self._found.items() if verdict == "nonfinite"}
            if lasting != self._found:
                self._found = lasting
                self._calm_again(at)
        window = self._losses.last(self._lengths.trend)
        if at % (self._every * _SELDOM // _EVERY) or len(window) < self._lengths.trend:
            return
        self._note("oscillating", at, tests.alternation(window) < tests.OSCILLATION)
        mean, slope, error = tests.trend(window)
        is_small = self._measured.update_level < tests.SLOW_UPDATE
        self._note("too_slow", at, is_small and slope < -tests.STEEP * error and not self._has_learnt(mean))
        start = self._first if self.prior_entropy is None else self.prior_entropy
        self._note("plateau_start", at, self._dead == 0 and tests.is_flat(window, start))

    def _note(self, verdict: str, at: int, holds: bool) -> None:
        if holds:
            self._since.setdefault(verdict, at)
        else:
            self._since.pop(verdict, None)

    def _calm_again(self, at: int) -> None:
        self._since.setdefault("spiked_and_recovered", at)
        self._calm_since = at

    # ---- Diagnosing ----

    def diagnosis(self) -> Diagnosis:
        """What is to be said now, of all that it has seen.

        Example:
            >>> monitor = Monitor()
            >>> for loss in (2.0, 1.5, 1.2):
            ...     monitor.observe(loss, 0.1)
            >>> monitor.diagnosis().verdict
            'healthy'
        """
        for verdict in VERDICTS:
            if verdict in self._found:
                found = self._found[verdict]
                evidence = self._evidence() if self._holds(verdict) else found.evidence
                return replace(found, evidence=evidence, advisories=self._advisories(verdict))
            if verdict in self._since:
                return self._told(verdict, self._since[verdict])
        return self._told("healthy", None)

    def _holds(self, verdict: str) -> bool:
        """Whether an alarm's state goes on, so that its evidence is that of now."""
        return (verdict == "dead_network" and self._dead > 0) or (verdict == "stuck_at_prior" and self._is_stuck())

    def _alarm(self, verdict: str, at: int) -> Diagnosis | None:
        """Notes an alarm; gives it if it is the first, or precedes those before."""
        if verdict in self._found:
            return None
        is_news = all(VERDICTS.index(verdict) < VERDICTS.index(known) for known in self._found)
        self._found[verdict] = found = self._told(verdict, at)
        return found if is_news else None

    def _told(self, verdict: str, step: int | None) -> Diagnosis:
        direction = self._direction_of(verdict)
        gain = self._measured.gain
        lr = _advice.suggested_lr(verdict, direction, self._is_early(verdict, step), self._lr, self.finder_lr, gain)
        words = _advice.advice(verdict, direction, self._lr, lr)
        return Diagnosis(verdict, step, direction, lr, words, self._evidence(), self._advisories(verdict))

    def _is_early(self, verdict: str, step: int | None) -> bool:
        is_collapse = verdict in ("nonfinite", "exploding", "dead_network")
        return is_collapse and self.attempts == 0 and (step or 0) < _DENSE

    def _direction_of(self, verdict: str) -> Literal["too_high", "too_low"] | None:
        if verdict in ("nonfinite", "exploding", "dead_network", "spiked_and_recovered", "oscillating"):
            return "too_high"
        if verdict == "too_slow":
            return "too_low"
        return self._direction() if verdict in ("stuck_at_prior", "plateau_start") else None

    def _advisories(self, verdict: str) -> tuple[str, ...]:
        told = [f"{_advice.ABOUT[other]} (advisory)" for other in ("oscillating", "too_slow") if other in self._since]
        half = [at for at, share in enumerate(self._measured.active) if share < 1.0 - tests.HALF]
        if half and verdict != "dead_network":
            told.append(f"More than half of the units are dead in layer {', '.join(map(str, half))} (advisory)")
        return tuple(told)

    def _evidence(self) -> dict[str, Any]:
        """The numbers, without those that are not known."""
        level = math.nan
        if self._losses.count:
            level = float(np.median(self._losses.last(self._lengths.stuck_high)))
        prior = self.prior_entropy or math.nan
        scale = tests.matching_scale(level, prior, self.batches_per_epoch) if prior == prior else None
        measured = self._measured
        first = self._first if self._first != 0.0 else math.nan
        known = {
            "steps": self.step,
            "lr": self._lr,
            "loss": level,
            "first_loss": self._first,
            "second_to_first_loss": self._second / first,
            "peak_to_first_loss": self._peak / first,
            "prior_entropy": self.prior_entropy,
            "loss_to_prior": level / prior,
            "prior_scale": scale,
            "dead_steps": self._dead if measured.count else None,
            "first_layer_gradient": measured.gradient,
            "logit_spread": measured.spread,
            "first_update_ratio": measured.first_update,
            "largest_update_ratio": measured.largest_update if measured.largest_update > 0.0 else None,
            "update_ratio": measured.update_level,
            "dead_fractions": tuple(1.0 - share for share in measured.active),
            "first_shift": None if measured.gain is None or self._lr is None else self._lr * measured.gain,
        }
        return {name: value for name, value in known.items() if value is not None and value != () and value == value}


def diagnose(
    losses: ArrayLike,
    lrs: ArrayLike | None = None,
    *,
    prior_entropy: float | None = None,
    label_counts: ArrayLike | None = None,
    classes: int | None = None,
    batches_per_epoch: int | None = None,
    losses_of: Literal["batch", "epoch"] = "batch",
    finder_lr: float | None = None,
    gradient_norms: ArrayLike | None = None,
    update_ratios: ArrayLike | None = None,
    active_fractions: ArrayLike | None = None,
    logit_spreads: ArrayLike | None = None,
    input_gain: float | None = None,
) -> Diagnosis:
    """Why a training fails, from its losses and what else was recorded, with the step at which that could be known.

    It is a `Monitor` that is given one update after another: the step is what a live one would have said.

    Args:
        losses: shape (steps,), as recorded: NaN and infinite ones too.
        lrs: the learning rate of each update, or one for all.
        prior_entropy: as `label_counts`, `classes`, `batches_per_epoch`, `losses_of` and `finder_lr`: see `Monitor`.
        label_counts: how often each label occurs.
        classes: how many there are.
        batches_per_epoch: updates of an epoch.
        losses_of: "batch" or "epoch".
        finder_lr: what a finder has suggested.
        gradient_norms: shape (steps, layers), or (steps,) for the first layer alone; rows of NaN were not measured.
        update_ratios: likewise, as `active_fractions`: see `Monitor.observe`.
        active_fractions: likewise.
        logit_spreads: shape (steps,).
        input_gain: one number of the run.

    Raises:
        TypeError, ValueError: arguments outside of these; arrays of other lengths than the losses.

    Example:
        >>> costs = [2.91, 1.8474, 1.8470, 1.8474, 1.8472, 1.8477]  # sums over 34 batches, divided by 33
        >>> found = diagnose(costs, 0.01, classes=6, batches_per_epoch=34, losses_of="epoch")
        >>> found.verdict, found.direction, found.step, round(found.evidence["prior_scale"], 4)
        ('stuck_at_prior', 'too_high', 4, 1.0303)
    """
    monitor = Monitor(
        prior_entropy=prior_entropy,
        label_counts=label_counts,
        classes=classes,
        batches_per_epoch=batches_per_epoch,
        losses_of=losses_of,
        finder_lr=finder_lr,
    )
    rows = rows_of("losses", losses, None, 1)
    count = len(rows)
    signals = {
        "lr": given_rows("lrs", np.full(count, lrs) if lrs is not None and np.ndim(lrs) == 0 else lrs, count, 1),
        "gradient_norms": given_rows("gradient_norms", gradient_norms, count, 2),
        "update_ratios": given_rows("update_ratios", update_ratios, count, 2),
        "active_fractions": given_rows("active_fractions", active_fractions, count, 2),
        "logit_spread": given_rows("logit_spreads", logit_spreads, count, 1),
    }
    listed = {name: table.tolist() for name, table in signals.items() if table is not None}
    for at, loss in enumerate(rows.tolist()):
        monitor.observe(loss, **{name: table[at] for name, table in listed.items()}, input_gain=input_gain)
    return monitor.diagnosis()
