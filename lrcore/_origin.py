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

    @property
    def quirks(self) -> tuple[Quirk, ...]:
        """What was reproduced of it; none of a peer that is not known."""
        peer = self._declared()
        return tuple(quirk for quirk in peer.quirks if self.strict or quirk.always) if peer else ()

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
