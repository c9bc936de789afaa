"""Images by http, through a real Kafka and a real worker process, from hosts good and bad."""

import asyncio
import json
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from schemas.reasons import Reason
from schemas.verdict import Verdict
from tests.conftest import MakeTopic
from tests.image_hosts import Loopback, answering, loopback
from tests.integration.worker.running_worker import RunningWorker, Topics, running_worker
from tests.tiny_bundle import LABELS, write_tiny_bundle
from tuwen.kafka_client import polled, reader
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_python import connect
from worker.messages import Outgoing

pytestmark = pytest.mark.kafka

POSTS = 60
AT_ONCE = 8
TIMEOUT_S = 60.0
# A host holds a batch up for longer than a worker may be silent in the group.
IMAGE_TIMEOUT_S = 12.0
WORKER = [
    *("--request-timeout-ms", "1000", "--delivery-timeout-ms", "2000"),
    *("--transaction-timeout-ms", "3000", "--session-timeout-ms", "6000"),
    *("--max-poll-interval-ms", "7000", "--image-timeout-s", str(IMAGE_TIMEOUT_S)),
    *("--image-first-answer-s", str(IMAGE_TIMEOUT_S)),
]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def white() -> bytes:
    """A picture that speaks for the first label."""
    file = BytesIO()
    Image.new("RGB", (8, 8), "white").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def servers() -> Iterator[Loopback]:
    """Hosts that end with the test."""
    with loopback() as running:
        yield running


def test_a_slow_host_costs_neither_membership_nor_any_other_hosts_images(
    kafka: str, make_topic: MakeTopic, servers: Loopback, tmp_path: Path
) -> None:
    """While it is waited for polling goes on: no rebalance, and one outcome for each post."""
    good, bad = servers.serve(answering(white())), servers.serve(silent)
    topics = Topics(make_topic("posts", 2), make_topic("verdicts", 2), make_topic("letters", 1))
    write_tiny_bundle(tmp_path / "bundle")
    flags = [
        *("--image-allowed-hosts", "127.0.0.1", "--image-networks", "127.0.0.0/8"),
        *("--image-ports", f"{good},{bad}", *WORKER),
        *("--image-connections-per-host-max", str(AT_ONCE)),
    ]
    with running_worker(kafka, topics, tmp_path / "bundle", tmp_path, flags) as worker:
        send(worker, {str(n): f"http://127.0.0.1:{(good, bad)[n % 2]}/{n}" for n in range(POSTS)})
        verdicts = read(worker)
        changes = {
            kind: worker.metric("tuwen_partitions_moved_total", kind=kind)
            for kind in ("gained", "revoked", "lost")
        }
        timeouts = worker.metric("tuwen_image_fetches_total", outcome=Reason.IMAGE_TIMEOUT)
        worst, well = json.loads(worker.page("debug/images"))
        assert worker.stop() == 0
    assert (worst["host"], worst["left_alone"]) == (f"127.0.0.1:{bad}", True)
    assert (well["host"], well["failed"]) == (f"127.0.0.1:{good}", 0)
    assert changes == {"gained": 2, "revoked": 0, "lost": 0}
    assert sorted(verdicts) == sorted(str(n) for n in range(POSTS))
    assert {verdicts[str(n)].missing for n in range(0, POSTS, 2)} == {None}
    assert {verdicts[str(n)].label for n in range(0, POSTS, 2)} == {LABELS[0]}
    missing = {verdicts[str(n)].missing for n in range(1, POSTS, 2)}
    assert missing == {Reason.IMAGE_TIMEOUT, Reason.IMAGE_HOST_UNAVAILABLE}
    assert 0 < timeouts <= AT_ONCE


def send(worker: RunningWorker, images: dict[str, str]) -> None:
    """Write a post for each image, in one transaction."""
    broker = connect(ClientSettings(worker.servers, "sender", worker.topics.posts, "sender-0"))
    try:
        transaction = broker.begin(10)
        for number, (name, image) in enumerate(images.items()):
            post = msgspec.json.encode({"id": name, "text": "好", "image": image})
            outgoing = Outgoing(
                worker.topics.posts, number % 2, None, post, (), time.time_ns() // 1_000_000
            )
            assert transaction.send(outgoing) is None
        transaction.settle(30)
        transaction.commit(10)
    finally:
        broker.close(5, leave=True)


def read(worker: RunningWorker) -> dict[str, Verdict]:
    """Read verdicts until there is one for each post; none twice."""
    found: dict[str, Verdict] = {}
    deadline_s = time.monotonic() + TIMEOUT_S
    with reader(worker.servers, [worker.topics.verdicts], "beginning") as client:
        while len(found) < POSTS and time.monotonic() < deadline_s:
            worker.check()
            for record in polled(client, 200):
                verdict = msgspec.json.decode(record.value or b"", type=Verdict)
                assert verdict.id not in found
                found[verdict.id] = verdict
    return found
