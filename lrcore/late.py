"""Recipes whose durations have units: the call is kept, and made when `bind` knows what they come to.

A recipe computes with its durations (what the warm-up leaves of the run, how much of it rises), which only numbers of
updates allow. So `warmup_cosine(0.1, 0.0, "5%", "100%")` is a value that holds the call itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, ParamSpec

from lrcore import _check
from lrcore._check import Check, field
from lrcore._rows import Rows
from lrcore.durations import is_text
from lrcore.schedule import Schedule

P = ParamSpec("P")
Recipe = Callable[..., Schedule]


def recipe(**checks: Check) -> Callable[[Callable[P, Schedule]], Callable[P, Schedule]]:
    """A decorator that checks every argument of a recipe, each as `recipe.argument`.

    With a duration or a schedule among them that is not bound yet, the call is deferred.
    """

    def decorate(function: Callable[P, Schedule]) -> Callable[P, Schedule]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Schedule:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for name, check in checks.items():
                bound.arguments[name] = check(f"{function.__name__}.{name}", bound.arguments[name])
            if any(_waits(name, given) for name, given in bound.arguments.items()):
                return Deferred(function.__name__, tuple(bound.arguments.items()))
            return function(*bound.args, **bound.kwargs)

        def _waits(name: str, given: object) -> bool:
            if isinstance(given, Schedule):
                return not given.is_bound
            return is_text(given) and name in durations

        durations = {name for name, check in checks.items() if hasattr(check, "least")}
        checked.checks = checks  # type: ignore[attr-defined]
        return checked

    return decorate


def _name(where: str, given: Any) -> str:
    return _check.choice(*_recipes())(where, given)  # type: ignore[no-any-return]


def _recipes() -> dict[str, Recipe]:
    from lrcore import recipes

    return {name: item for name, item in vars(recipes).items() if hasattr(item, "checks")}


def _arguments(_where: str, given: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((str(name), argument) for name, argument in given)


@dataclass(frozen=True, slots=True, repr=False)
class Deferred(Schedule):
    """The call of a recipe that waits for its durations.

    Args:
        recipe: its name.
        arguments: (name, value) pairs, checked already.

    It is made by the recipe itself. `bind` gives the schedule that the recipe composes.
    """

    recipe: str = field(_name)
    arguments: tuple[tuple[str, Any], ...] = field(_arguments, duration="span")

    def _children(self) -> tuple[Schedule, ...]:
        return tuple(given for _, given in self.arguments if isinstance(given, Schedule))

    def _own_durations(self) -> Iterator[tuple[str, int | str]]:
        for name, given in self.arguments:
            if given is not None and hasattr(self.check_of(name), "least"):
                yield f"{self.recipe}.{name}", given

    def check_of(self, name: str) -> Check:
        """The check of an argument; that of a duration has an attribute `least`."""
        check: Check = _recipes()[self.recipe].checks[name]  # type: ignore[attr-defined]
        return check

    def called(self, **arguments: Any) -> Schedule:
        """What the recipe composes of its arguments, some of them replaced."""
        return _recipes()[self.recipe](**{**dict(self.arguments), **arguments})

    def _lower(self, _rows: Rows) -> NoReturn:
        self._refuse()

    def _length(self, _scale: float) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        from lrcore import binding

        raise binding.unbound(self)

    def __repr__(self) -> str:
        return f"{self.recipe}({', '.join(f'{name}={given!r}' for name, given in self.arguments)})"
