import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from tuwen import kafka_broker, local_kafka
from tuwen.local_kafka_errors import DiskFull, NotReady, PortTaken
from tuwen.process_identity import ProcessIdentity


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def no_jars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the look for Java and jars."""
    monkeypatch.setattr(kafka_broker, "java_command", lambda *_: ["/bin/false"])


def test_all_listeners_are_on_the_loopback() -> None:
    """Nothing of a local Kafka can be reached from outside."""
    lines = kafka_broker.properties(Path("/state"), 1234, 1235).splitlines()
    listeners = [line for line in lines if "listeners=" in line]
    assert listeners == [
        "listeners=PLAINTEXT://127.0.0.1:1234,CONTROLLER://127.0.0.1:1235",
        "advertised.listeners=PLAINTEXT://127.0.0.1:1234",
    ]


@pytest.mark.usefixtures("no_jars")
def test_a_taken_port_is_refused(tmp_path: Path, taken_port: int) -> None:
    """The port that was asked for is named."""
    with pytest.raises(PortTaken, match=f"port {taken_port} is taken"):
        local_kafka.start(tmp_path, port=taken_port)


@pytest.mark.parametrize("port", [None, "of the last broker"])
def test_the_port_of_a_broker_that_is_just_ending_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: str | None
) -> None:
    """A killed broker's sockets outlive it by a moment: the next start is on its port again."""
    launched: list[tuple[int, int]] = []

    def launch(state: Path, command: list[str], ports: tuple[int, int], _: object) -> None:
        launched.append(ports)

    monkeypatch.setattr(local_kafka, "_launch", launch)
    monkeypatch.setattr(kafka_broker, "java_command", lambda *_: ["/bin/false"])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        last = listener.getsockname()[1]
        record = {"process": {"pid": 2**22, "started": "long ago"}, "port": last}
        record["controller_port"] = kafka_broker.free_port()
        (tmp_path / "broker.json").write_bytes(msgspec.json.encode(record))
        ended = threading.Timer(0.1, listener.close)
        ended.start()
        local_kafka.start(tmp_path, port=None if port is None else last)
        ended.join()
    assert launched == [(last, record["controller_port"])]


@pytest.mark.usefixtures("no_jars")
def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka is not started where its log has no room."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    with pytest.raises(DiskFull, match=r"3 MiB free at .* needs 512"):
        local_kafka.start(tmp_path)


@pytest.mark.usefixtures("no_jars")
def test_a_java_that_fails_is_said(tmp_path: Path) -> None:
    """A format that fails is one sentence."""
    with pytest.raises(NotReady, match="cannot format"):
        local_kafka.start(tmp_path)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ERROR java.net.BindException: Address already in use", PortTaken),
        ("ERROR java.io.IOException: No space left on device", DiskFull),
        ("ERROR something new", NotReady),
        ("", NotReady),
    ],
)
def test_a_broker_that_ends_says_why(tmp_path: Path, said: str, kind: type[Exception]) -> None:
    """What the broker wrote last decides what the reader is told."""
    (tmp_path / "broker.log").write_text(said, encoding="utf-8")
    with pytest.raises(kind):
        kafka_broker.await_ready(tmp_path, ProcessIdentity(1, "ended"), 1234)


def test_no_state_is_no_broker(tmp_path: Path) -> None:
    """A folder that is not there is neither an error nor made."""
    absent = tmp_path / "absent"
    assert (local_kafka.status(absent), local_kafka.stop(absent)) == (None, False)
    assert not absent.exists()


@pytest.mark.parametrize("content", [b"", b"{", b'{"port": 1}'])
def test_a_half_written_record_is_no_broker(tmp_path: Path, content: bytes) -> None:
    """Whoever was killed while writing it left nothing to hold on to."""
    (tmp_path / "broker.json").write_bytes(content)
    assert local_kafka.status(tmp_path) is None


def test_a_pid_given_to_somebody_else_is_no_broker(tmp_path: Path) -> None:
    """A pid counts only with the start time that was recorded with it."""
    record = local_kafka._Started(ProcessIdentity(1, "another day"), 1234, 1235)
    (tmp_path / "broker.json").write_bytes(msgspec.json.encode(record))
    assert (local_kafka.status(tmp_path), local_kafka.stop(tmp_path)) == (None, False)
