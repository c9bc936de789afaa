"""Texts by label to the words with the most weight in each label's, by jieba.analyse.

Words are cut by the cutter that serves, which gives what jieba's own gives, many times as fast.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Final

from features.cutter import Cutter
from train.report.contents import Keyword, LabelKeywords

_WORDS: Final = 20


def keywords(
    texts: Mapping[str, Sequence[str]], user_words: Sequence[str] = ()
) -> tuple[LabelKeywords, ...]:
    """TF-IDF over all texts of a label as one, by jieba's own document frequencies.

    `user_words` are cut as the cutter that serves takes them.
    """
    extractor = _extractor(user_words)
    found: dict[str, list[tuple[str, float]]] = {
        label: extractor.extract_tags("\n".join(own), topK=_WORDS, withWeight=True)
        for label, own in texts.items()
    }
    labels_of = Counter(word for words in found.values() for word, _ in words)
    return tuple(
        LabelKeywords(
            label,
            len(texts[label]),
            tuple(Keyword(word, float(weight), labels_of[word] > 1) for word, weight in words),
        )
        for label, words in found.items()
    )


def _extractor(user_words: Sequence[str]) -> Any:
    with warnings.catch_warnings():
        # Its own regular expressions and imports are out of date.
        warnings.simplefilter("ignore")
        from jieba import analyse
    # A new one would read its document frequencies once more.
    extractor = copy(analyse.default_tfidf)
    extractor.tokenizer = Cutter(user_words)
    return extractor
