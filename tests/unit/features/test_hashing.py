from typing import Any

import mmh3
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from features.cutter import Cutter
from features.hashing import columns_of
from features.text import TOKEN_PATTERNS, TextVectoriser
from schemas.manifest import Hashing, TextBlock
from tests.unit.features.strange_texts import strange_texts

ANY_RUN = 2**31 - 1
LOWEST = "akqlrggi"
"""Of all hashes its is the one without a positive counterpart: -2147483648."""

LIKELY = st.text(st.sampled_from("好坏很 房间abI1\t\u3000\r\n,。😀Éİ\0"), max_size=20)
TEXTS = st.lists(LIKELY | st.text(max_size=12), min_size=1, max_size=5)
BLOCKS = st.builds(
    TextBlock,
    name=st.just("b"),
    vocabulary=st.none(),
    lowercase=st.booleans(),
    collapse_white_space=st.just(False),
    strip_accents=st.booleans(),
    run_characters_max=st.just(ANY_RUN),
    han_run_characters_max=st.just(ANY_RUN),
    analyzer=st.sampled_from(["words", "pattern", "char", "char_wb"]),
    token_pattern=st.sampled_from(TOKEN_PATTERNS[:5]),
    stop_words=st.sampled_from([(), ("好", "ab", "很")]),
    ngrams=st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (3, 5)]),
    hashing=st.builds(Hashing, st.sampled_from([1, 7, 1000, 2**10, 2**20]), st.booleans()),
)


def owners(block: TextBlock) -> HashingVectorizer:
    """Scikit-learn's own, of the same settings."""
    assert block.hashing is not None
    words = block.analyzer in {"words", "pattern"}
    common: dict[str, Any] = {
        "lowercase": block.lowercase,
        "strip_accents": "unicode" if block.strip_accents else None,
        "ngram_range": block.ngrams,
        "n_features": block.hashing.columns,
        "alternate_sign": block.hashing.alternate_sign,
        "stop_words": list(block.stop_words) or None if words else None,
        "norm": None,
    }
    if block.analyzer == "words":
        return HashingVectorizer(tokenizer=jieba_words, token_pattern=None, **common)
    if block.analyzer == "pattern":
        return HashingVectorizer(token_pattern=block.token_pattern, **common)
    return HashingVectorizer(analyzer=block.analyzer, **common)


def jieba_words(text: str) -> list[str]:
    """As serving cuts them, which the tests of the cutter compare with jieba."""
    return [word for word in Cutter().cut(text) if not word.isspace()]


def same(block: TextBlock, texts: list[str]) -> bool:
    """Whether columns and counts are scikit-learn's, one row after the other."""
    wanted = owners(block).transform(texts).sorted_indices()
    found = TextVectoriser(block, ()).counts(texts)
    return (
        np.array_equal(wanted.indptr, found.starts)
        and np.array_equal(wanted.indices, found.columns)
        and np.array_equal(wanted.data, found.counts)
    )


@settings(max_examples=300, deadline=None)
@example(TextBlock("b", None, analyzer="char", hashing=Hashing(1)), ["\0好坏", "", "a"])
@example(TextBlock("b", None, analyzer="pattern", token_pattern=r"\S+", hashing=Hashing(9)), [""])
@given(block=BLOCKS, texts=TEXTS)
def test_columns_and_counts_are_those_of_scikit_learn(block: TextBlock, texts: list[str]) -> None:
    """Whatever the settings; texts of all Unicode, empty ones, n-grams at the edge of a text."""
    assert same(block, texts)


@pytest.mark.parametrize("analyzer", ["words", "char", "char_wb"])
def test_strange_texts_are_hashed_as_scikit_learn_hashes_them(analyzer: Any) -> None:
    """In one batch, into few columns, so that many terms of both signs meet in one."""
    texts = list(strange_texts(5, 200, ["很好", "房间", "服务", "一般", "非常"]))
    block = TextBlock(
        "b",
        None,
        collapse_white_space=False,
        run_characters_max=ANY_RUN,
        han_run_characters_max=ANY_RUN,
        analyzer=analyzer,
        ngrams=(1, 2),
        hashing=Hashing(50),
    )
    assert same(block, texts)


def test_the_lowest_of_all_hashes_has_its_column() -> None:
    """Its absolute value does not fit into the 32 bits of a hash."""
    assert mmh3.hash(LOWEST) == -(2**31)
    hashing = Hashing(1000)
    block = TextBlock("b", None, analyzer="pattern", token_pattern=r"\S+", hashing=hashing)
    assert same(block, [LOWEST])
    assert columns_of(hashing, [LOWEST]) == [2**31 % 1000]


def test_terms_that_cancel_out_leave_a_count_of_0() -> None:
    """The column stays, as in scikit-learn's matrix, where `binary` makes 1 of it."""
    assert [mmh3.hash(letter) > 0 for letter in "ab"] == [True, False]
    block = TextBlock("b", None, analyzer="char", hashing=Hashing(1))
    ids, counts = TextVectoriser(block, ()).ids_and_counts(["ab", "aab", ""])
    assert ids.tolist() == [[0], [0], [1]]
    assert counts.tolist() == [[0], [1], [1]]


def test_pad_stands_after_the_last_column() -> None:
    """Types and shapes are those of a block with a vocabulary."""
    vectoriser = TextVectoriser(TextBlock("b", None, hashing=Hashing(16)), ())
    ids, counts = vectoriser.ids_and_counts(["房间 服务", "房间", ""])
    assert (ids.dtype.name, counts.dtype.name) == ("int64", "float32")
    assert vectoriser.pad == 16
    assert ids[2].tolist() == [16, 16]
    assert counts[2].tolist() == [1, 1]


def test_half_a_surrogate_pair_is_hashed_by_its_bytes() -> None:
    """scikit-learn raises there, and mmh3 itself would end the process; a post must do neither."""
    block = TextBlock("b", None, analyzer="char", hashing=Hashing(1000, alternate_sign=False))
    ids, counts = TextVectoriser(block, ()).ids_and_counts(["\ud800好"])
    wanted = sorted(abs(mmh3.hash(term)) % 1000 for term in (b"\xed\xa0\x80", "好".encode()))
    assert ids.tolist() == [wanted]
    assert counts.tolist() == [[1, 1]]
