"""A local Kafka starts, is found again, survives what happens to it, and ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.services import missing_service
from tuwen import java, kafka_broker, kafka_jars, local_kafka
from tuwen.local_kafka_errors import JarsUnavailable, JavaMissing
from tuwen.process_identity import identify, is_running

pytestmark = pytest.mark.kafka

STARTER = """
import sys, pathlib
from tuwen import kafka_broker, local_kafka
kafka_broker.await_ready = lambda *_: (print("spawned", flush=True), __import__("time").sleep(60))
local_kafka.start(pathlib.Path(sys.argv[1]))
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose broker is ended afterwards."""
    try:
        java.find()
        kafka_jars.fetch()
    except (JarsUnavailable, JavaMissing) as absent:
        missing_service("Apache Kafka", str(absent))
    yield tmp_path / "kafka"
    local_kafka.erase(tmp_path / "kafka")


def topics(bootstrap_servers: str) -> list[str]:
    """Ask a broker for its topics."""
    client = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    names: list[str] = client.list_topics()
    client.close()
    return names


def make_topic(bootstrap_servers: str, name: str) -> None:
    """Make a topic on a broker."""
    client = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    client.create_topics([NewTopic(name, 2, 1)])
    client.close()


def kill(pid: int) -> None:
    """Kill a process with -9 and wait until it is gone."""
    identity = identify(pid)
    assert identity is not None
    os.kill(pid, signal.SIGKILL)
    while is_running(identity):
        time.sleep(0.01)


def test_a_broker_is_found_again_and_ends(state: Path) -> None:
    """Start, start again, status and stop speak of the same process."""
    first = local_kafka.start(state)
    assert local_kafka.start(state) == first
    assert local_kafka.status(state) == first
    assert local_kafka.stop(state)
    assert (local_kafka.status(state), identify(first.pid)) == (None, None)
    assert not local_kafka.stop(state)


def test_topics_outlive_a_kill_of_the_broker(state: Path) -> None:
    """After kill -9 the next start finds port and topics as they were."""
    first = local_kafka.start(state)
    make_topic(first.bootstrap_servers, "kept")
    kill(first.pid)
    assert local_kafka.status(state) is None
    second = local_kafka.start(state)
    assert second.pid != first.pid
    assert second.bootstrap_servers == first.bootstrap_servers
    assert topics(second.bootstrap_servers) == ["kept"]


def test_topics_move_to_another_port_and_are_forgotten_on_erase(state: Path) -> None:
    """A port that is asked for is taken, with the topics of before; `erase` forgets them."""
    first = local_kafka.start(state)
    make_topic(first.bootstrap_servers, "moved")
    port = kafka_broker.free_port()
    second = local_kafka.start(state, port=port)
    assert second.bootstrap_servers == f"127.0.0.1:{port}"
    assert identify(first.pid) is None
    assert topics(second.bootstrap_servers) == ["moved"]
    local_kafka.erase(state)
    assert topics(local_kafka.start(state).bootstrap_servers) == []


def test_a_broker_left_by_a_killed_starter_is_reclaimed(state: Path) -> None:
    """Who starts it may be killed at any moment: no second broker comes to be."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, state], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "spawned\n"
        starter.kill()
    left = local_kafka.status(state)
    assert left is not None
    running = local_kafka.start(state)
    assert topics(running.bootstrap_servers) == []
    assert identify(left.pid) is None or running.pid == left.pid


def test_two_starts_at_once_make_one_broker(state: Path) -> None:
    """The second waits for the first, and finds its broker."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(local_kafka.start, [state, state])
    assert first == second


def test_a_broker_is_not_of_the_starters_session(state: Path) -> None:
    """Ctrl-C in the terminal, or its closing, does not reach the broker."""
    running = local_kafka.start(state)
    assert os.getsid(running.pid) != os.getsid(0)
