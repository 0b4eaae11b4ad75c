"""lrcore.adopt: live objects become schedules that do what the objects go on to do, and stay as they are."""

import functools
import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from live import goes_on, optimizer, snapshot, step

import lrcore as lr
from lrcore.bindings.torch import Scheduler
from lrcore.dialects import torch as in_torch

S = torch.optim.lr_scheduler
SWALR = torch.optim.swa_utils.SWALR


def in_order(optimizer):
    return S.SequentialLR(
        optimizer,
        [S.LinearLR(optimizer, 0.1, total_iters=4), S.StepLR(optimizer, 3), S.CosineAnnealingLR(optimizer, 60)],
        [4, 9],
    )


def side_by_side(optimizer):
    held = S.ConstantLR(optimizer, 0.1, 5)
    return S.ChainedScheduler([held, S.ExponentialLR(optimizer, 0.9), S.StepLR(optimizer, 7)])


def averaged_at_last(optimizer):
    return S.SequentialLR(optimizer, [S.ExponentialLR(optimizer, 0.9), SWALR(optimizer, 0.01, 6)], [8])


def multiplied_at_last(optimizer):
    halving = S.MultiplicativeLR(optimizer, lr.Constant(0.5))
    return S.SequentialLR(optimizer, [S.LinearLR(optimizer, 0.5, total_iters=8), halving], [8])


def one_cycle(optimizer, **arguments):
    return S.OneCycleLR(optimizer, [0.5, 1.0], 61, **arguments)


# What is read of each class, for the group of learning rate b.
TORCH = {
    "StepLR": (lambda o: S.StepLR(o, 5), lambda b: in_torch.StepLR(b, 5)),
    "MultiStepLR": (lambda o: S.MultiStepLR(o, [9, 3, 3]), lambda b: in_torch.MultiStepLR(b, [3, 3, 9])),
    "ConstantLR": (lambda o: S.ConstantLR(o, 0.5, 9), lambda b: in_torch.ConstantLR(b, 0.5, 9)),
    "LinearLR": (lambda o: S.LinearLR(o, 0.25, 0.5, 9), lambda b: in_torch.LinearLR(b, 0.25, 0.5, 9)),
    "ExponentialLR": (lambda o: S.ExponentialLR(o, 0.9), lambda b: in_torch.ExponentialLR(b, 0.9)),
    "PolynomialLR": (lambda o: S.PolynomialLR(o, 9, 2.0), lambda b: in_torch.PolynomialLR(b, 9, 2.0)),
    "CosineAnnealingLR": (
        lambda o: S.CosineAnnealingLR(o, 60.0, 0.01),
        lambda b: in_torch.CosineAnnealingLR(b, 60, 0.01),
    ),
    "CosineAnnealingWarmRestarts": (
        lambda o: S.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
        lambda b: in_torch.CosineAnnealingWarmRestarts(b, 3, 2, 0.01),
    ),
    "CyclicLR": (
        lambda o: S.CyclicLR(o, [0.1, 0.2], [0.5, 1.0], 3, 5, "exp_range", 0.99),
        lambda b: in_torch.CyclicLR(b, 5 * b, 3, 5, "exp_range", 0.99),
    ),
    "OneCycleLR": (one_cycle, lambda b: in_torch.OneCycleLR(5 * b, 61)),
    "OneCycleLR, linear": (
        functools.partial(one_cycle, anneal_strategy="linear", three_phase=True, pct_start=0.23, div_factor=7.0),
        lambda b: in_torch.OneCycleLR(
            5 * b, 61, pct_start=0.23, anneal_strategy="linear", div_factor=7.0, three_phase=True
        ),
    ),
    "SWALR": (lambda o: SWALR(o, [0.05, 0.1], 9, "linear"), lambda b: in_torch.SWALR(b, b / 2, 9, "linear")),
    "LambdaLR": (
        lambda o: S.LambdaLR(o, lr.Linear(0.0, 1.0, 9)),
        lambda b: in_torch.LambdaLR(b, lr.Linear(0.0, 1.0, 9)),
    ),
    "SequentialLR": (
        in_order,
        lambda b: in_torch.SequentialLR(
            [in_torch.LinearLR(b, 0.1, total_iters=4), in_torch.StepLR(b, 3), in_torch.CosineAnnealingLR(b, 60)], [4, 9]
        ),
    ),
    "ChainedScheduler": (
        side_by_side,
        lambda b: in_torch.ChainedScheduler(
            b, [in_torch.ConstantLR(b, 0.1, 5), in_torch.ExponentialLR(b, 0.9), in_torch.StepLR(b, 7)]
        ),
    ),
}


