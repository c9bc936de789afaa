"""Weights of the modalities: all ways to cut a whole, and each row's shares of what is present."""

from collections.abc import Iterator

import numpy as np

from train.fusion.seam import Present
from train.unseen import Floats


def shares(weights: Floats, present: Present) -> Floats:
    """float64[N,M] that sum to 1 over what is present; zeros where nothing is."""
    counted = present * weights
    return np.asarray(counted / np.maximum(counted.sum(axis=1, keepdims=True), 1e-30), np.float64)


def cuts(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to cut a whole into so many parts, none of them nothing."""
    if parts == 1:
        yield (total,)
        return
    for first in range(1, total - parts + 2):
        for rest in cuts(total - first, parts - 1):
            yield (first, *rest)
