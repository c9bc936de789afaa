"""One transaction against a client that loses, delays and forgets, as kafka-python does."""

from collections import defaultdict
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import kafka.errors as client
import pytest
from kafka.producer.producer_batch import ProducerBatch
from kafka.structs import (
    ConsumerGroupMetadata,
    MemberState,
    OffsetAndMetadata,
    TopicPartition,
)

from worker.errors import BrokerError, InDoubt, MembershipLost, SlotTaken, TransactionAborted
from worker.kafka.broker import Membership, Position
from worker.kafka.client_settings import ClientSettings
from worker.kafka.cluster_questions import ClusterQuestions
from worker.kafka.kafka_producer import KafkaTransaction, Slot, Target
from worker.kafka.offset_stamps import Vouched
from worker.messages import Outgoing, Partition, Receipt

VERDICTS = Partition("verdicts", 0)
POSTS = Partition("posts", 0)
VERDICT = Outgoing("verdicts", 0, b"key", b"value", (), 1_000)
POLLED = ConsumerGroupMetadata("tuwen", 3, "member-1", "slot-0", MemberState.STABLE)
SINCE_THEN = ConsumerGroupMetadata("tuwen", 4, "member-1", "slot-0", MemberState.STABLE)
MEMBER = Membership(Vouched(POLLED, UUID(int=0xFB << 120 | 7)))
# As `kafka-topics.sh --describe` prints that id.
STAMP = "-wAAAAAAAAAAAAAAAAAABw"
LATE = client.KafkaTimeoutError("given up")


class Step:
    """A step of a transaction that ends well, or never; a wait without a bound would be for it."""

    def __init__(self, *, ends: bool = True) -> None:
        self._ends = ends

    def wait(self, timeout_ms: float | None = None) -> bool:
        """Say whether it has ended."""
        assert timeout_ms is not None, "this waits for ever"
        return self._ends


class Producer:
    """A client whose batches are written, or given up; and what was asked of it."""

    def __init__(self) -> None:
        self._transaction_manager = self
        self._sender = SimpleNamespace(
            wakeup=lambda: None, force_close=self._force_close, join=lambda _: None
        )
        self._accumulator = SimpleNamespace(
            _tp_lock=lambda _: nullcontext(),
            _incomplete=set[ProducerBatch](),
            _batches=defaultdict(lambda: SimpleNamespace(append=self._take)),
        )
        self.last_error: Exception | None = None
        self.producer_id_and_epoch: object = (7, 0)
        self.gives_up = False
        self.answers = True
        self.starts_anew = False
        self.members: list[object] = []
        self.offsets: object = {}
        self.steps: list[str] = []
        self.is_ended = False

    def _take(self, batch: ProducerBatch) -> None:
        if self.gives_up:
            batch.complete_exceptionally(LATE, lambda _: LATE)
        else:
            batch.complete(40, -1)

    def _force_close(self) -> None:
        self.is_ended = True

    def _unregister_cleanup(self) -> None:
        """Nothing waits for it at the end of the process."""

    def begin_transaction(self) -> None:
        """As the client's."""

    def maybe_add_partition_to_transaction(self, partition: object) -> None:
        """As the client's."""

    def send_offsets_to_transaction(self, offsets: object, member: object) -> Step:
        """Note who vouches, and for what."""
        self.offsets = offsets
        self.members.append(member)
        return self._step("offsets")

    def begin_commit(self) -> Step:
        """Commit; maybe of nothing."""
        if self.starts_anew:
            self.producer_id_and_epoch = (7, 1)
        return self._step("commit")

    def begin_abort(self) -> Step:
        """Abort."""
        return self._step("abort")

    def _step(self, name: str) -> Step:
        self.steps.append(name)
        return Step(ends=self.answers)


@pytest.fixture
def producer() -> Producer:
    """The first producer of the slot."""
    return Producer()


