"""How configurations by `_target_` are read, as Hydra and Lightning have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrcore import _check
from lrcore._check import whole
from lrcore.dialects._configs import BaseRate, Config, call, peer_of, peers_of, reader
from lrcore.dialects._readers import (
    _FRAMEWORKS,
    _base_of,
    _framework_of,
    _mapping,
    _metric_driven,
    _names_a_schedule,
    _names_of,
    _plain,
    _target,
)
from lrcore.schedule import Schedule

_OF_HYDRA = (
    "_target_",
    "_partial_",
    "_recursive_",
    "_convert_",
    "_args_",
    "optimizer",
    "last_epoch",
    "last_step",
    "by_epoch",
    "verbose",
)
_OF_OTHERS = ("base_lr", "lr", "max_duration", "scale_schedule_ratio")  # an optimizer's, and a run's of Composer
_FUNCTIONS = ("lr_lambda", "scale_fn")
_PLACES = ("scheduler", "lr_scheduler", "sched")


def _hydra_places(config: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The keys down to each mapping with a `_target_` in a scheduler's place: here, wrapped as Lightning does, or one
    mapping deeper, as in that of a model."""
    found: list[tuple[str, ...]] = []
    for place in _PLACES:
        inner = _mapping(config, place)
        if "_target_" in inner and not any("_target_" in _mapping(inner, wrapped) for wrapped in _PLACES):
            found.append((place,))
        found += [(place, wrapped) for wrapped in _PLACES if "_target_" in _mapping(inner, wrapped)]
    return found


def _hydra_paths(config: Mapping[Any, Any]) -> list[tuple[str, ...]]:
    """What stands at the top, or else what stands in one of its mappings."""
    return _hydra_places(config) or [
        (key, *path)
        for key, item in config.items()
        if isinstance(key, str) and isinstance(item, Mapping) and key not in _PLACES
        for path in _hydra_places(item)
    ]


@reader(
    "hydra",
    lambda config: bool(_hydra_paths(config)) or _names_a_schedule(config),
)
def hydra(config: Config, strict: bool, steps_per_epoch: int | None) -> Schedule | None:
    """`_target_` and its arguments. The learning rate is that of an optimizer beside it, or `base_lr` or `lr`, here or
    there."""
    paths = _hydra_paths(config.keys)
    if len(paths) > 1:
        config.wrong("", f"expected one scheduler, got {', '.join('.'.join(path) for path in paths)}")
        return None
    path = paths[0] if paths else ()
    nodes = [config]
    for key in path:
        nodes.append(nodes[-1].within(key))
    node = nodes[-1]
    rates = [_base_of(above) for above in reversed(nodes)]
    base = next((rate for rate in rates if rate.value is not None), rates[-1])
    *_, name = _target(node.keys).split(".")
    if _framework_of(node.keys) == "composer" and name in peers_of("composer"):
        from lrcore.dialects._composer_reader import of_name, run_of

        arguments = Config(_arguments(node), node.path, config.errors)
        return of_name(arguments, name, base, run_of(config, steps_per_epoch), strict)
    wrapper = nodes[-2] if path else config
    is_wrapped = "interval" in wrapper.keys or (len(path) > 1 and path[-2] in _PLACES)
    every = _updates_of_a_step(wrapper if is_wrapped else None, node, steps_per_epoch)
    made = _of_target(node, base, strict)
    if made is None or config.errors or every == 1:
        return made
    return made.stretch(every).staircase(every)._with_hints(origin=made.origin)


