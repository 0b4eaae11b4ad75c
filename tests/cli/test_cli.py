"""The command: what it writes and prints, and one line for every mistake."""

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


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def handlers():
    """The command takes over SIGTERM, which tests have to give back."""
    kept = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, kept)


def lrcore(*arguments, **options):
    """The installed command."""
    command = [str(Path(sys.executable).with_name("lrcore")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


@pytest.fixture
def fails(capsys):
    """Runs the command, which has to fail as a user may expect: one line, status 2, nothing written."""

    def run(*arguments):
        before = set(Path().iterdir())
        capsys.readouterr()
        try:
            status = main(arguments)
        except SystemExit as left:  # argparse leaves by itself
            status = left.code
        printed = capsys.readouterr()
        assert status == 2
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert printed.err.endswith("\n")
        assert set(Path().iterdir()) == before
        return printed.err.rstrip()

    return run


# --- table


def test_table_writes_each_format():
    for name, load in (
        ("lr.npy", np.load),
        ("lr.safetensors", lambda path: safetensors.numpy.load_file(path)["values"]),
        ("lr.parquet", lambda path: pq.read_table(path)["values"].to_numpy()),
    ):
        done = lrcore("table", COSINE, "-n", "1000", "-o", name)
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


def test_table_reads_standard_input():
    done = lrcore("table", "-", "-n", "5", "-o", "lr.npy", input=f"{COSINE}\n")
    assert done.returncode == 0, done.stderr
    assert open_table("lr.npy").schedule == lr.Cosine(0.1, 0.0, 1000)


def test_table_replaces_only_by_force(fails):
    assert main(["table", COSINE, "-n", "10", "-o", "lr.npy"]) == 0
    error = fails("table", "Constant(1)", "-n", "10", "-o", "lr.npy")
    assert error == "lrcore table: lr.npy: is there already; --force replaces it"
    assert open_table("lr.npy").schedule == lr.Cosine(0.1, 0.0, 1000)
    assert main(["table", "Constant(1)", "-n", "10", "-o", "lr.npy", "--force"]) == 0
    assert open_table("lr.npy").schedule == lr.Constant(1)


def test_a_warning_is_one_line(capsys):
    assert main(["table", "Linear(1, 0, 10).stretch(0.33)", "-n", "10", "-o", "lr.npy"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "lrcore table: warning: stretch(0.33) rounds Linear.steps 10 to 3 (3.3)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Cosin(1, 0, 10)"], r"expression, column 1: .*, got 'Cosin': did you mean 'Cosine'\?"),
        (["Cosine(1, 0, 1e3)"], r"expression, column 1: Cosine\.steps: .*, got 1000\.0 \(float\)"),
        (["__import__('os').abort()"], "expression, column 1: .*, got '__import__'"),
        (["Cosine(1,\n0,\n0)"], r"expression, column 1: Cosine\.steps: .*, got 0 \(int\)"),
        (["[\n1]"], r"expression, column 1: expected a schedule, got \[1\] \(list\)"),
        ([COSINE, "-o", "lr.csv"], r"path: .*\.npy, \.safetensors or \.parquet, got 'lr\.csv'"),
        ([COSINE, "-o", "nowhere/lr.npy"], r"nowhere/lr\.npy: there is no folder /.*/nowhere: create it first"),
        ([COSINE, "-o", "folder.npy"], r"folder\.npy: is there already; --force replaces it"),
        ([COSINE, "-o", "folder.npy", "--force"], r"folder\.npy: expected the name of a file, this is a folder"),
        ([COSINE, "-n", "0"], r"n: expected .*, got 0 \(int\)"),
        ([COSINE, "-n", "1.5"], r"argument -n: expected a whole number, got '1\.5' \(see lrcore table --help\)"),
        ([COSINE, "-n", "many"], r"argument -n: expected a whole number, got 'many' \(see .*\)"),
        ([COSINE, "-n", "nan"], r"argument -n: expected a whole number, got 'nan' \(see .*\)"),
        ([COSINE, "-n", "1e999"], r"argument -n: expected a whole number, got '1e999' \(see .*\)"),
        ([COSINE, "-n", "1e15"], r"lr\.npy: the table needs 8,000,000\.000 GB, and [0-9.,]+ GB are free"),
        ([COSINE, "--start", "-1"], r"start: expected .*, got -1 \(int\)"),
        ([COSINE, "--threads", "0"], r"threads: expected .*, got 0 \(int\)"),
        ([COSINE, "--dtype", "int8"], r"argument --dtype: invalid choice: 'int8' .*\(see lrcore table --help\)"),
        ([], r"the following arguments are required: EXPR \(see lrcore table --help\)"),
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
        (["table", COSINE, "-o", "lr.npy"], "lrcore table: the following arguments are required: -n"),
        (["table", COSINE, "-n", "5"], "lrcore table: the following arguments are required: -o"),
        (["show"], "lrcore show: the following arguments are required: PATH"),
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
    assert "path: expected a name that ends in" in fails("show", "lr.txt")


# --- help


def test_help_shows_examples_that_run(capsys):
    with pytest.raises(SystemExit) as left:
        main(["table", "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    examples = [line.strip() for line in text.splitlines() if line.startswith("  lrcore table")]
    assert len(examples) == 3
    for example in examples:
        done = subprocess.run(
            ["sh", "-c", example.replace("lrcore", f"{sys.executable} -m lrcore.cli", 1)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), example
    for name in lr.__all__:
        if isinstance(getattr(lr, name), type) and issubclass(getattr(lr, name), lr.Schedule) and name != "Schedule":
            assert f" {name}" in text


def test_help_and_version(capsys):
    for arguments, expected in ((["--help"], "lrcore show lr.npy"), (["--version"], f"lrcore {lr.__version__}\n")):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0
        assert expected in capsys.readouterr().out


def test_the_demo_reads_its_own_arguments(capfd):
    with pytest.raises(SystemExit) as left:
        main(["demo", "--help"])
    assert left.value.code == 0
    assert "usage: lrcore demo" in capfd.readouterr().out
    with pytest.raises(SystemExit) as left:
        main(["demo", "--no-such-option"])
    assert left.value.code == 2


def test_help_loads_nothing_that_it_does_not_need():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lrcore.cli", "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    plain = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import lrcore, argparse"],
        capture_output=True,
        text=True,
        check=True,
    )
    needed = {line.rpartition("|")[2].strip() for line in plain.stderr.splitlines()}
    assert "lrcore.schedule" in loaded
    assert len(loaded - needed) < 15
    assert not {"hashlib", "json", "tqdm", "pyarrow", "lrcore.expression", "lrcore._tablefiles"} & loaded
