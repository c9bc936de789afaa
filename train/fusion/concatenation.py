"""Concatenation: one RBF SVM, one-vs-rest, on the features of text and image together.

    x       = [text.embedding | text.scores | image.scores], standardised
    margins = exp(-gamma·‖x - support vector‖²) @ coefficients.T + intercepts, [N,Ks]
    z       = [margins | text.scores | image.scores]

Complete posts are answered by the calibrated margins, others by the calibrated scores of the
modality that they have. With two labels Ks = 1, and a positive margin speaks for labels[1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.svm import SVC

from train.calibration import Labels, calibrate, log_loss
from train.class_weights import for_scikit_learn, row_weights
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
from train.settings import ClassWeight
from train.unseen import Floats

_COSTS = (0.3, 1.0, 3.0)
# Of 1/width, which scikit-learn calls "scale".
_GAMMAS = (0.3, 1.0)
# C and gamma hardly depend on the number of rows; the time to find them does.
_SEARCH_ROWS_MAX = 1500
_SEARCH_FOLDS = 3


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
    """The standardised features, the SVM, and the calibration by pattern."""

    features: Features
    svm: Svm
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        margins = self.svm.margins(self.features.scaled(inputs, present))
        z = scores_beside(margins, inputs, present, self.features.modalities)
        return self.calibration.probabilities(z, present)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """Nothing."""
        del inputs, present
        return {}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """A distance and a coefficient for each support vector, and what the embedding takes."""
        svm = self.svm.support_vectors.size + self.svm.coefficients.size
        return int(svm + self.calibration.matrix[0].size + self.features.multiply_adds(inputs))

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz."""
        arrays = {
            **self.features.arrays(),
            "support_vectors": self.svm.support_vectors,
            "coefficients": self.svm.coefficients,
            "intercepts": self.svm.intercepts,
            **self.calibration.arrays(),
        }
        write(folder, {"features": self.features.names, "gamma": self.svm.gamma}, arrays)


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Finds C and gamma by cross-validation, calibrates on out-of-fold margins."""

    name: str = "concatenation"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores and the text's embedding."""
        return feature_names(modalities)

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """The SVM on complete rows, each single calibration on the rows that have it."""
        names = feature_names(training.modalities)
        features = Features.fit(names, training)
        complete, labels, folds = training.complete, training.labels, training.folds
        x = features.scaled(training.values, training.present)
        cost, gamma = _searched(x[complete], training, labels[complete], folds[complete])
        fit = partial(_fit_svm, cost=cost, gamma=gamma, class_weight=training.class_weight)
        parts = {
            fold: fit(x[complete & (folds != fold)], labels[complete & (folds != fold)])
            for fold in np.unique(folds)
        }

        def own(rows: NDArray[np.int64], present: Present) -> Floats:
            values = features.scaled({n: v[rows] for n, v in training.values.items()}, present)
            return _by_fold(values, folds[rows], parts)

        calibration = calibrated_beside(training, own)
        return FittedConcatenation(features, fit(x[complete], labels[complete]), calibration)


def _fit_svm(
    x: Floats, labels: Labels, *, cost: float, gamma: float, class_weight: ClassWeight
) -> Svm:
    """A binary SVM for each label against the rest; the support vectors of all, once each."""
    classes = range(int(labels.max()) + 1)
    positives = [1] if len(classes) == 2 else list(classes)
    weight = for_scikit_learn(class_weight)
    fitted = [
        SVC(C=cost, gamma=gamma, class_weight=weight).fit(x, labels == positive)
        for positive in positives
    ]
    used = np.unique(np.concatenate([svc.support_ for svc in fitted]))
    coefficients = np.zeros((len(fitted), len(used)))
    for row, svc in enumerate(fitted):
        coefficients[row, np.searchsorted(used, svc.support_)] = svc.dual_coef_[0]
    intercepts = np.array([svc.intercept_[0] for svc in fitted])
    return Svm(x[used], coefficients, intercepts, gamma)


def _by_fold(x: Floats, folds: NDArray[np.int64], parts: Mapping[int, Svm]) -> Floats:
    """float64[N,Ks]: each row's margins by the SVM that was fitted on the other folds."""
    margins = np.empty((len(x), len(next(iter(parts.values())).intercepts)))
    for fold in np.unique(folds):
        margins[folds == fold] = parts[fold].margins(x[folds == fold])
    return margins


def _searched(
    x: Floats, training: TrainingInputs, labels: Labels, folds: NDArray[np.int64]
) -> tuple[float, float]:
    """C and gamma with the least log loss of calibrated out-of-fold margins, on some rows."""
    chosen = np.random.default_rng(training.seed).permutation(len(x))[:_SEARCH_ROWS_MAX]
    x, labels, folds = x[chosen], labels[chosen], folds[chosen] % _SEARCH_FOLDS
    weights = row_weights(labels, training.labels_count, training.class_weight)

    def loss(candidate: tuple[float, float]) -> float:
        cost, gamma = candidate
        fit = partial(_fit_svm, cost=cost, gamma=gamma, class_weight=training.class_weight)
        parts = {fold: fit(x[folds != fold], labels[folds != fold]) for fold in np.unique(folds)}
        margins = _by_fold(x, folds, parts)
        fitted = calibrate(margins, labels, training.labels_count, weights)
        return log_loss(fitted.probabilities(margins), labels, weights)

    candidates = product(_COSTS, (share / x.shape[1] for share in _GAMMAS))
    return min(candidates, key=loss)


STRATEGY = Concatenation()
