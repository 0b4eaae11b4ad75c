"""What `lint` gives back: findings, as data, as text and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Finding:
    """Something in a schedule that is likely a mistake.

    Attributes:
        name: which rule found it, in kebab-case.
        step: where, or None if it has no one place.
        reason: what was seen, with its numbers.
        cure: what to write instead.
    """

    name: str
    step: int | None
    reason: str
    cure: str

    def to_dict(self) -> dict[str, Any]:
        """The same, as plain types that JSON can hold."""
        return {"name": self.name, "step": self.step, "reason": self.reason, "cure": self.cure}

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
