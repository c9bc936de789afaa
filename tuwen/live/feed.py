"""Read verdicts and dead letters as they are committed, on a thread of its own, into a tally."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from schemas.dead_letter import failure
from schemas.post import Post
from schemas.verdict import Verdict
from tuwen.failures import Failed
from tuwen.kafka_client import Address, Start, admin, polled, reader, servers_of
from tuwen.live.lag import Lag
from tuwen.live.tally import Seen, Snapshot, Tally
from tuwen.memory import Bounded
from worker.messages import Record

POLL_MS: Final = 100
LAG_INTERVAL_S: Final = 0.5
TEXTS_MAX: Final = 20_000
"""Texts remembered so that a verdict can be shown with its post."""

VERDICTS: Final = msgspec.json.Decoder(Verdict)
POSTS: Final = msgspec.json.Decoder(Post)


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: where, which topics, and whose lag."""

    kafka: Address
    posts_topic: str
    verdicts_topic: str
    dead_letters_topic: str
    group: str


class Feed:
    """A running reader; `snapshot` may be asked for from another thread."""

    def __init__(
        self, watched: Watched, start: Start, texts: Mapping[str, str] | None = None
    ) -> None:
        self._watched = watched
        self._start = start
        self._texts: Any = texts if texts is not None else Bounded[str, str](TEXTS_MAX)
        self._reads_posts = texts is None
        self._tally = Tally()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._fault: Exception | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for name, work in (("verdicts", self._read), ("lag", self._measure_lag))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until nothing that comes from now on is missed."""
        if not self._ready.wait(timeout_s) and self._fault is None:
            raise Failed(f"Kafka at {servers_of(self._watched.kafka)} did not answer in time")
        self._raise_fault()

    def snapshot(self) -> Snapshot:
        """Give the figures of now; raises what ended the reader, if something did."""
        self._raise_fault()
        with self._lock:
            return self._tally.snapshot(time.monotonic())

    def latencies_ms(self) -> Sequence[int]:
        """Give all latencies so far."""
        with self._lock:
            return tuple(self._tally.latencies_ms)

    def answered(self) -> int:
        """Count verdicts and dead letters so far."""
        with self._lock:
            return self._tally.answered

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as fault:  # noqa: BLE001 - raised again where it is asked for figures
            if not self._stop.is_set():
                self._fault = fault
                self._ready.set()

    def _read(self) -> None:
        topics = [self._watched.verdicts_topic, self._watched.dead_letters_topic]
        if self._reads_posts:
            topics.append(self._watched.posts_topic)
        with reader(self._watched.kafka, topics, self._start) as consumer:
            self._ready.set()
            while not self._stop.is_set():
                self._count(polled(consumer, POLL_MS))

    def _count(self, records: Sequence[Record]) -> None:
        now_ms = time.time_ns() // 1_000_000
        by_topic: dict[str, list[Record]] = {}
        for record in records:
            by_topic.setdefault(record.partition.topic, []).append(record)
        if self._reads_posts:
            self._remember(by_topic.get(self._watched.posts_topic, ()))
        seen = [
            self._seen(record, now_ms) for record in by_topic.get(self._watched.verdicts_topic, ())
        ]
        reasons = [
            reason_of(record) for record in by_topic.get(self._watched.dead_letters_topic, ())
        ]
        with self._lock:
            self._tally.verdicts(seen, time.monotonic())
            for reason in reasons:
                self._tally.dead_letter(reason)

    def _seen(self, record: Record, now_ms: int) -> Seen:
        verdict = VERDICTS.decode(record.value or b"")
        return Seen(verdict, self._texts.get(verdict.id), max(0, now_ms - record.timestamp_ms))

    def _remember(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                post = POSTS.decode(record.value or b"")
            except msgspec.DecodeError:
                continue  # the dead letters will tell
            if post.text:
                self._texts[post.id] = post.text

    def _measure_lag(self) -> None:
        watched = self._watched
        with admin(watched.kafka) as client:
            lag = Lag(client, watched.kafka, watched.group, watched.posts_topic)
            while not self._stop.wait(LAG_INTERVAL_S):
                posts = lag.look()
                if posts is not None:
                    with self._lock:
                        self._tally.lag(posts)


def reason_of(record: Record) -> str:
    """Read a dead letter's reason from its headers."""
    found = failure(record.headers)
    return "unknown" if found is None else found.reason
