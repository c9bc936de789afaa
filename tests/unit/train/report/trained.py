"""A models folder, its corpus and a bundle of it, written without training anything.

Texts and labels are hostile, one picture cannot be decoded, and what is wrong is known: see below.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.manifest import FEATURE_VERSION, ImageInput
from schemas.models import MODELS_CONTRACT_VERSION, Choice, ComparedStrategy, Models
from tests.tiny_bundle import SIDE, write_manifest, write_tiny_bundle
from tests.unit.train.corpora import row, write_corpus, write_image
from train.arrays import save_arrays
from train.corpus import load

HOSTILE = "<script>alert('text')</script> 服务很差 {{ 7*7 }} $x$ \"quoted\" & more"
LABELS = ("积极", "</td><script>alert('label')</script>", "消极")
TRAIN, TEST = 120, 30
WRONG = "test-4"
"""Said to be of label 0 with a confidence of .98, and of label 1."""
FLIPPED = "train-6"
"""Bears label 0, and its scores speak for label 2."""
BROKEN = "images/broken.png"
"""The picture of WRONG."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Where the three lie."""

    corpus: Path
    models: Path
    bundle: Path


def write_trained(root: Path) -> Trained:
    """Write all three beneath `root`."""
    corpus, models, bundle = root / "corpus", root / "models", root / "bundle"
    _write_corpus(corpus)
    held = _models(corpus)
    models.mkdir()
    (models / "models.json").write_bytes(msgspec.json.encode(held))
    save_arrays(models / "test.npz", _test_arrays())
    save_arrays(models / "oof.npz", _out_of_fold_arrays())
    manifest = write_tiny_bundle(bundle)
    fitting = {
        "labels": held.labels,
        "corpus_sha256": held.corpus_sha256,
        "seed": held.seed,
        "settings": held.settings,
    }
    write_manifest(bundle, msgspec.structs.replace(manifest, **fitting))
    return Trained(corpus, models, bundle)


def _write_corpus(folder: Path) -> None:
    images = [write_image(folder, f"{number}.png", number) for number in range(6)]
    halves: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for half, count in (("train", TRAIN), ("test", TEST)):
        for number in range(count):
            label = number % 3
            text = f"{('很好吃', '一般般', '太难吃')[label]}{half}第{number}条"
            fields = {"text": text, "label_name": LABELS[label], "image": images[number % 6]}
            halves[half].append(row(f"{half}-{number}", label, **fields))
    halves["test"][0]["image"] = None
    halves["test"][1]["text"] = None
    halves["test"][4] |= {"text": HOSTILE, "image": BROKEN}
    (folder / BROKEN).write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing")
    write_corpus(folder, halves["train"], halves["test"])


def _models(corpus: Path) -> Models:
    compared = (
        ComparedStrategy("ensemble", 60, 0.9, 0.8, 0.95, -0.05, 0.004, 12),
        ComparedStrategy("soft-voting", 60, 0.95, 0.85, 0.98, 0.0, 1.0, 24),
    )
    return Models(
        contract=MODELS_CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        labels=LABELS,
        modalities=("text", "image"),
        strategies=("ensemble", "soft-voting"),
        chosen="soft-voting",
        text=(),
        sublinear_tf=True,
        image=ImageInput(height=SIDE, width=SIDE),
        artefacts=(),
        settings={"epochs": 2, "note": HOSTILE},
        versions={"keras": "3"},
        seed=7,
        corpus_path=str(corpus),
        corpus_sha256=load(corpus).sha256,
        folds=3,
        learning_curve=(
            {"epoch": 1.0, "loss": 1.1, "accuracy": 0.4},
            {"epoch": 2.0, "loss": 0.9, "accuracy": 0.6},
        ),
        choice=Choice("soft-voting", "soft-voting", compared),
    )


def _test_arrays() -> dict[str, Any]:
    """Every post is labelled rightly, but for WRONG, and every fifth, which is given label 2."""
    labels = np.arange(TEST) % 3
    present = np.ones((TEST, 2), np.bool_)
    present[0, 1] = present[1, 0] = False
    scores = np.full((TEST, 3), 0.1)
    scores[np.arange(TEST), labels] = 0.8
    scores[5::5] = (0.3, 0.2, 0.5)
    scores[4] = (0.98, 0.01, 0.01)
    complete = np.asarray(present.all(axis=1), np.bool_)
    arrays: dict[str, Any] = {
        "ids": np.array([f"test-{number}" for number in range(TEST)]),
        "labels": labels,
        "present": present,
    }
    having: dict[str, NDArray[np.bool_]] = {
        "text": present[:, 0],
        "image": present[:, 1],
        "fused": complete,
    }
    for strategy in ("ensemble", "soft-voting"):
        for use, rows in having.items():
            arrays[f"{strategy}.{use}"] = np.where(rows[:, None], scores, np.nan)
    shares = np.where(complete[:, None], [0.7, 0.3], present)
    return {**arrays, "soft-voting.weights": shares}


def _out_of_fold_arrays() -> dict[str, Any]:
    """Scores that speak for the label; half of the rows have no picture's."""
    labels = np.arange(TRAIN) % 3
    random = np.random.default_rng(1)
    scores = {
        name: np.eye(3)[labels] * 4 + random.normal(size=(TRAIN, 3)) for name in ("text", "image")
    }
    for values in scores.values():
        values[6] = (-3, 0, 5)
    scores["image"][1::2] = np.nan
    return {
        "ids": np.array([f"train-{number}" for number in range(TRAIN)]),
        "labels": labels,
        "folds": np.arange(TRAIN) // 3 % 3,
        "text.folds": np.arange(TRAIN) // 3 % 3,
        "text.scores": scores["text"],
        "image.scores": scores["image"],
    }
