"""Record batches to records, and outgoing records to batches, byte for byte.

kafka-python decodes header keys as UTF-8 and refuses null header values and records of nothing
but nulls, all of which Kafka allows. A dead letter must carry them as they came, so this is an
own codec of the format: https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from crc32c import crc32c
from kafka.codec import lz4_encode

from worker.kafka.decompression import Undecompressable, decompress
from worker.messages import Headers, Outgoing, Partition, Record

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_CRC: Final = struct.Struct(">I")
_LENGTH_AT: Final = 12
_CRC_AT: Final = 17
_ATTRIBUTES_AT: Final = 21
_LZ4: Final = 0x03
_TRANSACTIONAL: Final = 0x10


class Malformed(Exception):
    """The bytes of a record are not what the format says."""


def _long_varint(buffer: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag varint of any length; IndexError past the end."""
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise Malformed("a number of more than ten bytes")


def _varint(value: int) -> bytes:
    """Write a zigzag varint."""
    value = (value << 1) ^ (value >> 63)
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(0x80 | (value & 0x7F))
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


# Nearly all lengths and deltas are small: a table costs a tenth of the loop.
_SMALL: Final = tuple(_varint(value) for value in range(2_048))
_NULL: Final = _varint(-1)


def varint(value: int) -> bytes:
    """Write a zigzag varint, small ones from a table."""
    return _SMALL[value] if 0 <= value < 2_048 else _varint(value)


def _bytes_at(buffer: bytes, at: int) -> tuple[bytes | None, int]:
    """Read a nullable string of bytes."""
    length = buffer[at]
    if length < 0x80:
        at += 1
        length = (length >> 1) ^ -(length & 1)
    else:
        length, at = _long_varint(buffer, at)
    if length < 0:
        return None, at
    return buffer[at : at + length], at + length


def _headers_at(buffer: bytes, at: int) -> tuple[Headers, int]:
    """Read headers; a key is any bytes, since nothing between producer and us checks it."""
    count, at = _long_varint(buffer, at)
    if count < 0:
        raise Malformed(f"{count} headers")
    headers = []
    for _ in range(count):
        key, at = _bytes_at(buffer, at)
        value, at = _bytes_at(buffer, at)
        if key is None:
            raise Malformed("a header without a key")
        headers.append((key, value))
    return tuple(headers), at


def _record_at(
    buffer: bytes,
    at: int,
    partition: Partition,
    base_offset: int,
    timestamp_of: Callable[[int], int],
) -> tuple[Record, int]:
    """Read one record; Malformed or IndexError when it is none."""
    length, at = _long_varint(buffer, at)
    end = at + length
    if length < 0 or end > len(buffer):
        raise Malformed(f"a record of {length} bytes in a batch of {len(buffer)}")
    timestamp_delta, at = _long_varint(buffer, at + 1)  # +1: attributes, unused.
    offset_delta, at = _long_varint(buffer, at)
    key, at = _bytes_at(buffer, at)
    value, at = _bytes_at(buffer, at)
    if buffer[at] == 0:
        headers: Headers = ()
        at += 1
    else:
        headers, at = _headers_at(buffer, at)
    if at != end:
        raise Malformed(f"a record ends at byte {at}, but says {end}")
    record = Record(
        partition, base_offset + offset_delta, key, value, headers, timestamp_of(timestamp_delta)
    )
    return record, at


def read(batch: Any, partition: Partition) -> tuple[list[Record], str | None]:
    """Decode a kafka-python record batch: its records up to the first bad one, and what is bad.

    Never raises for bad bytes: the good records before the bad one are not lost with it.
    """
    records: list[Record] = []
    first, last = batch.first_timestamp, batch.max_timestamp
    appended = bool(batch.timestamp_type)
    timestamp_of: Callable[[int], int] = (lambda _: last) if appended else first.__add__
    try:
        packed = bytes(batch._buffer[HEADER.size :])  # noqa: SLF001 -- it has no public way to it.
        buffer = decompress(batch.compression_type, packed)
        at = 0
        for _ in range(batch.records_count):
            record, at = _record_at(buffer, at, partition, batch.base_offset, timestamp_of)
            records.append(record)
    except (Malformed, Undecompressable, IndexError) as error:
        return records, str(error)
    return records, None


