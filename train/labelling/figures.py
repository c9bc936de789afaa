"""What lexicons say of each text to labels by agreement, and to figures: how many texts they
label, how far they agree with each other, and how right they are where people labelled too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np

from inference.judging import Accuracy, accuracy
from train.labelling.posts import SourcePost
from train.labelling.rule import Polarity

Said = Sequence[Polarity | None]
"""Of each text in its order."""


class LexiconFigures(msgspec.Struct, frozen=True):
    """What one lexicon, or all together, say of the texts.

    `accuracy` is on the labelled texts whose post people labelled, `text_accuracy` on those of
    which people said what the text alone shows; None where there are none.
    """

    name: str
    texts: int
    labelled: int
    coverage: float
    labels: dict[str, int]
    accuracy: Accuracy | None
    text_accuracy: Accuracy | None


class PairFigures(msgspec.Struct, frozen=True):
    """How far two lexicons agree on the texts that both label.

    `kappa` is Cohen's (1960): agreement beyond that of chance, over the most there can be; None
    where chance alone would agree on all.
    """

    one: str
    other: str
    texts: int
    agreement: float | None
    kappa: float | None


def combine(said: Sequence[Polarity | None]) -> Polarity | None:
    """What all lexicons that do not abstain say of a text; None where they differ, or all abstain.

    Neutral says that no polar word was found. So it counts only where every lexicon says so.
    """
    polar = {each for each in said if each is not None and each is not Polarity.NEUTRAL}
    if polar:
        return polar.pop() if len(polar) == 1 else None
    return None if None in said else Polarity.NEUTRAL


def lexicon_figures(
    name: str, said: Said, posts: Sequence[SourcePost], names: Mapping[Polarity, str]
) -> LexiconFigures:
    """Of at least one text; `names` are those of the labels."""
    counts = Counter(said)
    labelled = len(said) - counts[None]
    return LexiconFigures(
        name,
        len(said),
        labelled,
        labelled / len(said),
        {label: counts[polarity] for polarity, label in names.items()},
        _accuracy([(each, post.label) for each, post in zip(said, posts, strict=True)], names),
        _accuracy([(each, post.text_label) for each, post in zip(said, posts, strict=True)], names),
    )


def pair_figures(said: Mapping[str, Said]) -> Iterator[PairFigures]:
    """Every two lexicons."""
    for (one, ones), (other, others) in combinations(said.items(), 2):
        both = [
            (a, b) for a, b in zip(ones, others, strict=True) if a is not None and b is not None
        ]
        agreed = sum(a is b for a, b in both) / len(both) if both else None
        yield PairFigures(one, other, len(both), agreed, kappa(both))


def kappa(both: Sequence[tuple[Polarity, Polarity]]) -> float | None:
    """Cohen's, of what two say of the same texts."""
    if not both:
        return None
    ones, others = (Counter(column) for column in zip(*both, strict=True))
    observed = sum(a is b for a, b in both) / len(both)
    chance = sum(ones[each] * others[each] for each in Polarity) / len(both) ** 2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def _accuracy(
    pairs: Sequence[tuple[Polarity | None, str | None]], names: Mapping[Polarity, str]
) -> Accuracy | None:
    right = [
        names[said] == truth for said, truth in pairs if said is not None and truth is not None
    ]
    return accuracy(np.asarray(right, np.bool_)) if right else None
