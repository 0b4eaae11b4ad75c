"""Damaged, foreign and forged files: a clear error, or the very same table. Never other values, never another spec."""

import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore._record import Record
from lrcore.tables import TableError, open_table, save_table

N = 24
SCHEDULE = lr.Cosine(0.1, 0.001, 1000)
OTHER = lr.Cosine(0.2, 0.001, 1000)


def sidecar_of(path):
    return path.with_name(f"{path.name}.json")


@pytest.fixture
def path(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    save_table(SCHEDULE, path, N)
    return path


@pytest.fixture
def npy(tmp_path):
    path = tmp_path / "table.npy"
    save_table(SCHEDULE, path, N)
    return path


def files_of(path):
    return [found for found in (path, sidecar_of(path)) if found.exists()]


def assert_refused_or_the_same(path, expected):
    """The law of this file. Bytes that mean nothing (padding, statistics) may change."""
    try:
        table = open_table(path)
    except TableError as caught:
        error = caught
    else:
        error = None
    if error is not None:
        assert str(path) in str(error)
        return "refused"
    assert table.values.tobytes() == expected.values.tobytes()
    assert table.record == expected.record
    return "the same"


# --- changed bytes


def test_every_changed_byte_is_noticed_or_meaningless(tmp_path, suffix, path):
    """Each byte of each file, one bit after another over the bytes."""
    whole = tmp_path / "whole"
    whole.mkdir()
    copy = whole / path.name
    save_table(SCHEDULE, copy, N)
    expected = open_table(copy)
    outcomes = {"refused": 0, "the same": 0}
    for file in files_of(path):
        good = file.read_bytes()
        for at in range(len(good)):
            changed = bytearray(good)
            changed[at] ^= 1 << (at % 8)
            file.write_bytes(changed)
            outcomes[assert_refused_or_the_same(path, expected)] += 1
        file.write_bytes(good)
    assert outcomes["refused"] > 10 * N
    assert outcomes["the same"] < {".npy": 20, ".safetensors": 20, ".parquet": 500}[suffix]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_stretches_are_noticed_or_meaningless(tmp_path_factory, data):
    suffix = data.draw(st.sampled_from([".npy", ".safetensors", ".parquet"]))
    folder = tmp_path_factory.mktemp("stretch")
    path, copy = folder / f"table{suffix}", folder / f"copy{suffix}"
    for name in (path, copy):
        save_table(SCHEDULE, name, N)
    file = data.draw(st.sampled_from(files_of(path)))
    good = file.read_bytes()
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, min(len(good), begin + 40)))
    file.write_bytes(good[:begin] + data.draw(st.binary(max_size=40)) + good[end:])
    assert_refused_or_the_same(path, open_table(copy))


