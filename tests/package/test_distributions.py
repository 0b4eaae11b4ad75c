"""What the wheel and the sdist hold, and that the wheel works without the source tree."""

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
LIBM = set(b"cos sin tan exp exp2 expm1 log log2 log10 log1p pow fma fmod".split())
SOURCES = {".c", ".pyx", ".pxd", ".h", ".cpp"}


def suffixes(names):
    return {PurePosixPath(name).suffix for name in names}


def files(folder, pattern):
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob(pattern)}


def below(names, folder):
    return {name for name in names if name.startswith(f"{folder}/")}


def python(installed, code):
    """Run code against the unpacked wheel: before the editable install, and away from the source tree."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wheel_holds_every_module_its_types_and_the_engine(wheel):
    expected = (
        files("lrcore", "**/*.py") | files("lrcore", "**/*.pyi") | files("lrcore", "**/*.json") | {"lrcore/py.typed"}
    )
    expected |= {f"lrcore/{name}" for name in files("bindings", "**/*.py")}
    engine = {name for name in wheel.names if name.startswith("lrcore/_engine.") and name.endswith((".so", ".pyd"))}
    assert len(engine) == 1
    assert below(wheel.names, "lrcore") == expected | engine


def test_the_wheel_holds_no_source_of_the_engine(wheel):
    assert not suffixes(wheel.names) & SOURCES


def test_the_wheel_installs_one_top_level_package(wheel):
    tops = {name.split("/")[0] for name in wheel.names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lrcore"}


def test_the_wheel_carries_the_license(wheel):
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.names)


def engine_bytes(installed):
    (engine,) = (installed / "lrcore").glob("_engine.*[od]")
    return engine.read_bytes()


def test_the_engine_has_no_debug_sections(installed):
    """Many interpreters pass -g on; that is three quarters of the file."""
    assert b".debug_info" not in engine_bytes(installed)


def test_the_engine_calls_no_function_of_libm(installed):
    """Its results differ from machine to machine. A symbol stands in the file between two zero bytes."""
    symbols = set(engine_bytes(installed).split(b"\0"))
    assert b"PyInit__engine" in symbols
    assert not symbols & LIBM


@pytest.mark.parametrize("folder", ["lrcore", "bindings", "tests", "bench", "examples"])
def test_the_sdist_holds_the_sources(sdist, folder):
    sources = set()
    for pattern in ["**/*.py", "**/*.pyi", "**/*.json", "**/*.pyx", "**/*.h", "**/py.typed"]:
        sources |= files(folder, pattern)
    assert sources <= sdist.names


def test_the_sdist_holds_what_a_checkout_needs(sdist):
    needed = {
        ".ci/run",
        ".pre-commit-config.yaml",
        "CHANGELOG.md",
        "LICENSE",
        "MANIFEST.in",
        "Makefile",
        "README.md",
        "constraints.txt",
        "pyproject.toml",
        "setup.py",
    }
    assert needed <= sdist.names


def test_the_sdist_holds_nothing_that_was_built(sdist):
    assert not suffixes(sdist.names) & {".so", ".pyd", ".pyc"}
    assert not {name for name in sdist.names if name.startswith(("lrcore/", "build/")) and name.endswith(".c")}


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_tree(wheel, wheel_of_sdist):
    assert wheel_of_sdist.names == wheel.names


def test_the_unpacked_wheel_imports_and_computes(installed):
    code = "import lrcore; print(lrcore.__file__); print(lrcore.Linear(0.0, 1.0, 4)(1))"
    where, value = python(installed, code).splitlines()
    assert Path(where).parent == installed / "lrcore"
    assert value == "0.25"


def test_the_bindings_of_the_unpacked_wheel_import_as_part_of_lrcore(installed):
    where = python(installed, "import lrcore.bindings; print(lrcore.bindings.__file__)")
    assert Path(where).parent == installed / "lrcore" / "bindings"


def test_the_version_is_written_twice_and_the_same(installed):
    (metadata,) = installed.glob("*.dist-info/METADATA")
    version = python(installed, "import lrcore; print(lrcore.__version__)")
    assert f"\nVersion: {version}\n" in metadata.read_text()


def test_the_command_of_the_unpacked_wheel_is_there(installed):
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "lrcore = lrcore.cli:main" in entry_points.read_text()
    assert python(installed, "from lrcore.cli import main; print(callable(main))") == "True"
