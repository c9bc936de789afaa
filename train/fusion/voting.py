"""Voting: each modality has one vote for its likeliest label; of equal counts confidence decides.

    p[m]      = softmax(scores[m] @ <m>.A + <m>.b)
    winner    = the label with most votes; of several, the one with the most confident voter
    mean      = the mean of p[m] over the voters of the winner
    published = softmax(t[pattern, voters of the winner] · ln max(mean, 1e-12))

A temperature t, for each pattern and number of voters, makes probabilities of the means; it never
changes which label is the likeliest (Guo et al. 2017). With one modality t = 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from train.calibration import Labels, log_loss
from train.fusion.seam import (
    FittedFusion,
    Present,
    TrainingInputs,
    patterns,
    score_names,
    shown,
    together,
    write,
)
from train.fusion.voters import FLOOR, Voters, fit_voters
from train.unseen import Floats

# Of the logarithm of a temperature.
_BOUNDS = (-3.0, 3.0)
# Fewer rows than this in a branch say nothing of its temperature.
_ROWS_MIN = 20


@dataclass(frozen=True, slots=True)
class FittedVoting:
    """The voters, and the temperatures float64[2^M,M+1] by pattern and voters of the winner."""

    voters: Voters
    temperatures: Floats

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        logits, winners = _counted(self.voters.probabilities(inputs, present), present)
        temperatures = self.temperatures[patterns(present), winners.sum(axis=1)]
        return np.asarray(softmax(temperatures[:, None] * logits, axis=1), np.float64)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """The voters of the winner in equal shares, and how near the choice was to another."""
        said = self.voters.probabilities(inputs, present)
        _, winners = _counted(said, present)
        shares = winners / np.maximum(winners.sum(axis=1, keepdims=True), 1)
        return {"weights": shares, "gaps": _gaps(said, present)}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """The voters, the comparison of their labels, and the mean."""
        del inputs
        labels_count = len(next(iter(self.voters.calibrations.values())).bias)
        return self.voters.multiply_adds + 4 * labels_count * len(self.voters.calibrations)

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        arrays = {"temperatures": self.temperatures, **self.voters.arrays()}
        write(folder, {"floor": FLOOR}, arrays)


@dataclass(frozen=True, slots=True)
class Voting:
    """Fits calibrations on unseen scores, then a temperature per branch."""

    name: str = "voting"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores."""
        return score_names(modalities)

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Each voter on the rows that have its modality, the rest on rows that have several."""
        voters, count = fit_voters(training), len(training.modalities)
        temperatures = np.ones((1 << count, count + 1))
        for pattern, rows in together(training):
            chosen = {name: values[rows] for name, values in training.values.items()}
            present = shown(pattern, int(rows.sum()), count)
            logits, winners = _counted(voters.probabilities(chosen, present), present)
            for number in range(1, count + 1):
                branch = np.flatnonzero(winners.sum(axis=1) == number)
                own = np.flatnonzero(rows)[branch]
                found = _temperature(logits[branch], training.labels[own], training.weights(own))
                temperatures[pattern, number] = found
        return FittedVoting(voters, temperatures)


def _ranks(said: Floats, present: Present) -> tuple[Floats, NDArray[np.bool_]]:
    """float64[N,K]: votes of each label, and half the confidence of its most confident voter;
    bool[N,M,K]: who votes for what.
    """
    votes = (said.argmax(axis=2)[..., None] == np.arange(said.shape[2])) & present[..., None]
    confidence = (votes * said.max(axis=2, keepdims=True)).max(axis=1)
    return votes.sum(axis=1) + confidence / 2, votes


def _counted(said: Floats, present: Present) -> tuple[Floats, NDArray[np.bool_]]:
    """Logarithm of the winner's mean float64[N,K], and its voters bool[N,M]."""
    ranks, votes = _ranks(said, present)
    winner = ranks.argmax(axis=1)
    winners = np.take_along_axis(votes, winner[:, None, None], axis=2)[..., 0]
    mean = np.einsum("nm,nmk->nk", winners, said) / np.maximum(winners.sum(axis=1), 1)[:, None]
    return np.asarray(np.log(np.maximum(mean, FLOOR)), np.float64), winners


def _gaps(said: Floats, present: Present) -> Floats:
    """float64[N]: between each voter's two likeliest labels, and the two labels of highest rank."""
    ordered = np.sort(said, axis=2)
    own = np.where(present, ordered[..., -1] - ordered[..., -2], np.inf).min(axis=1)
    ranks = np.sort(_ranks(said, present)[0], axis=1)
    several = present.sum(axis=1) > 1
    # Confidence counts by half in a rank.
    return np.asarray(
        np.where(several, np.minimum(own, 2 * (ranks[:, -1] - ranks[:, -2])), np.inf), np.float64
    )


def _temperature(logits: Floats, labels: Labels, weights: Floats | None) -> float:
    """The one that leaves the least log loss."""
    if len(labels) < _ROWS_MIN:
        return 1.0

    def loss(logarithm: float) -> float:
        probabilities = np.asarray(softmax(np.exp(logarithm) * logits, axis=1))
        return log_loss(probabilities, labels, weights)

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS, method="bounded").x))


STRATEGY = Voting()
