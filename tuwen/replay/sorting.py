"""Decide what becomes of a dead letter: the record that goes back, or why it stays."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from msgspec.structs import replace

from schemas.dead_letter import counted, replays
from schemas.replay import Begun
from tuwen.dead_letters import DeadLetter
from tuwen.replay.journal import Journal
from worker.messages import Outgoing, Partition, Record


class Kept(StrEnum):
    """Why a dead letter that was chosen is not put back."""

    UNKNOWN = "not-of-tuwen"
    REPLAYED_ALREADY = "replayed-already"
    REPLAYED_TOO_OFTEN = "replayed-too-often"
    ORIGINAL_GONE = "original-gone"
    TOO_OLD = "too-old"
    TOO_LARGE = "too-large"


class Sources(Protocol):
    """What is asked about the topics that the posts came from."""

    def partitions(self, topic: str) -> int:
        """Count a topic's partitions; UnknownTopic when there is none."""

    def keeps_ms(self, topic: str) -> int | None:
        """How long a topic keeps a record after its timestamp; None for as long as it likes."""

    def record(self, partition: Partition, offset: int) -> Record | None:
        """Read a record where it was; None when it is no longer there."""


@dataclass(frozen=True, slots=True)
class Sorter:
    """Sorts the letters of one replay; `forbidden` are topics that no post ever comes from."""

    begun: Begun
    journal: Journal
    sources: Sources
    forbidden: frozenset[str]
    now_ms: Callable[[], int]

    def sort(self, letter: DeadLetter) -> Outgoing | Kept:
        """Make of a letter the record that it was, byte for byte, with the count after its headers.

        Raises:
            UnknownTopic: the topic that it came from is gone.
        """
        why = letter.why
        if why is None or why.topic in self.forbidden:
            return Kept.UNKNOWN
        if self._is_replayed(letter):
            return Kept.REPLAYED_ALREADY
        partitions = self.sources.partitions(why.topic)
        record = self._original(letter, Partition(why.topic, why.partition), why.offset)
        if record is None:
            return Kept.ORIGINAL_GONE
        if replays(record.headers) >= self.begun.replays_max:
            return Kept.REPLAYED_TOO_OFTEN
        timestamp_ms = self._timestamp_ms(record, why.topic)
        if timestamp_ms is None:
            return Kept.TOO_OLD
        number = why.partition if why.partition < partitions else None
        headers = counted(record.headers)
        return Outgoing(why.topic, number, record.key, record.value, headers, timestamp_ms)

    def _original(self, letter: DeadLetter, source: Partition, offset: int) -> Record | None:
        """Give the record as it was; where the letter holds less, what still lies at its place.

        After a topic was made anew another record lies there: a letter has its record's timestamp.
        """
        if not letter.omits:
            return replace(letter.record, headers=letter.own_headers)
        found = self.sources.record(source, offset)
        if found is None or found.timestamp_ms != letter.record.timestamp_ms:
            return None
        return found

    def _is_replayed(self, letter: DeadLetter) -> bool:
        """Whether it was put back: by this replay ever, by another unless told `again`."""
        place = letter.record.partition.number, letter.record.offset
        by = self.journal.replayed.get(place, ())
        return self.begun.replay in by or (bool(by) and not self.begun.again)

    def _timestamp_ms(self, record: Record, topic: str) -> int | None:
        """Give the time to write; None where Kafka might delete the record before it is read."""
        now_ms = self.now_ms()
        if self.begun.new_timestamps:
            return now_ms
        keeps_ms = self.sources.keeps_ms(topic)
        if keeps_ms is not None and now_ms - record.timestamp_ms >= keeps_ms:
            return None
        return record.timestamp_ms
