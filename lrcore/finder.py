"""The learning-rate range test: a schedule with a stop rule, and what its loss curves suggest.

Arrays in, arrays out: a binding trains, and everything that is decided is decided here.

Pairing: `losses[..., i]` is measured on batch i before update i is made with `lrs[i]`, as every training loop has it.
So what `lrs[i]` does is seen in `losses[..., i + 1]`, and `suggest` reads them so.

>>> import numpy as np
>>> from lrcore.finder import RangeTest, suggest
>>> test = RangeTest(1e-4, 10.0, steps=60)
>>> weight, losses = 1.0, []
>>> watch = test.watch()
>>> for lr in test.lrs:  # gradient descent on weight**2, which diverges beyond lr = 1
...     losses.append(weight**2)
...     if watch.observe(losses[-1]):
...         break
...     weight -= lr * 2 * weight
>>> found = suggest(test.lrs, losses)
>>> found.verdict, 0.01 < found.lr < 1.0 < 2 * found.lr_max_stable
('ok', True)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrcore import _check, _curvefeatures as curve
from lrcore._check import positive
from lrcore._curvefeatures import Curves, Marks, Runs
from lrcore._published import PUBLISHED, published
from lrcore._rangetest import RangeTest, Watch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "PROBE_RUNS",
    "PROBE_STEPS",
    "PUBLISHED",
    "Found",
    "RangeTest",
    "Suggestion",
    "Watch",
    "best_probe",
    "padded",
    "probe_lrs",
    "probe_watch",
    "published",
    "range_test",
    "suggest",
    "updates_of",
]

Floats = NDArray[np.float64]
Verdict: TypeAlias = Literal[
    "ok", "no_learning_seen", "no_divergence_seen", "plateau_start", "too_noisy", "diverged_at_start"
]

# In this order where as many runs say one thing as another.
ADVICE: dict[Verdict, str] = {
    "diverged_at_start": "The loss broke off in the first tenth of the test: lower start_lr, and look whether the very"
    " first loss is a number. lr is a tenth of the largest rate that did no harm.",
    "no_learning_seen": "The loss did not fall by more than its noise: raise end_lr if it did not rise either, take"
    " more steps, larger batches or more runs. lr is a tenth of the largest rate that did no harm.",
    "too_noisy": "The loss fell by hardly more than its noise, or the runs disagree by more than a factor of ten: take"
    " larger batches or more runs.",
    "plateau_start": "The loss lay on a plateau and fell only shortly before it rose: a range test says little here."
    " Short runs at a few rates say more (refine=True).",
    "no_divergence_seen": "The loss had not risen again when the test ended: raise end_lr. lr is on the safe side.",
    "ok": "The loss fell and rose again.",
}
UNHEARD: tuple[Verdict, ...] = ("diverged_at_start", "no_learning_seen")  # of runs whose curves have no marks
TOO_WIDE = 10.0  # of the quartiles' ratio
PLATEAU = math.log(10.0)  # from a tenth of the drop to the rise: closer together, it is the edge of a plateau
CAUTION = math.log(10.0)  # below the largest rate that did no harm, where nothing better is known
NOISE = 2.4  # sigma: as `_curvefeatures.NOTHING`, in one run of a hundred
RULES = ("committee", *curve.FEATURES, *PUBLISHED)
PROBES = (0.1, 0.32, 1.0, 3.2, 10.0)
# In 50 steps a loss may still rest on its first plateau, and rates that are too large still look good; of as many steps
# in all, few long runs say more than many short ones (`python -m bench.finder_regret --choose`).
PROBE_STEPS, PROBE_RUNS = 150, 2
PROBE_TAIL = 0.2  # the share of a run's last losses that counts: a single batch's loss is mostly noise

# ---- The suggestion ----


@dataclass(frozen=True, eq=False)
class Suggestion:
    """What the loss curves of a range test suggest.

    Args:
        lr: the learning rate, always a number: where the verdict is not "ok", it says how it was chosen.
        band: the first and the third quartile over the runs.
        lr_max_stable: the largest rate after which the loss had not clearly risen, the median over the runs.
        verdict: "ok", "no_learning_seen", "no_divergence_seen", "plateau_start", "too_noisy" or "diverged_at_start";
            of several runs the most frequent one.
        per_run: what each run suggests, (runs,).
        verdicts: of each run.
        rule: what was asked for.
        lrs: the rates of the test.
        losses: (runs, n), as given; NaN behind the end of a run that is shorter.
        lengths: how many losses each run has, (runs,).

    Example:
        >>> test = RangeTest(steps=50)
        >>> print(suggest(test.lrs, [2.0] * 51))
        lr = 1 (no_learning_seen), stable up to 10; 1 run
        The loss did not fall by more than its noise: raise end_lr if it did not rise either, take more steps, larger
        batches or more runs. lr is a tenth of the largest rate that did no harm.
    """

    lr: float
    band: tuple[float, float]
    lr_max_stable: float
    verdict: Verdict
    per_run: Floats
    verdicts: tuple[Verdict, ...]
    rule: str
    lrs: Floats = field(repr=False)
    losses: Floats = field(repr=False)
    lengths: NDArray[np.int64] = field(repr=False)

    @property
    def advice(self) -> str:
        """What the verdict means, and what to do about it.

        Example:
            >>> suggest([0.1, 0.2], [float("nan")]).advice[:50]
            'The loss broke off in the first tenth of the test:'
        """
        return ADVICE[self.verdict]

    @cached_property
    def votes(self) -> dict[str, float | None]:
        """What each rule says, the median over the runs; None where it says nothing of any run.

        First the marks of the curve: "min" where it is lowest, "rise" where it has risen again, "drop50" where half of
        its drop is made, "steep" where it falls most steeply, "min-rise" the geometric mean of two of them; then the
        rules of other libraries, see `published`.

        Example:
            >>> test = RangeTest(0.001, 1.0, steps=16)
            >>> votes = suggest(test.lrs, [4.0] * 6 + [3.0, 2.0, 1.0, 1.0, 2.0, 9.0, 9.0]).votes
            >>> 0.003 < votes["drop50"] < votes["min"] < votes["rise"] < 1.0, votes["torch-lr-finder"]
            (True, None)
        """
        runs = curve.Runs(self.lrs, self.losses, self.lengths)
        curves = curve.curves_of(runs)
        found = curve.marks(curves)
        said = {rule: _said(rule, runs, curves, found) for rule in RULES[1:]}
        return {rule: _rate(rates[np.isfinite(rates)]) for rule, rates in said.items()}

    def to_dict(self) -> dict[str, Any]:
        """The numbers and texts, as JSON takes them, without the curves.

        Example:
            >>> suggest([0.1, 0.2], [2.0]).to_dict()["verdict"]
            'no_learning_seen'
        """
        return {
            "lr": self.lr,
            "band": list(self.band),
            "lr_max_stable": self.lr_max_stable,
            "verdict": self.verdict,
            "advice": self.advice,
            "rule": self.rule,
            "per_run": self.per_run.tolist(),
            "verdicts": list(self.verdicts),
            "votes": self.votes,
        }

    def __str__(self) -> str:
        runs = len(self.per_run)
        spread = f", quartiles {self.band[0]:.3g} to {self.band[1]:.3g}" if runs > 1 else ""
        counted = f"{runs} run{'s' if runs > 1 else ''}"
        first = f"lr = {self.lr:.3g} ({self.verdict}){spread}, stable up to {self.lr_max_stable:.3g}; {counted}"
        return f"{first}\n{self.advice}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draws the curves, raw and smoothed, the band, what each rule votes for, and the suggestion.

        Args:
            ax: matplotlib's axes to draw on; by default there is a new figure, `plot().figure`.

        Raises:
            ImportError: matplotlib is not installed.

        Example:
            >>> test = RangeTest(steps=50)
            >>> suggest(test.lrs, [2.0] * 50).plot().get_xscale()
            'log'
        """
        from lrcore._finderplot import draw

        drawn: Axes = draw(self, ax)
        return drawn


