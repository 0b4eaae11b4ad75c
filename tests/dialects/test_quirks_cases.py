"""Each quirk of each peer, by a call that has it, and by one that has not: only of the first it is named."""

import inspect
from functools import partial

import pytest

from lrcore import Constant, Linear, lint
from lrcore.dialects import fvcore, olmo, timm, torch
from lrcore.dialects._dialect import PEERS
from lrcore.dialects._page import frameworks

frameworks()  # all of them are declared once they are imported

RISE = torch.LinearLR(1.0, 0.5, total_iters=2)
FALL = torch.ExponentialLR(1.0, 0.9)
COSINE = {"base_lr": 1.0, "num_warmup_steps": 2, "num_training_steps": 8}
MEGATRON = {"lr_warmup_steps": 2, "lr_decay_steps": 9}
FLAT = {"initial_lr": 1.0, "max_steps": 8, "warmup": 0}
SWA = torch.SWALR(1.0, 0.05, 3)
CYCLE = {"init_value": 0.1, "peak_value": 0.0, "warmup_steps": 1, "decay_steps": 3}

# {peer: {quirk: (arguments that meet it, arguments that do not)}}. Where strict always makes a difference there are
# none that do not, and it is the call without strict that has it not.
CASES = {
    "deepspeed.WarmupLR": {
        "twice-at-start": ({"base_lr": 0.1}, {"base_lr": 0.1, "warmup_min_lr": 0.1, "warmup_type": "linear"}),
    },
    "deepspeed.WarmupDecayLR": {"twice-at-start": ({"total_num_steps": 2000}, None)},
    "deepspeed.WarmupCosineLR": {
        "twice-at-start": (
            {"base_lr": 0.1, "total_num_steps": 9, "warmup_num_steps": 4},
            {"base_lr": 0.0, "total_num_steps": 9, "warmup_num_steps": 4},
        ),
        "peak-unused": (
            {"base_lr": 0.1, "total_num_steps": 9, "warmup_num_steps": 4, "warmup_type": "linear"},
            {"base_lr": 0.1, "total_num_steps": 9, "warmup_num_steps": 4, "warmup_type": "log"},
        ),
        "rises-again": (
            {"base_lr": 0.1, "total_num_steps": 9, "warmup_num_steps": 4},
            {"base_lr": 0.1, "total_num_steps": 9, "warmup_num_steps": 4, "cos_min_ratio": 1.0},
        ),
    },
    "fairseq.cosine": {
        "restarts-past-end": ({"lr": 1.0, "max_update": 9}, {"lr": 1.0, "max_update": 9, "lr_period_updates": 9}),
    },
    "fvcore.CompositeParamScheduler": {
        "goes-on": tuple(
            {
                "schedulers": [
                    fvcore.ConstantParamScheduler(0.5, 4),
                    partial(fvcore.LinearParamScheduler, 0.5, end, strict=True),
                ],
                "lengths": [0.5, 0.5],
                "interval_scaling": ["fixed", "fixed"],
                "num_updates": 4,
            }
            for end in (0.1, 0.5)
        ),
    },
    "keras.CosineDecay": {
        "warmup-ignored": (
            {"initial_learning_rate": 0.1, "decay_steps": 10, "warmup_steps": 5},
            {"initial_learning_rate": 0.1, "decay_steps": 10, "warmup_steps": 5, "warmup_target": 0.2},
        ),
    },
    "megatron.OptimizerParamScheduler": {
        "drops": tuple(
            {"init_lr": 0.0, "max_lr": 1.0, "min_lr": 0.1, "lr_decay_style": style} | MEGATRON
            for style in ("inverse-square-root", "cosine")
        ),
    },
    "olmo.WSD": {"goes-negative": ({**FLAT, "decay": 4}, {**FLAT, "warmup": 2, "decay": 0})},
    "olmo.PowerLR": {"goes-negative": ({**FLAT, "warmup": 2, "decay": 4}, {**FLAT, "warmup": 2, "decay": 0})},
    "olmo.CosWithWarmupAndLinearDecay": {"goes-negative": ({**FLAT, "decay": 4}, {**FLAT, "warmup": 2, "decay": 0})},
    "optax.warmup_constant_schedule": {
        "never-moves": tuple({"init_value": 0.1, "peak_value": 1.0, "warmup_steps": steps} for steps in (0, 1)),
    },
    "optax.warmup_cosine_decay_schedule": {
        "end-lost": tuple({**CYCLE, "peak_value": peak, "end_value": 0.5} for peak in (0.0, 1.0)),
    },
    "optax.sgdr_schedule": {
        "end-lost": tuple({"cosine_kwargs": [{**CYCLE, "peak_value": peak, "end_value": 0.5}]} for peak in (0.0, 1.0)),
    },
    "optax.linear_onecycle_schedule": {
        "phases-lost": tuple({"transition_steps": steps, "peak_value": 1.0} for steps in (1, 20)),
    },
    "optax.cosine_onecycle_schedule": {
        "phases-lost": tuple({"transition_steps": 9, "peak_value": 1.0, "pct_start": share} for share in (1.0, 0.5)),
    },
    "optax.join_schedules": {
        "branches-lost": tuple(
            {"schedules": [Constant(1.0), Linear(1.0, 0.0, 3), Constant(0.0)], "boundaries": boundaries}
            for boundaries in ([4, 2], [2, 4])
        ),
    },
    "paddle.CosineAnnealingDecay": {
        "rises-again": tuple({"learning_rate": 1.0, "T_max": 9, "eta_min": low} for low in (0.0, 1.0)),
    },
    "paddle.OneCycleLR": {"extrapolates": ({"max_learning_rate": 1.0, "total_steps": 10}, None)},
    "tf1.noisy_linear_cosine_decay": {
        "noise-goes-on": tuple(
            {"learning_rate": 1.0, "decay_steps": 10, "num_periods": periods} for periods in (0.4, 0.5)
        ),
    },
    "thinc.slanted_triangular": {"goes-negative": ({"max_rate": 1.0, "num_steps": 40}, None)},
    "timm.TanhLRScheduler": {"first-is-base": ({"base_lr": 1.0, "t_initial": 9}, {"base_lr": 0.0, "t_initial": 9})},
    "timm.StepLRScheduler": {
        "misses-drops": tuple({"base_lr": 1.0, "decay_t": span, "decay_rate": 0.5} for span in (2.6, 2.5)),
    },
    "timm.MultiStepLRScheduler": {
        "one-early": tuple(
            {"base_lr": 1.0, "decay_t": [at], "decay_rate": 0.5, "warmup_t": 5, "warmup_prefix": False} for at in (6, 5)
        ),
        "first-is-base": tuple({"base_lr": 1.0, "decay_t": [at], "decay_rate": 0.5} for at in (1, 2)),
    },
    "torch.ConstantLR": {"stays-at-start": tuple({"base_lr": 0.1, "total_iters": span} for span in (0, 1))},
    "torch.LinearLR": {"stays-at-start": tuple({"base_lr": 0.1, "total_iters": span} for span in (0, 1))},
    "torch.PolynomialLR": {"stays-at-start": tuple({"base_lr": 0.1, "total_iters": span} for span in (0, 1))},
    "torch.CosineAnnealingLR": {
        "rises-again": tuple({"base_lr": 1.0, "T_max": 9, "eta_min": low} for low in (0.0, 1.0)),
    },
    "torch.OneCycleLR": {"extrapolates": ({"max_lr": 1.0, "total_steps": 10}, None)},
    "torch.SequentialLR": {
        "inner-is-ahead": (
            {"schedulers": [torch.SequentialLR([RISE, FALL], [3]), FALL], "milestones": [6]},
            {"schedulers": [RISE, SWA], "milestones": [1]},
        ),
        "goes-on": (
            {"schedulers": [RISE, SWA], "milestones": [1]},
            {"schedulers": [FALL, torch.OneCycleLR(0.5, 9)], "milestones": [4]},
        ),
        "rebased": (
            {"schedulers": [FALL, torch.OneCycleLR(0.5, 9)], "milestones": [4]},
            {"schedulers": [RISE, SWA], "milestones": [1]},
        ),
    },
    "torch.ChainedScheduler": {
        "overwrites": (
            {"base_lr": 1.0, "schedulers": [RISE, torch.CosineAnnealingWarmRestarts(1.0, 5)]},
            {"base_lr": 1.0, "schedulers": [RISE, torch.CosineAnnealingLR(1.0, 9, 0.1)]},
        ),
        "floor-moves": (
            {"base_lr": 1.0, "schedulers": [RISE, torch.CosineAnnealingLR(1.0, 9, 0.1)]},
            {"base_lr": 1.0, "schedulers": [RISE, torch.CosineAnnealingWarmRestarts(1.0, 5)]},
        ),
    },
    "torchtitan.linear_warmup_stable_decay": {
        "past-its-end": tuple({"base_lr": 1.0, "training_steps": 9, "warmup_steps": steps} for steps in (2, 9)),
    },
    "transformers.get_cosine_schedule_with_warmup": {"rises-again": (COSINE, None)},
    "transformers.get_cosine_with_hard_restarts_schedule_with_warmup": {
        "misses-restarts": tuple(
            {"base_lr": 1.0, "num_warmup_steps": 0, "num_training_steps": steps, "num_cycles": cycles}
            for steps, cycles in ((49, 49), (48, 4))
        ),
    },
    "transformers.get_cosine_with_min_lr_schedule_with_warmup": {
        "rises-again": ({**COSINE, "min_lr": 0.0}, None),
    },
    "transformers.get_cosine_with_min_lr_schedule_with_warmup_lr_rate": {
        "rises-again": ({**COSINE, "min_lr": 0.0}, None),
    },
    "transformers.get_wsd_schedule": {
        "overlaps": tuple(
            {"base_lr": 1.0, "num_warmup_steps": 4, "num_decay_steps": 4, "num_training_steps": steps}
            for steps in (6, 8)
        ),
    },
}
for name in ("CosineLRScheduler", "PolyLRScheduler", "TanhLRScheduler"):
    CASES.setdefault(f"timm.{name}", {})["misses-restarts"] = tuple(
        {"base_lr": 1.0, "t_initial": 1, "cycle_mul": mul, "cycle_limit": 6} for mul in (3, 1)
    )
    CASES[f"timm.{name}"].setdefault(
        "first-is-base",
        tuple({"base_lr": 1.0, "t_initial": 9, "noise_range_t": begin} for begin in (0, 1)),
    )
