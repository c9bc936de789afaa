"""Groups stay whole, shares are kept as far as groups allow, and equal seeds divide equally."""

from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from train.splitting.division import by_group, by_time

Ints = NDArray[np.int64]

SHARES = st.floats(0.05, 0.95)


@st.composite
def grouped(draw: st.DrawFn, *, of_one_label: bool = False) -> tuple[Ints, Ints]:
    """Group and label of up to forty rows; groups are numbered without a gap."""
    count = draw(st.integers(2, 40))
    drawn = draw(st.lists(st.integers(0, 15), min_size=count, max_size=count))
    groups = np.unique(drawn, return_inverse=True)[1]
    if of_one_label:
        own = draw(st.lists(st.integers(0, 3), min_size=16, max_size=16))
        return groups, np.asarray(own)[groups]
    return groups, np.asarray(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))


def _whole(groups: Ints, test: NDArray[np.bool_]) -> bool:
    return not set(groups[test].tolist()) & set(groups[~test].tolist())


@given(grouped(), SHARES, st.integers(0, 5))
def test_no_group_is_on_both_sides(rows: tuple[Ints, Ints], share: float, seed: int) -> None:
    """And the training half keeps every label; the same again for the same seed."""
    groups, labels = rows
    test = by_group(groups, labels, share, seed)
    assert _whole(groups, test)
    assert set(labels[~test].tolist()) == set(labels.tolist())
    assert np.array_equal(test, by_group(groups, labels, share, seed))


@given(grouped(of_one_label=True), SHARES, st.integers(0, 5))
def test_each_label_is_divided_by_the_share(
    rows: tuple[Ints, Ints], share: float, seed: int
) -> None:
    """Off by no more than its largest group, where every group is of one label."""
    groups, labels = rows
    test = by_group(groups, labels, share, seed)
    for label in np.unique(labels):
        own = labels == label
        largest = np.bincount(groups[own]).max()
        assert abs(test[own].sum() - share * own.sum()) <= largest


@given(grouped(), SHARES, st.integers(0, 5))
def test_a_test_half_is_empty_only_when_no_group_can_be_spared(
    rows: tuple[Ints, Ints], share: float, seed: int
) -> None:
    """That is when every group holds the last rows of some label."""
    groups, labels = rows
    spared = [
        all((labels[groups != group] == label).any() for label in labels[groups == group])
        for group in range(groups.max() + 1)
    ]
    assert by_group(groups, labels, share, seed).any() == any(spared)


def test_rows_without_duplicates_are_divided_exactly() -> None:
    """A fifth of each label, to the row; another seed takes others."""
    labels = np.repeat([0, 1, 2], [50, 30, 15])
    one, other = (by_group(np.arange(95), labels, 0.2, seed) for seed in (1, 2))
    for test in (one, other):
        assert np.bincount(labels[test]).tolist() == [10, 6, 3]
    assert not np.array_equal(one, other)


@given(grouped(), SHARES, st.data())
def test_the_latest_groups_are_tested_on(
    rows: tuple[Ints, Ints], share: float, data: st.DataObject
) -> None:
    """Whole, none in training later than any of them, and about the share of the rows."""
    groups, _ = rows
    assume(groups.max() > 0)
    count = len(groups)
    drawn: Any = data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    times = np.asarray(drawn, np.float64)
    test = by_time(groups, times, share)
    latest = np.array([times[groups == group].max() for group in range(groups.max() + 1)])
    assert _whole(groups, test)
    assert 0 < test.sum() < count
    assert times[~test].max() <= latest[groups[test]].min()
    assert abs(test.sum() - share * count) <= np.bincount(groups).max()
    assert np.array_equal(test, by_time(groups, times, share))


def test_one_group_cannot_be_divided_by_time() -> None:
    """Nothing is tested on, and the caller says so."""
    assert not by_time(np.zeros(3, np.int64), np.arange(3.0), 0.5).any()
