"""lrcore.bindings.torch.lr_scheduler beside torch's own classes, in the same process."""

import copy
import doctest
import gc
import importlib
import inspect
import io
import itertools
import math
import pickle
import re
import warnings
import weakref

import pytest
import resume_matrix
import torch
from dropin_runs import CHAINED, UPDATES, assert_same, optimizer_of, rates
from hypothesis import given, settings, strategies as st
from resume_matrix import TORCH

from lrcore.bindings.torch import Scheduler, lr_scheduler as dropins

NAMES = sorted(set(resume_matrix.CASES))
MODULES = ["_dropin", "_dropin_curves", "_dropin_cycles", "_dropin_nested", "_dropin_plateau"]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module):
    found = importlib.import_module(f"lrcore.bindings.torch.{module}")
    assert doctest.testmod(found, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


# ---- The same names ----


def test_every_name_of_torch_is_there():
    assert set(torch.optim.lr_scheduler.__all__) | {"SWALR", "EPOCH_DEPRECATION_WARNING"} == set(dropins.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_torchs_class_and_has_its_signature(name):
    ours, theirs = getattr(dropins, name), getattr(TORCH, name)
    assert issubclass(ours, theirs)
    assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys()
    defaults = [[one.default for one in inspect.signature(kind).parameters.values()] for kind in (ours, theirs)]
    assert defaults[0] == defaults[1]


# ---- The same numbers ----


share = st.floats(0.01, 1.0)
gamma = st.sampled_from([0.1, 0.5, 0.9, 1.0, 1.1])
momentum = {"cycle_momentum": st.booleans(), "base_momentum": st.sampled_from([0.5, [0.6, 0.7]])}


def arguments(**options):
    return st.fixed_dictionaries(options)


FACTORS = {
    "StepLR": arguments(step_size=st.integers(1, 30), gamma=gamma),
    "MultiStepLR": arguments(milestones=st.lists(st.integers(0, 50), max_size=5), gamma=gamma),
    "ConstantLR": arguments(factor=share, total_iters=st.integers(0, 70)),
    "LinearLR": arguments(start_factor=share, end_factor=share, total_iters=st.integers(0, 70) | st.just(12.5)),
    "ExponentialLR": arguments(gamma=gamma),
    "PolynomialLR": arguments(total_iters=st.integers(0, 70), power=st.sampled_from([0.5, 0.9, 1.0, 2.0])),
    "CosineAnnealingLR": arguments(
        T_max=st.integers(1, 70) | st.sampled_from([20.0, 12.5]), eta_min=st.sampled_from([0, 1e-10, 0.01, 0.2])
    ),
    "MultiplicativeLR": arguments(lr_lambda=st.sampled_from([lambda _: 0.9, lambda epoch: 1.0 - 0.5 / (1 + epoch)])),
}
EVERY = FACTORS | {
    "LambdaLR": arguments(lr_lambda=st.sampled_from([lambda epoch: 0.9**epoch, lambda epoch: epoch // 7])),
    "SWALR": arguments(
        swa_lr=st.sampled_from([0.05, 0.1, [0.01, 0.02]]),
        anneal_epochs=st.integers(0, 30),
        anneal_strategy=st.sampled_from(["cos", "linear"]),
    ),
    "CyclicLR": arguments(
        base_lr=st.sampled_from([0.01, [0.1, 0.2]]),
        max_lr=st.sampled_from([0.5, [0.3, 2.0], 5]),
        step_size_up=st.integers(1, 20) | st.just(2.5),
        step_size_down=st.none() | st.integers(1, 20),
        mode=st.sampled_from(["triangular", "triangular2", "exp_range"]),
        gamma=st.just(0.95),
        scale_fn=st.none() | st.just(lambda cycle: 1.0 / (1.0 + cycle)),
        **momentum,
    ),
    "OneCycleLR": arguments(
        max_lr=st.sampled_from([0.5, [0.3, 2.0]]),
        total_steps=st.integers(60, 200),
        pct_start=st.sampled_from([0.1, 0.25, 0.3, 0.5]),
        anneal_strategy=st.sampled_from(["cos", "linear"]),
        three_phase=st.booleans(),
        **momentum,
    ),
    "CosineAnnealingWarmRestarts": arguments(
        T_0=st.integers(1, 20), T_mult=st.integers(1, 3), eta_min=st.sampled_from([0, 0.01])
    ),
}


def any_of(table):
    return st.sampled_from(sorted(table)).flatmap(lambda name: st.tuples(st.just(name), table[name]))


def build_of(name, options):
    return lambda of, optimizer: getattr(of, name)(optimizer, **options)


@pytest.mark.parametrize("name", sorted(EVERY))
@settings(max_examples=12, deadline=None)
@given(data=st.data(), kinds=st.sampled_from(["ff", "fd", "dd"]))
def test_one_alone(name, data, kinds):
    assert_same(build_of(name, data.draw(EVERY[name])), kinds)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(any_of(FACTORS), min_size=2, max_size=3), kinds=st.sampled_from(["ff", "fd"]))
def test_side_by_side_each_keeps_what_the_others_make(parts, kinds):
    assert_same(lambda of, optimizer: [build_of(*part)(of, optimizer) for part in parts], kinds, CHAINED)

    def chain(of, optimizer):
        return of.ChainedScheduler([build_of(*part)(of, optimizer) for part in parts])

    assert_same(chain, kinds, CHAINED)


@settings(max_examples=40, deadline=None)
@given(
    part=any_of(FACTORS),
    plateau=arguments(patience=st.integers(0, 4), factor=st.just(0.5), cooldown=st.integers(0, 3)),
    is_first=st.booleans(),
    metrics=st.lists(st.floats(0.1, 1.0), min_size=UPDATES, max_size=UPDATES),
)
def test_beside_a_plateau(part, plateau, is_first, metrics):
    def build(of, optimizer):
        made = [build_of(*part)(of, optimizer), of.ReduceLROnPlateau(optimizer, **plateau)]
        return made[::-1] if is_first else made

    assert_same(build, "ff", CHAINED, metrics=metrics)


# torch divides by zero where a LinearLR or a PolynomialLR of no updates begins at a milestone.
LASTING = {**EVERY, "LinearLR": arguments(total_iters=st.integers(1, 70))}
LASTING["PolynomialLR"] = arguments(total_iters=st.integers(1, 70))


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(any_of(LASTING), min_size=2, max_size=3),
    milestones=st.lists(st.integers(1, 50), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_one_after_another(parts, milestones):
    def build(of, optimizer):
        made = [build_of(*part)(of, optimizer) for part in parts]
        return of.SequentialLR(optimizer, made, milestones[: len(made) - 1])

    assert_same(build, "ff", CHAINED)


@settings(max_examples=20, deadline=None)
@given(part=any_of(FACTORS), epochs=st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_an_epoch_that_is_named(part, epochs):
    name, options = part
    if name == "MultiplicativeLR" or options.get("total_iters") in (0, 12.5):
        return  # torch has no closed form, divides by zero, and has another one than its recursion
    found = []
    for of in (TORCH, dropins):
        optimizer = optimizer_of("f")
        scheduler = build_of(name, options)(of, optimizer)
        optimizer.step()
        for epoch in epochs:
            with pytest.warns(UserWarning, match=re.escape(dropins.EPOCH_DEPRECATION_WARNING)):
                scheduler.step(epoch)
        found.append(optimizer.param_groups[0]["lr"])
    assert found[1] == pytest.approx(found[0], rel=1e-12, abs=1e-16)


# ---- Mended ----


@pytest.mark.parametrize("order", resume_matrix.ORDERS)
@pytest.mark.parametrize("case", resume_matrix.CASES)
def test_a_run_resumes_right_after_every_update(case, order):
    if resume_matrix.is_defined(case, order):
        assert resume_matrix.wrong_points(dropins, case, order) == []


def test_the_matrix_finds_what_torch_gets_wrong():
    assert len(resume_matrix.wrong_points(TORCH, "StepLR", "scheduler alone")) > 15
    assert resume_matrix.wrong_points(TORCH, "StepLR", "optimizer, scheduler") == []


def several(optimizer):
    made = [dropins.StepLR(optimizer, 5, 0.5), dropins.CosineAnnealingLR(optimizer, 40, 0.001)]
    return [*made, dropins.ReduceLROnPlateau(optimizer, patience=2, factor=0.7)]


def step_all(optimizer, made, begin, end):
    found = []
    for _ in range(begin, end):
        found.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in made:
            scheduler.step(*([1.0] if isinstance(scheduler, dropins.ReduceLROnPlateau) else []))
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_several_at_once_resume_in_any_order(order):
    optimizer = optimizer_of()
    expected = step_all(optimizer, several(optimizer), 0, 14)
    for done in (0, 4, 9):
        optimizer = optimizer_of()
        made = several(optimizer)
        step_all(optimizer, made, 0, done)
        states = [one.state_dict() for one in (*made, optimizer)]
        optimizer = optimizer_of()
        made = several(optimizer)
        for at in order:
            (*made, optimizer)[at].load_state_dict(states[at])
        assert step_all(optimizer, made, done, 14) == expected[done:]


def test_fractions_of_an_epoch():
    scheduler = dropins.CosineAnnealingLR(optimizer_of("f"), 4)
    scheduler.optimizer.step()
    for epoch in (0.5, 1.5):
        with pytest.warns(UserWarning, match="epoch parameter"):
            scheduler.step(epoch)
        assert scheduler.get_last_lr()[0] == pytest.approx(0.05 * (1 + math.cos(math.pi * epoch / 4)))
    scheduler.step()
    assert scheduler.get_last_lr()[0] == pytest.approx(0.05 * (1 + math.cos(math.pi * 2.5 / 4)))


def test_one_cycle_holds_its_end_and_then_refuses():
    scheduler = dropins.OneCycleLR(optimizer_of("f"), 1.0, 10, anneal_strategy="linear")
    found = [*rates(scheduler, 10), *scheduler.get_last_lr()]
    assert found[10] == found[9] == 1.0 / 25 / 1e4
    assert min(found) > 0.0
    with pytest.raises(ValueError, match=r"Tried to step 11 times\. The specified number of total steps is 10"):
        scheduler.step()


def test_a_short_cycle():
    assert rates(dropins.OneCycleLR(optimizer_of("f"), 1.0, 4, pct_start=0.25), 4)[-1] == pytest.approx(4e-6)


def test_a_factor_of_0():
    assert rates(dropins.ConstantLR(optimizer_of("f"), 0.0, 2), 4) == [0.0, 0.0, 0.1, 0.1]


def test_a_restart_that_is_named():
    scheduler = dropins.CosineAnnealingWarmRestarts(optimizer_of("f"), 1, 3)
    begin = 0
    for length in (3**cycle for cycle in range(9)):
        scheduler.step(begin)
        assert (scheduler.T_cur, scheduler.T_i, scheduler.get_last_lr()) == (0, length, [0.1])
        begin += length


def nested(of, optimizer):
    """Three deep, and what it comes to."""
    inner = of.SequentialLR(optimizer, [of.ConstantLR(optimizer, 0.5, 9), of.ExponentialLR(optimizer, 0.5)], [1])
    chain = of.ChainedScheduler([inner, of.StepLR(optimizer, 2, 0.1)])
    last = of.ChainedScheduler([of.LinearLR(optimizer, 0.25, total_iters=3), of.ConstantLR(optimizer, 0.5, 2)])
    return of.SequentialLR(optimizer, [of.ConstantLR(optimizer, 0.1), chain, last], [2, 6])


NESTED = [0.1, 0.1, 0.5, 1.0, 0.05, 0.025, 0.125, 0.25, 0.75, 1.0]


@pytest.mark.parametrize("outer", [dropins, TORCH], ids=["ours", "torch's"])
def test_three_deep(outer):
    optimizer = optimizer_of("f", 1.0)
    middle = nested(dropins, optimizer)
    scheduler = outer.SequentialLR(optimizer, [dropins.ConstantLR(optimizer, 0.3), middle], [3])
    assert rates(scheduler, 13) == pytest.approx([0.3] * 3 + NESTED)


@pytest.mark.parametrize("stop", range(10))
@pytest.mark.parametrize("order", ["optimizer, scheduler", "scheduler alone"])
def test_three_deep_resumes(stop, order):
    optimizer = optimizer_of("f", 1.0)
    scheduler = nested(dropins, optimizer)
    rates(scheduler, stop)
    state = scheduler.state_dict(), optimizer.state_dict()
    optimizer = optimizer_of("f", 1.0)
    scheduler = nested(dropins, optimizer)
    if order == "optimizer, scheduler":
        optimizer.load_state_dict(state[1])
    scheduler.load_state_dict(state[0])
    assert rates(scheduler, 10 - stop) == pytest.approx(NESTED[stop:])


@pytest.mark.parametrize("inner", [TORCH, dropins], ids=["torch's", "ours"])
@pytest.mark.parametrize("outer", [dropins, TORCH], ids=["in ours", "in torch's"])
def test_parts_of_the_other_kind(outer, inner):
    optimizer = optimizer_of("f", 1.0)
    parts = [inner.LinearLR(optimizer, 0.5, total_iters=2), inner.ExponentialLR(optimizer, 0.5)]
    assert rates(outer.SequentialLR(optimizer, parts, [3]), 6) == pytest.approx([0.5, 0.75, 1.0, 1.0, 0.5, 0.25])
    optimizer = optimizer_of("f", 1.0)
    parts = [inner.LinearLR(optimizer, 0.5, total_iters=2), inner.ExponentialLR(optimizer, 0.5)]
    assert rates(outer.ChainedScheduler(parts), 4) == pytest.approx([0.5, 0.375, 0.25, 0.125])


def test_a_schedule_of_lrcore_as_a_part():
    from lrcore import Linear

    optimizer = optimizer_of("f", 1.0)
    parts = [dropins.ConstantLR(optimizer, 0.5), Scheduler(optimizer, Linear(0.4, 0.0, 4))]
    assert rates(dropins.SequentialLR(optimizer, parts, [2]), 5) == pytest.approx([0.5, 0.5, 0.4, 0.3, 0.2])


def test_a_new_group_is_scheduled_from_its_own_rate():
    for name, options in (
        ("CosineAnnealingLR", {"T_max": 4}),
        ("LambdaLR", {"lr_lambda": lambda epoch: 1 - epoch / 4}),
        ("CosineAnnealingWarmRestarts", {"T_0": 4}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9}),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.2, "step_size_up": 3}),
        ("SWALR", {"swa_lr": 0.0, "anneal_epochs": 4}),
    ):
        optimizer = optimizer_of("f")
        scheduler = getattr(dropins, name)(optimizer, **options)
        optimizer.step()
        scheduler.step()
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.2})
        for _ in range(2):
            optimizer.step()
            scheduler.step()
        old, new = (group["lr"] for group in optimizer.param_groups)
        assert new == pytest.approx(2 * old), name
        scheduler.load_state_dict(scheduler.state_dict())
        assert [group["lr"] for group in optimizer.param_groups] == [old, new]


def test_a_plateau_of_a_negative_metric():
    scheduler = dropins.ReduceLROnPlateau(optimizer_of("f"), patience=2, factor=0.5)
    for metric in (-1.0, -1.0, -1.0, -1.0):
        scheduler.step(metric)
    assert (scheduler.get_last_lr(), scheduler.best) == ([0.05], -1.0)


def test_a_warmup_then_a_plateau():
    optimizer = optimizer_of("f")
    warmup, plateau = dropins.LinearLR(optimizer, 0.5, total_iters=2), dropins.ReduceLROnPlateau(optimizer, patience=0)
    for metric in (1.0, 1.0, 1.0):
        optimizer.step()
        warmup.step()
        plateau.step(metric)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)


