"""A text as it came to the text as it is cut: the cleaning that a block of the manifest names."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np

from schemas.manifest import TextBlock

_NUL: Final = "\0"
_WHITE_SPACE: Final = re.compile(r"\s+")
_HAN_FIRST, _HAN_LAST = 0x4E00, 0x9FD5
"""Han of which jieba guesses words: of two equally likely cuts of a run it takes one, and the
cutter that serves may take the other."""


def clean(block: TextBlock, text: str) -> str:
    """Lowercase, white space, accents, runs: the block's steps in this order.

    Of a text that is cut first, case and accents are left to `clean_word`.
    """
    cleaned = text.lower() if block.lowercase and not block.cut_first else text
    if block.collapse_white_space:
        cleaned = _WHITE_SPACE.sub(" ", cleaned)
    if block.strip_accents and not block.cut_first:
        cleaned = _without_accents(cleaned)
    return _cut_runs(cleaned, block.run_characters_max, block.han_run_characters_max)


def clean_word(block: TextBlock, word: str) -> str:
    """Case and accents of a word that was cut from a text as it came."""
    cleaned = word.lower() if block.lowercase else word
    return _without_accents(cleaned) if block.strip_accents else cleaned


def clean_batch(block: TextBlock, texts: Sequence[str]) -> list[str]:
    """`clean` of each text; a batch goes through each step as one string."""
    joined = _NUL.join(texts)
    if not texts or joined.count(_NUL) != len(texts) - 1:
        return [clean(block, text) for text in texts]
    return clean(block, joined).split(_NUL)


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _cut_runs(text: str, characters_max: int, han_max: int) -> str:
    """Shorten each run of one character; NUL apart, which separates the texts of a batch."""
    shortest = min(characters_max, han_max)
    if len(text) <= shortest:
        return text
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    repeats = codes[1:] == codes[:-1]
    if b"\1" * shortest not in repeats.tobytes():
        return text
    places = np.arange(len(codes))
    begins = np.append(True, ~repeats)
    in_run = places - np.maximum.accumulate(np.where(begins, places, 0))
    han = (codes >= _HAN_FIRST) & (codes <= _HAN_LAST)
    kept = (in_run < np.where(han, han_max, characters_max)) | (codes == 0)
    return str(codes[kept].tobytes(), "utf-32-le", "surrogatepass")
