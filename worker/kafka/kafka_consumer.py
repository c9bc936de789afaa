"""The consuming half of the adapter: one member of the group, owned by the poll thread."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any, Final

import kafka.errors as client
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState, TopicPartition

from worker.errors import OffsetOutOfRange, Unavailable, Undecodable
from worker.kafka.broker import Ends, Membership, Polled, Position
from worker.kafka.client_errors import Operation
from worker.kafka.client_settings import ClientSettings
from worker.kafka.connections import answered, distrust
from worker.kafka.exact_records import ExactRecords
from worker.kafka.offset_stamps import OffsetStamps, Vouched
from worker.kafka.ownership import Ownership
from worker.kafka.slot_watch import SlotWatch
from worker.kafka.topic_watch import TopicWatch
from worker.messages import Partition, Record

# A member learns from a heartbeat that others wait for it: partitions move no faster than this.
HEARTBEAT_MS: Final = 500
# A fetch holds its connection that long when there is nothing, and other questions wait behind it.
FETCH_WAIT_MS: Final = 200
RETRY_BACKOFF_MS: Final = 20
RECONNECT_BACKOFF_MAX_MS: Final = 1_000
# What is fetched and not yet polled, at most; one larger record still comes.
FETCH_BYTES_MAX: Final = 8 * 1024 * 1024
RECEIVE_BUFFER_BYTES: Final = 256 * 1024
# How long a poll may ask for the range of a log that it fell out of.
RANGE_S: Final = 1.0


def consumer_config(settings: ClientSettings) -> dict[str, Any]:
    """Say everything that kafka-python's defaults would get wrong for us."""
    return {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": settings.slot_id,
        "group_id": settings.group,
        "group_instance_id": settings.slot_id,
        "partition_assignment_strategy": (CooperativeStickyAssignor,),
        # Offsets go with the transaction, and never by themselves.
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        # Also makes offset fetches wait for open transactions (require_stable).
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "request_timeout_ms": settings.request_timeout_ms,
        "session_timeout_ms": settings.session_timeout_ms,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "bootstrap_timeout_ms": bootstrap_timeout_ms(settings),
        "heartbeat_interval_ms": HEARTBEAT_MS,
        "metadata_max_age_ms": settings.metadata_max_age_ms,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "fetch_max_bytes": FETCH_BYTES_MAX,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "reconnect_backoff_max_ms": RECONNECT_BACKOFF_MAX_MS,
        "receive_buffer_bytes": RECEIVE_BUFFER_BYTES,
        "metrics_enabled": False,
    }


