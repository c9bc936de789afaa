"""What the graphs of each strategy cost per post, against those of text and image alone."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.inference import LIMITS, posts
from benchmarks.quality.figures import Figure, at_most
from features.images import ImageProblem, decode
from inference.bundle import Bundle, load
from inference.classifier import Classifier, Features
from inference.wiring import PIXELS

RATIO_MAX: Final = 1.3
ATTENTION_RATIO_MAX: Final = 2.0
ALONE: Final = "soft-voting"
"""Whose text and image graphs are the measure: no other output is asked of them."""
_BATCH: Final = 32
_ROUNDS: Final = 7


def costs(bundles: Mapping[str, Path], corpus: Path) -> Iterator[Figure]:
    """CPU of all graphs of each strategy; `bundles` by strategy, `ALONE` among them."""
    loaded = {name: load(folder) for name, folder in bundles.items()}
    works = {name: _scoring(bundle, corpus) for name, bundle in loaded.items()}
    works[""] = _alone(loaded[ALONE], corpus)
    least = dict.fromkeys(works, float("inf"))
    # Round by round, so that what else runs on the machine falls on all alike.
    for _ in range(_ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            work()
            least[name] = min(least[name], time.process_time() - start)
    for name in loaded:
        bound = ATTENTION_RATIO_MAX if name == "attention" else RATIO_MAX
        yield at_most(f"{name}: graphs, over text + image", least[name] / least[""], bound)


def _scoring(bundle: Bundle, corpus: Path) -> Callable[[], object]:
    classifier = Classifier(bundle)
    batches = _features(classifier, corpus)
    return lambda: [classifier.scores(each) for each in batches]


def _alone(bundle: Bundle, corpus: Path) -> Callable[[], object]:
    batches = _features(Classifier(bundle), corpus)
    text, image = bundle.graphs["text"], bundle.graphs["image"]

    def run() -> None:
        for each in batches:
            for chunk in each.text:
                text.run(chunk.inputs, ["text.scores"])
            for _, _, pixels in each.pictures.runs():
                image.run({PIXELS: pixels}, ["image.scores"])

    return run


def _features(classifier: Classifier, corpus: Path) -> Sequence[Features]:
    spec = classifier.manifest.image
    assert spec is not None, "every strategy here fuses text and image"
    texts, images = posts(corpus)
    decoded = [decode(image, spec, LIMITS) for image in images]
    pixels = [None if isinstance(each, ImageProblem) else each for each in decoded]
    return [
        classifier.features(texts[start : start + _BATCH], pixels[start : start + _BATCH])
        for start in range(0, len(texts), _BATCH)
    ]
