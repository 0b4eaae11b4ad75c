"""Configurations of other libraries, read as schedules: what `lrcore.dialects.parse` does. Nothing in them is executed.

A reader takes what matters to the schedule; all that is wrong is said at once, each with its path. In a mapping that is
for the schedule alone every key must be known; in one that configures a whole run other keys are ignored, but not one
that looks like a misspelt key of the schedule's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

from lrcore import _check
from lrcore.dialects._dialect import PEERS, Peer
from lrcore.schedule import Schedule

_MISSING = object()
# Of difflib's measure, for any key and for one with a prefix of the schedule's: "warmup_step" is a slip of
# "warmup_steps", "save_steps" none of "max_steps".
_AS_CLOSE_AS_A_SLIP = (0.88, 0.75)


class ConfigError(ValueError):
    """A configuration that does not describe a schedule.

    Attributes:
        errors: (path, message) pairs, all that were found; the path of the configuration as a whole is "".

    Example:
        >>> from lrcore.dialects import parse
        >>> try:
        ...     parse({"scheduler": {"type": "WarmupDecayLR", "params": {"total_num_step": 9, "warmup_max_lr": "1"}}})
        ... except ConfigError as error:
        ...     print(error)
        3 errors
          scheduler.params.total_num_step: expected an argument of WarmupDecayLR, got 'total_num_step': did you mean
          'total_num_steps'?
          scheduler.params.total_num_steps: expected a value, got nothing
          scheduler.params.warmup_max_lr: expected a number, got '1' (str)
    """

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        self.errors = list(errors)
        super().__init__(self.errors)

    def __str__(self) -> str:
        lines = [": ".join(filter(None, pair)) for pair in self.errors]
        return lines[0] if len(lines) == 1 else "\n  ".join((f"{len(lines)} errors", *lines))


class Config:
    """A mapping at a path, and what was found wrong with it and with what stands in it."""

    def __init__(self, given: Any, path: str = "", errors: list[tuple[str, str]] | None = None) -> None:
        self.path = path
        self.errors: list[tuple[str, str]] = [] if errors is None else errors
        if not isinstance(given, Mapping):
            self.wrong("", f"expected a mapping, got {_check.shown(given)}")
        self.keys: Mapping[Any, Any] = given if isinstance(given, Mapping) else {}

    def at(self, key: Any) -> str:
        """The path of one of its keys, which need not be texts: those of YAML may be numbers."""
        return ".".join(filter(None, (self.path, str(key))))

    def wrong(self, key: Any, message: str) -> None:
        """Keeps an error in mind."""
        self.errors.append((self.at(key), message))

    def within(self, key: Any) -> Config:
        """A mapping in this one; an empty one if there is none."""
        return Config({} if self.keys.get(key) is None else self.keys[key], self.at(key), self.errors)

    def take(self, key: str, check: _check.Check, default: Any = _MISSING) -> Any:
        """The value of a key, checked; None where it is wrong, or missing and has no default."""
        given = self.keys.get(key)
        if given is None:
            if default is _MISSING:
                self.wrong(key, "expected a value, got nothing")
                return None
            return default
        return self.checked(key, check, given)

    def checked(self, key: str, check: _check.Check, given: Any) -> Any:
        """What a check makes of a value, or None and an error."""
        try:
            return check(self.at(key), given)
        except (ValueError, TypeError) as error:
            self.errors.append(_parted(str(error), self.at(key)))
            return None

    def refuse_slips(self, known: Iterable[str], *, prefixes: tuple[str, ...] = (), others: Iterable[str] = ()) -> None:
        """Refuses keys that are none of `known` and look like one, more so those with a prefix of the schedule's."""
        names = list(known)
        for key in self.keys:
            if not isinstance(key, str) or key in names or key in others:
                continue
            close = _AS_CLOSE_AS_A_SLIP[key.startswith(prefixes)]
            if get_close_matches(key, names, 1, close):
                self.wrong(key, f"expected a key that is known, got {key!r}{_check.did_you_mean(key, names)}")

    def raise_errors(self) -> None:
        """Raises all that was found, if anything was."""
        if self.errors:
            raise ConfigError(self.errors)


