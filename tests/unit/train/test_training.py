"""Whole trainings on small demo corpora: what is written, and what may not be learned."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.metrics import f1_score

from export.bundle import export
from inference.bundle import load as load_bundle
from inference.classifier import Classifier
from schemas.manifest import Evaluation, Manifest
from schemas.models import Models, ReferenceRow
from schemas.progress import silent
from tests.unit.train.corpora import good_corpus
from train import augmentation, image_model, training
from train.cnn import Heads, build, image_input, with_outputs
from train.errors import CorpusError, SettingError
from train.fusion.registry import names
from train.image_model import fit_image
from train.image_rows import ImageRows
from train.quiet_keras import load
from train.settings import Cnn, TrainSettings
from train.training import TrainingSummary, train
from tuwen.demo_corpus import generate

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

TRAIN, TEST = 240, 90
SETTINGS = TrainSettings(
    strategies=("soft-voting", *(name for name in names() if name != "soft-voting")),
    epochs=1,
    text_folds=3,
    text_costs=(0.3,),
    embedding_width=8,
    reference_rows_max=100,
)
ONE = msgspec.structs.replace(SETTINGS, strategies=("soft-voting",))
DEEP = {"attention", "multi-task"}
"""Heads that Keras fits: `make quality` permutes their labels, on enough rows to learn from."""
SHALLOW = tuple(name for name in SETTINGS.strategies if name not in DEEP)


@dataclass(frozen=True, slots=True)
class Trained:
    """A training of all strategies."""

    corpus: Path
    models: Path
    summary: TrainingSummary
    steps: list[tuple[str, str]]


@pytest.fixture(scope="module", autouse=True)
def _one_run() -> Iterator[None]:
    """A CNN of one epoch has learned nothing yet: it is not tried again."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(image_model, "RUNS_MAX", 1)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One for all tests of what is written."""
    folder = tmp_path_factory.mktemp("training")
    generate(folder / "corpus", 3, TRAIN, TEST, silent)
    steps: list[tuple[str, str]] = []
    summary = train(
        folder / "corpus",
        folder / "models",
        SETTINGS,
        lambda step, done, total, note="": steps.append((step, note)),
    )
    return Trained(folder / "corpus", folder / "models", summary, steps)


def _models(folder: Path) -> Models:
    return msgspec.json.decode((folder / "models.json").read_bytes(), type=Models)


