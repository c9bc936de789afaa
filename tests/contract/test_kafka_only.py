"""Traps of kafka-python and of a broker that does not answer, on the real Kafka alone."""

import contextlib
import gc
import signal
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from crc32c import crc32c

from tests.conftest import MakeTopic
from tests.contract.harness import (
    Bench,
    Real,
    join,
    outgoing,
    owned_by,
    poll,
    polls,
    records,
    silence,
    values,
)
from tests.services import missing_service
from tuwen import local_kafka
from tuwen.local_kafka_errors import JarsUnavailable, JavaMissing
from worker.errors import InDoubt, TransactionAborted, Unavailable, Undecodable
from worker.kafka import kafka_python
from worker.kafka.broker import Broker, Position
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_python import KafkaPython
from worker.kafka.record_batches import HEADER
from worker.messages import Partition

pytestmark = pytest.mark.kafka

BOUND_S = 0.5
# What a bounded call may take beyond its bound on a busy machine.
SLACK_S = 3.0


@pytest.fixture
def bench(kafka: str, make_topic: MakeTopic) -> Iterator[Bench]:
    """A bench on the real Kafka alone."""
    cluster = Real(kafka, make_topic)
    made = Bench(cluster, cluster.topic(2), cluster.topic(2), f"only-{time.monotonic_ns()}")
    yield made
    made.close()


@contextlib.contextmanager
def frozen(servers: str) -> Iterator[None]:
    """Stop the broker's process, as a machine that hangs does."""
    port = int(servers.rsplit(":", 1)[1])
    (pid,) = {
        found.pid
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr[1:] == (port,) and found.pid
    }
    broker = psutil.Process(pid)
    broker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def within(bound_s: float) -> Iterator[None]:
    """Fail when the body takes longer than its bound, and some slack."""
    started_s = time.monotonic()
    yield
    assert time.monotonic() - started_s < bound_s + SLACK_S


def quick(bench: Bench, slot: str) -> KafkaPython:
    """Connect a member that gives up early."""
    settings = replace(bench.settings(slot), request_timeout_ms=1_500, delivery_timeout_ms=1_600)
    broker = kafka_python.connect(settings)
    assert isinstance(broker, KafkaPython)
    return broker


def test_a_record_that_was_given_up_is_never_committed_around(bench: Bench) -> None:
    """The client's own commit would go through without it: its future alone knows."""
    broker = quick(bench, "late")
    try:
        transaction = broker.begin(5.0)
        transaction.send(outgoing(bench.posts, b"given up"))
        with frozen(bench.cluster.servers), within(3.0), pytest.raises(TransactionAborted):
            transaction.settle(3.0)
        transaction = broker.begin(10.0)
        transaction.send(outgoing(bench.posts, b"sent again"))
        transaction.settle(5.0)
        transaction.commit(5.0)
    finally:
        broker.close(5.0, leave=True)
    assert values(records(bench.connect(), 1)) == [b"sent again"]


def test_a_commit_that_is_not_answered_is_in_doubt(bench: Bench) -> None:
    """Within its bound; and the committed offsets tell, once the broker is back."""
    broker = bench.connect()
    (membership,) = join(broker)
    first = Partition(bench.posts, 0)
    transaction = broker.begin(5.0)
    transaction.send(outgoing(bench.verdicts, b"1"))
    transaction.settle(5.0)
    transaction.offsets({first: Position(1)}, membership, 5.0)
    with frozen(bench.cluster.servers), within(BOUND_S), pytest.raises(InDoubt):
        transaction.commit(BOUND_S)
    broker.begin(10.0).abort(5.0)
    found = broker.committed([first], 5.0)
    assert found in ({}, {first: Position(1)})


