"""lrcore table and lrcore show: what they write and print, and one line for every mistake."""

import hashlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

import lrcore as lr
from lrcore.cli import main
from lrcore.tables import open_table

COSINE = "Cosine(0.1, 0.0, 1000)"


# --- table


def test_table_writes_each_format(installed):
    for name, load in (
        ("lr.npy", np.load),
        ("lr.safetensors", lambda path: safetensors.numpy.load_file(path)["values"]),
        ("lr.parquet", lambda path: pq.read_table(path)["values"].to_numpy()),
    ):
        done = installed("table", COSINE, "-n", "1000", "-o", name)
        expected = lr.Cosine(0.1, 0.0, 1000).table(1000)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{name}: 1,000 steps of float64, 0.01 MB, in ")
        assert done.stdout.endswith(f"sha256 {hashlib.sha256(expected).hexdigest()}\n")
        assert load(name).tobytes() == expected.tobytes()


def test_table_options(capsys):
    arguments = ["table", COSINE, "-n", "1e2", "-o", "lr.npy", "--dtype", "float32", "--start", "1_00"]
    for threads in ("1", "2", "3"):
        assert main([*arguments, "--threads", threads, "--no-progress", "--force"]) == 0
        expected = lr.Cosine(0.1, 0.0, 1000).table(100, start=100, dtype="float32")
        assert np.load("lr.npy").tobytes() == expected.tobytes()
    assert "100 steps of float32" in capsys.readouterr().out


def test_table_reads_standard_input(installed):
    done = installed("table", "-", "-n", "5", "-o", "lr.npy", input=f"{COSINE}\n")
    assert done.returncode == 0, done.stderr
    assert open_table("lr.npy").schedule == lr.Cosine(0.1, 0.0, 1000)


def test_table_replaces_only_by_force(fails):
    assert main(["table", COSINE, "-n", "10", "-o", "lr.npy"]) == 0
    error = fails("table", "Constant(1)", "-n", "10", "-o", "lr.npy")
    assert error == "lrcore table: lr.npy: is there already; --force replaces it"
    assert open_table("lr.npy").schedule == lr.Cosine(0.1, 0.0, 1000)
    assert main(["table", "Constant(1)", "-n", "10", "-o", "lr.npy", "--force"]) == 0
    assert open_table("lr.npy").schedule == lr.Constant(1)


def test_the_length_of_a_table(run):
    """Unless -n says it: that of the run in updates, or the schedule's own."""
    for arguments, steps in (
        ([], 1000),
        (["--total-steps", "3e2"], 300),
        (["--total-steps", "300", "--world-size", "4", "--micro-batches-per-update", "5"], 15),
        (["--total-steps", "300", "-n", "7"], 7),
    ):
        assert run("table", COSINE, "-o", "lr.npy", "--force", *arguments)[0] == 0
        assert np.load("lr.npy").tobytes() == lr.Cosine(0.1, 0.0, 1000).table(steps).tobytes()


def test_units(run, fails):
    schedule = "Linear(0.0, 0.1, '2ep') >> Cosine(0.1, 0.0, 'rest')"
    status, _, errors = run("table", schedule, "-o", "lr.npy", "--total-steps", "1_005", "--steps-per-epoch", "100")
    assert (status, errors) == (0, "")
    assert open_table("lr.npy").schedule == lr.Linear(0.0, 0.1, 200) >> lr.Cosine(0.1, 0.0, 805)
    error = fails("table", schedule, "-o", "new.npy")
    assert (
        error == "lrcore table: Linear.steps: '2ep' needs --steps-per-epoch; Cosine.steps: 'rest' needs --total-steps"
    )
    error = fails("table", schedule, "-o", "new.npy", "--world-size", "2", "--total-steps", "5")
    assert error == "lrcore table: Linear.steps: '2ep' needs --steps-per-epoch"
    for option in ("--total-steps", "--steps-per-epoch", "--tokens-per-step", "--samples-per-step", "--world-size"):
        error = fails("table", schedule, "-o", "new.npy", option, "0")
        if option in ("--total-steps", "--steps-per-epoch"):
            assert "needs --" in error or error.startswith(f"lrcore table: {option}: expected a whole number, ")
        else:
            assert error.startswith(f"lrcore table: {option}: expected a whole number, an int >= 1, got 0")


def test_each_unit_has_its_option(run):
    for duration, options, steps in (
        ("'25%'", ["--total-steps", "400"], 100),
        ("'3ep'", ["--steps-per-epoch", "50"], 150),
        ("'2e6tok'", ["--tokens-per-step", "1e4"], 200),
        ("'1e4samples'", ["--samples-per-step", "40"], 250),
        ("'1e4samples'", ["--samples-per-step", "40", "--micro-batches-per-update", "2"], 125),
        ("'1e4samples'", ["--samples-per-step", "40", "--world-size", "5"], 50),
    ):
        status, *_ = run("table", f"Cosine(0.1, 0, {duration})", "-n", "400", "-o", "lr.npy", "--force", *options)
        assert status == 0
        assert open_table("lr.npy").schedule == lr.Cosine(0.1, 0.0, steps)


def test_what_rounds_is_said(run):
    status, _, errors = run("table", "Linear(1, 0, '1%')", "-o", "lr.npy", "--total-steps", "450")
    assert (status, errors) == (0, "lrcore table: warning: bind rounds Linear.steps '1%' = 4.5 to 5\n")


