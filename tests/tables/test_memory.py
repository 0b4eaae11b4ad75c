"""The memory of a write does not grow with the table, nor that of a check."""

from pathlib import Path

import pytest

BOUND = 64 << 20
STATUS = Path("/proc/self/status")
MEASURE = """
    import sys
    from pathlib import Path
    import lrcore as lr
    from lrcore.tables import open_table, save_table

    def peak():  # not ru_maxrss, which begins with that of the process that started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

    path, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    schedule = lr.Cosine(0.1, 0.0, 10**9)
    save_table(schedule, path, 10)
    begin = peak()
    save_table(schedule, path, steps, dtype="float32", threads=threads)
    written = peak()
    if not path.endswith(".parquet"):  # which is read into memory
        assert open_table(path, schedule=schedule)(7) > 0.0
    print(written - begin, peak() - written)
"""


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux")
@pytest.mark.parametrize("threads", [1, 2])
def test_memory_is_constant(tmp_path, suffix, python, threads):
    steps = 30_000_000
    assert 4 * steps > 1.5 * BOUND
    process = python(MEASURE, tmp_path / f"table{suffix}", steps, threads)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    writing, checking = map(int, output.split())
    assert writing < BOUND
    assert checking < BOUND
