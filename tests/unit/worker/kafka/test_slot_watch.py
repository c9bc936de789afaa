"""When a heartbeat tells that a member's place is taken."""

from types import SimpleNamespace
from typing import Any

import kafka.errors as client
import pytest

from worker.errors import SlotTaken
from worker.kafka.slot_watch import SlotWatch


def refusing(error: type[client.KafkaError]) -> Any:
    """A coordinator whose heartbeats are answered so."""

    def answered(*_: object) -> None:
        raise error

    return SimpleNamespace(
        _handle_heartbeat_response=answered, _generation=SimpleNamespace(member_id="member-1")
    )


def beat(coordinator: Any) -> None:
    """Have a heartbeat answered, as the client does."""
    with pytest.raises(client.KafkaError):
        coordinator._handle_heartbeat_response(None, 0.0)


def test_a_member_whose_heartbeat_is_fenced_has_lost_its_slot() -> None:
    """The client itself goes on giving it records."""
    coordinator = refusing(client.FencedInstanceIdError)
    watch = SlotWatch(coordinator, "tuwen-pod-0")
    watch.demand()
    beat(coordinator)
    with pytest.raises(SlotTaken, match=r"slot taken: .*'tuwen-pod-0'.*TUWEN_INSTANCE"):
        watch.demand()


def test_a_fence_of_the_member_that_this_was_before_it_joined_anew_says_nothing() -> None:
    """Out of the group for long, it has taken its own place."""
    coordinator = refusing(client.FencedInstanceIdError)
    watch = SlotWatch(coordinator, "tuwen-pod-0")
    beat(coordinator)
    coordinator._generation.member_id = "member-2"
    watch.demand()


def test_other_failures_of_a_heartbeat_are_no_fence() -> None:
    """The client joins anew by itself."""
    coordinator = refusing(client.UnknownMemberIdError)
    watch = SlotWatch(coordinator, "tuwen-pod-0")
    beat(coordinator)
    watch.demand()
