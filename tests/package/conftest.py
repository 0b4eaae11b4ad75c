"""The distributions that a release would upload, built once a session from a copy of the tree."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a fresh clone does not have.
LEFTOVERS = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".*_cache",
    ".hypothesis",
    "__pycache__",
    "build",
    "dist",
    "out",
    "*.egg-info",
    "*.so",
    "*.pyd",
)


@dataclass(frozen=True)
class Archive:
    """A wheel or an sdist: the file, and its files as paths below the archive's own top."""

    path: Path
    names: frozenset[str]


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def build_wheel(source: Path, to: Path) -> Archive:
    """Build as on a machine without an index."""
    offline = ("--no-index", "--no-build-isolation", "--no-deps")
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(to), ".", cwd=source)
    (path,) = to.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return Archive(path, frozenset(archive.namelist()))


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree") / "checkout"
    shutil.copytree(ROOT, copy, ignore=LEFTOVERS)
    return copy


@pytest.fixture(scope="session")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    to = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(to), ".", cwd=tree)
    (path,) = to.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = [member.name for member in archive.getmembers() if member.isfile()]
    return Archive(path, frozenset(name.split("/", 1)[1] for name in files))


@pytest.fixture(scope="session")
def wheel_of_sdist(sdist: Archive, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    to = tmp_path_factory.mktemp("wheel-of-sdist")
    shutil.unpack_archive(sdist.path, to / "unpacked", filter="data")
    (source,) = (to / "unpacked").iterdir()
    return build_wheel(source, to)


@pytest.fixture(scope="session")
def installed(wheel: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the wheel's content and nothing of the source tree."""
    to = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel.path) as archive:
        archive.extractall(to)
    return to
