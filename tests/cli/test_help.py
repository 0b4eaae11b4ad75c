"""Help that costs nothing and shows what runs, exit statuses, streams that break, and completion."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import lrcore as lr
from lrcore import expression
from lrcore.cli import main

COMMANDS = ("table", "plot", "explain", "lint", "diff", "replan", "show", "convert", "schema", "demo", "completion")
PROLOGUE = "import sys; from lrcore.cli import main\ntry: main({arguments})\nexcept SystemExit: pass\n"


def help_of(run, command):
    status, output, errors = run(*([command] if command else []), "--help")
    assert (status, errors) == (0, "")
    return output


def examples(run, command):
    """Each example of a help text, and the exit status that it is said to have."""
    lines = help_of(run, command).partition("examples:\n")[2].splitlines()
    for line in lines:
        text, _, said = line.strip().partition("    # exits ")
        if text:
            yield text, int(said or 0)


@pytest.mark.parametrize("command", ["", *(name for name in COMMANDS if name != "demo")])
def test_every_example_runs(run, command):
    Path("torch.csv").write_text("lr\n0.1\n0.1\n0.1\n")
    params = {"total_num_steps": 100, "warmup_max_lr": 0.1, "warmup_num_steps": 10}
    Path("ds_config.json").write_text(json.dumps({"scheduler": {"type": "WarmupDecayLR", "params": params}}))
    found = list(examples(run, command))
    assert len(found) >= 2
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for text, status in found:
        assert text.startswith("lrcore ")
        done = subprocess.run(
            ["bash", "-c", text], capture_output=True, text=True, check=False, env=environment, timeout=60
        )
        assert done.returncode == status, f"{text}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        if status == 0 and command not in ("replan", "convert"):
            assert done.stderr == "", text


def test_the_help_names_what_there_is(run):
    text = help_of(run, "")
    for command in COMMANDS:
        assert re.search(rf"^    {command} ", text, re.MULTILINE)
    names = help_of(run, "table")
    for name in lr.__all__:
        item = getattr(lr, name)
        is_node = isinstance(item, type) and issubclass(item, lr.Schedule) and item is not lr.Schedule
        if is_node or getattr(item, "__module__", "") == "lrcore.recipes":
            assert re.search(rf"\b{name}\b", names), name
    assert all(f" .{name}" in names for name in expression.METHODS)


def test_each_command_has_its_help(run):
    for command in COMMANDS[:7]:
        assert "SCHEDULE is one of:" in help_of(run, command)
    for command in ("lint", "diff"):
        assert re.search(r"Exit status: 0 .*, 1 .*, 2 error", help_of(run, command))


def test_version(run):
    for option in ("-V", "--version"):
        assert run(option) == (0, f"lrcore {lr.__version__}\n", "")


def test_help_imports_next_to_nothing():
    """What a user waits for is Python itself and argparse."""
    for arguments in (["--help"], ["table", "--help"], ["lint", "-h"], ["--version"], ["tabel"], ["table"]):
        code = PROLOGUE.format(arguments=arguments) + "print(*sorted(sys.modules), file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        loaded = set(done.stderr.splitlines()[-1].split())
        assert {name for name in loaded if name.startswith("lrcore")} == {"lrcore", "lrcore.cli"}
        assert not {"numpy", "json", "dataclasses", "asyncio", "traceback"} & loaded


def test_a_command_imports_what_it_needs():
    code = PROLOGUE.format(arguments=["table", "Cosine(1, 0, 10)", "-o", "lr.npy"])
    code += "print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"matplotlib", "plotly", "plotext", "rich", "shtab", "yaml", "tomli_w", "tqdm", "pyarrow", "safetensors"}
    assert "lrcore.tables" in done.stderr.split()
    ours = {"lrcore.plotting", "lrcore.linting", "lrcore.insight", "lrcore.comparison", "lrcore.demo", "lrcore.spec"}
    assert not (heavy | ours) & set(done.stderr.split())


def test_the_demo_reads_its_own_arguments(capfd):
    for arguments, status, expected in ((["--help"], 0, "usage: lrcore demo"), (["--no-such-option"], 2, "")):
        with pytest.raises(SystemExit) as left:
            main(["demo", *arguments])
        assert left.value.code == status
        assert expected in capfd.readouterr().out


def test_no_abbreviations(fails):
    """What an abbreviation means may change with the next option."""
    assert "unrecognized arguments: --dty" in fails("table", "Constant(1)", "-n", "5", "-o", "lr.npy", "--dty=float32")


# --- Streams that break


def piped_to(command, *arguments):
    line = f"set -o pipefail; {sys.executable} -m lrcore.cli {shlex.join(arguments)} | {command}"
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [("--help",), ("show", "Cosine(1, 0, 10)"), ("completion", "bash")])
def test_a_closed_pipe_is_quiet(arguments):
    done = piped_to("true", *arguments)
    assert (done.returncode, done.stderr) in ((141, ""), (0, ""))  # 0: all fitted into the pipe before it was closed


def test_a_pipe_that_is_closed_before():
    line = f"{sys.executable} -m lrcore.cli show 'Cosine(1, 0, 10)'; echo $? >&2"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(["bash", "-c", line], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == "141\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_is_one_line():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "lrcore.cli", "show", "Cosine(1, 0, 10)"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "lrcore show: No space left on device\n")


def test_closed_streams():
    for closed in ("<&-", ">&-", "<&- >&-", "2>&-"):
        line = f"{sys.executable} -m lrcore.cli show 'Cosine(1, 0, 10)' {closed}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), closed
    line = f"{sys.executable} -m lrcore.cli show - <&-"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "lrcore show: -: standard input is closed\n")


def test_a_terminal_without_the_characters(installed):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = installed("plot", "Cosine(1, 0, 10)", env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_of_ours_is_no_finding(run, monkeypatch):
    """A traceback helps to mend it, but status 1 would tell a pipeline that lint found something."""
    from lrcore import _commands

    monkeypatch.setitem(_commands.COMMANDS, "lint", lambda _: {}["nothing"])
    status, output, errors = run("lint", "Constant(1)")
    assert (status, output) == (2, "")
    assert errors.endswith("KeyError: 'nothing'\n")


# --- Completion


def test_the_bash_script_completes(installed):
    script = installed("completion", "bash").stdout
    Path("lrcore.bash").write_text(script)
    subprocess.run(["bash", "-n", "lrcore.bash"], check=True)
    name = re.search(r"^complete .*-F (\w+) lrcore$", script, re.MULTILINE)[1]

    def offered(*words):
        """What bash would offer for the last word."""
        listed = " ".join(map(shlex.quote, words))
        code = (
            f"source ./lrcore.bash; COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; "
            f'{name} lrcore {shlex.quote(words[-1])}; printf "%s\\n" "${{COMPREPLY[@]}}"'
        )
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    assert offered("lrcore", "") >= set(COMMANDS)
    assert offered("lrcore", "sc") == {"schema"}
    assert {"--total-steps", "--steps-per-epoch", "--only"} <= offered("lrcore", "lint", "--")
    assert offered("lrcore", "replan", "--keep", "") == {"value", "position", "shape"}
    assert "--total-steps" not in offered("lrcore", "show", "--")
    Path("run.yaml").touch()
    assert "run.yaml" in offered("lrcore", "explain", "r")


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef lrcore"), ("tcsh", "complete lrcore")])
def test_other_shells_have_theirs(run, shell, mark):
    status, output, errors = run("completion", shell)
    assert (status, errors) == (0, "")
    assert mark in output
    assert "steps-per-epoch" in output


def test_completion_without_shtab(fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert fails("completion", "bash") == "lrcore completion: completion needs shtab: pip install 'lrcore[cli]'"
    assert "argument SHELL: invalid choice: 'ksh'" in fails("completion", "ksh")
