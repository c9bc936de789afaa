"""When a member may vouch for commits."""

from types import SimpleNamespace

import pytest
from kafka.structs import ConsumerGroupMetadata, MemberState

from worker.kafka.kafka_consumer import GroupConsumer


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
