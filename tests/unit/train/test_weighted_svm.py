"""A linear SVM in which terms that tell labels apart count for more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.svm import LinearSVC

from train.weighted_svm import fit_weighted_svm, term_scale


def some_texts(labels_count: int, seed: int = 0) -> tuple[sparse.csr_matrix, np.ndarray]:
    """40 rows of 12 terms: term k stands with label k, the others with any."""
    numbers = np.random.default_rng(seed)
    labels = np.arange(40) % labels_count
    x = numbers.random((40, 12)) * (numbers.random((40, 12)) < 0.4)
    x[np.arange(40), labels] += 1
    return sparse.csr_matrix(x), labels


@pytest.mark.parametrize(("labels_count", "columns"), [(2, 1), (3, 3)])
def test_what_is_served_is_one_coefficient_for_each_term(labels_count: int, columns: int) -> None:
    """scikit-learn's margins on scaled terms are those of the product on terms as they are."""
    x, labels = some_texts(labels_count)
    svm = fit_weighted_svm(x, labels, cost=0.5, seed=1)
    assert svm.coefficients.shape == (columns, 12)
    served = x @ svm.coefficients.T + svm.intercepts
    np.testing.assert_allclose(served, svm.margins(x), atol=1e-12)
    told = served[:, 0] > 0 if columns == 1 else served.argmax(axis=1)
    assert (told == labels).mean() > 0.9


def test_a_term_that_tells_more_counts_for_more() -> None:
    """The term of the label is scaled up, that of every text down; 1 is the average."""
    x, labels = some_texts(3)
    with_common = sparse.hstack([x, np.ones((40, 1))], format="csr")
    scale = term_scale(with_common, labels == 0)
    assert scale.mean() == pytest.approx(1)
    assert scale[0] > 1.2
    assert scale[-1] < 0.9


@given(st.integers(0, 2**31 - 1))
def test_scales_are_positive_whatever_the_texts(seed: int) -> None:
    """No term is left out by its scale."""
    numbers = np.random.default_rng(seed)
    x = sparse.random(20, 8, 0.3, format="csr", rng=numbers)
    scale = term_scale(x, numbers.random(20) < 0.5)
    assert np.isfinite(scale).all()
    assert (scale >= 0.75).all()


def test_terms_that_all_tell_alike_are_weighed_by_the_svm_alone() -> None:
    """Where no term tells anything, it is scikit-learn's own LinearSVC."""
    x = sparse.csr_matrix(np.tile(np.eye(4), (4, 1)))
    labels = np.repeat([0, 1], 8)
    plain = LinearSVC(C=1.0, random_state=1).fit(x, labels == 1)
    svm = fit_weighted_svm(x, labels, cost=1.0, seed=1)
    np.testing.assert_array_equal(svm.coefficients, plain.coef_)


def test_balanced_rows_of_a_rare_label_count_for_more() -> None:
    """With balanced classes a rare label is said more often."""
    numbers = np.random.default_rng(3)
    labels = (np.arange(60) % 10 == 0).astype(np.int64)
    x = sparse.csr_matrix(numbers.random((60, 5)) + labels[:, None] * 0.2)
    shares = [
        (fit_weighted_svm(x, labels, 0.1, 1, weight).margins(x) > 0).mean()
        for weight in (None, "balanced")
    ]
    assert shares[0] < shares[1]
