"""Packages that a user may lack: their tests are left out then, but never in CI."""

import os

import pytest


def required(name):
    """The package; without it the tests of the module are skipped, and in CI fail."""
    if os.environ.get("CI"):
        return __import__(name)
    return pytest.importorskip(name)
