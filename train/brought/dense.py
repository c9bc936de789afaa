"""A fitted pipeline that is not linear: a table that gives its features, and the rest of it.

Linear steps after the vectoriser are folded into the table, and so are the coefficients of
classifiers that only stand within others: then the features are their margins. The rest is what
export converts; `servable` says what may be in it.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, NuSVC

from schemas.models import RestScores
from train.brought.folding import foldable, folded, width_after
from train.brought.linear import LINEAR, coefficients_of
from train.brought.servable import asked_of, check
from train.errors import BroughtError
from train.unseen import Floats

DENSE_FEATURES_MAX: Final = 1024
"""What enters a classifier that is not linear: it looks at every feature of every post."""

TABLE_BYTES_MAX: Final = 512 << 20

_COUNTING: Final = (MultinomialNB, ComplementNB)
"""Linear in what they count, but for the softmax."""


@dataclass(frozen=True, slots=True)
class Dense:
    """Features = x @ coefficients.T + intercepts, float64 [D,V] and [D], enter `rest`.

    `rest` is a fitted Pipeline; `pairs` where its margins are between two labels each.
    """

    coefficients: Floats
    intercepts: Floats
    rest: Pipeline
    scores: RestScores
    pairs: bool


def read_dense(steps: Sequence[Any], classifier: Any, columns: int) -> Dense:
    """What follows a vectoriser of so many columns. Raises BroughtError."""
    check(steps, classifier)
    narrow = _narrowed(classifier) if all(foldable(step) for step in steps) else None
    if narrow is not None:
        classifier, taken = narrow
        left: Sequence[Any] = ()
    else:
        count, width = _leading(steps, classifier, columns)
        taken, left, steps = np.eye(width), steps[count:], steps[:count]
    _check_table(len(taken), columns)
    coefficients, intercepts = folded(steps, taken, np.zeros(len(taken)))
    svc = isinstance(classifier, SVC | NuSVC)
    if svc:
        classifier = copy(classifier)
        classifier.decision_function_shape = "ovo"
    named = [(f"step{number}", step) for number, step in enumerate(left)]
    return Dense(
        coefficients,
        intercepts,
        Pipeline([*named, ("classifier", classifier)]),
        asked_of(classifier),
        pairs=svc and len(classifier.classes_) > 2,
    )


def _leading(steps: Sequence[Any], classifier: Any, columns: int) -> tuple[int, int]:
    """How many steps are folded, and how many features leave them."""
    count, width = 0, columns
    while count < len(steps) and foldable(steps[count]):
        width = width_after(steps[count], width)
        count += 1
    if width > DENSE_FEATURES_MAX:
        first = type([*steps, classifier][count]).__name__
        raise BroughtError(
            f"{first} is not linear, and {width:,} features enter it, where {DENSE_FEATURES_MAX:,} "
            "can be served: put TruncatedSVD(100) or SelectKBest(k=1000) before it, or fit a "
            "LinearSVC, which takes any number, is as good on text, and costs microseconds"
        )
    return count, width


def _check_table(features: int, columns: int) -> None:
    size = 8 * features * columns
    if size > TABLE_BYTES_MAX:
        raise BroughtError(
            f"{features:,} features of {columns:,} terms are a table of {size >> 20:,} MiB, and "
            f"{TABLE_BYTES_MAX >> 20:,} can be served: fit the vectoriser with max_features or "
            "min_df, or take fewer directions"
        )


def _narrowed(classifier: Any) -> tuple[Any, Floats] | None:
    """The classifier on the margins of the linear ones within it, and their coefficients; None
    where one of those within is not linear.
    """
    leaves = list(_leaves(classifier))
    if not all(isinstance(leaf, (*LINEAR, *_COUNTING)) for leaf in leaves):
        return None
    rows = [_rows(leaf) for leaf in leaves]
    ends = np.cumsum([len(each) for each in rows])
    own = np.split(np.eye(ends[-1]), ends[:-1])
    return _on_margins(classifier, iter(own)), np.vstack(rows)


def _leaves(model: Any) -> Iterator[Any]:
    """The classifiers that read the features; a stack that passes them through is one."""
    if isinstance(model, FrozenEstimator):
        yield from _leaves(model.estimator)
    elif isinstance(model, CalibratedClassifierCV):
        for fold in model.calibrated_classifiers_:
            yield from _leaves(fold.estimator)
    elif isinstance(model, VotingClassifier | OneVsRestClassifier) or (
        isinstance(model, StackingClassifier) and not model.passthrough
    ):
        for each in model.estimators_:
            yield from _leaves(each)
    else:
        yield model


def _on_margins(model: Any, own: Iterator[Floats]) -> Any:
    """A copy whose linear classifiers read the next of `own`, each its own margins."""
    if isinstance(model, FrozenEstimator):
        return _on_margins(model.estimator, own)
    model = copy(model)
    if isinstance(model, CalibratedClassifierCV):
        folds = [copy(fold) for fold in model.calibrated_classifiers_]
        for fold in folds:
            fold.estimator = _on_margins(fold.estimator, own)
        model.calibrated_classifiers_ = folds
    elif hasattr(model, "estimators_"):
        model.estimators_ = [_on_margins(each, own) for each in model.estimators_]
        vars(model).pop("named_estimators_", None)
    elif isinstance(model, _COUNTING):
        model.feature_log_prob_ = next(own)
    else:
        model.coef_ = next(own)
    return model


def _rows(leaf: Any) -> Floats:
    if isinstance(leaf, _COUNTING):
        return np.asarray(leaf.feature_log_prob_, np.float64)
    return coefficients_of(leaf)[0]
