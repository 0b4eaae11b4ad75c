"""lrcore.adopt of what other libraries than torch have: transformers, timm, Keras, optax, Megatron."""

import warnings

import numpy as np
import optax
import pytest
import timm_loader
import torch
from live import goes_on, optimizer, snapshot, step

import lrcore as lr
from lrcore.dialects import keras as in_keras, megatron as in_megatron, timm as in_timm, torch as in_torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    from fvcore.common.param_scheduler import CosineParamScheduler
    from ignite import handlers
    from transformers.optimization import get_scheduler

    timm = timm_loader.load()


HF = {
    "constant": {},
    "constant_with_warmup": {},
    "linear": {},
    "cosine": {},
    "cosine_with_restarts": {},
    "polynomial": {},
    "inverse_sqrt": {},
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 20},
}


@pytest.mark.parametrize("done", [0, 13])
@pytest.mark.parametrize("name", HF)
def test_transformers(name, done):
    """Their closures are partials with names, which the dialect has too: no table."""
    made = get_scheduler(
        name, optimizer(0.1, 0.2), num_warmup_steps=10, num_training_steps=60, scheduler_specific_kwargs=HF[name]
    )
    scheduler = step(made, done)
    before = snapshot(scheduler)
    adopted = lr.adopt(scheduler, 60)
    assert snapshot(scheduler) == before
    assert not adopted.notes
    ours = np.column_stack([schedule.table(60 - done, start=done) for schedule in adopted.schedules])
    assert ours == pytest.approx(goes_on(scheduler, 60 - done), rel=1e-12, abs=1e-17)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (
            "CosineLRScheduler",
            {"t_initial": 20, "lr_min": 1e-5, "warmup_t": 5, "cycle_limit": 2},
        ),
        ("PolyLRScheduler", {"t_initial": 20, "warmup_t": 5, "warmup_prefix": True}),
        ("TanhLRScheduler", {"t_initial": 20}),
        ("WSDLRScheduler", {"t_initial": 20, "decay_t": 8, "warmup_t": 5}),
        ("StepLRScheduler", {"decay_t": 5, "decay_rate": 0.5}),
        ("MultiStepLRScheduler", {"decay_t": [5, 9], "decay_rate": 0.5}),
    ],
)
def test_timm(name, arguments):
    o = optimizer(0.1, 0.2)
    o.param_groups[1]["lr_scale"] = 0.5
    scheduler = getattr(timm, name)(o, t_in_epochs=False, **arguments)
    before = snapshot(scheduler)
    strict = {"strict": True} if name == "TanhLRScheduler" else {}
    adopted = lr.adopt(scheduler, 45)
    assert snapshot(scheduler) == before
    assert adopted.notes == tuple(f"group {group}: strict: {in_timm.FIRST_IS_BASE.what}" for group in (0, 1) if strict)
    assert adopted.schedules[0] == getattr(in_timm, name)(0.1, **arguments, **strict)
    for t in range(45):
        if t > 0:  # as timm's training loop does
            scheduler.step_update(t)
        rates = [group["lr"] for group in o.param_groups]
        assert [schedule(t) for schedule in adopted.schedules] == pytest.approx(rates, rel=1e-11, abs=1e-17)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("noise", [{"noise_range_t": (5, 9)}, {"noise_range_t": 3, "noise_seed": 7, "noise_std": 0.4}])
def test_timm_with_its_noise(kind, noise):
    """Which is read, not tabulated: no n is asked for."""
    scheduler = timm.CosineLRScheduler(optimizer(), t_initial=20, **noise)
    scheduler.noise_type = kind
    adopted = lr.adopt(scheduler)
    assert adopted.notes == ("timm counts epochs here: a step of the schedule is an epoch",)
    assert adopted.schedules[0] == in_timm.CosineLRScheduler(0.1, t_initial=20, noise_type=kind, **noise)
    for t in range(30):
        scheduler.step(t)
        assert adopted.schedules[0](t) == pytest.approx(scheduler.optimizer.param_groups[0]["lr"], rel=1e-12)


