"""When a member may vouch for commits, and that it is told what it lost."""

import asyncio
import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata, TopicPartition

from worker.attempts import note_of
from worker.errors import Unavailable
from worker.kafka import kafka_consumer
from worker.kafka.client_settings import ClientSettings
from worker.kafka.exact_records import ExactRecords
from worker.kafka.kafka_consumer import GroupConsumer
from worker.kafka.offset_stamps import Vouched, stamped
from worker.kafka.ownership import Ownership
from worker.messages import Partition

POSTS_ID = uuid4()


def membership_of(metadata: ConsumerGroupMetadata) -> object:
    """Ask a member whose client says this of itself."""
    member = object.__new__(GroupConsumer)
    member._consumer = SimpleNamespace(group_metadata=lambda: metadata)
    member._topic = cast("Any", SimpleNamespace(id=POSTS_ID))
    return member._membership()


def test_a_stable_member_vouches() -> None:
    """Its metadata goes with the offsets, and the broker checks it; the topic's id is for us."""
    metadata = ConsumerGroupMetadata("tuwen", 3, "member-1", None, MemberState.STABLE)
    assert membership_of(metadata) == Vouched(metadata, POSTS_ID)


@pytest.mark.parametrize(
    "metadata",
    [
        # Past max.poll.interval: a commit with this would not be fenced at all.
        ConsumerGroupMetadata("tuwen", -1, "", None, MemberState.UNJOINED),
        ConsumerGroupMetadata("tuwen", -1, "member-1", None, MemberState.STABLE),
        ConsumerGroupMetadata("tuwen", 3, "", None, MemberState.STABLE),
        # The new generation, before it is known which partitions go with it.
        ConsumerGroupMetadata("tuwen", 3, "member-1", None, MemberState.REBALANCING),
    ],
    ids=["out of the group", "no generation", "no member", "in a rebalance"],
)
def test_a_member_without_a_generation_vouches_for_nothing(metadata: ConsumerGroupMetadata) -> None:
    """kafka-python gives metadata in any state; this is the zombie fence's other half."""
    assert membership_of(metadata) is None


class SilentConsumer:
    """A client whose group's coordinator is not known, and whose polls bring nothing."""

    def __init__(self) -> None:
        quiet = SimpleNamespace(run=lambda *_: None, wait_for=None)
        self._manager = SimpleNamespace(wait_for=None)
        self._net = quiet
        self._client = None
        self._cluster = SimpleNamespace(request_update=lambda: None)
        self._coordinator = SimpleNamespace(
            rejoining=False,
            coordinator_unknown=lambda: True,
            _handle_heartbeat_response=lambda *_: None,
            fetch_committed_offsets_async=self._fetch_committed,
        )
        self._cluster.topic_id = lambda _: None
        self._cluster.partitions_for_topic = lambda _: {0}
        self._fetcher = SimpleNamespace(_next_partition_records=None)
        self._subscription = SimpleNamespace(assignment={})

    def subscribe(self, topics: list[str], listener: Any) -> None:
        """Keep who is to be told."""
        self.listener = listener

    def poll(self, timeout_ms: float, records_max: int) -> dict[Any, Any]:
        """Bring nothing."""
        return {}

    def close(self, autocommit: bool, timeout_ms: float) -> None:
        """Leave, as the client has dynamic members do."""
        self.left = self._coordinator.is_dynamic_member()

    async def _fetch_committed(self, *_: object, **__: object) -> dict[Any, Any]:
        """Give an offset with a note and a stamp."""
        metadata = stamped(note_of(1), POSTS_ID)
        return {TopicPartition("posts", 0): OffsetAndMetadata(7, metadata, -1)}

    def group_metadata(self) -> ConsumerGroupMetadata:
        """Be out of the group."""
        return ConsumerGroupMetadata("tuwen", -1, "", None, MemberState.UNJOINED)


