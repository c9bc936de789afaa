from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.preprocessing import MaxAbsScaler, Normalizer
from sklearn.svm import SVC, LinearSVC
from skops import io

from features.text import TextVectoriser
from tests.unit.train.brought.pipelines import (
    LABELS,
    fitted,
    jieba_words,
    joined,
    texts_and_labels,
)
from train.brought.linear import Linear
from train.brought.loading import load_pipeline
from train.brought.text import BroughtText, read_text
from train.errors import BroughtError
from train.unseen import Floats

ODD = ["", "好", "A", "差" * 500, "qzxv wqjkp", "T恤 VIP É好吃 iPhone-15", "一\t二\r\n好吃"]
WORDS = r"(?u)\b\w+\b"


def _served(model: BroughtText, texts: list[str]) -> Floats:
    """What the arrays of model.npz say, computed in numpy on serving's own counts."""
    weighting, linear = model.vectorised.weighting, model.head
    assert isinstance(linear, Linear)
    vectoriser = TextVectoriser(model.block, model.vectorised.terms)
    counts = vectoriser.counts(texts)
    x = np.zeros((len(texts), model.vectorised.columns))
    x[np.repeat(np.arange(len(texts)), counts.lengths), counts.columns] = counts.counts
    if weighting.binary_tf:
        x = np.sign(x)
    if weighting.sublinear_tf:
        x = np.where(x > 0, 1 + np.log(np.maximum(x, 1)), 0)
    x = x * weighting.idf
    if weighting.norm != "none":
        length = np.linalg.norm(x, ord={"l2": 2, "l1": 1}[weighting.norm], axis=1)
        x = x / np.maximum(length, 1e-30)[:, None]
    margins = x @ linear.coefficients.T + linear.intercepts
    if linear.slopes is None or linear.offsets is None:
        return np.asarray(margins, np.float64)
    folds = margins.reshape(len(x), *linear.slopes.shape)
    p = 1 / (1 + np.exp(linear.slopes * folds + linear.offsets))
    p = np.concatenate((1 - p, p), axis=2) if p.shape[2] == 1 else p / p.sum(axis=2, keepdims=True)
    return np.asarray(np.log(np.maximum(p.mean(axis=1), 1e-7)), np.float64)


