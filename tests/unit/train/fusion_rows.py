"""Rows to fuse, without models: each modality tells the label in four rows of five."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from train.fusion.registry import strategy
from train.fusion.seam import IMAGE, TEXT, FittedFusion, TrainingInputs
from train.unseen import Floats, Unseen

LABELS = 3
SIDES: Mapping[str, tuple[int, ...]] = {
    "text.scores": (4,),
    "image.scores": (7,),
    "text.embedding": (6,),
    "text.tokens": (5, 4),
    "text.mask": (5,),
    "image.regions": (3, 6),
}
MODALITY = {name: TEXT if name.startswith("text.") else IMAGE for name in SIDES}


def fusion_inputs(rows: int, seed: int) -> tuple[dict[str, Floats], NDArray[np.int64]]:
    """Inputs by name and labels; where a modality does not tell the label it says nothing."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, LABELS, rows)
    inputs = {}
    for name, sides in SIDES.items():
        told = np.eye(LABELS, sides[-1])[labels] * (chance.random(rows) < 0.8)[:, None]
        spread = told.reshape(rows, *[1] * (len(sides) - 1), sides[-1])
        inputs[name] = spread * 4 + chance.normal(size=(rows, *sides))
    inputs["text.mask"] = (inputs["text.mask"] > -1).astype(np.float64)
    return inputs, labels


def absent_as(
    value: float, inputs: Mapping[str, Floats], present: NDArray[np.bool_]
) -> dict[str, Floats]:
    """The inputs, with `value` wherever a modality is absent."""
    return {
        name: np.where(
            present[:, MODALITY[name]].reshape(-1, *[1] * (values.ndim - 1)), values, value
        )
        for name, values in inputs.items()
    }


def fusion_training(rows: int = 600, seed: int = 1) -> TrainingInputs:
    """The same as a strategy learns from it; a modality is absent from one row in ten."""
    inputs, labels = fusion_inputs(rows, seed)
    present = np.random.default_rng(seed).random((rows, 2)) < 0.9
    present[~present.any(axis=1)] = True
    ids = tuple(str(number) for number in range(rows))
    absent = absent_as(np.nan, inputs, present)
    unseen = {name: Unseen(ids, values) for name, values in absent.items()}
    folds = np.arange(rows) % 3
    return TrainingInputs(unseen, labels, LABELS, present, folds, 5, ("text", "image"))


@cache
def fitted_strategy(name: str) -> FittedFusion:
    """A strategy, fitted once for all tests."""
    return strategy(name).fit(fusion_training())
