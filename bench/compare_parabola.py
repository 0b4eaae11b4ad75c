"""Article D's first example: gradient descent on a parabola, a constant rate against one that shrinks.

On f(x) = x² an update is `x -= lr(e) * 2 * x`, so what is left of the start after n epochs is the product of
`1 - 2 * lr(e)` over e < n: `0.8**n` at 0.1, and with `0.2 * 0.99**e` first 0.6, then 0.604 and so on, more slowly each
time. It has converged when the share tau of the start is left, so 0.1 needs ln(tau) / ln(0.8) epochs, rounded up.
"""

from __future__ import annotations

import math
from typing import Any

from lrcore import Constant, ExponentialDecay, Schedule

RATES: dict[str, Schedule] = {
    "constant 0.1": Constant(0.1),
    "0.2 shrinking by 1 % an epoch": ExponentialDecay(0.2, 0.99),
}
ARTICLE = (32, 15)  # epochs
LONGEST = 1000
# A start, and how near to 0 it has to come.
CRITERIA = [(1.0, 1e-3), (10.5, 0.01), (15.0, 0.01)]


def descent(schedule: Schedule, start: float, epochs: int) -> list[float]:
    """The places x after 0, 1, ... epochs of gradient descent on x²."""
    places = [start]
    for rate in schedule.table(epochs):
        places.append(places[-1] - float(rate) * 2.0 * places[-1])
    return places


def epochs_to(schedule: Schedule, start: float, within: float) -> int:
    """After how many epochs |x| is below a bound for the first time."""
    places = descent(schedule, start, LONGEST)
    return next(epoch for epoch, place in enumerate(places) if abs(place) < within)


def window() -> tuple[float, float]:
    """The shares of the start of which both of the article's counts come out: any share above the first, up to the
    second."""
    left = [descent(schedule, 1.0, count) for schedule, count in zip(RATES.values(), ARTICLE, strict=True)]
    return max(places[-1] for places in left), min(places[-2] for places in left)


def by_logarithm(share: float) -> int:
    """The epochs that the constant rate needs, from the formula above."""
    return math.floor(math.log(share) / math.log(0.8)) + 1


def parabola() -> dict[str, Any]:
    """All of it."""
    counts = [
        {"start": start, "within": within, "epochs": [epochs_to(rate, start, within) for rate in RATES.values()]}
        for start, within in CRITERIA
    ]
    courses = {name: descent(rate, 1.0, ARTICLE[0]) for name, rate in RATES.items()}
    return {"article": list(ARTICLE), "window": list(window()), "counts": counts, "left": courses}


def told(found: dict[str, Any]) -> str:
    """As Markdown."""
    low, high = found["window"]
    heading = ["start", "until abs(x)", "share", *RATES]
    rows = [
        [f"{row['start']:g}", f"< {row['within']:g}", f"{row['within'] / row['start']:.3g}", *map(str, row["epochs"])]
        for row in found["counts"]
    ]
    logarithm = math.log(1e-3) / math.log(0.8)
    before = f"""\
f(x) = x², of which each epoch leaves the share 1 - 2 lr: 0.8 at the constant rate; 0.6, 0.604, 0.608 … at the one that
shrinks. Start and bound count by their ratio alone, the share of the start that may be left. The article names neither
function nor criterion. Its counts, {ARTICLE[0]} and {ARTICLE[1]} epochs, come out together for shares above {low:.3g}
and up to {high:.3g}:
"""
    after = f"""
So they are within an epoch of a thousandth of the start, for which the constant rate needs {by_logarithm(1e-3)} epochs:
ln(0.001) / ln(0.8) = {logarithm:.2f}. In the last row they are the numbers of the last epoch, counted from 0."""
    table = [f"| {' | '.join(cells)} |" for cells in [heading, ["---:"] * len(heading), *rows]]
    return "\n".join([before, *table, after])
