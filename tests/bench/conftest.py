"""The benchmarks are not installed. Behind all else on the path, so that what is installed is what is measured."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
