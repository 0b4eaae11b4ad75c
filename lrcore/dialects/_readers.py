"""How each framework's configurations are read: see `_configs.parse`. A new framework is one function here."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lrcore import _check
from lrcore._check import not_negative, number, positive, value, whole
from lrcore.dialects._configs import BaseRate, Config, call, peer_of, peers_of, reader
from lrcore.dialects._dialect import Peer, many
from lrcore.schedule import Schedule

_FRAMEWORKS = (
    *("torch", "transformers", "timm", "deepspeed", "composer", "paddle", "olmo", "ignite", "mmengine", "fvcore"),
    *("keras", "optax", "mlx"),
)
_PACKAGES = {"olmo_core": "olmo", "tf_keras": "keras"}  # that have another name than their dialect
_METRIC_DRIVEN = (
    "reduce_lr_on_plateau",
    "reduce_on_plateau",
    "greedy",
    "plateau",
    "reducelronplateau",
    "reduceonplateaulr",
    "plateaulrscheduler",
)
_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*\.?[0-9]*[eE][+-]?[0-9]+")


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, Mapping) else {}


def _flat(config: Config) -> Config:
    """Arguments of a command line: "lr-decay-style" is "lr_decay_style", and None is not given."""
    keys = {_spelling(key): _plain(item) for key, item in config.keys.items()}
    return Config({key: item for key, item in keys.items() if item is not None}, config.path, config.errors)


def _spelling(key: Any) -> str:
    return str(key).removeprefix("--").replace("-", "_")


def _spelt(config: Mapping[Any, Any]) -> set[str]:
    return set(map(_spelling, config))


def _plain(given: Any) -> Any:
    """A number that PyYAML takes for a text, as it does 1e-3."""
    return float(given) if isinstance(given, str) and _NUMBER.fullmatch(given) else given


def _metric_driven(config: Config, key: str, name: Any) -> bool:
    """Notes the error of a scheduler that is none of time."""
    if str(name).lower() not in _METRIC_DRIVEN:
        return False
    config.wrong(key, f"expected a schedule, got {name!r}, which hangs on a metric of the run and is no schedule")
    return True


def _names_a_schedule(config: Mapping[str, Any]) -> bool:
    framework, name = _framework_of(config), _target(config).rpartition(".")[2]
    return "schedul" in _target(config) or (framework in _FRAMEWORKS and name in _names_of(framework))


def _framework_of(config: Mapping[str, Any]) -> str:
    """The dialect of its `_target_`, or the package."""
    package = _target(config).partition(".")[0]
    return _PACKAGES.get(package, package)


def _names_of(framework: str) -> list[str]:
    try:
        return peers_of(framework)
    except ImportError:
        return []


def _target(config: Mapping[str, Any]) -> str:
    return str(config.get("_target_", ""))


def _base_of(config: Config) -> BaseRate:
    optimizer = config.within("optimizer") if isinstance(config.keys.get("optimizer"), Mapping) else None
    if optimizer and optimizer.keys.get("lr") is not None:
        return BaseRate(_plain(optimizer.keys["lr"]), optimizer.at("lr"))
    for key in ("base_lr", "lr", "learning_rate"):
        if config.keys.get(key) is not None:
            return BaseRate(_plain(config.keys[key]), config.at(key))
    return BaseRate(None, config.at("optimizer.lr"))


# ---- DeepSpeed ----

_MOMENTUM = ("cycle_momentum", "cycle_min_mom", "cycle_max_mom", "decay_mom_rate")
_BEGINS = "last_batch_iteration"
_AUTO = "auto"


def _needs_rate(peer: Peer, params: Mapping[str, Any]) -> bool:
    """Of the optimizer, which a `warmup_max_lr` stands for."""
    return "base_lr" in inspect.signature(peer.build).parameters and params.get("warmup_max_lr") is None


def _json(given: Any) -> Any:
    """A value for one parameter group may be a list of one; a whole number may be written as 1e4."""
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    given = _plain(given)
    return int(given) if isinstance(given, float) and given.is_integer() else given


@reader("deepspeed", lambda config: "type" in _mapping(config, "scheduler"))
def deepspeed(config: Config, strict: bool, _steps_per_epoch: int | None) -> Schedule | None:
    """Its JSON."""
    scheduler = config.within("scheduler")
    names = peers_of("deepspeed")
    if _metric_driven(scheduler, "type", scheduler.keys.get("type")):
        return None
    name = scheduler.take("type", _check.choice(*names))
    optimizer = config.within("optimizer").within("params")
    params = scheduler.within("params")
    peer = peer_of("deepspeed", name) if name else None
    if peer is None:
        return None
    filled = [(params, key) for key in inspect.signature(peer.build).parameters if params.keys.get(key) == _AUTO]
    if optimizer.keys.get("lr") == _AUTO and _needs_rate(peer, params.keys):
        filled.append((optimizer, "lr"))
    for place, key in filled:
        place.wrong(
            key, f"expected a number, got {_AUTO!r}, which the Trainer of transformers fills in: give its value"
        )
    begins = params.take(_BEGINS, number, -1)
    if begins not in (None, -1):
        message = "expected -1, as a schedule knows every update and is asked for the one at which it is resumed"
        params.wrong(_BEGINS, f"{message}, got {begins!r}")
    if filled or begins != -1:
        return None
    given = {key: _json(item) for key, item in params.keys.items() if key not in (*_MOMENTUM, _BEGINS)}
    rate = optimizer.keys.get("lr")
    base = BaseRate(None if rate == _AUTO else _plain(rate), optimizer.at("lr"))
    return call(peer, params, base, strict=strict, given=given)


# ---- transformers ----

_HF_KEYS = (
    *("lr_scheduler_type", "learning_rate", "warmup_steps", "warmup_ratio", "max_steps", "num_train_epochs"),
    "lr_scheduler_kwargs",
)
_HF_GIVEN = ("base_lr", "num_warmup_steps", "num_training_steps", "strict")  # by the other keys, and to `parse`


@reader(
    "transformers",
    lambda config: (
        "lr_scheduler_type" in _spelt(config) or ("learning_rate" in _spelt(config) and not _names_a_schedule(config))
    ),
)
def transformers(config: Config, strict: bool, steps_per_epoch: int | None) -> Schedule | None:
    """Values of TrainingArguments, with its defaults."""
    from lrcore.dialects import transformers as dialect

    config = _flat(config)
    config.refuse_slips(_HF_KEYS, prefixes=("lr_", "warmup"))
    kind = getattr(config.keys.get("lr_scheduler_type"), "value", config.keys.get("lr_scheduler_type", "linear"))
    if isinstance(kind, str):  # str(SchedulerType.COSINE) is "SchedulerType.COSINE"
        kind = kind.removeprefix("SchedulerType.").lower() if kind.startswith("SchedulerType.") else kind
    if _metric_driven(config, "lr_scheduler_type", kind):
        return None
    kind = config.checked("lr_scheduler_type", _check.choice(*dialect.SCHEDULERS), kind)
    rate = config.take("learning_rate", value, 5e-5)
    steps = _hf_steps(config, steps_per_epoch, needed=kind not in (None, "constant", *dialect._IGNORE_TRAINING_STEPS))
    warmup = _hf_warmup(config, steps)
    extra = _hf_extra(config)
    if config.errors or kind is None:
        return None
    arguments = {"num_warmup_steps": warmup, "num_training_steps": steps}
    peer = dialect.SCHEDULERS[kind]
    known = [name for name in getattr(peer, "checks", {}) if name not in _HF_GIVEN]
    slips = [key for key in extra.keys if key not in known and kind not in dialect._IGNORE_SPECIFIC]
    for key in slips:
        extra.wrong(key, f"expected an argument of {kind!r}, got {key!r}{_check.did_you_mean(str(key), known)}")
    if slips:
        return None
    try:
        return dialect.get_scheduler(kind, rate, scheduler_specific_kwargs=extra.keys, strict=strict, **arguments)
    except (ValueError, TypeError) as error:
        extra.wrong("", str(error))
        return None


def _hf_extra(config: Config) -> Config:
    """The arguments of the schedule alone, which a command line gives as JSON."""
    given = config.keys.get("lr_scheduler_kwargs")
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else {}
        except (ValueError, RecursionError):
            config.wrong("lr_scheduler_kwargs", f"expected a mapping, or one as JSON, got {_check.shown(given)}")
            given = None
    return Config({} if given is None else given, config.at("lr_scheduler_kwargs"), config.errors)


def _hf_steps(config: Config, steps_per_epoch: int | None, *, needed: bool) -> int | None:
    most = config.take("max_steps", number, -1)
    if most is None or most > 0:
        steps: int | None = config.checked("max_steps", whole(1), config.keys["max_steps"])
        return steps
    epochs = config.take("num_train_epochs", positive, 3.0)
    if steps_per_epoch is None:
        if needed:
            config.wrong("max_steps", "expected the updates of the run, or steps_per_epoch beside, got neither")
        return None
    return None if epochs is None else math.ceil(epochs * steps_per_epoch)


def _hf_warmup(config: Config, steps: int | None) -> int:
    """Updates; below 1 a share of the run, rounded up."""
    given, ratio = config.take("warmup_steps", not_negative, 0), config.take("warmup_ratio", not_negative, 0.0)
    if given is None or ratio is None or given >= 1:
        return 0 if given is None else int(given)
    share = given or ratio
    if share and steps is None:
        config.wrong("max_steps", "expected the updates of the run, which a warm-up by its share needs, got nothing")
    return math.ceil((steps or 0) * float(share))


# ---- timm ----


def _shares(where: str, given: Any) -> Any:
    if not isinstance(given, (list, tuple)):
        return not_negative(where, given)
    return many(not_negative, "shares")(where, given) or _check.refuse(where, "a share of the run, or two", given)


# Each argument of its training script: what its factory calls it, and the default of the script, which is not always
# that of the factory.
_TIMM: dict[str, tuple[str, _check.Check, Any]] = {
    "epochs": ("num_epochs", whole(1), 300),
    "decay_epochs": ("decay_epochs", positive, 90),
    "decay_milestones": ("decay_milestones", many(whole(0), "epochs"), (90, 180, 270)),
    "warmup_epochs": ("warmup_epochs", whole(0), 5),
    "decay_rate": ("decay_rate", positive, 0.1),
    "min_lr": ("min_lr", value, 0.0),
    "warmup_lr": ("warmup_lr", value, 1e-5),
    "warmup_prefix": ("warmup_prefix", _check.flag, False),
    "lr_noise": ("noise", _shares, None),
    "lr_noise_pct": ("noise_pct", positive, 0.67),
    "lr_noise_std": ("noise_std", positive, 1.0),
    "seed": ("noise_seed", whole(0), 42),
    "lr_cycle_mul": ("cycle_mul", positive, 1.0),
    "lr_cycle_decay": ("cycle_decay", positive, 0.5),
    "lr_cycle_limit": ("cycle_limit", whole(0), 1),
    "lr_k_decay": ("k_decay", positive, 1.0),
    "lr_decay_fn": ("decay_fn", lambda _where, given: given, None),
    "lr_stable_timescale": ("stable_timescale", positive, None),
}
_TIMM_OTHERS = ("lr_base", "lr_base_size", "lr_base_scale", "patience_epochs", "cooldown_epochs")


def _timm_rate(config: Config) -> Any:
    if config.keys.get("lr") is not None or config.keys.get("lr_base") is None:
        return config.take("lr", value)
    computed = "lr_base * r with r = batch size of all devices / lr_base_size, or sqrt(r) with lr_base_scale 'sqrt'"
    config.wrong("lr", f"expected a number, got lr_base alone: timm computes lr = {computed}; give what it comes to")
    return None


@reader("timm", lambda config: "sched" in _spelt(config))
def timm(config: Config, strict: bool, steps_per_epoch: int | None) -> Schedule | None:
    """Arguments of its training script."""
    from lrcore.dialects import timm as dialect

    config = _flat(config)
    config.refuse_slips(
        (*_TIMM, "sched", "lr", "sched_on_updates"), prefixes=("lr_", "warmup", "sched"), others=_TIMM_OTHERS
    )
    if _metric_driven(config, "sched", config.keys.get("sched")):
        return None
    if config.keys.get("sched") == "none":
        config.wrong("sched", "expected a schedule, got 'none', with which timm leaves the learning rate alone")
        return None
    sched = config.take("sched", _check.choice(*dialect.SCHEDULERS))
    rate = _timm_rate(config)
    on_updates = config.take("sched_on_updates", _check.flag, False)
    if on_updates and steps_per_epoch is None:
        config.wrong("sched_on_updates", "expected steps_per_epoch beside it, got nothing")
    arguments = {theirs: config.take(key, check, default) for key, (theirs, check, default) in _TIMM.items()}
    if config.errors:
        return None
    arguments |= {"step_on_epochs": not on_updates, "updates_per_epoch": steps_per_epoch or 0, "strict": strict}
    try:
        made = dialect.create_scheduler_v2(rate, sched, **arguments)
    except (ValueError, TypeError) as error:
        config.wrong("", str(error))
        return None
    if on_updates or steps_per_epoch is None:
        return made
    return made.stretch(steps_per_epoch).staircase(steps_per_epoch)._with_hints(origin=made.origin)


# ---- Megatron ----

_MEGATRON_MARKS = (
    *("lr_decay_style", "lr_warmup_iters", "lr_warmup_samples", "lr_warmup_fraction", "lr_decay_iters", "train_iters"),
    *("lr_decay_samples", "train_samples", "lr_wsd_decay_style", "lr_wsd_decay_iters", "lr_wsd_decay_samples"),
)
_MEGATRON_KEYS = (*_MEGATRON_MARKS, "lr", "min_lr", "lr_warmup_init", "global_batch_size")


@reader("megatron", lambda config: not _spelt(config).isdisjoint(_MEGATRON_MARKS))
def megatron(config: Config, strict: bool, _steps_per_epoch: int | None) -> Schedule | None:
    """Arguments of its training script, with their defaults: in iterations, or in samples where it trains by them.

    A ramp of the weight decay is none of the learning rate: it is `megatron.get_wd`.
    """
    config = _flat(config)
    if config.keys.get("rampup_batch_size"):
        message = "expected none, as the samples of an update would change within the run, got"
        config.wrong("rampup_batch_size", f"{message} {_check.shown(config.keys['rampup_batch_size'])}")
    config.refuse_slips(_MEGATRON_KEYS, prefixes=("lr_decay", "lr_warmup", "lr_wsd"), others=("micro_batch_size",))
    in_samples = "train_samples" in config.keys
    unit = "samples" if in_samples else "iters"
    each = config.take("global_batch_size", whole(1)) if in_samples else 1
    run = config.take(f"train_{unit}", whole(1))
    end = config.take(f"lr_decay_{unit}", whole(1), run)
    warmup = config.take(f"lr_warmup_{unit}", whole(0), 0)
    share = config.take("lr_warmup_fraction", not_negative, None)
    if share is not None and warmup:
        config.wrong("lr_warmup_fraction", f"expected it without lr_warmup_{unit}, got both")
    if config.errors:
        return None
    exact = Fraction(repr(share)) * end if share is not None else Fraction(warmup)
    fine = exact.denominator  # a warm-up of a fraction of an iteration: all times are counted in such fractions
    style = config.keys.get("lr_decay_style", "linear")
    arguments = {
        "init_lr": config.keys.get("lr_warmup_init", 0.0),
        "max_lr": config.take("lr", value),
        "min_lr": config.take("min_lr", not_negative, 0.0),
        "lr_warmup_steps": int(exact * fine),
        "lr_decay_steps": end * fine,
        "lr_decay_style": style,
        "samples_per_update": each * fine,
    }
    if style == "WSD":
        decay = config.take(f"lr_wsd_decay_{unit}", whole(1))
        kind = config.keys.get("lr_wsd_decay_style", "exponential")
        arguments |= {"wsd_decay_steps": None if decay is None else decay * fine, "lr_wsd_decay_style": kind}
    if config.errors:
        return None
    peer = peer_of("megatron", "OptimizerParamScheduler")
    assert peer is not None
    called = {"max_lr": "lr", "init_lr": "lr_warmup_init", "lr_decay_steps": f"lr_decay_{unit}"}
    called |= {"lr_warmup_steps": f"lr_warmup_{unit}", "wsd_decay_steps": f"lr_wsd_decay_{unit}"}
    return call(peer, config, BaseRate(None, ""), strict=strict, given=arguments, called=called)
