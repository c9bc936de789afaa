"""A topic of dead letters on a real Kafka, and the command that puts them back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from schemas import dead_letter
from tuwen.command import run
from tuwen.kafka_client import read_all
from worker.kafka import kafka_python
from worker.kafka.client_settings import ClientSettings
from worker.messages import Headers, Outgoing, Record


@dataclass(frozen=True)
class Place:
    """A Kafka, the posts' topic, and one of dead letters."""

    servers: str
    posts: str
    letters: str

    def write(self, letters: Sequence[Outgoing]) -> None:
        """Write records byte for byte."""
        settings = ClientSettings(self.servers, f"{self.letters}-w", self.letters, self.letters)
        broker = kafka_python.connect(settings)
        transaction = broker.begin(10.0)
        for letter in letters:
            transaction.send(letter)
        transaction.settle(10.0)
        transaction.commit(10.0)
        broker.close(5.0, leave=True)

    def letter(
        self,
        value: bytes | None,
        *,
        key: bytes | None = b"key",
        own: Headers = (),
        number: int = 0,
        offset: int = 0,
        timestamp_ms: int | None = None,
        topic: str | None = None,
        omitted: bool = False,
    ) -> Outgoing:
        """A dead letter as a worker writes it."""
        facts = {
            dead_letter.CONNECT_TOPIC: topic or self.posts,
            dead_letter.CONNECT_PARTITION: str(number),
            dead_letter.CONNECT_OFFSET: str(offset),
            dead_letter.CONNECT_STAGE: "fetch",
            dead_letter.REASON: "image-not-found",
            dead_letter.DETAIL: "no such file",
            dead_letter.MODEL: "demo 7",
        }
        added = [(name, fact.encode()) for name, fact in facts.items()]
        if omitted:
            added.append((dead_letter.OMITTED, b"value"))
        at_ms = now_ms() if timestamp_ms is None else timestamp_ms
        return Outgoing(self.letters, 0, key, value, (*own, *added), at_ms)

    def back(self) -> list[Record]:
        """What a read_committed reader finds on the posts' topic."""
        return list(read_all(self.servers, [self.posts]))

    def do(self, *words: str, what: str = "replay") -> int:
        """Run a command of the group on this place."""
        flags = ["--bootstrap-servers", self.servers, "--dead-letters-topic", self.letters]
        return run(["dead-letters", what, *words, *flags])


def now_ms() -> int:
    """The time."""
    return time.time_ns() // 1_000_000