def _rows(folder: Path, half: str) -> list[dict[str, Any]]:
    lines = (folder / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_folder_holds_what_the_contract_says(trained: Trained) -> None:
    """Every file, and nothing of an unfinished one beside it."""
    files = {str(path.relative_to(trained.models)) for path in trained.models.rglob("*.*")}
    assert {
        "models.json",
        "evaluation.json",
        "oof.npz",
        "test.npz",
        "text/words.vocabulary.json",
        "text/model.npz",
        "image/model.keras",
        "fusion/soft-voting/strategy.json",
        "fusion/soft-voting/weights.npz",
        "fusion/concatenation/strategy.json",
        "fusion/concatenation/weights.npz",
        "reference/rows.jsonl",
        "reference/tokens.jsonl",
        "reference/features.npz",
        "reference/scores.npz",
    } <= files
    assert {path.name for path in trained.models.parent.iterdir()} == {"corpus", "models"}


def test_models_json_says_what_was_trained(trained: Trained) -> None:
    """Labels, strategies, settings, versions, the curve of the CNN."""
    models = _models(trained.models)
    assert models.labels == ("积极", "中性", "消极")
    assert (models.strategies, models.chosen) == (SETTINGS.strategies, trained.summary.strategy)
    assert models.choice == trained.summary.choice
    assert models.choice is not None
    assert {each.strategy for each in models.choice.compared} == set(SETTINGS.strategies)
    assert {"keras", "scikit-learn", "jieba", "rjieba"} <= models.versions.keys()
    assert models.settings["text_words_ngrams"] == [1, 2]
    assert len(models.learning_curve) == 1
    assert models.image is not None
    assert models.image.decoder_version


def test_every_artefact_records_rows_of_the_training_half(trained: Trained) -> None:
    """The CNN's rows and the rows whose image scores fusion learned from do not meet."""
    models = _models(trained.models)
    ids = {row["id"] for row in _rows(trained.corpus, "train")}
    fitted = {each.name: set(each.fitted_rows) for each in models.artefacts}
    assert set().union(*fitted.values()) <= ids
    assert {"text model", "CNN", "soft-voting", "concatenation"} <= fitted.keys()
    out_of_fold = np.load(trained.models / "oof.npz")
    scored = np.isfinite(out_of_fold["image.scores"][:, 0])
    assert 0 < scored.sum() < TRAIN / 3
    assert not fitted["CNN"] & set(out_of_fold["ids"][scored].tolist())


def test_the_evaluation_is_of_complete_test_posts(trained: Trained) -> None:
    """The same rows for all three; the summary gives the exported strategy's figures."""
    content = (trained.models / "evaluation.json").read_bytes()
    evaluations = msgspec.json.decode(content, type=dict[str, Evaluation])
    complete = [row for row in _rows(trained.corpus, "test") if row["text"] and row["image"]]
    assert evaluations == trained.summary.evaluations
    assert {each.rows for each in evaluations.values()} == {len(complete)}
    assert trained.summary.accuracy == evaluations[trained.summary.strategy].accuracy
    assert trained.summary.accuracy["text"] > 0.6
    held = np.load(trained.models / "test.npz")
    both = held["present"].all(axis=1)
    said = held[f"{trained.summary.strategy}.fused"][both].argmax(axis=1)
    expected = f1_score(held["labels"][both], said, average="macro")
    assert trained.summary.macro_f1["fused"] == pytest.approx(expected)


@pytest.mark.parametrize("strategy", SETTINGS.strategies)
def test_the_folder_says_what_each_strategy_answers_on_the_test_half(
    trained: Trained, strategy: str
) -> None:
    """By what was used, NaN where a post lacks it; the evaluation is of those very answers."""
    held = np.load(trained.models / "test.npz")
    assert held["ids"].tolist() == [row["id"] for row in _rows(trained.corpus, "test")]
    having = {"text": held["present"][:, 0], "image": held["present"][:, 1]}
    having["fused"] = having["text"] & having["image"]
    for use, rows in having.items():
        scores = held[f"{strategy}.{use}"]
        assert np.array_equal(np.isfinite(scores).all(axis=1), rows)
        right = scores[having["fused"]].argmax(axis=1) == held["labels"][having["fused"]]
        assert right.mean() == trained.summary.evaluations[strategy].accuracy[use]


def test_a_text_alone_is_answered_alike_by_all_strategies(trained: Trained) -> None:
    """By its own calibration on all rows, whatever rows the strategy itself may learn from."""
    held = np.load(trained.models / "test.npz")
    for strategy in SETTINGS.strategies:
        np.testing.assert_allclose(held[f"{strategy}.text"], held["soft-voting.text"], atol=1e-9)


@pytest.mark.parametrize("strategy", SETTINGS.strategies)
def test_every_strategy_is_served_as_it_was_trained(
    trained: Trained, tmp_path: Path, strategy: str
) -> None:
    """The gate compares every stage, and the bundle answers posts that lack a modality."""
    manifest = export(trained.models, tmp_path / "bundle", silent, strategy_name=strategy)
    assert manifest.strategy == strategy
    assert manifest.parity.labels_differing == 0
    classifier = Classifier(load_bundle(tmp_path / "bundle"))
    scores = classifier.classify(
        ["今天很高兴", None], [None, np.zeros(_pixels(manifest), np.uint8)]
    )
    assert scores.scores.sum(axis=1) == pytest.approx(np.ones(2), abs=1e-6)
    if scores.weights is not None:
        assert scores.weights.tolist() == [[1, 0], [0, 1]]


def _pixels(manifest: Manifest) -> tuple[int, int, int]:
    assert manifest.image is not None
    return manifest.image.height, manifest.image.width, manifest.image.channels


def test_progress_tells_epochs_and_accuracy(trained: Trained) -> None:
    """Every step that takes time is told of."""
    told = {step for step, _ in trained.steps}
    assert {"decoding images", "fitting the SVM", "training the CNN", "fitting the fusion"} <= told
    assert any(note.startswith("accuracy") for step, note in trained.steps if "CNN" in step)


def test_the_reference_covers_test_rows_and_odd_ones(trained: Trained) -> None:
    """Rows, tokens and scores agree in number; NaN stands where a modality is absent."""
    lines = (trained.models / "reference" / "rows.jsonl").read_bytes().splitlines()
    rows = [msgspec.json.decode(line, type=ReferenceRow) for line in lines]
    tokens = (trained.models / "reference" / "tokens.jsonl").read_bytes().splitlines()
    scores = np.load(trained.models / "reference" / "scores.npz")
    assert [row.set for row in rows].count("evaluation") == 50
    assert {row.set for row in rows} == {"evaluation", "paired", "adversarial"}
    assert len(rows) == len(tokens) == len(scores["present"]) == SETTINGS.reference_rows_max
    for modality, name in enumerate(("text.scores", "image.scores")):
        finite = np.isfinite(scores[name]).all(axis=1)
        assert np.array_equal(finite, scores["present"][:, modality])
    for strategy in SETTINGS.strategies:
        assert scores[f"{strategy}.scores"].sum(axis=1) == pytest.approx(np.ones(len(rows)))


def test_the_saved_cnn_gives_the_reference_scores(trained: Trained) -> None:
    """model.keras loads without the project's code, takes uint8, and answers as recorded."""
    _, keras = load()
    model = keras.models.load_model(trained.models / "image" / "model.keras")
    scores = np.load(trained.models / "reference" / "scores.npz")
    blank = np.full((1, 64, 64, 3), 255, np.uint8)
    lines = (trained.models / "reference" / "rows.jsonl").read_bytes().splitlines()
    ids = [msgspec.json.decode(line, type=ReferenceRow).id for line in lines]
    recorded = scores["image.scores"][ids.index("adversarial image blank.png")]
    assert model.predict(blank, verbose=0)["image.scores"][0] == pytest.approx(recorded, abs=1e-5)
    assert str(model.input.dtype) == "uint8"


def test_equal_seeds_give_equal_models(trained: Trained, tmp_path: Path) -> None:
    """The CNN's scores of unseen rows, and so all that is learned from them, are the same."""
    train(trained.corpus, tmp_path / "models", ONE, silent)
    one, two = (np.load(folder / "oof.npz") for folder in (trained.models, tmp_path / "models"))
    for name in one.files:
        assert np.array_equal(one[name], two[name], equal_nan=one[name].dtype.kind == "f"), name


def test_permuted_labels_cannot_be_learned(trained: Trained, tmp_path: Path) -> None:
    """All three kinds of label are permuted, each by itself: what is left is chance."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    chance = Random(5)
    for half in ("train", "test"):
        rows = _rows(trained.corpus, half)
        for field in ("label", "text_label", "image_label"):
            present = [row for row in rows if row[field] is not None]
            values = [row[field] for row in present]
            chance.shuffle(values)
            for row, value in zip(present, values, strict=True):
                row[field] = value
        for row in rows:
            del row["label_name"]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (corpus / f"{half}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    shutil.copytree(trained.corpus / "images", corpus / "images")
    settings = msgspec.structs.replace(SETTINGS, strategies=SHALLOW)
    summary = train(corpus, tmp_path / "models", settings, silent)
    for evaluation in summary.evaluations.values():
        for use, accuracy in evaluation.accuracy.items():
            assert 0.15 < accuracy < 0.52, use


def test_rows_that_the_halves_share_are_left_out(trained: Trained, tmp_path: Path) -> None:
    """A training row with the text of a test row is not learned from."""
    corpus = tmp_path / "corpus"
    shutil.copytree(trained.corpus, corpus)
    shared = next(row for row in _rows(corpus, "test") if row["text"] and row["label"] == 0)
    twin = {**shared, "id": "twin", "image": None, "image_label": None}
    with (corpus / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(twin, ensure_ascii=False) + "\n")
    summary = train(corpus, tmp_path / "models", ONE, silent)
    assert (summary.rows_left_out, summary.train_rows) == (1, TRAIN)
    assert not any("twin" in each.fitted_rows for each in _models(tmp_path / "models").artefacts)


def test_a_corpus_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    """The error says which label lacks rows, and nothing is written."""
    good_corpus(tmp_path / "corpus")
    with pytest.raises(CorpusError, match="too few usable training rows"):
        train(tmp_path / "corpus", tmp_path / "models", SETTINGS, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_too_few_folds_to_compare_strategies_are_refused(tmp_path: Path) -> None:
    """Before anything is read; one strategy alone needs no comparison."""
    few = msgspec.structs.replace(SETTINGS, text_folds=2)
    with pytest.raises(SettingError, match="text_folds: at least 3"):
        train(tmp_path / "corpus", tmp_path / "models", few, silent)


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path: Path) -> None:
    """Only models are replaced by models."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    with pytest.raises(FileExistsError, match="something else"):
        train(tmp_path / "corpus", tmp_path / "photos", SETTINGS, silent)


def test_older_models_are_replaced_whole(tmp_path: Path) -> None:
    """Nothing of the old folder is left, and nothing beside the new one."""
    for name in ("models", "beside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "models.json").write_text(name, encoding="utf-8")
    (tmp_path / "models" / "stale").write_text("x", encoding="utf-8")
    training._check_out(tmp_path / "models")
    training._replace(tmp_path / "beside", tmp_path / "models")
    assert [path.name for path in tmp_path.iterdir()] == ["models"]
    assert (tmp_path / "models" / "models.json").read_text(encoding="utf-8") == "beside"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["models.json"]


@pytest.mark.parametrize(("labels", "width"), [(2, 1), (3, 3)])
def test_the_briefs_cnn_is_as_the_brief_draws_it(labels: int, width: int) -> None:
    """Conv 32 3×3, MaxPool, Flatten, Dense 64, and a sigmoid or softmax head."""
    model = build("brief", image_input("brief"), Heads(labels, 4))
    kinds = [type(layer).__name__ for layer in model.layers]
    drawn = ["InputLayer", "Rescaling", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense"]
    assert kinds == drawn
    assert model.layers[2].kernel.shape == (3, 3, 3, 32)
    assert model.layers[5].units == 64
    assert with_outputs(model).output["image.scores"].shape == (None, width)


@pytest.mark.parametrize("cnn", ["brief", "compact"])
def test_two_labels_without_targets_can_be_learned(cnn: Cnn) -> None:
    """Bright and dark pictures: one sigmoid, or two logits, tell them apart on unseen rows."""
    chance = np.random.default_rng(2)
    labels = np.arange(80) % 2
    side = image_input(cnn).height
    pixels = chance.integers(0, 60, (80, side, side, 3)) + 190 * labels[:, None, None, None]
    ids = tuple(str(number) for number in range(80))
    none = np.full(80, -1)
    rows = ImageRows(
        ids, pixels.astype(np.uint8), labels, none, Heads(2, None), np.arange(80) // 2 % 5
    )
    fitted = fit_image(rows, TrainSettings(cnn=cnn, epochs=6, batch_images=8), silent)
    scores = fitted.scores.scores
    speaks = scores[:, 0] if cnn == "brief" else scores[:, 1] - scores[:, 0]
    assert scores.shape == (16, 1 if cnn == "brief" else 2)
    assert ((speaks > 0) == labels[[int(row) for row in fitted.scores.ids]]).mean() > 0.9
    assert fitted.collapsed_runs == 0
    assert fitted.learned


def test_the_compact_cnn_is_small_and_has_two_heads() -> None:
    """Labels and what the image itself shows, side by side."""
    image = image_input("compact")
    model = build("compact", image, Heads(3, 4))
    assert model.count_params() < 90_000
    assert with_outputs(model).output["image.scores"].shape == (None, 7)
    assert (
        with_outputs(build("compact", image, Heads(3, None))).output["image.scores"].shape[1] == 3
    )


@pytest.mark.parametrize("change", [augmentation.augmented, augmentation.mirrored])
def test_changed_images_follow_the_seed_and_stay_images(change: Any) -> None:
    """Equal seeds give equal images, others do not, and values stay within 0 to 255."""
    pixels = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    one, same, other = (
        np.asarray(change(pixels, np.array([1, number], np.int32))) for number in (100, 100, 200)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.shape == pixels.shape
    assert one.min() >= 0
    assert one.max() <= 255


def test_mirrored_images_are_the_image_or_its_mirror() -> None:
    """Nothing else happens to them, and both kinds occur."""
    pixels = np.random.default_rng(1).integers(0, 256, (32, 64, 64, 3), dtype=np.uint8)
    changed = np.asarray(augmentation.mirrored(pixels, np.array([1, 1], np.int32)))
    turned = [np.array_equal(changed[row], pixels[row, :, ::-1]) for row in range(32)]
    kept = [np.array_equal(changed[row], pixels[row]) for row in range(32)]
    assert all(a or b for a, b in zip(turned, kept, strict=True))
    assert any(turned)
    assert any(kept)
