from typing import Any

import pytest
from kafka.errors import TopicAlreadyExistsError

from tuwen.topics import DEAD_LETTER_BYTES_MAX, RECORD_BYTES_MAX, Topic, create, faults, remarks
from worker.errors import NotAuthorized
from worker.settings import WorkerSettings


class FakeAdmin:
    """A cluster's topics, and what was asked for; `late` come into being meanwhile."""

    def __init__(self, topics: dict[str, int], late: tuple[str, ...] = ()) -> None:
        self.topics = dict(topics)
        self.made: dict[str, Any] = {}
        self._late = late
        self.hidden: set[str] = set()

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        """What there is of these, and what may be seen of it."""
        return [
            {
                "name": name,
                "partitions": [{}] * self.topics.get(name, 0),
                "error_code": 29 if name in self.hidden else 0 if name in self.topics else 3,
            }
            for name in names
        ]

    def create_topics(self, wanted: dict[str, Any], timeout_ms: int) -> None:
        """Make one, if nobody was faster."""
        ((name, topic),) = wanted.items()
        self.topics[name] = topic["num_partitions"]
        if name in self._late:
            raise TopicAlreadyExistsError
        self.made[name] = topic

    def wait_for_topics(self, names: list[str]) -> None:
        """They are there already."""


def test_what_is_there_stays_as_it_is() -> None:
    """Only what is missing is made."""
    admin = FakeAdmin({"tuwen.posts": 12})

    made = create(admin, WorkerSettings(), partitions=3, replication=2)

    assert made == [
        Topic("tuwen.posts", 12),
        Topic("tuwen.verdicts", 3, created=True),
        Topic("tuwen.dead-letters", 3, created=True),
    ]
    assert admin.made["tuwen.verdicts"]["replication_factor"] == 2


def test_a_topic_that_may_not_be_seen_is_not_taken_for_a_missing_one() -> None:
    """The right is what is missing; nothing is made."""
    admin = FakeAdmin({"tuwen.posts": 12})
    admin.hidden.add("tuwen.posts")
    with pytest.raises(NotAuthorized, match=r"forbids Describe on topic tuwen\.posts"):
        create(admin, WorkerSettings(), partitions=1, replication=1)
    assert admin.made == {}


def test_a_dead_letter_fits_where_its_post_did() -> None:
    """It is the post with more headers."""
    admin = FakeAdmin({})
    create(admin, WorkerSettings(), partitions=1, replication=1)

    configs = admin.made["tuwen.dead-letters"]["configs"]
    assert int(configs["max.message.bytes"]) == DEAD_LETTER_BYTES_MAX > RECORD_BYTES_MAX


def test_a_topic_that_somebody_makes_at_the_same_time_is_no_error() -> None:
    """Two operators may type the same."""
    admin = FakeAdmin({}, late=("tuwen.posts",))

    made = create(admin, WorkerSettings(), partitions=1, replication=1)

    assert [topic.partitions for topic in made] == [1, 1, 1]


def test_what_is_missing_and_what_does_not_match_is_said() -> None:
    """The one keeps workers from running, the other does not."""
    topics = [Topic("p", 3), Topic("v", 4), Topic("d", 0)]

    assert faults(topics) == ["topic 'd' does not exist: `tuwen topics create` makes it"]
    assert "p has 3 partitions and v 4" in remarks(topics)[0]
    assert remarks([Topic("p", 3), Topic("v", 3), Topic("d", 1)]) == []