PIPELINES: dict[str, Callable[[], Any]] = {
    "characters": lambda: fitted(TfidfVectorizer(analyzer="char", ngram_range=(1, 3)), LinearSVC()),
    "word edges": lambda: fitted(
        CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)), LogisticRegression()
    ),
    "pattern": lambda: fitted(
        TfidfVectorizer(token_pattern=WORDS, use_idf=False, stop_words=["今天", "我"]), LinearSVC()
    ),
    "counts weighted later": lambda: fitted(
        CountVectorizer(binary=True, token_pattern=r"\S+", lowercase=False),
        TfidfTransformer(norm="l1", sublinear_tf=True),
        LogisticRegression(),
    ),
    "norm none": lambda: fitted(TfidfVectorizer(norm=None, smooth_idf=False), LogisticRegression()),
    "norm later": lambda: fitted(
        CountVectorizer(analyzer="char"), Normalizer("l2"), LogisticRegression()
    ),
    "linear steps": lambda: fitted(
        TfidfVectorizer(analyzer="char"), MaxAbsScaler(), SelectKBest(k=20), LinearSVC()
    ),
    "directions": lambda: fitted(TfidfVectorizer(analyzer="char"), TruncatedSVD(8), LinearSVC()),
    "svc": lambda: fitted(TfidfVectorizer(analyzer="char"), SVC(kernel="linear")),
    "svc of two": lambda: fitted(TfidfVectorizer(analyzer="char"), SVC(kernel="linear"), labels=2),
    "calibrated": lambda: fitted(
        TfidfVectorizer(analyzer="char", strip_accents="unicode"),
        CalibratedClassifierCV(LinearSVC(), cv=2),
    ),
    "calibrated of two": lambda: fitted(
        TfidfVectorizer(analyzer="char", dtype=np.float32),
        CalibratedClassifierCV(LinearSVC(), ensemble=False, cv=2),
        labels=2,
    ),
    "hashed": lambda: fitted(
        HashingVectorizer(n_features=2**9, ngram_range=(1, 2), token_pattern=WORDS), LinearSVC()
    ),
    "hashed into few": lambda: fitted(
        HashingVectorizer(n_features=20, analyzer="char_wb", ngram_range=(1, 3), norm="l1"),
        SGDClassifier(random_state=1),
    ),
    "hashed once": lambda: fitted(
        HashingVectorizer(n_features=20, analyzer="char", binary=True, norm=None),
        LogisticRegression(),
    ),
    "hashed and weighted": lambda: fitted(
        HashingVectorizer(n_features=2**9, analyzer="char"), TfidfTransformer(), LinearSVC()
    ),
    "hashed counts weighted later": lambda: fitted(
        HashingVectorizer(n_features=50, analyzer="char", norm=None, alternate_sign=False),
        TfidfTransformer(norm=None, sublinear_tf=True),
        Normalizer("l1"),
        LogisticRegression(),
        labels=2,
    ),
    "hashed, scaled twice": lambda: fitted(
        HashingVectorizer(n_features=50, analyzer="char"), Normalizer("l1"), LogisticRegression()
    ),
    "hashed and calibrated": lambda: fitted(
        HashingVectorizer(n_features=2**9, analyzer="char", stop_words=None),
        CalibratedClassifierCV(LinearSVC(), cv=2),
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("order", [1, -1])
def test_a_pipeline_from_a_file_says_at_serving_what_its_owner_says(
    name: str, order: int, tmp_path: Path
) -> None:
    """Scores and labels are equal, also where the labels are not in sorted order."""
    io.dump(PIPELINES[name](), tmp_path / "pipeline.skops")
    pipeline = load_pipeline(str(tmp_path / "pipeline.skops"))
    labels = LABELS[: len(pipeline.classes_)][::order]
    model = read_text(pipeline, None, labels)
    texts = [*texts_and_labels(30, 9)[0], *ODD]
    served = _served(model, texts)
    np.testing.assert_allclose(served, model.scores(texts), atol=2e-5)
    said = [labels[label] for label in model.predicted(texts)]
    assert said == pipeline.predict(texts).tolist()
    assert [labels[label] for label in model.labels(served)] == said


def test_words_joined_by_spaces_go_through_the_owners_own_pattern() -> None:
    """Jieba cuts before anything is lowercased, and words of one character are dropped."""
    pipeline = fitted(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC(), joined_words=True)
    model = read_text(pipeline, "jieba", LABELS)
    texts = [*texts_and_labels(30, 9)[0], *ODD]
    assert model.block.cut_first
    np.testing.assert_allclose(_served(model, texts), model.scores(texts), atol=1e-9)
    assert TextVectoriser(model.block, model.vectorised.terms).tokens("我的T恤 VIP") == [
        "t恤",
        "vip",
    ]


def test_a_tokenizer_that_no_file_carries_is_named() -> None:
    """With tokenizer and token_pattern None the words are jieba's, those of one character too."""
    vectoriser = TfidfVectorizer(tokenizer=jieba_words, token_pattern=None, ngram_range=(1, 2))
    pipeline = fitted(vectoriser, LinearSVC())
    texts = [*texts_and_labels(30, 9)[0], *(text for text in ODD if len(text) < 100)]
    wanted = pipeline.decision_function(texts)[
        :, [list(pipeline.classes_).index(n) for n in LABELS]
    ]
    vectoriser.tokenizer = None
    model = read_text(pipeline, "jieba", LABELS)
    np.testing.assert_allclose(_served(model, texts), wanted, atol=1e-9)
    np.testing.assert_allclose(model.scores(texts), wanted, atol=1e-9)


@pytest.mark.parametrize("joined_words", [True, False])
def test_jiebas_words_are_hashed_in_either_way(joined_words: bool) -> None:
    """Joined by spaces, or by a tokenizer that no file carries; there is no list of them."""
    vectoriser = HashingVectorizer(n_features=2**9, ngram_range=(1, 2), token_pattern=WORDS)
    if not joined_words:
        vectoriser.set_params(tokenizer=jieba_words, token_pattern=None)
    pipeline = fitted(vectoriser, LinearSVC(), joined_words=joined_words)
    texts = [*texts_and_labels(30, 9)[0], *(text for text in ODD if len(text) < 100)]
    order = [list(pipeline.classes_).index(name) for name in LABELS]
    wanted = pipeline.decision_function(joined(texts) if joined_words else texts)[:, order]
    vectoriser.tokenizer = None
    model = read_text(pipeline, "jieba", LABELS)
    assert model.vectorised.terms == ()
    np.testing.assert_allclose(_served(model, texts), wanted, atol=1e-9)
    np.testing.assert_allclose(model.scores(texts), wanted, atol=1e-9)


def _kept_tokenizer() -> Any:
    vectoriser = TfidfVectorizer(tokenizer=jieba_words)
    pipeline = fitted(vectoriser, LinearSVC())
    vectoriser.tokenizer = None
    return pipeline


REFUSED: dict[str, tuple[Callable[[], Any], str | None, str]] = {
    "columns": (
        lambda: fitted(HashingVectorizer(n_features=9), LinearSVC()).set_params(
            hashingvectorizer__n_features=2**20 + 1
        ),
        None,
        "HashingVectorizer(n_features=1048577)",
    ),
    "logarithms of signs": (
        lambda: fitted(
            HashingVectorizer(n_features=9, norm=None),
            TfidfTransformer(sublinear_tf=False),
            LinearSVC(),
        ).set_params(tfidftransformer__sublinear_tf=True),
        None,
        "alternate_sign=False",
    ),
    "logarithms of shares": (
        lambda: fitted(
            HashingVectorizer(n_features=9, alternate_sign=False),
            TfidfTransformer(sublinear_tf=True),
            LinearSVC(),
        ),
        None,
        "fit the vectoriser with norm=None",
    ),
    "scaled and left so": (
        lambda: fitted(HashingVectorizer(n_features=9), TfidfTransformer(norm=None), LinearSVC()),
        None,
        "TfidfTransformer(sublinear_tf=False, norm=None)",
    ),
    "hashed otherwise": (
        lambda: fitted(HashingVectorizer(n_features=9, strip_accents="ascii"), LinearSVC()),
        None,
        "strip_accents='ascii'",
    ),
    "another width": (
        lambda: fitted(HashingVectorizer(n_features=9), LinearSVC()).set_params(
            hashingvectorizer__n_features=8
        ),
        None,
        "has 8 columns, and what follows it takes 9",
    ),
    "no pipeline": (LinearSVC, None, "LinearSVC, and not a scikit-learn Pipeline"),
    "accents": (
        lambda: fitted(TfidfVectorizer(strip_accents="ascii", analyzer="char"), LinearSVC()),
        None,
        "strip_accents='ascii'",
    ),
    "preprocessor": (
        lambda: fitted(TfidfVectorizer(preprocessor=str.lower), LinearSVC()),
        None,
        "preprocessor=str.lower",
    ),
    "analyzer": (
        lambda: fitted(TfidfVectorizer(analyzer=str.split), LinearSVC()),
        None,
        "analyzer",
    ),
    "pattern": (
        lambda: fitted(TfidfVectorizer(token_pattern=r"[a-z]+|[\u4e00-\u9fff]+"), LinearSVC()),
        None,
        "token_pattern",
    ),
    "own tokenizer": (
        lambda: fitted(TfidfVectorizer(tokenizer=jieba_words, token_pattern=None), LinearSVC()),
        None,
        "--tokenizer jieba",
    ),
    "pattern that never gave it": (_kept_tokenizer, "jieba", "token_pattern=None"),
    "white space": (
        lambda: fitted(TfidfVectorizer(tokenizer=list, token_pattern=None), LinearSVC()),
        "jieba",
        "white space as a word",
    ),
    "labels": (lambda: fitted(TfidfVectorizer(), LinearSVC(), labels=2), None, "classes are"),
}


@pytest.mark.filterwarnings("ignore:The parameter 'token_pattern' will not be used:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_by_name(name: str) -> None:
    """The text names the setting, the step or the class."""
    make, tokenizer, said = REFUSED[name]
    with pytest.raises(BroughtError) as refused:
        read_text(make(), "jieba" if tokenizer else None, LABELS)
    assert said in str(refused.value)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    """Its text says how to save instead."""
    (tmp_path / "pipeline.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(BroughtError, match=r"skops\.io\.dump"):
        load_pipeline(str(tmp_path / "pipeline.pkl"))


def test_a_type_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    """A function of the owner's is not imported because a file says so."""
    vectoriser = TfidfVectorizer(tokenizer=jieba_words, token_pattern=None)
    io.dump(fitted(vectoriser, LinearSVC()), tmp_path / "pipeline.skops")
    with pytest.raises(BroughtError, match="jieba_words, which is not trusted"):
        load_pipeline(str(tmp_path / "pipeline.skops"))


def test_a_function_of_a_file_gives_a_pipeline(tmp_path: Path) -> None:
    """`path.py:function` is called; what is no function is named."""
    (tmp_path / "mine.py").write_text("def pipeline():\n    return 'it'\n")
    assert load_pipeline(f"{tmp_path / 'mine.py'}:pipeline") == "it"
    with pytest.raises(BroughtError, match="names no function"):
        load_pipeline(f"{tmp_path / 'mine.py'}:other")
    with pytest.raises(BroughtError, match="neither"):
        load_pipeline("pipeline.onnx")
