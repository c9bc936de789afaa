import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from inference.judging import (
    accuracy,
    calibration_error,
    confusion,
    difference,
    interval,
    label_figures,
    macro_f1,
    mcnemar,
)


def test_the_interval_holds_the_accuracy() -> None:
    """Wilson's, as in the literature: 8 of 10."""
    assert interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (0, 40), (1, 1), (40, 40), (13, 27)])
def test_the_interval_is_that_of_scipy(right: int, rows: int) -> None:
    """Which serving does not have."""
    found = binomtest(right, rows).proportion_ci(0.95, method="wilson")
    assert interval(right, rows) == pytest.approx((found.low, found.high), abs=1e-12)
    assert accuracy(np.arange(rows) < right).value == right / rows


def test_mcnemar_counts_the_rows_that_just_one_got_right() -> None:
    """Ten against none is one in 512; rows that both got right say nothing."""
    one, other = np.ones(50, np.bool_), np.ones(50, np.bool_)
    other[:10] = False
    assert mcnemar(one, other) == pytest.approx(2 / 2**10)
    assert mcnemar(one, one) == 1.0


@pytest.mark.parametrize(("wins", "losses"), [(3, 3), (3, 4), (1, 9), (0, 1), (700, 600)])
def test_mcnemar_is_the_exact_test_of_scipy(wins: int, losses: int) -> None:
    """Of any size, either way round."""
    one = np.repeat([True, False], [wins, losses])
    expected = binomtest(wins, wins + losses).pvalue
    assert mcnemar(one, ~one) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(~one, one) == mcnemar(one, ~one)


def test_a_difference_has_an_interval_around_it() -> None:
    """Agresti and Min (2005), by hand: 20 won, 5 lost, of 98."""
    one = np.repeat([True, True, False, False], [60, 20, 5, 13])
    other = np.repeat([True, False, True, False], [60, 20, 5, 13])
    found = difference(one, other)
    assert found.rows == 98
    assert found.value == pytest.approx(15 / 98)
    half = 1.95996 * np.sqrt(20.5 + 5.5 - 15**2 / 100) / 100
    assert (found.low, found.high) == pytest.approx((0.15 - half, 0.15 + half), abs=1e-5)
    assert found.p_value < 0.05


def test_calibration_error_by_hand() -> None:
    """Two bins: two rows at .9, one right; two at .6, both right."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    assert calibration_error(probabilities, labels) == pytest.approx((0.8 + 0.8) / 4)
    assert calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0.0


def test_what_is_said_is_counted_by_column() -> None:
    """One row of label 0 that was given label 1."""
    assert confusion(np.array([1]), np.array([0]), 2).tolist() == [[0, 1], [0, 0]]


def test_figures_by_label_are_those_of_scikit_learn() -> None:
    """A label that occurs nowhere has none, and does not pull the mean down."""
    chance = np.random.default_rng(5)
    truth, said = chance.integers(0, 3, (2, 60))
    figures = label_figures(confusion(said, truth, 4), "abcd")
    expected = precision_recall_fscore_support(truth, said)
    for column, name in enumerate(("precision", "recall", "f1", "rows")):
        found = [getattr(each, name) for each in figures[:3]]
        assert found == pytest.approx(expected[column])
    assert (figures[3].precision, figures[3].recall) == (None, None)
    assert macro_f1(figures) == pytest.approx(expected[2].mean())
