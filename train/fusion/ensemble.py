"""Ensemble: stacking, a multinomial logistic regression on the modalities' calibrated log-odds.

    log-odds[m] = scores[m] @ A[m] + b[m], each modality's own calibration
    published   = softmax([log-odds of all present] @ W + c)

Both steps are linear, so what is saved is their product: a matrix per presence pattern on the raw
scores. W and c are fitted on scores of rows that the modalities' models never saw (Wolpert 1992,
Ting and Witten 1999).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.special import softmax

from train.calibration import Calibration, calibrate
from train.fusion.seam import (
    PatternCalibration,
    Present,
    TrainingInputs,
    by_pattern,
    score_names,
    single,
    together,
    where_present,
    write,
)
from train.unseen import Floats


@dataclass(frozen=True, slots=True)
class FittedEnsemble:
    """The scores that are stacked, in the order of the modalities, and the matrix by pattern."""

    names: tuple[str, ...]
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        return np.asarray(softmax(self.logits(inputs, present), axis=1), np.float64)

    def logits(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K] before the softmax."""
        kept = [where_present(inputs[name], present, m) for m, name in enumerate(self.names)]
        return self.calibration.logits(np.concatenate(kept, axis=1), present)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """Nothing."""
        del inputs, present
        return {}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """One matrix."""
        del inputs
        return int(self.calibration.matrix[0].size)

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        write(folder, {"features": self.names}, self.calibration.arrays())


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Fits each modality's calibration, then each pattern's on the log-odds of its modalities."""

    name: str = "ensemble"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores."""
        return score_names(modalities)

    def fit(self, training: TrainingInputs) -> FittedEnsemble:
        """Equal inputs give equal results; the seed has no part in it."""
        names = score_names(training.modalities)
        alone = [single(training, modality) for modality in range(len(names))]
        edges = np.cumsum([0, *(len(calibration.matrix) for calibration in alone)]).tolist()
        columns = [slice(start, stop) for start, stop in pairwise(edges)]
        placed = {1 << m: (columns[m], calibration) for m, calibration in enumerate(alone)}
        for pattern, rows in together(training):
            members = [m for m in range(len(names)) if pattern >> m & 1]
            scores = {m: training.scores(names[m])[rows] for m in members}
            log_odds = [scores[m] @ alone[m].matrix + alone[m].bias for m in members]
            stacked = calibrate(
                np.concatenate(log_odds, axis=1),
                training.labels[rows],
                training.labels_count,
                training.weights(rows),
            )
            placed[pattern] = (slice(0, edges[-1]), _product(alone, members, columns, stacked))
        return FittedEnsemble(names, by_pattern(len(names), edges[-1], placed))


def _product(
    alone: Sequence[Calibration],
    members: Sequence[int],
    columns: Sequence[slice],
    stacked: Calibration,
) -> Calibration:
    """Both linear steps as one on the raw scores of all modalities; absent ones count nothing."""
    labels_count = len(stacked.bias)
    matrix = np.zeros((columns[-1].stop, labels_count))
    bias = stacked.bias.copy()
    for place, modality in enumerate(members):
        part = stacked.matrix[place * labels_count : (place + 1) * labels_count]
        matrix[columns[modality]] = alone[modality].matrix @ part
        bias += alone[modality].bias @ part
    return Calibration(matrix, bias)


STRATEGY = Ensemble()
