"""Every bound of the contract has its line, and what is compared with ours computes the same numbers."""

import json
import sys

import pytest

from bench import (
    __main__ as runner,
    bench_calls,
    bench_fill,
    bench_insight,
    bench_memory,
    bench_monitor,
    bench_peers,
    bench_pictures,
    bench_scaling,
    bench_smooth,
    bench_spec,
    bench_take,
    bench_tf1,
    bench_torch,
    bench_updates,
)
from bench._measure import check
from bench._worker import streamed

MODULES = (
    bench_fill,
    bench_take,
    bench_calls,
    bench_smooth,
    bench_insight,
    bench_pictures,
    bench_spec,
    bench_torch,
    bench_monitor,
    bench_tf1,
    bench_peers,
    bench_scaling,
    bench_updates,
)
LINES = [line for module in MODULES for line in module.lines(quick=True)]
AGAIN = ("50 M", "constant rate", "update in optax, jitted: a closed form")  # what takes long to compile once more
KERAS = ", against Keras"  # on TensorFlow, for which it takes a process of its own
COMPARED = [
    line for line in LINES if "lacks" not in line.about and not any(word in line.name for word in (*AGAIN, KERAS))
]

CONTRACT = {
    "Cosine": 4,
    "warmup_cosine": 4,
    "one_cycle": 4,
    "sgdr, period_mult 2": 4,
    "Linear": 2,
    "step_decay every 1,000": 2,
    "1000-piece Piecewise": 2,
    "Exponential": 6,
    "ExponentialDecay": 6,
    "Polynomial, power 0.5": 3,
    "Polynomial, power 0.9": 25,
    "Polynomial, power 2": 25,
    "Polynomial, power 3": 25,
    "Cosine, 50 M, against NumPy": 8,
    "Cosine, 50 M, against numba": 5,
    "Cosine, 50 M, against numexpr": 5,
    "Cosine, 50 M, against optax": 5,
    "Cosine, 2 threads against one": 1.7,
    "Cosine at random steps, against careful NumPy": 2,
    "warmup_cosine at random steps, against careful NumPy": 2,
    "1000-piece Piecewise at random steps, against careful NumPy": 2,
    "schedule(step), Cosine": 250,
    "Program.value, Cosine": 120,
    "compiling warmup_cosine": 50,
    "compiling one_cycle": 50,
    "compiling sgdr": 50,
    "smooth against scipy.signal.lfilter": 5,
    "smooth against pandas ewm": 10,
    "load of a typical .json": 1,
    "HTML of four schedules": 2000,
    "building 10,000 boundaries": 50,
    "building 10,000 boundaries in arrays": 50,
    "running 10,000 boundaries, against reading the step": 2,
    "a CNN's training with a Monitor, 20 epochs": 1.02,
    **{
        f"{what}.step() against {peer}, {groups}": bound
        for what in ("Scheduler", "drop-in")
        for peer in ("CosineAnnealingLR", "OneCycleLR", "SequentialLR")
        for groups, bound in (("1 group", 4), ("100 groups", 10))
    },
}


@pytest.fixture
def own_settings():
    """A peer sets jax to float64 and torch to one thread, for the whole process; not for the tests that follow."""
    threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", False)
    if threads is not None:
        sys.modules["torch"].set_num_threads(threads)


@pytest.mark.usefixtures("own_settings")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the peers: theirs to mend
@pytest.mark.parametrize("line", COMPARED, ids=lambda line: line.name)
def test_what_is_compared_agrees(line):
    try:
        check(line)
    except ImportError as missing:
        pytest.skip(str(missing))


def test_what_is_compared_with_keras_agrees():
    """At both lengths; before a line is timed its results are compared."""
    rows = list(streamed("bench_peers", "tensorflow", True, bench_peers.environment("tensorflow")))
    lacking = {row["line"] for row in rows if row["ours"] is None}
    assert len(rows) == 2 * 8
    assert {row["line"].partition(",")[0] for row in rows if row["line"] in lacking} == {"warmup_cosine", "one_cycle"}
    assert [row["note"] for row in rows if row["note"].startswith("wrong")] == []


