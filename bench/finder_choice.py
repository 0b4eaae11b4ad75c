"""Which rules make up the committee of `lrcore.finder.suggest`: chosen by the data, and what that is worth elsewhere.

A rule is a mark of the curve, seen through a Gaussian of some width, times a factor. A way of choosing takes so many
rules that are best on average over some tasks: the best of all, or the best of each mark, so that they differ. The way
itself is chosen by leaving one task out at a time. So that its figure is honest, all of that is done once more with
each task left out: the way chosen on the other six, its rules chosen on those six, and the seventh judges.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.finder_scoring import Truth, regrets_of
from bench.finder_tasks import Task
from bench.finder_training import OPTIMIZERS, RESTARTS, Curves, Floats, ladder
from lrcore import _curvefeatures as curve
from lrcore._curvefeatures import FEATURES, Member

WIDTHS = (2.0, 4.0, 8.0)
FACTORS = (0.1, 0.18, 0.32, 0.56, 1.0, 1.8, 3.2)
RULES = [Member(*parts) for parts in product(FEATURES, WIDTHS, FACTORS)]

Indices = list[int]


@dataclass(frozen=True)
class Way:
    """How many rules, and whether each is of another mark."""

    count: int
    apart: bool

    def __str__(self) -> str:
        return f"the best {self.count}{' of different marks' if self.apart else ''}"

    def chosen(self, scores: Floats) -> Indices:
        """The rules with the least scores."""
        found: Indices = []
        for number in np.argsort(scores, kind="stable").tolist():
            marks = {RULES[one].feature for one in found}
            if not (self.apart and RULES[number].feature in marks):
                found.append(number)
            if len(found) == self.count:
                break
        return found


WAYS = [Way(count, apart) for count in (1, 3, 5) for apart in (False, True) if count > 1 or not apart]
WAYS += [Way(8, False), Way(12, False)]


@dataclass(frozen=True)
class Seen:
    """What the rules say, logarithms of rates: (rules, tasks, optimizers, runs); and what none may exceed."""

    truth: Truth
    said: Floats
    stable: Floats

    def regrets(self, rules: Indices) -> Floats:
        """The mean regret of each task, of one run and of eight restarts alike."""
        each = np.minimum(np.median(self.said[rules], axis=0), self.stable)
        grouped = np.median(each.reshape(*each.shape[:2], -1, min(RESTARTS, each.shape[2])), axis=-1)
        return sum(regrets_of(self.truth, np.exp(logs)).mean((1, 2, 3)) for logs in (each, grouped)) / 2


def seen(curves: Curves, tasks: list[Task], truth: Truth) -> Seen:
    said, stable = [], []
    for task, optimizer in product(tasks, OPTIMIZERS):
        runs = curve.runs_of("choose", ladder("default"), curves[f"{task.name}/{optimizer}/default"])
        found = curve.curves_of(runs)
        top = curve.stable(found, curve.marks(found))
        stable.append(top)
        without = top - math.log(10.0)
        votes = curve.votes(found, tuple(RULES))
        said.append(np.where((found.ends < 0)[:, None], without[:, None], votes).T)
    shape = (len(tasks), len(OPTIMIZERS), -1)
    together = np.stack(said, axis=1)
    return Seen(truth, together.reshape(len(RULES), *shape), np.stack(stable).reshape(shape))


def _without(count: int, *left: int) -> Indices:
    return [task for task in range(count) if task not in left]


def _cached(seen: Seen) -> Callable[[tuple[int, ...]], Floats]:
    known: dict[tuple[int, ...], Floats] = {}

    def regrets(rules: tuple[int, ...]) -> Floats:
        if rules not in known:
            known[rules] = seen.regrets(list(rules))
        return known[rules]

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


def choice_of(seen: Seen) -> Choice:
    regrets = _cached(seen)
    single = np.stack([regrets((rule,)) for rule in range(len(RULES))])
    return Choice(single, regrets)


def choose(curves: Curves, tasks: list[Task], truth: Truth) -> str:
    """The members, as Python, and what they and the ways of choosing score."""
    choice = choice_of(seen(curves, tasks, truth))
    everything = _without(len(tasks))
    nested: NDArray[np.float64] = np.array(
        [
            choice.regrets(choice.rules(choice.way(others), others))[left]
            for left in everything
            for others in [_without(len(tasks), left)]
        ]
    )
    best = choice.way(everything)
    rules = choice.rules(best, everything)
    lines = [f"# {way}: {choice.left_out(way, everything):.4f} on the task left out" for way in WAYS]
    lines.append(f"# chosen: {best}; here {choice.regrets(rules).mean():.4f}")
    lines.append(f"# with the way chosen on the other tasks, too: {nested.mean():.4f}")
    lines += [f"#   {task.name}: {value:.4f}" for task, value in zip(tasks, nested, strict=True)]
    lines.append("COMMITTEE = (")
    lines += [f'    Member("{RULES[rule].feature}", {RULES[rule].width}, {RULES[rule].factor}),' for rule in rules]
    return "\n".join([*lines, ")"])
