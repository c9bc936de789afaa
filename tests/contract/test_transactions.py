"""Transactions: all or nothing, fencing by slot, offsets inside."""

import pytest

from tests.contract.harness import Bench, join, outgoing, records, silence, values
from worker.errors import InDoubt, MembershipLost, SlotTaken, TransactionAborted, Unavailable
from worker.kafka.broker import Broker, Ends, Position, Transaction
from worker.messages import Partition


def test_a_record_is_seen_only_once_it_is_committed(bench: Bench) -> None:
    """Written is not enough."""
    reader = bench.connect("reader")
    join(reader)
    transaction = bench.connect("writer").begin(5.0)
    transaction.send(outgoing(bench.posts, b"1"))
    transaction.settle(5.0)
    first = Partition(bench.posts, 0)
    assert silence(reader) == []
    assert reader.ends([first], 5.0) == {first: Ends(0, 1)}
    transaction.commit(5.0)
    assert values(records(reader, 1)) == [b"1"]


def test_an_aborted_record_is_never_seen(bench: Bench) -> None:
    """What comes after it is."""
    writer = bench.connect("writer")
    transaction = writer.begin(5.0)
    transaction.send(outgoing(bench.posts, b"aborted"))
    transaction.settle(5.0)
    transaction.abort(5.0)
    transaction = writer.begin(5.0)
    transaction.send(outgoing(bench.posts, b"committed"))
    (receipt,) = transaction.settle(5.0)
    transaction.commit(5.0)
    assert receipt.offset == 2  # the aborted record and its marker are gaps
    assert values(records(bench.connect(), 1)) == [b"committed"]


def test_a_committed_record_waits_for_an_open_transaction_before_it(bench: Bench) -> None:
    """A reader goes as far as the first that may still go either way, and knows how far that is."""
    first = Partition(bench.posts, 0)
    open_one = bench.connect("slow").begin(5.0)
    open_one.send(outgoing(bench.posts, b"open"))
    open_one.settle(5.0)
    bench.write([b"committed"])
    reader = bench.connect("reader")
    join(reader)
    assert silence(reader) == []
    assert reader.ends([first], 5.0) == {first: Ends(0, 2)}
    open_one.abort(5.0)
    assert values(records(reader, 1)) == [b"committed"]
    assert reader.ends([first], 5.0) == {first: Ends(3, 3)}


def test_what_was_aborted_is_there_for_who_reads_uncommitted(bench: Bench) -> None:
    """It keeps its offset, and so does the marker behind it: both are gaps for all others."""
    bench.write([b"1"])
    transaction = bench.connect("writer-2").begin(5.0)
    transaction.send(outgoing(bench.posts, b"aborted"))
    transaction.settle(5.0)
    transaction.abort(5.0)
    bench.write([b"2"])
    found = records(bench.connect(), 2)
    assert [(record.value, record.offset) for record in found] == [(b"1", 0), (b"2", 3)]
    uncommitted = bench.cluster.uncommitted(Partition(bench.posts, 0), 4)
    assert uncommitted == [b"1", b"aborted", b"2"]


def test_offsets_are_committed_with_the_transaction(bench: Bench) -> None:
    """Not before, and with their note."""
    broker = bench.connect()
    (membership,) = join(broker)
    first = Partition(bench.posts, 0)
    transaction = broker.begin(5.0)
    transaction.send(outgoing(bench.verdicts, b"1"))
    transaction.settle(5.0)
    transaction.offsets({first: Position(3, "a note")}, membership, 5.0)
    with pytest.raises(Unavailable):  # unstable: the transaction may still go either way
        broker.committed([first], 0.3)
    transaction.commit(5.0)
    assert broker.committed([first], 5.0) == {first: Position(3, "a note")}


def test_offsets_of_an_aborted_transaction_are_gone(bench: Bench) -> None:
    """They do not leak into the next one either."""
    broker = bench.connect()
    (membership,) = join(broker)
    first, second = (Partition(bench.posts, n) for n in (0, 1))
    transaction = broker.begin(5.0)
    transaction.offsets({first: Position(3)}, membership, 5.0)
    transaction.abort(5.0)
    assert broker.committed([first], 5.0) == {}
    transaction = broker.begin(5.0)
    transaction.offsets({second: Position(4)}, membership, 5.0)
    transaction.commit(5.0)
    assert broker.committed([first, second], 5.0) == {second: Position(4)}


