"""Rows to what the owner's own code says of them: raw scores, and the labels of `.predict`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.images import ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.models import ReferenceRow
from schemas.progress import Progress
from schemas.verdict import Modality
from train.answering import spread
from train.brought.cnn import BroughtCnn
from train.brought.text import BroughtText
from train.corpus import Corpus
from train.fusion.seam import Present
from train.prepared import LIMITS
from train.rows import Row
from train.unseen import Floats

_IMAGE_CHUNK: Final = 256


@dataclass(frozen=True, slots=True)
class Brought:
    """The models that were brought; at least one of them."""

    labels: tuple[str, ...]
    text: BroughtText | None
    image: BroughtCnn | None

    @property
    def models(self) -> dict[Modality, BroughtText | BroughtCnn]:
        """By modality."""
        both: dict[Modality, BroughtText | BroughtCnn | None]
        both = {"text": self.text, "image": self.image}
        return {name: model for name, model in both.items() if model is not None}

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """In the order of fusion."""
        return tuple(self.models)


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows by the owner's own code: raw scores by tensor, NaN where absent, and what is present.

    `predicted` by modality int64[N]: the labels of the owner's `.predict`, -1 where absent.
    """

    scores: Mapping[str, Floats]
    present: Present
    predicted: Mapping[Modality, NDArray[np.int64]]

    def chosen(self, rows: NDArray[np.int64]) -> "Scored":
        """Some of the rows."""
        return Scored(
            {name: values[rows] for name, values in self.scores.items()},
            self.present[rows],
            {name: values[rows] for name, values in self.predicted.items()},
        )


def score(
    brought: Brought,
    rows: Sequence[Row | ReferenceRow],
    corpus: Corpus | None,
    own: Path,
    progress: Progress,
) -> Scored:
    """The rows by the owner's own code; `own` is the folder of pictures that no corpus has."""
    columns: list[Present] = []
    scores: dict[str, Floats] = {}
    predicted: dict[Modality, NDArray[np.int64]] = {}
    if brought.text is not None:
        there = np.array([bool(row.text and not row.text.isspace()) for row in rows])
        texts = [row.text or "" for row, has in zip(rows, there, strict=True) if has]
        scores["text.scores"] = spread(brought.text.scores(texts), there)
        predicted["text"] = _labels(brought.text.predicted(texts), there)
        columns.append(there)
    if brought.image is not None:
        files = [_picture(row, corpus, own) for row in rows]
        there, found, said = _seen(brought.image, files, progress)
        scores["image.scores"] = spread(found, there)
        predicted["image"] = _labels(said, there)
        columns.append(there)
    return Scored(scores, np.stack(columns, axis=1), predicted)


def _picture(row: Row | ReferenceRow, corpus: Corpus | None, own: Path) -> Path | None:
    if row.image is None:
        return None
    adversarial = isinstance(row, ReferenceRow) and row.image_in == "reference"
    return own / row.image if adversarial or corpus is None else corpus.folder / row.image


def _seen(
    cnn: BroughtCnn, files: Sequence[Path | None], progress: Progress
) -> tuple[NDArray[np.bool_], Floats, NDArray[np.int64]]:
    """Which rows have a picture that can be decoded, and what the CNN says of those.

    It is asked of each file once, however many rows show it.
    """
    distinct = list(dict.fromkeys(file for file in files if file is not None))
    readable: list[Path] = []
    scores, said = [cnn.scores(_none(cnn.image))], [np.empty(0, np.int64)]
    for start in range(0, len(distinct), _IMAGE_CHUNK):
        chunk = distinct[start : start + _IMAGE_CHUNK]
        pixels = {file: _pixels(file, cnn.image) for file in chunk}
        held = [each for each in pixels.values() if each is not None]
        readable += [file for file, each in pixels.items() if each is not None]
        if held:
            scores.append(cnn.scores(np.stack(held)))
            said.append(cnn.predicted(np.stack(held)))
        progress("asking the CNN", start + len(chunk), len(distinct))
    places = {file: place for place, file in enumerate(readable)}
    there = np.array([file in places for file in files], np.bool_)
    order = [places[file] for file in files if file in places]
    return there, np.concatenate(scores)[order], np.concatenate(said)[order]


def _none(image: ImageInput) -> NDArray[np.uint8]:
    return np.empty((0, image.height, image.width, image.channels), np.uint8)


def _pixels(file: Path, image: ImageInput) -> NDArray[np.uint8] | None:
    found = decode(file.read_bytes(), image, LIMITS)
    return None if isinstance(found, ImageProblem) else found


def _labels(said: NDArray[np.int64], there: NDArray[np.bool_]) -> NDArray[np.int64]:
    placed = np.full(len(there), -1, np.int64)
    placed[there] = said
    return placed
