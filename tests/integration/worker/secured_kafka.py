"""A real Apache Kafka that asks who is there: a listener for each mechanism, and an authorizer.

Whoever comes over `PLAINTEXT`, or over TLS without a certificate, is the super user that sets
the others up. Certificates come from an authority that lives as long as the test.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    NewTopic,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from schemas.progress import silent
from tuwen import kafka_broker
from tuwen.kafka_broker import HOST, STOP_TIMEOUT_S
from tuwen.local_kafka_errors import PortTaken
from tuwen.process_identity import ProcessIdentity, end

LISTENERS: Final = {
    "PLAINTEXT": "PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "SASL": "SASL_SSL",
    "SCRAM_ONLY": "SASL_SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "STRANGE": "SSL",
    "EXPIRED": "SSL",
    "ELSEWHERE": "SSL",
}
"""Name to protocol. The last three show a certificate that nobody should believe."""

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_START_TRIES: Final = 3
SECRET: Final = "opensesame-of-{}"
RIGHTS: Final = {
    "posts": (ResourceType.TOPIC, "posts", ACLOperation.READ),
    "verdicts": (ResourceType.TOPIC, "verdicts", ACLOperation.WRITE),
    "letters": (ResourceType.TOPIC, "letters", ACLOperation.WRITE),
    "group": (ResourceType.GROUP, "group", ACLOperation.READ),
    # Its name is made of the group's, the instance's and the slot's.
    "transactional-id": (ResourceType.TRANSACTIONAL_ID, "group", ACLOperation.WRITE),
}
"""All that a worker needs: on which kind of thing, and how its name begins."""
USERS: Final = ("operator", "labeller", *(f"no-{right}" for right in RIGHTS))
"""Users of SASL: who may do all, who has a worker's rights, and for each right one without."""


