"""An image's format and size from its first bytes, before anything is decoded."""

import struct
from dataclasses import dataclass
from typing import Final, Literal

import simplejpeg

Format = Literal["JPEG", "PNG", "WEBP", "GIF", "BMP"]


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of itself; `colours` is known for JPEG alone."""

    format: Format
    width: int
    height: int
    colours: str = ""

    @property
    def pixels(self) -> int:
        """The pixels that a decoder would have to hold."""
        return self.width * self.height


class DamagedHeader(ValueError):
    """The first bytes promise a format, and what follows does not hold to it."""


def read(image: bytes) -> Header | None:
    """The header; None when the bytes begin like none of the five formats.

    Raises DamagedHeader.
    """
    name = _format(image)
    if name is None:
        return None
    try:
        header = _READERS[name](image)
    except (struct.error, LookupError, ValueError) as error:
        raise DamagedHeader(f"{name}: the header is damaged") from error
    if header.width < 1 or header.height < 1:
        raise DamagedHeader(f"{name}: {header.width} x {header.height} pixels")
    return header


def _format(image: bytes) -> Format | None:
    if image[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if image[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "WEBP"
    if image[:6] in {b"GIF87a", b"GIF89a"}:
        return "GIF"
    return "BMP" if image[:2] == b"BM" else None


def _jpeg(image: bytes) -> Header:
    height, width, colours, _ = simplejpeg.decode_jpeg_header(image, strict=False)
    return Header("JPEG", width, height, colours)


def _png(image: bytes) -> Header:
    if image[12:16] != b"IHDR":
        raise ValueError("no IHDR")
    return Header("PNG", *struct.unpack_from(">II", image, 16))


def _bmp(image: bytes) -> Header:
    """OS/2's first header has 16-bit sizes; in all others a negative height means top down."""
    if struct.unpack_from("<I", image, 14)[0] == 12:
        return Header("BMP", *struct.unpack_from("<HH", image, 18))
    width, height = struct.unpack_from("<ii", image, 18)
    return Header("BMP", width, abs(height))


def _webp(image: bytes) -> Header:
    """Lossy, lossless and extended: RFC 9649, sections 2.5 to 2.7."""
    chunk = image[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", image, 26)
        return Header("WEBP", width & 0x3FFF, height & 0x3FFF)
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", image, 21)[0]
        return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if chunk == b"VP8X":
        sizes = int.from_bytes(image[24:30].ljust(6, b"\0"), "little")
        return Header("WEBP", (sizes & 0xFFFFFF) + 1, (sizes >> 24) + 1)
    raise ValueError("no picture chunk")


def _gif(image: bytes) -> Header:
    """The screen, or the first frame where that reaches beyond it: Pillow decodes the larger."""
    width, height, flags = struct.unpack_from("<HHB", image, 6)
    place = 13 + _colour_table_bytes(flags)
    while image[place] == _EXTENSION:
        place = _after_sub_blocks(image, place + 2)
    if image[place] != _FRAME:
        raise ValueError("no frame")
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", image, place + 1)
    return Header("GIF", max(width, left + frame_width), max(height, top + frame_height))


_EXTENSION: Final = 0x21
_FRAME: Final = 0x2C


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_sub_blocks(image: bytes, place: int) -> int:
    while image[place]:
        place += image[place] + 1
    return place + 1


_READERS: Final = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif, "BMP": _bmp}
