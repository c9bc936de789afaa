"""Errors of kafka-python in the worker's words."""

import logging

import kafka.errors as client
import pytest

from worker.errors import (
    BrokerError,
    MembershipLost,
    NotAuthorized,
    SlotTaken,
    TransactionAborted,
    Unavailable,
)
from worker.kafka.client_errors import quieten, reason, translate, translated


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client.FencedInstanceIdError(), SlotTaken),
        (client.CommitFailedError(), MembershipLost),
        (client.IllegalGenerationError(), MembershipLost),
        (client.UnknownMemberIdError(), MembershipLost),
        (client.TopicAuthorizationFailedError({"posts"}), NotAuthorized),
        (client.GroupAuthorizationFailedError("tuwen"), NotAuthorized),
        # A transaction that its coordinator timed out is fenced too: no proof of a second process.
        (client.ProducerFencedError(), TransactionAborted),
        (client.KafkaTimeoutError(), TransactionAborted),
    ],
)
def test_an_error_becomes_the_workers(
    error: client.KafkaError, expected: type[BrokerError]
) -> None:
    """What is no word of the seam is what the caller says it is."""
    assert type(translate(error, "doing it", TransactionAborted)) is expected


@pytest.mark.parametrize(
    ("error", "resource"),
    [
        (client.TopicAuthorizationFailedError({"tuwen.posts"}), "topic tuwen.posts"),
        (client.GroupAuthorizationFailedError("tuwen"), "group tuwen"),
        (client.TransactionalIdAuthorizationFailedError(), "transactional id slot-0"),
        # The client wraps some, and gives one as text alone.
        (
            client.KafkaError(client.TransactionalIdAuthorizationFailedError()),
            "transactional id slot-0",
        ),
        (client.KafkaError(client.ClusterAuthorizationFailedError()), "cluster"),
        (client.KafkaError("Unexpected: [Error 31] ClusterAuthorizationFailedError"), "cluster"),
    ],
)
def test_what_is_forbidden_is_named(error: client.KafkaError, resource: str) -> None:
    """An operator needs to know which ACL to grant."""
    translated_error = translate(error, "reading", Unavailable, "Read", "slot-0")
    assert isinstance(translated_error, NotAuthorized)
    assert translated_error.resource == resource
    assert f"on {resource}: grant it" in str(translated_error)


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (client.TopicAuthorizationFailedError({"posts"}), "--operation Write --topic posts"),
        (client.GroupAuthorizationFailedError("tuwen"), "--operation Read --group tuwen"),
        (
            client.TransactionalIdAuthorizationFailedError(),
            "--operation Write --transactional-id slot-0",
        ),
        (client.ClusterAuthorizationFailedError(), "--operation IdempotentWrite --cluster"),
    ],
)
def test_a_missing_right_is_told_with_how_to_grant_it(
    error: client.KafkaError, command: str
) -> None:
    """With the operation that is needed, under the names that Kafka's own tool takes."""
    told = str(translate(error, "writing", Unavailable, "Write", "slot-0"))
    assert told.endswith(f"kafka-acls.sh --add --allow-principal User:… {command}")


def test_no_error_of_the_client_passes() -> None:
    """It is the cause, and no more."""
    with (
        pytest.raises(Unavailable, match="asking: KafkaTimeoutError") as raised,
        translated("asking"),
    ):
        raise client.KafkaTimeoutError
    assert isinstance(raised.value.__cause__, client.KafkaTimeoutError)


def test_a_reason_says_its_name_once() -> None:
    """kafka-python puts it into the text, other libraries do not."""
    assert reason(client.KafkaTimeoutError("late")) == "KafkaTimeoutError: late"
    assert reason(client.KafkaTimeoutError()) == "KafkaTimeoutError"
    assert reason(OSError("full")) == "OSError: full"


def test_the_client_is_quiet_unless_somebody_asks() -> None:
    """A level that was set stays as it is."""
    log = logging.getLogger("kafka")
    before = log.level
    try:
        log.setLevel(logging.NOTSET)
        quieten()
        assert log.level == logging.CRITICAL
        log.setLevel(logging.DEBUG)
        quieten()
        assert log.level == logging.DEBUG
    finally:
        log.setLevel(before)
