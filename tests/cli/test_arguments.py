"""What an argument may be: an expression, a file, standard input, a trace; and what is said of all else."""

import sys
from pathlib import Path

import numpy as np
import pytest

import lrcore as lr
from lrcore._arguments import Inputs

COSINE = lr.Cosine(0.1, 0.0, 1000)
TEXT = "Cosine(0.1, 0, 1000)"
JSON = '{"lrcore": 1, "type": "Cosine", "init_value": 0.1, "end_value": 0, "steps": 1000}'


@pytest.fixture
def read():
    return Inputs().schedule


@pytest.fixture
def traced():
    return Inputs().schedule_or_trace


# --- Schedules


@pytest.mark.parametrize("name", ["run.json", "run.toml", "run.yaml", "run.yml", "RUN.JSON"])
def test_a_spec_file(read, name):
    lr.dump(COSINE, name.lower())
    Path(name.lower()).rename(name)
    assert read(name) == COSINE
    assert read(f"@{name}") == COSINE
    assert read(str(Path(name).absolute())) == COSINE


@pytest.mark.parametrize("name", ["lr.npy", "lr.safetensors", "lr.parquet"])
def test_a_table_file(read, traced, name):
    COSINE.save_table(name, 10)
    for found in (read(name), read(f"@{name}"), traced(name)):
        assert found.spec == repr(COSINE)
        assert found.table(10).tobytes() == COSINE.table(10).tobytes()


def test_a_damaged_table_is_refused(read):
    COSINE.save_table("lr.npy", 10)
    with Path("lr.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    with pytest.raises(lr.tables.TableError, match="SHA-256"):
        read("lr.npy")
    assert Inputs(verify=False).schedule("lr.npy").spec == repr(COSINE)


@pytest.mark.parametrize("name", ["notes.txt", "run.yaml.bak", "noend"])
@pytest.mark.parametrize("text", [TEXT, f"\n  {TEXT}\n", JSON])
def test_any_other_file_by_its_at(read, name, text):
    Path(name).write_text(text)
    assert read(f"@{name}") == COSINE


@pytest.mark.parametrize("text", [TEXT, f"\n  {TEXT}\n", JSON, f" \n{JSON}"])
def test_standard_input(read, piped, text):
    piped(text)
    assert read("-") == COSINE


def test_standard_input_is_there_once(read, piped):
    piped(TEXT)
    read("-")
    with pytest.raises(ValueError, match=r"^-: expected once, standard input can be read once$"):
        read("-")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^standard input: expected an expression or JSON, got nothing$"),
        (" \n", "^standard input: expected an expression or JSON, got nothing$"),
        ("Cosin(1, 0, 5)", r"^standard input: expression, column 1: .*did you mean 'Cosine'\?$"),
        ('{"type": "Cosine"', "^standard input, line 1, column 18: "),
        ('{"type": "Cosin"}', "did you mean 'Cosine'"),
        ("[0.1, 0.2]", r"^'-': expected a schedule, got a list of 2 numbers$"),
        ("[" * 100_000, "^standard input, line 1, column 257: expected at most 256 lists"),
    ],
)
def test_what_standard_input_may_not_be(read, piped, text, message):
    piped(text)
    with pytest.raises(ValueError, match=message):
        read("-")


def test_endless_input_is_refused(read, monkeypatch):
    class Endless:
        def read(self, size):
            return "1" * size

    monkeypatch.setattr(sys, "stdin", Endless())
    with pytest.raises(ValueError, match=r"^standard input: expected at most 67108864 characters$"):
        read("-")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "^SCHEDULE: expected an expression or the name of a file, got nothing$"),
        (" \n", "^SCHEDULE: expected an expression or the name of a file, got nothing$"),
        (
            "run.txt",
            r"^'run\.txt': expected an expression or the name of a file that ends in \.json, .*\.parquet; @FILE ",
        ),
        ("./run", r"^'\./run': expected an expression or the name of a file"),
        ("runs/best.cfg", r"^'runs/best\.cfg': expected an expression or the name of a file"),
        ("Cosine", r"^expression, column 1: expected a call"),
        ("0.1", r"^expression, column 1: expected a schedule, got 0\.1 \(float\)$"),
        ("1e-3", r"^expression, column 1: expected a schedule, got 0\.001 \(float\)$"),
        ("Cosine(1, 0, 10).table(5)", "^expression, column 1: expected a schedule's "),
        ("\0.json", "null"),
        ("\0", "null"),
    ],
)
def test_what_is_neither(read, given, message):
    with pytest.raises(ValueError, match=message):
        read(given)


@pytest.mark.parametrize("given", ["run.json", "run.toml", "run.yaml", "lr.npy", "lr.safetensors", "@run", "@"])
def test_files_that_are_not_there(read, given):
    with pytest.raises(OSError, match=r"No such file|Is a directory"):
        read(given)


def test_a_file_without_a_known_end(read):
    Path("noend").write_text(TEXT)
    with pytest.raises(ValueError, match=r"^'noend': expected an expression, found a file: @noend reads it$"):
        read("noend")


