"""Send posts at an even pace, each under its number as key and id."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Producer

from tests.chaos.topics import CLIENT, Topics

TICK_S: Final = 0.02
BAD_EVERY: Final = 50
FLUSH_S: Final = 180.0
TOGETHER_MAX: Final = 10_000
POISON: Final = "一般"
"""A term of the tiny bundle that its text graph can be made to raise for."""

Make = Callable[[int], bytes]
"""Gives the value of the post of a number."""
Headers = Callable[[int], list[tuple[str, str | bytes | None]]]
"""Gives its headers."""


def no_headers(_number: int) -> list[tuple[str, str | bytes | None]]:
    """Give a post no headers."""
    return []


def ordinary(number: int) -> bytes:
    """A good post, and one in fifty that is broken."""
    if number % BAD_EVERY == 0:
        return b"{broken"
    return post(number, "房间很好" if number % 2 else "服务很坏")


def post(number: int, text: str, **more: object) -> bytes:
    """A post of that number."""
    return json.dumps({"id": str(number), "text": text, **more}).encode()


@dataclass(frozen=True, slots=True)
class Posts:
    """What the posts are.

    `together_max` is the most of them in one batch; `refused` how many the broker will refuse,
    None where that is not known.
    """

    make: Make = ordinary
    headers: Headers = no_headers
    together_max: int = TOGETHER_MAX
    refused: int | None = 0


class Sender(threading.Thread):
    """Sends so many posts, evenly, over so long; its client outlasts what happens to a broker."""

    def __init__(self, topics: Topics, count: int, seconds: float, posts: Posts) -> None:
        super().__init__(name="sender", daemon=True)
        self._topics = topics
        self._count = count
        self._seconds = seconds
        self._posts = posts
        self.refused = 0
        self.finished_s = 0.0

    def run(self) -> None:
        """Send all; how many are due is read off the clock, so that a late tick catches up."""
        producer = Producer(
            {
                "bootstrap.servers": self._topics.servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "batch.num.messages": self._posts.together_max,
                "message.timeout.ms": int(FLUSH_S * 1_000),
                **CLIENT,
            }
        )
        began_s = time.monotonic()
        sent = 0
        while sent < self._count:
            passed = (time.monotonic() - began_s) / self._seconds if self._seconds else 1.0
            due = min(self._count, int(passed * self._count))
            for number in range(sent, due):
                self._send(producer, number)
            sent = max(sent, due)
            producer.poll(0)
            time.sleep(TICK_S)
        producer.flush(FLUSH_S)
        self.finished_s = time.time()

    def _send(self, producer: Producer, number: int) -> None:
        while True:
            try:
                producer.produce(
                    self._topics.posts,
                    self._posts.make(number),
                    str(number).encode(),
                    number % self._topics.partitions,
                    self._delivered,
                    headers=self._posts.headers(number),
                )
            except BufferError:
                producer.poll(0.1)
            else:
                return

    def _delivered(self, error: Any, _message: Any) -> None:
        self.refused += error is not None
