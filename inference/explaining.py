"""Why a label: what its score would be without each word, and without each place of the picture.

What is left out is blanked in the input, and the bundle runs again (Zeiler and Fergus 2014, of
pictures): that is exact for every bundle, whatever its text model, and needs nothing of training.
A word becomes a space wherever it stands, a place takes the picture's mean colour. A modality that
loses all that it has is absent.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.classifier import Classifier

GRID: Final = 4
"""A picture is cut into so many rows and columns."""

WORDS_MAX: Final = 256
"""Different words of a text that are left out in turn, the first of it."""

SHOWN_MAX: Final = 10
"""Words that are told of."""

_BATCH: Final = 64

Pixels = NDArray[np.uint8]
Variant = tuple[str | None, Pixels | None]


class Word(msgspec.Struct, frozen=True):
    """A word, and by how much the score falls when it is left out; below 0 it speaks against."""

    word: str
    effect: float


class Why(msgspec.Struct, frozen=True):
    """What the score of a label owes to each part of the post.

    `words` are those of the greatest effect, first the strongest; empty where no text was used.
    `places[row][column]` are the effects of the picture's, from the top left; empty where no
    picture was used. `words_unasked` of a long text were never left out.
    """

    label: str
    score: float
    words: tuple[Word, ...]
    words_unasked: int
    places: tuple[tuple[float, ...], ...]


def explain(classifier: Classifier, text: str | None, pixels: Pixels | None) -> Why:
    """Of the likeliest label of one post. `pixels` uint8[H,W,C] as the bundle wants them."""
    whole = classifier.classify([text], [pixels])
    used = dict(zip(classifier.manifest.modalities, whole.present[0].tolist(), strict=True))
    label = int(whole.scores[0].argmax())
    score = float(whole.scores[0, label])
    pieces, joiner = classifier.pieces(text) if text and used.get("text") else ((), "")
    words = [word for word in dict.fromkeys(pieces) if not word.isspace()]
    asked = words[:WORDS_MAX]
    shapes = list(_places(pixels)) if pixels is not None and used.get("image") else []
    variants: list[Variant] = [(_without(pieces, word, joiner), pixels) for word in asked]
    variants += [(text, blanked) for blanked in shapes]
    effects = score - _scores(classifier, variants, label)
    by_word = map(Word, asked, effects[: len(asked)].tolist())
    strongest = sorted(by_word, key=lambda each: -abs(each.effect))[:SHOWN_MAX]
    grid = effects[len(asked) :].reshape(-1, GRID).tolist()
    return Why(
        classifier.labels[label],
        score,
        tuple(strongest),
        len(words) - len(asked),
        tuple(tuple(row) for row in grid),
    )


def _without(pieces: Sequence[str], word: str, joiner: str) -> str:
    return joiner.join(" " if piece == word else piece for piece in pieces)


def _places(pixels: Pixels) -> Iterator[Pixels]:
    """The picture, each of its places in turn in its mean colour."""
    mean = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    rows, columns = (np.linspace(0, side, GRID + 1).astype(int) for side in pixels.shape[:2])
    for row in range(GRID):
        for column in range(GRID):
            blanked = pixels.copy()
            blanked[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = mean
            yield blanked


def _scores(classifier: Classifier, variants: Sequence[Variant], label: int) -> NDArray[np.float64]:
    """The label's score of each, a few at a time."""
    found = [np.empty(0)]
    for start in range(0, len(variants), _BATCH):
        texts, pictures = zip(*variants[start : start + _BATCH], strict=True)
        found.append(classifier.classify(texts, pictures).scores[:, label].astype(np.float64))
    return np.concatenate(found)
