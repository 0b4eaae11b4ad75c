"""The same lines under pytest-benchmark: ours and the peer of a line are one group, with the ratio beside the times.

`python -m pytest bench` shows small sizes; `--benchmark-save` and `--benchmark-compare` do what they always do. The
verdicts are those of `python -m bench`: nothing here fails because of a time.
"""

import pytest

from bench import bench_calls, bench_fill, bench_pictures, bench_smooth, bench_take
from bench._measure import Line, check, measure

MODULES = (bench_fill, bench_take, bench_calls, bench_smooth, bench_pictures)
LINES = [line for module in MODULES for line in module.lines(quick=True)]
SIDES = [(line, side) for line in LINES for side in ("ours", "peer") if getattr(line, side)]


@pytest.mark.parametrize(("line", "side"), SIDES, ids=[f"{line.name}, {side}" for line, side in SIDES])
def test_speed(benchmark, line: Line, side: str):
    try:
        check(line)
    except ImportError as missing:
        pytest.skip(str(missing))
    benchmark.group = line.name
    benchmark.extra_info.update(measure(line, rounds=5))
    benchmark.pedantic(getattr(line, side), rounds=5)
