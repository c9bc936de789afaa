"""Texts to token ids and counts, as the blocks of the manifest say."""

import re
from collections.abc import Iterable, Sequence
from itertools import compress, repeat
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from features.clean import clean, clean_batch, clean_word
from features.cutter import Cutter
from features.hashing import HashedNgrams
from features.ngrams import Counts, Ints, NgramIndex, counted, summed
from schemas.manifest import HASHED_COLUMNS_MAX, TextBlock

__all__ = ["TOKEN_PATTERNS", "Analyzer", "TextVectoriser", "clean", "clean_batch", "terms_of"]

TOKEN_PATTERNS: Final = (
    r"(?u)\b\w\w+\b",
    r"(?u)\b\w+\b",
    r"\b\w\w+\b",
    r"\b\w+\b",
    r"\S+",
    r"[^ ]+",
)
"""The patterns that a block may name: none of them can be made slow by a text."""

_SPACES: Final = re.compile(r"\s\s+")
_SEPARATOR: Final = -1
_DROPPED: Final = -2


class BlockError(ValueError):
    """A text block asks for what `features` does not do; the text says what."""


class _Cuts(Protocol):
    def cut(self, text: str) -> list[str]: ...


class _Pattern:
    """Tokens by a regular expression, as scikit-learn's `token_pattern`."""

    def __init__(self, pattern: str | None) -> None:
        if pattern not in TOKEN_PATTERNS:
            raise BlockError(f"token_pattern {pattern!r} is none of {list(TOKEN_PATTERNS)}")
        self._pattern = re.compile(pattern)

    def cut(self, text: str) -> list[str]:
        return self._pattern.findall(text)


class Analyzer:
    """Turns a cleaned text into segments of units: words, or the characters of text or word.

    An n-gram never crosses a segment. The analyzers are those of scikit-learn's CountVectorizer.
    """

    def __init__(self, block: TextBlock, user_words: Sequence[str] = ()) -> None:
        _check(block)
        self.block = block
        self.joiner = " " if block.analyzer in {"words", "pattern"} else ""
        self.cutter: _Cuts | None = None
        self._pattern: _Pattern | None = None
        self._stop_words = frozenset(block.stop_words)
        if block.analyzer == "words":
            self.cutter = Cutter(user_words, block.hmm)
            self._pattern = _Pattern(block.token_pattern) if block.cut_first else None
        elif block.analyzer == "pattern":
            self.cutter = _Pattern(block.token_pattern)

    def segments(self, cleaned: str) -> list[list[str]]:
        """The units of a cleaned text."""
        if self.cutter is not None:
            return [[word for word in self.units(self.cutter.cut(cleaned)) if self._counts(word)]]
        if self.block.analyzer == "char":
            return [list(_SPACES.sub(" ", cleaned))]
        return [list(f" {word} ") for word in cleaned.split()]

    def units(self, words: list[str]) -> list[str]:
        """What counts for each word that the cutter gave; a newline stays one."""
        if self._pattern is None:
            return words
        units: list[str] = []
        for word in words:
            units += ("\n",) if word == "\n" else self._pattern.cut(clean_word(self.block, word))
        return units

    def _counts(self, word: str) -> bool:
        return not word.isspace() and word not in self._stop_words

    def terms(self, cleaned: str) -> list[str]:
        """The n-grams of a cleaned text, in scikit-learn's spelling."""
        shortest, longest = self.block.ngrams
        return [
            self.joiner.join(segment[start : start + length])
            for segment in self.segments(cleaned)
            for length in range(shortest, longest + 1)
            for start in range(len(segment) - length + 1)
        ]


