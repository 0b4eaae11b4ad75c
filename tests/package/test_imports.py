"""Imports run one way, and `import lrcore` loads no framework."""

import ast
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

import lrcore

ROOT = Path(__file__).parents[2]

# A module imports only from lower ranks. A new module is one row here.
RANKS = {
    "_check": 0,
    "_engine": 0,
    "_rows": 1,
    "_origin": 1,
    "_filling": 1,
    "_replace": 0,
    "__init__": 0,
    "_record": 1,
    "_tablefiles": 2,
    "durations": 1,
    "schedule": 2,
    "late": 3,
    "plateau": 3,
    "smoothing": 1,
    "curves": 3,
    "decays": 3,
    "cycles": 3,
    "compose": 4,
    "functions": 3,
    "recipes": 5,
    "binding": 5,
    "_progress": 0,
    "tables": 5,
    "groups": 1,
    "_verdicts": 0,
    "_advice": 1,
    "_measured": 1,
    "monitor": 2,
    "_curvefeatures": 1,
    "_published": 2,
    "_rangetest": 4,
    "finder": 8,
    "_finderplot": 9,
    "_pieces": 4,
    "_anatomy": 5,
    "_phases": 5,
    "replanning": 6,
    "_traces": 5,
    "_causes": 6,
    "comparison": 7,
    "_findings": 1,
    "_survey": 6,
    "insight": 7,
    "_facts": 7,
    "_rules": 8,
    "linting": 9,
    "expression": 6,
    "_specfiles": 1,
    "_specschema": 7,
    "_specreader": 8,
    "spec": 9,
    "_articles": 6,
    "_sampling": 3,
    "_drawing": 6,
    "plotting": 7,
    "_page_parts": 0,
    "_page": 10,
    "_operations": 0,
    "_closedcurves": 2,
    "_closedform": 3,
    "tracing": 4,
    "_livecopies": 0,
    "_livetorch": 7,
    "_livesubjects": 8,
    "adoption": 9,
    "_demo_training": 7,
    "_demo_pictures": 8,
    "_arguments": 10,
    "_commands": 11,
    "demo": 9,
    "cli": 12,
    "__main__": 13,
}
DIALECTS = 6  # all of lrcore.dialects
# Functions that build what stands above them import it when they are called.
LATE = {
    "schedule": {"binding", "compose", "curves", "plotting", "recipes", "replanning", "spec", "tables"},
    "_origin": {"dialects"},
    "late": {"binding", "recipes"},
    "curves": {"compose"},
    "tables": {"expression"},
    "plotting": {"_page"},
    "finder": {"_finderplot"},
}
# The demo trains in the frameworks, so it stands above the bindings. They are imported where they train.
ABOVE_BINDINGS = {"_demo_training"}
# The framework of each binding, a module or a folder: all that it may import beside lrcore and numpy.
BINDINGS = {
    "__init__": "",
    "tf1": "tensorflow",
    "torch": "torch",
    "keras": "keras",
    "jax": "jax optax",
    "optax": "optax jax",
}
# A helper for a framework that stands upon another may import that one too, where it is called: who has not installed
# it can still import the helper. The others are given the framework's objects, and import nothing.
GUESTS = {
    "torch/finder.py": {"tqdm"},
    "torch/ignite.py": {"ignite"},
    "keras/_foreach.py": {"torch"},
    "keras/_snapshot.py": {"tensorflow", "torch"},
    "keras/_tensorflow.py": {"tensorflow"},
    "keras/_torch.py": {"torch"},
}
# Imported where they are used, never with lrcore.
HEAVY = {
    "IPython",
    "accelerate",
    "ignite",
    "jax",
    "keras",
    "lightning",
    "matplotlib",
    "numba",
    "optax",
    "pandas",
    "plotext",
    "plotly",
    "pyarrow",
    "pytest",
    "safetensors",
    "scipy",
    "sklearn",
    "tensorflow",
    "torch",
    "tqdm",
    "transformers",
    "yaml",
    "tomli_w",
}


class Import(NamedTuple):
    """One imported module, by its dotted name."""

    name: str
    line: int