for name, more in {"StepLRScheduler": {"decay_t": 9}, "WSDLRScheduler": {"t_initial": 9, "decay_t": 4}}.items():
    CASES.setdefault(f"timm.{name}", {})["first-is-base"] = tuple(
        {"base_lr": 1.0, **more, "noise_range_t": begin} for begin in (0, 1)
    )
for name in ("Cosine", "Linear"):
    CASES[f"fvcore.{name}ParamScheduler"] = {
        "goes-on": tuple({"start_value": 1.0, "end_value": end, "num_updates": 9} for end in (0.5, 1.0))
    }
CASES["fvcore.ExponentialParamScheduler"] = {"goes-on": ({"start_value": 1.0, "decay": 0.5, "num_updates": 9}, None)}
CASES["fvcore.PolynomialDecayParamScheduler"] = {"goes-on": ({"base_value": 1.0, "power": 2.0, "num_updates": 9}, None)}
for first, kind in {"base_lr": "LR", "base_momentum": "Momentum", "base_value": "ParamScheduler"}.items():
    CASES |= {
        f"mmengine.Constant{kind}": {
            "divides-by-zero": tuple({first: 1.0, "factor": factor, "end": 5} for factor in (0.0, 0.5)),
        },
        f"mmengine.Linear{kind}": {
            "divides-by-zero": tuple({first: 1.0, "start_factor": factor, "end": 5} for factor in (0.0, 0.5)),
        },
        f"mmengine.CosineAnnealing{kind}": {
            "rises-again": ({first: 1.0, "T_max": 3, "end": 9}, {first: 1.0, "T_max": 9, "end": 9}),
            "stops-short": ({first: 1.0, "T_max": 9, "end": 9}, {first: 1.0, "T_max": 3, "end": 9}),
        },
        f"mmengine.CosineRestart{kind}": {"stays-short": ({first: 1.0, "periods": [4], "eta_min": 0.0}, None)},
    }
