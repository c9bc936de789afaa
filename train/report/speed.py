"""A bundle and posts to what serving a post costs."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.images import ImageProblem, decode
from inference.classifier import Classifier
from train.prepared import LIMITS
from train.report.contents import Speed

POSTS_MAX: Final = 256
_BATCH: Final = 32
_ROUNDS: Final = 3


def measure(
    classifier: Classifier, posts: Sequence[tuple[str, bytes]], clock: Callable[[], float]
) -> Speed | None:
    """The fastest of several rounds over posts of text and image; None when none can be served."""
    spec = classifier.manifest.image
    if spec is None:
        return None
    texts: list[str | None] = []
    images: list[bytes] = []
    pixels: list[NDArray[np.uint8] | None] = []
    for text, image in posts:
        found = decode(image, spec, LIMITS)
        if not isinstance(found, ImageProblem):
            texts.append(text)
            images.append(image)
            pixels.append(found)
    if not texts:
        return None
    slices = [slice(start, start + _BATCH) for start in range(0, len(texts), _BATCH)]
    features = [classifier.features(texts[part], pixels[part]) for part in slices]
    share = 1e6 / len(texts)
    return Speed(
        len(texts),
        _BATCH,
        share * _least(clock, lambda: [decode(image, spec, LIMITS) for image in images]),
        share
        * _least(
            clock, lambda: [classifier.features(texts[part], pixels[part]) for part in slices]
        ),
        share * _least(clock, lambda: [classifier.scores(each) for each in features]),
    )


def _least(clock: Callable[[], float], work: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    rounds = []
    for _ in range(_ROUNDS):
        start = clock()
        work()
        rounds.append(clock() - start)
    return min(rounds)
