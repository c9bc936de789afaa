"""The lag of the live view, and what is none though it lies behind the committed offset."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from tuwen.live import lag
from tuwen.live.lag import Lag

FIRST, SECOND = TopicPartition("posts", 0), TopicPartition("posts", 1)


class Cluster:
    """Two partitions of ten offsets, of which only some hold posts; admin and reader at once."""

    def __init__(self) -> None:
        self.committed = {FIRST: 6, SECOND: 10}
        self.posts = {FIRST: [0, 5], SECOND: [9]}
        self.readers = 0
        self.fails = False
        self._position = 0

    def describe_topics(self, topics: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Tell of both."""
        if self.fails:
            raise KafkaTimeoutError
        return [{"partitions": [{"partition_index": 0}, {"partition_index": 1}]}]

    def list_partition_offsets(self, specs: Mapping[TopicPartition, object]) -> Mapping[Any, Any]:
        """Tell the ends."""
        return dict.fromkeys(specs, SimpleNamespace(offset=10))

    def list_group_offsets(self, group: str) -> Mapping[str, Mapping[Any, Any]]:
        """Tell what is committed."""
        found = {each: SimpleNamespace(offset=at) for each, at in self.committed.items()}
        return {group: found}

    @contextmanager
    def reader(self, *_: object) -> Iterator["Cluster"]:
        """Connect once more."""
        self.readers += 1
        yield self

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read one."""
        (self._partition,) = partitions

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from there."""
        self._position = offset

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Tell the ends."""
        return dict.fromkeys(partitions, 10)

    def poll(self, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[int]]:
        """Give what is there, and stand behind the rest."""
        found = [at for at in self.posts[self._partition] if at >= self._position]
        self._position = 10
        return {self._partition: found[:max_records]}

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        """Where the next poll goes on."""
        return self._position


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """One that is read by whoever wants to."""
    made = Cluster()
    monkeypatch.setattr(lag, "reader", made.reader)
    return made


def test_markers_and_aborted_posts_at_the_end_are_no_lag(cluster: Cluster) -> None:
    """They are looked into once, when the group has come to stand before them."""
    posts = Lag(cluster, "nobody:1", "group", "posts")
    assert [posts.look() for _ in range(4)] == [4, 0, 0, 0]
    assert cluster.readers == 1


def test_a_post_that_is_not_answered_stays_lag(cluster: Cluster) -> None:
    """However long the workers stand still."""
    cluster.posts[FIRST].append(8)
    posts = Lag(cluster, "nobody:1", "group", "posts")
    assert [posts.look() for _ in range(3)] == [4, 4, 4]
    assert cluster.readers == 1


def test_while_the_group_moves_nothing_is_looked_into(cluster: Cluster) -> None:
    """The count is right in the end, and costs a request."""
    posts = Lag(cluster, "nobody:1", "group", "posts")
    assert posts.look() == 4
    cluster.committed[FIRST] = 8
    assert posts.look() == 2
    cluster.committed[FIRST] = 10
    assert posts.look() == 0
    assert cluster.readers == 0


def test_what_cannot_be_asked_is_not_told(cluster: Cluster) -> None:
    """Between two brokers the last figure stands."""
    cluster.fails = True
    assert Lag(cluster, "nobody:1", "group", "posts").look() is None
