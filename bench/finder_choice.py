"""What `lrcore.finder` is made of, chosen by the data: the committee's rules, and how short runs are compared.

A rule is a mark of the curve, seen through a Gaussian of some width, some updates earlier, times a factor. A way of
choosing is a number of rules, of those that are best on average over some tasks; or of one width and no two of a mark,
because few that differ may go wrong on other tasks less often than the very best of all. They are judged by what is
asked for: one run of a range test as long as those of others, and eight restarts of the slower one of `find_lr`.

The way itself is chosen by leaving one task out at a time. So that its figure is honest, all of that is done once more
with each task left out: the way chosen on the other six, its rules chosen on those six, and the seventh judges. How
short runs are compared is chosen alike, of those that cost no more than `find_lr(refine=True)`, but of so few that
nothing is left to choose within.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from bench.finder_scoring import Truth, regrets_of
from bench.finder_tasks import Task
from bench.finder_training import OPTIMIZERS, PROBE_GRID, RESTARTS, Curves, Floats, ladder
from lrcore import _curvefeatures as curve
from lrcore._curvefeatures import FEATURES, Member
from lrcore.finder import PROBE_RUNS, PROBE_STEPS, probe_lrs

WIDTHS = (1.0, 2.0, 4.0)
LAGS = (0, 1, 2, 3, 4, 5, 6)
FACTORS = (0.1, 0.13, 0.18, 0.24, 0.32, 0.42, 0.56, 0.75, 1.0, 1.3, 1.8)
RULES = [Member(*parts) for parts in product(FEATURES, WIDTHS, LAGS, FACTORS)]
JUDGED = {"default": 1, "fine": RESTARTS}  # range tests, and how many runs of them make a suggestion

Indices = list[int]


@dataclass(frozen=True)
class Way:
    """How many rules, and whether they are of one width and of different marks."""

    count: int
    width: float | None

    def __str__(self) -> str:
        return f"the best {self.count}" + (f" of width {self.width:g}, each of another mark" if self.width else "")

    def chosen(self, scores: Floats) -> Indices:
        """The rules with the least scores."""
        found: Indices = []
        for number in np.argsort(scores, kind="stable").tolist():
            marks = {RULES[one].feature for one in found}
            differs = RULES[number].width == self.width and RULES[number].feature not in marks
            if len(found) < self.count and (differs or self.width is None):
                found.append(number)
        return found


WAYS = [Way(count, width) for width in (None, *WIDTHS) for count in (1, 3, 5)]


@dataclass(frozen=True)
class Seen:
    """What the rules say of a range test, logarithms of rates: (rules, tasks, optimizers, runs); and what none may
    exceed.
    """

    said: Floats
    stable: Floats

    def suggestions(self, rules: Indices, runs: int) -> Floats:
        """What a committee suggests for each group of so many runs."""
        each = np.minimum(np.median(self.said[rules], axis=0), self.stable)
        return np.exp(np.median(each.reshape(*each.shape[:2], -1, min(runs, each.shape[2])), axis=-1))


def seen(curves: Curves, tasks: list[Task], name: str) -> Seen:
    said, stable = [], []
    for task, optimizer in product(tasks, OPTIMIZERS):
        runs = curve.runs_of("choose", ladder(name), curves[f"{task.name}/{optimizer}/{name}"])
        found = curve.curves_of(runs)
        top = curve.stable(found, curve.marks(found))
        stable.append(top)
        without = top - math.log(10.0)
        votes = curve.votes(found, tuple(RULES))
        said.append(np.where((found.ends < 0)[:, None], without[:, None], votes).T)
    shape = (len(tasks), len(OPTIMIZERS), -1)
    together = np.stack(said, axis=1)
    return Seen(together.reshape(len(RULES), *shape), np.stack(stable).reshape(shape))


def _without(count: int, *left: int) -> Indices:
    return [task for task in range(count) if task not in left]


def _judge(seen: dict[str, Seen], truth: Truth) -> Callable[[tuple[int, ...]], Floats]:
    """The mean regret of each task, of all that is judged alike."""

    @cache
    def regrets(rules: tuple[int, ...]) -> Floats:
        suggested = [seen[name].suggestions(list(rules), runs) for name, runs in JUDGED.items()]
        return np.mean([regrets_of(truth, rates).mean((1, 2, 3)) for rates in suggested], axis=0)

    return regrets


@dataclass(frozen=True)
class Choice:
    """What is chosen on some tasks, and how each way does on those left out."""

    single: Floats  # the regret of each rule on each task
    regrets: Callable[[tuple[int, ...]], Floats]

    def rules(self, way: Way, tasks: Indices) -> tuple[int, ...]:
        return tuple(way.chosen(self.single[:, tasks].mean(1)))

    def left_out(self, way: Way, tasks: Indices) -> float:
        """The mean over these tasks of what the rules chosen on the others of them cost."""
        found = [self.regrets(self.rules(way, [one for one in tasks if one != left]))[left] for left in tasks]
        return float(np.mean(found))

    def way(self, tasks: Indices) -> Way:
        return min(WAYS, key=lambda way: self.left_out(way, tasks))


def choice_of(seen: dict[str, Seen], truth: Truth) -> Choice:
    regrets = _judge(seen, truth)
    single = np.stack([regrets((rule,)) for rule in range(len(RULES))])
    return Choice(single, regrets)


def committee(choice: Choice, tasks: list[Task]) -> list[str]:
    """The members, as Python, and what they and the ways of choosing score."""
    everything = _without(len(tasks))
    nested = []
    for left in everything:
        others = _without(len(tasks), left)
        nested.append(choice.regrets(choice.rules(choice.way(others), others))[left])
    best = choice.way(everything)
    rules = choice.rules(best, everything)
    lines = [f"# {way}: {choice.left_out(way, everything):.3f} on the task left out" for way in WAYS]
    lines.append(f"# chosen: {best}, {choice.regrets(rules).mean():.3f} on all")
    lines.append(f"# each task by what the others choose, the way included: {np.mean(nested):.3f}")
    lines += [f"#   {task.name}: {value:.3f}" for task, value in zip(tasks, nested, strict=True)]
    lines.append("COMMITTEE = (")
    for feature, width, lag, factor in (RULES[rule] for rule in rules):
        lines.append(f'    Member("{feature}", {width}, {lag}, {factor}),')
    return [*lines, ")"]


# ---- Short runs ----

COUNTS = (1, 2, 3)
LENGTHS = (25, 50, 100, PROBE_STEPS)
TAILS = (0.0, 0.1, 0.2)  # the share of a run's last losses whose mean counts; 0 is the last one alone
OVER_RUNS = {"mean": np.mean, "worst": np.max}
ASIDE = (-0.25, -0.125, 0.0, 0.125, 0.25)  # decades: whether rates half a decade apart hit is luck, averaged here


@dataclass(frozen=True)
class Comparison:
    """So many runs at a rate, of so many steps, by what of their losses."""

    runs: int
    steps: int
    tail: float
    over: str

    def __str__(self) -> str:
        counted = f"the last {self.tail:.0%}" if self.tail else "the last loss"
        return f"{self.runs} x {self.steps} steps, {self.over} of {counted}"

    def best(self, losses: Floats) -> int:
        """Which of the rates is best; losses are (rates, runs, steps)."""
        seen = losses[:, : self.runs, : self.steps]
        finite = np.isfinite(seen).all((1, 2))
        ends = seen[..., -max(1, round(self.tail * self.steps)) :]
        scores = OVER_RUNS[self.over](np.where(finite[:, None, None], ends, np.inf).mean(-1), axis=-1)
        return int(scores.argmin())


COMPARISONS = [
    Comparison(runs, steps, tail, over)
    for runs, steps, tail, over in product(COUNTS, LENGTHS, TAILS, OVER_RUNS)
    if runs * steps <= PROBE_RUNS * PROBE_STEPS and (runs > 1 or over == "mean")
]


def _compared(curves: Curves, tasks: list[Task], suggestions: Floats, way: Comparison) -> Floats:
    """Suggestions after short runs at the rates of the probed grid that are nearest to those around them."""
    found = np.empty_like(suggestions)
    for at in np.ndindex(suggestions.shape):
        losses = curves[f"{tasks[at[0]].name}/{OPTIMIZERS[at[1]]}/probes"]
        grid = np.geomspace(*PROBE_GRID, len(losses))
        nearest = np.abs(np.log(grid / probe_lrs(suggestions[at])[:, None])).argmin(1)
        found[at] = grid[nearest[way.best(losses[nearest, max(COUNTS) * at[2] :])]]
    return found


def _around(curves: Curves, tasks: list[Task], truth: Truth, suggestions: Floats, way: Comparison) -> Floats:
    """Each task's regret after short runs around suggestions, and around some that lie beside them."""
    found = [_compared(curves, tasks, suggestions * 10**off, way) for off in ASIDE]
    return np.mean([regrets_of(truth, rates).mean((1, 2, 3)) for rates in found], axis=0)


def comparison(curves: Curves, tasks: list[Task], truth: Truth, suggestions: Floats) -> list[str]:
    """How short runs around the suggestions are best compared, and what that is worth."""
    scores = np.stack([_around(curves, tasks, truth, suggestions, way) for way in COMPARISONS])
    lines = [f"# {way}: {row.mean():.3f}" for way, row in zip(COMPARISONS, scores, strict=True)]
    left_out = [scores[np.delete(scores, left, 1).mean(1).argmin(), left] for left in range(len(tasks))]
    lines.append(f"# each task by what the others choose: {np.mean(left_out):.3f}")
    return [*lines, f"# chosen: {COMPARISONS[scores.mean(1).argmin()]}"]


def choose(curves: Curves, tasks: list[Task], truth: Truth) -> str:
    """Both choices; short runs are made around what the chosen committee suggests."""
    found = {name: seen(curves, tasks, name) for name in JUDGED}
    choice = choice_of(found, truth)
    everything = _without(len(tasks))
    rules = list(choice.rules(choice.way(everything), everything))
    probed = comparison(curves, tasks, truth, found["fine"].suggestions(rules, RESTARTS))
    return "\n".join([*committee(choice, tasks), *probed])
