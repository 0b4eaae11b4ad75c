"""SequentialLR and ChainedScheduler in each other: what torch itself makes of that, and lrcore.dialects.torch with
strict=True."""

import pickle
import warnings

import pytest
from conformance import Row, largest_difference
from hypothesis import given, settings, strategies as st
from live import goes_on, live, optimizer

from lrcore import Constant, Cosine, Cycle, Piecewise, Sequence, Table
from lrcore.dialects import torch as dialect
from lrcore.dialects._torchruns import NoClosedFormError

FAR = 90
BASE = 0.1
ROW = Row("torch.SequentialLR", None, None, None, floor=FAR)  # an ulp for each update of its recursions


def theirs(schedule, n=FAR):
    """The learning rates that torch gives, and what it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        o = optimizer(BASE)
        try:
            return goes_on(live(o, schedule), n)[:, 0]
        except NotImplementedError as error:
            return error


def leaf(build, **arguments):
    return st.fixed_dictionaries(arguments).map(lambda drawn: build(BASE, **drawn))


spans, gammas = st.integers(1, 30), st.sampled_from([0.5, 0.9, 1.0])
multipliers = st.one_of(
    leaf(dialect.StepLR, step_size=spans, gamma=gammas),
    leaf(dialect.MultiStepLR, milestones=st.lists(st.integers(0, 40), max_size=4), gamma=gammas),
    leaf(dialect.ConstantLR, factor=gammas, total_iters=spans),
    leaf(dialect.LinearLR, start_factor=gammas, end_factor=gammas, total_iters=spans),
    leaf(dialect.ExponentialLR, gamma=gammas),
    leaf(dialect.PolynomialLR, total_iters=spans, power=st.sampled_from([1.0, 2.0])),
    leaf(dialect.MultiplicativeLR, lr_lambda=st.lists(gammas, min_size=1, max_size=9).map(lambda given: [*given, 1.0])),
)
others = st.one_of(
    leaf(dialect.CosineAnnealingLR, T_max=spans, eta_min=st.sampled_from([0.0, 0.01]), strict=st.just(True)),
    leaf(dialect.CosineAnnealingWarmRestarts, T_0=spans, T_mult=st.integers(1, 2)),
    leaf(dialect.CyclicLR, max_lr=st.just(0.5), step_size_up=spans),
    leaf(dialect.LambdaLR, lr_lambda=st.lists(gammas, min_size=1, max_size=9).map(lambda given: Table([*given, 1.0]))),
    leaf(dialect.SWALR, swa_lr=st.just(0.02), anneal_epochs=st.integers(0, 9)),
)
leaves = st.one_of(multipliers, others)


def composed(inner):
    """Of some schedules: only the first of a sequence is one of these again, which is all that torch takes."""
    first_and_others = st.tuples(inner, st.lists(leaves, max_size=2)).map(lambda drawn: [drawn[0], *drawn[1]])
    in_order = first_and_others.flatmap(
        lambda made: st.lists(st.integers(1, 40), min_size=len(made) - 1, max_size=len(made) - 1, unique=True).map(
            lambda places: within("SequentialLR", schedulers=made, milestones=sorted(places))
        )
    )
    at_once = st.lists(inner, min_size=1, max_size=3).map(
        lambda made: within("ChainedScheduler", base_lr=BASE, schedulers=made)
    )
    return in_order | at_once


def within(name, **arguments):
    """One that is read by an outer one; by itself it may have no closed form."""
    try:
        return getattr(dialect, name)(**arguments, strict=True)
    except NoClosedFormError:
        return None


trees = st.recursive(leaves, lambda inner: composed(inner.filter(lambda one: one is not None)), max_leaves=6)


@settings(max_examples=60, deadline=None)
@given(trees.filter(lambda tree: tree is not None))
def test_whatever_torch_makes_of_them(tree):
    assert largest_difference(tree.table(FAR), theirs(tree), ROW) <= 1


@settings(max_examples=30, deadline=None)
@given(st.lists(multipliers, min_size=2, max_size=4), st.sampled_from([0.0, 0.01]), spans)
def test_factors_and_a_cosine_at_once(factors, eta_min, steps):
    """Those that settle leave the cosine alone."""
    cosine = dialect.CosineAnnealingLR(BASE, steps, eta_min, strict=True)
    settling = [one for one in factors if one.length is not None]
    tree = dialect.ChainedScheduler(BASE, [*settling, cosine], strict=True)
    assert largest_difference(tree.table(FAR), theirs(tree), ROW) <= 1


def inner_sequence():
    return dialect.SequentialLR(
        [dialect.LinearLR(BASE, 0.1, total_iters=2), dialect.ExponentialLR(BASE, 0.9)], [2], strict=True
    )


# Each with what lrcore makes of it, written out: torch is asked too.
CLOSED = {
    "an inner sequence is an update ahead": (
        dialect.SequentialLR([inner_sequence(), dialect.ConstantLR(BASE, 0.5, 3)], [4], strict=True),
        [0.01, 0.1, 0.09, 0.081, 0.05, 0.05, 0.05, 0.1, 0.1],
    ),
    "an inner chain has made its first step twice": (
        dialect.SequentialLR(
            [dialect.ChainedScheduler(BASE, [dialect.ExponentialLR(BASE, 0.9)]), Constant(0.5)], [3], strict=True
        ),
        [0.09, 0.081, 0.0729, 0.5],
    ),
    "a cosine in it begins above its first value": (
        dialect.SequentialLR(
            [dialect.ChainedScheduler(BASE, [dialect.CosineAnnealingLR(BASE, 2)]), Constant(0.5)], [2], strict=True
        ),
        [0.2, 0.1, 0.5],  # (1 + cos 0) / (1 + cos(-pi / 2)) = 2
    ),
    "SWALR goes on from what it finds": (
        dialect.SequentialLR(
            [dialect.ConstantLR(BASE, 0.5, 9), dialect.SWALR(BASE, 0.01, 4, "linear")], [2], strict=True
        ),
        [0.05, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01, 0.01],
    ),
    "MultiplicativeLR too, with its factor of update 0": (
        dialect.SequentialLR(
            [dialect.ConstantLR(BASE, 0.5, 9), dialect.MultiplicativeLR(BASE, [0.5, 0.5, 1.0])], [2], strict=True
        ),
        [0.05, 0.05, 0.025, 0.0125, 0.0125],
    ),
    "OneCycleLR is where the first one begins": (
        dialect.SequentialLR(
            [dialect.LinearLR(BASE, 0.5, total_iters=2), dialect.OneCycleLR(1.0, 9, strict=True)], [2], strict=True
        ),
        [0.02, 0.03, 0.04],
    ),
    "what has a closed form overwrites": (
        dialect.ChainedScheduler(
            BASE,
            [dialect.ExponentialLR(BASE, 0.5), dialect.LambdaLR(BASE, Table([1.0, 0.8])), dialect.StepLR(BASE, 2, 0.5)],
            strict=True,
        ),
        [0.1, 0.08, 0.04, 0.08, 0.04, 0.08],
    ),
    "a milestone in a chain overwrites": (
        dialect.ChainedScheduler(
            BASE,
            [
                dialect.SequentialLR([dialect.ConstantLR(BASE, 0.5, 9), dialect.ExponentialLR(BASE, 1.0)], [3]),
                dialect.ExponentialLR(BASE, 0.5),
            ],
            strict=True,
        ),
        [0.05, 0.025, 0.0125, 0.05, 0.025],
    ),
    "a cosine that turns beside steps": (
        dialect.ChainedScheduler(
            BASE, [dialect.CosineAnnealingLR(BASE, 2, strict=True), dialect.StepLR(BASE, 3, 0.5)], strict=True
        ),
        [0.1, 0.05, 0.0, 0.025, 0.05, 0.025, 0.0, 0.05, 0.1, 0.025, 0.0, 0.05, 0.05],
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    ours, expected = CLOSED[name]
    assert ours.table(len(expected)) == pytest.approx(expected, rel=1e-12, abs=1e-17)
    n = 8 if "OneCycle" in name else FAR
    assert largest_difference(ours.table(n), theirs(ours, n), ROW) <= 1
    assert not any(tables(ours))


def tables(schedule):
    if isinstance(schedule, Table) and (schedule.origin or ())[:2] == ("torch.SequentialLR", True):
        yield schedule
    for child in schedule._children():
        yield from tables(child)


def test_a_cosine_that_turns_beside_steps_repeats():
    ours, _ = CLOSED["a cosine that turns beside steps"]
    assert isinstance(ours, Sequence)
    assert isinstance(ours.parts[-1], Cycle)
    assert ours.parts[-1].period == 12


def test_a_warmup_beside_a_cosine_with_a_floor_is_a_table_of_the_warmup():
    """Then the cosine is alone, and past its end as if it had always been."""
    warmup = dialect.LinearLR(BASE, 0.1, total_iters=5)
    cosine = dialect.CosineAnnealingLR(BASE, 40, 0.01, strict=True)
    ours = dialect.ChainedScheduler(BASE, [warmup, cosine], strict=True)
    assert [len(table.values) for table in tables(ours)] == [5]
    assert ours.length is None
    assert largest_difference(ours.table(FAR), theirs(ours), ROW) <= 1


def test_where_torch_raises_ours_is_refused():
    constant, inner = dialect.ConstantLR(BASE, 0.5, 2), inner_sequence()
    chain = dialect.ChainedScheduler(BASE, [constant])
    for second, name in ((inner, "SequentialLR"), (chain, "ChainedScheduler")):
        nested = dialect.SequentialLR([constant, second], [3])
        assert isinstance(theirs(nested), NotImplementedError)
        assert nested.table(4, start=3) == pytest.approx(second.table(4))
        with pytest.raises(
            NoClosedFormError, match=f"torch raises NotImplementedError where a {name} begins at a mile"
        ):
            dialect.SequentialLR([constant, second], [3], strict=True)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (
            lambda: [dialect.ExponentialLR(BASE, 0.9), dialect.CosineAnnealingLR(BASE, 9, 0.01, strict=True)],
            "ExponentialLR, CosineAnnealingLR at once have no closed form",
        ),
        (
            lambda: [dialect.CosineAnnealingWarmRestarts(BASE, 9), dialect.CosineAnnealingLR(BASE, 9, strict=True)],
            "CosineAnnealingWarmRestarts, CosineAnnealingLR at once have no closed form",
        ),
        (
            lambda: [
                dialect.MultiplicativeLR(BASE, Cosine(1.0, 0.999, 9)),
                dialect.CosineAnnealingLR(BASE, 9, strict=True),
            ],
            "a cosine that turns again and again beside others has no closed form",
        ),
    ],
)
def test_what_has_no_closed_form_is_refused(build, match):
    with pytest.raises(NoClosedFormError, match=match):
        dialect.ChainedScheduler(BASE, build(), strict=True)


def test_what_has_lost_its_arguments_is_refused():
    """A pickle has the values alone."""
    inner = pickle.loads(pickle.dumps(inner_sequence()))
    with pytest.raises(NoClosedFormError, match=r"a torch\.SequentialLR out of a spec or a pickle has lost its argum"):
        dialect.SequentialLR([inner, dialect.ConstantLR(BASE, 0.5)], [4], strict=True)


@pytest.mark.parametrize("part", [dialect.LinearLR, dialect.PolynomialLR])
def test_of_no_length_at_a_milestone_torch_divides_by_zero(part):
    tree = [dialect.ConstantLR(BASE), part(BASE, total_iters=0, strict=True)]
    with pytest.raises(ZeroDivisionError):
        theirs(dialect.SequentialLR(tree, [3]))
    with pytest.raises(NoClosedFormError, match="of no length divides by zero at a milestone"):
        dialect.SequentialLR(tree, [3], strict=True)


def test_a_constant_of_no_length_is_over_at_a_milestone():
    """As the first part it never leaves its factor."""
    none = dialect.ConstantLR(BASE, 0.5, 0, strict=True)
    for tree, expected in (([none], [0.05] * 4), ([dialect.StepLR(BASE, 9), none], [0.1] * 4)):
        ours = dialect.SequentialLR(tree, [2][: len(tree) - 1], strict=True)
        assert ours.table(4) == pytest.approx(expected)
        assert ours.table(4) == pytest.approx(theirs(ours, 4))


def test_without_a_quirk_it_is_the_same():
    """Which lint need not warn of."""
    parts = [dialect.LinearLR(BASE, 0.1, total_iters=5), dialect.ExponentialLR(BASE, 0.9)]
    for strict, default in (
        (dialect.SequentialLR(parts, [5], strict=True), dialect.SequentialLR(parts, [5])),
        (dialect.ChainedScheduler(BASE, parts, strict=True), dialect.ChainedScheduler(BASE, parts)),
    ):
        assert strict == default
        assert not strict.origin.strict
    assert dialect.SequentialLR([Piecewise([3], [1.0, 0.5])], [], strict=True).table(4).tolist() == [1.0, 1.0, 1.0, 0.5]
