"""Tables whose values lie in a file: named by a relative path and a hash, opened, and never taken for another."""

import json
import shutil

import numpy as np
import pytest

import lrcore as lr
from lrcore import spec
from lrcore.spec import SpecError
from lrcore.tables import MappedTable, open_table

COSINE = lr.Cosine(0.1, 0.0, 1000)


@pytest.fixture
def run(tmp_path):
    """A folder with a table in a folder of its own."""
    folder = tmp_path / "run"
    (folder / "tables").mkdir(parents=True)
    COSINE.save_table(folder / "tables" / "cosine.npy", 1000)
    return folder


def table_of(run):
    return open_table(run / "tables" / "cosine.npy")


def data_of(table, **changes):
    return {"type": "Table", "values": {"file": "tables/cosine.npy", "sha256": table.record.sha256} | changes}


def errors_of(data, folder):
    with pytest.raises(SpecError) as caught:
        spec.from_dict(data, folder)
    return caught.value.errors


def test_it_is_written_by_its_name_and_hash(run):
    table = table_of(run)
    assert spec.to_dict(table, run) == {"lrcore": 1, **data_of(table)}
    assert spec.to_dict(table, run / "specs")["values"]["file"] == "../tables/cosine.npy"


def test_the_current_folder_is_meant_without_another(run, monkeypatch):
    monkeypatch.chdir(run / "tables")
    table = table_of(run)
    data = spec.to_dict(table)
    assert data["values"]["file"] == "cosine.npy"
    assert spec.from_dict(data) == table


@pytest.mark.parametrize("suffix", [".json", ".toml", ".yaml"])
@pytest.mark.parametrize("late", [0, 20])
def test_it_is_dumped_and_loaded_beside_its_spec(run, suffix, late):
    COSINE.save_table(run / "part.safetensors", 50, start=late, dtype="float32")
    schedule = lr.Sequence([(0.5 * table_of(run), 500), open_table(run / "part.safetensors")])
    lr.dump(schedule, run / f"lr{suffix}")
    found = lr.load(run / f"lr{suffix}")
    assert found == schedule
    mapped = found.parts[1]
    assert isinstance(mapped, MappedTable)
    assert mapped.start == late
    assert mapped.values.dtype == np.float32
    assert np.array_equal(found.table(600), schedule.table(600))


def test_the_folder_may_move(run, tmp_path):
    lr.dump(table_of(run), run / "lr.json")
    before = table_of(run).table(1000)
    shutil.move(run, tmp_path / "elsewhere")
    assert np.array_equal(lr.load(tmp_path / "elsewhere" / "lr.json").table(1000), before)


def test_a_link_to_the_spec_will_do(run, tmp_path):
    lr.dump(table_of(run), run / "lr.json")
    link = tmp_path / "link.json"
    try:
        link.symlink_to(run / "lr.json")
    except OSError:
        pytest.skip("links are not allowed here")
    assert lr.load(link) == table_of(run)
    lr.dump(table_of(run), link)
    assert link.is_symlink()
    assert lr.load(run / "lr.json") == table_of(run)


ABSOLUTE = [
    "/data/lr.npy",
    "C:/data/lr.npy",
    r"C:\data\lr.npy",
    r"\\server\lr.npy",
    r"tables\lr.npy",
    "~/lr.npy",
    "",
    "C:lr.npy",
]


@pytest.mark.parametrize("name", ABSOLUTE)
def test_absolute_names_are_refused_with_advice(run, name):
    [(path, message)] = errors_of(data_of(table_of(run), file=name), run)
    assert path == "values.file"
    assert message.startswith("expected a name relative to the folder of the spec, with / between folders: an absolute")


def test_no_file(run):
    data = {"type": "Scale", "schedule": data_of(table_of(run), file="tables/other.npy"), "factor": 2}
    [(path, message)] = errors_of(data, run)
    assert path == "schedule.values.file"
    assert message.startswith("expected a table, got no file ")
    for name in ("tables", "tables/cosine.npy.json/x.npy", "x" * 5000 + ".npy", "a\0.npy"):
        assert [path for path, _ in errors_of(data_of(table_of(run), file=name), run)] == ["values.file"]


def test_another_kind_of_file(run):
    (run / "tables" / "lr.csv").write_text("0.1")
    [(path, message)] = errors_of(data_of(table_of(run), file="tables/lr.csv"), run)
    assert path == "values.file"
    assert "expected a name that ends in .npy" in message


def test_another_hash(run):
    [(path, message)] = errors_of(data_of(table_of(run), sha256="0" * 64), run)
    assert path == "values.sha256"
    assert (
        message
        == f"expected values with {'0' * 64!r}, as the spec was written with, got {table_of(run).record.sha256!r}"
    )


def test_another_table_in_its_place(run):
    lr.dump(table_of(run), run / "lr.json")
    lr.Linear(0.1, 0.0, 1000).save_table(run / "tables" / "cosine.npy", 1000)
    with pytest.raises(SpecError, match=r"lr\.json: values\.sha256: expected values with '[0-9a-f]{64}'"):
        lr.load(run / "lr.json")


def test_a_changed_value(run):
    lr.dump(table_of(run), run / "lr.json")
    path = run / "tables" / "cosine.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"lr\.json: values\.file: .*SHA-256"):
        lr.load(run / "lr.json")


def test_what_is_missing_or_too_much(run):
    data = {"type": "Table", "values": {"fiel": "tables/cosine.npy", "sha256": 5}, "dtype": "float32"}
    assert errors_of(data, run) == [
        ("dtype", "expected none, the file says it"),
        ("values.fiel", "expected an argument of a table in a file, got 'fiel': did you mean 'file'?"),
        ("values.file", "expected the name of a table, got nothing"),
        ("values.sha256", "expected the SHA-256 of its values, got 5 (int)"),
    ]


def test_the_hash_stands_beside_the_table(run):
    """Where the schema says that a user finds it."""
    record = json.loads((run / "tables" / "cosine.npy.json").read_text())
    assert table_of(run).record.sha256 in json.dumps(record)