def test_a_warning_is_one_line(capsys):
    assert main(["table", "Linear(1, 0, 10).stretch(0.33)", "-n", "10", "-o", "lr.npy"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "lrcore table: warning: stretch(0.33) rounds Linear.steps 10 to 3 (3.3)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Cosin(1, 0, 10)"], r"expression, column 1: .*, got 'Cosin': did you mean 'Cosine'\?"),
        (["Cosine(1, 0, 1e3)"], r"expression, column 1: Cosine\.steps: .*, got 1000\.0 \(float\): did you mean 1000\?"),
        (["__import__('os').abort()"], "expression, column 1: .*, got '__import__'"),
        (["Cosine(1,\n0,\n0)"], r"expression, column 1: Cosine\.steps: .*, got 0 \(int\)"),
        (["[\n1]"], r"expression, column 1: expected a schedule, got \[1\] \(list\)"),
        ([COSINE, "-o", "lr.csv"], r"path: .*\.npy, \.safetensors or \.parquet, got 'lr\.csv'"),
        ([COSINE, "-o", "nowhere/lr.npy"], r"nowhere/lr\.npy: there is no folder /.*/nowhere: create it first"),
        ([COSINE, "-o", "folder.npy"], r"folder\.npy: is there already; --force replaces it"),
        ([COSINE, "-o", "folder.npy", "--force"], r"folder\.npy: expected the name of a file, this is a folder"),
        ([COSINE, "-n", "0"], r"-n: expected .*, got 0 \(int\)"),
        ([COSINE, "-n", "1.5"], r"argument -n: expected a whole number, got '1\.5' \(see lrcore table --help\)"),
        ([COSINE, "-n", "many"], r"argument -n: expected a whole number, got 'many' \(see .*\)"),
        ([COSINE, "-n", "nan"], r"argument -n: expected a whole number, got 'nan' \(see .*\)"),
        ([COSINE, "-n", "1e999"], r"argument -n: expected a whole number, got '1e999' \(see .*\)"),
        ([COSINE, "-n", "1e15"], r"lr\.npy: the file needs 8,000,000\.000 GB, and [0-9.,]+ GB are free"),
        ([COSINE, "--start", "-1"], r"--start: expected .*, got -1 \(int\)"),
        ([COSINE, "--threads", "0"], r"--threads: expected .*, got 0 \(int\)"),
        ([COSINE, "--dtype", "int8"], r"argument --dtype: invalid choice: 'int8' .*\(see lrcore table --help\)"),
        ([], r"the following arguments are required: SCHEDULE \(see lrcore table --help\)"),
    ],
)
def test_mistakes(fails, arguments, message):
    Path("folder.npy").mkdir()
    assert re.fullmatch(f"lrcore table: {message}", fails("table", "-n", "5", "-o", "lr.npy", *arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "lrcore: the following arguments are required: COMMAND (see lrcore --help)"),
        (["table", COSINE, "-n", "1", "-o", "lr.npy", "--colour"], "lrcore: unrecognized arguments: --colour (see "),
        (["tabel"], "lrcore: argument COMMAND: invalid choice: 'tabel'"),
        (
            ["table", "Constant(1)", "-o", "lr.npy"],
            "lrcore table: -n: expected how many steps, as nothing here has an ",
        ),
        (["table", COSINE, "-n", "5"], "lrcore table: the following arguments are required: -o"),
        (["show"], "lrcore show: the following arguments are required: SCHEDULE"),
    ],
)
def test_what_is_missing(fails, arguments, message):
    assert message in fails(*arguments)


def test_parquet_without_pyarrow(fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = fails("table", COSINE, "-n", "5", "-o", "lr.parquet")
    assert error == "lrcore table: .parquet needs pyarrow: pip install 'lrcore[tables]'"


# Jobs in the background are started without Ctrl-C, and the tests may be one.
IN_FRONT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from lrcore.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing(tmp_path, number, status):
    command = [sys.executable, "-c", IN_FRONT, "table", "Cosine(1, 0, 1_000_000_000)", "-n", "1e8"]
    process = subprocess.Popen(
        [*command, "--dtype", "float32", "-o", "lr.npy"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_blocks > 2048 for path in tmp_path.glob("*.partial")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (status, "")
    assert errors == ("lrcore table: interrupted\n" if number == signal.SIGINT else "")
    assert not list(tmp_path.iterdir())


# --- show


def test_show(capsys):
    schedule = lr.Linear(1.0, 0.0, 8)
    record = schedule.save_table("lr.npy", 4, start=2)
    assert main(["show", "lr.npy"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "lr.npy: 4 steps of float64, 2 to 5",
        "schedule  Linear(init_value=1.0, end_value=0.0, steps=8)",
        "values    0.75 ... 0.375",
        f"sha256    {record.sha256} (not verified, see --verify)",
        f"lrcore    {lr.__version__}",
    ]
    assert main(["show", "lr.npy", "--verify"]) == 0
    assert "(verified)" in capsys.readouterr().out


def test_show_names_what_is_wrong(fails):
    lr.Linear(1.0, 0.0, 8).save_table("lr.npy", 4)
    with Path("lr.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    np.save("bare.npy", np.zeros(3))
    assert "expected values with SHA-256" in fails("show", "lr.npy", "--verify")
    assert "bare.npy: expected its metadata beside it" in fails("show", "bare.npy")
    assert "nothing.npy: No such file or directory" in fails("show", "nothing.npy")
    assert "'lr.txt': expected an expression or the name of a file that ends in .json" in fails("show", "lr.txt")


def test_python_runs_the_package_as_the_command():
    done = subprocess.run([sys.executable, "-m", "lrcore", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"lrcore {lr.__version__}\n"
