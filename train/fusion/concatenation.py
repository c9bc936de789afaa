"""Concatenation: one RBF SVM, one-vs-rest, on the features of text and image together.

    x       = [text.embedding | text.scores | image.scores], standardised
    margins = exp(-gamma·‖x - support vector‖²) @ coefficients.T + intercepts, [N,Ks]
    z       = [margins | text.scores | image.scores]

Complete posts are answered by the calibrated margins, others by the calibrated scores of the
modality that they have. With two labels Ks = 1, and a positive margin speaks for labels[1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from train.calibration import Labels, calibrate, log_loss
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

_FEATURES = ("text.embedding", "text.scores", "image.scores")
_COSTS = (0.3, 1.0, 3.0)
# Of 1/width, which scikit-learn calls "scale".
_GAMMAS = (0.3, 1.0)
# C and gamma hardly depend on the number of rows; the time to find them does.
_SEARCH_ROWS_MAX = 1500


@dataclass(frozen=True, slots=True)
class Svm:
    """`support_vectors` float64[S,F] that all labels share, `coefficients` [Ks,S]."""

    support_vectors: Floats
    coefficients: Floats
    intercepts: Floats
    gamma: float

    def margins(self, x: Floats) -> Floats:
        """float64[N,Ks] of standardised features."""
        kernel = np.exp(-self.gamma * cdist(x, self.support_vectors, "sqeuclidean"))
        return np.asarray(kernel @ self.coefficients.T + self.intercepts, np.float64)


@dataclass(frozen=True, slots=True)
class FittedConcatenation:
    """The scaler's mean and scale float64[F], the SVM, and the calibration by pattern."""

    mean: Floats
    scale: Floats
    svm: Svm
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        text = where_present(inputs["text.scores"], present, TEXT)
        image = where_present(inputs["image.scores"], present, IMAGE)
        embedding = where_present(inputs["text.embedding"], present, TEXT)
        x = (np.concatenate((embedding, text, image), axis=1) - self.mean) / self.scale
        z = np.concatenate((self.svm.margins(x), text, image), axis=1)
        return self.calibration.probabilities(z, present)

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        arrays = {
            "mean": self.mean,
            "scale": self.scale,
            "support_vectors": self.svm.support_vectors,
            "coefficients": self.svm.coefficients,
            "intercepts": self.svm.intercepts,
            **self.calibration.arrays(),
        }
        write(folder, {"features": _FEATURES, "gamma": self.svm.gamma}, arrays)


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Finds C and gamma by cross-validation, calibrates on out-of-fold margins."""

    name: str = "concatenation"
    needs: tuple[str, ...] = _FEATURES

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """The SVM on complete rows, each single calibration on the rows that have it."""
        rows = training.complete
        features = np.concatenate([training.scores(name)[rows] for name in _FEATURES], axis=1)
        scaler = StandardScaler().fit(features)
        x, labels, folds = scaler.transform(features), training.labels[rows], training.folds[rows]
        cost, gamma = _searched(x, labels, folds, training)
        both = calibrate(_out_of_fold(x, labels, folds, cost, gamma), labels, training.labels_count)
        svm = _fit_svm(x, labels, cost, gamma)
        widths = (
            len(svm.intercepts),
            *(training.scores(f"{m}.scores").shape[1] for m in MODALITIES),
        )
        edges = np.cumsum((0, *widths))
        columns = [slice(a, b) for a, b in pairwise(edges.tolist())]
        placed = {3: (columns[0], both)}
        for modality in (TEXT, IMAGE):
            own = training.present[:, modality]
            scores = training.scores(f"{MODALITIES[modality]}.scores")[own]
            single = calibrate(scores, training.labels[own], training.labels_count)
            placed[1 << modality] = (columns[modality + 1], single)
        return FittedConcatenation(
            scaler.mean_, scaler.scale_, svm, by_pattern(int(edges[-1]), placed)
        )


def _fit_svm(x: Floats, labels: Labels, cost: float, gamma: float) -> Svm:
    """A binary SVM for each label against the rest; the support vectors of all, once each."""
    classes = range(int(labels.max()) + 1)
    positives = [1] if len(classes) == 2 else list(classes)
    fitted = [SVC(C=cost, gamma=gamma).fit(x, labels == positive) for positive in positives]
    used = np.unique(np.concatenate([svc.support_ for svc in fitted]))
    coefficients = np.zeros((len(fitted), len(used)))
    for row, svc in enumerate(fitted):
        coefficients[row, np.searchsorted(used, svc.support_)] = svc.dual_coef_[0]
    intercepts = np.array([svc.intercept_[0] for svc in fitted])
    return Svm(x[used], coefficients, intercepts, gamma)


def _out_of_fold(
    x: Floats, labels: Labels, folds: NDArray[np.int64], cost: float, gamma: float
) -> Floats:
    """float64[N,Ks]: each row's margins by an SVM that was fitted on the other folds."""
    parts = {
        fold: _fit_svm(x[folds != fold], labels[folds != fold], cost, gamma).margins(
            x[folds == fold]
        )
        for fold in np.unique(folds)
    }
    margins = np.empty((len(x), next(iter(parts.values())).shape[1]))
    for fold, part in parts.items():
        margins[folds == fold] = part
    return margins


def _searched(
    x: Floats, labels: Labels, folds: NDArray[np.int64], training: TrainingInputs
) -> tuple[float, float]:
    """C and gamma with the least log loss of calibrated out-of-fold margins."""
    chosen = np.random.default_rng(training.seed).permutation(len(x))[:_SEARCH_ROWS_MAX]
    x, labels, folds = x[chosen], labels[chosen], folds[chosen]

    def loss(candidate: tuple[float, float]) -> float:
        margins = _out_of_fold(x, labels, folds, *candidate)
        fitted = calibrate(margins, labels, training.labels_count)
        return log_loss(fitted.probabilities(margins), labels)

    candidates = product(_COSTS, (share / x.shape[1] for share in _GAMMAS))
    return min(candidates, key=loss)
