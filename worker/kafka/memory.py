"""Kafka as the worker sees it, in memory: topics, groups, transactions, and no process to start.

Deterministic: nothing happens but by a call, there is no thread, and no clock but the bound of a
wait, which can be given. Time that passes is a call too: `evict`, `time_out_transactions`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

from worker.errors import UnknownTopic
from worker.kafka.broker import Position
from worker.kafka.client_settings import ClientSettings
from worker.kafka.memory_broker import MemoryBroker
from worker.kafka.memory_group import MemoryGroup
from worker.kafka.memory_log import Fate, PartitionLog, Written
from worker.messages import Outgoing, Partition, Receipt, Record

RECORD_BYTES_MAX = 1_048_588
Wait = Callable[[Callable[[], bool], float], bool]
"""Waits for a condition, at most so many seconds, and says whether it holds."""


def unwaiting(condition: Callable[[], bool], timeout_s: float) -> bool:  # noqa: ARG001 -- a Wait.
    """Look once: nothing can change meanwhile for who does everything in one thread."""
    return condition()


class _Producer:
    """What the coordinator knows of a transactional id."""

    def __init__(self) -> None:
        self.epoch = 0
        self.timed_out = False
        self.group = ""
        self.written: Written | None = None
        self.positions: dict[Partition, Position] = {}


class MemoryCluster:
    """A cluster; `connect` gives its members. Thread-safe: everything is done under one lock."""

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        record_bytes_max: int = RECORD_BYTES_MAX,
        wait: Wait | None = None,
    ) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.wait = wait or self.changed.wait_for
        self.record_bytes_max = record_bytes_max
        self.leaderless: set[Partition] = set()
        self._logs: dict[str, list[PartitionLog]] = {}
        self._groups: dict[str, MemoryGroup] = {}
        self._producers: dict[str, _Producer] = {}
        self._incarnations: dict[str, int] = {}
        for topic, partitions in (topics or {}).items():
            self.create_topic(topic, partitions)

    # What a person with the command-line tools could do.

    def connect(self, settings: ClientSettings) -> MemoryBroker:
        """Connect a process; UnknownTopic when its topic does not exist."""
        with self.changed:
            self.partitions_of(settings.topic)
            self.group(settings.group, settings.topic).free_unowned(settings.slot_id)
            broker = MemoryBroker(self, settings)
            broker.take_over()
            self.changed.notify_all()
            return broker

    def create_topic(self, topic: str, partitions: int) -> None:
        """Make a topic."""
        with self.changed:
            self._logs[topic] = [PartitionLog(Partition(topic, n)) for n in range(partitions)]

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let a topic have more partitions."""
        with self.changed:
            logs = self._logs[topic]
            logs += [PartitionLog(Partition(topic, n)) for n in range(len(logs), partitions)]
            for group in self._groups_on(topic):
                group.share_out(self.partitions_of(topic))
            self.changed.notify_all()

    def make_anew(self, topic: str, partitions: int) -> None:
        """Delete a topic, what groups committed of it included, and make another of its name."""
        with self.changed:
            groups = self._groups_on(topic)
            self._incarnations[topic] = self.incarnation(topic) + 1
            for producer in self._producers.values():
                held = producer.positions.items()
                producer.positions = {p: position for p, position in held if p.topic != topic}
            self.create_topic(topic, partitions)
            for group in groups:
                group.share_out([])
                group.share_out(self.partitions_of(topic))
            self.changed.notify_all()

    def produce(self, outgoing: Outgoing) -> Receipt:
        """Write a record outside any transaction, as a plain producer does."""
        with self.changed:
            log = self.log(Partition(outgoing.topic, outgoing.partition or 0))
            receipt = Receipt(log.partition, log.append(outgoing, None))
            self.changed.notify_all()
            return receipt

    def committed_records(self, topic: str) -> list[Record]:
        """Give what a read_committed reader finds in a topic, by partition and offset."""
        return [record for record, committed in self._records(topic) if committed]

    def all_records(self, topic: str) -> list[Record]:
        """Give what a read_uncommitted reader finds in a topic."""
        return [record for record, _ in self._records(topic)]

    def damage(self, partition: Partition, offset: int) -> None:
        """Make a record impossible to decode."""
        with self.changed:
            self.log(partition).damage(offset)

    def trim(self, partition: Partition, offset: int) -> None:
        """Delete the records before `offset`."""
        with self.changed:
            self.log(partition).trim(offset)

    def take_leader(self, partition: Partition) -> None:
        """Let transactions write no record there any more until `give_leader`: theirs time out."""
        with self.changed:
            self.leaderless.add(partition)

    def give_leader(self, partition: Partition) -> None:
        """Let records be written there again."""
        with self.changed:
            self.leaderless.discard(partition)

    # Time that passes.

    def evict(self, broker: MemoryBroker) -> None:
        """Let a member's session time out."""
        with self.changed:
            for group in self._groups.values():
                if broker.member is not None and group.has(broker.member):
                    group.leave(broker.member)
            self.changed.notify_all()

    def time_out_transactions(self) -> None:
        """Abort every open transaction and fence its producer, as their coordinator does."""
        with self.changed:
            for slot_id, producer in self._producers.items():
                if producer.written is not None:
                    self.fence(slot_id)
                    producer.timed_out = True

    # What brokers of this cluster use, under its lock.

    def partitions_of(self, topic: str) -> Sequence[Partition]:
        """Give a topic's partitions."""
        if topic not in self._logs:
            raise UnknownTopic(topic)
        return [log.partition for log in self._logs[topic]]

    def incarnation(self, topic: str) -> int:
        """Tell topics of one name apart."""
        return self._incarnations.get(topic, 0)

    def log(self, partition: Partition) -> PartitionLog:
        """Give a partition's log."""
        return self._logs[partition.topic][partition.number]

    def group(self, name: str, topic: str) -> MemoryGroup:
        """Give a group, a new one at first."""
        if name not in self._groups:
            self._groups[name] = MemoryGroup(self.partitions_of(topic))
        return self._groups[name]

    def fence(self, slot_id: str) -> int:
        """Give a transactional id to a new producer: abort what the old one left open."""
        producer = self._producers.setdefault(slot_id, _Producer())
        producer.epoch += 1
        producer.timed_out = False
        if producer.written is not None:
            self.end(slot_id, Fate.ABORTED)
        return producer.epoch

    def epoch(self, slot_id: str) -> int:
        """Give the epoch of a transactional id's newest producer."""
        return self._producers[slot_id].epoch if slot_id in self._producers else 0

    def has_timed_out(self, slot_id: str) -> bool:
        """Whether the coordinator gave the last transaction up, and nobody took the id over."""
        return slot_id in self._producers and self._producers[slot_id].timed_out

    def open(self, slot_id: str, group: str, written: Written) -> None:
        """Note a transaction that has written something."""
        producer = self._producers[slot_id]
        producer.written, producer.group = written, group

    def hold(self, slot_id: str, positions: Mapping[Partition, Position]) -> None:
        """Keep a transaction's offsets until its end."""
        self._producers[slot_id].positions.update(positions)

    def pending_offsets(self, group: str) -> set[Partition]:
        """Give the partitions of a group whose offsets an open transaction holds."""
        return {
            partition
            for producer in self._producers.values()
            if producer.written is not None and producer.group == group
            for partition in producer.positions
        }

    def end(self, slot_id: str, fate: Fate) -> None:
        """End a slot's transaction, its offsets with it."""
        producer = self._producers[slot_id]
        if producer.written is not None:
            producer.written.end(fate)
        if fate is Fate.COMMITTED and producer.positions:
            self._groups[producer.group].committed.update(producer.positions)
        producer.written, producer.positions = None, {}
        self.changed.notify_all()

    def _groups_on(self, topic: str) -> list[MemoryGroup]:
        found = self._groups.values()
        return [group for group in found if any(p.topic == topic for p in group.partitions)]

    def _records(self, topic: str) -> list[tuple[Record, bool]]:
        with self.changed:
            return [found for log in self._logs[topic] for found in log.records()]
