"""How much a row counts by its label: each row alike, or all rows of each label alike."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from train.settings import ClassWeight

Weights = NDArray[np.float64]
EVERY_ROW_ALIKE: Final = "none"


def class_weights(
    labels: NDArray[np.int64], labels_count: int, class_weight: ClassWeight
) -> Weights | None:
    """float64[K], 1 on average over the rows; None where every row counts alike.

    `balanced` is rows / (labels that occur · rows of the label), as scikit-learn has it.
    """
    if class_weight == EVERY_ROW_ALIKE:
        return None
    counts = np.bincount(labels, minlength=labels_count)
    share = counts.sum() / np.count_nonzero(counts)
    return np.where(counts > 0, share / np.maximum(counts, 1), 0.0)


def row_weights(
    labels: NDArray[np.int64], labels_count: int, class_weight: ClassWeight
) -> Weights | None:
    """float64[N], the weight of each row's label; None where every row counts alike."""
    weights = class_weights(labels, labels_count, class_weight)
    return None if weights is None else weights[labels]


def for_scikit_learn(class_weight: ClassWeight) -> Literal["balanced"] | None:
    """As its `class_weight` takes it."""
    return None if class_weight == EVERY_ROW_ALIKE else class_weight
