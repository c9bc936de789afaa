"""What training wrote down for the gate, and the pictures that go with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.models_folder import ModelsFolder
from features.images import ImageLimits, ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.models import ReferenceRow

_LIMITS: Final = ImageLimits(bytes_max=64 << 20, pixels_max=80_000_000)


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows, jieba's tokens, and scores by stage, all in one order; `images` is their folder."""

    rows: Sequence[ReferenceRow]
    tokens: Sequence[Sequence[str] | None]
    scores: Mapping[str, NDArray[np.float64]]
    present: NDArray[np.bool_]
    images: Path

    @classmethod
    def of(cls, folder: ModelsFolder) -> Self:
        """Read it. Raises ExportError, also when its files do not fit each other."""
        rows = folder.reference_rows()
        tokens = folder.reference_tokens()
        arrays = folder.weights("reference/scores.npz")
        lengths = {len(rows), len(tokens), *map(len, arrays.values())}
        if len(lengths) != 1 or not rows or "present" not in arrays:
            raise ExportError(
                f"{folder.path / 'reference'}: rows, tokens and scores are not of one length "
                f"({sorted(lengths)}); train again"
            )
        scores = {name: array for name, array in arrays.items() if name != "present"}
        return cls(rows, tokens, scores, arrays["present"], folder.path / "reference" / "images")

    def output(self, strategy: str, name: str) -> NDArray[np.float64]:
        """A tensor's values, the strategy's own where it has a model to itself.

        Raises ExportError.
        """
        found = self.scores.get(f"{strategy}/{name}", self.scores.get(name))
        if found is None:
            raise ExportError(f"reference/scores.npz lacks {name!r}; train again")
        return found

    def gaps(self, strategy: str) -> NDArray[np.float64]:
        """By row the least difference that a choice of the strategy hung on; infinite for none."""
        return self.scores.get(f"{strategy}.gaps", np.full(len(self.rows), np.inf))


def images_of(
    rows: Sequence[ReferenceRow], image: ImageInput | None, corpus: Path, own: Path
) -> list[NDArray[np.uint8] | None]:
    """The pixels of each row, through the very code that serves; None where it has none.

    A picture that only training could decode shows as `present` that differs.
    """
    return [_pixels(row, image, corpus, own) for row in rows]


def _pixels(
    row: ReferenceRow, image: ImageInput | None, corpus: Path, own: Path
) -> NDArray[np.uint8] | None:
    if row.image is None or image is None:
        return None
    file = (corpus if row.image_in == "corpus" else own) / row.image
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ExportError(
            f"{file} of the reference cannot be read: {error.strerror}; name the corpus that was "
            "trained on"
        ) from error
    pixels = decode(content, image, _LIMITS)
    return None if isinstance(pixels, ImageProblem) else pixels
