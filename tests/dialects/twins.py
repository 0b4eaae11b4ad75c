"""Peers that are not installed are held by a twin: their formula, for one update at a time, in plain Python."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from lrcore.dialects._dialect import PEERS

FAR = 70


@dataclass(frozen=True)
class Twin:
    """One peer schedule. `strict` is what the peer does at update t, with its quirks; `plain` what it does without."""

    key: str
    arguments: Any  # a hypothesis strategy
    plain: Callable[..., float]
    strict: Callable[..., float] | None = None
    corners: tuple[dict[str, Any], ...] = ()


def some(**fields):
    """Arguments by their names, each drawn from its strategy."""
    return st.fixed_dictionaries(fields)


def or_0(most):
    """Numbers up to `most`, 0 among them."""
    return st.one_of(st.just(0.0), st.floats(1e-6, most))


def held(formula, end):
    """A formula up to the update `end(**arguments)`, whose value holds."""
    return lambda t, **arguments: formula(min(t, end(**arguments)), **arguments)


def compare(twin, arguments):
    peer = PEERS[twin.key]
    assert bool(peer.quirks) == bool(twin.strict), "a quirk is shown by strict"
    closely(peer.build(**arguments), twin.plain, arguments)
    if twin.strict:
        closely(peer.build(**arguments, strict=True), twin.strict, arguments)


def closely(schedule, formula, arguments):
    """Within the rounding of a formula of some ten operations."""
    expected = np.array([formula(t, **arguments) for t in range(FAR)])
    table = schedule.table(FAR)
    worst = int(np.abs(table - expected).argmax())
    scale = max(float(np.abs(expected).max()), 1e-300)
    assert abs(table[worst] - expected[worst]) <= 1e-13 * scale, (worst, table[worst], expected[worst], schedule)


def held_by(twins):
    """The tests of a table: drawn arguments of each twin, and its corners."""

    @pytest.mark.parametrize("twin", twins, ids=lambda twin: twin.key)
    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_twin(twin, data):
        compare(twin, data.draw(twin.arguments))

    @pytest.mark.parametrize(("twin", "arguments"), [(twin, corner) for twin in twins for corner in twin.corners])
    def test_corner(twin, arguments):
        compare(twin, arguments)

    return test_twin, test_corner
