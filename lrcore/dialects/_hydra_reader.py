"""How configurations by `_target_` are read, as Hydra and Lightning have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrcore import _check
from lrcore.dialects._configs import BaseRate, Config, call, peer_of, peers_of, reader
from lrcore.dialects._readers import (
    _FRAMEWORKS,
    _base_of,
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
_OF_RUN = ("max_duration", "scale_schedule_ratio")  # which Composer's times hang on
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
    """`_target_` and its arguments. The learning rate is that of an optimizer beside it, or `base_lr` or `lr`."""
    paths = _hydra_paths(config.keys)
    if len(paths) > 1:
        config.wrong("", f"expected one scheduler, got {', '.join('.'.join(path) for path in paths)}")
        return None
    nodes = [config]
    for key in paths[0] if paths else ():
        nodes.append(nodes[-1].within(key))
    above = nodes[:-1] or nodes
    rates = [_base_of(node) for node in reversed(above)]
    base = next((rate for rate in rates if rate.value is not None), rates[-1])
    *_, name = _target(nodes[-1].keys).split(".")
    if _target(nodes[-1].keys).startswith("composer.") and name in peers_of("composer"):
        from lrcore.dialects._composer_reader import of_name, run_of

        given = {
            key: item for key, item in nodes[-1].keys.items() if key not in (*_OF_HYDRA, "base_lr", "lr", *_OF_RUN)
        }
        node = Config(given, nodes[-1].path, config.errors)
        return of_name(node, name, base, run_of(config, steps_per_epoch), strict)
    return _of_target(nodes[-1], base, strict)


def _of_target(config: Config, base: BaseRate, strict: bool) -> Schedule | None:
    parts = _target(config.keys).split(".")
    framework, name = parts[0], parts[-1]
    if _metric_driven(config, "_target_", name):
        return None
    if framework not in _FRAMEWORKS:
        config.wrong("_target_", f"expected a schedule of {', '.join(_FRAMEWORKS)}, got {_target(config.keys)!r}")
        return None
    if framework == "transformers" and name == "get_scheduler":
        return _get_scheduler(config, base, strict)
    names = _names_of(framework)
    peer = peer_of(framework, name) if names else None
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


def _get_scheduler(config: Config, base: BaseRate, strict: bool) -> Schedule | None:
    """transformers' own function, which knows its schedules by the names of TrainingArguments."""
    from lrcore.dialects.transformers import get_scheduler

    known = ("name", "num_warmup_steps", "num_training_steps", "scheduler_specific_kwargs")
    given = {key: _plain(item) for key, item in config.keys.items() if key not in (*_OF_HYDRA, "base_lr", "lr")}
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


def _children(config: Config, base: BaseRate, strict: bool) -> list[Schedule | None]:
    listed = config.checked(
        "schedulers", lambda where, given: _check.items(where, given, "schedulers"), config.keys["schedulers"]
    )
    children = [Config(item, config.at(f"schedulers[{at}]"), config.errors) for at, item in enumerate(listed or ())]
    return [_of_target(child, base, strict) for child in children]
