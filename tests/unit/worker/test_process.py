import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.verdict import Verdict
from tests.tiny_bundle import LABELS, write_tiny_bundle
from worker import logs, process
from worker.endpoints import Endpoints, Health, Pages
from worker.errors import Unavailable
from worker.exit_codes import FAILED, REFUSED, STOPPED
from worker.kafka.broker import Broker
from worker.kafka.client_settings import ClientSettings
from worker.kafka.memory import MemoryCluster
from worker.kafka.memory_broker import MemoryBroker
from worker.messages import Outgoing
from worker.publish import Publisher
from worker.settings import WorkerSettings
from worker.stopping import Stopping

TOPICS = {"tuwen.posts": 2, "tuwen.verdicts": 2, "tuwen.dead-letters": 1}


class Told:
    """Hears what a worker announces."""

    def __init__(self) -> None:
        self.port = 0
        self.why = ""
        self.was_taken = False
        self.heard = threading.Event()

    def serving(self, host: str, port: int) -> None:
        """Remember the port."""
        self.port = port
        self.heard.set()

    def refused(self, why: str) -> None:
        """Remember why."""
        self.why = why

    def taken(self, why: str) -> None:
        """Remember why, and that it had served before."""
        self.why, self.was_taken = why, True


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the tests' own logs alone."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    """Settings of a worker with a tiny bundle."""
    write_tiny_bundle(tmp_path / "bundle")
    return WorkerSettings(bundle=tmp_path / "bundle", instance="here")


class Running:
    """A worker in a thread, on a cluster in memory."""

    def __init__(self, settings: WorkerSettings, connect: Callable[..., Broker]) -> None:
        self.told = Told()
        self.stopping = Stopping(settings.stop_timeout_s)
        self.code: int | None = None
        self._thread = threading.Thread(target=self._work, args=(settings, connect))
        self._thread.start()

    def _work(self, settings: WorkerSettings, connect: Callable[..., Broker]) -> None:
        self.code = process.work(settings, 0, connect, self.stopping, 0, self.told)

    def page(self, path: str) -> tuple[int, str]:
        """Ask the worker's endpoints."""
        connection = http.client.HTTPConnection("127.0.0.1", self.told.port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def stop(self) -> int | None:
        """Tell it to stop, and give its exit code."""
        self.stopping.request()
        self._thread.join(20)
        return self.code

    def join(self) -> int | None:
        """Wait for its end."""
        self._thread.join(20)
        return self.code


def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait for something that another thread brings about."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come in time"
        time.sleep(0.01)


@pytest.mark.parametrize(("abstain_below", "label"), [(0, LABELS[0]), (1, None)])
def test_a_worker_labels_shows_and_stops(
    settings: WorkerSettings, abstain_below: float, label: str | None
) -> None:
    """From the record to the verdict, with pages on the way and exit code 0 at the end."""
    cluster = MemoryCluster(TOPICS)
    told = settings.model_copy(update={"abstain_below": abstain_below})
    running = Running(told, cluster.connect)
    try:
        assert running.told.heard.wait(20)
        post = json.dumps({"id": "a", "text": "很好"}).encode()
        cluster.produce(Outgoing("tuwen.posts", 1, b"k", post, (), 1000))
        until(lambda: bool(cluster.committed_records("tuwen.verdicts")))
        until(
            lambda: 'tuwen_posts_total{outcome="verdict",slot="0"} 1' in running.page("/metrics")[1]
        )
        assert running.page("/readyz") == (200, "ready, 2 partitions\n")
        assert running.page("/healthz") == (200, "alive\n")
    finally:
        code = running.stop()
    (record,) = cluster.committed_records("tuwen.verdicts")
    verdict = msgspec.json.decode(record.value or b"", type=Verdict)
    assert (code, verdict.label, record.partition.number) == (STOPPED, label, 1)


def test_a_worker_whose_slot_another_takes_ends_with_that_word(settings: WorkerSettings) -> None:
    """Exit code 2: started again, it would only take the slot back."""
    cluster = MemoryCluster(TOPICS)
    first = Running(settings, cluster.connect)
    assert first.told.heard.wait(20)
    until(lambda: first.page("/readyz") == (200, "ready, 2 partitions\n"))
    second = Running(settings, cluster.connect)
    try:
        assert first.join() == REFUSED
        assert first.told.was_taken
        assert first.told.why.startswith("slot taken: another process runs as 'tuwen-here-0', too")
        until(lambda: second.page("/readyz") == (200, "ready, 2 partitions\n"))
    finally:
        code = second.stop()
    assert code == STOPPED


def test_pages_say_starting_until_it_is_put_together(settings: WorkerSettings) -> None:
    """503 with a reason, while the broker is asked; and alive, so that nobody restarts it."""
    shown = process.Shown(settings, 0)
    assert shown.ready() == Health(False, "starting")
    assert shown.alive() == Health(True, "alive")


def test_a_worker_that_does_not_poll_is_not_alive(settings: WorkerSettings) -> None:
    """Past max_poll_interval only a restart helps."""

    class Stuck:
        def state(self) -> Any:
            from worker.pipeline import PipelineState

            return PipelineState(True, 1, "", settings.max_poll_interval_ms / 1000 + 1)

    shown = process.Shown(settings, 0, pipeline=Stuck())  # type: ignore[arg-type]
    assert shown.alive() == Health(False, "has not polled for 31 s")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"bundle": Path("nowhere")}, "nowhere"),
        ({"posts_topic": "none"}, "'none' does not exist"),
        ({"verdicts_topic": "none"}, "'none' does not exist"),
        ({"dead_letters_topic": "none"}, "'none' does not exist"),
        ({"image_root": Path("/nowhere")}, "image_root /nowhere"),
    ],
)
def test_what_is_missing_refuses_to_start_in_one_line(
    settings: WorkerSettings, changes: dict[str, object], named: str
) -> None:
    """Exit code 2, and the text names the thing."""
    cluster = MemoryCluster(TOPICS)
    running = Running(settings.model_copy(update=changes), cluster.connect)
    assert running.join() == REFUSED
    assert named in running.told.why
    assert "\n" not in running.told.why


