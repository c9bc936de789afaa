"""Small images of every kind: to decode them once makes Pillow import all that it imports late.

Once the process is confined nothing can be imported any more.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from PIL import Image, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin

IMPORTED: Final = (MpoImagePlugin, TiffImagePlugin, WebPImagePlugin)
"""What a JPEG of several pictures, EXIF, and the first WebP would import."""

_ORIENTATION_TAG: Final = 0x0112
_SIDE: Final = (40, 30)


def images() -> Iterator[bytes]:
    """Give each kind whole, cut off in its content, and cut off in its header."""
    for whole in kinds():
        yield whole
        yield whole[: len(whole) * 3 // 4]
        yield whole[:24]


def kinds() -> Iterator[bytes]:
    """Give one image of each kind that is decoded."""
    turned = Image.Exif()
    turned[_ORIENTATION_TAG] = 6
    colours, clear = Image.new("RGB", _SIDE, "red"), Image.new("RGBA", _SIDE)
    palette, grey = colours.convert("P"), Image.new("L", _SIDE)
    for name in ("JPEG", "PNG", "WEBP"):
        yield _written(colours, name, exif=turned)
    yield _written(Image.new("CMYK", _SIDE), "JPEG", exif=turned)
    yield _written(grey, "JPEG")
    yield _written(colours, "JPEG", progressive=True)
    yield _written(Image.new("I;16", _SIDE), "PNG")
    yield _written(palette, "PNG", transparency=1)
    yield _written(clear, "PNG")
    yield _written(clear, "WEBP")
    yield _written(colours, "WEBP", lossless=True)
    yield _written(palette, "GIF", transparency=1)
    yield _written(palette, "GIF", save_all=True, append_images=[grey.convert("P")])
    for picture in (colours, palette, clear, Image.new("1", _SIDE)):
        yield _written(picture, "BMP")


def _written(picture: Image.Image, name: str, **options: Any) -> bytes:
    held = BytesIO()
    picture.save(held, name, **options)
    return held.getvalue()