class BaseRate(NamedTuple):
    """The learning rate of the optimizer, for schedules that take it from there, or where it was looked for."""

    value: Any
    path: str


def peer_of(framework: str, name: str) -> Peer | None:
    """What a dialect declares by a name."""
    peers_of(framework)
    return PEERS.get(f"{framework}.{name}")


def peers_of(framework: str) -> list[str]:
    """The names that a dialect declares."""
    import_module(f"lrcore.dialects.{framework}")
    return [peer.name for peer in PEERS.values() if peer.framework == framework]


def call(
    peer: Peer,
    config: Config,
    base: BaseRate,
    *,
    strict: bool,
    given: Mapping[str, Any] | None = None,
    called: Mapping[str, str] | None = None,
) -> Schedule | None:
    """The peer's schedule, of arguments for it alone; None if anything is wrong with them.

    Args:
        peer: what to build.
        config: where errors are kept in mind.
        base: the learning rate of the optimizer.
        strict: with its quirks, where it has any.
        given: the arguments; by default all of `config`.
        called: what the configuration calls an argument, where it has another name.
    """
    known = len(config.errors)
    signature = inspect.signature(peer.build)
    names = [name for name in signature.parameters if name != "strict"]
    arguments = dict(config.keys if given is None else given)
    for key in arguments:
        if key not in names:
            config.wrong(key, f"expected an argument of {peer.name}, got {key!r}{_check.did_you_mean(str(key), names)}")
    checks: dict[str, _check.Check] = peer.build.checks  # type: ignore[attr-defined]
    said = {**{name: name for name in names}, **(called or {})}
    for name in names:
        if name == "base_lr" and name not in arguments:
            _take_base(peer, checks[name], base, config, arguments)
        elif name in arguments and name in checks:
            config.checked(said[name], checks[name], arguments[name])
        elif name not in arguments and signature.parameters[name].default is inspect.Parameter.empty:
            config.wrong(said[name], "expected a value, got nothing")
    if len(config.errors) > known:
        return None
    strictly = {"strict": strict} if "strict" in signature.parameters else {}
    try:
        return peer.build(**arguments, **strictly)
    except (ValueError, TypeError) as error:
        where, message = _parted(str(error), "")
        name = where.removeprefix(f"{peer.name}.")
        config.wrong(said.get(name, name), message)
        return None


def _take_base(peer: Peer, check: _check.Check, base: BaseRate, config: Config, arguments: dict[str, Any]) -> None:
    if base.value is None and arguments.get("warmup_max_lr") is not None:
        arguments["base_lr"] = arguments["warmup_max_lr"]  # DeepSpeed's WarmupLR does not look at it then
        return
    if base.value is None:
        config.errors.append((base.path, f"expected the learning rate that {peer.name} takes from there, got nothing"))
        return
    arguments["base_lr"] = base.value
    try:
        check(base.path, base.value)
    except (ValueError, TypeError) as error:
        config.errors.append(_parted(str(error), base.path))


def _parted(message: str, path: str) -> tuple[str, str]:
    """The path and the rest of an error of a check."""
    where, colon, rest = message.partition(": expected ")
    return (where, f"expected {rest}") if colon else (path, message)


class Reader(NamedTuple):
    """How the configurations of a framework are told and read."""

    is_one: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Config, bool, int | None], Schedule | None]


READERS: dict[str, Reader] = {}


def reader(framework: str, is_one: Callable[[Mapping[str, Any]], bool]) -> Callable[[Any], Any]:
    """A decorator that registers how a framework's configurations are read."""

    def register(read: Any) -> Any:
        READERS[framework] = Reader(is_one, read)
        return read

    return register


