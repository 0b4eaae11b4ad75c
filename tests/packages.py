"""Packages that a user may lack: their tests are left out then, but never in CI."""

import importlib
import importlib.util
import os
import sys

import pytest

NEWER_PYTHON = {"flax", "orbax"}  # of those in the test extra, which have dropped Python 3.10


def required(name):
    """Without the package the tests of a module are skipped, and in CI fail; it is not imported here."""
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is not None:
        return
    missing = f"{package} is not installed"
    if os.environ.get("CI") and not (package in NEWER_PYTHON and sys.version_info < (3, 11)):
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing, allow_module_level=True)


def imported(name):
    """The module, as `required` has it."""
    required(name)
    return importlib.import_module(name)