def test_what_was_lost_is_told_although_a_poll_raises_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its records would be committed with the next membership, though another owns it."""
    consumer = SilentConsumer()
    monkeypatch.setattr(kafka_consumer, "Fetcher", lambda *_, **__: None)
    monkeypatch.setattr(kafka_consumer, "distrust", lambda _: None)
    settings = ClientSettings("nobody:1", "group", "posts", "slot")
    member = GroupConsumer(consumer, settings)
    partition = Partition("posts", 0)
    consumer.listener.on_partitions_assigned([partition])
    assert member.poll(0, 1).gained == {partition}
    member._silent_since_s = -1_000.0
    consumer.listener.on_partitions_lost([partition])
    with pytest.raises(Unavailable):
        member.poll(0, 1)
    assert member.poll(0, 1).lost == {partition}


def test_a_member_that_does_not_poll_leaves_and_one_that_is_closed_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """kafka-python lets a static member leave only by its session; how to stop is ours to say."""
    consumer = SilentConsumer()
    monkeypatch.setattr(kafka_consumer, "Fetcher", lambda *_, **__: None)
    member = GroupConsumer(consumer, ClientSettings("nobody:1", "group", "posts", "slot"))
    assert consumer._coordinator.is_dynamic_member()
    member.close(1.0)
    assert not consumer.left


def test_a_listener_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs on the client's IO thread while the polling thread waits for it."""
    consumer = SilentConsumer()
    monkeypatch.setattr(kafka_consumer, "Fetcher", lambda *_, **__: None)
    member = GroupConsumer(consumer, ClientSettings("nobody:1", "group", "posts", "slot"))
    partition = Partition("posts", 0)

    def hear() -> None:
        consumer.listener.on_partitions_assigned([partition])
        consumer.listener.on_partitions_revoked([partition])

    def poll(_timeout_ms: float, _records_max: int) -> dict[Any, Any]:
        io_thread = threading.Thread(target=hear, daemon=True)
        io_thread.start()
        io_thread.join(1.0)
        assert not io_thread.is_alive(), "it waits for somebody"
        return {}

    monkeypatch.setattr(consumer, "poll", poll)
    monkeypatch.setattr(consumer._coordinator, "coordinator_unknown", lambda: False)
    assert member.poll(0, 1).revoked == set()


def test_records_are_read_by_our_own_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's makes nothing of headers that are not UTF-8, and spins."""
    consumer = SilentConsumer()
    monkeypatch.setattr(kafka_consumer, "Fetcher", lambda *_, **__: None)
    GroupConsumer(consumer, ClientSettings("nobody:1", "group", "posts", "slot"))
    assert consumer._fetcher.PartitionRecords is ExactRecords


def test_offsets_that_the_group_gives_back_are_looked_at_before_anybody_sees_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client itself is the first who asks for one, when it gains a partition."""
    consumer = SilentConsumer()
    monkeypatch.setattr(kafka_consumer, "Fetcher", lambda *_, **__: None)
    GroupConsumer(consumer, ClientSettings("nobody:1", "group", "posts", "slot"))
    (found,) = asyncio.run(consumer._coordinator.fetch_committed_offsets_async([])).values()
    assert found.metadata == note_of(1)


def joining(ended: bool) -> Any:
    """A member whose poll was over before the join that it had begun."""
    told: list[str] = []

    def poll(*_: object) -> dict[Any, Any]:
        told.append("polled")
        return {}

    async def complete(*_: object) -> None:
        told.append("joined")

    member = cast("Any", object.__new__(GroupConsumer))
    join = SimpleNamespace(is_done=ended, failed=lambda: False, value=b"")
    member._coordinator = SimpleNamespace(
        rejoining=True,
        state=MemberState.REBALANCING,
        told=told,
        _lock=nullcontext(),
        _join_task=join,
        _generation=SimpleNamespace(generation_id=3, member_id="member-1", protocol=""),
        _enable_heartbeat=lambda: told.append("heartbeats"),
        _on_join_complete_async=complete,
    )
    member._slot = SimpleNamespace(demand=lambda: None)
    member._fetcher = SimpleNamespace(_next_partition_records=None)
    member._consumer = SimpleNamespace(
        poll=poll,
        _manager=None,
        _net=SimpleNamespace(run=lambda work: asyncio.run(work())),
        group_metadata=lambda: ConsumerGroupMetadata("tuwen", -1, "", None, MemberState.UNJOINED),
    )
    member._topic = SimpleNamespace(look=lambda: None)
    member._notice_silence = lambda: None
    member._ownership = Ownership()
    return member


def test_a_join_that_ended_between_two_polls_is_taken_before_the_next() -> None:
    """Else the client stays without heartbeats, and joins anew or never is a member again."""
    member = joining(ended=True)
    member.poll(0.0, 1)
    assert member._coordinator.told == ["heartbeats", "joined", "polled"]
    assert member._coordinator.state is MemberState.STABLE


def test_a_join_that_lasts_is_polled_on() -> None:
    """It ends in one of the next polls."""
    member = joining(ended=False)
    member.poll(0.0, 1)
    assert member._coordinator.told == ["polled"]
    assert member._coordinator.rejoining