@dataclass(slots=True)
class SecuredKafka:
    """The broker that runs: a port for each listener, and the files that a client needs."""

    folder: Path
    ports: Mapping[str, int]
    authority: trustme.CA

    def servers(self, listener: str) -> str:
        """The address of a listener."""
        return f"{HOST}:{self.ports[listener]}"

    @property
    def ca_file(self) -> Path:
        """The authority that signed the certificate of the honest listeners."""
        return self.folder / "authority.pem"

    def write_client(self, name: str, authority: trustme.CA | None = None) -> Path:
        """Write a client's certificate and key into one file."""
        path = self.folder / f"{name}.pem"
        issuer = authority or self.authority
        # Java refuses a certificate whose list of names is empty.
        issued = issuer.issue_cert(f"{name}.example", common_name=name)
        issued.private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def topic(self, prefix: str, name: str) -> str:
        """Make a topic of one partition."""
        with self.admin() as client:
            client.create_topics([NewTopic(f"{prefix}-{name}", 1, 1)], wait_for_metadata=True)
        return f"{prefix}-{name}"

    def set_password(self, user: str, password: str) -> None:
        """Change what SCRAM asks a user for."""
        with self.admin() as client:
            # A request may name a user once.
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
                wanted = UserScramCredentialUpsertion(user, mechanism, password)
                assert client.alter_user_scram_credentials([wanted]) == {user: None}

    @contextlib.contextmanager
    def without(self, user: str, right: str) -> Iterator[None]:
        """Take a right away from a user, and give it back."""
        denied = _acl(user, right, ACLPermissionType.DENY)
        with self.admin() as client:
            client.create_acls([denied])
            try:
                yield
            finally:
                pattern = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
                client.delete_acls(
                    [ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.DENY, pattern)]
                )

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        """Connect as the super user."""
        client = KafkaAdminClient(bootstrap_servers=self.servers("PLAINTEXT"))
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Run the broker in a folder of its own, and end it."""
    kafka, process = _start(folder)
    try:
        _add_users(kafka)
        yield kafka
    finally:
        end(process, STOP_TIMEOUT_S)


def _start(folder: Path) -> tuple[SecuredKafka, ProcessIdentity]:
    command = kafka_broker.java_command(512, "quick", silent)
    authority = trustme.CA()
    for tries_left in reversed(range(_START_TRIES)):
        controller, *ports = _free_ports(len(LISTENERS) + 1)
        kafka = SecuredKafka(folder, dict(zip(LISTENERS, ports, strict=True)), authority)
        _write_certificates(kafka)
        (folder / "server.properties").write_text(_properties(kafka, controller), encoding="utf-8")
        kafka_broker.format_log(folder, command)
        process = kafka_broker.spawn(folder, [*command, "kafka.Kafka", "server.properties"])
        try:
            kafka_broker.await_ready(folder, process, kafka.ports["PLAINTEXT"])
        except PortTaken:
            # A free port may be taken between the look and the broker's own bind.
            if not tries_left:
                raise
        else:
            return kafka, process
    raise AssertionError("unreachable")


def _free_ports(count: int) -> Sequence[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(kafka_broker.free_port())
    return list(found)


def _write_certificates(kafka: SecuredKafka) -> None:
    kafka.authority.cert_pem.write_to_path(kafka.ca_file)
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificates = {
        "honest": kafka.authority.issue_cert(HOST),
        "strange": trustme.CA().issue_cert(HOST),
        "expired": kafka.authority.issue_cert(
            HOST, not_before=long_ago, not_after=long_ago + dt.timedelta(days=1)
        ),
        "elsewhere": kafka.authority.issue_cert("kafka.example"),
    }
    for name, certificate in certificates.items():
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        (kafka.folder / f"{name}-broker.pem").write_bytes(_pkcs8(certificate) + chain)


def _pkcs8(certificate: trustme.LeafCert) -> bytes:
    """Give the key in the one form that Java reads."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _properties(kafka: SecuredKafka, controller_port: int) -> str:
    """Give the configuration of a local broker, with what it says twice in its last form."""
    every = [f"{name}://{HOST}:{port}" for name, port in kafka.ports.items()]
    protocols = [f"{name}:{protocol}" for name, protocol in LISTENERS.items()]
    settings = {
        "listeners": ",".join([*every, f"CONTROLLER://{HOST}:{controller_port}"]),
        "advertised.listeners": ",".join(every),
        "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:operator",
        "ssl.principal.mapping.rules": "RULE:.*CN=([^,]+).*/$1/,DEFAULT",
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.truststore.type": "PEM",
        "listener.name.mutual.ssl.truststore.location": kafka.ca_file,
    }
    for name, protocol in LISTENERS.items():
        prefix = f"listener.name.{name.lower()}"
        if protocol.endswith("SSL"):
            shown = name.lower() if name in {"STRANGE", "EXPIRED", "ELSEWHERE"} else "honest"
            settings[f"{prefix}.ssl.keystore.type"] = "PEM"
            settings[f"{prefix}.ssl.keystore.location"] = kafka.folder / f"{shown}-broker.pem"
        if protocol.startswith("SASL"):
            settings |= _sasl(prefix, MECHANISMS[1:] if name == "SCRAM_ONLY" else MECHANISMS)
    local = kafka_broker.properties(kafka.folder, kafka.ports["PLAINTEXT"], controller_port)
    return local + "".join(f"{name}={value}\n" for name, value in settings.items())


def _sasl(prefix: str, mechanisms: Sequence[str]) -> dict[str, str]:
    known = " ".join(f'user_{name}="{SECRET.format(name)}"' for name in USERS)
    package = "org.apache.kafka.common.security"
    scram = f"{package}.scram.ScramLoginModule required;"
    return {
        f"{prefix}.sasl.enabled.mechanisms": ",".join(mechanisms),
        f"{prefix}.plain.sasl.jaas.config": f"{package}.plain.PlainLoginModule required {known};",
        f"{prefix}.scram-sha-256.sasl.jaas.config": scram,
        f"{prefix}.scram-sha-512.sasl.jaas.config": scram,
    }


def _add_users(kafka: SecuredKafka) -> None:
    for name in USERS:
        kafka.set_password(name, SECRET.format(name))
    allowed = [
        _acl(name, right, ACLPermissionType.ALLOW)
        for name in USERS
        for right in RIGHTS
        if name != f"no-{right}"
    ]
    # To see a thing is less than to use it.
    seen = [
        _acl("*", right, ACLPermissionType.ALLOW, ACLOperation.DESCRIBE)
        for right in RIGHTS
        if right != "transactional-id"
    ]
    with kafka.admin() as client:
        assert client.create_acls(allowed + seen)["failed"] == []


def _acl(
    user: str,
    right: str,
    permission: ACLPermissionType,
    operation: ACLOperation | None = None,
) -> ACL:
    kind, prefix, needed = RIGHTS[right]
    pattern = ResourcePattern(kind, prefix, ACLResourcePatternType.PREFIXED)
    return ACL(f"User:{user}", "*", operation or needed, permission, pattern)
