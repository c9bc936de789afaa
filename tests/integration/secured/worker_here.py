"""A worker in this process at a listener of the secured Kafka, and what it made of posts."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from schemas.verdict import Verdict
from tests.integration.worker.running_worker import Topics
from tests.integration.worker.secured_kafka import SECRET, SecuredKafka
from tests.tiny_bundle import LABELS
from tuwen.kafka_client import producer, read_all
from worker import process
from worker.kafka import kafka_python
from worker.settings import WorkerSettings
from worker.stopping import Stopping

PATIENCE_S: Final = 30.0
POSTS: Final = 40
EXPECTED: Final = [(str(n), LABELS[0] if n % 2 else LABELS[2]) for n in range(POSTS)]
QUICK_MS: Final = 1_000
"""How long a worker tries to connect, and waits for a silent broker."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener, and the settings that fit it."""

    name: str
    security: dict[str, object]


def listener(broker: SecuredKafka, kind: str, user: str = "labeller") -> Listener:
    """Choose the listener for a mechanism, or for TLS or MUTUAL; SCRAM may be in the clear too."""
    tls = {"tls_ca_file": broker.ca_file}
    if kind == "TLS":
        return Listener("TLS", {"security_protocol": "SSL", **tls})
    if kind == "MUTUAL":
        own = {"tls_certificate_file": broker.write_client(user)}
        return Listener("MUTUAL", {"security_protocol": "SSL", **tls, **own})
    password = broker.folder / f"{user}.password"
    password.write_text(SECRET.format(user) + "\n")
    sasl = {"sasl_mechanism": kind, "sasl_user": user, "sasl_password_file": password}
    if kind == "CLEAR":
        clear = {"security_protocol": "SASL_PLAINTEXT", **sasl, "sasl_mechanism": "SCRAM-SHA-256"}
        return Listener("CLEAR", clear)
    return Listener("SASL", {"security_protocol": "SASL_SSL", **tls, **sasl})


def settings_of(
    broker: SecuredKafka, topics: Topics, bundle: Path, found: Listener, **changes: object
) -> WorkerSettings:
    """Give the settings of a worker at a listener."""
    values = {
        "bundle": bundle,
        "bootstrap_servers": broker.servers(found.name),
        "group": f"group-{topics.posts}",
        "instance": "here",
        "decoder": "in-process",
        "posts_topic": topics.posts,
        "verdicts_topic": topics.verdicts,
        "dead_letters_topic": topics.dead_letters,
        "request_timeout_ms": QUICK_MS,
        **found.security,
        **changes,
    }
    return WorkerSettings.model_validate(values)


class Worker:
    """A worker on a thread; what it announces is remembered."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.port = 0
        self.why = ""
        self.code: int | None = None
        self._heard = threading.Event()
        self._stopping = Stopping(settings.stop_timeout_s)
        self._thread = threading.Thread(target=self._work, args=(settings,))
        self._thread.start()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _work(self, settings: WorkerSettings) -> None:
        # The slot is a part of the transactional id, and so of what ACLs are about.
        self.code = process.work(settings, 0, kafka_python.connect, self._stopping, 0, self)
        self._heard.set()

    def serving(self, host: str, port: int) -> None:
        """Remember the port."""
        self.port = port
        self._heard.set()

    def refused(self, why: str) -> None:
        """Remember why."""
        self.why = why

    taken = refused

    def page(self, path: str) -> str:
        """Ask one of its pages."""
        assert self._heard.wait(PATIENCE_S)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def join(self) -> int | None:
        """Wait for its end."""
        self._thread.join(PATIENCE_S)
        return self.code

    def stop(self) -> int | None:
        """Tell it to stop, and give its exit code."""
        self._stopping.request()
        return self.join()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what others bring about."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come in time"
        time.sleep(0.05)


def send(broker: SecuredKafka, topics: Topics, count: int = POSTS) -> None:
    """Write posts."""
    with producer(broker.servers("PLAINTEXT")) as client:
        for number in range(count):
            post = {"id": str(number), "text": "很好" if number % 2 else "坏"}
            client.send(topics.posts, json.dumps(post).encode())
        client.flush(timeout=10)


def labels(broker: SecuredKafka, topics: Topics) -> list[tuple[str, str | None]]:
    """Read what was committed, in its order."""
    records = read_all(broker.servers("PLAINTEXT"), [topics.verdicts])
    found = [msgspec.json.decode(record.value or b"", type=Verdict) for record in records]
    return [(verdict.id, verdict.label) for verdict in found]


def letters(broker: SecuredKafka, topics: Topics) -> int:
    """Count the dead letters."""
    return len(list(read_all(broker.servers("PLAINTEXT"), [topics.dead_letters])))
