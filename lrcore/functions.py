"""What the schedules of other libraries are made of beside curves: a line without an end, functions of values, noise.

A curve of lrcore stays within its ends. Where a library's does not (a cosine that rises again, a line that goes below
zero, a phase that ends between two updates) it is one of these, composed: `Map(Line(...), "cosine")`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lrcore import _check
from lrcore._check import field
from lrcore._rows import Rows, row
from lrcore.durations import Duration, time_unit
from lrcore.schedule import Schedule, is_schedule

FUNCTIONS = ("cosine", "tanh", "exp", "log", "power")


@dataclass(frozen=True, slots=True)
class Line(Schedule):
    """A straight line through two values, which goes on for ever in its direction.

    `init_value + (end_value - init_value) * t / steps`

    Args:
        init_value: the value at step 0.
        end_value: the value at step `steps`; beyond it the line goes on, below zero too.
        steps: updates from the one to the other, > 0; need not be whole.

    Raises:
        TypeError, ValueError: arguments that are no finite numbers; steps <= 0.

    Use `Linear` for a learning rate that ends.

    Also known as: what is left of torch `OneCycleLR(anneal_strategy="linear")` past its end.

    Example:
        >>> Line(1.0, 0.0, 2.5).table(5).tolist()
        [1.0, 0.6, 0.2, -0.2, -0.6]
    """

    init_value: float = field(_check.value)
    end_value: float = field(_check.value)
    steps: Duration = field(time_unit, duration="time")

    def _lower(self, rows: Rows) -> int:
        return row(rows, "LINE", self.init_value, self.end_value, span=self.steps)

    def _length(self, _scale: float) -> int | None:
        return None if self.init_value != self.end_value else 0


LEAST_BOUND = 0.001  # one number in 1,250 is within it; the engine draws 2**15 times


@_check.accepts({"anyOf": [{"type": "number", "minimum": LEAST_BOUND, "maximum": _check.LARGEST}, {"type": "null"}]})
def _bound(where: str, given: Any) -> float | None:
    if given is None:
        return None
    bound = _check.positive(where, given)
    return bound if bound >= LEAST_BOUND else _check.refuse(where, f"a number >= {LEAST_BOUND}", given)


@dataclass(frozen=True, slots=True)
class Noise(Schedule):
    """Independent random numbers, one for each step: the same for the same seed.

    "normal": of mean 0 and variance 1, drawn again until `-bound < x < bound`; "uniform": in [-1, 1)

    The numbers are a function of seed and step alone, so an update that is reached by resuming has the noise that it
    has in a run without interruption. `stretch` does not change them.

    Args:
        seed: an int in [0, 2**53).
        generator: "splitmix64", some nanoseconds a number, or "mt19937", the numbers of `torch.randn(1, generator=g)`,
            or of `2 * torch.rand(1, generator=g) - 1`, after `g.manual_seed(seed + step)` on a CPU; of 32 bits each.
        distribution: "normal" or "uniform".
        bound: of normal numbers, >= 0.001; 0 stands where 2**15 numbers are beyond it. None: no bound.

    Raises:
        TypeError, ValueError: a seed that is none; another generator or distribution; a bound below 0.001, or for
            uniform numbers.

    Of "mt19937", one normal number in 10**8 by estimate is a float32 ulp off torch's (of a million none was), which has
    sine, cosine and logarithm from the machine's library; those of the engine are the same on all machines.

    Reference: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011), on counters instead of state; Steele,
    Lea and Flood, Fast Splittable Pseudorandom Number Generators (2014), the mixing; Matsumoto and Nishimura, Mersenne
    Twister (1998); Box and Muller (1958).
    Also known as: timm `lr_noise` ("mt19937"), TF1 `noisy_linear_cosine_decay` (with other numbers).

    Example:
        >>> Noise(7)(3) == Noise(7)(3), Noise(7)(3) == Noise(8)(3)
        (True, False)
        >>> noisy = 0.1 + 0.01 * Noise(7)
        >>> Noise(42, "mt19937", bound=0.67).table(3).round(4).tolist()  # what timm adds by default
        [0.3367, -0.6484, 0.0589]
    """

    seed: int = field(_check.whole(0, what="a seed"))
    generator: str = field(_check.choice("splitmix64", "mt19937"), "splitmix64")
    distribution: str = field(_check.choice("normal", "uniform"), "normal")
    bound: float | None = field(_bound, None)

    def _validate(self) -> None:
        if self.bound is not None and self.distribution != "normal":
            _check.refuse("Noise.bound", f"None for the distribution {self.distribution!r}", self.bound)

    def _lower(self, rows: Rows) -> int:
        kind = "NOISE" if self.generator == "splitmix64" else "TWISTER"
        if self.distribution == "uniform":
            kind += "_UNIFORM"
        return row(rows, kind, end=self.bound or 0.0, shape=float(self.seed))

    def _length(self, _scale: float) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Map(Schedule):
    """A function of a schedule's values.

    "cosine": `(1 + cos(pi * v)) / 2`, which falls from 1 at v = 0 to 0 at v = 1, and rises again; "tanh": `tanh(v)`;
    "exp": `exp(v)`; "log": `log(v)`, natural; "power": `v**power`; with `v = schedule(t)`

    Args:
        schedule: what the values are taken of.
        function: see above.
        power: the exponent, for "power" alone; not 0.

    Raises:
        TypeError, ValueError: no schedule; another function; a power that is 0 or no finite number, or one for another
            function.

    "power" takes values below 0 for 0, "log" those below 1e-300 for that; nothing exceeds 1e300. "cosine" is meant for
    `|v| < 2**52`. Within 4 ulp of the function of v, of 1 for "cosine".

    Also known as: the `exponent` of `optax.cosine_decay_schedule`, timm's `k_decay` and `TanhLRScheduler`, DeepSpeed's
    logarithmic `WarmupLR`.

    Example:
        >>> Map(Line(0.0, 1.0, 2), "cosine").table(5).tolist()
        [1.0, 0.5, 0.0, 0.5, 1.0]
        >>> Map(Line(1.0, 2.0, 3), "power", -0.5)(9)
        0.5
    """

    schedule: Schedule = field(is_schedule)
    function: str = field(_check.choice(*FUNCTIONS))
    power: float = field(_check.value, 1.0)

    def _validate(self) -> None:
        if self.power == 0.0:
            _check.refuse("Map.power", "a number that is not 0", self.power)
        if self.function != "power" and self.power != 1.0:
            _check.refuse("Map.power", f"1 for the function {self.function!r}", self.power)

    def _children(self) -> tuple[Schedule, ...]:
        return (self.schedule,)

    def _length(self, scale: float) -> int | None:
        return self.schedule._length(scale)

    def _lower(self, rows: Rows) -> int:
        place = rows.place_of(self.schedule)
        if self.function == "power" and self.power == 0.5:
            return row(rows, "MAP_SQRT", children=[place])
        return row(rows, f"MAP_{self.function.upper()}", shape=self.power, children=[place])
