"""How configurations of MosaicML Composer are read: its times hang on other keys of the run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from lrcore import _check
from lrcore._check import positive
from lrcore.dialects._configs import BaseRate, Config, call, peer_of, peers_of, reader
from lrcore.dialects._readers import _base_of, _mapping, _plain
from lrcore.schedule import Schedule

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


class Run(NamedTuple):
    """What Composer's times come to, which are told by a run's other keys."""

    ratio: float
    most: tuple[Decimal, str] | None  # max_duration, scaled
    steps_per_epoch: int | None

    def time(self, given: Any, *, scaled: bool) -> Any:
        """A time as Composer converts it: a share is one of max_duration; epochs are batches, where it is known of how
        many; any other time is scaled; and what is not whole is cut."""
        from lrcore.dialects.composer import parts_of, whole_of

        if isinstance(given, (list, tuple)):
            return [self.time(item, scaled=scaled) for item in given]
        found = parts_of(given)
        if found is None or (found[1] == "dur" and self.most is None):
            return given  # what is wrong is said where the argument is checked
        number, unit = found
        ratio = self.ratio if scaled else 1.0
        most = (Decimal(1), unit)
        if unit == "dur" and self.most is not None:
            most, unit, ratio = self.most, self.most[1], 1.0
        batches = 1
        if unit == "ep" and self.steps_per_epoch:
            batches, unit = self.steps_per_epoch, "ba"
        if ratio == 1.0 and unit == found[1]:
            return given
        if unit == "ep":  # of which bind makes batches
            return f"{number * most[0] * Decimal(repr(ratio)):f}ep"
        return f"{whole_of(number, batches, most[0], ratio)}{unit}"


def run_of(config: Config, steps_per_epoch: int | None) -> Run:
    from lrcore.dialects.composer import parts_of, whole_of

    ratio = float(config.take("scale_schedule_ratio", positive, 1.0) or 1.0)
    given = config.keys.get("max_duration")
    if given is None:
        return Run(ratio, None, steps_per_epoch)
    found = parts_of(f"{given}ep" if type(given) is int else given)  # Composer's ints are epochs here
    if found is None or found[1] == "dur" or found[0] <= 0:
        config.wrong("max_duration", f'expected a time such as "4800ba" or "3ep", got {_check.shown(given)}')
        return Run(ratio, None, steps_per_epoch)
    most = found[0] if ratio == 1.0 else Decimal(whole_of(found[0], ratio))
    if not most:
        config.wrong("scale_schedule_ratio", f"expected one that leaves something of {given!r}, got {ratio!r}")
    return Run(ratio, (most, found[1]), steps_per_epoch)


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
    run = run_of(config, steps_per_epoch)
    rate = _composer_rate(config)
    made: list[Schedule] = []
    for node, name in nodes:
        base = BaseRate(1.0, "") if made else rate
        found = of_name(node, name or node.keys.get("name"), base, run, strict)
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


def of_name(config: Config, name: Any, base: BaseRate, run: Run, strict: bool) -> Schedule | None:
    names = (*_COMPOSER, *peers_of("composer"))
    if name not in names:
        guess = _check.did_you_mean(str(name), names)
        config.wrong("name", f"expected a scheduler of Composer, got {name!r}{guess}")
        return None
    peer = peer_of("composer", _COMPOSER.get(name, name))
    assert peer is not None
    arguments = inspect.signature(peer.build).parameters
    given = {key: _plain(item) for key, item in config.keys.items() if key != "name"}
    if "scale_warmup" in arguments:
        given["scale_schedule_ratio"] = run.ratio
    for key, argument in arguments.items():
        said = given.get(key, argument.default)
        if key in _TIMES and said is not inspect.Parameter.empty:
            given[key] = run.time(said, scaled=key != "t_warmup")
    return call(peer, config, base, strict=strict, given=given)