@pytest.mark.parametrize("done", [0, 1, 7, 50])
@pytest.mark.parametrize("name", TORCH)
def test_every_class_of_torch(name, done):
    make, expected = TORCH[name]
    scheduler = step(make(optimizer(0.1, 0.2)), done)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler, 61)
    assert snapshot(scheduler) == before
    assert adopted.schedules == (expected(0.1), expected(0.2))
    assert (adopted.position, adopted.verified, adopted.notes) == (done, range(done, 61), ())
    ours = np.column_stack([schedule.table(61 - done, start=done) for schedule in adopted.schedules])
    assert ours == pytest.approx(goes_on(scheduler, 61 - done), rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("done", [0, 5, 12])
@pytest.mark.parametrize("make", [averaged_at_last, multiplied_at_last])
def test_what_goes_on_from_the_rate_of_the_moment(make, done):
    scheduler = step(make(optimizer(0.1, 0.2)), done)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler, 30)
    assert snapshot(scheduler) == before
    assert not adopted.notes
    ours = np.column_stack([schedule.table(30 - done, start=done) for schedule in adopted.schedules])
    assert ours == pytest.approx(goes_on(scheduler, 30 - done), rel=1e-12)


parts = st.lists(
    st.one_of(
        st.tuples(st.just("StepLR"), st.fixed_dictionaries({"step_size": st.integers(1, 9)})),
        st.tuples(st.just("LinearLR"), st.fixed_dictionaries({"total_iters": st.integers(1, 9)})),
        st.tuples(st.just("ExponentialLR"), st.fixed_dictionaries({"gamma": st.floats(0.5, 1.0)})),
        st.tuples(st.just("PolynomialLR"), st.fixed_dictionaries({"total_iters": st.integers(1, 9)})),
        st.tuples(st.just("CosineAnnealingLR"), st.fixed_dictionaries({"T_max": st.integers(1, 9)})),
        st.tuples(st.just("CosineAnnealingWarmRestarts"), st.fixed_dictionaries({"T_0": st.integers(1, 9)})),
        st.tuples(st.just("OneCycleLR"), st.just({"max_lr": 1.0, "total_steps": 50})),
        st.tuples(st.just("LambdaLR"), st.just({"lr_lambda": lambda t: 1 / (1 + t)})),
        st.tuples(st.just("MultiplicativeLR"), st.just({"lr_lambda": lambda t: 0.9 if t % 2 else 1.0})),
        st.tuples(st.just("SWALR"), st.just({"swa_lr": 0.02, "anneal_epochs": 5})),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(parts, st.booleans(), st.integers(0, 30), st.data())
def test_any_composition_goes_on_as_the_object_does(listed, in_sequence, done, data):
    """Whatever torch makes of it: the schedules, or the tables, are what the object does next."""
    o = optimizer(0.1, 0.2)
    made = [getattr(S, name, SWALR)(o, **arguments) for name, arguments in listed]
    count = len(made) - 1
    places = st.lists(st.integers(1, 35), min_size=count, max_size=count, unique=True).map(sorted)
    scheduler = S.SequentialLR(o, made, data.draw(places)) if in_sequence else S.ChainedScheduler(made)
    step(scheduler, done)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler, 40)
    assert snapshot(scheduler) == before
    ours = np.column_stack([schedule.table(40 - done, start=done) for schedule in adopted.schedules])
    assert ours == pytest.approx(goes_on(scheduler, 40 - done), rel=1e-9, abs=1e-11)


def test_the_binding_of_lrcore():
    """Its schedule is the one that it was given."""
    schedule = lr.Linear(0.0, 0.1, 5) >> lr.Cosine(0.1, 0.0, 20)
    scheduler = step(Scheduler(optimizer(0.1, 0.2), schedule), 7)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler)
    assert snapshot(scheduler) == before
    assert (adopted.schedule, adopted.position, adopted.notes) == (schedule, 7, ())


