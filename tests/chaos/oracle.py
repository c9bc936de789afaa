"""Look up what came of each post, by a client that shares no code with the worker.

An outcome is a verdict or a dead letter; each names the record that it answers, and that record's
id: both are reconciled, and what `read_uncommitted` shows beyond `read_committed` is counted.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from tests.chaos.scenario import Figures
from tests.chaos.topics import CLIENT, Topics

Source = tuple[str, int, int]
"""Topic, partition, offset."""
Isolation = Literal["read_committed", "read_uncommitted"]
END_S: Final = 120.0
WAIT_S: Final = 0.2
TOGETHER: Final = 2_000


def read_all(topics: Topics, names: Sequence[str], isolation: Isolation) -> Iterator[Message]:
    """Give all that a reader finds now in the topics of these names."""
    reader = _reader(topics, names, isolation)
    left = {(name, number) for name in names for number in range(topics.partitions)}
    deadline_s = time.monotonic() + END_S
    try:
        while left:
            assert time.monotonic() < deadline_s, f"{left} did not end in {END_S:.0f} s"
            for message in reader.consume(TOGETHER, WAIT_S):
                error = message.error()
                if error is None:
                    yield message
                    deadline_s = time.monotonic() + END_S
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic() or "", message.partition() or 0))
    finally:
        reader.close()


class Follower:
    """Counts outcomes as they become visible to a read_committed reader."""

    def __init__(self, topics: Topics) -> None:
        self._reader = _reader(topics, [topics.verdicts, topics.dead_letters], "read_committed")
        self.seen = 0
        self.last_s = time.time()

    def look(self, seconds: float) -> int:
        """Wait for more at most so long, and give how many there are by now."""
        found = [each for each in self._reader.consume(TOGETHER, seconds) if each.error() is None]
        if found:
            self.last_s = time.time()
        self.seen += len(found)
        return self.seen

    def look_for_late(self, seconds: float, since_s: float) -> float:
        """Wait for more, and give how much later than its post the latest comes, of those since."""
        found = [each for each in self._reader.consume(TOGETHER, seconds) if each.error() is None]
        sent_s = [each.timestamp()[1] / 1_000 for each in found]
        return max((time.time() - at for at in sent_s if at >= since_s), default=0.0)

    def reaches(self, count: int, patience_s: float) -> bool:
        """Wait until there are so many; False when none is added for `patience_s`."""
        deadline_s = time.monotonic() + patience_s
        while (before := self.seen) < count and time.monotonic() < deadline_s:
            if self.look(WAIT_S) > before:
                deadline_s = time.monotonic() + patience_s
        return self.seen >= count

    def close(self) -> None:
        """Hang up."""
        self._reader.close()


@dataclass
class Outcomes:
    """What a reader finds of verdicts and dead letters: how often each source, and each id."""

    sources: Counter[Source] = field(default_factory=Counter)
    ids: Counter[str] = field(default_factory=Counter)
    reasons: dict[Source, str] = field(default_factory=dict)
    omitted: dict[Source, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)


def posts_sent(topics: Topics) -> dict[Source, str]:
    """Give every record that was sent, with its id, which is its key."""
    return {
        (message.topic() or "", message.partition() or 0, message.offset() or 0): _key(message)
        for message in read_all(topics, [topics.posts], "read_uncommitted")
    }


def outcomes(topics: Topics, isolation: Isolation, sent: Mapping[Source, str]) -> Outcomes:
    """Read all outcomes."""
    return counted(read_all(topics, [topics.verdicts, topics.dead_letters], isolation), sent)


def counted(messages: Iterable[Message], sent: Mapping[Source, str]) -> Outcomes:
    """Count outcomes by source and by id; an id that is not that of its source is a stranger's."""
    found = Outcomes()
    for message in messages:
        source, post_id, letter = _answer(message)
        if "key" in letter.omitted:
            post_id = sent.get(source, "")
        found.sources[source] += 1
        found.ids[post_id] += 1
        if letter.reason:
            found.reasons[source] = letter.reason
        if letter.omitted:
            found.omitted[source] = letter.omitted
        if sent.get(source) != post_id:
            found.strangers.append(f"{source} is {sent.get(source)}, and answered as {post_id}")
    return found


def reconcile(figures: Figures, topics: Topics, wanted: int) -> Outcomes:
    """Compare what went in with what came out, record by record and id by id."""
    sent = posts_sent(topics)
    committed = outcomes(topics, "read_committed", sent)
    everything = outcomes(topics, "read_uncommitted", sent)
    compare(figures, sent, committed, everything)
    figures.demand(len(set(sent.values())) == wanted, f"{len(sent)} of {wanted} posts were sent")
    return committed


def compare(
    figures: Figures, sent: Mapping[Source, str], committed: Outcomes, everything: Outcomes
) -> None:
    """Note what is lost, what came twice, and what was written and then aborted."""
    ids = set(sent.values())
    figures.posts = len(sent)
    figures.lost = max(len(sent.keys() - committed.sources), len(ids - committed.ids.keys()))
    figures.twice = max(_more_than_once(committed.sources), _more_than_once(committed.ids))
    figures.demand(not committed.strangers, f"answers of no post: {committed.strangers[:3]}")
    figures.uncommitted = everything.sources.total() - committed.sources.total()


def _more_than_once(counts: "Counter[Source] | Counter[str]") -> int:
    return sum(count - 1 for count in counts.values() if count > 1)


@dataclass(frozen=True, slots=True)
class _Letter:
    """Why there is no verdict, and what the dead letter lacks of its record; empty: it is none."""

    reason: str = ""
    omitted: str = ""


def _answer(message: Message) -> tuple[Source, str, _Letter]:
    """Say which post an outcome answers, by its source and by its id."""
    headers = dict(message.headers() or [])
    if "__connect.errors.topic" in headers:
        topic, partition, offset = (
            _text(headers[f"__connect.errors.{part}"]) for part in ("topic", "partition", "offset")
        )
        letter = _Letter(_text(headers["tuwen.reason"]), _text(headers.get("tuwen.omitted")))
        return (topic, int(partition), int(offset)), _key(message), letter
    verdict = json.loads(message.value() or b"")
    source = verdict["source"]
    return (source["topic"], source["partition"], source["offset"]), verdict["id"], _Letter()


def _key(message: Message) -> str:
    return _text(message.key())


def _text(given: str | bytes | None) -> str:
    return given.decode() if isinstance(given, bytes) else given or ""


def _reader(topics: Topics, names: Sequence[str], isolation: Isolation) -> Consumer:
    reader = Consumer(
        {
            "bootstrap.servers": topics.servers,
            # It is never joined: partitions are assigned, and nothing is committed.
            "group.id": f"{topics.name}-oracle",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            **CLIENT,
        }
    )
    reader.assign(
        [
            TopicPartition(name, number, OFFSET_BEGINNING)
            for name in names
            for number in range(topics.partitions)
        ]
    )
    return reader