for kind in ("LR", "ParamScheduler"):
    CASES[f"mmengine.OneCycle{kind}"] = {"extrapolates": ({"eta_max": 1.0, "total_steps": 9}, None)}
for name in ("exponential_decay", "warmup_exponential_decay_schedule", "linear_schedule", "polynomial_schedule"):
    plain = {"init_value": 1.0, "transition_steps": 5}
    plain |= {"decay_rate": 0.5} if "exponential" in name else {"end_value": 0.5}
    plain |= {"peak_value": 0.8, "warmup_steps": 2} if "warmup" in name else {}
    plain |= {"power": 2.0} if "polynomial" in name else {}
    CASES[f"optax.{name}"] = {
        "never-moves": ({**plain, "transition_steps": 0}, {**plain, "transition_begin": -1}),
        "begins-at-once": ({**plain, "transition_begin": -1}, {**plain, "transition_steps": 0, "transition_begin": -1}),
    }
    if "exponential" in name:
        CASES[f"optax.{name}"]["zero-rate-holds"] = ({**plain, "decay_rate": 0.0}, {**plain, "transition_begin": -1})
for name, more in {
    "ConstantWithWarmup": {},
    "WSD": {"decay": 0},
    "LinearWithWarmup": {"alpha_f": 1.0},
    "CosWithWarmup": {"alpha_f": 1.0},
    "HalfCosWithWarmup": {"alpha_f": 1.0},
    "CosWithWarmupAndLinearDecay": {"alpha_f": 1.0, "decay": 0},
}.items():
    CASES.setdefault(f"olmo.{name}", {})["counts-from-1"] = ({**FLAT, **more, "warmup": 2}, {**FLAT, **more})
