"""torch.optim.lr_scheduler beside lrcore.dialects.torch."""

import warnings

import numpy as np
import pytest
import torch
from conformance import Row, largest_difference
from hypothesis import given, settings, strategies as st

from lrcore.dialects import torch as dialect
from lrcore.dialects._dialect import PEERS


def trace(build):
    """The learning rate of each update, as torch's own loop would apply it."""

    def run(arguments, n):
        arguments = dict(arguments)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=arguments.pop("base_lr"))
        scheduler = build(optimizer, **arguments)
        rates = []
        for _ in range(n):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler.step()
        return np.array(rates)

    return run


rates = st.floats(1e-4, 1.0)
spans = st.integers(1, 30)
FAR = 90

ROWS = [
    Row(
        "torch.StepLR",
        trace(torch.optim.lr_scheduler.StepLR),
        st.fixed_dictionaries({"base_lr": rates, "step_size": spans, "gamma": st.floats(0.1, 1.0)}),
        lambda _: FAR,
        corners=({"base_lr": 0.1, "step_size": 1},),
    ),
    Row(
        "torch.CosineAnnealingLR",
        trace(torch.optim.lr_scheduler.CosineAnnealingLR),
        st.fixed_dictionaries(
            {"base_lr": rates, "T_max": spans, "eta_min": st.one_of(st.just(0.0), st.floats(1e-8, 0.01))}
        ),
        lambda a: a["T_max"],
        corners=({"base_lr": 0.1, "T_max": 1},),
        past=60,
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


def compare(row, arguments):
    build, n = PEERS[row.key].build, row.run(arguments) + 1
    theirs = row.peer(arguments, n + row.past)
    assert largest_difference(build(**arguments).table(n), theirs[:n], row) <= 1
    assert np.ptp(build(**arguments).table(5, start=n - 1)) == 0 or not row.past, "holds past its end"
    if row.past:
        assert largest_difference(build(**arguments, strict=True).table(n + row.past), theirs, row) <= 1


def test_every_schedule_has_a_row():
    declared = {key for key in PEERS if key.startswith("torch.")}
    assert declared == {row.key for row in ROWS}
    assert dialect.__doc__
