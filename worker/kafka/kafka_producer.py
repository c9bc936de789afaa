"""The producing half of the adapter: transactions of one slot, owned by the commit thread."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import kafka.errors as client
from kafka import KafkaProducer
from kafka.partitioner.default import murmur2
from kafka.producer.producer_batch import ProducerBatch
from kafka.structs import OffsetAndMetadata, TopicPartition

from worker.errors import (
    BrokerError,
    InDoubt,
    LinkRefused,
    MembershipLost,
    SlotTaken,
    TransactionAborted,
    Unavailable,
)
from worker.kafka.broker import Membership, Position, TooLarge
from worker.kafka.client_errors import reason, translate, translated
from worker.kafka.client_settings import ClientSettings
from worker.kafka.cluster_questions import ClusterQuestions
from worker.kafka.connections import connected
from worker.kafka.fences import Fences
from worker.kafka.offset_stamps import stamped
from worker.kafka.record_batches import OutgoingBatch
from worker.messages import Outgoing, Partition, Receipt

# CONCURRENT_TRANSACTIONS, the broker still busy with the last commit, costs one of these.
RETRY_BACKOFF_MS: Final = 20
RECONNECT_BACKOFF_MAX_MS: Final = 1_000
BATCH_BYTES_MAX: Final = 256 * 1024
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
# A thrown-away producer's thread is told to end, and not waited for much longer.
DISCARD_S: Final = 0.5


def producer_config(settings: ClientSettings, timeout_ms: int) -> dict[str, Any]:
    """Say everything that kafka-python's defaults would get wrong for us."""
    config = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": settings.slot_id,
        "enable_idempotence": True,
        "acks": -1,
        # Batches are handed over whole: nothing is gained by lingering.
        "linger_ms": 0,
        "allow_auto_create_topics": False,
        "request_timeout_ms": settings.request_timeout_ms,
        "delivery_timeout_ms": settings.delivery_timeout_ms,
        "bootstrap_timeout_ms": timeout_ms,
        "max_block_ms": settings.request_timeout_ms,
        # The broker's own limit per topic is what counts; this one is per request.
        "max_request_size": REQUEST_BYTES_MAX,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "reconnect_backoff_max_ms": RECONNECT_BACKOFF_MAX_MS,
        "metrics_enabled": False,
    }
    if settings.delivery == "exactly-once":
        config["transactional_id"] = settings.slot_id
        config["transaction_timeout_ms"] = settings.transaction_timeout_ms
    return config


@dataclass(frozen=True, slots=True)
class Target:
    """A topic that is written to."""

    partitions: int
    bytes_max: int


class Slot:
    """The producer of one slot: made when it is needed, thrown away after any error.

    A new one with the same transactional id fences the old and aborts what it left open. An old
    one is never mended: offsets of its aborted transaction would leak into the next.
    """

    def __init__(self, settings: ClientSettings, questions: ClusterQuestions) -> None:
        self.settings = settings
        self._questions = questions
        self._producer: KafkaProducer | None = None
        self._targets: dict[str, Target] = {}
        self._turn = itertools.count()
        self._last: KafkaTransaction | None = None
        self.fences = Fences(settings.slot_id)
        self._refusal: LinkRefused | None = None
        self._refused_until_s = 0.0

    def take_over(self, timeout_s: float) -> None:
        """Make the producer now: it aborts what a dead process left open under this slot.

        Whoever owns that process's partitions by now waits for this, and so do all readers.
        """
        self._producer = self._producer or self._new_producer(timeout_s)

    def begin(self, timeout_s: float) -> "KafkaTransaction":
        """Begin a transaction; Unavailable when no producer can be had in time.

        One that was begun and never ended is thrown away with its producer.
        """
        if self._last is not None and self._last.is_open:
            self.discard()
        producer = self._producer = self._producer or self._new_producer(timeout_s)
        transaction = self._last = KafkaTransaction(self, producer, self._questions)
        try:
            transaction.begin()
        except client.KafkaError as error:
            self.discard()
            raise translate(error, "beginning a transaction", Unavailable) from error
        return transaction

    def target(self, topic: str) -> Target:
        """Know a topic's partitions and limit; asked once, until a producer is thrown away."""
        known = self._targets.get(topic)
        if known is None:
            timeout_s = self.settings.request_timeout_ms / 1_000
            count = self._questions.partitions(topic, timeout_s)
            limit = self._questions.record_bytes_max(topic, timeout_s)
            with translated(f"looking up the leaders of topic {topic!r}"):
                assert self._producer is not None, "a target is asked for inside a transaction"
                self._producer.partitions_for(topic)
            known = self._targets[topic] = Target(count, min(limit, REQUEST_BYTES_MAX))
        return known

    def choose(self, key: bytes | None, target: Target) -> int:
        """Choose a partition as Kafka's own clients do by key, and in turn without one."""
        if key is None:
            return next(self._turn) % target.partitions
        return int((murmur2(key) & 0x7FFF_FFFF) % target.partitions)

    def discard(self) -> None:
        """Throw the producer away without waiting for the broker."""
        if self._last is not None:
            self._last.is_open = False
        producer, self._producer = self._producer, None
        self._targets.clear()
        if producer is not None:
            _end(producer)

    def _new_producer(self, timeout_s: float) -> KafkaProducer:
        deadline_s = time.monotonic() + timeout_s
        timeout_ms = min(int(timeout_s * 1_000), self.settings.request_timeout_ms)
        producer = self._connected(producer_config(self.settings, timeout_ms))
        if self.settings.delivery == "exactly-once":
            doing = f"taking over the transactional id {self.settings.slot_id!r}"
            try:
                started = producer._transaction_manager.initialize_transactions()  # noqa: SLF001
                await_result(producer, started, deadline_s - time.monotonic(), doing)
            except client.KafkaError as error:
                _end(producer)
                name = self.settings.slot_id
                raise translate(error, doing, Unavailable, name=name) from error
        return producer

    def _connected(self, config: Mapping[str, Any]) -> KafkaProducer:
        """Connect, but after a refusal not at once again: a user may be locked out for it."""
        if self._refusal is not None and time.monotonic() < self._refused_until_s:
            raise self._refusal
        servers, security = self.settings.bootstrap_servers, self.settings.security
        try:
            return connected(KafkaProducer, config, servers, security)
        except LinkRefused as refusal:
            self._refusal = refusal
            self._refused_until_s = time.monotonic() + RECONNECT_BACKOFF_MAX_MS / 1_000
            raise


