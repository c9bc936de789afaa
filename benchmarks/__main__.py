"""`python -m benchmarks`: what a post costs, end to end."""

import sys

from benchmarks.end_to_end import main

sys.exit(main())