@pytest.mark.parametrize("at", [0, 1, N // 2, N - 1])
@pytest.mark.parametrize("bit", [0, 30, 63])
def test_a_changed_value_is_refused_by_its_hash(tmp_path, mapped_suffix, at, bit):
    path = tmp_path / f"table{mapped_suffix}"
    save_table(SCHEDULE, path, N)
    changed = bytearray(path.read_bytes())
    place = len(changed) - 8 * (N - at) + bit // 8
    changed[place] ^= 1 << (bit % 8)
    path.write_bytes(changed)
    with pytest.raises(
        TableError, match=r"table.*: expected values with SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}: they "
    ):
        open_table(path)
    table = open_table(path, verify=False)
    assert [step for step in range(N) if table(step) != SCHEDULE(step)] == [at]


def test_a_changed_value_of_parquet_is_refused_by_its_hash(tmp_path):
    path = tmp_path / "table.parquet"
    save_table(SCHEDULE, path, N)
    metadata = pq.ParquetFile(path).metadata.metadata
    values = SCHEDULE.table(N)
    values[7] = np.nextafter(values[7], 1.0)
    schema = pa.schema([pa.field("values", pa.float64(), nullable=False)], metadata=metadata)
    pq.write_table(pa.table({"values": values}, schema=schema), path)
    with pytest.raises(TableError, match="expected values with SHA-256"):
        open_table(path)
    assert open_table(path, verify=False)(7) == values[7] != SCHEDULE(7)


# --- cut off, too long


def test_every_truncation_is_refused(path):
    for file in files_of(path):
        good = file.read_bytes()
        for length in range(len(good)):
            file.write_bytes(good[:length])
            if file.suffix == ".json" and length == len(good) - 1:  # without its last newline a sidecar is whole
                assert open_table(path)(3) == SCHEDULE(3)
                continue
            with pytest.raises(TableError, match="table"):
                open_table(path, verify=False)
        file.write_bytes(good)
    assert open_table(path)(3) == SCHEDULE(3)


@pytest.mark.parametrize("size", [1, 8, 100])
def test_what_follows_the_values_is_refused(path, size):
    with path.open("ab") as file:
        file.write(bytes(size))
    with pytest.raises(TableError, match="table"):
        open_table(path, verify=False)


def test_a_cut_says_how_much_there_is(tmp_path, mapped_suffix):
    path = tmp_path / f"table{mapped_suffix}"
    save_table(SCHEDULE, path, N)
    size = path.stat().st_size
    os.truncate(path, size - 8)
    with pytest.raises(TableError, match=rf"expected {size} bytes, found {size - 8}: it is cut off"):
        open_table(path)
    os.truncate(path, size + 8)
    with pytest.raises(TableError, match=rf"expected {size} bytes, found {size + 8}: it is too long"):
        open_table(path)


# --- metadata


def test_a_missing_sidecar_is_refused(npy):
    sidecar_of(npy).unlink()
    with pytest.raises(
        TableError, match=r"table\.npy: expected its metadata beside it, in table\.npy\.json, found none"
    ):
        open_table(npy)


def test_swapped_sidecars_are_refused(npy, tmp_path):
    other = tmp_path / "other.npy"
    save_table(OTHER, other, N)
    mine, theirs = sidecar_of(npy).read_bytes(), sidecar_of(other).read_bytes()
    sidecar_of(npy).write_bytes(theirs)
    sidecar_of(other).write_bytes(mine)
    for path in (npy, other):
        with pytest.raises(TableError, match=r"expected values with SHA-256.*or the metadata is that of another table"):
            open_table(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a JSON object, found b''"),
        ("[1]", "expected a JSON object"),
        ("nonsense", "expected a JSON object, found b'nonsense'"),
        ("[" * 100_000, "expected a JSON object"),
        ("{}", "expected metadata with 'lrcore.table', found none"),
        ('{"lrcore.table": 1}', "expected metadata with 'lrcore.table', found none"),
        ('{"lrcore.table": "2"}', "expected format version 1, found '2': update lrcore"),
        ('{"lrcore.table": "1"}', "expected metadata with 'lrcore.schedule', found none"),
        ('{"name": "another program\'s"}', "lrcore opens only tables that it wrote"),
    ],
)
def test_a_foreign_sidecar_is_refused(npy, text, message):
    sidecar_of(npy).write_text(text)
    with pytest.raises(TableError, match=message.replace(".", r"\.").replace("[", r"\[")) as caught:
        open_table(npy)
    assert str(sidecar_of(npy)) in str(caught.value)


@pytest.mark.parametrize("field", ["schedule", "dtype", "start", "length", "sha256", "version"])
def test_changed_metadata_are_refused(npy, field):
    fields = json.loads(sidecar_of(npy).read_text())
    for change in (fields[f"lrcore.{field}"][::-1] + "1", None, 7):
        sidecar_of(npy).write_text(json.dumps({**fields, f"lrcore.{field}": change}))
        with pytest.raises(TableError, match=rf"expected metadata with (checksum|'lrcore\.{field}')"):
            open_table(npy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "expected dtype float64 or float32, found float16"),
        ({"start": -1}, "expected a whole number as start, found '-1'"),
        ({"start": "1.0"}, "expected a whole number as start"),
        ({"length": "²"}, "expected a whole number as length"),
        ({"length": 0}, "expected at least one step, all below"),
        ({"length": 10**16}, "expected a whole number as length"),
        ({"start": 2**53 - N + 1}, "expected at least one step, all below"),
        ({"sha256": "0" * 63}, "expected 64 hexadecimal digits as sha256"),
        ({"sha256": "G" * 64}, "expected 64 hexadecimal digits as sha256"),
        ({"length": N + 1}, rf"expected float64 values of shape \({N + 1},\), found float64 values of shape \({N},\)"),
        ({"dtype": "float32"}, rf"expected float32 values of shape \({N},\), found float64 values"),
    ],
)
def test_a_forged_record_is_refused(npy, changes, message):
    record = open_table(npy).record
    sidecar_of(npy).write_text(json.dumps(record._replace(**changes).fields()))
    with pytest.raises(TableError, match=message):
        open_table(npy)


