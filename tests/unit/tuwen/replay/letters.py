"""Dead letters in a cluster in memory, and replays of them."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas import dead_letter
from schemas.replay import Begun, Choice
from tests.unit.tuwen.replay.fakes import FakeSources
from tuwen.replay import journal, running
from tuwen.replay.journal import Journal, journal_topic
from tuwen.replay.sorting import Sorter
from worker.kafka.client_settings import ClientSettings
from worker.kafka.memory import MemoryCluster
from worker.kafka.memory_broker import MemoryBroker
from worker.messages import Headers, Outgoing, Partition, Record

POSTS, LETTERS = "posts", "letters"
MADE_MS = 1_700_000_000_000
PATIENCE = running.Patience(1.0, 1.0)


def why(
    *,
    topic: str = POSTS,
    partition: int = 0,
    offset: int = 0,
    reason: str = "image-not-found",
    omitted: bytes | None = None,
) -> Headers:
    """The headers that a worker adds."""
    facts = {
        dead_letter.CONNECT_TOPIC: topic,
        dead_letter.CONNECT_PARTITION: str(partition),
        dead_letter.CONNECT_OFFSET: str(offset),
        dead_letter.CONNECT_STAGE: "fetch",
        dead_letter.REASON: reason,
        dead_letter.DETAIL: "no such file",
        dead_letter.MODEL: "demo 7",
    }
    said = tuple((name, value.encode()) for name, value in facts.items())
    return said if omitted is None else (*said, (dead_letter.OMITTED, omitted))


@dataclass
class Place:
    """A cluster of two partitions a topic, with dead letters, and what replays left of them."""

    cluster: MemoryCluster = field(
        default_factory=lambda: MemoryCluster({POSTS: 2, LETTERS: 2, journal_topic(LETTERS): 1})
    )
    sources: FakeSources = field(default_factory=FakeSources)
    now_ms: int = MADE_MS + 60_000

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)

    def fail(
        self,
        value: bytes | None,
        *,
        number: int = 0,
        key: bytes | None = b"key",
        own: Headers = (),
        timestamp_ms: int = MADE_MS,
        added: Headers | None = None,
    ) -> None:
        """Write a dead letter."""
        headers = own + (why() if added is None else added)
        self.cluster.produce(Outgoing(LETTERS, number, key, value, headers, timestamp_ms))

    def cluster_record(self, value: bytes) -> Outgoing:
        """Make a record of the journal."""
        return Outgoing(journal_topic(LETTERS), 0, None, value, (), MADE_MS)

    def connect(self, replay: str) -> MemoryBroker:
        """Connect as the replay of this id."""
        group = f"{LETTERS}.replay-{replay}"
        settings = ClientSettings("memory", group, LETTERS, f"{LETTERS}.replay")
        return self.cluster.connect(settings)

    def look(self, letters_id: str = "1") -> Journal:
        """Read the journal."""
        return journal.read(self.cluster.committed_records(journal_topic(LETTERS)), letters_id)

    def begin(
        self,
        broker: MemoryBroker,
        replay: str,
        choice: Choice | None = None,
        *,
        limit: int | None = None,
        again: bool = False,
        replays_max: int = 3,
        new_timestamps: bool = False,
    ) -> running.Replay:
        """Begin a replay, and run nothing of it yet."""
        start = self.start(broker)
        begun, found = start.begin(
            lambda ends: Begun(
                replay,
                "1",
                choice or Choice(),
                limit,
                again,
                replays_max,
                new_timestamps,
                dict(ends),
            )
        )
        return self.run_of(start, begun, found)

    def resume(self, broker: MemoryBroker, replay: str) -> running.Replay:
        """Take a replay over."""
        start = self.start(broker)
        return self.run_of(start, *start.resume(replay))

    def run_of(self, start: running.Start, begun: Begun, found: Journal) -> running.Replay:
        """Make what runs it."""
        return running.Replay(start, self.sorter(begun, found), self.tell)

    def start(self, broker: MemoryBroker) -> running.Start:
        """What a replay goes on with."""
        return running.Start(broker, PATIENCE, LETTERS, self.look, lambda: self.now_ms)

    def sorter(self, begun: Begun, found: Journal) -> Sorter:
        """Make what sorts its letters."""
        forbidden = frozenset({LETTERS, journal_topic(LETTERS)})
        return Sorter(begun, found, self.sources, forbidden, lambda: self.now_ms)

    def tell(self, done: int, total: int) -> None:
        """Note progress."""
        self.progress = (done, total)

    def replay(
        self,
        choice: Choice | None = None,
        *,
        limit: int | None = None,
        again: bool = False,
        replays_max: int = 3,
        new_timestamps: bool = False,
    ) -> running.Tally:
        """Run a whole replay, under an id of its own."""
        replay = f"r{next(self._ids)}"
        broker = self.connect(replay)
        try:
            run = self.begin(
                broker,
                replay,
                choice,
                limit=limit,
                again=again,
                replays_max=replays_max,
                new_timestamps=new_timestamps,
            )
            run.run()
        finally:
            broker.close(1.0, leave=True)
        return run.tally

    def back(self) -> list[Record]:
        """What a read_committed reader finds on the posts' topic."""
        return self.cluster.committed_records(POSTS)

    def values(self) -> list[bytes | None]:
        """Their values."""
        return [record.value for record in self.back()]


def partition(number: int = 0) -> Partition:
    """A partition of the posts."""
    return Partition(POSTS, number)


def filled(count: int) -> Place:
    """Letters of two partitions by turns, their values numbers from 0."""
    place = Place()
    for number in range(count):
        place.fail(str(number).encode(), number=number % 2, added=why(partition=number % 2))
    return place


def a_replay(replay: str, ends: Mapping[int, int]) -> Begun:
    """A replay of everything."""
    return Begun(replay, "1", Choice(), None, False, 3, False, dict(ends))


def numbers(place: Place) -> list[int]:
    """The numbers of what came back, sorted."""
    return sorted(int(value or b"-1") for value in place.values())
