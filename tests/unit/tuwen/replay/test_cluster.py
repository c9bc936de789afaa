import re
from typing import Any

import pytest
from kafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError

from tuwen.failures import Failed, explain
from tuwen.replay.cluster import KafkaSources, TopicFacts, facts, kept_ms, make_journal
from worker.errors import NotAuthorized, UnknownTopic

KEPT = {"cleanup.policy": "delete", "retention.ms": "-1"}
DENIED, UNKNOWN, UNEXPECTED = 29, 3, -1


class FakeAdmin:
    """Answers about topics, each with an error code and a configuration."""

    def __init__(
        self,
        codes: dict[str, int],
        configs: dict[str, str] | None = None,
        error: Exception | None = None,
    ) -> None:
        self.codes = codes
        self.configs = KEPT if configs is None else configs
        self.error = error
        self.created: dict[str, Any] = {}
        self.asked = 0

    def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        """Describe one topic of two partitions and three replicas."""
        self.asked += 1
        partitions = [{"replica_nodes": [1, 2, 3]}] * 2
        code = self.codes.get(topics[0], UNKNOWN)
        return [{"error_code": code, "topic_id": "id", "partitions": partitions}]

    def create_topics(self, topics: dict[str, Any], timeout_ms: int) -> None:
        """Make a topic, or say that it cannot be."""
        if self.error is not None:
            raise self.error
        self.created |= topics

    def wait_for_topics(self, topics: list[str]) -> None:
        """They are there at once."""

    def describe_configs(self, asked: list[Any], config_filter: str) -> dict[str, Any]:
        """Give the configuration."""
        configs = {name: {"value": value} for name, value in self.configs.items()}
        return {"topic": {asked[0].name: configs}}


def test_a_topic_is_looked_up_with_its_id() -> None:
    """One made anew under the same name has another."""
    assert facts(FakeAdmin({"t": 0}), "t", "Read") == TopicFacts("id", 2, 3)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (UNKNOWN, UnknownTopic, "topic 't' does not exist: create it"),
        (DENIED, NotAuthorized, "forbids Write on topic t:"),
        (UNEXPECTED, Exception, "looking up topic 't'"),
    ],
)
def test_what_cannot_be_looked_up_is_one_line_with_its_name(
    code: int, error: type[Exception], said: str
) -> None:
    """And an exit code of failed work."""
    with pytest.raises(error) as raised:
        facts(FakeAdmin({"t": code}), "t", "Write")
    failure = explain(raised.value)
    assert re.search(said, failure.text)
    assert (failure.text.count("\n"), failure.code) == (0, 1)


def test_a_journal_is_made_once_and_never_forgets() -> None:
    """With as many copies as the letters have."""
    admin = FakeAdmin({})
    make_journal(admin, "letters", 3)
    made = admin.created["letters.replays"]
    assert (made["num_partitions"], made["replication_factor"]) == (1, 3)
    assert made["configs"]["retention.ms"] == "-1"

    there = FakeAdmin({"letters.replays": 0})
    make_journal(there, "letters", 3)
    assert there.created == {}


def test_a_journal_that_somebody_else_made_meanwhile_will_do() -> None:
    """Two replays may begin at once."""
    make_journal(FakeAdmin({}, error=TopicAlreadyExistsError("made")), "letters", 1)


def test_who_may_not_make_the_journal_is_told_its_name() -> None:
    """Whoever grants rights must know for what."""
    error = TopicAuthorizationFailedError({"letters.replays"})
    with pytest.raises(NotAuthorized, match=r"forbids Create on topic letters\.replays"):
        make_journal(FakeAdmin({}, error=error), "letters", 1)


@pytest.mark.parametrize(
    "configs",
    [
        {"cleanup.policy": "delete", "retention.ms": "604800000"},
        {"cleanup.policy": "compact", "retention.ms": "-1"},
    ],
)
def test_a_journal_that_forgets_is_refused(configs: dict[str, str]) -> None:
    """A letter would come twice once it has."""
    with pytest.raises(Failed, match=r"'letters.replays' does not keep .* retention.ms=-1"):
        make_journal(FakeAdmin({"letters.replays": 0}, configs), "letters", 1)


@pytest.mark.parametrize(
    ("configs", "age_ms"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "1000"}, 1000),
        ({"cleanup.policy": "compact,delete", "retention.ms": "1000"}, 1000),
        ({"cleanup.policy": "compact", "retention.ms": "1000"}, None),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, None),
        ({"retention.ms": "1000", "message.timestamp.before.max.ms": "10"}, 10),
        ({"retention.ms": "1000", "message.timestamp.type": "LogAppendTime"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_how_old_a_record_may_be_is_read_off_its_topic(
    configs: dict[str, str], age_ms: int | None
) -> None:
    """By what Kafka deletes it or refuses it; a broker that forbids to ask says nothing."""
    assert kept_ms(configs) == age_ms


def test_a_topic_is_asked_about_once(kafka_sources: KafkaSources) -> None:
    """Ten thousand letters come from a few topics."""
    for _ in range(3):
        assert kafka_sources.partitions("posts") == 2
        assert kafka_sources.keeps_ms("posts") is None
    assert kafka_sources.admin.asked == 1


@pytest.fixture
def kafka_sources() -> KafkaSources:
    """What is asked about the posts' topic."""
    from contextlib import ExitStack

    return KafkaSources(FakeAdmin({"posts": 0}), "nowhere:1", ExitStack())
