"""CPU per post of features and scores, in one process, without Kafka.

    python -m benchmarks.inference --bundle BUNDLE --corpus CORPUS

Texts and pictures are those of the corpus' test half; pictures are decoded from memory. The
least of several rounds counts, so that what else runs on the machine counts least.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.images import ImageLimits, ImageProblem, decode
from inference.bundle import load
from inference.classifier import Classifier, Features

ROUNDS: Final = 5
POSTS_MAX: Final = 1024
LIMITS: Final = ImageLimits(10 << 20, 50_000_000)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cost:
    """µs CPU per post of each step, at one batch size."""

    posts: str
    batch: int
    decode: float
    features: float
    scores: float

    def line(self) -> str:
        """A row of the table."""
        total = self.decode + self.features + self.scores
        figures = (self.decode, self.features, self.scores, total)
        return f"{self.posts:<12} {self.batch:>5} " + " ".join(f"{each:>9.1f}" for each in figures)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 64, 256])
    chosen = parser.parse_args(arguments)
    classifier = Classifier(load(chosen.bundle))
    texts, images = posts(chosen.corpus)
    print("µs CPU/post  batch    decode  features    scores     total")  # noqa: T201 -- its product.
    for batch in chosen.batches:
        for cost in costs(classifier, texts, images, batch):
            print(cost.line(), flush=True)  # noqa: T201 -- as above.


def costs(
    classifier: Classifier, texts: Sequence[str], images: Sequence[bytes], batch: int
) -> list[Cost]:
    """Text alone, then text with image."""
    none: list[Pixels | None] = [None] * len(texts)
    found = [_cost(classifier, "text", texts, none, batch, 0.0)]
    spec = classifier.manifest.image
    if spec is None or not images:
        return found
    decoded = [decode(image, spec, LIMITS) for image in images]
    pixels = [None if isinstance(each, ImageProblem) else each for each in decoded]
    decoding = _least(lambda: [decode(image, spec, LIMITS) for image in images]) / len(images)
    return [*found, _cost(classifier, "text + image", texts, pixels, batch, decoding * 1e6)]


def _cost(
    classifier: Classifier,
    posts: str,
    texts: Sequence[str],
    pixels: Sequence[Pixels | None],
    batch: int,
    decoding: float,
) -> Cost:
    slices = [slice(start, start + batch) for start in range(0, len(texts), batch)]

    def features() -> list[Features]:
        return [classifier.features(texts[part], pixels[part]) for part in slices]

    ready = features()
    features_s = _least(features)
    scores_s = _least(lambda: [classifier.scores(each) for each in ready])
    share = 1e6 / len(texts)
    return Cost(posts, batch, decoding, features_s * share, scores_s * share)


def _least(work: Callable[[], object]) -> float:
    """Seconds of CPU of the fastest round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        rounds.append(time.process_time() - start)
    return min(rounds)


def posts(corpus: Path) -> tuple[list[str], list[bytes]]:
    """Texts, and images of other rows where a row has none."""
    with (corpus / "test.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in itertools.islice(file, POSTS_MAX)]
    texts = [row["text"] or "" for row in rows]
    images = [(corpus / row["image"]).read_bytes() for row in rows if row["image"]]
    return texts, list(itertools.islice(itertools.cycle(images), len(texts))) if images else []


if __name__ == "__main__":
    main()
