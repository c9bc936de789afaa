"""`python -m tests.chaos` runs every scenario."""

import sys

from tests.chaos.run import main

sys.exit(main(sys.argv[1:]))
