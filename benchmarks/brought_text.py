"""CPU per post of brought text pipelines in their graphs: linear ones, and those that are not.

    python -m benchmarks.brought_text

Each is fitted on the same texts of jieba's words, brought with a corpus, passes the gate, and is
run from its bundle. Counting the words comes on top, and is the same for all. The least of several
rounds counts, so that what else runs on the machine counts least.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC, LinearSVC
from skops import io

from benchmarks.provenance import commit, machine
from benchmarks.real_size_bundle import texts
from export.bundle import export
from features.cutter import Cutter
from inference.bundle import Bundle, load
from inference.classifier import Classifier, Features
from schemas.progress import silent
from train.brought.bringing import BringSettings, bring

LEARNT: Final = 2_800
HELD_OUT: Final = 400
POSTS: Final = 1_024
BATCHES: Final = (1, 32)
ROUNDS: Final = 5
LABELS: Final = ("negative", "positive")
NOISE: Final = 0.15
"""Share of labels that are wrong; with them an SVC keeps some two thousand support vectors."""

DIRECTIONS: Final = TruncatedSVD(100, random_state=1)
PIPELINES: Final[dict[str, tuple[Any, ...]]] = {
    "LinearSVC": (LinearSVC(),),
    "LinearSVC, isotonic": (CalibratedClassifierCV(LinearSVC(), method="isotonic"),),
    "100 directions, RBF SVC": (DIRECTIONS, SVC(C=10)),
    "100 directions, perceptrons": (DIRECTIONS, MLPClassifier((100,), tol=1e-3, random_state=1)),
    "100 directions, 100 trees": (DIRECTIONS, RandomForestClassifier(100, random_state=1)),
    "100 directions, 5 neighbours": (DIRECTIONS, KNeighborsClassifier()),
}


def main() -> None:
    """Print the table."""
    cut = Cutter().cut
    words = [" ".join(cut(text)) for text in texts(LEARNT, 1)]
    with tempfile.TemporaryDirectory(prefix="tuwen-brought-text-") as folder:
        root = Path(folder)
        _write_corpus(root / "corpus")
        print(f"{machine()}, commit {commit()}")  # noqa: T201 -- its product.
        print(f"{'µs CPU/post in batches of':<34} {' '.join(f'{b:>7}' for b in BATCHES)}")  # noqa: T201 -- as above.
        for number, (name, steps) in enumerate(PIPELINES.items()):
            pipeline = _fitted(steps, words)
            bundle = _brought(pipeline, root / str(number), root / "corpus")
            costs = " ".join(f"{_cost(bundle, batch):>7.1f}" for batch in BATCHES)
            print(f"{name + _vectors(pipeline):<34} {costs}", flush=True)  # noqa: T201 -- as above.


def _labels(held: Sequence[str], seed: int) -> NDArray[np.int64]:
    """What the characters of a text say together, now and then turned round."""
    chance = Random(seed)  # noqa: S311 - no secret.
    said = [sum((ord(each) * 7919) % 1009 - 504 for each in text) > 0 for text in held]
    return np.array([value != (chance.random() < NOISE) for value in said], np.int64)


def _fitted(steps: Sequence[Any], words: Sequence[str]) -> Pipeline:
    pattern = r"\S+"
    vectoriser = TfidfVectorizer(token_pattern=pattern, lowercase=False, ngram_range=(1, 2))
    pipeline = make_pipeline(vectoriser, *(clone(step) for step in steps))
    return pipeline.fit(words, np.array(LABELS)[_labels(words, 1)])


def _write_corpus(folder: Path) -> None:
    folder.mkdir()
    for half, seed in (("train", 3), ("test", 4)):
        held = texts(HELD_OUT, seed)
        lines = [
            json.dumps(
                {"id": f"{half}-{n}", "text": text, "label": label, "label_name": LABELS[label]}
            )
            for n, (text, label) in enumerate(zip(held, _labels(held, seed).tolist(), strict=True))
        ]
        (folder / f"{half}.jsonl").write_text("\n".join(lines), "utf-8")


def _brought(pipeline: Pipeline, folder: Path, corpus: Path) -> Bundle:
    (folder / "models").mkdir(parents=True)
    file = folder / "pipeline.skops"
    io.dump(pipeline, file)
    settings = BringSettings(text_pipeline=str(file), tokenizer="jieba", reference_rows_max=500)
    bring(settings, corpus, folder / "models", silent)
    export(folder / "models", folder / "bundle", silent)
    return load(folder / "bundle")


def _vectors(pipeline: Pipeline) -> str:
    """How many support vectors there are, where there are any."""
    found = getattr(pipeline.steps[-1][1], "support_", ())
    return f" of {len(found):,} vectors" if len(found) else ""


def _cost(bundle: Bundle, batch: int) -> float:
    """µs of CPU per post of the fastest round, fusion included."""
    posts, classifier = texts(POSTS, 2), Classifier(bundle)
    batches = [posts[start : start + batch] for start in range(0, len(posts), batch)]
    counted: list[Features] = [classifier.features(each, [None] * len(each)) for each in batches]
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for features in counted:
            classifier.scores(features)
        rounds.append(time.process_time() - start)
    return min(rounds) * 1e6 / len(posts)


if __name__ == "__main__":
    main()