def parse(
    config: Mapping[str, Any] | Any,
    framework: str | None = None,
    *,
    strict: bool = False,
    steps_per_epoch: int | None = None,
) -> Schedule:
    """The schedule that a configuration of another library describes. Nothing in it is executed.

    | framework | read are |
    |---|---|
    | "deepspeed" | its JSON: `scheduler.type`, `.params`, `optimizer.params.lr` |
    | "transformers" | `TrainingArguments`: `lr_scheduler_type`, `learning_rate`, `warmup_steps`, `max_steps` ... |
    | "timm" | arguments of its training script: `sched`, `lr`, `epochs`, `warmup_epochs`, `min_lr` ... |
    | "megatron" | arguments of its training script: `lr`, `lr_decay_style`, `train_iters`, `lr_warmup_fraction` ... |
    | "hydra" | `{"_target_": "torch.optim.lr_scheduler.StepLR", ...}`, and the `lr` of an `optimizer` beside it |
    | "composer" | `{"schedulers": {"cosine": {...}}}`, `{"scheduler": {"name": ...}}`, `optimizer`, `max_duration` |

    Hydra's scheduler may stand in one of the mappings, as in that of a model, or be wrapped as Lightning does
    (`{"scheduler": {...}, "interval": "epoch", "frequency": 1}`). DeepSpeed's "auto", which the Trainer of transformers
    fills in, is refused.

    A learning rate alone is read. The ramp of Megatron's weight decay (`start_weight_decay`, `end_weight_decay`,
    `weight_decay_incr_style`) is `dialects.megatron.get_wd`; DeepSpeed's momentum is left out.

    Args:
        config: the configuration, as json, yaml or `vars(args)` give it, or an object that has `to_dict()`, such as
            TrainingArguments. What is not about the schedule is ignored.
        framework: one of these; by default told from the keys.
        strict: with the quirks of the peer, as `strict=True` of each dialect.
        steps_per_epoch: updates of an epoch, where the configuration counts epochs. timm's schedules, and those that
            Lightning steps with the `interval` "epoch", are in epochs without it, and change once an epoch with it.
            Composer's shares of the run are told by `max_duration`; its times in epochs wait for `bind` without it, and
            those in tokens or samples do so in any case. DeepSpeed and Megatron count updates and have no use for it.

    Raises:
        ConfigError: (a ValueError) all that is wrong with it, each with its path.
        TypeError, ValueError: arguments outside of these.

    Example:
        >>> parse({"lr_scheduler_type": "cosine", "learning_rate": 0.1, "warmup_steps": 10, "max_steps": 100})(10)
        0.1
        >>> parse({"scheduler": {"type": "WarmupDecayLR", "params": {"total_num_steps": 4, "warmup_max_lr": 1.0,
        ...        "warmup_num_steps": 2, "warmup_type": "linear"}}}, strict=True).table(6).tolist()
        [0.0, 0.0, 0.5, 1.0, 0.5, 0.0]
    """
    from lrcore.dialects import _composer_reader, _hydra_reader, _readers  # noqa: F401 (they register themselves)

    if not isinstance(config, Mapping) and not isinstance(config, type) and hasattr(config, "to_dict"):
        config = config.to_dict()
    if not isinstance(config, Mapping):
        _check.refuse("parse.config", "a mapping", config, TypeError)
    _check.flag("parse.strict", strict)
    if steps_per_epoch is not None:
        steps_per_epoch = _check.whole(1)("parse.steps_per_epoch", steps_per_epoch)
    if framework is None:
        framework = _told(config)
    read = READERS[_check.choice(*READERS)("parse.framework", framework)].read
    root = Config(config)
    schedule = read(root, strict, steps_per_epoch)
    root.raise_errors()
    assert schedule is not None
    return schedule


def _told(config: Mapping[str, Any]) -> str:
    found = [name for name, known in READERS.items() if known.is_one(config)]
    if len(found) == 1:
        return found[0]
    names = " or ".join(map(repr, found or READERS))
    what = "more than one framework's" if found else "no framework's"
    raise ConfigError([("", f"expected the configuration of one framework, got {what}: say which, {names}")])