def test_a_sidecar_that_was_formatted_anew_is_fine(npy):
    fields = json.loads(sidecar_of(npy).read_text())
    sidecar_of(npy).write_text(json.dumps(dict(reversed(fields.items())), indent=8))
    assert open_table(npy, schedule=SCHEDULE)(3) == SCHEDULE(3)


# --- other programs' files


def rewritten(values):
    """Another array, written over the values of a table by numpy."""
    return lambda path: np.save(path, values)


@pytest.mark.parametrize(
    ("overwrite", "found"),
    [
        (rewritten(np.zeros(N, np.float32)), rf"found float32 values of shape \({N},\)"),
        (rewritten(np.zeros(N + 1)), rf"found float64 values of shape \({N + 1},\)"),
        (rewritten(np.zeros((N, 1))), rf"found float64 values of shape \({N}, 1\)"),
        (rewritten(np.zeros((2, 3), order="F")), r"found float64 values of shape \(2, 3\) in Fortran order"),
        (rewritten(np.zeros(N, ">f8")), r"found >f8 values"),
        (rewritten(np.zeros(N, np.int64)), r"found int64 values"),
        (rewritten(np.zeros(N, [("a", "f8")])), r"found \[\('a', '<f8'\)\] values"),
        (lambda path: path.write_bytes(b""), "found 0 bytes that are no .npy header"),
        (lambda path: path.write_bytes(b"hello" * 100), "found 128 bytes that are no .npy header"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + b"{" * 200), "no .npy header"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x02\x00" + bytes(200)), "no .npy header of version 1.0"),
    ],
)
def test_other_values_beside_the_sidecar_are_refused(npy, overwrite, found):
    overwrite(npy)
    with pytest.raises(TableError, match=found):
        open_table(npy, verify=False)


def test_what_numpy_saves_again_is_the_same_table(npy):
    np.save(npy, np.load(npy))
    assert open_table(npy, schedule=SCHEDULE)(3) == SCHEDULE(3)


def test_what_safetensors_saves_again_is_the_same_table(tmp_path):
    path = tmp_path / "table.safetensors"
    save_table(SCHEDULE, path, N, dtype="float32")
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file({"values": SCHEDULE.table(N, dtype="float32")}, path, metadata=metadata)
    assert open_table(path, schedule=SCHEDULE)(3) == np.float32(SCHEDULE(3))
    for tensors in ({"values": np.zeros(N)}, {"value": np.zeros(N)}, {"values": np.zeros(N), "more": np.zeros(2)}):
        safetensors.numpy.save_file(tensors, path, metadata=metadata)
        with pytest.raises(TableError, match=r"expected \{'values': \{'dtype': 'F32', 'shape': \[24\]"):
            open_table(path, verify=False)