def test_every_wait_is_bounded(bench: Bench) -> None:
    """kafka-python waits for ever in begin, offsets, abort and close."""
    broker = bench.connect()
    (membership,) = join(broker)
    first = Partition(bench.posts, 0)
    transaction = broker.begin(5.0)
    with frozen(bench.cluster.servers):
        with within(BOUND_S), pytest.raises(TransactionAborted):
            transaction.offsets({first: Position(1)}, membership, BOUND_S)
        with within(BOUND_S):
            transaction.abort(BOUND_S)
        with within(BOUND_S), pytest.raises(Unavailable):
            broker.begin(BOUND_S)
        with within(BOUND_S), pytest.raises(Unavailable):
            broker.committed([first], BOUND_S)
        with within(BOUND_S), pytest.raises(Unavailable):
            broker.ends([first], BOUND_S)
        with within(BOUND_S), pytest.raises(Unavailable):
            broker.mark({first: Position(1)}, membership, BOUND_S)
        with within(BOUND_S), pytest.raises(Unavailable):
            broker.partitions(bench.posts, BOUND_S)
        with within(BOUND_S):
            broker.poll(BOUND_S, 10)
        with within(BOUND_S):
            broker.close(BOUND_S, leave=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_is_not_there_is_named(bench: Bench) -> None:
    """Within five seconds, and with the reason that only the client's log knows."""
    nobody = replace(bench.settings(), bootstrap_servers="127.0.0.1:1")
    started_s = time.monotonic()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 .*REFUSED"):
        kafka_python.connect(nobody)
    assert time.monotonic() - started_s < 5
    gc.collect()  # kafka-python leaves the sockets of refused connections to the collector


def test_a_join_that_ends_between_two_polls_is_not_forgotten(bench: Bench) -> None:
    """New metadata made the leader join anew, and the poll that began it was over too soon."""
    broker = bench.connect()
    join(broker)
    assert isinstance(broker, KafkaPython)
    coordinator = broker._member._coordinator
    coordinator._assignment_snapshot = {}  # the leader handed out what was known then: nothing
    while coordinator._join_task is None:
        broker.poll(0.0, 1)
    while not coordinator._join_task.is_done:
        time.sleep(0.001)  # nothing to wait on: the client's IO thread does it
    for (polled,) in polls(broker):
        if polled.membership is not None:
            break


def test_a_join_costs_the_group_one_round_and_no_more(bench: Bench) -> None:
    """A result that came between two polls is taken, and not asked for again."""
    first, second = bench.connect("a"), bench.connect("b")
    join(first)
    join(first, second)
    assert isinstance(first, KafkaPython)
    # Alone, joined by the other, and the round in which that one got its share.
    assert first._member._coordinator._generation.generation_id <= 4


def test_a_broken_batch_stops_its_partition_and_no_other(tmp_path: Path) -> None:
    """A record that is none, in a batch whose checksum fits: on disk, since no broker takes it."""
    state = tmp_path / "kafka"
    try:
        running = local_kafka.start(state, heap_mb=256)
    except (JarsUnavailable, JavaMissing) as absent:
        missing_service("Apache Kafka", str(absent))
    try:
        topic = _topic(running.bootstrap_servers)
        settings = ClientSettings(running.bootstrap_servers, "broken", topic, "broken-0")
        _write(settings, topic)
        local_kafka.stop(state)
        _break_second_batch(next((state / "log").glob(f"{topic}-0/*.log")))
        running = local_kafka.start(state, heap_mb=256)
        settings = replace(settings, bootstrap_servers=running.bootstrap_servers)
        _read_around_the_damage(settings, topic)
    finally:
        local_kafka.erase(state)


def _topic(servers: str) -> str:
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    with contextlib.closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        admin.create_topics([NewTopic("broken", 2, 1)], wait_for_metadata=True)
    return "broken"


def _write(settings: ClientSettings, topic: str) -> None:
    """Write two batches to the first partition, one to the second."""
    writer = kafka_python.connect(replace(settings, delivery="at-least-once"))
    for content, number in ((b"good", 0), (b"bad", 0), (b"other", 1)):
        transaction = writer.begin(5.0)
        for _ in range(2):
            transaction.send(outgoing(topic, content, number=number))
        transaction.settle(5.0)
        transaction.commit(5.0)
    writer.close(5.0, leave=True)


def _break_second_batch(log: Path) -> None:
    """Let the second record of the second batch say that it is longer, and mend the checksum."""
    content = bytearray(log.read_bytes())
    (length,) = struct.unpack_from(">i", content, 8)
    start = 12 + length
    (length,) = struct.unpack_from(">i", content, start + 8)
    end = start + 12 + length
    first_record_bytes = content[start + HEADER.size] // 2 + 1
    content[start + HEADER.size + first_record_bytes] += 2
    crc = crc32c(bytes(content[start + 21 : end]))
    struct.pack_into(">I", content, start + 17, crc)
    log.write_bytes(content)


def _poll_for_ever(broker: Broker, found: list[bytes | None]) -> None:
    for (polled,) in polls(broker):
        found += values(polled.records)


def _read_around_the_damage(settings: ClientSettings, topic: str) -> None:
    broker = kafka_python.connect(settings)
    first = Partition(topic, 0)
    found: list[bytes | None] = []
    with pytest.raises(Undecodable, match="broken/0 cannot be read from offset 3") as failed:
        _poll_for_ever(broker, found)
    assert (failed.value.partition, failed.value.offset) == (first, 3)
    while len(found) < 5:
        found += values(poll(broker).records)
    assert sorted(found, key=str) == [b"bad", b"good", b"good", b"other", b"other"]
    assert silence(broker) == []
    broker.resume([first])
    assert silence(broker) == []
    assert owned_by(broker) == {first, Partition(topic, 1)}
    broker.seek(first, 2)
    assert values(records(broker, 1)) == [b"bad"]
    with pytest.raises(Undecodable):
        _poll_for_ever(broker, found)
    broker.close(5.0, leave=True)
