"""lrcore plot: which schedules, how far, and where to. What a picture shows is the business of tests/pictures."""

import re
import sys
from pathlib import Path

import pytest

from lrcore import Linear, plotting

LINEAR = "Linear(0.1, 0, 900)"
BEGIN = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".html": b"<!"}


@pytest.fixture
def drawn(monkeypatch):
    """What is asked of plotting, instead of a picture."""
    calls = []
    monkeypatch.setattr(plotting, "terminal", lambda *args, **options: calls.append((args, options)) or "picture")
    return calls


def test_a_picture_in_characters(run):
    status, output, errors = run("plot", LINEAR)
    assert (status, errors) == (0, "")
    assert "update" in output
    assert max(map(len, output.splitlines())) <= 80
    assert "\x1b" not in output


def test_what_is_drawn(run, drawn):
    assert run("plot", LINEAR, "Constant(1)", LINEAR, "-n", "1e3", "--log") == (0, "picture\n", "")
    (schedules, n), options = drawn.pop()
    assert list(schedules) == [LINEAR, "Constant(1)", f"{LINEAR} (2)"]
    assert schedules[LINEAR] == Linear(0.1, 0.0, 900)
    assert (n, options["log"], options["colour"]) == (1000, True, False)


def test_units_are_those_of_each_schedule(run, drawn):
    assert run("plot", "Linear(1, 0, '50%')", "Linear(1, 0, '1ep')", "--total-steps=80", "--steps-per-epoch=30")[0] == 0
    (schedules, n), _ = drawn.pop()
    assert [schedule.length for schedule in schedules.values()] == [40, 30]
    assert [schedule.steps_per_epoch for schedule in schedules.values()] == [30, 30]
    assert n == 80


def test_a_long_name_is_cut(run, drawn):
    long = f"Piecewise({list(range(1, 100))}, {list(range(100))})"
    assert run("plot", long, f"{long}\n")[0] == 0
    names = list(drawn.pop()[0][0])
    assert names == [f"{long[:57]}...", f"{long[:57]}... (2)"]


def test_it_fills_the_terminal(run, drawn, monkeypatch):
    for columns, lines, size in (("120", "30", (120, 26)), ("5", "5", (20, 10)), ("5000", "900", (1000, 40))):
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("LINES", lines)
        assert run("plot", LINEAR)[0] == 0
        options = drawn.pop()[1]
        assert (options["width"], options["height"]) == size


def test_colours_where_they_are_seen(on_a_terminal):
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        status, output = on_a_terminal("plot", LINEAR, "Constant(0.1)", **environment)
        assert status == 0, output
        assert ("\x1b[" in output) == coloured, environment
        assert "update" in output


@pytest.mark.parametrize("name", ["lr.png", "lr.svg", "lr.pdf", "lr.html"])
def test_a_picture_in_a_file(run, name):
    assert run("plot", LINEAR, "-o", name) == (0, f"{name}: 1 schedule\n", "")
    assert Path(name).read_bytes().startswith(BEGIN[Path(name).suffix])
    assert {path.name for path in Path().iterdir()} == {name}


def test_only_force_replaces(run, fails):
    Path("lr.svg").write_text("kept")
    assert fails("plot", LINEAR, "-o", "lr.svg") == "lrcore plot: lr.svg: is there already; --force replaces it"
    assert Path("lr.svg").read_text() == "kept"
    assert run("plot", LINEAR, "-o", "lr.svg", "--force")[0] == 0
    assert Path("lr.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Cycle(1.0, 90)"], r"-n: expected a number of updates, as no schedule here ends: for example -n \d+"),
        (["Linear(1, 0, '5ep')"], r"Linear\.steps: '5ep' needs --steps-per-epoch"),
        (
            [LINEAR, "-o", "lr.gif"],
            r"path: expected a name that ends in \.png, \.svg, \.pdf or \.html, got 'lr\.gif'.*",
        ),
        ([LINEAR, "-o", "nowhere/lr.svg"], r"nowhere/lr\.svg: there is no folder .*"),
        ([LINEAR, "-n", "0"], r"-n: expected .*, got 0 \(int\)"),
        (["Constant(0)", "-n", "5", "--log"], ".*expected a value above 0 somewhere, .*"),
        (["-", "-"], r"-: expected once, standard input can be read once"),
        ([], r"the following arguments are required: SCHEDULE \(see lrcore plot --help\)"),
    ],
)
def test_mistakes(fails, piped, arguments, message):
    piped("Constant(1)")
    assert re.fullmatch(f"lrcore plot: {message}", fails("plot", *arguments))


@pytest.mark.parametrize(("package", "options"), [("plotext", []), ("matplotlib.figure", ["-o", "lr.svg"])])
def test_without_what_draws(fails, monkeypatch, package, options):
    monkeypatch.setitem(sys.modules, package, None)
    assert "pip install 'lrcore[plot]'" in fails("plot", LINEAR, *options)
