"""Whatever is typed, piped or found in a file: an answer or one line, and never a traceback."""

import contextlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

import lrcore as lr
from lrcore.cli import main
from strategies import schedules

COMMANDS = ["table", "plot", "explain", "lint", "diff", "replan", "show", "convert", "schema", "completion"]
NAMES = [
    "run.json",
    "run.toml",
    "run.yaml",
    "run.txt",
    "lr.npy",
    "lr.npy.json",
    "lr.csv",
    "lr.parquet",
    "lr.safetensors",
]
WORDS = [
    *(
        "-",
        "@",
        "--",
        "",
        " ",
        "-1",
        "0",
        "1",
        "2.5",
        "1e3",
        "1e16",
        "1e17",
        "1e999",
        "nan",
        "x",
        "\0",
        "é",
        "\ud800",
    ),
    *("-n", "-o", "--json", "--force", "--log", "--at", "--keep", "value", "position", "shape", "--dtype", "float32"),
    *("--total-steps", "--old-total-steps", "--steps-per-epoch", "--tokens-per-step", "--samples-per-step", "-h", "-V"),
    *("--micro-batches-per-update", "--world-size", "--rtol", "--atol", "--only", "--ignore", "--start", "--verify"),
    *(
        "lr.svg",
        "lr.html",
        ".",
        "..",
        "/",
        "./",
        "folder.json",
        "folder.npy",
        "nowhere/lr.npy",
        "bash",
        "zsh",
        "tcsh",
        "%s",
    ),
    *(
        "Constant",
        "Constant(1)",
        "Cosine(0.1, 0, 100)",
        "Linear(0.1, 0, '5ep')",
        "Linear(0, 1, '5%') >> Cosine(1, 0, 'rest')",
    ),
    *("Cycle(Cosine(0.1, 0, 7), 7)", "Cosine(0.1, 0, 100", "Cosine(1e300, 0, 5)", "sgdr(0.1, 0, '2e9tok')"),
    *NAMES,
    *(f"@{name}" for name in NAMES),
]
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(arguments, piped=""):
    """Runs the command: an exit status that it may have, one line if that is 2, one document with --json."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        patch.setattr("sys.stdin", io.StringIO(piped))
        try:
            status = main(arguments)
        except SystemExit as left:  # argparse leaves by itself
            status = left.code
    said = errors.getvalue()
    shown = f"lrcore {arguments!r}: {status}\n{said}"
    assert status in (0, 1, 2), shown
    assert "Traceback" not in said, shown
    lines = [line for line in said.split("\n") if line and ": warning: " not in line]
    if status == 2:
        assert len(lines) == 1, shown
        assert lines[0].startswith("lrcore"), shown
        assert len(lines[0]) < 5000, shown
    elif "--json" in arguments and not {"-h", "-V"} & set(arguments):
        json.loads(output.getvalue(), parse_constant=lambda name: pytest.fail(f"{name} in {shown}"))
    assert not list(Path().glob("*.partial")), shown
    return status


@pytest.fixture
def files():
    """Files of each kind: some right, some wrong."""
    Path("folder.json").mkdir()
    Path("folder.npy").mkdir()
    Path("run.json").write_text('{"type": "Cosine", "init_value": 0.1, "end_value": 0, "steps": "30%"}')
    Path("run.toml").write_text('type = "Constant"\nvalue = 0.1\n')
    Path("run.yaml").write_text("type: Constant\nvalu: 0.1\n")
    Path("run.txt").write_text("Cosine(0.1, 0, 100)")
    Path("lr.csv").write_text("0.1\n0.2\n")
    lr.Cosine(0.1, 0.0, 100).save_table("lr.npy", 50)
    lr.Cosine(0.1, 0.0, 100).save_table("lr.safetensors", 50)
    Path("lr.parquet").write_bytes(b"PAR1")


arguments = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), max_size=7)


@pytest.mark.usefixtures("files")
@settings(FUZZ, max_examples=300)
@given(st.sampled_from(COMMANDS), arguments, st.sampled_from(["", "Constant(1)", "[1, 2]", "{}", "{", "\0"]))
@example("schema", ["-o", "\0"], "")
@example("plot", ["Constant(1)", "-n", "1e15"], "")
@example("explain", ["Cycle(Cosine(0.1, 0, 7), 7)", "-n", "1e15", "--json"], "")
@example("lint", ["Cycle(Cosine(0.1, 0, 7), 7)", "-n", "1e15", "--json"], "")
@example("replan", ["Cosine(0.1, 0, 100)", "--at", "1e16", "--total-steps", "1e17"], "")
def test_any_arguments(command, given_arguments, piped):
    check([command, *given_arguments], piped)


@settings(FUZZ, max_examples=60)
@given(schedules(2), st.integers(1, 80), st.integers(1, 80), st.sampled_from(["value", "position", "shape"]))
def test_any_schedule(schedule, n, at, keep):
    """Each command has an answer for what lrcore itself writes; only replan may refuse."""
    text = repr(schedule)
    for command in ("explain", "lint"):
        assert check([command, text, "-n", str(n), "--json"]) in (0, 1)
    assert check(["show", text]) == 0
    assert check(["plot", text, "-n", str(n)]) == 0
    assert check(["diff", text, text, "-n", str(n), "--json"]) == 0
    assert check(["diff", text, "Constant(0.123)", "-n", str(n), "--json"]) in (0, 1)
    check(["replan", text, "--at", str(at), "--total-steps", str(at + n), "-n", str(at + 1), "--keep", keep, "--json"])


PIECES = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\n",
    " ",
    "=",
    "- ",
    "type",
    "Cosine",
    "steps",
    "0.1",
    "1e999",
    "NaN",
    "&a",
    "*a",
]
contents = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map(lambda pieces: "".join(pieces).encode())
)


@settings(FUZZ, max_examples=80)
@given(st.sampled_from([name for name in NAMES if name != "lr.npy.json"]), contents, st.booleans())
def test_any_file(name, content, has_record):
    Path("lr.npy.json").unlink(missing_ok=True)
    if has_record:
        Path("lr.npy.json").write_bytes(content)
    Path(name).write_bytes(content)
    for given_name in (name, f"@{name}"):
        check(["explain", given_name, "-n", "5"])
        check(["show", given_name, "--verify"])
        check(["diff", given_name, "Constant(1)", "-n", "5", "--json"])
    check(["explain", "-", "-n", "5"], content.decode(errors="replace"))


@pytest.mark.parametrize("name", ["lr.npy", "lr.safetensors", "lr.parquet"])
@settings(FUZZ, max_examples=50)
@given(place=st.floats(0, 1), changed=st.binary(min_size=1, max_size=4), cut=st.booleans())
def test_any_damage_of_a_table(name, place, changed, cut):
    lr.Cosine(0.1, 0.0, 100).save_table(name, 50)
    content = Path(name).read_bytes()
    at = int(place * len(content))
    Path(name).write_bytes(content[:at] + (b"" if cut else changed + content[at + len(changed) :]))
    check(["show", name, "--verify"])
    check(["diff", name, "Cosine(0.1, 0.0, 100)", "-n", "50"])
    Path("lr.npy.json").unlink(missing_ok=True)
    check(["diff", name, "Cosine(0.1, 0.0, 100)", "-n", "50"])
