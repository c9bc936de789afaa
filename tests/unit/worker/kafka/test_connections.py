"""What kafka-python forgets of its connections, and what is kept of it."""

import asyncio
import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kafka.errors as client
import pytest
from kafka import KafkaConsumer
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from worker.errors import LinkFileRefused, LinkRefused, Unavailable
from worker.kafka import connections as connections_module
from worker.kafka.connections import (
    Connections,
    _last_words_first,
    answered,
    connected,
    unreachable,
)
from worker.link_settings import SecuritySettings

REFUSED = client.SaslAuthenticationFailedError("no")


@pytest.fixture
def sasl(tmp_path: Path) -> SecuritySettings:
    """A user with a password in a file."""
    (tmp_path / "password").write_text("first\n")
    return SecuritySettings(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_user="labeller",
        sasl_password_file=tmp_path / "password",
    )


@pytest.fixture
def connections(sasl: SecuritySettings) -> Iterator[Connections]:
    """Connections that none was made of yet."""
    net = NetworkSelector()
    yield Connections(net, sasl, bootstrap_servers=["127.0.0.1:1"])
    net.close()


def test_what_came_with_the_end_is_heard_before_the_end() -> None:
    """A broker that refuses a password says so and hangs up at once."""
    end = client.KafkaConnectionError("socket disconnected")
    received = iter([(b"some", None), (b"last words", end)])
    receive = _last_words_first(lambda: next(received))
    assert [receive(), receive(), receive()] == [
        (b"some", None),
        (b"last words", None),
        (b"", end),
    ]


def test_a_refused_password_is_not_tried_again_until_one_was_believed(
    connections: Connections,
) -> None:
    """Attempts count against the user; a broker that believed it once may do so again."""
    connections._note_failure(REFUSED)
    with pytest.raises(client.SaslAuthenticationFailedError):
        connections.get_connection("bootstrap-0")
    connections._note_success(True)
    connections._note_failure(REFUSED)
    with pytest.raises(client.UnknownBrokerIdError):  # it is looked for
        connections.get_connection("no such broker")


def test_a_timeout_does_not_hide_why_the_attempt_before_failed(connections: Connections) -> None:
    """The time for the last attempt may be up before it can fail for the true reason."""
    connections._note_failure(REFUSED)
    connections._note_failure(client.RequestTimedOutError("Request timed out after 3 ms"))
    assert connections.failure is REFUSED
    gone = client.KafkaConnectionError("111 ECONNREFUSED")
    connections._note_failure(gone)
    assert connections.failure is gone
    connections._note_success(True)
    assert connections.failure is None


