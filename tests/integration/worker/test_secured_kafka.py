"""Workers and commands on an Apache Kafka that asks who is there, by each of its mechanisms."""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
import trustme

from schemas.verdict import Verdict
from tests.integration.worker.running_worker import Topics
from tests.integration.worker.secured_kafka import RIGHTS, SECRET, SecuredKafka, secured_kafka
from tests.services import missing_service
from tests.tiny_bundle import LABELS, write_tiny_bundle
from tuwen.command import run
from tuwen.kafka_client import producer, read_all
from tuwen.local_kafka_errors import JarsUnavailable, JavaMissing
from worker import logs, process
from worker.errors import LinkRefused, Unavailable
from worker.exit_codes import FAILED, REFUSED, STOPPED
from worker.kafka import kafka_python
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_python import KafkaPython
from worker.link_settings import SecuritySettings
from worker.settings import WorkerSettings
from worker.stopping import Stopping

pytestmark = pytest.mark.kafka

PATIENCE_S = 30.0
POSTS = 40
QUICK_MS = 1_000
"""How long a worker tries to connect, and waits for a silent broker."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """One broker for all."""
    try:
        with secured_kafka(tmp_path_factory.mktemp("secured")) as running:
            yield running
    except (JarsUnavailable, JavaMissing) as absent:
        missing_service("Apache Kafka", str(absent))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of text and image."""
    folder = tmp_path_factory.mktemp("secured-bundle") / "bundle"
    write_tiny_bundle(folder)
    return folder


@pytest.fixture
def topics(broker: SecuredKafka, request: pytest.FixtureRequest) -> Topics:
    """Three topics of the test's own; how their names begin says who may use them."""
    name = f"{abs(hash(request.node.name))}"
    return Topics(*(broker.topic(prefix, name) for prefix in ("posts", "verdicts", "letters")))


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the tests' own logs alone."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)


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
        "posts_topic": topics.posts,
        "verdicts_topic": topics.verdicts,
        "dead_letters_topic": topics.dead_letters,
        "request_timeout_ms": QUICK_MS,
        **found.security,
        **changes,
    }
    return WorkerSettings.model_validate(values)


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


EXPECTED = [(str(n), LABELS[0] if n % 2 else LABELS[2]) for n in range(POSTS)]


