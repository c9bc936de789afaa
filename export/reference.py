"""What training wrote down for the gate, and the pictures that go with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.models_folder import ModelsFolder, Weights
from features.images import ImageLimits, ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.models import WIDE, ReferenceRow

_LIMITS: Final = ImageLimits(bytes_max=64 << 20, pixels_max=80_000_000)
_HELD_BYTES_MAX: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class TermCounts:
    """Row after row the distinct terms of a text and how often each stands there."""

    lengths: NDArray[np.int64]
    ids: NDArray[np.int64]
    counts: NDArray[np.int64]

    def of(self, row: int) -> dict[int, int]:
        """One row's counts by id."""
        stop = int(self.lengths[: row + 1].sum())
        here = slice(stop - int(self.lengths[row]), stop)
        return dict(zip(self.ids[here].tolist(), self.counts[here].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows, jieba's tokens, scikit-learn's counts by block, and scores by stage, all in one order.

    `wide` are the places of the rows that wide tensors are of; `images` is the rows' folder.
    """

    rows: Sequence[ReferenceRow]
    tokens: Sequence[Sequence[str] | None]
    features: Mapping[str, TermCounts]
    scores: Mapping[str, NDArray[np.float64]]
    present: NDArray[np.bool_]
    wide: NDArray[np.int64]
    images: Path

    @classmethod
    def of(cls, folder: ModelsFolder) -> Self:
        """Read it. Raises ExportError, also when its files do not fit each other."""
        rows = folder.reference_rows()
        tokens = folder.reference_tokens()
        scores = dict(folder.weights("reference/scores.npz"))
        present = scores.pop("present", np.empty((0, 0), np.bool_))
        wide = scores.pop("wide", np.arange(len(rows)))
        features = _features(folder)
        lengths = {
            len(rows),
            len(tokens),
            len(present),
            *(len(each.lengths) for each in features.values()),
            *(len(values) for name, values in scores.items() if not _is_wide(name)),
        }
        if len(lengths) != 1 or not rows or not _fit(scores, wide, len(rows)):
            raise ExportError(
                f"{folder.path / 'reference'}: rows, tokens, features and scores are not of one "
                f"length ({sorted(lengths)}); {folder.again}"
            )
        images = folder.path / "reference" / "images"
        return cls(rows, tokens, features, scores, present, wide, images)

    def output(self, strategy: str, name: str) -> NDArray[np.float64]:
        """A tensor's values, the strategy's own where it has a model to itself.

        Raises ExportError.
        """
        found = self.scores.get(f"{strategy}/{name}", self.scores.get(name))
        if found is None:
            raise ExportError(f"reference/scores.npz lacks {name!r}; train again")
        return found

    def covered(self, name: str) -> NDArray[np.int64]:
        """The places of the rows that `output` has values of."""
        return self.wide if _is_wide(name) else np.arange(len(self.rows))

    def gaps(self, strategy: str) -> NDArray[np.float64]:
        """By row the least difference that a choice of the strategy hung on; infinite for none."""
        return self.scores.get(f"{strategy}.gaps", np.full(len(self.rows), np.inf))


def _is_wide(name: str) -> bool:
    return name.rpartition("/")[2] in WIDE


def _fit(scores: Weights, wide: NDArray[np.int64], rows: int) -> bool:
    """Whether the wide tensors are of those rows, and of rows that there are."""
    same = all(len(values) == len(wide) for name, values in scores.items() if _is_wide(name))
    return same and bool(((wide >= 0) & (wide < rows)).all())


def _features(folder: ModelsFolder) -> dict[str, TermCounts]:
    """scikit-learn's counts by block; none where there is no text."""
    if not folder.models.text:
        return {}
    arrays = folder.weights("reference/features.npz")
    found = {}
    for block in folder.models.text:
        parts = [arrays.get(f"{block.name}.{part}") for part in ("lengths", "ids", "counts")]
        if any(part is None for part in parts):
            raise ExportError(
                f"{folder.path / 'reference/features.npz'} lacks the counts of the block "
                f"{block.name!r}; {folder.again}"
            )
        found[block.name] = TermCounts(*(_ints(part) for part in parts))
    return found


def _ints(values: Any) -> NDArray[np.int64]:
    return np.asarray(values, np.int64)


class Pictures:
    """The pixels of rows, through the very code that serves; a file is decoded once, if there is
    room to hold it.
    """

    def __init__(self, image: ImageInput | None, corpus: Path, own: Path) -> None:
        self._image, self._corpus, self._own = image, corpus, own
        self._held: dict[Path, NDArray[np.uint8] | None] = {}
        self._bytes = 0

    def of(self, rows: Sequence[ReferenceRow]) -> list[NDArray[np.uint8] | None]:
        """None where a row has no picture.

        One that only training could decode shows as `present` that differs. Raises ExportError.
        """
        return [self._pixels(row) for row in rows]

    def _pixels(self, row: ReferenceRow) -> NDArray[np.uint8] | None:
        if row.image is None or self._image is None:
            return None
        file = (self._corpus if row.image_in == "corpus" else self._own) / row.image
        if file in self._held:
            return self._held[file]
        pixels = _decoded(file, self._image)
        if self._bytes < _HELD_BYTES_MAX:
            self._held[file] = pixels
            self._bytes += 0 if pixels is None else pixels.nbytes
        return pixels


def _decoded(file: Path, image: ImageInput) -> NDArray[np.uint8] | None:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ExportError(
            f"{file} of the reference cannot be read: {error.strerror}; name the corpus that was "
            "trained on"
        ) from error
    pixels = decode(content, image, _LIMITS)
    return None if isinstance(pixels, ImageProblem) else pixels
