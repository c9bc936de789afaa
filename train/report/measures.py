"""Scores and truths to the figures of one strategy by one use: arrays in, figures out."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.calibration import CALIBRATION_BINS, Labels, calibration_error
from train.choice import interval
from train.report.contents import Accuracy, Bin, LabelFigures, Shares, UseFigures
from train.unseen import Floats

_TAILS: Final = (0.05, 0.5, 0.95)


def use_figures(scores: Floats, truth: Labels, labels: Sequence[str]) -> UseFigures:
    """All of float64[N,K] against int64[N]."""
    counts = confusion(scores.argmax(axis=1), truth, len(labels))
    by_label = label_figures(counts, labels)
    return UseFigures(
        accuracy(scores, truth),
        sum(each.f1 for each in by_label) / len(labels),
        calibration_error(scores, truth),
        tuple(tuple(int(count) for count in row) for row in counts),
        bins(scores, truth),
        by_label,
    )


def accuracy(scores: Floats, truth: Labels) -> Accuracy:
    """The share of rows whose highest score is their label's."""
    right = int((scores.argmax(axis=1) == truth).sum())
    low, high = interval(right, len(truth))
    return Accuracy(len(truth), right, right / len(truth), low, high)


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


def bins(scores: Floats, truth: Labels) -> tuple[Bin, ...]:
    """15 bins of equal width, by the confidence of what was said."""
    confidence = scores.max(axis=1)
    right = scores.argmax(axis=1) == truth
    places = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    found = []
    for number in range(CALIBRATION_BINS):
        own = places == number
        there = bool(own.any())
        found.append(
            Bin(
                number / CALIBRATION_BINS,
                (number + 1) / CALIBRATION_BINS,
                int(own.sum()),
                float(confidence[own].mean()) if there else None,
                float(right[own].mean()) if there else None,
            )
        )
    return tuple(found)


def shares(weights: Floats, modalities: Sequence[str]) -> tuple[Shares, ...]:
    """How each column of float64[N,M] spreads."""
    return tuple(
        Shares(name, *(float(value) for value in np.quantile(weights[:, column], _TAILS)))
        for column, name in enumerate(modalities)
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
