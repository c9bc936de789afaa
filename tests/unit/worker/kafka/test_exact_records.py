"""What the fetcher's reader gives of a fetch with gaps, odd headers and damage."""

import pytest
from crc32c import crc32c
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords
from kafka.structs import TopicPartition

from worker.errors import Undecodable
from worker.kafka.exact_records import ExactRecords
from worker.kafka.record_batches import HEADER, OutgoingBatch
from worker.messages import Headers, Outgoing

POSTS = TopicPartition("posts", 3)
ODD: Headers = ((b"\xff\xfe", b"no text"), (b"null", None))
CRC_AT, SEALED_FROM, LAST_DELTA_AT = 17, 21, 23


def batch(*values: bytes | None, headers: Headers = ()) -> bytearray:
    """A batch at the beginning of the log, without keys."""
    made = OutgoingBatch()
    for value in values:
        made.add(Outgoing("posts", 3, None, value, headers, 0), 1_000_000)
    made.close()
    return bytearray(made.buffer())


def sealed(content: bytearray) -> bytearray:
    """Make the checksum fit what was changed."""
    content[CRC_AT:SEALED_FROM] = crc32c(bytes(content[SEALED_FROM:])).to_bytes(4)
    return content


def fetched(content: bytearray) -> ExactRecords:
    """A fetch from the beginning of the log."""
    records = MemoryRecords(bytes(content))
    return ExactRecords(0, POSTS, records, isolation_level=IsolationLevel.READ_COMMITTED)


def test_a_fetch_goes_on_behind_what_compaction_took_away() -> None:
    """A batch keeps its place in the log: its last record is not where it ends."""
    content = batch(b"first", b"second")
    content[LAST_DELTA_AT : LAST_DELTA_AT + 4] = (9).to_bytes(4)
    fetch = fetched(sealed(content))
    assert [record.offset for record in fetch.take()] == [0, 1]
    assert fetch.next_fetch_offset == 10


def test_headers_that_are_no_text_are_read() -> None:
    """Kafka allows them; kafka-python raises, and the next poll spins."""
    (record,) = fetched(batch(b"value", headers=ODD)).take()
    assert record.headers == ODD


def test_a_record_of_nothing_but_nulls_is_read() -> None:
    """As a producer in Java may write it."""
    (record,) = fetched(batch(None)).take()
    assert (record.key, record.value) == (None, None)


def test_damage_is_told_as_often_as_it_is_asked_for_after_what_is_good_before_it() -> None:
    """kafka-python gives and raises nothing then, for ever, and a seek past it loses the good."""
    content = batch(b"good", b"bad", b"behind")
    second = HEADER.size + content[HEADER.size] // 2 + 1
    content[second] += 2  # It says that it is a byte longer.
    fetch = fetched(sealed(content))
    assert [record.value for record in fetch.take()] == [b"good"]
    for _ in range(2):
        with pytest.raises(Undecodable) as told:
            fetch.take()
        assert told.value.offset == 1