@pytest.fixture
def slot(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> Slot:
    """A slot that has its producer, and gets another when that is thrown away."""
    coordinator = SimpleNamespace(group_metadata=lambda: SINCE_THEN, _generation=SINCE_THEN)
    questions = SimpleNamespace(_coordinator=coordinator, is_current=lambda _: True)
    made = Slot(ClientSettings("nobody:1", "tuwen", "posts", "slot-0"), cast("Any", questions))
    made._producer = producer
    made._targets["verdicts"] = Target(1, 1_000_000)
    monkeypatch.setattr(made, "_new_producer", lambda _: Producer())
    return made


def begun(slot: Slot) -> KafkaTransaction:
    """A transaction with a verdict in it."""
    transaction = slot.begin(1.0)
    assert transaction.send(VERDICT) is None
    return transaction


def test_what_was_written_has_a_receipt(slot: Slot) -> None:
    """One for each record, with its offset."""
    transaction = begun(slot)
    transaction.send(VERDICT)
    assert transaction.settle(1.0) == [Receipt(VERDICTS, 40), Receipt(VERDICTS, 41)]


def test_a_batch_that_was_given_up_aborts(slot: Slot, producer: Producer) -> None:
    """The client's commit would go through without it: only its own future tells."""
    producer.gives_up = True
    with pytest.raises(TransactionAborted, match="given up"):
        begun(slot).settle(1.0)
    assert "commit" not in producer.steps


def test_a_commit_in_which_the_producer_began_anew_is_in_doubt(
    slot: Slot, producer: Producer
) -> None:
    """The client reports a success, maybe of nothing: the committed offsets are the truth."""
    producer.starts_anew = True
    transaction = begun(slot)
    transaction.settle(1.0)
    with pytest.raises(InDoubt):
        transaction.commit(1.0)
    assert producer.is_ended


def test_offsets_are_vouched_for_by_the_membership_that_was_polled(
    slot: Slot, producer: Producer
) -> None:
    """What the member has become since then would vouch for partitions that it has lost."""
    begun(slot).offsets({POSTS: Position(1)}, MEMBER, 1.0)
    assert producer.members == [POLLED]


def committed_plainly(position: Position) -> Any:
    """Give the request by which a position is committed outside any transaction."""
    asked: list[Any] = []

    def ask(request: Any, _node: object, _timeout_s: float) -> Any:
        asked.append(request)
        return SimpleNamespace(topics=[])

    questions = cast("Any", object.__new__(ClusterQuestions))
    questions._manager = None
    questions._coordinator = SimpleNamespace(group_metadata=lambda: SINCE_THEN)
    questions._coordinator_node = lambda _: "node"
    questions._ask = ask
    questions.commit({POSTS: position}, MEMBER, 1.0)
    return asked[0]


def test_a_plain_commit_is_vouched_for_by_the_membership_that_was_polled() -> None:
    """At least once there is no transaction, and the same holds."""
    request = committed_plainly(Position(1))
    assert request.generation_id_or_member_epoch == POLLED.generation_id


def test_offsets_carry_the_id_of_the_topic_that_was_polled(slot: Slot, producer: Producer) -> None:
    """Beside their note: a commit names the topic alone, and another may have that name by now."""
    begun(slot).offsets({POSTS: Position(1, "attempts=1")}, MEMBER, 1.0)
    metadata = f"attempts=1 topic={STAMP}"
    assert producer.offsets == {TopicPartition(*POSTS): OffsetAndMetadata(1, metadata, -1)}


def test_an_offset_of_a_plain_commit_carries_the_id_of_the_topic_that_was_polled() -> None:
    """As in a transaction."""
    request = committed_plainly(Position(1))
    assert request.topics[0].partitions[0].committed_metadata == f"topic={STAMP}"


def test_after_an_error_there_is_another_producer(slot: Slot, producer: Producer) -> None:
    """Offsets of the aborted transaction would leak into the next one of the same producer."""
    producer.gives_up = True
    with pytest.raises(TransactionAborted):
        begun(slot).settle(1.0)
    assert producer.is_ended
    slot.begin(1.0)
    assert slot._producer is not producer


def test_after_an_abort_there_is_another_producer(slot: Slot, producer: Producer) -> None:
    """As after an error."""
    begun(slot).abort(1.0)
    assert producer.steps == ["abort"]
    assert producer.is_ended


def test_a_transaction_that_was_never_ended_takes_its_producer_with_it(
    slot: Slot, producer: Producer
) -> None:
    """The next one begins with a producer that fences it."""
    begun(slot)
    slot.begin(1.0)
    assert producer.is_ended


def test_no_step_is_waited_for_without_a_bound(slot: Slot, producer: Producer) -> None:
    """The client's own methods wait for ever."""
    producer.answers = False
    with pytest.raises(TransactionAborted, match="no answer within"):
        begun(slot).offsets({POSTS: Position(1)}, MEMBER, 0.1)
    assert producer.is_ended


@pytest.mark.parametrize(("is_current", "told"), [(True, SlotTaken), (False, MembershipLost)])
def test_a_fenced_member_has_lost_its_slot_unless_it_has_joined_anew(
    slot: Slot, producer: Producer, is_current: bool, told: type[BrokerError]
) -> None:
    """Who was out of the group for long and came back has fenced the member that it was."""
    producer.last_error = client.FencedInstanceIdError()
    producer.answers = False
    slot._questions = cast("Any", SimpleNamespace(is_current=lambda _: is_current))
    with pytest.raises(told):
        begun(slot).offsets({POSTS: Position(1)}, MEMBER, 0.1)
