"""Rows that count alike, or labels that do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from train.class_weights import class_weights, for_scikit_learn, row_weights


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_balanced_weights_are_those_of_scikit_learn(told: list[int]) -> None:
    """All rows of a label weigh as much as those of any other, and a row 1 on average."""
    labels = np.array(told)
    weights, rows = class_weights(labels, 5, "balanced"), row_weights(labels, 5, "balanced")
    assert weights is not None
    assert rows is not None
    there = np.unique(labels)
    expected = compute_class_weight("balanced", classes=there, y=labels)
    assert weights[there] == pytest.approx(expected)
    assert rows.mean() == pytest.approx(1)


def test_a_label_without_a_row_has_no_weight() -> None:
    """Nor has it a part in those of the others."""
    weights = class_weights(np.array([0, 0, 2]), 3, "balanced")
    assert weights is not None
    assert weights.tolist() == [0.75, 0.0, 1.5]


def test_rows_that_count_alike_have_no_weights() -> None:
    """So that nothing is computed otherwise than without."""
    assert class_weights(np.array([0, 1, 1]), 2, "none") is None
    assert row_weights(np.array([0, 1, 1]), 2, "none") is None
    assert for_scikit_learn("none") is None
    assert for_scikit_learn("balanced") == "balanced"
