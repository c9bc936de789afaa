"""Scores and the truth to figures: how often right, how surely, and how honest the scores are."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
Right = NDArray[np.bool_]

CONFIDENCE: Final = 0.95
"""Of every interval."""

SIGNIFICANT: Final = 0.05
"""A p-value below this says that a difference is no chance."""

CALIBRATION_BINS: Final = 15

_Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Accuracy(msgspec.Struct, frozen=True):
    """The share that was labelled rightly, with Wilson's 95 % interval."""

    rows: int
    right: int
    value: float
    low: float
    high: float


class LabelFigures(msgspec.Struct, frozen=True):
    """How well one label is found. A label that is never said has no precision."""

    label: str
    rows: int
    precision: float | None
    recall: float | None
    f1: float


class Difference(msgspec.Struct, frozen=True):
    """How much more accurate one is than another on the same rows, and McNemar's p."""

    rows: int
    value: float
    low: float
    high: float
    p_value: float


def accuracy(right: Right) -> Accuracy:
    """Of at least one row."""
    rows, count = len(right), int(right.sum())
    low, high = interval(count, rows)
    return Accuracy(rows, count, count / rows, low, high)


def interval(right: int, rows: int) -> tuple[float, float]:
    """Wilson's interval of an accuracy (Wilson 1927)."""
    share, weight = right / rows, _Z**2 / rows
    middle = share + weight / 2
    half = _Z * sqrt(share * (1 - share) / rows + weight / (4 * rows))
    return max(0.0, (middle - half) / (1 + weight)), min(1.0, (middle + half) / (1 + weight))


def difference(one: Right, other: Right) -> Difference:
    """Of at least one row; the interval is Agresti and Min's for matched pairs (2005)."""
    rows, (wins, losses) = len(one), _split(one, other)
    # Half a row more in each of the four cells keeps the interval honest for few rows.
    more, gained, lost = rows + 2, wins + 0.5, losses + 0.5
    middle = (gained - lost) / more
    half = _Z * sqrt(gained + lost - (gained - lost) ** 2 / more) / more
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Difference(rows, (wins - losses) / rows, low, high, mcnemar(one, other))


def mcnemar(one: Right, other: Right) -> float:
    """Exact two-sided p of as uneven a split of the rows that just one of both got right.

    McNemar 1947: under chance the rows split as tosses of a fair coin do.
    """
    wins, losses = _split(one, other)
    tosses = wins + losses
    tail = ways = 1
    for fewer in range(min(wins, losses)):
        ways = ways * (tosses - fewer) // (fewer + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << tosses))


def calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Expected calibration error of the label that wins, 15 bins of equal width (Guo 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [
        abs(confidence[bins == number].sum() - right[bins == number].sum())
        for number in np.unique(bins)
    ]
    return float(sum(gaps) / max(1, len(labels)))


def confusion(said: Labels, truth: Labels, labels_count: int) -> NDArray[np.int64]:
    """int64[K,K]: truth by row, what was said by column."""
    counts = np.zeros((labels_count, labels_count), np.int64)
    np.add.at(counts, (truth, said), 1)
    return counts


def label_figures(counts: NDArray[np.int64], labels: Sequence[str]) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of each label, of a confusion matrix."""
    figures = []
    for number, label in enumerate(labels):
        right = int(counts[number, number])
        rows, said = int(counts[number].sum()), int(counts[:, number].sum())
        f1 = 2 * right / (rows + said) if rows + said else 0.0
        figures.append(LabelFigures(label, rows, _share(right, said), _share(right, rows), f1))
    return tuple(figures)


def macro_f1(figures: Sequence[LabelFigures]) -> float:
    """The mean of F1 over the labels that occur, in the truth or in what was said."""
    found = [each.f1 for each in figures if (each.precision, each.recall) != (None, None)]
    return sum(found) / len(found)


def _split(one: Right, other: Right) -> tuple[int, int]:
    return int((one & ~other).sum()), int((other & ~one).sum())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
