"""Training rows whose label models that never saw them do not believe: confident learning.

Raw out-of-fold scores become probabilities by a calibration that was fitted on other rows. A row
is suspected when another label is the likelier one, and at least as likely as it is on average
for rows that bear it (Northcutt, Jiang and Chuang 2021).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.calibration import Labels, calibrate
from train.fusion.seam import patterns
from train.report.reading import OutOfFold
from train.unseen import Floats

_PARTS: Final = 3
_ROWS_MIN: Final = 10
"""Of each label, to fit a calibration on."""


def believed(rows: OutOfFold, labels_count: int) -> Floats:
    """float64[N,K]: how likely each label is by the scores that a row has; NaN where it has none,
    or too few others have the same ones.
    """
    present = np.stack([np.isfinite(scores[:, 0]) for scores in rows.scores], axis=1)
    found = np.full((len(rows.labels), labels_count), np.nan)
    kinds, parts = patterns(present), rows.folds % _PARTS
    for kind in np.unique(kinds[kinds > 0]):
        members = present[np.flatnonzero(kinds == kind)[0]]
        x = np.concatenate([rows.scores[m] for m in np.flatnonzero(members)], axis=1)
        for own, others in _split(kinds == kind, parts):
            if np.bincount(rows.labels[others], minlength=labels_count).min() >= _ROWS_MIN:
                fitted = calibrate(x[others], rows.labels[others], labels_count)
                found[own] = fitted.probabilities(x[own])
    return found


def suspected(believed: Floats, labels: Labels) -> NDArray[np.int64]:
    """The places of suspected rows, the least believed first."""
    judged = np.isfinite(believed[:, 0])
    usual = np.array(
        [
            believed[judged & (labels == label), label].mean()
            if (judged & (labels == label)).any()
            else 1.0
            for label in range(believed.shape[1])
        ]
    )
    rows = np.flatnonzero(judged)
    likeliest = believed[rows].argmax(axis=1)
    high = believed[rows, likeliest] >= usual[likeliest]
    chosen = (likeliest != labels[rows]) & high
    rows, likeliest = rows[chosen], likeliest[chosen]
    margin = believed[rows, likeliest] - believed[rows, labels[rows]]
    return np.asarray(rows[np.argsort(-margin, kind="stable")], np.int64)


def _split(
    rows: NDArray[np.bool_], parts: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each part of the rows, and the other parts."""
    for part in np.unique(parts[rows]):
        yield np.flatnonzero(rows & (parts == part)), np.flatnonzero(rows & (parts != part))
