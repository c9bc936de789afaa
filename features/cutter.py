"""Cut Chinese text into words: what jieba gives, at the speed of rjieba.

rjieba is jieba rewritten in Rust, with the same word list. It differs in three places, which are
put right here:

- Han outside U+4E00–9FD5 (extensions, radicals, compatibility forms): jieba knows no words with
  them and gives each character alone; rjieba guesses words.
- ASCII runs that hold `- . _ + # & %` and are no word of the list: jieba's HMM splits them into
  numbers, letters and the rest; rjieba leaves them whole.
- The word list has `B超`, of frequency 3, twice: jieba counts it twice into the total, rjieba
  once. Where one word stands many times in a row, equally good cuts differ by rounding alone, and
  that total decides between them.

What remains: where jieba's HMM must guess at a group of characters that stands several times in a
row and is no word, two guesses can be equally good, and rounding may decide otherwise (1 in 200
such repeats; none of 8,000 real posts).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

_BLOCK: Final = r"\u4E00-\u9FD5a-zA-Z0-9+#&._%\-"
"""The characters that jieba looks up in its word list; all others stand alone."""

_ODD_HAN: Final = (
    r"\u2E80-\u2FFF\u3005\u3007\u3021-\u3029\u3038-\u303B\u3400-\u4DBF\u9FD6-\u9FFF"
    r"\uF900-\uFAFF\U00016FE0-\U00016FFF\U00020000-\U0003FFFF"
)
_ODD: Final = re.compile(f"[{_ODD_HAN}]")
_ODD_RUN: Final = re.compile(f"([^{_BLOCK}]*[{_ODD_HAN}][^{_BLOCK}]*)")
_ALONE: Final = re.compile(r"\r\n|[\s\S]")
_MIXED: Final = re.compile(r"[+#&._%\-]")
_NUMBERS: Final = re.compile(r"([a-zA-Z0-9]+(?:\.\d+)?%?)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_NEVER_IN_A_BLOCK: Final = "\ufdd0"
_TWICE_COUNTED: Final = 3
"""The frequency that rjieba lacks, given to a word which no text can hold."""

Cut = Callable[[str, bool], list[str]]
HasWord = Callable[[str], bool]


class UserWordError(ValueError):
    """A line of the user words is none; the text names it."""


class Cutter:
    """Cuts as jieba does, `hmm` on or off, with `user_words` as lines of jieba's user dictionary.

    A line is `word`, `word frequency` or `word frequency tag`. Raises UserWordError.
    """

    def __init__(self, user_words: Sequence[str] = (), hmm: bool = True) -> None:  # noqa: FBT001, FBT002 -- jieba's own parameter.
        self._cut, self._has_word = _engine(user_words)
        self._hmm = hmm

    def cut(self, text: str) -> list[str]:
        """The words of `text`, white space among them: joined they are the text again."""
        try:
            words = self._cut_around_odd_han(text)
        except UnicodeEncodeError:  # half a surrogate pair, which rjieba cannot take.
            return self.cut(_SURROGATE.sub("\ufffd", text))
        return self._split_mixed(words) if self._hmm and _MIXED.search(text) else words

    def _cut_around_odd_han(self, text: str) -> list[str]:
        """The words of rjieba, and in runs that hold odd Han each character alone."""
        if not _ODD.search(text):
            return self._cut(text, self._hmm)
        words: list[str] = []
        for number, part in enumerate(_ODD_RUN.split(text)):
            words += _ALONE.findall(part) if number % 2 else self._cut(part, self._hmm)
        return words

    def _split_mixed(self, words: list[str]) -> list[str]:
        """Split what jieba's HMM would split. Such words are rare, and pure ASCII."""
        places = [
            place
            for place, word in enumerate(words)
            if len(word) > 1 and word.isascii() and _MIXED.search(word) and not self._has_word(word)
        ]
        if not places:
            return words
        split: list[str] = []
        start = 0
        for place in places:
            split += words[start:place]
            split += [part for part in _NUMBERS.split(words[place]) if part]
            start = place + 1
        split += words[start:]
        return split


def _engine(user_words: Sequence[str]) -> tuple[Cut, HasWord]:
    """The shared word list of rjieba, or an own one when there are user words."""
    import rjieba  # loads 349,046 words: only what cuts words pays for them.

    # Without user words the engine is shared, for a second one takes 25 MB.
    engine = rjieba.Jieba() if user_words else rjieba
    engine.add_word(_NEVER_IN_A_BLOCK, _TWICE_COUNTED, None)
    for word, frequency, tag in _parsed(user_words):
        engine.add_word(word, frequency, tag)
    return engine.cut, engine.has_word


def _parsed(lines: Iterable[str]) -> Iterable[tuple[str, int | None, str | None]]:
    for line in lines:
        fields = line.split()
        if not 1 <= len(fields) <= 3 or (len(fields) > 1 and not fields[1].isdecimal()):
            raise UserWordError(f"user word {line!r}: write `word`, `word frequency [tag]`")
        frequency = int(fields[1]) if len(fields) > 1 else None
        yield fields[0], frequency, fields[2] if len(fields) > 2 else None
