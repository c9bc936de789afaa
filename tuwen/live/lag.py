"""Count the posts that a group has still to answer, of those that anybody can read.

A log may end with markers of transactions and with posts that were aborted, and the offset of a
group stays before those for ever. So what is left is read once when it stands still: it is no lag
where there is no post in it.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from kafka import OffsetSpec, TopicPartition
from kafka.errors import KafkaError

from tuwen.failures import Failed
from tuwen.kafka_client import Address, polled, reader
from worker.errors import BrokerError

LOOK_S: Final = 2.0
POLL_MS: Final = 200
POSITION_MS: Final = 1_000

Span = tuple[int, int]
"""Offsets from the one that is committed up to the end of the log."""


class Lag:
    """The lag of a group on a topic; `admin` asks for offsets, and `kafka` is read where needed."""

    def __init__(self, admin: Any, kafka: Address, group: str, topic: str) -> None:
        self._admin = admin
        self._kafka = kafka
        self._group = group
        self._topic = topic
        self._before: Mapping[TopicPartition, Span] = {}
        self._with_posts: Mapping[tuple[TopicPartition, Span], bool] = {}

    def look(self) -> int | None:
        """Count the posts; None when it cannot be told now."""
        try:
            left = self._left()
            known = self._with_posts
            standing = left.items() & self._before.items()
            self._before = left
            self._with_posts = {
                each: known[each] if each in known else self._has_posts(*each) for each in standing
            }
        except (KafkaError, BrokerError, Failed):
            return None  # between two rebalances or brokers: the next look will tell
        return sum(
            end - committed
            for partition, (committed, end) in left.items()
            if self._with_posts.get((partition, (committed, end)), True)
        )

    def _left(self) -> Mapping[TopicPartition, Span]:
        """Give what is not committed of each partition that has any."""
        described = self._admin.describe_topics([self._topic])[0]
        numbers = [each["partition_index"] for each in described["partitions"]]
        partitions = [TopicPartition(self._topic, number) for number in numbers]
        ends = self._admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        committed = self._admin.list_group_offsets(self._group)[self._group]
        read = {partition: int(position.offset) for partition, position in committed.items()}
        spans = {each: (read.get(each, 0), int(end.offset)) for each, end in ends.items()}
        return {each: span for each, span in spans.items() if span[0] < span[1]}

    def _has_posts(self, partition: TopicPartition, span: Span) -> bool:
        """Whether there is a post in it that can be read; one that is not told in time counts."""
        with reader(self._kafka, [self._topic], "beginning") as client:
            client.assign([partition])
            client.seek(partition, span[0])
            # With isolation read_committed: what an open transaction hides is no lag.
            end = client.end_offsets([partition])[partition]
            until_s = time.monotonic() + LOOK_S
            while time.monotonic() < until_s:
                if polled(client, POLL_MS, records_max=1):
                    return True
                # It passes over markers and what was aborted.
                if client.position(partition, timeout_ms=POSITION_MS) >= end:
                    return False
        return True