@pytest.mark.parametrize("warmup", [{}, {"warmup_t": 4, "warmup_lr_init": 0.01}])
def test_timm_at_update_0(warmup):
    """Its constructor sets it, without noise; in epochs, and where groups have scales of their own."""
    o = optimizer(0.1, 0.2)
    o.param_groups[1]["lr_scale"] = 0.5
    scheduler = timm.CosineLRScheduler(o, t_initial=20, noise_range_t=(0, 5), **warmup)
    adopted = lr.adopt(scheduler)
    assert f"group 0: strict: {in_timm.FIRST_IS_BASE.what}" in adopted.notes
    for t in range(25):
        if t > 0:
            scheduler.step(t)
        rates = [group["lr"] for group in o.param_groups]
        assert [schedule(t) for schedule in adopted.schedules] == pytest.approx(rates, rel=1e-12)


K = keras.optimizers.schedules


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (K.ExponentialDecay(0.1, 10, 0.9, staircase=True), in_keras.ExponentialDecay(0.1, 10, 0.9, staircase=True)),
        (
            K.PiecewiseConstantDecay([5, 200], [1.0, 0.5, 0.1]),
            in_keras.PiecewiseConstantDecay([5, 200], [1.0, 0.5, 0.1]),
        ),
        (
            K.PiecewiseConstantDecay([5.0, 9.0], [1.0, 0.5, 0.1]),
            in_keras.PiecewiseConstantDecay([5, 9], [1.0, 0.5, 0.1]),
        ),
        (K.PolynomialDecay(0.1, 100, 0.01, 2.0), in_keras.PolynomialDecay(0.1, 100, 0.01, 2.0)),
        (K.InverseTimeDecay(0.1, 10, 0.5), in_keras.InverseTimeDecay(0.1, 10, 0.5)),
        (
            K.CosineDecay(0.0, 100, 0.1, warmup_target=0.1, warmup_steps=20),
            in_keras.CosineDecay(0.0, 100, 0.1, warmup_target=0.1, warmup_steps=20),
        ),
        (K.CosineDecayRestarts(0.1, 30, 2.0, 0.9, 0.1), in_keras.CosineDecayRestarts(0.1, 30, 2.0, 0.9, 0.1)),
    ],
    ids=lambda item: type(item).__name__,
)
def test_keras(schedule, expected):
    config = schedule.get_config()
    adopted = lr.adopt(schedule)
    assert adopted.schedules == (expected,)
    assert not adopted.notes
    assert schedule.get_config() == config


@pytest.mark.parametrize("n", [None, 20])
def test_keras_arguments_that_it_ignores(n):
    """The dialect takes them only as a quirk."""
    adopted = lr.adopt(K.CosineDecay(0.1, 10, warmup_steps=5), n)
    assert adopted.schedule == in_keras.CosineDecay(0.1, 10, warmup_steps=5, strict=True)
    assert adopted.notes == (f"strict: {in_keras.WARMUP_IGNORED.what}",)


class Own(K.LearningRateSchedule):
    def __call__(self, step):
        return 0.5**step


def test_a_keras_schedule_of_the_user():
    assert lr.adopt(Own(), 3).schedule == lr.Table([1.0, 0.5, 0.25])
    assert lr.adopt(Own(), 3).notes == ("Own is no class of keras itself: a Table over 3 updates",)
    with pytest.raises(lr.AdoptError, match=r"adopt\.n: expected for how many updates, got None: Own is no class"):
        lr.adopt(Own())


@pytest.mark.parametrize("n", [30, 120])
def test_optax(n):
    """One by one, and a whole run at once: float32, as optax computes."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1.0, 10, 100)
    adopted = lr.adopt(schedule, n)
    assert adopted.notes == (f"a function has no closed form: a Table over {n} updates",)
    assert adopted.schedule.values.dtype == np.float32
    assert adopted.schedule.table(n) == pytest.approx([float(schedule(t)) for t in range(n)], rel=1e-6, abs=1e-7)


class OptimizerParamScheduler:
    """Megatron's, linear: as much of it as adopt sees, from its documented formula."""

    def __init__(self, optimizer, **arguments):
        self.optimizer, self.num_steps = optimizer, 0
        vars(self).update(arguments)

    def get_lr(self, group):
        high = group.get("max_lr", self.max_lr)
        low = group.get("min_lr", self.min_lr)
        n = self.num_steps
        if n <= self.lr_warmup_steps:
            return self.init_lr + (high - self.init_lr) * n / self.lr_warmup_steps
        share = min((n - self.lr_warmup_steps) / (self.lr_decay_steps - self.lr_warmup_steps), 1.0)
        return low + (high - low) * (1 - share)


