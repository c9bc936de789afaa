"""Soft voting: each modality's calibrated probabilities, averaged, and calibrated once more.

    p[m] = softmax(scores[m] @ <m>.A + <m>.b)
    vote = Σ votes[m]·p[m] / Σ votes[m], over the modalities that are present
    z    = ln(max(vote, 1e-12))

An average of calibrated probabilities is too timid, so several together are calibrated again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.calibration import Calibration, calibrate, log_loss
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
from train.fusion.shares import cuts, shares
from train.fusion.voters import FLOOR, Voters, fit_voters
from train.unseen import Floats

_PARTS = 20
"""The whole vote is cut into so many."""


@dataclass(frozen=True, slots=True)
class FittedSoftVoting:
    """The voters, their votes float64[M], and the last calibration."""

    voters: Voters
    votes: Floats
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        z = _averaged(self.voters.probabilities(inputs, present), shares(self.votes, present))
        return self.calibration.probabilities(z, present)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """Each modality's share of the vote."""
        del inputs
        return {"weights": shares(self.votes, present)}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """The voters, their average and the last matrix."""
        del inputs
        matrix = self.calibration.matrix[0]
        return int(self.voters.multiply_adds + matrix.size + len(self.votes) * matrix.shape[1])

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        arrays = {"votes": self.votes, **self.voters.arrays(), **self.calibration.arrays()}
        write(folder, {"floor": FLOOR}, arrays)


@dataclass(frozen=True, slots=True)
class SoftVoting:
    """Fits calibrations on unseen scores, then the votes that leave the least log loss."""

    name: str = "soft-voting"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores."""
        return score_names(modalities)

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Each voter on the rows that have its modality, the rest on rows that have several."""
        voters = fit_voters(training)
        count, k = len(training.modalities), training.labels_count
        votes = _best_votes(voters, training)
        every = slice(0, k)
        same = Calibration(np.eye(k), np.zeros(k))
        placed = {1 << modality: (every, same) for modality in range(count)}
        for pattern, rows in together(training):
            placed[pattern] = (every, _last(voters, votes, training, pattern, rows)[0])
        return FittedSoftVoting(voters, votes, by_pattern(count, k, placed))


def _averaged(probabilities: Floats, shares: Floats) -> Floats:
    """Logarithm of the weighted average."""
    average = np.einsum("nm,nmk->nk", shares, probabilities)
    return np.asarray(np.log(np.maximum(average, FLOOR)), np.float64)


def _last(
    voters: Voters, votes: Floats, training: TrainingInputs, pattern: int, rows: Present
) -> tuple[Calibration, float]:
    """The calibration of an average, and the log loss that it leaves."""
    present = shown(pattern, int(rows.sum()), len(training.modalities))
    chosen = {name: values[rows] for name, values in training.values.items()}
    z = _averaged(voters.probabilities(chosen, present), shares(votes, present))
    labels, weights = training.labels[rows], training.weights(rows)
    last = calibrate(z, labels, training.labels_count, weights)
    return last, log_loss(last.probabilities(z), labels, weights)


def _best_votes(voters: Voters, training: TrainingInputs) -> Floats:
    """Those that leave the least log loss on complete rows."""
    count = len(training.modalities)
    whole, rows = (1 << count) - 1, training.complete
    candidates = [np.array(parts) / _PARTS for parts in cuts(_PARTS, count)]
    return min(candidates, key=lambda votes: _last(voters, votes, training, whole, rows)[1])


STRATEGY = SoftVoting()
