"""How each framework's configurations are read: see `_configs.parse`. A new framework is one function here."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from lrcore import _check
from lrcore._check import not_negative, number, positive, value, whole
from lrcore.dialects._configs import BaseRate, Config, call, peer_of, peers_of, reader
from lrcore.dialects._dialect import many
from lrcore.schedule import Schedule

_FRAMEWORKS = (
    "torch", "transformers", "timm", "deepspeed", "composer", "paddle", "olmo", "ignite", "mmengine", "fvcore", "keras"
)  # fmt: skip
_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*\.?[0-9]*[eE][+-]?[0-9]+")


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, Mapping) else {}


def _flat(config: Config) -> Config:
    """Arguments of a command line: "lr-decay-style" is "lr_decay_style", and None is not given."""
    keys = {str(key).removeprefix("--").replace("-", "_"): _plain(item) for key, item in config.keys.items()}
    return Config({key: item for key, item in keys.items() if item is not None}, config.path, config.errors)


def _plain(given: Any) -> Any:
    """A number that PyYAML takes for a text, as it does 1e-3."""
    return float(given) if isinstance(given, str) and _NUMBER.fullmatch(given) else given


# ---- DeepSpeed ----

_MOMENTUM = ("cycle_momentum", "cycle_min_mom", "cycle_max_mom", "decay_mom_rate", "last_batch_iteration")


@reader("deepspeed", lambda config: "type" in _mapping(config, "scheduler"))
def deepspeed(config: Config, strict: bool, _steps_per_epoch: int | None) -> Schedule | None:
    """Its JSON."""
    scheduler = config.within("scheduler")
    names = peers_of("deepspeed")
    name = scheduler.take("type", _check.choice(*names))
    optimizer = config.within("optimizer").within("params")
    params = scheduler.within("params")
    given = {key: item for key, item in params.keys.items() if key not in _MOMENTUM}
    peer = peer_of("deepspeed", name) if name else None
    base = BaseRate(optimizer.keys.get("lr"), optimizer.at("lr"))
    return call(peer, params, base, strict=strict, given=given) if peer else None


# ---- transformers ----

_HF_KEYS = (
    *("lr_scheduler_type", "learning_rate", "warmup_steps", "warmup_ratio", "max_steps", "num_train_epochs"),
    "lr_scheduler_kwargs",
)


@reader("transformers", lambda config: any(key in config for key in ("lr_scheduler_type", "learning_rate")))
def transformers(config: Config, strict: bool, steps_per_epoch: int | None) -> Schedule | None:
    """Values of TrainingArguments, with its defaults."""
    from lrcore.dialects import transformers as dialect

    config = _flat(config)
    config.refuse_slips(_HF_KEYS, prefixes=("lr_", "warmup"))
    kind = getattr(config.keys.get("lr_scheduler_type"), "value", config.keys.get("lr_scheduler_type", "linear"))
    kind = config.checked("lr_scheduler_type", _check.choice(*dialect.SCHEDULERS), kind)
    rate = config.take("learning_rate", value, 5e-5)
    steps = _hf_steps(config, steps_per_epoch, needed=kind not in (None, "constant", *dialect._IGNORE_TRAINING_STEPS))
    warmup = _hf_warmup(config, steps)
    extra = config.within("lr_scheduler_kwargs")
    if config.errors or kind is None:
        return None
    arguments = {"num_warmup_steps": warmup, "num_training_steps": steps}
    peer = dialect.SCHEDULERS[kind]
    known = getattr(peer, "checks", {})
    slips = [key for key in extra.keys if key not in known and kind not in dialect._IGNORE_SPECIFIC]
    for key in slips:
        extra.wrong(key, f"expected an argument of {kind!r}, got {key!r}{_check.did_you_mean(key, known)}")
    if slips:
        return None
    try:
        return dialect.get_scheduler(kind, rate, scheduler_specific_kwargs=extra.keys, strict=strict, **arguments)
    except (ValueError, TypeError) as error:
        extra.wrong("", str(error))
        return None


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


@reader("timm", lambda config: "sched" in config)
def timm(config: Config, strict: bool, steps_per_epoch: int | None) -> Schedule | None:
    """Arguments of its training script."""
    from lrcore.dialects import timm as dialect

    config = _flat(config)
    config.refuse_slips(
        (*_TIMM, "sched", "lr", "sched_on_updates"), prefixes=("lr_", "warmup", "sched"), others=_TIMM_OTHERS
    )
    sched = config.take("sched", _check.choice(*dialect.SCHEDULERS))
    rate = config.take("lr", value)
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


@reader("megatron", lambda config: any(key.replace("-", "_").strip("_") in _MEGATRON_MARKS for key in map(str, config)))
def megatron(config: Config, strict: bool, _steps_per_epoch: int | None) -> Schedule | None:
    """Arguments of its training script, with their defaults: in iterations, or in samples where it trains by them."""
    config = _flat(config)
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


# ---- Hydra ----

_OF_HYDRA = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_", "optimizer", "last_epoch", "verbose")
_PLACES = ("scheduler", "lr_scheduler", "sched")


@reader(
    "hydra",
    lambda config: any("_target_" in _mapping(config, place) for place in _PLACES) or "schedul" in _target(config),
)
def hydra(config: Config, strict: bool, _steps_per_epoch: int | None) -> Schedule | None:
    """`_target_` and its arguments. The learning rate is that of an optimizer beside it, or `base_lr` or `lr`."""
    place = next((name for name in _PLACES if "_target_" in _mapping(config.keys, name)), None)
    node = config.within(place) if place else config
    base = _base_of(config)
    return _of_target(node, base, strict)


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


def _of_target(config: Config, base: BaseRate, strict: bool) -> Schedule | None:
    parts = _target(config.keys).split(".")
    framework, name = parts[0], parts[-1]
    if framework not in _FRAMEWORKS:
        config.wrong("_target_", f"expected a schedule of {', '.join(_FRAMEWORKS)}, got {_target(config.keys)!r}")
        return None
    try:
        peer = peer_of(framework, name)
        names = peers_of(framework)
    except ImportError:
        peer, names = None, []
    if peer is None:
        guess = _check.did_you_mean(name, names)
        config.wrong("_target_", f"expected a schedule of {framework} that lrcore has, got {name!r}{guess}")
        return None
    given = {key: _plain(item) for key, item in config.keys.items() if key not in (*_OF_HYDRA, "base_lr", "lr")}
    if name == "CyclicLR":
        given["base_lr"] = _plain(config.keys.get("base_lr"))
    if "schedulers" in given:
        given["schedulers"] = _children(config, base, strict)
        if config.errors:
            return None
    return call(peer, config, base, strict=strict, given=given)


def _children(config: Config, base: BaseRate, strict: bool) -> list[Schedule | None]:
    listed = config.checked(
        "schedulers", lambda where, given: _check.items(where, given, "schedulers"), config.keys["schedulers"]
    )
    children = [Config(item, config.at(f"schedulers[{at}]"), config.errors) for at, item in enumerate(listed or ())]
    return [_of_target(child, base, strict) for child in children]


# ---- Composer ----

_COMPOSER = {
    "step": "StepScheduler", "multistep": "MultiStepScheduler", "constant": "ConstantScheduler",
    "linear_decay": "LinearScheduler", "linear": "LinearScheduler", "exponential": "ExponentialScheduler",
    "cosine_decay": "CosineAnnealingScheduler", "cosine": "CosineAnnealingScheduler",
    "cosine_warmrestart": "CosineAnnealingWarmRestartsScheduler", "polynomial": "PolynomialScheduler",
    "multistep_with_warmup": "MultiStepWithWarmupScheduler", "constant_with_warmup": "ConstantWithWarmupScheduler",
    "linear_decay_with_warmup": "LinearWithWarmupScheduler", "polynomial_with_warmup": "PolynomialWithWarmupScheduler",
    "cosine_decay_with_warmup": "CosineAnnealingWithWarmupScheduler",
    "cosine_with_warmup": "CosineAnnealingWithWarmupScheduler",
}  # fmt: skip
_TIMES = ("step_size", "milestones", "t_max", "decay_period", "t_0", "t_warmup")


class _Run(NamedTuple):
    """What Composer's times come to, which are told by a run's other keys."""

    ratio: Decimal
    most: tuple[Decimal, str] | None  # max_duration, scaled
    steps_per_epoch: int | None

    def time(self, given: Any, *, scaled: bool) -> Any:
        """A time as Composer converts it: a share is one of max_duration; epochs are batches, where it is known of how
        many; any other time is scaled; and what is not whole is rounded down."""
        from lrcore.dialects.composer import parts_of

        if isinstance(given, (list, tuple)):
            return [self.time(item, scaled=scaled) for item in given]
        found = parts_of(given)
        if found is None or (found[1] == "dur" and self.most is None):
            return given  # what is wrong is said where the argument is checked
        number, unit = found
        ratio = self.ratio if scaled else Decimal(1)
        if unit == "dur" and self.most is not None:
            number, unit, ratio = number * self.most[0], self.most[1], Decimal(1)
        if unit == "ep" and self.steps_per_epoch:
            number, unit = number * self.steps_per_epoch, "ba"
        if ratio == 1 and unit == found[1]:
            return given
        return f"{number * ratio if unit == 'ep' else int(number * ratio):{'f' if unit == 'ep' else 'd'}}{unit}"


def _run_of(config: Config, steps_per_epoch: int | None) -> _Run:
    from lrcore.dialects.composer import parts_of

    scale = config.take("scale_schedule_ratio", positive, 1.0)
    ratio = Decimal(repr(float(scale or 1.0)))
    given = config.keys.get("max_duration")
    if given is None:
        return _Run(ratio, None, steps_per_epoch)
    found = parts_of(f"{given}ep" if type(given) is int else given)  # Composer's ints are epochs here
    if found is None or found[1] == "dur" or found[0] <= 0:
        config.wrong("max_duration", f'expected a time such as "4800ba" or "3ep", got {_check.shown(given)}')
        return _Run(ratio, None, steps_per_epoch)
    most = found[0] if ratio == 1 else Decimal(int(found[0] * ratio))
    if not most:
        config.wrong("scale_schedule_ratio", f"expected one that leaves something of {given!r}, got {scale!r}")
    return _Run(ratio, (most, found[1]), steps_per_epoch)


def _composer_rate(config: Config) -> BaseRate:
    """Of `optimizer: {lr: ...}`, or one named by its key: `optimizer: {decoupled_adamw: {lr: ...}}`."""
    for place in ("optimizer", "optimizers"):
        given = config.keys.get(place)
        if isinstance(given, (list, tuple)) and len(given) == 1:
            given = given[0]
        if not isinstance(given, Mapping):
            continue
        if given.get("lr") is not None:
            return BaseRate(_plain(given["lr"]), config.at(f"{place}.lr"))
        named = {name: item for name, item in given.items() if isinstance(item, Mapping) and item.get("lr") is not None}
        if len(named) > 1:
            config.wrong(place, f"expected one optimizer, got {', '.join(map(str, named))}")
        for name, item in named.items():
            return BaseRate(_plain(item["lr"]), config.at(f"{place}.{name}.lr"))
    return _base_of(config)


@reader(
    "composer",
    lambda config: (
        "_target_" not in config
        and ("schedulers" in config or "name" in _mapping(config, "scheduler"))
        and "_target_" not in _mapping(config, "scheduler")
    ),
)
def composer(config: Config, strict: bool, steps_per_epoch: int | None) -> Schedule | None:
    """Schedulers by their names in its YAML, or by their classes; several multiply. With `max_duration` and
    `scale_schedule_ratio`."""
    nodes = [(config.within("scheduler"), None)] if "schedulers" not in config.keys else _named(config)
    run = _run_of(config, steps_per_epoch)
    rate = _composer_rate(config)
    made: list[Schedule] = []
    for node, name in nodes:
        base = BaseRate(1.0, "") if made else rate
        found = _of_name(node, name or node.keys.get("name"), base, run, strict)
        if found is None:
            return None
        made.append(found)
    if not made:
        config.wrong("schedulers", "expected at least one scheduler, got none")
        return None
    product = made[0]
    for other in made[1:]:
        product = product * other
    return product


def _named(config: Config) -> list[tuple[Config, str | None]]:
    """A mapping from names to arguments, or a list of such mappings, or of mappings with a name in them."""
    given = config.keys["schedulers"]
    listed = list(given) if isinstance(given, (list, tuple)) else [given]
    nodes: list[tuple[Config, str | None]] = []
    for at, item in enumerate(listed):
        path = config.at(f"schedulers[{at}]" if isinstance(given, (list, tuple)) else "schedulers")
        entry = Config(item, path, config.errors)
        if "name" in entry.keys:
            nodes.append((entry, None))
        else:
            nodes += [(entry.within(name), name) for name in entry.keys]
    return nodes


def _of_name(config: Config, name: Any, base: BaseRate, run: _Run, strict: bool) -> Schedule | None:
    names = (*_COMPOSER, *peers_of("composer"))
    if name not in names:
        guess = _check.did_you_mean(str(name), names)
        config.wrong("name", f"expected a scheduler of Composer, got {name!r}{guess}")
        return None
    peer = peer_of("composer", _COMPOSER.get(name, name))
    assert peer is not None
    arguments = inspect.signature(peer.build).parameters
    given = {key: _plain(item) for key, item in config.keys.items() if key != "name"}
    scale_warmup = config.take("scale_warmup", _check.flag, False) if "t_warmup" in arguments else False
    if "t_warmup" in arguments:
        given.pop("scale_warmup", None)
    for key, argument in arguments.items():
        said = given.get(key, argument.default)
        if key in _TIMES and said is not inspect.Parameter.empty:
            given[key] = run.time(said, scaled=key != "t_warmup" or bool(scale_warmup))
    return call(peer, config, base, strict=strict, given=given)
