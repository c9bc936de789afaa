"""Rows to fuse, without models: each modality tells the label in four rows of five."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from train.fusion.registry import strategy
from train.fusion.seam import IMAGE, TEXT, FittedFusion, TrainingInputs
from train.unseen import Floats, Unseen

LABELS = 3
WIDTHS = {"text.scores": 4, "image.scores": 7, "text.embedding": 6}
MODALITY = {"text.scores": TEXT, "image.scores": IMAGE, "text.embedding": TEXT}


def fusion_inputs(
    rows: int, seed: int, widths: Mapping[str, int] = WIDTHS
) -> tuple[dict[str, Floats], NDArray[np.int64]]:
    """Inputs by name and labels; where a modality does not tell the label it says nothing."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, LABELS, rows)
    inputs = {}
    for name, width in widths.items():
        told = np.eye(LABELS, width)[labels] * (chance.random(rows) < 0.8)[:, None]
        inputs[name] = told * 4 + chance.normal(size=(rows, width))
    return inputs, labels


def fusion_training(rows: int = 600, seed: int = 1) -> TrainingInputs:
    """The same as a strategy learns from it; a modality is absent from one row in ten."""
    inputs, labels = fusion_inputs(rows, seed)
    present = np.random.default_rng(seed).random((rows, 2)) < 0.9
    present[~present.any(axis=1)] = True
    ids = tuple(str(number) for number in range(rows))
    unseen = {
        name: Unseen(ids, np.where(present[:, MODALITY[name], None], values, np.nan))
        for name, values in inputs.items()
    }
    folds = np.arange(rows) % 3
    return TrainingInputs(unseen, labels, LABELS, present, folds, 5, ("text", "image"))


@cache
def fitted_strategy(name: str) -> FittedFusion:
    """A strategy, fitted once for all tests."""
    return strategy(name).fit(fusion_training())
