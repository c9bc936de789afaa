"""Duplicates stay together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from train.groups import fold_numbers, group_numbers, rows_apart

KEYS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=2), min_size=1, max_size=30)


@given(KEYS)
def test_rows_with_a_common_key_are_of_one_group(keys: list[list[str]]) -> None:
    """And groups are numbered from 0 without gaps."""
    groups = group_numbers(keys)
    assert set(groups.tolist()) == set(range(int(groups.max()) + 1))
    for row, own in enumerate(keys):
        for other, others in enumerate(keys):
            if set(own) & set(others):
                assert groups[row] == groups[other]


def test_rows_without_a_common_key_are_apart() -> None:
    """Text of one, image of another: through the middle row all three are one group."""
    assert group_numbers([["t1"], ["t1", "i1"], ["i1"], ["t2"], []]).tolist() == [0, 0, 0, 1, 2]


@given(KEYS, st.integers(2, 5), st.integers(0, 3), st.data())
def test_folds_keep_groups_whole(
    keys: list[list[str]], folds: int, seed: int, data: st.DataObject
) -> None:
    """No group in two folds, whatever the labels; the same again for the same seed."""
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(keys), max_size=len(keys)))
    numbers = fold_numbers(keys, labels, folds, seed)
    groups = group_numbers(keys)
    assert all(len(set(numbers[groups == group].tolist())) == 1 for group in groups)
    assert set(numbers.tolist()) <= set(range(folds))
    assert np.array_equal(numbers, fold_numbers(keys, labels, folds, seed))


def test_folds_spread_each_label_evenly() -> None:
    """Without duplicates no two folds differ by more than one row of a label."""
    labels = [number % 3 for number in range(100)]
    numbers = fold_numbers([[str(number)] for number in range(100)], labels, 4, seed=1)
    for label in range(3):
        counts = np.bincount(numbers[np.asarray(labels) == label], minlength=4)
        assert counts.max() - counts.min() <= 1


def test_rows_that_share_with_the_others_are_not_apart() -> None:
    """Directly, or through a row of their own half."""
    keys = [["t1", "i1"], ["i1"], ["t2"], ["t3"]]
    assert rows_apart(keys, [["t1"], ["t3"]]).tolist() == [False, False, True, False]
