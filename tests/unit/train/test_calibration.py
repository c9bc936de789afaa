"""Calibrated probabilities mean what they say."""

import numpy as np
import pytest

from inference.judging import calibration_error
from train.calibration import calibrate, log_loss


@pytest.mark.parametrize("labels_count", [2, 3])
def test_calibrated_scores_mean_what_they_say(labels_count: int) -> None:
    """Margins of any scale become probabilities whose error is that of chance alone."""
    chance = np.random.default_rng(1)
    labels = chance.integers(0, labels_count, 6000)
    scores = 40 * (np.eye(labels_count)[labels] + chance.normal(0, 0.6, (6000, labels_count)))
    fitted = calibrate(scores[:3000], labels[:3000], labels_count)
    probabilities = fitted.probabilities(scores[3000:])
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(3000))
    assert calibration_error(probabilities, labels[3000:]) < 0.03
    assert log_loss(probabilities, labels[3000:]) < np.log(labels_count) * 0.6


def test_a_row_counts_by_its_weight() -> None:
    """Weighing a label twice is having each of its rows twice."""
    chance = np.random.default_rng(3)
    labels = np.repeat([0, 1], [900, 100])
    scores = labels[:, None] + chance.normal(0, 1, (1000, 1))
    twice = np.where(labels == 1, 2.0, 1.0)
    once_more = np.concatenate((np.arange(1000), np.flatnonzero(labels)))
    weighed = calibrate(scores - scores[once_more].mean(), labels, 2, twice)
    doubled = calibrate(scores[once_more] - scores[once_more].mean(), labels[once_more], 2)
    asked = np.linspace(-2, 3, 7)[:, None]
    assert weighed.probabilities(asked) == pytest.approx(doubled.probabilities(asked), abs=2e-3)
    alone = calibrate(scores, labels, 2).probabilities(scores)
    assert log_loss(alone, labels, twice) == pytest.approx(
        log_loss(alone[once_more], labels[once_more])
    )


def test_one_margin_serves_two_labels() -> None:
    """A positive margin speaks for the second label."""
    chance = np.random.default_rng(2)
    labels = chance.integers(0, 2, 1000)
    margins = (labels * 2 - 1 + chance.normal(0, 0.8, 1000))[:, None]
    probabilities = calibrate(margins, labels, 2).probabilities(np.array([[-3.0], [3.0]]))
    assert probabilities.shape == (2, 2)
    assert probabilities[0, 0] > 0.9
    assert probabilities[1, 1] > 0.9


def test_scores_that_tell_nothing_give_the_shares() -> None:
    """Noise is calibrated to what the labels' frequencies say."""
    chance = np.random.default_rng(3)
    labels = (chance.random(5000) < 0.3).astype(np.int64)
    fitted = calibrate(chance.normal(size=(5000, 2)), labels, 2)
    probabilities = fitted.probabilities(chance.normal(size=(100, 2)))
    assert probabilities[:, 1] == pytest.approx(np.full(100, 0.3), abs=0.05)
