"""Soft voting: each modality's calibrated probabilities, averaged, and calibrated once more.

    p[m] = softmax(scores[m] @ <m>.A + <m>.b)
    vote = Σ votes[m]·p[m] / Σ votes[m], over the modalities that are present
    z    = ln(max(vote, 1e-12))

An average of calibrated probabilities is too timid, so both together are calibrated again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.calibration import Calibration, calibrate, log_loss
from train.fusion.seam import (
    IMAGE,
    MODALITIES,
    TEXT,
    FittedFusion,
    PatternCalibration,
    Present,
    TrainingInputs,
    by_pattern,
    where_present,
    write,
)
from train.unseen import Floats

FLOOR = 1e-12
_INPUTS = ("text.scores", "image.scores")
_TEXT_VOTES = np.arange(0.1, 0.95, 0.05)


@dataclass(frozen=True, slots=True)
class FittedSoftVoting:
    """A calibration per modality, their votes float64[M], and the last calibration."""

    voters: tuple[Calibration, Calibration]
    votes: Floats
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        probabilities = [
            voter.probabilities(where_present(inputs[name], present, modality))
            for modality, (name, voter) in enumerate(zip(_INPUTS, self.voters, strict=True))
        ]
        z = _averaged(probabilities, self.votes, present)
        return self.calibration.probabilities(z, present)

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        arrays = {"votes": self.votes, **self.calibration.arrays()}
        for modality, voter in zip(MODALITIES, self.voters, strict=True):
            arrays |= {f"{modality}.A": voter.matrix, f"{modality}.b": voter.bias}
        write(folder, {"features": _INPUTS, "floor": FLOOR}, arrays)


@dataclass(frozen=True, slots=True)
class SoftVoting:
    """Fits calibrations on unseen scores, then the votes that leave the least log loss."""

    name: str = "soft-voting"
    needs: tuple[str, ...] = _INPUTS

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Each voter on the rows that have its modality, the rest on complete rows."""
        text = _voter(training, TEXT)
        image = _voter(training, IMAGE)
        rows = training.complete
        pair = [
            voter.probabilities(training.scores(name)[rows])
            for name, voter in zip(_INPUTS, (text, image), strict=True)
        ]
        votes, last = _best_votes(pair, training)
        k = training.labels_count
        same = Calibration(np.eye(k), np.zeros(k))
        every = slice(0, k)
        placed = {1 << TEXT: (every, same), 1 << IMAGE: (every, same), 3: (every, last)}
        return FittedSoftVoting((text, image), votes, by_pattern(k, placed))


def _voter(training: TrainingInputs, modality: int) -> Calibration:
    rows = training.present[:, modality]
    scores = training.scores(_INPUTS[modality])[rows]
    return calibrate(scores, training.labels[rows], training.labels_count)


def _averaged(probabilities: list[Floats], votes: Floats, present: Present) -> Floats:
    """Logarithm of the weighted average over what is present; equal shares where nothing is."""
    shares = present * votes
    total = shares.sum(axis=1)
    shares = np.where(total[:, None] > 0, shares, 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    average = sum(shares[:, [m]] * p for m, p in enumerate(probabilities))
    return np.asarray(np.log(np.maximum(average, FLOOR)), np.float64)


def _best_votes(pair: list[Floats], training: TrainingInputs) -> tuple[Floats, Calibration]:
    labels = training.labels[training.complete]
    present = training.present[training.complete]
    tried = []
    for text_vote in _TEXT_VOTES:
        votes = np.array([text_vote, 1 - text_vote])
        z = _averaged(pair, votes, present)
        last = calibrate(z, labels, training.labels_count)
        tried.append((log_loss(last.probabilities(z), labels), votes, last))
    _, votes, last = min(tried, key=lambda each: each[0])
    return votes, last
