"""What is written: read back by libraries that know nothing of lrcore."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import pty
import re
import select
import stat
import struct
import sys
import termios

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import tables
from lrcore.tables import CHUNK, open_table, save_table
from strategies import schedules


def values_of(path):
    """The values as another library reads them."""
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".safetensors":
        tensors = safetensors.numpy.load_file(path)
        assert list(tensors) == ["values"]
        return tensors["values"]
    table = pq.read_table(path)
    assert table.column_names == ["values"]
    return table["values"].to_numpy()


def metadata_of(path):
    """The metadata as another library reads them."""
    if path.suffix == ".npy":
        return json.loads(path.with_name(f"{path.name}.json").read_text())
    if path.suffix == ".safetensors":
        with safetensors.safe_open(path, framework="numpy") as file:
            return file.metadata()
    found = pq.ParquetFile(path).metadata.metadata
    return {name.decode(): text.decode() for name, text in found.items() if name != b"ARROW:schema"}


def sha256(values):
    return hashlib.sha256(values.tobytes()).hexdigest()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("n", "start"), [(1, 0), (1000, 0), (777, 123), (5, 2**53 - 5)])
def test_other_libraries_read_the_values(tmp_path, suffix, schedule, n, start, dtype):
    path = tmp_path / f"table{suffix}"
    save_table(schedule, path, n, start=start, dtype=dtype)
    expected = schedule.table(n, start, dtype)
    found = values_of(path)
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_many_chunks_give_the_same_file_for_any_number_of_threads(tmp_path, suffix, schedule, threads):
    n = 2 * CHUNK + 12_345
    path, alone = tmp_path / f"table{suffix}", tmp_path / f"alone{suffix}"
    record = save_table(schedule, path, n, start=7, threads=threads)
    save_table(schedule, alone, n, start=7)
    assert path.read_bytes() == alone.read_bytes()
    expected = schedule.table(n, start=7)
    assert record.sha256 == sha256(expected)
    assert values_of(path).tobytes() == expected.tobytes()


def test_npy_is_byte_for_byte_what_numpy_saves(tmp_path, schedule):
    for n in (1, 9, 10, 12_345):
        save_table(schedule, tmp_path / "table.npy", n, dtype="float32")
        expected = io.BytesIO()
        np.save(expected, schedule.table(n, dtype="float32"))
        assert (tmp_path / "table.npy").read_bytes() == expected.getvalue()


def test_the_metadata_travel_along(tmp_path, suffix, schedule):
    path = tmp_path / f"table{suffix}"
    record = save_table(schedule, path, 500, start=40, dtype="float32")
    found = metadata_of(path)
    assert found.pop("lrcore.checksum") == record.fields()["lrcore.checksum"]
    assert found == {
        "lrcore.table": "1",
        "lrcore.schedule": repr(schedule),
        "lrcore.dtype": "float32",
        "lrcore.start": "40",
        "lrcore.length": "500",
        "lrcore.sha256": sha256(schedule.table(500, 40, "float32")),
        "lrcore.version": lr.__version__,
    }


@settings(max_examples=25, deadline=None)
@given(schedules(2), st.sampled_from(["float64", "float32"]))
def test_any_schedule_survives_the_file(tmp_path_factory, schedule, dtype):
    path = tmp_path_factory.mktemp("any") / "table.safetensors"
    schedule.save_table(path, 100, dtype=dtype)
    table = open_table(path, schedule=schedule)
    assert table.values.tobytes() == schedule.table(100, dtype=dtype).tobytes()
    assert table.schedule == schedule


def test_only_the_table_is_left_in_the_folder(tmp_path, suffix, schedule):
    for _ in range(2):
        save_table(schedule, tmp_path / f"table{suffix}", 10)
    expected = {"table.npy", "table.npy.json"} if suffix == ".npy" else {f"table{suffix}"}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_the_older_table_is_replaced(tmp_path, suffix, schedule):
    path = tmp_path / f"table{suffix}"
    save_table(schedule, path, 1000)
    save_table(0.5 * schedule, path, 300)
    assert open_table(path, schedule=0.5 * schedule).values.tobytes() == (0.5 * schedule).table(300).tobytes()


def test_files_have_the_usual_permissions(tmp_path, suffix, schedule):
    path, plain = tmp_path / f"table{suffix}", tmp_path / "plain"
    save_table(schedule, path, 10)
    plain.touch()
    for written in set(tmp_path.iterdir()) - {plain}:
        assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_link_is_written_through(tmp_path, suffix, schedule):
    (tmp_path / "store").mkdir()
    link, store = tmp_path / f"link{suffix}", tmp_path / "store" / f"table{suffix}"
    link.symlink_to(store)
    save_table(schedule, link, 10)
    assert link.is_symlink()
    assert values_of(store).tobytes() == schedule.table(10).tobytes()
    assert open_table(link, schedule=schedule)(3) == schedule(3)


def test_the_unfinished_file_is_on_the_disk_that_a_link_points_to(tmp_path, suffix, python):
    """Nothing can be renamed from one disk to another."""
    (tmp_path / "store").mkdir()
    link, store = tmp_path / f"link{suffix}", tmp_path / "store" / f"table{suffix}"
    link.symlink_to(store)
    process = python(
        """
        import sys
        import lrcore as lr
        sys.addaudithook(lambda event, arguments: print(arguments[0]) if event == "os.rename" else None)
        lr.Constant(1).save_table(sys.argv[1], 10)
        """,
        link,
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert len([line for line in output.splitlines() if line.startswith(f"{store}.")]) == 1


def test_a_relative_path_and_a_text_are_fine(tmp_path, suffix, schedule, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schedule.save_table(f"table{suffix}", 10)
    assert open_table(f"table{suffix}") == lr.Table(schedule.table(10))
    assert (tmp_path / f"table{suffix}").exists()


def test_capitals_are_fine(tmp_path, schedule):
    save_table(schedule, tmp_path / "TABLE.NPY", 10)
    assert open_table(tmp_path / "TABLE.NPY")(2) == schedule(2)


def test_a_spec_too_long_to_travel_is_known_by_its_digest(tmp_path, suffix):
    long = lr.Table(np.linspace(0.0, 1.0, 70_000))
    assert len(repr(long)) > 2**20
    path = tmp_path / f"table{suffix}"
    record = save_table(long, path, 10)
    assert record.schedule == f"sha256:{hashlib.sha256(repr(long).encode()).hexdigest()}"
    table = open_table(path, schedule=long)
    with pytest.raises(tables.TableError, match=r"table.*expected the expression.*found sha256:.*too long"):
        table.schedule  # noqa: B018
    with pytest.raises(tables.TableError, match="another schedule"):
        open_table(path, schedule=long * 0.5)


# --- refusals


@pytest.mark.parametrize(
    ("name", "guess"),
    [("table", ""), ("table.csv", ""), ("table.np", r"did you mean '\.npy'"), ("t.safetensor", r"'\.safetensors'")],
)
def test_another_format_is_refused(tmp_path, schedule, name, guess):
    for call in (lambda path: save_table(schedule, path, 10), open_table):
        with pytest.raises(ValueError, match=rf"path: .*\.npy, \.safetensors or \.parquet.*{name}.*{guess}"):
            call(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("n", "options", "error", "message"),
    [
        (0, {}, ValueError, "n: expected a number of steps, an int >= 1, got 0"),
        (-1, {}, ValueError, "n: .*>= 1, got -1"),
        (1.5, {}, TypeError, r"n: .*got 1\.5"),
        (True, {}, TypeError, "n: .*got True"),
        (2, {"start": 2**53 - 1}, ValueError, "n: .*<= 1, got 2"),
        (10, {"start": -1}, ValueError, "start: .*got -1"),
        (10, {"start": "0"}, TypeError, "start: .*got '0'"),
        (10, {"dtype": "float16"}, ValueError, "dtype: expected 'float64' or 'float32', got 'float16'"),
        (10, {"dtype": ">f8"}, ValueError, "dtype: .*got '>f8'"),
        (10, {"threads": 0}, ValueError, "threads: .*got 0"),
        (10, {"threads": 1.0}, TypeError, r"threads: .*got 1\.0"),
        (10, {"progress": "yes"}, TypeError, "progress: expected True, False or None, got 'yes'"),
    ],
)
def test_bad_arguments_are_refused_before_a_file_is_touched(tmp_path, suffix, schedule, n, options, error, message):
    with pytest.raises(error, match=message):
        save_table(schedule, tmp_path / f"table{suffix}", n, **options)
    assert not list(tmp_path.iterdir())


def test_no_schedule_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"schedule: expected a schedule, got 0\.1"):
        save_table(0.1, tmp_path / "table.npy", 10)


def test_no_path_is_refused(schedule):
    with pytest.raises(TypeError, match=r"path: expected a path, got 7 \(int\)"):
        save_table(schedule, 7, 10)
    with pytest.raises(TypeError, match=r"path: expected a path, got None"):
        open_table(None)


def test_a_missing_folder_is_refused(tmp_path, suffix, schedule):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*/nowhere: create it first.*table"):
        save_table(schedule, tmp_path / "nowhere" / f"table{suffix}", 10)


def test_a_folder_is_refused(tmp_path, suffix, schedule):
    folder = tmp_path / f"table{suffix}"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match=r"this is a folder.*table"):
        save_table(schedule, folder, 10)
    with pytest.raises(tables.TableError, match="found a folder"):
        open_table(folder)


def test_more_than_the_disk_holds_is_refused_at_once(tmp_path, suffix, schedule):
    with pytest.raises(OSError, match=r"needs 8,000,000\.000 GB, and [0-9.,]+ GB are free.*table") as caught:
        save_table(schedule, tmp_path / f"table{suffix}", 10**15)
    assert caught.value.errno == 28
    assert not list(tmp_path.iterdir())


def test_parquet_without_pyarrow_names_the_extra(tmp_path, schedule, monkeypatch):
    path = tmp_path / "table.parquet"
    save_table(schedule, path, 10)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (lambda: save_table(schedule, path, 10), lambda: open_table(path)):
        with pytest.raises(ImportError, match=re.escape("pip install 'lrcore[tables]'")):
            call()
    assert [found.name for found in tmp_path.iterdir()] == ["table.parquet"]


def test_the_plain_formats_need_nothing_but_numpy(tmp_path, python):
    process = python(
        """
        import sys
        for name in ("pyarrow", "safetensors", "tqdm"):
            sys.modules[name] = None
        import lrcore as lr
        for suffix in (".npy", ".safetensors"):
            path = f"{sys.argv[1]}/table{suffix}"
            lr.Linear(1.0, 0.0, 10).save_table(path, 10)
            assert lr.open_table(path)(5) == 0.5
        """,
        tmp_path,
    )
    assert process.wait() == 0, process.stderr.read()


# --- progress


def test_progress_is_shown_on_request(tmp_path, suffix, schedule, capsys):
    save_table(schedule, tmp_path / f"table{suffix}", 2 * CHUNK, progress=True)
    shown = capsys.readouterr().err
    assert f"table{suffix}: 100%" in shown
    assert "2.10M" in shown


@pytest.mark.parametrize("progress", [None, False])
def test_progress_is_not_shown_elsewhere_than_on_a_terminal(tmp_path, schedule, capsys, monkeypatch, progress):
    monkeypatch.setattr(tables, "LONG", 1)
    save_table(schedule, tmp_path / "table.npy", 1000, progress=progress)
    assert capsys.readouterr().err == ""


@contextlib.contextmanager
def terminal(monkeypatch):
    """Puts standard error on a terminal; gives what arrives there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    stream = os.fdopen(theirs, "w")
    monkeypatch.setattr(sys, "stderr", stream)

    def shown():
        stream.flush()
        arrived = b""
        while select.select([ours], [], [], 0.3)[0]:
            arrived += os.read(ours, 100_000)
        return arrived.decode()

    try:
        yield shown
    finally:
        monkeypatch.undo()
        stream.close()
        os.close(ours)


