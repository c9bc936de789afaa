"""Generate the demo corpus: a folder with train.jsonl, test.jsonl and images/, by seed alone.

A row holds `id`, `text`, `image` (path beneath the folder, or null), `label`, `label_name`, and,
as training targets only, `text_label` and `image_label`: what that modality itself shows. They are
null where there is no such modality, and 3, the index after the last label, where it is noise.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from schemas.progress import Progress
from tuwen.demo_corpus.moods import LABEL_NAMES, Mood, label_of
from tuwen.demo_corpus.pictures import draw_picture
from tuwen.demo_corpus.plan import PlannedPost, plan_posts
from tuwen.demo_corpus.texts import compose

# Fewer pictures than this are drawn sooner than a process has started.
_PICTURES_PER_POOL_MIN = 400
_PICTURES_PER_CHUNK = 100
_PROCESSES_MAX = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to draw: where to (the suffix is found in drawing), what, and from which seed."""

    stem: str
    mood: Mood
    seed: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture that was drawn: its path beneath the folder, and the hash of its bytes."""

    path: str
    sha256: str


def generate(out: Path, seed: int, train_posts: int, test_posts: int, progress: Progress) -> None:
    """Write the corpus to `out`, which must not exist or be empty; it appears whole or not at all.

    Equal arguments give equal bytes. No text and no picture occurs twice.

    Raises:
        FileExistsError: `out` holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not empty: remove it, or name another folder")
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        (beside / "images").mkdir(parents=True)
        _write(beside, seed, {"train": train_posts, "test": test_posts}, progress)
        if out.exists():
            out.rmdir()
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(folder: Path, seed: int, halves: dict[str, int], progress: Progress) -> None:
    plans = {half: plan_posts(posts, _chance(seed, half, "plan")) for half, posts in halves.items()}
    pictures = [
        Picture(f"images/{half}_{index:05}", post.image, f"{seed} {half} {index}")
        for half, posts in plans.items()
        for index, post in enumerate(posts)
        if post.image is not None
    ]
    paths = _draw_all(folder, pictures, progress)
    texts_used: set[str] = set()
    for half, posts in plans.items():
        chance = _chance(seed, half, "texts")
        rows = [_row(half, i, post, paths, texts_used, chance) for i, post in enumerate(posts)]
        lines = b"\n".join(msgspec.json.encode(row) for row in rows)
        (folder / f"{half}.jsonl").write_bytes(lines + b"\n")


def _chance(seed: int, half: str, use: str) -> Random:
    return Random(f"{seed} {half} {use}")  # noqa: S311 - it makes a corpus.


def _row(
    half: str,
    index: int,
    post: PlannedPost,
    paths: dict[str, str],
    texts_used: set[str],
    chance: Random,
) -> dict[str, Any]:
    label = label_of(post.mood)
    return {
        "id": f"{half}-{index:05}",
        "text": None if post.text is None else _new_text(post.text, texts_used, chance),
        "image": paths.get(f"images/{half}_{index:05}"),
        "label": label,
        "label_name": LABEL_NAMES[label],
        "text_label": None if post.text is None else label_of(post.text),
        "image_label": None if post.image is None else label_of(post.image),
    }


def _new_text(mood: Mood, used: set[str], chance: Random) -> str:
    while (text := compose(mood, chance)) in used:
        pass
    used.add(text)
    return text


def _draw_all(folder: Path, pictures: list[Picture], progress: Progress) -> dict[str, str]:
    """Draw all; give each picture's path by its stem. A picture that came twice is drawn anew."""
    paths: dict[str, str] = {}
    hashes: set[str] = set()
    for picture, first in zip(pictures, _drawn(folder, pictures), strict=True):
        drawn, seed = first, picture.seed
        while drawn.sha256 in hashes:
            (folder / drawn.path).unlink()
            seed += " anew"
            drawn = _draw(folder, Picture(picture.stem, picture.mood, seed))
        hashes.add(drawn.sha256)
        paths[picture.stem] = drawn.path
        if len(paths) % _PICTURES_PER_CHUNK == 0 or len(paths) == len(pictures):
            progress("drawing pictures", len(paths), len(pictures))
    return paths


def _drawn(folder: Path, pictures: list[Picture]) -> Iterator[Drawn]:
    """Each picture drawn, in their order; many of them by several processes."""
    if len(pictures) < _PICTURES_PER_POOL_MIN:
        yield from _draw_chunk(folder, pictures)
        return
    starts = range(0, len(pictures), _PICTURES_PER_CHUNK)
    chunks = [pictures[start : start + _PICTURES_PER_CHUNK] for start in starts]
    # A fork would copy the locks of threads that the caller may hold.
    processes = min(_PROCESSES_MAX, os.cpu_count() or 1)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for drawn in pool.map(_draw_chunk, [folder] * len(chunks), chunks):
            yield from drawn


def _draw_chunk(folder: Path, pictures: list[Picture]) -> list[Drawn]:
    return [_draw(folder, picture) for picture in pictures]


def _draw(folder: Path, picture: Picture) -> Drawn:
    image, suffix = draw_picture(picture.mood, picture.seed)
    path = picture.stem + suffix
    (folder / path).write_bytes(image)
    return Drawn(path, hashlib.sha256(image).hexdigest())
