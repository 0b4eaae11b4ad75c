"""explain, replan, show and schema: what they print for people and for programs, and what they write."""

import json
import os
import re
import sys
from pathlib import Path

import jsonschema
import pytest

import lrcore as lr
from lrcore import replanning, spec
from lrcore.cli import _KEEP, main

COSINE = "Cosine(0.1, 0, 1000)"
WARM = "Linear(0.0, 0.1, '2ep') >> Cosine(0.1, 0.0, 'rest')"
RUN = ("--total-steps", "1000", "--steps-per-epoch", "50")


@pytest.fixture
def document(run):
    """The one JSON document of a command."""

    def document(*arguments, status=0):
        found, output, errors = run(*arguments, "--json")
        assert (found, errors) == (status, "")
        return json.loads(output, parse_constant=pytest.fail)

    return document


# --- explain


def test_explain(run):
    status, output, errors = run("explain", WARM, *RUN)
    assert (status, errors) == (0, "")
    bound = (lr.Linear(0.0, 0.1, "2ep") >> lr.Cosine(0.1, 0.0, "rest")).bind(total_steps=1000, steps_per_epoch=50)
    assert output == f"{lr.explain(bound, 1000)}\n"
    assert "epoch" in output


def test_explain_for_programs(document):
    found = document("explain", WARM, *RUN)
    bound = (lr.Linear(0.0, 0.1, "2ep") >> lr.Cosine(0.1, 0.0, "rest")).bind(total_steps=1000, steps_per_epoch=50)
    assert found == json.loads(json.dumps(lr.explain(bound, 1000).to_dict()))
    assert (found["steps"], found["peak"]["step"], found["peak"]["value"]) == (1000, 100, 0.1)


def test_how_far_explain_looks(document):
    """As far as -n says, or the run is long, or the schedule."""
    for arguments, steps in (([], 1000), (["--total-steps", "700"], 700), (["--total-steps", "700", "-n", "70"], 70)):
        assert document("explain", COSINE, *arguments)["steps"] == steps


@pytest.mark.parametrize("command", ["explain", "lint"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Cycle(1.0, 5)"], "-n: expected how many steps, as nothing here has an end: give -n or --total-steps"),
        (["Constant(1)"], "-n: expected how many steps, as nothing here has an end: give -n or --total-steps"),
        ([WARM], "Linear.steps: '2ep' needs --steps-per-epoch; Cosine.steps: 'rest' needs --total-steps"),
        ([COSINE, "-n", "0"], "-n: expected a whole number of updates, an int >= 1, got 0 (int)"),
        ([COSINE, "-n", "1e16"], "-n: expected a whole number of updates, an int <= "),
    ],
)
def test_mistakes_about_the_run(fails, command, arguments, message):
    assert fails(command, *arguments).startswith(f"lrcore {command}: {message}")


def test_rich_on_a_terminal(on_a_terminal):
    status, output = on_a_terminal("explain", COSINE, COLUMNS="100")
    assert status == 0, output
    assert "\x1b[" in output
    status, output = on_a_terminal("explain", COSINE, COLUMNS="100", NO_COLOR="1")
    assert status == 0, output
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", output)  # no colour; bold is none
    assert "last update" in output


def test_plain_text_without_rich(on_a_terminal):
    hide = "import sys; sys.modules['rich'] = sys.modules['rich.console'] = None; from lrcore.cli import main; main()"
    status, output = on_a_terminal("explain", COSINE, command=[sys.executable, "-c", hide])
    assert status == 0, output
    assert "\x1b" not in output
    assert output.replace("\r\n", "\n") == f"{lr.explain(lr.Cosine(0.1, 0, 1000))}\n"


# --- replan


