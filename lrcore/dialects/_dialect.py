"""How a schedule of another library is declared: its name and arguments as there, its formula, and where it differs.

A dialect only translates: each function composes lrcore's own schedules. What is declared beside it feeds the page of
`lrcore.dialects.table()`, the findings of `lrcore.lint` and the tests, so nothing about a peer stands in two places.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, ParamSpec

import numpy as np

from lrcore import _check
from lrcore._check import END_OF_STEPS, Check
from lrcore._origin import Origin
from lrcore.schedule import Schedule

P = ParamSpec("P")


@dataclass(frozen=True)
class Made:
    """A call of a dialect's function, of which it is asked what quirks it has."""

    arguments: dict[str, Any]
    schedule: Schedule  # as asked for
    plain: Schedule | None  # without strict; None where only the peer accepts the arguments

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def differs_at(self, *steps: int) -> bool:
        """Whether strict made a difference at one of these updates."""
        if self.plain is None:
            return True
        places = np.minimum(np.array(steps, np.int64), END_OF_STEPS - 1)
        return bool((self.schedule(places) != self.plain(places)).any())


def _whenever(_made: Made) -> bool:
    return True


class Quirk(NamedTuple):
    """Something that a peer's schedule does and its user does not expect. `strict=True` reproduces it."""

    name: str  # as lint names it: "rises-again"
    what: str  # one sentence, with numbers of the peer's own where they help
    always: bool = False  # a convention that all of the peer's run hangs on, so the default has it too
    applies: Callable[[Made], bool] = (
        _whenever  # to a call of which strict makes another schedule, or that always has it
    )


@dataclass(frozen=True)
class Peer:
    """A schedule of another library, declared.

    Attributes:
        framework: the module of `lrcore.dialects`.
        name: the peer's own name.
        formula: in the peer's own arguments; t is the update, the first one is 0.
        convention: where boundaries switch, what T includes, what stands past the end.
        quirks: what `strict=True` reproduces.
        build: the function of the dialect.
    """

    framework: str
    name: str
    formula: str
    convention: str
    quirks: tuple[Quirk, ...]
    build: Callable[..., Schedule]

    @property
    def key(self) -> str:
        """As in `lrcore.dialects`: "torch.StepLR"."""
        return f"{self.framework}.{self.name}"


PEERS: dict[str, Peer] = {}


def declared(key: str) -> Peer | None:
    """The peer of a key, from its dialect, which is imported if need be; None if there is none."""
    framework = key.partition(".")[0]
    is_name = framework.isidentifier() and not framework.startswith("_")
    if key not in PEERS and is_name and find_spec(f"{__package__}.{framework}"):
        import_module(f"{__package__}.{framework}")
    return PEERS.get(key)


def peer(
    formula: str, convention: str, *quirks: Quirk, **checks: Check
) -> Callable[[Callable[P, Schedule]], Callable[P, Schedule]]:
    """A decorator that declares a function as a peer's schedule, and checks its arguments, each as `name.argument`."""

    def decorate(function: Callable[P, Schedule]) -> Callable[P, Schedule]:
        framework, name = function.__module__.rpartition(".")[2], function.__name__
        signature = inspect.signature(function)
        every = {**checks, **({"strict": _check.flag} if "strict" in signature.parameters else {})}

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Schedule:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for argument, check in every.items():
                bound.arguments[argument] = check(f"{name}.{argument}", bound.arguments[argument])
            made = function(*bound.args, **bound.kwargs)
            if made.origin is not None and any(made is given for given in bound.arguments.values()):
                return made  # as it was given, with the quirks of where it came from
            strict = bool(bound.arguments.get("strict", False))
            plain = _without_strict(function, bound) if strict else made
            strict = strict and (plain is None or _differ(made, plain))
            names = _names(quirks, strict, Made(bound.arguments, made, plain))
            return made._with_hints(origin=Call.of(f"{framework}.{name}", strict, bound.arguments, names))

        checked.checks = every  # type: ignore[attr-defined]
        declared = Peer(framework, name, formula, convention, quirks, checked)
        PEERS[declared.key] = declared
        return checked

    return decorate


class Call(Origin):
    """An origin that still has the arguments, for the dialect itself; what is pickled or written has them no more."""

    arguments: dict[str, Any]

    @classmethod
    def of(cls, key: str, strict: bool, arguments: dict[str, Any], names: tuple[str, ...] | None = None) -> Call:
        made = cls(key, strict, names)
        made.arguments = dict(arguments)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Origin, tuple(self)

    def __repr__(self) -> str:
        return repr(Origin(*self))


COMPARED = 1 << 14  # updates, which take some microseconds


def _without_strict(function: Callable[..., Schedule], bound: inspect.BoundArguments) -> Schedule | None:
    """The same call without its quirks; None of what only the peer accepts."""
    try:
        return function(*bound.args, **{**bound.kwargs, "strict": False})
    except (TypeError, ValueError, ArithmeticError):
        return None


def _differ(made: Schedule, plain: Schedule) -> bool:
    """Whether `strict=True` made a difference: arguments that meet none of the quirks have nothing to be warned of."""
    lengths = made.length, plain.length
    if made == plain or None in lengths or max(filter(None, lengths), default=0) >= COMPARED:
        return made != plain
    n = max(length or 0 for length in lengths) + 1  # from there on both hold
    return made.table(n).tobytes() != plain.table(n).tobytes()


def _names(quirks: tuple[Quirk, ...], strict: bool, made: Made) -> tuple[str, ...] | None:
    """Of the quirks that it has; None where there is nothing to choose from."""
    asked = [quirk for quirk in quirks if strict or quirk.always]
    return tuple(quirk.name for quirk in asked if quirk.applies(made)) if strict or asked else None


def optional(check: Check) -> Check:
    """The check, or None."""

    def checked(where: str, given: Any) -> Any:
        return None if given is None else check(where, given)

    return checked


def many(check: Check, what: str) -> Check:
    """A check for a list, each item by itself."""

    def checked(where: str, given: Any) -> tuple[Any, ...]:
        return tuple(check(f"{where}[{at}]", item) for at, item in enumerate(_check.items(where, given, what)))

    return checked