def _check(block: TextBlock) -> None:
    """Raise BlockError for what no code here does."""
    shortest, longest = block.ngrams
    if not 1 <= shortest <= longest:
        raise BlockError(f"block {block.name!r}: ngrams {block.ngrams} are no range from 1")
    if block.analyzer == "char_wb" and shortest > 3:
        raise BlockError(
            f"block {block.name!r}: a word of one letter has 3 characters with its spaces, "
            f"so char_wb n-grams may not start at {shortest}"
        )
    if block.cut_first and block.analyzer != "words":
        raise BlockError(f"block {block.name!r}: only words are cut first, not {block.analyzer}")
    if min(block.run_characters_max, block.han_run_characters_max) < 1:
        raise BlockError(f"block {block.name!r}: run_characters_max must be at least 1, of Han too")
    if (block.vocabulary is None) == (block.hashing is None):
        raise BlockError(f"block {block.name!r}: name a vocabulary or hashing, one of the two")
    if block.hashing is not None and not 1 <= block.hashing.columns <= HASHED_COLUMNS_MAX:
        raise BlockError(
            f"block {block.name!r}: hashing has {block.hashing.columns:,} columns, and may have 1 "
            f"to {HASHED_COLUMNS_MAX:,}"
        )


def terms_of(
    block: TextBlock, texts: Iterable[str], user_words: Sequence[str] = ()
) -> list[list[str]]:
    """Per text its terms: what a vocabulary is built from."""
    analyzer = Analyzer(block, user_words)
    return [analyzer.terms(cleaned) for cleaned in clean_batch(block, list(texts))]


