"""Keras takes its backend when it is first imported, which the tests of this folder do."""

import importlib.util
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # tables that tests share stand beside them
os.environ["KERAS_BACKEND"] = "torch"

# Scripts that tests run in processes of their own: to look for doctests there would import every framework.
collect_ignore_glob = ["in_*.py"]
# Backends that no test needs; those that are installed are tested.
if not any(importlib.util.find_spec(name) for name in ("jax", "tensorflow")):
    collect_ignore = ["test_keras_schedule.py"]