def test_many_transactions_follow_each_other(bench: Bench) -> None:
    """One producer does them all."""
    broker = bench.connect()
    (membership,) = join(broker)
    first = Partition(bench.posts, 0)
    for number in range(10):
        transaction = broker.begin(5.0)
        transaction.send(outgoing(bench.verdicts, b"%d" % number))
        transaction.settle(5.0)
        transaction.offsets({first: Position(number + 1)}, membership, 5.0)
        transaction.commit(5.0)
    assert broker.committed([first], 5.0) == {first: Position(10)}
    assert values(bench.read(bench.verdicts, 10)) == [b"%d" % number for number in range(10)]


def test_a_new_process_of_a_slot_aborts_what_the_old_one_left_open(bench: Bench) -> None:
    """It need not wait for a timeout, and nobody reads what was left."""
    old = bench.connect("slot")
    left = old.begin(5.0)
    left.send(outgoing(bench.posts, b"left open"))
    left.settle(5.0)
    new = bench.connect("slot")
    transaction = new.begin(5.0)
    transaction.send(outgoing(bench.posts, b"new"))
    transaction.settle(5.0)
    transaction.commit(5.0)
    assert values(records(bench.connect(), 1)) == [b"new"]


def test_a_new_process_frees_what_the_old_one_held(bench: Bench) -> None:
    """By connecting: whoever owns the partition by now waits for it, and so do all readers."""
    reader, old = bench.connect("reader"), bench.connect("slot")
    (membership,) = join(old)
    first = Partition(bench.posts, 0)
    left = old.begin(5.0)
    left.send(outgoing(bench.verdicts, b"left open"))
    left.settle(5.0)
    left.offsets({first: Position(1)}, membership, 5.0)
    with pytest.raises(Unavailable):
        reader.committed([first], 0.3)
    bench.connect("slot")
    assert reader.committed([first], 5.0) == {}


def test_the_old_process_of_a_slot_is_fenced(bench: Bench) -> None:
    """Whatever it tries, nothing of it is committed."""
    old = bench.connect("slot")
    left = old.begin(5.0)
    left.send(outgoing(bench.posts, b"old"))
    left.settle(5.0)
    bench.connect("slot").begin(5.0).commit(5.0)
    with pytest.raises(InDoubt):
        left.commit(5.0)
    with pytest.raises(TransactionAborted):
        left.send(outgoing(bench.posts, b"old again"))
    assert silence(bench.connect()) == []


def test_a_fenced_process_goes_on_with_a_new_producer(bench: Bench) -> None:
    """A transaction that timed out looks like a second process: one new producer is right."""
    old = bench.connect("slot")
    left = old.begin(5.0)
    left.send(outgoing(bench.posts, b"fenced"))
    bench.connect("slot")
    with pytest.raises(TransactionAborted):
        left.settle(5.0)
    transaction = old.begin(5.0)
    transaction.send(outgoing(bench.posts, b"sent again"))
    transaction.settle(5.0)
    transaction.commit(5.0)
    assert values(records(bench.connect(), 1)) == [b"sent again"]


def test_a_process_that_is_fenced_again_at_once_shares_its_slot(bench: Bench) -> None:
    """No timeout explains it: another process makes producers of the same id, too."""
    first, second = bench.connect("slot"), bench.connect("slot")
    with pytest.raises(TransactionAborted):
        write_one(first, bench.posts)
    left = first.begin(5.0)  # by a new producer, which fences the other's
    with pytest.raises(TransactionAborted):
        write_one(second, bench.posts)
    second.begin(5.0)
    with pytest.raises(SlotTaken, match="slot taken"):
        write(left, bench.posts)


