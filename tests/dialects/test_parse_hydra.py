"""Configurations by `_target_`, as Hydra and Lightning have them, beside the schedules that those make of them."""

import pytest
import torch

import lrcore
from lrcore.dialects import (
    ConfigError,
    mmengine,
    olmo,
    optax,
    paddle,
    parse,
    timm,
    torch as torch_dialect,
    transformers as transformers_dialect,
)

STEP = {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 30}
SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


@pytest.mark.parametrize(
    "config",
    [
        {"scheduler": STEP, "optimizer": SGD},
        {"lr_scheduler": {**STEP, "_partial_": True}, "optimizer": {**SGD, "lr": "1e-1"}, "trainer": {"max_epochs": 9}},
        {**STEP, "lr": 0.1},
        {"model": {"scheduler": STEP, "optimizer": SGD}, "data": {"batch_size": 8}},
        {"model": {"scheduler": STEP}, "optimizer": SGD},
        {"scheduler": {"scheduler": STEP, "interval": "epoch"}, "optimizer": SGD},
        {"model": {"lr_scheduler": {"scheduler": STEP, "interval": "epoch"}, "optimizer": SGD}},
    ],
)
def test_hydra(config):
    assert parse(config) == torch_dialect.StepLR(0.1, 30)


def test_hydra_nests():
    nested = {
        "_target_": "torch.optim.lr_scheduler.SequentialLR",
        "schedulers": [
            {"_target_": "torch.optim.lr_scheduler.LinearLR", "start_factor": 0.1, "total_iters": 5},
            {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 20},
        ],
        "milestones": [5],
    }
    children = [torch_dialect.LinearLR(0.5, 0.1, total_iters=5), torch_dialect.CosineAnnealingLR(0.5, 20)]
    assert parse({"scheduler": nested, "optimizer": {"lr": 0.5}}) == torch_dialect.SequentialLR(children, [5])


