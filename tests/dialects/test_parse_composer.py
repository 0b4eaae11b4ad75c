"""Configurations of MosaicML Composer beside the schedules that those make of them."""

import pytest

import lrcore
from lrcore.dialects import composer, parse

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


@pytest.mark.parametrize(
    "schedulers",
    [
        {"scheduler": {"name": "cosine_with_warmup", "t_warmup": "100ba", "alpha_f": 0.1}},
        {"schedulers": {"cosine_decay_with_warmup": {"t_warmup": "100ba", "alpha_f": 0.1}}},
        {"schedulers": [{"CosineAnnealingWithWarmupScheduler": {"t_warmup": "100ba", "alpha_f": 0.1}}]},
    ],
)
def test_composer(schedulers):
    config = {**schedulers, "optimizer": {"name": "decoupled_adamw", "lr": 6.0e-4}, "max_duration": "4800ba"}
    assert parse(config) == composer.CosineAnnealingWithWarmupScheduler(6e-4, 100, 4800, alpha_f=0.1)
    del config["max_duration"]
    assert parse(config) == composer.CosineAnnealingWithWarmupScheduler(6e-4, "100ba", alpha_f=0.1)


@pytest.mark.parametrize(
    "optimizer_of",
    [
        {"optimizer": {"decoupled_adamw": {"lr": 6e-4}}},
        {"optimizers": {"decoupled_adamw": {"lr": "6e-4"}}},
        {"optimizers": [{"name": "decoupled_adamw", "lr": 6e-4}]},
    ],
)
def test_composer_optimizers(optimizer_of):
    assert parse({"scheduler": {"name": "constant"}, **optimizer_of}) == lrcore.Constant(6e-4)


def at(schedulers, t, spe=None, **run):
    """The multiplier at an update."""
    return parse({"schedulers": schedulers, "optimizer": {"lr": 1.0}, **run}, steps_per_epoch=spe)(t)


def test_composer_scale_schedule_ratio():
    """Milestones at 25 of 50 batches; a warm-up has its time, of which a share is one of the scaled run."""
    drop = [{"multistep": {"milestones": ["50ba"]}}]
    scaled = {"max_duration": "100ba", "scale_schedule_ratio": 0.5}
    assert [at(drop, t, **scaled) for t in (24, 25)] == pytest.approx([1.0, 0.1])
    epochs = [{"multistep": {"milestones": ["3ep"]}}]
    assert [at(epochs, t, 5, max_duration="10ep", scale_schedule_ratio=0.5) for t in (6, 7)] == pytest.approx([1, 0.1])
    for warmup, half in (({}, 10), ({"scale_warmup": True}, 5)):  # which is the slope of it alone
        warm = [{"linear_decay_with_warmup": {"t_warmup": "20ba", **warmup}}]
        assert [at(warm, t, **scaled) for t in (half, 2 * half, 20, 35, 50)] == [0.5, 1.0, 1.0, 0.5, 0.0]
    assert at([{"linear_decay_with_warmup": {"t_warmup": "0.2dur"}}], 10, **scaled) == 1.0


@pytest.mark.parametrize(
    ("most", "spe", "end"), [("100ba", None, 100), ("4ep", 25, 100), (4, 25, 100), ("99ba", None, 99)]
)
def test_composer_max_duration(most, spe, end):
    """A share of it is rounded down, as Composer does: 0.25 of 99 is 24."""
    config = {"scheduler": {"name": "linear_decay", "t_max": "1dur"}, "optimizer": {"lr": 1.0}, "max_duration": most}
    assert parse(config, steps_per_epoch=spe).length == end
    config["scheduler"]["t_max"] = "0.25dur"
    assert parse(config, steps_per_epoch=spe).length == end // 4


def test_composer_by_its_target():
    target = {"_target_": "composer.optim.MultiStepScheduler", "milestones": ["50ba"]}
    config = {"scheduler": target, "optimizer": SGD, "max_duration": "100ba", "scale_schedule_ratio": 0.5}
    assert parse(config) == composer.MultiStepScheduler(0.1, [25])


def test_composer_waits_for_what_is_not_known():
    config = {"scheduler": {"name": "linear_decay"}, "optimizer": {"lr": 1.0}, "max_duration": "4ep"}
    assert parse(config).bind(steps_per_epoch=25).length == 100
    config["max_duration"] = "1e3tok"
    assert parse(config).bind(tokens_per_step=10).length == 100


def test_composer_multiplies():
    config = {"schedulers": [{"linear_decay": {}}, {"multistep": {"milestones": ["2ba"]}}], "optimizer": {"lr": 1.0}}
    assert parse(config).bind(total_steps=4).table(5).tolist() == [1.0, 0.75, 0.05, 0.025, 0.0]