OptimizerParamScheduler.__module__ = "megatron.core.optimizer_param_scheduler"


def test_megatron():
    arguments = {"init_lr": 0.0, "max_lr": 0.1, "min_lr": 0.01, "lr_warmup_steps": 100, "lr_decay_steps": 1000}
    o = optimizer(0.1, 0.2)
    o.param_groups[1]["max_lr"] = 0.2
    scheduler = OptimizerParamScheduler(o, lr_decay_style="linear", **arguments)
    scheduler.num_steps = 64
    adopted = lr.adopt(scheduler)
    assert scheduler.num_steps == adopted.position == 64
    assert adopted.notes == ("Megatron counts samples: a step of the schedule is a sample",)
    assert adopted.schedules == tuple(
        in_megatron.OptimizerParamScheduler(lr_decay_style="linear", **{**arguments, "max_lr": high})
        for high in (0.1, 0.2)
    )


def test_megatron_multipliers_of_groups():
    """Its step sets `get_lr(group) * group.get("lr_mult", 1.0)`."""
    o = optimizer(0.1, 0.1)
    o.param_groups[1]["lr_mult"] = 0.25
    arguments = {"init_lr": 0.0, "max_lr": 0.1, "min_lr": 0.01, "lr_warmup_steps": 100, "lr_decay_steps": 1000}
    scheduler = OptimizerParamScheduler(o, lr_decay_style="linear", **arguments)
    adopted = lr.adopt(scheduler)
    expected = in_megatron.OptimizerParamScheduler(lr_decay_style="linear", **arguments)
    assert adopted.schedules == (expected, 0.25 * expected)
    for sample in (0, 50, 400, 1000):
        scheduler.num_steps = sample
        rates = [scheduler.get_lr(group) * group.get("lr_mult", 1.0) for group in o.param_groups]
        assert [schedule(sample) for schedule in adopted.schedules] == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize("given", [[0.1, 0.2], [0.1], (0.1,), np.array([0.1, 0.2]), "0.1"])
def test_functions_of_more_than_a_number(given):
    with pytest.raises(lr.AdoptError, match=r"raises at update 0, TypeError.*expected a learning rate for an update"):
        lr.adopt(lambda _: given, 2)
    later = lr.adopt(lambda step: np.float32(0.5) / (step + 1), 2)
    assert later.schedule == lr.Table([0.5, 0.25])


class OfLists(K.LearningRateSchedule):
    def __call__(self, step):
        return [0.1, 0.2 * step]


def test_a_keras_schedule_of_more_than_a_number():
    with pytest.raises(lr.AdoptError, match="expected a learning rate for an update"):
        lr.adopt(OfLists(), 2)


def test_fvcore_is_asked_for_shares_of_the_run():
    with pytest.raises(lr.AdoptError, match="the share of the run that is done, from 0 to 1, and not for an update"):
        lr.adopt(CosineParamScheduler(1.0, 0.0), 10)


def test_ignite_is_called_with_an_engine():
    handler = handlers.PiecewiseLinear(optimizer(0.1), "lr", [(0, 0.1), (10, 0.2)])
    for scheduler in (handler, handlers.ParamGroupScheduler([handler], ["lr"])):
        with pytest.raises(lr.AdoptError, match="it is called with an engine, and not for an update"):
            lr.adopt(scheduler, 10)
    torch_scheduler = torch.optim.lr_scheduler.StepLR(optimizer(0.1), 3)
    assert lr.adopt(handlers.LRScheduler(torch_scheduler).lr_scheduler, 9).schedule == in_torch.StepLR(0.1, 3)
