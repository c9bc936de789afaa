"""Which scikit-learn estimators may follow a vectoriser, and why others may not.

Export makes a graph of all that pass; that the graph is right is for the gate to see. What is
refused here is what no graph can say, or what scikit-learn itself leaves to chance.
"""

from collections.abc import Sequence
from typing import Any, Final

from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer
from sklearn.svm import SVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from schemas.models import RestScores
from train.brought.folding import foldable
from train.brought.linear import LINEAR
from train.errors import BroughtError

_HOLDING: Final = (
    CalibratedClassifierCV,
    VotingClassifier,
    StackingClassifier,
    OneVsRestClassifier,
)
_TREES: Final = (
    DecisionTreeClassifier,
    RandomForestClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
)
_SINGLE: Final = (
    *LINEAR,
    SVC,
    NuSVC,
    MultinomialNB,
    ComplementNB,
    BernoulliNB,
    GaussianNB,
    MLPClassifier,
    KNeighborsClassifier,
    *_TREES,
)
_KERNELS: Final = ("linear", "poly", "rbf", "sigmoid")
_METHODS: Final = ("sigmoid", "isotonic")
_METRICS: Final = (("euclidean", None), ("minkowski", 2))


def check(steps: Sequence[Any], classifier: Any) -> None:
    """Raises BroughtError for the first that cannot be served, with its name."""
    for step in steps:
        _check_step(step)
    _check(classifier, asked_of(classifier))
    directed = any(isinstance(step, TruncatedSVD | PCA) for step in steps)
    if not directed and any(isinstance(each, KNeighborsClassifier) for each in _within(classifier)):
        raise BroughtError(
            "KNeighborsClassifier on words leaves ties to chance, for a text of unknown words is "
            "as near to every row: put TruncatedSVD(100) before it"
        )


def asked_of(model: Any) -> RestScores:
    """What scikit-learn asks of a classifier: margins where it has any."""
    return "margins" if hasattr(model, "decision_function") else "probabilities"


def _check_step(step: Any) -> None:
    if (
        step in {None, "passthrough"}
        or foldable(step)
        or isinstance(step, Normalizer | MinMaxScaler)
    ):
        return
    raise BroughtError(
        f"the pipeline's step {type(step).__name__} cannot be served: a feature selection, "
        "MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler, Normalizer, TruncatedSVD and "
        "PCA can"
    )


def _within(model: Any) -> list[Any]:
    """The estimator, and all that it holds and asks."""
    match model:
        case FrozenEstimator():
            held = [model.estimator]
        case Pipeline():
            held = [model.steps[-1][1]]
        case CalibratedClassifierCV():
            held = [fold.estimator for fold in model.calibrated_classifiers_]
        case StackingClassifier():
            held = [*model.estimators_, model.final_estimator_]
        case VotingClassifier() | OneVsRestClassifier():
            held = list(model.estimators_)
        case _:
            held = []
    return [model, *(each for one in held for each in _within(one))]


def _check(model: Any, asked: RestScores) -> None:
    """As a classifier that is asked for margins or probabilities."""
    match model:
        case FrozenEstimator():
            _check(model.estimator, asked)
        case Pipeline():
            for _, step in model.steps[:-1]:
                _check_step(step)
            _check(model.steps[-1][1], asked)
        case CalibratedClassifierCV():
            _check_calibrated(model)
        case VotingClassifier():
            _check_voting(model)
        case StackingClassifier():
            _check_stack(model, asked)
        case OneVsRestClassifier():
            _check_one_vs_rest(model, asked)
        case _:
            _check_single(model, asked)


def _check_calibrated(model: Any) -> None:
    if model.method not in _METHODS:
        raise BroughtError(
            f"CalibratedClassifierCV(method={model.method!r}) cannot be served: fit it with "
            "method='sigmoid' or 'isotonic'"
        )
    for fold in model.calibrated_classifiers_:
        if len(fold.estimator.classes_) != len(model.classes_):
            raise BroughtError(
                "CalibratedClassifierCV holds a fold without one of the labels: fit it on more rows"
            )
        for each in _within(fold.estimator):
            _check_votes(each, len(model.classes_))
            _check_jumps(each, model.method)
        _check(fold.estimator, asked_of(fold.estimator))