def test_a_password_is_read_anew_for_each_connection(
    connections: Connections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And while its file is gone, the one that was known before is tried."""
    used: list[str] = []

    async def connect(_self: Any, _node: Any, conn: Any, **_: Any) -> None:
        used.append(conn.config["sasl_plain_password"])

    monkeypatch.setattr(KafkaConnectionManager, "_connect", connect)
    attempt(connections, failed=False)
    (tmp_path / "password").write_text("second\n")
    attempt(connections, failed=False)
    (tmp_path / "password").unlink()
    attempt(connections, failed=False)
    assert used == ["first", "second", "known before"]


def test_the_password_of_a_key_is_read_anew_for_each_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a renewed certificate there may come another."""
    used: list[str] = []

    def transport(*_: object, ssl_password: str, **__: object) -> None:
        used.append(ssl_password)

    monkeypatch.setattr(connections_module, "KafkaSSLTransport", transport)
    named = {"tls_certificate_file": "mine.pem", "tls_key_password_file": tmp_path / "key"}
    tls = SecuritySettings.model_validate({"security_protocol": "SSL", **named})
    net = NetworkSelector()
    made = Connections(net, tls, bootstrap_servers=["127.0.0.1:1"], ssl_password="known before")
    for password in ("first", "second"):
        (tmp_path / "key").write_text(password)
        made._transport(None, "broker")
    (tmp_path / "key").unlink()
    made._transport(None, "broker")
    net.close()
    assert used == ["first", "second", "known before"]


def attempt(connections: Connections, failed: bool) -> None:
    """Connect once to broker 1."""
    heard = SimpleNamespace(
        add_callback=lambda _: None, add_errback=lambda _: None, failed=lambda: failed
    )
    conn = SimpleNamespace(
        config={"sasl_plain_password": "known before"}, init_future=heard, close_future=heard
    )
    asyncio.run(connections._connect(SimpleNamespace(node_id=1), conn))


def test_refused_passwords_are_tried_ever_more_seldom(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kafka-python forgets the failures as soon as there is a connection to be refused on."""

    async def connect(manager: Any, node: Any, _conn: Any, **_: Any) -> None:
        manager.reset_backoff(node.node_id)

    monkeypatch.setattr(KafkaConnectionManager, "_connect", connect)
    for _ in range(8):
        attempt(connections, failed=True)
    # 50 ms doubled seven times, and a fifth less by chance.
    assert connections.connection_delay(1) > 5
    attempt(connections, failed=False)
    assert connections.connection_delay(1) == 0


def test_who_does_not_answer_for_want_of_trust_is_told_so(connections: Connections) -> None:
    """Of a client that runs, kafka-python only tells that time was up."""
    with pytest.raises(Unavailable, match=r"^asking: KafkaTimeoutError$"), answered(None, "asking"):
        raise client.KafkaTimeoutError
    connections._note_failure(REFUSED)
    with (
        pytest.raises(LinkRefused, match=r"^Kafka at 127\.0\.0\.1:1: the broker does not accept"),
        answered(connections, "asking"),
    ):
        raise client.KafkaTimeoutError


def test_a_file_that_went_missing_meanwhile_is_named(
    connections: Connections, tmp_path: Path
) -> None:
    """It is what keeps the next connection from being made."""
    (tmp_path / "password").unlink()
    connections._note_failure(client.KafkaConnectionError("socket disconnected"))
    with (
        pytest.raises(LinkFileRefused, match=r"^sasl_password_file \(.*\) does not exist"),
        answered(connections, "asking"),
    ):
        raise client.KafkaTimeoutError


def test_a_broker_that_is_not_there_is_told_with_its_address(sasl: SecuritySettings) -> None:
    """As before there was any security."""
    told = unreachable(client.KafkaConnectionError("111 ECONNREFUSED"), "127.0.0.1:1", sasl)
    assert not isinstance(told, LinkRefused)
    assert str(told) == (
        "no Kafka answers at 127.0.0.1:1 (KafkaConnectionError: 111 ECONNREFUSED): start it, or "
        "name another with TUWEN_BOOTSTRAP_SERVERS"
    )


def test_a_handshake_that_fails_leaves_no_socket() -> None:
    """While a broker does not speak TLS it is tried again and again: each try ends its socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        servers = f"127.0.0.1:{server.getsockname()[1]}"
        config = {"bootstrap_servers": [servers], "bootstrap_timeout_ms": 300, "group_id": None}
        tls = SecuritySettings(security_protocol="SSL")
        with pytest.raises(LinkRefused, match="as a port without TLS does"):
            connected(KafkaConsumer, config, servers, tls)
        server.shutdown(socket.SHUT_RDWR)
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    assert [str(warning.message) for warning in left if "SSLSocket" in str(warning.message)] == []


def test_a_handshake_that_is_not_answered_has_an_end() -> None:
    """kafka-python waits for ever for one who takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        servers = f"127.0.0.1:{silent.getsockname()[1]}"
        config = {"bootstrap_servers": [servers], "bootstrap_timeout_ms": 300, "group_id": None}
        tls = SecuritySettings(security_protocol="SSL")
        with pytest.raises(Unavailable, match="the handshake of TLS timed out"):
            connected(KafkaConsumer, config, servers, tls)


def hang_up(server: socket.socket) -> None:
    """Take connections, and close each at the first word."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(1)
