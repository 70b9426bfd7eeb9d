"""`python -m digitcore`."""

import sys

from digitcore.serving.cli import main

sys.exit(main())
