import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from features.clean import clean, clean_batch
from features.text import BlockError, TextVectoriser, terms_of
from schemas.manifest import FileSpec, Hashing, TextBlock
from tests.unit.features.strange_texts import strange_texts

NO_FILE = FileSpec("", "", 0)
TEXTS = st.text(st.sampled_from("好坏很 房间ab1\t\u3000\n,。😀Éİ\0"), max_size=30)
BLOCKS = {
    "words": TextBlock("words", NO_FILE, ngrams=(1, 2)),
    "words-3": TextBlock("words", NO_FILE, ngrams=(2, 3), stop_words=("好", "很")),
    "char": TextBlock("char", NO_FILE, analyzer="char", ngrams=(1, 3)),
    "char-long": TextBlock("char", NO_FILE, analyzer="char", ngrams=(3, 5)),
    "char_wb": TextBlock("wb", NO_FILE, analyzer="char_wb", ngrams=(1, 3)),
    "char_wb-long": TextBlock("wb", NO_FILE, analyzer="char_wb", ngrams=(3, 5)),
    "pattern": TextBlock("p", NO_FILE, analyzer="pattern", token_pattern=r"(?u)\b\w+\b"),
    "raw": TextBlock("words", NO_FILE, collapse_white_space=False, lowercase=False, ngrams=(1, 2)),
    "raw-char": TextBlock(
        "char", NO_FILE, analyzer="char", collapse_white_space=False, ngrams=(1, 2)
    ),
}


def sklearn_counter(block: TextBlock, vocabulary: list[str]) -> CountVectorizer:
    """Scikit-learn's own n-grams, given the cleaned text and the same words."""
    common: dict[str, Any] = {
        "lowercase": False,
        "ngram_range": block.ngrams,
        "vocabulary": vocabulary,
    }
    if block.analyzer == "words":
        words = TextVectoriser(TextBlock("w", NO_FILE, hmm=block.hmm), [])

        def tokenizer(text: str) -> list[str]:
            return [word for word in words._analyzer.cutter.cut(text) if not word.isspace()]  # type: ignore[union-attr]  # a block of words has a cutter.

        stop_words = list(block.stop_words) or None
        return CountVectorizer(
            tokenizer=tokenizer, token_pattern=None, stop_words=stop_words, **common
        )
    if block.analyzer == "pattern":
        return CountVectorizer(token_pattern=block.token_pattern, **common)
    return CountVectorizer(analyzer=block.analyzer, **common)


def dense(vectoriser: TextVectoriser, texts: list[str]) -> np.ndarray[Any, Any]:
    """The counts as a matrix, pads left out."""
    ids, counts = vectoriser.ids_and_counts(texts)
    rows = np.zeros((len(texts), vectoriser.pad + 1))
    np.add.at(rows, (np.arange(len(texts))[:, None], ids), counts)
    return rows[:, :-1]


@pytest.mark.parametrize("name", BLOCKS)
def test_counts_are_those_of_scikit_learn(name: str) -> None:
    """For each analyzer, over strange texts, half of whose terms are known."""
    block = BLOCKS[name]
    texts = list(strange_texts(5, 400, ["很好", "房间", "服务", "一般", "非常"]))
    terms = sorted({term for row in terms_of(block, texts) for term in row})[::2]
    expected = sklearn_counter(block, terms).transform([clean(block, text) for text in texts])
    assert np.array_equal(dense(TextVectoriser(block, terms), texts), expected.toarray())


@pytest.mark.parametrize("name", BLOCKS)
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, max_size=6))
def test_a_batch_counts_as_its_texts_alone(name: str, texts: list[str]) -> None:
    """Batch mates change nothing, and the fast way counts what `terms` names."""
    block = BLOCKS[name]
    known = sorted({term for row in terms_of(block, texts) for term in row})
    vectoriser = TextVectoriser(block, known)
    ids, counts = vectoriser.ids_and_counts(texts)
    for text, row, count in zip(texts, ids, counts, strict=True):
        kept = row != vectoriser.pad
        found = dict(zip(row[kept].tolist(), count[kept].tolist(), strict=True))
        assert {known[i]: n for i, n in found.items()} == Counter(vectoriser.terms(text))
        assert (count[~kept] == 1).all()


@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=6), accents=st.booleans(), lower=st.booleans())
def test_cleaning_a_batch_is_cleaning_each_text(
    texts: list[str], accents: bool, lower: bool
) -> None:
    """Also where a text holds the character that separates texts."""
    block = TextBlock("b", NO_FILE, strip_accents=accents, lowercase=lower, run_characters_max=2)
    assert clean_batch(block, texts) == [clean(block, text) for text in texts]


