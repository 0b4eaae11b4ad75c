"""Schedules as text: the notation of `repr`, read without evaluating it as code.

An expression is made of calls of lrcore's curves, combinators and recipes, of numbers, strings, None, True, False,
lists and tuples, of the operators `+ - * / >>` and of the methods that a schedule has for composing. Nothing else has a
meaning: no other name, no attribute, no import, no power. So the text may come from a file or a command line that one
does not trust.
"""

from __future__ import annotations

import ast
import inspect
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from lrcore import _check, compose, curves, cycles, decays, functions, recipes
from lrcore.schedule import Schedule

LONGEST = 1 << 20  # characters
DEEPEST = 200  # levels of nesting, as in Python's own parser

METHODS = ("clip", "shift", "staircase", "stretch", "warmup")
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.RShift: operator.rshift,
}


class ExpressionError(ValueError):
    """A text that is no expression of a schedule."""


def parse(text: str) -> Schedule:
    """The schedule that an expression describes; `parse(repr(schedule)) == schedule`.

    Args:
        text: for example `"Linear(0.0, 0.1, 100) >> Cosine(0.1, 0.0, 900)"` or
            `"warmup_cosine(0.1, 0.0, 100, steps=1000)"`; at most 2**20 characters, 200 levels deep.

    Raises:
        ExpressionError: (a ValueError) something else than such an expression, or an argument that a schedule refuses.
        TypeError: no text.

    Example:
        >>> parse("0.5 * step_decay(0.1, 0.5, every=10).warmup(5)")(5)
        0.05
        >>> parse("print('hello')")
        Traceback (most recent call last):
        ...
        lrcore.expression.ExpressionError: expression, column 1: expected a curve, a combinator or a recipe of lrcore,
        got 'print'
    """
    if not isinstance(text, str):
        _check.refuse("expression", "a text", text, TypeError)
    if len(text) > LONGEST:
        raise ExpressionError(f"expression: expected at most {LONGEST} characters, got {len(text)}")
    try:
        node = ast.parse(text.strip(), mode="eval").body
        found = _Reader().value(node)
    except ExpressionError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"expression{_complaint(error)}") from None
    if not isinstance(found, Schedule):
        _refuse(node, "a schedule", found)
    return found


