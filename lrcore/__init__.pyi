from lrcore import dialects as dialects, finder as finder, groups as groups, monitor as monitor
from lrcore._engine import build_info as build_info
from lrcore.adoption import AdoptError as AdoptError, adopt as adopt
from lrcore.comparison import diff as diff
from lrcore.compose import (
    Clip as Clip,
    Product as Product,
    Scale as Scale,
    Sequence as Sequence,
    Shift as Shift,
    Staircase as Staircase,
    Stretch as Stretch,
    Sum as Sum,
)
from lrcore.curves import (
    Constant as Constant,
    Cosine as Cosine,
    Exponential as Exponential,
    Interpolate as Interpolate,
    Linear as Linear,
    Piecewise as Piecewise,
    Polynomial as Polynomial,
    Table as Table,
)
from lrcore.cycles import Cycle as Cycle
from lrcore.decays import (
    ExponentialDecay as ExponentialDecay,
    InverseSqrt as InverseSqrt,
    InverseTimeDecay as InverseTimeDecay,
    NaturalExpDecay as NaturalExpDecay,
)
from lrcore.durations import UnboundError as UnboundError
from lrcore.functions import Line as Line, Map as Map, Noise as Noise
from lrcore.insight import explain as explain
from lrcore.linting import lint as lint
from lrcore.plateau import Plateau as Plateau
from lrcore.plotting import plot as plot
from lrcore.recipes import (
    cyclic_polynomial as cyclic_polynomial,
    inverse_sqrt as inverse_sqrt,
    noam as noam,
    one_cycle as one_cycle,
    sgdr as sgdr,
    step_decay as step_decay,
    triangular as triangular,
    warmup as warmup,
    warmup_cosine as warmup_cosine,
    wsd as wsd,
)
from lrcore.replanning import JumpWarning as JumpWarning
from lrcore.schedule import RoundingWarning as RoundingWarning, Schedule as Schedule
from lrcore.smoothing import smooth as smooth
from lrcore.spec import SpecError as SpecError, dump as dump, from_dict as from_dict, load as load
from lrcore.tables import open_table as open_table

__version__: str
__all__: list[str]
