"""Workers as operators run them: started, stopped, killed and doubled, on a real Kafka."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from schemas.verdict import Verdict
from tests.conftest import MakeTopic
from tests.integration.worker.running_worker import Topics, running_worker
from tests.tiny_bundle import LABELS, write_tiny_bundle
from tuwen.kafka_client import polled, producer, reader
from worker.exit_codes import REFUSED, STOPPED

pytestmark = pytest.mark.kafka

PARTITIONS = 4
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of text and image."""
    folder = tmp_path_factory.mktemp("process") / "bundle"
    write_tiny_bundle(folder)
    return folder


@pytest.fixture
def topics(make_topic: MakeTopic) -> Topics:
    """Three new topics."""
    return Topics(
        make_topic("posts", PARTITIONS), make_topic("verdicts", PARTITIONS), make_topic("letters")
    )


def send(servers: str, topics: Topics, first: int, count: int) -> None:
    """Write posts with ids from `first` on, evenly over the partitions."""
    with producer(servers) as client:
        for number in range(first, first + count):
            post = {"id": str(number), "text": "很好" if number % 2 else "坏"}
            client.send(topics.posts, json.dumps(post).encode(), partition=number % PARTITIONS)
        client.flush(timeout=10)


def verdicts(servers: str, topics: Topics, count: int) -> list[Verdict]:
    """Read verdicts, read_committed, until there are `count`, and what follows within a second."""
    found: list[Verdict] = []
    deadline_s = time.monotonic() + TIMEOUT_S
    with reader(servers, [topics.verdicts], "beginning") as client:
        while time.monotonic() < deadline_s:
            records = polled(client, 1000)
            found += [msgspec.json.decode(r.value or b"", type=Verdict) for r in records]
            if len(found) >= count and not records:
                break
    return found


def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes bring about."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come in time"
        time.sleep(0.05)


def test_posts_are_labelled_and_a_signal_leaves_the_group(
    kafka: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    """Every post has its label; SIGTERM commits, leaves, and ends with 0 in 5 s at most."""
    send(kafka, topics, 0, 100)
    with running_worker(kafka, topics, bundle, tmp_path) as worker:
        found = verdicts(kafka, topics, 100)
        started_s = time.monotonic()
        assert worker.stop() == STOPPED
        assert time.monotonic() - started_s <= 5
    assert {verdict.id: verdict.label for verdict in found} == {
        str(number): LABELS[0] if number % 2 else LABELS[2] for number in range(100)
    }
    assert len(found) == 100


def test_a_killed_child_is_replaced_and_no_post_is_lost_or_labelled_twice(
    kafka: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    """The parent starts another; one scrape tells of both children and of the restart."""
    # The dead member's partitions wait for its session: the broker's least is 6 s.
    flags = ["--processes", "2", "--session-timeout-ms", "6001", "--transaction-timeout-ms", "6000"]
    flags += ["--delivery-timeout-ms", "5500"]
    with running_worker(kafka, topics, bundle, tmp_path, flags) as worker:
        until(lambda: worker.metric("tuwen_partitions_assigned") == PARTITIONS)
        send(kafka, topics, 0, 500)
        child = psutil.Process(worker.command.pid).children()[0]
        child.kill()
        send(kafka, topics, 500, 500)
        counted = Counter(verdict.id for verdict in verdicts(kafka, topics, 1000))
        until(lambda: worker.metric("tuwen_children") == 2)
        until(lambda: "2 of 2" in worker.page("readyz"))
        slots = [worker.metric("process_open_fds", slot=slot) > 0 for slot in ("0", "1", "parent")]
        assert worker.metric("tuwen_child_restarts_total") == 1
        assert worker.stop() == STOPPED
    assert counted == Counter(str(number) for number in range(1000))
    assert slots == [True] * 3


def test_children_end_with_a_killed_parent(
    kafka: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    """A parent that died without a word leaves no worker behind."""
    with running_worker(kafka, topics, bundle, tmp_path, ["--processes", "2"]) as worker:
        children = psutil.Process(worker.command.pid).children()
        worker.command.kill()
        gone, alive = psutil.wait_procs(children, timeout=10)
    assert (len(gone), alive) == (2, [])


def test_more_workers_than_partitions_are_idle_and_ready(
    kafka: str, make_topic: MakeTopic, bundle: Path, tmp_path: Path
) -> None:
    """The second of two workers on one partition has nothing to do, and nothing is wrong."""
    topics = Topics(make_topic("posts"), make_topic("verdicts"), make_topic("letters"))
    with running_worker(kafka, topics, bundle, tmp_path, ["--processes", "2"]) as worker:
        until(lambda: worker.metric("tuwen_partitions_assigned") == 1)
        assert worker.page("readyz") == "2 of 2 workers are ready\n"


def test_a_pinned_slot_in_a_second_terminal_is_refused(
    kafka: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    """Two commands with one --slot: the second says who has it, and the first works on."""
    flags = ["--slot", "3", "--instance", "here"]
    with running_worker(kafka, topics, bundle, tmp_path, flags) as worker:
        second = start_refused(
            *("--bundle", str(bundle), "--bootstrap-servers", kafka, "--group", topics.posts),
            *flags,
        )
        assert (
            f"slot 3 of {topics.posts} on here is taken by process {worker.command.pid}" in second
        )
        assert worker.page("readyz") == f"ready, {PARTITIONS} partitions\n"


def start_refused(*flags: str) -> str:
    """Start a worker that cannot start; give the one line that it says."""
    command = [sys.executable, "-P", "-m", "tuwen", "worker", *flags]
    started_s = time.monotonic()
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # 5 s for the refusal, and room for the start of Python on a busy machine.
    assert time.monotonic() - started_s < 10
    said = [line for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert (refused.returncode, len(said)) == (REFUSED, 1), refused.stderr
    return said[0]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_what_is_missing_is_said_in_one_line(kafka: str, bundle: Path, processes: str) -> None:
    """A bundle, a topic, a broker: each named; with several processes it is said once."""
    flags = ("--bootstrap-servers", kafka, "--group", "refused", "--processes", processes)
    assert "nowhere" in start_refused(*flags, "--bundle", "nowhere")
    with_bundle = (*flags, "--bundle", str(bundle))
    assert "'absent' does not exist" in start_refused(*with_bundle, "--posts-topic", "absent")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        silent = ("--bootstrap-servers", f"127.0.0.1:{port}")
        assert f"127.0.0.1:{port}" in start_refused(*with_bundle, *silent)
        closed.listen()
        taken = start_refused(*with_bundle, "--metrics-port", str(port))
        assert f"{port} is taken" in taken


def test_a_worker_without_a_port_takes_a_free_one_and_prints_it(
    kafka: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    """From 9464 on; the log says which."""
    command = [sys.executable, "-P", "-m", "tuwen", "worker", "--log-format", "json"]
    command += ["--bundle", str(bundle), "--bootstrap-servers", kafka, "--group", topics.posts]
    command += ["--posts-topic", topics.posts, "--verdicts-topic", topics.verdicts]
    command += ["--dead-letters-topic", topics.dead_letters]
    worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert worker.stderr is not None
        said = next(line for line in map(json.loads, worker.stderr) if "url" in line)
        assert int(said["url"].split(":")[2].split("/")[0]) >= 9464
        with urllib.request.urlopen(said["url"], timeout=5) as page:
            assert b"tuwen_build_info" in page.read()
        os.kill(worker.pid, signal.SIGINT)
        assert worker.wait(15) == STOPPED
    finally:
        worker.kill()
        worker.communicate()
