"""A fitted linear classifier, and the linear steps before it, to coefficients and calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.svm import SVC, LinearSVC, NuSVC

from schemas.models import RestScores
from train.brought.folding import foldable, folded
from train.unseen import Floats

LINEAR: Final = (
    LinearSVC,
    LogisticRegression,
    SGDClassifier,
    RidgeClassifier,
    RidgeClassifierCV,
    Perceptron,
    LinearDiscriminantAnalysis,
)
"""Each has `coef_` and `intercept_`, and its decision function is their product."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Margins = x @ coefficients.T + intercepts, float64[R,V] and [R].

    `slopes` and `offsets` float64[F,Km] where F classifiers calibrate themselves: R = F·Km then.
    `pairs` where each margin is between two labels, those of an SVC.
    """

    coefficients: Floats
    intercepts: Floats
    slopes: Floats | None = None
    offsets: Floats | None = None
    pairs: bool = False

    @property
    def scores(self) -> RestScores:
        """What the raw scores are."""
        return "margins" if self.slopes is None else "probabilities"

    def in_order(self, order: Sequence[int]) -> "Linear":
        """The same for labels in another order: `order[i]` is the class of label i."""
        if self.pairs or list(order) == sorted(order):
            return self
        if len(order) == 2:
            offsets = None if self.offsets is None else -self.offsets
            swapped = replace(self, coefficients=-self.coefficients, intercepts=-self.intercepts)
            return replace(swapped, offsets=offsets)
        rows = np.arange(len(self.intercepts)).reshape(-1, len(order))[:, order].ravel()
        return replace(
            self,
            coefficients=self.coefficients[rows],
            intercepts=self.intercepts[rows],
            slopes=None if self.slopes is None else self.slopes[:, order],
            offsets=None if self.offsets is None else self.offsets[:, order],
        )


def read_linear(steps: Sequence[Any], classifier: Any) -> Linear | None:
    """The classifier with the steps before it folded in; None where not all of it is linear."""
    if not all(foldable(step) for step in steps):
        return None
    if isinstance(classifier, CalibratedClassifierCV):
        linear = _self_calibrated(classifier)
    else:
        linear = _margins(classifier)
    if linear is None:
        return None
    coefficients, intercepts = folded(steps, linear.coefficients, linear.intercepts)
    return replace(linear, coefficients=coefficients, intercepts=intercepts)


def coefficients_of(classifier: Any) -> tuple[Floats, Floats]:
    """`coef_` and `intercept_` of one of LINEAR, float64 [R,D] and [R]."""
    rows = np.atleast_2d(np.asarray(classifier.coef_, np.float64))
    # Without an intercept scikit-learn gives one zero for all.
    return rows, np.array(np.broadcast_to(classifier.intercept_, (len(rows),)), np.float64)


def _margins(classifier: Any) -> Linear | None:
    """A classifier that does not calibrate itself."""
    if isinstance(classifier, LINEAR):
        return Linear(*coefficients_of(classifier))
    if not isinstance(classifier, SVC | NuSVC) or classifier.kernel != "linear":
        return None
    coefficients = classifier.coef_
    dense = coefficients.toarray() if sparse.issparse(coefficients) else coefficients
    return Linear(
        np.asarray(dense, np.float64),
        np.asarray(classifier.intercept_, np.float64),
        pairs=len(classifier.classes_) > 2,
    )


def _self_calibrated(classifier: Any) -> Linear | None:
    """The folds of a CalibratedClassifierCV, one below the other."""
    parts, slopes, offsets = [], [], []
    for each in classifier.calibrated_classifiers_:
        own = each.estimator
        own = own.estimator if isinstance(own, FrozenEstimator) else own
        part = _margins(own)
        whole = len(own.classes_) == len(classifier.classes_)
        if classifier.method != "sigmoid" or part is None or part.pairs or not whole:
            return None
        parts.append(part)
        slopes.append([calibrator.a_ for calibrator in each.calibrators])
        offsets.append([calibrator.b_ for calibrator in each.calibrators])
    return Linear(
        np.vstack([part.coefficients for part in parts]),
        np.concatenate([part.intercepts for part in parts]),
        np.asarray(slopes, np.float64),
        np.asarray(offsets, np.float64),
    )