@pytest.mark.parametrize(("n", "progress", "expected"), [(50, None, True), (49, None, False), (50, False, False)])
def test_progress_of_long_writes_is_shown_on_a_terminal(tmp_path, schedule, monkeypatch, n, progress, expected):
    monkeypatch.setattr(tables, "LONG", 50)
    with terminal(monkeypatch) as shown:
        save_table(schedule, tmp_path / "table.npy", n, progress=progress)
        assert ("100%" in shown()) is expected


def test_progress_without_tqdm(tmp_path, schedule, monkeypatch):
    monkeypatch.setattr(tables, "LONG", 1)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=re.escape("progress=True needs tqdm: pip install 'lrcore[tables]'")):
        save_table(schedule, tmp_path / "table.npy", 10, progress=True)
    assert not list(tmp_path.iterdir())
    with terminal(monkeypatch) as shown:
        save_table(schedule, tmp_path / "table.npy", 10)
        assert shown() == ""
    assert open_table(tmp_path / "table.npy")(0) == schedule(0)


def test_a_pipe_is_not_replaced_by_a_table(tmp_path):
    """A rename would put a file in the place of a device, a socket or a pipe."""
    pipe = tmp_path / "lr.npy"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="expected the name of a file, this is none"):
        lr.Constant(0.1).save_table(pipe, 3)
    assert pipe.is_fifo()
