"""Texts to tokens and terms by jieba and scikit-learn themselves: a second way to what
`features.text` gives, written apart from it, that the gate and tests compare with it.
"""

import io
import re
import tempfile
import warnings
from functools import cache, lru_cache
from itertools import groupby
from typing import Any

from sklearn.feature_extraction.text import CountVectorizer, strip_accents_unicode

from schemas.manifest import TextBlock

_NUL = "\0"


def reference_tokens(block: TextBlock, text: str, jieba: Any = None) -> list[str]:
    """What jieba cuts of the cleaned text, white space included; `jieba` is one of `jieba_with`."""
    return list(_cut(_cleaned(block, text), block.hmm, jieba or jieba_with()))


def reference_terms(block: TextBlock, text: str, jieba: Any = None) -> list[str]:
    """The n-grams of a text, as a TfidfVectorizer would make them; `jieba` as above."""
    assert not block.cut_first, "no block of this project's own training is cut first"
    if block.analyzer == "words":
        stop = frozenset(block.stop_words)
        tokens = reference_tokens(block, text, jieba)
        words = [w for w in tokens if not w.isspace() and w not in stop]
        return [str(term) for term in _word_ngrams(block.ngrams)(words)]
    return [str(term) for term in _own_analyzer(block)(_cleaned(block, text))]


def common_words(count: int) -> list[str]:
    """The words of jieba's list that it has seen most often, first the most frequent."""
    seen = jieba_with().FREQ
    return sorted(map(str, seen), key=lambda word: (-seen[word], word))[:count]


def _cleaned(block: TextBlock, text: str) -> str:
    cleaned = text.lower() if block.lowercase and not block.cut_first else text
    if block.collapse_white_space:
        cleaned = re.sub(r"\s+", " ", cleaned)
    if block.strip_accents and not block.cut_first:
        cleaned = strip_accents_unicode(cleaned)
    return "".join(_shortened(run, block) for run in _runs(cleaned))


def _runs(text: str) -> list[str]:
    return ["".join(run) for _, run in groupby(text)]


def _shortened(run: str, block: TextBlock) -> str:
    """A run of one character; of NUL, which separates texts elsewhere, all of it."""
    if run[0] == _NUL:
        return run
    han = "\u4e00" <= run[0] <= "\u9fd5"
    return run[: block.han_run_characters_max if han else block.run_characters_max]


# A text is cut once, though its tokens, its terms and its single words are asked for.
@lru_cache(maxsize=1 << 14)
def _cut(cleaned: str, hmm: bool, jieba: Any) -> tuple[str, ...]:  # noqa: FBT001 -- jieba's own parameter.
    return tuple(str(word) for word in jieba.lcut(cleaned, HMM=hmm))


# Two: jieba's own words, and those of one training. Each takes 100 MB.
@lru_cache(maxsize=2)
def jieba_with(user_words: tuple[str, ...] = ()) -> Any:
    """Jieba's own word list and, by its own `load_userdict`, lines of a user dictionary; its cache
    in a place that nobody else writes to.
    """
    with warnings.catch_warnings():
        # Its own regular expressions and imports are out of date.
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel("ERROR")
    tokenizer = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    if user_words:
        tokenizer.load_userdict(io.StringIO("\n".join(user_words)))
    return tokenizer


@cache
def _word_ngrams(ngrams: tuple[int, int]) -> Any:
    return CountVectorizer(
        tokenizer=list, preprocessor=list, token_pattern=None, lowercase=False, ngram_range=ngrams
    ).build_analyzer()


@cache
def _own_analyzer(block: TextBlock) -> Any:
    """scikit-learn's for characters and patterns."""
    pattern = {"token_pattern": block.token_pattern} if block.token_pattern else {}
    analyzer = "word" if block.analyzer == "pattern" else block.analyzer
    return CountVectorizer(
        analyzer=analyzer, lowercase=False, ngram_range=block.ngrams, **pattern
    ).build_analyzer()