def test_hydra_of_other_dialects():
    target = {"_target_": "paddle.optimizer.lr.PolynomialDecay", "learning_rate": 0.1, "decay_steps": 9}
    assert parse({"scheduler": target}) == paddle.PolynomialDecay(0.1, 9)
    cyclic = {"_target_": "torch.optim.lr_scheduler.CyclicLR", "base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5}
    assert parse({"scheduler": cyclic, "optimizer": SGD}) == torch_dialect.CyclicLR(0.01, 0.1, 5)


@pytest.mark.parametrize("wrap", [lambda node: {"scheduler": node, "optimizer": SGD}, lambda node: {**node, "lr": 0.1}])
def test_hydra_of_functions_and_bare_targets(wrap):
    node = {"_target_": "transformers.get_scheduler", "name": "linear", "num_warmup_steps": 2, "num_training_steps": 9}
    assert parse(wrap(node)).table(10).argmax() == 2
    assert parse(wrap(node)) == transformers_dialect.get_scheduler("linear", 0.1, 2, 9)
    assert parse(wrap({"_target_": "mmengine.optim.LinearLR", "end": 5})) == mmengine.LinearLR(0.1, end=5)


def by_lightning(interval, frequency, epochs, per_epoch):
    """The rates of all updates, stepped as Lightning's training loop does."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    rates = []
    for epoch in range(epochs):
        for _ in range(per_epoch):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if interval == "step":
                scheduler.step()
        if interval == "epoch" and (epoch + 1) % frequency == 0:
            scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"interval": "epoch"}, ("epoch", 1)),
        ({}, ("epoch", 1)),
        ({"interval": "epoch", "frequency": 2}, ("epoch", 2)),
        ({"interval": "step"}, ("step", 1)),
    ],
)
def test_lightning_steps_by_epochs(said, meant):
    """Whose default is the epoch."""
    config = {"scheduler": {"scheduler": {**STEP, "step_size": 3}, **said}, "optimizer": SGD}
    schedule = parse(config, steps_per_epoch=5)
    assert schedule.table(60) == pytest.approx(by_lightning(*meant, 12, 5), rel=1e-12)
    assert schedule.origin.peer == "torch.StepLR"
    per_epoch = parse(config).table(12)
    if meant[0] == "epoch":
        assert per_epoch == pytest.approx(schedule.table(60)[::5]), "without steps_per_epoch a step is an epoch"


def test_lightning_beside_the_scheduler():
    beside = {"scheduler": STEP, "interval": "epoch", "optimizer": SGD}
    within = {"scheduler": {"scheduler": STEP, "interval": "epoch"}, "optimizer": SGD}
    assert parse(beside, steps_per_epoch=5) == parse(within, steps_per_epoch=5)
    assert parse({**beside, "interval": "step"}, steps_per_epoch=5) == torch_dialect.StepLR(0.1, 30)


def test_a_learning_rate_in_the_scheduler_itself():
    assert parse({"scheduler": {**STEP, "lr": 0.1}}) == torch_dialect.StepLR(0.1, 30)


def test_timm_in_epochs():
    """Its own argument says what steps_per_epoch is for."""
    target = {"_target_": "timm.scheduler.CosineLRScheduler", "t_initial": 10}
    config, on_updates = ({"scheduler": {**target, **said}, "optimizer": SGD} for said in ({}, {"t_in_epochs": False}))
    expected = timm.CosineLRScheduler(0.1, 10)
    assert parse(config) == parse(on_updates) == parse(on_updates, steps_per_epoch=5) == expected
    per_epoch = expected.table(10).repeat(5)
    assert parse(config, steps_per_epoch=5).table(50) == pytest.approx(per_epoch, rel=1e-14)


def test_packages_by_another_name_than_their_dialect():
    target = {"_target_": "olmo_core.optim.CosWithWarmup", "warmup": 10, "max_steps": 100}
    assert parse({"scheduler": target, "optimizer": SGD}) == olmo.CosWithWarmup(0.1, 100, warmup=10)


def test_optax_joins():
    children = [
        {"_target_": "optax.linear_schedule", "init_value": 0.0, "end_value": 1.0, "transition_steps": 3},
        {"_target_": "optax.constant_schedule", "value": 1.0},
    ]
    found = parse({"_target_": "optax.join_schedules", "schedules": children, "boundaries": [3]})
    assert found == optax.join_schedules([optax.linear_schedule(0.0, 1.0, 3), lrcore.Constant(1.0)], [3])


def test_factors_are_a_list():
    target = {"_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": [1.0, 0.5]}
    assert parse({"scheduler": target, "optimizer": SGD}) == torch_dialect.LambdaLR(0.1, [1.0, 0.5])


@pytest.mark.parametrize(
    ("said", "path", "message", "steps_per_epoch"),
    [
        ({"scheduler": STEP}, "scheduler.interval", "as it is not told what steps_per_epoch is for", 5),
        ({"scheduler": {"scheduler": STEP, "interval": "batch"}}, "scheduler.interval", "'epoch' or 'step'", None),
        ({"scheduler": {"scheduler": STEP, "frequency": 0}}, "scheduler.frequency", "an int >= 1", None),
        (
            {"scheduler": {"scheduler": STEP, "interval": "step", "frequency": 2}},
            "scheduler.frequency",
            "expected 1, as Lightning counts the batches of each epoch anew",
            5,
        ),
        ({"scheduler": {**STEP, "_args_": [30]}}, "scheduler._args_", "expected arguments by their names", None),
        (
            {"scheduler": {**STEP, "_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": "lambda e: 1"}},
            "scheduler.lr_lambda",
            "expected a list of factors, as nothing in a configuration is executed",
            None,
        ),
    ],
)
def test_refusals(said, path, message, steps_per_epoch):
    with pytest.raises(ConfigError) as caught:
        parse({**said, "optimizer": SGD}, steps_per_epoch=steps_per_epoch)
    assert message in dict(caught.value.errors)[path]
