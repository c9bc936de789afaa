"""A pipeline of a HashingVectorizer on its whole way: brought, through the gate, served."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.svm import LinearSVC
from skops import io

from export.bundle import export
from export.errors import ParityError
from inference.bundle import load
from inference.classifier import Classifier
from inference.explaining import explain
from schemas.manifest import Hashing
from schemas.progress import silent
from tests.small_models import edit_weight
from tests.unit.train.brought.pipelines import (
    fitted,
    jieba_words,
    texts_and_labels,
    write_corpus,
)
from train.brought.bringing import BringSettings, Summary, bring
from tuwen.agreement import agreements
from tuwen.bundles import manifest_lines

ROWS = 200
WORDS = r"(?u)\b\w+\b"
PIPELINES: dict[str, Callable[[], Any]] = {
    "margins": lambda: fitted(
        HashingVectorizer(n_features=2**10, token_pattern=WORDS, ngram_range=(1, 2)), LinearSVC()
    ),
    "weighted": lambda: fitted(
        HashingVectorizer(n_features=2**10, analyzer="char", ngram_range=(1, 2), norm=None),
        TfidfTransformer(),
        LogisticRegression(),
    ),
    "calibrated": lambda: fitted(
        HashingVectorizer(n_features=100, analyzer="char_wb", alternate_sign=False),
        CalibratedClassifierCV(LinearSVC(), cv=2),
    ),
    "of two labels": lambda: fitted(
        HashingVectorizer(n_features=100, analyzer="char", binary=True),
        SGDClassifier(random_state=1),
        labels=2,
    ),
}


def brought(pipeline: Any, folder: Path, corpus: Path | None = None, **said: Any) -> Summary:
    """The models folder `folder`/models of a pipeline that was saved."""
    io.dump(pipeline, folder / "pipeline.skops")
    (folder / "models").mkdir()
    settings = BringSettings(
        text_pipeline=str(folder / "pipeline.skops"), reference_rows_max=ROWS, **said
    )
    return bring(settings, corpus, folder / "models", silent)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_hashed_bundle_says_what_its_owner_says(name: str, tmp_path: Path) -> None:
    """Through the gate, and then on texts of its own; no vocabulary is in it."""
    pipeline = PIPELINES[name]()
    summary = brought(pipeline, tmp_path)
    manifest = export(tmp_path / "models", tmp_path / "bundle", silent)
    [agreed] = agreements(tmp_path / "models", tmp_path / "bundle", summary)
    assert (agreed.equal, agreed.rows > ROWS / 2) == (agreed.rows, True)
    assert {figure.stage for figure in manifest.parity.figures} >= {"features", "text.scores"}
    assert not list((tmp_path / "bundle").glob("*vocabulary*"))
    texts = [*texts_and_labels(50, 9, len(pipeline.classes_))[0], "A", "词" * 300, "\ud800好"]
    classifier = Classifier(load(tmp_path / "bundle"))
    scores = classifier.classify(texts, [None] * len(texts)).scores
    labels = [manifest.labels[label] for label in scores.argmax(axis=1)]
    assert labels[:-1] == pipeline.predict(texts[:-1]).tolist()


def test_jiebas_words_are_hashed_into_a_million_columns(tmp_path: Path) -> None:
    """With a corpus, scikit-learn's default number of columns, and reasons that name the words."""
    vectoriser = HashingVectorizer(tokenizer=jieba_words, token_pattern=None, ngram_range=(1, 2))
    pipeline = fitted(vectoriser, LinearSVC(), labels=2)
    said = pipeline.predict(texts_and_labels(60, 9, 2)[0]).tolist()
    vectoriser.tokenizer = None
    corpus = write_corpus(tmp_path / "corpus", labels=2)
    summary = brought(pipeline, tmp_path, corpus, tokenizer="jieba")
    manifest = export(tmp_path / "models", tmp_path / "bundle", silent)
    [agreed] = agreements(tmp_path / "models", tmp_path / "bundle", summary)
    assert agreed.equal == agreed.rows
    assert manifest.parity.tokens_compared > 0
    assert manifest.text[0].hashing == Hashing(2**20)
    assert "hashed into 1,048,576 columns with signs" in "".join(manifest_lines(manifest))
    classifier = Classifier(load(tmp_path / "bundle"))
    scores = classifier.classify(texts_and_labels(60, 9, 2)[0], [None] * 60).scores
    labels = [manifest.labels[label] for label in scores.argmax(axis=1)]
    assert np.mean([label == each for label, each in zip(labels, said, strict=True)]) > 0.9
    assert explain(classifier, "今天 我 糟糕 ， VIP", None).words[0].word == "糟糕"


def test_without_idf_the_graph_has_one_table(tmp_path: Path) -> None:
    """A second one of as many rows would say 1 of each column; the pad still counts nothing."""
    brought(PIPELINES["margins"](), tmp_path)
    export(tmp_path / "models", tmp_path / "bundle", silent)
    graph = onnx.load(tmp_path / "bundle" / "text.onnx").graph
    assert [each.name for each in graph.initializer if 2**10 + 1 in each.dims] == ["brought.table"]


def test_the_gate_names_terms_that_are_hashed_otherwise(tmp_path: Path) -> None:
    """By what serving hashes into the column, with both counts, which may be below 0."""
    brought(PIPELINES["margins"](), tmp_path)
    edit_weight(
        tmp_path / "models",
        "reference/features.npz",
        "brought.counts",
        lambda counts: counts.fill(-7),
    )
    with pytest.raises(ParityError) as differing:
        export(tmp_path / "models", tmp_path / "bundle", silent)
    worst = differing.value.of("features")[0]
    assert "×-7" in worst.reference
    assert "column" not in worst.found
    terms = [said.split(" ×")[0].strip("'") for said in worst.found.split(", ")]
    assert any(term in worst.post for term in terms)
