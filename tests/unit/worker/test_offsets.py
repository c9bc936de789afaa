"""The ledger: what may be committed, and what may not."""

import threading
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.errors import TransactionAborted
from worker.kafka.broker import Membership, Polled, Position
from worker.messages import Outcome, Outgoing, Partition, Record
from worker.offsets import Ledger

A, B = Partition("posts", 0), Partition("posts", 1)
MEMBER = Membership(object())


def a_record(partition: Partition, offset: int, value: bytes = b"12345") -> Record:
    """A record of five bytes, unless told otherwise."""
    return Record(partition, offset, None, value, (), 0)


def an_outcome(record: Record) -> Outcome:
    """A verdict for a record."""
    return Outcome(record, Outgoing("verdicts", 0, None, b"", (), 0), "yes", 0.9, None)


def polled(
    *records: Record,
    gained: tuple[Partition, ...] = (),
    revoked: tuple[Partition, ...] = (),
    lost: tuple[Partition, ...] = (),
    next_offsets: dict[Partition, int] | None = None,
    membership: Membership | None = MEMBER,
) -> Polled:
    """What one poll brought; the log goes on right behind its records unless told otherwise."""
    after = {record.partition: record.offset + 1 for record in records}
    return Polled(records, after | (next_offsets or {}), gained, revoked, lost, membership)


def test_only_what_follows_the_committed_without_a_hole_is_ready() -> None:
    """An outcome behind an unfinished record waits for it."""
    ledger = Ledger()
    first, second, third = (a_record(A, offset) for offset in (3, 5, 9))
    ledger.polled(polled(first, second, third, gained=(A,)))
    ledger.settle([an_outcome(first), an_outcome(third)])
    ready = ledger.ready()
    assert [outcome.source for outcome in ready.outcomes] == [first]
    assert ready.positions == {A: Position(5)}


def test_the_last_record_is_committed_up_to_where_the_log_goes_on() -> None:
    """Markers behind the last record are not lag: the position after the poll is committed."""
    ledger = Ledger()
    record = a_record(A, 3)
    ledger.polled(polled(record, gained=(A,), next_offsets={A: 8}))
    ledger.settle([an_outcome(record)])
    assert ledger.ready().positions == {A: Position(8)}


def test_what_was_polled_before_a_revocation_counts_for_nothing() -> None:
    """The same offset polled again after the partition came back is another record."""
    ledger = Ledger()
    before, after = a_record(A, 0), a_record(A, 0)
    ledger.polled(polled(before, gained=(A,)))
    ledger.polled(polled(after, revoked=(A,), gained=(A,)))
    assert ledger.current([before, after]) == [after]
    ledger.settle([an_outcome(before)])
    assert ledger.ready().outcomes == []


@pytest.mark.parametrize("gone", [polled(revoked=(A,)), polled(lost=(A,))], ids=["revoked", "lost"])
def test_a_partition_that_is_gone_is_not_committed(gone: Polled) -> None:
    """Ready outcomes are not vouched for once one of their partitions was revoked or lost."""
    ledger = Ledger()
    record = a_record(A, 0)
    ledger.polled(polled(record, gained=(A, B)))
    ledger.settle([an_outcome(record)])
    ready = ledger.ready()
    ledger.polled(gone)
    with pytest.raises(TransactionAborted):
        ledger.vouch(ready, 0)


def test_a_partition_that_went_and_came_back_is_not_committed() -> None:
    """The epoch counts, not the name: another member may have committed in between."""
    ledger = Ledger()
    record = a_record(A, 0)
    ledger.polled(polled(record, gained=(A,)))
    ledger.settle([an_outcome(record)])
    ready = ledger.ready()
    ledger.polled(polled(revoked=(A,), gained=(A,)))
    with pytest.raises(TransactionAborted):
        ledger.vouch(ready, 0)


def test_without_a_membership_nothing_is_vouched_for() -> None:
    """In the middle of a rebalance a commit waits, and gives up in time."""
    ledger = Ledger()
    record = a_record(A, 0)
    ledger.polled(polled(record, gained=(A,)))
    ledger.settle([an_outcome(record)])
    ledger.polled(polled(membership=None))
    with pytest.raises(TransactionAborted):
        ledger.vouch(ledger.ready(), 0.01)


def test_a_membership_that_comes_in_time_is_used() -> None:
    """The newest membership vouches, not the one under which the records were polled."""
    ledger = Ledger()
    record, newest = a_record(A, 0), Membership(object())
    ledger.polled(polled(record, gained=(A,)))
    ledger.settle([an_outcome(record)])
    ledger.polled(polled(membership=None))
    poller = threading.Timer(0.01, ledger.polled, [polled(membership=newest)])
    poller.start()
    assert ledger.vouch(ledger.ready(), 10) is newest
    poller.join()


