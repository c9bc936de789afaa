"""Connect to Kafka for a command: bounded in time, and in words that say what to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from tuwen.failures import Failed
from worker.errors import LinkRefused, NotAuthorized, Unavailable
from worker.kafka.client_errors import Operation, translate, translated
from worker.kafka.cluster_questions import ClusterQuestions
from worker.kafka.connections import connected, distrust
from worker.kafka.exact_records import ExactRecords
from worker.link_settings import LinkSettings
from worker.messages import Partition, Record

CONNECT_TIMEOUT_MS: Final = 2_000
"""A command says within 5 s that nobody answers."""

COMMON: Final = {
    "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS,
    "request_timeout_ms": 5_000,
    "reconnect_backoff_max_ms": 1_000,
}

Start = Literal["beginning", "now"]
Address = LinkSettings | str
"""Where Kafka is and how it is secured; a string is one that trusts everybody."""
QUESTION_S: Final = 5.0
FIND_TIMEOUT_MS: Final = 3_000


@contextmanager
def admin(kafka: Address) -> Iterator[Any]:
    """Connect for questions and topics."""
    client = _connect(KafkaAdminClient, kafka)
    try:
        with _trusting(client, "Create"):
            yield client
    finally:
        client.close()


@contextmanager
def producer(kafka: Address) -> Iterator[Any]:
    """Connect for sending; what was not flushed is not waited for."""
    client = _connect(
        KafkaProducer,
        kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=10,
        batch_size=256 * 1024,
        compression_type="lz4",
        delivery_timeout_ms=10_000,
        max_block_ms=5_000,
    )
    try:
        with _trusting(client, "Write"):
            yield client
    finally:
        client.close(timeout=1)


def begin_transactions(kafka: Address) -> None:
    """Let a new broker make its transaction log now, and not while the first post waits."""
    client = _connect(KafkaProducer, kafka, transactional_id="tuwen-first")
    try:
        client.init_transactions()
    finally:
        client.close(timeout=1)


@contextmanager
def reader(kafka: Address, topics: Sequence[str], start: Start) -> Iterator[Any]:
    """Connect for reading all partitions of these topics, read_committed, without a group.

    Its polls give `worker.messages.Record`s: byte for byte, headers that are no UTF-8 included.
    """
    client = _connect(
        KafkaConsumer,
        kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
    )
    # kafka-python has no public way to this; its version is pinned.
    client._fetcher.PartitionRecords = ExactRecords  # noqa: SLF001
    try:
        partitions = [p for topic in topics for p in _partitions(client, topic)]
        client.assign(partitions)
        if start == "beginning":
            client.seek_to_beginning(*partitions)
        else:
            client.seek_to_end(*partitions)
            for partition in partitions:
                client.position(partition, timeout_ms=5_000)
        with _trusting(client, "Read"):
            yield client
    finally:
        client.close(autocommit=False)


def _partitions(client: Any, topic: str) -> list[Any]:
    count = ClusterQuestions(client).partitions(topic, QUESTION_S, "Read")
    return [TopicPartition(topic, number) for number in range(count)]


def servers_of(kafka: Address) -> str:
    """Give host and port of the brokers."""
    return kafka if isinstance(kafka, str) else kafka.bootstrap_servers


@contextmanager
def _trusting(client: Any, operation: Operation) -> Iterator[None]:
    """Say which right is missing for what is done inside, or who does not trust whom by now."""
    try:
        yield
    except KafkaError as error:
        told = distrust(getattr(client, "_manager", None)) or translate(
            error, "asking Kafka", Unavailable, operation
        )
        if isinstance(told, LinkRefused | NotAuthorized):
            raise told from error
        raise


def _connect(kind: Any, kafka: Address, **settings: Any) -> Any:
    link = LinkSettings(bootstrap_servers=kafka) if isinstance(kafka, str) else kafka
    servers = link.bootstrap_servers
    config = {"bootstrap_servers": servers.split(","), **COMMON, **settings}
    try:
        # It also closes the sockets of a client that could not connect.
        return connected(kind, config, servers, link)
    except LinkRefused:
        raise
    except Unavailable as error:
        raise Failed(f"{error}; `tuwen kafka start` starts one here") from error


def polled(client: Any, timeout_ms: int, records_max: int = 5_000) -> list[Record]:
    """Poll once, and give the records of all partitions together."""
    by_partition = client.poll(timeout_ms, max_records=records_max)
    return [record for records in by_partition.values() for record in records]


def read_all(kafka: Address, topics: Sequence[str]) -> Iterator[Record]:
    """Read all that is committed in these topics now, from their beginning to their end."""
    with reader(kafka, topics, "beginning") as client, translated(f"reading {topics[0]!r}"):
        # With isolation read_committed these are the last stable offsets.
        ends = client.end_offsets(client.assignment())
        while any(client.position(p, timeout_ms=5_000) < end for p, end in ends.items()):
            yield from polled(client, 200)


def record_at(client: Any, partition: Partition, offset: int) -> Record | None:
    """Read one record of a topic that a reader was made for; None where there is none.

    The reader then reads this partition alone, and may be asked for another.
    """
    wanted = TopicPartition(*partition)
    with translated(f"reading {partition.topic!r}"):
        if partition.number not in (client.partitions_for_topic(partition.topic) or ()):
            return None
        client.assign([wanted])
        if offset >= client.end_offsets([wanted])[wanted]:
            return None
        client.seek(wanted, offset)
        # What lies before the log's beginning is answered with the first that is there.
        found = polled(client, FIND_TIMEOUT_MS, records_max=1)
    return next((record for record in found if record.offset == offset), None)
