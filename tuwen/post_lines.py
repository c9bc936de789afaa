"""A stream of bytes to posts, a line each: batches of whatever has arrived, up to a bound."""

from collections.abc import Callable, Iterator
from typing import Final

from schemas.reasons import Reason
from tuwen.classification import record
from worker.decode import decode
from worker.messages import Partition, Read, Reject

CHUNK_BYTES: Final = 1 << 16


def batches(
    chunks: Callable[[], bytes], name: str, posts_max: int, line_bytes_max: int
) -> Iterator[list[Read | Reject]]:
    """Posts by the number of their line, from 1; blank lines are none. A bad line is a reject.

    `chunks` gives what there is, and nothing at the end. Memory is bounded by a line's bound.
    """
    source = Partition(name, 0)
    number = 0
    for arrived in _lines(chunks, line_bytes_max):
        numbered = list(enumerate(arrived, start=number + 1))
        number += len(arrived)
        held = [(place, line) for place, line in numbered if line.strip()]
        for start in range(0, len(held), posts_max):
            yield [
                _read(line, source, place, line_bytes_max)
                for place, line in held[start : start + posts_max]
            ]


def _read(line: bytes, source: Partition, number: int, bytes_max: int) -> Read | Reject:
    if len(line) > bytes_max:
        detail = f"the line is longer than {bytes_max} bytes"
        return Reject(record(b"", source, number), Reason.OUT_OF_RANGE, detail)
    return decode(record(line, source, number))


def _lines(chunks: Callable[[], bytes], bytes_max: int) -> Iterator[list[bytes]]:
    """Whole lines as they arrive, some at a time; of one that is too long no more is kept."""
    begun: list[bytes] = []
    size = 0
    while chunk := chunks():
        *whole, rest = chunk.split(b"\n")
        if whole:
            whole[0] = b"".join((*begun, whole[0]))
            begun, size = [], 0
            yield whole
        # The piece that passes the bound is kept, so that the line is seen to be too long.
        if size <= bytes_max:
            begun.append(rest)
        size += len(rest)
    if size:
        yield [b"".join(begun)]