# ---- State ----


def state_through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", NAMES)
def test_states_of_torch_load_here_and_these_there(name):
    for giver, taker in ((TORCH, dropins), (dropins, TORCH)):
        optimizer = resume_matrix.optimizer_of()
        points = list(resume_matrix.steps_of(optimizer, resume_matrix.CASES[name](giver, optimizer, -1), 0))
        states = state_through_a_file(points[9][1])  # taken before update 9
        optimizer = resume_matrix.optimizer_of()
        scheduler = resume_matrix.CASES[name](taker, optimizer, -1)
        if taker is TORCH:
            optimizer.load_state_dict(states["optimizer"])
        scheduler.load_state_dict(states["scheduler"])
        found = [used for used, _ in resume_matrix.steps_of(optimizer, scheduler, 9)]
        assert not resume_matrix.differ(found, [used for used, _ in points[9:]])


@pytest.mark.parametrize("name", NAMES)
def test_a_state_is_small(name):
    optimizer = optimizer_of("f")
    scheduler = resume_matrix.CASES[name](dropins, optimizer, -1)
    state = scheduler.state_dict()
    assert state_through_a_file(state) == state
    assert len(pickle.dumps(state)) < 1000


def test_a_state_with_other_parameters_wins_and_says_so():
    scheduler = dropins.StepLR(optimizer_of("f"), 5, 0.5)
    state = dropins.StepLR(optimizer_of("f"), 3, 0.1).state_dict()
    with pytest.warns(UserWarning, match="the state changes step_size from 5 to 3, gamma from 0.5 to 0.1"):
        scheduler.load_state_dict(state)
    assert rates(scheduler, 4) == pytest.approx([0.1, 0.1, 0.1, 0.01])


