"""The group: who owns what, how it moves, and who may commit."""

import time
from contextlib import suppress

import pytest

from tests.contract.harness import (
    PATIENCE_S,
    Bench,
    join,
    outgoing,
    owned_by,
    poll,
    polls,
    records,
    silence,
    values,
)
from worker.errors import MembershipLost, SlotTaken, TopicMadeAnew, Unavailable
from worker.kafka.broker import Broker, Membership, Position
from worker.messages import Partition

MOVED_S_MAX = 3.0


def both(bench: Bench) -> set[Partition]:
    """Give the partitions of the topic."""
    return {Partition(bench.posts, number) for number in (0, 1)}


def test_a_lone_member_gains_all(bench: Bench) -> None:
    """With a membership to vouch for commits."""
    broker = bench.connect()
    gained: set[Partition] = set()
    for (polled,) in polls(broker):
        gained |= set(polled.gained)
        assert not polled.revoked
        assert not polled.lost
        if gained == both(bench) and polled.membership is not None:
            break


def test_a_second_member_takes_over_a_share(bench: Bench) -> None:
    """Cooperatively: what stays is never taken away, and nothing is owned twice at any time."""
    first, second = bench.connect("a"), bench.connect("b")
    join(first)
    revoked: set[Partition] = set()
    for found in polls(first, second):
        revoked |= set(found[0].revoked)
        assert not found[0].lost
        assert not owned_by(first) & owned_by(second), "two members own one partition"
        if owned_by(second) and all(polled.membership for polled in found):
            break
    assert owned_by(first) | owned_by(second) == both(bench)
    assert owned_by(second) == revoked


def test_a_member_that_leaves_hands_over_at_once(bench: Bench) -> None:
    """Those who stay need not wait for its session to end."""
    first, second = bench.connect("a"), bench.connect("b")
    join(first, second)
    started_s = time.monotonic()
    second.close(5.0, leave=True)
    for (polled,) in polls(first):
        if polled.gained:
            break
    assert time.monotonic() - started_s < MOVED_S_MAX


def test_a_process_takes_the_place_of_its_dead_self(bench: Bench) -> None:
    """With the same partitions, and nobody else hears of it: the generation is the same."""
    dead, other = bench.connect("a"), bench.connect("b")
    _, before = join(dead, other)
    dead.close(5.0, leave=False)
    started_s = time.monotonic()
    new = bench.connect("a")
    _, after = join(new, other)
    assert time.monotonic() - started_s < MOVED_S_MAX
    assert owned_by(new) == owned_by(dead)
    assert after == before


def test_a_process_takes_up_what_its_dead_self_had_to_give_up(bench: Bench) -> None:
    """It died before it rejoined: nobody owns the partition, and its successor never did."""
    dead, other = bench.connect("a"), bench.connect("b")
    join(dead)
    for found in polls(dead, other):
        if found[0].revoked:
            break
    dead.close(5.0, leave=False)
    new = bench.connect("a")
    join(new, other)
    assert owned_by(new) | owned_by(other) == both(bench)


def test_a_process_whose_place_is_taken_commits_nothing_and_is_told(bench: Bench) -> None:
    """Kafka goes on giving it records: by its commits, and soon by polling, it learns why not."""
    first = bench.connect("a")
    (stale,) = join(first)
    second = bench.connect("a")
    (membership,) = join(second)
    wanted = {Partition(bench.posts, 0): Position(5)}
    with pytest.raises(SlotTaken, match="slot taken"):
        first.mark(wanted, stale, 5.0)
    first.begin(5.0).abort(5.0)  # its producer is fenced, too: the next is a new one
    with pytest.raises(SlotTaken, match="slot taken"):
        first.begin(5.0).offsets(wanted, stale, 5.0)
    with pytest.raises(SlotTaken, match="slot taken"):
        for _ in polls(first):
            pass
    first.close(5.0, leave=True)
    assert second.committed(wanted, 5.0) == {}
    second.mark(wanted, membership, 5.0)
    assert second.committed(wanted, 5.0) == wanted


