"""Checks of arguments: what a field may hold, and the one way to say that it does not.

Every message reads `where: expected ..., got ...`, so that a user finds the field, what came and what is allowed.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

END_OF_STEPS = 2**53  # the first integer whose neighbour float64 cannot tell from it
SMALLEST, LARGEST = 1e-100, 1e100  # magnitudes of values: products with any step stay far from overflow

Check = Callable[[str, Any], Any]
C = TypeVar("C", bound=Check)


def with_schema(check: C, schema: dict[str, Any]) -> C:
    """The check, which from now on says in JSON Schema what it accepts, as far as that can say it."""
    check.schema = schema  # type: ignore[attr-defined]
    return check


def schema_of(check: Check) -> dict[str, Any]:
    """What a check accepts, in JSON Schema; {} accepts anything."""
    schema: dict[str, Any] = getattr(check, "schema", {})
    return schema


def accepts(schema: dict[str, Any]) -> Callable[[C], C]:
    """A decorator of a check: `with_schema`."""
    return lambda check: with_schema(check, schema)


def shown(value: object) -> str:
    """The value as an error message shows it: short, and with its type where that is the question."""
    text = repr(value[:80]) if isinstance(value, (list, tuple, str)) else repr(value)
    text = text if len(text) <= 80 else f"{text[:77]}..."
    return f"{text} ({type(value).__name__})"


def refuse(where: str, expected: str, got: object, error: type[Exception] = ValueError) -> NoReturn:
    raise error(f"{where}: expected {expected}, got {shown(got)}")


@accepts({"type": "number"})
def number(where: str, given: object) -> float:
    """Any finite real number, as a float; -0.0 becomes 0.0."""
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        refuse(where, "a number", given, TypeError)
    try:
        value = float(given)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        refuse(where, "a finite number", given)
    return value + 0.0


@accepts({"type": "number", "minimum": -LARGEST, "maximum": LARGEST})
def value(where: str, given: object) -> float:
    """A learning rate or a multiplier: 0, or of a magnitude that no arithmetic of ours can overflow."""
    checked = number(where, given)
    if checked != 0.0 and not SMALLEST <= abs(checked) <= LARGEST:
        refuse(where, f"0 or a magnitude between {SMALLEST:g} and {LARGEST:g}", given)
    return checked


@accepts({"type": "number", "minimum": SMALLEST, "maximum": LARGEST})
def positive(where: str, given: object) -> float:
    checked = value(where, given)
    if checked <= 0.0:
        refuse(where, "a number > 0", given)
    return checked


@accepts({"type": "number", "minimum": 0, "maximum": LARGEST})
def not_negative(where: str, given: object) -> float:
    checked = value(where, given)
    if checked < 0.0:
        refuse(where, "a number >= 0", given)
    return checked


def whole(least: int, most: int = END_OF_STEPS - 1, what: str = "a whole number of updates") -> Check:
    """A check for an int within [least, most]; a float is refused even where it is whole, and so is a bool."""

    def check(where: str, given: object) -> int:
        allowed = f"{what}, an int >= {least}"
        if isinstance(given, float) and given.is_integer():
            raise TypeError(f"{where}: expected {allowed}, got {shown(given)}: did you mean {given:.0f}?")
        if isinstance(given, (bool, np.bool_)) or not hasattr(
            given, "__index__"
        ):  # numpy < 2.3 makes an int of its bool
            refuse(where, allowed, given, TypeError)
        try:
            checked = index(given)  # an array of many values has __index__ and raises
        except TypeError:
            refuse(where, allowed, given, TypeError)
        if checked < least:
            refuse(where, allowed, given)
        if checked > most:
            refuse(where, f"{what}, an int <= {most}", given)
        return int(checked)

    return with_schema(check, {"type": "integer", "minimum": least, "maximum": most})


def choice(*options: str) -> Check:
    """A check for one of some names."""

    def check(where: str, given: object) -> str:
        allowed = " or ".join([", ".join(map(repr, options[:-1])), repr(options[-1])])
        if not isinstance(given, str):
            refuse(where, allowed, given, TypeError)
        if given not in options:
            raise ValueError(f"{where}: expected {allowed}, got {given!r}{did_you_mean(given, options)}")
        return given

    return with_schema(check, {"enum": list(options)})


@accepts({"type": "boolean"})
def flag(where: str, given: object) -> bool:
    """True or False, and nothing that only counts as one of them."""
    if not isinstance(given, bool):
        refuse(where, "True or False", given, TypeError)
    return given


def did_you_mean(given: str, options: Iterable[str]) -> str:
    from difflib import get_close_matches  # only on the way to an error

    close = get_close_matches(given, list(options), n=1)
    return f": did you mean {close[0]!r}?" if close else ""


def items(where: str, given: object, what: str) -> list[Any]:
    """The items of a list, a tuple or an array; a string or a mapping is refused."""
    if isinstance(given, (str, bytes, dict)) or not (isinstance(given, Sequence) or hasattr(given, "__array__")):
        refuse(where, f"a list of {what}", given, TypeError)
    try:
        return list(cast(Iterable[Any], given))
    except TypeError:  # an array without dimensions
        refuse(where, f"a list of {what}", given, TypeError)


def array(where: str, given: object, kinds: str, what: str) -> NDArray[Any]:
    """An array of numbers, of one of the dtype kinds; a mask would be lost, so masked arrays are refused."""
    if isinstance(given, np.ma.MaskedArray):
        refuse(where, f"{what} without a mask", given, TypeError)
    try:
        made = np.asarray(given)
    except ValueError:  # rows of different lengths
        refuse(where, f"an array of {what}", given)
    except (TypeError, RuntimeError):
        if not hasattr(given, "detach"):
            raise
        # A tensor of torch that needs its gradient, is elsewhere than on the CPU, or of a dtype that numpy has not.
        refuse(where, f"{what} that numpy can read, as of tensor.detach().cpu().float()", given, TypeError)
    if made.size == 0 and isinstance(given, (list, tuple)):
        made = made.astype(np.int64)
    if made.dtype.kind not in kinds:
        raise TypeError(f"{where}: expected {what}, got an array of {made.dtype}")
    return made


def field(check: Check, default: Any = dataclasses.MISSING, *, duration: str = "") -> Any:
    """A dataclass field that Schedule checks at construction.

    A `duration` follows `bind`, and `stretch` too: a "span" of at least one update, or a "place" that may come to 0. A
    "time" is a unit of time that need not be whole.
    """
    return dataclasses.field(default=default, metadata={"check": check, "duration": duration})
