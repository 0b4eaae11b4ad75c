"""What the tests of tables share: the three formats, and a table of each."""

import subprocess
import sys
import textwrap

import pytest

import lrcore as lr

SUFFIXES = [".npy", ".safetensors", ".parquet"]


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    return request.param


@pytest.fixture(params=[".npy", ".safetensors"])
def mapped_suffix(request):
    return request.param


@pytest.fixture
def schedule():
    return lr.warmup_cosine(0.1, 0.001, warmup_steps=100, steps=10_000)


@pytest.fixture
def python():
    """Starts a script in a process of its own."""
    started = []

    def start(script, *arguments, prefix=()):
        command = [*prefix, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