CASES["olmo.PowerLR"]["counts-from-1"] = ({**FLAT, "warmup": 2}, None)
CASES["olmo.InvSqrtWithWarmup"] = {"counts-from-1": ({**FLAT, "warmup": 2}, None)}
CASES["olmo.ExponentialScheduler"] = {
    "counts-from-1": tuple({"initial_lr": 1.0, "max_steps": 8, "lr_min": low} for low in (0.5, 1.0))
}
CASES["olmo.WSDS"] = {
    "counts-from-1": ({"initial_lr": 1.0, "period_lengths": [4, 4], "warmup": 1, "decay": 2}, None),
}
CASES["olmo.ComposableScheduler"] = {
    "counts-from-1": tuple(
        {"initial_lr": 1.0, "stages": [{"duration": 4, "start_lr": 1.0, "end_lr": end}]} for end in (0.0, 1.0)
    ),
}
CASES["olmo.SequentialScheduler"] = {
    "counts-from-1": tuple(
        {
            "initial_lr": 1.0,
            "max_steps": 8,
            "schedulers": [partial(olmo.ConstantWithWarmup, warmup=updates) for updates in (warmup, 0)],
            "schedulers_max": [4],
        }
        for warmup in (2, 0)
    ),
}

RAISES = "divides-by-zero"  # what has no values: refused by strict
CASES["transformers.get_polynomial_decay_schedule_with_warmup"] = {
    RAISES: ({**COSINE, "num_warmup_steps": 8}, COSINE),
}
EACH = [(key, quirk) for key, quirks in CASES.items() for quirk in quirks]


def test_there_is_a_case_of_each_quirk_of_each_peer():
    assert {(peer.key, quirk.name) for peer in PEERS.values() for quirk in peer.quirks} == set(EACH)


def named(key, arguments, *, strict=True):
    """What lint names, of this peer."""
    build = PEERS[key].build
    made = build(**arguments, **({"strict": strict} if "strict" in inspect.signature(build).parameters else {}))
    reasons = [finding.reason for finding in lint(made, 60) if finding.name == "quirk"]
    assert [quirk.name for quirk in made.origin.quirks] == [
        reason.partition(":")[0].removeprefix(f"{key}, ") for reason in reasons if reason.startswith(f"{key}, ")
    ]
    return {quirk.name for quirk in made.origin.quirks}


@pytest.mark.parametrize(("key", "quirk"), EACH)
def test_what_has_it(key, quirk):
    arguments, _ = CASES[key][quirk]
    if quirk == RAISES:
        with pytest.raises(ValueError, match="expected"):
            PEERS[key].build(**arguments, strict=True)
    else:
        assert quirk in named(key, arguments)


@pytest.mark.parametrize(("key", "quirk"), EACH)
def test_what_has_it_not(key, quirk):
    has, has_not = CASES[key][quirk]
    assert quirk not in (named(key, has, strict=False) if has_not is None else named(key, has_not))


@pytest.mark.parametrize(("key", "quirk"), EACH)
def test_without_strict_only_what_is_always_there_is_named(key, quirk):
    """Of what the dialect takes without strict."""
    always = {quirk.name for quirk in PEERS[key].quirks if quirk.always}
    for arguments in CASES[key][quirk]:
        try:
            PEERS[key].build(**arguments or CASES[key][quirk][0])
        except ValueError:
            continue
        assert named(key, arguments or CASES[key][quirk][0], strict=False) <= always


def test_a_run_too_long_to_compare():
    """What its arguments say is enough."""
    assert named("timm.CosineLRScheduler", {"base_lr": 1.0, "t_initial": 10**6, "noise_range_t": 0}) == {
        "first-is-base"
    }
    restarts = {"base_lr": 1.0, "t_initial": 1, "cycle_mul": 3, "cycle_limit": 12}
    assert named("timm.CosineLRScheduler", restarts) == {"misses-restarts"}
    assert not timm.CosineLRScheduler(1.0, 10**6, cycle_mul=2, cycle_limit=3, strict=True).origin.quirks


def test_a_chain_of_one_is_that_one():
    """torch does with it what it does by itself, so nothing is overwritten."""
    for single in (torch.CosineAnnealingWarmRestarts(1.0, 5), torch.CosineAnnealingLR(1.0, 9, 0.1)):
        assert not torch.ChainedScheduler(1.0, [single], strict=True).origin.quirks


def test_a_table_within_names_nothing_of_its_own():
    """What torch did to a chain, within a product: the quirks of the chain alone."""
    chain = torch.ChainedScheduler(1.0, [RISE, torch.CosineAnnealingLR(1.0, 9, 0.1)], strict=True)
    reasons = [finding.reason for finding in lint(chain * 0.5, 60) if finding.name == "quirk"]
    assert [reason.partition(":")[0] for reason in reasons] == ["torch.ChainedScheduler, floor-moves"]
