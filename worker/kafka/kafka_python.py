"""The broker seam on kafka-python: `connect` gives a member of the group with its producer."""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from kafka import KafkaConsumer

from worker.errors import BrokerError, Unavailable
from worker.kafka.broker import Broker, Ends, Membership, Polled, Position, Transaction
from worker.kafka.client_errors import quieten
from worker.kafka.client_settings import ClientSettings
from worker.kafka.cluster_questions import ClusterQuestions
from worker.kafka.connections import connected
from worker.kafka.kafka_consumer import GroupConsumer, consumer_config
from worker.kafka.kafka_producer import Slot
from worker.messages import Partition

# To find the coordinator, and to ask it.
LEAVING_STEPS: Final = 2
CLOSE_S_MIN: Final = 0.1


def connect(settings: ClientSettings) -> Broker:
    """Connect, and see that the topic exists; the group is joined by polling.

    A slot belongs to one process: this one takes the place of a dead one in the group, and aborts
    the transaction that it left open. Else others wait for its timeouts.

    Raises:
        Unavailable: nobody answers, within five seconds.
        LinkRefused: somebody answers, and one of both does not trust the other.
        UnknownTopic: there is no topic of that name.
        NotAuthorized: the broker forbids to read the topic, to write the others, or to use the
            group or the transactional id.
    """
    quieten()
    consumer = connected(
        KafkaConsumer, consumer_config(settings), settings.bootstrap_servers, settings.security
    )
    questions = ClusterQuestions(consumer)
    try:
        timeout_s = settings.request_timeout_ms / 1_000
        count = questions.partitions(settings.topic, timeout_s, "Read")
        for topic in settings.written_topics:
            questions.partitions(topic, timeout_s, "Write")
        questions.free_unowned(settings.group, settings.slot_id, count, timeout_s)
        slot = Slot(settings, questions)
        with suppress(Unavailable):  # Then the first transaction does it.
            slot.take_over(timeout_s)
        return KafkaPython(GroupConsumer(consumer, settings), questions, slot)
    except BaseException:
        consumer.close(autocommit=False, timeout_ms=0)
        raise


class KafkaPython:
    """A `Broker`: the consumer's calls belong to the poll thread, a transaction's to another."""

    def __init__(self, member: GroupConsumer, questions: ClusterQuestions, slot: Slot) -> None:
        self._member = member
        self._questions = questions
        self._slot = slot

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Wait for records at most `timeout_s`, and give at most `records_max`."""
        return self._member.poll(timeout_s, records_max)

    def pause(self, partitions: Collection[Partition]) -> None:
        """Give no records of these until `resume`."""
        self._member.pause(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """Give records of these again."""
        self._member.resume(partitions)

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading at `offset`."""
        self._member.seek(partition, offset)

    def committed(
        self, partitions: Collection[Partition], timeout_s: float
    ) -> Mapping[Partition, Position]:
        """Give the group's stable positions."""
        return self._member.committed(partitions, timeout_s)

    def ends(self, partitions: Collection[Partition], timeout_s: float) -> Mapping[Partition, Ends]:
        """Give the ends of the logs."""
        return self._member.ends(partitions, timeout_s)

    def partitions(self, topic: str, timeout_s: float) -> int:
        """Count the partitions of a topic."""
        return self._questions.partitions(topic, timeout_s)

    def mark(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Commit positions outside any transaction."""
        vouched: Any = membership
        self._questions.commit(positions, vouched, timeout_s)

    def begin(self, timeout_s: float) -> Transaction:
        """Begin a transaction, with a new producer when the last one was thrown away."""
        return self._slot.begin(timeout_s)

    def close(self, timeout_s: float, *, leave: bool) -> None:
        """Close producer and consumer; what does not close in time is left to the process's end."""
        deadline_s = time.monotonic() + timeout_s
        self._slot.discard()
        if leave:
            with suppress(BrokerError):
                self._leave(timeout_s / LEAVING_STEPS)
        with suppress(Unavailable):
            self._member.close(max(CLOSE_S_MIN, deadline_s - time.monotonic()))

    def _leave(self, timeout_s: float) -> None:
        """Leave the group; kafka-python lets a static member stay until its session ends."""
        member_id = self._member.member_id
        if member_id is not None:
            settings = self._slot.settings
            self._questions.leave(settings.group, settings.slot_id, member_id, timeout_s)
