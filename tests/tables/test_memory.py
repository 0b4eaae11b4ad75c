"""The memory of a write does not grow with the table, nor that of a check."""

import pytest

BOUND = 64 << 20
MEASURE = """
    import resource, sys
    import lrcore as lr
    from lrcore.tables import open_table, save_table

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

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
