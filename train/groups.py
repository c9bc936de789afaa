"""Keep rows with the same text or the same image together, in folds and between the halves."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def group_numbers(keys: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """int64[N]: rows that share a key, directly or through other rows, get one number."""
    parent = list(range(len(keys)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first_with: dict[str, int] = {}
    for row, row_keys in enumerate(keys):
        for key in row_keys:
            parent[root(row)] = root(first_with.setdefault(key, row))
    roots = [root(row) for row in range(len(keys))]
    return np.unique(np.asarray(roots, np.int64), return_inverse=True)[1].astype(np.int64)


def fold_numbers(
    keys: Sequence[Sequence[str]], labels: Sequence[int], folds: int, seed: int
) -> NDArray[np.int64]:
    """int64[N] of 0 … folds-1; each label spread evenly, groups whole.

    Groups go, large ones first, to the fold that has fewest rows of their first row's label.
    """
    groups = group_numbers(keys)
    order = np.random.default_rng(seed).permutation(len(groups))
    members: dict[int, list[int]] = {}
    for row in order:
        members.setdefault(int(groups[row]), []).append(int(row))
    counts = np.zeros((max(labels, default=0) + 1, folds), np.int64)
    numbers = np.zeros(len(groups), np.int64)
    for rows in sorted(members.values(), key=len, reverse=True):
        label = labels[rows[0]]
        fold = int(np.lexsort((counts.sum(axis=0), counts[label]))[0])
        numbers[rows] = fold
        for row in rows:
            counts[labels[row], fold] += 1
    return numbers


def rows_apart(keys: Sequence[Sequence[str]], others: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """bool[N]: whether a row shares nothing with `others`, directly or through other rows."""
    groups = group_numbers([*keys, *others])
    return ~np.isin(groups[: len(keys)], groups[len(keys) :])
