"""What the contract suite needs of a cluster, for the one in memory and for the real one."""

import contextlib
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

from worker.errors import Unavailable
from worker.kafka import kafka_python
from worker.kafka.broker import Broker, Membership, Polled
from worker.kafka.client_settings import ClientSettings, Delivery
from worker.kafka.memory import MemoryCluster
from worker.kafka.memory_broker import MemoryBroker
from worker.messages import Headers, Outgoing, Partition, Record

POLL_S = 0.05
PATIENCE_S = 20.0
MakeTopic = Callable[..., str]


class Cluster(Protocol):
    """A cluster under test."""

    def topic(self, partitions: int = 1, record_bytes_max: int | None = None) -> str:
        """Make a topic of its own."""

    def open(self, settings: ClientSettings) -> Broker:
        """Connect."""

    def evict(self, broker: Broker, settings: ClientSettings) -> None:
        """Send a member away, as a session that times out does."""

    def trim(self, partition: Partition, offset: int) -> None:
        """Delete the records before an offset."""

    def uncommitted(self, partition: Partition, offset: int) -> list[bytes | None]:
        """Give the values of what a read_uncommitted reader finds before an offset."""

    def grow(self, topic: str, partitions: int) -> None:
        """Let a topic have more partitions."""

    def make_anew(self, topic: str, partitions: int) -> None:
        """Delete a topic and make another of its name."""

    def holds(self, group: str, partition: Partition, offset: int) -> bool:
        """Whether the cluster itself keeps this offset of a group, of whatever topic it was."""


class InMemory:
    """The cluster in memory."""

    servers = "memory"

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self._names = itertools.count(1)

    def topic(self, partitions: int = 1, record_bytes_max: int | None = None) -> str:
        """Make a topic; its limit is the whole cluster's."""
        name = f"posts-{next(self._names)}"
        self.cluster.create_topic(name, partitions)
        if record_bytes_max is not None:
            self.cluster.record_bytes_max = record_bytes_max
        return name

    def open(self, settings: ClientSettings) -> Broker:
        """Connect."""
        return self.cluster.connect(settings)

    def evict(self, broker: Broker, settings: ClientSettings) -> None:
        """Let the session time out."""
        assert isinstance(broker, MemoryBroker)
        self.cluster.evict(broker)

    def trim(self, partition: Partition, offset: int) -> None:
        """Delete the records before an offset."""
        self.cluster.trim(partition, offset)

    def uncommitted(self, partition: Partition, offset: int) -> list[bytes | None]:
        """Give what was ever written before an offset, aborted or not."""
        found = self.cluster.all_records(partition.topic)
        return [r.value for r in found if r.partition == partition and r.offset < offset]

    def grow(self, topic: str, partitions: int) -> None:
        """Let a topic have more partitions."""
        self.cluster.add_partitions(topic, partitions)

    def make_anew(self, topic: str, partitions: int) -> None:
        """Delete a topic and make another of its name."""
        self.cluster.make_anew(topic, partitions)

    def holds(self, group: str, partition: Partition, offset: int) -> bool:
        """Say yes: what is no offset of the topic that is there now is taken, and not kept."""
        return True


class Real:
    """Apache Kafka."""

    def __init__(self, servers: str, make_topic: MakeTopic) -> None:
        self.servers = servers
        self._make_topic = make_topic

    def topic(self, partitions: int = 1, record_bytes_max: int | None = None) -> str:
        """Make a topic that keeps records of any age: retention goes by their timestamps."""
        configuration = {"retention_ms": "-1"}
        if record_bytes_max is not None:
            configuration["max_message_bytes"] = str(record_bytes_max)
        return self._make_topic("contract", partitions, **configuration)

    def open(self, settings: ClientSettings) -> Broker:
        """Connect."""
        return kafka_python.connect(settings)

    def evict(self, broker: Broker, settings: ClientSettings) -> None:
        """Send the member away as an operator can."""
        from kafka import KafkaAdminClient
        from kafka.admin import MemberToRemove

        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            described = admin.describe_groups([settings.group])[settings.group]
            mine = [
                member["member_id"]
                for member in described["members"]
                if member["client_id"] == settings.slot_id
            ]
            admin.remove_group_members(
                settings.group, [MemberToRemove(member_id=member) for member in mine]
            )

    def trim(self, partition: Partition, offset: int) -> None:
        """Delete the records before an offset."""
        from kafka import KafkaAdminClient, TopicPartition

        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            admin.delete_records({TopicPartition(*partition): offset})

    def uncommitted(self, partition: Partition, offset: int) -> list[bytes | None]:
        """Read by a plain client until it is past the offset, for as long as patience lasts."""
        from kafka import KafkaConsumer, TopicPartition

        deadline_s = time.monotonic() + PATIENCE_S
        found: list[bytes | None] = []
        wanted = TopicPartition(*partition)
        with contextlib.closing(KafkaConsumer(bootstrap_servers=self.servers)) as reader:
            reader.assign([wanted])
            reader.seek(wanted, 0)
            while reader.position(wanted) < offset and time.monotonic() < deadline_s:
                polled = reader.poll(200, max_records=1).get(wanted, ())
                found += [record.value for record in polled if record.offset < offset]
        return found

    def grow(self, topic: str, partitions: int) -> None:
        """Let a topic have more partitions."""
        from kafka import KafkaAdminClient
        from kafka.admin import NewPartitions

        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            admin.create_partitions({topic: NewPartitions(partitions)})

    def make_anew(self, topic: str, partitions: int) -> None:
        """Delete a topic and make another of its name."""
        from kafka import KafkaAdminClient
        from kafka.admin import NewTopic

        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            admin.delete_topics([topic])
            admin.create_topics([NewTopic(topic, partitions, 1)])

    def holds(self, group: str, partition: Partition, offset: int) -> bool:
        """Ask as an operator can."""
        from kafka import KafkaAdminClient, TopicPartition

        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            found = admin.list_group_offsets(group)[group]
        at = TopicPartition(*partition)
        return at in found and found[at].offset == offset


