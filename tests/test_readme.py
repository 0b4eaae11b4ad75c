"""The README: its code does what stands there. The blocks with >>> are run by doctest, all others here.

- What a line prints stands behind it as a comment; "as in: ..." where it is of a training, whose numbers may differ.
- A block of one line that ends in "# instead: ..." is the block before with this line for the one that assigns, or
  imports, the same name, also where a block before that imported it.
- Commands of lrcore end with 0, or with the number that begins their comment.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import lrcore as lr
from packages import required
from processes import answer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
INSTEAD = "  # instead: "


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def name_of(line):
    """What a line assigns or imports."""
    return line.rpartition(" import ")[2] if " import " in line else line.partition(" = ")[0]


def with_instead(block, line):
    """A block with another line, and another output."""
    line, _, printed = line.strip().partition(INSTEAD)
    line = line.strip()
    lines = block.rstrip().splitlines()
    last = f"{lines.pop().partition('  # ')[0]}  # {printed}\n"
    at = [at for at, other in enumerate(lines) if name_of(other.strip()) == name_of(line)]
    if not at:  # a block before this one imports it
        return "\n".join([line, *lines, last])
    indent = lines[at[0]][: len(lines[at[0]]) - len(lines[at[0]].lstrip())]
    return "\n".join([*lines[: at[0]], indent + line, *lines[at[0] + 1 :], last])


def python_blocks():
    """(what is around it, block) of each that doctest does not run."""
    found = []
    for block in blocks("python"):
        if ">>>" in block:
            continue
        if INSTEAD in block:
            around, before = found[-1]
            found.append((around, with_instead(before, block)))
            continue
        code = re.sub("#.*", "", block)
        around = "graph" if "optax" in code else "keras" if re.search("import keras|from keras", code) else "torch"
        found.append((around, block))
    return found


def expected(block):
    return [line.partition("  # ")[2].strip() for line in block.splitlines() if re.match(r" *print\(", line)]


@pytest.mark.parametrize("around", [["torch", "keras"], ["graph"]], ids="-".join)
def test_what_the_code_prints(around, tmp_path, monkeypatch):
    for package in ("sklearn", "torch", "keras") if "torch" in around else ("tensorflow", "optax"):
        required(package)
    monkeypatch.chdir(tmp_path)
    run = {name: [block for of, block in python_blocks() if of == name] for name in around}
    outputs = answer("readme_blocks.py", run, ignored=["DeprecationWarning"])
    compared = 0
    for name in around:
        for block, output in zip(run[name], outputs[name], strict=True):
            for line, printed in zip(expected(block), output.splitlines(), strict=False):
                example = line.startswith("as in: ")
                assert printed == line if not example else without_numbers(line[7:]) in without_numbers(printed)
                compared += 1
    assert compared == {"torch": 5, "graph": 1}[around[0]] + 2 * ("keras" in around)


def without_numbers(text):
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", text).removesuffix("...")


def test_the_commands(tmp_path):
    lr.dump(lr.Linear(1e-6, 3e-4, "2%") >> lr.Cosine(3e-4, 3e-5, "rest"), tmp_path / "plan.yaml")
    (tmp_path / "trace.csv").write_text("0.0001\n" * 100_000)
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("lrcore ")]
    commands += re.findall(r"`(lrcore table [^`]+)`", README)
    assert len(commands) == 6
    for command in commands:
        status = re.search(r"  # (\d+): ", command)
        words = shlex.split(command, comments=True)[1:]
        done = subprocess.run(
            [sys.executable, "-m", "lrcore", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == int(status[1] if status else 0), (command, done.stderr)
    assert {"compare.html", "longer.yaml", "lr.npy"} <= {path.name for path in tmp_path.iterdir()}


def test_the_targets_of_make():
    targets = set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE))
    assert {"demo", "test", "bench"} <= targets
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}: " in makefile for target in targets)


def test_what_it_links_to_and_runs_is_there():
    linked = re.findall(r"\]\(([^)#]+)\)", README)
    run = re.findall(r"`python ([\w/]+\.py)", README)
    assert len(linked) > 10
    assert all((ROOT / path).exists() for path in linked + run)


def test_the_pictures_are_small():
    pictures = list((ROOT / "docs/pictures").glob("*.png"))
    assert {f"docs/pictures/{path.name}" for path in pictures} == set(re.findall(r"docs/pictures/\w+\.png", README))
    assert all(path.stat().st_size < 100_000 for path in pictures)


def test_a_picture_can_be_made_again(tmp_path):
    required("matplotlib")
    script = ROOT / "docs/pictures.py"
    subprocess.run([sys.executable, script, "schedules", "--out", tmp_path], check=True, capture_output=True)
    assert (tmp_path / "schedules.png").stat().st_size > 10_000
