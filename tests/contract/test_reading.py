"""Reading: order, bounds, pause, resume, seek, gaps."""

import pytest

from tests.contract.harness import (
    Bench,
    join,
    outgoing,
    polls,
    positions_until,
    records,
    silence,
    values,
)
from worker.errors import OffsetOutOfRange, UnknownTopic
from worker.kafka.broker import Ends, Position
from worker.messages import Partition, Record


def test_a_partition_is_read_from_its_beginning_in_order(bench: Bench) -> None:
    """A group without committed offsets loses nothing."""
    bench.write([b"1", b"2", b"3"])
    found = records(bench.connect(), 3)
    assert values(found) == [b"1", b"2", b"3"]
    assert [record.offset for record in found] == [0, 1, 2]
    assert found[0].partition == Partition(bench.posts, 0)
    assert found[0].timestamp_ms == 1_700_000_000_000


def test_a_poll_gives_no_more_records_than_asked(bench: Bench) -> None:
    """What is left comes with the next polls."""
    bench.write([b"%d" % i for i in range(10)])
    broker = bench.connect()
    found: list[Record] = []
    while len(found) < 10:
        polled = broker.poll(0.5, 3)
        assert len(polled.records) <= 3
        found += polled.records
    assert values(found) == [b"%d" % i for i in range(10)]


def test_next_offsets_say_where_a_partition_goes_on(bench: Bench) -> None:
    """They follow the records that were given, not those that were fetched."""
    bench.write([b"%d" % i for i in range(5)])
    broker = bench.connect()
    first = Partition(bench.posts, 0)
    while True:
        polled = broker.poll(0.5, 2)
        if polled.records:
            break
    assert polled.next_offsets[first] == polled.records[-1].offset + 1 == 2


def test_a_paused_partition_gives_nothing_until_it_is_resumed(bench: Bench) -> None:
    """The other partition goes on; what was fetched before the pause is kept."""
    bench.write([b"a%d" % i for i in range(5)], number=0)
    bench.write([b"b%d" % i for i in range(5)], number=1)
    broker = bench.connect()
    join(broker)
    first, second = (Partition(bench.posts, n) for n in (0, 1))
    broker.seek(first, 0)
    broker.seek(second, 0)
    broker.pause([first])
    assert values(records(broker, 5)) == [b"b%d" % i for i in range(5)]
    assert silence(broker) == []
    broker.resume([first])
    assert values(records(broker, 5)) == [b"a%d" % i for i in range(5)]


def test_records_of_a_partition_paused_in_the_middle_are_kept(bench: Bench) -> None:
    """A pause between two polls of one fetch loses and repeats nothing."""
    bench.write([b"%d" % i for i in range(20)])
    broker = bench.connect()
    first = Partition(bench.posts, 0)
    found: list[Record] = []
    while not found:
        found += broker.poll(0.5, 5).records
    broker.pause([first])
    assert silence(broker) == []
    broker.resume([first])
    found += records(broker, 15)
    assert values(found) == [b"%d" % i for i in range(20)]


def test_a_seek_reads_again(bench: Bench) -> None:
    """The next poll goes on there, whatever had been fetched."""
    bench.write([b"1", b"2", b"3"])
    broker = bench.connect()
    found = records(broker, 3)
    broker.seek(Partition(bench.posts, 0), 1)
    again = records(broker, 2)
    assert again == found[1:]
    assert again[0] is not found[1]  # the ledger tells by that when a record was polled


def test_what_is_not_owned_is_ignored(bench: Bench) -> None:
    """A partition may be taken away just before it is paused, resumed or sought."""
    bench.write([b"1"])
    broker = bench.connect()
    records(broker, 1)
    stranger = Partition(bench.verdicts, 0)
    broker.pause([stranger])
    broker.resume([stranger])
    broker.seek(stranger, 5)
    bench.write([b"2"])
    assert values(records(broker, 1)) == [b"2"]


def test_positions_pass_over_an_aborted_tail(bench: Bench) -> None:
    """Lag reaches nought though no record is to be had: markers and aborted records are gaps."""
    bench.write([b"1"])
    other = bench.connect("other")
    transaction = other.begin(5.0)
    transaction.send(outgoing(bench.posts, b"never seen"))
    transaction.settle(5.0)
    transaction.abort(5.0)
    broker = bench.connect()
    first = Partition(bench.posts, 0)
    positions_until(broker, first, 3)  # the record, the aborted one, the marker
    assert broker.ends([first], 5.0) == {first: Ends(3, 3)}


def test_a_position_is_told_once(bench: Bench) -> None:
    """Without news there is nothing to note."""
    bench.write([b"1"])
    broker = bench.connect()
    records(broker, 1)
    silence(broker)
    assert broker.poll(0.05, 10).next_offsets == {}


def test_a_gained_partition_goes_on_where_the_group_was(bench: Bench) -> None:
    """Its first position is told, before any record."""
    broker = bench.connect()
    (membership,) = join(broker)
    first = Partition(bench.posts, 0)
    bench.write([b"1", b"2"])
    records(broker, 2)
    broker.mark({first: Position(1, "")}, membership, 5.0)
    broker.close(5.0, leave=True)
    assert values(records(bench.connect(), 1)) == [b"2"]


def test_an_offset_that_was_deleted_is_never_skipped_silently(bench: Bench) -> None:
    """The partition stops, and the error says which."""
    bench.write([b"1", b"2", b"3"])
    first = Partition(bench.posts, 0)
    broker = bench.connect()
    records(broker, 3)
    broker.pause([first])
    silence(broker)
    bench.cluster.trim(first, 2)
    broker.seek(first, 0)
    broker.resume([first])
    with pytest.raises(OffsetOutOfRange) as failed:
        for _ in polls(broker):
            pass
    lost = failed.value
    assert (lost.partition, lost.offset, lost.first, lost.end) == (first, 0, 2, 3)
    assert silence(broker) == []
    broker.seek(first, 2)
    assert values(records(broker, 1)) == [b"3"]


def test_an_offset_beyond_the_end_is_never_taken_for_the_end(bench: Bench) -> None:
    """A new topic of that name, or a broker that lost records: what is there was not read."""
    bench.write([b"1", b"2", b"3"])
    first = Partition(bench.posts, 0)
    broker = bench.connect()
    (membership,) = join(broker)
    broker.mark({first: Position(10)}, membership, 5.0)
    broker.close(5.0, leave=True)
    broker = bench.connect()
    with pytest.raises(OffsetOutOfRange, match="the log ends at 3") as failed:
        for _ in polls(broker):
            pass
    assert (failed.value.offset, failed.value.first, failed.value.end) == (10, 0, 3)
    assert silence(broker) == []


def test_the_partitions_of_a_topic_are_counted(bench: Bench) -> None:
    """Any topic, not only the one that is consumed."""
    assert bench.connect().partitions(bench.verdicts, 5.0) == 2


def test_a_topic_that_does_not_exist_is_named(bench: Bench) -> None:
    """At once: a wrong name is not an outage."""
    with pytest.raises(UnknownTopic, match="nowhere"):
        bench.cluster.open(bench.settings(topic="nowhere"))
    broker = bench.connect()
    with pytest.raises(UnknownTopic, match="nowhere"):
        broker.partitions("nowhere", 5.0)
    with pytest.raises(UnknownTopic, match="nowhere"):
        broker.begin(5.0).send(outgoing("nowhere", b"lost"))