class KafkaTransaction:
    """One transaction of a slot; after any error it is dead, and its producer thrown away."""

    def __init__(self, slot: Slot, producer: KafkaProducer, questions: ClusterQuestions) -> None:
        self._slot = slot
        self._producer = producer
        self._questions = questions
        # kafka-python offers no bounded way to what is used below; its version is pinned.
        self._manager = producer._transaction_manager  # noqa: SLF001
        self._accumulator = producer._accumulator  # noqa: SLF001
        self._transactional = slot.settings.delivery == "exactly-once"
        self._open: dict[Partition, OutgoingBatch] = {}
        self._handed_over: dict[int, ProducerBatch] = {}
        self._sent: list[tuple[Partition, OutgoingBatch, int]] = []
        self._marks: tuple[Mapping[Partition, Position], Membership] | None = None
        self._begun_s = time.monotonic()
        self.is_open = True

    def begin(self) -> None:
        """Begin it at the producer; nothing is sent yet."""
        if self._transactional:
            self._manager.begin_transaction()

    def send(self, outgoing: Outgoing) -> TooLarge | None:
        """Encode a record into the batch of its partition."""
        self._demand_life()
        target = self._slot.target(outgoing.topic)
        number = outgoing.partition
        if number is None:
            number = self._slot.choose(outgoing.key, target)
        partition = Partition(outgoing.topic, number)
        batch = self._open.get(partition)
        if batch is not None:
            index = batch.add(outgoing, min(BATCH_BYTES_MAX, target.bytes_max))
            if index is not None:
                self._sent.append((partition, batch, index))
                return None
        return self._send_in_a_new_batch(outgoing, partition, target)

    def _send_in_a_new_batch(
        self, outgoing: Outgoing, partition: Partition, target: Target
    ) -> TooLarge | None:
        batch = OutgoingBatch()
        index = batch.add(outgoing, target.bytes_max)
        if index is None:
            return TooLarge(target.bytes_max)
        full = self._open.get(partition)
        if full is not None:
            self._hand_over(partition, full)
        self._open[partition] = batch
        self._sent.append((partition, batch, index))
        return None

    def settle(self, timeout_s: float) -> Sequence[Receipt]:
        """Have all batches written, check every one, and give receipts in the order of sending.

        A commit would go through without a batch that was given up (delivery timeout): only its
        own future says so.
        """
        self._demand_life()
        deadline_s = time.monotonic() + timeout_s
        for partition, batch in self._open.items():
            self._hand_over(partition, batch)
        self._open.clear()
        offsets = {
            key: self._written(batch, deadline_s - time.monotonic())
            for key, batch in self._handed_over.items()
        }
        return [
            Receipt(partition, offsets[id(batch)] + index) for partition, batch, index in self._sent
        ]

    def offsets(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Add the group's positions, vouched for by the membership of the poll thread."""
        self._demand_life()
        if not self._transactional:
            self._marks = positions, membership
            return
        vouched: Any = membership
        wanted = {
            TopicPartition(*partition): OffsetAndMetadata(
                position.offset, stamped(position.note, vouched.topic_id), -1
            )
            for partition, position in positions.items()
        }
        try:
            self._step(
                lambda: self._manager.send_offsets_to_transaction(wanted, vouched.member),
                timeout_s,
                "adding offsets to the transaction",
                TransactionAborted,
            )
        except SlotTaken as fenced:
            # A member that was out of the group for long and joined again has fenced itself.
            if self._questions.is_current(vouched.member):
                raise
            raise MembershipLost("adding offsets: this member has joined anew since") from fenced

    def commit(self, timeout_s: float) -> None:
        """Commit, or raise InDoubt: after that only the committed offsets know."""
        self._demand_life(InDoubt)
        if not self._transactional:
            self._mark(timeout_s)
            return
        epoch = self._manager.producer_id_and_epoch
        self._step(self._manager.begin_commit, timeout_s, "committing", InDoubt)
        if self._manager.producer_id_and_epoch is not epoch:
            # The producer had to start anew in between: the commit it reports may be of nothing.
            self._slot.discard()
            raise InDoubt("committing: the producer lost its place in the middle of it")
        self.is_open = False
        self._slot.fences.none()

    def abort(self, timeout_s: float) -> None:
        """Abort, so that readers need not wait for the timeout; then throw the producer away.

        When that fails the next `begin` aborts it. What was written at least once stays written.
        """
        if not self.is_open:
            return
        with suppress(BrokerError):
            if self._transactional:
                self._step(self._manager.begin_abort, timeout_s, "aborting", TransactionAborted)
        self._slot.discard()

    def _mark(self, timeout_s: float) -> None:
        if self._marks is None:
            return
        positions, membership = self._marks
        vouched: Any = membership
        try:
            self._questions.commit(positions, vouched, timeout_s)
        except (MembershipLost, Unavailable) as error:
            raise InDoubt(str(error)) from error
        self.is_open = False

    def _hand_over(self, partition: Partition, batch: OutgoingBatch) -> None:
        """Give a batch to the sender; it is on its way while the next one is being filled."""
        to = TopicPartition(*partition)
        try:
            if self._transactional:
                self._manager.maybe_add_partition_to_transaction(to)
            pending = ProducerBatch(to, batch)
            with self._accumulator._tp_lock(to):  # noqa: SLF001 -- as its own append does.
                self._accumulator._incomplete.add(pending)  # noqa: SLF001
                self._accumulator._batches[to].append(pending)  # noqa: SLF001
        except client.KafkaError as error:
            raise self._dead(error, "sending", TransactionAborted) from error
        self._handed_over[id(batch)] = pending
        self._producer._sender.wakeup()  # noqa: SLF001

    def _written(self, batch: ProducerBatch, timeout_s: float) -> int:
        """Wait for one batch and give the offset of its first record."""
        future = batch.produce_future
        if not future.wait(max(0.0, timeout_s)):
            late = client.KafkaTimeoutError(f"{batch.topic_partition} was not written in time")
            raise self._dead(late, "writing", TransactionAborted)
        base_offset, _timestamp, failure_of = future.value
        if failure_of is not None:
            error = failure_of(0)
            raise self._dead(error, f"writing to {batch.topic_partition}", TransactionAborted)
        return int(base_offset)

    def _step(
        self,
        begin: Callable[[], Any],
        timeout_s: float,
        doing: str,
        otherwise: type[TransactionAborted | InDoubt],
    ) -> None:
        """Take one step with the transaction's coordinator, and wait no longer than told."""
        try:
            await_result(self._producer, begin(), timeout_s, doing)
        except client.KafkaError as error:
            raise self._dead(error, doing, otherwise) from error

    def _demand_life(self, otherwise: type[BrokerError] = TransactionAborted) -> None:
        if not self.is_open:
            raise otherwise("the transaction has ended already: begin another")

    def _dead(
        self, error: BaseException, doing: str, otherwise: type[TransactionAborted | InDoubt]
    ) -> Exception:
        """Throw the producer away and say why; the error that came first is the true one."""
        first = self._manager.last_error or error
        self._slot.discard()
        if isinstance(first, client.ProducerFencedError | client.InvalidProducerEpochError):
            age_s = time.monotonic() - self._begun_s
            timeout_s = self._slot.settings.transaction_timeout_ms / 1_000
            self._slot.fences.another(explained=age_s >= timeout_s)
        if otherwise is InDoubt and not isinstance(first, client.AuthorizationError):
            return InDoubt(f"{doing}: {reason(first)}")
        name = self._slot.settings.slot_id
        return translate(first, doing, otherwise, operation="Write", name=name)


def await_result(producer: KafkaProducer, result: Any, timeout_s: float, doing: str) -> None:
    """Wait for a step of the transaction manager; kafka-python's own methods wait for ever."""
    producer._sender.wakeup()  # noqa: SLF001 -- it sleeps until there is something to send.
    if not result.wait(max(0.0, timeout_s) * 1_000):
        raise client.KafkaTimeoutError(f"{doing}: no answer within {timeout_s:.1f} s")


def _end(producer: KafkaProducer) -> None:
    """End a producer's thread and sockets; its own close() first waits for what it has in hand."""
    producer._unregister_cleanup()  # noqa: SLF001 -- else the process waits for it at its end.
    producer._closed = True  # noqa: SLF001
    producer._sender.force_close()  # noqa: SLF001
    producer._sender.join(DISCARD_S)  # noqa: SLF001
