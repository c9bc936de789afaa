"""Stamp each committed offset with the id of its topic, and read none of another of its name.

Commits, as kafka-python 3.0.12 speaks them, name a topic and not which one. One that was on its way
while the topic was made anew leaves an offset of the old for the new: docs/decisions/0034.
"""

import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from worker.kafka.topic_watch import TopicWatch

_STAMPED: Final = re.compile(r"(?:(?P<note>.*) )?topic=(?P<topic>[\w-]{22})", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Vouched:
    """A `Membership`: the member, and the id of the topic that it polled; None if not known."""

    member: ConsumerGroupMetadata
    topic_id: UUID | None


def stamped(note: str, topic_id: UUID | None) -> str:
    """Write the stamp behind a note, with the id as Kafka's tools print it: 28 characters.

    A topic whose id is not known is not stamped.
    """
    if topic_id is None:
        return note
    stamp = f"topic={_printed(topic_id)}"
    return f"{note} {stamp}" if note else stamp


def is_of(metadata: str, topic_id: UUID | None) -> bool:
    """Whether an offset counts for this topic; one that is not stamped does."""
    found = _STAMPED.fullmatch(metadata)
    return found is None or topic_id is None or found["topic"] == _printed(topic_id)


def note_in(metadata: str) -> str:
    """Give the note without the stamp."""
    found = _STAMPED.fullmatch(metadata)
    return metadata if found is None else found["note"] or ""


class OffsetStamps:
    """Checks what the group gives back, whoever asks: the seam, or kafka-python for a position.

    `consumer` is kafka-python's, of this process; its version is pinned.
    """

    def __init__(self, consumer: Any, topic: TopicWatch) -> None:
        self._manager = consumer._manager  # noqa: SLF001 -- it has no public way to what is used.
        self._cluster = consumer._cluster  # noqa: SLF001 -- as above.
        self._topic = topic
        self._told: dict[TopicPartition, int] = {}
        self._log = structlog.get_logger()
        coordinator = consumer._coordinator  # noqa: SLF001 -- as above.
        self._fetched = coordinator.fetch_committed_offsets_async
        coordinator.fetch_committed_offsets_async = self._fetch

    async def _fetch(
        self, partitions: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """Fetch, and leave out what is of another topic; on the IO thread.

        Raises TopicMadeAnew when it is this process's topic that is gone.
        """
        started_s = time.monotonic()
        # Before the first record: what is polled from here on is of this topic, or nothing is.
        self._topic.demand_the_same()
        found = await self._fetched(partitions, timeout_ms=timeout_ms)
        known = {p: each for p, each in found.items() if self._is_ours(each)}
        if len(known) < len(found):
            left_ms = None
            if timeout_ms is not None:
                left_ms = max(0.0, timeout_ms - (time.monotonic() - started_s) * 1_000)
            # Which of the two is gone? What this process knows may be old.
            await self._manager.wait_for(self._cluster.request_update(), left_ms)
            self._topic.demand_the_same()
            self._tell({p: found[p].offset for p in found.keys() - known.keys()})
        return {
            p: each._replace(metadata=note_in(each.metadata or "")) for p, each in known.items()
        }

    def _is_ours(self, found: OffsetAndMetadata) -> bool:
        return is_of(found.metadata or "", self._topic.id)

    def _tell(self, foreign: Mapping[TopicPartition, int]) -> None:
        """Say it once of each offset."""
        for partition, offset in foreign.items():
            if self._told.get(partition) != offset:
                self._told[partition] = offset
                self._log.warning(
                    "an offset was committed of another topic of this name: the partition is read "
                    "from its beginning",
                    topic=partition.topic,
                    partition=partition.partition,
                    offset=offset,
                )


def _printed(topic_id: UUID) -> str:
    return urlsafe_b64encode(topic_id.bytes).rstrip(b"=").decode()