@dataclass
class Bench:
    """One topic, one group, and the brokers that a test opened on them."""

    cluster: InMemory | Real
    posts: str
    verdicts: str
    group: str

    def __post_init__(self) -> None:
        self._open: list[Broker] = []
        self._settings: dict[int, ClientSettings] = {}

    def settings(
        self, slot: str = "a", delivery: Delivery = "exactly-once", topic: str | None = None
    ) -> ClientSettings:
        """Give the settings of a slot of this group."""
        return ClientSettings(
            bootstrap_servers=self.cluster.servers,
            group=self.group,
            topic=topic or self.posts,
            slot_id=f"{self.group}-{slot}",
            delivery=delivery,
            metadata_max_age_ms=500,
        )

    def connect(self, slot: str = "a", delivery: Delivery = "exactly-once") -> Broker:
        """Connect a member, which is closed at the end."""
        settings = self.settings(slot, delivery)
        broker = self.cluster.open(settings)
        self._open.append(broker)
        self._settings[id(broker)] = settings
        return broker

    def evict(self, broker: Broker) -> None:
        """Send a member away."""
        self.cluster.evict(broker, self._settings[id(broker)])

    def close(self) -> None:
        """Close all that was opened."""
        for broker in self._open:
            broker.close(5.0, leave=True)

    def write(self, values: Iterable[bytes], number: int = 0, topic: str | None = None) -> None:
        """Have somebody else write records, without a transaction."""
        writer = self.connect("writer", "at-least-once")
        transaction = writer.begin(5.0)
        for value in values:
            transaction.send(outgoing(topic or self.posts, value, number=number))
        transaction.settle(5.0)
        transaction.commit(5.0)

    def read(self, topic: str, count: int) -> list[Record]:
        """Read `count` committed records of a topic as a group of its own."""
        broker = self.cluster.open(
            ClientSettings(self.cluster.servers, f"{self.group}-reader", topic, "reader")
        )
        try:
            return records(broker, count)
        finally:
            broker.close(5.0, leave=True)


def outgoing(
    topic: str,
    value: bytes | None,
    *,
    key: bytes | None = b"key",
    number: int | None = 0,
    headers: Headers = (),
    timestamp_ms: int = 1_700_000_000_000,
) -> Outgoing:
    """Make a record to be written."""
    return Outgoing(topic, number, key, value, headers, timestamp_ms)


_owned: "WeakKeyDictionary[Broker, set[Partition]]" = WeakKeyDictionary()


def owned_by(broker: Broker) -> set[Partition]:
    """Give what a broker was told that it owns."""
    return _owned.setdefault(broker, set())


def poll(broker: Broker) -> Polled:
    """Poll once, and keep the books of what the broker owns."""
    polled = broker.poll(POLL_S, 100)
    mine = owned_by(broker)
    mine.difference_update(polled.revoked, polled.lost)
    mine.update(polled.gained)
    return polled


def polls(*brokers: Broker) -> Iterator[list[Polled]]:
    """Poll all, again and again, as long as patience lasts."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        found = []
        for broker in brokers:
            try:
                found.append(poll(broker))
            except Unavailable:
                break
        else:
            yield found
    raise TimeoutError("nothing came of it")


def join(*brokers: Broker) -> list[Membership]:
    """Poll until the group is stable, with a partition for each, and give the memberships."""
    quiet = 0
    for found in polls(*brokers):
        quiet = 0 if any(p.gained or p.revoked or p.lost for p in found) else quiet + 1
        memberships = [p.membership for p in found if p.membership is not None]
        if len(memberships) == len(brokers) and all(map(owned_by, brokers)) and quiet >= 2:
            return memberships
    raise AssertionError


def records(broker: Broker, count: int) -> list[Record]:
    """Poll until `count` records have come."""
    found: list[Record] = []
    for (polled,) in polls(broker):
        found += polled.records
        if len(found) >= count:
            return found
    raise AssertionError


def silence(broker: Broker, turns: int = 6) -> Sequence[Record]:
    """Poll a few times and give what came, which should be nothing."""
    return [record for _ in range(turns) for record in poll(broker).records]


def positions_until(broker: Broker, partition: Partition, offset: int) -> None:
    """Poll until the broker says that `partition` goes on at `offset`."""
    for (polled,) in polls(broker):
        if polled.next_offsets.get(partition) == offset:
            return


def values(found: Collection[Record]) -> list[bytes | None]:
    """Give the values of records."""
    return [record.value for record in found]
