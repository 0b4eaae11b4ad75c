"""`python -m lrcore` is the command `lrcore`."""

import sys

from lrcore.cli import main

if __name__ == "__main__":
    sys.exit(main())
