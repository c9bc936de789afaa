"""Posts and their labels to a corpus folder, with word of where the labels come from."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from os import getpid, link
from pathlib import Path

import msgspec

from schemas.manifest import LabelsFrom
from schemas.progress import Progress
from train.errors import CorpusError
from train.label_origin import write_origin
from train.labelling.posts import PEOPLES_FIELDS, SourcePost
from train.rows import HALVES

_IMAGES_PER_STEP = 500


@dataclass(frozen=True, slots=True)
class NamedPost:
    """A post with the label that it gets."""

    post: SourcePost
    label: str


def write_corpus(
    source: Path,
    out: Path,
    rows: Sequence[NamedPost],
    labels: Sequence[str],
    origin: LabelsFrom,
    progress: Progress,
) -> None:
    """Write the folder `out`, which appears whole or not at all; images are linked or copied.

    Raises:
        FileExistsError: `out` is there.
        CorpusError: an image is missing, or lies outside the corpus.
    """
    check_new(out)
    beside = out.with_name(f".{out.name}.{getpid()}")
    try:
        beside.mkdir(parents=True)
        for half in HALVES:
            lines = [_line(row, labels) for row in rows if row.post.half == half]
            (beside / f"{half}.jsonl").write_bytes(b"".join(lines))
        # Before the images: what is there already is never linked to, nor written through.
        write_origin(beside, origin)
        _take_images(source, beside, [row.post for row in rows], progress)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_new(out: Path) -> None:
    """Raises FileExistsError when `out` is there."""
    if out.exists():
        raise FileExistsError(f"{out} is there already: name a new folder")


def _line(row: NamedPost, labels: Sequence[str]) -> bytes:
    kept = {name: value for name, value in row.post.fields.items() if name not in PEOPLES_FIELDS}
    named = {"label": labels.index(row.label), "label_name": row.label}
    return msgspec.json.encode(kept | named) + b"\n"


def _take_images(
    source: Path, folder: Path, posts: Sequence[SourcePost], progress: Progress
) -> None:
    root = source.resolve()
    images = sorted({(post.image, post.id) for post in posts if post.image is not None})
    for number, (image, identity) in enumerate(images, start=1):
        file, target = (source / image).resolve(), folder / image
        if not file.is_relative_to(root) or not target.resolve().is_relative_to(folder.resolve()):
            raise CorpusError(f"{identity!r}: image {image!r} leads out of the corpus")
        if not file.is_file():
            raise CorpusError(
                f"{identity!r}: image {image!r} is missing: put it there, or remove the row's image"
            )
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(file, target)
        if number % _IMAGES_PER_STEP == 0 or number == len(images):
            progress("taking the images", number, len(images))


def _link_or_copy(file: Path, target: Path) -> None:
    try:
        link(file, target)
    except OSError:  # another disk, or one without hard links.
        shutil.copyfile(file, target)
