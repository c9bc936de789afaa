"""Logarithmic pool: the mean of the modalities' log-probabilities, calibrated by presence pattern.

    p[m] = softmax(scores[m] @ <m>.A + <m>.b)
    z    = Σ ln max(p[m], 1e-12) / M, over the modalities m that are present

With one modality the calibration is M, and the answer is that modality's own calibrated score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.calibration import Calibration, calibrate
from train.fusion.seam import (
    FittedFusion,
    PatternCalibration,
    Present,
    TrainingInputs,
    by_pattern,
    score_names,
    shown,
    together,
    write,
)
from train.fusion.voters import FLOOR, Voters, fit_voters
from train.unseen import Floats


@dataclass(frozen=True, slots=True)
class FittedLogPool:
    """The voters, and the calibration of their mean."""

    voters: Voters
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        return self.calibration.probabilities(_pooled(self.voters, inputs, present), present)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """Nothing."""
        del inputs, present
        return {}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """The voters and the last matrix."""
        del inputs
        return int(self.voters.multiply_adds + self.calibration.matrix[0].size)

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        write(folder, {}, {**self.voters.arrays(), **self.calibration.arrays()})


@dataclass(frozen=True, slots=True)
class LogPool:
    """Fits each modality's calibration, then each pattern's."""

    name: str = "log-pool"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores."""
        return score_names(modalities)

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Each voter on the rows that have its modality, the rest on rows that have several."""
        voters, count, k = fit_voters(training), len(training.modalities), training.labels_count
        every = slice(0, k)
        alone = Calibration(np.eye(k) * count, np.zeros(k))
        placed = {1 << modality: (every, alone) for modality in range(count)}
        for pattern, rows in together(training):
            chosen = {name: values[rows] for name, values in training.values.items()}
            pooled = _pooled(voters, chosen, shown(pattern, int(rows.sum()), count))
            placed[pattern] = (every, calibrate(pooled, training.labels[rows], k))
        return FittedLogPool(voters, by_pattern(count, k, placed))


def _pooled(voters: Voters, inputs: Mapping[str, Floats], present: Present) -> Floats:
    logarithms = np.log(np.maximum(voters.probabilities(inputs, present), FLOOR))
    return np.asarray((logarithms * present[..., None]).mean(axis=1), np.float64)


STRATEGY = LogPool()
