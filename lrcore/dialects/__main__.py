"""`python -m lrcore.dialects docs/dialects.md` writes the page of all dialects."""

import sys

from lrcore.dialects._page import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
