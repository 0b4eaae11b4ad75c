"""lrcore lint and lrcore diff: exit statuses that a pipeline can rely on, for people and for programs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrcore as lr
from lrcore import linting

COSINE = "Cosine(0.1, 0, 1000)"
WARM = "warmup_cosine(0.1, 0.0, 100, 1000)"
UNITS = "Cosine(0.1, 0.0, '100%')"


@pytest.fixture
def document(run):
    """The one JSON document of a command, and its exit status."""

    def document(*arguments):
        status, output, errors = run(*arguments, "--json")
        assert errors == ""
        return status, json.loads(output, parse_constant=pytest.fail)

    return document


# --- lint


def test_nothing_found(run, document):
    assert run("lint", COSINE) == (0, "nothing found\n", "")
    found = {"schedule": repr(lr.Cosine(0.1, 0.0, 1000)), "steps": 1000, "findings": []}
    assert document("lint", COSINE) == (0, found)


def test_findings(run, document):
    found = lr.lint(lr.warmup_cosine(0.1, 0.0, 100, 1000), 500)
    names = [finding.name for finding in found]
    assert names == ["zero-first-update", "end-not-reached", "horizon-mismatch"]
    assert run("lint", WARM, "-n", "500") == (1, f"{found}\n", "")
    status, printed = document("lint", WARM, "-n", "500")
    assert (status, printed["steps"]) == (1, 500)
    assert printed["findings"] == [finding.to_dict() for finding in found]
    assert set(printed["findings"][0]) == {"name", "step", "reason", "cure", "count"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--ignore", "zero-first-update"], ["end-not-reached", "horizon-mismatch"]),
        (["--ignore", "zero-first-update,end-not-reached"], ["horizon-mismatch"]),
        (["--ignore", "zero-first-update", "--ignore", "horizon-mismatch"], ["end-not-reached"]),
        (["--only", "horizon-mismatch"], ["horizon-mismatch"]),
        (["--only", "horizon-mismatch,end-not-reached", "--ignore", "end-not-reached"], ["horizon-mismatch"]),
        (["--only", "spike"], []),
        (["--only", " horizon-mismatch , spike"], ["horizon-mismatch"]),
        (["--only", "spike", "--ignore", "spike"], []),
    ],
)
def test_which_findings(document, options, names):
    status, printed = document("lint", WARM, "-n", "500", *options)
    assert [finding["name"] for finding in printed["findings"]] == names
    assert status == bool(names)


def test_the_run_is_what_units_say(document):
    assert document("lint", UNITS, "--total-steps", "1e4")[0] == 0
    status, printed = document("lint", COSINE, "--total-steps", "400")
    assert (status, printed["steps"]) == (1, 400)
    assert "end-not-reached" in {finding["name"] for finding in printed["findings"]}
    halved = ["--total-steps", "2000", "--micro-batches-per-update", "2"]
    assert document("lint", COSINE, *halved) == document("lint", COSINE)


def test_jump(document):
    arguments = ["lint", "step_decay(0.1, 0.5, every=500)", "-n", "1000", "--only", "jump"]
    assert [document(*arguments, "--jump", factor)[0] for factor in ("3", "1.5")] == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ignore", "jmp"], r"--ignore: expected the name of a finding, got 'jmp': did you mean 'jump'\?"),
        (["--only", "Constant"], r"--only: expected the name of a finding, got 'Constant'.*"),
        (["--only", "xyz"], r"--only: expected the name of a finding, got 'xyz' \(always-zero, .*\)"),
        (["--ignore"], r"argument --ignore: expected one argument \(see lrcore lint --help\)"),
        (["--jump", "1"], r"--jump: expected a factor > 1, got 1\.0 \(float\)"),
        (["--jump", "-2"], r"argument --jump: expected a number >= 0, got '-2' .*"),
    ],
)
def test_mistakes_about_lint(fails, options, message):
    assert re.fullmatch(f"lrcore lint: {message}", fails("lint", COSINE, *options))


def test_the_help_names_the_findings(run):
    text = run("lint", "--help")[1]
    listed = text.partition("NAME is one of:\n")[2].partition("\n\n")[0].split()
    assert listed == list(linting.NAMES)


# --- diff


def test_equal(run, document):
    same = lr.Cosine(0.1, 0.0, 1000)
    assert run("diff", COSINE, COSINE) == (0, f"{lr.diff(same, same)}\n", "")
    status, printed = document("diff", COSINE, COSINE)
    assert (status, printed["differ"], printed["steps"]) == (0, False, 1001)


def test_different(run, document):
    a, b = lr.Cosine(0.1, 0.0, 1000), lr.Cosine(0.1, 0.0, 1000).shift(1)
    found = lr.diff(a, b)
    assert run("diff", COSINE, f"{COSINE}.shift(1)") == (1, f"{found}\n", "")
    assert document("diff", COSINE, f"{COSINE}.shift(1)") == (1, json.loads(json.dumps(found.to_dict())))
    assert "1 step earlier" in str(found)


def test_tolerances(document):
    pair = ["Constant(0.1)", "Constant(0.1001)", "-n", "10"]
    for options, status in (
        ([], 1),
        (["--rtol", "1e-2"], 0),
        (["--rtol", "1e-4"], 1),
        (["--atol", "1e-3"], 0),
        (["--atol", "1e-5"], 1),
    ):
        found, printed = document("diff", *pair, *options)
        assert (found, printed["differ"]) == (status, bool(status))


VALUES = lr.Cosine(0.1, 0.0, 1000).table(600)


def lines_of(values):
    return "\n".join(map(repr, values.tolist()))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("lr.csv", lambda path: path.write_text(f"lr\n{lines_of(VALUES)}\n")),
        ("lr.txt", lambda path: path.write_text(lines_of(VALUES))),
        ("lr.json", lambda path: path.write_text(json.dumps(VALUES.tolist()))),
        ("bare.npy", lambda path: np.save(path, VALUES)),
        ("half.npy", lambda path: np.save(path, VALUES.astype(np.float32))),
        ("ours.npy", lambda path: lr.Cosine(0.1, 0.0, 1000).save_table(path, 600)),
        ("ours.safetensors", lambda path: lr.Cosine(0.1, 0.0, 1000).save_table(path, 600)),
    ],
)
def test_against_a_trace(document, name, write):
    """Either side may be one; as many steps as it has."""
    write(Path(name))
    options = ["-n", "600"] if name.startswith("ours") else []
    for pair in ((name, COSINE), (COSINE, name)):
        status, printed = document("diff", *pair, *options)
        assert (status, printed["steps"]) == (0, 600)
        assert document("diff", *pair, "-n", "5")[1]["steps"] == 5
    status, printed = document("diff", "Linear(0.1, 0, 1000)", name, *options)
    assert (status, printed["first"]["step"]) == (1, 1)


def test_units_beside_a_trace(document):
    """--total-steps says what 100% is, not how much of the trace there is."""
    Path("lr.txt").write_text(lines_of(VALUES))
    status, printed = document("diff", UNITS, "lr.txt", "--total-steps", "1000")
    assert (status, printed["steps"]) == (0, 600)
    assert document("diff", UNITS, COSINE, "--total-steps", "1000")[1]["steps"] == 1000


def test_a_trace_from_another_program(document, piped):
    piped("[0.1, 0.1, 0.05]")
    status, printed = document("diff", "-", "Constant(0.1)")
    assert (status, printed["steps"], printed["first"]["step"], printed["last"]["step"]) == (1, 3, 2, 2)


def test_a_run_that_broke(document):
    Path("lr.txt").write_text("0.1\nnan\n-inf\n0.1\n")
    status, printed = document("diff", "Constant(0.1)", "lr.txt")
    assert (status, printed["differing"], printed["not_finite"]) == (1, 2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([COSINE], r"the following arguments are required: B \(see lrcore diff --help\)"),
        ([COSINE, "trace.csv", "-n", "5"], r"-n: expected at most the 3 steps of b, got 5 \(int\)"),
        (["trace.csv", "long.csv"], r"-n: expected a number of steps, for arrays of 3 and 4"),
        (
            ["Constant(1)", "Cycle(1.0, 5)"],
            r"-n: expected how many steps, as one of them never ends: give -n or --total-steps",
        ),
        ([COSINE, "none.csv"], r"none\.csv: No such file or directory"),
        ([COSINE, "none.npy"], r"none\.npy: No such file or directory"),
        ([COSINE, COSINE, "--rtol", "-1"], r"argument --rtol: expected a number >= 0, got '-1' .*"),
        ([COSINE, COSINE, "--atol", "nan"], r"argument --atol: expected a number >= 0, got 'nan' .*"),
        ([COSINE, COSINE, "-n", "0"], r"-n: expected .*, got 0 \(int\)"),
        (["-", "-"], r"-: expected once, standard input can be read once"),
        ([COSINE, "words.txt"], r"words\.txt, line 2: expected one number, or a step and a number, got 'at all'"),
    ],
)
def test_mistakes_about_diff(fails, piped, arguments, message):
    piped("Constant(1)")
    Path("trace.csv").write_text("1\n1\n1\n")
    Path("long.csv").write_text("1\n1\n1\n1\n")
    Path("words.txt").write_text("not a number\nat all\n")
    assert re.fullmatch(f"lrcore diff: {message}", fails("diff", *arguments))


# --- In a pipeline


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["lint", COSINE], 0),
        (["lint", WARM], 1),
        (["lint", WARM, "--only", "jmp"], 2),
        (["diff", COSINE, COSINE], 0),
        (["diff", COSINE, WARM], 1),
        (["diff", COSINE, "none.csv"], 2),
    ],
)
def test_exit_statuses_of_the_installed_command(installed, arguments, status):
    done = installed(*arguments)
    assert done.returncode == status
    assert bool(done.stdout) == (status < 2)
    assert done.stderr.count("\n") == (status == 2)


def test_colours_on_a_terminal(on_a_terminal):
    for arguments, status in ((["lint", WARM], 1), (["lint", COSINE], 0), (["diff", COSINE, WARM], 1)):
        found, output = on_a_terminal(*arguments, COLUMNS="100")
        assert found == status, output
        plain = on_a_terminal(*arguments, COLUMNS="100", NO_COLOR="1")[1]
        assert not re.search("\x1b\\[[0-9;]*3[0-9]m", plain)
        if status:
            assert "\x1b[" in output
    found, output = on_a_terminal("lint", WARM, "--json")
    assert found == 1
    assert json.loads(output)["findings"]


def test_json_is_one_document_for_others(installed):
    done = installed("lint", WARM, "--json")
    code = "import json, sys; print(len(json.load(sys.stdin)['findings']))"
    other = subprocess.run([sys.executable, "-c", code], input=done.stdout, capture_output=True, text=True, check=True)
    assert other.stdout == "1\n"
