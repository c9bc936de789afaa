"""What a CNN learns from: pixels, labels, what the images show, and in which fold each row is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.calibration import Labels
from train.cnn import Heads


@dataclass(frozen=True, slots=True)
class ImageRows:
    """Rows with an image. `targets` is -1 where nothing says what the image itself shows."""

    ids: tuple[str, ...]
    pixels: NDArray[np.uint8]
    labels: Labels
    targets: Labels
    heads: Heads
    folds: NDArray[np.int64]
    """Groups whole; the first is the one that is held out."""

    def chosen(self, rows: NDArray[np.int64]) -> "ImageRows":
        """Some of the rows."""
        ids = tuple(self.ids[row] for row in rows)
        return ImageRows(
            ids,
            self.pixels[rows],
            self.labels[rows],
            self.targets[rows],
            self.heads,
            self.folds[rows],
        )
