"""Every record that Kafka allows is read and written byte for byte."""

import pytest

from tests.contract.harness import Bench, outgoing, records
from worker.kafka.broker import TooLarge
from worker.kafka.record_batches import HEADER, encode
from worker.messages import Headers, Partition, Receipt

ODD_HEADERS: Headers = (
    (b"plain", b"text"),
    (b"not UTF-8 \xff\xfe\x80", b"\x00\xff"),
    (b"null", None),
    (b"empty", b""),
    (b"", b"no name"),
    (b"twice", b"1"),
    (b"twice", b"2"),
    ("图文".encode(), "值".encode()),
)
LIMIT = 20_000


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"key", b"value", ()),
        (None, b"value", ()),
        (b"key", None, ()),
        (None, None, ()),
        (b"", b"", ()),
        (b"\xff\x00", b"\x80" * 5_000, ODD_HEADERS),
        (None, None, ODD_HEADERS),
    ],
    ids=["plain", "no key", "no value", "neither", "empty", "odd headers", "only odd headers"],
)
def test_a_record_comes_back_as_it_was_written(
    bench: Bench, key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    """A dead letter must be the record, not what a client thinks a record is."""
    transaction = bench.connect("writer").begin(5.0)
    sent = outgoing(bench.posts, value, key=key, headers=headers, timestamp_ms=1_234)
    assert transaction.send(sent) is None
    transaction.settle(5.0)
    transaction.commit(5.0)
    (record,) = records(bench.connect(), 1)
    assert (record.key, record.value, record.headers) == (key, value, headers)
    assert record.timestamp_ms == 1_234


def test_odd_records_do_not_cost_their_neighbours(bench: Bench) -> None:
    """All of one batch comes, in order."""
    transaction = bench.connect("writer").begin(5.0)
    for number in range(300):
        odd = ODD_HEADERS if number % 3 else ()
        transaction.send(
            outgoing(
                bench.posts,
                None if number % 5 == 0 else b"%d" % number,
                key=None if number % 2 else b"key",
                headers=odd,
                timestamp_ms=1_000_000 - number,
            )
        )
    transaction.settle(5.0)
    transaction.commit(5.0)
    found = records(bench.connect(), 300)
    assert [r.timestamp_ms for r in found] == [1_000_000 - number for number in range(300)]
    assert [r.headers for r in found] == [ODD_HEADERS if n % 3 else () for n in range(300)]


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_limit_of_a_record_is_the_brokers(bench: Bench, over: int) -> None:
    """A record that just fits is written; one byte more is refused, and the transaction goes on."""
    topic = bench.cluster.topic(1, record_bytes_max=LIMIT)
    headers: Headers = ((b"h", None),)
    bare = HEADER.size + len(encode(outgoing(topic, b"x" * 10_000, headers=headers), 0, 0))
    value = b"x" * (10_000 + LIMIT - bare + over)
    transaction = bench.connect("writer").begin(5.0)
    transaction.send(outgoing(topic, b"before"))
    refused = transaction.send(outgoing(topic, value, headers=headers))
    transaction.send(outgoing(topic, b"after"))
    receipts = transaction.settle(5.0)
    transaction.commit(5.0)
    if over > 0:
        assert refused == TooLarge(LIMIT)
        assert len(receipts) == 2
    else:
        assert refused is None
        assert [r.offset for r in receipts] == [0, 1, 2]


def test_receipts_come_in_the_order_of_sending(bench: Bench) -> None:
    """Over partitions and over more batches than one request holds."""
    transaction = bench.connect("writer").begin(5.0)
    for number in range(400):
        transaction.send(outgoing(bench.verdicts, b"x" * 3_000, number=number % 2))
    assert transaction.settle(10.0) == [
        Receipt(Partition(bench.verdicts, number % 2), number // 2) for number in range(400)
    ]
    transaction.commit(5.0)


def test_the_client_chooses_a_partition_where_none_is_given(bench: Bench) -> None:
    """The same key goes to the same partition."""
    transaction = bench.connect("writer").begin(5.0)
    for _ in range(4):
        transaction.send(outgoing(bench.verdicts, b"x", key=b"same", number=None))
    transaction.send(outgoing(bench.verdicts, b"x", key=None, number=None))
    receipts = transaction.settle(5.0)
    transaction.commit(5.0)
    assert len(receipts) == 5
    assert len({receipt.partition for receipt in receipts[:4]}) == 1
