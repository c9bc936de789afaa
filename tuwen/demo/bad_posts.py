"""Twenty posts with which something is wrong, of ten kinds, and what must become of each.

Of each kind there are two. What is no post becomes a dead letter. A post whose image cannot be
had degrades when it has a text (the verdict says what is missing), else it is a dead letter.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from schemas.post import TEXT_CHARACTERS_MAX
from worker.images.file import reference_to

Fate = Literal["degrades", "dead letter"]

TEXT: Final = "今天的图片好像出了点问题，但心情还是很好，开心极了！"
IMAGE_BYTES_MAX: Final = 10 * 2**20
TRUNCATED_BYTES: Final = 300


@dataclass(frozen=True, slots=True)
class BadPost:
    """A record that something is wrong with, and what must become of it."""

    id: str
    value: bytes
    kind: str
    fate: Fate


RECORD_KINDS: Final[dict[str, Callable[[str], bytes]]] = {
    "broken JSON": lambda own: f'{{"id": "{own}", "text": "没写完'.encode(),
    "wrong types": lambda own: msgspec.json.encode({"id": own, "text": ["不是", "文字"]}),
    "no id": lambda _own: msgspec.json.encode({"text": TEXT}),
    "no text and no image": lambda own: msgspec.json.encode(
        {"id": own, "text": " ", "image": None}
    ),
    "too long a text": lambda own: msgspec.json.encode(
        {"id": own, "text": "长" * (TEXT_CHARACTERS_MAX + 1)}
    ),
}
"""Kinds that are no post, by what they are called: the id to the record."""

IMAGE_KINDS: Final = {
    "image: missing": "missing.jpg",
    "image: truncated": "truncated.jpg",
    "image: not an image": "no-image.jpg",
    "image: too large": "too-large.jpg",
}
"""Kinds whose image cannot be had, with the file that `make_images` makes (but for the first)."""

UNKNOWN_SCHEME: Final = "image: unknown scheme"
KINDS: Final = (*RECORD_KINDS, *IMAGE_KINDS, UNKNOWN_SCHEME)


def bad_posts(prefix: str, folder: str) -> Sequence[BadPost]:
    """Make two of each kind; `folder` is that of the bad images, relative to the image root."""
    made = []
    for kind, write in RECORD_KINDS.items():
        for number in (1, 2):
            own = _id(prefix, kind, number)
            made.append(BadPost(own, write(own), kind, "dead letter"))
    references = {kind: reference_to(f"{folder}/{name}") for kind, name in IMAGE_KINDS.items()}
    for kind, reference in {**references, UNKNOWN_SCHEME: "ipfs:bafybeigdyrzt5"}.items():
        made.append(_with_image(_id(prefix, kind, 1), TEXT, reference, kind, "degrades"))
        made.append(_with_image(_id(prefix, kind, 2), None, reference, kind, "dead letter"))
    return made


def make_images(folder: Path, good: Path) -> None:
    """Make the files that the bad posts name, of a good JPEG or PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    image = good.read_bytes()
    (folder / "truncated.jpg").write_bytes(image[: min(TRUNCATED_BYTES, len(image) // 2)])
    (folder / "no-image.jpg").write_text("这不是图片，只是文字。", encoding="utf-8")
    with (folder / "too-large.jpg").open("wb") as large:
        large.write(image)
        large.truncate(IMAGE_BYTES_MAX + 1)  # sparse: it takes no room on the disk


def _with_image(own: str, text: str | None, reference: str, kind: str, fate: Fate) -> BadPost:
    value = msgspec.json.encode({"id": own, "text": text, "image": reference})
    return BadPost(own, value, kind, fate)


def _id(prefix: str, kind: str, number: int) -> str:
    return f"{prefix}-bad-{re.sub('[^A-Za-z]+', '-', kind)}-{number}"
