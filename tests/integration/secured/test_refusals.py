"""Broker and client that refuse each other: told at once, in one line, with what to do."""

import time
from contextlib import suppress
from dataclasses import replace

import pytest
import trustme

from tests.integration.secured.worker_here import Listener, listener, until
from tests.integration.worker.secured_kafka import SECRET, SecuredKafka
from worker.errors import LinkRefused, Unavailable
from worker.kafka import kafka_python
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_python import KafkaPython
from worker.link_settings import SecuritySettings

pytestmark = pytest.mark.kafka


def client_settings(broker: SecuredKafka, topic: str, found: Listener) -> ClientSettings:
    """Give the settings of a client at a listener."""
    return ClientSettings(
        broker.servers(found.name),
        f"group-{topic}",
        topic,
        f"group-{topic}-here-0",
        security=SecuritySettings.model_validate(found.security),
        request_timeout_ms=700,
    )


REFUSED_LINKS = [
    ("STRANGE", "TLS", {}, r"signed by no authority in tls_ca_file \(.*authority\.pem\)"),
    ("TLS", "TLS", {"tls_ca_file": None}, "signed by no authority that this system trusts"),
    ("EXPIRED", "TLS", {}, "certificate has expired: have it renewed"),
    ("ELSEWHERE", "TLS", {}, r"is not for the name '127\.0\.0\.1': reach it by a name"),
    ("PLAINTEXT", "TLS", {}, "as a port without TLS does: .* security_protocol to PLAINTEXT"),
    ("TLS", None, {}, "what listens there speaks TLS: set security_protocol to SSL"),
    ("MUTUAL", "TLS", {}, "asks for a certificate of this client: set tls_certificate_file"),
    (
        "MUTUAL",
        "MUTUAL",
        {"tls_certificate_file": "mallory.pem"},
        "does not accept the certificate",
    ),
    ("SASL", "PLAIN", {"sasl_password_file": "wrong"}, "does not accept sasl_user"),
    ("SASL", "SCRAM-SHA-256", {"sasl_password_file": "wrong"}, "does not accept sasl_user"),
    ("SASL", "SCRAM-SHA-512", {"sasl_user": "nobody"}, r"does not accept sasl_user \(nobody\)"),
    ("SCRAM_ONLY", "PLAIN", {}, r"does not know sasl_mechanism \(PLAIN\)"),
    ("TLS", "PLAIN", {}, "asks for no user and password there: set security_protocol to SSL"),
    ("SASL", "CLEAR", {}, "speaks TLS: set security_protocol to SASL_SSL"),
    ("SASL", "TLS", {}, r"asks for a user and a password, security_protocol \(SSL\) must say so"),
    ("CLEAR", None, {}, r"for TLS, or a user and a password, security_protocol \(PLAINTEXT\)"),
]


@pytest.mark.parametrize(
    ("name", "kind", "changes", "said"), REFUSED_LINKS, ids=map(str, range(len(REFUSED_LINKS)))
)
def test_each_side_that_refuses_the_other_is_told_in_one_line(
    broker: SecuredKafka, name: str, kind: str | None, changes: dict[str, str | None], said: str
) -> None:
    """What is wrong, with which address or file, and what to do; soon, and without the secret."""
    (broker.folder / "wrong").write_text("wrong-secret\n")
    broker.write_client("mallory", trustme.CA())
    security = listener(broker, kind).security if kind else {}
    files = {
        setting: str(broker.folder / value) if value and setting.endswith("_file") else value
        for setting, value in changes.items()
    }
    found = Listener(name, security | files)
    with pytest.raises(Unavailable, match=said) as refused:
        kafka_python.connect(client_settings(broker, "posts-none", found))
    text = str(refused.value)
    assert broker.servers(name) in text
    assert [
        part for part in ("\n", "wrong-secret", SECRET.format("labeller")) if part in text
    ] == []


def test_a_refused_password_is_tried_once(broker: SecuredKafka) -> None:
    """Who tries again and again is locked out: no second attempt is made."""
    found = listener(broker, "PLAIN")
    (broker.folder / "wrong").write_text("wrong-secret\n")
    found.security["sasl_password_file"] = broker.folder / "wrong"
    settings = replace(client_settings(broker, "posts-none", found), request_timeout_ms=5_000)
    started_s = time.monotonic()
    with pytest.raises(LinkRefused):
        kafka_python.connect(settings)
    # To try on would take the whole time of a connection.
    assert time.monotonic() - started_s < settings.request_timeout_ms / 1_000


def test_a_changed_password_needs_no_restart(broker: SecuredKafka) -> None:
    """While the file is behind, it is said why nobody answers; then all goes on by itself."""
    topic = broker.topic("posts", "password")
    found = listener(broker, "SCRAM-SHA-256")
    member = kafka_python.connect(client_settings(broker, topic, found))
    assert isinstance(member, KafkaPython)
    try:
        broker.set_password("labeller", "another")
        drop_connections(member)
        with pytest.raises(LinkRefused, match=r"does not accept sasl_user \(labeller\)"):
            until(lambda: bool(member.poll(0.1, 10).lost))
        (broker.folder / "labeller.password").write_text("another\n")
        until(lambda: answers(member, topic))
    finally:
        broker.set_password("labeller", SECRET.format("labeller"))
        member.close(1.0, leave=True)


def drop_connections(member: KafkaPython) -> None:
    """Break what connects a member, as a broker that is restarted does."""
    manager = member._member._consumer._manager
    manager.run(lambda: [conn.close() for conn in list(manager._conns.values())])


def answers(member: KafkaPython, topic: str) -> bool:
    """Poll, and say whether a question is answered."""
    with suppress(Unavailable):
        member.poll(0.1, 10)
        return member.partitions(topic, 1.0) == 1
    return False