def test_replan(run):
    old = lr.Cosine(0.1, 0.0, 1000)
    for keep in ("value", "shape"):
        status, output, errors = run("replan", COSINE, "--at", "400", "--total-steps", "2e3", "--keep", keep)
        assert (status, errors) == (0, "lrcore replan: the value does not jump at step 400: 0.0654508\n")
        assert output == f"{old.replan(400, 2000, keep)}\n"
    status, output, errors = run("replan", COSINE, "--at", "400", "--total-steps", "2000", "--keep", "position")
    assert errors == "lrcore replan: the value jumps at step 400 from 0.0654508 to 0.0904508 (x 1.38)\n"
    with pytest.warns(replanning.JumpWarning):
        assert output == f"{old.replan(400, 2000, 'position')}\n"


def test_replan_for_programs(document):
    found = document("replan", COSINE, "--at", "400", "--total-steps", "2000")
    new = lr.Cosine(0.1, 0.0, 1000).replan(400, 2000)
    assert found == {
        "at": 400,
        "total_steps": 2000,
        "keep": "value",
        "jump": replanning.jump_at(lr.Cosine(0.1, 0.0, 1000), new, 400).to_dict(),
        "expression": repr(new),
        "fingerprint": new.fingerprint(),
        "schedule": json.loads(json.dumps(new.to_dict())),
    }


def test_replan_writes_a_spec(run, fails):
    new = lr.Cosine(0.1, 0.0, 1000).replan(400, 2000)
    for name in ("new.json", "new.toml", "new.yaml"):
        assert run("replan", COSINE, "--at", "400", "--total-steps", "2000", "-o", name)[0] == 0
        assert spec.load(name) == new
        error = fails("replan", COSINE, "--at", "400", "--total-steps", "2000", "-o", name)
        assert error == f"lrcore replan: {name}: is there already; --force replaces it"
        assert run("replan", name, "--at", "500", "--total-steps", "900", "-o", name, "--force")[0] == 0
        assert spec.load(name) == new.replan(500, 900)


def test_replan_of_a_schedule_with_units(run):
    """--total-steps is the new length, in updates; the old one is what percentages refer to."""
    arguments = ["--at", "400", "--total-steps", "2000", "--old-total-steps", "1000", "--steps-per-epoch", "50"]
    status, output, _ = run("replan", WARM, *arguments)
    bound = (lr.Linear(0.0, 0.1, "2ep") >> lr.Cosine(0.1, 0.0, "rest")).bind(total_steps=1000, steps_per_epoch=50)
    assert (status, output) == (0, f"{bound.replan(400, 2000)}\n")
    status, output, _ = run("replan", "Cycle(Cosine(0.1, 0, 100), 100)", "--at=250", "--total-steps=2000", "-n=1000")
    assert (status, output) == (0, f"{lr.Cycle(lr.Cosine(0.1, 0.0, 100), 100).replan(250, 2000, n=1000)}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [COSINE, "--at", "400", "--total-steps", "200"],
            r"--total-steps: expected more than the 400 updates .*, got 200.*",
        ),
        ([COSINE, "--at", "-1", "--total-steps", "200"], r"--at: expected .*, got -1 \(int\)"),
        (
            [COSINE, "--at", "1200", "--total-steps", "2000"],
            r"--at: expected a step before the end of the run at 1000.*",
        ),
        (
            ["Cycle(1.0, 5)", "--at", "4", "--total-steps", "20"],
            r"-n: expected the length of the run as it was planned.*",
        ),
        ([WARM, "--at", "4", "--total-steps", "20"], r"Linear\.steps: .* 'rest' needs --old-total-steps"),
        ([COSINE, "--at", "4"], r"the following arguments are required: --total-steps \(see lrcore replan --help\)"),
        ([COSINE, "--at", "4", "--total-steps", "2000", "--keep", "it"], r"argument --keep: invalid choice: 'it' .*"),
        (
            [COSINE, "--at", "4", "--total-steps", "2000", "-o", "x.ini"],
            r"x\.ini: expected a name that ends in \.json, .*",
        ),
        ([COSINE, "--at", "4", "--total-steps", "2000", "-o", "no/x.json"], r"no/x\.json: there is no folder .*"),
    ],
)
def test_mistakes_about_replan(fails, arguments, message):
    assert re.fullmatch(f"lrcore replan: {message}", fails("replan", *arguments))


