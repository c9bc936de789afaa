"""Everything hostile at once, through a real Kafka and a real worker process."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from schemas import dead_letter
from schemas.manifest import ImageInput
from schemas.reasons import Reason
from schemas.verdict import Verdict
from tests.conftest import MakeTopic
from tests.integration.worker.hostile_posts import Sent, sequence
from tests.integration.worker.running_worker import RunningWorker, Topics, running_worker
from tests.tiny_bundle import write_tiny_bundle
from tuwen.kafka_client import polled, reader
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_python import connect
from worker.messages import Outgoing, Record

pytestmark = pytest.mark.kafka

PARTITIONS = 3
TIMEOUT_S = 120.0
# Kafka deletes what is older than its retention, however lately it was written.
TIMESTAMP_MS = time.time_ns() // 1_000_000 - 3_600_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of text and image."""
    folder = tmp_path_factory.mktemp("hostile") / "bundle"
    write_tiny_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def records(test_data: Path) -> list[Sent]:
    """What is sent, in order."""
    return sequence(test_data, ImageInput(height=8, width=8))


@pytest.fixture(params=["degrade", "dead-letter"])
def worker(
    request: pytest.FixtureRequest,
    kafka: str,
    make_topic: MakeTopic,
    bundle: Path,
    test_data: Path,
    tmp_path: Path,
) -> Iterator[RunningWorker]:
    """A worker of its own topics and group, under one of the two settings."""
    topics = Topics(
        make_topic("posts", PARTITIONS),
        make_topic("verdicts", PARTITIONS),
        make_topic("dead-letters", 1, max_message_bytes="1200000"),
    )
    flags = ["--image-root", str(test_data), "--on-image-failure", request.param]
    with running_worker(kafka, topics, bundle, tmp_path, [*flags, "--processes", "2"]) as running:
        yield running


def test_hostile_posts_cost_only_themselves(worker: RunningWorker, records: list[Sent]) -> None:
    """Good posts get labels, bad ones what the setting says, and the worker goes on unharmed."""
    before = worker.processes()
    places = send(worker, records)
    outcomes = read_outcomes(worker, len(records))
    assert set(outcomes) == set(places)
    for place, sent in zip(places, records, strict=True):
        judge(worker, sent, place, outcomes[place])
    assert worker.processes() == before
    assert worker.metric("tuwen_child_restarts_total") == 0
    assert worker.stop() == 0


Place = tuple[int, int]
"""Partition and offset of a record."""


def send(worker: RunningWorker, records: Sequence[Sent]) -> list[Place]:
    """Write the records byte for byte, and give where each lies."""
    settings = ClientSettings(worker.servers, "sender", worker.topics.posts, "sender-0")
    broker = connect(settings)
    try:
        transaction = broker.begin(10)
        for number, sent in enumerate(records):
            partition = number % PARTITIONS
            refused = transaction.send(
                Outgoing(
                    worker.topics.posts, partition, sent.key, sent.value, sent.headers, TIMESTAMP_MS
                )
            )
            assert refused is None
        receipts = transaction.settle(30)
        transaction.commit(10)
    finally:
        broker.close(5, leave=True)
    return [(receipt.partition.number, receipt.offset) for receipt in receipts]


def read_outcomes(worker: RunningWorker, count: int) -> dict[Place, Record]:
    """Read verdicts and dead letters, read_committed, until there are `count`; none twice."""
    found: dict[Place, Record] = {}
    deadline_s = time.monotonic() + TIMEOUT_S
    topics = [worker.topics.verdicts, worker.topics.dead_letters]
    with reader(worker.servers, topics, "beginning") as client:
        while len(found) < count and time.monotonic() < deadline_s:
            worker.check()
            for record in polled(client, 200):
                place = source(record)
                assert place not in found
                found[place] = record
    return found


def source(record: Record) -> Place:
    """The record that an outcome answers."""
    failure = dead_letter.failure(record.headers)
    if failure is not None:
        return failure.partition, failure.offset
    verdict = msgspec.json.decode(record.value or b"", type=Verdict)
    return verdict.source.partition, verdict.source.offset


def judge(worker: RunningWorker, sent: Sent, place: Place, outcome: Record) -> None:
    """See that one outcome is the right one, and carries what its record carried."""
    assert outcome.timestamp_ms == TIMESTAMP_MS
    assert outcome.key == sent.key
    failure = dead_letter.failure(outcome.headers)
    if failure is None:
        assert outcome.partition == (worker.topics.verdicts, place[0])
        assert outcome.headers == sent.headers
        assert_labelled(worker, sent, outcome)
    else:
        assert outcome.partition.topic == worker.topics.dead_letters
        assert outcome.value == sent.value
        assert dead_letter.split(outcome.headers)[0] == sent.headers
        assert Reason(failure.reason) in sent.bad
        assert not degrades(worker, sent)


def assert_labelled(worker: RunningWorker, sent: Sent, outcome: Record) -> None:
    """A good post has a label from all it has, a bad one from its text alone and says so."""
    verdict = msgspec.json.decode(outcome.value or b"", type=Verdict)
    assert sum(verdict.scores.values()) == pytest.approx(1, abs=1e-5)
    if sent.bad:
        assert degrades(worker, sent)
        assert verdict.used == ("text",)
        assert verdict.missing in sent.bad
    else:
        assert verdict.used == ("text",) * sent.has_text + ("image",) * sent.has_image
        assert verdict.missing in {None, Reason.NO_IMAGE, Reason.NO_TEXT}


def degrades(worker: RunningWorker, sent: Sent) -> bool:
    """Whether this bad post is labelled on its text."""
    return sent.has_text and "degrade" in worker.flags