class TextVectoriser:
    """Strings to ids and counts over a vocabulary; `vocabulary[i]` is the term of id i.

    Of a block that hashes the vocabulary is empty, and every term has an id.
    """

    def __init__(
        self, block: TextBlock, vocabulary: Sequence[str], user_words: Sequence[str] = ()
    ) -> None:
        self.block = block
        self.pad = len(vocabulary) if block.hashing is None else block.hashing.columns
        self._analyzer = Analyzer(block, user_words)
        joiner = self._analyzer.joiner
        self._hashed = (
            None if block.hashing is None else HashedNgrams(block.hashing, block.ngrams, joiner)
        )
        self._words = joiner == " "
        units = [term.split(" ") if self._words else list(term) for term in vocabulary]
        self._index = NgramIndex(units, block.ngrams)
        if self._words:
            self._numbers = self._word_numbers()
        else:
            self._codes = self._code_points()

    def cut(self, text: str) -> list[str]:
        """What the cutter makes of one text, white space included; characters are not cut."""
        cleaned = clean(self.block, text)
        return (
            list(cleaned) if self._analyzer.cutter is None else self._analyzer.cutter.cut(cleaned)
        )

    def tokens(self, text: str) -> list[str]:
        """The units of one text, before n-grams."""
        return [
            unit for segment in self._analyzer.segments(clean(self.block, text)) for unit in segment
        ]

    def terms(self, text: str) -> list[str]:
        """The n-grams of one text, known or not."""
        return self._analyzer.terms(clean(self.block, text))

    def counts(self, texts: Sequence[str]) -> Counts:
        """How often each known n-gram stands in each text; hashed ones with their signs."""
        cleaned = clean_batch(self.block, texts)
        if self._hashed is not None:
            spelled, segments, rows = self._spelled(cleaned)
            starts, columns, signs = self._hashed.found(spelled, segments)
            return summed(rows[starts], columns, signs, len(texts), self.pad)
        units, segments, rows = self._units(cleaned)
        starts, columns = self._index.found(units, segments)
        return counted(rows[starts], columns, len(texts), self.pad)

    def ids_and_counts(self, texts: Sequence[str]) -> tuple[Ints, NDArray[np.float32]]:
        """Distinct ids int64[N,T] and their counts float32[N,T]; id V with count 1 pads."""
        return self.counts(texts).packed(np.arange(len(texts)))

    def ordered(self, texts: Sequence[str], length: int) -> Ints:
        """Ids int64[N,length] of the first known units in their order; id V fills up.

        A unit is known when it is a term by itself. The block has a vocabulary.
        """
        units, _, rows = self._units(clean_batch(self.block, texts))
        columns = self._index.alone(units)
        rows, columns = rows[columns < self.pad], columns[columns < self.pad]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = place < length
        ids = np.full((len(texts), length), self.pad, np.int64)
        ids[rows[kept], place[kept]] = columns[kept]
        return ids

    def _units(self, cleaned: list[str]) -> tuple[Ints, Ints, Ints]:
        """The batch as flat unit numbers, with segment and row of each."""
        if not self._words:
            return self._characters(cleaned)
        numbers, rows, kept = self._numbered(self._cut_batch(cleaned))
        return numbers[kept], rows[kept], rows[kept]

    def _spelled(self, cleaned: list[str]) -> tuple[Sequence[str], Ints, Ints]:
        """The batch as flat units as they are spelled, with segment and row of each."""
        if not self._words:
            return self._joined(cleaned)
        words = self._cut_batch(cleaned)
        _, rows, kept = self._numbered(words)
        return list(compress(words, kept.tolist())), rows[kept], rows[kept]

    def _word_numbers(self) -> dict[str, int]:
        dropped = dict.fromkeys((" ", *self.block.stop_words), _DROPPED)
        return {**self._index.units.numbers, **dropped, "\n": _SEPARATOR}

    def _cut_batch(self, cleaned: list[str]) -> list[str]:
        """The words of a batch, a newline between its texts."""
        return (self._cut_together if self.block.analyzer == "words" else self._cut_apart)(cleaned)

    def _cut_together(self, cleaned: list[str]) -> list[str]:
        """Cut a batch in one call: no word of jieba's crosses white space."""
        if not self.block.collapse_white_space:
            cleaned = [re.sub(r"\s", " ", text) for text in cleaned]
        assert self._analyzer.cutter is not None
        return self._analyzer.units(self._analyzer.cutter.cut("\n".join(cleaned)))

    def _cut_apart(self, cleaned: list[str]) -> list[str]:
        """A pattern's tokens, text by text."""
        words: list[str] = []
        for text in cleaned:
            words += self._analyzer.segments(text)[0]
            words.append("\n")
        return words

    def _numbered(self, words: list[str]) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """The words of a batch as numbers, with row, and whether each is a unit."""
        unknown = repeat(self._index.units.unknown)
        numbers = np.fromiter(map(self._numbers.get, words, unknown), np.int64, len(words))
        return numbers, np.cumsum(numbers == _SEPARATOR), numbers >= 0

    def _code_points(self) -> Ints:
        """The unit number by code point; the last entry stands for all above."""
        numbers = self._index.units.numbers
        top = max((ord(unit) for unit in numbers), default=0)
        codes = np.full(top + 2, self._index.units.unknown, np.int64)
        codes[[ord(unit) for unit in numbers]] = list(numbers.values())
        return codes

    def _characters(self, cleaned: list[str]) -> tuple[Ints, Ints, Ints]:
        joined, segments, rows = self._joined(cleaned)
        encoded = joined.encode("utf-32-le", "surrogatepass")
        points = np.minimum(np.frombuffer(encoded, np.uint32), len(self._codes) - 1)
        return self._codes[points], segments, rows

    def _joined(self, cleaned: list[str]) -> tuple[str, Ints, Ints]:
        """The characters of a batch, with segment and row of each."""
        pieces, piece_rows = self._pieces(cleaned)
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        segments = np.repeat(np.arange(len(pieces)), lengths)
        return "".join(pieces), segments, piece_rows[segments]

    def _pieces(self, cleaned: list[str]) -> tuple[list[str], Ints]:
        """The segments as strings, and the row of each."""
        if self.block.analyzer == "char":
            return [_SPACES.sub(" ", text) for text in cleaned], np.arange(len(cleaned))
        words = [text.split() for text in cleaned]
        rows = np.repeat(np.arange(len(words)), [len(row) for row in words])
        return [f" {word} " for row in words for word in row], rows
