"""Posts that nobody should send, each between good ones, and what is to become of each."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from features.images import ImageLimits, ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.reasons import Reason
from worker.images.file import reference_to
from worker.messages import Headers

LIMITS = ImageLimits(10 * 2**20, 50_000_000)
TRACE = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
# Legal in Kafka, and each a trap for clients.
ODD_HEADERS: Headers = (TRACE, (b"note", None), (b"\xff\xfe", b"\x00"), (b"", b""))


@dataclass(frozen=True, slots=True)
class Sent:
    """A record to send; `bad` is the set of reasons of which it may be rejected for one."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    bad: frozenset[Reason]
    has_text: bool = False
    has_image: bool = False


NOT_A_POST = frozenset(
    {Reason.MALFORMED_JSON, Reason.NOT_AN_OBJECT, Reason.MISSING_ID, Reason.NO_CONTENT}
)
BAD_IMAGE = frozenset(
    {Reason.IMAGE_DAMAGED, Reason.IMAGE_FORMAT_UNKNOWN, Reason.IMAGE_TOO_MANY_PIXELS}
)
GOOD: frozenset[Reason] = frozenset()


def sequence(test_data: Path, spec: ImageInput) -> list[Sent]:
    """Good, bad, good, bad, …: all of JSONTestSuite, every damaged image, and two tombstones."""
    damaged, sound = _images(test_data, spec)
    bad = [*_not_posts(test_data), *_damaged_posts(damaged, test_data)]
    good = _good_posts(len(bad) + 1, sound, test_data)
    records = [good[0]]
    for number, record in enumerate(bad):
        records += [record, good[number + 1]]
    return records


def _not_posts(test_data: Path) -> Iterator[Sent]:
    suite = sorted((test_data / "jsontestsuite" / "jsontestsuite" / "test_parsing").iterdir())
    assert len(suite) == 318
    for file in suite:
        yield Sent(file.name.encode(), file.read_bytes(), ODD_HEADERS, NOT_A_POST)
    yield Sent(None, None, (), NOT_A_POST)
    yield Sent(b"deleted", None, ODD_HEADERS, NOT_A_POST)


def _images(test_data: Path, spec: ImageInput) -> tuple[list[Path], list[Path]]:
    """Part the hostile images into those that cannot be decoded, and those that can."""
    damaged: list[Path] = []
    sound: list[Path] = []
    for folder in ("images_own", "images_pillow"):
        for file in sorted((test_data / folder).rglob("*.*")):
            if file.is_file() and file.suffix not in {".json", ".md"}:
                with warnings.catch_warnings(action="ignore"):  # as a worker does
                    pixels = decode(file.read_bytes(), spec, LIMITS)
                (damaged if isinstance(pixels, ImageProblem) else sound).append(file)
    assert len(damaged) >= 200
    return damaged, sound


def _damaged_posts(images: list[Path], root: Path) -> Iterator[Sent]:
    """Every other one with a text."""
    for number, image in enumerate(images):
        text = "图片坏了，文字还在。" if number % 2 else None
        yield _post(f"damaged-{number}", text, image, root, BAD_IMAGE)


def _good_posts(count: int, images: list[Path], root: Path) -> list[Sent]:
    """A text, an image, or both, in turn."""
    posts = []
    for number in range(count):
        image = images[number % len(images)] if number % 3 else None
        text = "房间很干净，早餐也丰富。" if number % 3 != 2 else None
        posts.append(_post(f"good-{number}", text, image, root, GOOD))
    return posts


def _post(
    name: str, text: str | None, image: Path | None, root: Path, bad: frozenset[Reason]
) -> Sent:
    reference = None if image is None else reference_to(image.relative_to(root).as_posix())
    value = msgspec.json.encode({"id": name, "text": text, "image": reference})
    headers = (TRACE, (b"note", None))
    return Sent(name.encode(), value, headers, bad, text is not None, image is not None)
