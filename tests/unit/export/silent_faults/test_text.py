"""Text pipelines that the plain converter gets wrong, most of them without a word."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException
from skl2onnx.common.exceptions import MissingShapeCalculator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC

from tests.unit.export.silent_faults.conversion import plain_answers, plain_graph, served
from tests.unit.train.brought.pipelines import (
    LABELS,
    fitted,
    jieba_words,
    joined,
    texts_and_labels,
)
from train.brought.text import read_text
from train.errors import BroughtError

TEXTS = texts_and_labels(60, 9)[0]
WORDS = joined(TEXTS)
RAW = {LinearSVC: {"raw_scores": True}}
PROBABILITIES = {LogisticRegression: {"zipmap": False}}
EXACT = 2e-6


def _tfidf(**settings: Any) -> TfidfVectorizer:
    return TfidfVectorizer(**{"lowercase": False, "token_pattern": r"\S+", **settings})


def _plain_probabilities(pipeline: Any, texts: list[str]) -> Any:
    return plain_answers(pipeline, texts, {id(pipeline): {"zipmap": False}})[1]


def test_the_default_token_pattern_is_rewritten_to_ascii(tmp_path: Path) -> None:
    """The plain graph loses every Chinese word without an error; ours keeps them."""
    pipeline = fitted(_tfidf(token_pattern=r"(?u)\b\w\w+\b"), LinearSVC(), joined_words=True)
    said = pipeline.predict(WORDS)
    plain, _ = plain_answers(pipeline, WORDS, RAW)
    assert np.mean(plain.ravel() == said) < 0.7
    model, scores = served(pipeline, TEXTS, tmp_path, "jieba")
    assert [LABELS[label] for label in scores.argmax(axis=1)] == said.tolist()
    np.testing.assert_allclose(scores, model.scores(TEXTS), atol=EXACT)


def test_a_tokenizer_is_not_converted_and_a_named_one_is(tmp_path: Path) -> None:
    """skl2onnx says NotImplementedError; with --tokenizer jieba we serve just that pipeline."""
    vectoriser = _tfidf(tokenizer=jieba_words, token_pattern=None)
    pipeline = fitted(vectoriser, LinearSVC())
    with pytest.raises(NotImplementedError, match="Custom tokenizer"):
        plain_graph(pipeline, RAW)
    vectoriser.tokenizer = None
    model, scores = served(pipeline, TEXTS, tmp_path, "jieba")
    np.testing.assert_allclose(scores, model.scores(TEXTS), atol=EXACT)


def test_a_hashing_vectoriser_is_not_converted_and_is_served(tmp_path: Path) -> None:
    """skl2onnx knows no shape of it; our host hashes, and the graph is one as of any vocabulary."""
    vectoriser = HashingVectorizer(n_features=2**10, token_pattern=r"\S+", ngram_range=(1, 2))
    pipeline = fitted(vectoriser, LinearSVC(), joined_words=True)
    with pytest.raises(MissingShapeCalculator, match="HashingVectorizer"):
        plain_graph(pipeline, RAW)
    model, scores = served(pipeline, WORDS, tmp_path)
    np.testing.assert_allclose(scores, model.scores(WORDS), atol=EXACT)


def test_an_analyzer_of_ones_own_converts_and_never_loads() -> None:
    """The plain graph is written, and ONNX Runtime refuses it; we refuse it by name before."""
    vectoriser = TfidfVectorizer(lowercase=False, analyzer=jieba_words)
    pipeline = fitted(vectoriser, LinearSVC())
    plain_graph(pipeline, RAW)
    with pytest.raises(Fail):
        plain_answers(pipeline, TEXTS, RAW)
    with pytest.raises(BroughtError, match="analyzer=jieba_words"):
        read_text(pipeline, "jieba", LABELS)


def test_lowercase_needs_no_locale(tmp_path: Path) -> None:
    """The plain graph lowercases by the system's locale, which a slim image lacks; we on the host,
    as Python does, so that the graph holds no string at all.
    """
    pipeline = fitted(_tfidf(lowercase=True), LinearSVC(), joined_words=True)
    plain = plain_graph(pipeline, RAW)
    lowered = [node for node in plain.graph.node if node.op_type == "StringNormalizer"]
    assert b"LOWER" in [attribute.s for node in lowered for attribute in node.attribute]
    texts = [text.upper() + " İSTANBUL Σίσυφος" for text in TEXTS]
    model, scores = served(pipeline, texts, tmp_path, "jieba")
    np.testing.assert_allclose(scores, model.scores(texts), atol=EXACT)


def test_a_unicode_flag_in_the_pattern_loads(tmp_path: Path) -> None:
    """The plain graph's regular expressions know no (?u), and it does not load."""
    pipeline = fitted(_tfidf(token_pattern=r"(?u)\b\w+\b"), LinearSVC(), joined_words=True)
    with pytest.raises(Fail, match="invalid perl operator"):
        plain_answers(pipeline, WORDS, RAW)
    model, scores = served(pipeline, TEXTS, tmp_path, "jieba")
    np.testing.assert_allclose(scores, model.scores(TEXTS), atol=EXACT)


