import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import SVC, LinearSVC
from skops import io

from inference.bundle import load as load_bundle
from schemas.manifest import LabelsFrom, LexiconUsed
from tests.unit.train.brought.pipelines import (
    LABELS,
    fitted,
    pixels_of,
    texts_and_labels,
    write_corpus,
)
from train.label_origin import write_origin
from train.quiet_keras import load as load_keras
from tuwen.bundles import manifest_lines
from tuwen.command import run

pytestmark = [
    pytest.mark.training,
    # Keras 3.15 on numpy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CNN, two pipelines, and a corpus that none of them was fitted on."""
    root = tmp_path_factory.mktemp("brought")
    write_corpus(root / "corpus")
    joined = fitted(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC(), joined_words=True)
    io.dump(joined, root / "joined.skops")
    io.dump(fitted(TfidfVectorizer(analyzer="char"), SVC(kernel="linear")), root / "svc.skops")
    _cnn().save(root / "model.keras")
    return root


def _cnn() -> Any:
    _, keras = load_keras()
    keras.utils.set_random_seed(2)
    pixels = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(pixels)
    x = keras.layers.GlobalAveragePooling2D(name="seen")(x)
    model = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    truth = texts_and_labels(120, 8)[1]
    model.fit(pixels_of(truth, 8) / np.float32(255), truth, epochs=8, verbose=0)
    return model


def _export(brought: Path, out: Path, *options: str) -> int:
    return run(["export", "--out", str(out), *options])


def _cnn_options(brought: Path) -> tuple[str, ...]:
    return ("--cnn", str(brought / "model.keras"), "--cnn-scale", "0-1")


def test_brought_models_become_a_bundle_that_agrees_with_their_owner(
    brought: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fusion and calibration come from the corpus, and both models answer as their owner's do."""
    pipeline = ("--text-pipeline", str(brought / "joined.skops"), "--tokenizer", "jieba")
    corpus = ("--held-out-corpus", str(brought / "corpus"))
    assert _export(brought, tmp_path / "b", *_cnn_options(brought), *pipeline, *corpus) == 0
    printed = "".join(capsys.readouterr().out.split())
    assert printed.count("(100.00%)") == 2
    manifest = load_bundle(tmp_path / "b").manifest
    assert manifest.modalities == ("text", "image")
    assert manifest.settings["calibrated"] is True
    assert manifest.evaluation.accuracy["fused"] > manifest.evaluation.baseline
    assert {figure.stage for figure in manifest.parity.figures} >= {"tokens", "text.scores"}


def test_labels_of_lexicons_choose_no_strategy_for_brought_models(
    brought: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all it is soft-voting; the bundle says where its labels come from, and so does a line."""
    corpus = Path(shutil.copytree(brought / "corpus", tmp_path / "corpus"))
    used = LexiconUsed("mine.txt", "0" * 64, 12, 0.5)
    origin = LabelsFrom((used,), {}, ("train", "test"), 0.5)
    write_origin(corpus, origin)
    pipeline = ("--text-pipeline", str(brought / "svc.skops"))
    options = (*_cnn_options(brought), *pipeline, "--held-out-corpus", str(corpus))
    assert _export(brought, tmp_path / "b", *options) == 0
    manifest = load_bundle(tmp_path / "b").manifest
    assert (manifest.strategy, manifest.labels_from) == ("soft-voting", origin)
    assert "come from lexicons, not from people: mine.txt" in capsys.readouterr().out
    shown = "".join(manifest_lines(manifest))
    assert "come from lexicons" in shown
    assert "agreement" in shown
    assert "accuracy" not in shown


def test_without_a_corpus_the_scores_are_marked_uncalibrated(
    brought: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In what is printed, in the manifest, and where the bundle is shown."""
    assert _export(brought, tmp_path / "b", "--text-pipeline", str(brought / "svc.skops")) == 0
    assert "uncalibrated" in capsys.readouterr().out
    manifest = load_bundle(tmp_path / "b").manifest
    assert (manifest.strategy, manifest.modalities) == ("soft-voting", ("text",))
    assert manifest.settings["calibrated"] is False
    assert any("uncalibrated" in line for line in manifest_lines(manifest))


def test_a_cnn_alone_is_calibrated_on_the_corpus(brought: Path, tmp_path: Path) -> None:
    """There is no text in the bundle; colours, columns and a layer's vector pass the gate too."""
    options = (*_cnn_options(brought), "--held-out-corpus", str(brought / "corpus"))
    odd = ("--cnn-colours", "bgr", "--cnn-labels", "消极,积极,中性", "--cnn-embedding", "seen")
    assert _export(brought, tmp_path / "b", *options, *odd) == 0
    manifest = load_bundle(tmp_path / "b").manifest
    assert manifest.modalities == ("image",)
    assert manifest.labels == LABELS
    assert manifest.graphs["image"].outputs["image.scores"].shape[1] == 3 + 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name either MODELS"),
        (("models", "--cnn", "model.keras"), "name either MODELS"),
        (("--text-pipeline", "p.skops", "--corpus", "c"), "--held-out-corpus"),
        (("--text-pipeline", "p.pkl"), "is a pickle"),
        (("--cnn", "model.keras"), "--cnn-labels"),
        (("models", "--cnn-scale", "0-1"), "--cnn-scale is for models of your own"),
        (("models", "--strategy", "voting", "--strategy", "ensemble"), "give --strategy once"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read; no bundle is there."""
    assert run(["export", "--out", str(tmp_path / "b"), *options]) != 0
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_strategy_that_reads_embeddings_is_not_for_brought_models(
    brought: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that can be fused by are named."""
    options = (*_cnn_options(brought), "--held-out-corpus", str(brought / "corpus"))
    assert _export(brought, tmp_path / "b", *options, "--strategy", "attention") != 0
    assert "soft-voting" in capsys.readouterr().err
