"""A text before any graph: words and counts as served, against jieba and scikit-learn."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.errors import Difference
from export.models_folder import ModelsFolder
from export.reference import Reference, TermCounts
from export.stage import shown
from features.hashing import columns_of
from features.text import TextVectoriser
from inference.bundle import Bundle

_TERMS_SHOWN: Final = 6
_BATCH: Final = 512


def token_differences(bundle: Bundle, reference: Reference) -> Iterator[Difference]:
    """Every row that is cut otherwise than by jieba."""
    words = [v for v in bundle.vectorisers if v.block.analyzer == "words"]
    for row, tokens in zip(reference.rows, reference.tokens, strict=True):
        if not words or tokens is None or row.text is None:
            continue
        cut = words[0].cut(row.text)
        if cut != tokens:
            said, found = _from_the_first(tokens, cut), _from_the_first(cut, tokens)
            apart = float(len(set(tokens) ^ set(cut)) or 1)
            yield Difference("tokens", row.id, shown(row), said, found, apart, 0.0)


def feature_differences(
    bundle: Bundle, reference: Reference, folder: ModelsFolder
) -> Iterator[Difference]:
    """Every row in which a term stands more or less often than scikit-learn counts."""
    for vectoriser in bundle.vectorisers:
        name = vectoriser.block.name
        wanted = reference.features[name]
        found = _counted(vectoriser, reference, once=folder.models.binary_tf)
        rows = _rows_apart(wanted, found)
        vocabulary = _vocabulary(vectoriser, folder) if rows else {}
        for row in rows:
            said, has = wanted.of(row), found.of(row)
            apart = [term for term in sorted({*said, *has}) if said.get(term) != has.get(term)]
            post = reference.rows[row]
            terms = vocabulary or _hashed(vectoriser, post.text or "")
            yield Difference(
                "features",
                post.id,
                shown(post),
                _named(apart, said, terms),
                _named(apart, has, terms),
                float(len(apart)),
                0.0,
            )


def _from_the_first(words: Sequence[str], others: Sequence[str]) -> str:
    """The words from the one before the first that differs."""
    pairs = zip(words, others, strict=False)
    same = next(
        (place for place, (a, b) in enumerate(pairs) if a != b), min(len(words), len(others))
    )
    return "/".join(words[max(0, same - 1) : same + 5])


def _counted(vectoriser: TextVectoriser, reference: Reference, *, once: bool) -> TermCounts:
    """As serving counts; of rows without text nothing, and each term `once` where that is asked."""
    here = np.flatnonzero([bool(row.text and not row.text.isspace()) for row in reference.rows])
    texts = [reference.rows[row].text or "" for row in here.tolist()]
    parts = [
        vectoriser.counts(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)
    ]
    lengths = np.zeros(len(reference.rows), np.int64)
    if not parts:
        return TermCounts(lengths, np.empty(0, np.int64), np.empty(0, np.int64))
    lengths[here] = np.concatenate([part.lengths for part in parts])
    counts = np.concatenate([part.counts for part in parts]).astype(np.int64)
    columns = np.concatenate([part.columns for part in parts])
    return TermCounts(lengths, columns, np.minimum(counts, 1) if once else counts)


def _rows_apart(wanted: TermCounts, found: TermCounts) -> list[int]:
    """The rows in which the two differ."""
    if np.array_equal(wanted.lengths, found.lengths):
        apart = (wanted.ids != found.ids) | (wanted.counts != found.counts)
        rows: NDArray[np.int64] = np.unique(
            np.repeat(np.arange(len(wanted.lengths)), wanted.lengths)[apart]
        )
        return [int(row) for row in rows]
    return [row for row in range(len(wanted.lengths)) if wanted.of(row) != found.of(row)]


def _vocabulary(vectoriser: TextVectoriser, folder: ModelsFolder) -> dict[int, str]:
    """By column its term; empty of a block that hashes."""
    if vectoriser.block.hashing is not None:
        return {}
    terms = folder.decoded(f"text/{vectoriser.block.name}.vocabulary.json", list[str])
    return {column: repr(term) for column, term in enumerate(terms)}


def _hashed(vectoriser: TextVectoriser, text: str) -> dict[int, str]:
    """By column the terms that serving finds in the text and hashes there."""
    if vectoriser.block.hashing is None:
        return {}
    terms = list(dict.fromkeys(vectoriser.terms(text)))
    named: dict[int, str] = {}
    for column, term in zip(columns_of(vectoriser.block.hashing, terms), terms, strict=True):
        named[column] = f"{named[column]} or {term!r}" if column in named else repr(term)
    return named


def _named(places: Sequence[int], counts: dict[int, int], terms: Mapping[int, str]) -> str:
    """Terms and how often each stands there; a column without one by its number."""
    said = [
        f"{terms.get(place, f'column {place}')} ×{counts.get(place, 0)}"
        for place in places[:_TERMS_SHOWN]
    ]
    return ", ".join(said) + (f" … ({len(places)} terms)" if len(places) > _TERMS_SHOWN else "")