def test_sublinear_counts_are_logarithms(tmp_path: Path) -> None:
    """In the plain graph they are not, where a word stands twice; nothing says so."""
    pipeline = fitted(_tfidf(sublinear_tf=True), LogisticRegression(), joined_words=True)
    words = [f"{text} {text} {text.split(' ')[0]}" for text in WORDS]
    apart = np.abs(_plain_probabilities(pipeline, words) - pipeline.predict_proba(words))
    assert apart.max() > 1e-3
    model, scores = served(pipeline, words, tmp_path)
    np.testing.assert_allclose(scores, model.scores(words), atol=EXACT)


def test_stop_words_leave_no_gap_in_n_grams(tmp_path: Path) -> None:
    """In the plain graph the n-grams are of other words; nothing says so."""
    stop = ["的", "今天", "我"]
    pipeline = fitted(
        _tfidf(stop_words=stop, ngram_range=(1, 2)), LogisticRegression(), joined_words=True
    )
    apart = np.abs(_plain_probabilities(pipeline, WORDS) - pipeline.predict_proba(WORDS))
    assert apart.max() > 1e-2
    model, scores = served(pipeline, WORDS, tmp_path)
    np.testing.assert_allclose(scores, model.scores(WORDS), atol=EXACT)


def test_a_hard_vote_is_refused_by_name() -> None:
    """The plain graph reads a LinearSVC's one margin as two, and gives a third of the labels wrong;
    nothing says so. Votes of the two modalities are the strategy `voting`, which is our own.
    """
    voters = [("a", LogisticRegression()), ("b", LinearSVC())]
    hard = VotingClassifier(voters, flatten_transform=False)
    pipeline = fitted(_tfidf(), hard, joined_words=True, labels=2)
    words = joined(texts_and_labels(60, 9, 2)[0])
    plain, *_ = plain_answers(pipeline, words)
    assert np.mean(plain.ravel() != pipeline.predict(words)) > 0.2
    with pytest.raises(BroughtError, match=r"VotingClassifier\(voting='hard'\) counts"):
        read_text(pipeline, None, LABELS[:2])


def test_stacking_on_margins_is_put_together_anew(tmp_path: Path) -> None:
    """The plain graph fails only where it runs: at serving."""
    stacked = StackingClassifier([("a", LinearSVC()), ("b", LinearSVC(C=0.1))], cv=2)
    pipeline = fitted(_tfidf(), stacked, joined_words=True, labels=2)
    words = joined(texts_and_labels(60, 9, 2)[0])
    plain_graph(pipeline)
    with pytest.raises((Fail, InvalidArgument, RuntimeException)):
        plain_answers(pipeline, words)
    model, scores = served(pipeline, words, tmp_path, labels=LABELS[:2])
    np.testing.assert_allclose(scores, model.scores(words), atol=EXACT)


def test_isotonic_calibration_is_interpolated(tmp_path: Path) -> None:
    """The plain graph is far off, for it steps in float32 where scikit-learn interpolates."""
    calibrated = CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2)
    pipeline = fitted(_tfidf(), calibrated, joined_words=True)
    apart = np.abs(_plain_probabilities(pipeline, WORDS) - pipeline.predict_proba(WORDS))
    assert apart.max() > 1e-2
    model, scores = served(pipeline, WORDS, tmp_path)
    said = pipeline.predict_proba(WORDS)[:, model.order]
    np.testing.assert_allclose(np.exp(scores), said, atol=EXACT)