def suggest(lrs: ArrayLike, losses: ArrayLike | Sequence[ArrayLike], *, rule: str = "committee") -> Suggestion:
    """The learning rate that one or many runs of a range test suggest.

    Each curve is cut where `Watch` would stop it, smoothed without lag, and searched for marks: its minimum, where half
    of its drop is made, where it rises again. Some rules on these, chosen by what they cost on seven tasks,
    vote for each run; the suggestion is the median of the logarithms, over the votes and then over the runs,
    and never above `lr_max_stable`.

    Args:
        lrs: the rates of the test, (steps,), > 0 and ascending.
        losses: (n,) or (runs, n), or a list of runs of different lengths, of at most steps + 1 losses: `losses[..., i]`
            before the update with `lrs[i]`, and perhaps one more after the last. NaN and infinity mean that a run has
            diverged there, so rows that stopped may be filled up with NaN.
        rule: "committee", or a name in `Suggestion.votes`.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Also known as: fastai `lr_find(suggest_funcs=...)`, Lightning `lr_finder.suggestion()`, Ignite `lr_suggestion()`.

    Example:
        >>> test = RangeTest(1e-4, 10.0)
        >>> fall = 2.0 / (1.0 + 30.0 * test.lrs) + 20.0 * test.lrs**2  # least at 0.1
        >>> found = suggest(test.lrs, [[2.0, *fall], [2.0, *(1.1 * fall)]])
        >>> found.verdict, 0.01 < found.lr < 0.1, found.per_run.shape
        ('ok', True, (2,))
    """
    if rule not in RULES:
        allowed = f"one of {', '.join(RULES)}"
        raise ValueError(f"suggest.rule: expected {allowed}, got {rule!r}{_check.did_you_mean(str(rule), RULES)}")
    runs = curve.runs_of("suggest", lrs, losses)
    curves = curve.curves_of(runs)
    found = curve.marks(curves)
    verdicts = _verdicts(curves, found, curve.head(len(runs.lrs)))
    stable = curve.stable(curves, found)
    said = (
        np.median(curve.votes(curves, found=found), axis=1) if rule == "committee" else _said(rule, runs, curves, found)
    )
    heard = ~np.isin(verdicts, UNHEARD) & np.isfinite(said)
    each = np.where(heard, np.minimum(said, stable), stable - CAUTION)
    verdict = _most(verdicts)
    # Where most runs have learned, a guess for one that has not says nothing.
    counted = each[heard] if verdict not in UNHEARD and heard.any() else each
    low, lr, high = np.exp(np.quantile(counted, (0.25, 0.5, 0.75))).tolist()
    if verdict == "ok" and high > TOO_WIDE * low:
        verdict = "too_noisy"
    return Suggestion(
        lr, (low, high), float(np.exp(np.median(stable))), verdict, np.exp(each), tuple(verdicts), rule, *runs
    )