def test_an_expression_that_is_also_a_file(read):
    Path("Constant(1)").write_text("Constant(2)")
    message = r"^'Constant\(1\)': expected one meaning, it is an expression and a file: @FILE or \(EXPRESSION\)$"
    with pytest.raises(ValueError, match=message):
        read("Constant(1)")
    assert read("@Constant(1)") == lr.Constant(2)
    assert read("(Constant(1))") == lr.Constant(1)


def test_files_that_are_no_text(read, traced):
    Path("run.txt").write_bytes(b"\xff\xfe\x00")
    for call, name in ((read, "@run.txt"), (traced, "run.txt")):
        with pytest.raises(ValueError, match=r"^run\.txt: expected text in UTF-8, got invalid start byte at byte 0$"):
            call(name)


# --- Traces


VALUES = [0.1, 0.05, 1e-3, 0.0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lr.csv", "0.1\n0.05\n1e-3\n0.0\n"),
        ("lr.csv", "learning_rate\n0.1\n0.05\n1e-3\n0.0"),
        ("lr.csv", "step,lr\n0,0.1\n1,0.05\n2,1e-3\n3,0.0\n\n"),
        ("lr.csv", "\ufeff0.1\r\n0.05\r\n1e-3\r\n0\r\n"),
        ("lr.txt", " 0.1\n\t0.05 \n0.001\n\n0\n\n"),
        ("lr.json", "[0.1, 5e-2, 0.001, 0]"),
        ("lr.json", " \n[0.1,\n5e-2,\n0.001,\n0]\n"),
    ],
)
def test_a_trace_in_text(traced, name, text):
    Path(name).write_text(text, encoding="utf-8", newline="")
    for given in (name, f"@{name}"):
        found = traced(given)
        assert found.dtype == np.float64
        assert found.tolist() == VALUES


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32", "uint8", ">f8"])
def test_a_trace_in_an_array(traced, dtype):
    values = np.array([3, 2, 1], dtype)
    np.save("lr.npy", values)
    found = traced("lr.npy")
    assert found.tolist() == [3.0, 2.0, 1.0]
    assert found.dtype == (values.dtype if values.dtype.kind == "f" else np.float64)


@pytest.mark.parametrize(
    ("name", "text"), [("lr.csv", "0.1\nnan\n-inf\n1e999"), ("lr.json", "[0.1, NaN, -Infinity, 1e999]")]
)
def test_a_trace_of_what_went_wrong(traced, name, text):
    """What is no number is for `diff` to report."""
    Path(name).write_text(text)
    assert [repr(value) for value in traced(name).tolist()] == ["0.1", "nan", "-inf", "inf"]


def test_a_trace_from_standard_input(traced, piped):
    piped("[0.1, 0.05, 1e-3, 0]")
    assert traced("-").tolist() == VALUES


def test_a_schedule_where_a_trace_may_be(traced):
    lr.dump(COSINE, "run.json")
    assert traced("run.json") == traced(TEXT) == COSINE


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("lr.csv", "", "expected a list of numbers, at least one, got an array of float64 with shape \\(0,\\)"),
        ("lr.csv", "lr\n", "expected a list of numbers, at least one"),
        ("lr.csv", "lr\n0.1\nfast\n", r"lr\.csv, line 3: expected one number, or a step and a number, got 'fast'"),
        ("lr.csv", "0,0.1\n2,0.1\n", r"lr\.csv, line 2: expected step 1, got '2'"),
        ("lr.csv", "0,0.1,7\n", r"lr\.csv, line 1: expected one number, or a step and a number, got '0,0\.1,7'"),
        ("lr.json", '[0.1, "0.2"]', r"""lr\.json\[1\]: expected a number, got "'0\.2'\""""),
        ("lr.json", "[0.1, true]", r"lr\.json\[1\]: expected a number, got 'True'"),
        ("lr.json", "[[0.1]]", r"lr\.json\[0\]: expected a number, got '\[0\.1\]'"),
        ("lr.json", "[0.1,, 0.2]", r"lr\.json, line 1, column 6: "),
        ("lr.json", "[" + "1" * 350 + "]", r"lr\.json: expected numbers that float64 can hold"),
        ("lr.npy", "no array", r"lr\.npy: expected an \.npy array of numbers: "),
        ("lr.npy", "", r"lr\.npy: expected an \.npy array of numbers: "),
    ],
)
def test_what_a_trace_may_not_be(traced, name, text, message):
    Path(name).write_text(text)
    with pytest.raises(ValueError, match=message):
        traced(name)


@pytest.mark.parametrize(
    "values", [np.zeros((2, 3)), np.zeros(0), np.array(["a"]), np.array([1j]), np.array([True]), np.array(1.0)]
)
def test_which_arrays_are_no_trace(traced, values):
    np.save("lr.npy", values)
    with pytest.raises(ValueError, match=r"lr\.npy: expected a list of numbers, at least one, got an array of "):
        traced("lr.npy")


def test_no_pickle_is_loaded(traced):
    np.save("lr.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        traced("lr.npy")


def test_an_archive_is_no_array(traced):
    with Path("lr.npy").open("wb") as file:
        np.savez(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"lr\.npy: expected an \.npy array, got NpzFile"):
        traced("lr.npy")
