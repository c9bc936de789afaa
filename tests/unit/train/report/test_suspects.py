from dataclasses import replace

import numpy as np
import pytest

from tests.unit.train.report.trained import FLIPPED, Trained
from train.report.posts import least_believed
from train.report.reading import OutOfFold, read
from train.report.suspects import believed, suspected
from train.rows import Row

LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def rows(trained: Trained) -> OutOfFold:
    """Training rows, one of them with a label that its scores do not bear out."""
    return read(trained.models, None, ()).out_of_fold


def test_a_row_with_the_wrong_label_is_suspected(rows: OutOfFold) -> None:
    """It alone, with what it is likelier to be."""
    by_id = {
        name: Row(name, "文字", None, int(label), None, None)
        for name, label in zip(rows.ids, rows.labels, strict=True)
    }
    found = least_believed(rows, believed(rows, 3), by_id, LABELS)
    assert found.judged == 120
    assert found.suspected == len(found.shown) == 1
    [suspect] = found.shown
    assert (suspect.id, suspect.label, suspect.said.label) == (FLIPPED, "a", "c")
    assert suspect.score < 0.1 < 0.8 < suspect.said.score


def test_a_rows_own_label_has_no_part_in_what_is_believed_of_it(rows: OutOfFold) -> None:
    """The calibration that judges a row was fitted on other rows."""
    labels = rows.labels.copy()
    labels[9] = 1
    before, after = (believed(each, 3)[9] for each in (rows, replace(rows, labels=labels)))
    assert np.array_equal(before, after)


def test_a_row_without_scores_is_not_judged(rows: OutOfFold) -> None:
    """Nor one whose likes are too few to be calibrated by."""
    text, image = (scores.copy() for scores in rows.scores)
    text[0] = image[0] = np.nan
    text[2] = np.nan
    found = believed(replace(rows, scores=(text, image)), 3)
    assert np.isnan(found[[0, 2]]).all()
    assert np.isfinite(found[1]).all()


def test_a_label_that_is_merely_likelier_is_not_enough() -> None:
    """It must be as likely as it usually is for rows that bear it."""
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.45, 0.55], [0.05, 0.95]])
    labels = np.array([0, 1, 1, 0, 0])
    assert suspected(probabilities, labels).tolist() == [4]
