"""The three topics of a deployment: create them, or say what is wrong with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError

from worker.kafka.client_errors import forbidden
from worker.settings import WorkerSettings

RECORD_BYTES_MAX: Final = 1_048_588
"""Kafka's own default for the largest record batch."""

DEAD_LETTER_BYTES_MAX: Final = RECORD_BYTES_MAX + 64 * 1024
"""A dead letter is the record and more headers: what came in must fit on its way out."""

DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is: its partitions, 0 where it does not exist, and whether it was made now."""

    name: str
    partitions: int
    created: bool = False


def create(
    admin: Any, settings: WorkerSettings, partitions: int, replication: int
) -> Sequence[Topic]:
    """Create those that are missing; the others stay as they are."""
    wanted = {
        settings.posts_topic: {},
        settings.verdicts_topic: {},
        settings.dead_letters_topic: {
            "max.message.bytes": str(DEAD_LETTER_BYTES_MAX),
            "retention.ms": str(30 * DAY_MS),
        },
    }
    before = counts(admin, wanted)
    missing = [name for name in wanted if name not in before]
    for name in missing:
        _create_one(admin, name, partitions, replication, wanted[name])
    if missing:
        admin.wait_for_topics(missing)
    after = counts(admin, wanted)
    return [Topic(name, after.get(name, 0), name in missing) for name in wanted]


def _create_one(
    admin: Any, name: str, partitions: int, replication: int, configs: Mapping[str, str]
) -> None:
    topic = {
        "num_partitions": partitions,
        "replication_factor": replication,
        "configs": dict(configs),
    }
    try:
        admin.create_topics({name: topic}, timeout_ms=5_000)
    except TopicAlreadyExistsError:
        return  # somebody else made it a moment ago


def present(admin: Any, settings: WorkerSettings) -> Sequence[Topic]:
    """Look at the three topics."""
    names = (settings.posts_topic, settings.verdicts_topic, settings.dead_letters_topic)
    found = counts(admin, names)
    return [Topic(name, found.get(name, 0)) for name in names]


def counts(admin: Any, names: Iterable[str]) -> Mapping[str, int]:
    """Count the partitions of those of these topics that exist.

    Raises NotAuthorized where one may not be looked at: it would pass for one that is not there.
    """
    found = {}
    for topic in admin.describe_topics(list(names)):
        name = topic["name"]
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            raise forbidden("topic", name, "Describe", f"looking up topic {name!r}")
        if topic["partitions"]:
            found[name] = len(topic["partitions"])
    return found


def faults(topics: Sequence[Topic]) -> Sequence[str]:
    """Say what keeps workers from running, one line for each."""
    return [
        f"topic {topic.name!r} does not exist: `tuwen topics create` makes it"
        for topic in topics
        if not topic.partitions
    ]


def remarks(topics: Sequence[Topic]) -> Sequence[str]:
    """Say what works, but is not as good as it could be."""
    posts, verdicts, _dead_letters = topics
    if posts.partitions and verdicts.partitions and posts.partitions != verdicts.partitions:
        remark = (
            f"{posts.name} has {posts.partitions} partitions and {verdicts.name} "
            f"{verdicts.partitions}: with equal numbers a post and its verdict share the number"
        )
        return [remark]
    return []
