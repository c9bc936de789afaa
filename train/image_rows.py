"""What a CNN learns from: pixels, and by head the share of each class that it is taught."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from train.calibration import Labels
from train.class_weights import EVERY_ROW_ALIKE
from train.cnn import LABEL_HEAD, TARGET_HEAD, Heads
from train.settings import ClassWeight, Cnn
from train.unseen import Floats


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
    opinions: Floats | None = None
    """float64[N,Ki], raw scores by CNNs that never saw the row."""

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
            None if self.opinions is None else self.opinions[rows],
        )

    def taught(
        self, cnn: Cnn, class_weight: ClassWeight = "none"
    ) -> dict[str, NDArray[np.float32]]:
        """By head float32[N,K], shares of the classes; zeros where nothing is known of the row.

        Where there are opinions they are half of it. Labels that are wrong, or that a picture does
        not show, weigh less then (Reed et al. 2014, Training deep neural networks on noisy labels
        with bootstrapping); that of the row itself is in none of them.
        """
        found, start = {}, 0
        adjustments = self.adjustments(cnn, class_weight)
        for head, width in self.heads.widths(cnn).items():
            classes, count = self._truths[head]
            shares = np.eye(count)[classes]
            if self.opinions is not None:
                scores = self.opinions[:, start : start + width] + adjustments[head]
                shares = (shares + _probabilities(scores)) / 2
            found[head] = np.where(classes[:, None] >= 0, shares, 0.0).astype(np.float32)
            start += width
        return found

    def adjustments(self, cnn: Cnn, class_weight: ClassWeight) -> dict[str, NDArray[np.float32]]:
        """By head float32[W], what is added to its logits while it learns: where classes count
        alike the logarithm of how frequent each is, else zeros.

        Logits that are right together with it are by themselves those of a world in which all
        classes are equally frequent (Menon et al. 2021, Long-tail learning via logit adjustment).
        To weigh rows instead made a small CNN learn its few rare rows by heart.
        """
        found = {}
        for head, width in self.heads.widths(cnn).items():
            classes, count = self._truths[head]
            rows = np.bincount(classes[classes >= 0], minlength=count)
            shares = np.log(np.maximum(rows, 0.5) / rows.sum())
            logits = shares if width == count else shares[1:] - shares[:1]
            alike = class_weight != EVERY_ROW_ALIKE
            found[head] = np.where(alike, logits, 0.0).astype(np.float32)
        return found

    @property
    def _truths(self) -> dict[str, tuple[Labels, int]]:
        return {
            LABEL_HEAD: (self.labels, self.heads.labels_count),
            TARGET_HEAD: (self.targets, self.heads.targets_count or 0),
        }


def _probabilities(scores: Floats) -> Floats:
    """float64[N,K]; one score alone is that of the second of two labels."""
    if scores.shape[1] == 1:
        scores = np.concatenate((np.zeros_like(scores), scores), axis=1)
    return np.asarray(softmax(scores, axis=1), np.float64)