def test_a_process_that_leaves_takes_nobody_elses_place_away(bench: Bench) -> None:
    """One that never joined and one that was fenced leave the member of their slot alone."""
    fenced = bench.connect("a")
    join(fenced)
    member = bench.connect("a")
    join(member)
    bench.connect("a").close(5.0, leave=True)
    fenced.close(5.0, leave=True)
    silence(member)
    assert owned_by(member) == both(bench)
    assert poll(member).membership is not None


def test_partitions_that_are_added_are_read_from_their_beginning(bench: Bench) -> None:
    """Also where the group's leader has taken its dead self's place, and does not know it leads."""
    dead = bench.connect("a")
    join(dead)
    dead.close(5.0, leave=False)
    broker = bench.connect("a")
    join(broker)
    bench.cluster.grow(bench.posts, 4)
    bench.write([b"new"], number=3)
    assert values(records(broker, 1)) == [b"new"]
    assert owned_by(broker) == {Partition(bench.posts, number) for number in range(4)}


def test_a_topic_that_is_made_anew_is_read_from_its_beginning(bench: Bench) -> None:
    """By a new process; the one that read the old topic ends, for its offsets mean nothing now."""
    bench.write([b"1", b"2"])
    broker = bench.connect("a")
    records(broker, 2)
    (membership,) = join_again(broker)
    broker.mark({Partition(bench.posts, 0): Position(2)}, membership, 5.0)
    bench.cluster.make_anew(bench.posts, 2)
    with pytest.raises(TopicMadeAnew, match="was deleted and made anew"):
        for _ in polls(broker):
            pass
    broker.close(5.0, leave=True)
    bench.write([b"new 1", b"new 2", b"new 3"])
    assert values(records(bench.connect("a"), 3)) == [b"new 1", b"new 2", b"new 3"]


def test_an_offset_that_comes_late_is_none_of_the_topic_that_has_the_name_now(bench: Bench) -> None:
    """Kafka's commits name a topic, and not which: the next owner would skip what is new there."""
    bench.write([b"1", b"2"])
    late = bench.connect("a")
    records(late, 2)
    (membership,) = join_again(late)
    bench.cluster.make_anew(bench.posts, 2)
    commit_for_certain(bench, late, Partition(bench.posts, 0), membership)
    late.close(5.0, leave=True)
    bench.write([b"new 1", b"new 2", b"new 3"])
    assert bench.cluster.holds(bench.group, Partition(bench.posts, 0), 2)
    successor = bench.connect("a")
    assert values(records(successor, 3)) == [b"new 1", b"new 2", b"new 3"]
    assert successor.committed(both(bench), 5.0) == {}


def test_an_offset_in_a_transaction_that_is_open_is_none_of_the_topic_that_is_made_anew_meanwhile(
    bench: Bench,
) -> None:
    """Its outcomes are of the old topic, and are written; its offset is of no use to anybody."""
    bench.write([b"1", b"2"])
    late = bench.connect("a")
    records(late, 2)
    (membership,) = join_again(late)
    transaction = late.begin(5.0)
    transaction.send(outgoing(bench.verdicts, b"verdict of 1"))
    transaction.settle(5.0)
    transaction.offsets({Partition(bench.posts, 0): Position(2)}, membership, 5.0)
    bench.cluster.make_anew(bench.posts, 2)
    transaction.commit(5.0)
    late.close(5.0, leave=True)
    bench.write([b"new 1", b"new 2", b"new 3"])
    assert values(records(bench.connect("a"), 3)) == [b"new 1", b"new 2", b"new 3"]


