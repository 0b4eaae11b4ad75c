"""Where a schedule of another library came from: a hint that stays with it, in specs and pickles too.

It names the peer, and nothing of it: what is odd about a peer is declared by its dialect alone, and looked up there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lrcore import _check

if TYPE_CHECKING:
    from lrcore.dialects._dialect import Peer, Quirk

_PEER = r"^[a-z][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"
_LONGEST = 200


class Origin(NamedTuple):
    """Which peer's schedule this is, and whether it has the quirks that `strict=True` reproduces."""

    peer: str  # as in `lrcore.dialects`: "torch.StepLR"
    strict: bool
    names: tuple[str, ...] | None = None  # of its quirks; None: not said, so all that a peer's schedule may have

    @property
    def quirks(self) -> tuple[Quirk, ...]:
        """What was reproduced of it; none of a peer that is not known."""
        peer, names = self._declared(), self.names
        quirks = peer.quirks if peer else ()
        if names is not None:
            return tuple(quirk for quirk in quirks if quirk.name in names)
        return tuple(quirk for quirk in quirks if self.strict or quirk.always)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a spec."""
        said = {"peer": self.peer, "strict": self.strict}
        return said if self.names is None else {**said, "quirks": list(self.names)}

    @property
    def is_known(self) -> bool:
        """Whether a dialect declares it. A spec may have been written by a later lrcore, which has more of them."""
        return self._declared() is not None

    def _declared(self) -> Peer | None:
        from lrcore.dialects._dialect import declared

        return declared(self.peer)


@_check.accepts({"type": "string", "pattern": _PEER, "maxLength": _LONGEST})
def check_peer(where: str, given: Any) -> str:
    """The name of a dialect and of a schedule in it. Whether it is there is not asked: see `Origin.is_known`."""
    expected = 'a dialect and a schedule of it, such as "torch.StepLR"'
    if not isinstance(given, str):
        _check.refuse(where, expected, given, TypeError)
    if len(given) > _LONGEST or not re.fullmatch(_PEER, given):
        _check.refuse(where, expected, given)
    return given


@_check.accepts({"type": "array", "items": {"type": "string", "maxLength": _LONGEST}, "maxItems": _LONGEST})
def check_quirks(where: str, given: Any) -> tuple[str, ...]:
    """The names of the quirks that a schedule has. One that the dialect does not declare is of no account."""
    names = _check.items(where, given, "names of quirks")
    if len(names) > _LONGEST or not all(isinstance(name, str) and len(name) <= _LONGEST for name in names):
        _check.refuse(where, "a list of names of quirks", given)
    return tuple(names)