def test_a_fence_long_ago_says_nothing_of_the_next(bench: Bench) -> None:
    """A committed transaction in between shows that the slot was nobody else's."""
    old = bench.connect("slot")
    for _ in range(2):
        bench.connect("slot")
        with pytest.raises(TransactionAborted):
            write_one(old, bench.posts)
        write_one(old, bench.posts)


def write_one(broker: Broker, topic: str) -> None:
    """Write a record in a transaction of its own."""
    write(broker.begin(5.0), topic)


def write(transaction: Transaction, topic: str) -> None:
    """Write a record and commit it."""
    transaction.send(outgoing(topic, b"1"))
    transaction.settle(5.0)
    transaction.commit(5.0)


def test_a_transaction_that_was_never_ended_is_aborted_by_the_next(bench: Bench) -> None:
    """Whoever forgets one cannot commit it later."""
    broker = bench.connect("writer")
    forgotten = broker.begin(5.0)
    forgotten.send(outgoing(bench.posts, b"forgotten"))
    forgotten.settle(5.0)
    transaction = broker.begin(5.0)
    transaction.send(outgoing(bench.posts, b"next"))
    transaction.settle(5.0)
    transaction.commit(5.0)
    with pytest.raises(InDoubt):
        forgotten.commit(5.0)
    assert values(records(bench.connect(), 1)) == [b"next"]


def test_a_transaction_is_dead_after_an_error(bench: Bench) -> None:
    """Nothing more can be put into it, and to abort it costs nothing."""
    broker, other = bench.connect("a"), bench.connect("b")
    (stale,) = join(broker)
    join(broker, other)
    transaction = broker.begin(5.0)
    transaction.send(outgoing(bench.verdicts, b"1"))
    transaction.settle(5.0)
    with pytest.raises(MembershipLost):
        transaction.offsets({Partition(bench.posts, 0): Position(1)}, stale, 5.0)
    with pytest.raises(TransactionAborted):
        transaction.settle(5.0)
    transaction.abort(5.0)
    broker.begin(5.0).commit(5.0)


def test_an_empty_transaction_commits(bench: Bench) -> None:
    """And costs the broker nothing."""
    broker = bench.connect("writer")
    transaction = broker.begin(5.0)
    assert transaction.settle(5.0) == []
    transaction.commit(5.0)


def test_at_least_once_writes_at_once_and_marks_at_commit(bench: Bench) -> None:
    """A record is seen when it is written; the offsets come after."""
    broker = bench.connect("alo", "at-least-once")
    (membership,) = join(broker)
    first = Partition(bench.posts, 0)
    transaction = broker.begin(5.0)
    transaction.send(outgoing(bench.verdicts, b"1"))
    transaction.settle(5.0)
    assert values(bench.read(bench.verdicts, 1)) == [b"1"]
    transaction.offsets({first: Position(7, "note")}, membership, 5.0)
    assert broker.committed([first], 5.0) == {}
    transaction.commit(5.0)
    assert broker.committed([first], 5.0) == {first: Position(7, "note")}


def test_at_least_once_marks_nothing_when_it_aborts(bench: Bench) -> None:
    """The records stay: they will be written once more."""
    broker = bench.connect("alo", "at-least-once")
    (membership,) = join(broker)
    first = Partition(bench.posts, 0)
    transaction = broker.begin(5.0)
    transaction.send(outgoing(bench.verdicts, b"1"))
    transaction.settle(5.0)
    transaction.offsets({first: Position(7)}, membership, 5.0)
    transaction.abort(5.0)
    assert broker.committed([first], 5.0) == {}
    assert values(bench.read(bench.verdicts, 1)) == [b"1"]


def test_at_least_once_is_in_doubt_with_a_stale_membership(bench: Bench) -> None:
    """Somebody else may own the partition by now."""
    broker, other = bench.connect("a", "at-least-once"), bench.connect("b", "at-least-once")
    (stale,) = join(broker)
    join(broker, other)
    first = Partition(bench.posts, 0)
    transaction = broker.begin(5.0)
    transaction.offsets({first: Position(7)}, stale, 5.0)
    with pytest.raises(InDoubt):
        transaction.commit(5.0)
    assert broker.committed([first], 5.0) == {}
