"""Packages that a user may lack: their tests are left out then, but never in CI."""

import importlib.util
import os

import pytest


def required(name):
    """Without the package the tests of a module are skipped, and in CI fail; it is not imported here."""
    if importlib.util.find_spec(name) is None:
        missing = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing, allow_module_level=True)
