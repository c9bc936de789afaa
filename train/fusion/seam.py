"""The seam of the fusion strategies: what a strategy learns from, and what it must then do.

A strategy is a module with a class for its choices and one for what was fitted, listed in
`train.fusion.registry`. Its inputs are named as the graphs name their outputs: `text.scores`,
`text.embedding`, `image.scores`, `image.embedding`. It learns only from `Unseen` scores.

All end alike: they make z[N,Kin] of the inputs that are there, and publish
softmax(z @ A[pattern] + b[pattern]), where pattern = Σ present[m]·2^m. With one modality
the answer is that modality's own calibrated score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from schemas.verdict import Modality
from train.arrays import save_arrays
from train.calibration import Calibration, Labels
from train.unseen import Floats, Unseen

Present = NDArray[np.bool_]
TEXT, IMAGE = 0, 1
MODALITIES: tuple[Modality, ...] = ("text", "image")


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """What a strategy learns from: rows of one order, scored by what never saw them.

    `inputs[name].scores` float64[N,D], NaN where nothing scored the modality unseen; `labels`
    int64[N]; `present` bool[N,M]: what was scored unseen; `folds` int64[N], grouped, for a
    strategy's own cross-validation.
    """

    inputs: Mapping[str, Unseen]
    labels: Labels
    labels_count: int
    present: Present
    folds: NDArray[np.int64]
    seed: int

    def __post_init__(self) -> None:
        """Every input is of the same rows."""
        assert len({scored.ids for scored in self.inputs.values()}) == 1, "inputs of other rows"

    @property
    def complete(self) -> Present:
        """bool[N]: the rows that have all modalities."""
        return np.asarray(self.present.all(axis=1), np.bool_)

    def scores(self, name: str) -> Floats:
        """The values of an input."""
        return self.inputs[name].scores


class FittedFusion(Protocol):
    """A fitted strategy. `predict` in numpy is the reference of the exported graph."""

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K] that sum to 1; values of absent modalities are never looked at."""

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz into the folder, which exists."""


class FusionStrategy(Protocol):
    """A strategy before it is fitted."""

    @property
    def name(self) -> str:
        """As settings, bundles and verdicts name it."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The inputs that it learns from and predicts with."""

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Learn; equal inputs and seed give equal results."""


@dataclass(frozen=True, slots=True)
class PatternCalibration:
    """`matrix` float64[2^M,Kin,K] and `bias` float64[2^M,K], by presence pattern."""

    matrix: Floats
    bias: Floats

    def probabilities(self, z: Floats, present: Present) -> Floats:
        """float64[N,K] of z float64[N,Kin]."""
        pattern = patterns(present)
        logits = np.einsum("ni,nik->nk", z, self.matrix[pattern]) + self.bias[pattern]
        return np.asarray(softmax(logits, axis=1), np.float64)

    def arrays(self) -> dict[str, Floats]:
        """As weights.npz holds it."""
        return {"A": self.matrix, "b": self.bias}


def patterns(present: Present) -> NDArray[np.int64]:
    """int64[N]: Σ present[m]·2^m."""
    return np.asarray(present @ (1 << np.arange(present.shape[1])), np.int64)


def by_pattern(width: int, placed: Mapping[int, tuple[slice, Calibration]]) -> PatternCalibration:
    """A calibration per pattern, each on its own columns of z; pattern 0 gives equal shares."""
    labels_count = next(iter(placed.values()))[1].matrix.shape[1]
    matrix = np.zeros((1 << len(MODALITIES), width, labels_count))
    bias = np.zeros((1 << len(MODALITIES), labels_count))
    for pattern, (columns, calibration) in placed.items():
        matrix[pattern, columns] = calibration.matrix
        bias[pattern] = calibration.bias
    return PatternCalibration(matrix, bias)


def where_present(scores: Floats, present: Present, modality: int) -> Floats:
    """The scores, zeros where the modality is absent, whatever stands there."""
    return np.where(present[:, modality, None], scores, 0.0)


def write(folder: Path, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> None:
    """Write strategy.json and weights.npz."""
    (folder / "strategy.json").write_bytes(msgspec.json.format(msgspec.json.encode(description)))
    save_arrays(folder / "weights.npz", arrays)
