"""What is read of pipelines that are not linear, and what is refused; export makes their graphs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifierCV, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import (
    Binarizer,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from skops import io

from tests.unit.export.silent_faults.conversion import served
from tests.unit.train.brought.estimators import DIRECTIONS, ESTIMATORS, made
from tests.unit.train.brought.pipelines import LABELS, fitted, texts_and_labels
from train.brought.dense import DENSE_FEATURES_MAX, TABLE_BYTES_MAX, Dense, read_dense
from train.brought.linear import Linear
from train.brought.loading import load_pipeline
from train.brought.text import read_text
from train.errors import BroughtError

ODD = ["", "好", "A", "差" * 500, "qzxv wqjkp", "T恤 VIP É好吃 iPhone-15", "一\t二\r\n好吃"]
TEXTS = [*texts_and_labels(60, 9, 2)[0], *ODD]
CHARACTERS = TfidfVectorizer(analyzer="char")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_of_two_labels_scores_and_labels_are_the_owners(
    name: str, order: int, tmp_path: Path
) -> None:
    """From a file, and in either order of the labels; the margin changes its sign with them."""
    io.dump(made(name, 2), tmp_path / "pipeline.skops")
    pipeline = load_pipeline(str(tmp_path / "pipeline.skops"))
    labels = LABELS[:2][::order]
    model, scores = served(pipeline, TEXTS, tmp_path, labels=labels)
    np.testing.assert_allclose(scores, model.scores(TEXTS), atol=5e-6)
    assert [labels[label] for label in model.labels(scores)] == pipeline.predict(TEXTS).tolist()


LINEAR_ALL_THE_WAY: dict[str, tuple[Any, ...]] = {
    "centred directions": (DIRECTIONS, StandardScaler(), LinearSVC()),
    "whitened": (PCA(5, whiten=True), RobustScaler(), LinearSVC()),
    "scaled to a range": (DIRECTIONS, MinMaxScaler((-1, 1)), LogisticRegression()),
    "discriminants": (DIRECTIONS, LinearDiscriminantAnalysis()),
    "ridge": (RidgeClassifierCV(),),
    "perceptron": (Perceptron(),),
    "calibrated": (
        DIRECTIONS,
        StandardScaler(with_std=False),
        CalibratedClassifierCV(LinearSVC(), cv=2),
    ),
}


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("name", LINEAR_ALL_THE_WAY)
def test_what_shifts_is_folded_too(name: str, labels: int, tmp_path: Path) -> None:
    """Nothing is left of such a pipeline but one matrix, its intercepts and its calibration."""
    pipeline = fitted(CHARACTERS, *LINEAR_ALL_THE_WAY[name], labels=labels)
    model, scores = served(pipeline, TEXTS, tmp_path, labels=LABELS[:labels])
    assert isinstance(model.head, Linear)
    wanted = model.scores(TEXTS)
    np.testing.assert_allclose(scores, wanted, atol=5e-6 * max(1, np.abs(wanted).max()))
    said = [LABELS[label] for label in model.labels(scores)]
    assert said == pipeline.predict(TEXTS).tolist()


@pytest.mark.parametrize("name", ["linear vote", "linear isotonic", "multinomial", "stack"])
def test_what_is_linear_within_enters_as_margins(name: str) -> None:
    """So a vocabulary of any size is served: the table has a column a margin, not one a term."""
    model = read_text(made(name), None, LABELS)
    assert isinstance(model.head, Dense)
    assert len(model.head.coefficients) < 20 < len(model.vectorised.terms)


def test_rows_without_a_known_term_have_no_norm(tmp_path: Path) -> None:
    """The converter divides 0 by 0; scikit-learn leaves such a row as it is."""
    pipeline = fitted(CountVectorizer(analyzer="char"), DIRECTIONS, Normalizer(), SVC())
    model, scores = served(pipeline, ["qqq", ""], tmp_path)
    np.testing.assert_allclose(scores, model.scores(["qqq", ""]), atol=5e-6)


def test_too_many_features_are_refused_with_their_number() -> None:
    """The text says what enters what, the limit, and three ways out."""
    wide = DENSE_FEATURES_MAX + 1
    with pytest.raises(BroughtError) as refused:
        read_dense((), made("rbf on words").steps[-1][1], wide)
    for said in ("SVC is not linear", "1,025", "1,024", "TruncatedSVD(100)", "SelectKBest"):
        assert said in str(refused.value)
    read_dense((), made("rbf on words").steps[-1][1], DENSE_FEATURES_MAX)


def test_a_table_that_fills_the_memory_is_refused() -> None:
    """By its size, before it is made."""
    margins = made("linear vote").steps[-1][1]
    with pytest.raises(BroughtError, match=r"512 can be served.*max_features"):
        read_dense((), margins, TABLE_BYTES_MAX // 8)


def _soft(*voters: Any) -> VotingClassifier:
    return VotingClassifier([(str(n), each) for n, each in enumerate(voters)], voting="soft")


REFUSED: dict[str, tuple[Callable[[], tuple[Any, ...]], str]] = {
    "bagging": (lambda: (DIRECTIONS, BaggingClassifier(n_estimators=2)), "a BaggingClassifier"),
    "histograms": (
        lambda: (DIRECTIONS, HistGradientBoostingClassifier(max_iter=2)),
        "HistGradientBoostingClassifier, which cannot be served; there can LinearSVC",
    ),
    "step": (lambda: (DIRECTIONS, Binarizer(), LinearSVC()), "step Binarizer cannot be served"),
    "hard vote": (
        lambda: (VotingClassifier([("a", LinearSVC()), ("b", MultinomialNB())]),),
        "voting='soft'",
    ),
    "bare labels": (
        lambda: (StackingClassifier([("a", LinearSVC())], stack_method="predict", cv=2),),
        "the bare labels of LinearSVC",
    ),
    "temperature": (
        lambda: (CalibratedClassifierCV(LinearSVC(), method="temperature", cv=2),),
        "method='temperature'",
    ),
    "isotonic trees": (
        lambda: (
            DIRECTIONS,
            CalibratedClassifierCV(RandomForestClassifier(2), method="isotonic", cv=2),
        ),
        "jumps where rounding decides",
    ),
    "exponential": (
        lambda: (DIRECTIONS, GradientBoostingClassifier(loss="exponential", n_estimators=2)),
        "GradientBoostingClassifier(loss='exponential')",
    ),
    "boosted from a model": (
        lambda: (DIRECTIONS, GradientBoostingClassifier(init="zero", n_estimators=2)),
        "GradientBoostingClassifier(init='zero')",
    ),
    "weighted neighbours": (
        lambda: (DIRECTIONS, KNeighborsClassifier(weights="distance")),
        "KNeighborsClassifier(weights='distance')",
    ),
    "angles of neighbours": (
        lambda: (DIRECTIONS, KNeighborsClassifier(metric="cosine")),
        "KNeighborsClassifier(metric='cosine')",
    ),
    "neighbours on words": (
        lambda: (CalibratedClassifierCV(KNeighborsClassifier(), cv=2),),
        "leaves ties to chance",
    ),
    "kernel": (lambda: (SVC(kernel=_kernel),), "SVC(kernel=_kernel) cannot be served"),
    "voter's loss": (
        lambda: (_soft(SGDClassifier(loss="modified_huber", random_state=1)),),
        "SGDClassifier(loss='modified_huber') cannot be served; in a vote",
    ),
    "one by one without margins": (
        lambda: (OneVsRestClassifier(MultinomialNB()),),
        "OneVsRestClassifier can be served where",
    ),
}


def _kernel(x: Any, y: Any) -> Any:
    return x @ y.T


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_rightly_is_refused_by_name(name: str) -> None:
    """The text names the estimator and its setting, and what to take instead."""
    make, said = REFUSED[name]
    pipeline = fitted(CHARACTERS, *make(), labels=2)
    with pytest.raises(BroughtError) as refused:
        read_text(pipeline, None, LABELS[:2])
    assert said in str(refused.value)


@pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")
def test_a_voter_that_contradicts_its_own_labels_is_refused() -> None:
    """An SVC has no probabilities worth averaging; calibrated it has."""
    pipeline = fitted(CHARACTERS, _soft(SVC(probability=True)), labels=2)
    with pytest.raises(BroughtError, match=r"vote by CalibratedClassifierCV\(SVC\(\)"):
        read_text(pipeline, None, LABELS[:2])


def test_margins_by_pair_are_no_margins_of_labels() -> None:
    """Of three labels there are three of either, and scikit-learn takes one for the other."""
    by_pair = SVC(kernel="rbf", decision_function_shape="ovo")
    pipeline = fitted(CHARACTERS, CalibratedClassifierCV(by_pair, cv=2))
    with pytest.raises(BroughtError, match="decision_function_shape='ovo'"):
        read_text(pipeline, None, LABELS)


def test_a_fold_without_one_of_the_labels_is_refused() -> None:
    """Its margins have no column of that label."""
    calibrated = CalibratedClassifierCV(SVC(), cv=2)
    pipeline = fitted(CHARACTERS, TruncatedSVD(4), calibrated)
    fold = pipeline.steps[-1][1].calibrated_classifiers_[0]
    fold.estimator.classes_ = fold.estimator.classes_[:2]
    with pytest.raises(BroughtError, match="a fold without one of the labels"):
        read_text(pipeline, None, LABELS)
