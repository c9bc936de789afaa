"""Our codec of record batches, against kafka-python's and against damage."""

from collections.abc import Sequence

import cramjam
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from worker.kafka.record_batches import HEADER, OutgoingBatch, encode, read, varint
from worker.messages import Outgoing, Partition

POSTS = Partition("posts", 3)
BYTES_MAX = 1_000_000

nullable = st.none() | st.binary(max_size=300)
any_headers = st.lists(st.tuples(st.binary(max_size=20), nullable), max_size=4).map(tuple)
text_headers = st.lists(
    st.tuples(st.text(max_size=10).map(str.encode), st.binary(max_size=20)), max_size=3
).map(tuple)
timestamps = st.integers(0, 2**45)


def outgoings(
    headers: st.SearchStrategy[tuple[tuple[bytes, bytes | None], ...]],
) -> st.SearchStrategy[list[Outgoing]]:
    """Some records for one partition."""
    one = st.builds(Outgoing, st.just("posts"), st.just(3), nullable, nullable, headers, timestamps)
    return st.lists(one, min_size=1, max_size=12)


def written(records: Sequence[Outgoing]) -> bytes:
    """Give the bytes of a batch as it goes to the broker."""
    batch = OutgoingBatch()
    for index, record in enumerate(records):
        assert batch.add(record, BYTES_MAX) == index
    batch.set_producer_state(7, 1, 0, True)
    batch.close()
    return bytes(batch.buffer())


@given(outgoings(any_headers))
def test_what_is_written_is_read_again(records: list[Outgoing]) -> None:
    """Whatever Kafka allows: nulls, keys of headers that are no UTF-8, times that go back."""
    batch = DefaultRecordBatch(written(records))
    assert batch.validate_crc()
    found, trouble = read(batch, POSTS)
    assert trouble is None
    assert [(r.key, r.value, r.headers, r.timestamp_ms) for r in found] == [
        (r.key, r.value, r.headers, r.timestamp_ms) for r in records
    ]
    assert [r.offset for r in found] == list(range(len(records)))
    assert {r.partition for r in found} == {POSTS}


@given(outgoings(text_headers))
def test_another_client_reads_what_we_write(records: list[Outgoing]) -> None:
    """kafka-python understands all of it where headers are text."""
    batch = DefaultRecordBatch(written(records))
    assert batch.is_transactional
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 1, 0)
    assert batch.max_timestamp == max(r.timestamp_ms for r in records)
    assert [
        (r.key, r.value, tuple((k.encode(), v) for k, v in r.headers), r.timestamp) for r in batch
    ] == [(r.key, r.value, r.headers, r.timestamp_ms) for r in records]


@given(outgoings(text_headers), st.sampled_from([0, 1, 3]))
def test_we_read_what_another_client_writes(records: list[Outgoing], codec: int) -> None:
    """Uncompressed, gzip and lz4."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, BYTES_MAX)
    for index, r in enumerate(records):
        headers = [(key.decode(), value) for key, value in r.headers]
        builder.append(index, r.timestamp_ms, r.key, r.value, headers)
    found, trouble = read(DefaultRecordBatch(builder.build()), POSTS)
    assert trouble is None
    assert [(r.key, r.value, r.headers) for r in found] == [
        (r.key, r.value, r.headers) for r in records
    ]


@given(outgoings(any_headers), st.integers(0, 10**6), st.integers(0, 255))
@example([Outgoing("posts", 3, None, None, (), 0)], 61, 0x80)
def test_damage_never_raises_and_costs_no_record_before_it(
    records: list[Outgoing], at: int, byte: int
) -> None:
    """A batch with a byte changed gives its records up to there, or says what is wrong."""
    content = bytearray(written(records))
    at = HEADER.size + at % (len(content) - HEADER.size)
    content[at] = byte
    found, trouble = read(DefaultRecordBatch(content), POSTS)
    if trouble is None:
        assert len(found) == len(records)
    else:
        assert trouble
        assert len(found) < len(records)


def test_a_record_that_says_it_is_longer_than_its_batch_is_damage() -> None:
    """Its bytes would be those of nobody."""
    content = bytearray(written([Outgoing("posts", 3, b"k", b"v", (), 0)]))
    content[HEADER.size] = 0x7E  # its length, 63
    found, trouble = read(DefaultRecordBatch(content), POSTS)
    assert found == []
    assert trouble is not None
    assert "63 bytes" in trouble


@pytest.mark.parametrize("codec", [2, 4])
def test_what_a_producer_compressed_in_its_own_way_is_read(codec: int) -> None:
    """Snappy and zstd, which the client itself does not read here."""
    content = bytearray(written([Outgoing("posts", 3, b"k", b"v", (), 0)]))
    body = bytes(content[HEADER.size :])
    snappy = codec == 2
    shorter = cramjam.snappy.compress_raw(body) if snappy else cramjam.zstd.compress(body)
    packed = content[: HEADER.size] + bytes(shorter)
    packed[22] = packed[22] & ~7 | codec
    found, trouble = read(DefaultRecordBatch(packed), POSTS)
    assert trouble is None
    assert [(r.key, r.value) for r in found] == [(b"k", b"v")]


@given(st.integers(-(2**62), 2**62))
def test_a_varint_is_kafkas(value: int) -> None:
    """Zigzag, seven bits a byte, lowest first; kafka-python reads it."""
    from kafka.record.util import decode_varint

    encoded = varint(value)
    assert decode_varint(bytearray(encoded), 0) == (value, len(encoded))


def test_the_limit_counts_the_whole_batch() -> None:
    """A record that fits exactly is taken, and one more is not."""
    record = Outgoing("posts", 3, b"key", b"value", ((b"h", None),), 5)
    exact = HEADER.size + len(encode(record, 0, 0))
    assert OutgoingBatch().add(record, exact - 1) is None
    batch = OutgoingBatch()
    assert batch.add(record, exact) == 0
    assert batch.add(record, exact) is None
    assert (batch.next_offset(), batch.size_in_bytes()) == (1, exact)


def test_a_large_batch_is_compressed_once() -> None:
    """The sender closes a batch again when it sends it again."""
    batch = OutgoingBatch()
    batch.add(Outgoing("posts", 3, None, b"x" * 100_000, (), 0), BYTES_MAX)
    batch.close()
    first = bytes(batch.buffer())
    batch.close()
    assert bytes(batch.buffer()) == first
    assert batch.size_in_bytes() == len(first) < 10_000
