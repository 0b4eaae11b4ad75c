"""lrcore: learning-rate schedules as immutable values, evaluated at memory speed.

>>> from lrcore import warmup_cosine
>>> schedule = warmup_cosine(peak_value=0.1, end_value=0.0, warmup_steps=100, steps=1000)
>>> schedule(0), schedule(50), schedule(100), schedule(1000)
(0.0, 0.05, 0.1, 0.0)

A name is imported from its module when it is first used, so `lrcore --help` need not wait for numpy. The same names
stand in __init__.pyi, for editors and type checkers.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "_engine": ("build_info",),
    "adoption": (
        "AdoptError",
        "adopt",
    ),
    "comparison": ("diff",),
    "compose": (
        "Clip",
        "Product",
        "Scale",
        "Sequence",
        "Shift",
        "Staircase",
        "Stretch",
        "Sum",
    ),
    "cycles": ("Cycle",),
    "curves": (
        "Constant",
        "Cosine",
        "Exponential",
        "Interpolate",
        "Linear",
        "Piecewise",
        "Polynomial",
        "Table",
    ),
    "decays": (
        "ExponentialDecay",
        "InverseSqrt",
        "InverseTimeDecay",
        "NaturalExpDecay",
    ),
    "durations": ("UnboundError",),
    "insight": ("explain",),
    "linting": ("lint",),
    "plateau": ("Plateau",),
    "plotting": ("plot",),
    "functions": ("Line", "Map", "Noise"),
    "recipes": (
        "cyclic_polynomial",
        "inverse_sqrt",
        "noam",
        "one_cycle",
        "sgdr",
        "step_decay",
        "triangular",
        "warmup",
        "warmup_cosine",
        "wsd",
    ),
    "replanning": ("JumpWarning",),
    "schedule": (
        "RoundingWarning",
        "Schedule",
    ),
    "smoothing": ("smooth",),
    "spec": (
        "SpecError",
        "dump",
        "from_dict",
        "load",
    ),
    "tables": ("open_table",),
}
# Used by their own names: lrcore.dialects.torch.StepLR.
_MODULES = ("bindings", "dialects", "finder", "groups", "monitor")
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"lrcore.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'lrcore' has no attribute {name!r}")
    try:
        found = getattr(import_module(f"lrcore.{_HOME_OF[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "lrcore._engine":
            raise
        raise ImportError("lrcore's native core is not built here: run `pip install -e .` in the repository") from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
