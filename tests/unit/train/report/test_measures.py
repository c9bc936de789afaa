import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score

from inference.judging import calibration_error
from train.report.measures import bins, shares, use_figures

RANDOM = np.random.default_rng(4)
TRUTH = RANDOM.integers(0, 3, 200)
SCORES = RANDOM.dirichlet(np.ones(3), 200)
LABELS = ("a", "b", "c")


def test_confusion_and_f1_are_those_of_scikit_learn() -> None:
    """Truth by row, what was said by column."""
    figures = use_figures(SCORES, TRUTH, LABELS)
    said = SCORES.argmax(axis=1)
    assert np.array_equal(figures.confusion, confusion_matrix(TRUTH, said))
    assert figures.macro_f1 == pytest.approx(f1_score(TRUTH, said, average="macro"))
    assert figures.accuracy.right == (said == TRUTH).sum()
    assert figures.accuracy.low < figures.accuracy.value < figures.accuracy.high


def test_a_label_that_is_never_said_has_no_precision() -> None:
    """And counts as 0 in the mean of F1."""
    never = np.tile([0.9, 0.1], (4, 1))
    figures = use_figures(never, np.array([0, 0, 1, 1]), ("said", "never"))
    assert figures.labels[1].precision is None
    assert figures.labels[1].f1 == 0
    assert figures.macro_f1 == pytest.approx(1 / 3)


def test_the_bins_make_up_the_calibration_error() -> None:
    """Every row is in one bin, and the error is the mean distance of the bins."""
    found = bins(SCORES, TRUTH)
    assert sum(each.rows for each in found) == 200
    error = sum(
        each.rows * abs(each.confidence - each.accuracy)
        for each in found
        if each.confidence is not None and each.accuracy is not None
    )
    assert error / 200 == pytest.approx(calibration_error(SCORES, TRUTH))
    for each in found:
        assert each.confidence is None or each.low <= each.confidence <= each.high


def test_the_surest_row_is_in_the_last_bin() -> None:
    """A confidence of 1 has no bin of its own."""
    assert bins(np.array([[1.0, 0.0]]), np.array([0]))[-1].rows == 1


def test_shares_tell_where_most_posts_lie() -> None:
    """5 %, the median, and 95 %, of each modality."""
    text = np.linspace(0, 1, 101)
    [first, second] = shares(np.stack((text, 1 - text), axis=1), ("text", "image"))
    assert (first.low, first.median, first.high) == pytest.approx((0.05, 0.5, 0.95))
    assert second.modality == "image"
