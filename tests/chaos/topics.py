"""What goes into the topics of a run, and what came out: by a client that shares no code of ours.

An outcome is a verdict or a dead letter; each names the record that it answers.
"""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

Source = tuple[str, int, int]
TICK_S = 0.02
BAD_EVERY = 50
POISON = "一般"
_POISON_AS_SENT = json.dumps(POISON).strip('"').encode()


@dataclass(frozen=True)
class Topics:
    """The three topics of one run."""

    servers: str
    name: str
    partitions: int

    @property
    def posts(self) -> str:
        """Where posts go in."""
        return f"{self.name}.posts"

    @property
    def verdicts(self) -> str:
        """Where labels come out."""
        return f"{self.name}.verdicts"

    @property
    def dead_letters(self) -> str:
        """Where the rest comes out."""
        return f"{self.name}.dead-letters"

    def create(self) -> None:
        """Make them."""
        names = (self.posts, self.verdicts, self.dead_letters)
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            admin.create_topics(
                [NewTopic(name, self.partitions, 1) for name in names], wait_for_metadata=True
            )

    def sources(self) -> set[Source]:
        """Give every record that was sent; its log has no gaps, so its ends tell."""
        with self._consumer("read_uncommitted") as consumer:
            partitions = self._partitions(self.posts)
            ends = consumer.end_offsets(partitions)
        return {(p.topic, p.partition, o) for p in partitions for o in range(ends[p])}

    def outcomes(self, isolation: str) -> Counter[Source]:
        """Count, for each source, the outcomes that a reader finds now."""
        with self._consumer(isolation) as consumer:
            partitions = self._partitions(self.verdicts) + self._partitions(self.dead_letters)
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            found: Counter[Source] = Counter()
            while any(consumer.position(p) < ends[p] for p in partitions):
                for records in consumer.poll(200, max_records=5_000).values():
                    found.update(map(_source, records))
        return found

    def poisonous(self) -> set[Source]:
        """Give every record that was sent with a text that the model raises for."""
        return {
            (record.topic, record.partition, record.offset)
            for record in self._read(self.posts)
            if _POISON_AS_SENT in record.value
        }

    def rejected(self, reason: str) -> set[Source]:
        """Give every source that a read_committed reader finds dead-lettered for `reason`."""
        return {
            _source(record)
            for record in self._read(self.dead_letters)
            if dict(record.headers)["tuwen.reason"].decode() == reason
        }

    def _read(self, topic: str) -> list[Any]:
        """Read all of a topic, read_committed."""
        with self._consumer("read_committed") as consumer:
            partitions = self._partitions(topic)
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            found: list[Any] = []
            while any(consumer.position(p) < ends[p] for p in partitions):
                for records in consumer.poll(200, max_records=5_000).values():
                    found += records
            return found

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.partitions)]

    @contextlib.contextmanager
    def _consumer(self, isolation: str) -> Iterator[KafkaConsumer]:
        consumer = KafkaConsumer(
            bootstrap_servers=self.servers,
            isolation_level=isolation,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)


def _source(record: object) -> Source:
    """Say which post an outcome answers."""
    headers = dict(record.headers)  # type: ignore[attr-defined]  # kafka-python ships no types.
    if "__connect.errors.topic" in headers:
        topic, partition, offset = (
            headers[f"__connect.errors.{part}"].decode()
            for part in ("topic", "partition", "offset")
        )
        return topic, int(partition), int(offset)
    source = json.loads(record.value)["source"]  # type: ignore[attr-defined]  # as above.
    return source["topic"], source["partition"], source["offset"]


class Sender(threading.Thread):
    """Sends posts at an even pace, one in fifty of them broken, and some of them poisonous."""

    def __init__(self, topics: Topics, posts: int, seconds: float, poison_every: int = 0) -> None:
        super().__init__(name="sender", daemon=True)
        self._topics = topics
        self._posts = posts
        self._seconds = seconds
        self._poison_every = poison_every
        self.finished_s = 0.0

    def run(self) -> None:
        """Send all; how many are due is read off the clock, so that a late tick catches up."""
        producer = KafkaProducer(bootstrap_servers=self._topics.servers, acks="all", linger_ms=5)
        began_s = time.monotonic()
        sent = 0
        while sent < self._posts:
            due = min(self._posts, int((time.monotonic() - began_s) / self._seconds * self._posts))
            for number in range(sent, due):
                self._send(producer, number)
            sent = max(sent, due)
            time.sleep(TICK_S)
        producer.flush(timeout=30)
        producer.close(timeout=5)
        self.finished_s = time.time()

    def _send(self, producer: KafkaProducer, number: int) -> None:
        text = "房间很好" if number % 2 else "服务很坏"
        if self._poison_every and number % self._poison_every == 1:
            text += POISON
        post = {"id": str(number), "text": text}
        value = b"{broken" if number % BAD_EVERY == 0 else json.dumps(post).encode()
        producer.send(
            self._topics.posts,
            value,
            key=str(number).encode(),
            partition=number % self._topics.partitions,
        )
