import io
import struct
from typing import Any

import pytest
from PIL import Image

from features.image_header import DamagedHeader, read


def picture(name: str, size: tuple[int, int] = (37, 21), **options: Any) -> bytes:
    """A picture of that format."""
    held = io.BytesIO()
    Image.new("RGB", size, "red").save(held, name, **options)
    return held.getvalue()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(37, 21), (1, 1), (300, 2)])
def test_the_header_says_what_pillow_says(name: str, size: tuple[int, int]) -> None:
    """Format, width and height, for each of the five formats."""
    header = read(picture(name, size))
    assert header is not None
    assert (header.format, header.width, header.height) == (name, *size)


def test_lossless_and_extended_webp_have_their_size_elsewhere() -> None:
    """VP8L and VP8X beside VP8."""
    lossless = read(picture("WEBP", lossless=True))
    held = io.BytesIO()
    Image.new("RGBA", (37, 21), (9, 9, 9, 9)).save(held, "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08")
    extended = read(held.getvalue())
    assert held.getvalue()[12:16] == b"VP8X"
    assert lossless is not None
    assert extended is not None
    assert (lossless.width, lossless.height) == (extended.width, extended.height) == (37, 21)


def test_a_bitmap_that_stands_on_its_head_has_a_positive_height() -> None:
    """A negative height means that the first row is the top one."""
    upright = bytearray(picture("BMP"))
    struct.pack_into("<i", upright, 22, -21)
    header = read(bytes(upright))
    assert header is not None
    assert header.height == 21


def test_the_oldest_bitmaps_have_sizes_of_two_bytes() -> None:
    """OS/2's header of 12 bytes."""
    header = read(b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 37, 21, 1, 24))
    assert header is not None
    assert (header.width, header.height) == (37, 21)


def test_a_gif_frame_that_leaves_the_screen_counts() -> None:
    """A tiny screen with an enormous first frame is as large as the frame."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    comment = b"\x21\xfe\x02ab\x00"
    frame = b"\x2c" + struct.pack("<HHHH", 100, 0, 60_000, 60_000)
    header = read(screen + comment + frame)
    assert header is not None
    assert (header.width, header.height) == (60_100, 60_000)


@pytest.mark.parametrize(
    ("name", "length"), [("JPEG", 20), ("PNG", 20), ("WEBP", 24), ("GIF", 12), ("BMP", 20)]
)
def test_a_header_cut_short_is_damaged(name: str, length: int) -> None:
    """The error says which format the bytes promised."""
    with pytest.raises(DamagedHeader, match=name):
        read(picture(name)[:length])


def test_no_pixels_is_damaged() -> None:
    """A side of 0."""
    png = bytearray(picture("PNG"))
    struct.pack_into(">I", png, 16, 0)
    with pytest.raises(DamagedHeader, match="0 x 21"):
        read(bytes(png))


@pytest.mark.parametrize(
    "image", [b"", b"\xff\xd8", b"<svg/>", b"II*\0aaaa", b"%!PS", b"RIFF1234WAVE", b"GIF80a"]
)
def test_other_formats_are_none(image: bytes) -> None:
    """Whatever Pillow might still be able to open."""
    assert read(image) is None
