"""lint: what in a schedule is likely a mistake, found before the run is paid for.

`RULES` has every rule by its name; the docstring of a rule says what it looks for.
"""

from __future__ import annotations

from lrcore import _check, _rules
from lrcore._facts import RULES as RULES, Facts
from lrcore._findings import Finding as Finding, Findings as Findings, folded
from lrcore._survey import asked
from lrcore.schedule import Schedule

NAMES = tuple(RULES)


def lint(
    schedule: Schedule, n: int | None = None, *, steps_per_epoch: int | None = None, jump: float = 10.0
) -> Findings:
    """What in a schedule is likely a mistake, over a run of n updates.

    Args:
        schedule: the schedule.
        n: updates of the run, >= 1; by default the schedule's length.
        steps_per_epoch: updates of an epoch, which tells epochs from updates better; by default what the
            schedule was bound with.
        jump: the factor above which a change between neighbouring updates is reported, > 1. Restarts that go
            up are not.

    Returns:
        A tuple of `Finding`s, empty if nothing was found; many that are alike are one, with their `count`.
        `lrcore.linting.RULES` lists the rules. Where short pieces are too many to look at all
        (`explain(...).is_sampled` says so) a jump may be missed.

    Raises:
        TypeError, ValueError: arguments outside of these; no `n` for a schedule that never ends or never
            moves.
        UnboundError: a schedule with durations in units that are not bound yet.

    Example:
        >>> from lrcore import Cosine, lint
        >>> print(lint(Cosine(0.1, 0.0, 4000), n=1000))
        end-not-reached at step 1,000: the schedule ends at step 4,000, but the run has 1,000 updates: it stops at 0.854
        of its peak
            give the decay the updates of the run, or bind "100%" with total_steps=1000
        horizon-mismatch: the schedule is 4 times as long as the run
            are its steps micro-batches, or those of 4 workers? bind(micro_batches_per_update=...) or
            bind(world_size=...) turns epochs and samples into updates
        >>> lint(Cosine(0.1, 0.0, 1000))
        ()
    """
    is_length = n is None
    n, steps_per_epoch = asked(schedule, n, steps_per_epoch)
    jump = _check.positive("jump", jump)
    if jump <= 1.0:
        _check.refuse("jump", "a factor > 1", jump)
    facts = Facts(schedule, n, steps_per_epoch, jump, is_length=is_length)
    if facts.peak == facts.lowest == 0.0:
        return Findings(_rules.always_zero(facts))
    return folded(finding for find in RULES.values() for finding in find(facts))
