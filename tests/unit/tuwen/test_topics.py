from typing import Any

from kafka.errors import TopicAlreadyExistsError

from tuwen.topics import DEAD_LETTER_BYTES_MAX, RECORD_BYTES_MAX, Topic, create, faults, remarks
from worker.settings import WorkerSettings


class FakeAdmin:
    """A cluster's topics, and what was asked for; `late` come into being meanwhile."""

    def __init__(self, topics: dict[str, int], late: tuple[str, ...] = ()) -> None:
        self.topics = dict(topics)
        self.made: dict[str, Any] = {}
        self._late = late

    def describe_topics(self) -> list[dict[str, Any]]:
        """What there is."""
        return [{"name": name, "partitions": [{}] * n} for name, n in self.topics.items()]

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
