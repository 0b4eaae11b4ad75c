"""What the tests of the command share: a folder of their own, and the command, in this process or in its own."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lrcore.cli import main


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def handlers():
    """The command takes over SIGTERM, which tests have to give back."""
    kept = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, kept)


def status_of(arguments):
    try:
        return main(arguments)
    except SystemExit as left:  # argparse leaves by itself
        return left.code


@pytest.fixture
def run(capsys):
    """Runs the command in this process: gives its exit status, and what it printed to each stream."""

    def run(*arguments):
        capsys.readouterr()
        return (status_of(arguments), *capsys.readouterr())

    return run


@pytest.fixture
def fails(run):
    """Runs the command, which has to fail as a user may expect: one line, status 2, nothing written."""

    def fails(*arguments):
        before = set(Path().iterdir())
        status, output, errors = run(*arguments)
        assert (status, output) == (2, ""), errors
        assert errors.count("\n") == 1
        assert errors.endswith("\n")
        assert set(Path().iterdir()) == before
        return errors.rstrip()

    return fails


@pytest.fixture
def piped(monkeypatch):
    """Puts a text into standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def installed():
    """Runs the installed command in a process of its own."""

    def installed(*arguments, **options):
        command = [str(Path(sys.executable).with_name("lrcore")), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)

    return installed


@pytest.fixture
def on_a_terminal():
    """Runs the command on a terminal: gives its exit status, and all that is seen there."""
    pty = pytest.importorskip("pty")

    def on_a_terminal(*arguments, command=(sys.executable, "-m", "lrcore.cli"), **environment):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", **environment}
        process = subprocess.Popen([*command, *arguments], stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while more := os.read(ours, 1 << 16):
                output += more
        os.close(ours)
        return process.wait(timeout=60), output.decode()

    return on_a_terminal
