"""Durations with units: "5ep", "30%", "2e9tok", "1e6samples", "rest"; and what they come to in updates.

A duration in a schedule is an int, which counts updates, or one of these texts in its canonical form. A text has a
meaning only for a run: `schedule.bind(...)` says which, and gives the schedule in updates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, TypeAlias

from lrcore import _check
from lrcore._check import END_OF_STEPS, Check

# int | str: an int once it is bound, which is all that arithmetic on it needs to know.
Duration: TypeAlias = Any

REST = "rest"  # what the context leaves: of the run, of a part, of a cycle
LENGTH = "length"  # of a part of a Sequence: the length of its own schedule

# Each unit, its spellings, and the argument of `bind` that it needs.
_SPELLINGS = {
    "up": ("up", "update", "updates", "step", "steps"),
    "ep": ("ep", "epoch", "epochs"),
    "%": ("%",),
    "tok": ("tok", "token", "tokens"),
    "samples": ("sample", "samples"),
}
NEEDS = {"ep": "steps_per_epoch", "%": "total_steps", "tok": "tokens_per_step", "samples": "samples_per_step"}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}

_NUMBER = r"[+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?"
_TEXT = re.compile(rf"\s*({_NUMBER})\s*([^\W\d_]+|%)\s*", re.ASCII)
LONGEST = 40  # characters: so many digits no duration needs
_WITH_UNIT = rf"{_NUMBER}\s*({'|'.join(_UNIT_OF)})"  # for the JSON Schema of spec files
EXAMPLES = ("5ep", "30%", "2e9tok", "1e6samples")


class UnboundError(ValueError):
    """A duration in units was to be evaluated, or bound without what its unit needs."""


class Amount(NamedTuple):
    """A number of some unit."""

    number: Fraction
    unit: str


def is_text(given: object) -> bool:
    """Whether a checked duration has a unit, and so waits for `bind`."""
    return type(given) is str


@lru_cache(maxsize=1024)
def amount(text: str) -> Amount | None:
    """What a text says, or None if it is no number with a unit."""
    found = _TEXT.fullmatch(text) if len(text) <= LONGEST else None
    unit = _UNIT_OF.get(found[2].lower()) if found else None
    if not found or unit is None:
        return None
    return Amount(Fraction(found[1].replace("_", "")), unit)


def updates(
    least: int | None,
    *,
    also: tuple[str, ...] = (REST,),
    what: str = "a whole number of updates",
    optional: bool = False,
) -> Check:
    """A check for a duration: an int >= least (None: of either sign), a text with a unit, or one of the words `also`.

    The text comes back in its canonical form, and as an int if its unit is updates. Where it is optional, None is too.
    """
    whole = _check.whole(1 - END_OF_STEPS if least is None else least, what=what)

    def check(where: str, given: object) -> int | str | None:
        if optional and given is None:
            return None
        if not isinstance(given, str):
            return int(whole(where, given))
        word = given.strip().lower()
        if word in also:
            return word
        said = amount(given)
        if said is None:
            _refuse_text(where, given, also)
        if said.unit == "up" and said.number.denominator == 1:
            return int(whole(where, int(said.number)))
        if said.unit == "up":
            _check.refuse(where, what, given)
        if (least is not None and said.number < 0) or (least == 1 and said.number == 0):
            _check.refuse(where, f"a duration {'>' if least else '>='} 0", given)
        return _canonical(said)

    check.least = least  # type: ignore[attr-defined]
    text = {"type": "string", "pattern": rf"^\s*({_WITH_UNIT}{''.join(f'|{word}' for word in also)})\s*$"}
    return _check.with_schema(check, {"anyOf": [_check.schema_of(whole), text]})


def time_unit(where: str, given: object) -> float | str:
    """A check for the unit of time of an unbounded decay: a number of updates > 0, or a text with a unit."""
    return str(_text_of_time(where, given)) if isinstance(given, str) else _check.positive(where, given)


_text_of_time = updates(1, also=())
_check.with_schema(
    time_unit, {"anyOf": [_check.schema_of(_check.positive), _check.schema_of(_text_of_time)["anyOf"][1]]}
)


def increasing(where: str, steps: Sequence[int | str]) -> None:
    """Refuses steps that do not increase, as far as that can be seen before they are bound: within each unit."""
    for at in range(1, len(steps)):
        if not _may_follow(steps[at - 1], steps[at]):
            raise ValueError(f"{where}[{at}]: expected steps that increase, got {steps[at]} after {steps[at - 1]}")


def _may_follow(before: int | str, after: int | str) -> bool:
    if isinstance(before, int) and isinstance(after, int):
        return before < after
    if isinstance(before, int) or isinstance(after, int):
        return True
    first, second = amount(before), amount(after)
    return not first or not second or first.unit != second.unit or first.number < second.number


def _refuse_text(where: str, given: str, also: tuple[str, ...]) -> NoReturn:
    parts = re.fullmatch(rf"\s*{_NUMBER}\s*(\S+)\s*", given)
    words = (*_UNIT_OF, *also)
    guess = _check.did_you_mean((parts[1] if parts else given.strip()).lower(), words)
    examples = [f'"{text}"' for text in (*EXAMPLES, *also)]
    texts = f"{', '.join(examples[:-1])} or {examples[-1]}"
    raise ValueError(f"{where}: expected an int or a text such as {texts}, got {_check.shown(given)}{guess}")


def _canonical(said: Amount) -> str:
    """The shortest text of the same number: "5.0 epochs" is "5ep"."""
    number = said.number
    texts = (f"{float(number):g}", repr(float(number)).removesuffix(".0"))
    short = next((text for text in texts if Fraction(text) == number), None) or _decimal(number)
    return short.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-") + said.unit


def _decimal(number: Fraction) -> str:
    """All digits of a decimal fraction that float64 does not hold."""
    from decimal import Context, Decimal

    exact = Context(prec=2 * LONGEST + 200)
    return str(exact.divide(Decimal(number.numerator), Decimal(number.denominator)))


# ---- A run, and what durations come to in it ----


def half_up(updates: Fraction) -> int:
    """To the nearest whole number, half up."""
    return math.floor(updates + Fraction(1, 2))


@dataclass(frozen=True)
class Run:
    """What `bind` was told: see there. Each None where it was not."""

    total_steps: int | None = None
    steps_per_epoch: int | None = None
    tokens_per_step: int | None = None
    samples_per_step: int | None = None
    micro_batches_per_update: int = 1
    world_size: int = 1

    def __post_init__(self) -> None:
        for name in ("total_steps", "steps_per_epoch", "tokens_per_step", "samples_per_step"):
            if getattr(self, name) is not None:
                _check.whole(1, what="a whole number")(f"bind.{name}", getattr(self, name))
        for name in ("micro_batches_per_update", "world_size"):
            _check.whole(1, what="a whole number")(f"bind.{name}", getattr(self, name))

    @property
    def _steps_per_update(self) -> int:
        return self.micro_batches_per_update * self.world_size

    @property
    def updates_per_epoch(self) -> int | None:
        """An incomplete last window of an epoch is an update too."""
        return None if self.steps_per_epoch is None else -(-self.steps_per_epoch // self._steps_per_update)

    @property
    def total_updates(self) -> int | None:
        """Whole epochs by their updates, and what is left over by its own."""
        if self.total_steps is None:
            return None
        epochs, left = divmod(self.total_steps, self.steps_per_epoch or self.total_steps + 1)
        return epochs * (self.updates_per_epoch or 0) + -(-left // self._steps_per_update)

    def in_updates(self, said: Amount) -> Fraction | None:
        """What an amount comes to, or None without what its unit needs."""
        if said.unit == "%":
            return None if self.total_updates is None else said.number * self.total_updates / 100
        if said.unit == "ep":
            return None if self.updates_per_epoch is None else said.number * self.updates_per_epoch
        each = self.tokens_per_step if said.unit == "tok" else self.samples_per_step
        return None if each is None else said.number / (each * self._steps_per_update)
