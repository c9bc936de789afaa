"""A fitted scikit-learn vectoriser to a text block, its terms and their weights, or a refusal.

What a vectoriser may ask for is listed here; what it asks for besides is refused by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.preprocessing import Normalizer

from features.text import TOKEN_PATTERNS
from schemas.manifest import HASHED_COLUMNS_MAX, FileSpec, Hashing, TextBlock
from train.errors import BroughtError
from train.unseen import Floats

Tokenizer = Literal["jieba"]
Norm = Literal["l2", "l1", "none"]

_ANY_RUN: Final = 2**31 - 1
JIEBA_RUN_MAX: Final = 64
"""Of one character repeated some 200 times two cuts are equally good: longer runs are cut short."""
JIEBA_HAN_RUN_MAX: Final = 2
"""Of Han, at which jieba may have to guess, from three on."""

_OF_A_NORM: Final[dict[Any, Norm]] = {"l2": "l2", "l1": "l1", None: "none"}
# It finds a line break as a token, and a line break separates the texts of a batch.
_PATTERNS: Final = tuple(pattern for pattern in TOKEN_PATTERNS if pattern != "[^ ]+")


@dataclass(frozen=True, slots=True)
class Weighting:
    """From counts to what the classifier takes: idf float64[V], and how a row is scaled."""

    idf: Floats
    sublinear_tf: bool
    binary_tf: bool
    norm: Norm


@dataclass(frozen=True, slots=True)
class Vectorised:
    """A vectoriser as serving does it. `terms[i]` is the term of column i; one that hashes has
    none.
    """

    block: TextBlock
    terms: tuple[str, ...]
    weighting: Weighting

    @property
    def columns(self) -> int:
        """What a classifier after it takes."""
        hashing = self.block.hashing
        return len(self.terms) if hashing is None else hashing.columns


def read_vectoriser(vectoriser: Any, tokenizer: Tokenizer | None) -> Vectorised:
    """The vectoriser's block, terms and weights. Raises BroughtError."""
    _check_kind(vectoriser)
    block = _block(vectoriser, tokenizer)
    terms = _terms(vectoriser) if block.hashing is None else ()
    if block.analyzer == "words":
        _check_words(vectoriser, block, terms)
    columns = len(terms) if block.hashing is None else block.hashing.columns
    return Vectorised(block, terms, _weighting(vectoriser, columns))


def weighted_by(vectorised: Vectorised, step: Any) -> Vectorised | None:
    """The same with a TfidfTransformer or a Normalizer after it; None for another step.

    Of a row that is scaled twice nothing is left of the first time. Raises BroughtError.
    """
    plain = vectorised.weighting
    unweighted = not plain.sublinear_tf and bool((plain.idf == 1).all())
    if isinstance(step, TfidfTransformer) and unweighted:
        _check_counts(vectorised, step)
        idf = step.idf_ if step.use_idf else np.ones(vectorised.columns)
        after = Weighting(idf, step.sublinear_tf, plain.binary_tf, _norm(step.norm))
        return replace(vectorised, weighting=after)
    if isinstance(step, Normalizer):
        return replace(vectorised, weighting=replace(plain, norm=_norm(step.norm)))
    return None


def _check_counts(vectorised: Vectorised, step: TfidfTransformer) -> None:
    """Refuse a TfidfTransformer that makes something else of what it is given than of counts."""
    hashing = vectorised.block.hashing
    if step.sublinear_tf and hashing is not None and hashing.alternate_sign:
        raise BroughtError(
            "TfidfTransformer(sublinear_tf=True) takes logarithms of counts, and those of a "
            "HashingVectorizer with alternate_sign=True may be 0 or less: fit it with "
            "alternate_sign=False"
        )
    if vectorised.weighting.norm != "none" and (step.sublinear_tf or step.norm is None):
        raise BroughtError(
            f"TfidfTransformer(sublinear_tf={step.sublinear_tf}, norm={step.norm!r}) after a "
            "vectoriser that scales its rows cannot be served: fit the vectoriser with norm=None"
        )


def _check_kind(vectoriser: Any) -> None:
    if type(vectoriser) not in {CountVectorizer, TfidfVectorizer, HashingVectorizer}:
        raise BroughtError(
            f"the pipeline's first step is a {type(vectoriser).__name__}; a TfidfVectorizer, a "
            "CountVectorizer or a HashingVectorizer can be served, one by pipeline"
        )
    if not isinstance(vectoriser, HashingVectorizer) and not hasattr(vectoriser, "vocabulary_"):
        raise BroughtError("the vectoriser is not fitted: fit the whole pipeline, then save it")


def _terms(vectoriser: Any) -> tuple[str, ...]:
    terms = [""] * len(vectoriser.vocabulary_)
    for term, column in vectoriser.vocabulary_.items():
        terms[column] = str(term)
    return tuple(terms)


def _hashing(vectoriser: Any) -> Hashing | None:
    if not isinstance(vectoriser, HashingVectorizer):
        return None
    if vectoriser.n_features > HASHED_COLUMNS_MAX:
        raise BroughtError(
            f"HashingVectorizer(n_features={vectoriser.n_features}) cannot be served: the graph "
            f"would hold a number for each column and label. Fit with {HASHED_COLUMNS_MAX} or less"
        )
    # Where `binary` makes 1 of every sum, of 0 too, a term counts once whatever its sign.
    signed = bool(vectoriser.alternate_sign and not vectoriser.binary)
    return Hashing(int(vectoriser.n_features), signed)


