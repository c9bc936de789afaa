"""What a brought pipeline does after its sums, in float64: features in, raw scores out.

Estimators that hold others are taken apart here and put together in ONNX as scikit-learn does it;
the converter, which gets most of them wrong, sees single ones only. In float64, because thresholds,
steep lines and 1 - p show the rounding of float32.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from export.calibrator_graph import calibrated, normalised, sigmoid
from export.converted import (
    boosted_margins,
    class_probabilities,
    forest_probabilities,
    transformed,
)
from export.kernel_graph import neighbour_probabilities, svc_margins
from export.onnx_graph import DOUBLE, OnnxGraph
from schemas.models import RestScores

_SMALLEST_PROBABILITY: Final = 1e-7
_FORESTS: Final = (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier)
_COUNTING: Final = (MultinomialNB, ComplementNB, BernoulliNB)
_NORMS: Final = {"l1": "ReduceL1", "l2": "ReduceL2", "max": "ReduceMax"}


def rest_scores(
    graph: OnnxGraph, rest: Any, features: str, kind: RestScores, order: Sequence[int]
) -> tuple[str, int]:
    """Raw scores of the features float64 [N,D], and their width.

    `order[i]` is the place of label i in the classes, whose order margins by pair keep.
    """
    model, x = _opened(graph, rest, features)
    if kind == "margins":
        return _in_order(graph, model, _margins(graph, model, x), order)
    found = _probabilities(graph, model, x)
    columns = graph.node("Gather", [found, graph.places(order)], axis=1)
    kept = graph.node("Max", [columns, graph.doubles(_SMALLEST_PROBABILITY)])
    return graph.node("Log", [kept]), len(order)


def _in_order(graph: OnnxGraph, model: Any, found: str, order: Sequence[int]) -> tuple[str, int]:
    labels = len(order)
    if labels == 2:
        return found if order[0] == 0 else graph.node("Neg", [found]), 1
    if getattr(model, "decision_function_shape", None) == "ovo":
        return found, labels * (labels - 1) // 2
    return graph.node("Gather", [found, graph.places(order)], axis=1), labels


def _margins(graph: OnnxGraph, model: Any, x: str) -> str:
    """What `decision_function` gives, [N,1] where that is flat."""
    model, x = _opened(graph, model, x)
    match model:
        case SVC() | NuSVC():
            return svc_margins(graph, model, x)
        case GradientBoostingClassifier():
            return boosted_margins(graph, model, x)
        case OneVsRestClassifier():
            parts = [_margins(graph, each, x) for each in model.estimators_]
            return graph.node("Concat", parts, axis=1)
        case StackingClassifier():
            return _margins(graph, model.final_estimator_, _stacked(graph, model, x))
    weights = np.atleast_2d(model.coef_)
    # Without an intercept scikit-learn has one zero for all.
    return _product(graph, x, weights, np.broadcast_to(model.intercept_, (len(weights),)))


def _probabilities(graph: OnnxGraph, model: Any, x: str) -> str:
    """What `predict_proba` gives, [N,K]."""
    model, x = _opened(graph, model, x)
    match model:
        case CalibratedClassifierCV():
            parts = [_fold(graph, each, x) for each in model.calibrated_classifiers_]
            return _average(graph, parts, [1.0] * len(parts))
        case VotingClassifier():
            parts = [_probabilities(graph, each, x) for each in model.estimators_]
            return _average(graph, parts, _votes(model))
        case StackingClassifier():
            return _probabilities(graph, model.final_estimator_, _stacked(graph, model, x))
        case KNeighborsClassifier():
            return neighbour_probabilities(graph, model, x)
    if isinstance(model, _COUNTING):
        return graph.node("Softmax", [_joint(graph, model, x)], axis=1)
    if isinstance(model, _FORESTS):
        return forest_probabilities(graph, model, x)
    if hasattr(model, "decision_function"):
        return _linked(graph, model, _margins(graph, model, x))
    return class_probabilities(graph, model, x)


def _opened(graph: OnnxGraph, model: Any, x: str) -> tuple[Any, str]:
    """The classifier within pipelines and frozen estimators, and what enters it."""
    while isinstance(model, Pipeline | FrozenEstimator):
        if isinstance(model, Pipeline):
            for _, step in model.steps[:-1]:
                x = _step(graph, step, x)
            model = model.steps[-1][1]
        else:
            model = model.estimator
    return model, x


def _step(graph: OnnxGraph, step: Any, x: str) -> str:
    if step is None or step == "passthrough":
        return x
    if isinstance(step, SelectorMixin):
        return graph.node("Gather", [x, graph.places(np.flatnonzero(step.get_support()))], axis=1)
    return (
        _normed(graph, step.norm, x)
        if isinstance(step, Normalizer)
        else transformed(graph, step, x)
    )


def _normed(graph: OnnxGraph, norm: str, x: str) -> str:
    """Each row by its norm; a row of zeros stays one, which skl2onnx makes NaN."""
    values = graph.node("Abs", [x]) if norm == "max" else x
    length = graph.node(_NORMS[norm], [values, graph.ints("axis.columns", [1])], keepdims=1)
    none = graph.node("Equal", [length, graph.doubles(0)])
    return graph.node("Div", [x, graph.node("Where", [none, graph.doubles(1), length])])


def _linked(graph: OnnxGraph, model: Any, found: str) -> str:
    """Probabilities of margins: logistic with two labels, of more softmax, of SGD by label."""
    if len(model.classes_) == 2:
        # 1 - p has few digits left where p is nearly 1.
        return sigmoid(graph, graph.node("Concat", [graph.node("Neg", [found]), found], axis=1))
    if isinstance(model, SGDClassifier):
        return normalised(graph, sigmoid(graph, found), len(model.classes_))
    return graph.node("Softmax", [found], axis=1)


def _joint(graph: OnnxGraph, model: Any, x: str) -> str:
    """Joint log-likelihoods [N,K] of a naive Bayes that counts."""
    weights, offsets = model.feature_log_prob_, model.class_log_prior_
    if isinstance(model, ComplementNB):
        offsets = np.zeros(len(weights))
    if isinstance(model, BernoulliNB):
        absent = np.log1p(-np.exp(weights))
        weights, offsets = weights - absent, offsets + absent.sum(axis=1)
        if model.binarize is not None:
            there = graph.node("Greater", [x, graph.doubles(model.binarize)])
            x = graph.node("Cast", [there], to=DOUBLE)
    return _product(graph, x, weights, offsets)


def _product(graph: OnnxGraph, x: str, weights: Any, offsets: Any) -> str:
    products = graph.node("MatMul", [x, graph.doubles(weights.T)])
    return graph.node("Add", [products, graph.doubles(offsets)])


def _fold(graph: OnnxGraph, fold: Any, x: str) -> str:
    """One of those that a CalibratedClassifierCV averages: margins where there are any."""
    has_margins = hasattr(fold.estimator, "decision_function")
    method = "decision_function" if has_margins else "predict_proba"
    return calibrated(graph, _responses(graph, fold.estimator, x, method), fold.calibrators)


def _responses(graph: OnnxGraph, model: Any, x: str, method: str) -> str:
    """Margins, or probabilities without the first of two, which says nothing more."""
    if method == "decision_function":
        return _margins(graph, model, x)
    found = _probabilities(graph, model, x)
    if len(model.classes_) > 2:
        return found
    return graph.node("Gather", [found, graph.places([1])], axis=1)


def _stacked(graph: OnnxGraph, model: Any, x: str) -> str:
    """What the last estimator of a stack reads."""
    parts = [
        _responses(graph, each, x, method)
        for each, method in zip(model.estimators_, model.stack_method_, strict=True)
    ]
    return graph.node("Concat", [*parts, *([x] if model.passthrough else ())], axis=1)


def _votes(model: Any) -> list[float]:
    """The weight of each voter that was not dropped."""
    weights = model.weights or [1.0] * len(model.estimators)
    return [w for w, (_, each) in zip(weights, model.estimators, strict=True) if each != "drop"]


def _average(graph: OnnxGraph, parts: Sequence[str], weights: Sequence[float]) -> str:
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    scaled = [
        graph.node("Mul", [part, graph.doubles(share)])
        for part, share in zip(parts, shares, strict=True)
    ]
    return graph.node("Sum", scaled)
