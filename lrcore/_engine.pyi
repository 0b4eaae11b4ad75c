from array import array
from typing import Any, TypedDict

from numpy import float32, float64, int64
from numpy.typing import NDArray

MAX_DEPTH: int
KINDS: dict[str, int]

Row = tuple[
    int,
    float,
    float,
    float,
    float,
    array[int] | None,
    array[int] | None,
    NDArray[Any] | array[float] | None,
    bool,
    int,
]

class BuildInfo(TypedDict):
    compiler: str
    clones: bool
    active: str

class Program:
    def __init__(self, rows: list[Row]) -> None: ...
    def value(self, step: int) -> float: ...
    def fill(self, start: int, out: NDArray[float64] | NDArray[float32]) -> None: ...
    def take(self, steps: NDArray[int64], out: NDArray[float64]) -> None: ...

def smooth_rows(losses: NDArray[float64], beta: float, correct_bias: bool, out: NDArray[float64]) -> None: ...
def build_info() -> BuildInfo: ...
