"""lint: each rule fires where it should and not beside it, and good schedules have no findings."""

import inspect
import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import lint
from lrcore._findings import folded
from lrcore._origin import Origin
from lrcore.dialects import ignite, torch
from lrcore.linting import NAMES, RULES, Finding, Findings
from strategies import growing, schedules

RUN = 100_000


def table_with(**values):
    table = np.full(1000, 0.1)
    for at, value in values.items():
        table[int(at.removeprefix("at"))] = value
    return lr.Table(table)


def flat_then(schedule, steps=5000):
    return lr.Sequence([(0.1, steps), schedule])


def converted(peer):
    return lr.Cosine(0.1, 0.0, 100)._with_hints(origin=Origin(peer, False))


# Name, arguments of a run that has the finding, its step, and arguments of one that nearly has it.
CASES = [
    ("always-zero", (lr.Linear(0.1, 0.0, 10) * 0.0, 10), 0, (lr.Linear(0.1, 0.0, 10) * 1e-3, 10)),
    ("zero-first-update", (lr.wsd(0.1, 99, 990, 9),), 0,
     (lr.wsd(0.1, 99, 990, 9).shift(1),)),
    ("zero-first-update", (lr.noam(512, 4000), RUN), 0, (lr.noam(512, 4000).shift(1), RUN)),
    ("negative-value", (lr.Linear(0.1, -0.01, 100),), 99, (lr.Linear(0.1, -0.01, 100).clip(min=0.0),)),
    ("negative-value", (lr.Constant(-0.1), 5), 0, (lr.Constant(0.1), 5)),
    ("high-peak", (lr.Cosine(11.0, 0.0, 100),), 0, (lr.Cosine(9.0, 0.0, 100),)),
    ("zero-tail", (lr.Cosine(0.1, 0.0, 100), 101), 100, (lr.Cosine(0.1, 0.0, 100), 100)),
    ("zero-tail", (lr.Cosine(0.1, 0.0, 100), 300), 100, (lr.Cosine(0.1, 0.001, 100), 300)),
    ("zero-in-between", (lr.Piecewise([100, 200], [0.1, 0.0, 0.1]), 300), 100,
     (lr.Piecewise([100, 200], [0.1, 0.05, 0.1]), 300)),
    ("too-small", (lr.Exponential(0.1, 1e-12, 1000),), None, (lr.Exponential(0.1, 1e-9, 1000),)),
    ("too-small", (lr.ExponentialDecay(0.1, 0.5, 10), 2000), 266, (lr.ExponentialDecay(0.1, 0.5, 100), 2000)),
    ("zero-tail", (lr.ExponentialDecay(0.1, 0.5, 1), 2000), None, (lr.ExponentialDecay(0.1, 0.5, 2), 2000)),
    ("frozen-in-float32", (lr.Linear(0.1, 0.1 - 1e-12, 1000),), 0, (lr.Linear(0.1, 0.1 - 1e-7, 1000),)),
    ("too-small", (lr.Constant(1e-9), 1000), 0, (lr.Constant(1.1e-9), 1000)),
    ("too-small", (lr.Constant(1e-9), 1000), 0, (lr.Cosine(1e-3, 1e-12, 1000),)),
    ("flat-in-bfloat16", (lr.Cosine(1e-3, 0.9995e-3, 1000),), 0, (lr.Cosine(1e-3, 0.995e-3, 1000),)),
    ("flat-in-bfloat16", (lr.Linear(0.998, 1.0, 100) * 0.1, 100), 0, (lr.Constant(0.1), 100)),
    ("flat-in-bfloat16", (lr.Cosine(1e-3, 0.9995e-3, 1000),), 0, (lr.Cosine(0.1, 0.0, RUN), 100)),
    ("jump", (lr.Piecewise([500], [0.1, 0.009]), 1000), 500, (lr.Piecewise([500], [0.1, 0.01]), 1000)),
    ("jump", (lr.Piecewise([500], [0.009, 0.1]), 1000), 500, (lr.Piecewise([500], [0.01, 0.1]), 1000)),
    ("jump", (lr.Cycle(lr.Linear(0.001, 0.1, 100), 100), 500), 100, (lr.sgdr(0.1, 0.001, 100), 500)),
    ("jump", (lr.Cycle(lr.Linear(0.001, 0.1, 10), 10), RUN), 10, (lr.sgdr(0.1, 0.001, 10), RUN)),
    ("jump", (lr.ExponentialDecay(0.1, 0.05) + 1e-4, 100), 1, (lr.ExponentialDecay(0.1, 0.2) + 1e-4, 100)),
    ("jump", (lr.Sequence([(lr.sgdr(0.1, 0.001, 100), 500), lr.Constant(0.1)]), 900), 500,
     (lr.Sequence([(lr.sgdr(0.1, 0.001, 100), 500), lr.Constant(0.002)]), 900)),
    ("spike", (table_with(at500=0.4), 1000), 500, (table_with(at500=0.15), 1000)),
    ("spike", (table_with(at500=0.04), 1000), 500, (table_with(at500=0.4, at501=0.4), 1000)),
    ("spike", (lr.Table([0.1] * 50_000 + [5.0] + [0.1] * 50_000),), 50_000,
     (lr.triangular(0.1, 0.3, 1), 100)),
    ("uneven-join", (lr.Sequence([(lr.Linear(0.01, 0.1, 100), 100), lr.Cosine(0.07, 0.0, 900)]),), 100,
     (lr.Sequence([(lr.Linear(0.01, 0.1, 100), 100), lr.Cosine(0.099, 0.0, 900)]),)),
    ("peak-not-reached", (lr.warmup_cosine(0.1, 0.0, 5000, RUN, init_value=0.01), 3000), 5000,
     (lr.warmup_cosine(0.1, 0.0, 3000, RUN, init_value=0.01), 3000)),
    ("peak-not-reached", (lr.inverse_sqrt(0.1, 5000), 3000), 5000, (lr.inverse_sqrt(0.1, 2999), 3000)),
    ("long-warmup", (lr.warmup_cosine(0.1, 0.0, 510, 1000),), 510, (lr.warmup_cosine(0.1, 0.0, 490, 1000),)),
    ("long-warmup", (lr.warmup_cosine(0.1, 0.0, 510, 1000),), 510, (lr.Exponential(1e-6, 1.0, 1000),)),
    ("long-warmup", (lr.Linear(0.0, 0.1, 1000),), 999, (lr.Exponential(1e-7, 1.0, 1000),)),
    ("long-warmup", (lr.Constant(0.1).warmup(1000), 1000), 999, (lr.Constant(0.1).warmup(100), 1000)),
    ("end-not-reached", (lr.Cosine(0.1, 0.0, 1500), 1000), 1000, (lr.Cosine(0.1, 0.0, 1010), 1000)),
    ("held-constant", (lr.Cosine(0.1, 0.01, 450), 1000), 450, (lr.Cosine(0.1, 0.01, 550), 1000)),
    ("held-constant", (lr.Cosine(0.1, 0.01, 450), 1000), 450, (lr.Linear(0.01, 0.1, 100), 1000)),
    ("held-constant", (lr.Cosine(0.1, 0.0, 1000).clip(min=0.09), 1000), 205, (lr.Constant(0.1).warmup(100), 1000)),
    ("held-constant", (lr.Cosine(0.1, 0.0, 1000).clip(min=0.09),), 205, (lr.wsd(0.1, 50, 1000, 200), 1000)),
    ("held-constant", (lr.Linear(0.1, 0.08, 300), 1000), 300, (lr.Piecewise([300], [0.1, 0.08]), 1000)),
    ("horizon-mismatch", (lr.Table(lr.Linear(0.1, 0.01, 250).table(251)), 1000), None,
     (lr.Sequence([(lr.Constant(0.1), 500), (lr.Constant(1.0), 1), lr.Constant(0.1)]), 1000)),
    ("horizon-mismatch", (lr.Cosine(0.1, 0.0, 8000), 1000), None, (lr.Cosine(0.1, 0.0, 8300), 1000)),
    ("horizon-mismatch", (lr.Cosine(0.1, 0.01, 250), 1000), None, (lr.Cosine(0.1, 0.01, 290), 1000)),
    ("horizon-mismatch", (lr.Cosine(0.1, 0.01, 250), 1000), None,
     (lr.Piecewise([100, 250], [0.1, 0.01, 0.001]), 1000)),
    ("uneven-horizon", (lr.warmup_cosine(0.1, 0.001, 333, 9990), 10_000), 9990,
     (lr.warmup_cosine(0.1, 0.001, 333, 9999), 10_000)),
    ("epoch-numbers", (lr.Cosine(0.1, 0.001, 90), 45_000), None, (lr.Cosine(0.1, 0.001, 45_000), 45_000)),
    ("epoch-numbers", (lr.step_decay(0.1, 0.1, 30), 45_000), None, (lr.step_decay(0.1, 0.1, 15_000), 45_000)),
    ("epoch-numbers", (lr.sgdr(0.1, 0.001, 10), 45_000), None, (lr.sgdr(0.1, 0.001, 1000), 45_000)),
    ("epoch-numbers", (lr.Piecewise([30, 60], [0.1, 0.01, 0.001]), 45_000), None, (lr.noam(512, 400), 45_000)),
    ("growth", (lr.ExponentialDecay(0.001, 1.1, 10), 100), 100,
     (lr.ExponentialDecay(0.001, 1.1, 10).clip(max=0.1), 100)),
    ("restart-at-end", (lr.sgdr(0.1, 0.001, 100), 501), 500, (lr.sgdr(0.1, 0.001, 100), 500)),
    ("restart-at-end", (lr.sgdr(0.1, 0.001, 100, 2), 705), 700, (lr.sgdr(0.1, 0.001, 100, 2), 700)),
    ("restart-at-end", (lr.sgdr(0.1, 0.001, 10), 100_001), 100_000, (lr.sgdr(0.1, 0.001, 10), 100_000)),
    ("last-cycle-cut", (lr.sgdr(0.1, 0.001, 100, 2), 1000), 700, (lr.sgdr(0.1, 0.001, 100, 2), 1480)),
    ("last-cycle-cut", (lr.triangular(0.01, 0.1, 50), 550), 500, (lr.triangular(0.01, 0.1, 50), 600)),
    ("unreachable-phase", (lr.Linear(0.01, 0.1, 500) >> lr.Cosine(0.1, 0.0, 500), 400), 500,
     (lr.Linear(0.01, 0.1, 500) >> lr.Cosine(0.1, 0.0, 500), 501)),
    ("unreachable-phase", (lr.Sequence([(0.1, 10), (0.2, 0), 0.1]), 20), 10,
     (lr.Sequence([(0.1, 10), (0.2, 1), 0.1]), 20)),
    ("unreachable-phase", (lr.Piecewise([30, 60], [0.1, 0.05, 0.01]), 60), 60,
     (lr.Piecewise([30, 59], [0.1, 0.05, 0.01]), 60)),
    ("unreachable-phase", (flat_then(lr.Piecewise([1000], [0.1, 0.05])), 6000), 6000,
     (flat_then(lr.Piecewise([999], [0.1, 0.05])), 6000)),
    ("cut-phase", (lr.Sequence([(lr.Cosine(0.1, 0.0, 900), 500), 0.01]), 1000), None,
     (lr.Sequence([(lr.Cosine(0.1, 0.0, 500), 500), 0.01]), 1000)),
    ("cut-phase", (lr.Cycle(lr.Cosine(0.1, 0.0, 200), 100), 500), None, (lr.Cycle(lr.Cosine(0.1, 0.0, 100), 100), 500)),
    ("late-boundary", (lr.Piecewise([500], [0.1, 0.02], side="left"), 1000), 501,
     (lr.Piecewise([499], [0.1, 0.02], side="left"), 1000)),
    ("quirk", (torch.CosineAnnealingLR(0.1, 100, strict=True), 100), None, (torch.CosineAnnealingLR(0.1, 100), 100)),
    ("unknown-origin", (converted("torch.NewLR"), 100), None, (converted("torch.CosineAnnealingLR"), 100)),
]  # fmt: skip