def encode(outgoing: Outgoing, offset_delta: int, timestamp_delta: int) -> bytes:
    """Encode one record, its length before it."""
    key, value, headers = outgoing.key, outgoing.value, outgoing.headers
    parts = [b"\0", varint(timestamp_delta), varint(offset_delta)]
    if key is None:
        parts.append(_NULL)
    else:
        parts += (varint(len(key)), key)
    if value is None:
        parts.append(_NULL)
    else:
        parts += (varint(len(value)), value)
    parts.append(varint(len(headers)))
    for name, content in headers:
        parts += (varint(len(name)), name)
        parts += (_NULL,) if content is None else (varint(len(content)), content)
    body = b"".join(parts)
    return varint(len(body)) + body


class OutgoingBatch:
    """A batch being filled for one partition, then sent whole.

    It stands where kafka-python's accumulator expects a MemoryRecordsBuilder: the methods below
    `add` are that interface, `producer_id` and its kin are what the sender stamps on it.
    """

    def __init__(self) -> None:
        self.producer_id = -1
        self.producer_epoch = -1
        self.base_sequence = -1
        self._transactional = False
        self._body = bytearray()
        self._records = 0
        self._first_timestamp_ms = 0
        self._max_timestamp_ms = 0
        self._encoded: bytearray | None = None

    def add(self, outgoing: Outgoing, bytes_max: int) -> int | None:
        """Add a record and give its index; None when the batch would pass `bytes_max`."""
        if not self._records:
            self._first_timestamp_ms = self._max_timestamp_ms = outgoing.timestamp_ms
        timestamp_delta = outgoing.timestamp_ms - self._first_timestamp_ms
        encoded = encode(outgoing, self._records, timestamp_delta)
        if HEADER.size + len(self._body) + len(encoded) > bytes_max:
            return None
        self._body += encoded
        self._max_timestamp_ms = max(self._max_timestamp_ms, outgoing.timestamp_ms)
        self._records += 1
        return self._records - 1

    def next_offset(self) -> int:
        """Count the records: the sender's next sequence number."""
        return self._records

    def is_full(self) -> bool:
        """Say that it may be sent at once: it is handed over only when nothing joins it."""
        return True

    def size_in_bytes(self) -> int:
        """Give its size on the wire; before `close`, without compression."""
        return HEADER.size + len(self._body) if self._encoded is None else len(self._encoded)

    def set_producer_state(
        self,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        is_transactional: bool,  # noqa: FBT001 -- the sender calls it so.
    ) -> None:
        """Stamp it with the producer and the sequence number of its first record."""
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        self._transactional = is_transactional

    def close(self) -> None:
        """Encode it once; the sender closes a batch again when it sends it again."""
        if self._encoded is None:
            self._encoded = self._encode()
            self._body = bytearray()

    def buffer(self) -> bytearray:
        """Give the bytes to send."""
        assert self._encoded is not None, "closed before it is sent"
        return self._encoded

    def _encode(self) -> bytearray:
        compressed = lz4_encode(bytes(self._body))
        shrunk = len(compressed) < len(self._body)
        body = compressed if shrunk else self._body
        attributes = (_LZ4 if shrunk else 0) | (_TRANSACTIONAL if self._transactional else 0)
        encoded = bytearray(HEADER.size)
        HEADER.pack_into(
            encoded,
            0,
            0,  # base offset, set by the broker
            HEADER.size + len(body) - _LENGTH_AT,
            0,  # leader epoch, set by the broker
            2,  # magic
            0,  # crc, below
            attributes,
            self._records - 1,
            self._first_timestamp_ms,
            self._max_timestamp_ms,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            self._records,
        )
        encoded += body
        _CRC.pack_into(encoded, _CRC_AT, crc32c(memoryview(encoded)[_ATTRIBUTES_AT:]))
        return encoded
