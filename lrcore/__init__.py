"""lrcore: learning-rate schedules as immutable values, evaluated at memory speed.

>>> from lrcore import warmup_cosine
>>> schedule = warmup_cosine(peak_value=0.1, end_value=0.0, warmup_steps=100, steps=1000)
>>> schedule(0), schedule(50), schedule(100), schedule(1000)
(0.0, 0.05, 0.1, 0.0)
"""

try:
    from lrcore._engine import build_info
except ModuleNotFoundError as error:
    if error.name != "lrcore._engine":
        raise
    raise ImportError("lrcore's native core is not built here: run `pip install -e .` in the repository") from error

from lrcore.compose import Clip, Cycle, Product, Scale, Sequence, Shift, Staircase, Stretch, Sum
from lrcore.curves import (
    Constant,
    Cosine,
    Exponential,
    ExponentialDecay,
    Interpolate,
    InverseSqrt,
    InverseTimeDecay,
    Linear,
    NaturalExpDecay,
    Piecewise,
    Polynomial,
    Table,
)
from lrcore.recipes import (
    cyclic_polynomial,
    inverse_sqrt,
    noam,
    one_cycle,
    sgdr,
    step_decay,
    triangular,
    warmup_cosine,
    wsd,
)
from lrcore.schedule import RoundingWarning, Schedule
from lrcore.smoothing import smooth
from lrcore.tables import open_table

__version__ = "0.1.0"

__all__ = [
    "Clip",
    "Constant",
    "Cosine",
    "Cycle",
    "Exponential",
    "ExponentialDecay",
    "Interpolate",
    "InverseSqrt",
    "InverseTimeDecay",
    "Linear",
    "NaturalExpDecay",
    "Piecewise",
    "Polynomial",
    "Product",
    "RoundingWarning",
    "Scale",
    "Schedule",
    "Sequence",
    "Shift",
    "Staircase",
    "Stretch",
    "Sum",
    "Table",
    "build_info",
    "cyclic_polynomial",
    "inverse_sqrt",
    "noam",
    "one_cycle",
    "open_table",
    "sgdr",
    "smooth",
    "step_decay",
    "triangular",
    "warmup_cosine",
    "wsd",
]
