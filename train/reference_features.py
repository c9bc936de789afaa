"""How often each term stands in each text, by scikit-learn's own counting, for the gate."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer


def counted_terms(vectoriser: Any, documents: Sequence[Any]) -> sparse.csr_matrix:
    """Counts [N,V] of a fitted vectoriser, before any weight; hashed ones with their signs."""
    if isinstance(vectoriser, HashingVectorizer):
        unscaled = copy(vectoriser)
        unscaled.norm = None
        return unscaled.transform(documents)
    return CountVectorizer.transform(vectoriser, documents)


def feature_arrays(
    counts: Mapping[str, sparse.csr_matrix], there: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """By block `.lengths` int32[N], 0 where `there` bool[N] says no, and row after row `.ids`
    int32, ascending, and `.counts` int32.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, matrix in counts.items():
        ordered = matrix.sorted_indices()
        lengths = np.zeros(len(there), np.int32)
        lengths[there] = np.diff(ordered.indptr)
        arrays[f"{name}.lengths"] = lengths
        arrays[f"{name}.ids"] = ordered.indices.astype(np.int32)
        arrays[f"{name}.counts"] = ordered.data.astype(np.int32)
    return arrays