def _check_votes(model: Any, labels: int) -> None:
    """A calibrator takes one margin by label."""
    if isinstance(model, SVC | NuSVC) and labels > 2 and model.decision_function_shape != "ovr":
        raise BroughtError(
            f"{type(model).__name__}(decision_function_shape='ovo') within CalibratedClassifierCV "
            "gives margins by pair, which are taken for those of labels: fit it with 'ovr'"
        )


def _check_jumps(model: Any, method: str) -> None:
    """What trees say is float32 in a graph, and an isotonic line may jump at its last digit."""
    if isinstance(model, _TREES) and method == "isotonic":
        raise BroughtError(
            f"CalibratedClassifierCV(method='isotonic') of a {type(model).__name__} jumps where "
            "rounding decides: fit it with method='sigmoid'"
        )


def _check_voting(model: Any) -> None:
    if model.voting != "soft":
        raise BroughtError(
            "VotingClassifier(voting='hard') counts votes and has no scores to fuse: fit it with "
            "voting='soft', its SVCs within CalibratedClassifierCV(…, ensemble=False)"
        )
    for each in model.estimators_:
        _check(each, "probabilities")


def _check_stack(model: Any, asked: RestScores) -> None:
    for each, method in zip(model.estimators_, model.stack_method_, strict=True):
        if method == "predict":
            raise BroughtError(
                f"StackingClassifier reads the bare labels of {type(each).__name__}, which jump: "
                "fit it with stack_method='auto' on estimators that have scores"
            )
        _check(each, "margins" if method == "decision_function" else "probabilities")
    _check(model.final_estimator_, asked)


def _check_one_vs_rest(model: Any, asked: RestScores) -> None:
    if asked != "margins" or model.multilabel_:
        raise BroughtError(
            "OneVsRestClassifier can be served where its classifiers have a decision function, and "
            "a post one label: take a LinearSVC or a LogisticRegression"
        )
    for each in model.estimators_:
        _check(each, "margins")


def _check_single(model: Any, asked: RestScores) -> None:
    name = type(model).__name__
    if not isinstance(model, _SINGLE):
        served = ", ".join(dict.fromkeys(kind.__name__ for kind in (*_SINGLE, *_HOLDING)))
        raise BroughtError(
            f"the classifier is a {name}, which cannot be served; there can {served}"
        )
    if isinstance(model, SVC | NuSVC):
        _check_svc(model, name, asked)
    if isinstance(model, SGDClassifier) and asked == "probabilities" and model.loss != "log_loss":
        raise _not_served(name, "loss", model.loss, "in a vote 'log_loss' can")
    if isinstance(model, GradientBoostingClassifier):
        if model.loss != "log_loss":
            raise _not_served(name, "loss", model.loss, "'log_loss' can")
        if model.init is not None:
            raise _not_served(name, "init", model.init, "None can")
    if isinstance(model, KNeighborsClassifier):
        if model.weights != "uniform":
            raise _not_served(name, "weights", model.weights, "'uniform' can")
        if not any(model.metric == m and p in {None, model.p} for m, p in _METRICS):
            raise _not_served(name, "metric", model.metric, "'euclidean' can")


def _check_svc(model: Any, name: str, asked: RestScores) -> None:
    if model.kernel not in _KERNELS:
        raise _not_served(name, "kernel", model.kernel, f"{', '.join(_KERNELS)} can")
    if asked == "probabilities":
        raise BroughtError(
            f"{name}(probability=True) gives probabilities that contradict its labels, and "
            f"scikit-learn 1.11 drops them: vote by "
            f"CalibratedClassifierCV({name}(), ensemble=False)"
        )


def _not_served(name: str, setting: str, value: Any, served: str) -> BroughtError:
    shown = getattr(value, "__qualname__", None) or repr(value)
    return BroughtError(f"{name}({setting}={shown}) cannot be served; {served}")
