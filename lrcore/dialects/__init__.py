"""The schedules of other libraries, by their own names, with their own numbers: one module a library.

Each function takes the peer's parameters with the peer's defaults and gives an ordinary schedule. Within the run it has
the peer's values; past its end it holds, and `strict=True` reproduces what the peer does there and elsewhere that its
users did not expect.

Example:
    >>> from lrcore.dialects import torch
    >>> from lrcore import Cosine
    >>> torch.CosineAnnealingLR(0.1, T_max=100) == Cosine(0.1, 0.0, 100)
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrcore.dialects._configs import ConfigError as ConfigError, parse as parse
    from lrcore.dialects._page import table as table

# Imported when they are used: a dialect needs none of them.
_HOMES = {"parse": "_configs", "ConfigError": "_configs", "table": "_page"}

__all__ = ["ConfigError", "parse", "table"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"lrcore.dialects.{_HOMES[name]}"), name)