def test_schedulers_of_lrcore_that_multiply_are_refused():
    driven = optimizer(0.1)
    first, second = Scheduler(driven, 0.5), Scheduler(driven, 0.1)
    for scheduler in (first, second):
        with pytest.raises(lr.AdoptError, match="its values are multiplied by another Scheduler's"):
            lr.adopt(scheduler, 5)


def test_after_a_resume():
    first = step(S.SequentialLR(o := optimizer(0.1, 0.2), [S.LinearLR(o), S.CosineAnnealingLR(o, 20)], [5]), 9)
    again = S.SequentialLR(o := optimizer(0.1, 0.2), [S.LinearLR(o), S.CosineAnnealingLR(o, 20)], [5])
    again.load_state_dict(first.state_dict())
    assert "first at update 9" in lr.adopt(again).notes[0]  # the optimizer's state is still a new one
    again.optimizer.load_state_dict(first.optimizer.state_dict())
    assert lr.adopt(again) == lr.adopt(first)


def test_averaging_that_began_after_another_scheduler():
    """SWALR finds the learning rate that the other one left, and adopt finds that out."""
    o = optimizer(0.1, 0.2)
    other, averaging = S.ExponentialLR(o, 0.5), SWALR(o, 0.01, 10)
    step(other, 3)
    step(averaging, 4)
    adopted = lr.adopt(averaging)
    assert not adopted.notes
    for schedule, left in zip(adopted.schedules, (0.0125, 0.025), strict=True):
        assert schedule.table(11) == pytest.approx(in_torch.SWALR(left, 0.01, 10).table(11), rel=1e-12)


def test_without_n_the_run_is_what_was_read():
    assert lr.adopt(S.LinearLR(optimizer(), total_iters=9)).verified == range(10)
    assert lr.adopt(S.ExponentialLR(optimizer(), 0.9)).verified == range(1000)
    assert lr.adopt(step(S.LinearLR(optimizer(), total_iters=9), 20)).verified == range(20, 30)
    assert lr.adopt(step(S.LinearLR(optimizer(), total_iters=0), 20)).verified == range(20, 1021)


def test_a_long_run_is_compared_in_part(monkeypatch):
    monkeypatch.setattr("lrcore.adoption.MOST", 3000)
    adopted = lr.adopt(S.CosineAnnealingLR(optimizer(0.1, 0.2), 2000))
    assert adopted.verified == range(1500)
    assert adopted.notes == ("compared over 1500 updates of 2001: n=2001 compares all",)
    assert lr.adopt(S.CosineAnnealingLR(optimizer(), 2000), 1700).verified == range(1700)


def test_one_schedule_for_all_groups():
    assert lr.adopt(S.StepLR(optimizer(0.1, 0.1), 5)).schedule == in_torch.StepLR(0.1, 5)
    with pytest.raises(lr.AdoptError, match=r"Adopted\.schedule: expected one for all groups, got 2: see schedules"):
        _ = lr.adopt(S.StepLR(optimizer(0.1, 0.2), 5)).schedule


def test_other_optimizers():
    for kind in (torch.optim.AdamW, torch.optim.Adagrad, torch.optim.RMSprop):
        scheduler = step(S.StepLR(optimizer(0.1, 0.2, kind=kind), 5), 3)
        assert lr.adopt(scheduler).schedules == (in_torch.StepLR(0.1, 5), in_torch.StepLR(0.2, 5))


# ---- Quirks, and what has no closed form ----


def test_past_its_end_the_quirk_is_adopted_too():
    adopted = lr.adopt(step(S.CosineAnnealingLR(optimizer(), 10), 15))
    assert adopted.schedule == in_torch.CosineAnnealingLR(0.1, 10, strict=True)
    assert adopted.schedule.origin.strict
    assert [note.partition(":")[0] for note in adopted.notes] == ["strict"]
    assert lr.adopt(S.CosineAnnealingLR(optimizer(), 10)).schedule == lr.Cosine(0.1, 0.0, 10)
    assert lr.adopt(S.LinearLR(optimizer(), 0.25, total_iters=0), 5).schedule == lr.Constant(0.025)


