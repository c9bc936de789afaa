"""A corpus as the models take it: texts, decoded images, labels and folds, without rows that the
two halves share.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.images import ImageLimits, ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.progress import Progress
from train.calibration import Labels
from train.cnn import image_input
from train.corpus import Corpus
from train.groups import fold_numbers, rows_apart
from train.rows import Row
from train.settings import TrainSettings

LIMITS: Final = ImageLimits(bytes_max=64 * 1024 * 1024, pixels_max=80_000_000)
# Decoding lets other threads run.
_THREADS: Final = 2
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows of one half in order. `pixels` uint8[N,H,W,C] is zero where `present[:, 1]` is False.

    `image` is how they were made of bytes; `present` bool[N,2]: text, image; `text_folds` and
    `image_folds` int64[N], groups whole.
    """

    rows: tuple[Row, ...]
    image: ImageInput
    pixels: NDArray[np.uint8]
    present: NDArray[np.bool_]
    labels: Labels
    text_folds: NDArray[np.int64]
    image_folds: NDArray[np.int64]
    left_out: int

    @property
    def unreadable_images(self) -> int:
        """Of the rows that were kept for their text."""
        named = [row.image is not None for row in self.rows]
        return int((named & ~self.present[:, 1]).sum())

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in order."""
        return tuple(row.id for row in self.rows)

    def texts(self, chosen: NDArray[np.int64]) -> tuple[str, ...]:
        """The texts of rows that have one."""
        return tuple(self.rows[row].text or "" for row in chosen)


def prepare_train(corpus: Corpus, settings: TrainSettings, progress: Progress) -> Prepared:
    """The training half, without rows whose text or image is also in the test half."""
    keys = [corpus.content_keys(row) for row in corpus.train]
    apart = rows_apart(keys, [corpus.content_keys(row) for row in corpus.test])
    rows = tuple(row for row, kept in zip(corpus.train, apart, strict=True) if kept)
    image = image_input(settings.cnn)
    pixels, readable = decoded(corpus, rows, image, progress)
    usable = [number for number, row in enumerate(rows) if row.text is not None or readable[number]]
    rows, pixels, readable = tuple(rows[n] for n in usable), pixels[usable], readable[usable]
    keys = [corpus.content_keys(row) for row in rows]
    labels = np.asarray([row.label for row in rows], np.int64)
    there = present(rows, readable)
    images = fold_numbers(keys, labels.tolist(), settings.image_folds, settings.seed + 1)
    if settings.image_scoring == "held-out":
        # What fusion learns from is few then: spread by itself, or a fold may lack a label.
        strata = 2 * labels + (there.all(axis=1) & (images == 0))
    else:
        strata = labels
    texts = fold_numbers(keys, strata.tolist(), settings.text_folds, settings.seed)
    left_out = len(corpus.train) - len(rows)
    return Prepared(rows, image, pixels, there, labels, texts, images, left_out)


def prepare_test(corpus: Corpus, settings: TrainSettings, progress: Progress) -> Prepared:
    """The test half; it has no folds."""
    image = image_input(settings.cnn)
    pixels, readable = decoded(corpus, corpus.test, image, progress)
    labels = np.asarray([row.label for row in corpus.test], np.int64)
    none = np.zeros(len(labels), np.int64)
    there = present(corpus.test, readable)
    return Prepared(corpus.test, image, pixels, there, labels, none, none, left_out=0)


def present(rows: Sequence[Row], readable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[N,2]: which of text and image a row has; an image that cannot be decoded is absent."""
    text = np.asarray([row.text is not None for row in rows], np.bool_)
    return np.stack((text, readable), axis=1)


def decoded(
    corpus: Corpus, rows: Sequence[Row], image: ImageInput, progress: Progress
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """uint8[N,H,W,C], zero where there is no picture, and bool[N], where there is one."""
    pixels = np.zeros((len(rows), image.height, image.width, image.channels), np.uint8)
    readable = np.zeros(len(rows), np.bool_)

    def read(number: int) -> None:
        row = rows[number]
        if row.image is None:
            return
        picture = decode(corpus.image_path(row).read_bytes(), image, LIMITS)
        if not isinstance(picture, ImageProblem):
            pixels[number], readable[number] = picture, True

    with ThreadPoolExecutor(_THREADS) as threads:
        for done, _ in enumerate(threads.map(read, range(len(rows))), start=1):
            if done % _CHUNK == 0 or done == len(rows):
                progress("decoding images", done, len(rows))
    return pixels, readable
