"""Read dead letters: which record, why, and what it held."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.dead_letter import Failure, failure, omitted, replays, split
from schemas.replay import Choice
from tuwen.failures import Failed, Refused
from tuwen.kafka_client import Address, read_all, reader, record_at
from worker.messages import Headers, Partition, Record

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
UNKNOWN: Final = "unknown"
"""The reason of what tuwen did not write."""


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

    @property
    def reason(self) -> str:
        """Why there was no verdict, in a word."""
        return self.why.reason if self.why else UNKNOWN

    @property
    def replays(self) -> int:
        """How often its record had been put back when it failed."""
        return replays(self.own_headers)

    @property
    def omits(self) -> bool:
        """Whether it holds less than the record did."""
        return omitted(self.record.headers)


def read(kafka: Address, topic: str) -> Iterator[DeadLetter]:
    """Read all dead letters that are there now."""
    for record in read_all(kafka, [topic]):
        yield of(record)


def of(record: Record) -> DeadLetter:
    """Read one."""
    return DeadLetter(record, failure(record.headers), split(record.headers)[0])


def find(kafka: Address, topic: str, place: str) -> DeadLetter:
    """Read the one at PARTITION:OFFSET.

    Raises:
        Refused: `place` is no such thing.
        Failed: there is none.
    """
    found = re.fullmatch(r"(\d+):(\d+)", place)
    if found is None:
        raise Refused(f"{place!r} is no PARTITION:OFFSET: `tuwen dead-letters list` prints them")
    partition, offset = map(int, found.groups())
    with reader(kafka, [topic], "beginning") as client:
        record = record_at(client, Partition(topic, partition), offset)
    if record is None:
        raise Failed(f"there is no dead letter at {place} of {topic}: `tuwen dead-letters list`")
    return of(record)


def is_chosen(letter: DeadLetter, choice: Choice) -> bool:
    """Whether a letter is among those that are meant; one that tuwen did not write has no topic."""
    why, at_ms = letter.why, letter.record.timestamp_ms
    return (
        (choice.reason is None or letter.reason == choice.reason)
        and (choice.topic is None or (why is not None and why.topic == choice.topic))
        and (choice.since_ms is None or at_ms >= choice.since_ms)
        and (choice.until_ms is None or at_ms < choice.until_ms)
    )


def moment_ms(written: str, now_s: float) -> int:
    """Read a moment: a span before now, or a time such as 2026-11-26T08:30, local unless it says.

    Raises:
        Refused: it is neither.
    """
    try:
        at_s = dt.datetime.fromisoformat(written).astimezone().timestamp()
    except ValueError:
        at_s = now_s - seconds(written)
    return round(at_s * 1000)


def seconds(span: str) -> float:
    """Read a span of time such as 90s, 15m, 2h or 7d."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", span)
    if found is None:
        raise Refused(
            f"{span!r} is no span of time: write 90s, 15m, 2h or 7d, or a moment: 2026-11-26T08:30"
        )
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