def bootstrap_timeout_ms(settings: ClientSettings) -> int:
    """An operator is told within five seconds that nobody answers."""
    return min(settings.request_timeout_ms, 4_000)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types.
    """Sets flags and nothing else: kafka-python calls it on its IO thread.

    It does so only while `poll` (or `close`) of the consumer is running and the polling thread
    waits for it. So what the polling thread takes after a poll is complete, and a membership that
    is read then never runs ahead of the partitions that went with its generation.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    def on_partitions_assigned(self, assigned: Iterable[tuple[str, int]]) -> None:
        self._ownership.gain([Partition(*partition) for partition in assigned])

    def on_partitions_revoked(self, revoked: Iterable[tuple[str, int]]) -> None:
        self._ownership.revoke([Partition(*partition) for partition in revoked])

    def on_partitions_lost(self, lost: Iterable[tuple[str, int]]) -> None:
        self._ownership.lose([Partition(*partition) for partition in lost])


class GroupConsumer:
    """A member of the group; `consumer` comes connected, and is closed by `close`."""

    def __init__(self, consumer: KafkaConsumer, settings: ClientSettings) -> None:
        self._consumer = consumer
        self._servers = settings.bootstrap_servers
        self._patience_s = settings.request_timeout_ms / 1_000
        # kafka-python offers no public way to what is used below; its version is pinned.
        self._subscription = consumer._subscription  # noqa: SLF001
        self._coordinator = consumer._coordinator  # noqa: SLF001
        self._fetcher = consumer._fetcher  # noqa: SLF001
        self._fetcher.PartitionRecords = ExactRecords
        # Without committed offsets a partition is read from its beginning; where the log has lost
        # what is to be read next, that is an error and not a reason to begin anew.
        self._subscription.has_default_offset_reset_policy = lambda: False
        self._all_ends = Fetcher(
            consumer._client,  # noqa: SLF001
            self._subscription,
            isolation_level="read_uncommitted",
            request_timeout_ms=settings.request_timeout_ms,
        )
        self._ownership = Ownership()
        self._positions: dict[Partition, int] = {}
        self._stopped: set[Partition] = set()
        self._silent_since_s: float | None = None
        self._slot = SlotWatch(self._coordinator, settings.slot_id)
        self._topic = TopicWatch(consumer._cluster, self._coordinator, settings.topic)  # noqa: SLF001
        # Stands between the coordinator and who asks it for offsets, kafka-python itself too.
        OffsetStamps(consumer, self._topic)
        # One that does not poll for too long leaves. kafka-python has only dynamic members do so:
        # a static one would stay for its session, too.
        self._coordinator.is_dynamic_member = lambda: True
        consumer.subscribe([settings.topic], listener=_Listener(self._ownership))
        with answered(
            consumer._manager,  # noqa: SLF001
            f"looking up topic {settings.topic!r}",
        ):
            # Else the leader of a new group hands out a topic that it does not know yet: nothing.
            known = consumer._cluster.request_update()  # noqa: SLF001
            consumer._net.run(  # noqa: SLF001
                consumer._manager.wait_for,  # noqa: SLF001
                known,
                settings.request_timeout_ms,
            )

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Poll once; a partition that cannot be read is raised once, and stopped.

        Raises SlotTaken when another process has taken this member's place, TopicMadeAnew and
        UnknownTopic when the topic is not the one that it was.
        """
        self._slot.demand()
        if self._coordinator.rejoining:
            with self._answered("joining the group"):
                self._consumer._net.run(self._finish_join)  # noqa: SLF001
        if not self._fetcher._next_partition_records:  # noqa: SLF001
            # An emptied fetch left here keeps the client from ever giving what it had set aside
            # of a paused partition, and from fetching that partition again.
            self._fetcher._next_partition_records = None  # noqa: SLF001
        with self._answered("polling", "Read"):
            try:
                fetched = self._consumer.poll(timeout_s * 1_000, records_max)
            except Undecodable as error:
                self._stop(error.partition)
                raise
            except client.OffsetOutOfRangeError as error:
                raise self._out_of_range(error) from error
        self._topic.look()
        records: list[Record] = list(chain.from_iterable(fetched.values()))
        if not records:
            # Before anything is taken: what a poll that raises has taken, nobody is ever told.
            self._notice_silence()
        # The membership first, the changes after: what comes between would be seen twice, never
        # missed. A listener runs only inside the poll above, so nothing does come between.
        membership = self._membership()
        gained, revoked, lost = self._ownership.take()
        for partition in chain(revoked, lost):
            self._positions.pop(partition, None)
            self._stopped.discard(partition)
        return Polled(records, self._moved(), gained, revoked, lost, membership)

    def pause(self, partitions: Collection[Partition]) -> None:
        """Give nothing of these, though they are still fetched up to a bound."""
        self._consumer.pause(*self._assigned(partitions))

    def resume(self, partitions: Collection[Partition]) -> None:
        """Give records of these again, but for those that cannot be read."""
        self._consumer.resume(*self._assigned(set(partitions) - self._stopped))

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on at `offset`; what could not be read is tried again."""
        for assigned in self._assigned([partition]):
            self._consumer.seek(assigned, offset)
            self._positions[partition] = offset
            if partition in self._stopped:
                self._stopped.discard(partition)
                self._consumer.resume(assigned)

    def committed(
        self, partitions: Collection[Partition], timeout_s: float
    ) -> Mapping[Partition, Position]:
        """Ask the group's coordinator; it waits for transactions that are still open."""
        wanted = {TopicPartition(*partition) for partition in partitions}
        with self._answered("asking for committed offsets"):
            found = self._coordinator.fetch_committed_offsets(wanted, timeout_ms=timeout_s * 1_000)
        return {
            Partition(*partition): Position(known.offset, known.metadata)
            for partition, known in found.items()
        }

    def ends(self, partitions: Collection[Partition], timeout_s: float) -> Mapping[Partition, Ends]:
        """Ask the leaders of the logs."""
        wanted = [TopicPartition(*partition) for partition in partitions]
        with self._answered("asking for the ends of the logs"):
            stable = self._fetcher.end_offsets(wanted, timeout_s * 1_000)
            high = self._all_ends.end_offsets(wanted, timeout_s * 1_000)
        return {Partition(*each): Ends(stable[each], high[each]) for each in wanted}

    @property
    def member_id(self) -> str | None:
        """Give this member's id: empty while the answer is out, None where there is none to come.

        Of a join whose answer is out only the slot's id is known to both sides.
        """
        if self._consumer._closed:  # noqa: SLF001
            return None
        asked = self._coordinator._join_task is not None  # noqa: SLF001
        return self._slot.member_id or ("" if asked else None)

    def close(self, timeout_s: float) -> None:
        """Close within `timeout_s`, whatever the broker does, and say nothing to the group."""
        self._coordinator.is_dynamic_member = lambda: False

        def close() -> None:
            self._consumer.close(autocommit=False, timeout_ms=timeout_s * 1_000)

        bounded(close, timeout_s, "closing the consumer")

    async def _finish_join(self) -> None:
        """Take what a join came to after the poll that began it was over; on the IO thread.

        The client would throw it away and join anew, which makes the whole group join anew. Or,
        when new metadata was the reason to join, it would forget that it is joining, and never be
        a member again. This is the end of its own `join_group_async`.
        """
        coordinator = self._coordinator
        join = coordinator._join_task  # noqa: SLF001
        if join is not None and not join.is_done:
            return
        if join is None or join.failed():
            coordinator.request_rejoin()
            return
        coordinator._join_task = None  # noqa: SLF001
        with coordinator._lock:  # noqa: SLF001
            coordinator.rejoining = coordinator.rejoin_needed = False
            coordinator.state = MemberState.STABLE
            coordinator._enable_heartbeat()  # noqa: SLF001
        joined = coordinator._generation  # noqa: SLF001
        await coordinator._on_join_complete_async(  # noqa: SLF001
            joined.generation_id, joined.member_id, joined.protocol, join.value
        )

    def _membership(self) -> Membership | None:
        """Take the proof of membership; out of the group its generation is -1 and fences nobody."""
        member = self._consumer.group_metadata()
        stable = member.state == MemberState.STABLE
        if stable and member.generation_id > 0 and member.member_id:
            return Membership(Vouched(member, self._topic.id))
        return None

    def _moved(self) -> Mapping[Partition, int]:
        """Give the positions that are not where they were told to be."""
        moved = {}
        for partition in self._ownership.owned:
            assigned = self._subscription.assignment.get(partition)
            if assigned is None or assigned.position is None:
                continue
            offset = assigned.position.offset
            if self._positions.get(partition) != offset:
                self._positions[partition] = moved[partition] = offset
        return moved

    def _assigned(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        assigned = self._consumer.assignment()
        return [TopicPartition(*partition) for partition in partitions if partition in assigned]

    def _answered(
        self, doing: str, operation: Operation = "Describe"
    ) -> AbstractContextManager[None]:
        return answered(self._consumer._manager, doing, operation)  # noqa: SLF001

    def _stop(self, partition: Partition) -> None:
        """Stop reading where no record can be made of the bytes; the others go on."""
        self._stopped.add(partition)
        self._consumer.pause(*self._assigned([partition]))
        # Else a seek would find the broken rest of this fetch in its way.
        left = self._fetcher._next_partition_records  # noqa: SLF001
        if left is not None and left.topic_partition == partition:
            left.drain()
            self._fetcher._next_partition_records = None  # noqa: SLF001

    def _out_of_range(self, error: client.OffsetOutOfRangeError) -> OffsetOutOfRange:
        (found, offset), *_ = error.args[0].items()
        partition = Partition(*found)
        self._stop(partition)
        try:
            first = self._fetcher.beginning_offsets([found], RANGE_S * 1_000)[found]
            end = self._all_ends.end_offsets([found], RANGE_S * 1_000)[found]
        except client.KafkaError:
            return OffsetOutOfRange(partition, offset)
        return OffsetOutOfRange(partition, offset, first, end)

    def _notice_silence(self) -> None:
        """Raise Unavailable when the group's coordinator has been unknown for too long."""
        now_s = time.monotonic()
        if not self._coordinator.coordinator_unknown():
            self._silent_since_s = None
        elif self._silent_since_s is None:
            self._silent_since_s = now_s
        elif now_s - self._silent_since_s > self._patience_s:
            self._silent_since_s = now_s
            raise distrust(self._consumer._manager) or Unavailable(  # noqa: SLF001
                f"no answer from Kafka at {self._servers} for {self._patience_s:.0f} s: "
                "see whether it runs and can be reached; the worker goes on when it answers"
            )


def bounded(work: Callable[[], None], timeout_s: float, doing: str) -> None:
    """Do `work`, but wait no longer than `timeout_s`; Unavailable when it takes longer.

    kafka-python waits for ever in places. The thread is left behind, and dies with the process.
    """
    failures: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except client.KafkaError as error:
            failures.append(error)

    thread = threading.Thread(target=attempt, name=doing, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise Unavailable(f"{doing}: took longer than {timeout_s:.1f} s")
    if failures:
        raise Unavailable(f"{doing}: {failures[0]}") from failures[0]
