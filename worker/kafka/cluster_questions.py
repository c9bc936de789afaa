"""Small questions to the cluster that kafka-python's consumer has no bounded call for."""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import kafka.errors as client
from kafka.protocol.admin import DescribeConfigsRequest
from kafka.protocol.consumer import OffsetCommitRequest
from kafka.protocol.metadata import MetadataRequest
from kafka.structs import ConsumerGroupMetadata

from worker.errors import Unavailable, UnknownTopic
from worker.kafka.broker import Position
from worker.kafka.client_errors import translated
from worker.messages import Partition

# Kafka's own default, for a broker that does not let us ask.
RECORD_BYTES_MAX_DEFAULT: Final = 1_048_588
_TOPIC: Final = 2
_RETRY_S: Final = 0.05


class ClusterQuestions:
    """Asks over the consumer's connections; from any thread, since its IO thread does the work."""

    def __init__(self, consumer: Any) -> None:
        self._manager = consumer._manager  # noqa: SLF001 -- it has no public way to send.
        self._net = consumer._net  # noqa: SLF001 -- as above.
        self._coordinator = consumer._coordinator  # noqa: SLF001 -- it knows who commits offsets.

    def partitions(self, topic: str, timeout_s: float) -> int:
        """Count a topic's partitions; UnknownTopic when there is none."""
        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=topic)],
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
        )
        with translated(f"looking up topic {topic!r}"):
            found = self._ask(request, None, timeout_s).topics[0]
            error = client.for_code(found.error_code)
            if error in (client.UnknownTopicOrPartitionError, client.InvalidTopicError):
                raise UnknownTopic(topic)
            if error is client.TopicAuthorizationFailedError:
                raise error({topic})
            if error is not client.NoError:
                raise error(topic)
        return len(found.partitions)

    def record_bytes_max(self, topic: str, timeout_s: float) -> int:
        """Give the most bytes a batch of this topic may have on the wire."""
        request = DescribeConfigsRequest(
            resources=[(_TOPIC, topic, ["max.message.bytes"])], include_synonyms=False
        )
        with translated(f"asking the record limit of topic {topic!r}"):
            result = self._ask(request, None, timeout_s).results[0]
        if result.error_code or not result.configs:
            return RECORD_BYTES_MAX_DEFAULT
        return int(result.configs[0].value)

    def commit(
        self,
        positions: Mapping[Partition, Position],
        member: ConsumerGroupMetadata,
        timeout_s: float,
    ) -> None:
        """Commit the group's positions, vouched for by `member`.

        The consumer's own commit would vouch with whatever generation it has by then, and so
        commit for partitions that it no longer owns.
        """
        with translated("committing offsets"):
            node = self._net.run(
                self._coordinator.ensure_coordinator_ready_async, timeout_s * 1_000
            )
            if not node:
                raise Unavailable("committing offsets: the group's coordinator is not known")
            request = _commit_request(positions, member)
            answer = self._ask(request, self._coordinator.coordinator(), timeout_s)
            for topic in answer.topics:
                for partition in topic.partitions:
                    if partition.error_code:
                        self._refused(client.for_code(partition.error_code), topic.name)

    def _refused(self, error: Any, topic: str) -> NoReturn:
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


def _commit_request(
    positions: Mapping[Partition, Position], member: ConsumerGroupMetadata
) -> OffsetCommitRequest:
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
                        committed_metadata=position.note,
                    )
                    for partition, position in positions.items()
                    if partition.topic == topic
                ],
            )
            for topic in topics
        ],
    )
