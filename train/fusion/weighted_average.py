"""Weighted average: the modalities' features in one space, averaged, and one linear head on that.

    x[m]   = the modality's features, standardised
    h[m]   = x[m] @ <m>.projection, [N,S]
    h      = Σ weights[m]·h[m] / Σ weights[m], over the modalities that are present
    logits = h @ head + offset

The shared space is that of a generalised canonical correlation analysis (Kettenring 1971, MAXVAR;
Hotelling 1936 for two): of all directions those that the modalities agree on most, found without
labels and with a ridge. Ridge, weights and head are chosen by the log loss of rows that they were
not fitted on, and the logits are calibrated on such rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.calibration import Calibration, calibrate, log_loss
from train.class_weights import row_weights
from train.fusion.features import Features
from train.fusion.seam import (
    FittedFusion,
    PatternCalibration,
    Present,
    TrainingInputs,
    calibrated_beside,
    feature_names,
    scores_beside,
    write,
)
from train.fusion.shares import cuts, shares
from train.unseen import Floats

_RIDGES = (0.3, 1.0, 3.0)
_SIDES_MAX = 8
_PARTS = 10
"""The weights are tenths."""


@dataclass(frozen=True, slots=True)
class SharedSpace:
    """A projection float64[D,S] whose rows are zero but for one modality's, for each modality;
    their weights float64[M], and the head.
    """

    projections: tuple[Floats, ...]
    weights: Floats
    head: Calibration

    def logits(self, x: Floats, present: Present) -> Floats:
        """float64[N,K] of standardised features."""
        share = shares(self.weights, present)
        h = sum(share[:, [m]] * (x @ part) for m, part in enumerate(self.projections))
        return np.asarray(h @ self.head.matrix + self.head.bias, np.float64)


@dataclass(frozen=True, slots=True)
class FittedWeightedAverage:
    """The standardised features, the shared space, and the calibration by pattern."""

    features: Features
    space: SharedSpace
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        logits = self.space.logits(self.features.scaled(inputs, present), present)
        z = scores_beside(logits, inputs, present, self.features.modalities)
        return self.calibration.probabilities(z, present)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """Each modality's share of the average."""
        del inputs
        return {"weights": shares(self.space.weights, present)}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """The projections, the head, and what the embedding takes."""
        projected = sum(part.size for part in self.space.projections)
        last = self.space.head.matrix.size + self.calibration.matrix[0].size
        return int(projected + last + self.features.multiply_adds(inputs))

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        names = self.features.modalities
        projections = zip(names, self.space.projections, strict=True)
        arrays = {
            **self.features.arrays(),
            **{f"{name}.projection": part for name, part in projections},
            "weights": self.space.weights,
            "head": self.space.head.matrix,
            "offset": self.space.head.bias,
            **self.calibration.arrays(),
        }
        write(folder, {"features": self.features.names}, arrays)


@dataclass(frozen=True, slots=True)
class WeightedAverage:
    """Finds the shared space on complete rows, and calibrates by folds."""

    name: str = "weighted-average"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores and the text's embedding."""
        return feature_names(modalities)

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Equal inputs give equal results; the seed has no part in it."""
        features = Features.fit(feature_names(training.modalities), training)
        x = features.scaled(training.values, training.present)
        complete, folds = training.complete, training.folds
        ridge, weights = _chosen(features, x[complete], training)
        space = partial(_space, features, training, x, ridge=ridge, weights=weights)
        parts = {fold: space(complete & (folds != fold)) for fold in np.unique(folds)}

        def own(rows: NDArray[np.int64], present: Present) -> Floats:
            values = features.scaled({n: v[rows] for n, v in training.values.items()}, present)
            logits = np.empty((len(rows), training.labels_count))
            for fold, part in parts.items():
                here = folds[rows] == fold
                logits[here] = part.logits(values[here], present[here])
            return logits

        calibration = calibrated_beside(training, own)
        return FittedWeightedAverage(features, space(complete), calibration)


def _space(
    features: Features,
    training: TrainingInputs,
    x: Floats,
    rows: Present,
    *,
    ridge: float,
    weights: Floats,
) -> SharedSpace:
    """Of some rows of the features x."""
    projections = _projections(features, x[rows], ridge)
    h = sum(weight * (x[rows] @ part) for weight, part in zip(weights, projections, strict=True))
    labels, counted = training.labels[rows], training.weights(rows)
    head = calibrate(np.asarray(h), labels, training.labels_count, counted)
    return SharedSpace(projections, weights, head)


def _projections(features: Features, x: Floats, ridge: float) -> tuple[Floats, ...]:
    """Whiten each modality, and take the leading directions of all together."""
    columns = [features.columns(m) for m in range(len(features.modalities))]
    whitened = []
    for own in columns:
        values, vectors = np.linalg.eigh(
            x[:, own].T @ x[:, own] / len(x) + ridge * np.eye(own.sum())
        )
        whitened.append(vectors / np.sqrt(values) @ vectors.T)
    blocks = [x[:, own] @ white for own, white in zip(columns, whitened, strict=True)]
    side_by_side = np.concatenate(blocks, axis=1)
    _, directions = np.linalg.eigh(side_by_side.T @ side_by_side)
    sides = min(_SIDES_MAX, *(int(own.sum()) for own in columns))
    leading = directions[:, ::-1][:, :sides]
    parts, start = [], 0
    for own, white in zip(columns, whitened, strict=True):
        projection = np.zeros((x.shape[1], sides))
        projection[own] = white @ leading[start : start + len(white)]
        # Of equal spread, so that the weights alone say what counts.
        parts.append(projection / np.maximum((x @ projection).std(axis=0), 1e-12))
        start += len(white)
    return tuple(parts)


def _chosen(features: Features, x: Floats, training: TrainingInputs) -> tuple[float, Floats]:
    """The ridge and weights with the least log loss of out-of-fold probabilities."""
    complete = training.complete
    labels, folds = training.labels[complete], training.folds[complete]
    counted = row_weights(labels, training.labels_count, training.class_weight)
    count = len(training.modalities)
    candidates = [np.array(parts) / _PARTS for parts in cuts(_PARTS, count)]
    losses = np.zeros((len(_RIDGES), len(candidates)))
    for number, ridge in enumerate(_RIDGES):
        for fold in np.unique(folds):
            own, others = folds == fold, folds != fold
            projections = _projections(features, x[others], ridge)
            projected = [x @ part for part in projections]
            for place, weights in enumerate(candidates):
                h = np.einsum("m,mns->ns", weights, projected)
                taught, asked = (
                    None if counted is None else counted[rows] for rows in (others, own)
                )
                head = calibrate(h[others], labels[others], training.labels_count, taught)
                loss = log_loss(head.probabilities(h[own]), labels[own], asked)
                losses[number, place] += loss * own.sum()
    best, place = divmod(int(losses.argmin()), len(candidates))
    return _RIDGES[best], candidates[place]


STRATEGY = WeightedAverage()