def test_more_is_waited_for_until_it_is_there() -> None:
    """An outcome that another thread brings ends the wait."""
    ledger = Ledger()
    first, second = a_record(A, 0), a_record(A, 1)
    ledger.polled(polled(first, second, gained=(A,)))
    ledger.settle([an_outcome(first)])
    later = threading.Timer(0.05, ledger.settle, [[an_outcome(second)]])
    later.start()
    ledger.wait_for_more(2, timeout_s=30.0)
    assert len(ledger.ready().outcomes) == 2
    later.join()


@pytest.mark.parametrize("outcomes", [1, 5])
def test_more_is_not_waited_for_when_it_is_there_or_cannot_come(outcomes: int) -> None:
    """Enough ends the wait; so does that nothing is in work."""
    ledger = Ledger()
    first = a_record(A, 0)
    ledger.polled(polled(first, gained=(A,)))
    ledger.settle([an_outcome(first)])
    began_s = time.monotonic()
    ledger.wait_for_more(outcomes, timeout_s=30.0)
    assert time.monotonic() - began_s < 15.0


def test_the_committed_is_forgotten_and_the_load_falls() -> None:
    """Records and bytes are in flight from the poll to the commit."""
    ledger = Ledger()
    records = [a_record(A, offset) for offset in range(4)]
    ledger.polled(polled(*records, gained=(A,)))
    assert ledger.load == (4, 20)
    ledger.settle(map(an_outcome, records[:3]))
    ledger.committed(ledger.ready())
    assert ledger.load == (1, 5)
    assert ledger.positions() == {A: 3}
    ledger.polled(polled(revoked=(A,)))
    assert ledger.load == (0, 0)


def test_records_of_a_partition_not_owned_are_not_taken() -> None:
    """A poll that brings records of a partition revoked in the same breath loses them."""
    ledger = Ledger()
    owned, foreign = a_record(A, 0), a_record(B, 0)
    assert ledger.polled(polled(owned, foreign, gained=(A,))) == [owned]


class LedgerMachine(RuleBasedStateMachine):
    """Polls, outcomes, revocations and commits in any order, beside a plain model of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.read: dict[Partition, int] = {A: 0, B: 0}
        self.committed: dict[Partition, int] = {A: 0, B: 0}
        self.owned: set[Partition] = set()
        self.in_work: list[Record] = []
        self.verdicts: list[tuple[Partition, int]] = []

    @rule(partition=st.sampled_from([A, B]))
    def gain(self, partition: Partition) -> None:
        """A partition comes: reading goes on at what was committed, whoever had it."""
        revoked = (partition,) if partition in self.owned else ()
        self.owned.add(partition)
        self.read[partition] = self.committed[partition]
        self.ledger.polled(polled(gained=(partition,), revoked=revoked))

    @rule(partition=st.sampled_from([A, B]))
    def lose(self, partition: Partition) -> None:
        """A partition goes."""
        self.owned.discard(partition)
        self.ledger.polled(polled(revoked=(partition,)))

    @precondition(lambda self: self.owned)
    @rule(steps=st.lists(st.integers(1, 4), max_size=5), choice=st.randoms(use_true_random=False))
    def poll(self, steps: list[int], choice: object) -> None:
        """Records come, with gaps between their offsets."""
        partition = sorted(self.owned)[len(steps) % len(self.owned)]
        records = []
        for step in steps:
            records.append(a_record(partition, self.read[partition]))
            self.read[partition] += step
        self.in_work += self.ledger.polled(
            polled(*records, next_offsets={partition: self.read[partition]})
        )

    @precondition(lambda self: self.in_work)
    @rule(where=st.integers(0, 1_000))
    def settle(self, where: int) -> None:
        """Any record comes to its outcome, of whatever epoch."""
        record = self.in_work.pop(where % len(self.in_work))
        self.ledger.settle([an_outcome(record)])

    @rule(interfering=st.sampled_from([None, A, B]))
    def commit(self, interfering: Partition | None) -> None:
        """A transaction, and perhaps a revocation between its records and its offsets."""
        ready = self.ledger.ready()
        if interfering in self.owned:
            self.lose(interfering)
        try:
            self.ledger.vouch(ready, 0)
        except TransactionAborted:
            return
        self.verdicts += [(o.source.partition, o.source.offset) for o in ready.outcomes]
        for partition, position in ready.positions.items():
            self.committed[partition] = position.offset
        self.ledger.committed(ready)

    @invariant()
    def nothing_is_answered_twice_or_passed_over(self) -> None:
        """Below the committed position each record has one verdict, above it none."""
        assert len(set(self.verdicts)) == len(self.verdicts)
        for partition, offset in self.verdicts:
            assert offset < self.committed[partition]
        for record in self.in_work:
            if self.ledger.current([record]):
                assert (record.partition, record.offset) not in self.verdicts
                assert record.offset >= self.committed[record.partition]


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
