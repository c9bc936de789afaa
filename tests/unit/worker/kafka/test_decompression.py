"""Every codec unpacks what others pack, says so when it cannot, and stops at the bound."""

import gzip
from collections.abc import Callable

import cramjam
import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.decompression import UNPACKED_BYTES_MAX, Undecompressable, decompress

CONTENT = b"a post, and another post, and one more post" * 1_000


def xerial(content: bytes) -> bytes:
    """Pack as snappy-java does: in framed blocks."""
    framed = bytearray(b"\x82SNAPPY\x00" + (1).to_bytes(4, "big") * 2)
    for at in range(0, len(content), 32_768):
        block = bytes(cramjam.snappy.compress_raw(content[at : at + 32_768]))
        framed += len(block).to_bytes(4, "big") + block
    return bytes(framed)


def streamed_zstd(content: bytes) -> bytes:
    """Pack as Java does: without saying how large it is."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(content) + packer.flush()


def kafka_lz4(content: bytes) -> bytes:
    """Pack in independent blocks."""
    return bytes(lz4.frame.compress(content, block_linked=False))


def unpacked(codec: int, packed: bytes) -> bytes | str:
    """Give what is inside, or what is wrong."""
    try:
        return decompress(codec, packed)
    except Undecompressable as error:
        return str(error) or "no word"


PACKERS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, bytes),
    "gzip": (1, gzip.compress),
    "snappy": (2, lambda content: bytes(cramjam.snappy.compress_raw(content))),
    "snappy-java": (2, xerial),
    "lz4": (3, kafka_lz4),
    "zstd": (4, zstandard.ZstdCompressor().compress),
    "zstd streamed": (4, streamed_zstd),
}
COMPRESSED = {name: packer for name, packer in PACKERS.items() if name != "none"}


@pytest.mark.parametrize(("codec", "pack"), PACKERS.values(), ids=PACKERS)
def test_what_is_packed_is_unpacked(codec: int, pack: Callable[[bytes], bytes]) -> None:
    """Also where a batch unpacks to more than a megabyte, and from nothing to nothing."""
    for content in (CONTENT, b"x" * 3_000_000, b"1"):
        assert decompress(codec, pack(content)) == content


@pytest.mark.parametrize(("codec", "pack"), COMPRESSED.values(), ids=COMPRESSED)
def test_a_bomb_is_refused(codec: int, pack: Callable[[bytes], bytes]) -> None:
    """One byte over the bound is too much, and no more than that is unpacked."""
    with pytest.raises(Undecompressable):
        decompress(codec, pack(b"\0" * (UNPACKED_BYTES_MAX + 1)))


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
@given(content=st.binary(max_size=200))
def test_what_is_not_packed_is_refused_or_unpacked(codec: int, content: bytes) -> None:
    """Nothing else is ever raised."""
    assert unpacked(codec, content) != "no word"


@pytest.mark.parametrize(("codec", "pack"), COMPRESSED.values(), ids=COMPRESSED)
def test_half_of_it_is_never_the_whole(codec: int, pack: Callable[[bytes], bytes]) -> None:
    """A body that was cut off must not pass for a shorter one."""
    packed = pack(CONTENT)
    assert unpacked(codec, packed[: len(packed) // 2]) not in (CONTENT, "no word")


def test_a_codec_of_the_future_is_named() -> None:
    """It would be a newer Kafka's."""
    with pytest.raises(Undecompressable, match="codec 5"):
        decompress(5, b"")