@pytest.mark.parametrize(
    "kind", ["TLS", "MUTUAL", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "CLEAR"]
)
def test_posts_are_labelled_exactly_once_by_each_mechanism(
    broker: SecuredKafka,
    topics: Topics,
    bundle: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the rights that the docs name and no other; and no page or log shows the password."""
    settings = settings_of(broker, topics, bundle, listener(broker, kind))
    send(broker, topics)
    with Worker(settings) as worker:
        until(lambda: worker.code is not None or len(labels(broker, topics)) >= POSTS)
        pages = [worker.page(path) for path in ("/metrics", "/readyz")]
        assert (worker.stop(), worker.why) == (STOPPED, "")
    assert (labels(broker, topics), letters(broker, topics)) == (EXPECTED, 0)
    shown = capsys.readouterr()
    assert SECRET.format("labeller") not in f"{pages}{shown.out}{shown.err}"


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


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("posts", "forbids Read on topic {posts}: .*--operation Read --topic {posts}"),
        ("verdicts", "forbids Write on topic {verdicts}: .*--operation Write --topic {verdicts}"),
        ("letters", "forbids Write on topic {letters}: .*--operation Write --topic {letters}"),
        ("group", "forbids Read on group {group}: .*--operation Read --group {group}"),
        (
            "transactional-id",
            "forbids Write on transactional id {group}-here-0: .*--transactional-id {group}-here-0",
        ),
    ],
    ids=RIGHTS,
)
def test_a_missing_right_is_named_before_a_post_is_read(
    broker: SecuredKafka, topics: Topics, bundle: Path, right: str, said: str
) -> None:
    """The worker refuses to start, and says which right, on what, and how to grant it."""
    settings = settings_of(broker, topics, bundle, listener(broker, "SCRAM-SHA-256", f"no-{right}"))
    worker = Worker(settings)
    assert worker.join() == REFUSED
    named = {
        "posts": topics.posts,
        "verdicts": topics.verdicts,
        "letters": topics.dead_letters,
        "group": settings.group,
    }
    assert re.search(said.format(**named), worker.why), worker.why
    assert "\n" not in worker.why


@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_that_is_taken_away_ends_the_worker_and_costs_no_post(
    broker: SecuredKafka,
    topics: Topics,
    bundle: Path,
    right: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No good post becomes a dead letter; with the right given back each is labelled once."""
    settings = settings_of(broker, topics, bundle, listener(broker, "SCRAM-SHA-512"))
    bad = b"no post"
    with Worker(settings) as worker:
        until(lambda: "ready, 1 partitions" in worker.page("/readyz"))
        with broker.without("labeller", right):
            send(broker, topics)
            with producer(broker.servers("PLAINTEXT")) as client:
                client.send(topics.posts, bad)
                client.flush(timeout=10)
            assert worker.join() == FAILED
            assert letters(broker, topics) == 0
    assert "the broker forbids" in capsys.readouterr().out
    with Worker(settings) as worker:
        until(lambda: worker.code is not None or letters(broker, topics) == 1)
        assert worker.stop() == STOPPED
    assert (labels(broker, topics), letters(broker, topics)) == (EXPECTED, 1)


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


Given = Callable[..., int]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Run a command as an operator does who has set all in variables."""

    def run_command(settings: WorkerSettings, *words: str, **changes: object) -> int:
        shown = json.loads(settings.model_dump_json(exclude_unset=True)) | changes
        for name, value in shown.items():
            monkeypatch.setenv(f"TUWEN_{name.upper()}", str(value))
        return run(list(words))

    return run_command


@pytest.mark.parametrize("kind", ["MUTUAL", "SCRAM-SHA-512"])
def test_every_command_talks_to_a_secured_kafka(
    broker: SecuredKafka, topics: Topics, bundle: Path, tmp_path: Path, kind: str, given: Given
) -> None:
    """By the variables that a worker has, each of those that talk to Kafka at all."""
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"id": "a", "text": "很好"}\nno post\n', encoding="utf-8")
    settings = settings_of(broker, topics, bundle, listener(broker, kind, "operator"))
    assert given(settings, "send", str(posts), "--as-is") == 0
    with Worker(settings):
        assert given(settings, "watch", "--json", "--from-beginning", "--count", "2") == 0
        until(lambda: letters(broker, topics) == 1)
    letter = ["dead-letters", "list"], ["dead-letters", "show", "0:0"]
    codes = [given(settings, *words) for words in (["topics", "check"], *letter)]
    codes.append(given(settings, "dead-letters", "replay", "--all"))
    new = {"posts_topic": f"{topics.posts}-new"}
    codes.append(given(settings, "topics", "create", "--partitions", "1", **new))
    assert codes == [0] * 5


def test_what_a_command_may_not_do_is_said_in_one_line(
    broker: SecuredKafka,
    topics: Topics,
    bundle: Path,
    tmp_path: Path,
    given: Given,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong password, a missing file, and each right that a command lacks."""
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"id": "a", "text": "很好"}\n', encoding="utf-8")
    own = settings_of(broker, topics, bundle, listener(broker, "SCRAM-SHA-256"))
    (tmp_path / "wrong").write_text("wrong-secret")

    def said(code: int) -> str:
        line = capsys.readouterr().err.strip()
        assert [part for part in ("\n", "wrong-secret") if part in line] == []
        return f"{code} {line}"

    told = [
        said(given(own, "send", str(posts), sasl_password_file=tmp_path / "wrong")),
        said(given(own, "topics", "check", sasl_password_file=tmp_path / "none")),
        said(given(own, "send", str(posts), sasl_password_file=own.sasl_password_file)),
        said(given(own, "watch", "--json", "--count", "1")),
        said(given(own, "topics", "create", posts_topic="unseen")),
    ]
    expected = [
        r"1 .*the broker does not accept sasl_user \(labeller\)",
        r"2 .*sasl_password_file \(.*none\) does not exist",
        rf"1 .*forbids Write on topic {topics.posts}: grant it",
        rf"1 .*forbids Read on topic {topics.verdicts}: grant it",
        r"1 .*forbids Describe on topic unseen: grant it",
    ]
    wrong = [
        line for line, pattern in zip(told, expected, strict=True) if not re.match(pattern, line)
    ]
    assert wrong == []