def _updates_of_a_step(wrapper: Config | None, node: Config, steps_per_epoch: int | None) -> int:
    """Updates, or epochs if nobody says of how many updates those are, in which the scheduler makes one step.

    Lightning has `interval` and `frequency` beside the scheduler, timm `t_in_epochs` in it.
    """
    if wrapper is None:
        if steps_per_epoch is None:
            return 1
        if _framework_of(node.keys) == "timm":
            return steps_per_epoch if node.take("t_in_epochs", _check.flag, True) else 1
        message = "expected 'epoch' or 'step' beside the scheduler, as it is not told what steps_per_epoch is for"
        node.wrong("interval", f"{message}, got nothing")
        return 1
    interval = wrapper.take("interval", _check.choice("epoch", "step"), "epoch")
    frequency: int | None = wrapper.take("frequency", whole(1), 1)
    if interval == "step" and frequency != 1:
        wrapper.wrong("frequency", f"expected 1, as Lightning counts the batches of each epoch anew, got {frequency!r}")
    return 1 if interval == "step" or frequency is None else frequency * (steps_per_epoch or 1)


def _arguments(config: Config) -> dict[Any, Any]:
    """What the schedule is called with."""
    if config.keys.get("_args_"):
        config.wrong("_args_", f"expected arguments by their names, got {_check.shown(config.keys['_args_'])}")
    left_out = (*_OF_HYDRA, *_OF_OTHERS, *(["t_in_epochs"] if _framework_of(config.keys) == "timm" else []))
    given = {key: _plain(item) for key, item in config.keys.items() if key not in left_out}
    for key in _FUNCTIONS:
        if isinstance(given.get(key), (str, Mapping)):
            shown = _check.shown(given[key])
            config.wrong(key, f"expected a list of factors, as nothing in a configuration is executed, got {shown}")
            del given[key]
    return given


def _of_target(config: Config, base: BaseRate, strict: bool) -> Schedule | None:
    framework, name = _framework_of(config.keys), _target(config.keys).rpartition(".")[2]
    known = len(config.errors)
    if _metric_driven(config, "_target_", name):
        return None
    if framework not in _FRAMEWORKS:
        config.wrong("_target_", f"expected a schedule of {', '.join(_FRAMEWORKS)}, got {_target(config.keys)!r}")
        return None
    given = _arguments(config)
    if framework == "transformers" and name == "get_scheduler":
        return _get_scheduler(config, given, base, strict)
    names = _names_of(framework)
    peer = peer_of(framework, name) if names else None
    if peer is None:
        guess = _check.did_you_mean(name, names)
        config.wrong("_target_", f"expected a schedule of {framework} that lrcore has, got {name!r}{guess}")
        return None
    if name == "CyclicLR":
        given["base_lr"] = _plain(config.keys.get("base_lr"))
    if framework == "olmo" and base.value is not None:
        given.setdefault("initial_lr", base.value)
    for key in set(given) & {"schedulers", "schedules"}:
        given[key] = _children(config, key, base, strict)
    if len(config.errors) > known:
        return None
    return call(peer, config, base, strict=strict, given=given)


def _get_scheduler(config: Config, given: dict[Any, Any], base: BaseRate, strict: bool) -> Schedule | None:
    """transformers' own function, which knows its schedules by the names of TrainingArguments."""
    from lrcore.dialects.transformers import get_scheduler

    known = ("name", "num_warmup_steps", "num_training_steps", "scheduler_specific_kwargs")
    for key in given:
        if key not in known:
            guess = _check.did_you_mean(str(key), known)
            config.wrong(key, f"expected an argument of get_scheduler, got {key!r}{guess}")
    if given.get("name") is None:
        config.wrong("name", "expected a value, got nothing")
        return None
    if _metric_driven(config, "name", given["name"]) or not set(given) <= set(known):
        return None
    if base.value is None:
        config.errors.append((base.path, "expected the learning rate that get_scheduler takes from there, got nothing"))
        return None
    config.within("scheduler_specific_kwargs")
    if config.errors:
        return None
    try:
        return get_scheduler(**given, base_lr=base.value, strict=strict)
    except (ValueError, TypeError) as error:
        config.wrong("", str(error))
        return None


def _children(config: Config, key: str, base: BaseRate, strict: bool) -> list[Schedule | None]:
    listed = config.checked(key, lambda where, given: _check.items(where, given, key), config.keys[key])
    children = [Config(item, config.at(f"{key}[{at}]"), config.errors) for at, item in enumerate(listed or ())]
    return [_of_target(child, base, strict) for child in children]
