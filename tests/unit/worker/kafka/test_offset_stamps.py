"""Whose topic's an offset is, and what becomes of one of another topic of the same name."""

import asyncio
from collections.abc import Awaitable, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import kafka.errors as client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.structs import OffsetAndMetadata, TopicPartition
from structlog.testing import capture_logs

from worker.attempts import note_of
from worker.errors import TopicMadeAnew
from worker.kafka.offset_stamps import OffsetStamps, is_of, note_in, stamped
from worker.kafka.topic_watch import TopicWatch

FIRST, SECOND = TopicPartition("posts", 0), TopicPartition("posts", 1)
OTHER = uuid4()


@given(st.uuids(), st.sampled_from(["", note_of(1), note_of(99)]))
def test_a_stamp_leaves_the_note_as_it_was(topic_id: UUID, note: str) -> None:
    """And is far below the 4,096 bytes that a broker takes by default."""
    metadata = stamped(note, topic_id)
    assert note_in(metadata) == note
    assert is_of(metadata, topic_id)
    assert not is_of(metadata, UUID(int=topic_id.int ^ 1))
    assert len(metadata) <= 40


@pytest.mark.parametrize("metadata", ["", note_of(3), "others' words", "topic=posts"])
def test_an_offset_without_a_stamp_counts_as_it_is(metadata: str) -> None:
    """Of an older worker, or of an operator who has reset it."""
    assert is_of(metadata, OTHER)
    assert note_in(metadata) == metadata


def test_a_topic_whose_id_is_not_known_is_not_stamped() -> None:
    """An old broker tells none, and whatever is found counts."""
    assert stamped(note_of(1), None) == note_of(1)
    assert is_of(stamped("", OTHER), None)


class Member:
    """A member's client: what the group has committed, and which topic the cluster has."""

    def __init__(self, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        self.known = self.real = uuid4()
        self.committed = committed
        self.answers = True
        self._coordinator = SimpleNamespace(fetch_committed_offsets_async=self._fetch)
        self._cluster = SimpleNamespace(
            topic_id=lambda _: self.known, request_update=self._request_update
        )
        self._manager = SimpleNamespace(wait_for=self._wait_for)
        self.topic = TopicWatch(self._cluster, self._coordinator, "posts")
        OffsetStamps(self, self.topic)

    def fetch(self) -> Any:
        """Fetch as kafka-python and the seam do, who know of no stamps."""
        partitions = self.committed.keys()
        return asyncio.run(self._coordinator.fetch_committed_offsets_async(partitions, 1_000.0))

    async def _fetch(self, _partitions: object, timeout_ms: float) -> Any:
        return self.committed

    async def _request_update(self) -> None:
        if not self.answers:
            raise client.KafkaTimeoutError
        self.known = self.real

    async def _wait_for(self, what: Awaitable[None], timeout_ms: float) -> None:
        assert 0 <= timeout_ms <= 1_000
        await what


def test_an_offset_of_another_topic_is_left_out_and_named_once() -> None:
    """It would skip the first posts of the topic that has the name now."""
    member = Member({FIRST: OffsetAndMetadata(7, stamped(note_of(1), OTHER), -1)})
    with capture_logs() as told:
        assert member.fetch() == member.fetch() == {}
    assert [(each["topic"], each["partition"], each["offset"]) for each in told] == [
        ("posts", 0, 7)
    ]


def test_offsets_of_this_topic_are_given_with_their_note_alone() -> None:
    """Whoever reads the note knows of no stamp."""
    member = Member({})
    member.committed = {
        FIRST: OffsetAndMetadata(7, stamped(note_of(2), member.real), -1),
        SECOND: OffsetAndMetadata(8, None, -1),
    }
    assert member.fetch() == {
        FIRST: OffsetAndMetadata(7, note_of(2), -1),
        SECOND: OffsetAndMetadata(8, "", -1),
    }


def test_who_finds_an_offset_of_another_topic_sees_first_whether_its_own_is_gone() -> None:
    """It would read the new topic from its beginning, although others have answered for that."""
    member = Member({FIRST: OffsetAndMetadata(7, stamped("", OTHER), -1)})
    member.real = OTHER
    with pytest.raises(TopicMadeAnew):
        member.fetch()


def test_while_nobody_tells_which_topic_there_is_no_offset_is_given_up() -> None:
    """It is asked again."""
    member = Member({FIRST: OffsetAndMetadata(7, stamped("", OTHER), -1)})
    member.answers = False
    with capture_logs() as told, pytest.raises(client.KafkaTimeoutError):
        member.fetch()
    assert told == []


def test_the_topic_is_known_before_its_first_offset_is_used() -> None:
    """Else what is polled next might be stamped with the id of the topic that came after."""
    member = Member({})
    before = member.known
    member.fetch()
    assert member.topic.id == before