def test_discriminants_of_two_labels_are_one_margin(tmp_path: Path) -> None:
    """The plain graph takes the logistic function of twice the margin; nothing says so."""
    steps = (TruncatedSVD(8, random_state=1), LinearDiscriminantAnalysis())
    pipeline = fitted(_tfidf(), *steps, joined_words=True, labels=2)
    words = joined(texts_and_labels(200, 9, 2)[0])
    apart = np.abs(_plain_probabilities(pipeline, words) - pipeline.predict_proba(words))
    assert apart.max() > 1e-2
    model, scores = served(pipeline, words, tmp_path, labels=LABELS[:2])
    wanted = model.scores(words)
    np.testing.assert_allclose(scores, wanted, atol=5e-6 * np.abs(wanted).max())


def test_neighbours_by_distance_are_refused_by_name() -> None:
    """The plain graph weights them otherwise; nothing says so."""
    steps = (TruncatedSVD(8, random_state=1), KNeighborsClassifier(weights="distance"))
    pipeline = fitted(_tfidf(), *steps, joined_words=True)
    words = joined(texts_and_labels(200, 9)[0])
    apart = np.abs(_plain_probabilities(pipeline, words) - pipeline.predict_proba(words))
    assert apart.max() > 1e-2
    with pytest.raises(BroughtError, match=r"KNeighborsClassifier\(weights='distance'\)"):
        read_text(pipeline, None, LABELS)


def test_margins_of_an_exponential_loss_are_refused_by_name() -> None:
    """Asked for raw scores, the plain graph gives something else; nothing says so."""
    boosted = GradientBoostingClassifier(loss="exponential", n_estimators=10, random_state=1)
    pipeline = fitted(
        _tfidf(), TruncatedSVD(8, random_state=1), boosted, joined_words=True, labels=2
    )
    words = joined(texts_and_labels(60, 9, 2)[0])
    raw = {id(boosted): {"raw_scores": True, "zipmap": False}}
    plain = plain_answers(pipeline, words, raw)[1]
    assert np.abs(plain[:, -1] - pipeline.decision_function(words)).max() > 1e-2
    with pytest.raises(BroughtError, match=r"GradientBoostingClassifier\(loss='exponential'\)"):
        read_text(pipeline, None, LABELS[:2])


def test_trees_of_histograms_are_refused_by_name() -> None:
    """The plain converter ends in an error that names no setting."""
    histograms = HistGradientBoostingClassifier(max_iter=2)
    pipeline = fitted(_tfidf(), TruncatedSVD(8), histograms, joined_words=True)
    with pytest.raises(ValueError, match="base_values"):
        plain_graph(pipeline)
    with pytest.raises(BroughtError, match="HistGradientBoostingClassifier, which cannot be"):
        read_text(pipeline, None, LABELS)


def test_sigmoid_calibration_is_served_as_it_is(tmp_path: Path) -> None:
    """What to use instead."""
    calibrated = CalibratedClassifierCV(LinearSVC(), cv=2)
    pipeline = fitted(_tfidf(), calibrated, joined_words=True)
    model, scores = served(pipeline, WORDS, tmp_path)
    said = pipeline.predict_proba(WORDS)[:, model.order]
    np.testing.assert_allclose(np.exp(scores), said, atol=EXACT)


@pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")
def test_an_svc_with_probabilities_is_served_by_its_margins(tmp_path: Path) -> None:
    """Its probabilities contradict its own labels, and scikit-learn 1.11 drops them."""
    pipeline = fitted(_tfidf(), SVC(kernel="linear", probability=True), joined_words=True)
    model, scores = served(pipeline, WORDS, tmp_path)
    assert scores.shape[1] == math.comb(len(LABELS), 2)
    said = [LABELS[label] for label in model.labels(scores)]
    assert said == pipeline.predict(WORDS).tolist()


@pytest.mark.parametrize("labels", [LABELS[:2], LABELS[1::-1]])
def test_a_linear_svc_of_two_labels_gives_one_margin(
    labels: tuple[str, ...], tmp_path: Path
) -> None:
    """Plainly it converts with one option alone, and then gives two columns for one margin."""
    pipeline = fitted(_tfidf(), LinearSVC(), joined_words=True, labels=2)
    texts = joined(texts_and_labels(30, 9, 2)[0])
    with pytest.raises(NameError, match="zipmap"):
        plain_graph(pipeline)
    margins = plain_answers(pipeline, texts, RAW)[1]
    assert margins.shape == (30, 2)
    _, scores = served(pipeline, texts, tmp_path, labels=labels)
    sign = 1 if labels[1] == pipeline.classes_[1] else -1
    wanted = sign * pipeline.decision_function(texts)[:, None]
    np.testing.assert_allclose(scores, wanted, atol=EXACT)
