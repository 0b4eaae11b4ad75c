"""What `lint` gives back: findings, as data, as text and as a table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_ALIKE = 5  # findings that are told one by one

_NUMBER = re.compile(r"\d[\d,.]*(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Finding:
    """Something in a schedule that is likely a mistake.

    Attributes:
        name: which rule found it, in kebab-case.
        step: where, or None if it has no one place.
        reason: what was seen, with its numbers.
        cure: what to write instead.
        count: how often it was found; the reason is that of the first one, and says where the next ones are.
    """

    name: str
    step: int | None
    reason: str
    cure: str
    count: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The same, as plain types that JSON can hold."""
        return {
            "name": self.name,
            "step": self.step,
            "reason": self.reason,
            "cure": self.cure,
            "count": self.count,
        }

    def _place(self) -> str:
        return "" if self.step is None else f" at step {self.step:,}"

    def __str__(self) -> str:
        return f"{self.name}{self._place()}: {self.reason}\n    {self.cure}"

    def __rich__(self) -> RenderableType:
        try:
            from rich.text import Text
        except ImportError as error:
            raise ImportError("rich is not here: pip install 'lrcore[cli]'") from error
        return Text.assemble((self.name, "bold yellow"), (self._place(), "dim"), f": {self.reason}\n    {self.cure}")

    def _repr_html_(self) -> str:
        return Findings([self])._repr_html_()


class Findings(tuple[Finding, ...]):
    """The findings of a run, in the order of the rules; empty if there are none."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "nothing found"

    def __rich__(self) -> RenderableType:
        try:
            from rich.console import Group
        except ImportError as error:
            raise ImportError("rich is not here: pip install 'lrcore[cli]'") from error
        return Group(*self) if self else "nothing found"

    def _repr_html_(self) -> str:
        if not self:
            return "<p>nothing found</p>"
        head = "".join(f'<th scope="col">{name}</th>' for name in ("finding", "step", "reason", "cure"))
        rows = "".join(
            f'<tr><th scope="row">{escape(found.name)}</th><td>{"" if found.step is None else f"{found.step:,}"}</td>'
            f"<td>{escape(found.reason)}</td><td>{escape(found.cure)}</td></tr>"
            for found in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def folded(found: Iterable[Finding]) -> Findings:
    """More than a few findings of one rule whose reasons differ in nothing but numbers, as one in place of the first.

    A quirk names itself in its reason, so each of them stays.
    """
    listed = list(found)
    kinds = [(finding.name, _NUMBER.sub("0", finding.reason)) for finding in listed]
    alike: dict[tuple[str, str], list[Finding]] = {}
    for kind, finding in zip(kinds, listed, strict=True):
        alike.setdefault(kind, []).append(finding)
    told: list[Finding] = []
    for kind, finding in zip(kinds, listed, strict=True):
        many = alike[kind]
        if len(many) <= MOST_ALIKE:
            told.append(finding)
        elif finding is many[0]:
            told.append(_as_one(many))
    return Findings(told)


def _as_one(many: list[Finding]) -> Finding:
    first, count = many[0], len(many)
    others = [step for step in dict.fromkeys(finding.step for finding in many) if step not in (None, first.step)]
    shown = ", ".join(f"{step:,}" for step in others[: MOST_ALIKE - 1])
    more = ", ..." if len(others) >= MOST_ALIKE else ""
    places = f", at step{'s' * (len(others) > 1)} {shown}{more}" if others else ""
    return replace(first, reason=f"{first.reason}; and {count - 1:,} more like it{places}", count=count)