def test_foreign_tables_are_refused(tmp_path):
    values = np.linspace(0.0, 1.0, N)
    pd.DataFrame({"values": values}).to_parquet(tmp_path / "pandas.parquet")
    safetensors.numpy.save_file({"values": values}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    safetensors.numpy.save_file({"values": values}, tmp_path / "bare.safetensors")
    for name in ("pandas.parquet", "model.safetensors", "bare.safetensors"):
        with pytest.raises(
            TableError, match=rf"{name}: expected metadata with 'lrcore\.table', found none: lrcore opens"
        ):
            open_table(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the header of a .safetensors file, found b''"),
        (b"\xff" * 8, "expected the header of a .safetensors file"),
        (b"\x08" + bytes(7) + b"{}", "expected a header of 8 bytes, found 2: it is cut off"),
        (b"\x02" + bytes(7) + b"[]", "expected a JSON object"),
        (b"\x02" + bytes(7) + b"{}", "found none"),
        (b"\x11" + bytes(7) + b'{"__metadata__":1}'[:17], "expected a JSON object"),
        (b"\x12" + bytes(7) + b'{"__metadata__":1}', "found none"),
    ],
)
def test_other_headers_of_safetensors_are_refused(tmp_path, content, message):
    (tmp_path / "table.safetensors").write_bytes(content)
    with pytest.raises(TableError, match=message):
        open_table(tmp_path / "table.safetensors")


def test_values_that_are_not_aligned_are_refused(tmp_path):
    path = tmp_path / "table.safetensors"
    save_table(SCHEDULE, path, N)
    good = path.read_bytes()
    size = int.from_bytes(good[:8], "little")
    path.write_bytes((size + 1).to_bytes(8, "little") + good[8 : 8 + size] + b" " + good[8 + size :])
    with pytest.raises(TableError, match=f"expected aligned values, found values from byte {size + 9} on"):
        open_table(path)


@pytest.mark.parametrize(
    "columns",
    [
        {"value": np.zeros(N)},
        {"values": np.zeros(N, np.float32)},
        {"values": np.zeros(N + 1)},
        {"values": np.zeros(N), "more": np.zeros(N)},
        {"values": np.zeros(N, np.int64)},
    ],
)
def test_other_columns_of_parquet_are_refused(tmp_path, columns):
    path = tmp_path / "table.parquet"
    save_table(SCHEDULE, path, N)
    metadata = pq.ParquetFile(path).metadata.metadata
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    with pytest.raises(TableError, match=f"expected {N} rows of values: double, found .* rows of"):
        open_table(path, verify=False)


def test_fewer_rows_than_parquet_says_are_refused(tmp_path):
    path = tmp_path / "table.parquet"
    save_table(SCHEDULE, path, N)
    schema = pa.schema(
        [pa.field("values", pa.float64(), nullable=False)], metadata=pq.ParquetFile(path).metadata.metadata
    )
    pq.write_table(pa.table({"values": np.zeros(N - 4)}, schema=schema), path)
    # In the footer: field 3, the number of rows as a zigzag integer, then field 4, the list of row groups.
    said, claimed = bytes([0x16, 2 * (N - 4), 0x19]), bytes([0x16, 2 * N, 0x19])
    content = path.read_bytes()
    assert content.count(said) == 1
    path.write_bytes(content.replace(said, claimed))
    assert pq.ParquetFile(path).metadata.num_rows == N
    with pytest.raises(TableError, match=rf"expected float64 values of shape \({N},\), found {N - 4} values"):
        open_table(path, verify=False)


def test_what_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    for content in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"text" * 100):
        path.write_bytes(content)
        with pytest.raises(TableError, match=r"table\.parquet: expected a \.parquet file, found"):
            open_table(path)


def test_records_are_written_as_they_are_read():
    record = Record("Constant(value=0.1)", "float32", 3, 9, "a" * 64, "1.0")
    assert record.nbytes == 36
    assert record.fields() == record._replace(start=3).fields() != record._replace(start=4).fields()
