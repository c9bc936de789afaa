"""What a member makes of a topic that is not as it was."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from worker.errors import TopicMadeAnew, UnknownTopic
from worker.kafka.topic_watch import GONE_S, TopicWatch


class Known:
    """What the client knows of the topic, and how often it was told to join anew."""

    def __init__(self) -> None:
        self.id: UUID | None = uuid4()
        self.partitions: set[int] | None = {0, 1}
        self.joins = 0
        cluster = SimpleNamespace(
            topic_id=lambda _: self.id, partitions_for_topic=lambda _: self.partitions
        )
        self.watch = TopicWatch(cluster, SimpleNamespace(request_rejoin=self._join), "posts")

    def _join(self) -> None:
        self.joins += 1


@pytest.fixture
def known() -> Known:
    """A topic with two partitions, that was looked at once."""
    found = Known()
    found.watch.look()
    return found


def test_a_member_joins_anew_once_for_partitions_that_came(known: Known) -> None:
    """And never for those that are there at the start."""
    known.watch.look()
    assert known.joins == 0
    known.partitions = {0, 1, 2}
    known.watch.look()
    known.watch.look()
    assert known.joins == 1


def test_a_topic_with_another_id_is_another_topic(known: Known) -> None:
    """At an offset of the old one its beginning would be skipped."""
    known.id = uuid4()
    with pytest.raises(TopicMadeAnew, match="'posts' was deleted and made anew"):
        known.watch.look()


@pytest.mark.parametrize("unknown", [None, UUID(int=0)])
def test_a_topic_whose_id_is_not_told_is_the_same(known: Known, unknown: Any) -> None:
    """While it is being deleted it has none."""
    known.id, before = unknown, known.id
    known.watch.look()
    known.id = before
    known.watch.look()


def test_a_topic_that_is_gone_for_seconds_is_named(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that has just started may not know it yet."""
    now_s = 100.0
    monkeypatch.setattr("worker.kafka.topic_watch.time.monotonic", lambda: now_s)
    known.partitions = None
    known.watch.look()
    now_s += GONE_S
    known.watch.look()
    now_s += 0.1
    with pytest.raises(UnknownTopic, match="'posts' does not exist"):
        known.watch.look()


def test_a_topic_that_is_there_again_is_no_news(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time without it begins anew each time, and nobody joins for its return."""
    now_s = 100.0
    monkeypatch.setattr("worker.kafka.topic_watch.time.monotonic", lambda: now_s)
    for partitions in (None, {0, 1}, None):
        known.partitions = partitions
        known.watch.look()
        now_s += GONE_S
    assert known.joins == 0
