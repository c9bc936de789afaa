"""Rows in groups to a test half: by chance and label, or the latest; no group on both sides."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

Test = NDArray[np.bool_]


def by_group(groups: NDArray[np.int64], labels: NDArray[np.int64], share: float, seed: int) -> Test:
    """bool[N]: about that share of each label, and none of its last group.

    Groups go, large ones first and equal ones by chance, to the test half when that brings the
    counts of its labels nearer to their shares. All are False where no group can be spared.
    """
    members = _members(groups, np.random.default_rng(seed).permutation(len(groups)))
    counts = [Counter(labels[rows].tolist()) for rows in members]
    left = Counter(labels.tolist())
    wanted = {label: share * count for label, count in left.items()}
    test = np.zeros(len(groups), np.bool_)
    for rows, count in zip(members, counts, strict=True):
        nearer = sum(n * (2 * wanted[label] - n) for label, n in count.items()) > 0
        if nearer and _spared(count, left):
            test[rows] = True
            left -= count
            for label, n in count.items():
                wanted[label] -= n
    if not test.any():
        smallest = [
            rows for rows, count in zip(members, counts, strict=True) if _spared(count, left)
        ]
        test[smallest[-1] if smallest else []] = True
    return test


def by_time(groups: NDArray[np.int64], times: NDArray[np.float64], share: float) -> Test:
    """bool[N]: the groups whose latest row is latest, about that share of the rows.

    Nothing in the training half is later than what is in the test half, its older duplicates apart.
    All are False where there is one group.
    """
    members = _members(groups, np.argsort(times, kind="stable"))
    members.sort(key=lambda rows: float(times[rows].max()))
    wanted = share * len(groups)
    test = np.zeros(len(groups), np.bool_)
    for rows in reversed(members[1:]):
        if test.any() and 2 * wanted <= len(rows):
            break
        test[rows] = True
        wanted -= len(rows)
    return test


def _members(groups: NDArray[np.int64], order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each group; large groups first, equal ones in this order."""
    members: dict[int, list[int]] = {}
    for row in order.tolist():
        members.setdefault(int(groups[row]), []).append(row)
    return [np.asarray(rows, np.int64) for rows in sorted(members.values(), key=len, reverse=True)]


def _spared(count: Counter[int], left: Counter[int]) -> bool:
    """Whether the training half keeps a row of each label of this group."""
    return all(left[label] > n for label, n in count.items())
