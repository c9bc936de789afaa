"""A pipeline that is not linear on its whole way: brought, through the gate, served."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from skops import io

from export.bundle import export
from export.errors import ExportError, ParityError
from inference.bundle import load
from inference.classifier import Classifier
from schemas.progress import silent
from tests.small_models import edit_weight
from tests.unit.train.brought.estimators import DIRECTIONS, ESTIMATORS, made
from tests.unit.train.brought.pipelines import (
    fitted,
    jieba_words,
    texts_and_labels,
    write_corpus,
)
from train.brought.bringing import BringSettings, Summary, bring
from tuwen.agreement import agreements
from tuwen.command import run

ROWS = 200


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that no pipeline was fitted on."""
    return write_corpus(tmp_path_factory.mktemp("rows") / "corpus")


def _brought(pipeline: Any, folder: Path, corpus: Path | None, **said: Any) -> Summary:
    """The models folder `folder`/models of a pipeline that was saved."""
    io.dump(pipeline, folder / "pipeline.skops")
    (folder / "models").mkdir()
    settings = BringSettings(
        text_pipeline=str(folder / "pipeline.skops"), reference_rows_max=ROWS, **said
    )
    return bring(settings, corpus, folder / "models", silent)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_is_not_linear_says_what_its_owner_says(
    name: str, corpus: Path, tmp_path: Path
) -> None:
    """Raw scores and labels, through the gate; its owner's classes are in another order."""
    summary = _brought(made(name), tmp_path, corpus, strategies=("soft-voting",))
    manifest = export(tmp_path / "models", tmp_path / "bundle", silent)
    [agreed] = agreements(tmp_path / "models", tmp_path / "bundle", summary)
    assert (agreed.equal, agreed.rows > ROWS / 2) == (agreed.rows, True)
    [raw] = [each for each in manifest.parity.figures if each.stage == "text.scores"]
    assert raw.max_abs < 5e-6
    assert set(manifest.graphs["text"].domains) <= {"", "ai.onnx.ml"}


@pytest.mark.parametrize("name", ["rbf", "linear isotonic", "linear vote", "perceptrons"])
def test_without_a_corpus_its_labels_are_its_owners(name: str, tmp_path: Path) -> None:
    """As they are predicted, of texts that no gate has seen; batches of any size are equal."""
    pipeline = made(name)
    _brought(pipeline, tmp_path, None)
    manifest = export(tmp_path / "models", tmp_path / "bundle", silent)
    texts = [*texts_and_labels(70, 9)[0], "A", "词" * 300, "\u200b"]
    classifier = Classifier(load(tmp_path / "bundle"))
    scores = classifier.classify(texts, [None] * len(texts)).scores
    assert [manifest.labels[each] for each in scores.argmax(axis=1)] == pipeline.predict(
        texts
    ).tolist()
    alone = np.concatenate([classifier.classify([text], [None]).scores for text in texts])
    np.testing.assert_allclose(alone, scores, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "told"), [("rbf", "8 features of each post enter SVC"), ("linear", None)]
)
def test_the_owner_is_told_what_costs_more_than_a_matrix(
    name: str,
    told: str | None,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After the figures of the gate, by the command; of a linear pipeline nothing is said."""
    plain = fitted(TfidfVectorizer(analyzer="char"), LinearSVC())
    io.dump(plain if name == "linear" else made(name), tmp_path / "mine.skops")
    options = ["--text-pipeline", str(tmp_path / "mine.skops"), "--held-out-corpus", str(corpus)]
    assert run(["export", "--out", str(tmp_path / "bundle"), *options]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "text: equal to the owner's predict" in printed
    assert (told in printed) if told else ("not linear" not in printed)


def test_jiebas_words_enter_what_is_not_linear(corpus: Path, tmp_path: Path) -> None:
    """A pipeline of its owner's tokenizer, from jieba's words to labels."""
    vectoriser = TfidfVectorizer(tokenizer=jieba_words, token_pattern=None, ngram_range=(1, 2))
    pipeline = fitted(vectoriser, DIRECTIONS, KNeighborsClassifier())
    vectoriser.tokenizer = None
    summary = _brought(pipeline, tmp_path, corpus, tokenizer="jieba")
    manifest = export(tmp_path / "models", tmp_path / "bundle", silent)
    [agreed] = agreements(tmp_path / "models", tmp_path / "bundle", summary)
    assert agreed.equal == agreed.rows
    assert manifest.parity.tokens_compared > 0


def test_the_gate_sees_a_thousandth_in_the_table(corpus: Path, tmp_path: Path) -> None:
    """And says that it begins with the scores of the text."""
    _brought(made("rbf"), tmp_path, corpus, strategies=("soft-voting",))

    def nudge(values: Any) -> None:
        values[0] += 1e-3

    edit_weight(tmp_path / "models", "text/model.npz", "intercepts", nudge)
    with pytest.raises(ParityError) as failed:
        export(tmp_path / "models", tmp_path / "bundle", silent)
    assert failed.value.stages[0] == "text.scores"
    assert not (tmp_path / "bundle").exists()


def test_equal_votes_ask_for_a_corpus(tmp_path: Path) -> None:
    """Three neighbours of three labels: without calibration nothing but rounding tells."""
    _brought(made("neighbours"), tmp_path, None)
    with pytest.raises(ExportError, match="--held-out-corpus"):
        export(tmp_path / "models", tmp_path / "bundle", silent)


def test_a_file_of_other_types_is_not_opened_by_export(corpus: Path, tmp_path: Path) -> None:
    """The folder's own file is trusted no more than its owner's."""
    _brought(made("rbf"), tmp_path, corpus, strategies=("soft-voting",))
    io.dump({"tokenizer": jieba_words}, tmp_path / "models" / "text" / "rest.skops")
    with pytest.raises(ExportError, match=r"rest\.skops cannot be read.*bring the models again"):
        export(tmp_path / "models", tmp_path / "bundle", silent)