def commit_for_certain(
    bench: Bench, broker: Broker, partition: Partition, membership: Membership
) -> None:
    """Commit offset 2 until it is kept: Kafka knows the new topic some time after it is made."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with suppress(Unavailable):
            broker.mark({partition: Position(2, "a note")}, membership, 5.0)
            if bench.cluster.holds(bench.group, partition, 2):
                return
    raise TimeoutError("Kafka does not keep the offset")


def test_a_member_that_stops_without_leaving_keeps_its_partitions(bench: Bench) -> None:
    """So that a rolling restart moves none."""
    first, second = bench.connect("a"), bench.connect("b")
    join(first, second)
    second.close(5.0, leave=False)
    before = owned_by(first).copy()
    assert silence(first) == []
    assert owned_by(first) == before


def test_a_stale_membership_commits_nothing(bench: Bench) -> None:
    """In a transaction or out of it: the generation it belongs to is over."""
    first, second = bench.connect("a"), bench.connect("b")
    (stale,) = join(first)
    join(first, second)
    wanted = {Partition(bench.posts, 0): Position(5)}
    with pytest.raises(MembershipLost):
        first.mark(wanted, stale, 5.0)
    transaction = first.begin(5.0)
    with pytest.raises(MembershipLost):
        transaction.offsets(wanted, stale, 5.0)
    assert first.committed(wanted, 5.0) == {}


def test_a_member_sent_away_loses_what_it_owned(bench: Bench) -> None:
    """It is told so, its membership is worthless, and it joins again by polling."""
    broker = bench.connect()
    (stale,) = join(broker)
    bench.evict(broker)
    with pytest.raises(MembershipLost):
        broker.mark({Partition(bench.posts, 0): Position(5)}, stale, 5.0)
    lost: set[Partition] = set()
    gained: set[Partition] = set()
    for (polled,) in polls(broker):
        lost |= set(polled.lost)
        gained |= set(polled.gained)
        if lost == gained == both(bench) and polled.membership is not None:
            assert polled.membership != stale
            break


def test_what_was_not_committed_comes_again_to_the_next_owner(bench: Bench) -> None:
    """The group goes on where it had committed."""
    bench.write([b"1", b"2", b"3"])
    first = bench.connect("a")
    records(first, 3)
    (membership,) = join_again(first)
    first.mark({Partition(bench.posts, 0): Position(1)}, membership, 5.0)
    first.close(5.0, leave=True)
    assert values(records(bench.connect("b"), 2)) == [b"2", b"3"]


def join_again(broker: Broker) -> list[Membership]:
    """Give the membership of a broker that has joined already."""
    for (polled,) in polls(broker):
        if polled.membership is not None:
            return [polled.membership]
    raise AssertionError


def test_a_new_owner_waits_for_an_open_transaction(bench: Bench) -> None:
    """Else it would begin before the offsets that the old owner is about to commit."""
    bench.write([b"1", b"2"])
    old = bench.connect("old")
    records(old, 2)
    (membership,) = join_again(old)
    transaction = old.begin(5.0)
    transaction.send(outgoing(bench.verdicts, b"verdict of 1"))
    transaction.settle(5.0)
    transaction.offsets({Partition(bench.posts, 0): Position(1)}, membership, 5.0)
    bench.evict(old)
    new = bench.connect("new")
    seen = [r.value for _ in range(20) for r in new.poll(0.05, 10).records]
    assert b"1" not in seen
    transaction.commit(5.0)
    assert values(records(new, 1)) == [b"2"]


def test_a_note_stays_with_its_position(bench: Bench) -> None:
    """It is how one owner tells the next something."""
    broker = bench.connect()
    (membership,) = join(broker)
    wanted = {p: Position(n, f"note {n}") for n, p in enumerate(sorted(both(bench)))}
    broker.mark(wanted, membership, 5.0)
    assert broker.committed(both(bench), 5.0) == wanted
    assert bench.connect("b").committed(both(bench), 5.0) == wanted


def test_a_partition_that_was_never_committed_has_no_position(bench: Bench) -> None:
    """Nought would be a position."""
    broker = bench.connect()
    join(broker)
    assert broker.committed(both(bench), 5.0) == {}