def _weighting(vectoriser: Any, columns: int) -> Weighting:
    binary = bool(vectoriser.binary)
    if not isinstance(vectoriser, TfidfVectorizer):
        norm = _norm(vectoriser.norm) if isinstance(vectoriser, HashingVectorizer) else "none"
        return Weighting(np.ones(columns), sublinear_tf=False, binary_tf=binary, norm=norm)
    idf = np.asarray(vectoriser.idf_, np.float64) if vectoriser.use_idf else np.ones(columns)
    return Weighting(idf, bool(vectoriser.sublinear_tf), binary, _norm(vectoriser.norm))


def _norm(norm: Any) -> Norm:
    if norm not in _OF_A_NORM:
        raise BroughtError(f"norm={norm!r} cannot be served; l2, l1 and None can")
    return _OF_A_NORM[norm]


def _block(vectoriser: Any, tokenizer: Tokenizer | None) -> TextBlock:
    """The block that the vectoriser's settings ask for."""
    _check_settings(vectoriser, tokenizer)
    words = vectoriser.analyzer == "word"
    own_pattern = vectoriser.tokenizer is None and vectoriser.token_pattern is not None
    hashing = _hashing(vectoriser)
    block = TextBlock(
        "brought",
        FileSpec("text/brought.vocabulary.json", "", 0) if hashing is None else None,
        lowercase=bool(vectoriser.lowercase),
        collapse_white_space=False,
        strip_accents=vectoriser.strip_accents == "unicode",
        run_characters_max=JIEBA_RUN_MAX if tokenizer else _ANY_RUN,
        han_run_characters_max=JIEBA_HAN_RUN_MAX if tokenizer else _ANY_RUN,
        analyzer=vectoriser.analyzer if not words else "words" if tokenizer else "pattern",
        token_pattern=_pattern(vectoriser.token_pattern) if words and own_pattern else None,
        stop_words=tuple(sorted(vectoriser.get_stop_words() or ())) if words else (),
        ngrams=(int(vectoriser.ngram_range[0]), int(vectoriser.ngram_range[1])),
        cut_first=bool(words and tokenizer and own_pattern),
        hashing=hashing,
    )
    if block.analyzer == "char_wb" and block.ngrams[0] > 3:
        raise BroughtError("analyzer='char_wb' with n-grams from 4 up cannot be served")
    return block


def _check_settings(vectoriser: Any, tokenizer: Tokenizer | None) -> None:
    """Refuse what no block can declare."""
    if callable(vectoriser.analyzer):
        raise _not_served("analyzer", vectoriser.analyzer, "'word', 'char' and 'char_wb'")
    if vectoriser.preprocessor is not None:
        raise _not_served("preprocessor", vectoriser.preprocessor, "None")
    if vectoriser.input != "content":
        raise _not_served("input", vectoriser.input, "'content'")
    if vectoriser.strip_accents not in {None, "unicode"}:
        raise _not_served("strip_accents", vectoriser.strip_accents, "None and 'unicode'")
    if tokenizer and vectoriser.analyzer != "word":
        raise BroughtError(f"--tokenizer is for words, and analyzer={vectoriser.analyzer!r}")
    if vectoriser.analyzer == "word" and not tokenizer:
        if vectoriser.tokenizer is not None:
            raise BroughtError(
                "the vectoriser has a tokenizer of its own, which serving cannot run: where it "
                "is jieba's, say --tokenizer jieba"
            )
        if vectoriser.token_pattern is None:
            raise BroughtError(
                "the vectoriser has neither tokenizer nor token_pattern: where it was fitted "
                "with jieba's words, say --tokenizer jieba"
            )


def _not_served(name: str, value: Any, served: str) -> BroughtError:
    shown = getattr(value, "__qualname__", None) or repr(value)
    return BroughtError(f"the vectoriser has {name}={shown}, which cannot be served; {served} can")


def _pattern(pattern: Any) -> str:
    if pattern not in _PATTERNS:
        raise _not_served("token_pattern", pattern, ", ".join(map(repr, _PATTERNS)))
    return str(pattern)


def _check_words(vectoriser: Any, block: TextBlock, terms: Sequence[str]) -> None:
    """Refuse a vocabulary which jieba's words, cut as the block says, would not have given."""
    units = [unit for term in terms for unit in term.split(" ")]
    if not all(unit.strip() for unit in units):
        raise BroughtError(
            "the vocabulary holds white space as a word, which serving drops: fit with a "
            "tokenizer that leaves it out, [w for w in jieba.lcut(text) if not w.isspace()]"
        )
    if not block.cut_first:
        return
    matches = vectoriser.build_tokenizer()
    odd = next((unit for unit in units if matches(unit) != [unit]), None)
    if odd is not None:
        raise BroughtError(
            f"the vocabulary holds {odd!r}, which token_pattern={block.token_pattern!r} never "
            "gives: the vectoriser was fitted with a tokenizer of its own, so save it with "
            "tokenizer=None and token_pattern=None"
        )
