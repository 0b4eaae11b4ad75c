"""thinc.schedules beside lrcore.dialects.thinc."""

import numpy as np
import pytest
from conformance import Row, always, compare
from hypothesis import given, settings, strategies as st

from lrcore.dialects import thinc as dialect
from lrcore.dialects._dialect import PEERS
from packages import imported

schedules = imported("thinc.schedules")

rates = st.floats(1e-4, 1.0)
spans = st.integers(1, 30)
offsets = st.sampled_from([0.0, 1.0, 2.5, 7.0])
FAR = 90


def trace(name):
    """The learning rate of each update."""

    def run(arguments, n):
        schedule = getattr(schedules, name)(**arguments)
        return np.array([schedule(step) for step in range(n)])

    return run


def constant_then(arguments, n):
    inner = schedules.decaying(1.0, 0.5)
    schedule = schedules.constant_then(arguments["rate"], arguments["steps"], inner)
    return np.array([schedule(step) for step in range(n)])


def far(_):
    return FAR


def floor_of_the_slant(arguments):
    """The last update at which the way down has not gone below its foot."""
    cut_frac = arguments.get("cut_frac", 0.1)
    cut = int(arguments["num_steps"] * cut_frac)
    return int(np.floor(cut / cut_frac - arguments.get("t", 0.0) - 1.0 + 1e-9))


slants = st.fixed_dictionaries(
    {
        "max_rate": rates,
        "num_steps": st.integers(20, 60),
        "cut_frac": st.sampled_from([0.1, 0.25, 0.37, 0.5, 0.9]),
        "ratio": st.integers(2, 64),
        "t": offsets,
    }
)

ROWS = [
    Row("thinc.constant", trace("constant"), st.fixed_dictionaries({"rate": rates}), far),
    Row(
        "thinc.constant_then",
        constant_then,
        st.fixed_dictionaries(
            {"rate": rates, "steps": st.integers(0, 30), "schedule": st.just(dialect.decaying(1.0, 0.5))}
        ),
        far,
        endless=always,
    ),
    Row(
        "thinc.decaying",
        trace("decaying"),
        st.fixed_dictionaries({"base_rate": rates, "decay": st.floats(0.001, 2.0), "t": offsets}),
        far,
        corners=({"base_rate": 0.001, "decay": 1e-4}, {"base_rate": 1.0, "decay": 0.0}),
        endless=always,
    ),
    Row(
        "thinc.compounding",
        trace("compounding"),
        st.fixed_dictionaries({"start": rates, "stop": rates, "compound": st.floats(0.5, 2.0), "t": offsets}),
        far,
        corners=({"start": 1.0, "stop": 10.0, "compound": 1.5}, {"start": 1.0, "stop": 10.0, "compound": 1.0}),
        endless=always,
    ),
    Row(
        "thinc.warmup_linear",
        trace("warmup_linear"),
        st.fixed_dictionaries({"initial_rate": rates, "warmup_steps": st.integers(0, 30), "total_steps": spans}),
        far,
        corners=(
            {"initial_rate": 1.0, "warmup_steps": 4, "total_steps": 4},
            {"initial_rate": 1.0, "warmup_steps": 4, "total_steps": 5},
        ),
    ),
    Row(
        "thinc.slanted_triangular",
        trace("slanted_triangular"),
        slants,
        floor_of_the_slant,
        corners=({"max_rate": 1.0, "num_steps": 15}, {"max_rate": 1.0, "num_steps": 10}),
        past=30,
        holds_after=2,  # at its foot, which lies between two updates
    ),
    Row(
        "thinc.cyclic_triangular",
        trace("cyclic_triangular"),
        st.fixed_dictionaries({"min_lr": rates, "max_lr": rates, "period": spans}),
        far,
        corners=({"min_lr": 0.0, "max_lr": 1.0, "period": 1},),
        endless=always,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(row, corner) for row in ROWS for corner in row.corners])
def test_corners(row, arguments):
    compare(row, arguments)


def test_every_schedule_has_a_row():
    assert {key for key in PEERS if key.startswith("thinc.")} == {row.key for row in ROWS}


def test_the_slant_goes_below_0_within_its_run():
    """15 updates with a cut of one: the foot is at the 10th, and theirs is negative at the 15th."""
    schedule = schedules.slanted_triangular(1.0, 15)
    assert schedule(14) < 0
    assert dialect.slanted_triangular(1.0, 15, strict=True)(14) == pytest.approx(schedule(14), rel=1e-12)
    assert dialect.slanted_triangular(1.0, 15)(14) == 1.0 / 32