def _verdicts(curves: Curves, found: Marks, head: int) -> list[Verdict]:
    """Of each run, the first that is true."""
    fast = curves.logs[found.rise] - curves.logs[found.drop10] < PLATEAU
    conditions: dict[Verdict, Any] = {
        "diverged_at_start": curves.diverged & (curves.ends + 1 < head),
        "no_learning_seen": (found.drop <= curve.NOTHING * curves.sigma) | (curves.ends < 0),
        "too_noisy": found.drop <= NOISE * curves.sigma,
        "plateau_start": found.rose & fast,
        "no_divergence_seen": ~found.rose,
    }
    return np.select(list(conditions.values()), list(conditions), "ok").tolist()  # type: ignore[no-any-return]


def _most(verdicts: list[Verdict]) -> Verdict:
    """The most frequent one, of several the one to which more heed is to be paid."""
    return max(ADVICE, key=verdicts.count)


def _rate(logs: Floats) -> float | None:
    """The median of logarithms, as a rate; None of nothing."""
    return float(np.exp(np.median(logs))) if logs.size else None


def _said(rule: str, runs: Runs, curves: Curves, found: Marks) -> Floats:
    """What a single rule says of each run: logarithms, NaN for nothing."""
    if rule in curve.FEATURES:
        return np.where(curves.ends < 0, np.nan, curve.feature(curves, found, rule))
    rows = zip(runs.losses, runs.lengths, strict=True)
    rates = [published(rule, runs.lrs, row[:length]) for row, length in rows]
    return np.log([math.nan if rate is None else rate for rate in rates])


# ---- What `find_lr` of a binding runs ----


def range_test(where: str, test: RangeTest | None) -> RangeTest:
    """The test that is given, or by default one from 1e-6 to 10 in 200 updates.

    That is twice as slow a rise as the usual 1e-7 to 10 in 100, since a test sees little of a loss that falls late: the
    regret of eight restarts is 0.08 with it and 0.13 without (`python -m bench.finder_regret`).

    Example:
        >>> range_test("find_lr.test", None)
        RangeTest(start_lr=1e-06, end_lr=10.0, steps=200, spacing='exponential', stop_factor=4.0)
    """
    if test is None:
        return RangeTest(1e-6, 10.0, 200)
    if not isinstance(test, RangeTest):
        _check.refuse(where, "a lrcore.finder.RangeTest", test, TypeError)
    return test


def updates_of(test: RangeTest, runs: int, refine: bool) -> int:
    """How many updates `find_lr` makes at most.

    Example:
        >>> updates_of(RangeTest(steps=100), 8, refine=False), updates_of(RangeTest(steps=100), 8, refine=True)
        (800, 2300)
    """
    return runs * test.steps + refine * len(PROBES) * PROBE_RUNS * PROBE_STEPS


# ---- Short runs at a few rates ----


def probe_lrs(lr: float) -> Floats:
    """The rates to try around a suggestion: a decade below it and above it, in steps of half a decade.

    Args:
        lr: the suggestion, > 0.

    Example:
        >>> probe_lrs(0.01).round(5).tolist()
        [0.001, 0.0032, 0.01, 0.032, 0.1]
    """
    return positive("probe_lrs", lr) * np.array(PROBES)


