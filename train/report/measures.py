"""Scores and truths to the figures of one strategy by one use: arrays in, figures out."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from inference import judging
from inference.judging import (
    CALIBRATION_BINS,
    Accuracy,
    calibration_error,
    confusion,
    label_figures,
    macro_f1,
)
from train.calibration import Labels
from train.report.contents import Bin, Shares, UseFigures
from train.unseen import Floats

_TAILS: Final = (0.05, 0.5, 0.95)


def use_figures(scores: Floats, truth: Labels, labels: Sequence[str]) -> UseFigures:
    """All of float64[N,K] against int64[N]."""
    counts = confusion(scores.argmax(axis=1), truth, len(labels))
    by_label = label_figures(counts, labels)
    return UseFigures(
        accuracy(scores, truth),
        macro_f1(by_label),
        calibration_error(scores, truth),
        tuple(tuple(int(count) for count in row) for row in counts),
        bins(scores, truth),
        by_label,
    )


def accuracy(scores: Floats, truth: Labels) -> Accuracy:
    """The share of rows whose highest score is their label's."""
    return judging.accuracy(scores.argmax(axis=1) == truth)


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
