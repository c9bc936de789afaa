"""The n-grams of a batch to their columns by hash, as scikit-learn's HashingVectorizer has them."""

from collections.abc import Sequence
from itertools import compress

import mmh3
import numpy as np

from features.ngrams import Ints
from schemas.manifest import Hashing


class HashedNgrams:
    """Finds the column of each n-gram, whose units are spelled with `joiner` between them."""

    def __init__(self, hashing: Hashing, ngrams: tuple[int, int], joiner: str) -> None:
        self._hashing = hashing
        self._ngrams = ngrams
        self._joiner = joiner.encode()

    def found(self, units: Sequence[str], segments: Ints) -> tuple[Ints, Ints, Ints]:
        """Every n-gram: the place in `units` where it starts, its column, and its sign."""
        shortest, longest = self._ngrams
        encoded = _utf8(units)
        starts = [np.empty(0, np.int64)]
        terms: list[bytes] = []
        for length in range(shortest, min(longest, len(units)) + 1):
            whole = segments[: len(segments) - length + 1] == segments[length - 1 :]
            windows = zip(*(encoded[first:] for first in range(length)), strict=False)
            spelled = map(self._joiner.join, compress(windows, whole.tolist()))
            terms += encoded if length == 1 else spelled
            starts.append(np.flatnonzero(whole))
        return (np.concatenate(starts), *_columns_and_signs(self._hashing, terms))


def columns_of(hashing: Hashing, terms: Sequence[str]) -> list[int]:
    """The column of each term."""
    found, _ = _columns_and_signs(hashing, _utf8(terms))
    return [int(column) for column in found]


def _utf8(strings: Sequence[str]) -> list[bytes]:
    """Half a surrogate pair, at which scikit-learn raises, as the three bytes that it would be."""
    try:
        return list(map(str.encode, strings))
    except UnicodeEncodeError:
        return [string.encode("utf-8", "surrogatepass") for string in strings]


# Of bytes, not strings: at half a surrogate pair within a string mmh3 ends the process.
def _columns_and_signs(hashing: Hashing, terms: Sequence[bytes]) -> tuple[Ints, Ints]:
    """The column of each term, and what it counts there, 1 or -1."""
    hashes = np.fromiter(map(mmh3.hash, terms), np.int64, len(terms))
    signs = np.where(hashes < 0, -1, 1) if hashing.alternate_sign else np.ones_like(hashes)
    return np.abs(hashes) % hashing.columns, signs
