"""What is in a compressed record batch, for every codec that Kafka knows, and never too much of it.

A batch is small and what it unpacks to need not be: each codec stops at a bound, for a batch is
written by anybody who may write to the topic.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Final

import cramjam
import lz4.frame
import zstandard

UNPACKED_BYTES_MAX: Final = 64 * 1024 * 1024
# snappy-java frames its blocks: magic, two versions, then each block behind its length.
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
_GZIP_WINDOW: Final = 31


class Undecompressable(Exception):
    """The bytes are not what their codec makes, or unpack to more than the bound."""


def decompress(codec: int, packed: bytes) -> bytes:
    """Unpack the body of a batch; `codec` as the batch's attributes number it."""
    if codec not in _CODECS:
        raise Undecompressable(f"codec {codec} is none that Kafka knows")
    name, unpack = _CODECS[codec]
    try:
        unpacked = unpack(packed)
    except (
        EOFError,
        MemoryError,
        RuntimeError,  # lz4's word for a broken frame
        ValueError,
        cramjam.DecompressionError,
        zlib.error,
        zstandard.ZstdError,
    ) as error:
        raise Undecompressable(f"it is no {name} ({error})") from error
    if len(unpacked) > UNPACKED_BYTES_MAX:
        raise Undecompressable(f"its {name} unpacks to more than {UNPACKED_BYTES_MAX} bytes")
    return unpacked


def _gzip(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    unpacked = unpacker.decompress(packed, UNPACKED_BYTES_MAX + 1)
    if not unpacker.eof and len(unpacked) <= UNPACKED_BYTES_MAX:
        raise EOFError("cut off")
    return unpacked


def _snappy(packed: bytes) -> bytes:
    if not packed.startswith(_XERIAL):
        return _snappy_block(packed, UNPACKED_BYTES_MAX)
    unpacked = bytearray()
    at = _XERIAL_HEADER_BYTES
    while at < len(packed):
        length = int.from_bytes(packed[at : at + 4], "big")
        block = packed[at + 4 : at + 4 + length]
        if not length or len(block) < length:
            raise EOFError("cut off")
        unpacked += _snappy_block(block, UNPACKED_BYTES_MAX - len(unpacked))
        at += 4 + length
    return bytes(unpacked)


def _snappy_block(packed: bytes, bytes_max: int) -> bytes:
    # A block begins with the length that it unpacks to.
    if cramjam.snappy.decompress_raw_len(packed) > bytes_max:
        raise ValueError("too large")
    return bytes(cramjam.snappy.decompress_raw(packed))


def _lz4(packed: bytes) -> bytes:
    unpacker = lz4.frame.LZ4FrameDecompressor()
    unpacked: bytes = unpacker.decompress(packed, UNPACKED_BYTES_MAX + 1)
    if not unpacker.eof and len(unpacked) <= UNPACKED_BYTES_MAX:
        raise EOFError("cut off")
    return unpacked


def _zstd(packed: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        return reader.read(UNPACKED_BYTES_MAX + 1)


_CODECS: Final[Mapping[int, tuple[str, Callable[[bytes], bytes]]]] = {
    0: ("plain bytes", lambda packed: packed),
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _lz4),
    4: ("zstd", _zstd),
}
