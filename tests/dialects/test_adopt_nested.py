"""lrcore.adopt of SequentialLR and ChainedScheduler in each other: closed forms of what torch makes of them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from live import goes_on, optimizer, snapshot, step

import lrcore as lr
from lrcore.dialects import torch as in_torch

S = torch.optim.lr_scheduler
SWALR = torch.optim.swa_utils.SWALR

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # torch's own, of an inner one


def sequence_first(o):
    inner = S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=2), S.ExponentialLR(o, 0.9)], [2])
    return S.SequentialLR(o, [inner, S.ConstantLR(o, 0.5, 4)], [4])


def chain_first(o):
    inner = S.ChainedScheduler([S.ExponentialLR(o, 0.9), S.PolynomialLR(o, 20)])
    return S.SequentialLR(o, [inner, S.CosineAnnealingLR(o, 20)], [12])


def sequence_in_a_chain(o):
    inner = S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=5), S.CosineAnnealingLR(o, 20)], [5])
    return S.ChainedScheduler([inner, S.ExponentialLR(o, 0.99)])


def three_deep(o):
    inner = S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=5), S.StepLR(o, 3)], [7])
    chain = S.ChainedScheduler([inner, S.ConstantLR(o, 0.5, 4)])
    return S.SequentialLR(o, [chain, SWALR(o, 0.01, 6)], [20])


NESTED = [sequence_first, chain_first, sequence_in_a_chain, three_deep]


@pytest.mark.parametrize("done", [0, 3, 9, 25])
@pytest.mark.parametrize("make", NESTED)
def test_a_closed_form_without_n(make, done):
    scheduler = step(make(optimizer(0.1, 0.2)), done)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler)
    assert snapshot(scheduler) == before
    assert not [note for note in adopted.notes if "Table" in note]
    assert adopted.position == done
    n = min(len(adopted.verified), 60)  # without quirks it holds past its end
    ours = np.column_stack([schedule.table(n, start=done) for schedule in adopted.schedules])
    assert ours == pytest.approx(goes_on(scheduler, n), rel=1e-11, abs=1e-15)


def test_it_says_what_torch_does():
    adopted = lr.adopt(sequence_first(optimizer()))
    expected = in_torch.SequentialLR(
        [
            in_torch.SequentialLR([in_torch.LinearLR(0.1, 0.1, total_iters=2), in_torch.ExponentialLR(0.1, 0.9)], [2]),
            in_torch.ConstantLR(0.1, 0.5, 4),
        ],
        [4],
        strict=True,
    )
    assert adopted.schedule == expected
    assert f"strict: {in_torch.AHEAD.what}" in adopted.notes
    assert [finding.name for finding in lr.lint(adopted.schedule, 30) if "inner-is-ahead" in finding.reason] == [
        "quirk"
    ]


@pytest.mark.parametrize("done", [0, 4])
def test_a_warmup_beside_a_cosine_with_a_floor(done):
    """The product of both has no closed form: the warm-up becomes a table, and what comes after it does not."""
    o = optimizer()
    scheduler = step(S.ChainedScheduler([S.LinearLR(o, 0.1, total_iters=8), S.CosineAnnealingLR(o, 40, 0.01)]), done)
    adopted = lr.adopt(scheduler)
    assert "8 updates of ChainedScheduler without a closed form are a Table" in adopted.notes
    assert not isinstance(adopted.schedule, lr.Table)
    assert adopted.schedule.table(100, start=done) == pytest.approx(goes_on(scheduler, 100)[:, 0], rel=1e-9, abs=1e-12)


def test_what_never_has_a_closed_form_becomes_a_table():
    o = optimizer()
    scheduler = S.ChainedScheduler([S.CosineAnnealingLR(o, 10, 0.01), S.ExponentialLR(o, 0.9)])
    adopted = lr.adopt(scheduler, 9)
    assert "expected a schedule that only multiplies base_lr" in adopted.notes[0]
    once = "; and with all quirks: CosineAnnealingLR, ExponentialLR at once have no closed form: a Table over 9 updates"
    assert adopted.notes[0].endswith(once)
    assert adopted.notes[0].count("cannot be read") == 1
    assert adopted.schedule.table(9) == pytest.approx(goes_on(scheduler, 9)[:, 0])
    with pytest.raises(lr.AdoptError, match=r"adopt\.n: expected for how many .* at once have no closed form"):
        lr.adopt(scheduler)


@pytest.mark.parametrize("done", [0, 4])
def test_a_chain_lasts_as_long_as_its_longest(done):
    """Without n, though the whole has no closed form; where a part has no end there is nothing to tell it by."""
    o = optimizer(0.1, 0.2)
    scheduler = step(S.ChainedScheduler([S.CosineAnnealingLR(o, 6, 0.01), S.CosineAnnealingLR(o, 9, 0.02)]), done)
    adopted = lr.adopt(scheduler)
    assert adopted.verified == range(done, 10)
    assert all("at once have no closed form: a Table over 10 updates" in note for note in adopted.notes)
    ours = np.column_stack([schedule.table(10 - done, start=done) for schedule in adopted.schedules])
    assert ours == pytest.approx(goes_on(scheduler, 10 - done), rel=1e-12)


def test_up_to_where_torch_raises():
    """A sequence that begins at a milestone: until then it is what it says."""
    o = optimizer()
    inner = S.SequentialLR(o, [S.LinearLR(o, 0.5, total_iters=3), S.StepLR(o, 3)], [3])
    adopted = lr.adopt(S.SequentialLR(o, [S.ExponentialLR(o, 0.9), inner], [5]))
    assert adopted.verified == range(5)
    assert adopted.notes[0].startswith("the object itself raises at update 5, NotImplementedError")
    assert adopted.schedule.table(9)[5:] == pytest.approx([0.05, 0.05 * 4 / 3, 0.05 * 5 / 3, 0.1])


def test_a_function_over_a_part():
    adopted = lr.adopt(
        S.SequentialLR(
            o := optimizer(),
            [S.SequentialLR(o, [S.LambdaLR(o, lambda t: 1 / (1 + t)), S.StepLR(o, 3)], [6]), S.StepLR(o, 4)],
            [20],
        )
    )
    assert "the function of LambdaLR became a Table over 6 updates" in adopted.notes
    assert adopted.schedule.table(7) == pytest.approx([0.1, 0.05, 0.1 / 3, 0.025, 0.02, 0.1, 0.1])


LEAVES = [
    lambda o: S.StepLR(o, 5),
    lambda o: S.LinearLR(o, 0.5, total_iters=4),
    lambda o: S.ExponentialLR(o, 0.9),
    lambda o: S.CosineAnnealingLR(o, 9),
    lambda o: S.CosineAnnealingWarmRestarts(o, 5),
    lambda o: SWALR(o, 0.02, 5),
    lambda o: S.MultiplicativeLR(o, lr.Constant(0.9)),
]


def drawn_tree(draw, o, depth):
    """Constructed in its order, as a user's code does."""
    kind = draw(st.sampled_from(["leaf", "sequence", "chain"])) if depth else "leaf"
    if kind == "leaf":
        return draw(st.sampled_from(LEAVES))(o)
    count = draw(st.integers(1, 3))
    parts = [drawn_tree(draw, o, depth - 1), *(drawn_tree(draw, o, 0) for _ in range(count - 1))]
    if kind == "chain":
        return S.ChainedScheduler(parts)
    places = draw(st.lists(st.integers(1, 35), min_size=count - 1, max_size=count - 1, unique=True))
    return S.SequentialLR(o, parts, sorted(places))


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(0, 30))
def test_any_tree_goes_on_as_the_object_does(data, done):
    scheduler = step(drawn_tree(data.draw, optimizer(0.1, 0.2), 3), done)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler, 40)
    assert snapshot(scheduler) == before
    ours = np.column_stack([schedule.table(40 - done, start=done) for schedule in adopted.schedules])
    assert ours == pytest.approx(goes_on(scheduler, 40 - done), rel=1e-9, abs=1e-11)