@pytest.mark.parametrize("done", [10, 12, 20, 30])
def test_a_finished_run_is_compared_over_another(done):
    """At update 10 and 30 torch's cosine is at its end, and about to rise again."""
    scheduler = step(S.CosineAnnealingLR(optimizer(), 10), done)
    adopted = lr.adopt(scheduler)
    assert adopted.schedule == in_torch.CosineAnnealingLR(0.1, 10, strict=True)
    assert adopted.verified == range(done, done + 11)
    assert adopted.schedule.table(25, start=done) == pytest.approx(goes_on(scheduler, 25)[:, 0], rel=1e-6, abs=1e-15)


def test_a_quirk_within_a_sequence():
    o = optimizer()
    scheduler = S.SequentialLR(o, [S.LinearLR(o, 0.5, total_iters=4), S.CosineAnnealingLR(o, 10)], [4])
    adopted = lr.adopt(scheduler, 30)
    assert adopted.notes == (f"strict: {in_torch.RISES_AGAIN.what}",)
    assert adopted.schedule.table(30) == pytest.approx(goes_on(scheduler, 30)[:, 0], rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("done", [0, 7])
def test_a_lambda_becomes_a_table(done):
    scheduler = step(S.LambdaLR(optimizer(0.1, 0.2), [lambda t: 0.9**t, lambda t: 1 / (1 + t)]), done)
    adopted = lr.adopt(scheduler, 20)
    assert adopted.notes == (
        "group 0: the function of LambdaLR became a Table over 20 updates",
        "group 1: the function of LambdaLR became a Table over 20 updates",
    )
    assert adopted.schedules[0] == 0.1 * lr.Table([0.9**t for t in range(20)])
    assert adopted.schedules[1] == 0.2 * lr.Table([1 / (1 + t) for t in range(20)])


def test_a_lambda_within_a_sequence_is_as_long_as_its_part():
    o = optimizer()
    scheduler = S.SequentialLR(o, [S.LambdaLR(o, lambda t: (t + 1) / 5), S.CosineAnnealingLR(o, 10)], [5])
    adopted = lr.adopt(scheduler)
    assert adopted.notes == ("the function of LambdaLR became a Table over 5 updates",)
    assert adopted.verified == range(16)
    assert adopted.schedule.table(6).tolist() == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])


def test_multiplied_factors_become_a_table():
    adopted = lr.adopt(S.MultiplicativeLR(optimizer(), lambda t: 0.5 if t % 2 else 1.0), 6)
    assert adopted.schedule.table(6).tolist() == [0.1, 0.05, 0.05, 0.025, 0.025, 0.0125]
    assert adopted.notes == ("the function of MultiplicativeLR became a Table over 6 updates",)


class Halving(S.LRScheduler):
    def get_lr(self):
        return [base * 0.5**self.last_epoch for base in self.base_lrs]


class Slower(S.StepLR):
    """A name of its own, and a rule of its own."""

    def get_lr(self):
        return [base / (1 + self.last_epoch) for base in self.base_lrs]


RULES = [
    (Halving, lambda t: 0.5**t, "Halving is no class of torch itself"),
    (
        lambda o: Slower(o, 5),
        lambda t: 1 / (1 + t),
        "Slower differs from what was read of it, first at update 2 (0.1, the object has 0.03333333333333333)",
    ),
]


@pytest.mark.parametrize(("make", "rule", "why"), RULES)
def test_a_class_of_the_user_is_stepped(make, rule, why):
    scheduler = step(make(optimizer()), 2)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler, 6)
    assert snapshot(scheduler) == before
    assert adopted.notes == (
        f"{why}: a Table over 6 updates, of which those before update 2 are not known and have its value",
    )
    assert adopted.schedule.table(6) == pytest.approx([0.1 * rule(max(t, 2)) for t in range(6)])


class OwnCosine(S.CosineAnnealingLR):
    """A name of its own alone."""


class OwnSequence(S.SequentialLR):
    """As above."""


