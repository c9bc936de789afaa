"""Units (words or characters) to columns of a vocabulary, for a whole batch at once.

The terms are kept as levels: a term of n units is a pair of its first n - 1 units (a node of the
level before) and its last unit, as one integer. A batch is one flat array of unit numbers with
the segment (row, or padded word) that each stands in, so n-grams cost a few numpy calls a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Units:
    """The distinct units of the terms, numbered; `unknown` is the number of all others."""

    def __init__(self, terms: Sequence[Sequence[str]]) -> None:
        self.numbers: Final[dict[str, int]] = {}
        for term in terms:
            for unit in term:
                self.numbers.setdefault(unit, len(self.numbers))
        self.unknown: Final = len(self.numbers)


class NgramIndex:
    """Finds the column of each n-gram. `terms[c]` are the units of the term of column c."""

    def __init__(self, terms: Sequence[Sequence[str]], ngrams: tuple[int, int]) -> None:
        self.units = Units(terms)
        self.columns = len(terms)
        self.ngrams = ngrams
        self._width = self.units.unknown + 1
        self._levels = self._build(terms)

    def _build(self, terms: Sequence[Sequence[str]]) -> list[tuple[Ints, Ints]]:
        """Per length the sorted keys, and the column of each node (`columns`: no such term)."""
        number = self.units.numbers
        paths = [[number[unit] for unit in term] for term in terms]
        longest = max(map(len, paths), default=0)
        levels = [self._level(np.arange(self._width - 1), self._ends(paths, 1))]
        nodes = {column: path[0] for column, path in enumerate(paths) if path}
        for length in range(2, longest + 1):
            keys = {
                column: node * self._width + paths[column][length - 1]
                for column, node in nodes.items()
                if len(paths[column]) >= length
            }
            distinct = np.unique(np.fromiter(keys.values(), np.int64, len(keys)))
            places = np.searchsorted(distinct, np.fromiter(keys.values(), np.int64, len(keys)))
            nodes = dict(zip(keys, places.tolist(), strict=True))
            ends = {node: c for c, node in nodes.items() if len(paths[c]) == length}
            levels.append(self._level(distinct, ends))
        return levels

    def alone(self, units: Ints) -> Ints:
        """The column of each unit by itself; `columns` where no term is that unit alone."""
        return self._levels[0][1][units]

    @staticmethod
    def _ends(paths: Sequence[Sequence[int]], length: int) -> dict[int, int]:
        return {path[0]: column for column, path in enumerate(paths) if len(path) == length}

    def _level(self, keys: Ints, ends: dict[int, int]) -> tuple[Ints, Ints]:
        columns = np.full(len(keys) + 1, self.columns, np.int64)
        columns[list(ends)] = list(ends.values())
        return keys, columns

    def found(self, units: Ints, segments: Ints) -> tuple[Ints, Ints]:
        """Every n-gram of the vocabulary: the place in `units` where it starts, and its column."""
        shortest, longest = self.ngrams
        starts: list[Ints] = []
        columns: list[Ints] = []
        nodes = units
        for length in range(1, min(longest, len(self._levels)) + 1):
            keys, level_columns = self._levels[length - 1]
            if length > 1:
                nodes = self._step(keys, nodes, units, length)
            if length >= shortest:
                hits = level_columns[nodes]
                whole = segments[: len(nodes)] == segments[length - 1 :]
                places = np.flatnonzero(whole & (hits < self.columns))
                starts.append(places)
                columns.append(hits[places])
        if not starts:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate(starts), np.concatenate(columns)

    def _step(self, keys: Ints, nodes: Ints, units: Ints, length: int) -> Ints:
        """Lengthen each node by the unit that follows it."""
        if len(units) < length or not len(keys):
            return np.full(max(0, len(units) - length + 1), len(keys), np.int64)
        wanted = nodes[: len(units) - length + 1] * self._width + units[length - 1 :]
        places = np.searchsorted(keys, wanted)
        places[places == len(keys)] = 0
        return np.where(keys[places] == wanted, places, len(keys))


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each column stands in each row; of hashed terms the sum of their signs.

    `columns` and `counts` of row r lie between `starts[r]` and `starts[r + 1]`. `pad` is the
    number of columns.
    """

    columns: Ints
    counts: NDArray[np.float32]
    starts: Ints
    pad: int

    @property
    def lengths(self) -> Ints:
        """The distinct columns of each row."""
        return np.diff(self.starts)

    def packed(self, rows: Ints) -> tuple[Ints, NDArray[np.float32]]:
        """Ids int64[N,T] and counts float32[N,T] of some rows; `pad` with count 1 fills up."""
        lengths = self.lengths[rows]
        shape = (len(rows), max(1, int(lengths.max(initial=0))))
        row = np.repeat(np.arange(len(rows)), lengths)
        place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = self.starts[rows][row] + place
        ids = np.full(shape, self.pad, np.int64)
        counts = np.ones(shape, np.float32)
        ids[row, place] = self.columns[source]
        counts[row, place] = self.counts[source]
        return ids, counts


def counted(rows: Ints, columns: Ints, rows_count: int, pad: int) -> Counts:
    """Count equal pairs of row and column; columns ascend within a row."""
    pairs, counts = np.unique(rows * (pad + 1) + columns, return_counts=True)
    return _by_row(pairs, counts, rows_count, pad)


def summed(rows: Ints, columns: Ints, signs: Ints, rows_count: int, pad: int) -> Counts:
    """Add up the signs, 1 or -1, of equal pairs of row and column; 0 stays, where they cancel."""
    # The sign is the last bit of what is sorted: so one sort does, and nothing is looked up.
    keys = np.sort((rows * (pad + 1) + columns) * 2 + (signs < 0))
    pairs = keys >> 1
    firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
    counts = np.add.reduceat(1 - 2 * (keys & 1), firsts)
    return _by_row(pairs[firsts], counts, rows_count, pad)


def _by_row(pairs: Ints, counts: Ints, rows_count: int, pad: int) -> Counts:
    """Distinct pairs, ascending, with what stands for each."""
    row, column = np.divmod(pairs, pad + 1)
    starts = np.zeros(rows_count + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=rows_count), out=starts[1:])
    return Counts(column, counts.astype(np.float32), starts, pad)