def probe_watch(runs: int = 1) -> Watch:
    """Ends runs at these rates at a loss that is no finite number alone: a high one may overshoot, and train well then.

    Example:
        >>> watch = probe_watch()
        >>> [watch.observe(loss) for loss in (2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 900.0, float("nan"))][-2:]
        [False, True]
    """
    return Watch(PROBE_STEPS, None, runs)


def best_probe(lrs: ArrayLike, losses: ArrayLike) -> float:
    """Which of some rates trains best in short runs.

    The score of a rate is the mean of the last fifth of its losses, of its worst run; a rate at which a run diverges,
    so that one of its losses is no finite number, is out.

    Args:
        lrs: the rates, (rates,).
        losses: (rates, runs, steps), or (rates, steps) for one run; best with the same batches and the same initial
            weights for all rates, so that they differ by nothing else.

    Returns:
        The rate with the least score; the smallest rate if all are out.

    Raises:
        TypeError, ValueError: arguments outside of these.

    Example:
        >>> best_probe([0.1, 1.0, 10.0], [[4.0, 3.9, 3.8], [4.0, 3.0, 2.0], [4.0, 40.0, float("inf")]])
        1.0
    """
    rates = _check.array("best_probe.lrs", lrs, "fiu", "real numbers").astype(np.float64)
    given = _check.array("best_probe.losses", losses, "fiu", "real numbers").astype(np.float64)
    if rates.ndim != 1 or not rates.size or given.ndim not in (2, 3) or len(given) != rates.size or not given.size:
        shapes = f"{rates.shape} and {given.shape}"
        raise ValueError(
            f"best_probe: expected shapes (rates,) and (rates, runs, steps) or (rates, steps), got {shapes}"
        )
    rows = given.reshape(rates.size, -1, given.shape[-1])
    finite = np.isfinite(rows).all(axis=(1, 2), keepdims=True)
    counted = max(1, round(PROBE_TAIL * rows.shape[-1]))
    with np.errstate(over="ignore"):
        scores = np.where(finite, rows, np.inf)[:, :, -counted:].mean(axis=2).max(axis=1)
    order = np.argsort(rates, kind="stable")
    return float(rates[order][scores[order].argmin()])


def padded(rows: Sequence[Floats], length: int) -> Floats:
    """Runs of different lengths as one array, with NaN behind their ends.

    Example:
        >>> padded([np.array([2.0, 1.0]), np.array([3.0])], 2).tolist()
        [[2.0, 1.0], [3.0, nan]]
    """
    return np.stack([np.pad(row, (0, length - len(row)), constant_values=np.nan) for row in rows])


@dataclass(frozen=True, eq=False)
class Found:
    """What `find_lr` of a binding comes back with.

    Args:
        suggestion: see `Suggestion`.
        lrs: the rates of the test, (steps,).
        losses: (runs, n): `losses[:, i]` before the update with `lrs[i]`.
        refined: the rate that short runs around the suggestion found best; None where none were made.
        groups: a ratio for each parameter group, by name; None where none were asked for.
        groups_band: the first and the third quartile of each ratio over the runs.

    Example:
        >>> found = Found(suggest([0.1, 0.2], [2.0]), np.array([0.1, 0.2]), np.array([[2.0]]), refined=0.02)
        >>> found.lr
        0.02
    """

    suggestion: Suggestion
    lrs: Floats
    losses: Floats
    refined: float | None = None
    groups: dict[str, float] | None = None
    groups_band: dict[str, tuple[float, float]] | None = None

    @property
    def lr(self) -> float:
        """The learning rate to train with.

        Example:
            >>> round(Found(suggest([0.1, 0.2], [2.0]), np.array([0.1, 0.2]), np.array([[2.0]])).lr, 9)
            0.01
        """
        return self.suggestion.lr if self.refined is None else self.refined

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draws the suggestion, see `Suggestion.plot`, and the refined rate.

        Example:
            >>> len(Found(suggest([0.1, 0.2], [2.0]), np.array([0.1, 0.2]), np.array([[2.0]])).plot().lines) > 0
            True
        """
        from lrcore._finderplot import draw

        drawn: Axes = draw(self.suggestion, ax, self.refined)
        return drawn

    def __str__(self) -> str:
        lines = [] if self.refined is None else [f"lr = {self.refined:.3g}, the best of short runs around"]
        lines.append(str(self.suggestion))
        if self.groups is not None:
            bands = {name: " ({:.2g} to {:.2g})".format(*band) for name, band in (self.groups_band or {}).items()}
            ratios = [f"{name} = {ratio:.2g}{bands.get(name, '')}" for name, ratio in self.groups.items()]
            lines.append(f"groups: {', '.join(ratios)}")
        return "\n".join(lines)
