"""Schedulers within torch's SequentialLR and ChainedScheduler, beside factors, in any order and nesting.

The expected rates are worked out from the structure alone: a sequence has the value of the part whose turn it is, from
that part's own step 0; everything beside it multiplies.
"""

import itertools

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.optim.lr_scheduler import ChainedScheduler, SequentialLR

import lrcore as lr
from lrcore.bindings.torch import Scheduler


def built():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates(optimizer, updates, *steppers):
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for stepper in steppers:
            stepper.step()
    return found


def value_of_sequence(tables, milestones, update):
    part = sum(update >= milestone for milestone in milestones)
    local = update - (milestones[part - 1] if part else 0)
    return tables[part][min(local, len(tables[part]) - 1)]


whole = st.integers(1, 9).map(float)
tables = st.lists(whole, min_size=1, max_size=4)
sequences = st.lists(tables, min_size=2, max_size=3).flatmap(
    lambda parts: st.tuples(
        st.just(parts),
        st.lists(st.integers(1, 7), min_size=len(parts) - 1, max_size=len(parts) - 1, unique=True).map(sorted),
    )
)


@settings(max_examples=150, deadline=None)
@given(
    listed=st.lists(sequences, min_size=1, max_size=2),
    factors=st.lists(tables, max_size=2),
    chained=st.booleans(),
    data=st.data(),
)
def test_sequences_and_factors_multiply_whatever_their_order(listed, factors, chained, data):
    optimizer = built()
    kept, steppers = [], []
    for parts, milestones in listed:
        schedulers = [Scheduler(optimizer, lr.Table(values)) for values in parts]
        kept += schedulers
        steppers.append(SequentialLR(optimizer, schedulers, milestones))
    steppers += [Scheduler(optimizer, lr.Table(values)) for values in factors]
    ordered = data.draw(st.permutations(steppers))
    for scheduler in steppers:  # each SequentialLR has set the rate back to 1 when it was built
        if isinstance(scheduler, Scheduler):
            scheduler.refresh()
    kept[0].refresh()
    found = rates(optimizer, 10, *([ChainedScheduler(ordered, optimizer=optimizer)] if chained else ordered))
    for update, rate in enumerate(found):
        expected = 1.0
        for parts, milestones in listed:
            expected *= value_of_sequence(parts, milestones, update)
        for values in factors:
            expected *= values[min(update, len(values) - 1)]
        assert rate == expected, update


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")  # by the nesting of torch itself
@pytest.mark.parametrize("milestone", range(1, 5))
def test_a_chain_is_relieved_by_what_comes_after_it(milestone):
    optimizer = built()
    chain = ChainedScheduler([Scheduler(optimizer, 2.0), Scheduler(optimizer, 3.0)], optimizer=optimizer)
    after = Scheduler(optimizer, 5.0)
    found = rates(optimizer, 8, SequentialLR(optimizer, [chain, after], [milestone]))
    assert found == [6.0] * milestone + [5.0] * (8 - milestone)


@pytest.mark.parametrize("milestone", range(1, 7))
def test_a_factor_that_is_stepped_once_an_epoch_goes_on(milestone):
    optimizer = built()
    sequence = SequentialLR(optimizer, [Scheduler(optimizer, 1.0), Scheduler(optimizer, 5.0)], [milestone])
    factor = Scheduler(optimizer, lr.Table([3.0, 4.0, 5.0]))
    found = []
    for _ in range(3):
        found += rates(optimizer, 3, sequence)
        factor.step()
    expected = [(1.0 if update < milestone else 5.0) * (3.0 + update // 3) for update in range(9)]
    assert found == expected


def test_a_factor_that_only_observes_goes_on():
    optimizer = built()
    sequence = SequentialLR(optimizer, [Scheduler(optimizer, 1.0), Scheduler(optimizer, 3.0)], [2])
    factor = Scheduler(optimizer, 1.0, plateau=lr.Plateau(0.5, patience=0))
    assert [factor.observe(1.0) for _ in range(2)] == [False, True]
    assert rates(optimizer, 4, sequence) == [0.5, 0.5, 1.5, 1.5]


@pytest.mark.parametrize("stop", range(9))
@pytest.mark.parametrize("order", list(itertools.permutations(["sequence", "factor", "optimizer"])))
def test_a_sequence_beside_a_factor_resumes_in_any_order(stop, order):
    def made():
        optimizer = built()
        parts = [Scheduler(optimizer, lr.Linear(1.0, 4.0, 4)), Scheduler(optimizer, lr.Cosine(8.0, 1.0, 4))]
        sequence = SequentialLR(optimizer, parts, [4])
        return {
            "optimizer": optimizer,
            "sequence": sequence,
            "factor": Scheduler(optimizer, lr.step_decay(1.0, 0.5, 3)),
        }

    first = made()
    whole = rates(first["optimizer"], 10, first["sequence"], first["factor"])
    first = made()
    rates(first["optimizer"], stop, first["sequence"], first["factor"])
    states = {name: one.state_dict() for name, one in first.items()}
    again = made()
    for name in order:
        again[name].load_state_dict(states[name])
    assert rates(again["optimizer"], 10 - stop, again["sequence"], again["factor"]) == whole[stop:]