def _complaint(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f", column {error.offset}: {error.msg}" if error.offset else f": {error.msg}"
    return f": {error}" if str(error) else ": too deeply nested"


def _refuse(node: ast.expr, expected: str, found: object) -> NoReturn:
    raise ExpressionError(f"{_place(node)}: expected {expected}, got {_check.shown(found)}")


def _place(node: ast.expr) -> str:
    line = f"line {node.lineno}, " if node.lineno > 1 else ""
    return f"expression, {line}column {node.col_offset + 1}"


# ---- Names ----


def _defined_in(module: ModuleType) -> dict[str, Callable[..., Any]]:
    return {
        name: item
        for name, item in vars(module).items()
        if not name.startswith("_") and getattr(item, "__module__", None) == module.__name__ and callable(item)
    }


def _names() -> dict[str, Callable[..., Schedule]]:
    modules = (curves, decays, compose, cycles, functions)
    nodes = {name: node for module in modules for name, node in _defined_in(module).items()}
    classes = {name: item for name, item in nodes.items() if isinstance(item, type) and issubclass(item, Schedule)}
    return {**classes, **_defined_in(recipes)}


NAMES = _names()


# ---- Values ----

_OURS = "a curve, a combinator or a recipe of lrcore"


def _unlike(node: ast.expr, expected: str, guess: str = "") -> ExpressionError:
    """The error about a piece of the text that has another shape than it may have."""
    text = ast.unparse(node)
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return ExpressionError(f"{_place(node)}: expected {expected}, got {shown!r}{guess}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class _Reader:
    """Walks the syntax tree, and knows how deep it is."""

    def __init__(self) -> None:
        self.depth = 0

    def value(self, node: ast.expr) -> Any:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise _unlike(node, "a schedule, a number, a text or a list")
        if self.depth == DEEPEST:
            raise ExpressionError(f"{_place(node)}: expected at most {DEEPEST} levels of nesting")
        self.depth += 1
        found = handler(self, node)
        self.depth -= 1
        return found

    def constant(self, node: ast.Constant) -> Any:
        if not isinstance(node.value, (bool, int, float, str, type(None))):
            _refuse(node, "a number, a text, None, True or False", node.value)
        return node.value

    def items(self, node: ast.List | ast.Tuple) -> Any:
        values = [self.value(item) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)

    def negative(self, node: ast.UnaryOp) -> Any:
        operand = self.value(node.operand)
        if not isinstance(node.op, ast.USub) or not _is_number(operand):
            raise _unlike(node, "no sign but a minus before a number")
        return -operand

    def operation(self, node: ast.BinOp) -> Any:
        apply = _OPERATORS.get(type(node.op))
        if apply is None:
            raise _unlike(node, "one of + - * / >>")
        operands = [self.value(side) for side in (node.left, node.right)]
        for side, operand in zip((node.left, node.right), operands, strict=True):
            if not _is_number(operand) and not isinstance(operand, Schedule):
                _refuse(side, "a schedule or a number", operand)
        return _called(node, apply, operands, {})

    def call(self, node: ast.Call) -> Any:
        name, call = self.callee(node.func)
        given = [self.value(item) for item in node.args]
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg in named:
                raise _unlike(keyword.value, f"{keyword.arg} once")
            named[keyword.arg or "**"] = self.value(keyword.value)
        _check_arguments(node, name, call, given, named)
        return _called(node, call, given, named)

    def callee(self, node: ast.expr) -> tuple[str, Callable[..., Any]]:
        """The name and the function of a call: one of lrcore's, or a method of a schedule."""
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value)
            if node.attr in METHODS and isinstance(owner, Schedule):
                return node.attr, getattr(owner, node.attr)
            expected = f"a schedule's {', '.join(METHODS[:-1])} or {METHODS[-1]}"
            raise _unlike(node, expected, _check.did_you_mean(node.attr, METHODS))
        if not isinstance(node, ast.Name) or node.id not in NAMES:
            guess = _check.did_you_mean(node.id, NAMES) if isinstance(node, ast.Name) else ""
            raise _unlike(node, _OURS, guess)
        return node.id, NAMES[node.id]

    def name(self, node: ast.Name) -> NoReturn:
        if node.id in NAMES:
            raise _unlike(node, f"a call, {node.id}(...)")
        raise _unlike(node, _OURS, _check.did_you_mean(node.id, NAMES))


_HANDLERS: dict[type[ast.expr], Callable[[_Reader, Any], Any]] = {
    ast.BinOp: _Reader.operation,
    ast.Call: _Reader.call,
    ast.Constant: _Reader.constant,
    ast.List: _Reader.items,
    ast.Name: _Reader.name,
    ast.Tuple: _Reader.items,
    ast.UnaryOp: _Reader.negative,
}


def _called(node: ast.expr, call: Callable[..., Any], given: list[Any], named: dict[str, Any]) -> Any:
    """What a call gives; its complaints become ours."""
    try:
        return call(*given, **named)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ExpressionError(f"{_place(node)}: {error}") from error


def _check_arguments(
    node: ast.Call, name: str, call: Callable[..., Any], given: list[Any], named: dict[str, Any]
) -> None:
    """Refuses arguments that the function does not have, and the lack of those that it wants."""
    signature = inspect.signature(call)
    for argument in named:
        if argument not in signature.parameters:
            guess = _check.did_you_mean(argument, signature.parameters) or f" ({', '.join(signature.parameters)})"
            raise ExpressionError(f"{_place(node)}: {name} has no argument {argument!r}{guess}")
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        raise ExpressionError(f"{_place(node)}: {name}: {error}") from None
