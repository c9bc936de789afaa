"""Send posts to Kafka at a rate, and be sure of each: what was not written is an error."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from kafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.post import Post
from tuwen.failures import Failed
from worker.errors import NotAuthorized, Unavailable
from worker.images.file import reference_to
from worker.kafka.client_errors import translate

UNSETTLED_MAX: Final = 5_000
SETTLE_TIMEOUT_S: Final = 15.0
TELL_EVERY_S: Final = 0.2

POSTS: Final = msgspec.json.Decoder(Post)


@dataclass(frozen=True, slots=True)
class Sendable:
    """A record to be sent: its key, its value, and where it came from, for whoever is told."""

    key: bytes | None
    value: bytes
    origin: str


class CorpusRow(msgspec.Struct, frozen=True):
    """What sending needs of a corpus's row."""

    id: str
    text: str | None = None
    image: str | None = None


ROWS: Final = msgspec.json.Decoder(CorpusRow)


def from_lines(lines: Iterable[bytes], name: str) -> Iterator[Sendable]:
    """Take each line as a post, byte for byte; refuse what is none.

    Raises:
        Failed: a line holds no post; it names the line.
    """
    for number, line in enumerate(lines, 1):
        value = line.strip()
        if not value:
            continue
        origin = f"{name}:{number}"
        try:
            post = POSTS.decode(value)
        except msgspec.DecodeError as error:
            raise Failed(
                f"{origin} is no post: {error}; correct it, or send it all the same with --as-is"
            ) from error
        yield Sendable(post.id.encode(), value, origin)


def as_is(lines: Iterable[bytes], name: str) -> Iterator[Sendable]:
    """Take each line as it is; the key is the id, where there is one."""
    for number, line in enumerate(lines, 1):
        value = line.rstrip(b"\r\n")
        try:
            key: bytes | None = POSTS.decode(value).id.encode()
        except msgspec.DecodeError:
            key = None
        yield Sendable(key, value, f"{name}:{number}")


def from_corpus(folder: Path, half: str = "test") -> Iterator[Sendable]:
    """Make posts of a corpus's half; images become `file:` references relative to the folder.

    Raises:
        Failed: a row is not what a corpus holds; it names the line.
    """
    path = folder / f"{half}.jsonl"
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = ROWS.decode(line)
            except msgspec.DecodeError as error:
                raise Failed(f"{path}:{number} is no row of a corpus: {error}") from error
            yield Sendable(row.id.encode(), post_of(row), f"{path}:{number}")


def post_of(row: CorpusRow, prefix: str = "") -> bytes:
    """Write a corpus's row as a post: the truth stays behind."""
    image = reference_to(prefix + row.image) if row.image else None
    return msgspec.json.encode(Post(id=row.id, text=row.text, image=image))


def due_s(sent: int, rate_per_s: float | None) -> float:
    """When, in seconds since the start, the next post is due after so many were sent."""
    return sent / rate_per_s if rate_per_s else 0.0


class Sender:
    """Sends records, and settles each; one for a producer and a topic."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._unsettled: deque[tuple[str, Any]] = deque()
        self.sent = 0

    def send(
        self,
        records: Iterable[Sendable],
        rate_per_s: float | None = None,
        on_sent: Callable[[int], None] = lambda _sent: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> int:
        """Send until there are no more or `stopped`; give how many Kafka has.

        Raises:
            Failed: Kafka did not take a record; it names the first.
        """
        began = told = time.monotonic()
        first = self.sent
        for record in records:
            wait_s = began + due_s(self.sent - first, rate_per_s) - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            if stopped():
                break
            self._send(record)
            if time.monotonic() - told > TELL_EVERY_S:
                told = time.monotonic()
                on_sent(self.sent - first)
        self.settle()
        on_sent(self.sent - first)
        return self.sent - first

    def settle(self) -> None:
        """Wait until all that was sent is written."""
        # Of a flush that fails, the first record that is not written says more.
        with contextlib.suppress(KafkaError):
            self._producer.flush(timeout=SETTLE_TIMEOUT_S)
        while self._unsettled:
            self._check(*self._unsettled.popleft())

    def _send(self, record: Sendable) -> None:
        try:
            future = self._producer.send(
                self._topic,
                key=record.key,
                value=record.value,
                timestamp_ms=time.time_ns() // 1_000_000,
            )
        except KafkaError as error:
            raise self._refused(record.origin, error) from error
        self._unsettled.append((record.origin, future))
        self.sent += 1
        if len(self._unsettled) > UNSETTLED_MAX:
            self._check(*self._unsettled.popleft())

    def _check(self, origin: str, future: Any) -> None:
        try:
            future.get(timeout=SETTLE_TIMEOUT_S)
        except KafkaError as error:
            raise self._refused(origin, error) from error

    def _refused(self, origin: str, error: KafkaError) -> Exception:
        forbidden = translate(error, f"sending {origin}", Unavailable, "Write")
        if isinstance(forbidden, NotAuthorized):
            return forbidden
        if isinstance(error, MessageSizeTooLargeError):
            return Failed(f"{origin} is larger than topic {self._topic!r} takes: shorten it")
        return Failed(
            f"Kafka did not take {origin} for topic {self._topic!r} "
            f"({type(error).__name__}); nothing after it was made sure of: send them again"
        )