def test_a_class_of_the_user_that_does_as_its_parent_is_read():
    o = optimizer()
    assert lr.adopt(OwnCosine(o, 10)) == lr.adopt(S.CosineAnnealingLR(optimizer(), 10))
    adopted = lr.adopt(OwnSequence(o := optimizer(), [S.LinearLR(o, 0.5), OwnCosine(o, 10)], [5]))
    assert adopted.schedule == in_torch.SequentialLR(
        [in_torch.LinearLR(0.1, 0.5), in_torch.CosineAnnealingLR(0.1, 10)], [5]
    )
    assert not adopted.notes


def test_a_learning_rate_that_was_changed_by_hand():
    scheduler = step(S.ExponentialLR(optimizer(), 0.5), 2)
    scheduler.optimizer.param_groups[0]["lr"] = 1.0
    adopted = lr.adopt(scheduler, 5)
    assert adopted.schedule.table(5).tolist() == [1.0, 1.0, 1.0, 0.5, 0.25]
    assert adopted.notes[0].startswith("ExponentialLR differs from what was read of it, first at update 2 (0.025, the")
    with pytest.raises(lr.AdoptError, match=r"adopt\.n: expected for how many .*, got None: ExponentialLR differs"):
        lr.adopt(scheduler)


def test_a_scale_function_of_its_own():
    scheduler = S.CyclicLR(optimizer(), 0.1, 1.0, 4, scale_fn=lambda cycle: 1 / cycle, mode="own")
    adopted = lr.adopt(scheduler, 12)
    assert adopted.notes == ("CyclicLR has a scale_fn of its own: a Table over 12 updates",)
    assert adopted.schedule.table(12) == pytest.approx(goes_on(scheduler, 12)[:, 0])


def test_an_object_that_raises_is_compared_up_to_there():
    adopted = lr.adopt(S.OneCycleLR(optimizer(), 1.0, 10), 20)
    assert adopted.verified == range(11)
    assert adopted.notes[0].startswith("the object itself raises at update 11, ValueError('Tried to step 11 times")
    assert adopted.schedule == in_torch.OneCycleLR(1.0, 10, strict=True)


@pytest.mark.parametrize("done", [0, 3])
@pytest.mark.parametrize(
    "make", [lambda o: S.StepLR(o, 2, 0.5), lambda o: S.MultiStepLR(o, [2, 5], 0.5), lambda o: S.ExponentialLR(o, 0.9)]
)
def test_a_group_that_came_later_goes_on_from_its_own_rate(make, done):
    """torch never knew its first learning rate, and goes on from the one that it has."""
    scheduler = with_a_new_group(lambda o: step(make(o), done))
    adopted = lr.adopt(scheduler, 9)
    assert not adopted.notes
    ours = np.column_stack([schedule.table(9 - done, start=done) for schedule in adopted.schedules])
    assert adopted.schedules[1](done) == pytest.approx(0.1)
    assert ours == pytest.approx(goes_on(scheduler, 9 - done), rel=1e-12)


# ---- Untouched ----


def test_functions_with_a_memory_keep_theirs():
    """A closure, a default argument, an attribute, an object and a partial that count how often they are called."""
    calls = []

    def closed(t):
        calls.append(t)
        return 0.9**t

    def default(t, seen=[]):  # noqa: B006
        seen.append(t)
        return 0.9**t

    def attribute(t):
        attribute.calls = attribute.calls + 1
        return 0.9**t

    attribute.calls = 0

    class Counting:
        def __init__(self):
            self.count = 0

        def __call__(self, t):
            self.count += 1
            return 0.9**t

    counting = Counting()
    partial = functools.partial(lambda seen, t: seen.append(t) or 0.9**t, [])
    functions = [closed, default, attribute, counting, partial]
    scheduler = S.LambdaLR(optimizer(0.1, 0.2, 0.3, 0.4, 0.5), functions)
    before = (list(calls), list(default.__defaults__[0]), attribute.calls, counting.count, list(partial.args[0]))
    adopted = lr.adopt(scheduler, 20)
    after = (list(calls), list(default.__defaults__[0]), attribute.calls, counting.count, list(partial.args[0]))
    assert before == after
    assert scheduler.lr_lambdas == functions
    for schedule, base in zip(adopted.schedules, (0.1, 0.2, 0.3, 0.4, 0.5), strict=True):
        assert schedule.table(20) == pytest.approx(base * 0.9 ** np.arange(20))


