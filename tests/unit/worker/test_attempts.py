"""Who gains a partition writes so down before it works on a record, and a commit takes it away."""

import threading
from typing import Any, cast

import pytest

from tests.unit.worker.bench import Bench, eventually, held_up
from tests.unit.worker.test_commit import MEMBER, Patience, ScriptedBroker, a_committer, outcomes
from tests.unit.worker.test_offsets import A, B, a_record, an_outcome, polled
from worker.attempts import ATTEMPTS_MAX, attempts_in, note_of
from worker.errors import InDoubt, TransactionAborted
from worker.kafka.broker import Ends, Membership, Position
from worker.messages import Partition, Record
from worker.offsets import Ledger

POSTS = (Partition("posts", 0), Partition("posts", 1))


@pytest.mark.parametrize("attempts", [0, 1, 2, ATTEMPTS_MAX])
def test_a_note_can_be_read_again(attempts: int) -> None:
    """Whatever the number."""
    assert attempts_in(note_of(attempts)) == attempts


@pytest.mark.parametrize("note", ["", "attempts=", "attempts=-1", "attempts=100", "others' words"])
def test_any_other_note_counts_nothing(note: str) -> None:
    """Somebody's own tool may have committed the offset."""
    assert attempts_in(note) == 0


def test_the_number_has_an_end() -> None:
    """A rebalance storm raises it no further."""
    assert note_of(ATTEMPTS_MAX + 1) == note_of(ATTEMPTS_MAX)


def begun(
    records: list[Record],
    committed: dict[Partition, Position],
    doubtful_max: int = 2,
    membership: Membership | None = None,
) -> Ledger:
    """A ledger that gained the records' partitions, and knows what the group has of them."""
    ledger, gained = Ledger(), tuple({record.partition for record in records})
    ledger.polled(polled(*records, gained=gained, membership=membership))
    ledger.asked(ledger.unasked(), committed, dict.fromkeys(gained, Ends(10, 11)), doubtful_max)
    return ledger


def test_what_was_gained_is_worked_on_only_once_that_is_written_down() -> None:
    """Whoever dies of a record has been counted before."""
    ledger = begun([a_record(A, 5)], {A: Position(3, note_of(1))})
    assert ledger.admit() == []
    ledger.committed(ledger.ready())
    assert [record.offset for record in ledger.admit()] == [5]
    assert ledger.admit() == []


def test_a_mark_leaves_the_offset_where_it_is() -> None:
    """It counts up; without a committed offset it stands at the first record."""
    ledger = begun([a_record(A, 5), a_record(B, 7)], {A: Position(3, note_of(1))})
    assert ledger.ready().marks == {A: Position(3, note_of(2)), B: Position(7, note_of(1))}


def test_an_idle_partition_is_not_marked() -> None:
    """Nobody can die of no record, and a rebalance storm counts nothing there."""
    ledger = Ledger()
    ledger.polled(polled(gained=(A,), next_offsets={A: 3}))
    ledger.asked(ledger.unasked(), {A: Position(3, note_of(1))}, {}, 0)
    assert not ledger.wait_ready(0.0)
    ledger.polled(polled(a_record(A, 5)))
    assert ledger.ready().marks == {A: Position(3, note_of(2))}


def test_a_gained_partition_is_asked_about_at_once_and_in_vain_once_it_has_records() -> None:
    """A transaction of the owner before may hide the answer, and then the records as well."""
    ledger = Ledger()
    ledger.polled(polled(gained=(A, B)))
    assert ledger.unasked() == [A, B]
    assert ledger.unasked() == []
    ledger.polled(polled(a_record(A, 5)))
    assert ledger.unasked() == [A]
    ledger.asked([A], {}, {}, 0)
    assert ledger.unasked() == []


def test_the_first_commit_takes_the_mark_away() -> None:
    """Any later owner begins at none."""
    ledger = begun([a_record(A, 5)], {A: Position(3, note_of(1))})
    ledger.committed(ledger.ready())
    ledger.settle(map(an_outcome, ledger.admit()))
    ready = ledger.ready()
    assert (ready.positions, ready.marks) == ({A: Position(6)}, {})


def test_a_partition_that_went_and_came_back_is_marked_anew() -> None:
    """The mark of the epoch before does not count."""
    ledger = begun([a_record(A, 5)], {})
    before = ledger.ready()
    ledger.polled(polled(a_record(A, 5), revoked=(A,), gained=(A,)))
    ledger.asked(ledger.unasked(), {}, {}, 0)
    ledger.committed(before)
    assert ledger.admit() == []
    with pytest.raises(TransactionAborted):
        ledger.vouch(before, 0.0)


