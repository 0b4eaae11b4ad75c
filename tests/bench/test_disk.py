"""Long tables on disk: what is written is compared, and nothing is left there."""

import tempfile

import numpy as np
import pytest

from bench import bench_disk, bench_peers
from bench._curves import numpy_stream


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(bench_disk, "QUICK_STEPS", 200_000)
    return tmp_path


def test_every_schedule_has_its_line_and_leaves_no_file(folder):
    memory, *rows = bench_disk.rows(quick=True)
    assert memory["met"] is True
    assert [row["about"]["schedule"] for row in rows] == [make(1000).name for make in bench_peers.CASES] + ["Cosine"]
    for row in rows:
        assert row["ours"] == row["peer_ns"] / row["ours_ns"]
        assert row["met"] is (row["ours"] >= 1.0)
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("folder")
def test_without_room_nothing_is_written(monkeypatch):
    monkeypatch.setattr(bench_disk.shutil, "disk_usage", lambda _: bench_disk.shutil._ntuple_diskusage(1, 1, 3_000_000))
    rows = list(bench_disk.rows(quick=True))
    assert [row["met"] for row in rows] == [None] * 9
    assert {row["note"] for row in rows} == {"not measured: 0 GB have to be free for temporary files"}


@pytest.mark.usefixtures("folder")
def test_a_wrong_table_is_no_fast_one(monkeypatch):
    monkeypatch.setattr(bench_disk, "CASES", [lambda steps: bench_peers.CASES[0](steps // 2)])
    wrong = lambda _, *rest: np.save(rest[0], np.full(rest[1], 0.1, rest[2]))  # noqa: E731
    monkeypatch.setattr(bench_disk, "_by_numpy", wrong)
    rows = list(bench_disk.rows(quick=True))[1:]
    assert [row["met"] for row in rows] == [False, False]
    assert all(row["note"].startswith("wrong:") for row in rows)


@pytest.mark.parametrize("make", bench_peers.CASES, ids=lambda make: make.__name__)
@pytest.mark.parametrize(("begin", "end", "block"), [(0, 3000, 3000), (0, 3000, 7), (1234, 2999, 100)])
def test_numpys_blocks_are_the_table(make, begin, end, block):
    case, room = make(3000), np.empty(block)
    stream = [np.array(part) for part in numpy_stream(case.runs, np.arange(float(block)), room, begin, end)]
    np.testing.assert_allclose(np.concatenate(stream), case.ours.table(end - begin, begin), rtol=0, atol=1e-13)
