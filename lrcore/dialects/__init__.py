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

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrcore.dialects import (
        composer as composer,
        deepspeed as deepspeed,
        fairseq as fairseq,
        fastai as fastai,
        fvcore as fvcore,
        ignite as ignite,
        keras as keras,
        megatron as megatron,
        mlx as mlx,
        mmengine as mmengine,
        olmo as olmo,
        optax as optax,
        paddle as paddle,
        tf1 as tf1,
        thinc as thinc,
        timm as timm,
        torch as torch,
        torchtitan as torchtitan,
        transformers as transformers,
    )
    from lrcore.dialects._configs import ConfigError as ConfigError, parse as parse
    from lrcore.dialects._page import table as table

# Imported when they are used, as the dialects are: a dialect needs none of them.
_HOMES = {"parse": "_configs", "ConfigError": "_configs", "table": "_page"}

__all__ = ["ConfigError", "parse", "table"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"lrcore.dialects.{_HOMES[name]}"), name)
    if name not in _dialects():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"lrcore.dialects.{name}")


def _dialects() -> list[str]:
    return [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_dialects()})
