"""A fitted linear classifier, and the linear steps before it, to coefficients and calibration.

Steps between vectoriser and classifier are folded into the coefficients: nothing is left of them
at serving but one matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from train.calibration import Calibration
from train.errors import BroughtError
from train.unseen import Floats

LINEAR: Final = (LinearSVC, LogisticRegression, SGDClassifier, RidgeClassifier)
SMALLEST_PROBABILITY: Final = 1e-7


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

    def uncalibrated(self, order: Sequence[int]) -> Calibration:
        """From raw scores to logits without any fit: what the scores themselves say."""
        count = len(order)
        if self.pairs:
            return Calibration(_votes(count)[:, order], np.zeros(count))
        if self.slopes is None and count == 2:
            return Calibration(np.array([[-0.5, 0.5]]), np.zeros(2))
        return Calibration(np.eye(count), np.zeros(count))


def read_linear(steps: Sequence[Any], classifier: Any) -> Linear:
    """The classifier with the steps before it folded in. Raises BroughtError."""
    if isinstance(classifier, CalibratedClassifierCV):
        return _folded(_self_calibrated(classifier), steps)
    return _folded(_margins(classifier), steps)


def _margins(classifier: Any) -> Linear:
    """A classifier that does not calibrate itself."""
    if isinstance(classifier, SVC):
        return _svc(classifier)
    if not isinstance(classifier, LINEAR):
        known = ", ".join(kind.__name__ for kind in LINEAR)
        raise BroughtError(
            f"the classifier is a {type(classifier).__name__}, which cannot be served; {known} and "
            "SVC(kernel='linear') can, also within CalibratedClassifierCV"
        )
    return Linear(
        np.asarray(classifier.coef_, np.float64), _vector(classifier.intercept_, classifier)
    )


def _vector(intercepts: Any, classifier: Any) -> Floats:
    """Without an intercept scikit-learn gives one zero for all."""
    rows = len(np.atleast_2d(classifier.coef_))
    return np.array(np.broadcast_to(np.asarray(intercepts, np.float64), (rows,)))


def _svc(classifier: Any) -> Linear:
    if classifier.kernel != "linear":
        raise BroughtError(
            f"SVC(kernel={classifier.kernel!r}) on words costs milliseconds a post and is not "
            "served: fit a LinearSVC, which is as good on text, or kernel='linear'"
        )
    coefficients = classifier.coef_
    dense = coefficients.toarray() if sparse.issparse(coefficients) else coefficients
    return Linear(
        np.asarray(dense, np.float64),
        np.asarray(classifier.intercept_, np.float64),
        pairs=len(classifier.classes_) > 2,
    )


def _self_calibrated(classifier: Any) -> Linear:
    """The folds of a CalibratedClassifierCV, one below the other."""
    parts, slopes, offsets = [], [], []
    for each in classifier.calibrated_classifiers_:
        if classifier.method != "sigmoid":
            raise BroughtError(
                f"CalibratedClassifierCV(method={classifier.method!r}) jumps, so that rounding "
                "changes labels: fit it with method='sigmoid'"
            )
        own = each.estimator
        own = own.estimator if isinstance(own, FrozenEstimator) else own
        part = _margins(own)
        if part.pairs or len(own.classes_) != len(classifier.classes_):
            raise BroughtError(
                "CalibratedClassifierCV holds an SVC that votes between more than two labels, or "
                "a fold without one of the labels: fit it on a LinearSVC, and on more rows"
            )
        parts.append(part)
        slopes.append([calibrator.a_ for calibrator in each.calibrators])
        offsets.append([calibrator.b_ for calibrator in each.calibrators])
    return Linear(
        np.vstack([part.coefficients for part in parts]),
        np.concatenate([part.intercepts for part in parts]),
        np.asarray(slopes, np.float64),
        np.asarray(offsets, np.float64),
    )


def _folded(linear: Linear, steps: Sequence[Any]) -> Linear:
    coefficients = linear.coefficients
    for step in reversed(steps):
        coefficients = _before(step, coefficients)
    return replace(linear, coefficients=coefficients)


def _before(step: Any, coefficients: Floats) -> Floats:
    """Coefficients on what enters the step, of those on what leaves it."""
    if isinstance(step, MaxAbsScaler) or (isinstance(step, StandardScaler) and not step.with_mean):
        return coefficients if step.scale_ is None else coefficients / step.scale_
    if isinstance(step, TruncatedSVD):
        return np.asarray(coefficients @ step.components_, np.float64)
    if isinstance(step, SelectorMixin):
        support = step.get_support()
        wider = np.zeros((len(coefficients), len(support)))
        wider[:, support] = coefficients
        return wider
    raise BroughtError(
        f"the pipeline's step {type(step).__name__} is not linear, or not known here: a feature "
        "selection, MaxAbsScaler, StandardScaler(with_mean=False) and TruncatedSVD can be folded in"
    )


def _votes(count: int) -> Floats:
    """float64[pairs,count]: a margin between i and j speaks for i and against j."""
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    votes = np.zeros((len(pairs), count))
    for row, (i, j) in enumerate(pairs):
        votes[row, i], votes[row, j] = 1.0, -1.0
    return votes