def test_a_function_that_refers_to_itself_and_to_what_cannot_be_copied():
    lock = threading.Lock()

    def factorial(t):
        with lock:
            pass
        return 1.0 if t == 0 else t * factorial(t - 1)

    adopted = lr.adopt(S.LambdaLR(optimizer(), factorial), 5)
    assert adopted.schedule.table(5) == pytest.approx([0.1, 0.1, 0.2, 0.6, 2.4])


def test_a_rate_that_is_a_tensor_stays_where_it_is():
    rate = torch.tensor(0.1)
    scheduler = step(S.ExponentialLR(optimizer(rate), 0.99), 3)
    held, version = scheduler.optimizer.param_groups[0]["lr"], rate._version
    adopted = lr.adopt(scheduler)
    assert scheduler.optimizer.param_groups[0]["lr"] is held
    assert rate._version == version
    assert adopted.schedule == in_torch.ExponentialLR(float(torch.tensor(0.1)), 0.99)
    assert adopted.notes == ("its learning rate is a float32 tensor, and compared as such",)


def test_what_is_refused_is_untouched_too():
    scheduler = step(S.LambdaLR(optimizer(), lambda t: 1.0 if t < 9 else 1 / 0), 3)
    before = snapshot(scheduler)
    with pytest.raises(lr.AdoptError, match=r"the function of LambdaLR raises within 20 updates: ZeroDivisionError"):
        lr.adopt(scheduler, 20)
    assert snapshot(scheduler) == before
    assert lr.adopt(scheduler, 9).verified == range(3, 9)


def test_functions_and_schedules():
    assert lr.adopt(lambda t: 0.1 / (1 + t), 3).schedule == lr.Table([0.1, 0.05, 0.1 / 3])
    assert lr.adopt(lr.Linear(0.0, 1.0, 9)).schedule == lr.Linear(0.0, 1.0, 9)
    calls = []
    lr.adopt(lambda t: calls.append(t) or 0.1, 3)
    assert not calls


# ---- Refused ----


def with_a_lock():
    scheduler = S.StepLR(optimizer(), 5)
    scheduler.lock = threading.Lock()
    return scheduler


def with_a_new_group(make=lambda o: S.LambdaLR(o, lr.Constant(1.0))):
    scheduler = make(optimizer())
    scheduler.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
    return scheduler


@pytest.mark.parametrize(
    ("make", "n", "match"),
    [
        (lambda: S.ReduceLROnPlateau(optimizer()), None, "got ReduceLROnPlateau: it follows a metric"),
        (lambda: S.StepLR, None, "got StepLR: a class, of which an object is wanted"),
        (optimizer, None, r"expected a torch\.optim\.lr_scheduler object, .*, got torch\.optim\.sgd\.SGD"),
        (object, None, r"got builtins\.object"),
        (lambda: "cosine", 5, r"got builtins\.str"),
        (with_a_lock, None, "got StepLR: no copy of it can be made"),
        (
            with_a_new_group,
            5,
            r"LambdaLR cannot be read: group 1 was added later, and it has no .*; and the object raises at update 1",
        ),
        (lambda: S.LambdaLR(optimizer(), lambda _: 1.0), None, "the function of LambdaLR has no closed form"),
        (lambda: lambda _: 0.1, None, "a function has no closed form"),
        (
            lambda: lambda _: math.nan,
            3,
            r"its values are no learning rates: Table\.values\[0\]: expected a finite number",
        ),
        (lambda: lambda t: 1 / (t - 2), 5, r"and the object raises at update 2, ZeroDivisionError"),
        (lambda: lambda t: 1 / t, 5, r"and the object raises at update 0, ZeroDivisionError"),
        (lambda: lambda: 0.1, 5, r"and the object raises at update 0, TypeError"),
    ],
)
def test_refused(make, n, match):
    with pytest.raises(lr.AdoptError, match=match):
        lr.adopt(make(), n)


@pytest.mark.parametrize("n", [0, -1, 2.0, True])
def test_bad_n(n):
    with pytest.raises((TypeError, ValueError), match=r"adopt\.n: expected a number of updates, an int >= 1"):
        lr.adopt(S.StepLR(optimizer(), 5), n)
