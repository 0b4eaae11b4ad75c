"""lrcore schedules inside the frameworks: one module a framework, each needs only its own."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def __getattr__(name: str) -> Any:
    """A binding, imported with its framework when it is first used."""
    if name not in _bindings():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def _bindings() -> list[str]:
    return [module.name for module in iter_modules(__path__)]


def __dir__() -> list[str]:
    return sorted({*globals(), *_bindings()})