def test_functions_stay_out_of_a_state_and_objects_are_kept():
    class Factor:
        def __init__(self, base):
            self.base = base

        def __call__(self, epoch):
            return self.base**epoch

    state = dropins.LambdaLR(optimizer_of("ff"), [Factor(0.5), lambda epoch: epoch]).state_dict()
    assert state["lr_lambdas"] == [{"base": 0.5}, None]
    other = dropins.LambdaLR(optimizer_of("ff"), [Factor(0.1), lambda epoch: epoch])
    other.load_state_dict(state)
    assert other.lr_lambdas[0].base == 0.5


def test_a_schedule_as_the_function():
    from lrcore import Linear

    scheduler = dropins.LambdaLR(optimizer_of("f", 1.0), Linear(1.0, 0.0, 4))
    assert rates(scheduler, 3) == [1.0, 0.75, 0.5]
    assert scheduler.state_dict()["lr_lambdas"] == [None]


@pytest.mark.parametrize("name", NAMES)
def test_copies_go_on_by_themselves(name):
    optimizer = optimizer_of("ff")
    scheduler = resume_matrix.CASES[name](dropins, optimizer, -1)
    for _, _ in zip(range(5), resume_matrix.steps_of(optimizer, scheduler, 0), strict=False):
        pass
    twin = copy.deepcopy(scheduler) if name == "LambdaLR" else pickle.loads(pickle.dumps(scheduler))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a pickled optimizer's step is not watched any more
        points = [list(resume_matrix.steps_of(one.optimizer, one, 5)) for one in (scheduler, twin)]
    assert [used for used, _ in points[0]] == [used for used, _ in points[1]]


