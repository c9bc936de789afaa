"""A file of user words, as jieba's user dictionaries are, to lines that jieba and the cutter that
serves cut alike; or the line that they would not.

The two differ in what a word of theirs that is given again adds to the total of all frequencies,
and that total decides between cuts that are all but equally good.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from features.clean import clean
from schemas.manifest import FileSpec, TextBlock
from train.errors import SettingError
from train.reference_terms import jieba_with

USER_WORDS_MAX: Final = 500_000
"""Some more than jieba's own list has."""
FREQUENCY_MAX: Final = 1_000_000_000
"""Sixteen times all of jieba's frequencies together."""

_LINE: Final = re.compile(r"(.+?)(?: ([0-9]+))?(?: [a-z]+)?")
"""As jieba reads one: a word, its frequency and its tag, one space between."""
_FOREIGN: Final = re.compile(r"[^\u4E00-\u9FD5a-zA-Z0-9+#&._%\-]")
"""Where jieba parts a text before it looks for words."""
_TEXTS: Final = TextBlock("words", FileSpec("", "", 0))
"""How a text is cleaned before it is cut."""
_IN_NO_TEXT: Final = "\ufdd1"


def read_user_words(file: Path) -> tuple[str, ...]:
    """The lines of the file, as `checked` gives them.

    Raises SettingError, which names file and line, and OSError.
    """
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingError(f"{file} is not UTF-8, as user words must be: {error}") from error
    return checked(content.split("\n"), str(file))


def checked(lines: Sequence[str], source: str = "user words") -> tuple[str, ...]:
    """Lines `word` or `word frequency`, each word cleaned as texts are: in lower case, say.

    A line is `word`, `word frequency`, `word tag` or `word frequency tag`; blank ones are left out.
    Raises SettingError.
    """
    found = tuple(_each(lines, source))
    if not found:
        raise SettingError(f"{source}: not one word is in it; a line is WORD, or WORD FREQUENCY")
    if len(found) > USER_WORDS_MAX:
        raise SettingError(f"{source}: {len(found):,} words, and {USER_WORDS_MAX:,} are the most")
    return found


@lru_cache(maxsize=2)
def served(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The same words for the cutter that serves: each once, with the frequency that jieba gives it,
    and a last line that makes the totals equal, of a word that no text can hold.
    """
    plain, own = jieba_with(), jieba_with(lines)
    words = list(dict.fromkeys(line.split(" ")[0] for line in lines))
    added = sum(own.FREQ[word] - plain.FREQ.get(word, 0) for word in words)
    lacking = own.total - plain.total - added
    frequencies = [f"{word} {own.FREQ[word]}" for word in words]
    return (*frequencies, f"{_IN_NO_TEXT} {lacking}") if lacking else tuple(frequencies)


def _each(lines: Sequence[str], source: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if not stripped:
            continue
        parts = _LINE.fullmatch(stripped)
        assert parts is not None, "there is at least one character, and no line break"
        word, frequency = clean(_TEXTS, parts[1]), parts[2]
        fault = _fault(parts[1], frequency)
        if fault:
            raise SettingError(f"{source}, line {number}: {stripped!r}: {fault}")
        yield word if frequency is None else f"{word} {int(frequency)}"


def _fault(word: str, frequency: str | None) -> str | None:
    """Why the line cannot be taken."""
    foreign = _FOREIGN.search(word)
    if foreign:
        return (
            f"jieba finds no word with {foreign[0]!r} in it; a line is WORD, WORD FREQUENCY, or "
            "WORD FREQUENCY TAG, one space between, and comments are not known"
        )
    if frequency is None:
        return None
    if len(frequency) > len(str(FREQUENCY_MAX)) or int(frequency) > FREQUENCY_MAX:
        return f"a frequency is at most {FREQUENCY_MAX:,}"
    if int(frequency) == 0:
        return "a frequency is 1 or more; with 0 jieba takes words apart that it only guesses"
    return None