def test_a_broker_that_does_not_answer_refuses(settings: WorkerSettings) -> None:
    """What the seam says is what the operator reads."""

    def connect(asked: ClientSettings) -> Broker:
        raise Unavailable(f"no answer from {asked.bootstrap_servers}")

    running = Running(settings, connect)
    assert running.join() == REFUSED
    assert running.told.why == "no answer from 127.0.0.1:9092"


def test_a_broker_that_is_away_makes_a_worker_unready_and_not_dead(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restarting all workers of a broker that is away would only make its return harder."""

    def poll(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(MemoryBroker, "poll", poll)
    # A patience that the 0.2 s between two polls do not exhaust.
    impatient = settings.model_copy(
        update={
            "delivery_timeout_ms": 1100,
            "request_timeout_ms": 1000,
            "transaction_timeout_ms": 1200,
            "session_timeout_ms": 1300,
            "max_poll_interval_ms": 2000,
        }
    )
    running = Running(impatient, MemoryCluster(TOPICS).connect)
    try:
        assert running.told.heard.wait(20)
        until(lambda: running.page("/readyz") == (503, "no answer\n"))
        began_s = time.monotonic()
        while time.monotonic() - began_s < 2.5:
            assert running.page("/healthz") == (200, "alive\n")
            time.sleep(0.1)
    finally:
        running.stop()


def test_a_taken_port_refuses(settings: WorkerSettings) -> None:
    """Before the broker is troubled."""
    other = Endpoints(
        "127.0.0.1", 0, Pages(lambda: b"", lambda: Health(True, ""), lambda: Health(True, ""))
    )
    told = Told()
    try:
        code = process.work(
            settings, 0, MemoryCluster(TOPICS).connect, Stopping(5), other.port, told
        )
    finally:
        other.close()
    assert (code, "TUWEN_METRICS_PORT" in told.why) == (REFUSED, True)


def test_an_image_root_that_is_gone_holds_the_worker_up_until_it_is_back(
    settings: WorkerSettings, tmp_path: Path
) -> None:
    """No post is to blame; the readiness page names the folder, the worker goes on by itself."""
    root = tmp_path / "images"
    root.mkdir()
    cluster = MemoryCluster(TOPICS)
    running = Running(settings.model_copy(update={"image_root": root}), cluster.connect)
    try:
        assert running.told.heard.wait(20)
        root.rmdir()
        post = b'{"id": "a", "text": "\xe5\xa5\xbd", "image": "file:x"}'
        cluster.produce(Outgoing("tuwen.posts", 0, None, post, (), 1000))
        until(lambda: f"image_root {root} cannot be opened" in running.page("/readyz")[1])
        assert running.page("/readyz")[0] == 503
        assert running.page("/healthz")[0] == 200
        root.mkdir()
        until(lambda: bool(cluster.committed_records("tuwen.verdicts")))
        until(lambda: running.page("/readyz")[0] == 200)
    finally:
        assert running.stop() == STOPPED
    assert cluster.all_records("tuwen.dead-letters") == []


def test_a_thread_that_fails_ends_the_worker(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1; the post stays uncommitted for whoever owns it next."""

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of the code")

    monkeypatch.setattr(Publisher, "dead_letter", fail)
    cluster = MemoryCluster(TOPICS)
    running = Running(settings, cluster.connect)
    cluster.produce(Outgoing("tuwen.posts", 0, None, b"{broken", (), 1000))
    assert running.join() == FAILED
    assert cluster.committed_records("tuwen.dead-letters") == []


def test_the_slot_and_the_timeouts_reach_the_client(settings: WorkerSettings) -> None:
    """Each setting under its own name; the transactional id is group-instance-slot."""
    seen: list[ClientSettings] = []

    def connect(asked: ClientSettings) -> Broker:
        seen.append(asked)
        raise Unavailable("enough")

    changed = settings.model_copy(
        update={
            "request_timeout_ms": 1,
            "delivery_timeout_ms": 2,
            "transaction_timeout_ms": 3,
            "session_timeout_ms": 4,
            "max_poll_interval_ms": 5,
            "delivery": "at-least-once",
        }
    )
    Running(changed, connect).join()
    assert seen == [
        ClientSettings(
            bootstrap_servers="127.0.0.1:9092",
            group="tuwen",
            topic="tuwen.posts",
            slot_id="tuwen-here-0",
            delivery="at-least-once",
            request_timeout_ms=1,
            delivery_timeout_ms=2,
            transaction_timeout_ms=3,
            session_timeout_ms=4,
            max_poll_interval_ms=5,
            security=changed,
            written_topics=("tuwen.verdicts", "tuwen.dead-letters"),
        )
    ]


def test_a_worker_imports_nothing_of_training() -> None:
    """No TensorFlow, scikit-learn or jieba, whatever is installed beside it."""
    script = (
        "import sys, worker.process\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'jieba', 'scipy', 'onnx', 'tf2onnx'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"


def test_a_child_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    """No settings at all are the parent's end."""
    said = subprocess.run(
        [sys.executable, "-P", "-m", "worker.process"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (said.returncode, said.stdout) == (STOPPED, b"")
