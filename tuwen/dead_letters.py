"""Read dead letters: which record, why, and what it held."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.dead_letter import Failure, failure, split
from tuwen.failures import Failed, Refused
from tuwen.kafka_client import read_all, reader
from worker.messages import Headers, Record

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FIND_TIMEOUT_MS: Final = 3_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic; `why` is None where its headers are not ours."""

    record: Record
    why: Failure | None
    own_headers: Headers
    """Those of the record that could not be labelled, as they came."""

    @property
    def place(self) -> str:
        """Where it lies, as `dead-letters show` takes it."""
        return f"{self.record.partition.number}:{self.record.offset}"


def read(servers: str, topic: str) -> Iterator[DeadLetter]:
    """Read all dead letters that are there now."""
    for record in read_all(servers, [topic]):
        yield of(record)


def of(record: Record) -> DeadLetter:
    """Read one."""
    return DeadLetter(record, failure(record.headers), split(record.headers)[0])


def find(servers: str, topic: str, place: str) -> DeadLetter:
    """Read the one at PARTITION:OFFSET.

    Raises:
        Refused: `place` is no such thing.
        Failed: there is none.
    """
    found = re.fullmatch(r"(\d+):(\d+)", place)
    if found is None:
        raise Refused(f"{place!r} is no PARTITION:OFFSET: `tuwen dead-letters list` prints them")
    partition, offset = map(int, found.groups())
    with reader(servers, [topic], "beginning") as client:
        chosen = [p for p in client.assignment() if p.partition == partition]
        if chosen and offset < client.end_offsets(chosen)[chosen[0]]:
            client.assign(chosen)
            client.seek(chosen[0], offset)
            for records in client.poll(FIND_TIMEOUT_MS, max_records=1).values():
                if records[0].offset == offset:
                    return of(records[0])
    raise Failed(f"there is no dead letter at {place} of {topic}: `tuwen dead-letters list`")


def seconds(span: str) -> float:
    """Read a span of time such as 90s, 15m, 2h or 7d."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", span)
    if found is None:
        raise Refused(f"{span!r} is no span of time: write 90s, 15m, 2h or 7d")
    return float(found[1]) * UNITS_S[found[2]]


def shown(content: bytes | None) -> str:
    """Write bytes for a terminal: as text where they are printable text, else as hex."""
    if content is None:
        return "null"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return hexed(content)
    return text if all(c.isprintable() or c in "\n\t" for c in text) else hexed(content)


def hexed(content: bytes) -> str:
    """Write bytes as lines of an offset and sixteen pairs."""
    rows = [content[start : start + 16] for start in range(0, len(content), 16)]
    lines = [f"{16 * number:08x}  {row.hex(' ')}" for number, row in enumerate(rows)]
    return "\n".join(lines) if len(lines) > 1 else content.hex(" ")
