"""`python -m digitcore`."""

import sys

from digitcore.serving.cli import main

if __name__ == "__main__":
    sys.exit(main())
