"""What a new schedule needs beside its class or function: a test here fails when one of these is forgotten.

Its row in the table of cases, its golden hash and the case of its kernel are held by test_curves.py, test_golden.py and
engine/test_program.py.
"""

import ast
import inspect
from pathlib import Path

import pytest

import lrcore as lr
from lrcore import _engine, compose, curves, cycles, decays, functions, recipes

ROOT = Path(__file__).parents[1]
NODES = [
    name for name in lr.__all__ if inspect.isclass(getattr(lr, name)) and issubclass(getattr(lr, name), lr.Schedule)
]
RECIPES = [name for name in lr.__all__ if getattr(getattr(lr, name), "__module__", "") == "lrcore.recipes"]


def public(module, kind):
    return {
        name
        for name, item in vars(module).items()
        if kind(item) and item.__module__ == module.__name__ and not name.startswith("_")
    }


def test_every_node_and_recipe_is_exported():
    nodes = {
        name for module in (curves, decays, compose, cycles, functions) for name in public(module, inspect.isclass)
    }
    assert nodes | {"Schedule"} == set(NODES)
    assert public(recipes, inspect.isfunction) == set(RECIPES)


@pytest.mark.parametrize("name", [name for name in lr.__all__ if not name.endswith(("Warning", "Error"))])
def test_everything_public_has_an_example(name):
    assert "Example:\n" in inspect.getdoc(getattr(lr, name))
    assert ">>> " in inspect.getdoc(getattr(lr, name))


@pytest.mark.parametrize("name", [*NODES, *RECIPES, "Plateau"])
def test_a_docstring_names_what_it_takes_and_refuses(name):
    """One line, the formula or the phases, every argument by its name, and what raises."""
    if name == "Schedule":
        return
    item = getattr(lr, name)
    text = inspect.getdoc(item)
    assert text.splitlines()[0].endswith(".")
    assert text.splitlines()[1] == ""
    for section in ("Args:\n", "Raises:\n"):
        assert section in text
    arguments = text.split("Args:\n")[1].split("Raises:\n")[0]
    for parameter in inspect.signature(item).parameters:
        assert f"    {parameter}: " in arguments


@pytest.mark.parametrize("name", [*NODES, *RECIPES])
def test_the_readme_names_it(name):
    assert f"`{name}`" in (ROOT / "README.md").read_text() or name == "Schedule"


def test_the_stub_has_what_the_engine_has():
    stub = ast.parse((ROOT / "lrcore/_engine.pyi").read_text())
    stubbed = {item.name for item in stub.body if isinstance(item, ast.ClassDef | ast.FunctionDef)}
    stubbed |= {item.target.id for item in stub.body if isinstance(item, ast.AnnAssign)}
    typing_only = {"BuildInfo"}
    engine = {name for name in vars(_engine) if not name.startswith("_")}
    assert stubbed - typing_only == engine
    methods = {
        method.name
        for item in stub.body
        if isinstance(item, ast.ClassDef) and item.name == "Program"
        for method in item.body
    }
    assert methods - {"__init__"} == {name for name in vars(_engine.Program) if not name.startswith("_")}
