"""Texts and images on which serving is most likely to differ from training, made by code.

Texts: empty, one character, emoji, odd Han, 10,000 characters, all unknown words. Images: blank,
tiny, huge, grey, CMYK, transparent. Each alone, and every text with some image.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.models import ReferenceRow

_LONG = 10_000


def texts() -> dict[str, str]:
    """The texts by what is odd about them."""
    sentence = "味道不错,服务也好,就是有点远。It's 3.5 km_away - 50% off! "
    return {
        "empty": "",
        "white-space": " \t\n\u3000",
        "one-character": "好",
        "one-letter": "A",
        "emoji": "😡👍🏽👨‍👩‍👧‍👦❤️🇨🇳",
        "odd-han": "㐂𠀀𪚥好吃⼀⺀〇々龦鿕鿖豈更",
        "combining": "Cafe\u0301 ﬁne Ｆｕｌｌ　ｗｉｄｔｈ \u200b\ufeff好\u0301",
        "unknown-words": "qzxv wqjkp zzyxq 1f9b7 xkcdq",
        "mixed-runs": "a-b.c_d+e#f&g%h 1.5% v2.0_beta C++ U.S.A...--__",
        "long-run": "哈" * 300 + "!" * 300 + "a" * 300,
        "long": (sentence * (_LONG // len(sentence) + 1))[:_LONG],
        "long-varied": "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(_LONG)),
        "controls": "a\x00b\x1fc\x7fd\u2028e\u0085f",
    }


def images() -> dict[str, bytes]:
    """The image files by what is odd about them; the name carries the suffix."""
    chance = np.random.default_rng(20)
    noise = chance.integers(0, 256, (90, 120, 4), dtype=np.uint8)
    colours, grey = Image.fromarray(noise[..., :3]), Image.fromarray(noise[..., 0])
    palette = colours.quantize(16)
    return {
        "blank.png": _file(Image.new("RGB", (64, 64), "white"), "PNG"),
        "black.jpg": _file(Image.new("RGB", (64, 64), "black"), "JPEG"),
        "tiny.png": _file(Image.new("RGB", (1, 1), (200, 30, 60)), "PNG"),
        "line.png": _file(Image.new("RGB", (3000, 1), (20, 130, 60)), "PNG"),
        "huge.jpg": _file(colours.resize((4000, 3000)), "JPEG"),
        "grey.jpg": _file(grey, "JPEG"),
        "grey.png": _file(grey, "PNG"),
        "sixteen-bit.png": _file(Image.fromarray(noise[..., 0].astype(np.uint16) * 257), "PNG"),
        "cmyk.jpg": _file(colours.convert("CMYK"), "JPEG"),
        "transparent.png": _file(Image.fromarray(noise), "PNG"),
        "palette.png": _file(palette, "PNG"),
        "palette.gif": _file(palette, "GIF"),
        "photo.webp": _file(colours, "WEBP"),
        "turned.jpg": _turned(colours),
        "small.jpg": _file(colours.resize((64, 64)), "JPEG"),
    }


def write_rows(folder: Path) -> list[ReferenceRow]:
    """Write the images beneath `folder` and give the rows; none has neither text nor image."""
    made, shown = images(), texts()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    rows = [_row(f"image {name}", None, name) for name in made]
    rows += [_row(f"text {name}", text, None) for name, text in shown.items() if text.strip()]
    names = list(made)
    for number, (name, text) in enumerate(shown.items()):
        rows.append(_row(f"both {name}", text, names[number % len(names)]))
    return rows


def _row(name: str, text: str | None, image: str | None) -> ReferenceRow:
    return ReferenceRow(f"adversarial {name}", text, image, "adversarial", "reference")


def _file(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _turned(image: Image.Image) -> bytes:
    """A JPEG whose EXIF says that it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()
