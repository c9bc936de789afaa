"""A replay where Kafka asks who is there: with the rights that the docs name, and without each."""

from collections.abc import Iterator

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from tests.integration.tuwen.replay_place import Place
from tests.integration.worker.secured_kafka import SecuredKafka, secured_kafka
from tests.services import missing_service
from tuwen.command import run
from tuwen.local_kafka_errors import JarsUnavailable, JavaMissing

pytestmark = pytest.mark.kafka

RIGHTS = {
    "letters": (ResourceType.TOPIC, "{letters}", ACLOperation.READ),
    "read-journal": (ResourceType.TOPIC, "{letters}.replays", ACLOperation.READ),
    "write-journal": (ResourceType.TOPIC, "{letters}.replays", ACLOperation.WRITE),
    "make-journal": (ResourceType.TOPIC, "{letters}.replays", ACLOperation.CREATE),
    "posts": (ResourceType.TOPIC, "{posts}", ACLOperation.WRITE),
    "retention": (ResourceType.TOPIC, "{posts}", ACLOperation.DESCRIBE_CONFIGS),
    "group": (ResourceType.GROUP, "{letters}.replay-", ACLOperation.READ),
    "id": (ResourceType.TRANSACTIONAL_ID, "{letters}.replay", ACLOperation.WRITE),
}
"""All that docs/operating.md names, but for letters without a value."""
KINDS = {
    ResourceType.TOPIC: "topic",
    ResourceType.GROUP: "group",
    ResourceType.TRANSACTIONAL_ID: "transactional id",
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A Kafka with an authorizer."""
    try:
        with secured_kafka(tmp_path_factory.mktemp("secured")) as running:
            yield running
    except (JarsUnavailable, JavaMissing) as absent:
        missing_service("Apache Kafka", str(absent))


def a_letter(broker: SecuredKafka, user: str, without: str = "") -> Place:
    """A dead letter on topics of its own, and a user with all the rights but one."""
    posts, letters = (broker.topic(name, user) for name in ("posts", "replayed"))
    broker.set_password(user, user)
    with broker.admin() as admin:
        for right, (kind, name, operation) in RIGHTS.items():
            if right != without:
                named = name.format(posts=posts, letters=letters)
                assert admin.create_acls([_allowed(user, kind, named, operation)])["failed"] == []
    place = Place(broker.servers("PLAINTEXT"), posts, letters)
    place.write([place.letter(b"a")])
    return place


def _allowed(user: str, kind: ResourceType, name: str, operation: ACLOperation) -> ACL:
    # The group's name ends in the id of the replay.
    prefixed = kind is ResourceType.GROUP
    how = ACLResourcePatternType.PREFIXED if prefixed else ACLResourcePatternType.LITERAL
    pattern = ResourcePattern(kind, name, how)
    return ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern)


def replay(broker: SecuredKafka, place: Place, monkeypatch: pytest.MonkeyPatch, user: str) -> int:
    """Replay all letters of a place as a user."""
    password = broker.folder / f"{user}.password"
    password.write_text(user)
    for name, value in {
        "BOOTSTRAP_SERVERS": broker.servers("CLEAR"),
        "DEAD_LETTERS_TOPIC": place.letters,
        "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "SASL_MECHANISM": "SCRAM-SHA-256",
        "SASL_USER": user,
        "SASL_PASSWORD_FILE": str(password),
    }.items():
        monkeypatch.setenv(f"TUWEN_{name}", value)
    return run(["dead-letters", "replay", "--all"])


@pytest.mark.parametrize("right", [right for right in RIGHTS if right != "retention"])
def test_a_missing_right_is_one_line_that_names_it(
    broker: SecuredKafka,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    right: str,
) -> None:
    """What may not be done, on what; and nothing is put back."""
    user = f"without-{right}"
    place = a_letter(broker, user, right)
    kind, name, operation = RIGHTS[right]

    assert replay(broker, place, monkeypatch, user) == 1

    *_, told = capsys.readouterr().err.splitlines()
    named = name.format(letters=place.letters, posts=place.posts)
    assert f"the broker forbids {operation.name.title()} on {KINDS[kind]} {named}" in told
    assert place.back() == []


@pytest.mark.parametrize("without", ["", "retention"])
def test_the_rights_that_the_docs_name_will_do(
    broker: SecuredKafka, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    """Where retention may not be asked for, age keeps no letter back."""
    user = f"replayer-{without}"
    place = a_letter(broker, user, without)

    assert replay(broker, place, monkeypatch, user) == 0

    assert [record.value for record in place.back()] == [b"a"]
