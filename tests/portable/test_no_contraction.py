"""What must not stand in the machine code of the engine: instructions that give other bits than its C says.

That it calls nothing of libm is a test of the wheel (tests/package).
"""

import shutil
import subprocess
from pathlib import Path

import pytest

import lrcore
from lrcore import _engine

pytestmark = pytest.mark.skipif(not (shutil.which("objdump") and shutil.which("nm")), reason="needs binutils")

ENGINE = Path(_engine.__file__)
# Of x86-64 and of aarch64.
FUSED = ("vfmadd", "vfmsub", "vfnmadd", "vfnmsub", "fmadd", "fmsub", "fnmadd", "fnmsub", "fmla", "fmls")
APPROXIMATE = ("rcp", "rsqrt", "vrcp", "vrsqrt", "frecp", "frsqrt")
MULTIPLIED = ("mul", "vmul", "fmul")
CLONES = ("arch_x86_64_v4", "arch_x86_64_v3", "default")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def instructions():
    """The names of all instructions of the engine."""
    lines = output("objdump", "--disassemble", "--no-show-raw-insn", str(ENGINE)).splitlines()
    return {line.split("\t")[1].split()[0] for line in lines if line.count("\t") == 1 and line.split("\t")[1]}


@pytest.fixture(scope="module")
def functions():
    """The names of all functions of the engine."""
    return {line.split()[-1] for line in output("nm", str(ENGINE)).splitlines()}


def test_the_instructions_are_read(instructions):
    assert any(name.startswith(MULTIPLIED) for name in instructions)


def test_no_product_is_fused_with_a_sum(instructions):
    assert not {name for name in instructions if name.startswith(FUSED)}


def test_no_quotient_or_root_is_an_estimate(instructions):
    assert not {name for name in instructions if name.startswith(APPROXIMATE)}


@pytest.mark.skipif(not lrcore.build_info()["clones"], reason="built without clones")
def test_each_loop_has_all_its_clones(functions):
    loops = {name.removesuffix(".resolver") for name in functions if name.endswith(".resolver")}
    assert {"lr_cosine_run_init", "lr_cosine_each"} <= loops
    assert {f"{loop}.{clone}" for loop in loops for clone in CLONES} <= functions
