"""What a replay asks of Kafka besides the letters: topics, their retention, journal, originals."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import kafka.errors as client
from kafka.admin import ConfigResource, ConfigResourceType

from tuwen.failures import Failed
from tuwen.kafka_client import Address, read_all, reader, record_at
from tuwen.replay.journal import Journal, journal_topic, read
from worker.errors import UnknownTopic
from worker.kafka.client_errors import Operation, forbidden, translated
from worker.messages import Partition, Record

CREATE_TIMEOUT_MS: Final = 5_000
FOREVER: Final = "-1"


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic that is there; another of the same name, made later, has another id."""

    id: str
    partitions: int
    replicas: int


def facts(admin: Any, topic: str, needed: Operation) -> TopicFacts:
    """Look a topic up; who may do what is `needed` with it may look.

    Raises:
        UnknownTopic: there is none.
        NotAuthorized: the broker does not say.
    """
    with translated(f"looking up topic {topic!r}", operation=needed):
        (found,) = admin.describe_topics([topic])
        error = client.for_code(found["error_code"])
        if error in (client.UnknownTopicOrPartitionError, client.InvalidTopicError):
            raise UnknownTopic(topic)
        if error is client.TopicAuthorizationFailedError:
            raise error({topic})
        if error is not client.NoError:
            raise error(topic)
    partitions = found["partitions"]
    return TopicFacts(str(found["topic_id"]), len(partitions), len(partitions[0]["replica_nodes"]))


def make_journal(admin: Any, letters_topic: str, replicas: int) -> None:
    """Make the journal where there is none: kept forever, as many copies as the letters have."""
    topic = journal_topic(letters_topic)
    try:
        facts(admin, topic, "Read")
    except UnknownTopic:
        wanted = {
            "num_partitions": 1,
            "replication_factor": replicas,
            "configs": {"retention.ms": FOREVER, "retention.bytes": FOREVER},
        }
        doing = f"making topic {topic!r}, in which replays write down what they did"
        with translated(doing):
            try:
                admin.create_topics({topic: wanted}, timeout_ms=CREATE_TIMEOUT_MS)
            except client.TopicAlreadyExistsError:
                pass  # somebody else made it a moment ago
            except client.TopicAuthorizationFailedError as error:
                raise forbidden("topic", topic, "Create", doing) from error
            admin.wait_for_topics([topic])
    _refuse_to_forget(admin, topic)


def _refuse_to_forget(admin: Any, topic: str) -> None:
    """A journal that Kafka shortens would let letters come twice."""
    configs = _configs(admin, topic)
    if configs and (configs["cleanup.policy"], configs["retention.ms"]) != ("delete", FOREVER):
        raise Failed(
            f"topic {topic!r} does not keep what replays write down: "
            "give it cleanup.policy=delete and retention.ms=-1"
        )


def read_journal(admin: Any, kafka: Address, letters_topic: str, letters_id: str) -> Journal:
    """Read the journal as it is now; an empty one where there is none."""
    topic = journal_topic(letters_topic)
    try:
        facts(admin, topic, "Read")
    except UnknownTopic:
        return Journal()
    return read(read_all(kafka, [topic]), letters_id)


@dataclass(slots=True)
class KafkaSources:
    """`Sources` of a real cluster; each topic is looked up once."""

    admin: Any
    kafka: Address
    closing: ExitStack
    _facts: dict[str, TopicFacts] = field(default_factory=dict)
    _keeps_ms: dict[str, int | None] = field(default_factory=dict)
    _readers: dict[str, Any] = field(default_factory=dict)

    def partitions(self, topic: str) -> int:
        """Count a topic's partitions."""
        if topic not in self._facts:
            self._facts[topic] = facts(self.admin, topic, "Write")
        return self._facts[topic].partitions

    def keeps_ms(self, topic: str) -> int | None:
        """Ask its retention, which goes by timestamps unless the broker sets those."""
        if topic not in self._keeps_ms:
            self._keeps_ms[topic] = kept_ms(_configs(self.admin, topic))
        return self._keeps_ms[topic]

    def record(self, partition: Partition, offset: int) -> Record | None:
        """Read a record where it was."""
        topic = partition.topic
        if topic not in self._readers:
            made = reader(self.kafka, [topic], "beginning")
            self._readers[topic] = self.closing.enter_context(made)
        return record_at(self._readers[topic], partition, offset)


def kept_ms(configs: Mapping[str, str]) -> int | None:
    """Say from a topic's configuration how old a record may be; None where any age will do."""
    if configs.get("message.timestamp.type") == "LogAppendTime":
        return None
    ages = [int(configs.get("message.timestamp.before.max.ms", FOREVER))]
    if "delete" in configs.get("cleanup.policy", "delete"):
        ages.append(int(configs.get("retention.ms", FOREVER)))
    return min((age for age in ages if age >= 0), default=None)


def _configs(admin: Any, topic: str) -> Mapping[str, str]:
    """Give a topic's configuration; nothing of it where the broker forbids to ask."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic)]
    with translated(f"asking how long topic {topic!r} keeps records"):
        found = admin.describe_configs(asked, config_filter="all")
    configs = found.get("topic", {}).get(topic, {})
    return {name: config["value"] for name, config in configs.items()}
