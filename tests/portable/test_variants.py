"""The golden tables, by the engine's C built for each level of x86-64 that this processor runs.

AVX-512 (x86-64-v4) is among them where the processor has it. Elsewhere `make portable` runs it on an emulated one,
and aarch64 too.
"""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import lrcore
from portable import export

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or shutil.which("gcc") is None, reason="needs Linux and gcc"
)

HERE = Path(__file__).parent
LEVELS = ["default", "x86-64-v3", "x86-64-v4"]
ONE_CLONE = "-DLRCORE_NO_FMV"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("portable")
    export.write(folder)
    return folder


def tables(folder, *options):
    """What main.c prints when it is built with these options after those of setup.py."""
    program = folder / "program"
    includes = [f"-I{place}" for place in (folder, HERE, export.ROOT / "lrcore")]
    command = ["gcc", *export.flags(), *includes, *options, str(HERE / "main.c"), "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    _clone, *lines = done.stdout.splitlines()
    return lines


def needs(level):
    active = lrcore.build_info()["active"]
    if active not in LEVELS or LEVELS.index(active) < LEVELS.index(level):
        pytest.skip(f"this processor does not run {level}, or the engine has no clones to tell")


def test_without_vector_instructions(folder):
    assert tables(folder, ONE_CLONE, "-O1") == export.expected()


@pytest.mark.parametrize("level", LEVELS)
def test_built_for_a_level(folder, level):
    needs(level)
    march = level.replace("default", "x86-64")
    assert tables(folder, ONE_CLONE, f"-march={march}") == export.expected()


def test_the_golden_tables_would_show_a_contraction(folder):
    needs("x86-64-v3")
    contracted = tables(folder, ONE_CLONE, "-march=x86-64-v3", "-ffp-contract=fast")
    assert contracted != export.expected()
