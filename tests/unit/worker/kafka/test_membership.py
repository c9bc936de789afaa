"""When a member may vouch for commits, and that it is told what it lost."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.structs import ConsumerGroupMetadata, MemberState

from worker.errors import Unavailable
from worker.kafka import kafka_consumer
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_consumer import GroupConsumer
from worker.messages import Partition


def membership_of(metadata: ConsumerGroupMetadata) -> object:
    """Ask a member whose client says this of itself."""
    member = object.__new__(GroupConsumer)
    member._consumer = SimpleNamespace(group_metadata=lambda: metadata)
    return member._membership()


def test_a_stable_member_vouches() -> None:
    """Its metadata goes with the offsets, and the broker checks it."""
    metadata = ConsumerGroupMetadata("tuwen", 3, "member-1", None, MemberState.STABLE)
    assert membership_of(metadata) is metadata


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
