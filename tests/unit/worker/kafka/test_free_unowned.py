"""When a slot's dead self is sent away before its successor joins."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from worker.kafka.cluster_questions import ClusterQuestions


def member(slot_id: str, partitions: list[int]) -> Any:
    """A member of a described group."""
    by_topic = ConsumerProtocolAssignment.TopicPartition(topic="posts", partitions=partitions)
    assignment = ConsumerProtocolAssignment(
        version=1, assigned_partitions=[by_topic] if partitions else [], user_data=b""
    )
    return SimpleNamespace(group_instance_id=slot_id, member_assignment=assignment.encode())


DEAD, OTHER = member("tuwen-pod-0", [0, 1]), member("tuwen-pod-1", [2])


@pytest.mark.parametrize(
    ("state", "members", "left"),
    [
        ("Stable", [DEAD, OTHER], True),  # of four partitions one has no owner
        ("Stable", [DEAD, member("tuwen-pod-1", [2, 3])], False),
        ("Stable", [OTHER], False),
        ("PreparingRebalance", [member("tuwen-pod-0", [])], False),
    ],
    ids=["unowned", "all are owned", "not a member", "shared out anew already"],
)
def test_a_dead_self_is_sent_away_where_a_partition_has_no_owner(
    state: str, members: list[Any], left: bool
) -> None:
    """Its successor would take its place, and nothing would make the group share out again."""
    sent_away: list[str] = []
    questions = cast("Any", object.__new__(ClusterQuestions))
    questions._manager = None
    questions._described = lambda *_: SimpleNamespace(
        authorized_operations=None, group_state=state, members=members
    )
    questions.leave = lambda _group, slot_id, *_: sent_away.append(slot_id)
    questions.free_unowned("tuwen", "tuwen-pod-0", 4, 1.0)
    assert sent_away == ["tuwen-pod-0"] * left