def test_cleaning_does_the_steps_that_the_block_names() -> None:
    """Lowercase, one space for each run of white space, accents, runs."""
    block = TextBlock("b", NO_FILE, strip_accents=True, run_characters_max=3)
    assert clean(block, "Ünïque \r\n\u3000 哈哈哈哈哈 AAAA") == "unique 哈哈 aaa"
    kept = TextBlock("b", NO_FILE, lowercase=False, collapse_white_space=False)
    assert clean(kept, "Ü  B\t") == "Ü  B\t"


@given(
    text=st.text(st.sampled_from("哈\u9fd5\u9fd6a \0\ud800𠀀"), max_size=60),
    longest=st.integers(1, 9),
    of_han=st.integers(1, 9),
)
def test_no_run_is_longer_than_the_block_allows(text: str, longest: int, of_han: int) -> None:
    """Han that jieba guesses at have a bound of their own; what is no run stays as it was."""
    block = TextBlock(
        "b",
        NO_FILE,
        collapse_white_space=False,
        run_characters_max=longest,
        han_run_characters_max=of_han,
    )
    expected = re.sub(r"([^\0\u4e00-\u9fd5])\1+", lambda run: run[0][:longest], text)
    expected = re.sub(r"([\u4e00-\u9fd5])\1+", lambda run: run[0][:of_han], expected)
    assert clean(block, text) == expected


def test_pad_stands_after_the_last_id_and_counts_one() -> None:
    """A text without a known term is all pad, one column wide at least."""
    vectoriser = TextVectoriser(TextBlock("words", NO_FILE), ["好", "坏"])
    ids, counts = vectoriser.ids_and_counts(["好 好 坏", "", "无人"])
    assert ids.tolist() == [[0, 1], [2, 2], [2, 2]]
    assert counts.tolist() == [[2, 1], [1, 1], [1, 1]]
    assert (ids.dtype.name, counts.dtype.name) == ("int64", "float32")
    assert vectoriser.ids_and_counts([])[0].shape == (0, 1)


def test_an_empty_vocabulary_knows_nothing() -> None:
    """Its only id is the pad."""
    for analyzer in ("words", "char"):
        block = TextBlock("b", NO_FILE, analyzer=analyzer, ngrams=(1, 2))
        assert TextVectoriser(block, []).ids_and_counts(["好坏"])[0].tolist() == [[0]]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (TextBlock("b", NO_FILE, analyzer="pattern", token_pattern="(a+)+b"), "token_pattern"),
        (TextBlock("b", NO_FILE, analyzer="pattern"), "token_pattern"),
        (TextBlock("b", NO_FILE, ngrams=(2, 1)), "ngrams"),
        (TextBlock("b", NO_FILE, ngrams=(0, 1)), "ngrams"),
        (TextBlock("b", NO_FILE, analyzer="char_wb", ngrams=(4, 5)), "char_wb"),
        (TextBlock("b", NO_FILE, run_characters_max=0), "run_characters_max"),
        (TextBlock("b", None), "name a vocabulary or hashing"),
        (TextBlock("b", NO_FILE, hashing=Hashing(16)), "name a vocabulary or hashing"),
        (TextBlock("b", None, hashing=Hashing(0)), "hashing has 0 columns"),
        (TextBlock("b", None, hashing=Hashing(2**20 + 1)), "hashing has 1,048,577 columns"),
    ],
)
def test_a_block_that_cannot_be_done_is_refused(block: TextBlock, said: str) -> None:
    """Patterns that a text could make slow among them."""
    with pytest.raises(BlockError, match=said):
        TextVectoriser(block, [])


def test_tokens_are_the_units_before_n_grams() -> None:
    """Words without white space and stop words; `cut` keeps both."""
    block = TextBlock("b", NO_FILE, ngrams=(1, 2), stop_words=("很",))
    vectoriser = TextVectoriser(block, [])
    assert vectoriser.tokens("房间 很 好") == ["房间", "好"]
    assert vectoriser.terms("房间 很 好") == ["房间", "好", "房间 好"]
    assert vectoriser.cut("房间 很 好") == ["房间", " ", "很", " ", "好"]
    assert TextVectoriser(TextBlock("c", NO_FILE, analyzer="char"), []).cut("ab") == ["a", "b"]
