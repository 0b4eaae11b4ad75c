"""timm's schedulers without the rest of timm, whose package imports torchvision."""

import importlib
import importlib.util
import sys
from types import ModuleType


def load():
    """The package timm.scheduler, under a parent that is empty and gone afterwards."""
    found = importlib.util.find_spec("timm")
    if found is None:
        raise ImportError("timm is not installed")
    before = {name for name in sys.modules if name.partition(".")[0] == "timm"}
    if not before:
        parent = ModuleType("timm")
        parent.__path__, parent.__spec__ = list(found.submodule_search_locations), found
        sys.modules["timm"] = parent
    try:
        return importlib.import_module("timm.scheduler")
    finally:
        for name in {name for name in sys.modules if name.partition(".")[0] == "timm"} - before:
            del sys.modules[name]
