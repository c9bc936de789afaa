"""What the exit code of a worker means, and the one line that goes with a refusal."""

import sys
from typing import Final

STOPPED: Final = 0
FAILED: Final = 1
REFUSED: Final = 2
"""It was not begun, or ends because another process has its slot; a new start changes nothing."""
HUNG: Final = 3
"""A call to Kafka never came back; start it again."""


def refuse(why: str) -> int:
    """Say in one line on stderr why nothing was begun, whatever the logs look like."""
    print(f"tuwen worker: {why}", file=sys.stderr, flush=True)  # noqa: T201 - the last word.
    return REFUSED
