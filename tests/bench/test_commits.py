"""Two commits beside each other, with packages and lines that take no time to build and to run."""

import pytest

from bench import commits

LINE = """
import lrcore

def test_speed(benchmark):
    benchmark.group = f"a line of {lrcore.NAME}"
    benchmark.pedantic(lambda: None, rounds=2)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Two commits that have been built before, and the lines of the later."""
    monkeypatch.setattr(commits, "WORK", tmp_path / "compare")
    monkeypatch.setattr(commits, "SAVED", tmp_path / "saved")
    for name in ("old", "new"):
        package = tmp_path / "compare" / name / "site" / "lrcore"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"NAME = {name!r}")
    lines = tmp_path / "compare" / "new" / "lines"
    (lines / "bench").mkdir(parents=True)
    (lines / "bench" / "pytest.ini").write_text("[pytest]\naddopts = --benchmark-only")
    (lines / "bench" / "test_speed.py").write_text(LINE)
    return lines


def test_each_is_measured_as_it_was_built_and_both_are_shown(work, capfd):
    commits.measured("old", work, [])
    assert "a line of old" in capfd.readouterr().out
    commits.measured("new", work, [f"--benchmark-compare={commits.saved('old')}"])
    shown = capfd.readouterr().out
    assert "a line of new" in shown
    assert "test_speed (NOW)" in shown
    assert "test_speed (0001_old)" in shown


def test_nothing_is_measured_but_what_the_commit_installs(work):
    (commits.WORK / "old" / "site" / "lrcore" / "__init__.py").unlink()
    (commits.WORK / "old" / "site" / "lrcore").rmdir()
    with pytest.raises(RuntimeError, match=r"old: expected lrcore from .*, got it from"):
        commits.measured("old", work, [])


def test_a_commit_without_such_lines_ends_it(work):
    with pytest.raises(SystemExit):
        commits.measured("old", work, ["-k", "nothing"])
    with pytest.raises(ValueError, match="empty"):
        commits.saved("old")
