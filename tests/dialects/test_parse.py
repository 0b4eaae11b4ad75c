"""Configurations of other libraries beside the schedules that those make of them."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings, strategies as st
from timm_loader import load

import lrcore
from lrcore import dialects
from lrcore.dialects import (
    ConfigError,
    _readers,
    deepspeed,
    megatron,
    parse,
)

timm = load()
spans = st.integers(1, 30)
rates = st.floats(1e-4, 1.0)
STEP = {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 30}
SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


def optimizer(rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


# ---- DeepSpeed ----


def test_deepspeed():
    """A file as it is trained with: other keys stay unread."""
    config = json.loads("""{
        "train_batch_size": 16, "gradient_clipping": 1.0, "zero_optimization": {"stage": 2},
        "optimizer": {"type": "AdamW", "params": {"lr": 0.001, "betas": [0.9, 0.95]}},
        "scheduler": {"type": "WarmupCosineLR", "params": {"total_num_steps": 100, "warmup_num_steps": 10}}
    }""")
    assert parse(config) == deepspeed.WarmupCosineLR(0.001, 100, warmup_num_steps=10)
    schedule = parse(config, strict=True)
    assert schedule == deepspeed.WarmupCosineLR(0.001, 100, warmup_num_steps=10, strict=True)
    assert [quirk.name for quirk in schedule.origin.quirks][:1] == ["twice-at-start"]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("WarmupLR", {"warmup_max_lr": 0.1, "warmup_type": "linear"}),
        ("WarmupDecayLR", {"total_num_steps": 50, "warmup_num_steps": 5}),
        ("OneCycle", {"cycle_min_lr": 0.01, "cycle_max_lr": 0.1, "cycle_momentum": True, "cycle_min_mom": 0.8}),
        ("LRRangeTest", {"lr_range_test_min_lr": 0.1, "last_batch_iteration": -1}),
    ],
)
def test_deepspeed_schedulers(name, params):
    """Without an optimizer, whose learning rate they do not use; momentum is no learning rate."""
    ours = {key: given for key, given in params.items() if not key.startswith(("cycle_mom", "cycle_min_mom", "last"))}
    base = {"base_lr": 1.0} if name == "WarmupLR" else {}
    assert parse({"scheduler": {"type": name, "params": params}}) == getattr(deepspeed, name)(**base, **ours)


def test_deepspeed_numbers_that_stand_elsewhere_or_as_texts():
    config = {"scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": "1e-3", "warmup_num_steps": 10}}}
    expected = deepspeed.WarmupLR(1.0, 0.0, 1e-3, 10)
    assert parse(config) == expected
    assert parse({**config, "optimizer": {"params": {"lr": "auto"}}}) == expected, "it is not used"
    assert parse({"scheduler": {"type": "WarmupLR"}, "optimizer": {"params": {"lr": "1e-3"}}}) == deepspeed.WarmupLR(
        1e-3
    )


def test_deepspeed_numbers_as_json_has_them():
    """A list for one parameter group, and 1e4 for a whole number; -1 is where a run begins."""
    params = {"warmup_min_lr": [0], "warmup_max_lr": [1e-3], "warmup_num_steps": 1e4, "last_batch_iteration": -1}
    config = {"scheduler": {"type": "WarmupDecayLR", "params": {**params, "total_num_steps": 2e4}}}
    assert parse(json.loads(json.dumps(config))) == deepspeed.WarmupDecayLR(20000, 0.0, 1e-3, 10000)


# ---- transformers ----


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(
        ["linear", "cosine", "constant", "constant_with_warmup", "cosine_with_restarts", "inverse_sqrt"]
    ),
    rate=rates,
    warmup=st.one_of(st.integers(0, 20), st.floats(0.01, 0.5)),
    steps=st.integers(20, 60),
)
def test_transformers(kind, rate, warmup, steps):
    """As its Trainer asks for them."""
    arguments = {"lr_scheduler_type": kind, "learning_rate": rate, "warmup_steps": warmup, "max_steps": steps}
    count = int(warmup) if warmup >= 1 else math.ceil(steps * warmup)
    theirs = optimizer(rate)
    scheduler = transformers.get_scheduler(kind, theirs, num_warmup_steps=count, num_training_steps=steps)
    expected = []
    for _ in range(steps):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        scheduler.step()
    table = parse({**arguments, "output_dir": "out", "save_steps": 500, "eval_strategy": "steps"}).table(steps)
    assert np.abs(table - expected).max() <= 1e-13 * rate


def test_transformers_defaults_and_epochs():
    schedule = parse({"lr_scheduler_type": "linear"}, steps_per_epoch=7)
    assert schedule == lrcore.Linear(5e-5, 0.0, 21)
    epochs = {"learning_rate": 0.1, "num_train_epochs": 2.5, "warmup_ratio": 0.1}
    assert parse(epochs, steps_per_epoch=7).length == 18
    assert parse(epochs, steps_per_epoch=7)(2) == 0.1
    assert parse({"lr_scheduler_type": transformers.SchedulerType.CONSTANT, "learning_rate": 1}) == lrcore.Constant(1.0)
    extra = {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}, "max_steps": 9}
    assert parse({**extra, "learning_rate": 1.0})(9) == pytest.approx(0.1)
    as_text = {"lr_scheduler_type": "SchedulerType.COSINE_WITH_MIN_LR", "lr_scheduler_kwargs": '{"min_lr_rate": 0.1}'}
    assert parse({**extra, **as_text}) == parse(extra)


def test_transformers_arguments_as_they_are():
    """The object itself, which a Trainer is given."""

    class TrainingArguments:
        def to_dict(self):
            return {"lr_scheduler_type": "cosine", "learning_rate": 0.1, "max_steps": 9, "output_dir": "out"}

    assert parse(TrainingArguments()) == lrcore.Cosine(0.1, 0.0, 9)


@pytest.mark.parametrize("key", ["num_training_steps", "num_warmup_steps", "strict", "base_lr"])
def test_transformers_extra_arguments_are_those_of_the_schedule_alone(key):
    config = {"lr_scheduler_type": "cosine", "max_steps": 9, "lr_scheduler_kwargs": {key: 3}}
    assert "expected an argument of 'cosine'" in wrong(config)[f"lr_scheduler_kwargs.{key}"]


# ---- timm ----


@settings(max_examples=40, deadline=None)
@given(
    sched=st.sampled_from(["cosine", "tanh", "poly", "step", "constant", "multistep", "wsd", "rsqrt"]),
    rate=rates,
    epochs=st.integers(30, 50),
    warmup=st.integers(1, 9),
    low=st.floats(1e-6, 1e-4),
    prefix=st.booleans(),
    on_updates=st.booleans(),
)
def test_timm(sched, rate, epochs, warmup, low, prefix, on_updates):
    """As its factory makes them of the arguments."""
    arguments = {"sched": sched, "epochs": epochs, "warmup_epochs": warmup, "min_lr": low, "warmup_prefix": prefix}
    arguments |= {"sched_on_updates": on_updates, "decay_epochs": 3, "decay_milestones": [20, 28]}
    theirs = optimizer(rate)
    scheduler, _ = timm.create_scheduler(SimpleNamespace(**arguments), theirs, updates_per_epoch=4)
    every = 4 * epochs if on_updates else epochs
    expected = []
    for t in range(every):
        (scheduler.step_update if on_updates else scheduler.step)(t)
        expected.append(theirs.param_groups[0]["lr"])
    schedule = parse({**arguments, "lr": rate, "model": "resnet50"}, steps_per_epoch=4, strict=True)
    steps = schedule.table(4 * epochs)
    per_epoch = steps if on_updates else steps[::4]
    assert np.abs(per_epoch - expected).max() <= 1e-11 * rate
    assert on_updates or (steps.reshape(-1, 4) == steps[::4, None]).all(), "in epochs it changes once an epoch"


def test_timm_defaults_are_those_of_its_training_script():
    """`--epochs 300 --decay-epochs 90 --decay-milestones 90 180 270 --lr-cycle-decay 0.5 --warmup-epochs 5`."""
    assert parse({"sched": "cosine", "lr": 1.0})(150) == pytest.approx(0.5)
    assert parse({"sched": "cosine", "lr": 1.0}).length == 300
    cycles = parse({"sched": "cosine", "lr": 1.0, "epochs": 10, "lr_cycle_limit": 2})
    assert cycles(10) == 0.5
    step, multistep = (parse({"sched": sched, "lr": 1.0}) for sched in ("step", "multistep"))
    assert [step(t) for t in (5, 89, 90, 180)] == pytest.approx([1.0, 1.0, 0.1, 0.01])
    assert [multistep(t) for t in (88, 89, 269)] == pytest.approx([1.0, 0.1, 0.001])
    assert parse({"sched": "step", "lr": 1.0})(0) == 1e-5, "5 epochs of warm-up, from 1e-5"


# ---- Megatron ----


def test_megatron_in_iterations():
    arguments = {"lr": 1e-3, "min_lr": 1e-4, "lr_decay_style": "cosine", "train_iters": 1000, "lr_warmup_iters": 100}
    expected = megatron.OptimizerParamScheduler(0.0, 1e-3, 1e-4, 100, 1000, "cosine")
    assert parse({**arguments, "hidden_size": 1024, "weight_decay": 0.1}) == expected
    assert parse({f"--{key.replace('_', '-')}": given for key, given in arguments.items()}) == expected
    assert parse({**arguments, "lr_decay_iters": 500}).length == 500


def test_megatron_in_samples():
    arguments = {"lr": 1.0, "train_samples": 1000, "lr_warmup_samples": 150, "global_batch_size": 20}
    schedule = parse(arguments)
    assert schedule == megatron.OptimizerParamScheduler(0.0, 1.0, 0.0, 150, 1000, "linear", samples_per_update=20)
    assert schedule(1) == pytest.approx(20 / 150)


@given(share=st.integers(0, 999).map(lambda mil: mil / 1000), iters=st.integers(1, 500))
@settings(max_examples=40, deadline=None)
def test_megatron_warmup_by_its_share(share, iters):
    """A warm-up that ends between two iterations is not rounded."""
    schedule = parse({"lr": 1.0, "train_iters": iters, "lr_warmup_fraction": share})
    end = share * iters
    for t in range(iters + 1):
        expected = t / end if t <= end and end else (iters - t) / (iters - end)
        assert schedule(t) == pytest.approx(expected, abs=1e-9)


def test_megatron_wsd():
    arguments = {"lr": 1.0, "train_iters": 100, "lr_decay_style": "WSD", "lr_wsd_decay_iters": 20}
    expected = megatron.OptimizerParamScheduler(0.0, 1.0, 0.0, 0, 100, "WSD", 20, "exponential")
    assert parse(arguments) == expected


def test_megatron_weight_decay_is_another_schedule():
    ramp = {"start_weight_decay": 0.01, "end_weight_decay": 0.1, "weight_decay_incr_style": "cosine"}
    assert parse({"lr": 1.0, "train_iters": 100, **ramp}) == parse({"lr": 1.0, "train_iters": 100})
    assert megatron.get_wd(0.01, 0.1, 100, "cosine")(50) == pytest.approx(0.055)


@pytest.mark.parametrize(
    "arguments",
    [
        {"sched": "cosine", "lr": 0.1, "warmup_epochs": 3},
        {"lr_scheduler_type": "cosine", "learning_rate": 0.1, "max_steps": 9},
        {"learning_rate": 0.1, "max_steps": 9},
        {"lr": 0.1, "lr_decay_style": "cosine", "train_iters": 9},
    ],
)
def test_command_lines(arguments):
    """The framework is told from keys with dashes too."""
    assert parse({f"--{key.replace('_', '-')}": item for key, item in arguments.items()}) == parse(arguments)


# ---- What is wrong ----


def wrong(config, **options):
    with pytest.raises(ConfigError) as caught:
        parse(config, **options)
    return dict(caught.value.errors)


def test_all_errors_at_once_with_their_paths():
    config = {"scheduler": {"type": "WarmupCosineLR", "params": {"total_num_step": 9, "warmup_type": "log "}}}
    errors = wrong(config)
    assert set(errors) == {
        "scheduler.params.total_num_step",
        "scheduler.params.total_num_steps",
        "scheduler.params.warmup_type",
        "optimizer.params.lr",
    }
    assert "did you mean 'total_num_steps'" in errors["scheduler.params.total_num_step"]


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({"scheduler": {"type": "WarmpLR"}}, "scheduler.type", "did you mean 'WarmupLR'"),
        ({"scheduler": {"type": "WarmupLR", "params": 3}}, "scheduler.params", "expected a mapping, got 3"),
        (
            {"scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": 1.0, "last_batch_iteration": 10}}},
            "scheduler.params.last_batch_iteration",
            "expected -1, as a schedule knows every update",
        ),
        (
            {"scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": "auto"}}},
            "scheduler.params.warmup_max_lr",
            "expected a number, got 'auto'",
        ),
        ({"learning_rate": 0.1, "max_steps": 9, "warmup_step": 3}, "warmup_step", "did you mean 'warmup_steps'"),
        (
            {"learning_rate": 0.1, "lr_schedular_type": "linear"},
            "lr_schedular_type",
            "did you mean 'lr_scheduler_type'",
        ),
        ({"learning_rate": 0.1}, "max_steps", "expected the updates of the run, or steps_per_epoch beside"),
        ({"learning_rate": 0.1, "max_steps": 9.5}, "max_steps", "an int >= 1"),
        ({"lr_scheduler_type": "reduce_lr_on_plateau"}, "lr_scheduler_type", "hangs on a metric"),
        ({"lr_scheduler_type": "SchedulerType.REDUCE_ON_PLATEAU"}, "lr_scheduler_type", "hangs on a metric"),
        ({"lr_scheduler_type": "greedy"}, "lr_scheduler_type", "hangs on a metric of the run and is no schedule"),
        ({"sched": "plateau", "lr": 0.1}, "sched", "hangs on a metric of the run"),
        ({"sched": "none", "lr": 0.1}, "sched", "with which timm leaves the learning rate alone"),
        ({"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "lr": 0.1}, "_target_", "hangs on a metric"),
        (
            {"_target_": "transformers.get_scheduler", "name": "reduce_lr_on_plateau", "lr": 0.1},
            "name",
            "hangs on a metric",
        ),
        ({"_target_": "transformers.optimization.get_scheduler", "lr": 0.1}, "name", "expected a value, got nothing"),
        ({"_target_": "transformers.get_scheduler", "name": "linear"}, "optimizer.lr", "expected the learning rate"),
        (
            {"_target_": "transformers.get_scheduler", "name": "linear", "lr": 0.1, "num_warmup_step": 3},
            "num_warmup_step",
            "did you mean 'num_warmup_steps'",
        ),
        ({"sched": "cosine", "lr": None, "lr_base": 0.1}, "lr", "got lr_base alone: timm computes lr = lr_base * r"),
        (
            {"lr_scheduler_type": "cosine", "max_steps": 9, "lr_scheduler_kwargs": "{min_lr"},
            "lr_scheduler_kwargs",
            "expected a mapping, or one as JSON",
        ),
        (
            {"scheduler": {"type": "WarmupCosineLR", "params": {"total_num_steps": "auto"}}},
            "scheduler.params.total_num_steps",
            "got 'auto', which the Trainer of transformers fills in: give its value",
        ),
        (
            {"scheduler": {"type": "WarmupLR"}, "optimizer": {"params": {"lr": "auto"}}},
            "optimizer.params.lr",
            "which the Trainer of transformers fills in",
        ),
        (
            {"gan": {"scheduler": STEP}, "critic": {"scheduler": STEP}},
            "",
            "expected one scheduler, got gan.scheduler, critic.scheduler",
        ),
        (
            {"lr_scheduler_type": "cosine", "max_steps": 9, "lr_scheduler_kwargs": {"num_cycle": 1}},
            "lr_scheduler_kwargs.num_cycle",
            "did you mean 'num_cycles'",
        ),
        ({"sched": "cosine", "lr": 0.1, "warmup_epoch": 3}, "warmup_epoch", "did you mean 'warmup_epochs'"),
        ({"sched": "cosin", "lr": 0.1}, "sched", "did you mean 'cosine'"),
        ({"sched": "cosine"}, "lr", "expected a value, got nothing"),
        ({"sched": "cosine", "lr": 0.1, "lr_noise": []}, "lr_noise", "expected a share of the run, or two"),
        (
            {"sched": "cosine", "lr": 0.1, "sched_on_updates": True},
            "sched_on_updates",
            "expected steps_per_epoch beside",
        ),
        ({"lr": 1.0, "train_iters": 9, "lr_decay_styl": "linear"}, "lr_decay_styl", "did you mean 'lr_decay_style'"),
        ({"lr": 1.0, "train_iters": 9, "min_lr": 2.0}, "lr", "expected a number >= min_lr"),
        (
            {"lr": 1.0, "train_samples": 900, "global_batch_size": 8, "rampup_batch_size": ["2", "2", "100"]},
            "rampup_batch_size",
            "expected none, as the samples of an update would change within the run",
        ),
        ({"lr": 1.0, "train_samples": 9}, "global_batch_size", "expected a value, got nothing"),
        ({"scheduler": STEP}, "optimizer.lr", "expected the learning rate that StepLR takes from there"),
        (
            {"scheduler": {**STEP, "_target_": "torch.optim.lr_scheduler.SteppLR"}, "optimizer": SGD},
            "scheduler._target_",
            "did you mean 'StepLR'",
        ),
        (
            {"scheduler": {"_target_": "os.system", "command": "true"}, "optimizer": SGD},
            "scheduler._target_",
            "expected a schedule of torch",
        ),
        ({"scheduler": {"name": "cosine_warmup"}, "optimizer": SGD}, "scheduler.name", "did you mean"),
        (
            {"scheduler": {"name": "cosine"}, "optimizer": SGD, "max_duration": "1dur"},
            "max_duration",
            'expected a time such as "4800ba"',
        ),
        (
            {"scheduler": {"name": "cosine"}, "optimizer": SGD, "max_duration": "1ep", "scale_schedule_ratio": 0.5},
            "scale_schedule_ratio",
            "expected one that leaves something of '1ep', got 0.5",
        ),
        (
            {"schedulers": {"cosine": {}}, "optimizers": {"a": {"lr": 1.0}, "b": {"lr": 2.0}}},
            "optimizers",
            "expected one optimizer, got a, b",
        ),
        (
            {"scheduler": {"name": "cosine", "t_max": "1e99999999dur"}, "optimizer": SGD, "max_duration": "9ba"},
            "scheduler.t_max",
            "expected a time such as",
        ),
        ({"schedulers": [], "optimizer": SGD}, "schedulers", "at least one scheduler"),
        ({"steps": 3}, "", "expected the configuration of one framework, got no framework's"),
        ({"sched": "cosine", "lr_scheduler_type": "linear"}, "", "more than one framework's: say which"),
    ],
)
def test_refusals(config, path, message):
    errors = wrong(config)
    assert path in errors
    assert message in errors[path]


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"scheduler": {"type": "WarmupLR", "params": {2: 3, "warmup_max_lr": 1.0}}}, "scheduler.params.2"),
        ({"lr_scheduler_type": "linear", "max_steps": 9, "lr_scheduler_kwargs": {2: 3}}, "lr_scheduler_kwargs.2"),
        ({"scheduler": {**STEP, 2: 3}, "optimizer": SGD}, "scheduler.2"),
        ({"schedulers": {2: {}}, "optimizer": SGD}, "schedulers.2.name"),
    ],
)
def test_keys_that_are_no_texts(config, path):
    """As YAML has them."""
    assert set(wrong(config)) == {path}
    ignored = {2: 3, "sched": "cosine", "lr": 0.1}
    assert parse(ignored).length == 300


def test_arguments_of_parse():
    with pytest.raises(TypeError, match=r"parse.config: expected a mapping"):
        parse([("sched", "cosine")])
    with pytest.raises(ValueError, match=r"parse.framework: .*did you mean 'deepspeed'"):
        parse({}, "deepsped")
    with pytest.raises(TypeError, match=r"parse.strict: expected True or False"):
        parse({"sched": "cosine", "lr": 0.1}, strict=1)
    with pytest.raises(ValueError, match=r"parse.steps_per_epoch: expected .* an int >= 1"):
        parse({"sched": "cosine", "lr": 0.1}, steps_per_epoch=0)
    assert parse({"sched": "cosine", "lr": 0.1, "lr_scheduler_type": "linear"}, "timm").length == 300
    with pytest.raises(AttributeError, match="has no attribute 'prase'"):
        _ = dialects.prase


# ---- Whatever comes ----

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.integers(), st.floats(), st.text(max_size=6), st.just("10ba")
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = {
    "deepspeed": (
        {"scheduler": {"type": "WarmupDecayLR", "params": {"total_num_steps": 9}}},
        ["scheduler", "optimizer"],
    ),
    "transformers": ({"lr_scheduler_type": "cosine", "max_steps": 9}, [*_readers._HF_KEYS]),
    "timm": ({"sched": "cosine", "lr": 0.1}, ["sched", "lr", *_readers._TIMM]),
    "megatron": ({"lr": 0.1, "train_iters": 9}, [*_readers._MEGATRON_KEYS]),
    "hydra": (
        {"scheduler": STEP, "optimizer": SGD},
        ["scheduler", "optimizer", "_target_", "lr", "schedulers", "model"],
    ),
    "composer": (
        {"scheduler": {"name": "cosine"}, "optimizer": SGD},
        ["scheduler", "schedulers", "optimizer", "max_duration", "scale_schedule_ratio"],
    ),
}


@pytest.mark.parametrize("framework", KEYS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_comes_is_a_schedule_or_refused(framework, data):
    base, keys = KEYS[framework]
    config = base | data.draw(st.dictionaries(st.sampled_from(keys), anything, max_size=4))
    try:
        found = parse(config, framework)
    except ConfigError as error:
        found = error
    if isinstance(found, ConfigError):
        assert found.errors
        assert all(isinstance(path, str) and message for path, message in found.errors)
    else:
        assert isinstance(found, lrcore.Schedule)
