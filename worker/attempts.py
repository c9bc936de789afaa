"""How often owners of a partition began with its next records: the note beside its offset.

Who gains a partition writes `attempts = n + 1` there before it works on a record, and the first
commit of outcomes takes the note away. So an owner that died of a record is counted, on whatever
host the next one is; docs/decisions/0032 says what follows from that, and what does not.
"""

import re
from typing import Final

SUSPICIOUS: Final = 2
"""So many owners began and did not come to a commit: one of the next records may have ended them.

One may have been killed by anything. Whatever the number, it convicts no record.
"""

ATTEMPTS_MAX: Final = 99
"""More than that tells nothing more."""

_NOTE: Final = re.compile(r"attempts=(\d{1,2})")


def note_of(attempts: int) -> str:
    """Write a number of attempts as the metadata of an offset."""
    return f"attempts={min(attempts, ATTEMPTS_MAX)}"


def attempts_in(note: str) -> int:
    """Read it; 0 where the note is anything else, or none."""
    found = _NOTE.fullmatch(note)
    return int(found[1]) if found else 0