@pytest.mark.parametrize(("attempts", "doubtful"), [(0, []), (1, []), (2, [5, 8]), (9, [5, 8])])
def test_the_next_records_are_doubtful_where_two_owners_came_to_no_commit(
    attempts: int, doubtful: list[int]
) -> None:
    """As many as may have been in flight, and none after them."""
    first = [a_record(A, offset) for offset in (5, 8, 9)]
    ledger = begun(first, {A: Position(3, note_of(attempts))})
    ledger.committed(ledger.ready())
    ledger.polled(polled(a_record(A, 11)))
    admitted = ledger.admit()
    assert len(admitted) == 4
    assert [record.offset for record in ledger.doubtful(admitted)] == doubtful


def test_what_came_after_an_owner_died_is_not_doubtful() -> None:
    """Of a partition with few posts the next ones would be tried for days."""
    first = [a_record(A, 5)]
    ledger = begun(first, {A: Position(3, note_of(2))}, doubtful_max=9)
    ledger.committed(ledger.ready())
    ledger.polled(polled(a_record(A, 10), a_record(A, 11)))
    assert [record.offset for record in ledger.doubtful(ledger.admit())] == [5, 10]
    ledger.polled(polled(a_record(A, 12)))
    assert ledger.doubtful(ledger.admit()) == []


def test_a_mark_in_doubt_is_written_again() -> None:
    """It counts no further by that, and no record is begun before it is certain."""
    broker = ScriptedBroker([("commit, and it did not", InDoubt("no answer"))], position=3)
    (wanted,) = outcomes(1)
    ledger = begun([wanted.source], {POSTS[0]: Position(3, note_of(1))}, membership=MEMBER)
    committer = a_committer(broker, ledger)
    assert committer.commit() is False
    assert ledger.ready().marks == {POSTS[0]: Position(3, note_of(2))}
    assert committer.commit() is True
    assert (broker.position, len(ledger.admit())) == (3, 1)
    assert broker.steps.count("commit, and it happened") == 2


def test_no_interval_begins_with_a_mark() -> None:
    """The posts that waited for it are committed as soon as they have their outcomes."""
    (wanted,) = outcomes(1)
    ledger = begun([wanted.source], {POSTS[0]: Position(0)}, membership=MEMBER)
    broker = ScriptedBroker([])
    committer = a_committer(broker, ledger)
    commit, patience, abandon = committer.commit, Patience(), threading.Event()

    def commit_and_work() -> bool:
        done = commit()
        ledger.settle(map(an_outcome, ledger.admit()))
        if broker.log:
            abandon.set()
        return done

    cast("Any", committer).commit = commit_and_work
    committer.run(patience, abandon)
    assert patience.waits_s == [0.0]


def committed(bench: Bench) -> dict[Partition, Position]:
    """What the group has."""
    return dict(bench.cluster.group("group", "posts").committed)


def is_marked(bench: Bench, attempts: int) -> None:
    """Wait until the group has so many attempts of the first partition."""
    eventually(lambda: committed(bench) == {POSTS[0]: Position(0, note_of(attempts))})


def test_a_worker_is_counted_while_it_has_not_committed(bench: Bench) -> None:
    """Of each partition that has posts; its first commit ends that."""
    for number in (0, 2, 4):
        bench.post(number)
    with held_up(bench.classifier):
        pipeline, _ = bench.start()
        is_marked(bench, 1)
        assert pipeline.in_flight == 3
    eventually(lambda: committed(bench) == {POSTS[0]: Position(3)})


def test_a_worker_that_is_gone_without_a_commit_is_counted_by_the_next(bench: Bench) -> None:
    """Here it lost its membership in the middle of its work, twice: nobody is convicted of it."""
    bench.post(0)
    with held_up(bench.classifier):
        pipeline, _ = bench.start()
        for attempts in (1, 2):
            is_marked(bench, attempts)
            eventually(lambda: not pipeline._ledger.marking)
            bench.cluster.evict(pipeline._broker)  # type: ignore[arg-type]
    eventually(lambda: len(bench.verdicts()) == 1)
    eventually(lambda: committed(bench) == {POSTS[0]: Position(1)})
    assert bench.letters() == []
