"""Small questions to the cluster that kafka-python's consumer has no bounded call for."""

import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import kafka.errors as client
from kafka.protocol.admin import DescribeConfigsRequest, DescribeGroupsRequest
from kafka.protocol.consumer import LeaveGroupRequest, OffsetCommitRequest
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment
from kafka.protocol.metadata import MetadataRequest
from kafka.structs import ConsumerGroupMetadata

from worker.errors import Unavailable, UnknownTopic
from worker.kafka.broker import Position
from worker.kafka.client_errors import Operation, forbidden
from worker.kafka.connections import answered
from worker.kafka.offset_stamps import Vouched, stamped
from worker.messages import Partition

# Kafka's own default, for a broker that does not let us ask.
RECORD_BYTES_MAX_DEFAULT: Final = 1_048_588
_TOPIC: Final = 2
# Kafka's numbers of operations: org.apache.kafka.common.acl.AclOperation.
_OPERATIONS: Final[Mapping[Operation, int]] = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Describe": 8,
    "IdempotentWrite": 12,
}
_RETRY_S: Final = 0.05
_NOT_READY: Final = (
    client.NotCoordinatorError,
    client.CoordinatorNotAvailableError,
    client.CoordinatorLoadInProgressError,
)


class ClusterQuestions:
    """Asks over the consumer's connections; from any thread, since its IO thread does the work."""

    def __init__(self, consumer: Any) -> None:
        self._manager = consumer._manager  # noqa: SLF001 -- it has no public way to send.
        self._net = consumer._net  # noqa: SLF001 -- as above.
        self._coordinator = consumer._coordinator  # noqa: SLF001 -- it knows who commits offsets.

    def partitions(self, topic: str, timeout_s: float, needed: Operation = "Describe") -> int:
        """Count a topic's partitions.

        Raises:
            UnknownTopic: there is none of that name.
            NotAuthorized: it may not be described, or what is `needed` may not be done with it.
        """
        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=topic)],
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=True,
        )
        with answered(self._manager, f"looking up topic {topic!r}", needed):
            found = self._ask(request, None, timeout_s).topics[0]
            error = client.for_code(found.error_code)
            if error in (client.UnknownTopicOrPartitionError, client.InvalidTopicError):
                raise UnknownTopic(topic)
            if error is client.TopicAuthorizationFailedError:
                raise error({topic})
            if error is not client.NoError:
                raise error(topic)
        if not _allows(found.authorized_operations, needed):
            raise forbidden("topic", topic, needed, f"looking up topic {topic!r}")
        return len(found.partitions)

    def record_bytes_max(self, topic: str, timeout_s: float) -> int:
        """Give the most bytes a batch of this topic may have on the wire."""
        request = DescribeConfigsRequest(
            resources=[(_TOPIC, topic, ["max.message.bytes"])], include_synonyms=False
        )
        with answered(self._manager, f"asking the record limit of topic {topic!r}"):
            result = self._ask(request, None, timeout_s).results[0]
        if result.error_code or not result.configs:
            return RECORD_BYTES_MAX_DEFAULT
        return int(result.configs[0].value)

    def commit(
        self,
        positions: Mapping[Partition, Position],
        vouched: Vouched,
        timeout_s: float,
    ) -> None:
        """Commit the group's positions, vouched for by a member.

        The consumer's own commit would vouch with whatever generation it has by then, and so
        commit for partitions that it no longer owns.
        """
        with answered(self._manager, "committing offsets"):
            node = self._coordinator_node(timeout_s)
            request = _commit_request(positions, vouched)
            answer = self._ask(request, node, timeout_s)
            for topic in answer.topics:
                for partition in topic.partitions:
                    if partition.error_code:
                        error = client.for_code(partition.error_code)
                        self._refused(error, topic.name, vouched.member)

    def free_unowned(self, group: str, slot_id: str, partitions: int, timeout_s: float) -> None:
        """Send a slot's dead self away where some of the partitions have no owner.

        It had to give them up and died before it rejoined: its successor takes its place in the
        same generation, without a word to the group, and they would be owned by nobody.

        Raises:
            NotAuthorized: the group may not be joined.
        """
        with answered(self._manager, f"looking up group {group!r}"):
            found = self._described(group, timeout_s)
            if not _allows(found.authorized_operations, "Read"):
                raise forbidden("group", group, "Read", f"looking up group {group!r}")
            dead = any(member.group_instance_id == slot_id for member in found.members)
            if dead and found.group_state == "Stable" and _owned(found) < partitions:
                self.leave(group, slot_id, "", timeout_s)

    def leave(self, group: str, slot_id: str, member_id: str, timeout_s: float) -> None:
        """Take a static member out of the group, as the admin's `remove_group_members` does.

        With its `member_id` only if it still holds its slot; without, whoever does.
        """
        with answered(self._manager, "leaving the group"):
            node = self._coordinator_node(timeout_s)
            self._ask(_leave_request(group, slot_id, member_id), node, timeout_s)

    def is_current(self, member: ConsumerGroupMetadata) -> bool:
        """Whether this process is that member still; after a rejoin it is another."""
        return bool(self._coordinator._generation.member_id == member.member_id)  # noqa: SLF001

    def _described(self, group: str, timeout_s: float) -> Any:
        """Ask the group's coordinator about it, again while that one is not ready.

        When it is not ready in time, it has told of no members and no rights.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            node = self._coordinator_node(timeout_s)
            (found,) = self._ask(_describe_request(group), node, timeout_s).groups
            error = client.for_code(found.error_code)
            if error not in _NOT_READY or time.monotonic() > deadline_s:
                return found
            self._coordinator.coordinator_dead(error())
            time.sleep(_RETRY_S)

    def _coordinator_node(self, timeout_s: float) -> Any:
        find = self._coordinator.ensure_coordinator_ready_async
        if not self._net.run(find, timeout_s * 1_000):
            raise Unavailable("the coordinator of the group is not known: no broker answers")
        return self._coordinator.coordinator()

    def _refused(self, error: Any, topic: str, member: ConsumerGroupMetadata) -> NoReturn:
        if error is client.FencedInstanceIdError and not self.is_current(member):
            raise client.CommitFailedError
        if error is client.TopicAuthorizationFailedError:
            raise error({topic})
        if error in (client.NotCoordinatorError, client.CoordinatorNotAvailableError):
            self._coordinator.coordinator_dead(error())
        raise error()

    def _ask(self, request: Any, node: Any, timeout_s: float) -> Any:
        async def ask() -> Any:
            sent = self._manager.send(request, node_id=node)
            return await self._manager.wait_for(sent, timeout_s * 1_000)

        return self._net.run(ask)


def _allows(operations: object, needed: Operation) -> bool:
    """Look a right up; where a broker tells of none, it shows when it is made use of."""
    return not isinstance(operations, set) or _OPERATIONS[needed] in operations


def _describe_request(group: str) -> DescribeGroupsRequest:
    # From version 6 on nothing is told of the rights on a group that does not exist yet.
    return DescribeGroupsRequest(max_version=5, groups=[group], include_authorized_operations=True)


def _leave_request(group: str, slot_id: str, member_id: str) -> LeaveGroupRequest:
    identity = LeaveGroupRequest.MemberIdentity
    left = identity(member_id=member_id, group_instance_id=slot_id, reason="its process ends")
    # Before version 3 there are no static members.
    return LeaveGroupRequest(min_version=3, group_id=group, member_id=member_id, members=[left])


def _owned(group: Any) -> int:
    """Count the partitions that the members of a stable group own."""
    return sum(
        len(ConsumerProtocolAssignment.decode(member.member_assignment).partitions())
        for member in group.members
        if member.member_assignment
    )


def _commit_request(
    positions: Mapping[Partition, Position], vouched: Vouched
) -> OffsetCommitRequest:
    member = vouched.member
    topics = {partition.topic for partition in positions}
    by_topic = OffsetCommitRequest.OffsetCommitRequestTopic
    by_partition = by_topic.OffsetCommitRequestPartition
    return OffsetCommitRequest(
        max_version=8,
        group_id=member.group_id,
        generation_id_or_member_epoch=member.generation_id,
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        topics=[
            by_topic(
                name=topic,
                partitions=[
                    by_partition(
                        partition_index=partition.number,
                        committed_offset=position.offset,
                        committed_leader_epoch=-1,
                        committed_metadata=stamped(position.note, vouched.topic_id),
                    )
                    for partition, position in positions.items()
                    if partition.topic == topic
                ],
            )
            for topic in topics
        ],
    )