def names(found):
    return [finding.name for finding in found]


@pytest.mark.parametrize(
    ("name", "bad", "step", "near"), CASES, ids=[f"{case[0]}: {case[1][0]!r:.60}" for case in CASES]
)
def test_a_rule_fires_and_nearly_fires(name, bad, step, near):
    found = [finding for finding in lint(*bad) if finding.name == name]
    assert len(found) == 1
    assert step is None or found[0].step == step
    assert found[0].reason
    assert found[0].cure
    assert name not in names(lint(*near))


def test_every_rule_has_a_case():
    assert {case[0] for case in CASES} == set(RULES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_documented_and_named_like_the_others(name):
    assert inspect.getdoc(RULES[name]).endswith(".")
    assert name == name.lower().replace(" ", "-")


def test_epochs_known_tell_more():
    schedule = lr.Cosine(0.1, 0.001, 90)
    assert "epoch-numbers" in names(lint(schedule, 9000, steps_per_epoch=100))
    assert "epoch-numbers" not in names(lint(schedule, 9000, steps_per_epoch=9))
    constant = lr.Linear(0.01, 0.1, 90)
    assert "epoch-numbers" in names(lint(constant, 9000, steps_per_epoch=100))
    assert "epoch-numbers" not in names(lint(constant, 9000))


def test_epochs_known_tell_a_late_boundary():
    schedule = lr.Piecewise([128, 256], [0.1, 0.02, 0.004], side="left")
    assert lint(schedule, 400) == ()
    assert names(lint(schedule, 400, steps_per_epoch=64)) == ["late-boundary"]


@pytest.mark.parametrize("schedule", [lr.sgdr(0.1, 0.001, 7), lr.sgdr(0.1, 0.001, 7, 2), lr.Noise(1), lr.noam(4, 4)])
def test_the_longest_run_there_is_can_be_checked(schedule):
    lint(schedule, 2**53 - 1)


def test_the_factor_of_a_jump_is_the_users():
    schedule = lr.Piecewise([500], [0.1, 0.03]), 1000
    assert lint(*schedule) == ()
    assert names(lint(*schedule, jump=3.0)) == ["jump"]


@pytest.mark.parametrize("schedule", [lr.Linear(0.0, -0.1, 100), lr.Linear(-0.1, 0.0, 100), lr.Constant(-0.1)])
def test_a_peak_that_is_not_above_0(schedule):
    """A share of it would say nothing."""
    found = lint(schedule, 10)
    assert "negative-value" in names(found)
    assert "of its peak" not in str(found)


def test_warm_up_waits_at_0():
    found = lint(lr.warmup_cosine(0.1, 0.0, 100, 1000).shift(-3), 1003)
    assert found[0].reason == "the first 4 updates have a learning rate of 0: no weight moves"


GOOD = [
    (lr.warmup_cosine(0.1, 1e-5, 5000, RUN, init_value=1e-4), RUN),
    (lr.warmup_cosine(0.4, 0.0, 5, 90, init_value=0.08).stretch(100), 9000),
    (lr.warmup_cosine(0.1, 0.0, 2, 10**7, init_value=0.01), 10**7),
    (lr.warmup_cosine(0.1, 1e-5, 5000, RUN, init_value=1e-4) * lr.step_decay(1.0, 0.5, 30_000), RUN),
    (lr.Cosine(0.1, 0.0, RUN), RUN),
    (lr.Cosine(0.1, 1e-5, RUN - 1), RUN),
    (lr.Cosine(0.1, 0.0, 5), 5),
    (lr.Cosine(3e-4, 3e-5, 90).warmup(10, 1e-5), 100),
    (lr.Cosine(0.1, 0.0, RUN).staircase(100), RUN),
    (lr.Cosine(0.1, 0.0, RUN).staircase(1000), RUN),
    (lr.one_cycle(0.1, RUN), RUN),
    (lr.one_cycle(0.1, RUN, three_phase=True, curve="linear"), RUN),
    (lr.wsd(0.1, 1000, RUN, 10_000, init_value=1e-4), RUN),
    (lr.wsd(0.1, 1000, RUN, 10_000, end_value=1e-3, init_value=1e-4, curve="exponential"), RUN),
    (lr.noam(512, 4000).shift(1), RUN),
    (lr.noam(512, 400).shift(1), RUN),
    (lr.inverse_sqrt(0.1, 4000, init_value=1e-4), RUN),
    (lr.Piecewise([30_000, 60_000, 80_000], [0.1, 0.01, 0.001, 0.0001]), 90_000),
    (lr.Piecewise([30_000, 60_000], [0.1, 0.01, 0.001]), 120_000),
    (lr.Piecewise([30_000, 60_000, 89_000], [0.1, 0.01, 0.001, 0.0001]), 90_000),
    (lr.step_decay(0.1, 0.1, 30_000), 90_000),
    (lr.step_decay(0.1, 0.97, 1000), RUN),
    (lr.sgdr(0.1, 1e-4, 1000, 2), 1000 * (2**6 - 1)),
    (lr.sgdr(0.1, 1e-4, 10_000), RUN),
    (lr.sgdr(0.1, 1e-4, 10_000, value_mult=0.8), RUN),
    (lr.sgdr(0.1, 0.0, 1000), 10**7),
    (lr.triangular(0.001, 0.006, 2000), 40_000),
    (lr.triangular(0.001, 0.006, 2000, mode="triangular2"), 40_000),
    (lr.triangular(0.001, 0.006, 2000, mode="exp_range", decay_rate=0.99994), 40_000),
    (lr.cyclic_polynomial(0.1, 0.0, 10_000, 0.9), RUN),
    (lr.Constant(0.1), RUN),
    (lr.Constant(0.1), 1),
    (lr.Linear(1e-4, 0.1, 1000) >> lr.Constant(0.1), RUN),
    (lr.Linear(0.1, 0.0, RUN), RUN),
    (lr.Linear(0.1, 1e-3, 3), 3),
    (lr.Polynomial(0.1, 1e-4, RUN, 0.9), RUN),
    (lr.Polynomial(0.1, 0.0, RUN, 2.0), RUN),
    (lr.Exponential(1e-7, 1.0, 1000), 1000),
    (lr.ExponentialDecay(0.1, 0.95, 1000).clip(min=1e-5), RUN),
    (lr.NaturalExpDecay(0.1, 0.5, 30_000), RUN),
    (lr.InverseTimeDecay(0.1, 0.5, 1000), RUN),
    (lr.Interpolate([(0, 0.01), (5000, 0.1), (RUN, 0.001)]), RUN),
    (lr.Table(lr.Cosine(0.1, 0.0, 1000).table(1000)), 1000),
    (0.1 * lr.Cosine(1.0, 0.01, RUN), RUN),
]


@pytest.mark.parametrize(("schedule", "n"), GOOD, ids=repr)
def test_good_schedules_have_no_findings(schedule, n):
    assert lint(schedule, n) == ()


@pytest.mark.parametrize(
    "schedule", [lr.Cosine(0.1, 0.01, 1000), lr.wsd(0.1, 50, 1000, 200, 1e-3, 1e-4), lr.one_cycle(0.1, 1000)], ids=repr
)
def test_the_run_is_as_long_as_the_schedule_unless_said(schedule):
    assert lint(schedule) == lint(schedule, 1000) == ()


@given(schedules(3), st.integers(1, 400), st.sampled_from([None, 1, 7, 100]))
def test_any_schedule_can_be_checked(schedule, n, steps_per_epoch):
    found = lint(schedule, n, steps_per_epoch=steps_per_epoch)
    assert set(names(found)) <= set(NAMES)
    json.dumps([finding.to_dict() for finding in found], allow_nan=False)
    assert all(finding.step is None or isinstance(finding.step, int) for finding in found)


@given(growing(2), st.integers(1, 10**6))
@settings(max_examples=50, deadline=None)
def test_any_schedule_that_grows_can_be_checked(schedule, n):
    lint(schedule, n)


# ---- Many that are alike ----


def alike(steps, reason="part {} has 0 steps", name="a-rule"):
    return [Finding(name, step, reason.format(at), f"cure {at}") for at, step in enumerate(steps)]


def test_a_few_are_told_one_by_one():
    found = alike([3, 5, 7, 9, 11])
    assert folded(found) == tuple(found)


@pytest.mark.parametrize(
    ("steps", "places"),
    [
        ([3, 5, 7, 9, 11, 1300], ", at steps 5, 7, 9, 11, ..."),
        ([3, 3, 3, 5, 1300, 1300], ", at steps 5, 1,300"),
        ([3, 3, 3, 3, 3, 4], ", at step 4"),
        ([3] * 6, ""),
        ([None] * 6, ""),
    ],
)
def test_many_are_one_with_their_count_and_the_next_steps(steps, places):
    (one,) = folded(alike(steps))
    assert one == Finding(
        "a-rule", steps[0], f"part 0 has 0 steps; and 5 more like it{places}", "cure 0", count=len(steps)
    )


def test_only_what_differs_in_numbers_alone_is_alike():
    words = [Finding("a-rule", None, f"lib.{word}, quirk", "") for word in ("A", "B", "C", "D", "E", "F", "G")]
    rules = [Finding(name, 1, "1,000.5 and 2e-05", "") for name in "abcdefg"]
    assert folded(words + rules) == (*words, *rules)
    numbers = [Finding("a", 1, f"from {value:,.6g} to 0", "") for value in (1, 2.5, 1000, 123456, 1e-12, 1e100)]
    assert [finding.count for finding in folded(numbers)] == [6]


def test_one_stands_where_the_first_stood_and_others_keep_their_order():
    many, few = alike(range(7), "part {} is late"), alike(range(2))
    mixed = [few[0], many[0], few[1], *many[1:]]
    assert [(finding.step, finding.count) for finding in folded(mixed)] == [(0, 1), (0, 7), (1, 1)]


def test_parts_without_steps_are_one_finding():
    parts = [(0.1, 5), *[(0.2, 0)] * 20, (0.1, 5), *[(0.2, 0)] * 30, lr.Linear(0.1, 0.01, 50)]
    found = lint(lr.Sequence(parts))
    assert [(finding.name, finding.step, finding.count) for finding in found] == [("unreachable-phase", 5, 50)]
    assert found[0].reason == "part 1 of the sequence has 0 steps; and 49 more like it, at step 10"


def test_cycles_that_are_listed_one_by_one_are_told_once():
    """Ignite's of a cycle_mult that is not whole: each is a sequence, and the run has ten of them."""
    found = lint(ignite.LinearCyclicalScheduler(1.0, 0.0, 10, cycle_mult=1.5), 1000)
    assert names(found) == ["unreachable-phase"]


# ---- How findings are shown ----


def test_findings_are_shown():
    found = lint(lr.Piecewise([500], [0.1, 0.0001]), 1000)
    assert isinstance(found, tuple)
    assert str(found) == (
        "jump at step 500: the learning rate goes from 0.1 to 0.0001 in one update, a factor of 1e+03\n"
        "    let the phases meet at one value, or put a Linear between them"
    )
    assert found[0].to_dict() == {
        "name": "jump",
        "step": 500,
        "reason": "the learning rate goes from 0.1 to 0.0001 in one update, a factor of 1e+03",
        "cure": "let the phases meet at one value, or put a Linear between them",
        "count": 1,
    }


def test_no_findings_say_so():
    assert str(Findings()) == "nothing found"
    assert Findings()._repr_html_() == "<p>nothing found</p>"


def test_findings_in_a_notebook_are_escaped():
    shown = Findings([Finding("jump", 1000, "<b>", "a & b")])._repr_html_()
    assert '<th scope="row">jump</th><td>1,000</td><td>&lt;b&gt;</td><td>a &amp; b</td>' in shown
    assert Finding("jump", None, "", "")._repr_html_().count("<td></td>") == 3


def test_findings_in_a_terminal():
    console = pytest.importorskip("rich.console").Console(width=200)
    with console.capture() as capture:
        console.print(Findings([Finding("jump", 1000, "[bold]reason", "cure")]))
        console.print(Findings())
    assert capture.get().split("\n")[:3] == ["jump at step 1,000: [bold]reason", "    cure", "nothing found"]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0.1,), {}, TypeError, r"schedule: expected a schedule, got 0\.1"),
        ((lr.noam(4, 4),), {}, TypeError, "n: expected the updates of the run, for this schedule never ends"),
        ((lr.noam(4, 4), 0), {}, ValueError, "n: expected a whole number of updates, an int >= 1, got 0"),
        ((lr.noam(4, 4), 9), {"jump": 1.0}, ValueError, r"jump: expected a factor > 1, got 1\.0"),
        ((lr.noam(4, 4), 9), {"jump": "2"}, TypeError, "jump: expected a number, got '2'"),
        ((lr.noam(4, 4), 9), {"steps_per_epoch": 0}, ValueError, "steps_per_epoch: expected a whole number"),
        ((lr.Linear(1.0, 0.0, "2ep"), 5), {}, lr.UnboundError, "steps_per_epoch"),
    ],
)
def test_refusals(arguments, options, error, message):
    with pytest.raises(error, match=message):
        lint(*arguments, **options)


@pytest.mark.parametrize(
    "schedule",
    [
        lr.Piecewise([30, 60], [0.1, 0.05, 0.01]),
        lr.Sequence([(lr.Linear(0.01, 0.1, 10), 10), (lr.Linear(0.1, 0.01, 20), 20), 0.01]),
    ],
)
def test_what_stands_past_the_end_is_no_phase_that_the_run_misses(schedule):
    assert "unreachable-phase" not in {finding.name for finding in lint(schedule)}
