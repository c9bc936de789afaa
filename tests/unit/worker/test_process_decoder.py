"""A worker process and its decoder: a child by default on Linux, replaced when it ends."""

import base64
import io
import json
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psutil
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from pydantic import ByteSize

from features.images import ImageLimits
from inference.bundle import load
from schemas.manifest import ImageInput
from schemas.verdict import Verdict
from tests.tiny_bundle import SIDE, write_tiny_bundle
from tests.unit.worker.test_process import TOPICS, Running, until
from worker import logs, process
from worker.exit_codes import REFUSED, STOPPED
from worker.images.decoder import InProcessDecoder
from worker.images.decoder_child.child import DecoderUnavailable, Needs
from worker.kafka.memory import MemoryCluster
from worker.messages import Outgoing
from worker.metrics import Metrics
from worker.settings import WorkerSettings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    """Settings of a worker with a tiny bundle, which leaves the tests' own logs alone."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    write_tiny_bundle(tmp_path / "bundle")
    return WorkerSettings(bundle=tmp_path / "bundle", instance="here")


def posted_image(cluster: MemoryCluster, number: int) -> None:
    """Write a post of a text and a picture of its own: one seen before is not decoded again."""
    written = io.BytesIO()
    Image.new("RGB", (20, 20 + number), "white").save(written, "PNG")
    image = "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
    post = json.dumps({"id": str(number), "text": "很好", "image": image}).encode()
    cluster.produce(Outgoing("tuwen.posts", 0, None, post, (), 1000))


def verdicts(cluster: MemoryCluster) -> list[Verdict]:
    """What was committed so far."""
    records = cluster.committed_records("tuwen.verdicts")
    return [msgspec.json.decode(record.value or b"", type=Verdict) for record in records]


def decoder_children() -> set[psutil.Process]:
    """The decoder children of this process."""
    return {
        child
        for child in psutil.Process().children()
        if "worker.images.decoder_child" in child.cmdline()
    }


def test_a_worker_goes_on_when_its_decoder_is_killed(settings: WorkerSettings) -> None:
    """The spare labels the next image; the metric tells; and a stop leaves no child behind."""
    cluster = MemoryCluster(TOPICS)
    running = Running(settings.model_copy(update={"decoder": "child"}), cluster.connect)
    try:
        assert running.told.heard.wait(20)
        posted_image(cluster, 1)
        until(lambda: len(verdicts(cluster)) == 1)
        until(lambda: len(decoder_children()) == 2)
        none_yet = 'tuwen_decoder_restarts_total{slot="0",why="killed"} 0.0\n'
        assert none_yet in running.page("/metrics")[1]
        for child in decoder_children():
            child.kill()
        posted_image(cluster, 2)
        until(lambda: len(verdicts(cluster)) == 2)
        until(lambda: none_yet not in running.page("/metrics")[1])
    finally:
        code = running.stop()
    assert [verdict.used for verdict in verdicts(cluster)] == [("text", "image")] * 2
    assert (code, decoder_children()) == (STOPPED, set())


def test_a_worker_told_so_decodes_by_itself(settings: WorkerSettings) -> None:
    """As it does where the model has no use for images."""
    cluster = MemoryCluster(TOPICS)
    running = Running(settings.model_copy(update={"decoder": "in-process"}), cluster.connect)
    try:
        posted_image(cluster, 1)
        until(lambda: len(verdicts(cluster)) == 1)
        assert decoder_children() == set()
    finally:
        running.stop()
    [verdict] = verdicts(cluster)
    assert verdict.used == ("text", "image")


def test_a_model_of_texts_has_no_decoder_child(settings: WorkerSettings) -> None:
    """It would cost memory for nothing."""
    manifest = msgspec.structs.replace(load(settings.bundle).manifest, image=None)
    told = settings.model_copy(update={"decoder": "child"})
    with ExitStack() as closing:
        decoder = process._decoder(told, manifest, Metrics(CollectorRegistry()), closing)
        assert isinstance(decoder, InProcessDecoder)


def test_caps_and_time_are_those_of_the_settings(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each under its own name."""
    asked: list[Needs] = []

    def fail(needs: Needs, *_: object) -> None:
        asked.append(needs)
        raise DecoderUnavailable("enough")

    monkeypatch.setattr(process, "ChildDecoder", fail)
    limits = {"image_bytes_max": ByteSize(111), "image_pixels_max": 222}
    told = settings.model_copy(update={**limits, "image_decode_timeout_s": 3.0, "decoder": "child"})
    Running(told, MemoryCluster(TOPICS).connect).join()
    assert asked == [Needs(ImageInput(SIDE, SIDE), ImageLimits(111, 222), 3.0)]


def test_a_worker_without_a_decoder_refuses(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps the child from starting keeps the worker from it."""

    def fail(*_: object) -> None:
        raise DecoderUnavailable("no decoder child: no locks today")

    monkeypatch.setattr(process, "ChildDecoder", fail)
    told = settings.model_copy(update={"decoder": "child"})
    running = Running(told, MemoryCluster(TOPICS).connect)
    assert running.join() == REFUSED
    assert running.told.why == "no decoder child: no locks today"
