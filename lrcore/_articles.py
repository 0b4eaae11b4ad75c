"""The schedules of the five articles that lrcore grew from, in one place for the demo and the tests."""

from __future__ import annotations

from dataclasses import dataclass

from lrcore.compose import Sequence
from lrcore.curves import Constant, Cosine, Exponential, Piecewise
from lrcore.decays import ExponentialDecay, NaturalExpDecay
from lrcore.recipes import cyclic_polynomial, sgdr, step_decay
from lrcore.schedule import Schedule


@dataclass(frozen=True)
class Example:
    """A schedule as an article has it, where a step is whatever the article counts.

    Args:
        article: its letter.
        title: what the schedule is called there.
        formula: how the article states it; `e` is the epoch and `t` the update, both from 0.
        schedule: the same in lrcore.
        unit: "epochs" or "updates": what a step of the schedule is.
        span: how many of them the article shows.
        log_axis: whether its values are read best on a log axis.
    """

    article: str
    title: str
    formula: str
    schedule: Schedule
    unit: str
    span: int
    log_axis: bool = False

    @property
    def name(self) -> str:
        """The article and the title, as one line."""
        return f"{self.article}  {self.title}"

    @property
    def is_constant(self) -> bool:
        """Whether it is one rate for the whole run."""
        return self.schedule.length == 0

    def over(self, updates: int) -> Schedule:
        """The schedule over a run of so many updates, of which each step of the article gets the same whole number.

        Where the article sets the rate once an epoch, it holds for all updates of that epoch.
        """
        each = max(1, -(-updates // self.span))
        stepwise = self.schedule.staircase(1) if self.unit == "epochs" else self.schedule
        return stepwise.stretch(each)


_STEP_DECAY = step_decay(0.001, drop=0.5, every=5).shift(1)

EXAMPLES = (
    Example("A", "step decay", "0.001 · 0.5 ** floor((1 + e) / 5)", _STEP_DECAY, "epochs", 10),
    Example("A", "step decay, warm-up", "5 epochs up to 0.001, then the same", _STEP_DECAY.warmup(5), "epochs", 15),
    Example("A", "exponential", "0.001 · exp(-0.2 · (e + 1))", NaturalExpDecay(0.001, 0.2).shift(1), "epochs", 10),
    Example(
        "A",
        "cyclic polynomial",
        "0.00099 · (1 - (e mod 10) / 10) ** 0.5 + 0.00001",
        cyclic_polynomial(0.001, 0.00001, period=10, power=0.5),
        "epochs",
        40,
    ),
    Example("B", "cosine", "half a wave in 200 updates", Cosine(0.01, 0.0001, 200), "updates", 200),
    Example("B", "SGDR, equal cycles", "a restart every 100 updates", sgdr(0.01, 0.0001, 100), "updates", 400),
    Example(
        "B",
        "SGDR, doubling cycles",
        "cycles of 100, 200, 400 and 800 updates",
        sgdr(0.01, 0.0001, 100, period_mult=2),
        "updates",
        1500,
    ),
    Example(
        "C",
        "piecewise constant",
        "0.1 up to step 5, 0.05 to 10, 0.01 to 15, 0.001",
        Piecewise([5, 10, 15], [0.1, 0.05, 0.01, 0.001], side="left"),
        "updates",
        20,
        log_axis=True,
    ),
    Example("D", "shrinking", "0.2 · 0.99 ** e", ExponentialDecay(0.2, 0.99), "epochs", 15),
    Example(
        "D",
        "hold, then decay",
        "10 epochs, then times exp(-0.1) in each",
        Sequence([(Constant(0.01), 10), NaturalExpDecay(0.01, 0.1).shift(1)]),
        "epochs",
        15,
    ),
    Example(
        "D",
        "range test",
        "1e-7 · (10 / 1e-7) ** (t / 100)",
        Exponential(1e-7, 10.0, 100),
        "updates",
        101,
        log_axis=True,
    ),
    *(
        Example(
            "E", f"constant {rate}", "1, 0.1, 0.01, 0.001, 0.0001", Constant(float(rate)), "updates", 1, log_axis=True
        )
        for rate in ("1", "0.1", "0.01", "0.001", "0.0001")
    ),
)
