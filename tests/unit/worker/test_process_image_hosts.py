"""A worker process whose images are at hosts."""

import asyncio
import json
import threading
from pathlib import Path

import pytest

from tests.image_hosts import loopback
from tests.tiny_bundle import write_tiny_bundle
from tests.unit.worker.test_process import TOPICS, Running
from worker import logs
from worker.exit_codes import REFUSED, STOPPED
from worker.kafka.memory import MemoryCluster
from worker.messages import Outgoing
from worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the tests' own logs alone."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)


def test_a_worker_that_waits_for_a_host_stops_when_it_is_told_to(tmp_path: Path) -> None:
    """What it waited for is not committed: who owns it next does it again."""
    write_tiny_bundle(tmp_path / "bundle")
    asked = threading.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    cluster = MemoryCluster(TOPICS)
    with loopback() as servers:
        port = servers.serve(silent)
        settings = WorkerSettings(
            bundle=tmp_path / "bundle",
            instance="here",
            image_allowed_hosts="127.0.0.1",
            image_networks="127.0.0.0/8",
            image_ports=str(port),
            image_timeout_s=300,
            image_first_answer_s=300,
            stop_timeout_s=0.5,
        )
        running = Running(settings, cluster.connect)
        assert running.told.heard.wait(20)
        post = json.dumps({"id": "a", "text": "好", "image": f"http://127.0.0.1:{port}/a.jpg"})
        cluster.produce(Outgoing("tuwen.posts", 0, None, post.encode(), (), 1000))
        assert asked.wait(20)
        assert running.stop() == STOPPED
    assert cluster.committed_records("tuwen.verdicts") == []
    assert [thread.name for thread in threading.enumerate() if thread.name == "images"] == []


def test_a_worker_whose_hosts_cannot_be_read_refuses_to_start(tmp_path: Path) -> None:
    """In one line that names the setting."""
    write_tiny_bundle(tmp_path / "bundle")
    settings = WorkerSettings(bundle=tmp_path / "bundle", image_allowed_hosts="http://a.example/")
    running = Running(settings, MemoryCluster(TOPICS).connect)
    assert running.join() == REFUSED
    assert running.told.why.startswith("image_allowed_hosts: 'http://a.example/' is no host")
