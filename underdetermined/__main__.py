"""Run the command line as ``python -m underdetermined``."""

import sys

from underdetermined.cli import main

if __name__ == "__main__":
    sys.exit(main())