def test_replan_offers_what_there_is():
    assert all(re.search(rf"^  {keep} ", _KEEP, re.MULTILINE) for keep in replanning.KEEPS)


def test_commands_are_joined_by_pipes(run, piped):
    """An expression on standard output is one on standard input; what is said about it goes to standard error."""
    _, output, _ = run("replan", COSINE, "--at", "400", "--total-steps", "2000")
    piped(output)
    assert run("explain", "-")[:2] == (0, f"{lr.explain(lr.Cosine(0.1, 0.0, 1000).replan(400, 2000))}\n")


# --- show


@pytest.mark.parametrize("name", ["run.json", "run.toml", "run.yaml"])
def test_show_a_spec(run, name):
    schedule = lr.Linear(1.0, 0.0, 8)
    assert run("show", "Linear(1, 0, 8)", "-o", name)[0] == 0
    status, output, errors = run("show", name)
    assert (status, errors) == (0, "")
    assert output.splitlines() == [
        f"schedule     {schedule!r}",
        "length       8 updates",
        f"fingerprint  {schedule.fingerprint()}",
    ]
    assert spec.load(name) == schedule


def test_show_says_how_long(run):
    for text, length in (
        ("Linear(1, 0, 1)", "1 update"),
        ("Cosine(1, 0, 12345)", "12,345 updates"),
        ("Cycle(1.0, 5)", "never ends"),
        ("Linear(1, 0, '5ep')", "in units: Linear.steps: '5ep' needs --steps-per-epoch"),
    ):
        assert f"length       {length}\n" in run("show", text)[1]


def test_show_keeps_the_table_of_a_spec_where_it_is(run):
    lr.Linear(1.0, 0.0, 8).save_table("lr.npy", 4)
    assert run("show", "lr.npy", "-o", "run.yaml")[0] == 0
    assert spec.load("run.yaml") == lr.open_table("lr.npy")
    assert "lr.npy" in Path("run.yaml").read_text()


def test_what_is_wrong_with_a_spec_is_one_line(fails):
    Path("run.yaml").write_text("type: Linear\ninit_valeu: 0\nend_value: true\nsteps: 5 epoxs\n")
    error = fails("show", "run.yaml")
    for message in ("4 errors: ", "did you mean 'init_value'", "; end_value: expected a number, got True", "'epochs'"):
        assert message in error
    Path("long.json").write_text(json.dumps({"type": "Sum", "schedules": [{"type": "Lin"}] * 50}))
    assert re.search(r"long\.json: \d+( or more)? errors: .*; and \d+ more$", fails("show", "long.json"))


# --- schema


def test_schema(run, fails):
    status, output, errors = run("schema")
    assert (status, errors) == (0, "")
    schema = json.loads(output)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(lr.Cosine(0.1, 0.0, 1000).to_dict(), schema)
    assert schema == spec.json_schema()
    assert run("schema", "-o", "lrcore.schema.json") == (0, "lrcore.schema.json: the JSON Schema of spec files\n", "")
    assert Path("lrcore.schema.json").read_text() == output
    assert fails("schema", "-o", "lrcore.schema.json").endswith("is there already; --force replaces it")
    assert run("schema", "-o", "lrcore.schema.json", "--force")[0] == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_what_is_no_file_is_not_replaced(fails):
    """A rename over a device or a pipe would take its place."""
    os.mkfifo("pipe.json")
    for command in (["schema"], ["show", COSINE], ["replan", COSINE, "--at", "4", "--total-steps", "20"]):
        for force in ([], ["--force"]):
            error = fails(*command, "-o", "pipe.json", *force)
            assert error.endswith("pipe.json: expected the name of a file, this is none: > writes to it")
    assert Path("pipe.json").is_fifo()
    assert fails("schema", "-o", "") == "lrcore schema: -o: expected the name of a file, got nothing"
    Path("folder.json").mkdir()
    assert fails("schema", "-o", "folder.json", "--force").endswith("expected the name of a file, this is a folder")


def test_main_takes_the_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lrcore", "show", COSINE])
    assert main() == 0
    assert "1,000 updates" in capsys.readouterr().out