# ---- As an object ----


def test_it_is_freed_without_the_collector():
    gc.disable()
    try:
        for name, build in resume_matrix.CASES.items():
            optimizer = optimizer_of("f")
            scheduler = build(dropins, optimizer, -1)
            for _ in zip(range(3), resume_matrix.steps_of(optimizer, scheduler, 0), strict=False):
                pass
            watch = weakref.ref(scheduler)
            del scheduler
            assert watch() is None, name
    finally:
        gc.enable()


def test_a_tensor_stays_the_same_object_and_is_rounded_once():
    optimizer = optimizer_of("t")
    tensor = optimizer.param_groups[0]["lr"]
    scheduler = dropins.ExponentialLR(optimizer, 0.999)
    optimizer.step()
    for _ in range(3000):
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] is tensor
    assert tensor.item() == torch.tensor(torch.tensor(0.1).item() * 0.999**3000).item()


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"CyclicLR"}))
def test_a_tensor_on_a_device_is_never_read(name):
    """One that has no data at all fails where it is."""
    options = {"LinearLR": {"end_factor": 0.5}, "StepLR": {"step_size": 2}, "MultiStepLR": {"milestones": [2]}}
    options |= {"ExponentialLR": {"gamma": 0.5}, "CosineAnnealingLR": {"T_max": 9, "eta_min": 0.01}}
    options |= {"CosineAnnealingWarmRestarts": {"T_0": 4}, "SWALR": {"swa_lr": 0.1}}
    options |= {"OneCycleLR": {"max_lr": 1.0, "total_steps": 9}}
    options |= {name: {"lr_lambda": lambda _: 0.5} for name in ("LambdaLR", "MultiplicativeLR")}
    rate = torch.tensor(0.1, device="meta")
    optimizer = optimizer_of("f")
    optimizer.param_groups[0]["lr"] = rate  # its constructor would read it
    scheduler = getattr(dropins, name)(optimizer, **options.get(name, {}))
    optimizer._opt_called = True
    for _ in range(3):
        scheduler.step()
        rate.mul_(0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.load_state_dict(scheduler.state_dict())
    assert optimizer.param_groups[0]["lr"] is rate


def test_the_order_of_steps_is_watched():
    scheduler = dropins.StepLR(optimizer_of("f"), 2)
    with pytest.warns(UserWarning, match="how-to-adjust-learning-rate"):
        scheduler.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        scheduler.get_lr()


def test_a_resume_needs_the_first_rates():
    with pytest.raises(KeyError, match=r"'initial_lr' is not specified in param_groups\[0\]"):
        dropins.StepLR(optimizer_of("f"), 2, last_epoch=3)


def test_repr():
    assert repr(dropins.StepLR(optimizer_of("f"), 2)) == "StepLR(step_size=2, gamma=0.1, last_epoch=0)"
    chain = dropins.ChainedScheduler([dropins.ExponentialLR(optimizer_of("f"), 0.5)])
    assert repr(chain) == "ChainedScheduler([ExponentialLR(gamma=0.5, last_epoch=0)])"