def is_for_types_only(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def walk(node, into_functions):
    """Walk the statements that run when the module is imported, or those within its functions as well."""
    for child in ast.iter_child_nodes(node):
        if is_for_types_only(child):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not into_functions:
            continue
        yield child
        yield from walk(child, into_functions)


def imports(path, into_functions=False):
    for node in walk(ast.parse(path.read_text()), into_functions):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute"
            yield from (Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def room(name):
    """The module of lrcore that a dotted import reaches, or None for another package."""
    parts = name.split(".")
    if parts[0] != "lrcore":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in {*RANKS, "bindings", "dialects"} else "__init__"


def modules(folder):
    return sorted((ROOT / folder).glob("*.py"))


def test_every_module_has_a_rank():
    assert {path.stem for path in modules("lrcore")} | {"_engine"} == set(RANKS)


def binding_modules():
    return sorted((ROOT / "bindings").rglob("*.py"))


def binding(path):
    """The binding that a module belongs to."""
    return path.relative_to(ROOT / "bindings").parts[0].removesuffix(".py")


def test_every_binding_has_a_framework():
    assert {binding(path) for path in binding_modules()} == set(BINDINGS)


def upward(path, into_functions):
    """The modules of lrcore that this one imports without standing above them."""
    reached = {room(name) for name, _ in imports(path, into_functions)} - {None, "bindings"}
    return {name for name in reached if rank(name) >= RANKS[path.stem]}


def rank(name):
    return DIALECTS if name == "dialects" else RANKS[name]


@pytest.mark.parametrize("path", modules("lrcore/dialects"), ids=lambda path: path.stem)
def test_a_dialect_only_composes(path):
    """It imports what stands below it, and what dialects share; and no framework."""
    for name, line in imports(path, into_functions=False):
        reached = room(name)
        shared = name.startswith("lrcore.dialects._")
        assert shared or reached is None or rank(reached) < DIALECTS, f"{path.name}:{line}: {name}"
        assert name.split(".")[0] not in HEAVY, f"{path.name}:{line}: {name}"


@pytest.mark.parametrize("path", modules("lrcore"), ids=lambda path: path.stem)
def test_lrcore_imports_only_from_below(path):
    assert not upward(path, into_functions=False)


@pytest.mark.parametrize("path", modules("lrcore"), ids=lambda path: path.stem)
def test_late_imports_from_above_are_the_declared_ones(path):
    assert upward(path, into_functions=True) == LATE.get(path.stem, set())


@pytest.mark.parametrize("path", modules("lrcore"), ids=lambda path: path.stem)
def test_lrcore_never_imports_bindings_or_bench(path):
    reached = {room(name) or name.split(".")[0] for name, _ in imports(path, into_functions=True)}
    assert "bench" not in reached
    assert ("bindings" in reached) == (path.stem in ABOVE_BINDINGS)
    assert "bindings" not in {room(name) for name, _ in imports(path)}


@pytest.mark.parametrize("path", modules("lrcore"), ids=lambda path: path.stem)
def test_lrcore_imports_the_standard_library_and_numpy(path):
    allowed = sys.stdlib_module_names | {"numpy", "lrcore"}
    for name, line in imports(path):
        assert name.split(".")[0] in allowed, f"{path.name}:{line} imports {name}"


@pytest.mark.parametrize("path", binding_modules(), ids=lambda path: str(path.relative_to(ROOT / "bindings")))
def test_a_binding_imports_lrcore_and_its_framework(path):
    allowed = sys.stdlib_module_names | {"numpy", "lrcore", *BINDINGS[binding(path)].split()}
    guests = GUESTS.get(path.relative_to(ROOT / "bindings").as_posix(), set())
    own = f"lrcore.bindings.{binding(path)}."
    for name, line in imports(path):
        assert name.split(".")[0] in allowed, f"{path.name}:{line} imports {name}"
    for name, line in imports(path, into_functions=True):
        assert name.split(".")[0] in allowed | guests, f"{path.name}:{line} imports {name}"
        assert room(name) != "bindings" or name.startswith(own), f"{path.name}:{line} imports another binding"


def test_the_engine_imports_nothing_of_lrcore():
    text = (ROOT / "lrcore" / "_engine.pyx").read_text()
    found = re.findall(r"^\s*(?:from|import|cimport)\s+(\w+)", text, re.MULTILINE)
    assert found
    assert not {"lrcore", "bindings", "numpy"} & set(found)


def other_tests():
    return [path for path in sorted((ROOT / "tests").rglob("*.py")) if path.parent.name != "bench"]


@pytest.mark.parametrize("path", other_tests(), ids=lambda path: path.stem)
def test_only_its_own_tests_import_bench(path):
    assert "bench" not in {name.split(".")[0] for name, _ in imports(path, into_functions=True)}


def loaded_by(statement):
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


EVERYTHING = "from lrcore import *"


def test_import_lrcore_alone_loads_no_module_of_its_own():
    """So `lrcore --help` answers before numpy would be there."""
    assert not {name for name in loaded_by("import lrcore") if name.startswith(("lrcore.", "numpy"))}


def test_the_stub_of_the_package_names_what_it_exports():
    stub = ast.parse((ROOT / "lrcore/__init__.pyi").read_text())
    stubbed = {
        alias.name: node.module.removeprefix("lrcore.")
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = set(lrcore._MODULES) - {"bindings"}  # which lie elsewhere in the repository, where no checker finds them
    assert stubbed == lrcore._HOME_OF | dict.fromkeys(modules, "lrcore")


@pytest.mark.parametrize(
    "name",
    [
        "dialects.table",
        "dialects.parse",
        "dialects.torch.StepLR",
        "finder.suggest",
        "groups.ByName",
        "bindings.torch.Scheduler",
    ],
)
def test_what_is_used_by_the_name_of_its_module_needs_no_import_of_it(name):
    """As the documentation spells it."""
    first = name.split(".")[0]
    loaded = loaded_by(f"import lrcore; lrcore.{name}; assert {first!r} in dir(lrcore)")
    assert f"lrcore.{first}" in loaded


@pytest.mark.parametrize("package", ["lrcore", "lrcore.dialects", "lrcore.bindings"])
def test_no_module_by_a_name_that_is_none(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'torhc'"):
        _ = import_module(package).torhc


def test_type_checkers_know_the_dialects():
    stubbed = re.findall(r"^        (\w+) as \1,$", (ROOT / "lrcore/dialects/__init__.py").read_text(), re.MULTILINE)
    assert stubbed == [path.stem for path in modules("lrcore/dialects") if not path.stem.startswith("_")]


def test_import_lrcore_loads_no_framework():
    loaded = loaded_by(EVERYTHING)
    assert "lrcore._engine" in loaded
    assert not HEAVY & loaded
    assert "lrcore.bindings" not in loaded


def test_import_lrcore_loads_itself_and_numpy():
    tops = {name.split(".")[0] for name in loaded_by(EVERYTHING) - loaded_by("pass")}
    packages = {name for name in tops if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert packages == {"lrcore", "numpy", "cython_runtime"}