def test_every_schedule_meets_every_peer_at_every_length():
    """Of the 14 cells of a schedule each is measured, or says why there is nothing to measure."""
    cells = {
        (line.about["steps"], line.about["schedule"], line.about["peer"]) for line in bench_peers.lines(quick=True)
    }
    assert len(cells) == 2 * 8 * 7
    lacking = {line.about["schedule"] for line in bench_peers.lines(quick=True) if "lacks" in line.about}
    assert lacking == {"warmup_cosine", "one_cycle"}  # in Keras


def test_every_bound_of_the_contract_has_its_line():
    bounds = {line.name: line.bound for line in LINES}
    assert {name: bounds.get(name) for name in CONTRACT} == CONTRACT


def test_names_are_unique():
    names = [line.name for line in LINES]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.skipif(not bench_memory.PAGES.exists(), reason="needs Linux")
def test_the_memory_probe_sees_what_a_table_takes():
    """A probe that saw nothing would say that the bound is met: of a table of nothing there is nothing to see."""
    probe = bench_memory.PROBE.replace("- table.nbytes / 2**20", "")
    size = 2_000_000
    done = bench_memory.subprocess.run(
        [sys.executable, "-c", probe.format(size=size, threads=1)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == pytest.approx(size * 8 / 2**20, abs=1.0)


def test_the_command_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    path = tmp_path / "results" / "bench.json"
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--only", "calls", "--json", str(path)])
    runner.main()
    printed = capsys.readouterr().out
    written = json.loads(path.read_text())
    assert [row["line"] for row in written["lines"]] == [line.name for line in LINES if line.topic == "calls"]
    assert {"date", "commit", "machine", "engine", "python", "libraries", "quick"} <= set(written)
    for row in written["lines"]:
        assert row["line"] in printed
    assert "bounds met" in printed


def test_a_part_in_a_process_of_its_own_gives_its_rows():
    rows = list(streamed("bench_spec", "all", True, {}))
    assert [(row["line"], row["bound"]) for row in rows] == [(line.name, line.bound) for line in bench_spec.lines(True)]
    assert all(row["rounds"] == 3 and row["ours"] > 0.0 for row in rows)


def test_a_process_that_fails_leaves_a_row_that_says_so():
    (row,) = streamed("bench_keras", "torch", True, {"KERAS_BACKEND": "abacus"})
    assert (row["topic"], row["ours"], row["met"]) == ("keras", None, None)
    assert row["note"].startswith("not measured: its process failed: AssertionError")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"ours": 3.051, "bound": 4.0, "met": True}, ["3.05 ×", "≤ 4", "met"]),
        ({"ours": 1.31, "bound": 2.0, "met": False, "least": True}, ["1.31 ×", "≥ 2", "MISSED"]),
        (
            {"ours": None, "bound": 5.0, "met": None, "note": "not measured: no numba"},
            ["–", "not measured: no numba"],
        ),
    ],
)
def test_a_row_says_its_bound_and_its_verdict(row, words):
    shown = runner._shown({"topic": "topic", "line": "name", "unit": "×"} | row)
    assert all(word in shown for word in words)


def test_a_busy_machine_is_named():
    about = {"load_before": 1.5, "machine": {"cores": 2}}
    quiet = {"load_before": 0.1, "machine": {"cores": 2}}
    assert any("busy" in warning for warning in runner._warnings(about, []))
    assert not list(runner._warnings(quiet, [{"line": "name", "core_share": 0.99, "noise": 0.02}]))
    assert any("60%" in warning for warning in runner._warnings(quiet, [{"line": "name", "core_share": 0.6}]))
    assert any("name" in warning for warning in runner._warnings(quiet, [{"line": "name", "noise": 0.3}]))
